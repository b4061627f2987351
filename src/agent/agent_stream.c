/* Server streams that come back after a loss. */
#include <stdlib.h>

#include "agent/agent_priv.h"
#include "codec/pb/pb.h"

/* Pauses before the first, second and every later attempt. */
static const int64_t pauses_us[] = {100000, 1000000, 10000000};

struct agent_stream {
    lpx_list node;
    agent *agent;
    agent_service service;
    char *path;
    lpx_buf request;
    bool reconnect;
    agent_stream_events events;
    void *ctx;
    agent_op *op; /* running or waiting; NULL during a pause */
    io_timer timer;
    size_t attempt;
    int64_t started_us;
};

static void free_stream(agent_stream *s)
{
    lpx_list_remove(&s->node);
    io_timer_fini(&s->timer);
    lpx_buf_fini(&s->request);
    free(s->path);
    free(s);
}

void agent_streams_free(agent *a)
{
    while (!lpx_list_empty(&a->streams)) {
        free_stream(LPX_CONTAINER(a->streams.next, agent_stream, node));
    }
}

static void stream_message(agent_op *op, lpx_bytes message)
{
    agent_stream *s = op->owner;
    s->events.on_message(s->ctx, message);
}

static void end_stream(agent_stream *s, const agent_failure *why)
{
    void (*on_end)(void *ctx, const agent_failure *why) = s->events.on_end;
    void *ctx = s->ctx;
    on_end(ctx, why);
    free_stream(s);
}

/* May the same request be answered otherwise a moment later? */
static bool may_pass(const agent *a, agent_service service, const agent_failure *why)
{
    if (why == NULL) {
        return true;
    }
    if (why->code == LPX_UNAUTHENTICATED) {
        return agent_auth_of(a, service) == AGENT_AUTH_OAUTH;
    }
    return why->code != LPX_INVALID_ARGUMENT && why->code != LPX_PERMISSION_DENIED && why->code != LPX_NOT_FOUND &&
           why->code != LPX_UNIMPLEMENTED && why->code != LPX_FAILED_PRECONDITION;
}

static void stream_done(agent_op *op, const agent_failure *why)
{
    agent_stream *s = op->owner;
    int64_t now_us = io_loop_now(s->agent->loop).mono.us;
    s->op = NULL;
    if (!s->reconnect || !may_pass(s->agent, s->service, why)) {
        end_stream(s, why);
        return;
    }
    s->attempt = now_us - s->started_us >= AGENT_STREAM_STEADY_US ? 0 : s->attempt;
    size_t last = sizeof pauses_us / sizeof *pauses_us - 1;
    int64_t pause_us = pauses_us[s->attempt < last ? s->attempt : last];
    /* one tenth more or less, so that many subscribers do not come back at once */
    pause_us += pause_us / 10 * (now_us % 201 - 100) / 100;
    s->attempt++;
    io_timer_arm(&s->timer, pause_us);
    if (s->events.on_lost != NULL) {
        s->events.on_lost(s->ctx, why, pause_us);
    }
}

/* @return false when memory is short */
static bool start_stream(agent_stream *s)
{
    s->started_us = io_loop_now(s->agent->loop).mono.us;
    s->op = agent_op_new(s->agent, s->service, s->path, NULL, lpx_buf_view(&s->request));
    if (s->op == NULL) {
        return false;
    }
    s->op->owner = s;
    s->op->on_message = stream_message;
    s->op->on_done = stream_done;
    agent_op_start(s->op);
    return true;
}

static void on_timer(io_timer *timer)
{
    agent_stream *s = LPX_CONTAINER(timer, agent_stream, timer);
    if (!start_stream(s)) {
        agent_failure why = {.code = LPX_RESOURCE_EXHAUSTED, .text = "RESOURCE_EXHAUSTED: not enough memory"};
        end_stream(s, &why);
    }
}

agent_stream *agent_subscribe(agent *a, agent_service service, const char *path, const ProtobufCMessage *in,
                              bool reconnect, const agent_stream_events *events, void *ctx)
{
    agent_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    *s = (agent_stream){
        .agent = a, .service = service, .path = strdup(path), .reconnect = reconnect, .events = *events, .ctx = ctx};
    lpx_list_init(&s->node);
    lpx_buf_init(&s->request, AGENT_MESSAGE_BYTES);
    pb_append(in, &s->request);
    if (s->path == NULL || lpx_buf_failed(&s->request) || lpx_failed(io_timer_init(&s->timer, a->loop, on_timer)) ||
        !start_stream(s)) {
        free_stream(s);
        return NULL;
    }
    lpx_list_push(&a->streams, &s->node);
    return s;
}

void agent_stream_close(agent_stream **stream)
{
    agent_stream *s = *stream;
    if (s == NULL) {
        return;
    }
    *stream = NULL;
    if (s->op != NULL) {
        agent_op_drop(s->op);
    }
    free_stream(s);
}
