/* The whole router on several loops and a store, with calls from memory (router_fake_test.h): messages from publisher
 * to subscriber on the same loop and on others, groups, slow subscribers, reports, and changes in the store. */
#include "router/router_kit_test.h"

#include <stdlib.h>

#include "lpx_reasons.h"
#include "router/limits.h"

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

/* An uplink without payload whose request has that many bytes. */
static rpc_call *publish_bytes(exchange *x, size_t len)
{
    static uint8_t filling[5000];
    Pb__V3__UplinkMessage message = PB__V3__UPLINK_MESSAGE__INIT;
    Pb__Routing__V1__PublishUplinkMessageRequest in = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    in.forwarder_net_id = 19;
    in.message = &message;
    message.gateway_uplink_token = (ProtobufCBinaryData){sizeof filling, filling};
    message.gateway_uplink_token.len -= protobuf_c_message_get_packed_size(&in.base) - len;
    rpc_call *call = fake_call_new(x->loops[0]);
    invoke(x, "ForwarderData/Publish", call, &in.base);
    assert_true(call->failed);
    return call;
}

static void a_message_too_large_is_refused(void **state)
{
    (void)state;
    exchange x;
    router_opts opts = open_opts;
    opts.max_message_bytes = 5000;
    open_exchange(&x, &opts);
    rpc_call *call = publish_bytes(&x, 5001);
    assert_int_equal(call->err.reason, ROUTER_PUBLISH_TOO_LARGE);
    assert_int_equal(call->err.code, LPX_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(call->note.text, "5001"));
    fake_call_free(&call);
    call = publish_bytes(&x, 5000); /* the size is fine; the rest is not */
    assert_int_equal(call->err.code, LPX_INVALID_ARGUMENT);
    fake_call_free(&call);
    close_exchange(&x);
}

/* Publish these bytes. */
static rpc_call *publish_request(exchange *x, lpx_bytes request)
{
    size_t count;
    const rpc_method *methods = router_methods(x->router, &count);
    rpc_call *call = fake_call_new(x->loops[0]);
    for (size_t i = 0; i < count; i++) {
        if (strstr(methods[i].path, "ForwarderData/Publish") != NULL) {
            methods[i].hot(call, request, methods[i].service);
            return call;
        }
    }
    fail_msg("no method");
    return call;
}

/* What is read in place and what has to be decoded is delivered alike; the owner is asked for before anything else. */
static void both_ways_of_reading_deliver_the_same(void **state)
{
    (void)state;
    static const uint8_t common[] = {0x08, 19,   0x12, 3,    'e', 'u',  '1',  0x1A, 3,    'f',  'w',  'd',  0x22,
                                     23,   0x12, 17,   0x1A, 15,  0x40, 0x44, 0x33, 0x22, 0x11, 0x01, 0x01, 0x00,
                                     0x42, 0x01, 0x42, 1,    2,   3,    4,    0x28, 1,    0x30, 5};
    exchange x;
    open_exchange(&x, &open_opts);
    rpc_call *sub = subscribe(&x, 0, "");
    for (unsigned odd = 0; odd < 2; odd++) {
        uint8_t request[sizeof common + 2];
        memcpy(request, common, sizeof common);
        memcpy(request + sizeof common, (uint8_t[]){0x08, 19}, 2); /* the net id once more */
        rpc_call *call = publish_request(&x, lpx_bytes_of(request, sizeof common + 2 * odd));
        assert_true(call->replied && call->allowed);
        assert_int_equal(call->owner_net_id, 19);
        assert_string_equal(call->owner_tenant_id, "fwd");
        assert_string_equal(call->owner_cluster_id, "eu1");
        fake_call_free(&call);
        turn_all(&x);
        assert_int_equal(sub->sent_count, odd + 1);
        Pb__V3__RoutedUplinkMessage *up = uplink_at(sub, odd);
        assert_string_equal(up->forwarder_tenant_id, "fwd");
        assert_int_equal(up->message->data_rate_index, 5);
        assert_int_equal(up->message->data_rate->lora->spreading_factor, 7);
        assert_memory_equal(up->message->phy_payload->plain.data, data_uplink, sizeof data_uplink);
    }
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

static void assert_says(const lpx_buf *text, const char *line)
{
    if (strstr((const char *)text->ptr, line) == NULL) {
        fail_msg("no line \"%s\" in:\n%s", line, (const char *)text->ptr);
    }
}

static void metrics_tell_of_queues_and_routes(void **state)
{
    (void)state;
    exchange x;
    router_opts opts = open_opts;
    opts.queue_messages = 2;
    open_exchange(&x, &opts);
    rpc_call *slow = subscribe(&x, 1, "slow"), *none = subscribe(&x, 0, ""), *gone = subscribe(&x, 2, "");
    slow->window = 1;
    for (unsigned i = 0; i < 5; i++) {
        publish(&x);
    }
    turn_all(&x);
    fake_call_free(&gone);
    turn_all(&x);
    lpx_buf text;
    lpx_buf_init(&text, 1 << 20);
    router_metrics(x.router, &text);
    lpx_buf_add(&text, lpx_bytes_of("", 1));
    assert_false(lpx_buf_failed(&text));
    assert_says(&text, "# TYPE lpx_router_queue_messages gauge\n");
    assert_says(&text, "lpx_router_dropped_messages_total{direction=\"uplink\",reason=\"queue_full\"} 2\n");
    assert_says(&text, "lpx_router_subscriptions{direction=\"uplink\"} 2\n");
    assert_says(&text, "lpx_router_tables_failed_total 0\n");
#define SLOW "{direction=\"uplink\",net_id=\"000042\",tenant_id=\"\",cluster_id=\"\",group=\"slow\""
#define NO_GROUP "{direction=\"uplink\",net_id=\"000042\",tenant_id=\"\",cluster_id=\"\",group=\"\""
    assert_says(&text, "lpx_router_queue_messages" SLOW "} 2\n");
    assert_says(&text, "lpx_router_queue_messages" NO_GROUP "} 0\n");
    assert_says(&text, "lpx_router_queue_sent_messages_total" SLOW "} 1\n");
    assert_says(&text, "lpx_router_queue_sent_messages_total" NO_GROUP "} 10\n"); /* of who left too */
    assert_says(&text, "lpx_router_queue_dropped_messages_total" SLOW ",reason=\"queue_full\"} 2\n");
    assert_says(&text, "lpx_router_route_routed_messages_total{direction=\"uplink\",forwarder_net_id=\"000013\","
                       "forwarder_tenant_id=\"fwd\",home_network_net_id=\"000042\",home_network_tenant_id=\"\"} 5\n");
    lpx_buf_fini(&text);
    fake_call_free(&slow);
    fake_call_free(&none);
    close_exchange(&x);
}

/* More groups than series: the first ones are those with the most waiting, and nothing is lost in the sum. */
static void metrics_have_a_bound(void **state)
{
    (void)state;
    enum { GROUPS = ROUTER_METRIC_GROUPS + 200 };
    exchange x;
    open_exchange(&x, &open_opts);
    static rpc_call *subs[GROUPS];
    for (unsigned i = 0; i < GROUPS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "g%u", i);
        subs[i] = subscribe(&x, 0, name);
        subs[i]->window = i % 2 == 0 ? 1 : 2;
    }
    publish(&x);
    publish(&x);
    lpx_buf text;
    lpx_buf_init(&text, 8 << 20);
    router_metrics(x.router, &text);
    lpx_buf_add(&text, lpx_bytes_of("", 1));
    assert_false(lpx_buf_failed(&text));
    unsigned rows = 0, waiting = 0;
    for (const char *at = strstr((const char *)text.ptr, "lpx_router_queue_messages{"); at != NULL;
         at = strstr(at + 1, "lpx_router_queue_messages{")) {
        rows++;
        waiting += (unsigned)strtoul(strchr(at, '}') + 1, NULL, 10);
    }
    assert_int_equal(rows, ROUTER_METRIC_GROUPS + 2);
    assert_int_equal(waiting, GROUPS / 2);
    assert_says(&text, "lpx_router_queue_messages{direction=\"uplink\",net_id=\"rest\",tenant_id=\"\",cluster_id=\"\","
                       "group=\"\"} 0\n");
    lpx_buf_fini(&text);
    for (unsigned i = 0; i < GROUPS; i++) {
        fake_call_free(&subs[i]);
    }
    close_exchange(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_uplink_arrives_as_it_should),
        cmocka_unit_test(a_message_too_large_is_refused),
        cmocka_unit_test(both_ways_of_reading_deliver_the_same),
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
        cmocka_unit_test(metrics_tell_of_queues_and_routes),
        cmocka_unit_test(metrics_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
