#include <math.h>

#include "base/assert.h"
#include "base/text.h"
#include "codec/json/json.h"
#include "codec/json/json_priv.h"

void json_writer_init(json_writer *w, lpx_buf *buf, unsigned indent)
{
    *w = (json_writer){.buf = buf, .indent = indent};
}

static uint64_t level_bit(const json_writer *w)
{
    return (uint64_t)1 << (w->depth - 1);
}

static void new_line(json_writer *w)
{
    static const char spaces[] = "\n                                                                ";
    if (w->indent == 0) {
        return;
    }
    size_t want = (size_t)w->depth * w->indent;
    lpx_buf_add_str(w->buf, LPX_STR("\n"));
    while (want > 0) {
        size_t some = want < sizeof spaces - 2 ? want : sizeof spaces - 2;
        lpx_buf_add_str(w->buf, (lpx_str){spaces + 1, some});
        want -= some;
    }
}

/* Comma and new line before a member or item. */
static void member_begin(json_writer *w)
{
    if (w->depth == 0) {
        return;
    }
    if ((w->not_first & level_bit(w)) != 0) {
        lpx_buf_add_str(w->buf, LPX_STR(","));
    }
    w->not_first |= level_bit(w);
    new_line(w);
}

static void value_begin(json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
    } else {
        member_begin(w);
    }
}

static void level_open(json_writer *w, char bracket)
{
    value_begin(w);
    lpx_assert(w->depth < JSON_MAX_DEPTH);
    w->depth++;
    w->not_first &= ~level_bit(w);
    lpx_buf_add_str(w->buf, (lpx_str){&bracket, 1});
}

static void level_close(json_writer *w, char bracket)
{
    lpx_assert(w->depth > 0 && !w->after_key);
    bool had_members = (w->not_first & level_bit(w)) != 0;
    w->depth--;
    if (had_members) {
        new_line(w);
    }
    lpx_buf_add_str(w->buf, (lpx_str){&bracket, 1});
}

void json_write_object(json_writer *w)
{
    level_open(w, '{');
}

void json_write_object_end(json_writer *w)
{
    level_close(w, '}');
}

void json_write_array(json_writer *w)
{
    level_open(w, '[');
}

void json_write_array_end(json_writer *w)
{
    level_close(w, ']');
}

/* One byte that cannot stand in a JSON string as it is. */
static void escape_add(lpx_buf *buf, unsigned char c)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof shorts; i += 2) {
        if ((unsigned char)shorts[i] == c) {
            lpx_buf_add_str(buf, (lpx_str){(char[]){'\\', shorts[i + 1]}, 2});
            return;
        }
    }
    lpx_buf_printf(buf, "\\u%04x", c);
}

/* UTF-8 text with its escapes; runs of plain bytes are added at once. */
static void escaped_add(lpx_buf *buf, lpx_str text)
{
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        lpx_buf_add_str(buf, (lpx_str){text.ptr + start, i - start});
        escape_add(buf, c);
        start = i + 1;
    }
    lpx_buf_add_str(buf, lpx_str_skip(text, start));
}

/* Length of the UTF-8 character at the start of text; 0 when there is none. */
static size_t character_len(lpx_str text)
{
    for (size_t len = 1; len <= 4 && len <= text.len; len++) {
        if (lpx_utf8_valid(lpx_bytes_of(text.ptr, len))) {
            return len;
        }
    }
    return 0;
}

static void string_add(lpx_buf *buf, lpx_str text)
{
    lpx_buf_add_str(buf, LPX_STR("\""));
    if (lpx_utf8_valid(lpx_str_bytes(text))) {
        escaped_add(buf, text);
        text.len = 0;
    }
    while (text.len > 0) {
        size_t len = character_len(text);
        escaped_add(buf, len > 0 ? (lpx_str){text.ptr, len} : LPX_STR("\xEF\xBF\xBD"));
        text = lpx_str_skip(text, len > 0 ? len : 1);
    }
    lpx_buf_add_str(buf, LPX_STR("\""));
}

void json_write_key(json_writer *w, lpx_str key)
{
    lpx_assert(w->depth > 0 && !w->after_key);
    member_begin(w);
    string_add(w->buf, key);
    lpx_buf_add_str(w->buf, w->indent > 0 ? LPX_STR(": ") : LPX_STR(":"));
    w->after_key = true;
}

void json_write_str(json_writer *w, lpx_str value)
{
    value_begin(w);
    string_add(w->buf, value);
}

void json_write_int(json_writer *w, int64_t value)
{
    value_begin(w);
    lpx_buf_printf(w->buf, "%lld", (long long)value);
}

void json_write_uint(json_writer *w, uint64_t value)
{
    value_begin(w);
    lpx_buf_printf(w->buf, "%llu", (unsigned long long)value);
}

/* What JSON has no number for. */
static const char *no_number(double value)
{
    if (isnan(value)) {
        return "\"NaN\"";
    }
    return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
}

void json_write_double(json_writer *w, double value)
{
    char text[JSON_NUMBER_TEXT_BYTES];
    if (!isfinite(value)) {
        json_write_raw(w, lpx_str_of(no_number(value)));
        return;
    }
    json_write_raw(w, (lpx_str){text, json_number_format(value, text)});
}

void json_write_float(json_writer *w, float value)
{
    char text[JSON_NUMBER_TEXT_BYTES];
    if (!isfinite(value)) {
        json_write_raw(w, lpx_str_of(no_number((double)value)));
        return;
    }
    json_write_raw(w, (lpx_str){text, json_number_format_float(value, text)});
}

void json_write_bool(json_writer *w, bool value)
{
    json_write_raw(w, value ? LPX_STR("true") : LPX_STR("false"));
}

void json_write_null(json_writer *w)
{
    json_write_raw(w, LPX_STR("null"));
}

void json_write_base64(json_writer *w, lpx_bytes value)
{
    value_begin(w);
    lpx_buf_add_str(w->buf, LPX_STR("\""));
    size_t len = lpx_base64_len(value.len);
    uint8_t *room = lpx_buf_reserve(w->buf, len + 1);
    if (room != NULL) {
        lpx_base64_encode(value, (char *)room);
        lpx_buf_grown(w->buf, len);
    }
    lpx_buf_add_str(w->buf, LPX_STR("\""));
}

void json_write_raw(json_writer *w, lpx_str json)
{
    value_begin(w);
    lpx_buf_add_str(w->buf, json);
}

void json_write_member(json_writer *w, const char *key, lpx_str value)
{
    json_write_key(w, lpx_str_of(key));
    json_write_str(w, value);
}

void json_write_member_int(json_writer *w, const char *key, int64_t value)
{
    json_write_key(w, lpx_str_of(key));
    json_write_int(w, value);
}
