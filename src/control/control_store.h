/* The rows of the control plane: SQL and nothing else. Every function runs inside a transaction, on its thread; what it
 * reads lies in the arena.
 * Errors of all: those of store_exec and store_query, and RESOURCE_EXHAUSTED: BASE_NO_MEMORY. */
#pragma once
#include "control/control_core.h"
#include "store/store.h"

/** Columns of a policy, as control_store_policy reads them. */
#define CONTROL_POLICY_COLUMNS                                                                         \
    "forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, home_network_tenant_id, " \
    "updated_at, has_uplink, up_join_request, up_mac_data, up_application_data, up_signal_quality, "   \
    "up_localization, has_downlink, down_join_accept, down_mac_data, down_application_data"
/** A row of these columns. @return false: memory is short */
bool control_store_policy(store_rows *rows, lpx_arena *arena, control_policy *out);

/** Add or replace a policy. */
LPX_RESULT control_store_put(store_tx *tx, const control_policy *policy);
/** Delete the policy with these ids. @param found false: there was none */
LPX_RESULT control_store_delete(store_tx *tx, const control_policy *policy, bool *found);
/** Read the policy whose ids stand in policy. @param found false: there is none, and *policy is untouched */
LPX_RESULT control_store_get(store_tx *tx, control_policy *policy, bool *found);
/** Latest updated_at of all policies. @param any false: there are none */
LPX_RESULT control_store_latest(store_tx *tx, bool *any, lpx_utc *latest);
/** Is a network, or a tenant, registered? */
LPX_RESULT control_store_registered(store_tx *tx, const control_id *id, bool *found);

/** A list by time. */
typedef struct control_list {
    bool defaults; /* else policies toward home networks */
    control_scope scope;
    lpx_utc since; /* rows later than this */
    uint32_t limit;
} control_list;

/** Rows of a list by time, in its order; total does not depend on since. */
LPX_RESULT control_store_list(store_tx *tx, const control_list *list, lpx_arena *arena, control_policy **out,
                              size_t *count, uint32_t *total);

/** All policies that may apply toward a home network: defaults, and those toward it or the whole of its network.
 * @err RESOURCE_EXHAUSTED: CONTROL_TOO_MANY */
LPX_RESULT control_store_toward(store_tx *tx, const control_id *home, lpx_arena *arena, control_policy **out,
                                size_t *count);
/** All networks and tenants, by network and tenant. @err RESOURCE_EXHAUSTED: CONTROL_TOO_MANY */
LPX_RESULT control_store_forwarders(store_tx *tx, lpx_arena *arena, control_id **out, size_t *count);

/** What a list of partners is made from. */
typedef struct control_partners {
    control_id self;
    control_filter filter;
    bool resumed;     /* list those behind this one alone */
    control_id after; /* resumed */
    control_window window;
} control_partners;

/** Networks and tenants that self has set a policy toward, or that have set one toward self (or the whole of its
 * network), by network and tenant, with their blocks; total counts all that pass the filter. */
LPX_RESULT control_store_partners(store_tx *tx, const control_partners *ask, lpx_arena *arena, control_member **out,
                                  size_t *count, uint32_t *total);
