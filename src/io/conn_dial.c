/* Outgoing connections: look the name up, then try its addresses one after the other. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/conn_priv.h"
#include "io/lookup.h"
#include "lpx_reasons.h"

struct conn_dial {
    io_address address;
    io_lookup *lookup;
    struct addrinfo *list;
    const struct addrinfo *next; /* NULL: no address left */
    bool begun;
    int error; /* errno of the last address */
};

bool io_dial_start(io_conn *conn, const io_address *address)
{
    conn->dial = calloc(1, sizeof *conn->dial);
    if (conn->dial == NULL) {
        return false;
    }
    conn->dial->address = *address;
    conn->dial->error = ECONNREFUSED;
    (void)snprintf(conn->peer, sizeof conn->peer, "%.64s:%u", address->host, (unsigned)address->port);
    io_loop_at_turn_end(conn->loop, &conn->hook);
    return true;
}

void io_dial_free(io_conn *conn)
{
    if (conn->dial == NULL) {
        return;
    }
    io_lookup_cancel(&conn->dial->lookup);
    if (conn->dial->list != NULL) {
        freeaddrinfo(conn->dial->list);
    }
    free(conn->dial);
    conn->dial = NULL;
}

/* The socket of one address that did not work out. */
static void hang_up(io_conn *conn)
{
    if (conn->has_events) {
        (void)event_del(&conn->writable);
        conn->has_events = false;
    }
    if (conn->fd >= 0) {
        (void)close(conn->fd);
        conn->fd = -1;
    }
}

static bool call(io_conn *conn, const struct addrinfo *a)
{
    int on = 1;
    io_address_format(a->ai_addr, conn->peer);
    conn->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        return false;
    }
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(conn->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
        return false;
    }
    if (!io_conn_watch(conn) || event_add(&conn->writable, NULL) != 0) {
        errno = ENOMEM;
        return false;
    }
    io_timer_arm(&conn->timer, IO_CONNECT_TIMEOUT_US);
    return true;
}

static void dial_next(io_conn *conn)
{
    conn_dial *dial = conn->dial;
    while (dial->next != NULL) {
        const struct addrinfo *a = dial->next;
        dial->next = a->ai_next;
        if (call(conn, a)) {
            return;
        }
        dial->error = errno;
        hang_up(conn);
    }
    lpx_note note;
    lpx_err why = lpx_fail(&note, IO_CONNECT_FAILED, "cannot connect to %s port %u: %s", dial->address.host,
                           (unsigned)dial->address.port, strerror(dial->error));
    io_conn_end(conn, why, &note);
}

static void dial_found(void *ctx, int code, struct addrinfo *list)
{
    io_conn *conn = ctx;
    conn_dial *dial = conn->dial;
    dial->lookup = NULL;
    if (code != 0) {
        lpx_note note;
        lpx_err why = lpx_fail(&note, IO_NAME_UNKNOWN, "cannot find the address of %s: %s", dial->address.host,
                               gai_strerror(code));
        io_conn_end(conn, why, &note);
        return;
    }
    dial->list = list;
    dial->next = list;
    dial_next(conn);
}

void io_dial_begin(io_conn *conn)
{
    conn_dial *dial = conn->dial;
    if (dial->begun) {
        return;
    }
    dial->begun = true;
    /* An address in digits needs no name service and does not block. */
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)dial->address.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    if (getaddrinfo(dial->address.host, port, &hints, &list) == 0) {
        dial_found(conn, 0, list);
        return;
    }
    dial->lookup = io_lookup_start(conn->loop, &dial->address, dial_found, conn);
    if (dial->lookup == NULL) {
        lpx_note note;
        io_conn_end(conn, lpx_fail(&note, IO_NO_RESOURCES, "no thread to look up %s", dial->address.host), &note);
    }
}

void io_dial_writable(io_conn *conn)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error != 0) {
        conn->dial->error = error;
        hang_up(conn);
        dial_next(conn);
        return;
    }
    io_timer_cancel(&conn->timer);
    io_dial_free(conn);
    io_conn_start(conn);
}

void io_dial_slow(io_conn *conn)
{
    conn->dial->error = ETIMEDOUT;
    hang_up(conn);
    dial_next(conn);
}

LPX_RESULT io_connect(io_loop *loop, const char *address, io_tls *tls, const io_conn_events *events, void *ctx,
                      io_conn **out, lpx_note *note)
{
    io_address parsed;
    LPX_TRY(io_address_parse(lpx_str_of(address), &parsed, note));
    if (parsed.host[0] == 0 || parsed.port == 0) {
        return lpx_fail(note, IO_ADDRESS_BAD, "\"%.100s\" cannot be connected to: want a host and a port above 0",
                        address);
    }
    struct ssl_st *ssl = NULL;
    if (tls != NULL) {
        ssl = io_tls_session_new(tls, parsed.host);
        if (ssl == NULL) {
            return lpx_fail(note, IO_NO_RESOURCES, "no memory for a TLS session with %s", parsed.host);
        }
    }
    io_conn *conn = io_conn_new(loop, ssl, CONN_DIALLING);
    if (conn == NULL || !io_dial_start(conn, &parsed)) {
        if (conn != NULL) {
            io_conn_discard(conn);
        }
        return lpx_fail(note, IO_NO_RESOURCES, "no memory for a connection to %s", parsed.host);
    }
    conn->events = events;
    conn->ctx = ctx;
    *out = conn;
    return LPX_SUCCESS;
}
