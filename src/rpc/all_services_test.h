/* Every service of api/, for tests and fuzz targets that walk all methods. */
#pragma once
#include "grpc_health_v1_health.pb-c.h"
#include "grpc_reflection_v1_reflection.pb-c.h"
#include "grpc_reflection_v1alpha_reflection.pb-c.h"
#include "lpx_iam_v1_iam.pb-c.h"
#include "lpx_routing_v1_data.pb-c.h"
#include "lpx_routing_v1_settings.pb-c.h"
#include "lpx_trace_v1_trace.pb-c.h"
#include "pb_iam_v1_api.pb-c.h"
#include "pb_iam_v2_api.pb-c.h"
#include "pb_mapping_v2_api.pb-c.h"
#include "pb_reporting_v1_api.pb-c.h"
#include "pb_routing_v1_api.pb-c.h"
#include "pb_routing_v2_api.pb-c.h"

/** All of them. */
static const ProtobufCServiceDescriptor *const services[] = {
    &grpc__health__v1__health__descriptor,
    &grpc__reflection__v1__server_reflection__descriptor,
    &grpc__reflection__v1alpha__server_reflection__descriptor,
    &lpx__iam__v1__authority_manager__descriptor,
    &lpx__iam__v1__client_certificates__descriptor,
    &lpx__routing__v1__forwarder_data__descriptor,
    &lpx__routing__v1__home_network_settings_manager__descriptor,
    &lpx__trace__v1__tracer__descriptor,
    &pb__iam__v1__apikey_vault__descriptor,
    &pb__iam__v1__network_registry__descriptor,
    &pb__iam__v1__tenant_registry__descriptor,
    &pb__iam__v2__catalog__descriptor,
    &pb__iam__v2__cluster_apikey_vault__descriptor,
    &pb__iam__v2__join_server_registry__descriptor,
    &pb__iam__v2__network_apikey_vault__descriptor,
    &pb__mapping__v2__gateway_visibility_manager__descriptor,
    &pb__mapping__v2__mapper__descriptor,
    &pb__reporting__v1__reporter__descriptor,
    &pb__routing__v1__forwarder_data__descriptor,
    &pb__routing__v1__home_network_data__descriptor,
    &pb__routing__v1__policy_manager__descriptor,
    &pb__routing__v1__router_data__descriptor,
    &pb__routing__v1__routes__descriptor,
    &pb__routing__v2__publisher__descriptor,
    &pb__routing__v2__routes__descriptor,
};

enum { SERVICES = sizeof services / sizeof services[0] };
