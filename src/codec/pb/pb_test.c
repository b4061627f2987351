#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "base/writer.h"
#include "codec/limits.h"
#include "codec/pb/pb.h"
#include "codec/pb/pb_field.h"
#include "everything.pb-c.h"
#include "lpx_reasons.h"
#include "pb_v3_api.pb-c.h"

enum { ARENA_BYTES = 1024 * 1024 };

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

/* Bytes of hex text with spaces. */
static lpx_bytes unhex(lpx_arena *arena, const char *text)
{
    char *digits = lpx_arena_get(arena, strlen(text) + 1);
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (*text != ' ') {
            digits[count++] = *text;
        }
    }
    lpx_space out = {lpx_arena_get(arena, count / 2 + 1), count / 2};
    assert_true(lpx_hex_decode((lpx_str){digits, count}, out));
    return (lpx_bytes){out.ptr, out.len};
}

static lpx_err decode(lpx_arena *arena, const ProtobufCMessageDescriptor *desc, const char *hex, lpx_note *note)
{
    ProtobufCMessage *message = NULL;
    *note = (lpx_note){{0}};
    return pb_decode(desc, unhex(arena, hex), arena, &message, note);
}

static lpx_bytes sample_encode(lpx_arena *arena)
{
    Pb__V3__LoRaDataRate lora = PB__V3__LO_RA_DATA_RATE__INIT;
    lora.spreading_factor = 7;
    lora.bandwidth = 125000;
    char coding_rate[] = "4/5";
    lora.coding_rate = coding_rate;
    Pb__V3__DataRate rate = PB__V3__DATA_RATE__INIT;
    rate.modulation_case = PB__V3__DATA_RATE__MODULATION_LORA;
    rate.lora = &lora;
    uint8_t payload[] = {0x40, 0x44, 0x33, 0x22, 0x11, 0x01};
    Pb__V3__UplinkMessage__PHYPayload phy = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__INIT;
    phy.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    phy.plain = (ProtobufCBinaryData){sizeof payload, payload};
    Pb__V3__UplinkMessage up = PB__V3__UPLINK_MESSAGE__INIT;
    up.data_rate = &rate;
    up.phy_payload = &phy;
    up.frequency = 868100000;
    up.gateway_region = PB__V3__REGION__EU_863_870;
    lpx_bytes out;
    assert_false(lpx_failed(pb_encode(&up.base, arena, &out)));
    return out;
}

static void test_round_trip(void **state)
{
    lpx_arena *arena = *state;
    lpx_note note = {{0}};
    lpx_bytes wire = sample_encode(arena), again;
    ProtobufCMessage *message = NULL;
    assert_false(lpx_failed(pb_decode(&pb__v3__uplink_message__descriptor, wire, arena, &message, &note)));
    const Pb__V3__UplinkMessage *up = (const Pb__V3__UplinkMessage *)message;
    assert_int_equal(up->frequency, 868100000);
    assert_int_equal(up->data_rate->lora->spreading_factor, 7);
    assert_string_equal(up->data_rate->lora->coding_rate, "4/5");
    assert_true(lpx_str_is(pb_str(up->data_rate->lora->coding_rate), "4/5"));
    assert_int_equal(pb_bytes(up->phy_payload->plain).len, 6);
    assert_int_equal(pb_str(NULL).len, 0);
    assert_false(lpx_failed(pb_encode(message, arena, &again)));
    assert_true(lpx_bytes_equal(wire, again));

    lpx_buf buf;
    lpx_buf_init(&buf, 1000);
    lpx_buf_add_str(&buf, LPX_STR("x"));
    pb_append(message, &buf);
    assert_int_equal(buf.len, wire.len + 1);
    assert_memory_equal(buf.ptr + 1, wire.ptr, wire.len);
    lpx_buf_fini(&buf);
    lpx_buf_init(&buf, wire.len - 1);
    pb_append(message, &buf);
    assert_true(lpx_buf_failed(&buf));
    lpx_buf_fini(&buf);
}

static void test_empty(void **state)
{
    lpx_arena *arena = *state;
    lpx_note note;
    ProtobufCMessage *message = NULL;
    lpx_bytes out;
    assert_false(lpx_failed(pb_decode(&pb__v3__uplink_message__descriptor, (lpx_bytes){0}, arena, &message, &note)));
    assert_false(lpx_failed(pb_encode(message, arena, &out)));
    assert_int_equal(out.len, 0);
}

/* Fields that this version does not know come back as they were: varint, 64 bits, length, 32 bits, on two levels. */
static void test_unknown_fields_survive(void **state)
{
    lpx_arena *arena = *state;
    lpx_note note;
    lpx_bytes wire = unhex(arena, "38 80e2e09f03" /* frequency */
                                  "6a 21 0a1f 0807 e03e 05 e13e 0102030405060708 e23e 0401020304 e53e 01020304 e03e 01"
                                  "e03e 96 01 e13e ffeeddccbbaa9988 e23e 03 616263 e53e 01020304 e23e 00");
    ProtobufCMessage *message = NULL;
    lpx_bytes again;
    assert_false(lpx_failed(pb_decode(&pb__v3__uplink_message__descriptor, wire, arena, &message, &note)));
    const Pb__V3__UplinkMessage *up = (const Pb__V3__UplinkMessage *)message;
    assert_int_equal(up->base.n_unknown_fields, 5);
    assert_int_equal(up->data_rate->lora->base.n_unknown_fields, 5);
    assert_false(lpx_failed(pb_encode(message, arena, &again)));
    assert_true(lpx_bytes_equal(wire, again));
}

static void test_text_checked(void **state)
{
    lpx_arena *arena = *state;
    lpx_note note;
    const ProtobufCMessageDescriptor *desc = &pb__v3__uplink_message__descriptor;
    assert_int_equal(decode(arena, desc, "6a 05 0a 03 1a 01 ff", &note).reason, PB_NOT_UTF8);
    assert_non_null(strstr(note.text, "data_rate.lora.coding_rate"));
    assert_int_equal(decode(arena, desc, "5a 03 61 00 62", &note).reason, PB_NOT_UTF8);
    assert_non_null(strstr(note.text, "coding_rate"));
    assert_int_equal(decode(arena, desc, "5a 02 c0 80", &note).reason, PB_NOT_UTF8);
    assert_int_equal(decode(arena, desc, "5a 02 c3 a9", &note).code, LPX_OK);
    /* Keys of maps are text too. */
    assert_int_equal(decode(arena, desc, "0a 03 0a 01 ff", &note).reason, PB_NOT_UTF8);
    /* Bytes may hold anything. */
    assert_int_equal(decode(arena, desc, "4a 03 ff 00 80", &note).code, LPX_OK);
}

static void test_malformed(void **state)
{
    lpx_arena *arena = *state;
    lpx_note note;
    static const struct {
        const char *hex, *what;
    } rows[] = {
        {"00 00", "field number"},                /* field 0 */
        {"f8ffffff7f 00", "field number"},        /* above 2^29 - 1 */
        {"38", "cut off"},                        /* no value */
        {"38 ffffffffffffffffffff01", "cut off"}, /* varint of 11 bytes */
        {"3a 00", "frequency"},                   /* wire type of a length for a number */
        {"5a 05 61", "coding_rate"},              /* longer than what is left */
        {"5a ffffffffffffffffff01", "length"},    /* longer than memory */
        {"6a 04 0a 05 08 07", "data_rate"},       /* inner longer than outer */
        {"e3 3e e4 3e", "proto3"},                /* groups */
        {"e6 3e 00", "proto3"},                   /* wire type 6 */
        {"e1 3e 00 00", "cut off"},               /* unknown, 64 bits */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(decode(arena, &pb__v3__uplink_message__descriptor, rows[i].hex, &note).reason, PB_MALFORMED);
        if (strstr(note.text, rows[i].what) == NULL) {
            fail_msg("row %zu: %s", i, note.text);
        }
    }
}

/* Every prefix of a message is refused or is a message; nothing is read past its end (the copy has no byte more). */
static void test_prefixes(void **state)
{
    lpx_arena *arena = *state;
    lpx_bytes wire = sample_encode(arena);
    for (size_t len = 0; len <= wire.len; len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, wire.ptr, len);
        copy = realloc(copy, len > 0 ? len : 1);
        ProtobufCMessage *message = NULL;
        lpx_note note;
        lpx_err err = pb_decode(&pb__v3__uplink_message__descriptor, (lpx_bytes){copy, len}, arena, &message, &note);
        assert_true(err.code == LPX_OK || err.reason == PB_MALFORMED);
        assert_true((err.code == LPX_OK) == (message != NULL));
        free(copy);
    }
}

/* A field "nested" depth times inside each other. */
static lpx_err nested_decode(lpx_arena *arena, unsigned depth, lpx_note *note)
{
    lpx_bytes inner = {0};
    for (unsigned i = 0; i < depth; i++) {
        lpx_writer w;
        lpx_space room = {lpx_arena_get(arena, inner.len + 8), inner.len + 8};
        lpx_writer_init(&w, room);
        lpx_writer_varint(&w, 17 << 3 | 2);
        lpx_writer_varint(&w, inner.len);
        lpx_writer_bytes(&w, inner);
        inner = lpx_writer_view(&w);
    }
    ProtobufCMessage *message = NULL;
    return pb_decode(&lpx__test__everything__descriptor, inner, arena, &message, note);
}

static void test_depth(void **state)
{
    lpx_note note;
    assert_int_equal(nested_decode(*state, PB_MAX_DEPTH - 1, &note).code, LPX_OK);
    assert_int_equal(nested_decode(*state, PB_MAX_DEPTH, &note).reason, PB_MALFORMED);
    assert_int_equal(nested_decode(*state, 200, &note).reason, PB_MALFORMED);
}

static void test_memory(void **state)
{
    lpx_arena *arena = *state, small;
    lpx_bytes wire = sample_encode(arena);
    ProtobufCMessage *message = NULL;
    lpx_note note;
    size_t cap = 0;
    lpx_err err;
    /* Every allocation fails once. */
    do {
        lpx_arena_init(&small, cap);
        err = pb_decode(&pb__v3__uplink_message__descriptor, wire, &small, &message, &note);
        assert_true(err.code == LPX_OK || err.reason == BASE_NO_MEMORY);
        lpx_arena_fini(&small);
        cap += 16;
    } while (lpx_failed(err));
    assert_true(cap > 200);
    lpx_bytes out;
    lpx_arena_init(&small, 4);
    assert_false(lpx_failed(pb_decode(&pb__v3__uplink_message__descriptor, wire, arena, &message, &note)));
    assert_int_equal(pb_encode(message, &small, &out).reason, BASE_NO_MEMORY);
    lpx_arena_fini(&small);
}

static void test_paths(void **state)
{
    lpx_arena *arena = *state;
    lpx_note note;
    ProtobufCMessage *message = NULL;
    uint64_t number = 99;
    lpx_str text;
    lpx_bytes wire = sample_encode(arena);
    assert_false(lpx_failed(pb_decode(&pb__v3__uplink_message__descriptor, wire, arena, &message, &note)));
    assert_true(pb_get_uint(message, "frequency", &number) && number == 868100000);
    assert_true(pb_get_uint(message, "gateway_region", &number) && number == 1);
    assert_true(pb_get_uint(message, "data_rate.lora.bandwidth", &number) && number == 125000);
    assert_true(pb_get_uint(message, "data_rate.fsk.bits_per_second", &number) && number == 0);
    assert_true(pb_get_uint(message, "phy_payload.teaser.mac.dev_addr", &number) && number == 0);
    assert_true(pb_get_text(message, "data_rate.lora.coding_rate", &text) && lpx_str_is(text, "4/5"));
    assert_true(pb_get_text(message, "data_rate.lrfhss.coding_rate", &text) && text.len == 0);
    assert_true(pb_get_text(message, "gateway_id.plain", &text) && text.len == 0);
    assert_true(pb_has(message, "data_rate"));
    assert_true(pb_has(message, "data_rate.lora"));
    assert_false(pb_has(message, "data_rate.fsk"));
    assert_false(pb_has(message, "gateway_id.eui"));
    static const char *const wrong[] = {"nothing", "data_rate", "data_rate.nothing", "frequency.x", "keks", "", "."};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(pb_get_uint(message, wrong[i], &number));
        assert_false(pb_get_text(message, wrong[i], &text));
        assert_false(i != 1 && pb_has(message, wrong[i]));
    }
    assert_false(pb_get_uint(message, "data_rate.lora.coding_rate", &number));
    assert_false(pb_get_text(message, "frequency", &text));
}

static void test_numbers(void **state)
{
    (void)state;
    Lpx__Test__Everything all = LPX__TEST__EVERYTHING__INIT;
    all.an_int32 = -1;
    all.a_uint32 = UINT32_MAX;
    all.a_sfixed64 = -2;
    all.a_fixed64 = UINT64_MAX;
    all.a_bool = 1;
    all.a_colour = LPX__TEST__COLOUR__BELOW_ZERO;
    all.choice_case = LPX__TEST__EVERYTHING__CHOICE_NUMBER_CHOICE;
    all.number_choice = 7;
    static const struct {
        const char *path;
        uint64_t value;
    } rows[] = {{"an_int32", UINT64_MAX},
                {"a_uint32", UINT32_MAX},
                {"a_sfixed64", UINT64_MAX - 1},
                {"a_fixed64", UINT64_MAX},
                {"a_bool", 1},
                {"a_colour", UINT64_MAX - 2},
                {"number_choice", 7},
                {"a_sint32", 0},
                {"nested.nested.a_uint32", 0},
                {"nested_choice.a_bool", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 12345;
        assert_true(pb_get_uint(&all.base, rows[i].path, &value));
        assert_true(value == rows[i].value);
    }
    uint64_t value;
    assert_false(pb_get_uint(&all.base, "a_float", &value));
    assert_false(pb_get_uint(&all.base, "a_double", &value));
    assert_false(pb_get_uint(&all.base, "a_bytes", &value));
}

static void test_maps_known(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *desc = &lpx__test__everything__descriptor;
    size_t maps = 0;
    for (unsigned i = 0; i < desc->n_fields; i++) {
        maps += pb_field_is_map(desc, &desc->fields[i]);
    }
    assert_int_equal(maps, 5);
    desc = &pb__v3__target__descriptor;
    assert_true(
        pb_field_is_map(desc, protobuf_c_message_descriptor_get_field_by_name(desc, "origin_net_id_authentication")));
    desc = &pb__v3__network__descriptor;
    assert_false(pb_field_is_map(desc, protobuf_c_message_descriptor_get_field_by_name(desc, "dev_addr_blocks")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_empty, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_unknown_fields_survive, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_text_checked, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_malformed, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_prefixes, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_depth, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_memory, arena_make, arena_drop),
        cmocka_unit_test_setup_teardown(test_paths, arena_make, arena_drop),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_maps_known),
    };
    return cmocka_run_group_tests_name("pb", tests, NULL, NULL);
}
