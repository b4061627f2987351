#include "wire/grpc/echo_test_service.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/text.h"
#include "base/writer.h"

typedef struct echo_call {
    void (*on_message)(echo_service *service, grpc_call *call, struct echo_call *state, lpx_bytes message);
    void (*on_half_close)(grpc_call *call, struct echo_call *state);
    uint32_t left, count;
    uint64_t total;
    lpx_bytes payload;
    bool closed;
} echo_call;

static void finish_ok(grpc_call *call)
{
    grpc_call_finish(call, LPX_OK, LPX_STR(""), (lpx_bytes){0});
}

static void unary_message(echo_service *service, grpc_call *call, echo_call *state, lpx_bytes message)
{
    (void)service;
    state->count++;
    if (state->count == 1) {
        (void)grpc_call_send(call, message);
    }
}

static void unary_closed(grpc_call *call, echo_call *state)
{
    if (state->count != 1) {
        grpc_call_finish(call, LPX_INTERNAL, LPX_STR("want exactly one message"), (lpx_bytes){0});
        return;
    }
    finish_ok(call);
}

static void stream_more(grpc_call *call, echo_call *state)
{
    while (state->left > 0) {
        state->left--;
        if (!grpc_call_send(call, state->payload)) {
            break;
        }
    }
    if (state->left == 0 && state->closed) {
        finish_ok(call);
    }
}

static void stream_message(echo_service *service, grpc_call *call, echo_call *state, lpx_bytes message)
{
    (void)service;
    lpx_reader r;
    lpx_reader_init(&r, message);
    state->left = lpx_reader_u32be(&r);
    state->payload = lpx_arena_copy(grpc_call_arena(call), lpx_reader_take_rest(&r));
}

static void stream_closed(grpc_call *call, echo_call *state)
{
    state->closed = true;
    stream_more(call, state);
}

static void collect_message(echo_service *service, grpc_call *call, echo_call *state, lpx_bytes message)
{
    (void)service;
    (void)call;
    state->count++;
    state->total += message.len;
}

static void collect_closed(grpc_call *call, echo_call *state)
{
    uint8_t room[12];
    lpx_writer w;
    lpx_writer_init(&w, (lpx_space){room, sizeof room});
    lpx_writer_u32be(&w, state->count);
    lpx_writer_u64be(&w, state->total);
    (void)grpc_call_send(call, lpx_writer_view(&w));
    finish_ok(call);
}

static void bidi_message(echo_service *service, grpc_call *call, echo_call *state, lpx_bytes message)
{
    (void)service;
    (void)state;
    if (!grpc_call_send(call, message)) {
        grpc_call_pause(call);
    }
}

static void bidi_closed(grpc_call *call, echo_call *state)
{
    (void)state;
    finish_ok(call);
}

static void fail_message(echo_service *service, grpc_call *call, echo_call *state, lpx_bytes message)
{
    (void)service;
    state->payload = lpx_arena_copy(grpc_call_arena(call), message);
}

static void fail_closed(grpc_call *call, echo_call *state)
{
    uint64_t code = LPX_UNKNOWN;
    (void)lpx_parse_u64(lpx_bytes_str(grpc_call_metadata(call, "x-code")), LPX_UNAUTHENTICATED, &code);
    grpc_call_finish(call, (lpx_code)code, lpx_bytes_str(grpc_call_metadata(call, "x-message")), state->payload);
}

static void meta_closed(grpc_call *call, echo_call *state)
{
    lpx_bytes text = grpc_call_metadata(call, "x-text"), data = grpc_call_metadata(call, "x-data-bin");
    char deadline[24] = "none";
    (void)state;
    if (grpc_call_deadline(call).us != INT64_MAX && grpc_call_loop(call) != NULL) {
        int64_t left_us = grpc_call_deadline(call).us - io_loop_now(grpc_call_loop(call)).mono.us;
        (void)snprintf(deadline, sizeof deadline, "%lld", (long long)((left_us + 500000) / 1000000));
    }
    size_t len = text.len + data.len + strlen(deadline) + 2;
    uint8_t *room = lpx_arena_get(grpc_call_arena(call), len);
    lpx_writer w;
    lpx_writer_init(&w, (lpx_space){room, len});
    lpx_writer_bytes(&w, text);
    lpx_writer_u8(&w, 0);
    lpx_writer_bytes(&w, data);
    lpx_writer_u8(&w, 0);
    lpx_writer_str(&w, lpx_str_of(deadline));
    (void)grpc_call_send(call, lpx_writer_view(&w));
    finish_ok(call);
}

static void hang_closed(grpc_call *call, echo_call *state)
{
    (void)call;
    (void)state;
}

static void pauses_message(echo_service *service, grpc_call *call, echo_call *state, lpx_bytes message)
{
    collect_message(service, call, state, message);
    grpc_call_pause(call);
    service->paused = call;
}

typedef struct method {
    const char *path;
    void (*on_message)(echo_service *service, grpc_call *call, echo_call *state, lpx_bytes message);
    void (*on_half_close)(grpc_call *call, echo_call *state);
} method;

static const method methods[] = {
    {"/echo.Echo/Unary", unary_message, unary_closed},
    {"/echo.Echo/ServerStream", stream_message, stream_closed},
    {"/echo.Echo/ClientStream", collect_message, collect_closed},
    {"/echo.Echo/Bidi", bidi_message, bidi_closed},
    {"/echo.Echo/Fail", fail_message, fail_closed},
    {"/echo.Echo/Meta", collect_message, meta_closed},
    {"/echo.Echo/Hang", collect_message, hang_closed},
    {"/echo.Echo/Pauses", pauses_message, collect_closed},
};

static void on_call(void *ctx, grpc_call *call)
{
    echo_service *service = ctx;
    service->calls++;
    service->last_credential = grpc_call_credential(call);
    lpx_assert(grpc_call_peer(call) != NULL);
    if (service->stop_after_call) {
        service->last_call = call;
        return;
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (!lpx_str_is(grpc_call_path(call), methods[i].path)) {
            continue;
        }
        echo_call *state = lpx_arena_get(grpc_call_arena(call), sizeof *state);
        *state = (echo_call){.on_message = methods[i].on_message, .on_half_close = methods[i].on_half_close};
        grpc_call_set_user(call, state);
        if (methods[i].on_half_close == hang_closed) {
            grpc_call_open(call);
        }
        return;
    }
    grpc_call_finish(call, LPX_UNIMPLEMENTED, LPX_STR("no such method"), (lpx_bytes){0});
}

static void on_message(void *ctx, grpc_call *call, lpx_bytes message)
{
    echo_service *service = ctx;
    echo_call *state = grpc_call_user(call);
    service->messages++;
    if (state != NULL) {
        state->on_message(service, call, state, message);
    }
}

static void on_half_close(void *ctx, grpc_call *call)
{
    echo_service *service = ctx;
    echo_call *state = grpc_call_user(call);
    service->half_closes++;
    if (state != NULL) {
        state->on_half_close(call, state);
    }
}

static void on_writable(void *ctx, grpc_call *call)
{
    echo_service *service = ctx;
    echo_call *state = grpc_call_user(call);
    service->writables++;
    if (state == NULL) {
        return;
    }
    if (state->on_half_close == bidi_closed) {
        grpc_call_resume(call);
    } else if (state->on_half_close == stream_closed) {
        stream_more(call, state);
    }
}

static void on_cancel(void *ctx, grpc_call *call, lpx_code why)
{
    echo_service *service = ctx;
    service->cancels[why]++;
    if (service->paused == call) {
        service->paused = NULL;
    }
    if (service->last_call == call) {
        service->last_call = NULL;
    }
    if (service->keep_cancelled) {
        service->last_call = call;
        return;
    }
    grpc_call_finish(call, why, LPX_STR("given back"), (lpx_bytes){0});
}

const grpc_server_events echo_service_events = {
    .on_call = on_call,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_cancel = on_cancel,
};

void echo_service_resume(echo_service *service)
{
    grpc_call *call = service->paused;
    service->paused = NULL;
    if (call != NULL) {
        grpc_call_resume(call);
    }
}
