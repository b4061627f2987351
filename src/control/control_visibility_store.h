/* Rows of gateway visibilities: SQL and nothing else. Every function runs inside a transaction, on its thread. */
#pragma once
#include "control/control_visibility.h"
#include "store/store.h"

/** Columns of a visibility, as control_visibility_row reads them. */
#define CONTROL_VISIBILITY_COLUMNS                                                                     \
    "forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, home_network_tenant_id, " \
    "flags, updated_at"
/** A row of these columns. @return false: memory is short */
bool control_visibility_row(store_rows *rows, lpx_arena *arena, control_visibility *out);
/** Add or replace. */
LPX_RESULT control_visibility_put(store_tx *tx, const control_visibility *visibility);
/** Delete the one with these ids. @param found false: there was none */
LPX_RESULT control_visibility_delete(store_tx *tx, const control_visibility *visibility, bool *found);
/** Read the one whose ids stand in visibility. @param found false: there is none, and *visibility is untouched */
LPX_RESULT control_visibility_get(store_tx *tx, control_visibility *visibility, bool *found);
