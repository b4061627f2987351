/* Walks through lists whose rows come and go between the pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pb_iam_v1_api.pb-c.h"
#include "rpc/limits.h"
#include "rpc/walks.h"

enum { ROWS = 400 };

/* A list: which numbers are in it. */
typedef struct list {
    bool there[ROWS];
} list;

typedef struct fixture {
    rpc_walks *walks;
    lpx_arena arena;
    rpc_txn txn;
    Pb__Iam__V1__ListNetworksRequest query;
} fixture;

static const rpc_principal caller = {.subject = RPC_NETWORK, .net_id = 0x13, .key_id = "NETWORKNETWORK22"};
static const rpc_principal other_caller = {.subject = RPC_NETWORK, .net_id = 0x13, .key_id = "OTHEROTHEROTHER2"};

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->walks = rpc_walks_new();
    lpx_arena_init(&f->arena, 64 << 20);
    pb__iam__v1__list_networks_request__init(&f->query);
    f->txn = (rpc_txn){.who = &caller, .arena = &f->arena, .walks = f->walks, .now = {INT64_C(1700000000000000)}};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    rpc_walks_free(&f->walks);
    lpx_arena_fini(&f->arena);
    free(f);
    return 0;
}

/* One page of the list as a service makes it. @return rows of the page */
static size_t page(fixture *f, const list *rows, uint32_t offset, uint32_t limit, int *out, uint32_t *total)
{
    rpc_walk walk;
    size_t count = 0;
    uint32_t behind = 0;
    assert_int_equal(rpc_walk_begin(&f->txn, "List", &f->query.base, offset, &walk).code, LPX_OK);
    for (int i = walk.resumed ? (int)walk.after.number + 1 : 0; i < ROWS; i++) {
        if (rows->there[i] && behind++ >= walk.skip && count < limit) {
            out[count++] = i;
        }
    }
    rpc_place last = rpc_place_of(count > 0 ? out[count - 1] : 0, LPX_STR(""));
    *total = rpc_walk_end(&f->txn, &walk, count, behind, &last);
    lpx_arena_reset(&f->arena);
    return count;
}

static void fill(list *rows, int first, int end, bool there)
{
    for (int i = first; i < end; i++) {
        rows->there[i] = there;
    }
}

static void a_row_that_goes_takes_none_with_it(void **state)
{
    fixture *f = *state;
    list rows = {.there = {false}};
    int got[ROWS];
    uint32_t total;
    fill(&rows, 0, 30, true);
    assert_int_equal(page(f, &rows, 0, 10, got, &total), 10);
    assert_int_equal(total, 30);
    fill(&rows, 0, 10, false);
    assert_int_equal(page(f, &rows, 10, 10, got, &total), 10);
    assert_int_equal(got[0], 10);
    assert_int_equal(total, 30); /* ten were seen, twenty are left */
    assert_int_equal(page(f, &rows, 10, 10, got, &total), 10);
    assert_int_equal(got[0], 10); /* the answer was lost, and the page is asked for once more */
    assert_int_equal(page(f, &rows, 20, 10, got, &total), 10);
    assert_int_equal(got[0], 20);
    assert_int_equal(page(f, &rows, 30, 10, got, &total), 0);
    assert_int_equal(total, 30);
}

static void jumps_and_rested_walks_count_rows(void **state)
{
    fixture *f = *state;
    list rows = {.there = {false}};
    int got[ROWS];
    uint32_t total;
    fill(&rows, 0, 30, true);
    assert_int_equal(page(f, &rows, 20, 5, got, &total), 5);
    assert_int_equal(got[0], 20);
    rows.there[3] = false;
    assert_int_equal(page(f, &rows, 25, 5, got, &total), 5); /* a walk that began there */
    assert_int_equal(got[0], 25);
    assert_int_equal(page(f, &rows, 0, 5, got, &total), 5);
    f->txn.now.us += (int64_t)RPC_WALK_REST_S * 1000000;
    rows.there[0] = false;
    assert_int_equal(page(f, &rows, 5, 5, got, &total), 5);
    assert_int_equal(got[0], 7); /* 0 and 3 are gone */
    assert_int_equal(total, 28);
}

static void callers_and_queries_have_walks_of_their_own(void **state)
{
    fixture *f = *state;
    list rows = {.there = {false}};
    int got[ROWS];
    uint32_t total;
    fill(&rows, 0, 30, true);
    (void)page(f, &rows, 0, 10, got, &total);
    rows.there[0] = false;
    f->txn.who = &other_caller;
    (void)page(f, &rows, 10, 10, got, &total);
    assert_int_equal(got[0], 11);
    f->txn.who = &caller;
    f->query.name_contains = (char *)(uintptr_t) "x";
    (void)page(f, &rows, 10, 10, got, &total);
    assert_int_equal(got[0], 11);
    f->query.name_contains = (char *)(uintptr_t) "";
    (void)page(f, &rows, 10, 10, got, &total);
    assert_int_equal(got[0], 10);
}

/* Of several walks that rest at one offset the newest goes on: the others were given up. */
static void a_walk_that_was_given_up_is_forgotten(void **state)
{
    fixture *f = *state;
    list rows = {.there = {false}};
    int got[ROWS];
    uint32_t total;
    fill(&rows, 0, 40, true);
    (void)page(f, &rows, 0, 10, got, &total);
    fill(&rows, 0, 5, false);
    (void)page(f, &rows, 0, 10, got, &total);
    assert_int_equal(got[0], 5);
    fill(&rows, 0, 5, true);
    (void)page(f, &rows, 10, 10, got, &total);
    assert_int_equal(got[0], 15);
    (void)page(f, &rows, 10, 10, got, &total); /* once more, and not the older walk */
    assert_int_equal(got[0], 15);
}

/* One caller that begins walks without end pushes out its own. */
static void a_caller_does_not_push_out_others(void **state)
{
    fixture *f = *state;
    list rows = {.there = {false}};
    int got[ROWS];
    uint32_t total;
    fill(&rows, 0, 30, true);
    (void)page(f, &rows, 0, 10, got, &total);
    f->txn.who = &other_caller;
    for (int i = 0; i < 2 * RPC_MAX_WALKS; i++) {
        (void)page(f, &rows, 0, 10, got, &total);
    }
    f->txn.who = &caller;
    rows.there[0] = false;
    (void)page(f, &rows, 10, 10, got, &total);
    assert_int_equal(got[0], 10);
}

/* A walk while rows come and go at random: those that stay are seen once, none twice, and total leads to the end. */
static void walk_at_random(fixture *f, unsigned seed)
{
    list rows = {.there = {false}};
    bool stays[ROWS], seen[ROWS] = {false};
    int got[ROWS];
    uint32_t offset = 0, total = 1;
    srand(seed);
    for (int i = 0; i < ROWS; i++) {
        stays[i] = rows.there[i] = rand() % 2 == 0;
    }
    while (offset < total) {
        size_t count = page(f, &rows, offset, 1 + (uint32_t)rand() % 20, got, &total);
        assert_true(count > 0 || offset >= total);
        for (size_t i = 0; i < count; i++) {
            assert_false(seen[got[i]]);
            seen[got[i]] = true;
        }
        offset += (uint32_t)count;
        for (int i = rand() % 40; i > 0; i--) {
            int row = rand() % ROWS;
            rows.there[row] = !rows.there[row];
            stays[row] = false; /* it was not there all the time */
        }
    }
    for (int i = 0; i < ROWS; i++) {
        assert_true(seen[i] || !stays[i]);
    }
}

static void rows_that_stay_are_seen_once(void **state)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        print_message(seed % 100 == 0 ? "seed %u\n" : "", seed);
        walk_at_random(*state, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_that_goes_takes_none_with_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(jumps_and_rested_walks_count_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(callers_and_queries_have_walks_of_their_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_walk_that_was_given_up_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_caller_does_not_push_out_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_that_stay_are_seen_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
