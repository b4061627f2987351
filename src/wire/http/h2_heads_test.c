/* Heads that repeat, as HPACK makes them repeat, against a naive reading of each: the fields, the verdict, the numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/http/h2_limits.h"
#include "wire/http/h2_test_pair.h"

int h2_heads_tests(void);

enum { HEADERS = 1, DATA = 0, SETTINGS = 4, END_STREAM = 1, END_HEADERS = 4 };
enum { FIELDS = 7, TABLE = 60, FIRST_INDEX = 62, CALLS = 3000 };

/* A peer that indexes every field, so that a field it has sent before is the same object at the other end. */
typedef struct encoder {
    h2_field table[TABLE]; /* oldest first */
    size_t count;
} encoder;

static void put_byte(lpx_buf *buf, size_t value)
{
    uint8_t byte = (uint8_t)value;
    assert_true(value < 256);
    lpx_buf_add(buf, lpx_bytes_of(&byte, 1));
}

static void put_field(encoder *e, lpx_buf *block, h2_field field)
{
    for (size_t i = 0; i < e->count; i++) {
        if (lpx_str_equal(e->table[i].name, field.name) && lpx_str_equal(e->table[i].value, field.value)) {
            put_byte(block, 0x80 | (FIRST_INDEX + e->count - 1 - i));
            return;
        }
    }
    put_byte(block, 0x40);
    put_byte(block, field.name.len);
    lpx_buf_add_str(block, field.name);
    put_byte(block, field.value.len);
    lpx_buf_add_str(block, field.value);
    assert_true(e->count < TABLE);
    e->table[e->count++] = field;
}

static void put_frame(lpx_buf *buf, uint8_t type, uint8_t flags, uint32_t id, lpx_bytes payload)
{
    put_byte(buf, payload.len >> 16);
    put_byte(buf, payload.len >> 8 & 255);
    put_byte(buf, payload.len & 255);
    put_byte(buf, type);
    put_byte(buf, flags);
    put_byte(buf, id >> 24);
    put_byte(buf, id >> 16 & 255);
    put_byte(buf, id >> 8 & 255);
    put_byte(buf, id & 255);
    lpx_buf_add(buf, payload);
}

/* One head of those that random calls have. */
typedef struct drawn {
    h2_field fields[FIELDS];
    size_t count;
    size_t body; /* bytes of it that are sent */
    bool head_ok, body_ok;
} drawn;

static unsigned draw(uint32_t *random, unsigned below)
{
    *random = *random * 1664525 + 1013904223;
    return (*random >> 16) % below;
}

static void add(drawn *d, lpx_str name, lpx_str value)
{
    d->fields[d->count++] = (h2_field){name, value};
}

static drawn draw_head(uint32_t *random)
{
    static const char *const tokens[] = {"Bearer one", "Bearer two", "Bearer three"};
    static const char *const paths[] = {"/a", "/b"};
    drawn d = {.head_ok = true, .body_ok = true, .body = draw(random, 3)};
    unsigned odd = draw(random, 24);
    if (odd != 0) {
        add(&d, LPX_STR(":method"), LPX_STR("POST"));
    }
    add(&d, LPX_STR(":scheme"), LPX_STR("http"));
    add(&d, LPX_STR(":path"), lpx_str_of(paths[draw(random, 8) == 0]));
    if (odd != 1) {
        add(&d, LPX_STR("authorization"), lpx_str_of(tokens[draw(random, 8) == 0 ? draw(random, 3) : 0]));
    }
    if (odd == 2) {
        add(&d, LPX_STR("X-Upper"), LPX_STR("1"));
    } else if (odd == 3) {
        add(&d, LPX_STR(":authority"), LPX_STR("late"));
    } else if (odd < 8) {
        add(&d, LPX_STR("content-length"), LPX_STR("2"));
        d.body_ok = d.body == 2;
    }
    if (draw(random, 4) == 0) {
        add(&d, LPX_STR("te"), LPX_STR("trailers"));
    }
    d.head_ok = odd != 0 && odd != 2 && odd != 3;
    return d;
}

typedef struct checker {
    const drawn *now;
    unsigned shared, known, heads;
    uint64_t number, credential;
    lpx_str token;
} checker;

static lpx_str token_of(const drawn *d)
{
    for (size_t i = 0; i < d->count; i++) {
        if (lpx_str_is(d->fields[i].name, "authorization")) {
            return d->fields[i].value;
        }
    }
    return LPX_STR("");
}

static void check_head(h2_end *end, h2_seen *seen)
{
    checker *c = end->ctx;
    size_t count = 0;
    const h2_field *fields = h2_stream_head(seen->stream, &count);
    assert_int_equal(count, c->now->count);
    for (size_t i = 0; i < count; i++) {
        assert_true(lpx_str_equal(fields[i].name, c->now->fields[i].name));
        assert_true(lpx_str_equal(fields[i].value, c->now->fields[i].value));
    }
    uint64_t number = h2_stream_head_number(seen->stream), credential = h2_stream_credential(seen->stream);
    assert_int_not_equal(number, 0);
    assert_true(number >= c->number);
    c->shared += number == c->number;
    c->number = number;
    lpx_str token = token_of(c->now);
    assert_int_equal(credential == 0, token.len == 0);
    if (credential != 0 && credential == c->credential) {
        assert_true(lpx_str_equal(token, c->token));
        c->known++;
    }
    if (credential != 0) {
        c->credential = credential;
        c->token = token;
    }
    c->heads++;
}

static void test_repeated_heads(void **state)
{
    (void)state;
    h2_end end;
    encoder e = {.count = 0};
    checker c = {.now = NULL};
    lpx_buf in, block, out;
    uint32_t random = 7;
    h2_end_init(&end, H2_SERVER, &(h2_opts){0});
    end.head = check_head;
    end.ctx = &c;
    lpx_buf_init(&in, 1 << 20);
    lpx_buf_init(&block, 4096);
    lpx_buf_init(&out, 1 << 20);
    lpx_buf_add_str(&in, LPX_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    put_frame(&in, SETTINGS, 0, 0, lpx_bytes_of("", 0));
    for (uint32_t i = 0; i < CALLS; i++) {
        drawn d = draw_head(&random);
        unsigned heads = c.heads;
        c.now = &d;
        lpx_buf_clear(&block);
        for (size_t k = 0; k < d.count; k++) {
            put_field(&e, &block, d.fields[k]);
        }
        put_frame(&in, HEADERS, END_HEADERS, 2 * i + 1, lpx_buf_view(&block));
        put_frame(&in, DATA, END_STREAM, 2 * i + 1, lpx_bytes_of("ab", d.body));
        h2_session_recv(end.session, lpx_buf_view(&in), (lpx_mono){i * INT64_C(1000)});
        lpx_buf_clear(&in);
        assert_int_equal(c.heads - heads, d.head_ok);
        assert_int_equal(end.count, d.head_ok);
        if (d.head_ok) {
            assert_int_equal(end.seen[0].ends, d.body_ok);
            h2_stream_reset(end.seen[0].stream, H2_CANCEL);
        }
        while (h2_session_fill(end.session, &out, 1 << 20)) {
        }
        lpx_buf_clear(&out);
        if (end.count > 0) {
            assert_int_equal(end.seen[0].closes, 1);
            lpx_buf_fini(&end.seen[0].data);
            h2_stream_release(end.seen[0].stream);
            end.count = 0;
        }
    }
    assert_true(c.known > c.heads / 2);
    assert_true(c.shared > CALLS / 20);
    assert_true(c.shared < c.heads);
    lpx_buf_fini(&in);
    lpx_buf_fini(&block);
    lpx_buf_fini(&out);
    h2_end_fini(&end);
}

int h2_heads_tests(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_repeated_heads)};
    return cmocka_run_group_tests_name("h2_heads", tests, NULL, NULL);
}
