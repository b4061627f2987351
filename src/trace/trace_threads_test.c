/* Several loops record while others read: under the thread sanitizer. What was recorded last is found, whoever asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/trace_priv.h"

enum { LOOPS = 3, MESSAGES = 20000, KEPT = 3000 };

static const traffic_endpoint forwarder = {.net_id = 0x13}, home = {.net_id = 0x42};
static const trace_viewer by_home = {.net_id = 0x42, .with_tenants = true};
static const lpx_utc now = {INT64_C(1700000000000000)};

typedef struct writer {
    trace *t;
    unsigned loop;
    atomic_uint *running;
} writer;

/* Message n of a loop; its copy is sent by the next loop. */
static void tell(const traffic_observer *o, unsigned loop, unsigned n)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%u-%u", loop, n);
    lpx_str id = {.ptr = text, .len = (size_t)len};
    const traffic_outcome outcome = {
        .home = home, .route = TRAFFIC_ROUTE_BLOCK, .delivered = n % 10 != 0, .drop = TRAFFIC_DROP_FILTER, .copies = 1};
    const traffic_passage passage = {
        .time = now, .id = id, .kind = TRAFFIC_DATA, .forwarder = forwarder, .outcomes = &outcome, .outcome_count = 1};
    const traffic_copy copy = {
        .time = now, .id = id, .kind = TRAFFIC_DATA, .forwarder = forwarder, .home = home, .sent = true};
    o->passed(o->ctx, loop, &passage);
    o->settled(o->ctx, loop, &copy);
}

static void *write_all(void *arg)
{
    writer *w = arg;
    for (unsigned n = 0; n < MESSAGES; n++) {
        tell(trace_observer(w->t), w->loop, n);
    }
    atomic_fetch_sub(w->running, 1);
    return NULL;
}

static size_t recent(trace *t, bool drops_only, uint32_t limit)
{
    lpx_arena arena;
    Lpx__Trace__V1__Trace **list;
    size_t count;
    lpx_arena_init(&arena, 32 << 20);
    assert_false(lpx_failed(trace_recent(t, &by_home, drops_only, limit, now, &arena, &list, &count)));
    for (size_t i = 0; i < count; i++) {
        assert_true(list[i]->n_steps >= 1);
        assert_int_equal(list[i]->steps[0]->home_network->net_id, 0x42);
    }
    lpx_arena_fini(&arena);
    return count;
}

static size_t events_of(trace *t, const char *id, lpx_utc at)
{
    lpx_arena arena;
    trace_event *events;
    size_t count;
    lpx_arena_init(&arena, 1 << 20);
    assert_false(lpx_failed(trace_gather(t, lpx_str_of(id), at, &arena, &events, &count)));
    lpx_arena_fini(&arena);
    return count;
}

static void readers_and_writers_meet(void **state)
{
    (void)state;
    trace_opts opts = {.loop_count = LOOPS, .messages = KEPT, .age_us = 1000000, .seed = 42};
    trace *t;
    pthread_t threads[LOOPS];
    writer writers[LOOPS];
    atomic_uint running = LOOPS;
    assert_false(lpx_failed(trace_new(&opts, &t)));
    for (unsigned i = 0; i < LOOPS; i++) {
        writers[i] = (writer){.t = t, .loop = i, .running = &running};
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    }
    while (atomic_load(&running) > 0) {
        (void)recent(t, true, 50);
        (void)events_of(t, "1-100", now);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(recent(t, false, 200), 200);
    assert_int_equal(recent(t, true, 200), 200);
    assert_int_equal(events_of(t, "0-19999", now), 2);
    assert_int_equal(events_of(t, "2-19999", now), 2);
    assert_int_equal(events_of(t, "2-0", now), 0); /* overwritten */
    assert_int_equal(events_of(t, "2-19999", (lpx_utc){now.us + 1000001}), 0);
    trace_free(&t);
}

static void nothing_is_recorded_when_off(void **state)
{
    (void)state;
    trace_opts opts = {.loop_count = 1, .messages = 0, .age_us = 1};
    trace *t;
    assert_false(lpx_failed(trace_new(&opts, &t)));
    assert_null(trace_observer(t));
    trace_free(&t);
    assert_null(t);
    opts.loop_count = 0;
    assert_true(lpx_failed(trace_new(&opts, &t)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_and_writers_meet),
        cmocka_unit_test(nothing_is_recorded_when_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
