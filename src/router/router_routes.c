#include "router/router_routes.h"

#include <stdlib.h>

void router_routes_init(router_routes *routes, uint64_t seed)
{
    memset(routes, 0, sizeof *routes);
    routes->seed = seed;
    routes->rest[TRAFFIC_DOWN].direction = TRAFFIC_DOWN;
}

void router_routes_fini(router_routes *routes)
{
    for (unsigned i = 0; i < atomic_load_explicit(&routes->count, memory_order_relaxed); i++) {
        free(atomic_load_explicit(&routes->list[i], memory_order_relaxed));
    }
    router_map_fini(&routes->map);
}

static router_route *at(const router_routes *routes, unsigned index)
{
    return atomic_load_explicit(&routes->list[index], memory_order_relaxed);
}

static lpx_str place_text(char **room, lpx_str text)
{
    lpx_str placed = {*room, text.len};
    if (text.len > 0) {
        memcpy(*room, text.ptr, text.len);
        *room += text.len;
    }
    return placed;
}

/* A new pair, or the rest when there is no place for it. */
static router_route *add(router_routes *routes, uint64_t hash, const router_route *key)
{
    unsigned count = atomic_load_explicit(&routes->count, memory_order_relaxed);
    size_t text = key->forwarder.tenant_id.len + key->home.tenant_id.len;
    router_route *fresh = count < ROUTER_MAX_ROUTES ? calloc(1, sizeof *fresh + text) : NULL;
    if (fresh == NULL || !router_map_reserve(&routes->map, count + 1)) {
        free(fresh);
        return &routes->rest[key->direction];
    }
    char *room = (char *)(fresh + 1);
    fresh->direction = key->direction;
    fresh->forwarder = (traffic_member){key->forwarder.net_id, place_text(&room, key->forwarder.tenant_id)};
    fresh->home = (traffic_member){key->home.net_id, place_text(&room, key->home.tenant_id)};
    router_map_add(&routes->map, hash, count);
    atomic_store_explicit(&routes->list[count], fresh, memory_order_relaxed);
    atomic_store_explicit(&routes->count, count + 1, memory_order_release);
    return fresh;
}

static router_route *find(router_routes *routes, const router_route *key)
{
    uint64_t seed = routes->seed + (uint64_t)key->direction;
    uint64_t hash = router_hash_member(router_hash_member(seed, key->forwarder), key->home);
    router_map_cursor cursor = router_map_seek(&routes->map, hash);
    for (uint32_t i = router_map_next(&routes->map, &cursor); i != ROUTER_MAP_NONE;
         i = router_map_next(&routes->map, &cursor)) {
        router_route *known = at(routes, i);
        if (known->direction == key->direction && traffic_member_equal(known->forwarder, key->forwarder) &&
            traffic_member_equal(known->home, key->home)) {
            return known;
        }
    }
    return add(routes, hash, key);
}

void router_routes_add(router_routes *routes, traffic_direction direction, traffic_member forwarder,
                       const traffic_outcome *outcome)
{
    router_route key = {.direction = direction, .forwarder = forwarder, .home = traffic_member_of(outcome->home)};
    router_route *route = find(routes, &key);
    atomic_ullong *counter = outcome->delivered ? &route->routed : &route->dropped;
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

const router_route *router_routes_get(const router_routes *routes, unsigned index)
{
    unsigned count = atomic_load_explicit(&routes->count, memory_order_acquire);
    if (index < count) {
        return at(routes, index);
    }
    return index - count < TRAFFIC_DIRECTIONS ? &routes->rest[index - count] : NULL;
}
