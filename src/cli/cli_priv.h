/* What the files of the command line share. */
#pragma once
#include <stdio.h>

#include "agent/agent.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/text.h"
#include "cli/limits.h"
#include "pb_iam_v1_api.pb-c.h"
#include "pb_iam_v2_api.pb-c.h"
#include "pb_routing_v1_api.pb-c.h"
#include "pb_v3_api.pb-c.h"

/* The __INIT macros of protobuf-c cast the empty string; gcc knows them as a system header's, clang does not. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wcast-qual"
#endif

typedef struct cli cli;

/* ---- flags: cli_flags.c, cli_kinds.c ---- */

/** What the value of a flag is; cli_kind_check knows the form of each. */
typedef enum cli_kind {
    CLI_SWITCH,       /* no value, or =true, =false */
    CLI_TEXT,         /* anything */
    CLI_PATH,         /* a path */
    CLI_SECRET,       /* anything, never shown */
    CLI_NETID,        /* 6 hex digits */
    CLI_BLOCKS,       /* DevAddr blocks: 26011000/20=eu1,26012000/20 */
    CLI_RIGHTS,       /* READ_NETWORK,READ_TRAFFIC */
    CLI_PROTOCOL,     /* TS002_V1_0 */
    CLI_STATE,        /* APPROVED */
    CLI_UPLINK,       /* letters of JMASL */
    CLI_DOWNLINK,     /* letters of JMA */
    CLI_MESSAGE_TYPE, /* message or message-delivery-state */
    CLI_NUMBER,       /* 0 to 1,000,000,000 */
    CLI_DECIMAL,      /* more than 0, may have a fraction */
    CLI_RATE,         /* as CLI_DECIMAL, or max */
} cli_kind;

/** One flag as a command declares it. */
typedef struct cli_flag {
    const char *name; /* without dashes; NULL ends a list */
    cli_kind kind;
    const char *text;     /* one line of help */
    const char *fallback; /* value when nobody gives one; NULL: empty */
    char letter;          /* short form, or 0 */
    bool setting;         /* also from the environment (PB_...) and the configuration file */
} cli_flag;

/** One flag as a command line gave it. */
typedef struct cli_value {
    const cli_flag *flag;
    const char *text; /* never NULL */
    bool changed;     /* on the command line */
} cli_value;

/** A command or a group of commands. */
typedef struct cli_command {
    const char *name;
    const char *aliases;                    /* "networks, nwk", or NULL */
    const char *brief;                      /* one line */
    const char *about;                      /* more of it, or NULL */
    const char *examples;                   /* lines; % stands for the path of the command; NULL for groups */
    const cli_flag *const *flags;           /* NULL-ended list of lists, or NULL */
    const cli_flag *const *shared;          /* the same, for this command and all below it */
    const struct cli_command *const *below; /* NULL-ended, or NULL */
    lpx_err (*run)(cli *c);                 /* NULL for groups */
    bool takes_args;                        /* words that are no flags */
    const char *args_hint;                  /* how usage shows them */
} cli_command;

/** One parsed command line. */
typedef struct cli_line {
    const cli_command *path[CLI_MAX_DEPTH]; /* from the program down to the command */
    size_t depth;
    cli_value values[CLI_MAX_FLAGS];
    size_t value_count;
    const char *args[CLI_MAX_ARGS];
    size_t arg_count;
} cli_line;

/** Does text have the form of the kind? @param note says what would be right */
LPX_RESULT cli_kind_check(cli_kind kind, lpx_str text, lpx_note *note);
/** Placeholder of a kind in help ("NETID"); empty for switches. */
const char *cli_kind_placeholder(cli_kind kind);
/** Parse argv[1..] for the program root: finds the command, then reads its flags.
 * @param line filled also on failure as far as it got, so that help can be shown
 * @err INVALID_ARGUMENT: CLI_USAGE with the nearest right word */
LPX_RESULT cli_parse(const cli_command *root, int argc, char **argv, cli_line *line, lpx_note *note);
/** Value of a flag of this command, NULL when the command has no such flag. */
cli_value *cli_line_find(cli_line *line, const char *name);
/** Call visit for every flag that a command has, its own lists first, then those shared by the commands above it. */
void cli_each_flag(const cli_line *line, void (*visit)(void *ctx, const cli_flag *flag, bool shared), void *ctx);

/* ---- one run: cli.c, cli_settings.c ---- */

/** What surrounds a run; tests put their own here. */
typedef struct cli_world {
    FILE *in, *out, *err;
    const char *(*env)(const char *name); /* NULL when absent or empty */
    int64_t (*utc_us)(void);
    bool out_is_terminal, err_is_terminal;
    unsigned width, height; /* of the terminal */
} cli_world;

/** One run. */
struct cli {
    const char *program; /* "lpx", "pbadmin", ... */
    const cli_world *world;
    const cli_command *root;
    cli_line line;
    lpx_arena arena; /* wiped: holds secrets */
    lpx_buf out;     /* printed when the command succeeds */
    agent *agent;    /* made by cli_connect */
    bool debug;
    const char *config_file;                     /* that was read or is to be written; ".pb.yaml" */
    const char *local_ca_file;                   /* of an exchange on this machine; NULL: not readable */
    const char *local_username, *local_password; /* of its administrator; NULL: not readable */
    char why[CLI_WHY_BYTES];
};

/** A flag of the configuration file and its value. */
typedef struct cli_setting {
    const char *key, *value;
} cli_setting;

/** Run a command line in a world. @return exit status */
int cli_run(const cli_world *world, int argc, char **argv);
/** Fail with a sentence. */
LPX_RESULT cli_fail(cli *c, uint16_t reason, const char *format, ...) __attribute__((format(printf, 3, 4)));
/** Print what c->out holds now, whatever becomes of the command. */
LPX_RESULT cli_flush(cli *c);
/** Set the sentence alone. */
void cli_explain(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Zeroed memory for the rest of the run; ends the program when there is none. */
void *cli_get(cli *c, size_t size);
/** New message with its defaults, for the rest of the run. */
void *cli_new(cli *c, const ProtobufCMessageDescriptor *desc);
/** printf for the rest of the run. */
char *cli_printf(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Text of a flag; empty when it was not given or the command has none of that name. */
char *cli_text(cli *c, const char *name);
/** Text of the flag "<actor>-<name>", or of "<name>" when actor is "". */
char *cli_actor_text(cli *c, const char *actor, const char *name);
/** Was the flag "<actor>-<name>" on the command line? */
bool cli_actor_changed(cli *c, const char *actor, const char *name);
/** Was the flag on the command line? */
bool cli_changed(cli *c, const char *name);
/** Is the switch on? */
bool cli_on(cli *c, const char *name);
/** Value of a CLI_NUMBER flag. */
uint64_t cli_number(cli *c, const char *name);

/** Fill the flags that are settings and not on the command line from environment and file, and look for the exchange
 * on this machine. @err INVALID_ARGUMENT: CLI_USAGE when a value has the wrong form (names where it stands) */
LPX_RESULT cli_settings_load(cli *c);
/** Data directory of an exchange on this machine: $LPX_DATA_DIR, or the place that lpxd uses for this user. */
char *cli_data_dir(cli *c);
/** Put settings into the configuration file (--config, or .pb.yaml of the working directory; mode 0600), keeping what
 * else stands there. */
LPX_RESULT cli_settings_save(cli *c, const cli_setting *settings, size_t count);
/** Write a file whole or not at all, mode 0600. */
LPX_RESULT cli_write_private(cli *c, const char *path, lpx_str text);
/** Contents of a file. @param limit_bytes longer files are refused @err NOT_FOUND: CLI_FILE */
LPX_RESULT cli_read_file(cli *c, const char *path, size_t limit_bytes, lpx_str *out);

/** Agent options from the settings (text borrowed from the run). */
void cli_agent_opts(cli *c, agent_opts *opts);
/** Make c->agent; a second call does nothing. */
LPX_RESULT cli_connect(cli *c);
/** Unary call through c->agent; the answer lies in the arena. */
LPX_RESULT cli_call(cli *c, agent_service service, const char *path, const ProtobufCMessage *in,
                    const ProtobufCMessageDescriptor *desc, void *out);

/** From now on Ctrl-C and SIGTERM only set what cli_interrupted answers (for commands that run on). */
void cli_catch_interrupt(void);
/** Did Ctrl-C or SIGTERM come? */
bool cli_interrupted(void);

/* ---- values: cli_values.c ---- */

/** Endpoint of the role flags of an actor. */
typedef struct cli_endpoint {
    uint32_t net_id;
    char *tenant_id, *cluster_id;
    bool has_net_id, has_tenant_id, has_cluster_id;
} cli_endpoint;

/** NetID of 6 hex digits that cli_kind_check let through; 0 when empty. */
uint32_t cli_net_id_of(const char *text);
/** Endpoint of "<actor>-net-id" and so on; a tenant without its NetID is ignored. */
cli_endpoint cli_endpoint_of(cli *c, const char *actor);
/** Neither NetID nor tenant? (NetID 000000 without a tenant counts as absent.) */
bool cli_endpoint_is_empty(const cli_endpoint *e);
/** DevAddr blocks of a text that cli_kind_check let through. */
Pb__V3__DevAddrBlock **cli_blocks_of(cli *c, const char *text, size_t *count);
/** Blocks after adding and removing by prefix; an added block of a known prefix replaces it. */
Pb__V3__DevAddrBlock **cli_blocks_merge(cli *c, Pb__V3__DevAddrBlock **now, size_t *count, const char *add,
                                        const char *remove);
/** Reads the blocks that an entity has now. */
typedef lpx_err cli_blocks_now_fn(cli *c, Pb__V3__DevAddrBlock ***blocks, size_t *count);
/** What --dev-addr-blocks, -add and -remove make of the blocks; *out stays as it is when none of them was given. */
LPX_RESULT cli_blocks_change(cli *c, cli_blocks_now_fn *now, Pb__Iam__V1__DevAddrBlocksValue **out);
/** Rights of a text that cli_kind_check let through. */
Pb__V3__Right *cli_rights_of(cli *c, const char *text, size_t *count);
/** Contact of "<actor>-name", "-email", "-url"; NULL when all are empty. */
Pb__V3__ContactInfo *cli_contact_of(cli *c, const char *actor);
/** Change that the contact flags ask for; NULL when none of them was given. */
Pb__V3__ContactInfoValue *cli_contact_change(cli *c, const char *actor);
/** Apply the target flags of a prefix to *target (made when a protocol is given). */
LPX_RESULT cli_target_apply(cli *c, const char *prefix, Pb__V3__Target **target);
/** Wrapped values for partial updates. */
Google__Protobuf__StringValue *cli_wrap_text(cli *c, const char *text);
/** The same for a bool. */
Google__Protobuf__BoolValue *cli_wrap_bool(cli *c, bool value);
/** The same for a number. */
Google__Protobuf__UInt32Value *cli_wrap_uint32(cli *c, uint32_t value);
/** Up to two flags of uplink and downlink policies from letters. */
Pb__V3__RoutingPolicy__Uplink *cli_uplink_policy_of(cli *c, const char *letters);
/** The same for the downlink. */
Pb__V3__RoutingPolicy__Downlink *cli_downlink_policy_of(cli *c, const char *letters);

/* ---- printing: cli_table.c, cli_show.c ---- */

/** A table that is printed whole. */
typedef struct cli_table cli_table;
/** New table; headers ended by NULL. */
cli_table *cli_table_new(cli *c, const char *const *headers);
/** Add a row of as many cells as headers; text is borrowed for the run. */
void cli_table_row(cli_table *t, const char *const *cells);
/** Append it to c->out: aligned by 3 spaces, or laid out for the terminal. */
void cli_table_print(cli *c, const cli_table *t);
/** Text with control characters replaced by '?', so that what others wrote cannot steer the terminal; keep_lines leaves
 * line breaks. */
const char *cli_clean(cli *c, const char *text, bool keep_lines);
/** Append "Key:   value" lines, aligned; pairs ended by a NULL key. */
void cli_print_pairs(cli *c, const char *const *pairs);
/** Append aligned rows without a header; cells row by row. */
void cli_print_rows(cli *c, const char *const *cells, size_t rows, size_t columns);

/** "000013". */
char *cli_show_net_id(cli *c, uint32_t net_id);
/** First block with its cluster, then "+N". */
char *cli_show_blocks(cli *c, Pb__V3__DevAddrBlock *const *blocks, size_t count);
/** Sorted names with commas. */
char *cli_show_rights(cli *c, const Pb__V3__Right *rights, size_t count);
/** Protocol, address and kind of authentication; empty for NULL. */
char *cli_show_target(cli *c, const Pb__V3__Target *target);
/** Time since then as a Go duration of whole seconds, or "never". */
char *cli_show_since(cli *c, const Google__Protobuf__Timestamp *then, int64_t now_us);
/** Name of an enum value, or its number. */
char *cli_show_enum(cli *c, const ProtobufCEnumDescriptor *desc, int value);
/** Append a network. */
void cli_show_network(cli *c, const Pb__V3__Network *network, bool verbose);
/** Append a tenant. */
void cli_show_tenant(cli *c, const Pb__V3__Tenant *tenant, bool verbose);
/** Append policies. */
void cli_show_policies(cli *c, bool defaults, Pb__V3__RoutingPolicy *const *policies, size_t count);

/* ---- help: cli_help.c, cli_tree.c ---- */

/** The program that a name stands for: lpx unless it is one of the four. */
const cli_command *cli_program(const char *argv0, const char **name);
/** Help of the command that line points to. */
void cli_help(cli *c, const cli_line *line, lpx_buf *out);
/** Path of a command as typed ("lpx network list"). */
void cli_help_path(const char *program, const cli_line *line, lpx_buf *out);
/** The word that is nearest to what was typed, NULL when none is near. */
const char *cli_nearest(lpx_str typed, const char *const *words, size_t count);
/** Bash completion script for a program. */
void cli_completion_bash(const char *program, const cli_command *root, lpx_buf *out);

/* ---- commands and flag lists, by file ---- */
extern const cli_command cli_network_command, cli_tenant_command, cli_apikey_command, cli_init_command;
extern const cli_command cli_policy_command, cli_pub_command, cli_sub_command, cli_demo_command, cli_replay_command;
extern const cli_command cli_help_command, cli_completion_command;
extern const cli_flag cli_iam_address_flags[], cli_control_address_flags[], cli_reports_address_flags[],
    cli_router_address_flags[], cli_transport_flags[], cli_basic_flags[], cli_oauth_flags[], cli_common_flags[];
extern const cli_flag cli_net_id_flags[], cli_tenant_id_flags[], cli_cluster_id_flags[], cli_rights_flags[],
    cli_key_id_flags[], cli_listed_flags[], cli_blocks_flags[], cli_contact_flags[], cli_target_flags[],
    cli_prefixed_target_flags[], cli_forwarder_flags[], cli_forwarder_cluster_flags[], cli_home_flags[],
    cli_home_cluster_flags[];
