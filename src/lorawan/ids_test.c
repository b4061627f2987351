/* Identifiers against vectors and against implementations that work on text of zeros and ones. */
#include "lorawan/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/test_random.h"
#include "lorawan/test_vectors.h"
#include "lpx_reasons.h"

/* ---- slow second implementations ---- */

/* value as width characters '0' and '1', NUL-ended. */
static void to_bits(uint64_t value, unsigned width, char *out)
{
    for (unsigned i = 0; i < width; i++) {
        out[i] = value >> (width - 1 - i) & 1 ? '1' : '0';
    }
    out[width] = '\0';
}

static uint32_t from_bits(const char *bits)
{
    return (uint32_t)strtoul(bits, NULL, 2);
}

/* DevAddr prefix of a NetID as text of bits: ones by type, a zero, the last bits of the NetID. */
static void naive_netid_bits(uint32_t net, char *out)
{
    static const unsigned id_bits[] = {6, 6, 9, 11, 12, 13, 15, 17};
    char bits[32];
    to_bits(net, 24, bits);
    char type_text[4] = {bits[0], bits[1], bits[2], '\0'};
    unsigned type = from_bits(type_text);
    for (unsigned i = 0; i < type; i++) {
        *out++ = '1';
    }
    *out++ = '0';
    (void)strcpy(out, bits + 24 - id_bits[type]);
}

/* NetID of an address, by trying the bits of the type; false when there is none. */
static bool naive_addr_netid(uint32_t addr, uint32_t *net)
{
    static const unsigned id_bits[] = {6, 6, 9, 11, 12, 13, 15, 17};
    char bits[40];
    to_bits(addr, 32, bits);
    size_t type = strspn(bits, "1");
    if (type > 7) {
        return false;
    }
    char id[40];
    (void)snprintf(id, sizeof(id), "%.*s", (int)id_bits[type], bits + type + 1);
    *net = (uint32_t)type * 0x200000 + from_bits(id);
    return true;
}

static bool naive_match(uint64_t a, uint64_t b, unsigned width, unsigned length)
{
    for (unsigned i = 0; i < length; i++) {
        if ((a >> (width - 1 - i) & 1) != (b >> (width - 1 - i) & 1)) {
            return false;
        }
    }
    return true;
}

/* A random 32-bit number that often shares its first bits with near. */
static uint32_t random_near(test_random *random, uint32_t near)
{
    uint64_t keep = test_random_below(random, 33);
    uint32_t mask = keep == 0 ? 0 : UINT32_MAX << (32 - keep);
    return (near & mask) | ((uint32_t)test_random_next(random) & ~mask);
}

static uint64_t random_near64(test_random *random, uint64_t near)
{
    uint64_t keep = test_random_below(random, 65);
    uint64_t mask = keep == 0 ? 0 : UINT64_MAX << (64 - keep);
    return (near & mask) | (test_random_next(random) & ~mask);
}

/* ---- vectors ---- */

static lw_netid any_netid(lpx_str text)
{
    uint64_t value = 0;
    assert_true(lpx_parse_hex(text, 6, &value));
    return (lw_netid){(uint32_t)value};
}

static lw_devaddr any_devaddr(lpx_str text)
{
    lw_devaddr addr = {0};
    assert_false(lpx_failed(lw_devaddr_parse(text, "addr", NULL, &addr)));
    return addr;
}

static lw_devaddr_prefix any_prefix(lpx_str text)
{
    lw_devaddr_prefix prefix = {0};
    assert_false(lpx_failed(lw_devaddr_prefix_parse(text, "prefix", NULL, &prefix)));
    return prefix;
}

static void assert_prefix_text(lw_devaddr_prefix prefix, lpx_str want)
{
    char text[LW_DEVADDR_PREFIX_TEXT_BYTES];
    lw_devaddr_prefix_format(prefix, text);
    assert_string_equal(text, want.ptr);
}

static void test_netid_space(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "netid_space.tsv");
    while (test_vectors_next(&v)) {
        lw_netid net = any_netid(v.field[0]);
        assert_int_equal(lw_netid_type(net), strtoul(v.field[1].ptr, NULL, 10));
        assert_prefix_text(lw_netid_prefix(net), v.field[2]);
        assert_prefix_text(lw_netid_space(net), v.field[3]);
    }
}

static void test_devaddr_netid(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "devaddr_netid.tsv");
    while (test_vectors_next(&v)) {
        lw_netid net = {77};
        bool found = lw_devaddr_netid(any_devaddr(v.field[0]), &net);
        assert_int_equal(found, !lpx_str_is(v.field[1], "-"));
        if (!found) {
            assert_int_equal(net.value, 77);
            continue;
        }
        assert_int_equal(net.value, any_netid(v.field[1]).value);
        assert_int_equal(lw_netid_group(net).value, any_netid(v.field[2]).value);
    }
}

/* Read text of a kind and write it again; NULL when it is refused. */
static const char *read_and_write(lpx_str kind, lpx_str text, lpx_note *note, lpx_err *err)
{
    static char out[32];
    lw_netid net;
    lw_devaddr addr;
    lw_eui64 eui;
    lw_devaddr_prefix prefix;
    lw_eui64_prefix eui_prefix;
    if (lpx_str_is(kind, "netid")) {
        *err = lw_netid_parse(text, "the_field", note, &net);
        lpx_failed(*err) ? (void)0 : lw_netid_format(net, out);
    } else if (lpx_str_is(kind, "devaddr")) {
        *err = lw_devaddr_parse(text, "the_field", note, &addr);
        lpx_failed(*err) ? (void)0 : lw_devaddr_format(addr, out);
    } else if (lpx_str_is(kind, "eui")) {
        *err = lw_eui64_parse(text, "the_field", note, &eui);
        lpx_failed(*err) ? (void)0 : lw_eui64_format(eui, out);
    } else if (lpx_str_is(kind, "devaddr_prefix")) {
        *err = lw_devaddr_prefix_parse(text, "the_field", note, &prefix);
        lpx_failed(*err) ? (void)0 : lw_devaddr_prefix_format(prefix, out);
    } else if (lpx_str_is(kind, "eui_prefix")) {
        *err = lw_eui64_prefix_parse(text, "the_field", note, &eui_prefix);
        lpx_failed(*err) ? (void)0 : lw_eui64_prefix_format(eui_prefix, out);
    } else {
        *err = lpx_str_is(kind, "tenant")    ? lw_tenant_id_check(text, "the_field", note)
               : lpx_str_is(kind, "cluster") ? lw_cluster_id_check(text, "the_field", note)
                                             : lw_key_id_check(text, "the_field", note);
        (void)snprintf(out, sizeof(out), "ok");
    }
    return lpx_failed(*err) ? NULL : out;
}

static void test_texts(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "texts.tsv");
    while (test_vectors_next(&v)) {
        lpx_note note = {""};
        lpx_err err;
        const char *out = read_and_write(v.field[0], v.field[2], &note, &err);
        if (!lpx_str_is(v.field[1], out != NULL ? out : "bad")) {
            fail_msg("texts.tsv:%u: got %s", v.line, out != NULL ? out : "bad");
        }
        if (out == NULL) {
            assert_int_equal(err.code, LPX_INVALID_ARGUMENT);
            assert_ptr_equal(strstr(note.text, "the_field"), note.text);
        }
    }
}

static void test_reasons_and_notes(void **state)
{
    (void)state;
    lpx_note note;
    lw_netid net = {5};
    assert_int_equal(lw_netid_parse(LPX_STR("E0006F"), "net_id", &note, &net).reason, LW_NETID_INVALID);
    assert_string_equal(note.text, "net_id is E0006F, but a NetID of type 7 must be a group, here E00060.");
    assert_int_equal(lw_netid_check(0x1000000, "net_id", &note).reason, LW_NETID_INVALID);
    assert_string_equal(note.text, "net_id is 16777216, but a NetID has 24 bits (at most FFFFFF).");
    assert_false(lw_netid_valid(0x1000000));
    assert_false(lw_netid_valid(0xE00001));
    assert_true(lw_netid_valid(0xE00010));
    assert_true(lw_netid_valid(0xC0002F));
    assert_true(lw_netid_private((lw_netid){0}) && lw_netid_private((lw_netid){1}));
    assert_false(lw_netid_private((lw_netid){2}));
    /* A long text is quoted in part, a text that is no C string up to its length. */
    lpx_str digits = LPX_STR("1234567890123456789012345678901234567890123");
    assert_int_equal(lw_devaddr_parse(digits, "a", &note, &(lw_devaddr){0}).reason, LW_DEVADDR_INVALID);
    assert_ptr_equal(strstr(note.text, "a is \"1234567890123456789012345678901234567890\", but"), note.text);
    assert_int_equal(lw_devaddr_parse((lpx_str){digits.ptr, 2}, "a", &note, &(lw_devaddr){0}).reason,
                     LW_DEVADDR_INVALID);
    assert_ptr_equal(strstr(note.text, "a is \"12\", but"), note.text);
    lw_eui64_prefix prefix;
    assert_int_equal(lw_eui64_prefix_parse(LPX_STR("0/0"), "p", NULL, &prefix).reason, LW_EUI_PREFIX_INVALID);
    assert_int_equal(lw_tenant_id_check(LPX_STR("A"), "tenant_id", NULL).reason, LW_TENANT_ID_INVALID);
    assert_int_equal(lw_cluster_id_check(LPX_STR("A"), "cluster_id", NULL).reason, LW_CLUSTER_ID_INVALID);
    assert_int_equal(lw_key_id_check(LPX_STR("A"), "key_id", NULL).reason, LW_KEY_ID_INVALID);
    assert_int_equal(net.value, 5);
}

static void test_prefix_match(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "prefix_match.tsv");
    while (test_vectors_next(&v)) {
        bool got;
        if (v.field[1].len == 8) {
            got = lw_devaddr_prefix_matches(any_prefix(v.field[0]), any_devaddr(v.field[1]));
        } else {
            lw_eui64_prefix prefix;
            lw_eui64 eui;
            assert_false(lpx_failed(lw_eui64_prefix_parse(v.field[0], "prefix", NULL, &prefix)));
            assert_false(lpx_failed(lw_eui64_parse(v.field[1], "eui", NULL, &eui)));
            got = lw_eui64_prefix_matches(prefix, eui);
        }
        if (got != lpx_str_is(v.field[2], "yes")) {
            fail_msg("prefix_match.tsv:%u: got %d", v.line, got);
        }
    }
}

static void test_prefix_clip(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "prefix_clip.tsv");
    while (test_vectors_next(&v)) {
        lw_devaddr_prefix prefix = any_prefix(v.field[0]);
        lw_netid net = any_netid(v.field[1]);
        lw_devaddr_prefix out = {7, 7};
        bool some = lw_devaddr_prefix_clip(prefix, net, &out);
        assert_int_equal(some, !lpx_str_is(v.field[2], "-"));
        if (some) {
            assert_prefix_text(out, v.field[2]);
            assert_int_equal(lw_devaddr_prefix_in_netid(prefix, net), out.length == prefix.length);
        } else {
            assert_int_equal(out.length, 7);
            assert_false(lw_devaddr_prefix_in_netid(prefix, net));
        }
    }
}

/* Lengths that no prefix has match nothing. */
static void test_lengths_outside(void **state)
{
    (void)state;
    for (unsigned length = 0; length < 256; length++) {
        lw_devaddr_prefix prefix = {0, (uint8_t)length};
        lw_eui64_prefix eui_prefix = {0, (uint8_t)length};
        assert_int_equal(lw_devaddr_prefix_valid(prefix), length <= 32);
        assert_int_equal(lw_devaddr_prefix_matches(prefix, (lw_devaddr){0}), length <= 32);
        assert_int_equal(lw_devaddr_prefix_contains(prefix, prefix), length <= 32);
        assert_int_equal(lw_eui64_prefix_valid(eui_prefix), length <= 64);
        assert_int_equal(lw_eui64_prefix_matches(eui_prefix, (lw_eui64){0}), length <= 64);
        assert_int_equal(lw_eui64_prefix_contains(eui_prefix, eui_prefix), length <= 64);
    }
    assert_false(lw_devaddr_prefix_contains((lw_devaddr_prefix){0, 0}, (lw_devaddr_prefix){0, 33}));
    lw_devaddr_prefix out = {1, 1};
    assert_false(lw_devaddr_prefix_clip((lw_devaddr_prefix){0, 33}, (lw_netid){0}, &out));
}

/* ---- properties ---- */

static void test_random_netids(void **state)
{
    (void)state;
    test_random random = test_random_begin("netid");
    for (int i = 0; i < 200000; i++) {
        lw_netid net = {(uint32_t)test_random_next(&random) & 0xFFFFFF};
        char bits[40];
        naive_netid_bits(net.value, bits);
        lw_devaddr_prefix prefix = lw_netid_prefix(net);
        assert_int_equal(prefix.length, strlen(bits));
        assert_int_equal(prefix.value, (uint64_t)from_bits(bits) << (32 - strlen(bits)));
        lw_devaddr addr = {prefix.value | ((uint32_t)test_random_next(&random) & (UINT32_MAX >> prefix.length))};
        lw_netid back;
        assert_true(lw_devaddr_netid(addr, &back));
        assert_int_equal(lw_netid_type(back), lw_netid_type(net));
        assert_int_equal(lw_netid_nwkid(back), lw_netid_nwkid(net));
        assert_true(lw_devaddr_prefix_matches(lw_netid_space(net), addr));
        assert_int_equal(lw_netid_space(net).length, lw_netid_type(net) == 7 ? 21 : prefix.length);
        assert_true(lw_netid_valid(lw_netid_group(net).value));
        assert_int_equal(lw_netid_valid(net.value), net.value < 0xE00000 || net.value % 16 == 0);
    }
}

static void test_random_addresses(void **state)
{
    (void)state;
    test_random random = test_random_begin("devaddr");
    for (int i = 0; i < 200000; i++) {
        lw_devaddr addr = {random_near(&random, i % 2 == 0 ? UINT32_MAX : 0)};
        lw_netid net = {0};
        uint32_t naive = 0;
        bool found = lw_devaddr_netid(addr, &net);
        assert_int_equal(found, naive_addr_netid(addr.value, &naive));
        assert_int_equal(net.value, naive);
        if (found) {
            assert_true(lw_devaddr_prefix_matches(lw_netid_prefix(net), addr));
        }
    }
}

static void test_random_prefixes(void **state)
{
    (void)state;
    test_random random = test_random_begin("prefix");
    for (int i = 0; i < 200000; i++) {
        lw_devaddr_prefix p = {(uint32_t)test_random_next(&random), (uint8_t)test_random_below(&random, 33)};
        lw_devaddr_prefix q = {random_near(&random, p.value), (uint8_t)test_random_below(&random, 33)};
        lw_devaddr addr = {random_near(&random, p.value)};
        assert_int_equal(lw_devaddr_prefix_matches(p, addr), naive_match(p.value, addr.value, 32, p.length));
        assert_int_equal(lw_devaddr_prefix_contains(p, q),
                         q.length >= p.length && naive_match(p.value, q.value, 32, p.length));
        uint64_t first = lw_devaddr_prefix_first(p).value;
        uint64_t last = lw_devaddr_prefix_last(p).value;
        assert_true(last - first + 1 == (uint64_t)1 << (32 - p.length));
        assert_true(naive_match(first, p.value, 32, p.length) && naive_match(last, p.value, 32, p.length));
        assert_int_equal(lw_devaddr_prefix_normal(p).value, first);
        lw_eui64_prefix e = {test_random_next(&random), (uint8_t)test_random_below(&random, 65)};
        lw_eui64_prefix f = {random_near64(&random, e.value), (uint8_t)test_random_below(&random, 65)};
        lw_eui64 eui = {random_near64(&random, e.value)};
        assert_int_equal(lw_eui64_prefix_matches(e, eui), naive_match(e.value, eui.value, 64, e.length));
        assert_int_equal(lw_eui64_prefix_contains(e, f),
                         f.length >= e.length && naive_match(e.value, f.value, 64, e.length));
        uint64_t normal = lw_eui64_prefix_normal(e).value;
        assert_true(naive_match(normal, e.value, 64, e.length));
        assert_true(e.length == 64 || normal << e.length == 0);
    }
}

/* An address is in the clipped prefix if, and only if, it is in both. */
static void test_random_clip(void **state)
{
    (void)state;
    test_random random = test_random_begin("clip");
    unsigned some = 0;
    for (int i = 0; i < 100000; i++) {
        lw_netid net = lw_netid_group((lw_netid){(uint32_t)test_random_next(&random) & 0xFFFFFF});
        lw_devaddr_prefix space = lw_netid_space(net);
        lw_devaddr_prefix p = {random_near(&random, space.value), (uint8_t)test_random_below(&random, 33)};
        lw_devaddr_prefix out = {0, 0};
        bool common = lw_devaddr_prefix_clip(p, net, &out);
        some += common ? 1 : 0;
        assert_int_equal(lw_devaddr_prefix_in_netid(p, net), common && out.length == p.length);
        for (int j = 0; j < 8; j++) {
            lw_devaddr addr = {random_near(&random, j % 2 == 0 ? space.value : p.value)};
            bool both = naive_match(addr.value, p.value, 32, p.length) &&
                        naive_match(addr.value, space.value, 32, space.length);
            assert_int_equal(common && lw_devaddr_prefix_matches(out, addr), both);
        }
    }
    assert_in_range(some, 1000, 99000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_netid_space),
        cmocka_unit_test(test_devaddr_netid),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_reasons_and_notes),
        cmocka_unit_test(test_prefix_match),
        cmocka_unit_test(test_prefix_clip),
        cmocka_unit_test(test_lengths_outside),
        cmocka_unit_test(test_random_netids),
        cmocka_unit_test(test_random_addresses),
        cmocka_unit_test(test_random_prefixes),
        cmocka_unit_test(test_random_clip),
    };
    return cmocka_run_group_tests_name("lorawan ids", tests, NULL, NULL);
}
