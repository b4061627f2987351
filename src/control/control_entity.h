/* The entities of the exchange as other components see them: rows of the store, read page by page into messages of the
 * API. The route lists and the change feed are made from the same readers. Every function runs inside a transaction, on
 * its thread.
 * Errors of all: those of store_query, RESOURCE_EXHAUSTED: BASE_NO_MEMORY, and what the sink answers. */
#pragma once
#include "control/control_core.h"
#include "store/store.h"

/** What a caller may see of contacts and of the secrets in targets. */
typedef struct control_view {
    bool contacts, join_server_contacts, secrets;
} control_view;

/** From the rights: READ_NETWORK_CONTACT, READ_JOIN_SERVER_CONTACT, READ_TARGET_AUTH. */
control_view control_view_of(const rpc_principal *who);

/** Where the rows of a page go. */
typedef struct control_reader {
    store_tx *tx;
    lpx_arena *arena; /* messages lie here */
    control_view view;
    control_window window;
    lpx_err (*sink)(struct control_reader *reader, const ProtobufCMessage *message);
    size_t count; /* rows given to the sink */
    bool stop;    /* set by the sink: this page ends here */
} control_reader;

/** Networks, by NetID: org.packetbroker.v3.Network. */
LPX_RESULT control_read_networks(control_reader *reader);
/** Tenants, by network and id: org.packetbroker.v3.Tenant. */
LPX_RESULT control_read_tenants(control_reader *reader);
/** Routing policies, defaults too: org.packetbroker.v3.RoutingPolicy. */
LPX_RESULT control_read_policies(control_reader *reader);
/** Where data uplinks go, by prefix: org.packetbroker.v3.DevAddrPrefixRoute. The own blocks of a network that delegates
 * show whom it delegates to. A tenant without a target has that of its network. */
LPX_RESULT control_read_routes(control_reader *reader);
/** The same by time of creation, from the first row later than since. Rows of one time are never parted: the page ends
 * behind the last row of the time at which it is full; the window's offset means nothing. */
LPX_RESULT control_read_routes_since(control_reader *reader, lpx_utc since);
/** Where join-requests go, by Join Server: org.packetbroker.v3.JoinEUIPrefixRoute. */
LPX_RESULT control_read_join_routes(control_reader *reader);
/** Networks and tenants that have a target: org.packetbroker.v3.NetworkTarget. */
LPX_RESULT control_read_targets(control_reader *reader);
/** Join Servers, by id: org.packetbroker.v3.JoinServer. */
LPX_RESULT control_read_join_servers(control_reader *reader);
/** API keys of networks and tenants, by key id, without secret and time of last use: org.packetbroker.v3.NetworkAPIKey.
 */
LPX_RESULT control_read_network_keys(control_reader *reader);
/** The same of clusters: org.packetbroker.v3.ClusterAPIKey. */
LPX_RESULT control_read_cluster_keys(control_reader *reader);
/** Settings of home networks: lpx.routing.v1.HomeNetworkSettings. */
LPX_RESULT control_read_settings(control_reader *reader);
/** Gateway visibilities: org.packetbroker.v3.GatewayVisibility. */
LPX_RESULT control_read_visibilities(control_reader *reader);

/** How many rows all pages of a list have. */
LPX_RESULT control_count_routes(store_tx *tx, uint32_t *out);
/** As control_count_routes. */
LPX_RESULT control_count_join_routes(store_tx *tx, uint32_t *out);
/** As control_count_routes. */
LPX_RESULT control_count_targets(store_tx *tx, uint32_t *out);
