/* Decisions of the token endpoint: reading the form, who asks for what, claims, answers. Pure. */
#pragma once
#include "base/arena.h"
#include "base/time.h"
#include "codec/jwt/jwt.h"

/** One decoded field of a form. */
typedef struct iam_form_field {
    lpx_str name, value;
} iam_form_field;

/** Decode application/x-www-form-urlencoded text: '+' is a space, %XX a byte; empty pieces are skipped.
 * @param body  at most IAM_FORM_MAX_BYTES
 * @param out   array in the arena
 * @err INVALID_ARGUMENT: IAM_TOKEN_BAD_REQUEST (too long, too many fields, bad escape, no UTF-8, control characters);
 *      RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT iam_form_parse(lpx_bytes body, lpx_arena *arena, iam_form_field **out, size_t *count, lpx_note *note);

/** Decode one escaped text as above. @return false when it is no such text; ptr is NULL when memory is short */
bool iam_form_unescape(lpx_str text, lpx_arena *arena, lpx_str *out);

/** What a client asks for. Views point into the arena or the form. */
typedef struct iam_token_ask {
    lpx_str client_id, client_secret;
    bool basic;         /* credentials came in the Authorization header */
    lpx_str *audiences; /* as asked for, single names */
    size_t audience_count;
} iam_token_ask;

/** Headers and body of a token request. */
typedef struct iam_token_input {
    lpx_str content_type, authorization;
    lpx_bytes body;
} iam_token_input;

/** Read a token request (RFC 6749 sections 2.3.1 and 4.4.2).
 * @param out  written on success only, but for out->basic
 * @err INVALID_ARGUMENT: IAM_TOKEN_BAD_REQUEST, IAM_TOKEN_BAD_GRANT, IAM_TOKEN_BAD_SCOPE;
 *      UNAUTHENTICATED: RPC_BASIC_MALFORMED; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT iam_token_read(const iam_token_input *in, lpx_arena *arena, iam_token_ask *out, lpx_note *note);

/** Which of the audiences asked for are granted: those of own (compared without regard to case, granted as they stand
 * in own, each once), or all when own is empty.
 * @param out   room for JWT_MAX_AUDIENCES; more are left out
 * @err INVALID_ARGUMENT: IAM_TOKEN_BAD_AUDIENCE, when none is left */
LPX_RESULT iam_token_grant(const iam_token_ask *ask, const lpx_str *own, size_t own_count, lpx_str *out, size_t *count,
                           lpx_note *note);

/** What the store knows about the key of a client. */
typedef struct iam_client_key {
    bool found;
    bool is_cluster;
    int state; /* APIKeyState */
    uint8_t secret_hash[32];
    lpx_str key_id, tenant_id, cluster_id;
    uint32_t net_id;
    uint64_t rights;
    bool used; /* authenticated_at is set */
    lpx_utc authenticated_at;
} iam_client_key;

/** May this client have a token? Takes the same time for an unknown key and a wrong secret.
 * @param hash  SHA-256 of the secret that came
 * @err UNAUTHENTICATED: IAM_CLIENT_REFUSED, and with the right secret IAM_CLIENT_WAITING, IAM_CLIENT_REJECTED */
LPX_RESULT iam_client_check(const iam_client_key *key, const uint8_t hash[static 32]);

/** Is "last used" of the key to be written? At most once in IAM_AUTHENTICATED_EVERY_S. */
bool iam_client_is_stale(const iam_client_key *key, lpx_utc now);

enum { IAM_ULID_BYTES = 27, IAM_ULID_RANDOM_BYTES = 10 };

/** ULID text: 48 bits of milliseconds and 80 random bits in Crockford's base32, NUL-ended. */
void iam_ulid(lpx_utc time, const uint8_t random[static IAM_ULID_RANDOM_BYTES], char out[static IAM_ULID_BYTES]);

/** What a token is made from. */
typedef struct iam_token_grant_in {
    const iam_client_key *key;
    const lpx_str *audiences;
    size_t audience_count;
    lpx_str issuer;
    lpx_utc now;
    const uint8_t *random; /* IAM_ULID_RANDOM_BYTES */
} iam_token_grant_in;

/** Claims of a token: lifetime, networks or cluster, rights, an id that names the key (ULID, hyphen, key id).
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT iam_token_claims(const iam_token_grant_in *in, lpx_arena *arena, jwt_claims *out);

/** JSON of a granted token; empty when memory is short. */
lpx_str iam_token_json(lpx_str token, lpx_arena *arena);

/** HTTP status of a failure. */
unsigned iam_token_status(lpx_err err);
/** JSON of a failure {error, error_description} (RFC 6749 section 5.2); empty when memory is short.
 * @param note  its text is used when it is not empty */
lpx_str iam_token_error_json(lpx_err err, const lpx_note *note, lpx_arena *arena);
