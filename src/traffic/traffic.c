#include "traffic/traffic.h"

const char *traffic_drop_name(traffic_drop reason)
{
    static const char *const names[TRAFFIC_DROP_REASONS] = {
        [TRAFFIC_DROP_NO_ROUTE] = "no_route",
        [TRAFFIC_DROP_LOOPBACK] = "loopback",
        [TRAFFIC_DROP_POLICY] = "policy",
        [TRAFFIC_DROP_NO_ENDPOINT] = "no_endpoint",
        [TRAFFIC_DROP_SETTINGS] = "settings",
        [TRAFFIC_DROP_COPIES] = "copies",
        [TRAFFIC_DROP_LOOKUP] = "lookup",
        [TRAFFIC_DROP_HOPS] = "hops",
        [TRAFFIC_DROP_PEER] = "peer",
        [TRAFFIC_DROP_FILTER] = "filter",
        [TRAFFIC_DROP_QUEUE_FULL] = "queue_full",
        [TRAFFIC_DROP_QUEUE_AGE] = "queue_age",
        [TRAFFIC_DROP_GONE] = "gone",
        [TRAFFIC_DROP_RELAY_FULL] = "relay_full",
        [TRAFFIC_DROP_MEMORY] = "memory",
    };
    return reason < TRAFFIC_DROP_REASONS ? names[reason] : "unknown";
}
