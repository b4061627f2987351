/* What only SQLite has: files, their modes and bytes, disks that fill up. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lpx_reasons.h"
#include "store/store_priv.h"
#include "store/store_test_kit.h"

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void test_file_modes(void **state)
{
    kit *k = *state;
    char path[160];
    mode_t before = umask(0);
    store_opts opts = kit_opts(k);
    kit_open(k, &opts);
    umask(before);
    assert_int_equal(mode_of(k->path), 0600);
    snprintf(path, sizeof path, "%s-wal", k->path);
    assert_int_equal(mode_of(path), 0600);
    snprintf(path, sizeof path, "%s-shm", k->path);
    assert_int_equal(mode_of(path), 0600);
    store_close(&k->store);
    assert_int_not_equal(access(path, F_OK), 0); /* an orderly end leaves one file */
}

/* The settings that make a commit durable and the process small. */
static lpx_err work_settings(store_tx *tx, store_job *job)
{
    (void)job;
    static const struct {
        const char *sql, *text;
        int64_t number;
    } want[] = {
        {"PRAGMA journal_mode", "wal", 0}, {"PRAGMA synchronous", "", 2},
        {"PRAGMA foreign_keys", "", 1},    {"PRAGMA cache_size", "", -STORE_PAGE_CACHE_KIB},
        {"PRAGMA secure_delete", "", 1},   {"PRAGMA trusted_schema", "", 0},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        store_rows *rows = NULL;
        LPX_TRY(store_query(tx, want[i].sql, NULL, 0, &rows));
        assert_true(store_next(rows));
        assert_int_equal(store_col_int(rows, 0), want[i].number);
        assert_true(lpx_str_is(store_col_text(rows, 0), want[i].text));
        LPX_TRY(store_rows_close(&rows));
    }
    return LPX_SUCCESS;
}

static void test_settings(void **state)
{
    kit *k = *state;
    store_job job = {.write = true, .work = work_settings};
    assert_ok(store_run(k->store, &job));
}

static void check_url(const char *url, const char *reason, const char *words)
{
    store *s = NULL;
    lpx_note note = {""};
    store_opts opts = {.url = url};
    lpx_err err = store_open(&opts, &s, &note);
    assert_string_equal(lpx_reason_name(err.reason), reason);
    assert_non_null(strstr(note.text, words));
}

static void test_urls(void **state)
{
    kit *k = *state;
    char path[160];
    check_url("", "STORE_BAD_URL", "sqlite:/path/file.db");
    check_url("sqlite:", "STORE_BAD_URL", "sqlite:/path/file.db");
    check_url(":memory:", "STORE_BAD_URL", "sqlite:/path/file.db");
    check_url("file:/tmp/x?mode=memory", "STORE_BAD_URL", "sqlite:/path/file.db");
    check_url("mysql://root@localhost/lpx", "STORE_BAD_URL", "postgresql://");
    snprintf(path, sizeof path, "%s/no folder/x.db", k->dir);
    check_url(path, "STORE_CANNOT_OPEN", "No such file or directory");
    check_url(k->dir, "STORE_CANNOT_OPEN", "cannot be opened");
    /* Each form of the same file. */
    static const char *const prefixes[] = {"sqlite:", "sqlite://", ""};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(k->url, sizeof k->url, "%s%s", prefixes[i], k->path);
        store_opts opts = kit_opts(k);
        kit_open(k, &opts);
        if (i == 0) {
            kit_exec(k->store, "INSERT INTO settings VALUES ('a', 'b')");
        }
        assert_int_equal(kit_int(k->store, "SELECT count(*) FROM settings"), 1);
        store_close(&k->store);
    }
}

static void test_other_files(void **state)
{
    kit *k = *state;
    static const char text[] =
        "This is no database, but a text that is longer than the hundred bytes that the header of "
        "such a file would have at its beginning.\n";
    FILE *f = fopen(k->path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
    check_url(k->path, "STORE_CANNOT_OPEN", "not a database");
    char back[256] = "";
    f = fopen(k->path, "r");
    assert_non_null(f);
    assert_int_equal(fread(back, 1, sizeof back, f), sizeof text - 1);
    fclose(f);
    assert_string_equal(back, text);
    /* A file of no bytes is as good as none. */
    assert_int_equal(truncate(k->path, 0), 0);
    store_opts opts = kit_opts(k);
    kit_open(k, &opts);
}

/* Newer version: refused, and not a byte is another */

typedef struct folder {
    size_t count;
    uint64_t bytes;
    uint64_t sum;
} folder;

static void add_file(folder *all, const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int c = fgetc(f); c != EOF; c = fgetc(f)) {
        all->sum = (all->sum ^ (unsigned)c) * 0x100000001b3ULL;
        all->bytes++;
    }
    fclose(f);
}

/* The files of the folder but the shared-memory file, which is an index of the log that each program makes for itself.
 */
static folder look_at(const kit *k)
{
    folder all = {.sum = 1};
    struct dirent **names = NULL;
    int count = scandir(k->dir, &names, NULL, alphasort);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        size_t len = strlen(names[i]->d_name);
        if (names[i]->d_name[0] != '.' && (len < 4 || strcmp(names[i]->d_name + len - 4, "-shm") != 0)) {
            char path[400];
            snprintf(path, sizeof path, "%s/%s", k->dir, names[i]->d_name);
            add_file(&all, path);
            all.count++;
        }
        free(names[i]);
    }
    free(names);
    return all;
}

static void refuse_untouched(kit *k)
{
    folder before = look_at(k);
    check_url(k->path, "STORE_NEWER_VERSION", "version 999 ");
    folder after = look_at(k);
    assert_int_equal(before.count, after.count);
    assert_int_equal(before.bytes, after.bytes);
    assert_true(before.sum == after.sum);
}

static void test_newer_version(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "INSERT INTO schema_migrations VALUES (999, 1, 'newer')");
    store_close(&k->store);
    refuse_untouched(k);
    assert_int_equal(look_at(k).count, 1);
}

/* The newer program was killed: its last commit lies in the log alone. */
static void test_newer_version_in_log(void **state)
{
    kit *k = *state;
    store_close(&k->store);
    folder before = look_at(k);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        store_opts opts = kit_opts(k);
        bool good = !lpx_failed(store_open(&opts, &k->store, NULL)) &&
                    !lpx_failed(kit_try(k->store, "INSERT INTO schema_migrations VALUES (999, 1, 'newer')"));
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(look_at(k).count, before.count + 1);
    refuse_untouched(k);
}

/* Syncs: these take the place of libc's for the engine too */

static atomic_uint syncs;
static atomic_bool syncs_fail;

static int sync_file(int fd, long call)
{
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&syncs_fail)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}

/* No commit without a sync, and not more of them than commits: a group has one. */
static void test_syncs(void **state)
{
    kit *k = *state;
    enum { COUNT = 100 };
    static kit_job jobs[COUNT];
    kit_gate gate;
    kit_exec(k->store, "CREATE TABLE one (a INTEGER PRIMARY KEY)");
    for (unsigned i = 0; i < 10; i++) {
        char sql[64];
        unsigned before = atomic_load(&syncs);
        snprintf(sql, sizeof sql, "INSERT INTO one VALUES (%u)", i + 1000);
        kit_exec(k->store, sql);
        assert_int_equal(atomic_load(&syncs), before + 1);
    }
    kit_gate_close(k, &gate, true);
    for (unsigned i = 0; i < COUNT; i++) {
        kit_job_init(k, &jobs[i], "INSERT INTO one VALUES (?1)");
        jobs[i].values[0] = STORE_V_INT(i);
        jobs[i].count = 1;
        kit_submit(k->store, &jobs[i]);
    }
    unsigned before = atomic_load(&syncs);
    kit_gate_open(&gate);
    kit_turn_until(k, &k->finished, COUNT + 1);
    assert_int_equal(atomic_load(&syncs), before + 1); /* the gate wrote nothing */
}

/* The disk does not say that it has the commit: after a loss of power it may be there or not. */
static void test_failed_sync(void **state)
{
    kit *k = *state;
    kit_exec(k->store, "INSERT INTO settings VALUES ('a', 'b')");
    atomic_store(&syncs_fail, true);
    lpx_err err = kit_try(k->store, "INSERT INTO settings VALUES ('c', 'd')");
    atomic_store(&syncs_fail, false);
    assert_reason(err, STORE_UNKNOWN);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM settings"), 1);
    kit_exec(k->store, "INSERT INTO settings VALUES ('e', 'f')");
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM settings"), 2);
}

/* Full disks */

enum { FULL_JOBS = 8 };

/* One group: small changes, and among them one that needs room. */
static void submit_group(kit *k, kit_job jobs[FULL_JOBS], const uint8_t *room, size_t len)
{
    kit_gate gate;
    unsigned before = atomic_load(&k->finished);
    kit_gate_close(k, &gate, true);
    for (unsigned i = 0; i < FULL_JOBS; i++) {
        kit_job_init(k, &jobs[i], "INSERT INTO rooms VALUES (?1)");
        jobs[i].values[0] = STORE_V_BLOB(lpx_bytes_of(room, i == 4 ? len : 10));
        jobs[i].count = 1;
        kit_submit(k->store, &jobs[i]);
    }
    kit_gate_open(&gate);
    kit_turn_until(k, &k->finished, before + FULL_JOBS + 1);
}

/* A disk that is full fails the whole group, acknowledges nothing, and is no reason to start again when it has room. */
static void fill_up(kit *k, size_t len, void (*set_full)(kit *k, bool full))
{
    kit_job jobs[FULL_JOBS];
    uint8_t *room = calloc(1, len);
    assert_non_null(room);
    kit_exec(k->store, "CREATE TABLE rooms (b BLOB)");
    kit_exec(k->store, "INSERT INTO rooms VALUES (x'01')");
    set_full(k, true);
    for (unsigned round = 0; round < 2; round++) {
        unsigned reports = atomic_load(&k->reports);
        submit_group(k, jobs, room, len);
        for (unsigned i = 0; i < FULL_JOBS; i++) {
            assert_reason(jobs[i].err, STORE_UNAVAILABLE);
        }
        assert_true(atomic_load(&k->reports) > reports);
        assert_int_equal(kit_int(k->store, "SELECT count(*) FROM rooms"), 1);
    }
    set_full(k, false);
    submit_group(k, jobs, room, len);
    for (unsigned i = 0; i < FULL_JOBS; i++) {
        assert_ok(jobs[i].err);
    }
    store_close(&k->store);
    store_opts opts = kit_opts(k);
    kit_open(k, &opts);
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM rooms"), FULL_JOBS + 1);
    free(room);
}

static lpx_err work_limit_pages(store_tx *tx, store_job *base)
{
    kit_job *job = LPX_CONTAINER(base, kit_job, job);
    store_rows *rows = NULL;
    LPX_TRY(store_query(tx, job->sql, NULL, 0, &rows));
    return store_rows_close(&rows);
}

static void limit_pages(kit *k, bool full)
{
    kit_job job = {.sql = full ? "PRAGMA max_page_count = 200" : "PRAGMA max_page_count = 100000",
                   .job = {.write = true, .work = work_limit_pages}};
    assert_ok(store_run(k->store, &job.job));
}

static void test_full_database(void **state)
{
    fill_up(*state, 4 << 20, limit_pages);
}

/* The system refuses to let a file grow: what an engine sees of a disk without room. */
static void limit_files(kit *k, bool full)
{
    (void)k;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 1 << 20 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_full_disk(void **state)
{
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    fill_up(*state, 4 << 20, limit_files);
    signal(SIGXFSZ, before);
}

/* The log is as large as it may be: changes that fit in memory find out at the commit. */
static void limit_log(kit *k, bool full)
{
    char path[160];
    struct stat st;
    struct rlimit limit;
    snprintf(path, sizeof path, "%s-wal", k->path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? (rlim_t)st.st_size : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_full_disk_at_commit(void **state)
{
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    fill_up(*state, 100, limit_log);
    signal(SIGXFSZ, before);
}

/* Another program holds the file for longer than we wait. */
static void test_locked(void **state)
{
    kit *k = *state;
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(k->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_reason(kit_try(k->store, "DELETE FROM settings"), STORE_UNAVAILABLE);
    assert_non_null(strstr(k->report, "locked"));
    assert_int_equal(kit_int(k->store, "SELECT count(*) FROM settings"), 0);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    kit_exec(k->store, "DELETE FROM settings");
    sqlite3_close(other);
}

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
#define KIT_TEST_CLOSED(f) cmocka_unit_test_setup_teardown(f, kit_setup_closed, kit_teardown)

int store_sqlite_tests(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST_CLOSED(test_file_modes),   KIT_TEST(test_settings),
        KIT_TEST_CLOSED(test_urls),         KIT_TEST_CLOSED(test_other_files),
        KIT_TEST(test_newer_version),       KIT_TEST(test_newer_version_in_log),
        KIT_TEST(test_full_database),       KIT_TEST(test_full_disk),
        KIT_TEST(test_full_disk_at_commit), KIT_TEST(test_syncs),
        KIT_TEST(test_failed_sync),         KIT_TEST(test_locked),
    };
    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
