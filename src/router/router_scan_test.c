/* Requests read in place against requests decoded: random ones of the common form, random ones with all that protobuf
 * allows and forbids, and those heard on the air. LPX_SCAN_CASES sets how many; a failure aborts, and LPX_TEST_SEED
 * with the seed that is printed repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/buf.h"
#include "base/test_random.h"
#include "base/text.h"
#include "codec/pb/pb.h"
#include "router/limits.h"
#include "router/router_scan_oracle_test.h"

enum { CASES = 200000, RUNS = 16, MESSAGE_BYTES = 1 << 20, BASE64_BYTES = 512 };

static router_scanner *scanner;

static int setup(void **state)
{
    (void)state;
    scanner = router_scanner_new();
    return scanner != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    router_scanner_free(&scanner);
    return 0;
}

static unsigned case_count(void)
{
    const char *text = getenv("LPX_SCAN_CASES");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : CASES;
}

/* ---- random messages ---- */

/* A message is written field by field; one in odd of the choices is one that a client would not make. 0: none. */
typedef struct generator {
    test_random random;
    unsigned odd;
} generator;

static bool one_in(generator *g, unsigned n)
{
    return test_random_below(&g->random, n) == 0;
}

static bool is_odd(generator *g)
{
    return g->odd > 0 && one_in(g, g->odd);
}

static void put_varint(generator *g, uint64_t v, lpx_buf *out)
{
    uint8_t bytes[12];
    size_t len = 0;
    for (; v >= 0x80; v >>= 7) {
        bytes[len++] = (uint8_t)(v | 0x80);
    }
    bytes[len++] = (uint8_t)v;
    if (is_odd(g)) { /* longer than it needs to be, at times than it may */
        for (uint64_t more = 1 + test_random_below(&g->random, 3); more > 0 && len < sizeof bytes - 1; more--) {
            bytes[len - 1] |= 0x80;
            bytes[len++] = is_odd(g) ? 1 : 0;
        }
    }
    lpx_buf_add(out, lpx_bytes_of(bytes, len));
}

static void put_tag(generator *g, unsigned number, unsigned wire, lpx_buf *out)
{
    wire = is_odd(g) ? (unsigned)test_random_below(&g->random, 8) : wire;
    number = is_odd(g) ? (unsigned)test_random_below(&g->random, 40) : number;
    put_varint(g, (uint64_t)number << 3 | wire, out);
}

static void put_content(generator *g, lpx_bytes content, lpx_buf *out)
{
    size_t len = is_odd(g) ? content.len + (size_t)test_random_below(&g->random, 3) : content.len;
    put_varint(g, is_odd(g) ? test_random_next(&g->random) : len, out);
    lpx_buf_add(out, content);
}

/* Lengths, ports, indexes and net ids are small; others are anything. */
static uint64_t random_number(generator *g, const char *name)
{
    static const uint64_t net_ids[] = {0x13, 0x42, 0xC00013, 0xE00010, 0xE00017, 0x1000000, 0};
    if (strstr(name, "net_id") != NULL) {
        return net_ids[test_random_below(&g->random, one_in(g, 4) ? 7 : 4)];
    }
    uint64_t any = test_random_next(&g->random);
    return any >> (8 * test_random_below(&g->random, 9) % 64);
}

static void put_text(generator *g, const char *name, lpx_buf *out)
{
    static const char *const ids[] = {"", "eu1", "ttn", "tenant-1", "eu1.cloud", "-", "Upper", "a..b"};
    static const char *const texts[] = {"", "4/5", "2/3", "eui-58a0cbfffe800000", "kek-1", "gr\xC3\xBC\xC3\x9F"};
    static const char *const bad[] = {"\xFF", "ab\xC3", "\xED\xA0\x80", "\xC0\x80"};
    lpx_str text = strstr(name, "_id") != NULL ? lpx_str_of(ids[test_random_below(&g->random, one_in(g, 6) ? 8 : 5)])
                                               : lpx_str_of(texts[test_random_below(&g->random, 6)]);
    if (is_odd(g)) {
        text = one_in(g, 2) ? lpx_str_of(bad[test_random_below(&g->random, 4)]) : LPX_STR("nul\0nul");
    }
    put_content(g, lpx_str_bytes(text), out);
}

static void put_bytes(generator *g, const char *name, lpx_buf *out)
{
    static const uint8_t frames[][23] = {
        {0x40, 0x44, 0x33, 0x22, 0x11, 0x01, 0x01, 0x00, 0x42, 0x01, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
        {0x80, 0x07, 0x00, 0x00, 0x48, 0x80, 0x47, 0x00, 0x05, 0x14, 0xD4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
        {0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x42, 0xFF, 0xFF, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
        {0x60, 0x44, 0x33, 0x22, 0x11, 0x00, 0x01, 0x00, 0x01, 0x42, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
        {0xE0},
    };
    uint8_t any[40];
    size_t len = one_in(g, 3) ? (size_t)test_random_below(&g->random, sizeof any) : 32;
    test_random_fill(&g->random, any, sizeof any);
    bool frame = strcmp(name, "plain") == 0 || strcmp(name, "phy_payload") == 0;
    if (frame && !one_in(g, 8)) {
        size_t cut = one_in(g, 10) ? (size_t)test_random_below(&g->random, 23) : 0;
        put_content(g, lpx_bytes_of(frames[test_random_below(&g->random, 5)], sizeof frames[0] - cut), out);
        return;
    }
    put_content(g, lpx_bytes_of(any, len), out);
}

static void put_message(generator *g, const ProtobufCMessageDescriptor *desc, lpx_buf *out);

static void put_field(generator *g, const ProtobufCFieldDescriptor *field, lpx_buf *out)
{
    lpx_buf inner;
    uint64_t any = test_random_next(&g->random);
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT64:
        put_tag(g, field->id, 0, out);
        put_varint(g, random_number(g, field->name), out);
        break;
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL:
        put_tag(g, field->id, 0, out);
        put_varint(g, one_in(g, 20) ? any : any % 21, out);
        break;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        put_tag(g, field->id, 5, out);
        lpx_buf_add(out, lpx_bytes_of(&any, 4));
        break;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        put_tag(g, field->id, 1, out);
        lpx_buf_add(out, lpx_bytes_of(&any, 8));
        break;
    case PROTOBUF_C_TYPE_STRING:
        put_tag(g, field->id, 2, out);
        put_text(g, field->name, out);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        put_tag(g, field->id, 2, out);
        put_bytes(g, field->name, out);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        lpx_buf_init(&inner, MESSAGE_BYTES);
        put_message(g, field->descriptor, &inner);
        put_tag(g, field->id, 2, out);
        put_content(g, lpx_buf_view(&inner), out);
        lpx_buf_fini(&inner);
        break;
    }
}

/* Is the field a member of the same oneof as one that is there already? */
static bool is_taken(const ProtobufCMessageDescriptor *desc, unsigned i, const bool *there)
{
    const ProtobufCFieldDescriptor *field = &desc->fields[i];
    for (unsigned k = 0; k < desc->n_fields; k++) {
        if (there[k] && (field->flags & desc->fields[k].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
            field->quantifier_offset == desc->fields[k].quantifier_offset) {
            return true;
        }
    }
    return false;
}

static void put_message(generator *g, const ProtobufCMessageDescriptor *desc, lpx_buf *out)
{
    bool there[32] = {false};
    unsigned first = (unsigned)test_random_below(&g->random, desc->n_fields + 1);
    bool rate = desc == &pb__v3__data_rate__descriptor;
    for (unsigned n = 0; n < desc->n_fields; n++) {
        unsigned i = (n + first) % desc->n_fields;
        const ProtobufCFieldDescriptor *field = &desc->fields[i];
        uint64_t times = one_in(g, 5) ? 0 : 1;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            times = test_random_below(&g->random, 4);
        } else if (rate && g->odd == 0) {
            times = 1; /* a data rate without a modulation is odd */
        } else if (is_odd(g)) {
            times = 2;
        }
        if (!is_odd(g) && is_taken(desc, i, there)) {
            continue;
        }
        for (; times > 0; times--) {
            there[i] = true;
            put_field(g, field, out);
        }
    }
    if (is_odd(g) && out->len > 0) {
        out->len -= (size_t)test_random_below(&g->random, out->len < 4 ? out->len : 4);
    }
    if (is_odd(g) && out->len > 0) {
        out->ptr[test_random_below(&g->random, out->len)] = (uint8_t)test_random_next(&g->random);
    }
}

/* ---- tests ---- */

typedef struct tally {
    unsigned cases, in_place, valid;
} tally;

static tally run(const char *name, scan_request request, unsigned odd, unsigned cases)
{
    generator g = {.random = test_random_begin(name), .odd = odd};
    tally t = {.cases = cases};
    lpx_buf buf;
    lpx_buf_init(&buf, MESSAGE_BYTES);
    for (unsigned i = 0; i < cases; i++) {
        bool valid;
        lpx_buf_clear(&buf);
        put_message(&g, scan_descriptor(request), &buf);
        t.in_place += scan_compare(scanner, request, lpx_buf_view(&buf), &valid) ? 1 : 0;
        t.valid += valid ? 1 : 0;
    }
    lpx_buf_fini(&buf);
    print_message("%s: %u cases, %u read in place, %u of them valid\n", name, t.cases, t.in_place, t.valid);
    return t;
}

static const char *const names[SCAN_REQUESTS] = {"uplinks", "downlinks", "uplink reports", "downlink reports"};

static void the_common_form_is_read_in_place(void **state)
{
    (void)state;
    for (unsigned request = 0; request < SCAN_REQUESTS; request++) {
        tally t = run(names[request], (scan_request)request, 0, case_count() / RUNS);
        assert_int_equal(t.in_place, t.cases);
        assert_in_range(t.valid, t.cases / 100, t.cases - 1); /* both verdicts were seen */
    }
}

/* From one oddity in many messages to many in each. */
static void odd_messages_are_the_same_both_ways(void **state)
{
    (void)state;
    static const unsigned odds[] = {3000, 300, 30};
    for (unsigned request = 0; request < SCAN_REQUESTS; request++) {
        for (unsigned i = 0; i < sizeof odds / sizeof odds[0]; i++) {
            tally t = run(names[request], (scan_request)request, odds[i], case_count() / RUNS);
            assert_in_range(t.in_place, 1, t.cases - 1);
        }
    }
}

static void small_and_large_messages(void **state)
{
    (void)state;
    static uint8_t request[ROUTER_SCAN_MAX_BYTES + 16];
    bool valid;
    assert_true(scan_compare(scanner, SCAN_UPLINK, (lpx_bytes){NULL, 0}, &valid));
    assert_false(valid);
    /* message = {gateway_uplink_token} filled up to the limit, and one byte more */
    for (unsigned more = 0; more < 2; more++) {
        size_t token = ROUTER_SCAN_MAX_BYTES - 6 + more;
        size_t message = token + 3;
        uint8_t head[] = {4 << 3 | 2,  (uint8_t)(message & 0x7F) | 0x80, (uint8_t)(message >> 7),
                          10 << 3 | 2, (uint8_t)(token & 0x7F) | 0x80,   (uint8_t)(token >> 7)};
        memcpy(request, head, sizeof head);
        lpx_bytes bytes = lpx_bytes_of(request, sizeof head + token);
        assert_int_equal(scan_compare(scanner, SCAN_UPLINK, bytes, &valid), more == 0);
    }
}

/* ---- heard on the air ---- */

static lpx_str json_value(const char *line, const char *name)
{
    char key[32];
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(line, key);
    assert_non_null(at);
    at += strlen(key);
    at += strspn(at, " \"");
    return (lpx_str){at, strcspn(at, ",\"}]")};
}

static double json_double(const char *line, const char *name)
{
    return strtod(json_value(line, name).ptr, NULL);
}

/* Parts of one request. */
typedef struct heard {
    Pb__Routing__V1__PublishUplinkMessageRequest request;
    Pb__V3__UplinkMessage message;
    Pb__V3__UplinkMessage__PHYPayload payload;
    Pb__V3__UplinkMessage__GatewayMetadata metadata;
    Pb__V3__GatewayMetadataSignalQuality quality;
    Pb__V3__GatewayMetadataSignalQuality__Terrestrial terrestrial;
    Pb__V3__GatewayMetadataSignalQuality__Terrestrial__Antenna antenna, *antennas[1];
    Pb__V3__TerrestrialGatewayAntennaSignalQuality signal;
    Pb__V3__GatewayMetadataLocalization localization;
    Pb__V3__GatewayMetadataLocalization__Terrestrial place;
    Pb__V3__GatewayMetadataLocalization__Terrestrial__Antenna placed, *places[1];
    Pb__V3__Location location;
    uint8_t phy[BASE64_BYTES];
} heard;

static void hear_metadata(heard *h, const char *line)
{
    pb__v3__terrestrial_gateway_antenna_signal_quality__init(&h->signal);
    h->signal.channel_rssi = (float)json_double(line, "rssi_dbm");
    h->signal.snr = (float)json_double(line, "snr_db");
    pb__v3__gateway_metadata_signal_quality__terrestrial__antenna__init(&h->antenna);
    h->antenna.value = &h->signal;
    h->antennas[0] = &h->antenna;
    pb__v3__gateway_metadata_signal_quality__terrestrial__init(&h->terrestrial);
    h->terrestrial.n_antennas = 1;
    h->terrestrial.antennas = h->antennas;
    pb__v3__gateway_metadata_signal_quality__init(&h->quality);
    h->quality.value_case = PB__V3__GATEWAY_METADATA_SIGNAL_QUALITY__VALUE_TERRESTRIAL;
    h->quality.terrestrial = &h->terrestrial;
    pb__v3__location__init(&h->location);
    h->location.latitude = json_double(line, "latitude");
    h->location.longitude = json_double(line, "longitude");
    pb__v3__gateway_metadata_localization__terrestrial__antenna__init(&h->placed);
    h->placed.location = &h->location;
    h->places[0] = &h->placed;
    pb__v3__gateway_metadata_localization__terrestrial__init(&h->place);
    h->place.n_antennas = 1;
    h->place.antennas = h->places;
    pb__v3__gateway_metadata_localization__init(&h->localization);
    h->localization.value_case = PB__V3__GATEWAY_METADATA_LOCALIZATION__VALUE_TERRESTRIAL;
    h->localization.terrestrial = &h->place;
    pb__v3__uplink_message__gateway_metadata__init(&h->metadata);
    h->metadata.signal_quality_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_PLAIN_SIGNAL_QUALITY;
    h->metadata.plain_signal_quality = &h->quality;
    h->metadata.localization_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION_PLAIN_LOCALIZATION;
    h->metadata.plain_localization = &h->localization;
}

/* The request of a forwarder that sends a data rate index alone. */
static void hear(heard *h, const char *line)
{
    int64_t len = lpx_base64_decode(json_value(line, "phy_payload"), (lpx_space){h->phy, sizeof h->phy});
    assert_true(len > 0);
    hear_metadata(h, line);
    pb__v3__uplink_message__phypayload__init(&h->payload);
    h->payload.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    h->payload.plain = (ProtobufCBinaryData){(size_t)len, h->phy};
    pb__v3__uplink_message__init(&h->message);
    h->message.phy_payload = &h->payload;
    h->message.gateway_metadata = &h->metadata;
    h->message.gateway_region = PB__V3__REGION__EU_863_870;
    h->message.data_rate_index = 12 - (uint32_t)json_double(line, "sf");
    h->message.frequency = (uint64_t)json_double(line, "frequency_hz");
    pb__routing__v1__publish_uplink_message_request__init(&h->request);
    h->request.forwarder_net_id = 0x13;
    h->request.message = &h->message;
}

static void uplinks_heard_on_the_air(void **state)
{
    (void)state;
    const char *path = getenv("LPX_REAL_UPLINKS");
    if (path == NULL) {
        print_message("skipped: LPX_REAL_UPLINKS names no file of real uplinks (unpacked JSON lines)\n");
        skip();
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t room = 0;
    unsigned count = 0;
    lpx_buf buf;
    lpx_buf_init(&buf, MESSAGE_BYTES);
    while (getline(&line, &room, file) > 0) {
        heard h;
        bool valid;
        hear(&h, line);
        lpx_buf_clear(&buf);
        pb_append(&h.request.base, &buf);
        assert_true(scan_compare(scanner, SCAN_UPLINK, lpx_buf_view(&buf), &valid) && valid);
        count++;
    }
    lpx_buf_fini(&buf);
    free(line);
    (void)fclose(file);
    print_message("%u real uplinks\n", count);
    assert_int_not_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_common_form_is_read_in_place),
        cmocka_unit_test(odd_messages_are_the_same_both_ways),
        cmocka_unit_test(small_and_large_messages),
        cmocka_unit_test(uplinks_heard_on_the_air),
    };
    return cmocka_run_group_tests_name("router scan", tests, setup, teardown);
}
