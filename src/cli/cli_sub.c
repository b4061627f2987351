/* lpx sub: prints routed messages as JSON. */
#include "cli/cli_stream.h"
#include "lpx_reasons.h"

/* How many messages came, and after how many it is over. */
typedef struct tally {
    uint64_t count, wanted; /* wanted 0: no end */
} tally;

static lpx_err print_message(cli *c, const ProtobufCMessage *message, void *ctx, bool *over)
{
    tally *t = ctx;
    cli_add_json(c, &c->out, message, true);
    lpx_buf_add_str(&c->out, c->world->out_is_terminal ? LPX_STR("\n") : LPX_STR(""));
    LPX_TRY(cli_flush(c));
    t->count++;
    *over = t->count == t->wanted;
    return LPX_SUCCESS;
}

/* Every data message and every join-request. */
static void match_all(cli *c, Pb__Routing__V1__SubscribeHomeNetworkRequest *request)
{
    Pb__V3__RoutingFilter **filters = cli_get(c, 2 * sizeof *filters);
    filters[0] = cli_new(c, &pb__v3__routing_filter__descriptor);
    filters[0]->message_case = PB__V3__ROUTING_FILTER__MESSAGE_MAC;
    filters[0]->mac = cli_new(c, &pb__v3__routing_filter__macpayload__descriptor);
    filters[1] = cli_new(c, &pb__v3__routing_filter__descriptor);
    filters[1]->message_case = PB__V3__ROUTING_FILTER__MESSAGE_JOIN_REQUEST;
    filters[1]->join_request = cli_new(c, &pb__v3__routing_filter__join_request__descriptor);
    Pb__V3__RoutingFilter__JoinRequest__EUIPrefixes **all = cli_get(c, sizeof *all);
    all[0] = cli_new(c, &pb__v3__routing_filter__join_request__euiprefixes__descriptor);
    filters[1]->join_request->eui_prefixes = all;
    filters[1]->join_request->n_eui_prefixes = 1;
    request->filters = filters;
    request->n_filters = 2;
}

static ProtobufCMessage *home_request(cli *c, const cli_endpoint *home)
{
    Pb__Routing__V1__SubscribeHomeNetworkRequest *r =
        cli_new(c, &pb__routing__v1__subscribe_home_network_request__descriptor);
    r->home_network_net_id = home->net_id;
    r->home_network_tenant_id = home->tenant_id;
    r->home_network_cluster_id = home->cluster_id;
    r->group = cli_text(c, "group");
    match_all(c, r);
    return &r->base;
}

static ProtobufCMessage *forwarder_request(cli *c, const cli_endpoint *forwarder)
{
    Pb__Routing__V1__SubscribeForwarderRequest *r =
        cli_new(c, &pb__routing__v1__subscribe_forwarder_request__descriptor);
    r->forwarder_net_id = forwarder->net_id;
    r->forwarder_tenant_id = forwarder->tenant_id;
    r->forwarder_cluster_id = forwarder->cluster_id;
    r->group = cli_text(c, "group");
    return &r->base;
}

static lpx_err run_sub(cli *c)
{
    cli_endpoint home = cli_endpoint_of(c, "home-network"), forwarder = cli_endpoint_of(c, "forwarder");
    bool as_home = cli_endpoint_is_empty(&forwarder); /* as both, it is a Forwarder, as with the existing client */
    if (as_home && cli_endpoint_is_empty(&home)) {
        return cli_fail(c, CLI_USAGE,
                        "no role: give --home-network-net-id to receive uplinks as a Home Network, or "
                        "--forwarder-net-id to receive downlinks as a Forwarder");
    }
    tally t = {.wanted = cli_number(c, "count")};
    cli_stream stream = {
        .service = AGENT_ROUTER,
        .path = as_home ? "/org.packetbroker.routing.v1.HomeNetworkData/Subscribe"
                        : "/org.packetbroker.routing.v1.ForwarderData/Subscribe",
        .request = as_home ? home_request(c, &home) : forwarder_request(c, &forwarder),
        .answer = as_home ? &pb__v3__routed_uplink_message__descriptor : &pb__v3__routed_downlink_message__descriptor,
        .reconnect = cli_on(c, "reconnect"),
        .each = print_message,
        .ctx = &t,
    };
    return cli_stream_run(c, &stream);
}

static const cli_flag sub_flags[] = {
    {"group", CLI_TEXT, "share the messages with other subscribers of this group"},
    {"count", CLI_NUMBER, "end after so many messages; 0: never", "0"},
    {"reconnect", CLI_SWITCH, "subscribe again after a loss"},
    {0},
};

const cli_command cli_sub_command = {
    .name = "sub",
    .brief = "Subscribe to uplink and downlink messages",
    .about = "Print messages as JSON on standard output, one value after the other: as a Home Network\n"
             "RoutedUplinkMessage, as a Forwarder RoutedDownlinkMessage.\n\n"
             "Subscribers without a group get every message; those of one group share them. Use a group of your own\n"
             "for debugging, or production traffic is split.",
    .examples = "  Subscribe as a Home Network:\n    $ % --home-network-net-id 000009\n\n"
                "  Subscribe as a tenant in a named cluster, sharing messages:\n"
                "    $ % --home-network-net-id 000013 --home-network-tenant-id tti \\\n"
                "        --home-network-cluster-id eu1 --group debug\n\n"
                "  Subscribe to downlink messages as a Forwarder:\n    $ % --forwarder-net-id 000013\n",
    .flags = (const cli_flag *const[]){cli_forwarder_flags, cli_forwarder_cluster_flags, cli_home_flags,
                                       cli_home_cluster_flags, sub_flags, NULL},
    .run = run_sub,
};
