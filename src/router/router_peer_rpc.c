/* What other exchanges hand over. They call with a cluster's key that the file of peers names. A peer may not speak for
 * members of this exchange, and a message that was here before, or went a long way, goes no further. The message keeps
 * its id; reports on it count here, where it is given out, and are told to nobody else: there is no rpc for that. */
#include "codec/pb/pb.h"
#include "lpx_reasons.h"
#include "router/router_handed.h"
#include "router/router_join.h"
#include "router/router_map.h"
#include "router/router_passage.h"

static router_shard *shard_of(const rpc_call *call, void *service)
{
    router *self = service;
    return self->shards[io_loop_index(rpc_call_loop(call))];
}

/* ---- checks ---- */

static lpx_err find_peer(const rpc_call *call, const router *self, uint32_t *out, lpx_note *note)
{
    *out = router_peers_by_key(self->peers, rpc_call_principal(call)->key_id);
    return *out != ROUTER_NO_PEER ? LPX_SUCCESS
                                  : lpx_fail(note, ROUTER_NOT_A_PEER, "No peer in router.peers-file has the key-id %s.",
                                             rpc_call_principal(call)->key_id);
}

static lpx_err check_size(const router_shard *shard, const rpc_call *call, lpx_note *note)
{
    size_t len = rpc_call_raw(call).len;
    return len <= shard->router->max_message_bytes + ROUTER_PEER_ENVELOPE_BYTES
               ? LPX_SUCCESS
               : lpx_fail(note, ROUTER_PUBLISH_TOO_LARGE, "The request has %zu bytes; this exchange takes at most %u.",
                          len, (unsigned)shard->router->max_message_bytes + ROUTER_PEER_ENVELOPE_BYTES);
}

static lpx_err check_speaker(const router_shard *shard, uint32_t peer, uint32_t net_id, const char *field,
                             lpx_note *note)
{
    const router_peer *who = &shard->router->peers->list[peer];
    if (router_peer_speaks_for(who, net_id, router_tables_is_member(shard->tables, net_id))) {
        return LPX_SUCCESS;
    }
    return lpx_fail(note, ROUTER_PEER_SPOOF, "%s is %06X, a member of this exchange, for whom %s may not speak.", field,
                    (unsigned)net_id, who->name);
}

/* A message that goes no further is told all the same: its parties may ask what became of it. */
static void tell_hops(router_passage *p)
{
    traffic_outcome outcome = {.route = TRAFFIC_ROUTE_PEER, .drop = TRAFFIC_DROP_HOPS};
    p->hop_count = p->hop_count < ROUTER_MAX_HOPS ? p->hop_count : ROUTER_MAX_HOPS;
    router_counter_add(&p->shard->counts.dropped[p->direction][outcome.drop], 1);
    router_passage_tell(p, &outcome);
}

/* ---- after the passage ---- */

static Pb__V3__MessageDeliveryState state_of(const router_passage *p)
{
    if (p->effects.delivery_count > 0) {
        return PB__V3__MESSAGE_DELIVERY_STATE__DELIVERED;
    }
    return p->effects.hand_over.to > 0 ? PB__V3__MESSAGE_DELIVERY_STATE__FORWARDED
                                       : PB__V3__MESSAGE_DELIVERY_STATE__ACCEPTED;
}

static void answer(rpc_call *call, lpx_err err, const lpx_note *note, const router_passage *p)
{
    if (lpx_failed(err)) {
        rpc_fail(call, err, note);
        return;
    }
    Pb__Routing__V1__RouteMessageResponse reply;
    pb__routing__v1__route_message_response__init(&reply);
    reply.state = state_of(p);
    rpc_reply(call, &reply.base);
}

/* ---- uplinks ---- */

static uint64_t forwarder_hash(const router *self, traffic_endpoint forwarder)
{
    return router_hash_text(router_hash_member(self->loader.seed, traffic_member_of(forwarder)), forwarder.cluster_id);
}

static lpx_err take_uplink(router_shard *shard, rpc_call *call, const Pb__V3__RoutedUplinkMessage *message,
                           router_passage *p, lpx_note *note)
{
    uint32_t peer;
    router_uplink uplink;
    LPX_TRY(find_peer(call, shard->router, &peer, note));
    LPX_TRY(check_size(shard, call, note));
    LPX_TRY(router_handed_check_uplink(message, &uplink, note));
    router_shard_read_inbox(shard); /* who is a member */
    LPX_TRY(check_speaker(shard, peer, uplink.forwarder.net_id, "message.forwarder_net_id", note));
    uplink.now = io_loop_now(shard->loop).mono;
    uplink.came_by = peer + 1;
    *p = (router_passage){.shard = shard,
                          .arena = rpc_call_arena(call),
                          .direction = TRAFFIC_UP,
                          .up = &uplink,
                          .uplink = message->message,
                          .hops = message->hops,
                          .hop_count = message->n_hops,
                          .id = message->id,
                          .sender = shard->router->peers->list[peer].name};
    lpx_err err = router_handed_check_way(p->hops, p->hop_count, lpx_str_of(shard->router->name), note);
    if (lpx_failed(err)) {
        tell_hops(p);
        return err;
    }
    router_peers_hear(shard->router->peers, forwarder_hash(shard->router, uplink.forwarder), peer, uplink.now);
    return uplink.kind == TRAFFIC_JOIN ? router_join_run(p, note) : router_passage_run(p, note);
}

void router_peer_route_uplink(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const Pb__Routing__V1__RouteUplinkMessageRequest *request = (const void *)message;
    lpx_note note = {""};
    router_passage p = {.id = ""};
    lpx_err err = take_uplink(shard_of(call, service), call, request->message, &p, &note);
    answer(call, err, &note, &p);
}

/* ---- downlinks ---- */

uint32_t router_heard_by(router_shard *shard, traffic_endpoint forwarder)
{
    router *self = shard->router;
    if (self->peers == NULL || router_tables_is_member(shard->tables, forwarder.net_id)) {
        return 0;
    }
    uint32_t peer = router_peers_heard(self->peers, forwarder_hash(self, forwarder), io_loop_now(shard->loop).mono);
    return peer != ROUTER_NO_PEER ? peer + 1 : 0;
}

static lpx_err take_downlink(router_shard *shard, rpc_call *call, const Pb__V3__RoutedDownlinkMessage *message,
                             router_passage *p, lpx_note *note)
{
    uint32_t peer;
    router_downlink downlink;
    LPX_TRY(find_peer(call, shard->router, &peer, note));
    LPX_TRY(check_size(shard, call, note));
    LPX_TRY(router_handed_check_downlink(message, &downlink, note));
    router_shard_read_inbox(shard);
    LPX_TRY(check_speaker(shard, peer, downlink.home.net_id, "message.home_network_net_id", note));
    downlink.came_by = peer + 1;
    downlink.heard_by = router_heard_by(shard, downlink.forwarder);
    *p = (router_passage){.shard = shard,
                          .arena = rpc_call_arena(call),
                          .direction = TRAFFIC_DOWN,
                          .down = &downlink,
                          .downlink = message->message,
                          .hops = message->hops,
                          .hop_count = message->n_hops,
                          .id = message->id,
                          .sender = shard->router->peers->list[peer].name};
    lpx_err err = router_handed_check_way(p->hops, p->hop_count, lpx_str_of(shard->router->name), note);
    if (lpx_failed(err)) {
        tell_hops(p);
        return err;
    }
    return router_passage_run(p, note);
}

void router_peer_route_downlink(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const Pb__Routing__V1__RouteDownlinkMessageRequest *request = (const void *)message;
    lpx_note note = {""};
    router_passage p = {.id = ""};
    lpx_err err = take_downlink(shard_of(call, service), call, request->message, &p, &note);
    answer(call, err, &note, &p);
}
