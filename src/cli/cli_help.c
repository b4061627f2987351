/* Help, suggestions and a walk over all commands: all from the table of commands. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_priv.h"

const char *cli_nearest(lpx_str typed, const char *const *words, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)(typed.len / 3) + 1;
    for (size_t i = 0; i < count; i++) {
        lpx_str word = lpx_str_of(words[i]);
        unsigned distance = lpx_edit_distance(typed, word);
        if (typed.len >= 3 && lpx_str_starts(word, typed)) {
            distance = distance > 1 ? 1 : distance;
        }
        if (distance <= best_distance && (best == NULL || distance < best_distance)) {
            best = words[i];
            best_distance = distance;
        }
    }
    return best;
}

void cli_help_path(const char *program, const cli_line *line, lpx_buf *out)
{
    lpx_buf_add_str(out, lpx_str_of(program));
    for (size_t i = 1; i < line->depth; i++) {
        lpx_buf_printf(out, " %s", line->path[i]->name);
    }
}

/* Examples: % stands for the path of the command. */
static void add_examples(const char *program, const cli_line *line, const char *text, lpx_buf *out)
{
    for (; *text != 0; text++) {
        if (*text == '%') {
            cli_help_path(program, line, out);
        } else {
            lpx_buf_add(out, lpx_bytes_of(text, 1));
        }
    }
}

typedef struct flag_help {
    lpx_buf *out;
    const char *seen[CLI_MAX_FLAGS];
    size_t seen_count;
    bool shared; /* which of the two lists is printed */
    bool any;
    const char *program;
} flag_help;

static bool is_new(flag_help *h, const char *name)
{
    for (size_t i = 0; i < h->seen_count; i++) {
        if (strcmp(h->seen[i], name) == 0) {
            return false;
        }
    }
    if (h->seen_count < CLI_MAX_FLAGS) {
        h->seen[h->seen_count++] = name;
    }
    return true;
}

/* "a|b|c" as "a, b, c". */
static void add_words(const char *words, lpx_buf *out)
{
    for (; *words != 0; words++) {
        lpx_buf_add_str(out, *words == '|' ? LPX_STR(", ") : (lpx_str){words, 1});
    }
}

static void help_flag(void *ctx, const cli_flag *flag, bool shared)
{
    flag_help *h = ctx;
    if (!is_new(h, flag->name) || shared != h->shared) {
        return;
    }
    if (!h->any) {
        lpx_buf_printf(h->out, "\n%s:\n", shared ? "Global flags" : "Flags");
        h->any = true;
    }
    char left[64], letter[8] = "    ";
    if (flag->letter != 0) {
        (void)snprintf(letter, sizeof letter, "-%c, ", flag->letter);
    }
    const char *placeholder = cli_flag_placeholder(flag);
    (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, flag->name, placeholder[0] != 0 ? " " : "", placeholder);
    lpx_buf_printf(h->out, "  %-35s %s", left, flag->text);
    if (flag->kind == CLI_WORD && strstr(flag->text, "json") == NULL) {
        lpx_buf_add_str(h->out, LPX_STR(" ("));
        add_words(flag->words, h->out);
        lpx_buf_add_str(h->out, LPX_STR(")"));
    }
    if (flag->fallback != NULL && flag->fallback[0] != 0 && flag->kind != CLI_SWITCH) {
        lpx_buf_printf(h->out, " (default %s)", flag->fallback);
    }
    lpx_buf_add_str(h->out, LPX_STR("\n"));
}

static void help_children(const cli_command *command, lpx_buf *out)
{
    lpx_buf_add_str(out, LPX_STR("\nCommands:\n"));
    for (const cli_command *const *b = command->below; *b != NULL; b++) {
        if (!(*b)->hidden) {
            lpx_buf_printf(out, "  %-18s  %s\n", (*b)->name, (*b)->brief);
        }
    }
}

static void help_usage(const char *program, const cli_line *line, lpx_buf *out)
{
    const cli_command *command = line->path[line->depth - 1];
    lpx_buf_add_str(out, LPX_STR("\nUsage:\n"));
    if (command->run != NULL) {
        lpx_buf_add_str(out, LPX_STR("  "));
        cli_help_path(program, line, out);
        lpx_buf_printf(out, "%s%s [flags]\n", command->args_hint != NULL ? " " : "",
                       command->args_hint != NULL ? command->args_hint : "");
    }
    if (command->below != NULL) {
        lpx_buf_add_str(out, LPX_STR("  "));
        cli_help_path(program, line, out);
        lpx_buf_add_str(out, LPX_STR(" COMMAND [flags]\n"));
    }
}

static const char settings_text[] =
    "\nA setting given by no flag is taken from the environment (PB_ and the name in upper case, like\n"
    "PB_CLIENT_ID), then from the file .pb.yaml in the working directory or in the home directory.\n";

void cli_help(cli *c, const cli_line *line, lpx_buf *out)
{
    const cli_command *command = line->path[line->depth - 1];
    lpx_buf_printf(out, "%s\n", command->about != NULL ? command->about : command->brief);
    help_usage(c->program, line, out);
    if (command->aliases != NULL) {
        lpx_buf_printf(out, "\nAliases:\n  %s, %s\n", command->name, command->aliases);
    }
    if (command->examples != NULL) {
        lpx_buf_add_str(out, LPX_STR("\nExamples:\n"));
        add_examples(c->program, line, command->examples, out);
    }
    if (command->below != NULL) {
        help_children(command, out);
    }
    flag_help own = {.out = out, .shared = false}, global = {.out = out, .shared = true};
    cli_each_flag(line, help_flag, &own);
    cli_each_flag(line, help_flag, &global);
    lpx_buf_add_str(out, LPX_STR(settings_text));
    if (command->below != NULL) {
        lpx_buf_add_str(out, LPX_STR("\nUse \""));
        cli_help_path(c->program, line, out);
        lpx_buf_add_str(out, LPX_STR(" COMMAND --help\" for more about a command.\n"));
    }
}

/* The tree is ours and at most CLI_MAX_DEPTH deep: a stack of positions stands in for recursion. */
void cli_each_command(const cli_command *root, void (*visit)(void *ctx, const cli_line *line), void *ctx)
{
    const cli_command *const *next[CLI_MAX_DEPTH];
    cli_line *line = calloc(1, sizeof *line);
    if (line == NULL) {
        return;
    }
    line->path[0] = root;
    line->depth = 1;
    next[0] = root->below;
    visit(ctx, line);
    while (line->depth > 0) {
        const cli_command *const **at = &next[line->depth - 1];
        if (*at == NULL || **at == NULL || line->depth == CLI_MAX_DEPTH) {
            line->depth--;
            continue;
        }
        const cli_command *command = *(*at)++;
        if (!command->hidden) {
            line->path[line->depth++] = command;
            next[line->depth - 1] = command->below;
            visit(ctx, line);
        }
    }
    free(line);
}
