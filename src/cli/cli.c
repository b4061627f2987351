/* One run of the command line: parse, settings, command, output, exit status. */
#include "cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/cli_priv.h"
#include "lpx_reasons.h"

#ifndef LPX_VERSION
#define LPX_VERSION "unknown"
#endif

__attribute__((format(printf, 2, 0))) static void set_why(cli *c, const char *format, va_list args)
{
    char text[CLI_WHY_BYTES]; /* the arguments may be c->why itself */
    (void)vsnprintf(text, sizeof text, format, args);
    memcpy(c->why, text, sizeof text);
}

lpx_err cli_fail(cli *c, uint16_t reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_why(c, format, args);
    va_end(args);
    return lpx_err_of(reason);
}

void cli_explain(cli *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_why(c, format, args);
    va_end(args);
}

static _Noreturn void out_of_memory(const cli *c)
{
    (void)fprintf(c->world->err, "%s: out of memory\n", c->program);
    exit(EXIT_FAILURE);
}

void *cli_get(cli *c, size_t size)
{
    void *room = lpx_arena_get(&c->arena, size);
    if (room == NULL) {
        out_of_memory(c);
    }
    return room;
}

void *cli_new(cli *c, const ProtobufCMessageDescriptor *desc)
{
    ProtobufCMessage *message = cli_get(c, desc->sizeof_message);
    desc->message_init(message);
    return message;
}

char *cli_printf(cli *c, const char *format, ...)
{
    va_list args, again;
    lpx_assert(format != NULL);
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = cli_get(c, (size_t)(len > 0 ? len : 0) + 1);
    (void)vsnprintf(text, (size_t)(len > 0 ? len : 0) + 1, format, again);
    va_end(again);
    return text;
}

char *cli_text(cli *c, const char *name)
{
    cli_value *value = cli_line_find(&c->line, name);
    return cli_printf(c, "%s", value != NULL ? value->text : "");
}

static const char *actor_flag(cli *c, const char *actor, const char *name)
{
    return actor[0] != 0 ? cli_printf(c, "%s-%s", actor, name) : name;
}

char *cli_actor_text(cli *c, const char *actor, const char *name)
{
    return cli_text(c, actor_flag(c, actor, name));
}

bool cli_changed(cli *c, const char *name)
{
    cli_value *value = cli_line_find(&c->line, name);
    return value != NULL && value->changed;
}

bool cli_actor_changed(cli *c, const char *actor, const char *name)
{
    return cli_changed(c, actor_flag(c, actor, name));
}

bool cli_on(cli *c, const char *name)
{
    cli_value *value = cli_line_find(&c->line, name);
    return value != NULL && (value->text[0] == 't' || value->text[0] == 'T' || value->text[0] == '1');
}

uint64_t cli_number(cli *c, const char *name)
{
    uint64_t number = 0;
    return lpx_parse_u64(lpx_str_of(cli_text(c, name)), UINT64_MAX, &number) ? number : 0;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

void cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* without SA_RESTART: waiting ends at once */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

void cli_release_interrupt(void)
{
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
}

static lpx_err run_help(cli *c)
{
    cli_line line = {.path = {c->root}, .depth = 1};
    for (size_t i = 0; i < c->line.arg_count; i++) {
        lpx_note note = {{0}};
        char *words[] = {"", (char *)(uintptr_t)c->line.args[i], NULL};
        cli_line step = {.depth = 0};
        if (lpx_failed(cli_parse(line.path[line.depth - 1], 2, words, &step, &note)) || step.depth != 2 ||
            line.depth == CLI_MAX_DEPTH) {
            return cli_fail(c, CLI_USAGE, "%s",
                            note.text[0] != 0 ? note.text : cli_printf(c, "no command \"%.60s\"", c->line.args[i]));
        }
        line.path[line.depth++] = step.path[1];
    }
    cli_help(c, &line, &c->out);
    return LPX_SUCCESS;
}

const cli_command cli_help_command = {
    .name = "help",
    .brief = "Show help of a command",
    .examples = "  % network create\n",
    .run = run_help,
    .takes_args = true,
    .args_hint = "[COMMAND...]",
};

static lpx_err run_completion(cli *c)
{
    const char *shell = c->line.arg_count > 0 ? c->line.args[0] : "bash";
    return cli_completion(shell, c->program, c->root, &c->out)
               ? LPX_SUCCESS
               : cli_fail(c, CLI_USAGE, "want bash, zsh or fish, not \"%.60s\"", shell);
}

const cli_command cli_completion_command = {
    .name = "completion",
    .brief = "Print a completion script for bash, zsh or fish",
    .examples = "  Use it in this bash:\n    $ source <(%)\n\n  Install it for zsh:\n"
                "    $ % zsh > ~/.zfunc/_lpx\n\n"
                "  Install it for fish:\n    $ % fish > ~/.config/fish/completions/lpx.fish\n",
    .run = run_completion,
    .takes_args = true,
    .args_hint = "[bash|zsh|fish]",
};

static lpx_err run_command(cli *c)
{
    const cli_command *command = c->line.path[c->line.depth - 1];
    if (cli_on(c, "version")) {
        lpx_buf_printf(&c->out, "%s %s\n", c->program, LPX_VERSION);
        return LPX_SUCCESS;
    }
    if (cli_on(c, "help") || command->run == NULL) {
        cli_help(c, &c->line, &c->out);
        return LPX_SUCCESS;
    }
    const char *form = cli_text(c, "output");
    c->debug = cli_on(c, "debug");
    c->form = strcmp(form, "json") == 0 ? CLI_FORM_JSON : (strcmp(form, "csv") == 0 ? CLI_FORM_CSV : CLI_FORM_TABLE);
    LPX_TRY(cli_settings_load(c));
    return command->run(c);
}

lpx_err cli_flush(cli *c)
{
    if (lpx_buf_failed(&c->out)) {
        return cli_fail(c, CLI_INPUT, "the answer is too long to be printed");
    }
    bool written = c->out.len == 0 || fwrite(c->out.ptr, 1, c->out.len, c->world->out) == c->out.len;
    lpx_buf_clear(&c->out);
    if (fflush(c->world->out) != 0 || !written) {
        return cli_fail(c, CLI_FILE, "cannot write to standard output");
    }
    return LPX_SUCCESS;
}

/* Exit status of a failed call, by its gRPC code. */
static int status_of_call(uint16_t code)
{
    switch ((lpx_code)code) {
    case LPX_NOT_FOUND:
        return CLI_EXIT_NOT_FOUND;
    case LPX_PERMISSION_DENIED:
    case LPX_UNAUTHENTICATED:
        return CLI_EXIT_NOT_ALLOWED;
    case LPX_UNAVAILABLE:
    case LPX_DEADLINE_EXCEEDED:
        return CLI_EXIT_UNREACHABLE;
    case LPX_OK:
    case LPX_CANCELLED:
    case LPX_UNKNOWN:
    case LPX_INVALID_ARGUMENT:
    case LPX_ALREADY_EXISTS:
    case LPX_RESOURCE_EXHAUSTED:
    case LPX_FAILED_PRECONDITION:
    case LPX_ABORTED:
    case LPX_OUT_OF_RANGE:
    case LPX_UNIMPLEMENTED:
    case LPX_INTERNAL:
    case LPX_DATA_LOSS:
        break;
    }
    return CLI_EXIT_FAILED;
}

static int status_of(const cli *c, lpx_err err)
{
    if (c->drop_in) {
        return CLI_EXIT_FAILED;
    }
    if (err.reason == CLI_USAGE) {
        return CLI_EXIT_USAGE;
    }
    if (err.reason == CLI_INCOMPLETE) {
        return CLI_EXIT_NO;
    }
    return err.reason == AGENT_CALL_FAILED ? status_of_call(err.code) : CLI_EXIT_FAILED;
}

static int finish(cli *c, lpx_err err)
{
    if (!lpx_failed(err)) {
        err = cli_flush(c);
    }
    if (lpx_failed(err)) {
        (void)fprintf(c->world->err, "%s: %s\n", c->program, cli_clean(c, c->why, false));
    }
    return lpx_failed(err) ? status_of(c, err) : CLI_EXIT_DONE;
}

int cli_run(const cli_world *world, int argc, char **argv)
{
    cli c = {.world = world, .config_file = ".pb.yaml"};
    lpx_note note = {{0}};
    lpx_arena_init_wiped(&c.arena, CLI_ARENA_BYTES);
    lpx_buf_init(&c.out, CLI_OUT_BYTES);
    c.root = cli_program(argc > 0 ? argv[0] : "lpx", &c.program);
    c.drop_in = strcmp(c.program, "lpx") != 0;
    lpx_err err = cli_parse(c.root, argc, argv, &c.line, &note);
    if (lpx_failed(err) && cli_on(&c, "help")) {
        cli_help(&c, &c.line, &c.out);
        err = LPX_SUCCESS;
    } else if (lpx_failed(err)) {
        cli_explain(&c, "%s", note.text);
    } else {
        err = run_command(&c);
    }
    int status = finish(&c, err);
    agent_close(&c.agent);
    lpx_wipe(c.out.ptr, c.out.len);
    lpx_buf_fini(&c.out);
    lpx_arena_fini(&c.arena);
    return status;
}

static const char *system_env(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != 0 ? value : NULL;
}

static int64_t system_utc_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int cli_main(int argc, char **argv)
{
    struct winsize size = {0};
    bool terminal = isatty(STDOUT_FILENO) != 0;
    bool sized = terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    cli_world world = {
        .in = stdin,
        .out = stdout,
        .err = stderr,
        .env = system_env,
        .utc_us = system_utc_us,
        .out_is_terminal = terminal,
        .err_is_terminal = isatty(STDERR_FILENO) != 0,
        .width = sized ? size.ws_col : 80,
        .height = sized ? size.ws_row : 24,
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cli_run(&world, argc, argv);
}
