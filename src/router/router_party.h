/* Members as small numbers: what a message's way needs to know of them stands in lists by number, and no text is hashed
 * or compared. Numbers hold within one list and those that began as its copy. Level 6; pure. Thread: building on any;
 * reading on any, once built. */
#pragma once
#include "base/arena.h"
#include "router/router_map.h"

#define ROUTER_NO_PARTY UINT32_MAX

/** Numbers of a member and of its network, which are the same for a network. ROUTER_NO_PARTY: nothing is said of it. */
typedef struct router_party {
    uint32_t own, network;
} router_party;

/** Fields are read only. */
typedef struct router_parties {
    uint64_t seed;
    lpx_arena text;
    traffic_member *members; /* by number */
    uint32_t *networks;      /* by number: that of the member's network */
    uint32_t count, room;
    router_map map;
} router_parties;

/** Begin, empty. @param seed of the hashes: a secret random number */
void router_parties_init(router_parties *parties, uint64_t seed);
/** Begin as a copy, whose text is borrowed. @return false when memory is short; out is empty then */
bool router_parties_copy(const router_parties *from, router_parties *out);
/** Free; harmless when all zero. */
void router_parties_fini(router_parties *parties);
/** Number of a member, new if need be; then its network has one too. @return ROUTER_NO_PARTY when memory is short */
uint32_t router_parties_add(router_parties *parties, traffic_member member);
/** Numbers of a member. */
router_party router_parties_find(const router_parties *parties, traffic_member member);
