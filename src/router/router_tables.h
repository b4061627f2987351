/* Routes and policies: one immutable snapshot, built from rows and shared by all loops by reference count. Level 6;
 * pure. Thread: building on any thread; reading on any while a reference is held.
 *
 * Members are numbers inside one snapshot (router_party.h): a message's forwarder is looked up once, owners of blocks
 * are numbers already, and policies and settings are found by them.
 *
 * Routes: the longest DevAddr block wins, and every owner of an equally long block gets the message; a tenant's block
 * wins over an equal one of its network, whose subscriptions get the tenant's messages anyway. A network that is
 * delegated has its own blocks (not those of its tenants, who are members with credentials of their own) served by the
 * network that it is delegated to, as home network and under the policy toward it; delegation is followed once.
 *
 * Policies: (forwarder, home tenant), else (forwarder, home network), else the forwarder's default, else the default of
 * the forwarder's network, else the setting. A forwarder's tenant does not inherit its network's policies toward
 * single home networks. */
#pragma once
#include "router/router_blocks.h"
#include "router/router_peer_routes.h"
#include "router/router_settings.h"

/** What a policy allows uplinks. */
enum {
    ROUTER_UP_JOIN_REQUEST = 1 << 0,
    ROUTER_UP_MAC_DATA = 1 << 1,
    ROUTER_UP_APPLICATION_DATA = 1 << 2,
    ROUTER_UP_SIGNAL_QUALITY = 1 << 3,
    ROUTER_UP_LOCALIZATION = 1 << 4,
    ROUTER_UP_ALL = (1 << 5) - 1,
};
/** What a policy allows downlinks. */
enum {
    ROUTER_DOWN_JOIN_ACCEPT = 1 << 0,
    ROUTER_DOWN_MAC_DATA = 1 << 1,
    ROUTER_DOWN_APPLICATION_DATA = 1 << 2,
    ROUTER_DOWN_ALL = (1 << 3) - 1,
};

/** Flags of both directions. */
typedef struct router_policy {
    uint8_t uplink, downlink;
} router_policy;

/** A policy toward a home network, or a forwarder's default (then home does not count). */
typedef struct router_policy_row {
    traffic_member forwarder, home;
    bool is_default;
    router_policy policy;
} router_policy_row;

/** Settings of a home network. */
typedef struct router_settings_row {
    traffic_member home;
    uint32_t max_copies;
    int64_t window_us;
} router_settings_row;

/** A party that a home network's settings allow or deny; passed over when it has no settings. */
typedef struct router_party_row {
    traffic_member home;
    bool allow;
    traffic_endpoint party;
} router_party_row;

/** What a snapshot is made of; borrowed for the call. A later row replaces an earlier one of the same key. */
typedef struct router_rows {
    const router_block_row *blocks;
    size_t block_count;
    const router_delegation_row *delegations;
    size_t delegation_count;
    const router_policy_row *policies;
    size_t policy_count;
    const router_settings_row *settings; /* each home network at most once */
    size_t settings_count;
    const router_party_row *parties;
    size_t party_count;
    const uint32_t *members; /* NetIDs that are registered here */
    size_t member_count;
    const router_peer_routes *peers;      /* borrowed for the snapshot's life; NULL: none */
    const struct router_tables *previous; /* what was counted by its meters counts on; NULL: nothing was */
    bool keep_blocks;  /* blocks, delegations and members are those of previous; those here do not count */
    bool default_open; /* no policy anywhere: all flags on, else off */
    bool loopback;     /* own traffic may come back */
    uint64_t seed;     /* of the hash tables: a secret random number */
} router_rows;

typedef struct router_tables router_tables;
typedef struct router_join_table router_join_table; /* router_join_table.h */

/** New snapshot with one reference. @return NULL when memory is short */
router_tables *router_tables_new(const router_rows *rows);
/** One reference more; returns its argument. @thread any */
router_tables *router_tables_ref(router_tables *tables);
/** One reference less, the last frees; clears the pointer; accepts NULL. @thread any */
void router_tables_unref(router_tables **tables);

/** Differs from that of every other snapshot of the process: what was remembered by numbers of members holds as long as
 * the snapshot has this serial number. Never 0. */
uint64_t router_tables_serial(const router_tables *tables);
/** Numbers of a member. */
router_party router_tables_party(const router_tables *tables, traffic_member member);
/** How many members have numbers: those below. */
uint32_t router_tables_party_count(const router_tables *tables);
/** The member of a number; text is valid while the snapshot is held. */
traffic_member router_tables_member(const router_tables *tables, uint32_t number);

/** Who gets data uplinks from this address. */
router_owners router_tables_find(const router_tables *tables, uint32_t dev_addr);
/** One owner; text is valid while the snapshot is held. */
traffic_endpoint router_tables_owner(const router_tables *tables, uint32_t index);
/** Numbers of one owner. */
router_party router_tables_owner_party(const router_tables *tables, uint32_t index);

/** A policy and where it stands. */
typedef struct router_verdict {
    router_policy allowed;
    traffic_policy source;
} router_verdict;
/** The policy that applies, between members by number. */
router_verdict router_tables_verdict(const router_tables *tables, router_party forwarder, router_party home);
/** The policy that applies. */
router_verdict router_tables_policy(const router_tables *tables, traffic_member forwarder, traffic_member home);
/** Settings of a home network by number; else as router_tables_settings. */
const router_settings *router_tables_party_settings(const router_tables *tables, router_party home);
/** Settings of a home network: a tenant without any has its network's; NULL: none. Valid while the snapshot is held. */
const router_settings *router_tables_settings(const router_tables *tables, traffic_member home);
/** Give a reference of the Join Servers to a snapshot that nobody has seen yet. */
void router_tables_give_joins(router_tables *tables, router_join_table *joins);
/** Give it those of another snapshot. */
void router_tables_keep_joins(router_tables *tables, const router_tables *previous);
/** The Join Servers; NULL: there are none. Valid while the snapshot is held. */
const router_join_table *router_tables_joins(const router_tables *tables);
/** Is this network registered here? */
bool router_tables_is_member(const router_tables *tables, uint32_t net_id);
/** What other exchanges get; NULL: there are none. */
const router_peer_routes *router_tables_peers(const router_tables *tables);
/** May own traffic come back? */
bool router_tables_loopback(const router_tables *tables);
/** Number of DevAddr blocks (equal ones of one owner count once) and of policies. */
void router_tables_sizes(const router_tables *tables, size_t *blocks, size_t *policies);
