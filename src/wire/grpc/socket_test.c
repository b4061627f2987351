/* Over real sockets: listening, TLS, refused connections, draining. */
#include <string.h>

#include "io/io_test.h"
#include "wire/grpc/client.h"
#include "wire/grpc/echo_test_service.h"
#include "wire/grpc/server.h"

int grpc_socket_tests(void);

typedef struct result {
    unsigned done, messages;
    size_t bytes;
    lpx_code code;
    char text[300];
} result;

static void on_message(void *ctx, lpx_bytes message)
{
    result *r = ctx;
    r->messages++;
    r->bytes += message.len;
}

static void on_done(void *ctx, const grpc_status *status)
{
    result *r = ctx;
    r->done++;
    r->code = status->code;
    (void)snprintf(r->text, sizeof r->text, "%.*s", (int)status->message.len, status->message.ptr);
}

static const grpc_out_events events = {.on_message = on_message, .on_done = on_done};

typedef struct world {
    io_loop *loop;
    grpc_server *server;
    grpc_client *client;
    echo_service service;
    uint16_t port;
    char address[40];
} world;

static void world_init(world *w, io_tls *server_tls, io_tls *client_tls)
{
    memset(w, 0, sizeof *w);
    w->loop = io_loop_new(0);
    assert_non_null(w->loop);
    lpx_note note = {0};
    grpc_server_opts opts = {0};
    assert_false(lpx_failed(grpc_server_new(w->loop, &opts, &echo_service_events, &w->service, &w->server)));
    assert_false(lpx_failed(grpc_server_listen(w->server, "127.0.0.1:0", server_tls, &w->port, &note)));
    (void)snprintf(w->address, sizeof w->address, "localhost:%u", w->port);
    grpc_client_opts client_opts = {.address = w->address, .tls = client_tls};
    assert_false(lpx_failed(grpc_client_new(w->loop, &client_opts, &w->client, &note)));
}

static void world_fini(world *w)
{
    grpc_client_free(&w->client);
    grpc_server_free(&w->server);
    io_loop_turn(w->loop, 0);
    io_loop_turn(w->loop, 0);
    io_loop_free(&w->loop);
}

static void call(world *w, result *r, const char *path, lpx_bytes message)
{
    *r = (result){0};
    grpc_out *out = grpc_client_start(w->client, path, NULL, 0, 10 * 1000000, &events, r);
    assert_non_null(out);
    (void)grpc_out_send(out, message);
    grpc_out_close_send(out);
}

static void wait_for(world *w, const unsigned *count)
{
    while (*count == 0) {
        io_loop_turn(w->loop, 1000000);
    }
}

static void test_plain(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL, NULL);
    result a, b;
    call(&w, &a, "/echo.Echo/Unary", lpx_bytes_of("hello", 5));
    assert_int_equal(a.done, 0);
    assert_false(grpc_client_connected(w.client));
    wait_for(&w, &a.done);
    assert_true(grpc_client_connected(w.client));
    assert_int_equal(a.code, LPX_OK);
    assert_int_equal(a.bytes, 5);
    call(&w, &b, "/echo.Echo/Meta", lpx_bytes_of("", 0));
    wait_for(&w, &b.done);
    assert_int_equal(b.code, LPX_OK);
    assert_int_equal(b.bytes, 4); /* no texts, "10" seconds */
    assert_int_equal(grpc_server_counts(w.server)->connections_total, 1);
    world_fini(&w);
}

static void test_large(void **state)
{
    (void)state;
    enum { LEN = 16 * 1024 * 1024 };
    uint8_t *bytes = calloc(1, LEN);
    assert_non_null(bytes);
    world w;
    world_init(&w, NULL, NULL);
    result r;
    call(&w, &r, "/echo.Echo/Unary", lpx_bytes_of(bytes, LEN));
    wait_for(&w, &r.done);
    assert_int_equal(r.code, LPX_OK);
    assert_int_equal(r.bytes, LEN);
    call(&w, &r, "/echo.Echo/ServerStream", lpx_bytes_of("\0\1\0\0hello world", 15));
    wait_for(&w, &r.done);
    assert_int_equal(r.code, LPX_OK);
    assert_int_equal(r.messages, 0x10000);
    world_fini(&w);
    free(bytes);
}

static void test_refused(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL, NULL);
    grpc_server_free(&w.server);
    io_loop_turn(w.loop, 0);
    result r;
    char want[60];
    (void)snprintf(want, sizeof want, "localhost:%u: ", w.port);
    for (int i = 0; i < 2; i++) {
        call(&w, &r, "/echo.Echo/Unary", lpx_bytes_of("x", 1));
        assert_int_equal(r.done, 0);
        wait_for(&w, &r.done);
        assert_int_equal(r.code, LPX_UNAVAILABLE);
        assert_true(strncmp(r.text, want, strlen(want)) == 0 && strlen(r.text) > strlen(want) + 5);
    }
    world_fini(&w);
}

static const char *const only_h2[] = {"h2", NULL};
static const char *const only_http1[] = {"http/1.1", NULL};

/* One call over TLS between contexts with these ALPN names. */
static result tls_call(const test_certs *certs, const test_certs *trusted, const char *const *server_alpn)
{
    io_tls *server = test_tls_server(certs, server_alpn);
    io_tls *client = test_tls_client(trusted, only_h2);
    world w;
    world_init(&w, server, client);
    result r;
    call(&w, &r, "/echo.Echo/Unary", lpx_bytes_of("hello", 5));
    wait_for(&w, &r.done);
    world_fini(&w);
    io_tls_free(&server);
    io_tls_free(&client);
    return r;
}

static void test_tls(void **state)
{
    (void)state;
    test_certs certs = {0}, others = {0};
    test_certs_begin(&certs);
    test_certs_begin(&others);
    result r = tls_call(&certs, &certs, only_h2);
    assert_int_equal(r.code, LPX_OK);
    assert_int_equal(r.bytes, 5);
    /* Without h2 in ALPN there is no call, and the user reads why. */
    r = tls_call(&certs, &certs, NULL);
    assert_int_equal(r.code, LPX_UNAVAILABLE);
    assert_non_null(strstr(r.text, "ALPN h2"));
    r = tls_call(&certs, &certs, only_http1);
    assert_int_equal(r.code, LPX_UNAVAILABLE);
    r = tls_call(&certs, &others, only_h2);
    assert_int_equal(r.code, LPX_UNAVAILABLE);
    assert_non_null(strstr(r.text, "trusted"));
    test_certs_end(&certs);
    test_certs_end(&others);
}

static void test_tls_large(void **state)
{
    (void)state;
    enum { LEN = 10 * 1024 * 1024 };
    uint8_t *bytes = calloc(1, LEN);
    assert_non_null(bytes);
    test_certs certs = {0};
    test_certs_begin(&certs);
    io_tls *server = test_tls_server(&certs, only_h2);
    io_tls *client = test_tls_client(&certs, only_h2);
    world w;
    world_init(&w, server, client);
    result r[3];
    for (size_t i = 0; i < 3; i++) {
        call(&w, &r[i], "/echo.Echo/Unary", lpx_bytes_of(bytes, LEN));
    }
    for (size_t i = 0; i < 3; i++) {
        wait_for(&w, &r[i].done);
        assert_int_equal(r[i].code, LPX_OK);
        assert_int_equal(r[i].bytes, LEN);
    }
    world_fini(&w);
    io_tls_free(&server);
    io_tls_free(&client);
    test_certs_end(&certs);
    free(bytes);
}

static void drained(void *ctx)
{
    unsigned *count = ctx;
    (*count)++;
}

static void test_drain(void **state)
{
    (void)state;
    for (int grace = 0; grace < 2; grace++) {
        world w;
        world_init(&w, NULL, NULL);
        result r;
        unsigned done = 0;
        call(&w, &r, "/echo.Echo/Hang", lpx_bytes_of("x", 1));
        while (w.service.half_closes == 0) {
            io_loop_turn(w.loop, 1000000);
        }
        if (grace == 0) {
            /* The open call outlives the grace. */
            grpc_server_drain(w.server, 1000, drained, &done);
            wait_for(&w, &done);
            grpc_server_free(&w.server);
            wait_for(&w, &r.done);
            assert_int_equal(r.code, LPX_UNAVAILABLE);
        } else {
            grpc_server_drain(w.server, INT64_C(3600000000), drained, &done);
            for (int i = 0; i < 20; i++) {
                io_loop_turn(w.loop, 1000);
            }
            assert_int_equal(done, 0);
            grpc_client_free(&w.client);
            wait_for(&w, &done);
            assert_int_equal(r.code, LPX_CANCELLED);
            assert_int_equal(grpc_server_counts(w.server)->connections, 0);
        }
        assert_int_equal(done, 1);
        world_fini(&w);
    }
}

/* A call whose user is busy when the server is freed is given back later. */
static void test_free_before_finish(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL, NULL);
    w.service.stop_after_call = w.service.keep_cancelled = true;
    result r;
    call(&w, &r, "/echo.Echo/Unary", lpx_bytes_of("x", 1));
    wait_for(&w, &w.service.half_closes);
    grpc_server_free(&w.server);
    assert_int_equal(w.service.cancels[LPX_UNAVAILABLE], 1);
    grpc_call *kept = w.service.last_call;
    assert_non_null(kept);
    io_loop_turn(w.loop, 0);
    assert_true(lpx_str_is(grpc_call_path(kept), "/echo.Echo/Unary"));
    assert_ptr_equal(grpc_call_loop(kept), w.loop);
    (void)grpc_call_send(kept, lpx_bytes_of("too late", 8));
    grpc_call_resume(kept);
    grpc_call_finish(kept, LPX_OK, LPX_STR(""), (lpx_bytes){0});
    wait_for(&w, &r.done);
    assert_int_equal(r.code, LPX_UNAVAILABLE);
    world_fini(&w);
}

static void free_in_drain(void *ctx)
{
    world *w = ctx;
    grpc_server_free(&w->server);
}

static void test_free_in_drain(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL, NULL);
    grpc_server_drain(w.server, 1000000, free_in_drain, &w);
    while (w.server != NULL) {
        io_loop_turn(w.loop, 1000000);
    }
    world_fini(&w);
}

static void test_connection_limit(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL, NULL);
    grpc_server_free(&w.server);
    lpx_note note = {0};
    grpc_server_opts opts = {.max_connections = 1};
    assert_false(lpx_failed(grpc_server_new(w.loop, &opts, &echo_service_events, &w.service, &w.server)));
    assert_false(lpx_failed(grpc_server_listen(w.server, w.address, NULL, &w.port, &note)));
    grpc_client *second = NULL;
    assert_false(lpx_failed(grpc_client_new(w.loop, &(grpc_client_opts){.address = w.address}, &second, &note)));
    result a, b = {0};
    call(&w, &a, "/echo.Echo/Unary", lpx_bytes_of("x", 1));
    wait_for(&w, &a.done);
    assert_int_equal(a.code, LPX_OK);
    grpc_out *out = grpc_client_start(second, "/echo.Echo/Unary", NULL, 0, 10 * 1000000, &events, &b);
    assert_non_null(out);
    wait_for(&w, &b.done);
    assert_int_equal(b.code, LPX_UNAVAILABLE);
    assert_int_equal(grpc_server_counts(w.server)->connections_refused_total, 1);
    grpc_client_free(&second);
    world_fini(&w);
}

static void test_address(void **state)
{
    (void)state;
    io_loop *loop = io_loop_new(0);
    lpx_note note = {0};
    grpc_client *client = NULL;
    lpx_err err = grpc_client_new(loop, &(grpc_client_opts){.address = "nothing"}, &client, &note);
    assert_int_equal(err.code, LPX_INVALID_ARGUMENT);
    assert_string_equal(note.text, "The address \"nothing\" must be host:port.");
    io_loop_free(&loop);
}

typedef struct dismissal {
    const char *fingerprint;
    unsigned asked;
} dismissal;

static bool is_gone(void *ctx, const char *fingerprint)
{
    dismissal *d = ctx;
    d->asked++;
    return strcmp(fingerprint, d->fingerprint) == 0;
}

/* A call knows the certificate of its client and the tag of its listener; the connection is let go when the certificate
 * is no longer good, after what it is busy with. */
static void test_certificates(void **state)
{
    (void)state;
    lpx_note note = {0};
    test_certs certs = {0};
    crypto_cert_info info;
    io_tls *server_tls = NULL, *client_tls = NULL;
    test_certs_begin(&certs);
    io_tls_server_opts server_opts = {.cert_file = certs.server,
                                      .key_file = certs.server_key,
                                      .client_ca_files = (const char *const[]){certs.ca, NULL},
                                      .alpn = (const char *const[]){"h2", NULL}};
    io_tls_client_opts client_opts = {.ca_file = certs.ca,
                                      .cert_file = certs.client,
                                      .key_file = certs.client_key,
                                      .alpn = (const char *const[]){"h2", NULL}};
    assert_false(lpx_failed(io_tls_server_new(&server_opts, &server_tls, &note)));
    assert_false(lpx_failed(io_tls_client_new(&client_opts, &client_tls, &note)));
    assert_false(lpx_failed(crypto_cert_read(certs.client, &info, &note)));
    world w;
    world_init(&w, server_tls, client_tls);
    grpc_listen_opts tagged = {.address = "127.0.0.1:0", .tls = server_tls, .tag = 7};
    assert_false(lpx_failed(grpc_server_listen_with(w.server, &tagged, &w.port, &note)));
    grpc_client_free(&w.client);
    (void)snprintf(w.address, sizeof w.address, "localhost:%u", w.port);
    assert_false(lpx_failed(
        grpc_client_new(w.loop, &(grpc_client_opts){.address = w.address, .tls = client_tls}, &w.client, &note)));
    result r;
    w.service.stop_after_call = true;
    call(&w, &r, "/echo.Echo/Unary", lpx_bytes_of("x", 1));
    while (w.service.last_call == NULL) {
        io_loop_turn(w.loop, 1000000);
    }
    assert_string_equal(grpc_call_peer_cert(w.service.last_call), info.fingerprint);
    assert_int_equal(grpc_call_tag(w.service.last_call), 7);
    assert_int_equal(strncmp(grpc_call_peer(w.service.last_call), "127.0.0.1:", 10), 0);

    dismissal other = {.fingerprint = "none"}, this = {.fingerprint = info.fingerprint};
    grpc_server_dismiss(w.server, is_gone, &other);
    assert_int_equal(other.asked, 1);
    grpc_server_dismiss(w.server, is_gone, &this);
    io_loop_turn(w.loop, 0);
    assert_int_equal(grpc_server_counts(w.server)->connections, 1); /* its call is not answered yet */
    assert_int_equal(r.done, 0);
    (void)grpc_call_send(w.service.last_call, lpx_bytes_of("y", 1));
    grpc_call_finish(w.service.last_call, LPX_OK, LPX_STR(""), (lpx_bytes){NULL, 0});
    wait_for(&w, &r.done);
    assert_int_equal(r.code, LPX_OK);
    while (grpc_server_counts(w.server)->connections > 0) {
        io_loop_turn(w.loop, 1000000);
    }
    world_fini(&w);
    io_tls_free(&server_tls);
    io_tls_free(&client_tls);
    test_certs_end(&certs);
}

int grpc_socket_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_free_in_drain),
        cmocka_unit_test(test_free_before_finish),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_large),
        cmocka_unit_test(test_certificates),
    };
    return cmocka_run_group_tests_name("grpc_socket", tests, NULL, NULL);
}
