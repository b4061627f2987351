/* NetID, DevAddr, EUI-64 and the ids of tenants, clusters and keys. */
#include "lorawan/ids.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"
#include "lpx_reasons.h"

enum { NETID_BITS = 24, NETID_TYPE_SHIFT = 21, DEVADDR_BITS = 32, EUI_BITS = 64, GROUP_BITS = 4 };

/* NwkID bits by NetID type. In front of them in a DevAddr stand as many ones as the type says, and a zero. */
static const uint8_t nwkid_bits[8] = {6, 6, 9, 11, 12, 13, 15, 17};

/* ---- NetID and its addresses ---- */

unsigned lw_netid_type(lw_netid net)
{
    return net.value >> NETID_TYPE_SHIFT & 7;
}

uint32_t lw_netid_nwkid(lw_netid net)
{
    return net.value & ((1U << nwkid_bits[lw_netid_type(net)]) - 1);
}

bool lw_netid_valid(uint32_t value)
{
    lw_netid net = {value};
    return value >> NETID_BITS == 0 && lw_netid_group(net).value == value;
}

lpx_err lw_netid_check(uint32_t value, const char *field, lpx_note *note)
{
    if (lw_netid_valid(value)) {
        return LPX_SUCCESS;
    }
    if (value >> NETID_BITS != 0) {
        return lpx_fail(note, LW_NETID_INVALID, "%s is %u, but a NetID has 24 bits (at most FFFFFF).", field, value);
    }
    return lpx_fail(note, LW_NETID_INVALID, "%s is %06X, but a NetID of type 7 must be a group, here %06X.", field,
                    value, lw_netid_group((lw_netid){value}).value);
}

bool lw_netid_private(lw_netid net)
{
    return net.value <= 1;
}

lw_netid lw_netid_group(lw_netid net)
{
    uint32_t low = lw_netid_type(net) == 7 ? (1U << GROUP_BITS) - 1 : 0;
    return (lw_netid){net.value & ~low};
}

lw_devaddr_prefix lw_netid_prefix(lw_netid net)
{
    unsigned type = lw_netid_type(net);
    unsigned length = type + 1 + nwkid_bits[type];
    uint32_t type_bits = (uint32_t)(0xFFFFFFFF00000000U >> type);
    return (lw_devaddr_prefix){
        .value = type_bits | lw_netid_nwkid(net) << (DEVADDR_BITS - length),
        .length = (uint8_t)length,
    };
}

lw_devaddr_prefix lw_netid_space(lw_netid net)
{
    lw_devaddr_prefix prefix = lw_netid_prefix(lw_netid_group(net));
    prefix.length = (uint8_t)(prefix.length - (lw_netid_type(net) == 7 ? GROUP_BITS : 0));
    return prefix;
}

bool lw_devaddr_netid(lw_devaddr addr, lw_netid *out)
{
    unsigned type = 0;
    while (type < 8 && (addr.value << type & 0x80000000U) != 0) {
        type++;
    }
    if (type == 8) {
        return false;
    }
    unsigned length = type + 1 + nwkid_bits[type];
    uint32_t nwkid = addr.value >> (DEVADDR_BITS - length) & ((1U << nwkid_bits[type]) - 1);
    out->value = (uint32_t)type << NETID_TYPE_SHIFT | nwkid;
    return true;
}

/* ---- prefixes ---- */

/* The first length bits set; a shift by the whole width is undefined in C, hence the wider type. */
static uint32_t devaddr_mask(unsigned length)
{
    return (uint32_t)(0xFFFFFFFF00000000U >> length);
}

static uint64_t eui_mask(unsigned length)
{
    return length == 0 ? 0 : UINT64_MAX << (EUI_BITS - length);
}

bool lw_devaddr_prefix_valid(lw_devaddr_prefix prefix)
{
    return prefix.length <= DEVADDR_BITS;
}

lw_devaddr_prefix lw_devaddr_prefix_normal(lw_devaddr_prefix prefix)
{
    lpx_assert(lw_devaddr_prefix_valid(prefix));
    prefix.value &= devaddr_mask(prefix.length);
    return prefix;
}

lw_devaddr lw_devaddr_prefix_first(lw_devaddr_prefix prefix)
{
    return (lw_devaddr){lw_devaddr_prefix_normal(prefix).value};
}

lw_devaddr lw_devaddr_prefix_last(lw_devaddr_prefix prefix)
{
    return (lw_devaddr){lw_devaddr_prefix_normal(prefix).value | ~devaddr_mask(prefix.length)};
}

bool lw_devaddr_prefix_matches(lw_devaddr_prefix prefix, lw_devaddr addr)
{
    return lw_devaddr_prefix_valid(prefix) && ((prefix.value ^ addr.value) & devaddr_mask(prefix.length)) == 0;
}

bool lw_devaddr_prefix_contains(lw_devaddr_prefix outer, lw_devaddr_prefix inner)
{
    return lw_devaddr_prefix_valid(inner) && outer.length <= inner.length &&
           lw_devaddr_prefix_matches(outer, (lw_devaddr){inner.value});
}

bool lw_devaddr_prefix_in_netid(lw_devaddr_prefix prefix, lw_netid net)
{
    return lw_devaddr_prefix_contains(lw_netid_space(net), prefix);
}

bool lw_devaddr_prefix_clip(lw_devaddr_prefix prefix, lw_netid net, lw_devaddr_prefix *out)
{
    lw_devaddr_prefix space = lw_netid_space(net);
    if (lw_devaddr_prefix_contains(prefix, space)) {
        *out = space;
        return true;
    }
    if (lw_devaddr_prefix_contains(space, prefix)) {
        *out = lw_devaddr_prefix_normal(prefix);
        return true;
    }
    return false;
}

bool lw_eui64_prefix_valid(lw_eui64_prefix prefix)
{
    return prefix.length <= EUI_BITS;
}

lw_eui64_prefix lw_eui64_prefix_normal(lw_eui64_prefix prefix)
{
    lpx_assert(lw_eui64_prefix_valid(prefix));
    prefix.value &= eui_mask(prefix.length);
    return prefix;
}

bool lw_eui64_prefix_matches(lw_eui64_prefix prefix, lw_eui64 eui)
{
    return lw_eui64_prefix_valid(prefix) && ((prefix.value ^ eui.value) & eui_mask(prefix.length)) == 0;
}

bool lw_eui64_prefix_contains(lw_eui64_prefix outer, lw_eui64_prefix inner)
{
    return lw_eui64_prefix_valid(inner) && outer.length <= inner.length &&
           lw_eui64_prefix_matches(outer, (lw_eui64){inner.value});
}

/* ---- text ---- */

void lw_netid_format(lw_netid net, char out[static LW_NETID_TEXT_BYTES])
{
    (void)snprintf(out, LW_NETID_TEXT_BYTES, "%06X", net.value & 0xFFFFFF);
}

void lw_devaddr_format(lw_devaddr addr, char out[static LW_DEVADDR_TEXT_BYTES])
{
    (void)snprintf(out, LW_DEVADDR_TEXT_BYTES, "%08X", addr.value);
}

void lw_eui64_format(lw_eui64 eui, char out[static LW_EUI64_TEXT_BYTES])
{
    (void)snprintf(out, LW_EUI64_TEXT_BYTES, "%016llX", (unsigned long long)eui.value);
}

void lw_devaddr_prefix_format(lw_devaddr_prefix prefix, char out[static LW_DEVADDR_PREFIX_TEXT_BYTES])
{
    lpx_assert(lw_devaddr_prefix_valid(prefix));
    (void)snprintf(out, LW_DEVADDR_PREFIX_TEXT_BYTES, "%08X/%u", prefix.value, prefix.length % 100U);
}

void lw_eui64_prefix_format(lw_eui64_prefix prefix, char out[static LW_EUI64_PREFIX_TEXT_BYTES])
{
    lpx_assert(lw_eui64_prefix_valid(prefix));
    (void)snprintf(out, LW_EUI64_PREFIX_TEXT_BYTES, "%016llX/%u", (unsigned long long)prefix.value,
                   prefix.length % 100U);
}

/* Characters of a user's text that a note quotes. */
static int quoted(lpx_str text)
{
    return text.len < 40 ? (int)text.len : 40;
}

lpx_err lw_netid_parse(lpx_str text, const char *field, lpx_note *note, lw_netid *out)
{
    uint64_t value = 0;
    if (!lpx_parse_hex(text, 6, &value)) {
        return lpx_fail(note, LW_NETID_INVALID, "%s is \"%.*s\", but a NetID is six hex digits, such as 000013.", field,
                        quoted(text), text.ptr);
    }
    LPX_TRY(lw_netid_check((uint32_t)value, field, note));
    out->value = (uint32_t)value;
    return LPX_SUCCESS;
}

lpx_err lw_devaddr_parse(lpx_str text, const char *field, lpx_note *note, lw_devaddr *out)
{
    uint64_t value = 0;
    if (!lpx_parse_hex(text, 8, &value)) {
        return lpx_fail(note, LW_DEVADDR_INVALID,
                        "%s is \"%.*s\", but a DevAddr is eight hex digits, such as 26011BDA.", field, quoted(text),
                        text.ptr);
    }
    out->value = (uint32_t)value;
    return LPX_SUCCESS;
}

lpx_err lw_eui64_parse(lpx_str text, const char *field, lpx_note *note, lw_eui64 *out)
{
    uint64_t value = 0;
    if (!lpx_parse_hex(text, 16, &value)) {
        return lpx_fail(note, LW_EUI_INVALID, "%s is \"%.*s\", but an EUI is sixteen hex digits.", field, quoted(text),
                        text.ptr);
    }
    out->value = value;
    return LPX_SUCCESS;
}

/* Split "HEX/LEN" into its two numbers. The length has no leading zeros, so that a prefix has one text. */
static bool prefix_split(lpx_str text, unsigned digits, uint64_t *value, uint8_t *length)
{
    if (text.len < digits + 2 || text.ptr[digits] != '/') {
        return false;
    }
    lpx_str tail = lpx_str_skip(text, digits + 1);
    uint64_t bits = 0;
    bool ok = lpx_parse_hex((lpx_str){text.ptr, digits}, digits, value) && lpx_parse_u64(tail, 4 * digits, &bits) &&
              (tail.len == 1 || tail.ptr[0] != '0');
    *length = (uint8_t)bits;
    return ok;
}

lpx_err lw_devaddr_prefix_parse(lpx_str text, const char *field, lpx_note *note, lw_devaddr_prefix *out)
{
    uint64_t value = 0;
    uint8_t length = 0;
    if (!prefix_split(text, 8, &value, &length)) {
        return lpx_fail(note, LW_DEVADDR_PREFIX_INVALID,
                        "%s is \"%.*s\", but a DevAddr prefix is eight hex digits, a slash and a length from 0 to 32, "
                        "such as 26AA0000/16.",
                        field, quoted(text), text.ptr);
    }
    *out = (lw_devaddr_prefix){.value = (uint32_t)value, .length = length};
    return LPX_SUCCESS;
}

lpx_err lw_eui64_prefix_parse(lpx_str text, const char *field, lpx_note *note, lw_eui64_prefix *out)
{
    uint64_t value = 0;
    uint8_t length = 0;
    if (!prefix_split(text, 16, &value, &length)) {
        return lpx_fail(note, LW_EUI_PREFIX_INVALID,
                        "%s is \"%.*s\", but an EUI prefix is sixteen hex digits, a slash and a length from 0 to 64, "
                        "such as EC656E0000000000/24.",
                        field, quoted(text), text.ptr);
    }
    *out = (lw_eui64_prefix){.value = value, .length = length};
    return LPX_SUCCESS;
}

/* ---- ids of tenants, clusters and keys ---- */

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool tenant_id_ok(lpx_str id)
{
    size_t letters = 0;
    for (size_t i = 0; i < id.len; i++) {
        bool letter = is_lower_alnum(id.ptr[i]);
        /* A hyphen stands between two letters: not first, not last, not behind another. */
        bool hyphen = id.ptr[i] == '-' && i > 0 && i + 1 < id.len && id.ptr[i - 1] != '-';
        if (!letter && !hyphen) {
            return false;
        }
        letters += letter ? 1 : 0;
    }
    return letters >= 3 && id.len <= LW_TENANT_ID_MAX_CHARS;
}

lpx_err lw_tenant_id_check(lpx_str id, const char *field, lpx_note *note)
{
    if (tenant_id_ok(id)) {
        return LPX_SUCCESS;
    }
    return lpx_fail(note, LW_TENANT_ID_INVALID,
                    "%s is \"%.*s\", but a tenant id has 3 to %d characters a-z and 0-9, with single hyphens inside.",
                    field, quoted(id), id.ptr, LW_TENANT_ID_MAX_CHARS);
}

static bool cluster_id_ok(lpx_str id)
{
    char before = '.';
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool ok = is_lower_alnum(c) || (c == '-' && before != '.') || (c == '.' && is_lower_alnum(before));
        if (!ok) {
            return false;
        }
        before = c;
    }
    return is_lower_alnum(before) && id.len <= LW_CLUSTER_ID_MAX_CHARS;
}

lpx_err lw_cluster_id_check(lpx_str id, const char *field, lpx_note *note)
{
    if (cluster_id_ok(id)) {
        return LPX_SUCCESS;
    }
    return lpx_fail(note, LW_CLUSTER_ID_INVALID,
                    "%s is \"%.*s\", but it must be a lower-case host name of at most %d characters, such as eu1.",
                    field, quoted(id), id.ptr, LW_CLUSTER_ID_MAX_CHARS);
}

lpx_err lw_key_id_check(lpx_str id, const char *field, lpx_note *note)
{
    bool ok = id.len == 16;
    for (size_t i = 0; i < id.len && ok; i++) {
        ok = (id.ptr[i] >= 'A' && id.ptr[i] <= 'Z') || (id.ptr[i] >= '2' && id.ptr[i] <= '7');
    }
    return ok ? LPX_SUCCESS
              : lpx_fail(note, LW_KEY_ID_INVALID, "%s is no key id: sixteen characters A-Z and 2-7.", field);
}
