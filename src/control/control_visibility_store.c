#include "control/control_visibility_store.h"
#include "lpx_reasons.h"

enum { ID_VALUES = 5, VALUES = 7 };

#define IDS                                                                                                \
    "forwarder_net_id = ?1 AND forwarder_tenant_id = ?2 AND is_default = ?3 AND home_network_net_id = ?4 " \
    "AND home_network_tenant_id = ?5"

static void bind(const control_visibility *v, store_value out[static VALUES])
{
    const store_value values[VALUES] = {
        STORE_V_INT(v->forwarder.net_id), STORE_V_TEXT(v->forwarder.tenant_id), STORE_V_INT(v->is_default),
        STORE_V_INT(v->home.net_id),      STORE_V_TEXT(v->home.tenant_id),      STORE_V_INT(v->flags),
        STORE_V_INT(v->updated_at.us),
    };
    memcpy(out, values, sizeof values);
}

bool control_visibility_row(store_rows *rows, lpx_arena *arena, control_visibility *out)
{
    char *forwarder = lpx_arena_cstr(arena, store_col_text(rows, 1));
    char *home = lpx_arena_cstr(arena, store_col_text(rows, 4));
    *out = (control_visibility){
        .forwarder = {.net_id = (uint32_t)store_col_int(rows, 0), .tenant_id = lpx_str_of(forwarder)},
        .is_default = store_col_int(rows, 2) != 0,
        .home = {.net_id = (uint32_t)store_col_int(rows, 3), .tenant_id = lpx_str_of(home)},
        .flags = (uint32_t)store_col_int(rows, 5),
        .updated_at = {store_col_int(rows, 6)},
    };
    return forwarder != NULL && home != NULL;
}

lpx_err control_visibility_put(store_tx *tx, const control_visibility *visibility)
{
    store_value values[VALUES];
    bind(visibility, values);
    return store_exec(tx,
                      "INSERT INTO gateway_visibilities (" CONTROL_VISIBILITY_COLUMNS
                      ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                      "ON CONFLICT (forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, "
                      "home_network_tenant_id) DO UPDATE SET flags = ?6, updated_at = ?7",
                      values, VALUES, NULL);
}

lpx_err control_visibility_delete(store_tx *tx, const control_visibility *visibility, bool *found)
{
    store_value values[VALUES];
    int64_t changed;
    bind(visibility, values);
    LPX_TRY(store_exec(tx, "DELETE FROM gateway_visibilities WHERE " IDS, values, ID_VALUES, &changed));
    *found = changed > 0;
    return LPX_SUCCESS;
}

lpx_err control_visibility_get(store_tx *tx, control_visibility *visibility, bool *found)
{
    store_value values[VALUES];
    store_rows *rows;
    bind(visibility, values);
    LPX_TRY(store_query(tx, "SELECT flags, updated_at FROM gateway_visibilities WHERE " IDS, values, ID_VALUES, &rows));
    bool there = store_next(rows);
    if (there) {
        visibility->flags = (uint32_t)store_col_int(rows, 0);
        visibility->updated_at = (lpx_utc){store_col_int(rows, 1)};
    }
    *found = there;
    return store_rows_close(&rows);
}
