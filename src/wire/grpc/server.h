/* gRPC server over HTTP/2: framing, metadata, deadlines, compression, flow control, limits. It knows no service: calls
 * go to one handler set (rpc does the rest). One server per loop. Level 4. Thread: owner loop. */
#pragma once
#include "base/arena.h"
#include "io/conn.h"

typedef struct grpc_server grpc_server;
typedef struct grpc_call grpc_call;

/** What happens to a call, told to whoever dispatches. A call is valid from on_call until grpc_call_finish returns;
 * finish must be called exactly once for each call, after a cancellation too (it then only gives the call back). */
typedef struct grpc_server_events {
    void (*on_call)(void *ctx, grpc_call *call);                       /* headers are complete and well-formed */
    void (*on_message)(void *ctx, grpc_call *call, lpx_bytes message); /* one whole message, decompressed; borrowed */
    void (*on_half_close)(void *ctx, grpc_call *call);                 /* the client sends no more */
    void (*on_writable)(void *ctx, grpc_call *call);                   /* after send answered false: room again */
    void (*on_cancel)(void *ctx, grpc_call *call, lpx_code why);       /* once: CANCELLED, DEADLINE_EXCEEDED,
                                               UNAVAILABLE (connection lost), or the code that this layer already
                                               ended the call with (INTERNAL: broken frames; RESOURCE_EXHAUSTED) */
} grpc_server_events;

/** Counts since the server's start, but for the gauges. Those of connections may be read from any thread. */
typedef struct grpc_server_stats {
    _Atomic uint64_t connections; /* now */
    _Atomic uint64_t connections_total, connections_refused_total;
    uint64_t calls_open; /* now */
    uint64_t calls_total;
    uint64_t calls_rejected_total;  /* answered by this layer, never shown to on_call */
    uint64_t calls_cancelled_total; /* ended otherwise than by grpc_call_finish */
    uint64_t floods_total;          /* connections ended for abuse (GOAWAY ENHANCE_YOUR_CALM) */
} grpc_server_stats;

/** Limits with their defaults in wire/grpc/limits.h; 0 takes the default. */
typedef struct grpc_server_opts {
    uint32_t max_streams;         /* concurrent, per connection; at least 4,096 by default */
    uint32_t max_message_bytes;   /* received, after decompression; 16 MiB */
    uint32_t max_connections;     /* per server */
    int64_t idle_timeout_us;      /* no stream for so long: GOAWAY */
    int64_t min_ping_interval_us; /* pings more often than that, beyond a few, end the connection */
    uint32_t call_arena_bytes;    /* cap of a call's arena */
    uint32_t max_calls;           /* open, per server */
    size_t max_unsent_bytes;      /* of all calls, waiting for peers that read slowly */
} grpc_server_opts;

/** New server without listeners. events and ctx are borrowed for its life. */
LPX_RESULT grpc_server_new(io_loop *loop, const grpc_server_opts *opts, const grpc_server_events *events, void *ctx,
                           grpc_server **out);
/** Where and how to listen; tls and gate are borrowed and must outlive the server. */
typedef struct grpc_listen_opts {
    const char *address;
    io_tls *tls;         /* NULL: h2c with prior knowledge */
    io_proxy_gate *gate; /* not NULL: behind load balancers (io_listen_opts) */
    unsigned tag;        /* the dispatcher's own: grpc_call_tag tells it of each call */
} grpc_listen_opts;

/** Listen on one more address. @param port gets the port listened on; may be NULL */
LPX_RESULT grpc_server_listen_with(grpc_server *server, const grpc_listen_opts *opts, uint16_t *port, lpx_note *note);
/** The same with tag 0 and without a balancer. */
LPX_RESULT grpc_server_listen(grpc_server *server, const char *address, io_tls *tls, uint16_t *port, lpx_note *note);
/** Send GOAWAY on every connection whose client showed a certificate for which gone answers true, and end it when its
 * calls have ended. */
void grpc_server_dismiss(grpc_server *server, bool (*gone)(void *ctx, const char *fingerprint), void *ctx);
/** Stop listening, send GOAWAY, let calls end; done runs when the last connection is gone or after grace_us. */
void grpc_server_drain(grpc_server *server, int64_t grace_us, void (*done)(void *ctx), void *ctx);
/** Free; connections still open are closed, their calls get on_cancel; calls that are finished only later stay valid
 * until then. Not from inside a call's event. Let the loop take one more turn before it is freed. Clears the pointer;
 * accepts NULL. */
void grpc_server_free(grpc_server **server);
/** Its counts; borrowed, change as the server works. */
const grpc_server_stats *grpc_server_counts(const grpc_server *server);

/** Request path, "/package.Service/Method"; borrowed for the call's life. */
lpx_str grpc_call_path(const grpc_call *call);
/** First value of a metadata key (lower case); empty when absent. "-bin" values come decoded. Borrowed. */
lpx_bytes grpc_call_metadata(const grpc_call *call, const char *key);
/** Number of the call's authorization value: calls with the same number carry the same value, byte for byte, so that it
 * needs to be verified only once. Never used again for another value on this loop; 0: the call has none. */
uint64_t grpc_call_credential(const grpc_call *call);
/** During on_message: is this message the last one, so that on_half_close follows if the call does not end before?
 * False may also mean that it is not known yet. */
bool grpc_call_is_last(const grpc_call *call);
/** When the client's deadline ends; INT64_MAX when it gave none. */
lpx_mono grpc_call_deadline(const grpc_call *call);
/** Arena of this call, freed with it. */
lpx_arena *grpc_call_arena(grpc_call *call);
/** Its loop. */
io_loop *grpc_call_loop(const grpc_call *call);
/** Peer's "address:port"; behind a balancer the client's. */
const char *grpc_call_peer(const grpc_call *call);
/** Fingerprint of the certificate that the client showed and the handshake verified, in lower-case hex of SHA-256 of
 * the DER; empty without one. Computed once for a connection. Borrowed for the call's life. */
const char *grpc_call_peer_cert(const grpc_call *call);
/** Tag of the listener that took the connection. */
unsigned grpc_call_tag(const grpc_call *call);
/** Attach the dispatcher's own state. */
void grpc_call_set_user(grpc_call *call, void *user);
/** What was attached. */
void *grpc_call_user(const grpc_call *call);
/** Send the answer's headers now, before there is a message (a client may wait for them to know that a stream stands).
 */
void grpc_call_open(grpc_call *call);
/** Queue one message; the bytes are copied. @return false when the call's send buffer is now above its high-water mark:
 * wait for on_writable before sending more (the message is taken all the same) */
bool grpc_call_send(grpc_call *call, lpx_bytes message);
/** Do not deliver further messages of this call until resumed (back-pressure through flow control). */
void grpc_call_pause(grpc_call *call);
/** Deliver messages again. */
void grpc_call_resume(grpc_call *call);
/** End the call with a status and give it back; it must not be used afterwards.
 * @param message  percent-encoded as needed by this layer; borrowed
 * @param details  serialised google.rpc.Status for grpc-status-details-bin; may be empty */
void grpc_call_finish(grpc_call *call, lpx_code code, lpx_str message, lpx_bytes details);
