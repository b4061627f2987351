/* Join Servers of a JoinEUI: rules for themselves, then random prefixes against a naive search; and what the core makes
 * of a lookup that failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/test_random.h"
#include "router/router_core.h"
#include "router/router_join_table.h"

enum { ROOM = 8, SERVERS = 40, PREFIXES = 120 };

static router_join_table *table_of(const router_join_rows *rows)
{
    router_join_table *table = router_join_table_new(rows);
    assert_non_null(table);
    return table;
}

/* ---- prefixes ---- */

static bool naive_has(const router_join_prefix *p, uint64_t eui)
{
    for (unsigned bit = 0; bit < p->length && bit < 64; bit++) {
        if ((p->value >> (63 - bit) & 1) != (eui >> (63 - bit) & 1)) {
            return false;
        }
    }
    return p->length <= 64;
}

/* Ids of the servers of the longest prefix, ascending. */
static size_t naive_find(const router_join_rows *rows, uint64_t eui, uint32_t *ids)
{
    int longest = -1;
    size_t count = 0;
    for (size_t i = 0; i < rows->prefix_count; i++) {
        if (naive_has(&rows->prefixes[i], eui) && rows->prefixes[i].length > longest) {
            longest = rows->prefixes[i].length;
        }
    }
    for (size_t s = 0; s < rows->server_count; s++) {
        bool has = false;
        for (size_t i = 0; i < rows->prefix_count; i++) {
            const router_join_prefix *p = &rows->prefixes[i];
            has = has || (p->server_id == rows->servers[s].id && p->length == longest && naive_has(p, eui));
        }
        if (has && count < ROOM) {
            ids[count++] = rows->servers[s].id;
        }
    }
    return count;
}

static void check_find(const router_join_rows *rows, const router_join_table *table, uint64_t eui)
{
    const router_join_server *found[ROOM];
    uint32_t want[ROOM];
    size_t count = naive_find(rows, eui, want);
    assert_int_equal(router_join_table_find(table, eui, found, ROOM), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(found[i]->id, want[i]);
    }
}

/* Values with few different bits, so that prefixes nest and meet. */
static uint64_t random_eui(test_random *random)
{
    static const uint64_t bases[] = {0, UINT64_C(0xEC656E0000000000), UINT64_C(0xEC656E00FFFFFFFF), UINT64_MAX};
    return bases[test_random_below(random, 4)] ^ test_random_below(random, 4) << test_random_below(random, 63);
}

static void test_longest_prefix_against_naive(void **state)
{
    (void)state;
    test_random random = test_random_begin("router_join_table");
    static router_join_server servers[SERVERS];
    static router_join_prefix prefixes[PREFIXES];
    for (unsigned round = 0; round < 200; round++) {
        size_t server_count = 1 + test_random_below(&random, SERVERS),
               prefix_count = test_random_below(&random, PREFIXES);
        for (size_t i = 0; i < server_count; i++) {
            servers[i] = (router_join_server){.id = (uint32_t)(2 * i + 1), .is_fixed = true};
        }
        for (size_t i = 0; i < prefix_count; i++) {
            prefixes[i] = (router_join_prefix){
                .server_id = servers[test_random_below(&random, server_count)].id,
                .value = random_eui(&random),
                .length = (uint8_t)(test_random_below(&random, 4) * 16 + test_random_below(&random, 18))};
        }
        const router_join_rows rows = {
            .servers = servers, .server_count = server_count, .prefixes = prefixes, .prefix_count = prefix_count};
        router_join_table *table = table_of(&rows);
        for (unsigned i = 0; i < 100; i++) {
            check_find(&rows, table, random_eui(&random));
        }
        router_join_table_unref(&table);
    }
}

static void test_edges(void **state)
{
    (void)state;
    const router_join_server servers[] = {{.id = 3, .is_fixed = true}, {.id = 7, .is_fixed = true}};
    const router_join_prefix prefixes[] = {
        {3, UINT64_MAX, 0}, {3, UINT64_MAX, 0}, {7, 5, 64}, {7, 0, 65}, {9, 6, 64} /* nobody's */,
    };
    const router_join_rows rows = {.servers = servers, .server_count = 2, .prefixes = prefixes, .prefix_count = 5};
    router_join_table *table = table_of(&rows);
    const router_join_server *found[ROOM];
    assert_int_equal(router_join_table_find(table, 6, found, ROOM), 1);
    assert_int_equal(found[0]->id, 3);
    assert_int_equal(router_join_table_find(table, 5, found, ROOM), 1);
    assert_int_equal(found[0]->id, 7);
    assert_int_equal(router_join_table_find(table, 5, found, 0), 0);
    router_join_table_unref(&table);
}

static void test_networks_and_delegations(void **state)
{
    (void)state;
    static const uint32_t networks[] = {66, 19};
    static const router_delegation_row delegations[] = {{66, 19}, {19, 67}};
    const router_join_rows rows = {
        .networks = networks, .network_count = 2, .delegations = delegations, .delegation_count = 2};
    router_join_table *table = table_of(&rows);
    assert_true(router_join_table_knows(table, 19) && router_join_table_knows(table, 66));
    assert_false(router_join_table_knows(table, 0) || router_join_table_knows(table, 67));
    traffic_endpoint network = {66, {"", 0}, {"eu", 2}}, tenant = {66, {"abc", 3}, {"", 0}},
                     other = {5, {"", 0}, {"", 0}};
    assert_int_equal(router_join_table_serving(table, network).net_id, 19); /* followed once */
    assert_int_equal(router_join_table_serving(table, network).cluster_id.len, 2);
    assert_int_equal(router_join_table_serving(table, tenant).net_id, 66);
    assert_int_equal(router_join_table_serving(table, other).net_id, 5);
    router_join_table_unref(&table);
}

/* ---- the core ---- */

static void check_outcomes(const router_uplink *uplink, const traffic_outcome *want, size_t count)
{
    router_rows rows = {.default_open = true};
    router_tables *tables = router_tables_new(&rows);
    router_dir *dir = router_dir_new(1);
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 20);
    router_effects effects = {.arena = &arena};
    assert_non_null(tables);
    assert_non_null(dir);
    assert_false(lpx_failed(router_route_uplink(tables, dir, uplink, &effects)));
    assert_int_equal(effects.outcome_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(effects.outcomes[i].drop, want[i].drop);
        assert_int_equal(effects.outcomes[i].route, want[i].route);
        assert_int_equal(effects.outcomes[i].home.net_id, want[i].home.net_id);
    }
    lpx_arena_fini(&arena);
    router_dir_free(&dir);
    router_tables_unref(&tables);
}

static void test_failed_lookups(void **state)
{
    (void)state;
    const router_home home = {.at = {66, {"", 0}, {"", 0}}, .route = TRAFFIC_ROUTE_LOOKUP};
    router_uplink uplink = {.forwarder = {19, {"", 0}, {"", 0}}, .kind = TRAFFIC_JOIN};
    traffic_outcome none = {.drop = TRAFFIC_DROP_NO_ROUTE};
    check_outcomes(&uplink, &none, 1);
    uplink.lookup_failed = true;
    const traffic_outcome failed = {.drop = TRAFFIC_DROP_LOOKUP, .route = TRAFFIC_ROUTE_LOOKUP};
    check_outcomes(&uplink, &failed, 1);
    uplink.homes = &home;
    uplink.home_count = 1;
    const traffic_outcome both[] = {{.drop = TRAFFIC_DROP_NO_ENDPOINT, .route = TRAFFIC_ROUTE_LOOKUP, .home = home.at},
                                    failed};
    check_outcomes(&uplink, both, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_prefix_against_naive),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_networks_and_delegations),
        cmocka_unit_test(test_failed_lookups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
