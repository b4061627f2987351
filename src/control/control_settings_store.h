/* Rows of settings of home networks: SQL and nothing else. Every function runs inside a transaction, on its thread. */
#pragma once
#include "control/control_settings.h"
#include "store/store.h"

/** Replace all settings of a home network. */
LPX_RESULT control_settings_put(store_tx *tx, const control_settings *settings);
/** Delete them. @param found false: there were none */
LPX_RESULT control_settings_delete(store_tx *tx, const control_id *home, bool *found);
/** The settings of a home network as message. @param found false: there are none, and *out is untouched */
LPX_RESULT control_settings_load(store_tx *tx, const control_id *home, lpx_arena *arena,
                                 Lpx__Routing__V1__HomeNetworkSettings **out, bool *found);
