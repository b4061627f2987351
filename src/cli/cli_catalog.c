/* lpx catalog: the members and Join Servers that are listed. */
#include "cli/cli_priv.h"

#define CATALOG "/org.packetbroker.iam.v2.Catalog/"

static lpx_err list_networks(cli *c, const char *path)
{
    Pb__Iam__V2__ListNetworksRequest request = PB__IAM__V2__LIST_NETWORKS_REQUEST__INIT;
    cli_endpoint e, policy = cli_endpoint_of(c, "policy");
    cli_items networks = {0};
    LPX_TRY(cli_need_member(c, &e));
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.tenant_id_contains = cli_text(c, "id-contains");
    request.name_contains = cli_text(c, "name-contains");
    if (!cli_endpoint_is_empty(&policy)) {
        request.policy_reference = cli_new(c, &pb__iam__v2__list_networks_request__policy_reference__descriptor);
        request.policy_reference->net_id = policy.net_id;
        request.policy_reference->tenant_id = policy.tenant_id;
    }
    LPX_TRY(
        cli_list_all(c, AGENT_IAM, path, &request.base, &pb__iam__v2__list_networks_response__descriptor, &networks));
    cli_show_members(c, &networks);
    return LPX_SUCCESS;
}

static lpx_err run_networks(cli *c)
{
    return list_networks(c, CATALOG "ListNetworks");
}

static lpx_err run_home_networks(cli *c)
{
    return list_networks(c, CATALOG "ListHomeNetworks");
}

static lpx_err run_join_servers(cli *c)
{
    static const char *const headers[] = {"ID", "Name", "JoinEUI Prefixes", NULL};
    Pb__Iam__V2__ListJoinServersRequest request = PB__IAM__V2__LIST_JOIN_SERVERS_REQUEST__INIT;
    cli_items servers = {0};
    request.name_contains = cli_text(c, "name-contains");
    LPX_TRY(cli_list_all(c, AGENT_IAM, CATALOG "ListJoinServers", &request.base,
                         &pb__iam__v2__list_join_servers_response__descriptor, &servers));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < servers.count; i++) {
        Pb__V3__JoinServer *s = (Pb__V3__JoinServer *)servers.items[i];
        const char *cells[] = {cli_printf(c, "%u", s->id), s->name,
                               cli_show_eui_prefixes(c, s->join_eui_prefixes, s->n_join_eui_prefixes)};
        cli_table_row(table, &s->base, cells);
    }
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

static const cli_flag policy_flags[] = {
    {"policy-net-id", CLI_NETID, "also unlisted ones that have a policy with this network: NetID"},
    {"policy-tenant-id", CLI_TEXT, "also unlisted ones that have a policy with this tenant: tenant ID"},
    {0},
};
static const cli_flag name_flags[] = {{"name-contains", CLI_TEXT, "only Join Servers with this in their name"}, {0}};

static const cli_command networks_command = {
    .name = "networks",
    .aliases = "network, ns",
    .brief = "List networks and tenants",
    .examples = "  List as a network:\n    $ % --net-id 000013\n\n"
                "  List with those that have a policy with a tenant:\n"
                "    $ % --net-id 000013 --tenant-id tti --policy-net-id 000013 --policy-tenant-id tti\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_contains_flags, policy_flags, NULL},
    .run = run_networks,
};
static const cli_command home_networks_command = {
    .name = "home-networks",
    .aliases = "home-network, hns",
    .brief = "List networks and tenants that have DevAddr blocks",
    .examples = "  List as a network:\n    $ % --net-id 000013\n\n"
                "  Find by name:\n    $ % --net-id 000013 --name-contains things\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_contains_flags, policy_flags, NULL},
    .run = run_home_networks,
};
static const cli_command join_servers_command = {
    .name = "join-servers",
    .aliases = "join-server, js",
    .brief = "List Join Servers",
    .examples = "  List:\n    $ %\n\n  Find by name:\n    $ % --name-contains things\n",
    .flags = (const cli_flag *const[]){name_flags, NULL},
    .run = run_join_servers,
};

const cli_command cli_catalog_command = {
    .name = "catalog",
    .aliases = "cat",
    .brief = "List the networks, tenants and Join Servers of the catalog",
    .below = (const cli_command *const[]){&networks_command, &home_networks_command, &join_servers_command, NULL},
};
