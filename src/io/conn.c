#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/conn_priv.h"
#include "lpx_reasons.h"

static void conn_turn_end(io_hook *hook);
static void conn_end_closed(io_conn *conn);
static void conn_timer_fired(io_timer *timer);

io_conn *io_conn_new(io_loop *loop, struct ssl_st *ssl, conn_state state)
{
    io_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL || lpx_failed(io_timer_init(&conn->timer, loop, conn_timer_fired))) {
        io_tls_session_free(ssl);
        free(conn);
        return NULL;
    }
    conn->loop = loop;
    conn->fd = -1;
    conn->state = state;
    conn->ssl = ssl;
    conn->hook.run = conn_turn_end;
    lpx_buf_init(&conn->out, IO_UNSENT_MAX_BYTES);
    lpx_buf_init(&conn->tls_rest, IO_READ_BYTES);
    lpx_list_init(&conn->node);
    lpx_list_push(&loop->conns, &conn->node);
    if (ssl != NULL && !io_conn_tls_attach(conn)) {
        io_conn_discard(conn);
        return NULL;
    }
    return conn;
}

/* Gives back all that a connection holds besides its own memory. */
static void conn_release(io_conn *conn)
{
    io_dial_free(conn);
    io_conn_proxy_free(conn);
    io_timer_fini(&conn->timer);
    io_hook_cancel(&conn->hook);
    if (conn->has_events) {
        (void)event_del(&conn->readable);
        (void)event_del(&conn->writable);
        conn->has_events = false;
    }
    if (conn->fd >= 0) {
        (void)close(conn->fd);
        conn->fd = -1;
    }
    lpx_buf_fini(&conn->out);
    lpx_buf_fini(&conn->tls_rest);
    conn->out_sent = 0;
    io_conn_tls_free(conn);
    lpx_list_remove(&conn->node);
}

void io_conn_discard(io_conn *conn)
{
    conn_release(conn);
    free(conn);
}

void io_conns_bury(io_loop *loop)
{
    for (lpx_list *node = lpx_list_pop(&loop->dead); node != NULL; node = lpx_list_pop(&loop->dead)) {
        io_conn_discard(LPX_CONTAINER(node, io_conn, node));
    }
}

/* Tells the users of connections that they closed themselves. @return whether there was one */
static bool end_closed_ones(io_loop *loop)
{
    lpx_list all;
    bool found = false;
    lpx_list_init(&all);
    for (lpx_list *node = lpx_list_pop(&loop->conns); node != NULL; node = lpx_list_pop(&loop->conns)) {
        lpx_list_push(&all, node);
    }
    for (lpx_list *node = lpx_list_pop(&all); node != NULL; node = lpx_list_pop(&all)) {
        io_conn *conn = LPX_CONTAINER(node, io_conn, node);
        lpx_list_push(&loop->conns, node);
        if (conn->state == CONN_ENDING || conn->state == CONN_FLUSHING) {
            conn_end_closed(conn);
            found = true;
        }
    }
    return found;
}

void io_conns_drop(io_loop *loop)
{
    while (end_closed_ones(loop)) {
    }
    io_conns_bury(loop);
    while (!lpx_list_empty(&loop->conns)) {
        io_conn_discard(LPX_CONTAINER(loop->conns.next, io_conn, node));
    }
}

static void swap_with_spare(io_conn *conn)
{
    lpx_buf mine = conn->out;
    conn->out = conn->loop->spare_out;
    conn->loop->spare_out = mine;
}

/* Before something is put into out: take the loop's spare room. */
static void out_open(io_conn *conn)
{
    if (conn->out.ptr == NULL) {
        swap_with_spare(conn);
    }
}

/* All of out is sent: the room goes back to the loop, or to the heap. */
static void out_empty(io_conn *conn)
{
    conn->out_sent = 0;
    lpx_buf_clear(&conn->out);
    if (conn->out.room > IO_KEPT_BUFFER_BYTES || conn->loop->spare_out.ptr != NULL) {
        lpx_buf_fini(&conn->out);
    } else {
        swap_with_spare(conn);
    }
}

bool io_conn_has_unsent(const io_conn *conn)
{
    return conn->out.len > conn->out_sent;
}

static void watch_writable(io_conn *conn)
{
    conn->blocked = true;
    if (event_add(&conn->writable, NULL) != 0) {
        /* No memory: try again after the next turn instead. */
        conn->blocked = false;
        io_loop_at_turn_end(conn->loop, &conn->hook);
    }
}

/* One write of what lies in out. @return errno, 0 when nothing is wrong */
static int conn_send(io_conn *conn)
{
    size_t left = conn->out.len - conn->out_sent;
    if (left == 0) {
        if (conn->out.ptr != NULL) {
            out_empty(conn);
        }
        return 0;
    }
    ssize_t sent = send(conn->fd, conn->out.ptr + conn->out_sent, left, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        return errno;
    }
    conn->out_sent += sent > 0 ? (size_t)sent : 0;
    if (conn->out_sent == conn->out.len) {
        out_empty(conn);
    } else {
        watch_writable(conn);
    }
    return 0;
}

/* The last words of TLS, an alert or the orderly end of the stream, as far as one write goes. */
static void say_goodbye(io_conn *conn, bool in_order)
{
    if (conn->ssl == NULL || conn->fd < 0 || conn->blocked) {
        return;
    }
    if (in_order) {
        out_open(conn);
        io_conn_tls_goodbye(conn);
    }
    (void)conn_send(conn);
}

void io_conn_end(io_conn *conn, lpx_err why, const lpx_note *note)
{
    if (conn->state == CONN_GONE) {
        return;
    }
    bool told = conn->state == CONN_LINGERING;
    bool in_order = !lpx_failed(why) || why.reason == IO_CONN_CLOSED;
    if (!told) {
        say_goodbye(conn, in_order);
    }
    conn->state = CONN_GONE;
    conn_release(conn);
    lpx_list_push(&conn->loop->dead, &conn->node);
    if (!told) {
        lpx_note empty = {0};
        conn->events->on_close(conn->ctx, why, note != NULL ? note : &empty);
    }
}

void io_conn_lost(io_conn *conn, int error)
{
    lpx_note note;
    lpx_err why = lpx_fail(&note, IO_CONN_LOST, "the connection to %s broke off: %s", conn->peer, strerror(error));
    io_conn_end(conn, why, &note);
}

static void conn_end_closed(io_conn *conn)
{
    lpx_note note;
    lpx_err why = lpx_fail(&note, IO_CONN_CLOSED, "%s", lpx_reason_text(IO_CONN_CLOSED));
    io_conn_end(conn, why, &note);
}

static bool wants_bytes(const io_conn *conn)
{
    return conn->state == CONN_PROXY || conn->state == CONN_HANDSHAKE || conn->state == CONN_LINGERING ||
           (conn->state == CONN_OPEN && !conn->paused);
}

void io_conn_watch_readable(io_conn *conn)
{
    if (!conn->has_events) {
        return;
    }
    if (!wants_bytes(conn)) {
        (void)event_del(&conn->readable);
    } else if (event_add(&conn->readable, NULL) != 0) {
        io_conn_lost(conn, ENOMEM);
    }
}

static void peer_ended(io_conn *conn)
{
    if (conn->ssl == NULL || conn->state == CONN_LINGERING) {
        io_conn_end(conn, LPX_SUCCESS, NULL);
        return;
    }
    lpx_note note;
    lpx_err why = conn->state == CONN_HANDSHAKE
                      ? lpx_fail(&note, IO_TLS_FAILED, "%s closed the connection during the TLS handshake", conn->peer)
                      : lpx_fail(&note, IO_CONN_LOST, "%s ended the connection without the end of TLS", conn->peer);
    io_conn_end(conn, why, &note);
}

static void conn_take(io_conn *conn, lpx_bytes in)
{
    if (conn->state == CONN_LINGERING) {
        conn->lingered += in.len;
        if (conn->lingered > IO_LINGER_BYTES) {
            io_conn_end(conn, LPX_SUCCESS, NULL);
        }
    } else if (conn->ssl != NULL) {
        io_conn_tls_feed(conn, in);
    } else if (conn->events->on_bytes != NULL) {
        conn->events->on_bytes(conn->ctx, in);
    }
}

static void conn_read(io_conn *conn)
{
    if (conn->state == CONN_PROXY) {
        io_conn_proxy_read(conn); /* what follows it makes the socket readable again */
        return;
    }
    if (conn->tls_rest.len > 0 && wants_bytes(conn)) {
        io_conn_tls_resume(conn);
    }
    size_t budget = IO_READ_BYTES_PER_TURN;
    while (budget > 0 && wants_bytes(conn) && conn->tls_rest.len == 0) {
        ssize_t got = recv(conn->fd, conn->loop->read_room, IO_READ_BYTES, 0);
        if (got == 0) {
            peer_ended(conn);
            return;
        }
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                io_conn_lost(conn, errno);
            }
            return;
        }
        conn_take(conn, lpx_bytes_of(conn->loop->read_room, (size_t)got));
        if ((size_t)got < IO_READ_BYTES) {
            return; /* that was all */
        }
        budget -= (size_t)got;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conn_read(arg);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    io_conn *conn = arg;
    if (conn->state == CONN_DIALLING) {
        io_dial_writable(conn);
        return;
    }
    conn->blocked = false;
    io_loop_at_turn_end(conn->loop, &conn->hook);
}

bool io_conn_watch(io_conn *conn)
{
    struct event_base *base = conn->loop->base;
    if (event_assign(&conn->readable, base, conn->fd, EV_READ | EV_PERSIST, on_readable, conn) != 0 ||
        event_assign(&conn->writable, base, conn->fd, EV_WRITE, on_writable, conn) != 0) {
        return false;
    }
    conn->has_events = true;
    return !wants_bytes(conn) || event_add(&conn->readable, NULL) == 0;
}

void io_conn_start(io_conn *conn)
{
    if (conn->ssl == NULL) {
        io_conn_opened(conn);
        return;
    }
    conn->state = CONN_HANDSHAKE;
    io_timer_arm(&conn->timer, IO_HANDSHAKE_TIMEOUT_US);
    io_conn_watch_readable(conn);
    if (conn->state == CONN_HANDSHAKE) {
        io_conn_tls_begin(conn);
    }
}

void io_conn_opened(io_conn *conn)
{
    conn->state = CONN_OPEN;
    io_timer_cancel(&conn->timer);
    io_conn_watch_readable(conn);
    if (conn->state == CONN_OPEN && conn->events->on_open != NULL) {
        conn->events->on_open(conn->ctx);
    }
    if (conn->state == CONN_OPEN && conn->want_fill) {
        io_loop_at_turn_end(conn->loop, &conn->hook);
    }
}

/* Asks the user for bytes and puts them, encrypted as needed, into out. */
static void conn_collect(io_conn *conn)
{
    conn->want_fill = false;
    if (conn->events->fill == NULL) {
        return;
    }
    bool ending = conn->state == CONN_FLUSHING;
    lpx_buf *fill_room = &conn->loop->fill_room;
    lpx_buf *into = conn->ssl != NULL ? fill_room : &conn->out;
    out_open(conn);
    size_t before = into->len;
    conn->events->fill(conn->ctx, into);
    size_t added = into->len - before;
    bool sound = !lpx_buf_failed(into);
    if (conn->ssl != NULL) {
        sound = sound && (added == 0 || io_conn_tls_seal(conn, lpx_buf_view(into)));
        lpx_buf_clear(fill_room);
        if (fill_room->room > IO_KEPT_BUFFER_BYTES) {
            lpx_buf_fini(fill_room);
        }
    }
    if (!sound) {
        lpx_note note;
        lpx_err why = lpx_fail(&note, IO_NO_RESOURCES, "no room for what is to be sent to %s", conn->peer);
        io_conn_end(conn, why, &note);
        return;
    }
    conn->want_fill = conn->want_fill || (added >= IO_FILL_AGAIN_BYTES && !ending);
}

/* The socket fails on writing: what the peer said before it left is read first, it may hold the reason. */
static void conn_send_failed(io_conn *conn, int error)
{
    if (wants_bytes(conn)) {
        conn_read(conn);
    }
    io_conn_lost(conn, error);
}

/* All is flushed: the user is told, the socket stays until the peer has had time to read. */
static void conn_linger(io_conn *conn)
{
    (void)shutdown(conn->fd, SHUT_WR);
    conn->state = CONN_LINGERING;
    io_timer_arm(&conn->timer, IO_LINGER_TIMEOUT_US);
    io_conn_watch_readable(conn);
    lpx_note note;
    lpx_err why = lpx_fail(&note, IO_CONN_CLOSED, "%s", lpx_reason_text(IO_CONN_CLOSED));
    conn->events->on_close(conn->ctx, why, &note);
}

/* One fill and one write. @return true when there is more to fill and the socket takes it */
static bool conn_push_once(io_conn *conn)
{
    if (conn->blocked) {
        return false;
    }
    bool user_side = conn->state == CONN_OPEN || conn->state == CONN_FLUSHING;
    if (user_side && conn->want_fill) {
        conn_collect(conn);
    }
    if (conn->state == CONN_FLUSHING && conn->ssl != NULL) {
        out_open(conn);
        io_conn_tls_goodbye(conn);
    }
    if (conn->state == CONN_GONE || conn->state == CONN_ENDING) {
        return false;
    }
    int error = conn_send(conn);
    if (error != 0) {
        conn_send_failed(conn, error);
        return false;
    }
    if (conn->state == CONN_FLUSHING && !io_conn_has_unsent(conn)) {
        conn_linger(conn);
        return false;
    }
    return conn->want_fill && !conn->blocked && conn->state == CONN_OPEN;
}

/* The write of the turn; several when there is more than one fill holds, so that a connection which is owed much is not
 * held to one fill while a turn takes in far more for it. */
static void conn_push(io_conn *conn)
{
    for (unsigned i = 0; i < IO_FILLS_PER_TURN; i++) {
        if (!conn_push_once(conn)) {
            return;
        }
    }
    io_loop_at_turn_end(conn->loop, &conn->hook);
}

static void conn_turn_end(io_hook *hook)
{
    io_conn *conn = LPX_CONTAINER(hook, io_conn, hook);
    switch (conn->state) {
    case CONN_DIALLING:
        io_dial_begin(conn);
        break;
    case CONN_PROXY:
        break;
    case CONN_HANDSHAKE:
    case CONN_OPEN:
    case CONN_FLUSHING:
        conn_push(conn);
        break;
    case CONN_ENDING:
        conn_end_closed(conn);
        break;
    case CONN_LINGERING:
    case CONN_GONE:
        break;
    }
}

static void conn_timer_fired(io_timer *timer)
{
    io_conn *conn = LPX_CONTAINER(timer, io_conn, timer);
    lpx_note note;
    switch (conn->state) {
    case CONN_DIALLING:
        io_dial_slow(conn);
        break;
    case CONN_PROXY:
        io_conn_proxy_slow(conn);
        break;
    case CONN_HANDSHAKE:
        io_conn_end(conn, lpx_fail(&note, IO_CONN_SLOW, "%s did not finish the TLS handshake in time", conn->peer),
                    &note);
        break;
    case CONN_FLUSHING:
        conn_end_closed(conn);
        break;
    case CONN_LINGERING:
        io_conn_end(conn, LPX_SUCCESS, NULL);
        break;
    case CONN_OPEN:
    case CONN_ENDING:
    case CONN_GONE:
        break;
    }
}

void io_conn_want_write(io_conn *conn)
{
    conn->want_fill = true;
    if (conn->state == CONN_OPEN && !conn->blocked) {
        io_loop_at_turn_end(conn->loop, &conn->hook);
    }
}

void io_conn_set_reading(io_conn *conn, bool reading)
{
    conn->paused = !reading;
    if (conn->state != CONN_OPEN) {
        return;
    }
    io_conn_watch_readable(conn);
    if (reading && conn->tls_rest.len > 0) {
        event_active(&conn->readable, EV_READ, 0);
    }
}

void io_conn_close(io_conn *conn, bool flush)
{
    bool may_flush = flush && conn->state == CONN_OPEN;
    bool open = conn->state < CONN_FLUSHING;
    if (!open && (conn->state != CONN_FLUSHING || flush)) {
        return;
    }
    conn->state = may_flush ? CONN_FLUSHING : CONN_ENDING;
    io_conn_watch_readable(conn);
    if (may_flush) {
        io_timer_arm(&conn->timer, IO_FLUSH_TIMEOUT_US);
    } else {
        io_timer_cancel(&conn->timer);
    }
    io_loop_at_turn_end(conn->loop, &conn->hook);
}

size_t io_conn_unsent(const io_conn *conn)
{
    return conn->out.len - conn->out_sent;
}

const char *io_conn_peer(const io_conn *conn)
{
    return conn->peer;
}

io_loop *io_conn_loop(const io_conn *conn)
{
    return conn->loop;
}
