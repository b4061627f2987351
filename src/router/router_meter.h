/* How many copies of each payload one home network has had lately, over all loops. A payload's window begins with its
 * first copy. The number of payloads is bounded: the one whose window began first is forgotten, and may have its copies
 * anew. Each home network with a limit has a meter of its own, so that nobody's flood reaches another's. A lock is
 * held for one look-up; networks without a limit have no meter and take none. Level 6. Thread: any. */
#pragma once
#include "base/time.h"

typedef struct router_meter router_meter;

/** New meter with one reference; takes little memory until payloads come. @return NULL when memory is short */
router_meter *router_meter_new(void);
/** One reference more; returns its argument. */
router_meter *router_meter_ref(router_meter *meter);
/** One reference less, the last frees; clears the pointer; accepts NULL. */
void router_meter_unref(router_meter **meter);
/** May one more copy go?
 * @param payload   hash that outsiders cannot foresee
 * @param limit     copies in one window, not 0
 * @param window_us the same in all calls, more or less: payloads are forgotten in the order of their first copies
 * @return true also when memory is short: a copy too many rather than none */
bool router_meter_take(router_meter *meter, uint64_t payload, uint32_t limit, int64_t window_us, lpx_mono now);
