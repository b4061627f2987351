/* Whatever text others wrote: a CSV row reads back as the same cells, JSON as the same text, and neither of them, nor a
 * table or a graph, holds a character that steers a terminal. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/cli_report.h"
#include "codec/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CELLS = 3 };

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

/* The naive reader: one cell of a row. @return what follows it */
static const char *read_cell(const char *p, char *out)
{
    if (*p != '"') {
        size_t len = strcspn(p, ",\n");
        memcpy(out, p, len);
        out[len] = 0;
        return p + len + 1;
    }
    for (p++; *p != '"' || p[1] == '"'; p++) {
        p += *p == '"' ? 1 : 0;
        *out++ = *p;
    }
    *out = 0;
    return p + 2;
}

static void check_csv(cli *c, const char *const *cells)
{
    char *cell = cli_get(c, c->out.len + strlen(cells[0]) + strlen(cells[1]) + strlen(cells[2]) + 16);
    lpx_buf_clear(&c->out);
    cli_add_csv(&c->out, cells, CELLS);
    lpx_buf_add(&c->out, lpx_bytes_of("", 1));
    const char *p = (const char *)c->out.ptr;
    for (size_t i = 0; i < CELLS; i++) {
        p = read_cell(p, cell);
        lpx_assert(strcmp(cell, cells[i]) == 0);
    }
    lpx_assert(*p == 0);
}

static void check_harmless(lpx_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        lpx_assert(text.ptr[i] == '\n' || (text.ptr[i] >= 0x20 && text.ptr[i] != 0x7F));
        lpx_assert(text.ptr[i] != 0xC2 || i + 1 == text.len || text.ptr[i + 1] >= 0xA0 || text.ptr[i + 1] < 0x80);
    }
}

static void check_json(cli *c, char *text)
{
    Pb__V3__Network network;
    const json_value *value = NULL;
    lpx_note note = {{0}};
    pb__v3__network__init(&network);
    network.name = text;
    lpx_buf_clear(&c->out);
    cli_print_json(c, &network.base, false);
    check_harmless(lpx_buf_view(&c->out));
    lpx_assert(!lpx_failed(json_parse(lpx_bytes_str(lpx_buf_view(&c->out)), &c->arena, &value, &note)));
    if (lpx_utf8_valid(lpx_str_bytes(lpx_str_of(text)))) { /* protobuf lets nothing else in */
        lpx_assert(lpx_str_is(json_text(json_member(value, "name")), text));
    }
}

static void check_table_and_graph(cli *c, const char *const *cells)
{
    static const char *const headers[] = {"A", "B", "C", NULL};
    report_record record;
    report_record *records[] = {&record};
    cli_report report = {.records = records, .count = 1};
    cli_table *table = cli_table_new(c, headers);
    cli_table_row(table, NULL, cells);
    lpx_buf_clear(&c->out);
    cli_table_print(c, table);
    pb__reporting__v1__routed_messages_record__init(&record);
    record.forwarder_tenant_id = (char *)(uintptr_t)cells[0];
    record.home_network_tenant_id = (char *)(uintptr_t)cells[1];
    cli_report_dot(c, &report, &c->out);
    cli_report_csv(c, &report, &c->out);
    check_harmless(lpx_buf_view(&c->out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const cli_world world = {.env = no_env};
    cli c = {.world = &world};
    lpx_arena_init(&c.arena, CLI_ARENA_BYTES);
    lpx_buf_init(&c.out, CLI_OUT_BYTES);
    char *text = strndup((const char *)data, size);
    lpx_assert(text != NULL);
    const char *rest = text, *cells[CELLS] = {"", "", ""};
    lpx_str part;
    for (size_t i = 0; i < CELLS && cli_next_part(&rest, '|', &part); i++) {
        cells[i] = cli_printf(&c, "%.*s", (int)part.len, part.ptr);
    }
    check_csv(&c, cells);
    check_json(&c, text);
    check_table_and_graph(&c, cells);
    free(text);
    lpx_buf_fini(&c.out);
    lpx_arena_fini(&c.arena);
    return 0;
}
