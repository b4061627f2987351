/* lpx network init: ask for an API key and write the configuration that uses it. */
#include <stdlib.h>

#include "cli/cli_keys.h"
#include "lpx_reasons.h"

#define VAULT "/org.packetbroker.iam.v2.NetworkAPIKeyVault/"

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
                "        --router-address exchange.example.com:1900\n" CLI_NETWORK_RIGHTS_TEXT,
    .flags =
        (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_cluster_id_flags, init_rights_flags,
                                  cli_control_address_flags, cli_reports_address_flags, cli_router_address_flags, NULL},
    .run = run_init,
};
