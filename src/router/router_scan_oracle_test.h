/* Requests read in place against the same requests decoded: what both ways say, and what both send on, must be the
 * same. Each function aborts at the first difference. Tests and fuzz targets only. */
#pragma once
#include "router/router_scan.h"

typedef enum scan_request {
    SCAN_UPLINK,
    SCAN_DOWNLINK,
    SCAN_UPLINK_REPORT,
    SCAN_DOWNLINK_REPORT,
    SCAN_REQUESTS
} scan_request;

/** Descriptor of a request. */
const ProtobufCMessageDescriptor *scan_descriptor(scan_request request);

/** Compare both ways. @param valid set when it passes all checks; NULL: not wanted @return was it read in place? */
bool scan_compare(const router_scanner *scanner, scan_request request, lpx_bytes bytes, bool *valid);
