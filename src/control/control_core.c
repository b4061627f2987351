#include "control/control_core.h"

#include <stdlib.h>

#include "control/limits.h"
#include "lorawan/ids.h"
#include "lpx_reasons.h"

/* Ids. */

static int compare_text(lpx_str a, lpx_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int control_id_compare(const control_id *a, const control_id *b)
{
    if (a->net_id != b->net_id) {
        return a->net_id < b->net_id ? -1 : 1;
    }
    return compare_text(a->tenant_id, b->tenant_id);
}

lpx_err control_id_check(const control_id *id, const char *field, const char *tenant_field, lpx_note *note)
{
    LPX_TRY(lw_netid_check(id->net_id, field, note));
    return id->tenant_id.len > 0 ? lw_tenant_id_check(id->tenant_id, tenant_field, note) : LPX_SUCCESS;
}

/* Policies. */

static void read_flags(const Pb__V3__RoutingPolicy *in, control_policy *out)
{
    const Pb__V3__RoutingPolicy__Uplink *up = in->uplink;
    const Pb__V3__RoutingPolicy__Downlink *down = in->downlink;
    out->has_uplink = up != NULL;
    out->up_join_request = up != NULL && up->join_request != 0;
    out->up_mac_data = up != NULL && up->mac_data != 0;
    out->up_application_data = up != NULL && up->application_data != 0;
    out->up_signal_quality = up != NULL && up->signal_quality != 0;
    out->up_localization = up != NULL && up->localization != 0;
    out->has_downlink = down != NULL;
    out->down_join_accept = down != NULL && down->join_accept != 0;
    out->down_mac_data = down != NULL && down->mac_data != 0;
    out->down_application_data = down != NULL && down->application_data != 0;
}

lpx_err control_policy_read(const Pb__Routing__V1__SetPolicyRequest *request, bool is_default, control_policy *out,
                            lpx_note *note)
{
    const Pb__V3__RoutingPolicy *in = request->policy;
    if (in == NULL) {
        return lpx_fail(note, CONTROL_MISSING_FIELD, "policy is missing.");
    }
    control_policy policy = {
        .is_default = is_default,
        .forwarder = {.net_id = in->forwarder_net_id, .tenant_id = pb_str(in->forwarder_tenant_id)},
        .home = {.net_id = in->home_network_net_id, .tenant_id = pb_str(in->home_network_tenant_id)},
    };
    bool names_home = policy.home.net_id != 0 || policy.home.tenant_id.len > 0;
    if (is_default && names_home) {
        return lpx_fail(note, CONTROL_HOME_GIVEN,
                        "policy.home_network_net_id and home_network_tenant_id must be empty in a default policy.");
    }
    if (!is_default && !names_home) {
        return lpx_fail(note, CONTROL_HOME_MISSING,
                        "policy.home_network_net_id is missing; a policy for all home networks is a default policy.");
    }
    LPX_TRY(control_id_check(&policy.forwarder, "policy.forwarder_net_id", "policy.forwarder_tenant_id", note));
    LPX_TRY(control_id_check(&policy.home, "policy.home_network_net_id", "policy.home_network_tenant_id", note));
    read_flags(in, &policy);
    *out = policy;
    return LPX_SUCCESS;
}

bool control_policy_is_delete(const control_policy *policy)
{
    return !policy->has_uplink && !policy->has_downlink;
}

Google__Protobuf__Timestamp *control_time_to_message(lpx_utc time, lpx_arena *arena)
{
    Google__Protobuf__Timestamp *stamp = lpx_arena_get(arena, sizeof *stamp);
    if (stamp != NULL) {
        google__protobuf__timestamp__init(stamp);
        int64_t us = time.us % 1000000;
        stamp->seconds = time.us / 1000000 - (us < 0 ? 1 : 0);
        stamp->nanos = (int32_t)(us < 0 ? us + 1000000 : us) * 1000;
    }
    return stamp;
}

static void put_flags(const control_policy *policy, Pb__V3__RoutingPolicy__Uplink *up,
                      Pb__V3__RoutingPolicy__Downlink *down)
{
    pb__v3__routing_policy__uplink__init(up);
    pb__v3__routing_policy__downlink__init(down);
    up->join_request = policy->up_join_request;
    up->mac_data = policy->up_mac_data;
    up->application_data = policy->up_application_data;
    up->signal_quality = policy->up_signal_quality;
    up->localization = policy->up_localization;
    down->join_accept = policy->down_join_accept;
    down->mac_data = policy->down_mac_data;
    down->application_data = policy->down_application_data;
}

Pb__V3__RoutingPolicy *control_policy_to_message(const control_policy *policy, lpx_arena *arena)
{
    Pb__V3__RoutingPolicy *m = lpx_arena_get(arena, sizeof *m);
    Pb__V3__RoutingPolicy__Uplink *up = lpx_arena_get(arena, sizeof *up);
    Pb__V3__RoutingPolicy__Downlink *down = lpx_arena_get(arena, sizeof *down);
    Google__Protobuf__Timestamp *updated_at = control_time_to_message(policy->updated_at, arena);
    char *forwarder = lpx_arena_cstr(arena, policy->forwarder.tenant_id);
    char *home = lpx_arena_cstr(arena, policy->home.tenant_id);
    if (m == NULL || up == NULL || down == NULL || updated_at == NULL || forwarder == NULL || home == NULL) {
        return NULL;
    }
    pb__v3__routing_policy__init(m);
    put_flags(policy, up, down);
    m->forwarder_net_id = policy->forwarder.net_id;
    m->forwarder_tenant_id = forwarder;
    m->home_network_net_id = policy->home.net_id;
    m->home_network_tenant_id = home;
    m->updated_at = updated_at;
    m->uplink = up;
    m->downlink = down;
    return m;
}

/* Pages. */

lpx_utc control_next_time(lpx_utc now, bool any, lpx_utc latest)
{
    return any && latest.us >= now.us ? (lpx_utc){latest.us + 1} : now;
}

lpx_err control_since(const Google__Protobuf__Timestamp *since, const char *field, lpx_utc *out, lpx_note *note)
{
    /* 0001-01-01 to 9999-12-31, as the API has it. */
    static const int64_t first_s = INT64_C(-62135596800), last_s = INT64_C(253402300799);
    if (since == NULL) {
        *out = (lpx_utc){INT64_MIN};
        return LPX_SUCCESS;
    }
    if (since->seconds < first_s || since->seconds > last_s || since->nanos < 0 || since->nanos > 999999999) {
        return lpx_fail(note, CONTROL_BAD_TIME,
                        "%s must be a time from year 1 to 9999 with 0 to 999999999 nanoseconds.", field);
    }
    /* Times are whole microseconds: what is later than the nanosecond given is later than its microsecond. */
    *out = (lpx_utc){since->seconds * 1000000 + since->nanos / 1000};
    return LPX_SUCCESS;
}

static uint32_t limited(uint32_t limit, uint32_t standard)
{
    if (limit == 0) {
        return standard;
    }
    return limit < CONTROL_LIST_MAX ? limit : CONTROL_LIST_MAX;
}

uint32_t control_since_limit(uint32_t limit)
{
    return limited(limit, CONTROL_SINCE_DEFAULT);
}

uint32_t control_page_limit(uint32_t limit)
{
    return limited(limit, CONTROL_LIST_DEFAULT);
}

control_scope control_scope_forwarder(const rpc_principal *who, const control_id *forwarder)
{
    bool member = who->subject == RPC_NETWORK || who->subject == RPC_TENANT;
    return (control_scope){.one = member || forwarder->net_id != 0 || forwarder->tenant_id.len > 0, .id = *forwarder};
}

/* Choice. */

static int compare_policies(const control_policy *a, const control_policy *b)
{
    int order = control_id_compare(&a->forwarder, &b->forwarder);
    if (order == 0) {
        order = (int)a->is_default - (int)b->is_default;
    }
    return order != 0 ? order : control_id_compare(&a->home, &b->home);
}

static int compare_void(const void *a, const void *b)
{
    return compare_policies(a, b);
}

void control_table_sort(control_policy *policies, size_t count)
{
    if (count > 0) {
        qsort(policies, count, sizeof *policies, compare_void);
    }
}

static const control_policy *look_up(const control_table *table, control_id forwarder, bool is_default, control_id home)
{
    const control_policy wanted = {.forwarder = forwarder, .is_default = is_default, .home = home};
    return table->count > 0 ? bsearch(&wanted, table->policies, table->count, sizeof wanted, compare_void) : NULL;
}

const control_policy *control_choose(const control_table *table, const control_id *forwarder, const control_id *home)
{
    const control_id none = {.net_id = 0, .tenant_id = LPX_STR("")};
    const control_id home_network = {.net_id = home->net_id, .tenant_id = LPX_STR("")};
    const control_id forwarder_network = {.net_id = forwarder->net_id, .tenant_id = LPX_STR("")};
    const control_policy *found = look_up(table, *forwarder, false, *home);
    if (found == NULL) {
        found = look_up(table, *forwarder, false, home_network);
    }
    if (found == NULL) {
        found = look_up(table, *forwarder, true, none);
    }
    return found != NULL ? found : look_up(table, forwarder_network, true, none);
}

size_t control_effective(const control_table *table, const control_ask *ask, control_policy *out, uint32_t *total)
{
    uint32_t all = 0;
    size_t used = 0;
    for (size_t i = 0; i < ask->forwarder_count; i++) {
        const control_policy *policy = control_choose(table, &ask->forwarders[i], &ask->home);
        if (policy == NULL) {
            continue;
        }
        if (all++ >= ask->window.offset && used < ask->window.limit) {
            out[used] = *policy;
            out[used++].forwarder = ask->forwarders[i];
        }
    }
    *total = all;
    return used;
}

/* Members. */

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool contains_fold(lpx_str text, lpx_str part)
{
    for (size_t at = 0; part.len <= text.len && at <= text.len - part.len; at++) {
        size_t same = 0;
        while (same < part.len && fold(text.ptr[at + same]) == fold(part.ptr[same])) {
            same++;
        }
        if (same == part.len) {
            return true;
        }
    }
    return false;
}

bool control_filter_passes(const control_filter *filter, lpx_str id, lpx_str name)
{
    if (filter->id_contains.len == 0 && filter->name_contains.len == 0) {
        return true;
    }
    return (filter->id_contains.len > 0 && contains_fold(id, filter->id_contains)) ||
           (filter->name_contains.len > 0 && contains_fold(name, filter->name_contains));
}

static Pb__V3__DevAddrBlock *make_block(const control_block *block, lpx_arena *arena)
{
    Pb__V3__DevAddrBlock *m = lpx_arena_get(arena, sizeof *m);
    Pb__V3__DevAddrPrefix *prefix = lpx_arena_get(arena, sizeof *prefix);
    char *cluster = lpx_arena_cstr(arena, block->cluster_id);
    if (m == NULL || prefix == NULL || cluster == NULL) {
        return NULL;
    }
    pb__v3__dev_addr_block__init(m);
    pb__v3__dev_addr_prefix__init(prefix);
    prefix->value = block->value;
    prefix->length = block->length;
    m->prefix = prefix;
    m->home_network_cluster_id = cluster;
    return m;
}

static Pb__V3__DevAddrBlock **make_blocks(const control_block *blocks, size_t count, lpx_arena *arena)
{
    Pb__V3__DevAddrBlock **list = lpx_arena_array(arena, count, sizeof *list);
    for (size_t i = 0; list != NULL && i < count; i++) {
        list[i] = make_block(&blocks[i], arena);
        if (list[i] == NULL) {
            return NULL;
        }
    }
    return list;
}

static bool put_network(const control_member *member, Pb__V3__DevAddrBlock **blocks, lpx_arena *arena,
                        Pb__V3__NetworkOrTenant *out)
{
    Pb__V3__Network *n = lpx_arena_get(arena, sizeof *n);
    char *name = lpx_arena_cstr(arena, member->name);
    if (n == NULL || name == NULL) {
        return false;
    }
    pb__v3__network__init(n);
    n->net_id = member->id.net_id;
    n->name = name;
    n->listed = member->listed;
    n->dev_addr_blocks = blocks;
    n->n_dev_addr_blocks = member->block_count;
    out->value_case = PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK;
    out->network = n;
    return true;
}

static bool put_tenant(const control_member *member, Pb__V3__DevAddrBlock **blocks, lpx_arena *arena,
                       Pb__V3__NetworkOrTenant *out)
{
    Pb__V3__Tenant *t = lpx_arena_get(arena, sizeof *t);
    char *id = lpx_arena_cstr(arena, member->id.tenant_id);
    char *name = lpx_arena_cstr(arena, member->name);
    if (t == NULL || id == NULL || name == NULL) {
        return false;
    }
    pb__v3__tenant__init(t);
    t->net_id = member->id.net_id;
    t->tenant_id = id;
    t->name = name;
    t->listed = member->listed;
    t->dev_addr_blocks = blocks;
    t->n_dev_addr_blocks = member->block_count;
    out->value_case = PB__V3__NETWORK_OR_TENANT__VALUE_TENANT;
    out->tenant = t;
    return true;
}

Pb__V3__NetworkOrTenant *control_member_to_message(const control_member *member, lpx_arena *arena)
{
    Pb__V3__NetworkOrTenant *m = lpx_arena_get(arena, sizeof *m);
    Pb__V3__DevAddrBlock **blocks = make_blocks(member->blocks, member->block_count, arena);
    if (m == NULL || blocks == NULL) {
        return NULL;
    }
    pb__v3__network_or_tenant__init(m);
    bool ok =
        member->id.tenant_id.len == 0 ? put_network(member, blocks, arena, m) : put_tenant(member, blocks, arena, m);
    return ok ? m : NULL;
}
