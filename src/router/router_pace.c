#include "router/router_pace.h"

#include "router/limits.h"

void router_pace_want(router_pace *pace, router_part part)
{
    pace->wanted[part] = true;
}

static bool may_begin(const router_pace *pace, router_part part, lpx_mono now)
{
    return pace->wanted[part] && now.us >= pace->not_before_us[part];
}

bool router_pace_take(router_pace *pace, lpx_mono now, router_part *part)
{
    for (router_part i = ROUTER_PART_BLOCKS; i < ROUTER_PARTS; i++) {
        if (may_begin(pace, i, now)) {
            pace->wanted[i] = false;
            if (i == ROUTER_PART_BLOCKS) {
                pace->wanted[ROUTER_PART_REST] = false;
            }
            *part = i;
            return true;
        }
    }
    return false;
}

int64_t router_pace_wait_us(const router_pace *pace, lpx_mono now)
{
    int64_t wait_us = -1;
    for (unsigned i = 0; i < ROUTER_PARTS; i++) {
        int64_t left_us = pace->not_before_us[i] > now.us ? pace->not_before_us[i] - now.us : 0;
        if (pace->wanted[i] && (wait_us < 0 || left_us < wait_us)) {
            wait_us = left_us;
        }
    }
    return wait_us;
}

void router_pace_done(router_pace *pace, router_part part, lpx_mono began, lpx_mono now)
{
    int64_t took_us = now.us - began.us;
    if (took_us <= ROUTER_LOAD_QUICK_US) {
        return;
    }
    int64_t pause_us = ROUTER_LOAD_PAUSE_TIMES * took_us;
    pause_us = pause_us < ROUTER_LOAD_PAUSE_MIN_US ? ROUTER_LOAD_PAUSE_MIN_US : pause_us;
    pause_us = pause_us > ROUTER_LOAD_PAUSE_MAX_US ? ROUTER_LOAD_PAUSE_MAX_US : pause_us;
    pace->not_before_us[part] = now.us + pause_us;
}

void router_pace_failed(router_pace *pace, router_part part, lpx_mono now)
{
    pace->wanted[part] = true;
    for (unsigned i = 0; i < ROUTER_PARTS; i++) {
        pace->not_before_us[i] = now.us + ROUTER_RELOAD_US;
    }
}
