#include "router/router_id.h"

#include <stdlib.h>

#include "base/text.h"
#include "base/writer.h"
#include "crypto/hash.h"

enum {
    ULID_CHARS = 26,
    ULID_TIME_BYTES = 6,
    ULID_BYTES = ULID_TIME_BYTES + ROUTER_ID_RANDOM_BYTES,
    TAG_BYTES = 10,
    TAG_CHARS = 16,
    LETTERS_AT = ULID_CHARS + 1, /* "…-UD-…" */
    TAG_AT = LETTERS_AT + 3,
    MAX_TENANT_CHARS = 64,
    TAG_INPUT_BYTES = 32 + TAG_AT + 2 * (4 + 1 + MAX_TENANT_CHARS),
};

/* Crockford's base32, as ULIDs have it. */
static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const char direction_letters[TRAFFIC_DIRECTIONS] = {[TRAFFIC_UP] = 'U', [TRAFFIC_DOWN] = 'D'};
static const char kind_letters[TRAFFIC_KINDS] = {[TRAFFIC_JOIN] = 'J', [TRAFFIC_DATA] = 'D'};

/* Bytes as base32 with leading zero bits, as one big number: chars * 5 is at least 8 * bytes. */
static void encode(lpx_bytes in, char *out, unsigned chars)
{
    unsigned bits = chars * 5 - (unsigned)in.len * 8; /* leading zero bits taken so far */
    uint32_t window = 0;
    unsigned at = 0;
    for (size_t i = 0; i < in.len; i++) {
        window = window << 8 | in.ptr[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            out[at++] = digits[window >> bits & 31];
        }
        window &= (1u << bits) - 1;
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

static void add_member(lpx_writer *w, traffic_member member)
{
    lpx_writer_u32be(w, member.net_id);
    lpx_writer_u8(w, (uint8_t)member.tenant_id.len);
    lpx_writer_str(w, member.tenant_id);
}

/* @return false when a member cannot be one of ours: its tenant id is too long */
static bool make_tag(const router_id_key *key, lpx_str head, const router_id_parts *parts,
                     uint8_t out[static TAG_BYTES])
{
    uint8_t room[TAG_INPUT_BYTES], digest[CRYPTO_SHA256_BYTES];
    lpx_writer w;
    lpx_writer_init(&w, (lpx_space){room, sizeof room});
    lpx_writer_str(&w, LPX_STR("lpx-id-1"));
    lpx_writer_str(&w, head);
    add_member(&w, parts->forwarder);
    if (parts->direction == TRAFFIC_DOWN) {
        add_member(&w, parts->home);
    }
    if (lpx_failed(lpx_writer_end(&w))) {
        return false;
    }
    crypto_hmac_sha256(lpx_bytes_of(key->bytes, sizeof key->bytes), lpx_writer_view(&w), digest);
    memcpy(out, digest, TAG_BYTES);
    return true;
}

void router_id_make(const router_id_key *key, const router_id_parts *parts, char out[static ROUTER_ID_TEXT_BYTES])
{
    uint8_t ulid[ULID_BYTES], tag[TAG_BYTES] = {0};
    uint64_t ms = (uint64_t)(parts->now.us > 0 ? parts->now.us / 1000 : 0);
    for (unsigned i = 0; i < ULID_TIME_BYTES; i++) {
        ulid[i] = (uint8_t)(ms >> (8 * (ULID_TIME_BYTES - 1 - i)));
    }
    memcpy(ulid + ULID_TIME_BYTES, parts->random, ROUTER_ID_RANDOM_BYTES);
    encode(lpx_bytes_of(ulid, sizeof ulid), out, ULID_CHARS);
    out[ULID_CHARS] = '-';
    out[LETTERS_AT] = direction_letters[parts->direction];
    out[LETTERS_AT + 1] = kind_letters[parts->kind];
    out[TAG_AT - 1] = '-';
    (void)make_tag(key, (lpx_str){out, TAG_AT}, parts, tag);
    encode(lpx_bytes_of(tag, sizeof tag), out + TAG_AT, TAG_CHARS);
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
    if (!make_tag(key, (lpx_str){text.ptr, TAG_AT}, parts, tag)) {
        return false;
    }
    encode(lpx_bytes_of(tag, sizeof tag), want, TAG_CHARS);
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
