/* What only a server has: sessions that break at the worst moment, and other programs in the same database. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lpx_reasons.h"
#include "store/store_priv.h"
#include "store/store_proxy_test.h"
#include "store/store_test_kit.h"

/* A test behind the proxy. */
typedef struct cut_kit {
    kit *k;
    proxy proxy;
    char direct_url[256];
} cut_kit;

static int cut_setup(void **state)
{
    cut_kit *c = calloc(1, sizeof *c);
    void *inner = NULL;
    kit_setup_closed(&inner);
    c->k = inner;
    snprintf(c->direct_url, sizeof c->direct_url, "%s", c->k->url);
    /* postgresql:///t1?host=FOLDER&user=lpx */
    const char *host = strstr(c->k->url, "host=") + strlen("host=");
    const char *end = strchr(host, '&');
    char folder[128];
    char url[256];
    snprintf(folder, sizeof folder, "%.*s", (int)(end - host), host);
    snprintf(url, sizeof url, "%.*s%s%s", (int)(host - c->k->url), c->k->url, c->k->dir, end);
    snprintf(c->k->url, sizeof c->k->url, "%s", url);
    proxy_start(&c->proxy, c->k->dir, folder);
    store_opts opts = kit_opts(c->k);
    kit_open(c->k, &opts);
    kit_exec(c->k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    *state = c;
    return 0;
}

static int cut_teardown(void **state)
{
    cut_kit *c = *state;
    void *inner = c->k;
    store_close(&c->k->store);
    proxy_stop(&c->proxy);
    free(c);
    return kit_teardown(&inner);
}

/* Number that a query answers on a connection of its own. */
static int64_t ask(const char *url, const char *sql)
{
    PGconn *pg = PQconnectdb(url);
    assert_int_equal(PQstatus(pg), CONNECTION_OK);
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);
    assert_true(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK);
    int64_t number = PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(pg);
    return number;
}

static lpx_err work_refuse(store_tx *tx, store_job *base)
{
    (void)tx;
    (void)base;
    return lpx_err_of(BASE_NO_ROOM);
}

/* Submit two inserts with a refusal between them, as one group. */
static void submit_group(kit *k, kit_gate *gate, kit_job jobs[3], const char *sql)
{
    kit_gate_close(k, gate, true);
    for (unsigned i = 0; i < 3; i++) {
        kit_job_init(k, &jobs[i], sql);
        jobs[i].values[0] = STORE_V_INT(i);
        jobs[i].count = 1;
        jobs[i].job.work = i == 1 ? work_refuse : jobs[i].job.work;
        kit_submit(k->store, &jobs[i]);
    }
}

/* The answer to a commit does not come: it may have happened, and here both ways do. A job that failed by itself saw
 * what may not have happened: it is told that nothing of its own did. */
static void test_commit_unknown(void **state)
{
    cut_kit *c = *state;
    kit *k = c->k;
    static const proxy_cut cuts[] = {PROXY_CUT_BEFORE, PROXY_CUT_AFTER};
    for (unsigned i = 0; i < 2; i++) {
        kit_gate gate;
        kit_job jobs[3];
        unsigned done = atomic_load(&k->finished);
        submit_group(k, &gate, jobs, "INSERT INTO one VALUES (?1)");
        proxy_cut_at(&c->proxy, cuts[i], "COMMIT", 1); /* the first is the gate's own */
        kit_gate_open(&gate);
        kit_turn_until(k, &k->finished, done + 4);
        assert_int_equal(atomic_load(&c->proxy.cuts), i + 1);
        assert_ok(gate.job.err);
        assert_reason(jobs[0].err, STORE_UNKNOWN);
        assert_reason(jobs[1].err, STORE_UNAVAILABLE);
        assert_reason(jobs[2].err, STORE_UNKNOWN);
        assert_non_null(strstr(k->report, "unknown outcome"));
        assert_int_equal(ask(c->direct_url, "SELECT count(*) FROM one"), i == 0 ? 0 : 2);
        kit_exec(k->store, "DELETE FROM one"); /* on a new session */
    }
}

/* Broken anywhere before the commit, the group is run again on a new session, and nobody notices. */
static void test_lost_before_commit(void **state)
{
    cut_kit *c = *state;
    kit *k = c->k;
    static const struct {
        proxy_cut cut;
        const char *text;
        unsigned skip;
    } cases[] = {
        {PROXY_CUT_BEFORE, "BEGIN", 0},      {PROXY_CUT_AFTER, "BEGIN", 0},
        {PROXY_CUT_BEFORE, "SAVEPOINT", 0},  {PROXY_CUT_AFTER, "INSERT INTO one", 0},
        {PROXY_CUT_AFTER, "ROLLBACK TO", 0}, {PROXY_CUT_BEFORE, "RELEASE", 2},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kit_gate gate;
        kit_job jobs[3];
        unsigned done = atomic_load(&k->finished);
        /* The text travels once for each session, when it is prepared: here it is another one each time. */
        char sql[64];
        snprintf(sql, sizeof sql, "INSERT INTO one VALUES (?1 + %u)", i);
        submit_group(k, &gate, jobs, sql);
        proxy_cut_at(&c->proxy, cases[i].cut, cases[i].text, cases[i].skip);
        kit_gate_open(&gate);
        kit_turn_until(k, &k->finished, done + 4);
        assert_int_equal(atomic_load(&c->proxy.cuts), i + 1);
        assert_ok(jobs[0].err);
        assert_reason(jobs[1].err, BASE_NO_ROOM);
        assert_ok(jobs[2].err);
        assert_int_equal(ask(c->direct_url, "SELECT count(*) FROM one"), 2);
        kit_exec(k->store, "DELETE FROM one");
    }
    assert_int_equal(atomic_load(&k->reports), 0);
}

/* A reader's session breaks: read once more on a new one. */
static void test_lost_reader(void **state)
{
    cut_kit *c = *state;
    proxy_cut_at(&c->proxy, PROXY_CUT_AFTER, "READ ONLY", 0);
    assert_int_equal(kit_int(c->k->store, "SELECT count(*) FROM one"), 0);
    assert_int_equal(atomic_load(&c->proxy.cuts), 1);
}

/* No server for a while: jobs fail at once, and when it is back so are we. */
static void test_server_away(void **state)
{
    cut_kit *c = *state;
    kit *k = c->k;
    proxy_refuse(&c->proxy, true);
    proxy_cut_at(&c->proxy, PROXY_CUT_BEFORE, "BEGIN", 0);
    assert_reason(kit_try(k->store, "INSERT INTO one VALUES (1)"), STORE_UNAVAILABLE);
    assert_int_equal(atomic_load(&c->proxy.refused), 1);
    assert_non_null(strstr(k->report, "no connection to the database"));
    /* Not a second attempt for each job. */
    for (unsigned i = 0; i < 20; i++) {
        assert_reason(kit_try(k->store, "INSERT INTO one VALUES (1)"), STORE_UNAVAILABLE);
    }
    assert_true(atomic_load(&c->proxy.refused) < 10);
    assert_int_equal(atomic_load(&k->reports),
                     atomic_load(&c->proxy.refused)); /* one for each attempt, not for each job */
    proxy_refuse(&c->proxy, false);
    lpx_err err = kit_try(k->store, "INSERT INTO one VALUES (1)");
    for (unsigned i = 0; i < 2000 && lpx_failed(err); i++) {
        assert_reason(err, STORE_UNAVAILABLE);
        usleep(5000);
        err = kit_try(k->store, "INSERT INTO one VALUES (1)");
    }
    assert_ok(err);
    assert_int_equal(ask(c->direct_url, "SELECT count(*) FROM one"), 1);
}

/* The change feed */

typedef struct feed_watch {
    store_watch watch;
    uint32_t told;
    atomic_uint calls;
} feed_watch;

static void on_changed(store_watch *base, uint32_t topics)
{
    feed_watch *w = LPX_CONTAINER(base, feed_watch, watch);
    w->told |= topics;
    atomic_fetch_add(&w->calls, 1);
}

/* The session that listens breaks: what was missed is unknown, so everything is told. */
static void test_lost_listener(void **state)
{
    cut_kit *c = *state;
    kit *k = c->k;
    feed_watch w = {.watch = {.topics = STORE_ALL_TOPICS, .home = k->loop, .changed = on_changed}};
    store_watch_start(k->store, &w.watch);
    int64_t ended = ask(c->direct_url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                       "WHERE query LIKE 'LISTEN%' AND datname = current_database()");
    assert_int_equal(ended, 1);
    kit_turn_until(k, &w.calls, 1);
    assert_int_equal(w.told, STORE_ALL_TOPICS);
    /* And the feed goes on; what cannot be read is taken for everything. */
    w.told = 0;
    ask(c->direct_url, "NOTIFY lpx_changes, '4'");
    kit_turn_until(k, &w.calls, 2);
    assert_int_equal(w.told, 1U << STORE_TOPIC_KEYS);
    ask(c->direct_url, "NOTIFY lpx_changes, 'future'");
    kit_turn_until(k, &w.calls, 3);
    assert_int_equal(w.told, STORE_ALL_TOPICS);
    store_watch_stop(k->store, &w.watch);
}

/* Stopping while there is no server does not wait for one. */
static void test_close_without_server(void **state)
{
    cut_kit *c = *state;
    kit *k = c->k;
    proxy_refuse(&c->proxy, true);
    ask(c->direct_url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                       "WHERE pid <> pg_backend_pid() AND datname = current_database()");
    kit_turn_until(k, &c->proxy.refused, 1);
    store_close(&k->store);
}

/* Opening */

static void test_cannot_open(void **state)
{
    kit *k = *state;
    store *s = NULL;
    lpx_note note = {""};
    snprintf(k->url, sizeof k->url, "postgresql://lpx:topsecret@/nothing?host=%s", k->dir);
    store_opts opts = {.url = k->url};
    lpx_err err = store_open(&opts, &s, &note);
    assert_reason(err, STORE_CANNOT_OPEN);
    assert_non_null(strstr(note.text, "No such file or directory"));
    assert_null(strstr(note.text, "topsecret"));
}

static void test_newer_version(void **state)
{
    kit *k = *state;
    store_close(&k->store);
    ask(k->url, "INSERT INTO schema_migrations VALUES (999, 1, 'newer')");
    int64_t before = ask(k->url, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
    store *s = NULL;
    lpx_note note = {""};
    store_opts opts = kit_opts(k);
    lpx_err err = store_open(&opts, &s, &note);
    assert_reason(err, STORE_NEWER_VERSION);
    assert_non_null(strstr(note.text, "version 999 "));
    /* Not one transaction that wrote. */
    assert_true(ask(k->url, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint") == before);
}

/* A database whose default is faster and less careful. */
static void test_durable_session(void **state)
{
    kit *k = *state;
    store_close(&k->store);
    ask(k->url,
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit TO off'; END $$");
    assert_int_equal(ask(k->url, "SELECT (current_setting('synchronous_commit') = 'off')::int"), 1);
    store_opts opts = kit_opts(k);
    kit_open(k, &opts);
    kit_exec(k->store, "CREATE TABLE one (a INTEGER CHECK (a = 1))");
    kit_exec(k->store,
             "INSERT INTO one SELECT CASE WHEN current_setting('synchronous_commit') = 'on' THEN 1 ELSE 0 END");
    kit_exec(k->store, "INSERT INTO one SELECT CASE WHEN current_setting('transaction_isolation') = 'serializable' "
                       "THEN 1 ELSE 0 END");
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM one"), 2);
}

/* Another program locks a table for longer than we wait: one job's trouble, told as such. */
static void test_locked(void **state)
{
    kit *k = *state;
    PGconn *pg = PQconnectdb(k->url);
    PQclear(PQexec(pg, "BEGIN; LOCK TABLE settings"));
    assert_reason(kit_try(k->store, "DELETE FROM settings"), STORE_UNAVAILABLE);
    assert_non_null(strstr(k->report, "55P03"));
    PQfinish(pg);
    kit_exec(k->store, "DELETE FROM settings");
}

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
#define KIT_TEST_CLOSED(f) cmocka_unit_test_setup_teardown(f, kit_setup_closed, kit_teardown)
#define CUT_TEST(f) cmocka_unit_test_setup_teardown(f, cut_setup, cut_teardown)

int store_postgres_tests(void)
{
    const struct CMUnitTest tests[] = {
        CUT_TEST(test_commit_unknown),     CUT_TEST(test_lost_before_commit),
        CUT_TEST(test_lost_reader),        CUT_TEST(test_server_away),
        CUT_TEST(test_lost_listener),      CUT_TEST(test_close_without_server),
        KIT_TEST_CLOSED(test_cannot_open), KIT_TEST(test_newer_version),
        KIT_TEST(test_durable_session),    KIT_TEST(test_locked),
    };
    return cmocka_run_group_tests_name("postgres", tests, NULL, NULL);
}
