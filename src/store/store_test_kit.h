/* What the tests of the store share: a database of its own for each test, a loop, jobs that hold one statement. */
#pragma once
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store.h"

enum { KIT_MAX_JOBS = 1024 };

/** One test's surroundings. */
typedef struct kit {
    char dir[64];
    char url[256];
    char path[128]; /* SQLite: the file */
    io_loop *loop;
    store *store;
    atomic_uint finished; /* done calls of kit_jobs */
    atomic_uint reports;
    char report[512]; /* the last one */
} kit;

/** A job of one statement, or of the test's own work. */
typedef struct kit_job {
    store_job job;
    kit *kit;
    const char *sql;
    store_value values[8];
    size_t count;
    int64_t changed;
    int64_t number; /* first column of the first row, for jobs that read */
    lpx_err err;
    unsigned order; /* of its done call, from 1 */
} kit_job;

/** Is PostgreSQL what is tested now? */
extern bool kit_postgres;
/** Programs of the seed: printed at the start. */
extern uint32_t kit_seed;

/** cmocka set-up and teardown: an empty database, opened. */
int kit_setup(void **state);
/** The same, not opened yet. */
int kit_setup_closed(void **state);
/** Close and remove. */
int kit_teardown(void **state);
/** Open the test's database. */
void kit_open(kit *k, const store_opts *opts);
/** Options with the test's URL and report hook. */
store_opts kit_opts(kit *k);
/** Run one statement now; fails the test when it fails. */
void kit_exec(store *s, const char *sql);
/** Run one statement now and give its error. */
lpx_err kit_try(store *s, const char *sql);
/** First column of the first row of a query, as a number; fails the test on an error. */
int64_t kit_int(store *s, const char *sql);
/** Make a job of one statement that writes (INSERT and so on) or reads (SELECT). */
void kit_job_init(kit *k, kit_job *job, const char *sql);
/** Submit; fails the test when it is refused. */
void kit_submit(store *s, kit_job *job);
/** Turn the loop until counter is at least want; fails the test after 60 s. */
void kit_turn_until(kit *k, atomic_uint *counter, unsigned want);
/** Next number of the seeded generator. */
uint32_t kit_random(void);

/** A job that holds its thread until it is let go: what is submitted meanwhile waits. */
typedef struct kit_gate {
    kit_job job;
    atomic_uint entered;
    atomic_uint open;
} kit_gate;

/** Submit a gate and wait until its work has begun. */
void kit_gate_close(kit *k, kit_gate *gate, bool write);
/** Let it go. */
void kit_gate_open(kit_gate *gate);

/** Has the test the error of this reason? */
#define assert_reason(err, want) assert_string_equal(lpx_reason_name((err).reason), #want)
/** Has it none? */
#define assert_ok(err) assert_string_equal(lpx_reason_name((err).reason), "NONE")

/** The tests of both engines, and those of one. @return number of failed tests */
int store_common_tests(void);
/** Statements, values, errors. */
int store_sql_tests(void);
/** Files, full disks. */
int store_sqlite_tests(void);
/** Lost connections, other nodes. */
int store_postgres_tests(void);
