/* Statements inside a transaction: what is the same for both engines. */
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "lpx_reasons.h"
#include "store/store_priv.h"

void store_conn_note(store_conn *conn, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(conn->error, sizeof conn->error, format, args);
    va_end(args);
    conn->error[strcspn(conn->error, "\r\n")] = '\0';
}

static lpx_err check_value(store_conn *conn, const store_value *value, size_t number)
{
    if (value->kind != STORE_TEXT && value->kind != STORE_BLOB) {
        return LPX_SUCCESS;
    }
    if (value->bytes.len > STORE_MAX_VALUE_BYTES) {
        store_conn_note(conn, "value %zu has %zu bytes, at most %d are stored", number, value->bytes.len,
                        STORE_MAX_VALUE_BYTES);
        return lpx_err_of(STORE_TOO_LARGE);
    }
    if (value->kind == STORE_TEXT && value->bytes.len > 0 &&
        (memchr(value->bytes.ptr, 0, value->bytes.len) != NULL || !lpx_utf8_valid(value->bytes))) {
        store_conn_note(conn, "value %zu is not UTF-8 text without NUL", number);
        return lpx_err_of(STORE_BAD_TEXT);
    }
    return LPX_SUCCESS;
}

static lpx_err check(store_tx *tx, const char *sql, const store_value *values, size_t count)
{
    LPX_TRY(tx->err);
    if (count > STORE_MAX_VALUES || strlen(sql) >= STORE_MAX_SQL_BYTES) {
        store_conn_note(tx->conn, "a statement has more than %d values or %d bytes", STORE_MAX_VALUES,
                        STORE_MAX_SQL_BYTES);
        return lpx_err_of(STORE_FAILED);
    }
    for (size_t i = 0; i < count; i++) {
        LPX_TRY(check_value(tx->conn, &values[i], i + 1));
    }
    return LPX_SUCCESS;
}

lpx_err store_exec(store_tx *tx, const char *sql, const store_value *values, size_t count, int64_t *changed)
{
    int64_t rows = 0;
    lpx_err err = check(tx, sql, values, count);
    if (!lpx_failed(err)) {
        err = tx->conn->engine->exec(tx->conn, sql, values, count, &rows);
    }
    if (lpx_failed(err)) {
        tx->err = err;
        return err;
    }
    if (changed != NULL) {
        *changed = rows;
    }
    return LPX_SUCCESS;
}

lpx_err store_query(store_tx *tx, const char *sql, const store_value *values, size_t count, store_rows **out)
{
    store_rows *rows = NULL;
    lpx_err err = check(tx, sql, values, count);
    if (!lpx_failed(err)) {
        err = tx->conn->engine->query(tx->conn, sql, values, count, &rows);
    }
    if (lpx_failed(err)) {
        tx->err = err;
        return err;
    }
    rows->tx = tx;
    tx->conn->open_rows++;
    *out = rows;
    return LPX_SUCCESS;
}

bool store_next(store_rows *rows)
{
    if (lpx_failed(rows->err)) {
        return false;
    }
    bool more = rows->tx->conn->engine->next(rows);
    if (lpx_failed(rows->err)) {
        rows->tx->err = rows->err;
    }
    return more;
}

lpx_err store_rows_close(store_rows **rows)
{
    store_rows *r = *rows;
    *rows = NULL;
    lpx_err err = r->err;
    r->tx->conn->open_rows--;
    r->tx->conn->engine->close_rows(r);
    return err;
}

static const store_engine *engine_of(const store_rows *rows)
{
    return rows->tx->conn->engine;
}

int64_t store_col_int(store_rows *rows, unsigned column)
{
    return engine_of(rows)->col_kind(rows, column) == STORE_INT ? engine_of(rows)->col_int(rows, column) : 0;
}

double store_col_real(store_rows *rows, unsigned column)
{
    return engine_of(rows)->col_kind(rows, column) == STORE_REAL ? engine_of(rows)->col_real(rows, column) : 0;
}

lpx_str store_col_text(store_rows *rows, unsigned column)
{
    if (engine_of(rows)->col_kind(rows, column) != STORE_TEXT) {
        return LPX_STR("");
    }
    return lpx_bytes_str(engine_of(rows)->col_bytes(rows, column));
}

lpx_bytes store_col_blob(store_rows *rows, unsigned column)
{
    if (engine_of(rows)->col_kind(rows, column) != STORE_BLOB) {
        return (lpx_bytes){NULL, 0};
    }
    return engine_of(rows)->col_bytes(rows, column);
}

bool store_col_null(store_rows *rows, unsigned column)
{
    return engine_of(rows)->col_kind(rows, column) == STORE_NULL;
}

void store_touch(store_tx *tx, store_topic topic)
{
    tx->topics |= 1U << topic;
}

const char *store_tx_error(const store_tx *tx)
{
    return tx->conn->error;
}
