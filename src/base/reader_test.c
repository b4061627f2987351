/* Reader and writer: what is written is read back, both stick to the first failure, and none leaves its room. */
#include "base/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/test_random.h"
#include "base/writer.h"
#include "lpx_reasons.h"

/* A copy on the heap of exactly this length, so that the address sanitizer sees a read behind it. */
static lpx_bytes exact_copy(const void *ptr, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, ptr, len);
    return lpx_bytes_of(copy, len);
}

static void free_copy(lpx_bytes copy)
{
    free((void *)(uintptr_t)copy.ptr);
}

static void test_orders(void **state)
{
    (void)state;
    const uint8_t in[] = {1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,   16,
                          0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF, 0};
    lpx_reader r;
    lpx_reader_init(&r, lpx_bytes_of(in, sizeof(in)));
    assert_int_equal(lpx_reader_u8(&r), 1);
    assert_int_equal(lpx_reader_u16le(&r), 0x0302);
    assert_int_equal(lpx_reader_u24le(&r), 0x060504);
    assert_int_equal(lpx_reader_u32le(&r), 0x0A090807);
    assert_int_equal(lpx_reader_u16be(&r), 0x0B0C);
    assert_int_equal(lpx_reader_u32be(&r), 0x0D0E0F10);
    assert_int_equal(lpx_reader_offset(&r), 16);
    assert_true(lpx_reader_u64le(&r) == 0xF8F7F6F5F4F3F2F1U);
    assert_true(lpx_reader_u64be(&r) == 0xF9FAFBFCFDFEFF00U);
    assert_int_equal(lpx_reader_left(&r), 0);
    assert_false(lpx_failed(lpx_reader_end(&r, BASE_INTERNAL, "thing", NULL)));
}

static void test_sticky(void **state)
{
    (void)state;
    lpx_bytes in = exact_copy("\x01\x02\x03", 3);
    lpx_reader r;
    lpx_reader_init(&r, in);
    assert_int_equal(lpx_reader_u8(&r), 1);
    assert_int_equal(lpx_reader_u32le(&r), 0);
    assert_true(r.failed);
    assert_int_equal(lpx_reader_left(&r), 0);
    assert_int_equal(lpx_reader_offset(&r), 1);
    assert_int_equal(lpx_reader_u8(&r), 0);
    assert_int_equal(lpx_reader_take(&r, 1).len, 0);
    assert_int_equal(lpx_reader_take(&r, 0).len, 0);
    assert_int_equal(lpx_reader_take_rest(&r).len, 0);
    assert_int_equal(lpx_reader_varint(&r), 0);
    lpx_note note = {""};
    lpx_err err = lpx_reader_end(&r, BASE_INTERNAL, "thing", &note);
    assert_int_equal(err.reason, BASE_INTERNAL);
    assert_string_equal(note.text, "thing ends too early or is malformed at byte 1.");
    free_copy(in);
}

static void test_left_over_and_reject(void **state)
{
    (void)state;
    lpx_note note = {""};
    lpx_reader r;
    lpx_reader_init(&r, lpx_bytes_of("abc", 3));
    assert_int_equal(lpx_reader_u16be(&r), 0x6162);
    assert_int_equal(lpx_reader_end(&r, BASE_NO_ROOM, "thing", &note).reason, BASE_NO_ROOM);
    assert_string_equal(note.text, "thing has 1 bytes too many at byte 2.");
    lpx_reader_reject(&r);
    assert_true(lpx_failed(lpx_reader_end(&r, BASE_NO_ROOM, "thing", NULL)));
    assert_int_equal(lpx_reader_offset(&r), 2);
    lpx_reader_init(&r, (lpx_bytes){NULL, 0});
    assert_false(lpx_failed(lpx_reader_end(&r, BASE_NO_ROOM, "thing", NULL)));
    assert_int_equal(lpx_reader_take(&r, 0).len, 0);
    assert_false(r.failed);
    assert_int_equal(lpx_reader_take(&r, SIZE_MAX).len, 0);
    assert_true(r.failed);
}

static void test_sub(void **state)
{
    (void)state;
    lpx_reader r;
    lpx_reader_init(&r, lpx_bytes_of("abcdef", 6));
    lpx_reader child = lpx_reader_sub(&r, 4);
    assert_int_equal(lpx_reader_left(&child), 4);
    assert_int_equal(lpx_reader_u64le(&child), 0);
    assert_true(child.failed);
    assert_false(r.failed);
    assert_int_equal(lpx_reader_u16be(&r), 0x6566);
    lpx_reader_init(&r, lpx_bytes_of("abcdef", 6));
    child = lpx_reader_sub(&r, 7);
    assert_true(child.failed);
    assert_true(r.failed);
    assert_int_equal(lpx_reader_left(&child), 0);
}

typedef struct varint_case {
    const char *bytes;
    size_t len;
    uint64_t value;
    bool good;
    bool shortest; /* the form that the writer makes */
} varint_case;

static void test_varints(void **state)
{
    (void)state;
    const varint_case cases[] = {
        {"\x00", 1, 0, true, true},
        {"\x7F", 1, 127, true, true},
        {"\x80\x01", 2, 128, true, true},
        {"\xAC\x02", 2, 300, true, true}, /* the example of the protobuf encoding guide */
        {"\x80\x00", 2, 0, true, false},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10, UINT64_MAX, true, true},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10, (uint64_t)1 << 63, true, true},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10, 0, false, false},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, 0, false, false},
        {"\x80", 1, 0, false, false},
        {"", 0, 0, false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lpx_bytes in = exact_copy(cases[i].bytes, cases[i].len);
        lpx_reader r;
        lpx_reader_init(&r, in);
        uint64_t value = lpx_reader_varint(&r);
        lpx_err err = lpx_reader_end(&r, BASE_INTERNAL, "varint", NULL);
        assert_int_equal(!lpx_failed(err), cases[i].good);
        assert_true(value == cases[i].value);
        uint8_t out[10];
        lpx_writer w;
        lpx_writer_init(&w, (lpx_space){out, sizeof(out)});
        lpx_writer_varint(&w, cases[i].value);
        assert_false(lpx_failed(lpx_writer_end(&w)));
        if (cases[i].good) {
            assert_int_equal(lpx_bytes_equal(lpx_writer_view(&w), in), cases[i].shortest);
        }
        free_copy(in);
    }
}

static void test_writer_room(void **state)
{
    (void)state;
    uint8_t room[6] = {0, 0, 0, 0, 0, 0xEE};
    lpx_writer w;
    lpx_writer_init(&w, (lpx_space){room, 5});
    lpx_writer_printf(&w, "%s", "hello");
    assert_false(lpx_failed(lpx_writer_end(&w)));
    assert_memory_equal(room, "hello\xEE", 6);
    lpx_writer_printf(&w, "%s", "");
    lpx_writer_bytes(&w, (lpx_bytes){NULL, 0});
    assert_false(lpx_failed(lpx_writer_end(&w)));
    lpx_writer_u8(&w, 1);
    assert_int_equal(lpx_writer_end(&w).reason, BASE_NO_ROOM);
    assert_int_equal(lpx_writer_view(&w).len, 5);
    assert_int_equal(room[5], 0xEE);
    lpx_writer_init(&w, (lpx_space){room, 5});
    lpx_writer_printf(&w, "%d", 123456);
    assert_true(lpx_failed(lpx_writer_end(&w)));
    lpx_writer_str(&w, LPX_STR("a"));
    lpx_writer_printf(&w, "a");
    assert_int_equal(lpx_writer_view(&w).len, 0);
    lpx_writer_init(&w, (lpx_space){room, 5});
    lpx_writer_printf(&w, "%s", "abc");
    lpx_writer_u24le(&w, 0x030201);
    assert_true(lpx_failed(lpx_writer_end(&w)));
    assert_true(lpx_bytes_equal(lpx_writer_view(&w), lpx_bytes_of("abc", 3)));
    lpx_writer_init(&w, (lpx_space){NULL, 0});
    assert_false(lpx_failed(lpx_writer_end(&w)));
    lpx_writer_u16be(&w, 1);
    assert_true(lpx_failed(lpx_writer_end(&w)));
}

/* One value of a random kind: written when w is given, read and compared when r is given. */
static void one_value(test_random *random, lpx_writer *w, lpx_reader *r)
{
    uint64_t kind = test_random_below(random, 10);
    uint64_t v = test_random_next(random) >> test_random_below(random, 64);
    switch (kind) {
    case 0:
        w != NULL ? lpx_writer_u8(w, (uint8_t)v) : assert_int_equal(lpx_reader_u8(r), (uint8_t)v);
        break;
    case 1:
        w != NULL ? lpx_writer_u16le(w, (uint16_t)v) : assert_int_equal(lpx_reader_u16le(r), (uint16_t)v);
        break;
    case 2:
        w != NULL ? lpx_writer_u24le(w, v & 0xFFFFFF) : assert_int_equal(lpx_reader_u24le(r), v & 0xFFFFFF);
        break;
    case 3:
        w != NULL ? lpx_writer_u32le(w, (uint32_t)v) : assert_int_equal(lpx_reader_u32le(r), (uint32_t)v);
        break;
    case 4:
        w != NULL ? lpx_writer_u64le(w, v) : assert_true(lpx_reader_u64le(r) == v);
        break;
    case 5:
        w != NULL ? lpx_writer_u16be(w, (uint16_t)v) : assert_int_equal(lpx_reader_u16be(r), (uint16_t)v);
        break;
    case 6:
        w != NULL ? lpx_writer_u32be(w, (uint32_t)v) : assert_int_equal(lpx_reader_u32be(r), (uint32_t)v);
        break;
    case 7:
        w != NULL ? lpx_writer_u64be(w, v) : assert_true(lpx_reader_u64be(r) == v);
        break;
    case 8:
        w != NULL ? lpx_writer_varint(w, v) : assert_true(lpx_reader_varint(r) == v);
        break;
    default:
        w != NULL ? lpx_writer_str(w, (lpx_str){"0123456789", v % 11})
                  : assert_true(lpx_bytes_equal(lpx_reader_take(r, v % 11), lpx_bytes_of("0123456789", v % 11)));
        break;
    }
}

static void test_random_round_trip(void **state)
{
    (void)state;
    test_random random = test_random_begin("reader");
    for (int round = 0; round < 2000; round++) {
        uint8_t room[600];
        test_random at_start = random;
        uint64_t count = test_random_below(&random, 50);
        lpx_writer w;
        lpx_writer_init(&w, (lpx_space){room, sizeof(room)});
        for (uint64_t i = 0; i < count; i++) {
            one_value(&random, &w, NULL);
        }
        assert_false(lpx_failed(lpx_writer_end(&w)));
        lpx_bytes copy = exact_copy(room, lpx_writer_view(&w).len);
        random = at_start;
        count = test_random_below(&random, 50);
        lpx_reader r;
        lpx_reader_init(&r, copy);
        for (uint64_t i = 0; i < count; i++) {
            one_value(&random, NULL, &r);
        }
        assert_false(lpx_failed(lpx_reader_end(&r, BASE_INTERNAL, "values", NULL)));
        free_copy(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_sticky),
        cmocka_unit_test(test_left_over_and_reject),
        cmocka_unit_test(test_sub),
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_writer_room),
        cmocka_unit_test(test_random_round_trip),
    };
    return cmocka_run_group_tests_name("base reader", tests, NULL, NULL);
}
