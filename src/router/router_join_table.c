#include "router/router_join_table.h"

#include <stdlib.h>

#include "base/arena.h"
#include "router/limits.h"

enum { LENGTHS = 65 };

/* One prefix: sorted by length, then value, then server. */
typedef struct entry {
    uint64_t value;
    uint32_t server; /* index */
    uint8_t length;
} entry;

struct router_join_table {
    lpx_arena text;
    router_join_server *servers;
    size_t server_count;
    entry *entries;
    uint32_t first[LENGTHS + 1]; /* of the entries of each length */
    uint32_t *networks;
    size_t network_count;
    router_delegation_row *delegations;
    size_t delegation_count;
};

static uint64_t mask_of(unsigned length)
{
    return length == 0 ? 0 : UINT64_MAX << (64 - length);
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->length != y->length) {
        return x->length < y->length ? -1 : 1;
    }
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return (x->server > y->server) - (x->server < y->server);
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

static bool take_prefixes(router_join_table *table, const router_join_rows *rows)
{
    size_t count = 0;
    table->entries = calloc(rows->prefix_count + 1, sizeof *table->entries);
    if (table->entries == NULL) {
        return false;
    }
    for (size_t i = 0; i < rows->prefix_count; i++) {
        const router_join_prefix *p = &rows->prefixes[i];
        const router_join_server key = {.id = p->server_id};
        const router_join_server *server =
            bsearch(&key, table->servers, table->server_count, sizeof key, compare_servers);
        if (server != NULL && p->length <= 64) {
            table->entries[count++] =
                (entry){p->value & mask_of(p->length), (uint32_t)(server - table->servers), p->length};
        }
    }
    qsort(table->entries, count, sizeof *table->entries, compare_entries);
    for (uint32_t i = 0; i < count; i++) {
        table->first[table->entries[i].length + 1]++;
    }
    for (unsigned length = 0; length < LENGTHS; length++) {
        table->first[length + 1] += table->first[length];
    }
    return true;
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
    lpx_arena_init(&table->text, ROUTER_TABLES_TEXT_BYTES);
    table->networks = sorted_copy(rows->networks, rows->network_count, sizeof *rows->networks, compare_networks);
    table->network_count = rows->network_count;
    table->delegations =
        sorted_copy(rows->delegations, rows->delegation_count, sizeof *rows->delegations, compare_delegations);
    table->delegation_count = rows->delegation_count;
    if (table->networks == NULL || table->delegations == NULL || !take_servers(table, rows) ||
        !take_prefixes(table, rows)) {
        router_join_table_free(&table);
    }
    return table;
}

void router_join_table_free(router_join_table **ref)
{
    router_join_table *table = *ref;
    *ref = NULL;
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->server_count; i++) {
        ts002_target_unref(&table->servers[i].target);
    }
    free(table->servers);
    free(table->entries);
    free(table->networks);
    free(table->delegations);
    lpx_arena_fini(&table->text);
    free(table);
}

/* First entry of a length whose value is not less; the end of that length when there is none. */
static uint32_t seek(const router_join_table *table, unsigned length, uint64_t value)
{
    uint32_t low = table->first[length], high = table->first[length + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->entries[middle].value < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t router_join_table_find(const router_join_table *table, uint64_t join_eui, const router_join_server **out,
                              size_t room)
{
    size_t count = 0;
    for (unsigned length = LENGTHS; length-- > 0 && count == 0;) {
        uint64_t value = join_eui & mask_of(length);
        for (uint32_t i = seek(table, length, value);
             i < table->first[length + 1] && table->entries[i].value == value && count < room; i++) {
            const router_join_server *server = &table->servers[table->entries[i].server];
            if (count == 0 || out[count - 1] != server) {
                out[count++] = server;
            }
        }
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
