/* Rows of Join Servers and their JoinEUI prefixes. */
#include <stdio.h>

#include "base/text.h"
#include "iam/iam_store.h"
#include "iam/limits.h"
#include "lpx_reasons.h"

#define COLUMNS                                               \
    "join_server_id, name, " IAM_CONTACT_COLUMNS ", listed, " \
    "lookup, fixed_net_id, fixed_tenant_id, fixed_cluster_id"

enum { COL_ID, COL_NAME, COL_ADMIN, COL_TECH = COL_ADMIN + 3, COL_LISTED = COL_TECH + 3, COL_LOOKUP, COL_FIXED };

static bool read_server(store_rows *rows, lpx_arena *arena, iam_join_server *out)
{
    bool ok = true;
    bool fixed = !store_col_null(rows, COL_FIXED);
    *out = (iam_join_server){
        .id = (uint32_t)store_col_int(rows, COL_ID),
        .name = iam_store_col(rows, COL_NAME, arena, &ok),
        .admin = iam_store_contact(rows, COL_ADMIN, arena, &ok),
        .tech = iam_store_contact(rows, COL_TECH, arena, &ok),
        .listed = store_col_int(rows, COL_LISTED) != 0,
        .resolver = fixed ? IAM_RESOLVER_FIXED : IAM_RESOLVER_NONE,
        .fixed_net_id = (uint32_t)store_col_int(rows, COL_FIXED),
        .fixed_tenant_id = iam_store_col(rows, COL_FIXED + 1, arena, &ok),
        .fixed_cluster_id = iam_store_col(rows, COL_FIXED + 2, arena, &ok),
    };
    if (!store_col_null(rows, COL_LOOKUP)) {
        out->resolver = IAM_RESOLVER_LOOKUP;
        out->lookup = iam_store_col_bytes(rows, COL_LOOKUP, arena, &ok);
    }
    return ok;
}

static lpx_err read_prefixes(store_tx *tx, iam_join_server *server, lpx_arena *arena)
{
    const store_value id = STORE_V_INT(server->id);
    int64_t total;
    LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) FROM join_eui_prefixes WHERE join_server_id = ?1", &id, 1, &total));
    lw_eui64_prefix *list = lpx_arena_array(arena, (size_t)total, sizeof *list);
    if (list == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t count = 0;
    LPX_TRY(store_query(tx,
                        "SELECT prefix_value, prefix_length FROM join_eui_prefixes WHERE join_server_id = ?1 "
                        "ORDER BY position",
                        &id, 1, &rows));
    while (count < (size_t)total && store_next(rows)) {
        list[count++] =
            (lw_eui64_prefix){.value = (uint64_t)store_col_int(rows, 0), .length = (uint8_t)store_col_int(rows, 1)};
    }
    LPX_TRY(store_rows_close(&rows));
    server->prefixes = list;
    server->prefix_count = count;
    return LPX_SUCCESS;
}

lpx_err iam_store_join_server_get(store_tx *tx, uint32_t id, lpx_arena *arena, iam_join_server *out, bool *found)
{
    const store_value value = STORE_V_INT(id);
    store_rows *rows;
    iam_join_server server;
    LPX_TRY(store_query(tx, "SELECT " COLUMNS " FROM join_servers WHERE join_server_id = ?1", &value, 1, &rows));
    bool there = store_next(rows);
    bool ok = !there || read_server(rows, arena, &server);
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (there) {
        LPX_TRY(read_prefixes(tx, &server, arena));
        *out = server;
    }
    *found = there;
    return LPX_SUCCESS;
}

/* There are hundreds of Join Servers, not millions: text is compared here. */
lpx_err iam_store_join_servers(store_tx *tx, const iam_join_page *page, lpx_arena *arena, iam_join_server **out,
                               size_t *count, uint32_t *behind)
{
    const store_value values[] = {STORE_V_INT(page->after_id), STORE_V_INT(page->listed_only)};
    iam_join_server *servers = lpx_arena_array(arena, page->limit, sizeof *servers);
    if (servers == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    uint32_t passed = 0;
    bool ok = true;
    LPX_TRY(store_query(tx,
                        "SELECT " COLUMNS " FROM join_servers WHERE join_server_id > ?1 AND (?2 = 0 OR listed = 1) "
                        "ORDER BY join_server_id",
                        values, 2, &rows));
    while (ok && store_next(rows)) {
        if (!iam_text_contains_fold(store_col_text(rows, COL_NAME), page->name_contains)) {
            continue;
        }
        if (passed++ >= page->skip && used < page->limit) {
            ok = read_server(rows, arena, &servers[used++]);
        }
    }
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < used; i++) {
        LPX_TRY(read_prefixes(tx, &servers[i], arena));
    }
    *out = servers;
    *count = used;
    *behind = passed;
    return LPX_SUCCESS;
}

lpx_err iam_store_join_server_next_id(store_tx *tx, uint32_t *out)
{
    store_rows *rows;
    uint64_t next = 1;
    LPX_TRY(store_query(tx, "SELECT value FROM settings WHERE name = 'join_server_next_id'", NULL, 0, &rows));
    if (store_next(rows) && !lpx_parse_u64(store_col_text(rows, 0), UINT32_MAX, &next)) {
        next = UINT32_MAX;
    }
    LPX_TRY(store_rows_close(&rows));
    if (next >= UINT32_MAX) {
        return lpx_err_of(IAM_NO_JOIN_SERVER_ID);
    }
    char text[16];
    (void)snprintf(text, sizeof text, "%u", (unsigned)next + 1);
    const store_value value = STORE_V_TEXT(lpx_str_of(text));
    LPX_TRY(store_exec(tx,
                       "INSERT INTO settings (name, value) VALUES ('join_server_next_id', ?1) "
                       "ON CONFLICT (name) DO UPDATE SET value = ?1",
                       &value, 1, NULL));
    *out = (uint32_t)next;
    return LPX_SUCCESS;
}

enum { SERVER_VALUES = 14 };

/* Values of all columns: ?1 id … ?13 fixed_cluster_id, ?14 now. */
static void bind_server(const iam_join_server *s, lpx_utc now, store_value out[static SERVER_VALUES])
{
    bool fixed = s->resolver == IAM_RESOLVER_FIXED;
    const store_value values[SERVER_VALUES] = {
        STORE_V_INT(s->id),
        STORE_V_TEXT(s->name),
        STORE_V_TEXT(s->admin.name),
        STORE_V_TEXT(s->admin.email),
        STORE_V_TEXT(s->admin.url),
        STORE_V_TEXT(s->tech.name),
        STORE_V_TEXT(s->tech.email),
        STORE_V_TEXT(s->tech.url),
        STORE_V_INT(s->listed),
        s->resolver == IAM_RESOLVER_LOOKUP ? STORE_V_BLOB(s->lookup) : STORE_V_NULL,
        fixed ? STORE_V_INT(s->fixed_net_id) : STORE_V_NULL,
        STORE_V_TEXT(fixed ? s->fixed_tenant_id : LPX_STR("")),
        STORE_V_TEXT(fixed ? s->fixed_cluster_id : LPX_STR("")),
        STORE_V_INT(now.us),
    };
    memcpy(out, values, sizeof values);
}

static lpx_err insert_prefixes(store_tx *tx, const iam_join_server *server, lpx_utc now)
{
    for (size_t i = 0; i < server->prefix_count; i++) {
        const store_value values[] = {STORE_V_INT(server->id), STORE_V_INT(i), STORE_V_INT(server->prefixes[i].value),
                                      STORE_V_INT(server->prefixes[i].length), STORE_V_INT(now.us)};
        LPX_TRY(store_exec(tx,
                           "INSERT INTO join_eui_prefixes (join_server_id, position, prefix_value, prefix_length, "
                           "created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                           values, 5, NULL));
    }
    return LPX_SUCCESS;
}

lpx_err iam_store_join_server_insert(store_tx *tx, const iam_join_server *server, lpx_utc now)
{
    store_value values[SERVER_VALUES];
    bind_server(server, now, values);
    LPX_TRY(store_exec(tx,
                       "INSERT INTO join_servers (" COLUMNS ", created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, "
                       "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14)",
                       values, SERVER_VALUES, NULL));
    return insert_prefixes(tx, server, now);
}

lpx_err iam_store_join_server_update(store_tx *tx, const iam_join_server *server, lpx_utc now)
{
    store_value values[SERVER_VALUES];
    bind_server(server, now, values);
    return store_exec(tx,
                      "UPDATE join_servers SET name = ?2, admin_name = ?3, admin_email = ?4, admin_url = ?5, "
                      "tech_name = ?6, tech_email = ?7, tech_url = ?8, listed = ?9, lookup = ?10, fixed_net_id = ?11, "
                      "fixed_tenant_id = ?12, fixed_cluster_id = ?13, updated_at = ?14 WHERE join_server_id = ?1",
                      values, SERVER_VALUES, NULL);
}

lpx_err iam_store_prefixes_replace(store_tx *tx, const iam_join_server *server, lpx_utc now)
{
    const store_value id = STORE_V_INT(server->id);
    LPX_TRY(store_exec(tx, "DELETE FROM join_eui_prefixes WHERE join_server_id = ?1", &id, 1, NULL));
    return insert_prefixes(tx, server, now);
}

lpx_err iam_store_join_server_delete(store_tx *tx, uint32_t id, bool *found)
{
    const store_value value = STORE_V_INT(id);
    int64_t changed;
    LPX_TRY(store_exec(tx, "DELETE FROM join_eui_prefixes WHERE join_server_id = ?1", &value, 1, NULL));
    LPX_TRY(store_exec(tx, "DELETE FROM join_servers WHERE join_server_id = ?1", &value, 1, &changed));
    *found = changed > 0;
    return LPX_SUCCESS;
}
