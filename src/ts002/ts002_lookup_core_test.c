/* Decisions of asking Join Servers: each rule for itself, then random events against a naive second implementation that
 * keeps everything in lists and looks at all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/test_random.h"
#include "ts002/ts002_lookup_core.h"

static const ts002_core_opts opts = {.positive_us = 600000000, .negative_us = 30000000, .seed = 7};

static ts002_core *new_core(void)
{
    ts002_core *core = ts002_core_new(&opts);
    assert_non_null(core);
    return core;
}

static ts002_key key_of(uint32_t target, uint64_t dev_eui)
{
    return (ts002_key){.target_id = target, .origin = UINT32_MAX, .version = 1, .join_eui = {5}, .dev_eui = {dev_eui}};
}

static lpx_mono at(int64_t us)
{
    return (lpx_mono){us};
}

static const ts002_answer found = {
    .outcome = TS002_FOUND, .net_id = 0x13, .tenant_len = 3, .tenant = "abc", .cluster_len = 2, .cluster = "eu"};

/* Ask and expect that it is to be asked. */
static ts002_question *must_ask(ts002_core *core, ts002_key key, int64_t us, ts002_waiter *waiter)
{
    ts002_question *q = NULL;
    ts002_answer answer;
    assert_int_equal(ts002_core_ask(core, &key, 1, at(us), waiter, &q, &answer), TS002_ASK);
    return q;
}

static ts002_outcome must_answer(ts002_core *core, ts002_key key, int64_t us)
{
    ts002_question *q = NULL;
    ts002_answer answer;
    ts002_waiter waiter;
    assert_int_equal(ts002_core_ask(core, &key, 1, at(us), &waiter, &q, &answer), TS002_ANSWERED);
    return answer.outcome;
}

static size_t end(ts002_core *core, ts002_question *q, ts002_outcome outcome, int64_t us)
{
    lpx_list waiters;
    size_t count = 0;
    ts002_answer answer = found;
    answer.outcome = outcome;
    lpx_list_init(&waiters);
    ts002_core_done(core, q, &answer, at(us), 0, &waiters);
    while (lpx_list_pop(&waiters) != NULL) {
        count++;
    }
    return count;
}

static void test_sharing_and_memory(void **state)
{
    (void)state;
    ts002_core *core = new_core();
    ts002_waiter waiters[4];
    ts002_question *q = must_ask(core, key_of(1, 9), 0, &waiters[0]), *other = NULL;
    ts002_answer answer;
    for (unsigned i = 1; i < 4; i++) {
        ts002_key key = key_of(1, 9);
        assert_int_equal(ts002_core_ask(core, &key, 1, at(10), &waiters[i], &other, &answer), TS002_SHARED);
        assert_ptr_equal(other, q);
    }
    lpx_list_remove(&waiters[2].node); /* gave up */
    assert_int_equal(end(core, q, TS002_FOUND, 20), 3);
    ts002_key key = key_of(1, 9);
    assert_int_equal(ts002_core_ask(core, &key, 1, at(30), &waiters[0], &q, &answer), TS002_ANSWERED);
    assert_memory_equal(&answer, &found, sizeof found);
    assert_int_equal(must_answer(core, key_of(1, 9), 20 + opts.positive_us - 1), TS002_FOUND);
    q = must_ask(core, key_of(1, 9), 20 + opts.positive_us, &waiters[0]);
    assert_int_equal(end(core, q, TS002_UNKNOWN_DEVICE, opts.positive_us), 1);
    assert_int_equal(must_answer(core, key_of(1, 9), opts.positive_us + opts.negative_us - 1), TS002_UNKNOWN_DEVICE);
    (void)must_ask(core, key_of(1, 9), opts.positive_us + opts.negative_us, &waiters[0]);
    ts002_core_free(&core);
}

/* Each part of the key makes another question. */
static void test_keys(void **state)
{
    (void)state;
    ts002_core *core = new_core();
    ts002_waiter w[6];
    ts002_key keys[6];
    for (unsigned i = 0; i < 6; i++) {
        keys[i] = key_of(1, 9);
    }
    keys[1].target_id = 2;
    keys[2].origin = 19;
    keys[3].join_eui.value = 6;
    keys[4].dev_eui.value = 10;
    keys[5].version = 2;
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(end(core, must_ask(core, keys[i], i, &w[i]), TS002_FOUND, i), 1);
    }
    assert_int_equal(ts002_core_count(core).remembered, 6);
    ts002_core_free(&core);
}

static void fail_times(ts002_core *core, unsigned times, int64_t us)
{
    ts002_waiter w;
    for (unsigned i = 0; i < times; i++) {
        (void)end(core, must_ask(core, key_of(1, 1000 + i), us, &w), TS002_TIMED_OUT, us);
    }
}

static ts002_breaker state_of(const ts002_core *core)
{
    return ts002_core_breaker(core, ts002_core_find_slot(core, 1));
}

static void test_breaker(void **state)
{
    (void)state;
    ts002_core *core = new_core();
    ts002_waiter w;
    fail_times(core, TS002_FAILURES_TO_OPEN - 1, 0);
    (void)end(core, must_ask(core, key_of(1, 1), 0, &w), TS002_REFUSED, 0); /* an answer: it works */
    fail_times(core, TS002_FAILURES_TO_OPEN - 1, 0);
    assert_int_equal(state_of(core), TS002_CLOSED);
    ts002_question *slow = must_ask(core, key_of(1, 2), 0, &w);
    fail_times(core, 1, 0);
    assert_int_equal(state_of(core), TS002_OPEN);
    assert_int_equal(must_answer(core, key_of(1, 3), TS002_OPEN_FIRST_US - 1), TS002_LEFT_ALONE);
    assert_int_equal(must_answer(core, key_of(1, 1), 5), TS002_REFUSED); /* what is remembered is still told */
    assert_int_equal(end(core, slow, TS002_TIMED_OUT, 10), 1);           /* a late failure does not prolong */
    int64_t now = TS002_OPEN_FIRST_US, pause = TS002_OPEN_FIRST_US;
    for (unsigned i = 0; i < 10; i++) {
        ts002_question *probe = must_ask(core, key_of(1, 4), now, &w);
        assert_int_equal(state_of(core), TS002_PROBING);
        assert_int_equal(must_answer(core, key_of(1, 3), now + 1), TS002_LEFT_ALONE);
        (void)end(core, probe, TS002_UNREACHABLE, now);
        pause = pause * 2 < TS002_OPEN_MAX_US ? pause * 2 : TS002_OPEN_MAX_US;
        assert_int_equal(must_answer(core, key_of(1, 3), now + pause - 1), TS002_LEFT_ALONE);
        now += pause;
    }
    assert_int_equal(pause, TS002_OPEN_MAX_US);
    (void)end(core, must_ask(core, key_of(1, 4), now, &w), TS002_UNKNOWN_DEVICE, now);
    assert_int_equal(state_of(core), TS002_CLOSED);
    fail_times(core, TS002_FAILURES_TO_OPEN - 1, now);
    assert_int_equal(state_of(core), TS002_CLOSED);
    ts002_core_free(&core);
}

/* A target that was changed begins anew, and answers of the old one do not count for it. */
static void test_changed_target(void **state)
{
    (void)state;
    ts002_core *core = new_core();
    ts002_waiter w, first, second;
    ts002_question *old = must_ask(core, key_of(1, 2), 0, &first);
    fail_times(core, TS002_FAILURES_TO_OPEN, 0);
    assert_int_equal(state_of(core), TS002_OPEN);
    ts002_key changed = key_of(1, 3);
    changed.version = 2;
    ts002_question *q = must_ask(core, changed, 1, &second);
    assert_int_equal(state_of(core), TS002_CLOSED);
    for (unsigned i = 0; i < TS002_FAILURES_TO_OPEN - 1; i++) {
        changed.dev_eui.value = 100 + i;
        (void)end(core, must_ask(core, changed, 1, &w), TS002_BAD_ANSWER, 1);
    }
    assert_int_equal(end(core, old, TS002_TIMED_OUT, 2), 1);
    assert_int_equal(state_of(core), TS002_CLOSED);
    (void)end(core, q, TS002_TIMED_OUT, 2);
    assert_int_equal(state_of(core), TS002_OPEN);
    ts002_core_free(&core);
}

static void test_bounds(void **state)
{
    (void)state;
    ts002_core *core = new_core();
    static ts002_waiter w[TS002_MAX_IN_FLIGHT], last;
    ts002_question *q = NULL;
    ts002_answer answer;
    for (unsigned i = 0; i < TS002_MAX_IN_FLIGHT; i++) {
        ts002_key key = key_of(1 + i / TS002_MAX_IN_FLIGHT_PER_TARGET, i);
        assert_int_equal(ts002_core_ask(core, &key, i, at(0), &w[i], &q, &answer), TS002_ASK);
        bool full = (i + 1) % TS002_MAX_IN_FLIGHT_PER_TARGET == 0;
        if (full) {
            assert_int_equal(must_answer(core, key_of(key.target_id, 1000), 0), TS002_BUSY);
        }
    }
    assert_int_equal(ts002_core_count(core).under_way, TS002_MAX_IN_FLIGHT);
    assert_int_equal(must_answer(core, key_of(99, 0), 0), TS002_BUSY);
    (void)end(core, q, TS002_FOUND, 0);
    (void)must_ask(core, key_of(99, 0), 0, &last);
    ts002_core_free(&core);
}

/* Burst and rate, of one forwarder and of one target. */
static unsigned asked(ts002_core *core, unsigned tries, uint64_t askers, int64_t us, uint64_t *number)
{
    unsigned count = 0;
    for (unsigned i = 0; i < tries; i++) {
        ts002_waiter w;
        ts002_question *q = NULL;
        ts002_answer answer;
        ts002_key key = key_of(1, ++*number);
        if (ts002_core_ask(core, &key, i % askers, at(us), &w, &q, &answer) == TS002_ASK) {
            (void)end(core, q, TS002_UNKNOWN_DEVICE, us);
            count++;
        } else {
            assert_int_equal(answer.outcome, TS002_BUSY);
        }
    }
    return count;
}

static void test_rates(void **state)
{
    (void)state;
    ts002_core *core = new_core();
    uint64_t number = 0;
    assert_int_equal(asked(core, 1000, 1, 1000000000, &number), TS002_ORIGIN_BURST);
    assert_int_equal(asked(core, 1000, 1, 1001000000, &number), TS002_ORIGIN_PER_S);
    assert_int_equal(asked(core, 2000, 50, 1002000000, &number),
                     TS002_TARGET_BURST - TS002_ORIGIN_BURST + TS002_TARGET_PER_S * 2 - TS002_ORIGIN_PER_S);
    assert_int_equal(asked(core, 2000, 50, 1003000000, &number), TS002_TARGET_PER_S);
    ts002_core_free(&core);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    ts002_core *core = new_core();
    ts002_waiter w;
    int64_t now = 0;
    ts002_core_opts forever = {.positive_us = INT64_C(1) << 60, .negative_us = INT64_C(1) << 60};
    ts002_core_free(&core);
    core = ts002_core_new(&forever);
    assert_non_null(core);
    for (unsigned i = 0; i < TS002_CACHE_ENTRIES + 10; i++) {
        now += 1000000;
        (void)end(core, must_ask(core, key_of(1, i), now, &w), i < 5 ? TS002_FOUND : TS002_REFUSED, now);
    }
    assert_int_equal(ts002_core_count(core).remembered, TS002_CACHE_ENTRIES);
    assert_int_equal(must_answer(core, key_of(1, 0), now), TS002_FOUND); /* the negative ones go first */
    assert_int_equal(must_answer(core, key_of(1, 15), now), TS002_REFUSED);
    (void)must_ask(core, key_of(1, 14), now, &w);
    ts002_core_free(&core);
}

/* More targets than are kept: the one asked longest ago makes room, never one with a question under way. */
static void test_targets_make_room(void **state)
{
    (void)state;
    ts002_core *core = new_core();
    ts002_waiter busy, w;
    ts002_question *held = must_ask(core, key_of(1, 1), 0, &busy);
    for (uint32_t id = 2; id < TS002_MAX_TARGETS + 3; id++) {
        (void)end(core, must_ask(core, key_of(id, 1), (int64_t)id * 1000000, &w), TS002_TIMED_OUT, 0);
    }
    assert_int_equal(ts002_core_find_slot(core, 1), 0);
    assert_int_equal(ts002_core_find_slot(core, 2), TS002_MAX_TARGETS);
    assert_int_equal(ts002_core_find_slot(core, 3), TS002_MAX_TARGETS);
    assert_true(ts002_core_find_slot(core, 4) < TS002_MAX_TARGETS);
    assert_int_equal(end(core, held, TS002_FOUND, 0), 1);
    ts002_core_free(&core);
}

/* ---- the naive model ---- */

enum { MODEL_TARGETS = 3, MODEL_DEVICES = 12 };

typedef struct model_entry {
    bool used, under_way, probe;
    unsigned target, device;
    unsigned waiters;
    int64_t expires;
    ts002_outcome outcome;
    ts002_question *question;
} model_entry;

typedef struct model_target {
    ts002_breaker breaker;
    unsigned failures;
    int64_t pause, until;
} model_target;

typedef struct model {
    model_entry entries[MODEL_TARGETS * MODEL_DEVICES];
    model_target targets[MODEL_TARGETS];
} model;

static model_entry *model_find(model *m, unsigned target, unsigned device, int64_t now)
{
    for (unsigned i = 0; i < MODEL_TARGETS * MODEL_DEVICES; i++) {
        model_entry *e = &m->entries[i];
        if (e->used && !e->under_way && e->expires <= now) {
            e->used = false;
        }
    }
    for (unsigned i = 0; i < MODEL_TARGETS * MODEL_DEVICES; i++) {
        model_entry *e = &m->entries[i];
        if (e->used && e->target == target && e->device == device) {
            return e;
        }
    }
    return NULL;
}

static model_entry *model_free_entry(model *m)
{
    model_entry *e = m->entries;
    while (e->used) {
        e++;
    }
    return e;
}

static void model_ask(model *m, ts002_core *core, unsigned target, unsigned device, int64_t now)
{
    static ts002_waiter waiters[1 << 20];
    static size_t used;
    ts002_waiter *w = &waiters[used++ % (1 << 20)];
    ts002_question *q = NULL;
    ts002_answer answer = {.outcome = TS002_OUTCOMES};
    ts002_key key = key_of(1 + target, device);
    ts002_verdict got = ts002_core_ask(core, &key, 1, at(now), w, &q, &answer);
    model_entry *e = model_find(m, target, device, now);
    model_target *t = &m->targets[target];
    if (e != NULL && !e->under_way) {
        assert_int_equal(got, TS002_ANSWERED);
        assert_int_equal(answer.outcome, e->outcome);
    } else if (e != NULL) {
        assert_int_equal(got, TS002_SHARED);
        e->waiters++;
    } else if (t->breaker == TS002_PROBING || (t->breaker == TS002_OPEN && now < t->until)) {
        assert_int_equal(got, TS002_ANSWERED);
        assert_int_equal(answer.outcome, TS002_LEFT_ALONE);
    } else {
        assert_int_equal(got, TS002_ASK);
        e = model_free_entry(m);
        *e = (model_entry){.used = true,
                           .under_way = true,
                           .probe = t->breaker == TS002_OPEN,
                           .target = target,
                           .device = device,
                           .waiters = 1,
                           .question = q};
        t->breaker = e->probe ? TS002_PROBING : t->breaker;
    }
}

static void model_breaks(model_target *t, bool probe, int64_t now)
{
    t->failures++;
    if (t->breaker == TS002_CLOSED && t->failures >= TS002_FAILURES_TO_OPEN) {
        t->pause = TS002_OPEN_FIRST_US;
    } else if (t->breaker == TS002_PROBING && probe) {
        t->pause = t->pause * 2 > TS002_OPEN_MAX_US ? TS002_OPEN_MAX_US : t->pause * 2;
    } else {
        return;
    }
    t->breaker = TS002_OPEN;
    t->until = now + t->pause;
}

static void model_end(model *m, ts002_core *core, model_entry *e, ts002_outcome outcome, int64_t now)
{
    assert_int_equal(end(core, e->question, outcome, now), e->waiters);
    model_target *t = &m->targets[e->target];
    if (outcome == TS002_FOUND || outcome == TS002_UNKNOWN_DEVICE || outcome == TS002_REFUSED) {
        t->breaker = TS002_CLOSED;
        t->failures = 0;
    } else {
        model_breaks(t, e->probe, now);
    }
    bool kept = outcome <= TS002_BAD_ANSWER;
    e->used = kept;
    e->under_way = false;
    e->outcome = outcome;
    e->expires = now + (outcome == TS002_FOUND ? opts.positive_us : opts.negative_us);
}

static void run_model(test_random *random)
{
    ts002_core *core = new_core();
    static model m;
    m = (model){.targets = {{.failures = 0}}};
    int64_t now = 0;
    /* Some targets work most of the time, some seldom. */
    for (unsigned step = 0; step < 4000; step++) {
        now += (int64_t)test_random_below(random, test_random_below(random, 20) == 0 ? 100000000 : 200000);
        unsigned pick = (unsigned)test_random_below(random, MODEL_TARGETS * MODEL_DEVICES);
        model_entry *e = &m.entries[pick];
        if (e->used && e->under_way && test_random_below(random, 2) == 0) {
            bool works = test_random_below(random, 4) < e->target;
            unsigned choice = (unsigned)test_random_below(random, 3);
            model_end(&m, core, e, (ts002_outcome)(works ? choice : TS002_BAD_ANSWER + choice), now);
        }
        model_ask(&m, core, (unsigned)test_random_below(random, MODEL_TARGETS),
                  (unsigned)test_random_below(random, MODEL_DEVICES), now);
        for (unsigned i = 0; i < MODEL_TARGETS; i++) {
            unsigned slot = ts002_core_find_slot(core, 1 + i);
            if (slot < TS002_MAX_TARGETS) {
                assert_int_equal(ts002_core_breaker(core, slot), m.targets[i].breaker);
            }
        }
    }
    ts002_core_free(&core);
}

static void test_against_the_model(void **state)
{
    (void)state;
    test_random random = test_random_begin("ts002_lookup_core");
    for (unsigned i = 0; i < 30; i++) {
        run_model(&random);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sharing_and_memory),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_changed_target),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_targets_make_room),
        cmocka_unit_test(test_against_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
