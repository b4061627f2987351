/* lpx gen: documentation out of the table of commands, as manual pages, pages for Hugo and a tree. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli_priv.h"
#include "codec/json/json.h"
#include "lpx_reasons.h"

typedef struct generator {
    cli *c;
    const char *folder;
    lpx_buf text;      /* of the page that is written */
    const char *parts; /* man: command whose page it is; NULL: the program's */
    lpx_err err;
    json_writer json;
    size_t depth; /* of the JSON that is open */
} generator;

static const cli_command *last_of(const cli_line *line)
{
    return line->path[line->depth - 1];
}

/* "lpx network list", with another word between. */
static const char *path_text(cli *c, const cli_line *line, char joint)
{
    const char *text = c->program;
    for (size_t i = 1; i < line->depth; i++) {
        text = cli_printf(c, "%s%c%s", text, joint, line->path[i]->name);
    }
    return text;
}

static void write_file(generator *g, const char *path)
{
    FILE *file = fopen(path, "wbe");
    bool ok = file != NULL && fwrite(g->text.ptr, 1, g->text.len, file) == g->text.len;
    ok = file != NULL && fclose(file) == 0 && ok && !lpx_buf_failed(&g->text);
    if (!ok) {
        g->err = cli_fail(g->c, CLI_FILE, "cannot write %s: %s", path, strerror(errno));
    }
    lpx_buf_clear(&g->text);
}

static lpx_err begin(cli *c, generator *g, bool folder)
{
    const char *out = cli_text(c, "out");
    *g = (generator){.c = c, .folder = out};
    if (out[0] == 0) {
        return cli_fail(c, CLI_USAGE, "say where to: --out %s", folder ? "DIRECTORY" : "FILE");
    }
    if (folder && mkdir(out, 0755) != 0 && errno != EEXIST) {
        return cli_fail(c, CLI_FILE, "cannot make the directory %s: %s", out, strerror(errno));
    }
    lpx_buf_init(&g->text, CLI_OUT_BYTES);
    return LPX_SUCCESS;
}

/* ---- manual pages ---- */

/* Roff text: a dot or quote at the start of a line and all backslashes are literal, dashes are those of commands. */
static void add_roff(lpx_buf *out, const char *text)
{
    bool line_start = true;
    for (; *text != 0; text++) {
        if (line_start && (*text == '.' || *text == '\'')) {
            lpx_buf_add_str(out, LPX_STR("\\&"));
        }
        if (*text == '\\') {
            lpx_buf_add_str(out, LPX_STR("\\e"));
        } else if (*text == '-') {
            lpx_buf_add_str(out, LPX_STR("\\-"));
        } else {
            lpx_buf_add_str(out, (lpx_str){text, 1});
        }
        line_start = *text == '\n';
    }
}

static void man_flag(void *ctx, const cli_flag *flag, bool shared)
{
    lpx_buf *out = ctx;
    if (shared) {
        return;
    }
    const char *placeholder = cli_flag_placeholder(flag);
    lpx_buf_add_str(out, LPX_STR(".TP\n"));
    if (flag->letter != 0) {
        lpx_buf_printf(out, "\\fB\\-%c\\fR, ", flag->letter);
    }
    lpx_buf_add_str(out, LPX_STR("\\fB\\-\\-"));
    add_roff(out, flag->name);
    lpx_buf_printf(out, "\\fR%s%s%s\n", placeholder[0] != 0 ? " \\fI" : "", placeholder,
                   placeholder[0] != 0 ? "\\fR" : "");
    add_roff(out, flag->text);
    if (flag->kind == CLI_WORD) {
        lpx_buf_add_str(out, LPX_STR(" ("));
        add_roff(out, flag->words);
        lpx_buf_add_str(out, LPX_STR(")"));
    }
    if (flag->fallback != NULL && flag->fallback[0] != 0 && flag->kind != CLI_SWITCH) {
        lpx_buf_add_str(out, LPX_STR("; default "));
        add_roff(out, flag->fallback);
    }
    lpx_buf_add_str(out, LPX_STR("\n"));
}

static const char *with_path(cli *c, const char *examples, const char *path)
{
    const char *rest = examples, *text = "";
    lpx_str part;
    bool first = true;
    while (cli_next_part(&rest, '%', &part)) {
        text = cli_printf(c, "%s%s%.*s", text, first ? "" : path, (int)part.len, part.ptr);
        first = false;
    }
    return text;
}

/* One command as a section of the page. */
static void man_section(cli *c, const cli_line *line, lpx_buf *out)
{
    const cli_command *command = last_of(line);
    const char *path = path_text(c, line, ' ');
    lpx_buf_add_str(out, LPX_STR(".SS \""));
    add_roff(out, path);
    lpx_buf_printf(out, "%s%s\"\n", command->args_hint != NULL ? " " : "",
                   command->args_hint != NULL ? command->args_hint : "");
    add_roff(out, command->about != NULL ? command->about : command->brief);
    lpx_buf_add_str(out, LPX_STR("\n"));
    if (command->aliases != NULL) {
        lpx_buf_add_str(out, LPX_STR(".PP\nAliases: "));
        add_roff(out, command->aliases);
        lpx_buf_add_str(out, LPX_STR("\n"));
    }
    cli_each_flag(line, man_flag, out);
    if (command->examples != NULL) {
        lpx_buf_add_str(out, LPX_STR(".PP\n.nf\n"));
        add_roff(out, with_path(c, command->examples, path));
        lpx_buf_add_str(out, LPX_STR(".fi\n"));
    }
}

static void man_head(cli *c, const char *name, const char *brief, lpx_buf *out)
{
    lpx_buf_printf(out, ".TH \"%s\" 1 \"\" \"%s\" \"User Commands\"\n.SH NAME\n", name, c->program);
    add_roff(out, name);
    lpx_buf_add_str(out, LPX_STR(" \\- "));
    add_roff(out, brief);
    lpx_buf_add_str(out, LPX_STR("\n"));
}

static void man_program(generator *g)
{
    cli *c = g->c;
    const cli_command *root = c->root;
    cli_line line = {.path = {root}, .depth = 1};
    man_head(c, c->program, root->brief, &g->text);
    lpx_buf_add_str(&g->text, LPX_STR(".SH DESCRIPTION\n"));
    add_roff(&g->text, root->about != NULL ? root->about : root->brief);
    lpx_buf_add_str(&g->text, LPX_STR("\n.SH COMMANDS\n"));
    for (const cli_command *const *b = root->below; b != NULL && *b != NULL; b++) {
        if (!(*b)->hidden) {
            lpx_buf_printf(&g->text, ".TP\n\\fB%s\\fR\n", (*b)->name);
            add_roff(&g->text, (*b)->brief);
            lpx_buf_add_str(&g->text, LPX_STR("\n"));
        }
    }
    lpx_buf_add_str(&g->text, LPX_STR(".SH OPTIONS\n"));
    cli_each_flag(&line, man_flag, &g->text);
    for (const cli_flag *const *l = root->shared; l != NULL && *l != NULL; l++) {
        for (const cli_flag *f = *l; f->name != NULL; f++) {
            man_flag(&g->text, f, false);
        }
    }
    lpx_buf_add_str(&g->text, LPX_STR(".SH FILES\n.TP\n.I .pb.yaml\nSettings, in the working directory or in the home "
                                      "directory; in the environment they are PB_ and the name in upper case.\n"));
    write_file(g, cli_printf(c, "%s/%s.1", g->folder, c->program));
}

static void man_part(void *ctx, const cli_line *line)
{
    generator *g = ctx;
    if (line->depth > 1 && strcmp(line->path[1]->name, g->parts) == 0) {
        man_section(g->c, line, &g->text);
    }
}

static lpx_err run_man(cli *c)
{
    generator g;
    LPX_TRY(begin(c, &g, true));
    man_program(&g);
    for (const cli_command *const *b = c->root->below; b != NULL && *b != NULL; b++) {
        const char *name = cli_printf(c, "%s-%s", c->program, (*b)->name);
        if ((*b)->hidden) {
            continue;
        }
        man_head(c, name, (*b)->brief, &g.text);
        lpx_buf_add_str(&g.text, LPX_STR(".SH COMMANDS\n"));
        g.parts = (*b)->name;
        cli_each_command(c->root, man_part, &g);
        lpx_buf_printf(&g.text, ".SH SEE ALSO\n.BR %s (1)\n", c->program);
        write_file(&g, cli_printf(c, "%s/%s.1", g.folder, name));
    }
    lpx_buf_fini(&g.text);
    return g.err;
}

/* ---- Hugo ---- */

static void hugo_page(void *ctx, const cli_line *line)
{
    generator *g = ctx;
    cli *c = g->c;
    const char *path = path_text(c, line, ' '), *slug = path_text(c, line, '_');
    const cli_command *command = last_of(line);
    lpx_buf help;
    lpx_buf_init(&help, CLI_OUT_BYTES);
    cli_help(c, line, &help);
    lpx_buf_printf(&g->text, "---\ntitle: \"%s\"\nslug: %s\ndescription: \"%s\"\n---\n\n```\n%.*s```\n", path, slug,
                   command->brief, (int)help.len, (const char *)help.ptr);
    if (line->depth > 1 || (command->below != NULL && *command->below != NULL)) {
        lpx_buf_add_str(&g->text, LPX_STR("\n## See also\n\n"));
    }
    if (line->depth > 1) {
        cli_line above = *line;
        above.depth--;
        lpx_buf_printf(&g->text, "- [%s]({{< relref \"%s.md\" >}})\n", path_text(c, &above, ' '),
                       path_text(c, &above, '_'));
    }
    for (const cli_command *const *b = command->below; b != NULL && *b != NULL; b++) {
        if (!(*b)->hidden) {
            lpx_buf_printf(&g->text, "- [%s %s]({{< relref \"%s_%s.md\" >}}): %s\n", path, (*b)->name, slug, (*b)->name,
                           (*b)->brief);
        }
    }
    lpx_buf_fini(&help);
    write_file(g, cli_printf(c, "%s/%s.md", g->folder, slug));
}

static lpx_err run_hugodoc(cli *c)
{
    generator g;
    LPX_TRY(begin(c, &g, true));
    cli_each_command(c->root, hugo_page, &g);
    lpx_buf_fini(&g.text);
    return g.err;
}

/* ---- tree ---- */

static void tree_flag(void *ctx, const cli_flag *flag, bool shared)
{
    generator *g = ctx;
    if (!shared) {
        json_write_object(&g->json);
        json_write_member(&g->json, "name", lpx_str_of(flag->name));
        json_write_member(&g->json, "value", lpx_str_of(cli_flag_placeholder(flag)));
        json_write_member(&g->json, "usage", lpx_str_of(flag->text));
        json_write_object_end(&g->json);
    }
}

/* Close the commands that are no ancestors of one at this depth. */
static void tree_close(generator *g, size_t depth)
{
    for (; g->depth >= depth; g->depth--) {
        json_write_array_end(&g->json);
        json_write_object_end(&g->json);
    }
}

/* Commands come each before those below it: its list of commands stays open for them. */
static void tree_command(void *ctx, const cli_line *line)
{
    generator *g = ctx;
    const cli_command *command = last_of(line);
    const char *aliases = command->aliases != NULL ? command->aliases : "";
    lpx_str alias;
    tree_close(g, line->depth);
    json_write_object(&g->json);
    json_write_member(&g->json, "name", lpx_str_of(line->depth == 1 ? g->c->program : command->name));
    json_write_member(&g->json, "short", lpx_str_of(command->brief));
    json_write_key(&g->json, LPX_STR("aliases"));
    json_write_array(&g->json);
    while (cli_next_part(&aliases, ',', &alias)) {
        aliases += aliases[0] == ' ' ? 1 : 0;
        json_write_str(&g->json, alias);
    }
    json_write_array_end(&g->json);
    json_write_key(&g->json, LPX_STR("flags"));
    json_write_array(&g->json);
    cli_each_flag(line, tree_flag, g);
    json_write_array_end(&g->json);
    json_write_key(&g->json, LPX_STR("commands"));
    json_write_array(&g->json);
    g->depth = line->depth;
}

static lpx_err run_tree(cli *c)
{
    generator g;
    LPX_TRY(begin(c, &g, false));
    json_writer_init(&g.json, &g.text, 2);
    cli_each_command(c->root, tree_command, &g);
    tree_close(&g, 1);
    lpx_buf_add_str(&g.text, LPX_STR("\n"));
    write_file(&g, g.folder);
    lpx_buf_fini(&g.text);
    return g.err;
}

static const cli_flag out_flags[] = {{"out", CLI_PATH, "where to"}, {0}};

static const cli_command man_command = {
    .name = "man",
    .brief = "Write manual pages",
    .examples = "  Write into a directory:\n    $ % --out man1\n",
    .flags = (const cli_flag *const[]){out_flags, NULL},
    .run = run_man,
};
static const cli_command hugodoc_command = {
    .name = "hugodoc",
    .brief = "Write pages for Hugo",
    .examples = "  Write into a directory:\n    $ % --out doc\n",
    .flags = (const cli_flag *const[]){out_flags, NULL},
    .run = run_hugodoc,
};
static const cli_command tree_page_command = {
    .name = "tree",
    .brief = "Write the tree of commands as JSON",
    .examples = "  Write into a file:\n    $ % --out tree.json\n",
    .flags = (const cli_flag *const[]){out_flags, NULL},
    .run = run_tree,
};

const cli_command cli_gen_command = {
    .name = "gen",
    .brief = "Write documentation",
    .below = (const cli_command *const[]){&man_command, &hugodoc_command, &tree_page_command, NULL},
    .hidden = true,
};
