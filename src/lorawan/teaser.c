/* Teaser of an uplink. */
#include "lorawan/teaser.h"

#include "crypto/hash.h"
#include "lpx_reasons.h"

lpx_err lw_teaser_fields(const lw_phy *phy, lpx_note *note, lw_teaser *out)
{
    lw_teaser teaser = {.length = (uint32_t)phy->whole.len};
    if (phy->mtype == LW_JOIN_REQUEST) {
        teaser.kind = LW_TEASER_JOIN_REQUEST;
        teaser.join_request = phy->join_request;
    } else if (phy->mtype == LW_UNCONFIRMED_UP || phy->mtype == LW_CONFIRMED_UP) {
        teaser.kind = LW_TEASER_MAC;
        teaser.mac = (lw_mac_teaser){
            .dev_addr = phy->data.dev_addr,
            .confirmed = phy->mtype == LW_CONFIRMED_UP,
            .f_opts = phy->data.f_opts.len > 0,
            .f_cnt = phy->data.f_cnt,
            .f_port = phy->data.f_port,
            .frm_payload_length = (uint32_t)phy->data.frm_payload.len,
        };
    } else {
        return lpx_fail(note, LW_TEASER_TYPE,
                        "PHYPayload is of type %s (byte 0), but should be a join-request or a data uplink.",
                        lw_mtype_name(phy->mtype));
    }
    *out = teaser;
    return LPX_SUCCESS;
}

lpx_err lw_teaser_of(const lw_phy *phy, lpx_note *note, lw_teaser *out)
{
    LPX_TRY(lw_teaser_fields(phy, note, out));
    crypto_sha256(phy->without_mic, out->hash);
    return LPX_SUCCESS;
}
