/* What another exchange hands over, before anything is done about it: the checks of a publisher's message, and those of
 * its id and of the way that it came. Level 6; pure. Thread: any. */
#pragma once
#include "router/router_check.h"

/** Uplink of a peer. @param in may be NULL (a field is missing then) @param out borrows from in
 * @err INVALID_ARGUMENT: ROUTER_BAD_ID, ROUTER_BAD_HOP, those of router_check_uplink */
LPX_RESULT router_handed_check_uplink(const Pb__V3__RoutedUplinkMessage *in, router_uplink *out, lpx_note *note);
/** Downlink of a peer; like router_handed_check_uplink. */
LPX_RESULT router_handed_check_downlink(const Pb__V3__RoutedDownlinkMessage *in, router_downlink *out, lpx_note *note);
/** Has it been here, or come too far?
 * @param own name of this exchange in hops
 * @err FAILED_PRECONDITION: ROUTER_BEEN_HERE */
LPX_RESULT router_handed_check_way(Pb__V3__RouteHop *const *hops, size_t count, lpx_str own, lpx_note *note);
