/* Tables: columns padded by 3 spaces, as the existing clients print them; on a terminal libsmartcols lays them out and
 * wraps what is too wide. The same rows as JSON and CSV. */
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_priv.h"
#include "codec/json/json.h"

enum { GAP = 3 };

struct cli_table {
    cli *c;
    const char *const *headers;
    size_t columns;
    const char **cells;          /* rows of columns cells */
    ProtobufCMessage **messages; /* of the rows; NULL: none */
    size_t rows, room;
};

/* Bytes of a control character at text: C0 and DEL are one, C1 are two in UTF-8. */
static size_t control_len(const char *text)
{
    unsigned char first = (unsigned char)text[0], second = (unsigned char)text[first != 0 ? 1 : 0];
    if (first < 0x20 || first == 0x7F) {
        return first != 0 ? 1 : 0;
    }
    return first == 0xC2 && second >= 0x80 && second <= 0x9F ? 2 : 0;
}

const char *cli_clean(cli *c, const char *text, bool keep_lines)
{
    size_t n = 0, bad = 0;
    for (const char *p = text; *p != 0; p++) {
        bad += control_len(p) > 0 ? 1 : 0;
    }
    if (bad == 0) {
        return text;
    }
    char *out = cli_get(c, strlen(text) + 1);
    while (*text != 0) {
        size_t len = control_len(text);
        out[n++] = (char)(len == 0 || (keep_lines && *text == '\n') ? *text : '?');
        text += len > 0 ? len : 1;
    }
    return out;
}

cli_table *cli_table_new(cli *c, const char *const *headers)
{
    cli_table *t = cli_get(c, sizeof *t);
    *t = (cli_table){.c = c, .headers = headers};
    while (headers[t->columns] != NULL) {
        t->columns++;
    }
    return t;
}

static void *grow(cli *c, const void *old, size_t old_bytes, size_t new_bytes)
{
    void *bigger = cli_get(c, new_bytes);
    if (old_bytes > 0) {
        memcpy(bigger, old, old_bytes);
    }
    return bigger;
}

void cli_table_row(cli_table *t, ProtobufCMessage *message, const char *const *cells)
{
    if (t->rows == t->room) {
        size_t room = t->room * 2 + 16, cell_bytes = t->columns * sizeof *t->cells;
        t->cells = grow(t->c, t->cells, t->rows * cell_bytes, room * cell_bytes);
        t->messages = grow(t->c, t->messages, t->rows * sizeof *t->messages, room * sizeof *t->messages);
        t->room = room;
    }
    for (size_t i = 0; i < t->columns; i++) {
        t->cells[t->rows * t->columns + i] = cli_clean(t->c, cells[i], false);
    }
    t->messages[t->rows] = message;
    t->rows++;
}

/* Characters of UTF-8 text: its bytes without continuation bytes. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != 0; text++) {
        width += ((unsigned char)*text & 0xC0) != 0x80 ? 1 : 0;
    }
    return width;
}

static void grow_widths(size_t *widths, const char *const *cells, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        size_t width = text_width(cells[i]);
        widths[i] = width > widths[i] ? width : widths[i];
    }
}

static void add_line(lpx_buf *out, const size_t *widths, const char *const *cells, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        lpx_buf_printf(out, "%s%*s", cells[i], (int)(widths[i] - text_width(cells[i]) + GAP), "");
    }
    lpx_buf_add_str(out, LPX_STR("\n"));
}

static void print_plain(lpx_buf *out, const char *const *headers, const char *const *cells, size_t rows, size_t columns)
{
    size_t widths[CLI_MAX_COLUMNS] = {0};
    if (headers != NULL) {
        grow_widths(widths, headers, columns);
    }
    for (size_t i = 0; i < rows; i++) {
        grow_widths(widths, cells + i * columns, columns);
    }
    if (headers != NULL) {
        add_line(out, widths, headers, columns);
    }
    for (size_t i = 0; i < rows; i++) {
        add_line(out, widths, cells + i * columns, columns);
    }
}

/* Names, rights and targets may be long: these wrap, the others keep their width. */
static int column_flags(const char *header)
{
    static const char *const wrapping[] = {"Name", "Rights", "Target", "DevAddr Blocks"};
    for (size_t i = 0; i < sizeof wrapping / sizeof *wrapping; i++) {
        if (strcmp(header, wrapping[i]) == 0) {
            return SCOLS_FL_WRAP;
        }
    }
    return 0;
}

/* @return false when the library has no memory */
static bool print_terminal(cli *c, const cli_table *t)
{
    struct libscols_table *table = scols_new_table();
    char *text = NULL;
    bool ok = table != NULL && scols_table_set_column_separator(table, "   ") == 0;
    if (ok) {
        (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
        (void)scols_table_set_termwidth(table, c->world->width);
    }
    for (size_t i = 0; ok && i < t->columns; i++) {
        /* a header of nothing would be an anonymous column of width 0 */
        ok = scols_table_new_column(table, t->headers[i][0] != 0 ? t->headers[i] : " ", 0,
                                    column_flags(t->headers[i])) != NULL;
    }
    for (size_t r = 0; ok && r < t->rows; r++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        ok = line != NULL;
        for (size_t i = 0; ok && i < t->columns; i++) {
            ok = scols_line_set_data(line, i, t->cells[r * t->columns + i]) == 0;
        }
    }
    ok = ok && t->rows > 0 && scols_print_table_to_string(table, &text) == 0;
    if (ok) {
        lpx_buf_add_str(&c->out, lpx_str_of(text));
    }
    free(text);
    scols_unref_table(table);
    return ok;
}

/* ---- JSON and CSV ---- */

/* "API Key ID" as a name in JSON: "api_key_id". */
static const char *json_name(cli *c, const char *header)
{
    char *name = cli_printf(c, "%s", header);
    for (char *p = name; *p != 0; p++) {
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : (*p == ' ' ? '_' : *p));
    }
    return name;
}

/* An object of cells; headers stride apart, cells too. */
static void add_object(cli *c, const char *const *headers, const char *const *cells, size_t count, size_t stride)
{
    json_writer w;
    json_writer_init(&w, &c->out, 0);
    json_write_object(&w);
    for (size_t i = 0; i < count; i++) {
        json_write_member(&w, json_name(c, headers[i * stride]), lpx_str_of(cells[i * stride]));
    }
    json_write_object_end(&w);
}

/* One item to a line. */
static void print_array(cli *c, const cli_table *t)
{
    lpx_buf_add_str(&c->out, LPX_STR("["));
    for (size_t r = 0; r < t->rows; r++) {
        lpx_buf_add_str(&c->out, r > 0 ? LPX_STR(",\n") : LPX_STR("\n"));
        if (t->messages[r] != NULL) {
            cli_hide_secrets(t->messages[r]);
            cli_add_json(c, &c->out, t->messages[r], false);
        } else {
            add_object(c, t->headers, t->cells + r * t->columns, t->columns, 1);
        }
    }
    lpx_buf_add_str(&c->out, t->rows > 0 ? LPX_STR("\n]") : LPX_STR("]"));
}

void cli_table_print_csv(cli *c, const cli_table *t, bool header)
{
    if (header) {
        cli_add_csv(&c->out, t->headers, t->columns);
    }
    for (size_t r = 0; r < t->rows; r++) {
        cli_add_csv(&c->out, t->cells + r * t->columns, t->columns);
    }
}

void cli_table_print(cli *c, const cli_table *t)
{
    switch (c->form) {
    case CLI_FORM_JSON:
        print_array(c, t);
        lpx_buf_add_str(&c->out, LPX_STR("\n"));
        return;
    case CLI_FORM_CSV:
        cli_table_print_csv(c, t, true);
        return;
    case CLI_FORM_TABLE:
        break;
    }
    if (!c->world->out_is_terminal || !print_terminal(c, t)) {
        print_plain(&c->out, t->headers, t->cells, t->rows, t->columns);
    }
}

void cli_tables_print(cli *c, const char *first_name, const cli_table *first, const char *second_name,
                      const cli_table *second)
{
    if (c->form != CLI_FORM_JSON) {
        cli_table_print(c, first);
        lpx_buf_add_str(&c->out, LPX_STR("\n"));
        cli_table_print(c, second);
        return;
    }
    lpx_buf_printf(&c->out, "{\"%s\": ", first_name);
    print_array(c, first);
    lpx_buf_printf(&c->out, ",\n\"%s\": ", second_name);
    print_array(c, second);
    lpx_buf_add_str(&c->out, LPX_STR("}\n"));
}

void cli_print_rows(cli *c, const char *const *cells, size_t rows, size_t columns)
{
    print_plain(&c->out, NULL, cells, rows, columns);
}

/* Cleaned copies of pairs, keys and values in turn. */
static const char **clean_pairs(cli *c, const char *const *pairs, size_t *count)
{
    *count = 0;
    while (pairs[*count * 2] != NULL) {
        (*count)++;
    }
    const char **clean = cli_get(c, (*count * 2 + 1) * sizeof *clean);
    for (size_t i = 0; i < *count; i++) {
        clean[i * 2] = pairs[i * 2];
        clean[i * 2 + 1] = cli_clean(c, pairs[i * 2 + 1], true);
    }
    return clean;
}

void cli_print_pairs(cli *c, const char *const *pairs)
{
    size_t count = 0;
    const char **clean = clean_pairs(c, pairs, &count);
    const char **cells = cli_get(c, (count * 2 + 1) * sizeof *cells);
    for (size_t i = 0; i < count; i++) {
        bool csv = c->form == CLI_FORM_CSV;
        cells[csv ? i : i * 2] = csv ? clean[i * 2] : cli_printf(c, "%s:", clean[i * 2]);
        cells[csv ? count + i : i * 2 + 1] = clean[i * 2 + 1];
    }
    switch (c->form) {
    case CLI_FORM_JSON:
        add_object(c, clean, clean + 1, count, 2);
        lpx_buf_add_str(&c->out, LPX_STR("\n"));
        break;
    case CLI_FORM_CSV:
        cli_add_csv(&c->out, cells, count);
        cli_add_csv(&c->out, cells + count, count);
        break;
    case CLI_FORM_TABLE:
        cli_print_rows(c, cells, count, 2);
        break;
    }
}

void cli_print_record(cli *c, const ProtobufCMessage *message, const char *const *pairs)
{
    if (c->form != CLI_FORM_JSON) {
        cli_print_pairs(c, pairs);
        return;
    }
    cli_add_json(c, &c->out, message, true);
    lpx_buf_add_str(&c->out, LPX_STR("\n"));
}
