/* Requests of the data plane read in place: what is checked in them, and the parts of their message that may be left
 * out or filled in when it is sent on. A request that router_shape.h does not read is decoded by its handler; both ways
 * find the same (router_scan_test.c). Level 6; pure. Thread: any, once made. */
#pragma once
#include "router/router_check.h"

typedef struct router_scanner router_scanner;

/** New scanner of all requests. @return NULL when memory is short */
router_scanner *router_scanner_new(void);
/** Free; clears the pointer, accepts NULL. */
void router_scanner_free(router_scanner **scanner);

/** A data rate index and what is needed to say it in words. */
typedef struct router_scanned_rate {
    bool absent; /* the message has no data_rate */
    uint32_t region, index;
} router_scanned_rate;

/** A message in its request. Fields have their tags, contents have not; what is absent is empty. */
typedef struct router_scanned_uplink {
    lpx_bytes message; /* content: a serialised UplinkMessage */
    lpx_bytes gateway; /* content: a serialised GatewayIdentifier */
    router_scanned_rate rate;
    lpx_bytes coding_rate;                        /* content */
    lpx_bytes metadata, signal, localization;     /* fields; signal and localization plain or encrypted */
    lpx_bytes metadata_teaser;                    /* field */
    lpx_bytes signal_antennas, location_antennas; /* contents: plain terrestrial metadata, nothing but antennas */
} router_scanned_uplink;

/** One receive window of a downlink. */
typedef struct router_scanned_window {
    lpx_bytes field, content; /* empty: there is none */
    router_scanned_rate rate;
} router_scanned_window;

/** As router_scanned_uplink. */
typedef struct router_scanned_downlink {
    lpx_bytes message;
    router_scanned_window windows[2];
} router_scanned_downlink;

/** Read a PublishUplinkMessageRequest.
 * @param fields  borrow from request, as message does
 * @return false: decode it */
bool router_scan_uplink(const router_scanner *scanner, lpx_bytes request, router_uplink_fields *fields,
                        router_scanned_uplink *message);
/** Read a PublishDownlinkMessageRequest; like router_scan_uplink. */
bool router_scan_downlink(const router_scanner *scanner, lpx_bytes request, router_downlink_fields *fields,
                          router_scanned_downlink *message);
/** Read an UplinkMessageDeliveryStateChangeRequest or, by direction, a DownlinkMessageDeliveryStateChangeRequest.
 * @param is_there it has a state_change @return false: decode it */
bool router_scan_report(const router_scanner *scanner, traffic_direction direction, lpx_bytes request,
                        router_report *out, bool *is_there);
