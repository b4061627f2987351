/* Rate limits: buckets against a naive version that remembers everybody for ever, full tables, and limits together.
 * LPX_TEST_SEED in the environment chooses another run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/test_random.h"
#include "lpx_reasons.h"
#include "router/limits.h"
#include "router/router_bucket.h"
#include "router/router_rate.h"

enum { PARTIES = 300, STEPS = 200000 };

/* A bucket as one would draw it: so much in it, and it fills with time. */
typedef struct naive_bucket {
    double messages;
    int64_t seen_us;
} naive_bucket;

static bool naive_take(naive_bucket *b, double per_second, double room, int64_t now_us)
{
    b->messages += (double)(now_us - b->seen_us) * per_second / 1e6;
    b->messages = b->messages > room ? room : b->messages;
    b->seen_us = now_us;
    if (b->messages < 1 - 1e-6) {
        return false;
    }
    b->messages -= 1;
    return true;
}

static bool take(router_buckets *buckets, uint64_t party, int64_t now_us)
{
    if (router_buckets_wait_ns(buckets, party, (lpx_mono){now_us}) > 0) {
        return false;
    }
    router_buckets_take(buckets, party, (lpx_mono){now_us});
    return true;
}

/* Rates that divide a second, so that the naive version's numbers are exact enough. */
static void check_against_naive(test_random *random, uint32_t per_second, int64_t burst_us)
{
    naive_bucket naive[PARTIES];
    double room = (double)per_second * (double)burst_us / 1e6;
    room = room < 1 ? 1 : room;
    router_buckets *buckets = router_buckets_new(per_second, burst_us);
    assert_non_null(buckets);
    for (unsigned i = 0; i < PARTIES; i++) {
        naive[i] = (naive_bucket){room, 0};
    }
    uint64_t salt = test_random_next(random);
    unsigned taken = 0, refused = 0;
    int64_t now_us = 1000000;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned party = (unsigned)(test_random_below(random, 4) == 0 ? 0 : test_random_below(random, PARTIES));
        uint64_t hash = (party + salt) * UINT64_C(0x9E3779B97F4A7C15);
        bool want = naive_take(&naive[party], per_second, room, now_us);
        assert_int_equal(take(buckets, hash, now_us), want);
        taken += want;
        refused += !want;
        now_us += (int64_t)test_random_below(random, 40000000 / per_second / PARTIES);
    }
    assert_true(taken > STEPS / 100 && refused > STEPS / 100);
    router_buckets_free(&buckets);
}

static void buckets_do_what_a_naive_version_does(void **state)
{
    (void)state;
    test_random random = test_random_begin("router_rate");
    check_against_naive(&random, 1, 5000000);
    check_against_naive(&random, 10, 1000000);
    check_against_naive(&random, 100, 0);
    check_against_naive(&random, 1000, 20000);
}

static void what_it_says_to_wait_is_enough(void **state)
{
    (void)state;
    router_buckets *buckets = router_buckets_new(3, 2000000);
    assert_non_null(buckets);
    unsigned taken = 0;
    while (take(buckets, 7, 1000)) {
        taken++;
    }
    assert_int_equal(taken, 6);
    int64_t wait_ns = router_buckets_wait_ns(buckets, 7, (lpx_mono){1000});
    assert_true(wait_ns > 0 && wait_ns <= 333333334);
    assert_false(take(buckets, 7, 1000 + wait_ns / 1000 - 1));
    assert_true(take(buckets, 7, 1000 + wait_ns / 1000 + 1));
    assert_true(take(buckets, 8, 1000 + wait_ns / 1000 + 1));
    router_buckets_free(&buckets);
}

/* More parties than there are buckets: one that never stops does not profit from it. */
static void a_full_table_keeps_the_greediest(void **state)
{
    (void)state;
    test_random random = test_random_begin("router_rate_full");
    router_buckets *buckets = router_buckets_new(1000, 100000);
    assert_non_null(buckets);
    unsigned taken = 0;
    for (unsigned i = 0; i < 8 * ROUTER_RATE_BUCKETS; i++) {
        int64_t now_us = 1000000 + i; /* a second in a million steps */
        taken += take(buckets, 42, now_us);
        (void)take(buckets, test_random_next(&random), now_us);
    }
    assert_in_range(taken, 100, 100 + 8 * ROUTER_RATE_BUCKETS / 1000 + 1);
    router_buckets_free(&buckets);
}

static lpx_err publish(router_limiter *limiter, const char *tenant, const char *key, const char *gateway,
                       lpx_note *note)
{
    router_rate_who who = {
        .member = {0x13, lpx_str_of(tenant)}, .key = lpx_str_of(key), .gateway = lpx_str_bytes(lpx_str_of(gateway))};
    note->text[0] = '\0';
    return router_limiter_take(limiter, &who, (lpx_mono){5000000}, note);
}

static void a_refused_message_counts_against_nobody(void **state)
{
    (void)state;
    router_rate_opts opts = {.per_second = {4, 0, 3, 2}, .burst_us = 1000000};
    assert_true(router_rate_any(&opts));
    assert_false(router_rate_any(&(router_rate_opts){.burst_us = 1}));
    router_limiter *limiter = router_limiter_new(&opts, 99);
    assert_non_null(limiter);
    lpx_note note = {""};
    assert_false(lpx_failed(publish(limiter, "a", "k1", "g1", &note)));
    assert_false(lpx_failed(publish(limiter, "a", "k1", "g1", &note)));
    for (unsigned i = 0; i < 10; i++) {
        lpx_err err = publish(limiter, "a", "k1", "g1", &note);
        assert_int_equal(err.code, LPX_RESOURCE_EXHAUSTED);
        assert_int_equal(err.reason, ROUTER_TOO_FAST);
        assert_non_null(strstr(note.text, "router.rate-gateway"));
        assert_non_null(strstr(note.text, "at most 2 messages"));
    }
    assert_false(lpx_failed(publish(limiter, "a", "k1", "g2", &note)));
    assert_true(lpx_failed(publish(limiter, "a", "k1", "g3", &note)));
    assert_non_null(strstr(note.text, "router.rate-key"));
    assert_false(lpx_failed(publish(limiter, "b", "", "", &note))); /* another tenant, no key, no gateway */
    assert_true(lpx_failed(publish(limiter, "", "", "", &note)));
    assert_non_null(strstr(note.text, "router.rate-network"));
    assert_int_equal(router_limiter_refused(limiter, ROUTER_RATE_GATEWAY), 10);
    assert_int_equal(router_limiter_refused(limiter, ROUTER_RATE_KEY), 1);
    assert_int_equal(router_limiter_refused(limiter, ROUTER_RATE_NETWORK), 1);
    assert_int_equal(router_limiter_refused(limiter, ROUTER_RATE_TENANT), 0);
    assert_int_equal(router_limiter_refused(NULL, ROUTER_RATE_KEY), 0);
    router_limiter_free(&limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_do_what_a_naive_version_does),
        cmocka_unit_test(what_it_says_to_wait_is_enough),
        cmocka_unit_test(a_full_table_keeps_the_greediest),
        cmocka_unit_test(a_refused_message_counts_against_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
