/* Limits on how fast members publish: of each network with its tenants, tenant, API key and gateway. One budget for the
 * whole process, whatever the loop: a lock is held for a tenth of a microsecond. Level 6.
 * Thread: any. */
#pragma once
#include "base/err.h"
#include "traffic/traffic.h"

typedef enum router_rate {
    ROUTER_RATE_NETWORK,
    ROUTER_RATE_TENANT,
    ROUTER_RATE_KEY,
    ROUTER_RATE_GATEWAY,
    ROUTER_RATES
} router_rate;

/** Messages a second, 0: no limit; and for how long unused ones are saved up. */
typedef struct router_rate_opts {
    uint32_t per_second[ROUTER_RATES];
    int64_t burst_us;
} router_rate_opts;

/** Who publishes. Views are borrowed for the call; what is empty has no limit. */
typedef struct router_rate_who {
    traffic_member member;
    lpx_str key;       /* id of the API key, or fingerprint of the certificate */
    lpx_bytes gateway; /* its identifier, serialised */
} router_rate_who;

typedef struct router_limiter router_limiter;

/** Is anything limited? */
bool router_rate_any(const router_rate_opts *opts);
/** New limiter. @param seed secret random number @return NULL when memory is short */
router_limiter *router_limiter_new(const router_rate_opts *opts, uint64_t seed);
/** Free; clears the pointer; accepts NULL. */
void router_limiter_free(router_limiter **limiter);
/** Count one message against all limits, or against none when one of them has been reached.
 * @param now monotonic
 * @err RESOURCE_EXHAUSTED: ROUTER_TOO_FAST (note names the setting and says when to try again) */
LPX_RESULT router_limiter_take(router_limiter *limiter, const router_rate_who *who, lpx_mono now, lpx_note *note);
/** Messages that this limit refused so far; limiter NULL: none. */
uint64_t router_limiter_refused(const router_limiter *limiter, router_rate rate);
/** Name of a limit in metrics and settings, "network"; static. */
const char *router_rate_name(router_rate rate);
