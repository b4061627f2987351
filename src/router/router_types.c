#include "router/router_types.h"

const char *router_drop_name(router_drop_reason reason)
{
    static const char *const names[ROUTER_DROP_REASONS] = {
        [ROUTER_DROP_NO_ROUTE] = "no_route",     [ROUTER_DROP_LOOPBACK] = "loopback",
        [ROUTER_DROP_POLICY] = "policy",         [ROUTER_DROP_NO_ENDPOINT] = "no_endpoint",
        [ROUTER_DROP_FILTER] = "filter",         [ROUTER_DROP_QUEUE_FULL] = "queue_full",
        [ROUTER_DROP_QUEUE_AGE] = "queue_age",   [ROUTER_DROP_GONE] = "gone",
        [ROUTER_DROP_RELAY_FULL] = "relay_full", [ROUTER_DROP_MEMORY] = "memory",
    };
    return reason < ROUTER_DROP_REASONS ? names[reason] : "unknown";
}
