/* PHYPayload: decoder and encoder of every message type side by side. Multi-byte values are little-endian.
 *
 *   MHDR (1)   mtype (3 bits), rfu (3), major (2)
 *   join-request      MHDR, JoinEUI (8), DevEUI (8), DevNonce (2), MIC (4)
 *   join-accept       MHDR, 16 or 32 encrypted bytes with the MIC inside
 *   data              MHDR, DevAddr (4), FCtrl (1), FCnt (2), FOpts (0..15), [FPort (1), FRMPayload (0..)], MIC (4)
 *   rejoin-request    MHDR, type (1), NetID (3) or for type 1 JoinEUI (8), DevEUI (8), RJcount (2), MIC (4)
 *   proprietary       MHDR, anything
 */
#include "lorawan/phy.h"

#include "base/reader.h"
#include "base/writer.h"
#include "lpx_reasons.h"

enum {
    MAJOR_R1 = 0,
    MHDR_BYTES = 1,
    FCTRL_ADR = 0x80,
    FCTRL_ADR_ACK_REQ = 0x40, /* uplink */
    FCTRL_ACK = 0x20,
    FCTRL_CLASS_B = 0x10,   /* uplink */
    FCTRL_F_PENDING = 0x10, /* downlink */
    FCTRL_F_OPTS_LEN = 0x0F,
    JOIN_REQUEST_BYTES = 23,
    JOIN_ACCEPT_BYTES = 17,
    JOIN_ACCEPT_CF_LIST_BYTES = 33,
    REJOIN_NETID_BYTES = 19,
    REJOIN_JOIN_EUI_BYTES = 24,
    DATA_MIN_BYTES = 12,
    F_OPTS_OFFSET = 8,
};

bool lw_mtype_is_data(lw_mtype mtype)
{
    return mtype >= LW_UNCONFIRMED_UP && mtype <= LW_CONFIRMED_DOWN;
}

bool lw_mtype_is_uplink(lw_mtype mtype)
{
    return mtype == LW_JOIN_REQUEST || mtype == LW_UNCONFIRMED_UP || mtype == LW_CONFIRMED_UP ||
           mtype == LW_REJOIN_REQUEST;
}

const char *lw_mtype_name(lw_mtype mtype)
{
    switch (mtype) {
    case LW_JOIN_REQUEST:
        return "join-request";
    case LW_JOIN_ACCEPT:
        return "join-accept";
    case LW_UNCONFIRMED_UP:
        return "unconfirmed data up";
    case LW_UNCONFIRMED_DOWN:
        return "unconfirmed data down";
    case LW_CONFIRMED_UP:
        return "confirmed data up";
    case LW_CONFIRMED_DOWN:
        return "confirmed data down";
    case LW_REJOIN_REQUEST:
        return "rejoin-request";
    case LW_PROPRIETARY:
        return "proprietary";
    }
    return "unknown";
}

/* The whole frame has another length than its type wants. */
static lpx_err wrong_length(const lw_phy *phy, const char *want, lpx_note *note)
{
    return lpx_fail(note, LW_PHY_LENGTH, "PHYPayload of type %s (byte 0) has %zu bytes, but should have %s.",
                    lw_mtype_name(phy->mtype), phy->whole.len, want);
}

static lpx_err join_request_decode(lpx_reader *r, lw_phy *phy, lpx_note *note)
{
    if (phy->whole.len != JOIN_REQUEST_BYTES) {
        return wrong_length(phy, "23", note);
    }
    phy->join_request.join_eui.value = lpx_reader_u64le(r);
    phy->join_request.dev_eui.value = lpx_reader_u64le(r);
    phy->join_request.dev_nonce = lpx_reader_u16le(r);
    return LPX_SUCCESS;
}

static void join_request_encode(const lw_join_request *in, lpx_writer *w)
{
    lpx_writer_u64le(w, in->join_eui.value);
    lpx_writer_u64le(w, in->dev_eui.value);
    lpx_writer_u16le(w, in->dev_nonce);
}

static lpx_err rejoin_decode(lpx_reader *r, lw_phy *phy, lpx_note *note)
{
    phy->rejoin.type = lpx_reader_u8(r);
    if (!r->failed && phy->rejoin.type > 2) {
        return lpx_fail(note, LW_PHY_REJOIN_TYPE, "Rejoin type (byte 1) is %u, but should be 0, 1 or 2.",
                        phy->rejoin.type);
    }
    bool by_join_eui = phy->rejoin.type == 1;
    if (phy->whole.len != (by_join_eui ? REJOIN_JOIN_EUI_BYTES : REJOIN_NETID_BYTES)) {
        return wrong_length(phy, by_join_eui ? "24" : "19", note);
    }
    if (by_join_eui) {
        phy->rejoin.join_eui.value = lpx_reader_u64le(r);
    } else {
        phy->rejoin.net_id.value = lpx_reader_u24le(r);
    }
    phy->rejoin.dev_eui.value = lpx_reader_u64le(r);
    phy->rejoin.rj_count = lpx_reader_u16le(r);
    return LPX_SUCCESS;
}

static lpx_err rejoin_encode(const lw_rejoin_request *in, lpx_writer *w, lpx_note *note)
{
    if (in->type > 2) {
        return lpx_fail(note, LW_PHY_REJOIN_TYPE, "Rejoin type is %u, but should be 0, 1 or 2.", in->type);
    }
    lpx_writer_u8(w, in->type);
    if (in->type == 1) {
        lpx_writer_u64le(w, in->join_eui.value);
    } else {
        lpx_writer_u24le(w, in->net_id.value & 0xFFFFFF);
    }
    lpx_writer_u64le(w, in->dev_eui.value);
    lpx_writer_u16le(w, in->rj_count);
    return LPX_SUCCESS;
}

/* r ends before the MIC. */
static lpx_err data_decode(lpx_reader *r, lw_phy *phy, lpx_note *note)
{
    if (phy->whole.len < DATA_MIN_BYTES) {
        return wrong_length(phy, "at least 12", note);
    }
    lw_data *data = &phy->data;
    data->dev_addr.value = lpx_reader_u32le(r);
    uint8_t f_ctrl = lpx_reader_u8(r);
    bool uplink = lw_mtype_is_uplink(phy->mtype);
    data->adr = (f_ctrl & FCTRL_ADR) != 0;
    data->adr_ack_req = uplink && (f_ctrl & FCTRL_ADR_ACK_REQ) != 0;
    data->ack = (f_ctrl & FCTRL_ACK) != 0;
    data->class_b = uplink && (f_ctrl & FCTRL_CLASS_B) != 0;
    data->f_pending = !uplink && (f_ctrl & FCTRL_F_PENDING) != 0;
    data->f_cnt = lpx_reader_u16le(r);
    size_t f_opts_len = f_ctrl & FCTRL_F_OPTS_LEN;
    if (f_opts_len > lpx_reader_left(r)) {
        return lpx_fail(note, LW_PHY_F_OPTS,
                        "FOpts (byte %d) should have %zu bytes by FOptsLen, but only %zu are left before the MIC.",
                        F_OPTS_OFFSET, f_opts_len, lpx_reader_left(r));
    }
    data->f_opts = lpx_reader_take(r, f_opts_len);
    data->has_f_port = lpx_reader_left(r) > 0;
    if (data->has_f_port) {
        data->f_port = lpx_reader_u8(r);
    }
    data->frm_payload = lpx_reader_take_rest(r);
    return LPX_SUCCESS;
}

static lpx_err data_encode(const lw_data *in, bool uplink, lpx_writer *w, lpx_note *note)
{
    if (in->f_opts.len > LW_F_OPTS_MAX_BYTES) {
        return lpx_fail(note, LW_PHY_F_OPTS, "FOpts have %zu bytes, but at most %d fit.", in->f_opts.len,
                        LW_F_OPTS_MAX_BYTES);
    }
    if (!in->has_f_port && in->frm_payload.len > 0) {
        return lpx_fail(note, LW_PHY_F_PORT, "FRMPayload has %zu bytes, but there is no FPort to send them to.",
                        in->frm_payload.len);
    }
    unsigned f_ctrl = (unsigned)in->f_opts.len;
    f_ctrl |= in->adr ? FCTRL_ADR : 0U;
    f_ctrl |= in->ack ? FCTRL_ACK : 0U;
    f_ctrl |= uplink && in->adr_ack_req ? FCTRL_ADR_ACK_REQ : 0U;
    f_ctrl |= uplink && in->class_b ? FCTRL_CLASS_B : 0U;
    f_ctrl |= !uplink && in->f_pending ? FCTRL_F_PENDING : 0U;
    lpx_writer_u32le(w, in->dev_addr.value);
    lpx_writer_u8(w, (uint8_t)f_ctrl);
    lpx_writer_u16le(w, in->f_cnt);
    lpx_writer_bytes(w, in->f_opts);
    if (in->has_f_port) {
        lpx_writer_u8(w, in->f_port);
    }
    lpx_writer_bytes(w, in->frm_payload);
    return LPX_SUCCESS;
}

/* Join-accept and proprietary have no MIC that can be seen. */
static bool has_mic(lw_mtype mtype)
{
    return mtype != LW_JOIN_ACCEPT && mtype != LW_PROPRIETARY;
}

/* Take MHDR and MIC off both ends; body reads what is between. */
static lpx_err frame_decode(lpx_bytes in, lpx_note *note, lw_phy *phy, lpx_reader *body)
{
    if (in.len == 0 || in.len > LW_PHY_MAX_BYTES) {
        return lpx_fail(note, LW_PHY_LENGTH, "PHYPayload has %zu bytes, but should have 1 to %d.", in.len,
                        LW_PHY_MAX_BYTES);
    }
    lpx_reader r;
    lpx_reader_init(&r, in);
    uint8_t mhdr = lpx_reader_u8(&r);
    *phy = (lw_phy){
        .mtype = (lw_mtype)(mhdr >> 5), .major = mhdr & 3, .rfu = mhdr >> 2 & 7, .without_mic = in, .whole = in};
    if (phy->major != MAJOR_R1 && phy->mtype != LW_PROPRIETARY) {
        return lpx_fail(note, LW_PHY_MAJOR, "Major (byte 0) is %u, but should be 0 (LoRaWAN R1).", phy->major);
    }
    *body = r;
    if (!has_mic(phy->mtype)) {
        return LPX_SUCCESS;
    }
    /* A frame without room for a MIC is too short for every type; the type says by how much. */
    size_t mic_len = lpx_reader_left(&r) < LW_MIC_BYTES ? lpx_reader_left(&r) : LW_MIC_BYTES;
    *body = lpx_reader_sub(&r, lpx_reader_left(&r) - mic_len);
    phy->mic = lpx_reader_take_rest(&r);
    phy->without_mic.len = in.len - mic_len;
    return LPX_SUCCESS;
}

lpx_err lw_phy_decode(lpx_bytes in, lpx_note *note, lw_phy *out)
{
    lw_phy phy;
    lpx_reader r;
    LPX_TRY(frame_decode(in, note, &phy, &r));
    switch (phy.mtype) {
    case LW_JOIN_REQUEST:
        LPX_TRY(join_request_decode(&r, &phy, note));
        break;
    case LW_UNCONFIRMED_UP:
    case LW_UNCONFIRMED_DOWN:
    case LW_CONFIRMED_UP:
    case LW_CONFIRMED_DOWN:
        LPX_TRY(data_decode(&r, &phy, note));
        break;
    case LW_REJOIN_REQUEST:
        LPX_TRY(rejoin_decode(&r, &phy, note));
        break;
    case LW_JOIN_ACCEPT:
        if (in.len != JOIN_ACCEPT_BYTES && in.len != JOIN_ACCEPT_CF_LIST_BYTES) {
            return wrong_length(&phy, "17 or 33", note);
        }
        phy.body = lpx_reader_take_rest(&r);
        break;
    case LW_PROPRIETARY:
        phy.body = lpx_reader_take_rest(&r);
        break;
    }
    LPX_TRY(lpx_reader_end(&r, LW_PHY_LENGTH, "PHYPayload", note));
    *out = phy;
    return LPX_SUCCESS;
}

/* Length of what stands between MHDR and MIC. */
static size_t body_len(const lw_phy *in)
{
    switch (in->mtype) {
    case LW_JOIN_REQUEST:
        return JOIN_REQUEST_BYTES - MHDR_BYTES - LW_MIC_BYTES;
    case LW_UNCONFIRMED_UP:
    case LW_UNCONFIRMED_DOWN:
    case LW_CONFIRMED_UP:
    case LW_CONFIRMED_DOWN:
        return DATA_MIN_BYTES - MHDR_BYTES - LW_MIC_BYTES + in->data.f_opts.len + (in->data.has_f_port ? 1 : 0) +
               in->data.frm_payload.len;
    case LW_REJOIN_REQUEST:
        return (in->rejoin.type == 1 ? REJOIN_JOIN_EUI_BYTES : REJOIN_NETID_BYTES) - MHDR_BYTES - LW_MIC_BYTES;
    case LW_JOIN_ACCEPT:
    case LW_PROPRIETARY:
        return in->body.len;
    }
    return SIZE_MAX / 2;
}

/* What stands between MHDR and MIC. */
static lpx_err body_encode(const lw_phy *in, lpx_writer *w, lpx_note *note)
{
    switch (in->mtype) {
    case LW_JOIN_REQUEST:
        join_request_encode(&in->join_request, w);
        return LPX_SUCCESS;
    case LW_UNCONFIRMED_UP:
    case LW_UNCONFIRMED_DOWN:
    case LW_CONFIRMED_UP:
    case LW_CONFIRMED_DOWN:
        return data_encode(&in->data, lw_mtype_is_uplink(in->mtype), w, note);
    case LW_REJOIN_REQUEST:
        return rejoin_encode(&in->rejoin, w, note);
    case LW_JOIN_ACCEPT:
        if (in->body.len != JOIN_ACCEPT_BYTES - MHDR_BYTES && in->body.len != JOIN_ACCEPT_CF_LIST_BYTES - MHDR_BYTES) {
            return lpx_fail(note, LW_PHY_LENGTH, "Join-accept has %zu encrypted bytes, but should have 16 or 32.",
                            in->body.len);
        }
        lpx_writer_bytes(w, in->body);
        return LPX_SUCCESS;
    case LW_PROPRIETARY:
        lpx_writer_bytes(w, in->body);
        return LPX_SUCCESS;
    }
    return lpx_err_of(BASE_INTERNAL);
}

lpx_err lw_phy_encode(const lw_phy *in, lpx_space room, lpx_note *note, lpx_bytes *out)
{
    if (in->major > 3 || (in->major != MAJOR_R1 && in->mtype != LW_PROPRIETARY)) {
        return lpx_fail(note, LW_PHY_MAJOR, "Major is %u, but should be 0 (LoRaWAN R1).", in->major);
    }
    if (in->mic.len != 0 && (in->mic.len != LW_MIC_BYTES || !has_mic(in->mtype))) {
        return lpx_fail(note, LW_PHY_LENGTH, "MIC of type %s has %zu bytes, but should have %d.",
                        lw_mtype_name(in->mtype), in->mic.len, has_mic(in->mtype) ? LW_MIC_BYTES : 0);
    }
    size_t whole_len = MHDR_BYTES + body_len(in) + (has_mic(in->mtype) ? LW_MIC_BYTES : 0);
    if (whole_len > LW_PHY_MAX_BYTES) {
        return lpx_fail(note, LW_PHY_LENGTH, "PHYPayload would have %zu bytes, but at most %d fit.", whole_len,
                        LW_PHY_MAX_BYTES);
    }
    lpx_writer w;
    lpx_writer_init(&w, room);
    lpx_writer_u8(&w, (uint8_t)((unsigned)in->mtype << 5 | (in->rfu & 7U) << 2 | in->major));
    LPX_TRY(body_encode(in, &w, note));
    lpx_writer_bytes(&w, in->mic);
    LPX_TRY(lpx_writer_end(&w));
    *out = lpx_writer_view(&w);
    return LPX_SUCCESS;
}
