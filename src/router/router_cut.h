/* What router_strip.h makes of a decoded message, made of the bytes of one that was read in place: pieces of them and a
 * few new ones between, which decode to the same. Level 6; pure. Thread: any. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "router/router_scan.h"

enum { ROUTER_PIECES = 12, ROUTER_PIECES_MADE_BYTES = 128 };

/** Pieces of a serialised message, in their order. Not to be copied: some may point into it. */
typedef struct router_pieces {
    lpx_bytes list[ROUTER_PIECES];
    size_t count;
    size_t len; /* of all together */
    uint8_t made[ROUTER_PIECES_MADE_BYTES];
    size_t made_len;
} router_pieces;

/** A message that is one piece. */
void router_pieces_whole(router_pieces *pieces, lpx_bytes message);

/** An uplink as one home network gets it; see router_strip_uplink.
 * @param out borrows from in and arena @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT router_cut_uplink(const router_scanned_uplink *in, unsigned strip, lpx_arena *arena, router_pieces *out);

/** A downlink as the forwarder gets it; see router_fill_downlink. @param out borrows from in */
void router_cut_downlink(const router_scanned_downlink *in, router_pieces *out);
