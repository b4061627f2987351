/* Private to rpc: a call on its way. */
#pragma once
#include <stdatomic.h>

#include "base/assert.h"
#include "rpc/authz.h"
#include "rpc/limits.h"
#include "rpc/server.h"

/* Where a call stands. */
typedef enum call_state {
    CALL_AUTHENTICATING, /* a password check is under way, or a newer snapshot may know the caller */
    CALL_READING,        /* waiting for the request */
    CALL_RUNNING,        /* a transaction is under way, or a loop method has it */
    CALL_STREAMING,
} call_state;

/* What a call came by. Every function gets rpc_call.wire; those of streams may be NULL where there are none. */
typedef struct rpc_front {
    bool serialised; /* requests come as protobuf serialised them */
    lpx_str (*path)(const void *wire);
    lpx_str (*authorization)(const void *wire);
    uint64_t (*credential)(const void *wire); /* number of that value, as grpc_call_credential; NULL: not numbered */
    const char *(*peer)(const void *wire);
    const char *(*peer_cert)(const void *wire); /* fingerprint of the client's certificate; empty without one */
    unsigned (*tag)(const void *wire);          /* of the listener; NULL: 0 */
    /* The request, as protobuf-c has it. *raw is what came, and becomes its serialised form. */
    lpx_err (*decode)(const void *wire, const ProtobufCMessageDescriptor *desc, lpx_bytes *raw, lpx_arena *arena,
                      ProtobufCMessage **out, lpx_note *note);
    /* Take the answer of a unary call; NULL: an empty message. finish follows. */
    lpx_err (*reply)(void *wire, const ProtobufCMessage *reply, lpx_arena *arena);
    /* The same for an answer that is serialised already; desc is its type. */
    lpx_err (*reply_bytes)(void *wire, const ProtobufCMessageDescriptor *desc, lpx_bytes reply, lpx_arena *arena);
    /* End the call and forget it. text is for people, in UTF-8. */
    void (*finish)(void *wire, lpx_err err, const char *text, lpx_arena *arena);
    void (*open)(void *wire);
    bool (*send)(void *wire, lpx_bytes message);
    void (*pause)(void *wire);
    void (*resume)(void *wire);
    /* Not NULL: who calls is all that is asked for. Told once, in place of finish; path is NULL then. */
    void (*identified)(void *wire, lpx_err err, const rpc_principal *who, const lpx_note *note);
} rpc_front;

enum { RPC_CODES = 17, RPC_LATENCY_STEPS = 9 };

/* Counts of one method on one loop; written there, read from any. */
typedef struct rpc_stats {
    atomic_uint_least64_t codes[RPC_CODES];
    atomic_uint_least64_t steps[RPC_LATENCY_STEPS]; /* unary calls by how long they took; the last: longer */
    atomic_uint_least64_t sum_us;
    atomic_uint_least64_t begun, ended;
} rpc_stats;

typedef struct method_entry {
    const rpc_method *method;
    size_t path_len;
    const rpc_rule *rule;
    rpc_stats *stats;
} method_entry;

struct rpc_call {
    rpc_server *server;
    const rpc_front *front;
    void *wire;
    const method_entry *entry; /* NULL: no such method, or none at all */
    call_state state;
    bool cancelled; /* the peer left while something is under way */
    bool has_request, half_closed;
    bool allowed; /* RPC_HOT: by rpc_hot_allow */
    bool held_up; /* the peer does not take what is sent to it: its requests are paused */
    bool *gone;   /* set to true at the end of the call, for whoever runs an event of it */
    lpx_code cancel_why;
    lpx_mono began;
    lpx_bytes raw;
    struct basic_check *check; /* the password check under way */
    lpx_list wait_node;        /* in rpc_server.waiting: for a snapshot that knows the key or certificate */
    lpx_mono wait_until;
    const rpc_stream_events *events;
    void *events_ctx;
    lpx_list stream_node;
    rpc_call *next_spare;
    /* What follows is not cleared for the call's next life. */
    lpx_arena arena;
    rpc_principal who; /* set by authentication */
    rpc_txn txn;       /* set, as job, before it runs */
    store_job job;
};

/* A token's verdict, found again by the token's SHA-256. */
typedef struct token_slot {
    uint8_t hash[32];
    uint64_t serial; /* of the verdict, never given twice; 0: none */
    rpc_principal who;
} token_slot;

/* Which verdict a connection's credential got, found by the credential's number: the token is not even looked at. */
typedef struct seen_slot {
    uint64_t credential, serial;
    uint32_t token; /* where the verdict is, if that slot still has this serial */
} seen_slot;

typedef struct basic_slot {
    uint8_t hash[32];
    lpx_mono until;
} basic_slot;

struct rpc_server {
    io_loop *loop;
    store *store;
    io_workers *password_workers;
    rpc_walks *walks;
    grpc_server *grpc;
    method_entry *methods; /* sorted by path */
    size_t method_count;
    uint16_t *method_index; /* method_index_mask + 1 places by hash of the path: position in methods + 1, 0: none */
    size_t method_index_mask;
    rpc_call *spare; /* calls that ended */
    size_t spare_count;
    rpc_auth_snapshot *auth;
    token_slot *tokens; /* RPC_TOKEN_CACHE_SLOTS, made on first use */
    seen_slot *seen;    /* RPC_SEEN_SLOTS, made on first use */
    uint64_t last_serial;
    basic_slot basics[RPC_BASIC_CACHE_SLOTS];
    size_t next_basic;
    lpx_list streams;
    lpx_list waiting;
    io_timer wait_timer;
    bool stopping;
    io_timer cert_timer; /* the next end of a certificate that a stream stands on */
    int64_t cert_due_us; /* wall clock; INT64_MAX: none */
    void (*cert_used)(void *ctx, io_loop *loop, const char *fingerprint, lpx_utc now);
    void *cert_used_ctx;
    rpc_stats unknown; /* calls of methods that are not there */
};

/* How authentication of a call went. */
typedef enum auth_outcome { AUTH_DONE, AUTH_PENDING, AUTH_REFUSED } auth_outcome;

/** Authenticate a new call by what its front tells: sets call->who, or starts what ends in rpc_auth_ready. */
auth_outcome rpc_auth_begin(rpc_call *call, lpx_err *err, lpx_note *note);
/** It is known who calls, or that it is nobody (rpc.c goes on). */
void rpc_auth_ready(rpc_call *call, lpx_err err, const lpx_note *note);
/** Forget what is under way for a call that is gone. */
void rpc_auth_forget(rpc_call *call);
/** Look again at the calls that wait for a key: a new snapshot is there, or (the timer's) their time may be up. */
void rpc_auth_retry(rpc_server *server);
/** Free the calls that are kept for reuse. */
void rpc_calls_free(rpc_server *server);
/** Forget all cached verdicts. */
void rpc_auth_clear(rpc_server *server);

/* What fronts tell of their calls. A call begins with new and one of the starts, in this order; it ends with
 * rpc_front.finish, from inside any of these but new. */

/** New call. @return NULL when memory is short */
rpc_call *rpc_call_new(rpc_server *server, const rpc_front *front, void *wire);
/** Find out who calls, and go on. */
void rpc_call_start(rpc_call *call);
/** The same, with the whole of a unary request at once; borrowed. */
void rpc_call_start_with(rpc_call *call, lpx_bytes message);
/** One message came; borrowed. The call has a method.
 * @param last no more will come; rpc_call_half_close says so once more unless the call ends before */
void rpc_call_message(rpc_call *call, lpx_bytes message, bool last);
/** No more will come. The call has a method. */
void rpc_call_half_close(rpc_call *call);
/** Room to send again. */
void rpc_call_writable(rpc_call *call);
/** The peer left, or its time is over. */
void rpc_call_cancel(rpc_call *call, lpx_code why);

/** End the streams for which why() answers an error. */
void rpc_cut_streams(rpc_server *server, lpx_err (*why)(const rpc_call *call));
/** End the streams whose credentials are no longer good, and let go of the connections that showed such a certificate.
 */
void rpc_drop_credentials(rpc_server *server);
/** A stream begins: when it stands on a certificate, it ends with that. */
void rpc_watch_cert(const rpc_call *call);
/** Timer of rpc_server.cert_timer. */
void rpc_cert_ends(io_timer *timer);
/** What the gRPC server of an rpc_server tells; its ctx is the rpc_server. */
const grpc_server_events *rpc_grpc_events(void);
/** Count a call that begins. */
void rpc_stats_begin(const rpc_call *call);
/** Count its end. */
void rpc_stats_end(const rpc_call *call, lpx_err err);
/** The method of a path; NULL when there is none. */
const method_entry *rpc_find_method(const rpc_server *server, lpx_str path);
/** Does it serve methods of this service ("grpc.health.v1.Health")? */
bool rpc_serves(const rpc_server *server, lpx_str service);
/** ErrorInfo of an error, serialised; empty when the arena is full. */
lpx_bytes rpc_error_info(lpx_err err, lpx_arena *arena);
