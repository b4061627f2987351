#include "router/router_dir.h"

#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "router/limits.h"
#include "router/router_map.h"

/* Where the place of a member is, by its number in a snapshot. */
typedef struct remembered {
    uint32_t slot;  /* ROUTER_MAP_NONE: it has none */
    uint32_t epoch; /* it holds as long as this is the directory's */
} remembered;

struct router_dir {
    uint64_t seed;
    router_map map;        /* hash of (direction, member) -> index in places */
    router_place **places; /* NULL: free */
    uint32_t place_room;
    uint32_t place_count; /* in use */
    uint32_t first_free;  /* slots below are in use */
    uint32_t *naming;     /* places with subscriptions that name EUIs */
    uint32_t naming_count;
    uint32_t sub_count;
    remembered *numbers[TRAFFIC_DIRECTIONS]; /* by number of the member */
    uint32_t number_room;
    uint64_t numbers_of; /* serial number of the snapshot; 0: none */
    uint32_t epoch;      /* never 0; the next one begins when places change, and with a snapshot */
};

/* ---- subscriptions ---- */

/* Next piece of a block that was measured before. */
static void *carve(uint8_t **at, size_t bytes)
{
    void *piece = *at;
    *at += (bytes + 7) / 8 * 8;
    return piece;
}

static size_t carved(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

static size_t spec_bytes(const router_sub_spec *spec)
{
    size_t total = carved(spec->filter_count * sizeof(router_filter)) + carved(spec->endpoint.tenant_id.len) +
                   carved(spec->endpoint.cluster_id.len) + carved(spec->group.len);
    for (size_t i = 0; i < spec->filter_count; i++) {
        const router_filter *f = &spec->filters[i];
        total += carved(f->eui_count * sizeof *f->euis) + carved(f->dev_addr_count * sizeof *f->dev_addrs) +
                 carved(f->port_count * sizeof *f->ports);
    }
    return total;
}

static const void *carve_copy(uint8_t **at, const void *from, size_t bytes)
{
    void *piece = carve(at, bytes);
    if (bytes > 0) {
        memcpy(piece, from, bytes);
    }
    return piece;
}

static lpx_str carve_text(uint8_t **at, lpx_str text)
{
    return (lpx_str){.ptr = carve_copy(at, text.ptr, text.len), .len = text.len};
}

static const router_filter *carve_filters(uint8_t **at, const router_sub_spec *spec)
{
    router_filter *filters = carve(at, spec->filter_count * sizeof *filters);
    for (size_t i = 0; i < spec->filter_count; i++) {
        const router_filter *f = &spec->filters[i];
        filters[i] = *f;
        filters[i].euis = carve_copy(at, f->euis, f->eui_count * sizeof *f->euis);
        filters[i].dev_addrs = carve_copy(at, f->dev_addrs, f->dev_addr_count * sizeof *f->dev_addrs);
        filters[i].ports = carve_copy(at, f->ports, f->port_count * sizeof *f->ports);
    }
    return filters;
}

router_sub *router_sub_new(const router_sub_spec *spec)
{
    size_t head = carved(sizeof(router_sub));
    router_sub *sub = calloc(1, head + spec_bytes(spec));
    if (sub == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)sub + head;
    atomic_init(&sub->refs, 1);
    sub->direction = spec->direction;
    sub->filters = carve_filters(&at, spec);
    sub->filter_count = spec->filter_count;
    sub->endpoint.net_id = spec->endpoint.net_id;
    sub->endpoint.tenant_id = carve_text(&at, spec->endpoint.tenant_id);
    sub->endpoint.cluster_id = carve_text(&at, spec->endpoint.cluster_id);
    sub->group = carve_text(&at, spec->group);
    sub->names_euis = spec->direction == TRAFFIC_UP && router_filters_name_any(spec->filters, spec->filter_count);
    sub->loop = spec->loop;
    sub->max_messages = spec->max_messages;
    sub->max_bytes = spec->max_bytes;
    return sub;
}

router_sub *router_sub_ref(router_sub *sub)
{
    atomic_fetch_add_explicit(&sub->refs, 1, memory_order_relaxed);
    return sub;
}

void router_sub_unref(router_sub **ref)
{
    router_sub *sub = *ref;
    *ref = NULL;
    if (sub != NULL && atomic_fetch_sub_explicit(&sub->refs, 1, memory_order_acq_rel) == 1) {
        free(sub);
    }
}

void router_sub_count_drop(router_sub *sub, traffic_drop reason)
{
    unsigned number = (unsigned)reason - ROUTER_SUB_FIRST_REASON;
    lpx_assert(number < ROUTER_SUB_REASONS);
    atomic_fetch_add_explicit(&sub->dropped[number], 1, memory_order_relaxed);
}

void router_sub_add_totals(const router_sub *sub, router_sub_totals *to)
{
    to->sent += atomic_load_explicit(&sub->sent, memory_order_relaxed);
    for (unsigned i = 0; i < ROUTER_SUB_REASONS; i++) {
        to->dropped[i] += atomic_load_explicit(&sub->dropped[i], memory_order_relaxed);
    }
}

void router_totals_add(router_sub_totals *to, const router_sub_totals *more)
{
    to->sent += more->sent;
    for (unsigned i = 0; i < ROUTER_SUB_REASONS; i++) {
        to->dropped[i] += more->dropped[i];
    }
}

bool router_sub_has_room(const router_sub *sub)
{
    return atomic_load_explicit(&sub->waiting_messages, memory_order_relaxed) < sub->max_messages &&
           atomic_load_explicit(&sub->waiting_bytes, memory_order_relaxed) < sub->max_bytes;
}

/* ---- what is remembered by number ---- */

/* Nothing that was remembered holds any more. */
static void begin_epoch(router_dir *dir)
{
    dir->epoch++;
    if (dir->epoch != 0) {
        return;
    }
    for (unsigned way = 0; way < TRAFFIC_DIRECTIONS && dir->number_room > 0; way++) {
        memset(dir->numbers[way], 0, dir->number_room * sizeof *dir->numbers[way]);
    }
    dir->epoch = 1;
}

/* Remember by the numbers of another snapshot. @return false when memory is short */
static bool follow(router_dir *dir, const router_tables *tables)
{
    uint32_t count = router_tables_party_count(tables);
    for (unsigned way = 0; way < TRAFFIC_DIRECTIONS && count > dir->number_room; way++) {
        remembered *numbers = realloc(dir->numbers[way], count * sizeof *numbers);
        if (numbers == NULL) {
            return false;
        }
        memset(numbers + dir->number_room, 0, (count - dir->number_room) * sizeof *numbers);
        dir->numbers[way] = numbers;
    }
    dir->number_room = count > dir->number_room ? count : dir->number_room;
    dir->numbers_of = router_tables_serial(tables);
    begin_epoch(dir);
    return true;
}

/* ---- groups and places ---- */

static void set_text(char *room, uint8_t *len, lpx_str text)
{
    lpx_assert(text.len < ROUTER_TEXT_BYTES);
    if (text.len > 0) {
        memcpy(room, text.ptr, text.len);
    }
    *len = (uint8_t)text.len;
}

lpx_str router_group_cluster(const router_group *group)
{
    return (lpx_str){.ptr = group->cluster_text, .len = group->cluster_len};
}

lpx_str router_group_name(const router_group *group)
{
    return (lpx_str){.ptr = group->name_text, .len = group->name_len};
}

static traffic_member place_member(const router_place *place)
{
    return (traffic_member){place->net_id, {.ptr = place->tenant_text, .len = place->tenant_len}};
}

static uint64_t place_hash(const router_dir *dir, traffic_direction direction, traffic_member member)
{
    return router_hash_member(dir->seed + (uint64_t)direction, member);
}

static uint32_t find_place(const router_dir *dir, traffic_direction direction, traffic_member member)
{
    router_map_cursor at = router_map_seek(&dir->map, place_hash(dir, direction, member));
    for (uint32_t i = router_map_next(&dir->map, &at); i != ROUTER_MAP_NONE; i = router_map_next(&dir->map, &at)) {
        const router_place *place = dir->places[i];
        if (place->direction == direction && traffic_member_equal(place_member(place), member)) {
            return i;
        }
    }
    return ROUTER_MAP_NONE;
}

/* Index of the group of a subscription in its place; group_count when there is none. */
static uint32_t find_group(const router_place *place, const router_sub *sub)
{
    uint32_t i = 0;
    while (i < place->group_count &&
           !(lpx_str_equal(router_group_cluster(&place->groups[i]), sub->endpoint.cluster_id) &&
             lpx_str_equal(router_group_name(&place->groups[i]), sub->group))) {
        i++;
    }
    return i;
}

/* Room for one more thing at the end of a list. */
static bool grow(void **list, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room) {
        return true;
    }
    uint32_t bigger = *room > 0 ? *room * 2 : 4;
    void *moved = realloc(*list, bigger * size);
    if (moved == NULL) {
        return false;
    }
    *list = moved;
    *room = bigger;
    return true;
}

/* Lists of places grow together: each place can be in the naming list. */
static bool grow_places(router_dir *dir)
{
    if (dir->place_count < dir->place_room) {
        return true;
    }
    uint32_t bigger = dir->place_room > 0 ? dir->place_room * 2 : 16;
    router_place **places = realloc(dir->places, bigger * sizeof(*places));
    if (places == NULL) {
        return false;
    }
    dir->places = places;
    uint32_t *naming = realloc(dir->naming, bigger * sizeof *naming);
    if (naming == NULL) {
        return false;
    }
    dir->naming = naming;
    for (uint32_t i = dir->place_room; i < bigger; i++) {
        places[i] = NULL;
    }
    dir->place_room = bigger;
    return true;
}

/* New empty place in a free slot. */
static uint32_t add_place(router_dir *dir, traffic_direction direction, traffic_member member)
{
    router_place *place = calloc(1, sizeof *place);
    if (place == NULL || !grow_places(dir) || !router_map_reserve(&dir->map, dir->place_count + 1)) {
        free(place);
        return ROUTER_MAP_NONE;
    }
    place->direction = direction;
    place->net_id = member.net_id;
    set_text(place->tenant_text, &place->tenant_len, member.tenant_id);
    uint32_t slot = dir->first_free;
    while (dir->places[slot] != NULL) {
        slot++;
    }
    dir->first_free = slot + 1;
    dir->places[slot] = place;
    dir->place_count++;
    begin_epoch(dir);
    router_map_add(&dir->map, place_hash(dir, direction, member), slot);
    return slot;
}

static void remove_place_if_empty(router_dir *dir, uint32_t slot)
{
    router_place *place = dir->places[slot];
    if (place->sub_count > 0) {
        return;
    }
    lpx_assert(place->group_count == 0 && place->naming_count == 0);
    router_map_remove(&dir->map, place_hash(dir, place->direction, place_member(place)), slot);
    free(place->groups);
    free(place);
    dir->places[slot] = NULL;
    dir->place_count--;
    begin_epoch(dir);
    dir->first_free = slot < dir->first_free ? slot : dir->first_free;
}

/* Group of the subscription, with room for it; NULL when memory is short. */
static router_group *open_group(router_place *place, const router_sub *sub)
{
    uint32_t index = find_group(place, sub);
    if (index == place->group_count) {
        void *groups = place->groups;
        if (!grow(&groups, place->group_count, &place->group_room, sizeof *place->groups)) {
            return NULL;
        }
        place->groups = groups;
        router_group fresh = {.cursor = 0};
        set_text(fresh.cluster_text, &fresh.cluster_len, sub->endpoint.cluster_id);
        set_text(fresh.name_text, &fresh.name_len, sub->group);
        place->groups[place->group_count++] = fresh;
    }
    router_group *group = &place->groups[index];
    void *subs = group->subs;
    if (!grow(&subs, group->count, &group->room, sizeof *group->subs)) {
        return NULL;
    }
    group->subs = subs;
    return group;
}

static void close_group_if_empty(router_place *place, uint32_t index)
{
    router_group *group = &place->groups[index];
    if (group->count > 0) {
        return;
    }
    free(group->subs);
    place->group_count--;
    memmove(group, group + 1, (place->group_count - index) * sizeof *group);
}

/* ---- the list of places whose subscriptions name EUIs ---- */

static void naming_add(router_dir *dir, uint32_t slot)
{
    if (dir->places[slot]->naming_count++ == 0) {
        dir->naming[dir->naming_count++] = slot;
    }
}

static void naming_remove(router_dir *dir, uint32_t slot)
{
    if (--dir->places[slot]->naming_count > 0) {
        return;
    }
    uint32_t i = 0;
    while (dir->naming[i] != slot) {
        i++;
    }
    dir->naming_count--;
    memmove(&dir->naming[i], &dir->naming[i + 1], (dir->naming_count - i) * sizeof *dir->naming);
}

/* ---- the directory ---- */

router_dir *router_dir_new(uint64_t seed)
{
    router_dir *dir = calloc(1, sizeof *dir);
    if (dir != NULL) {
        dir->seed = seed;
        dir->epoch = 1;
    }
    return dir;
}

static void free_place(router_place *place)
{
    for (uint32_t i = 0; i < place->group_count; i++) {
        for (uint32_t j = 0; j < place->groups[i].count; j++) {
            router_sub_unref(&place->groups[i].subs[j]);
        }
        free(place->groups[i].subs);
    }
    free(place->groups);
    free(place);
}

void router_dir_free(router_dir **ref)
{
    router_dir *dir = *ref;
    *ref = NULL;
    if (dir == NULL) {
        return;
    }
    for (uint32_t i = 0; i < dir->place_room; i++) {
        if (dir->places[i] != NULL) {
            free_place(dir->places[i]);
        }
    }
    router_map_fini(&dir->map);
    free(dir->numbers[TRAFFIC_UP]);
    free(dir->numbers[TRAFFIC_DOWN]);
    free(dir->places);
    free(dir->naming);
    free(dir);
}

lpx_err router_dir_add(router_dir *dir, router_sub *sub)
{
    traffic_member member = traffic_member_of(sub->endpoint);
    uint32_t slot = find_place(dir, sub->direction, member);
    if (slot == ROUTER_MAP_NONE) {
        slot = add_place(dir, sub->direction, member);
    }
    if (slot == ROUTER_MAP_NONE) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    router_place *place = dir->places[slot];
    router_group *group = open_group(place, sub);
    if (group == NULL) {
        uint32_t index = find_group(place, sub);
        if (index < place->group_count) {
            close_group_if_empty(place, index);
        }
        remove_place_if_empty(dir, slot);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    group->subs[group->count++] = router_sub_ref(sub);
    place->sub_count++;
    dir->sub_count++;
    if (sub->names_euis) {
        naming_add(dir, slot);
    }
    return LPX_SUCCESS;
}

bool router_dir_remove(router_dir *dir, router_sub *sub)
{
    uint32_t slot = find_place(dir, sub->direction, traffic_member_of(sub->endpoint));
    if (slot == ROUTER_MAP_NONE) {
        return false;
    }
    router_place *place = dir->places[slot];
    uint32_t index = find_group(place, sub);
    router_group *group = index < place->group_count ? &place->groups[index] : NULL;
    uint32_t at = 0;
    while (group != NULL && at < group->count && group->subs[at] != sub) {
        at++;
    }
    if (group == NULL || at == group->count) {
        return false;
    }
    router_sub_add_totals(sub, &group->past);
    group->count--;
    memmove(&group->subs[at], &group->subs[at + 1], (group->count - at) * sizeof(*group->subs));
    if (at < group->cursor) {
        group->cursor--;
    }
    if (sub->names_euis) {
        naming_remove(dir, slot);
    }
    place->sub_count--;
    dir->sub_count--;
    close_group_if_empty(place, index);
    remove_place_if_empty(dir, slot);
    router_sub_unref(&sub);
    return true;
}

lpx_err router_dir_check_room(const router_dir *dir, traffic_direction direction, traffic_member member, lpx_note *note)
{
    if (dir->sub_count >= ROUTER_MAX_SUBS) {
        return lpx_fail(note, ROUTER_TOO_MANY_STREAMS,
                        "The exchange has %d subscriptions open, as many as it may have.", ROUTER_MAX_SUBS);
    }
    const router_place *place = router_dir_find(dir, direction, member);
    if (place != NULL && place->sub_count >= ROUTER_MAX_SUBS_PER_MEMBER) {
        return lpx_fail(note, ROUTER_TOO_MANY_STREAMS,
                        "This network or tenant has %d subscriptions open, as many as it may have; close some first.",
                        ROUTER_MAX_SUBS_PER_MEMBER);
    }
    return LPX_SUCCESS;
}

router_place *router_dir_find(const router_dir *dir, traffic_direction direction, traffic_member member)
{
    uint32_t slot = find_place(dir, direction, member);
    return slot != ROUTER_MAP_NONE ? dir->places[slot] : NULL;
}

router_place *router_dir_at(router_dir *dir, traffic_direction direction, const router_tables *tables, uint32_t number)
{
    if (dir->numbers_of != router_tables_serial(tables) && !follow(dir, tables)) {
        return router_dir_find(dir, direction, router_tables_member(tables, number));
    }
    lpx_assert(number < dir->number_room);
    remembered *at = &dir->numbers[direction][number];
    if (at->epoch != dir->epoch) {
        uint32_t slot = find_place(dir, direction, router_tables_member(tables, number));
        *at = (remembered){slot, dir->epoch};
    }
    return at->slot != ROUTER_MAP_NONE ? dir->places[at->slot] : NULL;
}

router_place *router_dir_naming(const router_dir *dir, uint32_t index)
{
    return index < dir->naming_count ? dir->places[dir->naming[index]] : NULL;
}

void router_dir_each_group(const router_dir *dir,
                           void (*see)(void *ctx, const router_place *place, const router_group *group), void *ctx)
{
    for (uint32_t i = 0; i < dir->place_room; i++) {
        for (uint32_t j = 0; dir->places[i] != NULL && j < dir->places[i]->group_count; j++) {
            see(ctx, dir->places[i], &dir->places[i]->groups[j]);
        }
    }
}

uint32_t router_dir_count(const router_dir *dir)
{
    return dir->sub_count;
}
