/* What a message looks like when it leaves: stripped as the policy says, data rates filled in. Messages that come in
 * are never changed; the outcome shares what is the same. Level 6; pure. Thread: any. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "pb_v3_api.pb-c.h"

/** An uplink as one home network gets it.
 *
 * A stripped part is left out, encrypted or plain. If no antenna is left of plain metadata that had some, their entries
 * stay with nothing but their index: clients keep tokens beside antennas, and without an entry a home network could not
 * answer though the downlink policy allows it. Nothing else is added or changed but the data rate, which is filled in
 * from region and index when it is absent.
 * @param strip ROUTER_STRIP_… of router_core.h
 * @param out   shares with in; valid as long as in and arena
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT router_strip_uplink(const Pb__V3__UplinkMessage *in, unsigned strip, lpx_arena *arena,
                               const Pb__V3__UplinkMessage **out);

/** A downlink as the forwarder gets it: the data rates of its windows filled in. Like router_strip_uplink. */
LPX_RESULT router_fill_downlink(const Pb__V3__DownlinkMessage *in, lpx_arena *arena,
                                const Pb__V3__DownlinkMessage **out);
