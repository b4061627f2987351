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

/** What the value of a flag is; cli_flag_check knows the form of each. */
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
    CLI_VISIBILITY,   /* symbols of LoApAcFtCiStFpPr */
    CLI_WORD,         /* one of the words of the flag */
    CLI_NUMBER,       /* 0 to 1,000,000,000 */
    CLI_DECIMAL,      /* more than 0, may have a fraction */
    CLI_SIGNED,       /* a number, may have a sign and a fraction */
    CLI_RATE,         /* as CLI_DECIMAL, or max */
    CLI_DURATION,     /* 90s, 1m30s, 2h; whole seconds */
    CLI_MONTH,        /* 2024-05 */
    CLI_DEVADDR,      /* 8 hex digits */
    CLI_EUI,          /* 16 hex digits */
    CLI_EUI_PREFIXES, /* JoinEUI prefixes: EC656E0000000000/24 */
    CLI_PARTIES,      /* members and their clusters: 000013,000042/tenant,000042/tenant/cluster */
    CLI_LAST_KIND = CLI_PARTIES,
} cli_kind;

/** One flag as a command declares it. */
typedef struct cli_flag {
    const char *name; /* without dashes; NULL ends a list */
    cli_kind kind;
    const char *text;     /* one line of help */
    const char *fallback; /* value when nobody gives one; NULL: empty */
    char letter;          /* short form, or 0 */
    bool setting;         /* also from the environment (PB_...) and the configuration file */
    const char *words;    /* CLI_WORD: "json|csv" */
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
    bool hidden;                            /* works, but no list of commands shows it */
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

/** Does text have the form that the flag wants? @param note says what would be right */
LPX_RESULT cli_flag_check(const cli_flag *flag, lpx_str text, lpx_note *note);
/** Placeholder of a flag in help ("NETID"); empty for switches. */
const char *cli_flag_placeholder(const cli_flag *flag);
/** Words that the value of a flag can be made of, for completion.
 * @param names static texts @return their number, at most max; 0 when anything goes */
size_t cli_flag_words(const cli_flag *flag, lpx_str *names, size_t max);
/** Next of the parts of a text that separator stands between; false at its end. */
bool cli_next_part(const char **rest, char separator, lpx_str *part);
/** Parse argv[1..] for the program root: finds the command, then reads its flags.
 * @param line filled also on failure as far as it got, so that help can be shown
 * @err INVALID_ARGUMENT: CLI_USAGE with the nearest right word */
LPX_RESULT cli_parse(const cli_command *root, int argc, char **argv, cli_line *line, lpx_note *note);
/** Value of a flag of this command, NULL when the command has no such flag. */
cli_value *cli_line_find(cli_line *line, const char *name);
/** Call visit for every flag that a command has, its own lists first, then those shared by the commands above it. */
void cli_each_flag(const cli_line *line, void (*visit)(void *ctx, const cli_flag *flag, bool shared), void *ctx);
/** Call visit for root and every command below it that is not hidden, each before those below it. */
void cli_each_command(const cli_command *root, void (*visit)(void *ctx, const cli_line *line), void *ctx);

/* ---- one run: cli.c, cli_settings.c ---- */

/** What surrounds a run; tests put their own here. */
typedef struct cli_world {
    FILE *in, *out, *err;
    const char *(*env)(const char *name); /* NULL when absent or empty */
    int64_t (*utc_us)(void);
    bool out_is_terminal, err_is_terminal;
    unsigned width, height; /* of the terminal */
} cli_world;

/** How results are printed. */
typedef enum cli_form { CLI_FORM_TABLE, CLI_FORM_JSON, CLI_FORM_CSV } cli_form;

/** Exit status. The four existing clients know 0 and 1 alone. */
enum {
    CLI_EXIT_DONE = 0,
    CLI_EXIT_FAILED = 1,      /* whatever has no number of its own */
    CLI_EXIT_USAGE = 2,       /* the command line is not understood */
    CLI_EXIT_NOT_FOUND = 3,   /* what was asked for is not there */
    CLI_EXIT_NOT_ALLOWED = 4, /* no credentials, wrong ones, or no right */
    CLI_EXIT_UNREACHABLE = 5, /* nobody answers, or not in time */
    CLI_EXIT_NO = 6,          /* all was done, and the answer is no: not delivered, not healthy */
};

/** One run. */
struct cli {
    const char *program; /* "lpx", "pbadmin", ... */
    bool drop_in;        /* called as one of the four existing clients: their formats and exit status alone */
    cli_form form;
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
/** The same for calls whose answer says nothing. */
LPX_RESULT cli_call_empty(cli *c, agent_service service, const char *path, const ProtobufCMessage *in);
/** Failure of a call with its sentence. */
LPX_RESULT cli_call_failed(cli *c, const agent_failure *why);

/** Messages of several pages. */
typedef struct cli_items {
    ProtobufCMessage **items;
    size_t count, room;
} cli_items;

/** All items of a list method, page after page. How it is paged follows from the request: by "offset" against the
 * "total" of the answer, by "updated_since" up to an empty page, or not at all. A slow walk says on a terminal how far
 * it is.
 * @param request its paging field is changed
 * @param answer  has one repeated field of messages
 * @param out     appended to */
LPX_RESULT cli_list_all(cli *c, agent_service service, const char *path, ProtobufCMessage *request,
                        const ProtobufCMessageDescriptor *answer, cli_items *out);

/** From now on Ctrl-C and SIGTERM only set what cli_interrupted answers (for commands that run on). */
void cli_catch_interrupt(void);
/** Did Ctrl-C or SIGTERM come? */
bool cli_interrupted(void);
/** From now on they end the program again, as they do at its start. */
void cli_release_interrupt(void);

/* ---- values: cli_values.c ---- */

/** Endpoint of the role flags of an actor. */
typedef struct cli_endpoint {
    uint32_t net_id;
    char *tenant_id, *cluster_id;
    bool has_net_id, has_tenant_id, has_cluster_id;
} cli_endpoint;

/** NetID of 6 hex digits that cli_flag_check let through; 0 when empty. */
uint32_t cli_net_id_of(const char *text);
/** Number of hex digits that cli_flag_check let through; 0 when empty. */
uint64_t cli_hex_of(const char *text);
/** Whole seconds of a duration that cli_flag_check let through. */
int64_t cli_seconds_of(const char *text);
/** JoinEUI prefixes of a text that cli_flag_check let through. */
Pb__V3__JoinEUIPrefix **cli_eui_prefixes_of(cli *c, const char *text, size_t *count);
/** Endpoint of "<actor>-net-id" and so on; a tenant without its NetID is ignored. */
cli_endpoint cli_endpoint_of(cli *c, const char *actor);
/** Neither NetID nor tenant? (NetID 000000 without a tenant counts as absent.) */
bool cli_endpoint_is_empty(const cli_endpoint *e);
/** Endpoint of --net-id and --tenant-id, which must be there. */
LPX_RESULT cli_need_member(cli *c, cli_endpoint *out);
/** Endpoint of --forwarder-..., which must be there. */
LPX_RESULT cli_need_forwarder(cli *c, cli_endpoint *out);
/** Endpoint of --home-network-..., which must be there. */
LPX_RESULT cli_need_home_network(cli *c, cli_endpoint *out);
/** DevAddr blocks of a text that cli_flag_check let through. */
Pb__V3__DevAddrBlock **cli_blocks_of(cli *c, const char *text, size_t *count);
/** Blocks after adding and removing by prefix; an added block of a known prefix replaces it. */
Pb__V3__DevAddrBlock **cli_blocks_merge(cli *c, Pb__V3__DevAddrBlock **now, size_t *count, const char *add,
                                        const char *remove);
/** Reads the blocks that an entity has now. */
typedef lpx_err cli_blocks_now_fn(cli *c, Pb__V3__DevAddrBlock ***blocks, size_t *count);
/** What --dev-addr-blocks, -add and -remove make of the blocks; *out stays as it is when none of them was given. */
LPX_RESULT cli_blocks_change(cli *c, cli_blocks_now_fn *now, Pb__Iam__V1__DevAddrBlocksValue **out);
/** Say on standard error (lpx alone) when other blocks were stored than were wanted: the exchange cuts them to the
 * addresses of the NetID. */
void cli_blocks_tell_cut(cli *c, Pb__V3__DevAddrBlock *const *wanted, size_t wanted_count,
                         Pb__V3__DevAddrBlock *const *stored, size_t count);
/** The same after an update, whose answer is empty: reads what is stored, if the caller may.
 * @param wanted may be NULL: no blocks were sent */
void cli_blocks_check_stored(cli *c, cli_blocks_now_fn *now, const Pb__Iam__V1__DevAddrBlocksValue *wanted);
/** Rights of a text that cli_flag_check let through. */
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
/** Add a row of as many cells as headers; text is borrowed for the run.
 * @param message what the row shows, for JSON; NULL: the cells by their headers */
void cli_table_row(cli_table *t, ProtobufCMessage *message, const char *const *cells);
/** Append it to c->out: aligned by 3 spaces, or laid out for the terminal, as JSON array or as CSV. */
void cli_table_print(cli *c, const cli_table *t);
/** Append it as CSV. @param header false: the rows alone */
void cli_table_print_csv(cli *c, const cli_table *t, bool header);
/** cli_table_print for two tables of one command: in JSON an object with both arrays, else one after the other. */
void cli_tables_print(cli *c, const char *first_name, const cli_table *first, const char *second_name,
                      const cli_table *second);
/** Text with control characters replaced by '?', so that what others wrote cannot steer the terminal; keep_lines leaves
 * line breaks. */
const char *cli_clean(cli *c, const char *text, bool keep_lines);
/** Append "Key:   value" lines, aligned; pairs ended by a NULL key. In JSON they are an object, in CSV a header and a
 * row. */
void cli_print_pairs(cli *c, const char *const *pairs);
/** The same with the message that the pairs show, which is what JSON prints. */
void cli_print_record(cli *c, const ProtobufCMessage *message, const char *const *pairs);
/** Append a message as JSON, secrets of targets hidden unless verbose. */
void cli_print_json(cli *c, ProtobufCMessage *message, bool verbose);
/** Overwrite the secrets of the targets inside an entity, before others see it. */
void cli_hide_secrets(ProtobufCMessage *message);
/** Append a message as JSON; as one of the existing clients with null for what is not set, as they print it.
 * @param multiline false: on one line */
void cli_add_json(const cli *c, lpx_buf *out, const ProtobufCMessage *message, bool multiline);
/** Append JSON text with DEL and C1 control characters escaped: inside strings, where alone they can stand, that reads
 * as the same text. (All JSON escapes the others.) */
void cli_add_harmless(lpx_buf *out, lpx_str json);
/** Append one CSV row (RFC 4180), ended by a line feed. */
void cli_add_csv(lpx_buf *out, const char *const *cells, size_t count);
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
/** "26AA0000/16". */
char *cli_show_prefix(cli *c, const Pb__V3__DevAddrPrefix *prefix);
/** "EC656E0000000000/24". */
char *cli_show_eui_prefix(cli *c, const Pb__V3__JoinEUIPrefix *prefix);
/** First two JoinEUI prefixes, then "+N". */
char *cli_show_eui_prefixes(cli *c, Pb__V3__JoinEUIPrefix *const *prefixes, size_t count);
/** Time as "2024-05-01T12:00:00Z" with as many digits of the second as digits; empty for NULL. */
char *cli_show_time(cli *c, const Google__Protobuf__Timestamp *time, unsigned digits);
/** NetID, tenant and cluster: "000013/tenant@cluster" with what is there. */
char *cli_show_member(cli *c, uint32_t net_id, const char *tenant_id, const char *cluster_id);
/** Append a network. */
void cli_show_network(cli *c, Pb__V3__Network *network, bool verbose);
/** Append a tenant. */
void cli_show_tenant(cli *c, Pb__V3__Tenant *tenant, bool verbose);
/** Append a Join Server. */
void cli_show_join_server(cli *c, Pb__V3__JoinServer *server, bool verbose);
/** Append networks and tenants of a catalog. */
void cli_show_members(cli *c, const cli_items *members);
/** Append policies. */
void cli_show_policies(cli *c, bool defaults, const cli_items *policies);

/* ---- help: cli_help.c, cli_tree.c ---- */

/** The program that a name stands for: lpx unless it is one of the four. */
const cli_command *cli_program(const char *argv0, const char **name);
/** Help of the command that line points to. */
void cli_help(cli *c, const cli_line *line, lpx_buf *out);
/** Path of a command as typed ("lpx network list"). */
void cli_help_path(const char *program, const cli_line *line, lpx_buf *out);
/** The word that is nearest to what was typed, NULL when none is near. */
const char *cli_nearest(lpx_str typed, const char *const *words, size_t count);
/** Completion script for a program: commands, flags, words of flags.
 * @param shell "bash", "zsh" or "fish" @return false when there is none for this shell */
bool cli_completion(const char *shell, const char *program, const cli_command *root, lpx_buf *out);

/* ---- commands and flag lists, by file ---- */
extern const cli_command cli_network_command, cli_tenant_command, cli_apikey_command, cli_init_command;
extern const cli_command cli_policy_command, cli_pub_command, cli_sub_command, cli_demo_command, cli_replay_command;
extern const cli_command cli_cert_command;
extern const cli_command cli_cluster_command, cli_join_server_command, cli_catalog_command, cli_visibility_command;
extern const cli_command cli_report_command, cli_route_command, cli_targets_command, cli_settings_command;
extern const cli_command cli_trace_command, cli_test_command, cli_gateway_command, cli_health_command;
extern const cli_command cli_authority_command, cli_call_command, cli_gen_command;
extern const cli_command cli_help_command, cli_completion_command;
extern const cli_flag cli_iam_address_flags[], cli_control_address_flags[], cli_reports_address_flags[],
    cli_router_address_flags[], cli_mapper_flags[], cli_transport_flags[], cli_basic_flags[], cli_oauth_flags[],
    cli_common_flags[];
extern const cli_flag cli_net_id_flags[], cli_tenant_id_flags[], cli_cluster_id_flags[], cli_rights_flags[],
    cli_key_id_flags[], cli_listed_flags[], cli_blocks_flags[], cli_contact_flags[], cli_target_flags[],
    cli_prefixed_target_flags[], cli_lookup_target_flags[], cli_forwarder_flags[], cli_forwarder_cluster_flags[],
    cli_home_flags[], cli_home_cluster_flags[], cli_verbose_flags[], cli_contains_flags[], cli_prompt_key_flags[],
    cli_state_flags[];
