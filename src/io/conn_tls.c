/* TLS of a connection. OpenSSL reads straight from the loop's receive room and writes straight into the connection's
 * send buffer, so that an idle session holds no buffers, and a turn's records leave in one write. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <string.h>

#include "io/conn_priv.h"
#include "lpx_reasons.h"

enum { RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH };

static BIO_METHOD *between;

static int bio_read(BIO *bio, char *out, int len)
{
    io_conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (conn->tls_in.len == 0 || len <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t take = conn->tls_in.len < (size_t)len ? conn->tls_in.len : (size_t)len;
    memcpy(out, conn->tls_in.ptr, take);
    conn->tls_in.ptr += take;
    conn->tls_in.len -= take;
    return (int)take;
}

static int bio_write(BIO *bio, const char *in, int len)
{
    io_conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (len <= 0) {
        return 0;
    }
    lpx_buf_add(&conn->out, lpx_bytes_of(in, (size_t)len));
    return lpx_buf_failed(&conn->out) ? -1 : len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static void make_between(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "io_conn");
    if (method == NULL) {
        return;
    }
    (void)BIO_meth_set_read(method, bio_read);
    (void)BIO_meth_set_write(method, bio_write);
    (void)BIO_meth_set_ctrl(method, bio_ctrl);
    between = method;
}

bool io_conn_tls_attach(io_conn *conn)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_between);
    BIO *bio = between != NULL ? BIO_new(between) : NULL;
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, conn);
    BIO_set_init(bio, 1);
    SSL_set_bio(conn->ssl, bio, bio);
    return true;
}

/* code: of OpenSSL's error queue, 0 for none. */
static void tls_failed(io_conn *conn, unsigned long code)
{
    lpx_note note;
    long verdict = SSL_get_verify_result(conn->ssl);
    if (verdict != X509_V_OK && SSL_get_verify_mode(conn->ssl) != SSL_VERIFY_NONE) {
        lpx_err why = lpx_fail(&note, IO_TLS_UNTRUSTED, "the certificate of %s is not trusted: %s", conn->peer,
                               X509_verify_cert_error_string(verdict));
        io_conn_end(conn, why, &note);
        return;
    }
    const char *words = ERR_reason_error_string(code);
    bool shaking = conn->state == CONN_HANDSHAKE;
    lpx_err why = lpx_fail(&note, shaking ? IO_TLS_FAILED : IO_CONN_LOST, "TLS with %s failed: %s", conn->peer,
                           words != NULL ? words : "no reason given");
    io_conn_end(conn, why, &note);
}

static void shake(io_conn *conn)
{
    ERR_clear_error();
    int done = SSL_do_handshake(conn->ssl);
    if (done == 1) {
        (void)io_tls_session_fingerprint(conn->ssl, conn->fingerprint);
        io_conn_opened(conn);
    } else if (SSL_get_error(conn->ssl, done) != SSL_ERROR_WANT_READ) {
        tls_failed(conn, ERR_peek_error());
    }
}

/* Decrypts as much as there is room for and hands it up. @return whether there may be more */
static bool open_records(io_conn *conn)
{
    uint8_t *room = conn->loop->clear_room;
    size_t got = 0;
    int last = 0;
    ERR_clear_error();
    do {
        last = SSL_read(conn->ssl, room + got, (int)(IO_READ_BYTES - got));
        got += last > 0 ? (size_t)last : 0;
    } while (last > 0 && IO_READ_BYTES - got >= RECORD_BYTES);
    int error = last > 0 ? SSL_ERROR_NONE : SSL_get_error(conn->ssl, last);
    unsigned long code = ERR_peek_error();
    if (got > 0 && conn->events->on_bytes != NULL) {
        conn->events->on_bytes(conn->ctx, lpx_bytes_of(room, got));
    }
    if (conn->state != CONN_OPEN || error == SSL_ERROR_WANT_READ) {
        return false;
    }
    if (error == SSL_ERROR_ZERO_RETURN) {
        io_conn_end(conn, LPX_SUCCESS, NULL);
    } else if (error != SSL_ERROR_NONE) {
        tls_failed(conn, code);
    }
    return error == SSL_ERROR_NONE;
}

/* What TLS itself has to say (handshake, tickets, key updates) leaves with the turn's write. */
static void send_soon(io_conn *conn)
{
    bool alive = conn->state == CONN_HANDSHAKE || conn->state == CONN_OPEN;
    if (alive && io_conn_has_unsent(conn) && !conn->blocked) {
        io_loop_at_turn_end(conn->loop, &conn->hook);
    }
}

void io_conn_tls_feed(io_conn *conn, lpx_bytes in)
{
    conn->tls_in = in;
    if (conn->state == CONN_HANDSHAKE) {
        shake(conn);
    }
    while (conn->state == CONN_OPEN && !conn->paused && open_records(conn)) {
    }
    if (conn->state == CONN_OPEN && conn->tls_in.len > 0) {
        lpx_buf_add(&conn->tls_rest, conn->tls_in);
        if (lpx_buf_failed(&conn->tls_rest)) {
            io_conn_lost(conn, ENOMEM);
        }
    }
    conn->tls_in = (lpx_bytes){0};
    send_soon(conn);
}

void io_conn_tls_resume(io_conn *conn)
{
    lpx_buf rest = conn->tls_rest;
    lpx_buf_init(&conn->tls_rest, IO_READ_BYTES);
    io_conn_tls_feed(conn, lpx_buf_view(&rest));
    lpx_buf_fini(&rest);
}

void io_conn_tls_begin(io_conn *conn)
{
    if (!SSL_is_server(conn->ssl)) {
        shake(conn);
        send_soon(conn);
    }
}

bool io_conn_tls_seal(io_conn *conn, lpx_bytes plain)
{
    ERR_clear_error();
    size_t done = 0;
    return SSL_write_ex(conn->ssl, plain.ptr, plain.len, &done) == 1 && done == plain.len;
}

void io_conn_tls_goodbye(io_conn *conn)
{
    if (!conn->said_goodbye && SSL_is_init_finished(conn->ssl)) {
        conn->said_goodbye = true;
        ERR_clear_error();
        (void)SSL_shutdown(conn->ssl);
    }
}

void io_conn_tls_free(io_conn *conn)
{
    SSL_free(conn->ssl);
    conn->ssl = NULL;
}

lpx_str io_conn_alpn(const io_conn *conn)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    if (conn->ssl != NULL) {
        SSL_get0_alpn_selected(conn->ssl, &name, &len);
    }
    return lpx_bytes_str(lpx_bytes_of(name, len));
}

const char *io_conn_peer_fingerprint(const io_conn *conn)
{
    return conn->fingerprint;
}

bool io_conn_peer_cert(const io_conn *conn, io_peer_cert *out)
{
    return conn->ssl != NULL && io_tls_session_cert(conn->ssl, out);
}
