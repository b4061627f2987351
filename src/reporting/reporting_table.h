/* Counters in memory: a hash table of pairs of members and days. It has a fixed greatest size; what no longer fits is
 * counted as lost. Thread: one owner at a time. */
#pragma once
#include "lorawan/limits.h"
#include "reporting/reporting_core.h"

/** A day and a pair of members. Bytes that are not used are 0, so that keys compare as memory. */
typedef struct reporting_key {
    int64_t day;
    uint32_t forwarder_net_id, home_net_id;
    char forwarder_tenant_id[LW_TENANT_ID_MAX_CHARS + 4]; /* NUL-ended; a multiple of 8, so that nothing is padding */
    char home_tenant_id[LW_TENANT_ID_MAX_CHARS + 4];
} reporting_key;

/** Its counters. */
typedef struct reporting_row {
    reporting_key key;
    uint64_t counts[REPORTING_SLOTS];
} reporting_row;

/** Fields are readable; rows are dense, in the order of their first count. */
typedef struct reporting_table {
    reporting_row *rows;
    size_t count;
    uint64_t lost;   /* counts that did not fit */
    size_t max_rows; /* private from here */
    size_t room;
    uint32_t *index; /* row + 1, 0: free; a power of two, at least twice the room */
    size_t index_room;
} reporting_table;

/** Begin an empty table; allocates nothing yet. */
void reporting_table_init(reporting_table *table, size_t max_rows);
/** Free it. */
void reporting_table_fini(reporting_table *table);
/** Forget rows and losses, keep the room. */
void reporting_table_clear(reporting_table *table);
/** Count. A tenant id that is longer than any is lost, too. */
void reporting_table_add(reporting_table *table, int64_t day, const traffic_member *forwarder,
                         const traffic_member *home, unsigned slot, uint64_t count);
/** Add all counts and losses of another table. */
void reporting_table_merge(reporting_table *table, const reporting_table *from);
/** Sort the rows by key; nothing may be added until the table is cleared. */
void reporting_table_sort(reporting_table *table);
