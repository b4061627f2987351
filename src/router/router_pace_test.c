/* When tables are loaded again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/test_random.h"
#include "router/limits.h"
#include "router/router_pace.h"

static lpx_mono at(int64_t us)
{
    return (lpx_mono){us};
}

static router_part take(router_pace *pace, int64_t now_us)
{
    router_part part = ROUTER_PARTS;
    assert_true(router_pace_take(pace, at(now_us), &part));
    return part;
}

static void quick_loads_follow_each_other(void **state)
{
    (void)state;
    router_pace pace = {0};
    router_part part;
    assert_false(router_pace_take(&pace, at(1000), &part));
    assert_int_equal(router_pace_wait_us(&pace, at(1000)), -1);
    router_pace_want(&pace, ROUTER_PART_REST);
    assert_int_equal(router_pace_wait_us(&pace, at(1000)), 0);
    assert_int_equal(take(&pace, 1000), ROUTER_PART_REST);
    assert_int_equal(router_pace_wait_us(&pace, at(1000)), -1);
    router_pace_want(&pace, ROUTER_PART_REST); /* while it is loaded */
    router_pace_done(&pace, ROUTER_PART_REST, at(1000), at(1000 + ROUTER_LOAD_QUICK_US));
    assert_int_equal(take(&pace, 1000 + ROUTER_LOAD_QUICK_US), ROUTER_PART_REST);
}

static void blocks_bring_the_rest(void **state)
{
    (void)state;
    router_pace pace = {0};
    router_part part;
    router_pace_want(&pace, ROUTER_PART_REST);
    router_pace_want(&pace, ROUTER_PART_BLOCKS);
    assert_int_equal(take(&pace, 0), ROUTER_PART_BLOCKS);
    assert_false(router_pace_take(&pace, at(0), &part));
}

static void the_rest_does_not_wait_for_blocks(void **state)
{
    (void)state;
    enum { TOOK = 400000 };
    router_pace pace = {0};
    router_part part;
    router_pace_want(&pace, ROUTER_PART_BLOCKS);
    assert_int_equal(take(&pace, 0), ROUTER_PART_BLOCKS);
    router_pace_done(&pace, ROUTER_PART_BLOCKS, at(0), at(TOOK));
    router_pace_want(&pace, ROUTER_PART_BLOCKS);
    assert_false(router_pace_take(&pace, at(TOOK), &part));
    assert_int_equal(router_pace_wait_us(&pace, at(TOOK)), ROUTER_LOAD_PAUSE_TIMES * TOOK);
    router_pace_want(&pace, ROUTER_PART_REST);
    assert_int_equal(router_pace_wait_us(&pace, at(TOOK)), 0);
    assert_int_equal(take(&pace, TOOK), ROUTER_PART_REST);
    assert_int_equal(take(&pace, TOOK + ROUTER_LOAD_PAUSE_TIMES * TOOK), ROUTER_PART_BLOCKS);
}

static void a_failed_load_is_tried_again(void **state)
{
    (void)state;
    router_pace pace = {0};
    router_part part;
    router_pace_want(&pace, ROUTER_PART_BLOCKS);
    assert_int_equal(take(&pace, 0), ROUTER_PART_BLOCKS);
    router_pace_failed(&pace, ROUTER_PART_BLOCKS, at(5));
    router_pace_want(&pace, ROUTER_PART_REST);
    assert_false(router_pace_take(&pace, at(5), &part));
    assert_int_equal(router_pace_wait_us(&pace, at(5)), ROUTER_RELOAD_US);
    assert_int_equal(take(&pace, 5 + ROUTER_RELOAD_US), ROUTER_PART_BLOCKS);
}

/* Random changes and times that loads take: no change is forgotten, none waits longer than the longest pause behind the
 * load under way, and slow loads take at most a fifth of the time. */
static void nothing_is_forgotten_or_late(void **state)
{
    (void)state;
    test_random random = test_random_begin("router_pace");
    router_pace pace = {0};
    int64_t now = 0, busy[ROUTER_PARTS] = {0}, changed_at[ROUTER_PARTS] = {-1, -1};
    for (unsigned step = 0; step < 100000; step++) {
        router_part part = test_random_below(&random, 2) == 0 ? ROUTER_PART_BLOCKS : ROUTER_PART_REST;
        if (test_random_below(&random, 3) == 0) {
            router_pace_want(&pace, part);
            changed_at[part] = changed_at[part] < 0 ? now : changed_at[part];
        }
        if (router_pace_take(&pace, at(now), &part)) {
            bool is_slow = test_random_below(&random, 2) == 0;
            int64_t took = (int64_t)test_random_below(&random, is_slow ? 400000 : ROUTER_LOAD_QUICK_US);
            for (unsigned i = part; i < ROUTER_PARTS; i++) {
                assert_true(changed_at[i] < 0 || now - changed_at[i] <= ROUTER_LOAD_PAUSE_MAX_US + 400000 + 50000);
                changed_at[i] = -1;
            }
            busy[part] += took > ROUTER_LOAD_QUICK_US ? took : 0;
            router_pace_done(&pace, part, at(now), at(now + took));
            now += took;
        }
        bool waits = changed_at[ROUTER_PART_BLOCKS] >= 0 || changed_at[ROUTER_PART_REST] >= 0;
        assert_int_equal(router_pace_wait_us(&pace, at(now)) >= 0, waits);
        now += (int64_t)test_random_below(&random, 50000);
    }
    assert_true(busy[ROUTER_PART_BLOCKS] > now / 100);
    assert_true(busy[ROUTER_PART_BLOCKS] * (ROUTER_LOAD_PAUSE_TIMES + 1) <= now + 4000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_loads_follow_each_other),     cmocka_unit_test(blocks_bring_the_rest),
        cmocka_unit_test(the_rest_does_not_wait_for_blocks), cmocka_unit_test(a_failed_load_is_tried_again),
        cmocka_unit_test(nothing_is_forgotten_or_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
