/* The methods of members: check, pass on, answer. */
#include "google_protobuf_empty.pb-c.h"
#include "lpx_reasons.h"
#include "router/router_join.h"
#include "router/router_map.h"
#include "router/router_passage.h"

static router_shard *shard_of(const rpc_call *call, void *service)
{
    router *self = service;
    return self->shards[io_loop_index(rpc_call_loop(call))];
}

/* ---- publishing ---- */

/* What is too large for a subscriber's client would end its stream. */
static lpx_err check_size(const router_shard *shard, const rpc_call *call, lpx_note *note)
{
    size_t len = rpc_call_raw(call).len;
    if (len > shard->router->max_message_bytes) {
        return lpx_fail(note, ROUTER_PUBLISH_TOO_LARGE, "The request has %zu bytes; this exchange takes at most %u.",
                        len, (unsigned)shard->router->max_message_bytes);
    }
    return LPX_SUCCESS;
}

static lpx_err pass_uplink(router_shard *shard, rpc_call *call,
                           const Pb__Routing__V1__PublishUplinkMessageRequest *request, router_passage *p,
                           lpx_note *note)
{
    router_uplink uplink;
    LPX_TRY(check_size(shard, call, note));
    LPX_TRY(router_check_uplink(request, &uplink, note));
    uplink.now = io_loop_now(shard->loop).mono;
    *p = (router_passage){.shard = shard,
                          .arena = rpc_call_arena(call),
                          .direction = TRAFFIC_UP,
                          .up = &uplink,
                          .uplink = request->message};
    LPX_TRY(router_passage_name(p));
    return uplink.kind == TRAFFIC_JOIN ? router_join_run(p, note) : router_passage_run(p, note);
}

static void publish_uplink(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const void *request = message;
    lpx_note note = {""};
    router_passage p;
    lpx_err err = pass_uplink(shard_of(call, service), call, request, &p, &note);
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
        return;
    }
    Pb__Routing__V1__PublishUplinkMessageResponse reply;
    pb__routing__v1__publish_uplink_message_response__init(&reply);
    reply.id = (char *)(uintptr_t)p.id;
    rpc_reply(call, &reply.base);
}

static lpx_err pass_downlink(router_shard *shard, rpc_call *call,
                             const Pb__Routing__V1__PublishDownlinkMessageRequest *request, router_passage *p,
                             lpx_note *note)
{
    router_downlink downlink;
    LPX_TRY(check_size(shard, call, note));
    LPX_TRY(router_check_downlink(request, &downlink, note));
    downlink.heard_by = router_heard_by(shard, downlink.forwarder);
    *p = (router_passage){.shard = shard,
                          .arena = rpc_call_arena(call),
                          .direction = TRAFFIC_DOWN,
                          .down = &downlink,
                          .downlink = request->message};
    LPX_TRY(router_passage_name(p));
    return router_passage_run(p, note);
}

static void publish_downlink(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const void *request = message;
    lpx_note note = {""};
    router_passage p;
    lpx_err err = pass_downlink(shard_of(call, service), call, request, &p, &note);
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
        return;
    }
    Pb__Routing__V1__PublishDownlinkMessageResponse reply;
    pb__routing__v1__publish_downlink_message_response__init(&reply);
    reply.id = (char *)(uintptr_t)p.id;
    rpc_reply(call, &reply.base);
}

/* ---- subscribing ---- */

static void subscribe(rpc_call *call, void *service, lpx_err checked, router_sub_spec *spec, lpx_note *note)
{
    lpx_err err = checked;
    if (!lpx_failed(err)) {
        err = router_shard_subscribe(shard_of(call, service), call, spec, note);
    }
    if (lpx_failed(err)) {
        rpc_fail(call, err, note);
    }
}

static void subscribe_forwarder(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const void *request = message;
    lpx_note note = {""};
    router_sub_spec spec = {.filter_count = 0};
    lpx_err err = router_check_forwarder(request, &spec, &note);
    subscribe(call, service, err, &spec, &note);
}

static void subscribe_home_network(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const void *request = message;
    lpx_note note = {""};
    router_sub_spec spec = {.filter_count = 0};
    lpx_err err = router_check_home_network(request, rpc_call_arena(call), &spec, &note);
    subscribe(call, service, err, &spec, &note);
}

/* ---- reports ---- */

static void count_report(router_shard *shard, const router_report *report)
{
    router_id_parts claim = {
        .direction = report->direction,
        .forwarder = traffic_member_of(report->forwarder),
        .home = traffic_member_of(report->home),
    };
    router_id id;
    bool foreign = !router_id_check(&shard->router->id_key, report->id, &claim, &id);
    if (foreign && shard->router->peers == NULL) {
        router_counter_add(&shard->counts.reports[report->direction][ROUTER_REPORT_UNKNOWN], 1);
        return;
    }
    if (foreign) { /* of another exchange, perhaps: who remembers its messages decides */
        id = (router_id){.issued_ms = io_loop_now(shard->loop).utc.us / 1000,
                         .kind = TRAFFIC_DATA,
                         .hash = router_hash_text(shard->router->loader.seed, report->id)};
    }
    if (!report->processed) {
        router_counter_add(&shard->counts.reports[report->direction][ROUTER_REPORT_PROGRESS], 1);
        return;
    }
    router_copy_about about = {
        .id = report->id,
        .direction = report->direction,
        .kind = id.kind,
        .forwarder = report->forwarder,
        .home = report->home,
    };
    router_batch_report one = {
        .about = router_copy_new(&about, (lpx_bytes){NULL, 0}),
        .foreign = foreign,
        .kind = id.kind,
        .failed = report->failed,
        .error = report->error,
        .key = router_hash_member(id.hash, claim.home),
        .issued_ms = id.issued_ms,
    };
    if (one.about == NULL) {
        router_counter_add(&shard->counts.reports[report->direction][ROUTER_REPORT_LATE], 1);
        return;
    }
    router_shard_report(shard, &one);
}

/* A report that does not count is answered like one that does: clients only log failures, and could do nothing. */
static void report(rpc_call *call, void *service, lpx_err checked, const router_report *what, const lpx_note *note)
{
    if (lpx_failed(checked)) {
        rpc_fail(call, checked, note);
        return;
    }
    count_report(shard_of(call, service), what);
    Google__Protobuf__Empty reply;
    google__protobuf__empty__init(&reply);
    rpc_reply(call, &reply.base);
}

static void report_uplink(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const void *request = message;
    lpx_note note = {""};
    router_report what;
    lpx_err err = router_check_uplink_report(request, &what, &note);
    report(call, service, err, &what, &note);
}

static void report_downlink(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const void *request = message;
    lpx_note note = {""};
    router_report what;
    lpx_err err = router_check_downlink_report(request, &what, &note);
    report(call, service, err, &what, &note);
}

/* ---- the table ---- */

#define FORWARDER "/org.packetbroker.routing.v1.ForwarderData/"
#define PEER "/org.packetbroker.routing.v1.RouterData/"
#define HOME_NETWORK "/org.packetbroker.routing.v1.HomeNetworkData/"

void router_methods_init(router *self)
{
    static const rpc_method table[] = {
        {FORWARDER "Publish", &pb__routing__v1__publish_uplink_message_request__descriptor,
         &pb__routing__v1__publish_uplink_message_response__descriptor, RPC_LOOP, NULL, publish_uplink, NULL},
        {FORWARDER "Subscribe", &pb__routing__v1__subscribe_forwarder_request__descriptor,
         &pb__v3__routed_downlink_message__descriptor, RPC_STREAM, NULL, subscribe_forwarder, NULL},
        {FORWARDER "ReportDownlinkMessageDeliveryState",
         &pb__routing__v1__downlink_message_delivery_state_change_request__descriptor,
         &google__protobuf__empty__descriptor, RPC_LOOP, NULL, report_downlink, NULL},
        {HOME_NETWORK "Publish", &pb__routing__v1__publish_downlink_message_request__descriptor,
         &pb__routing__v1__publish_downlink_message_response__descriptor, RPC_LOOP, NULL, publish_downlink, NULL},
        {HOME_NETWORK "Subscribe", &pb__routing__v1__subscribe_home_network_request__descriptor,
         &pb__v3__routed_uplink_message__descriptor, RPC_STREAM, NULL, subscribe_home_network, NULL},
        {PEER "RouteUplink", &pb__routing__v1__route_uplink_message_request__descriptor,
         &pb__routing__v1__route_message_response__descriptor, RPC_LOOP, NULL, router_peer_route_uplink, NULL},
        {PEER "RouteDownlink", &pb__routing__v1__route_downlink_message_request__descriptor,
         &pb__routing__v1__route_message_response__descriptor, RPC_LOOP, NULL, router_peer_route_downlink, NULL},
        {HOME_NETWORK "ReportUplinkMessageDeliveryState",
         &pb__routing__v1__uplink_message_delivery_state_change_request__descriptor,
         &google__protobuf__empty__descriptor, RPC_LOOP, NULL, report_uplink, NULL},
    };
    memcpy(self->methods, table, sizeof table);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        self->methods[i].service = self;
    }
}
