#include "router/router_kit_test.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- the exchange under test ---- */

void turn_all(exchange *x)
{
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < LOOPS; i++) {
            io_loop_turn(x->loops[i], 0);
        }
    }
}

/* Statements of one transaction. */
typedef struct script {
    store_job job;
    const char *const *lines;
    unsigned topics;
} script;

static lpx_err script_work(store_tx *tx, store_job *job)
{
    script *s = LPX_CONTAINER(job, script, job);
    for (const char *const *line = s->lines; *line != NULL; line++) {
        lpx_err err = store_exec(tx, *line, NULL, 0, NULL);
        if (lpx_failed(err)) {
            print_error("%s: %s\n", *line, store_tx_error(tx));
            return err;
        }
    }
    for (unsigned topic = 0; topic < STORE_TOPIC_COUNT; topic++) {
        if ((s->topics >> topic & 1) != 0) {
            store_touch(tx, (store_topic)topic);
        }
    }
    return LPX_SUCCESS;
}

void change(exchange *x, unsigned topics, const char *const *lines)
{
    script s = {.job = {.write = true, .work = script_work}, .lines = lines, .topics = topics};
    assert_false(lpx_failed(store_run(x->db, &s.job)));
}

void open_router(exchange *x, const router_opts *opts)
{
    lpx_note note = {""};
    router_opts with_store = *opts;
    with_store.store = x->db;
    for (unsigned i = 0; i < LOOPS; i++) {
        x->loops[i] = io_loop_new(i);
        assert_non_null(x->loops[i]);
    }
    if (lpx_failed(router_new(&with_store, x->loops, LOOPS, &x->router, &note))) {
        fail_msg("%s", note.text);
    }
}

void open_store(exchange *x)
{
    lpx_note note = {""};
    store_opts opts = {.url = x->file};
    if (lpx_failed(store_open(&opts, &x->db, &note))) {
        fail_msg("%s", note.text);
    }
}

void close_router(exchange *x)
{
    router_stop(x->router);
    store_close(&x->db);
    turn_all(x);
    router_free(&x->router);
    for (unsigned i = 0; i < LOOPS; i++) {
        io_loop_free(&x->loops[i]);
    }
}

const char *const kit_members[] = {
    "INSERT INTO networks (net_id, created_at, updated_at) VALUES (19, 0, 0), (66, 0, 0), (67, 0, 0)",
    "INSERT INTO dev_addr_blocks (net_id, position, prefix_value, prefix_length, home_network_cluster_id, created_at) "
    "VALUES (66, 0, 287440896, 16, 'eu1', 0)", /* 11220000/16 */
    NULL,
};

void open_exchange(exchange *x, const router_opts *opts)
{
    *x = (exchange){.folder = "/tmp/router_test.XXXXXX"};
    assert_non_null(mkdtemp(x->folder));
    (void)snprintf(x->file, sizeof x->file, "%s/db", x->folder);
    open_store(x);
    change(x, 0, kit_members);
    open_router(x, opts);
}

void close_exchange(exchange *x)
{
    close_router(x);
    char path[80];
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s%s", x->file, endings[i]);
        (void)unlink(path);
    }
    (void)rmdir(x->folder);
}

const router_opts open_opts = {.default_open = true};

router_counts counts_of(const exchange *x)
{
    router_counts counts;
    router_count(x->router, &counts);
    return counts;
}

/* ---- calls ---- */

void invoke(exchange *x, const char *method, rpc_call *call, const ProtobufCMessage *request)
{
    size_t count;
    const rpc_method *methods = router_methods(x->router, &count);
    for (size_t i = 0; i < count; i++) {
        if (strstr(methods[i].path, method) != NULL) {
            assert_ptr_equal(methods[i].in, request->descriptor);
            fake_call_run(call, &methods[i], request);
            return;
        }
    }
    fail_msg("no method %s", method);
}

char fwd_tenant[] = "fwd", eu1[] = "eu1";
uint8_t data_uplink[DATA_UPLINK_BYTES] = {0x40, 0x44, 0x33, 0x22, 0x11, 0x01, 0x01, 0x00,
                                          0x42, 0x01, 0x42, 0x01, 0x02, 0x03, 0x04};
uint8_t data_downlink[DATA_DOWNLINK_BYTES] = {0x60, 0x44, 0x33, 0x22, 0x11, 0x00, 0x01,
                                              0x00, 0x01, 0x42, 0x01, 0x02, 0x03, 0x04};
uint8_t token[TOKEN_BYTES] = {0, 1, 2, 255};

/* Publish one uplink from forwarder 000013/fwd/eu1; the id is copied to out. */
void publish_on(exchange *x, unsigned loop, char out[static 96])
{
    Pb__V3__UplinkMessage__PHYPayload payload = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__INIT;
    payload.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    payload.plain = (ProtobufCBinaryData){sizeof data_uplink, data_uplink};
    Pb__V3__UplinkMessage message = PB__V3__UPLINK_MESSAGE__INIT;
    message.phy_payload = &payload;
    message.gateway_region = PB__V3__REGION__EU_863_870;
    message.gateway_uplink_token = (ProtobufCBinaryData){sizeof token, token};
    Pb__Routing__V1__PublishUplinkMessageRequest in = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    in.forwarder_net_id = 19;
    in.forwarder_tenant_id = fwd_tenant;
    in.forwarder_cluster_id = eu1;
    in.message = &message;
    rpc_call *call = fake_call_new(x->loops[loop]);
    invoke(x, "ForwarderData/Publish", call, &in.base);
    assert_true(call->replied);
    ProtobufCMessage *reply;
    assert_false(lpx_failed(pb_decode(&pb__routing__v1__publish_uplink_message_response__descriptor, call->reply,
                                      &call->arena, &reply, NULL)));
    (void)snprintf(out, 96, "%s", ((Pb__Routing__V1__PublishUplinkMessageResponse *)reply)->id);
    assert_true(strlen(out) > 0 && strlen(out) <= 80);
    fake_call_free(&call);
}

void publish(exchange *x)
{
    char id[96];
    publish_on(x, 0, id);
}

/* Subscribe as home network 000042. */
rpc_call *subscribe(exchange *x, unsigned loop, const char *group)
{
    Pb__Routing__V1__SubscribeHomeNetworkRequest in = PB__ROUTING__V1__SUBSCRIBE_HOME_NETWORK_REQUEST__INIT;
    char name[64];
    (void)snprintf(name, sizeof name, "%s", group);
    in.home_network_net_id = 66;
    in.group = name;
    rpc_call *call = fake_call_new(x->loops[loop]);
    invoke(x, "HomeNetworkData/Subscribe", call, &in.base);
    assert_true(call->streaming);
    return call;
}

rpc_call *subscribe_forwarder(exchange *x, unsigned loop)
{
    Pb__Routing__V1__SubscribeForwarderRequest in = PB__ROUTING__V1__SUBSCRIBE_FORWARDER_REQUEST__INIT;
    in.forwarder_net_id = 19;
    rpc_call *call = fake_call_new(x->loops[loop]);
    invoke(x, "ForwarderData/Subscribe", call, &in.base);
    assert_true(call->streaming);
    return call;
}

Pb__V3__RoutedUplinkMessage *uplink_at(rpc_call *call, size_t index)
{
    ProtobufCMessage *message;
    assert_true(index < call->sent_count);
    assert_false(lpx_failed(
        pb_decode(&pb__v3__routed_uplink_message__descriptor, call->sent[index], &call->arena, &message, NULL)));
    return (Pb__V3__RoutedUplinkMessage *)message;
}

void report_on(exchange *x, unsigned loop, const char *id, Pb__V3__MessageDeliveryState step,
               Pb__V3__UplinkMessageProcessingErrorValue *error)
{
    char text[96];
    (void)snprintf(text, sizeof text, "%s", id);
    Pb__V3__UplinkMessageDeliveryStateChange up = PB__V3__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE__INIT;
    up.id = text;
    up.home_network_net_id = 66;
    up.forwarder_net_id = 19;
    up.forwarder_tenant_id = fwd_tenant;
    up.state = step;
    up.error = error;
    Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest in =
        PB__ROUTING__V1__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    in.state_change = &up;
    rpc_call *call = fake_call_new(x->loops[loop]);
    invoke(x, "ReportUplinkMessageDeliveryState", call, &in.base);
    assert_true(call->replied);
    assert_int_equal(call->reply.len, 0);
    fake_call_free(&call);
}

void wait_for_loads(exchange *x, uint64_t n)
{
    while (counts_of(x).tables_loaded < n) {
        io_loop_turn(x->loops[0], 10000);
    }
    turn_all(x);
}
