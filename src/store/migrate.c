/* Migrations: which are applied stands in schema_migrations, with the checksum of each file. Check and apply run in one
 * transaction, so that two programs that start together do not meet half a schema. */
#include "lpx_reasons.h"
#include "store/migrations.h"
#include "store/store_priv.h"

static lpx_err refuse_newer(lpx_note *note, int64_t version)
{
    return lpx_fail(
        note, STORE_NEWER_VERSION,
        "The database has schema version %lld and this program knows versions up to %zu: start the newer program "
        "that made it, or give another database; nothing was changed.",
        (long long)version, store_migrations_count);
}

static lpx_err refuse_changed(lpx_note *note, size_t version)
{
    return lpx_fail(
        note, STORE_CHANGED_MIGRATION,
        "Migration %zu of the database is not the one that this program has: start the program that made the "
        "database, or give another database; nothing was changed.",
        version);
}

static lpx_err check_rows(store_rows *rows, size_t *applied, lpx_note *note)
{
    int64_t newest = 0;
    size_t changed = 0;
    while (store_next(rows)) {
        newest = store_col_int(rows, 0);
        size_t index = (*applied)++;
        bool same = index < store_migrations_count && newest == (int64_t)index + 1 &&
                    lpx_str_is(store_col_text(rows, 1), store_migrations[index].checksum);
        changed = changed == 0 && !same ? index + 1 : changed;
    }
    if (newest > (int64_t)store_migrations_count) {
        return refuse_newer(note, newest);
    }
    return changed != 0 ? refuse_changed(note, changed) : LPX_SUCCESS;
}

/* How many migrations are applied. @param table does schema_migrations exist? */
static lpx_err find_applied(store_tx *tx, bool *table, size_t *applied, lpx_note *note)
{
    store_rows *rows = NULL;
    store_value name = STORE_V_TEXT(LPX_STR("schema_migrations"));
    *table = false;
    *applied = 0;
    LPX_TRY(store_query(tx, tx->conn->engine->has_table_sql, &name, 1, &rows));
    *table = store_next(rows);
    LPX_TRY(store_rows_close(&rows));
    if (!*table) {
        return LPX_SUCCESS;
    }
    LPX_TRY(store_query(tx, "SELECT version, checksum FROM schema_migrations ORDER BY version", NULL, 0, &rows));
    lpx_err err = check_rows(rows, applied, note);
    lpx_err read_err = store_rows_close(&rows);
    return lpx_failed(read_err) ? read_err : err;
}

static lpx_err apply_missing(store_tx *tx, bool table, size_t applied)
{
    store_conn *conn = tx->conn;
    if (!table) {
        LPX_TRY(store_exec(tx,
                           "CREATE TABLE schema_migrations (version INTEGER NOT NULL PRIMARY KEY, "
                           "applied_at INTEGER NOT NULL, checksum TEXT NOT NULL)",
                           NULL, 0, NULL));
    }
    for (size_t i = applied; i < store_migrations_count; i++) {
        LPX_TRY(conn->engine->script(conn, store_migrations[i].sql));
        store_value row[] = {STORE_V_INT(i + 1), STORE_V_INT(io_wall_clock().us),
                             STORE_V_TEXT(lpx_str_of(store_migrations[i].checksum))};
        LPX_TRY(store_exec(tx, "INSERT INTO schema_migrations (version, applied_at, checksum) VALUES (?1, ?2, ?3)", row,
                           3, NULL));
    }
    return LPX_SUCCESS;
}

/* Errors of the engine have no note yet. */
static lpx_err explain(lpx_err err, const store_conn *conn, lpx_note *note)
{
    if (!lpx_failed(err) || err.reason == STORE_NEWER_VERSION || err.reason == STORE_CHANGED_MIGRATION) {
        return err;
    }
    return lpx_fail(note, err.reason, "The schema of the database cannot be read or brought up to date: %s.",
                    conn->error);
}

lpx_err store_migrate_check(store_conn *conn, lpx_note *note)
{
    store_tx tx = {.conn = conn};
    bool table = false;
    size_t applied = 0;
    conn->trouble = STORE_FINE;
    lpx_err err = conn->engine->begin(conn, STORE_MODE_READ);
    if (!lpx_failed(err)) {
        err = find_applied(&tx, &table, &applied, note);
        conn->engine->rollback(conn);
    }
    return explain(err, conn, note);
}

lpx_err store_migrate_apply(store_conn *conn, lpx_note *note)
{
    store_tx tx = {.conn = conn};
    bool table = false;
    size_t applied = 0;
    conn->trouble = STORE_FINE;
    lpx_err err = conn->engine->begin(conn, STORE_MODE_MIGRATE);
    if (lpx_failed(err)) {
        return explain(err, conn, note);
    }
    err = find_applied(&tx, &table, &applied, note);
    bool missing = !lpx_failed(err) && applied < store_migrations_count;
    if (missing) {
        err = apply_missing(&tx, table, applied);
    }
    if (missing && !lpx_failed(err)) {
        err = conn->engine->commit(conn, 0);
    } else {
        conn->engine->rollback(conn);
    }
    return explain(err, conn, note);
}
