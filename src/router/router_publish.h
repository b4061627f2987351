/* Taking uplinks from forwarders: one by one (router_rpc.c) and by streams (router_stream_rpc.c). Level 6.
 * Thread: the shard's loop. */
#pragma once
#include "router/router_passage.h"

/** May this caller publish for that forwarder? @err as rpc_authz_check */
typedef lpx_err router_allow_fn(void *ctx, traffic_endpoint forwarder, lpx_note *note);

/** Who publishes an uplink. */
typedef struct router_publisher {
    router_shard *shard;
    lpx_arena *arena; /* for this uplink alone */
    router_allow_fn *allow;
    void *ctx;                /* of allow */
    const rpc_principal *who; /* behind the call */
} router_publisher;

/** Take one uplink: read it, ask allow, check it, route it and give it out.
 * @param request  serialised PublishUplinkMessageRequest, borrowed for the call
 * @param id       of the message, ROUTER_ID_CHARS characters in arena
 * @err those of allow, router_check_uplink_fields, router_join_run and router_passage_run; INVALID_ARGUMENT: CODEC_…;
 *      RESOURCE_EXHAUSTED: ROUTER_PUBLISH_TOO_LARGE, ROUTER_TOO_FAST */
LPX_RESULT router_publish_uplink(const router_publisher *by, lpx_bytes request, const char **id, lpx_note *note);

/** Loop method lpx.routing.v1.ForwarderData.PublishStream; request is NULL, service the router. */
void router_publish_stream(rpc_call *call, const ProtobufCMessage *request, void *service);
