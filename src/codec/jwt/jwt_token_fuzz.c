/* Any text as a token and as claims: a token without our signature is never accepted, and claims that are accepted read
 * back equal from what they are written as. */
#include "base/assert.h"
#include "codec/jwt/jwt_priv.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 1024 * 1024, BUF_BYTES = 1024 * 1024 };

/* A key for this alone. */
static const char jwk[] = "{\"alg\":\"ES256\",\"kid\":\"test-1\",\"kty\":\"EC\",\"crv\":\"P-256\","
                          "\"x\":\"Z3Y0XVgmzASiPzLKeizZU7m4mMf_06reXmGlMGWKRzc\","
                          "\"y\":\"eWEk9K2Yeoyrt2OLVHiG4PaKCiKzNzbR49UfJaYooWg\","
                          "\"d\":\"5jzfYtTTj1ZIAAYTVYj9yXgJSgtP4Y7pt9Zylh-pA-0\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void token_check(const jwt_key *key, lpx_str text)
{
    lpx_arena arena;
    lpx_note note;
    lpx_str kid;
    jwt_claims claims;
    lpx_arena_init(&arena, ARENA_BYTES);
    lpx_err err = jwt_peek_kid(text, &arena, &kid, &note);
    lpx_assert(!lpx_failed(err) || err.code == LPX_UNAUTHENTICATED || err.code == LPX_RESOURCE_EXHAUSTED);
    err = jwt_verify(key, text, &arena, &claims, &note);
    lpx_assert(!lpx_failed(err) || err.code == LPX_UNAUTHENTICATED || err.code == LPX_RESOURCE_EXHAUSTED);
    lpx_arena_fini(&arena);
}

static void claims_check(lpx_str text)
{
    lpx_arena arena;
    lpx_note note;
    jwt_claims claims;
    lpx_buf first, second;
    lpx_arena_init(&arena, ARENA_BYTES);
    lpx_buf_init(&first, BUF_BYTES);
    lpx_buf_init(&second, BUF_BYTES);
    if (!lpx_failed(jwt_claims_read(text, &arena, &claims, &note))) {
        jwt_claims_write(&claims, &first);
        lpx_err err = jwt_claims_read(lpx_bytes_str(lpx_buf_view(&first)), &arena, &claims, &note);
        lpx_assert(!lpx_failed(err) || err.reason == BASE_NO_MEMORY || lpx_buf_failed(&first));
        if (!lpx_failed(err)) {
            jwt_claims_write(&claims, &second);
            lpx_assert(lpx_bytes_equal(lpx_buf_view(&first), lpx_buf_view(&second)));
        }
    }
    lpx_buf_fini(&first);
    lpx_buf_fini(&second);
    lpx_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static jwt_key *key;
    lpx_str text = {(const char *)data, size};
    if (key == NULL) {
        lpx_assert(!lpx_failed(jwt_key_import(lpx_str_of(jwk), &key)));
    }
    token_check(key, text);
    claims_check(text);
    return 0;
}
