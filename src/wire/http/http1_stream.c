/* Answers that come in parts: chunks, compression, back-pressure, clients that leave. */
#include "base/assert.h"
#include "lpx_reasons.h"
#include "wire/http/http1_priv.h"

static void tell_later(http1_request *request)
{
    io_loop_at_turn_end(request->loop, &request->stream.tell);
}

static void tell_gone(http1_request *request)
{
    http1_stream *s = &request->stream;
    if (!s->told_gone) {
        s->told_gone = true;
        s->events->on_gone(s->ctx, request);
    }
}

static void tell(io_hook *hook)
{
    http1_request *request = LPX_CONTAINER(hook, http1_request, stream.tell);
    http1_stream *s = &request->stream;
    if (s->head_only || http1_request_gone(request)) {
        tell_gone(request);
    } else if (s->waits) {
        s->waits = false;
        s->events->on_writable(s->ctx, request);
    }
}

/* The compressor goes back; its connection, if there still is one, must be that of the request. */
static void release(http1_request *request)
{
    http1_stream *s = &request->stream;
    if (s->gzip != NULL && request->conn != NULL && request->conn->server != NULL) {
        request->conn->server->gzip_streams--;
    }
    http1_gzip_free(&s->gzip);
    io_hook_cancel(&s->tell);
}

/* One chunk, or bare bytes for HTTP/1.0. */
static void add_part(const http1_stream *s, lpx_bytes part, lpx_buf *out)
{
    if (part.len == 0) {
        return; /* an empty chunk would be the end */
    }
    if (s->chunked) {
        lpx_buf_printf(out, "%zx\r\n", part.len);
    }
    lpx_buf_add(out, part);
    if (s->chunked) {
        lpx_buf_add_str(out, LPX_STR("\r\n"));
    }
}

/* @return false when memory is short */
static bool add_packed(http1_request *request, lpx_bytes part, http1_gzip_then then)
{
    http1_stream *s = &request->stream;
    lpx_buf packed;
    lpx_buf_init(&packed, HTTP1_OUT_MAX_BYTES);
    bool done = http1_gzip_add(s->gzip, part, then, &packed);
    add_part(s, lpx_buf_view(&packed), http1_conn_out(request->conn));
    lpx_buf_fini(&packed);
    s->unflushed = then == HTTP1_GZIP_MORE;
    return done;
}

static bool add(http1_request *request, lpx_bytes part, http1_gzip_then then)
{
    if (request->stream.gzip != NULL) {
        return add_packed(request, part, then);
    }
    add_part(&request->stream, part, http1_conn_out(request->conn));
    return true;
}

/* A compressor if one is wanted and to be had; without one the parts go as they are. */
static void take_gzip(http1_request *request, const http1_answer *head)
{
    http1_server *server = request->conn->server;
    bool wanted = server != NULL && server->gzip_streams < HTTP1_GZIP_STREAMS_MAX && http1_wants_gzip(request, head);
    request->stream.gzip = wanted ? http1_gzip_new() : NULL;
    if (request->stream.gzip != NULL) {
        server->gzip_streams++;
    }
}

lpx_err http1_stream_begin(http1_request *request, const http1_answer *head, const http1_stream_events *events,
                           void *ctx)
{
    lpx_assert(head->body.len == 0 && request->stream.events == NULL);
    http1_stream *s = &request->stream;
    *s = (http1_stream){.events = events, .ctx = ctx, .waits = true, .tell.run = tell};
    s->chunked = request->head.http11;
    s->head_only = lpx_str_is(request->head.method, "HEAD");
    tell_later(request);
    if (http1_request_gone(request)) {
        return LPX_SUCCESS;
    }
    http1_conn *conn = request->conn;
    lpx_assert(conn->request == request && conn->phase == HTTP1_HANDLING);
    take_gzip(request, head);
    request->head.keep_alive = request->head.keep_alive && !head->close && (s->chunked || s->head_only);
    lpx_buf *out = http1_conn_out(conn);
    http1_answer_head(out, head, s->gzip != NULL, io_loop_now(request->loop).utc);
    lpx_buf_add_str(out, s->chunked ? LPX_STR("Transfer-Encoding: chunked\r\n") : LPX_STR(""));
    lpx_buf_add_str(out, request->head.keep_alive ? LPX_STR("\r\n") : LPX_STR("Connection: close\r\n\r\n"));
    if (lpx_buf_failed(out)) {
        release(request);
        *s = (http1_stream){.events = NULL};
        http1_conn_cut(conn); /* half a head may lie there */
        return lpx_err_of(BASE_NO_MEMORY);
    }
    conn->phase = HTTP1_STREAMING;
    conn->watched = true;
    io_conn_want_write(conn->io);
    http1_conn_watch(conn);
    return LPX_SUCCESS;
}

bool http1_stream_write(http1_request *request, lpx_bytes part)
{
    http1_stream *s = &request->stream;
    if (s->head_only || http1_request_gone(request)) {
        return false; /* on_gone tells why */
    }
    http1_conn *conn = request->conn;
    if (!add(request, part, HTTP1_GZIP_MORE) || lpx_buf_failed(&conn->out)) {
        http1_conn_cut(conn);
        return false;
    }
    s->turn_bytes += part.len;
    io_conn_want_write(conn->io);
    if (!conn->watched) {
        conn->watched = true;
        http1_conn_watch(conn);
    }
    s->waits = http1_conn_unsent(conn) > HTTP1_STREAM_HIGH_BYTES || s->turn_bytes > HTTP1_STREAM_HIGH_BYTES;
    return !s->waits;
}

void http1_stream_end(http1_request *request, bool whole)
{
    http1_conn *conn = request->conn;
    const http1_stream *s = &request->stream;
    if (http1_request_gone(request)) {
        release(request);
        if (conn != NULL) {
            conn->request = NULL;
        }
        http1_request_free(request);
        return;
    }
    lpx_assert(conn->request == request && conn->phase == HTTP1_STREAMING);
    bool done = s->head_only || (whole && add(request, (lpx_bytes){NULL, 0}, HTTP1_GZIP_END));
    if (done && s->chunked && !s->head_only) {
        lpx_buf_add_str(http1_conn_out(conn), LPX_STR("0\r\n\r\n"));
    }
    bool keep = request->head.keep_alive && !conn->server->draining;
    release(request);
    if (!done) {
        conn->request = NULL;
        http1_request_free(request);
        http1_conn_cut(conn);
        return;
    }
    conn->watched = false;
    http1_conn_answered(conn, keep);
}

void http1_stream_filled(http1_conn *conn)
{
    http1_request *request = conn->request;
    http1_stream *s = &request->stream;
    s->turn_bytes = 0;
    if (conn->out.len == conn->out_given && s->unflushed &&
        !add_packed(request, (lpx_bytes){NULL, 0}, HTTP1_GZIP_FLUSH)) {
        http1_conn_cut(conn);
        return;
    }
    if (s->waits && conn->out.len - conn->out_given <= HTTP1_STREAM_LOW_BYTES) {
        tell_later(request);
    }
}

void http1_stream_lost(http1_request *request)
{
    release(request);
    request->conn = NULL;
    tell_gone(request);
}
