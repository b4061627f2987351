/* What the registry of networks says: who is a member, and who owns which DevAddr; blocks of networks and tenants as a
 * longest prefix match whose values are sets of owners. Blocks of one owner share its set, so that a lookup's memory is
 * that of the intervals alone. Immutable, shared by snapshots whose blocks are the same. Level 6; pure. Thread:
 * building on any; reading on any while a reference is held. */
#pragma once
#include "router/router_party.h"

/** A DevAddr block of a network or tenant, with the cluster that serves it. */
typedef struct router_block_row {
    traffic_endpoint owner;
    uint32_t prefix;
    uint8_t length; /* a block longer than 32 is passed over */
} router_block_row;

/** Network net_id is delegated to to_net_id. */
typedef struct router_delegation_row {
    uint32_t net_id, to_net_id;
} router_delegation_row;

/** What blocks are made of; borrowed for the call. */
typedef struct router_block_rows {
    const router_block_row *blocks;
    size_t block_count;
    const router_delegation_row *delegations; /* of one network at most one */
    size_t delegation_count;
    const uint32_t *members; /* NetIDs that are registered here */
    size_t member_count;
    uint64_t seed; /* of the hash tables: a secret random number */
} router_block_rows;

typedef struct router_blocks router_blocks;

/** Owners of the longest block that has an address: numbers first, first + 1, … of router_blocks_owner. Those of one
 * member follow each other. count 0: nobody's. */
typedef struct router_owners {
    uint32_t first, count;
} router_owners;

/** One owner. */
typedef struct router_owner {
    uint32_t party;   /* number of the member */
    uint32_t cluster; /* private */
} router_owner;

/** New, with one reference. @return NULL when memory is short */
router_blocks *router_blocks_new(const router_block_rows *rows);
/** One reference more; returns its argument. @thread any */
router_blocks *router_blocks_ref(router_blocks *blocks);
/** One reference less, the last frees; clears the pointer; accepts NULL. @thread any */
void router_blocks_unref(router_blocks **blocks);

/** Members who own blocks; their numbers are those of the owners. */
const router_parties *router_blocks_parties(const router_blocks *blocks);
/** Who gets data uplinks from this address. */
router_owners router_blocks_find(const router_blocks *blocks, uint32_t dev_addr);
/** One owner. */
const router_owner *router_blocks_owner(const router_blocks *blocks, uint32_t index);
/** Cluster of an owner; valid while a reference is held. */
lpx_str router_blocks_cluster(const router_blocks *blocks, const router_owner *owner);
/** Is this network registered here? */
bool router_blocks_is_member(const router_blocks *blocks, uint32_t net_id);
/** Number of blocks; equal ones of one owner count once. */
size_t router_blocks_count(const router_blocks *blocks);
