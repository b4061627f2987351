#include "control/control_store.h"

#include "control/limits.h"
#include "lpx_reasons.h"

static bool flag(store_rows *rows, unsigned column)
{
    return store_col_int(rows, column) != 0;
}

static lpx_str text(store_rows *rows, unsigned column, lpx_arena *arena, bool *ok)
{
    lpx_bytes made = lpx_arena_copy(arena, lpx_str_bytes(store_col_text(rows, column)));
    *ok = *ok && made.ptr != NULL;
    return lpx_bytes_str(made);
}

static control_id read_id(store_rows *rows, unsigned column, lpx_arena *arena, bool *ok)
{
    return (control_id){.net_id = (uint32_t)store_col_int(rows, column),
                        .tenant_id = text(rows, column + 1, arena, ok)};
}

static void read_flags(store_rows *rows, control_policy *out)
{
    out->updated_at = (lpx_utc){store_col_int(rows, 5)};
    out->has_uplink = flag(rows, 6);
    out->up_join_request = flag(rows, 7);
    out->up_mac_data = flag(rows, 8);
    out->up_application_data = flag(rows, 9);
    out->up_signal_quality = flag(rows, 10);
    out->up_localization = flag(rows, 11);
    out->has_downlink = flag(rows, 12);
    out->down_join_accept = flag(rows, 13);
    out->down_mac_data = flag(rows, 14);
    out->down_application_data = flag(rows, 15);
}

bool control_store_policy(store_rows *rows, lpx_arena *arena, control_policy *out)
{
    bool ok = true;
    *out = (control_policy){
        .forwarder = read_id(rows, 0, arena, &ok),
        .is_default = flag(rows, 2),
        .home = read_id(rows, 3, arena, &ok),
    };
    read_flags(rows, out);
    return ok;
}

static lpx_err number(store_tx *tx, const char *sql, const store_value *values, size_t count, int64_t *out)
{
    store_rows *rows;
    LPX_TRY(store_query(tx, sql, values, count, &rows));
    int64_t found = store_next(rows) ? store_col_int(rows, 0) : 0;
    LPX_TRY(store_rows_close(&rows));
    *out = found;
    return LPX_SUCCESS;
}

/* Rows of a query of COLUMNS into room for max policies. */
static lpx_err read_policies(store_rows *rows, lpx_arena *arena, control_policy *out, size_t max, size_t *count)
{
    bool ok = true;
    size_t used = 0;
    while (ok && used < max && store_next(rows)) {
        ok = control_store_policy(rows, arena, &out[used++]);
    }
    LPX_TRY(store_rows_close(&rows));
    *count = used;
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

/* One policy. */

enum { ID_VALUES = 5, POLICY_VALUES = 16 };

#define POLICY_IDS                                                                                         \
    "forwarder_net_id = ?1 AND forwarder_tenant_id = ?2 AND is_default = ?3 AND home_network_net_id = ?4 " \
    "AND home_network_tenant_id = ?5"

static void bind_policy(const control_policy *p, store_value out[static POLICY_VALUES])
{
    const store_value values[POLICY_VALUES] = {
        STORE_V_INT(p->forwarder.net_id),  STORE_V_TEXT(p->forwarder.tenant_id),
        STORE_V_INT(p->is_default),        STORE_V_INT(p->home.net_id),
        STORE_V_TEXT(p->home.tenant_id),   STORE_V_INT(p->updated_at.us),
        STORE_V_INT(p->has_uplink),        STORE_V_INT(p->up_join_request),
        STORE_V_INT(p->up_mac_data),       STORE_V_INT(p->up_application_data),
        STORE_V_INT(p->up_signal_quality), STORE_V_INT(p->up_localization),
        STORE_V_INT(p->has_downlink),      STORE_V_INT(p->down_join_accept),
        STORE_V_INT(p->down_mac_data),     STORE_V_INT(p->down_application_data),
    };
    memcpy(out, values, sizeof values);
}

lpx_err control_store_put(store_tx *tx, const control_policy *policy)
{
    store_value values[POLICY_VALUES];
    bind_policy(policy, values);
    LPX_TRY(store_exec(tx, "DELETE FROM routing_policies WHERE " POLICY_IDS, values, ID_VALUES, NULL));
    return store_exec(tx,
                      "INSERT INTO routing_policies (" CONTROL_POLICY_COLUMNS
                      ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
                      values, POLICY_VALUES, NULL);
}

lpx_err control_store_delete(store_tx *tx, const control_policy *policy, bool *found)
{
    store_value values[POLICY_VALUES];
    int64_t changed;
    bind_policy(policy, values);
    LPX_TRY(store_exec(tx, "DELETE FROM routing_policies WHERE " POLICY_IDS, values, ID_VALUES, &changed));
    *found = changed > 0;
    return LPX_SUCCESS;
}

lpx_err control_store_get(store_tx *tx, control_policy *policy, bool *found)
{
    store_value values[POLICY_VALUES];
    store_rows *rows;
    bind_policy(policy, values);
    LPX_TRY(store_query(tx, "SELECT " CONTROL_POLICY_COLUMNS " FROM routing_policies WHERE " POLICY_IDS, values,
                        ID_VALUES, &rows));
    bool there = store_next(rows);
    if (there) {
        read_flags(rows, policy);
    }
    LPX_TRY(store_rows_close(&rows));
    *found = there;
    return LPX_SUCCESS;
}

lpx_err control_store_latest(store_tx *tx, bool *any, lpx_utc *latest)
{
    store_rows *rows;
    LPX_TRY(
        store_query(tx, "SELECT updated_at FROM routing_policies ORDER BY updated_at DESC LIMIT 1", NULL, 0, &rows));
    bool there = store_next(rows);
    int64_t us = there ? store_col_int(rows, 0) : 0;
    LPX_TRY(store_rows_close(&rows));
    *any = there;
    *latest = (lpx_utc){us};
    return LPX_SUCCESS;
}

lpx_err control_store_registered(store_tx *tx, const control_id *id, bool *found)
{
    const store_value values[] = {STORE_V_INT(id->net_id), STORE_V_TEXT(id->tenant_id)};
    int64_t count;
    if (id->tenant_id.len == 0) {
        LPX_TRY(number(tx, "SELECT COUNT(*) FROM networks WHERE net_id = ?1", values, 1, &count));
    } else {
        LPX_TRY(number(tx, "SELECT COUNT(*) FROM tenants WHERE net_id = ?1 AND tenant_id = ?2", values, 2, &count));
    }
    *found = count > 0;
    return LPX_SUCCESS;
}

/* Lists by time. */

/* The condition on the forwarder is off when ?2 is 0. */
#define LIST_FILTER \
    "FROM routing_policies WHERE is_default = ?1 AND (?2 = 0 OR (forwarder_net_id = ?3 AND forwarder_tenant_id = ?4))"

lpx_err control_store_list(store_tx *tx, const control_list *list, lpx_arena *arena, control_policy **out,
                           size_t *count, uint32_t *total)
{
    const control_scope *scope = &list->scope;
    const store_value values[] = {
        STORE_V_INT(list->defaults),       STORE_V_INT(scope->one),     STORE_V_INT(scope->id.net_id),
        STORE_V_TEXT(scope->id.tenant_id), STORE_V_INT(list->since.us), STORE_V_INT(list->limit),
    };
    int64_t all;
    store_rows *rows;
    control_policy *policies = lpx_arena_array(arena, list->limit, sizeof *policies);
    if (policies == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(number(tx, "SELECT COUNT(*) " LIST_FILTER, values, 4, &all));
    LPX_TRY(store_query(
        tx, "SELECT " CONTROL_POLICY_COLUMNS " " LIST_FILTER " AND updated_at > ?5 ORDER BY updated_at LIMIT ?6",
        values, 6, &rows));
    LPX_TRY(read_policies(rows, arena, policies, list->limit, count));
    *out = policies;
    *total = (uint32_t)all;
    return LPX_SUCCESS;
}

/* What effective policies are made from. */

#define TOWARD                                                                 \
    "FROM routing_policies WHERE is_default = 1 OR (home_network_net_id = ?1 " \
    "AND (home_network_tenant_id = ?2 OR home_network_tenant_id = ''))"

lpx_err control_store_toward(store_tx *tx, const control_id *home, lpx_arena *arena, control_policy **out,
                             size_t *count)
{
    const store_value values[] = {STORE_V_INT(home->net_id), STORE_V_TEXT(home->tenant_id)};
    int64_t all;
    store_rows *rows;
    LPX_TRY(number(tx, "SELECT COUNT(*) " TOWARD, values, 2, &all));
    if (all > CONTROL_MAX_FORWARDERS) {
        return lpx_err_of(CONTROL_TOO_MANY);
    }
    control_policy *policies = lpx_arena_array(arena, (size_t)all, sizeof *policies);
    if (policies == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(store_query(tx, "SELECT " CONTROL_POLICY_COLUMNS " " TOWARD, values, 2, &rows));
    LPX_TRY(read_policies(rows, arena, policies, (size_t)all, count));
    *out = policies;
    return LPX_SUCCESS;
}

lpx_err control_store_forwarders(store_tx *tx, lpx_arena *arena, control_id **out, size_t *count)
{
    int64_t networks;
    int64_t tenants;
    LPX_TRY(number(tx, "SELECT COUNT(*) FROM networks", NULL, 0, &networks));
    LPX_TRY(number(tx, "SELECT COUNT(*) FROM tenants", NULL, 0, &tenants));
    if (networks + tenants > CONTROL_MAX_FORWARDERS) {
        return lpx_err_of(CONTROL_TOO_MANY);
    }
    size_t max = (size_t)(networks + tenants);
    control_id *ids = lpx_arena_array(arena, max, sizeof *ids);
    if (ids == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    bool ok = true;
    LPX_TRY(store_query(tx,
                        "SELECT net_id, '' AS tenant_id FROM networks UNION ALL SELECT net_id, tenant_id FROM tenants "
                        "ORDER BY net_id, tenant_id",
                        NULL, 0, &rows));
    while (ok && used < max && store_next(rows)) {
        ids[used++] = read_id(rows, 0, arena, &ok);
    }
    LPX_TRY(store_rows_close(&rows));
    *out = ids;
    *count = used;
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

/* Partners. */

#define PARTNERS                                                                                        \
    "(SELECT home_network_net_id AS net_id, home_network_tenant_id AS tenant_id FROM routing_policies " \
    "WHERE is_default = 0 AND forwarder_net_id = ?1 AND forwarder_tenant_id = ?2 "                      \
    "UNION SELECT forwarder_net_id AS net_id, forwarder_tenant_id AS tenant_id FROM routing_policies "  \
    "WHERE is_default = 0 AND home_network_net_id = ?1 "                                                \
    "AND (home_network_tenant_id = ?2 OR home_network_tenant_id = '')) AS p"

/* Rows of the window into members. */
static bool read_partners(store_rows *rows, const control_partners *ask, lpx_arena *arena, control_member *members,
                          size_t *count, uint32_t *total)
{
    uint32_t passed = 0;
    size_t used = 0;
    bool ok = true;
    while (ok && store_next(rows)) {
        if (!control_filter_passes(&ask->filter, store_col_text(rows, 1), store_col_text(rows, 2))) {
            continue;
        }
        if (passed++ >= ask->window.offset && used < ask->window.limit) {
            members[used++] = (control_member){
                .id = read_id(rows, 0, arena, &ok), .name = text(rows, 2, arena, &ok), .listed = flag(rows, 3)};
        }
    }
    *count = used;
    *total = passed;
    return ok;
}

static lpx_err read_blocks(store_tx *tx, lpx_arena *arena, control_member *member)
{
    const store_value values[] = {STORE_V_INT(member->id.net_id), STORE_V_TEXT(member->id.tenant_id)};
    int64_t all;
    LPX_TRY(number(tx, "SELECT COUNT(*) FROM dev_addr_blocks WHERE net_id = ?1 AND tenant_id = ?2", values, 2, &all));
    control_block *blocks = lpx_arena_array(arena, (size_t)all, sizeof *blocks);
    if (blocks == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    bool ok = true;
    LPX_TRY(store_query(tx,
                        "SELECT prefix_value, prefix_length, home_network_cluster_id FROM dev_addr_blocks "
                        "WHERE net_id = ?1 AND tenant_id = ?2 ORDER BY position",
                        values, 2, &rows));
    while (ok && used < (size_t)all && store_next(rows)) {
        blocks[used++] = (control_block){.value = (uint32_t)store_col_int(rows, 0),
                                         .length = (uint32_t)store_col_int(rows, 1),
                                         .cluster_id = text(rows, 2, arena, &ok)};
    }
    LPX_TRY(store_rows_close(&rows));
    member->blocks = blocks;
    member->block_count = used;
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

lpx_err control_store_partners(store_tx *tx, const control_partners *ask, lpx_arena *arena, control_member **out,
                               size_t *count, uint32_t *total)
{
    const store_value values[] = {STORE_V_INT(ask->self.net_id), STORE_V_TEXT(ask->self.tenant_id),
                                  STORE_V_INT(ask->resumed), STORE_V_INT(ask->after.net_id),
                                  STORE_V_TEXT(ask->after.tenant_id)};
    control_member *members = lpx_arena_array(arena, ask->window.limit, sizeof *members);
    store_rows *rows;
    if (members == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(store_query(tx,
                        "SELECT p.net_id, p.tenant_id, COALESCE(n.name, t.name, ''), COALESCE(n.listed, t.listed, 0) "
                        "FROM " PARTNERS " LEFT JOIN networks n ON p.tenant_id = '' AND n.net_id = p.net_id "
                        "LEFT JOIN tenants t ON t.net_id = p.net_id AND t.tenant_id = p.tenant_id "
                        "WHERE ?3 = 0 OR p.net_id > ?4 OR (p.net_id = ?4 AND p.tenant_id > ?5) "
                        "ORDER BY p.net_id, p.tenant_id",
                        values, 5, &rows));
    bool ok = read_partners(rows, ask, arena, members, count, total);
    LPX_TRY(store_rows_close(&rows));
    for (size_t i = 0; ok && i < *count; i++) {
        LPX_TRY(read_blocks(tx, arena, &members[i]));
    }
    *out = members;
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}
