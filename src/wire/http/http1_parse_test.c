/* Bytes of HTTP/1.1: heads taken and refused, chunked bodies in pieces, percent-encoding, queries, credentials. */
#include "wire/http/http1_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/http/http1_text.h"

static int parse(const char *text, http1_head *head)
{
    const char *why = NULL;
    lpx_str s = lpx_str_of(text);
    assert_int_equal(http1_head_find(lpx_str_bytes(s), 0), s.len);
    int status = http1_head_parse(s, head, &why);
    assert_true(status == 0 || (why != NULL && why[0] != 0));
    return status;
}

static void test_head(void **state)
{
    (void)state;
    http1_head head;
    assert_int_equal(parse("POST /a/b%20c?x=1&y HTTP/1.1\r\nHost: h\r\nContent-Type:\t text/plain \t\r\nX-Empty:\r\n"
                           "Content-Length: 12\r\n\r\n",
                           &head),
                     0);
    assert_true(lpx_str_is(head.method, "POST"));
    assert_true(lpx_str_is(head.path, "/a/b%20c"));
    assert_true(lpx_str_is(head.query, "x=1&y"));
    assert_true(lpx_str_is(http1_head_value(&head, LPX_STR("content-TYPE")), "text/plain"));
    assert_true(lpx_str_is(http1_head_value(&head, LPX_STR("x-empty")), ""));
    assert_true(lpx_str_is(http1_head_value(&head, LPX_STR("nothing")), ""));
    assert_int_equal(head.count, 4);
    assert_int_equal(head.body_bytes, 12);
    assert_true(head.keep_alive);
    assert_false(head.chunked || head.expects_continue);

    assert_int_equal(parse("GET https://host:1/p?q HTTP/1.1\r\nHost: h\r\nConnection: x , Close\r\n\r\n", &head), 0);
    assert_true(lpx_str_is(head.path, "/p") && lpx_str_is(head.query, "q"));
    assert_false(head.keep_alive);
    assert_int_equal(parse("GET http://host HTTP/1.1\r\nHost: h\r\n\r\n", &head), 0);
    assert_true(lpx_str_is(head.path, "/"));
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", &head), 0);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &head), 0);
    assert_false(head.keep_alive);
    assert_int_equal(
        parse("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n", &head), 0);
    assert_true(head.chunked && head.expects_continue);
}

static void test_heads_refused(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *text;
    } refused[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},                       /* no Host */
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"}, /* two */
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"},
        {400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"}, /* blank before colon */
        {400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n: v\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"}, /* bare line feed */
        {400, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"}, /* bare return */
        {400, "GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
        {400, "GET /\r\nHost: a\r\n\r\n"},
        {400, "GET\r\nHost: a\r\n\r\n"},
        {400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET relative HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
        {400, " / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
        {505, "PRI * HTTP/2.0\r\n\r\n"},
        {417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        http1_head head;
        int status = parse(refused[i].text, &head);
        if (status != refused[i].status) {
            fail_msg("status %d, want %d: %s", status, refused[i].status, refused[i].text);
        }
    }
}

static void test_too_many_headers(void **state)
{
    (void)state;
    char text[4096] = "GET / HTTP/1.1\r\nHost: a\r\n";
    size_t len = strlen(text);
    for (int i = 1; i < HTTP1_HEADERS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "X: y\r\n");
    }
    http1_head head;
    (void)snprintf(text + len, sizeof text - len, "\r\n");
    assert_int_equal(parse(text, &head), 0);
    assert_int_equal(head.count, HTTP1_HEADERS_MAX);
    (void)snprintf(text + len, sizeof text - len, "X: y\r\n\r\n");
    assert_int_equal(parse(text, &head), 431);
}

static void test_head_is_found_in_pieces(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest\r\n\r\n";
    size_t searched = 0;
    size_t end = strlen("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t have = 0; have < sizeof text; have++) {
        size_t found = http1_head_find(lpx_bytes_of(text, have), searched);
        assert_int_equal(found, have < end ? 0 : end);
        searched = found == 0 ? have : searched;
    }
}

/* Feeds text in pieces of at most step bytes. @return how it ended; *rest is what was not taken */
static http1_chunks_end feed(const char *text, size_t step, lpx_buf *body, lpx_str *rest)
{
    http1_chunks chunks = {0};
    http1_chunks_end end = HTTP1_CHUNKS_MORE;
    *rest = lpx_str_of(text);
    while (end == HTTP1_CHUNKS_MORE && rest->len > 0) {
        size_t used = 0;
        size_t piece = rest->len < step ? rest->len : step;
        end = http1_chunks_feed(&chunks, lpx_bytes_of(rest->ptr, piece), body, &used);
        assert_true(used <= piece && (used == piece || end != HTTP1_CHUNKS_MORE));
        *rest = lpx_str_skip(*rest, used);
    }
    return end;
}

static void test_chunks(void **state)
{
    (void)state;
    static const char text[] =
        "5\r\nhello\r\n00B;name=\"value\"\r\n, wide worl\r\n1 \r\nd\r\n0\r\nTrailer: x\r\n\r\nnext";
    for (size_t step = 1; step < sizeof text; step++) {
        lpx_buf body;
        lpx_str rest;
        lpx_buf_init(&body, 100);
        assert_int_equal(feed(text, step, &body, &rest), HTTP1_CHUNKS_DONE);
        assert_true(lpx_str_is(lpx_bytes_str(lpx_buf_view(&body)), "hello, wide world"));
        assert_true(lpx_str_is(rest, "next"));
        lpx_buf_fini(&body);
    }
    static const char *const bad[] = {"\r\n",    "x\r\n",       "5\nhello",      "5\r\nhelloX", "5\r\nhello\rX",
                                      "-1\r\n",  "0x5\r\n",     "123456789\r\n", "5\rX",        ";\r\n",
                                      "0\r\n\n", "0\r\nA: b\n", "0\r\nA\rb"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t step = 1; step < 12; step++) {
            lpx_buf body;
            lpx_str rest;
            lpx_buf_init(&body, 100);
            assert_int_equal(feed(bad[i], step, &body, &rest), HTTP1_CHUNKS_BAD);
            lpx_buf_fini(&body);
        }
    }
    lpx_buf body;
    lpx_str rest;
    lpx_buf_init(&body, 4);
    assert_int_equal(feed("5\r\nhello\r\n0\r\n\r\n", 100, &body, &rest), HTTP1_CHUNKS_TOO_LONG);
    lpx_buf_fini(&body);
}

static void test_endless_lines_of_chunks_end(void **state)
{
    (void)state;
    char *text = malloc(HTTP1_HEAD_MAX_BYTES + 100);
    lpx_buf body;
    lpx_str rest;
    lpx_buf_init(&body, 100);
    memset(text, ' ', HTTP1_HEAD_MAX_BYTES + 99);
    text[0] = '1';
    text[HTTP1_HEAD_MAX_BYTES + 99] = 0;
    assert_int_equal(feed(text, 1000, &body, &rest), HTTP1_CHUNKS_BAD);
    memcpy(text, "0\r\nA: ", 6);
    assert_int_equal(feed(text, 1000, &body, &rest), HTTP1_CHUNKS_BAD);
    lpx_buf_fini(&body);
    free(text);
}

static void test_percent_decode(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool plus;
        const char *out; /* NULL: refused */
    } cases[] = {
        {"a%20b+c", false, "a b+c"}, {"a%20b+c", true, "a b c"}, {"", true, ""},         {"%2f%2F", false, "//"},
        {"%", false, NULL},          {"a%2", false, NULL},       {"%zz", false, NULL},   {"100%", false, NULL},
        {"%2525", false, "%25"},     {"%+1", true, NULL},        {"%C3%A4", false, "ä"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lpx_arena arena;
        lpx_str out = {0};
        lpx_arena_init(&arena, 1000);
        bool sound = http1_percent_decode(lpx_str_of(cases[i].in), cases[i].plus, &arena, &out);
        assert_int_equal(sound, cases[i].out != NULL);
        assert_true(!sound || lpx_str_is(out, cases[i].out));
        lpx_arena_fini(&arena);
    }
}

static void test_query(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_str out = {0};
    lpx_str query = LPX_STR("a=1&b=x%20y+z&&flag&a=2&c=%zz&k%65y=v=w&=empty");
    lpx_arena_init(&arena, 10000);
    assert_true(http1_query_get(query, "a", &arena, &out) && lpx_str_is(out, "1"));
    assert_true(http1_query_get(query, "b", &arena, &out) && lpx_str_is(out, "x y z"));
    assert_true(http1_query_get(query, "flag", &arena, &out) && out.len == 0);
    assert_true(http1_query_get(query, "key", &arena, &out) && lpx_str_is(out, "v=w"));
    assert_false(http1_query_get(query, "c", &arena, &out));
    assert_false(http1_query_get(query, "none", &arena, &out));
    assert_false(http1_query_get(LPX_STR(""), "a", &arena, &out));
    lpx_arena_fini(&arena);
}

static void test_media_type(void **state)
{
    (void)state;
    assert_true(http1_media_type_is(LPX_STR("application/json"), "application/json"));
    assert_true(http1_media_type_is(LPX_STR("Application/JSON ; charset=utf-8"), "application/json"));
    assert_false(http1_media_type_is(LPX_STR("application/jsonx"), "application/json"));
    assert_false(http1_media_type_is(LPX_STR(""), "application/json"));
}

static void test_codings(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool gzip;
    } cases[] = {
        {"", false},
        {"gzip", true},
        {"GZip ; q=1.0", true},
        {"deflate, gzip;q=0.001", true},
        {"gzip;q=0", false},
        {"gzip;q=0.000", false},
        {"*", true},
        {"*;q=0.5, gzip;q=0", false},
        {"br, *;q=0", false},
        {"gzip;q=0.5, identity", false},
        {"gzip;q=0.5, identity;q=0.4", true},
        {"gzip;q=x", false},
        {"gzip;level=9", false},
        {"gzip;q=1.5", true},
        {"x-gzip", false},
        {",,;, gzip", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(http1_accepts_coding(lpx_str_of(cases[i].header), LPX_STR("gzip")), cases[i].gzip);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_heads_refused),
        cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_head_is_found_in_pieces),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_endless_lines_of_chunks_end),
        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_media_type),
        cmocka_unit_test(test_codings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
