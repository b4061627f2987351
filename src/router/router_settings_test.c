/* Settings of home networks: who is wanted, how many copies of a payload, and what a flood does to the meter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "crypto/hash.h"
#include "router/limits.h"
#include "router/router_tables.h"

static traffic_endpoint endpoint(uint32_t net_id, const char *tenant, const char *cluster)
{
    return (traffic_endpoint){net_id, lpx_str_of(tenant), lpx_str_of(cluster)};
}

static traffic_member member(uint32_t net_id, const char *tenant)
{
    return (traffic_member){net_id, lpx_str_of(tenant)};
}

static void parties_without_tenant_or_cluster_stand_for_all(void **state)
{
    (void)state;
    const traffic_endpoint deny[] = {{.net_id = 1}, endpoint(2, "bad", ""), endpoint(3, "", "eu1")};
    const router_settings s = {.deny = deny, .deny_count = 3};
    assert_false(router_settings_want(&s, endpoint(1, "any", "any")));
    assert_false(router_settings_want(&s, endpoint(2, "bad", "any")));
    assert_true(router_settings_want(&s, endpoint(2, "", "any")));
    assert_false(router_settings_want(&s, endpoint(3, "any", "eu1")));
    assert_true(router_settings_want(&s, endpoint(3, "any", "nam1")));
    assert_true(router_settings_want(&s, endpoint(4, "", "")));
}

static void a_list_of_the_allowed_keeps_out_the_rest(void **state)
{
    (void)state;
    const traffic_endpoint allow[] = {{.net_id = 1}, endpoint(2, "good", "")}, deny[] = {endpoint(1, "bad", "")};
    const router_settings s = {.allow = allow, .allow_count = 2, .deny = deny, .deny_count = 1};
    assert_true(router_settings_want(&s, endpoint(1, "any", "")));
    assert_true(router_settings_want(&s, endpoint(2, "good", "eu1")));
    assert_false(router_settings_want(&s, endpoint(1, "bad", "")));
    assert_false(router_settings_want(&s, endpoint(2, "", "")));
    assert_false(router_settings_want(&s, endpoint(3, "", "")));
}

static void tenants_have_their_networks_settings(void **state)
{
    (void)state;
    const router_settings_row rows_of[] = {{member(1, ""), 1, 10}, {member(1, "own"), 0, 0}, {member(2, "t"), 2, 10}};
    const router_party_row parties[] = {{member(1, ""), false, endpoint(8, "", "")},
                                        {member(1, "own"), true, endpoint(9, "", "")},
                                        {member(7, ""), false, endpoint(9, "", "")}, /* has no settings */
                                        {member(1, ""), false, endpoint(9, "x", "y")}};
    router_rows rows = {.settings = rows_of, .settings_count = 3, .parties = parties, .party_count = 4, .seed = 1};
    router_tables *tables = router_tables_new(&rows);
    assert_non_null(tables);
    const router_settings *network = router_tables_settings(tables, member(1, ""));
    assert_ptr_equal(router_tables_settings(tables, member(1, "other")), network);
    assert_int_equal(network->deny_count, 2);
    assert_int_equal(network->allow_count, 0);
    assert_true(network->deny[1].net_id == 9 && lpx_str_is(network->deny[1].cluster_id, "y"));
    const router_settings *own = router_tables_settings(tables, member(1, "own"));
    assert_ptr_not_equal(own, network);
    assert_true(own->allow_count == 1 && own->deny_count == 0 && own->meter == NULL);
    assert_null(router_tables_settings(tables, member(2, "")));
    assert_null(router_tables_settings(tables, member(3, "")));
    router_tables_unref(&tables);
}

static bool take(router_meter *meter, uint64_t payload, int64_t now_us)
{
    return router_meter_take(meter, payload * UINT64_C(0x9e3779b97f4a7c15), 2, 100, (lpx_mono){now_us});
}

static void a_window_begins_with_the_first_copy(void **state)
{
    (void)state;
    router_meter *meter = router_meter_new();
    assert_non_null(meter);
    assert_true(take(meter, 1, 1000) && take(meter, 1, 1099));
    assert_false(take(meter, 1, 1099));
    assert_true(take(meter, 2, 1099));
    assert_true(take(meter, 1, 1100) && take(meter, 1, 1100));
    assert_true(take(meter, 2, 1198));
    assert_false(take(meter, 2, 1198));
    assert_false(take(meter, 1, 1199));
    router_meter_unref(&meter);
}

/* More payloads than are remembered: the oldest may have its copies anew, the younger ones not. */
static void a_flood_forgets_the_oldest(void **state)
{
    (void)state;
    router_meter *meter = router_meter_new(), *calm = router_meter_new();
    assert_true(take(calm, 7, 0) && take(calm, 7, 0));
    for (uint64_t i = 0; i < ROUTER_METER_PAYLOADS + 1; i++) {
        assert_true(take(meter, i, 0) && take(meter, i, 0));
    }
    assert_false(take(meter, 1, 0));
    assert_false(take(meter, ROUTER_METER_PAYLOADS, 0));
    assert_true(take(meter, 0, 0));
    assert_true(take(meter, 1, 0)); /* which it pushed out */
    assert_false(take(calm, 7, 0)); /* another home network's flood is not its own */
    for (uint64_t i = 0; i < ROUTER_METER_PAYLOADS; i += 1000) {
        assert_true(take(meter, i, 100)); /* all windows are over */
    }
    router_meter_unref(&meter);
    router_meter_unref(&calm);
}

/* The hash of the teaser and the payload's own are one payload when they are equal. */
static void payloads_are_told_by_their_hash(void **state)
{
    (void)state;
    const router_settings_row row = {member(1, ""), 1, 10};
    router_rows rows = {.settings = &row, .settings_count = 1, .seed = 1};
    router_tables *tables = router_tables_new(&rows);
    assert_non_null(tables);
    const router_settings *s = router_tables_settings(tables, member(1, ""));
    const uint8_t plain[] = {0x40, 1, 2, 3, 4, 0, 1, 0, 9, 9, 9, 9},
                  other_mic[] = {0x40, 1, 2, 3, 4, 0, 1, 0, 8, 8, 8, 8};
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(lpx_bytes_of(plain, sizeof plain - 4), digest);
    const router_uplink first = {.plain = {plain, sizeof plain}}, second = {.plain = {other_mic, sizeof other_mic}},
                        hashed = {.payload_hash = {digest, sizeof digest}},
                        short_hash = {.plain = {plain, sizeof plain}, .payload_hash = {digest, 31}},
                        nothing = {.payload_hash = {digest, 0}};
    assert_true(router_settings_take_copy(s, &first, member(1, "")));
    assert_false(router_settings_take_copy(s, &second, member(1, "")));
    assert_false(router_settings_take_copy(s, &hashed, member(1, "")));
    assert_false(router_settings_take_copy(s, &short_hash, member(1, "")));
    assert_true(router_settings_take_copy(s, &first, member(1, "tenant"))); /* another home network */
    assert_true(router_settings_take_copy(s, &nothing, member(1, "")));
    assert_true(router_settings_take_copy(s, &nothing, member(1, "")));
    router_tables_unref(&tables);
}

static void counts_outlive_their_snapshot(void **state)
{
    (void)state;
    const router_settings_row row = {member(1, ""), 1, 10};
    router_rows rows = {.settings = &row, .settings_count = 1, .seed = 1};
    const uint8_t plain[] = {0x40, 1, 2, 3, 4, 0, 1, 0, 9, 9, 9, 9};
    const router_uplink uplink = {.plain = {plain, sizeof plain}};
    router_tables *before = router_tables_new(&rows);
    assert_non_null(before);
    assert_true(router_settings_take_copy(router_tables_settings(before, member(1, "")), &uplink, member(1, "")));
    rows.previous = before;
    router_tables *after = router_tables_new(&rows);
    assert_non_null(after);
    router_tables_unref(&before);
    assert_false(router_settings_take_copy(router_tables_settings(after, member(1, "")), &uplink, member(1, "")));
    router_tables_unref(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parties_without_tenant_or_cluster_stand_for_all),
        cmocka_unit_test(a_list_of_the_allowed_keeps_out_the_rest),
        cmocka_unit_test(tenants_have_their_networks_settings),
        cmocka_unit_test(a_window_begins_with_the_first_copy),
        cmocka_unit_test(a_flood_forgets_the_oldest),
        cmocka_unit_test(payloads_are_told_by_their_hash),
        cmocka_unit_test(counts_outlive_their_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
