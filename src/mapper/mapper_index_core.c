#include "mapper/mapper_index_core.h"

#include <stdlib.h>

#include "mapper/limits.h"
#include "mapper/mapper_index_priv.h"

#include "lpx_reasons.h"

#define NONE ((uint32_t)MAPPER_NONE)

static lpx_err no_memory(void)
{
    return lpx_err_of(BASE_NO_MEMORY);
}

/* ---- life ---- */

mapper_index *mapper_index_new(uint64_t seed)
{
    mapper_index *index = calloc(1, sizeof *index);
    if (index == NULL) {
        return NULL;
    }
    index->seed = seed;
    index->free_slot = index->free_origin = NONE;
    mapper_grid_init(&index->grid);
    index->cells = calloc(index->grid.first[MAPPER_GEO_ROWS], sizeof *index->cells);
    index->grants = mapper_grants_new(NULL, 0, NULL, 0);
    if (index->cells == NULL || index->grants == NULL) {
        mapper_index_free(&index);
    }
    return index;
}

void mapper_index_free(mapper_index **index)
{
    mapper_index *old = *index;
    *index = NULL;
    if (old == NULL) {
        return;
    }
    for (uint32_t i = 0; i < old->slot_count; i++) {
        free(mapper_slot_at(old, i)->key);
    }
    for (uint32_t i = 0; i < old->block_count; i++) {
        free(old->blocks[i]);
    }
    for (uint32_t i = 0; i < old->origin_count; i++) {
        free(old->origins[i].text);
    }
    free(old->blocks);
    free(old->origins);
    free(old->networks);
    free(old->cells);
    mapper_table_fini(&old->keys);
    mapper_table_fini(&old->origin_ids);
    mapper_table_fini(&old->network_ids);
    mapper_order_fini(&old->order);
    mapper_grants_free(&old->grants);
    free(old);
}

static bool grow(void **list, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room) {
        return true;
    }
    uint32_t bigger = *room > 0 ? *room * 2 : 16;
    void *moved = realloc(*list, bigger * size);
    if (moved == NULL) {
        return false;
    }
    *list = moved;
    *room = bigger;
    return true;
}

/* ---- networks and origins ---- */

static bool network_of(mapper_index *index, uint32_t net_id, uint32_t *out)
{
    uint32_t hash = mapper_hash(index->seed, (traffic_member){net_id, {"", 0}}, (lpx_str){"", 0});
    for (uint32_t i = mapper_table_first(&index->network_ids, hash); i != NONE;
         i = mapper_table_next(&index->network_ids, i)) {
        if (index->networks[i].net_id == net_id) {
            *out = i;
            return true;
        }
    }
    void *list = index->networks;
    if (!grow(&list, index->network_count, &index->network_room, sizeof *index->networks)) {
        return false;
    }
    index->networks = list;
    if (!mapper_table_reserve(&index->network_ids, index->network_count + 1)) {
        return false;
    }
    *out = index->network_count++;
    index->networks[*out] = (mapper_network){.net_id = net_id};
    mapper_table_add(&index->network_ids, *out, hash);
    return true;
}

static void judge_origin(const mapper_index *index, mapper_origin *origin)
{
    traffic_member member = traffic_member_of(mapper_origin_endpoint(index, origin));
    origin->registered = mapper_grants_registered(index->grants, member);
    origin->public_parts = mapper_grants_public(index->grants, member);
}

static bool is_origin(const mapper_index *index, uint32_t number, const traffic_endpoint *wanted)
{
    traffic_endpoint there = mapper_origin_endpoint(index, &index->origins[number]);
    return there.net_id == wanted->net_id && lpx_str_equal(there.tenant_id, wanted->tenant_id) &&
           lpx_str_equal(there.cluster_id, wanted->cluster_id);
}

/* A place for a new origin: where one went that had no gateways any more, or behind the last. */
static bool origin_place(mapper_index *index, uint32_t *out)
{
    void *list = index->origins;
    if (index->free_origin != NONE) {
        *out = index->free_origin;
        return true;
    }
    if (index->origin_count >= MAPPER_MAX_FORWARDERS ||
        !grow(&list, index->origin_count, &index->origin_room, sizeof *index->origins)) {
        return false;
    }
    index->origins = list;
    *out = index->origin_count;
    return mapper_table_reserve(&index->origin_ids, index->origin_count + 1);
}

static bool origin_of(mapper_index *index, const traffic_endpoint *forwarder, uint32_t *out)
{
    uint32_t hash = mapper_hash(index->seed, traffic_member_of(*forwarder), forwarder->cluster_id);
    for (uint32_t i = mapper_table_first(&index->origin_ids, hash); i != NONE;
         i = mapper_table_next(&index->origin_ids, i)) {
        if (is_origin(index, i, forwarder)) {
            *out = i;
            return true;
        }
    }
    uint32_t network;
    char *text = malloc(forwarder->tenant_id.len + forwarder->cluster_id.len + 1);
    if (text == NULL || !network_of(index, forwarder->net_id, &network) || !origin_place(index, out)) {
        free(text);
        return false;
    }
    memcpy(text, forwarder->tenant_id.ptr != NULL ? forwarder->tenant_id.ptr : "", forwarder->tenant_id.len);
    memcpy(text + forwarder->tenant_id.len, forwarder->cluster_id.ptr != NULL ? forwarder->cluster_id.ptr : "",
           forwarder->cluster_id.len);
    uint32_t next_free = *out < index->origin_count ? index->origins[*out].network : NONE;
    index->origins[*out] = (mapper_origin){.text = text,
                                           .tenant_len = (uint32_t)forwarder->tenant_id.len,
                                           .cluster_len = (uint32_t)forwarder->cluster_id.len,
                                           .network = network};
    if (*out == index->origin_count) {
        index->origin_count++;
    } else {
        index->free_origin = next_free;
    }
    judge_origin(index, &index->origins[*out]);
    mapper_table_add(&index->origin_ids, *out, hash);
    return true;
}

static void origin_enter(mapper_index *index, uint32_t number)
{
    mapper_origin *origin = &index->origins[number];
    origin->count++;
    index->networks[origin->network].count++;
}

/* The last gateway takes its origin along. */
static void origin_leave(mapper_index *index, uint32_t number)
{
    mapper_origin *origin = &index->origins[number];
    origin->count--;
    index->networks[origin->network].count--;
    if (origin->count == 0) {
        mapper_table_remove(&index->origin_ids, number);
        free(origin->text);
        *origin = (mapper_origin){.network = index->free_origin};
        index->free_origin = number;
    }
}

void mapper_index_set_grants(mapper_index *index, mapper_grants *grants)
{
    mapper_grants_free(&index->grants);
    index->grants = grants;
    for (uint32_t i = 0; i < index->origin_count; i++) {
        if (index->origins[i].text != NULL) {
            judge_origin(index, &index->origins[i]);
        }
    }
}

/* ---- cells ---- */

static uint32_t *cell_of(const mapper_index *index, const mapper_slot *slot)
{
    return &index->cells[mapper_grid_cell(&index->grid, slot->latitude, slot->longitude)];
}

static void cell_enter(mapper_index *index, mapper_slot *slot, uint32_t number)
{
    if ((slot->known & MAPPER_HAS_LOCATION) == 0) {
        return;
    }
    uint32_t *cell = cell_of(index, slot);
    slot->cell_prev = NONE;
    slot->cell_next = *cell - 1; /* 0 - 1 is none */
    if (slot->cell_next != NONE) {
        mapper_slot_at(index, slot->cell_next)->cell_prev = number;
    }
    *cell = number + 1;
}

static void cell_leave(mapper_index *index, const mapper_slot *slot)
{
    if ((slot->known & MAPPER_HAS_LOCATION) == 0) {
        return;
    }
    if (slot->cell_prev != NONE) {
        mapper_slot_at(index, slot->cell_prev)->cell_next = slot->cell_next;
    } else {
        *cell_of(index, slot) = slot->cell_next + 1;
    }
    if (slot->cell_next != NONE) {
        mapper_slot_at(index, slot->cell_next)->cell_prev = slot->cell_prev;
    }
}

/* ---- slots ---- */

static bool find_slot(const mapper_index *index, traffic_member forwarder, lpx_str key, uint32_t hash, uint32_t *out)
{
    for (uint32_t i = mapper_table_first(&index->keys, hash); i != NONE; i = mapper_table_next(&index->keys, i)) {
        const mapper_slot *slot = mapper_slot_at(index, i);
        traffic_endpoint there = mapper_origin_endpoint(index, &index->origins[slot->origin]);
        if (lpx_str_equal((lpx_str){slot->key, slot->key_len}, key) &&
            traffic_member_equal(traffic_member_of(there), forwarder)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool add_block(mapper_index *index)
{
    void *list = index->blocks;
    if (!grow(&list, index->block_count, &index->block_room, sizeof(mapper_slot *))) {
        return false;
    }
    index->blocks = list;
    mapper_slot *block = calloc(MAPPER_BLOCK_SLOTS, sizeof *block);
    if (block != NULL) {
        index->blocks[index->block_count++] = block;
    }
    return block != NULL;
}

/* A slot with its key, in the table; not in a cell and not in the order yet. */
static bool new_slot(mapper_index *index, lpx_str key, uint32_t hash, uint32_t *out)
{
    bool fresh = index->free_slot == NONE;
    if (fresh && (index->slot_count >= MAPPER_MAX_GATEWAYS ||
                  (index->slot_count == index->block_count * MAPPER_BLOCK_SLOTS && !add_block(index)) ||
                  !mapper_table_reserve(&index->keys, index->slot_count + 1))) {
        return false;
    }
    char *copy = malloc(key.len + 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, key.ptr, key.len);
    *out = fresh ? index->slot_count++ : index->free_slot;
    mapper_slot *slot = mapper_slot_at(index, *out);
    index->free_slot = fresh ? NONE : slot->cell_next;
    *slot = (mapper_slot){.key = copy, .key_len = (uint8_t)key.len};
    mapper_table_add(&index->keys, *out, hash);
    return true;
}

static void slot_fill(mapper_slot *slot, const mapper_row *row, uint32_t origin)
{
    slot->eui = row->eui;
    slot->latitude = row->latitude;
    slot->longitude = row->longitude;
    slot->altitude_m = row->altitude_m;
    slot->accuracy_m = row->accuracy_m;
    slot->online_until_us = row->online_until.us;
    slot->updated_at_us = row->updated_at.us;
    slot->origin = origin;
    slot->known = (uint8_t)row->known;
    slot->placement = row->placement;
    slot->antenna_count = row->antenna_count;
}

static void detach(mapper_index *index, const mapper_slot *slot, uint32_t number)
{
    cell_leave(index, slot);
    mapper_order_remove(&index->order, (lpx_utc){slot->updated_at_us}, number);
    origin_leave(index, slot->origin);
}

static void free_slot(mapper_index *index, uint32_t number)
{
    mapper_slot *slot = mapper_slot_at(index, number);
    mapper_table_remove(&index->keys, number);
    free(slot->key);
    *slot = (mapper_slot){.cell_next = index->free_slot};
    index->free_slot = number;
}

static void remove_slot(mapper_index *index, uint32_t number)
{
    detach(index, mapper_slot_at(index, number), number);
    free_slot(index, number);
}

lpx_err mapper_index_put(mapper_index *index, const mapper_row *row, bool *added)
{
    uint32_t number;
    uint32_t origin;
    traffic_member forwarder = traffic_member_of(row->forwarder);
    uint32_t hash = mapper_hash(index->seed, forwarder, row->key);
    bool found = find_slot(index, forwarder, row->key, hash, &number);
    bool gone = (row->known & MAPPER_GONE) != 0;
    *added = false;
    if (found ? row->updated_at.us <= mapper_slot_at(index, number)->updated_at_us : gone) {
        return LPX_SUCCESS;
    }
    if (gone) {
        remove_slot(index, number);
        return LPX_SUCCESS;
    }
    if (!mapper_order_reserve(&index->order) || (!found && !new_slot(index, row->key, hash, &number))) {
        return no_memory();
    }
    if (!origin_of(index, &row->forwarder, &origin)) {
        if (!found) {
            free_slot(index, number);
        }
        return no_memory();
    }
    mapper_slot *slot = mapper_slot_at(index, number);
    origin_enter(index, origin); /* before it leaves: it may be the same, and its last */
    if (found) {
        detach(index, slot, number);
    }
    slot_fill(slot, row, origin);
    cell_enter(index, slot, number);
    mapper_order_add(&index->order, row->updated_at, number);
    *added = !found;
    return LPX_SUCCESS;
}

size_t mapper_index_remove_before(mapper_index *index, lpx_utc time)
{
    size_t removed = 0;
    mapper_place place = {.time = INT64_MIN};
    for (;;) {
        uint32_t number;
        size_t position = mapper_order_seek(&index->order, place);
        if (!mapper_order_at(&index->order, &position, &place, &number) || place.time >= time.us) {
            return removed;
        }
        remove_slot(index, number);
        removed++;
    }
}

size_t mapper_index_remove_forwarder(mapper_index *index, traffic_member forwarder)
{
    size_t removed = 0;
    for (uint32_t i = 0; i < index->slot_count; i++) {
        const mapper_slot *slot = mapper_slot_at(index, i);
        if (slot->key != NULL &&
            traffic_member_equal(traffic_member_of(mapper_origin_endpoint(index, &index->origins[slot->origin])),
                                 forwarder)) {
            remove_slot(index, i);
            removed++;
        }
    }
    return removed;
}

/* ---- asking ---- */

bool mapper_index_unregistered(const mapper_index *index, uint32_t *position, traffic_member *out)
{
    while (*position < index->origin_count) {
        const mapper_origin *origin = &index->origins[(*position)++];
        if (origin->count > 0 && !origin->registered) {
            *out = traffic_member_of(mapper_origin_endpoint(index, origin));
            return true;
        }
    }
    return false;
}

void mapper_slot_row(const mapper_index *index, const mapper_slot *slot, mapper_row *out)
{
    *out = (mapper_row){.forwarder = mapper_origin_endpoint(index, &index->origins[slot->origin]),
                        .key = {slot->key, slot->key_len},
                        .eui = slot->eui,
                        .latitude = slot->latitude,
                        .longitude = slot->longitude,
                        .altitude_m = slot->altitude_m,
                        .accuracy_m = slot->accuracy_m,
                        .known = slot->known,
                        .placement = slot->placement,
                        .antenna_count = slot->antenna_count,
                        .online_until = {slot->online_until_us},
                        .updated_at = {slot->updated_at_us}};
}

bool mapper_index_find(const mapper_index *index, const mapper_viewer *viewer, traffic_member forwarder, lpx_str key,
                       mapper_row *row, uint32_t *parts)
{
    uint32_t number;
    if (!find_slot(index, forwarder, key, mapper_hash(index->seed, forwarder, key), &number)) {
        return false;
    }
    const mapper_slot *slot = mapper_slot_at(index, number);
    const mapper_origin *origin = &index->origins[slot->origin];
    mapper_slot_row(index, slot, row);
    *parts = origin->registered ? mapper_viewer_parts(viewer, index->grants, forwarder, origin->public_parts) : 0;
    return true;
}

size_t mapper_index_count(const mapper_index *index)
{
    return index->keys.count;
}

size_t mapper_index_online(const mapper_index *index, lpx_utc now)
{
    size_t online = 0;
    for (uint32_t i = 0; i < index->slot_count; i++) {
        const mapper_slot *slot = mapper_slot_at(index, i);
        online += slot->key != NULL && (slot->known & MAPPER_HAS_STATUS) != 0 && slot->online_until_us > now.us;
    }
    return online;
}

static int compare_numbers(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;
    return (*a > *b) - (*a < *b);
}

size_t mapper_index_full(const mapper_index *index, uint32_t limit, uint32_t *out, size_t max)
{
    size_t count = 0;
    for (uint32_t i = 0; i < index->network_count && count < max; i++) {
        if (index->networks[i].count >= limit) {
            out[count++] = index->networks[i].net_id;
        }
    }
    qsort(out, count, sizeof *out, compare_numbers);
    return count;
}
