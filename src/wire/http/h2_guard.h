/* Rates of the frames that cost us work and bring the peer nothing. Pure. Level 3. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"
#include "base/time.h"

/** Kinds of frames that are counted. */
typedef enum h2_flood {
    H2_FLOOD_OF_RESETS,
    H2_FLOOD_OF_PINGS,
    H2_FLOOD_OF_SETTINGS,
    H2_FLOOD_OF_PRIORITIES,
    H2_FLOOD_OF_EMPTY_DATA,
    H2_FLOOD_OF_WINDOWS,
    H2_FLOOD_OF_UNKNOWN,
    H2_FLOOD_KINDS
} h2_flood;

/** Treat the fields as private. */
typedef struct h2_guard {
    struct {
        int64_t credit_us; /* one frame costs the time in which one is allowed */
        int64_t at_us;
    } buckets[H2_FLOOD_KINDS];
    int64_t min_ping_interval_us;
    int64_t last_ping_us;
    unsigned ping_strikes;
    bool sent_since_ping;
    unsigned pings_out;  /* ours, not answered yet */
    size_t payload_left; /* of the frame that is passing */
    uint8_t frame_head[9];
    uint8_t frame_head_len;
    size_t preface_left;
    bool server;          /* the peer is a client, which opens the streams */
    uint32_t last_stream; /* highest that it opened */
} h2_guard;

/** What became of scanned bytes. */
typedef struct h2_scan {
    h2_flood flood; /* H2_FLOOD_KINDS, or the kind of which there are too many: then there is nothing else */
    lpx_bytes pass; /* for the session, which may be nothing */
    lpx_bytes rest; /* to be scanned after those */
} h2_scan;

/** Start with full credit.
 * @param preface_bytes        what comes before the first frame
 * @param min_ping_interval_us 0: pings have no least distance */
void h2_guard_init(h2_guard *guard, size_t preface_bytes, int64_t min_ping_interval_us, lpx_mono now);
/** Count the frames in bytes from the peer, whatever they are worth otherwise. Left out between pass and rest is a
 * RST_STREAM of a stream that was never opened: clients on gRPC's C core send it when a call is cancelled, as by a
 * short deadline, before its head has left. RFC 9113 would end the connection for it, with the calls of everybody else
 * on it; gRPC servers ignore it. One that is cut by the end of in is not recognised. */
h2_scan h2_guard_scan(h2_guard *guard, lpx_bytes in, lpx_mono now);
/** One frame of this kind came. @return false: too many */
bool h2_guard_take(h2_guard *guard, h2_flood kind, lpx_mono now);
/** We sent a PING: its answer is not counted. */
void h2_guard_ping_sent(h2_guard *guard);
/** We sent a DATA frame: the peer may answer with window updates and pings that measure the bandwidth. */
void h2_guard_sent(h2_guard *guard);
/** A ping came: it counts against the peer when it is early and we sent no head and no data since the last one.
 * @return false: too many early pings */
bool h2_guard_ping(h2_guard *guard, lpx_mono now);
/** Reason to report for a kind. */
uint16_t h2_guard_reason(h2_flood kind);
