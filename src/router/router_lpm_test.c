/* Longest prefix match against a look at every prefix, and the order of prefixes against qsort's; at both widths.
 * LPX_TEST_SEED in the environment chooses another run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/test_random.h"
#include "router/router_lpm.h"

enum { WORLDS = 3000, PREFIXES = 40, MANY = 20000 };

typedef struct world {
    test_random *random;
    router_lpm_width width;
    router_lpm_entry entries[PREFIXES];
    size_t count;
} world;

static uint64_t all_ones(router_lpm_width width)
{
    return width == ROUTER_LPM_32 ? UINT32_MAX : UINT64_MAX;
}

/* Bits behind a length are 0. */
static uint64_t cut(router_lpm_width width, uint64_t value, unsigned length)
{
    uint64_t kept = 0;
    for (unsigned bit = 0; bit < length; bit++) {
        kept |= UINT64_C(1) << ((unsigned)width - 1 - bit);
    }
    return value & kept;
}

/* Near each other and at both ends, so that prefixes contain each other and meet. */
static uint64_t some_address(world *w)
{
    const uint64_t bases[] = {0, all_ones(w->width), UINT64_C(0x26010000), UINT64_C(0x70b3d50000000000)};
    uint64_t base = bases[test_random_below(w->random, 4)];
    uint64_t change = test_random_next(w->random) & (UINT64_C(1) << test_random_below(w->random, 64));
    return (base ^ change) & all_ones(w->width);
}

static void make_prefixes(world *w)
{
    size_t wanted = test_random_below(w->random, PREFIXES + 1);
    w->count = 0;
    while (w->count < wanted) {
        uint8_t length = (uint8_t)test_random_below(w->random, (unsigned)w->width + 1);
        uint64_t start = cut(w->width, some_address(w), length);
        bool again = false;
        for (size_t i = 0; i < w->count; i++) {
            again = again || (w->entries[i].start == start && w->entries[i].length == length);
        }
        wanted -= again ? 1 : 0;
        if (!again) {
            uint32_t value = (uint32_t)test_random_below(w->random, 6); /* neighbours may agree */
            w->entries[w->count++] = (router_lpm_entry){start, value, length};
        }
    }
}

static uint32_t naive_find(const world *w, uint64_t addr)
{
    uint32_t value = ROUTER_LPM_NONE;
    int longest = -1;
    for (size_t i = 0; i < w->count; i++) {
        const router_lpm_entry *e = &w->entries[i];
        if (cut(w->width, addr, e->length) == e->start && e->length > longest) {
            longest = e->length;
            value = e->value;
        }
    }
    return value;
}

static void check_address(const world *w, const router_lpm *lpm, uint64_t addr)
{
    uint32_t got = w->width == ROUTER_LPM_32 ? router_lpm_find(lpm, (uint32_t)addr) : router_lpm_find_wide(lpm, addr);
    assert_int_equal(got, naive_find(w, addr));
}

static void check_world(world *w)
{
    router_lpm lpm;
    make_prefixes(w);
    assert_true(router_lpm_sort(w->entries, w->count));
    assert_true(router_lpm_build(w->width, w->entries, w->count, &lpm));
    check_address(w, &lpm, 0);
    check_address(w, &lpm, all_ones(w->width));
    for (size_t i = 0; i < w->count; i++) {
        const router_lpm_entry *e = &w->entries[i];
        uint64_t last = e->start | (all_ones(w->width) & ~cut(w->width, UINT64_MAX, e->length));
        check_address(w, &lpm, e->start);
        check_address(w, &lpm, last);
        check_address(w, &lpm, (e->start - 1) & all_ones(w->width));
        check_address(w, &lpm, (last + 1) & all_ones(w->width));
        check_address(w, &lpm, some_address(w));
    }
    router_lpm_fini(&lpm);
}

static void finds_what_a_look_at_all_finds(void **state)
{
    (void)state;
    test_random random = test_random_begin("router_lpm");
    for (unsigned i = 0; i < WORLDS; i++) {
        world w = {.random = &random, .width = i % 2 == 0 ? ROUTER_LPM_32 : ROUTER_LPM_64};
        check_world(&w);
    }
}

/* value tells where an entry was: equals must stay in their order. */
static int compare_entries(const void *a, const void *b)
{
    const router_lpm_entry *x = a, *y = b;
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    if (x->length != y->length) {
        return x->length < y->length ? -1 : 1;
    }
    return (x->value > y->value) - (x->value < y->value);
}

static void check_order(test_random *random, uint64_t bits, size_t count)
{
    router_lpm_entry *entries = calloc(count + 1, sizeof *entries), *wanted = calloc(count + 1, sizeof *wanted);
    assert_true(entries != NULL && wanted != NULL);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (router_lpm_entry){test_random_next(random) & bits, i, (uint8_t)test_random_below(random, 65)};
        wanted[i] = entries[i];
    }
    qsort(wanted, count, sizeof *wanted, compare_entries);
    assert_true(router_lpm_sort(entries, count));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(compare_entries(&entries[i], &wanted[i]), 0);
    }
    free(entries);
    free(wanted);
}

static void sorts_like_qsort(void **state)
{
    (void)state;
    test_random random = test_random_begin("router_lpm_sort");
    const uint64_t bits[] = {0, 1, 0xff00ff, UINT32_MAX, UINT64_C(0xffff000000000000), UINT64_MAX};
    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        check_order(&random, bits[i], 0);
        check_order(&random, bits[i], 1);
        check_order(&random, bits[i], 2);
        check_order(&random, bits[i], MANY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_look_at_all_finds),
        cmocka_unit_test(sorts_like_qsort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
