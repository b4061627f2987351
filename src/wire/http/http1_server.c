#include <stdio.h>
#include <stdlib.h>

#include "lpx_reasons.h"
#include "wire/http/http1_priv.h"

static void drain_over(io_timer *timer)
{
    http1_server *server = LPX_CONTAINER(timer, http1_server, drain_timer);
    void (*done)(void *ctx) = server->drained;
    server->drained = NULL;
    if (done != NULL) {
        done(server->drained_ctx);
    }
}

LPX_RESULT http1_server_new(io_loop *loop, const http1_server_opts *opts, http1_server **out)
{
    http1_server *server = calloc(1, sizeof *server);
    if (server == NULL || lpx_failed(io_timer_init(&server->drain_timer, loop, drain_over))) {
        free(server);
        return lpx_err_of(IO_NO_RESOURCES);
    }
    http1_server_opts o = *opts;
    o.max_connections = o.max_connections > 0 ? o.max_connections : HTTP1_CONNECTIONS_MAX;
    o.max_body_bytes = o.max_body_bytes > 0 ? o.max_body_bytes : HTTP1_BODY_BYTES;
    o.arena_bytes = o.arena_bytes > 0 ? o.arena_bytes : HTTP1_ARENA_BYTES;
    o.read_timeout_us = o.read_timeout_us > 0 ? o.read_timeout_us : HTTP1_READ_TIMEOUT_US;
    o.idle_timeout_us = o.idle_timeout_us > 0 ? o.idle_timeout_us : HTTP1_IDLE_TIMEOUT_US;
    server->loop = loop;
    server->opts = o;
    lpx_list_init(&server->conns);
    *out = server;
    return LPX_SUCCESS;
}

static bool same_route(const http1_route *a, const http1_route *b)
{
    return a->prefix == b->prefix && lpx_str_is(lpx_str_of(a->path), b->path) &&
           lpx_str_is(lpx_str_of(a->method), b->method);
}

LPX_RESULT http1_server_route(http1_server *server, const http1_route *route)
{
    for (size_t i = 0; i < server->route_count; i++) {
        if (same_route(&server->routes[i], route)) {
            return lpx_err_of(HTTP1_BAD_ROUTE);
        }
    }
    if (server->route_count == HTTP1_ROUTES_MAX) {
        return lpx_err_of(HTTP1_BAD_ROUTE);
    }
    server->routes[server->route_count++] = *route;
    return LPX_SUCCESS;
}

static lpx_err listen_on(http1_server *server, const io_listen_opts *opts, uint16_t *port, lpx_note *note)
{
    if (server->listener_count == HTTP1_LISTENERS_MAX) {
        return lpx_fail(note, IO_NO_RESOURCES, "cannot listen on %s: at most %d addresses per server", opts->address,
                        HTTP1_LISTENERS_MAX);
    }
    io_listener *listener = NULL;
    LPX_TRY(io_listen(server->loop, opts, &listener, note));
    server->listeners[server->listener_count++] = listener;
    if (port != NULL) {
        *port = io_listener_port(listener);
    }
    return LPX_SUCCESS;
}

LPX_RESULT http1_server_listen(http1_server *server, const char *address, io_tls *tls, uint16_t *port, lpx_note *note)
{
    io_listen_opts opts = {.address = address, .tls = tls, .accept = http1_conn_accept, .ctx = server};
    return listen_on(server, &opts, port, note);
}

LPX_RESULT http1_server_listen_behind(http1_server *server, const char *address, io_proxy_gate *gate, uint16_t *port,
                                      lpx_note *note)
{
    io_listen_opts opts = {.address = address, .gate = gate, .accept = http1_conn_accept, .ctx = server};
    return listen_on(server, &opts, port, note);
}

static bool path_matches(const http1_route *route, lpx_str path)
{
    return route->prefix ? lpx_str_starts(path, lpx_str_of(route->path)) : lpx_str_is(path, route->path);
}

/* An exact path before all prefixes, a long prefix before a short one. */
static bool is_closer(const http1_route *a, const http1_route *b)
{
    if (b == NULL || a->prefix != b->prefix) {
        return b == NULL || !a->prefix;
    }
    return strlen(a->path) > strlen(b->path);
}

static bool method_matches(const http1_route *route, lpx_str method)
{
    return lpx_str_is(method, route->method) || (lpx_str_is(method, "HEAD") && strcmp(route->method, "GET") == 0);
}

int http1_server_find(const http1_server *server, const http1_head *head, const http1_route **out, lpx_space allow)
{
    const http1_route *closest = NULL;
    for (size_t i = 0; i < server->route_count; i++) {
        const http1_route *route = &server->routes[i];
        if (path_matches(route, head->path) && is_closer(route, closest)) {
            closest = route;
        }
    }
    if (closest == NULL) {
        return 404;
    }
    size_t len = 0;
    for (size_t i = 0; i < server->route_count; i++) {
        const http1_route *route = &server->routes[i];
        if (route->prefix != closest->prefix || strcmp(route->path, closest->path) != 0) {
            continue;
        }
        if (method_matches(route, head->method)) {
            *out = route;
            return 0;
        }
        int added = snprintf((char *)allow.ptr + len, allow.len - len, "%s%s", len > 0 ? ", " : "", route->method);
        len = added > 0 && (size_t)added < allow.len - len ? len + (size_t)added : len;
    }
    allow.ptr[len] = 0;
    return 405;
}

static void close_listeners(http1_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        io_listener_free(&server->listeners[i]);
    }
    server->listener_count = 0;
}

void http1_server_left(http1_server *server)
{
    server->conn_count--;
    if (server->drained != NULL && server->conn_count == 0) {
        io_timer_arm(&server->drain_timer, 0);
    }
}

size_t http1_server_connections(const http1_server *server)
{
    return server->conn_count;
}

void http1_server_drain(http1_server *server, int64_t grace_us, void (*done)(void *ctx), void *ctx)
{
    close_listeners(server);
    server->draining = true;
    server->drained = done;
    server->drained_ctx = ctx;
    io_timer_arm(&server->drain_timer, server->conn_count > 0 ? grace_us : 0);
    lpx_list *next = NULL;
    for (lpx_list *node = server->conns.next; node != &server->conns; node = next) {
        next = node->next;
        http1_conn_finish(LPX_CONTAINER(node, http1_conn, node));
    }
}

void http1_server_free(http1_server **server_ptr)
{
    http1_server *server = *server_ptr;
    *server_ptr = NULL;
    if (server == NULL) {
        return;
    }
    close_listeners(server);
    io_timer_fini(&server->drain_timer);
    for (lpx_list *node = lpx_list_pop(&server->conns); node != NULL; node = lpx_list_pop(&server->conns)) {
        http1_conn *conn = LPX_CONTAINER(node, http1_conn, node);
        conn->server = NULL;
        http1_conn_cut(conn);
    }
    free(server);
}
