/* Text forms against published vectors and against slow second implementations. */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/test_random.h"

/* Slow second implementation of hex, base32 and base64: one character per group of bits, bit by bit. */
static size_t naive_encode(lpx_bytes in, unsigned bits, const char *alphabet, char *out)
{
    size_t len = 0;
    for (size_t at = 0; at < 8 * in.len; at += bits) {
        unsigned v = 0;
        for (size_t i = at; i < at + bits; i++) {
            unsigned bit = i < 8 * in.len ? (unsigned)in.ptr[i / 8] >> (7 - i % 8) & 1U : 0;
            v = v << 1 | bit;
        }
        out[len++] = alphabet[v];
    }
    out[len] = '\0';
    return len;
}

static const char base64_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648 section 10. */
static void test_rfc4648(void **state)
{
    (void)state;
    const char *const rows[][4] = {
        {"", "", "", ""},
        {"f", "Zg==", "MY", "66"},
        {"fo", "Zm8=", "MZXQ", "666f"},
        {"foo", "Zm9v", "MZXW6", "666f6f"},
        {"foob", "Zm9vYg==", "MZXW6YQ", "666f6f62"},
        {"fooba", "Zm9vYmE=", "MZXW6YTB", "666f6f6261"},
        {"foobar", "Zm9vYmFy", "MZXW6YTBOI", "666f6f626172"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lpx_bytes in = lpx_str_bytes(lpx_str_of(rows[i][0]));
        char out[32];
        lpx_base64_encode(in, out);
        assert_string_equal(out, rows[i][1]);
        assert_int_equal(lpx_base64_len(in.len), strlen(rows[i][1]));
        lpx_base32_encode(in, out);
        assert_string_equal(out, rows[i][2]);
        assert_int_equal(lpx_base32_len(in.len), strlen(rows[i][2]));
        lpx_hex_encode(in, out);
        assert_string_equal(out, rows[i][3]);
    }
}

static void test_random_encodings(void **state)
{
    (void)state;
    test_random random = test_random_begin("text");
    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[70];
        uint8_t back[120];
        char out[200];
        char naive[200];
        size_t len = test_random_below(&random, sizeof(bytes) + 1);
        test_random_fill(&random, bytes, len);
        lpx_bytes in = lpx_bytes_of(bytes, len);
        (void)naive_encode(in, 4, "0123456789abcdef", naive);
        lpx_hex_encode(in, out);
        assert_string_equal(out, naive);
        assert_true(lpx_hex_decode(lpx_str_of(out), (lpx_space){back, len}));
        assert_memory_equal(back, bytes, len);
        assert_int_equal(lpx_base32_len(len), naive_encode(in, 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", naive));
        lpx_base32_encode(in, out);
        assert_string_equal(out, naive);
        assert_int_equal(lpx_base64url_encode(in, out), naive_encode(in, 6, base64_url, naive));
        assert_string_equal(out, naive);
        assert_int_equal(lpx_base64_decode(lpx_str_of(out), (lpx_space){back, sizeof(back)}), len);
        assert_memory_equal(back, bytes, len);
        size_t naive_len = naive_encode(in, 6, base64_standard, naive);
        assert_int_equal(lpx_base64_decode(lpx_str_of(naive), (lpx_space){back, sizeof(back)}), len);
        assert_memory_equal(back, bytes, len);
        while (naive_len % 4 != 0) {
            naive[naive_len++] = '=';
        }
        naive[naive_len] = '\0';
        lpx_base64_encode(in, out);
        assert_string_equal(out, naive);
        assert_int_equal(lpx_base64_len(len), naive_len);
        assert_int_equal(lpx_base64_decode(lpx_str_of(out), (lpx_space){back, sizeof(back)}), len);
        assert_memory_equal(back, bytes, len);
    }
}

static void test_base64_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"A",     "AAAAA", "=",    "==",     "====",     "A===",       "AA=",     "AAA==",
                               "AAAA=", "AA==A", "A A=", "AA==\n", "AAA\n",    "A?AA",       "AB==",    "AAB=",
                               "AB",    "AAB",   "AA=A", "=AAA",   "AAAA====", "AA\xC3\xA4", "AAAA=AAA"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t out[32];
        if (lpx_base64_decode(lpx_str_of(bad[i]), (lpx_space){out, sizeof(out)}) != -1) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    uint8_t out[8];
    assert_int_equal(lpx_base64_decode(LPX_STR(""), (lpx_space){out, sizeof(out)}), 0);
    assert_int_equal(lpx_base64_decode(LPX_STR("+/-_"), (lpx_space){out, 6}), 3);
    assert_memory_equal(out, "\xFB\xFF\xBF", 3);
}

static void test_hex_refused(void **state)
{
    (void)state;
    uint8_t out[2] = {9, 9};
    assert_false(lpx_hex_decode(LPX_STR("abc"), (lpx_space){out, 2}));
    assert_false(lpx_hex_decode(LPX_STR("abcde"), (lpx_space){out, 2}));
    assert_false(lpx_hex_decode(LPX_STR("abcdef"), (lpx_space){out, 2}));
    assert_false(lpx_hex_decode(LPX_STR("abcg"), (lpx_space){out, 2}));
    assert_false(lpx_hex_decode(LPX_STR("ab c"), (lpx_space){out, 2}));
    assert_memory_equal(out, "\x09\x09", 2);
    assert_true(lpx_hex_decode(LPX_STR("aFAf"), (lpx_space){out, 2}));
    assert_memory_equal(out, "\xAF\xAF", 2);
    assert_true(lpx_hex_decode(LPX_STR(""), (lpx_space){NULL, 0}));
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t v = 7;
    assert_true(lpx_parse_u64(LPX_STR("0"), 10, &v) && v == 0);
    assert_true(lpx_parse_u64(LPX_STR("10"), 10, &v) && v == 10);
    assert_true(lpx_parse_u64(LPX_STR("0010"), 10, &v) && v == 10);
    assert_true(lpx_parse_u64(LPX_STR("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
    v = 7;
    const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "a", "11", "18446744073709551616"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(lpx_parse_u64(lpx_str_of(bad[i]), 10, &v));
    }
    assert_false(lpx_parse_u64(LPX_STR("18446744073709551616"), UINT64_MAX, &v));
    assert_false(lpx_parse_u64(LPX_STR("99999999999999999999"), UINT64_MAX, &v));
    assert_int_equal(v, 7);
    assert_true(lpx_parse_hex(LPX_STR("c0002F"), 6, &v) && v == 0xC0002F);
    assert_true(lpx_parse_hex(LPX_STR("FFFFFFFFFFFFFFFF"), 16, &v) && v == UINT64_MAX);
    assert_true(lpx_parse_hex(LPX_STR("f"), 1, &v) && v == 15);
    assert_true(lpx_parse_hex(LPX_STR("FFFFFFFFFFFFFFFF"), 16, &v));
    assert_false(lpx_parse_hex(LPX_STR("C0002"), 6, &v));
    assert_false(lpx_parse_hex(LPX_STR("C0002F0"), 6, &v));
    assert_false(lpx_parse_hex(LPX_STR("0xC000"), 6, &v));
    assert_true(v == UINT64_MAX);
}

/* Slow second implementation: decode to code points and look at each. */
static bool naive_utf8(lpx_bytes in)
{
    size_t i = 0;
    while (i < in.len) {
        uint32_t first = in.ptr[i];
        size_t more = first < 0x80 ? 0 : (first & 0xE0) == 0xC0 ? 1 : (first & 0xF0) == 0xE0 ? 2 : 3;
        bool lead = first < 0x80 || (first >= 0xC0 && first < 0xF8);
        if (!lead || more > in.len - i - 1) {
            return false;
        }
        uint32_t point = more == 0 ? first : first & (0x3FU >> more);
        for (size_t j = 1; j <= more; j++) {
            if (in.ptr[i + j] >> 6 != 2) {
                return false;
            }
            point = point << 6 | (in.ptr[i + j] & 0x3F);
        }
        const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (point < least[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
            return false;
        }
        i += more + 1;
    }
    return true;
}

static void check_utf8(const uint8_t *ptr, size_t len)
{
    lpx_bytes in = lpx_bytes_of(ptr, len);
    if (lpx_utf8_valid(in) != naive_utf8(in)) {
        char hex[100];
        lpx_hex_encode(in, hex);
        fail_msg("utf8 %s: got %d", hex, lpx_utf8_valid(in));
    }
}

static void test_utf8_all_short(void **state)
{
    (void)state;
    uint8_t b[4];
    for (uint32_t v = 0; v < 0x10000; v++) {
        b[0] = (uint8_t)(v >> 8);
        b[1] = (uint8_t)v;
        check_utf8(b, 1);
        check_utf8(b, 2);
    }
    for (uint32_t v = 0xE00000; v < 0xF00000; v++) {
        b[0] = (uint8_t)(v >> 16);
        b[1] = (uint8_t)(v >> 8);
        b[2] = (uint8_t)v;
        check_utf8(b, 3);
    }
    const uint8_t edges[] = {0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    for (uint32_t v = 0xF000; v < 0x10000; v++) {
        for (size_t i = 0; i < sizeof(edges) * sizeof(edges); i++) {
            b[0] = (uint8_t)(v >> 8);
            b[1] = (uint8_t)v;
            b[2] = edges[i / sizeof(edges)];
            b[3] = edges[i % sizeof(edges)];
            check_utf8(b, 4);
        }
    }
}

/* Around the eight-byte steps: a character at every place of a longer text, whole and damaged. */
static void test_utf8_places(void **state)
{
    (void)state;
    const char *const chars[] = {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x93\xA1", "\xED\xA0\x80", "\xC0\x80", "\x80"};
    for (size_t c = 0; c < sizeof(chars) / sizeof(chars[0]); c++) {
        for (size_t at = 0; at < 20; at++) {
            uint8_t text[32];
            memset(text, 'a', sizeof(text));
            memcpy(text + at, chars[c], strlen(chars[c]));
            for (size_t len = 0; len <= sizeof(text); len++) {
                check_utf8(text, len);
            }
        }
    }
    assert_true(lpx_utf8_valid((lpx_bytes){NULL, 0}));
}

/* Second implementation straight from the definition. */
static unsigned naive_distance(lpx_str a, lpx_str b)
{
    if (a.len == 0 || b.len == 0) {
        return (unsigned)(a.len + b.len);
    }
    unsigned change = naive_distance(lpx_str_skip(a, 1), lpx_str_skip(b, 1)) + (a.ptr[0] != b.ptr[0] ? 1U : 0U);
    unsigned drop = 1 + naive_distance(lpx_str_skip(a, 1), b);
    unsigned insert = 1 + naive_distance(a, lpx_str_skip(b, 1));
    unsigned best = change < drop ? change : drop;
    return best < insert ? best : insert;
}

static void test_edit_distance(void **state)
{
    (void)state;
    assert_int_equal(lpx_edit_distance(LPX_STR("kitten"), LPX_STR("sitting")), 3);
    assert_int_equal(lpx_edit_distance(LPX_STR(""), LPX_STR("abc")), 3);
    assert_int_equal(lpx_edit_distance(LPX_STR("listen"), LPX_STR("listen")), 0);
    char big[200];
    memset(big, 'x', sizeof(big));
    assert_int_equal(lpx_edit_distance((lpx_str){big, 200}, LPX_STR("")), 64);
    test_random random = test_random_begin("edit distance");
    for (int round = 0; round < 500; round++) {
        char a[6];
        char b[6];
        for (int i = 0; i < 6; i++) {
            a[i] = (char)('a' + test_random_below(&random, 3));
            b[i] = (char)('a' + test_random_below(&random, 3));
        }
        lpx_str left = {a, test_random_below(&random, 7)};
        lpx_str right = {b, test_random_below(&random, 7)};
        assert_int_equal(lpx_edit_distance(left, right), naive_distance(left, right));
    }
}

static void test_secrets(void **state)
{
    (void)state;
    uint8_t secret[5] = {1, 2, 3, 4, 5};
    lpx_wipe(secret, 4);
    assert_memory_equal(secret, "\0\0\0\0\x05", 5);
    lpx_wipe(NULL, 0);
    assert_true(lpx_equal_const_time(lpx_bytes_of("abc", 3), lpx_bytes_of("abc", 3)));
    assert_false(lpx_equal_const_time(lpx_bytes_of("abc", 3), lpx_bytes_of("abd", 3)));
    assert_false(lpx_equal_const_time(lpx_bytes_of("abc", 3), lpx_bytes_of("bbc", 3)));
    assert_false(lpx_equal_const_time(lpx_bytes_of("abc", 3), lpx_bytes_of("ab", 2)));
    assert_true(lpx_equal_const_time((lpx_bytes){NULL, 0}, lpx_bytes_of("x", 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc4648),        cmocka_unit_test(test_random_encodings),
        cmocka_unit_test(test_base64_refused), cmocka_unit_test(test_hex_refused),
        cmocka_unit_test(test_numbers),        cmocka_unit_test(test_utf8_all_short),
        cmocka_unit_test(test_utf8_places),    cmocka_unit_test(test_edit_distance),
        cmocka_unit_test(test_secrets),
    };
    return cmocka_run_group_tests_name("base text", tests, NULL, NULL);
}
