/* Token buckets of those who ask: a fixed table, in which the fullest bucket gives way. Private to this folder. Pure.
 */
#pragma once
#include "base/bytes.h"
#include "base/time.h"
#include "mapper/limits.h"

enum { MAPPER_LIMITER_WAYS = 8, MAPPER_LIMITER_SETS = MAPPER_CALLERS / MAPPER_LIMITER_WAYS };

/** Fields are private. */
typedef struct mapper_limiter {
    uint64_t seed;
    int64_t interval_us; /* one token in this time; 0: no limit */
    int64_t burst_us;    /* time of a whole bucket */
    struct {
        uint32_t caller;
        int64_t full_at_us; /* when the bucket is full again */
    } buckets[MAPPER_LIMITER_SETS][MAPPER_LIMITER_WAYS];
} mapper_limiter;

/** Begin with full buckets.
 * @param per_minute tokens of a bucket, and how many come back in a minute; 0: no limit */
void mapper_limiter_init(mapper_limiter *limiter, uint64_t seed, uint32_t per_minute);
/** Take a token of a caller's bucket.
 * @param caller any text that stays the same for one caller
 * @param wait_us set when there is none: how long until there is one
 * @return was there one? */
bool mapper_limiter_take(mapper_limiter *limiter, lpx_str caller, lpx_mono now, int64_t *wait_us);
