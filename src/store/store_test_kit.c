#include "store/store_test_kit.h"

#include <ftw.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lpx_reasons.h"

bool kit_postgres;
uint32_t kit_seed;

uint32_t kit_random(void)
{
    kit_seed = kit_seed * 1664525U + 1013904223U;
    return kit_seed >> 8;
}

static void on_report(void *ctx, const char *text)
{
    kit *k = ctx;
    snprintf(k->report, sizeof k->report, "%s", text);
    atomic_fetch_add(&k->reports, 1);
}

store_opts kit_opts(kit *k)
{
    return (store_opts){.url = k->url, .report = on_report, .report_ctx = k};
}

void kit_open(kit *k, const store_opts *opts)
{
    lpx_note note = {""};
    lpx_err err = store_open(opts, &k->store, &note);
    assert_string_equal(note.text, "");
    assert_ok(err);
}

/* A database of the server for each test. */
static void make_database(kit *k)
{
    static unsigned number;
    const char *base = getenv("LPX_TEST_POSTGRES_URL");
    char sql[64];
    number++;
    const char *rest = strstr(base, "/postgres?");
    assert_non_null(rest);
    snprintf(k->url, sizeof k->url, "%.*s/t%u?%s", (int)(rest - base), base, number, rest + strlen("/postgres?"));
    PGconn *pg = PQconnectdb(base);
    assert_int_equal(PQstatus(pg), CONNECTION_OK);
    snprintf(sql, sizeof sql, "CREATE DATABASE t%u", number);
    PGresult *result = PQexec(pg, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    PQfinish(pg);
}

int kit_setup_closed(void **state)
{
    kit *k = calloc(1, sizeof *k);
    snprintf(k->dir, sizeof k->dir, "/tmp/lpx-store.XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    snprintf(k->path, sizeof k->path, "%s/a file%%20.db", k->dir);
    snprintf(k->url, sizeof k->url, "sqlite:%s", k->path);
    if (kit_postgres) {
        make_database(k);
    }
    k->loop = io_loop_new(0);
    assert_non_null(k->loop);
    *state = k;
    return 0;
}

int kit_setup(void **state)
{
    kit_setup_closed(state);
    kit *k = *state;
    store_opts opts = kit_opts(k);
    kit_open(k, &opts);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int kit_teardown(void **state)
{
    kit *k = *state;
    store_close(&k->store);
    io_loop_turn(k->loop, 0);
    io_loop_free(&k->loop);
    nftw(k->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(k);
    return 0;
}

static lpx_err work_sql(store_tx *tx, store_job *base)
{
    kit_job *job = LPX_CONTAINER(base, kit_job, job);
    if (base->write) {
        return store_exec(tx, job->sql, job->values, job->count, &job->changed);
    }
    store_rows *rows = NULL;
    LPX_TRY(store_query(tx, job->sql, job->values, job->count, &rows));
    if (store_next(rows)) {
        job->number = store_col_int(rows, 0);
    }
    return store_rows_close(&rows);
}

static void done_sql(store_job *base, lpx_err err)
{
    kit_job *job = LPX_CONTAINER(base, kit_job, job);
    job->err = err;
    job->order = atomic_fetch_add(&job->kit->finished, 1) + 1;
}

void kit_job_init(kit *k, kit_job *job, const char *sql)
{
    *job = (kit_job){.kit = k, .sql = sql};
    job->job.home = k->loop;
    job->job.write = strncmp(sql, "SELECT", 6) != 0 && strncmp(sql, "PRAGMA", 6) != 0;
    job->job.work = work_sql;
    job->job.done = done_sql;
}

lpx_err kit_try(store *s, const char *sql)
{
    kit_job job = {.sql = sql, .job = {.write = true, .work = work_sql}};
    return store_run(s, &job.job);
}

void kit_exec(store *s, const char *sql)
{
    assert_ok(kit_try(s, sql));
}

int64_t kit_int(store *s, const char *sql)
{
    kit_job job = {.sql = sql, .number = -1, .job = {.work = work_sql}};
    assert_ok(store_run(s, &job.job));
    return job.number;
}

void kit_submit(store *s, kit_job *job)
{
    assert_ok(store_submit(s, &job->job));
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void kit_turn_until(kit *k, atomic_uint *counter, unsigned want)
{
    int64_t end_ms = now_ms() + 60000;
    while (atomic_load(counter) < want) {
        assert_true(now_ms() < end_ms);
        io_loop_turn(k->loop, 100000);
    }
}

static void wait_for(atomic_uint *flag)
{
    while (atomic_load(flag) == 0) {
        struct timespec nap = {.tv_nsec = 200000};
        nanosleep(&nap, NULL);
    }
}

static lpx_err work_gate(store_tx *tx, store_job *base)
{
    (void)tx;
    kit_gate *gate = LPX_CONTAINER(base, kit_gate, job.job);
    atomic_store(&gate->entered, 1);
    wait_for(&gate->open);
    return LPX_SUCCESS;
}

void kit_gate_close(kit *k, kit_gate *gate, bool write)
{
    kit_job_init(k, &gate->job, "");
    atomic_init(&gate->entered, 0);
    atomic_init(&gate->open, 0);
    gate->job.job.write = write;
    gate->job.job.work = work_gate;
    kit_submit(k->store, &gate->job);
    wait_for(&gate->entered);
}

void kit_gate_open(kit_gate *gate)
{
    atomic_store(&gate->open, 1);
}
