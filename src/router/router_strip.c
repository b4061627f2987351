#include "router/router_strip.h"

#include "lorawan/region.h"
#include "lpx_reasons.h"
#include "router/router_core.h"

typedef Pb__V3__UplinkMessage__GatewayMetadata gateway_metadata;
typedef Pb__V3__GatewayMetadataSignalQuality__Terrestrial__Antenna signal_antenna;

#define NO_SIGNAL_QUALITY PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY__NOT_SET
#define PLAIN_SIGNAL_QUALITY PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_PLAIN_SIGNAL_QUALITY
#define NO_LOCALIZATION PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION__NOT_SET
#define PLAIN_LOCALIZATION PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION_PLAIN_LOCALIZATION

/* ---- gateway metadata ---- */

static const Pb__V3__GatewayMetadataSignalQuality__Terrestrial *plain_signal(const gateway_metadata *metadata)
{
    if (metadata->signal_quality_case != PLAIN_SIGNAL_QUALITY || metadata->plain_signal_quality == NULL ||
        metadata->plain_signal_quality->value_case != PB__V3__GATEWAY_METADATA_SIGNAL_QUALITY__VALUE_TERRESTRIAL) {
        return NULL;
    }
    return metadata->plain_signal_quality->terrestrial;
}

static const Pb__V3__GatewayMetadataLocalization__Terrestrial *plain_localization(const gateway_metadata *metadata)
{
    if (metadata->localization_case != PLAIN_LOCALIZATION || metadata->plain_localization == NULL ||
        metadata->plain_localization->value_case != PB__V3__GATEWAY_METADATA_LOCALIZATION__VALUE_TERRESTRIAL) {
        return NULL;
    }
    return metadata->plain_localization->terrestrial;
}

static size_t antenna_count(const gateway_metadata *metadata)
{
    const Pb__V3__GatewayMetadataSignalQuality__Terrestrial *signal = plain_signal(metadata);
    const Pb__V3__GatewayMetadataLocalization__Terrestrial *localization = plain_localization(metadata);
    return (signal != NULL ? signal->n_antennas : 0) + (localization != NULL ? localization->n_antennas : 0);
}

/* Index of antenna i, from signal quality if it has antennas, else from localization. */
static uint32_t antenna_index(const gateway_metadata *metadata, size_t i)
{
    const Pb__V3__GatewayMetadataSignalQuality__Terrestrial *signal = plain_signal(metadata);
    if (signal != NULL && signal->n_antennas > 0) {
        return signal->antennas[i]->index;
    }
    return plain_localization(metadata)->antennas[i]->index;
}

static size_t bare_count(const gateway_metadata *metadata)
{
    const Pb__V3__GatewayMetadataSignalQuality__Terrestrial *signal = plain_signal(metadata);
    if (signal != NULL && signal->n_antennas > 0) {
        return signal->n_antennas;
    }
    const Pb__V3__GatewayMetadataLocalization__Terrestrial *localization = plain_localization(metadata);
    return localization != NULL ? localization->n_antennas : 0;
}

/* The antennas of in, each with its index alone, as signal quality of out. */
static lpx_err keep_bare_antennas(const gateway_metadata *in, lpx_arena *arena, gateway_metadata *out)
{
    size_t count = bare_count(in);
    signal_antenna *antennas = lpx_arena_array(arena, count, sizeof *antennas);
    signal_antenna **list = lpx_arena_array(arena, count, sizeof(*list));
    Pb__V3__GatewayMetadataSignalQuality__Terrestrial *terrestrial = lpx_arena_get(arena, sizeof *terrestrial);
    Pb__V3__GatewayMetadataSignalQuality *quality = lpx_arena_get(arena, sizeof *quality);
    if (antennas == NULL || list == NULL || terrestrial == NULL || quality == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        pb__v3__gateway_metadata_signal_quality__terrestrial__antenna__init(&antennas[i]);
        antennas[i].index = antenna_index(in, i);
        list[i] = &antennas[i];
    }
    pb__v3__gateway_metadata_signal_quality__terrestrial__init(terrestrial);
    terrestrial->n_antennas = count;
    terrestrial->antennas = list;
    pb__v3__gateway_metadata_signal_quality__init(quality);
    quality->value_case = PB__V3__GATEWAY_METADATA_SIGNAL_QUALITY__VALUE_TERRESTRIAL;
    quality->terrestrial = terrestrial;
    out->signal_quality_case = PLAIN_SIGNAL_QUALITY;
    out->plain_signal_quality = quality;
    return LPX_SUCCESS;
}

/* Metadata without the stripped parts; NULL when nothing is left. */
static lpx_err strip_metadata(const gateway_metadata *in, unsigned strip, lpx_arena *arena, gateway_metadata **out)
{
    gateway_metadata *left = lpx_arena_get(arena, sizeof *left);
    if (left == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if ((strip & ROUTER_STRIP_TEASER) != 0) {
        pb__v3__uplink_message__gateway_metadata__init(left);
    } else {
        *left = *in;
    }
    if ((strip & ROUTER_STRIP_SIGNAL_QUALITY) != 0) {
        left->signal_quality_case = NO_SIGNAL_QUALITY;
        left->encrypted_signal_quality = NULL;
    }
    if ((strip & ROUTER_STRIP_LOCALIZATION) != 0) {
        left->localization_case = NO_LOCALIZATION;
        left->encrypted_localization = NULL;
    }
    if (antenna_count(in) > 0 && antenna_count(left) == 0 && left->signal_quality_case == NO_SIGNAL_QUALITY) {
        LPX_TRY(keep_bare_antennas(in, arena, left));
    }
    bool empty = (strip & ROUTER_STRIP_TEASER) != 0 && left->signal_quality_case == NO_SIGNAL_QUALITY;
    *out = empty ? NULL : left;
    return LPX_SUCCESS;
}

/* ---- data rates ---- */

/* Does the message lack a data rate? One whose kind this version does not know is left alone. */
static bool lacks_data_rate(const Pb__V3__DataRate *rate)
{
    return rate == NULL ||
           (rate->modulation_case == PB__V3__DATA_RATE__MODULATION__NOT_SET && rate->base.n_unknown_fields == 0);
}

static lpx_err make_lora(const lw_data_rate *rate, char *coding_rate, lpx_arena *arena, Pb__V3__DataRate *out)
{
    out->lora = lpx_arena_get(arena, sizeof *out->lora);
    if (out->lora == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__v3__lo_ra_data_rate__init(out->lora);
    out->modulation_case = PB__V3__DATA_RATE__MODULATION_LORA;
    out->lora->spreading_factor = rate->spreading_factor;
    out->lora->bandwidth = rate->bandwidth_hz;
    out->lora->coding_rate = coding_rate;
    return LPX_SUCCESS;
}

static lpx_err make_fsk(const lw_data_rate *rate, lpx_arena *arena, Pb__V3__DataRate *out)
{
    out->fsk = lpx_arena_get(arena, sizeof *out->fsk);
    if (out->fsk == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__v3__fskdata_rate__init(out->fsk);
    out->modulation_case = PB__V3__DATA_RATE__MODULATION_FSK;
    out->fsk->bits_per_second = rate->bits_per_second;
    return LPX_SUCCESS;
}

static lpx_err make_lrfhss(const lw_data_rate *rate, char *coding_rate, lpx_arena *arena, Pb__V3__DataRate *out)
{
    out->lrfhss = lpx_arena_get(arena, sizeof *out->lrfhss);
    if (out->lrfhss == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__v3__lrfhssdata_rate__init(out->lrfhss);
    out->modulation_case = PB__V3__DATA_RATE__MODULATION_LRFHSS;
    out->lrfhss->modulation_type = rate->modulation_type;
    out->lrfhss->operating_channel_width = rate->bandwidth_hz;
    out->lrfhss->coding_rate = coding_rate;
    return LPX_SUCCESS;
}

/* The data rate as a message; sent_rate is the coding rate that the publisher gave beside it, if any. */
static lpx_err make_data_rate(const lw_data_rate *rate, const char *sent_rate, lpx_arena *arena, Pb__V3__DataRate **out)
{
    lpx_str coding = sent_rate != NULL && sent_rate[0] != '\0' ? lpx_str_of(sent_rate) : rate->coding_rate;
    Pb__V3__DataRate *made = lpx_arena_get(arena, sizeof *made);
    char *coding_rate = lpx_arena_cstr(arena, coding);
    if (made == NULL || coding_rate == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__v3__data_rate__init(made);
    lpx_err err = LPX_SUCCESS;
    switch (rate->kind) {
    case LW_LORA:
        err = make_lora(rate, coding_rate, arena, made);
        break;
    case LW_FSK:
        err = make_fsk(rate, arena, made);
        break;
    case LW_LRFHSS:
        err = make_lrfhss(rate, coding_rate, arena, made);
        break;
    }
    LPX_TRY(err);
    *out = made;
    return LPX_SUCCESS;
}

/* ---- whole messages ---- */

lpx_err router_strip_uplink(const Pb__V3__UplinkMessage *in, unsigned strip, lpx_arena *arena,
                            const Pb__V3__UplinkMessage **out)
{
    lw_data_rate rate;
    bool fill = lacks_data_rate(in->data_rate) &&
                lw_region_data_rate((uint32_t)in->gateway_region, LW_UPLINK, in->data_rate_index, &rate);
    bool stripping = strip != 0 && in->gateway_metadata != NULL;
    if (!fill && !stripping) {
        *out = in;
        return LPX_SUCCESS;
    }
    Pb__V3__UplinkMessage *copy = lpx_arena_get(arena, sizeof *copy);
    if (copy == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *copy = *in;
    if (fill) {
        LPX_TRY(make_data_rate(&rate, in->coding_rate, arena, &copy->data_rate));
    }
    if (stripping) {
        LPX_TRY(strip_metadata(in->gateway_metadata, strip, arena, &copy->gateway_metadata));
    }
    *out = copy;
    return LPX_SUCCESS;
}

/* One receive window; *out is in itself when nothing is to be filled in. */
static lpx_err fill_window(Pb__V3__DownlinkMessage__RXSettings *in, uint32_t region, lpx_arena *arena,
                           Pb__V3__DownlinkMessage__RXSettings **out)
{
    lw_data_rate rate;
    *out = in;
    if (in == NULL || !lacks_data_rate(in->data_rate) ||
        !lw_region_data_rate(region, LW_DOWNLINK, in->data_rate_index, &rate)) {
        return LPX_SUCCESS;
    }
    Pb__V3__DownlinkMessage__RXSettings *copy = lpx_arena_get(arena, sizeof *copy);
    if (copy == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *copy = *in;
    *out = copy;
    return make_data_rate(&rate, NULL, arena, &copy->data_rate);
}

lpx_err router_fill_downlink(const Pb__V3__DownlinkMessage *in, lpx_arena *arena, const Pb__V3__DownlinkMessage **out)
{
    Pb__V3__DownlinkMessage *copy = lpx_arena_get(arena, sizeof *copy);
    if (copy == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *copy = *in;
    LPX_TRY(fill_window(in->rx1, (uint32_t)in->region, arena, &copy->rx1));
    LPX_TRY(fill_window(in->rx2, (uint32_t)in->region, arena, &copy->rx2));
    *out = copy;
    return LPX_SUCCESS;
}
