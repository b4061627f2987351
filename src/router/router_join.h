/* Join-requests and their Join Servers: who has the device is known at once (a fixed endpoint, a remembered answer), or
 * the message waits, bounded in number, bytes and time, while they are asked. Each loop asks for itself, with an engine
 * that it makes when it first needs one; data uplinks never come here. Level 6. Thread: the shard's loop. */
#pragma once
#include "router/router_join_table.h"
#include "router/router_passage.h"
#include "ts002/ts002_lookup.h"

/** Ask the Join Servers of a join-request, then run its passage: now when all is known, else when it is, with what the
 * passage holds copied. A message that has to wait counts as published when it is routed.
 * @param passage up, with kind TRAFFIC_JOIN
 * @err those of router_passage_run; a message that waits has none any more */
LPX_RESULT router_join_run(router_passage *passage, lpx_note *note);

/** Begin with none, in a new shard. */
void router_joins_init(router_shard *shard);
/** Forget the messages that wait, and the engine. @thread none runs */
void router_joins_free(router_shard *shard);

/** Load the Join Servers, on a store worker. @param out untouched when there are none */
LPX_RESULT router_join_load(store_tx *tx, const router_delegation_row *delegations, size_t delegation_count,
                            router_join_table **out);
/** Append metrics: messages that wait, and those of ts002_lookup_metrics. @thread any */
void router_joins_metrics(const router *router, lpx_buf *out);
