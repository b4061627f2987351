/* lpx network: networks of the registry. */
#include "cli/cli_priv.h"
#include "lpx_reasons.h"

#define REGISTRY "/org.packetbroker.iam.v1.NetworkRegistry/"

static lpx_err get_network(cli *c, uint32_t net_id, Pb__V3__Network **out)
{
    Pb__Iam__V1__NetworkRequest request = PB__IAM__V1__NETWORK_REQUEST__INIT;
    Pb__Iam__V1__GetNetworkResponse *answer = NULL;
    request.net_id = net_id;
    LPX_TRY(cli_call(c, AGENT_IAM, REGISTRY "GetNetwork", &request.base, &pb__iam__v1__get_network_response__descriptor,
                     &answer));
    if (answer->network == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without a network");
    }
    *out = answer->network;
    return LPX_SUCCESS;
}

static void add_row(cli *c, cli_table *table, Pb__V3__Network *n)
{
    const char *cells[] = {
        cli_show_net_id(c, n->net_id),
        n->authority,
        n->name,
        cli_show_blocks(c, n->dev_addr_blocks, n->n_dev_addr_blocks),
        n->listed ? "Yes" : "No",
        cli_show_target(c, n->target),
        n->delegated_net_id != NULL ? cli_show_net_id(c, n->delegated_net_id->value) : "",
    };
    cli_table_row(table, &n->base, cells);
}

static lpx_err run_list(cli *c)
{
    static const char *const headers[] = {"NetID",  "Authority",       "Name", "DevAddr Blocks", "Listed",
                                          "Target", "Delegated NetID", NULL};
    Pb__Iam__V1__ListNetworksRequest request = PB__IAM__V1__LIST_NETWORKS_REQUEST__INIT;
    cli_items networks = {0};
    request.name_contains = cli_text(c, "name-contains");
    LPX_TRY(cli_list_all(c, AGENT_IAM, REGISTRY "ListNetworks", &request.base,
                         &pb__iam__v1__list_networks_response__descriptor, &networks));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < networks.count; i++) {
        add_row(c, table, (Pb__V3__Network *)networks.items[i]);
    }
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

static lpx_err run_create(cli *c)
{
    Pb__Iam__V1__CreateNetworkRequest request = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    Pb__Iam__V1__CreateNetworkResponse *answer = NULL;
    Pb__V3__Network *n = cli_new(c, &pb__v3__network__descriptor);
    n->net_id = cli_net_id_of(cli_text(c, "net-id"));
    n->name = cli_text(c, "name");
    n->dev_addr_blocks = cli_blocks_of(c, cli_text(c, "dev-addr-blocks"), &n->n_dev_addr_blocks);
    n->administrative_contact = cli_contact_of(c, "admin");
    n->technical_contact = cli_contact_of(c, "tech");
    n->listed = cli_on(c, "listed");
    if (cli_changed(c, "delegated-net-id")) {
        n->delegated_net_id = cli_wrap_uint32(c, cli_net_id_of(cli_text(c, "delegated-net-id")));
    }
    LPX_TRY(cli_target_apply(c, "target", &n->target));
    request.network = n;
    LPX_TRY(cli_call(c, AGENT_IAM, REGISTRY "CreateNetwork", &request.base,
                     &pb__iam__v1__create_network_response__descriptor, &answer));
    if (answer->network == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the new network");
    }
    cli_show_network(c, answer->network, false);
    cli_blocks_tell_cut(c, n->dev_addr_blocks, n->n_dev_addr_blocks, answer->network->dev_addr_blocks,
                        answer->network->n_dev_addr_blocks);
    return LPX_SUCCESS;
}

static lpx_err run_get(cli *c)
{
    Pb__V3__Network *network = NULL;
    LPX_TRY(get_network(c, cli_net_id_of(cli_text(c, "net-id")), &network));
    cli_show_network(c, network, cli_on(c, "verbose"));
    return LPX_SUCCESS;
}

/* --listed alone goes by a method of its own, which a network may call for itself. */
static lpx_err update_listed(cli *c, uint32_t net_id)
{
    Pb__Iam__V1__UpdateNetworkListedRequest request = PB__IAM__V1__UPDATE_NETWORK_LISTED_REQUEST__INIT;
    request.net_id = net_id;
    request.listed = cli_on(c, "listed");
    return cli_call_empty(c, AGENT_IAM, REGISTRY "UpdateNetworkListed", &request.base);
}

static lpx_err blocks_now(cli *c, Pb__V3__DevAddrBlock ***blocks, size_t *count)
{
    Pb__V3__Network *network = NULL;
    LPX_TRY(get_network(c, cli_net_id_of(cli_text(c, "net-id")), &network));
    *blocks = network->dev_addr_blocks;
    *count = network->n_dev_addr_blocks;
    return LPX_SUCCESS;
}

static lpx_err run_update(cli *c)
{
    Pb__Iam__V1__UpdateNetworkRequest request = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    request.net_id = cli_net_id_of(cli_text(c, "net-id"));
    if (cli_changed(c, "listed")) {
        LPX_TRY(update_listed(c, request.net_id));
    }
    if (cli_changed(c, "name")) {
        request.name = cli_wrap_text(c, cli_text(c, "name"));
    }
    LPX_TRY(cli_blocks_change(c, blocks_now, &request.dev_addr_blocks));
    request.administrative_contact = cli_contact_change(c, "admin");
    request.technical_contact = cli_contact_change(c, "tech");
    if (cli_on(c, "unset-delegated-net-id") || cli_changed(c, "delegated-net-id")) {
        request.delegated_net_id = cli_new(c, &pb__iam__v1__update_network_request__delegated_net_id__descriptor);
        if (!cli_on(c, "unset-delegated-net-id")) {
            request.delegated_net_id->value = cli_wrap_uint32(c, cli_net_id_of(cli_text(c, "delegated-net-id")));
        }
    }
    if (request.name == NULL && request.dev_addr_blocks == NULL && request.administrative_contact == NULL &&
        request.technical_contact == NULL && request.delegated_net_id == NULL) {
        return cli_changed(c, "listed") ? LPX_SUCCESS
                                        : cli_fail(c, CLI_USAGE,
                                                   "nothing to update: give --name, --dev-addr-blocks or "
                                                   "another of the flags in --help");
    }
    LPX_TRY(cli_call_empty(c, AGENT_IAM, REGISTRY "UpdateNetwork", &request.base));
    cli_blocks_check_stored(c, blocks_now, request.dev_addr_blocks);
    return LPX_SUCCESS;
}

static lpx_err send_target(cli *c, Pb__V3__Target *target)
{
    Pb__Iam__V1__UpdateNetworkRequest request = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    request.net_id = cli_net_id_of(cli_text(c, "net-id"));
    request.target = cli_new(c, &pb__iam__v1__target_value__descriptor);
    request.target->value = target;
    return cli_call_empty(c, AGENT_IAM, REGISTRY "UpdateNetwork", &request.base);
}

static lpx_err run_update_target(cli *c)
{
    Pb__V3__Network *network = NULL;
    LPX_TRY(get_network(c, cli_net_id_of(cli_text(c, "net-id")), &network));
    LPX_TRY(cli_target_apply(c, "", &network->target));
    if (network->target == NULL) {
        return cli_fail(c, CLI_USAGE, "this network has no target yet; give --protocol TS002_V1_0 or TS002_V1_1");
    }
    return send_target(c, network->target);
}

static lpx_err run_delete_target(cli *c)
{
    return send_target(c, NULL);
}

static lpx_err run_delete(cli *c)
{
    Pb__Iam__V1__NetworkRequest request = PB__IAM__V1__NETWORK_REQUEST__INIT;
    request.net_id = cli_net_id_of(cli_text(c, "net-id"));
    return cli_call_empty(c, AGENT_IAM, REGISTRY "DeleteNetwork", &request.base);
}

static const cli_flag list_flags[] = {{"name-contains", CLI_TEXT, "only networks with this in their name"}, {0}};
static const cli_flag delegation_flags[] = {
    {"delegated-net-id", CLI_NETID, "NetID to which the traffic of this network goes"},
    {0},
};
static const cli_flag update_flags[] = {
    {"dev-addr-blocks-add", CLI_BLOCKS, "DevAddr blocks to add"},
    {"dev-addr-blocks-remove", CLI_BLOCKS, "DevAddr blocks to remove"},
    {"unset-delegated-net-id", CLI_SWITCH, "end the delegation"},
    {0},
};

static const cli_command list_command = {
    .name = "list",
    .aliases = "ls",
    .brief = "List networks",
    .examples = "  List all networks:\n    $ %\n\n  Find networks by name:\n    $ % --name-contains things\n",
    .flags = (const cli_flag *const[]){list_flags, NULL},
    .run = run_list,
};
static const cli_command create_command = {
    .name = "create",
    .brief = "Create a network",
    .examples = "  Create:\n    $ % --net-id 000013\n\n"
                "  Create with a name and listed in the catalog:\n"
                "    $ % --net-id 000013 --name \"The Things Network\" --listed\n\n"
                "  Define DevAddr blocks of named clusters:\n"
                "    $ % --net-id 000013 --dev-addr-blocks 26011000/20=eu1,26012000/20=eu2\n\n"
                "  Configure a target of LoRaWAN Backend Interfaces 1.1 with HTTP basic authentication:\n"
                "    $ % --net-id 000013 --target-protocol TS002_V1_1 \\\n"
                "        --target-address https://user:pass@example.com\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_listed_flags, delegation_flags, cli_blocks_flags,
                                       cli_prefixed_target_flags, cli_contact_flags, NULL},
    .run = run_create,
};
static const cli_command get_command = {
    .name = "get",
    .brief = "Get a network",
    .examples =
        "  Get:\n    $ % --net-id 000013\n\n  Get with the secrets of its target:\n    $ % --net-id 000013 --verbose\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_verbose_flags, NULL},
    .run = run_get,
};
static const cli_command update_target_command = {
    .name = "target",
    .brief = "Update the target of a network",
    .about = "Update the target of a network. What no flag names stays as it is.",
    .examples = "  HTTP basic authentication:\n"
                "    $ % --net-id 000013 --protocol TS002_V1_0 --address https://user:pass@example.com\n\n"
                "  TLS client certificate:\n"
                "    $ % --net-id 000013 --protocol TS002_V1_0 --address https://example.com \\\n"
                "        --root-cas-file ca.pem --tls-cert-file cert.pem --tls-key-file key.pem\n\n"
                "  Another password for requests of NetID 000009:\n"
                "    $ % --net-id 000013 --address https://user:other@example.com --origin-net-id 000009\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_target_flags, NULL},
    .run = run_update_target,
};
static const cli_command update_command = {
    .name = "update",
    .aliases = "up",
    .brief = "Update a network",
    .about = "Update a network. What no flag names stays as it is; an empty text clears.",
    .examples = "  Update the name:\n    $ % --net-id 000013 --name \"The Things Network\"\n\n"
                "  Replace all DevAddr blocks:\n    $ % --net-id 000013 --dev-addr-blocks 26011000/20=eu1\n\n"
                "  Add and remove DevAddr blocks:\n"
                "    $ % --net-id 000013 --dev-addr-blocks-add 26013000/20 --dev-addr-blocks-remove 26012000/20\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_listed_flags, delegation_flags, cli_blocks_flags,
                                       update_flags, cli_contact_flags, NULL},
    .below = (const cli_command *const[]){&update_target_command, NULL},
    .run = run_update,
};
static const cli_command delete_target_command = {
    .name = "target",
    .brief = "Delete the target of a network",
    .examples = "  Delete:\n    $ % --net-id 000013\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, NULL},
    .run = run_delete_target,
};
static const cli_command delete_command = {
    .name = "delete",
    .aliases = "rm",
    .brief = "Delete a network",
    .about = "Delete a network with its tenants, API keys and policies.",
    .examples = "  Delete:\n    $ % --net-id 000013\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, NULL},
    .below = (const cli_command *const[]){&delete_target_command, NULL},
    .run = run_delete,
};

const cli_command cli_network_command = {
    .name = "network",
    .aliases = "networks, nwk, nwks, n",
    .brief = "Manage networks, their tenants and API keys",
    .below =
        (const cli_command *const[]){&list_command, &create_command, &get_command, &update_command, &delete_command,
                                     &cli_init_command, &cli_tenant_command, &cli_apikey_command, NULL},
};
