/* The way from one loop to one other exchange: a channel, a token, and messages under way, bounded in number, bytes and
 * time. What the peer does not take is lost (TRAFFIC_DROP_PEER); nobody waits for it. Level 6. Thread: the shard's
 * loop, but for its counters. */
#pragma once
#include "router/router_priv.h"

/** What became of messages. */
typedef enum router_link_outcome {
    ROUTER_LINK_TAKEN,
    ROUTER_LINK_REFUSED,  /* the peer answered with an error */
    ROUTER_LINK_FAILED,   /* no connection, no answer in time, no token */
    ROUTER_LINK_OVERFULL, /* too much was under way */
    ROUTER_LINK_OUTCOMES,
} router_link_outcome;

/** Links of a shard to all peers; does nothing when there are none.
 * @err FAILED_PRECONDITION: IO_… (the peer's CA file); BASE_NO_MEMORY */
LPX_RESULT router_links_open(router_shard *shard, lpx_note *note);
/** End what is under way, close; messages that come later are lost. @thread shard's loop, or none runs */
void router_links_close(router_shard *shard);
/** Close and free. @thread none runs */
void router_links_free(router_shard *shard);
/** Hand a copy over. The reference stays the caller's.
 * @param copy serialised RouteUplinkMessageRequest or RouteDownlinkMessageRequest */
void router_links_send(router_shard *shard, uint32_t peer, router_copy *copy);
/** Append metrics of all links. @thread any, while no link is opened or closed */
void router_links_metrics(const router *router, lpx_buf *out);
