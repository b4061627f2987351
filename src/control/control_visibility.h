/* Gateway visibility: which facts about a forwarder's gateways others see. What requests may say, and
 * messages. Pure. */
#pragma once
#include "control/control_core.h"
#include "pb_mapping_v2_api.pb-c.h"

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
