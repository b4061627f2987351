/* Hot methods over real sockets: whose requests they see, in place or copied, what rpc_hot_allow decides, both fronts;
 * and verdicts on credentials that are found by their number. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lpx_reasons.h"
#include "pb_iam_v1_api.pb-c.h"
#include "rpc/http.h"
#include "rpc/rpc_priv.h"
#include "wire/grpc/client.h"
#include "wire/http/http1_test_kit.h"

#define GET_NETWORK "/org.packetbroker.iam.v1.NetworkRegistry/GetNetwork"
#define ULID "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define ISSUER "https://localhost:1901"

enum { NET = 0x13, OTHER = 0x42, HOUR_S = 3600, KEYS = 2 };

/* Names of the keys in tokens. */
static const char *const key_ids[KEYS] = {"AAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBB"};
static const uint32_t key_nets[KEYS] = {NET, OTHER};

/* What the method does. */
typedef enum hot_plan { ANSWER, ANSWER_WITHOUT_ASKING, HOLD } hot_plan;

typedef struct world {
    io_loop *loop;
    rpc_server *rpc;
    http1_server *http;
    rpc_http *front;
    rpc_method method;
    jwt_key *key;
    lpx_arena arena;
    uint16_t grpc_port, http_port;
    hot_plan plan;
    unsigned calls, in_place;
    rpc_call *held;
} world;

static const uint8_t net_13[] = {0x08, NET}, net_42[] = {0x08, OTHER};

/* The answer: a network with the NetID of the request. */
static lpx_bytes answer_to(lpx_bytes request)
{
    static uint8_t answer[4] = {0x0a, 2, 0x08, 0};
    answer[3] = request.ptr[1];
    return lpx_bytes_of(answer, sizeof answer);
}

static void hot(rpc_call *call, lpx_bytes request, void *service)
{
    world *w = service;
    lpx_note note = {""};
    w->calls++;
    w->in_place += call->arena.used_bytes == 0;
    assert_int_equal(request.len, 2);
    assert_ptr_equal(rpc_call_raw(call).ptr, request.ptr);
    if (w->plan == ANSWER_WITHOUT_ASKING) {
        rpc_reply_bytes(call, answer_to(request));
        return;
    }
    lpx_err err = rpc_hot_allow(call, request.ptr[1], LPX_STR(""), LPX_STR(""), &note);
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
    } else if (w->plan == HOLD) {
        w->held = call;
    } else {
        rpc_reply_bytes(call, answer_to(request));
    }
}

/* The first count keys are good. */
static void set_keys(world *w, size_t count)
{
    rpc_auth_key keys[KEYS];
    lpx_str jwk;
    jwt_key *copy = NULL;
    for (size_t i = 0; i < KEYS; i++) {
        keys[i] = (rpc_auth_key){.net_id = key_nets[i], .rights = UINT64_MAX};
        (void)snprintf(keys[i].key_id, sizeof keys[i].key_id, "%s", key_ids[i]);
    }
    assert_false(lpx_failed(jwt_key_export(w->key, &w->arena, &jwk)));
    assert_false(lpx_failed(jwt_key_import(jwk, &copy)));
    rpc_auth_source source = {
        .keys = keys, .key_count = count, .signing_keys = &copy, .signing_key_count = 1, .issuer = LPX_STR(ISSUER)};
    rpc_auth_snapshot *snapshot = rpc_auth_snapshot_new(&source);
    assert_non_null(snapshot);
    rpc_server_set_auth(w->rpc, snapshot);
    rpc_auth_snapshot_unref(&snapshot);
}

/* A token of one of the keys, so old that its key is known or never will be. */
static const char *bearer(world *w, size_t key)
{
    lpx_utc now = io_loop_now(w->loop).utc;
    lpx_utc before = {now.us - INT64_C(60000000)};
    jwt_claims claims = {.issuer = LPX_STR(ISSUER),
                         .token_id = lpx_str_of(lpx_arena_printf(&w->arena, ULID "-%s", key_ids[key])),
                         .audiences = {LPX_STR("localhost")},
                         .audience_count = 1,
                         .issued_at = before,
                         .not_before = before,
                         .expires_at = {now.us + HOUR_S * INT64_C(1000000)},
                         .rights = UINT64_MAX};
    lpx_str out;
    assert_false(lpx_failed(jwt_sign(w->key, &claims, &w->arena, &out)));
    return lpx_arena_printf(&w->arena, "Bearer %.*s", (int)out.len, out.ptr);
}

static void world_begin(world *w, hot_plan plan)
{
    lpx_note note = {""};
    *w = (world){.loop = io_loop_new(0), .plan = plan};
    lpx_arena_init(&w->arena, 1 << 20);
    assert_false(lpx_failed(jwt_key_new(LPX_STR("one"), &w->key)));
    w->method = (rpc_method){.path = GET_NETWORK,
                             .in = &pb__iam__v1__network_request__descriptor,
                             .out = &pb__iam__v1__get_network_response__descriptor,
                             .flavour = RPC_HOT,
                             .hot = hot,
                             .service = w};
    assert_false(lpx_failed(rpc_server_new(&(rpc_server_opts){.loop = w->loop}, &w->rpc)));
    assert_false(lpx_failed(rpc_server_add(w->rpc, &w->method, 1, &note)));
    assert_false(lpx_failed(grpc_server_listen(rpc_server_grpc(w->rpc), "127.0.0.1:0", NULL, &w->grpc_port, &note)));
    assert_false(lpx_failed(http1_server_new(w->loop, &(http1_server_opts){0}, &w->http)));
    assert_false(lpx_failed(rpc_http_new(w->rpc, w->http, &(rpc_http_opts){0}, &w->front)));
    assert_false(lpx_failed(http1_server_listen(w->http, "127.0.0.1:0", NULL, &w->http_port, &note)));
    set_keys(w, KEYS);
}

static void world_end(world *w)
{
    http1_server_free(&w->http);
    io_loop_turn(w->loop, 0);
    rpc_http_free(&w->front);
    rpc_server_free(&w->rpc);
    io_loop_turn(w->loop, 0);
    io_loop_free(&w->loop);
    jwt_key_free(&w->key);
    lpx_arena_fini(&w->arena);
}

/* One gRPC client and what its last call brought. */
typedef struct talk {
    world *w;
    grpc_client *client;
    const char *authorization; /* NULL: none */
    unsigned done;
    lpx_code code;
    uint8_t answer[16];
    size_t answer_len;
} talk;

static void talk_message(void *ctx, lpx_bytes message)
{
    talk *t = ctx;
    assert_true(message.len <= sizeof t->answer);
    memcpy(t->answer, message.ptr, message.len);
    t->answer_len = message.len;
}

static void talk_done(void *ctx, const grpc_status *status)
{
    talk *t = ctx;
    t->done++;
    t->code = status->code;
}

static void talk_begin(talk *t, world *w, const char *authorization)
{
    lpx_note note = {""};
    char address[32];
    *t = (talk){.w = w, .authorization = authorization};
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)w->grpc_port);
    assert_false(lpx_failed(grpc_client_new(w->loop, &(grpc_client_opts){.address = address}, &t->client, &note)));
}

static void talk_end(talk *t)
{
    grpc_client_free(&t->client);
    io_loop_turn(t->w->loop, 0);
}

static grpc_out *start(talk *t)
{
    static const grpc_out_events events = {talk_message, NULL, talk_done};
    grpc_meta meta = {"authorization", lpx_str_bytes(lpx_str_of(t->authorization))};
    t->answer_len = 0;
    grpc_out *out = grpc_client_start(t->client, GET_NETWORK, &meta, t->authorization != NULL, 0, &events, t);
    assert_non_null(out);
    return out;
}

static lpx_code finish(talk *t, unsigned done)
{
    TURN_UNTIL(t->w->loop, t->done > done);
    return t->code;
}

/* A call whose message and end come in one frame. */
static lpx_code ask(talk *t, lpx_bytes request)
{
    unsigned done = t->done;
    grpc_out *out = start(t);
    (void)grpc_out_send(out, request);
    grpc_out_close_send(out);
    return finish(t, done);
}

static lpx_code ask_net(talk *t, uint8_t net)
{
    return ask(t, net == NET ? lpx_bytes_of(net_13, 2) : lpx_bytes_of(net_42, 2));
}

static void a_request_is_read_where_it_lies(void **state)
{
    (void)state;
    world w;
    talk t;
    world_begin(&w, ANSWER);
    talk_begin(&t, &w, bearer(&w, 0));
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(ask_net(&t, NET), LPX_OK);
        assert_int_equal(t.answer_len, 4);
        assert_int_equal(t.answer[3], NET);
        assert_int_equal(w.calls, i);
    }
    /* The first call's arena has what its token left there. */
    assert_true(w.in_place >= 4);
    assert_int_equal(w.rpc->spare_count, 1);
    talk_end(&t);
    world_end(&w);
}

static void a_request_whose_end_comes_later_is_kept(void **state)
{
    (void)state;
    world w;
    talk t;
    world_begin(&w, ANSWER);
    talk_begin(&t, &w, bearer(&w, 0));
    assert_int_equal(ask_net(&t, NET), LPX_OK);
    w.in_place = 0;
    grpc_out *out = start(&t);
    (void)grpc_out_send(out, lpx_bytes_of(net_13, 2));
    for (int i = 0; i < 5; i++) {
        io_loop_turn(w.loop, 1000);
    }
    assert_int_equal(w.calls, 1);
    grpc_out_close_send(out);
    assert_int_equal(finish(&t, 1), LPX_OK);
    assert_int_equal(w.calls, 2);
    assert_int_equal(w.in_place, 0);
    talk_end(&t);
    world_end(&w);
}

static void one_message_it_must_be(void **state)
{
    (void)state;
    world w;
    talk t;
    world_begin(&w, ANSWER);
    talk_begin(&t, &w, bearer(&w, 0));
    for (unsigned count = 0; count <= 2; count += 2) {
        unsigned done = t.done;
        grpc_out *out = start(&t);
        for (unsigned i = 0; i < count; i++) {
            (void)grpc_out_send(out, lpx_bytes_of(net_13, 2));
        }
        grpc_out_close_send(out);
        assert_int_equal(finish(&t, done), lpx_err_of(RPC_ONE_MESSAGE).code);
    }
    assert_int_equal(w.calls, 0);
    talk_end(&t);
    world_end(&w);
}

static void the_table_decides(void **state)
{
    (void)state;
    world w;
    talk t;
    world_begin(&w, ANSWER);
    talk_begin(&t, &w, bearer(&w, 0));
    assert_int_equal(ask_net(&t, OTHER), LPX_PERMISSION_DENIED);
    assert_int_equal(t.answer_len, 0);
    assert_int_equal(ask_net(&t, NET), LPX_OK);
    talk_end(&t);
    talk_begin(&t, &w, NULL);
    assert_int_equal(ask_net(&t, NET), LPX_UNAUTHENTICATED);
    talk_end(&t);
    talk_begin(&t, &w, "Bearer nonsense");
    assert_int_equal(ask_net(&t, NET), LPX_UNAUTHENTICATED);
    talk_end(&t);
    world_end(&w);
}

static void json_is_decoded_for_it(void **state)
{
    static const struct {
        const char *body, *status, *text;
    } cases[] = {
        {"{\"netId\": 19}", "HTTP/1.1 200 OK", "{\"network\":{\"netId\":19}}"},
        {"{\"netId\": 66}", "HTTP/1.1 403", "permission_denied"},
        {"{\"netIdd\": 19}", "HTTP/1.1 400", "invalid_argument"},
    };
    (void)state;
    world w;
    world_begin(&w, ANSWER);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        talker t = {0};
        const char *text = lpx_arena_printf(&w.arena,
                                            "POST " GET_NETWORK " HTTP/1.1\r\nHost: h\r\nContent-Type: application/json"
                                            "\r\nAuthorization: %s\r\nContent-Length: %zu\r\n\r\n%s",
                                            bearer(&w, 0), strlen(cases[i].body), cases[i].body);
        talker_begin(&t, w.loop, w.http_port, text);
        TURN_UNTIL(w.loop, talker_has(&t, cases[i].text));
        assert_true(talker_has(&t, cases[i].status));
        talker_end(&t);
    }
    assert_int_equal(w.calls, 2);
    world_end(&w);
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    world w;
    talk t;
    world_begin(&w, HOLD);
    talk_begin(&t, &w, bearer(&w, 0));
    grpc_out *out = start(&t);
    (void)grpc_out_send(out, lpx_bytes_of(net_13, 2));
    grpc_out_close_send(out);
    TURN_UNTIL(w.loop, w.held != NULL);
    rpc_reply_bytes(w.held, answer_to(lpx_bytes_of(net_13, 2)));
    assert_int_equal(finish(&t, 0), LPX_OK);
    assert_int_equal(t.answer[3], NET);
    talk_end(&t);
    world_end(&w);
}

static void nobody_answers_without_asking(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        world w;
        talk t;
        (void)signal(SIGABRT, SIG_DFL); /* cmocka has its own */
        (void)freopen("/dev/null", "w", stderr);
        world_begin(&w, ANSWER_WITHOUT_ASKING);
        talk_begin(&t, &w, bearer(&w, 0));
        (void)ask_net(&t, NET);
        _exit(0);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    assert_int_equal(WTERMSIG(how), SIGABRT);
}

/* The verdict that a credential of this loop has, by its number. */
static seen_slot *seen(world *w, uint64_t credential)
{
    assert_non_null(w->rpc->seen);
    return &w->rpc->seen[credential % RPC_SEEN_SLOTS];
}

static void a_credential_is_verified_once(void **state)
{
    (void)state;
    world w;
    talk a, b;
    world_begin(&w, ANSWER);
    talk_begin(&a, &w, bearer(&w, 0));
    talk_begin(&b, &w, bearer(&w, 1));
    for (int i = 0; i < 3; i++) { /* neither connection gets the other's */
        assert_int_equal(ask_net(&a, NET), LPX_OK);
        assert_int_equal(ask_net(&a, OTHER), LPX_PERMISSION_DENIED);
        assert_int_equal(ask_net(&b, OTHER), LPX_OK);
        assert_int_equal(ask_net(&b, NET), LPX_PERMISSION_DENIED);
    }
    assert_int_equal(w.rpc->last_serial, 2);
    assert_int_equal(seen(&w, 1)->credential, 1);
    assert_int_equal(seen(&w, 2)->credential, 2);
    b.authorization = a.authorization; /* another token on a connection that is known */
    assert_int_equal(ask_net(&b, OTHER), LPX_PERMISSION_DENIED);
    assert_int_equal(ask_net(&b, NET), LPX_OK);
    assert_int_equal(w.rpc->last_serial, 2);
    talk_end(&b);
    talk_end(&a);
    world_end(&w);
}

static void a_verdict_ends_with_its_key(void **state)
{
    (void)state;
    world w;
    talk a, b;
    world_begin(&w, ANSWER);
    talk_begin(&a, &w, bearer(&w, 0));
    talk_begin(&b, &w, bearer(&w, 1));
    assert_int_equal(ask_net(&a, NET), LPX_OK);
    assert_int_equal(ask_net(&b, OTHER), LPX_OK);
    set_keys(&w, 1);
    assert_int_equal(ask_net(&a, NET), LPX_OK);
    assert_int_equal(w.rpc->last_serial, 3); /* verified again */
    assert_int_equal(ask_net(&b, OTHER), LPX_UNAUTHENTICATED);
    set_keys(&w, KEYS);
    assert_int_equal(ask_net(&b, OTHER), LPX_OK);
    talk_end(&b);
    talk_end(&a);
    world_end(&w);
}

static void a_verdict_ends_with_its_time(void **state)
{
    (void)state;
    world w;
    talk t;
    world_begin(&w, ANSWER);
    talk_begin(&t, &w, bearer(&w, 0));
    assert_int_equal(ask_net(&t, NET), LPX_OK);
    assert_int_equal(w.rpc->last_serial, 1);
    token_slot *slot = &w.rpc->tokens[seen(&w, 1)->token];
    slot->who.expires_at.us = io_loop_now(w.loop).utc.us - 1;
    assert_int_equal(ask_net(&t, NET), LPX_OK);
    assert_int_equal(w.rpc->last_serial, 2);
    talk_end(&t);
    world_end(&w);
}

static void a_verdict_gives_way(void **state)
{
    (void)state;
    world w;
    talk t;
    world_begin(&w, ANSWER);
    talk_begin(&t, &w, bearer(&w, 0));
    assert_int_equal(ask_net(&t, NET), LPX_OK);
    /* Another token took the place of this one's verdict: same slot, next serial. */
    token_slot *slot = &w.rpc->tokens[seen(&w, 1)->token];
    slot->serial = ++w.rpc->last_serial;
    slot->hash[31] ^= 1;
    slot->who.net_id = OTHER;
    assert_int_equal(ask_net(&t, OTHER), LPX_PERMISSION_DENIED);
    assert_int_equal(ask_net(&t, NET), LPX_OK);
    talk_end(&t);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_where_it_lies),
        cmocka_unit_test(a_request_whose_end_comes_later_is_kept),
        cmocka_unit_test(one_message_it_must_be),
        cmocka_unit_test(the_table_decides),
        cmocka_unit_test(json_is_decoded_for_it),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(nobody_answers_without_asking),
        cmocka_unit_test(a_credential_is_verified_once),
        cmocka_unit_test(a_verdict_ends_with_its_key),
        cmocka_unit_test(a_verdict_ends_with_its_time),
        cmocka_unit_test(a_verdict_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
