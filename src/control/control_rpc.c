/* PolicyManager: requests to decisions and rows. Who may call at all, and for which forwarder or home network, was
 * decided before (rpc/authz.c). */
#include "codec/pb/pb.h"
#include "control/control_core.h"
#include "control/control_priv.h"
#include "control/control_store.h"
#include "lpx_reasons.h"
#include "rpc/walks.h"

#define NO_MEMORY lpx_err_of(BASE_NO_MEMORY)

/* Set. */

lpx_err control_must_be_registered(store_tx *tx, const control_id *id, uint16_t reason, lpx_note *note)
{
    const char *role = reason == CONTROL_HOME_UNKNOWN ? "Home network" : "Forwarder";
    bool found;
    LPX_TRY(control_store_registered(tx, id, &found));
    if (found) {
        return LPX_SUCCESS;
    }
    return id->tenant_id.len == 0 ? lpx_fail(note, reason, "%s %06X is not registered; register the network first.",
                                             role, (unsigned)id->net_id)
                                  : lpx_fail(note, reason, "%s %06X/%.*s is not registered; register the tenant first.",
                                             role, (unsigned)id->net_id, (int)id->tenant_id.len, id->tenant_id.ptr);
}

static lpx_err delete_policy(store_tx *tx, const control_policy *policy)
{
    bool found;
    LPX_TRY(control_store_delete(tx, policy, &found));
    if (found) {
        store_touch(tx, STORE_TOPIC_POLICIES);
    }
    return LPX_SUCCESS;
}

static lpx_err set_policy(store_tx *tx, rpc_txn *txn, bool is_default)
{
    control_policy policy;
    bool any;
    lpx_utc latest;
    LPX_TRY(
        control_policy_read(CONTROL_REQUEST(Pb__Routing__V1__SetPolicyRequest, txn), is_default, &policy, &txn->note));
    if (control_policy_is_delete(&policy)) {
        return delete_policy(tx, &policy);
    }
    LPX_TRY(control_must_be_registered(tx, &policy.forwarder, CONTROL_FORWARDER_UNKNOWN, &txn->note));
    LPX_TRY(control_store_latest(tx, &any, &latest));
    policy.updated_at = control_next_time(txn->now, any, latest);
    LPX_TRY(control_store_put(tx, &policy));
    store_touch(tx, STORE_TOPIC_POLICIES);
    return LPX_SUCCESS;
}

lpx_err control_set_default_policy(store_tx *tx, rpc_txn *txn)
{
    return set_policy(tx, txn, true);
}

lpx_err control_set_home_network_policy(store_tx *tx, rpc_txn *txn)
{
    return set_policy(tx, txn, false);
}

/* Get. */

static lpx_err get_policy(store_tx *tx, rpc_txn *txn, control_policy *policy)
{
    bool found;
    LPX_TRY(control_store_get(tx, policy, &found));
    if (!found) {
        return lpx_fail(&txn->note, CONTROL_POLICY_UNKNOWN, "Forwarder %06X has no such routing policy.",
                        (unsigned)policy->forwarder.net_id);
    }
    Pb__Routing__V1__GetPolicyResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__routing__v1__get_policy_response__init(reply);
    reply->policy = control_policy_to_message(policy, txn->arena);
    txn->reply = &reply->base;
    return reply->policy != NULL ? LPX_SUCCESS : NO_MEMORY;
}

lpx_err control_get_default_policy(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V1__GetDefaultPolicyRequest *in = CONTROL_REQUEST(Pb__Routing__V1__GetDefaultPolicyRequest, txn);
    control_policy policy = {
        .is_default = true,
        .forwarder = {.net_id = in->forwarder_net_id, .tenant_id = pb_str(in->forwarder_tenant_id)},
        .home = {.tenant_id = LPX_STR("")}};
    LPX_TRY(control_id_check(&policy.forwarder, "forwarder_net_id", "forwarder_tenant_id", &txn->note));
    return get_policy(tx, txn, &policy);
}

lpx_err control_get_home_network_policy(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V1__GetHomeNetworkPolicyRequest *in =
        CONTROL_REQUEST(Pb__Routing__V1__GetHomeNetworkPolicyRequest, txn);
    control_policy policy = {
        .forwarder = {.net_id = in->forwarder_net_id, .tenant_id = pb_str(in->forwarder_tenant_id)},
        .home = {.net_id = in->home_network_net_id, .tenant_id = pb_str(in->home_network_tenant_id)},
    };
    LPX_TRY(control_id_check(&policy.forwarder, "forwarder_net_id", "forwarder_tenant_id", &txn->note));
    LPX_TRY(control_id_check(&policy.home, "home_network_net_id", "home_network_tenant_id", &txn->note));
    return get_policy(tx, txn, &policy);
}

/* List. */

static lpx_err make_policies(const control_policy *policies, size_t count, lpx_arena *arena,
                             Pb__V3__RoutingPolicy ***out)
{
    Pb__V3__RoutingPolicy **list = lpx_arena_array(arena, count, sizeof *list);
    if (list == NULL) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = control_policy_to_message(&policies[i], arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    *out = list;
    return LPX_SUCCESS;
}

lpx_err control_list_default_policies(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V1__ListDefaultPoliciesRequest *in =
        CONTROL_REQUEST(Pb__Routing__V1__ListDefaultPoliciesRequest, txn);
    control_list list = {.defaults = true,
                         .scope = {.one = false, .id = {.tenant_id = LPX_STR("")}},
                         .limit = control_since_limit(in->limit)};
    control_policy *policies;
    size_t count;
    uint32_t total;
    LPX_TRY(control_since(in->updated_since, "updated_since", &list.since, &txn->note));
    LPX_TRY(control_store_list(tx, &list, txn->arena, &policies, &count, &total));
    Pb__Routing__V1__ListDefaultPoliciesResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__routing__v1__list_default_policies_response__init(reply);
    reply->n_policies = count;
    reply->total = total;
    txn->reply = &reply->base;
    return make_policies(policies, count, txn->arena, &reply->policies);
}

lpx_err control_list_home_network_policies(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V1__ListHomeNetworkPoliciesRequest *in =
        CONTROL_REQUEST(Pb__Routing__V1__ListHomeNetworkPoliciesRequest, txn);
    control_id forwarder = {.net_id = in->forwarder_net_id, .tenant_id = pb_str(in->forwarder_tenant_id)};
    control_list list = {.scope = control_scope_forwarder(txn->who, &forwarder),
                         .limit = control_since_limit(in->limit)};
    control_policy *policies;
    size_t count;
    uint32_t total;
    LPX_TRY(control_id_check(&forwarder, "forwarder_net_id", "forwarder_tenant_id", &txn->note));
    LPX_TRY(control_since(in->updated_since, "updated_since", &list.since, &txn->note));
    LPX_TRY(control_store_list(tx, &list, txn->arena, &policies, &count, &total));
    Pb__Routing__V1__ListHomeNetworkPoliciesResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__routing__v1__list_home_network_policies_response__init(reply);
    reply->n_policies = count;
    reply->total = total;
    txn->reply = &reply->base;
    return make_policies(policies, count, txn->arena, &reply->policies);
}

static control_id id_of_place(const rpc_place *place)
{
    return (control_id){.net_id = (uint32_t)place->number, .tenant_id = lpx_str_of(place->text)};
}

static rpc_place place_of_id(const control_id *id)
{
    return rpc_place_of(id->net_id, id->tenant_id);
}

/* Leave out the forwarders up to the place where the walk goes on. */
static void skip_seen(control_ask *ask, const rpc_walk *walk)
{
    control_id after = id_of_place(&walk->after);
    while (walk->resumed && ask->forwarder_count > 0 && control_id_compare(&ask->forwarders[0], &after) <= 0) {
        ask->forwarders++;
        ask->forwarder_count--;
    }
}

lpx_err control_list_effective_policies(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V1__ListEffectivePoliciesRequest *in =
        CONTROL_REQUEST(Pb__Routing__V1__ListEffectivePoliciesRequest, txn);
    control_ask ask = {.home = {.net_id = in->home_network_net_id, .tenant_id = pb_str(in->home_network_tenant_id)},
                       .window = {.limit = control_page_limit(in->limit)}};
    Pb__Routing__V1__ListEffectivePoliciesRequest query = *in;
    query.offset = query.limit = 0;
    rpc_walk walk;
    control_policy *toward;
    control_id *forwarders;
    control_table table;
    LPX_TRY(control_id_check(&ask.home, "home_network_net_id", "home_network_tenant_id", &txn->note));
    LPX_TRY(rpc_walk_begin(txn, "ListEffectivePolicies", &query.base, in->offset, &walk));
    LPX_TRY(control_store_toward(tx, &ask.home, txn->arena, &toward, &table.count));
    LPX_TRY(control_store_forwarders(tx, txn->arena, &forwarders, &ask.forwarder_count));
    control_table_sort(toward, table.count);
    table.policies = toward;
    ask.forwarders = forwarders;
    ask.window.offset = walk.skip;
    skip_seen(&ask, &walk);
    Pb__Routing__V1__ListEffectivePoliciesResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    control_policy *page = lpx_arena_array(txn->arena, ask.window.limit, sizeof *page);
    if (reply == NULL || page == NULL) {
        return NO_MEMORY;
    }
    pb__routing__v1__list_effective_policies_response__init(reply);
    uint32_t behind;
    reply->n_policies = control_effective(&table, &ask, page, &behind);
    rpc_place last = {.number = 0};
    if (reply->n_policies > 0) {
        last = place_of_id(&page[reply->n_policies - 1].forwarder);
    }
    reply->total = rpc_walk_end(txn, &walk, reply->n_policies, behind, &last);
    txn->reply = &reply->base;
    return make_policies(page, reply->n_policies, txn->arena, &reply->policies);
}

lpx_err control_list_networks_with_policy(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V1__ListNetworksWithPolicyRequest *in =
        CONTROL_REQUEST(Pb__Routing__V1__ListNetworksWithPolicyRequest, txn);
    Pb__Routing__V1__ListNetworksWithPolicyRequest query = *in;
    query.offset = query.limit = 0;
    rpc_walk walk;
    LPX_TRY(rpc_walk_begin(txn, "ListNetworksWithPolicy", &query.base, in->offset, &walk));
    const control_partners ask = {
        .self = {.net_id = in->net_id, .tenant_id = pb_str(in->tenant_id)},
        .filter = {.id_contains = pb_str(in->tenant_id_contains), .name_contains = pb_str(in->name_contains)},
        .resumed = walk.resumed,
        .after = walk.resumed ? id_of_place(&walk.after) : (control_id){.tenant_id = LPX_STR("")},
        .window = {.offset = walk.skip, .limit = control_page_limit(in->limit)},
    };
    control_member *members;
    size_t count;
    uint32_t behind;
    LPX_TRY(control_id_check(&ask.self, "net_id", "tenant_id", &txn->note));
    LPX_TRY(control_store_partners(tx, &ask, txn->arena, &members, &count, &behind));
    Pb__Routing__V1__ListNetworksResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    Pb__V3__NetworkOrTenant **list = lpx_arena_array(txn->arena, count, sizeof *list);
    if (reply == NULL || list == NULL) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = control_member_to_message(&members[i], txn->arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    pb__routing__v1__list_networks_response__init(reply);
    rpc_place last = {.number = 0};
    if (count > 0) {
        last = place_of_id(&members[count - 1].id);
    }
    reply->networks = list;
    reply->n_networks = count;
    reply->total = rpc_walk_end(txn, &walk, count, behind, &last);
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}
