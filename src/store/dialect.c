/* From the common SQL to PostgreSQL's: ?N becomes $N, the type words change, and text columns compare byte by byte as
 * they do in SQLite. Literals, quoted names and comments stay as they are. */
#include "store/store_priv.h"

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the literal, quoted name or comment at s; 0 when there is none, -1 when it does not end. A doubled quote
 * inside ends one literal and begins the next, which comes to the same. */
static long opaque_len(const char *s)
{
    const char *end = NULL;
    if (s[0] == '\'' || s[0] == '"') {
        end = strchr(s + 1, s[0]);
        return end == NULL ? -1 : end + 1 - s;
    }
    if (s[0] == '-' && s[1] == '-') {
        return (long)strcspn(s, "\n");
    }
    if (s[0] == '/' && s[1] == '*') {
        end = strstr(s + 2, "*/");
        return end == NULL ? -1 : end + 2 - s;
    }
    return 0;
}

static lpx_str translate(lpx_str word, bool defines)
{
    if (lpx_str_is(word, "INTEGER")) {
        return LPX_STR("BIGINT");
    }
    if (lpx_str_is(word, "BLOB")) {
        return LPX_STR("BYTEA");
    }
    if (lpx_str_is(word, "REAL")) {
        return LPX_STR("DOUBLE PRECISION");
    }
    if (defines && lpx_str_is(word, "TEXT")) {
        return LPX_STR("TEXT COLLATE \"C\"");
    }
    return word;
}

bool store_dialect_postgres(const char *sql, lpx_buf *out)
{
    bool at_start = true; /* no word of this statement was seen yet */
    bool defines = false; /* it is one that names column types */
    for (const char *s = sql; *s != '\0';) {
        long skip = opaque_len(s);
        if (skip < 0 || (*s == '?' && !is_digit(s[1]))) {
            return false;
        }
        if (skip > 0) {
            lpx_buf_add_str(out, (lpx_str){s, (size_t)skip});
            s += skip;
            continue;
        }
        if (!is_word(*s)) {
            at_start = at_start || *s == ';';
            lpx_buf_add_str(out, *s == '?' ? LPX_STR("$") : (lpx_str){s, 1});
            s++;
            continue;
        }
        lpx_str word = {s, 0};
        while (is_word(s[word.len])) {
            word.len++;
        }
        if (at_start) {
            defines = lpx_str_is(word, "CREATE") || lpx_str_is(word, "ALTER");
            at_start = false;
        }
        lpx_buf_add_str(out, translate(word, defines));
        s += word.len;
    }
    return !lpx_buf_failed(out);
}
