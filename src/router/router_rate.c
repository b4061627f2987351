#include "router/router_rate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lpx_reasons.h"
#include "router/router_bucket.h"
#include "router/router_map.h"

struct router_limiter {
    pthread_mutex_t lock; /* of buckets */
    uint64_t seed;
    router_rate_opts opts;
    router_buckets *buckets[ROUTER_RATES]; /* NULL: no limit */
    atomic_ullong refused[ROUTER_RATES];
};

static const char *const names[ROUTER_RATES] = {[ROUTER_RATE_NETWORK] = "network",
                                                [ROUTER_RATE_TENANT] = "tenant",
                                                [ROUTER_RATE_KEY] = "key",
                                                [ROUTER_RATE_GATEWAY] = "gateway"};

const char *router_rate_name(router_rate rate)
{
    return names[rate];
}

bool router_rate_any(const router_rate_opts *opts)
{
    bool any = false;
    for (unsigned i = 0; i < ROUTER_RATES; i++) {
        any = any || opts->per_second[i] > 0;
    }
    return any;
}

router_limiter *router_limiter_new(const router_rate_opts *opts, uint64_t seed)
{
    router_limiter *limiter = calloc(1, sizeof *limiter);
    if (limiter == NULL || pthread_mutex_init(&limiter->lock, NULL) != 0) {
        free(limiter);
        return NULL;
    }
    limiter->seed = seed;
    limiter->opts = *opts;
    for (unsigned i = 0; i < ROUTER_RATES; i++) {
        if (opts->per_second[i] > 0) {
            limiter->buckets[i] = router_buckets_new(opts->per_second[i], opts->burst_us);
            if (limiter->buckets[i] == NULL) {
                router_limiter_free(&limiter);
                return NULL;
            }
        }
    }
    return limiter;
}

void router_limiter_free(router_limiter **ref)
{
    router_limiter *limiter = *ref;
    *ref = NULL;
    if (limiter == NULL) {
        return;
    }
    for (unsigned i = 0; i < ROUTER_RATES; i++) {
        router_buckets_free(&limiter->buckets[i]);
    }
    (void)pthread_mutex_destroy(&limiter->lock);
    free(limiter);
}

/* Hashes of those whom a message counts against. @return bit by bit, which of them are limited */
static unsigned parties_of(const router_limiter *limiter, const router_rate_who *who, uint64_t out[static ROUTER_RATES])
{
    const bool is_there[ROUTER_RATES] = {true, who->member.tenant_id.len > 0, who->key.len > 0, who->gateway.len > 0};
    unsigned limited = 0;
    for (unsigned i = 0; i < ROUTER_RATES; i++) {
        limited |= is_there[i] && limiter->buckets[i] != NULL ? 1u << i : 0u;
    }
    traffic_member network = {.net_id = who->member.net_id};
    out[ROUTER_RATE_NETWORK] = router_hash_member(limiter->seed, network);
    out[ROUTER_RATE_TENANT] = router_hash_member(limiter->seed, who->member);
    out[ROUTER_RATE_KEY] = router_hash_text(limiter->seed, who->key);
    /* gateways of different networks may have one name */
    out[ROUTER_RATE_GATEWAY] =
        router_hash_text(router_hash_member(limiter->seed, who->member), lpx_bytes_str(who->gateway));
    return limited;
}

/* Take from all or none. @return the limit that has been reached, ROUTER_RATES: none */
static router_rate take(router_limiter *limiter, unsigned limited, const uint64_t *parties, lpx_mono now,
                        int64_t *wait_ns)
{
    router_rate reached = ROUTER_RATES;
    (void)pthread_mutex_lock(&limiter->lock);
    for (unsigned i = 0; i < ROUTER_RATES && reached == ROUTER_RATES; i++) {
        if ((limited >> i & 1) != 0) {
            *wait_ns = router_buckets_wait_ns(limiter->buckets[i], parties[i], now);
            reached = *wait_ns > 0 ? (router_rate)i : ROUTER_RATES;
        }
    }
    for (unsigned i = 0; i < ROUTER_RATES && reached == ROUTER_RATES; i++) {
        if ((limited >> i & 1) != 0) {
            router_buckets_take(limiter->buckets[i], parties[i], now);
        }
    }
    (void)pthread_mutex_unlock(&limiter->lock);
    return reached;
}

lpx_err router_limiter_take(router_limiter *limiter, const router_rate_who *who, lpx_mono now, lpx_note *note)
{
    uint64_t parties[ROUTER_RATES];
    int64_t wait_ns = 0;
    unsigned limited = parties_of(limiter, who, parties);
    router_rate reached = take(limiter, limited, parties, now, &wait_ns);
    if (reached == ROUTER_RATES) {
        return LPX_SUCCESS;
    }
    atomic_fetch_add_explicit(&limiter->refused[reached], 1, memory_order_relaxed);
    return lpx_fail(
        note, ROUTER_TOO_FAST,
        "This exchange takes at most %u messages a second from one %s (router.rate-%s); try again in %lld ms.",
        (unsigned)limiter->opts.per_second[reached], names[reached], names[reached],
        (long long)(wait_ns / 1000000 + 1));
}

uint64_t router_limiter_refused(const router_limiter *limiter, router_rate rate)
{
    return limiter != NULL ? atomic_load_explicit(&limiter->refused[rate], memory_order_relaxed) : 0;
}
