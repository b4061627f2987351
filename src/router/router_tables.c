#include "router/router_tables.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/assert.h"
#include "router/limits.h"
#include "router/router_join_table.h"
#include "router/router_lpm.h"
#include "router/router_map.h"

/* One block as it is sorted; owner is a member number, cluster a text number. */
typedef struct sort_block {
    uint32_t start;
    uint32_t owner, cluster;
    uint8_t length;
} sort_block;

typedef struct owner {
    uint32_t member, cluster;
} owner;

typedef struct policy_entry {
    uint32_t forwarder, home; /* member numbers */
    router_policy policy;
} policy_entry;

struct router_tables {
    atomic_uint refs;
    router_join_table *joins;
    uint64_t seed;
    bool loopback;
    router_policy fallback;
    lpx_arena text;

    traffic_member *members; /* interned: number -> member */
    uint32_t member_count;
    router_map member_map;
    lpx_str *clusters; /* interned: number -> id */
    uint32_t cluster_count;
    router_map cluster_map;

    router_policy *defaults; /* by member number */
    bool *has_default;
    policy_entry *policies;
    uint32_t policy_count;
    uint32_t default_count;
    router_map policy_map;

    uint32_t *registered; /* NetIDs, in order */
    size_t registered_count;
    const router_peer_routes *peers;

    router_settings *settings;
    uint32_t settings_count;
    traffic_endpoint *parties;  /* of all settings */
    uint32_t *settings_numbers; /* by member number; ROUTER_MAP_NONE: none */

    owner *owners;
    uint32_t owner_count;
    router_owners *sets; /* by value of lpm */
    uint32_t set_count;
    router_lpm lpm;
};

/* Copy of text that lives with the snapshot. */
static bool keep_text(router_tables *tables, lpx_str text, lpx_str *out)
{
    lpx_bytes copy = lpx_arena_copy(&tables->text, lpx_str_bytes(text));
    *out = lpx_bytes_str(copy);
    return copy.ptr != NULL;
}

static uint32_t find_member(const router_tables *tables, traffic_member member)
{
    router_map_cursor at = router_map_seek(&tables->member_map, router_hash_member(tables->seed, member));
    uint32_t found = router_map_next(&tables->member_map, &at);
    while (found != ROUTER_MAP_NONE && !traffic_member_equal(tables->members[found], member)) {
        found = router_map_next(&tables->member_map, &at);
    }
    return found;
}

/* Number of a member, new if need be; ROUTER_MAP_NONE when memory is short. */
static uint32_t intern_member(router_tables *tables, traffic_member member)
{
    uint32_t found = find_member(tables, member);
    if (found != ROUTER_MAP_NONE) {
        return found;
    }
    traffic_member kept = {.net_id = member.net_id};
    if (!keep_text(tables, member.tenant_id, &kept.tenant_id) ||
        !router_map_reserve(&tables->member_map, tables->member_count + 1)) {
        return ROUTER_MAP_NONE;
    }
    tables->members[tables->member_count] = kept;
    router_map_add(&tables->member_map, router_hash_member(tables->seed, kept), tables->member_count);
    return tables->member_count++;
}

static uint32_t intern_cluster(router_tables *tables, lpx_str cluster)
{
    uint64_t hash = router_hash_text(tables->seed, cluster);
    router_map_cursor at = router_map_seek(&tables->cluster_map, hash);
    uint32_t found = router_map_next(&tables->cluster_map, &at);
    while (found != ROUTER_MAP_NONE && !lpx_str_equal(tables->clusters[found], cluster)) {
        found = router_map_next(&tables->cluster_map, &at);
    }
    if (found != ROUTER_MAP_NONE) {
        return found;
    }
    lpx_str kept;
    if (!keep_text(tables, cluster, &kept) || !router_map_reserve(&tables->cluster_map, tables->cluster_count + 1)) {
        return ROUTER_MAP_NONE;
    }
    tables->clusters[tables->cluster_count] = kept;
    router_map_add(&tables->cluster_map, hash, tables->cluster_count);
    return tables->cluster_count++;
}

/* ---- policies ---- */

static policy_entry *find_policy(const router_tables *tables, uint32_t forwarder, uint32_t home)
{
    uint64_t hash = router_hash_pair(tables->seed, forwarder, home);
    router_map_cursor at = router_map_seek(&tables->policy_map, hash);
    for (uint32_t i = router_map_next(&tables->policy_map, &at); i != ROUTER_MAP_NONE;
         i = router_map_next(&tables->policy_map, &at)) {
        if (tables->policies[i].forwarder == forwarder && tables->policies[i].home == home) {
            return &tables->policies[i];
        }
    }
    return NULL;
}

static void add_policy(router_tables *tables, uint32_t forwarder, uint32_t home, router_policy policy)
{
    policy_entry *known = find_policy(tables, forwarder, home);
    if (known != NULL) {
        known->policy = policy;
        return;
    }
    tables->policies[tables->policy_count] = (policy_entry){forwarder, home, policy};
    router_map_add(&tables->policy_map, router_hash_pair(tables->seed, forwarder, home), tables->policy_count);
    tables->policy_count++;
}

static bool add_policies(router_tables *tables, const router_rows *rows)
{
    for (size_t i = 0; i < rows->policy_count; i++) {
        const router_policy_row *row = &rows->policies[i];
        uint32_t forwarder = intern_member(tables, row->forwarder);
        if (forwarder == ROUTER_MAP_NONE) {
            return false;
        }
        if (row->is_default) {
            tables->default_count += tables->has_default[forwarder] ? 0 : 1;
            tables->has_default[forwarder] = true;
            tables->defaults[forwarder] = row->policy;
            continue;
        }
        uint32_t home = intern_member(tables, row->home);
        if (home == ROUTER_MAP_NONE) {
            return false;
        }
        add_policy(tables, forwarder, home, row->policy);
    }
    return true;
}

/* ---- settings ---- */

/* Those of exactly this member. */
static router_settings *find_settings(const router_tables *tables, traffic_member home)
{
    uint32_t member = tables->settings_count > 0 ? find_member(tables, home) : ROUTER_MAP_NONE;
    uint32_t number = member != ROUTER_MAP_NONE ? tables->settings_numbers[member] : ROUTER_MAP_NONE;
    return number != ROUTER_MAP_NONE ? &tables->settings[number] : NULL;
}

/* The meter of the previous snapshot, or a new one. */
static router_meter *keep_meter(const router_rows *rows, traffic_member home)
{
    const router_settings *before = rows->previous != NULL ? find_settings(rows->previous, home) : NULL;
    return before != NULL && before->meter != NULL ? router_meter_ref(before->meter) : router_meter_new();
}

static bool add_settings_row(router_tables *tables, const router_rows *rows, const router_settings_row *row)
{
    uint32_t member = intern_member(tables, row->home);
    if (member == ROUTER_MAP_NONE) {
        return false;
    }
    router_settings fresh = {.max_copies = row->max_copies, .window_us = row->window_us, .seed = rows->seed};
    fresh.meter = row->max_copies > 0 ? keep_meter(rows, row->home) : NULL;
    tables->settings_numbers[member] = tables->settings_count;
    tables->settings[tables->settings_count++] = fresh;
    return row->max_copies == 0 || fresh.meter != NULL;
}

static bool keep_party(router_tables *tables, traffic_endpoint party, traffic_endpoint *out)
{
    *out = (traffic_endpoint){.net_id = party.net_id};
    return keep_text(tables, party.tenant_id, &out->tenant_id) && keep_text(tables, party.cluster_id, &out->cluster_id);
}

static size_t *party_count(router_settings *settings, const router_party_row *row)
{
    return row->allow ? &settings->allow_count : &settings->deny_count;
}

/* Parties of each list stand together: first they are counted, then each list gets its place, then they are put. */
static bool add_parties(router_tables *tables, const router_rows *rows)
{
    for (size_t i = 0; i < rows->party_count; i++) {
        router_settings *settings = find_settings(tables, rows->parties[i].home);
        if (settings != NULL) {
            *party_count(settings, &rows->parties[i]) += 1;
        }
    }
    traffic_endpoint *at = tables->parties;
    for (uint32_t i = 0; i < tables->settings_count; i++) {
        router_settings *settings = &tables->settings[i];
        settings->allow = at;
        settings->deny = at + settings->allow_count;
        at += settings->allow_count + settings->deny_count;
        settings->allow_count = settings->deny_count = 0;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < rows->party_count; i++) {
        const router_party_row *row = &rows->parties[i];
        router_settings *settings = find_settings(tables, row->home);
        if (settings != NULL) {
            const traffic_endpoint *list = row->allow ? settings->allow : settings->deny;
            size_t *count = party_count(settings, row);
            ok = keep_party(tables, row->party, &tables->parties[(size_t)(list - tables->parties) + *count]);
            *count += 1;
        }
    }
    return ok;
}

static bool add_settings(router_tables *tables, const router_rows *rows)
{
    bool ok = true;
    for (size_t i = 0; ok && i < rows->settings_count; i++) {
        ok = add_settings_row(tables, rows, &rows->settings[i]);
    }
    return ok && add_parties(tables, rows);
}

/* ---- members ---- */

static int compare_net_ids(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void add_registered(router_tables *tables, const router_rows *rows)
{
    if (rows->member_count > 0) {
        memcpy(tables->registered, rows->members, rows->member_count * sizeof *rows->members);
        qsort(tables->registered, rows->member_count, sizeof *tables->registered, compare_net_ids);
    }
    tables->registered_count = rows->member_count;
    tables->peers = rows->peers;
}

/* ---- routes ---- */

static int compare_delegations(const void *a, const void *b)
{
    const router_delegation_row *x = a, *y = b;
    return (x->net_id > y->net_id) - (x->net_id < y->net_id);
}

/* Sorted copy of the delegations. */
static router_delegation_row *sort_delegations(const router_rows *rows)
{
    router_delegation_row *sorted = calloc(rows->delegation_count + 1, sizeof *sorted);
    if (sorted != NULL && rows->delegation_count > 0) {
        memcpy(sorted, rows->delegations, rows->delegation_count * sizeof *sorted);
        qsort(sorted, rows->delegation_count, sizeof *sorted, compare_delegations);
    }
    return sorted;
}

/* Who really serves the blocks of this owner? */
static traffic_member serving_member(const router_delegation_row *sorted, size_t count, traffic_member member)
{
    if (member.tenant_id.len > 0 || count == 0) {
        return member;
    }
    router_delegation_row key = {.net_id = member.net_id};
    const router_delegation_row *found = bsearch(&key, sorted, count, sizeof key, compare_delegations);
    return found != NULL ? (traffic_member){.net_id = found->to_net_id} : member;
}

static int compare_text(lpx_str a, lpx_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* By start, length, then by owner: those of one member stand together, whatever the order of the rows. */
static int compare_blocks(const void *a, const void *b, void *ctx)
{
    const sort_block *x = a, *y = b;
    const router_tables *tables = ctx;
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    if (x->length != y->length) {
        return x->length < y->length ? -1 : 1;
    }
    const traffic_member *m = &tables->members[x->owner], *n = &tables->members[y->owner];
    if (m->net_id != n->net_id) {
        return m->net_id < n->net_id ? -1 : 1;
    }
    int order = compare_text(m->tenant_id, n->tenant_id);
    return order != 0 ? order : compare_text(tables->clusters[x->cluster], tables->clusters[y->cluster]);
}

/* Rows to blocks with interned owners. @return false when memory is short */
static bool collect_blocks(router_tables *tables, const router_rows *rows, sort_block *out, size_t *out_count)
{
    router_delegation_row *delegations = sort_delegations(rows);
    if (delegations == NULL) {
        return false;
    }
    size_t count = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < rows->block_count; i++) {
        const router_block_row *row = &rows->blocks[i];
        if (row->length > 32) {
            continue;
        }
        uint32_t mask = row->length == 0 ? 0 : UINT32_MAX << (32 - row->length);
        traffic_member member = serving_member(delegations, rows->delegation_count, traffic_member_of(row->owner));
        sort_block block = {.start = row->prefix & mask, .length = row->length};
        block.owner = intern_member(tables, member);
        block.cluster = intern_cluster(tables, row->owner.cluster_id);
        ok = block.owner != ROUTER_MAP_NONE && block.cluster != ROUTER_MAP_NONE;
        out[count++] = block;
    }
    free(delegations);
    *out_count = count;
    return ok;
}

/* Does block i belong to a network one of whose tenants has an equal block? Then the tenant's counts. Equal blocks of a
 * network stand together, its own before those of its tenants. */
static bool tenant_has_it(const router_tables *tables, const sort_block *blocks, size_t count, size_t i)
{
    const traffic_member *network = &tables->members[blocks[i].owner];
    for (size_t j = i + 1; network->tenant_id.len == 0 && j < count; j++) {
        const traffic_member *other = &tables->members[blocks[j].owner];
        if (blocks[j].start != blocks[i].start || blocks[j].length != blocks[i].length ||
            other->net_id != network->net_id) {
            return false;
        }
        if (other->tenant_id.len > 0) {
            return true;
        }
    }
    return false;
}

/* Sorted blocks to owner sets and prefixes that name them. */
static size_t group_blocks(router_tables *tables, const sort_block *blocks, size_t count, router_lpm_entry *entries)
{
    size_t entry_count = 0;
    for (size_t i = 0; i < count; i++) {
        const sort_block *b = &blocks[i], *before = i > 0 ? &blocks[i - 1] : NULL;
        bool same_prefix = before != NULL && before->start == b->start && before->length == b->length;
        if (!same_prefix) {
            entries[entry_count++] = (router_lpm_entry){b->start, b->length, tables->set_count};
            tables->sets[tables->set_count++] = (router_owners){.first = tables->owner_count};
        } else if (before->owner == b->owner && before->cluster == b->cluster) {
            continue;
        }
        if (tenant_has_it(tables, blocks, count, i)) {
            continue;
        }
        tables->owners[tables->owner_count++] = (owner){b->owner, b->cluster};
        tables->sets[tables->set_count - 1].count++;
    }
    return entry_count;
}

static bool add_routes(router_tables *tables, const router_rows *rows)
{
    size_t room = rows->block_count + 1;
    sort_block *blocks = malloc(room * sizeof *blocks);
    router_lpm_entry *entries = malloc(room * sizeof *entries);
    size_t count = 0;
    bool ok = blocks != NULL && entries != NULL && collect_blocks(tables, rows, blocks, &count);
    if (ok) {
        qsort_r(blocks, count, sizeof *blocks, compare_blocks, tables);
        size_t entry_count = group_blocks(tables, blocks, count, entries);
        ok = router_lpm_build(entries, entry_count, &tables->lpm);
    }
    free(blocks);
    free(entries);
    return ok;
}

/* ---- construction ---- */

static bool reserve(router_tables *tables, const router_rows *rows)
{
    size_t members = rows->block_count + 2 * rows->policy_count + rows->settings_count + 1;
    size_t blocks = rows->block_count + 1;
    tables->members = calloc(members, sizeof *tables->members);
    tables->clusters = calloc(blocks, sizeof *tables->clusters);
    tables->defaults = calloc(members, sizeof *tables->defaults);
    tables->has_default = calloc(members, sizeof *tables->has_default);
    tables->policies = calloc(rows->policy_count + 1, sizeof *tables->policies);
    tables->registered = calloc(rows->member_count + 1, sizeof *tables->registered);
    tables->settings = calloc(rows->settings_count + 1, sizeof *tables->settings);
    tables->parties = calloc(rows->party_count + 1, sizeof *tables->parties);
    tables->settings_numbers = malloc(members * sizeof *tables->settings_numbers);
    tables->owners = calloc(blocks, sizeof *tables->owners);
    tables->sets = calloc(blocks, sizeof *tables->sets);
    for (size_t i = 0; tables->settings_numbers != NULL && i < members; i++) {
        tables->settings_numbers[i] = ROUTER_MAP_NONE;
    }
    return tables->members != NULL && tables->clusters != NULL && tables->defaults != NULL &&
           tables->has_default != NULL && tables->policies != NULL && tables->settings != NULL &&
           tables->registered != NULL && tables->parties != NULL && tables->settings_numbers != NULL &&
           tables->owners != NULL && tables->sets != NULL &&
           router_map_reserve(&tables->policy_map, (uint32_t)rows->policy_count + 1);
}

/* Give back what reserve took for the worst case; a failing realloc leaves the larger block. */
static void *shrink(void *block, size_t count, size_t size)
{
    void *smaller = realloc(block, (count + 1) * size);
    return smaller != NULL ? smaller : block;
}

static void shrink_all(router_tables *tables)
{
    tables->members = shrink(tables->members, tables->member_count, sizeof *tables->members);
    tables->clusters = shrink(tables->clusters, tables->cluster_count, sizeof *tables->clusters);
    tables->defaults = shrink(tables->defaults, tables->member_count, sizeof *tables->defaults);
    tables->has_default = shrink(tables->has_default, tables->member_count, sizeof *tables->has_default);
    tables->policies = shrink(tables->policies, tables->policy_count, sizeof *tables->policies);
    tables->settings_numbers = shrink(tables->settings_numbers, tables->member_count, sizeof *tables->settings_numbers);
    tables->owners = shrink(tables->owners, tables->owner_count, sizeof *tables->owners);
    tables->sets = shrink(tables->sets, tables->set_count, sizeof *tables->sets);
}

router_tables *router_tables_new(const router_rows *rows)
{
    if (rows->block_count > ROUTER_MAX_BLOCKS || rows->policy_count > ROUTER_MAX_POLICIES ||
        rows->settings_count > ROUTER_MAX_SETTINGS || rows->party_count > ROUTER_MAX_PARTIES) {
        return NULL;
    }
    router_tables *tables = calloc(1, sizeof *tables);
    if (tables == NULL) {
        return NULL;
    }
    atomic_init(&tables->refs, 1);
    tables->seed = rows->seed;
    tables->loopback = rows->loopback;
    if (rows->default_open) {
        tables->fallback = (router_policy){.uplink = ROUTER_UP_ALL, .downlink = ROUTER_DOWN_ALL};
    }
    lpx_arena_init(&tables->text, ROUTER_TABLES_TEXT_BYTES);
    if (!reserve(tables, rows) || !add_policies(tables, rows) || !add_settings(tables, rows) ||
        !add_routes(tables, rows)) {
        router_tables_unref(&tables);
        return NULL;
    }
    add_registered(tables, rows);
    shrink_all(tables);
    return tables;
}

router_tables *router_tables_ref(router_tables *tables)
{
    atomic_fetch_add_explicit(&tables->refs, 1, memory_order_relaxed);
    return tables;
}

void router_tables_unref(router_tables **ref)
{
    router_tables *tables = *ref;
    *ref = NULL;
    if (tables == NULL || atomic_fetch_sub_explicit(&tables->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < tables->settings_count; i++) {
        router_meter_unref(&tables->settings[i].meter);
    }
    router_join_table_free(&tables->joins);
    router_lpm_fini(&tables->lpm);
    router_map_fini(&tables->member_map);
    router_map_fini(&tables->cluster_map);
    router_map_fini(&tables->policy_map);
    free(tables->members);
    free(tables->clusters);
    free(tables->defaults);
    free(tables->has_default);
    free(tables->policies);
    free(tables->settings);
    free(tables->registered);
    free(tables->parties);
    free(tables->settings_numbers);
    free(tables->owners);
    free(tables->sets);
    lpx_arena_fini(&tables->text);
    free(tables);
}

/* ---- questions ---- */

router_owners router_tables_find(const router_tables *tables, uint32_t dev_addr)
{
    uint32_t set = router_lpm_find(&tables->lpm, dev_addr);
    return set != ROUTER_LPM_NONE ? tables->sets[set] : (router_owners){0};
}

traffic_endpoint router_tables_owner(const router_tables *tables, uint32_t index)
{
    lpx_assert(index < tables->owner_count);
    const owner *o = &tables->owners[index];
    const traffic_member *member = &tables->members[o->member];
    return (traffic_endpoint){member->net_id, member->tenant_id, tables->clusters[o->cluster]};
}

/* The policy between exactly these two, both registered somewhere. */
static const router_policy *exact_policy(const router_tables *tables, uint32_t forwarder, traffic_member home)
{
    uint32_t number = find_member(tables, home);
    const policy_entry *found = number != ROUTER_MAP_NONE ? find_policy(tables, forwarder, number) : NULL;
    return found != NULL ? &found->policy : NULL;
}

/* What stands for the forwarder itself, not for its network. @return false when nothing does */
static bool own_policy(const router_tables *tables, uint32_t forwarder, traffic_member home, router_verdict *out)
{
    const router_policy *found = exact_policy(tables, forwarder, home);
    traffic_policy source = TRAFFIC_POLICY_TENANT;
    if (found == NULL && home.tenant_id.len > 0) {
        found = exact_policy(tables, forwarder, (traffic_member){.net_id = home.net_id});
        source = TRAFFIC_POLICY_NETWORK;
    }
    if (found == NULL && tables->has_default[forwarder]) {
        found = &tables->defaults[forwarder];
        source = TRAFFIC_POLICY_DEFAULT;
    }
    if (found != NULL) {
        *out = (router_verdict){*found, source};
    }
    return found != NULL;
}

router_verdict router_tables_policy(const router_tables *tables, traffic_member forwarder, traffic_member home)
{
    router_verdict verdict;
    uint32_t number = find_member(tables, forwarder);
    if (number != ROUTER_MAP_NONE && own_policy(tables, number, home, &verdict)) {
        return verdict;
    }
    if (forwarder.tenant_id.len > 0) {
        number = find_member(tables, (traffic_member){.net_id = forwarder.net_id});
        if (number != ROUTER_MAP_NONE && tables->has_default[number]) {
            return (router_verdict){tables->defaults[number], TRAFFIC_POLICY_NETWORK_DEFAULT};
        }
    }
    return (router_verdict){tables->fallback, TRAFFIC_POLICY_SETTING};
}

const router_settings *router_tables_settings(const router_tables *tables, traffic_member home)
{
    const router_settings *found = find_settings(tables, home);
    if (found == NULL && home.tenant_id.len > 0) {
        found = find_settings(tables, (traffic_member){.net_id = home.net_id});
    }
    return found;
}

void router_tables_give_joins(router_tables *tables, router_join_table *joins)
{
    tables->joins = joins;
}

const router_join_table *router_tables_joins(const router_tables *tables)
{
    return tables->joins;
}

bool router_tables_is_member(const router_tables *tables, uint32_t net_id)
{
    return bsearch(&net_id, tables->registered, tables->registered_count, sizeof net_id, compare_net_ids) != NULL;
}

const router_peer_routes *router_tables_peers(const router_tables *tables)
{
    return tables->peers;
}

bool router_tables_loopback(const router_tables *tables)
{
    return tables->loopback;
}

void router_tables_sizes(const router_tables *tables, size_t *blocks, size_t *policies)
{
    *blocks = tables->owner_count;
    *policies = (size_t)tables->policy_count + tables->default_count;
}
