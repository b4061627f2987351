/* States and their changes, against a second way to find them: applied to the old rows, changes give the new ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control_feed_core.h"
#include "control/control_test_kit.h"
#include "pb_v3_api.pb-c.h"

enum { IDS = 40, MAX_BYTES = 1 << 20, FIELDS = 1 << 1 | 1 << 2 };

/* What a reader keeps: a name for each id; none: no such row. */
typedef struct model {
    int names[IDS];
} model;

static control_state *make_state(const model *m, bool backwards)
{
    control_state *state = control_state_new(MAX_BYTES);
    for (unsigned i = 0; i < IDS; i++) {
        unsigned id = backwards ? IDS - 1 - i : i;
        char tenant[32], name[32];
        Pb__V3__Tenant t = PB__V3__TENANT__INIT;
        if (m->names[id] == 0) {
            continue;
        }
        (void)snprintf(tenant, sizeof tenant, "tenant-%u", id % 7);
        tenant[id % 5 == 0 ? 0 : sizeof tenant - 1] = '\0';
        (void)snprintf(name, sizeof name, "name-%d", m->names[id]);
        t.net_id = id * 1000;
        t.tenant_id = tenant;
        t.name = name;
        t.listed = id % 2 == 0;
        assert_ok(control_state_add(state, &t.base, FIELDS));
    }
    control_state_finish(state);
    return state;
}

static const Pb__V3__Tenant *decode(lpx_arena *arena, lpx_bytes bytes)
{
    ProtobufCMessage *message;
    lpx_note note;
    assert_ok(pb_decode(&pb__v3__tenant__descriptor, bytes, arena, &message, &note));
    return (const void *)message;
}

static void apply(model *m, const control_state *changes, lpx_arena *arena)
{
    for (size_t i = 0; i < control_state_count(changes); i++) {
        control_row row = control_state_row(changes, i);
        const Pb__V3__Tenant *t = decode(arena, row.identity);
        assert_string_equal(t->name, "");
        assert_false(t->listed);
        unsigned id = t->net_id / 1000;
        int name = row.gone ? 0 : atoi(decode(arena, row.body)->name + strlen("name-"));
        assert_true(row.gone ? row.body.len == 0 : decode(arena, row.body)->net_id == t->net_id);
        assert_int_not_equal(m->names[id], name); /* nothing is told that did not change */
        m->names[id] = name;
    }
}

static void changes_lead_from_one_state_to_the_next(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init(&arena, 64 << 20);
    model was = {{0}}, reader = {{0}};
    for (unsigned round = 0; round < 300; round++) {
        model is = was;
        for (unsigned n = test_random() % 10; n > 0; n--) {
            is.names[test_random() % IDS] = (int)(test_random() % 4);
        }
        control_state *from = make_state(&was, round % 2 == 0);
        control_state *to = make_state(&is, round % 3 == 0);
        control_state *changes = control_state_changes(from, to);
        apply(&reader, changes, &arena);
        assert_memory_equal(&reader, &is, sizeof is);
        was = is;
        control_state_unref(&from);
        control_state_unref(&to);
        control_state_unref(&changes);
        lpx_arena_reset(&arena);
    }
    lpx_arena_fini(&arena);
}

static void rows_of_one_identity_are_one(void **state)
{
    (void)state;
    control_state *s = control_state_new(MAX_BYTES);
    Pb__V3__Tenant t = PB__V3__TENANT__INIT;
    static char names[2][8] = {"first", "second"};
    for (unsigned i = 0; i < 2; i++) {
        t.net_id = 7;
        t.name = names[i];
        assert_ok(control_state_add(s, &t.base, FIELDS));
    }
    Pb__V3__Tenant empty = PB__V3__TENANT__INIT; /* all default: no bytes at all */
    assert_ok(control_state_add(s, &empty.base, FIELDS));
    control_state_finish(s);
    assert_int_equal(control_state_count(s), 2);
    assert_int_equal(control_state_row(s, 0).body.len, 0);
    assert_non_null(memchr(control_state_row(s, 1).body.ptr, 'i', control_state_row(s, 1).body.len));
    control_state_unref(&s);
}

static void a_state_has_an_end(void **state)
{
    (void)state;
    control_state *s = control_state_new(1000);
    Pb__V3__Tenant t = PB__V3__TENANT__INIT;
    static char name[] = "a name of some length, so that a few of them are enough";
    t.name = name;
    lpx_err err = LPX_SUCCESS;
    while (!lpx_failed(err)) {
        t.net_id++;
        err = control_state_add(s, &t.base, FIELDS);
    }
    assert_reason(err, CONTROL_TOPIC_TOO_LARGE);
    assert_true(t.net_id > 5);
    control_state_unref(&s);
}

static void each_row_has_one_taker(void **state)
{
    (void)state;
    model all;
    for (unsigned i = 0; i < IDS; i++) {
        all.names[i] = 1;
    }
    control_state *s = make_state(&all, false);
    for (unsigned of = 1; of < 6; of++) {
        unsigned taken[6] = {0};
        for (size_t i = 0; i < control_state_count(s); i++) {
            control_row row = control_state_row(s, i);
            unsigned share = control_row_share(&row, of);
            assert_true(share < of);
            taken[share]++;
        }
        for (unsigned i = 0; i < of; i++) {
            assert_true(taken[i] > 0);
        }
    }
    control_state_unref(&s);
}

int control_feed_core_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_lead_from_one_state_to_the_next),
        cmocka_unit_test(rows_of_one_identity_are_one),
        cmocka_unit_test(a_state_has_an_end),
        cmocka_unit_test(each_row_has_one_taker),
    };
    return cmocka_run_group_tests_name("control_feed_core", tests, NULL, NULL);
}
