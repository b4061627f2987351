#include "router/router_peer_routes.h"

const router_peer_addrs *router_peer_for_address(const router_peer_routes *routes, uint32_t dev_addr)
{
    const router_peer_addrs *found = NULL;
    for (size_t i = 0; i < routes->addrs_count; i++) {
        const router_peer_addrs *a = &routes->addrs[i];
        if (lw_devaddr_prefix_matches(a->prefix, (lw_devaddr){dev_addr}) &&
            (found == NULL || a->prefix.length > found->prefix.length)) {
            found = a;
        }
    }
    return found;
}

uint32_t router_peer_for_join(const router_peer_routes *routes, uint64_t join_eui)
{
    const router_peer_joins *found = NULL;
    for (size_t i = 0; i < routes->joins_count; i++) {
        const router_peer_joins *j = &routes->joins[i];
        if (lw_eui64_prefix_matches(j->prefix, (lw_eui64){join_eui}) &&
            (found == NULL || j->prefix.length > found->prefix.length)) {
            found = j;
        }
    }
    return found != NULL ? found->peer : ROUTER_NO_PEER;
}

uint32_t router_peer_for_forwarder(const router_peer_routes *routes, uint32_t net_id)
{
    for (size_t i = 0; i < routes->forwarders_count; i++) {
        if (routes->forwarders[i].net_id == net_id) {
            return routes->forwarders[i].peer;
        }
    }
    return ROUTER_NO_PEER;
}
