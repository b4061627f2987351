/* The front of the pipeline for one loop: a gRPC server whose calls go to the methods given. Level 5. */
#pragma once
#include "io/worker.h"
#include "rpc/authn.h"
#include "rpc/rpc.h"

/** Tags of gRPC listeners (grpc_listen_opts). */
enum { RPC_LISTENER_NEEDS_TOKEN = 1 /* a client certificate alone is not enough */ };

typedef struct rpc_server_opts {
    io_loop *loop;
    store *store;                 /* for transaction methods; borrowed */
    io_workers *password_workers; /* for administrators' passwords; borrowed */
    rpc_walks *walks;             /* of all loops, for lists; borrowed; NULL: offsets count rows */
    const grpc_server_opts *grpc; /* NULL: defaults */
    /* A certificate was used; at most once in RPC_CERT_USED_EVERY_S for each. NULL: nobody wants to know. */
    void (*cert_used)(void *ctx, io_loop *loop, const char *fingerprint, lpx_utc now);
    void *cert_used_ctx;
} rpc_server_opts;

/** New front without methods, listeners or snapshot (until then every call with credentials is UNAVAILABLE). */
LPX_RESULT rpc_server_new(const rpc_server_opts *opts, rpc_server **out);
/** Add methods; the table is borrowed. A method without a rule in rpc/authz.c is refused.
 * @err INTERNAL: BASE_INTERNAL (note names the method) */
LPX_RESULT rpc_server_add(rpc_server *server, const rpc_method *methods, size_t count, lpx_note *note);
/** Use this snapshot from now on (takes a reference); streams whose key or certificate is no longer good end with
 * UNAUTHENTICATED, and connections with such a certificate are dismissed. */
void rpc_server_set_auth(rpc_server *server, rpc_auth_snapshot *snapshot);
/** The gRPC server underneath, to listen and to drain. */
grpc_server *rpc_server_grpc(rpc_server *server);
/** End all streams with UNAVAILABLE, so that a drain finishes; new calls are refused the same way. */
void rpc_server_stop_streams(rpc_server *server);
/** Free; open calls are dropped; clears the pointer. No transaction may be under way (the store is closed before). */
void rpc_server_free(rpc_server **server);
/** Append metrics of all loops' servers, which have the same methods, for Prometheus: calls by method and code, calls
 * open, how long unary calls took (from the turn in which they began to that of their answer), connections. @thread any
 */
void rpc_metrics(const rpc_server *const *servers, size_t count, lpx_buf *out);
