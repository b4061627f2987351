#include "rpc/rpc.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"
#include "google_rpc_status.pb-c.h"
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"

/* Calls through which secrets pass leave nothing behind; the others are kept for reuse. */
static bool has_secrets(const rpc_call *call)
{
    return call->entry == NULL || call->entry->method->txn != NULL;
}

static void call_free(rpc_call *call)
{
    rpc_server *server = call->server;
    rpc_auth_forget(call);
    lpx_list_remove(&call->stream_node);
    if (call->gone != NULL) {
        *call->gone = true;
    }
    if (has_secrets(call) || server->spare_count == RPC_KEPT_CALLS) {
        lpx_arena_fini(&call->arena);
        free(call);
        return;
    }
    lpx_arena_reset(&call->arena);
    call->next_spare = server->spare;
    server->spare = call;
    server->spare_count++;
}

void rpc_calls_free(rpc_server *server)
{
    while (server->spare != NULL) {
        rpc_call *call = server->spare;
        server->spare = call->next_spare;
        lpx_arena_fini(&call->arena);
        free(call);
    }
    server->spare_count = 0;
}

lpx_bytes rpc_error_info(lpx_err err, lpx_arena *arena)
{
    static char domain[] = "lpx";
    Google__Rpc__ErrorInfo info;
    google__rpc__error_info__init(&info);
    info.reason = (char *)(uintptr_t)lpx_reason_name(err.reason);
    info.domain = domain;
    lpx_bytes out = {NULL, 0};
    return lpx_failed(pb_encode(&info.base, arena, &out)) ? (lpx_bytes){NULL, 0} : out;
}

static void log_failure(const rpc_call *call, lpx_err err, const char *text)
{
    lpx_str path = call->entry != NULL ? lpx_str_of(call->entry->method->path) : call->front->path(call->wire);
    bool ours = err.code == LPX_INTERNAL || err.code == LPX_DATA_LOSS || err.code == LPX_UNKNOWN;
    LPX_LOG(ours ? LPX_LOG_ERROR : LPX_LOG_DEBUG, "rpc_failed", LPX_F_STR("path", path),
            LPX_F_STR("code", lpx_str_of(lpx_code_name(err.code))),
            LPX_F_STR("reason", lpx_str_of(lpx_reason_name(err.reason))), LPX_F_STR("text", lpx_str_of(text)),
            LPX_F_STR("peer", lpx_str_of(call->front->peer(call->wire))));
}

/* The one place where a call ends: answer, log, count, free. */
static void call_end(rpc_call *call, lpx_err err, const lpx_note *note)
{
    bool own = note != NULL && note->text[0] != '\0' && lpx_utf8_valid(lpx_str_bytes(lpx_str_of(note->text)));
    const char *text = !lpx_failed(err) ? "" : own ? note->text : lpx_reason_text(err.reason);
    rpc_stats_end(call, err);
    if (lpx_failed(err)) {
        log_failure(call, err, text);
    }
    call->front->finish(call->wire, err, text, &call->arena);
    call_free(call);
}

void rpc_fail(rpc_call *call, lpx_err err, const lpx_note *note)
{
    call_end(call, err, note);
}

/* A hot method that did not ask who may has no answer to give. */
static void assert_allowed(const rpc_call *call)
{
    lpx_assert(call->allowed || call->entry->method->flavour != RPC_HOT);
}

void rpc_reply(rpc_call *call, const ProtobufCMessage *reply)
{
    assert_allowed(call);
    call_end(call, call->front->reply(call->wire, reply, &call->arena), NULL);
}

void rpc_reply_bytes(rpc_call *call, lpx_bytes reply)
{
    assert_allowed(call);
    call_end(call, call->front->reply_bytes(call->wire, call->entry->method->out, reply, &call->arena), NULL);
}

lpx_err rpc_hot_allow(rpc_call *call, uint32_t net_id, lpx_str tenant_id, lpx_str cluster_id, lpx_note *note)
{
    rpc_owner owner = {.net_id = net_id, .tenant_id = tenant_id, .cluster_id = cluster_id};
    LPX_TRY(rpc_authz_check_owner(call->entry->rule, &call->who, &owner, note));
    call->allowed = true;
    return LPX_SUCCESS;
}

static lpx_err txn_work(store_tx *tx, store_job *job)
{
    rpc_call *call = LPX_CONTAINER(job, rpc_call, job);
    call->txn.reply = NULL;
    call->txn.note.text[0] = '\0';
    lpx_err err = call->entry->method->txn(tx, &call->txn);
    if (err.code == LPX_INTERNAL || err.code == LPX_UNAVAILABLE) {
        LPX_LOG(LPX_LOG_ERROR, "store_failed", LPX_F_STR("path", lpx_str_of(call->entry->method->path)),
                LPX_F_STR("reason", lpx_str_of(lpx_reason_name(err.reason))),
                LPX_F_STR("engine", lpx_str_of(store_tx_error(tx))));
    }
    return err;
}

static void txn_done(store_job *job, lpx_err err)
{
    rpc_call *call = LPX_CONTAINER(job, rpc_call, job);
    if (call->cancelled || lpx_failed(err)) {
        call_end(call, call->cancelled ? (lpx_err){(uint16_t)call->cancel_why, 0} : err, &call->txn.note);
        return;
    }
    rpc_reply(call, call->txn.reply);
}

static lpx_err run_txn(rpc_call *call, const ProtobufCMessage *request)
{
    rpc_server *server = call->server;
    call->txn = (rpc_txn){.who = &call->who,
                          .request = request,
                          .arena = &call->arena,
                          .now = io_loop_now(server->loop).utc,
                          .service = call->entry->method->service,
                          .walks = server->walks};
    call->job = (store_job){
        .home = server->loop, .write = call->entry->method->flavour == RPC_WRITE, .work = txn_work, .done = txn_done};
    return store_submit(server->store, &call->job);
}

/* A stream of requests begins before the first of them: its rule names no field of it. */
static void run_bidi(rpc_call *call)
{
    const rpc_method *method = call->entry->method;
    lpx_note note = {""};
    call->state = CALL_RUNNING;
    lpx_err err = rpc_authz_check(call->entry->rule, &call->who, NULL, &note);
    if (lpx_failed(err)) {
        call_end(call, err, &note);
        return;
    }
    bool gone = false;
    call->gone = &gone;
    method->loop(call, NULL, method->service);
    if (gone) {
        return;
    }
    call->gone = NULL;
    lpx_assert(call->state == CALL_STREAMING);
    call->front->resume(call->wire);
}

/* Everything is there: the method reads the request and authorises. */
static void run_hot(rpc_call *call)
{
    const rpc_method *method = call->entry->method;
    lpx_note note = {""};
    ProtobufCMessage *request = NULL;
    call->state = CALL_RUNNING;
    if (!call->front->serialised) {
        lpx_err err = call->front->decode(call->wire, method->in, &call->raw, &call->arena, &request, &note);
        if (lpx_failed(err)) {
            call_end(call, err, &note);
            return;
        }
    }
    method->hot(call, call->raw, method->service);
}

/* Everything is there: decode, authorise, run. */
static void call_run(rpc_call *call)
{
    const rpc_method *method = call->entry->method;
    lpx_note note = {""};
    ProtobufCMessage *request = NULL;
    call->state = CALL_RUNNING;
    lpx_err err = call->front->decode(call->wire, method->in, &call->raw, &call->arena, &request, &note);
    if (!lpx_failed(err)) {
        err = rpc_authz_check(call->entry->rule, &call->who, request, &note);
    }
    if (!lpx_failed(err) && method->txn != NULL) {
        err = run_txn(call, request);
    }
    if (lpx_failed(err)) {
        call_end(call, err, &note);
        return;
    }
    if (method->txn == NULL) {
        method->loop(call, request, method->service);
    }
}

/* Go on when both the caller's identity and the whole request are there. */
static void call_advance(rpc_call *call)
{
    rpc_flavour flavour = call->entry->method->flavour;
    if (call->state != CALL_READING) {
        return;
    }
    if (flavour == RPC_BIDI) {
        run_bidi(call);
        return;
    }
    if (!call->half_closed && !(flavour == RPC_STREAM && call->has_request)) {
        return;
    }
    if (!call->has_request) {
        call_end(call, lpx_err_of(RPC_ONE_MESSAGE), NULL);
        return;
    }
    if (flavour == RPC_HOT) {
        run_hot(call);
    } else {
        call_run(call);
    }
}

void rpc_auth_ready(rpc_call *call, lpx_err err, const lpx_note *note)
{
    if (call->front->identified != NULL) {
        call->front->identified(call->wire, err, &call->who, note);
        call_free(call);
        return;
    }
    if (lpx_failed(err)) {
        call_end(call, err, note);
        return;
    }
    call->state = CALL_READING;
    call_advance(call);
}

/* Drain and shutdown: may this method still be called? */
static bool is_open(const rpc_server *server, const method_entry *entry)
{
    return !server->stopping || (entry != NULL && entry->method->while_stopping);
}

static rpc_call *call_take(rpc_server *server, const method_entry *entry)
{
    rpc_call *call = server->spare;
    if (call != NULL && entry != NULL && entry->method->txn == NULL) {
        server->spare = call->next_spare;
        server->spare_count--;
        memset(call, 0, offsetof(rpc_call, arena));
        call->entry = entry;
        return call;
    }
    call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    call->entry = entry;
    if (has_secrets(call)) {
        lpx_arena_init_wiped(&call->arena, RPC_CALL_ARENA_BYTES); /* of keys and targets */
    } else {
        lpx_arena_init(&call->arena, RPC_CALL_ARENA_BYTES);
    }
    return call;
}

rpc_call *rpc_call_new(rpc_server *server, const rpc_front *front, void *wire)
{
    const method_entry *entry = front->path != NULL ? rpc_find_method(server, front->path(wire)) : NULL;
    rpc_call *call = call_take(server, entry);
    if (call == NULL) {
        return NULL;
    }
    call->server = server;
    call->front = front;
    call->wire = wire;
    call->began = io_loop_now(server->loop).mono;
    lpx_list_init(&call->stream_node);
    lpx_list_init(&call->wait_node);
    rpc_stats_begin(call);
    return call;
}

void rpc_call_start(rpc_call *call)
{
    if (call->front->identified == NULL && !is_open(call->server, call->entry)) {
        call_end(call, lpx_err_of(RPC_SHUTTING_DOWN), NULL);
        return;
    }
    if (call->front->identified == NULL && call->entry == NULL) {
        call_end(call, lpx_err_of(RPC_UNKNOWN_METHOD), NULL);
        return;
    }
    if (call->entry != NULL && call->entry->method->flavour == RPC_BIDI) {
        call->front->pause(call->wire); /* until its handler has begun the stream */
    }
    lpx_err err = LPX_SUCCESS;
    lpx_note note = {""};
    if (rpc_auth_begin(call, &err, &note) != AUTH_PENDING) {
        rpc_auth_ready(call, err, &note);
    }
}

void rpc_call_start_with(rpc_call *call, lpx_bytes message)
{
    call->raw = lpx_arena_copy(&call->arena, message);
    call->has_request = call->half_closed = true;
    if (call->raw.ptr == NULL) {
        call_end(call, lpx_err_of(BASE_NO_MEMORY), NULL);
        return;
    }
    rpc_call_start(call);
}

/* Tell a stream's owner that it is over, then end the call. */
static void stream_cut(rpc_call *call, lpx_err err, const lpx_note *note)
{
    const rpc_stream_events *events = call->events;
    call->events = NULL;
    events->on_end(call->events_ctx, (lpx_code)err.code);
    call_end(call, err, note);
}

/* One further request of a stream; its memory lives as long as the event. */
static void stream_request(rpc_call *call, lpx_bytes message)
{
    if (call->events->on_bytes != NULL) {
        call->events->on_bytes(call->events_ctx, message);
        return;
    }
    lpx_arena arena;
    lpx_note note = {""};
    ProtobufCMessage *request = NULL;
    lpx_arena_init(&arena, RPC_STREAM_REQUEST_ARENA_BYTES);
    lpx_err err = call->front->decode(call->wire, call->entry->method->in, &message, &arena, &request, &note);
    if (lpx_failed(err)) {
        stream_cut(call, err, &note);
    } else {
        call->events->on_request(call->events_ctx, request);
    }
    lpx_arena_fini(&arena);
}

void rpc_call_message(rpc_call *call, lpx_bytes message, bool last)
{
    rpc_flavour flavour = call->entry->method->flavour;
    if (flavour == RPC_BIDI && call->state == CALL_STREAMING) {
        stream_request(call, message);
        return;
    }
    if (call->state == CALL_RUNNING || call->state == CALL_STREAMING) {
        return; /* a second message of a stream that takes one: the answer is on its way already */
    }
    if (call->has_request) {
        call_end(call, lpx_err_of(RPC_ONE_MESSAGE), NULL);
        return;
    }
    call->has_request = true;
    if (flavour == RPC_HOT && last && call->state == CALL_READING) {
        call->half_closed = true;
        call->raw = message; /* where it lies */
        call_advance(call);
        return;
    }
    call->raw = lpx_arena_copy(&call->arena, message);
    if (call->raw.ptr == NULL) {
        call_end(call, lpx_err_of(BASE_NO_MEMORY), NULL);
        return;
    }
    call_advance(call);
}

void rpc_call_half_close(rpc_call *call)
{
    if (call->state == CALL_STREAMING && call->entry->method->flavour == RPC_BIDI) {
        call->events->on_half_close(call->events_ctx);
        return;
    }
    call->half_closed = true;
    call_advance(call);
}

void rpc_call_writable(rpc_call *call)
{
    if (call->state != CALL_STREAMING) {
        return;
    }
    bool was_held_up = call->held_up;
    bool gone = false;
    call->held_up = false;
    call->gone = &gone;
    if (call->events->on_writable != NULL) {
        call->events->on_writable(call->events_ctx);
    }
    if (gone) {
        return;
    }
    call->gone = NULL;
    if (was_held_up && !call->held_up) {
        call->front->resume(call->wire);
    }
}

void rpc_call_cancel(rpc_call *call, lpx_code why)
{
    lpx_err err = {(uint16_t)why, 0};
    switch (call->state) {
    case CALL_RUNNING: /* the transaction's end gives the call back */
        call->cancelled = true;
        call->cancel_why = why;
        break;
    case CALL_STREAMING:
        stream_cut(call, err, NULL);
        break;
    case CALL_AUTHENTICATING:
    case CALL_READING:
        call_end(call, err, NULL);
        break;
    }
}

const rpc_principal *rpc_call_principal(const rpc_call *call)
{
    return &call->who;
}

lpx_arena *rpc_call_arena(rpc_call *call)
{
    return &call->arena;
}

io_loop *rpc_call_loop(const rpc_call *call)
{
    return call->server->loop;
}

lpx_bytes rpc_call_raw(const rpc_call *call)
{
    return call->raw;
}

void rpc_stream_begin(rpc_call *call, const rpc_stream_events *events, void *ctx)
{
    call->state = CALL_STREAMING;
    call->events = events;
    call->events_ctx = ctx;
    lpx_list_push(&call->server->streams, &call->stream_node);
    rpc_watch_cert(call);
    call->front->open(call->wire); /* the client may wait for the headers to know that its stream stands */
}

bool rpc_stream_send(rpc_call *call, lpx_bytes message)
{
    bool room = call->front->send(call->wire, message);
    if (!room && !call->held_up && call->entry->method->flavour == RPC_BIDI) {
        call->held_up = true; /* who does not take answers gets no further requests in */
        call->front->pause(call->wire);
    }
    return room;
}

void rpc_stream_end(rpc_call *call, lpx_err err, const lpx_note *note)
{
    call_end(call, err, note);
}

void rpc_cut_streams(rpc_server *server, lpx_err (*why)(const rpc_call *call))
{
    lpx_list *node = server->streams.next;
    while (node != &server->streams) {
        rpc_call *call = LPX_CONTAINER(node, rpc_call, stream_node);
        node = node->next;
        lpx_err err = why(call);
        if (lpx_failed(err)) {
            stream_cut(call, err, NULL);
        }
    }
}
