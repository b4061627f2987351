/* What keys and tokens share. For this folder only. Level 1. */
#pragma once
#include <jansson.h>
#include <jose/cfg.h>

#include "codec/jwt/jwt.h"

struct jwt_key {
    json_t *jwk;
    char kid[JWT_KID_BYTES];
};

/** libjose's settings for one call: nothing is printed. NULL when the heap is exhausted. */
jose_cfg_t *jwt_cfg_new(void);
/** Free them; accepts NULL. */
void jwt_cfg_free(jose_cfg_t *cfg);

/** Sign a payload as compact JWS. @err INTERNAL: JWT_BAD_KEY, JWT_BAD_CLAIMS (too long) */
LPX_RESULT jwt_payload_sign(const jwt_key *key, lpx_str payload, lpx_arena *arena, lpx_str *out);
/** Verify a compact JWS and give its payload. @err UNAUTHENTICATED: JWT_MALFORMED, JWT_BAD_SIGNATURE */
LPX_RESULT jwt_payload_verify(const jwt_key *key, lpx_str token, lpx_arena *arena, lpx_str *out, lpx_note *note);

/** Append claims as JSON. */
void jwt_claims_write(const jwt_claims *claims, lpx_buf *out);
/** Read them. @err UNAUTHENTICATED: JWT_MALFORMED; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT jwt_claims_read(lpx_str json, lpx_arena *arena, jwt_claims *out, lpx_note *note);
