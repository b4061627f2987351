/* HTTP/2 session without I/O, server or client: bytes in, bytes out, events up. The only user of nghttp2. It checks
 * what peers send (message rules of RFC 9113 section 8, rates of cheap frames), queues what streams send and shares the
 * connection between them a frame at a time. Level 3. Thread: owner loop.
 *
 * Events run inside h2_session_recv, h2_session_fill and h2_session_free; they may call everything here but these
 * three. */
#pragma once
#include "base/buf.h"
#include "base/time.h"

typedef struct h2_session h2_session;
typedef struct h2_stream h2_stream;
typedef struct h2_pool h2_pool;

typedef enum h2_role { H2_SERVER, H2_CLIENT } h2_role;

/** HTTP/2 error codes that are used here (RFC 9113 section 7). */
enum h2_error_code {
    H2_NO_ERROR = 0x0,
    H2_PROTOCOL_ERROR = 0x1,
    H2_INTERNAL_ERROR = 0x2,
    H2_REFUSED_STREAM = 0x7,
    H2_CANCEL = 0x8,
    H2_ENHANCE_YOUR_CALM = 0xb,
    H2_INADEQUATE_SECURITY = 0xc,
};

/** One header field; names in lower case, pseudo-fields first. */
typedef struct h2_field {
    lpx_str name, value;
} h2_field;

/** Initialiser of a field from two literals. */
#define H2_FIELD(name_literal, value_literal)          \
    {                                                  \
        {(name_literal), sizeof(name_literal) - 1},    \
        {                                              \
            (value_literal), sizeof(value_literal) - 1 \
        }                                              \
    }

/** What happens. */
typedef struct h2_events {
    void (*on_head)(void *ctx, h2_stream *stream);               /* request head, or final response head */
    void (*on_data)(void *ctx, h2_stream *stream, lpx_bytes in); /* borrowed; give the room back by h2_stream_consume */
    void (*on_end)(void *ctx, h2_stream *stream);                /* the peer sends no more; a tail can be read now */
    void (*on_writable)(void *ctx, h2_stream *stream);           /* after a send answered false: below the low mark */
    void (*on_close)(void *ctx, h2_stream *stream, uint32_t code); /* once for each stream that was shown or opened
                                                            here; code H2_NO_ERROR: both sides ended in order */
    void (*on_goaway)(void *ctx, uint32_t code, lpx_str text);     /* client: no new streams on this connection */
    void (*on_pong)(void *ctx, uint64_t payload);                  /* answer to h2_session_ping */
    void (*want_write)(void *ctx);                                 /* h2_session_fill has something to give */
} h2_events;

/** 0 takes the default of h2_limits.h. */
typedef struct h2_opts {
    h2_role role;
    uint32_t max_streams;         /* that the peer may open; servers */
    int64_t min_ping_interval_us; /* servers: earlier pings are counted against the peer; 0: not looked at */
    h2_pool *pool;                /* of the same loop; borrowed for the session's life */
} h2_opts;

/** Streams for reuse, shared by the sessions of a loop. Each stream carries user_bytes for its user, zeroed when the
 * stream is made for the first time and then left as its last user left it.
 * @param user_fini called with that room before a stream's memory is freed; may be NULL
 * @return NULL when out of memory */
h2_pool *h2_pool_new(size_t user_bytes, void (*user_fini)(void *user));
/** Bound what all sessions of the pool may have unsent; one send beyond it fails. */
void h2_pool_limit_unsent(h2_pool *pool, size_t max_bytes);
/** Free; all streams must have been released; clears the pointer; accepts NULL. */
void h2_pool_free(h2_pool **pool);

/** New session; its SETTINGS wait to be filled out.
 * @return NULL when out of memory */
h2_session *h2_session_new(const h2_opts *opts, const h2_events *events, void *ctx);
/** Free: open streams get on_close; clears the pointer; accepts NULL. Streams that are held live on without it. */
void h2_session_free(h2_session **session);
/** Take bytes from the peer. After a violation the rest is ignored and a GOAWAY waits to be filled out.
 * @param now for the rates; never goes back */
void h2_session_recv(h2_session *session, lpx_bytes in, lpx_mono now);
/** Append bytes for the peer to out, until out holds about max_bytes or there is nothing more.
 * @return true when more waits that can be sent at once */
bool h2_session_fill(h2_session *session, lpx_buf *out, size_t max_bytes);
/** Nothing is left to read or to write: close the connection. */
bool h2_session_done(const h2_session *session);
/** Why the session ends; success while it does not or ended in order. The note is written on failure. */
lpx_err h2_session_why(const h2_session *session, lpx_note *note);
/** Has the peer sent its SETTINGS? */
bool h2_session_ready(const h2_session *session);
/** Streams that are open. */
size_t h2_session_streams(const h2_session *session);
/** Ask for an answer; on_pong tells. */
void h2_session_ping(h2_session *session, uint64_t payload);
/** Server: tell the peer to open no more streams here; those on their way are still taken. */
void h2_session_drain_notice(h2_session *session);
/** Take no further streams: GOAWAY with the last one that was taken. The session is done when all have ended. */
void h2_session_drain(h2_session *session);
/** End at once with a GOAWAY; nothing else is sent or read after it.
 * @param text for people, ASCII; copied */
void h2_session_abort(h2_session *session, uint32_t code, lpx_str text);

/** Client: open a stream with a request head.
 * @param fields copied
 * @param end    nothing follows
 * @return NULL when no stream can be opened any more (GOAWAY, ids used up, memory); else on_close will come */
h2_stream *h2_session_request(h2_session *session, const h2_field *fields, size_t count, bool end);
/** Server: send the response head. Once per stream.
 * @param fields names are literals; values are copied
 * @param end    nothing follows */
void h2_stream_answer(h2_stream *stream, const h2_field *fields, size_t count, bool end);
/** What became of bytes to send. */
typedef enum h2_sent { H2_SEND_OK, H2_SEND_FULL, H2_SEND_FAILED } h2_sent;
/** Queue prefix and body, copied, as one run of bytes. After the head.
 * @return H2_SEND_FULL: taken, but wait for on_writable; H2_SEND_FAILED: not taken, too much waits or no memory */
h2_sent h2_stream_send(h2_stream *stream, lpx_bytes prefix, lpx_bytes body);
/** End this side after what is queued, with a tail when count is not 0. A server that ends before its client stops the
 * client by RST_STREAM NO_ERROR.
 * @param fields names are literals; values are copied; at most 4 */
void h2_stream_finish(h2_stream *stream, const h2_field *fields, size_t count);
/** Give the stream up; what is queued is dropped; on_close follows with this code. When both sides have ended already
 * nothing is done: on_close is on its way. */
void h2_stream_reset(h2_stream *stream, uint32_t code);
/** Received bytes were taken: let the peer send as many more. */
void h2_stream_consume(h2_stream *stream, size_t bytes);
/** Bytes queued and not yet filled out. */
size_t h2_stream_unsent(const h2_stream *stream);
/** Is it open, so that sending makes sense? False after on_close. */
bool h2_stream_open(const h2_stream *stream);
/** During on_data: are these bytes the last ones, so that on_end follows and nothing can go wrong before? False may
 * also mean that it is not known yet. */
bool h2_stream_ending(const h2_stream *stream);
/** Has the peer ended its side? */
bool h2_stream_peer_ended(const h2_stream *stream);
/** Did the head have more bytes or fields than are allowed, or do all heads of the connection together? Then only the
 * first ones are there. */
bool h2_stream_head_cut(const h2_stream *stream);

/** Fields of the head; valid until the stream is released. */
const h2_field *h2_stream_head(const h2_stream *stream, size_t *count);
/** Fields of the tail (trailers); none before on_end. */
const h2_field *h2_stream_tail(const h2_stream *stream, size_t *count);
/** First value of a field of the head; empty when absent. */
lpx_str h2_stream_header(const h2_stream *stream, lpx_str name);
/** Number of the head: the same number is the same fields at the same place in memory. Never used again for others of
 * the pool; 0: none was given. */
uint64_t h2_stream_head_number(const h2_stream *stream);
/** Number of the authorization value: the same number is the same value; never 0 when there is one. */
uint64_t h2_stream_credential(const h2_stream *stream);
/** The room that the pool gives with each stream. */
void *h2_stream_user(h2_stream *stream);
/** The stream whose room it is. */
h2_stream *h2_stream_of_user(void *user);
/** Keep the stream's memory beyond on_close. */
void h2_stream_hold(h2_stream *stream);
/** Give one hold back; the memory goes to the pool when the stream is closed and nobody holds it. */
void h2_stream_release(h2_stream *stream);
