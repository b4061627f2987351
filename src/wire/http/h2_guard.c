#include "wire/http/h2_guard.h"

#include <string.h>

#include "lpx_reasons.h"
#include "wire/http/h2_limits.h"

typedef struct rate {
    int64_t burst, per_s;
    uint16_t reason;
} rate;

static const rate rates[H2_FLOOD_KINDS] = {
    [H2_FLOOD_OF_RESETS] = {H2_RESET_BURST, H2_RESET_PER_S, H2_FLOOD_RESET},
    [H2_FLOOD_OF_PINGS] = {H2_PING_BURST, H2_PING_PER_S, H2_FLOOD_PING},
    [H2_FLOOD_OF_SETTINGS] = {H2_SETTINGS_BURST, H2_SETTINGS_PER_S, H2_FLOOD_SETTINGS},
    [H2_FLOOD_OF_PRIORITIES] = {H2_PRIORITY_BURST, H2_PRIORITY_PER_S, H2_FLOOD_PRIORITY},
    [H2_FLOOD_OF_EMPTY_DATA] = {H2_EMPTY_DATA_BURST, H2_EMPTY_DATA_PER_S, H2_FLOOD_EMPTY_DATA},
    [H2_FLOOD_OF_WINDOWS] = {H2_WINDOW_BURST, H2_WINDOW_PER_S, H2_FLOOD_WINDOW},
    [H2_FLOOD_OF_UNKNOWN] = {H2_UNKNOWN_BURST, H2_UNKNOWN_PER_S, H2_FLOOD_UNKNOWN},
};

static int64_t cost_us(h2_flood kind)
{
    return INT64_C(1000000) / rates[kind].per_s;
}

static void credit_add(h2_guard *guard, h2_flood kind, int64_t add_us)
{
    int64_t most = rates[kind].burst * cost_us(kind);
    int64_t have = guard->buckets[kind].credit_us;
    guard->buckets[kind].credit_us = add_us > most - have ? most : have + add_us;
}

void h2_guard_init(h2_guard *guard, size_t preface_bytes, int64_t min_ping_interval_us, lpx_mono now)
{
    *guard = (h2_guard){
        .preface_left = preface_bytes,
        .min_ping_interval_us = min_ping_interval_us,
        .sent_since_ping = true,
        .server = preface_bytes > 0,
    };
    for (unsigned kind = 0; kind < H2_FLOOD_KINDS; kind++) {
        guard->buckets[kind].credit_us = rates[kind].burst * cost_us((h2_flood)kind);
        guard->buckets[kind].at_us = now.us;
    }
}

bool h2_guard_take(h2_guard *guard, h2_flood kind, lpx_mono now)
{
    if (now.us > guard->buckets[kind].at_us) {
        credit_add(guard, kind, now.us - guard->buckets[kind].at_us);
        guard->buckets[kind].at_us = now.us;
    }
    if (guard->buckets[kind].credit_us < cost_us(kind)) {
        return false;
    }
    guard->buckets[kind].credit_us -= cost_us(kind);
    return true;
}

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { FRAME_HEAD_BYTES = 9, RESET_BYTES = 4 };

/* Which kind a frame counts as; H2_FLOOD_KINDS for those that carry calls or are bounded elsewhere. */
static h2_flood kind_of(h2_guard *guard, size_t len, uint8_t type, uint8_t flags)
{
    switch (type) {
    case DATA:
        return len == 0 && (flags & 1) == 0 ? H2_FLOOD_OF_EMPTY_DATA : H2_FLOOD_KINDS;
    case HEADERS:
    case PUSH_PROMISE:
    case CONTINUATION:
        return H2_FLOOD_KINDS;
    case PRIORITY:
        return H2_FLOOD_OF_PRIORITIES;
    case RST_STREAM:
        return H2_FLOOD_OF_RESETS;
    case SETTINGS:
        return H2_FLOOD_OF_SETTINGS;
    case PING:
        if ((flags & 1) != 0 && guard->pings_out > 0) {
            guard->pings_out--;
            return H2_FLOOD_KINDS;
        }
        return H2_FLOOD_OF_PINGS;
    case WINDOW_UPDATE:
        return H2_FLOOD_OF_WINDOWS;
    default:
        return H2_FLOOD_OF_UNKNOWN;
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Is the frame whose head was just read a reset of a client's stream that no head has opened? */
static bool is_idle_reset(h2_guard *guard)
{
    const uint8_t *head = guard->frame_head;
    uint32_t id = ((uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8]) & 0x7FFFFFFF;
    if (head[3] == HEADERS && id > guard->last_stream) {
        guard->last_stream = id;
    }
    return guard->server && head[3] == RST_STREAM && guard->payload_left == RESET_BYTES && id % 2 == 1 &&
           id > guard->last_stream;
}

h2_scan h2_guard_scan(h2_guard *guard, lpx_bytes all, lpx_mono now)
{
    lpx_bytes in = all;
    while (in.len > 0) {
        size_t *skip = guard->preface_left > 0 ? &guard->preface_left : &guard->payload_left;
        size_t n = smaller(*skip, in.len);
        *skip -= n;
        in = lpx_bytes_of(in.ptr + n, in.len - n);
        size_t want = smaller(sizeof guard->frame_head - guard->frame_head_len, in.len);
        if (n > 0 || want == 0) {
            continue;
        }
        memcpy(guard->frame_head + guard->frame_head_len, in.ptr, want);
        guard->frame_head_len = (uint8_t)(guard->frame_head_len + want);
        in = lpx_bytes_of(in.ptr + want, in.len - want);
        if (guard->frame_head_len < sizeof guard->frame_head) {
            continue;
        }
        const uint8_t *head = guard->frame_head;
        guard->frame_head_len = 0;
        guard->payload_left = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        h2_flood kind = kind_of(guard, guard->payload_left, head[3], head[4]);
        if (kind != H2_FLOOD_KINDS && !h2_guard_take(guard, kind, now)) {
            return (h2_scan){.flood = kind};
        }
        if (is_idle_reset(guard) && want == FRAME_HEAD_BYTES && in.len >= RESET_BYTES) {
            guard->payload_left = 0;
            return (h2_scan){
                .flood = H2_FLOOD_KINDS,
                .pass = lpx_bytes_of(all.ptr, all.len - in.len - FRAME_HEAD_BYTES),
                .rest = lpx_bytes_of(in.ptr + RESET_BYTES, in.len - RESET_BYTES),
            };
        }
    }
    return (h2_scan){.flood = H2_FLOOD_KINDS, .pass = all};
}

void h2_guard_ping_sent(h2_guard *guard)
{
    guard->pings_out++;
}

void h2_guard_sent(h2_guard *guard)
{
    guard->sent_since_ping = true;
    credit_add(guard, H2_FLOOD_OF_WINDOWS, 2 * cost_us(H2_FLOOD_OF_WINDOWS));
    credit_add(guard, H2_FLOOD_OF_PINGS, cost_us(H2_FLOOD_OF_PINGS));
}

bool h2_guard_ping(h2_guard *guard, lpx_mono now)
{
    bool first = guard->last_ping_us == 0;
    bool early = !first && now.us - guard->last_ping_us < guard->min_ping_interval_us;
    guard->last_ping_us = now.us != 0 ? now.us : 1;
    if (guard->sent_since_ping) {
        guard->sent_since_ping = false;
        guard->ping_strikes = 0;
        return true;
    }
    guard->ping_strikes += early ? 1 : 0;
    return guard->ping_strikes <= H2_PING_STRIKES;
}

uint16_t h2_guard_reason(h2_flood kind)
{
    return rates[kind].reason;
}
