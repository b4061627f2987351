/* The JSON front without the exchange around it: calls that take their time, clients that leave, who sent a request. */
#include "rpc/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lpx_reasons.h"
#include "pb_iam_v1_api.pb-c.h"
#include "rpc/rpc_priv.h"
#include "wire/http/http1_test_kit.h"

#define GET_NETWORK "/org.packetbroker.iam.v1.NetworkRegistry/GetNetwork"
#define ULID "01ARZ3NDEKTSV4RRFFQ69G5FAV"

typedef struct world {
    io_loop *loop;
    rpc_server *rpc;
    http1_server *http;
    rpc_http *front;
    rpc_method method;
    jwt_key *key;
    lpx_arena arena;
    uint16_t port;
    rpc_call *held; /* by the method, to be answered later */
    rpc_principal who;
    lpx_err identified;
    int asked;
} world;

static void hold(rpc_call *call, const ProtobufCMessage *request, void *service)
{
    world *w = service;
    assert_int_equal(((const Pb__Iam__V1__NetworkRequest *)request)->net_id, 19);
    assert_true(rpc_call_raw(call).len == 2); /* serialised, whatever it came as */
    w->held = call;
}

static void identified(void *ctx, http1_request *request, lpx_err err, const rpc_principal *who, const lpx_note *note)
{
    world *w = ctx;
    w->asked++;
    w->identified = err;
    assert_int_equal(who == NULL, lpx_failed(err));
    if (lpx_failed(err)) {
        rpc_http_fail(request, err, note);
        return;
    }
    w->who = *who;
    http1_request_answer(request, &(http1_answer){.status = 200, .body = lpx_str_bytes(LPX_STR("known"))});
}

static void get_who(void *ctx, http1_request *request)
{
    world *w = ctx;
    rpc_http_identify(w->front, request, identified, w);
}

static void set_keys(world *w, bool with_key)
{
    static const rpc_auth_key key = {.key_id = "AAAAAAAAAAAAAAAA", .net_id = 0x13, .rights = UINT64_MAX};
    lpx_str jwk;
    jwt_key *copy = NULL;
    assert_false(lpx_failed(jwt_key_export(w->key, &w->arena, &jwk)));
    assert_false(lpx_failed(jwt_key_import(jwk, &copy)));
    rpc_auth_source source = {.keys = &key,
                              .key_count = with_key,
                              .signing_keys = &copy,
                              .signing_key_count = 1,
                              .issuer = LPX_STR("https://localhost:1901")};
    rpc_auth_snapshot *snapshot = rpc_auth_snapshot_new(&source);
    assert_non_null(snapshot);
    rpc_server_set_auth(w->rpc, snapshot);
    rpc_auth_snapshot_unref(&snapshot);
}

static const char *token(world *w)
{
    lpx_utc now = io_loop_now(w->loop).utc;
    jwt_claims claims = {.issuer = LPX_STR("https://localhost:1901"),
                         .token_id = LPX_STR(ULID "-AAAAAAAAAAAAAAAA"),
                         .audiences = {LPX_STR("localhost")},
                         .audience_count = 1,
                         .issued_at = now,
                         .not_before = now,
                         .expires_at = {now.us + INT64_C(3600000000)},
                         .rights = UINT64_MAX};
    lpx_str out;
    assert_false(lpx_failed(jwt_sign(w->key, &claims, &w->arena, &out)));
    return lpx_arena_cstr(&w->arena, out);
}

static void world_begin(world *w)
{
    lpx_note note = {""};
    *w = (world){.loop = io_loop_new(0)};
    lpx_arena_init(&w->arena, 1 << 20);
    assert_false(lpx_failed(jwt_key_new(LPX_STR("one"), &w->key)));
    w->method = (rpc_method){.path = GET_NETWORK,
                             .in = &pb__iam__v1__network_request__descriptor,
                             .out = &pb__iam__v1__get_network_response__descriptor,
                             .flavour = RPC_LOOP,
                             .loop = hold,
                             .service = w};
    assert_false(lpx_failed(rpc_server_new(&(rpc_server_opts){.loop = w->loop}, &w->rpc)));
    assert_false(lpx_failed(rpc_server_add(w->rpc, &w->method, 1, &note)));
    assert_false(lpx_failed(http1_server_new(w->loop, &(http1_server_opts){0}, &w->http)));
    assert_false(lpx_failed(rpc_http_new(w->rpc, w->http, &(rpc_http_opts){0}, &w->front)));
    http1_route route = {.method = "GET", .path = "/who", .handler = get_who, .ctx = w};
    assert_false(lpx_failed(http1_server_route(w->http, &route)));
    assert_false(lpx_failed(http1_server_listen(w->http, "127.0.0.1:0", NULL, &w->port, &note)));
    set_keys(w, true);
}

static void world_end(world *w)
{
    http1_server_free(&w->http);
    io_loop_turn(w->loop, 0);
    rpc_http_free(&w->front);
    rpc_http_free(&w->front);
    rpc_server_free(&w->rpc);
    io_loop_turn(w->loop, 0);
    io_loop_free(&w->loop);
    jwt_key_free(&w->key);
    lpx_arena_fini(&w->arena);
}

/* A request with the world's token. */
static void say(world *w, talker *t, const char *first_line, const char *headers, const char *body)
{
    char *text = lpx_arena_printf(&w->arena,
                                  "%s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                                  "Authorization: Bearer %s\r\n%sContent-Length: %zu\r\n\r\n%s",
                                  first_line, token(w), headers, strlen(body), body);
    assert_non_null(text);
    talker_begin(t, w->loop, w->port, text);
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    world w;
    talker t = {0};
    world_begin(&w);
    say(&w, &t, "POST " GET_NETWORK, "", "{\"netId\": 19}");
    TURN_UNTIL(w.loop, w.held != NULL);
    assert_int_equal(rpc_call_principal(w.held)->net_id, 0x13);
    assert_int_equal(t.got.len, 0);
    rpc_reply(w.held, NULL);
    TURN_UNTIL(w.loop, talker_has(&t, "\r\n\r\n{}"));
    assert_true(talker_has(&t, "HTTP/1.1 200 OK"));
    talker_end(&t);
    world_end(&w);
}

static void time_may_be_over_before(void **state)
{
    (void)state;
    world w;
    talker t = {0};
    world_begin(&w);
    say(&w, &t, "POST " GET_NETWORK, "Connect-Timeout-Ms: 5\r\n", "{\"netId\": 19}");
    TURN_UNTIL(w.loop, talker_has(&t, "deadline_exceeded"));
    assert_true(talker_has(&t, "HTTP/1.1 504 Gateway Timeout"));
    assert_non_null(w.held);
    rpc_reply(w.held, NULL); /* it ends all the same; nobody gets this */
    io_loop_turn(w.loop, 0);
    assert_int_equal(talker_count(&t, "HTTP/1.1"), 1);
    talker_end(&t);
    world_end(&w);
}

static void a_client_may_leave(void **state)
{
    (void)state;
    world w;
    talker t = {0};
    world_begin(&w);
    say(&w, &t, "POST " GET_NETWORK, "", "{\"netId\": 19}");
    TURN_UNTIL(w.loop, w.held != NULL);
    talker_end(&t);
    TURN_UNTIL(w.loop, http1_server_connections(w.http) == 0);
    rpc_fail(w.held, lpx_err_of(RPC_OVERLOADED), NULL);
    world_end(&w);
}

static void the_end_comes_before_the_answer(void **state)
{
    (void)state;
    world w;
    talker t = {0};
    world_begin(&w);
    say(&w, &t, "POST " GET_NETWORK, "Connect-Timeout-Ms: 60000\r\n", "{\"netId\": 19}");
    TURN_UNTIL(w.loop, w.held != NULL);
    http1_server_free(&w.http);
    TURN_UNTIL(w.loop, t.conn == NULL);
    rpc_http_free(&w.front);
    rpc_reply(w.held, NULL);
    talker_end(&t);
    world_end(&w);
}

static void other_handlers_learn_who_asks(void **state)
{
    (void)state;
    world w;
    world_begin(&w);
    talker t = {0};
    say(&w, &t, "GET /who", "", "");
    TURN_UNTIL(w.loop, talker_has(&t, "known"));
    assert_int_equal(w.who.subject, RPC_NETWORK);
    assert_string_equal(w.who.key_id, "AAAAAAAAAAAAAAAA");
    talker_end(&t);

    t = (talker){0};
    talker_begin(&t, w.loop, w.port, "GET /who HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(w.loop, talker_has(&t, "known"));
    assert_int_equal(w.who.subject, RPC_ANONYMOUS);
    talker_end(&t);

    t = (talker){0};
    talker_begin(&t, w.loop, w.port, "GET /who HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer a.b.c\r\n\r\n");
    TURN_UNTIL(w.loop, talker_has(&t, "\"code\":\"unauthenticated\""));
    assert_true(talker_has(&t, "HTTP/1.1 401 Unauthorized") && talker_has(&t, "WWW-Authenticate: Bearer\r\n"));
    talker_end(&t);
    assert_int_equal(w.asked, 3);
    world_end(&w);
}

/* The key of a young token may still come; a stranger's question waits as a call does. */
static void a_question_may_wait_for_a_key(void **state)
{
    (void)state;
    world w;
    world_begin(&w);
    set_keys(&w, false);
    talker t = {0};
    say(&w, &t, "GET /who", "", "");
    TURN_UNTIL(w.loop, !lpx_list_empty(&w.rpc->waiting));
    set_keys(&w, true);
    TURN_UNTIL(w.loop, talker_has(&t, "known"));
    talker_end(&t);

    set_keys(&w, false); /* and at the end of all nothing is left waiting */
    t = (talker){0};
    talker u = {0};
    say(&w, &t, "GET /who", "", "");
    say(&w, &u, "POST " GET_NETWORK, "", "{\"netId\": 19}");
    TURN_UNTIL(w.loop, !lpx_list_empty(&w.rpc->waiting) && w.rpc->waiting.next->next != &w.rpc->waiting);
    talker_end(&t);
    talker_end(&u);
    world_end(&w);
    assert_int_equal(w.asked, 2);
    assert_int_equal(w.identified.code, LPX_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(time_may_be_over_before),
        cmocka_unit_test(a_client_may_leave),
        cmocka_unit_test(the_end_comes_before_the_answer),
        cmocka_unit_test(other_handlers_learn_who_asks),
        cmocka_unit_test(a_question_may_wait_for_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
