/* One connection of the HTTP/1.1 server: requests in, answers out, one after the other. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/text.h"
#include "lpx_reasons.h"
#include "wire/http/http1_priv.h"
#include "wire/http/http1_text.h"

enum { ALLOW_BYTES = 128, US_PER_S = 1000000 };

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

static const char *phrase_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Status";
}

static void add_date(lpx_buf *out, lpx_utc now)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(now.us / US_PER_S);
    struct tm t;
    if (gmtime_r(&seconds, &t) != NULL) {
        lpx_buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[t.tm_wday], t.tm_mday,
                       months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    }
}

/* A value may come from outside: a line break in it would begin a header of its own. */
static void add_header(lpx_buf *out, const char *name, lpx_str value)
{
    lpx_buf_printf(out, "%s: ", name);
    uint8_t *room = lpx_buf_reserve(out, value.len);
    if (room == NULL) {
        return;
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = (uint8_t)value.ptr[i];
        room[i] = c < 0x20 || c == 0x7f ? (uint8_t)' ' : c;
    }
    lpx_buf_grown(out, value.len);
    lpx_buf_add_str(out, LPX_STR("\r\n"));
}

static void write_answer(http1_conn *conn, const http1_answer *answer, bool body_too, bool keep)
{
    lpx_buf *out = &conn->out;
    if (conn->out_given >= HTTP1_FILL_BYTES) {
        lpx_buf_drop(out, conn->out_given);
        conn->out_given = 0;
    }
    lpx_buf_printf(out, "HTTP/1.1 %d %s\r\n", answer->status, phrase_of(answer->status));
    add_date(out, io_loop_now(io_conn_loop(conn->io)).utc);
    if (answer->content_type != NULL) {
        add_header(out, "Content-Type", lpx_str_of(answer->content_type));
    }
    for (size_t i = 0; i < answer->header_count; i++) {
        add_header(out, answer->headers[i].name, answer->headers[i].value);
    }
    if (answer->status != 204 && answer->status != 304) {
        lpx_buf_printf(out, "Content-Length: %zu\r\n", answer->body.len);
    } else {
        body_too = false;
    }
    lpx_buf_add_str(out, keep ? LPX_STR("\r\n") : LPX_STR("Connection: close\r\n\r\n"));
    if (body_too) {
        lpx_buf_add(out, answer->body);
    }
}

static void arm(http1_conn *conn, int64_t delay_us)
{
    io_timer_arm(&conn->timer, delay_us);
}

static size_t conn_unsent(const http1_conn *conn)
{
    return conn->out.len - conn->out_given + io_conn_unsent(conn->io);
}

/* The answer lies in out; what comes next. */
static void answered(http1_conn *conn, bool keep)
{
    conn->request = NULL;
    conn->phase = keep ? HTTP1_IDLE : HTTP1_CLOSING;
    if (lpx_buf_failed(&conn->out)) {
        http1_conn_cut(conn); /* half an answer is none */
        return;
    }
    io_conn_want_write(conn->io);
    conn->unsent = conn_unsent(conn);
    arm(conn, HTTP1_WRITE_TIMEOUT_US);
}

static void json_text(lpx_buf *out, const char *text)
{
    bool utf8 = lpx_utf8_valid(lpx_str_bytes(lpx_str_of(text)));
    lpx_buf_add_str(out, LPX_STR("\""));
    for (const char *c = text; *c != 0; c++) {
        uint8_t byte = (uint8_t)*c;
        if (byte == '"' || byte == '\\') {
            lpx_buf_printf(out, "\\%c", byte);
        } else if (byte < 0x20 || byte == 0x7f || (byte > 0x7f && !utf8)) {
            lpx_buf_printf(out, "\\u%04x", byte);
        } else {
            lpx_buf_add(out, lpx_bytes_of(c, 1));
        }
    }
    lpx_buf_add_str(out, LPX_STR("\""));
}

/* {"code": ..., "message": ...} */
static void json_error(lpx_buf *body, const char *code, const char *message)
{
    lpx_buf_init(body, HTTP1_ARENA_BYTES);
    lpx_buf_add_str(body, LPX_STR("{\"code\": "));
    json_text(body, code);
    lpx_buf_add_str(body, LPX_STR(", \"message\": "));
    json_text(body, message);
    lpx_buf_add_str(body, LPX_STR("}\n"));
}

static const char *code_of(int status)
{
    switch (status) {
    case 404:
        return "not_found";
    case 405:
    case 501:
    case 505:
        return "unimplemented";
    case 408:
        return "deadline_exceeded";
    case 413:
    case 431:
        return "resource_exhausted";
    default:
        return "invalid_argument";
    }
}

/* Answers what never became a request of a handler, and ends the connection unless keep. */
static void refuse(http1_conn *conn, int status, const char *message, const char *allow, bool keep)
{
    lpx_buf body;
    json_error(&body, code_of(status), message);
    http1_header header = {"Allow", lpx_str_of(allow)};
    http1_answer answer = {.status = status,
                           .content_type = "application/json",
                           .headers = &header,
                           .header_count = allow != NULL ? 1 : 0,
                           .body = lpx_buf_view(&body)};
    bool head_only = conn->request != NULL && lpx_str_is(conn->request->head.method, "HEAD");
    write_answer(conn, &answer, !head_only, keep);
    lpx_buf_fini(&body);
    if (conn->request != NULL) {
        http1_request_free(conn->request);
    }
    answered(conn, keep);
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
    http1_request_free(request);
    answered(conn, keep);
    conn_advance(conn);
}

void http1_request_answer_error(http1_request *request, int status, const char *code, const char *message)
{
    lpx_buf body;
    json_error(&body, code, message);
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
    if (conn_unsent(conn) > HTTP1_OUT_HIGH_BYTES) {
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
    }
    if (give < left) {
        io_conn_want_write(conn->io);
        return;
    }
    lpx_buf_fini(&conn->out);
    conn->out_given = 0;
    if (conn->phase == HTTP1_CLOSING) {
        http1_conn_finish(conn);
        return;
    }
    if (conn->phase == HTTP1_IDLE) {
        conn->unsent = 0;
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
    if (conn->request != NULL && conn->phase == HTTP1_HANDLING) {
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
    size_t unsent = conn_unsent(conn);
    if (unsent > 0) {
        if (unsent >= conn->unsent) {
            http1_conn_cut(conn); /* the peer takes nothing */
            return;
        }
        conn->unsent = unsent;
        arm(conn, HTTP1_WRITE_TIMEOUT_US);
        return;
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
