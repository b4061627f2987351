/* Metrics as text for Prometheus: sums, the groups with the most waiting, the pairs with the most messages. */
#include <stdlib.h>

#include "router/router_join.h"
#include "router/router_link.h"

/* ---- sums ---- */

static const char *const direction_names[TRAFFIC_DIRECTIONS] = {[TRAFFIC_UP] = "uplink", [TRAFFIC_DOWN] = "downlink"};
static const char *const kind_names[TRAFFIC_KINDS] = {[TRAFFIC_JOIN] = "join", [TRAFFIC_DATA] = "data"};
static const char *const outcome_names[ROUTER_REPORT_OUTCOMES] = {
    [ROUTER_REPORT_SUCCESS] = "success",   [ROUTER_REPORT_ERROR] = "error",     [ROUTER_REPORT_PROGRESS] = "progress",
    [ROUTER_REPORT_REPEATED] = "repeated", [ROUTER_REPORT_UNKNOWN] = "unknown", [ROUTER_REPORT_LATE] = "late",
};

/* A metric with one value for each direction and each of count second labels; label NULL: direction alone. */
typedef struct metric_table {
    const char *name;
    const char *label;
    unsigned count;
    bool gauge;
} metric_table;

enum {
    TABLE_PUBLISHED,
    TABLE_ROUTED,
    TABLE_SENT,
    TABLE_DROPPED,
    TABLE_REPORTS,
    TABLE_OPEN,
    TABLE_COUNT,
};

static const metric_table tables[TABLE_COUNT] = {
    [TABLE_PUBLISHED] = {"lpx_router_published_messages_total", "kind", TRAFFIC_KINDS, false},
    [TABLE_ROUTED] = {"lpx_router_routed_messages_total", "kind", TRAFFIC_KINDS, false},
    [TABLE_SENT] = {"lpx_router_sent_messages_total", NULL, 1, false},
    [TABLE_DROPPED] = {"lpx_router_dropped_messages_total", "reason", TRAFFIC_DROP_REASONS, false},
    [TABLE_REPORTS] = {"lpx_router_delivery_reports_total", "outcome", ROUTER_REPORT_OUTCOMES, false},
    [TABLE_OPEN] = {"lpx_router_subscriptions", NULL, 1, true},
};

static const char *second_label(unsigned table, unsigned second)
{
    if (table == TABLE_DROPPED) {
        return traffic_drop_name((traffic_drop)second);
    }
    return table == TABLE_REPORTS ? outcome_names[second] : kind_names[second];
}

static uint64_t table_value(const router_counts *counts, unsigned table, unsigned way, unsigned second)
{
    const uint64_t values[TABLE_COUNT] = {
        [TABLE_PUBLISHED] = second < TRAFFIC_KINDS ? counts->published[way][second] : 0,
        [TABLE_ROUTED] = second < TRAFFIC_KINDS ? counts->routed[way][second] : 0,
        [TABLE_SENT] = counts->sent[way],
        [TABLE_DROPPED] = second < TRAFFIC_DROP_REASONS ? counts->dropped[way][second] : 0,
        [TABLE_REPORTS] = second < ROUTER_REPORT_OUTCOMES ? counts->reports[way][second] : 0,
        [TABLE_OPEN] = counts->opened[way] - counts->closed[way],
    };
    return values[table];
}

static void add_table(const router_counts *counts, unsigned index, lpx_buf *out)
{
    const metric_table *table = &tables[index];
    lpx_buf_printf(out, "# TYPE %s %s\n", table->name, table->gauge ? "gauge" : "counter");
    for (unsigned i = 0; i < table->count * TRAFFIC_DIRECTIONS; i++) {
        unsigned way = i / table->count, second = i % table->count;
        lpx_buf_printf(out, "%s{direction=\"%s\"", table->name, direction_names[way]);
        if (table->label != NULL) {
            lpx_buf_printf(out, ",%s=\"%s\"", table->label, second_label(index, second));
        }
        lpx_buf_printf(out, "} %llu\n", (unsigned long long)table_value(counts, index, way, second));
    }
}

static void add_plain(const char *name, uint64_t value, lpx_buf *out)
{
    lpx_buf_printf(out, "# TYPE %s counter\n%s %llu\n", name, name, (unsigned long long)value);
}

static void add_refused(const router *self, lpx_buf *out)
{
    lpx_buf_add_str(out, LPX_STR("# TYPE lpx_router_refused_messages_total counter\n"));
    for (router_rate i = ROUTER_RATE_NETWORK; i < ROUTER_RATES; i++) {
        lpx_buf_printf(out, "lpx_router_refused_messages_total{rate=\"%s\"} %llu\n", router_rate_name(i),
                       (unsigned long long)router_limiter_refused(self->limiter, i));
    }
}

static void add_sums(const router *self, lpx_buf *out)
{
    router_counts counts;
    router_count(self, &counts);
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        add_table(&counts, i, out);
    }
    add_plain("lpx_router_tables_loaded_total", counts.tables_loaded, out);
    add_plain("lpx_router_tables_failed_total", counts.tables_failed, out);
    add_refused(self, out);
}

/* ---- groups of subscriptions ---- */

/* One series: a group (streams of one endpoint that share its name, or have none), or all further ones. */
typedef struct group_row {
    const router_place *place; /* NULL: the rest of a direction */
    const router_group *group;
    traffic_direction direction;
    uint64_t waiting_messages, waiting_bytes;
    router_sub_totals totals;
} group_row;

typedef struct group_rows {
    group_row *list;
    size_t count, room;
} group_rows;

static void see_group(void *ctx, const router_place *place, const router_group *group)
{
    group_rows *rows = ctx;
    if (rows->count == rows->room) {
        return;
    }
    group_row row = {.place = place, .group = group, .direction = place->direction, .totals = group->past};
    for (uint32_t i = 0; i < group->count; i++) {
        row.waiting_messages += atomic_load_explicit(&group->subs[i]->waiting_messages, memory_order_relaxed);
        row.waiting_bytes += atomic_load_explicit(&group->subs[i]->waiting_bytes, memory_order_relaxed);
        router_sub_add_totals(group->subs[i], &row.totals);
    }
    rows->list[rows->count++] = row;
}

static int most_waiting_first(const void *a, const void *b)
{
    const group_row *x = a, *y = b;
    return (x->waiting_messages < y->waiting_messages) - (x->waiting_messages > y->waiting_messages);
}

/* Put what is behind the limit together. @return rows that are left */
static size_t sum_rest(group_row *list, size_t count)
{
    if (count <= ROUTER_METRIC_GROUPS) {
        return count;
    }
    group_row rest[TRAFFIC_DIRECTIONS] = {{.direction = TRAFFIC_UP}, {.direction = TRAFFIC_DOWN}};
    for (size_t i = ROUTER_METRIC_GROUPS; i < count; i++) {
        group_row *to = &rest[list[i].direction];
        to->waiting_messages += list[i].waiting_messages;
        to->waiting_bytes += list[i].waiting_bytes;
        router_totals_add(&to->totals, &list[i].totals);
    }
    list[ROUTER_METRIC_GROUPS] = rest[TRAFFIC_UP];
    list[ROUTER_METRIC_GROUPS + 1] = rest[TRAFFIC_DOWN];
    return ROUTER_METRIC_GROUPS + TRAFFIC_DIRECTIONS;
}

/* Ids have no characters that would have to be escaped. */
static void add_group_labels(const group_row *row, lpx_buf *out)
{
    lpx_buf_printf(out, "direction=\"%s\"", direction_names[row->direction]);
    if (row->place == NULL) {
        lpx_buf_add_str(out, LPX_STR(",net_id=\"rest\",tenant_id=\"\",cluster_id=\"\",group=\"\""));
        return;
    }
    lpx_str cluster = router_group_cluster(row->group), name = router_group_name(row->group);
    lpx_buf_printf(out, ",net_id=\"%06X\",tenant_id=\"%.*s\",cluster_id=\"%.*s\",group=\"%.*s\"",
                   (unsigned)row->place->net_id, (int)row->place->tenant_len, row->place->tenant_text, (int)cluster.len,
                   cluster.ptr, (int)name.len, name.ptr);
}

static void add_group_value(const char *name, const group_row *row, uint64_t value, lpx_buf *out)
{
    lpx_buf_printf(out, "%s{", name);
    add_group_labels(row, out);
    lpx_buf_printf(out, "} %llu\n", (unsigned long long)value);
}

static void add_group_drops(const group_row *row, lpx_buf *out)
{
    for (unsigned reason = 0; reason < ROUTER_SUB_REASONS; reason++) {
        if (row->totals.dropped[reason] > 0) {
            lpx_buf_add_str(out, LPX_STR("lpx_router_queue_dropped_messages_total{"));
            add_group_labels(row, out);
            lpx_buf_printf(out, ",reason=\"%s\"} %llu\n",
                           traffic_drop_name((traffic_drop)(ROUTER_SUB_FIRST_REASON + reason)),
                           (unsigned long long)row->totals.dropped[reason]);
        }
    }
}

static void add_group_rows(const group_row *list, size_t count, lpx_buf *out)
{
    lpx_buf_add_str(out, LPX_STR("# TYPE lpx_router_queue_messages gauge\n"));
    for (size_t i = 0; i < count; i++) {
        add_group_value("lpx_router_queue_messages", &list[i], list[i].waiting_messages, out);
    }
    lpx_buf_add_str(out, LPX_STR("# TYPE lpx_router_queue_bytes gauge\n"));
    for (size_t i = 0; i < count; i++) {
        add_group_value("lpx_router_queue_bytes", &list[i], list[i].waiting_bytes, out);
    }
    lpx_buf_add_str(out, LPX_STR("# TYPE lpx_router_queue_sent_messages_total counter\n"));
    for (size_t i = 0; i < count; i++) {
        add_group_value("lpx_router_queue_sent_messages_total", &list[i], list[i].totals.sent, out);
    }
    lpx_buf_add_str(out, LPX_STR("# TYPE lpx_router_queue_dropped_messages_total counter\n"));
    for (size_t i = 0; i < count; i++) {
        add_group_drops(&list[i], out);
    }
}

static void add_groups(const router *self, lpx_buf *out)
{
    const router_dir *dir = self->shards[0]->dir;
    group_rows rows = {.room = router_dir_count(dir)}; /* no group is empty */
    rows.list = calloc(rows.room + TRAFFIC_DIRECTIONS, sizeof *rows.list);
    if (rows.list == NULL) {
        return;
    }
    router_dir_each_group(dir, see_group, &rows);
    qsort(rows.list, rows.count, sizeof *rows.list, most_waiting_first);
    add_group_rows(rows.list, sum_rest(rows.list, rows.count), out);
    free(rows.list);
}

/* ---- pairs of forwarder and home network ---- */

/* Sums of one pair over all loops; members of net_id 0 and no tenant: of those without a place. */
typedef struct route_row {
    const router_route *pair;
    uint64_t routed, dropped;
} route_row;

static int compare_text(lpx_str a, lpx_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_members(traffic_member a, traffic_member b)
{
    return a.net_id != b.net_id ? (a.net_id > b.net_id ? 1 : -1) : compare_text(a.tenant_id, b.tenant_id);
}

static int compare_pairs(const void *a, const void *b)
{
    const router_route *x = ((const route_row *)a)->pair, *y = ((const route_row *)b)->pair;
    if (x->direction != y->direction) {
        return x->direction < y->direction ? -1 : 1;
    }
    int order = compare_members(x->forwarder, y->forwarder);
    return order != 0 ? order : compare_members(x->home, y->home);
}

static int most_messages_first(const void *a, const void *b)
{
    const route_row *x = a, *y = b;
    uint64_t m = x->routed + x->dropped, n = y->routed + y->dropped;
    return (m < n) - (m > n);
}

/* Rows of all loops. @return how many; 0 when memory is short */
static size_t collect_pairs(const router *self, route_row **out)
{
    size_t room = self->shard_count * ((size_t)ROUTER_MAX_ROUTES + TRAFFIC_DIRECTIONS), count = 0;
    *out = calloc(room, sizeof **out);
    for (unsigned i = 0; *out != NULL && i < self->shard_count; i++) {
        const router_routes *routes = &self->shards[i]->routes;
        const router_route *pair = router_routes_get(routes, 0);
        for (unsigned j = 0; pair != NULL && count < room; pair = router_routes_get(routes, ++j)) {
            (*out)[count++] = (route_row){.pair = pair,
                                          .routed = atomic_load_explicit(&pair->routed, memory_order_relaxed),
                                          .dropped = atomic_load_explicit(&pair->dropped, memory_order_relaxed)};
        }
    }
    return count;
}

/* Equal pairs become one row. */
static size_t merge_pairs(route_row *list, size_t count)
{
    size_t kept = 0;
    qsort(list, count, sizeof *list, compare_pairs);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare_pairs(&list[kept - 1], &list[i]) == 0) {
            list[kept - 1].routed += list[i].routed;
            list[kept - 1].dropped += list[i].dropped;
        } else {
            list[kept++] = list[i];
        }
    }
    return kept;
}

static void add_route(const route_row *row, const char *name, uint64_t value, lpx_buf *out)
{
    const router_route *p = row->pair;
    lpx_buf_printf(out,
                   "%s{direction=\"%s\",forwarder_net_id=\"%06X\",forwarder_tenant_id=\"%.*s\",home_network_net_id="
                   "\"%06X\",home_network_tenant_id=\"%.*s\"} %llu\n",
                   name, direction_names[p->direction], (unsigned)p->forwarder.net_id, (int)p->forwarder.tenant_id.len,
                   p->forwarder.tenant_id.ptr, (unsigned)p->home.net_id, (int)p->home.tenant_id.len,
                   p->home.tenant_id.ptr, (unsigned long long)value);
}

static void add_routes(const router *self, lpx_buf *out)
{
    route_row *list;
    size_t count = collect_pairs(self, &list);
    if (list == NULL) {
        return;
    }
    count = merge_pairs(list, count);
    qsort(list, count, sizeof *list, most_messages_first);
    count = count < ROUTER_METRIC_ROUTES ? count : ROUTER_METRIC_ROUTES;
    lpx_buf_add_str(out, LPX_STR("# TYPE lpx_router_route_routed_messages_total counter\n"));
    for (size_t i = 0; i < count && list[i].routed + list[i].dropped > 0; i++) {
        add_route(&list[i], "lpx_router_route_routed_messages_total", list[i].routed, out);
    }
    lpx_buf_add_str(out, LPX_STR("# TYPE lpx_router_route_dropped_messages_total counter\n"));
    for (size_t i = 0; i < count && list[i].routed + list[i].dropped > 0; i++) {
        add_route(&list[i], "lpx_router_route_dropped_messages_total", list[i].dropped, out);
    }
    free(list);
}

void router_metrics(const router *self, lpx_buf *out)
{
    add_sums(self, out);
    add_groups(self, out);
    add_routes(self, out);
    router_links_metrics(self, out);
    router_joins_metrics(self, out);
}
