#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "codec/json/json.h"
#include "codec/json/protojson.h"
#include "codec/json/protojson_priv.h"
#include "codec/limits.h"
#include "codec/pb/pb.h"
#include "codec/testing/testing_types.h"
#include "everything.pb-c.h"
#include "lpx_reasons.h"
#include "pb_v3_api.pb-c.h"

enum { ARENA_BYTES = 4 * 1024 * 1024, LINE_BYTES = 8192, BUF_BYTES = 1024 * 1024 };

static int arena_make(void **state)
{
    lpx_arena *arena = calloc(1, sizeof *arena);
    assert_non_null(arena);
    lpx_arena_init(arena, ARENA_BYTES);
    *state = arena;
    return 0;
}

static int arena_drop(void **state)
{
    lpx_arena_fini(*state);
    free(*state);
    return 0;
}

/* Print into a fresh buffer; the caller frees it. */
static lpx_str printed(const ProtobufCMessage *message, protojson_style style, lpx_buf *buf)
{
    lpx_buf_init(buf, BUF_BYTES);
    assert_false(lpx_failed(protojson_encode(message, style, buf)));
    return lpx_bytes_str(lpx_buf_view(buf));
}

/* ---- vectors ---- */

typedef struct vector {
    char message[LINE_BYTES], in[LINE_BYTES], out[LINE_BYTES], err[LINE_BYTES];
} vector;

static void vector_accepted(lpx_arena *arena, const vector *v, const ProtobufCMessage *message)
{
    lpx_buf buf;
    lpx_bytes wire, wire_again;
    ProtobufCMessage *again = NULL;
    lpx_note note;
    lpx_str text = printed(message, (protojson_style){0}, &buf);
    if (!lpx_str_is(text, v->out)) {
        fail_msg("%s\n%s\n%.*s", v->in, v->out, (int)text.len, text.ptr);
    }
    /* Through the wire, too; and every style reads back as the same message. */
    assert_false(lpx_failed(pb_encode(message, arena, &wire)));
    assert_false(lpx_failed(pb_decode(message->descriptor, wire, arena, &again, &note)));
    assert_false(lpx_failed(pb_encode(again, arena, &wire_again)));
    assert_true(lpx_bytes_equal(wire, wire_again));
    lpx_buf_fini(&buf);
    for (unsigned i = 0; i < 16; i++) {
        protojson_style style = {.emit_defaults = i & 1, .snake_case = i & 2, .multiline = i & 4, .emit_nulls = i & 8};
        text = printed(message, style, &buf);
        lpx_err err = protojson_decode(message->descriptor, text, arena, &again, &note);
        if (lpx_failed(err)) {
            fail_msg("style %u: %s\n%.*s", i, note.text, (int)text.len, text.ptr);
        }
        assert_false(lpx_failed(pb_encode(again, arena, &wire_again)));
        assert_true(lpx_bytes_equal(wire, wire_again));
        lpx_buf_fini(&buf);
    }
}

static void vector_refused(const vector *v, lpx_err err, const lpx_note *note)
{
    const char *name = lpx_reason_name(err.reason), *what = strchr(v->err, ' ');
    size_t name_len = what != NULL ? (size_t)(what - v->err) : strlen(v->err);
    if (strlen(name) != name_len || strncmp(name, v->err, name_len) != 0 ||
        (what != NULL && strstr(note->text, what + 1) == NULL)) {
        fail_msg("%s\nwant %s\ngot  %s: %s", v->in, v->err, name, note->text);
    }
}

static void vector_check(lpx_arena *arena, const vector *v)
{
    const ProtobufCMessageDescriptor *desc = testing_type_find(lpx_str_of(v->message));
    ProtobufCMessage *message = NULL;
    lpx_note note = {{0}};
    assert_non_null(desc);
    lpx_arena_reset(arena);
    lpx_err err = protojson_decode(desc, lpx_str_of(v->in), arena, &message, &note);
    if (v->out[0] == '\0') {
        assert_null(message);
        vector_refused(v, err, &note);
        return;
    }
    if (lpx_failed(err)) {
        fail_msg("%s\n%s", v->in, note.text);
    }
    vector_accepted(arena, v, message);
}

static void test_vectors(void **state)
{
    FILE *file = fopen(VECTORS "/protojson.txt", "r");
    static char line[LINE_BYTES];
    static vector v;
    int count = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "msg ", 4) == 0) {
            v = (vector){{0}};
            (void)snprintf(v.message, sizeof v.message, "%s", line + 4);
        } else if (strncmp(line, "in ", 3) == 0) {
            (void)snprintf(v.in, sizeof v.in, "%s", line + 3);
        } else if (strncmp(line, "out ", 4) == 0 || strncmp(line, "err ", 4) == 0) {
            (void)snprintf(line[0] == 'o' ? v.out : v.err, LINE_BYTES, "%s", line + 4);
            vector_check(*state, &v);
            count++;
        }
    }
    (void)fclose(file);
    assert_int_equal(count, 67);
}

/* ---- printing ---- */

static void test_multiline(void **state)
{
    lpx_arena *arena = *state;
    ProtobufCMessage *message = NULL;
    lpx_note note;
    lpx_buf buf;
    assert_false(lpx_failed(protojson_decode(
        &pb__v3__uplink_message__descriptor,
        LPX_STR("{\"keks\":{\"a\":{}},\"gatewayMetadata\":{\"plainSignalQuality\":{\"terrestrial\":{\"antennas\":[{},"
                "{\"index\":1}]}}},\"forwarderReceiveTime\":\"2026-01-02T03:04:05Z\"}"),
        arena, &message, &note)));
    lpx_str text = printed(message, (protojson_style){.multiline = true, .emit_defaults = true}, &buf);
    assert_true(lpx_str_is(text, "{\n"
                                 "  \"keks\": {\n"
                                 "    \"a\": {\n"
                                 "      \"keyExchange\": \"\",\n"
                                 "      \"label\": \"\"\n"
                                 "    }\n"
                                 "  },\n"
                                 "  \"forwarderReceiveTime\": \"2026-01-02T03:04:05Z\",\n"
                                 "  \"gatewayRegion\": \"UNKNOWN_REGION\",\n"
                                 "  \"dataRateIndex\": 0,\n"
                                 "  \"frequency\": \"0\",\n"
                                 "  \"gatewayMetadata\": {\n"
                                 "    \"plainSignalQuality\": {\n"
                                 "      \"terrestrial\": {\n"
                                 "        \"antennas\": [\n"
                                 "          {\n"
                                 "            \"index\": 0\n"
                                 "          },\n"
                                 "          {\n"
                                 "            \"index\": 1\n"
                                 "          }\n"
                                 "        ]\n"
                                 "      }\n"
                                 "    }\n"
                                 "  },\n"
                                 "  \"forwarderUplinkToken\": \"\",\n"
                                 "  \"gatewayUplinkToken\": \"\",\n"
                                 "  \"codingRate\": \"\"\n"
                                 "}"));
    lpx_buf_fini(&buf);
}

static void test_emit_defaults(void **state)
{
    (void)state;
    lpx_buf buf;
    Pb__V3__RoutingFilter filter = PB__V3__ROUTING_FILTER__INIT;
    lpx_str text = printed(&filter.base, (protojson_style){.emit_defaults = true}, &buf);
    assert_true(lpx_str_is(text, "{}"));
    lpx_buf_fini(&buf);
    Lpx__Test__Everything all = LPX__TEST__EVERYTHING__INIT;
    text = printed(&all.base, (protojson_style){.emit_defaults = true, .snake_case = true}, &buf);
    assert_true(lpx_str_is(
        text, "{\"an_int32\":0,\"an_int64\":\"0\",\"a_uint32\":0,\"a_uint64\":\"0\",\"a_sint32\":0,\"a_sint64\":\"0\","
              "\"a_fixed32\":0,\"a_fixed64\":\"0\",\"a_sfixed32\":0,\"a_sfixed64\":\"0\",\"a_float\":0,\"a_double\":0,"
              "\"a_bool\":false,\"a_string\":\"\",\"a_bytes\":\"\",\"a_colour\":\"NO_COLOUR\",\"many_int32\":[],"
              "\"many_uint64\":[],\"many_string\":[],\"many_bytes\":[],\"many_colour\":[],\"many_nested\":[],"
              "\"many_double\":[],\"many_bool\":[],\"by_name\":{},\"by_int32\":{},\"by_bool\":{},\"by_uint64\":{},"
              "\"waits\":{},\"many_at\":[],\"rx_1_delay\":0}"));
    lpx_buf_fini(&buf);
    Pb__V3__NetworkOrTenant entry = PB__V3__NETWORK_OR_TENANT__INIT; /* nothing but a oneof */
    text = printed(&entry.base, (protojson_style){.emit_nulls = true}, &buf);
    assert_true(lpx_str_is(text, "{}"));
    lpx_buf_fini(&buf);
    Pb__V3__RoutingPolicy policy = PB__V3__ROUTING_POLICY__INIT;
    text = printed(&policy.base, (protojson_style){.emit_nulls = true}, &buf);
    assert_true(lpx_str_is(text, "{\"uplink\":null,\"downlink\":null,\"updatedAt\":null}"));
    lpx_buf_fini(&buf);
}

static void test_unprintable_times(void **state)
{
    (void)state;
    static const wkt_time bad_stamps[] = {{253402300800, 0}, {-62135596801, 0}, {0, -1}, {0, 1000000000}};
    static const wkt_time bad_waits[] = {{315576000001, 0}, {-315576000001, 0}, {1, -1},          {-1, 1},
                                         {0, 1000000000},   {0, -1000000000},   {315576000000, 1}};
    lpx_buf buf;
    lpx_buf_init(&buf, 1000);
    for (size_t i = 0; i < sizeof bad_stamps / sizeof bad_stamps[0]; i++) {
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        wkt_time_set(&at.base, bad_stamps[i]);
        assert_int_equal(protojson_encode(&at.base, (protojson_style){0}, &buf).reason, JSON_BAD_VALUE);
    }
    for (size_t i = 0; i < sizeof bad_waits / sizeof bad_waits[0]; i++) {
        Google__Protobuf__Duration wait = GOOGLE__PROTOBUF__DURATION__INIT;
        wkt_time_set(&wait.base, bad_waits[i]);
        assert_int_equal(protojson_encode(&wait.base, (protojson_style){0}, &buf).reason, JSON_BAD_VALUE);
    }
    lpx_buf_fini(&buf);
}

/* On the wire a map may hold a key twice, and an entry may lack its value. */
static void test_maps_from_wire(void **state)
{
    lpx_arena *arena = *state;
    static const uint8_t wire[] = {
        0x82, 0x02, 4, 0x08, 0x05, 0x12, 0x00,      /* by_int32[5] = "" */
        0x82, 0x02, 5, 0x08, 0x05, 0x12, 0x01, 'x', /* by_int32[5] = "x" */
        0x82, 0x02, 0,                              /* by_int32[0], nothing said */
        0xfa, 0x01, 3, 0x0a, 0x01, 'n',             /* by_name["n"], no value */
        0x9a, 0x02, 3, 0x0a, 0x01, 'w',             /* waits["w"], no value */
    };
    ProtobufCMessage *message = NULL;
    lpx_note note;
    lpx_buf buf;
    assert_false(lpx_failed(
        pb_decode(&lpx__test__everything__descriptor, lpx_bytes_of(wire, sizeof wire), arena, &message, &note)));
    lpx_str text = printed(message, (protojson_style){0}, &buf);
    assert_true(
        lpx_str_is(text, "{\"byName\":{\"n\":{}},\"byInt32\":{\"0\":\"\",\"5\":\"x\"},\"waits\":{\"w\":\"0s\"}}"));
    lpx_buf_fini(&buf);
}

/* ---- limits ---- */

static lpx_err nested_decode(lpx_arena *arena, size_t depth, lpx_note *note)
{
    lpx_buf text;
    ProtobufCMessage *message = NULL;
    lpx_buf_init(&text, 10000);
    for (size_t i = 0; i < depth; i++) {
        lpx_buf_add_str(&text, LPX_STR("{\"nested\":"));
    }
    lpx_buf_add_str(&text, LPX_STR("{}"));
    for (size_t i = 0; i < depth; i++) {
        lpx_buf_add_str(&text, LPX_STR("}"));
    }
    lpx_err err =
        protojson_decode(&lpx__test__everything__descriptor, lpx_bytes_str(lpx_buf_view(&text)), arena, &message, note);
    lpx_buf_fini(&text);
    return err;
}

static void test_depth(void **state)
{
    lpx_note note;
    assert_int_equal(nested_decode(*state, PB_MAX_DEPTH - 1, &note).code, LPX_OK);
    assert_int_equal(nested_decode(*state, PB_MAX_DEPTH, &note).reason, JSON_TOO_DEEP);
    assert_int_equal(nested_decode(*state, 500, &note).reason, JSON_TOO_DEEP);
}

static void test_memory(void **state)
{
    (void)state;
    static const char text[] = "{\"manyInt32\":[1,2,3,4,5,6,7,8,9],\"byName\":{\"a\":{\"aBytes\":\"AQID\"},\"b\":{}},"
                               "\"at\":\"2026-01-02T03:04:05Z\",\"aString\":\"a\\nb\"}";
    size_t cap = 0;
    lpx_err err;
    do {
        lpx_arena small;
        lpx_note note;
        ProtobufCMessage *message = NULL;
        lpx_arena_init(&small, cap);
        err = protojson_decode(&lpx__test__everything__descriptor, lpx_str_of(text), &small, &message, &note);
        assert_true(err.code == LPX_OK || err.reason == BASE_NO_MEMORY);
        lpx_arena_fini(&small);
        cap += 16;
    } while (lpx_failed(err));
    assert_true(cap > 1000);
}

static void test_no_room(void **state)
{
    lpx_arena *arena = *state;
    ProtobufCMessage *message = NULL;
    lpx_note note;
    lpx_buf buf;
    assert_false(
        lpx_failed(protojson_decode(&lpx__test__everything__descriptor,
                                    LPX_STR("{\"aString\":\"abc\",\"manyInt32\":[1,2,3]}"), arena, &message, &note)));
    lpx_str text = printed(message, (protojson_style){0}, &buf);
    size_t len = text.len;
    lpx_buf_fini(&buf);
    for (size_t room = 0; room <= len; room++) {
        lpx_buf_init(&buf, room);
        lpx_err err = protojson_encode(message, (protojson_style){0}, &buf);
        assert_int_equal(err.reason, room < len ? BASE_NO_ROOM : 0);
        lpx_buf_fini(&buf);
    }
}

/* A big map costs n log n, not n squared: 20,000 keys. */
static void test_big_map(void **state)
{
    (void)state;
    enum { KEYS = 20000 };
    lpx_buf text, out;
    lpx_arena arena;
    ProtobufCMessage *message = NULL;
    lpx_note note;
    lpx_arena_init(&arena, 16 * ARENA_BYTES);
    lpx_buf_init(&text, BUF_BYTES);
    lpx_buf_add_str(&text, LPX_STR("{\"byInt32\":{"));
    for (int i = 0; i < KEYS; i++) {
        lpx_buf_printf(&text, "%s\"%d\":\"v\"", i > 0 ? "," : "", i);
    }
    lpx_buf_add_str(&text, LPX_STR("}}"));
    assert_false(lpx_failed(protojson_decode(&lpx__test__everything__descriptor, lpx_bytes_str(lpx_buf_view(&text)),
                                             &arena, &message, &note)));
    assert_true(lpx_bytes_equal(lpx_str_bytes(printed(message, (protojson_style){0}, &out)), lpx_buf_view(&text)));
    lpx_buf_fini(&out);
    lpx_buf_fini(&text);
    lpx_arena_fini(&arena);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *field, *json;
    } rows[] = {
        {"net_id", "netId"}, {"rx_1_delay", "rx1Delay"}, {"a", "a"}, {"f_ns_path", "fNsPath"}, {"_x", "X"}, {"x_", "x"},
        {"a__b", "aB"},      {"dev_eui", "devEui"}};
    char name[JSON_NAME_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_name_of(rows[i].field, name);
        assert_string_equal(name, rows[i].json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vectors, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_multiline, arena_make, arena_drop),
        cmocka_unit_test(test_emit_defaults),
        cmocka_unit_test(test_unprintable_times),
        cmocka_unit_test_setup_teardown(test_maps_from_wire, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_depth, arena_make, arena_drop),
        cmocka_unit_test(test_memory),
        cmocka_unit_test_setup_teardown(test_no_room, arena_make, arena_drop),
        cmocka_unit_test(test_big_map),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("protojson", tests, NULL, NULL);
}
