/* Pull reader: one token for each call, no recursion; the nesting is a bit for each level. */
#include "base/text.h"
#include "codec/json/json.h"
#include "codec/json/json_priv.h"
#include "lpx_reasons.h"

void json_reader_init(json_reader *r, lpx_str text, lpx_arena *arena)
{
    *r = (json_reader){.text = text, .arena = arena, .line = 1, .want = JSON_WANT_VALUE};
}

static lpx_err malformed(const json_reader *r, lpx_note *note, const char *what)
{
    return lpx_fail(note, JSON_MALFORMED, "JSON line %u, column %zu: %s.", r->line, r->pos - r->line_start + 1, what);
}

static void space_skip(json_reader *r)
{
    for (; r->pos < r->text.len; r->pos++) {
        char c = r->text.ptr[r->pos];
        if (c == '\n') {
            r->line++;
            r->line_start = r->pos + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

/* Next byte, not taken; NUL at the end (a NUL in the text is refused wherever it stands). */
static char peek(const json_reader *r)
{
    return r->pos < r->text.len ? r->text.ptr[r->pos] : '\0';
}

static bool in_object(const json_reader *r)
{
    return r->depth > 0 && (r->in_object >> (r->depth - 1) & 1) != 0;
}

/* ---- strings ---- */

/* Four hex digits at pos; -1 when there are none. */
static long hex4(const json_reader *r, size_t pos)
{
    uint64_t value;
    if (pos > r->text.len || r->text.len - pos < 4 || !lpx_parse_hex((lpx_str){r->text.ptr + pos, 4}, 4, &value)) {
        return -1;
    }
    return (long)value;
}

static size_t utf8_put(char *out, long c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    for (size_t i = more; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (char)(lead[more] | c);
    return more + 1;
}

/* \uXXXX, or a surrogate pair of two; r->pos stands on the first hex digit. */
static lpx_err unicode_escape(json_reader *r, char *out, size_t *len, lpx_note *note)
{
    long c = hex4(r, r->pos);
    if (c < 0) {
        return malformed(r, note, "\\u wants four hex digits");
    }
    if (c == 0) {
        return malformed(r, note, "text cannot hold a NUL character");
    }
    size_t used = 4;
    if (c >= 0xD800 && c < 0xE000) {
        bool pair = c < 0xDC00 && r->text.len - r->pos >= 10 && memcmp(r->text.ptr + r->pos + 4, "\\u", 2) == 0;
        long low = pair ? hex4(r, r->pos + 6) : -1;
        if (low < 0xDC00 || low >= 0xE000) {
            return malformed(r, note, "half of a surrogate pair");
        }
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        used = 10;
    }
    r->pos += used;
    *len += utf8_put(out + *len, c);
    return LPX_SUCCESS;
}

/* The character after a backslash; r->pos stands on it. */
static lpx_err escape_read(json_reader *r, char *out, size_t *len, lpx_note *note)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = peek(r);
    if (c == 'u') {
        r->pos++;
        return unicode_escape(r, out, len, note);
    }
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    if (at == NULL) {
        return malformed(r, note, "a backslash wants one of \" \\ / b f n r t u after it");
    }
    out[(*len)++] = to[at - from];
    r->pos++;
    return LPX_SUCCESS;
}

/* Position of the closing quote of a string that begins at r->pos; sets *escapes. */
static lpx_err string_scan(json_reader *r, size_t *end, bool *escapes, lpx_note *note)
{
    *escapes = false;
    size_t pos = r->pos;
    while (pos < r->text.len && r->text.ptr[pos] != '"') {
        unsigned char c = (unsigned char)r->text.ptr[pos];
        if (c < 0x20) {
            r->pos = pos;
            return malformed(r, note, "a control character in text must be escaped");
        }
        *escapes = *escapes || c == '\\';
        pos += c == '\\' ? 2 : 1;
    }
    if (pos >= r->text.len) {
        r->pos = r->text.len;
        return malformed(r, note, "text has no closing quote");
    }
    *end = pos;
    return LPX_SUCCESS;
}

/* Content of the string whose first character r->pos stands on; moves past the closing quote. */
static lpx_err string_read(json_reader *r, lpx_str *out, lpx_note *note)
{
    size_t end = 0;
    bool escapes = false;
    LPX_TRY(string_scan(r, &end, &escapes, note));
    lpx_str raw = {r->text.ptr + r->pos, end - r->pos};
    if (!lpx_utf8_valid(lpx_str_bytes(raw))) {
        return malformed(r, note, "text is not UTF-8");
    }
    if (!escapes) {
        r->pos = end + 1;
        *out = raw;
        return LPX_SUCCESS;
    }
    char *room = lpx_arena_get(r->arena, raw.len + 1); /* escapes only get shorter */
    if (room == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    size_t len = 0;
    while (r->pos < end) {
        char c = r->text.ptr[r->pos++];
        if (c != '\\') {
            room[len++] = c;
        } else {
            LPX_TRY(escape_read(r, room, &len, note));
        }
    }
    r->pos = end + 1;
    *out = (lpx_str){room, len};
    return LPX_SUCCESS;
}

/* ---- values ---- */

static lpx_err open_read(json_reader *r, json_kind kind, json_token *out, lpx_note *note)
{
    if (r->depth >= JSON_MAX_DEPTH) {
        return lpx_fail(note, JSON_TOO_DEEP, "JSON line %u, column %zu: more than %d objects and arrays in each other.",
                        r->line, r->pos - r->line_start + 1, JSON_MAX_DEPTH);
    }
    uint64_t bit = (uint64_t)1 << r->depth;
    r->in_object = kind == JSON_KIND_OBJECT ? r->in_object | bit : r->in_object & ~bit;
    r->depth++;
    r->pos++;
    r->want = JSON_WANT_FIRST;
    out->kind = kind;
    return LPX_SUCCESS;
}

static void value_done(json_reader *r)
{
    r->want = r->depth > 0 ? JSON_WANT_COMMA : JSON_WANT_DONE;
}

static lpx_err literal_read(json_reader *r, json_token *out, lpx_note *note)
{
    static const struct {
        lpx_str word;
        json_kind kind;
    } literals[] = {{{"null", 4}, JSON_KIND_NULL}, {{"false", 5}, JSON_KIND_FALSE}, {{"true", 4}, JSON_KIND_TRUE}};
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        if (lpx_str_starts(lpx_str_skip(r->text, r->pos), literals[i].word)) {
            r->pos += literals[i].word.len;
            out->kind = literals[i].kind;
            value_done(r);
            return LPX_SUCCESS;
        }
    }
    return malformed(r, note, r->pos < r->text.len ? "want a value" : "the text ends where a value is wanted");
}

static lpx_err number_read(json_reader *r, json_token *out, lpx_note *note)
{
    size_t len = json_number_scan(lpx_str_skip(r->text, r->pos));
    if (len == 0) {
        return malformed(r, note, "this is no JSON number");
    }
    if (len > JSON_NUMBER_MAX_CHARS) {
        return malformed(r, note, "a number has too many digits");
    }
    out->kind = JSON_KIND_NUMBER;
    out->text = (lpx_str){r->text.ptr + r->pos, len};
    r->pos += len;
    value_done(r);
    return LPX_SUCCESS;
}

static lpx_err value_read(json_reader *r, json_token *out, lpx_note *note)
{
    char c = peek(r);
    if (c == '{') {
        return open_read(r, JSON_KIND_OBJECT, out, note);
    }
    if (c == '[') {
        return open_read(r, JSON_KIND_ARRAY, out, note);
    }
    if (c == '"') {
        r->pos++;
        out->kind = JSON_KIND_STRING;
        LPX_TRY(string_read(r, &out->text, note));
        value_done(r);
        return LPX_SUCCESS;
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return number_read(r, out, note);
    }
    return literal_read(r, out, note);
}

static lpx_err key_read(json_reader *r, json_token *out, lpx_note *note)
{
    if (peek(r) != '"') {
        return malformed(r, note, "want the name of a member in double quotes");
    }
    r->pos++;
    out->kind = JSON_KIND_KEY;
    LPX_TRY(string_read(r, &out->text, note));
    space_skip(r);
    if (peek(r) != ':') {
        return malformed(r, note, "want a colon after the name of a member");
    }
    r->pos++;
    r->want = JSON_WANT_VALUE;
    return LPX_SUCCESS;
}

static lpx_err close_read(json_reader *r, json_token *out)
{
    out->kind = in_object(r) ? JSON_KIND_OBJECT_END : JSON_KIND_ARRAY_END;
    r->pos++;
    r->depth--;
    value_done(r);
    return LPX_SUCCESS;
}

/* After a value inside an object or array. */
static lpx_err comma_read(json_reader *r, json_token *out, lpx_note *note)
{
    char close = in_object(r) ? '}' : ']';
    if (peek(r) == close) {
        return close_read(r, out);
    }
    if (peek(r) != ',') {
        return malformed(r, note, in_object(r) ? "want a comma or }" : "want a comma or ]");
    }
    r->pos++;
    space_skip(r);
    out->line = r->line;
    out->column = (uint32_t)(r->pos - r->line_start + 1);
    return in_object(r) ? key_read(r, out, note) : value_read(r, out, note);
}

/* After an opening bracket. */
static lpx_err first_read(json_reader *r, json_token *out, lpx_note *note)
{
    if (peek(r) == (in_object(r) ? '}' : ']')) {
        return close_read(r, out);
    }
    return in_object(r) ? key_read(r, out, note) : value_read(r, out, note);
}

LPX_RESULT json_read(json_reader *r, json_token *out, lpx_note *note)
{
    space_skip(r);
    *out = (json_token){.kind = JSON_KIND_END, .line = r->line, .column = (uint32_t)(r->pos - r->line_start + 1)};
    switch (r->want) {
    case JSON_WANT_VALUE:
        return value_read(r, out, note);
    case JSON_WANT_FIRST:
        return first_read(r, out, note);
    case JSON_WANT_COMMA:
        return comma_read(r, out, note);
    case JSON_WANT_DONE:
        break;
    }
    return r->pos < r->text.len ? malformed(r, note, "something follows the value") : LPX_SUCCESS;
}
