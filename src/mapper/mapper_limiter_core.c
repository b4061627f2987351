#include "mapper/mapper_limiter_core.h"

#include "mapper/mapper_table_core.h"

void mapper_limiter_init(mapper_limiter *limiter, uint64_t seed, uint32_t per_minute)
{
    enum { MINUTE_US = 60 * 1000000 };
    memset(limiter, 0, sizeof *limiter);
    limiter->seed = seed;
    limiter->interval_us = per_minute == 0 ? 0 : MINUTE_US / per_minute > 0 ? MINUTE_US / per_minute : 1;
    limiter->burst_us = limiter->interval_us * per_minute;
}

bool mapper_limiter_take(mapper_limiter *limiter, lpx_str caller, lpx_mono now, int64_t *wait_us)
{
    if (limiter->interval_us == 0) {
        return true;
    }
    uint32_t hash = mapper_hash(limiter->seed, (traffic_member){0, {"", 0}}, caller);
    unsigned set = hash % MAPPER_LIMITER_SETS;
    unsigned way = 0;
    for (unsigned i = 0; i < MAPPER_LIMITER_WAYS; i++) {
        if (limiter->buckets[set][i].caller == hash) {
            way = i;
            break;
        }
        way = limiter->buckets[set][i].full_at_us < limiter->buckets[set][way].full_at_us ? i : way;
    }
    int64_t full_at = limiter->buckets[set][way].caller == hash ? limiter->buckets[set][way].full_at_us : 0;
    int64_t after = (full_at > now.us ? full_at : now.us) + limiter->interval_us;
    if (after - now.us > limiter->burst_us) {
        *wait_us = after - now.us - limiter->burst_us;
        return false;
    }
    limiter->buckets[set][way].caller = hash;
    limiter->buckets[set][way].full_at_us = after;
    return true;
}
