/* The server on its loop: listeners, connections, draining. */
#include "wire/grpc/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "lpx_reasons.h"
#include "wire/grpc/core.h"
#include "wire/grpc/limits.h"

enum { FILL_BYTES = 64 * 1024 };

typedef struct listener {
    grpc_server *server;
    io_listener *io;
    bool tls;
    unsigned tag;
} listener;

struct grpc_server {
    grpc_core core;
    listener listeners[GRPC_LISTENERS_MAX];
    size_t listener_count;
    bool draining;
    grpc_due_node grace;
    grpc_later drained;
    void (*drain_done)(void *ctx);
    void *drain_ctx;
};

/* One accepted connection; freed when both the socket and the last call have left it. */
typedef struct server_conn {
    grpc_sconn base;
    grpc_server *server; /* NULL once the server is freed */
    io_conn *io;         /* NULL once closed */
    bool tls;
} server_conn;

static server_conn *conn_of(grpc_sconn *base)
{
    return LPX_CONTAINER(base, server_conn, base);
}

static void conn_want_write(grpc_sconn *base)
{
    server_conn *conn = conn_of(base);
    if (conn->io != NULL) {
        io_conn_want_write(conn->io);
    }
}

static void conn_shut(grpc_sconn *base)
{
    io_conn_close(conn_of(base)->io, false);
}

static void conn_free(grpc_sconn *base)
{
    server_conn *conn = conn_of(base);
    if (conn->io == NULL) {
        free(conn);
    }
}

/* The last connection has gone while draining. */
static void drained(grpc_later *later)
{
    grpc_server *server = LPX_CONTAINER(later, grpc_server, drained);
    void (*done)(void *) = server->drain_done;
    if (done != NULL) {
        server->drain_done = NULL;
        grpc_env_disarm(&server->core.env, &server->grace);
        done(server->drain_ctx);
    }
}

static void look_if_drained(grpc_server *server)
{
    if (server->draining && lpx_list_empty(&server->core.conns)) {
        grpc_env_post(&server->core.env, &server->drained, drained);
    }
}

static void on_open(void *ctx)
{
    server_conn *conn = ctx;
    lpx_str alpn = io_conn_alpn(conn->io);
    (void)snprintf(conn->base.peer, sizeof conn->base.peer, "%s", io_conn_peer(conn->io));
    (void)snprintf(conn->base.cert, sizeof conn->base.cert, "%s", io_conn_peer_fingerprint(conn->io));
    if (conn->tls && alpn.len > 0 && !lpx_str_is(alpn, "h2")) {
        io_conn_close(conn->io, false);
    }
}

/* Nothing more will be said: let go. */
static void look_if_done(server_conn *conn)
{
    if (grpc_sconn_done(&conn->base)) {
        io_conn_close(conn->io, true);
    }
}

static void on_bytes(void *ctx, lpx_bytes in)
{
    server_conn *conn = ctx;
    if (conn->server != NULL) {
        grpc_sconn_recv(&conn->base, in);
        look_if_done(conn);
    }
}

static void fill(void *ctx, lpx_buf *out)
{
    server_conn *conn = ctx;
    if (conn->server == NULL) {
        return;
    }
    if (grpc_sconn_fill(&conn->base, out, FILL_BYTES)) {
        io_conn_want_write(conn->io);
        return;
    }
    look_if_done(conn);
}

static void on_close(void *ctx, lpx_err why, const lpx_note *note)
{
    server_conn *conn = ctx;
    grpc_server *server = conn->server;
    (void)why;
    (void)note;
    conn->io = NULL;
    if (server == NULL) {
        if (conn->base.calls == 0) {
            free(conn);
        }
        return;
    }
    conn->server = NULL;
    grpc_sconn_lost(&conn->base);
    look_if_drained(server);
}

static const io_conn_events conn_events = {
    .on_open = on_open,
    .on_bytes = on_bytes,
    .fill = fill,
    .on_close = on_close,
};

static bool on_accept(void *ctx, io_conn *io, const io_conn_events **events, void **conn_ctx)
{
    listener *from = ctx;
    grpc_server *server = from->server;
    server_conn *conn = NULL;
    if (server->core.stats.connections < server->core.opts.max_connections) {
        conn = calloc(1, sizeof *conn);
    }
    if (conn == NULL) {
        server->core.stats.connections_refused_total++;
        return false;
    }
    conn->server = server;
    conn->io = io;
    conn->tls = from->tls;
    conn->base.tag = from->tag;
    conn->base.want_write = conn_want_write;
    conn->base.shut = conn_shut;
    conn->base.free_conn = conn_free;
    if (!grpc_sconn_init(&conn->base, &server->core)) {
        server->core.stats.connections_refused_total++;
        free(conn);
        return false;
    }
    *events = &conn_events;
    *conn_ctx = conn;
    return true;
}

lpx_err grpc_server_new(io_loop *loop, const grpc_server_opts *opts, const grpc_server_events *events, void *ctx,
                        grpc_server **out)
{
    grpc_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return lpx_err_of(GRPC_NO_MEMORY);
    }
    lpx_err err = grpc_core_init(&server->core, loop, opts, events, ctx);
    if (lpx_failed(err)) {
        free(server);
        return err;
    }
    *out = server;
    return LPX_SUCCESS;
}

lpx_err grpc_server_listen_with(grpc_server *server, const grpc_listen_opts *opts, uint16_t *port, lpx_note *note)
{
    if (server->listener_count == GRPC_LISTENERS_MAX) {
        return lpx_fail(note, GRPC_LISTENERS, "One server listens on at most %d addresses.", GRPC_LISTENERS_MAX);
    }
    listener *new = &server->listeners[server->listener_count];
    *new = (listener){.server = server, .tls = opts->tls != NULL, .tag = opts->tag};
    io_listen_opts io = {
        .address = opts->address, .tls = opts->tls, .gate = opts->gate, .accept = on_accept, .ctx = new};
    LPX_TRY(io_listen(server->core.env.loop, &io, &new->io, note));
    server->listener_count++;
    if (port != NULL) {
        *port = io_listener_port(new->io);
    }
    return LPX_SUCCESS;
}

lpx_err grpc_server_listen(grpc_server *server, const char *address, io_tls *tls, uint16_t *port, lpx_note *note)
{
    return grpc_server_listen_with(server, &(grpc_listen_opts){.address = address, .tls = tls}, port, note);
}

void grpc_server_dismiss(grpc_server *server, bool (*gone)(void *ctx, const char *fingerprint), void *ctx)
{
    for (lpx_list *at = server->core.conns.next; at != &server->core.conns; at = at->next) {
        grpc_sconn *conn = LPX_CONTAINER(at, grpc_sconn, node);
        if (conn->cert[0] != '\0' && gone(ctx, conn->cert)) {
            grpc_sconn_drain(conn);
        }
    }
}

static void listeners_close(grpc_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        io_listener_free(&server->listeners[i].io);
    }
    server->listener_count = 0;
}

static void grace_over(grpc_due_node *node)
{
    grpc_server *server = LPX_CONTAINER(node, grpc_server, grace);
    for (lpx_list *at = server->core.conns.next; at != &server->core.conns; at = at->next) {
        grpc_sconn *conn = LPX_CONTAINER(at, grpc_sconn, node);
        conn->shut(conn);
    }
    grpc_env_post(&server->core.env, &server->drained, drained);
}

void grpc_server_drain(grpc_server *server, int64_t grace_us, void (*done)(void *ctx), void *ctx)
{
    server->draining = true;
    server->drain_done = done;
    server->drain_ctx = ctx;
    listeners_close(server);
    for (lpx_list *at = server->core.conns.next; at != &server->core.conns; at = at->next) {
        grpc_sconn_drain(LPX_CONTAINER(at, grpc_sconn, node));
    }
    look_if_drained(server);
    lpx_mono end = {grpc_env_now(&server->core.env).us + grace_us};
    if (!grpc_env_arm(&server->core.env, &server->grace, end, grace_over)) {
        grace_over(&server->grace);
    }
}

static void core_closed(grpc_core *core)
{
    free(LPX_CONTAINER(core, grpc_server, core));
}

void grpc_server_free(grpc_server **server)
{
    grpc_server *s = *server;
    if (s == NULL) {
        return;
    }
    *server = NULL;
    listeners_close(s);
    while (!lpx_list_empty(&s->core.conns)) {
        server_conn *conn = conn_of(LPX_CONTAINER(s->core.conns.next, grpc_sconn, node));
        conn->server = NULL;
        io_conn_close(conn->io, false);
        grpc_sconn_lost(&conn->base);
    }
    grpc_env_disarm(&s->core.env, &s->grace);
    grpc_env_unpost(&s->drained);
    grpc_core_close(&s->core, core_closed);
}

const grpc_server_stats *grpc_server_counts(const grpc_server *server)
{
    return &server->core.stats;
}
