/* Streams of requests, by gRPC's client over a socket: order, pauses, and ends from every side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "grpc_reflection_v1_reflection.pb-c.h"
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"
#include "wire/grpc/client.h"

#define PATH "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

typedef Grpc__Reflection__V1__ServerReflectionRequest request_type;

enum { ANSWER_BYTES = 60000, REQUESTS = 200, LONG_US = 60 * 1000000 };

/* What the method does. */
typedef enum bidi_plan { ECHO, FAIL_AT_ONCE, END_AT_SECOND, FAIL_AT_SECOND } bidi_plan;

typedef struct world {
    io_loop *loop;
    rpc_server *rpc;
    rpc_method method;
    grpc_client *client;
    bidi_plan plan;
    rpc_call *call;
    unsigned requests, half_closes, ends, pauses;
    lpx_code why;
    bool full;
    /* the client's side */
    unsigned answers, done;
    lpx_code code;
    bool in_order;
} world;

static void on_request(void *ctx, const ProtobufCMessage *message)
{
    world *w = ctx;
    const request_type *request = (const request_type *)message;
    static uint8_t answer[ANSWER_BYTES];
    assert_false(w->full); /* none comes while the answers wait */
    assert_int_equal(strtoul(request->host, NULL, 10), w->requests);
    w->requests++;
    if (w->requests == 2 && w->plan == END_AT_SECOND) {
        rpc_stream_end(w->call, LPX_SUCCESS, NULL);
        return;
    }
    if (w->requests == 2 && w->plan == FAIL_AT_SECOND) {
        rpc_stream_end(w->call, lpx_err_of(RPC_OVERLOADED), NULL);
        return;
    }
    answer[0] = (uint8_t)w->requests;
    w->full = !rpc_stream_send(w->call, lpx_bytes_of(answer, sizeof answer));
    w->pauses += w->full;
}

static void on_writable(void *ctx)
{
    ((world *)ctx)->full = false;
}

static void on_half_close(void *ctx)
{
    world *w = ctx;
    w->half_closes++;
    rpc_stream_end(w->call, LPX_SUCCESS, NULL);
}

static void on_end(void *ctx, lpx_code why)
{
    world *w = ctx;
    w->ends++;
    w->why = why;
}

static void begin(rpc_call *call, const ProtobufCMessage *request, void *service)
{
    static const rpc_stream_events events = {on_writable, on_end, on_request, on_half_close};
    world *w = service;
    assert_null(request);
    w->call = call;
    if (w->plan == FAIL_AT_ONCE) {
        rpc_fail(call, lpx_err_of(RPC_OVERLOADED), NULL);
        return;
    }
    rpc_stream_begin(call, &events, w);
}

static void out_message(void *ctx, lpx_bytes message)
{
    world *w = ctx;
    w->answers++;
    w->in_order = w->in_order && message.len == ANSWER_BYTES && message.ptr[0] == (uint8_t)w->answers;
}

static void out_done(void *ctx, const grpc_status *status)
{
    world *w = ctx;
    w->done++;
    w->code = status->code;
}

static void world_begin(world *w, bidi_plan plan)
{
    lpx_note note = {""};
    uint16_t port = 0;
    char address[32];
    *w = (world){.loop = io_loop_new(0), .plan = plan, .in_order = true};
    w->method = (rpc_method){.path = PATH,
                             .in = &grpc__reflection__v1__server_reflection_request__descriptor,
                             .out = &grpc__reflection__v1__server_reflection_response__descriptor,
                             .flavour = RPC_BIDI,
                             .loop = begin,
                             .service = w};
    assert_false(lpx_failed(rpc_server_new(&(rpc_server_opts){.loop = w->loop}, &w->rpc)));
    assert_false(lpx_failed(rpc_server_add(w->rpc, &w->method, 1, &note)));
    assert_false(lpx_failed(grpc_server_listen(rpc_server_grpc(w->rpc), "127.0.0.1:0", NULL, &port, &note)));
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    assert_false(lpx_failed(grpc_client_new(w->loop, &(grpc_client_opts){.address = address}, &w->client, &note)));
}

static void world_end(world *w)
{
    grpc_client_free(&w->client);
    rpc_server_free(&w->rpc);
    io_loop_turn(w->loop, 0);
    io_loop_turn(w->loop, 0);
    io_loop_free(&w->loop);
}

static grpc_out *ask(world *w, unsigned count)
{
    static const grpc_out_events events = {out_message, NULL, out_done};
    grpc_out *out = grpc_client_start(w->client, PATH, NULL, 0, 0, &events, w);
    assert_non_null(out);
    for (unsigned i = 0; i < count; i++) {
        request_type request;
        char host[12];
        uint8_t room[64];
        grpc__reflection__v1__server_reflection_request__init(&request);
        (void)snprintf(host, sizeof host, "%u", i);
        request.host = host;
        (void)grpc_out_send(out, lpx_bytes_of(room, protobuf_c_message_pack(&request.base, room)));
    }
    return out;
}

static void turn_until(world *w, const unsigned *count, unsigned want)
{
    while (*count < want) {
        io_loop_turn(w->loop, LONG_US);
    }
}

static void requests_wait_while_answers_do(void **state)
{
    (void)state;
    world w;
    world_begin(&w, ECHO);
    grpc_out_close_send(ask(&w, REQUESTS));
    turn_until(&w, &w.done, 1);
    assert_int_equal(w.code, LPX_OK);
    assert_int_equal(w.requests, REQUESTS);
    assert_int_equal(w.answers, REQUESTS);
    assert_true(w.in_order);
    assert_true(w.pauses > 10); /* 12 MB of answers, a quarter of one at a time */
    assert_int_equal(w.half_closes, 1);
    assert_int_equal(w.ends, 0);
    world_end(&w);
}

static void the_handler_may_refuse_at_once(void **state)
{
    (void)state;
    world w;
    world_begin(&w, FAIL_AT_ONCE);
    (void)ask(&w, 3);
    turn_until(&w, &w.done, 1);
    assert_int_equal(w.code, LPX_RESOURCE_EXHAUSTED);
    assert_int_equal(w.requests + w.ends + w.half_closes, 0);
    world_end(&w);
}

static void the_handler_may_end_at_any_request(void **state)
{
    (void)state;
    for (bidi_plan plan = END_AT_SECOND; plan <= FAIL_AT_SECOND; plan++) {
        world w;
        world_begin(&w, plan);
        (void)ask(&w, 5);
        turn_until(&w, &w.done, 1);
        assert_int_equal(w.code, plan == END_AT_SECOND ? LPX_OK : LPX_RESOURCE_EXHAUSTED);
        assert_int_equal(w.requests, 2);
        assert_int_equal(w.answers, 1);
        assert_int_equal(w.ends, 0);
        world_end(&w);
    }
}

static void a_client_may_leave(void **state)
{
    (void)state;
    world w;
    world_begin(&w, ECHO);
    grpc_out *out = ask(&w, 2);
    turn_until(&w, &w.answers, 2);
    grpc_out_cancel(out);
    turn_until(&w, &w.ends, 1);
    assert_int_equal(w.why, LPX_CANCELLED);
    assert_int_equal(w.half_closes, 0);
    turn_until(&w, &w.done, 1);
    world_end(&w);
}

static void what_is_no_message_ends_the_stream(void **state)
{
    (void)state;
    world w;
    world_begin(&w, ECHO);
    (void)grpc_out_send(ask(&w, 1), lpx_bytes_of("\xff\xff", 2));
    turn_until(&w, &w.done, 1);
    assert_int_equal(w.code, LPX_INVALID_ARGUMENT);
    assert_int_equal(w.ends, 1);
    assert_int_equal(w.requests, 1);
    world_end(&w);
}

static void a_stop_ends_streams(void **state)
{
    (void)state;
    world w;
    world_begin(&w, ECHO);
    (void)ask(&w, 1);
    turn_until(&w, &w.answers, 1);
    rpc_server_stop_streams(w.rpc);
    turn_until(&w, &w.done, 1);
    assert_int_equal(w.code, LPX_UNAVAILABLE);
    assert_int_equal(w.ends, 1);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_wait_while_answers_do),     cmocka_unit_test(the_handler_may_refuse_at_once),
        cmocka_unit_test(the_handler_may_end_at_any_request), cmocka_unit_test(a_client_may_leave),
        cmocka_unit_test(what_is_no_message_ends_the_stream), cmocka_unit_test(a_stop_ends_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
