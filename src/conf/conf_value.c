/* Text of a value to the value, and what to say when it is wrong. */
#include <stdio.h>

#include "base/text.h"
#include "conf/conf_priv.h"
#include "conf/limits.h"

/* A unit and how many of the smallest it is. Longest names first where one begins another. */
typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

static const unit duration_units[] = {
    {"d", INT64_C(86400000000)}, {"h", INT64_C(3600000000)}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1},
};
static const unit size_units[] = {
    {"GiB", 1073741824}, {"GB", 1000000000}, {"MiB", 1048576}, {"MB", 1000000}, {"KiB", 1024}, {"kB", 1000}, {"B", 1},
};

enum {
    DURATION_UNITS = sizeof duration_units / sizeof duration_units[0],
    SIZE_UNITS = sizeof size_units / sizeof size_units[0],
};

/* ---- parsing ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool word_is(lpx_str text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < text.len && i < len; i++) {
        if (lower(text.ptr[i]) != word[i]) {
            return false;
        }
    }
    return text.len == len;
}

static bool bool_parse(lpx_str text, int64_t *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (word_is(text, yes[i]) || word_is(text, no[i])) {
            *out = word_is(text, yes[i]);
            return true;
        }
    }
    return false;
}

static bool int_parse(lpx_str text, int64_t *out)
{
    uint64_t magnitude;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (!lpx_parse_u64(lpx_str_skip(text, negative ? 1 : 0), INT64_MAX, &magnitude)) {
        return false;
    }
    *out = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

/* Digits at the front of text. */
static bool take_digits(lpx_str *text, int64_t *out)
{
    size_t len = 0;
    uint64_t number;
    while (len < text->len && text->ptr[len] >= '0' && text->ptr[len] <= '9') {
        len++;
    }
    if (len == 0 || !lpx_parse_u64((lpx_str){text->ptr, len}, INT64_MAX, &number)) {
        return false;
    }
    *text = lpx_str_skip(*text, len);
    *out = (int64_t)number;
    return true;
}

/* Letters at the front of text, which must name a unit. */
static const unit *take_unit(lpx_str *text, const unit *units, size_t count)
{
    size_t len = 0;
    while (len < text->len &&
           ((text->ptr[len] >= 'a' && text->ptr[len] <= 'z') || (text->ptr[len] >= 'A' && text->ptr[len] <= 'Z'))) {
        len++;
    }
    for (size_t i = 0; i < count; i++) {
        if (lpx_str_is((lpx_str){text->ptr, len}, units[i].name)) {
            *text = lpx_str_skip(*text, len);
            return &units[i];
        }
    }
    return NULL;
}

/* "1m30s": each unit smaller than the one before. */
static bool duration_parse(lpx_str text, int64_t *out)
{
    int64_t total = 0, number;
    const unit *last = NULL;
    if (lpx_str_is(text, "0")) {
        *out = 0;
        return true;
    }
    while (text.len > 0) {
        const unit *found = NULL;
        if (!take_digits(&text, &number) || (found = take_unit(&text, duration_units, DURATION_UNITS)) == NULL ||
            (last != NULL && found <= last) || __builtin_mul_overflow(number, found->factor, &number) ||
            __builtin_add_overflow(total, number, &total)) {
            return false;
        }
        last = found;
    }
    *out = total;
    return last != NULL;
}

static bool size_parse(lpx_str text, int64_t *out)
{
    int64_t number;
    if (!take_digits(&text, &number)) {
        return false;
    }
    const unit *found = text.len > 0 ? take_unit(&text, size_units, SIZE_UNITS) : &size_units[SIZE_UNITS - 1];
    if (found == NULL || text.len > 0 || __builtin_mul_overflow(number, found->factor, &number)) {
        return false;
    }
    *out = number;
    return true;
}

/* Place of a word in "a|b|c"; -1 when it is not there. */
static int64_t word_find(const char *words, lpx_str text)
{
    for (int64_t place = 0; words != NULL; place++) {
        size_t len = strcspn(words, "|");
        if (lpx_str_equal((lpx_str){words, len}, text)) {
            return place;
        }
        words = words[len] == '|' ? words + len + 1 : NULL;
    }
    return -1;
}

static bool in_range(const conf_option *option, int64_t number)
{
    bool any = option->min == 0 && option->max == 0;
    return any || (number >= option->min && number <= option->max);
}

static bool number_parse(const conf_option *option, lpx_str text, int64_t *out)
{
    switch (option->type) {
    case CONF_BOOL:
        return bool_parse(text, out);
    case CONF_INT:
        return int_parse(text, out) && in_range(option, *out);
    case CONF_DURATION:
        return duration_parse(text, out) && in_range(option, *out);
    case CONF_SIZE:
        return size_parse(text, out) && in_range(option, *out);
    case CONF_WORD:
        *out = word_find(option->words, text);
        return *out >= 0;
    case CONF_STR:
    case CONF_LIST:
        break;
    }
    *out = 0;
    return true;
}

static lpx_str trim(lpx_str text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text = lpx_str_skip(text, 1);
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* The parts of text between commas. @return how many; -1 when there are too many or one is empty */
static int items_split(lpx_str text, lpx_str items[static CONF_MAX_LIST])
{
    int count = 0;
    if (trim(text).len == 0) {
        return 0;
    }
    for (;;) {
        const char *comma = memchr(text.ptr, ',', text.len);
        lpx_str item = trim((lpx_str){text.ptr, comma != NULL ? (size_t)(comma - text.ptr) : text.len});
        if (item.len == 0 || count == CONF_MAX_LIST) {
            return -1;
        }
        items[count++] = item;
        if (comma == NULL) {
            return count;
        }
        text = lpx_str_skip(text, (size_t)(comma - text.ptr) + 1);
    }
}

static bool text_valid(lpx_str text)
{
    return lpx_utf8_valid(lpx_str_bytes(text)) && (text.len == 0 || memchr(text.ptr, 0, text.len) == NULL);
}

static bool text_copy(lpx_arena *arena, lpx_str text, lpx_str *out)
{
    const char *copy = lpx_arena_cstr(arena, text);
    *out = (lpx_str){copy, text.len};
    return copy != NULL;
}

bool conf_value_parse(const conf_option *option, lpx_str text, lpx_arena *arena, conf_value *out, bool *full)
{
    conf_value value = {0};
    lpx_str items[CONF_MAX_LIST];
    *full = false;
    if (!text_valid(text)) {
        return false;
    }
    if (option->type == CONF_LIST) {
        int count = items_split(text, items);
        return count >= 0 && conf_value_items(option, items, (size_t)count, arena, out, full);
    }
    if (!number_parse(option, text, &value.number)) {
        return false;
    }
    *full = !text_copy(arena, text, &value.text);
    if (!*full) {
        *out = value;
    }
    return !*full;
}

bool conf_value_items(const conf_option *option, const lpx_str *items, size_t count, lpx_arena *arena, conf_value *out,
                      bool *full)
{
    if (count > CONF_MAX_LIST || !in_range(option, (int64_t)count)) {
        return false;
    }
    lpx_str *copies = lpx_arena_array(arena, count, sizeof *copies);
    *full = copies == NULL;
    for (size_t i = 0; i < count && !*full; i++) {
        if (items[i].len == 0 || !text_valid(items[i]) ||
            (option->words != NULL && word_find(option->words, items[i]) < 0)) {
            return false;
        }
        *full = !text_copy(arena, items[i], &copies[i]);
    }
    if (!*full) {
        *out = (conf_value){.text = {.ptr = ""}, .items = copies, .count = count};
    }
    return !*full;
}

bool conf_value_equal(const conf_option *option, const conf_value *a, const conf_value *b)
{
    switch (option->type) {
    case CONF_BOOL:
    case CONF_INT:
    case CONF_DURATION:
    case CONF_SIZE:
        return a->number == b->number;
    case CONF_STR:
    case CONF_WORD:
        return lpx_str_equal(a->text, b->text);
    case CONF_LIST:
        break;
    }
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (!lpx_str_equal(a->items[i], b->items[i])) {
            return false;
        }
    }
    return a->count == b->count;
}

/* ---- words for people ---- */

/* In the largest unit that gives a whole number. */
static void unit_print(const unit *units, size_t count, int64_t number, lpx_buf *out)
{
    size_t pick = count - 1;
    for (size_t i = 0; i < count && number != 0; i++) {
        if (number % units[i].factor == 0) {
            pick = i;
            break;
        }
    }
    lpx_buf_printf(out, "%lld%s", (long long)(number / units[pick].factor), number == 0 ? "" : units[pick].name);
}

static void number_print(const conf_option *option, int64_t number, lpx_buf *out)
{
    if (option->type == CONF_DURATION) {
        unit_print(duration_units, DURATION_UNITS, number, out);
    } else if (option->type == CONF_SIZE) {
        unit_print(size_units, SIZE_UNITS, number, out);
    } else {
        lpx_buf_printf(out, "%lld", (long long)number);
    }
}

static void words_print(const char *words, lpx_buf *out)
{
    for (; *words != '\0'; words++) {
        lpx_buf_add_str(out, *words == '|' ? LPX_STR(", ") : (lpx_str){words, 1});
    }
}

void conf_value_range(const conf_option *option, lpx_buf *out)
{
    bool ranged = option->min != 0 || option->max != 0;
    if (option->words != NULL) {
        words_print(option->words, out);
    } else if (ranged && option->type == CONF_LIST) {
        lpx_buf_printf(out, "%lld to %lld entries", (long long)option->min, (long long)option->max);
    } else if (ranged) {
        number_print(option, option->min, out);
        lpx_buf_add_str(out, LPX_STR(" to "));
        number_print(option, option->max, out);
    }
}

void conf_value_want(const conf_option *option, lpx_buf *out)
{
    static const char *const kinds[] = {
        [CONF_STR] = "text",
        [CONF_BOOL] = "true or false",
        [CONF_INT] = "a whole number",
        [CONF_DURATION] = "a duration like \"90s\" or \"5m\"",
        [CONF_SIZE] = "a size like \"64KiB\" or \"16MiB\"",
        [CONF_LIST] = "a list",
        [CONF_WORD] = "one of ",
    };
    lpx_buf_add_str(out, lpx_str_of(kinds[option->type]));
    if (option->type == CONF_LIST) {
        int64_t max = option->max != 0 ? option->max : CONF_MAX_LIST;
        lpx_buf_printf(out, " of %lld to %lld texts", (long long)option->min, (long long)max);
    }
    bool ranged = option->min != 0 || option->max != 0;
    if (option->words != NULL) {
        lpx_buf_add_str(out, option->type == CONF_LIST ? LPX_STR(" out of ") : LPX_STR(""));
        words_print(option->words, out);
    } else if (ranged && option->type != CONF_LIST) {
        lpx_buf_add_str(out, LPX_STR(" from "));
        conf_value_range(option, out);
    }
}

const char *conf_value_arg(const conf_option *option)
{
    static const char *const names[] = {
        [CONF_STR] = "TEXT",  [CONF_BOOL] = "BOOL", [CONF_INT] = "NUMBER", [CONF_DURATION] = "TIME",
        [CONF_SIZE] = "SIZE", [CONF_LIST] = "LIST", [CONF_WORD] = "WORD",
    };
    return option->arg != NULL ? option->arg : names[option->type];
}

const char *conf_type_name(conf_type type)
{
    static const char *const names[] = {
        [CONF_STR] = "text",  [CONF_BOOL] = "bool", [CONF_INT] = "number", [CONF_DURATION] = "duration",
        [CONF_SIZE] = "size", [CONF_LIST] = "list", [CONF_WORD] = "word",
    };
    return names[type];
}
