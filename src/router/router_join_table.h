/* Which Join Servers answer for a JoinEUI: a part of the snapshot of tables. The longest prefix wins; several Join
 * Servers with an equally long one are all asked. A Join Server without resolver takes no part: it is only listed.
 * Level 6; pure. Thread: building on any thread; reading on any while the snapshot is held. */
#pragma once
#include "router/router_tables.h"
#include "ts002/ts002_target.h"

/** A Join Server: a fixed endpoint, or a target to ask. */
typedef struct router_join_server {
    uint32_t id;
    bool is_fixed;
    traffic_endpoint fixed; /* is_fixed */
    ts002_target *target;   /* else; NULL: it has one, but it cannot be used */
} router_join_server;

/** A prefix of a Join Server. */
typedef struct router_join_prefix {
    uint32_t server_id;
    uint64_t value;
    uint8_t length; /* a prefix longer than 64 is passed over */
} router_join_prefix;

/** What a table is made of; borrowed for the call, targets get a reference more. */
typedef struct router_join_rows {
    const router_join_server *servers; /* in ascending order of id */
    size_t server_count;
    const router_join_prefix *prefixes;
    size_t prefix_count;
    const uint32_t *networks; /* NetIDs of all networks, ascending */
    size_t network_count;
    const router_delegation_row *delegations;
    size_t delegation_count;
} router_join_rows;

/** New table, with one reference. @return NULL when memory is short */
router_join_table *router_join_table_new(const router_join_rows *rows);
/** One reference more; returns its argument; accepts NULL. @thread any */
router_join_table *router_join_table_ref(router_join_table *table);
/** One reference less, the last frees; clears the pointer; accepts NULL. @thread any */
void router_join_table_unref(router_join_table **table);

/** Join Servers of the longest prefix that has this JoinEUI, each once, in ascending order of id.
 * @param out as many as fit
 * @return how many there are, at most room */
size_t router_join_table_find(const router_join_table *table, uint64_t join_eui, const router_join_server **out,
                              size_t room);
/** Is this network registered? */
bool router_join_table_knows(const router_join_table *table, uint32_t net_id);
/** Who serves this member: a network that is delegated is served by another, like its blocks. */
traffic_endpoint router_join_table_serving(const router_join_table *table, traffic_endpoint home);
