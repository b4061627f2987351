/* lpx policy: routing policies. */
#include <string.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

#define MANAGER "/org.packetbroker.routing.v1.PolicyManager/"

static lpx_err list_defaults(cli *c, cli_items *out)
{
    Pb__Routing__V1__ListDefaultPoliciesRequest request = PB__ROUTING__V1__LIST_DEFAULT_POLICIES_REQUEST__INIT;
    return cli_list_all(c, AGENT_CONTROL, MANAGER "ListDefaultPolicies", &request.base,
                        &pb__routing__v1__list_default_policies_response__descriptor, out);
}

static lpx_err list_home_networks(cli *c, const cli_endpoint *forwarder, cli_items *out)
{
    Pb__Routing__V1__ListHomeNetworkPoliciesRequest request = PB__ROUTING__V1__LIST_HOME_NETWORK_POLICIES_REQUEST__INIT;
    if (!cli_endpoint_is_empty(forwarder)) {
        request.forwarder_net_id = forwarder->net_id;
        request.forwarder_tenant_id = forwarder->tenant_id;
    }
    return cli_list_all(c, AGENT_CONTROL, MANAGER "ListHomeNetworkPolicies", &request.base,
                        &pb__routing__v1__list_home_network_policies_response__descriptor, out);
}

static lpx_err list_effective(cli *c, const cli_endpoint *home, cli_items *out)
{
    Pb__Routing__V1__ListEffectivePoliciesRequest request = PB__ROUTING__V1__LIST_EFFECTIVE_POLICIES_REQUEST__INIT;
    request.home_network_net_id = home->net_id;
    request.home_network_tenant_id = home->tenant_id;
    return cli_list_all(c, AGENT_CONTROL, MANAGER "ListEffectivePolicies", &request.base,
                        &pb__routing__v1__list_effective_policies_response__descriptor, out);
}

static lpx_err run_list(cli *c)
{
    cli_endpoint home = cli_endpoint_of(c, "home-network"), forwarder = cli_endpoint_of(c, "forwarder");
    bool defaults = cli_on(c, "defaults") && cli_endpoint_is_empty(&home);
    cli_items list = {0};
    if (!cli_endpoint_is_empty(&home)) {
        LPX_TRY(list_effective(c, &home, &list));
    } else if (defaults) {
        LPX_TRY(list_defaults(c, &list));
    } else {
        LPX_TRY(list_home_networks(c, &forwarder, &list));
    }
    cli_show_policies(c, defaults, &list);
    return LPX_SUCCESS;
}

/* Set what policy says; both directions absent delete. */
static lpx_err send_policy(cli *c, Pb__V3__RoutingPolicy *policy)
{
    Pb__Routing__V1__SetPolicyRequest request = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
    cli_endpoint forwarder, home;
    LPX_TRY(cli_need_forwarder(c, &forwarder));
    policy->forwarder_net_id = forwarder.net_id;
    policy->forwarder_tenant_id = forwarder.tenant_id;
    request.policy = policy;
    if (cli_on(c, "defaults")) {
        return cli_call_empty(c, AGENT_CONTROL, MANAGER "SetDefaultPolicy", &request.base);
    }
    LPX_TRY(cli_need_home_network(c, &home));
    policy->home_network_net_id = home.net_id;
    policy->home_network_tenant_id = home.tenant_id;
    return cli_call_empty(c, AGENT_CONTROL, MANAGER "SetHomeNetworkPolicy", &request.base);
}

/* As a table it looks like those of a list; for programs it is one object, not an array of one. */
static void show_policy(cli *c, Pb__V3__RoutingPolicy *policy)
{
    ProtobufCMessage *only = &policy->base;
    if (c->form == CLI_FORM_JSON) {
        cli_print_json(c, only, false);
    } else {
        cli_show_policies(c, cli_on(c, "defaults"), &(cli_items){.items = &only, .count = 1});
    }
}

/* The existing clients look for the letters that they know and let others pass; a letter that does nothing is better
 * refused. */
static lpx_err check_letters(cli *c, const char *flag, const char *known)
{
    const char *text = cli_text(c, flag);
    size_t good = strspn(text, known);
    if (c->drop_in || text[good] == 0) {
        return LPX_SUCCESS;
    }
    return cli_fail(c, CLI_USAGE, "--%s: \"%c\" means nothing here; want letters of %s", flag,
                    cli_clean(c, text, false)[good], known);
}

static lpx_err run_set(cli *c)
{
    LPX_TRY(check_letters(c, "set-uplink", "JMASL"));
    LPX_TRY(check_letters(c, "set-downlink", "JMA"));
    Pb__V3__RoutingPolicy *policy = cli_new(c, &pb__v3__routing_policy__descriptor);
    policy->uplink = cli_uplink_policy_of(c, cli_text(c, "set-uplink"));
    policy->downlink = cli_downlink_policy_of(c, cli_text(c, "set-downlink"));
    LPX_TRY(send_policy(c, policy));
    show_policy(c, policy);
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
    LPX_TRY(cli_need_home_network(c, &home));
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
    LPX_TRY(cli_need_forwarder(c, &forwarder));
    LPX_TRY(defaults ? get_default(c, &forwarder, &answer) : get_toward(c, &forwarder, &answer));
    if (answer->policy == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without a policy");
    }
    show_policy(c, answer->policy);
    return LPX_SUCCESS;
}

static lpx_err run_networks(cli *c)
{
    cli_endpoint e;
    LPX_TRY(cli_need_member(c, &e));
    Pb__Routing__V1__ListNetworksWithPolicyRequest request = PB__ROUTING__V1__LIST_NETWORKS_WITH_POLICY_REQUEST__INIT;
    cli_items networks = {0};
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.tenant_id_contains = cli_text(c, "id-contains");
    request.name_contains = cli_text(c, "name-contains");
    LPX_TRY(cli_list_all(c, AGENT_CONTROL, MANAGER "ListNetworksWithPolicy", &request.base,
                         &pb__routing__v1__list_networks_response__descriptor, &networks));
    cli_show_members(c, &networks);
    return LPX_SUCCESS;
}

static const cli_flag defaults_flags[] = {{"defaults", CLI_SWITCH, "the Forwarder's default policy"}, {0}};
static const cli_flag set_flags[] = {
    {"set-uplink", CLI_UPLINK, "uplink policy: letters J, M, A, S and L"},
    {"set-downlink", CLI_DOWNLINK, "downlink policy: letters J, M and A"},
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
    .flags = (const cli_flag *const[]){cli_home_flags, defaults_flags, cli_contains_flags, NULL},
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
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_contains_flags, NULL},
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
