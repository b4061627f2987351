/* What a home network asks of the exchange: whose traffic it wants, and how many copies of one payload. Level 6; pure,
 * but for the meter. Thread: any. */
#pragma once
#include "router/router_filter.h"
#include "router/router_meter.h"

/** Settings of one home network; kept with a snapshot. A party without tenant stands for all tenants of its network,
 * one without cluster for all clusters. */
typedef struct router_settings {
    const traffic_endpoint *allow; /* none: everybody who is not denied */
    size_t allow_count;
    const traffic_endpoint *deny;
    size_t deny_count;
    uint32_t max_copies; /* 0: no limit */
    int64_t window_us;
    uint64_t seed;       /* of the meter's hashes */
    router_meter *meter; /* NULL without limit */
} router_settings;

/** Does the home network want this forwarder's traffic? */
bool router_settings_want(const router_settings *settings, traffic_endpoint forwarder);

/** Count one copy of an uplink for a home network. @return false when it has had its number */
bool router_settings_take_copy(const router_settings *settings, const router_uplink *uplink, traffic_member home);
