/* Any text as a configuration file, and its lines as command line and environment: what is accepted prints as YAML that
 * gives the same settings. */
#include <stdlib.h>

#include "base/assert.h"
#include "conf/conf.h"
#include "lpx_reasons.h"

enum { LINES_MAX = 32, BUF_BYTES = 4 * 1024 * 1024 };

static const conf_option options[] = {
    {.name = "a.text", .type = CONF_STR, .def = "x", .short_name = 't', .help = "text"},
    {.name = "a.wait", .type = CONF_DURATION, .def = "1s", .min = 1, .max = INT64_C(86400000000), .help = "duration"},
    {.name = "a.size", .type = CONF_SIZE, .help = "size"},
    {.name = "a.number", .type = CONF_INT, .min = -5, .max = 5, .help = "number"},
    {.name = "b-flag", .type = CONF_BOOL, .short_name = 'b', .help = "bool"},
    {.name = "b-word", .type = CONF_WORD, .def = "one", .words = "one|two", .help = "word"},
    {.name = "list", .type = CONF_LIST, .short_name = 'l', .help = "list"},
    {.name = "words", .type = CONF_LIST, .words = "one|two", .max = 4, .help = "list of words"},
};
static const conf_table table = {"Fuzz", options, sizeof options / sizeof options[0]};
static const conf_table *const tables[] = {&table};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static conf_set *set_new(void)
{
    conf_set *set = NULL;
    lpx_assert(!lpx_failed(conf_new(tables, 1, &set)));
    return set;
}

static void print_check(const conf_set *set)
{
    lpx_buf out;
    lpx_note note;
    conf_set *again = set_new();
    lpx_buf_init(&out, BUF_BYTES);
    conf_print(set, &out);
    lpx_err err = conf_add_yaml(again, "printed", lpx_bytes_str(lpx_buf_view(&out)), &note);
    bool too_big = err.code == LPX_RESOURCE_EXHAUSTED || lpx_buf_failed(&out);
    lpx_assert(!lpx_failed(err) || too_big);
    if (!too_big) {
        lpx_assert(conf_diff(set, again, NULL, NULL) == 0);
    }
    lpx_buf_fini(&out);
    conf_free(&again);
}

static void yaml_check(lpx_str text)
{
    conf_set *set = set_new();
    lpx_note note = {{0}};
    lpx_err err = conf_add_yaml(set, "fuzz", text, &note);
    lpx_assert(!lpx_failed(err) || err.reason == BASE_NO_MEMORY || note.text[0] != '\0');
    print_check(set);
    conf_free(&set);
}

static void lines_check(lpx_str text)
{
    char *copy = malloc(text.len + 1), *lines[LINES_MAX + 2], *save = NULL;
    int count = 1;
    lpx_note note;
    lpx_assert(copy != NULL);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    lines[0] = copy + text.len;
    for (char *line = strtok_r(copy, "\n", &save); line != NULL && count <= LINES_MAX;
         line = strtok_r(NULL, "\n", &save)) {
        lines[count++] = line;
    }
    lines[count] = NULL;
    conf_set *set = set_new();
    (void)!lpx_failed(conf_add_env(set, "LPX_", lines, false, &note));
    print_check(set);
    int kept = count;
    lpx_err err = conf_add_args(set, &kept, lines, &note);
    lpx_assert(lpx_failed(err) || kept <= count);
    print_check(set);
    conf_free(&set);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_str text = {(const char *)data, size};
    yaml_check(text);
    lines_check(text);
    return 0;
}
