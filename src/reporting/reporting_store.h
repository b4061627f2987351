/* The rows of reporting: SQL and nothing else. Every function runs inside a transaction, on its thread.
 * Errors of all: those of store_exec and store_query. */
#pragma once
#include "reporting/reporting_table.h"
#include "store/store.h"

enum { REPORTING_WRITER_CHARS = 32 };

/** Part of a table that is written in one transaction. */
typedef struct reporting_batch {
    char writer[REPORTING_WRITER_CHARS + 1]; /* of this process, by chance */
    int64_t number;                          /* counts from 1 */
    const reporting_row *rows;
    size_t row_count;
    lpx_utc now;
} reporting_batch;

/** Add the counts of a batch to those of the store, unless it was added before: the answer to a commit may be lost. */
LPX_RESULT reporting_store_add(store_tx *tx, const reporting_batch *batch);
/** Forget days before this one, and writers that have not written since long. */
LPX_RESULT reporting_store_prune(store_tx *tx, int64_t first_day, lpx_utc writers_before);
/** Earliest day that has counts. @param any false: there are none */
LPX_RESULT reporting_store_first_day(store_tx *tx, bool *any, int64_t *day);

/** Sums over the days of a part of what was asked for, by pair and counter, in order, each given to each.
 * @param each its text is borrowed for the call; answers an error to stop
 * @err RESOURCE_EXHAUSTED: REPORTING_TOO_LARGE, and what each answers */
LPX_RESULT reporting_store_sums(store_tx *tx, const reporting_ask *ask, int64_t from_day, int64_t to_day,
                                lpx_err (*each)(void *ctx, const reporting_sum *sum), void *ctx);
