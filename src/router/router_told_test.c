/* What observers are told: each message once with all that was decided, each copy once when it is settled, each report
 * that counts. */
#include "router/router_kit_test.h"

#include "base/text.h"

enum { MAX_TOLD = 64, MAX_HOMES = 4 };

/* What was told, with texts of its own. */
typedef struct told_passage {
    traffic_passage passage;
    traffic_outcome outcomes[MAX_HOMES];
    char id[96], hop[96], home_tenant[64];
} told_passage;

typedef struct told_copy {
    traffic_copy copy;
    char id[96];
} told_copy;

typedef struct told_report {
    traffic_report report;
    char id[96];
} told_report;

typedef struct notebook {
    told_passage passages[MAX_TOLD];
    told_copy copies[MAX_TOLD];
    told_report reports[MAX_TOLD];
    unsigned passage_count, copy_count, report_count;
} notebook;

static void keep(char out[static 96], lpx_str text)
{
    (void)snprintf(out, 96, "%.*s", (int)text.len, text.ptr);
}

static void on_passed(void *ctx, unsigned loop, const traffic_passage *passage)
{
    notebook *n = ctx;
    assert_true(loop < LOOPS && n->passage_count < MAX_TOLD);
    told_passage *told = &n->passages[n->passage_count++];
    told->passage = *passage;
    keep(told->id, passage->id);
    assert_int_equal(passage->hop_count, 1);
    keep(told->hop, passage->hops[0]);
    assert_true(passage->outcome_count > 0 && passage->outcome_count <= MAX_HOMES);
    memcpy(told->outcomes, passage->outcomes, passage->outcome_count * sizeof told->outcomes[0]);
}

static void on_settled(void *ctx, unsigned loop, const traffic_copy *copy)
{
    notebook *n = ctx;
    assert_true(loop < LOOPS && n->copy_count < MAX_TOLD);
    told_copy *told = &n->copies[n->copy_count++];
    told->copy = *copy;
    keep(told->id, copy->id);
    assert_true(lpx_str_is(copy->forwarder.tenant_id, "fwd") && lpx_str_is(copy->forwarder.cluster_id, "eu1"));
    assert_true(lpx_str_is(copy->home.cluster_id, "eu1"));
}

static void on_reported(void *ctx, unsigned loop, const traffic_report *report)
{
    notebook *n = ctx;
    assert_true(loop < LOOPS && n->report_count < MAX_TOLD);
    told_report *told = &n->reports[n->report_count++];
    told->report = *report;
    keep(told->id, report->id);
    assert_true(lpx_str_is(report->forwarder.tenant_id, "fwd"));
}

/* An exchange that is observed by a notebook, and by somebody who does not listen. */
typedef struct observed {
    exchange x;
    notebook notes;
    traffic_observer observer, deaf;
    const traffic_observer *list[3];
} observed;

static void open_observed(observed *o, router_opts opts)
{
    *o = (observed){.observer = {.passed = on_passed, .settled = on_settled, .reported = on_reported}};
    o->observer.ctx = &o->notes;
    o->list[0] = &o->deaf;
    o->list[1] = &o->observer;
    opts.observers = o->list;
    open_exchange(&o->x, &opts);
}

static void a_message_is_told_with_what_was_decided(void **state)
{
    (void)state;
    observed o;
    open_observed(&o, open_opts);
    char id[96];
    publish_on(&o.x, 1, id);
    rpc_call *subs[2] = {subscribe(&o.x, 0, ""), subscribe(&o.x, 2, "g")};
    publish_on(&o.x, 1, id);
    turn_all(&o.x);
    assert_int_equal(o.notes.passage_count, 2);
    assert_false(o.notes.passages[0].outcomes[0].delivered);
    assert_int_equal(o.notes.passages[0].outcomes[0].drop, TRAFFIC_DROP_NO_ENDPOINT);
    const told_passage *told = &o.notes.passages[1];
    assert_string_equal(told->id, id);
    assert_string_equal(told->hop, "000013/fwd@eu1");
    assert_int_equal(told->passage.direction, TRAFFIC_UP);
    assert_int_equal(told->passage.kind, TRAFFIC_DATA);
    assert_int_equal(told->passage.dev_addr, 0x11223344);
    assert_int_equal(told->passage.f_port, 1);
    assert_int_equal(told->passage.forwarder.net_id, 19);
    assert_int_equal(told->passage.outcome_count, 1);
    assert_true(told->outcomes[0].delivered);
    assert_int_equal(told->outcomes[0].home.net_id, 66);
    assert_int_equal(told->outcomes[0].route, TRAFFIC_ROUTE_BLOCK);
    assert_int_equal(told->outcomes[0].policy, TRAFFIC_POLICY_SETTING);
    assert_int_equal(told->outcomes[0].copies, 2);
    assert_int_equal(o.notes.copy_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(o.notes.copies[i].copy.sent);
        assert_string_equal(o.notes.copies[i].id, id);
        assert_int_equal(o.notes.copies[i].copy.home.net_id, 66);
        fake_call_free(&subs[i]);
    }
    close_exchange(&o.x);
}

static void a_downlink_is_told_too(void **state)
{
    (void)state;
    observed o;
    open_observed(&o, open_opts);
    rpc_call *sub = subscribe_forwarder(&o.x, 0), *call = fake_call_new(o.x.loops[1]);
    char home[] = "";
    Pb__V3__DownlinkMessage message = PB__V3__DOWNLINK_MESSAGE__INIT;
    message.phy_payload = (ProtobufCBinaryData){DATA_DOWNLINK_BYTES, data_downlink};
    Pb__Routing__V1__PublishDownlinkMessageRequest in = PB__ROUTING__V1__PUBLISH_DOWNLINK_MESSAGE_REQUEST__INIT;
    in.home_network_net_id = 66;
    in.home_network_tenant_id = home;
    in.home_network_cluster_id = eu1;
    in.forwarder_net_id = 19;
    in.forwarder_tenant_id = fwd_tenant;
    in.forwarder_cluster_id = eu1;
    in.message = &message;
    invoke(&o.x, "HomeNetworkData/Publish", call, &in.base);
    turn_all(&o.x);
    assert_int_equal(o.notes.passage_count, 1);
    const told_passage *told = &o.notes.passages[0];
    assert_int_equal(told->passage.direction, TRAFFIC_DOWN);
    assert_int_equal(told->passage.dev_addr, 0x11223344);
    assert_int_equal(told->passage.f_port, 1);
    assert_int_equal(told->outcomes[0].route, TRAFFIC_ROUTE_NAMED);
    assert_int_equal(told->outcomes[0].home.net_id, 66);
    assert_string_equal(told->hop, "000042@eu1");
    assert_int_equal(o.notes.copy_count, 1);
    assert_true(o.notes.copies[0].copy.sent && o.notes.copies[0].copy.direction == TRAFFIC_DOWN);
    fake_call_free(&sub);
    fake_call_free(&call);
    close_exchange(&o.x);
}

static unsigned lost_for(const notebook *n, traffic_drop reason)
{
    unsigned count = 0;
    for (unsigned i = 0; i < n->copy_count; i++) {
        count += !n->copies[i].copy.sent && n->copies[i].copy.drop == reason;
    }
    return count;
}

static void each_copy_is_settled_once(void **state)
{
    (void)state;
    observed o;
    router_opts opts = open_opts;
    opts.queue_messages = 2;
    open_observed(&o, opts);
    rpc_call *slow = subscribe(&o.x, 0, ""), *far = subscribe(&o.x, 1, "");
    slow->window = 1;
    for (unsigned i = 0; i < 5; i++) { /* the slow one: one sent, two pushed out, two wait */
        publish(&o.x);
    }
    turn_all(&o.x);
    assert_int_equal(o.notes.copy_count, 5 + 3);
    assert_int_equal(lost_for(&o.notes, TRAFFIC_DROP_QUEUE_FULL), 2);
    fake_call_free(&slow);
    assert_int_equal(lost_for(&o.notes, TRAFFIC_DROP_GONE), 2);
    publish(&o.x);
    fake_call_free(&far); /* one copy is on its way */
    turn_all(&o.x);
    assert_int_equal(lost_for(&o.notes, TRAFFIC_DROP_GONE), 3);
    assert_int_equal(o.notes.copy_count, 5 + 5 + 1);
    for (unsigned i = 0; i < o.notes.copy_count; i++) {
        unsigned of_id = 0;
        for (unsigned j = 0; j < o.notes.copy_count; j++) {
            of_id += strcmp(o.notes.copies[i].id, o.notes.copies[j].id) == 0;
        }
        assert_true(of_id == 2 || i == o.notes.copy_count - 1);
    }
    close_exchange(&o.x);
}

static void reports_that_count_are_told(void **state)
{
    (void)state;
    observed o;
    open_observed(&o, open_opts);
    Pb__V3__UplinkMessageProcessingErrorValue error = PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR_VALUE__INIT;
    error.value = PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__NOT_FOUND;
    for (unsigned i = 0; i < 6; i++) {
        char id[96];
        publish_on(&o.x, i % LOOPS, id);
        report_on(&o.x, 0, id, PB__V3__MESSAGE_DELIVERY_STATE__DELIVERED, NULL);
        report_on(&o.x, 0, id, PROCESSED, i % 2 == 0 ? &error : NULL);
        turn_all(&o.x);
        report_on(&o.x, 1, id, PROCESSED, NULL);
        report_on(&o.x, 1, "nobody's", PROCESSED, NULL);
        turn_all(&o.x);
        assert_int_equal(o.notes.report_count, i + 1);
        const told_report *told = &o.notes.reports[i];
        assert_string_equal(told->id, id);
        assert_int_equal(told->report.direction, TRAFFIC_UP);
        assert_int_equal(told->report.kind, TRAFFIC_DATA);
        assert_int_equal(told->report.home.net_id, 66);
        assert_int_equal(told->report.failed, i % 2 == 0);
        assert_int_equal(told->report.error, i % 2 == 0 ? (int)error.value : 0);
    }
    close_exchange(&o.x);
}

/* Publish a downlink of 000042 to 000013/fwd; the id is copied to out. */
static void publish_down(exchange *x, char out[static 96])
{
    rpc_call *call = fake_call_new(x->loops[1]);
    Pb__V3__DownlinkMessage message = PB__V3__DOWNLINK_MESSAGE__INIT;
    message.phy_payload = (ProtobufCBinaryData){DATA_DOWNLINK_BYTES, data_downlink};
    Pb__Routing__V1__PublishDownlinkMessageRequest in = PB__ROUTING__V1__PUBLISH_DOWNLINK_MESSAGE_REQUEST__INIT;
    in.home_network_net_id = 66;
    in.forwarder_net_id = 19;
    in.forwarder_tenant_id = fwd_tenant;
    in.message = &message;
    invoke(x, "HomeNetworkData/Publish", call, &in.base);
    assert_true(call->replied);
    ProtobufCMessage *reply;
    assert_false(lpx_failed(pb_decode(&pb__routing__v1__publish_downlink_message_response__descriptor, call->reply,
                                      &call->arena, &reply, NULL)));
    keep(out, lpx_str_of(((Pb__Routing__V1__PublishDownlinkMessageResponse *)reply)->id));
    fake_call_free(&call);
}

/* Report as forwarder 000013/fwd. @param error -1: success */
static void report_down(exchange *x, char *id, Pb__V3__MessageDeliveryState step, int error)
{
    Pb__V3__DownlinkMessageDeliveryStateChange__TransmissionResult success =
        PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__TRANSMISSION_RESULT__INIT; /* neither window */
    Pb__V3__DownlinkMessageDeliveryStateChange change = PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__INIT;
    change.id = id;
    change.home_network_net_id = 66;
    change.forwarder_net_id = 19;
    change.forwarder_tenant_id = fwd_tenant;
    change.state = step;
    if (step == PROCESSED && error < 0) {
        change.result_case = PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__RESULT_SUCCESS;
        change.success = &success;
    } else if (step == PROCESSED) {
        change.result_case = PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__RESULT_ERROR;
        change.error = (Pb__V3__DownlinkMessageProcessingError)error;
    }
    Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest in =
        PB__ROUTING__V1__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    in.state_change = &change;
    rpc_call *call = fake_call_new(x->loops[0]);
    invoke(x, "ReportDownlinkMessageDeliveryState", call, &in.base);
    assert_true(call->replied);
    fake_call_free(&call);
    turn_all(x);
}

/* Every error of a downlink, UNKNOWN (0, present all the same) among them; success without a window is one. */
static void errors_of_downlinks_are_told_apart(void **state)
{
    (void)state;
    observed o;
    open_observed(&o, open_opts);
    const int last = PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__GATEWAY_NOT_CONNECTED;
    for (int error = -1; error <= last; error++) {
        char id[96];
        publish_down(&o.x, id);
        report_down(&o.x, id, PB__V3__MESSAGE_DELIVERY_STATE__ACCEPTED, -1);
        report_down(&o.x, id, PB__V3__MESSAGE_DELIVERY_STATE__FORWARDED, -1);
        report_down(&o.x, id, PB__V3__MESSAGE_DELIVERY_STATE__DELIVERED, -1);
        report_down(&o.x, id, PROCESSED, error);
        assert_int_equal(o.notes.report_count, error + 2);
        const traffic_report *told = &o.notes.reports[error + 1].report;
        assert_int_equal(told->direction, TRAFFIC_DOWN);
        assert_int_equal(told->failed, error >= 0);
        assert_int_equal(told->error, error >= 0 ? error : 0);
    }
    router_counts c = counts_of(&o.x);
    assert_int_equal(c.reports[TRAFFIC_DOWN][ROUTER_REPORT_PROGRESS], 3 * (last + 2));
    assert_int_equal(c.reports[TRAFFIC_DOWN][ROUTER_REPORT_ERROR], last + 1);
    assert_int_equal(c.reports[TRAFFIC_DOWN][ROUTER_REPORT_SUCCESS], 1);
    close_exchange(&o.x);
}

static void errors_of_uplinks_are_told_apart(void **state)
{
    (void)state;
    observed o;
    open_observed(&o, open_opts);
    for (int error = 0; error <= PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__DUPLICATE_PAYLOAD; error++) {
        char id[96];
        Pb__V3__UplinkMessageProcessingErrorValue value = PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR_VALUE__INIT;
        value.value = (Pb__V3__UplinkMessageProcessingError)error;
        publish_on(&o.x, 0, id);
        report_on(&o.x, 0, id, PROCESSED, &value);
        turn_all(&o.x);
        assert_int_equal(o.notes.report_count, error + 1);
        assert_true(o.notes.reports[error].report.failed);
        assert_int_equal(o.notes.reports[error].report.error, error);
    }
    close_exchange(&o.x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_told_with_what_was_decided),
        cmocka_unit_test(a_downlink_is_told_too),
        cmocka_unit_test(each_copy_is_settled_once),
        cmocka_unit_test(reports_that_count_are_told),
        cmocka_unit_test(errors_of_downlinks_are_told_apart),
        cmocka_unit_test(errors_of_uplinks_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
