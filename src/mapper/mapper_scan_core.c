/* Without a place or a time the gateways are looked at by their numbers. With a place those inside are collected from
 * the cells at once and sorted by number, unless they are too many. With a time they come by the order of change. What
 * is collected is looked at again when its turn comes: it may have changed. */
#include "mapper/mapper_scan_core.h"

#include <stdlib.h>

#include "mapper/limits.h"
#include "mapper/mapper_index_priv.h"

enum { CACHED_ORIGINS = 256, FIRST_COLLECTED = 256 };

struct mapper_scan {
    const mapper_query *query;
    const mapper_viewer *viewer;
    bool begun;
    uint64_t skipped, given;
    enum { BY_NUMBER, BY_LIST, BY_TIME } way;
    uint32_t next;   /* BY_NUMBER: slot; BY_LIST: position */
    size_t position; /* BY_TIME: in the order, for this slice */
    uint32_t *list;
    uint32_t list_count, list_room;
    mapper_place place; /* BY_TIME */
    struct {
        uint32_t origin; /* plus 1 */
        uint32_t parts;
    } cache[CACHED_ORIGINS]; /* for this slice: visibilities may change in between */
};

mapper_scan *mapper_scan_new(const mapper_query *query, const mapper_viewer *viewer)
{
    mapper_scan *scan = calloc(1, sizeof *scan);
    if (scan != NULL) {
        scan->query = query;
        scan->viewer = viewer;
    }
    return scan;
}

void mapper_scan_free(mapper_scan **scan)
{
    if (*scan != NULL) {
        free((*scan)->list);
        free(*scan);
    }
    *scan = NULL;
}

/* ---- conditions ---- */

static uint32_t parts_of(mapper_scan *scan, const mapper_index *index, uint32_t number)
{
    const mapper_origin *origin = &index->origins[number];
    uint32_t at = number % CACHED_ORIGINS;
    if (!origin->registered) {
        return 0;
    }
    if (scan->viewer->kind == MAPPER_VIEW_PUBLIC && !scan->viewer->has_own) {
        return origin->public_parts;
    }
    if (scan->cache[at].origin != number + 1) {
        traffic_member forwarder = traffic_member_of(mapper_origin_endpoint(index, origin));
        scan->cache[at].origin = number + 1;
        scan->cache[at].parts = mapper_viewer_parts(scan->viewer, index->grants, forwarder, origin->public_parts);
    }
    return scan->cache[at].parts;
}

static bool is_forwarder(const mapper_query *query, const mapper_index *index, uint32_t number)
{
    traffic_endpoint origin = mapper_origin_endpoint(index, &index->origins[number]);
    return origin.net_id == query->forwarder.net_id &&
           (!query->has_tenant || lpx_str_equal(origin.tenant_id, query->forwarder.tenant_id)) &&
           (!query->has_cluster || lpx_str_equal(origin.cluster_id, query->forwarder.cluster_id));
}

static bool is_near(const mapper_query *query, const mapper_slot *slot)
{
    return (slot->known & MAPPER_HAS_LOCATION) != 0 && mapper_circle_has(&query->near, slot->latitude, slot->longitude);
}

/* A filter on what is hidden would tell it. */
static bool passes(mapper_scan *scan, const mapper_index *index, const mapper_slot *slot, lpx_utc now, uint32_t *parts)
{
    const mapper_query *query = scan->query;
    if (slot->key == NULL || (query->has_forwarder && !is_forwarder(query, index, slot->origin))) {
        return false;
    }
    *parts = parts_of(scan, index, slot->origin);
    if (*parts == 0 || (query->has_near && ((*parts & MAPPER_SEE_LOCATION) == 0 || !is_near(query, slot)))) {
        return false;
    }
    if (!query->has_online) {
        return true;
    }
    bool known = (slot->known & MAPPER_HAS_STATUS) != 0 && (*parts & MAPPER_SEE_STATUS) != 0;
    return known && (slot->online_until_us > now.us) == query->online;
}

/* ---- ways ---- */

static bool collect(mapper_scan *scan, uint32_t number)
{
    if (scan->list_count == scan->list_room) {
        uint32_t room = scan->list_room > 0 ? scan->list_room * 2 : FIRST_COLLECTED;
        uint32_t *bigger = room <= MAPPER_COLLECTED_MAX ? realloc(scan->list, room * sizeof *bigger) : NULL;
        if (bigger == NULL) {
            return false;
        }
        scan->list = bigger;
        scan->list_room = room;
    }
    scan->list[scan->list_count++] = number;
    return true;
}

static bool collect_cell(mapper_scan *scan, const mapper_index *index, uint32_t cell)
{
    for (uint32_t i = index->cells[cell] - 1; i != (uint32_t)MAPPER_NONE;) {
        const mapper_slot *slot = mapper_slot_at(index, i);
        if (mapper_circle_has(&scan->query->near, slot->latitude, slot->longitude) && !collect(scan, i)) {
            return false;
        }
        i = slot->cell_next;
    }
    return true;
}

static int compare_numbers(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;
    return (*a > *b) - (*a < *b);
}

/* @return false when there are too many */
static bool collect_near(mapper_scan *scan, const mapper_index *index)
{
    mapper_cells run;
    mapper_walk walk = mapper_walk_of(&index->grid, &scan->query->near);
    while (mapper_walk_next(&walk, &run)) {
        for (uint32_t cell = run.first; cell <= run.last; cell++) {
            if (!collect_cell(scan, index, cell)) {
                return false;
            }
        }
    }
    if (scan->list_count > 0) {
        qsort(scan->list, scan->list_count, sizeof *scan->list, compare_numbers);
    }
    return true;
}

static void choose_way(mapper_scan *scan, const mapper_index *index)
{
    if (scan->query->has_since) {
        scan->way = BY_TIME;
        scan->place = mapper_order_since(scan->query->since);
    } else if (scan->query->has_near) {
        scan->way = BY_LIST;
        if (!collect_near(scan, index)) {
            free(scan->list);
            scan->list = NULL;
            scan->way = BY_NUMBER;
        }
    }
}

static bool next_number(mapper_scan *scan, const mapper_index *index, uint32_t *number)
{
    if (scan->way == BY_TIME) {
        return mapper_order_at(&index->order, &scan->position, &scan->place, number);
    }
    if (scan->way == BY_LIST) {
        if (scan->next >= scan->list_count) {
            return false;
        }
        *number = scan->list[scan->next++];
        return true;
    }
    *number = scan->next;
    return scan->next++ < index->slot_count;
}

void mapper_scan_resume(mapper_scan *scan, const mapper_index *index)
{
    if (!scan->begun) {
        choose_way(scan, index);
        scan->begun = true;
    }
    memset(scan->cache, 0, sizeof scan->cache);
    scan->position = scan->way == BY_TIME ? mapper_order_seek(&index->order, scan->place) : 0;
}

mapper_found mapper_scan_next(mapper_scan *scan, const mapper_index *index, lpx_utc now, uint32_t *steps,
                              mapper_hit *out)
{
    if (scan->given >= scan->query->limit) {
        return MAPPER_FOUND_END;
    }
    for (; *steps > 0; --*steps) {
        uint32_t number;
        if (!next_number(scan, index, &number)) {
            return MAPPER_FOUND_END;
        }
        const mapper_slot *slot = mapper_slot_at(index, number);
        if (!passes(scan, index, slot, now, &out->parts)) {
            continue;
        }
        if (scan->skipped < scan->query->offset) {
            scan->skipped++;
            continue;
        }
        mapper_slot_row(index, slot, &out->row);
        scan->given++;
        return MAPPER_FOUND_HIT;
    }
    return MAPPER_FOUND_PAUSE;
}
