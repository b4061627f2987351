/* lpxd, the exchange: settings, help, and off it goes. */
#include "bin/lpxd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lpx_reasons.h"

#define VERSION "lpxd " LPX_VERSION

static const char usage[] =
    "lpxd, an open LoRaWAN packet exchange.\n"
    "\n"
    "Usage: lpxd [--config FILE] [--SETTING VALUE ...]      run the exchange\n"
    "       lpxd check-config [--config FILE] [...]         check the settings and print them with their sources\n"
    "       lpxd --help | --version | reference             this text, the version, all settings as Markdown\n"
    "       lpxd man [conf]                                 the manual page lpxd(8), or lpxd.conf(5)\n"
    "\n"
    "Without any setting it makes a data folder, its own CA and an administrator, and listens on this machine alone.\n"
    "A setting a.b-c is a.b-c in the file (YAML), LPX_A_B_C in the environment and --a.b-c on the command line; the\n"
    "command line wins over the environment, the environment over the file. SIGHUP reads certificates and settings "
    "again;\n"
    "SIGTERM lets open calls finish and ends.\n"
    "\n"
    "Examples:\n"
    "  lpxd\n"
    "  lpxd --data.dir /srv/lpx --grpc.listen 0.0.0.0:1900 --http.listen 0.0.0.0:1901 --tls.names "
    "exchange.example.org\n"
    "  lpxd --config /etc/lpx/lpxd.yaml --store.url postgresql://lpx@db.example.org/lpx\n"
    "\n";

extern char **environ;

static int fail(const char *text)
{
    (void)fprintf(stderr, "lpxd: %s\n", text);
    return 1;
}

/* --config FILE or --config=FILE out of the arguments; NULL when absent. */
static const char *take_config(int *argc, char **argv)
{
    const char *file = NULL;
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < *argc) {
            file = argv[++i];
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            file = argv[i] + 9;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return file;
}

/* A variable that looks like a setting and is none is told, not refused: the environment is not ours alone. */
static void warn_of_environment(const conf_table *const *tables, size_t count)
{
    conf_set *scratch = NULL;
    lpx_note note = {""};
    if (!lpx_failed(conf_new(tables, count, &scratch)) &&
        conf_add_env(scratch, "LPX_", environ, true, &note).reason == CONF_UNKNOWN_KEY) {
        (void)fprintf(stderr, "lpxd: warning: %s\n", note.text);
    }
    conf_free(&scratch);
}

static lpx_err read_layers(conf_set *conf, const char *file, int *argc, char **argv, lpx_note *note)
{
    if (file != NULL) {
        LPX_TRY(conf_add_file(conf, file, note));
    }
    LPX_TRY(conf_add_env(conf, "LPX_", environ, false, note));
    return conf_add_args(conf, argc, argv, note);
}

conf_set *lpxd_read_conf(int argc, char **argv, int *left)
{
    size_t count;
    const conf_table *const *tables = lpxd_tables(&count);
    char **copy = calloc((size_t)argc + 1, sizeof *copy);
    conf_set *conf = NULL;
    lpx_note note = {""};
    lpx_err err = copy != NULL ? conf_new(tables, count, &conf) : lpx_err_of(BASE_NO_MEMORY);
    if (!lpx_failed(err)) {
        memcpy(copy, argv, (size_t)argc * sizeof *copy);
        const char *file = take_config(&argc, copy);
        err = read_layers(conf, file, &argc, copy, &note);
    }
    if (!lpx_failed(err) && argc > 1) {
        err = lpx_fail(&note, LPXD_CONF, "unknown argument \"%s\"; see lpxd --help.", copy[1]);
    }
    free(copy);
    if (lpx_failed(err)) {
        (void)fail(note.text[0] != '\0' ? note.text : lpx_reason_text(err.reason));
        conf_free(&conf);
        return NULL;
    }
    *left = argc;
    return conf;
}

static int print_buf(lpx_buf *buf)
{
    size_t written = fwrite(buf->ptr, 1, buf->len, stdout);
    int status = written == buf->len && fflush(stdout) == 0 ? 0 : 1;
    lpx_buf_fini(buf);
    return status;
}

static int print_tables(bool reference)
{
    size_t count;
    const conf_table *const *tables = lpxd_tables(&count);
    lpx_buf buf;
    lpx_buf_init(&buf, 1 << 20);
    if (reference) {
        conf_reference(tables, count, "LPX_", &buf);
    } else {
        lpx_buf_add_str(&buf, lpx_str_of(usage));
        conf_help(tables, count, &buf);
    }
    return print_buf(&buf);
}

static int check_config(int argc, char **argv)
{
    int left;
    argv[1] = argv[0];
    conf_set *conf = lpxd_read_conf(argc - 1, argv + 1, &left);
    if (conf == NULL) {
        return 1;
    }
    lpxd_home home;
    lpx_note note = {""};
    if (lpx_failed(lpxd_home_find(conf, &home, &note))) {
        conf_free(&conf);
        return fail(note.text);
    }
    lpx_buf buf;
    lpx_buf_init(&buf, 1 << 20);
    conf_print(conf, &buf);
    conf_free(&conf);
    return print_buf(&buf);
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
        return print_tables(false);
    }
    if (strcmp(first, "--version") == 0) {
        return puts(VERSION) >= 0 ? 0 : 1;
    }
    if (strcmp(first, "reference") == 0) {
        return print_tables(true);
    }
    if (strcmp(first, "man") == 0) {
        lpx_buf page;
        lpx_buf_init(&page, 1 << 20);
        lpxd_man(argc > 2 && strcmp(argv[2], "conf") == 0, &page);
        return print_buf(&page);
    }
    if (strcmp(first, "check-config") == 0) {
        return check_config(argc, argv);
    }
    size_t count;
    const conf_table *const *tables = lpxd_tables(&count);
    warn_of_environment(tables, count);
    int left;
    conf_set *conf = lpxd_read_conf(argc, argv, &left);
    return conf != NULL ? lpxd_serve(conf, argc, argv) : 1;
}
