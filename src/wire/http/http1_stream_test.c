/* Answers in parts: what arrives is what was written, whatever the reader's pace, the version and the coding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/test_random.h"
#include "wire/http/http1_priv.h"
#include "wire/http/http1_test_kit.h"

enum { PLAIN_MAX = 8 << 20, PART_MAX = 100000, HEAD_END = 4 };

/* A server with one route, whose answer comes in parts of any size. */
typedef struct source {
    io_loop *loop;
    http1_server *server;
    uint16_t port;
    http1_request *request; /* being answered */
    uint8_t *plain;         /* what the stream is to bring */
    size_t len, written;
    bool gzip, manual, cut;
    int begun, writable, gone, drained;
    test_random random;
} source;

static void go_on(void *ctx, http1_request *request)
{
    source *s = ctx;
    s->writable++;
    bool more = true;
    while (more && s->written < s->len && !s->manual) {
        size_t part = test_random_below(&s->random, PART_MAX) + (size_t)1;
        part = part < s->len - s->written ? part : s->len - s->written;
        more = http1_stream_write(request, lpx_bytes_of(s->plain + s->written, part));
        s->written += part;
    }
    if (s->written == s->len && !s->manual) {
        s->request = NULL;
        http1_stream_end(request, !s->cut);
    }
}

static void left(void *ctx, http1_request *request)
{
    source *s = ctx;
    s->gone++;
    if (!s->manual) {
        s->request = NULL;
        http1_stream_end(request, true);
    }
}

static void answer(void *ctx, http1_request *request)
{
    static const http1_stream_events events = {go_on, left};
    source *s = ctx;
    int writable = s->writable;
    s->begun++;
    s->written = 0;
    s->request = request;
    assert_false(lpx_failed(http1_stream_begin(
        request, &(http1_answer){.status = 200, .content_type = "text/plain", .gzip = s->gzip}, &events, s)));
    assert_int_equal(s->writable, writable); /* never from inside */
}

static void whole(void *ctx, http1_request *request)
{
    source *s = ctx;
    http1_request_answer(request, &(http1_answer){.status = 200, .gzip = true, .body = lpx_bytes_of(s->plain, s->len)});
}

static void source_begin(source *s, const char *name)
{
    *s = (source){.loop = io_loop_new(0), .plain = malloc(PLAIN_MAX), .random = test_random_begin(name)};
    lpx_note note = {""};
    const http1_route routes[] = {{.method = "GET", .path = "/s", .handler = answer, .ctx = s},
                                  {.method = "GET", .path = "/w", .handler = whole, .ctx = s}};
    assert_non_null(s->plain);
    for (size_t i = 0; i < PLAIN_MAX; i++) {
        s->plain[i] = (uint8_t)("0123456789abcdef"[test_random_below(&s->random, 16)]);
    }
    assert_false(lpx_failed(http1_server_new(s->loop, &(http1_server_opts){0}, &s->server)));
    assert_false(lpx_failed(http1_server_route(s->server, &routes[0])));
    assert_false(lpx_failed(http1_server_route(s->server, &routes[1])));
    assert_false(lpx_failed(http1_server_listen(s->server, "127.0.0.1:0", NULL, &s->port, &note)));
}

static void source_end(source *s)
{
    http1_server_free(&s->server);
    io_loop_turn(s->loop, 0);
    io_loop_free(&s->loop);
    free(s->plain);
}

static http1_conn *only_conn(const source *s)
{
    assert_int_equal(s->server->conn_count, 1);
    return LPX_CONTAINER(s->server->conns.next, http1_conn, node);
}

/* The body behind the first head of what came. */
static lpx_bytes body_of(talker *t)
{
    const char *text = talker_text(t);
    const char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    size_t head = (size_t)(end - text) + HEAD_END;
    return lpx_bytes_of(t->got.ptr + head, t->got.len - head);
}

/* Takes the chunks off by the decoder for requests. */
static void unchunk(lpx_bytes in, lpx_buf *out)
{
    http1_chunks chunks = {0};
    size_t used = 0;
    lpx_buf_init(out, PLAIN_MAX);
    assert_int_equal(http1_chunks_feed(&chunks, in, out, &used), HTTP1_CHUNKS_DONE);
    assert_int_equal(used, in.len);
}

static void assert_unzips_to(lpx_bytes in, const uint8_t *want, size_t want_len, int end)
{
    z_stream z = {0};
    uint8_t *room = malloc(PLAIN_MAX + 1);
    uint8_t *copy = malloc(in.len + 1);
    memcpy(copy, in.ptr, in.len);
    z.next_in = copy;
    z.avail_in = (uInt)in.len;
    z.next_out = room;
    z.avail_out = PLAIN_MAX + 1;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_SYNC_FLUSH), end);
    assert_int_equal(z.total_out, want_len);
    assert_memory_equal(room, want, want_len);
    assert_int_equal(inflateEnd(&z), Z_OK);
    free(copy);
    free(room);
}

#define GET(path, more) "GET " path " HTTP/1.1\r\nHost: h\r\n" more "\r\n"

static void parts_arrive(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "parts_arrive");
    const size_t sizes[] = {0, 1, 70000, PLAIN_MAX};
    for (size_t i = 0; i < 8; i++) {
        s.len = sizes[i % 4];
        s.gzip = i >= 4;
        s.writable = 0;
        talker t = {0};
        talker_begin(&t, s.loop, s.port, GET("/s", "Connection: close\r\nAccept-Encoding: gzip, deflate, br\r\n"));
        TURN_UNTIL(s.loop, t.conn == NULL);
        assert_true(talker_has(&t, "Transfer-Encoding: chunked\r\n"));
        assert_false(talker_has(&t, "Content-Length"));
        lpx_buf body;
        unchunk(body_of(&t), &body);
        if (s.gzip) {
            assert_true(talker_has(&t, "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"));
            assert_true(body.len < s.len / 4 * 3 + 100);
            assert_unzips_to(lpx_buf_view(&body), s.plain, s.len, Z_STREAM_END);
        } else {
            assert_int_equal(body.len, s.len);
            assert_memory_equal(body.ptr, s.plain, s.len);
        }
        lpx_buf_fini(&body);
        talker_end(&t);
        assert_int_equal(s.server->gzip_streams, 0);
    }
    assert_int_equal(s.gone, 0);
    source_end(&s);
}

static void the_connection_lives_on(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "the_connection_lives_on");
    s.len = 300000;
    talker t = {0};
    talker_begin(&t, s.loop, s.port, GET("/s", "") GET("/s", "") "HEAD /s HTTP/1.1\r\nHost: h\r\n\r\n" GET("/w", ""));
    TURN_UNTIL(s.loop, talker_count(&t, "HTTP/1.1 200") == 4 && talker_has(&t, "Content-Length: 300000"));
    assert_int_equal(talker_count(&t, "\r\n0\r\n\r\n"), 2);
    assert_int_equal(s.gone, 1); /* HEAD wants no body */
    assert_int_equal(s.begun, 3);
    talker_end(&t);
    source_end(&s);
}

static void old_clients_get_bytes_until_the_end(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "old_clients");
    s.len = 500000;
    talker t = {0};
    talker_begin(&t, s.loop, s.port, "GET /s HTTP/1.0\r\n\r\n");
    TURN_UNTIL(s.loop, t.conn == NULL);
    assert_false(talker_has(&t, "Transfer-Encoding"));
    assert_true(talker_has(&t, "Connection: close\r\n\r\n"));
    lpx_bytes body = body_of(&t);
    assert_int_equal(body.len, s.len);
    assert_memory_equal(body.ptr, s.plain, s.len);
    talker_end(&t);
    source_end(&s);
}

static void a_slow_reader_holds_the_writer_up(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "a_slow_reader");
    s.len = PLAIN_MAX;
    talker t = {.deaf = true};
    talker_begin(&t, s.loop, s.port, GET("/s", ""));
    TURN_UNTIL(s.loop, s.begun == 1 && io_conn_unsent(only_conn(&s)->io) > 0);
    for (int turn = 0; turn < 20; turn++) {
        io_loop_turn(s.loop, 1000);
    }
    assert_true(s.written < s.len && s.request != NULL); /* kernels take 2 to 6 MB of a deaf reader's stream */
    assert_true(only_conn(&s)->out.len - only_conn(&s)->out_given <= HTTP1_STREAM_HIGH_BYTES + PART_MAX + 100);
    /* It reads on: all comes. */
    io_conn_set_reading(t.conn, true);
    TURN_UNTIL(s.loop, s.request == NULL);
    TURN_UNTIL(s.loop, t.got.len > s.len && talker_has(&t, "\r\n0\r\n\r\n"));
    lpx_buf body;
    unchunk(body_of(&t), &body);
    assert_int_equal(body.len, s.len);
    assert_memory_equal(body.ptr, s.plain, s.len);
    lpx_buf_fini(&body);
    talker_end(&t);
    source_end(&s);
}

static void a_reader_that_takes_nothing_is_cut(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "takes_nothing");
    s.len = PLAIN_MAX;
    talker t = {.deaf = true};
    talker_begin(&t, s.loop, s.port, GET("/s", ""));
    TURN_UNTIL(s.loop, s.begun == 1 && io_conn_unsent(only_conn(&s)->io) > 0);
    only_conn(&s)->mark = UINT64_MAX; /* some was taken since */
    io_timer_arm(&only_conn(&s)->timer, 0);
    for (int turn = 0; turn < 10; turn++) {
        io_loop_turn(s.loop, 1000);
    }
    assert_int_equal(s.gone, 0);
    only_conn(&s)->mark = only_conn(&s)->given - io_conn_unsent(only_conn(&s)->io);
    io_timer_arm(&only_conn(&s)->timer, 0);
    TURN_UNTIL(s.loop, s.gone == 1 && s.server->conn_count == 0);
    talker_end(&t);
    source_end(&s);
}

static void a_writer_with_nothing_to_say_may_wait(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "may_wait");
    s.manual = true;
    s.gzip = true;
    talker t = {0};
    talker_begin(&t, s.loop, s.port, GET("/s", "Accept-Encoding: gzip\r\n"));
    TURN_UNTIL(s.loop, s.writable == 1 && talker_has(&t, "\r\n\r\n"));
    for (int i = 1; i <= 3; i++) {
        io_timer_arm(&only_conn(&s)->timer, 0); /* the write timeout passes, and nothing is owed */
        for (int turn = 0; turn < 5; turn++) {
            io_loop_turn(s.loop, 1000);
        }
        assert_non_null(t.conn);
        assert_false(only_conn(&s)->watched);
        /* What was written can be read, though the compressor would like more. */
        assert_true(http1_stream_write(s.request, lpx_bytes_of(s.plain, 10)));
        TURN_UNTIL(s.loop, talker_count(&t, "\r\n\r\n") == 1 && body_of(&t).len > (size_t)i * 10);
        for (int turn = 0; turn < 5; turn++) {
            io_loop_turn(s.loop, 1000);
        }
    }
    lpx_buf_add_str(&t.got, LPX_STR("0\r\n\r\n"));
    lpx_buf body;
    unchunk(body_of(&t), &body);
    uint8_t want[30];
    for (size_t i = 0; i < 3; i++) {
        memcpy(want + i * 10, s.plain, 10);
    }
    assert_unzips_to(lpx_buf_view(&body), want, sizeof want, Z_OK);
    lpx_buf_fini(&body);
    http1_stream_end(s.request, true);
    talker_end(&t);
    source_end(&s);
}

static void a_client_may_leave(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "may_leave");
    s.manual = true;
    s.gzip = true;
    talker t = {0};
    talker_begin(&t, s.loop, s.port, GET("/s", "Accept-Encoding: gzip\r\n"));
    TURN_UNTIL(s.loop, s.writable == 1);
    talker_end(&t);
    TURN_UNTIL(s.loop, s.gone == 1 && s.server->conn_count == 0);
    assert_int_equal(s.server->gzip_streams, 0);
    assert_false(http1_stream_write(s.request, lpx_bytes_of(s.plain, 10)));
    io_loop_turn(s.loop, 0);
    http1_stream_end(s.request, true);
    assert_int_equal(s.gone, 1);

    /* The server goes first. */
    s.writable = s.gone = 0;
    t = (talker){0};
    talker_begin(&t, s.loop, s.port, GET("/s", ""));
    TURN_UNTIL(s.loop, s.writable == 1);
    http1_server_free(&s.server);
    TURN_UNTIL(s.loop, t.conn == NULL && s.gone == 1);
    http1_stream_end(s.request, true);
    talker_end(&t);
    source_end(&s);
}

static void a_cut_body_shows(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "cut_body");
    s.len = 1000;
    s.cut = true;
    talker t = {0};
    talker_begin(&t, s.loop, s.port, GET("/s", ""));
    TURN_UNTIL(s.loop, t.conn == NULL);
    assert_false(talker_has(&t, "\r\n0\r\n\r\n"));
    talker_end(&t);
    source_end(&s);
}

static void note_drained(void *ctx)
{
    source *s = ctx;
    s->drained++;
}

static void a_drain_waits_for_streams(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "drain");
    s.manual = true;
    talker t = {0};
    talker_begin(&t, s.loop, s.port, GET("/s", ""));
    TURN_UNTIL(s.loop, s.writable == 1);
    http1_server_drain(s.server, LONG_US, note_drained, &s);
    assert_true(http1_stream_write(s.request, lpx_bytes_of(s.plain, 10)));
    TURN_UNTIL(s.loop, talker_has(&t, "\r\na\r\n"));
    assert_int_equal(s.drained, 0);
    http1_stream_end(s.request, true);
    TURN_UNTIL(s.loop, t.conn == NULL && s.drained == 1);
    assert_true(talker_has(&t, "\r\n0\r\n\r\n"));
    talker_end(&t);
    source_end(&s);
}

static void compressors_are_limited(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "limited");
    s.len = 2000;
    s.gzip = true;
    s.server->gzip_streams = HTTP1_GZIP_STREAMS_MAX;
    talker t = {0};
    talker_begin(&t, s.loop, s.port, GET("/s", "Connection: close\r\nAccept-Encoding: gzip\r\n"));
    TURN_UNTIL(s.loop, t.conn == NULL);
    assert_false(talker_has(&t, "Content-Encoding"));
    assert_true(talker_has(&t, "Vary: Accept-Encoding\r\n"));
    assert_int_equal(s.server->gzip_streams, HTTP1_GZIP_STREAMS_MAX);
    s.server->gzip_streams = 0;
    talker_end(&t);
    source_end(&s);
}

static void whole_answers_are_compressed(void **state)
{
    (void)state;
    source s;
    source_begin(&s, "whole_answers");
    const struct {
        size_t len;
        const char *request;
        bool packed;
    } cases[] = {
        {100000, GET("/w", "Connection: close\r\nAccept-Encoding: gzip\r\n"), true},
        {100000, GET("/w", "Connection: close\r\nAccept-Encoding: gzip;q=0\r\n"), false},
        {100000, GET("/w", "Connection: close\r\n"), false},
        {HTTP1_GZIP_MIN_BYTES - 1, GET("/w", "Connection: close\r\nAccept-Encoding: gzip\r\n"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s.len = cases[i].len;
        talker t = {0};
        talker_begin(&t, s.loop, s.port, cases[i].request);
        TURN_UNTIL(s.loop, t.conn == NULL);
        assert_true(talker_has(&t, "Vary: Accept-Encoding\r\n"));
        assert_int_equal(talker_has(&t, "Content-Encoding: gzip\r\n"), cases[i].packed);
        lpx_bytes body = body_of(&t);
        char length[40];
        (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", body.len);
        assert_true(talker_has(&t, length));
        if (cases[i].packed) {
            assert_unzips_to(body, s.plain, s.len, Z_STREAM_END);
        } else {
            assert_int_equal(body.len, s.len);
        }
        talker_end(&t);
    }
    source_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_arrive),
        cmocka_unit_test(the_connection_lives_on),
        cmocka_unit_test(old_clients_get_bytes_until_the_end),
        cmocka_unit_test(a_slow_reader_holds_the_writer_up),
        cmocka_unit_test(a_reader_that_takes_nothing_is_cut),
        cmocka_unit_test(a_writer_with_nothing_to_say_may_wait),
        cmocka_unit_test(a_client_may_leave),
        cmocka_unit_test(a_cut_body_shows),
        cmocka_unit_test(a_drain_waits_for_streams),
        cmocka_unit_test(compressors_are_limited),
        cmocka_unit_test(whole_answers_are_compressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
