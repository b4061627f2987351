/* What forwarders tell: checks, keys, what an update leaves as it is; and the parameters of the REST API. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/test_random.h"
#include "codec/json/json.h"
#include "lpx_reasons.h"
#include "mapper/mapper_json.h"
#include "mapper/mapper_params.h"
#include "mapper/mapper_update_core.h"

#define assert_reason(err, want) assert_string_equal(lpx_reason_name((err).reason), #want)
#define assert_ok(err) assert_string_equal(lpx_reason_name((err).reason), "NONE")

/* A request with room for all its parts; all of them are in it. */
typedef struct parts {
    Pb__Mapping__V2__UpdateGatewayRequest request;
    Pb__V3__GatewayIdentifier id;
    Google__Protobuf__UInt64Value eui;
    Pb__V3__GatewayLocationValue location_value;
    Pb__V3__GatewayLocation location;
    Pb__V3__GatewayLocation__Terrestrial terrestrial;
    Pb__V3__GatewayLocation__Satellite satellite;
    Pb__V3__Location place;
    Google__Protobuf__UInt32Value count;
    Google__Protobuf__BoolValue fine, online;
    Pb__V3__ContactInfoValue contact_value;
    Pb__V3__ContactInfo contact;
    Google__Protobuf__Duration ttl;
    Pb__V3__GatewayFrequencyPlan plan;
    Pb__V3__GatewayFrequencyPlan__LoRaMultiSFChannel multi;
    Pb__V3__GatewayFrequencyPlan__LoRaMultiSFChannel *multis[1];
    Pb__V3__GatewayFrequencyPlan__LoRaSingleSFChannel single;
    Pb__V3__GatewayFrequencyPlan__LoRaSingleSFChannel *singles[1];
    Pb__V3__GatewayFrequencyPlan__FSKChannel fsk;
    Google__Protobuf__FloatValue rx, tx;
    char tenant[8], cluster[8], plain[MAPPER_ID_MAX_CHARS + 8], text[MAPPER_URL_MAX_CHARS + 8];
} parts;

static void init_messages(parts *p)
{
    pb__mapping__v2__update_gateway_request__init(&p->request);
    pb__v3__gateway_identifier__init(&p->id);
    google__protobuf__uint64_value__init(&p->eui);
    pb__v3__gateway_location_value__init(&p->location_value);
    pb__v3__gateway_location__init(&p->location);
    pb__v3__gateway_location__terrestrial__init(&p->terrestrial);
    pb__v3__gateway_location__satellite__init(&p->satellite);
    pb__v3__location__init(&p->place);
    google__protobuf__uint32_value__init(&p->count);
    google__protobuf__bool_value__init(&p->fine);
    google__protobuf__bool_value__init(&p->online);
    pb__v3__contact_info_value__init(&p->contact_value);
    pb__v3__contact_info__init(&p->contact);
    google__protobuf__duration__init(&p->ttl);
    pb__v3__gateway_frequency_plan__init(&p->plan);
    pb__v3__gateway_frequency_plan__lo_ra_multi_sfchannel__init(&p->multi);
    pb__v3__gateway_frequency_plan__lo_ra_single_sfchannel__init(&p->single);
    pb__v3__gateway_frequency_plan__fskchannel__init(&p->fsk);
    google__protobuf__float_value__init(&p->rx);
    google__protobuf__float_value__init(&p->tx);
}

static void join_messages(parts *p)
{
    p->request.forwarder_tenant_id = p->tenant;
    p->request.forwarder_cluster_id = p->cluster;
    p->request.forwarder_gateway_id = &p->id;
    p->request.gateway_location = &p->location_value;
    p->request.administrative_contact = &p->contact_value;
    p->request.online = &p->online;
    p->request.online_ttl = &p->ttl;
    p->request.frequency_plan = &p->plan;
    p->request.rx_rate = &p->rx;
    p->request.tx_rate = &p->tx;
    p->id.eui = &p->eui;
    p->id.id_case = PB__V3__GATEWAY_IDENTIFIER__ID_PLAIN;
    p->id.plain = p->plain;
    p->location_value.location = &p->location;
    p->location.value_case = PB__V3__GATEWAY_LOCATION__VALUE_TERRESTRIAL;
    p->location.terrestrial = &p->terrestrial;
    p->terrestrial.location = p->satellite.location = &p->place;
    p->terrestrial.antenna_count = &p->count;
    p->terrestrial.fine_timestamps = &p->fine;
    p->contact_value.value = &p->contact;
    p->contact.email = p->text;
    p->multis[0] = &p->multi;
    p->singles[0] = &p->single;
    p->plan.lora_multi_sf_channels = p->multis;
    p->plan.lora_single_sf_channels = p->singles;
    p->plan.n_lora_multi_sf_channels = p->plan.n_lora_single_sf_channels = 1;
    p->plan.fsk_channel = &p->fsk;
}

static parts *make(void)
{
    parts *p = calloc(1, sizeof *p);
    assert_non_null(p);
    init_messages(p);
    join_messages(p);
    (void)snprintf(p->tenant, sizeof p->tenant, "ttn");
    (void)snprintf(p->cluster, sizeof p->cluster, "eu1");
    (void)snprintf(p->plain, sizeof p->plain, "tti-hq");
    (void)snprintf(p->text, sizeof p->text, "a@example.com");
    p->request.forwarder_net_id = 0x13;
    p->eui.value = UINT64_C(0x58a0cbfffe800001);
    p->place.latitude = 52.5;
    p->place.longitude = 4.25;
    p->place.accuracy = 3;
    p->count.value = 2;
    p->terrestrial.antenna_placement = PB__V3__TERRESTRIAL_ANTENNA_PLACEMENT__OUTDOOR;
    p->online.value = 1;
    p->ttl.seconds = 600;
    p->plan.region = PB__V3__REGION__EU_863_870;
    p->multi.frequency = 868100000;
    p->single = (Pb__V3__GatewayFrequencyPlan__LoRaSingleSFChannel){p->single.base, 868300000, 7, 250000};
    p->fsk.frequency = 868800000;
    p->rx.value = 12.5F;
    return p;
}

static lpx_err check(parts *p, mapper_update *out, lpx_note *note)
{
    note->text[0] = '\0';
    return mapper_update_check(&p->request, out, note);
}

static void keys(void **state)
{
    (void)state;
    mapper_update update;
    lpx_note note;
    parts *p = make();
    assert_ok(check(p, &update, &note));
    assert_string_equal(update.key, "tti-hq");
    assert_true(update.has_eui);
    uint8_t hash[MAPPER_HASH_BYTES] = {0xab, 0x01};
    p->id.id_case = PB__V3__GATEWAY_IDENTIFIER__ID_HASH;
    p->id.hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
    assert_ok(check(p, &update, &note));
    assert_string_equal(update.key, "hash:ab01000000000000000000000000000000000000000000000000000000000000");
    assert_int_equal(mapper_key_kind_of(lpx_str_of(update.key)), MAPPER_KEY_HASH);
    p->id.hash.len = 31;
    assert_reason(check(p, &update, &note), MAPPER_BAD_GATEWAY_ID);
    p->id.id_case = PB__V3__GATEWAY_IDENTIFIER__ID__NOT_SET;
    assert_ok(check(p, &update, &note));
    assert_string_equal(update.key, "eui-58a0cbfffe800001");
    assert_int_equal(mapper_key_kind_of(lpx_str_of(update.key)), MAPPER_KEY_EUI);
    assert_int_equal(mapper_key_kind_of(LPX_STR("eui-58a0cbfffe80000")), MAPPER_KEY_PLAIN);
    p->id.eui = NULL;
    assert_reason(check(p, &update, &note), MAPPER_BAD_GATEWAY_ID);
    p->request.forwarder_gateway_id = NULL;
    assert_reason(check(p, &update, &note), MAPPER_FIELD_MISSING);
    free(p);
}

/* One fault at a time; the sentence must name the field. */
#define REFUSE(change, want, word)                     \
    do {                                               \
        parts *p = make();                             \
        mapper_update update;                          \
        lpx_note note;                                 \
        change;                                        \
        assert_reason(check(p, &update, &note), want); \
        assert_non_null(strstr(note.text, word));      \
        free(p);                                       \
    } while (0)

static void refusals(void **state)
{
    (void)state;
    REFUSE(p->request.forwarder_net_id = 1 << 24, LW_NETID_INVALID, "forwarder_net_id");
    REFUSE(p->tenant[0] = '_', LW_TENANT_ID_INVALID, "forwarder_tenant_id");
    REFUSE(p->cluster[0] = '_', LW_CLUSTER_ID_INVALID, "forwarder_cluster_id");
    REFUSE(p->plain[0] = '\0', MAPPER_BAD_GATEWAY_ID, "plain");
    REFUSE(p->plain[1] = ' ', MAPPER_BAD_GATEWAY_ID, "plain");
    REFUSE(memcpy(p->plain, "hash:x", 7), MAPPER_BAD_GATEWAY_ID, "plain");
    REFUSE(memset(p->plain, 'a', MAPPER_ID_MAX_CHARS + 1), MAPPER_BAD_GATEWAY_ID, "plain");
    REFUSE(p->place.latitude = 90.001, MAPPER_BAD_LOCATION, "latitude");
    REFUSE(p->place.latitude = (double)NAN, MAPPER_BAD_LOCATION, "latitude");
    REFUSE(p->place.longitude = -180.001, MAPPER_BAD_LOCATION, "longitude");
    REFUSE(p->place.longitude = (double)INFINITY, MAPPER_BAD_LOCATION, "longitude");
    REFUSE(p->place.altitude = -20001, MAPPER_BAD_LOCATION, "altitude");
    REFUSE(p->place.accuracy = -1, MAPPER_BAD_LOCATION, "accuracy");
    REFUSE(p->count.value = 256, MAPPER_BAD_ANTENNAS, "antenna_count");
    REFUSE(p->terrestrial.antenna_placement = 3, MAPPER_BAD_ANTENNAS, "antenna_placement");
    REFUSE(memset(p->text, 'a', MAPPER_CONTACT_MAX_CHARS + 1), MAPPER_BAD_CONTACT, "administrative_contact.email");
    REFUSE(p->request.online_ttl = NULL, MAPPER_BAD_ONLINE, "online_ttl");
    REFUSE(p->ttl.seconds = 0, MAPPER_BAD_ONLINE, "online_ttl");
    REFUSE(p->ttl.seconds = MAPPER_ONLINE_TTL_MAX_S + 1, MAPPER_BAD_ONLINE, "online_ttl");
    REFUSE(p->ttl.seconds = INT64_MAX, MAPPER_BAD_ONLINE, "online_ttl");
    REFUSE(p->ttl.nanos = -1, MAPPER_BAD_ONLINE, "online_ttl");
    REFUSE(p->plan.region = 11, MAPPER_BAD_FREQUENCY_PLAN, "region");
    REFUSE(p->single.spreading_factor = 13, MAPPER_BAD_FREQUENCY_PLAN, "spreading_factor");
    REFUSE(p->single.spreading_factor = 4, MAPPER_BAD_FREQUENCY_PLAN, "spreading_factor");
    REFUSE(p->plan.n_lora_multi_sf_channels = MAPPER_CHANNELS_MAX + 1, MAPPER_BAD_FREQUENCY_PLAN, "channels");
    REFUSE(p->rx.value = -1, MAPPER_BAD_RATE, "rx_rate");
    REFUSE(p->tx.value = NAN, MAPPER_BAD_RATE, "tx_rate");
}

static void satellites(void **state)
{
    (void)state;
    mapper_update update;
    lpx_note note;
    parts *p = make();
    p->location.value_case = PB__V3__GATEWAY_LOCATION__VALUE_SATELLITE;
    p->location.satellite = &p->satellite;
    p->satellite.field_of_view = 40;
    assert_ok(check(p, &update, &note));
    p->satellite.field_of_view = 361;
    assert_reason(check(p, &update, &note), MAPPER_BAD_LOCATION);
    p->satellite.field_of_view = 0;
    p->satellite.n_trajectory = MAPPER_TRAJECTORY_MAX + 1;
    assert_reason(check(p, &update, &note), MAPPER_BAD_LOCATION);
    Pb__V3__TimedLocation point;
    Pb__V3__TimedLocation *trajectory[] = {&point};
    Google__Protobuf__Timestamp time;
    pb__v3__timed_location__init(&point);
    google__protobuf__timestamp__init(&time);
    p->satellite.n_trajectory = 1;
    p->satellite.trajectory = trajectory;
    point.location = &p->place;
    assert_reason(check(p, &update, &note), MAPPER_BAD_LOCATION); /* no time */
    point.time = &time;
    assert_ok(check(p, &update, &note));
    free(p);
}

/* The Things Stack's sequence: connect, periodic, location not public, status not public. */
static void merges(void **state)
{
    (void)state;
    mapper_update update;
    lpx_note note;
    lpx_utc until = {0};
    Pb__V3__Gateway stored;
    parts *p = make();
    pb__v3__gateway__init(&stored);
    assert_ok(check(p, &update, &note));
    mapper_update_merge(&update, (lpx_utc){1000}, &stored, &until);
    assert_int_equal(until.us, 600001000);
    mapper_row row = {.known = 0};
    mapper_row_fill(&stored, &row);
    assert_int_equal(row.known, MAPPER_HAS_LOCATION | MAPPER_IS_TERRESTRIAL | MAPPER_HAS_COUNT | MAPPER_HAS_TIMESTAMPS |
                                    MAPPER_HAS_STATUS);
    p->request.gateway_location = NULL;
    p->request.administrative_contact = NULL;
    p->request.frequency_plan = NULL;
    p->request.online = NULL;
    assert_ok(check(p, &update, &note));
    mapper_update_merge(&update, (lpx_utc){2000}, &stored, &until);
    assert_int_equal(until.us, 600001000);
    assert_ptr_equal(stored.location, &p->location);
    assert_ptr_equal(stored.administrative_contact, &p->contact);
    assert_ptr_equal(stored.frequency_plan, &p->plan);
    p->request.gateway_location = &p->location_value;
    p->terrestrial.location = NULL;
    p->count.value = 0;
    p->request.administrative_contact = &p->contact_value;
    p->contact_value.value = NULL;
    p->request.online = &p->online;
    p->online.value = 0;
    p->request.online_ttl = NULL;
    assert_ok(check(p, &update, &note));
    mapper_update_merge(&update, (lpx_utc){3000}, &stored, &until);
    assert_int_equal(until.us, 0);
    assert_null(stored.administrative_contact);
    row = (mapper_row){.known = 0};
    mapper_row_fill(&stored, &row);
    assert_int_equal(row.known & (MAPPER_HAS_LOCATION | MAPPER_HAS_COUNT), 0);
    p->location_value.location = NULL;
    assert_ok(check(p, &update, &note));
    mapper_update_merge(&update, (lpx_utc){4000}, &stored, &until);
    assert_null(stored.location);
    free(p);
}

/* ---- JSON ---- */

static void shown_parts(void **state)
{
    (void)state;
    static const mapper_row row = {.forwarder = {0x13, {"ttn", 3}, {"eu1", 3}},
                                   .key = {"a\"b", 3},
                                   .eui = 0x1f,
                                   .latitude = 52.5,
                                   .accuracy_m = 0.1F,
                                   .known = 0xff & ~MAPPER_GONE,
                                   .placement = 1,
                                   .antenna_count = 2,
                                   .online_until = {50},
                                   .updated_at = {INT64_C(1651676135526350)}};
    lpx_buf out;
    lpx_buf_init(&out, 4096);
    mapper_json_row(&out, &row, MAPPER_SEE_ALL, (lpx_utc){49});
    lpx_buf_add(&out, lpx_bytes_of("", 1));
    assert_string_equal(
        (const char *)out.ptr,
        "{\"netID\":\"000013\",\"tenantID\":\"ttn\",\"id\":\"a\\\"b\",\"eui\":\"000000000000001F\","
        "\"clusterID\":\"eu1\",\"updatedAt\":\"2022-05-04T14:55:35.52635Z\",\"location\":{\"latitude\":52.5,"
        "\"longitude\":0,\"altitude\":0,\"accuracy\":0.1},\"antennaPlacement\":\"INDOOR\","
        "\"antennaCount\":2,\"fineTimestamps\":true,\"online\":true}");
    static const struct {
        uint32_t part;
        const char *word;
    } hidden[] = {{MAPPER_SEE_LOCATION, "location"},
                  {MAPPER_SEE_PLACEMENT, "antennaPlacement"},
                  {MAPPER_SEE_COUNT, "antennaCount"},
                  {MAPPER_SEE_TIMESTAMPS, "fineTimestamps"},
                  {MAPPER_SEE_STATUS, "online"}};
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        for (unsigned only = 0; only < 2; only++) {
            lpx_buf_clear(&out);
            mapper_json_row(&out, &row, only ? hidden[i].part : MAPPER_SEE_ALL & ~hidden[i].part, (lpx_utc){50});
            lpx_buf_add(&out, lpx_bytes_of("", 1));
            assert_int_equal(strstr((const char *)out.ptr, hidden[i].word) != NULL, only);
        }
    }
    lpx_buf_fini(&out);
}

/* Numbers as the shortest text that reads back equal, whichever way they are written. */
static void numbers(void **state)
{
    (void)state;
    test_random random = test_random_begin("mapper_numbers");
    lpx_buf out;
    lpx_buf want;
    lpx_buf_init(&out, 4096);
    lpx_buf_init(&want, 4096);
    for (unsigned i = 0; i < 100000; i++) {
        double power = pow(10, (double)test_random_below(&random, 18));
        double value = ((double)test_random_next(&random) / 1.8446744073709552e19 - 0.5) * 360;
        value = i % 3 == 0 ? value : rint(value * power) / power;
        value = i % 1000 == 0 ? (double)((int64_t)i - 50000) * 1000 : value;
        mapper_row row = {.key = {"k", 1}, .latitude = value, .known = MAPPER_HAS_LOCATION};
        json_writer w;
        lpx_buf_clear(&out);
        lpx_buf_clear(&want);
        mapper_json_row(&out, &row, MAPPER_SEE_LOCATION, (lpx_utc){0});
        lpx_buf_add(&out, lpx_bytes_of("", 1));
        json_writer_init(&w, &want, 0);
        lpx_buf_add_str(&want, LPX_STR("\"latitude\":"));
        json_write_double(&w, value == 0 ? 0 : value);
        lpx_buf_add(&want, lpx_bytes_of(",", 2));
        if (strstr((const char *)out.ptr, (const char *)want.ptr) == NULL) {
            fail_msg("%.17g: %s, not %s", value, (const char *)out.ptr, (const char *)want.ptr);
        }
    }
    lpx_buf_fini(&out);
    lpx_buf_fini(&want);
}

/* ---- parameters ---- */

static lpx_err list_of(const char *text, lpx_arena *arena, mapper_query *out, lpx_note *note)
{
    note->text[0] = '\0';
    return mapper_params_list(lpx_str_of(text), arena, out, note);
}

static void good_lists(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_note note;
    mapper_query q;
    lpx_arena_init(&arena, 1 << 20);
    assert_ok(list_of("", &arena, &q, &note));
    assert_true(!q.has_near && !q.has_since && !q.has_online && !q.has_forwarder && !q.has_home);
    assert_true(q.offset == 0 && q.limit == UINT64_MAX);
    assert_ok(list_of("distanceWithin%5Blatitude%5D=52.5&distanceWithin[longitude]=-4e0&distanceWithin[distance]=100"
                      "&offset=3&limit=0&updatedSince=2026-01-02T03%3A04%3A05.5Z&online=true&netID=c00013&tenantID=ttn"
                      "&clusterID=eu1.example&homeNetworkNetID=000042&homeNetworkTenantID=",
                      &arena, &q, &note));
    assert_true(q.has_near && q.near.latitude == 52.5 && q.near.longitude == -4);
    assert_true(q.offset == 3 && q.limit == 0 && q.has_since && q.has_online && q.online);
    assert_int_equal(q.since.us % 1000000, 500000);
    assert_true(q.has_forwarder && q.has_tenant && q.has_cluster && q.forwarder.net_id == 0xc00013);
    assert_true(lpx_str_is(q.forwarder.tenant_id, "ttn") && lpx_str_is(q.forwarder.cluster_id, "eu1.example"));
    assert_true(q.has_home && q.home.net_id == 0x42 && q.home.tenant_id.len == 0);
    assert_ok(list_of("netID=000013&online=false&", &arena, &q, &note));
    assert_true(q.has_forwarder && !q.has_tenant && !q.has_cluster && q.has_online && !q.online);
    lpx_arena_fini(&arena);
}

static void bad_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"distanceWithin[latitude]=1", "distanceWithin[longitude]"},
        {"distanceWithin[latitude]=91&distanceWithin[longitude]=0&distanceWithin[distance]=1", "latitude"},
        {"distanceWithin[latitude]=nan&distanceWithin[longitude]=0&distanceWithin[distance]=1", "latitude"},
        {"distanceWithin[latitude]=0&distanceWithin[longitude]=181&distanceWithin[distance]=1", "longitude"},
        {"distanceWithin[latitude]=0&distanceWithin[longitude]=0&distanceWithin[distance]=-1", "distance"},
        {"distanceWithin[latitude]=0&distanceWithin[longitude]=0&distanceWithin[distance]=1e999", "distance"},
        {"distanceWithin[latitude]=&distanceWithin[longitude]=0&distanceWithin[distance]=1", "latitude"},
        {"distanceWithin[lat]=1", "distanceWithin[lat]"},
        {"offset=-1", "offset"},
        {"offset=1.5", "offset"},
        {"limit=x", "limit"},
        {"limit=99999999999999999999", "limit"},
        {"limit=1&limit=2", "limit"},
        {"updatedSince=yesterday", "updatedSince"},
        {"updatedSince=2026-01-02T03:04:05+01:00", "updatedSince"}, /* the plus is a blank */
        {"online=1", "online"},
        {"online", "online"},
        {"tenantID=ttn", "netID"},
        {"netID=13", "netID"},
        {"netID=000013&tenantID=A", "tenantID"},
        {"netID=000013&clusterID=_", "clusterID"},
        {"homeNetworkTenantID=ttn", "homeNetworkNetID"},
        {"homeNetworkNetID=00001g", "homeNetworkNetID"},
        {"limti=1", "did you mean limit"},
        {"id=1", "id"},
        {"offset=%4", "offset"},
        {"offset=%ff", "UTF-8"},
        {"%ff=1", "UTF-8"},
    };
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lpx_note note;
        mapper_query q;
        lpx_err err = list_of(bad[i].text, &arena, &q, &note);
        if (err.code != LPX_INVALID_ARGUMENT || strstr(note.text, bad[i].word) == NULL) {
            fail_msg("%s: %s \"%s\"", bad[i].text, lpx_reason_name(err.reason), note.text);
        }
    }
    lpx_arena_fini(&arena);
}

static void gateway_ids(void **state)
{
    (void)state;
    static const char *const good[] = {"netID=000013,tenantID=ttn,id=tti-hq", "id=tti-hq,netID=000013,tenantID=ttn",
                                       "netID%3D000013%2CtenantID%3Dttn%2Cid%3Dtti-hq",
                                       "netID=000013,tenantID=t%74n,id=%74ti-hq"};
    static const char *const bad[] = {"",
                                      "tti-hq",
                                      "netID=000013,tenantID=ttn",
                                      "id=tti-hq",
                                      "netID=000013,id=",
                                      "netID=000013,id=a,id=b",
                                      "netID=000013,clusterID=eu1,id=a",
                                      "netID=000013,id=%",
                                      "netID%3D000013%2",
                                      "netID=0000013,id=a"};
    lpx_arena arena;
    lpx_note note;
    mapper_gateway_id id;
    lpx_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(mapper_params_id(lpx_str_of(good[i]), &arena, &id, &note));
        assert_true(id.forwarder.net_id == 0x13 && lpx_str_is(id.forwarder.tenant_id, "ttn"));
        assert_true(lpx_str_is(id.key, "tti-hq"));
    }
    assert_ok(mapper_params_id(LPX_STR("netID=000013,id=a%2Cb%3D+"), &arena, &id, &note));
    assert_true(id.forwarder.tenant_id.len == 0 && lpx_str_is(id.key, "a,b=+"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        note.text[0] = '\0';
        assert_int_equal(mapper_params_id(lpx_str_of(bad[i]), &arena, &id, &note).code, LPX_INVALID_ARGUMENT);
        assert_true(note.text[0] != '\0');
    }
    lpx_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),       cmocka_unit_test(refusals),    cmocka_unit_test(satellites),
        cmocka_unit_test(merges),     cmocka_unit_test(shown_parts), cmocka_unit_test(numbers),
        cmocka_unit_test(good_lists), cmocka_unit_test(bad_lists),   cmocka_unit_test(gateway_ids),
    };
    return cmocka_run_group_tests_name("mapper_update", tests, NULL, NULL);
}
