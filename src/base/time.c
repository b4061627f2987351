/* RFC 3339 text of wall-clock times. Dates are the proleptic Gregorian calendar; a leap second has no number of its
 * own in lpx_utc and is refused. */
#include "base/time.h"

#include <stdio.h>

#include "base/text.h"

enum { DAY_S = 86400, SECOND_US = 1000000 };

/* Days from 0001-01-01 to 1970-01-01. */
#define EPOCH_DAYS 719162
/* First and one past the last microsecond that has a year from 1 to 9999. */
#define UTC_MIN_US (-62135596800 * SECOND_US)
#define UTC_END_US (253402300800 * SECOND_US)

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days before a month (1 to 12) in its year; month 13 is the length of the year. */
static int64_t days_before_month(int64_t year, unsigned month)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    return before[month - 1] + (month > 2 && is_leap(year) ? 1 : 0);
}

/* Days from 0001-01-01 to the first day of a year that is at least 1. */
static int64_t days_before_year(int64_t year)
{
    int64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400;
}

size_t lpx_utc_format(lpx_utc t, char out[static LPX_UTC_TEXT_BYTES])
{
    if (t.us < UTC_MIN_US || t.us >= UTC_END_US) {
        return 0;
    }
    int64_t since_us = t.us - UTC_MIN_US;
    int64_t day = since_us / SECOND_US / DAY_S;
    /* A guess from the mean length of a year is at most one too large. */
    int64_t year = day * 400 / 146097 + 1;
    while (days_before_year(year) > day) {
        year--;
    }
    while (days_before_year(year + 1) <= day) {
        year++;
    }
    int64_t day_of_year = day - days_before_year(year);
    unsigned month = 1;
    while (days_before_month(year, month + 1) <= day_of_year) {
        month++;
    }
    unsigned date = (unsigned)(day_of_year - days_before_month(year, month)) + 1;
    unsigned second = (unsigned)(since_us / SECOND_US % DAY_S);
    unsigned micro = (unsigned)(since_us % SECOND_US);
    int len = snprintf(out, LPX_UTC_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%06u", (unsigned)year, month, date,
                       second / 3600, second / 60 % 60, second % 60, micro);
    size_t end = (size_t)len;
    while (out[end - 1] == '0' && micro % 10 == 0 && end > 20) {
        end--;
    }
    end -= out[end - 1] == '.' ? 1 : 0;
    out[end] = 'Z';
    out[end + 1] = '\0';
    return end + 1;
}

/* Take exactly digits decimal digits from the front of text, a value from min to max. */
static bool take_number(lpx_str *text, size_t digits, unsigned min, unsigned max, unsigned *out)
{
    uint64_t v = 0;
    if (text->len < digits || !lpx_parse_u64((lpx_str){text->ptr, digits}, max, &v) || v < min) {
        return false;
    }
    *text = lpx_str_skip(*text, digits);
    *out = (unsigned)v;
    return true;
}

/* Take one character, or its lower-case form. */
static bool take_char(lpx_str *text, char c)
{
    bool there = text->len > 0 && (text->ptr[0] == c || (c >= 'A' && text->ptr[0] == c + ('a' - 'A')));
    *text = there ? lpx_str_skip(*text, 1) : *text;
    return there;
}

/* "2026-01-02" to days since 0001-01-01. */
static bool take_date(lpx_str *text, int64_t *days)
{
    unsigned year = 0;
    unsigned month = 0;
    unsigned date = 0;
    bool ok = take_number(text, 4, 1, 9999, &year) && take_char(text, '-') && take_number(text, 2, 1, 12, &month) &&
              take_char(text, '-') && take_number(text, 2, 1, 31, &date);
    if (!ok || date > days_before_month(year, month + 1) - days_before_month(year, month)) {
        return false;
    }
    *days = days_before_year(year) + days_before_month(year, month) + date - 1;
    return true;
}

/* "03:04:05.123456" to microseconds of the day. */
static bool take_clock(lpx_str *text, int64_t *us)
{
    unsigned hour = 0;
    unsigned minute = 0;
    unsigned second = 0;
    bool ok = take_number(text, 2, 0, 23, &hour) && take_char(text, ':') && take_number(text, 2, 0, 59, &minute) &&
              take_char(text, ':') && take_number(text, 2, 0, 59, &second);
    if (!ok) {
        return false;
    }
    *us = ((int64_t)hour * 3600 + (int64_t)minute * 60 + second) * SECOND_US;
    if (!take_char(text, '.')) {
        return true;
    }
    unsigned digit = 0;
    int64_t unit_us = SECOND_US / 10;
    if (!take_number(text, 1, 0, 9, &digit)) {
        return false;
    }
    do {
        *us += digit * unit_us;
        unit_us /= 10;
    } while (take_number(text, 1, 0, 9, &digit));
    return true;
}

/* "Z" or "+01:30" to the microseconds that local time is ahead. */
static bool take_offset(lpx_str *text, int64_t *ahead_us)
{
    if (take_char(text, 'Z')) {
        *ahead_us = 0;
        return true;
    }
    bool behind = take_char(text, '-');
    unsigned hour = 0;
    unsigned minute = 0;
    bool ok = (behind || take_char(text, '+')) && take_number(text, 2, 0, 23, &hour) && take_char(text, ':') &&
              take_number(text, 2, 0, 59, &minute);
    if (!ok) {
        return false;
    }
    *ahead_us = ((int64_t)hour * 60 + minute) * 60 * SECOND_US * (behind ? -1 : 1);
    return true;
}

bool lpx_utc_parse(lpx_str text, lpx_utc *out)
{
    int64_t days = 0;
    int64_t clock_us = 0;
    int64_t ahead_us = 0;
    bool ok = take_date(&text, &days) && take_char(&text, 'T') && take_clock(&text, &clock_us) &&
              take_offset(&text, &ahead_us) && text.len == 0;
    if (!ok) {
        return false;
    }
    int64_t us = (days - EPOCH_DAYS) * DAY_S * SECOND_US + clock_us - ahead_us;
    if (us < UTC_MIN_US || us >= UTC_END_US) {
        return false;
    }
    out->us = us;
    return true;
}
