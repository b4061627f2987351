#include "control/control_entity.h"

#include "control/control_settings_store.h"
#include "control/control_store.h"
#include "control/control_visibility_store.h"
#include "lpx_reasons.h"

#define NO_MEMORY lpx_err_of(BASE_NO_MEMORY)

enum { READ_NETWORK_CONTACT = 1, READ_TARGET_AUTH = 6, READ_JOIN_SERVER_CONTACT = 13 };

static bool may(const rpc_principal *who, int right)
{
    return who->subject == RPC_ADMIN || (who->rights >> right & 1U) != 0;
}

control_view control_view_of(const rpc_principal *who)
{
    return (control_view){.contacts = may(who, READ_NETWORK_CONTACT),
                          .join_server_contacts = may(who, READ_JOIN_SERVER_CONTACT),
                          .secrets = may(who, READ_TARGET_AUTH)};
}

/* ---- rows in general ---- */

typedef ProtobufCMessage *(*row_maker)(control_reader *reader, store_rows *rows);

/* Rows of a query to the sink. A maker answers NULL when memory is short. */
static lpx_err give_rows(control_reader *reader, store_rows *rows, row_maker make)
{
    lpx_err err = LPX_SUCCESS;
    while (!lpx_failed(err) && !reader->stop && store_next(rows)) {
        const ProtobufCMessage *message = make(reader, rows);
        err = message != NULL ? reader->sink(reader, message) : NO_MEMORY;
        reader->count += !lpx_failed(err) && !reader->stop;
    }
    lpx_err closed = store_rows_close(&rows);
    return lpx_failed(closed) ? closed : err;
}

/* One page of a query that ends in LIMIT ?1 OFFSET ?2. */
static lpx_err read_page(control_reader *reader, const char *sql, row_maker make)
{
    const store_value window[] = {STORE_V_INT(reader->window.limit), STORE_V_INT(reader->window.offset)};
    store_rows *rows;
    LPX_TRY(store_query(reader->tx, sql, window, 2, &rows));
    return give_rows(reader, rows, make);
}

static lpx_err count_rows(store_tx *tx, const char *sql, uint32_t *out)
{
    store_rows *rows;
    LPX_TRY(store_query(tx, sql, NULL, 0, &rows));
    *out = store_next(rows) ? (uint32_t)store_col_int(rows, 0) : 0;
    return store_rows_close(&rows);
}

static bool put_text(store_rows *rows, unsigned column, lpx_arena *arena, char **out)
{
    *out = lpx_arena_cstr(arena, store_col_text(rows, column));
    return *out != NULL;
}

static uint32_t number(store_rows *rows, unsigned column)
{
    return (uint32_t)store_col_int(rows, column);
}

/* Without the right to see secrets a target shows where, and not how to get in. NULL in the column: no target. */
static bool put_target(control_reader *reader, store_rows *rows, unsigned column, Pb__V3__Target **out)
{
    ProtobufCMessage *message;
    *out = NULL;
    if (store_col_null(rows, column)) {
        return true;
    }
    if (lpx_failed(
            pb_decode(&pb__v3__target__descriptor, store_col_blob(rows, column), reader->arena, &message, NULL))) {
        return false;
    }
    Pb__V3__Target *target = (Pb__V3__Target *)message;
    if (!reader->view.secrets) {
        target->default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION__NOT_SET;
        target->n_origin_net_id_authentication = 0;
    }
    *out = target;
    return true;
}

/* Name, e-mail and URL in three columns; absent when all are empty. */
static bool put_contact(store_rows *rows, unsigned column, lpx_arena *arena, Pb__V3__ContactInfo **out)
{
    *out = NULL;
    if (store_col_text(rows, column).len + store_col_text(rows, column + 1).len +
            store_col_text(rows, column + 2).len ==
        0) {
        return true;
    }
    Pb__V3__ContactInfo *info = lpx_arena_get(arena, sizeof *info);
    if (info == NULL) {
        return false;
    }
    pb__v3__contact_info__init(info);
    *out = info;
    return put_text(rows, column, arena, &info->name) && put_text(rows, column + 1, arena, &info->email) &&
           put_text(rows, column + 2, arena, &info->url);
}

static bool put_prefix(store_rows *rows, unsigned column, lpx_arena *arena, Pb__V3__DevAddrPrefix **out)
{
    Pb__V3__DevAddrPrefix *prefix = lpx_arena_get(arena, sizeof *prefix);
    *out = prefix;
    if (prefix == NULL) {
        return false;
    }
    pb__v3__dev_addr_prefix__init(prefix);
    prefix->value = number(rows, column);
    prefix->length = number(rows, column + 1);
    return true;
}

/* ---- members ---- */

/* The members of one page, before their blocks are known. */
typedef struct member_page {
    control_reader *reader;
    void **members; /* Network or Tenant */
    size_t count;
} member_page;

#define CONTACTS "admin_name, admin_email, admin_url, tech_name, tech_email, tech_url"

static Pb__V3__Network *make_network(control_reader *reader, store_rows *rows)
{
    lpx_arena *arena = reader->arena;
    Pb__V3__Network *n = lpx_arena_get(arena, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    pb__v3__network__init(n);
    n->net_id = number(rows, 0);
    n->listed = store_col_int(rows, 3) != 0;
    bool ok = put_text(rows, 1, arena, &n->authority) && put_text(rows, 2, arena, &n->name) &&
              put_target(reader, rows, 4, &n->target);
    if (ok && reader->view.contacts) {
        ok = put_contact(rows, 5, arena, &n->administrative_contact) &&
             put_contact(rows, 8, arena, &n->technical_contact);
    }
    if (ok && !store_col_null(rows, 11)) {
        n->delegated_net_id = lpx_arena_get(arena, sizeof *n->delegated_net_id);
        if (n->delegated_net_id == NULL) {
            return NULL;
        }
        google__protobuf__uint32_value__init(n->delegated_net_id);
        n->delegated_net_id->value = number(rows, 11);
    }
    return ok ? n : NULL;
}

static Pb__V3__Tenant *make_tenant(control_reader *reader, store_rows *rows)
{
    lpx_arena *arena = reader->arena;
    Pb__V3__Tenant *t = lpx_arena_get(arena, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    pb__v3__tenant__init(t);
    t->net_id = number(rows, 0);
    t->listed = store_col_int(rows, 3) != 0;
    bool ok = put_text(rows, 1, arena, &t->authority) && put_text(rows, 2, arena, &t->name) &&
              put_target(reader, rows, 4, &t->target) && put_text(rows, 11, arena, &t->tenant_id);
    if (ok && reader->view.contacts) {
        ok = put_contact(rows, 5, arena, &t->administrative_contact) &&
             put_contact(rows, 8, arena, &t->technical_contact);
    }
    return ok ? t : NULL;
}

static lpx_err read_members(control_reader *reader, const char *sql, bool tenants, member_page *out)
{
    const store_value window[] = {STORE_V_INT(reader->window.limit), STORE_V_INT(reader->window.offset)};
    store_rows *rows;
    *out = (member_page){.reader = reader,
                         .members = lpx_arena_array(reader->arena, reader->window.limit, sizeof *out->members)};
    if (out->members == NULL) {
        return NO_MEMORY;
    }
    LPX_TRY(store_query(reader->tx, sql, window, 2, &rows));
    bool ok = true;
    while (ok && out->count < reader->window.limit && store_next(rows)) {
        void *made = tenants ? (void *)make_tenant(reader, rows) : (void *)make_network(reader, rows);
        ok = made != NULL;
        out->members[out->count++] = made;
    }
    LPX_TRY(store_rows_close(&rows));
    return ok ? LPX_SUCCESS : NO_MEMORY;
}

static Pb__V3__DevAddrBlock *make_block(store_rows *rows, unsigned column, lpx_arena *arena)
{
    Pb__V3__DevAddrBlock *block = lpx_arena_get(arena, sizeof *block);
    if (block == NULL) {
        return NULL;
    }
    pb__v3__dev_addr_block__init(block);
    return put_prefix(rows, column, arena, &block->prefix) &&
                   put_text(rows, column + 2, arena, &block->home_network_cluster_id)
               ? block
               : NULL;
}

/* Lists that grow by one: room for a power of two, so that most calls only count. */
static bool append(lpx_arena *arena, void ***list, size_t count, void *item)
{
    if ((count & (count - 1)) == 0) {
        void **bigger = lpx_arena_array(arena, count == 0 ? 1 : 2 * count, sizeof *bigger);
        if (bigger == NULL) {
            return false;
        }
        if (count > 0) {
            memcpy(bigger, *list, count * sizeof *bigger);
        }
        *list = bigger;
    }
    (*list)[count] = item;
    return item != NULL;
}

#define BLOCKS "prefix_value, prefix_length, home_network_cluster_id FROM dev_addr_blocks "

/* Members and blocks come in the same order: both are gone through once. */
static lpx_err add_network_blocks(const member_page *page)
{
    Pb__V3__Network **networks = (Pb__V3__Network **)page->members;
    const store_value range[] = {STORE_V_INT(networks[0]->net_id), STORE_V_INT(networks[page->count - 1]->net_id)};
    store_rows *rows;
    LPX_TRY(store_query(page->reader->tx,
                        "SELECT net_id, " BLOCKS "WHERE tenant_id = '' AND net_id >= ?1 AND net_id <= ?2 "
                        "ORDER BY net_id, position",
                        range, 2, &rows));
    bool ok = true;
    for (size_t at = 0; ok && store_next(rows);) {
        while (at < page->count && networks[at]->net_id != number(rows, 0)) {
            at++;
        }
        ok = at < page->count && append(page->reader->arena, (void ***)&networks[at]->dev_addr_blocks,
                                        networks[at]->n_dev_addr_blocks, make_block(rows, 1, page->reader->arena));
        networks[ok ? at : 0]->n_dev_addr_blocks += ok;
    }
    LPX_TRY(store_rows_close(&rows));
    return ok ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err add_tenant_blocks(const member_page *page)
{
    Pb__V3__Tenant **tenants = (Pb__V3__Tenant **)page->members;
    const Pb__V3__Tenant *last = tenants[page->count - 1];
    const store_value range[] = {STORE_V_INT(tenants[0]->net_id), STORE_V_TEXT(pb_str(tenants[0]->tenant_id)),
                                 STORE_V_INT(last->net_id), STORE_V_TEXT(pb_str(last->tenant_id))};
    store_rows *rows;
    LPX_TRY(store_query(page->reader->tx,
                        "SELECT net_id, tenant_id, " BLOCKS "WHERE (net_id, tenant_id) >= (?1, ?2) "
                        "AND (net_id, tenant_id) <= (?3, ?4) AND tenant_id <> '' ORDER BY net_id, tenant_id, position",
                        range, 4, &rows));
    bool ok = true;
    for (size_t at = 0; ok && store_next(rows);) {
        while (at < page->count && (tenants[at]->net_id != number(rows, 0) ||
                                    !lpx_str_equal(pb_str(tenants[at]->tenant_id), store_col_text(rows, 1)))) {
            at++;
        }
        ok = at < page->count && append(page->reader->arena, (void ***)&tenants[at]->dev_addr_blocks,
                                        tenants[at]->n_dev_addr_blocks, make_block(rows, 2, page->reader->arena));
        tenants[ok ? at : 0]->n_dev_addr_blocks += ok;
    }
    LPX_TRY(store_rows_close(&rows));
    return ok ? LPX_SUCCESS : NO_MEMORY;
}

/* Who represents whom, for the networks of a page. */
static lpx_err add_represented(const member_page *page)
{
    Pb__V3__Network **networks = (Pb__V3__Network **)page->members;
    const store_value range[] = {STORE_V_INT(networks[0]->net_id), STORE_V_INT(networks[page->count - 1]->net_id)};
    store_rows *rows;
    uint32_t *ids = NULL;
    LPX_TRY(store_query(page->reader->tx,
                        "SELECT delegated_net_id, net_id, COUNT(*) OVER () FROM networks WHERE delegated_net_id >= ?1 "
                        "AND delegated_net_id <= ?2 ORDER BY delegated_net_id, net_id",
                        range, 2, &rows));
    bool ok = true;
    size_t used = 0;
    for (size_t at = 0; ok && store_next(rows); used++) {
        ids = ids != NULL ? ids : lpx_arena_array(page->reader->arena, (size_t)store_col_int(rows, 2), sizeof *ids);
        while (at < page->count && networks[at]->net_id < number(rows, 0)) {
            at++;
        }
        ok = ids != NULL;
        if (ok && at < page->count && networks[at]->net_id == number(rows, 0)) {
            ids[used] = number(rows, 1);
            networks[at]->represents_net_ids =
                networks[at]->n_represents_net_ids == 0 ? &ids[used] : networks[at]->represents_net_ids;
            networks[at]->n_represents_net_ids++;
        }
    }
    LPX_TRY(store_rows_close(&rows));
    return ok ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err give_members(const member_page *page)
{
    control_reader *reader = page->reader;
    for (size_t i = 0; i < page->count && !reader->stop; i++) {
        LPX_TRY(reader->sink(reader, page->members[i]));
        reader->count += !reader->stop;
    }
    return LPX_SUCCESS;
}

lpx_err control_read_networks(control_reader *reader)
{
    member_page page;
    LPX_TRY(read_members(reader,
                         "SELECT net_id, authority, name, listed, target, " CONTACTS
                         ", delegated_net_id FROM networks ORDER BY net_id LIMIT ?1 OFFSET ?2",
                         false, &page));
    if (page.count > 0) {
        LPX_TRY(add_network_blocks(&page));
        LPX_TRY(add_represented(&page));
    }
    return give_members(&page);
}

lpx_err control_read_tenants(control_reader *reader)
{
    member_page page;
    LPX_TRY(read_members(reader,
                         "SELECT net_id, authority, name, listed, target, " CONTACTS
                         ", tenant_id FROM tenants ORDER BY net_id, tenant_id LIMIT ?1 OFFSET ?2",
                         true, &page));
    if (page.count > 0) {
        LPX_TRY(add_tenant_blocks(&page));
    }
    return give_members(&page);
}

/* ---- policies ---- */

static ProtobufCMessage *make_policy(control_reader *reader, store_rows *rows)
{
    control_policy policy;
    if (!control_store_policy(rows, reader->arena, &policy)) {
        return NULL;
    }
    Pb__V3__RoutingPolicy *message = control_policy_to_message(&policy, reader->arena);
    return message != NULL ? &message->base : NULL;
}

lpx_err control_read_policies(control_reader *reader)
{
    return read_page(reader,
                     "SELECT " CONTROL_POLICY_COLUMNS " FROM routing_policies ORDER BY updated_at LIMIT ?1 OFFSET ?2",
                     make_policy);
}

/* ---- routes ---- */

/* As the router has it: the own blocks of a network that delegates are those of the other network. */
#define DELEGATED "b.tenant_id = '' AND n.delegated_net_id IS NOT NULL"
#define ROUTE_COLUMNS                                                                                      \
    "b.prefix_value, b.prefix_length, CASE WHEN " DELEGATED " THEN n.delegated_net_id ELSE b.net_id END, " \
    "b.tenant_id, b.home_network_cluster_id, b.created_at, "                                               \
    "CASE WHEN " DELEGATED " THEN d.target ELSE COALESCE(t.target, n.target) END "
#define ROUTE_TABLES                                                 \
    "FROM dev_addr_blocks b JOIN networks n ON n.net_id = b.net_id " \
    "LEFT JOIN networks d ON d.net_id = n.delegated_net_id "         \
    "LEFT JOIN tenants t ON t.net_id = b.net_id AND t.tenant_id = b.tenant_id "
#define ROUTE_ORDER "b.prefix_value, b.prefix_length, b.net_id, b.tenant_id, b.position "

static ProtobufCMessage *make_route(control_reader *reader, store_rows *rows)
{
    lpx_arena *arena = reader->arena;
    Pb__V3__DevAddrPrefixRoute *route = lpx_arena_get(arena, sizeof *route);
    if (route == NULL) {
        return NULL;
    }
    pb__v3__dev_addr_prefix_route__init(route);
    route->net_id = number(rows, 2);
    route->created_at = control_time_to_message((lpx_utc){store_col_int(rows, 5)}, arena);
    bool ok = route->created_at != NULL && put_prefix(rows, 0, arena, &route->prefix) &&
              put_text(rows, 3, arena, &route->tenant_id) &&
              put_text(rows, 4, arena, &route->home_network_cluster_id) && put_target(reader, rows, 6, &route->target);
    return ok ? &route->base : NULL;
}

lpx_err control_read_routes(control_reader *reader)
{
    return read_page(reader, "SELECT " ROUTE_COLUMNS ROUTE_TABLES "ORDER BY " ROUTE_ORDER "LIMIT ?1 OFFSET ?2",
                     make_route);
}

/* Time at which a page by time is full; no row: it never is. */
static lpx_err find_cut(const control_reader *reader, lpx_utc since, int64_t *out)
{
    const store_value values[] = {STORE_V_INT(since.us), STORE_V_INT(reader->window.limit - 1)};
    store_rows *rows;
    LPX_TRY(store_query(reader->tx,
                        "SELECT created_at FROM dev_addr_blocks WHERE created_at > ?1 ORDER BY created_at LIMIT 1 "
                        "OFFSET ?2",
                        values, 2, &rows));
    *out = store_next(rows) ? store_col_int(rows, 0) : INT64_MAX;
    return store_rows_close(&rows);
}

lpx_err control_read_routes_since(control_reader *reader, lpx_utc since)
{
    int64_t cut;
    store_rows *rows;
    LPX_TRY(find_cut(reader, since, &cut));
    const store_value values[] = {STORE_V_INT(since.us), STORE_V_INT(cut)};
    LPX_TRY(store_query(reader->tx,
                        "SELECT " ROUTE_COLUMNS ROUTE_TABLES
                        "WHERE b.created_at > ?1 AND b.created_at <= ?2 ORDER BY b.created_at, " ROUTE_ORDER,
                        values, 2, &rows));
    return give_rows(reader, rows, make_route);
}

lpx_err control_count_routes(store_tx *tx, uint32_t *out)
{
    return count_rows(tx, "SELECT COUNT(*) FROM dev_addr_blocks", out);
}

/* ---- Join Servers ---- */

static Pb__V3__JoinServerFixedEndpoint *make_fixed(store_rows *rows, unsigned column, lpx_arena *arena)
{
    Pb__V3__JoinServerFixedEndpoint *fixed = lpx_arena_get(arena, sizeof *fixed);
    if (fixed == NULL) {
        return NULL;
    }
    pb__v3__join_server_fixed_endpoint__init(fixed);
    fixed->net_id = number(rows, column);
    return put_text(rows, column + 1, arena, &fixed->tenant_id) && put_text(rows, column + 2, arena, &fixed->cluster_id)
               ? fixed
               : NULL;
}

static Pb__V3__JoinEUIPrefix *make_eui_prefix(store_rows *rows, unsigned column, lpx_arena *arena)
{
    Pb__V3__JoinEUIPrefix *prefix = lpx_arena_get(arena, sizeof *prefix);
    if (prefix != NULL) {
        pb__v3__join_euiprefix__init(prefix);
        prefix->value = (uint64_t)store_col_int(rows, column);
        prefix->length = number(rows, column + 1);
    }
    return prefix;
}

static ProtobufCMessage *make_join_route(control_reader *reader, store_rows *rows)
{
    lpx_arena *arena = reader->arena;
    Pb__V3__JoinEUIPrefixRoute *route = lpx_arena_get(arena, sizeof *route);
    if (route == NULL) {
        return NULL;
    }
    pb__v3__join_euiprefix_route__init(route);
    route->id = number(rows, 2);
    route->prefix = make_eui_prefix(rows, 0, arena);
    route->created_at = control_time_to_message((lpx_utc){store_col_int(rows, 3)}, arena);
    bool ok = route->prefix != NULL && route->created_at != NULL;
    if (ok && !store_col_null(rows, 4)) {
        route->resolver_case = PB__V3__JOIN_EUIPREFIX_ROUTE__RESOLVER_LOOKUP;
        ok = put_target(reader, rows, 4, &route->lookup);
    } else if (ok && !store_col_null(rows, 5)) {
        route->resolver_case = PB__V3__JOIN_EUIPREFIX_ROUTE__RESOLVER_FIXED;
        route->fixed = make_fixed(rows, 5, arena);
        ok = route->fixed != NULL;
    }
    return ok ? &route->base : NULL;
}

#define RESOLVER "lookup, fixed_net_id, fixed_tenant_id, fixed_cluster_id "

lpx_err control_read_join_routes(control_reader *reader)
{
    return read_page(reader,
                     "SELECT p.prefix_value, p.prefix_length, p.join_server_id, p.created_at, " RESOLVER
                     "FROM join_eui_prefixes p JOIN join_servers s ON s.join_server_id = p.join_server_id "
                     "ORDER BY p.join_server_id, p.position LIMIT ?1 OFFSET ?2",
                     make_join_route);
}

lpx_err control_count_join_routes(store_tx *tx, uint32_t *out)
{
    return count_rows(tx, "SELECT COUNT(*) FROM join_eui_prefixes", out);
}

static lpx_err add_eui_prefixes(const control_reader *reader, Pb__V3__JoinServer *server)
{
    const store_value id = STORE_V_INT(server->id);
    store_rows *rows;
    LPX_TRY(store_query(reader->tx,
                        "SELECT prefix_value, prefix_length FROM join_eui_prefixes WHERE join_server_id = ?1 "
                        "ORDER BY position",
                        &id, 1, &rows));
    bool ok = true;
    while (ok && store_next(rows)) {
        ok = append(reader->arena, (void ***)&server->join_eui_prefixes, server->n_join_eui_prefixes,
                    make_eui_prefix(rows, 0, reader->arena));
        server->n_join_eui_prefixes += ok;
    }
    LPX_TRY(store_rows_close(&rows));
    return ok ? LPX_SUCCESS : NO_MEMORY;
}

static ProtobufCMessage *make_join_server(control_reader *reader, store_rows *rows)
{
    lpx_arena *arena = reader->arena;
    Pb__V3__JoinServer *s = lpx_arena_get(arena, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    pb__v3__join_server__init(s);
    s->id = number(rows, 0);
    s->listed = store_col_int(rows, 2) != 0;
    bool ok = put_text(rows, 1, arena, &s->name);
    if (ok && reader->view.join_server_contacts) {
        ok = put_contact(rows, 7, arena, &s->administrative_contact) &&
             put_contact(rows, 10, arena, &s->technical_contact);
    }
    if (ok && !store_col_null(rows, 3)) {
        s->resolver_case = PB__V3__JOIN_SERVER__RESOLVER_LOOKUP;
        ok = put_target(reader, rows, 3, &s->lookup);
    } else if (ok && !store_col_null(rows, 4)) {
        s->resolver_case = PB__V3__JOIN_SERVER__RESOLVER_FIXED;
        s->fixed = make_fixed(rows, 4, arena);
        ok = s->fixed != NULL;
    }
    return ok && !lpx_failed(add_eui_prefixes(reader, s)) ? &s->base : NULL;
}

lpx_err control_read_join_servers(control_reader *reader)
{
    return read_page(reader,
                     "SELECT join_server_id, name, listed, " RESOLVER ", " CONTACTS
                     " FROM join_servers ORDER BY join_server_id LIMIT ?1 OFFSET ?2",
                     make_join_server);
}

/* ---- targets ---- */

static ProtobufCMessage *make_network_target(control_reader *reader, store_rows *rows)
{
    Pb__V3__NetworkTarget *target = lpx_arena_get(reader->arena, sizeof *target);
    if (target == NULL) {
        return NULL;
    }
    pb__v3__network_target__init(target);
    target->net_id = number(rows, 0);
    return put_text(rows, 1, reader->arena, &target->tenant_id) && put_target(reader, rows, 2, &target->target)
               ? &target->base
               : NULL;
}

#define TARGETS                                                                       \
    "(SELECT net_id, '' AS tenant_id, target FROM networks WHERE target IS NOT NULL " \
    "UNION ALL SELECT net_id, tenant_id, target FROM tenants WHERE target IS NOT NULL) AS targets "

lpx_err control_read_targets(control_reader *reader)
{
    return read_page(reader,
                     "SELECT net_id, tenant_id, target FROM " TARGETS "ORDER BY net_id, tenant_id LIMIT ?1 OFFSET ?2",
                     make_network_target);
}

lpx_err control_count_targets(store_tx *tx, uint32_t *out)
{
    return count_rows(tx, "SELECT COUNT(*) FROM " TARGETS, out);
}

/* ---- API keys ---- */

static bool put_rights(uint64_t mask, lpx_arena *arena, Pb__V3__Right **out, size_t *count)
{
    enum { MAX = 64 };
    Pb__V3__Right *list = lpx_arena_array(arena, MAX, sizeof *list);
    size_t used = 0;
    for (unsigned right = 0; list != NULL && right < MAX; right++) {
        if ((mask >> right & 1U) != 0) {
            list[used++] = (Pb__V3__Right)right;
        }
    }
    *out = list;
    *count = used;
    return list != NULL;
}

static ProtobufCMessage *make_network_key(control_reader *reader, store_rows *rows)
{
    lpx_arena *arena = reader->arena;
    Pb__V3__NetworkAPIKey *key = lpx_arena_get(arena, sizeof *key);
    if (key == NULL) {
        return NULL;
    }
    pb__v3__network_apikey__init(key);
    key->net_id = number(rows, 4);
    key->state = (Pb__V3__APIKeyState)store_col_int(rows, 3);
    bool ok = put_text(rows, 0, arena, &key->key_id) && put_text(rows, 1, arena, &key->cluster_id) &&
              put_rights((uint64_t)store_col_int(rows, 2), arena, &key->rights, &key->n_rights) &&
              put_text(rows, 5, arena, &key->tenant_id);
    return ok ? &key->base : NULL;
}

static ProtobufCMessage *make_cluster_key(control_reader *reader, store_rows *rows)
{
    lpx_arena *arena = reader->arena;
    Pb__V3__ClusterAPIKey *key = lpx_arena_get(arena, sizeof *key);
    if (key == NULL) {
        return NULL;
    }
    pb__v3__cluster_apikey__init(key);
    key->state = (Pb__V3__APIKeyState)store_col_int(rows, 3);
    bool ok = put_text(rows, 0, arena, &key->key_id) && put_text(rows, 1, arena, &key->cluster_id) &&
              put_rights((uint64_t)store_col_int(rows, 2), arena, &key->rights, &key->n_rights);
    return ok ? &key->base : NULL;
}

lpx_err control_read_network_keys(control_reader *reader)
{
    return read_page(reader,
                     "SELECT key_id, cluster_id, rights, state, net_id, tenant_id FROM api_keys WHERE kind = 0 "
                     "ORDER BY key_id LIMIT ?1 OFFSET ?2",
                     make_network_key);
}

lpx_err control_read_cluster_keys(control_reader *reader)
{
    return read_page(reader,
                     "SELECT key_id, cluster_id, rights, state FROM api_keys WHERE kind = 1 "
                     "ORDER BY key_id LIMIT ?1 OFFSET ?2",
                     make_cluster_key);
}

/* ---- settings and visibilities ---- */

static ProtobufCMessage *make_settings(control_reader *reader, store_rows *rows)
{
    control_id home = {.net_id = number(rows, 0),
                       .tenant_id = lpx_str_of(lpx_arena_cstr(reader->arena, store_col_text(rows, 1)))};
    Lpx__Routing__V1__HomeNetworkSettings *message;
    bool found;
    lpx_err err = control_settings_load(reader->tx, &home, reader->arena, &message, &found);
    return lpx_failed(err) || !found ? NULL : &message->base;
}

lpx_err control_read_settings(control_reader *reader)
{
    return read_page(reader,
                     "SELECT home_network_net_id, home_network_tenant_id FROM home_network_settings "
                     "ORDER BY home_network_net_id, home_network_tenant_id LIMIT ?1 OFFSET ?2",
                     make_settings);
}

static ProtobufCMessage *make_visibility(control_reader *reader, store_rows *rows)
{
    control_visibility v;
    if (!control_visibility_row(rows, reader->arena, &v)) {
        return NULL;
    }
    Pb__V3__GatewayVisibility *message = control_visibility_to_message(&v, reader->arena);
    return message != NULL ? &message->base : NULL;
}

lpx_err control_read_visibilities(control_reader *reader)
{
    return read_page(reader,
                     "SELECT " CONTROL_VISIBILITY_COLUMNS
                     " FROM gateway_visibilities ORDER BY forwarder_net_id, forwarder_tenant_id, "
                     "is_default, home_network_net_id, home_network_tenant_id LIMIT ?1 OFFSET ?2",
                     make_visibility);
}
