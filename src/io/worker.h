/* Fixed pool of threads for blocking work (SQL, password hashes, files), with a bounded queue; the answer comes back on
 * the loop that asked. Level 2. */
#pragma once
#include "io/loop.h"

typedef struct io_workers io_workers;

/** One piece of blocking work; lives inside its owner, which must outlive done. */
typedef struct io_job {
    io_task task;                     /* private: carries done home */
    io_loop *home;                    /* where done runs */
    void (*work)(struct io_job *job); /* on a worker thread; may block; must not touch loop-owned objects */
    void (*done)(struct io_job *job); /* on home's thread */
} io_job;

/** New pool.
 * @param threads   1 or more
 * @param max_queue jobs that may wait; one more is refused
 * @return NULL when the system gives no threads */
io_workers *io_workers_new(unsigned threads, unsigned max_queue);
/** Finish all queued work, end the threads; clears the pointer; accepts NULL. */
void io_workers_free(io_workers **workers);
/** Queue a job. @err RESOURCE_EXHAUSTED: IO_WORKERS_BUSY; then neither work nor done runs. @thread any */
LPX_RESULT io_workers_submit(io_workers *workers, io_job *job);
