#include "mapper/mapper_update_core.h"

#include <math.h>

#include "base/text.h"
#include "lorawan/ids.h"
#include "lorawan/region.h"
#include "lpx_reasons.h"

#define HASH_PREFIX LPX_STR("hash:")
#define EUI_PREFIX LPX_STR("eui-")

enum { EUI_HEX_CHARS = 16 };

/* ---- identity ---- */

mapper_key_kind mapper_key_kind_of(lpx_str key)
{
    uint64_t eui;
    if (lpx_str_starts(key, HASH_PREFIX)) {
        return MAPPER_KEY_HASH;
    }
    bool is_eui =
        lpx_str_starts(key, EUI_PREFIX) && lpx_parse_hex(lpx_str_skip(key, EUI_PREFIX.len), EUI_HEX_CHARS, &eui);
    return is_eui ? MAPPER_KEY_EUI : MAPPER_KEY_PLAIN;
}

static lpx_err check_plain(lpx_str id, lpx_note *note)
{
    if (id.len == 0 || id.len > MAPPER_ID_MAX_CHARS) {
        return lpx_fail(note, MAPPER_BAD_GATEWAY_ID, "forwarder_gateway_id.plain has %zu bytes; want 1 to %d.", id.len,
                        MAPPER_ID_MAX_CHARS);
    }
    for (size_t i = 0; i < id.len; i++) {
        if ((unsigned char)id.ptr[i] <= ' ' || id.ptr[i] == 0x7f) {
            return lpx_fail(note, MAPPER_BAD_GATEWAY_ID,
                            "forwarder_gateway_id.plain has a blank or a control character at byte %zu.", i + 1);
        }
    }
    if (lpx_str_starts(id, HASH_PREFIX)) {
        return lpx_fail(note, MAPPER_BAD_GATEWAY_ID,
                        "forwarder_gateway_id.plain begins with hash:, which stands for hashed ids; want another id.");
    }
    return LPX_SUCCESS;
}

static void make_key(lpx_str prefix, lpx_bytes value, char out[static MAPPER_KEY_BYTES + 1])
{
    memcpy(out, prefix.ptr, prefix.len);
    lpx_hex_encode(value, out + prefix.len);
}

static lpx_err check_identity(const Pb__V3__GatewayIdentifier *id, mapper_update *out, lpx_note *note)
{
    if (id == NULL) {
        return lpx_fail(note, MAPPER_FIELD_MISSING, "forwarder_gateway_id is missing.");
    }
    out->has_eui = id->eui != NULL;
    out->eui = out->has_eui ? id->eui->value : 0;
    if (id->id_case == PB__V3__GATEWAY_IDENTIFIER__ID_PLAIN) {
        lpx_str plain = pb_str(id->plain);
        LPX_TRY(check_plain(plain, note));
        memcpy(out->key, plain.ptr, plain.len);
        out->key[plain.len] = '\0';
        return LPX_SUCCESS;
    }
    if (id->id_case == PB__V3__GATEWAY_IDENTIFIER__ID_HASH) {
        if (id->hash.len != MAPPER_HASH_BYTES) {
            return lpx_fail(note, MAPPER_BAD_GATEWAY_ID, "forwarder_gateway_id.hash has %zu bytes; want %d.",
                            id->hash.len, MAPPER_HASH_BYTES);
        }
        make_key(HASH_PREFIX, pb_bytes(id->hash), out->key);
        return LPX_SUCCESS;
    }
    if (!out->has_eui) {
        return lpx_fail(note, MAPPER_BAD_GATEWAY_ID,
                        "forwarder_gateway_id is empty; want an eui, a plain id or a hash.");
    }
    uint8_t eui[8];
    for (unsigned i = 0; i < sizeof eui; i++) {
        eui[i] = (uint8_t)(out->eui >> (56 - 8 * i));
    }
    make_key(EUI_PREFIX, lpx_bytes_of(eui, sizeof eui), out->key);
    return LPX_SUCCESS;
}

static lpx_err check_forwarder(const traffic_endpoint *forwarder, lpx_note *note)
{
    LPX_TRY(lw_netid_check(forwarder->net_id, "forwarder_net_id", note));
    if (forwarder->tenant_id.len > 0) {
        LPX_TRY(lw_tenant_id_check(forwarder->tenant_id, "forwarder_tenant_id", note));
    }
    if (forwarder->cluster_id.len > 0) {
        LPX_TRY(lw_cluster_id_check(forwarder->cluster_id, "forwarder_cluster_id", note));
    }
    return LPX_SUCCESS;
}

/* ---- location ---- */

static lpx_err check_number(double value, double least, double most, const char *field, lpx_note *note)
{
    if (!(value >= least && value <= most)) { /* NaN is neither */
        return lpx_fail(note, MAPPER_BAD_LOCATION, "gateway_location: %s is %g; want %g to %g.", field, value, least,
                        most);
    }
    return LPX_SUCCESS;
}

static lpx_err check_place(const Pb__V3__Location *place, lpx_note *note)
{
    if (place == NULL) {
        return LPX_SUCCESS;
    }
    LPX_TRY(check_number(place->latitude, -90, 90, "latitude", note));
    LPX_TRY(check_number(place->longitude, -180, 180, "longitude", note));
    LPX_TRY(check_number(place->altitude, MAPPER_ALTITUDE_MIN_M, MAPPER_ALTITUDE_MAX_M, "altitude", note));
    return check_number((double)place->accuracy, 0, MAPPER_ACCURACY_MAX_M, "accuracy", note);
}

/* A count of 0 is how a forwarder takes its antennas off the map. */
static lpx_err check_terrestrial(const Pb__V3__GatewayLocation__Terrestrial *t, lpx_note *note)
{
    if (t == NULL) {
        return LPX_SUCCESS;
    }
    if (t->antenna_placement > PB__V3__TERRESTRIAL_ANTENNA_PLACEMENT__OUTDOOR) {
        return lpx_fail(note, MAPPER_BAD_ANTENNAS,
                        "gateway_location: antenna_placement is %u; want 0 (unknown), 1 (indoor) or 2 (outdoor).",
                        (unsigned)t->antenna_placement);
    }
    if (t->antenna_count != NULL && t->antenna_count->value > MAPPER_ANTENNAS_MAX) {
        return lpx_fail(note, MAPPER_BAD_ANTENNAS, "gateway_location: antenna_count is %u; want 1 to %d.",
                        t->antenna_count->value, MAPPER_ANTENNAS_MAX);
    }
    return check_place(t->location, note);
}

static lpx_err check_trajectory(const Pb__V3__GatewayLocation__Satellite *s, lpx_note *note)
{
    enum { NANOS = 1000000000 };
    if (s->n_trajectory > MAPPER_TRAJECTORY_MAX) {
        return lpx_fail(note, MAPPER_BAD_LOCATION, "gateway_location: trajectory has %zu points; want at most %d.",
                        s->n_trajectory, MAPPER_TRAJECTORY_MAX);
    }
    for (size_t i = 0; i < s->n_trajectory; i++) {
        const Pb__V3__TimedLocation *point = s->trajectory[i];
        if (point->time == NULL || point->time->nanos < 0 || point->time->nanos >= NANOS || point->location == NULL) {
            return lpx_fail(note, MAPPER_BAD_LOCATION,
                            "gateway_location: point %zu of the trajectory needs a valid time and a location.", i + 1);
        }
        LPX_TRY(check_place(point->location, note));
    }
    return LPX_SUCCESS;
}

static lpx_err check_location(const Pb__V3__GatewayLocation *location, lpx_note *note)
{
    if (location == NULL) {
        return LPX_SUCCESS;
    }
    if (location->value_case != PB__V3__GATEWAY_LOCATION__VALUE_SATELLITE) {
        bool terrestrial = location->value_case == PB__V3__GATEWAY_LOCATION__VALUE_TERRESTRIAL;
        return terrestrial ? check_terrestrial(location->terrestrial, note) : LPX_SUCCESS;
    }
    LPX_TRY(check_place(location->satellite->location, note));
    LPX_TRY(check_number(location->satellite->field_of_view, 0, 360, "field_of_view", note));
    return check_trajectory(location->satellite, note);
}

/* ---- the rest ---- */

static lpx_err check_length(lpx_str text, size_t most, const char *contact, const char *field, lpx_note *note)
{
    if (text.len > most) {
        return lpx_fail(note, MAPPER_BAD_CONTACT, "%s.%s has %zu bytes; want at most %zu.", contact, field, text.len,
                        most);
    }
    return LPX_SUCCESS;
}

static lpx_err check_contact(const Pb__V3__ContactInfoValue *value, const char *name, lpx_note *note)
{
    if (value == NULL || value->value == NULL) {
        return LPX_SUCCESS;
    }
    LPX_TRY(check_length(pb_str(value->value->name), MAPPER_CONTACT_MAX_CHARS, name, "name", note));
    LPX_TRY(check_length(pb_str(value->value->email), MAPPER_CONTACT_MAX_CHARS, name, "email", note));
    return check_length(pb_str(value->value->url), MAPPER_URL_MAX_CHARS, name, "url", note);
}

static lpx_err check_online(const Pb__Mapping__V2__UpdateGatewayRequest *in, lpx_note *note)
{
    enum { NANOS = 1000000000 };
    if (in->online == NULL || !in->online->value) {
        return LPX_SUCCESS;
    }
    const Google__Protobuf__Duration *ttl = in->online_ttl;
    if (ttl == NULL) {
        return lpx_fail(note, MAPPER_BAD_ONLINE, "online_ttl is missing; a gateway that is online needs it.");
    }
    bool positive = ttl->seconds >= 0 && ttl->nanos >= 0 && ttl->nanos < NANOS && (ttl->seconds > 0 || ttl->nanos > 0);
    bool short_enough =
        ttl->seconds < MAPPER_ONLINE_TTL_MAX_S || (ttl->seconds == MAPPER_ONLINE_TTL_MAX_S && ttl->nanos == 0);
    if (!positive || !short_enough) {
        return lpx_fail(note, MAPPER_BAD_ONLINE, "online_ttl is %lld s and %d ns; want more than 0 and at most %d s.",
                        (long long)ttl->seconds, (int)ttl->nanos, MAPPER_ONLINE_TTL_MAX_S);
    }
    return LPX_SUCCESS;
}

static lpx_err check_frequency_plan(const Pb__V3__GatewayFrequencyPlan *plan, lpx_note *note)
{
    if (plan == NULL) {
        return LPX_SUCCESS;
    }
    if (lw_region_name((uint32_t)plan->region) == NULL) {
        return lpx_fail(note, MAPPER_BAD_FREQUENCY_PLAN, "frequency_plan.region is %u, which is no region.",
                        (unsigned)plan->region);
    }
    if (plan->n_lora_multi_sf_channels > MAPPER_CHANNELS_MAX || plan->n_lora_single_sf_channels > MAPPER_CHANNELS_MAX) {
        return lpx_fail(note, MAPPER_BAD_FREQUENCY_PLAN, "frequency_plan has %zu and %zu channels; want at most %d.",
                        plan->n_lora_multi_sf_channels, plan->n_lora_single_sf_channels, MAPPER_CHANNELS_MAX);
    }
    for (size_t i = 0; i < plan->n_lora_single_sf_channels; i++) {
        uint32_t factor = plan->lora_single_sf_channels[i]->spreading_factor;
        if (factor < 5 || factor > 12) {
            return lpx_fail(note, MAPPER_BAD_FREQUENCY_PLAN,
                            "frequency_plan.lora_single_sf_channels[%zu].spreading_factor is %u; want 5 to 12.", i,
                            factor);
        }
    }
    return LPX_SUCCESS;
}

static lpx_err check_rate(const Google__Protobuf__FloatValue *rate, const char *field, lpx_note *note)
{
    if (rate != NULL && !(isfinite(rate->value) && rate->value >= 0)) {
        return lpx_fail(note, MAPPER_BAD_RATE, "%s is %g; want a number from 0.", field, (double)rate->value);
    }
    return LPX_SUCCESS;
}

lpx_err mapper_update_check(const Pb__Mapping__V2__UpdateGatewayRequest *request, mapper_update *out, lpx_note *note)
{
    mapper_update update = {.request = request,
                            .forwarder = {.net_id = request->forwarder_net_id,
                                          .tenant_id = pb_str(request->forwarder_tenant_id),
                                          .cluster_id = pb_str(request->forwarder_cluster_id)}};
    LPX_TRY(check_forwarder(&update.forwarder, note));
    LPX_TRY(check_identity(request->forwarder_gateway_id, &update, note));
    if (request->gateway_location != NULL) {
        LPX_TRY(check_location(request->gateway_location->location, note));
    }
    LPX_TRY(check_contact(request->administrative_contact, "administrative_contact", note));
    LPX_TRY(check_contact(request->technical_contact, "technical_contact", note));
    LPX_TRY(check_online(request, note));
    LPX_TRY(check_frequency_plan(request->frequency_plan, note));
    LPX_TRY(check_rate(request->rx_rate, "rx_rate", note));
    LPX_TRY(check_rate(request->tx_rate, "tx_rate", note));
    *out = update;
    return LPX_SUCCESS;
}

/* ---- over what is stored ---- */

void mapper_update_merge(const mapper_update *update, lpx_utc now, Pb__V3__Gateway *stored, lpx_utc *online_until)
{
    const Pb__Mapping__V2__UpdateGatewayRequest *in = update->request;
    stored->net_id = in->forwarder_net_id;
    stored->tenant_id = in->forwarder_tenant_id;
    stored->cluster_id = in->forwarder_cluster_id;
    stored->gateway_id = in->forwarder_gateway_id;
    stored->location = in->gateway_location != NULL ? in->gateway_location->location : stored->location;
    stored->administrative_contact =
        in->administrative_contact != NULL ? in->administrative_contact->value : stored->administrative_contact;
    stored->technical_contact =
        in->technical_contact != NULL ? in->technical_contact->value : stored->technical_contact;
    stored->frequency_plan = in->frequency_plan != NULL ? in->frequency_plan : stored->frequency_plan;
    stored->rx_rate = in->rx_rate != NULL ? in->rx_rate : stored->rx_rate;
    stored->tx_rate = in->tx_rate != NULL ? in->tx_rate : stored->tx_rate;
    if (in->online == NULL) {
        return;
    }
    stored->online = in->online;
    *online_until = in->online->value
                        ? (lpx_utc){now.us + in->online_ttl->seconds * 1000000 + in->online_ttl->nanos / 1000}
                        : (lpx_utc){0};
}

/* ---- as lists show it ---- */

static void fill_place(const Pb__V3__Location *place, mapper_row *row)
{
    if (place != NULL) {
        row->known |= MAPPER_HAS_LOCATION;
        row->latitude = place->latitude;
        row->longitude = place->longitude;
        row->altitude_m = place->altitude;
        row->accuracy_m = place->accuracy;
    }
}

static void fill_terrestrial(const Pb__V3__GatewayLocation__Terrestrial *t, mapper_row *row)
{
    row->known |= MAPPER_IS_TERRESTRIAL;
    row->placement = (uint8_t)t->antenna_placement;
    if (t->antenna_count != NULL && t->antenna_count->value > 0) {
        row->known |= MAPPER_HAS_COUNT;
        row->antenna_count = (uint8_t)t->antenna_count->value;
    }
    if (t->fine_timestamps != NULL) {
        row->known |= MAPPER_HAS_TIMESTAMPS | (t->fine_timestamps->value ? (unsigned)MAPPER_FINE_TIMESTAMPS : 0);
    }
    fill_place(t->location, row);
}

void mapper_row_fill(const Pb__V3__Gateway *gateway, mapper_row *row)
{
    const Pb__V3__GatewayLocation *location = gateway->location;
    if (gateway->online != NULL) {
        row->known |= MAPPER_HAS_STATUS;
    }
    if (location == NULL) {
        return;
    }
    if (location->value_case == PB__V3__GATEWAY_LOCATION__VALUE_TERRESTRIAL) {
        fill_terrestrial(location->terrestrial, row);
    } else if (location->value_case == PB__V3__GATEWAY_LOCATION__VALUE_SATELLITE) {
        fill_place(location->satellite->location, row);
    }
}
