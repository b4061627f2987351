/* LoRaWAN identifiers: NetID, DevAddr, EUI-64, their prefixes and text forms, and the syntax of the ids of tenants,
 * clusters and API keys. Numbers are what the text shows: "26AA0000" is 0x26AA0000, whatever the order on the air.
 * Level 2; pure, no allocation. Thread: any. Source: LoRaWAN Backend Interfaces, NetID and DevAddr assignment. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"
#include "lorawan/limits.h"

/** 24 bits: type in the top three, identifier in the rest. */
typedef struct lw_netid {
    uint32_t value;
} lw_netid;

/** Address of a device inside its network. */
typedef struct lw_devaddr {
    uint32_t value;
} lw_devaddr;

/** DevEUI, JoinEUI, gateway EUI. */
typedef struct lw_eui64 {
    uint64_t value;
} lw_eui64;

/** The addresses whose first length bits (0 to 32) are those of value; bits of value behind them mean nothing. */
typedef struct lw_devaddr_prefix {
    uint32_t value;
    uint8_t length;
} lw_devaddr_prefix;

/** The EUIs whose first length bits (0 to 64) are those of value; bits of value behind them mean nothing. */
typedef struct lw_eui64_prefix {
    uint64_t value;
    uint8_t length;
} lw_eui64_prefix;

/** Room for the text forms, NUL included. */
enum {
    LW_NETID_TEXT_BYTES = 7,
    LW_DEVADDR_TEXT_BYTES = 9,
    LW_EUI64_TEXT_BYTES = 17,
    LW_DEVADDR_PREFIX_TEXT_BYTES = 12,
    LW_EUI64_PREFIX_TEXT_BYTES = 20,
};

/* ---- NetID and its addresses ---- */

/** Type of a NetID, 0 to 7. */
unsigned lw_netid_type(lw_netid net);

/** The bits of a NetID that appear in a DevAddr (6 to 17 bits, by type). */
uint32_t lw_netid_nwkid(lw_netid net);

/** May this number be the NetID of a member? It has 24 bits, and one of type 7 is a group: its low four bits are 0. */
bool lw_netid_valid(uint32_t value);

/** Like lw_netid_valid, with a sentence for the user.
 * @param field name of the field, for the note
 * @err INVALID_ARGUMENT: LW_NETID_INVALID */
LPX_RESULT lw_netid_check(uint32_t value, const char *field, lpx_note *note);

/** Is it one of the two NetIDs that anybody may use at home (000000 and 000001)? */
bool lw_netid_private(lw_netid net);

/** The NetID itself, or for type 7 the group that it belongs to (low four bits 0). */
lw_netid lw_netid_group(lw_netid net);

/** The addresses of exactly this NetID: /7 for type 0 to /25 for type 7. */
lw_devaddr_prefix lw_netid_prefix(lw_netid net);

/** The addresses of a member: like lw_netid_prefix, but for type 7 those of the whole group (/21). */
lw_devaddr_prefix lw_netid_space(lw_netid net);

/** NetID that an address belongs to (for type 7 with its low bits; see lw_netid_group).
 * @return false when there is none (addresses from FF000000); *out untouched then */
bool lw_devaddr_netid(lw_devaddr addr, lw_netid *out);

/* ---- prefixes ---- */

/** Has the prefix an allowed length (0 to 32)? */
bool lw_devaddr_prefix_valid(lw_devaddr_prefix prefix);

/** The prefix with the bits behind its length set to 0. */
lw_devaddr_prefix lw_devaddr_prefix_normal(lw_devaddr_prefix prefix);

/** Lowest address of the prefix. */
lw_devaddr lw_devaddr_prefix_first(lw_devaddr_prefix prefix);

/** Highest address of the prefix. */
lw_devaddr lw_devaddr_prefix_last(lw_devaddr_prefix prefix);

/** Is the address in the prefix? Length 0 has every address; a length above 32 has none. */
bool lw_devaddr_prefix_matches(lw_devaddr_prefix prefix, lw_devaddr addr);

/** Is every address of inner also one of outer? false when a length is above 32. */
bool lw_devaddr_prefix_contains(lw_devaddr_prefix outer, lw_devaddr_prefix inner);

/** Does the whole prefix lie in the space of this member? */
bool lw_devaddr_prefix_in_netid(lw_devaddr_prefix prefix, lw_netid net);

/** What prefix and the space of this member have in common, normal form.
 * @return false when that is nothing; *out untouched then */
bool lw_devaddr_prefix_clip(lw_devaddr_prefix prefix, lw_netid net, lw_devaddr_prefix *out);

/** Has the prefix an allowed length (0 to 64)? */
bool lw_eui64_prefix_valid(lw_eui64_prefix prefix);

/** The prefix with the bits behind its length set to 0. */
lw_eui64_prefix lw_eui64_prefix_normal(lw_eui64_prefix prefix);

/** Is the EUI in the prefix? Length 0 has every EUI; a length above 64 has none. */
bool lw_eui64_prefix_matches(lw_eui64_prefix prefix, lw_eui64 eui);

/** Is every EUI of inner also one of outer? false when a length is above 64. */
bool lw_eui64_prefix_contains(lw_eui64_prefix outer, lw_eui64_prefix inner);

/* ---- text; readers accept hex digits of either case, and nothing before or behind ---- */

/** "C0002F", upper case. Only the low 24 bits appear. */
void lw_netid_format(lw_netid net, char out[static LW_NETID_TEXT_BYTES]);
/** "26AA0000", upper case. */
void lw_devaddr_format(lw_devaddr addr, char out[static LW_DEVADDR_TEXT_BYTES]);
/** "EC656E0000000000", upper case. */
void lw_eui64_format(lw_eui64 eui, char out[static LW_EUI64_TEXT_BYTES]);
/** "26AA0000/16"; value as it is, not the normal form. The length must be valid. */
void lw_devaddr_prefix_format(lw_devaddr_prefix prefix, char out[static LW_DEVADDR_PREFIX_TEXT_BYTES]);
/** "EC656E0000000000/24"; value as it is, not the normal form. The length must be valid. */
void lw_eui64_prefix_format(lw_eui64_prefix prefix, char out[static LW_EUI64_PREFIX_TEXT_BYTES]);

/** Read the NetID of a member: six hex digits, and the rule of lw_netid_valid.
 * @param field name of the field, for the note
 * @err INVALID_ARGUMENT: LW_NETID_INVALID */
LPX_RESULT lw_netid_parse(lpx_str text, const char *field, lpx_note *note, lw_netid *out);

/** Read eight hex digits. @err INVALID_ARGUMENT: LW_DEVADDR_INVALID */
LPX_RESULT lw_devaddr_parse(lpx_str text, const char *field, lpx_note *note, lw_devaddr *out);

/** Read sixteen hex digits. @err INVALID_ARGUMENT: LW_EUI_INVALID */
LPX_RESULT lw_eui64_parse(lpx_str text, const char *field, lpx_note *note, lw_eui64 *out);

/** Read eight hex digits, "/" and a length from 0 to 32. @err INVALID_ARGUMENT: LW_DEVADDR_PREFIX_INVALID */
LPX_RESULT lw_devaddr_prefix_parse(lpx_str text, const char *field, lpx_note *note, lw_devaddr_prefix *out);

/** Read sixteen hex digits, "/" and a length from 0 to 64. @err INVALID_ARGUMENT: LW_EUI_PREFIX_INVALID */
LPX_RESULT lw_eui64_prefix_parse(lpx_str text, const char *field, lpx_note *note, lw_eui64_prefix *out);

/* ---- ids of tenants, clusters and keys; where an empty one is allowed the caller asks for that first ---- */

/** Three or more of a-z and 0-9, single hyphens between them, at most LW_TENANT_ID_MAX_CHARS.
 * @param field name of the field, for the note
 * @err INVALID_ARGUMENT: LW_TENANT_ID_INVALID */
LPX_RESULT lw_tenant_id_check(lpx_str id, const char *field, lpx_note *note);

/** Lower-case host name: labels of a-z and 0-9 with inner hyphens, dots between them, at most
 * LW_CLUSTER_ID_MAX_CHARS. Also the form of a subscription group.
 * @err INVALID_ARGUMENT: LW_CLUSTER_ID_INVALID */
LPX_RESULT lw_cluster_id_check(lpx_str id, const char *field, lpx_note *note);

/** Sixteen of A-Z and 2-7. @err INVALID_ARGUMENT: LW_KEY_ID_INVALID */
LPX_RESULT lw_key_id_check(lpx_str id, const char *field, lpx_note *note);
