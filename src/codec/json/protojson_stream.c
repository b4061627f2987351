/* Where a value ends in a stream of values: brackets and quotes only, the decoder looks at the rest. */
#include "base/text.h"
#include "codec/json/json.h"
#include "codec/json/json_priv.h"
#include "codec/json/protojson.h"

typedef struct scan {
    lpx_str text;
    size_t pos;
    uint64_t objects; /* bit d: level d is an object */
    unsigned depth;
} scan;

static void skip_space(scan *s)
{
    while (s->pos < s->text.len && memchr(" \t\r\n", s->text.ptr[s->pos], 4) != NULL) {
        s->pos++;
    }
}

/* Past the closing quote; false when there is none yet. */
static bool skip_string(scan *s)
{
    s->pos++;
    while (s->pos < s->text.len) {
        char c = s->text.ptr[s->pos];
        if (c == '"') {
            s->pos++;
            return true;
        }
        size_t step = c == '\\' ? 2 : 1;
        if (step > s->text.len - s->pos) {
            return false;
        }
        s->pos += step;
    }
    return false;
}

/* A number or literal outside of brackets: over when something else follows. */
static bool skip_word(scan *s, bool *bad)
{
    static const char *const words[] = {"true", "false", "null"};
    lpx_str rest = lpx_str_skip(s->text, s->pos);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        lpx_str word = lpx_str_of(words[i]);
        if (lpx_str_starts(rest, word)) {
            s->pos += word.len;
            return true;
        }
        if (lpx_str_starts(word, rest)) {
            return false;
        }
    }
    size_t len = json_number_scan(rest);
    bool may_grow = len == rest.len || (len == 0 && rest.len <= JSON_NUMBER_MAX_CHARS);
    for (size_t i = len; may_grow && i < rest.len; i++) {
        may_grow = strchr("0123456789+-.eE", rest.ptr[i]) != NULL && rest.ptr[i] != '\0';
    }
    if (may_grow && memchr("-0123456789", rest.ptr[0], 11) != NULL) {
        return false;
    }
    s->pos += len;
    *bad = len == 0;
    return len > 0;
}

static bool open_bracket(scan *s, bool object)
{
    if (s->depth >= JSON_MAX_DEPTH) {
        return false;
    }
    uint64_t bit = (uint64_t)1 << s->depth;
    s->objects = object ? s->objects | bit : s->objects & ~bit;
    s->depth++;
    s->pos++;
    return true;
}

static bool close_bracket(scan *s, bool object)
{
    if (s->depth == 0 || (s->objects >> (s->depth - 1) & 1) != (object ? 1 : 0)) {
        return false;
    }
    s->depth--;
    s->pos++;
    return true;
}

/* One bracket, string or byte inside of brackets. @return false when there is nothing more to see */
static bool inside_step(scan *s, bool *bad)
{
    char c = s->text.ptr[s->pos];
    if (c == '"') {
        return skip_string(s);
    }
    if (c == '{' || c == '[') {
        *bad = !open_bracket(s, c == '{');
    } else if (c == '}' || c == ']') {
        *bad = !close_bracket(s, c == '}');
    } else {
        s->pos++;
    }
    return !*bad;
}

bool protojson_next_value(lpx_str pending, size_t *value_len, bool *bad)
{
    scan s = {.text = pending};
    *bad = false;
    skip_space(&s);
    if (s.pos >= s.text.len) {
        return false;
    }
    char first = s.text.ptr[s.pos];
    if (first != '{' && first != '[') {
        bool whole = first == '"' ? skip_string(&s) : skip_word(&s, bad);
        if (whole) {
            *value_len = s.pos;
        }
        return whole;
    }
    do {
        if (!inside_step(&s, bad)) {
            return false;
        }
    } while (s.depth > 0 && s.pos < s.text.len);
    if (s.depth > 0) {
        return false;
    }
    *value_len = s.pos;
    return true;
}
