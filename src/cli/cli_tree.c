/* The programs and the flags that commands share. */
#include <string.h>

#include "cli/cli_priv.h"

/* ---- settings: also from the environment and the configuration file ---- */

/* Where the public clients default to packetbroker.net, these default to the exchange on this machine. */
#define LOCAL_GRPC "127.0.0.1:1900"
#define LOCAL_TOKEN_URL "https://127.0.0.1:1901/token"
#define LOCAL_MAPPER_URL "https://127.0.0.1:1901/api/v2"

const cli_flag cli_iam_address_flags[] = {
    {"iam-address", CLI_TEXT, "IAM: \"host[:port]\", port 443 if absent", LOCAL_GRPC, .setting = true},
    {0},
};
const cli_flag cli_control_address_flags[] = {
    {"controlplane-address", CLI_TEXT, "Control Plane: \"host[:port]\"", LOCAL_GRPC, .setting = true},
    {0},
};
const cli_flag cli_reports_address_flags[] = {
    {"reports-address", CLI_TEXT, "Reports: \"host[:port]\"", LOCAL_GRPC, .setting = true},
    {0},
};
const cli_flag cli_router_address_flags[] = {
    {"router-address", CLI_TEXT, "Data Plane router: \"host[:port]\"", LOCAL_GRPC, .setting = true},
    {0},
};
const cli_flag cli_mapper_flags[] = {
    {"mapper-address", CLI_TEXT, "Mapper: \"host[:port]\"", LOCAL_GRPC, .setting = true},
    {"mapper-url", CLI_TEXT, "REST API of the Mapper", LOCAL_MAPPER_URL, .setting = true},
    {0},
};
const cli_flag cli_transport_flags[] = {
    {"insecure", CLI_SWITCH, "plaintext HTTP/2 instead of TLS", .setting = true},
    {"ca-file", CLI_PATH, "PEM file of trusted certificates, in place of the system's", .setting = true},
    {"client-cert-file", CLI_PATH, "PEM file of a client certificate to show over gRPC", .setting = true},
    {"client-key-file", CLI_PATH, "PEM file of its private key", .setting = true},
    {0},
};
const cli_flag cli_basic_flags[] = {
    {"iam-username", CLI_TEXT, "administrator's user name", .setting = true},
    {"iam-password", CLI_SECRET, "administrator's password", .setting = true},
    {0},
};
const cli_flag cli_oauth_flags[] = {
    {"client-id", CLI_TEXT, "API key ID (OAuth 2.0 client ID)", .setting = true},
    {"client-secret", CLI_SECRET, "API key secret (OAuth 2.0 client secret)", .setting = true},
    {"token-url", CLI_TEXT, "where access tokens come from", LOCAL_TOKEN_URL, .setting = true},
    {"access-token", CLI_SECRET, "access token to use instead of fetching one", .setting = true},
    {0},
};
const cli_flag cli_common_flags[] = {
    {"config", CLI_PATH, "configuration file instead of .pb.yaml"},
    {"debug", CLI_SWITCH, "say on standard error what is done", .letter = 'd'},
    {"help", CLI_SWITCH, "show this help", .letter = 'h'},
    {0},
};
static const cli_flag output_flags[] = {
    {"output", CLI_WORD, "how results are printed: table, json or csv", "table", .words = "table|json|csv"},
    {0},
};
static const cli_flag version_flags[] = {
    {"version", CLI_SWITCH, "print the version"},
    {0},
};

/* ---- flags of several commands ---- */

const cli_flag cli_net_id_flags[] = {{"net-id", CLI_NETID, "LoRa Alliance NetID"}, {0}};
const cli_flag cli_tenant_id_flags[] = {{"tenant-id", CLI_TEXT, "tenant ID"}, {0}};
const cli_flag cli_cluster_id_flags[] = {{"cluster-id", CLI_TEXT, "cluster ID"}, {0}};
const cli_flag cli_rights_flags[] = {{"rights", CLI_RIGHTS, "rights of the API key, with commas between"}, {0}};
const cli_flag cli_key_id_flags[] = {{"key-id", CLI_TEXT, "API key ID"}, {0}};
const cli_flag cli_listed_flags[] = {
    {"name", CLI_TEXT, "name for people"},
    {"listed", CLI_SWITCH, "list in the catalog"},
    {0},
};
const cli_flag cli_blocks_flags[] = {
    {"dev-addr-blocks", CLI_BLOCKS, "DevAddr blocks, like 26011000/20=eu1,26012000/20"},
    {0},
};
const cli_flag cli_contact_flags[] = {
    {"admin-name", CLI_TEXT, "administrative contact: name"},
    {"admin-email", CLI_TEXT, "administrative contact: email"},
    {"admin-url", CLI_TEXT, "administrative contact: URL"},
    {"tech-name", CLI_TEXT, "technical contact: name"},
    {"tech-email", CLI_TEXT, "technical contact: email"},
    {"tech-url", CLI_TEXT, "technical contact: URL"},
    {0},
};

#define TARGET_FLAGS(prefix)                                                                               \
    {prefix "protocol", CLI_PROTOCOL, "protocol of the target: TS002_V1_0 or TS002_V1_1"},                 \
        {prefix "address", CLI_TEXT, "URL of the target; user:password@ makes HTTP basic authentication"}, \
        {prefix "fns-path", CLI_TEXT, "path of the Forwarding Network Server"},                            \
        {prefix "sns-path", CLI_TEXT, "path of the Serving Network Server"},                               \
        {prefix "hns-path", CLI_TEXT, "path of the Home Network Server"},                                  \
        {prefix "pb-token", CLI_SWITCH, "authenticate by a token of the exchange"},                        \
        {prefix "authorization", CLI_SECRET, "value of the HTTP Authorization header"},                    \
        {prefix "root-cas-file", CLI_PATH, "PEM file of the target's certificate authorities"},            \
        {prefix "tls-cert-file", CLI_PATH, "PEM file of a client certificate"},                            \
        {prefix "tls-key-file", CLI_PATH, "PEM file of its private key"},                                  \
        {prefix "origin-net-id", CLI_NETID, "authentication for this origin only (none given: remove it)"},

const cli_flag cli_target_flags[] = {TARGET_FLAGS(""){0}};
const cli_flag cli_prefixed_target_flags[] = {TARGET_FLAGS("target-"){0}};
const cli_flag cli_lookup_target_flags[] = {TARGET_FLAGS("lookup-"){0}};

const cli_flag cli_forwarder_flags[] = {
    {"forwarder-net-id", CLI_NETID, "Forwarder: NetID"},
    {"forwarder-tenant-id", CLI_TEXT, "Forwarder: tenant ID"},
    {0},
};
const cli_flag cli_forwarder_cluster_flags[] = {{"forwarder-cluster-id", CLI_TEXT, "Forwarder: cluster ID"}, {0}};
const cli_flag cli_home_flags[] = {
    {"home-network-net-id", CLI_NETID, "Home Network: NetID"},
    {"home-network-tenant-id", CLI_TEXT, "Home Network: tenant ID"},
    {0},
};
const cli_flag cli_home_cluster_flags[] = {{"home-network-cluster-id", CLI_TEXT, "Home Network: cluster ID"}, {0}};

const cli_flag cli_verbose_flags[] = {{"verbose", CLI_SWITCH, "show secrets of the target too"}, {0}};
const cli_flag cli_contains_flags[] = {
    {"id-contains", CLI_TEXT, "only tenants with this in their ID"},
    {"name-contains", CLI_TEXT, "only networks and tenants with this in their name"},
    {0},
};
const cli_flag cli_prompt_key_flags[] = {
    {"prompt-key", CLI_SWITCH, "ask for a secret key instead of a random one"},
    {0},
};
const cli_flag cli_state_flags[] = {{"state", CLI_STATE, "REQUESTED, APPROVED or REJECTED", "REQUESTED"}, {0}};
/* ---- programs ---- */

static const cli_flag *const all_settings[] = {
    cli_iam_address_flags,
    cli_control_address_flags,
    cli_reports_address_flags,
    cli_router_address_flags,
    cli_mapper_flags,
    cli_transport_flags,
    cli_basic_flags,
    cli_oauth_flags,
    output_flags,
    cli_common_flags,
    NULL,
};
static const cli_flag *const root_flags[] = {version_flags, NULL};

static const cli_command *const lpx_below[] = {
    &cli_network_command,
    &cli_cluster_command,
    &cli_cert_command,
    &cli_join_server_command,
    &cli_authority_command,
    &cli_catalog_command,
    &cli_policy_command,
    &cli_settings_command,
    &cli_visibility_command,
    &cli_gateway_command,
    &cli_report_command,
    &cli_route_command,
    &cli_targets_command,
    &cli_trace_command,
    &cli_test_command,
    &cli_pub_command,
    &cli_sub_command,
    &cli_replay_command,
    &cli_demo_command,
    &cli_health_command,
    &cli_call_command,
    &cli_completion_command,
    &cli_help_command,
    &cli_gen_command,
    NULL,
};
static const cli_command lpx_program = {
    .name = "lpx",
    .brief = "Everything that an operator, a Forwarder or a Home Network does with an exchange.",
    .about =
        "Everything that an operator, a Forwarder or a Home Network does with an exchange.\n\n"
        "Without settings it speaks to the exchange on this machine: addresses 127.0.0.1:1900 and\n"
        "https://127.0.0.1:1901/token, the exchange's own certificate authority (ca.pem) and, when no credentials\n"
        "are given, its administrator (admin.yaml), both from the data directory: $LPX_DATA_DIR, else /var/lib/lpx\n"
        "for root, else $XDG_DATA_HOME/lpx or ~/.local/share/lpx.\n\n"
        "Exit status: 0 done; 1 failed; 2 the command line is not understood; 3 not found; 4 not allowed (no or wrong\n"
        "credentials, no right); 5 nobody answers; 6 done, and the answer is no (not delivered, not healthy).\n\n"
        "Called as pbadmin, pbctl, pbpub or pbsub it is that program: its commands, formats and exit status (0 or 1).",
    .flags = root_flags,
    .shared = all_settings,
    .below = lpx_below,
};

static const cli_flag *const admin_settings[] = {
    cli_iam_address_flags, cli_transport_flags, cli_basic_flags, cli_oauth_flags, cli_common_flags, NULL,
};
static const cli_command *const admin_below[] = {
    &cli_network_command,
    &cli_cluster_command,
    &cli_join_server_command,
    &cli_help_command,
    &cli_completion_command,
    &cli_gen_command,
    NULL,
};
static const cli_command admin_program = {
    .name = "pbadmin",
    .brief = "Manage networks, tenants, API keys and Join Servers.",
    .flags = root_flags,
    .shared = admin_settings,
    .below = admin_below,
};

static const cli_flag *const control_settings[] = {
    cli_iam_address_flags,
    cli_control_address_flags,
    cli_reports_address_flags,
    cli_transport_flags,
    cli_oauth_flags,
    cli_common_flags,
    NULL,
};
static const cli_command *const control_below[] = {
    &cli_catalog_command, &cli_policy_command, &cli_visibility_command, &cli_report_command, &cli_route_command,
    &cli_targets_command, &cli_help_command,   &cli_completion_command, &cli_gen_command,    NULL,
};
static const cli_command control_program = {
    .name = "pbctl",
    .brief = "Manage routing policies and gateway visibility; read catalog, routes and reports.",
    .flags = root_flags,
    .shared = control_settings,
    .below = control_below,
};

/* pbpub and pbsub are the commands pub and sub themselves: cli_program puts these settings above them. */
static const cli_flag *const data_settings[] = {
    cli_router_address_flags, cli_transport_flags, cli_oauth_flags, cli_common_flags, NULL,
};
static const cli_command *const data_below[] = {&cli_help_command, &cli_completion_command, &cli_gen_command, NULL};

const cli_command *cli_program(const char *argv0, const char **name)
{
    static cli_command data_program;
    const char *slash = strrchr(argv0, '/');
    *name = slash != NULL ? slash + 1 : argv0;
    if (strcmp(*name, "pbadmin") == 0) {
        return &admin_program;
    }
    if (strcmp(*name, "pbctl") == 0) {
        return &control_program;
    }
    if (strcmp(*name, "pbpub") == 0 || strcmp(*name, "pbsub") == 0) {
        data_program = strcmp(*name, "pbpub") == 0 ? cli_pub_command : cli_sub_command;
        data_program.name = *name;
        data_program.shared = data_settings;
        data_program.below = data_below;
        return &data_program;
    }
    *name = "lpx";
    return &lpx_program;
}
