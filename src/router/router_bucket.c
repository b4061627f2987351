#include "router/router_bucket.h"

#include <stdlib.h>

#include "router/limits.h"

enum { WAYS = 8, SETS = ROUTER_RATE_BUCKETS / WAYS };

/* A bucket that is not full. All zero: free. */
typedef struct slot {
    uint64_t party;
    int64_t full_ns; /* when it will be full again; in the past: it is, and the slot is free */
} slot;

struct router_buckets {
    int64_t message_ns; /* how long one message takes to come back */
    int64_t room_ns;    /* of the whole bucket */
    slot slots[SETS][WAYS];
};

router_buckets *router_buckets_new(uint32_t per_second, int64_t burst_us)
{
    router_buckets *buckets = calloc(1, sizeof *buckets);
    if (buckets != NULL) {
        buckets->message_ns = INT64_C(1000000000) / per_second;
        buckets->room_ns = burst_us * 1000 > buckets->message_ns ? burst_us * 1000 : buckets->message_ns;
    }
    return buckets;
}

void router_buckets_free(router_buckets **ref)
{
    free(*ref);
    *ref = NULL;
}

/* The party's slot; NULL: it has none, its bucket is full. */
static const slot *find(const router_buckets *buckets, uint64_t party, int64_t now_ns)
{
    const slot *set = buckets->slots[party % SETS];
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].party == party && set[i].full_ns > now_ns) {
            return &set[i];
        }
    }
    return NULL;
}

int64_t router_buckets_wait_ns(const router_buckets *buckets, uint64_t party, lpx_mono now)
{
    int64_t now_ns = now.us * 1000;
    const slot *at = find(buckets, party, now_ns);
    int64_t missing_ns = at != NULL ? at->full_ns - now_ns : 0;
    int64_t wait_ns = missing_ns + buckets->message_ns - buckets->room_ns;
    return wait_ns > 0 ? wait_ns : 0;
}

void router_buckets_take(router_buckets *buckets, uint64_t party, lpx_mono now)
{
    int64_t now_ns = now.us * 1000;
    slot *set = buckets->slots[party % SETS];
    const slot *known = find(buckets, party, now_ns);
    slot *at = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        at = &set[i] == known || (known == NULL && set[i].full_ns < at->full_ns) ? &set[i] : at;
    }
    int64_t since_ns = known != NULL ? known->full_ns : now_ns;
    *at = (slot){party, since_ns + buckets->message_ns};
}
