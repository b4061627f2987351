/* Private to the folder: the rpc functions that control.c puts into one table, and what they share. */
#pragma once
#include "control/control_core.h"
#include "rpc/rpc.h"

#define CONTROL_REQUEST(type, txn) ((const type *)(const void *)(txn)->request)

/** CONTROL_FORWARDER_UNKNOWN or CONTROL_HOME_UNKNOWN with a sentence unless the member is registered. */
LPX_RESULT control_must_be_registered(store_tx *tx, const control_id *id, uint16_t reason, lpx_note *note);

/* PolicyManager. */
lpx_err control_list_default_policies(store_tx *tx, rpc_txn *txn);
lpx_err control_get_default_policy(store_tx *tx, rpc_txn *txn);
lpx_err control_set_default_policy(store_tx *tx, rpc_txn *txn);
lpx_err control_list_home_network_policies(store_tx *tx, rpc_txn *txn);
lpx_err control_get_home_network_policy(store_tx *tx, rpc_txn *txn);
lpx_err control_set_home_network_policy(store_tx *tx, rpc_txn *txn);
lpx_err control_list_effective_policies(store_tx *tx, rpc_txn *txn);
lpx_err control_list_networks_with_policy(store_tx *tx, rpc_txn *txn);

/* Routes of version 2, and of version 1. */
lpx_err control_list_uplink_routes(store_tx *tx, rpc_txn *txn);
lpx_err control_list_join_request_routes(store_tx *tx, rpc_txn *txn);
lpx_err control_list_network_targets(store_tx *tx, rpc_txn *txn);
lpx_err control_list_routes(store_tx *tx, rpc_txn *txn);
lpx_err control_list_targets(store_tx *tx, rpc_txn *txn);

/* GatewayVisibilityManager. */
lpx_err control_get_default_visibility(store_tx *tx, rpc_txn *txn);
lpx_err control_set_default_visibility(store_tx *tx, rpc_txn *txn);
lpx_err control_get_home_network_visibility(store_tx *tx, rpc_txn *txn);
lpx_err control_set_home_network_visibility(store_tx *tx, rpc_txn *txn);

/* HomeNetworkSettingsManager. */
lpx_err control_get_settings(store_tx *tx, rpc_txn *txn);
lpx_err control_set_settings(store_tx *tx, rpc_txn *txn);
lpx_err control_delete_settings(store_tx *tx, rpc_txn *txn);
