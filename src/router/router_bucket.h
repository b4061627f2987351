/* Token buckets of many parties at one rate, in bounded memory: a bucket that is full again needs no place, and when
 * too many are not full, the fullest of a few gives way and begins anew. Level 6; pure. Thread: one owner. */
#pragma once
#include "base/time.h"

typedef struct router_buckets router_buckets;

/** New buckets, all full.
 * @param per_second messages, 1 to ROUTER_RATE_MAX
 * @param burst_us   what is saved up at most, in time; never less than one message
 * @return NULL when memory is short */
router_buckets *router_buckets_new(uint32_t per_second, int64_t burst_us);
/** Free; clears the pointer; accepts NULL. */
void router_buckets_free(router_buckets **buckets);
/** How long until this party's bucket has a message; 0: it has one now.
 * @param party hash of who it is @param now never before that of an earlier call */
int64_t router_buckets_wait_ns(const router_buckets *buckets, uint64_t party, lpx_mono now);
/** Take a message out; the bucket has one. */
void router_buckets_take(router_buckets *buckets, uint64_t party, lpx_mono now);
