#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/loop_priv.h"
#include "lpx_reasons.h"

enum { US_PER_S = 1000000 };

/* What io_timer.event points to. libevent reads a coarse clock and may be some milliseconds early: the deadline is
 * compared with the exact one. */
typedef struct timer_state {
    struct event event;
    lpx_mono deadline;
    io_timer *timer;
    io_hook retry; /* libevent had no memory: arm again at the turn's end */
} timer_state;

static void ignore_sigpipe(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

static void drain_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    (void)arg;
    uint64_t count = 0;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* nothing there: somebody else's wake was enough */
}

static void end_wait(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static bool loop_make_events(io_loop *loop)
{
    struct event_config *config = event_config_new();
    if (config == NULL) {
        return false;
    }
    /* No locks inside libevent: only the owner touches the base, others write to wake_fd. */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->base == NULL || loop->wake_fd < 0) {
        return false;
    }
    loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, drain_wake, loop);
    loop->turn_limit = event_new(loop->base, -1, 0, end_wait, loop);
    return loop->wake != NULL && loop->turn_limit != NULL && event_add(loop->wake, NULL) == 0;
}

io_loop *io_loop_new(unsigned index)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, ignore_sigpipe);
    io_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return NULL;
    }
    loop->index = index;
    loop->wake_fd = -1;
    loop->clock = &loop->clock_state;
    lpx_list_init(&loop->hooks);
    lpx_list_init(&loop->conns);
    lpx_list_init(&loop->dead);
    lpx_list_init(&loop->lookups);
    lpx_buf_init(&loop->fill_room, IO_UNSENT_MAX_BYTES);
    lpx_buf_init(&loop->spare_out, IO_UNSENT_MAX_BYTES);
    atomic_init(&loop->owner, (unsigned long)pthread_self());
    loop->read_room = malloc(IO_READ_BYTES);
    loop->clear_room = malloc(IO_READ_BYTES);
    if (loop->read_room == NULL || loop->clear_room == NULL || !loop_make_events(loop)) {
        io_loop_free(&loop);
    }
    return loop;
}

void io_loop_free(io_loop **loop_ptr)
{
    io_loop *loop = *loop_ptr;
    *loop_ptr = NULL;
    if (loop == NULL) {
        return;
    }
    lpx_assert(!loop->in_turn);
    io_conns_drop(loop); /* cancels its lookups */
    io_lookups_drop(loop);
    if (loop->wake != NULL) {
        event_free(loop->wake);
    }
    if (loop->turn_limit != NULL) {
        event_free(loop->turn_limit);
    }
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    if (loop->wake_fd >= 0) {
        (void)close(loop->wake_fd);
    }
    lpx_buf_fini(&loop->fill_room);
    lpx_buf_fini(&loop->spare_out);
    free(loop->read_room);
    free(loop->clear_room);
    free(loop);
}

static void wake(io_loop *loop)
{
    uint64_t one = 1;
    ssize_t put = write(loop->wake_fd, &one, sizeof one);
    (void)put; /* the counter is full: the loop will wake all the same */
}

void io_loop_post(io_loop *loop, io_task *task)
{
    io_task *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        task->next = head;
    } while (
        !atomic_compare_exchange_weak_explicit(&loop->inbox, &head, task, memory_order_release, memory_order_relaxed));
    /* Whoever finds the inbox empty wakes the loop; the owner looks at the inbox itself before it waits. */
    if (head == NULL && !io_loop_is_mine(loop)) {
        wake(loop);
    }
}

static void run_tasks(io_loop *loop)
{
    io_task *newest_first = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    io_task *oldest_first = NULL;
    while (newest_first != NULL) {
        io_task *task = newest_first;
        newest_first = task->next;
        task->next = oldest_first;
        oldest_first = task;
    }
    while (oldest_first != NULL) {
        io_task *task = oldest_first;
        oldest_first = task->next;
        task->run(task); /* may free the task or post it again */
    }
}

/* Hooks asked for by hooks are left for the next turn, so that each runs once per turn. */
static void run_hooks(io_loop *loop)
{
    lpx_list batch;
    lpx_list_init(&batch);
    for (lpx_list *node = lpx_list_pop(&loop->hooks); node != NULL; node = lpx_list_pop(&loop->hooks)) {
        lpx_list_push(&batch, node);
    }
    for (lpx_list *node = lpx_list_pop(&batch); node != NULL; node = lpx_list_pop(&batch)) {
        io_hook *hook = LPX_CONTAINER(node, io_hook, node);
        hook->run(hook);
    }
}

static void end_turn(io_loop *loop)
{
    run_tasks(loop);
    run_hooks(loop);
    io_conns_bury(loop);
}

/* max_wait_us below 0: without limit. */
static void run_turn(io_loop *loop, int64_t max_wait_us)
{
    lpx_assert(!loop->in_turn);
    loop->in_turn = true;
    loop->clock->known = false;
    bool work_waits = !lpx_list_empty(&loop->hooks) || atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL;
    int flags = EVLOOP_ONCE;
    bool limited = false;
    if (work_waits || max_wait_us == 0) {
        flags |= EVLOOP_NONBLOCK;
    } else if (max_wait_us > 0) {
        struct timeval wait = {.tv_sec = max_wait_us / US_PER_S, .tv_usec = max_wait_us % US_PER_S};
        limited = event_add(loop->turn_limit, &wait) == 0;
    }
    (void)event_base_loop(loop->base, flags);
    if (limited) {
        (void)event_del(loop->turn_limit);
    }
    end_turn(loop);
    loop->in_turn = false;
}

static void take_over(io_loop *loop)
{
    atomic_store_explicit(&loop->owner, (unsigned long)pthread_self(), memory_order_relaxed);
}

void io_loop_run(io_loop *loop)
{
    take_over(loop);
    while (!atomic_load_explicit(&loop->stop, memory_order_acquire)) {
        run_turn(loop, -1);
    }
    /* What was posted before the stop was seen after the last look into the inbox. */
    loop->in_turn = true;
    loop->clock->known = false;
    end_turn(loop);
    loop->in_turn = false;
    atomic_store_explicit(&loop->stop, false, memory_order_relaxed);
}

void io_loop_turn(io_loop *loop, int64_t max_wait_us)
{
    take_over(loop);
    run_turn(loop, max_wait_us > 0 ? max_wait_us : 0);
}

void io_loop_stop(io_loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    wake(loop);
}

unsigned io_loop_index(const io_loop *loop)
{
    return loop->index;
}

static int64_t read_clock_us(clockid_t clock)
{
    struct timespec t = {0};
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

lpx_utc io_wall_clock(void)
{
    return (lpx_utc){read_clock_us(CLOCK_REALTIME)};
}

/* Read when first asked for in a turn, which is after its wait. */
lpx_now io_loop_now(const io_loop *loop)
{
    loop_clock *clock = loop->clock;
    if (!loop->in_turn || !clock->known) {
        clock->now = (lpx_now){.mono = {read_clock_us(CLOCK_MONOTONIC)}, .utc = {read_clock_us(CLOCK_REALTIME)}};
        clock->known = true;
    }
    return clock->now;
}

bool io_loop_is_mine(const io_loop *loop)
{
    return atomic_load_explicit(&loop->owner, memory_order_relaxed) == (unsigned long)pthread_self();
}

struct event_base *io_loop_base(io_loop *loop)
{
    return loop->base;
}

void io_loop_at_turn_end(io_loop *loop, io_hook *hook)
{
    if (lpx_list_empty(&hook->node)) {
        lpx_list_push(&loop->hooks, &hook->node);
    }
}

void io_hook_cancel(io_hook *hook)
{
    lpx_list_remove(&hook->node);
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    io_timer *timer = arg;
    const timer_state *state = timer->event;
    int64_t left_us = state->deadline.us - io_loop_now(timer->loop).mono.us;
    if (left_us > 0) {
        io_timer_arm(timer, left_us);
        return;
    }
    timer->fire(timer);
}

static void retry_arm(io_hook *hook)
{
    timer_state *state = LPX_CONTAINER(hook, timer_state, retry);
    io_timer_arm(state->timer, state->deadline.us - io_loop_now(state->timer->loop).mono.us);
}

LPX_RESULT io_timer_init(io_timer *timer, io_loop *loop, void (*fire)(io_timer *timer))
{
    timer_state *state = calloc(1, sizeof *state);
    if (state == NULL || event_assign(&state->event, loop->base, -1, 0, timer_due, timer) != 0) {
        free(state);
        return lpx_err_of(IO_NO_RESOURCES);
    }
    state->timer = timer;
    state->retry.run = retry_arm;
    *timer = (io_timer){.event = state, .loop = loop, .fire = fire};
    return LPX_SUCCESS;
}

void io_timer_arm(io_timer *timer, int64_t delay_us)
{
    timer_state *state = timer->event;
    int64_t wait_us = delay_us > 0 ? delay_us : 0;
    int64_t now_us = io_loop_now(timer->loop).mono.us;
    state->deadline.us = wait_us < INT64_MAX - now_us ? now_us + wait_us : INT64_MAX;
    struct timeval wait = {.tv_sec = wait_us / US_PER_S, .tv_usec = wait_us % US_PER_S};
    if (event_add(&state->event, &wait) != 0) {
        io_loop_at_turn_end(timer->loop, &state->retry);
    }
}

void io_timer_cancel(io_timer *timer)
{
    timer_state *state = timer->event;
    if (state != NULL) {
        (void)event_del(&state->event);
        io_hook_cancel(&state->retry);
    }
}

void io_timer_fini(io_timer *timer)
{
    io_timer_cancel(timer);
    free(timer->event);
    *timer = (io_timer){0};
}
