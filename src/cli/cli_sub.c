/* lpx sub: prints routed messages as JSON. */
#include <string.h>

#include "cli/cli_priv.h"
#include "codec/json/protojson.h"
#include "codec/pb/pb.h"
#include "lpx_reasons.h"

typedef struct subscriber {
    cli *c;
    const ProtobufCMessageDescriptor *desc;
    lpx_arena arena; /* of one message */
    lpx_buf text;
    uint64_t count, wanted; /* 0: no end */
    bool over;
    lpx_err err;
} subscriber;

static void stop(subscriber *s, lpx_err err)
{
    s->over = true;
    s->err = err;
}

static void on_message(void *ctx, lpx_bytes message)
{
    subscriber *s = ctx;
    ProtobufCMessage *decoded = NULL;
    lpx_note note = {{0}};
    const protojson_style style = {.emit_defaults = true, .multiline = true};
    if (s->over) {
        return;
    }
    lpx_arena_reset(&s->arena);
    lpx_buf_clear(&s->text);
    if (lpx_failed(pb_decode(s->desc, message, &s->arena, &decoded, &note)) ||
        lpx_failed(protojson_encode(decoded, style, &s->text))) {
        stop(s, cli_fail(s->c, CLI_INPUT, "cannot print what came: %s", note.text));
        return;
    }
    FILE *out = s->c->world->out;
    if (s->c->world->out_is_terminal) {
        lpx_buf_add_str(&s->text, LPX_STR("\n"));
    }
    if (fwrite(s->text.ptr, 1, s->text.len, out) != s->text.len || fflush(out) != 0) {
        stop(s, cli_fail(s->c, CLI_FILE, "cannot write to standard output"));
        return;
    }
    s->count++;
    if (s->count == s->wanted) {
        stop(s, LPX_SUCCESS);
    }
}

static void on_lost(void *ctx, const agent_failure *why, int64_t pause_us)
{
    subscriber *s = ctx;
    (void)fprintf(s->c->world->err, "%s: %s; connecting again in %.1f s\n", s->c->program,
                  why != NULL ? why->text : "the exchange ended the subscription", (double)pause_us / 1e6);
}

static void on_end(void *ctx, const agent_failure *why)
{
    subscriber *s = ctx;
    bool good = why == NULL || why->code == LPX_CANCELLED;
    stop(s, good ? LPX_SUCCESS : cli_fail(s->c, CLI_CALL, "%s", why->text));
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

static lpx_err receive(subscriber *s, const char *path, const ProtobufCMessage *request)
{
    static const agent_stream_events events = {.on_message = on_message, .on_lost = on_lost, .on_end = on_end};
    agent_stream *stream =
        agent_subscribe(s->c->agent, AGENT_ROUTER, path, request, cli_on(s->c, "reconnect"), &events, s);
    if (stream == NULL) {
        return cli_fail(s->c, CLI_CALL, "not enough memory");
    }
    cli_catch_interrupt();
    while (!s->over && !cli_interrupted()) {
        io_loop_turn(agent_loop(s->c->agent), 100000);
    }
    return s->err;
}

static lpx_err run_sub(cli *c)
{
    cli_endpoint home = cli_endpoint_of(c, "home-network"), forwarder = cli_endpoint_of(c, "forwarder");
    bool as_home = !cli_endpoint_is_empty(&home);
    if (!as_home && cli_endpoint_is_empty(&forwarder)) {
        return cli_fail(c, CLI_USAGE,
                        "no role: give --home-network-net-id to receive uplinks as a Home Network, or "
                        "--forwarder-net-id to receive downlinks as a Forwarder");
    }
    LPX_TRY(cli_connect(c));
    subscriber s = {.c = c, .wanted = cli_number(c, "count")};
    lpx_arena_init(&s.arena, CLI_ARENA_BYTES);
    lpx_buf_init(&s.text, CLI_OUT_BYTES);
    s.desc = as_home ? &pb__v3__routed_uplink_message__descriptor : &pb__v3__routed_downlink_message__descriptor;
    lpx_err err =
        as_home ? receive(&s, "/org.packetbroker.routing.v1.HomeNetworkData/Subscribe", home_request(c, &home))
                : receive(&s, "/org.packetbroker.routing.v1.ForwarderData/Subscribe", forwarder_request(c, &forwarder));
    lpx_buf_fini(&s.text);
    lpx_arena_fini(&s.arena);
    agent_close(&c->agent); /* before s goes: its callbacks point there */
    return err;
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
