/* HTTP/1.1 server: requests in any pieces, answers now and later, limits, timeouts, clients that go away. */
#include "wire/http/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/test_random.h"
#include "wire/http/http1_priv.h"
#include "wire/http/http1_test_kit.h"

enum { HELD_MAX = 8, BIG_ANSWER = 3 * 1024 * 1024 };

/* A server, and requests that its handler keeps for later. */
typedef struct bench {
    io_loop *loop;
    http1_server *server;
    uint16_t port;
    http1_request *held[HELD_MAX];
    size_t held_count;
    int drained;
} bench;

/* method|path|query|header X|body */
static void echo(void *ctx, http1_request *request)
{
    (void)ctx;
    lpx_str m = http1_request_method(request);
    lpx_str p = http1_request_path(request);
    lpx_str q = http1_request_query(request);
    lpx_str x = http1_request_header(request, "x");
    lpx_bytes body = http1_request_body(request);
    char *text = lpx_arena_printf(http1_request_arena(request), "%.*s|%.*s|%.*s|%.*s|%.*s", (int)m.len, m.ptr,
                                  (int)p.len, p.ptr, (int)q.len, q.ptr, (int)x.len, x.ptr, (int)body.len,
                                  body.len > 0 ? (const char *)body.ptr : "");
    http1_header headers[] = {{"X-Peer", lpx_str_of(http1_request_peer(request))}, {"X-Back", x}};
    assert_non_null(text);
    assert_true(io_loop_is_mine(http1_request_loop(request)));
    http1_request_answer(request, &(http1_answer){.status = 200,
                                                  .content_type = "text/plain",
                                                  .headers = headers,
                                                  .header_count = 2,
                                                  .body = lpx_str_bytes(lpx_str_of(text))});
}

static void hold(void *ctx, http1_request *request)
{
    bench *b = ctx;
    assert_true(b->held_count < HELD_MAX);
    b->held[b->held_count++] = request;
}

static void answer_held(bench *b, const char *text)
{
    assert_true(b->held_count > 0);
    http1_request *request = b->held[0];
    b->held_count--;
    memmove(b->held, b->held + 1, b->held_count * sizeof b->held[0]);
    http1_request_answer(request, &(http1_answer){.status = 200, .body = lpx_str_bytes(lpx_str_of(text))});
}

static void answer_big(void *ctx, http1_request *request)
{
    (void)ctx;
    uint8_t *bytes = malloc(BIG_ANSWER);
    memset(bytes, 'x', BIG_ANSWER);
    http1_request_answer(request, &(http1_answer){.status = 200, .body = lpx_bytes_of(bytes, BIG_ANSWER)});
    free(bytes);
}

static void answer_error(void *ctx, http1_request *request)
{
    (void)ctx;
    http1_request_answer_error(request, 403, "permission_denied", "a \"quoted\"\nline, \xc3\xa4");
}

static void free_server(void *ctx, http1_request *request)
{
    bench *b = ctx;
    http1_server_free(&b->server);
    http1_request_answer_error(request, 500, "internal", "nobody reads this");
}

static void answer_nothing(void *ctx, http1_request *request)
{
    (void)ctx;
    http1_request_answer(request, &(http1_answer){.status = 204, .close = true});
}

static void bench_begin(bench *b, const http1_server_opts *opts)
{
    const http1_route routes[] = {
        {.method = "POST", .path = "/echo", .handler = echo},
        {.method = "GET", .path = "/echo", .handler = echo},
        {.method = "GET", .path = "/files/", .prefix = true, .handler = echo},
        {.method = "GET", .path = "/files/hold/", .prefix = true, .handler = hold, .ctx = b},
        {.method = "GET", .path = "/files/error", .handler = answer_error},
        {.method = "GET", .path = "/files/errors/", .prefix = true, .handler = answer_error},
        {.method = "GET", .path = "/same", .prefix = true, .handler = echo},
        {.method = "GET", .path = "/same", .handler = answer_error},
        {.method = "GET", .path = "/hold", .handler = hold, .ctx = b},
        {.method = "POST", .path = "/small", .max_body_bytes = 4, .handler = echo},
        {.method = "GET", .path = "/big", .handler = answer_big},
        {.method = "GET", .path = "/free", .handler = free_server, .ctx = b},
        {.method = "DELETE", .path = "/nothing", .handler = answer_nothing},
    };
    lpx_note note = {0};
    *b = (bench){.loop = io_loop_new(0)};
    assert_false(lpx_failed(http1_server_new(b->loop, opts, &b->server)));
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        assert_false(lpx_failed(http1_server_route(b->server, &routes[i])));
    }
    assert_int_equal(http1_server_route(b->server, &routes[0]).code, LPX_INTERNAL);
    assert_false(lpx_failed(http1_server_listen(b->server, "127.0.0.1:0", NULL, &b->port, &note)));
}

static void bench_end(bench *b)
{
    http1_server_free(&b->server);
    assert_null(b->server);
    http1_server_free(&b->server);
    while (b->held_count > 0) {
        answer_held(b, "");
    }
    io_loop_free(&b->loop);
}

static http1_conn *only_conn(const bench *b)
{
    assert_int_equal(b->server->conn_count, 1);
    return LPX_CONTAINER(b->server->conns.next, http1_conn, node);
}

/* Makes the time of the connection's present phase be over. */
static void let_time_pass(const bench *b)
{
    io_timer_arm(&only_conn(b)->timer, 0);
}

/* One connection: says text and waits for count answers. */
static void ask(bench *b, talker *t, const char *text, int count)
{
    talker_begin(t, b->loop, b->port, text);
    TURN_UNTIL(b->loop, talker_count(t, "HTTP/1.1 ") >= count && (talker_count(t, "\r\n\r\n") >= count));
}

static void test_answers(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    talker t = {0};
    ask(&b, &t, "POST /echo?a=b HTTP/1.1\r\nHost: h\r\nX: 7\r\nContent-Length: 5\r\n\r\nhello", 1);
    TURN_UNTIL(b.loop, talker_has(&t, "POST|/echo|a=b|7|hello"));
    assert_true(talker_has(&t, "HTTP/1.1 200 OK\r\nDate: "));
    assert_true(talker_has(&t, " GMT\r\nContent-Type: text/plain\r\nX-Peer: 127.0.0.1:"));
    assert_true(talker_has(&t, "\r\nContent-Length: 22\r\n\r\n"));
    assert_false(talker_has(&t, "Connection: close"));
    talker_say(&t, "\r\nGET /echo HTTP/1.1\r\nHost: h\r\n\r\n"); /* the same connection, an empty line before */
    TURN_UNTIL(b.loop, talker_has(&t, "GET|/echo|||"));
    talker_say(&t, "HEAD /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, talker_count(&t, "\r\n\r\n") == 3);
    assert_true(talker_has(&t, "Content-Length: 13\r\n\r\n"));
    assert_false(talker_has(&t, "HEAD|"));
    talker_say(&t, "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    TURN_UNTIL(b.loop, t.conn == NULL);
    assert_int_equal(talker_count(&t, "Connection: close"), 1);
    talker_end(&t);

    t = (talker){0};
    ask(&b, &t, "DELETE /nothing HTTP/1.1\r\nHost: h\r\n\r\n", 1);
    TURN_UNTIL(b.loop, t.conn == NULL);
    assert_true(talker_has(&t, "HTTP/1.1 204 No Content\r\n"));
    assert_false(talker_has(&t, "Content-Length"));
    talker_end(&t);

    t = (talker){0};
    ask(&b, &t, "GET /echo HTTP/1.0\r\n\r\n", 1);
    TURN_UNTIL(b.loop, t.conn == NULL);
    assert_true(talker_has(&t, "GET|/echo|||"));
    talker_end(&t);
    bench_end(&b);
}

static void test_routes(void **state)
{
    (void)state;
    static const struct {
        const char *request, *status, *words;
    } cases[] = {
        {"GET /files/a", "200", "GET|/files/a|||"},
        {"GET /files/error", "403",
         "{\"code\": \"permission_denied\", \"message\": \"a \\\"quoted\\\"\\u000aline, ä\"}"},
        {"GET /files/errors", "200", "GET|/files/errors|||"},
        {"GET /files/errors/a", "403", "permission_denied"}, /* the longer prefix */
        {"GET /same", "403", "permission_denied"},           /* the exact path */
        {"GET /same/a", "200", "GET|/same/a|||"},
        {"GET /files", "404", "{\"code\": \"not_found\", \"message\": \"There is nothing at this path.\"}"},
        {"GET /", "404", "Content-Type: application/json"},
        {"GET /echo/", "404", "not_found"},
        {"DELETE /echo", "405", "Allow: POST, GET\r\n"},
        {"DELETE /echo", "405", "\"code\": \"unimplemented\""},
        {"POST /files/a", "405", "Allow: GET\r\n"},
        {"POST /files/hold/a", "405", "Allow: GET\r\n"},
    };
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        talker t = {0};
        char text[200];
        (void)snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: h\r\n\r\nGET /echo HTTP/1.1\r\nHost: h\r\n\r\n",
                       cases[i].request);
        ask(&b, &t, text, 2); /* the connection lives on */
        (void)snprintf(text, sizeof text, "HTTP/1.1 %s ", cases[i].status);
        assert_true(talker_has(&t, text));
        assert_true(talker_has(&t, cases[i].words));
        talker_end(&t);
    }
    bench_end(&b);
}

static void test_refusals_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *text, *status, *code;
    } cases[] = {
        {"GET /echo HTTP/1.1\r\n\r\n", "400 Bad Request", "invalid_argument"},
        {"nonsense\r\n\r\n", "400 Bad Request", "invalid_argument"},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx", "400 Bad Request",
         "invalid_argument"},
        {"POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345", "413 Content Too Large",
         "resource_exhausted"},
        {"POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345", "413 Content Too Large",
         "resource_exhausted"},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n", "413 Content Too Large",
         "resource_exhausted"},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: br\r\n\r\n", "501 Not Implemented", "unimplemented"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported", "unimplemented"},
        {"GET /echo HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", "417 Expectation Failed", "invalid_argument"},
        /* With a body nobody reads the connection cannot go on. */
        {"POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "404 Not Found", "not_found"},
    };
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        talker t = {0};
        ask(&b, &t, cases[i].text, 1);
        TURN_UNTIL(b.loop, t.conn == NULL);
        assert_true(talker_has(&t, cases[i].status));
        assert_true(talker_has(&t, cases[i].code));
        assert_true(talker_has(&t, "Connection: close\r\n"));
        assert_int_equal(talker_count(&t, "Content-Length: "), 1);
        talker_end(&t);
    }
    bench_end(&b);
}

static void test_long_heads_are_refused(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    for (int with_end = 0; with_end < 2; with_end++) {
        talker t = {0};
        talker_begin(&t, b.loop, b.port, "GET /echo HTTP/1.1\r\nHost: h\r\nX: ");
        uint8_t *room = lpx_buf_reserve(&t.to_send, HTTP1_HEAD_MAX_BYTES);
        memset(room, 'a', HTTP1_HEAD_MAX_BYTES);
        lpx_buf_grown(&t.to_send, HTTP1_HEAD_MAX_BYTES);
        lpx_buf_add_str(&t.to_send, lpx_str_of(with_end == 1 ? "\r\n\r\n" : ""));
        TURN_UNTIL(b.loop, t.conn == NULL);
        assert_true(talker_has(&t, "HTTP/1.1 431 "));
        talker_end(&t);
    }
    bench_end(&b);
}

static void test_pipeline_keeps_its_order(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    talker t = {0};
    talker_begin(&t, b.loop, b.port,
                 "GET /echo?1 HTTP/1.1\r\nHost: h\r\n\r\nGET /hold HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST /echo?3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                 "GET /hold HTTP/1.1\r\nHost: h\r\n\r\nGET /echo?5 HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, b.held_count == 1 && talker_has(&t, "/echo|1"));
    io_loop_turn(b.loop, 0);
    assert_false(talker_has(&t, "/echo|3")); /* not before its turn */
    answer_held(&b, "second");
    TURN_UNTIL(b.loop, b.held_count == 1 && talker_has(&t, "/echo|3||abc"));
    assert_true(talker_has(&t, "second"));
    assert_false(talker_has(&t, "/echo|5"));
    answer_held(&b, "fourth");
    TURN_UNTIL(b.loop, talker_has(&t, "/echo|5"));
    assert_true(strstr(talker_text(&t), "second") < strstr(talker_text(&t), "/echo|3"));
    assert_true(strstr(talker_text(&t), "fourth") < strstr(talker_text(&t), "/echo|5"));
    talker_end(&t);
    bench_end(&b);
}

static void random_request(test_random *random, int number, lpx_buf *out)
{
    size_t body = test_random_below(random, 4) == 0 ? test_random_below(random, 3000) : test_random_below(random, 20);
    switch (test_random_below(random, 4)) {
    case 0:
        lpx_buf_printf(out, "GET /echo?%d HTTP/1.1\r\nHost: h\r\n\r\n", number);
        return;
    case 1:
        lpx_buf_printf(out, "GET /nowhere/%d HTTP/1.1\r\nHost: h\r\n\r\n", number);
        return;
    case 2:
        lpx_buf_printf(out, "POST /echo?%d HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", number, body);
        for (size_t i = 0; i < body; i++) {
            lpx_buf_printf(out, "%c", (char)('a' + test_random_below(random, 26)));
        }
        return;
    default:
        lpx_buf_printf(out, "POST /echo?%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", number);
        while (body > 0) {
            size_t chunk = 1 + test_random_below(random, body);
            lpx_buf_printf(out, "%zx\r\n", chunk);
            for (size_t i = 0; i < chunk; i++) {
                lpx_buf_printf(out, "%c", (char)('A' + test_random_below(random, 26)));
            }
            lpx_buf_printf(out, "\r\n");
            body -= chunk;
        }
        lpx_buf_printf(out, "0\r\n\r\n");
        return;
    }
}

/* The answers without their dates, which may differ. */
static void collect(bench *b, const lpx_buf *requests, size_t piece, int count, lpx_buf *answers)
{
    talker t = {.piece = piece};
    talker_begin(&t, b->loop, b->port, "");
    lpx_buf_add(&t.to_send, lpx_buf_view(requests));
    lpx_buf_add_str(&t.to_send, LPX_STR("GET /echo?last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    TURN_UNTIL(b->loop, t.conn == NULL);
    assert_int_equal(talker_count(&t, "HTTP/1.1 "), count + 1);
    const char *rest = talker_text(&t);
    for (const char *date = strstr(rest, "Date: "); date != NULL; date = strstr(rest, "Date: ")) {
        lpx_buf_add(answers, lpx_bytes_of(rest, (size_t)(date - rest)));
        rest = strstr(date, "\r\n");
    }
    lpx_buf_add_str(answers, lpx_str_of(rest));
    talker_end(&t);
}

static void remove_peers(lpx_buf *answers)
{
    static const char name[] = "X-Peer: 127.0.0.1:";
    uint8_t *at = answers->ptr;
    while ((at = memmem(at, answers->len - (size_t)(at - answers->ptr), name, sizeof name - 1)) != NULL) {
        at += sizeof name - 1;
        for (; *at != '\r'; at++) {
            *at = '0';
        }
    }
}

/* However a stream of requests is cut into pieces, the answers are the same. */
static void test_any_pieces(void **state)
{
    (void)state;
    test_random random = test_random_begin("test_any_pieces");
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    for (int round = 0; round < 12; round++) {
        lpx_buf requests;
        lpx_buf whole;
        lpx_buf_init(&requests, 1 << 20);
        lpx_buf_init(&whole, 1 << 20);
        int count = 1 + (int)test_random_below(&random, 12);
        for (int i = 0; i < count; i++) {
            random_request(&random, i, &requests);
        }
        collect(&b, &requests, 0, count, &whole);
        remove_peers(&whole);
        const size_t pieces[] = {1 + test_random_below(&random, 5), 5 + test_random_below(&random, 500)};
        for (int i = 0; i < 2; i++) {
            lpx_buf again;
            lpx_buf_init(&again, 1 << 20);
            collect(&b, &requests, pieces[i], count, &again);
            remove_peers(&again);
            assert_int_equal(again.len, whole.len);
            assert_memory_equal(again.ptr, whole.ptr, whole.len);
            lpx_buf_fini(&again);
        }
        lpx_buf_fini(&requests);
        lpx_buf_fini(&whole);
    }
    bench_end(&b);
}

static void test_client_goes_away(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    talker t = {0};
    talker_begin(&t, b.loop, b.port, "GET /hold HTTP/1.1\r\nHost: h\r\nX: kept\r\n\r\n");
    TURN_UNTIL(b.loop, b.held_count == 1);
    assert_false(http1_request_gone(b.held[0]));
    talker_end(&t);
    TURN_UNTIL(b.loop, b.server->conn_count == 0);
    assert_true(http1_request_gone(b.held[0]));
    assert_true(lpx_str_is(http1_request_header(b.held[0], "x"), "kept")); /* still readable */
    answer_held(&b, "nobody there");

    /* The server goes before the answer. */
    t = (talker){0};
    talker_begin(&t, b.loop, b.port, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, b.held_count == 1);
    http1_server_free(&b.server);
    assert_true(http1_request_gone(b.held[0]));
    TURN_UNTIL(b.loop, t.conn == NULL);
    answer_held(&b, "nobody there");
    talker_end(&t);
    bench_end(&b);

    /* The handler itself frees the server. */
    bench_begin(&b, &(http1_server_opts){0});
    t = (talker){0};
    talker_begin(&t, b.loop, b.port, "GET /free HTTP/1.1\r\nHost: h\r\n\r\nGET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, t.conn == NULL);
    assert_int_equal(t.got.len, 0);
    talker_end(&t);
    bench_end(&b);
}

static void test_client_goes_away_in_the_middle(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    static const char *const parts[] = {"", "GET /ec", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe"};
    for (size_t i = 0; i < 3; i++) {
        talker t = {0};
        talker_begin(&t, b.loop, b.port, parts[i]);
        TURN_UNTIL(b.loop, b.server->conn_count == 1 && t.to_send.len == 0);
        io_loop_turn(b.loop, 0);
        talker_end(&t);
        TURN_UNTIL(b.loop, b.server->conn_count == 0);
    }
    bench_end(&b);
}

static void test_big_answers(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    talker t = {0};
    talker_begin(&t, b.loop, b.port,
                 "GET /big HTTP/1.1\r\nHost: h\r\n\r\nGET /big HTTP/1.1\r\nHost: h\r\n\r\n"
                 "GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    TURN_UNTIL(b.loop, t.conn == NULL);
    assert_true(t.got.len > 3 * (size_t)BIG_ANSWER);
    assert_int_equal(talker_count(&t, "Content-Length: 3145728\r\n"), 3);
    talker_end(&t);
    bench_end(&b);
}

static void test_continue(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    talker t = {0};
    ask(&b, &t, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", 1);
    assert_true(talker_has(&t, "HTTP/1.1 100 Continue\r\n\r\n"));
    talker_say(&t, "abc");
    TURN_UNTIL(b.loop, talker_has(&t, "POST|/echo|||abc"));
    talker_end(&t);
    bench_end(&b);
}

static void test_header_values_cannot_break_out(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    talker t = {0};
    talker_begin(&t, b.loop, b.port, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, b.held_count == 1);
    http1_header header = {"Location", LPX_STR("/a\r\nSet-Cookie: x\x7f\x01")};
    http1_request_answer(b.held[0], &(http1_answer){.status = 302, .headers = &header, .header_count = 1});
    b.held_count = 0;
    TURN_UNTIL(b.loop, talker_has(&t, "\r\n\r\n"));
    assert_true(talker_has(&t, "\r\nLocation: /a  Set-Cookie: x  \r\n"));
    assert_true(talker_has(&t, "HTTP/1.1 302 Found\r\n"));
    talker_end(&t);
    bench_end(&b);
}

static void test_connections_are_limited(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){.max_connections = 2});
    talker one = {0};
    talker two = {0};
    talker three = {0};
    ask(&b, &one, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n", 1);
    ask(&b, &two, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n", 1);
    talker_begin(&three, b.loop, b.port, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, three.conn == NULL);
    assert_int_equal(three.got.len, 0);
    talker_end(&one);
    TURN_UNTIL(b.loop, b.server->conn_count == 1);
    talker four = {0};
    ask(&b, &four, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n", 1);
    talker_end(&two);
    talker_end(&three);
    talker_end(&four);
    bench_end(&b);
}

static void test_time_is_limited(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool told;
    } cases[] = {
        {"", false},                                                              /* nothing at all */
        {"GET /echo HTTP/1.1\r\nHost", true},                                     /* half a head */
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel", true}, /* half a body */
        {"GET /echo HTTP/1.1\r\nHost: h\r\n\r\n", false},                         /* idle after an answer */
    };
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        talker t = {0};
        talker_begin(&t, b.loop, b.port, cases[i].text);
        TURN_UNTIL(b.loop, b.server->conn_count == 1 && t.to_send.len == 0);
        for (int turn = 0; turn < 5; turn++) {
            io_loop_turn(b.loop, 0);
        }
        assert_non_null(t.conn);
        let_time_pass(&b);
        TURN_UNTIL(b.loop, t.conn == NULL && b.server->conn_count == 0);
        assert_int_equal(talker_has(&t, "HTTP/1.1 408 Request Timeout\r\n"), cases[i].told);
        talker_end(&t);
    }
    /* While a handler works no time is counted, and a peer that takes nothing of an answer is cut off. */
    talker t = {.deaf = true};
    talker_begin(&t, b.loop, b.port, "");
    for (int i = 0; i < 20; i++) { /* more than the kernel takes */
        lpx_buf_add_str(&t.to_send, LPX_STR("GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    TURN_UNTIL(b.loop, b.server->conn_count == 1 && io_conn_unsent(only_conn(&b)->io) > 0);
    only_conn(&b)->mark = UINT64_MAX; /* some was taken since */
    let_time_pass(&b);
    for (int turn = 0; turn < 5; turn++) {
        io_loop_turn(b.loop, 1000);
    }
    assert_int_equal(b.server->conn_count, 1);
    assert_true(only_conn(&b)->mark <= only_conn(&b)->given);
    /* Nor do all twenty answers wait in memory. */
    assert_true(only_conn(&b)->out.len < 2 * BIG_ANSWER);
    only_conn(&b)->mark = only_conn(&b)->given - io_conn_unsent(only_conn(&b)->io); /* nothing was */
    let_time_pass(&b);
    TURN_UNTIL(b.loop, b.server->conn_count == 0);
    talker_end(&t);
    bench_end(&b);
}

/* A client may not fill our memory with requests while one is handled. */
static void test_what_comes_ahead_is_limited(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    talker t = {0};
    talker_begin(&t, b.loop, b.port, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    enum { AHEAD = 10000 };
    for (int i = 0; i < AHEAD; i++) {
        lpx_buf_add_str(&t.to_send, LPX_STR("GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    lpx_buf_add_str(&t.to_send, LPX_STR("GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    TURN_UNTIL(b.loop, b.held_count == 1 && only_conn(&b)->in.len >= HTTP1_AHEAD_BYTES);
    for (int turn = 0; turn < 50; turn++) {
        io_loop_turn(b.loop, 0);
    }
    assert_true(only_conn(&b)->in.len <= 2 * HTTP1_AHEAD_BYTES);
    answer_held(&b, "go on");
    TURN_UNTIL(b.loop, t.conn == NULL);
    assert_int_equal(talker_count(&t, "HTTP/1.1 404 "), AHEAD);
    talker_end(&t);
    bench_end(&b);
}

static void note_drained(void *ctx)
{
    bench *b = ctx;
    b->drained++;
    http1_server_free(&b->server);
}

static void test_drain(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    talker idle = {0};
    talker busy = {0};
    ask(&b, &idle, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n", 1);
    talker_begin(&busy, b.loop, b.port, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, b.held_count == 1);
    http1_server_drain(b.server, LONG_US, note_drained, &b);
    assert_int_equal(b.drained, 0);
    TURN_UNTIL(b.loop, idle.conn == NULL);
    assert_int_equal(b.drained, 0);
    answer_held(&b, "the last");
    TURN_UNTIL(b.loop, busy.conn == NULL && b.drained == 1);
    assert_true(talker_has(&busy, "Connection: close\r\n\r\nthe last"));
    talker refused = {0};
    talker_begin(&refused, b.loop, b.port, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, refused.conn == NULL);
    talker_end(&idle);
    talker_end(&busy);
    talker_end(&refused);
    bench_end(&b);

    /* Nobody there: on a later turn all the same. And the grace ends. */
    bench_begin(&b, &(http1_server_opts){0});
    http1_server_drain(b.server, LONG_US, note_drained, &b);
    assert_int_equal(b.drained, 0);
    TURN_UNTIL(b.loop, b.drained == 1);
    bench_end(&b);
    bench_begin(&b, &(http1_server_opts){0});
    talker slow = {0};
    talker_begin(&slow, b.loop, b.port, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(b.loop, b.held_count == 1);
    http1_server_drain(b.server, 1, note_drained, &b);
    TURN_UNTIL(b.loop, b.drained == 1 && slow.conn == NULL);
    talker_end(&slow);
    bench_end(&b);
}

static void test_two_servers_on_one_port(void **state)
{
    (void)state;
    bench b;
    bench_begin(&b, &(http1_server_opts){0});
    http1_server *second = NULL;
    lpx_note note = {0};
    char address[32];
    uint16_t port = 0;
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)b.port);
    assert_false(lpx_failed(http1_server_new(b.loop, &(http1_server_opts){0}, &second)));
    assert_false(lpx_failed(http1_server_listen(second, address, NULL, &port, &note)));
    assert_int_equal(port, b.port);
    http1_server_free(&second);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_refusals_end_the_connection),
        cmocka_unit_test(test_long_heads_are_refused),
        cmocka_unit_test(test_pipeline_keeps_its_order),
        cmocka_unit_test(test_any_pieces),
        cmocka_unit_test(test_client_goes_away),
        cmocka_unit_test(test_client_goes_away_in_the_middle),
        cmocka_unit_test(test_big_answers),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_header_values_cannot_break_out),
        cmocka_unit_test(test_connections_are_limited),
        cmocka_unit_test(test_time_is_limited),
        cmocka_unit_test(test_what_comes_ahead_is_limited),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_two_servers_on_one_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
