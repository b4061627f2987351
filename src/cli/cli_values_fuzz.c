/* Flag values: what the check lets through, the reader reads whole; and any command line ends in a sentence or a parse.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/cli_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_WORDS = 32 };

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static size_t count_commas(const char *text)
{
    size_t count = 0;
    for (; *text != 0; text++) {
        count += *text == ',' ? 1 : 0;
    }
    return count;
}

static void check_value(cli *c, cli_kind kind, const char *text)
{
    const cli_flag flag = {.name = "flag", .kind = kind, .text = "", .words = "json|csv|table"};
    lpx_note note = {{0}};
    size_t count = 0;
    if (lpx_failed(cli_flag_check(&flag, lpx_str_of(text), &note))) {
        lpx_assert(note.text[0] != 0);
        return;
    }
    if (kind == CLI_BLOCKS) {
        Pb__V3__DevAddrBlock **blocks = cli_blocks_of(c, text, &count);
        lpx_assert(count == (text[0] != 0 ? count_commas(text) + 1 : 0));
        for (size_t i = 0; i < count; i++) {
            lpx_assert(blocks[i]->prefix->length <= 32);
        }
        (void)cli_blocks_merge(c, blocks, &count, text, text);
        lpx_assert(count == 0); /* all that was added is removed again */
    } else if (kind == CLI_RIGHTS) {
        Pb__V3__Right *rights = cli_rights_of(c, text, &count);
        lpx_assert(count == (text[0] != 0 ? count_commas(text) + 1 : 0));
        (void)cli_show_rights(c, rights, count);
    } else if (kind == CLI_EUI_PREFIXES) {
        Pb__V3__JoinEUIPrefix **prefixes = cli_eui_prefixes_of(c, text, &count);
        lpx_assert(count == (text[0] != 0 ? count_commas(text) + 1 : 0));
        (void)cli_show_eui_prefixes(c, prefixes, count);
    } else if (kind == CLI_DURATION) {
        lpx_assert(cli_seconds_of(text) >= 0);
    } else if (kind == CLI_WORD) {
        lpx_assert(strcmp(text, "json") == 0 || strcmp(text, "csv") == 0 || strcmp(text, "table") == 0);
    } else if (kind == CLI_DEVADDR || kind == CLI_EUI) {
        lpx_assert(strtoull(text, NULL, 16) == cli_hex_of(text));
    } else if (kind == CLI_NETID) {
        lpx_assert(cli_net_id_of(text) <= 0xFFFFFF);
    } else if (kind == CLI_DECIMAL) {
        lpx_assert(strtod(text, NULL) > 0);
    }
}

/* Words between line breaks. */
static void check_command_line(cli *c, char *text)
{
    char *words[MAX_WORDS + 1] = {"lpx"};
    int argc = 1;
    for (char *word = strtok_r(text, "\n", &text); word != NULL && argc < MAX_WORDS;
         word = strtok_r(NULL, "\n", &text)) {
        words[argc++] = word;
    }
    lpx_note note = {{0}};
    c->root = cli_program("lpx", &c->program);
    if (lpx_failed(cli_parse(c->root, argc, words, &c->line, &note))) {
        lpx_assert(note.text[0] != 0);
    }
    cli_help(c, &c->line, &c->out);
    lpx_assert(!lpx_buf_failed(&c->out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const cli_world world = {.env = no_env};
    if (size == 0) {
        return 0;
    }
    cli c = {.world = &world};
    lpx_arena_init(&c.arena, CLI_ARENA_BYTES);
    lpx_buf_init(&c.out, CLI_OUT_BYTES);
    char *text = strndup((const char *)data + 1, size - 1);
    lpx_assert(text != NULL);
    if (data[0] == 'l') {
        check_command_line(&c, text);
    } else {
        check_value(&c, (cli_kind)(data[0] % (CLI_LAST_KIND + 1)), text);
        (void)cli_clean(&c, text, true);
    }
    free(text);
    lpx_buf_fini(&c.out);
    lpx_arena_fini(&c.arena);
    return 0;
}
