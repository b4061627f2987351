/* Compact JWS. The header is read by us before libjose sees it: one algorithm, our key, no extensions. */
#include <jose/jws.h>

#include "base/text.h"
#include "codec/json/json.h"
#include "codec/jwt/jwt_priv.h"
#include "lpx_reasons.h"

enum { SIGNATURE_BYTES = 64 };

/* ---- signing ---- */

/* The three parts of a JWS that libjose has signed, with dots between them. */
static lpx_err compact_write(const json_t *jws, lpx_arena *arena, lpx_str *out)
{
    const char *header = json_string_value(json_object_get(jws, "protected"));
    const char *payload = json_string_value(json_object_get(jws, "payload"));
    const char *signature = json_string_value(json_object_get(jws, "signature"));
    if (header == NULL || payload == NULL || signature == NULL) {
        return lpx_err_of(JWT_BAD_KEY);
    }
    if (strlen(header) + strlen(payload) + strlen(signature) + 2 > JWT_TOKEN_MAX_BYTES) {
        return lpx_err_of(JWT_BAD_CLAIMS);
    }
    const char *text = lpx_arena_printf(arena, "%s.%s.%s", header, payload, signature);
    if (text == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = lpx_str_of(text);
    return LPX_SUCCESS;
}

LPX_RESULT jwt_payload_sign(const jwt_key *key, lpx_str payload, lpx_arena *arena, lpx_str *out)
{
    char *encoded = lpx_arena_get(arena, lpx_base64_len(payload.len) + 1);
    if (encoded == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    (void)lpx_base64url_encode(lpx_str_bytes(payload), encoded);
    jose_cfg_t *cfg = jwt_cfg_new();
    json_t *jws = json_pack("{s:s}", "payload", encoded);
    json_t *header = json_pack("{s:{s:s, s:s, s:s}}", "protected", "alg", "ES256", "kid", key->kid, "typ", "JWT");
    bool good = cfg != NULL && jws != NULL && header != NULL && jose_jws_sig(cfg, jws, header, key->jwk);
    lpx_err err = good ? compact_write(jws, arena, out) : lpx_err_of(JWT_BAD_KEY);
    json_decref(header);
    json_decref(jws);
    jwt_cfg_free(cfg);
    return err;
}

LPX_RESULT jwt_sign(const jwt_key *key, const jwt_claims *claims, lpx_arena *arena, lpx_str *out)
{
    lpx_buf payload;
    lpx_buf_init(&payload, JWT_TOKEN_MAX_BYTES);
    jwt_claims_write(claims, &payload);
    lpx_err err = lpx_buf_failed(&payload) ? lpx_err_of(JWT_BAD_CLAIMS)
                                           : jwt_payload_sign(key, lpx_bytes_str(lpx_buf_view(&payload)), arena, out);
    lpx_buf_fini(&payload);
    return err;
}

/* ---- verifying ---- */

typedef struct token_parts {
    lpx_str header, payload, signature; /* base64url */
} token_parts;

static lpx_err malformed(lpx_note *note, const char *what)
{
    return lpx_fail(note, JWT_MALFORMED, "The token is not valid: %s.", what);
}

static bool is_base64url(lpx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_') {
            return false;
        }
    }
    return text.len > 0;
}

/* Text before the next dot. */
static bool part_take(lpx_str *rest, lpx_str *out)
{
    const char *dot = memchr(rest->ptr, '.', rest->len);
    if (dot == NULL) {
        return false;
    }
    *out = (lpx_str){rest->ptr, (size_t)(dot - rest->ptr)};
    *rest = lpx_str_skip(*rest, out->len + 1);
    return true;
}

static lpx_err token_split(lpx_str token, token_parts *out, lpx_note *note)
{
    if (token.len > JWT_TOKEN_MAX_BYTES) {
        return malformed(note, "it is too long");
    }
    bool split = part_take(&token, &out->header) && part_take(&token, &out->payload);
    out->signature = token;
    if (!split || !is_base64url(out->header) || !is_base64url(out->payload) || !is_base64url(out->signature)) {
        return malformed(note, "it is not three base64url texts with dots between them");
    }
    return LPX_SUCCESS;
}

static lpx_err part_decode(lpx_str part, lpx_arena *arena, lpx_str *out, lpx_note *note)
{
    lpx_space room = {.len = part.len / 4 * 3 + 3};
    room.ptr = lpx_arena_get(arena, room.len);
    if (room.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    int64_t len = lpx_base64_decode(part, room);
    if (len < 0) {
        return malformed(note, "one of its parts is not base64url");
    }
    *out = (lpx_str){(const char *)room.ptr, (size_t)len};
    return LPX_SUCCESS;
}

/* The kid of a header that asks for nothing but ES256. */
static lpx_err header_read(lpx_str part, lpx_arena *arena, lpx_str *kid, lpx_note *note)
{
    lpx_str text;
    const json_value *header = NULL;
    LPX_TRY(part_decode(part, arena, &text, note));
    lpx_err err = json_parse(text, arena, &header, NULL);
    if (lpx_failed(err)) {
        return err.reason == BASE_NO_MEMORY ? err : malformed(note, "its header is not JSON");
    }
    if (!lpx_str_is(json_text(json_member(header, "alg")), "ES256")) {
        return malformed(note, "the alg in its header must be ES256");
    }
    if (json_member(header, "crit") != NULL) {
        return malformed(note, "its header has crit, and no extension is known here");
    }
    *kid = json_text(json_member(header, "kid"));
    return kid->len > 0 ? LPX_SUCCESS : malformed(note, "its header must have a kid");
}

LPX_RESULT jwt_peek_kid(lpx_str token, lpx_arena *arena, lpx_str *kid, lpx_note *note)
{
    token_parts parts;
    LPX_TRY(token_split(token, &parts, note));
    return header_read(parts.header, arena, kid, note);
}

static bool signature_holds(const jwt_key *key, const token_parts *parts)
{
    jose_cfg_t *cfg = jwt_cfg_new();
    json_t *jws =
        json_pack("{s:s%, s:s%, s:s%}", "protected", parts->header.ptr, parts->header.len, "payload",
                  parts->payload.ptr, parts->payload.len, "signature", parts->signature.ptr, parts->signature.len);
    bool good = cfg != NULL && jws != NULL && jose_jws_ver(cfg, jws, NULL, key->jwk, false);
    json_decref(jws);
    jwt_cfg_free(cfg);
    return good;
}

LPX_RESULT jwt_payload_verify(const jwt_key *key, lpx_str token, lpx_arena *arena, lpx_str *out, lpx_note *note)
{
    token_parts parts;
    lpx_str kid = {0}, signature = {0}, payload = {0}; /* gcc -O3 does not see that failures return */
    LPX_TRY(token_split(token, &parts, note));
    LPX_TRY(header_read(parts.header, arena, &kid, note));
    LPX_TRY(part_decode(parts.signature, arena, &signature, note));
    LPX_TRY(part_decode(parts.payload, arena, &payload, note));
    if (!lpx_str_equal(kid, jwt_key_id(key))) {
        return lpx_fail(note, JWT_BAD_SIGNATURE, "The token is signed with another key than %s.", key->kid);
    }
    if (signature.len != SIGNATURE_BYTES || !signature_holds(key, &parts)) {
        return lpx_fail(note, JWT_BAD_SIGNATURE, "The signature of the token is not valid.");
    }
    *out = payload;
    return LPX_SUCCESS;
}

LPX_RESULT jwt_verify(const jwt_key *key, lpx_str token, lpx_arena *arena, jwt_claims *out, lpx_note *note)
{
    lpx_str payload;
    LPX_TRY(jwt_payload_verify(key, token, arena, &payload, note));
    return jwt_claims_read(payload, arena, out, note);
}
