#include "cli/cli_uplink.h"

#include <stdio.h>
#include <string.h>

#include "lorawan/teaser.h"
#include "lpx_reasons.h"

typedef Pb__V3__GatewayMetadataSignalQuality__Terrestrial__Antenna antenna_quality;
typedef Pb__V3__GatewayMetadataLocalization__Terrestrial__Antenna antenna_place;

/* All submessages of one uplink, got with one piece of memory. */
typedef struct uplink_parts {
    Pb__V3__UplinkMessage message;
    Pb__V3__UplinkMessage__PHYPayload phy;
    Pb__V3__PHYPayloadTeaser teaser;
    Pb__V3__PHYPayloadTeaser__MACPayloadTeaser mac;
    Pb__V3__PHYPayloadTeaser__JoinRequestTeaser join;
    uint8_t hash[LW_TEASER_HASH_BYTES];
    Pb__V3__GatewayIdentifier gateway;
    Google__Protobuf__Timestamp gateway_time, forwarder_time;
    Pb__V3__DataRate data_rate;
    Pb__V3__LoRaDataRate lora;
    Pb__V3__UplinkMessage__GatewayMetadata metadata;
    Pb__V3__GatewayMetadataTeaser metadata_teaser;
    Pb__V3__GatewayMetadataTeaser__Terrestrial metadata_teaser_terrestrial;
    Pb__V3__GatewayMetadataSignalQuality quality;
    Pb__V3__GatewayMetadataSignalQuality__Terrestrial quality_terrestrial;
    antenna_quality quality_antenna;
    antenna_quality *quality_antennas[1];
    Pb__V3__TerrestrialGatewayAntennaSignalQuality signal;
    Pb__V3__GatewayMetadataLocalization localization;
    Pb__V3__GatewayMetadataLocalization__Terrestrial localization_terrestrial;
    antenna_place place_antenna;
    antenna_place *place_antennas[1];
    Pb__V3__Location location;
    char gateway_id[128], coding_rate[4];
} uplink_parts;

static ProtobufCBinaryData binary(lpx_bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.ptr};
}

static void set_time(Google__Protobuf__Timestamp *time, int64_t us)
{
    google__protobuf__timestamp__init(time);
    time->seconds = us / 1000000;
    time->nanos = (int32_t)(us % 1000000 * 1000);
}

static void set_payload(uplink_parts *p, const cli_reception *r, const lw_teaser *teaser)
{
    pb__v3__uplink_message__phypayload__init(&p->phy);
    pb__v3__phypayload_teaser__init(&p->teaser);
    p->phy.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    p->phy.plain = binary(r->phy);
    p->phy.teaser = &p->teaser;
    memcpy(p->hash, teaser->hash, sizeof p->hash);
    p->teaser.hash = (ProtobufCBinaryData){.len = sizeof p->hash, .data = p->hash};
    p->teaser.length = teaser->length;
    if (teaser->kind == LW_TEASER_JOIN_REQUEST) {
        pb__v3__phypayload_teaser__join_request_teaser__init(&p->join);
        p->join.join_eui = teaser->join_request.join_eui.value;
        p->join.dev_eui = teaser->join_request.dev_eui.value;
        p->join.dev_nonce = teaser->join_request.dev_nonce;
        p->teaser.payload_case = PB__V3__PHYPAYLOAD_TEASER__PAYLOAD_JOIN_REQUEST;
        p->teaser.join_request = &p->join;
        return;
    }
    pb__v3__phypayload_teaser__macpayload_teaser__init(&p->mac);
    p->mac.confirmed = teaser->mac.confirmed;
    p->mac.dev_addr = teaser->mac.dev_addr.value;
    p->mac.f_opts = teaser->mac.f_opts;
    p->mac.f_cnt = teaser->mac.f_cnt;
    p->mac.f_port = teaser->mac.f_port;
    p->mac.frm_payload_length = teaser->mac.frm_payload_length;
    p->teaser.payload_case = PB__V3__PHYPAYLOAD_TEASER__PAYLOAD_MAC;
    p->teaser.mac = &p->mac;
}

static void set_radio(uplink_parts *p, const cli_reception *r)
{
    pb__v3__data_rate__init(&p->data_rate);
    pb__v3__lo_ra_data_rate__init(&p->lora);
    memcpy(p->coding_rate, "4/5", sizeof p->coding_rate);
    p->lora.spreading_factor = r->spreading_factor;
    p->lora.bandwidth = r->bandwidth_hz;
    p->lora.coding_rate = p->coding_rate;
    p->data_rate.modulation_case = PB__V3__DATA_RATE__MODULATION_LORA;
    p->data_rate.lora = &p->lora;
    p->message.gateway_region = PB__V3__REGION__EU_863_870;
    p->message.data_rate = &p->data_rate;
    p->message.frequency = r->frequency_hz;
}

static void set_signal(uplink_parts *p, const cli_reception *r)
{
    pb__v3__terrestrial_gateway_antenna_signal_quality__init(&p->signal);
    p->signal.channel_rssi = r->rssi_dbm;
    p->signal.snr = r->snr_db;
    pb__v3__gateway_metadata_signal_quality__init(&p->quality);
    pb__v3__gateway_metadata_signal_quality__terrestrial__init(&p->quality_terrestrial);
    pb__v3__gateway_metadata_signal_quality__terrestrial__antenna__init(&p->quality_antenna);
    p->quality_antenna.value = &p->signal;
    p->quality_antennas[0] = &p->quality_antenna;
    p->quality_terrestrial.antennas = p->quality_antennas;
    p->quality_terrestrial.n_antennas = 1;
    p->quality.value_case = PB__V3__GATEWAY_METADATA_SIGNAL_QUALITY__VALUE_TERRESTRIAL;
    p->quality.terrestrial = &p->quality_terrestrial;
    p->metadata.signal_quality_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_PLAIN_SIGNAL_QUALITY;
    p->metadata.plain_signal_quality = &p->quality;
}

static void set_place(uplink_parts *p, const cli_reception *r)
{
    pb__v3__location__init(&p->location);
    p->location.latitude = r->latitude;
    p->location.longitude = r->longitude;
    p->location.altitude = r->altitude_m;
    pb__v3__gateway_metadata_localization__init(&p->localization);
    pb__v3__gateway_metadata_localization__terrestrial__init(&p->localization_terrestrial);
    pb__v3__gateway_metadata_localization__terrestrial__antenna__init(&p->place_antenna);
    p->place_antenna.location = &p->location;
    p->place_antenna.signal_quality = &p->signal;
    p->place_antennas[0] = &p->place_antenna;
    p->localization_terrestrial.antennas = p->place_antennas;
    p->localization_terrestrial.n_antennas = 1;
    p->localization.value_case = PB__V3__GATEWAY_METADATA_LOCALIZATION__VALUE_TERRESTRIAL;
    p->localization.terrestrial = &p->localization_terrestrial;
    p->metadata.localization_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION_PLAIN_LOCALIZATION;
    p->metadata.plain_localization = &p->localization;
}

static void set_metadata(uplink_parts *p, const cli_reception *r)
{
    pb__v3__uplink_message__gateway_metadata__init(&p->metadata);
    pb__v3__gateway_metadata_teaser__init(&p->metadata_teaser);
    pb__v3__gateway_metadata_teaser__terrestrial__init(&p->metadata_teaser_terrestrial);
    p->metadata_teaser.value_case = PB__V3__GATEWAY_METADATA_TEASER__VALUE_TERRESTRIAL;
    p->metadata_teaser.terrestrial = &p->metadata_teaser_terrestrial;
    p->metadata.teaser = &p->metadata_teaser;
    set_signal(p, r);
    if (r->has_location) {
        set_place(p, r);
    }
    p->message.gateway_metadata = &p->metadata;
}

lpx_err cli_uplink_make(const cli_reception *reception, lpx_arena *arena, Pb__V3__UplinkMessage **out, lpx_note *note)
{
    lw_phy phy;
    lw_teaser teaser;
    LPX_TRY(lw_phy_decode(reception->phy, note, &phy));
    LPX_TRY(lw_teaser_of(&phy, note, &teaser));
    uplink_parts *p = lpx_arena_get(arena, sizeof *p);
    if (p == NULL) {
        return lpx_fail(note, BASE_NO_MEMORY, "there is no memory for an uplink message");
    }
    pb__v3__uplink_message__init(&p->message);
    set_payload(p, reception, &teaser);
    p->message.phy_payload = &p->phy;
    set_radio(p, reception);
    pb__v3__gateway_identifier__init(&p->gateway);
    (void)snprintf(p->gateway_id, sizeof p->gateway_id, "%s", reception->gateway_id);
    p->gateway.id_case = PB__V3__GATEWAY_IDENTIFIER__ID_PLAIN;
    p->gateway.plain = p->gateway_id;
    p->message.gateway_id = &p->gateway;
    set_time(&p->gateway_time, reception->gateway_us);
    set_time(&p->forwarder_time, reception->forwarder_us);
    p->message.gateway_receive_time = &p->gateway_time;
    p->message.forwarder_receive_time = &p->forwarder_time;
    set_metadata(p, reception);
    p->message.gateway_uplink_token = binary(reception->token);
    *out = &p->message;
    return LPX_SUCCESS;
}
