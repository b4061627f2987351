#include "router/router_map.h"

#include <stdlib.h>

#include "base/assert.h"

enum { MAP_FIRST_SLOTS = 16 };

/* Slots are at most three quarters full, so a search ends. */
static bool map_full(const router_map *map, uint32_t count)
{
    return map->slots == NULL || (uint64_t)count * 4 > ((uint64_t)map->mask + 1) * 3;
}

static void map_put(router_map *map, uint64_t hash, uint32_t value)
{
    uint32_t at = (uint32_t)hash & map->mask;
    while (map->slots[at].value != ROUTER_MAP_NONE) {
        at = (at + 1) & map->mask;
    }
    map->slots[at] = (router_map_slot){.hash = hash, .value = value};
    map->used++;
}

bool router_map_reserve(router_map *map, uint32_t count)
{
    if (!map_full(map, count)) {
        return true;
    }
    uint64_t size = MAP_FIRST_SLOTS;
    while (size * 3 < (uint64_t)count * 4) {
        size *= 2;
    }
    router_map bigger = {.mask = (uint32_t)(size - 1)};
    bigger.slots = malloc(size * sizeof *bigger.slots);
    if (bigger.slots == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < size; i++) {
        bigger.slots[i].value = ROUTER_MAP_NONE;
    }
    for (uint64_t i = 0; map->slots != NULL && i <= map->mask; i++) {
        if (map->slots[i].value != ROUTER_MAP_NONE) {
            map_put(&bigger, map->slots[i].hash, map->slots[i].value);
        }
    }
    free(map->slots);
    *map = bigger;
    return true;
}

bool router_map_copy(const router_map *map, router_map *out)
{
    *out = (router_map){0};
    if (map->slots == NULL) {
        return true;
    }
    size_t bytes = ((size_t)map->mask + 1) * sizeof *map->slots;
    router_map_slot *slots = malloc(bytes);
    if (slots == NULL) {
        return false;
    }
    memcpy(slots, map->slots, bytes);
    *out = (router_map){.slots = slots, .mask = map->mask, .used = map->used};
    return true;
}

void router_map_fini(router_map *map)
{
    free(map->slots);
    *map = (router_map){0};
}

void router_map_add(router_map *map, uint64_t hash, uint32_t value)
{
    lpx_assert(!map_full(map, map->used + 1) && value != ROUTER_MAP_NONE);
    map_put(map, hash, value);
}

void router_map_remove(router_map *map, uint64_t hash, uint32_t value)
{
    if (map->slots == NULL) {
        return;
    }
    uint32_t at = (uint32_t)hash & map->mask;
    while (map->slots[at].value != ROUTER_MAP_NONE && map->slots[at].value != value) {
        at = (at + 1) & map->mask;
    }
    if (map->slots[at].value == ROUTER_MAP_NONE) {
        return;
    }
    /* Those behind move up, so that no search meets a hole before its value. */
    uint32_t hole = at;
    for (uint32_t next = (hole + 1) & map->mask; map->slots[next].value != ROUTER_MAP_NONE;
         next = (next + 1) & map->mask) {
        uint32_t ideal = (uint32_t)map->slots[next].hash & map->mask;
        if (((next - ideal) & map->mask) >= ((next - hole) & map->mask)) {
            map->slots[hole] = map->slots[next];
            hole = next;
        }
    }
    map->slots[hole].value = ROUTER_MAP_NONE;
    map->used--;
}

router_map_cursor router_map_seek(const router_map *map, uint64_t hash)
{
    return (router_map_cursor){.hash = hash, .slot = (uint32_t)hash & map->mask};
}

uint32_t router_map_next(const router_map *map, router_map_cursor *cursor)
{
    while (map->slots != NULL && map->slots[cursor->slot].value != ROUTER_MAP_NONE) {
        const router_map_slot *slot = &map->slots[cursor->slot];
        cursor->slot = (cursor->slot + 1) & map->mask;
        if (slot->hash == cursor->hash) {
            return slot->value;
        }
    }
    return ROUTER_MAP_NONE;
}

/* One round of a multiply-xor-shift hash (the finaliser of splitmix64). */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 30;
    h *= UINT64_C(0xbf58476d1ce4e5b9);
    h ^= h >> 27;
    h *= UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

uint64_t router_hash_text(uint64_t seed, lpx_str text)
{
    uint64_t h = mix(seed ^ (uint64_t)text.len);
    size_t at = 0;
    while (at < text.len) {
        uint64_t chunk = 0;
        size_t len = text.len - at < sizeof chunk ? text.len - at : sizeof chunk;
        memcpy(&chunk, text.ptr + at, len);
        h = mix(h + chunk * UINT64_C(0x9e3779b97f4a7c15) + seed);
        at += len;
    }
    return h;
}

uint64_t router_hash_member(uint64_t seed, traffic_member member)
{
    return router_hash_text(mix(seed + member.net_id), member.tenant_id);
}

uint64_t router_hash_pair(uint64_t seed, uint32_t a, uint32_t b)
{
    return mix(seed + mix(seed ^ ((uint64_t)a << 32 | b)));
}
