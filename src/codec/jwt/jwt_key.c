/* Keys are JWKs as libjose wants them. jansson's reference counts are atomic and a key never changes, so threads share
 * it. */
#include <jose/jwk.h>
#include <stdlib.h>

#include "base/text.h"
#include "codec/json/json.h"
#include "codec/jwt/jwt_priv.h"
#include "lpx_reasons.h"

/* libjose would print its errors to stderr. */
static void error_drop(void *misc, const char *file, int line, uint64_t err, const char *format, va_list args)
{
    (void)misc;
    (void)file;
    (void)line;
    (void)err;
    (void)format;
    (void)args;
}

jose_cfg_t *jwt_cfg_new(void)
{
    jose_cfg_t *cfg = jose_cfg();
    if (cfg != NULL) {
        jose_cfg_set_err_func(cfg, error_drop, NULL);
    }
    return cfg;
}

void jwt_cfg_free(jose_cfg_t *cfg)
{
    if (cfg != NULL) {
        jose_cfg_decref(cfg);
    }
}

/* jansson gives its texts as const; they live on the heap and are wiped in place. */
static void text_wipe(const char *text)
{
    union {
        const char *in;
        char *out;
    } view = {.in = text};
    if (text != NULL) {
        lpx_wipe(view.out, strlen(text));
    }
}

static void jwk_free(json_t *jwk)
{
    if (jwk != NULL) {
        text_wipe(json_string_value(json_object_get(jwk, "d")));
    }
    json_decref(jwk);
}

static bool kid_valid(lpx_str kid)
{
    return kid.len > 0 && kid.len < JWT_KID_BYTES && memchr(kid.ptr, 0, kid.len) == NULL &&
           lpx_utf8_valid(lpx_str_bytes(kid));
}

/* Takes over jwk, also on failure. */
static lpx_err key_make(json_t *jwk, lpx_str kid, jwt_key **out)
{
    jwt_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        jwk_free(jwk);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    memcpy(key->kid, kid.ptr, kid.len);
    key->jwk = jwk;
    *out = key;
    return LPX_SUCCESS;
}

LPX_RESULT jwt_key_new(lpx_str kid, jwt_key **out)
{
    if (!kid_valid(kid)) {
        return lpx_err_of(JWT_BAD_KEY);
    }
    jose_cfg_t *cfg = jwt_cfg_new();
    json_t *jwk = json_pack("{s:s, s:s%}", "alg", "ES256", "kid", kid.ptr, kid.len);
    bool good = cfg != NULL && jwk != NULL && jose_jwk_gen(cfg, jwk);
    jwt_cfg_free(cfg);
    if (!good) {
        jwk_free(jwk);
        return lpx_err_of(JWT_BAD_KEY);
    }
    return key_make(jwk, kid, out);
}

static bool member_is(const json_t *jwk, const char *name, const char *want)
{
    const char *value = json_string_value(json_object_get(jwk, name));
    return value != NULL && strcmp(value, want) == 0;
}

/* A coordinate or secret of P-256: 32 bytes as base64url. */
static bool is_number_256(const json_t *jwk, const char *name)
{
    const char *value = json_string_value(json_object_get(jwk, name));
    uint8_t room[64];
    lpx_str text = lpx_str_of(value);
    bool good = text.len == 43 && lpx_base64_decode(text, (lpx_space){room, sizeof room}) == 32;
    lpx_wipe(room, sizeof room);
    return good;
}

static bool jwk_valid(const json_t *jwk)
{
    const json_t *alg = json_object_get(jwk, "alg");
    return member_is(jwk, "kty", "EC") && member_is(jwk, "crv", "P-256") &&
           (alg == NULL || member_is(jwk, "alg", "ES256")) && is_number_256(jwk, "x") && is_number_256(jwk, "y") &&
           is_number_256(jwk, "d") && kid_valid(lpx_str_of(json_string_value(json_object_get(jwk, "kid"))));
}

/* Does the public part belong to the private part? */
static bool key_works(const jwt_key *key)
{
    lpx_arena arena;
    lpx_str token, payload;
    lpx_arena_init(&arena, 4 * JWT_TOKEN_MAX_BYTES);
    bool good = !lpx_failed(jwt_payload_sign(key, LPX_STR("{}"), &arena, &token)) &&
                !lpx_failed(jwt_payload_verify(key, token, &arena, &payload, NULL));
    lpx_arena_fini(&arena);
    return good;
}

LPX_RESULT jwt_key_import(lpx_str jwk_text, jwt_key **out)
{
    jwt_key *key = NULL;
    json_t *jwk = json_loadb(jwk_text.ptr, jwk_text.len, JSON_REJECT_DUPLICATES, NULL);
    if (jwk == NULL || !jwk_valid(jwk)) {
        jwk_free(jwk);
        return lpx_err_of(JWT_BAD_KEY);
    }
    LPX_TRY(key_make(jwk, lpx_str_of(json_string_value(json_object_get(jwk, "kid"))), &key));
    if (!key_works(key)) {
        jwt_key_free(&key);
        return lpx_err_of(JWT_BAD_KEY);
    }
    *out = key;
    return LPX_SUCCESS;
}

LPX_RESULT jwt_key_export(const jwt_key *key, lpx_arena *arena, lpx_str *out)
{
    char *text = json_dumps(key->jwk, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_bytes copy = lpx_arena_copy(arena, lpx_str_bytes(lpx_str_of(text)));
    lpx_wipe(text, strlen(text));
    free(text);
    if (copy.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = lpx_bytes_str(copy);
    return LPX_SUCCESS;
}

LPX_RESULT jwt_key_public(const jwt_key *key, lpx_buf *out)
{
    json_writer w;
    json_writer_init(&w, out, 0);
    json_write_object(&w);
    json_write_member(&w, "kty", LPX_STR("EC"));
    json_write_member(&w, "crv", LPX_STR("P-256"));
    json_write_member(&w, "x", lpx_str_of(json_string_value(json_object_get(key->jwk, "x"))));
    json_write_member(&w, "y", lpx_str_of(json_string_value(json_object_get(key->jwk, "y"))));
    json_write_member(&w, "kid", jwt_key_id(key));
    json_write_member(&w, "alg", LPX_STR("ES256"));
    json_write_member(&w, "use", LPX_STR("sig"));
    json_write_object_end(&w);
    return lpx_buf_failed(out) ? lpx_err_of(BASE_NO_ROOM) : LPX_SUCCESS;
}

lpx_str jwt_key_id(const jwt_key *key)
{
    return lpx_str_of(key->kid);
}

void jwt_key_free(jwt_key **key)
{
    if (*key == NULL) {
        return;
    }
    jwk_free((*key)->jwk);
    free(*key);
    *key = NULL;
}
