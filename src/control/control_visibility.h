/* Gateway visibility: which facts about a forwarder's gateways others see. What requests may say and how rows become
 * messages is pure; the functions with a transaction run on its thread. */
#pragma once
#include "control/control_core.h"
#include "pb_mapping_v2_api.pb-c.h"
#include "store/store.h"

/** One stored visibility. */
typedef struct control_visibility {
    control_id forwarder;
    bool is_default;
    control_id home; /* 0 and empty for a default */
    uint32_t flags;  /* bit N - 1: field N of GatewayVisibility */
    lpx_utc updated_at;
} control_visibility;

/** Read the visibility of a request; its updated_at means nothing.
 * @err INVALID_ARGUMENT: CONTROL_MISSING_FIELD, CONTROL_HOME_MISSING, CONTROL_HOME_GIVEN, LW_NETID_INVALID,
 *      LW_TENANT_ID_INVALID */
LPX_RESULT control_visibility_read(const Pb__Mapping__V2__SetGatewayVisibilityRequest *request, bool is_default,
                                   control_visibility *out, lpx_note *note);
/** As message. NULL when memory is short. */
Pb__V3__GatewayVisibility *control_visibility_to_message(const control_visibility *visibility, lpx_arena *arena);

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
