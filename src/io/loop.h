/* Event loop: one per core, over libevent. An object belongs to one loop and is used only on its thread; other threads
 * reach it by posting tasks. A turn is: wait, handle all that is ready, run posted tasks, then run the turn-end hooks
 * once (that is where each connection makes its one write). Level 2. */
#pragma once
#include "base/err.h"
#include "base/list.h"
#include "base/time.h"

typedef struct io_loop io_loop;

/** A piece of work for a loop; lives inside the object that posts it, which must outlive its run. */
typedef struct io_task {
    struct io_task *next;
    void (*run)(struct io_task *task);
} io_task;

/** Work at the end of the present turn; lives inside its owner. */
typedef struct io_hook {
    lpx_list node;
    void (*run)(struct io_hook *hook);
} io_hook;

/** One-shot timer; lives inside its owner. Fields are private. */
typedef struct io_timer {
    void *event;
    io_loop *loop;
    void (*fire)(struct io_timer *timer);
} io_timer;

/** New loop, the calling thread's until another runs it. SIGPIPE is ignored in this process from the first loop on.
 * @param index 0..n-1, told back by io_loop_index
 * @return NULL when the system gives no resources */
io_loop *io_loop_new(unsigned index);
/** Free a loop that does not run; clears the pointer; accepts NULL. Tasks never run are dropped. Connections that
 * their user closed are told so, the others end without a word. */
void io_loop_free(io_loop **loop);
/** Run on the calling thread until io_loop_stop; tasks posted before the stop still run. */
void io_loop_run(io_loop *loop);
/** Run one turn, waiting at most max_wait_us for something to do (tests, command line). */
void io_loop_turn(io_loop *loop, int64_t max_wait_us);
/** Ask the loop to end after its turn. @thread any */
void io_loop_stop(io_loop *loop);
/** Its number. @thread any */
unsigned io_loop_index(const io_loop *loop);
/** Both clocks at the beginning of this turn. @thread owner */
lpx_now io_loop_now(const io_loop *loop);
/** Is the caller on this loop's thread? @thread any */
bool io_loop_is_mine(const io_loop *loop);
/** The libevent base, for the folders that may include libevent. @thread owner */
struct event_base *io_loop_base(io_loop *loop);

/** The wall clock, for those who have no loop (yet): start-up, log lines. @thread any */
lpx_utc io_wall_clock(void);

/** Queue a task; tasks from one thread run in their order. Never fails. @thread any */
void io_loop_post(io_loop *loop, io_task *task);
/** Run hook once at the end of this turn; harmless when it is queued already. Asked for by a hook it runs at the end of
 * the next turn, which then does not wait. @thread owner */
void io_loop_at_turn_end(io_loop *loop, io_hook *hook);
/** Do not run the hook; harmless when it is not queued or all zero. @thread owner */
void io_hook_cancel(io_hook *hook);

/** Make a timer; it does not run yet. @thread owner */
LPX_RESULT io_timer_init(io_timer *timer, io_loop *loop, void (*fire)(io_timer *timer));
/** Fire once after delay_us from now, in place of an earlier setting. */
void io_timer_arm(io_timer *timer, int64_t delay_us);
/** Do not fire. */
void io_timer_cancel(io_timer *timer);
/** End it; harmless when not initialised (all zero). */
void io_timer_fini(io_timer *timer);
