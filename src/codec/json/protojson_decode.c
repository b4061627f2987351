/* JSON to messages: tokens come one by one, and a stack of frames (a message, a list or a map that is open) says what
 * the next one belongs to. */
#include <math.h>
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

typedef enum frame_kind { FRAME_MESSAGE, FRAME_LIST, FRAME_MAP } frame_kind;

typedef struct frame {
    frame_kind kind;
    ProtobufCMessage *message;             /* that is being filled, or that holds the list or map */
    const ProtobufCFieldDescriptor *field; /* the list's or map's */
    lpx_str label;                         /* name of the present member, for notes */
    uint8_t *items;
    size_t count, room;
    uint64_t seen[PROTOJSON_MAX_FIELDS / 64]; /* fields that came already, by index */
} frame;

typedef struct decoder {
    json_reader reader;
    json_token token;
    lpx_arena *arena;
    lpx_note *note;
    frame frames[JSON_MAX_DEPTH];
    size_t depth;
    size_t levels; /* messages inside each other on the wire; the entry of a map is one */
} decoder;

/* ---- notes ---- */

/* "message.rx[2].frequency" for the value that is being read. */
static const char *path_print(const decoder *d, char out[static PROTOJSON_PATH_BYTES])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < d->depth && len < PROTOJSON_PATH_BYTES; i++) {
        const frame *f = &d->frames[i];
        int label_len = (int)(f->label.len < 60 ? f->label.len : 60);
        int put = 0;
        if (f->kind == FRAME_LIST) {
            put = snprintf(out + len, PROTOJSON_PATH_BYTES - len, "[%zu]", f->count - 1);
        } else if (f->kind == FRAME_MAP) {
            put = snprintf(out + len, PROTOJSON_PATH_BYTES - len, "[\"%.*s\"]", label_len, f->label.ptr);
        } else {
            put =
                snprintf(out + len, PROTOJSON_PATH_BYTES - len, "%s%.*s", len > 0 ? "." : "", label_len, f->label.ptr);
        }
        len += (size_t)put;
    }
    return out;
}

static lpx_err bad_value(decoder *d, const char *want)
{
    char path[PROTOJSON_PATH_BYTES];
    return lpx_fail(d->note, JSON_BAD_VALUE, "%s (line %u, column %u): want %s.",
                    d->depth > 0 ? path_print(d, path) : "The value", d->token.line, d->token.column, want);
}

static lpx_err unknown_field(decoder *d, const ProtobufCMessageDescriptor *desc)
{
    char path[PROTOJSON_PATH_BYTES], name[JSON_NAME_BYTES];
    const ProtobufCFieldDescriptor *nearest = json_field_nearest(desc, d->token.text);
    (void)path_print(d, path);
    if (nearest == NULL) {
        return lpx_fail(d->note, JSON_UNKNOWN_FIELD, "%s (line %u, column %u): %s has no such field.", path,
                        d->token.line, d->token.column, desc->short_name);
    }
    json_name_of(nearest->name, name);
    return lpx_fail(d->note, JSON_UNKNOWN_FIELD, "%s (line %u, column %u): %s has no such field; perhaps %s?", path,
                    d->token.line, d->token.column, desc->short_name, name);
}

static lpx_err twice(decoder *d, const char *what)
{
    char path[PROTOJSON_PATH_BYTES];
    return lpx_fail(d->note, JSON_BAD_VALUE, "%s (line %u, column %u): %s.", path_print(d, path), d->token.line,
                    d->token.column, what);
}

static lpx_err next_token(decoder *d)
{
    return json_read(&d->reader, &d->token, d->note);
}

/* ---- scalars ---- */

static lpx_err signed_read(decoder *d, int64_t min, int64_t max, int64_t *out)
{
    char want[80];
    bool textual = d->token.kind == JSON_KIND_NUMBER || d->token.kind == JSON_KIND_STRING;
    if (textual && json_number_i64(d->token.text, out) && *out >= min && *out <= max) {
        return LPX_SUCCESS;
    }
    (void)snprintf(want, sizeof want, "a whole number from %lld to %lld", (long long)min, (long long)max);
    return bad_value(d, want);
}

static lpx_err unsigned_read(decoder *d, uint64_t max, uint64_t *out)
{
    char want[80];
    bool textual = d->token.kind == JSON_KIND_NUMBER || d->token.kind == JSON_KIND_STRING;
    if (textual && json_number_u64(d->token.text, out) && *out <= max) {
        return LPX_SUCCESS;
    }
    (void)snprintf(want, sizeof want, "a whole number from 0 to %llu", (unsigned long long)max);
    return bad_value(d, want);
}

/* NaN and the infinities are written as text. */
static bool special_double(lpx_str text, double *out)
{
    if (lpx_str_is(text, "NaN")) {
        *out = (double)NAN;
    } else if (lpx_str_is(text, "Infinity") || lpx_str_is(text, "-Infinity")) {
        *out = text.ptr[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    } else {
        return false;
    }
    return true;
}

static lpx_err double_read(decoder *d, void *at)
{
    double value;
    bool textual = d->token.kind == JSON_KIND_NUMBER || d->token.kind == JSON_KIND_STRING;
    if (!textual || !(special_double(d->token.text, &value) || json_number_double(d->token.text, &value))) {
        return bad_value(d, "a number");
    }
    memcpy(at, &value, sizeof value);
    return LPX_SUCCESS;
}

static lpx_err float_read(decoder *d, void *at)
{
    double special;
    float value;
    bool textual = d->token.kind == JSON_KIND_NUMBER || d->token.kind == JSON_KIND_STRING;
    if (textual && special_double(d->token.text, &special)) {
        value = (float)special;
    } else if (!textual || !json_number_float(d->token.text, &value)) {
        return bad_value(d, "a number of single precision");
    }
    memcpy(at, &value, sizeof value);
    return LPX_SUCCESS;
}

static lpx_err string_read(decoder *d, void *at)
{
    if (d->token.kind != JSON_KIND_STRING) {
        return bad_value(d, "text in double quotes");
    }
    char *text = lpx_arena_cstr(d->arena, d->token.text);
    if (text == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    memcpy(at, &text, sizeof text);
    return LPX_SUCCESS;
}

static lpx_err bytes_read(decoder *d, void *at)
{
    if (d->token.kind != JSON_KIND_STRING) {
        return bad_value(d, "base64 text in double quotes");
    }
    lpx_space room = {.len = d->token.text.len / 4 * 3 + 3};
    room.ptr = lpx_arena_get(d->arena, room.len);
    if (room.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    int64_t len = lpx_base64_decode(d->token.text, room);
    if (len < 0) {
        return bad_value(d, "base64 text");
    }
    ProtobufCBinaryData bytes = {.len = (size_t)len, .data = room.ptr};
    memcpy(at, &bytes, sizeof bytes);
    return LPX_SUCCESS;
}

/* "one of CLASS_A, CLASS_B, CLASS_C", as far as it fits. */
static lpx_err bad_enum(decoder *d, const ProtobufCEnumDescriptor *desc)
{
    char want[90];
    size_t len = (size_t)snprintf(want, sizeof want, "one of ");
    for (unsigned i = 0; i < desc->n_values; i++) {
        const char *name = desc->values[i].name;
        if (len + strlen(name) + 8 > sizeof want) {
            (void)snprintf(want + len, sizeof want - len, ", ...");
            break;
        }
        len += (size_t)snprintf(want + len, sizeof want - len, "%s%s", i > 0 ? ", " : "", name);
    }
    return bad_value(d, want);
}

static lpx_err enum_read(decoder *d, const ProtobufCEnumDescriptor *desc, void *at)
{
    char name[JSON_NAME_BYTES];
    int64_t number;
    int32_t value;
    if (d->token.kind == JSON_KIND_NUMBER) {
        LPX_TRY(signed_read(d, INT32_MIN, INT32_MAX, &number));
        value = (int32_t)number;
    } else {
        if (d->token.kind != JSON_KIND_STRING || d->token.text.len >= sizeof name) {
            return bad_enum(d, desc);
        }
        memcpy(name, d->token.text.ptr, d->token.text.len);
        name[d->token.text.len] = '\0';
        const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value_by_name(desc, name);
        if (found == NULL) {
            return bad_enum(d, desc);
        }
        value = found->value;
    }
    memcpy(at, &value, sizeof value);
    return LPX_SUCCESS;
}

static lpx_err bool_read(decoder *d, void *at)
{
    if (d->token.kind != JSON_KIND_TRUE && d->token.kind != JSON_KIND_FALSE) {
        return bad_value(d, "true or false");
    }
    protobuf_c_boolean value = d->token.kind == JSON_KIND_TRUE;
    memcpy(at, &value, sizeof value);
    return LPX_SUCCESS;
}

static lpx_err signed_put(decoder *d, size_t size, void *at)
{
    int64_t wide;
    LPX_TRY(size == 8 ? signed_read(d, INT64_MIN, INT64_MAX, &wide) : signed_read(d, INT32_MIN, INT32_MAX, &wide));
    int32_t narrow = (int32_t)wide;
    memcpy(at, size == 8 ? (const void *)&wide : (const void *)&narrow, size);
    return LPX_SUCCESS;
}

static lpx_err unsigned_put(decoder *d, size_t size, void *at)
{
    uint64_t wide;
    LPX_TRY(unsigned_read(d, size == 8 ? UINT64_MAX : UINT32_MAX, &wide));
    uint32_t narrow = (uint32_t)wide;
    memcpy(at, size == 8 ? (const void *)&wide : (const void *)&narrow, size);
    return LPX_SUCCESS;
}

/* The present token as a value of the field's type, to at. Messages are not for here. */
static lpx_err scalar_read(decoder *d, const ProtobufCFieldDescriptor *field, void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return signed_put(d, pb_type_size(field->type), at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return unsigned_put(d, pb_type_size(field->type), at);
    case PROTOBUF_C_TYPE_FLOAT:
        return float_read(d, at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return double_read(d, at);
    case PROTOBUF_C_TYPE_BOOL:
        return bool_read(d, at);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_read(d, field->descriptor, at);
    case PROTOBUF_C_TYPE_STRING:
        return string_read(d, at);
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_read(d, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return lpx_err_of(BASE_INTERNAL);
}

/* ---- messages, lists, maps ---- */

static frame *frame_push(decoder *d, frame_kind kind, ProtobufCMessage *message)
{
    /* The reader opens at most JSON_MAX_DEPTH brackets, and each frame belongs to one. */
    lpx_assert(d->depth < JSON_MAX_DEPTH);
    frame *f = &d->frames[d->depth++];
    *f = (frame){.kind = kind, .message = message};
    d->levels += kind == FRAME_LIST ? 0 : 1;
    return f;
}

static void frame_pop(decoder *d)
{
    d->depth--;
    d->levels -= d->frames[d->depth].kind == FRAME_LIST ? 0 : 1;
}

/* What is accepted here must not be too deep as protobuf. */
static lpx_err level_check(decoder *d)
{
    char path[PROTOJSON_PATH_BYTES];
    if (d->levels < PB_MAX_DEPTH) {
        return LPX_SUCCESS;
    }
    return lpx_fail(d->note, JSON_TOO_DEEP, "%s (line %u, column %u): more than %d messages in each other.",
                    path_print(d, path), d->token.line, d->token.column, PB_MAX_DEPTH);
}

static ProtobufCMessage *message_new(decoder *d, const ProtobufCMessageDescriptor *desc)
{
    lpx_assert(desc->n_fields <= PROTOJSON_MAX_FIELDS);
    ProtobufCMessage *message = lpx_arena_get(d->arena, desc->sizeof_message);
    if (message != NULL) {
        protobuf_c_message_init(desc, message);
    }
    return message;
}

static lpx_err time_read(decoder *d, ProtobufCMessage *message, wkt_kind kind)
{
    wkt_time time;
    bool is_text = d->token.kind == JSON_KIND_STRING;
    if (kind == WKT_TIMESTAMP) {
        if (!is_text || !wkt_timestamp_read(d->token.text, &time)) {
            return bad_value(d, "a time like \"2026-01-02T03:04:05Z\"");
        }
    } else if (!is_text || !wkt_duration_read(d->token.text, &time)) {
        return bad_value(d, "a duration like \"1.5s\"");
    }
    wkt_time_set(message, time);
    return LPX_SUCCESS;
}

/* The value that begins with the present token as a message; an object is only entered. */
static lpx_err message_read(decoder *d, const ProtobufCMessageDescriptor *desc, ProtobufCMessage **out)
{
    wkt_kind kind = wkt_of(desc);
    LPX_TRY(level_check(d));
    ProtobufCMessage *message = message_new(d, desc);
    if (message == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = message;
    if (kind == WKT_WRAPPER) {
        return scalar_read(d, &desc->fields[0], pb_field_ptr(message, &desc->fields[0]));
    }
    if (kind != WKT_NONE) {
        return time_read(d, message, kind);
    }
    if (d->token.kind != JSON_KIND_OBJECT) {
        return bad_value(d, "an object");
    }
    (void)frame_push(d, FRAME_MESSAGE, message);
    return LPX_SUCCESS;
}

/* The value that begins with the present token, of the field's type, to at. */
static lpx_err value_read(decoder *d, const ProtobufCFieldDescriptor *field, void *at)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return scalar_read(d, field, at);
    }
    ProtobufCMessage *message = NULL;
    LPX_TRY(message_read(d, pb_field_message(field), &message));
    memcpy(at, &message, sizeof message);
    return LPX_SUCCESS;
}

static lpx_err container_open(decoder *d, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    bool map = pb_field_is_map(message->descriptor, field);
    if (d->token.kind != (map ? JSON_KIND_OBJECT : JSON_KIND_ARRAY)) {
        return bad_value(d, map ? "an object" : "a list");
    }
    if (map) {
        LPX_TRY(level_check(d));
    }
    frame_push(d, map ? FRAME_MAP : FRAME_LIST, message)->field = field;
    return LPX_SUCCESS;
}

/* Room for the next item of a list or map. */
static lpx_err item_add(decoder *d, frame *f, uint8_t **at)
{
    enum { FIRST_ROOM = 4 };
    size_t size = pb_type_size(f->field->type);
    if (f->count == f->room) {
        size_t room = f->room == 0 ? FIRST_ROOM : f->room * 2;
        uint8_t *items = lpx_arena_array(d->arena, room, size);
        if (items == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
        if (f->count > 0) {
            memcpy(items, f->items, f->count * size);
        }
        f->items = items;
        f->room = room;
    }
    *at = f->items + f->count * size;
    f->count++;
    return LPX_SUCCESS;
}

/* Hand the items to the message. */
static void container_close(decoder *d, frame *f)
{
    memcpy(pb_field_ptr(f->message, f->field), &f->items, sizeof f->items);
    memcpy((char *)f->message + f->field->quantifier_offset, &f->count, sizeof f->count);
    frame_pop(d);
}

static lpx_err list_step(decoder *d, frame *f)
{
    uint8_t *at = NULL;
    if (d->token.kind == JSON_KIND_ARRAY_END) {
        container_close(d, f);
        return LPX_SUCCESS;
    }
    LPX_TRY(item_add(d, f, &at));
    if (d->token.kind == JSON_KIND_NULL) {
        return bad_value(d, "a value, not null");
    }
    return value_read(d, f->field, at);
}

/* The key of an entry: what is no text is written as text. */
static lpx_err map_key_read(decoder *d, const ProtobufCFieldDescriptor *key, void *at)
{
    json_kind kind = JSON_KIND_STRING;
    if (key->type == PROTOBUF_C_TYPE_BOOL) {
        kind = lpx_str_is(d->token.text, "true")    ? JSON_KIND_TRUE
               : lpx_str_is(d->token.text, "false") ? JSON_KIND_FALSE
                                                    : JSON_KIND_STRING;
    }
    d->token.kind = kind;
    return scalar_read(d, key, at);
}

static lpx_err map_end(decoder *d, frame *f)
{
    if (f->count > 1) {
        qsort(f->items, f->count, sizeof(ProtobufCMessage *), json_map_compare);
    }
    for (size_t i = 1; i < f->count; i++) {
        const uint8_t *pair = f->items + (i - 1) * sizeof(ProtobufCMessage *);
        if (json_map_compare(pair, pair + sizeof(ProtobufCMessage *)) == 0) {
            f->label = LPX_STR("...");
            return twice(d, "the map has one key twice");
        }
    }
    container_close(d, f);
    return LPX_SUCCESS;
}

static lpx_err map_step(decoder *d, frame *f)
{
    if (d->token.kind == JSON_KIND_OBJECT_END) {
        return map_end(d, f);
    }
    const ProtobufCMessageDescriptor *desc = pb_field_message(f->field);
    uint8_t *at = NULL;
    f->label = d->token.text;
    LPX_TRY(item_add(d, f, &at));
    ProtobufCMessage *entry = message_new(d, desc);
    if (entry == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    memcpy(at, &entry, sizeof entry);
    LPX_TRY(map_key_read(d, &desc->fields[0], pb_field_ptr(entry, &desc->fields[0])));
    LPX_TRY(next_token(d));
    if (d->token.kind == JSON_KIND_NULL) {
        return bad_value(d, "a value, not null");
    }
    return value_read(d, &desc->fields[1], pb_field_ptr(entry, &desc->fields[1]));
}

static lpx_err field_value(decoder *d, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    LPX_TRY(next_token(d));
    if (d->token.kind == JSON_KIND_NULL) {
        return LPX_SUCCESS;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return container_open(d, message, field);
    }
    if (pb_field_in_oneof(field) && pb_field_quantifier(message, field) != 0) {
        return twice(d, "another member of the same oneof is set already");
    }
    pb_field_mark(message, field);
    return value_read(d, field, pb_field_ptr(message, field));
}

static lpx_err message_step(decoder *d, frame *f)
{
    if (d->token.kind == JSON_KIND_OBJECT_END) {
        frame_pop(d);
        return LPX_SUCCESS;
    }
    const ProtobufCMessageDescriptor *desc = f->message->descriptor;
    f->label = d->token.text;
    const ProtobufCFieldDescriptor *field = json_field_find(desc, d->token.text);
    if (field == NULL) {
        return unknown_field(d, desc);
    }
    size_t index = (size_t)(field - desc->fields);
    uint64_t bit = (uint64_t)1 << (index % 64);
    if ((f->seen[index / 64] & bit) != 0) {
        return twice(d, "the field is there twice");
    }
    f->seen[index / 64] |= bit;
    return field_value(d, f->message, field);
}

static lpx_err frame_step(decoder *d)
{
    frame *f = &d->frames[d->depth - 1];
    LPX_TRY(next_token(d));
    switch (f->kind) {
    case FRAME_MESSAGE:
        return message_step(d, f);
    case FRAME_LIST:
        return list_step(d, f);
    case FRAME_MAP:
        return map_step(d, f);
    }
    return lpx_err_of(BASE_INTERNAL);
}

LPX_RESULT protojson_decode(const ProtobufCMessageDescriptor *desc, lpx_str text, lpx_arena *arena,
                            ProtobufCMessage **out, lpx_note *note)
{
    decoder d = {.arena = arena, .note = note};
    ProtobufCMessage *message = NULL;
    json_reader_init(&d.reader, text, arena);
    LPX_TRY(next_token(&d));
    LPX_TRY(message_read(&d, desc, &message));
    while (d.depth > 0) {
        LPX_TRY(frame_step(&d));
    }
    LPX_TRY(next_token(&d)); /* nothing may follow */
    *out = message;
    return LPX_SUCCESS;
}
