/* lpx network apikey: API keys of networks and tenants. */
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

#define VAULT "/org.packetbroker.iam.v2.NetworkAPIKeyVault/"

static lpx_err run_list(cli *c)
{
    static const char *const headers[] = {"Key ID", "NetID", "Tenant ID", "Cluster ID",
                                          "Rights", "State", "Last Used", NULL};
    cli_endpoint e = cli_endpoint_of(c, "");
    Pb__Iam__V2__ListNetworkAPIKeysRequest request = PB__IAM__V2__LIST_NETWORK_APIKEYS_REQUEST__INIT;
    Pb__Iam__V2__ListNetworkAPIKeysResponse *answer = NULL;
    request.net_id = e.has_net_id ? cli_wrap_uint32(c, e.net_id) : NULL;
    request.tenant_id = e.has_tenant_id ? cli_wrap_text(c, e.tenant_id) : NULL;
    request.cluster_id = e.has_cluster_id ? cli_wrap_text(c, e.cluster_id) : NULL;
    LPX_TRY(cli_call(c, AGENT_IAM, VAULT "ListAPIKeys", &request.base,
                     &pb__iam__v2__list_network_apikeys_response__descriptor, &answer));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < answer->n_keys; i++) {
        const Pb__V3__NetworkAPIKey *k = answer->keys[i];
        const char *cells[] = {
            k->key_id,
            cli_show_net_id(c, k->net_id),
            k->tenant_id,
            k->cluster_id,
            cli_show_rights(c, k->rights, k->n_rights),
            cli_show_enum(c, &pb__v3__apikey_state__descriptor, (int)k->state),
            cli_show_since(c, k->authenticated_at, c->world->utc_us()),
        };
        cli_table_row(table, cells);
    }
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

/* A secret typed without echo; from a pipe, its first line. */
static lpx_err prompt_key(cli *c, char **out)
{
    char line[512];
    struct termios before, silent;
    int fd = fileno(c->world->in);
    bool terminal = tcgetattr(fd, &before) == 0;
    if (terminal) {
        (void)fputs("Secret key: ", c->world->err);
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(fd, TCSAFLUSH, &silent);
    }
    const char *got = fgets(line, sizeof line, c->world->in);
    if (terminal) {
        (void)tcsetattr(fd, TCSAFLUSH, &before);
        (void)fputc('\n', c->world->err);
    }
    if (got == NULL || line[strcspn(line, "\r\n")] == 0) {
        lpx_wipe(line, sizeof line);
        return cli_fail(c, CLI_INPUT, "--prompt-key: want a secret key of 1 to %zu characters, ended by a line break",
                        sizeof line - 2);
    }
    line[strcspn(line, "\r\n")] = 0;
    *out = cli_printf(c, "%s", line);
    lpx_wipe(line, sizeof line);
    return LPX_SUCCESS;
}

static lpx_err save_key(cli *c, const Pb__V3__NetworkAPIKey *key)
{
    const cli_setting settings[] = {{"client-id", key->key_id}, {"client-secret", key->key}};
    LPX_TRY(cli_settings_save(c, settings, 2));
    (void)fprintf(c->world->err, "Saved the API key to %s\n", c->config_file);
    return LPX_SUCCESS;
}

static lpx_err run_create(cli *c)
{
    cli_endpoint e = cli_endpoint_of(c, "");
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = PB__IAM__V2__CREATE_NETWORK_APIKEY_REQUEST__INIT;
    Pb__Iam__V2__CreateNetworkAPIKeyResponse *answer = NULL;
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.cluster_id = e.cluster_id;
    request.rights = cli_rights_of(c, cli_text(c, "rights"), &request.n_rights);
    if (cli_on(c, "prompt-key")) {
        LPX_TRY(prompt_key(c, &request.key));
    }
    LPX_TRY(cli_call(c, AGENT_IAM, VAULT "CreateAPIKey", &request.base,
                     &pb__iam__v2__create_network_apikey_response__descriptor, &answer));
    const Pb__V3__NetworkAPIKey *k = answer->key;
    if (k == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the new API key");
    }
    if (cli_on(c, "save")) {
        LPX_TRY(save_key(c, k));
    } else {
        (void)fputs("Store the API key now in a secure place: it cannot be retrieved later.\n", c->world->err);
    }
    const char *pairs[] = {
        "Key ID",     k->key_id,
        "Secret Key", k->key,
        "NetID",      cli_show_net_id(c, k->net_id),
        "Tenant ID",  k->tenant_id,
        "Cluster ID", k->cluster_id,
        "Rights",     cli_show_rights(c, k->rights, k->n_rights),
        "State",      cli_show_enum(c, &pb__v3__apikey_state__descriptor, (int)k->state),
        NULL,
    };
    cli_print_pairs(c, pairs);
    return LPX_SUCCESS;
}

static lpx_err run_update_state(cli *c)
{
    Pb__Iam__V2__UpdateAPIKeyStateRequest request = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    Google__Protobuf__Empty *answer = NULL;
    const ProtobufCEnumValue *state =
        protobuf_c_enum_descriptor_get_value_by_name(&pb__v3__apikey_state__descriptor, cli_text(c, "state"));
    request.key_id = cli_text(c, "key-id");
    request.state = state != NULL ? (Pb__V3__APIKeyState)state->value : PB__V3__APIKEY_STATE__REQUESTED;
    return cli_call(c, AGENT_IAM, VAULT "UpdateAPIKeyState", &request.base, &google__protobuf__empty__descriptor,
                    &answer);
}

static lpx_err run_delete(cli *c)
{
    Pb__Iam__V2__APIKeyRequest request = PB__IAM__V2__APIKEY_REQUEST__INIT;
    Google__Protobuf__Empty *answer = NULL;
    request.key_id = cli_text(c, "key-id");
    return cli_call(c, AGENT_IAM, VAULT "DeleteAPIKey", &request.base, &google__protobuf__empty__descriptor, &answer);
}

static const cli_flag create_flags[] = {
    {"prompt-key", CLI_SWITCH, "ask for a secret key instead of a random one"},
    {"save", CLI_SWITCH, "save the API key to the configuration file"},
    {0},
};
static const cli_flag state_flags[] = {{"state", CLI_STATE, "REQUESTED, APPROVED or REJECTED", "REQUESTED"}, {0}};

#define RIGHTS_TEXT                                                       \
    "\nRights:\n"                                                         \
    "  READ_NETWORK              Read networks and tenants\n"             \
    "  READ_NETWORK_CONTACT      Read contacts of networks and tenants\n" \
    "  READ_JOIN_SERVER          Read Join Servers\n"                     \
    "  READ_JOIN_SERVER_CONTACT  Read contacts of Join Servers\n"         \
    "  READ_ROUTING_POLICY       Read routing policies\n"                 \
    "  WRITE_ROUTING_POLICY      Write routing policies\n"                \
    "  READ_GATEWAY_VISIBILITY   Read gateway visibilities\n"             \
    "  WRITE_GATEWAY_VISIBILITY  Write gateway visibilities\n"            \
    "  READ_TRAFFIC              Subscribe to messages\n"                 \
    "  WRITE_TRAFFIC             Publish messages\n"                      \
    "  READ_REPORT               Read reports\n"

static const cli_command list_command = {
    .name = "list",
    .aliases = "ls",
    .brief = "List API keys",
    .examples = "  List all API keys:\n    $ %\n\n  List API keys of a network:\n    $ % --net-id 000013\n\n"
                "  List API keys of a named cluster in a tenant:\n"
                "    $ % --net-id 000013 --tenant-id tti --cluster-id eu1\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_cluster_id_flags, NULL},
    .run = run_list,
};
static const cli_command create_command = {
    .name = "create",
    .brief = "Create an API key",
    .about = "Create an API key for a network or tenant, optionally for a named cluster.\n\n"
             "The secret key is shown only now. Store it in a secure place.",
    .examples =
        "  Create an API key for a network:\n    $ % --net-id 000013 --rights READ_NETWORK,READ_TRAFFIC\n\n"
        "  Create an API key for a named cluster in a tenant:\n"
        "    $ % --net-id 000013 --tenant-id tti --cluster-id eu1 --rights READ_TRAFFIC,WRITE_TRAFFIC\n" RIGHTS_TEXT,
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_cluster_id_flags, cli_rights_flags,
                                       create_flags, NULL},
    .run = run_create,
};
static const cli_command update_state_command = {
    .name = "update-state",
    .brief = "Approve or reject an API key",
    .examples = "  Approve a requested API key:\n    $ % --key-id C5232IFFX4UKEELB --state APPROVED\n",
    .flags = (const cli_flag *const[]){cli_key_id_flags, state_flags, NULL},
    .run = run_update_state,
};
static const cli_command delete_command = {
    .name = "delete",
    .aliases = "rm",
    .brief = "Delete an API key",
    .examples = "  Delete:\n    $ % --key-id C5232IFFX4UKEELB\n",
    .flags = (const cli_flag *const[]){cli_key_id_flags, NULL},
    .run = run_delete,
};

const cli_command cli_apikey_command = {
    .name = "apikey",
    .aliases = "apikeys, key, keys",
    .brief = "Manage API keys of networks and tenants",
    .below = (const cli_command *const[]){&list_command, &create_command, &update_state_command, &delete_command, NULL},
};

/* ---- network init ---- */

/* Everything that the next command needs to reach the same exchange as this one. */
static lpx_err save_init(cli *c, const Pb__V3__NetworkAPIKey *k)
{
    cli_setting settings[9] = {
        {"iam-address", cli_text(c, "iam-address")},
        {"controlplane-address", cli_text(c, "controlplane-address")},
        {"reports-address", cli_text(c, "reports-address")},
        {"router-address", cli_text(c, "router-address")},
        {"token-url", cli_text(c, "token-url")},
        {"client-id", k->key_id},
        {"client-secret", k->key},
    };
    size_t count = 7;
    char *ca_file = realpath(cli_text(c, "ca-file"), NULL);
    if (ca_file != NULL) {
        settings[count++] = (cli_setting){"ca-file", ca_file};
    }
    if (cli_on(c, "insecure")) {
        settings[count++] = (cli_setting){"insecure", "true"};
    }
    lpx_err err = cli_settings_save(c, settings, count);
    free(ca_file);
    LPX_TRY(err);
    (void)fprintf(c->world->err, "Saved the configuration to %s\n", c->config_file);
    if (k->state == PB__V3__APIKEY_STATE__REQUESTED) {
        (void)fputs("The API key works as soon as the operator of the exchange approves it.\n", c->world->err);
    }
    return LPX_SUCCESS;
}

static lpx_err run_init(cli *c)
{
    cli_endpoint e = cli_endpoint_of(c, "");
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = PB__IAM__V2__CREATE_NETWORK_APIKEY_REQUEST__INIT;
    Pb__Iam__V2__CreateNetworkAPIKeyResponse *answer = NULL;
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.cluster_id = e.cluster_id;
    request.rights = cli_rights_of(c, cli_text(c, "rights"), &request.n_rights);
    LPX_TRY(cli_call(c, AGENT_IAM, VAULT "CreateAPIKey", &request.base,
                     &pb__iam__v2__create_network_apikey_response__descriptor, &answer));
    const Pb__V3__NetworkAPIKey *k = answer->key;
    if (k == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the new API key");
    }
    LPX_TRY(save_init(c, k));
    const char *pairs[] = {
        "NetID",
        cli_show_net_id(c, e.net_id),
        "Tenant ID",
        e.tenant_id,
        "Cluster ID",
        e.cluster_id,
        "IAM Address",
        cli_text(c, "iam-address"),
        "Control Plane Address",
        cli_text(c, "controlplane-address"),
        "Router Address",
        cli_text(c, "router-address"),
        "API Key ID",
        k->key_id,
        "API Secret Key",
        k->key,
        "API Key Rights",
        cli_show_rights(c, k->rights, k->n_rights),
        "API Key State",
        cli_show_enum(c, &pb__v3__apikey_state__descriptor, (int)k->state),
        NULL,
    };
    cli_print_pairs(c, pairs);
    return LPX_SUCCESS;
}

static const cli_flag init_rights_flags[] = {
    {"rights", CLI_RIGHTS, "rights of the API key, with commas between",
     "READ_NETWORK,READ_JOIN_SERVER,READ_ROUTING_POLICY,WRITE_ROUTING_POLICY,READ_GATEWAY_VISIBILITY,"
     "WRITE_GATEWAY_VISIBILITY,READ_TRAFFIC,WRITE_TRAFFIC,READ_REPORT"},
    {0},
};

const cli_command cli_init_command = {
    .name = "init",
    .brief = "Request an API key and write the configuration file",
    .about =
        "Request an API key for a network, tenant or named cluster and write it, with the addresses, to the\n"
        "configuration file .pb.yaml of the working directory. No credentials are needed: the operator of the\n"
        "exchange approves the key later. With credentials of the operator or of the network the key works at once.",
    .examples = "  Initialize for a network:\n    $ % --net-id 000013 --router-address exchange.example.com:1900\n\n"
                "  Initialize for a named cluster in a tenant:\n"
                "    $ % --net-id 000013 --tenant-id ttn --cluster-id eu1 \\\n"
                "        --router-address exchange.example.com:1900\n" RIGHTS_TEXT,
    .flags =
        (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_cluster_id_flags, init_rights_flags,
                                  cli_control_address_flags, cli_reports_address_flags, cli_router_address_flags, NULL},
    .run = run_init,
};
