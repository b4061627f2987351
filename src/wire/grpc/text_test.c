/* Texts, frames, compression, timers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lpx_reasons.h"
#include "wire/grpc/due.h"
#include "wire/grpc/frame.h"
#include "wire/grpc/gzip.h"
#include "wire/grpc/limits.h"
#include "wire/grpc/text.h"

int grpc_text_tests(void);

static uint32_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 17;
    rng_state ^= rng_state << 5;
    return rng_state % below;
}

static void test_timeouts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us; /* -1: none */
    } rows[] = {
        {"1H", INT64_C(3600000000)},
        {"2M", 120000000},
        {"3S", 3000000},
        {"4m", 4000},
        {"5u", 5},
        {"1n", 1},
        {"1000n", 1},
        {"1001n", 2},
        {"0S", 0},
        {"99999999S", INT64_C(99999999000000)},
        {"99999999H", GRPC_MAX_TIMEOUT_US},
        {"00000001S", 1000000},
        {"", -1},
        {"S", -1},
        {"1", -1},
        {"1s", -1},
        {"123456789S", -1},
        {"-1S", -1},
        {"+1S", -1},
        {" 1S", -1},
        {"1 S", -1},
        {"1.5S", -1},
        {"1SS", -1},
        {"1h", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t us = -1;
        bool ok = grpc_timeout_parse(lpx_str_of(rows[i].text), &us);
        if (ok != (rows[i].us >= 0) || us != rows[i].us) {
            fail_msg("%s: %lld", rows[i].text, (long long)us);
        }
    }
}

/* Never shorter than asked for, never more than 1 in 100,000 longer. */
static void test_timeouts_round(void **state)
{
    (void)state;
    rng_state = 5;
    for (int i = 0; i < 20000; i++) {
        int64_t us = (int64_t)(((uint64_t)rng(UINT32_MAX) << 32 | rng(UINT32_MAX)) >> (1 + rng(62)));
        us = us < 1 ? 1 : us;
        us = us > GRPC_MAX_TIMEOUT_US ? GRPC_MAX_TIMEOUT_US : us;
        char text[GRPC_TIMEOUT_TEXT_BYTES];
        size_t len = grpc_timeout_format(us, text);
        int64_t back = 0;
        assert_true(grpc_timeout_parse((lpx_str){text, len}, &back));
        assert_true(back >= us && back - us <= us / 100000 + 1);
    }
}

static void test_percent(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *encoded;
    } rows[] = {{"all well", "all well"},
                {"100%", "100%25"},
                {" x ", "%20x%20"},
                {"a\nb\x7f", "a%0Ab%7F"},
                {"gr\xc3\xbc\xc3\x9f", "gr%C3%BC%C3%9F"},
                {"", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_buf buf;
        lpx_buf_init(&buf, 1000);
        grpc_percent_encode(lpx_str_of(rows[i].plain), &buf);
        assert_true(lpx_str_is(lpx_bytes_str(lpx_buf_view(&buf)), rows[i].encoded));
        char out[64];
        size_t len = grpc_percent_decode(lpx_str_of(rows[i].encoded), out);
        assert_true(lpx_str_is((lpx_str){out, len}, rows[i].plain));
        lpx_buf_fini(&buf);
    }
    char out[64];
    assert_true(lpx_str_is((lpx_str){out, grpc_percent_decode(LPX_STR("a%2"), out)}, "a%2"));
    assert_true(lpx_str_is((lpx_str){out, grpc_percent_decode(LPX_STR("%zz%41"), out)}, "%zzA"));
}

static void test_binary(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init(&arena, 100000);
    rng_state = 11;
    for (size_t len = 0; len < 50; len++) {
        uint8_t bytes[50];
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)rng(256);
        }
        lpx_buf buf;
        lpx_buf_init(&buf, 1000);
        grpc_binary_encode(lpx_bytes_of(bytes, len), &buf);
        lpx_str text = lpx_bytes_str(lpx_buf_view(&buf));
        assert_null(text.len > 0 ? memchr(text.ptr, '=', text.len) : NULL);
        assert_true(grpc_binary_ok(text));
        assert_true(lpx_bytes_equal(grpc_binary_decode(text, &arena), lpx_bytes_of(bytes, len)));
        while (buf.len % 4 != 0) {
            lpx_buf_add_str(&buf, LPX_STR("="));
        }
        lpx_buf_add_str(&buf, LPX_STR(", AAAA"));
        text = lpx_bytes_str(lpx_buf_view(&buf));
        assert_true(grpc_binary_ok(text));
        assert_true(lpx_bytes_equal(grpc_binary_decode(text, &arena), lpx_bytes_of(bytes, len)));
        lpx_buf_fini(&buf);
    }
    assert_false(grpc_binary_ok(LPX_STR("A")));
    assert_false(grpc_binary_ok(LPX_STR("AAAA,A")));
    assert_false(grpc_binary_ok(LPX_STR("A.AA")));
    assert_false(grpc_binary_ok(LPX_STR("A===")));
    assert_false(grpc_binary_ok(LPX_STR("YS==")));
    char text[600];
    memset(text, 'A', sizeof text);
    assert_true(grpc_binary_ok((lpx_str){text, 598}));
    text[255] = '=';
    assert_false(grpc_binary_ok((lpx_str){text, 598}));
    assert_true(grpc_binary_ok(LPX_STR("")));
    lpx_arena_fini(&arena);
}

static void test_words(void **state)
{
    (void)state;
    assert_true(grpc_content_type_ok(LPX_STR("application/grpc")));
    assert_true(grpc_content_type_ok(LPX_STR("application/grpc+proto")));
    assert_true(grpc_content_type_ok(LPX_STR("application/grpc;charset=utf-8")));
    assert_false(grpc_content_type_ok(LPX_STR("application/grpc-web")));
    assert_false(grpc_content_type_ok(LPX_STR("application/json")));
    assert_false(grpc_content_type_ok(LPX_STR("")));
    assert_int_equal(grpc_encoding_of(LPX_STR("")), GRPC_IDENTITY);
    assert_int_equal(grpc_encoding_of(LPX_STR("identity")), GRPC_IDENTITY);
    assert_int_equal(grpc_encoding_of(LPX_STR("gzip")), GRPC_GZIP);
    assert_int_equal(grpc_encoding_of(LPX_STR("deflate")), GRPC_ENCODING_OTHER);
    assert_true(grpc_list_has_gzip(LPX_STR("identity, deflate, gzip")));
    assert_true(grpc_list_has_gzip(LPX_STR("gzip")));
    assert_false(grpc_list_has_gzip(LPX_STR("identity,xgzip")));
    assert_true(grpc_key_is_binary(LPX_STR("x-bin")));
    assert_false(grpc_key_is_binary(LPX_STR("-bin")));
    assert_true(grpc_key_ok(LPX_STR("x-A_b.9") /* upper case */) == false);
    assert_true(grpc_key_ok(LPX_STR("x-a_b.9")));
    assert_false(grpc_key_ok(LPX_STR("grpc-timeout")));
    assert_false(grpc_key_ok(LPX_STR(":path")));
    assert_int_equal(grpc_code_of_status(LPX_STR("16")), LPX_UNAUTHENTICATED);
    assert_int_equal(grpc_code_of_status(LPX_STR("17")), LPX_UNKNOWN);
    assert_int_equal(grpc_code_of_status(LPX_STR("x")), LPX_UNKNOWN);
    assert_int_equal(grpc_code_of_http(LPX_STR("503")), LPX_UNAVAILABLE);
    assert_int_equal(grpc_code_of_http(LPX_STR("404")), LPX_UNIMPLEMENTED);
    assert_int_equal(grpc_code_of_reset(8), LPX_CANCELLED);
}

static size_t put_message(uint8_t *out, size_t len, bool compressed, unsigned seed)
{
    grpc_prefix_make(out, compressed, len);
    for (size_t i = 0; i < len; i++) {
        out[GRPC_PREFIX_BYTES + i] = (uint8_t)(seed + i * 7);
    }
    return GRPC_PREFIX_BYTES + len;
}

/* A stream of messages cut anywhere gives the same messages; so do pauses between any two of them. */
static void test_frames_cut_anywhere(void **state)
{
    (void)state;
    enum { MESSAGES = 60 };
    size_t lens[MESSAGES], total = 0;
    uint8_t *wire = malloc((size_t)MESSAGES * 40000);
    assert_non_null(wire);
    for (unsigned seed = 1; seed < 40; seed++) {
        rng_state = seed;
        total = 0;
        for (unsigned i = 0; i < MESSAGES; i++) {
            lens[i] = rng(3) == 0 ? rng(39000) : rng(40);
            total += put_message(wire + total, lens[i], i % 2 == 1, i);
        }
        grpc_frames frames;
        grpc_frames_init(&frames, 40000);
        unsigned got_count = 0;
        for (size_t at = 0; at < total;) {
            size_t n = 1 + rng(rng(4) == 0 ? 60000 : 20);
            n = n < total - at ? n : total - at;
            assert_false(lpx_failed(grpc_frames_feed(&frames, lpx_bytes_of(wire + at, n))));
            at += n;
            bool got = true, last = at == total;
            while (got && (last || rng(8) != 0)) {
                grpc_frame frame;
                assert_false(lpx_failed(grpc_frames_next(&frames, &frame, &got)));
                if (got) {
                    assert_int_equal(frame.body.len, lens[got_count]);
                    assert_int_equal(frame.compressed, got_count % 2 == 1);
                    for (size_t k = 0; k < frame.body.len; k++) {
                        assert_int_equal(frame.body.ptr[k], (uint8_t)(got_count + k * 7));
                    }
                    got_count++;
                }
            }
            assert_false(lpx_failed(grpc_frames_keep(&frames)));
        }
        assert_int_equal(got_count, MESSAGES);
        assert_false(grpc_frames_rest(&frames));
        grpc_frames_fini(&frames);
    }
    free(wire);
}

static lpx_err first_error(lpx_bytes in, uint32_t max)
{
    grpc_frames frames;
    grpc_frames_init(&frames, max);
    grpc_frame frame;
    bool got = false;
    lpx_err err = grpc_frames_feed(&frames, in);
    err = lpx_failed(err) ? err : grpc_frames_next(&frames, &frame, &got);
    grpc_frames_fini(&frames);
    return err;
}

static void test_frames_broken(void **state)
{
    (void)state;
    assert_int_equal(first_error(lpx_bytes_of("\x02\0\0\0\0", 5), 10).reason, GRPC_FRAME_FLAG);
    assert_int_equal(first_error(lpx_bytes_of("\xff\0\0\0\0", 5), 10).reason, GRPC_FRAME_FLAG);
    assert_int_equal(first_error(lpx_bytes_of("\0\0\0\0\x0b", 5), 10).reason, GRPC_MESSAGE_TOO_LARGE);
    assert_int_equal(first_error(lpx_bytes_of("\0\xff\xff\xff\xff", 5), 10).reason, GRPC_MESSAGE_TOO_LARGE);
    assert_int_equal(first_error(lpx_bytes_of("\0\0\0\0\x0a", 5), 10).reason, 0);
    assert_int_equal(first_error(lpx_bytes_of("\x02\0\0\0", 4), 10).reason, 0);
}

/* What is held is bounded by what came, not by what a prefix promises. */
static void test_frames_hold_little(void **state)
{
    (void)state;
    grpc_frames frames;
    grpc_frames_init(&frames, GRPC_MAX_MESSAGE_BYTES);
    uint8_t bytes[105] = {0, 0x00, 0xff, 0xff, 0xff};
    grpc_frame frame;
    bool got = true;
    assert_false(lpx_failed(grpc_frames_feed(&frames, lpx_bytes_of(bytes, sizeof bytes))));
    assert_false(lpx_failed(grpc_frames_next(&frames, &frame, &got)));
    assert_false(got);
    assert_false(lpx_failed(grpc_frames_keep(&frames)));
    assert_true(grpc_frames_held(&frames) <= 2 * sizeof bytes);
    grpc_frames_fini(&frames);
    /* Nor is it more than the one message. */
    static uint8_t piece[3000] = {0, 0, 0, 0x27, 0x10};
    grpc_frames_init(&frames, GRPC_MAX_MESSAGE_BYTES);
    for (size_t left = 10000 + GRPC_PREFIX_BYTES; left > 0;) {
        size_t n = left < sizeof piece ? left : sizeof piece;
        left -= n;
        assert_false(lpx_failed(grpc_frames_feed(&frames, lpx_bytes_of(piece, n))));
        assert_false(lpx_failed(grpc_frames_next(&frames, &frame, &got)));
        assert_int_equal(got, left == 0);
        assert_false(lpx_failed(grpc_frames_keep(&frames)));
        assert_true(grpc_frames_held(&frames) <= 10000 + GRPC_PREFIX_BYTES);
    }
    assert_int_equal(grpc_frames_held(&frames), 0);
    grpc_frames_fini(&frames);
}

static void test_gzip(void **state)
{
    (void)state;
    grpc_gzip *gzip = grpc_gzip_new();
    enum { LEN = 3000000 };
    uint8_t *bytes = malloc(LEN);
    assert_non_null(bytes);
    for (size_t i = 0; i < LEN; i++) {
        bytes[i] = (uint8_t)(i / 100 % 50);
    }
    lpx_bytes packed, plain;
    for (size_t len = GRPC_GZIP_MIN_BYTES; len < LEN; len = len * 3 + 1) {
        assert_true(grpc_gzip_deflate(gzip, lpx_bytes_of(bytes, len), &packed));
        assert_true(packed.len < len);
        assert_false(lpx_failed(grpc_gzip_inflate(gzip, packed, LEN, &plain)));
        assert_true(lpx_bytes_equal(plain, lpx_bytes_of(bytes, len)));
        /* Exactly the limit is allowed, one less is not. */
        assert_false(lpx_failed(grpc_gzip_inflate(gzip, packed, len, &plain)));
        assert_int_equal(grpc_gzip_inflate(gzip, packed, len - 1, &plain).reason, GRPC_MESSAGE_TOO_LARGE);
        /* Cut or with something behind it. */
        assert_int_equal(grpc_gzip_inflate(gzip, lpx_bytes_of(packed.ptr, packed.len - 1), LEN, &plain).reason,
                         GRPC_GZIP_BROKEN);
    }
    assert_false(grpc_gzip_deflate(gzip, lpx_bytes_of(bytes, GRPC_GZIP_MIN_BYTES - 1), &packed));
    rng_state = 3;
    for (size_t i = 0; i < 5000; i++) {
        bytes[i] = (uint8_t)rng(256);
    }
    assert_false(grpc_gzip_deflate(gzip, lpx_bytes_of(bytes, 5000), &packed));
    assert_int_equal(grpc_gzip_inflate(gzip, lpx_bytes_of(bytes, 5000), LEN, &plain).reason, GRPC_GZIP_BROKEN);
    assert_int_equal(grpc_gzip_inflate(gzip, lpx_bytes_of("", 0), LEN, &plain).reason, GRPC_GZIP_BROKEN);
    free(bytes);
    grpc_gzip_free(&gzip);
}

/* Against a list that is searched from end to end. */
enum { TIMERS = 200 };

static grpc_due_node timers[TIMERS];
static int64_t model[TIMERS]; /* -1: not set */

static void fired(grpc_due_node *node)
{
    model[node - timers] = -1;
}

static int64_t model_next(void)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < TIMERS; i++) {
        next = model[i] >= 0 && model[i] < next ? model[i] : next;
    }
    return next;
}

static void test_due_random(void **state)
{
    (void)state;
    grpc_due due = {0};
    memset(timers, 0, sizeof timers);
    memset(model, 0xff, sizeof model);
    rng_state = 17;
    int64_t now = 0;
    for (int step = 0; step < 20000; step++) {
        size_t i = rng(TIMERS);
        uint32_t what = rng(10);
        if (what < 6) {
            int64_t at = now + rng(1000);
            assert_true(grpc_due_set(&due, &timers[i], (lpx_mono){at}, fired));
            model[i] = at;
        } else if (what < 9) {
            grpc_due_clear(&due, &timers[i]);
            model[i] = -1;
        } else {
            now += rng(100);
            for (grpc_due_node *node = grpc_due_take(&due, (lpx_mono){now}); node != NULL;
                 node = grpc_due_take(&due, (lpx_mono){now})) {
                assert_int_equal(model[node - timers], model_next());
                node->fire(node);
            }
            assert_true(model_next() > now);
        }
        assert_int_equal(grpc_due_next(&due).us, model_next());
    }
    for (size_t i = 0; i < TIMERS; i++) {
        grpc_due_clear(&due, &timers[i]);
    }
    grpc_due_fini(&due);
}

int grpc_text_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeouts),      cmocka_unit_test(test_timeouts_round),
        cmocka_unit_test(test_percent),       cmocka_unit_test(test_binary),
        cmocka_unit_test(test_words),         cmocka_unit_test(test_frames_cut_anywhere),
        cmocka_unit_test(test_frames_broken), cmocka_unit_test(test_frames_hold_little),
        cmocka_unit_test(test_gzip),          cmocka_unit_test(test_due_random),
    };
    return cmocka_run_group_tests_name("grpc_text", tests, NULL, NULL);
}
