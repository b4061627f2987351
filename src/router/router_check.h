/* Requests of the data plane: their validation, and what routing looks at in them. Each failure names the field and
 * what it would have to be. Level 6; pure. Thread: any.
 *
 * The payload itself decides when it is plain; the teaser, which is never compared with it, when it is encrypted.
 * Uplinks are join-requests and data frames: the API has no words for rejoin-requests and proprietary frames (no
 * teaser, no filter, no policy flag), so both are refused, as clients do already before they publish. Downlinks are
 * join-accepts and data frames. */
#pragma once
#include "pb_routing_v1_api.pb-c.h"
#include "router/router_core.h"
#include "router/router_id.h"

/** Uplink of a forwarder. @param out borrows from in; now and homes are left to the caller @err INVALID_ARGUMENT: LW_…,
 * ROUTER_FIELD_MISSING, ROUTER_PAYLOAD_TYPE */
LPX_RESULT router_check_uplink(const Pb__Routing__V1__PublishUplinkMessageRequest *in, router_uplink *out,
                               lpx_note *note);
/** Downlink of a home network; like router_check_uplink. */
LPX_RESULT router_check_downlink(const Pb__Routing__V1__PublishDownlinkMessageRequest *in, router_downlink *out,
                                 lpx_note *note);

/** Subscription of a forwarder. @param out borrows from in; loop and limits are left 0 */
LPX_RESULT router_check_forwarder(const Pb__Routing__V1__SubscribeForwarderRequest *in, router_sub_spec *out,
                                  lpx_note *note);
/** Subscription of a home network. @param out borrows from in and arena; like router_check_forwarder
 * @err also RESOURCE_EXHAUSTED: ROUTER_TOO_MANY_FILTERS */
LPX_RESULT router_check_home_network(const Pb__Routing__V1__SubscribeHomeNetworkRequest *in, lpx_arena *arena,
                                     router_sub_spec *out, lpx_note *note);

/** What a delivery report says. */
typedef struct router_report {
    traffic_direction direction; /* of the message */
    lpx_str id;
    traffic_endpoint forwarder, home;
    bool processed; /* the last state; else one on the way */
    bool failed;    /* processed, with an error */
    int error;      /* UplinkMessageProcessingError or DownlinkMessageProcessingError, if failed */
} router_report;

/** Report of a home network on an uplink. @err INVALID_ARGUMENT: LW_…, ROUTER_FIELD_MISSING, ROUTER_BAD_REPORT */
LPX_RESULT router_check_uplink_report(const Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest *in,
                                      router_report *out, lpx_note *note);
/** Report of a forwarder on a downlink. */
LPX_RESULT router_check_downlink_report(const Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest *in,
                                        router_report *out, lpx_note *note);
