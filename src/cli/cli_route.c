/* lpx route, lpx targets: the tables by which messages find their way. */
#include "cli/cli_priv.h"
#include "pb_routing_v2_api.pb-c.h"

#define ROUTES "/org.packetbroker.routing.v2.Routes/"

static lpx_err uplink_routes(cli *c, cli_table **out)
{
    static const char *const headers[] = {"DevAddr Prefix", "NetID", "Tenant ID", "Cluster ID", "Target", NULL};
    Pb__Routing__V2__ListUplinkRoutesRequest request = PB__ROUTING__V2__LIST_UPLINK_ROUTES_REQUEST__INIT;
    cli_items routes = {0};
    LPX_TRY(cli_list_all(c, AGENT_CONTROL, ROUTES "ListUplinkRoutes", &request.base,
                         &pb__routing__v2__list_uplink_routes_response__descriptor, &routes));
    *out = cli_table_new(c, headers);
    for (size_t i = 0; i < routes.count; i++) {
        Pb__V3__DevAddrPrefixRoute *r = (Pb__V3__DevAddrPrefixRoute *)routes.items[i];
        const char *cells[] = {cli_show_prefix(c, r->prefix), cli_show_net_id(c, r->net_id), r->tenant_id,
                               r->home_network_cluster_id, cli_show_target(c, r->target)};
        cli_table_row(*out, &r->base, cells);
    }
    return LPX_SUCCESS;
}

static const char *resolver_text(cli *c, const Pb__V3__JoinEUIPrefixRoute *r)
{
    switch (r->resolver_case) {
    case PB__V3__JOIN_EUIPREFIX_ROUTE__RESOLVER_LOOKUP:
        return cli_show_target(c, r->lookup);
    case PB__V3__JOIN_EUIPREFIX_ROUTE__RESOLVER_FIXED:
        return cli_show_member(c, r->fixed->net_id, r->fixed->tenant_id, r->fixed->cluster_id);
    case PB__V3__JOIN_EUIPREFIX_ROUTE__RESOLVER__NOT_SET:
    case _PB__V3__JOIN_EUIPREFIX_ROUTE__RESOLVER__CASE_IS_INT_SIZE:
        break;
    }
    return "";
}

static lpx_err join_routes(cli *c, cli_table **out)
{
    static const char *const headers[] = {"JoinEUI Prefix", "Join Server ID", "Resolver", NULL};
    Pb__Routing__V2__ListJoinRequestRoutesRequest request = PB__ROUTING__V2__LIST_JOIN_REQUEST_ROUTES_REQUEST__INIT;
    cli_items routes = {0};
    LPX_TRY(cli_list_all(c, AGENT_CONTROL, ROUTES "ListJoinRequestRoutes", &request.base,
                         &pb__routing__v2__list_join_request_routes_response__descriptor, &routes));
    *out = cli_table_new(c, headers);
    for (size_t i = 0; i < routes.count; i++) {
        Pb__V3__JoinEUIPrefixRoute *r = (Pb__V3__JoinEUIPrefixRoute *)routes.items[i];
        const char *cells[] = {cli_show_eui_prefix(c, r->prefix), cli_printf(c, "%u", r->id), resolver_text(c, r)};
        cli_table_row(*out, &r->base, cells);
    }
    return LPX_SUCCESS;
}

static lpx_err run_route(cli *c)
{
    cli_table *uplink = NULL, *join = NULL;
    LPX_TRY(uplink_routes(c, &uplink));
    LPX_TRY(join_routes(c, &join));
    cli_tables_print(c, "uplinkRoutes", uplink, "joinRequestRoutes", join);
    return LPX_SUCCESS;
}

static lpx_err run_targets(cli *c)
{
    static const char *const headers[] = {"NetID", "Tenant ID", "Target", NULL};
    Pb__Routing__V2__ListNetworkTargetsRequest request = PB__ROUTING__V2__LIST_NETWORK_TARGETS_REQUEST__INIT;
    cli_items targets = {0};
    LPX_TRY(cli_list_all(c, AGENT_CONTROL, ROUTES "ListNetworkTargets", &request.base,
                         &pb__routing__v2__list_network_targets_response__descriptor, &targets));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < targets.count; i++) {
        Pb__V3__NetworkTarget *t = (Pb__V3__NetworkTarget *)targets.items[i];
        const char *cells[] = {cli_show_net_id(c, t->net_id), t->tenant_id, cli_show_target(c, t->target)};
        cli_table_row(table, &t->base, cells);
    }
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

const cli_command cli_route_command = {
    .name = "route",
    .aliases = "routes, ro",
    .brief = "List the routes of uplinks and join-requests",
    .examples = "  List:\n    $ %\n",
    .run = run_route,
};

const cli_command cli_targets_command = {
    .name = "targets",
    .brief = "List the targets of networks and tenants",
    .examples = "  List:\n    $ %\n",
    .run = run_targets,
};
