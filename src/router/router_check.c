#include "router/router_check.h"

#include "codec/pb/pb.h"
#include "lorawan/phy.h"
#include "lpx_reasons.h"

/* ---- members and clusters ---- */

/* Names of the fields of one side, for notes. */
typedef struct side {
    const char *net, *tenant, *cluster;
} side;

static const side forwarder_side = {"forwarder_net_id", "forwarder_tenant_id", "forwarder_cluster_id"};
static const side home_side = {"home_network_net_id", "home_network_tenant_id", "home_network_cluster_id"};
static const side report_forwarder_side = {"state_change.forwarder_net_id", "state_change.forwarder_tenant_id",
                                           "state_change.forwarder_cluster_id"};
static const side report_home_side = {"state_change.home_network_net_id", "state_change.home_network_tenant_id",
                                      "state_change.home_network_cluster_id"};

static lpx_err check_endpoint(const side *names, traffic_endpoint endpoint, lpx_note *note)
{
    LPX_TRY(lw_netid_check(endpoint.net_id, names->net, note));
    if (endpoint.tenant_id.len > 0) {
        LPX_TRY(lw_tenant_id_check(endpoint.tenant_id, names->tenant, note));
    }
    if (endpoint.cluster_id.len > 0) {
        LPX_TRY(lw_cluster_id_check(endpoint.cluster_id, names->cluster, note));
    }
    return LPX_SUCCESS;
}

static traffic_endpoint make_endpoint(uint32_t net_id, const char *tenant_id, const char *cluster_id)
{
    return (traffic_endpoint){net_id, pb_str(tenant_id), pb_str(cluster_id)};
}

/* ---- payloads ---- */

/* Decode a PHYPayload; the note says which field it is, what is wrong and where. */
static lpx_err decode_payload(lpx_bytes payload, const char *field, lw_phy *out, lpx_note *note)
{
    lpx_note inner = {.text = ""};
    lpx_err err = lw_phy_decode(payload, &inner, out);
    if (lpx_failed(err)) {
        return lpx_fail(note, err.reason, "%s: %s", field,
                        inner.text[0] != '\0' ? inner.text : lpx_reason_text(err.reason));
    }
    return LPX_SUCCESS;
}

static lpx_err look_at_plain(lpx_bytes payload, router_uplink *out, lpx_note *note)
{
    lw_phy phy;
    LPX_TRY(decode_payload(payload, "message.phy_payload.plain", &phy, note));
    if (phy.mtype == LW_JOIN_REQUEST) {
        out->kind = TRAFFIC_JOIN;
        out->join_eui = phy.join_request.join_eui.value;
        out->dev_eui = phy.join_request.dev_eui.value;
        return LPX_SUCCESS;
    }
    if (!lw_mtype_is_data(phy.mtype) || !lw_mtype_is_uplink(phy.mtype)) {
        return lpx_fail(note, ROUTER_PAYLOAD_TYPE,
                        "message.phy_payload.plain is a frame of type \"%s\"; an uplink must be a join-request or a "
                        "data uplink.",
                        lw_mtype_name(phy.mtype));
    }
    out->kind = TRAFFIC_DATA;
    out->dev_addr = phy.data.dev_addr.value;
    out->f_port = phy.data.f_port;
    out->f_opts = phy.data.f_opts.len > 0;
    out->confirmed = phy.mtype == LW_CONFIRMED_UP;
    return LPX_SUCCESS;
}

static lpx_err look_at_teaser(const router_uplink_fields *in, router_uplink *out, lpx_note *note)
{
    switch (in->teaser) {
    case ROUTER_TEASER_JOIN:
        out->kind = TRAFFIC_JOIN;
        out->join_eui = in->join_eui;
        out->dev_eui = in->dev_eui;
        return LPX_SUCCESS;
    case ROUTER_TEASER_MAC:
        break;
    case ROUTER_TEASER_NONE:
        return lpx_fail(note, ROUTER_FIELD_MISSING,
                        "message.phy_payload.teaser must have join_request or mac when the payload is encrypted.");
    }
    if (in->f_port > UINT8_MAX) {
        return lpx_fail(note, ROUTER_PAYLOAD_TYPE, "message.phy_payload.teaser.mac.f_port is %u; it must be 0 to 255.",
                        in->f_port);
    }
    out->kind = TRAFFIC_DATA;
    out->dev_addr = in->dev_addr;
    out->f_port = in->f_port;
    out->f_opts = in->f_opts;
    out->confirmed = in->confirmed;
    return LPX_SUCCESS;
}

static lpx_err look_at_payload(const router_uplink_fields *in, router_uplink *out, lpx_note *note)
{
    if (!in->has_payload) {
        return lpx_fail(note, ROUTER_FIELD_MISSING, "message.phy_payload is missing.");
    }
    out->payload_hash = in->payload_hash;
    if (in->is_plain) {
        out->plain = in->plain;
        return look_at_plain(in->plain, out, note);
    }
    if (in->is_encrypted) {
        return look_at_teaser(in, out, note);
    }
    return lpx_fail(note, ROUTER_FIELD_MISSING, "message.phy_payload must have plain or encrypted.");
}

static lpx_err check_gateway_id(const router_uplink_fields *in, lpx_note *note)
{
    if (in->has_gateway_id && !in->names_gateway) {
        return lpx_fail(note, ROUTER_BAD_GATEWAY_ID, "message.gateway_id must have eui, plain or hash.");
    }
    if (in->hashes_gateway && in->gateway_hash_len != 32) {
        return lpx_fail(note, ROUTER_BAD_GATEWAY_ID, "message.gateway_id.hash has %zu bytes; it must have 32.",
                        in->gateway_hash_len);
    }
    return LPX_SUCCESS;
}

/* ---- publishing ---- */

static void teaser_fields(const Pb__V3__PHYPayloadTeaser *teaser, router_uplink_fields *out)
{
    out->payload_hash = pb_bytes(teaser->hash);
    if (teaser->payload_case == PB__V3__PHYPAYLOAD_TEASER__PAYLOAD_JOIN_REQUEST && teaser->join_request != NULL) {
        out->teaser = ROUTER_TEASER_JOIN;
        out->join_eui = teaser->join_request->join_eui;
        out->dev_eui = teaser->join_request->dev_eui;
    }
    if (teaser->payload_case == PB__V3__PHYPAYLOAD_TEASER__PAYLOAD_MAC && teaser->mac != NULL) {
        out->teaser = ROUTER_TEASER_MAC;
        out->dev_addr = teaser->mac->dev_addr;
        out->f_port = teaser->mac->f_port;
        out->f_opts = teaser->mac->f_opts;
        out->confirmed = teaser->mac->confirmed;
    }
}

static void gateway_fields(const Pb__V3__GatewayIdentifier *id, router_uplink_fields *out)
{
    out->has_gateway_id = true;
    out->names_gateway = id->eui != NULL || id->id_case != PB__V3__GATEWAY_IDENTIFIER__ID__NOT_SET;
    out->hashes_gateway = id->id_case == PB__V3__GATEWAY_IDENTIFIER__ID_HASH;
    out->gateway_hash_len = out->hashes_gateway ? id->hash.len : 0;
}

static void metadata_fields(const Pb__V3__UplinkMessage__GatewayMetadata *metadata, router_uplink_fields *out)
{
    out->has_metadata = true;
    out->has_signal_quality =
        metadata->signal_quality_case != PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY__NOT_SET;
    out->has_localization =
        metadata->localization_case != PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION__NOT_SET;
}

void router_uplink_fields_of(const Pb__Routing__V1__PublishUplinkMessageRequest *in, router_uplink_fields *out)
{
    *out = (router_uplink_fields){
        .forwarder = make_endpoint(in->forwarder_net_id, in->forwarder_tenant_id, in->forwarder_cluster_id),
        .has_message = in->message != NULL,
    };
    const Pb__V3__UplinkMessage__PHYPayload *payload = in->message != NULL ? in->message->phy_payload : NULL;
    if (payload != NULL) {
        out->has_payload = true;
        out->is_plain = payload->value_case == PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
        out->is_encrypted = payload->value_case == PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_ENCRYPTED;
        out->plain = out->is_plain ? pb_bytes(payload->plain) : (lpx_bytes){NULL, 0};
    }
    if (payload != NULL && payload->teaser != NULL) {
        teaser_fields(payload->teaser, out);
    }
    if (in->message != NULL && in->message->gateway_id != NULL) {
        gateway_fields(in->message->gateway_id, out);
    }
    if (in->message != NULL && in->message->gateway_metadata != NULL) {
        metadata_fields(in->message->gateway_metadata, out);
    }
}

lpx_err router_check_uplink_fields(const router_uplink_fields *in, router_uplink *out, lpx_note *note)
{
    LPX_TRY(check_endpoint(&forwarder_side, in->forwarder, note));
    if (!in->has_message) {
        return lpx_fail(note, ROUTER_FIELD_MISSING, "message is missing.");
    }
    *out = (router_uplink){
        .forwarder = in->forwarder,
        .has_metadata = in->has_metadata,
        .has_signal_quality = in->has_signal_quality,
        .has_localization = in->has_localization,
    };
    LPX_TRY(look_at_payload(in, out, note));
    return check_gateway_id(in, note);
}

lpx_err router_check_uplink(const Pb__Routing__V1__PublishUplinkMessageRequest *in, router_uplink *out, lpx_note *note)
{
    router_uplink_fields fields;
    router_uplink_fields_of(in, &fields);
    return router_check_uplink_fields(&fields, out, note);
}

void router_downlink_fields_of(const Pb__Routing__V1__PublishDownlinkMessageRequest *in, router_downlink_fields *out)
{
    *out = (router_downlink_fields){
        .home = make_endpoint(in->home_network_net_id, in->home_network_tenant_id, in->home_network_cluster_id),
        .forwarder = make_endpoint(in->forwarder_net_id, in->forwarder_tenant_id, in->forwarder_cluster_id),
        .has_message = in->message != NULL,
        .payload = in->message != NULL ? pb_bytes(in->message->phy_payload) : (lpx_bytes){NULL, 0},
    };
}

lpx_err router_check_downlink_fields(const router_downlink_fields *in, router_downlink *out, lpx_note *note)
{
    router_downlink downlink = {.home = in->home, .forwarder = in->forwarder};
    LPX_TRY(check_endpoint(&home_side, downlink.home, note));
    LPX_TRY(check_endpoint(&forwarder_side, downlink.forwarder, note));
    if (in->payload.len == 0) {
        return lpx_fail(note, ROUTER_FIELD_MISSING, "%s is missing.",
                        in->has_message ? "message.phy_payload" : "message");
    }
    lw_phy phy;
    LPX_TRY(decode_payload(in->payload, "message.phy_payload", &phy, note));
    bool data = phy.mtype == LW_UNCONFIRMED_DOWN || phy.mtype == LW_CONFIRMED_DOWN;
    if (!data && phy.mtype != LW_JOIN_ACCEPT) {
        return lpx_fail(note, ROUTER_PAYLOAD_TYPE,
                        "message.phy_payload is a frame of type \"%s\"; a downlink must be a join-accept or a data "
                        "downlink.",
                        lw_mtype_name(phy.mtype));
    }
    downlink.kind = data ? TRAFFIC_DATA : TRAFFIC_JOIN;
    downlink.dev_addr = data ? phy.data.dev_addr.value : 0;
    downlink.f_port = data ? phy.data.f_port : 0;
    *out = downlink;
    return LPX_SUCCESS;
}

lpx_err router_check_downlink(const Pb__Routing__V1__PublishDownlinkMessageRequest *in, router_downlink *out,
                              lpx_note *note)
{
    router_downlink_fields fields;
    router_downlink_fields_of(in, &fields);
    return router_check_downlink_fields(&fields, out, note);
}

/* ---- subscribing ---- */

static lpx_err check_group(lpx_str group, lpx_note *note)
{
    return group.len > 0 ? lw_cluster_id_check(group, "group", note) : LPX_SUCCESS;
}

lpx_err router_check_forwarder(const Pb__Routing__V1__SubscribeForwarderRequest *in, router_sub_spec *out,
                               lpx_note *note)
{
    router_sub_spec spec = {
        .direction = TRAFFIC_DOWN,
        .endpoint = make_endpoint(in->forwarder_net_id, in->forwarder_tenant_id, in->forwarder_cluster_id),
        .group = pb_str(in->group),
    };
    LPX_TRY(check_endpoint(&forwarder_side, spec.endpoint, note));
    LPX_TRY(check_group(spec.group, note));
    *out = spec;
    return LPX_SUCCESS;
}

lpx_err router_check_home_network(const Pb__Routing__V1__SubscribeHomeNetworkRequest *in, lpx_arena *arena,
                                  router_sub_spec *out, lpx_note *note)
{
    router_sub_spec spec = {
        .direction = TRAFFIC_UP,
        .endpoint = make_endpoint(in->home_network_net_id, in->home_network_tenant_id, in->home_network_cluster_id),
        .group = pb_str(in->group),
        .filter_count = in->n_filters,
    };
    LPX_TRY(check_endpoint(&home_side, spec.endpoint, note));
    LPX_TRY(check_group(spec.group, note));
    LPX_TRY(router_filters_decode(in->filters, in->n_filters, arena, &spec.filters, note));
    *out = spec;
    return LPX_SUCCESS;
}

/* ---- reports ---- */

bool router_uplink_report_of(const Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest *in, router_report *out)
{
    const Pb__V3__UplinkMessageDeliveryStateChange *change = in->state_change;
    *out = (router_report){.direction = TRAFFIC_UP};
    if (change == NULL) {
        return false;
    }
    out->id = pb_str(change->id);
    out->forwarder = make_endpoint(change->forwarder_net_id, change->forwarder_tenant_id, change->forwarder_cluster_id);
    out->home =
        make_endpoint(change->home_network_net_id, change->home_network_tenant_id, change->home_network_cluster_id);
    out->processed = change->state == PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED;
    out->failed = change->error != NULL;
    out->error = change->error != NULL ? (int)change->error->value : 0;
    return true;
}

bool router_downlink_report_of(const Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest *in, router_report *out)
{
    const Pb__V3__DownlinkMessageDeliveryStateChange *change = in->state_change;
    *out = (router_report){.direction = TRAFFIC_DOWN};
    if (change == NULL) {
        return false;
    }
    out->id = pb_str(change->id);
    out->forwarder = make_endpoint(change->forwarder_net_id, change->forwarder_tenant_id, change->forwarder_cluster_id);
    out->home =
        make_endpoint(change->home_network_net_id, change->home_network_tenant_id, change->home_network_cluster_id);
    out->processed = change->state == PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED;
    out->failed = change->result_case == PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__RESULT_ERROR;
    out->succeeded = change->result_case == PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__RESULT_SUCCESS;
    out->error = out->failed ? (int)change->error : 0;
    return true;
}

lpx_err router_check_report(const router_report *report, bool is_there, lpx_note *note)
{
    if (!is_there) {
        return lpx_fail(note, ROUTER_FIELD_MISSING, "state_change is missing.");
    }
    LPX_TRY(check_endpoint(&report_home_side, report->home, note));
    LPX_TRY(check_endpoint(&report_forwarder_side, report->forwarder, note));
    if ((report->failed || report->succeeded) && !report->processed) {
        return lpx_fail(note, ROUTER_BAD_REPORT,
                        "state_change.%s may be set only when state_change.state is PROCESSED.",
                        report->failed ? "error" : "success");
    }
    return LPX_SUCCESS;
}

lpx_err router_check_uplink_report(const Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest *in,
                                   router_report *out, lpx_note *note)
{
    bool is_there = router_uplink_report_of(in, out);
    return router_check_report(out, is_there, note);
}

lpx_err router_check_downlink_report(const Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest *in,
                                     router_report *out, lpx_note *note)
{
    bool is_there = router_downlink_report_of(in, out);
    return router_check_report(out, is_there, note);
}
