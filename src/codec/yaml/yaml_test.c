#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/yaml/yaml.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 8 * 1024 * 1024 };

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

/* The leaves as lines "line:column path=text", with a mark for what is no plain scalar. */
static const char *flat(lpx_arena *arena, const char *text)
{
    static const char *const marks[] = {"", "(null)", "(list)", "(map)"};
    yaml_doc doc = {0};
    lpx_note note = {{0}};
    lpx_buf out;
    lpx_buf_init(&out, 100000);
    if (lpx_failed(yaml_read(lpx_str_of(text), arena, &doc, &note))) {
        fail_msg("%s: %s", text, note.text);
    }
    for (size_t i = 0; i < doc.count; i++) {
        const yaml_entry *e = &doc.entries[i];
        lpx_buf_printf(&out, "%u:%u %.*s=%s%.*s%s\n", e->line, e->column, (int)e->path.len, e->path.ptr,
                       e->quoted ? "\"" : "", (int)e->text.len, e->text.ptr, marks[e->kind]);
    }
    const char *copy = lpx_arena_cstr(arena, lpx_bytes_str(lpx_buf_view(&out)));
    lpx_buf_fini(&out);
    return copy;
}

static void test_shapes(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},
        {"# only a comment\n", ""},
        {"a: 1", "1:4 a=1\n"},
        {"iam:\n  token: {issuer: 'https://x', ttl: 1h}\n  audiences: [a, \"b\"]\nx: y\n",
         "2:19 iam.token.issuer=\"https://x\n2:37 iam.token.ttl=1h\n3:15 iam.audiences[0]=a\n3:18 "
         "iam.audiences[1]=\"b\n"
         "4:4 x=y\n"},
        {"a.b: 1\na:\n  c: 2\n", "1:6 a.b=1\n3:6 a.c=2\n"},
        {"l:\n- a\n- - b\n  - c\n- {k: v}\n- []\n",
         "2:3 l[0]=a\n3:5 l[1][0]=b\n4:5 l[1][1]=c\n5:7 l[2].k=v\n6:3 l[3]=(list)\n"},
        {"a:\nb: ~\nc: null\nd: \"null\"\ne: ''\nf: {}\ng: []\n",
         "1:3 a=(null)\n2:4 b=~(null)\n3:4 c=null(null)\n4:4 d=\"null\n5:4 e=\"\n6:4 f=(map)\n7:4 g=(list)\n"},
        {"net-id: 000013\nflag: yes\n", "1:9 net-id=000013\n2:7 flag=yes\n"},
        {"t: |\n  two\n  lines\n", "1:4 t=\"two\nlines\n\n"},
        {"just text", "1:1 =just text\n"},
        {"--- {a: b}\n...\n", "1:9 a=b\n"},
        {"[x]", "1:2 [0]=x\n"},
        {"\"quoted key\": 1", "1:15 quoted key=1\n"},
        {"a: {b: 1}\nc: {b: 2}\n", "1:8 a.b=1\n2:8 c.b=2\n"},
        {"e: \"\\u00e9\\n\"", "1:4 e=\"\xc3\xa9\n\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(flat(*state, rows[i].text), rows[i].want);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *what;
    } rows[] = {
        {"a: 1\na: 2\n", "line 2, column 1: this key is there twice"},
        {"x:\n  b: {c: 1, c: 2}\n", "line 2, column 13: this key is there twice"},
        {"a: &x 1\nb: *x\n", "line 1, column 4: anchors"},
        {"b: *x\n", "line 1, column 4: aliases"},
        {"a: &x {b: 1}\n", "line 1, column 4: anchors"},
        {"a: &x [b]\n", "line 1, column 4: anchors"},
        {"a: !!int 1\n", "line 1, column 4: anchors and tags"},
        {"a: !x {}\n", "line 1, column 4: anchors and tags"},
        {"? [a]\n: b\n", "line 1, column 3: a key must be text"},
        {"? {a: b}\n: b\n", "line 1, column 3: a key must be text"},
        {"a[0]: 1\n", "brackets"},
        {"? \n: 1\n", "a key must be text"},
        {"---\na: 1\n---\nb: 2\n", "line 3, column 1: a second document"},
        {"a: \"\\0\"\n", "NUL"},
        {"a: [1\n", "line 2"},
        {"a: b: c\n", "line 1, column 5"},
        {"\tx: 1\n", "line 1"},
        {"a: 1\n  b: 2\n", "line 2"},
        {"a: \xff\n", "byte 3"},
        {"a: \"x\n", "line"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        yaml_doc doc = {.count = 77};
        lpx_note note = {{0}};
        lpx_err err = yaml_read(lpx_str_of(rows[i].text), *state, &doc, &note);
        if (err.reason != YAML_MALFORMED || strstr(note.text, rows[i].what) == NULL) {
            fail_msg("%s: %s: %s", rows[i].text, lpx_reason_name(err.reason), note.text);
        }
        assert_int_equal(doc.count, 77);
    }
}

static lpx_err read_buf(lpx_arena *arena, lpx_buf *text)
{
    yaml_doc doc;
    lpx_note note;
    lpx_err err = yaml_read(lpx_bytes_str(lpx_buf_view(text)), arena, &doc, &note);
    lpx_buf_fini(text);
    return err;
}

static lpx_err depth_read(lpx_arena *arena, size_t depth)
{
    lpx_buf text;
    lpx_buf_init(&text, 10000);
    for (size_t i = 0; i < depth; i++) {
        lpx_buf_add_str(&text, LPX_STR("["));
    }
    for (size_t i = 0; i < depth; i++) {
        lpx_buf_add_str(&text, LPX_STR("]"));
    }
    return read_buf(arena, &text);
}

static void test_limits(void **state)
{
    assert_int_equal(depth_read(*state, YAML_MAX_DEPTH).code, LPX_OK);
    assert_int_equal(depth_read(*state, YAML_MAX_DEPTH + 1).reason, YAML_TOO_BIG);
    lpx_buf text;
    for (int more = 0; more < 2; more++) {
        lpx_buf_init(&text, YAML_MAX_TEXT_BYTES);
        lpx_buf_add_str(&text, LPX_STR("["));
        for (int i = 0; i < YAML_MAX_ENTRIES + more; i++) {
            lpx_buf_add_str(&text, LPX_STR("1,"));
        }
        lpx_buf_add_str(&text, LPX_STR("]"));
        assert_int_equal(read_buf(*state, &text).reason, more == 0 ? 0 : YAML_TOO_BIG);
    }
    for (size_t len = YAML_MAX_PATH_BYTES; len <= YAML_MAX_PATH_BYTES + 1; len++) {
        lpx_buf_init(&text, 10000);
        for (size_t i = 0; i < len; i++) {
            lpx_buf_add_str(&text, LPX_STR("k"));
        }
        lpx_buf_add_str(&text, LPX_STR(": 1"));
        assert_int_equal(read_buf(*state, &text).reason, len == YAML_MAX_PATH_BYTES ? 0 : YAML_TOO_BIG);
    }
    static char big[YAML_MAX_TEXT_BYTES + 1];
    memset(big, '#', sizeof big);
    yaml_doc doc;
    lpx_note note;
    assert_int_equal(yaml_read((lpx_str){big, sizeof big}, *state, &doc, &note).reason, YAML_TOO_BIG);
    assert_int_equal(yaml_read((lpx_str){big, sizeof big - 1}, *state, &doc, &note).code, LPX_OK);
}

static void test_memory(void **state)
{
    (void)state;
    size_t cap = 0;
    lpx_err err;
    do {
        lpx_arena small;
        yaml_doc doc;
        lpx_note note;
        lpx_arena_init(&small, cap);
        err = yaml_read(LPX_STR("a: {b: 1, c: [x, y]}\nd: e\n"), &small, &doc, &note);
        assert_true(err.code == LPX_OK || err.reason == BASE_NO_MEMORY);
        lpx_arena_fini(&small);
        cap += 16;
    } while (lpx_failed(err));
    assert_true(cap > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shapes, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_refused, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_limits, arena_make, arena_drop),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
