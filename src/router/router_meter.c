#include "router/router_meter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "router/limits.h"

#define NO_ENTRY UINT32_MAX

/* One payload. Entries form a ring in the order of their windows; those of one bucket a list. */
typedef struct entry {
    uint64_t payload;
    int64_t began_us;
    uint32_t copies;
    uint32_t next; /* of the bucket, or NO_ENTRY */
} entry;

struct router_meter {
    atomic_uint refs;
    pthread_mutex_t lock;
    entry *ring;       /* room of them */
    uint32_t *buckets; /* as many; index of the first entry, or NO_ENTRY */
    uint32_t room;     /* a power of two, or 0 */
    uint32_t first, count;
};

router_meter *router_meter_new(void)
{
    router_meter *meter = calloc(1, sizeof *meter);
    if (meter == NULL || pthread_mutex_init(&meter->lock, NULL) != 0) {
        free(meter);
        return NULL;
    }
    atomic_init(&meter->refs, 1);
    return meter;
}

router_meter *router_meter_ref(router_meter *meter)
{
    atomic_fetch_add_explicit(&meter->refs, 1, memory_order_relaxed);
    return meter;
}

static void drop_entries(router_meter *meter)
{
    free(meter->ring);
    free(meter->buckets);
    meter->ring = NULL;
    meter->buckets = NULL;
    meter->room = meter->first = meter->count = 0;
}

void router_meter_unref(router_meter **ref)
{
    router_meter *meter = *ref;
    *ref = NULL;
    if (meter == NULL || atomic_fetch_sub_explicit(&meter->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    drop_entries(meter);
    (void)pthread_mutex_destroy(&meter->lock);
    free(meter);
}

static uint32_t *bucket_of(const router_meter *meter, uint64_t payload)
{
    return &meter->buckets[payload & (meter->room - 1)];
}

static entry *find(const router_meter *meter, uint64_t payload)
{
    uint32_t at = meter->room > 0 ? *bucket_of(meter, payload) : NO_ENTRY;
    while (at != NO_ENTRY && meter->ring[at].payload != payload) {
        at = meter->ring[at].next;
    }
    return at != NO_ENTRY ? &meter->ring[at] : NULL;
}

static void forget_first(router_meter *meter)
{
    uint32_t at = meter->first;
    uint32_t *link = bucket_of(meter, meter->ring[at].payload);
    while (*link != at) {
        link = &meter->ring[*link].next;
    }
    *link = meter->ring[at].next;
    meter->first = (meter->first + 1) & (meter->room - 1);
    meter->count--;
}

/* Forget what is over; give memory back after a flood. */
static void expire(router_meter *meter, int64_t window_us, lpx_mono now)
{
    while (meter->count > 0 && now.us - meter->ring[meter->first].began_us >= window_us) {
        forget_first(meter);
    }
    if (meter->count == 0 && meter->room > ROUTER_METER_FIRST_PAYLOADS) {
        drop_entries(meter);
    }
}

static void put(router_meter *meter, entry fresh)
{
    uint32_t at = (meter->first + meter->count) & (meter->room - 1);
    uint32_t *bucket = bucket_of(meter, fresh.payload);
    fresh.next = *bucket;
    *bucket = at;
    meter->ring[at] = fresh;
    meter->count++;
}

static bool resize(router_meter *meter, uint32_t room)
{
    router_meter bigger = {.room = room};
    bigger.ring = malloc(room * sizeof *bigger.ring);
    bigger.buckets = malloc(room * sizeof *bigger.buckets);
    if (bigger.ring == NULL || bigger.buckets == NULL) {
        free(bigger.ring);
        free(bigger.buckets);
        return false;
    }
    memset(bigger.buckets, 0xff, room * sizeof *bigger.buckets); /* NO_ENTRY */
    for (uint32_t i = 0; i < meter->count; i++) {
        put(&bigger, meter->ring[(meter->first + i) & (meter->room - 1)]);
    }
    free(meter->ring);
    free(meter->buckets);
    meter->ring = bigger.ring;
    meter->buckets = bigger.buckets;
    meter->room = room;
    meter->first = 0;
    return true;
}

/* Begin the window of a payload; without memory nothing is remembered. */
static void begin(router_meter *meter, uint64_t payload, lpx_mono now)
{
    if (meter->count == meter->room && meter->room < ROUTER_METER_PAYLOADS) {
        (void)resize(meter, meter->room > 0 ? meter->room * 2 : ROUTER_METER_FIRST_PAYLOADS);
    }
    if (meter->count == meter->room && meter->count > 0) {
        forget_first(meter);
    }
    if (meter->room > 0) {
        put(meter, (entry){.payload = payload, .began_us = now.us, .copies = 1});
    }
}

bool router_meter_take(router_meter *meter, uint64_t payload, uint32_t limit, int64_t window_us, lpx_mono now)
{
    bool may = true;
    (void)pthread_mutex_lock(&meter->lock);
    expire(meter, window_us, now);
    entry *known = find(meter, payload);
    if (known == NULL) {
        begin(meter, payload, now);
    } else if (known->copies < limit) {
        known->copies++;
    } else {
        may = false;
    }
    (void)pthread_mutex_unlock(&meter->lock);
    return may;
}
