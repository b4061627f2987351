/* Loops: order within a turn, tasks from many threads, hooks, timers, threads. */
#include "io/loop.h"

#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/thread.h"

enum { LONG_US = 60 * 1000000, THREADS = 4, TASKS_PER_THREAD = 5000 };

static char order[64];
static size_t order_len;

static void note_step(char c)
{
    assert_true(order_len + 1 < sizeof order);
    order[order_len++] = c;
    order[order_len] = 0;
}

static void order_reset(void)
{
    order_len = 0;
    order[0] = 0;
}

typedef struct plain_task {
    io_task task;
    io_loop *loop;
    io_hook *hook;
    char letter;
    int again; /* post this many times more */
} plain_task;

static void run_plain(io_task *task)
{
    plain_task *t = LPX_CONTAINER(task, plain_task, task);
    note_step(t->letter);
    if (t->hook != NULL) {
        io_loop_at_turn_end(t->loop, t->hook);
    }
    if (t->again > 0) {
        t->again--;
        io_loop_post(t->loop, &t->task);
    }
}

typedef struct plain_hook {
    io_hook hook;
    io_loop *loop;
    io_hook *next;
    char letter;
} plain_hook;

static void run_hook(io_hook *hook)
{
    plain_hook *h = LPX_CONTAINER(hook, plain_hook, hook);
    note_step(h->letter);
    if (h->next != NULL) {
        io_loop_at_turn_end(h->loop, h->next);
    }
}

static void ready_step(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    note_step('e');
}

static void test_turn_is_events_tasks_hooks(void **state)
{
    (void)state;
    order_reset();
    io_loop *loop = io_loop_new(7);
    assert_int_equal(io_loop_index(loop), 7);
    struct event *event = event_new(io_loop_base(loop), -1, 0, ready_step, NULL);
    plain_hook hook = {.hook.run = run_hook, .loop = loop, .letter = 'h'};
    plain_task task = {.task.run = run_plain, .loop = loop, .letter = 't'};
    io_loop_at_turn_end(loop, &hook.hook);
    io_loop_post(loop, &task.task);
    event_active(event, EV_READ, 0);
    io_loop_at_turn_end(loop, &hook.hook); /* queued already */
    io_loop_turn(loop, 0);
    assert_string_equal(order, "eth");
    event_free(event);
    io_loop_free(&loop);
}

static void test_task_posted_by_task_waits_for_next_turn(void **state)
{
    (void)state;
    order_reset();
    io_loop *loop = io_loop_new(0);
    plain_task task = {.task.run = run_plain, .loop = loop, .letter = 't', .again = 2};
    io_loop_post(loop, &task.task);
    for (size_t turn = 1; turn <= 3; turn++) {
        io_loop_turn(loop, LONG_US); /* would hang if it waited */
        assert_int_equal(order_len, turn);
    }
    io_loop_turn(loop, 0);
    assert_int_equal(order_len, 3);
    io_loop_free(&loop);
}

static void test_hook_of_hook_waits_for_next_turn(void **state)
{
    (void)state;
    order_reset();
    io_loop *loop = io_loop_new(0);
    plain_hook second = {.hook.run = run_hook, .loop = loop, .letter = '2'};
    plain_hook first = {.hook.run = run_hook, .loop = loop, .letter = '1', .next = &second.hook};
    plain_hook cancelled = {.hook.run = run_hook, .loop = loop, .letter = 'x'};
    io_loop_at_turn_end(loop, &first.hook);
    io_loop_at_turn_end(loop, &cancelled.hook);
    io_hook_cancel(&cancelled.hook);
    io_hook_cancel(&cancelled.hook);
    io_loop_turn(loop, 0);
    assert_string_equal(order, "1");
    io_loop_turn(loop, LONG_US);
    assert_string_equal(order, "12");
    io_loop_free(&loop);
}

static void test_tasks_before_stop_still_run(void **state)
{
    (void)state;
    order_reset();
    io_loop *loop = io_loop_new(0);
    plain_task task = {.task.run = run_plain, .loop = loop, .letter = 't'};
    io_loop_post(loop, &task.task);
    io_loop_stop(loop);
    io_loop_run(loop);
    assert_string_equal(order, "t");
    /* The stop is used up: the loop runs again. */
    plain_task dropped = {.task.run = run_plain, .loop = loop, .letter = 'x'};
    io_loop_post(loop, &dropped.task);
    io_loop_free(&loop);
    assert_string_equal(order, "t");
}

typedef struct numbered_task {
    io_task task;
    int thread, number;
} numbered_task;

static int next_number[THREADS];
static io_loop *shared_loop;
static int finished_threads;

static void run_numbered(io_task *task)
{
    numbered_task *t = LPX_CONTAINER(task, numbered_task, task);
    assert_true(io_loop_is_mine(shared_loop));
    assert_int_equal(t->number, next_number[t->thread]);
    next_number[t->thread]++;
    if (t->number == TASKS_PER_THREAD - 1 && ++finished_threads == THREADS) {
        io_loop_stop(shared_loop);
    }
    free(t);
}

static void *post_many(void *arg)
{
    const int *thread = arg;
    bool mine = io_loop_is_mine(shared_loop);
    for (int i = 0; i < TASKS_PER_THREAD && !mine; i++) {
        numbered_task *t = malloc(sizeof *t);
        *t = (numbered_task){.task.run = run_numbered, .thread = *thread, .number = i};
        io_loop_post(shared_loop, &t->task);
    }
    return NULL;
}

static void test_posts_from_many_threads_keep_their_order(void **state)
{
    (void)state;
    shared_loop = io_loop_new(0);
    int numbers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &numbers[i]), 0);
    }
    io_loop_run(shared_loop);
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(next_number[i], TASKS_PER_THREAD);
    }
    io_loop_free(&shared_loop);
}

typedef struct checked_timer {
    io_timer timer;
    io_loop *loop;
    int64_t due_us;
    int fired;
    bool end_itself;
} checked_timer;

static void checked_fire(io_timer *timer)
{
    checked_timer *t = LPX_CONTAINER(timer, checked_timer, timer);
    assert_true(io_loop_now(t->loop).mono.us >= t->due_us); /* never early */
    t->fired++;
    if (t->end_itself) {
        io_timer_fini(timer);
    }
}

static void checked_arm(checked_timer *t, int64_t delay_us)
{
    t->due_us = io_loop_now(t->loop).mono.us + delay_us;
    io_timer_arm(&t->timer, delay_us);
}

static void test_timers(void **state)
{
    (void)state;
    io_loop *loop = io_loop_new(0);
    enum { COUNT = 40 };
    checked_timer timers[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        timers[i].loop = loop;
        assert_false(lpx_failed(io_timer_init(&timers[i].timer, loop, checked_fire)));
        checked_arm(&timers[i], (COUNT - i) * 700);
    }
    timers[0].end_itself = true;
    checked_arm(&timers[1], LONG_US); /* later than before: */
    checked_arm(&timers[1], 5000);    /* the last setting counts */
    checked_arm(&timers[2], -5);      /* at once */
    io_timer_arm(&timers[3].timer, LONG_US);
    io_timer_cancel(&timers[3].timer);
    int fired = 0;
    while (fired < COUNT - 1) {
        io_loop_turn(loop, LONG_US);
        fired = 0;
        for (int i = 0; i < COUNT; i++) {
            assert_true(timers[i].fired <= 1);
            fired += timers[i].fired;
        }
    }
    assert_int_equal(timers[3].fired, 0);
    for (int i = 0; i < COUNT; i++) {
        io_timer_fini(&timers[i].timer);
        io_timer_fini(&timers[i].timer);
        io_timer_cancel(&timers[i].timer);
    }
    io_loop_free(&loop);
}

/* Nothing but the wake-up event is there, so an idle loop sleeps without end. */
static int count_event(const struct event_base *base, const struct event *event, void *arg)
{
    struct timeval when;
    int *timed = arg;
    (void)base;
    *timed += event_pending(event, EV_TIMEOUT, &when) != 0 ? 1 : 0;
    return 0;
}

static void test_idle_loop_has_no_timeouts(void **state)
{
    (void)state;
    io_loop *loop = io_loop_new(0);
    io_loop_turn(loop, 1);
    int timed = 0;
    (void)event_base_foreach_event(io_loop_base(loop), count_event, &timed);
    assert_int_equal(timed, 0);
    assert_int_equal(event_base_get_num_events(io_loop_base(loop), EVENT_BASE_COUNT_ADDED), 1);
    io_loop_free(&loop);
}

typedef struct clock_task {
    io_task task;
    io_loop *loop;
    int64_t seen_us[2];
} clock_task;

static void read_twice(io_task *task)
{
    clock_task *t = LPX_CONTAINER(task, clock_task, task);
    t->seen_us[0] = io_loop_now(t->loop).mono.us;
    struct timespec real;
    do {
        (void)clock_gettime(CLOCK_MONOTONIC, &real);
    } while ((int64_t)real.tv_sec * 1000000 + real.tv_nsec / 1000 == t->seen_us[0]);
    t->seen_us[1] = io_loop_now(t->loop).mono.us;
}

static void test_clock_stands_still_within_a_turn(void **state)
{
    (void)state;
    io_loop *loop = io_loop_new(0);
    clock_task task = {.task.run = read_twice, .loop = loop};
    io_loop_post(loop, &task.task);
    io_loop_turn(loop, 0);
    assert_true(task.seen_us[0] > 0);
    assert_int_equal(task.seen_us[0], task.seen_us[1]);
    int64_t first = task.seen_us[0];
    io_loop_post(loop, &task.task);
    io_loop_turn(loop, 0);
    assert_true(task.seen_us[0] > first);
    io_loop_free(&loop);
}

/* A ball between two loops on threads of their own. */
typedef struct ball {
    io_task task;
    io_loop *sides[2];
    io_loop *referee;
    int at, left;
} ball;

static void ball_end(io_task *task)
{
    ball *b = LPX_CONTAINER(task, ball, task);
    io_loop_stop(b->referee);
}

static void ball_hit(io_task *task)
{
    ball *b = LPX_CONTAINER(task, ball, task);
    assert_true(io_loop_is_mine(b->sides[b->at]));
    assert_false(io_loop_is_mine(b->sides[1 - b->at]));
    if (--b->left == 0) {
        b->task.run = ball_end;
        io_loop_post(b->referee, &b->task);
        return;
    }
    b->at = 1 - b->at;
    io_loop_post(b->sides[b->at], &b->task);
}

static void test_threads_play_ball(void **state)
{
    (void)state;
    io_loop *loops[3];
    io_thread *threads[2];
    for (unsigned i = 0; i < 3; i++) {
        loops[i] = io_loop_new(i);
    }
    for (int i = 0; i < 2; i++) {
        assert_false(lpx_failed(io_thread_start(loops[i], "lpx-loop-with-a-long-name", &threads[i])));
    }
    ball b = {.task.run = ball_hit, .sides = {loops[0], loops[1]}, .referee = loops[2], .left = 2000};
    io_loop_post(loops[0], &b.task);
    io_loop_run(loops[2]);
    assert_int_equal(b.left, 0);
    for (int i = 0; i < 2; i++) {
        io_thread_stop(&threads[i]);
        assert_null(threads[i]);
    }
    for (int i = 0; i < 3; i++) {
        io_loop_free(&loops[i]);
    }
    io_thread_stop(&threads[0]);
    io_loop_free(&loops[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn_is_events_tasks_hooks),
        cmocka_unit_test(test_task_posted_by_task_waits_for_next_turn),
        cmocka_unit_test(test_hook_of_hook_waits_for_next_turn),
        cmocka_unit_test(test_tasks_before_stop_still_run),
        cmocka_unit_test(test_posts_from_many_threads_keep_their_order),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_idle_loop_has_no_timeouts),
        cmocka_unit_test(test_clock_stands_still_within_a_turn),
        cmocka_unit_test(test_threads_play_ball),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
