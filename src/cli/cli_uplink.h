/* An UplinkMessage as a gateway server publishes it. */
#pragma once
#include "base/arena.h"
#include "pb_v3_api.pb-c.h"

/** One gateway's reception of a frame. Borrowed. */
typedef struct cli_reception {
    lpx_bytes phy;          /* PHYPayload, MIC included */
    const char *gateway_id; /* plain */
    bool has_location;
    double latitude, longitude, altitude_m;
    float rssi_dbm, snr_db;
    uint64_t frequency_hz;
    uint32_t spreading_factor, bandwidth_hz;
    int64_t gateway_us, forwarder_us; /* Unix time of both receptions */
    lpx_bytes token;                  /* gateway_uplink_token: opaque to the exchange, comes back with a downlink */
} cli_reception;

/** Make the message: teaser from the frame, LoRa data rate 4/5 in EU_863_870, one antenna.
 * @param out lies in the arena and borrows from the reception
 * @err INVALID_ARGUMENT: those of lw_phy_decode, LW_TEASER_TYPE; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT cli_uplink_make(const cli_reception *reception, lpx_arena *arena, Pb__V3__UplinkMessage **out,
                           lpx_note *note);
