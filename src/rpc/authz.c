#include "rpc/authz.h"

#include <stdio.h>
#include <string.h>

#include "codec/pb/pb.h"
#include "lpx_reasons.h"

/* Right numbers (org.packetbroker.v3.Right). */
enum {
    READ_NETWORK = 0,
    READ_ROUTING_POLICY = 4,
    READ_ROUTE_TABLE = 5,
    WRITE_ROUTING_POLICY = 7,
    READ_GATEWAY_VISIBILITY = 8,
    WRITE_GATEWAY_VISIBILITY = 9,
    READ_TRAFFIC = 10,
    WRITE_TRAFFIC = 11,
    READ_JOIN_SERVER = 12,
    READ_REPORT = 14,
    NO_RIGHT = -1,
};

enum {
    A = RPC_ADMIN,
    C = RPC_CLUSTER,
    N = RPC_NETWORK,
    T = RPC_TENANT,
    ANY = RPC_ANONYMOUS,
};

#define NETWORKS "/org.packetbroker.iam.v1.NetworkRegistry/"
#define TENANTS "/org.packetbroker.iam.v1.TenantRegistry/"
#define OLD_KEYS "/org.packetbroker.iam.v1.APIKeyVault/"
#define NETWORK_KEYS "/org.packetbroker.iam.v2.NetworkAPIKeyVault/"
#define CLUSTER_KEYS "/org.packetbroker.iam.v2.ClusterAPIKeyVault/"
#define CATALOG "/org.packetbroker.iam.v2.Catalog/"
#define JOIN_SERVERS "/org.packetbroker.iam.v2.JoinServerRegistry/"
#define VISIBILITY "/org.packetbroker.mapping.v2.GatewayVisibilityManager/"
#define POLICIES "/org.packetbroker.routing.v1.PolicyManager/"
#define FORWARDER "/org.packetbroker.routing.v1.ForwarderData/"
#define HOME "/org.packetbroker.routing.v1.HomeNetworkData/"
#define PEER "/org.packetbroker.routing.v1.RouterData/"
#define OLD_ROUTES "/org.packetbroker.routing.v1.Routes/"
#define ROUTES "/org.packetbroker.routing.v2.Routes/"
#define SETTINGS "/lpx.routing.v1.HomeNetworkSettingsManager/"
#define TRACER "/lpx.trace.v1.Tracer/"
#define CERTIFICATES "/lpx.iam.v1.ClientCertificates/"

/* clang-format off */
static const rpc_rule rules[] = {
    /* path                               subjects         right                 scope              net, tenant, cluster */
    {NETWORKS "ListNetworks",             A | C | N,       READ_NETWORK,         RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {NETWORKS "CreateNetwork",            A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {NETWORKS "GetNetwork",               A | C | N,       READ_NETWORK,         RPC_SCOPE_FIELDS,  "net_id", NULL, NULL},
    {NETWORKS "UpdateNetwork",            A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {NETWORKS "UpdateNetworkListed",      A | N,           NO_RIGHT,             RPC_SCOPE_FIELDS,  "net_id", NULL, NULL},
    {NETWORKS "DeleteNetwork",            A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {TENANTS "ListTenants",               A | N,           READ_NETWORK,         RPC_SCOPE_FIELDS,  "net_id", NULL, NULL},
    {TENANTS "CreateTenant",              A | N,           NO_RIGHT,             RPC_SCOPE_FIELDS,  "tenant.net_id", "tenant.tenant_id", NULL},
    {TENANTS "GetTenant",                 A | C | N | T,   READ_NETWORK,         RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {TENANTS "UpdateTenant",              A | N | T,       NO_RIGHT,             RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {TENANTS "UpdateTenantListed",        A | N | T,       NO_RIGHT,             RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {TENANTS "DeleteTenant",              A | N | T,       NO_RIGHT,             RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {OLD_KEYS "ListAPIKeys",              A | N,           NO_RIGHT,             RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {OLD_KEYS "CreateAPIKey",             A | N,           NO_RIGHT,             RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {OLD_KEYS "DeleteAPIKey",             A | N,           NO_RIGHT,             RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {NETWORK_KEYS "ListAPIKeys",          A | N,           NO_RIGHT,             RPC_SCOPE_FILTER,  "net_id.value", NULL, NULL},
    {NETWORK_KEYS "CreateAPIKey",         ANY | A | N,     NO_RIGHT,             RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {NETWORK_KEYS "DeleteAPIKey",         A | N,           NO_RIGHT,             RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {NETWORK_KEYS "UpdateAPIKeyState",    A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {CLUSTER_KEYS "ListAPIKeys",          A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {CLUSTER_KEYS "CreateAPIKey",         A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {CLUSTER_KEYS "DeleteAPIKey",         A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {CLUSTER_KEYS "UpdateAPIKeyState",    A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {CATALOG "ListNetworks",              A | C | N | T,   READ_NETWORK,         RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {CATALOG "ListHomeNetworks",          A | C | N | T,   READ_NETWORK,         RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {CATALOG "ListJoinServers",           A | C | N | T,   READ_JOIN_SERVER,     RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {JOIN_SERVERS "ListJoinServers",      A | C,           READ_JOIN_SERVER,     RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {JOIN_SERVERS "CreateJoinServer",     A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {JOIN_SERVERS "GetJoinServer",        A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {JOIN_SERVERS "UpdateJoinServer",     A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {JOIN_SERVERS "DeleteJoinServer",     A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {CERTIFICATES "ListCertificates",     A | N,           NO_RIGHT,             RPC_SCOPE_FILTER,  "net_id.value", NULL, NULL},
    {CERTIFICATES "IssueCertificate",     A | N,           NO_RIGHT,             RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {CERTIFICATES "RegisterCertificate",  A,               NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {CERTIFICATES "RevokeCertificate",    A | N,           NO_RIGHT,             RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {"/lpx.iam.v1.AuthorityManager/SetAuthority", A,       NO_RIGHT,             RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {POLICIES "ListDefaultPolicies",      A | C | N | T,   READ_ROUTING_POLICY,  RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {POLICIES "ListHomeNetworkPolicies",  A | C | N | T,   READ_ROUTING_POLICY,  RPC_SCOPE_FIELDS,  "forwarder_net_id", "forwarder_tenant_id", NULL},
    {POLICIES "GetDefaultPolicy",         A | C | N | T,   READ_ROUTING_POLICY,  RPC_SCOPE_FIELDS,  "forwarder_net_id", "forwarder_tenant_id", NULL},
    {POLICIES "GetHomeNetworkPolicy",     A | C | N | T,   READ_ROUTING_POLICY,  RPC_SCOPE_FIELDS,  "forwarder_net_id", "forwarder_tenant_id", NULL},
    {POLICIES "SetDefaultPolicy",         N | T,           WRITE_ROUTING_POLICY, RPC_SCOPE_FIELDS,  "policy.forwarder_net_id", "policy.forwarder_tenant_id", NULL},
    {POLICIES "SetHomeNetworkPolicy",     N | T,           WRITE_ROUTING_POLICY, RPC_SCOPE_FIELDS,  "policy.forwarder_net_id", "policy.forwarder_tenant_id", NULL},
    {POLICIES "ListEffectivePolicies",    A | C | N | T,   READ_ROUTING_POLICY,  RPC_SCOPE_FIELDS,  "home_network_net_id", "home_network_tenant_id", NULL},
    {POLICIES "ListNetworksWithPolicy",   A | N | T,       READ_ROUTING_POLICY,  RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {SETTINGS "GetSettings",              A | N | T,       READ_ROUTING_POLICY,  RPC_SCOPE_FIELDS,  "home_network_net_id", "home_network_tenant_id", NULL},
    {SETTINGS "SetSettings",              N | T,           WRITE_ROUTING_POLICY, RPC_SCOPE_FIELDS,  "settings.home_network_net_id", "settings.home_network_tenant_id", NULL},
    {SETTINGS "DeleteSettings",           N | T,           WRITE_ROUTING_POLICY, RPC_SCOPE_FIELDS,  "home_network_net_id", "home_network_tenant_id", NULL},
    {VISIBILITY "GetDefaultVisibility",   A | N | T,       READ_GATEWAY_VISIBILITY, RPC_SCOPE_FIELDS, "forwarder_net_id", "forwarder_tenant_id", NULL},
    {VISIBILITY "SetDefaultVisibility",   N | T,           WRITE_GATEWAY_VISIBILITY, RPC_SCOPE_FIELDS, "visibility.forwarder_net_id", "visibility.forwarder_tenant_id", NULL},
    {VISIBILITY "GetHomeNetworkVisibility", A | N | T,     READ_GATEWAY_VISIBILITY, RPC_SCOPE_FIELDS, "forwarder_net_id", "forwarder_tenant_id", NULL},
    {VISIBILITY "SetHomeNetworkVisibility", N | T,         WRITE_GATEWAY_VISIBILITY, RPC_SCOPE_FIELDS, "visibility.forwarder_net_id", "visibility.forwarder_tenant_id", NULL},
    {"/org.packetbroker.mapping.v2.Mapper/UpdateGateway", N | T, WRITE_TRAFFIC,  RPC_SCOPE_FIELDS,  "forwarder_net_id", "forwarder_tenant_id", "forwarder_cluster_id"},
    {"/org.packetbroker.reporting.v1.Reporter/GetRoutedMessages", A | C | N | T, READ_REPORT, RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {ROUTES "ListUplinkRoutes",           A | C | N | T,   READ_ROUTE_TABLE,     RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {ROUTES "ListJoinRequestRoutes",      A | C | N | T,   READ_ROUTE_TABLE,     RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {ROUTES "ListNetworkTargets",         A | C | N | T,   READ_ROUTE_TABLE,     RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {OLD_ROUTES "ListRoutes",             A | C | N | T,   READ_ROUTE_TABLE,     RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {OLD_ROUTES "ListTargets",            A | C | N | T,   READ_ROUTE_TABLE,     RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {"/org.packetbroker.routing.v2.Publisher/Subscribe", C, NO_RIGHT,            RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {PEER "RouteUplink",                  C,               WRITE_TRAFFIC,        RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {PEER "RouteDownlink",                C,               WRITE_TRAFFIC,        RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {TRACER "GetTrace",                   N | T,           READ_TRAFFIC,         RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {TRACER "ListRecent",                 N | T,           READ_TRAFFIC,         RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {TRACER "Watch",                      N | T,           READ_TRAFFIC,         RPC_SCOPE_FIELDS,  "net_id", "tenant_id", NULL},
    {"/grpc.health.v1.Health/Check",      ANY | A | C | N | T, NO_RIGHT,         RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {"/grpc.health.v1.Health/Watch",      ANY | A | C | N | T, NO_RIGHT,         RPC_SCOPE_NONE,    NULL, NULL, NULL},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ANY | A | C | N | T, NO_RIGHT, RPC_SCOPE_NONE, NULL, NULL, NULL},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ANY | A | C | N | T, NO_RIGHT, RPC_SCOPE_NONE, NULL, NULL, NULL},
    {FORWARDER "Publish",                 N | T,           WRITE_TRAFFIC,        RPC_SCOPE_FIELDS,  "forwarder_net_id", "forwarder_tenant_id", "forwarder_cluster_id"},
    {"/lpx.routing.v1.ForwarderData/PublishStream", N | T, WRITE_TRAFFIC,        RPC_SCOPE_HANDLER, NULL, NULL, NULL},
    {FORWARDER "Subscribe",               N | T,           READ_TRAFFIC,         RPC_SCOPE_FIELDS,  "forwarder_net_id", "forwarder_tenant_id", "forwarder_cluster_id"},
    {FORWARDER "ReportDownlinkMessageDeliveryState", N | T, WRITE_TRAFFIC,       RPC_SCOPE_REPORT,  "state_change.forwarder_net_id", "state_change.forwarder_tenant_id", "state_change.forwarder_cluster_id"},
    {HOME "Publish",                      N | T,           WRITE_TRAFFIC,        RPC_SCOPE_FIELDS,  "home_network_net_id", "home_network_tenant_id", "home_network_cluster_id"},
    {HOME "Subscribe",                    N | T,           READ_TRAFFIC,         RPC_SCOPE_FIELDS,  "home_network_net_id", "home_network_tenant_id", "home_network_cluster_id"},
    {HOME "ReportUplinkMessageDeliveryState", N | T,       WRITE_TRAFFIC,        RPC_SCOPE_REPORT,  "state_change.home_network_net_id", "state_change.home_network_tenant_id", "state_change.home_network_cluster_id"},
};
/* clang-format on */

/* Names of the rights above, for notes. */
const char *rpc_right_name(int right)
{
    static const char *const names[] = {
        [READ_NETWORK] = "READ_NETWORK",
        [READ_ROUTING_POLICY] = "READ_ROUTING_POLICY",
        [READ_ROUTE_TABLE] = "READ_ROUTE_TABLE",
        [WRITE_ROUTING_POLICY] = "WRITE_ROUTING_POLICY",
        [READ_GATEWAY_VISIBILITY] = "READ_GATEWAY_VISIBILITY",
        [WRITE_GATEWAY_VISIBILITY] = "WRITE_GATEWAY_VISIBILITY",
        [READ_TRAFFIC] = "READ_TRAFFIC",
        [WRITE_TRAFFIC] = "WRITE_TRAFFIC",
        [READ_JOIN_SERVER] = "READ_JOIN_SERVER",
        [READ_REPORT] = "READ_REPORT",
    };
    size_t count = sizeof names / sizeof names[0];
    return right >= 0 && (size_t)right < count && names[right] != NULL ? names[right] : "?";
}

const rpc_rule *rpc_authz_rules(size_t *count)
{
    *count = sizeof rules / sizeof rules[0];
    return rules;
}

const rpc_rule *rpc_authz_find(const char *path)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].path, path) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}

/* The parent message of a wrapper path ("net_id.value") is absent: the caller did not narrow. */
static bool filter_absent(const rpc_rule *rule, const ProtobufCMessage *request)
{
    char parent[64];
    const char *dot = strrchr(rule->net_field, '.');
    size_t len = dot != NULL ? (size_t)(dot - rule->net_field) : 0;
    if (len == 0 || len >= sizeof parent) {
        return false;
    }
    (void)snprintf(parent, sizeof parent, "%.*s", (int)len, rule->net_field);
    return !pb_has(request, parent);
}

/* What the rule's fields hold. A path that the request does not know is our own mistake and refuses. */
static lpx_err read_owner(const rpc_rule *rule, const ProtobufCMessage *request, rpc_owner *out, lpx_note *note)
{
    const char *wrong = NULL;
    *out = (rpc_owner){0};
    if (!pb_get_uint(request, rule->net_field, &out->net_id)) {
        wrong = rule->net_field;
    } else if (rule->tenant_field != NULL && !pb_get_text(request, rule->tenant_field, &out->tenant_id)) {
        wrong = rule->tenant_field;
    } else if (rule->cluster_field != NULL && !pb_get_text(request, rule->cluster_field, &out->cluster_id)) {
        wrong = rule->cluster_field;
    }
    if (wrong != NULL) {
        return lpx_fail(note, BASE_INTERNAL, "The rule of this method names the unknown field %s.", wrong);
    }
    return LPX_SUCCESS;
}

/* Does a resource matter to this caller? */
static bool is_bound(const rpc_rule *rule, const rpc_principal *who)
{
    bool member = who->subject == RPC_NETWORK || who->subject == RPC_TENANT;
    return member && rule->scope != RPC_SCOPE_NONE && rule->scope != RPC_SCOPE_HANDLER;
}

static lpx_err check_text(const char *field, lpx_str got, const char *own, lpx_note *note)
{
    if (!lpx_str_is(got, own)) {
        return lpx_fail(note, RPC_NOT_OWN, "%s must be \"%s\" with these credentials.", field, own);
    }
    return LPX_SUCCESS;
}

/* Does the request name the caller's own? */
static lpx_err check_own(const rpc_rule *rule, const rpc_principal *who, const rpc_owner *owner, lpx_note *note)
{
    if (owner->net_id != who->net_id) {
        return lpx_fail(note, RPC_NOT_OWN, "%s must be %06X with these credentials.", rule->net_field,
                        (unsigned)who->net_id);
    }
    if (who->subject == RPC_TENANT && rule->tenant_field != NULL) {
        LPX_TRY(check_text(rule->tenant_field, owner->tenant_id, who->tenant_id, note));
    }
    bool unnamed = rule->scope == RPC_SCOPE_REPORT && owner->cluster_id.len == 0;
    if (who->cluster_id[0] != '\0' && rule->cluster_field != NULL && !unnamed) {
        LPX_TRY(check_text(rule->cluster_field, owner->cluster_id, who->cluster_id, note));
    }
    return LPX_SUCCESS;
}

/* Is it a caller of the right kind, with the right? */
static lpx_err check_subject(const rpc_rule *rule, const rpc_principal *who, lpx_note *note)
{
    if ((rule->subjects & (unsigned)who->subject) == 0) {
        return who->subject == RPC_ANONYMOUS ? lpx_err_of(RPC_NO_CREDENTIALS) : lpx_err_of(RPC_WRONG_SUBJECT);
    }
    bool needs_right = rule->right >= 0 && who->subject != RPC_ADMIN && who->subject != RPC_ANONYMOUS;
    if (needs_right && (who->rights >> rule->right & 1U) == 0) {
        return lpx_fail(note, RPC_MISSING_RIGHT, "This method needs credentials with the right %s.",
                        rpc_right_name(rule->right));
    }
    return LPX_SUCCESS;
}

lpx_err rpc_authz_check(const rpc_rule *rule, const rpc_principal *who, const ProtobufCMessage *request, lpx_note *note)
{
    LPX_TRY(check_subject(rule, who, note));
    if (!is_bound(rule, who) || (rule->scope == RPC_SCOPE_FILTER && filter_absent(rule, request))) {
        return LPX_SUCCESS;
    }
    rpc_owner owner;
    LPX_TRY(read_owner(rule, request, &owner, note));
    return check_own(rule, who, &owner, note);
}

lpx_err rpc_authz_check_owner(const rpc_rule *rule, const rpc_principal *who, const rpc_owner *owner, lpx_note *note)
{
    LPX_TRY(check_subject(rule, who, note));
    return is_bound(rule, who) ? check_own(rule, who, owner, note) : LPX_SUCCESS;
}
