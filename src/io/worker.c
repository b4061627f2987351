#include "io/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/limits.h"
#include "lpx_reasons.h"

struct io_workers {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work_there;
    io_task *oldest; /* io_job.task, linked by next: the field is free until the job goes home */
    io_task **end;
    unsigned waiting, max_waiting;
    bool ending;
    unsigned thread_count;
    pthread_t threads[];
};

/* Waits for the next job. @return NULL: the pool ends and nothing waits */
static io_job *next_job(io_workers *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->oldest == NULL && !pool->ending) {
        (void)pthread_cond_wait(&pool->work_there, &pool->lock);
    }
    io_task *task = pool->oldest;
    if (task != NULL) {
        pool->oldest = task->next;
        pool->end = pool->oldest != NULL ? pool->end : &pool->oldest;
        pool->waiting--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return task != NULL ? LPX_CONTAINER(task, io_job, task) : NULL;
}

static void job_home(io_task *task)
{
    io_job *job = LPX_CONTAINER(task, io_job, task);
    job->done(job);
}

static void *worker_main(void *arg)
{
    io_workers *pool = arg;
    for (io_job *job = next_job(pool); job != NULL; job = next_job(pool)) {
        job->work(job);
        job->task.run = job_home;
        io_loop_post(job->home, &job->task);
    }
    return NULL;
}

/* Signals are the main thread's. */
static unsigned start_threads(io_workers *pool, unsigned wanted)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    unsigned count = 0;
    while (count < wanted && pthread_create(&pool->threads[count], NULL, worker_main, pool) == 0) {
        (void)pthread_setname_np(pool->threads[count], "lpx-worker");
        count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return count;
}

io_workers *io_workers_new(unsigned threads, unsigned max_queue)
{
    lpx_assert(threads >= 1 && threads <= IO_WORKERS_MAX);
    io_workers *pool = calloc(1, sizeof *pool + threads * sizeof pool->threads[0]);
    if (pool == NULL) {
        return NULL;
    }
    pool->end = &pool->oldest;
    pool->max_waiting = max_queue;
    if (pthread_mutex_init(&pool->lock, NULL) != 0) {
        free(pool);
        return NULL;
    }
    if (pthread_cond_init(&pool->work_there, NULL) != 0) {
        (void)pthread_mutex_destroy(&pool->lock);
        free(pool);
        return NULL;
    }
    pool->thread_count = start_threads(pool, threads);
    if (pool->thread_count < threads) {
        io_workers_free(&pool);
    }
    return pool;
}

void io_workers_free(io_workers **workers)
{
    io_workers *pool = *workers;
    *workers = NULL;
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    (void)pthread_cond_broadcast(&pool->work_there);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        (void)pthread_join(pool->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&pool->work_there);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

LPX_RESULT io_workers_submit(io_workers *workers, io_job *job)
{
    job->task.next = NULL;
    (void)pthread_mutex_lock(&workers->lock);
    bool accepted = workers->waiting < workers->max_waiting;
    if (accepted) {
        workers->waiting++;
        *workers->end = &job->task;
        workers->end = &job->task.next;
        (void)pthread_cond_signal(&workers->work_there);
    }
    (void)pthread_mutex_unlock(&workers->lock);
    return accepted ? LPX_SUCCESS : lpx_err_of(IO_WORKERS_BUSY);
}
