/* Calls: an op waits for its token if it needs one, goes out, and ends once. Unary calls stand on it here, streams in
 * agent_stream.c. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent_priv.h"
#include "codec/pb/pb.h"
#include "lpx_reasons.h"

/* ---- ops ---- */

agent_op *agent_op_new(agent *a, agent_service service, const char *path, const ProtobufCMessage *in, lpx_bytes encoded)
{
    agent_op *op = calloc(1, sizeof *op);
    if (op == NULL) {
        return NULL;
    }
    lpx_list_init(&op->node);
    lpx_list_init(&op->waiting);
    op->agent = a;
    op->service = service;
    op->path = strdup(path);
    lpx_buf_init(&op->request, AGENT_MESSAGE_BYTES);
    lpx_buf_add(&op->request, encoded);
    if (in != NULL) {
        pb_append(in, &op->request);
    }
    if (op->path == NULL || lpx_buf_failed(&op->request)) {
        agent_op_free(op);
        return NULL;
    }
    lpx_list_push(&a->ops, &op->node);
    return op;
}

void agent_op_free(agent_op *op)
{
    lpx_list_remove(&op->node);
    lpx_list_remove(&op->waiting);
    if (op->unary) {
        op->agent->in_flight--;
    }
    if (op->forget != NULL) {
        op->forget(op);
    }
    lpx_wipe(op->request.ptr, op->request.len);
    lpx_buf_fini(&op->request);
    free(op->path);
    free(op);
}

void agent_op_end(agent_op *op, const agent_failure *why)
{
    if (!op->dropped) {
        op->on_done(op, why);
    }
    agent_op_free(op);
}

static void run_later(io_task *task)
{
    agent_op *op = LPX_CONTAINER(task, agent_op, later);
    op->later_posted = false;
    agent_op_end(op, &op->failure);
}

void agent_op_fail_later(agent_op *op, const agent_failure *why)
{
    if (op->later_posted) {
        return;
    }
    lpx_list_remove(&op->waiting);
    op->failure = *why;
    op->later.run = run_later;
    op->later_posted = true;
    io_loop_post(op->agent->loop, &op->later);
}

void agent_op_drop(agent_op *op)
{
    op->dropped = true;
    if (op->out != NULL) {
        grpc_out_cancel(op->out); /* its end frees the op */
    } else if (!op->later_posted) {
        agent_op_free(op);
    }
}

static void on_message(void *ctx, lpx_bytes message)
{
    agent_op *op = ctx;
    if (!op->dropped) {
        op->on_message(op, message);
    }
}

static void on_done(void *ctx, const grpc_status *status)
{
    agent_op *op = ctx;
    op->out = NULL;
    if (status->code == LPX_OK) {
        agent_op_end(op, NULL);
        return;
    }
    agent *a = op->agent;
    if (status->code == LPX_UNAUTHENTICATED && agent_auth_of(a, op->service) == AGENT_AUTH_OAUTH) {
        agent_token_refused(&a->tokens[a->targets[op->service].token]);
    }
    agent_explain(a, op->service, status->code, status->message, &op->failure);
    agent_op_end(op, &op->failure);
}

/* The channel of a service, made with its first call; NULL and a failure when it cannot be made. */
static grpc_client *channel_of(agent *a, agent_service service, agent_failure *why)
{
    agent_target *t = &a->targets[a->targets[service].channel];
    if (t->client == NULL) {
        lpx_note note = {{0}};
        grpc_client_opts opts = {
            .address = t->address,
            .tls = t->loopback && a->loopback_tls != NULL ? a->loopback_tls : a->tls,
            .max_message_bytes = AGENT_MESSAGE_BYTES,
        };
        lpx_err err = grpc_client_new(a->loop, &opts, &t->client, &note);
        if (lpx_failed(err)) {
            agent_explain(a, service, (lpx_code)err.code, lpx_str_of(note.text), why);
        }
    }
    return t->client;
}

const char *agent_header_of(const agent *a, agent_service service)
{
    switch (agent_auth_of(a, service)) {
    case AGENT_AUTH_BASIC:
        return a->basic != NULL ? a->basic : a->loopback_basic;
    case AGENT_AUTH_TOKEN:
        return a->bearer;
    case AGENT_AUTH_OAUTH:
        return a->tokens[a->targets[service].token].header;
    case AGENT_AUTH_NONE:
        break;
    }
    return NULL;
}

static void send_op(agent_op *op)
{
    if (op->token_only) {
        agent_op_end(op, NULL);
        return;
    }
    static const grpc_out_events events = {.on_message = on_message, .on_done = on_done};
    agent_failure why = {.code = LPX_RESOURCE_EXHAUSTED, .text = "RESOURCE_EXHAUSTED: not enough memory for the call"};
    grpc_client *client = channel_of(op->agent, op->service, &why);
    const char *header = agent_header_of(op->agent, op->service);
    grpc_meta meta = {.key = "authorization", .value = lpx_str_bytes(lpx_str_of(header))};
    if (client != NULL) {
        op->out = grpc_client_start(client, op->path, &meta, header != NULL ? 1 : 0, op->timeout_us, &events, op);
    }
    if (op->out == NULL) {
        agent_op_fail_later(op, &why);
        return;
    }
    (void)grpc_out_send(op->out, lpx_buf_view(&op->request)); /* one message: above the mark or not, it is queued */
    grpc_out_close_send(op->out);
}

void agent_op_start(agent_op *op)
{
    agent *a = op->agent;
    const agent_target *t = &a->targets[op->service];
    if (t->address[0] == 0) {
        agent_failure why = {.code = LPX_INVALID_ARGUMENT};
        (void)snprintf(why.text, sizeof why.text, "missing server address: give --%s-address",
                       agent_service_name(op->service));
        agent_op_fail_later(op, &why);
        return;
    }
    if (agent_auth_of(a, op->service) == AGENT_AUTH_OAUTH) {
        agent_token *token = &a->tokens[t->token];
        bool wait = !agent_token_ready(token);
        if (wait) {
            lpx_list_push(&token->waiting, &op->waiting);
        }
        agent_token_renew(token);
        if (wait) {
            return;
        }
    }
    send_op(op);
}

/* ---- unary calls ---- */

typedef struct unary_call {
    agent_done_fn *done;
    void *ctx;
    lpx_buf answer;
    bool answered;
} unary_call;

static void unary_message(agent_op *op, lpx_bytes message)
{
    unary_call *u = op->owner;
    if (!u->answered) {
        lpx_buf_add(&u->answer, message);
        u->answered = true;
    }
}

static void unary_done(agent_op *op, const agent_failure *why)
{
    unary_call *u = op->owner;
    agent_failure missing;
    if (why == NULL && (!u->answered || lpx_buf_failed(&u->answer))) {
        agent_explain(op->agent, op->service, LPX_INTERNAL, LPX_STR("the exchange ended the call without an answer"),
                      &missing);
        why = &missing;
    }
    /* From here on the call counts as ended: what done starts may wait for room. */
    op->unary = false;
    op->agent->in_flight--;
    u->done(u->ctx, why, lpx_buf_view(&u->answer));
    lpx_wipe(u->answer.ptr, u->answer.len);
    lpx_buf_fini(&u->answer);
    free(u);
    op->owner = NULL;
}

/* For ops that end unheard. */
static void unary_forget(agent_op *op)
{
    unary_call *u = op->owner;
    if (u != NULL) {
        lpx_buf_fini(&u->answer);
        free(u);
    }
}

bool agent_start(agent *a, agent_service service, const char *path, const ProtobufCMessage *in, agent_done_fn *done,
                 void *ctx)
{
    unary_call *u = a->closing ? NULL : calloc(1, sizeof *u);
    agent_op *op = u != NULL ? agent_op_new(a, service, path, in, (lpx_bytes){0}) : NULL;
    if (op == NULL) {
        free(u);
        return false;
    }
    *u = (unary_call){.done = done, .ctx = ctx};
    lpx_buf_init(&u->answer, AGENT_MESSAGE_BYTES);
    op->unary = true;
    a->in_flight++;
    op->timeout_us = a->call_timeout_us;
    op->owner = u;
    op->on_message = unary_message;
    op->on_done = unary_done;
    op->forget = unary_forget;
    agent_op_start(op);
    return true;
}

/* ---- a call that blocks ---- */

typedef struct blocking_call {
    bool over, failed;
    agent_failure *why;
    const ProtobufCMessageDescriptor *desc;
    lpx_arena *arena;
    ProtobufCMessage *out;
} blocking_call;

static void blocking_done(void *ctx, const agent_failure *why, lpx_bytes message)
{
    blocking_call *b = ctx;
    lpx_note note = {{0}};
    b->over = true;
    b->failed = true;
    if (why != NULL) {
        *b->why = *why;
    } else if (lpx_failed(pb_decode(b->desc, message, b->arena, &b->out, &note))) {
        b->why->code = LPX_INTERNAL;
        (void)snprintf(b->why->text, sizeof b->why->text, "INTERNAL: the answer of the exchange cannot be read: %s",
                       note.text);
    } else {
        b->failed = false;
    }
}

lpx_err agent_call(agent *a, agent_service service, const char *path, const ProtobufCMessage *in,
                   const ProtobufCMessageDescriptor *desc, lpx_arena *arena, ProtobufCMessage **out, agent_failure *why)
{
    blocking_call b = {.why = why, .desc = desc, .arena = arena};
    if (!agent_start(a, service, path, in, blocking_done, &b)) {
        *why = (agent_failure){.code = LPX_RESOURCE_EXHAUSTED, .text = "RESOURCE_EXHAUSTED: not enough memory"};
        return lpx_err_of(BASE_NO_MEMORY);
    }
    while (!b.over) {
        io_loop_turn(a->loop, 1000000);
    }
    if (b.failed) {
        return (lpx_err){.code = (uint16_t)why->code, .reason = AGENT_CALL_FAILED};
    }
    *out = b.out;
    return LPX_SUCCESS;
}
