/* One transaction for a group of jobs. Each job has a savepoint of its own, so that one that fails takes nothing else
 * with it; a job alone needs none. What a job saw of the others counts only when the commit came through: when it did
 * not, every job of the group is told so, those that had failed by themselves too. */
#include <time.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "store/store_priv.h"

void store_conn_init(store_conn *conn, const store_engine *engine)
{
    *conn = (store_conn){.engine = engine};
    pthread_mutex_init(&conn->lock, NULL);
}

static lpx_err run_job(store *s, store_conn *conn, store_job *job, uint32_t *topics)
{
    store_tx tx = {.conn = conn};
    lpx_err err = job->work(&tx, job);
    lpx_assert(conn->open_rows == 0); /* every query of work was closed */
    if (tx.err.reason == STORE_FAILED) {
        store_report(s, "a statement failed", conn->error);
    }
    if (!lpx_failed(err)) {
        err = tx.err;
    }
    if (!lpx_failed(err)) {
        *topics |= tx.topics;
    }
    return err;
}

/* Run the jobs inside the open transaction. @return how many want to be committed */
static unsigned run_jobs(store *s, store_conn *conn, store_job *first, uint32_t *topics)
{
    bool nested = first->next != NULL;
    unsigned kept = 0;
    for (store_job *job = first; job != NULL; job = job->next) {
        if (nested && lpx_failed(conn->engine->savepoint(conn))) {
            return 0;
        }
        job->err = run_job(s, conn, job, topics);
        if (conn->trouble != STORE_FINE) {
            return 0;
        }
        bool ok = !lpx_failed(job->err);
        kept += ok;
        if (nested && lpx_failed(ok ? conn->engine->release(conn) : conn->engine->rollback_to(conn))) {
            return 0;
        }
    }
    return kept;
}

static store_trouble run_once(store *s, store_conn *conn, store_job *first)
{
    uint32_t topics = 0;
    conn->trouble = STORE_FINE;
    conn->quiet = false;
    conn->error[0] = '\0';
    store_mode mode = first->write ? STORE_MODE_WRITE : STORE_MODE_READ;
    if (lpx_failed(conn->engine->begin(conn, mode))) {
        return conn->trouble;
    }
    unsigned kept = run_jobs(s, conn, first, &topics);
    if (conn->trouble != STORE_FINE || kept == 0 || mode == STORE_MODE_READ) {
        store_trouble trouble = conn->trouble;
        conn->engine->rollback(conn);
        return trouble;
    }
    if (lpx_failed(conn->engine->commit(conn, topics))) {
        return conn->trouble;
    }
    if (topics != 0 && !conn->engine->feed_by_server) {
        store_feed_tell(&s->feed, topics);
    }
    return STORE_FINE;
}

/* Nodes that met once should not meet again: the pause is a random part of a growing one. */
static void pause_before_run(unsigned run, const void *salt)
{
    uint64_t noise = (uint64_t)store_clock_us() ^ (uint64_t)(uintptr_t)salt;
    noise ^= noise >> 33;
    noise *= 0xff51afd7ed558ccdULL;
    noise ^= noise >> 33;
    int64_t most_us = run < 8 ? 2000 << run : STORE_MAX_PAUSE_US;
    most_us = most_us < STORE_MAX_PAUSE_US ? most_us : STORE_MAX_PAUSE_US;
    int64_t pause_us = (int64_t)(noise % (uint64_t)most_us);
    struct timespec pause = {.tv_sec = pause_us / 1000000, .tv_nsec = pause_us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

static void settle(store_job *first, store_trouble trouble)
{
    for (store_job *job = first; job != NULL; job = job->next) {
        bool done_maybe = trouble == STORE_DOUBT && !lpx_failed(job->err);
        job->err = lpx_err_of(done_maybe ? STORE_UNKNOWN : STORE_UNAVAILABLE);
    }
}

void store_group_run(store *s, store_conn *conn, store_job *first)
{
    store_trouble trouble = STORE_FINE;
    unsigned lost = 0;
    for (unsigned run = 0; run < STORE_MAX_RUNS; run++) {
        if (run > 0 && trouble == STORE_AGAIN) {
            pause_before_run(run, conn);
        }
        trouble = run_once(s, conn, first);
        lost += trouble == STORE_LOST;
        bool again = trouble == STORE_AGAIN || (trouble == STORE_LOST && lost == 1);
        if (!again) {
            break;
        }
    }
    if (trouble == STORE_FINE) {
        return;
    }
    settle(first, trouble);
    if (!conn->quiet) {
        store_report(s, trouble == STORE_DOUBT ? "a commit has an unknown outcome" : "a transaction failed",
                     conn->error);
    }
}
