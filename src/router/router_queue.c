#include "router/router_queue.h"

#include <stdlib.h>

enum { QUEUE_FIRST_ROOM = 8 };

void router_queue_init(router_queue *queue, router_queue_limits limits)
{
    *queue = (router_queue){.limits = limits};
}

static size_t message_bytes(const lpx_shared *message)
{
    return lpx_shared_view(message).len;
}

static router_queued *queue_first(router_queue *queue)
{
    return &queue->ring[queue->first];
}

/* Take the oldest, whatever its age; the queue is not empty. */
static lpx_shared *pop(router_queue *queue)
{
    lpx_shared *message = queue_first(queue)->message;
    queue->first = (queue->first + 1) & (queue->room - 1);
    queue->count--;
    queue->bytes -= message_bytes(message);
    return message;
}

static void drop_message(lpx_shared *message, traffic_drop reason, router_queue_drops *drops)
{
    drops->messages[reason]++;
    drops->bytes += message_bytes(message);
    lpx_shared_unref(&message);
}

void router_queue_fini(router_queue *queue)
{
    while (queue->count > 0) {
        lpx_shared *message = pop(queue);
        lpx_shared_unref(&message);
    }
    free(queue->ring);
    *queue = (router_queue){.limits = queue->limits};
}

static void drop_old(router_queue *queue, lpx_mono now, router_queue_drops *drops)
{
    while (queue->count > 0 && now.us - queue_first(queue)->since.us > queue->limits.max_age_us) {
        drop_message(pop(queue), TRAFFIC_DROP_QUEUE_AGE, drops);
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

void router_queue_give(router_queue *queue, lpx_shared *message, lpx_mono now, router_queue_drops *drops)
{
    size_t len = message_bytes(message);
    drop_old(queue, now, drops);
    size_t left = len < queue->limits.max_bytes ? queue->limits.max_bytes - len : 0;
    while (queue->count > 0 && (queue->count >= queue->limits.max_messages || queue->bytes > left)) {
        drop_message(pop(queue), TRAFFIC_DROP_QUEUE_FULL, drops);
    }
    if (!grow(queue)) {
        drop_message(message, TRAFFIC_DROP_MEMORY, drops);
        return;
    }
    queue->ring[(queue->first + queue->count) & (queue->room - 1)] = (router_queued){message, now};
    queue->count++;
    queue->bytes += len;
}

lpx_shared *router_queue_take(router_queue *queue, lpx_mono now, router_queue_drops *drops)
{
    drop_old(queue, now, drops);
    return queue->count > 0 ? pop(queue) : NULL;
}
