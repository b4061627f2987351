/* lpx policy: routing policies. */
#include <string.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

#define MANAGER "/org.packetbroker.routing.v1.PolicyManager/"

/* Policies of several pages. */
typedef struct policy_list {
    Pb__V3__RoutingPolicy **items;
    size_t count, room;
} policy_list;

static void add_page(cli *c, policy_list *list, Pb__V3__RoutingPolicy **page, size_t count)
{
    if (count == 0) {
        return;
    }
    if (list->count + count > list->room) {
        size_t room = (list->count + count) * 2;
        Pb__V3__RoutingPolicy **bigger = cli_get(c, room * sizeof *bigger);
        if (list->count > 0) {
            memcpy(bigger, list->items, list->count * sizeof *bigger);
        }
        list->items = bigger;
        list->room = room;
    }
    memcpy(list->items + list->count, page, count * sizeof *page);
    list->count += count;
}

/* Pages by time of change, up to an empty one. */
static lpx_err list_defaults(cli *c, policy_list *list)
{
    Pb__Routing__V1__ListDefaultPoliciesRequest request = PB__ROUTING__V1__LIST_DEFAULT_POLICIES_REQUEST__INIT;
    Pb__Routing__V1__ListDefaultPoliciesResponse *answer = NULL;
    for (;;) {
        LPX_TRY(cli_call(c, AGENT_CONTROL, MANAGER "ListDefaultPolicies", &request.base,
                         &pb__routing__v1__list_default_policies_response__descriptor, &answer));
        if (answer->n_policies == 0) {
            return LPX_SUCCESS;
        }
        add_page(c, list, answer->policies, answer->n_policies);
        request.updated_since = answer->policies[answer->n_policies - 1]->updated_at;
        if (request.updated_since == NULL) {
            return cli_fail(c, CLI_CALL, "the exchange answered with a policy that has no time");
        }
    }
}

static lpx_err list_home_networks(cli *c, const cli_endpoint *forwarder, policy_list *list)
{
    Pb__Routing__V1__ListHomeNetworkPoliciesRequest request = PB__ROUTING__V1__LIST_HOME_NETWORK_POLICIES_REQUEST__INIT;
    Pb__Routing__V1__ListHomeNetworkPoliciesResponse *answer = NULL;
    if (!cli_endpoint_is_empty(forwarder)) {
        request.forwarder_net_id = forwarder->net_id;
        request.forwarder_tenant_id = forwarder->tenant_id;
    }
    for (;;) {
        LPX_TRY(cli_call(c, AGENT_CONTROL, MANAGER "ListHomeNetworkPolicies", &request.base,
                         &pb__routing__v1__list_home_network_policies_response__descriptor, &answer));
        if (answer->n_policies == 0) {
            return LPX_SUCCESS;
        }
        add_page(c, list, answer->policies, answer->n_policies);
        request.updated_since = answer->policies[answer->n_policies - 1]->updated_at;
        if (request.updated_since == NULL) {
            return cli_fail(c, CLI_CALL, "the exchange answered with a policy that has no time");
        }
    }
}

static lpx_err list_effective(cli *c, const cli_endpoint *home, policy_list *list)
{
    Pb__Routing__V1__ListEffectivePoliciesRequest request = PB__ROUTING__V1__LIST_EFFECTIVE_POLICIES_REQUEST__INIT;
    Pb__Routing__V1__ListEffectivePoliciesResponse *answer = NULL;
    request.home_network_net_id = home->net_id;
    request.home_network_tenant_id = home->tenant_id;
    do {
        LPX_TRY(cli_call(c, AGENT_CONTROL, MANAGER "ListEffectivePolicies", &request.base,
                         &pb__routing__v1__list_effective_policies_response__descriptor, &answer));
        add_page(c, list, answer->policies, answer->n_policies);
        request.offset += (uint32_t)answer->n_policies;
    } while (answer->n_policies > 0 && request.offset < answer->total);
    return LPX_SUCCESS;
}

static lpx_err run_list(cli *c)
{
    cli_endpoint home = cli_endpoint_of(c, "home-network"), forwarder = cli_endpoint_of(c, "forwarder");
    bool defaults = cli_on(c, "defaults") && cli_endpoint_is_empty(&home);
    policy_list list = {0};
    if (!cli_endpoint_is_empty(&home)) {
        LPX_TRY(list_effective(c, &home, &list));
    } else if (defaults) {
        LPX_TRY(list_defaults(c, &list));
    } else {
        LPX_TRY(list_home_networks(c, &forwarder, &list));
    }
    cli_show_policies(c, defaults, list.items, list.count);
    return LPX_SUCCESS;
}

static lpx_err need_forwarder(cli *c, cli_endpoint *out)
{
    *out = cli_endpoint_of(c, "forwarder");
    return cli_endpoint_is_empty(out)
               ? cli_fail(c, CLI_USAGE,
                          "pass your NetID (and tenant ID) via --forwarder-net-id (and --forwarder-tenant-id)")
               : LPX_SUCCESS;
}

static lpx_err need_home_network(cli *c, cli_endpoint *out)
{
    *out = cli_endpoint_of(c, "home-network");
    return cli_endpoint_is_empty(out)
               ? cli_fail(c, CLI_USAGE,
                          "pass the Home Network NetID (and tenant ID) via --home-network-net-id (and "
                          "--home-network-tenant-id), or --defaults for the default policy")
               : LPX_SUCCESS;
}

/* Set what policy says; both directions absent delete. */
static lpx_err send_policy(cli *c, Pb__V3__RoutingPolicy *policy)
{
    Pb__Routing__V1__SetPolicyRequest request = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
    Google__Protobuf__Empty *answer = NULL;
    cli_endpoint forwarder, home;
    LPX_TRY(need_forwarder(c, &forwarder));
    policy->forwarder_net_id = forwarder.net_id;
    policy->forwarder_tenant_id = forwarder.tenant_id;
    request.policy = policy;
    if (cli_on(c, "defaults")) {
        return cli_call(c, AGENT_CONTROL, MANAGER "SetDefaultPolicy", &request.base,
                        &google__protobuf__empty__descriptor, &answer);
    }
    LPX_TRY(need_home_network(c, &home));
    policy->home_network_net_id = home.net_id;
    policy->home_network_tenant_id = home.tenant_id;
    return cli_call(c, AGENT_CONTROL, MANAGER "SetHomeNetworkPolicy", &request.base,
                    &google__protobuf__empty__descriptor, &answer);
}

static lpx_err run_set(cli *c)
{
    Pb__V3__RoutingPolicy *policy = cli_new(c, &pb__v3__routing_policy__descriptor);
    policy->uplink = cli_uplink_policy_of(c, cli_text(c, "set-uplink"));
    policy->downlink = cli_downlink_policy_of(c, cli_text(c, "set-downlink"));
    LPX_TRY(send_policy(c, policy));
    cli_show_policies(c, cli_on(c, "defaults"), &policy, 1);
    return LPX_SUCCESS;
}

static lpx_err run_delete(cli *c)
{
    return send_policy(c, cli_new(c, &pb__v3__routing_policy__descriptor));
}

static lpx_err get_default(cli *c, const cli_endpoint *forwarder, Pb__Routing__V1__GetPolicyResponse **out)
{
    Pb__Routing__V1__GetDefaultPolicyRequest request = PB__ROUTING__V1__GET_DEFAULT_POLICY_REQUEST__INIT;
    request.forwarder_net_id = forwarder->net_id;
    request.forwarder_tenant_id = forwarder->tenant_id;
    return cli_call(c, AGENT_CONTROL, MANAGER "GetDefaultPolicy", &request.base,
                    &pb__routing__v1__get_policy_response__descriptor, out);
}

static lpx_err get_toward(cli *c, const cli_endpoint *forwarder, Pb__Routing__V1__GetPolicyResponse **out)
{
    Pb__Routing__V1__GetHomeNetworkPolicyRequest request = PB__ROUTING__V1__GET_HOME_NETWORK_POLICY_REQUEST__INIT;
    cli_endpoint home;
    LPX_TRY(need_home_network(c, &home));
    request.forwarder_net_id = forwarder->net_id;
    request.forwarder_tenant_id = forwarder->tenant_id;
    request.home_network_net_id = home.net_id;
    request.home_network_tenant_id = home.tenant_id;
    return cli_call(c, AGENT_CONTROL, MANAGER "GetHomeNetworkPolicy", &request.base,
                    &pb__routing__v1__get_policy_response__descriptor, out);
}

static lpx_err run_get(cli *c)
{
    cli_endpoint forwarder;
    Pb__Routing__V1__GetPolicyResponse *answer = NULL;
    bool defaults = cli_on(c, "defaults");
    LPX_TRY(need_forwarder(c, &forwarder));
    LPX_TRY(defaults ? get_default(c, &forwarder, &answer) : get_toward(c, &forwarder, &answer));
    if (answer->policy == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without a policy");
    }
    cli_show_policies(c, defaults, &answer->policy, 1);
    return LPX_SUCCESS;
}

static void add_network(cli *c, cli_table *table, const Pb__V3__NetworkOrTenant *entry)
{
    const Pb__V3__Network *n = entry->value_case == PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK ? entry->network : NULL;
    const Pb__V3__Tenant *t = entry->value_case == PB__V3__NETWORK_OR_TENANT__VALUE_TENANT ? entry->tenant : NULL;
    if (n != NULL) {
        const char *cells[] = {cli_show_net_id(c, n->net_id), "-", n->name,
                               cli_show_blocks(c, n->dev_addr_blocks, n->n_dev_addr_blocks)};
        cli_table_row(table, cells);
    } else if (t != NULL) {
        const char *cells[] = {cli_show_net_id(c, t->net_id), t->tenant_id, t->name,
                               cli_show_blocks(c, t->dev_addr_blocks, t->n_dev_addr_blocks)};
        cli_table_row(table, cells);
    }
}

static lpx_err run_networks(cli *c)
{
    static const char *const headers[] = {"NetID", "Tenant ID", "Name", "DevAddr Blocks", NULL};
    cli_endpoint e = cli_endpoint_of(c, "");
    if (cli_endpoint_is_empty(&e)) {
        return cli_fail(c, CLI_USAGE, "pass the NetID (and tenant ID) via --net-id (and --tenant-id)");
    }
    Pb__Routing__V1__ListNetworksWithPolicyRequest request = PB__ROUTING__V1__LIST_NETWORKS_WITH_POLICY_REQUEST__INIT;
    Pb__Routing__V1__ListNetworksResponse *answer = NULL;
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.tenant_id_contains = cli_text(c, "id-contains");
    request.name_contains = cli_text(c, "name-contains");
    cli_table *table = cli_table_new(c, headers);
    do {
        LPX_TRY(cli_call(c, AGENT_CONTROL, MANAGER "ListNetworksWithPolicy", &request.base,
                         &pb__routing__v1__list_networks_response__descriptor, &answer));
        for (size_t i = 0; i < answer->n_networks; i++) {
            add_network(c, table, answer->networks[i]);
        }
        request.offset += (uint32_t)answer->n_networks;
    } while (answer->n_networks > 0 && request.offset < answer->total);
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

static const cli_flag defaults_flags[] = {{"defaults", CLI_SWITCH, "the Forwarder's default policy"}, {0}};
static const cli_flag set_flags[] = {
    {"set-uplink", CLI_UPLINK, "uplink policy: letters J, M, A, S and L"},
    {"set-downlink", CLI_DOWNLINK, "downlink policy: letters J, M and A"},
    {0},
};
static const cli_flag contains_flags[] = {
    {"id-contains", CLI_TEXT, "only tenants with this in their ID"},
    {"name-contains", CLI_TEXT, "only networks and tenants with this in their name"},
    {0},
};

static const cli_command list_command = {
    .name = "list",
    .aliases = "ls",
    .brief = "List policies",
    .examples = "  List policies of a Forwarder toward Home Networks:\n    $ % --forwarder-net-id 000013\n\n"
                "  List default policies of all Forwarders:\n    $ % --defaults\n\n"
                "  List policies of all Forwarders toward Home Networks:\n    $ %\n\n"
                "  List the policies that act on a Home Network:\n    $ % --home-network-net-id 000013\n",
    .flags = (const cli_flag *const[]){cli_home_flags, defaults_flags, contains_flags, NULL},
    .run = run_list,
};
static const cli_command set_command = {
    .name = "set",
    .brief = "Set a policy",
    .about = "Set the default policy of a Forwarder, or its policy toward one Home Network.\n\n"
             "Letters for uplink:\n"
             "  J: join-requests\n  M: MAC layer data (FPort 0 or none)\n  A: application data (FPort 1 to 255)\n"
             "  S: signal quality\n  L: gateway location\n\n"
             "Letters for downlink:\n"
             "  J: join-accepts\n  M: MAC layer data (FPort 0 or none)\n  A: application data (FPort 1 to 255)\n\n"
             "A direction without letters is off. Policies are the Forwarder's: it decides who may use its gateways.",
    .examples = "  Let every Home Network have everything by default:\n"
                "    $ % --forwarder-net-id 000013 --defaults --set-uplink JMASL --set-downlink JMA\n\n"
                "  Let one Home Network have only activations and MAC layer traffic:\n"
                "    $ % --forwarder-net-id 000013 --home-network-net-id 000009 \\\n"
                "        --set-uplink JM --set-downlink JM\n",
    .flags = (const cli_flag *const[]){cli_home_flags, defaults_flags, set_flags, NULL},
    .run = run_set,
};
static const cli_command get_command = {
    .name = "get",
    .brief = "Get a policy",
    .examples = "  Get the default policy of a Forwarder:\n    $ % --forwarder-net-id 000013 --defaults\n\n"
                "  Get the policy toward a Home Network:\n"
                "    $ % --forwarder-net-id 000013 --home-network-net-id 000009\n",
    .flags = (const cli_flag *const[]){cli_home_flags, defaults_flags, NULL},
    .run = run_get,
};
static const cli_command delete_command = {
    .name = "delete",
    .aliases = "rm",
    .brief = "Delete a policy",
    .examples = "  Delete the default policy of a Forwarder:\n    $ % --forwarder-net-id 000013 --defaults\n\n"
                "  Delete the policy toward a Home Network:\n"
                "    $ % --forwarder-net-id 000013 --home-network-net-id 000009\n",
    .flags = (const cli_flag *const[]){cli_home_flags, defaults_flags, NULL},
    .run = run_delete,
};
static const cli_command networks_command = {
    .name = "networks",
    .aliases = "network, ns",
    .brief = "List the networks and tenants that a policy joins with this one",
    .examples = "  List for a tenant:\n    $ % --net-id 000013 --tenant-id tti\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, contains_flags, NULL},
    .run = run_networks,
};

const cli_command cli_policy_command = {
    .name = "policy",
    .aliases = "policies, po",
    .brief = "Manage routing policies",
    .shared = (const cli_flag *const[]){cli_forwarder_flags, NULL},
    .below = (const cli_command *const[]){&list_command, &set_command, &get_command, &delete_command, &networks_command,
                                          NULL},
};
