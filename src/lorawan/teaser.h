/* Teaser of an uplink: the few values of a PHYPayload that routing and filters look at. Level 2; pure, no allocation.
 * Thread: any. Source: what The Things Stack publishes, with confirmed taken from the message type. */
#pragma once
#include "lorawan/phy.h"

enum { LW_TEASER_HASH_BYTES = 32 };

typedef enum lw_teaser_kind { LW_TEASER_JOIN_REQUEST, LW_TEASER_MAC } lw_teaser_kind;

/** Teaser of a data frame. */
typedef struct lw_mac_teaser {
    lw_devaddr dev_addr;
    bool confirmed;
    bool f_opts;     /* are there any? */
    uint32_t f_cnt;  /* low 16 bits */
    uint32_t f_port; /* 0 also without FPort */
    uint32_t frm_payload_length;
} lw_mac_teaser;

/** Teaser; which member of the union counts follows from kind. */
typedef struct lw_teaser {
    uint8_t hash[LW_TEASER_HASH_BYTES]; /* SHA-256 of the PHYPayload without its MIC; spots retransmissions */
    uint32_t length;                    /* of the whole PHYPayload, MIC included */
    lw_teaser_kind kind;
    union {
        lw_join_request join_request;
        lw_mac_teaser mac;
    };
} lw_teaser;

/** All but the hash, which is left 0: for filters, which do not look at it.
 * @param phy  as decoded
 * @param note may be NULL
 * @param out  written on success only
 * @err INVALID_ARGUMENT: LW_TEASER_TYPE (neither join-request nor data uplink) */
LPX_RESULT lw_teaser_fields(const lw_phy *phy, lpx_note *note, lw_teaser *out);

/** The whole teaser; like lw_teaser_fields, with the hash. */
LPX_RESULT lw_teaser_of(const lw_phy *phy, lpx_note *note, lw_teaser *out);
