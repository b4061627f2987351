/* Asking for real: requests over TLS to a Join Server of the test's own, on the same loop. */
#include "ts002/ts002_lookup.h"

#include <string.h>

#include "base/text.h"
#include "codec/json/json.h"
#include "io/file.h"
#include "io/io_test.h"
#include "lpx_reasons.h"
#include "wire/http/http1.h"

static test_certs certs;
static io_tls *server_tls, *mutual_tls;

/* ---- the Join Server ---- */

typedef struct bench {
    io_loop *loop;
    http1_server *server;
    uint16_t port, mutual_port;
    lpx_buf ca, cert, key;
    ts002_lookup *lookup;
    /* What it answers: "@" stands for the transaction. */
    const char *answer;
    int status;
    bool silent;
    http1_request *held;
    /* What it was asked last. */
    unsigned requests;
    char body[512], authorization[256], subject[64];
    /* What was reported last. */
    ts002_outcome reported;
    char text[256];
} bench;

static void copy_text(char *out, size_t room, lpx_str text)
{
    (void)snprintf(out, room, "%.*s", (int)text.len, text.ptr);
}

static void fill_in(const char *answer, long long transaction, lpx_buf *out)
{
    for (const char *c = answer; *c != '\0'; c++) {
        if (*c == '@') {
            lpx_buf_printf(out, "%lld", transaction);
        } else {
            lpx_buf_add(out, lpx_bytes_of(c, 1));
        }
    }
}

static void serve(void *ctx, http1_request *request)
{
    bench *b = ctx;
    lpx_arena arena;
    const json_value *question = NULL;
    int64_t transaction = 0;
    io_peer_cert cert = {.subject = ""};
    lpx_arena_init(&arena, 1 << 20);
    b->requests++;
    copy_text(b->body, sizeof b->body, lpx_bytes_str(http1_request_body(request)));
    copy_text(b->authorization, sizeof b->authorization, http1_request_header(request, "authorization"));
    assert_true(lpx_str_is(http1_request_header(request, "content-type"), "application/json"));
    copy_text(b->subject, sizeof b->subject, lpx_str_of(http1_request_peer_cert(request, &cert) ? cert.subject : ""));
    assert_false(lpx_failed(json_parse(lpx_str_of(b->body), &arena, &question, NULL)));
    assert_true(json_int(json_member(question, "TransactionID"), &transaction));
    assert_true(transaction > 0 && transaction <= INT32_MAX);
    if (b->silent) {
        b->held = request;
    } else {
        lpx_buf out;
        lpx_buf_init(&out, 1 << 20);
        fill_in(b->answer, transaction, &out);
        http1_answer answer = {.status = b->status, .content_type = "application/json", .body = lpx_buf_view(&out)};
        http1_request_answer(request, &answer);
        lpx_buf_fini(&out);
    }
    lpx_arena_fini(&arena);
}

static void report(void *ctx, const ts002_report *what)
{
    bench *b = ctx;
    b->reported = what->outcome;
    copy_text(b->text, sizeof b->text, what->text);
}

static lpx_err sign(void *ctx, lpx_str audience, lpx_utc now, lpx_arena *arena, lpx_str *token, lpx_utc *expires)
{
    unsigned *count = ctx;
    char *text = lpx_arena_printf(arena, "token-%u-for-%.*s", ++*count, (int)audience.len, audience.ptr);
    assert_non_null(text);
    *token = lpx_str_of(text);
    expires->us = now.us + INT64_C(3600) * 1000000;
    return LPX_SUCCESS;
}

static lpx_bytes read_pem(const char *path, lpx_buf *out)
{
    lpx_note note = {""};
    lpx_buf_init(out, 1 << 16);
    assert_false(lpx_failed(io_file_read(path, 1 << 16, out, &note)));
    return lpx_buf_view(out);
}

static unsigned tokens;

static void bench_begin(bench *b)
{
    lpx_note note = {""};
    *b = (bench){.loop = io_loop_new(0), .status = 200, .reported = TS002_OUTCOMES};
    assert_false(lpx_failed(http1_server_new(b->loop, &(http1_server_opts){0}, &b->server)));
    const http1_route route = {.method = "POST", .path = "/js", .handler = serve, .ctx = b, .max_body_bytes = 4096};
    assert_false(lpx_failed(http1_server_route(b->server, &route)));
    assert_false(lpx_failed(http1_server_listen(b->server, "127.0.0.1:0", server_tls, &b->port, &note)));
    assert_false(lpx_failed(http1_server_listen(b->server, "127.0.0.1:0", mutual_tls, &b->mutual_port, &note)));
    (void)read_pem(certs.ca, &b->ca);
    (void)read_pem(certs.client, &b->cert);
    (void)read_pem(certs.client_key, &b->key);
    ts002_lookup_opts opts = {.loop = b->loop,
                              .sender_net_id = {0x13},
                              .has_ns_id = true,
                              .sender_ns_id = {UINT64_C(0xEC656E0000000001)},
                              .timeout_us = 300000,
                              .token = sign,
                              .token_ctx = &tokens,
                              .report = report,
                              .report_ctx = b};
    tokens = 0;
    assert_false(lpx_failed(ts002_lookup_new(&opts, &b->lookup)));
}

static void bench_end(bench *b)
{
    ts002_lookup_free(&b->lookup);
    http1_server_free(&b->server);
    if (b->held != NULL) {
        http1_request_answer_error(b->held, 503, "unavailable", "the end");
    }
    io_loop_free(&b->loop);
    lpx_buf_fini(&b->ca);
    lpx_buf_fini(&b->cert);
    lpx_buf_fini(&b->key);
}

/* ---- asking ---- */

typedef struct asking {
    ts002_ask ask;
    bool done;
    ts002_answer answer;
} asking;

static void on_answer(ts002_ask *ask, const ts002_answer *answer)
{
    asking *a = LPX_CONTAINER(ask, asking, ask);
    assert_false(a->done);
    a->done = true;
    a->answer = *answer;
}

static ts002_target *target_of(const bench *b, uint16_t port, ts002_version version, ts002_auth auth)
{
    static uint64_t digest;
    static char address[64];
    ts002_target *target = NULL;
    lpx_note note = {""};
    (void)snprintf(address, sizeof address, "https://localhost:%u/js", (unsigned)port);
    const ts002_origin origins[] = {
        {0x42, {.kind = TS002_AUTH_CUSTOM, .value = LPX_STR("Key of 42")}},
        {0x07, {.kind = TS002_AUTH_TOKEN}},
    };
    ts002_target_spec spec = {.id = 5,
                              .digest = ++digest,
                              .version = version,
                              .address = lpx_str_of(address),
                              .root_cas = lpx_buf_view(&b->ca),
                              .auth = auth,
                              .origins = origins,
                              .origin_count = 2};
    if (lpx_failed(ts002_target_new(&spec, &target, &note))) {
        fail_msg("%s", note.text);
    }
    return target;
}

static const ts002_device device = {.join_eui = {UINT64_C(0xEC656E0000000000)}, .dev_eui = {0x99}, .origin_net_id = 1};

static void wait_for(bench *b, const bool *done)
{
    for (int i = 0; i < 1000 && !*done; i++) {
        io_loop_turn(b->loop, 20000);
    }
    assert_true(*done);
}

static ts002_answer ask_as(bench *b, ts002_target *target, const ts002_device *about)
{
    asking a = {.ask.done = on_answer};
    if (!ts002_lookup_ask(b->lookup, target, about, &a.ask, &a.answer)) {
        assert_false(a.done);
        wait_for(b, &a.done);
    }
    return a.answer;
}

static const ts002_auth no_auth = {.kind = TS002_AUTH_NONE};

/* Ask about a device that was never asked about. */
static ts002_answer ask_new(bench *b, ts002_target *target)
{
    static uint64_t number = 1000;
    ts002_device about = device;
    about.dev_eui.value = ++number;
    return ask_as(b, target, &about);
}

static const char good[] = "{\"ProtocolVersion\":\"1.0\",\"TransactionID\":@,\"MessageType\":\"HomeNSAns\","
                           "\"ReceiverID\":\"000013\",\"Result\":{\"ResultCode\":\"Success\"},\"HNetID\":\"00002A\","
                           "\"VSExtension\":{\"VendorID\":\"EC656E\",\"Object\":{\"TTSV3\":{\"HTenantID\":\"foo\","
                           "\"HNSAddress\":\"EU1.example.com:8884\"}}}}";

static void test_found_and_remembered(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b);
    b.answer = good;
    ts002_target *t = target_of(&b, b.port, TS002_1_0, no_auth);
    asking first = {.ask.done = on_answer}, second = first, third = first;
    assert_false(ts002_lookup_ask(b.lookup, t, &device, &first.ask, &first.answer));
    assert_false(ts002_lookup_ask(b.lookup, t, &device, &second.ask, &second.answer));
    assert_false(ts002_lookup_ask(b.lookup, t, &device, &third.ask, &third.answer));
    ts002_ask_cancel(&third.ask);
    wait_for(&b, &first.done);
    wait_for(&b, &second.done);
    assert_false(third.done);
    assert_int_equal(b.requests, 1);
    assert_memory_equal(&first.answer, &second.answer, sizeof first.answer);
    assert_int_equal(first.answer.outcome, TS002_FOUND);
    assert_int_equal(first.answer.net_id, 0x2A);
    assert_string_equal(first.answer.tenant, "foo");
    assert_string_equal(first.answer.cluster, "eu1.example.com");
    assert_non_null(strstr(b.body, "\"ProtocolVersion\":\"1.0\""));
    assert_non_null(strstr(b.body, "\"SenderID\":\"000013\",\"ReceiverID\":\"EC656E0000000000\""));
    assert_null(strstr(b.body, "SenderNSID"));
    assert_true(ts002_lookup_ask(b.lookup, t, &device, &third.ask, &third.answer));
    assert_int_equal(third.answer.outcome, TS002_FOUND);
    assert_int_equal(b.requests, 1);
    ts002_target_unref(&t);
    t = target_of(&b, b.port, TS002_1_1, no_auth);
    assert_int_equal(ask_as(&b, t, &device).outcome, TS002_FOUND);
    assert_non_null(strstr(b.body, "\"SenderNSID\":\"EC656E0000000001\""));
    ts002_target_unref(&t);
    bench_end(&b);
}

static void test_authentication(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b);
    b.answer = "{\"TransactionID\":@,\"MessageType\":\"HomeNSAns\",\"Result\":{\"ResultCode\":\"UnknownDevEUI\"}}";
    const ts002_auth basic = {
        .kind = TS002_AUTH_BASIC, .username = LPX_STR("Aladdin"), .password = LPX_STR("open sesame")};
    ts002_target *t = target_of(&b, b.port, TS002_1_0, basic);
    assert_int_equal(ask_as(&b, t, &device).outcome, TS002_UNKNOWN_DEVICE);
    assert_string_equal(b.authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    ts002_device about = device;
    about.origin_net_id = 0x42; /* credentials and name of its own, hence an answer of its own */
    assert_int_equal(ask_as(&b, t, &about).outcome, TS002_UNKNOWN_DEVICE);
    assert_string_equal(b.authorization, "Key of 42");
    assert_non_null(strstr(b.body, "\"SenderID\":\"000042\""));
    about.origin_net_id = 0x07;
    assert_int_equal(ask_as(&b, t, &about).outcome, TS002_UNKNOWN_DEVICE);
    assert_string_equal(b.authorization, "Bearer token-1-for-localhost");
    assert_non_null(strstr(b.body, "\"SenderID\":\"000000\""));
    assert_int_equal(b.requests, 3);
    ts002_target_unref(&t);
    const ts002_auth token = {.kind = TS002_AUTH_TOKEN};
    t = target_of(&b, b.port, TS002_1_0, token);
    assert_int_equal(ask_new(&b, t).outcome, TS002_UNKNOWN_DEVICE);
    assert_int_equal(ask_new(&b, t).outcome, TS002_UNKNOWN_DEVICE);
    assert_string_equal(b.authorization, "Bearer token-1-for-localhost"); /* used again */
    ts002_target_unref(&t);
    const ts002_auth certificate = {
        .kind = TS002_AUTH_CERTIFICATE, .cert = lpx_buf_view(&b.cert), .key = lpx_buf_view(&b.key)};
    t = target_of(&b, b.mutual_port, TS002_1_0, certificate);
    assert_int_equal(ask_as(&b, t, &device).outcome, TS002_UNKNOWN_DEVICE);
    assert_string_equal(b.subject, "CN=client");
    assert_string_equal(b.authorization, "");
    ts002_target_unref(&t);
    t = target_of(&b, b.mutual_port, TS002_1_0, no_auth);
    assert_int_equal(ask_as(&b, t, &device).outcome, TS002_UNREACHABLE);
    ts002_target_unref(&t);
    bench_end(&b);
}

/* Each answer with what is made of it. */
static void test_answers(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        ts002_outcome want;
        const char *text;
    } rows[] = {
        {200,
         "{\"TransactionID\":1,\"MessageType\":\"HomeNSAns\",\"Result\":{\"ResultCode\":\"Success\"},"
         "\"HNetID\":\"000013\"}",
         TS002_BAD_ANSWER, "TransactionID"},
        {200,
         "{\"TransactionID\":@,\"MessageType\":\"JoinAns\",\"Result\":{\"ResultCode\":\"Success\"},"
         "\"HNetID\":\"000013\"}",
         TS002_BAD_ANSWER, "MessageType"},
        {200,
         "{\"TransactionID\":@,\"MessageType\":\"HomeNSAns\",\"ReceiverID\":\"000014\","
         "\"Result\":{\"ResultCode\":\"Success\"},\"HNetID\":\"000013\"}",
         TS002_BAD_ANSWER, "ReceiverID"},
        {200, "<html>Welcome</html>", TS002_BAD_ANSWER, "200"},
        {500, "", TS002_BAD_ANSWER, "500"},
        {204, "", TS002_BAD_ANSWER, "204"},
        {500,
         "{\"TransactionID\":@,\"MessageType\":\"HomeNSAns\",\"Result\":{\"ResultCode\":\"Success\"},"
         "\"HNetID\":\"000013\"}",
         TS002_BAD_ANSWER, "500"},
        {400, "{\"TransactionID\":@,\"MessageType\":\"HomeNSAns\",\"Result\":{\"ResultCode\":\"UnknownDevEUI\"}}",
         TS002_UNKNOWN_DEVICE, "UnknownDevEUI"},
        {200,
         "{\"TransactionID\":@,\"MessageType\":\"HomeNSAns\",\"Result\":{\"ResultCode\":\"NoRoamingAgreement\","
         "\"Description\":\"pay first\"}}",
         TS002_REFUSED, "pay first"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bench b;
        bench_begin(&b);
        b.status = rows[i].status;
        b.answer = rows[i].body;
        ts002_target *t = target_of(&b, b.port, TS002_1_0, no_auth);
        assert_int_equal(ask_new(&b, t).outcome, rows[i].want);
        assert_int_equal(b.reported, rows[i].want);
        if (strstr(b.text, rows[i].text) == NULL) {
            fail_msg("row %zu: \"%s\" does not say %s", i, b.text, rows[i].text);
        }
        ts002_target_unref(&t);
        bench_end(&b);
    }
}

static void test_huge_and_silent(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b);
    static char huge[TS002_MESSAGE_BYTES + 2];
    memset(huge, ' ', sizeof huge - 1);
    b.answer = huge;
    ts002_target *t = target_of(&b, b.port, TS002_1_0, no_auth);
    assert_int_equal(ask_new(&b, t).outcome, TS002_BAD_ANSWER);
    b.silent = true;
    assert_int_equal(ask_new(&b, t).outcome, TS002_TIMED_OUT);
    ts002_target_unref(&t);
    bench_end(&b);
}

/* What cannot be sent is answered at once. */
static void test_unprepared(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b);
    ts002_lookup_free(&b.lookup);
    ts002_lookup_opts opts = {.loop = b.loop, .report = report, .report_ctx = &b};
    assert_false(lpx_failed(ts002_lookup_new(&opts, &b.lookup)));
    asking a = {.ask.done = on_answer};
    ts002_target *t = target_of(&b, b.port, TS002_1_1, no_auth);
    assert_true(ts002_lookup_ask(b.lookup, t, &device, &a.ask, &a.answer));
    assert_int_equal(a.answer.outcome, TS002_UNPREPARED);
    assert_non_null(strstr(b.text, "router.sender-ns-id"));
    ts002_target_unref(&t);
    t = target_of(&b, b.port, TS002_1_0, (ts002_auth){.kind = TS002_AUTH_TOKEN});
    assert_true(ts002_lookup_ask(b.lookup, t, &device, &a.ask, &a.answer));
    assert_int_equal(a.answer.outcome, TS002_UNPREPARED);
    assert_false(a.done);
    assert_int_equal(b.requests, 0);
    ts002_target_unref(&t);
    bench_end(&b);
}

/* An engine that ends while a question is under way; the waiter outlives it. */
static void test_freed_while_asking(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b);
    b.silent = true;
    asking a = {.ask.done = on_answer};
    ts002_target *t = target_of(&b, b.port, TS002_1_0, no_auth);
    assert_false(ts002_lookup_ask(b.lookup, t, &device, &a.ask, &a.answer));
    for (int i = 0; i < 1000 && b.requests == 0; i++) {
        io_loop_turn(b.loop, 20000);
    }
    ts002_target_unref(&t);
    ts002_lookup_free(&b.lookup);
    ts002_ask_cancel(&a.ask);
    assert_false(a.done);
    bench_end(&b);
}

static void expect(const lpx_buf *text, const char *line)
{
    if (memmem(text->ptr, text->len, line, strlen(line)) == NULL) {
        fail_msg("no \"%s\" in\n%.*s", line, (int)text->len, (const char *)text->ptr);
    }
}

static void test_metrics(void **state)
{
    (void)state;
    bench b, c;
    bench_begin(&b);
    bench_begin(&c);
    b.answer = c.answer = good;
    ts002_target *t = target_of(&b, b.port, TS002_1_0, no_auth), *other = target_of(&c, c.port, TS002_1_0, no_auth);
    (void)ask_as(&b, t, &device);
    (void)ask_as(&b, t, &device);
    (void)ask_as(&c, other, &device);
    for (unsigned i = 0; i < TS002_FAILURES_TO_OPEN; i++) {
        b.status = 500;
        b.answer = "";
        (void)ask_new(&b, t);
    }
    (void)ask_new(&b, t);
    lpx_buf text;
    lpx_buf_init(&text, 1 << 16);
    ts002_lookup *const all[] = {b.lookup, c.lookup};
    ts002_lookup_metrics(all, 2, &text);
    expect(&text, "lpx_ts002_lookups_total{target=\"5\",outcome=\"found\"} 2\n");
    expect(&text, "lpx_ts002_lookups_total{target=\"5\",outcome=\"remembered\"} 1\n");
    expect(&text, "lpx_ts002_lookups_total{target=\"5\",outcome=\"bad_answer\"} 5\n");
    expect(&text, "lpx_ts002_lookups_total{target=\"5\",outcome=\"left_alone\"} 1\n");
    expect(&text, "lpx_ts002_targets_left_alone_loops{target=\"5\"} 1\n");
    expect(&text, "lpx_ts002_remembered_answers 7\n");
    lpx_buf_fini(&text);
    ts002_target_unref(&t);
    ts002_target_unref(&other);
    bench_end(&b);
    bench_end(&c);
}

static void test_targets(void **state)
{
    (void)state;
    const struct {
        ts002_target_spec spec;
        const char *text;
    } bad[] = {
        {{.address = LPX_STR("js.example.com")}, "URL"},
        {{.address = LPX_STR("https://a\0b")}, "URL"},
        {{.address = LPX_STR("https://a"), .auth = {.kind = TS002_AUTH_CUSTOM, .value = LPX_STR("a\r\nX: y")}},
         "control character"},
        {{.address = LPX_STR("https://a"), .auth = {.kind = TS002_AUTH_CERTIFICATE, .cert = {(const uint8_t *)"x", 1}}},
         "certificate"},
        {{.address = LPX_STR("https://a"), .origin_count = TS002_MAX_ORIGINS + 1}, "networks"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ts002_target *t = NULL;
        lpx_note note = {""};
        assert_int_equal(ts002_target_new(&bad[i].spec, &t, &note).reason, TS002_BAD_TARGET);
        assert_non_null(strstr(note.text, bad[i].text));
        assert_null(t);
    }
}

static int begin(void **state)
{
    (void)state;
    lpx_note note = {""};
    test_certs_begin(&certs);
    io_tls_server_opts opts = {.cert_file = certs.server, .key_file = certs.server_key};
    assert_false(lpx_failed(io_tls_server_new(&opts, &server_tls, &note)));
    opts.client_ca_files = (const char *const[]){certs.ca, NULL};
    opts.client_cert_required = true;
    assert_false(lpx_failed(io_tls_server_new(&opts, &mutual_tls, &note)));
    return 0;
}

static int finish(void **state)
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
        cmocka_unit_test(test_found_and_remembered),
        cmocka_unit_test(test_authentication),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_huge_and_silent),
        cmocka_unit_test(test_unprepared),
        cmocka_unit_test(test_freed_while_asking),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_targets),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
