/* TLS contexts: ALPN, trust, client certificates, reload under live connections, loops on several threads. */
#include "io/tls.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/conn_priv.h"
#include "io/io_test.h"
#include "io/thread.h"
#include "lpx_reasons.h"

static test_certs certs;

static const char *const only_h2[] = {"h2", NULL};
static const char *const h2_and_http1[] = {"h2", "http/1.1", NULL};
static const char *const http1_and_h2[] = {"http/1.1", "h2", NULL};
static const char *const only_other[] = {"other", NULL};

/* One connection attempt between two contexts, until both ends opened or closed. */
typedef struct attempt {
    io_loop *loop;
    io_listener *listener;
    test_end server, client;
} attempt;

static void attempt_begin(attempt *a, io_tls *server, io_tls *client)
{
    lpx_note note = {0};
    char address[32];
    a->loop = io_loop_new(0);
    assert_false(lpx_failed(io_listen(
        a->loop, &(io_listen_opts){.address = "127.0.0.1:0", .tls = server, .accept = test_accept, .ctx = &a->server},
        &a->listener, &note)));
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)io_listener_port(a->listener));
    assert_false(lpx_failed(io_connect(a->loop, address, client, &test_events, &a->client, &a->client.conn, &note)));
    TEST_TURN_UNTIL(a->loop, a->server.opens + a->server.closes > 0 && a->client.opens + a->client.closes > 0);
}

static void attempt_end(attempt *a)
{
    io_listener_free(&a->listener);
    io_loop_free(&a->loop);
}

static void check_alpn(const char *const *server_names, const char *const *client_names, const char *agreed)
{
    io_tls *server = test_tls_server(&certs, server_names);
    io_tls *client = test_tls_client(&certs, client_names);
    attempt a = {0};
    attempt_begin(&a, server, client);
    if (agreed != NULL) {
        assert_string_equal(a.server.alpn, agreed);
        assert_string_equal(a.client.alpn, agreed);
    } else {
        TEST_TURN_UNTIL(a.loop, a.server.closes > 0 && a.client.closes > 0);
        assert_int_equal(a.server.opens + a.client.opens, 0);
        assert_int_equal(a.server.why.reason, IO_TLS_FAILED);
        assert_int_equal(a.client.why.reason, IO_TLS_FAILED);
        assert_non_null(strstr(a.client.note.text, "no application protocol"));
    }
    attempt_end(&a);
    io_tls_free(&server);
    io_tls_free(&client);
    assert_null(server);
}

static void test_alpn(void **state)
{
    (void)state;
    check_alpn(only_h2, only_h2, "h2");
    check_alpn(h2_and_http1, http1_and_h2, "h2"); /* the server's preference */
    check_alpn(http1_and_h2, only_h2, "h2");
    check_alpn(h2_and_http1, NULL, ""); /* not asked for: the layer above decides */
    check_alpn(NULL, only_h2, "");
    check_alpn(only_h2, only_other, NULL);
}

static void check_untrusted(io_tls *server, io_tls *client, const char *words)
{
    attempt a = {0};
    attempt_begin(&a, server, client);
    TEST_TURN_UNTIL(a.loop, a.client.closes > 0);
    assert_int_equal(a.client.opens, 0);
    assert_int_equal(a.client.why.reason, IO_TLS_UNTRUSTED);
    assert_non_null(strstr(a.client.note.text, words));
    attempt_end(&a);
    io_tls_free(&client);
}

static void test_server_certificate_is_checked(void **state)
{
    (void)state;
    lpx_note note = {0};
    io_tls *client = NULL;
    io_tls *server = test_tls_server(&certs, NULL);
    /* Signed by somebody else. */
    test_certs others = {0};
    test_certs_begin(&others);
    check_untrusted(server, test_tls_client(&others, NULL), "not trusted");
    /* Not among the roots of the system. */
    assert_false(lpx_failed(io_tls_client_new(&(io_tls_client_opts){0}, &client, &note)));
    check_untrusted(server, client, "not trusted");
    /* Looked away, for tests. */
    io_tls_client_opts blind = {.insecure_no_verify = true};
    assert_false(lpx_failed(io_tls_client_new(&blind, &client, &note)));
    attempt a = {0};
    attempt_begin(&a, server, client);
    assert_int_equal(a.client.opens, 1);
    attempt_end(&a);
    io_tls_free(&client);
    io_tls_free(&server);
    test_certs_end(&others);
}

/* Right signer, wrong host: the server is called by an address and by a name that its certificate does not hold. */
static void test_server_name_is_checked(void **state)
{
    (void)state;
    lpx_note note = {0};
    char address[32];
    io_tls *server = test_tls_server(&certs, NULL);
    io_tls *client = test_tls_client(&certs, NULL);
    static const char *const wrong[] = {"127.0.0.2", "other.example", "localhost.example", "127.0.0.10"};
    static const char *const right[] = {"127.0.0.1", "localhost", "LOCALHOST", "::1"};
    for (int i = 0; i < 8; i++) {
        bool trusted = i >= 4;
        attempt a = {.loop = io_loop_new(0)};
        assert_false(lpx_failed(io_listen(
            a.loop, &(io_listen_opts){.address = "127.0.0.1:0", .tls = server, .accept = test_accept, .ctx = &a.server},
            &a.listener, &note)));
        (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)io_listener_port(a.listener));
        assert_false(lpx_failed(io_connect(a.loop, address, client, &test_events, &a.client, &a.client.conn, &note)));
        /* As if the name service had sent us here. */
        io_tls_session_free(a.client.conn->ssl);
        a.client.conn->ssl = io_tls_session_new(client, trusted ? right[i - 4] : wrong[i]);
        assert_true(io_conn_tls_attach(a.client.conn));
        TEST_TURN_UNTIL(a.loop, a.client.opens + a.client.closes > 0);
        assert_int_equal(a.client.opens, trusted ? 1 : 0);
        assert_int_equal(a.client.why.reason, trusted ? 0 : IO_TLS_UNTRUSTED);
        assert_true(trusted || strstr(a.client.note.text, "mismatch") != NULL);
        attempt_end(&a);
    }
    io_tls_free(&server);
    io_tls_free(&client);
}

static void test_client_certificates(void **state)
{
    (void)state;
    lpx_note note = {0};
    io_tls *server = NULL;
    io_tls_server_opts opts = {.cert_file = certs.server,
                               .key_file = certs.server_key,
                               .client_ca_files = (const char *const[]){certs.ca, NULL},
                               .client_cert_required = true};
    assert_false(lpx_failed(io_tls_server_new(&opts, &server, &note)));

    io_tls *with = NULL;
    io_tls_client_opts with_opts = {.ca_file = certs.ca, .cert_file = certs.client, .key_file = certs.client_key};
    assert_false(lpx_failed(io_tls_client_new(&with_opts, &with, &note)));
    attempt a = {.client.to_send = 10};
    attempt_begin(&a, server, with);
    TEST_TURN_UNTIL(a.loop, a.server.bytes_in == 10);
    io_peer_cert shown = {0};
    crypto_cert_info file = {0};
    assert_true(io_conn_peer_cert(a.server.conn, &shown));
    assert_false(lpx_failed(crypto_cert_read(certs.client, &file, &note)));
    assert_string_equal(shown.fingerprint, file.fingerprint);
    assert_string_equal(shown.subject, "CN=client");
    assert_string_equal(shown.issuer, "CN=test CA");
    attempt_end(&a);

    io_tls *without = test_tls_client(&certs, NULL);
    a = (attempt){0};
    attempt_begin(&a, server, without);
    TEST_TURN_UNTIL(a.loop, a.server.closes > 0 && a.client.closes > 0);
    assert_int_equal(a.server.opens, 0);
    assert_int_equal(a.server.why.reason, IO_TLS_FAILED);
    assert_non_null(strstr(a.client.note.text, "certificate required")); /* the alert arrives and is told */
    attempt_end(&a);

    test_certs others = {0};
    test_certs_begin(&others);
    io_tls *wrong = NULL;
    io_tls_client_opts wrong_opts = {.ca_file = certs.ca, .cert_file = others.client, .key_file = others.client_key};
    assert_false(lpx_failed(io_tls_client_new(&wrong_opts, &wrong, &note)));
    a = (attempt){0};
    attempt_begin(&a, server, wrong);
    TEST_TURN_UNTIL(a.loop, a.server.closes > 0 && a.client.closes > 0);
    assert_int_equal(a.server.why.reason, IO_TLS_UNTRUSTED);
    attempt_end(&a);
    test_certs_end(&others);
    io_tls_free(&server);
    io_tls_free(&with);
    io_tls_free(&without);
    io_tls_free(&wrong);
}

/* What the server makes of a client with this certificate: opened with it, or ended with why. */
static void show_cert(io_tls *server, const char *cert, const char *key, attempt *a)
{
    lpx_note note = {0};
    io_tls *client = NULL;
    io_tls_client_opts opts = {.ca_file = certs.ca, .cert_file = cert, .key_file = key};
    assert_false(lpx_failed(io_tls_client_new(&opts, &client, &note)));
    *a = (attempt){0};
    attempt_begin(a, server, client);
    TEST_TURN_UNTIL(a->loop, a->server.opens + a->server.closes > 0);
    io_tls_free(&client);
}

/* Certificates of two CAs are welcome; one for servers is not, though it comes from the same CA; none need be shown. */
static void test_whose_certificates(void **state)
{
    (void)state;
    lpx_note note = {0};
    test_certs others = {0};
    test_certs_begin(&others);
    const char *const both[] = {certs.ca, others.ca, NULL};
    io_tls *server = NULL;
    io_tls_server_opts opts = {.cert_file = certs.server, .key_file = certs.server_key, .client_ca_files = both};
    assert_false(lpx_failed(io_tls_server_new(&opts, &server, &note)));
    attempt a;
    show_cert(server, NULL, NULL, &a);
    assert_int_equal(a.server.opens, 1);
    assert_string_equal(io_conn_peer_fingerprint(a.server.conn), "");
    attempt_end(&a);
    const char *const good[][2] = {{certs.client, certs.client_key}, {others.client, others.client_key}};
    for (size_t i = 0; i < 2; i++) {
        crypto_cert_info file = {0};
        show_cert(server, good[i][0], good[i][1], &a);
        assert_false(lpx_failed(crypto_cert_read(good[i][0], &file, &note)));
        assert_string_equal(io_conn_peer_fingerprint(a.server.conn), file.fingerprint);
        attempt_end(&a);
    }
    show_cert(server, certs.server, certs.server_key, &a);
    assert_int_equal(a.server.opens, 0);
    assert_int_equal(a.server.why.reason, IO_TLS_UNTRUSTED);
    attempt_end(&a);
    /* A reload takes what the files hold then: another CA. */
    test_certs_make(&others);
    show_cert(server, others.client, others.client_key, &a);
    assert_int_equal(a.server.opens, 0);
    attempt_end(&a);
    assert_false(lpx_failed(io_tls_reload(server, &note)));
    show_cert(server, others.client, others.client_key, &a);
    assert_int_equal(a.server.opens, 1);
    attempt_end(&a);
    io_tls_free(&server);
    test_certs_end(&others);
}

/* What is named is trusted, though the CA above it is not: a part of a large CA, at the least one certificate. */
static void test_a_part_of_a_ca(void **state)
{
    (void)state;
    lpx_note note = {0};
    char second[TEST_PATH_BYTES], second_key[TEST_PATH_BYTES];
    (void)snprintf(second, sizeof second, "%s/second.pem", certs.folder);
    (void)snprintf(second_key, sizeof second_key, "%s/second.key", certs.folder);
    test_certs_issue(&certs, true, second, second_key);
    io_tls *server = NULL;
    io_tls_server_opts opts = {.cert_file = certs.server,
                               .key_file = certs.server_key,
                               .client_ca_files = (const char *const[]){certs.client, NULL}};
    assert_false(lpx_failed(io_tls_server_new(&opts, &server, &note)));
    attempt a;
    show_cert(server, certs.client, certs.client_key, &a);
    assert_int_equal(a.server.opens, 1);
    attempt_end(&a);
    show_cert(server, second, second_key, &a);
    assert_int_equal(a.server.opens, 0);
    assert_int_equal(a.server.why.reason, IO_TLS_UNTRUSTED);
    attempt_end(&a);
    io_tls_free(&server);
    (void)unlink(second);
    (void)unlink(second_key);
}

static void exchange(attempt *a, uint64_t more)
{
    a->client.to_send += more;
    io_conn_want_write(a->client.conn);
    TEST_TURN_UNTIL(a->loop, a->server.bytes_in == a->client.to_send);
}

static void test_reload(void **state)
{
    (void)state;
    lpx_note note = {0};
    test_certs mine = {0};
    test_certs_begin(&mine);
    io_tls *server = test_tls_server(&mine, only_h2);
    io_tls *old_client = test_tls_client(&mine, only_h2);
    attempt old = {0};
    attempt_begin(&old, server, old_client);
    exchange(&old, 1000);

    test_certs_make(&mine); /* another CA in the same files */
    io_tls *new_client = test_tls_client(&mine, only_h2);
    attempt a = {0};
    attempt_begin(&a, server, new_client);
    assert_int_equal(a.client.why.reason, IO_TLS_UNTRUSTED); /* the server still shows the old one */
    attempt_end(&a);
    assert_false(lpx_failed(io_tls_reload(server, &note)));
    a = (attempt){0};
    attempt_begin(&a, server, new_client);
    assert_string_equal(a.client.alpn, "h2");
    exchange(&a, 5);
    exchange(&old, 100000); /* lives on */
    attempt_end(&a);

    /* A broken file changes nothing. */
    FILE *file = fopen(mine.server_key, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(io_tls_reload(server, &note).reason, IO_TLS_FILE_BAD);
    assert_non_null(strstr(note.text, mine.server_key));
    a = (attempt){0};
    attempt_begin(&a, server, new_client);
    assert_int_equal(a.client.opens, 1);
    attempt_end(&a);

    io_tls_free(&server); /* connections hold references of their own */
    exchange(&old, 100000);
    attempt_end(&old);
    io_tls_free(&old_client);
    io_tls_free(&new_client);
    test_certs_end(&mine);
}

static void test_bad_files(void **state)
{
    (void)state;
    lpx_note note = {0};
    io_tls *tls = NULL;
    io_tls_server_opts missing = {.cert_file = "/nonexistent/cert.pem", .key_file = certs.server_key};
    assert_int_equal(io_tls_server_new(&missing, &tls, &note).reason, IO_TLS_FILE_BAD);
    assert_non_null(strstr(note.text, "/nonexistent/cert.pem"));
    io_tls_server_opts other_key = {.cert_file = certs.server, .key_file = certs.client_key};
    assert_int_equal(io_tls_server_new(&other_key, &tls, &note).reason, IO_TLS_FILE_BAD);
    io_tls_server_opts no_key = {.cert_file = certs.server};
    assert_int_equal(io_tls_server_new(&no_key, &tls, &note).reason, IO_TLS_FILE_BAD);
    io_tls_client_opts no_ca = {.ca_file = "/nonexistent/ca.pem"};
    assert_int_equal(io_tls_client_new(&no_ca, &tls, &note).reason, IO_TLS_FILE_BAD);
    io_tls_client_opts not_ca = {.ca_file = certs.server_key};
    assert_int_equal(io_tls_client_new(&not_ca, &tls, &note).reason, IO_TLS_FILE_BAD);
    io_tls_server_opts bad_client_ca = {.cert_file = certs.server,
                                        .key_file = certs.server_key,
                                        .client_ca_files = (const char *const[]){"/nonexistent/ca.pem", NULL}};
    assert_int_equal(io_tls_server_new(&bad_client_ca, &tls, &note).reason, IO_TLS_FILE_BAD);
    assert_null(tls);
    io_tls_free(&tls);
}

/* The TCP stream ends without the end of TLS: what came may be cut short. */
static void test_truncation_is_told(void **state)
{
    (void)state;
    io_tls *server = test_tls_server(&certs, NULL);
    io_tls *client = test_tls_client(&certs, NULL);
    attempt a = {0};
    attempt_begin(&a, server, client);
    io_peer_cert none;
    assert_false(io_conn_peer_cert(a.server.conn, &none)); /* nothing was asked for */
    (void)shutdown(a.client.conn->fd, SHUT_RDWR);
    TEST_TURN_UNTIL(a.loop, a.server.closes > 0);
    assert_int_equal(a.server.why.reason, IO_CONN_LOST);
    attempt_end(&a);

    /* Bytes that are no record. */
    a = (attempt){0};
    attempt_begin(&a, server, client);
    exchange(&a, 10);
    assert_true(send(a.client.conn->fd, "garbage that is no TLS record", 29, 0) == 29);
    TEST_TURN_UNTIL(a.loop, a.server.closes > 0);
    assert_int_equal(a.server.why.reason, IO_CONN_LOST);
    attempt_end(&a);
    io_tls_free(&server);
    io_tls_free(&client);
}

/* A server loop on its own thread while the certificate is reloaded over and over. */
enum { CALLS = 20, CALL_BYTES = 300000 };

typedef struct remote_server {
    io_loop *loop;
    io_listener *listener;
    test_end ends[CALLS];
    size_t accepted;
} remote_server;

static bool accept_next(void *ctx, io_conn *conn, const io_conn_events **events, void **conn_ctx)
{
    remote_server *s = ctx;
    if (s->accepted == CALLS) {
        return false;
    }
    test_end *end = &s->ends[s->accepted++];
    *end = (test_end){.conn = conn, .to_send = CALL_BYTES};
    *events = &test_events;
    *conn_ctx = end;
    return true;
}

static void test_reload_while_threads_serve(void **state)
{
    (void)state;
    lpx_note note = {0};
    char address[32];
    io_tls *server_tls = test_tls_server(&certs, only_h2);
    io_tls *client_tls = test_tls_client(&certs, only_h2);
    remote_server s = {.loop = io_loop_new(1)};
    io_thread *thread = NULL;
    assert_false(lpx_failed(io_listen(
        s.loop, &(io_listen_opts){.address = "127.0.0.1:0", .tls = server_tls, .accept = accept_next, .ctx = &s},
        &s.listener, &note)));
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)io_listener_port(s.listener));
    assert_false(lpx_failed(io_thread_start(s.loop, "server", &thread)));
    io_loop *loop = io_loop_new(0);
    for (int i = 0; i < CALLS; i++) {
        test_end client = {.to_send = CALL_BYTES, .close_flush = true};
        assert_false(lpx_failed(io_connect(loop, address, client_tls, &test_events, &client, &client.conn, &note)));
        assert_false(lpx_failed(io_tls_reload(server_tls, &note)));
        TEST_TURN_UNTIL(loop, client.bytes_in == CALL_BYTES && client.bytes_out == CALL_BYTES);
        test_end_close(&client);
        TEST_TURN_UNTIL(loop, client.closes > 0);
    }
    io_loop_free(&loop);
    io_thread_stop(&thread);
    assert_int_equal(s.accepted, CALLS);
    io_listener_free(&s.listener);
    io_loop_free(&s.loop);
    io_tls_free(&server_tls);
    io_tls_free(&client_tls);
}

static int group_begin(void **state)
{
    (void)state;
    test_certs_begin(&certs);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    test_certs_end(&certs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_server_certificate_is_checked),
        cmocka_unit_test(test_server_name_is_checked),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_whose_certificates),
        cmocka_unit_test(test_a_part_of_a_ca),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_truncation_is_told),
        cmocka_unit_test(test_reload_while_threads_serve),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
