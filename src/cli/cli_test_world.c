#include "cli/cli_test_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_WORDS = 40 };

static const char *const *variables;
static const char *input_text = "";
static char output_text[TEST_OUTPUT_BYTES], error_text[TEST_OUTPUT_BYTES];

static const char *test_env(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
        if (strncmp(variables[i], name, len) == 0 && variables[i][len] == '=') {
            return variables[i][len + 1] != 0 ? variables[i] + len + 1 : NULL;
        }
    }
    return NULL;
}

static int64_t test_utc_us(void)
{
    return 1700000000LL * 1000000;
}

void test_set_env(const char *const *env)
{
    variables = env;
}

void test_set_input(const char *text)
{
    input_text = text;
}

/* Words of a line; 'single quotes' keep spaces. */
static int split(char *text, char **words)
{
    int count = 0;
    while (*text != 0 && count < MAX_WORDS) {
        text += strspn(text, " ");
        char end = *text == '\'' ? '\'' : ' ';
        text += *text == '\'' ? 1 : 0;
        if (*text == 0) {
            break;
        }
        words[count++] = text;
        char *stop = strchr(text, end);
        if (stop == NULL) {
            break;
        }
        *stop = 0;
        text = stop + 1;
    }
    words[count] = NULL;
    return count;
}

static void read_all(FILE *file, char *out)
{
    rewind(file);
    size_t len = fread(out, 1, TEST_OUTPUT_BYTES - 1, file);
    out[len] = 0;
    (void)fclose(file);
}

test_result test_run(const char *command_line)
{
    char *words[MAX_WORDS + 1], *line = strdup(command_line);
    assert_non_null(line);
    int argc = split(line, words);
    cli_world world = {
        .in = tmpfile(), .out = tmpfile(), .err = tmpfile(), .env = test_env, .utc_us = test_utc_us, .width = 80};
    assert_non_null(world.in);
    assert_non_null(world.out);
    assert_non_null(world.err);
    (void)fputs(input_text, world.in);
    rewind(world.in);
    int status = cli_run(&world, argc, words);
    read_all(world.out, output_text);
    read_all(world.err, error_text);
    (void)fclose(world.in);
    free(line);
    return (test_result){.status = status, .out = output_text, .err = error_text};
}

void test_init(cli *c, const char *command_line)
{
    static const cli_world world = {.env = test_env, .utc_us = test_utc_us, .width = 80};
    lpx_note note = {{0}};
    char *words[MAX_WORDS + 1];
    *c = (cli){.world = &world, .config_file = ".pb.yaml"};
    lpx_arena_init(&c->arena, CLI_ARENA_BYTES);
    lpx_buf_init(&c->out, CLI_OUT_BYTES);
    char *line = cli_printf(c, "%s", command_line);
    int argc = split(line, words);
    c->root = cli_program(words[0], &c->program);
    if (lpx_failed(cli_parse(c->root, argc, words, &c->line, &note))) {
        fail_msg("%s: %s", command_line, note.text);
    }
}

void test_fini(cli *c)
{
    lpx_buf_fini(&c->out);
    lpx_arena_fini(&c->arena);
}
