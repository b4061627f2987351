/* The demo's traffic: the Forwarder publishes, the Home Network receives, reports and answers, the Forwarder receives
 * the answer and reports. Messages are told apart by the gateway uplink token, which comes back with everything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_demo.h"
#include "cli/cli_uplink.h"
#include "codec/pb/pb.h"
#include "lpx_reasons.h"

#define FORWARDER "/org.packetbroker.routing.v1.ForwarderData/"
#define HOME "/org.packetbroker.routing.v1.HomeNetworkData/"

enum { PROBE_PAUSE_US = 250000, PROBE_LIMIT_US = 15000000, RX1_DELAY_S = 5 };

static const struct {
    const char *id;
    double latitude, longitude;
} gateways[] = {
    {"demo-gateway-roof", 52.3731, 4.8922},
    {"demo-gateway-harbour", 52.3812, 4.9001},
    {"demo-gateway-park", 52.3580, 4.8686},
};
static const uint64_t channels_hz[] = {868100000, 868300000, 868500000, 867100000, 867300000};

/* What an asynchronous call was for. */
typedef enum stage { STAGE_PUBLISH, STAGE_UP_REPORT, STAGE_DOWN_PUBLISH, STAGE_DOWN_REPORT, STAGE_PROBE } stage;

typedef struct demo_call {
    demo *d;
    uint32_t seq;
    stage stage;
} demo_call;

uint32_t demo_random(demo *d)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return (uint32_t)(d->random >> 32);
}

demo_row *demo_row_of(demo *d, uint32_t seq)
{
    demo_row *row = &d->rows[seq % DEMO_MAX_ROWS];
    return seq != 0 && row->seq == seq ? row : NULL;
}

/* ---- tokens ---- */

static void make_token(const demo *d, uint32_t seq, bool probe, uint8_t out[static DEMO_TOKEN_BYTES])
{
    memcpy(out, d->run, DEMO_RUN_BYTES);
    memcpy(out + DEMO_RUN_BYTES, &seq, sizeof seq);
    out[DEMO_TOKEN_BYTES - 1] = probe ? 1 : 0;
}

/* Is it a token of this run? */
static bool read_token(const demo *d, ProtobufCBinaryData token, uint32_t *seq, bool *probe)
{
    if (token.len != DEMO_TOKEN_BYTES || memcmp(token.data, d->run, DEMO_RUN_BYTES) != 0) {
        return false;
    }
    memcpy(seq, token.data + DEMO_RUN_BYTES, sizeof *seq);
    *probe = token.data[DEMO_TOKEN_BYTES - 1] != 0;
    return true;
}

/* ---- ends ---- */

static bool wants_answer(const demo_row *row)
{
    return row->kind == DEMO_CONFIRMED_UP || row->kind == DEMO_JOIN;
}

static void check_row(demo *d, demo_row *row)
{
    bool up = row->published && row->up_us >= 0 && row->up_reported;
    bool down = row->down_published && row->down_us >= 0 && row->down_reported;
    if (!row->complete && !row->lost && up && (down || !wants_answer(row))) {
        row->complete = true;
        d->counts.complete++;
    }
    demo_view_row(d, row);
}

static void fail_row(demo *d, demo_row *row, const char *where, const char *why)
{
    if (!row->complete && !row->lost) {
        row->lost = true;
        d->counts.lost++;
        (void)snprintf(row->problem, sizeof row->problem, "%s: %.70s", where, why);
    }
    demo_view_row(d, row);
}

static const char *stage_name(stage s)
{
    switch (s) {
    case STAGE_PUBLISH:
        return "publish";
    case STAGE_UP_REPORT:
        return "report";
    case STAGE_DOWN_PUBLISH:
        return "answer";
    case STAGE_DOWN_REPORT:
        return "report of the answer";
    case STAGE_PROBE:
        break;
    }
    return "probe";
}

static void on_called(void *ctx, const agent_failure *why, lpx_bytes message)
{
    demo_call *call = ctx;
    demo *d = call->d;
    demo_row *row = demo_row_of(d, call->seq);
    (void)message;
    if (call->stage == STAGE_PROBE && why != NULL && why->code != LPX_UNAVAILABLE) {
        d->broken = *why;
    }
    if (row != NULL && why != NULL) {
        fail_row(d, row, stage_name(call->stage), why->text);
    } else if (row != NULL) {
        row->published = row->published || call->stage == STAGE_PUBLISH;
        row->up_reported = row->up_reported || call->stage == STAGE_UP_REPORT;
        row->down_published = row->down_published || call->stage == STAGE_DOWN_PUBLISH;
        row->down_reported = row->down_reported || call->stage == STAGE_DOWN_REPORT;
        d->counts.reports += call->stage == STAGE_UP_REPORT || call->stage == STAGE_DOWN_REPORT ? 1 : 0;
        check_row(d, row);
    }
    free(call);
}

/* @return false when memory is short */
static bool start(demo *d, agent *as, const char *path, const ProtobufCMessage *request, uint32_t seq, stage what)
{
    demo_call *call = malloc(sizeof *call);
    if (call == NULL) {
        return false;
    }
    *call = (demo_call){.d = d, .seq = seq, .stage = what};
    if (!agent_start(as, AGENT_ROUTER, path, request, on_called, call)) {
        free(call);
        return false;
    }
    return true;
}

/* ---- uplinks ---- */

static lpx_err publish(demo *d, demo_row *row, bool probe)
{
    Pb__Routing__V1__PublishUplinkMessageRequest request = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    uint8_t token[DEMO_TOKEN_BYTES];
    lpx_note note = {{0}};
    size_t g = demo_random(d) % (sizeof gateways / sizeof *gateways);
    row->gateway = gateways[g].id;
    row->rssi_dbm = -60.0F - (float)(demo_random(d) % 60);
    row->snr_db = (float)(demo_random(d) % 240) / 10.0F - 14.0F;
    make_token(d, row->seq, probe, token);
    cli_reception reception = {
        .phy = lpx_bytes_of(row->up.bytes, row->up.len),
        .gateway_id = row->gateway,
        .has_location = true,
        .latitude = gateways[g].latitude,
        .longitude = gateways[g].longitude,
        .altitude_m = 12,
        .rssi_dbm = row->rssi_dbm,
        .snr_db = row->snr_db,
        .frequency_hz = channels_hz[demo_random(d) % (sizeof channels_hz / sizeof *channels_hz)],
        .spreading_factor = 7 + demo_random(d) % 6,
        .bandwidth_hz = 125000,
        .gateway_us = row->sent_utc_us,
        .forwarder_us = row->sent_utc_us,
        .token = lpx_bytes_of(token, sizeof token),
    };
    lpx_arena_reset(&d->arena);
    if (lpx_failed(cli_uplink_make(&reception, &d->arena, &request.message, &note))) {
        return cli_fail(d->c, CLI_INPUT, "a message of the demo cannot be made: %s", note.text);
    }
    request.forwarder_net_id = DEMO_FORWARDER;
    row->sent_us = demo_mono_us();
    return start(d, d->forwarder, FORWARDER "Publish", &request.base, row->seq, probe ? STAGE_PROBE : STAGE_PUBLISH)
               ? LPX_SUCCESS
               : cli_fail(d->c, CLI_CALL, "not enough memory");
}

lpx_err demo_send(demo *d)
{
    static const demo_kind order[] = {DEMO_UNCONFIRMED_UP, DEMO_CONFIRMED_UP, DEMO_UNCONFIRMED_UP, DEMO_JOIN,
                                      DEMO_MAC_UP};
    uint32_t seq = ++d->next_seq;
    demo_row *row = &d->rows[seq % DEMO_MAX_ROWS];
    *row = (demo_row){.seq = seq,
                      .kind = order[(seq - 1) % (sizeof order / sizeof *order)],
                      .sent_utc_us = d->c->world->utc_us(),
                      .up_us = -1,
                      .down_us = -1};
    LPX_TRY(demo_frame_up(d, row));
    LPX_TRY(publish(d, row, false));
    d->counts.sent++;
    demo_view_row(d, row);
    return LPX_SUCCESS;
}

void demo_expire(demo *d)
{
    int64_t now = demo_mono_us();
    while (d->oldest <= d->next_seq) {
        demo_row *row = demo_row_of(d, d->oldest);
        if (row != NULL && !row->complete && !row->lost) {
            if (now - row->sent_us < DEMO_LOST_US) {
                return;
            }
            fail_row(d, row, "lost", row->up_us < 0 ? "the uplink did not arrive" : "its answer or report did not");
        }
        d->oldest++;
    }
}

bool demo_waiting(const demo *d)
{
    return d->counts.complete + d->counts.lost < d->counts.sent;
}

/* ---- the Home Network ---- */

static void report_uplink(demo *d, const Pb__V3__RoutedUplinkMessage *routed, uint32_t seq)
{
    Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest request =
        PB__ROUTING__V1__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    Pb__V3__UplinkMessageDeliveryStateChange change = PB__V3__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE__INIT;
    change.id = routed->id;
    change.home_network_net_id = routed->home_network_net_id;
    change.home_network_tenant_id = routed->home_network_tenant_id;
    change.home_network_cluster_id = routed->home_network_cluster_id;
    change.forwarder_net_id = routed->forwarder_net_id;
    change.forwarder_tenant_id = routed->forwarder_tenant_id;
    change.forwarder_cluster_id = routed->forwarder_cluster_id;
    change.forwarder_uplink_token = routed->message->forwarder_uplink_token;
    change.state = PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED;
    request.state_change = &change;
    (void)start(d, d->home, HOME "ReportUplinkMessageDeliveryState", &request.base, seq, STAGE_UP_REPORT);
}

/* Send a frame back over the gateway that received the uplink. */
static void answer(demo *d, const Pb__V3__RoutedUplinkMessage *routed, const demo_frame *frame, uint32_t seq,
                   stage what)
{
    Pb__Routing__V1__PublishDownlinkMessageRequest request = PB__ROUTING__V1__PUBLISH_DOWNLINK_MESSAGE_REQUEST__INIT;
    Pb__V3__DownlinkMessage message = PB__V3__DOWNLINK_MESSAGE__INIT;
    Pb__V3__DownlinkMessage__RXSettings rx1 = PB__V3__DOWNLINK_MESSAGE__RXSETTINGS__INIT;
    Pb__V3__DownlinkMessage__RXSettings rx2 = PB__V3__DOWNLINK_MESSAGE__RXSETTINGS__INIT;
    Pb__V3__DataRate slow = PB__V3__DATA_RATE__INIT;
    Pb__V3__LoRaDataRate slow_lora = PB__V3__LO_RA_DATA_RATE__INIT;
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    char coding_rate[] = "4/5";
    rx1.frequency = routed->message->frequency;
    rx1.data_rate = routed->message->data_rate;
    slow_lora.spreading_factor = 12;
    slow_lora.bandwidth = 125000;
    slow_lora.coding_rate = coding_rate;
    slow.modulation_case = PB__V3__DATA_RATE__MODULATION_LORA;
    slow.lora = &slow_lora;
    rx2.frequency = 869525000;
    rx2.data_rate = &slow;
    delay.seconds = RX1_DELAY_S;
    message.region = PB__V3__REGION__EU_863_870;
    message.phy_payload = (ProtobufCBinaryData){.len = frame->len, .data = (uint8_t *)(uintptr_t)frame->bytes};
    message.rx1 = &rx1;
    message.rx2 = &rx2;
    message.rx1_delay = &delay;
    message.priority = PB__V3__DOWNLINK_MESSAGE_PRIORITY__NORMAL;
    message.forwarder_uplink_token = routed->message->forwarder_uplink_token;
    message.gateway_uplink_token = routed->message->gateway_uplink_token;
    request.home_network_net_id = routed->home_network_net_id;
    request.home_network_tenant_id = routed->home_network_tenant_id;
    request.home_network_cluster_id = routed->home_network_cluster_id;
    request.forwarder_net_id = routed->forwarder_net_id;
    request.forwarder_tenant_id = routed->forwarder_tenant_id;
    request.forwarder_cluster_id = routed->forwarder_cluster_id;
    request.message = &message;
    (void)start(d, d->home, HOME "Publish", &request.base, seq, what);
}

static bool same_frame(lpx_bytes got, const demo_frame *sent)
{
    return lpx_bytes_equal(got, lpx_bytes_of(sent->bytes, sent->len));
}

static lpx_bytes payload_of(const Pb__V3__UplinkMessage *message)
{
    bool plain = message->phy_payload != NULL &&
                 message->phy_payload->value_case == PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    return plain ? pb_bytes(message->phy_payload->plain) : (lpx_bytes){NULL, 0};
}

static void receive_uplink(demo *d, demo_row *row, const Pb__V3__RoutedUplinkMessage *routed)
{
    if (row->up_us >= 0) {
        fail_row(d, row, "uplink", "it arrived twice");
        return;
    }
    row->up_us = demo_mono_us() - row->sent_us;
    d->counts.delivered++;
    cli_latency_add(&d->up_latency, row->up_us);
    if (!same_frame(payload_of(routed->message), &row->up) || routed->home_network_net_id != DEMO_HOME) {
        fail_row(d, row, "uplink", "what arrived is not what was sent");
        return;
    }
    report_uplink(d, routed, row->seq);
    if (wants_answer(row) && !lpx_failed(demo_frame_down(d, row))) {
        row->down_sent_us = demo_mono_us();
        d->counts.answers_sent++;
        answer(d, routed, &row->down, row->seq, STAGE_DOWN_PUBLISH);
    }
    check_row(d, row);
}

static void on_uplink(void *ctx, lpx_bytes bytes)
{
    demo *d = ctx;
    ProtobufCMessage *message = NULL;
    uint32_t seq = 0;
    bool probe = false;
    lpx_arena_reset(&d->arena);
    if (lpx_failed(pb_decode(&pb__v3__routed_uplink_message__descriptor, bytes, &d->arena, &message, NULL))) {
        return;
    }
    const Pb__V3__RoutedUplinkMessage *routed = (const Pb__V3__RoutedUplinkMessage *)message;
    if (routed->message == NULL || !read_token(d, routed->message->gateway_uplink_token, &seq, &probe)) {
        return; /* of another run */
    }
    demo_row *row = demo_row_of(d, seq);
    if (probe) {
        demo_row down = {.kind = DEMO_CONFIRMED_UP, .device = "FDFFB801"};
        d->up_live = true;
        if (!d->down_live && !lpx_failed(demo_frame_down(d, &down))) {
            answer(d, routed, &down.down, 0, STAGE_PROBE);
        }
    } else if (row != NULL) {
        receive_uplink(d, row, routed);
    }
}

/* ---- the Forwarder ---- */

static void report_downlink(demo *d, const Pb__V3__RoutedDownlinkMessage *routed, const demo_row *row)
{
    Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest request =
        PB__ROUTING__V1__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    Pb__V3__DownlinkMessageDeliveryStateChange change = PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__INIT;
    Pb__V3__DownlinkMessageDeliveryStateChange__TransmissionResult result =
        PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__TRANSMISSION_RESULT__INIT;
    Pb__V3__GatewayIdentifier gateway = PB__V3__GATEWAY_IDENTIFIER__INIT;
    char gateway_id[64];
    (void)snprintf(gateway_id, sizeof gateway_id, "%s", row->gateway);
    gateway.id_case = PB__V3__GATEWAY_IDENTIFIER__ID_PLAIN;
    gateway.plain = gateway_id;
    result.rx1 = true;
    change.id = routed->id;
    change.home_network_net_id = routed->home_network_net_id;
    change.home_network_tenant_id = routed->home_network_tenant_id;
    change.home_network_cluster_id = routed->home_network_cluster_id;
    change.forwarder_net_id = routed->forwarder_net_id;
    change.forwarder_tenant_id = routed->forwarder_tenant_id;
    change.forwarder_cluster_id = routed->forwarder_cluster_id;
    change.forwarder_gateway_id = &gateway;
    change.downlink_token = routed->message->downlink_token;
    change.state = PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED;
    change.result_case = PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__RESULT_SUCCESS;
    change.success = &result;
    request.state_change = &change;
    (void)start(d, d->forwarder, FORWARDER "ReportDownlinkMessageDeliveryState", &request.base, row->seq,
                STAGE_DOWN_REPORT);
}

static void on_downlink(void *ctx, lpx_bytes bytes)
{
    demo *d = ctx;
    ProtobufCMessage *message = NULL;
    uint32_t seq = 0;
    bool probe = false;
    lpx_arena_reset(&d->arena);
    if (lpx_failed(pb_decode(&pb__v3__routed_downlink_message__descriptor, bytes, &d->arena, &message, NULL))) {
        return;
    }
    const Pb__V3__RoutedDownlinkMessage *routed = (const Pb__V3__RoutedDownlinkMessage *)message;
    if (routed->message == NULL || !read_token(d, routed->message->gateway_uplink_token, &seq, &probe)) {
        return;
    }
    d->down_live = d->down_live || probe;
    demo_row *row = demo_row_of(d, seq);
    if (probe || row == NULL) {
        return;
    }
    if (row->down_us >= 0 || !same_frame(pb_bytes(routed->message->phy_payload), &row->down)) {
        fail_row(d, row, "answer", row->down_us >= 0 ? "it arrived twice" : "what arrived is not what was sent");
        return;
    }
    row->down_us = demo_mono_us() - row->down_sent_us;
    d->counts.answers_delivered++;
    cli_latency_add(&d->down_latency, row->down_us);
    report_downlink(d, routed, row);
    check_row(d, row);
}

/* ---- subscriptions ---- */

static void on_stream_end(void *ctx, const agent_failure *why)
{
    demo *d = ctx;
    if (why != NULL) {
        d->broken = *why;
    } else {
        d->broken = (agent_failure){.code = LPX_UNAVAILABLE, .text = "the exchange ended a subscription"};
    }
}

static bool subscribe_home(demo *d, char *group)
{
    static const agent_stream_events events = {.on_message = on_uplink, .on_end = on_stream_end};
    Pb__Routing__V1__SubscribeHomeNetworkRequest request = PB__ROUTING__V1__SUBSCRIBE_HOME_NETWORK_REQUEST__INIT;
    Pb__V3__RoutingFilter data = PB__V3__ROUTING_FILTER__INIT, join = PB__V3__ROUTING_FILTER__INIT;
    Pb__V3__RoutingFilter__MACPayload mac = PB__V3__ROUTING_FILTER__MACPAYLOAD__INIT;
    Pb__V3__DevAddrPrefix prefix = PB__V3__DEV_ADDR_PREFIX__INIT, *prefixes[] = {&prefix};
    Pb__V3__RoutingFilter__JoinRequest joins = PB__V3__ROUTING_FILTER__JOIN_REQUEST__INIT;
    Pb__V3__RoutingFilter__JoinRequest__EUIPrefixes eui = PB__V3__ROUTING_FILTER__JOIN_REQUEST__EUIPREFIXES__INIT;
    Pb__V3__RoutingFilter__JoinRequest__EUIPrefixes *euis[] = {&eui};
    Pb__V3__RoutingFilter *filters[] = {&data, &join};
    prefix.value = 0xFDFFB800;
    prefix.length = 22;
    mac.dev_addr_prefixes = prefixes;
    mac.n_dev_addr_prefixes = 1;
    data.message_case = PB__V3__ROUTING_FILTER__MESSAGE_MAC;
    data.mac = &mac;
    eui.join_eui = 0xC0FFEE0000000000;
    eui.join_eui_length = 24;
    eui.dev_eui = 0xC0FFEE0000000000;
    eui.dev_eui_length = 24;
    joins.eui_prefixes = euis;
    joins.n_eui_prefixes = 1;
    join.message_case = PB__V3__ROUTING_FILTER__MESSAGE_JOIN_REQUEST;
    join.join_request = &joins;
    request.home_network_net_id = DEMO_HOME;
    request.group = group;
    request.filters = filters;
    request.n_filters = 2;
    d->up_stream = agent_subscribe(d->home, AGENT_ROUTER, HOME "Subscribe", &request.base, true, &events, d);
    return d->up_stream != NULL;
}

static bool subscribe_forwarder(demo *d, char *group)
{
    static const agent_stream_events events = {.on_message = on_downlink, .on_end = on_stream_end};
    Pb__Routing__V1__SubscribeForwarderRequest request = PB__ROUTING__V1__SUBSCRIBE_FORWARDER_REQUEST__INIT;
    request.forwarder_net_id = DEMO_FORWARDER;
    request.group = group;
    d->down_stream =
        agent_subscribe(d->forwarder, AGENT_ROUTER, FORWARDER "Subscribe", &request.base, true, &events, d);
    return d->down_stream != NULL;
}

/* Nothing tells when a subscription has taken effect: the first message that comes back does. */
static lpx_err probe_until_live(demo *d)
{
    int64_t started = demo_mono_us(), last = 0;
    while (!d->up_live || !d->down_live) {
        int64_t now = demo_mono_us();
        if (d->broken.code != LPX_OK) {
            return cli_call_failed(d->c, &d->broken);
        }
        if (cli_interrupted() || now - started > PROBE_LIMIT_US) {
            return cli_fail(d->c, CLI_INCOMPLETE, "no message came through in %d s: %s did not arrive",
                            PROBE_LIMIT_US / 1000000, d->up_live ? "downlinks" : "uplinks");
        }
        if (now - last > PROBE_PAUSE_US) {
            demo_row row = {.kind = DEMO_UNCONFIRMED_UP, .sent_utc_us = d->c->world->utc_us()};
            LPX_TRY(demo_frame_up(d, &row));
            LPX_TRY(publish(d, &row, true));
            last = now;
        }
        io_loop_turn(agent_loop(d->c->agent), 20000);
    }
    lpx_buf_printf(&d->c->out, "Subscriptions of both deliver after %.1f s\n\n",
                   (double)(demo_mono_us() - started) / 1e6);
    return LPX_SUCCESS;
}

lpx_err demo_subscribe(demo *d)
{
    char hex[2 * DEMO_RUN_BYTES + 1];
    lpx_hex_encode(lpx_bytes_of(d->run, sizeof d->run), hex);
    char *group = cli_printf(d->c, "demo-%s", hex); /* of its own: other runs get their own copies */
    if (!subscribe_home(d, group) || !subscribe_forwarder(d, group)) {
        return cli_fail(d->c, CLI_CALL, "not enough memory");
    }
    return probe_until_live(d);
}
