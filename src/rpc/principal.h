/* Who calls: the outcome of authentication. Level 5; plain data. */
#pragma once
#include "base/bytes.h"
#include "base/time.h"

typedef enum rpc_subject {
    RPC_ANONYMOUS = 1 << 0, /* no credentials */
    RPC_ADMIN = 1 << 1,     /* Basic, administrator */
    RPC_CLUSTER = 1 << 2,   /* cluster token */
    RPC_NETWORK = 1 << 3,   /* token of a whole NetID, covers its tenants */
    RPC_TENANT = 1 << 4,    /* token of one tenant */
} rpc_subject;

enum { RPC_ID_BYTES = 64, RPC_KEY_ID_BYTES = 24 };

/** A caller. Text is NUL-ended. */
typedef struct rpc_principal {
    rpc_subject subject;
    uint32_t net_id;               /* RPC_NETWORK, RPC_TENANT */
    char tenant_id[RPC_ID_BYTES];  /* RPC_TENANT */
    char cluster_id[RPC_ID_BYTES]; /* a key bound to a cluster; empty: any */
    uint64_t rights;               /* bit N: Right number N; an administrator has all */
    char key_id[RPC_KEY_ID_BYTES]; /* API key behind the token; empty for anonymous and administrator */
    lpx_utc expires_at;            /* of the token */
} rpc_principal;
