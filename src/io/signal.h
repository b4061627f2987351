/* POSIX signals as callbacks on a loop. One receiver per process. Level 2. */
#pragma once
#include "io/loop.h"

typedef struct io_signals io_signals;

/** Called on the loop for each signal that came (several of one number may be told once). */
typedef void io_signal_fn(void *ctx, int number);

/** Receive signals (SIGTERM, SIGINT, SIGHUP, ...) as calls of fn on loop.
 * @param numbers count signal numbers, at most 8; borrowed for the call
 * @err INTERNAL: IO_SIGNALS_TAKEN when there is a receiver already; IO_NO_RESOURCES */
LPX_RESULT io_signals_on(io_loop *loop, const int *numbers, size_t count, io_signal_fn *fn, void *ctx,
                         io_signals **out);
/** Stop receiving, restore what the signals did before; clears the pointer; accepts NULL. @thread owner */
void io_signals_free(io_signals **signals);
