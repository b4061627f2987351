#include "io/signal.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/limits.h"
#include "lpx_reasons.h"

struct io_signals {
    io_loop *loop;
    io_signal_fn *fn;
    void *ctx;
    struct event *ready;
    int pipe[2]; /* the handler writes signal numbers into [1] */
    size_t count;
    int numbers[IO_SIGNALS_MAX];
    struct sigaction before[IO_SIGNALS_MAX];
};

/* Where the handler writes; -1: no receiver. A handler has no context of its own. */
static atomic_int handler_fd = -1;

static void on_signal(int number)
{
    int error = errno;
    int fd = atomic_load_explicit(&handler_fd, memory_order_relaxed);
    unsigned char byte = (unsigned char)number;
    if (fd >= 0) {
        ssize_t put = write(fd, &byte, 1);
        (void)put; /* the pipe is full of signals: one less */
    }
    errno = error;
}

static void pipe_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    io_signals *signals = arg;
    unsigned char number = 0;
    /* One at a time: fn may free *signals; the rest makes the pipe ready again. */
    if (read(fd, &number, 1) == 1) {
        signals->fn(signals->ctx, number);
    }
}

/* Gives the signals back to those who had them. */
static void restore(io_signals *signals)
{
    for (size_t i = 0; i < signals->count; i++) {
        (void)sigaction(signals->numbers[i], &signals->before[i], NULL);
    }
    signals->count = 0;
}

static void signals_destroy(io_signals *signals)
{
    restore(signals);
    if (signals->ready != NULL) {
        event_free(signals->ready);
    }
    for (int i = 0; i < 2; i++) {
        if (signals->pipe[i] >= 0) {
            (void)close(signals->pipe[i]);
        }
    }
    free(signals);
}

static bool signals_open(io_signals *signals)
{
    if (pipe2(signals->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
        return false;
    }
    signals->ready =
        event_new(io_loop_base(signals->loop), signals->pipe[0], EV_READ | EV_PERSIST, pipe_ready, signals);
    return signals->ready != NULL && event_add(signals->ready, NULL) == 0;
}

static bool take_signals(io_signals *signals, const int *numbers, size_t count)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < count; i++) {
        if (sigaction(numbers[i], &action, &signals->before[i]) != 0) {
            return false;
        }
        signals->numbers[i] = numbers[i];
        signals->count = i + 1;
    }
    return true;
}

LPX_RESULT io_signals_on(io_loop *loop, const int *numbers, size_t count, io_signal_fn *fn, void *ctx, io_signals **out)
{
    lpx_assert(count <= IO_SIGNALS_MAX);
    io_signals *signals = calloc(1, sizeof *signals);
    if (signals == NULL) {
        return lpx_err_of(IO_NO_RESOURCES);
    }
    *signals = (io_signals){.loop = loop, .fn = fn, .ctx = ctx, .pipe = {-1, -1}};
    if (!signals_open(signals)) {
        signals_destroy(signals);
        return lpx_err_of(IO_NO_RESOURCES);
    }
    int nobody = -1;
    if (!atomic_compare_exchange_strong(&handler_fd, &nobody, signals->pipe[1])) {
        signals_destroy(signals);
        return lpx_err_of(IO_SIGNALS_TAKEN);
    }
    if (!take_signals(signals, numbers, count)) {
        restore(signals);
        atomic_store(&handler_fd, -1);
        signals_destroy(signals);
        return lpx_err_of(IO_NO_RESOURCES);
    }
    *out = signals;
    return LPX_SUCCESS;
}

void io_signals_free(io_signals **signals_ptr)
{
    io_signals *signals = *signals_ptr;
    *signals_ptr = NULL;
    if (signals == NULL) {
        return;
    }
    restore(signals);
    atomic_store(&handler_fd, -1);
    signals_destroy(signals);
}
