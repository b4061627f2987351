/* HomeNetworkSettingsManager: requests to rows. Who may call for which home network was decided before (rpc/authz.c).
 */
#include "control/control_priv.h"
#include "control/control_settings_store.h"
#include "lpx_reasons.h"

static lpx_err read_home(const rpc_txn *txn, control_id *out, lpx_note *note)
{
    const Lpx__Routing__V1__HomeNetworkSettingsRequest *in =
        CONTROL_REQUEST(Lpx__Routing__V1__HomeNetworkSettingsRequest, txn);
    *out = (control_id){.net_id = in->home_network_net_id, .tenant_id = pb_str(in->home_network_tenant_id)};
    return control_id_check(out, "home_network_net_id", "home_network_tenant_id", note);
}

lpx_err control_get_settings(store_tx *tx, rpc_txn *txn)
{
    control_id home;
    bool found;
    LPX_TRY(read_home(txn, &home, &txn->note));
    Lpx__Routing__V1__GetHomeNetworkSettingsResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx__routing__v1__get_home_network_settings_response__init(reply);
    LPX_TRY(control_settings_load(tx, &home, txn->arena, &reply->settings, &found));
    if (!found) {
        return lpx_fail(&txn->note, CONTROL_SETTINGS_UNKNOWN, "Home network %06X%s%.*s has no settings.",
                        (unsigned)home.net_id, home.tenant_id.len > 0 ? "/" : "", (int)home.tenant_id.len,
                        home.tenant_id.ptr);
    }
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

lpx_err control_set_settings(store_tx *tx, rpc_txn *txn)
{
    control_settings settings;
    LPX_TRY(control_settings_read(CONTROL_REQUEST(Lpx__Routing__V1__SetHomeNetworkSettingsRequest, txn), txn->arena,
                                  &settings, &txn->note));
    LPX_TRY(control_must_be_registered(tx, &settings.home, CONTROL_HOME_UNKNOWN, &txn->note));
    settings.updated_at = txn->now;
    LPX_TRY(control_settings_put(tx, &settings));
    store_touch(tx, STORE_TOPIC_SETTINGS);
    return LPX_SUCCESS;
}

lpx_err control_delete_settings(store_tx *tx, rpc_txn *txn)
{
    control_id home;
    bool found;
    LPX_TRY(read_home(txn, &home, &txn->note));
    LPX_TRY(control_settings_delete(tx, &home, &found));
    if (found) {
        store_touch(tx, STORE_TOPIC_SETTINGS);
    }
    return LPX_SUCCESS;
}
