/* Statements, values and errors: the same on both engines. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "lpx_reasons.h"
#include "store/cache.h"
#include "store/store_priv.h"
#include "store/store_test_kit.h"

/* Run work inside one job, now. */
static lpx_err run_work(kit *k, bool write, lpx_err (*work)(store_tx *tx, store_job *job))
{
    store_job job = {.write = write, .work = work};
    return store_run(k->store, &job);
}

static const uint8_t some_bytes[] = {0, 1, 0xff, '\'', 0};

static lpx_err insert_values(store_tx *tx, store_job *job)
{
    (void)job;
    store_value row[] = {STORE_V_INT(1), STORE_V_INT(INT64_MIN),
                         STORE_V_TEXT(LPX_STR("Zo\xc3\xab 'quoted' ?1 \xf0\x9f\x90\x9f")),
                         STORE_V_BLOB(lpx_bytes_of(some_bytes, sizeof some_bytes)), STORE_V_REAL(-0.1)};
    LPX_TRY(store_exec(tx, "INSERT INTO v (k, i, t, b, r) VALUES (?1, ?2, ?3, ?4, ?5)", row, 5, NULL));
    store_value empty[] = {STORE_V_INT(2), STORE_V_INT(INT64_MAX), STORE_V_TEXT(((lpx_str){NULL, 0})),
                           STORE_V_BLOB(((lpx_bytes){NULL, 0})), STORE_V_REAL(0)};
    LPX_TRY(store_exec(tx, "INSERT INTO v (k, i, t, b, r) VALUES (?1, ?2, ?3, ?4, ?5)", empty, 5, NULL));
    store_value null[] = {STORE_V_INT(3), STORE_V_NULL, STORE_V_NULL, STORE_V_NULL, STORE_V_NULL};
    return store_exec(tx, "INSERT INTO v (k, i, t, b, r) VALUES (?1, ?2, ?3, ?4, ?5)", null, 5, NULL);
}

static void check_first_row(store_rows *rows)
{
    assert_true(store_col_int(rows, 0) == INT64_MIN);
    assert_true(lpx_str_is(store_col_text(rows, 1), "Zo\xc3\xab 'quoted' ?1 \xf0\x9f\x90\x9f"));
    assert_true(lpx_bytes_equal(store_col_blob(rows, 2), lpx_bytes_of(some_bytes, sizeof some_bytes)));
    assert_true(store_col_real(rows, 3) == -0.1);
    for (unsigned i = 0; i < 4; i++) {
        assert_false(store_col_null(rows, i));
    }
    /* Another type than the column's. */
    assert_int_equal(store_col_text(rows, 0).len, 0);
    assert_int_equal(store_col_int(rows, 1), 0);
    assert_int_equal(store_col_text(rows, 2).len, 0);
    assert_int_equal(store_col_blob(rows, 1).len, 0);
    assert_true(store_col_real(rows, 0) == 0);
    /* No such column. */
    assert_true(store_col_null(rows, 4));
    assert_int_equal(store_col_int(rows, 4000000000U), 0);
}

static void check_empty_row(store_rows *rows, bool null)
{
    assert_true(store_col_int(rows, 0) == (null ? 0 : INT64_MAX));
    assert_int_equal(store_col_text(rows, 1).len, 0);
    assert_int_equal(store_col_blob(rows, 2).len, 0);
    assert_true(store_col_real(rows, 3) == 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(store_col_null(rows, i), null);
    }
}

static lpx_err read_values(store_tx *tx, store_job *job)
{
    (void)job;
    store_rows *rows = NULL;
    LPX_TRY(store_query(tx, "SELECT i, t, b, r FROM v ORDER BY k", NULL, 0, &rows));
    assert_true(store_next(rows));
    check_first_row(rows);
    assert_true(store_next(rows));
    check_empty_row(rows, false);
    assert_true(store_next(rows));
    check_empty_row(rows, true);
    assert_false(store_next(rows));
    assert_false(store_next(rows));
    return store_rows_close(&rows);
}

static void test_values(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE v (k INTEGER PRIMARY KEY, i INTEGER, t TEXT, b BLOB, r REAL)");
    assert_ok(run_work(k, true, insert_values));
    assert_ok(run_work(k, false, read_values));
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM v WHERE t = ''"), 1);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM v WHERE t IS NULL"), 1);
}

static lpx_err work_big(store_tx *tx, store_job *base)
{
    kit_job *job = LPX_CONTAINER(base, kit_job, job);
    store_rows *rows = NULL;
    LPX_TRY(store_exec(tx, "INSERT INTO big VALUES (?1)", job->values, 1, NULL));
    LPX_TRY(store_query(tx, "SELECT b FROM big", NULL, 0, &rows));
    assert_true(store_next(rows));
    assert_true(lpx_bytes_equal(store_col_blob(rows, 0), job->values[0].bytes));
    return store_rows_close(&rows);
}

static void test_big_blobs(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE big (b BLOB)");
    uint8_t *big = malloc(STORE_MAX_VALUE_BYTES + 1);
    assert_non_null(big);
    for (size_t i = 0; i <= STORE_MAX_VALUE_BYTES; i++) {
        big[i] = (uint8_t)(i * 2654435761U >> 13);
    }
    kit_job job = {.job = {.write = true, .work = work_big}, .values = {STORE_V_BLOB(lpx_bytes_of(big, 17 << 20))}};
    assert_ok(store_run(k->store, &job.job));
    job.values[0].bytes.len = STORE_MAX_VALUE_BYTES + 1;
    assert_reason(store_run(k->store, &job.job), STORE_TOO_LARGE);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM big"), 1);
    free(big);
}

static void check_text(kit *k, lpx_str text, bool good)
{
    kit_job job;
    kit_job_init(k, &job, "INSERT INTO texts VALUES (?1)");
    job.values[0] = STORE_V_TEXT(text);
    job.count = 1;
    lpx_err err = store_run(k->store, &job.job);
    if (good) {
        assert_ok(err);
    } else {
        assert_reason(err, STORE_BAD_TEXT);
    }
}

static void test_bad_text(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE texts (t TEXT)");
    check_text(k, LPX_STR("a\xc3\xab"), true);
    check_text(k, LPX_STR("a\0b"), false);
    check_text(k, LPX_STR("a\xc3"), false);
    check_text(k, LPX_STR("\xed\xa0\x80"), false);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM texts"), 1);
}

static void test_errors(void **state)
{
    kit *k = *state;
    store *s = k->store;
    kit_exec(s, "CREATE TABLE p (a INTEGER PRIMARY KEY, u TEXT UNIQUE, n INTEGER NOT NULL CHECK (n > 0))");
    kit_exec(s, "CREATE TABLE c (a INTEGER REFERENCES p (a))");
    kit_exec(s, "INSERT INTO p VALUES (1, 'x', 1)");
    assert_reason(kit_try(s, "INSERT INTO p VALUES (1, 'y', 1)"), STORE_CONFLICT);
    assert_reason(kit_try(s, "INSERT INTO p VALUES (2, 'x', 1)"), STORE_CONFLICT);
    assert_reason(kit_try(s, "INSERT INTO c VALUES (7)"), STORE_CONFLICT);
    kit_exec(s, "INSERT INTO c VALUES (1)");
    assert_reason(kit_try(s, "DELETE FROM p"), STORE_CONFLICT);
    assert_int_equal(atomic_load(&k->reports), 0); /* conflicts are nothing to log */
    assert_reason(kit_try(s, "INSERT INTO p (a, u) VALUES (3, 'z')"), STORE_FAILED);
    assert_int_equal(atomic_load(&k->reports), 1);
    assert_reason(kit_try(s, "INSERT INTO p VALUES (3, 'z', 0)"), STORE_FAILED);
    assert_reason(kit_try(s, "INSERT INTO nowhere VALUES (3)"), STORE_FAILED);
    assert_reason(kit_try(s, "INSRT"), STORE_FAILED);
    assert_reason(kit_try(s, ""), STORE_FAILED);
    assert_reason(kit_try(s, "INSERT INTO c VALUES (?1)"), STORE_FAILED);
    assert_reason(kit_try(s, "DELETE FROM c; DELETE FROM p"), STORE_FAILED);
    assert_int_equal(kit_int(s, "SELECT count(*) FROM c"), 1);
    assert_int_equal(kit_int(s, "SELECT count(*) FROM p"), 1);
    assert_int_equal(kit_int(s, "SELECT sum(n) FROM p"), 1);
}

/* More than a statement may have. */
static void test_limits(void **state)
{
    kit *k = *state;
    kit_job job;
    static char sql[STORE_MAX_SQL_BYTES + 1];
    memset(sql, ' ', STORE_MAX_SQL_BYTES);
    memcpy(sql, "SELECT 7", 8);
    kit_job_init(k, &job, sql);
    assert_reason(store_run(k->store, &job.job), STORE_FAILED);
    assert_non_null(strstr(k->report, "more than"));
    sql[STORE_MAX_SQL_BYTES - 1] = '\0';
    assert_ok(store_run(k->store, &job.job));
    assert_int_equal(job.number, 7);
    job.count = STORE_MAX_VALUES + 1;
    assert_reason(store_run(k->store, &job.job), STORE_FAILED);
}

/* The second row has no result: rows end early, and the job with them. */
static lpx_err work_bad_row(store_tx *tx, store_job *job)
{
    (void)job;
    store_rows *rows = NULL;
    lpx_err query_err = store_query(tx, "SELECT abs(a) FROM numbers ORDER BY b", NULL, 0, &rows);
    if (kit_postgres) { /* all rows are made at once */
        assert_reason(query_err, STORE_FAILED);
        return LPX_SUCCESS;
    }
    assert_ok(query_err);
    assert_true(store_next(rows));
    assert_false(store_next(rows));
    assert_false(store_next(rows));
    lpx_err err = store_rows_close(&rows);
    assert_reason(err, STORE_FAILED);
    assert_non_null(strstr(store_tx_error(tx), "overflow"));
    return LPX_SUCCESS;
}

static void test_bad_row(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE numbers (a INTEGER, b INTEGER UNIQUE)");
    kit_exec(k->store, "INSERT INTO numbers VALUES (-5, 1), (-9223372036854775808, 2), (-6, 3)");
    assert_reason(run_work(k, false, work_bad_row), STORE_FAILED);
}

/* What is found only at the commit fails the group, and nothing else. */
static void test_late_conflict(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE p (a INTEGER PRIMARY KEY)");
    kit_exec(k->store, "CREATE TABLE c (a INTEGER REFERENCES p (a) DEFERRABLE INITIALLY DEFERRED)");
    assert_reason(kit_try(k->store, "INSERT INTO c VALUES (1)"), STORE_UNAVAILABLE);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM c"), 0);
    kit_exec(k->store, "INSERT INTO p VALUES (1)");
    kit_exec(k->store, "INSERT INTO c VALUES (1)");
}

/* The first error is the job's, whatever work makes of it. */
static lpx_err work_swallow(store_tx *tx, store_job *job)
{
    (void)job;
    lpx_err err = store_exec(tx, "INSERT INTO one VALUES (2)", NULL, 0, NULL);
    assert_ok(err);
    err = store_exec(tx, "INSERT INTO one VALUES (1)", NULL, 0, NULL);
    assert_reason(err, STORE_CONFLICT);
    assert_true(strlen(store_tx_error(tx)) > 0);
    err = store_exec(tx, "INSERT INTO one VALUES (3)", NULL, 0, NULL);
    assert_reason(err, STORE_CONFLICT);
    return LPX_SUCCESS;
}

static lpx_err work_upsert(store_tx *tx, store_job *job)
{
    (void)job;
    int64_t changed = -1;
    store_value one = STORE_V_INT(1);
    LPX_TRY(store_exec(tx, "INSERT INTO one VALUES (?1) ON CONFLICT DO NOTHING", &one, 1, &changed));
    assert_int_equal(changed, 0);
    LPX_TRY(store_exec(tx, "INSERT INTO one VALUES (?1) ON CONFLICT (a) DO UPDATE SET a = excluded.a + 9", &one, 1,
                       &changed));
    assert_int_equal(changed, 1);
    LPX_TRY(store_exec(tx, "INSERT INTO one VALUES (?1), (?1 + 1)", &one, 1, &changed));
    assert_int_equal(changed, 2);
    LPX_TRY(store_exec(tx, "UPDATE one SET a = a + 100 WHERE a > ?1", &one, 1, &changed));
    assert_int_equal(changed, 2);
    LPX_TRY(store_exec(tx, "SELECT a FROM one WHERE a > ?1", &one, 1, &changed));
    assert_int_equal(changed, 0);
    LPX_TRY(store_exec(tx, "CREATE TABLE two (a INTEGER)", NULL, 0, &changed));
    assert_int_equal(changed, 0);
    LPX_TRY(store_exec(tx, "DELETE FROM one WHERE a = ?1 RETURNING a", &one, 1, &changed));
    assert_int_equal(changed, 1);
    return LPX_SUCCESS;
}

static lpx_err work_returning(store_tx *tx, store_job *job)
{
    (void)job;
    store_rows *rows = NULL;
    /* The rows are not read: the statement has done its work all the same. */
    LPX_TRY(store_query(tx, "INSERT INTO one VALUES (5), (6) RETURNING a + 1", NULL, 0, &rows));
    LPX_TRY(store_rows_close(&rows));
    LPX_TRY(store_query(tx, "UPDATE one SET a = 7 WHERE a = 5 RETURNING a", NULL, 0, &rows));
    assert_true(store_next(rows));
    assert_int_equal(store_col_int(rows, 0), 7);
    assert_false(store_next(rows));
    LPX_TRY(store_rows_close(&rows));
    lpx_err err = store_query(tx, "INSERT INTO one VALUES (6) RETURNING a", NULL, 0, &rows);
    assert_reason(err, STORE_CONFLICT);
    return err;
}

static void test_failed_job(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    kit_exec(k->store, "INSERT INTO one VALUES (1)");
    assert_reason(run_work(k, true, work_swallow), STORE_CONFLICT);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM one"), 1);
    assert_reason(run_work(k, true, work_returning), STORE_CONFLICT);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM one"), 1);
    assert_ok(run_work(k, true, work_upsert));
}

static lpx_err work_write(store_tx *tx, store_job *job)
{
    (void)job;
    return store_exec(tx, "INSERT INTO settings VALUES ('a', 'b')", NULL, 0, NULL);
}

static void test_readers_do_not_write(void **state)
{
    kit *k = *state;
    assert_reason(run_work(k, false, work_write), STORE_FAILED);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM settings"), 0);
    assert_ok(run_work(k, true, work_write));
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM settings"), 1);
}

static lpx_err read_texts(store_tx *tx, store_job *job)
{
    (void)job;
    static const char *const want[] = {"", "B", "a", "a b", "aB", "ab", "\xc3\xa4"};
    store_rows *rows = NULL;
    LPX_TRY(store_query(tx, "SELECT t FROM texts ORDER BY t", NULL, 0, &rows));
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_true(store_next(rows));
        assert_true(lpx_str_is(store_col_text(rows, 0), want[i]));
    }
    assert_false(store_next(rows));
    return store_rows_close(&rows);
}

static void test_order_of_text(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE texts (t TEXT NOT NULL PRIMARY KEY)");
    kit_exec(k->store, "INSERT INTO texts VALUES ('aB'), ('a'), ('\xc3\xa4'), ('B'), ('ab'), (''), ('a b')");
    assert_ok(run_work(k, false, read_texts));
}

/* Pairs of numbers by the same query inside itself, while others write what it does not see. */
static lpx_err work_nested(store_tx *tx, store_job *job)
{
    (void)job;
    static const char *const sql = "SELECT a FROM one ORDER BY a";
    store_rows *outer = NULL;
    unsigned pairs = 0;
    LPX_TRY(store_query(tx, sql, NULL, 0, &outer));
    while (store_next(outer)) {
        store_rows *inner = NULL;
        int64_t a = store_col_int(outer, 0);
        LPX_TRY(store_query(tx, sql, NULL, 0, &inner));
        while (store_next(inner)) {
            pairs++;
        }
        LPX_TRY(store_rows_close(&inner));
        assert_int_equal(store_col_int(outer, 0), a);
    }
    LPX_TRY(store_rows_close(&outer));
    assert_int_equal(pairs, 9);
    /* Given up early, and then once more from the start. */
    LPX_TRY(store_query(tx, sql, NULL, 0, &outer));
    assert_true(store_next(outer));
    LPX_TRY(store_rows_close(&outer));
    LPX_TRY(store_query(tx, sql, NULL, 0, &outer));
    assert_true(store_next(outer));
    assert_int_equal(store_col_int(outer, 0), 1);
    return store_rows_close(&outer);
}

/* More statements than a connection keeps prepared, twice. */
static lpx_err work_many_statements(store_tx *tx, store_job *job)
{
    (void)job;
    for (int i = 0; i < 2 * (STORE_MAX_STATEMENTS + 20); i++) {
        char sql[64];
        int n = i % (STORE_MAX_STATEMENTS + 20);
        store_rows *rows = NULL;
        store_value value = i % 2 == 0 ? STORE_V_INT(n) : STORE_V_NULL;
        snprintf(sql, sizeof sql, "SELECT COALESCE(CAST(?1 AS INTEGER), 5) + %d", n);
        LPX_TRY(store_query(tx, sql, &value, 1, &rows));
        assert_true(store_next(rows));
        assert_int_equal(store_col_int(rows, 0), i % 2 == 0 ? 2 * n : n + 5);
        LPX_TRY(store_rows_close(&rows));
    }
    return LPX_SUCCESS;
}

static void test_statements(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    kit_exec(k->store, "INSERT INTO one VALUES (1), (2), (3)");
    assert_ok(run_work(k, false, work_nested));
    assert_ok(run_work(k, true, work_nested));
    assert_ok(run_work(k, false, work_many_statements));
    assert_ok(run_work(k, false, work_nested));
}

static lpx_err work_sums(store_tx *tx, store_job *job)
{
    (void)job;
    static const int64_t want[] = {0, 7, -7, 10000, -123456789012, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        store_rows *rows = NULL;
        store_value value = STORE_V_INT(want[i]);
        LPX_TRY(store_exec(tx, "DELETE FROM one", NULL, 0, NULL));
        LPX_TRY(store_exec(tx, "INSERT INTO one VALUES (?1)", &value, 1, NULL));
        LPX_TRY(store_query(tx, "SELECT sum(a), max(a), count(*), 5, CAST(1 AS REAL), 2 > 1 FROM one", NULL, 0, &rows));
        assert_true(store_next(rows));
        assert_true(store_col_int(rows, 0) == want[i]);
        assert_true(store_col_int(rows, 1) == want[i]);
        assert_int_equal(store_col_int(rows, 2), 1);
        assert_int_equal(store_col_int(rows, 3), 5);
        assert_true(store_col_real(rows, 4) == 1);
        assert_int_equal(store_col_int(rows, 5), 1);
        LPX_TRY(store_rows_close(&rows));
    }
    return LPX_SUCCESS;
}

static void test_sums(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    assert_ok(run_work(k, true, work_sums));
}

static void check_dialect(const char *sql, const char *want)
{
    lpx_buf out;
    lpx_buf_init(&out, 4096);
    bool good = store_dialect_postgres(sql, &out);
    assert_int_equal(good, want != NULL);
    if (good) {
        assert_true(lpx_str_is(lpx_bytes_str(lpx_buf_view(&out)), want));
    }
    lpx_buf_fini(&out);
}

static void test_dialect(void **state)
{
    (void)state;
    check_dialect("", "");
    check_dialect("SELECT ?1, ?12 FROM t", "SELECT $1, $12 FROM t");
    check_dialect("SELECT '?1', '''?1', \"?1\", ?1", "SELECT '?1', '''?1', \"?1\", $1");
    check_dialect("SELECT 1 -- ?1 INTEGER '\n, ?1", "SELECT 1 -- ?1 INTEGER '\n, $1");
    check_dialect("SELECT 1 -- ?1", "SELECT 1 -- ?1");
    check_dialect("SELECT /* ?1 ' BLOB */ ?1 / ?2 - ?3", "SELECT /* ?1 ' BLOB */ $1 / $2 - $3");
    check_dialect("SELECT CAST(?1 AS INTEGER), CAST(?2 AS TEXT)", "SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT)");
    check_dialect("SELECT INTEGERS, BLOB_1, integer, MY_REAL", "SELECT INTEGERS, BLOB_1, integer, MY_REAL");
    check_dialect("CREATE TABLE t (a INTEGER, b BLOB, c REAL, d TEXT DEFAULT 'TEXT')",
                  "CREATE TABLE t (a BIGINT, b BYTEA, c DOUBLE PRECISION, d TEXT COLLATE \"C\" DEFAULT 'TEXT')");
    check_dialect("-- a\nALTER TABLE t ADD a TEXT; SELECT CAST(1 AS TEXT); /* b */ CREATE TABLE u (a TEXT)",
                  "-- a\nALTER TABLE t ADD a TEXT COLLATE \"C\"; SELECT CAST(1 AS TEXT); "
                  "/* b */ CREATE TABLE u (a TEXT COLLATE \"C\")");
    check_dialect("SELECT ?", NULL);
    check_dialect("SELECT ?a", NULL);
    check_dialect("SELECT 'open", NULL);
    check_dialect("SELECT \"open", NULL);
    check_dialect("SELECT /* open", NULL);
}

static void test_cache(void **state)
{
    (void)state;
    store_cache cache = {0};
    char sql[32];
    for (uintptr_t i = 1; i <= STORE_MAX_STATEMENTS; i++) {
        snprintf(sql, sizeof sql, "S%zu", i);
        store_slot *slot = store_cache_oldest(&cache);
        assert_null(slot->key);
        assert_true(store_cache_put(&cache, slot, "it", sql, (void *)i));
    }
    assert_null(store_cache_find(&cache, "i", "S1"));
    assert_null(store_cache_find(&cache, "it", "S"));
    assert_null(store_cache_find(&cache, "", "it:S1"));
    store_slot *first = store_cache_find(&cache, "it", "S1");
    assert_ptr_equal(first->statement, (void *)1);
    /* S1 was used just now and S2 is open: S3 is the oldest. */
    store_slot *second = store_cache_find(&cache, "it", "S2");
    second->last_use = 0;
    second->busy = true;
    assert_null(store_cache_find(&cache, "it", "S2"));
    assert_ptr_equal(store_cache_oldest(&cache)->statement, (void *)3);
    for (size_t i = 0; i < STORE_MAX_STATEMENTS; i++) {
        cache.slots[i].busy = true;
    }
    assert_null(store_cache_oldest(&cache));
    for (size_t i = 0; i < STORE_MAX_STATEMENTS; i++) {
        store_cache_drop(&cache.slots[i]);
    }
    assert_null(store_cache_oldest(&cache)->key);
}

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int store_sql_tests(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_values),          KIT_TEST(test_big_blobs),     KIT_TEST(test_bad_text),
        KIT_TEST(test_errors),          KIT_TEST(test_limits),        KIT_TEST(test_bad_row),
        KIT_TEST(test_late_conflict),   KIT_TEST(test_failed_job),    KIT_TEST(test_readers_do_not_write),
        KIT_TEST(test_order_of_text),   KIT_TEST(test_statements),    KIT_TEST(test_sums),
        cmocka_unit_test(test_dialect), cmocka_unit_test(test_cache),
    };
    return cmocka_run_group_tests_name("sql", tests, NULL, NULL);
}
