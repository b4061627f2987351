/* Publishing by stream: requests hold many uplinks each, answers their ids. Every uplink goes the way of Publish, under
 * the rule of Publish; one that is refused has the error in its place and harms no other. */
#include <stdlib.h>

#include "base/reader.h"
#include "codec/pb/pb.h"
#include "google_rpc_status.pb-c.h"
#include "lpx_reasons.h"
#include "lpx_routing_v1_data.pb-c.h"
#include "router/limits.h"
#include "router/router_publish.h"
#include "rpc/authz.h"

#define PUBLISH "/org.packetbroker.routing.v1.ForwarderData/Publish"

enum {
    TAG_UPLINK = 1 << 3 | 2, /* PublishStreamRequest.uplinks */
    TAG_RESULT = 1 << 3 | 2, /* PublishStreamResponse.results */
    TAG_ID = 1 << 3 | 2,     /* PublishStreamResponse.Result.id */
    ID_FIELD_BYTES = 2 + ROUTER_ID_CHARS,
};

typedef struct publish_stream {
    rpc_call *call;
    router_shard *shard;
    const rpc_rule *rule; /* of Publish */
    lpx_arena arena;      /* of one uplink */
    lpx_buf answer;       /* to one request */
} publish_stream;

/* The rule of Publish decides, for every uplink. */
static lpx_err allow(void *ctx, traffic_endpoint forwarder, lpx_note *note)
{
    const publish_stream *s = ctx;
    rpc_owner owner = {
        .net_id = forwarder.net_id, .tenant_id = forwarder.tenant_id, .cluster_id = forwarder.cluster_id};
    return rpc_authz_check_owner(s->rule, rpc_call_principal(s->call), &owner, note);
}

/* ---- answers ---- */

static void add_id(lpx_buf *answer, const char *id)
{
    uint8_t result[2 + ID_FIELD_BYTES] = {TAG_RESULT, ID_FIELD_BYTES, TAG_ID, ROUTER_ID_CHARS};
    memcpy(result + 4, id, ROUTER_ID_CHARS);
    lpx_buf_add(answer, lpx_bytes_of(result, sizeof result));
}

/* A response with this one result: messages that follow each other are one message with all of it. */
static lpx_err add_error(publish_stream *s, lpx_err err, const lpx_note *note)
{
    Google__Rpc__Status status;
    Lpx__Routing__V1__PublishStreamResponse__Result result;
    Lpx__Routing__V1__PublishStreamResponse__Result *results[] = {&result};
    Lpx__Routing__V1__PublishStreamResponse response;
    lpx_bytes bytes;
    google__rpc__status__init(&status);
    lpx__routing__v1__publish_stream_response__result__init(&result);
    lpx__routing__v1__publish_stream_response__init(&response);
    status.code = err.code;
    status.message = (char *)(uintptr_t)(note->text[0] != 0 ? note->text : lpx_reason_text(err.reason));
    result.result_case = LPX__ROUTING__V1__PUBLISH_STREAM_RESPONSE__RESULT__RESULT_ERROR;
    result.error = &status;
    response.results = results;
    response.n_results = 1;
    LPX_TRY(pb_encode(&response.base, &s->arena, &bytes));
    lpx_buf_add(&s->answer, bytes);
    return LPX_SUCCESS;
}

/* ---- requests ---- */

static lpx_err take_uplink(publish_stream *s, lpx_bytes uplink)
{
    lpx_note note = {""};
    const char *id = NULL;
    router_publisher by = {
        .shard = s->shard, .arena = &s->arena, .allow = allow, .ctx = s, .who = rpc_call_principal(s->call)};
    lpx_arena_reset(&s->arena);
    lpx_err err = router_publish_uplink(&by, uplink, &id, &note);
    if (lpx_failed(err)) {
        return add_error(s, err, &note);
    }
    add_id(&s->answer, id);
    return LPX_SUCCESS;
}

/* Skip a field that this version does not know. */
static void skip(lpx_reader *r, uint64_t tag)
{
    switch (tag & 7) {
    case 0:
        (void)lpx_reader_varint(r);
        return;
    case 1:
        (void)lpx_reader_take(r, 8);
        return;
    case 2:
        (void)lpx_reader_take(r, (size_t)lpx_reader_varint(r));
        return;
    case 5:
        (void)lpx_reader_take(r, 4);
        return;
    default:
        lpx_reader_reject(r);
    }
}

/* Is the request well-formed, with no more uplinks than it may have? Before one of them is taken. */
static lpx_err check_request(lpx_bytes request, lpx_note *note)
{
    lpx_reader r;
    size_t count = 0;
    lpx_reader_init(&r, request);
    while (lpx_reader_left(&r) > 0) {
        uint64_t tag = lpx_reader_varint(&r);
        count += tag == TAG_UPLINK;
        skip(&r, tag);
    }
    if (r.failed) {
        return lpx_fail(note, ROUTER_BAD_BATCH, "The request is not a PublishStreamRequest.");
    }
    if (count > ROUTER_STREAM_BATCH) {
        return lpx_fail(note, ROUTER_BAD_BATCH, "uplinks: a request has at most %d, this one has %zu.",
                        ROUTER_STREAM_BATCH, count);
    }
    return LPX_SUCCESS;
}

static lpx_err take_request(publish_stream *s, lpx_bytes request, lpx_note *note)
{
    lpx_reader r;
    LPX_TRY(check_request(request, note));
    lpx_buf_clear(&s->answer);
    lpx_reader_init(&r, request);
    while (lpx_reader_left(&r) > 0) {
        uint64_t tag = lpx_reader_varint(&r);
        if (tag == TAG_UPLINK) {
            LPX_TRY(take_uplink(s, lpx_reader_take(&r, (size_t)lpx_reader_varint(&r))));
        } else {
            skip(&r, tag);
        }
    }
    return lpx_buf_failed(&s->answer) ? lpx_err_of(BASE_NO_MEMORY) : LPX_SUCCESS;
}

/* ---- the stream ---- */

static void stream_free(publish_stream *s)
{
    lpx_arena_fini(&s->arena);
    lpx_buf_fini(&s->answer);
    free(s);
}

static void on_bytes(void *ctx, lpx_bytes request)
{
    publish_stream *s = ctx;
    lpx_note note = {""};
    lpx_err err = take_request(s, request, &note);
    if (lpx_failed(err)) {
        rpc_stream_end(s->call, err, &note);
        stream_free(s);
        return;
    }
    (void)rpc_stream_send(s->call, lpx_buf_view(&s->answer)); /* rpc holds further requests back while it waits */
}

static void on_half_close(void *ctx)
{
    publish_stream *s = ctx;
    rpc_stream_end(s->call, LPX_SUCCESS, NULL);
    stream_free(s);
}

static void on_end(void *ctx, lpx_code why)
{
    (void)why;
    stream_free(ctx);
}

void router_publish_stream(rpc_call *call, const ProtobufCMessage *request, void *service)
{
    static const rpc_stream_events events = {.on_end = on_end, .on_half_close = on_half_close, .on_bytes = on_bytes};
    router *self = service;
    (void)request;
    publish_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        rpc_fail(call, lpx_err_of(BASE_NO_MEMORY), NULL);
        return;
    }
    *s = (publish_stream){
        .call = call, .shard = self->shards[io_loop_index(rpc_call_loop(call))], .rule = rpc_authz_find(PUBLISH)};
    lpx_arena_init(&s->arena, ROUTER_STREAM_ARENA_BYTES);
    lpx_buf_init(&s->answer, ROUTER_STREAM_ANSWER_BYTES);
    rpc_stream_begin(call, &events, s);
}
