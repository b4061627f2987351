/* Hash map from a 64-bit hash to small numbers, open addressing: who looks up compares the things behind the numbers.
 * Level 6; pure. Thread: one writer, or readers alone. */
#pragma once
#include "traffic/traffic.h"

#define ROUTER_MAP_NONE UINT32_MAX

typedef struct router_map_slot {
    uint64_t hash;
    uint32_t value; /* ROUTER_MAP_NONE: empty */
} router_map_slot;

typedef struct router_map {
    router_map_slot *slots;
    uint32_t mask; /* slots - 1 */
    uint32_t used;
} router_map;

/** Cursor over the values of one hash. */
typedef struct router_map_cursor {
    uint64_t hash;
    uint32_t slot;
} router_map_cursor;

/** Room for count values in all; never shrinks. @return false when memory is short; the map is as before */
bool router_map_reserve(router_map *map, uint32_t count);
/** A copy. @return false when memory is short; out is empty then */
bool router_map_copy(const router_map *map, router_map *out);
/** Free; the map is empty and usable again. */
void router_map_fini(router_map *map);
/** Add a value; there is room for it. */
void router_map_add(router_map *map, uint64_t hash, uint32_t value);
/** Remove a value that was added with this hash; harmless when it is not there. */
void router_map_remove(router_map *map, uint64_t hash, uint32_t value);
/** Begin to look for the values of a hash. */
router_map_cursor router_map_seek(const router_map *map, uint64_t hash);
/** Next value; ROUTER_MAP_NONE behind the last. Other values of the same hash may be among them. */
uint32_t router_map_next(const router_map *map, router_map_cursor *cursor);

/** Hash of a member; seed keeps outsiders from choosing collisions. */
uint64_t router_hash_member(uint64_t seed, traffic_member member);
/** Hash of two numbers. */
uint64_t router_hash_pair(uint64_t seed, uint32_t a, uint32_t b);
/** Hash of text. */
uint64_t router_hash_text(uint64_t seed, lpx_str text);
