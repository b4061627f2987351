#include "uplinks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/reader.h"
#include "cli/cli_uplink.h"
#include "codec/pb/pb.h"
#include "crypto/hash.h"
#include "load.h"
#include "pb_routing_v1_api.pb-c.h"

enum {
    REQUEST_BYTES = 400,
    PHY_HEAD_BYTES = 9, /* MHDR, DevAddr, FCtrl, FCnt, FPort */
    PHY_MIC_BYTES = 4,
    PHY_MAX_BYTES = 255,
    MARK_BYTES = 8, /* at the beginning of every payload; the stamp follows */
    STAMP_BYTES = 8,
    FIELD_ID = 1,
    FIELD_MESSAGE = 7,
};
static const uint8_t mark[MARK_BYTES] = {0xb5, 0x0e, 0x4c, 0xd1, 0x93, 0x27, 0xea, 0x68};

struct uplinks {
    uint8_t *requests[UPLINKS_DIFFERENT]; /* with their prefixes */
    uint8_t *stamps[UPLINKS_DIFFERENT];   /* where they go */
    size_t lens[UPLINKS_DIFFERENT];
    size_t next;
    uint32_t forwarder, dev_addr;
};

/* ---- requests ---- */

/* An unconfirmed data uplink of a device in the home network's block. */
static size_t make_phy(const uplinks *set, uint32_t index, size_t payload_len, uint8_t out[static PHY_MAX_BYTES])
{
    uint32_t dev_addr = set->dev_addr + index % 256;
    uint8_t head[PHY_HEAD_BYTES] = {
        0x40, (uint8_t)dev_addr, (uint8_t)(dev_addr >> 8), (uint8_t)(dev_addr >> 16), (uint8_t)(dev_addr >> 24),
        0x80, (uint8_t)index,    (uint8_t)(index >> 8),    (uint8_t)(1 + index % 200)};
    memcpy(out, head, sizeof head);
    for (size_t i = PHY_HEAD_BYTES; i < PHY_HEAD_BYTES + payload_len + PHY_MIC_BYTES; i++) {
        out[i] = (uint8_t)(i * 151 + index * 31);
    }
    memcpy(out + PHY_HEAD_BYTES, mark, sizeof mark);
    return PHY_HEAD_BYTES + payload_len + PHY_MIC_BYTES;
}

/* Encode one request with that much payload into the arena. */
static lpx_bytes make_request(const uplinks *set, uint32_t index, size_t payload_len, lpx_arena *arena)
{
    Pb__Routing__V1__PublishUplinkMessageRequest request = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    uint8_t phy[PHY_MAX_BYTES], token[CRYPTO_SHA256_BYTES];
    char gateway[32];
    lpx_note note = {0};
    lpx_bytes bytes = {0};
    int64_t now_us = (int64_t)time(NULL) * 1000000 + 123456;
    (void)snprintf(gateway, sizeof gateway, "eui-58a0cbfffe8%05x", index % 40);
    crypto_sha256(lpx_str_bytes(lpx_str_of(gateway)), token);
    cli_reception reception = {.phy = lpx_bytes_of(phy, make_phy(set, index, payload_len, phy)),
                               .gateway_id = gateway,
                               .has_location = true,
                               .latitude = 45.18402 + index % 40 / 1000.0,
                               .longitude = 5.70739,
                               .altitude_m = 212,
                               .rssi_dbm = -80.0F - (float)(index % 40),
                               .snr_db = 7.5F,
                               .frequency_hz = 867100000 + index % 8 * 200000,
                               .spreading_factor = 7 + index % 6,
                               .bandwidth_hz = 125000,
                               .gateway_us = now_us - 20000,
                               .forwarder_us = now_us,
                               .token = lpx_bytes_of(token, sizeof token)};
    if (lpx_failed(cli_uplink_make(&reception, arena, &request.message, &note))) {
        load_die("cannot make an uplink: %s", note.text);
    }
    request.forwarder_net_id = set->forwarder;
    if (lpx_failed(pb_encode(&request.base, arena, &bytes))) {
        load_die("cannot encode an uplink");
    }
    return bytes;
}

static void keep_request(uplinks *set, size_t i, lpx_bytes bytes)
{
    if (bytes.len < REQUEST_BYTES || bytes.len > REQUEST_BYTES + 3) {
        load_die("a request has %zu bytes in place of %d", bytes.len, REQUEST_BYTES);
    }
    uint8_t *request = malloc(LOAD_PREFIX_BYTES + bytes.len);
    if (request == NULL) {
        load_die("no memory");
    }
    load_prefix(request, bytes.len);
    memcpy(request + LOAD_PREFIX_BYTES, bytes.ptr, bytes.len);
    set->requests[i] = request;
    set->lens[i] = LOAD_PREFIX_BYTES + bytes.len;
    set->stamps[i] = memmem(request, set->lens[i], mark, sizeof mark);
    if (set->stamps[i] == NULL) {
        load_die("a request does not contain its payload");
    }
    set->stamps[i] += MARK_BYTES;
}

uplinks *uplinks_new(uint32_t forwarder, uint32_t dev_addr)
{
    enum { LEAST_PAYLOAD = MARK_BYTES + STAMP_BYTES };
    uplinks *set = calloc(1, sizeof *set);
    lpx_arena arena;
    size_t payload = LEAST_PAYLOAD;
    if (set == NULL) {
        load_die("no memory");
    }
    set->forwarder = forwarder;
    set->dev_addr = dev_addr;
    lpx_arena_init(&arena, 1 << 20);
    for (uint32_t i = 0; i < UPLINKS_DIFFERENT; i++) {
        lpx_bytes bytes = {0};
        /* The next request is at most a few bytes shorter or longer than the last one. */
        payload = payload > LEAST_PAYLOAD + 8 ? payload - 8 : LEAST_PAYLOAD;
        for (; payload < 200 && bytes.len < REQUEST_BYTES; payload++) {
            lpx_arena_reset(&arena);
            bytes = make_request(set, i, payload, &arena);
        }
        keep_request(set, i, bytes);
    }
    lpx_arena_fini(&arena);
    return set;
}

lpx_bytes uplinks_next(uplinks *set, uint64_t stamp_ns)
{
    size_t i = set->next++ % UPLINKS_DIFFERENT;
    if (stamp_ns != 0) {
        memcpy(set->stamps[i], &stamp_ns, STAMP_BYTES);
    }
    return lpx_bytes_of(set->requests[i], set->lens[i]);
}

/* ---- what comes back ---- */

bool uplinks_stamp(lpx_bytes routed, uint64_t *stamp_ns)
{
    const uint8_t *at = memmem(routed.ptr, routed.len, mark, sizeof mark);
    if (at == NULL || routed.len - (size_t)(at - routed.ptr) < MARK_BYTES + STAMP_BYTES) {
        return false;
    }
    memcpy(stamp_ns, at + MARK_BYTES, STAMP_BYTES);
    return true;
}

/* Eight bytes at a time: a load must cost less than the server. */
static void tally_id(tally *t, lpx_bytes id)
{
    uint64_t hash = id.len;
    for (size_t i = 0; i < id.len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, id.ptr + i, id.len - i < 8 ? id.len - i : 8);
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    t->count++;
    t->sum += hash;
}

/* Find two length-delimited fields of a message. @return is the message well-formed? */
static bool find_fields(lpx_bytes message, uint64_t second_number, lpx_bytes *first, lpx_bytes *second)
{
    lpx_reader r;
    lpx_reader_init(&r, message);
    while (lpx_reader_left(&r) > 0) {
        uint64_t tag = lpx_reader_varint(&r);
        if ((tag & 7) == 0) {
            (void)lpx_reader_varint(&r);
        } else if ((tag & 7) == 2) {
            lpx_bytes value = lpx_reader_take(&r, (size_t)lpx_reader_varint(&r));
            *first = tag >> 3 == FIELD_ID ? value : *first;
            *second = tag >> 3 == second_number ? value : *second;
        } else {
            return false;
        }
    }
    return !r.failed;
}

void uplinks_tally_answer(tally *t, lpx_bytes answer)
{
    lpx_bytes id = {0}, none = {0};
    if (!find_fields(answer, 0, &id, &none) || id.len == 0) {
        load_die("an answer has no id");
    }
    tally_id(t, id);
}

void uplinks_tally_routed(tally *t, lpx_bytes routed)
{
    lpx_bytes id = {0}, message = {0};
    if (!find_fields(routed, FIELD_MESSAGE, &id, &message) || id.len == 0 || message.len == 0) {
        load_die("a delivery has no id or no uplink");
    }
    tally_id(t, id);
}
