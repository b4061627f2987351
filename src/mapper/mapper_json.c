#include "mapper/mapper_json.h"

#include <math.h>

#include "base/text.h"
#include "codec/json/json.h"
#include "codec/pb/pb.h"
#include "lorawan/ids.h"
#include "lorawan/region.h"

static void write_text(json_writer *w, const char *key, lpx_str value)
{
    if (value.len > 0) {
        json_write_member(w, key, value);
    }
}

static void write_bool(json_writer *w, const char *key, bool value)
{
    json_write_key(w, lpx_str_of(key));
    json_write_bool(w, value);
}

static void write_time(json_writer *w, const char *key, lpx_utc time)
{
    char text[LPX_UTC_TEXT_BYTES];
    json_write_member(w, key, (lpx_str){text, lpx_utc_format(time, text)});
}

static void write_frequency(json_writer *w, const char *key, uint64_t hz)
{
    json_write_key(w, lpx_str_of(key));
    json_write_uint(w, hz);
}

static void write_identity(json_writer *w, const mapper_row *row)
{
    char net_id[LW_NETID_TEXT_BYTES];
    char eui[LW_EUI64_TEXT_BYTES];
    lw_netid_format((lw_netid){row->forwarder.net_id}, net_id);
    json_write_member(w, "netID", lpx_str_of(net_id));
    write_text(w, "tenantID", row->forwarder.tenant_id);
    json_write_member(w, "id", row->key);
    if ((row->known & MAPPER_HAS_EUI) != 0) {
        lw_eui64_format((lw_eui64){row->eui}, eui);
        json_write_member(w, "eui", lpx_str_of(eui));
    }
    write_text(w, "clusterID", row->forwarder.cluster_id);
    write_time(w, "updatedAt", row->updated_at);
}

/* A number; quickly when it has at most seven decimals, as positions mostly do. Such a number of at most 15 digits is
 * its own shortest text, and scaled / SCALE is the double nearest to it. */
static void write_number(json_writer *w, double value)
{
    enum { SCALE = 10000000, DECIMALS = 7, ROOM = 24 };
    char text[ROOM];
    char *at = text + ROOM;
    double scaled = rint(fabs(value) * SCALE);
    if (!(scaled < 1e15) || scaled / SCALE != fabs(value)) {
        json_write_double(w, value);
        return;
    }
    uint64_t rest = (uint64_t)scaled;
    bool fraction = false;
    for (unsigned i = 0; i < DECIMALS; i++, rest /= 10) {
        fraction = fraction || rest % 10 != 0;
        if (fraction) {
            *--at = (char)('0' + rest % 10);
        }
    }
    if (fraction) {
        *--at = '.';
    }
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--at = '-';
    }
    json_write_raw(w, (lpx_str){at, (size_t)(text + ROOM - at)});
}

static void write_location(json_writer *w, const mapper_row *row)
{
    json_write_key(w, LPX_STR("location"));
    json_write_object(w);
    json_write_key(w, LPX_STR("latitude"));
    write_number(w, row->latitude);
    json_write_key(w, LPX_STR("longitude"));
    write_number(w, row->longitude);
    json_write_key(w, LPX_STR("altitude"));
    write_number(w, row->altitude_m);
    json_write_key(w, LPX_STR("accuracy"));
    if (row->accuracy_m == truncf(row->accuracy_m)) {
        write_number(w, (double)row->accuracy_m);
    } else {
        json_write_float(w, row->accuracy_m);
    }
    json_write_object_end(w);
}

/* Is there something of this kind, and may it be shown? */
static bool shows(const mapper_row *row, uint32_t known, uint32_t parts, uint32_t part)
{
    return (row->known & known) != 0 && (parts & part) != 0;
}

static void write_row(json_writer *w, const mapper_row *row, uint32_t parts, lpx_utc now)
{
    static const char *const placements[] = {"UNKNOWN_PLACEMENT", "INDOOR", "OUTDOOR"};
    write_identity(w, row);
    if (shows(row, MAPPER_HAS_LOCATION, parts, MAPPER_SEE_LOCATION)) {
        write_location(w, row);
    }
    if (shows(row, MAPPER_IS_TERRESTRIAL, parts, MAPPER_SEE_PLACEMENT)) {
        json_write_member(w, "antennaPlacement", lpx_str_of(placements[row->placement % 3]));
    }
    if (shows(row, MAPPER_HAS_COUNT, parts, MAPPER_SEE_COUNT)) {
        json_write_member_int(w, "antennaCount", row->antenna_count);
    }
    if (shows(row, MAPPER_HAS_TIMESTAMPS, parts, MAPPER_SEE_TIMESTAMPS)) {
        write_bool(w, "fineTimestamps", (row->known & MAPPER_FINE_TIMESTAMPS) != 0);
    }
    if (shows(row, MAPPER_HAS_STATUS, parts, MAPPER_SEE_STATUS)) {
        write_bool(w, "online", mapper_row_online(row, now));
    }
}

void mapper_json_row(lpx_buf *out, const mapper_row *row, uint32_t parts, lpx_utc now)
{
    json_writer w;
    json_writer_init(&w, out, 0);
    json_write_object(&w);
    write_row(&w, row, parts, now);
    json_write_object_end(&w);
}

static void write_contact(json_writer *w, const char *key, const Pb__V3__ContactInfo *contact)
{
    if (contact == NULL) {
        return;
    }
    json_write_key(w, lpx_str_of(key));
    json_write_object(w);
    write_text(w, "name", pb_str(contact->name));
    write_text(w, "email", pb_str(contact->email));
    write_text(w, "url", pb_str(contact->url));
    json_write_object_end(w);
}

static void write_single_sf(json_writer *w, const Pb__V3__GatewayFrequencyPlan__LoRaSingleSFChannel *channel)
{
    json_write_object(w);
    write_frequency(w, "frequency", channel->frequency);
    json_write_member_int(w, "spreadingFactor", channel->spreading_factor);
    json_write_member_int(w, "bandwidth", channel->bandwidth);
    json_write_object_end(w);
}

static void write_plan(json_writer *w, const Pb__V3__GatewayFrequencyPlan *plan)
{
    const char *region = lw_region_name((uint32_t)plan->region);
    json_write_key(w, LPX_STR("frequencyPlan"));
    json_write_object(w);
    json_write_member(w, "region", lpx_str_of(region != NULL ? region : lw_region_name(LW_REGION_UNKNOWN)));
    json_write_key(w, LPX_STR("loraMultiSFChannels"));
    json_write_array(w);
    for (size_t i = 0; i < plan->n_lora_multi_sf_channels; i++) {
        json_write_uint(w, plan->lora_multi_sf_channels[i]->frequency);
    }
    json_write_array_end(w);
    json_write_key(w, LPX_STR("loraSingleSFChannels"));
    json_write_array(w);
    for (size_t i = 0; i < plan->n_lora_single_sf_channels; i++) {
        write_single_sf(w, plan->lora_single_sf_channels[i]);
    }
    json_write_array_end(w);
    if (plan->fsk_channel != NULL) {
        write_frequency(w, "fskChannel", plan->fsk_channel->frequency);
    }
    json_write_object_end(w);
}

static void write_rate(json_writer *w, const char *key, const Google__Protobuf__FloatValue *rate)
{
    if (rate != NULL) {
        json_write_key(w, lpx_str_of(key));
        json_write_float(w, rate->value);
    }
}

void mapper_json_details(lpx_buf *out, const mapper_row *row, const Pb__V3__Gateway *gateway, uint32_t parts,
                         lpx_utc now)
{
    json_writer w;
    json_writer_init(&w, out, 0);
    json_write_object(&w);
    write_row(&w, row, parts, now);
    if ((parts & MAPPER_SEE_CONTACTS) != 0) {
        write_contact(&w, "administrativeContact", gateway->administrative_contact);
        write_contact(&w, "technicalContact", gateway->technical_contact);
    }
    if ((parts & MAPPER_SEE_FREQUENCY_PLAN) != 0 && gateway->frequency_plan != NULL) {
        write_plan(&w, gateway->frequency_plan);
    }
    if ((parts & MAPPER_SEE_RATES) != 0) {
        write_rate(&w, "rxRate", gateway->rx_rate);
        write_rate(&w, "txRate", gateway->tx_rate);
    }
    json_write_object_end(&w);
}
