/* lpx settings: what a home network asks of the exchange beyond its subscriptions. */
#include "cli/cli_priv.h"
#include "lpx_reasons.h"
#include "lpx_routing_v1_settings.pb-c.h"

#define MANAGER "/lpx.routing.v1.HomeNetworkSettingsManager/"

static lpx_err get_settings(cli *c, const cli_endpoint *home, Lpx__Routing__V1__HomeNetworkSettings **out)
{
    Lpx__Routing__V1__HomeNetworkSettingsRequest request;
    Lpx__Routing__V1__GetHomeNetworkSettingsResponse *answer = NULL;
    lpx__routing__v1__home_network_settings_request__init(&request);
    request.home_network_net_id = home->net_id;
    request.home_network_tenant_id = home->tenant_id;
    LPX_TRY(cli_call(c, AGENT_CONTROL, MANAGER "GetSettings", &request.base,
                     &lpx__routing__v1__get_home_network_settings_response__descriptor, &answer));
    if (answer->settings == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without settings");
    }
    *out = answer->settings;
    return LPX_SUCCESS;
}

/* "000013/tenant-a/eu1" into a party; cli_flag_check let it through. */
static Lpx__Routing__V1__Party *party_of(cli *c, lpx_str part)
{
    Lpx__Routing__V1__Party *party = cli_new(c, &lpx__routing__v1__party__descriptor);
    const char *rest = cli_printf(c, "%.*s", (int)part.len, part.ptr);
    lpx_str net_id = {0}, tenant = {0}, cluster = {0};
    uint64_t value = 0;
    (void)cli_next_part(&rest, '/', &net_id);
    (void)cli_next_part(&rest, '/', &tenant);
    (void)cli_next_part(&rest, '/', &cluster);
    (void)lpx_parse_hex(net_id, 6, &value);
    party->net_id = (uint32_t)value;
    party->tenant_id = cli_printf(c, "%.*s", (int)tenant.len, tenant.len > 0 ? tenant.ptr : "");
    party->cluster_id = cli_printf(c, "%.*s", (int)cluster.len, cluster.len > 0 ? cluster.ptr : "");
    return party;
}

static Lpx__Routing__V1__Party **parties_of(cli *c, const char *text, size_t *count)
{
    size_t room = 1;
    for (const char *p = text; *p != 0; p++) {
        room += *p == ',' ? 1 : 0;
    }
    Lpx__Routing__V1__Party **parties = cli_get(c, room * sizeof *parties);
    lpx_str part;
    *count = 0;
    while (cli_next_part(&text, ',', &part)) {
        parties[(*count)++] = party_of(c, part);
    }
    return parties;
}

static const char *show_parties(cli *c, Lpx__Routing__V1__Party *const *parties, size_t count)
{
    const char *text = "";
    for (size_t i = 0; i < count; i++) {
        const Lpx__Routing__V1__Party *p = parties[i];
        const char *cluster = p->cluster_id[0] != 0 ? cli_printf(c, "/%s", p->cluster_id) : "";
        bool slash = p->tenant_id[0] != 0 || cluster[0] != 0;
        text = cli_printf(c, "%s%s%06X%s%s%s", text, i > 0 ? "," : "", p->net_id & 0xFFFFFF, slash ? "/" : "",
                          p->tenant_id, cluster);
    }
    return text;
}

static void show(cli *c, const Lpx__Routing__V1__HomeNetworkSettings *s)
{
    bool window = s->copies_window != NULL;
    const char *pairs[] = {
        "NetID",
        cli_show_net_id(c, s->home_network_net_id),
        "Tenant ID",
        s->home_network_tenant_id,
        "Allowed Forwarders",
        s->n_allow_forwarders > 0 ? show_parties(c, s->allow_forwarders, s->n_allow_forwarders) : "all",
        "Denied Forwarders",
        s->n_deny_forwarders > 0 ? show_parties(c, s->deny_forwarders, s->n_deny_forwarders) : "none",
        "Copies of a Payload",
        s->max_copies > 0 ? cli_printf(c, "%u", s->max_copies) : "all",
        "Window",
        window ? cli_printf(c, "%llds", (long long)s->copies_window->seconds) : (s->max_copies > 0 ? "5s" : ""),
        "Updated At",
        cli_show_time(c, s->updated_at, 0),
        NULL,
    };
    cli_print_record(c, &s->base, pairs);
}

static lpx_err run_get(cli *c)
{
    Lpx__Routing__V1__HomeNetworkSettings *settings = NULL;
    cli_endpoint home;
    LPX_TRY(cli_need_member(c, &home));
    LPX_TRY(get_settings(c, &home, &settings));
    show(c, settings);
    return LPX_SUCCESS;
}

static lpx_err run_set(cli *c)
{
    Lpx__Routing__V1__SetHomeNetworkSettingsRequest request;
    Lpx__Routing__V1__HomeNetworkSettings *s = NULL;
    cli_endpoint home;
    LPX_TRY(cli_need_member(c, &home));
    lpx_err err = get_settings(c, &home, &s);
    if (lpx_failed(err) && err.code != LPX_NOT_FOUND) {
        return err;
    }
    if (lpx_failed(err)) {
        s = cli_new(c, &lpx__routing__v1__home_network_settings__descriptor);
        s->home_network_net_id = home.net_id;
        s->home_network_tenant_id = home.tenant_id;
    }
    if (cli_changed(c, "allow-forwarders")) {
        s->allow_forwarders = parties_of(c, cli_text(c, "allow-forwarders"), &s->n_allow_forwarders);
    }
    if (cli_changed(c, "deny-forwarders")) {
        s->deny_forwarders = parties_of(c, cli_text(c, "deny-forwarders"), &s->n_deny_forwarders);
    }
    if (cli_changed(c, "max-copies")) {
        s->max_copies = (uint32_t)cli_number(c, "max-copies");
    }
    if (cli_changed(c, "copies-window")) {
        s->copies_window = cli_new(c, &google__protobuf__duration__descriptor);
        s->copies_window->seconds = cli_seconds_of(cli_text(c, "copies-window"));
    }
    lpx__routing__v1__set_home_network_settings_request__init(&request);
    request.settings = s;
    LPX_TRY(cli_call_empty(c, AGENT_CONTROL, MANAGER "SetSettings", &request.base));
    LPX_TRY(get_settings(c, &home, &s));
    show(c, s);
    return LPX_SUCCESS;
}

static lpx_err run_delete(cli *c)
{
    Lpx__Routing__V1__HomeNetworkSettingsRequest request;
    cli_endpoint home;
    LPX_TRY(cli_need_member(c, &home));
    lpx__routing__v1__home_network_settings_request__init(&request);
    request.home_network_net_id = home.net_id;
    request.home_network_tenant_id = home.tenant_id;
    return cli_call_empty(c, AGENT_CONTROL, MANAGER "DeleteSettings", &request.base);
}

static const cli_flag set_flags[] = {
    {"allow-forwarders", CLI_PARTIES, "take uplinks of these alone: NETID, NETID/TENANT, NETID/TENANT/CLUSTER"},
    {"deny-forwarders", CLI_PARTIES, "take no uplinks of these"},
    {"max-copies", CLI_NUMBER, "at most so many copies of one payload; 0: all"},
    {"copies-window", CLI_DURATION, "in this time, 1s to 10m"},
    {0},
};

static const cli_command set_command = {
    .name = "set",
    .brief = "Change the settings of a Home Network",
    .about = "Change whose uplinks a Home Network takes, and how many copies of one payload. What no flag names stays\n"
             "as it is; an empty list clears. The settings of a network are those of its tenants that have none.",
    .examples = "  Take uplinks of two Forwarders alone:\n"
                "    $ % --net-id 000042 --allow-forwarders 000013/ttn,C00123\n\n"
                "  Take no uplinks of one cluster, and at most 3 copies of a payload:\n"
                "    $ % --net-id 000042 --deny-forwarders 000013/ttn/eu1 --max-copies 3 --copies-window 5s\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, set_flags, NULL},
    .run = run_set,
};
static const cli_command get_command = {
    .name = "get",
    .brief = "Get the settings of a Home Network",
    .examples = "  Get:\n    $ % --net-id 000042\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, NULL},
    .run = run_get,
};
static const cli_command delete_command = {
    .name = "delete",
    .aliases = "rm",
    .brief = "Delete the settings of a Home Network",
    .examples = "  Delete:\n    $ % --net-id 000042 --tenant-id tti\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, NULL},
    .run = run_delete,
};

const cli_command cli_settings_command = {
    .name = "settings",
    .brief = "Manage whose uplinks a Home Network takes, and how many copies",
    .below = (const cli_command *const[]){&get_command, &set_command, &delete_command, NULL},
};
