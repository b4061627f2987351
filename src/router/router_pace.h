/* When tables are loaded again after changes: at once, as long as that is quick; else with pauses between, so that
 * loading takes at most a fifth of a worker however often members change. Changes of what is quick to load do not wait
 * behind pauses of what is not. Level 6; pure. Thread: one owner. */
#pragma once
#include "base/time.h"

/** What is loaded by itself: the blocks of networks (with all the rest), or all but them. */
typedef enum router_part { ROUTER_PART_BLOCKS, ROUTER_PART_REST, ROUTER_PARTS } router_part;

/** All zero: nothing is to be done. Fields are private. */
typedef struct router_pace {
    bool wanted[ROUTER_PARTS];
    int64_t not_before_us[ROUTER_PARTS]; /* monotonic */
} router_pace;

/** A part changed. */
void router_pace_want(router_pace *pace, router_part part);
/** What to load now? @param part set when true is returned, and then no longer wanted; blocks bring all the rest */
bool router_pace_take(router_pace *pace, lpx_mono now, router_part *part);
/** How long until there is something to take; -1: nothing is wanted. */
int64_t router_pace_wait_us(const router_pace *pace, lpx_mono now);
/** A load that began then is done. */
void router_pace_done(router_pace *pace, router_part part, lpx_mono began, lpx_mono now);
/** A load failed: it is wanted again, after a while. */
void router_pace_failed(router_pace *pace, router_part part, lpx_mono now);
