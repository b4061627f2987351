/* lpx gateway-visibility: what the public, or one home network, may see of a forwarder's gateways. */
#include <string.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"
#include "pb_mapping_v2_api.pb-c.h"

#define MANAGER "/org.packetbroker.mapping.v2.GatewayVisibilityManager/"

enum { SYMBOL_COUNT = 8 };
static const char *const symbols[SYMBOL_COUNT] = {"Lo", "Ap", "Ac", "Ft", "Ci", "St", "Fp", "Pr"};

/* The flags in the order of the symbols. */
static void flags_of(Pb__V3__GatewayVisibility *v, protobuf_c_boolean *flags[SYMBOL_COUNT])
{
    flags[0] = &v->location;
    flags[1] = &v->antenna_placement;
    flags[2] = &v->antenna_count;
    flags[3] = &v->fine_timestamps;
    flags[4] = &v->contact_info;
    flags[5] = &v->status;
    flags[6] = &v->frequency_plan;
    flags[7] = &v->packet_rates;
}

static void show(cli *c, Pb__V3__GatewayVisibility *v)
{
    static const char *const with_home[] = {"Forwarder", "",   "Home Network", "",   "Lo", "Ap", "Ac",
                                            "Ft",        "Ci", "St",           "Fp", "Pr", NULL};
    static const char *const without[] = {"Forwarder", "", "Lo", "Ap", "Ac", "Ft", "Ci", "St", "Fp", "Pr", NULL};
    bool defaults = cli_on(c, "defaults");
    protobuf_c_boolean *flags[SYMBOL_COUNT];
    const char *cells[SYMBOL_COUNT + 4];
    size_t n = 0;
    if (c->form == CLI_FORM_JSON) {
        cli_print_json(c, &v->base, false);
        return;
    }
    flags_of(v, flags);
    cells[n++] = cli_show_net_id(c, v->forwarder_net_id);
    cells[n++] = v->forwarder_tenant_id;
    if (!defaults) {
        cells[n++] = cli_show_net_id(c, v->home_network_net_id);
        cells[n++] = v->home_network_tenant_id;
    }
    for (size_t i = 0; i < SYMBOL_COUNT; i++) {
        cells[n++] = *flags[i] ? "x" : "";
    }
    cli_table *table = cli_table_new(c, defaults ? without : with_home);
    cli_table_row(table, &v->base, cells);
    cli_table_print(c, table);
}

/* Set what it says; all flags off deletes. */
static lpx_err send(cli *c, Pb__V3__GatewayVisibility *v)
{
    Pb__Mapping__V2__SetGatewayVisibilityRequest request = PB__MAPPING__V2__SET_GATEWAY_VISIBILITY_REQUEST__INIT;
    cli_endpoint forwarder, home;
    LPX_TRY(cli_need_forwarder(c, &forwarder));
    v->forwarder_net_id = forwarder.net_id;
    v->forwarder_tenant_id = forwarder.tenant_id;
    request.visibility = v;
    if (cli_on(c, "defaults")) {
        return cli_call_empty(c, AGENT_CONTROL, MANAGER "SetDefaultVisibility", &request.base);
    }
    LPX_TRY(cli_need_home_network(c, &home));
    v->home_network_net_id = home.net_id;
    v->home_network_tenant_id = home.tenant_id;
    return cli_call_empty(c, AGENT_CONTROL, MANAGER "SetHomeNetworkVisibility", &request.base);
}

/* The existing clients look for the symbols that they know; as lpx the whole text must be made of them. */
static lpx_err check_symbols(cli *c, const char *text)
{
    for (const char *p = text; *p != 0; p += 2) {
        bool known = false;
        for (size_t i = 0; i < SYMBOL_COUNT; i++) {
            known = known || strncmp(p, symbols[i], 2) == 0;
        }
        if (!known) {
            return cli_fail(c, CLI_USAGE, "--set: \"%.2s\" means nothing here; want symbols of LoApAcFtCiStFpPr",
                            cli_clean(c, p, false));
        }
    }
    return LPX_SUCCESS;
}

static lpx_err run_set(cli *c)
{
    Pb__V3__GatewayVisibility *v = cli_new(c, &pb__v3__gateway_visibility__descriptor);
    const char *text = cli_text(c, "set");
    protobuf_c_boolean *flags[SYMBOL_COUNT];
    if (!c->drop_in) {
        LPX_TRY(check_symbols(c, text));
    }
    flags_of(v, flags);
    for (size_t i = 0; i < SYMBOL_COUNT; i++) {
        *flags[i] = strstr(text, symbols[i]) != NULL;
    }
    LPX_TRY(send(c, v));
    show(c, v);
    return LPX_SUCCESS;
}

static lpx_err run_delete(cli *c)
{
    return send(c, cli_new(c, &pb__v3__gateway_visibility__descriptor));
}

static lpx_err get_default(cli *c, const cli_endpoint *forwarder, Pb__Mapping__V2__GetGatewayVisibilityResponse **out)
{
    Pb__Mapping__V2__GetDefaultGatewayVisibilityRequest request =
        PB__MAPPING__V2__GET_DEFAULT_GATEWAY_VISIBILITY_REQUEST__INIT;
    request.forwarder_net_id = forwarder->net_id;
    request.forwarder_tenant_id = forwarder->tenant_id;
    return cli_call(c, AGENT_CONTROL, MANAGER "GetDefaultVisibility", &request.base,
                    &pb__mapping__v2__get_gateway_visibility_response__descriptor, out);
}

static lpx_err get_toward(cli *c, const cli_endpoint *forwarder, Pb__Mapping__V2__GetGatewayVisibilityResponse **out)
{
    Pb__Mapping__V2__GetHomeNetworkGatewayVisibilityRequest request =
        PB__MAPPING__V2__GET_HOME_NETWORK_GATEWAY_VISIBILITY_REQUEST__INIT;
    cli_endpoint home;
    LPX_TRY(cli_need_home_network(c, &home));
    request.forwarder_net_id = forwarder->net_id;
    request.forwarder_tenant_id = forwarder->tenant_id;
    request.home_network_net_id = home.net_id;
    request.home_network_tenant_id = home.tenant_id;
    return cli_call(c, AGENT_CONTROL, MANAGER "GetHomeNetworkVisibility", &request.base,
                    &pb__mapping__v2__get_gateway_visibility_response__descriptor, out);
}

static lpx_err run_get(cli *c)
{
    cli_endpoint forwarder;
    Pb__Mapping__V2__GetGatewayVisibilityResponse *answer = NULL;
    LPX_TRY(cli_need_forwarder(c, &forwarder));
    LPX_TRY(cli_on(c, "defaults") ? get_default(c, &forwarder, &answer) : get_toward(c, &forwarder, &answer));
    if (answer->visibility == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without a visibility");
    }
    show(c, answer->visibility);
    return LPX_SUCCESS;
}

static const cli_flag defaults_flags[] = {{"defaults", CLI_SWITCH, "what the public sees"}, {0}};
static const cli_flag set_flags[] = {{"set", CLI_VISIBILITY, "symbols of LoApAcFtCiStFpPr"}, {0}};

static const cli_command set_command = {
    .name = "set",
    .brief = "Set a visibility",
    .about = "Set what the public, or one Home Network, may see of a Forwarder's gateways.\n\n"
             "Symbols:\n"
             "  Lo: location\n  Ap: antenna placement\n  Ac: antenna count\n  Ft: whether it has fine timestamps\n"
             "  Ci: contact information\n  St: online status\n  Fp: frequency plan\n  Pr: packet rates\n\n"
             "What no symbol names is hidden.",
    .examples = "  Show location and frequency plan to a Home Network:\n"
                "    $ % --forwarder-net-id 000013 --home-network-net-id 000009 --set LoFp\n\n"
                "  Show location and status to everybody:\n"
                "    $ % --forwarder-net-id 000013 --defaults --set LoSt\n",
    .flags = (const cli_flag *const[]){cli_home_flags, defaults_flags, set_flags, NULL},
    .run = run_set,
};
static const cli_command get_command = {
    .name = "get",
    .brief = "Get a visibility",
    .examples = "  Get what the public sees:\n    $ % --forwarder-net-id 000013 --defaults\n\n"
                "  Get what a Home Network sees:\n"
                "    $ % --forwarder-net-id 000013 --home-network-net-id 000009\n",
    .flags = (const cli_flag *const[]){cli_home_flags, defaults_flags, NULL},
    .run = run_get,
};
static const cli_command delete_command = {
    .name = "delete",
    .aliases = "rm",
    .brief = "Delete a visibility",
    .examples = "  Hide the gateways from the public:\n    $ % --forwarder-net-id 000013 --defaults\n\n"
                "  Let a Home Network see what the public sees:\n"
                "    $ % --forwarder-net-id 000013 --home-network-net-id 000009\n",
    .flags = (const cli_flag *const[]){cli_home_flags, defaults_flags, NULL},
    .run = run_delete,
};

const cli_command cli_visibility_command = {
    .name = "gateway-visibility",
    .aliases = "gwvis",
    .brief = "Manage who may see what of gateways",
    .shared = (const cli_flag *const[]){cli_forwarder_flags, NULL},
    .below = (const cli_command *const[]){&set_command, &get_command, &delete_command, NULL},
};
