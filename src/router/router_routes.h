/* Counters of each pair of forwarder and home network, of one loop. Pairs stay until the end; their number is bounded,
 * and what has no place is counted together. Level 6. Thread: one writer; any may read. */
#pragma once
#include <stdatomic.h>

#include "router/limits.h"
#include "router/router_map.h"

/** One pair. */
typedef struct router_route {
    traffic_direction direction;
    traffic_member forwarder, home;
    atomic_ullong routed, dropped; /* outcomes: with a copy, without one */
} router_route;

/** Fields are private. */
typedef struct router_routes {
    uint64_t seed;
    router_map map;
    _Atomic(router_route *) list[ROUTER_MAX_ROUTES];
    atomic_uint count;
    router_route rest[TRAFFIC_DIRECTIONS]; /* of all others, as members 000000 */
} router_routes;

/** Begin, empty. @param seed of the hashes: a secret random number */
void router_routes_init(router_routes *routes, uint64_t seed);
/** Free. */
void router_routes_fini(router_routes *routes);
/** Count one outcome. @thread the writer */
void router_routes_add(router_routes *routes, traffic_direction direction, traffic_member forwarder,
                       const traffic_outcome *outcome);
/** Pair number index, the rest of each direction at last; NULL behind them. @thread any */
const router_route *router_routes_get(const router_routes *routes, unsigned index);
