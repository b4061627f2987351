#include "router/router_id.h"

#include <stdlib.h>

#include "base/text.h"

enum {
    ULID_TIME_CHARS = 10,
    ULID_CHARS = ULID_TIME_CHARS + 16,
    TAG_BYTES = 10,
    TAG_CHARS = 16,
    LETTERS_AT = ULID_CHARS + 1, /* "…-UD-…" */
    TAG_AT = LETTERS_AT + 3,
    MAX_TENANT_CHARS = 64,
    TAG_INPUT_BYTES = TAG_AT + 2 * (4 + 1 + MAX_TENANT_CHARS),
};

#define MS_MASK (((uint64_t)1 << 48) - 1) /* a ULID's time */

/* Crockford's base32, as ULIDs have it. */
static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const char direction_letters[TRAFFIC_DIRECTIONS] = {[TRAFFIC_UP] = 'U', [TRAFFIC_DOWN] = 'D'};
static const char kind_letters[TRAFFIC_KINDS] = {[TRAFFIC_JOIN] = 'J', [TRAFFIC_DATA] = 'D'};

/* The lowest 5 * chars bits of a number. */
static void encode(uint64_t bits, char *out, unsigned chars)
{
    for (unsigned i = chars; i > 0; i--, bits >>= 5) {
        out[i - 1] = digits[bits & 31];
    }
}

/* Ten bytes as 16 characters. */
static void encode_ten(const uint8_t in[static 10], char out[static 16])
{
    for (unsigned half = 0; half < 2; half++) {
        uint64_t bits = 0;
        for (unsigned i = 0; i < 5; i++) {
            bits = bits << 8 | in[5 * half + i];
        }
        encode(bits, out + 8 * half, 8);
    }
}

static int digit_value(char c)
{
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* The first 48 bits of a ULID. @return false when it is none */
static bool decode_time(lpx_str ulid, int64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < ulid.len; i++) {
        int digit = digit_value(ulid.ptr[i]);
        if (digit < 0) {
            return false;
        }
        value = i < 10 ? value << 5 | (unsigned)digit : value;
    }
    *out = (int64_t)value;
    return value >> 48 == 0;
}

static uint8_t *put(uint8_t *at, const void *from, size_t len)
{
    if (len > 0) {
        memcpy(at, from, len);
    }
    return at + len;
}

static uint8_t *put_member(uint8_t *at, traffic_member member)
{
    for (unsigned i = 0; i < 4; i++) {
        *at++ = (uint8_t)(member.net_id >> (24 - 8 * i));
    }
    *at++ = (uint8_t)member.tenant_id.len;
    return put(at, member.tenant_id.ptr, member.tenant_id.len);
}

/* @return false when a member cannot be one of ours: its tenant id is too long */
static bool make_tag(const router_id_key *key, const char head[static TAG_AT], const router_id_parts *parts,
                     uint8_t out[static TAG_BYTES])
{
    uint8_t room[TAG_INPUT_BYTES], code[CRYPTO_SIPHASH_BYTES];
    bool down = parts->direction == TRAFFIC_DOWN;
    if (parts->forwarder.tenant_id.len > MAX_TENANT_CHARS || (down && parts->home.tenant_id.len > MAX_TENANT_CHARS)) {
        return false;
    }
    uint8_t *at = put(room, head, TAG_AT);
    at = put_member(at, parts->forwarder);
    at = down ? put_member(at, parts->home) : at;
    crypto_siphash(&key->tag, lpx_bytes_of(room, (size_t)(at - room)), code);
    memcpy(out, code, TAG_BYTES);
    return true;
}

void router_id_make(const router_id_key *key, const router_id_parts *parts, char out[static ROUTER_ID_TEXT_BYTES])
{
    uint8_t tag[TAG_BYTES] = {0};
    encode((uint64_t)(parts->now.us > 0 ? parts->now.us / 1000 : 0) & MS_MASK, out, ULID_TIME_CHARS);
    encode_ten(parts->random, out + ULID_TIME_CHARS);
    out[ULID_CHARS] = '-';
    out[LETTERS_AT] = direction_letters[parts->direction];
    out[LETTERS_AT + 1] = kind_letters[parts->kind];
    out[TAG_AT - 1] = '-';
    (void)make_tag(key, out, parts, tag);
    encode_ten(tag, out + TAG_AT);
    out[ROUTER_ID_CHARS] = '\0';
}

bool router_id_check(const router_id_key *key, lpx_str text, const router_id_parts *parts, router_id *out)
{
    router_id id = {.direction = parts->direction};
    if (text.len != ROUTER_ID_CHARS || text.ptr[ULID_CHARS] != '-' || text.ptr[TAG_AT - 1] != '-' ||
        text.ptr[LETTERS_AT] != direction_letters[parts->direction] ||
        !decode_time((lpx_str){text.ptr, ULID_CHARS}, &id.issued_ms)) {
        return false;
    }
    char kind = text.ptr[LETTERS_AT + 1];
    if (kind != kind_letters[TRAFFIC_JOIN] && kind != kind_letters[TRAFFIC_DATA]) {
        return false;
    }
    id.kind = kind == kind_letters[TRAFFIC_JOIN] ? TRAFFIC_JOIN : TRAFFIC_DATA;
    uint8_t tag[TAG_BYTES];
    char want[TAG_CHARS];
    if (!make_tag(key, text.ptr, parts, tag)) {
        return false;
    }
    encode_ten(tag, want);
    if (!lpx_equal_const_time(lpx_bytes_of(want, sizeof want), lpx_bytes_of(text.ptr + TAG_AT, TAG_CHARS))) {
        return false;
    }
    memcpy(&id.hash, tag, sizeof id.hash);
    *out = id;
    return true;
}

/* ---- reports seen ---- */

void router_seen_init(router_seen *seen, lpx_utc now)
{
    *seen = (router_seen){.recent = {.began_ms = now.us / 1000}, .older = {.began_ms = now.us / 1000}};
}

void router_seen_fini(router_seen *seen)
{
    free(seen->recent.slots);
    free(seen->older.slots);
    *seen = (router_seen){0};
}

static bool set_has(const router_seen_set *set, uint64_t key)
{
    for (uint32_t at = (uint32_t)key; set->room > 0; at++) {
        uint64_t slot = set->slots[at & (set->room - 1)];
        if (slot == key || slot == 0) {
            return slot == key;
        }
    }
    return false;
}

static void set_put(router_seen_set *set, uint64_t key)
{
    uint32_t at = (uint32_t)key;
    while (set->slots[at & (set->room - 1)] != 0) {
        at++;
    }
    set->slots[at & (set->room - 1)] = key;
    set->count++;
}

bool router_seen_has(const router_seen *seen, uint64_t key)
{
    uint64_t stored = key != 0 ? key : 1;
    return set_has(&seen->recent, stored) || set_has(&seen->older, stored);
}

/* Room for one more key, slots at most half full. */
static bool set_grow(router_seen_set *set)
{
    if (set->count < set->room / 2) {
        return true;
    }
    router_seen_set bigger = {
        .room = set->room > 0 ? set->room * 2 : ROUTER_SEEN_FIRST_ENTRIES,
        .began_ms = set->began_ms,
    };
    bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
    if (bigger.slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < set->room; i++) {
        if (set->slots[i] != 0) {
            set_put(&bigger, set->slots[i]);
        }
    }
    free(set->slots);
    *set = bigger;
    return true;
}

static void turn_generation(router_seen *seen, int64_t now_ms)
{
    free(seen->older.slots);
    seen->older = seen->recent;
    seen->recent = (router_seen_set){.began_ms = now_ms};
}

router_seen_answer router_seen_add(router_seen *seen, uint64_t key, int64_t issued_ms, lpx_utc now)
{
    int64_t now_ms = now.us / 1000;
    uint64_t stored = key != 0 ? key : 1; /* 0 marks an empty slot */
    bool full = seen->recent.count >= ROUTER_SEEN_ENTRIES / 2;
    if (full || now_ms - seen->recent.began_ms > ROUTER_SEEN_AGE_MS) {
        turn_generation(seen, now_ms);
    }
    if (issued_ms < seen->older.began_ms) {
        return ROUTER_SEEN_TOO_OLD;
    }
    if (set_has(&seen->recent, stored) || set_has(&seen->older, stored)) {
        return ROUTER_SEEN_AGAIN;
    }
    if (!set_grow(&seen->recent)) {
        return ROUTER_SEEN_TOO_OLD;
    }
    set_put(&seen->recent, stored);
    return ROUTER_SEEN_NEW;
}
