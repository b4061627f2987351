#include "io/proxy.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "lpx_reasons.h"

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

enum {
    COMMAND_LOCAL = 0x20, /* version 2 in the upper half */
    COMMAND_PROXY = 0x21,
    UNSPECIFIED = 0x00, /* family in the upper half, transport in the lower */
    INET_STREAM = 0x11,
    INET_DATAGRAM = 0x12, /* QUIC ends at some balancers and goes on as TCP */
    INET6_STREAM = 0x21,
    INET6_DATAGRAM = 0x22,
    UNIX_STREAM = 0x31,
    UNIX_DATAGRAM = 0x32,
    UNIX_BYTES = 216, /* two paths of 108 */
    TLV_CRC32C = 0x03,
    CRC_BYTES = 4,
};

static lpx_err bad(lpx_note *note, const char *why)
{
    return lpx_fail(note, IO_PROXY_BAD, "no usable PROXY protocol header: %s", why);
}

LPX_RESULT io_proxy_length(lpx_bytes fixed, size_t *len, lpx_note *note)
{
    lpx_reader r;
    lpx_reader_init(&r, fixed);
    lpx_bytes start = lpx_reader_take(&r, sizeof signature);
    uint8_t command = lpx_reader_u8(&r);
    (void)lpx_reader_u8(&r);
    size_t rest = lpx_reader_u16be(&r);
    LPX_TRY(lpx_reader_end(&r, IO_PROXY_BAD, "PROXY protocol header", note));
    if (memcmp(start.ptr, "PROXY ", 6) == 0) {
        return bad(note, "version 1 is not spoken here, set the balancer to version 2");
    }
    if (memcmp(start.ptr, signature, sizeof signature) != 0) {
        return bad(note, "the connection does not begin with the signature of version 2");
    }
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY) {
        return bad(note, "unknown version or command");
    }
    if (rest > IO_PROXY_MAX_BYTES - IO_PROXY_FIXED_BYTES) {
        return bad(note, "it is too long");
    }
    *len = IO_PROXY_FIXED_BYTES + rest;
    return LPX_SUCCESS;
}

static void read_inet(lpx_reader *r, io_proxy_header *out)
{
    struct sockaddr_in peer = {.sin_family = AF_INET};
    lpx_bytes source = lpx_reader_take(r, sizeof peer.sin_addr);
    (void)lpx_reader_take(r, sizeof peer.sin_addr);
    peer.sin_port = htons(lpx_reader_u16be(r));
    (void)lpx_reader_u16be(r);
    if (!r->failed) {
        memcpy(&peer.sin_addr, source.ptr, sizeof peer.sin_addr);
        memcpy(&out->peer, &peer, sizeof peer);
        out->has_peer = true;
    }
}

static void read_inet6(lpx_reader *r, io_proxy_header *out)
{
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6};
    lpx_bytes source = lpx_reader_take(r, sizeof peer.sin6_addr);
    (void)lpx_reader_take(r, sizeof peer.sin6_addr);
    peer.sin6_port = htons(lpx_reader_u16be(r));
    (void)lpx_reader_u16be(r);
    if (!r->failed) {
        memcpy(&peer.sin6_addr, source.ptr, sizeof peer.sin6_addr);
        memcpy(&out->peer, &peer, sizeof peer);
        out->has_peer = true;
    }
}

/* CRC-32C (RFC 3720, appendix B.4) over what there is, the checksum itself taken as zeros. */
static uint32_t checksum(lpx_bytes header, size_t zero_at)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < header.len; i++) {
        bool zero = i >= zero_at && i - zero_at < CRC_BYTES;
        crc ^= zero ? 0 : header.ptr[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
        }
    }
    return ~crc;
}

/* Each must lie whole in what is left; the checksum must be right when there is one. */
static void read_tlvs(lpx_reader *r, lpx_bytes header)
{
    while (!r->failed && lpx_reader_left(r) > 0) {
        uint8_t type = lpx_reader_u8(r);
        size_t len = lpx_reader_u16be(r);
        size_t at = lpx_reader_offset(r);
        lpx_reader value = lpx_reader_sub(r, len);
        if (!r->failed && type == TLV_CRC32C &&
            (len != CRC_BYTES || lpx_reader_u32be(&value) != checksum(header, at))) {
            lpx_reader_reject(r);
        }
    }
}

/* The block of addresses, by family and transport. Behind an unknown family nothing tells where it ends. */
static void read_addresses(lpx_reader *r, uint8_t family, io_proxy_header *out)
{
    switch (family) {
    case UNSPECIFIED:
        (void)lpx_reader_take_rest(r);
        break;
    case INET_STREAM:
    case INET_DATAGRAM:
        read_inet(r, out);
        break;
    case INET6_STREAM:
    case INET6_DATAGRAM:
        read_inet6(r, out);
        break;
    case UNIX_STREAM:
    case UNIX_DATAGRAM:
        (void)lpx_reader_take(r, UNIX_BYTES);
        break;
    default: /* reserved */
        lpx_reader_reject(r);
    }
}

LPX_RESULT io_proxy_read(lpx_bytes header, io_proxy_header *out, lpx_note *note)
{
    lpx_reader r;
    lpx_reader_init(&r, header);
    lpx_bytes fixed = lpx_reader_take(&r, IO_PROXY_FIXED_BYTES);
    io_proxy_header found = {.has_peer = false};
    size_t len = 0;
    LPX_TRY(io_proxy_length(fixed, &len, note));
    if (len != header.len) {
        return bad(note, "its length is wrong");
    }
    if (fixed.ptr[12] == COMMAND_PROXY) {
        read_addresses(&r, fixed.ptr[13], &found);
        read_tlvs(&r, header);
        LPX_TRY(lpx_reader_end(&r, IO_PROXY_BAD, "PROXY protocol header", note));
    }
    *out = found; /* what follows LOCAL is to be ignored */
    return LPX_SUCCESS;
}

/* ---- who may speak ---- */

struct io_proxy_gate {
    atomic_uint_fast64_t accepted, strangers, malformed;
    size_t count;
    io_subnet from[];
};

LPX_RESULT io_proxy_gate_new(const lpx_str *from, size_t count, io_proxy_gate **out, lpx_note *note)
{
    if (count == 0) {
        return lpx_fail(note, IO_ADDRESS_BAD, "no address may speak the PROXY protocol: name the balancers");
    }
    io_proxy_gate *gate = calloc(1, sizeof *gate + count * sizeof gate->from[0]);
    if (gate == NULL) {
        return lpx_err_of(IO_NO_RESOURCES);
    }
    gate->count = count;
    for (size_t i = 0; i < count; i++) {
        lpx_err err = io_subnet_parse(from[i], &gate->from[i], note);
        if (lpx_failed(err)) {
            free(gate);
            return err;
        }
    }
    *out = gate;
    return LPX_SUCCESS;
}

void io_proxy_gate_free(io_proxy_gate **gate)
{
    free(*gate);
    *gate = NULL;
}

bool io_proxy_gate_admits(io_proxy_gate *gate, const struct sockaddr *peer)
{
    for (size_t i = 0; i < gate->count; i++) {
        if (io_subnet_has(&gate->from[i], peer)) {
            return true;
        }
    }
    (void)atomic_fetch_add_explicit(&gate->strangers, 1, memory_order_relaxed);
    return false;
}

void io_proxy_gate_count(io_proxy_gate *gate, bool good)
{
    (void)atomic_fetch_add_explicit(good ? &gate->accepted : &gate->malformed, 1, memory_order_relaxed);
}

io_proxy_counts io_proxy_gate_counts(const io_proxy_gate *gate)
{
    return (io_proxy_counts){.accepted_total = atomic_load_explicit(&gate->accepted, memory_order_relaxed),
                             .strangers_total = atomic_load_explicit(&gate->strangers, memory_order_relaxed),
                             .malformed_total = atomic_load_explicit(&gate->malformed, memory_order_relaxed)};
}
