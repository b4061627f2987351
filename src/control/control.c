/* The method table of the control plane. */
#include "control/control.h"

#include "control/control_priv.h"
#include "lpx_routing_v1_settings.pb-c.h"
#include "pb_mapping_v2_api.pb-c.h"
#include "pb_routing_v2_api.pb-c.h"

#define POLICIES "/org.packetbroker.routing.v1.PolicyManager/"
#define OLD_ROUTES "/org.packetbroker.routing.v1.Routes/"
#define ROUTES "/org.packetbroker.routing.v2.Routes/"
#define VISIBILITY "/org.packetbroker.mapping.v2.GatewayVisibilityManager/"
#define SETTINGS "/lpx.routing.v1.HomeNetworkSettingsManager/"

#define METHOD(kind, name, request, response, function)                                                  \
    {                                                                                                    \
        .path = (name), .in = &request##__descriptor, .out = &response##__descriptor, .flavour = (kind), \
        .txn = (function)                                                                                \
    }
#define READ(name, request, response, function) METHOD(RPC_READ, name, request, response, function)
#define WRITE(name, request, function) METHOD(RPC_WRITE, name, request, google__protobuf__empty, function)

/* clang-format off */
static const rpc_method methods[] = {
    READ(POLICIES "ListDefaultPolicies", pb__routing__v1__list_default_policies_request, pb__routing__v1__list_default_policies_response, control_list_default_policies),
    READ(POLICIES "GetDefaultPolicy", pb__routing__v1__get_default_policy_request, pb__routing__v1__get_policy_response, control_get_default_policy),
    WRITE(POLICIES "SetDefaultPolicy", pb__routing__v1__set_policy_request, control_set_default_policy),
    READ(POLICIES "ListHomeNetworkPolicies", pb__routing__v1__list_home_network_policies_request, pb__routing__v1__list_home_network_policies_response, control_list_home_network_policies),
    READ(POLICIES "GetHomeNetworkPolicy", pb__routing__v1__get_home_network_policy_request, pb__routing__v1__get_policy_response, control_get_home_network_policy),
    WRITE(POLICIES "SetHomeNetworkPolicy", pb__routing__v1__set_policy_request, control_set_home_network_policy),
    READ(POLICIES "ListEffectivePolicies", pb__routing__v1__list_effective_policies_request, pb__routing__v1__list_effective_policies_response, control_list_effective_policies),
    READ(POLICIES "ListNetworksWithPolicy", pb__routing__v1__list_networks_with_policy_request, pb__routing__v1__list_networks_response, control_list_networks_with_policy),
    READ(ROUTES "ListUplinkRoutes", pb__routing__v2__list_uplink_routes_request, pb__routing__v2__list_uplink_routes_response, control_list_uplink_routes),
    READ(ROUTES "ListJoinRequestRoutes", pb__routing__v2__list_join_request_routes_request, pb__routing__v2__list_join_request_routes_response, control_list_join_request_routes),
    READ(ROUTES "ListNetworkTargets", pb__routing__v2__list_network_targets_request, pb__routing__v2__list_network_targets_response, control_list_network_targets),
    READ(OLD_ROUTES "ListRoutes", pb__routing__v1__list_routes_request, pb__routing__v1__list_routes_response, control_list_routes),
    READ(OLD_ROUTES "ListTargets", pb__routing__v1__list_targets_request, pb__routing__v1__list_targets_response, control_list_targets),
    READ(VISIBILITY "GetDefaultVisibility", pb__mapping__v2__get_default_gateway_visibility_request, pb__mapping__v2__get_gateway_visibility_response, control_get_default_visibility),
    WRITE(VISIBILITY "SetDefaultVisibility", pb__mapping__v2__set_gateway_visibility_request, control_set_default_visibility),
    READ(VISIBILITY "GetHomeNetworkVisibility", pb__mapping__v2__get_home_network_gateway_visibility_request, pb__mapping__v2__get_gateway_visibility_response, control_get_home_network_visibility),
    WRITE(VISIBILITY "SetHomeNetworkVisibility", pb__mapping__v2__set_gateway_visibility_request, control_set_home_network_visibility),
    READ(SETTINGS "GetSettings", lpx__routing__v1__home_network_settings_request, lpx__routing__v1__get_home_network_settings_response, control_get_settings),
    WRITE(SETTINGS "SetSettings", lpx__routing__v1__set_home_network_settings_request, control_set_settings),
    WRITE(SETTINGS "DeleteSettings", lpx__routing__v1__home_network_settings_request, control_delete_settings),
};
/* clang-format on */

size_t control_methods(const rpc_method **out)
{
    *out = methods;
    return sizeof methods / sizeof methods[0];
}
