#include "reporting/reporting_store.h"

#include <stdio.h>

#include "lpx_reasons.h"
#include "reporting/limits.h"

/* ---- add ---- */

enum { CELL_VALUES = 7 };

/* Cells on their way into statements of several. */
typedef struct cells {
    store_tx *tx;
    store_value values[REPORTING_STATEMENT_CELLS * CELL_VALUES];
    size_t count;
} cells;

#define INSERT                                                                                       \
    "INSERT INTO routed_messages (day, forwarder_net_id, forwarder_tenant_id, home_network_net_id, " \
    "home_network_tenant_id, counter, count) VALUES "
#define ADD                                                                                                            \
    " ON CONFLICT (day, forwarder_net_id, forwarder_tenant_id, home_network_net_id, home_network_tenant_id, counter) " \
    "DO UPDATE SET count = routed_messages.count + excluded.count"

static lpx_err flush(cells *c)
{
    static const char full[] = INSERT "(?1, ?2, ?3, ?4, ?5, ?6, ?7), (?8, ?9, ?10, ?11, ?12, ?13, ?14), "
                                      "(?15, ?16, ?17, ?18, ?19, ?20, ?21), (?22, ?23, ?24, ?25, ?26, ?27, ?28), "
                                      "(?29, ?30, ?31, ?32, ?33, ?34, ?35), (?36, ?37, ?38, ?39, ?40, ?41, ?42), "
                                      "(?43, ?44, ?45, ?46, ?47, ?48, ?49), (?50, ?51, ?52, ?53, ?54, ?55, ?56), "
                                      "(?57, ?58, ?59, ?60, ?61, ?62, ?63)" ADD;
    static const char one[] = INSERT "(?1, ?2, ?3, ?4, ?5, ?6, ?7)" ADD;
    size_t count = c->count;
    c->count = 0;
    if (count == REPORTING_STATEMENT_CELLS) {
        return store_exec(c->tx, full, c->values, count * CELL_VALUES, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        LPX_TRY(store_exec(c->tx, one, &c->values[i * CELL_VALUES], CELL_VALUES, NULL));
    }
    return LPX_SUCCESS;
}

static lpx_err add_row(cells *c, const reporting_row *row)
{
    const reporting_key *key = &row->key;
    for (unsigned slot = 0; slot < REPORTING_SLOTS; slot++) {
        if (row->counts[slot] == 0) {
            continue;
        }
        const store_value cell[CELL_VALUES] = {
            STORE_V_INT(key->day),
            STORE_V_INT(key->forwarder_net_id),
            STORE_V_TEXT(lpx_str_of(key->forwarder_tenant_id)),
            STORE_V_INT(key->home_net_id),
            STORE_V_TEXT(lpx_str_of(key->home_tenant_id)),
            STORE_V_INT(reporting_counter_of_slot(slot)),
            STORE_V_INT(row->counts[slot]),
        };
        memcpy(&c->values[c->count++ * CELL_VALUES], cell, sizeof cell);
        if (c->count == REPORTING_STATEMENT_CELLS) {
            LPX_TRY(flush(c));
        }
    }
    return LPX_SUCCESS;
}

static lpx_err written_before(store_tx *tx, const reporting_batch *batch, bool *out)
{
    const store_value writer = STORE_V_TEXT(lpx_str_of(batch->writer));
    store_rows *rows;
    LPX_TRY(store_query(tx, "SELECT batch FROM report_writers WHERE writer = ?1", &writer, 1, &rows));
    *out = store_next(rows) && store_col_int(rows, 0) >= batch->number;
    return store_rows_close(&rows);
}

lpx_err reporting_store_add(store_tx *tx, const reporting_batch *batch)
{
    const store_value writer[] = {STORE_V_TEXT(lpx_str_of(batch->writer)), STORE_V_INT(batch->number),
                                  STORE_V_INT(batch->now.us)};
    cells c = {.tx = tx};
    bool before;
    LPX_TRY(written_before(tx, batch, &before));
    if (before) {
        return LPX_SUCCESS;
    }
    LPX_TRY(store_exec(tx,
                       "INSERT INTO report_writers (writer, batch, updated_at) VALUES (?1, ?2, ?3) "
                       "ON CONFLICT (writer) DO UPDATE SET batch = ?2, updated_at = ?3",
                       writer, 3, NULL));
    for (size_t i = 0; i < batch->row_count; i++) {
        LPX_TRY(add_row(&c, &batch->rows[i]));
    }
    return flush(&c);
}

lpx_err reporting_store_prune(store_tx *tx, int64_t first_day, lpx_utc writers_before)
{
    const store_value day = STORE_V_INT(first_day);
    const store_value time = STORE_V_INT(writers_before.us);
    LPX_TRY(store_exec(tx, "DELETE FROM routed_messages WHERE day < ?1", &day, 1, NULL));
    return store_exec(tx, "DELETE FROM report_writers WHERE updated_at < ?1", &time, 1, NULL);
}

/* ---- sums ---- */

lpx_err reporting_store_first_day(store_tx *tx, bool *any, int64_t *day)
{
    store_rows *rows;
    LPX_TRY(store_query(tx, "SELECT day FROM routed_messages ORDER BY day LIMIT 1", NULL, 0, &rows));
    *any = store_next(rows);
    *day = *any ? store_col_int(rows, 0) : 0;
    return store_rows_close(&rows);
}

/* A statement with the conditions that a filter needs and no others: then the indexes are of use. */
typedef struct statement {
    char sql[1024];
    size_t len;
    store_value values[12];
    size_t count;
} statement;

static void add_text(statement *s, const char *text)
{
    int added = snprintf(s->sql + s->len, sizeof s->sql - s->len, "%s", text);
    s->len += added > 0 ? (size_t)added : 0;
}

/* "<text> ?N", and the value. */
static void add_condition(statement *s, const char *text, store_value value)
{
    s->values[s->count++] = value;
    int added = snprintf(s->sql + s->len, sizeof s->sql - s->len, "%s ?%zu", text, s->count);
    s->len += added > 0 ? (size_t)added : 0;
}

static void add_role(statement *s, const reporting_role *role, const char *net_id, const char *tenant_id)
{
    if (role->has_net_id) {
        add_condition(s, net_id, STORE_V_INT(role->net_id));
    }
    if (role->has_tenant_id) {
        add_condition(s, tenant_id, STORE_V_TEXT(role->tenant_id));
    }
}

static void add_own(statement *s, const traffic_member *caller)
{
    bool tenant = caller->tenant_id.len > 0;
    add_condition(s, " AND ((forwarder_net_id =", STORE_V_INT(caller->net_id));
    if (tenant) {
        add_condition(s, " AND forwarder_tenant_id =", STORE_V_TEXT(caller->tenant_id));
    }
    add_condition(s, ") OR (home_network_net_id =", STORE_V_INT(caller->net_id));
    if (tenant) {
        add_condition(s, " AND home_network_tenant_id =", STORE_V_TEXT(caller->tenant_id));
    }
    add_text(s, "))");
}

#define PAIR_AND_COUNTER "forwarder_net_id, forwarder_tenant_id, home_network_net_id, home_network_tenant_id, counter"

static void make_statement(statement *s, const reporting_ask *ask, int64_t from_day, int64_t to_day)
{
    *s = (statement){.len = 0};
    add_text(s, "SELECT " PAIR_AND_COUNTER ", CAST(SUM(count) AS INTEGER) FROM routed_messages WHERE");
    add_condition(s, " day >=", STORE_V_INT(from_day));
    add_condition(s, " AND day <=", STORE_V_INT(to_day));
    add_role(s, &ask->forwarder, " AND forwarder_net_id =", " AND forwarder_tenant_id =");
    add_role(s, &ask->home, " AND home_network_net_id =", " AND home_network_tenant_id =");
    if (ask->own) {
        add_own(s, &ask->caller);
    }
    add_text(s, " GROUP BY " PAIR_AND_COUNTER " ORDER BY " PAIR_AND_COUNTER);
    add_condition(s, " LIMIT", STORE_V_INT(REPORTING_MAX_ROWS + 1));
}

lpx_err reporting_store_sums(store_tx *tx, const reporting_ask *ask, int64_t from_day, int64_t to_day,
                             lpx_err (*each)(void *ctx, const reporting_sum *sum), void *ctx)
{
    statement s;
    store_rows *rows;
    make_statement(&s, ask, from_day, to_day);
    LPX_TRY(store_query(tx, s.sql, s.values, s.count, &rows));
    lpx_err err = LPX_SUCCESS;
    for (size_t i = 0; !lpx_failed(err) && store_next(rows); i++) {
        const reporting_sum sum = {
            .forwarder = {.net_id = (uint32_t)store_col_int(rows, 0), .tenant_id = store_col_text(rows, 1)},
            .home = {.net_id = (uint32_t)store_col_int(rows, 2), .tenant_id = store_col_text(rows, 3)},
            .counter = store_col_int(rows, 4),
            .count = (uint64_t)store_col_int(rows, 5),
        };
        err = i < REPORTING_MAX_ROWS ? each(ctx, &sum) : lpx_err_of(REPORTING_TOO_LARGE);
    }
    lpx_err closed = store_rows_close(&rows);
    return lpx_failed(closed) ? closed : err;
}
