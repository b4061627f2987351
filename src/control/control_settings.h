/* Settings of home networks: whose traffic they want and how many copies. What requests may say. Pure. */
#pragma once
#include "control/control_core.h"
#include "lpx_routing_v1_settings.pb-c.h"

/** A party of one of the two lists. */
typedef struct control_party {
    control_id id; /* tenant empty: the network with all of its tenants */
    lpx_str cluster_id;
} control_party;

/** Stored settings. */
typedef struct control_settings {
    control_id home;
    control_party *parties[2]; /* [0] denied, [1] allowed; in the order given, each once */
    size_t party_count[2];
    uint32_t max_copies;      /* 0: no limit */
    int64_t copies_window_us; /* 0: not given, without a limit */
    lpx_utc updated_at;
} control_settings;

/** Read the settings of a request; their updated_at means nothing.
 * @param out parties lie in the arena, their text in the request
 * @err INVALID_ARGUMENT: CONTROL_MISSING_FIELD, CONTROL_BAD_PARTY, CONTROL_TOO_MANY_PARTIES, CONTROL_BAD_COPIES,
 *      LW_NETID_INVALID, LW_TENANT_ID_INVALID, LW_CLUSTER_ID_INVALID; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT control_settings_read(const Lpx__Routing__V1__SetHomeNetworkSettingsRequest *request, lpx_arena *arena,
                                 control_settings *out, lpx_note *note);
