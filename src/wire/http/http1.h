/* HTTP/1.1 server: one per loop, on io connections with or without TLS. A handler gets a whole request and answers it
 * now or later, once. Requests of one connection are handled one after the other;
 * a client that ends its side of the stream counts as gone. RFC 9110, 9112; request smuggling is
 * closed by refusing what is ambiguous (two lengths, folded headers, bare line feeds). Level 3. Thread: owner loop. */
#pragma once
#include "base/arena.h"
#include "io/conn.h"

typedef struct http1_server http1_server;
typedef struct http1_request http1_request;

/** Gets each request of a route; must answer it, now or later. */
typedef void http1_handler(void *ctx, http1_request *request);

/** Limits with their defaults in wire/http/http1_limits.h; 0 takes the default. */
typedef struct http1_server_opts {
    uint32_t max_connections;
    uint32_t max_body_bytes; /* of a request, unless its route says otherwise; 1 MiB */
    uint32_t arena_bytes;    /* cap of a request's arena, which also holds its headers */
    int64_t read_timeout_us; /* for all headers of a request, and for each 64 KiB of its body; 30 s */
    int64_t idle_timeout_us; /* between two requests of a connection; 60 s */
} http1_server_opts;

/** What is served. Texts are borrowed for the server's life. */
typedef struct http1_route {
    const char *method;      /* "GET" serves HEAD too */
    const char *path;        /* before the query, as sent: not percent-decoded */
    bool prefix;             /* all paths that begin so; the longest matching route counts, an exact one before all */
    uint32_t max_body_bytes; /* 0: the server's */
    http1_handler *handler;
    void *ctx;
} http1_route;

/** One header of an answer. Control characters in the value are replaced by blanks. */
typedef struct http1_header {
    const char *name;
    lpx_str value;
} http1_header;

/** An answer; everything is copied. Content-Length, Connection and Date are added here. */
typedef struct http1_answer {
    int status;                  /* 200 to 599 */
    const char *content_type;    /* NULL: none */
    const http1_header *headers; /* header_count of them */
    size_t header_count;
    lpx_bytes body;
    bool close; /* the connection ends after it */
    bool gzip;  /* compress when the client accepts it and the body is worth it; sets Vary */
} http1_answer;

/** A streamed answer is asked for more. on_writable runs first at the end of the turn, then whenever there is room
 * again after http1_stream_write answered false; on_gone once when nobody wants the body: the client left, or it asked
 * with HEAD and has its head. The request must still be ended. Neither runs from inside the functions below. */
typedef struct http1_stream_events {
    void (*on_writable)(void *ctx, http1_request *request);
    void (*on_gone)(void *ctx, http1_request *request);
} http1_stream_events;

/** New server without routes and listeners. @err IO_NO_RESOURCES */
LPX_RESULT http1_server_new(io_loop *loop, const http1_server_opts *opts, http1_server **out);
/** Add a route. Where a path is known but not the method the answer is 405, where no path matches 404.
 * @err INTERNAL: HTTP1_BAD_ROUTE when there are too many, or this one is there already */
LPX_RESULT http1_server_route(http1_server *server, const http1_route *route);
/** Listen on "host:port" (port 0 picks one) with SO_REUSEPORT, so that each loop may have a server on the same address.
 * @param tls  NULL: plaintext; borrowed, must outlive the server
 * @param port set to the port listened on; may be NULL */
LPX_RESULT http1_server_listen(http1_server *server, const char *address, io_tls *tls, uint16_t *port, lpx_note *note);
/** Listen behind load balancers that the gate admits: plaintext, each connection begins with a PROXY header, whose peer
 * is the request's. @param gate borrowed, must outlive the server */
LPX_RESULT http1_server_listen_behind(http1_server *server, const char *address, io_proxy_gate *gate, uint16_t *port,
                                      lpx_note *note);
/** Connections open now. */
size_t http1_server_connections(const http1_server *server);
/** Stop listening, end idle connections, let the others end after their answer; done runs on a later turn, when the
 * last is gone or after grace_us. */
void http1_server_drain(http1_server *server, int64_t grace_us, void (*done)(void *ctx), void *ctx);
/** Free; connections are closed; requests not answered yet stay valid until they are; clears the pointer; accepts NULL.
 */
void http1_server_free(http1_server **server);

/** Method as sent ("GET"). Views of a request are borrowed until it is answered. */
lpx_str http1_request_method(const http1_request *request);
/** Path as sent, begins with '/', without the query; http1_percent_decode gives its parts. */
lpx_str http1_request_path(const http1_request *request);
/** What follows '?'; empty without. */
lpx_str http1_request_query(const http1_request *request);
/** Value of a header, name in any case; the first one when there are several; empty when there is none. */
lpx_str http1_request_header(const http1_request *request, const char *name);
/** Body; empty without. */
lpx_bytes http1_request_body(const http1_request *request);
/** Peer's "address:port". */
const char *http1_request_peer(const http1_request *request);
/** Fingerprint of the certificate that the client showed, as in io_peer_cert, computed once for a connection; empty
 * without one, and when the client has gone away. Borrowed until the next turn. */
const char *http1_request_peer_fingerprint(const http1_request *request);
/** Certificate that the client showed. @return false without one, and when the client has gone away */
bool http1_request_peer_cert(const http1_request *request, io_peer_cert *out);
/** Its loop. */
io_loop *http1_request_loop(const http1_request *request);
/** Arena of this request, freed with it. */
lpx_arena *http1_request_arena(http1_request *request);
/** Has the client gone away? Then work for it may stop; it must be answered all the same, which gives it back. */
bool http1_request_gone(const http1_request *request);

/** Answer and give the request back; exactly once, on its loop. Does nothing else when the client went away. */
void http1_request_answer(http1_request *request, const http1_answer *answer);
/** Answer with JSON {"code": code, "message": message}.
 * @param code    as in the Connect protocol, "not_found"
 * @param message for people; any bytes, shown as text */
void http1_request_answer_error(http1_request *request, int status, const char *code, const char *message);

/** Begin an answer whose body comes in parts, however long (chunked; to HTTP/1.0 until the connection ends). head's
 * body must be empty; with gzip the parts are compressed as they come. A HEAD request gets the head alone.
 * @err RESOURCE_EXHAUSTED: then nothing was sent, and the request must be answered otherwise */
LPX_RESULT http1_stream_begin(http1_request *request, const http1_answer *head, const http1_stream_events *events,
                              void *ctx);
/** Send a part; copied. What is compressed leaves at the latest when nothing else waits to be sent.
 * @return false when enough waits: send more after on_writable (it was taken all the same) */
bool http1_stream_write(http1_request *request, lpx_bytes part);
/** End a streamed answer and give the request back; exactly once.
 * @param whole false: the body is cut, and the connection ends so that the client can tell */
void http1_stream_end(http1_request *request, bool whole);
