/* RFC 3339 times, with the calendar of libc as second implementation. */
#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/test_random.h"

enum { SECOND_US = 1000000 };
#define YEAR_1_S (-62135596800)
#define YEAR_10000_S 253402300800

static void test_known(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"1985-04-12T23:20:50.52Z", 482196050520000}, /* RFC 3339 section 5.8 */
        {"2000-02-29T12:34:56.1Z", 951827696100000},
        {"2026-01-02T03:04:05.6Z", 1767323045600000},
        {"0001-01-01T00:00:00Z", YEAR_1_S * SECOND_US},
        {"9999-12-31T23:59:59.999999Z", YEAR_10000_S * SECOND_US - 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[LPX_UTC_TEXT_BYTES];
        assert_int_equal(lpx_utc_format((lpx_utc){rows[i].us}, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
        lpx_utc t = {5};
        assert_true(lpx_utc_parse(lpx_str_of(rows[i].text), &t));
        assert_int_equal(t.us, rows[i].us);
    }
}

static void test_years_outside(void **state)
{
    (void)state;
    char text[LPX_UTC_TEXT_BYTES];
    assert_int_equal(lpx_utc_format((lpx_utc){YEAR_1_S * SECOND_US - 1}, text), 0);
    assert_int_equal(lpx_utc_format((lpx_utc){YEAR_10000_S * SECOND_US}, text), 0);
    assert_int_equal(lpx_utc_format((lpx_utc){INT64_MIN}, text), 0);
    assert_int_equal(lpx_utc_format((lpx_utc){INT64_MAX}, text), 0);
}

static void test_other_forms(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *same;
    } rows[] = {
        {"1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57Z"}, /* RFC 3339 section 5.8 */
        {"1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.87Z"},
        {"2026-01-02t03:04:05z", "2026-01-02T03:04:05Z"},
        {"2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456Z"},
        {"2026-01-02T03:04:05.000000999Z", "2026-01-02T03:04:05Z"},
        {"2026-01-02T03:04:05.1000Z", "2026-01-02T03:04:05.1Z"},
        {"2026-03-01T00:30:00+01:00", "2026-02-28T23:30:00Z"},
        {"2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00Z"},
        {"2026-01-01T00:00:00+23:59", "2025-12-31T00:01:00Z"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lpx_utc t;
        char text[LPX_UTC_TEXT_BYTES];
        assert_true(lpx_utc_parse(lpx_str_of(rows[i].text), &t));
        assert_int_not_equal(lpx_utc_format(t, text), 0);
        assert_string_equal(text, rows[i].same);
    }
}

static void test_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,1Z",
        "2026-01-02T03:04:05Z ",
        " 2026-01-02T03:04:05Z",
        "2026-1-02T03:04:05Z",
        "26-01-02T03:04:05Z",
        "+026-01-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-01-32T03:04:05Z",
        "2026-04-31T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "1900-02-29T03:04:05Z",
        "2000-02-30T03:04:05Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+01:60",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05+01",
        "2026-01-02T03:04:05Z+01:00",
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:00-00:01",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lpx_utc t = {42};
        if (lpx_utc_parse(lpx_str_of(bad[i]), &t) || t.us != 42) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

/* No beginning of a time is one; in memory of exactly that length, so that a read behind the end is seen. */
static void test_cut_short(void **state)
{
    (void)state;
    const char whole[] = "2026-01-02T03:04:05.25+01:30";
    for (size_t len = 0; len < sizeof(whole); len++) {
        char *text = malloc(len > 0 ? len : 1);
        assert_non_null(text);
        memcpy(text, whole, len);
        lpx_utc t;
        assert_int_equal(lpx_utc_parse((lpx_str){text, len}, &t), len == sizeof(whole) - 1);
        free(text);
    }
}

/* Format against gmtime_r, and read back. */
static void check_time(int64_t us)
{
    int64_t second = us / SECOND_US - (us % SECOND_US < 0 ? 1 : 0);
    int64_t micro = us - second * SECOND_US;
    time_t when = (time_t)second;
    struct tm tm;
    assert_non_null(gmtime_r(&when, &tm));
    char want[64];
    int len = snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                       tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (micro != 0) {
        len += snprintf(want + len, sizeof(want) - (size_t)len, ".%06" PRId64, micro);
        while (want[len - 1] == '0') {
            len--;
        }
    }
    (void)snprintf(want + len, sizeof(want) - (size_t)len, "Z");
    char text[LPX_UTC_TEXT_BYTES];
    size_t got = lpx_utc_format((lpx_utc){us}, text);
    assert_string_equal(text, want);
    assert_int_equal(got, strlen(want));
    lpx_utc back = {0};
    assert_true(lpx_utc_parse(lpx_str_of(text), &back));
    assert_int_equal(back.us, us);
}

static void test_every_year(void **state)
{
    (void)state;
    for (int year = 1; year <= 9999; year++) {
        const int days[][2] = {{1, 1}, {2, 28}, {3, 0}, {3, 1}, {12, 31}};
        for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
            struct tm tm = {.tm_year = year - 1900, .tm_mon = days[i][0] - 1, .tm_mday = days[i][1]};
            int64_t start_us = (int64_t)timegm(&tm) * SECOND_US;
            check_time(start_us);
            check_time(start_us + (int64_t)86400 * SECOND_US - 1);
        }
    }
}

static void test_random_times(void **state)
{
    (void)state;
    test_random random = test_random_begin("time");
    for (int i = 0; i < 50000; i++) {
        uint64_t span_s = (uint64_t)(YEAR_10000_S - YEAR_1_S);
        int64_t us = (YEAR_1_S + (int64_t)test_random_below(&random, span_s)) * SECOND_US;
        int64_t unit = 1;
        for (uint64_t zeros = test_random_below(&random, 7); zeros > 0; zeros--) {
            unit *= 10;
        }
        check_time(us + (int64_t)test_random_below(&random, SECOND_US) / unit * unit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),        cmocka_unit_test(test_years_outside), cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_cut_short),     cmocka_unit_test(test_every_year),
        cmocka_unit_test(test_random_times),
    };
    return cmocka_run_group_tests_name("base time", tests, NULL, NULL);
}
