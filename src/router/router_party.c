#include "router/router_party.h"

#include <stdlib.h>

#include "router/limits.h"

enum { FIRST_ROOM = 64 };

void router_parties_init(router_parties *parties, uint64_t seed)
{
    *parties = (router_parties){.seed = seed};
    lpx_arena_init(&parties->text, ROUTER_TABLES_TEXT_BYTES);
}

static bool reserve(router_parties *parties, uint32_t room)
{
    traffic_member *members = realloc(parties->members, room * sizeof *members);
    if (members == NULL) {
        return false;
    }
    parties->members = members;
    uint32_t *networks = realloc(parties->networks, room * sizeof *networks);
    if (networks == NULL) {
        return false;
    }
    parties->networks = networks;
    parties->room = room;
    return true;
}

bool router_parties_copy(const router_parties *from, router_parties *out)
{
    router_parties_init(out, from->seed);
    if (!reserve(out, from->count + FIRST_ROOM) || !router_map_copy(&from->map, &out->map)) {
        router_parties_fini(out);
        return false;
    }
    if (from->count > 0) {
        memcpy(out->members, from->members, from->count * sizeof *out->members);
        memcpy(out->networks, from->networks, from->count * sizeof *out->networks);
    }
    out->count = from->count;
    return true;
}

void router_parties_fini(router_parties *parties)
{
    lpx_arena_fini(&parties->text);
    router_map_fini(&parties->map);
    free(parties->members);
    free(parties->networks);
    *parties = (router_parties){0};
}

static uint32_t find(const router_parties *parties, traffic_member member, uint64_t hash)
{
    router_map_cursor at = router_map_seek(&parties->map, hash);
    uint32_t found = router_map_next(&parties->map, &at);
    while (found != ROUTER_MAP_NONE && !traffic_member_equal(parties->members[found], member)) {
        found = router_map_next(&parties->map, &at);
    }
    return found != ROUTER_MAP_NONE ? found : ROUTER_NO_PARTY;
}

static uint32_t append(router_parties *parties, traffic_member member, uint64_t hash)
{
    lpx_str tenant = LPX_STR("");
    if (member.tenant_id.len > 0) {
        tenant = lpx_bytes_str(lpx_arena_copy(&parties->text, lpx_str_bytes(member.tenant_id)));
    }
    if (tenant.ptr == NULL ||
        (parties->count == parties->room && !reserve(parties, parties->room > 0 ? 2 * parties->room : FIRST_ROOM)) ||
        !router_map_reserve(&parties->map, parties->count + 1)) {
        return ROUTER_NO_PARTY;
    }
    uint32_t number = parties->count++;
    parties->members[number] = (traffic_member){member.net_id, tenant};
    parties->networks[number] = number;
    router_map_add(&parties->map, hash, number);
    return number;
}

static uint32_t add_network(router_parties *parties, uint32_t net_id)
{
    traffic_member network = {net_id, LPX_STR("")};
    uint64_t hash = router_hash_member(parties->seed, network);
    uint32_t known = find(parties, network, hash);
    return known != ROUTER_NO_PARTY ? known : append(parties, network, hash);
}

uint32_t router_parties_add(router_parties *parties, traffic_member member)
{
    if (member.tenant_id.len == 0) {
        return add_network(parties, member.net_id);
    }
    uint64_t hash = router_hash_member(parties->seed, member);
    uint32_t known = find(parties, member, hash);
    if (known != ROUTER_NO_PARTY) {
        return known;
    }
    uint32_t network = add_network(parties, member.net_id);
    uint32_t number = network != ROUTER_NO_PARTY ? append(parties, member, hash) : ROUTER_NO_PARTY;
    if (number != ROUTER_NO_PARTY) {
        parties->networks[number] = network;
    }
    return number;
}

router_party router_parties_find(const router_parties *parties, traffic_member member)
{
    uint32_t own = find(parties, member, router_hash_member(parties->seed, member));
    if (own != ROUTER_NO_PARTY) {
        return (router_party){own, parties->networks[own]};
    }
    if (member.tenant_id.len == 0) {
        return (router_party){ROUTER_NO_PARTY, ROUTER_NO_PARTY};
    }
    traffic_member network = {.net_id = member.net_id};
    return (router_party){ROUTER_NO_PARTY, find(parties, network, router_hash_member(parties->seed, network))};
}
