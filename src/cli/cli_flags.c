/* Reading a command line in two passes: the words that are no flags choose the command, then every flag is looked up
 * among those of that command and of the groups above it. Long flags as --name value and --name=value, switches as
 * --name and --name=false, short ones as -d and -fvalue; -- ends the flags. A flag given twice counts as given last. */
#include <stdlib.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

/* Flags of the whole program, to know in the first pass which of them take a value. */
typedef struct known_flags {
    const cli_flag *flags[512];
    size_t count;
} known_flags;

static void know(known_flags *known, const cli_flag *const *lists)
{
    for (; lists != NULL && *lists != NULL; lists++) {
        for (const cli_flag *f = *lists; f->name != NULL; f++) {
            if (known->count < sizeof known->flags / sizeof *known->flags) {
                known->flags[known->count++] = f;
            }
        }
    }
}

/* The tree is ours and at most CLI_MAX_DEPTH deep: a stack of positions stands in for recursion. */
static void know_tree(known_flags *known, const cli_command *root)
{
    const cli_command *const *stack[CLI_MAX_DEPTH];
    const cli_command *const only[] = {root, NULL};
    size_t depth = 1;
    stack[0] = only;
    while (depth > 0) {
        const cli_command *command = *stack[depth - 1];
        if (command == NULL) {
            depth--;
            continue;
        }
        stack[depth - 1]++;
        know(known, command->flags);
        know(known, command->shared);
        if (command->below != NULL && depth < CLI_MAX_DEPTH) {
            stack[depth++] = command->below;
        }
    }
}

/* Name part of "--name=value" or "-x..."; *inline_value is set when the value is in the same word. */
static bool matches(const cli_flag *f, const char *word, const char **inline_value)
{
    *inline_value = NULL;
    if (word[1] != '-') {
        if (f->letter == 0 || word[1] != f->letter) {
            return false;
        }
        const char *rest = word + 2;
        *inline_value = *rest == '=' ? rest + 1 : (*rest != 0 ? rest : NULL);
        return true;
    }
    size_t len = strlen(f->name);
    if (strncmp(word + 2, f->name, len) != 0 || (word[2 + len] != 0 && word[2 + len] != '=')) {
        return false;
    }
    *inline_value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
    return true;
}

static bool is_flag_word(const char *word)
{
    return word[0] == '-' && word[1] != 0;
}

static bool takes_next_word(const known_flags *known, const char *word)
{
    const char *inline_value = NULL;
    for (size_t i = 0; i < known->count; i++) {
        if (matches(known->flags[i], word, &inline_value)) {
            return inline_value == NULL && known->flags[i]->kind != CLI_SWITCH;
        }
    }
    return false;
}

static bool has_name(const cli_command *command, lpx_str word)
{
    if (lpx_str_is(word, command->name)) {
        return true;
    }
    for (const char *a = command->aliases; a != NULL && *a != 0;) {
        size_t len = strcspn(a, ",");
        if (lpx_str_equal((lpx_str){a, len}, word)) {
            return true;
        }
        a += len + strspn(a + len, ", ");
    }
    return false;
}

static const cli_command *child_of(const cli_command *command, const char *word)
{
    for (const cli_command *const *b = command->below; b != NULL && *b != NULL; b++) {
        if (has_name(*b, lpx_str_of(word))) {
            return *b;
        }
    }
    return NULL;
}

/* First pass: the path of commands; words after it stay as arguments. */
static void find_command(const cli_command *root, int argc, char **argv, cli_line *line)
{
    known_flags *known = calloc(1, sizeof *known);
    if (known != NULL) {
        know_tree(known, root);
    }
    line->path[0] = root;
    line->depth = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            break;
        }
        if (is_flag_word(argv[i])) {
            i += known != NULL && takes_next_word(known, argv[i]) ? 1 : 0;
            continue;
        }
        const cli_command *child = child_of(line->path[line->depth - 1], argv[i]);
        if (child == NULL || line->depth == CLI_MAX_DEPTH) {
            break;
        }
        line->path[line->depth++] = child;
    }
    free(known);
}

void cli_each_flag(const cli_line *line, void (*visit)(void *ctx, const cli_flag *flag, bool shared), void *ctx)
{
    const cli_command *command = line->path[line->depth - 1];
    for (const cli_flag *const *l = command->flags; l != NULL && *l != NULL; l++) {
        for (const cli_flag *f = *l; f->name != NULL; f++) {
            visit(ctx, f, false);
        }
    }
    for (size_t i = line->depth; i-- > 0;) {
        for (const cli_flag *const *l = line->path[i]->shared; l != NULL && *l != NULL; l++) {
            for (const cli_flag *f = *l; f->name != NULL; f++) {
                visit(ctx, f, true);
            }
        }
    }
}

cli_value *cli_line_find(cli_line *line, const char *name)
{
    for (size_t i = 0; i < line->value_count; i++) {
        if (strcmp(line->values[i].flag->name, name) == 0) {
            return &line->values[i];
        }
    }
    return NULL;
}

static void add_value(void *ctx, const cli_flag *flag, bool shared)
{
    (void)shared;
    cli_line *line = ctx;
    if (line->value_count < CLI_MAX_FLAGS && cli_line_find(line, flag->name) == NULL) {
        line->values[line->value_count++] =
            (cli_value){.flag = flag, .text = flag->fallback != NULL ? flag->fallback : ""};
    }
}

static lpx_err unknown_flag(const cli_line *line, const char *word, lpx_note *note)
{
    const char *names[CLI_MAX_FLAGS] = {NULL};
    for (size_t i = 0; i < line->value_count; i++) {
        names[i] = line->values[i].flag->name;
    }
    size_t dashes = strspn(word, "-");
    size_t len = strcspn(word, "=");
    lpx_str name = {word + dashes, len > dashes ? len - dashes : 0};
    const char *near = word[1] == '-' ? cli_nearest(name, names, line->value_count) : NULL;
    return lpx_fail(note, CLI_USAGE, "unknown flag %.*s of \"%s\"%s%s", (int)len, word,
                    line->path[line->depth - 1]->name, near != NULL ? "; did you mean --" : "",
                    near != NULL ? near : "; see its --help");
}

/* One flag at argv[*i]; moves *i past a value in the next word. */
static lpx_err read_flag(cli_line *line, int argc, char **argv, int *i, lpx_note *note)
{
    const char *word = argv[*i], *text = NULL;
    cli_value *value = NULL;
    for (size_t k = 0; k < line->value_count && value == NULL; k++) {
        value = matches(line->values[k].flag, word, &text) ? &line->values[k] : NULL;
    }
    if (value == NULL) {
        return unknown_flag(line, word, note);
    }
    const cli_flag *flag = value->flag;
    if (text == NULL && flag->kind == CLI_SWITCH) {
        text = "true";
    } else if (text == NULL && *i + 1 < argc) {
        text = argv[++*i];
    } else if (text == NULL) {
        return lpx_fail(note, CLI_USAGE, "--%s wants a value: --%s %s", flag->name, flag->name,
                        cli_flag_placeholder(flag));
    }
    lpx_note why = {{0}};
    if (lpx_failed(cli_flag_check(flag, lpx_str_of(text), &why))) {
        return lpx_fail(note, CLI_USAGE, "--%s: %s", flag->name, why.text);
    }
    value->text = text;
    value->changed = true;
    return LPX_SUCCESS;
}

static lpx_err unexpected_word(const cli_line *line, const char *word, lpx_note *note)
{
    const cli_command *command = line->path[line->depth - 1];
    const char *names[CLI_MAX_ARGS] = {NULL};
    size_t count = 0;
    for (const cli_command *const *b = command->below; b != NULL && *b != NULL && count < CLI_MAX_ARGS; b++) {
        names[count++] = (*b)->name;
    }
    const char *near = cli_nearest(lpx_str_of(word), names, count);
    if (count > 0) {
        return lpx_fail(note, CLI_USAGE, "unknown command \"%.60s\" for \"%s\"%s%s", word, command->name,
                        near != NULL ? "; did you mean " : "", near != NULL ? near : "; see its --help");
    }
    return lpx_fail(note, CLI_USAGE, "\"%s\" takes no argument \"%.60s\"; see its --help", command->name, word);
}

/* Second pass. The words of the path come first among the words that are no flags. */
static lpx_err read_words(cli_line *line, int argc, char **argv, lpx_note *note)
{
    size_t path_left = line->depth - 1;
    bool flags_over = false;
    for (int i = 1; i < argc; i++) {
        if (!flags_over && strcmp(argv[i], "--") == 0) {
            flags_over = true;
        } else if (!flags_over && is_flag_word(argv[i])) {
            LPX_TRY(read_flag(line, argc, argv, &i, note));
        } else if (path_left > 0) {
            path_left--;
        } else if (!line->path[line->depth - 1]->takes_args) {
            return unexpected_word(line, argv[i], note);
        } else if (line->arg_count == CLI_MAX_ARGS) {
            return lpx_fail(note, CLI_USAGE, "too many arguments; want at most %d", CLI_MAX_ARGS);
        } else {
            line->args[line->arg_count++] = argv[i];
        }
    }
    return LPX_SUCCESS;
}

lpx_err cli_parse(const cli_command *root, int argc, char **argv, cli_line *line, lpx_note *note)
{
    *line = (cli_line){.depth = 0};
    find_command(root, argc, argv, line);
    cli_each_flag(line, add_value, line);
    return read_words(line, argc, argv, note);
}
