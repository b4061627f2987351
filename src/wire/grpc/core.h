/* The server without sockets: connections are bytes in and out. server.c joins it to the loop, tests to memory.
 * For this folder alone. Level 4. */
#pragma once
#include "io/limits.h"
#include "io/tls.h"
#include "wire/grpc/env.h"
#include "wire/grpc/frame.h"
#include "wire/grpc/server.h"
#include "wire/grpc/text.h"
#include "wire/http/h2.h"

/** All that the calls of a server share. */
typedef struct grpc_core {
    grpc_env env;
    grpc_server_opts opts; /* no zeros */
    const grpc_server_events *events;
    void *ctx;
    h2_pool *pool;
    lpx_list conns;
    grpc_server_stats stats;
    io_loop *loop; /* for the calls that ask */
    void (*closed)(struct grpc_core *core);
} grpc_core;

/** What a call's head asks for, once it is found to be in order. */
typedef struct grpc_asked {
    uint64_t number; /* of the head (h2_stream_head_number); 0: none */
    lpx_str path;
    int64_t timeout_us; /* INT64_MAX: none */
    grpc_encoding encoding;
    bool may_gzip;
} grpc_asked;

/** One connection. Its owner embeds it; the memory must live until free_conn. */
typedef struct grpc_sconn {
    grpc_core *core;
    h2_session *h2; /* NULL once lost */
    lpx_list node;
    grpc_due_node due;
    size_t calls; /* that hold this struct */
    size_t held_bytes;
    int64_t heard_us, idle_since_us, opened_us, pinged_us, drained_us; /* 0: not (yet) */
    grpc_asked last; /* of the last head, for those that are the same */
    bool gone;
    unsigned tag;                         /* of the listener */
    char peer[IO_PEER_BYTES];             /* set when the connection is open, as what follows */
    char cert[IO_CERT_FINGERPRINT_BYTES]; /* fingerprint; empty without one */
    void (*want_write)(struct grpc_sconn *conn);
    void (*shut)(struct grpc_sconn *conn);      /* close at once; grpc_sconn_lost follows from the owner */
    void (*free_conn)(struct grpc_sconn *conn); /* nobody uses it any more */
} grpc_sconn;

/** One call; lives in the room that the pool gives with each stream. */
struct grpc_call {
    h2_stream *stream;
    grpc_sconn *conn;
    grpc_core *core;
    grpc_due_node due;
    lpx_mono deadline;
    grpc_frames frames;
    grpc_later later;
    lpx_arena arena;
    void *user;
    lpx_str path;
    size_t unconsumed;
    size_t held_counted;
    grpc_encoding encoding; /* of what comes */
    bool may_gzip;          /* what goes may be compressed */
    bool head_sent;
    bool paused;
    bool delivering;
    bool half_closed; /* told */
    bool ended;       /* by this layer or by finish: nothing more is told or sent */
    bool finished;    /* by grpc_call_finish */
    lpx_code cancel_code;
};

/** Begin a server. @err GRPC_NO_MEMORY */
LPX_RESULT grpc_core_init(grpc_core *core, io_loop *loop, const grpc_server_opts *opts,
                          const grpc_server_events *events, void *ctx);
/** End it; no connection and no call may be left. */
void grpc_core_fini(grpc_core *core);
/** No connection is left, but calls that their user has not given back yet may be: end it with the last of them.
 * @param closed the core has ended; its memory is the owner's again */
void grpc_core_close(grpc_core *core, void (*closed)(grpc_core *core));
/** A call was given back: was it the last one of a closed core? */
void grpc_core_call_gone(grpc_core *core);

/** Begin a connection: its own fields (peer, functions) are set by the owner before.
 * @return false when out of memory */
bool grpc_sconn_init(grpc_sconn *conn, grpc_core *core);
/** Bytes came. */
void grpc_sconn_recv(grpc_sconn *conn, lpx_bytes in);
/** Give bytes. @return true when there are more */
bool grpc_sconn_fill(grpc_sconn *conn, lpx_buf *out, size_t max_bytes);
/** All was said: close the connection. */
bool grpc_sconn_done(const grpc_sconn *conn);
/** The connection is gone: its calls are told; free_conn comes when the last one is given back. */
void grpc_sconn_lost(grpc_sconn *conn);
/** Let calls end, take no new ones. */
void grpc_sconn_drain(grpc_sconn *conn);

/** A stream's head came (events of h2). */
void grpc_call_begin(grpc_sconn *conn, h2_stream *stream);
/** Bytes of a call came. */
void grpc_call_data(grpc_call *call, lpx_bytes in);
/** The client ended its side. */
void grpc_call_client_ended(grpc_call *call);
/** The stream is closed. */
void grpc_call_closed(grpc_call *call);
/** Room to send again. */
void grpc_call_writable(grpc_call *call);
