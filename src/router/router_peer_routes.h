/* What is handed over to other exchanges: addresses, JoinEUIs and forwarders by peer. Fixed for the life of the router.
 * Few and looked at only for messages that nobody here has, one by one. Level 6; pure. Thread: any. */
#pragma once
#include "lorawan/ids.h"
#include "traffic/traffic.h"

#define ROUTER_NO_PEER UINT32_MAX

/** Data uplinks from these addresses go to this peer. */
typedef struct router_peer_addrs {
    lw_devaddr_prefix prefix;
    uint32_t net_id; /* of the home network, as far as it is known */
    uint32_t peer;
} router_peer_addrs;

/** Join-requests with these JoinEUIs go to this peer. */
typedef struct router_peer_joins {
    lw_eui64_prefix prefix;
    uint32_t peer;
} router_peer_joins;

/** Downlinks for forwarders of this network go to this peer. */
typedef struct router_peer_net {
    uint32_t net_id;
    uint32_t peer;
} router_peer_net;

/** All of it; lists are borrowed. */
typedef struct router_peer_routes {
    const router_peer_addrs *addrs;
    size_t addrs_count;
    const router_peer_joins *joins;
    size_t joins_count;
    const router_peer_net *forwarders;
    size_t forwarders_count;
} router_peer_routes;

/** Entry of the longest prefix with this address; NULL: nobody's. */
const router_peer_addrs *router_peer_for_address(const router_peer_routes *routes, uint32_t dev_addr);
/** Peer with the longest prefix of this JoinEUI, or ROUTER_NO_PEER. */
uint32_t router_peer_for_join(const router_peer_routes *routes, uint64_t join_eui);
/** Peer through which this network's forwarders are reached, or ROUTER_NO_PEER. */
uint32_t router_peer_for_forwarder(const router_peer_routes *routes, uint32_t net_id);
