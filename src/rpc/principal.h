/* Who calls: the outcome of authentication. Level 5; plain data. */
#pragma once
#include "base/bytes.h"
#include "base/time.h"

typedef enum rpc_subject {
    RPC_ANONYMOUS = 1 << 0, /* no credentials */
    RPC_ADMIN = 1 << 1,     /* Basic, administrator */
    RPC_CLUSTER = 1 << 2,   /* token or certificate of a cluster */
    RPC_NETWORK = 1 << 3,   /* of a whole NetID, covers its tenants */
    RPC_TENANT = 1 << 4,    /* of one tenant */
} rpc_subject;

enum { RPC_ID_BYTES = 64, RPC_KEY_ID_BYTES = 24, RPC_FINGERPRINT_BYTES = 65 };

/** A caller. Text is NUL-ended. */
typedef struct rpc_principal {
    rpc_subject subject;
    uint32_t net_id;                  /* RPC_NETWORK, RPC_TENANT */
    char tenant_id[RPC_ID_BYTES];     /* RPC_TENANT */
    char cluster_id[RPC_ID_BYTES];    /* a key bound to a cluster; empty: any */
    uint64_t rights;                  /* bit N: Right number N; an administrator has all */
    char key_id[RPC_KEY_ID_BYTES];    /* API key behind the token; empty without a token */
    char cert[RPC_FINGERPRINT_BYTES]; /* client certificate that was shown; empty without one */
    lpx_utc expires_at;               /* of token and certificate, the earlier one */
} rpc_principal;
