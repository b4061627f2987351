/* Helpers of this folder's tests: certificates, and two ends of a connection that send and check a known stream.
 * Tests only. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/x509.h"
#include "io/conn.h"

enum { TEST_LONG_US = 60 * 1000000, TEST_PATH_BYTES = 128 };

/** A folder with a CA, certificates of a server and a client, and their keys. */
typedef struct test_certs {
    char folder[64];
    char ca[TEST_PATH_BYTES], ca_key[TEST_PATH_BYTES];
    char server[TEST_PATH_BYTES], server_key[TEST_PATH_BYTES];
    char client[TEST_PATH_BYTES], client_key[TEST_PATH_BYTES];
} test_certs;

static inline void test_certs_issue(const test_certs *c, bool client, const char *cert, const char *key)
{
    lpx_note note = {0};
    crypto_cert_opts opts = {.ca_cert_file = c->ca,
                             .ca_key_file = c->ca_key,
                             .cert_file = cert,
                             .key_file = key,
                             .common_name = client ? "client" : "server",
                             .client = client,
                             .now = {(int64_t)time(NULL) * 1000000}};
    lpx_err err = crypto_cert_issue(&opts, &note);
    if (lpx_failed(err)) {
        fail_msg("%s", note.text);
    }
}

/** Make a CA in the folder, in place of an earlier one, and certificates signed by it. */
static inline void test_certs_make(test_certs *c)
{
    lpx_note note = {0};
    lpx_utc now = {(int64_t)time(NULL) * 1000000};
    if (lpx_failed(crypto_ca_create(c->ca, c->ca_key, "test CA", now, &note))) {
        fail_msg("%s", note.text);
    }
    test_certs_issue(c, false, c->server, c->server_key);
    test_certs_issue(c, true, c->client, c->client_key);
}

static inline void test_certs_begin(test_certs *c)
{
    (void)snprintf(c->folder, sizeof c->folder, "/tmp/lpx-io-test-XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    (void)snprintf(c->ca, sizeof c->ca, "%s/ca.pem", c->folder);
    (void)snprintf(c->ca_key, sizeof c->ca_key, "%s/ca.key", c->folder);
    (void)snprintf(c->server, sizeof c->server, "%s/server.pem", c->folder);
    (void)snprintf(c->server_key, sizeof c->server_key, "%s/server.key", c->folder);
    (void)snprintf(c->client, sizeof c->client, "%s/client.pem", c->folder);
    (void)snprintf(c->client_key, sizeof c->client_key, "%s/client.key", c->folder);
    test_certs_make(c);
}

static inline void test_certs_end(const test_certs *c)
{
    const char *files[] = {c->ca, c->ca_key, c->server, c->server_key, c->client, c->client_key};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)unlink(files[i]);
    }
    (void)rmdir(c->folder);
}

static inline io_tls *test_tls_server(const test_certs *c, const char *const *alpn)
{
    lpx_note note = {0};
    io_tls *tls = NULL;
    io_tls_server_opts opts = {.cert_file = c->server, .key_file = c->server_key, .alpn = alpn};
    if (lpx_failed(io_tls_server_new(&opts, &tls, &note))) {
        fail_msg("%s", note.text);
    }
    return tls;
}

static inline io_tls *test_tls_client(const test_certs *c, const char *const *alpn)
{
    lpx_note note = {0};
    io_tls *tls = NULL;
    io_tls_client_opts opts = {.ca_file = c->ca, .alpn = alpn};
    if (lpx_failed(io_tls_client_new(&opts, &tls, &note))) {
        fail_msg("%s", note.text);
    }
    return tls;
}

/** Where a test end closes the connection by itself. */
typedef enum test_close_at {
    TEST_CLOSE_NEVER,
    TEST_CLOSE_IN_OPEN,
    TEST_CLOSE_IN_BYTES, /* when bytes_in reaches close_mark */
    TEST_CLOSE_IN_FILL,  /* when bytes_out reaches close_mark */
} test_close_at;

/** One end of a connection. Byte i of what it sends is test_byte(i); what it receives must be the same stream. */
typedef struct test_end {
    io_conn *conn; /* NULL after on_close */
    uint64_t to_send;
    uint64_t bytes_out; /* given by fill */
    uint64_t bytes_in;
    size_t fill_step; /* bytes of one fill; 0: 64 KiB */
    test_close_at close_at;
    uint64_t close_mark;
    bool close_flush;
    bool closing; /* it called io_conn_close */
    bool pause_after_bytes, pause_in_open;
    int opens, fills, closes;
    lpx_err why;
    lpx_note note;
    char alpn[16];
} test_end;

static inline uint8_t test_byte(uint64_t i)
{
    return (uint8_t)(i * 31 ^ i >> 8 ^ i >> 16);
}

static inline void test_end_close(test_end *end)
{
    end->closing = true;
    io_conn_close(end->conn, end->close_flush);
}

static inline void test_on_open(void *ctx)
{
    test_end *end = ctx;
    assert_int_equal(end->opens, 0);
    assert_int_equal(end->closes, 0);
    end->opens++;
    lpx_str alpn = io_conn_alpn(end->conn);
    (void)snprintf(end->alpn, sizeof end->alpn, "%.*s", (int)alpn.len, alpn.ptr);
    if (end->pause_in_open) {
        io_conn_set_reading(end->conn, false);
    }
    if (end->close_at == TEST_CLOSE_IN_OPEN) {
        test_end_close(end);
    } else if (end->to_send > 0) {
        io_conn_want_write(end->conn);
    }
}

static inline void test_on_bytes(void *ctx, lpx_bytes in)
{
    test_end *end = ctx;
    assert_int_equal(end->opens, 1);
    assert_int_equal(end->closes, 0);
    assert_false(end->closing);
    assert_true(in.len > 0);
    for (size_t i = 0; i < in.len; i++) {
        if (in.ptr[i] != test_byte(end->bytes_in + i)) {
            fail_msg("byte %llu is wrong", (unsigned long long)(end->bytes_in + i));
        }
    }
    end->bytes_in += in.len;
    if (end->close_at == TEST_CLOSE_IN_BYTES && end->bytes_in >= end->close_mark) {
        test_end_close(end);
    } else if (end->pause_after_bytes) {
        io_conn_set_reading(end->conn, false);
    }
}

static inline void test_fill(void *ctx, lpx_buf *out)
{
    test_end *end = ctx;
    assert_int_equal(end->opens, 1);
    assert_int_equal(end->closes, 0);
    end->fills++;
    uint64_t left = end->to_send - end->bytes_out;
    size_t step = end->fill_step > 0 ? end->fill_step : 64 * 1024;
    size_t count = left < step ? (size_t)left : step;
    uint8_t *room = lpx_buf_reserve(out, count);
    assert_non_null(room);
    for (size_t i = 0; i < count; i++) {
        room[i] = test_byte(end->bytes_out + i);
    }
    lpx_buf_grown(out, count);
    end->bytes_out += count;
    if (end->close_at == TEST_CLOSE_IN_FILL && end->bytes_out >= end->close_mark && !end->closing) {
        test_end_close(end);
    } else if (end->bytes_out < end->to_send) {
        io_conn_want_write(end->conn);
    }
}

static inline void test_on_close(void *ctx, lpx_err why, const lpx_note *note)
{
    test_end *end = ctx;
    assert_int_equal(end->closes, 0);
    end->closes++;
    end->why = why;
    end->note = *note;
    assert_true(io_conn_peer(end->conn)[0] != 0);
    io_conn_close(end->conn, false); /* harmless by now */
    io_conn_want_write(end->conn);
    end->conn = NULL;
}

static const io_conn_events test_events = {test_on_open, test_on_bytes, test_fill, test_on_close};

/** Accepts one connection for ctx, a test_end; refuses further ones. */
static inline bool test_accept(void *ctx, io_conn *conn, const io_conn_events **events, void **conn_ctx)
{
    test_end *end = ctx;
    if (end->conn != NULL || end->closes > 0) {
        return false;
    }
    end->conn = conn;
    *events = &test_events;
    *conn_ctx = end;
    return true;
}

/** Turn the loop until the condition holds. */
#define TEST_TURN_UNTIL(loop, condition)        \
    do {                                        \
        while (!(condition)) {                  \
            io_loop_turn((loop), TEST_LONG_US); \
        }                                       \
    } while (0)
