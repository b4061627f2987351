/* Inside of the HTTP/1.1 server, for its own files only: http1_server.c keeps routes, listeners and the list of
 * connections, http1_conn.c reads requests and writes answers. Level 3. */
#pragma once
#include "base/list.h"
#include "io/limits.h"
#include "wire/http/http1.h"
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
    bool draining;
    io_timer drain_timer;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

typedef enum http1_phase {
    HTTP1_IDLE,     /* between requests, nothing has come of the next */
    HTTP1_HEAD,     /* a head comes in */
    HTTP1_BODY,     /* a body comes in */
    HTTP1_HANDLING, /* a handler has the request */
    HTTP1_CLOSING,  /* the last answer is under way; what comes in is thrown away */
} http1_phase;

typedef struct http1_conn {
    http1_server *server; /* NULL: freed; the connection ends */
    io_conn *io;
    lpx_list node;
    http1_phase phase;
    bool advancing;         /* http1_conn_advance is up the stack */
    bool closed;            /* io_conn_close was called */
    http1_request *request; /* in phases BODY and HANDLING */
    lpx_buf in;
    size_t taken;    /* bytes at the beginning of in that are used up */
    size_t searched; /* bytes after those without the end of a head */
    http1_chunks chunks;
    size_t body_step; /* bytes of body since the timer was armed */
    lpx_buf out;
    size_t out_given; /* bytes at its beginning that fill has taken */
    size_t unsent;    /* when the write timer was armed */
    io_timer timer;
    io_hook resume;
} http1_conn;

struct http1_request {
    http1_conn *conn; /* NULL: the client went away */
    io_loop *loop;
    const http1_route *route;
    lpx_arena arena;
    http1_head head;
    lpx_buf body;
    char peer[IO_PEER_BYTES];
};

/** Accepts a connection for a server, its listener_ctx. */
bool http1_conn_accept(void *listener_ctx, io_conn *io, const io_conn_events **events, void **ctx);
/** End a connection when it is idle and its answers are sent; busy ones end after their answer. */
void http1_conn_finish(http1_conn *conn);
/** End a connection at once. */
void http1_conn_cut(http1_conn *conn);
/** Free a request and what it holds. */
void http1_request_free(http1_request *request);

/** The route of a request.
 * @param allow room for the methods of the path, as the header Allow writes them
 * @return 0 with *out set, or 404, or 405 with allow filled */
int http1_server_find(const http1_server *server, const http1_head *head, const http1_route **out, lpx_space allow);
/** A connection is gone. */
void http1_server_left(http1_server *server);
