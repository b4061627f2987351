/* The router's tables at a thousand to a million DevAddr blocks of 10,000 networks, with 10,000 policies: what a lookup
 * costs, what all of it holds in memory, what building it anew costs. Beside it libc: bsearch and qsort of as many
 * numbers. Blocks lie anywhere: 5 % of length 7 to 16, 60 % of 17 to 24, 35 % of 25 to 32; half of the addresses asked
 * for are inside one of them. Then as many JoinEUI prefixes of a thousand Join Servers. Prints one figure per line:
 * name value. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/test_random.h"
#include "router/router_join_table.h"
#include "router/router_tables.h"

enum {
    NETWORKS = 10000,
    POLICIES = 10000,
    ADDRESSES = 1 << 20,
    BLOCKS = 1000000,
    PASSES = 15,
    BUILDS = 5,
    SERVERS = 1000
};

static test_random source;
static router_block_row blocks[BLOCKS];
static router_policy_row policies[POLICIES];
static uint32_t addresses[ADDRESSES];

static double cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double least_of(double a, double b)
{
    return a < b ? a : b;
}

static double heap_mib(void)
{
    struct mallinfo2 heap = mallinfo2();
    return (double)(heap.uordblks + heap.hblkhd) / (1 << 20);
}

/* ---- the world ---- */

static uint8_t some_length(void)
{
    unsigned kind = (unsigned)test_random_below(&source, 100);
    unsigned low = kind < 5 ? 7 : kind < 65 ? 17 : 25, high = kind < 5 ? 16 : kind < 65 ? 24 : 32;
    return (uint8_t)(low + test_random_below(&source, high - low + 1));
}

static void make_world(void)
{
    static const char *const clusters[] = {"", "eu1", "nam1"};
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint32_t net = (uint32_t)test_random_below(&source, NETWORKS);
        blocks[i] = (router_block_row){.owner = {.net_id = net, .cluster_id = lpx_str_of(clusters[net % 3])},
                                       .prefix = (uint32_t)test_random_next(&source),
                                       .length = some_length()};
    }
    for (unsigned i = 0; i < POLICIES; i++) {
        policies[i] = (router_policy_row){.forwarder = {.net_id = i % NETWORKS},
                                          .home = {.net_id = (uint32_t)test_random_below(&source, NETWORKS)},
                                          .policy = {ROUTER_UP_ALL, ROUTER_DOWN_ALL}};
    }
    for (unsigned i = 0; i < ADDRESSES; i++) {
        const router_block_row *block = &blocks[test_random_below(&source, BLOCKS)];
        uint32_t behind = (uint32_t)(UINT64_C(0xffffffff) >> block->length);
        uint32_t any = (uint32_t)test_random_next(&source);
        addresses[i] = i % 2 == 0 ? any : (block->prefix & ~behind) | (any & behind);
    }
}

/* @param previous not NULL: blocks are kept, as when a policy changes */
static router_tables *build(size_t block_count, const router_tables *previous)
{
    router_rows rows = {.blocks = blocks,
                        .block_count = block_count,
                        .policies = policies,
                        .policy_count = POLICIES,
                        .previous = previous,
                        .keep_blocks = previous != NULL,
                        .seed = 1};
    router_tables *tables = router_tables_new(&rows);
    lpx_assert(tables != NULL);
    return tables;
}

/* ---- figures: the least of several passes, since others use the processor's cache too ---- */

static volatile uint32_t sink;

static double lookup_ns(const router_tables *tables)
{
    double least = 1e9;
    for (unsigned pass = 0; pass < PASSES; pass++) {
        uint32_t sum = 0;
        double since = cpu_ns();
        for (unsigned i = 0; i < ADDRESSES; i++) {
            router_owners owners = router_tables_find(tables, addresses[i]);
            sum += owners.first + owners.count;
        }
        sink = sum;
        least = least_of(least, (cpu_ns() - since) / ADDRESSES);
    }
    return least;
}

static int compare_addresses(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What libc does with as many starts of blocks. */
static void measure_libc(void)
{
    static uint32_t starts[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        starts[i] = blocks[i].prefix;
    }
    double since = cpu_ns(), least = 1e9;
    qsort(starts, BLOCKS, sizeof starts[0], compare_addresses);
    (void)printf("qsort_1m_ms %.1f\n", (cpu_ns() - since) / 1e6);
    for (unsigned pass = 0; pass < PASSES; pass++) {
        uint32_t sum = 0;
        since = cpu_ns();
        for (unsigned i = 0; i < ADDRESSES; i++) {
            sum += bsearch(&addresses[i], starts, BLOCKS, sizeof starts[0], compare_addresses) != NULL;
        }
        sink = sum;
        least = least_of(least, (cpu_ns() - since) / ADDRESSES);
    }
    (void)printf("bsearch_1m_ns %.1f\n", least);
}

/* What it costs to build all, and to build all but the blocks; what the last who lets go of a snapshot pays. */
static void measure_building(const char *name, size_t block_count)
{
    double all = 1e12, policies_alone = 1e12, release = 1e12;
    for (unsigned pass = 0; pass < BUILDS; pass++) {
        double since = cpu_ns();
        router_tables *tables = build(block_count, NULL);
        all = least_of(all, cpu_ns() - since);
        since = cpu_ns();
        router_tables *next = build(block_count, tables);
        policies_alone = least_of(policies_alone, cpu_ns() - since);
        router_tables_unref(&next);
        since = cpu_ns();
        router_tables_unref(&tables);
        release = least_of(release, cpu_ns() - since);
    }
    (void)printf("rebuild_%s_ms %.2f\nrebuild_policies_%s_ms %.2f\nrelease_%s_ms %.2f\n", name, all / 1e6, name,
                 policies_alone / 1e6, name, release / 1e6);
}

static void measure(const char *name, size_t block_count)
{
    double before = heap_mib();
    router_tables *tables = build(block_count, NULL);
    (void)printf("lookup_%s_mib %.2f\n", name, heap_mib() - before);
    (void)printf("lookup_%s_ns %.1f\n", name, lookup_ns(tables));
    router_tables_unref(&tables);
    measure_building(name, block_count);
}

/* ---- Join Servers ---- */

/* Prefixes of 24 to 64 bits, half of them under 16 manufacturers. */
static void make_join_prefixes(router_join_prefix *out)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint64_t any = test_random_next(&source), maker = UINT64_C(0x70b3d50000000000) + (any % 16 << 40);
        out[i] = (router_join_prefix){.server_id = (uint32_t)test_random_below(&source, SERVERS),
                                      .value = i % 2 == 0 ? any : maker | any >> 24,
                                      .length = (uint8_t)(24 + test_random_below(&source, 41))};
    }
}

static double join_lookup_ns(const router_join_table *table, const router_join_prefix *prefixes)
{
    double least = 1e9;
    for (unsigned pass = 0; pass < PASSES; pass++) {
        size_t sum = 0;
        double since = cpu_ns();
        for (unsigned i = 0; i < ADDRESSES; i++) {
            const router_join_server *found[4];
            sum += router_join_table_find(table, prefixes[i * UINT64_C(7919) % BLOCKS].value + i, found, 4);
        }
        sink = (uint32_t)sum;
        least = least_of(least, (cpu_ns() - since) / ADDRESSES);
    }
    return least;
}

static void measure_joins(void)
{
    static router_join_server servers[SERVERS];
    static router_join_prefix prefixes[BLOCKS];
    make_join_prefixes(prefixes);
    for (uint32_t i = 0; i < SERVERS; i++) {
        servers[i] = (router_join_server){.id = i, .is_fixed = true, .fixed = {.net_id = i}};
    }
    const router_join_rows rows = {
        .servers = servers, .server_count = SERVERS, .prefixes = prefixes, .prefix_count = BLOCKS};
    double before = heap_mib(), since = cpu_ns();
    router_join_table *table = router_join_table_new(&rows);
    lpx_assert(table != NULL);
    (void)printf("join_rebuild_1m_ms %.2f\n", (cpu_ns() - since) / 1e6);
    (void)printf("join_lookup_1m_mib %.2f\n", heap_mib() - before);
    (void)printf("join_lookup_1m_ns %.1f\n", join_lookup_ns(table, prefixes));
    router_join_table_unref(&table);
}

int main(void)
{
    source = (test_random){20260103};
    make_world();
    measure_libc();
    measure("1k", 1000);
    measure("100k", 100000);
    measure("1m", BLOCKS);
    measure_joins();
    return 0;
}
