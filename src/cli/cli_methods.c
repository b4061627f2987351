/* lpx call: any unary method by its name, JSON in and JSON out. */
#include <string.h>

#include "cli/cli_priv.h"
#include "codec/json/protojson.h"
#include "grpc_health_v1_health.pb-c.h"
#include "lpx_iam_v1_iam.pb-c.h"
#include "lpx_reasons.h"
#include "lpx_routing_v1_settings.pb-c.h"
#include "lpx_trace_v1_trace.pb-c.h"
#include "pb_mapping_v2_api.pb-c.h"
#include "pb_reporting_v1_api.pb-c.h"
#include "pb_routing_v2_api.pb-c.h"

typedef struct known_service {
    const ProtobufCServiceDescriptor *desc;
    agent_service service;
} known_service;

static const known_service services[] = {
    {&pb__iam__v1__network_registry__descriptor, AGENT_IAM},
    {&pb__iam__v1__tenant_registry__descriptor, AGENT_IAM},
    {&pb__iam__v1__apikey_vault__descriptor, AGENT_IAM},
    {&pb__iam__v2__network_apikey_vault__descriptor, AGENT_IAM},
    {&pb__iam__v2__cluster_apikey_vault__descriptor, AGENT_IAM},
    {&pb__iam__v2__catalog__descriptor, AGENT_IAM},
    {&pb__iam__v2__join_server_registry__descriptor, AGENT_IAM},
    {&lpx__iam__v1__client_certificates__descriptor, AGENT_IAM},
    {&lpx__iam__v1__authority_manager__descriptor, AGENT_IAM},
    {&pb__routing__v1__policy_manager__descriptor, AGENT_CONTROL},
    {&pb__routing__v1__routes__descriptor, AGENT_CONTROL},
    {&pb__routing__v2__routes__descriptor, AGENT_CONTROL},
    {&lpx__routing__v1__home_network_settings_manager__descriptor, AGENT_CONTROL},
    {&pb__mapping__v2__gateway_visibility_manager__descriptor, AGENT_CONTROL},
    {&pb__mapping__v2__mapper__descriptor, AGENT_MAPPER},
    {&pb__reporting__v1__reporter__descriptor, AGENT_REPORTS},
    {&pb__routing__v1__forwarder_data__descriptor, AGENT_ROUTER},
    {&pb__routing__v1__home_network_data__descriptor, AGENT_ROUTER},
    {&pb__routing__v1__router_data__descriptor, AGENT_ROUTER},
    {&lpx__trace__v1__tracer__descriptor, AGENT_ROUTER},
    {&grpc__health__v1__health__descriptor, AGENT_ROUTER},
};
enum { SERVICE_COUNT = sizeof services / sizeof *services, MAX_METHODS = 160 };

/* A method and where it is. */
typedef struct method {
    const known_service *service;
    const ProtobufCMethodDescriptor *desc;
    const char *name; /* "package.Service/Method" */
} method;

/* Methods that stream; descriptors do not say so. */
static bool streams(const ProtobufCMethodDescriptor *m)
{
    return strcmp(m->name, "Subscribe") == 0 || strcmp(m->name, "Watch") == 0;
}

static size_t all_methods(cli *c, method *out)
{
    size_t count = 0;
    for (size_t i = 0; i < SERVICE_COUNT; i++) {
        const ProtobufCServiceDescriptor *s = services[i].desc;
        for (unsigned k = 0; k < s->n_methods && count < MAX_METHODS; k++) {
            if (!streams(&s->methods[k])) {
                const char *name = cli_printf(c, "%s/%s", s->name, s->methods[k].name);
                out[count++] = (method){.service = &services[i], .desc = &s->methods[k], .name = name};
            }
        }
    }
    return count;
}

/* Is it the whole name, or what follows a dot or slash in it? */
static bool names(const method *m, const char *wanted)
{
    size_t len = strlen(m->name), tail = strlen(wanted);
    return tail <= len && strcmp(m->name + len - tail, wanted) == 0 &&
           (tail == len || m->name[len - tail - 1] == '.' || m->name[len - tail - 1] == '/');
}

/* As much of a name as was typed of one: all, Service/Method or Method. */
static const char *like(const char *name, const char *typed)
{
    char last = strchr(typed, '.') != NULL ? 0 : (strchr(typed, '/') != NULL ? '.' : '/');
    const char *tail = last != 0 ? strrchr(name, last) : NULL;
    return tail != NULL ? tail + 1 : name;
}

static lpx_err find_method(cli *c, const char *wanted, method *out)
{
    method methods[MAX_METHODS];
    const char *words[MAX_METHODS];
    size_t count = all_methods(c, methods), found = 0;
    const char *others = "";
    wanted += wanted[0] == '/' ? 1 : 0;
    for (size_t i = 0; i < count; i++) {
        words[i] = like(methods[i].name, wanted);
        if (wanted[0] != 0 && names(&methods[i], wanted)) {
            *out = methods[i];
            others = cli_printf(c, "%s%s%s", others, found > 0 ? ", " : "", methods[i].name);
            found++;
        }
    }
    if (found == 1) {
        return LPX_SUCCESS;
    }
    if (found > 1) {
        return cli_fail(c, CLI_USAGE, "\"%.60s\" is more than one method: %s", wanted, others);
    }
    const char *near = cli_nearest(lpx_str_of(wanted), words, count);
    return cli_fail(c, CLI_USAGE, "no method \"%.100s\"%s%s; \"lpx call\" alone lists them", wanted,
                    near != NULL ? "; did you mean " : "", near != NULL ? near : "");
}

static void list_methods(cli *c)
{
    static const char *const headers[] = {"Method", "Service", NULL};
    method methods[MAX_METHODS];
    size_t count = all_methods(c, methods);
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < count; i++) {
        const char *cells[] = {methods[i].name, agent_service_name(methods[i].service->service)};
        cli_table_row(table, NULL, cells);
    }
    cli_table_print(c, table);
}

/* The request: an argument, or all of standard input for "-". */
static lpx_err read_request(cli *c, const ProtobufCMessageDescriptor *desc, ProtobufCMessage **out)
{
    lpx_str text = LPX_STR("{}");
    lpx_note note = {{0}};
    if (c->line.arg_count > 1 && strcmp(c->line.args[1], "-") == 0) {
        LPX_TRY(cli_read_file(c, "/dev/stdin", CLI_STDIN_VALUE_BYTES, &text));
    } else if (c->line.arg_count > 1) {
        text = lpx_str_of(c->line.args[1]);
    }
    lpx_err err = protojson_decode(desc, text, &c->arena, out, &note);
    return lpx_failed(err) ? cli_fail(c, CLI_USAGE, "the request is no %s: %s", desc->name, note.text) : LPX_SUCCESS;
}

/* An empty request with the submessages that it can hold, so that their fields are shown; those of a oneof exclude each
 * other, and wrappers and times mean something by being there. The messages of the API nest less than this deep. */
static ProtobufCMessage *template_of(cli *c, const ProtobufCMessageDescriptor *desc, unsigned depth)
{
    ProtobufCMessage *message = cli_new(c, desc);
    for (unsigned i = 0; i < desc->n_fields && depth > 0; i++) {
        const ProtobufCFieldDescriptor *f = &desc->fields[i];
        const ProtobufCMessageDescriptor *type = f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
        if (type != NULL && f->label != PROTOBUF_C_LABEL_REPEATED && (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 &&
            strncmp(type->name, "google.protobuf.", 16) != 0) {
            ProtobufCMessage *child = template_of(c, type, depth - 1);
            memcpy((char *)message + f->offset, &child, sizeof child);
        }
    }
    return message;
}

static lpx_err run_call(cli *c)
{
    method m;
    ProtobufCMessage *request = NULL, *answer = NULL;
    if (c->line.arg_count == 0) {
        list_methods(c);
        return LPX_SUCCESS;
    }
    if (c->line.arg_count > 2) {
        return cli_fail(c, CLI_USAGE, "want a method and at most one JSON value; put the value into 'quotes'");
    }
    LPX_TRY(find_method(c, c->line.args[0], &m));
    if (cli_on(c, "template")) {
        cli_print_json(c, template_of(c, m.desc->input, 4), true);
        return LPX_SUCCESS;
    }
    LPX_TRY(read_request(c, m.desc->input, &request));
    LPX_TRY(cli_call(c, m.service->service, cli_printf(c, "/%s", m.name), request, m.desc->output, &answer));
    cli_print_json(c, answer, true);
    return LPX_SUCCESS;
}

static const cli_flag call_flags[] = {
    {"template", CLI_SWITCH, "print an empty request of the method instead of calling it"},
    {0},
};

const cli_command cli_call_command = {
    .name = "call",
    .brief = "Call any unary method, JSON in and JSON out",
    .about = "Call any unary method of the exchange by its name: package.Service/Method, or as much of its end as is\n"
             "unique. The request is protojson, {} when absent, read from standard input when it is -.\n"
             "Without a method, the methods are listed. Secrets are printed as they come.",
    .examples = "  List the methods:\n    $ %\n\n"
                "  Get a network:\n    $ % NetworkRegistry/GetNetwork '{\"netId\": 19}'\n\n"
                "  See what a request can hold:\n    $ % UpdateGateway --template\n\n"
                "  Send a request from a file:\n    $ % UpdateGateway - < gateway.json\n",
    .flags = (const cli_flag *const[]){call_flags, NULL},
    .run = run_call,
    .takes_args = true,
    .args_hint = "[METHOD [JSON]]",
};
