/* The client against the server in memory: all kinds of calls, limits, deadlines, losses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lpx_reasons.h"
#include "wire/grpc/limits.h"
#include "wire/grpc/pair_test_kit.h"

int grpc_pair_tests(void);

static void fill_pattern(uint8_t *bytes, size_t len, unsigned seed)
{
    uint32_t x = seed * 2654435761U + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525U + 1013904223U;
        bytes[i] = (uint8_t)(x >> 24);
    }
}

static void send_and_close(pair_call *call, lpx_bytes message)
{
    (void)grpc_out_send(call->out, message);
    grpc_out_close_send(call->out);
}

static void test_unary(void **state)
{
    (void)state;
    for (size_t piece = 0; piece < 3; piece++) {
        grpc_pair pair;
        grpc_pair_init(&pair, NULL, NULL);
        pair.piece_bytes = piece;
        pair_call call;
        pair_call_start(&call, &pair, "Unary", 0);
        send_and_close(&call, lpx_bytes_of("hello", 5));
        grpc_pair_run(&pair);
        assert_int_equal(call.done, 1);
        assert_int_equal(call.code, LPX_OK);
        assert_string_equal(call.message, "");
        assert_true(lpx_bytes_equal(lpx_buf_view(&call.data), lpx_bytes_of("hello", 5)));
        assert_int_equal(pair.core.stats.calls_open, 0);
        assert_int_equal(pair.core.stats.calls_total, 1);
        pair_call_fini(&call);
        grpc_pair_fini(&pair);
    }
}

static void test_empty_message(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Unary", 0);
    send_and_close(&call, lpx_bytes_of("", 0));
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_OK);
    assert_int_equal(call.messages, 1);
    assert_int_equal(call.data.len, 0);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_server_stream(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "ServerStream", 0);
    static uint8_t request[4 + 1000] = {0, 0, 0x20, 0};
    fill_pattern(request + 4, 1000, 4);
    send_and_close(&call, lpx_bytes_of(request, sizeof request));
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_OK);
    assert_int_equal(call.messages, 0x2000);
    assert_true(pair.service.writables > 0);
    for (size_t i = 0; i < 0x2000; i++) {
        assert_memory_equal(call.data.ptr + i * 1000, request + 4, 1000);
    }
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_client_stream(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "ClientStream", 0);
    static uint8_t bytes[5000];
    unsigned sent = 0;
    bool room = true;
    while (sent < 1000) {
        room = grpc_out_send(call.out, lpx_bytes_of(bytes, sent));
        sent++;
        if (!room) {
            unsigned before = call.writables;
            grpc_pair_run(&pair);
            assert_int_equal(call.writables, before + 1);
        }
    }
    grpc_out_close_send(call.out);
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_OK);
    assert_true(lpx_bytes_equal(lpx_buf_view(&call.data), lpx_bytes_of("\0\0\x03\xe8\0\0\0\0\0\x07\x9f\x2c", 12)));
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_bidi(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Bidi", 0);
    for (unsigned i = 0; i < 50; i++) {
        char text[20];
        int len = snprintf(text, sizeof text, "message %u", i);
        (void)grpc_out_send(call.out, lpx_bytes_of(text, (size_t)len));
        grpc_pair_run(&pair);
        assert_int_equal(call.messages, i + 1);
        assert_int_equal(call.done, 0);
    }
    grpc_out_close_send(call.out);
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_OK);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

/* A client that sends much and takes the answers: the server holds back, nothing is lost. */
static void test_bidi_large(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Bidi", 0);
    enum { PIECE = 300000, PIECES = 40 };
    uint8_t *bytes = malloc(PIECE);
    assert_non_null(bytes);
    for (unsigned i = 0; i < PIECES; i++) {
        fill_pattern(bytes, PIECE, i);
        (void)grpc_out_send(call.out, lpx_bytes_of(bytes, PIECE));
        (void)grpc_pair_step(&pair);
    }
    grpc_out_close_send(call.out);
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_OK);
    assert_int_equal(call.data.len, (size_t)PIECES * PIECE);
    for (unsigned i = 0; i < PIECES; i++) {
        fill_pattern(bytes, PIECE, i);
        assert_memory_equal(call.data.ptr + (size_t)i * PIECE, bytes, PIECE);
    }
    assert_true(pair.service.writables > 0);
    free(bytes);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_largest_message(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(GRPC_MAX_MESSAGE_BYTES + 1);
    assert_non_null(bytes);
    fill_pattern(bytes, GRPC_MAX_MESSAGE_BYTES + 1, 5);
    for (size_t over = 0; over < 2; over++) {
        grpc_pair pair;
        grpc_pair_init(&pair, NULL, NULL);
        pair_call call;
        pair_call_start(&call, &pair, "Unary", 0);
        send_and_close(&call, lpx_bytes_of(bytes, GRPC_MAX_MESSAGE_BYTES + over));
        grpc_pair_run(&pair);
        assert_int_equal(call.code, over == 0 ? LPX_OK : LPX_RESOURCE_EXHAUSTED);
        assert_int_equal(call.data.len, over == 0 ? GRPC_MAX_MESSAGE_BYTES : 0);
        assert_true(over == 1 || memcmp(call.data.ptr, bytes, GRPC_MAX_MESSAGE_BYTES) == 0);
        pair_call_fini(&call);
        grpc_pair_fini(&pair);
    }
    free(bytes);
}

/* The server sends more than the client takes: only that call fails. */
static void test_client_limit(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, &(grpc_client_opts){.max_message_bytes = 100}, NULL);
    pair_call call, other;
    static uint8_t bytes[101];
    pair_call_start(&call, &pair, "Unary", 0);
    send_and_close(&call, lpx_bytes_of(bytes, 101));
    pair_call_start(&other, &pair, "Unary", 0);
    send_and_close(&other, lpx_bytes_of(bytes, 100));
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_RESOURCE_EXHAUSTED);
    assert_int_equal(other.code, LPX_OK);
    assert_int_equal(pair.wire_count, 1);
    pair_call_fini(&call);
    pair_call_fini(&other);
    grpc_pair_fini(&pair);
}

/* Many large messages at once: their number is bounded, the connection lives on. */
static void test_held_limit(void **state)
{
    (void)state;
    enum { CALLS = 10, LEN = 12 * 1024 * 1024 };
    uint8_t *bytes = calloc(1, LEN);
    assert_non_null(bytes);
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    static pair_call calls[CALLS];
    for (int i = 0; i < CALLS; i++) {
        pair_call_start(&calls[i], &pair, "ClientStream", 0);
        (void)grpc_out_send(calls[i].out, lpx_bytes_of(bytes, LEN));
        grpc_out_close_send(calls[i].out);
    }
    size_t most = 0;
    while (grpc_pair_step(&pair)) {
        most = pair.core.env.held_bytes > most ? pair.core.env.held_bytes : most;
    }
    unsigned ok = 0, exhausted = 0;
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].done, 1);
        ok += calls[i].code == LPX_OK;
        exhausted += calls[i].code == LPX_RESOURCE_EXHAUSTED;
        pair_call_fini(&calls[i]);
    }
    assert_true(ok >= 3);
    assert_int_equal(ok + exhausted, CALLS);
    assert_true(exhausted > 0);
    assert_true(most <= GRPC_MAX_HELD_CONN_BYTES + 16 * 1024 * 1024);
    assert_int_equal(pair.core.env.held_bytes, 0);
    grpc_pair_fini(&pair);
    free(bytes);
}

static void test_fail(void **state)
{
    (void)state;
    static const struct {
        const char *code, *message, *details;
    } rows[] = {{"5", "no such thing", ""},
                {"3", " the field \xc3\xbc is 100% wrong\n", "details \x01\x02"},
                {"16", "", "x"},
                {"13", "", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        grpc_pair pair;
        grpc_pair_init(&pair, NULL, NULL);
        grpc_meta meta[] = {{"x-code", lpx_str_bytes(lpx_str_of(rows[i].code))}};
        pair_call call;
        pair_call_start_meta(&call, &pair, "Fail", meta, 1);
        send_and_close(&call, lpx_str_bytes(lpx_str_of(rows[i].details)));
        grpc_pair_run(&pair);
        assert_int_equal(call.code, atoi(rows[i].code));
        assert_int_equal(call.details_len, strlen(rows[i].details));
        assert_memory_equal(call.details, rows[i].details, call.details_len);
        pair_call_fini(&call);
        grpc_pair_fini(&pair);
    }
}

static void test_fail_message(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair.service.stop_after_call = true;
    static const char text[] = " the field \xc3\xbc is 100% wrong\n";
    pair_call call;
    pair_call_start(&call, &pair, "Any", 0);
    grpc_pair_run(&pair);
    assert_non_null(pair.service.last_call);
    grpc_call_finish(pair.service.last_call, LPX_DATA_LOSS, LPX_STR(text), (lpx_bytes){0});
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_DATA_LOSS);
    assert_string_equal(call.message, text);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

/* Texts that are too long are cut, not in the middle of a character; details that are too long are left out. */
static void test_fail_long(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair.service.stop_after_call = true;
    char text[3 * GRPC_MAX_STATUS_TEXT_BYTES];
    for (size_t i = 0; i < sizeof text; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 3);
    }
    static uint8_t details[GRPC_MAX_STATUS_DETAILS_BYTES + 1];
    pair_call call;
    pair_call_start(&call, &pair, "Any", 0);
    grpc_pair_run(&pair);
    grpc_call_finish(pair.service.last_call, LPX_ABORTED, (lpx_str){text, sizeof text},
                     lpx_bytes_of(details, sizeof details));
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_ABORTED);
    assert_memory_equal(call.message, text, 297);
    assert_int_equal(call.details_len, 0);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_unknown_method(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Nothing", 0);
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_UNIMPLEMENTED);
    assert_string_equal(call.message, "no such method");
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_metadata(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    grpc_meta meta[] = {{"x-text", lpx_bytes_of("some text", 9)}, {"x-data-bin", lpx_bytes_of("\0\1\2\xff", 4)}};
    pair_call call;
    pair_call_start_meta(&call, &pair, "Meta", meta, 2);
    grpc_out_close_send(call.out);
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_OK);
    assert_true(lpx_bytes_equal(lpx_buf_view(&call.data), lpx_bytes_of("some text\0\0\1\2\xff\0none", 19)));
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_metadata_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        uint16_t reason;
    } rows[] = {{"X-Upper", "x", GRPC_META_KEY}, {"grpc-timeout", "1S", GRPC_META_KEY}, {"", "x", GRPC_META_KEY},
                {":path", "/x", GRPC_META_KEY},  {"x", "line\nbreak", GRPC_META_VALUE}, {"x", " x", GRPC_META_VALUE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        grpc_pair pair;
        grpc_pair_init(&pair, NULL, NULL);
        grpc_meta meta[] = {{rows[i].key, lpx_str_bytes(lpx_str_of(rows[i].value))}};
        pair_call call;
        pair_call_start_meta(&call, &pair, "Meta", meta, 1);
        assert_int_equal(call.done, 0);
        grpc_pair_run(&pair);
        assert_int_equal(call.code, LPX_INVALID_ARGUMENT);
        assert_string_equal(call.message, lpx_reason_text(rows[i].reason));
        assert_int_equal(pair.service.calls, 0);
        pair_call_fini(&call);
        grpc_pair_fini(&pair);
    }
}

static void test_credential_number(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    static const char *const tokens[] = {"Bearer a", "Bearer a", "Bearer b", NULL};
    uint64_t numbers[4];
    for (size_t i = 0; i < 4; i++) {
        grpc_meta meta[] = {{"authorization", lpx_str_bytes(lpx_str_of(tokens[i]))}};
        pair_call call;
        pair_call_start_meta(&call, &pair, "Meta", meta, tokens[i] != NULL ? 1 : 0);
        grpc_out_close_send(call.out);
        grpc_pair_run(&pair);
        numbers[i] = pair.service.last_credential;
        pair_call_fini(&call);
    }
    assert_true(numbers[0] != 0 && numbers[0] == numbers[1] && numbers[2] != numbers[1] && numbers[2] != 0);
    assert_int_equal(numbers[3], 0);
    grpc_pair_fini(&pair);
}

static void test_deadline(void **state)
{
    (void)state;
    for (int mute = 0; mute < 2; mute++) {
        grpc_pair pair;
        grpc_pair_init(&pair, NULL, NULL);
        pair_call call, other;
        pair_call_start(&call, &pair, "Hang", 3000000);
        pair_call_start(&other, &pair, "Hang", 0);
        grpc_pair_run(&pair);
        pair.mute_server = mute != 0;
        grpc_pair_sleep(&pair, 2999999);
        assert_int_equal(call.done, 0);
        grpc_pair_sleep(&pair, 2);
        assert_int_equal(call.done, 1);
        assert_int_equal(call.code, LPX_DEADLINE_EXCEEDED);
        assert_int_equal(other.done, 0);
        assert_int_equal(pair.service.cancels[LPX_DEADLINE_EXCEEDED] + pair.service.cancels[LPX_CANCELLED], 1);
        grpc_out_cancel(other.out);
        grpc_pair_run(&pair);
        pair_call_fini(&call);
        pair_call_fini(&other);
        grpc_pair_fini(&pair);
    }
}

/* The server keeps the deadline by itself, for clients that do not. */
static void test_server_deadline(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Hang", 3000000);
    grpc_pair_run(&pair);
    pair.core.env.now.us += 3000001;
    grpc_pair_run(&pair);
    assert_int_equal(pair.service.cancels[LPX_DEADLINE_EXCEEDED], 1);
    assert_int_equal(call.code, LPX_DEADLINE_EXCEEDED);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_deadline_while_connecting(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair.hold_dial = true;
    pair_call call;
    pair_call_start(&call, &pair, "Unary", 1000000);
    send_and_close(&call, lpx_bytes_of("x", 1));
    grpc_pair_sleep(&pair, 1000001);
    assert_int_equal(call.code, LPX_DEADLINE_EXCEEDED);
    pair.hold_dial = false;
    grpc_pair_run(&pair);
    assert_int_equal(pair.service.calls, 0);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_cancel(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Hang", 0);
    grpc_pair_run(&pair);
    assert_int_equal(pair.core.stats.calls_open, 1);
    grpc_out_cancel(call.out);
    assert_int_equal(call.done, 0);
    grpc_out_cancel(call.out);
    grpc_pair_run(&pair);
    assert_int_equal(call.done, 1);
    assert_int_equal(call.code, LPX_CANCELLED);
    assert_int_equal(pair.service.cancels[LPX_CANCELLED], 1);
    assert_int_equal(pair.core.stats.calls_open, 0);
    assert_int_equal(pair.core.stats.calls_cancelled_total, 1);
    pair_call_fini(&call);
    /* Before anything was sent, and out of a message. */
    pair_call_start(&call, &pair, "Hang", 0);
    grpc_out_cancel(call.out);
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_CANCELLED);
    pair_call_fini(&call);
    pair_call_start(&call, &pair, "ServerStream", 0);
    call.cancel_on_message = true;
    send_and_close(&call, lpx_bytes_of("\0\0\1\0abc", 7));
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_CANCELLED);
    assert_int_equal(call.messages, 1);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_connection_lost(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Hang", 0);
    grpc_pair_run(&pair);
    grpc_pair_sleep(&pair, 5000000);
    grpc_pair_cut(&pair);
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_UNAVAILABLE);
    assert_string_equal(call.message, "server.test:1900: connection reset by peer");
    assert_int_equal(pair.service.cancels[LPX_UNAVAILABLE], 1);
    pair_call_fini(&call);
    /* The next call connects again, at once. */
    pair_call_start(&call, &pair, "Unary", 0);
    send_and_close(&call, lpx_bytes_of("x", 1));
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_OK);
    assert_int_equal(pair.wire_count, 2);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static lpx_code try_call(grpc_pair *pair)
{
    pair_call call;
    pair_call_start(&call, pair, "Unary", 0);
    send_and_close(&call, lpx_bytes_of("x", 1));
    grpc_pair_run(pair);
    assert_int_equal(call.done, 1);
    if (call.code == LPX_UNAVAILABLE) {
        assert_string_equal(call.message, "server.test:1900: nobody listens there.");
    }
    pair_call_fini(&call);
    return call.code;
}

/* While paused every call fails at once; pauses double up to 10 s, spread by a fifth. */
static void test_backoff(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair.refuse = true;
    int64_t want_us = GRPC_BACKOFF_FIRST_US;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(try_call(&pair), LPX_UNAVAILABLE);
        int64_t pause_us = pair.chan.not_before_us - pair.chan.env.now.us;
        assert_true(pause_us >= want_us - want_us / 5 && pause_us <= want_us + want_us / 5);
        want_us = want_us * 2 > GRPC_BACKOFF_MAX_US ? GRPC_BACKOFF_MAX_US : want_us * 2;
        pair.refuse = false;
        assert_int_equal(try_call(&pair), LPX_UNAVAILABLE);
        pair.refuse = true;
        grpc_pair_sleep(&pair, pause_us);
    }
    pair.refuse = false;
    assert_int_equal(try_call(&pair), LPX_OK);
    grpc_pair_sleep(&pair, 2000000);
    grpc_pair_cut(&pair);
    assert_int_equal(pair.chan.pause_us, 0);
    assert_int_equal(try_call(&pair), LPX_OK);
    grpc_pair_fini(&pair);
}

static void test_calls_wait_for_connection(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair.hold_dial = true;
    pair_call calls[3];
    for (size_t i = 0; i < 3; i++) {
        pair_call_start(&calls[i], &pair, "Unary", 0);
        send_and_close(&calls[i], lpx_bytes_of("hello", 5));
    }
    grpc_out_cancel(calls[1].out);
    grpc_pair_run(&pair);
    assert_int_equal(calls[0].done, 0);
    assert_int_equal(calls[1].code, LPX_CANCELLED);
    pair.hold_dial = false;
    grpc_pair_run(&pair);
    assert_int_equal(pair.wire_count, 1);
    assert_int_equal(calls[0].code, LPX_OK);
    assert_int_equal(calls[2].code, LPX_OK);
    assert_int_equal(pair.service.calls, 2);
    for (size_t i = 0; i < 3; i++) {
        pair_call_fini(&calls[i]);
    }
    grpc_pair_fini(&pair);
}

static void test_drain(void **state)
{
    (void)state;
    for (int mute = 0; mute < 2; mute++) {
        grpc_pair pair;
        grpc_pair_init(&pair, NULL, NULL);
        pair_call old, new;
        pair_call_start(&old, &pair, "Bidi", 0);
        (void)grpc_out_send(old.out, lpx_bytes_of("a", 1));
        grpc_pair_run(&pair);
        assert_int_equal(old.messages, 1);
        grpc_sconn_drain(&pair.wires[0].server);
        grpc_pair_run(&pair);
        assert_true(pair.wires[0].client.draining);
        /* A new call goes elsewhere, the old one goes on. */
        pair_call_start(&new, &pair, "Unary", 0);
        send_and_close(&new, lpx_bytes_of("x", 1));
        grpc_pair_run(&pair);
        assert_int_equal(new.code, LPX_OK);
        assert_int_equal(pair.wire_count, 2);
        (void)grpc_out_send(old.out, lpx_bytes_of("b", 1));
        grpc_out_close_send(old.out);
        grpc_pair_run(&pair);
        assert_int_equal(old.code, LPX_OK);
        assert_true(lpx_bytes_equal(lpx_buf_view(&old.data), lpx_bytes_of("ab", 2)));
        assert_false(pair.wires[0].server_open);
        assert_true(pair.wires[1].server_open);
        pair_call_fini(&old);
        pair_call_fini(&new);
        grpc_pair_fini(&pair);
    }
}

static void test_pause(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Pauses", 0);
    static uint8_t bytes[400000];
    for (int i = 0; i < 10; i++) {
        (void)grpc_out_send(call.out, lpx_bytes_of(bytes, sizeof bytes));
    }
    grpc_out_close_send(call.out);
    grpc_pair_run(&pair);
    for (unsigned i = 1; i <= 10; i++) {
        assert_int_equal(pair.service.messages, i);
        assert_int_equal(pair.service.half_closes, 0);
        /* What lies here is bounded by the stream's window. */
        assert_true(pair.core.env.held_bytes <= (size_t)2 * (1024 * 1024 + sizeof bytes));
        echo_service_resume(&pair.service);
        grpc_pair_run(&pair);
    }
    assert_int_equal(pair.service.half_closes, 1);
    assert_int_equal(call.code, LPX_OK);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_gzip(void **state)
{
    (void)state;
    uint8_t bytes[50000];
    memset(bytes, 'a', sizeof bytes);
    grpc_pair pair;
    grpc_pair_init(&pair, &(grpc_client_opts){.gzip = true}, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Bidi", 0);
    (void)grpc_out_send(call.out, lpx_bytes_of(bytes, sizeof bytes));
    (void)grpc_out_send(call.out, lpx_bytes_of(bytes, 10));
    (void)grpc_out_send(call.out, lpx_bytes_of(bytes, sizeof bytes));
    grpc_out_close_send(call.out);
    size_t wire_bytes = 0;
    while (grpc_pair_step(&pair)) {
        wire_bytes += pair.bytes.len;
    }
    assert_int_equal(call.code, LPX_OK);
    assert_int_equal(call.messages, 3);
    assert_int_equal(call.data.len, 2 * sizeof bytes + 10);
    assert_true(wire_bytes < 5000);
    for (size_t i = 0; i < call.data.len; i++) {
        assert_int_equal(call.data.ptr[i], 'a');
    }
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

/* A message that is small on the wire and too large in truth. */
static void test_zip_bomb(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, &(grpc_client_opts){.gzip = true}, &(grpc_server_opts){.max_message_bytes = 100000});
    uint8_t *bytes = calloc(1, 100001);
    assert_non_null(bytes);
    for (size_t over = 0; over < 2; over++) {
        pair_call call;
        pair_call_start(&call, &pair, "ClientStream", 0);
        send_and_close(&call, lpx_bytes_of(bytes, 100000 + over));
        grpc_pair_run(&pair);
        assert_int_equal(call.code, over == 0 ? LPX_OK : LPX_RESOURCE_EXHAUSTED);
        pair_call_fini(&call);
    }
    assert_int_equal(pair.service.cancels[LPX_RESOURCE_EXHAUSTED], 1);
    free(bytes);
    grpc_pair_fini(&pair);
}

static void test_keepalive(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, &(grpc_client_opts){.keepalive_us = 40 * 1000000}, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Hang", 0);
    grpc_pair_run(&pair);
    for (int i = 0; i < 60; i++) {
        grpc_pair_sleep(&pair, 10 * 1000000);
    }
    assert_int_equal(call.done, 0);
    /* The server falls silent: after the interval a ping, after the timeout the end. */
    pair.mute_server = true;
    for (int i = 0; i < 5; i++) {
        grpc_pair_sleep(&pair, 10 * 1000000);
        assert_int_equal(call.done, 0);
    }
    for (int i = 0; i < 3; i++) {
        grpc_pair_sleep(&pair, 10 * 1000000);
    }
    assert_int_equal(call.code, LPX_UNAVAILABLE);
    assert_string_equal(call.message, "server.test:1900: no answer to a keepalive ping in 20 s.");
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

/* A client that is gone without a word is found out by the server's own pings. */
static void test_server_keepalive(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call;
    pair_call_start(&call, &pair, "Hang", 0);
    grpc_pair_run(&pair);
    for (int i = 0; i < 10; i++) {
        grpc_pair_sleep(&pair, 60 * 1000000);
    }
    assert_int_equal(call.done, 0);
    pair.mute_server = true; /* the pings get lost, so nothing is heard */
    for (int i = 0; i < 3; i++) {
        grpc_pair_sleep(&pair, 60 * 1000000);
    }
    assert_int_equal(pair.service.cancels[LPX_UNAVAILABLE], 1);
    assert_false(pair.wires[0].server_open);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_idle(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, &(grpc_server_opts){.idle_timeout_us = 100 * 1000000});
    assert_int_equal(try_call(&pair), LPX_OK);
    grpc_pair_sleep(&pair, 61 * 1000000);
    assert_int_equal(try_call(&pair), LPX_OK);
    assert_int_equal(pair.wire_count, 1);
    grpc_pair_sleep(&pair, 61 * 1000000);
    assert_true(pair.wires[0].server_open);
    grpc_pair_sleep(&pair, 61 * 1000000);
    assert_false(pair.wires[0].server_open);
    assert_int_equal(try_call(&pair), LPX_OK);
    assert_int_equal(pair.wire_count, 2);
    grpc_pair_fini(&pair);
}

/* The user closes the channel in the middle of a message: on_done still comes once, nothing is touched after. */
static void test_close_inside(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call, other;
    pair_call_start(&other, &pair, "Hang", 0);
    pair_call_start(&call, &pair, "ServerStream", 0);
    call.close_on_message = true;
    send_and_close(&call, lpx_bytes_of("\0\0\0\x05hello", 9));
    grpc_pair_run(&pair);
    assert_true(pair.chan_freed);
    assert_int_equal(call.done, 1);
    assert_int_equal(call.messages, 1);
    assert_int_equal(call.code, LPX_CANCELLED);
    assert_int_equal(other.code, LPX_CANCELLED);
    pair_call_fini(&call);
    pair_call_fini(&other);
    grpc_pair_fini(&pair);
}

/* More calls than the server takes at a time: the others wait their turn. */
static void test_stream_limit(void **state)
{
    (void)state;
    enum { CALLS = 50 };
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, &(grpc_server_opts){.max_streams = 4});
    static pair_call calls[CALLS];
    assert_int_equal(try_call(&pair), LPX_OK);
    for (size_t i = 0; i < CALLS; i++) {
        pair_call_start(&calls[i], &pair, "Unary", 0);
        send_and_close(&calls[i], lpx_bytes_of("hello", 5));
    }
    grpc_pair_run(&pair);
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].done, 1);
        assert_int_equal(calls[i].code, LPX_OK);
        pair_call_fini(&calls[i]);
    }
    assert_int_equal(pair.wire_count, 1);
    grpc_pair_fini(&pair);
}

/* Thousands of calls at a time, as a large agent has. */
static void test_many_calls(void **state)
{
    (void)state;
    enum { CALLS = 4096 };
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call *calls = calloc(CALLS, sizeof *calls);
    assert_non_null(calls);
    assert_int_equal(try_call(&pair), LPX_OK);
    for (size_t i = 0; i < CALLS; i++) {
        pair_call_start(&calls[i], &pair, "Bidi", 3000000);
        (void)grpc_out_send(calls[i].out, lpx_bytes_of("hello", 5));
    }
    grpc_pair_run(&pair);
    assert_int_equal(pair.core.stats.calls_open, CALLS);
    for (size_t i = 0; i < CALLS; i += 2) {
        grpc_out_close_send(calls[i].out);
    }
    grpc_pair_run(&pair);
    assert_int_equal(pair.core.stats.calls_open, CALLS / 2);
    grpc_pair_sleep(&pair, 3000001);
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].done, 1);
        assert_int_equal(calls[i].code, i % 2 == 0 ? LPX_OK : LPX_DEADLINE_EXCEEDED);
        assert_int_equal(calls[i].messages, 1);
        pair_call_fini(&calls[i]);
    }
    assert_int_equal(pair.wire_count, 1);
    assert_int_equal(try_call(&pair), LPX_OK);
    free(calls);
    grpc_pair_fini(&pair);
}

int grpc_pair_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_empty_message),
        cmocka_unit_test(test_server_stream),
        cmocka_unit_test(test_client_stream),
        cmocka_unit_test(test_bidi),
        cmocka_unit_test(test_bidi_large),
        cmocka_unit_test(test_largest_message),
        cmocka_unit_test(test_client_limit),
        cmocka_unit_test(test_held_limit),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_fail_message),
        cmocka_unit_test(test_fail_long),
        cmocka_unit_test(test_unknown_method),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_metadata_refused),
        cmocka_unit_test(test_credential_number),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_server_deadline),
        cmocka_unit_test(test_deadline_while_connecting),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_connection_lost),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_calls_wait_for_connection),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_zip_bomb),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_server_keepalive),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_close_inside),
        cmocka_unit_test(test_stream_limit),
        cmocka_unit_test(test_many_calls),
    };
    return cmocka_run_group_tests_name("grpc_pair", tests, NULL, NULL);
}
