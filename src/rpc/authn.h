/* Authentication: from an authorization header and a client certificate to a principal. What it knows about keys,
 * certificates and administrators comes in one
 * immutable snapshot that IAM builds and every loop holds a reference of. Level 5. */
#pragma once
#include "base/err.h"
#include "codec/jwt/jwt.h"
#include "rpc/principal.h"

/** One approved API key; keys that are not in the snapshot do not exist, wait, or were rejected. */
typedef struct rpc_auth_key {
    char key_id[RPC_KEY_ID_BYTES];
    bool is_cluster;
    uint32_t net_id;               /* network keys */
    char tenant_id[RPC_ID_BYTES];  /* network keys; empty: the whole network */
    char cluster_id[RPC_ID_BYTES]; /* cluster keys, and network keys bound to a cluster */
    uint64_t rights;               /* bit N: Right number N */
} rpc_auth_key;

/** One client certificate that was issued or registered here; revoked ones too, so that they are refused by name. */
typedef struct rpc_auth_cert {
    char fingerprint[RPC_FINGERPRINT_BYTES];
    bool revoked;
    bool is_cluster;
    uint32_t net_id;               /* not of a cluster */
    char tenant_id[RPC_ID_BYTES];  /* the same; empty: the whole network */
    char cluster_id[RPC_ID_BYTES]; /* of a cluster, and of others that are bound to one */
    uint64_t rights;
    lpx_utc not_before, not_after;
    lpx_utc authenticated_at; /* last use as stored; 0: never */
} rpc_auth_cert;

/** One administrator. */
typedef struct rpc_auth_admin {
    char username[RPC_ID_BYTES];
    char password_phc[160]; /* Argon2id */
} rpc_auth_admin;

/** What a snapshot is made of; everything is copied, but for the signing keys, which the snapshot takes over. */
typedef struct rpc_auth_source {
    const rpc_auth_key *keys;
    size_t key_count;
    const rpc_auth_cert *certs;
    size_t cert_count;
    const rpc_auth_admin *admins;
    size_t admin_count;
    jwt_key **signing_keys; /* all that may still verify a token */
    size_t signing_key_count;
    lpx_str issuer;
    const lpx_str *audiences; /* own names; none: any audience is accepted */
    size_t audience_count;
} rpc_auth_source;

typedef struct rpc_auth_snapshot rpc_auth_snapshot;

/** New snapshot with one reference. Takes the signing keys over in every case (frees them on failure).
 * @return NULL when memory is short */
rpc_auth_snapshot *rpc_auth_snapshot_new(const rpc_auth_source *source);
/** One reference more. @thread any */
rpc_auth_snapshot *rpc_auth_snapshot_ref(rpc_auth_snapshot *snapshot);
/** One reference less; clears the pointer; accepts NULL. @thread any */
void rpc_auth_snapshot_unref(rpc_auth_snapshot **snapshot);
/** The approved key with this id; NULL when there is none. */
const rpc_auth_key *rpc_auth_find_key(const rpc_auth_snapshot *snapshot, lpx_str key_id);

/** The certificate with this fingerprint; NULL when there is none. */
const rpc_auth_cert *rpc_auth_find_cert(const rpc_auth_snapshot *snapshot, const char *fingerprint);

/** Who shows a certificate. That it is the client's own, comes from a trusted CA and is made for clients was verified
 * by the handshake; here it must be known and valid.
 * @param now  wall clock
 * @param out  written on success only
 * @param note names the fingerprint and what to do
 * @err UNAUTHENTICATED: RPC_CERT_UNKNOWN (a newer snapshot may have it), RPC_CERT_REVOKED, RPC_CERT_EXPIRED
 * @cost a binary search */
LPX_RESULT rpc_auth_cert_check(const rpc_auth_snapshot *snapshot, const char *fingerprint, lpx_utc now,
                               rpc_principal *out, lpx_note *note);
/** Both were given: the token says who it is, the certificate must be of the same network (and tenant, when it is of
 * one) or of a cluster too, and the rights are those in both. An administrator stays one.
 * @param who of the token; changed on success only
 * @err PERMISSION_DENIED: RPC_CERT_OTHER */
LPX_RESULT rpc_auth_combine(rpc_principal *who, const rpc_principal *cert, lpx_note *note);
/** Is the time of the last use of a certificate to be written? Answers true once in RPC_CERT_USED_EVERY_S. */
bool rpc_auth_cert_due(const rpc_auth_snapshot *snapshot, const char *fingerprint, lpx_utc now);

enum { RPC_TOKEN_ID_BYTES = 26 }; /* a ULID */

/** Key behind a token: its jti is a ULID, a hyphen and the API key's id; empty when it has no such form. */
lpx_str rpc_token_key_id(lpx_str token_id);

/** Verify a bearer token against the snapshot.
 * @param token compact JWS, without "Bearer "
 * @param now   wall clock
 * @param out   written on success only
 * @err UNAUTHENTICATED: RPC_TOKEN_UNKNOWN_KEY (kid), RPC_KEY_REVOKED, RPC_KEY_NOT_YET (the key is not in the snapshot,
 * and the token is so young that a newer snapshot may have it), and those of jwt_verify and jwt_check
 * @cost one ES256 verification, about 75 us: cache the verdict */
LPX_RESULT rpc_auth_token(const rpc_auth_snapshot *snapshot, lpx_str token, lpx_utc now, lpx_arena *scratch,
                          rpc_principal *out, lpx_note *note);

/** Split "Basic base64(user:password)".
 * @param scratch a wiped arena: user and password point into it
 * @err UNAUTHENTICATED: RPC_BASIC_MALFORMED */
LPX_RESULT rpc_auth_split_basic(lpx_str header, lpx_arena *scratch, lpx_str *user, lpx_str *password);
/** Check an administrator's password: Argon2id, tens of milliseconds: on a worker thread.
 * @return false for an unknown user too, after as much work */
bool rpc_auth_check_admin(const rpc_auth_snapshot *snapshot, lpx_str user, lpx_str password);
