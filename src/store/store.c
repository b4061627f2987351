/* The facade: opens an engine, owns its connections and threads, queues the jobs. One thread takes all jobs that write,
 * as a group; each of the others takes one job that reads at a time. */
#include "store/store.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "store/store_priv.h"

int64_t store_clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void store_report(const store *s, const char *what, const char *detail)
{
    if (s->report == NULL) {
        return;
    }
    char text[STORE_MAX_ERROR_BYTES + 64];
    snprintf(text, sizeof text, "%s: %s", what, detail);
    s->report(s->report_ctx, text);
}

static void queue_init(store_queue *queue)
{
    *queue = (store_queue){.end = &queue->first};
}

static void queue_push(store_queue *queue, store_job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
    queue->count++;
}

/* Take at most max jobs as a list. */
static store_job *queue_take(store_queue *queue, unsigned max)
{
    store_job *first = queue->first;
    store_job *last = NULL;
    for (unsigned i = 0; i < max && queue->first != NULL; i++) {
        last = queue->first;
        queue->first = last->next;
        queue->count--;
    }
    if (last != NULL) {
        last->next = NULL;
    }
    if (queue->first == NULL) {
        queue->end = &queue->first;
    }
    return first;
}

static void run_done(io_task *task)
{
    store_job *job = LPX_CONTAINER(task, store_job, task);
    job->done(job, job->err);
}

/* A job may be gone as soon as it is posted. */
static void post_done(store_job *first)
{
    for (store_job *job = first, *next = NULL; job != NULL; job = next) {
        next = job->next;
        job->task = (io_task){.run = run_done};
        io_loop_post(job->home, &job->task);
    }
}

static void run_group(store *s, store_conn *conn, store_job *first)
{
    pthread_mutex_lock(&conn->lock);
    store_group_run(s, conn, first);
    pthread_mutex_unlock(&conn->lock);
    post_done(first);
}

/* With the lock held: give the first job of a group time to find company. */
static void wait_for_company(store *s)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t nsec = end.tv_nsec + s->group_wait_us % 1000000 * 1000;
    end.tv_sec += (time_t)(s->group_wait_us / 1000000 + nsec / 1000000000);
    end.tv_nsec = (long)(nsec % 1000000000);
    while (!s->stopping && s->writes.count < STORE_MAX_GROUP) {
        if (pthread_cond_timedwait(&s->writes_ready, &s->lock, &end) != 0) {
            return;
        }
    }
}

static void *writer_main(void *arg)
{
    store *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->writes.count == 0 && !s->stopping) {
            pthread_cond_wait(&s->writes_ready, &s->lock);
        }
        if (s->writes.count == 0) {
            break;
        }
        if (s->group_wait_us > 0) {
            wait_for_company(s);
        }
        store_job *group = queue_take(&s->writes, STORE_MAX_GROUP);
        pthread_mutex_unlock(&s->lock);
        run_group(s, s->writer, group);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void *reader_main(void *arg)
{
    store *s = arg;
    store_conn *conn = s->readers[atomic_fetch_add(&s->next_reader, 1)];
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->reads.count == 0 && !s->stopping) {
            pthread_cond_wait(&s->reads_ready, &s->lock);
        }
        if (s->reads.count == 0) {
            break;
        }
        store_job *job = queue_take(&s->reads, 1);
        pthread_mutex_unlock(&s->lock);
        run_group(s, conn, job);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Signals belong to the program's own threads. */
static lpx_err start_threads(store *s, lpx_note *note)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    for (unsigned i = 0; i < s->reader_count && failed == 0; i++) {
        failed = pthread_create(&s->reader_threads[i], NULL, reader_main, s);
        s->threads_running += failed == 0;
    }
    if (failed == 0) {
        failed = pthread_create(&s->writer_thread, NULL, writer_main, s);
        s->threads_running += failed == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        return lpx_fail(note, STORE_CANNOT_OPEN, "The threads of the database cannot be started: %s.",
                        strerror(failed));
    }
    return LPX_SUCCESS;
}

/* Refuse what is not ours to touch before anything is opened for writing. Whatever else is wrong is left to the
 * writer's connection, which meets it again; it may also be that another program is making the database just now. */
static lpx_err probe(store *s, lpx_note *note)
{
    store_conn *conn = NULL;
    lpx_note why = {""};
    lpx_err err = s->engine->connect(s->location, STORE_ROLE_PROBE, &conn, &why);
    if (lpx_failed(err) || conn == NULL) {
        return LPX_SUCCESS;
    }
    err = store_migrate_check(conn, &why);
    s->engine->disconnect(conn);
    if (err.reason != STORE_NEWER_VERSION && err.reason != STORE_CHANGED_MIGRATION) {
        return LPX_SUCCESS;
    }
    return lpx_fail(note, err.reason, "%s", why.text);
}

static lpx_err start(store *s, lpx_note *note)
{
    LPX_TRY(probe(s, note));
    LPX_TRY(s->engine->connect(s->location, STORE_ROLE_WRITER, &s->writer, note));
    LPX_TRY(store_migrate_apply(s->writer, note));
    for (unsigned i = 0; i < s->reader_count; i++) {
        LPX_TRY(s->engine->connect(s->location, STORE_ROLE_READER, &s->readers[i], note));
    }
    if (s->engine->feed_start != NULL) {
        LPX_TRY(s->engine->feed_start(s, note));
    }
    return start_threads(s, note);
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Which engine, and the location without what only we understand. */
static lpx_err choose_engine(const char *url, const store_engine **engine, const char **location, lpx_note *note)
{
    if (starts(url, "postgres://") || starts(url, "postgresql://")) {
        *engine = &store_postgres;
        *location = url;
        return LPX_SUCCESS;
    }
    const char *path = url;
    if (starts(url, "sqlite:")) {
        path = url + strlen("sqlite:");
        path += starts(path, "///") ? 2 : 0;
    }
    if (path[0] == '\0' || path[0] == ':' || strstr(path, "://") != NULL || starts(path, "//") ||
        starts(path, "file:") || strlen(path) >= STORE_MAX_PATH_BYTES) {
        return lpx_fail(note, STORE_BAD_URL,
                        "The database must be given as sqlite:/path/file.db, as a path, or as "
                        "postgresql://user@host/name.");
    }
    *engine = &store_sqlite;
    *location = path;
    return LPX_SUCCESS;
}

static store *new_store(const store_opts *opts, const store_engine *engine, const char *location)
{
    store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->location = strdup(location);
    if (s->location == NULL) {
        free(s);
        return NULL;
    }
    s->engine = engine;
    s->reader_count = opts->readers != 0 ? opts->readers : STORE_DEFAULT_READERS;
    if (s->reader_count > STORE_MAX_READERS) {
        s->reader_count = STORE_MAX_READERS;
    }
    s->max_queue = opts->max_queue != 0 ? opts->max_queue : STORE_DEFAULT_QUEUE;
    s->group_wait_us = opts->group_wait_us;
    s->report = opts->report;
    s->report_ctx = opts->report_ctx;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->writes_ready, &monotonic);
    pthread_cond_init(&s->reads_ready, NULL);
    pthread_condattr_destroy(&monotonic);
    queue_init(&s->writes);
    queue_init(&s->reads);
    store_feed_init(&s->feed);
    return s;
}

lpx_err store_open(const store_opts *opts, store **out, lpx_note *note)
{
    const store_engine *engine = NULL;
    const char *location = NULL;
    LPX_TRY(choose_engine(opts->url, &engine, &location, note));
    store *s = new_store(opts, engine, location);
    if (s == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_err err = start(s, note);
    if (lpx_failed(err)) {
        store_close(&s);
        return err;
    }
    *out = s;
    return LPX_SUCCESS;
}

static void stop_threads(store *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->writes_ready);
    pthread_cond_broadcast(&s->reads_ready);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->threads_running && i < s->reader_count; i++) {
        pthread_join(s->reader_threads[i], NULL);
    }
    if (s->threads_running > s->reader_count) {
        pthread_join(s->writer_thread, NULL);
    }
}

void store_close(store **closed)
{
    store *s = *closed;
    *closed = NULL;
    if (s == NULL) {
        return;
    }
    stop_threads(s);
    if (s->listener != NULL) {
        s->engine->feed_stop(s);
    }
    for (unsigned i = 0; i < s->reader_count; i++) {
        if (s->readers[i] != NULL) {
            s->engine->disconnect(s->readers[i]);
        }
    }
    if (s->writer != NULL) { /* the last one: SQLite then cleans up its write-ahead log */
        s->engine->disconnect(s->writer);
    }
    store_feed_fini(&s->feed);
    pthread_cond_destroy(&s->writes_ready);
    pthread_cond_destroy(&s->reads_ready);
    pthread_mutex_destroy(&s->lock);
    free(s->location);
    free(s);
}

lpx_err store_submit(store *s, store_job *job)
{
    lpx_err err = LPX_SUCCESS;
    pthread_mutex_lock(&s->lock);
    if (s->stopping) {
        err = lpx_err_of(STORE_UNAVAILABLE);
    } else if (s->writes.count + s->reads.count >= s->max_queue) {
        err = lpx_err_of(STORE_BUSY);
    } else {
        queue_push(job->write ? &s->writes : &s->reads, job);
        pthread_cond_signal(job->write ? &s->writes_ready : &s->reads_ready);
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

lpx_err store_run(store *s, store_job *job)
{
    store_conn *conn = job->write ? s->writer : s->readers[0];
    job->next = NULL;
    pthread_mutex_lock(&conn->lock);
    store_group_run(s, conn, job);
    pthread_mutex_unlock(&conn->lock);
    return job->err;
}

lpx_err store_each(store_tx *tx, const char *sql, const store_value *values, size_t count,
                   lpx_err (*read)(void *ctx, store_rows *rows), void *ctx)
{
    store_rows *rows;
    LPX_TRY(store_query(tx, sql, values, count, &rows));
    lpx_err err = LPX_SUCCESS;
    while (!lpx_failed(err) && store_next(rows)) {
        err = read(ctx, rows);
    }
    lpx_err closed = store_rows_close(&rows);
    return lpx_failed(err) ? err : closed;
}
