/* Frames of the demo's devices: real in format; their MICs are made with a key that only the demo has. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_demo.h"
#include "crypto/hash.h"
#include "crypto/random.h"

/* DevAddrs of the Home Network: its space is FDFFB800/22. */
static const uint32_t dev_addrs[] = {0xFDFFB801, 0xFDFFB802, 0xFDFFB8A3, 0xFDFFBB04};
static const uint64_t join_eui = 0xC0FFEE0000000001, dev_eui = 0xC0FFEE00000000A1;

const char *demo_kind_name(demo_kind kind)
{
    switch (kind) {
    case DEMO_UNCONFIRMED_UP:
        return "unconfirmed up";
    case DEMO_CONFIRMED_UP:
        return "confirmed up";
    case DEMO_MAC_UP:
        return "MAC commands up";
    case DEMO_JOIN:
        return "join-request";
    }
    return "?";
}

/* Encode with a MIC over all before it. */
static lpx_err encode(const demo *d, lw_phy *phy, demo_frame *out)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    lpx_bytes bytes;
    lpx_note note = {{0}};
    lpx_space room = {out->bytes, sizeof out->bytes};
    phy->mic = (lpx_bytes){NULL, 0};
    lpx_err err = lw_phy_encode(phy, room, &note, &bytes);
    if (!lpx_failed(err) && phy->mtype != LW_JOIN_ACCEPT) {
        crypto_hmac_sha256(lpx_bytes_of(d->mic_key, sizeof d->mic_key), bytes, digest);
        phy->mic = lpx_bytes_of(digest, LW_MIC_BYTES);
        err = lw_phy_encode(phy, room, &note, &bytes);
    }
    if (lpx_failed(err)) {
        return cli_fail(d->c, err.reason, "a frame of the demo cannot be encoded: %s", note.text);
    }
    out->len = bytes.len;
    return LPX_SUCCESS;
}

static lpx_err join_frame(demo *d, demo_row *row)
{
    lw_phy phy = {.mtype = LW_JOIN_REQUEST,
                  .join_request = {.join_eui = {join_eui}, .dev_eui = {dev_eui}, .dev_nonce = ++d->dev_nonce}};
    lw_eui64_format(phy.join_request.join_eui, row->device);
    row->f_cnt = d->dev_nonce;
    row->f_port = -1;
    return encode(d, &phy, &row->up);
}

lpx_err demo_frame_up(demo *d, demo_row *row)
{
    /* LinkCheckReq, and encrypted readings as far as anybody but the Home Network can tell */
    static const uint8_t link_check[] = {0x02};
    uint8_t payload[24];
    if (row->kind == DEMO_JOIN) {
        return join_frame(d, row);
    }
    size_t device = row->kind == DEMO_CONFIRMED_UP ? 1 : (row->kind == DEMO_MAC_UP ? 2 : demo_random(d) % 4);
    size_t len = 6 + demo_random(d) % (sizeof payload - 6);
    for (size_t i = 0; i < len; i++) {
        payload[i] = (uint8_t)demo_random(d);
    }
    lw_phy phy = {.mtype = row->kind == DEMO_CONFIRMED_UP ? LW_CONFIRMED_UP : LW_UNCONFIRMED_UP,
                  .data = {.dev_addr = {dev_addrs[device]}, .adr = true, .f_cnt = ++d->f_cnt[device]}};
    if (row->kind == DEMO_MAC_UP) {
        phy.data.f_opts = lpx_bytes_of(link_check, sizeof link_check);
        row->f_port = -1;
    } else {
        phy.data.has_f_port = true;
        phy.data.f_port = row->kind == DEMO_CONFIRMED_UP ? 2 : 10;
        phy.data.frm_payload = lpx_bytes_of(payload, len);
        row->f_port = phy.data.f_port;
    }
    lw_devaddr_format(phy.data.dev_addr, row->device);
    row->f_cnt = phy.data.f_cnt;
    return encode(d, &phy, &row->up);
}

lpx_err demo_frame_down(demo *d, demo_row *row)
{
    if (row->kind == DEMO_JOIN) {
        uint8_t encrypted[32]; /* a join-accept is encrypted as a whole: random bytes look the same */
        for (size_t i = 0; i < sizeof encrypted; i++) {
            encrypted[i] = (uint8_t)demo_random(d);
        }
        lw_phy phy = {.mtype = LW_JOIN_ACCEPT, .body = lpx_bytes_of(encrypted, sizeof encrypted)};
        return encode(d, &phy, &row->down);
    }
    uint64_t addr = 0;
    (void)lpx_parse_hex(lpx_str_of(row->device), 8, &addr);
    lw_phy phy = {.mtype = LW_UNCONFIRMED_DOWN,
                  .data = {.dev_addr = {(uint32_t)addr}, .adr = true, .ack = true, .f_cnt = row->f_cnt}};
    return encode(d, &phy, &row->down);
}
