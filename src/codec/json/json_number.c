/* Numbers as text. Whole numbers are read exactly, never through a double. */
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/json/json.h"
#include "codec/json/json_priv.h"

/* The program may run under a locale with a decimal comma; JSON never does. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void locale_setup(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    lpx_assert(c_locale != (locale_t)0);
}

/* ---- reading ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_scan(lpx_str text, size_t pos)
{
    while (pos < text.len && is_digit(text.ptr[pos])) {
        pos++;
    }
    return pos;
}

size_t json_number_scan(lpx_str text)
{
    size_t pos = text.len > 0 && text.ptr[0] == '-' ? 1 : 0;
    if (pos >= text.len || !is_digit(text.ptr[pos])) {
        return 0;
    }
    pos = text.ptr[pos] == '0' ? pos + 1 : digits_scan(text, pos);
    if (pos < text.len && text.ptr[pos] == '.') {
        size_t end = digits_scan(text, pos + 1);
        if (end == pos + 1) {
            return 0;
        }
        pos = end;
    }
    if (pos < text.len && (text.ptr[pos] == 'e' || text.ptr[pos] == 'E')) {
        size_t start = pos + 1;
        if (start < text.len && (text.ptr[start] == '+' || text.ptr[start] == '-')) {
            start++;
        }
        size_t end = digits_scan(text, start);
        if (end == start) {
            return 0;
        }
        pos = end;
    }
    return pos;
}

static bool is_number(lpx_str text)
{
    return text.len > 0 && text.len <= JSON_NUMBER_MAX_CHARS && json_number_scan(text) == text.len;
}

/* A decimal number taken apart: sign, digits without point, power of ten of the last digit. */
typedef struct decimal {
    bool negative;
    char digits[JSON_NUMBER_MAX_CHARS];
    size_t count;
    long scale;
} decimal;

static long exponent_read(lpx_str text)
{
    enum { EXPONENT_MAX = 100000 };
    bool negative = text.ptr[0] == '-';
    long value = 0;
    for (size_t i = is_digit(text.ptr[0]) ? 0 : 1; i < text.len && value < EXPONENT_MAX; i++) {
        value = value * 10 + (text.ptr[i] - '0');
    }
    return negative ? -value : value;
}

static void decimal_read(lpx_str number, decimal *out)
{
    bool fraction = false;
    out->negative = number.ptr[0] == '-';
    out->count = 0;
    out->scale = 0;
    for (size_t i = out->negative ? 1 : 0; i < number.len; i++) {
        char c = number.ptr[i];
        if (c == 'e' || c == 'E') {
            out->scale += exponent_read(lpx_str_skip(number, i + 1));
            break;
        }
        if (c == '.') {
            fraction = true;
            continue;
        }
        out->scale -= fraction ? 1 : 0;
        if (c != '0' || out->count > 0) {
            out->digits[out->count++] = c;
        }
    }
    while (out->scale < 0 && out->count > 0 && out->digits[out->count - 1] == '0') {
        out->count--;
        out->scale++;
    }
}

/* Magnitude of a whole number; false when there is a fraction or it needs more than 64 bits. */
static bool decimal_magnitude(const decimal *d, uint64_t *out)
{
    uint64_t value = 0;
    if (d->count > 0 && d->scale < 0) {
        return false;
    }
    for (size_t i = 0; i < d->count; i++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(d->digits[i] - '0'), &value)) {
            return false;
        }
    }
    for (long i = 0; d->count > 0 && i < d->scale; i++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool json_number_u64(lpx_str number, uint64_t *out)
{
    decimal d;
    uint64_t value;
    if (!is_number(number)) {
        return false;
    }
    decimal_read(number, &d);
    if (!decimal_magnitude(&d, &value) || (d.negative && value != 0)) {
        return false;
    }
    *out = value;
    return true;
}

bool json_number_i64(lpx_str number, int64_t *out)
{
    decimal d;
    uint64_t value;
    if (!is_number(number)) {
        return false;
    }
    decimal_read(number, &d);
    if (!decimal_magnitude(&d, &value) || value > (uint64_t)INT64_MAX + (d.negative ? 1 : 0)) {
        return false;
    }
    *out = (int64_t)(d.negative ? ~value + 1 : value);
    return true;
}

static bool number_copy(lpx_str number, char out[static JSON_NUMBER_MAX_CHARS + 1])
{
    if (!is_number(number)) {
        return false;
    }
    memcpy(out, number.ptr, number.len);
    out[number.len] = '\0';
    return pthread_once(&once, locale_setup) == 0;
}

bool json_number_double(lpx_str number, double *out)
{
    char text[JSON_NUMBER_MAX_CHARS + 1];
    if (!number_copy(number, text)) {
        return false;
    }
    double value = strtod_l(text, NULL, c_locale);
    if (!isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

bool json_number_float(lpx_str number, float *out)
{
    char text[JSON_NUMBER_MAX_CHARS + 1];
    if (!number_copy(number, text)) {
        return false;
    }
    float value = strtof_l(text, NULL, c_locale);
    if (!isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

/* ---- printing ---- */

typedef struct digits {
    bool negative;
    char text[20]; /* without point, no trailing zeros */
    int count;
    int exponent; /* of the first digit */
} digits;

/* The value rounded to count digits. */
static void digits_of(double value, int count, digits *out)
{
    char text[JSON_NUMBER_TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%.*e", count - 1, value);
    const char *pos = text;
    out->negative = *pos == '-';
    out->count = 0;
    for (; *pos != 'e'; pos++) {
        if (is_digit(*pos)) {
            out->text[out->count++] = *pos;
        }
    }
    out->exponent = atoi(pos + 1);
    while (out->count > 1 && out->text[out->count - 1] == '0') {
        out->count--;
    }
}

static char *put_zeros(char *at, int count)
{
    for (int i = 0; i < count; i++) {
        *at++ = '0';
    }
    return at;
}

static char *put_digits(char *at, const digits *d, int from, int to)
{
    for (int i = from; i < to; i++) {
        *at++ = d->text[i];
    }
    return at;
}

/* Fixed notation from 1e-6 up to 1e21, else with an exponent. */
static size_t digits_layout(const digits *d, char out[static JSON_NUMBER_TEXT_BYTES])
{
    char *at = out;
    int point = d->exponent + 1; /* digits before the point */
    if (d->negative) {
        *at++ = '-';
    }
    if (point < -5 || point > 21) {
        at = put_digits(at, d, 0, 1);
        if (d->count > 1) {
            *at++ = '.';
            at = put_digits(at, d, 1, d->count);
        }
        at += snprintf(at, 8, "e%+d", d->exponent);
    } else if (point <= 0) {
        *at++ = '0';
        *at++ = '.';
        at = put_digits(put_zeros(at, -point), d, 0, d->count);
    } else if (point >= d->count) {
        at = put_zeros(put_digits(at, d, 0, d->count), point - d->count);
    } else {
        at = put_digits(at, d, 0, point);
        *at++ = '.';
        at = put_digits(at, d, point, d->count);
    }
    *at = '\0';
    return (size_t)(at - out);
}

/* A number of at most this many digits survives text -> binary -> text, so rounding to it finds the shortest text if
 * there is one; numbers near zero have fewer digits that count. */
enum { DOUBLE_SAFE_DIGITS = 15, FLOAT_SAFE_DIGITS = 6 };

size_t json_number_format(double value, char out[static JSON_NUMBER_TEXT_BYTES])
{
    digits d;
    double again = 0;
    size_t len = 0;
    for (int count = fpclassify(value) == FP_SUBNORMAL ? 1 : DOUBLE_SAFE_DIGITS; count <= 17; count++) {
        digits_of(value, count, &d);
        len = digits_layout(&d, out);
        if (json_number_double((lpx_str){out, len}, &again) && memcmp(&again, &value, sizeof value) == 0) {
            break;
        }
    }
    return len;
}

size_t json_number_format_float(float value, char out[static JSON_NUMBER_TEXT_BYTES])
{
    digits d;
    float again = 0;
    size_t len = 0;
    for (int count = fpclassify(value) == FP_SUBNORMAL ? 1 : FLOAT_SAFE_DIGITS; count <= 9; count++) {
        digits_of((double)value, count, &d);
        len = digits_layout(&d, out);
        if (json_number_float((lpx_str){out, len}, &again) && memcmp(&again, &value, sizeof value) == 0) {
            break;
        }
    }
    return len;
}
