/* The routed message around an uplink or downlink: RoutedUplinkMessage, RoutedDownlinkMessage, and the request that
 * hands one over to another exchange. What all copies of one message share is serialised once; a copy is that, its home
 * network, and the pieces of the message. Level 6; pure. Thread: any. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/time.h"
#include "pb_v3_api.pb-c.h"
#include "router/router_cut.h"
#include "traffic/traffic.h"

/** What all copies share. */
typedef struct router_envelope {
    traffic_direction direction;
    lpx_utc time;
    lpx_str id;
    traffic_endpoint forwarder;
    Pb__V3__RouteHop *const *hops; /* before this exchange */
    size_t hop_count;
    lpx_str sender, receiver; /* of the hop to this exchange: where the sender sits is nobody else's business */
} router_envelope;

/** Serialise what all copies share, into the arena. @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT router_envelope_make(const router_envelope *envelope, lpx_arena *arena, lpx_bytes *out);

/** One copy. */
typedef struct router_letter {
    traffic_direction direction;
    lpx_bytes shared; /* of router_envelope_make */
    traffic_endpoint home;
    const router_pieces *message;
    bool handed; /* as a request to another exchange */
} router_letter;

/** Bytes of a copy. */
size_t router_letter_len(const router_letter *letter);
/** Serialise a copy. @param out as large as router_letter_len says */
void router_letter_write(const router_letter *letter, lpx_space out);
