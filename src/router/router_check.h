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

/** What is checked and looked at in the request to publish an uplink, wherever it was read; texts and bytes borrowed.
 */
typedef struct router_uplink_fields {
    traffic_endpoint forwarder;
    bool has_message, has_payload, is_plain, is_encrypted;
    lpx_bytes plain;        /* is_plain */
    lpx_bytes payload_hash; /* of the teaser; empty: none */
    enum { ROUTER_TEASER_NONE, ROUTER_TEASER_JOIN, ROUTER_TEASER_MAC } teaser;
    uint64_t join_eui, dev_eui; /* ROUTER_TEASER_JOIN */
    uint32_t dev_addr, f_port;  /* ROUTER_TEASER_MAC, and those below */
    bool confirmed, f_opts;
    bool has_gateway_id, names_gateway; /* by its EUI or otherwise */
    bool hashes_gateway;
    size_t gateway_hash_len; /* hashes_gateway */
    bool has_metadata, has_signal_quality, has_localization;
} router_uplink_fields;

/** The same of a downlink. */
typedef struct router_downlink_fields {
    traffic_endpoint home, forwarder;
    bool has_message;
    lpx_bytes payload;
} router_downlink_fields;

/** Fields of an uplink that was decoded. @param out borrows from in */
void router_uplink_fields_of(const Pb__Routing__V1__PublishUplinkMessageRequest *in, router_uplink_fields *out);
/** Fields of a downlink that was decoded; like router_uplink_fields_of. */
void router_downlink_fields_of(const Pb__Routing__V1__PublishDownlinkMessageRequest *in, router_downlink_fields *out);

/** Check an uplink of a forwarder. @param out borrows what in does; of no use after a failure; now and homes are left
 * to the caller @err INVALID_ARGUMENT: LW_…, ROUTER_FIELD_MISSING, ROUTER_PAYLOAD_TYPE, ROUTER_BAD_GATEWAY_ID */
LPX_RESULT router_check_uplink_fields(const router_uplink_fields *in, router_uplink *out, lpx_note *note);
/** Check a downlink of a home network; like router_check_uplink_fields. */
LPX_RESULT router_check_downlink_fields(const router_downlink_fields *in, router_downlink *out, lpx_note *note);

/** Fields of a decoded uplink, checked. */
LPX_RESULT router_check_uplink(const Pb__Routing__V1__PublishUplinkMessageRequest *in, router_uplink *out,
                               lpx_note *note);
/** Fields of a decoded downlink, checked. */
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
    bool failed;    /* with an error; counts if processed */
    bool succeeded; /* with a result of its own that is no error; downlinks only */
    int error;      /* UplinkMessageProcessingError or DownlinkMessageProcessingError, if failed */
} router_report;

/** Report of a home network on an uplink that was decoded. @param out borrows from in; all zero but for direction when
 * it has no state_change @return has it one? */
bool router_uplink_report_of(const Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest *in, router_report *out);
/** Report of a forwarder on a downlink; like router_uplink_report_of. */
bool router_downlink_report_of(const Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest *in,
                               router_report *out);
/** Check a report. @param is_there it has a state_change @err INVALID_ARGUMENT: LW_…, ROUTER_FIELD_MISSING,
 * ROUTER_BAD_REPORT */
LPX_RESULT router_check_report(const router_report *report, bool is_there, lpx_note *note);

/** A decoded report on an uplink, checked. */
LPX_RESULT router_check_uplink_report(const Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest *in,
                                      router_report *out, lpx_note *note);
/** A decoded report on a downlink, checked. */
LPX_RESULT router_check_downlink_report(const Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest *in,
                                        router_report *out, lpx_note *note);
