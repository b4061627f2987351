/* JSON over HTTP/1.1 as a front of the pipeline: unary calls of the Connect protocol. */
#include "rpc/http.h"

#include <stdlib.h>

#include "base/text.h"
#include "codec/json/protojson.h"
#include "lpx_reasons.h"
#include "rpc/connect.h"
#include "rpc/rpc_priv.h"

enum { ROOTS_MAX = 16, ROOT_BYTES = 64, CORS_HEADERS = 5 };

struct rpc_http {
    rpc_server *rpc;
    http1_server *http;
    rpc_http_opts opts;
    char roots[ROOTS_MAX][ROOT_BYTES]; /* "/org.": how the paths of methods begin */
    size_t root_count;
    lpx_arena texts; /* of opts */
    lpx_list calls;  /* http_call.node */
    lpx_list asks;   /* http_ask.node */
};

/* One call on its way. */
typedef struct http_call {
    rpc_http *front;        /* NULL: freed */
    http1_request *request; /* NULL: answered, its time was over */
    rpc_call *call;
    rpc_connect_terms terms;
    lpx_buf body; /* of the answer */
    io_timer deadline;
    lpx_list node;
} http_call;

/* Somebody wants to know who sent a request. */
typedef struct http_ask {
    http1_request *request;
    rpc_call *call;
    rpc_http_who *who;
    void *ctx;
    lpx_list node;
} http_ask;

/* ---- What browsers may do ---- */

static bool origin_is_allowed(const rpc_http *front, lpx_str origin)
{
    for (size_t i = 0; i < front->opts.allowed_origin_count; i++) {
        lpx_str allowed = front->opts.allowed_origins[i];
        if (lpx_str_is(allowed, "*") || lpx_str_equal(allowed, origin)) {
            return origin.len > 0;
        }
    }
    return false;
}

/* Headers that let a page of an allowed origin read an answer. Credentials go in the Authorization header, which the
 * page sets itself, so that none are ever allowed to come along unasked. @return number of headers */
static size_t cors_headers(const rpc_http *front, const http1_request *request, http1_header out[static CORS_HEADERS])
{
    size_t count = 0;
    lpx_str origin = http1_request_header(request, "origin");
    if (front == NULL || front->opts.allowed_origin_count == 0) {
        return 0;
    }
    out[count++] = (http1_header){"Vary", LPX_STR("Origin")};
    if (origin_is_allowed(front, origin)) {
        out[count++] = (http1_header){"Access-Control-Allow-Origin", origin};
    }
    return count;
}

static void preflight(void *ctx, http1_request *request)
{
    const rpc_http *front = ctx;
    http1_header headers[CORS_HEADERS];
    size_t count = cors_headers(front, request, headers);
    if (count > 1) {
        headers[count++] = (http1_header){"Access-Control-Allow-Methods", LPX_STR("POST")};
        headers[count++] =
            (http1_header){"Access-Control-Allow-Headers",
                           LPX_STR("Authorization, Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms")};
        headers[count++] = (http1_header){"Access-Control-Max-Age", LPX_STR("7200")};
    }
    http1_request_answer(request, &(http1_answer){.status = 204, .headers = headers, .header_count = count});
}

/* ---- Answers ---- */

/* The error as an answer, with the headers that go with its status, after count others. headers has room for two. */
static void answer_error(http1_request *request, lpx_err err, const char *text, http1_header *headers, size_t count)
{
    lpx_buf body;
    lpx_buf_init(&body, RPC_HTTP_ERROR_BYTES);
    int status = rpc_connect_status(err);
    if (status == 401) {
        headers[count++] = (http1_header){"WWW-Authenticate", LPX_STR("Bearer")};
    } else if (status == 415) {
        headers[count++] = (http1_header){"Accept-Post", lpx_str_of(rpc_connect_types)};
    }
    rpc_connect_error(err, text, rpc_error_info(err, http1_request_arena(request)), &body);
    http1_answer answer = {.status = status,
                           .content_type = "application/json",
                           .headers = headers,
                           .header_count = count,
                           .body = lpx_buf_view(&body)};
    http1_request_answer(request, &answer);
    lpx_buf_fini(&body);
}

static const char *text_of(lpx_err err, const lpx_note *note)
{
    return note != NULL && note->text[0] != '\0' ? note->text : lpx_reason_text(err.reason);
}

void rpc_http_fail(http1_request *request, lpx_err err, const lpx_note *note)
{
    http1_header headers[2];
    answer_error(request, err, text_of(err, note), headers, 0);
}

static void call_fail(http_call *call, lpx_err err, const char *text)
{
    http1_header headers[CORS_HEADERS + 2];
    size_t count = cors_headers(call->front, call->request, headers);
    http1_request *request = call->request;
    call->request = NULL;
    answer_error(request, err, text, headers, count);
}

static void call_answer(http_call *call)
{
    bool json = call->terms.coding == RPC_HTTP_JSON;
    http1_header headers[CORS_HEADERS];
    http1_answer answer = {.status = 200,
                           .content_type = json ? "application/json" : "application/proto",
                           .headers = headers,
                           .header_count = cors_headers(call->front, call->request, headers),
                           .body = lpx_buf_view(&call->body),
                           .gzip = true};
    http1_request *request = call->request;
    call->request = NULL;
    http1_request_answer(request, &answer);
}

/* ---- The front ---- */

static lpx_str wire_path(const void *wire)
{
    const http_call *call = wire;
    return call->request != NULL ? http1_request_path(call->request) : LPX_STR("");
}

static lpx_str wire_authorization(const void *wire)
{
    const http_call *call = wire;
    return call->request != NULL ? http1_request_header(call->request, "authorization") : LPX_STR("");
}

static const char *wire_peer(const void *wire)
{
    const http_call *call = wire;
    return call->request != NULL ? http1_request_peer(call->request) : "";
}

static const char *wire_peer_cert(const void *wire)
{
    const http_call *call = wire;
    return call->request != NULL ? http1_request_peer_fingerprint(call->request) : "";
}

static lpx_err wire_decode(const void *wire, const ProtobufCMessageDescriptor *desc, lpx_bytes *raw, lpx_arena *arena,
                           ProtobufCMessage **out, lpx_note *note)
{
    const http_call *call = wire;
    if (call->terms.coding == RPC_HTTP_PROTO) {
        return pb_decode(desc, *raw, arena, out, note);
    }
    LPX_TRY(protojson_decode(desc, lpx_bytes_str(*raw), arena, out, note));
    return pb_encode(*out, arena, raw);
}

static lpx_err wire_reply(void *wire, const ProtobufCMessage *reply, lpx_arena *arena)
{
    http_call *call = wire;
    (void)arena;
    if (call->terms.coding == RPC_HTTP_JSON) {
        if (reply == NULL) {
            lpx_buf_add_str(&call->body, LPX_STR("{}"));
            return LPX_SUCCESS;
        }
        return protojson_encode(reply, (protojson_style){.emit_defaults = false}, &call->body);
    }
    if (reply != NULL) {
        pb_append(reply, &call->body);
    }
    return lpx_buf_failed(&call->body) ? lpx_err_of(BASE_NO_MEMORY) : LPX_SUCCESS;
}

static lpx_err wire_reply_bytes(void *wire, const ProtobufCMessageDescriptor *desc, lpx_bytes reply, lpx_arena *arena)
{
    ProtobufCMessage *message = NULL;
    lpx_note note;
    lpx_err err = pb_decode(desc, reply, arena, &message, &note);
    if (lpx_failed(err)) {
        return lpx_err_of(err.reason == BASE_NO_MEMORY ? BASE_NO_MEMORY : BASE_INTERNAL); /* our own words */
    }
    return wire_reply(wire, message, arena);
}

static void call_free(http_call *call)
{
    lpx_list_remove(&call->node);
    io_timer_fini(&call->deadline);
    lpx_wipe(call->body.ptr, call->body.len); /* a new API key may be in it */
    lpx_buf_fini(&call->body);
    free(call);
}

static void wire_finish(void *wire, lpx_err err, const char *text, lpx_arena *arena)
{
    http_call *call = wire;
    (void)arena;
    if (call->request != NULL && lpx_failed(err)) {
        call_fail(call, err, text);
    } else if (call->request != NULL) {
        call_answer(call);
    }
    call_free(call);
}

static const rpc_front http_front = {
    .path = wire_path,
    .authorization = wire_authorization,
    .peer = wire_peer,
    .peer_cert = wire_peer_cert,
    .decode = wire_decode,
    .reply = wire_reply,
    .reply_bytes = wire_reply_bytes,
    .finish = wire_finish,
};

/* The client is answered now; what is under way ends by itself. */
static void time_over(io_timer *timer)
{
    http_call *call = LPX_CONTAINER(timer, http_call, deadline);
    call_fail(call, lpx_err_of(RPC_TIME_OVER), lpx_reason_text(RPC_TIME_OVER));
    rpc_call_cancel(call->call, LPX_DEADLINE_EXCEEDED);
}

static bool streams(const rpc_server *rpc, lpx_str path)
{
    const method_entry *entry = rpc_find_method(rpc, path);
    rpc_flavour flavour = entry != NULL ? entry->method->flavour : RPC_LOOP;
    return flavour == RPC_STREAM || flavour == RPC_BIDI;
}

static http_call *call_new(rpc_http *front, http1_request *request)
{
    http_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    call->front = front;
    call->request = request;
    lpx_buf_init(&call->body, RPC_CALL_ARENA_BYTES);
    lpx_list_init(&call->node);
    lpx_list_push(&front->calls, &call->node);
    return call;
}

static lpx_err start_timer(http_call *call)
{
    if (call->terms.timeout_us == 0) {
        return LPX_SUCCESS;
    }
    LPX_TRY(io_timer_init(&call->deadline, http1_request_loop(call->request), time_over));
    io_timer_arm(&call->deadline, call->terms.timeout_us);
    return LPX_SUCCESS;
}

/* What can be said without knowing who calls. */
static lpx_err read_head(http_call *call, lpx_note *note)
{
    const http1_request *request = call->request;
    rpc_connect_head head = {.content_type = http1_request_header(request, "content-type"),
                             .content_encoding = http1_request_header(request, "content-encoding"),
                             .version = http1_request_header(request, "connect-protocol-version"),
                             .timeout_ms = http1_request_header(request, "connect-timeout-ms")};
    if (streams(call->front->rpc, http1_request_path(request))) {
        return lpx_fail(note, RPC_HTTP_STREAM, "This method is a stream: it is offered over gRPC alone.");
    }
    return rpc_connect_read(&head, &call->terms, note);
}

static void post(void *ctx, http1_request *request)
{
    rpc_http *front = ctx;
    lpx_note note = {""};
    http_call *call = call_new(front, request);
    if (call == NULL) {
        rpc_http_fail(request, lpx_err_of(BASE_NO_MEMORY), NULL);
        return;
    }
    lpx_err err = read_head(call, &note);
    err = lpx_failed(err) ? err : start_timer(call);
    call->call = lpx_failed(err) ? NULL : rpc_call_new(front->rpc, &http_front, call);
    if (call->call == NULL) {
        err = lpx_failed(err) ? err : lpx_err_of(BASE_NO_MEMORY);
        call_fail(call, err, text_of(err, &note));
        call_free(call);
        return;
    }
    rpc_call_start_with(call->call, http1_request_body(request));
}

/* ---- Who sent this? ---- */

static lpx_str ask_authorization(const void *wire)
{
    return http1_request_header(((const http_ask *)wire)->request, "authorization");
}

static const char *ask_peer(const void *wire)
{
    return http1_request_peer(((const http_ask *)wire)->request);
}

static const char *ask_peer_cert(const void *wire)
{
    return http1_request_peer_fingerprint(((const http_ask *)wire)->request);
}

static void ask_identified(void *wire, lpx_err err, const rpc_principal *who, const lpx_note *note)
{
    http_ask *ask = wire;
    lpx_list_remove(&ask->node);
    ask->who(ask->ctx, ask->request, err, lpx_failed(err) ? NULL : who, note);
    free(ask);
}

static const rpc_front ask_front = {
    .authorization = ask_authorization,
    .peer = ask_peer,
    .peer_cert = ask_peer_cert,
    .identified = ask_identified,
};

void rpc_http_identify(rpc_http *front, http1_request *request, rpc_http_who *who, void *ctx)
{
    static const lpx_note no_note = {""};
    http_ask *ask = calloc(1, sizeof *ask);
    rpc_call *call = ask != NULL ? rpc_call_new(front->rpc, &ask_front, ask) : NULL;
    if (call == NULL) {
        free(ask);
        who(ctx, request, lpx_err_of(BASE_NO_MEMORY), NULL, &no_note);
        return;
    }
    *ask = (http_ask){.request = request, .call = call, .who = who, .ctx = ctx};
    lpx_list_init(&ask->node);
    lpx_list_push(&front->asks, &ask->node);
    rpc_call_start(call);
}

/* ---- The whole ---- */

static lpx_err add_route(rpc_http *front, const char *method, const char *root, http1_handler *handler)
{
    return http1_server_route(
        front->http, &(http1_route){.method = method, .path = root, .prefix = true, .handler = handler, .ctx = front});
}

/* "/org." of "/org.packetbroker.iam.v1.X/Y", unless it is there already. */
static lpx_err add_root(rpc_http *front, const char *path)
{
    size_t len = strcspn(path, ".") + 1;
    if (len >= ROOT_BYTES || path[len - 1] != '.') {
        return lpx_err_of(HTTP1_BAD_ROUTE);
    }
    for (size_t i = 0; i < front->root_count; i++) {
        if (strncmp(front->roots[i], path, len) == 0) {
            return LPX_SUCCESS;
        }
    }
    if (front->root_count == ROOTS_MAX) {
        return lpx_err_of(HTTP1_BAD_ROUTE);
    }
    char *root = front->roots[front->root_count++];
    memcpy(root, path, len);
    root[len] = '\0';
    LPX_TRY(add_route(front, "POST", root, post));
    return front->opts.allowed_origin_count > 0 ? add_route(front, "OPTIONS", root, preflight) : LPX_SUCCESS;
}

static lpx_err copy_opts(rpc_http *front, const rpc_http_opts *opts)
{
    size_t count = opts->allowed_origin_count;
    lpx_str *copies = lpx_arena_array(&front->texts, count, sizeof *copies);
    for (size_t i = 0; copies != NULL && i < count; i++) {
        copies[i] = lpx_bytes_str(lpx_arena_copy(&front->texts, lpx_str_bytes(opts->allowed_origins[i])));
        if (copies[i].ptr == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
    }
    front->opts = (rpc_http_opts){.allowed_origins = copies, .allowed_origin_count = count};
    return copies != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

lpx_err rpc_http_new(rpc_server *rpc, http1_server *http, const rpc_http_opts *opts, rpc_http **out)
{
    rpc_http *front = calloc(1, sizeof *front);
    if (front == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    front->rpc = rpc;
    front->http = http;
    lpx_list_init(&front->calls);
    lpx_list_init(&front->asks);
    lpx_arena_init(&front->texts, RPC_HTTP_ORIGINS_BYTES);
    lpx_err err = copy_opts(front, opts);
    for (size_t i = 0; !lpx_failed(err) && i < rpc->method_count; i++) {
        err = add_root(front, rpc->methods[i].method->path);
    }
    if (lpx_failed(err)) {
        rpc_http_free(&front);
        return err;
    }
    *out = front;
    return LPX_SUCCESS;
}

void rpc_http_free(rpc_http **front_at)
{
    rpc_http *front = *front_at;
    *front_at = NULL;
    if (front == NULL) {
        return;
    }
    for (lpx_list *node = lpx_list_pop(&front->calls); node != NULL; node = lpx_list_pop(&front->calls)) {
        http_call *call = LPX_CONTAINER(node, http_call, node);
        call->front = NULL; /* a transaction may still be under way */
        rpc_call_cancel(call->call, LPX_UNAVAILABLE);
    }
    lpx_note note = {""};
    for (lpx_list *node = lpx_list_pop(&front->asks); node != NULL; node = lpx_list_pop(&front->asks)) {
        rpc_auth_ready(LPX_CONTAINER(node, http_ask, node)->call, lpx_err_of(RPC_SHUTTING_DOWN), &note);
    }
    lpx_arena_fini(&front->texts);
    free(front);
}
