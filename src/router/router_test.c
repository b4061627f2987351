/* The whole router on several loops and a store, with calls from memory (router_fake_test.h): messages from publisher
 * to subscriber on the same loop and on others, groups, slow subscribers, reports, and changes in the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/text.h"
#include "lpx_reasons.h"
#include "pb_routing_v1_api.pb-c.h"
#include "router/router.h"
#include "router/router_fake_test.h"

enum { LOOPS = 3 };

/* ---- the exchange under test ---- */

typedef struct exchange {
    char folder[32];
    char file[64];
    store *db;
    io_loop *loops[LOOPS];
    router *router;
} exchange;

static void turn_all(exchange *x)
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

static void change(exchange *x, unsigned topics, const char *const *lines)
{
    script s = {.job = {.write = true, .work = script_work}, .lines = lines, .topics = topics};
    assert_false(lpx_failed(store_run(x->db, &s.job)));
}

static void open_router(exchange *x, const router_opts *opts)
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

static void open_store(exchange *x)
{
    lpx_note note = {""};
    store_opts opts = {.url = x->file};
    if (lpx_failed(store_open(&opts, &x->db, &note))) {
        fail_msg("%s", note.text);
    }
}

static void close_router(exchange *x)
{
    router_stop(x->router);
    store_close(&x->db);
    turn_all(x);
    router_free(&x->router);
    for (unsigned i = 0; i < LOOPS; i++) {
        io_loop_free(&x->loops[i]);
    }
}

static const char *const members[] = {
    "INSERT INTO networks (net_id, created_at, updated_at) VALUES (19, 0, 0), (66, 0, 0), (67, 0, 0)",
    "INSERT INTO dev_addr_blocks (net_id, position, prefix_value, prefix_length, home_network_cluster_id, created_at) "
    "VALUES (66, 0, 287440896, 16, 'eu1', 0)", /* 11220000/16 */
    NULL,
};

static void open_exchange(exchange *x, const router_opts *opts)
{
    *x = (exchange){.folder = "/tmp/router_test.XXXXXX"};
    assert_non_null(mkdtemp(x->folder));
    (void)snprintf(x->file, sizeof x->file, "%s/db", x->folder);
    open_store(x);
    change(x, 0, members);
    open_router(x, opts);
}

static void close_exchange(exchange *x)
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

static const router_opts open_opts = {.default_open = true};

static router_counts counts_of(const exchange *x)
{
    router_counts counts;
    router_count(x->router, &counts);
    return counts;
}

/* ---- calls ---- */

static void invoke(exchange *x, const char *method, rpc_call *call, const ProtobufCMessage *request)
{
    size_t count;
    const rpc_method *methods = router_methods(x->router, &count);
    for (size_t i = 0; i < count; i++) {
        if (strstr(methods[i].path, method) != NULL) {
            assert_ptr_equal(methods[i].in, request->descriptor);
            methods[i].loop(call, request, methods[i].service);
            return;
        }
    }
    fail_msg("no method %s", method);
}

static char fwd_tenant[] = "fwd", eu1[] = "eu1";
static uint8_t data_uplink[] = {0x40, 0x44, 0x33, 0x22, 0x11, 0x01, 0x01, 0x00,
                                0x42, 0x01, 0x42, 0x01, 0x02, 0x03, 0x04};
static uint8_t data_downlink[] = {0x60, 0x44, 0x33, 0x22, 0x11, 0x00, 0x01, 0x00, 0x01, 0x42, 0x01, 0x02, 0x03, 0x04};
static uint8_t token[] = {0, 1, 2, 255};

/* Publish one uplink from forwarder 000013/fwd/eu1; the id is copied to out. */
static void publish_on(exchange *x, unsigned loop, char out[static 96])
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

static void publish(exchange *x)
{
    char id[96];
    publish_on(x, 0, id);
}

/* Subscribe as home network 000042. */
static rpc_call *subscribe(exchange *x, unsigned loop, const char *group)
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

static rpc_call *subscribe_forwarder(exchange *x, unsigned loop)
{
    Pb__Routing__V1__SubscribeForwarderRequest in = PB__ROUTING__V1__SUBSCRIBE_FORWARDER_REQUEST__INIT;
    in.forwarder_net_id = 19;
    rpc_call *call = fake_call_new(x->loops[loop]);
    invoke(x, "ForwarderData/Subscribe", call, &in.base);
    assert_true(call->streaming);
    return call;
}

static Pb__V3__RoutedUplinkMessage *uplink_at(rpc_call *call, size_t index)
{
    ProtobufCMessage *message;
    assert_true(index < call->sent_count);
    assert_false(lpx_failed(
        pb_decode(&pb__v3__routed_uplink_message__descriptor, call->sent[index], &call->arena, &message, NULL)));
    return (Pb__V3__RoutedUplinkMessage *)message;
}

/* ---- messages ---- */

static void an_uplink_arrives_as_it_should(void **state)
{
    (void)state;
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *sub = subscribe(&x, 0, "");
    char id[96];
    publish_on(&x, 0, id);
    assert_int_equal(sub->sent_count, 1);
    Pb__V3__RoutedUplinkMessage *up = uplink_at(sub, 0);
    assert_string_equal(up->id, id);
    assert_int_equal(up->forwarder_net_id, 19);
    assert_string_equal(up->forwarder_tenant_id, "fwd");
    assert_string_equal(up->forwarder_cluster_id, "eu1");
    assert_int_equal(up->home_network_net_id, 66);
    assert_string_equal(up->home_network_tenant_id, "");
    assert_string_equal(up->home_network_cluster_id, "eu1");
    assert_int_equal(up->n_hops, 1);
    assert_string_equal(up->hops[0]->sender_name, "000013/fwd@eu1");
    assert_string_equal(up->hops[0]->sender_address, "");
    assert_string_equal(up->hops[0]->receiver_name, "lpx");
    assert_int_equal(up->hops[0]->protocol, PB__V3__PROTOCOL__GRPC);
    assert_int_equal(up->hops[0]->received_at->seconds, up->time->seconds);
    assert_non_null(up->time);
    assert_true(up->time->seconds > 1600000000 && up->time->nanos >= 0 && up->time->nanos < 1000000000);
    assert_int_equal(up->message->phy_payload->plain.len, sizeof data_uplink);
    assert_memory_equal(up->message->phy_payload->plain.data, data_uplink, sizeof data_uplink);
    assert_memory_equal(up->message->gateway_uplink_token.data, token, sizeof token);
    assert_int_equal(up->message->data_rate->lora->spreading_factor, 12); /* filled in: EU868, index 0 */
    router_counts c = counts_of(&x);
    assert_int_equal(c.published[TRAFFIC_UP][TRAFFIC_DATA], 1);
    assert_int_equal(c.routed[TRAFFIC_UP][TRAFFIC_DATA], 1);
    assert_int_equal(c.sent[TRAFFIC_UP], 1);
    fake_call_free(&sub);
    close_exchange(&x);
}

static void every_loop_reaches_every_loop(void **state)
{
    (void)state;
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *subs[2 * LOOPS];
    for (unsigned i = 0; i < 2 * LOOPS; i++) {
        subs[i] = subscribe(&x, i % LOOPS, "");
    }
    char ids[LOOPS][96];
    for (unsigned i = 0; i < LOOPS; i++) { /* no loop has turned since: each looks at its letters first */
        publish_on(&x, i, ids[i]);
    }
    turn_all(&x);
    for (unsigned i = 0; i < 2 * LOOPS; i++) {
        assert_int_equal(subs[i]->sent_count, LOOPS);
        for (unsigned j = 0; j < LOOPS; j++) {
            unsigned times = 0;
            for (unsigned k = 0; k < LOOPS; k++) {
                times += strcmp(uplink_at(subs[i], k)->id, ids[j]) == 0;
            }
            assert_int_equal(times, 1);
        }
        fake_call_free(&subs[i]);
    }
    turn_all(&x);
    publish(&x);
    router_counts c = counts_of(&x);
    assert_int_equal(c.dropped[TRAFFIC_UP][TRAFFIC_DROP_NO_ENDPOINT], 1);
    assert_int_equal(c.opened[TRAFFIC_UP], 2 * LOOPS);
    assert_int_equal(c.closed[TRAFFIC_UP], 2 * LOOPS);
    assert_int_equal(c.sent[TRAFFIC_UP], 2 * LOOPS * LOOPS);
    close_exchange(&x);
}

static void a_group_shares_across_loops(void **state)
{
    (void)state;
    enum { MESSAGES = 120 };
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *subs[4], *other = subscribe(&x, 1, "debug");
    for (unsigned i = 0; i < 4; i++) {
        subs[i] = subscribe(&x, i % LOOPS, "default");
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        publish(&x);
    }
    turn_all(&x);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(subs[i]->sent_count, MESSAGES / 4);
        fake_call_free(&subs[i]);
    }
    assert_int_equal(other->sent_count, MESSAGES);
    fake_call_free(&other);
    close_exchange(&x);
}

static void a_downlink_finds_its_forwarder(void **state)
{
    (void)state;
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *sub = subscribe_forwarder(&x, 2), *call = fake_call_new(x.loops[0]);
    Pb__V3__DownlinkMessage message = PB__V3__DOWNLINK_MESSAGE__INIT;
    message.phy_payload = (ProtobufCBinaryData){sizeof data_downlink, data_downlink};
    Pb__V3__DownlinkMessage__RXSettings rx2 = PB__V3__DOWNLINK_MESSAGE__RXSETTINGS__INIT;
    message.region = PB__V3__REGION__EU_863_870;
    message.rx2 = &rx2;
    Pb__Routing__V1__PublishDownlinkMessageRequest in = PB__ROUTING__V1__PUBLISH_DOWNLINK_MESSAGE_REQUEST__INIT;
    in.home_network_net_id = 66;
    in.home_network_cluster_id = eu1;
    in.forwarder_net_id = 19;
    in.forwarder_tenant_id = fwd_tenant;
    in.forwarder_cluster_id = eu1;
    in.message = &message;
    invoke(&x, "HomeNetworkData/Publish", call, &in.base);
    assert_true(call->replied);
    turn_all(&x);
    assert_int_equal(sub->sent_count, 1);
    ProtobufCMessage *sent;
    assert_false(
        lpx_failed(pb_decode(&pb__v3__routed_downlink_message__descriptor, sub->sent[0], &sub->arena, &sent, NULL)));
    Pb__V3__RoutedDownlinkMessage *down = (Pb__V3__RoutedDownlinkMessage *)sent;
    assert_int_equal(down->home_network_net_id, 66);
    assert_string_equal(down->home_network_cluster_id, "eu1");
    assert_string_equal(down->forwarder_tenant_id, "fwd");
    assert_string_equal(down->forwarder_cluster_id, "eu1");
    assert_int_equal(down->message->rx2->data_rate->lora->spreading_factor, 12);
    assert_memory_equal(down->message->phy_payload.data, data_downlink, sizeof data_downlink);
    fake_call_free(&call);
    fake_call_free(&sub);
    close_exchange(&x);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    exchange x;
    open_exchange(&x, &open_opts);
    Pb__Routing__V1__PublishUplinkMessageRequest in = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    rpc_call *call = fake_call_new(x.loops[0]);
    invoke(&x, "ForwarderData/Publish", call, &in.base);
    assert_true(call->failed && call->err.code == LPX_INVALID_ARGUMENT);
    assert_string_equal(call->note.text, "message is missing.");
    fake_call_free(&call);
    Pb__Routing__V1__SubscribeForwarderRequest sub = PB__ROUTING__V1__SUBSCRIBE_FORWARDER_REQUEST__INIT;
    sub.forwarder_net_id = 0x1000000;
    call = fake_call_new(x.loops[0]);
    invoke(&x, "ForwarderData/Subscribe", call, &sub.base);
    assert_true(call->failed && !call->streaming);
    assert_non_null(strstr(call->note.text, "forwarder_net_id"));
    fake_call_free(&call);
    router_counts c = counts_of(&x);
    assert_int_equal(c.published[TRAFFIC_UP][TRAFFIC_DATA] + c.published[TRAFFIC_UP][TRAFFIC_JOIN], 0);
    assert_int_equal(c.opened[TRAFFIC_DOWN], 0);
    close_exchange(&x);
}

/* ---- slow subscribers ---- */

static void a_slow_subscriber_loses_its_oldest(void **state)
{
    (void)state;
    exchange x;
    router_opts opts = {.default_open = true, .queue_messages = 5};
    open_exchange(&x, &opts);
    for (unsigned loop = 0; loop < 2; loop++) { /* on the publisher's loop and on another */
        rpc_call *slow = subscribe(&x, loop, ""), *quick = subscribe(&x, loop, "");
        slow->window = 1;
        char ids[20][96];
        for (unsigned i = 0; i < 20; i++) {
            publish_on(&x, 0, ids[i]);
            turn_all(&x);
        }
        assert_int_equal(slow->sent_count, 1);
        assert_int_equal(quick->sent_count, 20);
        assert_int_equal(counts_of(&x).dropped[TRAFFIC_UP][TRAFFIC_DROP_QUEUE_FULL], 14 * (loop + 1));
        fake_call_open_window(slow, 2);
        assert_int_equal(slow->sent_count, 3);
        fake_call_open_window(slow, SIZE_MAX);
        assert_int_equal(slow->sent_count, 6);
        for (unsigned i = 0; i < 5; i++) {
            assert_string_equal(uplink_at(slow, 1 + i)->id, ids[15 + i]);
        }
        fake_call_free(&slow);
        fake_call_free(&quick);
        turn_all(&x);
    }
    close_exchange(&x);
}

static void a_full_queue_passes_its_turn_across_loops(void **state)
{
    (void)state;
    exchange x;
    router_opts opts = {.default_open = true, .queue_messages = 2};
    open_exchange(&x, &opts);
    rpc_call *stuck = subscribe(&x, 1, "g"), *quick = subscribe(&x, 2, "g");
    stuck->window = 1;
    for (unsigned i = 0; i < 30; i++) {
        publish(&x);
        turn_all(&x);
    }
    assert_int_equal(stuck->sent_count, 1);
    assert_int_equal(quick->sent_count, 27); /* one was sent, two wait */
    assert_int_equal(counts_of(&x).dropped[TRAFFIC_UP][TRAFFIC_DROP_QUEUE_FULL], 0);
    fake_call_open_window(stuck, SIZE_MAX);
    assert_int_equal(stuck->sent_count, 3);
    publish(&x);
    publish(&x);
    turn_all(&x);
    assert_int_equal(stuck->sent_count, 4);
    fake_call_free(&stuck);
    fake_call_free(&quick);
    close_exchange(&x);
}

static void what_waits_too_long_is_dropped(void **state)
{
    (void)state;
    exchange x;
    router_opts opts = {.default_open = true, .queue_age_us = 1};
    open_exchange(&x, &opts);
    rpc_call *sub = subscribe(&x, 0, "");
    sub->window = 1;
    for (unsigned i = 0; i < 4; i++) {
        publish(&x);
    }
    int64_t start = io_loop_now(x.loops[0]).mono.us;
    while (io_loop_now(x.loops[0]).mono.us < start + 2) {
        io_loop_turn(x.loops[0], 0);
    }
    fake_call_open_window(sub, SIZE_MAX);
    assert_int_equal(sub->sent_count, 1);
    assert_int_equal(counts_of(&x).dropped[TRAFFIC_UP][TRAFFIC_DROP_QUEUE_AGE], 3);
    fake_call_free(&sub);
    close_exchange(&x);
}

static void who_leaves_takes_nothing_along(void **state)
{
    (void)state;
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *near = subscribe(&x, 0, ""), *far = subscribe(&x, 1, "");
    near->window = 1;
    publish(&x);
    publish(&x); /* one waits near, both are on their way to the far one */
    fake_call_free(&near);
    fake_call_free(&far); /* before its loop has read its letters */
    turn_all(&x);
    router_counts c = counts_of(&x);
    assert_int_equal(c.dropped[TRAFFIC_UP][TRAFFIC_DROP_GONE], 3);
    assert_int_equal(c.sent[TRAFFIC_UP], 1);
    close_exchange(&x);
}

/* ---- reports ---- */

static void report_on(exchange *x, unsigned loop, const char *id, Pb__V3__MessageDeliveryState step,
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

#define PROCESSED PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED

static void a_report_counts_once_wherever_it_comes(void **state)
{
    (void)state;
    exchange x;
    open_exchange(&x, &open_opts);
    Pb__V3__UplinkMessageProcessingErrorValue error = PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR_VALUE__INIT;
    enum { MESSAGES = 20 };
    char ids[MESSAGES][96];
    for (unsigned i = 0; i < MESSAGES; i++) {
        publish_on(&x, i % LOOPS, ids[i]);
        report_on(&x, (i + 1) % LOOPS, ids[i], PB__V3__MESSAGE_DELIVERY_STATE__DELIVERED, NULL);
        report_on(&x, (i + 1) % LOOPS, ids[i], PROCESSED, i % 4 == 0 ? &error : NULL);
        turn_all(&x);
        report_on(&x, (i + 2) % LOOPS, ids[i], PROCESSED, NULL);
    }
    report_on(&x, 0, "nobody's", PROCESSED, NULL);
    ids[0][3] = ids[0][3] == '0' ? '1' : '0';
    report_on(&x, 0, ids[0], PROCESSED, NULL);
    turn_all(&x);
    router_counts c = counts_of(&x);
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_SUCCESS], MESSAGES - 5);
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_ERROR], 5);
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_PROGRESS], MESSAGES);
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_REPEATED], MESSAGES);
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_UNKNOWN], 2);
    assert_int_equal(c.reports[TRAFFIC_DOWN][ROUTER_REPORT_UNKNOWN], 0);
    close_exchange(&x);
}

static void ids_survive_a_restart(void **state)
{
    (void)state;
    exchange x;
    char id[96];
    open_exchange(&x, &open_opts);
    publish_on(&x, 0, id);
    close_router(&x);
    open_store(&x);
    open_router(&x, &open_opts);
    report_on(&x, 0, id, PROCESSED, NULL);
    turn_all(&x);
    router_counts c = counts_of(&x);
    /* known; and too old, unless the restart took less than a millisecond: nobody remembers earlier reports on it */
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_LATE] + c.reports[TRAFFIC_UP][ROUTER_REPORT_SUCCESS], 1);
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_UNKNOWN], 0);
    close_exchange(&x);
}

/* ---- the store ---- */

/* Turn until the tables were loaded n times; a change feed that tells nothing ends the test by its timeout. */
static void wait_for_loads(exchange *x, uint64_t n)
{
    while (counts_of(x).tables_loaded < n) {
        io_loop_turn(x->loops[0], 10000);
    }
    turn_all(x);
}

static void a_policy_acts_without_a_restart(void **state)
{
    (void)state;
    static const char *const refuse[] = {
        "INSERT INTO routing_policies (forwarder_net_id, forwarder_tenant_id, is_default, has_uplink, up_mac_data, "
        "up_signal_quality, updated_at) VALUES (19, '', 1, 1, 1, 1, 1)",
        NULL};
    static const char *const allow[] = {
        "INSERT INTO routing_policies (forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, "
        "has_uplink, up_application_data, updated_at) VALUES (19, 'fwd', 0, 66, 1, 1, 2)",
        NULL};
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *sub = subscribe(&x, 1, "");
    change(&x, 1u << STORE_TOPIC_POLICIES, refuse);
    wait_for_loads(&x, 1);
    publish(&x);
    turn_all(&x);
    assert_int_equal(counts_of(&x).dropped[TRAFFIC_UP][TRAFFIC_DROP_POLICY], 1);
    assert_int_equal(sub->sent_count, 0);
    change(&x, 1u << STORE_TOPIC_POLICIES, allow);
    wait_for_loads(&x, 2);
    publish(&x);
    turn_all(&x);
    assert_int_equal(sub->sent_count, 1);
    assert_null(uplink_at(sub, 0)->message->gateway_metadata);
    fake_call_free(&sub);
    close_exchange(&x);
}

static void blocks_move_and_are_delegated(void **state)
{
    (void)state;
    static const char *const move[] = {"UPDATE dev_addr_blocks SET net_id = 67", NULL};
    static const char *const delegate[] = {"UPDATE networks SET delegated_net_id = 66 WHERE net_id = 67", NULL};
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *sub = subscribe(&x, 0, "");
    change(&x, 1u << STORE_TOPIC_NETWORKS, move);
    wait_for_loads(&x, 1);
    publish(&x);
    assert_int_equal(sub->sent_count, 0);
    change(&x, 1u << STORE_TOPIC_NETWORKS, delegate);
    wait_for_loads(&x, 2);
    publish(&x);
    assert_int_equal(sub->sent_count, 1);
    assert_int_equal(uplink_at(sub, 0)->home_network_net_id, 66);
    fake_call_free(&sub);
    close_exchange(&x);
}

static void many_changes_are_few_loads(void **state)
{
    (void)state;
    enum { CHANGES = 200 };
    static const char *const touch[] = {"UPDATE networks SET updated_at = updated_at + 1 WHERE net_id = 19", NULL};
    static const char *const move[] = {"UPDATE dev_addr_blocks SET net_id = 67", NULL};
    exchange x;
    open_exchange(&x, &open_opts);
    for (unsigned i = 0; i < CHANGES; i++) {
        change(&x, 1u << STORE_TOPIC_NETWORKS, touch);
    }
    change(&x, 1u << STORE_TOPIC_NETWORKS, move);
    for (uint64_t loads = 1;; loads++) { /* the last change is in the tables after some load */
        wait_for_loads(&x, loads);
        rpc_call *sub = subscribe(&x, 0, "");
        publish(&x);
        bool moved = sub->sent_count == 0;
        fake_call_free(&sub);
        if (moved) {
            break;
        }
    }
    assert_true(counts_of(&x).tables_loaded < CHANGES / 2);
    close_exchange(&x);
}

static void unreadable_tables_leave_the_old_ones(void **state)
{
    (void)state;
    static const char *const spoil[] = {"ALTER TABLE routing_policies RENAME TO lost", NULL};
    static const char *const repair[] = {"ALTER TABLE lost RENAME TO routing_policies", NULL};
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *sub = subscribe(&x, 0, "");
    change(&x, 1u << STORE_TOPIC_POLICIES, spoil);
    while (counts_of(&x).tables_failed == 0) {
        io_loop_turn(x.loops[0], 10000);
    }
    publish(&x);
    assert_int_equal(sub->sent_count, 1);
    change(&x, 0, repair); /* told to nobody: the load is tried again by itself */
    wait_for_loads(&x, 1);
    fake_call_free(&sub);
    close_exchange(&x);
}

/* ---- around ---- */

static void options_have_ranges(void **state)
{
    (void)state;
    lpx_note note = {""};
    router *none = NULL;
    io_loop *loop = io_loop_new(0);
    router_opts opts = {.queue_bytes = 10};
    assert_int_equal(router_new(&opts, &loop, 1, &none, &note).reason, ROUTER_BAD_OPTS);
    opts = (router_opts){.queue_messages = 2000000};
    assert_int_equal(router_new(&opts, &loop, 1, &none, &note).reason, ROUTER_BAD_OPTS);
    assert_int_equal(router_new(&open_opts, &loop, 0, &none, &note).reason, ROUTER_BAD_OPTS);
    assert_null(none);
    io_loop_free(&loop);
}

static void metrics_have_names(void **state)
{
    (void)state;
    router_counts counts = {.tables_failed = 3, .opened = {5, 7}, .closed = {1, 7}};
    counts.dropped[TRAFFIC_DOWN][TRAFFIC_DROP_QUEUE_AGE] = 11;
    router_metric m;
    unsigned rows = 0, found = 0;
    for (; router_metric_get(&counts, rows, &m); rows++) {
        assert_true(strncmp(m.name, "lpx_router_", 11) == 0);
        found += m.value == 11 && strcmp(m.labels, "direction=\"downlink\",reason=\"queue_age\"") == 0 &&
                 strcmp(m.name, "lpx_router_dropped_messages_total") == 0;
        found += m.gauge && m.value == 4 && strcmp(m.labels, "direction=\"uplink\"") == 0;
        found += m.value == 3 && strcmp(m.name, "lpx_router_tables_failed_total") == 0;
    }
    assert_int_equal(found, 3);
    assert_int_equal(rows, 4 + 4 + 2 + 2 * TRAFFIC_DROP_REASONS + 2 * ROUTER_REPORT_OUTCOMES + 2 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_uplink_arrives_as_it_should),
        cmocka_unit_test(every_loop_reaches_every_loop),
        cmocka_unit_test(a_group_shares_across_loops),
        cmocka_unit_test(a_downlink_finds_its_forwarder),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_slow_subscriber_loses_its_oldest),
        cmocka_unit_test(a_full_queue_passes_its_turn_across_loops),
        cmocka_unit_test(what_waits_too_long_is_dropped),
        cmocka_unit_test(who_leaves_takes_nothing_along),
        cmocka_unit_test(a_report_counts_once_wherever_it_comes),
        cmocka_unit_test(ids_survive_a_restart),
        cmocka_unit_test(a_policy_acts_without_a_restart),
        cmocka_unit_test(blocks_move_and_are_delegated),
        cmocka_unit_test(many_changes_are_few_loads),
        cmocka_unit_test(unreadable_tables_leave_the_old_ones),
        cmocka_unit_test(options_have_ranges),
        cmocka_unit_test(metrics_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
