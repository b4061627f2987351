/* Longest prefix match, tables, filters, directory and core: each rule once, by name. The property test looks for what
 * these forget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "lpx_reasons.h"
#include "router/limits.h"
#include "router/router_core.h"
#include "router/router_lpm.h"
#include "router/router_map.h"

static traffic_member member(uint32_t net_id, const char *tenant)
{
    return (traffic_member){net_id, lpx_str_of(tenant)};
}

static traffic_endpoint endpoint(uint32_t net_id, const char *tenant, const char *cluster)
{
    return (traffic_endpoint){net_id, lpx_str_of(tenant), lpx_str_of(cluster)};
}

/* ---- map ---- */

static void map_keeps_what_collides(void **state)
{
    (void)state;
    router_map map = {0};
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(router_map_reserve(&map, map.used + 1));
        router_map_add(&map, i % 5, i); /* five long chains */
    }
    for (uint32_t i = 0; i < 100; i += 3) {
        router_map_remove(&map, i % 5, i);
    }
    router_map_remove(&map, 1, 999);
    for (uint32_t hash = 0; hash < 5; hash++) {
        uint32_t seen = 0;
        router_map_cursor at = router_map_seek(&map, hash);
        for (uint32_t v = router_map_next(&map, &at); v != ROUTER_MAP_NONE; v = router_map_next(&map, &at)) {
            assert_int_equal(v % 5, hash);
            assert_int_not_equal(v % 3, 0);
            seen++;
        }
        uint32_t want = 0;
        for (uint32_t v = 0; v < 100; v++) {
            want += v % 5 == hash && v % 3 != 0;
        }
        assert_int_equal(seen, want);
    }
    router_map_fini(&map);
}

/* ---- longest prefix match ---- */

static void lpm_takes_the_longest(void **state)
{
    (void)state;
    const router_lpm_entry entries[] = {
        {0x00000000, 7, 0},  {0x26000000, 1, 7},  {0x26000000, 2, 16}, {0x26000000, 3, 32},
        {0x2600ffff, 4, 32}, {0x26010000, 5, 16}, {0xffffffff, 6, 32},
    };
    router_lpm lpm;
    assert_true(router_lpm_build(ROUTER_LPM_32, entries, sizeof entries / sizeof entries[0], &lpm));
    assert_int_equal(router_lpm_find(&lpm, 0x00000000), 7);
    assert_int_equal(router_lpm_find(&lpm, 0x25ffffff), 7);
    assert_int_equal(router_lpm_find(&lpm, 0x26000000), 3);
    assert_int_equal(router_lpm_find(&lpm, 0x26000001), 2);
    assert_int_equal(router_lpm_find(&lpm, 0x2600fffe), 2);
    assert_int_equal(router_lpm_find(&lpm, 0x2600ffff), 4);
    assert_int_equal(router_lpm_find(&lpm, 0x26010000), 5);
    assert_int_equal(router_lpm_find(&lpm, 0x26020000), 1);
    assert_int_equal(router_lpm_find(&lpm, 0x27ffffff), 1);
    assert_int_equal(router_lpm_find(&lpm, 0x28000000), 7);
    assert_int_equal(router_lpm_find(&lpm, 0xfffffffe), 7);
    assert_int_equal(router_lpm_find(&lpm, 0xffffffff), 6);
    router_lpm_fini(&lpm);
}

static void lpm_of_nothing_finds_nothing(void **state)
{
    (void)state;
    router_lpm lpm;
    assert_true(router_lpm_build(ROUTER_LPM_32, NULL, 0, &lpm));
    assert_int_equal(router_lpm_find(&lpm, 0), ROUTER_LPM_NONE);
    assert_int_equal(router_lpm_find(&lpm, 0xffffffff), ROUTER_LPM_NONE);
    router_lpm_fini(&lpm);
}

/* A million blocks of sixteen addresses. */
static void tables_hold_a_million_blocks(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    router_block_row *blocks = calloc(COUNT, sizeof *blocks);
    assert_non_null(blocks);
    for (uint32_t i = 0; i < COUNT; i++) {
        /* an odd multiplier permutes the 28-bit numbers: all prefixes are different, in no order */
        uint32_t slot = i * 2654435761u & 0x0fffffff;
        blocks[i] = (router_block_row){endpoint(i % 1000, "", ""), slot << 4, 28};
    }
    router_rows rows = {.blocks = blocks, .block_count = COUNT, .seed = 1};
    router_tables *tables = router_tables_new(&rows);
    assert_non_null(tables);
    size_t block_count, policy_count;
    router_tables_sizes(tables, &block_count, &policy_count);
    assert_int_equal(block_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i += 997) {
        router_owners owners = router_tables_find(tables, blocks[i].prefix | 5);
        assert_int_equal(owners.count, 1);
        assert_int_equal(router_tables_owner(tables, owners.first).net_id, i % 1000);
    }
    router_tables_unref(&tables);
    free(blocks);
}

/* ---- tables ---- */

static void every_owner_of_an_equal_block(void **state)
{
    (void)state;
    const router_block_row blocks[] = {
        {endpoint(0x13, "ttn", "eu1"), 0x26000000, 8},
        {endpoint(0x13, "acme", "nam1"), 0x26012345, 16}, /* bits behind the length do not count */
        {endpoint(0x42, "", ""), 0x26010000, 16},
        {endpoint(0x13, "acme", "eu1"), 0x26010000, 16},
        {endpoint(0x13, "acme", "eu1"), 0x26010000, 16}, /* the same again */
        {endpoint(0x13, "bad", ""), 0x26010000, 33},
    };
    router_rows rows = {.blocks = blocks, .block_count = sizeof blocks / sizeof blocks[0], .seed = 2};
    router_tables *tables = router_tables_new(&rows);
    assert_non_null(tables);
    router_owners owners = router_tables_find(tables, 0x2601ffff);
    assert_int_equal(owners.count, 3);
    traffic_endpoint first = router_tables_owner(tables, owners.first);
    traffic_endpoint second = router_tables_owner(tables, owners.first + 1);
    traffic_endpoint third = router_tables_owner(tables, owners.first + 2);
    assert_int_equal(first.net_id, 0x13);
    assert_true(lpx_str_is(first.tenant_id, "acme") && lpx_str_is(first.cluster_id, "eu1"));
    assert_true(lpx_str_is(second.tenant_id, "acme") && lpx_str_is(second.cluster_id, "nam1"));
    assert_int_equal(third.net_id, 0x42);
    owners = router_tables_find(tables, 0x26020000);
    assert_int_equal(owners.count, 1);
    assert_true(lpx_str_is(router_tables_owner(tables, owners.first).tenant_id, "ttn"));
    assert_int_equal(router_tables_find(tables, 0x27000000).count, 0);
    router_tables_unref(&tables);
}

static void a_tenants_block_wins_over_its_networks(void **state)
{
    (void)state;
    const router_block_row blocks[] = {
        {endpoint(0x13, "", "eu1"), 0x26010000, 16},  {endpoint(0x13, "", "nam1"), 0x26010000, 16},
        {endpoint(0x13, "acme", ""), 0x26010000, 16}, {endpoint(0x14, "", ""), 0x26010000, 16},
        {endpoint(0x13, "", "eu1"), 0x26010000, 17}, /* a longer one is the network's */
    };
    router_rows rows = {.blocks = blocks, .block_count = sizeof blocks / sizeof blocks[0], .seed = 2};
    router_tables *tables = router_tables_new(&rows);
    assert_non_null(tables);
    router_owners owners = router_tables_find(tables, 0x2601ffff);
    assert_int_equal(owners.count, 2);
    assert_true(lpx_str_is(router_tables_owner(tables, owners.first).tenant_id, "acme"));
    assert_int_equal(router_tables_owner(tables, owners.first + 1).net_id, 0x14);
    owners = router_tables_find(tables, 0x26010001);
    assert_int_equal(owners.count, 1);
    assert_int_equal(router_tables_owner(tables, owners.first).tenant_id.len, 0);
    router_tables_unref(&tables);
}

static void delegation_moves_the_networks_own_blocks_once(void **state)
{
    (void)state;
    const router_block_row blocks[] = {
        {endpoint(0xa, "", "eu1"), 0x10000000, 8},
        {endpoint(0xa, "tenant", ""), 0x11000000, 8},
        {endpoint(0xb, "", ""), 0x12000000, 8},
        {endpoint(0xb, "", "eu1"), 0x10000000, 8}, /* becomes C's; A's becomes B's */
    };
    const router_delegation_row delegations[] = {{0xb, 0xc}, {0xa, 0xb}};
    router_rows rows = {
        .blocks = blocks, .block_count = 4, .delegations = delegations, .delegation_count = 2, .seed = 3};
    router_tables *tables = router_tables_new(&rows);
    assert_non_null(tables);
    router_owners owners = router_tables_find(tables, 0x10000001);
    assert_int_equal(owners.count, 2);
    assert_int_equal(router_tables_owner(tables, owners.first).net_id, 0xb);
    assert_true(lpx_str_is(router_tables_owner(tables, owners.first).cluster_id, "eu1"));
    assert_int_equal(router_tables_owner(tables, owners.first + 1).net_id, 0xc);
    owners = router_tables_find(tables, 0x11000001);
    assert_int_equal(router_tables_owner(tables, owners.first).net_id, 0xa);
    owners = router_tables_find(tables, 0x12000001);
    assert_int_equal(router_tables_owner(tables, owners.first).net_id, 0xc);
    router_tables_unref(&tables);
}

static void policies_in_their_order(void **state)
{
    (void)state;
    const router_policy_row all[] = {
        {member(1, "t"), member(2, "h"), false, {1, 1}},
        {member(1, "t"), member(2, ""), false, {2, 2}},
        {member(1, "t"), {0}, true, {4, 3}},
        {member(1, ""), {0}, true, {8, 4}},
        {member(1, ""), member(2, "h"), false, {16, 5}}, /* the network's, not its tenants' */
    };
    const traffic_member fwd = member(1, "t"), home = member(2, "h");
    const uint8_t want[] = {1, 2, 4, 8, ROUTER_UP_ALL};
    for (size_t skip = 0; skip < 5; skip++) {
        router_rows rows = {
            .policies = all + skip, .policy_count = skip < 4 ? 5 - skip : 0, .default_open = true, .seed = 4};
        router_tables *tables = router_tables_new(&rows);
        assert_non_null(tables);
        assert_int_equal(router_tables_policy(tables, fwd, home).allowed.uplink, want[skip]);
        router_tables_unref(&tables);
    }
    router_rows rows = {.policies = all, .policy_count = 5, .seed = 4};
    router_tables *tables = router_tables_new(&rows);
    assert_non_null(tables);
    assert_int_equal(router_tables_policy(tables, fwd, member(2, "other")).allowed.uplink, 2);
    assert_int_equal(router_tables_policy(tables, fwd, member(3, "h")).allowed.uplink, 4);
    assert_int_equal(router_tables_policy(tables, member(1, "u"), home).allowed.uplink, 8);
    assert_int_equal(router_tables_policy(tables, member(1, ""), home).allowed.uplink, 16);
    assert_int_equal(router_tables_policy(tables, member(9, "t"), home).allowed.uplink, 0); /* closed */
    assert_int_equal(router_tables_policy(tables, member(9, "t"), home).allowed.downlink, 0);
    router_tables_unref(&tables);
}

static void an_all_off_policy_hides_the_default(void **state)
{
    (void)state;
    const router_policy_row policies[] = {
        {member(1, ""), {0}, true, {ROUTER_UP_ALL, ROUTER_DOWN_ALL}},
        {member(1, ""), member(2, ""), false, {0, 0}},
    };
    router_rows rows = {.policies = policies, .policy_count = 2, .default_open = true, .seed = 5};
    router_tables *tables = router_tables_new(&rows);
    assert_non_null(tables);
    assert_int_equal(router_tables_policy(tables, member(1, ""), member(2, "")).allowed.uplink, 0);
    assert_int_equal(router_tables_policy(tables, member(1, ""), member(3, "")).allowed.uplink, ROUTER_UP_ALL);
    router_tables_unref(&tables);
}

/* ---- filters ---- */

static const router_uplink data_uplink = {
    .kind = TRAFFIC_DATA, .dev_addr = 0x26010203, .f_port = 10, .confirmed = true, .f_opts = true};
static const router_uplink join_uplink = {.kind = TRAFFIC_JOIN, .join_eui = 0xec656e0000000001, .dev_eui = 0x42};

static bool passes(const router_filter *filter, const router_uplink *uplink)
{
    uint32_t number;
    return router_filters_pass(filter, 1, uplink, true, &number);
}

static bool names(const router_filter *filter, const router_uplink *uplink)
{
    uint32_t number;
    return router_filters_name(filter, 1, uplink, true, &number);
}

static void no_filter_passes_everything(void **state)
{
    (void)state;
    uint32_t number = 7;
    assert_true(router_filters_pass(NULL, 0, &data_uplink, false, &number));
    assert_int_equal(number, 0);
    assert_true(router_filters_pass(NULL, 0, &join_uplink, false, &number));
}

static void filters_ask_for_a_kind(void **state)
{
    (void)state;
    const router_filter any = {.kind = ROUTER_FILTER_ANY}, join = {.kind = ROUTER_FILTER_JOIN},
                        mac = {.kind = ROUTER_FILTER_MAC};
    assert_true(passes(&any, &data_uplink) && passes(&any, &join_uplink));
    assert_true(passes(&mac, &data_uplink) && !passes(&mac, &join_uplink));
    assert_true(!passes(&join, &data_uplink) && passes(&join, &join_uplink));
    const router_filter both[] = {join, mac};
    uint32_t number;
    assert_true(router_filters_pass(both, 2, &data_uplink, true, &number));
    assert_int_equal(number, 2);
    assert_true(router_filters_pass(both, 2, &join_uplink, true, &number));
    assert_int_equal(number, 1);
}

static void conditions_of_one_filter_all_hold(void **state)
{
    (void)state;
    const lw_devaddr_prefix in[] = {{0x30000000, 8}, {0x26010000, 16}}, out[] = {{0x26020000, 16}},
                            zero[] = {{0xffffffff, 0}};
    const router_port_range ports[] = {{1, 9}, {10, 10}}, other_ports[] = {{11, 255}};
    router_filter f = {.kind = ROUTER_FILTER_MAC,
                       .confirmed = ROUTER_WANT_TRUE,
                       .f_opts = ROUTER_WANT_TRUE,
                       .dev_addrs = in,
                       .dev_addr_count = 2,
                       .ports = ports,
                       .port_count = 2};
    assert_true(passes(&f, &data_uplink));
    f.confirmed = ROUTER_WANT_FALSE;
    assert_false(passes(&f, &data_uplink));
    f.confirmed = ROUTER_WANT_ANY;
    f.f_opts = ROUTER_WANT_FALSE;
    assert_false(passes(&f, &data_uplink));
    f.f_opts = ROUTER_WANT_ANY;
    f.ports = other_ports;
    f.port_count = 1;
    assert_false(passes(&f, &data_uplink));
    f.port_count = 0;
    f.dev_addrs = out;
    f.dev_addr_count = 1;
    assert_false(passes(&f, &data_uplink));
    f.dev_addrs = zero; /* a prefix without bits matches all */
    assert_true(passes(&f, &data_uplink));
}

static void a_missing_port_counts_as_zero(void **state)
{
    (void)state;
    const router_port_range zero[] = {{0, 0}};
    const router_filter f = {.kind = ROUTER_FILTER_MAC, .ports = zero, .port_count = 1};
    const router_uplink without = {.kind = TRAFFIC_DATA};
    assert_true(passes(&f, &without));
    assert_false(passes(&f, &data_uplink));
}

static void metadata_is_asked_for(void **state)
{
    (void)state;
    const router_filter f = {.kind = ROUTER_FILTER_ANY, .needs_metadata = true};
    uint32_t number;
    assert_true(router_filters_pass(&f, 1, &data_uplink, true, &number));
    assert_false(router_filters_pass(&f, 1, &data_uplink, false, &number));
}

static void only_bits_name_euis(void **state)
{
    (void)state;
    const router_eui_pair all[] = {{{0, 0}, {0, 0}}}, join_eui[] = {{{0xec656e0000000000, 24}, {0, 0}}},
                          dev_eui[] = {{{0, 0}, {0x42, 64}}}, wrong_dev[] = {{{0xec656e0000000000, 24}, {0x43, 64}}};
    router_filter f = {.kind = ROUTER_FILTER_JOIN, .euis = all, .eui_count = 1};
    assert_true(passes(&f, &join_uplink));
    assert_false(names(&f, &join_uplink));
    assert_false(router_filters_name_any(&f, 1));
    f.euis = join_eui;
    assert_true(names(&f, &join_uplink) && router_filters_name_any(&f, 1));
    assert_false(names(&f, &data_uplink));
    f.euis = dev_eui;
    assert_true(names(&f, &join_uplink));
    f.euis = wrong_dev;
    assert_false(names(&f, &join_uplink) || passes(&f, &join_uplink));
    assert_true(router_filters_name_any(&f, 1));
}

/* ---- directory and core ---- */

/* Tables with one block (of network 2, tenant "home", cluster "eu1"), a directory, an arena. */
typedef struct world {
    router_tables *tables;
    router_dir *dir;
    lpx_arena arena;
    router_effects effects;
} world;

static const router_block_row world_blocks[] = {
    {{2, {"home", 4}, {"eu1", 3}}, 0x26010000, 16},
    {{3, {NULL, 0}, {NULL, 0}}, 0x27000000, 8},
};

static void world_open(world *w, const router_policy_row *policies, size_t count, bool loopback)
{
    router_rows rows = {.blocks = world_blocks,
                        .block_count = 2,
                        .policies = policies,
                        .policy_count = count,
                        .default_open = true,
                        .loopback = loopback,
                        .seed = 6};
    *w = (world){.tables = router_tables_new(&rows), .dir = router_dir_new(7)};
    assert_non_null(w->tables);
    assert_non_null(w->dir);
    lpx_arena_init(&w->arena, 1 << 20);
}

static void world_close(world *w)
{
    router_tables_unref(&w->tables);
    router_dir_free(&w->dir);
    lpx_arena_fini(&w->arena);
}

static router_sub *join_dir(world *w, traffic_direction direction, traffic_endpoint at, const char *group,
                            const router_filter *filter)
{
    router_sub_spec spec = {.direction = direction,
                            .endpoint = at,
                            .group = lpx_str_of(group),
                            .filters = filter,
                            .filter_count = filter != NULL ? 1 : 0,
                            .max_messages = 2,
                            .max_bytes = 1000};
    router_sub *sub = router_sub_new(&spec);
    assert_non_null(sub);
    assert_false(lpx_failed(router_dir_add(w->dir, sub)));
    router_sub *borrowed = sub;
    router_sub_unref(&sub);
    return borrowed;
}

static void route(world *w, const router_uplink *uplink)
{
    w->effects = (router_effects){.arena = &w->arena};
    assert_false(lpx_failed(router_route_uplink(w->tables, w->dir, uplink, &w->effects)));
}

static bool delivered(const world *w, const router_sub *sub)
{
    unsigned times = 0;
    for (size_t i = 0; i < w->effects.delivery_count; i++) {
        times += w->effects.deliveries[i].sub == sub;
    }
    assert_true(times <= 1);
    return times == 1;
}

static void assert_one_drop(const world *w, traffic_drop reason)
{
    assert_int_equal(w->effects.delivery_count, 0);
    assert_int_equal(w->effects.outcome_count, 1);
    assert_false(w->effects.outcomes[0].delivered);
    assert_int_equal(w->effects.outcomes[0].drop, reason);
}

static void subscriptions_match_by_tenant_and_cluster(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL, 0, false);
    router_sub *exact = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "", NULL);
    router_sub *any_cluster = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "", NULL);
    router_sub *any_tenant = join_dir(&w, TRAFFIC_UP, endpoint(2, "", "eu1"), "", NULL);
    router_sub *other_cluster = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "nam1"), "", NULL);
    router_sub *other_tenant = join_dir(&w, TRAFFIC_UP, endpoint(2, "other", ""), "", NULL);
    router_sub *other_net = join_dir(&w, TRAFFIC_UP, endpoint(3, "home", "eu1"), "", NULL);
    router_sub *other_way = join_dir(&w, TRAFFIC_DOWN, endpoint(2, "home", "eu1"), "", NULL);
    route(&w, &data_uplink);
    assert_true(delivered(&w, exact) && delivered(&w, any_cluster) && delivered(&w, any_tenant));
    assert_false(delivered(&w, other_cluster) || delivered(&w, other_tenant) || delivered(&w, other_net) ||
                 delivered(&w, other_way));
    for (size_t i = 0; i < w.effects.delivery_count; i++) {
        assert_true(lpx_str_is(w.effects.deliveries[i].home.tenant_id, "home"));
        assert_true(lpx_str_is(w.effects.deliveries[i].home.cluster_id, "eu1"));
    }
    world_close(&w);
}

static void reasons_of_drops(void **state)
{
    (void)state;
    const router_policy_row policies[] = {{member(8, ""), {0}, true, {ROUTER_UP_MAC_DATA, 0}}};
    world w;
    world_open(&w, policies, 1, false);
    route(&w, &data_uplink);
    assert_one_drop(&w, TRAFFIC_DROP_NO_ENDPOINT);
    assert_int_equal(w.effects.outcomes[0].home.net_id, 2);
    const router_filter joins = {.kind = ROUTER_FILTER_JOIN};
    (void)join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "", &joins);
    route(&w, &data_uplink);
    assert_one_drop(&w, TRAFFIC_DROP_FILTER);
    router_uplink uplink = data_uplink;
    uplink.dev_addr = 0x40000000;
    route(&w, &uplink);
    assert_one_drop(&w, TRAFFIC_DROP_NO_ROUTE);
    uplink = data_uplink;
    uplink.forwarder = endpoint(8, "", "");
    route(&w, &uplink);
    assert_one_drop(&w, TRAFFIC_DROP_POLICY);
    uplink.forwarder = endpoint(2, "home", "nam1");
    route(&w, &uplink);
    assert_one_drop(&w, TRAFFIC_DROP_LOOPBACK);
    route(&w, &join_uplink);
    assert_one_drop(&w, TRAFFIC_DROP_NO_ROUTE);
    world_close(&w);
}

static void loopback_when_it_is_on(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL, 0, true);
    router_sub *sub = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "", NULL);
    router_uplink uplink = data_uplink;
    uplink.forwarder = endpoint(2, "home", "eu1");
    route(&w, &uplink);
    assert_true(delivered(&w, sub));
    world_close(&w);
}

static void a_group_takes_turns(void **state)
{
    (void)state;
    enum { SUBS = 4, MESSAGES = 400 };
    world w;
    world_open(&w, NULL, 0, false);
    router_sub *subs[SUBS];
    unsigned got[SUBS] = {0};
    for (unsigned i = 0; i < SUBS; i++) {
        subs[i] = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "default", NULL);
    }
    router_sub *debug = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "debug", NULL);
    for (unsigned i = 0; i < MESSAGES; i++) {
        route(&w, &data_uplink);
        assert_int_equal(w.effects.delivery_count, 2);
        assert_true(delivered(&w, debug));
        for (unsigned j = 0; j < SUBS; j++) {
            got[j] += delivered(&w, subs[j]);
        }
        lpx_arena_reset(&w.arena);
    }
    for (unsigned j = 0; j < SUBS; j++) {
        assert_int_equal(got[j], MESSAGES / SUBS);
    }
    world_close(&w);
}

static void turns_survive_who_leaves(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL, 0, false);
    router_sub *a = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "g", NULL);
    router_sub *b = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "g", NULL);
    router_sub *c = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "g", NULL);
    route(&w, &data_uplink);
    assert_true(delivered(&w, a));
    route(&w, &data_uplink);
    assert_true(delivered(&w, b));
    assert_true(router_dir_remove(w.dir, a)); /* it is c's turn, and stays so */
    route(&w, &data_uplink);
    assert_true(delivered(&w, c));
    route(&w, &data_uplink);
    assert_true(delivered(&w, b));
    assert_true(router_dir_remove(w.dir, c) && router_dir_remove(w.dir, b));
    assert_int_equal(router_dir_count(w.dir), 0);
    route(&w, &data_uplink);
    assert_one_drop(&w, TRAFFIC_DROP_NO_ENDPOINT);
    world_close(&w);
}

static void a_full_queue_loses_its_turn(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL, 0, false);
    router_sub *a = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "g", NULL);
    router_sub *b = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "g", NULL);
    atomic_store(&a->waiting_messages, 2); /* of 2 */
    for (unsigned i = 0; i < 5; i++) {
        route(&w, &data_uplink);
        assert_true(delivered(&w, b));
    }
    atomic_store(&b->waiting_bytes, 1000); /* of 1000: now both are full, and take turns again */
    route(&w, &data_uplink);
    bool first = delivered(&w, a);
    route(&w, &data_uplink);
    assert_int_not_equal(delivered(&w, a), first);
    assert_int_equal(w.effects.delivery_count, 1);
    world_close(&w);
}

static void a_group_prefers_who_wants_it(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL, 0, false);
    const router_filter joins = {.kind = ROUTER_FILTER_JOIN};
    router_sub *wants = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "g", NULL);
    router_sub *refuses = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "g", &joins);
    for (unsigned i = 0; i < 4; i++) {
        route(&w, &data_uplink);
        assert_true(delivered(&w, wants) && !delivered(&w, refuses));
    }
    world_close(&w);
}

static void joins_go_to_who_names_them(void **state)
{
    (void)state;
    const router_policy_row policies[] = {
        {member(8, ""), member(4, ""), false, {ROUTER_UP_ALL - ROUTER_UP_JOIN_REQUEST, 0}}};
    world w;
    world_open(&w, policies, 1, false);
    const router_eui_pair all[] = {{{0, 0}, {0, 0}}}, named[] = {{{0xec656e0000000000, 24}, {0, 0}}};
    const router_filter match_all = {.kind = ROUTER_FILTER_JOIN, .euis = all, .eui_count = 1},
                        by_name = {.kind = ROUTER_FILTER_JOIN, .euis = named, .eui_count = 1};
    router_sub *one = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "", &by_name);
    router_sub *other_filter = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "", &match_all);
    router_sub *unfiltered = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "", NULL);
    router_sub *two = join_dir(&w, TRAFFIC_UP, endpoint(3, "", ""), "g", &by_name);
    router_sub *in_group = join_dir(&w, TRAFFIC_UP, endpoint(3, "", ""), "g", &match_all);
    router_sub *refused = join_dir(&w, TRAFFIC_UP, endpoint(4, "", ""), "", &by_name);
    router_uplink uplink = join_uplink;
    uplink.forwarder = endpoint(8, "", "eu1");
    route(&w, &uplink);
    assert_true(delivered(&w, one) && delivered(&w, two));
    assert_false(delivered(&w, other_filter) || delivered(&w, unfiltered) || delivered(&w, in_group) ||
                 delivered(&w, refused));
    assert_int_equal(w.effects.outcome_count, 3);
    for (size_t i = 0; i < w.effects.outcome_count; i++) {
        const traffic_outcome *o = &w.effects.outcomes[i];
        assert_int_equal(o->route, TRAFFIC_ROUTE_FILTER);
        assert_int_equal(o->delivered, o->home.net_id != 4);
        assert_int_equal(o->copies, o->home.net_id != 4);
        assert_int_equal(o->filter, o->home.net_id != 4);
        assert_true(o->home.net_id != 4 || o->drop == TRAFFIC_DROP_POLICY);
    }
    for (size_t i = 0; i < w.effects.delivery_count; i++) { /* the home network is the subscription's own */
        assert_int_equal(w.effects.deliveries[i].home.net_id, w.effects.deliveries[i].sub->endpoint.net_id);
    }
    assert_true(router_dir_remove(w.dir, one));
    assert_true(router_dir_remove(w.dir, two));
    assert_true(router_dir_remove(w.dir, refused));
    route(&w, &uplink);
    assert_one_drop(&w, TRAFFIC_DROP_NO_ROUTE);
    world_close(&w);
}

static void join_servers_name_homes(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL, 0, false);
    const router_eui_pair all[] = {{{0, 0}, {0, 0}}}, named[] = {{{0xec656e0000000000, 24}, {0, 0}}};
    const router_filter match_all = {.kind = ROUTER_FILTER_JOIN, .euis = all, .eui_count = 1},
                        by_name = {.kind = ROUTER_FILTER_JOIN, .euis = named, .eui_count = 1},
                        data = {.kind = ROUTER_FILTER_MAC};
    router_sub *member_sub = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "", &match_all);
    router_sub *other_cluster = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "nam1"), "", &by_name);
    router_sub *network = join_dir(&w, TRAFFIC_UP, endpoint(2, "", ""), "", &by_name);
    router_sub *stranger = join_dir(&w, TRAFFIC_UP, endpoint(3, "", ""), "", &by_name);
    router_sub *no_joins = join_dir(&w, TRAFFIC_UP, endpoint(4, "", ""), "", &data);
    const router_home homes[] = {{endpoint(2, "home", "eu1"), TRAFFIC_ROUTE_LOOKUP},
                                 {endpoint(4, "", ""), TRAFFIC_ROUTE_FIXED}};
    router_uplink uplink = join_uplink;
    uplink.forwarder = endpoint(8, "", "eu1");
    uplink.homes = homes;
    uplink.home_count = 2;
    route(&w, &uplink);
    assert_true(delivered(&w, member_sub) && delivered(&w, network) && delivered(&w, stranger));
    assert_false(delivered(&w, other_cluster) || delivered(&w, no_joins));
    assert_int_equal(w.effects.outcome_count, 3);
    assert_int_equal(w.effects.outcomes[0].route, TRAFFIC_ROUTE_LOOKUP);
    assert_int_equal(w.effects.outcomes[0].copies, 2);
    assert_int_equal(w.effects.outcomes[1].drop, TRAFFIC_DROP_FILTER);
    assert_int_equal(w.effects.outcomes[2].route, TRAFFIC_ROUTE_FILTER);
    for (size_t i = 0; i < w.effects.delivery_count; i++) {
        const router_delivery *d = &w.effects.deliveries[i];
        assert_true(d->sub == stranger || lpx_str_is(d->home.tenant_id, "home"));
    }
    world_close(&w);
}

static void policy_decides_what_is_stripped(void **state)
{
    (void)state;
    const router_policy_row policies[] = {
        {member(8, ""), member(2, ""), false, {ROUTER_UP_APPLICATION_DATA | ROUTER_UP_SIGNAL_QUALITY, 0}},
        {member(9, ""), member(2, ""), false, {ROUTER_UP_APPLICATION_DATA, 0}},
    };
    world w;
    world_open(&w, policies, 2, false);
    const router_filter needs = {.kind = ROUTER_FILTER_ANY, .needs_metadata = true};
    router_sub *any = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "", NULL);
    router_sub *needing = join_dir(&w, TRAFFIC_UP, endpoint(2, "home", "eu1"), "", &needs);
    router_uplink uplink = data_uplink;
    uplink.has_metadata = uplink.has_signal_quality = uplink.has_localization = true;
    uplink.forwarder = endpoint(7, "", "");
    route(&w, &uplink);
    assert_int_equal(w.effects.deliveries[0].strip, 0);
    uplink.forwarder = endpoint(8, "", "");
    route(&w, &uplink);
    assert_int_equal(w.effects.deliveries[0].strip, ROUTER_STRIP_LOCALIZATION);
    assert_true(delivered(&w, any) && delivered(&w, needing));
    uplink.forwarder = endpoint(9, "", "");
    route(&w, &uplink);
    assert_int_equal(w.effects.deliveries[0].strip,
                     ROUTER_STRIP_LOCALIZATION | ROUTER_STRIP_SIGNAL_QUALITY | ROUTER_STRIP_TEASER);
    assert_true(delivered(&w, any) && !delivered(&w, needing));
    uplink.f_port = 0; /* MAC data now */
    route(&w, &uplink);
    assert_one_drop(&w, TRAFFIC_DROP_POLICY);
    world_close(&w);
}

static void route_down(world *w, const router_downlink *downlink)
{
    w->effects = (router_effects){.arena = &w->arena};
    assert_false(lpx_failed(router_route_downlink(w->tables, w->dir, downlink, &w->effects)));
}

static void downlinks_go_to_forwarders(void **state)
{
    (void)state;
    const router_policy_row policies[] = {{member(8, "fwd"), {0}, true, {0, ROUTER_DOWN_APPLICATION_DATA}}};
    world w;
    world_open(&w, policies, 1, false);
    router_sub *exact = join_dir(&w, TRAFFIC_DOWN, endpoint(8, "fwd", "eu1"), "", NULL);
    router_sub *network = join_dir(&w, TRAFFIC_DOWN, endpoint(8, "", ""), "g", NULL);
    router_sub *network2 = join_dir(&w, TRAFFIC_DOWN, endpoint(8, "", ""), "g", NULL);
    router_sub *elsewhere = join_dir(&w, TRAFFIC_DOWN, endpoint(8, "fwd", "nam1"), "", NULL);
    router_sub *up = join_dir(&w, TRAFFIC_UP, endpoint(8, "fwd", "eu1"), "", NULL);
    router_downlink down = {
        .home = endpoint(2, "home", "x"), .forwarder = endpoint(8, "fwd", "eu1"), .kind = TRAFFIC_DATA, .f_port = 1};
    route_down(&w, &down);
    assert_true(delivered(&w, exact) && (delivered(&w, network) != delivered(&w, network2)));
    assert_false(delivered(&w, elsewhere) || delivered(&w, up));
    assert_true(lpx_str_is(w.effects.deliveries[0].home.cluster_id, "x"));
    down.forwarder.cluster_id = (lpx_str){NULL, 0}; /* any */
    route_down(&w, &down);
    assert_true(delivered(&w, elsewhere));
    down.f_port = 0;
    route_down(&w, &down);
    assert_one_drop(&w, TRAFFIC_DROP_POLICY);
    down.kind = TRAFFIC_JOIN;
    route_down(&w, &down);
    assert_one_drop(&w, TRAFFIC_DROP_POLICY);
    down.forwarder = endpoint(5, "", "");
    route_down(&w, &down);
    assert_one_drop(&w, TRAFFIC_DROP_NO_ENDPOINT);
    down.forwarder = down.home;
    route_down(&w, &down);
    assert_one_drop(&w, TRAFFIC_DROP_LOOPBACK);
    world_close(&w);
}

static void the_directory_has_limits(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL, 0, false);
    lpx_note note = {""};
    assert_false(lpx_failed(router_dir_check_room(w.dir, TRAFFIC_UP, member(2, "home"), &note)));
    for (unsigned i = 0; i < ROUTER_MAX_SUBS_PER_MEMBER; i++) {
        (void)join_dir(&w, TRAFFIC_UP, endpoint(2, "home", ""), "g", NULL);
    }
    lpx_err err = router_dir_check_room(w.dir, TRAFFIC_UP, member(2, "home"), &note);
    assert_int_equal(err.reason, ROUTER_TOO_MANY_STREAMS);
    assert_non_null(strstr(note.text, "4096"));
    assert_false(lpx_failed(router_dir_check_room(w.dir, TRAFFIC_DOWN, member(2, "home"), &note)));
    assert_false(lpx_failed(router_dir_check_room(w.dir, TRAFFIC_UP, member(2, ""), &note)));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_keeps_what_collides),
        cmocka_unit_test(lpm_takes_the_longest),
        cmocka_unit_test(lpm_of_nothing_finds_nothing),
        cmocka_unit_test(tables_hold_a_million_blocks),
        cmocka_unit_test(every_owner_of_an_equal_block),
        cmocka_unit_test(a_tenants_block_wins_over_its_networks),
        cmocka_unit_test(delegation_moves_the_networks_own_blocks_once),
        cmocka_unit_test(policies_in_their_order),
        cmocka_unit_test(an_all_off_policy_hides_the_default),
        cmocka_unit_test(no_filter_passes_everything),
        cmocka_unit_test(filters_ask_for_a_kind),
        cmocka_unit_test(conditions_of_one_filter_all_hold),
        cmocka_unit_test(a_missing_port_counts_as_zero),
        cmocka_unit_test(metadata_is_asked_for),
        cmocka_unit_test(only_bits_name_euis),
        cmocka_unit_test(subscriptions_match_by_tenant_and_cluster),
        cmocka_unit_test(reasons_of_drops),
        cmocka_unit_test(loopback_when_it_is_on),
        cmocka_unit_test(a_group_takes_turns),
        cmocka_unit_test(turns_survive_who_leaves),
        cmocka_unit_test(a_full_queue_loses_its_turn),
        cmocka_unit_test(a_group_prefers_who_wants_it),
        cmocka_unit_test(joins_go_to_who_names_them),
        cmocka_unit_test(join_servers_name_homes),
        cmocka_unit_test(policy_decides_what_is_stripped),
        cmocka_unit_test(downlinks_go_to_forwarders),
        cmocka_unit_test(the_directory_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
