#include "rpc/rpc.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "google_rpc_status.pb-c.h"
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"

static int by_path(const void *a, const void *b)
{
    return strcmp(((const method_entry *)a)->method->path, ((const method_entry *)b)->method->path);
}

static const method_entry *find_method(const rpc_server *server, lpx_str path)
{
    size_t low = 0, high = server->method_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const char *name = server->methods[mid].method->path;
        int order = strncmp(name, path.ptr, path.len);
        order = order == 0 && name[path.len] != '\0' ? 1 : order;
        if (order == 0) {
            return &server->methods[mid];
        }
        if (order < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

static void call_free(rpc_call *call)
{
    rpc_auth_forget(call);
    lpx_list_remove(&call->stream_node);
    lpx_arena_fini(&call->arena);
    free(call);
}

/* google.rpc.Status with one ErrorInfo: the reason's name, for programs. */
static lpx_bytes error_details(lpx_err err, const char *text, lpx_arena *arena)
{
    static char domain[] = "lpx";
    Google__Rpc__ErrorInfo info;
    google__rpc__error_info__init(&info);
    info.reason = (char *)(uintptr_t)lpx_reason_name(err.reason);
    info.domain = domain;
    lpx_bytes packed = {NULL, 0};
    if (lpx_failed(pb_encode(&info.base, arena, &packed))) {
        return (lpx_bytes){NULL, 0};
    }
    static char type_url[] = "type.googleapis.com/google.rpc.ErrorInfo";
    Google__Rpc__Detail detail;
    google__rpc__detail__init(&detail);
    detail.type_url = type_url;
    detail.value = (ProtobufCBinaryData){.len = packed.len, .data = (uint8_t *)(uintptr_t)packed.ptr};
    Google__Rpc__Detail *details[] = {&detail};
    Google__Rpc__Status status;
    google__rpc__status__init(&status);
    status.code = err.code;
    status.message = (char *)(uintptr_t)text;
    status.n_details = 1;
    status.details = details;
    lpx_bytes out = {NULL, 0};
    return lpx_failed(pb_encode(&status.base, arena, &out)) ? (lpx_bytes){NULL, 0} : out;
}

/* The one place where a call ends: answer, log, count, free. */
static void call_end(rpc_call *call, lpx_err err, const lpx_note *note)
{
    rpc_server *server = call->server;
    bool own = note != NULL && note->text[0] != '\0' && lpx_utf8_valid(lpx_str_bytes(lpx_str_of(note->text)));
    const char *text = own ? note->text : lpx_reason_text(err.reason);
    if (err.code < 17) {
        server->counts[err.code]++;
    }
    bool ours = err.code == LPX_INTERNAL || err.code == LPX_DATA_LOSS || err.code == LPX_UNKNOWN;
    if (lpx_failed(err)) {
        LPX_LOG(ours ? LPX_LOG_ERROR : LPX_LOG_DEBUG, "rpc_failed", LPX_F_STR("path", grpc_call_path(call->grpc)),
                LPX_F_STR("code", lpx_str_of(lpx_code_name(err.code))),
                LPX_F_STR("reason", lpx_str_of(lpx_reason_name(err.reason))), LPX_F_STR("text", lpx_str_of(text)),
                LPX_F_STR("peer", lpx_str_of(grpc_call_peer(call->grpc))));
    }
    lpx_bytes details = lpx_failed(err) ? error_details(err, text, &call->arena) : (lpx_bytes){NULL, 0};
    grpc_call_finish(call->grpc, (lpx_code)err.code, lpx_failed(err) ? lpx_str_of(text) : LPX_STR(""), details);
    call_free(call);
}

void rpc_fail(rpc_call *call, lpx_err err, const lpx_note *note)
{
    call_end(call, err, note);
}

void rpc_reply(rpc_call *call, const ProtobufCMessage *reply)
{
    lpx_bytes bytes;
    lpx_err err = pb_encode(reply, &call->arena, &bytes);
    if (!lpx_failed(err)) {
        (void)grpc_call_send(call->grpc, bytes);
    }
    call_end(call, err, NULL);
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
    if (call->txn.reply != NULL) {
        rpc_reply(call, call->txn.reply);
        return;
    }
    (void)grpc_call_send(call->grpc, (lpx_bytes){NULL, 0});
    call_end(call, LPX_SUCCESS, NULL);
}

static lpx_err run_txn(rpc_call *call, const ProtobufCMessage *request)
{
    rpc_server *server = call->server;
    call->txn = (rpc_txn){.who = &call->who,
                          .request = request,
                          .arena = &call->arena,
                          .now = io_loop_now(server->loop).utc,
                          .service = call->entry->method->service};
    call->job = (store_job){
        .home = server->loop, .write = call->entry->method->flavour == RPC_WRITE, .work = txn_work, .done = txn_done};
    return store_submit(server->store, &call->job);
}

/* Everything is there: decode, authorise, run. */
static void call_run(rpc_call *call)
{
    const rpc_method *method = call->entry->method;
    lpx_note note = {""};
    ProtobufCMessage *request = NULL;
    call->state = CALL_RUNNING;
    lpx_err err = pb_decode(method->in, call->raw, &call->arena, &request, &note);
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
    bool streams = call->entry->method->flavour == RPC_STREAM;
    if (call->state != CALL_READING || !(call->half_closed || (streams && call->has_request))) {
        return;
    }
    if (!call->has_request) {
        call_end(call, lpx_err_of(RPC_ONE_MESSAGE), NULL);
        return;
    }
    call_run(call);
}

void rpc_auth_ready(rpc_call *call, lpx_err err, const lpx_note *note)
{
    if (lpx_failed(err)) {
        call_end(call, err, note);
        return;
    }
    call->state = CALL_READING;
    call_advance(call);
}

/* A call that is refused before it has a state of its own. */
static void refuse(rpc_server *server, grpc_call *grpc, uint16_t reason)
{
    rpc_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        grpc_call_finish(grpc, LPX_RESOURCE_EXHAUSTED, LPX_STR("out of memory"), (lpx_bytes){NULL, 0});
        return;
    }
    call->server = server;
    call->grpc = grpc;
    lpx_arena_init(&call->arena, 4096);
    call_end(call, lpx_err_of(reason), NULL);
}

static void on_call(void *ctx, grpc_call *grpc)
{
    rpc_server *server = ctx;
    const method_entry *entry = find_method(server, grpc_call_path(grpc));
    rpc_call *call = entry != NULL && !server->stopping ? calloc(1, sizeof *call) : NULL;
    if (call == NULL) {
        uint16_t reason = server->stopping ? RPC_SHUTTING_DOWN : entry == NULL ? RPC_UNKNOWN_METHOD : BASE_NO_MEMORY;
        refuse(server, grpc, reason);
        return;
    }
    call->server = server;
    call->grpc = grpc;
    call->entry = entry;
    if (entry->method->txn != NULL) {
        lpx_arena_init_wiped(&call->arena, RPC_CALL_ARENA_BYTES); /* secrets of keys and targets pass through */
    } else {
        lpx_arena_init(&call->arena, RPC_CALL_ARENA_BYTES);
    }
    lpx_list_init(&call->stream_node);
    lpx_list_init(&call->wait_node);
    grpc_call_set_user(grpc, call);
    lpx_err err = LPX_SUCCESS;
    lpx_note note = {""};
    switch (rpc_auth_begin(call, &err, &note)) {
    case AUTH_DONE:
        call->state = CALL_READING;
        break;
    case AUTH_PENDING:
        call->state = CALL_AUTHENTICATING;
        break;
    case AUTH_REFUSED:
        call_end(call, err, &note);
        break;
    }
}

static void on_message(void *ctx, grpc_call *grpc, lpx_bytes message)
{
    (void)ctx;
    rpc_call *call = grpc_call_user(grpc);
    if (call->state == CALL_RUNNING || call->state == CALL_STREAMING) {
        return; /* a second message of a stream that takes one: the answer is on its way already */
    }
    if (call->has_request) {
        call_end(call, lpx_err_of(RPC_ONE_MESSAGE), NULL);
        return;
    }
    call->raw = lpx_arena_copy(&call->arena, message);
    if (call->raw.ptr == NULL) {
        call_end(call, lpx_err_of(BASE_NO_MEMORY), NULL);
        return;
    }
    call->has_request = true;
    call_advance(call);
}

static void on_half_close(void *ctx, grpc_call *grpc)
{
    (void)ctx;
    rpc_call *call = grpc_call_user(grpc);
    call->half_closed = true;
    call_advance(call);
}

static void on_writable(void *ctx, grpc_call *grpc)
{
    (void)ctx;
    rpc_call *call = grpc_call_user(grpc);
    if (call->state == CALL_STREAMING && call->events->on_writable != NULL) {
        call->events->on_writable(call->events_ctx);
    }
}

/* Tell a stream's owner that it is over, then end the call. */
static void stream_cut(rpc_call *call, lpx_err err)
{
    const rpc_stream_events *events = call->events;
    call->events = NULL;
    events->on_end(call->events_ctx, (lpx_code)err.code);
    call_end(call, err, NULL);
}

static void on_cancel(void *ctx, grpc_call *grpc, lpx_code why)
{
    (void)ctx;
    rpc_call *call = grpc_call_user(grpc);
    lpx_err err = {(uint16_t)why, 0};
    switch (call->state) {
    case CALL_RUNNING: /* the transaction's end gives the call back */
        call->cancelled = true;
        call->cancel_why = why;
        break;
    case CALL_STREAMING:
        stream_cut(call, err);
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
    grpc_call_open(call->grpc); /* the client may wait for the headers to know that its stream stands */
}

bool rpc_stream_send(rpc_call *call, lpx_bytes message)
{
    return grpc_call_send(call->grpc, message);
}

void rpc_stream_end(rpc_call *call, lpx_err err, const lpx_note *note)
{
    call_end(call, err, note);
}

static const grpc_server_events events = {
    .on_call = on_call,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_cancel = on_cancel,
};

static void wait_is_over(io_timer *timer)
{
    rpc_auth_retry(LPX_CONTAINER(timer, rpc_server, wait_timer));
}

lpx_err rpc_server_new(const rpc_server_opts *opts, rpc_server **out)
{
    rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    server->loop = opts->loop;
    server->store = opts->store;
    server->password_workers = opts->password_workers;
    lpx_list_init(&server->streams);
    lpx_list_init(&server->waiting);
    static const grpc_server_opts defaults = {0};
    lpx_err err = io_timer_init(&server->wait_timer, opts->loop, wait_is_over);
    if (lpx_failed(err)) {
        free(server);
        return err;
    }
    err = grpc_server_new(opts->loop, opts->grpc != NULL ? opts->grpc : &defaults, &events, server, &server->grpc);
    if (lpx_failed(err)) {
        io_timer_fini(&server->wait_timer);
        free(server);
        return err;
    }
    *out = server;
    return LPX_SUCCESS;
}

lpx_err rpc_server_add(rpc_server *server, const rpc_method *methods, size_t count, lpx_note *note)
{
    method_entry *grown = realloc(server->methods, (server->method_count + count) * sizeof *grown);
    if (grown == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    server->methods = grown;
    for (size_t i = 0; i < count; i++) {
        const rpc_rule *rule = rpc_authz_find(methods[i].path);
        if (rule == NULL) {
            return lpx_fail(note, BASE_INTERNAL, "%s has no row in the authorisation table.", methods[i].path);
        }
        grown[server->method_count++] = (method_entry){.method = &methods[i], .rule = rule};
    }
    qsort(grown, server->method_count, sizeof *grown, by_path);
    return LPX_SUCCESS;
}

/* End the streams for which cut() says so. */
static void cut_streams(rpc_server *server, bool (*cut)(const rpc_call *call), lpx_err err)
{
    lpx_list *node = server->streams.next;
    while (node != &server->streams) {
        rpc_call *call = LPX_CONTAINER(node, rpc_call, stream_node);
        node = node->next;
        if (cut(call)) {
            stream_cut(call, err);
        }
    }
}

static bool key_is_gone(const rpc_call *call)
{
    bool by_key = call->who.key_id[0] != '\0';
    return by_key && rpc_auth_find_key(call->server->auth, lpx_str_of(call->who.key_id)) == NULL;
}

static bool always(const rpc_call *call)
{
    (void)call;
    return true;
}

void rpc_server_set_auth(rpc_server *server, rpc_auth_snapshot *snapshot)
{
    rpc_auth_snapshot_unref(&server->auth);
    server->auth = rpc_auth_snapshot_ref(snapshot);
    rpc_auth_clear(server);
    cut_streams(server, key_is_gone, lpx_err_of(RPC_KEY_REVOKED));
    rpc_auth_retry(server);
}

void rpc_server_stop_streams(rpc_server *server)
{
    server->stopping = true;
    cut_streams(server, always, lpx_err_of(RPC_SHUTTING_DOWN));
}

grpc_server *rpc_server_grpc(rpc_server *server)
{
    return server->grpc;
}

void rpc_server_free(rpc_server **server_at)
{
    rpc_server *server = *server_at;
    *server_at = NULL;
    if (server == NULL) {
        return;
    }
    grpc_server_free(&server->grpc);
    io_timer_fini(&server->wait_timer);
    rpc_auth_clear(server);
    rpc_auth_snapshot_unref(&server->auth);
    free(server->tokens);
    free(server->methods);
    free(server);
}

void rpc_server_counts(const rpc_server *server, uint64_t counts[static 17])
{
    memcpy(counts, server->counts, sizeof server->counts);
}
