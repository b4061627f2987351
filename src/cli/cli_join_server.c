/* lpx join-server: Join Servers of the registry. */
#include <string.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

#define REGISTRY "/org.packetbroker.iam.v2.JoinServerRegistry/"

static uint32_t id_of(cli *c)
{
    return (uint32_t)cli_number(c, "id");
}

static lpx_err get_server(cli *c, Pb__V3__JoinServer **out)
{
    Pb__Iam__V2__JoinServerRequest request = PB__IAM__V2__JOIN_SERVER_REQUEST__INIT;
    Pb__Iam__V2__GetJoinServerResponse *answer = NULL;
    request.id = id_of(c);
    LPX_TRY(cli_call(c, AGENT_IAM, REGISTRY "GetJoinServer", &request.base,
                     &pb__iam__v2__get_join_server_response__descriptor, &answer));
    if (answer->join_server == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without a Join Server");
    }
    *out = answer->join_server;
    return LPX_SUCCESS;
}

static const char *resolver_text(cli *c, const Pb__V3__JoinServer *s)
{
    switch (s->resolver_case) {
    case PB__V3__JOIN_SERVER__RESOLVER_LOOKUP:
        return cli_show_target(c, s->lookup);
    case PB__V3__JOIN_SERVER__RESOLVER_FIXED:
        return cli_show_member(c, s->fixed->net_id, s->fixed->tenant_id, s->fixed->cluster_id);
    case PB__V3__JOIN_SERVER__RESOLVER__NOT_SET:
    case _PB__V3__JOIN_SERVER__RESOLVER__CASE_IS_INT_SIZE:
        break;
    }
    return "";
}

static lpx_err run_list(cli *c)
{
    static const char *const headers[] = {"ID", "Name", "JoinEUI Prefixes", "Listed", "Resolver", NULL};
    Pb__Iam__V2__ListJoinServersRequest request = PB__IAM__V2__LIST_JOIN_SERVERS_REQUEST__INIT;
    cli_items servers = {0};
    request.name_contains = cli_text(c, "name-contains");
    LPX_TRY(cli_list_all(c, AGENT_IAM, REGISTRY "ListJoinServers", &request.base,
                         &pb__iam__v2__list_join_servers_response__descriptor, &servers));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < servers.count; i++) {
        Pb__V3__JoinServer *s = (Pb__V3__JoinServer *)servers.items[i];
        const char *cells[] = {
            cli_printf(c, "%u", s->id),
            s->name,
            cli_show_eui_prefixes(c, s->join_eui_prefixes, s->n_join_eui_prefixes),
            s->listed ? "Yes" : "No",
            resolver_text(c, s),
        };
        cli_table_row(table, &s->base, cells);
    }
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

/* Endpoint of the flags --fixed-...; NULL when none of them was given. */
static Pb__V3__JoinServerFixedEndpoint *fixed_of(cli *c)
{
    cli_endpoint e = cli_endpoint_of(c, "fixed");
    if (!e.has_net_id && !e.has_tenant_id && !e.has_cluster_id) {
        return NULL;
    }
    Pb__V3__JoinServerFixedEndpoint *fixed = cli_new(c, &pb__v3__join_server_fixed_endpoint__descriptor);
    fixed->net_id = e.net_id;
    fixed->tenant_id = e.tenant_id;
    fixed->cluster_id = e.cluster_id;
    return fixed;
}

static bool lookup_given(cli *c)
{
    for (const cli_flag *f = cli_lookup_target_flags; f->name != NULL; f++) {
        if (cli_changed(c, f->name)) {
            return true;
        }
    }
    return false;
}

static lpx_err check_resolver(cli *c, const Pb__V3__JoinServerFixedEndpoint *fixed)
{
    return fixed != NULL && lookup_given(c)
               ? cli_fail(c, CLI_USAGE,
                          "give --lookup-... or --fixed-... flags, not both: a Join Server has one resolver")
               : LPX_SUCCESS;
}

static lpx_err run_create(cli *c)
{
    Pb__Iam__V2__CreateJoinServerRequest request = PB__IAM__V2__CREATE_JOIN_SERVER_REQUEST__INIT;
    Pb__Iam__V2__CreateJoinServerResponse *answer = NULL;
    Pb__V3__JoinServer *s = cli_new(c, &pb__v3__join_server__descriptor);
    Pb__V3__Target *lookup = NULL;
    Pb__V3__JoinServerFixedEndpoint *fixed = fixed_of(c);
    LPX_TRY(check_resolver(c, fixed));
    s->name = cli_text(c, "name");
    s->listed = cli_on(c, "listed");
    s->join_eui_prefixes = cli_eui_prefixes_of(c, cli_text(c, "join-eui-prefixes"), &s->n_join_eui_prefixes);
    s->administrative_contact = cli_contact_of(c, "admin");
    s->technical_contact = cli_contact_of(c, "tech");
    LPX_TRY(cli_target_apply(c, "lookup", &lookup));
    if (lookup != NULL) {
        s->resolver_case = PB__V3__JOIN_SERVER__RESOLVER_LOOKUP;
        s->lookup = lookup;
    } else if (fixed != NULL) {
        s->resolver_case = PB__V3__JOIN_SERVER__RESOLVER_FIXED;
        s->fixed = fixed;
    }
    request.join_server = s;
    LPX_TRY(cli_call(c, AGENT_IAM, REGISTRY "CreateJoinServer", &request.base,
                     &pb__iam__v2__create_join_server_response__descriptor, &answer));
    if (answer->join_server == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the new Join Server");
    }
    cli_show_join_server(c, answer->join_server, false);
    return LPX_SUCCESS;
}

static lpx_err run_get(cli *c)
{
    Pb__V3__JoinServer *server = NULL;
    LPX_TRY(get_server(c, &server));
    cli_show_join_server(c, server, cli_on(c, "verbose"));
    return LPX_SUCCESS;
}

static lpx_err run_update(cli *c)
{
    Pb__Iam__V2__UpdateJoinServerRequest request = PB__IAM__V2__UPDATE_JOIN_SERVER_REQUEST__INIT;
    request.id = id_of(c);
    if (cli_changed(c, "name")) {
        request.name = cli_wrap_text(c, cli_text(c, "name"));
    }
    if (cli_changed(c, "listed")) {
        request.listed = cli_wrap_bool(c, cli_on(c, "listed"));
    }
    if (cli_changed(c, "join-eui-prefixes")) {
        request.join_eui_prefixes = cli_new(c, &pb__iam__v2__join_euiprefixes_value__descriptor);
        request.join_eui_prefixes->value =
            cli_eui_prefixes_of(c, cli_text(c, "join-eui-prefixes"), &request.join_eui_prefixes->n_value);
    }
    request.administrative_contact = cli_contact_change(c, "admin");
    request.technical_contact = cli_contact_change(c, "tech");
    return cli_call_empty(c, AGENT_IAM, REGISTRY "UpdateJoinServer", &request.base);
}

static lpx_err run_update_target(cli *c)
{
    Pb__Iam__V2__UpdateJoinServerRequest request = PB__IAM__V2__UPDATE_JOIN_SERVER_REQUEST__INIT;
    Pb__V3__JoinServer *server = NULL;
    Pb__V3__JoinServerFixedEndpoint *fixed = fixed_of(c);
    LPX_TRY(check_resolver(c, fixed));
    request.id = id_of(c);
    if (fixed != NULL) {
        request.resolver_case = PB__IAM__V2__UPDATE_JOIN_SERVER_REQUEST__RESOLVER_FIXED;
        request.fixed = fixed;
        return cli_call_empty(c, AGENT_IAM, REGISTRY "UpdateJoinServer", &request.base);
    }
    LPX_TRY(get_server(c, &server));
    Pb__V3__Target *lookup = server->resolver_case == PB__V3__JOIN_SERVER__RESOLVER_LOOKUP ? server->lookup : NULL;
    LPX_TRY(cli_target_apply(c, "lookup", &lookup));
    if (lookup == NULL) {
        return cli_fail(c, CLI_USAGE,
                        "say how the Join Server is found: --lookup-protocol TS002_V1_0 with --lookup-address, or "
                        "--fixed-net-id");
    }
    request.resolver_case = PB__IAM__V2__UPDATE_JOIN_SERVER_REQUEST__RESOLVER_LOOKUP;
    request.lookup = lookup;
    return cli_call_empty(c, AGENT_IAM, REGISTRY "UpdateJoinServer", &request.base);
}

static lpx_err run_delete(cli *c)
{
    Pb__Iam__V2__JoinServerRequest request = PB__IAM__V2__JOIN_SERVER_REQUEST__INIT;
    request.id = id_of(c);
    return cli_call_empty(c, AGENT_IAM, REGISTRY "DeleteJoinServer", &request.base);
}

static const cli_flag list_flags[] = {{"name-contains", CLI_TEXT, "only Join Servers with this in their name"}, {0}};
static const cli_flag id_flags[] = {{"id", CLI_NUMBER, "ID of the Join Server, as list shows it"}, {0}};
static const cli_flag prefix_flags[] = {
    {"join-eui-prefixes", CLI_EUI_PREFIXES, "JoinEUI prefixes, like EC656E0000000000/24,70B3D57ED0000000/36"},
    {0},
};
static const cli_flag fixed_flags[] = {
    {"fixed-net-id", CLI_NETID, "join-requests go to this member: NetID"},
    {"fixed-tenant-id", CLI_TEXT, "join-requests go to this member: tenant ID"},
    {"fixed-cluster-id", CLI_TEXT, "join-requests go to this member: cluster ID"},
    {0},
};

static const cli_command list_command = {
    .name = "list",
    .aliases = "ls",
    .brief = "List Join Servers",
    .examples = "  List all Join Servers:\n    $ %\n\n  Find Join Servers by name:\n    $ % --name-contains things\n",
    .flags = (const cli_flag *const[]){list_flags, NULL},
    .run = run_list,
};
static const cli_command create_command = {
    .name = "create",
    .brief = "Create a Join Server",
    .about = "Create a Join Server. The exchange gives it an ID.\n\n"
             "Join-requests of its JoinEUI prefixes go to the home network that its lookup names (by Backend\n"
             "Interfaces), or always to one fixed member.",
    .examples = "  Create with a fixed member:\n"
                "    $ % --join-eui-prefixes EC656E0000000000/24 --name \"Test JS\" --listed --fixed-net-id 000013\n\n"
                "  Create with a lookup by LoRaWAN Backend Interfaces 1.0 and HTTP basic authentication:\n"
                "    $ % --join-eui-prefixes EC656E0000000000/24 --lookup-protocol TS002_V1_0 \\\n"
                "        --lookup-address https://user:pass@js.example.com\n",
    .flags = (const cli_flag *const[]){cli_listed_flags, prefix_flags, cli_lookup_target_flags, fixed_flags,
                                       cli_contact_flags, NULL},
    .run = run_create,
};
static const cli_command get_command = {
    .name = "get",
    .brief = "Get a Join Server",
    .examples = "  Get:\n    $ % --id 1\n",
    .flags = (const cli_flag *const[]){id_flags, cli_verbose_flags, NULL},
    .run = run_get,
};
static const cli_command update_target_command = {
    .name = "target",
    .brief = "Update how a Join Server is resolved",
    .about = "Update how a Join Server is resolved. Of a lookup, what no flag names stays as it is.",
    .examples = "  Look up by LoRaWAN Backend Interfaces 1.1:\n"
                "    $ % --id 1 --lookup-protocol TS002_V1_1 --lookup-address https://js.example.com\n\n"
                "  Send join-requests to a fixed member:\n    $ % --id 1 --fixed-net-id 000013 --fixed-tenant-id tti\n",
    .flags = (const cli_flag *const[]){id_flags, cli_lookup_target_flags, fixed_flags, NULL},
    .run = run_update_target,
};
static const cli_command update_command = {
    .name = "update",
    .aliases = "up",
    .brief = "Update a Join Server",
    .about = "Update a Join Server. What no flag names stays as it is; an empty text clears.",
    .examples = "  Update the name:\n    $ % --id 1 --name \"Test JS\"\n\n"
                "  Replace all JoinEUI prefixes:\n    $ % --id 1 --join-eui-prefixes EC656E0000000000/24\n",
    .flags = (const cli_flag *const[]){id_flags, cli_listed_flags, prefix_flags, cli_contact_flags, NULL},
    .below = (const cli_command *const[]){&update_target_command, NULL},
    .run = run_update,
};
static const cli_command delete_command = {
    .name = "delete",
    .aliases = "rm",
    .brief = "Delete a Join Server",
    .examples = "  Delete:\n    $ % --id 1\n",
    .flags = (const cli_flag *const[]){id_flags, NULL},
    .run = run_delete,
};

const cli_command cli_join_server_command = {
    .name = "join-server",
    .aliases = "join-servers, js",
    .brief = "Manage Join Servers",
    .below = (const cli_command *const[]){&list_command, &create_command, &get_command, &update_command,
                                          &delete_command, NULL},
};
