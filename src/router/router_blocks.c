#include "router/router_blocks.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "router/limits.h"
#include "router/router_lpm.h"

struct router_blocks {
    atomic_uint refs;
    router_parties parties;
    lpx_arena text;
    lpx_str *clusters; /* by number */
    uint32_t cluster_count, cluster_room;
    router_owner *owners; /* of all sets, one set behind the other */
    uint32_t owner_count, owner_room;
    router_owners *sets; /* by value of lpm */
    uint32_t set_count, set_room;
    size_t block_count;
    uint32_t *registered; /* NetIDs, in order */
    size_t registered_count;
    router_lpm lpm;
};

/* While blocks are built. Each pair of member and cluster that owns any block is a holder, by number. */
typedef struct building {
    router_blocks *to;
    const router_block_rows *rows;
    router_delegation_row *delegations; /* in order */
    router_owner *holders;
    uint32_t holder_count, holder_room;
    uint32_t *own_sets; /* by holder: the set of it alone; ROUTER_MAP_NONE: none yet */
    router_map cluster_map, holder_map, set_map;
    traffic_endpoint last; /* owner in the row before: those of one owner follow each other */
    uint32_t last_holder;  /* its number; ROUTER_MAP_NONE: there is no row before */
    router_lpm_entry *entries;
    size_t entry_count;
} building;

/* Room for more things at the end of a list. */
static bool grow(void **list, uint32_t wanted, uint32_t *room, size_t size)
{
    if (wanted <= *room) {
        return true;
    }
    uint32_t bigger = *room > 0 ? *room * 2 : 16;
    bigger = bigger < wanted ? wanted : bigger;
    void *moved = realloc(*list, bigger * size);
    if (moved == NULL) {
        return false;
    }
    *list = moved;
    *room = bigger;
    return true;
}

/* ---- delegations ---- */

static int compare_delegations(const void *a, const void *b)
{
    const router_delegation_row *x = a, *y = b;
    return (x->net_id > y->net_id) - (x->net_id < y->net_id);
}

static bool sort_delegations(building *b)
{
    size_t count = b->rows->delegation_count;
    b->delegations = calloc(count + 1, sizeof *b->delegations);
    if (b->delegations != NULL && count > 0) {
        memcpy(b->delegations, b->rows->delegations, count * sizeof *b->delegations);
        qsort(b->delegations, count, sizeof *b->delegations, compare_delegations);
    }
    return b->delegations != NULL;
}

/* Who really serves the blocks of this owner? */
static traffic_member serving_member(const building *b, traffic_member member)
{
    if (member.tenant_id.len > 0 || b->rows->delegation_count == 0) {
        return member;
    }
    router_delegation_row key = {.net_id = member.net_id};
    const router_delegation_row *found =
        bsearch(&key, b->delegations, b->rows->delegation_count, sizeof key, compare_delegations);
    return found != NULL ? (traffic_member){.net_id = found->to_net_id} : member;
}

/* ---- who is registered ---- */

static int compare_net_ids(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool add_registered(building *b)
{
    size_t count = b->rows->member_count;
    uint32_t *registered = calloc(count + 1, sizeof *registered);
    if (registered != NULL && count > 0) {
        memcpy(registered, b->rows->members, count * sizeof *registered);
        qsort(registered, count, sizeof *registered, compare_net_ids);
    }
    b->to->registered = registered;
    b->to->registered_count = count;
    return registered != NULL;
}

/* ---- owners by number ---- */

/* Numbers and ROUTER_MAP_NONE when memory is short, here and below. */
static uint32_t intern_cluster(building *b, lpx_str cluster)
{
    router_blocks *to = b->to;
    uint64_t hash = router_hash_text(b->rows->seed, cluster);
    router_map_cursor at = router_map_seek(&b->cluster_map, hash);
    for (uint32_t i = router_map_next(&b->cluster_map, &at); i != ROUTER_MAP_NONE;
         i = router_map_next(&b->cluster_map, &at)) {
        if (lpx_str_equal(to->clusters[i], cluster)) {
            return i;
        }
    }
    void *list = to->clusters;
    lpx_bytes kept = lpx_arena_copy(&to->text, lpx_str_bytes(cluster));
    if (kept.ptr == NULL || !grow(&list, to->cluster_count + 1, &to->cluster_room, sizeof *to->clusters) ||
        !router_map_reserve(&b->cluster_map, to->cluster_count + 1)) {
        to->clusters = list;
        return ROUTER_MAP_NONE;
    }
    to->clusters = list;
    to->clusters[to->cluster_count] = lpx_bytes_str(kept);
    router_map_add(&b->cluster_map, hash, to->cluster_count);
    return to->cluster_count++;
}

static uint32_t intern_holder(building *b, router_owner holder)
{
    uint64_t hash = router_hash_pair(b->rows->seed, holder.party, holder.cluster);
    router_map_cursor at = router_map_seek(&b->holder_map, hash);
    for (uint32_t i = router_map_next(&b->holder_map, &at); i != ROUTER_MAP_NONE;
         i = router_map_next(&b->holder_map, &at)) {
        if (b->holders[i].party == holder.party && b->holders[i].cluster == holder.cluster) {
            return i;
        }
    }
    void *list = b->holders;
    bool room = grow(&list, b->holder_count + 1, &b->holder_room, sizeof *b->holders) &&
                router_map_reserve(&b->holder_map, b->holder_count + 1);
    b->holders = list;
    if (!room) {
        return ROUTER_MAP_NONE;
    }
    b->holders[b->holder_count] = holder;
    router_map_add(&b->holder_map, hash, b->holder_count);
    return b->holder_count++;
}

static uint32_t holder_of(building *b, traffic_endpoint owner)
{
    if (b->last_holder != ROUTER_MAP_NONE && lpx_str_equal(owner.cluster_id, b->last.cluster_id) &&
        traffic_member_equal(traffic_member_of(owner), traffic_member_of(b->last))) {
        return b->last_holder;
    }
    uint32_t party = router_parties_add(&b->to->parties, serving_member(b, traffic_member_of(owner)));
    uint32_t cluster = party != ROUTER_NO_PARTY ? intern_cluster(b, owner.cluster_id) : ROUTER_MAP_NONE;
    uint32_t holder = cluster != ROUTER_MAP_NONE ? intern_holder(b, (router_owner){party, cluster}) : ROUTER_MAP_NONE;
    b->last = owner;
    b->last_holder = holder;
    return holder;
}

/* Rows to entries whose values are holders. */
static bool collect(building *b)
{
    for (size_t i = 0; i < b->rows->block_count; i++) {
        const router_block_row *row = &b->rows->blocks[i];
        if (row->length > 32) {
            continue;
        }
        uint32_t holder = holder_of(b, row->owner);
        if (holder == ROUTER_MAP_NONE) {
            return false;
        }
        uint32_t mask = row->length == 0 ? 0 : UINT32_MAX << (32 - row->length);
        b->entries[b->entry_count++] = (router_lpm_entry){row->prefix & mask, holder, row->length};
    }
    return true;
}

/* ---- sets of owners ---- */

static const traffic_member *member_of(const building *b, uint32_t holder)
{
    return &b->to->parties.members[b->holders[holder].party];
}

static int compare_text(lpx_str a, lpx_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* By network, tenant, cluster: those of one member stand together, a network before its tenants. */
static int compare_holders(const void *a, const void *c, void *ctx)
{
    const router_lpm_entry *x = a, *y = c;
    const building *b = ctx;
    const traffic_member *m = member_of(b, x->value), *n = member_of(b, y->value);
    if (m->net_id != n->net_id) {
        return m->net_id < n->net_id ? -1 : 1;
    }
    int order = compare_text(m->tenant_id, n->tenant_id);
    const lpx_str *clusters = b->to->clusters;
    return order != 0 ? order
                      : compare_text(clusters[b->holders[x->value].cluster], clusters[b->holders[y->value].cluster]);
}

/* Who counts among the owners of equal blocks, in order: each once, and a network only when none of its tenants is
 * there. @return how many are left, at the beginning */
static size_t choose(const building *b, router_lpm_entry *equal, size_t count)
{
    size_t kept = 0;
    uint32_t before = ROUTER_MAP_NONE;
    for (size_t i = 0, end = 0; i < count; i = end) {
        uint32_t net_id = member_of(b, equal[i].value)->net_id;
        while (end < count && member_of(b, equal[end].value)->net_id == net_id) {
            end++;
        }
        bool has_tenants = member_of(b, equal[end - 1].value)->tenant_id.len > 0;
        for (size_t j = i; j < end; j++) {
            uint32_t holder = equal[j].value;
            bool is_network = member_of(b, holder)->tenant_id.len == 0;
            if (holder != before && !(has_tenants && is_network)) {
                equal[kept++].value = holder;
            }
            before = holder;
        }
    }
    return kept;
}

/* The next set, of these holders. */
static uint32_t append_set(building *b, const router_lpm_entry *equal, uint32_t count)
{
    router_blocks *to = b->to;
    void *owners = to->owners, *sets = to->sets;
    bool room = grow(&owners, to->owner_count + count, &to->owner_room, sizeof *to->owners) &&
                grow(&sets, to->set_count + 1, &to->set_room, sizeof *to->sets);
    to->owners = owners;
    to->sets = sets;
    if (!room) {
        return ROUTER_MAP_NONE;
    }
    to->sets[to->set_count] = (router_owners){to->owner_count, count};
    for (uint32_t i = 0; i < count; i++) {
        to->owners[to->owner_count++] = b->holders[equal[i].value];
    }
    return to->set_count++;
}

static bool set_equal(const building *b, const router_owners *set, const router_lpm_entry *equal, uint32_t count)
{
    bool same = set->count == count;
    for (uint32_t i = 0; same && i < count; i++) {
        const router_owner *x = &b->to->owners[set->first + i], *y = &b->holders[equal[i].value];
        same = x->party == y->party && x->cluster == y->cluster;
    }
    return same;
}

/* The set of several holders, new if need be. */
static uint32_t intern_set(building *b, const router_lpm_entry *equal, uint32_t count)
{
    uint64_t hash = b->rows->seed;
    for (uint32_t i = 0; i < count; i++) {
        hash = router_hash_pair(hash, equal[i].value, i);
    }
    router_map_cursor at = router_map_seek(&b->set_map, hash);
    for (uint32_t i = router_map_next(&b->set_map, &at); i != ROUTER_MAP_NONE; i = router_map_next(&b->set_map, &at)) {
        if (set_equal(b, &b->to->sets[i], equal, count)) {
            return i;
        }
    }
    uint32_t set = router_map_reserve(&b->set_map, b->set_map.used + 1) ? append_set(b, equal, count) : ROUTER_MAP_NONE;
    if (set != ROUTER_MAP_NONE) {
        router_map_add(&b->set_map, hash, set);
    }
    return set;
}

/* The set of the owners of equal blocks, which are put in order. */
static uint32_t set_of(building *b, router_lpm_entry *equal, size_t count)
{
    if (count > 1) {
        qsort_r(equal, count, sizeof *equal, compare_holders, b);
        count = choose(b, equal, count);
    }
    b->to->block_count += count;
    if (count > 1) {
        return intern_set(b, equal, (uint32_t)count);
    }
    uint32_t *own = &b->own_sets[equal[0].value];
    if (*own == ROUTER_MAP_NONE) {
        *own = append_set(b, equal, 1);
    }
    return *own;
}

/* Entries with holders, in order, to one entry for each prefix with its set. */
static bool group(building *b)
{
    size_t groups = 0;
    for (size_t i = 0, end = 0; i < b->entry_count; i = end) {
        const router_lpm_entry first = b->entries[i];
        while (end < b->entry_count && b->entries[end].start == first.start && b->entries[end].length == first.length) {
            end++;
        }
        uint32_t set = set_of(b, &b->entries[i], end - i);
        if (set == ROUTER_MAP_NONE) {
            return false;
        }
        b->entries[groups++] = (router_lpm_entry){first.start, set, first.length};
    }
    b->entry_count = groups;
    return true;
}

/* ---- construction ---- */

static bool begin_sets(building *b)
{
    b->own_sets = malloc((b->holder_count + 1) * sizeof *b->own_sets);
    for (uint32_t i = 0; b->own_sets != NULL && i < b->holder_count; i++) {
        b->own_sets[i] = ROUTER_MAP_NONE;
    }
    return b->own_sets != NULL;
}

static bool build(building *b)
{
    b->entries = malloc((b->rows->block_count + 1) * sizeof *b->entries);
    return b->entries != NULL && add_registered(b) && sort_delegations(b) && collect(b) && begin_sets(b) &&
           router_lpm_sort(b->entries, b->entry_count) && group(b) &&
           router_lpm_build(ROUTER_LPM_32, b->entries, b->entry_count, &b->to->lpm);
}

router_blocks *router_blocks_new(const router_block_rows *rows)
{
    router_blocks *blocks = rows->block_count <= ROUTER_MAX_BLOCKS ? calloc(1, sizeof *blocks) : NULL;
    if (blocks == NULL) {
        return NULL;
    }
    atomic_init(&blocks->refs, 1);
    router_parties_init(&blocks->parties, rows->seed);
    lpx_arena_init(&blocks->text, ROUTER_TABLES_TEXT_BYTES);
    building b = {.to = blocks, .rows = rows, .last_holder = ROUTER_MAP_NONE};
    bool built = build(&b);
    router_map_fini(&b.cluster_map);
    router_map_fini(&b.holder_map);
    router_map_fini(&b.set_map);
    free(b.delegations);
    free(b.holders);
    free(b.own_sets);
    free(b.entries);
    if (!built) {
        router_blocks_unref(&blocks);
    }
    return blocks;
}

router_blocks *router_blocks_ref(router_blocks *blocks)
{
    atomic_fetch_add_explicit(&blocks->refs, 1, memory_order_relaxed);
    return blocks;
}

void router_blocks_unref(router_blocks **ref)
{
    router_blocks *blocks = *ref;
    *ref = NULL;
    if (blocks == NULL || atomic_fetch_sub_explicit(&blocks->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    router_lpm_fini(&blocks->lpm);
    router_parties_fini(&blocks->parties);
    lpx_arena_fini(&blocks->text);
    free(blocks->registered);
    free(blocks->clusters);
    free(blocks->owners);
    free(blocks->sets);
    free(blocks);
}

/* ---- questions ---- */

const router_parties *router_blocks_parties(const router_blocks *blocks)
{
    return &blocks->parties;
}

router_owners router_blocks_find(const router_blocks *blocks, uint32_t dev_addr)
{
    uint32_t set = router_lpm_find(&blocks->lpm, dev_addr);
    return set != ROUTER_LPM_NONE ? blocks->sets[set] : (router_owners){0};
}

const router_owner *router_blocks_owner(const router_blocks *blocks, uint32_t index)
{
    lpx_assert(index < blocks->owner_count);
    return &blocks->owners[index];
}

lpx_str router_blocks_cluster(const router_blocks *blocks, const router_owner *owner)
{
    return blocks->clusters[owner->cluster];
}

bool router_blocks_is_member(const router_blocks *blocks, uint32_t net_id)
{
    return bsearch(&net_id, blocks->registered, blocks->registered_count, sizeof net_id, compare_net_ids) != NULL;
}

size_t router_blocks_count(const router_blocks *blocks)
{
    return blocks->block_count;
}
