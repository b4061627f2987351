/* lpx network apikey: API keys of networks and tenants. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli_keys.h"
#include "lpx_reasons.h"

#define VAULT "/org.packetbroker.iam.v2.NetworkAPIKeyVault/"

static lpx_err run_list(cli *c)
{
    static const char *const headers[] = {"Key ID", "NetID", "Tenant ID", "Cluster ID",
                                          "Rights", "State", "Last Used", NULL};
    cli_endpoint e = cli_endpoint_of(c, "");
    Pb__Iam__V2__ListNetworkAPIKeysRequest request = PB__IAM__V2__LIST_NETWORK_APIKEYS_REQUEST__INIT;
    cli_items keys = {0};
    request.net_id = e.has_net_id ? cli_wrap_uint32(c, e.net_id) : NULL;
    request.tenant_id = e.has_tenant_id ? cli_wrap_text(c, e.tenant_id) : NULL;
    request.cluster_id = e.has_cluster_id ? cli_wrap_text(c, e.cluster_id) : NULL;
    LPX_TRY(cli_list_all(c, AGENT_IAM, VAULT "ListAPIKeys", &request.base,
                         &pb__iam__v2__list_network_apikeys_response__descriptor, &keys));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < keys.count; i++) {
        Pb__V3__NetworkAPIKey *k = (Pb__V3__NetworkAPIKey *)keys.items[i];
        const char *cells[] = {
            k->key_id,
            cli_show_net_id(c, k->net_id),
            k->tenant_id,
            k->cluster_id,
            cli_show_rights(c, k->rights, k->n_rights),
            cli_show_enum(c, &pb__v3__apikey_state__descriptor, (int)k->state),
            cli_show_since(c, k->authenticated_at, c->world->utc_us()),
        };
        cli_table_row(table, &k->base, cells);
    }
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

/* Wait for a whole line from a terminal, or Ctrl-C: the signals come only while it waits, so that none slips in between
 * a look at the flag and the wait. */
static void wait_for_line(int fd)
{
    sigset_t ours, before;
    struct pollfd terminal = {.fd = fd, .events = POLLIN};
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ours, &before);
    while (!cli_interrupted() && ppoll(&terminal, 1, NULL, &before) < 0 && errno == EINTR) {
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

/* A secret typed without echo; from a pipe, its first line. */
lpx_err cli_key_prompt(cli *c, char **out)
{
    if (!cli_on(c, "prompt-key")) {
        return LPX_SUCCESS;
    }
    char line[512];
    struct termios before, silent;
    int fd = fileno(c->world->in);
    bool terminal = tcgetattr(fd, &before) == 0;
    if (terminal) {
        cli_catch_interrupt(); /* Ctrl-C must not leave a silent terminal */
        (void)fputs("Secret key: ", c->world->err);
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(fd, TCSAFLUSH, &silent);
        wait_for_line(fd);
    }
    const char *got = cli_interrupted() ? NULL : fgets(line, sizeof line, c->world->in);
    if (terminal) {
        (void)tcsetattr(fd, TCSAFLUSH, &before);
        (void)fputc('\n', c->world->err);
        cli_release_interrupt();
    }
    if (cli_interrupted()) {
        lpx_wipe(line, sizeof line);
        return cli_fail(c, CLI_INPUT, "interrupted");
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
    LPX_TRY(cli_key_prompt(c, &request.key));
    LPX_TRY(cli_call(c, AGENT_IAM, VAULT "CreateAPIKey", &request.base,
                     &pb__iam__v2__create_network_apikey_response__descriptor, &answer));
    Pb__V3__NetworkAPIKey *k = answer->key;
    if (k == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the new API key");
    }
    if (cli_on(c, "save")) {
        LPX_TRY(save_key(c, k));
    } else {
        cli_key_warn(c);
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
    cli_print_record(c, &k->base, pairs);
    return LPX_SUCCESS;
}

void cli_key_warn(cli *c)
{
    (void)fputs("Store the API key now in a secure place: it cannot be retrieved later.\n", c->world->err);
}

lpx_err cli_key_update_state(cli *c, const char *path)
{
    Pb__Iam__V2__UpdateAPIKeyStateRequest request = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    const ProtobufCEnumValue *state =
        protobuf_c_enum_descriptor_get_value_by_name(&pb__v3__apikey_state__descriptor, cli_text(c, "state"));
    request.key_id = cli_text(c, "key-id");
    request.state = state != NULL ? (Pb__V3__APIKeyState)state->value : PB__V3__APIKEY_STATE__REQUESTED;
    return cli_call_empty(c, AGENT_IAM, path, &request.base);
}

lpx_err cli_key_delete(cli *c, const char *path)
{
    Pb__Iam__V2__APIKeyRequest request = PB__IAM__V2__APIKEY_REQUEST__INIT;
    request.key_id = cli_text(c, "key-id");
    return cli_call_empty(c, AGENT_IAM, path, &request.base);
}

static lpx_err run_update_state(cli *c)
{
    return cli_key_update_state(c, VAULT "UpdateAPIKeyState");
}

static lpx_err run_delete(cli *c)
{
    return cli_key_delete(c, VAULT "DeleteAPIKey");
}

static const cli_flag save_flags[] = {
    {"save", CLI_SWITCH, "save the API key to the configuration file"},
    {0},
};

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
    .examples = "  Create an API key for a network:\n    $ % --net-id 000013 --rights READ_NETWORK,READ_TRAFFIC\n\n"
                "  Create an API key for a named cluster in a tenant:\n"
                "    $ % --net-id 000013 --tenant-id tti --cluster-id eu1 --rights "
                "READ_TRAFFIC,WRITE_TRAFFIC\n" CLI_NETWORK_RIGHTS_TEXT,
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_cluster_id_flags, cli_rights_flags,
                                       cli_prompt_key_flags, save_flags, NULL},
    .run = run_create,
};
static const cli_command update_state_command = {
    .name = "update-state",
    .brief = "Approve or reject an API key",
    .examples = "  Approve a requested API key:\n    $ % --key-id C5232IFFX4UKEELB --state APPROVED\n",
    .flags = (const cli_flag *const[]){cli_key_id_flags, cli_state_flags, NULL},
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
