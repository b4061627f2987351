/* gRPC client over HTTP/2: one channel to one address, connected on demand and again after a loss with growing pauses.
 * Level 4. Thread: owner loop. */
#pragma once
#include "io/conn.h"

typedef struct grpc_client grpc_client;
typedef struct grpc_out grpc_out;

/** One metadata entry; "-bin" values are encoded here. */
typedef struct grpc_meta {
    const char *key;
    lpx_bytes value;
} grpc_meta;

/** How a call ended. Views are borrowed for on_done. */
typedef struct grpc_status {
    lpx_code code;
    lpx_str message;
    lpx_bytes details; /* serialised google.rpc.Status or empty */
} grpc_status;

/** What happens to an outgoing call; on_done comes exactly once and the call is gone after it. */
typedef struct grpc_out_events {
    void (*on_message)(void *ctx, lpx_bytes message); /* may be NULL */
    void (*on_writable)(void *ctx);                   /* after send answered false; may be NULL */
    void (*on_done)(void *ctx, const grpc_status *status);
} grpc_out_events;

typedef struct grpc_client_opts {
    const char *address;        /* "host:port" */
    io_tls *tls;                /* NULL: h2c with prior knowledge; borrowed for the client's life */
    uint32_t max_message_bytes; /* received; 0: 16 MiB */
    int64_t keepalive_us;       /* ping when a call is open and nothing came for so long; 0: 5 min */
    bool gzip;                  /* compress what is sent */
    uint64_t seed;              /* spreads the pauses between connects; 0: taken from the clock and the address */
    const char *user_agent;     /* NULL: "lpx"; borrowed for the client's life */
} grpc_client_opts;

/** New channel; connects with the first call. */
LPX_RESULT grpc_client_new(io_loop *loop, const grpc_client_opts *opts, grpc_client **out, lpx_note *note);
/** Is there a connection that takes new calls? */
bool grpc_client_connected(const grpc_client *client);
/** Free; open calls end with CANCELLED (on_done runs inside). From anywhere, a call's event included. Let the loop take
 * one more turn before it is freed. Clears the pointer; accepts NULL. */
void grpc_client_free(grpc_client **client);
/** Start a call of any kind. While not connected, calls wait up to their timeout (fail fast on a refused connection).
 * @param timeout_us 0: none; sent as grpc-timeout and enforced here
 * @return NULL when out of memory; else on_done will follow, never before this returns */
grpc_out *grpc_client_start(grpc_client *client, const char *path, const grpc_meta *meta, size_t meta_count,
                            int64_t timeout_us, const grpc_out_events *events, void *ctx);
/** Queue one message (copied). @return false when above the high-water mark */
bool grpc_out_send(grpc_out *call, lpx_bytes message);
/** No more messages from here. */
void grpc_out_close_send(grpc_out *call);
/** Give up: on_done with CANCELLED follows on a later turn. */
void grpc_out_cancel(grpc_out *call);
