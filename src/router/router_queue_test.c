/* Queues with their limits, message ids, and which reports count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "router/router_id.h"
#include "router/router_queue.h"

/* ---- queues ---- */

/* What a queue dropped. */
typedef struct drops {
    unsigned messages[TRAFFIC_DROP_REASONS];
    size_t bytes;
} drops;

static void count_drop(void *ctx, const router_copy *copy, traffic_drop reason)
{
    drops *d = ctx;
    d->messages[reason]++;
    d->bytes += router_copy_message(copy).len;
}

static void open_queue(router_queue *queue, router_queue_limits limits, drops *d)
{
    *d = (drops){.bytes = 0};
    router_queue_init(queue, limits, (router_queue_sink){.dropped = count_drop, .ctx = d});
}

static void give(router_queue *queue, const char *text, int64_t now_us)
{
    const router_copy_about about = {.id = LPX_STR("id")};
    router_copy *copy = router_copy_new(&about, lpx_str_bytes(lpx_str_of(text)));
    assert_non_null(copy);
    router_queue_give(queue, copy, (lpx_mono){now_us});
}

static void assert_next(router_queue *queue, const char *text, int64_t now_us)
{
    router_copy *copy = router_queue_take(queue, (lpx_mono){now_us});
    assert_non_null(copy);
    assert_true(lpx_str_is(lpx_bytes_str(router_copy_message(copy)), text));
    router_copy_unref(&copy);
}

static void a_copy_knows_what_it_is_about(void **state)
{
    (void)state;
    char id[] = "01J9Z3V5M8", tenant[] = "acme";
    router_copy_about about = {.id = lpx_str_of(id),
                               .direction = TRAFFIC_DOWN,
                               .kind = TRAFFIC_JOIN,
                               .forwarder = {0x13, lpx_str_of(tenant), LPX_STR("eu1")},
                               .home = {0x42, {NULL, 0}, LPX_STR("nam1")}};
    router_copy *copy = router_copy_new(&about, lpx_str_bytes(LPX_STR("bytes")));
    assert_non_null(copy);
    memset(id, 'x', sizeof id - 1);
    memset(tenant, 'x', sizeof tenant - 1);
    router_copy *other = router_copy_ref(copy);
    router_copy_unref(&copy);
    assert_null(copy);
    const router_copy_about *got = router_copy_get_about(other);
    assert_true(lpx_str_is(got->id, "01J9Z3V5M8") && got->direction == TRAFFIC_DOWN && got->kind == TRAFFIC_JOIN);
    assert_true(got->forwarder.net_id == 0x13 && lpx_str_is(got->forwarder.tenant_id, "acme"));
    assert_true(lpx_str_is(got->forwarder.cluster_id, "eu1") && lpx_str_is(got->home.cluster_id, "nam1"));
    assert_true(got->home.net_id == 0x42 && got->home.tenant_id.len == 0);
    assert_true(lpx_str_is(lpx_bytes_str(router_copy_message(other)), "bytes"));
    router_copy_unref(&other);
}

static void a_queue_keeps_order(void **state)
{
    (void)state;
    router_queue queue;
    drops d;
    open_queue(&queue, (router_queue_limits){100, 10000, 1000}, &d);
    char text[8];
    for (int i = 0; i < 60; i++) { /* the ring grows and wraps */
        (void)snprintf(text, sizeof text, "%d", i);
        give(&queue, text, 0);
        if (i % 3 == 2) {
            (void)snprintf(text, sizeof text, "%d", i / 3);
            assert_next(&queue, text, 0);
        }
    }
    for (int i = 20; i < 60; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        assert_next(&queue, text, 0);
    }
    assert_null(router_queue_take(&queue, (lpx_mono){0}));
    assert_int_equal(d.bytes, 0);
    router_queue_fini(&queue, TRAFFIC_DROP_GONE);
}

static void at_the_limit_of_messages_the_oldest_goes(void **state)
{
    (void)state;
    router_queue queue;
    drops d;
    open_queue(&queue, (router_queue_limits){3, 10000, 1000}, &d);
    give(&queue, "one", 0);
    give(&queue, "two", 0);
    give(&queue, "three", 0);
    give(&queue, "four", 0);
    give(&queue, "five", 0);
    assert_int_equal(d.messages[TRAFFIC_DROP_QUEUE_FULL], 2);
    assert_int_equal(d.bytes, 6);
    assert_next(&queue, "three", 0);
    assert_next(&queue, "four", 0);
    assert_next(&queue, "five", 0);
    router_queue_fini(&queue, TRAFFIC_DROP_GONE);
}

static void at_the_limit_of_bytes_the_oldest_go(void **state)
{
    (void)state;
    router_queue queue;
    drops d;
    open_queue(&queue, (router_queue_limits){100, 10, 1000}, &d);
    give(&queue, "aaaa", 0);
    give(&queue, "bbbb", 0);
    give(&queue, "cc", 0);
    assert_int_equal(d.messages[TRAFFIC_DROP_QUEUE_FULL], 0);
    give(&queue, "ddddd", 0);
    assert_int_equal(d.messages[TRAFFIC_DROP_QUEUE_FULL], 2);
    assert_next(&queue, "cc", 0);
    give(&queue, "longer than all", 0); /* one always fits */
    assert_int_equal(d.messages[TRAFFIC_DROP_QUEUE_FULL], 3);
    assert_next(&queue, "longer than all", 0);
    assert_int_equal(queue.bytes, 0);
    router_queue_fini(&queue, TRAFFIC_DROP_GONE);
}

static void what_waited_too_long_goes(void **state)
{
    (void)state;
    router_queue queue;
    drops d;
    open_queue(&queue, (router_queue_limits){100, 10000, 1000}, &d);
    give(&queue, "old", 0);
    give(&queue, "older than it looks", 400);
    give(&queue, "young", 1000);
    assert_int_equal(d.messages[TRAFFIC_DROP_QUEUE_AGE], 0); /* 1,000 is the age that is still allowed */
    assert_next(&queue, "young", 1401);
    assert_int_equal(d.messages[TRAFFIC_DROP_QUEUE_AGE], 2);
    give(&queue, "left behind", 2000);
    router_queue_fini(&queue, TRAFFIC_DROP_GONE);
    assert_int_equal(d.messages[TRAFFIC_DROP_GONE], 1);
}

/* ---- ids ---- */

static const router_id_key key = {.bytes = {1, 2, 3}};

static router_id_parts some_parts(void)
{
    return (router_id_parts){.now = {1700000000123456},
                             .random = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
                             .direction = TRAFFIC_DOWN,
                             .kind = TRAFFIC_JOIN,
                             .forwarder = {0x13, LPX_STR("fwd")},
                             .home = {0x42, LPX_STR("home")}};
}

static void an_id_says_what_it_was_made_of(void **state)
{
    (void)state;
    router_id_parts parts = some_parts();
    char text[ROUTER_ID_TEXT_BYTES];
    router_id_make(&key, &parts, text);
    assert_int_equal(strlen(text), ROUTER_ID_CHARS);
    for (size_t i = 0; i < ROUTER_ID_CHARS; i++) {
        assert_true(text[i] > ' ' && text[i] <= '~');
    }
    /* 1700000000123 ms as ten digits of Crockford's base32; computed apart */
    assert_memory_equal(text, "01HF7YAT3V", 10);
    router_id id;
    assert_true(router_id_check(&key, lpx_str_of(text), &parts, &id));
    assert_int_equal(id.issued_ms, 1700000000123);
    assert_int_equal(id.direction, TRAFFIC_DOWN);
    assert_int_equal(id.kind, TRAFFIC_JOIN);
}

static void every_change_of_an_id_is_seen(void **state)
{
    (void)state;
    router_id_parts parts = some_parts();
    char text[ROUTER_ID_TEXT_BYTES];
    router_id_make(&key, &parts, text);
    router_id id;
    for (size_t i = 0; i < ROUTER_ID_CHARS; i++) {
        for (const char *c = "0ZJDU-"; *c != '\0'; c++) {
            char kept = text[i];
            text[i] = *c;
            assert_int_equal(router_id_check(&key, lpx_str_of(text), &parts, &id), *c == kept);
            text[i] = kept;
        }
    }
    assert_false(router_id_check(&key, (lpx_str){text, ROUTER_ID_CHARS - 1}, &parts, &id));
    assert_false(router_id_check(&key, LPX_STR(""), &parts, &id));
}

static void an_id_counts_only_between_its_members(void **state)
{
    (void)state;
    router_id_parts parts = some_parts(), claim = parts;
    const router_id_key other_key = {.bytes = {1, 2, 4}};
    char text[ROUTER_ID_TEXT_BYTES];
    router_id_make(&key, &parts, text);
    router_id id;
    assert_false(router_id_check(&other_key, lpx_str_of(text), &claim, &id));
    claim.forwarder.tenant_id = LPX_STR("other");
    assert_false(router_id_check(&key, lpx_str_of(text), &claim, &id));
    claim = parts;
    claim.home.net_id = 0x43;
    assert_false(router_id_check(&key, lpx_str_of(text), &claim, &id));
    claim = parts;
    claim.direction = TRAFFIC_UP;
    assert_false(router_id_check(&key, lpx_str_of(text), &claim, &id));
    /* the border between net id and tenant id is part of the tag */
    claim = parts;
    claim.forwarder.tenant_id = (lpx_str){NULL, 0};
    assert_false(router_id_check(&key, lpx_str_of(text), &claim, &id));
    /* an uplink goes to several home networks: any may report it */
    parts.direction = claim.direction = TRAFFIC_UP;
    claim.forwarder = parts.forwarder;
    claim.home.net_id = 0x43;
    router_id_make(&key, &parts, text);
    assert_true(router_id_check(&key, lpx_str_of(text), &claim, &id));
    claim.forwarder.net_id = 0x14;
    assert_false(router_id_check(&key, lpx_str_of(text), &claim, &id));
}

/* ---- reports ---- */

static lpx_utc at_ms(int64_t ms)
{
    return (lpx_utc){ms * 1000};
}

static void a_report_counts_once(void **state)
{
    (void)state;
    router_seen seen;
    router_seen_init(&seen, at_ms(1000));
    assert_int_equal(router_seen_add(&seen, 7, 2000, at_ms(3000)), ROUTER_SEEN_NEW);
    assert_int_equal(router_seen_add(&seen, 7, 2000, at_ms(4000)), ROUTER_SEEN_AGAIN);
    assert_int_equal(router_seen_add(&seen, 8, 2000, at_ms(4000)), ROUTER_SEEN_NEW);
    assert_int_equal(router_seen_add(&seen, 0, 2000, at_ms(4000)), ROUTER_SEEN_NEW);
    assert_int_equal(router_seen_add(&seen, 0, 2000, at_ms(4000)), ROUTER_SEEN_AGAIN);
    assert_int_equal(router_seen_add(&seen, 9, 999, at_ms(4000)), ROUTER_SEEN_TOO_OLD); /* from before the start */
    router_seen_fini(&seen);
}

static void generations_end_by_age(void **state)
{
    (void)state;
    router_seen seen;
    int64_t step = ROUTER_SEEN_AGE_MS + 1;
    router_seen_init(&seen, at_ms(0));
    assert_int_equal(router_seen_add(&seen, 7, 1, at_ms(2)), ROUTER_SEEN_NEW);
    assert_int_equal(router_seen_add(&seen, 7, 1, at_ms(step)), ROUTER_SEEN_AGAIN);       /* now the older one */
    assert_int_equal(router_seen_add(&seen, 7, 1, at_ms(2 * step)), ROUTER_SEEN_TOO_OLD); /* forgotten, and told so */
    assert_int_equal(router_seen_add(&seen, 8, step - 1, at_ms(2 * step)), ROUTER_SEEN_TOO_OLD);
    assert_int_equal(router_seen_add(&seen, 8, step, at_ms(2 * step)), ROUTER_SEEN_NEW);
    router_seen_fini(&seen);
}

/* Three times as many reports as are remembered: each is counted at most once, and memory is bounded. */
static void generations_end_by_number(void **state)
{
    (void)state;
    router_seen seen;
    router_seen_init(&seen, at_ms(0));
    const uint64_t count = 3 * (uint64_t)ROUTER_SEEN_ENTRIES / 2;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t hash = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        assert_int_equal(router_seen_add(&seen, hash, (int64_t)i, at_ms((int64_t)i)), ROUTER_SEEN_NEW);
    }
    assert_true(seen.recent.room <= ROUTER_SEEN_ENTRIES && seen.older.room <= ROUTER_SEEN_ENTRIES);
    unsigned again = 0;
    for (uint64_t i = 0; i < count; i += 101) {
        uint64_t hash = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        router_seen_answer answer = router_seen_add(&seen, hash, (int64_t)i, at_ms((int64_t)count));
        assert_int_not_equal(answer, ROUTER_SEEN_NEW);
        again += answer == ROUTER_SEEN_AGAIN;
    }
    assert_true(again > 0);
    router_seen_fini(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_knows_what_it_is_about),
        cmocka_unit_test(a_queue_keeps_order),
        cmocka_unit_test(at_the_limit_of_messages_the_oldest_goes),
        cmocka_unit_test(at_the_limit_of_bytes_the_oldest_go),
        cmocka_unit_test(what_waited_too_long_goes),
        cmocka_unit_test(an_id_says_what_it_was_made_of),
        cmocka_unit_test(every_change_of_an_id_is_seen),
        cmocka_unit_test(an_id_counts_only_between_its_members),
        cmocka_unit_test(a_report_counts_once),
        cmocka_unit_test(generations_end_by_age),
        cmocka_unit_test(generations_end_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
