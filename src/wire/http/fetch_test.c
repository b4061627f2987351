/* Outbound HTTP against the HTTP/1.1 server, over TLS: blocking, on a loop, many at once, cancelled, failing. */
#include "wire/http/fetch.h"

#include <string.h>

#include "io/file.h"
#include "io/io_test.h"
#include "io/thread.h"
#include "lpx_reasons.h"
#include "wire/http/http1.h"
#include "wire/http/http1_limits.h"

enum { HELD_MAX = 16 };

static test_certs certs;
static io_tls *server_tls, *mutual_tls;

typedef struct bench {
    io_loop *loop; /* the server's */
    http1_server *server;
    http1_request *held[HELD_MAX];
    size_t held_count;
    uint16_t port, mutual_port, plain_port;
    char url[64];
} bench;

static void echo(void *ctx, http1_request *request)
{
    (void)ctx;
    lpx_str m = http1_request_method(request);
    lpx_str q = http1_request_query(request);
    lpx_str type = http1_request_header(request, "content-type");
    lpx_str mine = http1_request_header(request, "x-mine");
    lpx_bytes body = http1_request_body(request);
    io_peer_cert cert = {.subject = ""};
    bool shown = http1_request_peer_cert(request, &cert);
    lpx_buf out;
    lpx_buf_init(&out, 1 << 24);
    lpx_buf_printf(&out, "%.*s|%.*s|%.*s|%.*s|", (int)m.len, m.ptr, (int)q.len, q.ptr, (int)type.len, type.ptr,
                   (int)mine.len, mine.ptr);
    lpx_buf_add(&out, body);
    lpx_buf_add_str(&out, lpx_str_of(shown ? cert.subject : ""));
    http1_request_answer(
        request,
        &(http1_answer){.status = 201, .content_type = "text/plain; charset=utf-8", .body = lpx_buf_view(&out)});
    lpx_buf_fini(&out);
}

static void hold(void *ctx, http1_request *request)
{
    bench *b = ctx;
    assert_true(b->held_count < HELD_MAX);
    b->held[b->held_count++] = request;
}

static void bench_begin(bench *b)
{
    lpx_note note = {0};
    *b = (bench){.loop = io_loop_new(0)};
    assert_false(lpx_failed(http1_server_new(b->loop, &(http1_server_opts){0}, &b->server)));
    const http1_route routes[] = {
        {.method = "GET", .path = "/echo", .handler = echo},
        {.method = "POST", .path = "/echo", .handler = echo, .max_body_bytes = 1 << 23},
        {.method = "PUT", .path = "/echo", .handler = echo},
        {.method = "GET", .path = "/hold", .handler = hold, .ctx = b},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        assert_false(lpx_failed(http1_server_route(b->server, &routes[i])));
    }
    assert_false(lpx_failed(http1_server_listen(b->server, "127.0.0.1:0", server_tls, &b->port, &note)));
    assert_false(lpx_failed(http1_server_listen(b->server, "127.0.0.1:0", mutual_tls, &b->mutual_port, &note)));
    assert_false(lpx_failed(http1_server_listen(b->server, "127.0.0.1:0", NULL, &b->plain_port, &note)));
    (void)snprintf(b->url, sizeof b->url, "https://localhost:%u", (unsigned)b->port);
}

static void bench_end(bench *b)
{
    http1_server_free(&b->server);
    while (b->held_count > 0) {
        http1_request_answer_error(b->held[--b->held_count], 503, "unavailable", "the end");
    }
    io_loop_free(&b->loop);
}

static const char *url_of(const bench *b, const char *path)
{
    static char url[128];
    (void)snprintf(url, sizeof url, "%s%s", b->url, path);
    return url;
}

static void check_text(const fetch_result *result, int status, const char *text)
{
    assert_int_equal(result->status, status);
    assert_true(lpx_str_is(lpx_bytes_str(result->body), text));
}

static void blocking_calls(const bench *b)
{
    lpx_arena arena;
    lpx_note note = {0};
    fetch_result r = {0};
    lpx_arena_init(&arena, 1 << 20);
    fetch_opts get = {.url = url_of(b, "/echo?q=1"), .ca_file = certs.ca};
    assert_false(lpx_failed(fetch_blocking(&get, &arena, &r, &note)));
    check_text(&r, 201, "GET|q=1|||");
    assert_true(lpx_str_is(r.content_type, "text/plain; charset=utf-8"));

    const char *const headers[] = {"Content-Type: application/json", "X-Mine: yes", NULL};
    fetch_opts post = {
        .url = url_of(b, "/echo"), .ca_file = certs.ca, .headers = headers, .body = lpx_bytes_of("{\"a\": \0}", 8)};
    assert_false(lpx_failed(fetch_blocking(&post, &arena, &r, &note)));
    assert_true(lpx_bytes_equal(r.body, lpx_bytes_of("POST||application/json|yes|{\"a\": \0}", 36 - 1)));
    post.method = "PUT";
    assert_false(lpx_failed(fetch_blocking(&post, &arena, &r, &note)));
    assert_true(lpx_str_starts(lpx_bytes_str(r.body), LPX_STR("PUT|")));
    fetch_opts empty_post = {.url = url_of(b, "/echo"), .ca_file = certs.ca, .method = "POST"};
    assert_false(lpx_failed(fetch_blocking(&empty_post, &arena, &r, &note)));
    assert_true(lpx_str_starts(lpx_bytes_str(r.body), LPX_STR("POST||")));
    fetch_opts head = {.url = url_of(b, "/echo"), .ca_file = certs.ca, .method = "HEAD"};
    assert_false(lpx_failed(fetch_blocking(&head, &arena, &r, &note)));
    check_text(&r, 201, "");
    fetch_opts delete = {.url = url_of(b, "/echo"), .ca_file = certs.ca, .method = "DELETE"};
    assert_false(lpx_failed(fetch_blocking(&delete, &arena, &r, &note)));
    assert_int_equal(r.status, 405); /* an answer like others */
    assert_true(lpx_str_is(r.content_type, "application/json"));

    char plain[64];
    (void)snprintf(plain, sizeof plain, "http://127.0.0.1:%u/echo", (unsigned)b->plain_port);
    assert_false(lpx_failed(fetch_blocking(&(fetch_opts){.url = plain}, &arena, &r, &note)));
    check_text(&r, 201, "GET||||");
    lpx_arena_fini(&arena);
}

static lpx_err fails(const fetch_opts *opts, const char *words)
{
    lpx_arena arena;
    lpx_note note = {0};
    fetch_result r = {.status = 77};
    lpx_arena_init(&arena, 1 << 20);
    lpx_err err = fetch_blocking(opts, &arena, &r, &note);
    assert_true(lpx_failed(err));
    assert_int_equal(r.status, 77);
    if (strstr(note.text, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, note.text);
    }
    lpx_arena_fini(&arena);
    return err;
}

static void blocking_failures(const bench *b)
{
    fetch_opts o = {.url = url_of(b, "/echo")};
    assert_int_equal(fails(&o, "localhost").reason, FETCH_UNTRUSTED); /* the system does not know the CA */
    static const char *const bad_urls[] = {"", "localhost", "ftp://localhost/", "file:///etc/passwd", "https://"};
    for (size_t i = 0; i < sizeof bad_urls / sizeof bad_urls[0]; i++) {
        o = (fetch_opts){.url = bad_urls[i]};
        assert_int_equal(fails(&o, "URL").reason, FETCH_BAD_REQUEST);
    }
    const char *const bad_headers[] = {"X-Mine: a\r\nY: b", NULL};
    o = (fetch_opts){.url = url_of(b, "/echo"), .ca_file = certs.ca, .headers = bad_headers};
    assert_int_equal(fails(&o, "header").reason, FETCH_BAD_REQUEST);
    o = (fetch_opts){.url = "http://nowhere.invalid/?secret=x"};
    assert_int_equal(fails(&o, "nowhere.invalid").reason, FETCH_FAILED);
    o = (fetch_opts){.url = "http://127.0.0.1:1/"};
    assert_int_equal(fails(&o, "127.0.0.1").reason, FETCH_FAILED);
    o = (fetch_opts){.url = url_of(b, "/echo"), .ca_file = "/nonexistent.pem"};
    assert_int_equal(fails(&o, "").reason, FETCH_FAILED);
    o = (fetch_opts){.url = url_of(b, "/echo?0123456789"), .ca_file = certs.ca, .max_body_bytes = 10};
    assert_int_equal(fails(&o, "longer").reason, FETCH_TOO_LONG);
    o = (fetch_opts){.url = url_of(b, "/hold"), .ca_file = certs.ca, .timeout_us = 50000};
    assert_int_equal(fails(&o, "").reason, FETCH_TIMED_OUT);
}

static void client_certificates(const bench *b)
{
    lpx_arena arena;
    lpx_note note = {0};
    fetch_result r = {0};
    char url[64];
    (void)snprintf(url, sizeof url, "https://localhost:%u/echo", (unsigned)b->mutual_port);
    lpx_arena_init(&arena, 1 << 20);
    fetch_opts with = {.url = url, .ca_file = certs.ca, .cert_file = certs.client, .key_file = certs.client_key};
    assert_false(lpx_failed(fetch_blocking(&with, &arena, &r, &note)));
    check_text(&r, 201, "GET||||CN=client");
    fetch_opts without = {.url = url, .ca_file = certs.ca};
    assert_int_equal(fails(&without, "certificate").reason, FETCH_FAILED);
    lpx_arena_fini(&arena);
}

static lpx_bytes read_pem(const char *path, lpx_buf *out)
{
    lpx_note note = {0};
    lpx_buf_init(out, 1 << 16);
    assert_false(lpx_failed(io_file_read(path, 1 << 16, out, &note)));
    return lpx_buf_view(out);
}

/* CA, client certificate and key from memory, as the target of a Join Server has them. */
static void certificates_from_memory(const bench *b)
{
    lpx_arena arena;
    lpx_note note = {0};
    fetch_result r = {0};
    lpx_buf ca, cert, key;
    char url[64];
    (void)snprintf(url, sizeof url, "https://localhost:%u/echo", (unsigned)b->mutual_port);
    lpx_arena_init(&arena, 1 << 20);
    fetch_opts with = {.url = url,
                       .ca_pem = read_pem(certs.ca, &ca),
                       .cert_pem = read_pem(certs.client, &cert),
                       .key_pem = read_pem(certs.client_key, &key)};
    assert_false(lpx_failed(fetch_blocking(&with, &arena, &r, &note)));
    check_text(&r, 201, "GET||||CN=client");
    fetch_opts without = with;
    without.cert_pem = without.key_pem = (lpx_bytes){NULL, 0};
    assert_int_equal(fails(&without, "certificate").reason, FETCH_FAILED);
    fetch_opts wrong_ca = with;
    wrong_ca.ca_pem = with.cert_pem;
    assert_int_equal(fails(&wrong_ca, "").reason, FETCH_UNTRUSTED);
    fetch_opts garbage = with;
    garbage.key_pem = lpx_bytes_of("no key", 6);
    assert_int_equal(fails(&garbage, "").reason, FETCH_FAILED);
    lpx_buf_fini(&ca);
    lpx_buf_fini(&cert);
    lpx_buf_fini(&key);
    lpx_arena_fini(&arena);
}

static void test_hosts_of_urls(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"https://js.example.com:8886/path?q#f", "js.example.com"},
        {"http://user:secret@[::1]:80/", "::1"},
        {"https://127.0.0.1", "127.0.0.1"},
    };
    static const char *const bad[] = {"", "js.example.com", "ftp://js.example.com", "https://", "https://a b"};
    char host[FETCH_HOST_BYTES];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(fetch_url_host(good[i][0], host));
        assert_string_equal(host, good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(fetch_url_host(bad[i], host));
    }
}

static void test_blocking(void **state)
{
    (void)state;
    bench b;
    io_thread *thread = NULL;
    bench_begin(&b);
    assert_false(lpx_failed(io_thread_start(b.loop, "server", &thread)));
    blocking_calls(&b);
    blocking_failures(&b);
    client_certificates(&b);
    certificates_from_memory(&b);
    io_thread_stop(&thread);
    bench_end(&b);
}

/* One call on a loop and what came of it. */
typedef struct asked {
    int dones;
    lpx_err err;
    int status;
    char text[64];
    size_t body_len;
    fetch_client **free_in_done;
    fetch_call **cancel_in_done;
} asked;

static void note_done(void *ctx, lpx_err err, const fetch_result *result, const lpx_note *note)
{
    asked *a = ctx;
    a->dones++;
    a->err = err;
    assert_int_equal(lpx_failed(err), result == NULL);
    assert_true(!lpx_failed(err) || note->text[0] != 0);
    if (result != NULL) {
        a->status = result->status;
        a->body_len = result->body.len;
        (void)snprintf(a->text, sizeof a->text, "%.*s", (int)(result->body.len < 60 ? result->body.len : 60),
                       (const char *)result->body.ptr);
    }
    if (a->cancel_in_done != NULL) {
        fetch_cancel(a->cancel_in_done);
    }
    if (a->free_in_done != NULL) {
        fetch_client_free(a->free_in_done);
    }
}

static void start(fetch_client *client, const fetch_opts *opts, asked *a, fetch_call **call)
{
    lpx_note note = {0};
    assert_false(lpx_failed(fetch_start(client, opts, note_done, a, call, &note)));
    assert_int_equal(a->dones, 0);
}

static void test_on_a_loop(void **state)
{
    (void)state;
    enum { CALLS = 40, BIG = 1 << 20 };
    bench b;
    bench_begin(&b);
    fetch_client *client = fetch_client_new(b.loop);
    assert_non_null(client);
    asked many[CALLS] = {0};
    for (int i = 0; i < CALLS; i++) {
        char url[128];
        (void)snprintf(url, sizeof url, "%s/echo?%d", b.url, i);
        start(client, &(fetch_opts){.url = url, .ca_file = certs.ca}, &many[i], NULL);
    }
    for (int i = 0; i < CALLS; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "GET|%d|||", i);
        TEST_TURN_UNTIL(b.loop, many[i].dones > 0);
        assert_string_equal(many[i].text, text);
    }
    uint8_t *big = calloc(1, BIG);
    asked one = {0};
    fetch_opts post = {.url = url_of(&b, "/echo"), .ca_file = certs.ca, .body = lpx_bytes_of(big, BIG)};
    start(client, &post, &one, NULL);
    free(big); /* was borrowed for the call only */
    TEST_TURN_UNTIL(b.loop, one.dones > 0);
    assert_true(one.status == 201 && one.body_len > BIG);

    one = (asked){0};
    start(client, &(fetch_opts){.url = url_of(&b, "/echo")}, &one, NULL);
    TEST_TURN_UNTIL(b.loop, one.dones > 0);
    assert_int_equal(one.err.reason, FETCH_UNTRUSTED);
    lpx_note note = {0};
    assert_int_equal(fetch_start(client, &(fetch_opts){.url = "x"}, note_done, &one, NULL, &note).reason,
                     FETCH_BAD_REQUEST);
    one = (asked){0};
    start(client, &(fetch_opts){.url = url_of(&b, "/hold"), .ca_file = certs.ca, .timeout_us = 50000}, &one, NULL);
    TEST_TURN_UNTIL(b.loop, one.dones > 0);
    assert_int_equal(one.err.reason, FETCH_TIMED_OUT);
    fetch_client_free(&client);
    fetch_client_free(&client);
    bench_end(&b);
}

static void test_cancel_and_free(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b);
    fetch_client *client = fetch_client_new(b.loop);
    asked cancelled = {0};
    asked other = {0};
    fetch_call *call = NULL;
    fetch_opts hold_it = {.url = url_of(&b, "/hold"), .ca_file = certs.ca};
    start(client, &hold_it, &cancelled, &call);
    TEST_TURN_UNTIL(b.loop, b.held_count == 1);
    fetch_cancel(&call);
    assert_null(call);
    fetch_cancel(&call);
    TEST_TURN_UNTIL(b.loop, http1_request_gone(b.held[0]));

    /* Cancelled before anything was sent, and by the done of another. */
    start(client, &hold_it, &cancelled, &call);
    fetch_cancel(&call);
    start(client, &hold_it, &cancelled, &call);
    other.cancel_in_done = &call;
    char url[128];
    (void)snprintf(url, sizeof url, "%s/echo", b.url);
    fetch_opts echo_it = {.url = url, .ca_file = certs.ca};
    start(client, &echo_it, &other, NULL);
    TEST_TURN_UNTIL(b.loop, other.dones > 0);
    assert_null(call);

    /* Freed by a done, with calls under way. */
    other = (asked){.free_in_done = &client};
    for (int i = 0; i < 5; i++) {
        start(client, &(fetch_opts){.url = url_of(&b, "/hold"), .ca_file = certs.ca}, &cancelled, NULL);
    }
    start(client, &echo_it, &other, NULL);
    TEST_TURN_UNTIL(b.loop, other.dones > 0);
    assert_null(client);
    io_loop_turn(b.loop, 0);
    assert_int_equal(cancelled.dones, 0);
    bench_end(&b);
}

static void test_calls_are_limited(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b);
    fetch_client *client = fetch_client_new(b.loop);
    asked a = {0};
    lpx_note note = {0};
    fetch_opts o = {.url = "http://127.0.0.1:1/"};
    for (int i = 0; i < FETCH_CALLS_MAX; i++) {
        start(client, &o, &a, NULL);
    }
    assert_int_equal(fetch_start(client, &o, note_done, &a, NULL, &note).reason, FETCH_BUSY);
    TEST_TURN_UNTIL(b.loop, a.dones == FETCH_CALLS_MAX);
    a.dones = 0;
    start(client, &o, &a, NULL);
    fetch_client_free(&client);
    bench_end(&b);
}

static int group_begin(void **state)
{
    (void)state;
    lpx_note note = {0};
    static const char *const alpn[] = {"http/1.1", NULL};
    test_certs_begin(&certs);
    server_tls = test_tls_server(&certs, alpn);
    io_tls_server_opts opts = {.cert_file = certs.server,
                               .key_file = certs.server_key,
                               .client_ca_files = (const char *const[]){certs.ca, NULL},
                               .client_cert_required = true};
    assert_false(lpx_failed(io_tls_server_new(&opts, &mutual_tls, &note)));
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    io_tls_free(&server_tls);
    io_tls_free(&mutual_tls);
    test_certs_end(&certs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_of_urls),     cmocka_unit_test(test_blocking),
        cmocka_unit_test(test_on_a_loop),         cmocka_unit_test(test_cancel_and_free),
        cmocka_unit_test(test_calls_are_limited),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
