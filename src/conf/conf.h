/* Configuration by tables: one row per setting gives parser, checks, help and reference. A conf_set is what results
 * from its layers: command line over environment over YAML file over default. Level 2.
 *
 * Use: conf_new, then conf_add_file, conf_add_env and conf_add_args in any order, then the getters. To reload, build a
 * second set and ask conf_diff. Thread: one until it is built; then any may read. */
#pragma once
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
    CONF_MAX_OPTIONS = 512, /* of all joined tables */
    CONF_MAX_LIST = 64,     /* entries of one list */
    CONF_MAX_FILE_BYTES = 1024 * 1024,
    CONF_MAX_MEMORY_BYTES = 8 * 1024 * 1024, /* all texts of one set */
};

typedef enum conf_type {
    CONF_STR,
    CONF_BOOL,     /* true false yes no on off 1 0 */
    CONF_INT,      /* decimal */
    CONF_DURATION, /* "90s", "1m30s", "250ms"; units us ms s m h d; kept in microseconds */
    CONF_SIZE,     /* "16MiB", "1500", "64kB"; units B kB MB GB KiB MiB GiB; kept in bytes */
    CONF_LIST,     /* texts: a YAML list, or text with commas; on the command line also the flag several times */
    CONF_WORD,     /* one of words */
} conf_type;

/** A row of a table. Texts are static. */
typedef struct conf_option {
    const char *name; /* "router.listen"; lower case, digits, dots, '-' and '_' */
    conf_type type;
    const char *def;   /* default as text; NULL: unset (getters give "", false, 0, no entries) */
    int64_t min, max;  /* CONF_INT, CONF_DURATION (us), CONF_SIZE: range, both 0: any; CONF_LIST: number of entries */
    const char *words; /* CONF_WORD, CONF_LIST: allowed words, separated by '|'; NULL in a list: any text */
    bool reloadable;   /* may change without a restart */
    bool secret;       /* its value is never printed */
    char short_name;   /* one-letter flag, 0: none */
    const char *arg;   /* how help names the value ("FILE", "HOST:PORT"); NULL: by type */
    const char *help;  /* one line, no full stop needed */
} conf_option;

/** The settings of one module, in the order of the help. */
typedef struct conf_table {
    const char *title; /* heading in the help: "Router" */
    const conf_option *options;
    size_t count;
} conf_table;

/** Where a value came from, weakest first. */
typedef enum conf_layer { CONF_DEFAULT, CONF_FILE_LAYER, CONF_ENV, CONF_ARGS } conf_layer;

typedef struct conf_set conf_set;

/** New set with the defaults of the joined tables, which must live as long as the set. A wrong table (a name twice, a
 * default that its own row refuses) is our own mistake: assertion.
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT conf_new(const conf_table *const *tables, size_t count, conf_set **out);
/** Free (values of secrets wiped); clears the pointer; accepts NULL. */
void conf_free(conf_set **set);

/** Add the YAML text of a file.
 * @param file name for the notes ("lpxd.yaml")
 * @err INVALID_ARGUMENT: CONF_UNKNOWN_KEY, CONF_BAD_VALUE, CONF_TWICE, YAML_MALFORMED; note: "lpxd.yaml:12: …" */
LPX_RESULT conf_add_yaml(conf_set *set, const char *file, lpx_str text, lpx_note *note);
/** Read the file and add it. @err FAILED_PRECONDITION: CONF_FILE; as conf_add_yaml */
LPX_RESULT conf_add_file(conf_set *set, const char *file, lpx_note *note);
/** Add variables of the environment: setting a.b-c is PREFIX_A_B_C. An empty variable counts as not set.
 * @param prefix  "LPX_" or "PB_"
 * @param environ NULL-ended "NAME=value" texts
 * @param strict  true: a variable with the prefix that is no setting is an error
 * @err INVALID_ARGUMENT: CONF_UNKNOWN_KEY, CONF_BAD_VALUE */
LPX_RESULT conf_add_env(conf_set *set, const char *prefix, char *const *environ, bool strict, lpx_note *note);
/** Add options of the command line: --a.b VALUE, --a.b=VALUE, --a.b and --no-a.b for booleans, -x for short names. The
 * last one counts; a list grows with each. What is no option stays in argv[1 ..], in order; all after -- stays too.
 * @param argc in: number of arguments with the program's name; out: number that stayed, with it
 * @err INVALID_ARGUMENT: CONF_UNKNOWN_KEY, CONF_BAD_VALUE */
LPX_RESULT conf_add_args(conf_set *set, int *argc, char **argv, lpx_note *note);
/** Set one value as if by the command line. @err as conf_add_args */
LPX_RESULT conf_put(conf_set *set, const char *name, const char *value, lpx_note *note);

/** Text of a CONF_STR or CONF_WORD setting, also NUL-ended; empty when unset. The name must be in a table and of the
 * type asked for (this holds for all getters); views live as long as the set. */
lpx_str conf_str(const conf_set *set, const char *name);
/** Value of a CONF_BOOL. */
bool conf_bool(const conf_set *set, const char *name);
/** Value of a CONF_INT. */
int64_t conf_int(const conf_set *set, const char *name);
/** Value of a CONF_DURATION in microseconds. */
int64_t conf_duration_us(const conf_set *set, const char *name);
/** Value of a CONF_SIZE in bytes. */
int64_t conf_size_bytes(const conf_set *set, const char *name);
/** Entries of a CONF_LIST. @return their number; *out is valid as long as the set */
size_t conf_list(const conf_set *set, const char *name, const lpx_str **out);
/** Position of a CONF_WORD's value in its words, from 0: to be used as an enum. */
unsigned conf_word(const conf_set *set, const char *name);
/** Layer that decided the value; CONF_DEFAULT when nobody gave one. */
conf_layer conf_layer_of(const conf_set *set, const char *name);
/** Who decided the value, for people: "lpxd.yaml:12", "LPX_A_B", "--a.b", "default". Also NUL-ended. */
lpx_str conf_source_of(const conf_set *set, const char *name);

/** Append the help: all options by table, with defaults. */
void conf_help(const conf_table *const *tables, size_t count, lpx_buf *out);
/** Append the reference: a Markdown table for each table.
 * @param env_prefix "LPX_": names of the environment in a column; NULL: without that column */
void conf_reference(const conf_table *const *tables, size_t count, const char *env_prefix, lpx_buf *out);
/** Append the same as options of a man page (roff, section OPTIONS). */
void conf_man(const conf_table *const *tables, size_t count, lpx_buf *out);
/** Append all settings as YAML with their sources as comments; it reads back as the same settings, but for secrets,
 * which stand as the comment "(hidden)". */
void conf_print(const conf_set *set, lpx_buf *out);

/** Told for each setting whose value differs. */
typedef void conf_change_fn(void *ctx, const conf_option *option);
/** Compare two sets of the same tables: fn is called for each setting with another value, in the order of the tables;
 * option->reloadable says whether it needs a restart. @return number of changes that need a restart */
size_t conf_diff(const conf_set *before, const conf_set *after, conf_change_fn *fn, void *ctx);
