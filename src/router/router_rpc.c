/* The methods of members: check, pass on, answer. */
#include "codec/pb/pb.h"
#include "google_protobuf_empty.pb-c.h"
#include "lpx_reasons.h"
#include "lpx_routing_v1_data.pb-c.h"
#include "router/router_join.h"
#include "router/router_map.h"
#include "router/router_publish.h"

static router_shard *shard_of(const rpc_call *call, void *service)
{
    router *self = service;
    return self->shards[io_loop_index(rpc_call_loop(call))];
}

/* ---- publishing ---- */

/* What is too large for a subscriber's client would end its stream. */
static lpx_err check_size(const router_shard *shard, lpx_bytes request, lpx_note *note)
{
    if (request.len > shard->router->max_message_bytes) {
        return lpx_fail(note, ROUTER_PUBLISH_TOO_LARGE, "The request has %zu bytes; this exchange takes at most %u.",
                        request.len, (unsigned)shard->router->max_message_bytes);
    }
    return LPX_SUCCESS;
}

static lpx_err allow(void *call, traffic_endpoint owner, lpx_note *note)
{
    return rpc_hot_allow(call, owner.net_id, owner.tenant_id, owner.cluster_id, note);
}

/* Answer with the message's id: both responses have it as their field 1. */
static void reply_id(rpc_call *call, lpx_err err, const lpx_note *note, const char *id)
{
    if (lpx_failed(err)) {
        rpc_fail(call, err, note);
        return;
    }
    uint8_t reply[2 + ROUTER_ID_CHARS] = {1 << 3 | 2, ROUTER_ID_CHARS};
    memcpy(reply + 2, id, ROUTER_ID_CHARS);
    rpc_reply_bytes(call, lpx_bytes_of(reply, sizeof reply));
}

/* An uplink, read in place or else decoded. */
typedef struct uplink_request {
    router_uplink_fields fields;
    bool in_place;
    router_scanned_uplink scanned;        /* in_place */
    const Pb__V3__UplinkMessage *decoded; /* else */
} uplink_request;

static lpx_err read_uplink(const router_publisher *by, lpx_bytes bytes, uplink_request *out, lpx_note *note)
{
    out->decoded = NULL;
    out->in_place = router_scan_uplink(by->shard->router->scanner, bytes, &out->fields, &out->scanned);
    if (!out->in_place) {
        ProtobufCMessage *message = NULL;
        LPX_TRY(
            pb_decode(&pb__routing__v1__publish_uplink_message_request__descriptor, bytes, by->arena, &message, note));
        const Pb__Routing__V1__PublishUplinkMessageRequest *in = (const void *)message;
        router_uplink_fields_of(in, &out->fields);
        out->decoded = in->message;
    }
    return LPX_SUCCESS;
}

/* ---- how fast ---- */

static lpx_str key_of(const rpc_principal *who)
{
    return lpx_str_of(who->key_id[0] != '\0' ? who->key_id : who->cert);
}

static lpx_err check_rate(const router_shard *shard, const router_rate_who *who, lpx_note *note)
{
    return router_limiter_take(shard->router->limiter, who, io_loop_now(shard->loop).mono, note);
}

/* Only where something is limited. */
static lpx_err check_uplink_rate(const router_publisher *by, const uplink_request *request, lpx_note *note)
{
    lpx_bytes gateway = {NULL, 0};
    if (request->in_place) {
        gateway = request->scanned.gateway;
    } else if (request->decoded->gateway_id != NULL) {
        LPX_TRY(pb_encode(&request->decoded->gateway_id->base, by->arena, &gateway));
    }
    router_rate_who who = {
        .member = traffic_member_of(request->fields.forwarder), .key = key_of(by->who), .gateway = gateway};
    return check_rate(by->shard, &who, note);
}

/* ---- uplinks ---- */

lpx_err router_publish_uplink(const router_publisher *by, lpx_bytes bytes, const char **id, lpx_note *note)
{
    uplink_request request;
    router_uplink uplink;
    router_passage p;
    LPX_TRY(read_uplink(by, bytes, &request, note));
    LPX_TRY(by->allow(by->ctx, request.fields.forwarder, note));
    LPX_TRY(check_size(by->shard, bytes, note));
    LPX_TRY(router_check_uplink_fields(&request.fields, &uplink, note));
    if (by->shard->router->limiter != NULL) {
        LPX_TRY(check_uplink_rate(by, &request, note));
    }
    uplink.now = io_loop_now(by->shard->loop).mono;
    p = (router_passage){.shard = by->shard,
                         .arena = by->arena,
                         .direction = TRAFFIC_UP,
                         .up = &uplink,
                         .uplink = request.decoded,
                         .scanned_up = request.in_place ? &request.scanned : NULL};
    LPX_TRY(router_passage_name(&p));
    *id = p.id;
    return uplink.kind == TRAFFIC_JOIN ? router_join_run(&p, note) : router_passage_run(&p, note);
}

static void publish_uplink(rpc_call *call, lpx_bytes request, void *service)
{
    lpx_note note = {""};
    const char *id = NULL;
    router_publisher by = {.shard = shard_of(call, service),
                           .arena = rpc_call_arena(call),
                           .allow = allow,
                           .ctx = call,
                           .who = rpc_call_principal(call)};
    lpx_err err = router_publish_uplink(&by, request, &id, &note);
    reply_id(call, err, &note, id);
}

/* A downlink, as uplink_request. */
typedef struct downlink_request {
    router_downlink_fields fields;
    bool in_place;
    router_scanned_downlink scanned;
    const Pb__V3__DownlinkMessage *decoded;
} downlink_request;

static lpx_err read_downlink(const router_shard *shard, rpc_call *call, lpx_bytes bytes, downlink_request *out,
                             lpx_note *note)
{
    out->decoded = NULL;
    out->in_place = router_scan_downlink(shard->router->scanner, bytes, &out->fields, &out->scanned);
    if (!out->in_place) {
        ProtobufCMessage *message = NULL;
        LPX_TRY(pb_decode(&pb__routing__v1__publish_downlink_message_request__descriptor, bytes, rpc_call_arena(call),
                          &message, note));
        const Pb__Routing__V1__PublishDownlinkMessageRequest *in = (const void *)message;
        router_downlink_fields_of(in, &out->fields);
        out->decoded = in->message;
    }
    return LPX_SUCCESS;
}

static lpx_err pass_downlink(router_shard *shard, rpc_call *call, lpx_bytes bytes, router_passage *p, lpx_note *note)
{
    downlink_request request;
    router_downlink downlink;
    LPX_TRY(read_downlink(shard, call, bytes, &request, note));
    LPX_TRY(allow(call, request.fields.home, note));
    LPX_TRY(check_size(shard, bytes, note));
    LPX_TRY(router_check_downlink_fields(&request.fields, &downlink, note));
    if (shard->router->limiter != NULL) {
        router_rate_who who = {.member = traffic_member_of(request.fields.home),
                               .key = key_of(rpc_call_principal(call))};
        LPX_TRY(check_rate(shard, &who, note));
    }
    downlink.heard_by = router_heard_by(shard, downlink.forwarder);
    *p = (router_passage){.shard = shard,
                          .arena = rpc_call_arena(call),
                          .direction = TRAFFIC_DOWN,
                          .down = &downlink,
                          .downlink = request.decoded,
                          .scanned_down = request.in_place ? &request.scanned : NULL};
    LPX_TRY(router_passage_name(p));
    return router_passage_run(p, note);
}

static void publish_downlink(rpc_call *call, lpx_bytes request, void *service)
{
    lpx_note note = {""};
    router_passage p = {.id = NULL};
    lpx_err err = pass_downlink(shard_of(call, service), call, request, &p, &note);
    reply_id(call, err, &note, p.id);
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

/* Read in place, or else decoded. */
static lpx_err read_report(const router_shard *shard, traffic_direction direction, rpc_call *call, lpx_bytes bytes,
                           router_report *out, bool *is_there, lpx_note *note)
{
    if (router_scan_report(shard->router->scanner, direction, bytes, out, is_there)) {
        return LPX_SUCCESS;
    }
    ProtobufCMessage *message = NULL;
    if (direction == TRAFFIC_UP) {
        LPX_TRY(pb_decode(&pb__routing__v1__uplink_message_delivery_state_change_request__descriptor, bytes,
                          rpc_call_arena(call), &message, note));
        *is_there = router_uplink_report_of((const void *)message, out);
    } else {
        LPX_TRY(pb_decode(&pb__routing__v1__downlink_message_delivery_state_change_request__descriptor, bytes,
                          rpc_call_arena(call), &message, note));
        *is_there = router_downlink_report_of((const void *)message, out);
    }
    return LPX_SUCCESS;
}

static lpx_err take_report(router_shard *shard, traffic_direction direction, rpc_call *call, lpx_bytes bytes,
                           lpx_note *note)
{
    router_report what;
    bool is_there = false;
    LPX_TRY(read_report(shard, direction, call, bytes, &what, &is_there, note));
    LPX_TRY(allow(call, direction == TRAFFIC_UP ? what.home : what.forwarder, note));
    LPX_TRY(router_check_report(&what, is_there, note));
    count_report(shard, &what);
    return LPX_SUCCESS;
}

/* A report that does not count is answered like one that does: clients only log failures, and could do nothing. */
static void report(rpc_call *call, traffic_direction direction, lpx_bytes request, void *service)
{
    lpx_note note = {""};
    lpx_err err = take_report(shard_of(call, service), direction, call, request, &note);
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
        return;
    }
    rpc_reply_bytes(call, (lpx_bytes){NULL, 0});
}

static void report_uplink(rpc_call *call, lpx_bytes request, void *service)
{
    report(call, TRAFFIC_UP, request, service);
}

static void report_downlink(rpc_call *call, lpx_bytes request, void *service)
{
    report(call, TRAFFIC_DOWN, request, service);
}

/* ---- the table ---- */

#define FORWARDER "/org.packetbroker.routing.v1.ForwarderData/"
#define PEER "/org.packetbroker.routing.v1.RouterData/"
#define HOME_NETWORK "/org.packetbroker.routing.v1.HomeNetworkData/"

void router_methods_init(router *self)
{
    static const rpc_method table[] = {
        {FORWARDER "Publish", &pb__routing__v1__publish_uplink_message_request__descriptor,
         &pb__routing__v1__publish_uplink_message_response__descriptor, RPC_HOT, NULL, NULL, NULL, false,
         publish_uplink},
        {FORWARDER "Subscribe", &pb__routing__v1__subscribe_forwarder_request__descriptor,
         &pb__v3__routed_downlink_message__descriptor, RPC_STREAM, NULL, subscribe_forwarder, NULL},
        {FORWARDER "ReportDownlinkMessageDeliveryState",
         &pb__routing__v1__downlink_message_delivery_state_change_request__descriptor,
         &google__protobuf__empty__descriptor, RPC_HOT, NULL, NULL, NULL, false, report_downlink},
        {HOME_NETWORK "Publish", &pb__routing__v1__publish_downlink_message_request__descriptor,
         &pb__routing__v1__publish_downlink_message_response__descriptor, RPC_HOT, NULL, NULL, NULL, false,
         publish_downlink},
        {HOME_NETWORK "Subscribe", &pb__routing__v1__subscribe_home_network_request__descriptor,
         &pb__v3__routed_uplink_message__descriptor, RPC_STREAM, NULL, subscribe_home_network, NULL},
        {PEER "RouteUplink", &pb__routing__v1__route_uplink_message_request__descriptor,
         &pb__routing__v1__route_message_response__descriptor, RPC_LOOP, NULL, router_peer_route_uplink, NULL},
        {PEER "RouteDownlink", &pb__routing__v1__route_downlink_message_request__descriptor,
         &pb__routing__v1__route_message_response__descriptor, RPC_LOOP, NULL, router_peer_route_downlink, NULL},
        {HOME_NETWORK "ReportUplinkMessageDeliveryState",
         &pb__routing__v1__uplink_message_delivery_state_change_request__descriptor,
         &google__protobuf__empty__descriptor, RPC_HOT, NULL, NULL, NULL, false, report_uplink},
        {"/lpx.routing.v1.ForwarderData/PublishStream", &lpx__routing__v1__publish_stream_request__descriptor,
         &lpx__routing__v1__publish_stream_response__descriptor, RPC_BIDI, NULL, router_publish_stream, NULL},
    };
    memcpy(self->methods, table, sizeof table);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        self->methods[i].service = self;
    }
}
