/* The six methods of the data plane: check, ask the core, carry out its effects, answer, count, log. */
#include "codec/pb/pb.h"
#include "crypto/random.h"
#include "google_protobuf_empty.pb-c.h"
#include "lpx_reasons.h"
#include "router/router_map.h"
#include "router/router_strip.h"
#include "router/router_tell.h"

static router_shard *shard_of(const rpc_call *call, void *service)
{
    router *self = service;
    return self->shards[io_loop_index(rpc_call_loop(call))];
}

/* ---- ids ---- */

static lpx_err take_random(router_shard *shard, uint8_t out[static ROUTER_ID_RANDOM_BYTES])
{
    if (ROUTER_RANDOM_BYTES - shard->random_used < ROUTER_ID_RANDOM_BYTES) {
        LPX_TRY(crypto_random((lpx_space){shard->random, sizeof shard->random}));
        shard->random_used = 0;
    }
    memcpy(out, shard->random + shard->random_used, ROUTER_ID_RANDOM_BYTES);
    shard->random_used += ROUTER_ID_RANDOM_BYTES;
    return LPX_SUCCESS;
}

/* ---- publishing ---- */

/* One message on its way through: what was decided, and the copies that were encoded. */
typedef struct passage {
    router_shard *shard;
    traffic_direction direction;
    traffic_kind kind;
    traffic_endpoint forwarder;
    const router_uplink *looked_up;     /* uplinks */
    const router_downlink *looked_down; /* downlinks */
    const Pb__V3__UplinkMessage *uplink;
    const Pb__V3__DownlinkMessage *downlink;
    char id[ROUTER_ID_TEXT_BYTES];
    char *sender; /* name of the party that published it */
    router_effects effects;
    router_copy **copies; /* by delivery; several may be the same */
    size_t copy_bytes;
} passage;

/* Name of a party in hops: "000013/tenant@cluster". @return NULL when memory is short */
static char *party_name(lpx_arena *arena, traffic_endpoint party)
{
    return lpx_arena_printf(arena, "%06X%s%.*s%s%.*s", (unsigned)party.net_id, party.tenant_id.len > 0 ? "/" : "",
                            (int)party.tenant_id.len, party.tenant_id.ptr, party.cluster_id.len > 0 ? "@" : "",
                            (int)party.cluster_id.len, party.cluster_id.ptr);
}

static lpx_err start_passage(passage *p, rpc_call *call, traffic_endpoint sender)
{
    router_id_parts parts = {
        .now = io_loop_now(p->shard->loop).utc,
        .direction = p->direction,
        .kind = p->kind,
        .forwarder = traffic_member_of(p->forwarder),
        .home = traffic_member_of(sender), /* counts for downlinks only */
    };
    LPX_TRY(take_random(p->shard, parts.random));
    router_id_make(&p->shard->router->id_key, &parts, p->id);
    p->effects.arena = rpc_call_arena(call);
    p->sender = party_name(p->effects.arena, sender);
    return p->sender != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

/* Text of ids and endpoints for a message: protobuf-c wants NUL-ended strings. */
static char *cstr(lpx_arena *arena, lpx_str text, bool *ok)
{
    char *copy = lpx_arena_cstr(arena, text);
    *ok = *ok && copy != NULL;
    return copy;
}

static Google__Protobuf__Timestamp timestamp_of(lpx_utc t)
{
    Google__Protobuf__Timestamp out;
    google__protobuf__timestamp__init(&out);
    out.seconds = t.us / 1000000;
    out.nanos = (int32_t)(t.us % 1000000 * 1000);
    return out;
}

/* The hop from the publisher to this exchange. Where the publisher sits (its address) is nobody else's business. */
typedef struct hop_room {
    Google__Protobuf__Timestamp received_at;
    Pb__V3__RouteHop hop, *list[1];
} hop_room;

static void make_hop(const passage *p, hop_room *room)
{
    static char agent[] = "lpx";
    room->received_at = timestamp_of(io_loop_now(p->shard->loop).utc);
    pb__v3__route_hop__init(&room->hop);
    room->hop.received_at = &room->received_at;
    room->hop.sender_name = p->sender;
    room->hop.receiver_name = p->shard->router->name;
    room->hop.receiver_agent = agent;
    room->hop.protocol = PB__V3__PROTOCOL__GRPC;
    room->list[0] = &room->hop;
}

/* Encode the copy for a home network. */
static lpx_err make_copy(passage *p, traffic_endpoint home, const ProtobufCMessage *message, router_copy **out)
{
    lpx_buf *buf = &p->shard->scratch;
    router_copy_about about = {
        .id = {p->id, ROUTER_ID_CHARS},
        .direction = p->direction,
        .kind = p->kind,
        .forwarder = p->forwarder,
        .home = home,
    };
    lpx_buf_clear(buf);
    pb_append(message, buf);
    bool fits = !lpx_buf_failed(buf);
    *out = fits ? router_copy_new(&about, lpx_buf_view(buf)) : NULL;
    if (buf->room > ROUTER_SCRATCH_KEEP_BYTES) {
        lpx_buf_fini(buf);
        lpx_buf_init(buf, ROUTER_MESSAGE_BYTES);
    }
    return *out != NULL ? LPX_SUCCESS : lpx_err_of(fits ? BASE_NO_MEMORY : ROUTER_TOO_LARGE);
}

static lpx_err encode_uplink(passage *p, const router_delivery *d, router_copy **out)
{
    lpx_arena *arena = p->effects.arena;
    const Pb__V3__UplinkMessage *message;
    LPX_TRY(router_strip_uplink(p->uplink, d->strip, arena, &message));
    bool ok = true;
    Google__Protobuf__Timestamp time = timestamp_of(io_loop_now(p->shard->loop).utc);
    Pb__V3__RoutedUplinkMessage routed;
    pb__v3__routed_uplink_message__init(&routed);
    routed.time = &time;
    routed.id = p->id;
    routed.forwarder_net_id = p->forwarder.net_id;
    routed.forwarder_tenant_id = cstr(arena, p->forwarder.tenant_id, &ok);
    routed.forwarder_cluster_id = cstr(arena, p->forwarder.cluster_id, &ok);
    routed.home_network_net_id = d->home.net_id;
    routed.home_network_tenant_id = cstr(arena, d->home.tenant_id, &ok);
    routed.home_network_cluster_id = cstr(arena, d->home.cluster_id, &ok);
    routed.message = (Pb__V3__UplinkMessage *)(uintptr_t)message;
    hop_room hop;
    make_hop(p, &hop);
    routed.n_hops = 1;
    routed.hops = hop.list;
    return ok ? make_copy(p, d->home, &routed.base, out) : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err encode_downlink(passage *p, const router_delivery *d, router_copy **out)
{
    lpx_arena *arena = p->effects.arena;
    const Pb__V3__DownlinkMessage *message;
    LPX_TRY(router_fill_downlink(p->downlink, arena, &message));
    bool ok = true;
    Google__Protobuf__Timestamp time = timestamp_of(io_loop_now(p->shard->loop).utc);
    Pb__V3__RoutedDownlinkMessage routed;
    pb__v3__routed_downlink_message__init(&routed);
    routed.time = &time;
    routed.id = p->id;
    routed.home_network_net_id = d->home.net_id;
    routed.home_network_tenant_id = cstr(arena, d->home.tenant_id, &ok);
    routed.home_network_cluster_id = cstr(arena, d->home.cluster_id, &ok);
    routed.forwarder_net_id = p->forwarder.net_id;
    routed.forwarder_tenant_id = cstr(arena, p->forwarder.tenant_id, &ok);
    routed.forwarder_cluster_id = cstr(arena, p->forwarder.cluster_id, &ok);
    routed.message = (Pb__V3__DownlinkMessage *)(uintptr_t)message;
    hop_room hop;
    make_hop(p, &hop);
    routed.n_hops = 1;
    routed.hops = hop.list;
    return ok ? make_copy(p, d->home, &routed.base, out) : lpx_err_of(BASE_NO_MEMORY);
}

static bool same_copy(const router_delivery *a, const router_delivery *b)
{
    return a->strip == b->strip && traffic_member_equal(traffic_member_of(a->home), traffic_member_of(b->home)) &&
           lpx_str_equal(a->home.cluster_id, b->home.cluster_id);
}

/* The copy of an earlier delivery that is equal to this one; NULL when there is none nearby. */
static router_copy *find_copy(const passage *p, size_t index)
{
    const router_delivery *list = p->effects.deliveries;
    size_t first = index > ROUTER_COPIES_KEPT ? index - ROUTER_COPIES_KEPT : 0;
    for (size_t i = index; i > first; i--) {
        if (same_copy(&list[i - 1], &list[index])) {
            return p->copies[i - 1];
        }
    }
    return NULL;
}

static lpx_err encode_copy(passage *p, size_t index, lpx_note *note)
{
    const router_delivery *d = &p->effects.deliveries[index];
    router_copy *known = find_copy(p, index);
    if (known != NULL) {
        p->copies[index] = router_copy_ref(known);
        return LPX_SUCCESS;
    }
    LPX_TRY(p->direction == TRAFFIC_UP ? encode_uplink(p, d, &p->copies[index])
                                       : encode_downlink(p, d, &p->copies[index]));
    p->copy_bytes += router_copy_message(p->copies[index]).len;
    if (p->copy_bytes > ROUTER_COPY_BYTES) {
        return lpx_fail(note, ROUTER_TOO_LARGE,
                        "The copies of this message for its receivers are over %d MiB together.",
                        ROUTER_COPY_BYTES >> 20);
    }
    return LPX_SUCCESS;
}

/* Encode all copies before the first one leaves, so that a failed call delivered nothing. */
static lpx_err encode_all(passage *p, lpx_note *note)
{
    size_t count = p->effects.delivery_count;
    p->copies = lpx_arena_array(p->effects.arena, count, sizeof(*p->copies));
    if (p->copies == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        LPX_TRY(encode_copy(p, i, note));
    }
    return LPX_SUCCESS;
}

static void log_drop(const passage *p, const traffic_outcome *outcome)
{
    LPX_LOG(LPX_LOG_DEBUG, p->direction == TRAFFIC_UP ? "uplink_dropped" : "downlink_dropped",
            LPX_F_STR("id", lpx_str_of(p->id)), LPX_F_STR("reason", lpx_str_of(traffic_drop_name(outcome->drop))),
            LPX_F_HEX("forwarder_net_id", p->forwarder.net_id, 6),
            LPX_F_STR("forwarder_tenant_id", p->forwarder.tenant_id), LPX_F_HEX("home_net_id", outcome->home.net_id, 6),
            LPX_F_STR("home_tenant_id", outcome->home.tenant_id));
}

/* Tell those who observe. */
static void tell(const passage *p)
{
    lpx_str hop = lpx_str_of(p->sender);
    traffic_passage told = {
        .time = io_loop_now(p->shard->loop).utc,
        .id = {p->id, ROUTER_ID_CHARS},
        .direction = p->direction,
        .kind = p->kind,
        .forwarder = p->forwarder,
        .hops = &hop,
        .hop_count = 1,
        .outcomes = p->effects.outcomes,
        .outcome_count = p->effects.outcome_count,
    };
    if (p->direction == TRAFFIC_UP) {
        told.dev_addr = p->looked_up->dev_addr;
        told.f_port = p->looked_up->f_port;
        told.join_eui = p->looked_up->join_eui;
        told.dev_eui = p->looked_up->dev_eui;
    } else {
        told.dev_addr = p->looked_down->dev_addr;
        told.f_port = p->looked_down->f_port;
    }
    router_tell_passed(p->shard, &told);
}

static void carry_out(passage *p)
{
    router_shard_counts *counts = &p->shard->counts;
    router_counter_add(&counts->published[p->direction][p->kind], 1);
    router_counter_add(&counts->routed[p->direction][p->kind], p->effects.delivery_count);
    tell(p);
    for (size_t i = 0; i < p->effects.delivery_count; i++) {
        router_shard_deliver(p->shard, p->effects.deliveries[i].sub, p->copies[i]);
    }
    for (size_t i = 0; i < p->effects.outcome_count; i++) {
        const traffic_outcome *outcome = &p->effects.outcomes[i];
        router_routes_add(&p->shard->routes, p->direction, traffic_member_of(p->forwarder), outcome);
        if (!outcome->delivered) {
            router_counter_add(&counts->dropped[p->direction][outcome->drop], 1);
            log_drop(p, outcome);
        }
    }
}

/* Encode and give out what the core decided. */
static lpx_err finish_passage(passage *p, lpx_note *note)
{
    lpx_err err = encode_all(p, note);
    if (!lpx_failed(err)) {
        carry_out(p);
    }
    for (size_t i = 0; p->copies != NULL && i < p->effects.delivery_count; i++) {
        router_copy_unref(&p->copies[i]);
    }
    return err;
}

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
                           const Pb__Routing__V1__PublishUplinkMessageRequest *request, passage *p, lpx_note *note)
{
    router_uplink uplink;
    LPX_TRY(check_size(shard, call, note));
    LPX_TRY(router_check_uplink(request, &uplink, note));
    uplink.now = io_loop_now(shard->loop).mono;
    router_shard_read_inbox(shard);
    *p = (passage){.shard = shard,
                   .direction = TRAFFIC_UP,
                   .kind = uplink.kind,
                   .forwarder = uplink.forwarder,
                   .looked_up = &uplink,
                   .uplink = request->message};
    LPX_TRY(start_passage(p, call, uplink.forwarder));
    LPX_TRY(router_route_uplink(shard->tables, shard->dir, &uplink, &p->effects));
    return finish_passage(p, note);
}

static void publish_uplink(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const void *request = message;
    lpx_note note = {""};
    passage p;
    lpx_err err = pass_uplink(shard_of(call, service), call, request, &p, &note);
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
        return;
    }
    Pb__Routing__V1__PublishUplinkMessageResponse reply;
    pb__routing__v1__publish_uplink_message_response__init(&reply);
    reply.id = p.id;
    rpc_reply(call, &reply.base);
}

static lpx_err pass_downlink(router_shard *shard, rpc_call *call,
                             const Pb__Routing__V1__PublishDownlinkMessageRequest *request, passage *p, lpx_note *note)
{
    router_downlink downlink;
    LPX_TRY(check_size(shard, call, note));
    LPX_TRY(router_check_downlink(request, &downlink, note));
    router_shard_read_inbox(shard);
    *p = (passage){.shard = shard,
                   .direction = TRAFFIC_DOWN,
                   .kind = downlink.kind,
                   .forwarder = downlink.forwarder,
                   .looked_down = &downlink,
                   .downlink = request->message};
    LPX_TRY(start_passage(p, call, downlink.home));
    LPX_TRY(router_route_downlink(shard->tables, shard->dir, &downlink, &p->effects));
    return finish_passage(p, note);
}

static void publish_downlink(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const void *request = message;
    lpx_note note = {""};
    passage p;
    lpx_err err = pass_downlink(shard_of(call, service), call, request, &p, &note);
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
        return;
    }
    Pb__Routing__V1__PublishDownlinkMessageResponse reply;
    pb__routing__v1__publish_downlink_message_response__init(&reply);
    reply.id = p.id;
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
    if (!router_id_check(&shard->router->id_key, report->id, &claim, &id)) {
        router_counter_add(&shard->counts.reports[report->direction][ROUTER_REPORT_UNKNOWN], 1);
        return;
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
        {HOME_NETWORK "ReportUplinkMessageDeliveryState",
         &pb__routing__v1__uplink_message_delivery_state_change_request__descriptor,
         &google__protobuf__empty__descriptor, RPC_LOOP, NULL, report_uplink, NULL},
    };
    memcpy(self->methods, table, sizeof table);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        self->methods[i].service = self;
    }
}
