/* Messages to JSON: a stack of open messages, lists and maps; each step prints one value or opens or closes one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "codec/json/json.h"
#include "codec/json/protojson.h"
#include "codec/json/protojson_priv.h"
#include "codec/limits.h"
#include "codec/pb/pb_field.h"
#include "lpx_reasons.h"

typedef struct frame {
    const ProtobufCMessage *message;
    unsigned next_field;                   /* index of the field to look at next */
    const ProtobufCFieldDescriptor *field; /* list or map that is open; NULL: none */
    const uint8_t *items;
    size_t count, next_item;
    bool map;
} frame;

typedef struct encoder {
    json_writer writer;
    protojson_style style;
    lpx_arena scratch;
    frame frames[PB_MAX_DEPTH];
    size_t depth;
} encoder;

static void name_write(encoder *e, const ProtobufCFieldDescriptor *field)
{
    char name[JSON_NAME_BYTES];
    if (e->style.snake_case) {
        json_write_key(&e->writer, lpx_str_of(field->name));
        return;
    }
    json_name_of(field->name, name);
    json_write_key(&e->writer, lpx_str_of(name));
}

/* ---- scalars ---- */

static int64_t signed_get(const void *at, size_t size)
{
    int64_t wide;
    int32_t narrow;
    if (size == 8) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static uint64_t unsigned_get(const void *at, size_t size)
{
    return size == 8 ? (uint64_t)signed_get(at, 8) : (uint32_t)signed_get(at, 4);
}

/* A whole number as text. */
static lpx_str number_text(const void *at, size_t size, bool is_signed, char out[static 24])
{
    int len = is_signed ? snprintf(out, 24, "%lld", (long long)signed_get(at, size))
                        : snprintf(out, 24, "%llu", (unsigned long long)unsigned_get(at, size));
    return (lpx_str){out, (size_t)len};
}

static void wide_write(json_writer *w, const void *at, bool is_signed)
{
    char text[24];
    json_write_str(w, number_text(at, 8, is_signed, text));
}

static void enum_write(json_writer *w, const ProtobufCEnumDescriptor *desc, int32_t value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(desc, value);
    if (known != NULL) {
        json_write_str(w, lpx_str_of(known->name));
    } else {
        json_write_int(w, value);
    }
}

static void text_write(json_writer *w, const void *at)
{
    const char *text;
    memcpy(&text, at, sizeof text);
    json_write_str(w, lpx_str_of(text));
}

static void bytes_write(json_writer *w, const void *at)
{
    ProtobufCBinaryData bytes;
    memcpy(&bytes, at, sizeof bytes);
    json_write_base64(w, (lpx_bytes){bytes.data, bytes.len});
}

static void float_write(json_writer *w, const void *at)
{
    float value;
    memcpy(&value, at, sizeof value);
    json_write_float(w, value);
}

static void double_write(json_writer *w, const void *at)
{
    double value;
    memcpy(&value, at, sizeof value);
    json_write_double(w, value);
}

static void scalar_write(json_writer *w, const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        json_write_int(w, signed_get(at, 4));
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        json_write_uint(w, unsigned_get(at, 4));
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        wide_write(w, at, true);
        return;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        wide_write(w, at, false);
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        float_write(w, at);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        double_write(w, at);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        json_write_bool(w, signed_get(at, 4) != 0);
        return;
    case PROTOBUF_C_TYPE_ENUM:
        enum_write(w, field->descriptor, (int32_t)signed_get(at, 4));
        return;
    case PROTOBUF_C_TYPE_STRING:
        text_write(w, at);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        bytes_write(w, at);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    lpx_assert(false);
}

/* ---- messages, lists, maps ---- */

/* A message as the next value; one that prints as an object is only opened. */
static lpx_err message_begin(encoder *e, const ProtobufCMessage *message)
{
    char text[WKT_TIME_TEXT_BYTES];
    wkt_kind kind = wkt_of(message->descriptor);
    if (kind == WKT_WRAPPER) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[0];
        scalar_write(&e->writer, field, pb_field_get(message, field));
        return LPX_SUCCESS;
    }
    if (kind != WKT_NONE) {
        wkt_time time = wkt_time_get(message);
        size_t len = kind == WKT_TIMESTAMP ? wkt_timestamp_print(time, text) : wkt_duration_print(time, text);
        json_write_str(&e->writer, (lpx_str){text, len});
        return len > 0 ? LPX_SUCCESS : lpx_err_of(JSON_BAD_VALUE);
    }
    if (e->depth == PB_MAX_DEPTH) {
        return lpx_err_of(JSON_TOO_DEEP);
    }
    json_write_object(&e->writer);
    e->frames[e->depth++] = (frame){.message = message};
    return LPX_SUCCESS;
}

/* What an entry of a map means that came without its value. */
static const ProtobufCMessage *message_default(encoder *e, const ProtobufCMessageDescriptor *desc)
{
    ProtobufCMessage *message = lpx_arena_get(&e->scratch, desc->sizeof_message);
    if (message != NULL) {
        protobuf_c_message_init(desc, message);
    }
    return message;
}

static lpx_err value_write(encoder *e, const ProtobufCFieldDescriptor *field, const void *at)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        scalar_write(&e->writer, field, at);
        return LPX_SUCCESS;
    }
    const ProtobufCMessage *message;
    memcpy(&message, at, sizeof message);
    if (message == NULL) {
        message = message_default(e, pb_field_message(field));
    }
    return message != NULL ? message_begin(e, message) : lpx_err_of(BASE_NO_MEMORY);
}

/* An entry and its place on the wire. */
typedef struct map_row {
    const ProtobufCMessage *entry; /* first, for json_map_compare */
    size_t index;
} map_row;

static int row_compare(const void *a, const void *b)
{
    const map_row *left = a, *right = b;
    int order = json_map_compare(left, right);
    if (order != 0) {
        return order;
    }
    return left->index < right->index ? -1 : left->index > right->index;
}

/* Put the entries in the order of their keys; of those with one key the last counts, as protobuf has it. */
static lpx_err map_sort(encoder *e, frame *f)
{
    map_row *rows = lpx_arena_array(&e->scratch, f->count, sizeof *rows);
    const ProtobufCMessage **sorted = lpx_arena_array(&e->scratch, f->count, sizeof *sorted);
    if (rows == NULL || sorted == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < f->count; i++) {
        memcpy(&rows[i].entry, f->items + i * sizeof rows[i].entry, sizeof rows[i].entry);
        rows[i].index = i;
    }
    qsort(rows, f->count, sizeof *rows, row_compare);
    size_t count = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (i + 1 == f->count || json_map_compare(&rows[i], &rows[i + 1]) != 0) {
            sorted[count++] = rows[i].entry;
        }
    }
    f->items = (const uint8_t *)sorted;
    f->count = count;
    return LPX_SUCCESS;
}

static lpx_err container_begin(encoder *e, frame *f, const ProtobufCFieldDescriptor *field)
{
    f->field = field;
    f->count = pb_field_quantifier(f->message, field);
    f->next_item = 0;
    f->map = pb_field_is_map(f->message->descriptor, field);
    memcpy(&f->items, pb_field_get(f->message, field), sizeof f->items);
    name_write(e, field);
    if (!f->map) {
        json_write_array(&e->writer);
        return LPX_SUCCESS;
    }
    json_write_object(&e->writer);
    return f->count > 1 ? map_sort(e, f) : LPX_SUCCESS;
}

/* Keys are always text in JSON. */
static void map_key_write(encoder *e, const ProtobufCMessage *entry)
{
    const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];
    const void *at = pb_field_get(entry, key);
    char number[24];
    if (key->type == PROTOBUF_C_TYPE_STRING) {
        const char *text;
        memcpy(&text, at, sizeof text);
        json_write_key(&e->writer, lpx_str_of(text));
    } else if (key->type == PROTOBUF_C_TYPE_BOOL) {
        json_write_key(&e->writer, signed_get(at, 4) != 0 ? LPX_STR("true") : LPX_STR("false"));
    } else {
        bool is_unsigned = key->type == PROTOBUF_C_TYPE_UINT32 || key->type == PROTOBUF_C_TYPE_UINT64 ||
                           key->type == PROTOBUF_C_TYPE_FIXED32 || key->type == PROTOBUF_C_TYPE_FIXED64;
        json_write_key(&e->writer, number_text(at, pb_type_size(key->type), !is_unsigned, number));
    }
}

static lpx_err item_step(encoder *e, frame *f)
{
    if (f->next_item == f->count) {
        if (f->map) {
            json_write_object_end(&e->writer);
        } else {
            json_write_array_end(&e->writer);
        }
        f->field = NULL;
        return LPX_SUCCESS;
    }
    const uint8_t *at = f->items + f->next_item * pb_type_size(f->field->type);
    f->next_item++;
    if (!f->map) {
        return value_write(e, f->field, at);
    }
    const ProtobufCMessage *entry;
    memcpy(&entry, at, sizeof entry);
    map_key_write(e, entry);
    const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
    return value_write(e, value, pb_field_get(entry, value));
}

static lpx_err field_step(encoder *e, frame *f)
{
    const ProtobufCMessageDescriptor *desc = f->message->descriptor;
    if (f->next_field == desc->n_fields) {
        json_write_object_end(&e->writer);
        e->depth--;
        return LPX_SUCCESS;
    }
    const ProtobufCFieldDescriptor *field = &desc->fields[f->next_field++];
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        bool wanted = e->style.emit_defaults || pb_field_quantifier(f->message, field) > 0;
        return wanted ? container_begin(e, f, field) : LPX_SUCCESS;
    }
    bool message = field->type == PROTOBUF_C_TYPE_MESSAGE;
    bool has_default = !message && !pb_field_in_oneof(field) && field->label == PROTOBUF_C_LABEL_NONE;
    if (message && e->style.emit_nulls && !pb_field_in_oneof(field) && !pb_field_is_set(f->message, field)) {
        name_write(e, field);
        json_write_null(&e->writer);
        return LPX_SUCCESS;
    }
    if (!pb_field_is_set(f->message, field) && !(e->style.emit_defaults && has_default)) {
        return LPX_SUCCESS;
    }
    name_write(e, field);
    return value_write(e, field, pb_field_get(f->message, field));
}

LPX_RESULT protojson_encode(const ProtobufCMessage *message, protojson_style style, lpx_buf *buf)
{
    encoder e = {.style = style};
    json_writer_init(&e.writer, buf, style.multiline ? 2 : 0);
    lpx_arena_init(&e.scratch, PROTOJSON_SORT_MAX_BYTES);
    lpx_err err = message_begin(&e, message);
    while (e.depth > 0 && !lpx_failed(err) && !lpx_buf_failed(buf)) {
        frame *f = &e.frames[e.depth - 1];
        err = f->field != NULL ? item_step(&e, f) : field_step(&e, f);
    }
    lpx_arena_fini(&e.scratch);
    if (lpx_failed(err)) {
        return err;
    }
    return lpx_buf_failed(buf) ? lpx_err_of(BASE_NO_ROOM) : LPX_SUCCESS;
}
