/* The header that a load balancer puts before a connection. Exactly its bytes are taken from the socket, so that what
 * follows in the same segment stays there for whoever reads next. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "io/conn_priv.h"
#include "lpx_reasons.h"

struct conn_proxy {
    io_proxy_gate *gate;
    size_t have, want; /* want: the fixed part first, then the whole */
    uint8_t header[IO_PROXY_MAX_BYTES];
};

static void refuse(io_conn *conn, lpx_err why, const lpx_note *note)
{
    io_proxy_gate_count(conn->proxy->gate, false);
    io_conn_end(conn, why, note);
}

void io_conn_proxy_start(io_conn *conn, io_proxy_gate *gate)
{
    struct conn_proxy *proxy = malloc(sizeof *proxy);
    if (proxy == NULL) {
        io_conn_lost(conn, ENOMEM);
        return;
    }
    proxy->gate = gate;
    proxy->have = 0;
    proxy->want = IO_PROXY_FIXED_BYTES;
    conn->proxy = proxy;
    io_timer_arm(&conn->timer, IO_PROXY_TIMEOUT_US);
}

/* The header is whole. */
static void take(io_conn *conn)
{
    lpx_note note = {0};
    io_proxy_header header;
    lpx_err err = io_proxy_read(lpx_bytes_of(conn->proxy->header, conn->proxy->have), &header, &note);
    if (lpx_failed(err)) {
        refuse(conn, err, &note);
        return;
    }
    io_proxy_gate_count(conn->proxy->gate, true);
    io_conn_proxy_free(conn);
    io_timer_cancel(&conn->timer);
    if (header.has_peer) {
        io_address_format((const struct sockaddr *)&header.peer, conn->peer);
    }
    io_conn_start(conn);
}

/* More came: is the length known, is the whole there? @return whether more is to be read */
static bool look(io_conn *conn)
{
    struct conn_proxy *proxy = conn->proxy;
    if (proxy->have < proxy->want) {
        return true;
    }
    if (proxy->want == IO_PROXY_FIXED_BYTES) {
        lpx_note note = {0};
        lpx_err err = io_proxy_length(lpx_bytes_of(proxy->header, proxy->have), &proxy->want, &note);
        if (lpx_failed(err)) {
            refuse(conn, err, &note);
            return false;
        }
        if (proxy->have < proxy->want) {
            return true;
        }
    }
    take(conn);
    return false;
}

void io_conn_proxy_read(io_conn *conn)
{
    bool more = true;
    while (more) {
        struct conn_proxy *proxy = conn->proxy;
        ssize_t got = recv(conn->fd, proxy->header + proxy->have, proxy->want - proxy->have, 0);
        if (got == 0) {
            io_conn_end(conn, LPX_SUCCESS, NULL); /* a balancer that only looks whether somebody listens */
            return;
        }
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                io_conn_lost(conn, errno);
            }
            return;
        }
        proxy->have += (size_t)got;
        more = look(conn);
    }
}

void io_conn_proxy_slow(io_conn *conn)
{
    lpx_note note;
    lpx_err why = lpx_fail(&note, IO_CONN_SLOW, "%s did not send its PROXY protocol header in time", conn->peer);
    refuse(conn, why, &note);
}

void io_conn_proxy_free(io_conn *conn)
{
    free(conn->proxy);
    conn->proxy = NULL;
}
