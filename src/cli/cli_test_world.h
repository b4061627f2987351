/* A world for tests: output in files without names, an environment of one's own. */
#pragma once
#include "cli/cli_priv.h"

enum { TEST_OUTPUT_BYTES = 1 << 20 };

/** What a run printed; valid until the next run. */
typedef struct test_result {
    int status;
    char *out, *err;
} test_result;

/** Variables of the environment: NAME=value, ended by NULL. Borrowed. */
void test_set_env(const char *const *env);
/** Standard input of the next run. Borrowed. */
void test_set_input(const char *text);
/** Run "lpx list --x" or "pbadmin ..." split at spaces. */
test_result test_run(const char *command_line);
/** Make a run by hand: a cli whose line was parsed from the words; ends with test_fini. Fails the test when the words
 * are refused. */
void test_init(cli *c, const char *command_line);
/** End it. */
void test_fini(cli *c);
