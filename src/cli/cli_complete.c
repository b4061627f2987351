/* Completion scripts for bash, zsh and fish, from the table of commands. All three work alike: the words before the
 * first flag, with aliases replaced by names, choose the command; its subcommands and flags are offered, and the known
 * words of the flag that stands before. */
#include <string.h>

#include "cli/cli_priv.h"

typedef struct script {
    lpx_buf *out;
    const char *program;
    const cli_command *root;
    const cli_line *line;            /* of the command that is written */
    const char *seen[CLI_MAX_FLAGS]; /* flags that were written */
    size_t seen_count;
} script;

static bool is_new(script *s, const char *name)
{
    for (size_t i = 0; i < s->seen_count; i++) {
        if (strcmp(s->seen[i], name) == 0) {
            return false;
        }
    }
    if (s->seen_count < CLI_MAX_FLAGS) {
        s->seen[s->seen_count++] = name;
    }
    return true;
}

static void add(script *s, const char *text)
{
    lpx_buf_add_str(s->out, lpx_str_of(text));
}

/* Words of the path below the program; count of them. */
static void add_path(script *s, const cli_line *line, size_t depth)
{
    for (size_t i = 1; i < depth; i++) {
        lpx_buf_printf(s->out, "%s%s", i > 1 ? " " : "", line->path[i]->name);
    }
}

/* Text inside single quotes of bash and zsh; fish takes it too, for there are no backslashes in it. */
static void add_quoted(script *s, const char *text, const char *escaped)
{
    for (; *text != 0; text++) {
        if (*text == '\'') {
            add(s, "'\\''");
        } else {
            lpx_buf_printf(s->out, "%s%c", strchr(escaped, *text) != NULL ? "\\" : "", *text);
        }
    }
}

/* ---- what all three have ---- */

/* One case for each alias: the path so far and the word typed become the name.
 * @param head, middle, tail what stands around path/alias and name in the language of the shell */
static void alias_cases(script *s, const cli_line *line, const char *head, const char *middle, const char *tail)
{
    const cli_command *command = line->path[line->depth - 1];
    const char *rest = line->depth > 1 && command->aliases != NULL ? command->aliases : "";
    lpx_str alias;
    while (cli_next_part(&rest, ',', &alias)) {
        rest += rest[0] == ' ' ? 1 : 0;
        add(s, head);
        add_path(s, line, line->depth - 1);
        lpx_buf_printf(s->out, "/%.*s%s%s%s", (int)alias.len, alias.ptr, middle, command->name, tail);
    }
}

static void alias_shell(void *ctx, const cli_line *line)
{
    alias_cases(ctx, line, "      \"", "\") word=", " ;;\n");
}

/* Flags with known words: one case each for the whole program, as a flag means the same in all commands. */
static void words_flag(void *ctx, const cli_flag *flag, bool shared)
{
    script *s = ctx;
    lpx_str words[CLI_MAX_WORDS];
    size_t count = cli_flag_words(flag, words, CLI_MAX_WORDS);
    (void)shared;
    if (count == 0 || !is_new(s, flag->name)) {
        return;
    }
    lpx_buf_printf(s->out, "    --%s", flag->name);
    if (flag->letter != 0) {
        lpx_buf_printf(s->out, "|-%c", flag->letter);
    }
    add(s, ") known=\"");
    for (size_t i = 0; i < count; i++) {
        lpx_buf_printf(s->out, "%s%.*s", i > 0 ? " " : "", (int)words[i].len, words[i].ptr);
    }
    add(s, "\" ;;\n");
}

static void words_command(void *ctx, const cli_line *line)
{
    cli_each_flag(line, words_flag, ctx);
}

static void each(script *s, void (*visit)(void *ctx, const cli_line *line))
{
    s->seen_count = 0;
    cli_each_command(s->root, visit, s);
}

/* ---- bash ---- */

static void bash_flag(void *ctx, const cli_flag *flag, bool shared)
{
    script *s = ctx;
    (void)shared;
    if (is_new(s, flag->name)) {
        lpx_buf_printf(s->out, "--%s ", flag->name);
    }
}

static void bash_command(void *ctx, const cli_line *line)
{
    script *s = ctx;
    s->seen_count = 0;
    add(s, "    \"");
    add_path(s, line, line->depth);
    add(s, "\") words=\"");
    for (const cli_command *const *b = line->path[line->depth - 1]->below; b != NULL && *b != NULL; b++) {
        add(s, (*b)->hidden ? "" : (*b)->name);
        add(s, (*b)->hidden ? "" : " ");
    }
    cli_each_flag(line, bash_flag, s);
    add(s, "\" ;;\n");
}

static void bash_script(script *s)
{
    lpx_buf_printf(s->out,
                   "# bash completion of %s\n"
                   "_%s_complete() {\n"
                   "  local current=\"${COMP_WORDS[COMP_CWORD]}\" where=\"\" words=\"\" known=\"\" word i\n"
                   "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                   "    word=\"${COMP_WORDS[i]}\"\n"
                   "    case \"$word\" in -*) break ;; esac\n"
                   "    case \"$where/$word\" in\n",
                   s->program, s->program);
    each(s, alias_shell);
    add(s, "    esac\n    where=\"${where:+$where }$word\"\n  done\n"
           "  case \"${COMP_WORDS[COMP_CWORD-1]}\" in\n");
    each(s, words_command);
    add(s, "  esac\n"
           "  if [ -n \"$known\" ]; then\n" /* the last part of a list with commas */
           "    COMPREPLY=($(compgen -P \"${current%\"${current##*,}\"}\" -W \"$known\" -- \"${current##*,}\"))\n"
           "    return\n  fi\n"
           "  case \"$where\" in\n");
    each(s, bash_command);
    lpx_buf_printf(s->out,
                   "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                   "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$current\"))\n}\n"
                   "complete -F _%s_complete %s\n",
                   s->program, s->program);
}

/* ---- zsh ---- */

static void zsh_flag(void *ctx, const cli_flag *flag, bool shared)
{
    script *s = ctx;
    (void)shared;
    if (is_new(s, flag->name)) {
        lpx_buf_printf(s->out, " '--%s:", flag->name);
        add_quoted(s, flag->text, ":\\");
        add(s, "'");
    }
}

static void zsh_command(void *ctx, const cli_line *line)
{
    script *s = ctx;
    s->seen_count = 0;
    add(s, "    \"");
    add_path(s, line, line->depth);
    add(s, "\") found=(");
    for (const cli_command *const *b = line->path[line->depth - 1]->below; b != NULL && *b != NULL; b++) {
        if (!(*b)->hidden) {
            lpx_buf_printf(s->out, " '%s:", (*b)->name);
            add_quoted(s, (*b)->brief, ":\\");
            add(s, "'");
        }
    }
    cli_each_flag(line, zsh_flag, s);
    add(s, ") ;;\n");
}

static void zsh_script(script *s)
{
    lpx_buf_printf(s->out,
                   "#compdef %s\n"
                   "_%s() {\n"
                   "  local where=\"\" word=\"\" known=\"\" i\n"
                   "  local -a found\n"
                   "  for ((i = 2; i < CURRENT; i++)); do\n"
                   "    word=\"${words[i]}\"\n"
                   "    case \"$word\" in -*) break ;; esac\n"
                   "    case \"$where/$word\" in\n",
                   s->program, s->program);
    each(s, alias_shell);
    add(s, "    esac\n    where=\"${where:+$where }$word\"\n  done\n"
           "  case \"${words[CURRENT-1]}\" in\n");
    each(s, words_command);
    add(s, "  esac\n"
           "  if [[ -n \"$known\" ]]; then\n"
           "    compset -P '*,'\n"
           "    compadd -- ${=known}\n"
           "    return\n  fi\n"
           "  case \"$where\" in\n");
    each(s, zsh_command);
    lpx_buf_printf(s->out,
                   "  esac\n  _describe -o '%s' found || _files\n}\n"
                   "if [[ \"${funcstack[1]}\" = \"_%s\" ]]; then\n  _%s \"$@\"\nelse\n  compdef _%s %s\nfi\n",
                   s->program, s->program, s->program, s->program, s->program);
}

/* ---- fish ---- */

static void alias_fish(void *ctx, const cli_line *line)
{
    alias_cases(ctx, line, "      case '", "'\n        set word ", "\n");
}

static void fish_line(script *s, const cli_line *line)
{
    lpx_buf_printf(s->out, "complete -c %s -n '__%s_at \"", s->program, s->program);
    add_path(s, line, line->depth);
    add(s, "\"' ");
}

static void fish_flag(void *ctx, const cli_flag *flag, bool shared)
{
    script *s = ctx;
    lpx_str words[CLI_MAX_WORDS];
    size_t count = cli_flag_words(flag, words, CLI_MAX_WORDS);
    (void)shared;
    if (!is_new(s, flag->name)) {
        return;
    }
    fish_line(s, s->line);
    lpx_buf_printf(s->out, "-l %s", flag->name);
    if (flag->letter != 0) {
        lpx_buf_printf(s->out, " -s %c", flag->letter);
    }
    add(s, flag->kind == CLI_SWITCH ? "" : (flag->kind == CLI_PATH ? " -r" : " -x"));
    add(s, count > 0 ? " -a '" : "");
    for (size_t i = 0; i < count; i++) {
        lpx_buf_printf(s->out, "%s%.*s", i > 0 ? " " : "", (int)words[i].len, words[i].ptr);
    }
    add(s, count > 0 ? "' -d '" : " -d '");
    add_quoted(s, flag->text, "\\");
    add(s, "'\n");
}

static void fish_command(void *ctx, const cli_line *line)
{
    script *s = ctx;
    s->seen_count = 0;
    s->line = line;
    for (const cli_command *const *b = line->path[line->depth - 1]->below; b != NULL && *b != NULL; b++) {
        if (!(*b)->hidden) {
            fish_line(s, line);
            lpx_buf_printf(s->out, "-f -a %s -d '", (*b)->name);
            add_quoted(s, (*b)->brief, "\\");
            add(s, "'\n");
        }
    }
    cli_each_flag(line, fish_flag, s);
}

static void fish_script(script *s)
{
    lpx_buf_printf(s->out,
                   "# fish completion of %s\n"
                   "function __%s_at\n"
                   "  set -l words (commandline -opc)\n"
                   "  set -l where ''\n"
                   "  for word in $words[2..-1]\n"
                   "    string match -q -- '-*' $word; and break\n"
                   "    switch \"$where/$word\"\n",
                   s->program, s->program);
    each(s, alias_fish);
    add(s, "    end\n    set where (string trim \"$where $word\")\n  end\n"
           "  test \"$where\" = \"$argv[1]\"\nend\n");
    each(s, fish_command);
}

bool cli_completion(const char *shell, const char *program, const cli_command *root, lpx_buf *out)
{
    script s = {.out = out, .program = program, .root = root};
    if (strcmp(shell, "bash") == 0) {
        bash_script(&s);
    } else if (strcmp(shell, "zsh") == 0) {
        zsh_script(&s);
    } else if (strcmp(shell, "fish") == 0) {
        fish_script(&s);
    } else {
        return false;
    }
    return true;
}
