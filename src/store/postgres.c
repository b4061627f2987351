/* The PostgreSQL engine: one session per connection of the store. Jobs that write run SERIALIZABLE, because several
 * nodes read, check and write at the same time: when the server finds that two got in each other's way, the whole group
 * is run again. Jobs that read run REPEATABLE READ, READ ONLY: one snapshot, and no reason to be run again. A commit
 * whose answer did not come is told as unknown. A session that broke is made anew when the next transaction begins, and
 * no oftener than its growing pause allows: meanwhile jobs fail at once. All values travel in binary. Drawbacks: all
 * rows of a query are held in memory; a pooler between us and the server must pool sessions, not transactions (prepared
 * statements, LISTEN). */
#include "store/postgres_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "lpx_reasons.h"
#include "store/cache.h"
#include "store/postgres_feed.h"
#include "store/store_priv.h"

/* Types of the server that we send or read (pg_type.dat). */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_FLOAT8 = 701,
    TYPE_VARCHAR = 1043,
    TYPE_NUMERIC = 1700
};

typedef struct pg_conn {
    store_conn base;
    PGconn *pg; /* NULL: not connected */
    char *url;
    store_role role;
    int64_t retry_at_us; /* not before this is a lost session made anew */
    int64_t backoff_us;
    uint64_t statements; /* number of the last one, for its name */
    store_cache cache;
} pg_conn;

typedef struct pg_rows {
    store_rows base;
    PGresult *result;
    int row; /* -1 before the first */
} pg_rows;

static pg_conn *of(store_conn *conn)
{
    return LPX_CONTAINER(conn, pg_conn, base);
}

/* Errors */

static bool is_one_of(const char *state, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strncmp(state, *list, strlen(*list)) == 0) {
            return true;
        }
    }
    return false;
}

static lpx_err end_transaction(pg_conn *c, store_trouble trouble)
{
    c->base.trouble = trouble;
    return lpx_err_of(STORE_UNAVAILABLE);
}

static void forget_session(pg_conn *c)
{
    PQfinish(c->pg);
    c->pg = NULL;
    for (size_t i = 0; i < STORE_MAX_STATEMENTS; i++) {
        store_cache_drop(&c->cache.slots[i]);
    }
}

/* What an SQLSTATE, or its class, means for the transaction (PostgreSQL documentation, appendix A). */
static lpx_err fail_by_state(pg_conn *c, const char *state)
{
    static const char *const again[] = {"40001", "40P01", NULL};
    static const char *const conflict[] = {"23505", "23503", "23P01", NULL};
    static const char *const too_large[] = {"54", NULL};
    /* Resources, intervention, system, internal; lock not to be had; a statement that took too long. */
    static const char *const broken[] = {"53", "55P03", "57", "58", "XX", "F0", NULL};
    if (is_one_of(state, again)) {
        return end_transaction(c, STORE_AGAIN);
    }
    if (is_one_of(state, broken)) {
        return end_transaction(c, STORE_BROKEN);
    }
    if (strcmp(state, "25006") == 0 && c->base.mode != STORE_MODE_READ) {
        forget_session(c); /* this server follows another one by now */
        return end_transaction(c, STORE_BROKEN);
    }
    if (is_one_of(state, conflict)) {
        return lpx_err_of(STORE_CONFLICT);
    }
    return lpx_err_of(is_one_of(state, too_large) ? STORE_TOO_LARGE : STORE_FAILED);
}

/* @param result may be NULL: libpq had no memory or no connection */
static lpx_err fail(pg_conn *c, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    store_conn_note(&c->base, "%s (SQLSTATE %s)", text != NULL ? text : PQerrorMessage(c->pg),
                    state != NULL ? state : "none");
    if (PQstatus(c->pg) == CONNECTION_BAD) {
        return end_transaction(c, STORE_LOST);
    }
    return state != NULL ? fail_by_state(c, state) : end_transaction(c, STORE_BROKEN);
}

static lpx_err refuse(pg_conn *c, const char *why)
{
    store_conn_note(&c->base, "%s", why);
    return lpx_err_of(STORE_FAILED);
}

/* Sessions */

void store_postgres_explain(const PGconn *pg, lpx_note *note)
{
    snprintf(note->text, sizeof note->text, "%s", pg != NULL ? PQerrorMessage(pg) : "no memory");
    note->text[strcspn(note->text, "\r\n")] = '\0';
}

static void ignore_notice(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

PGconn *store_postgres_connect(const char *url, bool read_write, lpx_note *note)
{
    char wait_s[16];
    snprintf(wait_s, sizeof wait_s, "%d", STORE_CONNECT_WAIT_S);
    /* What the URL says too comes later and counts. A dead peer is noticed in some twenty seconds. */
    const char *const keys[] = {"connect_timeout",      "keepalives_idle",  "keepalives_interval",
                                "keepalives_count",     "tcp_user_timeout", "fallback_application_name",
                                "target_session_attrs", "dbname",           NULL};
    const char *const values[] = {wait_s, "10", "3", "3", "20000", "lpx", read_write ? "read-write" : "any", url, NULL};
    PGconn *pg = PQconnectdbParams(keys, values, 1);
    if (PQstatus(pg) != CONNECTION_OK) {
        store_postgres_explain(pg, note);
        PQfinish(pg);
        return NULL;
    }
    PQsetNoticeProcessor(pg, ignore_notice, NULL);
    /* Literals are read as the standard has them; a commit that was answered is on the disk, whatever the server's
     * default; a node that hangs in a transaction does not block the others for ever. */
    PGresult *result = PQexec(pg, "SET client_encoding TO 'UTF8'; SET standard_conforming_strings TO on; "
                                  "SET lock_timeout TO '5s'; SET statement_timeout TO '30s'; "
                                  "SET idle_in_transaction_session_timeout TO '30s'; "
                                  "SELECT set_config('synchronous_commit', 'on', false) "
                                  "WHERE current_setting('synchronous_commit') = 'off'");
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    if (!good) {
        store_postgres_explain(pg, note);
        PQfinish(pg);
        return NULL;
    }
    return pg;
}

static bool connect_session(pg_conn *c, lpx_note *note)
{
    c->pg = store_postgres_connect(c->url, c->role == STORE_ROLE_WRITER, note);
    if (c->pg == NULL) {
        c->backoff_us = c->backoff_us == 0 ? STORE_MIN_BACKOFF_US : 2 * c->backoff_us;
        c->backoff_us = c->backoff_us < STORE_MAX_BACKOFF_US ? c->backoff_us : STORE_MAX_BACKOFF_US;
        c->retry_at_us = store_clock_us() + c->backoff_us;
        return false;
    }
    c->backoff_us = 0;
    return true;
}

static void pg_disconnect(store_conn *conn)
{
    pg_conn *c = of(conn);
    forget_session(c);
    pthread_mutex_destroy(&conn->lock);
    free(c->url);
    free(c);
}

static lpx_err pg_connect(const char *url, store_role role, store_conn **out, lpx_note *note)
{
    pg_conn *c = calloc(1, sizeof *c);
    char *copy = strdup(url);
    if (c == NULL || copy == NULL) {
        free(c);
        free(copy);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_conn_init(&c->base, &store_postgres);
    c->url = copy;
    c->role = role;
    lpx_note why = {""};
    if (!connect_session(c, &why)) {
        pg_disconnect(&c->base);
        return lpx_fail(note, STORE_CANNOT_OPEN, "The PostgreSQL database cannot be reached: %s.", why.text);
    }
    *out = &c->base;
    return LPX_SUCCESS;
}

/* Have a session, a new one when the last was lost. */
static lpx_err ensure_session(pg_conn *c)
{
    if (c->pg != NULL && PQstatus(c->pg) == CONNECTION_OK) {
        return LPX_SUCCESS;
    }
    forget_session(c);
    if (store_clock_us() < c->retry_at_us) {
        store_conn_note(&c->base, "no connection to the database a moment ago");
        c->base.quiet = true;
        return end_transaction(c, STORE_BROKEN);
    }
    lpx_note why = {""};
    if (!connect_session(c, &why)) {
        store_conn_note(&c->base, "no connection to the database: %s", why.text);
        return end_transaction(c, STORE_BROKEN);
    }
    return LPX_SUCCESS;
}

/* Transactions */

/* Run text without values; it may hold several statements. */
static lpx_err run(pg_conn *c, const char *sql)
{
    PGresult *result = PQexec(c->pg, sql);
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    lpx_err err = good ? LPX_SUCCESS : fail(c, result);
    PQclear(result);
    return err;
}

/* The same, for what is part of the transaction's own course: any failure ends it. */
static lpx_err run_in_tx(store_conn *conn, const char *sql)
{
    lpx_err err = run(of(conn), sql);
    if (lpx_failed(err) && conn->trouble == STORE_FINE) {
        return end_transaction(of(conn), STORE_BROKEN);
    }
    return err;
}

static lpx_err pg_begin(store_conn *conn, store_mode mode)
{
    conn->mode = mode;
    LPX_TRY(ensure_session(of(conn)));
    switch (mode) {
    case STORE_MODE_READ:
        return run_in_tx(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    case STORE_MODE_WRITE:
        return run_in_tx(conn, "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE");
    case STORE_MODE_MIGRATE:
        /* The number is the word "lpxmigr". Waiting for another program's migrations may take longer than a row lock.
         */
        return run_in_tx(conn, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout TO '5min'; "
                               "SET LOCAL statement_timeout TO '10min'; "
                               "SELECT pg_catalog.pg_advisory_xact_lock(30525867085916018)");
    }
    return LPX_SUCCESS;
}

static void pg_rollback(store_conn *conn)
{
    pg_conn *c = of(conn);
    if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD) {
        return;
    }
    PGresult *result = PQexec(c->pg, "ROLLBACK");
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!good) {
        forget_session(c);
    }
}

/* The server said why not, or nothing was heard of it any more. */
static void refuse_commit(pg_conn *c, const PGresult *result)
{
    bool told = PQstatus(c->pg) == CONNECTION_OK && PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL;
    lpx_err err = fail(c, result);
    if (!told) {
        c->base.trouble = STORE_DOUBT;
        forget_session(c);
    } else if (lpx_failed(err) && c->base.trouble == STORE_FINE) {
        c->base.trouble = STORE_BROKEN;
    }
}

static lpx_err pg_commit(store_conn *conn, uint32_t topics)
{
    pg_conn *c = of(conn);
    char sql[64];
    snprintf(sql, sizeof sql, "NOTIFY " STORE_POSTGRES_CHANNEL ", '%u'", topics);
    if (topics != 0 && lpx_failed(run_in_tx(conn, sql))) {
        pg_rollback(conn);
        return lpx_err_of(STORE_UNAVAILABLE);
    }
    PGresult *result = PQexec(c->pg, "COMMIT");
    /* A transaction that had failed is rolled back, and the server says so only by the name of what it did. */
    bool answered = PQresultStatus(result) == PGRES_COMMAND_OK;
    bool good = answered && strcmp(PQcmdStatus(result), "COMMIT") == 0;
    if (answered && !good) {
        store_conn_note(conn, "the server rolled the transaction back");
        conn->trouble = STORE_BROKEN;
    } else if (!answered) {
        refuse_commit(c, result);
    }
    PQclear(result);
    return good ? LPX_SUCCESS : lpx_err_of(STORE_UNAVAILABLE);
}

static lpx_err pg_savepoint(store_conn *conn)
{
    return run_in_tx(conn, "SAVEPOINT job");
}

static lpx_err pg_release(store_conn *conn)
{
    return run_in_tx(conn, "RELEASE SAVEPOINT job");
}

static lpx_err pg_rollback_to(store_conn *conn)
{
    return run_in_tx(conn, "ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job");
}

static lpx_err pg_script(store_conn *conn, const char *sql)
{
    pg_conn *c = of(conn);
    lpx_buf text;
    lpx_buf_init(&text, 2 * STORE_MAX_SCRIPT_BYTES);
    bool good = store_dialect_postgres(sql, &text);
    lpx_buf_add(&text, lpx_bytes_of("", 1));
    lpx_err err = good && !lpx_buf_failed(&text) ? run(c, (const char *)text.ptr)
                                                 : refuse(c, "a migration is not in the common SQL");
    lpx_buf_fini(&text);
    return err;
}

/* Statements */

/* Values in the form that libpq wants. */
typedef struct pg_params {
    Oid types[STORE_MAX_VALUES];
    const char *ptrs[STORE_MAX_VALUES];
    int lens[STORE_MAX_VALUES];
    int formats[STORE_MAX_VALUES];
    uint8_t numbers[STORE_MAX_VALUES][8];
    char kinds[STORE_MAX_VALUES + 1];
} pg_params;

static void set_number(pg_params *p, size_t i, uint64_t number)
{
    lpx_writer w;
    lpx_writer_init(&w, (lpx_space){p->numbers[i], sizeof p->numbers[i]});
    lpx_writer_u64be(&w, number);
    p->ptrs[i] = (const char *)p->numbers[i];
    p->lens[i] = sizeof p->numbers[i];
}

static void set_bytes(pg_params *p, size_t i, lpx_bytes bytes)
{
    p->ptrs[i] = bytes.len > 0 ? (const char *)bytes.ptr : ""; /* no pointer would be NULL */
    p->lens[i] = (int)bytes.len;
}

static void set_value(pg_params *p, size_t i, const store_value *value)
{
    uint64_t bits = 0;
    p->formats[i] = 1;
    switch (value->kind) {
    case STORE_NULL:
        p->types[i] = 0; /* the server takes it from where the value stands */
        p->ptrs[i] = NULL;
        p->kinds[i] = 'n';
        break;
    case STORE_INT:
        p->types[i] = TYPE_INT8;
        set_number(p, i, (uint64_t)value->num);
        p->kinds[i] = 'i';
        break;
    case STORE_REAL:
        p->types[i] = TYPE_FLOAT8;
        memcpy(&bits, &value->real, sizeof bits);
        set_number(p, i, bits);
        p->kinds[i] = 'r';
        break;
    case STORE_TEXT:
        p->types[i] = TYPE_TEXT;
        set_bytes(p, i, value->bytes);
        p->kinds[i] = 't';
        break;
    case STORE_BLOB:
        p->types[i] = TYPE_BYTEA;
        set_bytes(p, i, value->bytes);
        p->kinds[i] = 'b';
        break;
    }
}

static lpx_err make_room(pg_conn *c, store_slot **out)
{
    store_slot *slot = store_cache_oldest(&c->cache);
    lpx_assert(slot != NULL); /* rows are all read at once: no statement stays busy */
    if (slot->key != NULL) {
        char sql[64];
        snprintf(sql, sizeof sql, "DEALLOCATE s%llu", (unsigned long long)(uintptr_t)slot->statement);
        LPX_TRY(run(c, sql));
        store_cache_drop(slot);
    }
    *out = slot;
    return LPX_SUCCESS;
}

static lpx_err prepare(pg_conn *c, const char *sql, const pg_params *p, size_t count, store_slot **out)
{
    store_slot *slot = NULL;
    lpx_buf text;
    LPX_TRY(make_room(c, &slot));
    lpx_buf_init(&text, 2 * STORE_MAX_SQL_BYTES);
    bool good = store_dialect_postgres(sql, &text);
    lpx_buf_add(&text, lpx_bytes_of("", 1));
    if (!good || lpx_buf_failed(&text)) {
        lpx_buf_fini(&text);
        return refuse(c, "a statement is not in the common SQL");
    }
    char name[32];
    uint64_t number = ++c->statements;
    snprintf(name, sizeof name, "s%llu", (unsigned long long)number);
    PGresult *result = PQprepare(c->pg, name, (const char *)text.ptr, (int)count, p->types);
    lpx_buf_fini(&text);
    lpx_err err = PQresultStatus(result) == PGRES_COMMAND_OK ? LPX_SUCCESS : fail(c, result);
    PQclear(result);
    LPX_TRY(err);
    if (!store_cache_put(&c->cache, slot, p->kinds, sql, (void *)(uintptr_t)number)) {
        return end_transaction(c, STORE_BROKEN);
    }
    *out = slot;
    return LPX_SUCCESS;
}

/* Run a statement. @param out its result, for the caller to clear */
static lpx_err execute(pg_conn *c, const char *sql, const store_value *values, size_t count, PGresult **out)
{
    pg_params p;
    for (size_t i = 0; i < count; i++) {
        set_value(&p, i, &values[i]);
    }
    p.kinds[count] = '\0';
    store_slot *slot = store_cache_find(&c->cache, p.kinds, sql);
    if (slot == NULL) {
        LPX_TRY(prepare(c, sql, &p, count, &slot));
    }
    char name[32];
    snprintf(name, sizeof name, "s%llu", (unsigned long long)(uintptr_t)slot->statement);
    PGresult *result = PQexecPrepared(c->pg, name, (int)count, p.ptrs, p.lens, p.formats, 1);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        lpx_err err = status == PGRES_EMPTY_QUERY ? refuse(c, "the text holds no statement") : fail(c, result);
        PQclear(result);
        return err;
    }
    *out = result;
    return LPX_SUCCESS;
}

static lpx_err pg_exec(store_conn *conn, const char *sql, const store_value *values, size_t count, int64_t *changed)
{
    PGresult *result = NULL;
    LPX_TRY(execute(of(conn), sql, values, count, &result));
    bool writes = PQresultStatus(result) == PGRES_COMMAND_OK || strncmp(PQcmdStatus(result), "SELECT", 6) != 0;
    *changed = writes ? strtoll(PQcmdTuples(result), NULL, 10) : 0;
    PQclear(result);
    return LPX_SUCCESS;
}

static pg_rows *rows_of(store_rows *rows)
{
    return LPX_CONTAINER(rows, pg_rows, base);
}

static lpx_err pg_query(store_conn *conn, const char *sql, const store_value *values, size_t count, store_rows **out)
{
    PGresult *result = NULL;
    LPX_TRY(execute(of(conn), sql, values, count, &result));
    pg_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) {
        PQclear(result);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    rows->result = result;
    rows->row = -1;
    *out = &rows->base;
    return LPX_SUCCESS;
}

static bool pg_next(store_rows *base)
{
    pg_rows *rows = rows_of(base);
    if (rows->row < PQntuples(rows->result)) {
        rows->row++;
    }
    return rows->row < PQntuples(rows->result);
}

static void pg_close_rows(store_rows *base)
{
    PQclear(rows_of(base)->result);
    free(rows_of(base));
}

/* Values */

static store_kind pg_col_kind(store_rows *base, unsigned column)
{
    pg_rows *rows = rows_of(base);
    bool there = (int)column < PQnfields(rows->result) && rows->row >= 0 && rows->row < PQntuples(rows->result);
    if (!there || PQgetisnull(rows->result, rows->row, (int)column)) {
        return STORE_NULL;
    }
    switch (PQftype(rows->result, (int)column)) {
    case TYPE_BOOL:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_NUMERIC:
        return STORE_INT;
    case TYPE_FLOAT8:
        return STORE_REAL;
    case TYPE_BYTEA:
        return STORE_BLOB;
    default:
        return STORE_TEXT; /* text, varchar, name; others are not of the common SQL */
    }
}

static lpx_bytes pg_col_bytes(store_rows *base, unsigned column)
{
    pg_rows *rows = rows_of(base);
    return lpx_bytes_of(PQgetvalue(rows->result, rows->row, (int)column),
                        (size_t)PQgetlength(rows->result, rows->row, (int)column));
}

/* sum() of INTEGER comes as numeric: count of digits to the base 10,000, weight of the first, sign, decimals, digits.
 * Its whole part; what 64 bits do not hold becomes the number nearest to it. */
static int64_t read_numeric(lpx_reader *r)
{
    uint16_t digits = lpx_reader_u16be(r);
    int16_t weight = (int16_t)lpx_reader_u16be(r);
    bool negative = lpx_reader_u16be(r) == 0x4000;
    lpx_reader_u16be(r);
    int64_t value = 0;
    bool over = weight > 5;
    for (int i = 0; i <= weight && !over; i++) {
        int digit = i < digits ? lpx_reader_u16be(r) : 0;
        over = __builtin_mul_overflow(value, 10000, &value) ||
               __builtin_add_overflow(value, negative ? -digit : digit, &value);
    }
    if (over) {
        return negative ? INT64_MIN : INT64_MAX;
    }
    return value;
}

static int64_t pg_col_int(store_rows *base, unsigned column)
{
    lpx_reader r;
    lpx_reader_init(&r, pg_col_bytes(base, column));
    switch (PQftype(rows_of(base)->result, (int)column)) {
    case TYPE_BOOL:
        return lpx_reader_u8(&r);
    case TYPE_INT4:
        return (int32_t)lpx_reader_u32be(&r);
    case TYPE_NUMERIC:
        return read_numeric(&r);
    default:
        return (int64_t)lpx_reader_u64be(&r);
    }
}

static double pg_col_real(store_rows *base, unsigned column)
{
    lpx_reader r;
    lpx_reader_init(&r, pg_col_bytes(base, column));
    uint64_t bits = lpx_reader_u64be(&r);
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

const store_engine store_postgres = {
    .feed_by_server = true,
    .connect = pg_connect,
    .disconnect = pg_disconnect,
    .begin = pg_begin,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .savepoint = pg_savepoint,
    .release = pg_release,
    .rollback_to = pg_rollback_to,
    .script = pg_script,
    .has_table_sql = "SELECT 1 WHERE to_regclass(?1) IS NOT NULL",
    .exec = pg_exec,
    .query = pg_query,
    .next = pg_next,
    .close_rows = pg_close_rows,
    .col_kind = pg_col_kind,
    .col_int = pg_col_int,
    .col_real = pg_col_real,
    .col_bytes = pg_col_bytes,
    .feed_start = store_postgres_feed_start,
    .feed_stop = store_postgres_feed_stop,
};
