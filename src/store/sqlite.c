/* The SQLite engine: one file in write-ahead mode with synchronous=FULL, so that a commit that was answered survives
 * the loss of power. The store has one connection that writes; those that read may not. Each connection is used by who
 * holds its lock, so SQLite's own mutexes are off. Drawbacks: changes made by another process are not in the change
 * feed; the file must lie on a local disk. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "store/cache.h"
#include "store/store_priv.h"

typedef struct sqlite_conn {
    store_conn base;
    sqlite3 *db;
    store_cache cache;
} sqlite_conn;

typedef struct sqlite_rows {
    store_rows base;
    sqlite_conn *conn;
    sqlite3_stmt *stmt;
    store_slot *slot; /* NULL: the statement is not in the cache */
    int ahead;        /* outcome of the step that store_next tells next */
} sqlite_rows;

static sqlite_conn *of(store_conn *conn)
{
    return LPX_CONTAINER(conn, sqlite_conn, base);
}

/* Does the error concern the statement alone? The others end the transaction, for all its jobs. */
static bool is_of_statement(const sqlite_conn *c, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
    case SQLITE_AUTH:
        return true;
    case SQLITE_READONLY:
        return c->base.mode == STORE_MODE_READ;
    default:
        return false;
    }
}

static lpx_err fail(sqlite_conn *c, int rc)
{
    store_conn_note(&c->base, "%s (SQLite %d)", sqlite3_errmsg(c->db), rc);
    /* Some errors roll back the whole transaction on their own. */
    if (!is_of_statement(c, rc) || sqlite3_get_autocommit(c->db) != 0) {
        c->base.trouble = STORE_BROKEN;
        return lpx_err_of(STORE_UNAVAILABLE);
    }
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return lpx_err_of(STORE_CONFLICT);
    case SQLITE_TOOBIG:
        return lpx_err_of(STORE_TOO_LARGE);
    default:
        return lpx_err_of(STORE_FAILED);
    }
}

static lpx_err refuse(sqlite_conn *c, const char *why)
{
    store_conn_note(&c->base, "%s", why);
    return lpx_err_of(STORE_FAILED);
}

/* Opening and closing */

static bool is_blank(const char *sql)
{
    return sql[strspn(sql, " \t\r\n;")] == '\0';
}

static lpx_err prepare(sqlite_conn *c, const char *sql, unsigned flags, sqlite3_stmt **out)
{
    sqlite3_stmt *stmt = NULL;
    const char *tail = NULL;
    int rc = sqlite3_prepare_v3(c->db, sql, -1, flags, &stmt, &tail);
    if (rc != SQLITE_OK) {
        return fail(c, rc);
    }
    if (stmt == NULL || !is_blank(tail)) {
        sqlite3_finalize(stmt);
        return refuse(c, "the text holds no statement or more than one");
    }
    *out = stmt;
    return LPX_SUCCESS;
}

static int run(sqlite_conn *c, const char *sql)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

/* A file that is not there is made here, so that nobody else can read it from its first moment; SQLite gives the files
 * beside it the same mode. */
static int create_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == EEXIST ? 0 : -1;
    }
    close(fd);
    char folder[STORE_MAX_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    snprintf(slash != NULL ? slash + 1 : folder, 3, "."); /* always fits: it replaces a name */
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return 0; /* the entry of the new file is then as durable as the folder lets it be */
    }
    fsync(dir);
    close(dir);
    return 0;
}

/* URI of a file that nobody has open, read without leaving traces beside it. */
static char *immutable_uri(const char *path)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char start[] = "file:";
    static const char end[] = "?immutable=1";
    char *uri = malloc(sizeof start + 3 * strlen(path) + sizeof end);
    if (uri == NULL) {
        return NULL;
    }
    char *at = uri + sprintf(uri, "%s", start);
    for (; *path != '\0'; path++) {
        unsigned char ch = (unsigned char)*path;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '/' ||
                     ch == '.' || ch == '-' || ch == '_';
        if (plain) {
            *at++ = (char)ch;
            continue;
        }
        *at++ = '%';
        *at++ = hex[ch >> 4];
        *at++ = hex[ch & 15];
    }
    sprintf(at, "%s", end);
    return uri;
}

/* A probe reads the file as it is. With a write-ahead log beside it, that log counts too and must be read the usual
 * way, which changes neither of the two. */
static int open_probe(const char *path, sqlite3 **db)
{
    char log[STORE_MAX_PATH_BYTES + 8];
    snprintf(log, sizeof log, "%s-wal", path);
    if (access(log, F_OK) == 0) {
        return sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    }
    char *uri = immutable_uri(path);
    if (uri == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = sqlite3_open_v2(
        uri, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE, NULL);
    free(uri);
    return rc;
}

static int open_file(const char *path, store_role role, sqlite3 **db)
{
    if (role == STORE_ROLE_PROBE) {
        return open_probe(path, db);
    }
    return sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
}

static int set_up(sqlite_conn *c, store_role role)
{
    sqlite3_busy_timeout(c->db, STORE_BUSY_WAIT_MS);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    char pragmas[512];
    snprintf(
        pragmas, sizeof pragmas,
        "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -%d;",
        STORE_PAGE_CACHE_KIB);
    int rc = run(c, pragmas);
    if (rc == SQLITE_OK && role == STORE_ROLE_READER) {
        rc = run(c, "PRAGMA query_only = ON");
    }
    if (rc == SQLITE_OK && role == STORE_ROLE_WRITER) {
        /* Keys and hashes that were deleted are overwritten. */
        snprintf(pragmas, sizeof pragmas,
                 "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = %d;",
                 STORE_LOG_KEEP_BYTES);
        rc = run(c, pragmas);
    }
    return rc;
}

/* @return SQLITE_OK; SQLITE_BUSY when other programs do the same at this moment; another code otherwise */
static int try_log_mode(sqlite_conn *c)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
    if (rc == SQLITE_ROW) {
        bool on = sqlite3_stricmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
        rc = on ? SQLITE_OK : SQLITE_CANTOPEN;
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* A new file changes its mode once, and for that SQLite's own waiting does not work. */
static lpx_err set_log_mode(sqlite_conn *c, const char *path, lpx_note *note)
{
    int rc = try_log_mode(c);
    for (unsigned waited_ms = 0; (rc & 0xff) == SQLITE_BUSY && waited_ms < STORE_BUSY_WAIT_MS; waited_ms++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        rc = try_log_mode(c);
    }
    if (rc != SQLITE_OK) {
        return lpx_fail(
            note, STORE_CANNOT_OPEN,
            "The database %s cannot use a write-ahead log (%s): it must be a file on a local disk that no other "
            "program has locked.",
            path, sqlite3_errstr(rc));
    }
    return LPX_SUCCESS;
}

static void sqlite_disconnect(store_conn *conn)
{
    sqlite_conn *c = of(conn);
    for (size_t i = 0; i < STORE_MAX_STATEMENTS; i++) {
        sqlite3_finalize(c->cache.slots[i].statement);
        store_cache_drop(&c->cache.slots[i]);
    }
    int rc = sqlite3_close(c->db);
    lpx_assert(rc == SQLITE_OK); /* all statements are ended */
    pthread_mutex_destroy(&conn->lock);
    free(c);
}

static lpx_err sqlite_connect(const char *path, store_role role, store_conn **out, lpx_note *note)
{
    struct stat st;
    bool there = stat(path, &st) == 0 && st.st_size > 0;
    if (role == STORE_ROLE_PROBE && !there) {
        *out = NULL;
        return LPX_SUCCESS;
    }
    if (role == STORE_ROLE_WRITER && create_private(path) != 0) {
        return lpx_fail(note, STORE_CANNOT_OPEN, "The database %s cannot be made: %s.", path, strerror(errno));
    }
    sqlite_conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_conn_init(&c->base, &store_sqlite);
    int rc = open_file(path, role, &c->db);
    rc = rc == SQLITE_OK ? set_up(c, role) : rc;
    lpx_err err = LPX_SUCCESS;
    if (rc != SQLITE_OK) {
        err = lpx_fail(note, STORE_CANNOT_OPEN, "The database %s cannot be opened: %s.", path, sqlite3_errmsg(c->db));
    } else if (role == STORE_ROLE_WRITER) {
        err = set_log_mode(c, path, note);
    }
    if (lpx_failed(err)) {
        sqlite_disconnect(&c->base);
        return err;
    }
    *out = &c->base;
    return LPX_SUCCESS;
}

/* Transactions */

static lpx_err run_in_tx(store_conn *conn, const char *sql)
{
    sqlite_conn *c = of(conn);
    int rc = run(c, sql);
    if (rc == SQLITE_OK) {
        return LPX_SUCCESS;
    }
    store_conn_note(conn, "%s (SQLite %d)", sqlite3_errmsg(c->db), rc);
    conn->trouble = STORE_BROKEN;
    return lpx_err_of(STORE_UNAVAILABLE);
}

static lpx_err sqlite_begin(store_conn *conn, store_mode mode)
{
    conn->mode = mode;
    return run_in_tx(conn, mode == STORE_MODE_READ ? "BEGIN" : "BEGIN IMMEDIATE");
}

static void sqlite_rollback(store_conn *conn)
{
    sqlite_conn *c = of(conn);
    if (sqlite3_get_autocommit(c->db) == 0) {
        run(c, "ROLLBACK");
    }
}

static lpx_err sqlite_commit(store_conn *conn, uint32_t topics)
{
    (void)topics;
    sqlite_conn *c = of(conn);
    int rc = run(c, "COMMIT");
    if (rc == SQLITE_OK) {
        return LPX_SUCCESS;
    }
    store_conn_note(conn, "%s (SQLite %d)", sqlite3_errmsg(c->db), rc);
    /* The disk did not say whether it has the end of the log: after a loss of power the commit may be there. */
    conn->trouble = rc == SQLITE_IOERR_FSYNC ? STORE_DOUBT : STORE_BROKEN;
    sqlite_rollback(conn);
    return lpx_err_of(STORE_UNAVAILABLE);
}

static lpx_err sqlite_savepoint(store_conn *conn)
{
    return run_in_tx(conn, "SAVEPOINT job");
}

static lpx_err sqlite_release(store_conn *conn)
{
    return run_in_tx(conn, "RELEASE job");
}

static lpx_err sqlite_rollback_to(store_conn *conn)
{
    LPX_TRY(run_in_tx(conn, "ROLLBACK TO job"));
    return run_in_tx(conn, "RELEASE job");
}

static lpx_err sqlite_script(store_conn *conn, const char *sql)
{
    sqlite_conn *c = of(conn);
    int rc = run(c, sql);
    return rc == SQLITE_OK ? LPX_SUCCESS : fail(c, rc);
}

/* Statements */

static lpx_err acquire(sqlite_conn *c, const char *sql, store_slot **slot, sqlite3_stmt **stmt)
{
    *slot = store_cache_find(&c->cache, "", sql);
    if (*slot != NULL) {
        *stmt = (*slot)->statement;
        (*slot)->busy = true;
        return LPX_SUCCESS;
    }
    LPX_TRY(prepare(c, sql, SQLITE_PREPARE_PERSISTENT, stmt));
    *slot = store_cache_oldest(&c->cache);
    if (*slot == NULL) {
        return LPX_SUCCESS;
    }
    sqlite3_finalize((*slot)->statement);
    store_cache_drop(*slot);
    if (!store_cache_put(&c->cache, *slot, "", sql, *stmt)) {
        *slot = NULL;
        return LPX_SUCCESS;
    }
    (*slot)->busy = true;
    return LPX_SUCCESS;
}

static void release_statement(store_slot *slot, sqlite3_stmt *stmt)
{
    if (slot == NULL) {
        sqlite3_finalize(stmt);
        return;
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    slot->busy = false;
}

static int bind_one(sqlite3_stmt *stmt, int number, const store_value *value, sqlite3_destructor_type keep)
{
    /* An empty view may have no pointer, which SQLite would take for NULL. */
    const void *ptr = value->bytes.len > 0 ? (const void *)value->bytes.ptr : "";
    int len = (int)value->bytes.len;
    switch (value->kind) {
    case STORE_NULL:
        return sqlite3_bind_null(stmt, number);
    case STORE_INT:
        return sqlite3_bind_int64(stmt, number, value->num);
    case STORE_REAL:
        return sqlite3_bind_double(stmt, number, value->real);
    case STORE_TEXT:
        return sqlite3_bind_text(stmt, number, ptr, len, keep);
    case STORE_BLOB:
        return sqlite3_bind_blob(stmt, number, ptr, len, keep);
    }
    return SQLITE_MISUSE;
}

/* @param keep SQLITE_STATIC when the values outlive the run of the statement, else SQLITE_TRANSIENT */
static lpx_err bind_all(sqlite_conn *c, sqlite3_stmt *stmt, const store_value *values, size_t count,
                        sqlite3_destructor_type keep)
{
    if ((size_t)sqlite3_bind_parameter_count(stmt) != count) {
        return refuse(c, "a statement was given another number of values than it has placeholders");
    }
    for (size_t i = 0; i < count; i++) {
        int rc = bind_one(stmt, (int)i + 1, &values[i], keep);
        if (rc != SQLITE_OK) {
            return fail(c, rc);
        }
    }
    return LPX_SUCCESS;
}

static lpx_err sqlite_run(store_conn *conn, const char *sql, const store_value *values, size_t count, int64_t *changed)
{
    sqlite_conn *c = of(conn);
    store_slot *slot = NULL;
    sqlite3_stmt *stmt = NULL;
    LPX_TRY(acquire(c, sql, &slot, &stmt));
    lpx_err err = bind_all(c, stmt, values, count, SQLITE_STATIC);
    if (!lpx_failed(err)) {
        /* sqlite3_changes keeps the number of an earlier statement when this one is not of the kind that changes rows.
         */
        int64_t before = sqlite3_total_changes64(c->db);
        int rc = SQLITE_ROW;
        while (rc == SQLITE_ROW) {
            rc = sqlite3_step(stmt);
        }
        *changed = sqlite3_total_changes64(c->db) != before ? sqlite3_changes64(c->db) : 0;
        err = rc == SQLITE_DONE ? LPX_SUCCESS : fail(c, rc);
    }
    release_statement(slot, stmt);
    return err;
}

static sqlite_rows *rows_of(store_rows *rows)
{
    return LPX_CONTAINER(rows, sqlite_rows, base);
}

static lpx_err start_rows(sqlite_rows *rows, const char *sql, const store_value *values, size_t count)
{
    LPX_TRY(acquire(rows->conn, sql, &rows->slot, &rows->stmt));
    LPX_TRY(bind_all(rows->conn, rows->stmt, values, count, SQLITE_TRANSIENT));
    /* The first step is made at once: a statement that writes and answers rows has then done its work, as on a server.
     */
    rows->ahead = sqlite3_step(rows->stmt);
    bool good = rows->ahead == SQLITE_ROW || rows->ahead == SQLITE_DONE;
    return good ? LPX_SUCCESS : fail(rows->conn, rows->ahead);
}

static void sqlite_close_rows(store_rows *base)
{
    sqlite_rows *rows = rows_of(base);
    if (rows->stmt != NULL) {
        release_statement(rows->slot, rows->stmt);
    }
    free(rows);
}

static lpx_err sqlite_query(store_conn *conn, const char *sql, const store_value *values, size_t count,
                            store_rows **out)
{
    sqlite_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    rows->conn = of(conn);
    lpx_err err = start_rows(rows, sql, values, count);
    if (lpx_failed(err)) {
        sqlite_close_rows(&rows->base);
        return err;
    }
    *out = &rows->base;
    return LPX_SUCCESS;
}

static bool sqlite_next(store_rows *base)
{
    sqlite_rows *rows = rows_of(base);
    int rc = rows->ahead;
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(rows->stmt);
    }
    /* A further step after the last row would begin the query again. */
    rows->ahead = rc == SQLITE_ROW ? SQLITE_OK : SQLITE_DONE;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        base->err = fail(rows->conn, rc);
    }
    return rc == SQLITE_ROW;
}

static store_kind sqlite_col_kind(store_rows *rows, unsigned column)
{
    switch (sqlite3_column_type(rows_of(rows)->stmt, (int)column)) {
    case SQLITE_INTEGER:
        return STORE_INT;
    case SQLITE_FLOAT:
        return STORE_REAL;
    case SQLITE_TEXT:
        return STORE_TEXT;
    case SQLITE_BLOB:
        return STORE_BLOB;
    default:
        return STORE_NULL;
    }
}

static int64_t sqlite_col_int(store_rows *rows, unsigned column)
{
    return sqlite3_column_int64(rows_of(rows)->stmt, (int)column);
}

static double sqlite_col_real(store_rows *rows, unsigned column)
{
    return sqlite3_column_double(rows_of(rows)->stmt, (int)column);
}

static lpx_bytes sqlite_col_bytes(store_rows *rows, unsigned column)
{
    sqlite3_stmt *stmt = rows_of(rows)->stmt;
    const void *ptr = sqlite3_column_blob(stmt, (int)column);
    return lpx_bytes_of(ptr, ptr != NULL ? (size_t)sqlite3_column_bytes(stmt, (int)column) : 0);
}

const store_engine store_sqlite = {
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .savepoint = sqlite_savepoint,
    .release = sqlite_release,
    .rollback_to = sqlite_rollback_to,
    .script = sqlite_script,
    .has_table_sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1",
    .exec = sqlite_run,
    .query = sqlite_query,
    .next = sqlite_next,
    .close_rows = sqlite_close_rows,
    .col_kind = sqlite_col_kind,
    .col_int = sqlite_col_int,
    .col_real = sqlite_col_real,
    .col_bytes = sqlite_col_bytes,
};
