#include "wire/http/http1_test_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void talker_open(void *ctx)
{
    talker *t = ctx;
    io_conn_want_write(t->conn);
    io_conn_set_reading(t->conn, !t->deaf);
}

static void talker_bytes(void *ctx, lpx_bytes in)
{
    talker *t = ctx;
    lpx_buf_add(&t->got, in);
    assert_false(lpx_buf_failed(&t->got));
}

static void talker_fill(void *ctx, lpx_buf *out)
{
    talker *t = ctx;
    size_t count = t->piece > 0 && t->piece < t->to_send.len ? t->piece : t->to_send.len;
    lpx_buf_add(out, lpx_bytes_of(t->to_send.ptr, count));
    lpx_buf_drop(&t->to_send, count);
    if (t->to_send.len > 0) {
        io_conn_want_write(t->conn);
    }
}

static void talker_close(void *ctx, lpx_err why, const lpx_note *note)
{
    (void)why;
    (void)note;
    talker *t = ctx;
    t->conn = NULL;
}

static const io_conn_events talker_events = {talker_open, talker_bytes, talker_fill, talker_close};

void talker_begin(talker *t, io_loop *loop, uint16_t port, const char *text)
{
    char address[32];
    lpx_note note = {0};
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    lpx_buf_init(&t->to_send, 1 << 24);
    lpx_buf_init(&t->got, 1 << 24);
    lpx_buf_add_str(&t->to_send, lpx_str_of(text));
    assert_false(lpx_failed(io_connect(loop, address, NULL, &talker_events, t, &t->conn, &note)));
}

void talker_say(talker *t, const char *text)
{
    lpx_buf_add_str(&t->to_send, lpx_str_of(text));
    io_conn_want_write(t->conn);
}

void talker_end(talker *t)
{
    if (t->conn != NULL) {
        io_loop *loop = io_conn_loop(t->conn);
        io_conn_close(t->conn, false);
        while (t->conn != NULL) {
            io_loop_turn(loop, LONG_US);
        }
    }
    lpx_buf_fini(&t->to_send);
    lpx_buf_fini(&t->got);
}

const char *talker_text(talker *t)
{
    *lpx_buf_reserve(&t->got, 1) = 0;
    return (const char *)t->got.ptr;
}

bool talker_has(talker *t, const char *text)
{
    return strstr(talker_text(t), text) != NULL;
}

int talker_count(talker *t, const char *text)
{
    int count = 0;
    for (const char *at = strstr(talker_text(t), text); at != NULL; at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}
