/* Inside of a connection, for the files of this folder only. conn.c moves its states, conn_dial.c finds and connects,
 * conn_tls.c stands between it and OpenSSL. Level 2. */
#pragma once
#include <event2/event_struct.h>

#include "io/address.h"
#include "io/conn.h"
#include "io/loop_priv.h"

struct ssl_st;
typedef struct conn_dial conn_dial;

typedef enum conn_state {
    CONN_DIALLING,  /* name lookup or TCP connect under way */
    CONN_PROXY,     /* accepted, the PROXY header is not whole yet */
    CONN_HANDSHAKE, /* TLS */
    CONN_OPEN,
    CONN_FLUSHING,  /* closed here: out goes first, then on_close */
    CONN_ENDING,    /* closed here: on_close at the turn's end */
    CONN_LINGERING, /* on_close was told; waits for the peer's end, or the kernel would reset what was flushed */
    CONN_GONE,      /* on_close was told; freed at the turn's end */
} conn_state;

struct io_conn {
    io_loop *loop;
    lpx_list node; /* of loop->conns or loop->dead */
    const io_conn_events *events;
    void *ctx;
    conn_state state;
    int fd; /* -1: none */
    struct event readable, writable;
    io_hook hook;
    io_timer timer;  /* limits the present state; none runs while open */
    lpx_buf out;     /* for the socket; has room only while something is in it */
    size_t out_sent; /* bytes at its beginning that the socket has taken */
    size_t lingered; /* bytes thrown away while lingering */
    bool paused;     /* the user wants no bytes */
    bool want_fill;
    bool blocked; /* the socket takes nothing now; writable is armed */
    bool has_events;
    bool said_goodbye; /* close_notify lies in out or is sent */
    conn_dial *dial;   /* only while dialling */
    struct ssl_st *ssl;
    lpx_bytes tls_in;         /* received and not yet taken by ssl; valid during one call */
    lpx_buf tls_rest;         /* received and not taken when the user stopped reading */
    struct conn_proxy *proxy; /* only in CONN_PROXY */
    char peer[IO_PEER_BYTES];
    char fingerprint[IO_CERT_FINGERPRINT_BYTES]; /* of the peer's certificate; empty without one */
};

/** New connection in state; ssl (may be NULL) is the connection's from now on, also on failure.
 * @return NULL when memory is short */
io_conn *io_conn_new(io_loop *loop, struct ssl_st *ssl, conn_state state);
/** Free it without telling anybody; it must not be in use further up the stack. */
void io_conn_discard(io_conn *conn);
/** Arm or disarm reading as the state wants it. */
void io_conn_watch_readable(io_conn *conn);
/** Make its events on the socket and read when the state wants that. @return false when libevent refuses */
bool io_conn_watch(io_conn *conn);
/** The socket is connected: begin the handshake, or open. */
void io_conn_start(io_conn *conn);
/** The handshake is done or not needed. */
void io_conn_opened(io_conn *conn);
/** End it now: socket closed, on_close told if it was not yet. The memory stays until the turn's end. */
void io_conn_end(io_conn *conn, lpx_err why, const lpx_note *note);
/** End it now as lost, with the words of errno. */
void io_conn_lost(io_conn *conn, int error);
/** Is there something in out that the socket has not taken? */
bool io_conn_has_unsent(const io_conn *conn);

/** Wait for the PROXY header; then io_conn_start follows. */
void io_conn_proxy_start(io_conn *conn, io_proxy_gate *gate);
/** Read what is there of the header, and not a byte more. */
void io_conn_proxy_read(io_conn *conn);
/** The header did not come in time. */
void io_conn_proxy_slow(io_conn *conn);
/** Free what waiting for the header holds. */
void io_conn_proxy_free(io_conn *conn);

/** Begin to dial at the turn's end. @return false when memory is short */
bool io_dial_start(io_conn *conn, const io_address *address);
/** First step, from the turn-end hook. */
void io_dial_begin(io_conn *conn);
/** The socket became writable or failed. */
void io_dial_writable(io_conn *conn);
/** The time for the present address is over. */
void io_dial_slow(io_conn *conn);
/** Free what dialling holds. */
void io_dial_free(io_conn *conn);

/** Stand between the connection and its session. @return false when memory is short */
bool io_conn_tls_attach(io_conn *conn);
/** A client's first move; a server waits for bytes. */
void io_conn_tls_begin(io_conn *conn);
/** Hand received bytes to the session, and what it decrypts up to the user. */
void io_conn_tls_feed(io_conn *conn, lpx_bytes in);
/** The user reads again: what lay in tls_rest goes up. */
void io_conn_tls_resume(io_conn *conn);
/** Encrypt plain into out. @return false when OpenSSL fails; the connection must end then */
bool io_conn_tls_seal(io_conn *conn, lpx_bytes plain);
/** Put the end of the TLS stream into out, once. */
void io_conn_tls_goodbye(io_conn *conn);
/** Free the session. */
void io_conn_tls_free(io_conn *conn);
