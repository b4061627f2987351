#include "router/router_tables.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/assert.h"
#include "router/limits.h"
#include "router/router_join_table.h"
#include "router/router_map.h"

/* A policy between two members; a slot of a hash table that is looked up by both numbers at once. */
typedef struct policy_slot {
    uint32_t forwarder, home; /* forwarder ROUTER_NO_PARTY: empty */
    router_policy policy;
} policy_slot;

/* What is known of a member. */
typedef struct party_facts {
    router_verdict preset; /* as forwarder, toward home networks without a policy of their own */
    uint32_t settings;     /* as home network; ROUTER_MAP_NONE: none */
    bool has_policies;     /* as forwarder, toward single home networks */
} party_facts;

struct router_tables {
    atomic_uint refs;
    uint64_t serial;
    uint64_t seed;
    bool loopback;
    router_policy fallback;
    router_blocks *blocks;
    router_join_table *joins;
    const router_peer_routes *peers;

    router_parties members; /* begins as a copy of those of blocks */
    party_facts *facts;     /* by number */

    policy_slot *policies; /* at most three quarters full */
    uint32_t policy_mask;
    uint32_t policy_count, default_count;

    lpx_arena text; /* of settings */
    router_settings *settings;
    uint32_t settings_count;
    traffic_endpoint *parties; /* of all settings */
};

static atomic_ullong last_serial;

/* Copy of text that lives with the snapshot. */
static bool keep_text(router_tables *tables, lpx_str text, lpx_str *out)
{
    lpx_bytes copy = lpx_arena_copy(&tables->text, lpx_str_bytes(text));
    *out = lpx_bytes_str(copy);
    return copy.ptr != NULL;
}

/* ---- members ---- */

/* Blocks, and the members who own them. */
static bool add_blocks(router_tables *tables, const router_rows *rows)
{
    if (rows->keep_blocks) {
        tables->blocks = router_blocks_ref(rows->previous->blocks);
    } else {
        router_block_rows from = {.blocks = rows->blocks,
                                  .block_count = rows->block_count,
                                  .delegations = rows->delegations,
                                  .delegation_count = rows->delegation_count,
                                  .members = rows->members,
                                  .member_count = rows->member_count,
                                  .seed = rows->seed};
        tables->blocks = router_blocks_new(&from);
    }
    return tables->blocks != NULL && router_parties_copy(router_blocks_parties(tables->blocks), &tables->members);
}

/* Every member of policies and settings gets a number; then there are facts to fill in. */
static bool add_members(router_tables *tables, const router_rows *rows)
{
    bool ok = true;
    for (size_t i = 0; ok && i < rows->policy_count; i++) {
        const router_policy_row *row = &rows->policies[i];
        ok = router_parties_add(&tables->members, row->forwarder) != ROUTER_NO_PARTY &&
             (row->is_default || router_parties_add(&tables->members, row->home) != ROUTER_NO_PARTY);
    }
    for (size_t i = 0; ok && i < rows->settings_count; i++) {
        ok = router_parties_add(&tables->members, rows->settings[i].home) != ROUTER_NO_PARTY;
    }
    tables->facts = ok ? malloc((tables->members.count + 1) * sizeof *tables->facts) : NULL;
    for (uint32_t i = 0; tables->facts != NULL && i < tables->members.count; i++) {
        tables->facts[i] =
            (party_facts){.preset = {tables->fallback, TRAFFIC_POLICY_SETTING}, .settings = ROUTER_MAP_NONE};
    }
    return tables->facts != NULL;
}

static uint32_t number_of(const router_tables *tables, traffic_member member)
{
    return router_parties_find(&tables->members, member).own;
}

/* ---- policies ---- */

/* The slot of a pair, empty when there is no policy between the two. */
static policy_slot *policy_slot_of(const router_tables *tables, uint32_t forwarder, uint32_t home)
{
    uint32_t at = (uint32_t)router_hash_pair(tables->seed, forwarder, home) & tables->policy_mask;
    while (tables->policies[at].forwarder != ROUTER_NO_PARTY &&
           (tables->policies[at].forwarder != forwarder || tables->policies[at].home != home)) {
        at = (at + 1) & tables->policy_mask;
    }
    return &tables->policies[at];
}

static bool reserve_policies(router_tables *tables, size_t count)
{
    size_t size = 4;
    while (size * 3 < count * 4) {
        size *= 2;
    }
    tables->policies = malloc(size * sizeof *tables->policies);
    for (size_t i = 0; tables->policies != NULL && i < size; i++) {
        tables->policies[i].forwarder = ROUTER_NO_PARTY;
    }
    tables->policy_mask = (uint32_t)(size - 1);
    return tables->policies != NULL;
}

static void add_policy(router_tables *tables, const router_policy_row *row)
{
    uint32_t forwarder = number_of(tables, row->forwarder);
    party_facts *facts = &tables->facts[forwarder];
    if (row->is_default) {
        tables->default_count += facts->preset.source != TRAFFIC_POLICY_DEFAULT ? 1 : 0;
        facts->preset = (router_verdict){row->policy, TRAFFIC_POLICY_DEFAULT};
        return;
    }
    uint32_t home = number_of(tables, row->home);
    policy_slot *slot = policy_slot_of(tables, forwarder, home);
    tables->policy_count += slot->forwarder == ROUTER_NO_PARTY ? 1 : 0;
    *slot = (policy_slot){forwarder, home, row->policy};
    facts->has_policies = true;
}

/* What stands for tenants that say nothing themselves. */
static router_verdict inherited(router_verdict network)
{
    if (network.source == TRAFFIC_POLICY_DEFAULT) {
        network.source = TRAFFIC_POLICY_NETWORK_DEFAULT;
    }
    return network;
}

static bool add_policies(router_tables *tables, const router_rows *rows)
{
    if (!reserve_policies(tables, rows->policy_count)) {
        return false;
    }
    for (size_t i = 0; i < rows->policy_count; i++) {
        add_policy(tables, &rows->policies[i]);
    }
    for (uint32_t i = 0; i < tables->members.count; i++) {
        uint32_t network = tables->members.networks[i];
        if (network != i && tables->facts[i].preset.source != TRAFFIC_POLICY_DEFAULT) {
            tables->facts[i].preset = inherited(tables->facts[network].preset);
        }
    }
    return true;
}

/* ---- settings ---- */

/* Those of exactly this member. */
static router_settings *find_settings(const router_tables *tables, uint32_t home)
{
    uint32_t number = home != ROUTER_NO_PARTY ? tables->facts[home].settings : ROUTER_MAP_NONE;
    return number != ROUTER_MAP_NONE ? &tables->settings[number] : NULL;
}

/* The meter of the previous snapshot, or a new one. */
static router_meter *keep_meter(const router_rows *rows, traffic_member home)
{
    const router_tables *previous = rows->previous;
    const router_settings *before = previous != NULL ? find_settings(previous, number_of(previous, home)) : NULL;
    return before != NULL && before->meter != NULL ? router_meter_ref(before->meter) : router_meter_new();
}

static bool add_settings_row(router_tables *tables, const router_rows *rows, const router_settings_row *row)
{
    router_settings fresh = {.max_copies = row->max_copies, .window_us = row->window_us, .seed = rows->seed};
    fresh.meter = row->max_copies > 0 ? keep_meter(rows, row->home) : NULL;
    tables->facts[number_of(tables, row->home)].settings = tables->settings_count;
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
        router_settings *settings = find_settings(tables, number_of(tables, rows->parties[i].home));
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
        router_settings *settings = find_settings(tables, number_of(tables, row->home));
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

/* ---- construction ---- */

static bool reserve(router_tables *tables, const router_rows *rows)
{
    tables->settings = calloc(rows->settings_count + 1, sizeof *tables->settings);
    tables->parties = calloc(rows->party_count + 1, sizeof *tables->parties);
    return tables->settings != NULL && tables->parties != NULL;
}

router_tables *router_tables_new(const router_rows *rows)
{
    if (rows->policy_count > ROUTER_MAX_POLICIES || rows->settings_count > ROUTER_MAX_SETTINGS ||
        rows->party_count > ROUTER_MAX_PARTIES) {
        return NULL;
    }
    router_tables *tables = calloc(1, sizeof *tables);
    if (tables == NULL) {
        return NULL;
    }
    atomic_init(&tables->refs, 1);
    tables->serial = atomic_fetch_add_explicit(&last_serial, 1, memory_order_relaxed) + 1;
    tables->seed = rows->seed;
    tables->peers = rows->peers;
    tables->loopback = rows->loopback;
    if (rows->default_open) {
        tables->fallback = (router_policy){.uplink = ROUTER_UP_ALL, .downlink = ROUTER_DOWN_ALL};
    }
    lpx_arena_init(&tables->text, ROUTER_TABLES_TEXT_BYTES);
    if (!reserve(tables, rows) || !add_blocks(tables, rows) || !add_members(tables, rows) ||
        !add_policies(tables, rows) || !add_settings(tables, rows)) {
        router_tables_unref(&tables);
        return NULL;
    }
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
    router_join_table_unref(&tables->joins);
    router_parties_fini(&tables->members);
    router_blocks_unref(&tables->blocks);
    free(tables->facts);
    free(tables->policies);
    free(tables->settings);
    free(tables->parties);
    lpx_arena_fini(&tables->text);
    free(tables);
}

/* ---- questions ---- */

uint64_t router_tables_serial(const router_tables *tables)
{
    return tables->serial;
}

router_party router_tables_party(const router_tables *tables, traffic_member member)
{
    return router_parties_find(&tables->members, member);
}

uint32_t router_tables_party_count(const router_tables *tables)
{
    return tables->members.count;
}

traffic_member router_tables_member(const router_tables *tables, uint32_t number)
{
    lpx_assert(number < tables->members.count);
    return tables->members.members[number];
}

router_owners router_tables_find(const router_tables *tables, uint32_t dev_addr)
{
    return router_blocks_find(tables->blocks, dev_addr);
}

traffic_endpoint router_tables_owner(const router_tables *tables, uint32_t index)
{
    const router_owner *owner = router_blocks_owner(tables->blocks, index);
    const traffic_member *member = &tables->members.members[owner->party];
    return (traffic_endpoint){member->net_id, member->tenant_id, router_blocks_cluster(tables->blocks, owner)};
}

router_party router_tables_owner_party(const router_tables *tables, uint32_t index)
{
    uint32_t own = router_blocks_owner(tables->blocks, index)->party;
    return (router_party){own, tables->members.networks[own]};
}

/* The policy between exactly these two. */
static const router_policy *exact_policy(const router_tables *tables, uint32_t forwarder, uint32_t home)
{
    const policy_slot *slot = home != ROUTER_NO_PARTY ? policy_slot_of(tables, forwarder, home) : NULL;
    return slot != NULL && slot->forwarder != ROUTER_NO_PARTY ? &slot->policy : NULL;
}

router_verdict router_tables_verdict(const router_tables *tables, router_party forwarder, router_party home)
{
    if (forwarder.own == ROUTER_NO_PARTY) { /* a tenant that says nothing, or nobody of whom anything is known */
        return forwarder.network != ROUTER_NO_PARTY ? inherited(tables->facts[forwarder.network].preset)
                                                    : (router_verdict){tables->fallback, TRAFFIC_POLICY_SETTING};
    }
    const party_facts *facts = &tables->facts[forwarder.own];
    if (facts->has_policies) {
        const router_policy *found = exact_policy(tables, forwarder.own, home.own);
        if (found != NULL) {
            return (router_verdict){*found, TRAFFIC_POLICY_TENANT};
        }
        found = home.own != home.network ? exact_policy(tables, forwarder.own, home.network) : NULL;
        if (found != NULL) {
            return (router_verdict){*found, TRAFFIC_POLICY_NETWORK};
        }
    }
    return facts->preset;
}

router_verdict router_tables_policy(const router_tables *tables, traffic_member forwarder, traffic_member home)
{
    return router_tables_verdict(tables, router_tables_party(tables, forwarder), router_tables_party(tables, home));
}

const router_settings *router_tables_party_settings(const router_tables *tables, router_party home)
{
    const router_settings *found = find_settings(tables, home.own);
    return found != NULL ? found : find_settings(tables, home.network);
}

const router_settings *router_tables_settings(const router_tables *tables, traffic_member home)
{
    return tables->settings_count > 0 ? router_tables_party_settings(tables, router_tables_party(tables, home)) : NULL;
}

void router_tables_give_joins(router_tables *tables, router_join_table *joins)
{
    tables->joins = joins;
}

void router_tables_keep_joins(router_tables *tables, const router_tables *previous)
{
    tables->joins = router_join_table_ref(previous->joins);
}

const router_join_table *router_tables_joins(const router_tables *tables)
{
    return tables->joins;
}

bool router_tables_is_member(const router_tables *tables, uint32_t net_id)
{
    return router_blocks_is_member(tables->blocks, net_id);
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
    *blocks = router_blocks_count(tables->blocks);
    *policies = (size_t)tables->policy_count + tables->default_count;
}
