/* Threads that run a loop each. Level 2. */
#pragma once
#include "io/loop.h"

typedef struct io_thread io_thread;

/** Run the loop on a thread of its own, until io_thread_stop or io_loop_stop. What was made on the loop before goes
 * over to that thread.
 * @param name shown by ps and debuggers; the first 15 characters count
 * @err RESOURCE_EXHAUSTED: IO_NO_RESOURCES */
LPX_RESULT io_thread_start(io_loop *loop, const char *name, io_thread **out);
/** Stop the loop and wait for the thread's end; clears the pointer; accepts NULL. The loop may be used by the caller
 * afterwards (to free what lives on it). Never from that thread itself. */
void io_thread_stop(io_thread **thread);
