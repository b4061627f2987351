/* Inside of the HTTP/1.1 server, for its own files only: http1_server.c keeps routes, listeners and the list of
 * connections, http1_conn.c reads requests and sends answers, http1_answer.c knows what these look like, http1_stream.c
 * sends those that come in parts. Level 3. */
#pragma once
#include "base/list.h"
#include "io/limits.h"
#include "wire/http/http1.h"
#include "wire/http/http1_gzip.h"
#include "wire/http/http1_parse.h"

struct http1_server {
    io_loop *loop;
    http1_server_opts opts; /* defaults filled in */
    http1_route routes[HTTP1_ROUTES_MAX];
    size_t route_count;
    io_listener *listeners[HTTP1_LISTENERS_MAX];
    size_t listener_count;
    lpx_list conns; /* http1_conn.node */
    size_t conn_count;
    size_t gzip_streams; /* compressors in use */
    bool draining;
    io_timer drain_timer;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

typedef enum http1_phase {
    HTTP1_IDLE,      /* between requests, nothing has come of the next */
    HTTP1_HEAD,      /* a head comes in */
    HTTP1_BODY,      /* a body comes in */
    HTTP1_HANDLING,  /* a handler has the request */
    HTTP1_STREAMING, /* a handler answers in parts */
    HTTP1_CLOSING,   /* the last answer is under way; what comes in is thrown away */
} http1_phase;

typedef struct http1_conn {
    http1_server *server; /* NULL: freed; the connection ends */
    io_conn *io;
    lpx_list node;
    http1_phase phase;
    bool advancing;         /* http1_conn_advance is up the stack */
    bool closed;            /* io_conn_close was called */
    http1_request *request; /* in phases BODY, HANDLING and STREAMING */
    lpx_buf in;
    size_t taken;    /* bytes at the beginning of in that are used up */
    size_t searched; /* bytes after those without the end of a head */
    http1_chunks chunks;
    size_t body_step; /* bytes of body since the timer was armed */
    lpx_buf out;
    size_t out_given; /* bytes at its beginning that fill has taken */
    uint64_t given;   /* all bytes that fill has given */
    uint64_t mark;    /* bytes that the peer had taken when the write timer was armed */
    bool watched;     /* the write timer runs for a streamed answer */
    io_timer timer;
    io_hook resume;
} http1_conn;

/* An answer that comes in parts. */
typedef struct http1_stream {
    const http1_stream_events *events; /* NULL: not begun */
    void *ctx;
    http1_gzip *gzip; /* NULL: not compressed */
    bool chunked;
    bool head_only;    /* no body is wanted */
    bool unflushed;    /* the compressor holds something back */
    bool waits;        /* for on_writable */
    bool told_gone;    /* on_gone ran */
    size_t turn_bytes; /* written since the last fill, before compression */
    io_hook tell;
} http1_stream;

struct http1_request {
    http1_conn *conn; /* NULL: the client went away */
    io_loop *loop;
    const http1_route *route;
    lpx_arena arena;
    http1_head head;
    lpx_buf body;
    http1_stream stream;
    char peer[IO_PEER_BYTES];
};

/** Accepts a connection for a server, its listener_ctx. */
bool http1_conn_accept(void *listener_ctx, io_conn *io, const io_conn_events **events, void **ctx);
/** End a connection when it is idle and its answers are sent; busy ones end after their answer. */
void http1_conn_finish(http1_conn *conn);
/** End a connection at once. */
void http1_conn_cut(http1_conn *conn);
/** The answer to the connection's request lies in out: give the request back and go on with what comes next, which is
 * the end of the connection unless keep. */
void http1_conn_answered(http1_conn *conn, bool keep);
/** The write timer begins to run. */
void http1_conn_watch(http1_conn *conn);
/** Room at the end of out; drops what fill has taken. */
lpx_buf *http1_conn_out(http1_conn *conn);
/** Bytes of answers that the peer has not taken. */
size_t http1_conn_unsent(const http1_conn *conn);
/** Free a request and what it holds. */
void http1_request_free(http1_request *request);

/** The route of a request.
 * @param allow room for the methods of the path, as the header Allow writes them
 * @return 0 with *out set, or 404, or 405 with allow filled */
int http1_server_find(const http1_server *server, const http1_head *head, const http1_route **out, lpx_space allow);
/** A connection is gone. */
void http1_server_left(http1_server *server);

/** Append status line and headers, but for Content-Length and what concerns the connection.
 * @param packed the body is compressed */
void http1_answer_head(lpx_buf *out, const http1_answer *answer, bool packed, lpx_utc now);
/** May and should this answer to this request be compressed? */
bool http1_wants_gzip(const http1_request *request, const http1_answer *answer);
/** {"code": ..., "message": ...} into a new buffer. */
void http1_error_body(lpx_buf *body, const char *code, const char *message);
/** Name of the code that goes with a status, as in the Connect protocol. */
const char *http1_error_code(int status);

/** fill has given what there was of a streamed answer, or a piece: more may come. */
void http1_stream_filled(http1_conn *conn);
/** The client of a streamed answer left; its connection goes now. */
void http1_stream_lost(http1_request *request);
