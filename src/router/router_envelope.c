#include "router/router_envelope.h"

#include "base/assert.h"
#include "lpx_reasons.h"

/* Numbers of fields; the two messages differ in those of the endpoints. */
enum {
    ROUTED_ID = 1,
    ROUTED_MESSAGE = 7,
    ROUTED_HOPS = 8,
    ROUTED_TIME = 10,
    HOP_RECEIVED_AT = 1,
    HOP_SENDER_NAME = 2,
    HOP_RECEIVER_NAME = 4,
    HOP_RECEIVER_AGENT = 5,
    HOP_PROTOCOL = 6,
    TIMESTAMP_SECONDS = 1,
    TIMESTAMP_NANOS = 2,
    REQUEST_MESSAGE = 1,
};

typedef struct endpoint_numbers {
    unsigned net_id, tenant_id, cluster_id;
} endpoint_numbers;

static const endpoint_numbers forwarder_numbers[TRAFFIC_DIRECTIONS] = {
    [TRAFFIC_UP] = {2, 3, 4},
    [TRAFFIC_DOWN] = {4, 6, 5},
};
static const endpoint_numbers home_numbers[TRAFFIC_DIRECTIONS] = {
    [TRAFFIC_UP] = {5, 6, 9},
    [TRAFFIC_DOWN] = {2, 3, 9},
};

enum { WIRE_VARINT = 0, WIRE_LEN = 2 };

/* ---- sizes ---- */

/* A byte for every seven bits, one at least: 9/64 is near enough to 1/7 up to 64 bits. */
static inline size_t varint_len(uint64_t v)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    return (9 * bits + 64) / 64;
}

/* Field numbers here are below 16: a tag is one byte. */
static inline size_t number_len(uint64_t v)
{
    return v != 0 ? 1 + varint_len(v) : 0;
}

static inline size_t content_len(size_t len)
{
    return 1 + varint_len(len) + len;
}

static inline size_t text_len(lpx_str text)
{
    return text.len > 0 ? content_len(text.len) : 0;
}

static inline size_t endpoint_len(traffic_endpoint e)
{
    return number_len(e.net_id) + text_len(e.tenant_id) + text_len(e.cluster_id);
}

/* ---- writing: into room that was measured by the functions above ---- */

static inline uint8_t *put_varint(uint8_t *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *at++ = (uint8_t)(v | 0x80);
    }
    *at++ = (uint8_t)v;
    return at;
}

static inline uint8_t *put_number(uint8_t *at, unsigned number, uint64_t v)
{
    if (v == 0) {
        return at;
    }
    *at++ = (uint8_t)(number << 3 | WIRE_VARINT);
    return put_varint(at, v);
}

static inline uint8_t *put_head(uint8_t *at, unsigned number, size_t len)
{
    *at++ = (uint8_t)(number << 3 | WIRE_LEN);
    return put_varint(at, len);
}

static inline uint8_t *put_raw(uint8_t *at, lpx_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.ptr, bytes.len);
    }
    return at + bytes.len;
}

static inline uint8_t *put_text(uint8_t *at, unsigned number, lpx_str text)
{
    return text.len > 0 ? put_raw(put_head(at, number, text.len), lpx_str_bytes(text)) : at;
}

static inline uint8_t *put_endpoint(uint8_t *at, const endpoint_numbers *numbers, traffic_endpoint e)
{
    at = put_number(at, numbers->net_id, e.net_id);
    at = put_text(at, numbers->tenant_id, e.tenant_id);
    return put_text(at, numbers->cluster_id, e.cluster_id);
}

/* ---- what all copies share ---- */

static const lpx_str agent = {"lpx", 3};

/* Seconds and nanoseconds as they stand in a timestamp. */
typedef struct stamp {
    uint64_t seconds, nanos;
} stamp;

static inline stamp stamp_of(lpx_utc t)
{
    return (stamp){(uint64_t)(t.us / 1000000), (uint64_t)(t.us % 1000000 * 1000)};
}

static inline size_t stamp_len(stamp t)
{
    return number_len(t.seconds) + number_len(t.nanos);
}

static inline uint8_t *put_stamp(uint8_t *at, unsigned number, stamp t)
{
    at = put_head(at, number, stamp_len(t));
    at = put_number(at, TIMESTAMP_SECONDS, t.seconds);
    return put_number(at, TIMESTAMP_NANOS, t.nanos);
}

static inline size_t own_hop_len(const router_envelope *e, stamp time)
{
    return content_len(stamp_len(time)) + text_len(e->sender) + text_len(e->receiver) + text_len(agent) +
           number_len(PB__V3__PROTOCOL__GRPC);
}

static uint8_t *put_own_hop(uint8_t *at, const router_envelope *e, stamp time)
{
    at = put_head(at, ROUTED_HOPS, own_hop_len(e, time));
    at = put_stamp(at, HOP_RECEIVED_AT, time);
    at = put_text(at, HOP_SENDER_NAME, e->sender);
    at = put_text(at, HOP_RECEIVER_NAME, e->receiver);
    at = put_text(at, HOP_RECEIVER_AGENT, agent);
    return put_number(at, HOP_PROTOCOL, PB__V3__PROTOCOL__GRPC);
}

lpx_err router_envelope_make(const router_envelope *e, lpx_arena *arena, lpx_bytes *out)
{
    stamp time = stamp_of(e->time);
    size_t len =
        text_len(e->id) + endpoint_len(e->forwarder) + content_len(stamp_len(time)) + content_len(own_hop_len(e, time));
    for (size_t i = 0; i < e->hop_count; i++) {
        len += content_len(pb__v3__route_hop__get_packed_size(e->hops[i]));
    }
    uint8_t *room = lpx_arena_get(arena, len);
    if (room == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    uint8_t *at = put_text(room, ROUTED_ID, e->id);
    at = put_endpoint(at, &forwarder_numbers[e->direction], e->forwarder);
    at = put_stamp(at, ROUTED_TIME, time);
    for (size_t i = 0; i < e->hop_count; i++) {
        at = put_head(at, ROUTED_HOPS, pb__v3__route_hop__get_packed_size(e->hops[i]));
        at += pb__v3__route_hop__pack(e->hops[i], at);
    }
    at = put_own_hop(at, e, time);
    lpx_assert(at == room + len);
    *out = lpx_bytes_of(room, len);
    return LPX_SUCCESS;
}

/* ---- copies ---- */

static inline size_t routed_len(const router_letter *l)
{
    return l->shared.len + endpoint_len(l->home) + content_len(l->message->len);
}

size_t router_letter_len(const router_letter *l)
{
    return l->handed ? content_len(routed_len(l)) : routed_len(l);
}

void router_letter_write(const router_letter *l, lpx_space out)
{
    lpx_assert(out.len == router_letter_len(l));
    uint8_t *at = l->handed ? put_head(out.ptr, REQUEST_MESSAGE, routed_len(l)) : out.ptr;
    at = put_raw(at, l->shared);
    at = put_endpoint(at, &home_numbers[l->direction], l->home);
    at = put_head(at, ROUTED_MESSAGE, l->message->len);
    for (size_t i = 0; i < l->message->count; i++) {
        at = put_raw(at, l->message->list[i]);
    }
    lpx_assert(at == out.ptr + out.len);
}
