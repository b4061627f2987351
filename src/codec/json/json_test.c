#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/text.h"
#include "codec/json/json.h"
#include "codec/json/json_priv.h"
#include "codec/json/protojson.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 1024 * 1024, LINE_BYTES = 4096 };

static int arena_make(void **state)
{
    lpx_arena *arena = calloc(1, sizeof *arena);
    assert_non_null(arena);
    lpx_arena_init(arena, ARENA_BYTES);
    *state = arena;
    return 0;
}

static int arena_drop(void **state)
{
    lpx_arena_fini(*state);
    free(*state);
    return 0;
}

/* A heap copy without room after its end, so that reading past it is seen. */
static lpx_str exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return (lpx_str){copy, len};
}

static void test_vectors(void **state)
{
    lpx_arena *arena = *state;
    FILE *file = fopen(VECTORS "/json.txt", "r");
    char line[LINE_BYTES];
    int rows = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#') {
            continue;
        }
        lpx_note note = {{0}};
        const json_value *value = NULL;
        size_t skip = line[1] == ' ' ? 2 : 1;
        lpx_str text = exact_copy(line + skip, strlen(line + skip));
        lpx_err err = json_parse(text, arena, &value, &note);
        if (line[0] == 'y' ? lpx_failed(err) : err.reason != JSON_MALFORMED || strstr(note.text, "line 1") == NULL) {
            fail_msg("%s: %s %s", line, lpx_reason_name(err.reason), note.text);
        }
        free((void *)(uintptr_t)text.ptr);
        rows++;
    }
    (void)fclose(file);
    assert_int_equal(rows, 67);
}

static void test_document(void **state)
{
    static const char text[] =
        "{\"access_token\": \"a\\u0062c\",\n \"expires_in\": 3600, \"list\": [1, {\"x\": [[]]}, 2.5],"
        " \"yes\": true, \"no\": false, \"nil\": null}";
    const json_value *doc = NULL;
    lpx_note note;
    int64_t number;
    double real;
    assert_false(lpx_failed(json_parse(lpx_str_of(text), *state, &doc, &note)));
    assert_int_equal(doc->kind, JSON_KIND_OBJECT);
    assert_int_equal(doc->count, 6);
    assert_true(lpx_str_is(json_text(json_member(doc, "access_token")), "abc"));
    assert_true(json_int(json_member(doc, "expires_in"), &number) && number == 3600);
    assert_int_equal(json_member(doc, "expires_in")->line, 2);
    assert_int_equal(json_member(doc, "expires_in")->column, 16);
    assert_true(json_flag(json_member(doc, "yes")));
    assert_false(json_flag(json_member(doc, "no")));
    assert_int_equal(json_member(doc, "nil")->kind, JSON_KIND_NULL);
    assert_null(json_member(doc, "absent"));
    assert_null(json_member(NULL, "absent"));
    assert_int_equal(json_text(NULL).len, 0);
    assert_false(json_int(json_member(doc, "yes"), &number));

    const json_value *list = json_member(doc, "list");
    const json_value *item = json_first(list);
    assert_int_equal(list->count, 3);
    assert_true(json_int(item, &number) && number == 1);
    item = json_next(list, item);
    assert_int_equal(item->kind, JSON_KIND_OBJECT);
    assert_int_equal(json_first(json_member(item, "x"))->kind, JSON_KIND_ARRAY);
    assert_null(json_first(json_first(json_member(item, "x"))));
    item = json_next(list, item);
    assert_true(json_double(item, &real) && real == 2.5);
    assert_false(json_int(item, &number));
    assert_null(json_next(list, item));
    assert_null(json_member(list, "x"));
}

static void test_many_values(void **state)
{
    lpx_arena *arena = *state;
    lpx_buf buf;
    json_writer w;
    lpx_buf_init(&buf, ARENA_BYTES);
    json_writer_init(&w, &buf, 0);
    json_write_array(&w);
    for (int i = 0; i < 1000; i++) {
        json_write_int(&w, i);
    }
    json_write_array_end(&w);
    const json_value *doc = NULL;
    lpx_note note;
    assert_false(lpx_failed(json_parse(lpx_bytes_str(lpx_buf_view(&buf)), arena, &doc, &note)));
    int64_t want = 0, got = -1;
    for (const json_value *v = json_first(doc); v != NULL; v = json_next(doc, v)) {
        assert_true(json_int(v, &got) && got == want++);
    }
    assert_int_equal(want, 1000);
    lpx_buf_fini(&buf);
}

static lpx_err brackets_parse(lpx_arena *arena, size_t depth, lpx_note *note)
{
    char text[2 * 200];
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    const json_value *doc = NULL;
    return json_parse((lpx_str){text, 2 * depth}, arena, &doc, note);
}

static void test_depth_and_memory(void **state)
{
    lpx_note note;
    assert_int_equal(brackets_parse(*state, JSON_MAX_DEPTH, &note).code, LPX_OK);
    assert_int_equal(brackets_parse(*state, JSON_MAX_DEPTH + 1, &note).reason, JSON_TOO_DEEP);
    lpx_arena small;
    const json_value *doc = NULL;
    size_t cap = 0;
    lpx_err err;
    do {
        lpx_arena_init(&small, cap);
        err = json_parse(LPX_STR("{\"a\\n\":[1,2,3],\"b\":{}}"), &small, &doc, &note);
        assert_true(err.code == LPX_OK || err.reason == BASE_NO_MEMORY);
        lpx_arena_fini(&small);
        cap += 16;
    } while (lpx_failed(err));
    assert_true(cap > 200);
}

/* ---- numbers ---- */

static void test_whole_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_i64, is_u64;
        uint64_t value;
    } rows[] = {
        {"0", true, true, 0},
        {"-0", true, true, 0},
        {"-0.0e5", true, true, 0},
        {"0e99999999999", true, true, 0},
        {"9223372036854775807", true, true, INT64_MAX},
        {"9223372036854775808", false, true, (uint64_t)INT64_MAX + 1},
        {"-9223372036854775808", true, false, (uint64_t)1 << 63},
        {"-9223372036854775809", false, false, 0},
        {"18446744073709551615", false, true, UINT64_MAX},
        {"18446744073709551616", false, false, 0},
        {"1.8446744073709551615e19", false, true, UINT64_MAX},
        {"1e19", false, true, 10000000000000000000U},
        {"1e20", false, false, 0},
        {"1e999999999999", false, false, 0},
        {"1e-1", false, false, 0},
        {"100e-2", true, true, 1},
        {"1.50e1", true, true, 15},
        {"1.5", false, false, 0},
        {"-7", true, false, (uint64_t)-7},
        {"", false, false, 0},
        {"01", false, false, 0},
        {"1x", false, false, 0},
        {" 1", false, false, 0},
        {"+1", false, false, 0},
        {"1e", false, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t as_i64 = 42;
        uint64_t as_u64 = 42;
        bool is_i64 = json_number_i64(lpx_str_of(rows[i].text), &as_i64);
        bool is_u64 = json_number_u64(lpx_str_of(rows[i].text), &as_u64);
        if (is_i64 != rows[i].is_i64 || is_u64 != rows[i].is_u64 || (is_i64 && (uint64_t)as_i64 != rows[i].value) ||
            (is_u64 && as_u64 != rows[i].value)) {
            fail_msg("%s: %d %lld, %d %llu", rows[i].text, is_i64, (long long)as_i64, is_u64,
                     (unsigned long long)as_u64);
        }
    }
}

static void test_number_text(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {100, "100"},
        {868100000, "868100000"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {1.25e21, "1.25e+21"},
        {1e-6, "0.000001"},
        {1.5e-7, "1.5e-7"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {123456789012345680, "123456789012345680"},
        {45.18402099609375, "45.18402099609375"},
    };
    char text[JSON_NUMBER_TEXT_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(json_number_format(rows[i].value, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
    assert_int_equal(json_number_format_float(0.1F, text), 3);
    assert_string_equal(text, "0.1");
    (void)json_number_format_float(-3.8F, text);
    assert_string_equal(text, "-3.8");
    (void)json_number_format_float(16777216.0F, text);
    assert_string_equal(text, "16777216");
    (void)json_number_format_float(3.4028235e38F, text);
    assert_string_equal(text, "3.4028235e+38");
    (void)json_number_format_float(1.4e-45F, text);
    assert_string_equal(text, "1e-45");
}

/* Small generator of its own, so that a seed gives the same run everywhere. */
static uint64_t random_next(uint64_t *seed)
{
    *seed += 0x9E3779B97F4A7C15U;
    uint64_t z = *seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

static void test_number_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 20260102;
    char text[JSON_NUMBER_TEXT_BYTES];
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_next(&seed);
        double value, again;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        size_t len = json_number_format(value, text);
        assert_true(json_number_double((lpx_str){text, len}, &again));
        assert_memory_equal(&value, &again, sizeof value);
        uint32_t small_bits = (uint32_t)bits;
        float small, small_again;
        memcpy(&small, &small_bits, sizeof small);
        if (!isfinite(small)) {
            continue;
        }
        len = json_number_format_float(small, text);
        assert_true(json_number_float((lpx_str){text, len}, &small_again));
        assert_memory_equal(&small, &small_again, sizeof small);
    }
}

/* ---- writer ---- */

static void token_answer_write(json_writer *w)
{
    json_write_object(w);
    json_write_member(w, "access_token", LPX_STR("a.b.c"));
    json_write_member_int(w, "expires_in", 3600);
    json_write_key(w, LPX_STR("empty"));
    json_write_object(w);
    json_write_object_end(w);
    json_write_key(w, LPX_STR("list"));
    json_write_array(w);
    json_write_uint(w, UINT64_MAX);
    json_write_object(w);
    json_write_key(w, LPX_STR("x"));
    json_write_array(w);
    json_write_array_end(w);
    json_write_object_end(w);
    json_write_base64(w, lpx_bytes_of("\x01\x02", 2));
    json_write_array_end(w);
    json_write_key(w, LPX_STR("flag"));
    json_write_bool(w, true);
    json_write_key(w, LPX_STR("nil"));
    json_write_null(w);
    json_write_key(w, LPX_STR("real"));
    json_write_double(w, 0.25);
    json_write_key(w, LPX_STR("nan"));
    json_write_float(w, NAN);
    json_write_object_end(w);
}

static void test_writer(void **state)
{
    (void)state;
    lpx_buf buf;
    json_writer w;
    lpx_buf_init(&buf, 4096);
    json_writer_init(&w, &buf, 0);
    token_answer_write(&w);
    assert_true(lpx_str_is(lpx_bytes_str(lpx_buf_view(&buf)),
                           "{\"access_token\":\"a.b.c\",\"expires_in\":3600,\"empty\":{},"
                           "\"list\":[18446744073709551615,{\"x\":[]},\"AQI=\"],\"flag\":true,\"nil\":null,"
                           "\"real\":0.25,\"nan\":\"NaN\"}"));
    lpx_buf_clear(&buf);
    json_writer_init(&w, &buf, 2);
    token_answer_write(&w);
    assert_true(lpx_str_is(lpx_bytes_str(lpx_buf_view(&buf)), "{\n"
                                                              "  \"access_token\": \"a.b.c\",\n"
                                                              "  \"expires_in\": 3600,\n"
                                                              "  \"empty\": {},\n"
                                                              "  \"list\": [\n"
                                                              "    18446744073709551615,\n"
                                                              "    {\n"
                                                              "      \"x\": []\n"
                                                              "    },\n"
                                                              "    \"AQI=\"\n"
                                                              "  ],\n"
                                                              "  \"flag\": true,\n"
                                                              "  \"nil\": null,\n"
                                                              "  \"real\": 0.25,\n"
                                                              "  \"nan\": \"NaN\"\n"
                                                              "}"));
    lpx_buf_fini(&buf);
    lpx_buf_init(&buf, 20);
    json_writer_init(&w, &buf, 0);
    token_answer_write(&w);
    assert_true(lpx_buf_failed(&buf));
    lpx_buf_fini(&buf);
}

static void test_writer_escapes(void **state)
{
    (void)state;
    static const struct {
        lpx_str in;
        const char *out;
    } rows[] = {
        {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
        {{"\b\f\n\r\t\x01\x1f\x7f", 8}, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""},
        {{"a\0b", 3}, "\"a\\u0000b\""},
        {{"\xc3\xa9", 2}, "\"\xc3\xa9\""},
        {{"x\xff\xc3\xa9\xe2\x82", 6}, "\"x\xEF\xBF\xBD\xc3\xa9\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {{"", 0}, "\"\""},
    };
    lpx_buf buf;
    lpx_buf_init(&buf, 4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_writer w;
        lpx_buf_clear(&buf);
        json_writer_init(&w, &buf, 0);
        json_write_str(&w, rows[i].in);
        assert_true(lpx_str_is(lpx_bytes_str(lpx_buf_view(&buf)), rows[i].out));
    }
    lpx_buf_fini(&buf);
}

/* ---- against a second reader ---- */

/* Text made of pieces that JSON is made of, most of it wrong. */
static size_t pieces_make(uint64_t *seed, char *out, size_t room)
{
    static const char *const pieces[] = {
        "{", "}",  "[",  "]",   ",",  ":", "\"a\"", "\"b\"", "1",    "-2.5",      "1e3",      "true", "false", "null",
        " ", "\n", "\"", "\\n", "\\", "0", "\"\\u", "00e9",  "d83d", "\\ude00\"", "\xc3\xa9", "x",    "\x80"};
    size_t len = 0, count = 1 + random_next(seed) % 12;
    for (size_t i = 0; i < count; i++) {
        const char *piece = pieces[random_next(seed) % (sizeof pieces / sizeof pieces[0])];
        size_t piece_len = strlen(piece);
        if (piece_len > room - len) {
            break;
        }
        memcpy(out + len, piece, piece_len);
        len += piece_len;
    }
    return len;
}

static void test_against_jansson(void **state)
{
    lpx_arena *arena = *state;
    uint64_t seed = 7;
    int accepted = 0;
    for (int i = 0; i < 60000; i++) {
        char text[128];
        size_t len = pieces_make(&seed, text, sizeof text);
        json_error_t error = {0};
        json_t *other = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
        const json_value *doc = NULL;
        lpx_note note;
        lpx_arena_reset(arena);
        bool good = !lpx_failed(json_parse((lpx_str){text, len}, arena, &doc, &note));
        /* jansson keeps numbers as numbers and refuses what a double or a long long cannot hold. */
        bool no_number = strstr(error.text, "overflow") != NULL || strstr(error.text, "too big") != NULL;
        if (good != (other != NULL) && !(good && no_number)) {
            fail_msg("round %d: %.*s: %s / %s", i, (int)len, text, note.text, error.text);
        }
        accepted += good;
        json_decref(other);
    }
    assert_true(accepted > 500);
}

/* ---- streams ---- */

static void test_next_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int len; /* -1: not yet; -2: bad */
    } rows[] = {
        {"", -1},
        {"  \n", -1},
        {"{}", 2},
        {" {} {}", 3},
        {"{\"a\":\"}\"}x", 9},
        {"{", -1},
        {"{\"a", -1},
        {"{\"a\\\"}", -1},
        {"{\"a\\", -1},
        {"[{}]{", 4},
        {"[}", -2},
        {"}", -2},
        {"]", -2},
        {"x", -2},
        {",", -2},
        {"1 ", 1},
        {"1", -1},
        {"12,", 2},
        {"-", -1},
        {"-x", -2},
        {"1e", -1},
        {"1.", -1},
        {"true", 4},
        {"tru", -1},
        {"trux", -2},
        {"null{}", 4},
        {"\"a\" ", 3},
        {"\"a", -1},
        {"\"\\\"\"", 4},
        {"{\"a\":[1,{\"b\":2}]}{}", 17},
        {"{\n  \"a\": 1\n}{\n", 12},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = 12345;
        bool bad = false;
        lpx_str text = exact_copy(rows[i].text, strlen(rows[i].text));
        bool whole = protojson_next_value(text, &len, &bad);
        int got = whole ? (int)len : bad ? -2 : -1;
        if (got != rows[i].len) {
            fail_msg("%s: %d", rows[i].text, got);
        }
        free((void *)(uintptr_t)text.ptr);
    }
    char deep[JSON_MAX_DEPTH + 1];
    size_t len = 0;
    bool bad = false;
    memset(deep, '[', sizeof deep);
    assert_false(protojson_next_value((lpx_str){deep, JSON_MAX_DEPTH}, &len, &bad));
    assert_false(bad);
    assert_false(protojson_next_value((lpx_str){deep, sizeof deep}, &len, &bad));
    assert_true(bad);
}

/* Cut anywhere, a stream gives the same values. */
static void test_next_value_pieces(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":\"\\\\\"}[1,2]\n\"x\" {\"b\":{\"c\":[]}}";
    static const size_t want[] = {10, 5, 4, 15};
    for (size_t cut = 0; cut < sizeof text; cut++) {
        size_t start = 0, found = 0, len = 0, end = cut;
        while (found < 4) {
            bool bad = false;
            if (protojson_next_value((lpx_str){text + start, end - start}, &len, &bad)) {
                assert_int_equal(len, want[found++]);
                start += len;
                continue;
            }
            assert_false(bad);
            assert_int_not_equal(end, sizeof text - 1);
            end = sizeof text - 1;
        }
        assert_int_equal(start, sizeof text - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vectors, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_document, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_many_values, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_depth_and_memory, arena_make, arena_drop),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_number_text),
        cmocka_unit_test(test_number_round_trip),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_writer_escapes),
        cmocka_unit_test_setup_teardown(test_against_jansson, arena_make, arena_drop),
        cmocka_unit_test(test_next_value),
        cmocka_unit_test(test_next_value_pieces),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
