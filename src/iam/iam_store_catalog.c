/* The catalog: networks and tenants in one list, for others than themselves. */
#include "iam/iam_store.h"
#include "lpx_reasons.h"

/* ?1 ?2: behind this place. ?3: unlisted ones with a policy toward or from the member ?4 ?5, too. ?6: those with
 * DevAddr blocks alone. A policy toward a whole network is one toward each of its tenants. */
#define CATALOG                                                                                                      \
    "FROM (SELECT " IAM_NETWORK_COLUMNS " FROM networks UNION ALL SELECT " IAM_TENANT_COLUMNS " FROM tenants) AS m " \
    "WHERE (m.net_id > ?1 OR (m.net_id = ?1 AND m.tenant_id > ?2)) AND (m.listed = 1 OR (?3 <> 0 AND ("              \
    "EXISTS (SELECT 1 FROM routing_policies AS p WHERE p.is_default = 0 AND p.forwarder_net_id = ?4 "                \
    "AND p.forwarder_tenant_id = ?5 AND p.home_network_net_id = m.net_id "                                           \
    "AND p.home_network_tenant_id = m.tenant_id) "                                                                   \
    "OR EXISTS (SELECT 1 FROM routing_policies AS p WHERE p.is_default = 0 AND p.forwarder_net_id = m.net_id "       \
    "AND p.forwarder_tenant_id = m.tenant_id AND p.home_network_net_id = ?4 "                                        \
    "AND (p.home_network_tenant_id = ?5 OR p.home_network_tenant_id = ''))))) "                                      \
    "AND (?6 = 0 OR EXISTS (SELECT 1 FROM dev_addr_blocks AS b WHERE b.net_id = m.net_id "                           \
    "AND b.tenant_id = m.tenant_id)) "

enum { CATALOG_VALUES = 6 };

static lpx_err read_rows(store_tx *tx, const iam_catalog *ask, const store_value *where, lpx_arena *arena,
                         iam_member *members, size_t *count, uint32_t *behind)
{
    bool all = !iam_filter_is_empty(&ask->page.filter); /* filtered here, as the engines differ in matching text */
    store_value values[CATALOG_VALUES + 2];
    memcpy(values, where, CATALOG_VALUES * sizeof *where);
    values[CATALOG_VALUES] = STORE_V_INT(all ? INT64_MAX : ask->page.limit);
    values[CATALOG_VALUES + 1] = STORE_V_INT(all ? 0 : ask->page.skip);
    store_rows *rows;
    LPX_TRY(store_query(tx, "SELECT m.* " CATALOG "ORDER BY m.net_id, m.tenant_id LIMIT ?7 OFFSET ?8", values,
                        CATALOG_VALUES + 2, &rows));
    bool ok = iam_store_read_page(rows, &ask->page, arena, members, count, behind);
    LPX_TRY(store_rows_close(&rows));
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

lpx_err iam_store_catalog(store_tx *tx, const iam_catalog *ask, lpx_arena *arena, iam_member **out, size_t *count,
                          uint32_t *behind)
{
    const store_value where[CATALOG_VALUES] = {
        STORE_V_INT(ask->page.after_net_id), STORE_V_TEXT(ask->page.after_tenant_id), STORE_V_INT(ask->with_partners),
        STORE_V_INT(ask->partner_net_id),    STORE_V_TEXT(ask->partner_tenant_id),    STORE_V_INT(ask->home_only),
    };
    iam_member *members = lpx_arena_array(arena, ask->page.limit, sizeof *members);
    if (members == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    size_t used = 0;
    int64_t all = 0;
    if (iam_filter_is_empty(&ask->page.filter)) {
        LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) " CATALOG, where, CATALOG_VALUES, &all));
    }
    uint32_t passed = (uint32_t)all;
    LPX_TRY(read_rows(tx, ask, where, arena, members, &used, &passed));
    LPX_TRY(iam_store_blocks(tx, members, used, arena));
    *out = members;
    *count = used;
    *behind = passed;
    return LPX_SUCCESS;
}
