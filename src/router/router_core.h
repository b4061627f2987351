/* The router's decisions: tables, directory and one message give a list of effects. Level 6; pure: no clock, no I/O, no
 * randomness; all that it changes is whose turn it is in a group, and how many copies of a payload a home network that
 * limits them has had. Thread: the directory's owner.
 *
 * Data uplinks go to the owners of the longest DevAddr block. Join-requests go to the home networks that their Join
 * Server named (router_uplink.homes) and to every other whose subscription names their JoinEUI or DevEUI by at least
 * one bit; a filter that matches all joins does not attract them, because clients send such filters always, and every
 * join-request would go to everybody. */
#pragma once
#include "base/arena.h"
#include "router/router_dir.h"
#include "router/router_tables.h"

/** What is taken out of an uplink for one home network. */
enum {
    ROUTER_STRIP_SIGNAL_QUALITY = 1 << 0,
    ROUTER_STRIP_LOCALIZATION = 1 << 1,
    ROUTER_STRIP_TEASER = 1 << 2, /* neither part is allowed: all that is said about gateway reception */
};

/** What the router looks at in a downlink. */
typedef struct router_downlink {
    traffic_endpoint home;      /* who sends */
    traffic_endpoint forwarder; /* to whom */
    traffic_kind kind;
    uint32_t dev_addr; /* TRAFFIC_DATA, and the next */
    uint32_t f_port;   /* 0 to 255; 0 also without FPort */
    uint32_t came_by;  /* number of the peer that handed it over, plus 1; 0: it is from its home network */
    uint32_t heard_by; /* number of the peer through which the forwarder was heard lately, plus 1; 0: none */
} router_downlink;

/** One copy for one subscription. */
typedef struct router_delivery {
    router_sub *sub;       /* borrowed from the directory; NULL: what another exchange gets */
    traffic_endpoint home; /* as it stands in the routed message; text borrowed from tables, directory or message */
    uint8_t strip;         /* uplinks: ROUTER_STRIP_… */
} router_delivery;

/** The one copy for another exchange. */
typedef struct router_hand_over {
    uint32_t to; /* number of the peer, plus 1; 0: none */
    traffic_endpoint home;
    uint8_t strip;
} router_hand_over;

/** What is to be done about one message, and why. Copies for the same home network follow each other. */
typedef struct router_effects {
    lpx_arena *arena; /* set by the caller; holds the lists */
    router_delivery *deliveries;
    size_t delivery_count, delivery_room;
    traffic_outcome *outcomes; /* one for each home network, or for the forwarder of a downlink; at least one */
    size_t outcome_count, outcome_room;
    router_hand_over hand_over; /* of what nobody here has; its outcome counts one copy */
} router_effects;

/** Route one uplink.
 * @param out arena set, the rest zero; lists are complete only on success
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT router_route_uplink(const router_tables *tables, router_dir *dir, const router_uplink *uplink,
                               router_effects *out);

/** Route one downlink; like router_route_uplink. */
LPX_RESULT router_route_downlink(const router_tables *tables, router_dir *dir, const router_downlink *downlink,
                                 router_effects *out);
