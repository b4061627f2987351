/* The object of identity and access management, for the files of this folder. */
#pragma once
#include <stdatomic.h>

#include "iam/iam.h"
#include "iam/iam_keyring_core.h"
#include "iam/limits.h"

/** One state of the ring of signing keys: immutable. States are kept until the object is freed, so that any thread may
 * read the newest one without counting references: there are one or two new ones a month. */
typedef struct iam_ring {
    struct iam_ring *older;
    iam_keyring times;
    jwt_key *keys[IAM_MAX_SIGNING_KEYS]; /* same order as times */
    char *jwks;
} iam_ring;

enum { IAM_METHODS = 64 };

struct iam {
    store *store;
    /* Settings: constant. */
    char *issuer;
    lpx_str audiences[IAM_MAX_AUDIENCES];
    size_t audience_count;
    bool allow_private_net_ids;
    const crypto_ca *ca; /* NULL: none to issue certificates with */
    int64_t bucket_interval_us;
    uint32_t bucket_burst;
    rpc_method methods[IAM_METHODS];
    size_t method_count;
    /* Any thread. */
    _Atomic(iam_ring *) ring;
    _Atomic int64_t bucket; /* key requests without credentials: time at which the bucket is full */
    atomic_uint requests;   /* token requests under way */
    atomic_bool stopped;    /* the store may go at any time: submit no more */
    /* Thread of home. */
    io_loop *home;
    store_watch watch;
    io_timer load_timer, step_timer;
    store_job load_job, step_job;
    bool running, loading, load_again, stepping;
    rpc_auth_snapshot *loaded; /* by the worker, taken by home */
    lpx_utc step_now;
    iam_snapshot_fn *snapshot;
    void *snapshot_ctx;
};

/** Take the methods of the registries into the table. */
void iam_rpc_methods(iam *iam);
/** Take the methods of the API key vaults into the table. */
void iam_rpc_key_methods(iam *iam);
/** Take the methods of the vault of client certificates into the table. */
void iam_rpc_cert_methods(iam *iam);
/** Take the methods of the catalog into the table. */
void iam_rpc_catalog_methods(iam *iam);
/** Take the methods of the registry of Join Servers into the table. */
void iam_rpc_join_methods(iam *iam);
/** Add methods to the table. */
void iam_methods_add(iam *iam, const rpc_method *methods, size_t count);

/** Load the signing keys; when they differ from the newest state they become it. */
LPX_RESULT iam_ring_load(iam *iam, store_tx *tx);
/** Do what the ring needs now: make, follow, drop keys. @param changed whether anything was done */
LPX_RESULT iam_ring_step(store_tx *tx, lpx_utc now, bool *changed);
/** Free all states. */
void iam_ring_free(iam *iam);
/** Key that signs now; NULL when there is none. Lives as long as iam. @thread any */
const jwt_key *iam_ring_signer(const iam *iam, lpx_utc now);
