#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/conn_priv.h"
#include "lpx_reasons.h"

struct io_listener {
    io_loop *loop;
    io_tls *tls;
    io_proxy_gate *gate;
    io_accept_fn *accept;
    void *ctx;
    struct event *ready;
    io_timer pause; /* after running out of descriptors */
    int fd;
    uint16_t port;
    bool accepting; /* on_accept is up the stack and frees it instead of io_listener_free */
    bool freed;
};

static void accept_one(io_listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct ssl_st *ssl = NULL;
    if (listener->gate != NULL && !io_proxy_gate_admits(listener->gate, (const struct sockaddr *)peer)) {
        (void)close(fd);
        return;
    }
    if (listener->tls != NULL) {
        ssl = io_tls_session_new(listener->tls, NULL);
        if (ssl == NULL) {
            (void)close(fd);
            return;
        }
    }
    conn_state first = listener->gate != NULL ? CONN_PROXY : CONN_HANDSHAKE;
    io_conn *conn = io_conn_new(listener->loop, ssl, first);
    if (conn == NULL) {
        (void)close(fd);
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->fd = fd;
    io_address_format((const struct sockaddr *)peer, conn->peer);
    if (!listener->accept(listener->ctx, conn, &conn->events, &conn->ctx)) {
        io_conn_discard(conn);
        return;
    }
    if (conn->state != first) {
        return; /* closed by the callback; on_close comes at the turn's end */
    }
    if (!io_conn_watch(conn)) {
        io_conn_lost(conn, ENOMEM);
        return;
    }
    if (listener->gate != NULL) {
        io_conn_proxy_start(conn, listener->gate);
    } else {
        io_conn_start(conn);
    }
}

static void on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
    (void)what;
    io_listener *listener = arg;
    listener->accepting = true;
    for (int i = 0; i < IO_ACCEPTS_PER_TURN && !listener->freed; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        int fd = accept4(listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(listener, fd, &peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The connection stays in the queue: without a pause the loop would spin on it. */
            (void)event_del(listener->ready);
            io_timer_arm(&listener->pause, IO_ACCEPT_PAUSE_US);
        }
        if (errno != ECONNABORTED && errno != EINTR) {
            break;
        }
    }
    listener->accepting = false;
    if (listener->freed) {
        free(listener);
    }
}

static void accept_again(io_timer *timer)
{
    io_listener *listener = LPX_CONTAINER(timer, io_listener, pause);
    if (event_add(listener->ready, NULL) != 0) {
        io_timer_arm(timer, IO_ACCEPT_PAUSE_US);
    }
}

LPX_RESULT io_listen(io_loop *loop, const io_listen_opts *opts, io_listener **out, lpx_note *note)
{
    io_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        return lpx_err_of(IO_NO_RESOURCES);
    }
    *listener = (io_listener){
        .loop = loop, .tls = opts->tls, .gate = opts->gate, .accept = opts->accept, .ctx = opts->ctx, .fd = -1};
    lpx_err err = io_socket_listen(opts->address, &listener->fd, &listener->port, note);
    if (lpx_failed(err)) {
        io_listener_free(&listener);
        return err;
    }
    listener->ready = event_new(loop->base, listener->fd, EV_READ | EV_PERSIST, on_accept, listener);
    if (listener->ready == NULL || event_add(listener->ready, NULL) != 0 ||
        lpx_failed(io_timer_init(&listener->pause, loop, accept_again))) {
        io_listener_free(&listener);
        return lpx_fail(note, IO_NO_RESOURCES, "no memory to listen on %s", opts->address);
    }
    *out = listener;
    return LPX_SUCCESS;
}

uint16_t io_listener_port(const io_listener *listener)
{
    return listener->port;
}

void io_listener_free(io_listener **listener_ptr)
{
    io_listener *listener = *listener_ptr;
    *listener_ptr = NULL;
    if (listener == NULL) {
        return;
    }
    if (listener->ready != NULL) {
        event_free(listener->ready);
    }
    io_timer_fini(&listener->pause);
    if (listener->fd >= 0) {
        (void)close(listener->fd);
    }
    listener->freed = true;
    if (!listener->accepting) {
        free(listener);
    }
}
