/* Heads and bytes that no client of ours would send, against the server; answers that no server of ours would give,
 * against the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lpx_reasons.h"
#include "wire/grpc/limits.h"
#include "wire/grpc/pair_test_kit.h"

int grpc_reject_tests(void);

/* One end that is nothing but an HTTP/2 session. */
typedef struct bare {
    h2_session *h2;
    h2_pool *pool;
    h2_stream *stream;
    bool wants, head, ended, closed;
    uint32_t close_code;
    const h2_field *answer, *tail; /* server: what it says */
    size_t answer_count, tail_count;
    lpx_bytes body;
    bool reset_instead;
    unsigned goaways;
} bare;

static void bare_head(void *ctx, h2_stream *stream)
{
    bare *b = ctx;
    b->head = true;
    if (b->answer_count == 0 && !b->reset_instead) {
        return;
    }
    b->stream = stream;
    h2_stream_hold(stream);
    if (b->reset_instead) {
        h2_stream_reset(stream, b->close_code);
        return;
    }
    h2_stream_answer(stream, b->answer, b->answer_count, b->tail_count == 0 && b->body.len == 0);
    if (b->body.len > 0) {
        (void)h2_stream_send(stream, (lpx_bytes){0}, b->body);
    }
    h2_stream_finish(stream, b->tail, b->tail_count);
}

static void bare_data(void *ctx, h2_stream *stream, lpx_bytes in)
{
    (void)ctx;
    h2_stream_consume(stream, in.len);
}

static void bare_end(void *ctx, h2_stream *stream)
{
    bare *b = ctx;
    (void)stream;
    b->ended = true;
}

static void bare_writable(void *ctx, h2_stream *stream)
{
    (void)ctx;
    (void)stream;
}

static void bare_close(void *ctx, h2_stream *stream, uint32_t code)
{
    bare *b = ctx;
    (void)stream;
    b->closed = true;
    b->close_code = code;
}

static void bare_goaway(void *ctx, uint32_t code, lpx_str text)
{
    bare *b = ctx;
    (void)code;
    (void)text;
    b->goaways++;
}

static void bare_pong(void *ctx, uint64_t payload)
{
    (void)ctx;
    (void)payload;
}

static void bare_want(void *ctx)
{
    bare *b = ctx;
    b->wants = true;
}

static const h2_events bare_events = {.on_head = bare_head,
                                      .on_data = bare_data,
                                      .on_end = bare_end,
                                      .on_writable = bare_writable,
                                      .on_close = bare_close,
                                      .on_goaway = bare_goaway,
                                      .on_pong = bare_pong,
                                      .want_write = bare_want};

static void bare_init(bare *b, h2_role role)
{
    b->pool = h2_pool_new(0, NULL);
    b->h2 = h2_session_new(&(h2_opts){.role = role, .pool = b->pool}, &bare_events, b);
    assert_non_null(b->h2);
    b->wants = true;
}

static void bare_fini(bare *b)
{
    h2_session_free(&b->h2);
    if (b->stream != NULL) {
        h2_stream_release(b->stream);
    }
    h2_pool_free(&b->pool);
}

/* --- the server --- */

typedef struct server_end {
    grpc_core core;
    grpc_sconn conn;
    echo_service service;
    bool wants, held;
} server_end;

static server_end *end_of(grpc_sconn *conn)
{
    return LPX_CONTAINER(conn, server_end, conn);
}

static void end_want(grpc_sconn *conn)
{
    end_of(conn)->wants = true;
}

static void end_shut(grpc_sconn *conn)
{
    (void)conn;
    fail_msg("not expected");
}

static void end_free(grpc_sconn *conn)
{
    end_of(conn)->held = false;
}

static void server_init(server_end *s)
{
    memset(s, 0, sizeof *s);
    grpc_server_opts opts = {.max_message_bytes = 1000};
    assert_false(lpx_failed(grpc_core_init(&s->core, NULL, &opts, &echo_service_events, &s->service)));
    s->core.env.now.us = 1000000;
    s->conn.want_write = end_want;
    s->conn.shut = end_shut;
    s->conn.free_conn = end_free;
    s->held = true;
    assert_true(grpc_sconn_init(&s->conn, &s->core));
}

static void server_fini(server_end *s)
{
    grpc_sconn_lost(&s->conn);
    assert_false(s->held);
    assert_int_equal(s->core.stats.calls_open, 0);
    grpc_core_fini(&s->core);
}

static void exchange(bare *b, server_end *s)
{
    lpx_buf buf;
    lpx_buf_init(&buf, (size_t)1 << 24);
    while (b->wants || s->wants) {
        b->wants = h2_session_fill(b->h2, &buf, 65536);
        grpc_sconn_recv(&s->conn, lpx_buf_view(&buf));
        lpx_buf_clear(&buf);
        s->wants = grpc_sconn_fill(&s->conn, &buf, 65536);
        h2_session_recv(b->h2, lpx_buf_view(&buf), (lpx_mono){1});
        lpx_buf_clear(&buf);
        (void)grpc_env_run(&s->core.env);
    }
    lpx_buf_fini(&buf);
}

static lpx_str answer_field(const bare *b, const char *name)
{
    size_t count = 0;
    const h2_field *tail = h2_stream_tail(b->stream, &count);
    for (size_t i = 0; i < count; i++) {
        if (lpx_str_is(tail[i].name, name)) {
            return tail[i].value;
        }
    }
    return h2_stream_header(b->stream, lpx_str_of(name));
}

typedef struct server_row {
    const char *what;
    const char *method, *path, *content_type;
    const char *name, *value; /* one more field */
    const char *body;
    size_t body_len;
    const char *status, *grpc_status;
    uint16_t reason; /* its text is the grpc-message; 0: not looked at */
} server_row;

#define UNARY "/echo.Echo/Unary"
#define GRPC "application/grpc"
static const server_row server_rows[] = {
    {"good", "POST", UNARY, GRPC, "x", "y", "\0\0\0\0\1a", 6, "200", "0", 0},
    {"good, with subtype", "POST", UNARY, "application/grpc+proto", "te", "trailers", "\0\0\0\0\1a", 6, "200", "0", 0},
    {"no te, odd te", "POST", UNARY, GRPC, "te", "gzip", "\0\0\0\0\1a", 6, "200", "0", 0},
    {"GET", "GET", UNARY, GRPC, "x", "y", "", 0, "405", "", 0},
    {"JSON", "POST", UNARY, "application/json", "x", "y", "{}", 2, "415", "", 0},
    {"grpc-web", "POST", UNARY, "application/grpc-web", "x", "y", "", 0, "415", "", 0},
    {"no content type", "POST", UNARY, "", "x", "y", "", 0, "415", "", 0},
    {"timeout", "POST", UNARY, GRPC, "grpc-timeout", "1s", "\0\0\0\0\1a", 6, "200", "3", GRPC_TIMEOUT_SYNTAX},
    {"timeout of 9 digits", "POST", UNARY, GRPC, "grpc-timeout", "123456789S", "", 0, "200", "3", GRPC_TIMEOUT_SYNTAX},
    {"long timeout", "POST", UNARY, GRPC, "grpc-timeout", "99999999H", "\0\0\0\0\1a", 6, "200", "0", 0},
    {"encoding", "POST", UNARY, GRPC, "grpc-encoding", "snappy", "", 0, "200", "12", GRPC_ENCODING_UNKNOWN},
    {"identity", "POST", UNARY, GRPC, "grpc-encoding", "identity", "\0\0\0\0\1a", 6, "200", "0", 0},
    {"binary", "POST", UNARY, GRPC, "x-bin", "a.b", "", 0, "200", "3", GRPC_META_BINARY},
    {"binary list", "POST", UNARY, GRPC, "x-bin", "YQ,YWI=", "\0\0\0\0\1a", 6, "200", "0", 0},
    {"flag", "POST", UNARY, GRPC, "x", "y", "\2\0\0\0\1a", 6, "200", "13", GRPC_FRAME_FLAG},
    {"compressed without encoding", "POST", UNARY, GRPC, "x", "y", "\1\0\0\0\1a", 6, "200", "13",
     GRPC_FRAME_NO_ENCODING},
    {"broken gzip", "POST", UNARY, GRPC, "grpc-encoding", "gzip", "\1\0\0\0\1a", 6, "200", "13", GRPC_GZIP_BROKEN},
    {"cut", "POST", UNARY, GRPC, "x", "y", "\0\0\0\0\2a", 6, "200", "13", GRPC_FRAME_CUT},
    {"cut prefix", "POST", UNARY, GRPC, "x", "y", "\0\0\0\0\1a\0\0", 8, "200", "13", GRPC_FRAME_CUT},
    {"too large", "POST", UNARY, GRPC, "x", "y", "\0\0\0\3\xe9", 5, "200", "8", GRPC_MESSAGE_TOO_LARGE},
    {"no message", "POST", UNARY, GRPC, "x", "y", "", 0, "200", "13", 0},
    {"two messages", "POST", UNARY, GRPC, "x", "y", "\0\0\0\0\0\0\0\0\0\0", 10, "200", "13", 0},
    {"unknown method", "POST", "/a/b", GRPC, "x", "y", "", 0, "200", "12", 0},
    {"no slash in the name", "POST", "/", GRPC, "x", "y", "", 0, "200", "12", 0},
};

static void server_row_run(const server_row *row)
{
    bare b = {0};
    server_end s;
    bare_init(&b, H2_CLIENT);
    server_init(&s);
    h2_field fields[] = {{LPX_STR(":method"), lpx_str_of(row->method)},
                         {LPX_STR(":scheme"), LPX_STR("http")},
                         {LPX_STR(":path"), lpx_str_of(row->path)},
                         {lpx_str_of(row->name), lpx_str_of(row->value)},
                         {LPX_STR("content-type"), lpx_str_of(row->content_type)}};
    b.stream = h2_session_request(b.h2, fields, row->content_type[0] != '\0' ? 5 : 4, false);
    h2_stream_hold(b.stream);
    (void)h2_stream_send(b.stream, (lpx_bytes){0}, lpx_bytes_of(row->body, row->body_len));
    h2_stream_finish(b.stream, NULL, 0);
    exchange(&b, &s);
    bool ok = b.ended && b.closed && b.close_code == H2_NO_ERROR;
    ok = ok && lpx_str_is(answer_field(&b, ":status"), row->status);
    ok = ok && lpx_str_is(answer_field(&b, "grpc-status"), row->grpc_status);
    if (!ok) {
        lpx_str got = answer_field(&b, "grpc-status");
        fail_msg("%s: grpc-status %.*s, closed %d with %u", row->what, (int)got.len, got.ptr, b.closed, b.close_code);
    }
    if (row->reason != 0) {
        lpx_str text = answer_field(&b, "grpc-message");
        char plain[300];
        assert_true(text.len < sizeof plain);
        size_t len = grpc_percent_decode(text, plain);
        assert_true(lpx_str_is((lpx_str){plain, len}, lpx_reason_text(row->reason)));
    }
    if (row->reason == GRPC_ENCODING_UNKNOWN) {
        assert_true(lpx_str_is(answer_field(&b, "grpc-accept-encoding"), "identity,gzip"));
    }
    assert_false(h2_session_done(b.h2));
    server_fini(&s);
    bare_fini(&b);
}

static void test_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof server_rows / sizeof server_rows[0]; i++) {
        server_row_run(&server_rows[i]);
    }
}

/* More metadata than allowed: a status, not a dead connection. */
static void test_large_metadata(void **state)
{
    (void)state;
    bare b = {0};
    server_end s;
    bare_init(&b, H2_CLIENT);
    server_init(&s);
    char *value = malloc(40000);
    assert_non_null(value);
    memset(value, 'v', 40000);
    h2_field fields[] = {H2_FIELD(":method", "POST"),
                         H2_FIELD(":scheme", "http"),
                         H2_FIELD(":path", UNARY),
                         H2_FIELD("content-type", GRPC),
                         {LPX_STR("x"), {value, 40000}}};
    b.stream = h2_session_request(b.h2, fields, 5, true);
    h2_stream_hold(b.stream);
    exchange(&b, &s);
    assert_true(b.ended);
    assert_true(lpx_str_is(answer_field(&b, "grpc-status"), "8"));
    assert_int_equal(s.service.calls, 0);
    assert_int_equal(s.core.stats.calls_rejected_total, 1);
    free(value);
    server_fini(&s);
    bare_fini(&b);
}

/* A draining server first says that it will, and after one round trip which stream was the last. */
static void test_drain_in_two_steps(void **state)
{
    (void)state;
    bare b = {0};
    server_end s;
    bare_init(&b, H2_CLIENT);
    server_init(&s);
    h2_field fields[] = {H2_FIELD(":method", "POST"), H2_FIELD(":scheme", "http"), H2_FIELD(":path", UNARY),
                         H2_FIELD("content-type", GRPC)};
    b.stream = h2_session_request(b.h2, fields, 4, false);
    h2_stream_hold(b.stream);
    exchange(&b, &s);
    grpc_sconn_drain(&s.conn);
    exchange(&b, &s);
    assert_int_equal(b.goaways, 2);
    (void)h2_stream_send(b.stream, (lpx_bytes){0}, lpx_bytes_of("\0\0\0\0\1a", 6));
    h2_stream_finish(b.stream, NULL, 0);
    exchange(&b, &s);
    assert_true(lpx_str_is(answer_field(&b, "grpc-status"), "0"));
    assert_true(grpc_sconn_done(&s.conn));
    server_fini(&s);
    bare_fini(&b);
}

/* The client breaks HTTP/2 in the middle of a call: the call is told. */
static void test_stream_error(void **state)
{
    (void)state;
    bare b = {0};
    server_end s;
    bare_init(&b, H2_CLIENT);
    server_init(&s);
    h2_field fields[] = {H2_FIELD(":method", "POST"), H2_FIELD(":scheme", "http"), H2_FIELD(":path", UNARY),
                         H2_FIELD("content-type", GRPC), H2_FIELD("content-length", "3")};
    b.stream = h2_session_request(b.h2, fields, 5, false);
    h2_stream_hold(b.stream);
    (void)h2_stream_send(b.stream, (lpx_bytes){0}, lpx_bytes_of("\0\0\0\0\5hello", 10));
    exchange(&b, &s);
    assert_int_equal(s.service.cancels[LPX_CANCELLED], 1);
    assert_int_equal(b.close_code, H2_PROTOCOL_ERROR);
    server_fini(&s);
    bare_fini(&b);
}

/* --- the client --- */

typedef struct client_end {
    grpc_chan chan;
    grpc_link link;
    bool wants, held, freed;
    unsigned done, messages;
    lpx_code code;
    char text[300];
} client_end;

static lpx_err client_dial(grpc_chan *chan, grpc_link **out, lpx_note *note)
{
    client_end *c = LPX_CONTAINER(chan, client_end, chan);
    (void)note;
    c->held = true;
    *out = &c->link;
    return LPX_SUCCESS;
}

static void client_want(grpc_link *link)
{
    LPX_CONTAINER(link, client_end, link)->wants = true;
}

static void client_shut(grpc_link *link, bool flush)
{
    (void)link;
    (void)flush;
}

static void client_free_link(grpc_link *link)
{
    LPX_CONTAINER(link, client_end, link)->held = false;
}

static void client_freed(grpc_chan *chan)
{
    LPX_CONTAINER(chan, client_end, chan)->freed = true;
}

static const grpc_chan_ops client_ops = {.dial = client_dial,
                                         .want_write = client_want,
                                         .shut = client_shut,
                                         .free_link = client_free_link,
                                         .free_chan = client_freed};

static void client_message(void *ctx, lpx_bytes message)
{
    client_end *c = ctx;
    (void)message;
    c->messages++;
}

static void client_done(void *ctx, const grpc_status *status)
{
    client_end *c = ctx;
    c->done++;
    c->code = status->code;
    (void)snprintf(c->text, sizeof c->text, "%.*s", (int)status->message.len, status->message.ptr);
}

static const grpc_out_events client_events = {.on_message = client_message, .on_done = client_done};

typedef struct client_row {
    const char *what;
    h2_field head[4];
    size_t head_count;
    const char *body;
    size_t body_len;
    h2_field tail[3];
    size_t tail_count;
    lpx_code code;
    unsigned messages;
    const char *text;
} client_row;

#define OK_HEAD H2_FIELD(":status", "200"), H2_FIELD("content-type", GRPC)
static const client_row client_rows[] = {
    {"good", {OK_HEAD}, 2, "\0\0\0\0\1a", 6, {H2_FIELD("grpc-status", "0")}, 1, LPX_OK, 1, ""},
    {"only a head",
     {OK_HEAD, H2_FIELD("grpc-status", "7"), H2_FIELD("grpc-message", "no%20way")},
     4,
     "",
     0,
     {{{0}}},
     0,
     LPX_PERMISSION_DENIED,
     0,
     "no way"},
    {"status over 16", {OK_HEAD}, 2, "", 0, {H2_FIELD("grpc-status", "99")}, 1, LPX_UNKNOWN, 0, ""},
    {"no status",
     {OK_HEAD},
     2,
     "\0\0\0\0\1a",
     6,
     {H2_FIELD("x", "y")},
     1,
     LPX_INTERNAL,
     1,
     "The server ended the call without a gRPC status."},
    {"503",
     {H2_FIELD(":status", "503"), H2_FIELD("content-type", "text/html")},
     2,
     "<html>",
     6,
     {{{0}}},
     0,
     LPX_UNAVAILABLE,
     0,
     "The server answered with HTTP status 503."},
    {"404",
     {H2_FIELD(":status", "404")},
     1,
     "",
     0,
     {{{0}}},
     0,
     LPX_UNIMPLEMENTED,
     0,
     "The server answered with HTTP status 404."},
    {"401",
     {H2_FIELD(":status", "401")},
     1,
     "",
     0,
     {{{0}}},
     0,
     LPX_UNAUTHENTICATED,
     0,
     "The server answered with HTTP status 401."},
    {"html",
     {H2_FIELD(":status", "200"), H2_FIELD("content-type", "text/html")},
     2,
     "<html>",
     6,
     {{{0}}},
     0,
     LPX_UNKNOWN,
     0,
     "The server's answer is not gRPC."},
    {"flag",
     {OK_HEAD},
     2,
     "\7\0\0\0\1a",
     6,
     {H2_FIELD("grpc-status", "0")},
     1,
     LPX_INTERNAL,
     0,
     "The first byte of a gRPC message must be 0 or 1."},
    {"too large",
     {OK_HEAD},
     2,
     "\0\0\0\3\xe9",
     5,
     {H2_FIELD("grpc-status", "0")},
     1,
     LPX_RESOURCE_EXHAUSTED,
     0,
     "The message is larger than this side accepts."},
    {"cut",
     {OK_HEAD},
     2,
     "\0\0\0\0\2a",
     6,
     {H2_FIELD("grpc-status", "0")},
     1,
     LPX_INTERNAL,
     0,
     "The call ended in the middle of a message."},
    {"cut, but failed anyway",
     {OK_HEAD},
     2,
     "\0\0\0\0\2a",
     6,
     {H2_FIELD("grpc-status", "14")},
     1,
     LPX_UNAVAILABLE,
     0,
     ""},
    {"not compressed at all",
     {OK_HEAD},
     2,
     "\1\0\0\0\1a",
     6,
     {H2_FIELD("grpc-status", "0")},
     1,
     LPX_INTERNAL,
     0,
     "A message is marked as compressed, but the call named no grpc-encoding."},
    {"unknown encoding",
     {OK_HEAD, H2_FIELD("grpc-encoding", "br")},
     3,
     "\1\0\0\0\1a",
     6,
     {H2_FIELD("grpc-status", "0")},
     1,
     LPX_UNIMPLEMENTED,
     0,
     "The grpc-encoding is not supported; use identity or gzip."},
    {"broken gzip",
     {OK_HEAD, H2_FIELD("grpc-encoding", "gzip")},
     3,
     "\1\0\0\0\1a",
     6,
     {H2_FIELD("grpc-status", "0")},
     1,
     LPX_INTERNAL,
     0,
     "A message could not be decompressed as gzip."},
};

static void client_run(client_end *c, bare *b)
{
    memset(c, 0, sizeof *c);
    bare_init(b, H2_SERVER);
    grpc_client_opts opts = {.address = "x:1", .max_message_bytes = 1000, .seed = 1};
    lpx_note note;
    assert_false(lpx_failed(grpc_chan_init(&c->chan, NULL, &opts, &client_ops, &note)));
    c->chan.env.now.us = 1000000;
    grpc_out *out = grpc_chan_start(&c->chan, "/a/b", NULL, 0, 0, &client_events, c);
    assert_non_null(out);
    assert_true(grpc_link_up(&c->link));
    grpc_out_close_send(out);
    lpx_buf buf;
    lpx_buf_init(&buf, (size_t)1 << 24);
    while (b->wants || c->wants) {
        c->wants = grpc_link_fill(&c->link, &buf, 65536);
        h2_session_recv(b->h2, lpx_buf_view(&buf), (lpx_mono){1});
        lpx_buf_clear(&buf);
        b->wants = h2_session_fill(b->h2, &buf, 65536);
        grpc_link_recv(&c->link, lpx_buf_view(&buf));
        lpx_buf_clear(&buf);
    }
    lpx_buf_fini(&buf);
}

static void client_fini(client_end *c, bare *b)
{
    if (c->held) {
        grpc_link_lost(&c->link, LPX_SUCCESS, NULL);
    }
    grpc_chan_close(&c->chan);
    assert_true(c->freed && !c->held);
    bare_fini(b);
}

static void test_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof client_rows / sizeof client_rows[0]; i++) {
        const client_row *row = &client_rows[i];
        client_end c;
        bare b = {.answer = row->head,
                  .answer_count = row->head_count,
                  .tail = row->tail,
                  .tail_count = row->tail_count,
                  .body = lpx_bytes_of(row->body, row->body_len)};
        client_run(&c, &b);
        if (c.done != 1 || c.code != row->code || c.messages != row->messages || strcmp(c.text, row->text) != 0) {
            fail_msg("%s: done %u, code %d, messages %u: %s", row->what, c.done, (int)c.code, c.messages, c.text);
        }
        assert_false(h2_session_done(b.h2));
        client_fini(&c, &b);
    }
}

static void test_client_reset(void **state)
{
    (void)state;
    static const struct {
        uint32_t h2;
        lpx_code code;
    } rows[] = {{H2_REFUSED_STREAM, LPX_UNAVAILABLE},
                {H2_CANCEL, LPX_CANCELLED},
                {H2_ENHANCE_YOUR_CALM, LPX_RESOURCE_EXHAUSTED},
                {H2_INTERNAL_ERROR, LPX_INTERNAL},
                {H2_INADEQUATE_SECURITY, LPX_PERMISSION_DENIED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_end c;
        bare b = {.reset_instead = true, .close_code = rows[i].h2};
        client_run(&c, &b);
        assert_int_equal(c.done, 1);
        assert_int_equal(c.code, rows[i].code);
        client_fini(&c, &b);
    }
}

/* A peer that ends the connection for abuse says why, and the user reads it. */
static void test_client_goaway(void **state)
{
    (void)state;
    client_end c;
    bare b = {0};
    client_run(&c, &b);
    assert_int_equal(c.done, 0);
    int64_t keepalive_us = c.chan.keepalive_us;
    h2_session_abort(b.h2, H2_ENHANCE_YOUR_CALM, LPX_STR("too_many_pings"));
    lpx_buf buf;
    lpx_buf_init(&buf, 100000);
    (void)h2_session_fill(b.h2, &buf, 65536);
    grpc_link_recv(&c.link, lpx_buf_view(&buf));
    lpx_buf_fini(&buf);
    assert_int_equal(c.chan.keepalive_us, 2 * keepalive_us);
    grpc_link_lost(&c.link, LPX_SUCCESS, NULL);
    assert_int_equal(c.code, LPX_UNAVAILABLE);
    assert_string_equal(c.text, "x:1: the peer ended the connection: ENHANCE_YOUR_CALM, too_many_pings");
    client_fini(&c, &b);
}

int grpc_reject_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_large_metadata),
        cmocka_unit_test(test_stream_error),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_reset),
        cmocka_unit_test(test_client_goaway),
        cmocka_unit_test(test_drain_in_two_steps),
    };
    return cmocka_run_group_tests_name("grpc_reject", tests, NULL, NULL);
}
