/* Identity and access management: registries of networks and tenants, API keys, access tokens and their signing keys,
 * administrators. What a program needs to run it; its rpcs come as a table for the call pipeline. Level 6.
 *
 * Files: iam_*core.c decide (no clock, I/O, SQL, randomness), iam_store*.c hold all SQL, iam_rpc*.c and iam_token.c
 * join both, iam.c owns the object. */
#pragma once
#include "base/time.h"
#include "crypto/x509.h"
#include "io/loop.h"
#include "rpc/authn.h"
#include "rpc/rpc.h"
#include "store/store.h"

typedef struct iam iam;

/** Settings. Texts are copied. */
typedef struct iam_opts {
    const char *issuer;           /* "iss" of tokens, exactly as clients compare it */
    const char *const *audiences; /* own host names, without ports; none: any audience is granted */
    size_t audience_count;        /* 0 to IAM_MAX_AUDIENCES */
    bool allow_private_net_ids;   /* NetIDs 000000 and 000001 */
    uint32_t anonymous_per_hour;  /* key requests without credentials; 0: IAM_ANONYMOUS_PER_HOUR */
    uint32_t anonymous_burst;     /* 0: IAM_ANONYMOUS_BURST */
    const crypto_ca *ca;          /* issues certificates of clients; borrowed for life; NULL: none are issued */
} iam_opts;

/** New object: makes the first signing key when there is none and loads the ring, so that tokens can be issued at once.
 * Blocks: for start-up.
 * @param store  outlives the object
 * @err INVALID_ARGUMENT: IAM_BAD_SETTING; those of the store */
LPX_RESULT iam_new(store *store, const iam_opts *opts, lpx_utc now, iam **out, lpx_note *note);
/** Free a stopped object; clears the pointer; accepts NULL. No token request may be under way (see iam_stop). */
void iam_free(iam **iam);

/** Methods of NetworkRegistry, TenantRegistry and NetworkAPIKeyVault (v2). The table lives as long as iam. */
size_t iam_methods(iam *iam, const rpc_method **out);

/** Receives each new authentication snapshot, with one reference that is the receiver's. @thread home of iam_start */
typedef void iam_snapshot_fn(void *ctx, rpc_auth_snapshot *snapshot);

/** Load an authentication snapshot: approved keys, client certificates, administrators, signing keys, issuer,
 * audiences. Also takes what it read into the own ring of signing keys. @thread any; blocks as its transaction does */
LPX_RESULT iam_load_snapshot(iam *iam, store_tx *tx, rpc_auth_snapshot **out);

/** Load a snapshot now, on the calling thread: for start-up and tests. */
LPX_RESULT iam_snapshot_now(iam *iam, rpc_auth_snapshot **out);

/** Follow the store: a new snapshot for each change of keys and certificates (one at once, too), and rotation of the
 * signing keys.
 * @param home  loop of timers and callbacks @thread home */
LPX_RESULT iam_start(iam *iam, io_loop *home, iam_snapshot_fn *snapshot, void *ctx);
/** Stop: snapshot never runs afterwards, and token requests are refused. Loads under way are waited for by turning
 * home, so call it on home's thread while no turn of it is running. Token requests under way are answered when the
 * store has been closed and their loop was turned once more: then iam_free. Harmless when not started. @thread home */
void iam_stop(iam *iam);

/** Text of /.well-known/jwks.json; valid as long as iam. @thread any */
lpx_str iam_jwks(const iam *iam);

/** A token of this exchange itself ("c" true, subject: the host of the issuer), for a peer that verifies it by
 * /.well-known/jwks.json: a Join Server that the router asks. As long-lived as any.
 * @param audience the peer's host
 * @param token    in the arena: a secret, so give an arena that is wiped
 * @err INTERNAL: IAM_NO_SIGNING_KEY, CRYPTO_NO_RANDOM, JWT_…; RESOURCE_EXHAUSTED: BASE_NO_MEMORY @thread any */
LPX_RESULT iam_cluster_token(const iam *iam, lpx_str audience, lpx_utc now, lpx_arena *arena, lpx_str *token,
                             lpx_utc *expires);

/** A POST to /token as it came. Absent headers are empty. Copied. */
typedef struct iam_token_form {
    lpx_str content_type;
    lpx_str authorization;
    lpx_bytes body;
} iam_token_form;

/** What goes back: JSON with Cache-Control: no-store; www_authenticate is NULL or the value of that header. Borrowed
 * for the call of done, then wiped. */
typedef struct iam_token_answer {
    unsigned status;
    const char *www_authenticate;
    lpx_str json;
} iam_token_answer;

typedef void iam_token_fn(void *ctx, const iam_token_answer *answer);

/** Answer a token request (OAuth 2.0 client credentials, RFC 6749 section 4.4).
 * @param home  loop where done runs, once; never before this returns
 * @err RESOURCE_EXHAUSTED: IAM_TOKEN_BUSY (too many, or stopped); then done never runs (answer with status 503)
 * @thread home's */
LPX_RESULT iam_token_request(iam *iam, io_loop *home, const iam_token_form *form, iam_token_fn *done, void *ctx);

/** Write when a client certificate was last used. Does not wait, and may be lost. @param loop the caller's */
void iam_cert_used(iam *iam, io_loop *loop, const char *fingerprint, lpx_utc now);

enum { IAM_PASSWORD_BYTES = 25 }; /* 24 characters and NUL */

/** Make the administrator "admin" with a random password when there is no administrator.
 * @param password  gets the new password, to be printed once and wiped; empty when nothing was made
 * @err those of the store; INTERNAL: CRYPTO_NO_RANDOM */
LPX_RESULT iam_admin_ensure(store *store, lpx_utc now, char password[static IAM_PASSWORD_BYTES]);
/** Set an administrator's password, making the account when it is new.
 * @err INVALID_ARGUMENT: IAM_BAD_ADMIN, CRYPTO_BAD_PASSWORD */
LPX_RESULT iam_admin_set(store_tx *tx, lpx_str username, lpx_str password, lpx_utc now, lpx_note *note);
/** Is it the password of this administrator? Argon2id: tens of milliseconds. An unknown name takes as long. */
bool iam_admin_verify(store_tx *tx, lpx_str username, lpx_str password);
