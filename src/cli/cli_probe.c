/* lpx test: a marked message on the real way, and where it went. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/cli_trace.h"
#include "cli/cli_uplink.h"
#include "crypto/random.h"
#include "lorawan/phy.h"
#include "lpx_reasons.h"

#define FORWARDER "/org.packetbroker.routing.v1.ForwarderData/Publish"
#define HOME "/org.packetbroker.routing.v1.HomeNetworkData/Publish"
#define TOKEN "lpx-test"

enum { POLL_MS = 50, PAYLOAD_BYTES = 12, RANDOM_BYTES = 24 };

/* A frame with random contents where a device would have encrypted ones. */
typedef struct probe_frame {
    uint8_t random[RANDOM_BYTES], bytes[LW_PHY_MAX_BYTES];
    lpx_bytes phy;
    const char *gateway_id;
} probe_frame;

static lpx_err begin_frame(cli *c, probe_frame *f)
{
    if (lpx_failed(crypto_random((lpx_space){f->random, sizeof f->random}))) {
        return cli_fail(c, CLI_FILE, "the system gives no random bytes");
    }
    const char *given = cli_text(c, "gateway-id");
    f->gateway_id =
        given[0] != 0 ? given : cli_printf(c, "lpx-test-%02x%02x%02x", f->random[0], f->random[1], f->random[2]);
    return LPX_SUCCESS;
}

static lpx_err encode(cli *c, probe_frame *f, lw_phy *phy)
{
    lpx_note note = {{0}};
    phy->mic = lpx_bytes_of(f->random + 4, LW_MIC_BYTES);
    lpx_err err = lw_phy_encode(phy, (lpx_space){f->bytes, sizeof f->bytes}, &note, &f->phy);
    return lpx_failed(err) ? cli_fail(c, CLI_USAGE, "the test frame cannot be made: %s", note.text) : LPX_SUCCESS;
}

static lpx_err data_frame(cli *c, probe_frame *f, lw_mtype mtype)
{
    uint64_t f_port = cli_number(c, "f-port");
    if (f_port > 255) {
        return cli_fail(c, CLI_USAGE, "--f-port: want 0 to 255");
    }
    lw_phy phy = {.mtype = mtype,
                  .data = {.dev_addr = {(uint32_t)cli_hex_of(cli_text(c, "dev-addr"))},
                           .f_cnt = (uint16_t)(f->random[8] << 8 | f->random[9]),
                           .has_f_port = true,
                           .f_port = (uint8_t)f_port,
                           .frm_payload = lpx_bytes_of(f->random + 12, PAYLOAD_BYTES)}};
    return encode(c, f, &phy);
}

static lpx_err join_frame(cli *c, probe_frame *f)
{
    lw_phy phy = {.mtype = LW_JOIN_REQUEST,
                  .join_request = {.join_eui = {cli_hex_of(cli_text(c, "join-eui"))},
                                   .dev_eui = {cli_hex_of(cli_text(c, "dev-eui"))},
                                   .dev_nonce = (uint16_t)(f->random[8] << 8 | f->random[9])}};
    return encode(c, f, &phy);
}

/* ---- where it went ---- */

static bool same_home(const Lpx__Trace__V1__Endpoint *a, const Lpx__Trace__V1__Endpoint *b)
{
    return a != NULL && b != NULL && a->net_id == b->net_id && strcmp(a->tenant_id, b->tenant_id) == 0 &&
           strcmp(a->cluster_id, b->cluster_id) == 0;
}

/* Copies of one routed step that neither were sent nor dropped afterwards. */
static unsigned pending_of(const Lpx__Trace__V1__Trace *t, size_t routed)
{
    unsigned pending = t->steps[routed]->copies > 0 ? t->steps[routed]->copies : 1;
    for (size_t i = routed + 1; i < t->n_steps && pending > 0; i++) {
        const Lpx__Trace__V1__Step *s = t->steps[i];
        bool over = cli_step_is(s, "sent") || cli_step_is(s, "dropped") || cli_step_is(s, "reported");
        if (over && same_home(s->home_network, t->steps[routed]->home_network)) {
            pending--;
        }
    }
    return pending;
}

static bool is_settled(const Lpx__Trace__V1__Trace *t)
{
    unsigned pending = 0;
    for (size_t i = 0; i < t->n_steps; i++) {
        pending += cli_step_is(t->steps[i], "routed") ? pending_of(t, i) : 0;
    }
    return t->n_steps > 0 && pending == 0;
}

static unsigned count_sent(const Lpx__Trace__V1__Trace *t)
{
    unsigned sent = 0;
    for (size_t i = 0; i < t->n_steps; i++) {
        sent += cli_step_is(t->steps[i], "sent") ? 1 : 0;
    }
    return sent;
}

static int64_t mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Ask until nothing more is to come, or the time is over. *out stays NULL when there is no trace at all. */
static lpx_err follow(cli *c, const char *id, Lpx__Trace__V1__Trace **out)
{
    int64_t end_ms = mono_ms() + cli_seconds_of(cli_text(c, "wait")) * 1000;
    do {
        int64_t next_ms = mono_ms() + POLL_MS;
        lpx_err err = cli_trace_get(c, id, out);
        if (lpx_failed(err) && err.code != LPX_NOT_FOUND) {
            return err;
        }
        if (!lpx_failed(err) && is_settled(*out)) {
            return LPX_SUCCESS;
        }
        for (int64_t left = POLL_MS; left > 0; left = next_ms - mono_ms()) {
            io_loop_turn(agent_loop(c->agent), left * 1000);
        }
    } while (mono_ms() < end_ms);
    return LPX_SUCCESS;
}

static lpx_err conclude(cli *c, const char *id)
{
    Lpx__Trace__V1__Trace *trace = NULL;
    LPX_TRY(follow(c, id, &trace));
    if (trace == NULL) {
        return cli_fail(c, CLI_INCOMPLETE,
                        "message %s was accepted, and the exchange has no trace of it: is trace among its roles?", id);
    }
    if (c->form == CLI_FORM_JSON) {
        cli_print_json(c, &trace->base, true);
    } else {
        cli_traces_print(c, &trace, 1);
    }
    unsigned sent = count_sent(trace);
    if (sent == 0) {
        LPX_TRY(cli_flush(c));
        return cli_fail(c, CLI_INCOMPLETE, "not delivered: %s",
                        is_settled(trace) ? "see the reason above" : "still on its way when --wait was over");
    }
    if (c->form == CLI_FORM_TABLE) {
        lpx_buf_printf(&c->out, "delivered: %u %s\n", sent, sent == 1 ? "copy was sent" : "copies were sent");
    }
    return LPX_SUCCESS;
}

/* ---- uplink ---- */

static lpx_err publish_uplink(cli *c, const cli_endpoint *forwarder, const probe_frame *f, const char **id)
{
    Pb__Routing__V1__PublishUplinkMessageRequest request = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    Pb__Routing__V1__PublishUplinkMessageResponse *answer = NULL;
    lpx_note note = {{0}};
    int64_t now_us = c->world->utc_us();
    cli_reception reception = {.phy = f->phy,
                               .gateway_id = f->gateway_id,
                               .rssi_dbm = -80,
                               .snr_db = 7,
                               .frequency_hz = 868100000,
                               .spreading_factor = 7,
                               .bandwidth_hz = 125000,
                               .gateway_us = now_us,
                               .forwarder_us = now_us,
                               .token = lpx_bytes_of(TOKEN, sizeof TOKEN - 1)};
    if (lpx_failed(cli_uplink_make(&reception, &c->arena, &request.message, &note))) {
        return cli_fail(c, CLI_USAGE, "the test message cannot be made: %s", note.text);
    }
    request.forwarder_net_id = forwarder->net_id;
    request.forwarder_tenant_id = forwarder->tenant_id;
    request.forwarder_cluster_id = forwarder->cluster_id;
    LPX_TRY(cli_call(c, AGENT_ROUTER, FORWARDER, &request.base,
                     &pb__routing__v1__publish_uplink_message_response__descriptor, &answer));
    *id = answer->id;
    return LPX_SUCCESS;
}

static lpx_err run_uplink(cli *c)
{
    probe_frame frame = {.gateway_id = ""};
    cli_endpoint forwarder;
    const char *id = "";
    bool data = cli_changed(c, "dev-addr"), join = cli_changed(c, "join-eui") && cli_changed(c, "dev-eui");
    LPX_TRY(cli_need_forwarder(c, &forwarder));
    if (data == join) {
        return cli_fail(c, CLI_USAGE,
                        "say which message: --dev-addr for data, or --join-eui and --dev-eui for a "
                        "join-request");
    }
    LPX_TRY(begin_frame(c, &frame));
    LPX_TRY(data ? data_frame(c, &frame, LW_UNCONFIRMED_UP) : join_frame(c, &frame));
    LPX_TRY(publish_uplink(c, &forwarder, &frame, &id));
    return conclude(c, id);
}

/* ---- downlink ---- */

static ProtobufCBinaryData binary(const void *bytes, size_t len)
{
    return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)bytes};
}

static Pb__V3__DownlinkMessage *downlink_of(cli *c, const probe_frame *f)
{
    Pb__V3__DownlinkMessage *m = cli_new(c, &pb__v3__downlink_message__descriptor);
    m->region = PB__V3__REGION__EU_863_870;
    m->phy_payload = binary(f->phy.ptr, f->phy.len);
    m->priority = PB__V3__DOWNLINK_MESSAGE_PRIORITY__LOWEST;
    m->forwarder_uplink_token = binary(TOKEN, sizeof TOKEN - 1);
    m->gateway_uplink_token = binary(TOKEN, sizeof TOKEN - 1);
    m->rx1 = cli_new(c, &pb__v3__downlink_message__rxsettings__descriptor);
    m->rx1->frequency = 868100000;
    m->rx1->data_rate_index = 5;
    m->rx1_delay = cli_new(c, &google__protobuf__duration__descriptor);
    m->rx1_delay->seconds = 1;
    return m;
}

static lpx_err run_downlink(cli *c)
{
    Pb__Routing__V1__PublishDownlinkMessageRequest request = PB__ROUTING__V1__PUBLISH_DOWNLINK_MESSAGE_REQUEST__INIT;
    Pb__Routing__V1__PublishDownlinkMessageResponse *answer = NULL;
    probe_frame frame = {.gateway_id = ""};
    cli_endpoint home, forwarder;
    LPX_TRY(cli_need_home_network(c, &home));
    LPX_TRY(cli_need_forwarder(c, &forwarder));
    if (!cli_changed(c, "dev-addr")) {
        return cli_fail(c, CLI_USAGE, "say for which device: --dev-addr DEVADDR");
    }
    LPX_TRY(begin_frame(c, &frame));
    LPX_TRY(data_frame(c, &frame, LW_UNCONFIRMED_DOWN));
    request.home_network_net_id = home.net_id;
    request.home_network_tenant_id = home.tenant_id;
    request.home_network_cluster_id = home.cluster_id;
    request.forwarder_net_id = forwarder.net_id;
    request.forwarder_tenant_id = forwarder.tenant_id;
    request.forwarder_cluster_id = forwarder.cluster_id;
    request.message = downlink_of(c, &frame);
    LPX_TRY(cli_call(c, AGENT_ROUTER, HOME, &request.base,
                     &pb__routing__v1__publish_downlink_message_response__descriptor, &answer));
    return conclude(c, answer->id);
}

/* ---- commands ---- */

static const cli_flag frame_flags[] = {
    {"dev-addr", CLI_DEVADDR, "data of this DevAddr"},
    {"f-port", CLI_NUMBER, "FPort of the data; 0: MAC commands", "1"},
    {"wait", CLI_DURATION, "how long to look for it", "5s"},
    {0},
};
static const cli_flag uplink_flags[] = {
    {"join-eui", CLI_EUI, "a join-request for this JoinEUI"},
    {"dev-eui", CLI_EUI, "a join-request of this DevEUI"},
    {"gateway-id", CLI_TEXT, "gateway that is said to have received it (default lpx-test- and random digits)"},
    {0},
};

static const cli_command uplink_command = {
    .name = "uplink",
    .brief = "Send a test uplink as a Forwarder and show where it goes",
    .about = "Send an uplink as a Forwarder on the way of all uplinks, and show by its trace where it went.\n\n"
             "Its contents and its MIC are random, so a network server drops it: no device is disturbed. It counts\n"
             "in reports. It takes an API key of the Forwarder with WRITE_TRAFFIC and READ_TRAFFIC.\n"
             "Exit status 0: a copy was sent to a home network; 6: none was.",
    .examples = "  Where does data of a device go?\n    $ % --forwarder-net-id 000013 --dev-addr FC00BC01\n\n"
                "  Where does a join-request go?\n"
                "    $ % --forwarder-net-id 000013 --forwarder-tenant-id ttn \\\n"
                "        --join-eui 70B3D57ED0001234 --dev-eui 0004A30B001C0530\n",
    .flags =
        (const cli_flag *const[]){cli_forwarder_flags, cli_forwarder_cluster_flags, frame_flags, uplink_flags, NULL},
    .run = run_uplink,
};
static const cli_command downlink_command = {
    .name = "downlink",
    .brief = "Send a test downlink as a Home Network and show where it goes",
    .about =
        "Send a downlink as a Home Network on the way of all downlinks, and show by its trace where it went.\n\n"
        "Its contents and its MIC are random, and its tokens belong to no gateway, so that a Forwarder reports an\n"
        "error instead of sending it. It takes an API key of the Home Network with WRITE_TRAFFIC and\n"
        "READ_TRAFFIC. Exit status 0: it was sent to the Forwarder; 6: it was not.",
    .examples = "  Does a Forwarder get my downlinks?\n"
                "    $ % --home-network-net-id C0002F --forwarder-net-id 000013 --dev-addr FC00BC01\n",
    .flags = (const cli_flag *const[]){cli_home_flags, cli_home_cluster_flags, cli_forwarder_flags,
                                       cli_forwarder_cluster_flags, frame_flags, NULL},
    .run = run_downlink,
};

const cli_command cli_test_command = {
    .name = "test",
    .brief = "Send a test message and show where it goes",
    .below = (const cli_command *const[]){&uplink_command, &downlink_command, NULL},
};
