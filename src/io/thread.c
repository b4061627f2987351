#include "io/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "lpx_reasons.h"

enum { NAME_BYTES = 16 }; /* Linux */

struct io_thread {
    io_loop *loop;
    pthread_t thread;
};

static void *thread_main(void *arg)
{
    io_loop_run(arg);
    return NULL;
}

LPX_RESULT io_thread_start(io_loop *loop, const char *name, io_thread **out)
{
    io_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL) {
        return lpx_err_of(IO_NO_RESOURCES);
    }
    thread->loop = loop;
    /* Signals are the main thread's. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread->thread, NULL, thread_main, loop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        free(thread);
        return lpx_err_of(IO_NO_RESOURCES);
    }
    char short_name[NAME_BYTES];
    (void)snprintf(short_name, sizeof short_name, "%.15s", name);
    (void)pthread_setname_np(thread->thread, short_name);
    *out = thread;
    return LPX_SUCCESS;
}

void io_thread_stop(io_thread **thread_ptr)
{
    io_thread *thread = *thread_ptr;
    *thread_ptr = NULL;
    if (thread == NULL) {
        return;
    }
    io_loop_stop(thread->loop);
    (void)pthread_join(thread->thread, NULL);
    free(thread);
}
