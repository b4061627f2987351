/* Queue of one subscription, limited in messages, bytes and age: at a limit the oldest goes. One message always fits,
 * however large. Level 6; pure, but for the reference counts of what it holds. Thread: one owner. */
#pragma once
#include "base/time.h"
#include "router/router_copy.h"

typedef struct router_queue_limits {
    uint32_t max_messages;
    uint32_t max_bytes;
    int64_t max_age_us;
} router_queue_limits;

typedef struct router_queued {
    router_copy *copy;
    lpx_mono since;
} router_queued;

/** Who is told of each copy that is dropped: QUEUE_FULL, QUEUE_AGE, MEMORY, or the reason that router_queue_fini is
 * given. The copy is borrowed for the call, which must not touch the queue. */
typedef struct router_queue_sink {
    void (*dropped)(void *ctx, const router_copy *copy, traffic_drop reason);
    void *ctx;
} router_queue_sink;

/** Ring of copies, the oldest first. Fields are private. */
typedef struct router_queue {
    router_queue_limits limits;
    router_queue_sink sink;
    router_queued *ring;
    uint32_t room; /* a power of two, or 0 */
    uint32_t first, count;
    size_t bytes;
} router_queue;

/** Start an empty queue; takes no memory yet. */
void router_queue_init(router_queue *queue, router_queue_limits limits, router_queue_sink sink);
/** Drop everything for this reason, free the ring. */
void router_queue_fini(router_queue *queue, traffic_drop reason);
/** Put a copy at the end. The queue takes the reference in every case: what has no place is dropped. */
void router_queue_give(router_queue *queue, router_copy *copy, lpx_mono now);
/** Take the oldest copy that is not too old; those before it are dropped.
 * @return a reference that is the caller's, or NULL when the queue is empty */
router_copy *router_queue_take(router_queue *queue, lpx_mono now);
