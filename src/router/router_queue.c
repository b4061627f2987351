#include "router/router_queue.h"

#include <stdlib.h>

enum { QUEUE_FIRST_ROOM = 8 };

void router_queue_init(router_queue *queue, router_queue_limits limits, router_queue_sink sink)
{
    *queue = (router_queue){.limits = limits, .sink = sink};
}

static size_t copy_bytes(const router_copy *copy)
{
    return router_copy_message(copy).len;
}

static router_queued *queue_first(router_queue *queue)
{
    return &queue->ring[queue->first];
}

/* Take the oldest, whatever its age; the queue is not empty. */
static router_copy *pop(router_queue *queue)
{
    router_copy *copy = queue_first(queue)->copy;
    queue->first = (queue->first + 1) & (queue->room - 1);
    queue->count--;
    queue->bytes -= copy_bytes(copy);
    return copy;
}

static void drop_copy(const router_queue *queue, router_copy *copy, traffic_drop reason)
{
    queue->sink.dropped(queue->sink.ctx, copy, reason);
    router_copy_unref(&copy);
}

void router_queue_fini(router_queue *queue, traffic_drop reason)
{
    while (queue->count > 0) {
        drop_copy(queue, pop(queue), reason);
    }
    free(queue->ring);
    *queue = (router_queue){.limits = queue->limits, .sink = queue->sink};
}

static void drop_old(router_queue *queue, lpx_mono now)
{
    while (queue->count > 0 && now.us - queue_first(queue)->since.us > queue->limits.max_age_us) {
        drop_copy(queue, pop(queue), TRAFFIC_DROP_QUEUE_AGE);
    }
}

static bool grow(router_queue *queue)
{
    if (queue->count < queue->room) {
        return true;
    }
    uint32_t bigger = queue->room > 0 ? queue->room * 2 : QUEUE_FIRST_ROOM;
    router_queued *ring = malloc(bigger * sizeof *ring);
    if (ring == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < queue->count; i++) {
        ring[i] = queue->ring[(queue->first + i) & (queue->room - 1)];
    }
    free(queue->ring);
    queue->ring = ring;
    queue->room = bigger;
    queue->first = 0;
    return true;
}

void router_queue_give(router_queue *queue, router_copy *copy, lpx_mono now)
{
    size_t len = copy_bytes(copy);
    drop_old(queue, now);
    size_t left = len < queue->limits.max_bytes ? queue->limits.max_bytes - len : 0;
    while (queue->count > 0 && (queue->count >= queue->limits.max_messages || queue->bytes > left)) {
        drop_copy(queue, pop(queue), TRAFFIC_DROP_QUEUE_FULL);
    }
    if (!grow(queue)) {
        drop_copy(queue, copy, TRAFFIC_DROP_MEMORY);
        return;
    }
    queue->ring[(queue->first + queue->count) & (queue->room - 1)] = (router_queued){copy, now};
    queue->count++;
    queue->bytes += len;
}

router_copy *router_queue_take(router_queue *queue, lpx_mono now)
{
    drop_old(queue, now);
    return queue->count > 0 ? pop(queue) : NULL;
}
