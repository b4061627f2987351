/* Transactions, queues, the change feed, durability: the same on both engines. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lpx_reasons.h"
#include "store/migrations.h"
#include "store/store_priv.h"
#include "store/store_test_kit.h"

/* Group commit */

static atomic_uint seen_unacknowledged;

/* Sees what the jobs before it in its group wrote, while none of them was told that it is done. */
static lpx_err work_last(store_tx *tx, store_job *base)
{
    kit_job *job = LPX_CONTAINER(base, kit_job, job);
    store_rows *rows = NULL;
    LPX_TRY(store_query(tx, "SELECT count(*) FROM one", NULL, 0, &rows));
    assert_true(store_next(rows));
    if (store_col_int(rows, 0) == 98 && atomic_load(&job->kit->finished) <= 1) { /* the gate, at most */
        atomic_store(&seen_unacknowledged, 1);
    }
    return store_rows_close(&rows);
}

static lpx_err work_refuse(store_tx *tx, store_job *base)
{
    (void)base;
    LPX_TRY(store_exec(tx, "INSERT INTO one VALUES (1000000)", NULL, 0, NULL));
    store_touch(tx, STORE_TOPIC_KEYS);
    return lpx_err_of(BASE_NO_ROOM);
}

/* A hundred jobs, one that refuses by itself, one in conflict, then one that looks. */
static void test_group(void **state)
{
    kit *k = *state;
    kit_gate gate;
    static kit_job jobs[101];
    kit_exec(k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    kit_gate_close(k, &gate, true);
    for (unsigned i = 0; i <= 100; i++) {
        kit_job_init(k, &jobs[i], "INSERT INTO one VALUES (?1)");
        jobs[i].values[0] = STORE_V_INT(i == 50 ? 49 : i);
        jobs[i].count = 1;
    }
    jobs[37].job.work = work_refuse;
    jobs[100].job.work = work_last;
    for (unsigned i = 0; i <= 100; i++) {
        kit_submit(k->store, &jobs[i]);
    }
    kit_gate_open(&gate);
    kit_turn_until(k, &k->finished, 102);
    for (unsigned i = 0; i <= 100; i++) {
        assert_int_equal(jobs[i].order, i + 2);
        if (i == 37) {
            assert_reason(jobs[i].err, BASE_NO_ROOM);
        } else if (i == 50) {
            assert_reason(jobs[i].err, STORE_CONFLICT);
        } else {
            assert_ok(jobs[i].err);
        }
    }
    assert_int_equal(atomic_load(&seen_unacknowledged), 1);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM one"), 98);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM one WHERE a IN (37, 50, 1000000)"), 0);
}

/* With company to wait for, what is submitted one by one is committed together. */
static void test_group_wait(void **state)
{
    kit *k = *state;
    store_opts opts = kit_opts(k);
    opts.group_wait_us = 60000000; /* the group is full before */
    kit_open(k, &opts);
    static kit_job jobs[STORE_MAX_GROUP];
    kit_exec(k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    for (unsigned i = 0; i < STORE_MAX_GROUP; i++) {
        kit_job_init(k, &jobs[i], "INSERT INTO one VALUES (?1)");
        jobs[i].values[0] = STORE_V_INT(i);
        jobs[i].count = 1;
        kit_submit(k->store, &jobs[i]);
    }
    kit_turn_until(k, &k->finished, STORE_MAX_GROUP);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM one"), STORE_MAX_GROUP);
}

/* Nobody comes: the wait ends. */
static void test_group_wait_alone(void **state)
{
    kit *k = *state;
    store_opts opts = kit_opts(k);
    opts.group_wait_us = 1100;
    kit_open(k, &opts);
    kit_job job;
    kit_job_init(k, &job, "INSERT INTO settings VALUES ('a', 'b')");
    kit_submit(k->store, &job);
    kit_turn_until(k, &k->finished, 1);
    assert_ok(job.err);
}

/* A reader sees nothing of an open group, and the same in all its statements. */
typedef struct snapshot_job {
    kit_gate gate;
    int64_t before, after;
} snapshot_job;

static int64_t count_one(store_tx *tx)
{
    store_rows *rows = NULL;
    lpx_err err = store_query(tx, "SELECT count(*) FROM one", NULL, 0, &rows);
    if (lpx_failed(err)) {
        return -1;
    }
    int64_t count = store_next(rows) ? store_col_int(rows, 0) : -1;
    err = store_rows_close(&rows);
    return lpx_failed(err) ? -1 : count;
}

static lpx_err work_snapshot(store_tx *tx, store_job *base)
{
    snapshot_job *job = LPX_CONTAINER(base, snapshot_job, gate.job.job);
    job->before = count_one(tx);
    atomic_store(&job->gate.entered, 1);
    while (atomic_load(&job->gate.open) == 0) {
        usleep(200);
    }
    job->after = count_one(tx);
    return LPX_SUCCESS;
}

static void test_snapshot(void **state)
{
    kit *k = *state;
    snapshot_job job = {0};
    kit_exec(k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    kit_job_init(k, &job.gate.job, "SELECT");
    job.gate.job.job.work = work_snapshot;
    kit_submit(k->store, &job.gate.job);
    while (atomic_load(&job.gate.entered) == 0) {
        usleep(200);
    }
    kit_job insert;
    kit_job_init(k, &insert, "INSERT INTO one VALUES (1)");
    kit_submit(k->store, &insert);
    kit_turn_until(k, &k->finished, 1);
    assert_ok(insert.err);
    kit_gate_open(&job.gate);
    kit_turn_until(k, &k->finished, 2);
    assert_ok(job.gate.job.err);
    assert_int_equal(job.before, 0);
    assert_int_equal(job.after, 0);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM one"), 1);
}

/* Two nodes that read, check and write the same row: none of the changes is lost. */

static lpx_err work_increment(store_tx *tx, store_job *base)
{
    (void)base;
    store_rows *rows = NULL;
    LPX_TRY(store_query(tx, "SELECT a FROM one", NULL, 0, &rows));
    int64_t a = store_next(rows) ? store_col_int(rows, 0) : -1;
    LPX_TRY(store_rows_close(&rows));
    store_value next = STORE_V_INT(a + 1);
    return store_exec(tx, "UPDATE one SET a = ?1", &next, 1, NULL);
}

static void test_two_nodes(void **state)
{
    kit *k = *state;
    enum { EACH = 100 };
    static kit_job jobs[2][EACH];
    store_opts opts = kit_opts(k);
    store *nodes[2] = {k->store, NULL};
    assert_ok(store_open(&opts, &nodes[1], NULL));
    kit_exec(k->store, "CREATE TABLE one (a INTEGER)");
    kit_exec(k->store, "INSERT INTO one VALUES (0)");
    for (unsigned i = 0; i < EACH; i++) {
        for (unsigned n = 0; n < 2; n++) {
            kit_job_init(k, &jobs[n][i], "");
            jobs[n][i].job.work = work_increment;
            kit_submit(nodes[n], &jobs[n][i]);
        }
        io_loop_turn(k->loop, 0);
    }
    kit_turn_until(k, &k->finished, 2 * EACH);
    for (unsigned i = 0; i < EACH; i++) {
        assert_ok(jobs[0][i].err);
        assert_ok(jobs[1][i].err);
    }
    assert_int_equal(kit_int(k->store, "SELECT a FROM one"), 2 * EACH);
    store_close(&nodes[1]);
}

/* Queues */

static void test_queue_limit(void **state)
{
    kit *k = *state;
    store_opts opts = kit_opts(k);
    opts.max_queue = 3;
    opts.readers = 1;
    kit_open(k, &opts);
    kit_gate writing;
    kit_gate reading;
    kit_job jobs[4];
    kit_gate_close(k, &writing, true);
    kit_gate_close(k, &reading, false);
    for (unsigned i = 0; i < 3; i++) {
        kit_job_init(k, &jobs[i], i == 1 ? "SELECT 1" : "DELETE FROM settings");
        kit_submit(k->store, &jobs[i]);
    }
    kit_job_init(k, &jobs[3], "SELECT 1");
    lpx_err err = store_submit(k->store, &jobs[3].job);
    assert_reason(err, STORE_BUSY);
    assert_int_equal(err.code, LPX_RESOURCE_EXHAUSTED);
    kit_gate_open(&reading);
    kit_gate_open(&writing);
    kit_turn_until(k, &k->finished, 5);
    kit_submit(k->store, &jobs[3]);
    kit_turn_until(k, &k->finished, 6);
    assert_ok(jobs[3].err);
    assert_int_equal(jobs[3].number, 1);
}

static void *close_store(void *arg)
{
    kit *k = arg;
    store_close(&k->store);
    return NULL;
}

static void test_close_with_work(void **state)
{
    kit *k = *state;
    enum { COUNT = 20 };
    kit_gate writing;
    kit_gate reading;
    kit_job jobs[COUNT];
    pthread_t closer;
    kit_exec(k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    kit_gate_close(k, &writing, true);
    kit_gate_close(k, &reading, false);
    for (unsigned i = 0; i < COUNT; i++) {
        kit_job_init(k, &jobs[i], i % 2 == 0 ? "INSERT INTO one VALUES (?1)" : "SELECT 5 + ?1");
        jobs[i].values[0] = STORE_V_INT(i);
        jobs[i].count = 1;
        kit_submit(k->store, &jobs[i]);
    }
    assert_int_equal(pthread_create(&closer, NULL, close_store, k), 0);
    kit_gate_open(&writing);
    kit_gate_open(&reading);
    pthread_join(closer, NULL);
    kit_turn_until(k, &k->finished, COUNT + 2);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_ok(jobs[i].err);
        assert_int_equal(jobs[i].number, i % 2 == 0 ? 0 : i + 5);
    }
    store_opts opts = kit_opts(k);
    kit_open(k, &opts);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM one"), COUNT / 2);
}

static void test_close_nothing(void **state)
{
    (void)state;
    store *none = NULL;
    store_close(&none);
}

/* The change feed */

typedef struct feed_watch {
    store_watch watch;
    store *store;
    uint32_t told; /* all topics together */
    atomic_uint calls;
    bool stop_at_once;
} feed_watch;

static void on_changed(store_watch *base, uint32_t topics)
{
    feed_watch *w = LPX_CONTAINER(base, feed_watch, watch);
    w->told |= topics;
    atomic_fetch_add(&w->calls, 1);
    if (w->stop_at_once) {
        store_watch_stop(w->store, &w->watch);
    }
}

static void follow(kit *k, store *s, feed_watch *w, uint32_t topics)
{
    *w = (feed_watch){.store = s, .watch = {.topics = topics, .home = k->loop, .changed = on_changed}};
    store_watch_start(s, &w->watch);
}

static lpx_err touch(store_tx *tx, const char *name, store_topic topic)
{
    store_touch(tx, topic);
    store_value value = STORE_V_TEXT(lpx_str_of(name));
    return store_exec(tx, "INSERT INTO settings VALUES (?1, '')", &value, 1, NULL);
}

static lpx_err work_policies(store_tx *tx, store_job *base)
{
    (void)base;
    return touch(tx, "policies", STORE_TOPIC_POLICIES);
}

static lpx_err work_signing(store_tx *tx, store_job *base)
{
    (void)base;
    return touch(tx, "signing", STORE_TOPIC_SIGNING);
}

static lpx_err work_keys_refused(store_tx *tx, store_job *base)
{
    (void)base;
    LPX_TRY(touch(tx, "keys", STORE_TOPIC_KEYS));
    return lpx_err_of(BASE_NO_ROOM);
}

static void check_change(kit *k, lpx_err (*work)(store_tx *, store_job *), lpx_err want)
{
    static kit_job job;
    unsigned before = atomic_load(&k->finished);
    kit_job_init(k, &job, "");
    job.job.work = work;
    kit_submit(k->store, &job);
    kit_turn_until(k, &k->finished, before + 1);
    assert_int_equal(job.err.reason, want.reason);
}

/* What one node commits, another hears (on SQLite: another watch of the store). */
static void test_feed(void **state)
{
    kit *k = *state;
    store_opts opts = kit_opts(k);
    store *other = NULL;
    assert_ok(store_open(&opts, &other, NULL));
    feed_watch all;
    feed_watch some;
    follow(k, kit_postgres ? other : k->store, &all, STORE_ALL_TOPICS);
    follow(k, k->store, &some, 1U << STORE_TOPIC_SIGNING | 1U << STORE_TOPIC_KEYS);

    check_change(k, work_policies, LPX_SUCCESS);
    kit_turn_until(k, &all.calls, 1);
    assert_int_equal(all.told, 1U << STORE_TOPIC_POLICIES);

    /* What was rolled back is not told; the next commit shows that nothing is on its way any more. */
    check_change(k, work_keys_refused, lpx_err_of(BASE_NO_ROOM));
    check_change(k, work_policies, lpx_err_of(STORE_CONFLICT));
    check_change(k, work_signing, LPX_SUCCESS);
    kit_turn_until(k, &all.calls, 2);
    kit_turn_until(k, &some.calls, 1);
    assert_int_equal(all.told, 1U << STORE_TOPIC_POLICIES | 1U << STORE_TOPIC_SIGNING);
    assert_int_equal(some.told, 1U << STORE_TOPIC_SIGNING);
    assert_int_equal(atomic_load(&all.calls), 2);
    assert_int_equal(atomic_load(&some.calls), 1);

    store_watch_stop(all.store, &all.watch);
    store_watch_stop(some.store, &some.watch);
    store_watch_stop(some.store, &some.watch);
    store_close(&other);
}

/* One commit of a group tells the topics of all its jobs in one call. */
static void test_feed_of_group(void **state)
{
    kit *k = *state;
    kit_gate gate;
    kit_job jobs[3];
    lpx_err (*const works[])(store_tx *, store_job *) = {work_signing, work_keys_refused, work_policies};
    feed_watch all;
    feed_watch some;
    follow(k, k->store, &some, 1U << STORE_TOPIC_SIGNING | 1U << STORE_TOPIC_KEYS);
    follow(k, k->store, &all, STORE_ALL_TOPICS);
    kit_gate_close(k, &gate, true);
    for (unsigned i = 0; i < 3; i++) {
        kit_job_init(k, &jobs[i], "");
        jobs[i].job.work = works[i];
        kit_submit(k->store, &jobs[i]);
    }
    kit_gate_open(&gate);
    kit_turn_until(k, &k->finished, 4);
    kit_turn_until(k, &all.calls, 1);
    assert_int_equal(all.told, 1U << STORE_TOPIC_POLICIES | 1U << STORE_TOPIC_SIGNING);
    assert_int_equal(some.told, 1U << STORE_TOPIC_SIGNING);
    store_watch_stop(k->store, &all.watch);
    store_watch_stop(k->store, &some.watch);
    kit_exec(k->store, "DELETE FROM settings");
    check_change(k, work_signing, LPX_SUCCESS);
    assert_int_equal(atomic_load(&all.calls), 1);
}

/* A watch may go while it is told, while a call is under way to it, and with its store. */
static void test_feed_stops(void **state)
{
    kit *k = *state;
    static feed_watch watches[3];
    for (unsigned i = 0; i < 3; i++) {
        follow(k, k->store, &watches[i], STORE_ALL_TOPICS);
    }
    watches[0].stop_at_once = true;
    feed_watch *gone = malloc(sizeof *gone);
    follow(k, k->store, gone, STORE_ALL_TOPICS);
    store_feed_tell(&k->store->feed, 1U << STORE_TOPIC_KEYS);
    store_watch_stop(k->store, &gone->watch);
    free(gone);
    kit_turn_until(k, &watches[2].calls, 1);
    store_feed_tell(&k->store->feed, 1U << STORE_TOPIC_SIGNING);
    kit_turn_until(k, &watches[2].calls, 2);
    assert_int_equal(watches[0].told, 1U << STORE_TOPIC_KEYS);
    assert_int_equal(atomic_load(&watches[0].calls), 1);
    assert_int_equal(watches[1].told, 1U << STORE_TOPIC_KEYS | 1U << STORE_TOPIC_SIGNING);
    /* Told, not yet delivered, and the store goes. */
    store_feed_tell(&k->store->feed, 1U << STORE_TOPIC_POLICIES);
    store_close(&k->store);
    io_loop_turn(k->loop, 0);
    assert_int_equal(atomic_load(&watches[2].calls), 2);
}

/* Migrations */

static void test_migrations(void **state)
{
    kit *k = *state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(kit_int(k->store, "SELECT count(*) FROM schema_migrations"), (int)store_migrations_count);
        assert_int_equal(kit_int(k->store, "SELECT min(version) FROM schema_migrations"), 1);
        assert_true(kit_int(k->store, "SELECT min(applied_at) FROM schema_migrations") > 1600000000000000);
        if (i == 0) {
            kit_exec(k->store, "INSERT INTO networks (net_id, created_at, updated_at) VALUES (19, 1, 2)");
            kit_exec(k->store,
                     "INSERT INTO tenants (net_id, tenant_id, created_at, updated_at) VALUES (19, 'a', 1, 2)");
            kit_exec(k->store, "INSERT INTO dev_addr_blocks VALUES (19, 'a', 0, 4294967295, 32, '', 1)");
            store_close(&k->store);
            store_opts opts = kit_opts(k);
            kit_open(k, &opts);
        }
    }
    assert_int_equal(kit_int(k->store, "SELECT net_id FROM tenants WHERE target IS NULL"), 19);
    kit_exec(k->store, "DELETE FROM networks");
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM tenants"), 0);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM dev_addr_blocks"), 0);
}

/* Programs that start together on an empty database. */
static void *open_one(void *arg)
{
    const store_opts *opts = arg;
    store *s = NULL;
    lpx_note note = {""};
    lpx_err err = store_open(opts, &s, &note);
    bool good = !lpx_failed(err) && kit_int(s, "SELECT count(*) FROM networks") == 0;
    if (!good) {
        print_error("%s\n", note.text);
    }
    store_close(&s);
    return good ? arg : NULL;
}

static void open_together(const store_opts *opts)
{
    enum { COUNT = 4 };
    pthread_t threads[COUNT];
    store_opts copy = *opts;
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, open_one, &copy), 0);
    }
    bool good = true;
    for (unsigned i = 0; i < COUNT; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        good = good && result != NULL;
    }
    assert_true(good);
}

static void test_open_together(void **state)
{
    kit *k = *state;
    store_opts opts = kit_opts(k);
    for (unsigned i = 0; i < 10; i++) {
        open_together(&opts);
        if (!kit_postgres) { /* once more from nothing; on a server that costs more than it shows */
            assert_int_equal(unlink(k->path), 0);
        }
    }
}

static void refuse_open(kit *k, const char *reason, const char *words)
{
    store_opts opts = kit_opts(k);
    store *s = NULL;
    lpx_note note = {""};
    lpx_err err = store_open(&opts, &s, &note);
    assert_string_equal(lpx_reason_name(err.reason), reason);
    assert_int_equal(err.code, LPX_FAILED_PRECONDITION);
    assert_non_null(strstr(note.text, words));
    assert_null(s);
}

static void test_changed_migration(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "UPDATE schema_migrations SET checksum = 'other' WHERE version = 1");
    store_close(&k->store);
    refuse_open(k, "STORE_CHANGED_MIGRATION", "Migration 1 ");
}

static void test_missing_migration(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "UPDATE schema_migrations SET version = 0 WHERE version = 1");
    store_close(&k->store);
    refuse_open(k, "STORE_CHANGED_MIGRATION", "Migration 1 ");
}

/* A database of some other program that has a table of the same name. */
static void test_other_schema(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "DROP TABLE schema_migrations");
    kit_exec(k->store, "CREATE TABLE schema_migrations (name TEXT)");
    store_close(&k->store);
    store_opts opts = kit_opts(k);
    opts.report = NULL;
    lpx_note note = {""};
    lpx_err err = store_open(&opts, &k->store, &note);
    assert_reason(err, STORE_FAILED);
    assert_non_null(strstr(note.text, "version"));
}

/* Durability: a program that is killed at any time loses nothing that it acknowledged. */

enum { IN_FLIGHT = 16 };

typedef struct acknowledger {
    kit_job job;
    int fd;
    int *next;
} acknowledger;

static void submit_next(acknowledger *a)
{
    a->job.values[0] = STORE_V_INT((*a->next)++);
    if (lpx_failed(store_submit(a->job.kit->store, &a->job.job))) {
        _exit(3);
    }
}

static void done_acknowledge(store_job *base, lpx_err err)
{
    acknowledger *a = LPX_CONTAINER(base, acknowledger, job.job);
    int number = (int)a->job.values[0].num;
    if (lpx_failed(err) || write(a->fd, &number, sizeof number) != (ssize_t)sizeof number) {
        _exit(4);
    }
    submit_next(a);
}

static _Noreturn void acknowledge_for_ever(kit *k, int fd)
{
    static acknowledger all[IN_FLIGHT];
    int next = 1;
    store_opts opts = kit_opts(k);
    k->loop = io_loop_new(0);
    if (k->loop == NULL || lpx_failed(store_open(&opts, &k->store, NULL))) {
        _exit(2);
    }
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        kit_job_init(k, &all[i].job, "INSERT INTO acknowledged VALUES (?1)");
        all[i].job.count = 1;
        all[i].job.job.done = done_acknowledge;
        all[i].fd = fd;
        all[i].next = &next;
        submit_next(&all[i]);
    }
    io_loop_run(k->loop);
    _exit(5);
}

/* @return the last number that the child acknowledged before it was killed */
static int kill_acknowledger(kit *k, int acknowledged)
{
    int fds[2];
    int last = 0;
    int number = 0;
    int status = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        acknowledge_for_ever(k, fds[1]);
    }
    close(fds[1]);
    bool killed = false;
    while (read(fds[0], &number, sizeof number) == (ssize_t)sizeof number) {
        assert_int_equal(number, last + 1);
        last = number;
        if (!killed && last >= acknowledged) {
            kill(child, SIGKILL);
            killed = true;
        }
    }
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return last;
}

static void test_killed(void **state)
{
    kit *k = *state;
    enum { ROUNDS = 8 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        kit_exec(k->store, "CREATE TABLE acknowledged (a INTEGER PRIMARY KEY)");
        store_close(&k->store);
        io_loop_free(&k->loop);
        int last = kill_acknowledger(k, 1 + (int)(kit_random() % 300));
        k->loop = io_loop_new(0);
        store_opts opts = kit_opts(k);
        kit_open(k, &opts);
        assert_int_equal(kit_int(k->store, "SELECT count(*) - max(a) FROM acknowledged"), 0);
        assert_true(kit_int(k->store, "SELECT max(a) FROM acknowledged") >= last);
        kit_exec(k->store, "DROP TABLE acknowledged");
    }
}

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
#define KIT_TEST_CLOSED(f) cmocka_unit_test_setup_teardown(f, kit_setup_closed, kit_teardown)

int store_common_tests(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_killed),
        KIT_TEST(test_migrations),
        KIT_TEST_CLOSED(test_open_together),
        KIT_TEST(test_changed_migration),
        KIT_TEST(test_missing_migration),
        KIT_TEST(test_other_schema),
        KIT_TEST(test_group),
        KIT_TEST_CLOSED(test_group_wait),
        KIT_TEST_CLOSED(test_group_wait_alone),
        KIT_TEST(test_snapshot),
        KIT_TEST(test_two_nodes),
        KIT_TEST_CLOSED(test_queue_limit),
        KIT_TEST(test_close_with_work),
        KIT_TEST(test_feed),
        KIT_TEST(test_feed_of_group),
        KIT_TEST(test_feed_stops),
        cmocka_unit_test(test_close_nothing),
    };
    return cmocka_run_group_tests_name("common", tests, NULL, NULL);
}
