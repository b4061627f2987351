/* GatewayVisibilityManager: requests to rows. Who may call for which forwarder was decided before (rpc/authz.c). */
#include "control/control_priv.h"
#include "control/control_visibility_store.h"
#include "lpx_reasons.h"

static lpx_err set_visibility(store_tx *tx, rpc_txn *txn, bool is_default)
{
    control_visibility v;
    bool changed = true;
    LPX_TRY(control_visibility_read(CONTROL_REQUEST(Pb__Mapping__V2__SetGatewayVisibilityRequest, txn), is_default, &v,
                                    &txn->note));
    v.updated_at = txn->now;
    if (v.flags == 0) { /* nothing to see is no visibility */
        LPX_TRY(control_visibility_delete(tx, &v, &changed));
    } else {
        LPX_TRY(control_must_be_registered(tx, &v.forwarder, CONTROL_FORWARDER_UNKNOWN, &txn->note));
        LPX_TRY(control_visibility_put(tx, &v));
    }
    if (changed) {
        store_touch(tx, STORE_TOPIC_VISIBILITIES);
    }
    return LPX_SUCCESS;
}

lpx_err control_set_default_visibility(store_tx *tx, rpc_txn *txn)
{
    return set_visibility(tx, txn, true);
}

lpx_err control_set_home_network_visibility(store_tx *tx, rpc_txn *txn)
{
    return set_visibility(tx, txn, false);
}

static lpx_err get_visibility(store_tx *tx, rpc_txn *txn, control_visibility *v)
{
    bool found;
    LPX_TRY(control_visibility_get(tx, v, &found));
    if (!found) {
        return lpx_fail(&txn->note, CONTROL_VISIBILITY_UNKNOWN, "Forwarder %06X has no such gateway visibility.",
                        (unsigned)v->forwarder.net_id);
    }
    Pb__Mapping__V2__GetGatewayVisibilityResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__mapping__v2__get_gateway_visibility_response__init(reply);
    reply->visibility = control_visibility_to_message(v, txn->arena);
    txn->reply = &reply->base;
    return reply->visibility != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

lpx_err control_get_default_visibility(store_tx *tx, rpc_txn *txn)
{
    const Pb__Mapping__V2__GetDefaultGatewayVisibilityRequest *in =
        CONTROL_REQUEST(Pb__Mapping__V2__GetDefaultGatewayVisibilityRequest, txn);
    control_visibility v = {.forwarder = {.net_id = in->forwarder_net_id, .tenant_id = pb_str(in->forwarder_tenant_id)},
                            .is_default = true,
                            .home = {.tenant_id = LPX_STR("")}};
    LPX_TRY(control_id_check(&v.forwarder, "forwarder_net_id", "forwarder_tenant_id", &txn->note));
    return get_visibility(tx, txn, &v);
}

lpx_err control_get_home_network_visibility(store_tx *tx, rpc_txn *txn)
{
    const Pb__Mapping__V2__GetHomeNetworkGatewayVisibilityRequest *in =
        CONTROL_REQUEST(Pb__Mapping__V2__GetHomeNetworkGatewayVisibilityRequest, txn);
    control_visibility v = {
        .forwarder = {.net_id = in->forwarder_net_id, .tenant_id = pb_str(in->forwarder_tenant_id)},
        .home = {.net_id = in->home_network_net_id, .tenant_id = pb_str(in->home_network_tenant_id)}};
    LPX_TRY(control_id_check(&v.forwarder, "forwarder_net_id", "forwarder_tenant_id", &txn->note));
    LPX_TRY(control_id_check(&v.home, "home_network_net_id", "home_network_tenant_id", &txn->note));
    return get_visibility(tx, txn, &v);
}
