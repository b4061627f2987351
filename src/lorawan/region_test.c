/* Data rates and names of regions against the vector files: every index of every region and direction, also those that
 * have none. */
#include "lorawan/region.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lorawan/test_vectors.h"

enum { REGIONS = 25, INDEXES = 40 };

static const char *rate_text(const lw_data_rate *rate)
{
    static char out[60];
    switch (rate->kind) {
    case LW_LORA:
        assert_int_equal(rate->bits_per_second, 0);
        (void)snprintf(out, sizeof(out), "SF%uBW%u %.*s", rate->spreading_factor, rate->bandwidth_hz,
                       (int)rate->coding_rate.len, rate->coding_rate.ptr);
        break;
    case LW_FSK:
        assert_int_equal(rate->bandwidth_hz + rate->spreading_factor + rate->coding_rate.len, 0);
        (void)snprintf(out, sizeof(out), "FSK%u", rate->bits_per_second);
        break;
    case LW_LRFHSS:
        assert_int_equal(rate->bits_per_second + rate->spreading_factor + rate->modulation_type, 0);
        (void)snprintf(out, sizeof(out), "LRFHSS%u %.*s", rate->bandwidth_hz, (int)rate->coding_rate.len,
                       rate->coding_rate.ptr);
        break;
    }
    return out;
}

static void test_data_rates(void **state)
{
    (void)state;
    static bool listed[REGIONS][2][INDEXES];
    test_vectors v;
    test_vectors_open(&v, "data_rates.tsv");
    while (test_vectors_next(&v)) {
        lw_region region = LW_REGION_UNKNOWN;
        assert_true(lw_region_find(v.field[0], &region));
        lw_direction direction = lpx_str_is(v.field[1], "up") ? LW_UPLINK : LW_DOWNLINK;
        unsigned index = (unsigned)strtoul(v.field[2].ptr, NULL, 10);
        lw_data_rate rate;
        if (!lw_region_data_rate(region, direction, index, &rate)) {
            fail_msg("data_rates.tsv:%u: none", v.line);
        }
        assert_string_equal(rate_text(&rate), v.field[3].ptr);
        listed[region][direction][index] = true;
    }
    for (uint32_t region = 0; region < REGIONS; region++) {
        for (uint32_t index = 0; index < INDEXES; index++) {
            lw_data_rate rate = {.spreading_factor = 77};
            bool up = lw_region_data_rate(region, LW_UPLINK, index, &rate);
            bool down = lw_region_data_rate(region, LW_DOWNLINK, index, &rate);
            assert_int_equal(up, listed[region][LW_UPLINK][index]);
            assert_int_equal(down, listed[region][LW_DOWNLINK][index]);
            assert_true(up || down || rate.spreading_factor == 77);
        }
        /* A region with a name has data rates, and no other. */
        assert_int_equal(lw_region_short_name(region) != NULL, listed[region][LW_UPLINK][0]);
    }
    lw_data_rate rate;
    assert_false(lw_region_data_rate(UINT32_MAX, LW_UPLINK, 0, &rate));
    assert_false(lw_region_data_rate(LW_EU_863_870, LW_UPLINK, UINT32_MAX, &rate));
}

static void test_names(void **state)
{
    (void)state;
    test_vectors v;
    test_vectors_open(&v, "region_names.tsv");
    while (test_vectors_next(&v)) {
        lw_region region = (lw_region)99;
        bool found = lw_region_find(v.field[0], &region);
        if (found == lpx_str_is(v.field[1], "-")) {
            fail_msg("region_names.tsv:%u: %d", v.line, found);
        }
        assert_int_equal(region, found ? strtol(v.field[1].ptr, NULL, 10) : 99);
    }
    for (uint32_t i = 0; i < REGIONS; i++) {
        lw_region region = LW_REGION_UNKNOWN;
        const char *name = lw_region_name(i);
        const char *short_name = lw_region_short_name(i);
        assert_int_equal(name != NULL, i == 0 || short_name != NULL);
        if (short_name != NULL) {
            assert_true(lw_region_find(lpx_str_of(name), &region));
            assert_int_equal(region, i);
            assert_true(lw_region_find(lpx_str_of(short_name), &region));
            assert_int_equal(region, i);
        }
    }
    assert_string_equal(lw_region_name(0), "UNKNOWN_REGION");
    assert_string_equal(lw_region_short_name(LW_US_902_928), "US915");
    assert_null(lw_region_name(11));
    assert_null(lw_region_name(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_rates),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("lorawan region", tests, NULL, NULL);
}
