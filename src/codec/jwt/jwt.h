/* JSON Web Tokens and keys by libjose: ES256 only. Level 1. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"

typedef struct jwt_key jwt_key; /* one P-256 key, private or public; immutable; usable by any thread */

enum { JWT_MAX_NETWORKS = 64, JWT_MAX_AUDIENCES = 16, JWT_TOKEN_MAX_BYTES = 8192, JWT_KID_BYTES = 64 };

/** A network or tenant that a token acts for. */
typedef struct jwt_network {
    uint32_t net_id;
    lpx_str tenant_id; /* empty: the whole network */
} jwt_network;

/** Claims of an access token (the IAM claim is "https://iam.packetbroker.net/claims"). Views are borrowed. */
typedef struct jwt_claims {
    lpx_str issuer, subject, token_id;
    lpx_str audiences[JWT_MAX_AUDIENCES];
    size_t audience_count;
    lpx_utc issued_at, not_before, expires_at;
    bool cluster;
    jwt_network networks[JWT_MAX_NETWORKS];
    size_t network_count;
    uint64_t rights; /* bit N: Right number N */
} jwt_claims;

/** Fresh private key with the given kid (1 to JWT_KID_BYTES - 1 bytes of UTF-8).
 * @err INTERNAL: JWT_BAD_KEY; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT jwt_key_new(lpx_str kid, jwt_key **out);
/** From a JWK with private part, as jwt_key_export gave it; the key is tried once.
 * @err INTERNAL: JWT_BAD_KEY (no P-256 key for ES256 with kid and d, or one that does not sign) */
LPX_RESULT jwt_key_import(lpx_str jwk, jwt_key **out);
/** JWK with private part into the arena: a secret, so give an arena that is wiped. @err RESOURCE_EXHAUSTED:
 * BASE_NO_MEMORY */
LPX_RESULT jwt_key_export(const jwt_key *key, lpx_arena *arena, lpx_str *out);
/** Append the public JWK ({"kty":"EC","crv":"P-256",…,"kid":…,"alg":"ES256","use":"sig"}).
 * @err INTERNAL: BASE_NO_ROOM */
LPX_RESULT jwt_key_public(const jwt_key *key, lpx_buf *out);
/** Its kid. */
lpx_str jwt_key_id(const jwt_key *key);
/** Free (private part wiped); clears the pointer; accepts NULL. */
void jwt_key_free(jwt_key **key);

/** Sign: compact JWS with header {"alg":"ES256","kid":…,"typ":"JWT"}. Times are cut to seconds; empty texts and lists
 * are left out.
 * @err INTERNAL: JWT_BAD_KEY, JWT_BAD_CLAIMS (longer than JWT_TOKEN_MAX_BYTES); RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT jwt_sign(const jwt_key *key, const jwt_claims *claims, lpx_arena *arena, lpx_str *out);
/** The kid of a token's header, unverified, to choose the key.
 * @err UNAUTHENTICATED: JWT_MALFORMED */
LPX_RESULT jwt_peek_kid(lpx_str token, lpx_arena *arena, lpx_str *kid, lpx_note *note);
/** Verify signature and decode the claims; time, issuer and audience are the caller's to check (jwt_check).
 * @err UNAUTHENTICATED: JWT_MALFORMED, JWT_BAD_SIGNATURE */
LPX_RESULT jwt_verify(const jwt_key *key, lpx_str token, lpx_arena *arena, jwt_claims *out, lpx_note *note);
/** Check expiry, not-before, issued-at (60 s leeway), issuer (empty: any) and that one of own audiences is granted
 * (none given: any). @err UNAUTHENTICATED: JWT_EXPIRED, JWT_NOT_YET_VALID, JWT_WRONG_ISSUER, JWT_WRONG_AUDIENCE */
LPX_RESULT jwt_check(const jwt_claims *claims, lpx_utc now, lpx_str issuer, const lpx_str *audiences, size_t count,
                     lpx_note *note);
