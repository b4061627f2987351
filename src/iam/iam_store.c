#include "iam/iam_store.h"

#include "iam/limits.h"
#include "lpx_reasons.h"

#define CONTACTS IAM_CONTACT_COLUMNS
#define NETWORK_COLUMNS IAM_NETWORK_COLUMNS
#define TENANT_COLUMNS IAM_TENANT_COLUMNS

static lpx_bytes copy(lpx_bytes bytes, lpx_arena *arena, bool *ok)
{
    lpx_bytes made = lpx_arena_copy(arena, bytes);
    *ok = *ok && made.ptr != NULL;
    return made;
}

lpx_str iam_store_col(store_rows *rows, unsigned column, lpx_arena *arena, bool *ok)
{
    return lpx_bytes_str(copy(lpx_str_bytes(store_col_text(rows, column)), arena, ok));
}

lpx_bytes iam_store_col_bytes(store_rows *rows, unsigned column, lpx_arena *arena, bool *ok)
{
    return copy(store_col_blob(rows, column), arena, ok);
}

iam_contact iam_store_contact(store_rows *rows, unsigned first, lpx_arena *arena, bool *ok)
{
    return (iam_contact){.name = iam_store_col(rows, first, arena, ok),
                         .email = iam_store_col(rows, first + 1, arena, ok),
                         .url = iam_store_col(rows, first + 2, arena, ok)};
}

bool iam_store_read_member(store_rows *rows, lpx_arena *arena, iam_member *out)
{
    bool ok = true;
    *out = (iam_member){
        .net_id = (uint32_t)store_col_int(rows, IAM_COL_NET_ID),
        .tenant_id = iam_store_col(rows, IAM_COL_TENANT_ID, arena, &ok),
        .authority = iam_store_col(rows, IAM_COL_AUTHORITY, arena, &ok),
        .name = iam_store_col(rows, IAM_COL_NAME, arena, &ok),
        .admin = iam_store_contact(rows, IAM_COL_ADMIN, arena, &ok),
        .tech = iam_store_contact(rows, IAM_COL_TECH, arena, &ok),
        .listed = store_col_int(rows, IAM_COL_LISTED) != 0,
        .has_target = !store_col_null(rows, IAM_COL_TARGET),
        .target = copy(store_col_blob(rows, IAM_COL_TARGET), arena, &ok),
        .delegated = !store_col_null(rows, IAM_COL_DELEGATED),
        .delegated_net_id = (uint32_t)store_col_int(rows, IAM_COL_DELEGATED),
    };
    return ok;
}

lpx_err iam_store_number(store_tx *tx, const char *sql, const store_value *values, size_t count, int64_t *out)
{
    store_rows *rows;
    LPX_TRY(store_query(tx, sql, values, count, &rows));
    int64_t number = store_next(rows) ? store_col_int(rows, 0) : 0;
    LPX_TRY(store_rows_close(&rows));
    *out = number;
    return LPX_SUCCESS;
}

/* Blocks. */

#define BLOCK_QUERY \
    "SELECT net_id, tenant_id, prefix_value, prefix_length, home_network_cluster_id FROM dev_addr_blocks "

/* Room for one block more at the end of the member's list, which doubles when it is full. */
static iam_block *push_block(iam_member *member, iam_block *list, lpx_arena *arena)
{
    size_t count = member->block_count;
    if (count != 0 && (count & (count - 1)) != 0) {
        return list;
    }
    iam_block *more = lpx_arena_array(arena, count == 0 ? 1 : 2 * count, sizeof *more);
    if (more != NULL && count > 0) {
        memcpy(more, list, count * sizeof *more);
    }
    member->blocks = more != NULL ? more : member->blocks;
    return more;
}

/* Order of a member and the present row: by network, then by tenant, byte by byte. */
static int compare(const iam_member *member, store_rows *rows)
{
    uint32_t net_id = (uint32_t)store_col_int(rows, 0);
    lpx_str tenant = store_col_text(rows, 1);
    if (member->net_id != net_id) {
        return member->net_id < net_id ? -1 : 1;
    }
    size_t common = member->tenant_id.len < tenant.len ? member->tenant_id.len : tenant.len;
    int order = common > 0 ? memcmp(member->tenant_id.ptr, tenant.ptr, common) : 0;
    return order != 0 ? order : (member->tenant_id.len > tenant.len) - (member->tenant_id.len < tenant.len);
}

/* Give the blocks of rows to members: both in the same order; rows may hold blocks of others. */
static bool take_blocks(store_rows *rows, iam_member *members, size_t count, lpx_arena *arena)
{
    bool ok = true;
    size_t i = 0;
    iam_block *list = NULL;
    while (ok && store_next(rows)) {
        while (i < count && compare(&members[i], rows) < 0) {
            i++;
        }
        if (i == count || compare(&members[i], rows) != 0) {
            continue;
        }
        list = push_block(&members[i], list, arena);
        ok = list != NULL;
        if (ok) {
            list[members[i].block_count++] = (iam_block){
                .prefix = {.value = (uint32_t)store_col_int(rows, 2), .length = (uint8_t)store_col_int(rows, 3)},
                .cluster_id = iam_store_col(rows, 4, arena, &ok)};
        }
    }
    return ok;
}

static bool any_tenant(const iam_member *members, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count && !any; i++) {
        any = members[i].tenant_id.len > 0;
    }
    return any;
}

lpx_err iam_store_blocks(store_tx *tx, iam_member *members, size_t count, lpx_arena *arena)
{
    if (count == 0) {
        return LPX_SUCCESS;
    }
    const iam_member *first = &members[0];
    const iam_member *last = &members[count - 1];
    const store_value range[] = {STORE_V_INT(first->net_id), STORE_V_TEXT(first->tenant_id), STORE_V_INT(last->net_id),
                                 STORE_V_TEXT(last->tenant_id), STORE_V_INT(any_tenant(members, count))};
    store_rows *rows;
    LPX_TRY(store_query(tx,
                        BLOCK_QUERY "WHERE net_id >= ?1 AND net_id <= ?3 AND (net_id > ?1 OR tenant_id >= ?2) "
                                    "AND (net_id < ?3 OR tenant_id <= ?4) AND (?5 <> 0 OR tenant_id = '') "
                                    "ORDER BY net_id, tenant_id, position",
                        range, 5, &rows));
    bool ok = take_blocks(rows, members, count, arena);
    LPX_TRY(store_rows_close(&rows));
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err insert_blocks(store_tx *tx, const iam_member *member, lpx_utc now)
{
    for (size_t i = 0; i < member->block_count; i++) {
        const iam_block *block = &member->blocks[i];
        const store_value values[] = {STORE_V_INT(member->net_id),
                                      STORE_V_TEXT(member->tenant_id),
                                      STORE_V_INT(i),
                                      STORE_V_INT(block->prefix.value),
                                      STORE_V_INT(block->prefix.length),
                                      STORE_V_TEXT(block->cluster_id),
                                      STORE_V_INT(now.us)};
        LPX_TRY(store_exec(tx,
                           "INSERT INTO dev_addr_blocks (net_id, tenant_id, position, prefix_value, prefix_length, "
                           "home_network_cluster_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                           values, 7, NULL));
    }
    return LPX_SUCCESS;
}

lpx_err iam_store_blocks_replace(store_tx *tx, const iam_member *member, lpx_utc now)
{
    const store_value id[] = {STORE_V_INT(member->net_id), STORE_V_TEXT(member->tenant_id)};
    LPX_TRY(store_exec(tx, "DELETE FROM dev_addr_blocks WHERE net_id = ?1 AND tenant_id = ?2", id, 2, NULL));
    return insert_blocks(tx, member, now);
}

lpx_err iam_store_blocks_delete_in(store_tx *tx, uint32_t net_id, lw_devaddr_prefix addresses)
{
    const store_value values[] = {STORE_V_INT(net_id), STORE_V_INT(lw_devaddr_prefix_first(addresses).value),
                                  STORE_V_INT(lw_devaddr_prefix_last(addresses).value)};
    return store_exec(tx, "DELETE FROM dev_addr_blocks WHERE net_id = ?1 AND prefix_value >= ?2 AND prefix_value <= ?3",
                      values, 3, NULL);
}

/* One member. */

lpx_err iam_store_member_get(store_tx *tx, uint32_t net_id, lpx_str tenant_id, lpx_arena *arena, iam_member *out,
                             bool *found)
{
    const store_value id[] = {STORE_V_INT(net_id), STORE_V_TEXT(tenant_id)};
    store_rows *rows;
    if (tenant_id.len == 0) {
        LPX_TRY(store_query(tx, "SELECT " NETWORK_COLUMNS " FROM networks WHERE net_id = ?1", id, 1, &rows));
    } else {
        LPX_TRY(store_query(tx, "SELECT " TENANT_COLUMNS " FROM tenants WHERE net_id = ?1 AND tenant_id = ?2", id, 2,
                            &rows));
    }
    iam_member member = {.net_id = net_id};
    bool there = store_next(rows);
    bool ok = !there || iam_store_read_member(rows, arena, &member);
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (there) {
        LPX_TRY(iam_store_blocks(tx, &member, 1, arena));
        *out = member;
    }
    *found = there;
    return LPX_SUCCESS;
}

lpx_err iam_store_member_exists(store_tx *tx, uint32_t net_id, lpx_str tenant_id, bool *found)
{
    const store_value id[] = {STORE_V_INT(net_id), STORE_V_TEXT(tenant_id)};
    int64_t count;
    if (tenant_id.len == 0) {
        LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) FROM networks WHERE net_id = ?1", id, 1, &count));
    } else {
        LPX_TRY(
            iam_store_number(tx, "SELECT COUNT(*) FROM tenants WHERE net_id = ?1 AND tenant_id = ?2", id, 2, &count));
    }
    *found = count > 0;
    return LPX_SUCCESS;
}

enum { MEMBER_VALUES = 13 };

/* Values of all columns: ?1 net_id … ?11 target, ?12 now, ?13 delegated_net_id or, for tenants, tenant_id. */
static void bind_member(const iam_member *m, lpx_utc now, store_value out[static MEMBER_VALUES])
{
    const store_value delegated = m->delegated ? STORE_V_INT(m->delegated_net_id) : STORE_V_NULL;
    const store_value values[MEMBER_VALUES] = {
        STORE_V_INT(m->net_id),
        STORE_V_TEXT(m->authority),
        STORE_V_TEXT(m->name),
        STORE_V_TEXT(m->admin.name),
        STORE_V_TEXT(m->admin.email),
        STORE_V_TEXT(m->admin.url),
        STORE_V_TEXT(m->tech.name),
        STORE_V_TEXT(m->tech.email),
        STORE_V_TEXT(m->tech.url),
        STORE_V_INT(m->listed ? 1 : 0),
        m->has_target ? STORE_V_BLOB(m->target) : STORE_V_NULL,
        STORE_V_INT(now.us),
        m->tenant_id.len > 0 ? STORE_V_TEXT(m->tenant_id) : delegated,
    };
    memcpy(out, values, sizeof values);
}

#define MEMBER_COLUMNS "net_id, authority, name, " CONTACTS ", listed, target, created_at, updated_at"
#define MEMBER_PLACES "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12"

lpx_err iam_store_member_insert(store_tx *tx, const iam_member *member, lpx_utc now, bool *made)
{
    store_value values[MEMBER_VALUES];
    bind_member(member, now, values);
    const char *sql = member->tenant_id.len == 0 ? "INSERT INTO networks (" MEMBER_COLUMNS
                                                   ", delegated_net_id) VALUES (" MEMBER_PLACES ", ?13) "
                                                   "ON CONFLICT (net_id) DO NOTHING"
                                                 : "INSERT INTO tenants (" MEMBER_COLUMNS
                                                   ", tenant_id) VALUES (" MEMBER_PLACES ", ?13) "
                                                   "ON CONFLICT (net_id, tenant_id) DO NOTHING";
    int64_t changed;
    LPX_TRY(store_exec(tx, sql, values, MEMBER_VALUES, &changed));
    *made = changed > 0;
    return changed > 0 ? iam_store_blocks_replace(tx, member, now) : LPX_SUCCESS;
}

#define SET_MEMBER                                                                                                    \
    "SET authority = ?2, name = ?3, admin_name = ?4, admin_email = ?5, admin_url = ?6, tech_name = ?7, tech_email = " \
    "?8, "                                                                                                            \
    "tech_url = ?9, listed = ?10, target = ?11, updated_at = ?12"

lpx_err iam_store_member_update(store_tx *tx, const iam_member *member, lpx_utc now)
{
    store_value values[MEMBER_VALUES];
    bind_member(member, now, values);
    const char *sql = member->tenant_id.len == 0
                          ? "UPDATE networks " SET_MEMBER ", delegated_net_id = ?13 WHERE net_id = ?1"
                          : "UPDATE tenants " SET_MEMBER " WHERE net_id = ?1 AND tenant_id = ?13";
    return store_exec(tx, sql, values, MEMBER_VALUES, NULL);
}

lpx_err iam_store_listed_set(store_tx *tx, uint32_t net_id, lpx_str tenant_id, bool listed, lpx_utc now, bool *found)
{
    const store_value values[] = {STORE_V_INT(net_id), STORE_V_INT(listed ? 1 : 0), STORE_V_INT(now.us),
                                  STORE_V_TEXT(tenant_id)};
    int64_t changed;
    if (tenant_id.len == 0) {
        LPX_TRY(
            store_exec(tx, "UPDATE networks SET listed = ?2, updated_at = ?3 WHERE net_id = ?1", values, 3, &changed));
    } else {
        LPX_TRY(store_exec(tx, "UPDATE tenants SET listed = ?2, updated_at = ?3 WHERE net_id = ?1 AND tenant_id = ?4",
                           values, 4, &changed));
    }
    *found = changed > 0;
    return LPX_SUCCESS;
}

/* What goes with a member. ?1 its network, ?2 1 when only the tenant ?3 of it goes; ?4 now. What others decided for
 * themselves stays: their settings may go on refusing who comes back under this id. Certificates are revoked, so that
 * they stay refused by name. Reports stay. */
#define OF(net, tenant) net " = ?1 AND (?2 = 0 OR " tenant " = ?3)"

static const char *const member_updates[] = {
    "UPDATE join_servers SET fixed_net_id = NULL, fixed_tenant_id = '', fixed_cluster_id = '', updated_at = ?4 "
    "WHERE " OF("fixed_net_id", "fixed_tenant_id"),
    "UPDATE client_certificates SET revoked_at = ?4 "
    "WHERE kind = 0 AND revoked_at IS NULL AND " OF("net_id", "tenant_id"),
    "UPDATE networks SET delegated_net_id = NULL, updated_at = ?4 WHERE ?2 = 0 AND ?3 = '' AND delegated_net_id = ?1",
};

/* The row of the member itself is last. */
static const char *const member_deletes[] = {
    "DELETE FROM routing_policies WHERE " OF("forwarder_net_id", "forwarder_tenant_id"),
    "DELETE FROM routing_policies WHERE is_default = 0 AND " OF("home_network_net_id", "home_network_tenant_id"),
    "DELETE FROM gateway_visibilities WHERE " OF("forwarder_net_id", "forwarder_tenant_id"),
    "DELETE FROM gateway_visibilities WHERE is_default = 0 AND " OF("home_network_net_id", "home_network_tenant_id"),
    "DELETE FROM gateways WHERE " OF("forwarder_net_id", "forwarder_tenant_id"),
    "DELETE FROM home_network_settings WHERE " OF("home_network_net_id", "home_network_tenant_id"),
    "DELETE FROM api_keys WHERE kind = 0 AND " OF("net_id", "tenant_id"),
    "DELETE FROM dev_addr_blocks WHERE " OF("net_id", "tenant_id"),
    "DELETE FROM tenants WHERE " OF("net_id", "tenant_id"),
    "DELETE FROM networks WHERE net_id = ?1 AND ?2 = 0 AND ?3 = ''",
};

lpx_err iam_store_member_delete(store_tx *tx, uint32_t net_id, lpx_str tenant_id, lpx_utc now)
{
    const store_value values[] = {STORE_V_INT(net_id), STORE_V_INT(tenant_id.len > 0), STORE_V_TEXT(tenant_id),
                                  STORE_V_INT(now.us)};
    for (size_t i = 0; i < sizeof member_updates / sizeof member_updates[0]; i++) {
        LPX_TRY(store_exec(tx, member_updates[i], values, 4, NULL));
    }
    for (size_t i = 0; i < sizeof member_deletes / sizeof member_deletes[0]; i++) {
        LPX_TRY(store_exec(tx, member_deletes[i], values, 3, NULL));
    }
    return LPX_SUCCESS;
}

/* Delegation. */

lpx_err iam_store_space(store_tx *tx, uint32_t net_id, lpx_arena *arena, iam_space *out)
{
    const store_value values[] = {STORE_V_INT(net_id), STORE_V_INT(IAM_MAX_REPRESENTED)};
    uint32_t *list = lpx_arena_array(arena, IAM_MAX_REPRESENTED, sizeof *list);
    if (list == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t count = 0;
    LPX_TRY(store_query(tx, "SELECT net_id FROM networks WHERE delegated_net_id = ?1 ORDER BY net_id LIMIT ?2", values,
                        2, &rows));
    while (count < IAM_MAX_REPRESENTED && store_next(rows)) {
        list[count++] = (uint32_t)store_col_int(rows, 0);
    }
    LPX_TRY(store_rows_close(&rows));
    *out = (iam_space){.net_id = net_id, .represented = list, .represented_count = count};
    return LPX_SUCCESS;
}

lpx_err iam_store_delegates_to(store_tx *tx, uint32_t from, uint32_t to, bool *out)
{
    uint32_t net_id = from;
    bool there = true;
    for (unsigned i = 0; there && net_id != to && i < IAM_MAX_DELEGATION_CHAIN; i++) {
        const store_value id = STORE_V_INT(net_id);
        store_rows *rows;
        LPX_TRY(store_query(tx,
                            "SELECT delegated_net_id FROM networks WHERE net_id = ?1 AND delegated_net_id IS NOT NULL",
                            &id, 1, &rows));
        there = store_next(rows);
        net_id = there ? (uint32_t)store_col_int(rows, 0) : net_id;
        LPX_TRY(store_rows_close(&rows));
    }
    *out = there;
    return LPX_SUCCESS;
}

lpx_err iam_store_spaces(store_tx *tx, const iam_member *networks, size_t count, lpx_arena *arena, iam_space **out)
{
    iam_space *spaces = lpx_arena_array(arena, count, sizeof *spaces);
    if (spaces == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    int64_t delegating;
    LPX_TRY(
        iam_store_number(tx, "SELECT COUNT(*) FROM networks WHERE delegated_net_id IS NOT NULL", NULL, 0, &delegating));
    for (size_t i = 0; i < count; i++) {
        spaces[i] = (iam_space){.net_id = networks[i].net_id};
        if (delegating > 0) {
            LPX_TRY(iam_store_space(tx, networks[i].net_id, arena, &spaces[i]));
        }
    }
    *out = spaces;
    return LPX_SUCCESS;
}

/* Pages. */

/* Rows behind the page's place. Ids of tenants are never empty, so that an empty one stands for the list's begin. */
#define TENANTS_BEHIND "FROM tenants WHERE net_id = ?1 AND tenant_id > ?2"
#define NETWORKS_BEHIND "FROM networks WHERE net_id > ?1 AND (?2 = 0 OR net_id = ?3)"

static lpx_err open_page(store_tx *tx, const iam_page *page, store_rows **out)
{
    bool all = !iam_filter_is_empty(&page->filter); /* filtered here, as the engines differ in matching text */
    int64_t limit = all ? INT64_MAX : page->limit;
    int64_t skip = all ? 0 : page->skip;
    if (page->tenants) {
        const store_value values[] = {STORE_V_INT(page->net_id), STORE_V_TEXT(page->after_tenant_id),
                                      STORE_V_INT(limit), STORE_V_INT(skip)};
        return store_query(tx, "SELECT " TENANT_COLUMNS " " TENANTS_BEHIND " ORDER BY tenant_id LIMIT ?3 OFFSET ?4",
                           values, 4, out);
    }
    const store_value values[] = {STORE_V_INT(page->after_net_id), STORE_V_INT(page->only_one),
                                  STORE_V_INT(page->net_id), STORE_V_INT(limit), STORE_V_INT(skip)};
    return store_query(tx, "SELECT " NETWORK_COLUMNS " " NETWORKS_BEHIND " ORDER BY net_id LIMIT ?4 OFFSET ?5", values,
                       5, out);
}

static lpx_err count_behind(store_tx *tx, const iam_page *page, uint32_t *behind)
{
    int64_t count;
    if (page->tenants) {
        const store_value values[] = {STORE_V_INT(page->net_id), STORE_V_TEXT(page->after_tenant_id)};
        LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) " TENANTS_BEHIND, values, 2, &count));
    } else {
        const store_value values[] = {STORE_V_INT(page->after_net_id), STORE_V_INT(page->only_one),
                                      STORE_V_INT(page->net_id)};
        LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) " NETWORKS_BEHIND, values, 3, &count));
    }
    *behind = (uint32_t)count;
    return LPX_SUCCESS;
}

bool iam_store_read_page(store_rows *rows, const iam_page *page, lpx_arena *arena, iam_member *members, size_t *count,
                         uint32_t *behind)
{
    bool filtered = !iam_filter_is_empty(&page->filter);
    uint32_t passed = 0;
    bool ok = true;
    while (ok && store_next(rows)) {
        lpx_str id = store_col_text(rows, IAM_COL_TENANT_ID);
        if (!iam_filter_passes(&page->filter, id, store_col_text(rows, IAM_COL_NAME))) {
            continue;
        }
        bool in_page = !filtered || passed >= page->skip;
        passed++;
        if (in_page && *count < page->limit) {
            ok = iam_store_read_member(rows, arena, &members[*count]);
            *count += ok ? 1 : 0;
        }
    }
    *behind = filtered ? passed : *behind;
    return ok;
}

lpx_err iam_store_members(store_tx *tx, const iam_page *page, lpx_arena *arena, iam_member **out, size_t *count,
                          uint32_t *behind)
{
    iam_member *members = lpx_arena_array(arena, page->limit, sizeof *members);
    if (members == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    uint32_t all;
    LPX_TRY(count_behind(tx, page, &all));
    LPX_TRY(open_page(tx, page, &rows));
    bool ok = iam_store_read_page(rows, page, arena, members, &used, &all);
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(iam_store_blocks(tx, members, used, arena));
    *out = members;
    *count = used;
    *behind = all;
    return LPX_SUCCESS;
}
