/* Queue of one subscription, limited in messages, bytes and age: at a limit the oldest goes. One message always fits,
 * however large. Level 6; pure, but for the reference counts of what it holds. Thread: one owner. */
#pragma once
#include "base/buf.h"
#include "base/time.h"
#include "traffic/traffic.h"

typedef struct router_queue_limits {
    uint32_t max_messages;
    uint32_t max_bytes;
    int64_t max_age_us;
} router_queue_limits;

typedef struct router_queued {
    lpx_shared *message;
    lpx_mono since;
} router_queued;

/** Ring of messages, the oldest first. Fields are private. */
typedef struct router_queue {
    router_queue_limits limits;
    router_queued *ring;
    uint32_t room; /* a power of two, or 0 */
    uint32_t first, count;
    size_t bytes;
} router_queue;

/** What a call dropped; calls add to it. */
typedef struct router_queue_drops {
    uint32_t messages[TRAFFIC_DROP_REASONS]; /* QUEUE_FULL, QUEUE_AGE, MEMORY */
    size_t bytes;
} router_queue_drops;

/** Start an empty queue; takes no memory yet. */
void router_queue_init(router_queue *queue, router_queue_limits limits);
/** Drop everything, free the ring. */
void router_queue_fini(router_queue *queue);
/** Put a message at the end. The queue takes the reference in every case: what has no place is dropped and counted. */
void router_queue_give(router_queue *queue, lpx_shared *message, lpx_mono now, router_queue_drops *drops);
/** Take the oldest message that is not too old; those before it are dropped and counted.
 * @return a reference that is the caller's, or NULL when the queue is empty */
lpx_shared *router_queue_take(router_queue *queue, lpx_mono now, router_queue_drops *drops);
