/* Decisions of the control plane: what a request may say, which policy applies, what a list holds. Pure. */
#pragma once
#include "base/arena.h"
#include "base/time.h"
#include "codec/pb/pb.h"
#include "pb_routing_v1_api.pb-c.h"
#include "pb_v3_api.pb-c.h"
#include "rpc/principal.h"

/** A network (tenant_id empty) or a tenant. */
typedef struct control_id {
    uint32_t net_id;
    lpx_str tenant_id;
} control_id;

/** One stored policy. */
typedef struct control_policy {
    control_id forwarder;
    bool is_default;
    control_id home; /* 0 and empty for a default */
    bool has_uplink, has_downlink;
    bool up_join_request, up_mac_data, up_application_data, up_signal_quality, up_localization;
    bool down_join_accept, down_mac_data, down_application_data;
    lpx_utc updated_at;
} control_policy;

/** Order of ids: by network, then by tenant, byte by byte. */
int control_id_compare(const control_id *a, const control_id *b);

/** An id of a request. @param field name of the NetID field, tenant_field of the other
 * @err INVALID_ARGUMENT: LW_NETID_INVALID, LW_TENANT_ID_INVALID */
LPX_RESULT control_id_check(const control_id *id, const char *field, const char *tenant_field, lpx_note *note);

/** Read the policy of a request. updated_at of the request means nothing.
 * @param is_default  of which method it came
 * @err INVALID_ARGUMENT: CONTROL_MISSING_FIELD, CONTROL_HOME_MISSING, CONTROL_HOME_GIVEN, LW_NETID_INVALID,
 *      LW_TENANT_ID_INVALID */
LPX_RESULT control_policy_read(const Pb__Routing__V1__SetPolicyRequest *request, bool is_default, control_policy *out,
                               lpx_note *note);
/** Does setting this policy delete it? Both directions are absent; one that is present and empty is all off. */
bool control_policy_is_delete(const control_policy *policy);
/** As message. Both directions are present, so that clients that look into them without asking do not fail. NULL when
 * memory is short. */
Pb__V3__RoutingPolicy *control_policy_to_message(const control_policy *policy, lpx_arena *arena);

/** As message. NULL when memory is short. */
Google__Protobuf__Timestamp *control_time_to_message(lpx_utc time, lpx_arena *arena);

/** Time of a policy that is written now: later than all others, as pages are cut at it. */
lpx_utc control_next_time(lpx_utc now, bool any, lpx_utc latest);

/** Where a page by time begins: rows with a greater time. Absent: all rows.
 * @param field its name, for the note
 * @err INVALID_ARGUMENT: CONTROL_BAD_TIME */
LPX_RESULT control_since(const Google__Protobuf__Timestamp *since, const char *field, lpx_utc *out, lpx_note *note);
/** Rows of a page by time, and by offset. */
uint32_t control_since_limit(uint32_t limit);
/** Rows of a page by offset. */
uint32_t control_page_limit(uint32_t limit);

/** Whose policies a list holds: of all forwarders, or of one. Default policies are public offers: everybody sees all.
 */
typedef struct control_scope {
    bool one;
    control_id id;
} control_scope;

/** Of one forwarder, or of all when a cluster or administrator names none. */
control_scope control_scope_forwarder(const rpc_principal *who, const control_id *forwarder);

/* Which policy applies from a forwarder to a home network, in this order:
 *   1. of the forwarder (network and tenant) toward exactly this home network and tenant
 *   2. of the forwarder toward the home network as a whole (tenant empty)
 *   3. the forwarder's default
 *   4. the default of the forwarder's network (tenant empty)
 *   5. none: the setting of the deployment decides, in the router
 * The router holds to the same order in its own tables. */

/** Policies of a table, sorted for control_choose. */
typedef struct control_table {
    const control_policy *policies;
    size_t count;
} control_table;

/** Sort policies into the order that control_choose looks up. */
void control_table_sort(control_policy *policies, size_t count);
/** The policy that applies; NULL: none. @param table sorted; may hold policies toward others, too */
const control_policy *control_choose(const control_table *table, const control_id *forwarder, const control_id *home);

/** Rows of a page. */
typedef struct control_window {
    uint32_t offset, limit;
} control_window;

/** What one home network asks for. */
typedef struct control_ask {
    const control_id *forwarders; /* all that are registered, in the order of the list */
    size_t forwarder_count;
    control_id home;
    control_window window;
} control_ask;

/** Policy of each forwarder toward one home network; forwarders without one are left out. A policy that a tenant
 * inherits from its network bears the tenant's id.
 * @param out    room for window.limit rows
 * @param total  gets how many there are in all
 * @return rows of the page */
size_t control_effective(const control_table *table, const control_ask *ask, control_policy *out, uint32_t *total);

/** Filter of a list; empty texts do not filter. Of two that are given one must match. */
typedef struct control_filter {
    lpx_str id_contains, name_contains;
} control_filter;

/** Does a row with this tenant id (empty for networks) and name pass? A to Z count as a to z. */
bool control_filter_passes(const control_filter *filter, lpx_str id, lpx_str name);

typedef struct control_block {
    uint32_t value, length;
    lpx_str cluster_id;
} control_block;

/** A network or tenant, as far as others see it. */
typedef struct control_member {
    control_id id;
    lpx_str name; /* empty when it is not registered */
    bool listed;
    const control_block *blocks;
    size_t block_count;
} control_member;

/** As message; its variant is always set. NULL when memory is short. */
Pb__V3__NetworkOrTenant *control_member_to_message(const control_member *member, lpx_arena *arena);
