/* Any bytes as a PHYPayload: the slices lie inside the input and add up to it, the way back gives the same bytes, and
 * the teaser agrees with the frame. */
#include "base/assert.h"
#include "lorawan/teaser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* part is the piece of in that begins at offset; its length. */
static size_t check_part(lpx_bytes in, size_t offset, lpx_bytes part)
{
    lpx_assert(offset <= in.len && part.len <= in.len - offset);
    lpx_assert(part.len == 0 || part.ptr == in.ptr + offset);
    return part.len;
}

static void check_slices(lpx_bytes in, const lw_phy *phy)
{
    lpx_assert(in.len >= 1 && in.len <= LW_PHY_MAX_BYTES);
    lpx_assert(phy->whole.ptr == in.ptr && phy->whole.len == in.len);
    size_t at = 1;
    if (lw_mtype_is_data(phy->mtype)) {
        at += 7;
        lpx_assert(phy->data.f_opts.len <= LW_F_OPTS_MAX_BYTES);
        at += check_part(in, at, phy->data.f_opts);
        at += phy->data.has_f_port ? 1 : 0;
        lpx_assert(phy->data.has_f_port || (phy->data.f_port == 0 && phy->data.frm_payload.len == 0));
        at += check_part(in, at, phy->data.frm_payload);
    } else if (phy->mtype == LW_JOIN_REQUEST) {
        at += 18;
    } else if (phy->mtype == LW_REJOIN_REQUEST) {
        at += phy->rejoin.type == 1 ? 19 : 14;
    } else {
        at += check_part(in, at, phy->body);
    }
    lpx_assert(check_part(in, 0, phy->without_mic) == at);
    at += check_part(in, at, phy->mic);
    lpx_assert(at == in.len);
}

static void check_way_back(lpx_bytes in, const lw_phy *phy)
{
    uint8_t room[LW_PHY_MAX_BYTES];
    lpx_bytes out;
    lpx_assert(!lpx_failed(lw_phy_encode(phy, (lpx_space){room, sizeof(room)}, NULL, &out)));
    lpx_assert(out.len == in.len);
    bool down = phy->mtype == LW_UNCONFIRMED_DOWN || phy->mtype == LW_CONFIRMED_DOWN;
    for (size_t i = 0; i < in.len; i++) {
        /* Bit 6 of a downlink's FCtrl means nothing and is not kept. */
        uint8_t mask = down && i == 5 ? 0xBF : 0xFF;
        lpx_assert(out.ptr[i] == (in.ptr[i] & mask));
    }
}

static void check_teaser(const lw_phy *phy)
{
    lw_teaser teaser;
    bool wanted = phy->mtype == LW_JOIN_REQUEST || (lw_mtype_is_data(phy->mtype) && lw_mtype_is_uplink(phy->mtype));
    bool made = !lpx_failed(lw_teaser_of(phy, NULL, &teaser));
    lpx_assert(made == wanted);
    if (!made) {
        return;
    }
    lpx_assert(teaser.length == phy->whole.len);
    if (teaser.kind == LW_TEASER_MAC) {
        lpx_assert(teaser.mac.frm_payload_length + 12 <= teaser.length);
        lpx_assert(teaser.mac.dev_addr.value == phy->data.dev_addr.value && teaser.mac.f_cnt <= 0xFFFF);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_bytes in = lpx_bytes_of(data, size);
    lpx_note note = {""};
    lw_phy phy;
    if (lpx_failed(lw_phy_decode(in, &note, &phy))) {
        lpx_assert(note.text[0] != '\0');
        return 0;
    }
    check_slices(in, &phy);
    check_way_back(in, &phy);
    check_teaser(&phy);
    return 0;
}
