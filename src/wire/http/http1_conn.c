/* One connection of the HTTP/1.1 server: requests in, answers out, one after the other. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "wire/http/http1_priv.h"

enum { ALLOW_BYTES = 128 };

static void conn_advance(http1_conn *conn);

/* Tokens and passwords pass through here. */
static void wipe_and_free(lpx_buf *buf)
{
    if (buf->ptr != NULL) {
        lpx_wipe(buf->ptr, buf->room);
    }
    lpx_buf_fini(buf);
}

void http1_request_free(http1_request *request)
{
    lpx_arena_fini(&request->arena);
    wipe_and_free(&request->body);
    free(request);
}

/* ---- Answers ---- */

static void arm(http1_conn *conn, int64_t delay_us)
{
    io_timer_arm(&conn->timer, delay_us);
}

size_t http1_conn_unsent(const http1_conn *conn)
{
    return conn->out.len - conn->out_given + io_conn_unsent(conn->io);
}

/* Bytes that the peer has taken so far. */
static uint64_t conn_taken(const http1_conn *conn)
{
    return conn->given - io_conn_unsent(conn->io);
}

void http1_conn_watch(http1_conn *conn)
{
    conn->mark = conn_taken(conn);
    arm(conn, HTTP1_WRITE_TIMEOUT_US);
}

lpx_buf *http1_conn_out(http1_conn *conn)
{
    if (conn->out_given >= HTTP1_FILL_BYTES) {
        lpx_buf_drop(&conn->out, conn->out_given);
        conn->out_given = 0;
    }
    return &conn->out;
}

static void write_answer(http1_conn *conn, const http1_answer *answer, bool body_too, bool keep)
{
    lpx_buf *out = http1_conn_out(conn);
    lpx_buf packed = {0};
    bool zip =
        conn->request != NULL && http1_wants_gzip(conn->request, answer) && http1_gzip_whole(answer->body, &packed);
    lpx_bytes body = zip ? lpx_buf_view(&packed) : answer->body;
    http1_answer_head(out, answer, zip, io_loop_now(io_conn_loop(conn->io)).utc);
    if (answer->status != 204 && answer->status != 304) {
        lpx_buf_printf(out, "Content-Length: %zu\r\n", body.len);
    } else {
        body_too = false;
    }
    lpx_buf_add_str(out, keep ? LPX_STR("\r\n") : LPX_STR("Connection: close\r\n\r\n"));
    if (body_too) {
        lpx_buf_add(out, body);
    }
    lpx_buf_fini(&packed);
}

void http1_conn_answered(http1_conn *conn, bool keep)
{
    if (conn->request != NULL) {
        http1_request_free(conn->request);
        conn->request = NULL;
    }
    conn->phase = keep ? HTTP1_IDLE : HTTP1_CLOSING;
    if (lpx_buf_failed(&conn->out)) {
        http1_conn_cut(conn); /* half an answer is none */
        return;
    }
    io_conn_want_write(conn->io);
    http1_conn_watch(conn);
    conn_advance(conn);
}

/* Answers what never became a request of a handler, and ends the connection unless keep. */
static void refuse(http1_conn *conn, int status, const char *message, const char *allow, bool keep)
{
    lpx_buf body;
    http1_error_body(&body, http1_error_code(status), message);
    http1_header header = {"Allow", lpx_str_of(allow)};
    http1_answer answer = {.status = status,
                           .content_type = "application/json",
                           .headers = &header,
                           .header_count = allow != NULL ? 1 : 0,
                           .body = lpx_buf_view(&body)};
    bool head_only = conn->request != NULL && lpx_str_is(conn->request->head.method, "HEAD");
    write_answer(conn, &answer, !head_only, keep);
    lpx_buf_fini(&body);
    http1_conn_answered(conn, keep);
}

void http1_request_answer(http1_request *request, const http1_answer *answer)
{
    lpx_assert(answer->status >= 200 && answer->status <= 599);
    http1_conn *conn = request->conn;
    if (conn == NULL || conn->closed) {
        if (conn != NULL) {
            conn->request = NULL;
        }
        http1_request_free(request);
        return;
    }
    lpx_assert(conn->request == request && conn->phase == HTTP1_HANDLING);
    bool keep = request->head.keep_alive && !answer->close && !conn->server->draining;
    write_answer(conn, answer, !lpx_str_is(request->head.method, "HEAD"), keep);
    http1_conn_answered(conn, keep);
}

void http1_request_answer_error(http1_request *request, int status, const char *code, const char *message)
{
    lpx_buf body;
    http1_error_body(&body, code, message);
    http1_request_answer(
        request, &(http1_answer){.status = status, .content_type = "application/json", .body = lpx_buf_view(&body)});
    lpx_buf_fini(&body);
}

lpx_str http1_request_method(const http1_request *request)
{
    return request->head.method;
}

lpx_str http1_request_path(const http1_request *request)
{
    return request->head.path;
}

lpx_str http1_request_query(const http1_request *request)
{
    return request->head.query;
}

lpx_str http1_request_header(const http1_request *request, const char *name)
{
    return http1_head_value(&request->head, lpx_str_of(name));
}

lpx_bytes http1_request_body(const http1_request *request)
{
    return lpx_buf_view(&request->body);
}

const char *http1_request_peer(const http1_request *request)
{
    return request->peer;
}

const char *http1_request_peer_fingerprint(const http1_request *request)
{
    return http1_request_gone(request) ? "" : io_conn_peer_fingerprint(request->conn->io);
}

bool http1_request_peer_cert(const http1_request *request, io_peer_cert *out)
{
    return !http1_request_gone(request) && io_conn_peer_cert(request->conn->io, out);
}

io_loop *http1_request_loop(const http1_request *request)
{
    return request->loop;
}

lpx_arena *http1_request_arena(http1_request *request)
{
    return &request->arena;
}

bool http1_request_gone(const http1_request *request)
{
    return request->conn == NULL || request->conn->closed;
}

/* ---- Requests ---- */

static void hand_over(http1_conn *conn)
{
    http1_request *request = conn->request;
    conn->phase = HTTP1_HANDLING;
    io_timer_cancel(&conn->timer);
    request->route->handler(request->route->ctx, request);
}

/* A request of its own, with a copy of its head, which then lives as long as it. NULL: no memory. */
static http1_request *request_new(http1_conn *conn)
{
    http1_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    request->conn = conn;
    request->loop = io_conn_loop(conn->io);
    (void)snprintf(request->peer, sizeof request->peer, "%s", io_conn_peer(conn->io));
    lpx_arena_init_wiped(&request->arena, conn->server->opts.arena_bytes); /* credentials */
    lpx_buf_init(&request->body, 0);
    return request;
}

/* What came and is not used up yet. */
static lpx_bytes input(const http1_conn *conn)
{
    return conn->in.len > 0 ? lpx_bytes_of(conn->in.ptr + conn->taken, conn->in.len - conn->taken) : (lpx_bytes){0};
}

static void begin_body(http1_conn *conn)
{
    http1_request *request = conn->request;
    conn->phase = HTTP1_BODY;
    conn->chunks = (http1_chunks){0};
    conn->body_step = 0;
    arm(conn, conn->server->opts.read_timeout_us);
    if (request->head.expects_continue && input(conn).len == 0) {
        lpx_buf_add_str(&conn->out, LPX_STR("HTTP/1.1 100 Continue\r\n\r\n"));
        io_conn_want_write(conn->io);
    }
}

/* The head is there: who takes it, and is there a body? */
static void judge_head(http1_conn *conn, lpx_str text)
{
    http1_request *request = conn->request;
    const char *why = "";
    int status = http1_head_parse(text, &request->head, &why);
    if (status != 0) {
        refuse(conn, status, why, NULL, false);
        return;
    }
    const http1_head *head = &request->head;
    bool has_body = head->chunked || head->body_bytes > 0;
    bool keep = head->keep_alive && !has_body && !conn->server->draining;
    char allow[ALLOW_BYTES];
    status = http1_server_find(conn->server, head, &request->route, (lpx_space){(uint8_t *)allow, sizeof allow});
    if (status == 404) {
        refuse(conn, status, "There is nothing at this path.", NULL, keep);
        return;
    }
    if (status == 405) {
        refuse(conn, status, "This path does not take this method.", allow, keep);
        return;
    }
    uint32_t max = request->route->max_body_bytes;
    lpx_buf_init(&request->body, max > 0 ? max : conn->server->opts.max_body_bytes);
    if (head->body_bytes > request->body.max_bytes) {
        refuse(conn, 413, "The body of the request is longer than it may be.", NULL, false);
    } else if (has_body) {
        begin_body(conn);
    } else {
        hand_over(conn);
    }
}

static void skip_empty_lines(http1_conn *conn)
{
    lpx_bytes in = input(conn);
    size_t skip = 0;
    while (in.len - skip >= 2 && in.ptr[skip] == '\r' && in.ptr[skip + 1] == '\n') {
        skip += 2;
    }
    if (skip > 0) {
        conn->taken += skip;
        conn->searched = 0;
    }
}

/* @return whether there is more to do with what is in */
static bool take_head(http1_conn *conn)
{
    if (http1_conn_unsent(conn) > HTTP1_OUT_HIGH_BYTES) {
        return false; /* fill comes back to it */
    }
    skip_empty_lines(conn);
    lpx_bytes in = input(conn);
    if (in.len == 0) {
        return false;
    }
    if (conn->phase == HTTP1_IDLE) {
        conn->phase = HTTP1_HEAD;
        arm(conn, conn->server->opts.read_timeout_us);
    }
    size_t len = http1_head_find(in, conn->searched);
    conn->searched = in.len;
    if (len > HTTP1_HEAD_MAX_BYTES || (len == 0 && in.len > HTTP1_HEAD_MAX_BYTES)) {
        refuse(conn, 431, "The headers of the request are longer than they may be.", NULL, false);
        return false;
    }
    if (len == 0) {
        return false;
    }
    conn->request = request_new(conn);
    lpx_bytes copy = {0};
    if (conn->request != NULL) {
        copy = lpx_arena_copy(&conn->request->arena, lpx_bytes_of(in.ptr, len));
    }
    if (copy.ptr == NULL) {
        http1_conn_cut(conn);
        return false;
    }
    conn->taken += len;
    conn->searched = 0;
    judge_head(conn, lpx_bytes_str(copy));
    return true;
}

/* Moves what came of the body from in to the request. @return whether it is all there */
static bool take_plain_body(http1_conn *conn)
{
    http1_request *request = conn->request;
    lpx_bytes in = input(conn);
    uint64_t missing = request->head.body_bytes - request->body.len;
    size_t take = missing < in.len ? (size_t)missing : in.len;
    lpx_buf_add(&request->body, lpx_bytes_of(in.ptr, take));
    conn->taken += take;
    conn->body_step += take;
    return missing == take;
}

static bool take_chunked_body(http1_conn *conn)
{
    size_t used = 0;
    http1_chunks_end end = http1_chunks_feed(&conn->chunks, input(conn), &conn->request->body, &used);
    conn->taken += used;
    conn->body_step += used;
    if (end == HTTP1_CHUNKS_BAD) {
        refuse(conn, 400, "The chunks of the body are malformed.", NULL, false);
    } else if (end == HTTP1_CHUNKS_TOO_LONG) {
        refuse(conn, 413, "The body of the request is longer than it may be.", NULL, false);
    }
    return end == HTTP1_CHUNKS_DONE;
}

/* @return whether there is more to do with what is in */
static bool take_body(http1_conn *conn)
{
    bool done = conn->request->head.chunked ? take_chunked_body(conn) : take_plain_body(conn);
    if (conn->phase != HTTP1_BODY) {
        return false;
    }
    if (lpx_buf_failed(&conn->request->body)) {
        http1_conn_cut(conn); /* no memory */
        return false;
    }
    if (done) {
        hand_over(conn);
    } else if (conn->body_step >= HTTP1_BODY_STEP_BYTES) {
        conn->body_step = 0;
        arm(conn, conn->server->opts.read_timeout_us);
    }
    return done;
}

static bool conn_step(http1_conn *conn)
{
    switch (conn->phase) {
    case HTTP1_IDLE:
    case HTTP1_HEAD:
        return take_head(conn);
    case HTTP1_BODY:
        return take_body(conn);
    case HTTP1_HANDLING:
    case HTTP1_STREAMING:
        return false;
    case HTTP1_CLOSING:
        conn->taken = conn->in.len;
        return false;
    }
    return false;
}

/* Goes on with what came in, as far as it leads. A handler that answers at once comes back here from below: the loop
 * further up goes on then. */
static void conn_advance(http1_conn *conn)
{
    if (conn->advancing || conn->closed) {
        return;
    }
    conn->advancing = true;
    while (!conn->closed && conn_step(conn)) {
    }
    conn->advancing = false;
    if (conn->closed) {
        return;
    }
    size_t left = input(conn).len;
    if (left == 0) {
        wipe_and_free(&conn->in);
        conn->taken = 0;
        conn->searched = 0;
    }
    io_conn_set_reading(conn->io, left < HTTP1_AHEAD_BYTES);
}

/* ---- The connection ---- */

static void on_open(void *ctx)
{
    http1_conn *conn = ctx;
    arm(conn, conn->server->opts.read_timeout_us);
}

static void on_bytes(void *ctx, lpx_bytes in)
{
    http1_conn *conn = ctx;
    if (conn->closed || conn->phase == HTTP1_CLOSING) {
        return;
    }
    if (conn->taken > 0) {
        lpx_buf_drop(&conn->in, conn->taken);
        conn->taken = 0;
    }
    lpx_buf_add(&conn->in, in);
    if (lpx_buf_failed(&conn->in)) {
        http1_conn_cut(conn);
        return;
    }
    conn_advance(conn);
}

static void resume(io_hook *hook)
{
    conn_advance(LPX_CONTAINER(hook, http1_conn, resume));
}

static void fill(void *ctx, lpx_buf *to)
{
    http1_conn *conn = ctx;
    size_t left = conn->out.len - conn->out_given;
    size_t give = left < HTTP1_FILL_BYTES ? left : HTTP1_FILL_BYTES;
    if (give > 0) {
        lpx_buf_add(to, lpx_bytes_of(conn->out.ptr + conn->out_given, give));
        conn->out_given += give;
        conn->given += give;
    }
    if (give == left) {
        lpx_buf_fini(&conn->out);
        conn->out_given = 0;
    }
    if (conn->phase == HTTP1_STREAMING) {
        http1_stream_filled(conn);
    }
    if (conn->out.len > conn->out_given) {
        io_conn_want_write(conn->io);
        return;
    }
    if (conn->phase == HTTP1_CLOSING) {
        http1_conn_finish(conn);
        return;
    }
    if (conn->phase == HTTP1_IDLE) {
        arm(conn, conn->server->opts.idle_timeout_us);
    }
    if (input(conn).len > 0) {
        io_loop_at_turn_end(io_conn_loop(conn->io), &conn->resume);
    }
}

static void on_close(void *ctx, lpx_err why, const lpx_note *note)
{
    (void)why;
    (void)note;
    http1_conn *conn = ctx;
    if (conn->request != NULL && conn->phase == HTTP1_STREAMING) {
        http1_stream_lost(conn->request);
    } else if (conn->request != NULL && conn->phase == HTTP1_HANDLING) {
        conn->request->conn = NULL; /* its handler gives it back */
    } else if (conn->request != NULL) {
        http1_request_free(conn->request);
    }
    lpx_list_remove(&conn->node);
    if (conn->server != NULL) {
        http1_server_left(conn->server);
    }
    io_timer_fini(&conn->timer);
    io_hook_cancel(&conn->resume);
    wipe_and_free(&conn->in);
    lpx_buf_fini(&conn->out);
    free(conn);
}

static void time_over(io_timer *timer)
{
    http1_conn *conn = LPX_CONTAINER(timer, http1_conn, timer);
    conn->watched = false;
    if (http1_conn_unsent(conn) > 0) {
        if (conn_taken(conn) == conn->mark) {
            http1_conn_cut(conn); /* the peer takes nothing */
            return;
        }
        conn->watched = conn->phase == HTTP1_STREAMING;
        http1_conn_watch(conn);
        return;
    }
    if (conn->phase == HTTP1_STREAMING) {
        return; /* its handler has nothing to send at present */
    }
    bool waiting = conn->phase == HTTP1_HEAD || conn->phase == HTTP1_BODY;
    if (waiting) {
        refuse(conn, 408, "The request did not arrive in time.", NULL, false);
    } else {
        http1_conn_finish(conn);
    }
}

bool http1_conn_accept(void *listener_ctx, io_conn *io, const io_conn_events **events, void **ctx)
{
    static const io_conn_events conn_events = {on_open, on_bytes, fill, on_close};
    http1_server *server = listener_ctx;
    if (server->conn_count >= server->opts.max_connections) {
        return false;
    }
    http1_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL || lpx_failed(io_timer_init(&conn->timer, server->loop, time_over))) {
        free(conn);
        return false;
    }
    conn->server = server;
    conn->io = io;
    conn->resume.run = resume;
    lpx_buf_init(&conn->in, HTTP1_HEAD_MAX_BYTES + HTTP1_AHEAD_BYTES + HTTP1_FILL_BYTES);
    lpx_buf_init(&conn->out, HTTP1_OUT_MAX_BYTES);
    lpx_list_init(&conn->node);
    lpx_list_push(&server->conns, &conn->node);
    server->conn_count++;
    *events = &conn_events;
    *ctx = conn;
    return true;
}

void http1_conn_cut(http1_conn *conn)
{
    conn->closed = true;
    io_timer_cancel(&conn->timer);
    io_conn_close(conn->io, false);
}

void http1_conn_finish(http1_conn *conn)
{
    if (conn->closed || (conn->phase != HTTP1_IDLE && conn->phase != HTTP1_CLOSING)) {
        return;
    }
    conn->phase = HTTP1_CLOSING;
    if (conn->out.len > conn->out_given) {
        return; /* fill comes back to it */
    }
    conn->closed = true;
    io_timer_cancel(&conn->timer);
    io_conn_close(conn->io, true);
}
