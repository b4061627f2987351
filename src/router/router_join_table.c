#include "router/router_join_table.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "router/limits.h"
#include "router/router_lpm.h"

/* Join Servers of one prefix: places first, first + 1, … in choices. */
typedef struct choice {
    uint32_t first, count;
} choice;

struct router_join_table {
    atomic_uint refs;
    lpx_arena text;
    router_join_server *servers;
    size_t server_count;
    router_lpm lpm;    /* to numbers of choices */
    choice *choices;   /* number i < server_count: server i alone; behind them those of several */
    uint32_t *members; /* of all choices: indices of servers, ascending in each */
    uint32_t *networks;
    size_t network_count;
    router_delegation_row *delegations;
    size_t delegation_count;
};

static uint64_t mask_of(unsigned length)
{
    return length == 0 ? 0 : UINT64_MAX << (64 - length);
}

static int compare_servers(const void *a, const void *b)
{
    const router_join_server *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int compare_networks(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int compare_delegations(const void *a, const void *b)
{
    const router_delegation_row *x = a, *y = b;
    return (x->net_id > y->net_id) - (x->net_id < y->net_id);
}

static bool keep_text(router_join_table *table, lpx_str *text)
{
    lpx_bytes copy = lpx_arena_copy(&table->text, lpx_str_bytes(*text));
    *text = lpx_bytes_str(copy);
    return copy.ptr != NULL;
}

static bool take_servers(router_join_table *table, const router_join_rows *rows)
{
    table->servers = calloc(rows->server_count + 1, sizeof *table->servers);
    if (table->servers == NULL) {
        return false;
    }
    for (size_t i = 0; i < rows->server_count; i++) {
        router_join_server *server = &table->servers[table->server_count++];
        *server = rows->servers[i];
        server->target = server->target != NULL ? ts002_target_ref(server->target) : NULL;
        if (!keep_text(table, &server->fixed.tenant_id) || !keep_text(table, &server->fixed.cluster_id)) {
            return false;
        }
    }
    return true;
}

/* Prefixes of known servers as entries whose values are servers. @return how many */
static size_t collect(const router_join_table *table, const router_join_rows *rows, router_lpm_entry *out)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->prefix_count; i++) {
        const router_join_prefix *p = &rows->prefixes[i];
        const router_join_server key = {.id = p->server_id};
        const router_join_server *server =
            bsearch(&key, table->servers, table->server_count, sizeof key, compare_servers);
        if (server != NULL && p->length <= 64) {
            out[count++] =
                (router_lpm_entry){p->value & mask_of(p->length), (uint32_t)(server - table->servers), p->length};
        }
    }
    return count;
}

static int compare_values(const void *a, const void *b)
{
    const router_lpm_entry *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

/* Make a list as short as its content; a failing realloc leaves the longer one. */
static void *shrink(void *list, size_t count, size_t size)
{
    void *shorter = realloc(list, (count + 1) * size);
    return shorter != NULL ? shorter : list;
}

/* Entries in order to one entry for each prefix, whose value is a choice. @return how many are left */
static size_t group(router_join_table *table, router_lpm_entry *entries, size_t count)
{
    size_t groups = 0;
    uint32_t choices = 0, members = 0;
    for (; choices < table->server_count; choices++) {
        table->choices[choices] = (choice){members, 1};
        table->members[members++] = choices;
    }
    for (size_t i = 0, end = 0; i < count; i = end) {
        const router_lpm_entry first = entries[i];
        while (end < count && entries[end].start == first.start && entries[end].length == first.length) {
            end++;
        }
        qsort(&entries[i], end - i, sizeof *entries, compare_values);
        choice several = {members, 0};
        for (size_t j = i; j < end; j++) {
            if (several.count == 0 || table->members[members - 1] != entries[j].value) {
                table->members[members++] = entries[j].value;
                several.count++;
            }
        }
        uint32_t value = entries[i].value;
        if (several.count == 1) {
            members--;
        } else {
            value = choices;
            table->choices[choices++] = several;
        }
        entries[groups++] = (router_lpm_entry){first.start, value, first.length};
    }
    table->choices = shrink(table->choices, choices, sizeof *table->choices);
    table->members = shrink(table->members, members, sizeof *table->members);
    return groups;
}

static bool take_prefixes(router_join_table *table, const router_join_rows *rows)
{
    size_t room = table->server_count + rows->prefix_count + 1;
    router_lpm_entry *entries = malloc((rows->prefix_count + 1) * sizeof *entries);
    table->choices = malloc(room * sizeof *table->choices);
    table->members = malloc(room * sizeof *table->members);
    bool ok = entries != NULL && table->choices != NULL && table->members != NULL;
    if (ok) {
        size_t count = collect(table, rows, entries);
        ok = router_lpm_sort(entries, count) &&
             router_lpm_build(ROUTER_LPM_64, entries, group(table, entries, count), &table->lpm);
    }
    free(entries);
    return ok;
}

/* Sorted copy of count things. */
static void *sorted_copy(const void *list, size_t count, size_t size, int (*compare)(const void *a, const void *b))
{
    void *copy = calloc(count + 1, size);
    if (copy != NULL && count > 0) {
        memcpy(copy, list, count * size);
        qsort(copy, count, size, compare);
    }
    return copy;
}

router_join_table *router_join_table_new(const router_join_rows *rows)
{
    router_join_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    atomic_init(&table->refs, 1);
    lpx_arena_init(&table->text, ROUTER_TABLES_TEXT_BYTES);
    table->networks = sorted_copy(rows->networks, rows->network_count, sizeof *rows->networks, compare_networks);
    table->network_count = rows->network_count;
    table->delegations =
        sorted_copy(rows->delegations, rows->delegation_count, sizeof *rows->delegations, compare_delegations);
    table->delegation_count = rows->delegation_count;
    if (table->networks == NULL || table->delegations == NULL || !take_servers(table, rows) ||
        !take_prefixes(table, rows)) {
        router_join_table_unref(&table);
    }
    return table;
}

router_join_table *router_join_table_ref(router_join_table *table)
{
    if (table != NULL) {
        atomic_fetch_add_explicit(&table->refs, 1, memory_order_relaxed);
    }
    return table;
}

void router_join_table_unref(router_join_table **ref)
{
    router_join_table *table = *ref;
    *ref = NULL;
    if (table == NULL || atomic_fetch_sub_explicit(&table->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < table->server_count; i++) {
        ts002_target_unref(&table->servers[i].target);
    }
    free(table->servers);
    router_lpm_fini(&table->lpm);
    free(table->choices);
    free(table->members);
    free(table->networks);
    free(table->delegations);
    lpx_arena_fini(&table->text);
    free(table);
}

size_t router_join_table_find(const router_join_table *table, uint64_t join_eui, const router_join_server **out,
                              size_t room)
{
    uint32_t number = router_lpm_find_wide(&table->lpm, join_eui);
    if (number == ROUTER_LPM_NONE) {
        return 0;
    }
    const choice *found = &table->choices[number];
    size_t count = found->count < room ? found->count : room;
    for (size_t i = 0; i < count; i++) {
        out[i] = &table->servers[table->members[found->first + i]];
    }
    return count;
}

bool router_join_table_knows(const router_join_table *table, uint32_t net_id)
{
    return bsearch(&net_id, table->networks, table->network_count, sizeof net_id, compare_networks) != NULL;
}

traffic_endpoint router_join_table_serving(const router_join_table *table, traffic_endpoint home)
{
    const router_delegation_row key = {.net_id = home.net_id};
    const router_delegation_row *found =
        home.tenant_id.len > 0
            ? NULL
            : bsearch(&key, table->delegations, table->delegation_count, sizeof key, compare_delegations);
    if (found == NULL) {
        return home;
    }
    traffic_endpoint other = home;
    other.net_id = found->to_net_id;
    return other;
}
