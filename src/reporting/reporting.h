/* Reports of routed messages: daily counters per forwarder and home network, counted while the router works, and the
 * rpc that gives them out. Every loop counts for itself; about twice a second the counts are collected on the first
 * loop and added to the store in one transaction. Level 6. */
#pragma once
#include "base/buf.h"
#include "rpc/rpc.h"
#include "traffic/traffic.h"

typedef struct reporting reporting;

/** What counting is made with. */
typedef struct reporting_opts {
    store *store;      /* borrowed until reporting_free */
    int64_t keep_days; /* counters of older days are deleted; 0: REPORTING_KEEP_DAYS */
} reporting_opts;

/** Begin to count.
 * @param loops      all loops of the process, in the order of io_loop_index; borrowed until reporting_free
 * @param loop_count 1 to REPORTING_MAX_LOOPS
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY; INTERNAL: CRYPTO_NO_RANDOM; those of io_timer_init */
LPX_RESULT reporting_new(const reporting_opts *opts, io_loop *const *loops, unsigned loop_count, reporting **out);

/** Whom the router tells; borrowed for the life of the object. */
const traffic_observer *reporting_observer(const reporting *self);

/** Write all counts. To be called when no loop runs any more, before the store is closed; what is told later is lost.
 * @return counts that could not be written, since the beginning. Accepts NULL. */
uint64_t reporting_stop(reporting *self);

/** Free; clears the pointer; accepts NULL. After the store is closed and the router is freed. */
void reporting_free(reporting **handle);

/** The method of org.packetbroker.reporting.v1.Reporter; static. */
size_t reporting_methods(const rpc_method **out);

/** Append metrics as Prometheus text. @thread loops[0] */
void reporting_metrics(const reporting *self, lpx_buf *out);
