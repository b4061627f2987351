/* Frames made by hand against one session: broken ones, floods, odd but right ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lpx_reasons.h"
#include "wire/http/h2_guard.h"
#include "wire/http/h2_head.h"
#include "wire/http/h2_limits.h"
#include "wire/http/h2_test_pair.h"

int h2_frames_tests(void);

enum {
    DATA = 0,
    HEADERS = 1,
    PRIORITY = 2,
    RST = 3,
    SETTINGS = 4,
    PUSH = 5,
    PING = 6,
    GOAWAY = 7,
    WINDOW = 8,
    CONT = 9
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

typedef struct peer {
    h2_end end;
    lpx_buf in, out;
    lpx_mono now;
} peer;

static void put_u32(lpx_buf *buf, uint32_t v)
{
    uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    lpx_buf_add(buf, lpx_bytes_of(bytes, 4));
}

static void put_frame(lpx_buf *buf, uint8_t type, uint8_t flags, uint32_t id, lpx_bytes payload)
{
    uint8_t head[5] = {(uint8_t)(payload.len >> 16), (uint8_t)(payload.len >> 8), (uint8_t)payload.len, type, flags};
    lpx_buf_add(buf, lpx_bytes_of(head, 5));
    put_u32(buf, id);
    lpx_buf_add(buf, payload);
}

/* Literal without indexing, new name; lengths below 127. */
static void put_field(lpx_buf *block, const char *name, lpx_str value)
{
    uint8_t zero = 0, n = (uint8_t)strlen(name), v = (uint8_t)value.len;
    lpx_buf_add(block, lpx_bytes_of(&zero, 1));
    lpx_buf_add(block, lpx_bytes_of(&n, 1));
    lpx_buf_add_str(block, lpx_str_of(name));
    lpx_buf_add(block, lpx_bytes_of(&v, 1));
    lpx_buf_add_str(block, value);
}

/* "name=value;name=value;..." */
static void put_fields(lpx_buf *block, const char *fields)
{
    while (*fields != '\0') {
        char name[128], value[128];
        size_t n = strcspn(fields, "="), v = strcspn(fields + n, ";");
        assert_true(n < sizeof name && v > 0 && v < sizeof value);
        (void)snprintf(name, sizeof name, "%.*s", (int)n, fields);
        (void)snprintf(value, sizeof value, "%.*s", (int)(v - 1), fields + n + 1);
        put_field(block, name, lpx_str_of(value));
        fields += n + v + (fields[n + v] == ';' ? 1 : 0);
    }
}

static void put_headers(lpx_buf *buf, uint32_t id, uint8_t flags, const char *fields)
{
    lpx_buf block;
    lpx_buf_init(&block, 100000);
    put_fields(&block, fields);
    put_frame(buf, HEADERS, (uint8_t)(flags | END_HEADERS), id, lpx_buf_view(&block));
    lpx_buf_fini(&block);
}

static const char good[] = ":method=POST;:scheme=http;:path=/a.B/C;te=trailers";

static void peer_init(peer *p)
{
    memset(p, 0, sizeof *p);
    h2_end_init(&p->end, H2_SERVER, &(h2_opts){0});
    lpx_buf_init(&p->in, 1 << 26);
    lpx_buf_init(&p->out, 1 << 26);
    p->now.us = 5000000;
    lpx_buf_add_str(&p->in, LPX_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    put_frame(&p->in, SETTINGS, 0, 0, lpx_bytes_of("", 0));
}

static void peer_fini(peer *p)
{
    h2_end_fini(&p->end);
    lpx_buf_fini(&p->in);
    lpx_buf_fini(&p->out);
}

static void peer_feed(peer *p)
{
    h2_session_recv(p->end.session, lpx_buf_view(&p->in), p->now);
    lpx_buf_clear(&p->in);
}

static void peer_run(peer *p)
{
    peer_feed(p);
    while (p->end.wants) {
        p->end.wants = h2_session_fill(p->end.session, &p->out, 1 << 26);
    }
}

/* Error code of the first frame of this type in what the session sent; -1 when there is none. */
static int64_t sent_code(const peer *p, uint8_t type)
{
    lpx_bytes rest = lpx_buf_view(&p->out);
    while (rest.len >= 9) {
        size_t len = (size_t)rest.ptr[0] << 16 | (size_t)rest.ptr[1] << 8 | rest.ptr[2];
        size_t at = type == GOAWAY ? 9 + 4 : 9;
        if (rest.ptr[3] == type) {
            return (int64_t)rest.ptr[at] << 24 | rest.ptr[at + 1] << 16 | rest.ptr[at + 2] << 8 | rest.ptr[at + 3];
        }
        rest = lpx_bytes_of(rest.ptr + 9 + len, rest.len - 9 - len);
    }
    return -1;
}

typedef struct head_row {
    const char *fields;
    bool ok;
} head_row;

/* Requests: what is wrong ends the stream alone. */
static const head_row head_rows[] = {
    {":method=POST;:scheme=http;:path=/a", true},
    {":method=POST;:scheme=http;:path=/a;x=", true},
    {":method=POST;:scheme=http;:path=/a;te=gzip", true},
    {":method=POST;:scheme=http;:path=/a;content-length=0", true},
    {":method=OPTIONS;:scheme=http;:path=*", true},
    {":method=CONNECT;:authority=a:1", true},
    {":scheme=http;:path=/a", false},
    {":method=POST;:path=/a", false},
    {":method=POST;:scheme=http", false},
    {":method=POST;:scheme=http;:path=", false},
    {":method=POST;:scheme=http;:path=a", false},
    {":method=POST;:scheme=http;:path=/a b", false},
    {":method=POST;:method=POST;:scheme=http;:path=/a", false},
    {":method=POST;:scheme=http;x=y;:path=/a", false},
    {":method=POST;:scheme=http;:path=/a;:status=200", false},
    {":method=POST;:scheme=http;:path=/a;:other=1", false},
    {":method=POST;:scheme=http;:path=/a;X=y", false},
    {":method=POST;:scheme=http;:path=/a;x y=z", false},
    {":method=POST;:scheme=http;:path=/a;x= y", false},
    {":method=POST;:scheme=http;:path=/a;x=y ", false},
    {":method=POST;:scheme=http;:path=/a;x=a\nb", false},
    {":method=POST;:scheme=http;:path=/a;x=long enough for the fast check\x7f of eight", false},
    {":method=POST;:scheme=http;:path=/a;x=long enough for the fast check\x01 of eight", false},
    {":method=POST;:scheme=http;:path=/a;connection=close", false},
    {":method=POST;:scheme=http;:path=/a;transfer-encoding=chunked", false},
    {":method=POST;:scheme=http;:path=/a;upgrade=x", false},
    {":method=POST;:scheme=http;:path=/a;keep-alive=x", false},
    {":method=POST;:scheme=http;:path=/a;proxy-connection=x", false},
    {":method=POST;:scheme=http;:path=/a;content-length=x", false},
    {":method=POST;:scheme=http;:path=/a;content-length=1", false},
    {":method=POST;:scheme=http;:path=/a;content-length=0;content-length=1", false},
    {":method=CONNECT;:authority=a:1;:path=/", false},
    {":method=CONNECT", false},
};

static void test_request_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof head_rows / sizeof head_rows[0]; i++) {
        peer p;
        peer_init(&p);
        put_headers(&p.in, 1, END_STREAM, head_rows[i].fields);
        put_headers(&p.in, 3, END_STREAM, good);
        peer_run(&p);
        size_t ended = 0;
        for (size_t k = 0; k < p.end.count; k++) {
            ended += p.end.seen[k].ends;
        }
        if ((sent_code(&p, RST) == -1) != head_rows[i].ok || ended != (head_rows[i].ok ? 2 : 1)) {
            fail_msg("head %zu: %s", i, head_rows[i].fields);
        }
        if (!head_rows[i].ok) {
            assert_int_equal(sent_code(&p, RST), H2_PROTOCOL_ERROR);
        }
        assert_int_equal(sent_code(&p, GOAWAY), -1);
        assert_int_equal(p.end.seen[p.end.count - 1].ends, 1);
        peer_fini(&p);
    }
}

static void test_bad_value_nul(void **state)
{
    (void)state;
    assert_int_equal(h2_head_classify(LPX_STR("x"), LPX_STR("a\0b")), H2_KIND_BAD);
    assert_int_equal(h2_head_classify(LPX_STR("x"), LPX_STR("a\tb \xc3\xa4 longer than eight")), H2_KIND_REGULAR);
    assert_int_equal(h2_head_classify(LPX_STR(""), LPX_STR("a")), H2_KIND_BAD);
    assert_int_equal(h2_head_classify(LPX_STR("a\0"), LPX_STR("a")), H2_KIND_BAD);
}

static void test_tails(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        uint8_t flags;
        bool ok;
    } rows[] = {{"x-checksum=1", END_STREAM, true}, {":path=/x", END_STREAM, false}, {"x=1", 0, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        peer p;
        peer_init(&p);
        put_headers(&p.in, 1, 0, good);
        put_frame(&p.in, DATA, 0, 1, lpx_bytes_of("hello", 5));
        put_headers(&p.in, 1, rows[i].flags, rows[i].fields);
        peer_run(&p);
        assert_int_equal(p.end.seen[0].ends, rows[i].ok ? 1 : 0);
        assert_int_equal(sent_code(&p, RST), rows[i].ok ? -1 : H2_PROTOCOL_ERROR);
        size_t count = 0;
        const h2_field *tail = h2_stream_tail(p.end.seen[0].stream, &count);
        assert_true(!rows[i].ok || (count == 1 && lpx_str_is(tail[0].value, "1")));
        peer_fini(&p);
    }
}

static void test_content_length(void **state)
{
    (void)state;
    for (size_t sent = 0; sent < 8; sent++) {
        peer p;
        peer_init(&p);
        put_headers(&p.in, 1, 0, ":method=POST;:scheme=http;:path=/a;content-length=5");
        put_frame(&p.in, DATA, END_STREAM, 1, lpx_bytes_of("abcdefgh", sent));
        peer_run(&p);
        assert_int_equal(p.end.seen[0].ends, sent == 5 ? 1 : 0);
        assert_int_equal(sent_code(&p, RST), sent == 5 ? -1 : H2_PROTOCOL_ERROR);
        peer_fini(&p);
    }
}

/* A head over the limit is cut and marked, so that its stream can be answered; the connection lives on. */
static void test_head_too_large(void **state)
{
    (void)state;
    for (int many = 0; many < 2; many++) {
        peer p;
        peer_init(&p);
        lpx_buf block;
        lpx_buf_init(&block, 100000);
        put_fields(&block, good);
        char value[127];
        memset(value, 'v', sizeof value);
        int fields = many != 0 ? H2_MAX_FIELDS + 1 : 250;
        for (int i = 0; i < fields; i++) {
            put_field(&block, "n", (lpx_str){value, many != 0 ? 1 : 126});
        }
        lpx_bytes all = lpx_buf_view(&block);
        size_t first = all.len < 16000 ? all.len : 16000;
        put_frame(&p.in, HEADERS, (uint8_t)(END_STREAM | (first == all.len ? END_HEADERS : 0)), 1,
                  lpx_bytes_of(all.ptr, first));
        for (size_t at = first; at < all.len; at += 16000) {
            size_t n = all.len - at < 16000 ? all.len - at : 16000;
            put_frame(&p.in, CONT, at + n == all.len ? END_HEADERS : 0, 1, lpx_bytes_of(all.ptr + at, n));
        }
        put_headers(&p.in, 3, END_STREAM, good);
        peer_run(&p);
        lpx_buf_fini(&block);
        assert_int_equal(p.end.count, 2);
        assert_true(h2_stream_head_cut(p.end.seen[0].stream));
        assert_false(h2_stream_head_cut(p.end.seen[1].stream));
        assert_int_equal(sent_code(&p, GOAWAY), -1);
        peer_fini(&p);
    }
}

static void test_continuation_flood(void **state)
{
    (void)state;
    peer p;
    peer_init(&p);
    lpx_buf block;
    lpx_buf_init(&block, 1000);
    put_fields(&block, good);
    put_frame(&p.in, HEADERS, 0, 1, lpx_buf_view(&block));
    for (int i = 0; i <= H2_MAX_CONTINUATIONS; i++) {
        put_frame(&p.in, CONT, 0, 1, lpx_bytes_of("", 0));
    }
    peer_run(&p);
    lpx_note note;
    assert_int_equal(h2_session_why(p.end.session, &note).reason, H2_FLOOD_CONTINUED);
    assert_int_equal(sent_code(&p, GOAWAY), H2_ENHANCE_YOUR_CALM);
    assert_true(h2_session_done(p.end.session));
    assert_int_equal(p.end.count, 0);
    lpx_buf_fini(&block);
    peer_fini(&p);
}

typedef struct flood_row {
    const char *name;
    uint16_t reason;
    int harmless, fatal; /* so many are taken; so many are not */
    void (*put)(peer *p, int i);
} flood_row;

static void put_reset(peer *p, int i)
{
    uint32_t id = 1 + 2 * (uint32_t)i;
    put_headers(&p->in, id, 0, good);
    put_frame(&p->in, RST, 0, id, lpx_bytes_of("\0\0\0\x08", 4));
}

/* Window overflow: the session itself must reset the stream, at the peer's wish. */
static void put_made_reset(peer *p, int i)
{
    uint32_t id = 1 + 2 * (uint32_t)i;
    put_headers(&p->in, id, END_STREAM, good);
    put_frame(&p->in, WINDOW, 0, id, lpx_bytes_of("\x7f\xff\xff\xff", 4));
}

static void put_malformed(peer *p, int i)
{
    put_headers(&p->in, 1 + 2 * (uint32_t)i, END_STREAM, ":method=POST");
}

static void put_ping(peer *p, int i)
{
    (void)i;
    put_frame(&p->in, PING, 0, 0, lpx_bytes_of("12345678", 8));
}

static void put_settings(peer *p, int i)
{
    (void)i;
    put_frame(&p->in, SETTINGS, 0, 0, lpx_bytes_of("", 0));
}

static void put_priority(peer *p, int i)
{
    put_frame(&p->in, PRIORITY, 0, 1 + 2 * (uint32_t)(i % 1000), lpx_bytes_of("\0\0\0\0\x10", 5));
}

static void put_empty_data(peer *p, int i)
{
    if (i == 0) {
        put_headers(&p->in, 1, 0, good);
    }
    put_frame(&p->in, DATA, 0, 1, lpx_bytes_of("", 0));
}

static void put_window(peer *p, int i)
{
    (void)i;
    put_frame(&p->in, WINDOW, 0, 0, lpx_bytes_of("\0\0\0\x01", 4));
}

static void put_unknown(peer *p, int i)
{
    (void)i;
    put_frame(&p->in, 0xbe, 0, 0, lpx_bytes_of("grease", 6));
}

static const flood_row flood_rows[] = {
    {"rapid reset", H2_FLOOD_RESET, 4096, H2_RESET_BURST + 10, put_reset},
    {"made reset", H2_FLOOD_RESET, 2000, H2_RESET_BURST + 10, put_made_reset},
    {"malformed", H2_FLOOD_RESET, 2000, H2_RESET_BURST + 10, put_malformed},
    {"ping", H2_FLOOD_PING, 50, 200, put_ping},
    {"settings", H2_FLOOD_SETTINGS, 50, 200, put_settings},
    {"priority", H2_FLOOD_PRIORITY, 5000, 9000, put_priority},
    {"empty data", H2_FLOOD_EMPTY_DATA, 500, 1100, put_empty_data},
    {"window", H2_FLOOD_WINDOW, 10000, 21000, put_window},
    {"unknown", H2_FLOOD_UNKNOWN, 500, 1100, put_unknown},
};

static void ignore_close(void *ctx, h2_stream *stream, uint32_t code)
{
    (void)ctx;
    (void)stream;
    (void)code;
}

static void ignore_data(void *ctx, h2_stream *stream, lpx_bytes in)
{
    (void)ctx;
    (void)stream;
    (void)in;
}

static void ignore_stream(void *ctx, h2_stream *stream)
{
    (void)ctx;
    (void)stream;
}

static void count_want(void *ctx)
{
    h2_end *end = ctx;
    end->wants = true;
}

static const h2_events deaf = {.on_head = ignore_stream,
                               .on_data = ignore_data,
                               .on_end = ignore_stream,
                               .on_writable = ignore_stream,
                               .on_close = ignore_close,
                               .want_write = count_want};

static lpx_err flood_run(const flood_row *row, int count, int64_t *code)
{
    peer p;
    peer_init(&p);
    h2_session_free(&p.end.session);
    p.end.session = h2_session_new(&(h2_opts){.role = H2_SERVER, .pool = p.end.pool}, &deaf, &p.end);
    assert_non_null(p.end.session);
    p.end.wants = true;
    peer_run(&p);
    for (int i = 0; i < count && !h2_session_done(p.end.session); i++) {
        row->put(&p, i);
        if (i % 16 == 15) {
            peer_run(&p);
        }
    }
    peer_run(&p);
    lpx_note note;
    lpx_err err = h2_session_why(p.end.session, &note);
    *code = sent_code(&p, GOAWAY);
    peer_fini(&p);
    return err;
}

static void test_floods(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof flood_rows / sizeof flood_rows[0]; i++) {
        const flood_row *row = &flood_rows[i];
        int64_t code = 0;
        lpx_err err = flood_run(row, row->harmless, &code);
        if (lpx_failed(err) || code != -1) {
            fail_msg("%s: %d frames must do no harm: %s", row->name, row->harmless, lpx_reason_name(err.reason));
        }
        err = flood_run(row, row->fatal, &code);
        if (err.reason != row->reason || code != H2_ENHANCE_YOUR_CALM) {
            fail_msg("%s: %d frames: %s, code %d", row->name, row->fatal, lpx_reason_name(err.reason), (int)code);
        }
    }
}

/* The peer does not read: answers must not pile up without end. */
static void test_unread_answers(void **state)
{
    (void)state;
    peer p;
    peer_init(&p);
    for (int i = 0; i < 200; i++) {
        put_ping(&p, 0);
        put_settings(&p, 0);
    }
    peer_feed(&p);
    lpx_note note;
    assert_true(lpx_failed(h2_session_why(p.end.session, &note)));
    peer_fini(&p);
}

/* It does not even acknowledge our settings, so that streams above the limit are refused one by one. */
static void test_unread_refusals(void **state)
{
    (void)state;
    peer p;
    peer_init(&p);
    h2_session_free(&p.end.session);
    h2_opts opts = {.role = H2_SERVER, .pool = p.end.pool, .max_streams = 10};
    p.end.session = h2_session_new(&opts, &deaf, &p.end);
    lpx_note note;
    uint32_t opened = 0;
    while (opened < 4 * H2_MAX_STREAMS && !lpx_failed(h2_session_why(p.end.session, &note))) {
        put_headers(&p.in, 1 + 2 * opened++, END_STREAM, good);
        peer_feed(&p);
    }
    assert_true(opened < 2 * H2_MAX_STREAMS);
    peer_run(&p);
    assert_int_equal(sent_code(&p, GOAWAY), H2_ENHANCE_YOUR_CALM);
    peer_fini(&p);
}

typedef struct broken_row {
    const char *name;
    uint8_t type, flags;
    uint32_t id;
    const char *payload;
    size_t len;
    int64_t goaway, rst;
} broken_row;

static const broken_row broken_rows[] = {
    {"DATA on stream 0", DATA, 0, 0, "x", 1, 1, -1},
    {"HEADERS on stream 0", HEADERS, END_HEADERS, 0, "\x82", 1, 1, -1},
    {"HEADERS on an even stream", HEADERS, END_HEADERS, 2, "\x82", 1, 1, -1},
    {"CONTINUATION alone", CONT, END_HEADERS, 1, "\x82", 1, 1, -1},
    {"broken HPACK", HEADERS, END_HEADERS, 5, "\xff\xff\xff\xff\xff\xff", 6, 9, -1},
    {"HPACK index 0", HEADERS, END_HEADERS, 5, "\x80", 1, 9, -1},
    {"PUSH_PROMISE from a client", PUSH, END_HEADERS, 1, "\0\0\0\x02\x82", 5, 1, -1},
    {"short PING", PING, 0, 0, "1234", 4, 6, -1},
    {"PING on a stream", PING, 0, 1, "12345678", 8, 1, -1},
    {"odd SETTINGS", SETTINGS, 0, 0, "12345", 5, 6, -1},
    {"SETTINGS ACK with payload", SETTINGS, ACK, 0, "123456", 6, 6, -1},
    {"window above 2^31-1", SETTINGS, 0, 0, "\0\x04\xff\xff\xff\xff", 6, 3, -1},
    {"frame size below 16384", SETTINGS, 0, 0, "\0\x05\0\0\0\x01", 6, 1, -1},
    {"WINDOW_UPDATE of 0 on the connection", WINDOW, 0, 0, "\0\0\0\0", 4, 1, -1},
    {"window overflow on the connection", WINDOW, 0, 0, "\x7f\xff\xff\xff", 4, 3, -1},
    {"window overflow on a stream", WINDOW, 0, 1, "\x7f\xff\xff\xff", 4, -1, 3},
    {"RST_STREAM of an idle stream, too long", RST, 0, 9, "\0\0\0\x08\0", 5, 6, -1},
    {"RST_STREAM of an idle stream of ours", RST, 0, 8, "\0\0\0\x08", 4, 1, -1},
    {"RST_STREAM on stream 0", RST, 0, 0, "\0\0\0\x08", 4, 1, -1},
    {"padding longer than DATA", DATA, 8, 1, "\x09x", 2, 1, -1},
    {"GOAWAY on a stream", GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0", 8, 1, -1},
};

static void test_broken_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_rows / sizeof broken_rows[0]; i++) {
        const broken_row *row = &broken_rows[i];
        peer p;
        peer_init(&p);
        put_headers(&p.in, 1, 0, good);
        put_frame(&p.in, row->type, row->flags, row->id, lpx_bytes_of(row->payload, row->len));
        peer_run(&p);
        if (sent_code(&p, GOAWAY) != row->goaway || sent_code(&p, RST) != row->rst) {
            fail_msg("%s: GOAWAY %d, RST_STREAM %d", row->name, (int)sent_code(&p, GOAWAY), (int)sent_code(&p, RST));
        }
        assert_true(h2_session_done(p.end.session) == (row->goaway != -1));
        lpx_note note;
        assert_true(lpx_failed(h2_session_why(p.end.session, &note)) == (row->goaway != -1));
        peer_fini(&p);
    }
}

/* gRPC's C core resets a stream whose head it has not sent; those of others live on. */
static void test_reset_before_head(void **state)
{
    (void)state;
    static const lpx_bytes cancel = {(const uint8_t *)"\0\0\0\x08", 4};
    peer p;
    peer_init(&p);
    put_headers(&p.in, 1, 0, good);
    put_frame(&p.in, RST, 0, 9, cancel);
    put_frame(&p.in, RST, 0, 11, cancel);
    put_headers(&p.in, 13, 0, good);
    peer_run(&p);
    assert_int_equal(sent_code(&p, GOAWAY), -1);
    assert_int_equal(h2_session_streams(p.end.session), 2);
    put_frame(&p.in, RST, 0, 13, cancel); /* a stream that was opened is reset as ever */
    peer_run(&p);
    assert_int_equal(h2_session_streams(p.end.session), 1);
    for (int i = 0; i < H2_RESET_BURST + 10; i++) {
        put_frame(&p.in, RST, 0, 1001, cancel);
    }
    peer_run(&p);
    assert_int_equal(sent_code(&p, GOAWAY), H2_ENHANCE_YOUR_CALM);
    peer_fini(&p);
}

static void test_not_http2(void **state)
{
    (void)state;
    peer p;
    peer_init(&p);
    lpx_buf_clear(&p.in);
    lpx_buf_add_str(&p.in, LPX_STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(&p);
    lpx_note note;
    assert_int_equal(h2_session_why(p.end.session, &note).reason, H2_PREFACE);
    assert_true(h2_session_done(p.end.session));
    peer_fini(&p);
}

/* Exactly what the settings allow, and one more. */
static void test_stream_limit(void **state)
{
    (void)state;
    peer p;
    peer_init(&p);
    h2_session_free(&p.end.session);
    h2_opts opts = {.role = H2_SERVER, .pool = p.end.pool, .max_streams = 4096};
    p.end.session = h2_session_new(&opts, &deaf, &p.end);
    p.end.wants = true;
    put_frame(&p.in, SETTINGS, ACK, 0, lpx_bytes_of("", 0));
    for (uint32_t i = 0; i < 4096; i++) {
        put_headers(&p.in, 1 + 2 * i, 0, good);
    }
    peer_run(&p);
    assert_int_equal(h2_session_streams(p.end.session), 4096);
    assert_int_equal(sent_code(&p, RST), -1);
    put_headers(&p.in, 1 + 2 * 4096, 0, good);
    peer_run(&p);
    assert_true(sent_code(&p, RST) == H2_REFUSED_STREAM || sent_code(&p, GOAWAY) == H2_PROTOCOL_ERROR);
    peer_fini(&p);
}

static void test_interim_answer(void **state)
{
    (void)state;
    h2_end client;
    h2_end_init(&client, H2_CLIENT, &(h2_opts){0});
    lpx_buf in, out;
    lpx_buf_init(&in, 100000);
    lpx_buf_init(&out, 100000);
    h2_seen *call = h2_end_post(&client, true);
    (void)h2_session_fill(client.session, &out, 100000);
    put_frame(&in, SETTINGS, 0, 0, lpx_bytes_of("", 0));
    put_headers(&in, 1, 0, ":status=103;link=x");
    put_headers(&in, 1, 0, ":status=200;a=b");
    put_frame(&in, DATA, 0, 1, lpx_bytes_of("hello", 5));
    put_headers(&in, 1, END_STREAM, "grpc-status=0");
    h2_session_recv(client.session, lpx_buf_view(&in), (lpx_mono){1});
    assert_int_equal(call->heads, 1);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->close_code, H2_NO_ERROR);
    assert_true(lpx_str_is(h2_stream_header(call->stream, LPX_STR("a")), "b"));
    assert_int_equal(h2_stream_header(call->stream, LPX_STR("link")).len, 0);
    lpx_buf_fini(&in);
    lpx_buf_fini(&out);
    h2_end_fini(&client);
}

static void reset_at_end(h2_end *end, h2_seen *seen)
{
    (void)end;
    h2_stream_reset(seen->stream, H2_CANCEL);
}

/* A stream that both sides have ended is over: giving it up then must not cost the peer a RST_STREAM. */
static void test_no_reset_after_end(void **state)
{
    (void)state;
    peer p = {0};
    h2_end_init(&p.end, H2_CLIENT, &(h2_opts){0});
    lpx_buf_init(&p.in, 1 << 20);
    lpx_buf_init(&p.out, 1 << 20);
    p.end.ended = reset_at_end;
    h2_seen *call = h2_end_post(&p.end, true);
    put_frame(&p.in, SETTINGS, 0, 0, lpx_bytes_of("", 0));
    peer_run(&p);
    lpx_buf_clear(&p.out); /* it began with the preface */
    put_headers(&p.in, 1, END_STREAM, ":status=200");
    peer_run(&p);
    assert_int_equal(call->close_code, H2_NO_ERROR);
    assert_int_equal(call->closes, 1);
    assert_int_equal(sent_code(&p, RST), -1);
    peer_fini(&p);
}

static void test_guard_refills(void **state)
{
    (void)state;
    h2_guard guard;
    lpx_mono now = {.us = 42};
    h2_guard_init(&guard, 0, 0, now);
    for (int i = 0; i < H2_SETTINGS_BURST; i++) {
        assert_true(h2_guard_take(&guard, H2_FLOOD_OF_SETTINGS, now));
    }
    assert_false(h2_guard_take(&guard, H2_FLOOD_OF_SETTINGS, now));
    now.us += 1000000;
    for (int i = 0; i < H2_SETTINGS_PER_S; i++) {
        assert_true(h2_guard_take(&guard, H2_FLOOD_OF_SETTINGS, now));
    }
    assert_false(h2_guard_take(&guard, H2_FLOOD_OF_SETTINGS, now));
    now.us += INT64_MAX / 2;
    for (int i = 0; i < H2_SETTINGS_BURST; i++) {
        assert_true(h2_guard_take(&guard, H2_FLOOD_OF_SETTINGS, now));
    }
    assert_false(h2_guard_take(&guard, H2_FLOOD_OF_SETTINGS, now));
}

int h2_frames_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_heads),
        cmocka_unit_test(test_bad_value_nul),
        cmocka_unit_test(test_tails),
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_head_too_large),
        cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_unread_answers),
        cmocka_unit_test(test_unread_refusals),
        cmocka_unit_test(test_broken_frames),
        cmocka_unit_test(test_reset_before_head),
        cmocka_unit_test(test_not_http2),
        cmocka_unit_test(test_stream_limit),
        cmocka_unit_test(test_interim_answer),
        cmocka_unit_test(test_guard_refills),
        cmocka_unit_test(test_no_reset_after_end),
    };
    return cmocka_run_group_tests_name("h2_frames", tests, NULL, NULL);
}
