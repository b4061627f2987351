/* The object, for the files of this folder. */
#pragma once
#include <pthread.h>

#include "trace/limits.h"
#include "trace/trace.h"
#include "trace/trace_view_core.h"

/** The log of one loop. The lock is taken by that loop for each record, and by others only while somebody reads. */
typedef struct trace_part {
    _Alignas(64) pthread_mutex_t lock;
    trace_log *log;
} trace_part;

/** Those who watch on one loop. Thread: that loop. */
typedef struct trace_hub {
    struct trace *owner;
    struct trace_watcher *watchers[TRACE_WATCHERS_PER_LOOP]; /* NULL: free */
    unsigned count;
    io_loop *loop; /* while count > 0, as the timer */
    io_timer timer;
    trace_pos *read; /* how far each log has been read */
} trace_hub;

enum { TRACE_METHODS = 3 };

struct trace {
    unsigned loop_count;
    bool on;
    int64_t age_us;
    uint64_t seed;
    traffic_observer observer;
    rpc_method methods[TRACE_METHODS];
    trace_part *parts; /* loop_count */
    trace_hub *hubs;   /* loop_count */
};

/** Everything that is known of a message, from all logs. @param events in the arena
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY @thread any */
LPX_RESULT trace_gather(trace *self, lpx_str id, lpx_utc now, lpx_arena *arena, trace_event **events, size_t *count);

/** The newest traces that concern a viewer, the newest first. @param limit above 0
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY @thread any */
LPX_RESULT trace_recent(trace *self, const trace_viewer *viewer, bool drops_only, uint32_t limit, lpx_utc now,
                        lpx_arena *arena, Lpx__Trace__V1__Trace ***out, size_t *count);

/** Begin to watch on the call's loop; on success the call is a stream.
 * @err RESOURCE_EXHAUSTED: TRACE_TOO_MANY_WATCHERS, BASE_NO_MEMORY */
LPX_RESULT trace_watch(trace *self, rpc_call *call, const trace_viewer *viewer, bool drops_only);

/** Take the methods into the table. */
void trace_rpc_methods(trace *self);
