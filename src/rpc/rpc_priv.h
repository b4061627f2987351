/* Private to rpc: a call on its way. */
#pragma once
#include "rpc/authz.h"
#include "rpc/limits.h"
#include "rpc/server.h"

/* Where a call stands. */
typedef enum call_state {
    CALL_AUTHENTICATING, /* a password check is under way, or a newer snapshot may know the key */
    CALL_READING,        /* waiting for the request */
    CALL_RUNNING,        /* a transaction is under way, or a loop method has it */
    CALL_STREAMING,
} call_state;

typedef struct method_entry {
    const rpc_method *method;
    const rpc_rule *rule;
} method_entry;

struct rpc_call {
    rpc_server *server;
    grpc_call *grpc;
    const method_entry *entry;
    call_state state;
    bool cancelled; /* the peer left while something is under way */
    bool has_request, half_closed;
    lpx_code cancel_why;
    rpc_principal who;
    lpx_arena arena;
    lpx_bytes raw;
    rpc_txn txn;
    store_job job;
    struct basic_check *check; /* the password check under way */
    lpx_list wait_node;        /* in rpc_server.waiting: for a snapshot that knows the key */
    lpx_mono wait_until;
    const rpc_stream_events *events;
    void *events_ctx;
    lpx_list stream_node;
};

/* A token's verdict, found again by the token's SHA-256. */
typedef struct token_slot {
    uint8_t hash[32];
    bool used;
    rpc_principal who;
} token_slot;

typedef struct basic_slot {
    uint8_t hash[32];
    lpx_mono until;
} basic_slot;

struct rpc_server {
    io_loop *loop;
    store *store;
    io_workers *password_workers;
    grpc_server *grpc;
    method_entry *methods; /* sorted by path */
    size_t method_count;
    rpc_auth_snapshot *auth;
    token_slot *tokens; /* RPC_TOKEN_CACHE_SLOTS, made on first use */
    basic_slot basics[RPC_BASIC_CACHE_SLOTS];
    size_t next_basic;
    lpx_list streams;
    lpx_list waiting;
    io_timer wait_timer;
    bool stopping;
    uint64_t counts[17];
};

/* How authentication of a call went. */
typedef enum auth_outcome { AUTH_DONE, AUTH_PENDING, AUTH_REFUSED } auth_outcome;

/** Authenticate a new call by its metadata: sets call->who, or starts a password check that ends in rpc_auth_ready. */
auth_outcome rpc_auth_begin(rpc_call *call, lpx_err *err, lpx_note *note);
/** The password check of a call ended (rpc.c goes on). */
void rpc_auth_ready(rpc_call *call, lpx_err err, const lpx_note *note);
/** Forget what is under way for a call that is gone. */
void rpc_auth_forget(rpc_call *call);
/** Look again at the calls that wait for a key: a new snapshot is there, or (the timer's) their time may be up. */
void rpc_auth_retry(rpc_server *server);
/** Forget all cached verdicts. */
void rpc_auth_clear(rpc_server *server);
