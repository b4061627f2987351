/* Tokens of the exchange itself, for peers that know its signing keys. */
#include "codec/jwt/jwt.h"
#include "crypto/random.h"
#include "iam/iam_priv.h"
#include "iam/iam_token_core.h"
#include "lpx_reasons.h"
#include "wire/http/fetch.h"

lpx_err iam_cluster_token(const iam *self, lpx_str audience, lpx_utc now, lpx_arena *arena, lpx_str *token,
                          lpx_utc *expires)
{
    char host[FETCH_HOST_BYTES], token_id[IAM_ULID_BYTES];
    uint8_t random[IAM_ULID_RANDOM_BYTES];
    const jwt_key *signer = iam_ring_signer(self, now);
    jwt_claims *claims = lpx_arena_get(arena, sizeof *claims);
    if (signer == NULL) {
        return lpx_err_of(IAM_NO_SIGNING_KEY);
    }
    if (claims == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(crypto_random((lpx_space){random, sizeof random}));
    iam_ulid(now, random, token_id);
    *claims = (jwt_claims){
        .issuer = lpx_str_of(self->issuer),
        .subject = lpx_str_of(fetch_url_host(self->issuer, host) ? host : self->issuer),
        .token_id = lpx_str_of(token_id),
        .audiences = {audience},
        .audience_count = 1,
        .issued_at = now,
        .not_before = now,
        .expires_at = {now.us + IAM_TOKEN_S * INT64_C(1000000)},
        .cluster = true,
    };
    LPX_TRY(jwt_sign(signer, claims, arena, token));
    *expires = claims->expires_at;
    return LPX_SUCCESS;
}
