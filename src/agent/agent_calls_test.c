/* The agent against an exchange and a token endpoint in the same process: credentials, tokens, calls, streams, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/agent_priv.h"
#include "google_protobuf_wrappers.pb-c.h"
#include "lpx_reasons.h"
#include "wire/grpc/server.h"
#include "wire/http/http1.h"

enum { MAX_TURNS = 2000, HANGING_MAX = 8 };

/* An exchange that does what the path says. */
typedef struct fake {
    io_loop *loop;
    grpc_server *grpc;
    http1_server *http;
    uint16_t grpc_port, http_port;
    unsigned calls, tokens, streams;
    char authorization[256], form[512];
    bool refuse_keys;
    grpc_call *hanging[HANGING_MAX];
    unsigned hanging_count;
} fake;

static void finish(grpc_call *call, lpx_code code, const char *text)
{
    grpc_call_finish(call, code, lpx_str_of(text), (lpx_bytes){NULL, 0});
}

static void on_call(void *ctx, grpc_call *call)
{
    fake *f = ctx;
    lpx_bytes value = grpc_call_metadata(call, "authorization");
    f->calls++;
    (void)snprintf(f->authorization, sizeof f->authorization, "%.*s", (int)value.len, (const char *)value.ptr);
}

static void on_message(void *ctx, grpc_call *call, lpx_bytes message)
{
    fake *f = ctx;
    lpx_str path = grpc_call_path(call);
    if (lpx_str_is(path, "/t/Echo")) {
        (void)grpc_call_send(call, message);
    } else if (lpx_str_is(path, "/t/Stream")) {
        f->streams++;
        (void)grpc_call_send(call, message);
    }
}

static void on_half_close(void *ctx, grpc_call *call)
{
    fake *f = ctx;
    lpx_str path = grpc_call_path(call);
    if (lpx_str_is(path, "/t/Hang") && f->hanging_count < HANGING_MAX) {
        f->hanging[f->hanging_count++] = call;
    } else if (lpx_str_is(path, "/t/Deny")) {
        finish(call, LPX_PERMISSION_DENIED, "not yours.");
    } else if (lpx_str_is(path, "/t/Unknown") || lpx_str_is(path, "/t/Silent")) {
        finish(call, lpx_str_is(path, "/t/Silent") ? LPX_OK : LPX_UNAUTHENTICATED, "token unknown");
    } else {
        finish(call, LPX_OK, "");
    }
}

static void on_cancel(void *ctx, grpc_call *call, lpx_code why)
{
    (void)ctx;
    (void)why;
    finish(call, LPX_CANCELLED, "");
}

static void on_token(void *ctx, http1_request *request)
{
    fake *f = ctx;
    char body[128];
    lpx_bytes form = http1_request_body(request);
    f->tokens++;
    (void)snprintf(f->form, sizeof f->form, "%.*s", (int)form.len, (const char *)form.ptr);
    http1_answer answer = {.status = f->refuse_keys ? 401 : 200, .content_type = "application/json"};
    (void)snprintf(body, sizeof body,
                   f->refuse_keys ? "{\"error\":\"invalid_client\",\"error_description\":\"wrong secret\"}"
                                  : "{\"access_token\":\"token-%u\",\"token_type\":\"bearer\",\"expires_in\":3600}",
                   f->tokens);
    answer.body = lpx_str_bytes(lpx_str_of(body));
    http1_request_answer(request, &answer);
}

static int start_fake(void **state)
{
    static const grpc_server_events events = {
        .on_call = on_call, .on_message = on_message, .on_half_close = on_half_close, .on_cancel = on_cancel};
    fake *f = calloc(1, sizeof *f);
    lpx_note note = {{0}};
    grpc_server_opts opts = {0};
    http1_server_opts http_opts = {0};
    assert_non_null(f);
    f->loop = io_loop_new(0);
    assert_non_null(f->loop);
    http1_route route = {.method = "POST", .path = "/token", .handler = on_token, .ctx = f};
    if (lpx_failed(grpc_server_new(f->loop, &opts, &events, f, &f->grpc)) ||
        lpx_failed(grpc_server_listen(f->grpc, "127.0.0.1:0", NULL, &f->grpc_port, &note)) ||
        lpx_failed(http1_server_new(f->loop, &http_opts, &f->http)) ||
        lpx_failed(http1_server_route(f->http, &route)) ||
        lpx_failed(http1_server_listen(f->http, "127.0.0.1:0", NULL, &f->http_port, &note))) {
        fail_msg("the fake exchange does not start: %s", note.text);
    }
    *state = f;
    return 0;
}

static int stop_fake(void **state)
{
    fake *f = *state;
    grpc_server_free(&f->grpc);
    http1_server_free(&f->http);
    io_loop_free(&f->loop);
    free(f);
    return 0;
}

/* How an agent of a test shows itself. */
typedef enum auth_kind { AS_NOBODY, AS_ADMIN, AS_KEY } auth_kind;

static agent *open_agent(fake *f, auth_kind kind)
{
    char address[64], url[64];
    lpx_note note = {{0}};
    agent *a = NULL;
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", f->grpc_port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/token", f->http_port);
    agent_opts opts = {.loop = f->loop, .address = {address, NULL, NULL, address}, .insecure = true};
    if (kind == AS_ADMIN) {
        opts.username = "admin";
        opts.password = "pass";
    } else if (kind == AS_KEY) {
        opts.client_id = "KEY";
        opts.client_secret = "SECRET";
        opts.token_url = url;
    }
    if (lpx_failed(agent_open(&opts, &a, &note))) {
        fail_msg("agent_open: %s", note.text);
    }
    return a;
}

static Google__Protobuf__StringValue text_value(char *text)
{
    Google__Protobuf__StringValue value = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    value.value = text;
    return value;
}

/* A blocking call. @return its code; why as the agent tells it */
static unsigned call(agent *a, agent_service service, const char *path, agent_failure *why)
{
    char text[] = "hello";
    Google__Protobuf__StringValue in = text_value(text);
    ProtobufCMessage *out = NULL;
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 16);
    *why = (agent_failure){.code = LPX_OK};
    lpx_err err =
        agent_call(a, service, path, &in.base, &google__protobuf__string_value__descriptor, &arena, &out, why);
    if (!lpx_failed(err)) {
        assert_string_equal(((Google__Protobuf__StringValue *)out)->value, "hello");
    } else {
        assert_int_equal(err.code, why->code);
    }
    lpx_arena_fini(&arena);
    return err.code;
}

/* What a run of asynchronous calls came to. */
typedef struct outcome {
    unsigned good, bad;
    lpx_code code;
    char text[AGENT_FAILURE_BYTES];
} outcome;

static void count_end(void *ctx, const agent_failure *why, lpx_bytes message)
{
    outcome *o = ctx;
    o->good += why == NULL && message.len > 0 ? 1 : 0;
    o->bad += why != NULL ? 1 : 0;
    if (why != NULL) {
        o->code = why->code;
        memcpy(o->text, why->text, sizeof o->text);
    }
}

static void start_many(agent *a, agent_service service, const char *path, unsigned count, outcome *o)
{
    char text[] = "hello";
    Google__Protobuf__StringValue in = text_value(text);
    for (unsigned i = 0; i < count; i++) {
        assert_true(agent_start(a, service, path, &in.base, count_end, o));
    }
}

static void test_no_credentials(void **state)
{
    fake *f = *state;
    agent_failure why;
    agent *a = open_agent(f, AS_NOBODY);
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK);
    assert_string_equal(f->authorization, "");
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Deny", &why), LPX_PERMISSION_DENIED);
    assert_non_null(strstr(why.text, "PERMISSION_DENIED: not yours. Give --client-id"));
    assert_int_equal(call(a, AGENT_CONTROL, "/t/Echo", &why), LPX_INVALID_ARGUMENT);
    assert_non_null(strstr(why.text, "--controlplane-address"));
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Silent", &why), LPX_INTERNAL); /* OK without a message */
    assert_int_equal(grpc_server_counts(f->grpc)->connections_total, 1);
    agent_close(&a);
}

static void test_basic(void **state)
{
    fake *f = *state;
    agent_failure why;
    agent *a = open_agent(f, AS_ADMIN);
    assert_int_equal(call(a, AGENT_IAM, "/t/Echo", &why), LPX_OK);
    assert_string_equal(f->authorization, "Basic YWRtaW46cGFzcw==");
    assert_int_equal(call(a, AGENT_IAM, "/t/Unknown", &why), LPX_UNAUTHENTICATED);
    assert_non_null(strstr(why.text, "Check --iam-username"));
    agent_close(&a);
}

static void test_one_token_for_all(void **state)
{
    fake *f = *state;
    outcome o = {0};
    agent_failure why;
    agent *a = open_agent(f, AS_KEY);
    start_many(a, AGENT_ROUTER, "/t/Echo", 20, &o);
    start_many(a, AGENT_IAM, "/t/Echo", 20, &o);
    assert_int_equal(agent_in_flight(a), 40);
    agent_wait_below(a, 0);
    assert_int_equal(o.good, 40);
    assert_int_equal(f->tokens, 1);
    assert_string_equal(f->authorization, "Bearer token-1");
    assert_string_equal(f->form, "audience=127.0.0.1&client_id=KEY&client_secret=SECRET&grant_type=client_credentials"
                                 "&scope=networks");
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK);
    assert_int_equal(f->tokens, 1);
    agent_close(&a);
}

static void test_refused_key(void **state)
{
    fake *f = *state;
    outcome o = {0};
    agent_failure why;
    agent *a = open_agent(f, AS_KEY);
    f->refuse_keys = true;
    start_many(a, AGENT_ROUTER, "/t/Echo", 3, &o);
    agent_wait_below(a, 0);
    assert_int_equal(o.bad, 3);
    assert_int_equal(o.code, LPX_UNAUTHENTICATED);
    assert_non_null(strstr(o.text, "invalid_client: wrong secret. Check --client-id"));
    assert_int_equal(f->calls, 0);
    f->refuse_keys = false;
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK); /* asked again, not remembered */
    agent_close(&a);
}

static void test_renewal(void **state)
{
    fake *f = *state;
    agent_failure why;
    agent *a = open_agent(f, AS_KEY);
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK);
    agent_token *t = &a->tokens[0];
    int64_t now = io_loop_now(f->loop).mono.us;
    t->expires_us = now + AGENT_TOKEN_MARGIN_US / 2; /* ends soon: renewed beside the calls, which use it up */
    t->tried_us = now - 2 * AGENT_TOKEN_RETRY_US;
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK);
    assert_string_equal(f->authorization, "Bearer token-1");
    for (unsigned i = 0; i < MAX_TURNS && f->tokens < 2; i++) {
        io_loop_turn(f->loop, 10000);
    }
    while (t->fetch != NULL) {
        io_loop_turn(f->loop, 10000);
    }
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK);
    assert_string_equal(f->authorization, "Bearer token-2");
    t->expires_us = io_loop_now(f->loop).mono.us - 1; /* over: the call waits for the next */
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK);
    assert_string_equal(f->authorization, "Bearer token-3");
    t->tried_us -= 2 * AGENT_TOKEN_RETRY_US; /* taken back by the exchange */
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Unknown", &why), LPX_UNAUTHENTICATED);
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK);
    assert_string_equal(f->authorization, "Bearer token-4");
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Unknown", &why), LPX_UNAUTHENTICATED); /* a fresh one: no use */
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_OK);
    assert_int_equal(f->tokens, 4);
    agent_close(&a);
}

static void test_nobody_there(void **state)
{
    fake *f = *state;
    agent_failure why;
    agent *a = open_agent(f, AS_NOBODY);
    grpc_server_free(&f->grpc);
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_UNAVAILABLE);
    assert_non_null(strstr(why.text, "--router-address 127.0.0.1:"));
    assert_non_null(strstr(why.text, "Does the exchange run there"));
    agent_close(&a);
    a = open_agent(f, AS_KEY);
    http1_server_free(&f->http);
    assert_int_equal(call(a, AGENT_ROUTER, "/t/Echo", &why), LPX_UNAVAILABLE);
    assert_non_null(strstr(why.text, "no access token from http://127.0.0.1:"));
    agent_close(&a);
}

static void test_close_ends_calls(void **state)
{
    fake *f = *state;
    outcome hanging = {0}, waiting = {0};
    agent *a = open_agent(f, AS_NOBODY), *b = open_agent(f, AS_KEY);
    start_many(a, AGENT_ROUTER, "/t/Hang", 5, &hanging);
    for (unsigned i = 0; i < MAX_TURNS && f->hanging_count < 5; i++) {
        io_loop_turn(f->loop, 10000);
    }
    assert_int_equal(f->hanging_count, 5);
    agent_close(&a);
    assert_int_equal(hanging.bad, 5);
    assert_int_equal(hanging.code, LPX_CANCELLED);
    start_many(b, AGENT_ROUTER, "/t/Echo", 5, &waiting);  /* for their token */
    start_many(b, AGENT_CONTROL, "/t/Echo", 1, &waiting); /* for the turn in which it fails */
    agent_close(&b);
    assert_int_equal(waiting.bad, 6);
    agent_close(&b);
}

/* What a subscription saw. */
typedef struct seen {
    agent_stream *stream;
    unsigned messages, lost, ended, close_after;
    lpx_code end_code;
} seen;

static void stream_message(void *ctx, lpx_bytes message)
{
    seen *s = ctx;
    s->messages += message.len > 0 ? 1 : 0;
    if (s->messages == s->close_after) {
        agent_stream_close(&s->stream);
    }
}

static void stream_lost(void *ctx, const agent_failure *why, int64_t pause_us)
{
    seen *s = ctx;
    assert_null(why); /* an orderly end */
    assert_in_range(pause_us, 1, 12000000);
    s->lost++;
}

static void stream_end(void *ctx, const agent_failure *why)
{
    seen *s = ctx;
    s->ended++;
    s->end_code = why != NULL ? why->code : LPX_OK;
    s->stream = NULL;
}

static void subscribe(agent *a, const char *path, bool reconnect, seen *s)
{
    static const agent_stream_events events = {stream_message, stream_lost, stream_end};
    char text[] = "hello";
    Google__Protobuf__StringValue in = text_value(text);
    s->stream = agent_subscribe(a, AGENT_ROUTER, path, &in.base, reconnect, &events, s);
    assert_non_null(s->stream);
}

static void turn_while_open(fake *f, const seen *s)
{
    for (unsigned i = 0; i < MAX_TURNS && s->stream != NULL; i++) {
        io_loop_turn(f->loop, 10000);
    }
    assert_null(s->stream);
}

static void test_streams_end(void **state)
{
    fake *f = *state;
    seen once = {0}, denied = {0};
    agent *a = open_agent(f, AS_KEY);
    subscribe(a, "/t/Stream", false, &once);
    turn_while_open(f, &once);
    assert_int_equal(once.messages, 1);
    assert_int_equal(once.ended, 1);
    assert_int_equal(once.end_code, LPX_OK);
    subscribe(a, "/t/Deny", true, &denied); /* would be refused again and again */
    turn_while_open(f, &denied);
    assert_int_equal(denied.ended, 1);
    assert_int_equal(denied.end_code, LPX_PERMISSION_DENIED);
    agent_close(&a);
}

static void test_streams_come_back(void **state)
{
    fake *f = *state;
    seen s = {.close_after = 2};
    agent *a = open_agent(f, AS_NOBODY);
    subscribe(a, "/t/Stream", true, &s);
    turn_while_open(f, &s);
    assert_int_equal(s.messages, 2);
    assert_int_equal(s.lost, 1);
    assert_int_equal(s.ended, 0);
    assert_int_equal(f->streams, 2);
    seen hanging = {0}, paused = {0};
    subscribe(a, "/t/Hang", true, &hanging);
    subscribe(a, "/t/Stream", true, &paused);
    for (unsigned i = 0; i < MAX_TURNS && (f->hanging_count == 0 || paused.lost == 0); i++) {
        io_loop_turn(f->loop, 10000);
    }
    agent_close(&a); /* one runs, one pauses: both go without a word */
    assert_int_equal(hanging.ended + paused.ended, 0);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup_teardown(test_no_credentials, start_fake, stop_fake),
        cmocka_unit_test_setup_teardown(test_basic, start_fake, stop_fake),
        cmocka_unit_test_setup_teardown(test_one_token_for_all, start_fake, stop_fake),
        cmocka_unit_test_setup_teardown(test_refused_key, start_fake, stop_fake),
        cmocka_unit_test_setup_teardown(test_renewal, start_fake, stop_fake),
        cmocka_unit_test_setup_teardown(test_nobody_there, start_fake, stop_fake),
        cmocka_unit_test_setup_teardown(test_close_ends_calls, start_fake, stop_fake),
        cmocka_unit_test_setup_teardown(test_streams_end, start_fake, stop_fake),
        cmocka_unit_test_setup_teardown(test_streams_come_back, start_fake, stop_fake),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
