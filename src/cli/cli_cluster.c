/* lpx cluster: API keys of clusters of the exchange. */
#include "cli/cli_keys.h"
#include "lpx_reasons.h"

#define VAULT "/org.packetbroker.iam.v2.ClusterAPIKeyVault/"

static lpx_err run_list(cli *c)
{
    static const char *const headers[] = {"Key ID", "ClusterID", "Rights", "State", "Last Used", NULL};
    Pb__Iam__V2__ListClusterAPIKeysRequest request = PB__IAM__V2__LIST_CLUSTER_APIKEYS_REQUEST__INIT;
    cli_items keys = {0};
    request.cluster_id = cli_changed(c, "cluster-id") ? cli_wrap_text(c, cli_text(c, "cluster-id")) : NULL;
    LPX_TRY(cli_list_all(c, AGENT_IAM, VAULT "ListAPIKeys", &request.base,
                         &pb__iam__v2__list_cluster_apikeys_response__descriptor, &keys));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < keys.count; i++) {
        Pb__V3__ClusterAPIKey *k = (Pb__V3__ClusterAPIKey *)keys.items[i];
        const char *cells[] = {
            k->key_id,
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

static lpx_err run_create(cli *c)
{
    Pb__Iam__V2__CreateClusterAPIKeyRequest request = PB__IAM__V2__CREATE_CLUSTER_APIKEY_REQUEST__INIT;
    Pb__Iam__V2__CreateClusterAPIKeyResponse *answer = NULL;
    request.cluster_id = cli_text(c, "cluster-id");
    request.rights = cli_rights_of(c, cli_text(c, "rights"), &request.n_rights);
    LPX_TRY(cli_key_prompt(c, &request.key));
    LPX_TRY(cli_call(c, AGENT_IAM, VAULT "CreateAPIKey", &request.base,
                     &pb__iam__v2__create_cluster_apikey_response__descriptor, &answer));
    const Pb__V3__ClusterAPIKey *k = answer->key;
    if (k == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the new API key");
    }
    cli_key_warn(c);
    const char *pairs[] = {
        "Key ID",     k->key_id,
        "Secret Key", k->key,
        "Cluster ID", k->cluster_id,
        "Rights",     cli_show_rights(c, k->rights, k->n_rights),
        "State",      cli_show_enum(c, &pb__v3__apikey_state__descriptor, (int)k->state),
        NULL,
    };
    cli_print_record(c, &k->base, pairs);
    return LPX_SUCCESS;
}

static lpx_err run_update_state(cli *c)
{
    return cli_key_update_state(c, VAULT "UpdateAPIKeyState");
}

static lpx_err run_delete(cli *c)
{
    return cli_key_delete(c, VAULT "DeleteAPIKey");
}

#define CLUSTER_RIGHTS_TEXT                                               \
    "\nRights:\n"                                                         \
    "  READ_NETWORK              Read networks and tenants\n"             \
    "  READ_NETWORK_CONTACT      Read contacts of networks and tenants\n" \
    "  READ_JOIN_SERVER          Read Join Servers\n"                     \
    "  READ_JOIN_SERVER_CONTACT  Read contacts of Join Servers\n"         \
    "  READ_ROUTE_TABLE          Read the route tables\n"                 \
    "  READ_ROUTING_POLICY       Read routing policies\n"                 \
    "  READ_TARGET_AUTH          Read how targets are authenticated to\n"

static const cli_command list_command = {
    .name = "list",
    .aliases = "ls",
    .brief = "List API keys of clusters",
    .examples = "  List all API keys of clusters:\n    $ %\n\n"
                "  List API keys of one cluster:\n    $ % --cluster-id eu1\n",
    .flags = (const cli_flag *const[]){cli_cluster_id_flags, NULL},
    .run = run_list,
};
static const cli_command create_command = {
    .name = "create",
    .brief = "Create an API key for a cluster",
    .about = "Create an API key for a cluster of the exchange.\n\n"
             "The secret key is shown only now. Store it in a secure place.",
    .examples = "  Create an API key for a router:\n"
                "    $ % --cluster-id eu1 \\\n"
                "        --rights READ_ROUTING_POLICY,READ_ROUTE_TABLE,READ_TARGET_AUTH\n" CLUSTER_RIGHTS_TEXT,
    .flags = (const cli_flag *const[]){cli_cluster_id_flags, cli_rights_flags, cli_prompt_key_flags, NULL},
    .run = run_create,
};
static const cli_command update_state_command = {
    .name = "update-state",
    .brief = "Approve or reject an API key",
    .examples = "  Reject an API key:\n    $ % --key-id C5232IFFX4UKEELB --state REJECTED\n",
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
static const cli_command apikey_command = {
    .name = "apikey",
    .aliases = "apikeys, key, keys",
    .brief = "Manage API keys of clusters",
    .below = (const cli_command *const[]){&list_command, &create_command, &update_state_command, &delete_command, NULL},
};

const cli_command cli_cluster_command = {
    .name = "cluster",
    .aliases = "c",
    .brief = "Manage clusters of the exchange",
    .below = (const cli_command *const[]){&apikey_command, NULL},
};
