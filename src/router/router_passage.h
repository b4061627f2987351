/* One message on its way through: its id and hops, what the core decides about it, the copies that are encoded and
 * given out, and who is told. Whoever has a message (a publisher, another exchange) makes a passage and runs it.
 * Level 6. Thread: the shard's loop. */
#pragma once
#include "router/router_priv.h"

/** A passage. Zeroed, then the first part is filled in by the caller; the rest by router_passage_name and
 * router_passage_run. */
typedef struct router_passage {
    router_shard *shard;
    lpx_arena *arena; /* the call's */
    traffic_direction direction;
    const router_uplink *up; /* what is looked at; by direction one of each pair */
    const router_downlink *down;
    const Pb__V3__UplinkMessage *uplink; /* what is sent on; by direction, one of four */
    const Pb__V3__DownlinkMessage *downlink;
    const router_scanned_uplink *scanned_up; /* the same, read in place */
    const router_scanned_downlink *scanned_down;
    Pb__V3__RouteHop *const *hops; /* before the one to this exchange */
    size_t hop_count;
    const char *id;
    const char *sender; /* name of the party or exchange that gave it here */

    traffic_kind kind;
    traffic_endpoint forwarder;
    router_effects effects;
    lpx_bytes shared;     /* what all copies share, serialised */
    router_copy **copies; /* by delivery; several may be the same */
    router_copy *handed;  /* for another exchange, or NULL */
    size_t copy_bytes;
} router_passage;

/** Give a new message its id and the name of the party that published it. direction, up or down, arena and shard are
 * set. @err BASE_NO_MEMORY, those of crypto_random */
LPX_RESULT router_passage_name(router_passage *passage);

/** The uplink that is sent on, decoded in the call's arena if it was read in place; NULL: memory is short. */
const Pb__V3__UplinkMessage *router_passage_uplink(const router_passage *passage);

/** Tell observers of a message that is not routed: one outcome. kind and forwarder are taken from what is looked at. */
void router_passage_tell(router_passage *passage, const traffic_outcome *outcome);

/** Route the message and give it out. A failed passage has delivered nothing, and nobody was told.
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY, ROUTER_TOO_LARGE */
LPX_RESULT router_passage_run(router_passage *passage, lpx_note *note);
