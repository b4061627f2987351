/* PHYPayload: decoding and encoding of all message types of LoRaWAN 1.0.x and 1.1. A decoder does not filter or decide:
 * a frame that a device should not have sent is still decoded if its layout is whole. Level 2; pure, no allocation.
 * Thread: any. Source: LoRaWAN L2 1.0.4 and LoRaWAN 1.1, chapters 4 and 6 (frame formats, join procedure). */
#pragma once
#include "base/bytes.h"
#include "base/err.h"
#include "lorawan/ids.h"
#include "lorawan/limits.h"

enum { LW_MIC_BYTES = 4 };

/** Message type: the top three bits of the first byte. */
typedef enum lw_mtype {
    LW_JOIN_REQUEST = 0,
    LW_JOIN_ACCEPT = 1,
    LW_UNCONFIRMED_UP = 2,
    LW_UNCONFIRMED_DOWN = 3,
    LW_CONFIRMED_UP = 4,
    LW_CONFIRMED_DOWN = 5,
    LW_REJOIN_REQUEST = 6,
    LW_PROPRIETARY = 7,
} lw_mtype;

/** A device asks to join. */
typedef struct lw_join_request {
    lw_eui64 join_eui;
    lw_eui64 dev_eui;
    uint16_t dev_nonce;
} lw_join_request;

/** A device asks to join again. */
typedef struct lw_rejoin_request {
    uint8_t type;      /* 0, 1 or 2 */
    lw_netid net_id;   /* types 0 and 2; else 0 */
    lw_eui64 join_eui; /* type 1; else 0 */
    lw_eui64 dev_eui;
    uint16_t rj_count;
} lw_rejoin_request;

/** Data frame of either direction. */
typedef struct lw_data {
    lw_devaddr dev_addr;
    bool adr;
    bool adr_ack_req; /* uplink only; else false */
    bool ack;
    bool class_b;     /* uplink only; else false */
    bool f_pending;   /* downlink only; else false */
    uint16_t f_cnt;   /* low 16 bits of the counter */
    lpx_bytes f_opts; /* 0 to LW_F_OPTS_MAX_BYTES */
    bool has_f_port;  /* false: no FPort, and f_port is 0 */
    uint8_t f_port;
    lpx_bytes frm_payload; /* empty without FPort; may be empty with one */
} lw_data;

/** One PHYPayload. Which member of the union counts follows from mtype. */
typedef struct lw_phy {
    lw_mtype mtype;
    uint8_t major; /* 0 is LoRaWAN R1; other values only with LW_PROPRIETARY */
    uint8_t rfu;   /* the three bits between; a sender of today sets 0 */
    union {
        lw_join_request join_request;
        lw_rejoin_request rejoin;
        lw_data data;   /* four types */
        lpx_bytes body; /* join-accept: 16 or 32 encrypted bytes, MIC inside; proprietary: all after the first byte */
    };
    lpx_bytes mic;         /* LW_MIC_BYTES; empty for join-accept and proprietary */
    lpx_bytes without_mic; /* decoding only: all before mic */
    lpx_bytes whole;       /* decoding only: the input */
} lw_phy;

/** Is it a data frame, from a device or to one? */
bool lw_mtype_is_data(lw_mtype mtype);
/** Does a device send this type? Proprietary frames go both ways and count as neither. */
bool lw_mtype_is_uplink(lw_mtype mtype);
/** Name for people, "confirmed data up"; static. */
const char *lw_mtype_name(lw_mtype mtype);

/** Decode one PHYPayload.
 * @param in   whole frame, borrowed; slices in *out point into it
 * @param note names the field and its offset on failure; may be NULL
 * @param out  written on success only
 * @err INVALID_ARGUMENT: LW_PHY_LENGTH (too short, too long, or bytes left over), LW_PHY_MAJOR, LW_PHY_F_OPTS (FOpts
 *      reach into the MIC), LW_PHY_REJOIN_TYPE */
LPX_RESULT lw_phy_decode(lpx_bytes in, lpx_note *note, lw_phy *out);

/** Encode one PHYPayload. With an empty mic the bytes before the MIC are written: what the MIC is computed over.
 * @param in   mtype, major, rfu, the member of the union and mic count; without_mic and whole do not
 * @param room where to write, borrowed; LW_PHY_MAX_BYTES are always enough
 * @param note names the field on failure; may be NULL
 * @param out  written on success only: the bytes written, a view into room
 * @err INVALID_ARGUMENT: LW_PHY_LENGTH, LW_PHY_MAJOR, LW_PHY_F_OPTS, LW_PHY_F_PORT (FRMPayload without FPort),
 *      LW_PHY_REJOIN_TYPE; INTERNAL: BASE_NO_ROOM */
LPX_RESULT lw_phy_encode(const lw_phy *in, lpx_space room, lpx_note *note, lpx_bytes *out);
