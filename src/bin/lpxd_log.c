/* Log lines on standard error: one write per line, so that lines of several threads do not mix. */
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "base/writer.h"
#include "bin/lpxd.h"
#include "io/loop.h"

enum { LINE_BYTES = 2048 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* Quotes, backslashes and control characters are escaped; the text is cut where the line ends. */
static void put_quoted(lpx_writer *w, lpx_str s)
{
    lpx_writer_u8(w, '"');
    for (size_t i = 0; i < s.len && w->len + 16 < w->room.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c == '"' || c == '\\') {
            lpx_writer_u8(w, '\\');
            lpx_writer_u8(w, c);
        } else if (c < 0x20 || c == 0x7f) {
            lpx_writer_printf(w, "\\u%04x", c);
        } else {
            lpx_writer_u8(w, c);
        }
    }
    lpx_writer_u8(w, '"');
}

static void put_value(lpx_writer *w, const lpx_field *field)
{
    switch (field->kind) {
    case LPX_FIELD_STR:
        put_quoted(w, field->str);
        break;
    case LPX_FIELD_INT:
        lpx_writer_printf(w, "%lld", (long long)field->num);
        break;
    case LPX_FIELD_HEX:
        lpx_writer_printf(w, "\"%0*llX\"", (int)field->digits, (unsigned long long)field->num);
        break;
    }
}

static void put_key(lpx_writer *w, bool json, const char *key)
{
    lpx_writer_printf(w, json ? ",\"%s\":" : " %s=", key);
}

static void sink(void *ctx, lpx_log_level level, const char *event, const lpx_field *fields, size_t count)
{
    bool json = ctx != NULL;
    uint8_t line[LINE_BYTES];
    char stamp[LPX_UTC_TEXT_BYTES] = "";
    (void)lpx_utc_format(io_wall_clock(), stamp);
    lpx_writer w;
    lpx_writer_init(&w, (lpx_space){.ptr = line, .len = sizeof line - 2});
    lpx_writer_printf(&w, json ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "time=%s level=%s event=%s",
                      stamp, level_names[level], event);
    for (size_t i = 0; i < count && w.len + 256 < w.room.len; i++) {
        put_key(&w, json, fields[i].key);
        put_value(&w, &fields[i]);
    }
    size_t len = w.len;
    if (json) {
        line[len++] = '}';
    }
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nobody left to tell */
}

void lpxd_log_start(bool json)
{
    static char yes;
    lpx_log_to(sink, json ? &yes : NULL);
}
