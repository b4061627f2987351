/* lpx pub: publishes a stream of JSON messages from standard input. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_priv.h"
#include "codec/json/protojson.h"
#include "lpx_reasons.h"

#define FORWARDER "/org.packetbroker.routing.v1.ForwarderData/"
#define HOME "/org.packetbroker.routing.v1.HomeNetworkData/"

enum { READ_BYTES = 64 << 10 };

/* Who publishes what. */
typedef struct publisher {
    cli *c;
    cli_endpoint forwarder, home;
    bool as_home, states; /* delivery states instead of messages */
    lpx_arena arena;      /* of one message */
    lpx_buf input;
    bool input_over;
    size_t count;
} publisher;

static const ProtobufCMessageDescriptor *message_type(const publisher *p)
{
    if (p->as_home) {
        return p->states ? &pb__v3__uplink_message_delivery_state_change__descriptor
                         : &pb__v3__downlink_message__descriptor;
    }
    return p->states ? &pb__v3__downlink_message_delivery_state_change__descriptor
                     : &pb__v3__uplink_message__descriptor;
}

/* One call; *id stays "" for reports. */
static lpx_err call(publisher *p, agent_service service, const char *path, const ProtobufCMessage *in,
                    const ProtobufCMessageDescriptor *desc, ProtobufCMessage **out)
{
    agent_failure why;
    lpx_err err = agent_call(p->c->agent, service, path, in, desc, &p->arena, out, &why);
    if (lpx_failed(err)) {
        cli_explain(p->c, "message %zu: %s", p->count + 1, why.text);
    }
    return err;
}

static lpx_err publish_uplink(publisher *p, ProtobufCMessage *message)
{
    Pb__Routing__V1__PublishUplinkMessageRequest request = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    ProtobufCMessage *answer = NULL;
    request.forwarder_net_id = p->forwarder.net_id;
    request.forwarder_tenant_id = p->forwarder.tenant_id;
    request.forwarder_cluster_id = p->forwarder.cluster_id;
    request.message = (Pb__V3__UplinkMessage *)message;
    LPX_TRY(call(p, AGENT_ROUTER, FORWARDER "Publish", &request.base,
                 &pb__routing__v1__publish_uplink_message_response__descriptor, &answer));
    (void)fprintf(p->c->world->err, "Published uplink message %s\n",
                  ((Pb__Routing__V1__PublishUplinkMessageResponse *)answer)->id);
    return LPX_SUCCESS;
}

static lpx_err publish_downlink(publisher *p, ProtobufCMessage *message)
{
    Pb__Routing__V1__PublishDownlinkMessageRequest request = PB__ROUTING__V1__PUBLISH_DOWNLINK_MESSAGE_REQUEST__INIT;
    ProtobufCMessage *answer = NULL;
    request.home_network_net_id = p->home.net_id;
    request.home_network_tenant_id = p->home.tenant_id;
    request.home_network_cluster_id = p->home.cluster_id;
    request.forwarder_net_id = p->forwarder.net_id;
    request.forwarder_tenant_id = p->forwarder.tenant_id;
    request.forwarder_cluster_id = p->forwarder.cluster_id;
    request.message = (Pb__V3__DownlinkMessage *)message;
    LPX_TRY(call(p, AGENT_ROUTER, HOME "Publish", &request.base,
                 &pb__routing__v1__publish_downlink_message_response__descriptor, &answer));
    (void)fprintf(p->c->world->err, "Published downlink message %s\n",
                  ((Pb__Routing__V1__PublishDownlinkMessageResponse *)answer)->id);
    return LPX_SUCCESS;
}

static lpx_err report_uplink(publisher *p, ProtobufCMessage *message)
{
    Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest request =
        PB__ROUTING__V1__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    ProtobufCMessage *answer = NULL;
    Pb__V3__UplinkMessageDeliveryStateChange *change = (Pb__V3__UplinkMessageDeliveryStateChange *)message;
    change->home_network_net_id = p->home.net_id;
    change->home_network_tenant_id = p->home.tenant_id;
    change->home_network_cluster_id = p->home.cluster_id;
    if (!cli_endpoint_is_empty(&p->forwarder)) {
        change->forwarder_net_id = p->forwarder.net_id;
        change->forwarder_tenant_id = p->forwarder.tenant_id;
        change->forwarder_cluster_id = p->forwarder.cluster_id;
    }
    request.state_change = change;
    LPX_TRY(call(p, AGENT_ROUTER, HOME "ReportUplinkMessageDeliveryState", &request.base,
                 &google__protobuf__empty__descriptor, &answer));
    (void)fprintf(p->c->world->err, "Published uplink message delivery state %s\n", change->id);
    return LPX_SUCCESS;
}

static lpx_err report_downlink(publisher *p, ProtobufCMessage *message)
{
    Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest request =
        PB__ROUTING__V1__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    ProtobufCMessage *answer = NULL;
    Pb__V3__DownlinkMessageDeliveryStateChange *change = (Pb__V3__DownlinkMessageDeliveryStateChange *)message;
    change->forwarder_net_id = p->forwarder.net_id;
    change->forwarder_tenant_id = p->forwarder.tenant_id;
    change->forwarder_cluster_id = p->forwarder.cluster_id;
    request.state_change = change;
    LPX_TRY(call(p, AGENT_ROUTER, FORWARDER "ReportDownlinkMessageDeliveryState", &request.base,
                 &google__protobuf__empty__descriptor, &answer));
    (void)fprintf(p->c->world->err, "Published downlink message delivery state %s\n", change->id);
    return LPX_SUCCESS;
}

static lpx_err publish_one(publisher *p, lpx_str text)
{
    lpx_note note = {{0}};
    ProtobufCMessage *message = NULL;
    lpx_arena_reset(&p->arena);
    if (lpx_failed(protojson_decode(message_type(p), text, &p->arena, &message, &note))) {
        return cli_fail(p->c, CLI_INPUT, "message %zu on standard input: %s", p->count + 1, note.text);
    }
    if (p->as_home) {
        LPX_TRY(p->states ? report_uplink(p, message) : publish_downlink(p, message));
    } else {
        LPX_TRY(p->states ? report_downlink(p, message) : publish_uplink(p, message));
    }
    p->count++;
    return LPX_SUCCESS;
}

/* More input; turns the loop while none is there, so that the connection stays alive. */
static lpx_err read_more(publisher *p)
{
    struct pollfd fd = {.fd = fileno(p->c->world->in), .events = POLLIN};
    while (poll(&fd, 1, 0) == 0 && !cli_interrupted()) {
        io_loop_turn(agent_loop(p->c->agent), 50000);
    }
    uint8_t *room = lpx_buf_reserve(&p->input, READ_BYTES);
    if (room == NULL) {
        return cli_fail(p->c, CLI_INPUT, "message %zu on standard input is longer than %d bytes", p->count + 1,
                        CLI_STDIN_VALUE_BYTES);
    }
    ssize_t got = cli_interrupted() ? 0 : read(fd.fd, room, READ_BYTES);
    if (got < 0 && errno != EINTR) {
        return cli_fail(p->c, CLI_INPUT, "cannot read standard input: %s", strerror(errno));
    }
    p->input_over = got == 0;
    lpx_buf_grown(&p->input, got > 0 ? (size_t)got : 0);
    return LPX_SUCCESS;
}

static bool only_space(lpx_bytes rest)
{
    for (size_t i = 0; i < rest.len; i++) {
        if (strchr(" \t\r\n", rest.ptr[i]) == NULL || rest.ptr[i] == 0) {
            return false;
        }
    }
    return true;
}

static lpx_err publish_all(publisher *p)
{
    for (;;) {
        size_t len = 0;
        bool bad = false;
        lpx_bytes pending = lpx_buf_view(&p->input);
        if (protojson_next_value(lpx_bytes_str(pending), &len, &bad)) {
            LPX_TRY(publish_one(p, (lpx_str){(const char *)pending.ptr, len}));
            lpx_buf_drop(&p->input, len);
        } else if (bad || (p->input_over && !only_space(pending))) {
            /* the whole rest, for the decoder to say what is wrong with it */
            return publish_one(p, lpx_bytes_str(pending));
        } else if (p->input_over) {
            return LPX_SUCCESS;
        } else {
            LPX_TRY(read_more(p));
        }
    }
}

static lpx_err run_pub(cli *c)
{
    publisher p = {
        .c = c,
        .forwarder = cli_endpoint_of(c, "forwarder"),
        .home = cli_endpoint_of(c, "home-network"),
        .states = strcmp(cli_text(c, "message-type"), "message-delivery-state") == 0,
    };
    p.as_home = !cli_endpoint_is_empty(&p.home);
    if (!p.as_home && cli_endpoint_is_empty(&p.forwarder)) {
        return cli_fail(c, CLI_USAGE,
                        "no role: give --forwarder-net-id to publish uplinks as a Forwarder, or "
                        "--home-network-net-id to publish downlinks as a Home Network");
    }
    if (p.as_home && !p.states && cli_endpoint_is_empty(&p.forwarder)) {
        return cli_fail(c, CLI_USAGE, "a downlink goes to a Forwarder: give --forwarder-net-id too");
    }
    LPX_TRY(cli_connect(c));
    lpx_arena_init(&p.arena, CLI_ARENA_BYTES);
    lpx_buf_init(&p.input, CLI_STDIN_VALUE_BYTES + READ_BYTES);
    lpx_err err = publish_all(&p);
    lpx_buf_fini(&p.input);
    lpx_arena_fini(&p.arena);
    return err;
}

static const cli_flag message_type_flags[] = {
    {"message-type", CLI_WORD, "what the input is", "message", .words = "message|message-delivery-state"},
    {0},
};

const cli_command cli_pub_command = {
    .name = "pub",
    .brief = "Publish uplink and downlink messages from standard input",
    .about = "Publish messages from standard input: JSON values one after the other, as sub prints them.\n"
             "As a Forwarder these are UplinkMessage or DownlinkMessageDeliveryStateChange, as a Home Network\n"
             "DownlinkMessage or UplinkMessageDeliveryStateChange. It ends with the input or with the first error.",
    .examples =
        "  Publish an uplink message as a Forwarder network:\n    $ % --forwarder-net-id 000013 < uplink.json\n\n"
        "  Publish as a tenant in a named cluster:\n"
        "    $ % --forwarder-net-id 000013 --forwarder-tenant-id tti \\\n"
        "        --forwarder-cluster-id eu1 < uplink.json\n\n"
        "  Publish a downlink message as a Home Network:\n"
        "    $ % --home-network-net-id 000009 --forwarder-net-id 000013 < downlink.json\n\n"
        "  Report the delivery of an uplink message:\n"
        "    $ % --home-network-net-id 000009 --message-type message-delivery-state < state.json\n",
    .flags = (const cli_flag *const[]){cli_forwarder_flags, cli_forwarder_cluster_flags, cli_home_flags,
                                       cli_home_cluster_flags, message_type_flags, NULL},
    .run = run_pub,
};
