/* Limits of the server that need many calls, calls started by the end of others, many calls in random order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/grpc/limits.h"
#include "wire/grpc/pair_test_kit.h"

int grpc_limit_tests(void);

/* A call that is started by the end of another one goes to the next connection. */
static void test_restart(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call, again;
    pair_call_start(&call, &pair, "Hang", 0);
    call.restart = &again;
    grpc_pair_run(&pair);
    grpc_pair_sleep(&pair, 5000000);
    grpc_pair_cut(&pair);
    assert_int_equal(call.code, LPX_UNAVAILABLE);
    grpc_pair_run(&pair);
    assert_int_equal(again.done, 1);
    assert_int_equal(again.code, LPX_OK);
    pair_call_fini(&again);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

/* After a refused connect it fails as well, but it ends. */
static void test_restart_refused(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    pair_call call, again;
    pair.hold_dial = true;
    pair_call_start(&call, &pair, "Unary", 0);
    call.restart = &again;
    grpc_out_close_send(call.out);
    grpc_pair_run(&pair);
    pair.refuse = true;
    pair.hold_dial = false;
    grpc_pair_run(&pair);
    assert_int_equal(call.code, LPX_UNAVAILABLE);
    assert_int_equal(again.done, 1);
    assert_int_equal(again.code, LPX_UNAVAILABLE);
    pair_call_fini(&again);
    pair_call_fini(&call);
    grpc_pair_fini(&pair);
}

static void test_call_limit(void **state)
{
    (void)state;
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, &(grpc_server_opts){.max_calls = 3});
    pair_call calls[5];
    for (size_t i = 0; i < 5; i++) {
        pair_call_start(&calls[i], &pair, "Hang", 0);
        grpc_pair_run(&pair);
        assert_int_equal(calls[i].done, i < 3 ? 0 : 1);
        assert_int_equal(calls[i].code, i < 3 ? LPX_OK : LPX_RESOURCE_EXHAUSTED);
    }
    grpc_out_cancel(calls[0].out);
    grpc_pair_run(&pair);
    assert_int_equal(pair_try(&pair), LPX_OK);
    grpc_pair_cut(&pair);
    for (size_t i = 0; i < 5; i++) {
        pair_call_fini(&calls[i]);
    }
    grpc_pair_fini(&pair);
}

/* Heads are memory too: one connection cannot make the server keep any number of large ones. */
static void test_heads_limit(void **state)
{
    (void)state;
    enum { CALLS = 2400, LEN = 30000 };
    char *value = malloc(LEN);
    pair_call *calls = calloc(CALLS, sizeof *calls);
    assert_true(value != NULL && calls != NULL);
    memset(value, 'v', LEN);
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    assert_int_equal(pair_try(&pair), LPX_OK);
    grpc_meta meta[] = {{"x", lpx_bytes_of(value, LEN)}};
    unsigned open = 0, refused = 0;
    for (size_t i = 0; i < CALLS; i++) {
        pair_call_start_meta(&calls[i], &pair, "Hang", meta, 1);
        grpc_pair_run(&pair);
        open += calls[i].done == 0;
        refused += calls[i].code == LPX_RESOURCE_EXHAUSTED;
    }
    assert_true(open > 2000 && refused > 0);
    assert_int_equal(open + refused, CALLS);
    grpc_out_cancel(calls[0].out);
    grpc_pair_run(&pair);
    assert_int_equal(pair_try(&pair), LPX_OK);
    grpc_pair_cut(&pair);
    for (size_t i = 0; i < CALLS; i++) {
        pair_call_fini(&calls[i]);
    }
    free(calls);
    free(value);
    grpc_pair_fini(&pair);
}

/* Answers pile up for readers that are too slow: the call that goes beyond the limit ends, others go on. */
static void test_unsent_limit(void **state)
{
    (void)state;
    enum { LEN = 1000000 };
    uint8_t *bytes = calloc(1, LEN);
    assert_non_null(bytes);
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, &(grpc_server_opts){.max_unsent_bytes = 5 * LEN});
    pair.service.stop_after_call = true;
    pair_call call, other;
    pair_call_start(&other, &pair, "Any", 0);
    grpc_pair_run(&pair);
    grpc_call *other_call = pair.service.last_call;
    for (unsigned k = 1; k <= 10; k++) {
        pair_call_start(&call, &pair, "Any", 0);
        grpc_pair_run(&pair);
        for (int i = 0; i < 10; i++) {
            (void)grpc_call_send(pair.service.last_call, lpx_bytes_of(bytes, LEN));
        }
        grpc_pair_run(&pair);
        assert_int_equal(call.code, LPX_RESOURCE_EXHAUSTED);
        assert_int_equal(pair.service.cancels[LPX_RESOURCE_EXHAUSTED], k);
        pair_call_fini(&call);
    }
    (void)grpc_call_send(other_call, lpx_bytes_of(bytes, LEN));
    grpc_call_finish(other_call, LPX_OK, LPX_STR(""), (lpx_bytes){0});
    grpc_pair_run(&pair);
    assert_int_equal(other.code, LPX_OK);
    assert_int_equal(other.data.len, LEN);
    pair_call_fini(&other);
    free(bytes);
    grpc_pair_fini(&pair);
}

/* More metadata than HTTP/2 lets us send at all: the call ends. */
static void test_huge_metadata(void **state)
{
    (void)state;
    static char value[100000];
    memset(value, 'v', sizeof value);
    grpc_pair pair;
    grpc_pair_init(&pair, NULL, NULL);
    for (size_t len = 20000; len <= sizeof value; len += 20000) {
        grpc_meta meta[] = {{"x", lpx_bytes_of(value, len)}};
        pair_call call;
        pair_call_start_meta(&call, &pair, "Meta", meta, 1);
        grpc_out_close_send(call.out);
        grpc_pair_run(&pair);
        assert_int_equal(call.done, 1);
        assert_int_equal(call.code, len == 20000 ? LPX_OK : LPX_RESOURCE_EXHAUSTED);
        pair_call_fini(&call);
    }
    assert_int_equal(pair.wire_count, 1);
    grpc_pair_fini(&pair);
}

static uint32_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 17;
    rng_state ^= rng_state << 5;
    return rng_state % below;
}

enum { RANDOM_CALLS = 30, POOL_BYTES = 200000 };

typedef struct talk {
    pair_call call;
    uint64_t lengths;
    lpx_buf sent;
    size_t from; /* place in the pool */
    unsigned left;
    bool closed;
} talk;

static void talk_step(talk *t, const uint8_t *pool)
{
    if (t->call.out == NULL || t->closed) {
        return;
    }
    if (t->left == 0) {
        grpc_out_close_send(t->call.out);
        t->closed = true;
        return;
    }
    static const uint32_t most[] = {1, 40, 1500, 20000, 100000};
    size_t len = rng(most[rng(5)]);
    (void)grpc_out_send(t->call.out, lpx_bytes_of(pool + t->from, len));
    t->lengths = pair_lengths_add(t->lengths, len);
    lpx_buf_add(&t->sent, lpx_bytes_of(pool + t->from, len));
    t->from = (t->from + len) % (POOL_BYTES / 2);
    t->left--;
}

static void random_run(unsigned seed, const uint8_t *pool)
{
    rng_state = seed;
    grpc_pair pair;
    grpc_pair_init(&pair, &(grpc_client_opts){.gzip = seed % 2 == 1}, NULL);
    static talk talks[RANDOM_CALLS];
    size_t started = 0, closed = 0;
    while (closed < RANDOM_CALLS) {
        if (started < RANDOM_CALLS && rng(5) == 0) {
            talk *t = &talks[started];
            *t = (talk){.left = rng(60), .from = started};
            lpx_buf_init(&t->sent, (size_t)10 * 1024 * 1024);
            pair_call_start(&t->call, &pair, "Bidi", 0);
            started++;
        }
        if (started > 0) {
            talk *t = &talks[rng((uint32_t)started)];
            bool was_closed = t->closed;
            talk_step(t, pool);
            closed += !was_closed && t->closed;
        }
        pair.piece_bytes = rng(3) == 0 ? 1 + rng(40) : 1 + rng(70000);
        if (rng(3) != 0) {
            (void)grpc_pair_step(&pair);
        }
    }
    grpc_pair_run(&pair);
    for (size_t i = 0; i < RANDOM_CALLS; i++) {
        assert_int_equal(talks[i].call.done, 1);
        assert_int_equal(talks[i].call.code, LPX_OK);
        assert_true(lpx_bytes_equal(lpx_buf_view(&talks[i].call.data), lpx_buf_view(&talks[i].sent)));
        assert_true(talks[i].call.lengths == talks[i].lengths);
        pair_call_fini(&talks[i].call);
        lpx_buf_fini(&talks[i].sent);
    }
    grpc_pair_fini(&pair);
}

static void test_random_calls(void **state)
{
    (void)state;
    uint8_t *pool = malloc(POOL_BYTES);
    assert_non_null(pool);
    for (size_t i = 0; i < POOL_BYTES; i++) {
        pool[i] = (uint8_t)(i % 97 * (i / 5000 + 1));
    }
    for (unsigned seed = 1; seed <= 10; seed++) {
        print_message("seed %u\n", seed);
        random_run(seed, pool);
    }
    free(pool);
}

int grpc_limit_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),      cmocka_unit_test(test_restart_refused),
        cmocka_unit_test(test_call_limit),   cmocka_unit_test(test_heads_limit),
        cmocka_unit_test(test_unsent_limit), cmocka_unit_test(test_huge_metadata),
        cmocka_unit_test(test_random_calls),
    };
    return cmocka_run_group_tests_name("grpc_limit", tests, NULL, NULL);
}
