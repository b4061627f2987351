#include "router/router_handed.h"

#include "codec/pb/pb.h"
#include "lpx_reasons.h"

/* Hops that are kept and told are few, and their names short. */
static lpx_err check_hop_names(Pb__V3__RouteHop *const *hops, size_t count, lpx_note *note)
{
    for (size_t i = 0; i < count; i++) {
        if (pb_str(hops[i]->sender_name).len > ROUTER_HOP_NAME_BYTES ||
            pb_str(hops[i]->receiver_name).len > ROUTER_HOP_NAME_BYTES) {
            return lpx_fail(note, ROUTER_BAD_HOP, "message.hops[%zu] has a name of more than %d bytes.", i,
                            ROUTER_HOP_NAME_BYTES);
        }
    }
    return LPX_SUCCESS;
}

static lpx_err check_id(lpx_str id, lpx_note *note)
{
    bool good = id.len > 0 && id.len <= ROUTER_PEER_ID_BYTES;
    for (size_t i = 0; good && i < id.len; i++) {
        good = id.ptr[i] > ' ' && id.ptr[i] <= '~';
    }
    return good ? LPX_SUCCESS : lpx_fail(note, ROUTER_BAD_ID, "message.id must have 1 to 80 printable characters.");
}

lpx_err router_handed_check_uplink(const Pb__V3__RoutedUplinkMessage *in, router_uplink *out, lpx_note *note)
{
    if (in == NULL) {
        return lpx_fail(note, ROUTER_FIELD_MISSING, "message is missing.");
    }
    Pb__Routing__V1__PublishUplinkMessageRequest request; /* the parts of it that a publisher would send */
    pb__routing__v1__publish_uplink_message_request__init(&request);
    request.forwarder_net_id = in->forwarder_net_id;
    request.forwarder_tenant_id = in->forwarder_tenant_id;
    request.forwarder_cluster_id = in->forwarder_cluster_id;
    request.message = in->message;
    LPX_TRY(check_id(pb_str(in->id), note));
    LPX_TRY(check_hop_names(in->hops, in->n_hops, note));
    return router_check_uplink(&request, out, note);
}

lpx_err router_handed_check_downlink(const Pb__V3__RoutedDownlinkMessage *in, router_downlink *out, lpx_note *note)
{
    if (in == NULL) {
        return lpx_fail(note, ROUTER_FIELD_MISSING, "message is missing.");
    }
    Pb__Routing__V1__PublishDownlinkMessageRequest request;
    pb__routing__v1__publish_downlink_message_request__init(&request);
    request.home_network_net_id = in->home_network_net_id;
    request.home_network_tenant_id = in->home_network_tenant_id;
    request.home_network_cluster_id = in->home_network_cluster_id;
    request.forwarder_net_id = in->forwarder_net_id;
    request.forwarder_tenant_id = in->forwarder_tenant_id;
    request.forwarder_cluster_id = in->forwarder_cluster_id;
    request.message = in->message;
    LPX_TRY(check_id(pb_str(in->id), note));
    LPX_TRY(check_hop_names(in->hops, in->n_hops, note));
    return router_check_downlink(&request, out, note);
}

lpx_err router_handed_check_way(Pb__V3__RouteHop *const *hops, size_t count, lpx_str own, lpx_note *note)
{
    if (count > ROUTER_MAX_HOPS) {
        return lpx_fail(note, ROUTER_BEEN_HERE, "The message has %zu hops; it may have %d.", count, ROUTER_MAX_HOPS);
    }
    for (size_t i = 0; i < count; i++) {
        if (lpx_str_equal(pb_str(hops[i]->receiver_name), own) || lpx_str_equal(pb_str(hops[i]->sender_name), own)) {
            return lpx_fail(note, ROUTER_BEEN_HERE, "The message has been here before.");
        }
    }
    return LPX_SUCCESS;
}
