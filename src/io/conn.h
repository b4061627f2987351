/* Byte-stream connection on one loop, TCP with or without TLS. Reads all that is there, hands it up, and makes one
 * write per loop turn: whoever has something to send calls io_conn_want_write, and at the end of the turn fill() is
 * asked for bytes. Level 2. Thread: owner loop. */
#pragma once
#include "base/buf.h"
#include "io/loop.h"
#include "io/proxy.h"
#include "io/tls.h"

typedef struct io_conn io_conn;
typedef struct io_listener io_listener;

/** What the connection tells its user. All run on the loop, on_open, on_bytes and fill may be NULL; none may free the
 * connection but by io_conn_close, which may be called from any of them. */
typedef struct io_conn_events {
    void (*on_open)(void *ctx);                /* connected, TLS done */
    void (*on_bytes)(void *ctx, lpx_bytes in); /* borrowed for the call */
    void (*fill)(void *ctx, lpx_buf *out);     /* append what there is to send, stop at about 64 KiB */
    void (*on_close)(void *ctx, lpx_err why, const lpx_note *note); /* once; the connection is gone after it returns;
                                                         code OK: the peer ended the stream in order;
                                                         IO_CONN_CLOSED: io_conn_close did */
} io_conn_events;

/** Called for each accepted connection, before its PROXY header and its handshake.
 * Sets *events and *ctx of the new connection; false refuses it. */
typedef bool io_accept_fn(void *listener_ctx, io_conn *conn, const io_conn_events **events, void **ctx);

/** What a listener is made from; tls, gate and ctx are borrowed and must outlive it. */
typedef struct io_listen_opts {
    const char *address;  /* "host:port", IPv6 in brackets; port 0 picks a free one */
    io_tls *tls;          /* NULL: plaintext */
    io_proxy_gate *gate;  /* NULL: clients connect directly; else only those whom it admits, and every connection begins
                             with a PROXY header (before TLS), whose peer becomes the connection's */
    io_accept_fn *accept; /* with listener_ctx ctx */
    void *ctx;
} io_listen_opts;

/** Listen with SO_REUSEPORT and TCP_NODELAY. @param note says the address and why on failure */
LPX_RESULT io_listen(io_loop *loop, const io_listen_opts *opts, io_listener **out, lpx_note *note);
/** The port that it listens on. */
uint16_t io_listener_port(const io_listener *listener);
/** Stop accepting and free; clears the pointer; accepts NULL. Connections live on. */
void io_listener_free(io_listener **listener);

/** Connect to "host:port"; on_open or on_close follows, never before this returns.
 * @param tls  NULL: plaintext; with TLS the host is checked against the certificate and sent as SNI */
LPX_RESULT io_connect(io_loop *loop, const char *address, io_tls *tls, const io_conn_events *events, void *ctx,
                      io_conn **out, lpx_note *note);

/** Ask for fill() at the end of this turn, or when the socket takes bytes again. A fill that added 32 KiB or more is
 * asked again without this, in the same turn while the socket takes bytes, else in a later one. Harmless before on_open
 * (fill then comes after it) and after a close. */
void io_conn_want_write(io_conn *conn);
/** Stop or go on reading (back-pressure). */
void io_conn_set_reading(io_conn *conn, bool reading);
/** Close: flushes what fill() gave so far when flush is set (for at most 5 s), then on_close with IO_CONN_CLOSED, on a
 * later point of this turn or later, never before this returns. on_bytes comes no more; a fill that was asked for
 * before comes once more when flush is set. Closing again without flush cuts the flush short. */
void io_conn_close(io_conn *conn, bool flush);
/** Bytes handed over by fill() that the socket has not taken yet. */
size_t io_conn_unsent(const io_conn *conn);
/** Peer's "address:port", from on_open on that of the PROXY header if there was one; valid while the connection lives.
 */
const char *io_conn_peer(const io_conn *conn);
/** ALPN protocol agreed on; empty without TLS or agreement. */
lpx_str io_conn_alpn(const io_conn *conn);
/** Certificate that the peer showed, from on_open on. @return false without one */
bool io_conn_peer_cert(const io_conn *conn, io_peer_cert *out);
/** Fingerprint of that certificate, computed once for a connection; empty without one. Valid while it lives. */
const char *io_conn_peer_fingerprint(const io_conn *conn);
/** Its loop. */
io_loop *io_conn_loop(const io_conn *conn);
