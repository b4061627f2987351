/* What became of messages, and why, for their parties: a short memory of what the router tells, and the rpcs that read
 * it. Level 6; the router and this module do not know each other (traffic/traffic.h).
 *
 * Each loop writes into a log of its own, so that loops never wait for one another; who reads looks at all of them. */
#pragma once
#include "base/buf.h"
#include "rpc/rpc.h"
#include "traffic/traffic.h"

typedef struct trace trace;

/** Settings. */
typedef struct trace_opts {
    unsigned loop_count; /* all loops of the process, 1 to TRACE_MAX_LOOPS */
    uint32_t messages;   /* that are kept, all loops together; 0: none, and nothing is recorded */
    int64_t age_us;      /* older ones are not shown */
    uint64_t seed;       /* random */
} trace_opts;

/** New memory of traces. @err INVALID_ARGUMENT: TRACE_BAD_OPTS; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT trace_new(const trace_opts *opts, trace **out);
/** Free; clears the pointer; accepts NULL. Nobody watches any more, and nobody is told. */
void trace_free(trace **self);

/** Who is to be told by the router; NULL when nothing is recorded. Lives as long as self. */
const traffic_observer *trace_observer(const trace *self);

/** Methods of lpx.trace.v1.Tracer. The table lives as long as self. */
size_t trace_methods(trace *self, const rpc_method **out);

/** Append metrics in Prometheus' text form. @thread any */
void trace_metrics(trace *self, lpx_buf *out);
