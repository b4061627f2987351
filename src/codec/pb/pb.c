/* Before protobuf-c sees a message, one pass over the wire checks its structure, its depth and its texts, so that notes
 * can name the field and protobuf-c's recursion is bounded. Then protobuf-c decodes into the arena. */
#include "codec/pb/pb.h"

#include <stdio.h>

#include "base/reader.h"
#include "base/text.h"
#include "codec/limits.h"
#include "codec/pb/pb_field.h"
#include "lpx_reasons.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5, FIELD_NUMBER_MAX = 536870911 };

/* ---- checking the wire ---- */

typedef struct check_frame {
    const ProtobufCMessageDescriptor *desc;
    const ProtobufCFieldDescriptor *field; /* that is being read; NULL when unknown */
    lpx_reader reader;
    size_t start; /* offset of its first byte in the whole message */
} check_frame;

typedef struct check {
    check_frame frames[PB_MAX_DEPTH];
    size_t depth;
} check;

/* Names of the fields down to the one that is being read: "message.phy_payload". */
static const char *check_path(const check *c, char out[static PROTOJSON_PATH_BYTES])
{
    size_t len = 0;
    (void)snprintf(out, PROTOJSON_PATH_BYTES, "%s", c->frames[0].desc->short_name);
    for (size_t i = 0; i < c->depth && len < PROTOJSON_PATH_BYTES; i++) {
        const ProtobufCFieldDescriptor *field = c->frames[i].field;
        if (field != NULL) {
            int put = snprintf(out + len, PROTOJSON_PATH_BYTES - len, "%s%s", len > 0 ? "." : "", field->name);
            len += (size_t)put;
        }
    }
    return out;
}

static lpx_err check_fail(const check *c, lpx_note *note, uint16_t reason, const char *what)
{
    char path[PROTOJSON_PATH_BYTES];
    const check_frame *top = &c->frames[c->depth - 1];
    size_t at = top->start + (top->reader.failed ? top->reader.fail_offset : lpx_reader_offset(&top->reader));
    return lpx_fail(note, reason, "%s: %s at byte %zu.", check_path(c, path), what, at);
}

static bool is_packable(ProtobufCType type)
{
    return type != PROTOBUF_C_TYPE_STRING && type != PROTOBUF_C_TYPE_BYTES && type != PROTOBUF_C_TYPE_MESSAGE;
}

static unsigned wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL:
        return WIRE_VARINT;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_LEN;
    }
    return WIRE_LEN;
}

static bool wire_fits(const ProtobufCFieldDescriptor *field, unsigned wire)
{
    bool packed = wire == WIRE_LEN && field->label == PROTOBUF_C_LABEL_REPEATED && is_packable(field->type);
    return packed || wire == wire_of(field->type);
}

/* Content of a length-delimited field: text is checked, a message is entered. */
static lpx_err check_len(check *c, lpx_note *note)
{
    check_frame *top = &c->frames[c->depth - 1];
    uint64_t len = lpx_reader_varint(&top->reader);
    size_t start = top->start + lpx_reader_offset(&top->reader);
    lpx_bytes content = lpx_reader_take(&top->reader, len < SIZE_MAX ? (size_t)len : SIZE_MAX);
    if (top->reader.failed) {
        return check_fail(c, note, PB_MALFORMED, "a length is longer than what is left");
    }
    if (top->field == NULL) {
        return LPX_SUCCESS;
    }
    if (top->field->type == PROTOBUF_C_TYPE_STRING) {
        bool good = lpx_utf8_valid(content) && (content.len == 0 || memchr(content.ptr, 0, content.len) == NULL);
        return good ? LPX_SUCCESS : check_fail(c, note, PB_NOT_UTF8, "text must be UTF-8 without NUL; its field ends");
    }
    if (top->field->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (c->depth == PB_MAX_DEPTH) {
            return check_fail(c, note, PB_MALFORMED, "more messages inside each other than are allowed");
        }
        c->frames[c->depth] = (check_frame){.desc = pb_field_message(top->field), .start = start};
        lpx_reader_init(&c->frames[c->depth].reader, content);
        c->depth++;
    }
    return LPX_SUCCESS;
}

/* One field of the innermost message. */
static lpx_err check_field(check *c, lpx_note *note)
{
    check_frame *top = &c->frames[c->depth - 1];
    top->field = NULL;
    uint64_t tag = lpx_reader_varint(&top->reader);
    uint64_t number = tag >> 3;
    unsigned wire = (unsigned)(tag & 7);
    if (top->reader.failed || number == 0 || number > FIELD_NUMBER_MAX) {
        return check_fail(c, note, PB_MALFORMED, "no valid field number");
    }
    top->field = protobuf_c_message_descriptor_get_field(top->desc, (unsigned)number);
    if (top->field != NULL && !wire_fits(top->field, wire)) {
        return check_fail(c, note, PB_MALFORMED, "a wire type that is not the field's");
    }
    if (wire == WIRE_LEN) {
        return check_len(c, note);
    }
    if (wire == WIRE_VARINT) {
        (void)lpx_reader_varint(&top->reader);
    } else if (wire == WIRE_64) {
        (void)lpx_reader_u64le(&top->reader);
    } else if (wire == WIRE_32) {
        (void)lpx_reader_u32le(&top->reader);
    } else {
        return check_fail(c, note, PB_MALFORMED, "a wire type that does not exist in proto3");
    }
    return top->reader.failed ? check_fail(c, note, PB_MALFORMED, "a value that is cut off") : LPX_SUCCESS;
}

static lpx_err check_wire(const ProtobufCMessageDescriptor *desc, lpx_bytes in, lpx_note *note)
{
    check c;
    c.depth = 1;
    c.frames[0] = (check_frame){.desc = desc};
    lpx_reader_init(&c.frames[0].reader, in);
    while (c.depth > 0) {
        if (lpx_reader_left(&c.frames[c.depth - 1].reader) == 0) {
            c.depth--;
        } else {
            LPX_TRY(check_field(&c, note));
        }
    }
    return LPX_SUCCESS;
}

/* ---- decoding and encoding ---- */

typedef struct pb_memory {
    lpx_arena *arena;
    bool full;
} pb_memory;

static void *memory_alloc(void *ctx, size_t size)
{
    pb_memory *memory = ctx;
    void *ptr = lpx_arena_get(memory->arena, size);
    memory->full = memory->full || ptr == NULL;
    return ptr;
}

static void memory_free(void *ctx, void *ptr)
{
    (void)ctx;
    (void)ptr;
}

LPX_RESULT pb_decode(const ProtobufCMessageDescriptor *desc, lpx_bytes in, lpx_arena *arena, ProtobufCMessage **out,
                     lpx_note *note)
{
    LPX_TRY(check_wire(desc, in, note));
    pb_memory memory = {.arena = arena};
    ProtobufCAllocator allocator = {.alloc = memory_alloc, .free = memory_free, .allocator_data = &memory};
    ProtobufCMessage *message =
        protobuf_c_message_unpack(desc, &allocator, in.len, in.len > 0 ? in.ptr : (const uint8_t *)"");
    if (message != NULL) {
        *out = message;
        return LPX_SUCCESS;
    }
    if (memory.full) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    return lpx_fail(note, PB_MALFORMED, "%s is not well-formed protobuf.", desc->short_name);
}

LPX_RESULT pb_encode(const ProtobufCMessage *message, lpx_arena *arena, lpx_bytes *out)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *room = lpx_arena_get(arena, len);
    if (room == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = (lpx_bytes){room, protobuf_c_message_pack(message, room)};
    return LPX_SUCCESS;
}

void pb_append(const ProtobufCMessage *message, lpx_buf *buf)
{
    uint8_t *room = lpx_buf_reserve(buf, protobuf_c_message_get_packed_size(message));
    if (room != NULL) {
        lpx_buf_grown(buf, protobuf_c_message_pack(message, room));
    }
}

/* ---- fields by path ---- */

/* Descriptor of the last field on a path, and the message that holds it (NULL when one on the way is absent). NULL when
 * the path is wrong. */
static const ProtobufCFieldDescriptor *path_find(const ProtobufCMessage **message, const char *path)
{
    const ProtobufCMessageDescriptor *desc = (*message)->descriptor;
    for (;;) {
        char name[PROTOJSON_PATH_BYTES];
        size_t len = strcspn(path, ".");
        if (len >= sizeof name) {
            return NULL;
        }
        memcpy(name, path, len);
        name[len] = '\0';
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(desc, name);
        if (field == NULL || field->label == PROTOBUF_C_LABEL_REPEATED) {
            return NULL;
        }
        if (path[len] == '\0') {
            return field;
        }
        if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
            return NULL;
        }
        *message = *message != NULL ? pb_field_submessage(*message, field) : NULL;
        desc = pb_field_message(field);
        path += len + 1;
    }
}

/* Integer, bool or enum; numbers below zero as their two's complement of 64 bits. */
static bool number_get(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, uint64_t *out)
{
    int32_t i32;
    uint32_t u32;
    const void *at = pb_field_get(message, field);
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL:
        memcpy(&i32, at, sizeof i32);
        *out = (uint64_t)(int64_t)i32;
        return true;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        memcpy(&u32, at, sizeof u32);
        *out = u32;
        return true;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        memcpy(out, at, sizeof *out);
        return true;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return false;
    }
    return false;
}

bool pb_get_uint(const ProtobufCMessage *message, const char *path, uint64_t *out)
{
    const ProtobufCFieldDescriptor *field = path_find(&message, path);
    if (field == NULL || wire_of(field->type) == WIRE_LEN || field->type == PROTOBUF_C_TYPE_FLOAT ||
        field->type == PROTOBUF_C_TYPE_DOUBLE) {
        return false;
    }
    if (message == NULL || !pb_field_is_set(message, field)) {
        *out = 0;
        return true;
    }
    return number_get(message, field, out);
}

bool pb_get_text(const ProtobufCMessage *message, const char *path, lpx_str *out)
{
    const ProtobufCFieldDescriptor *field = path_find(&message, path);
    if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING) {
        return false;
    }
    const char *text = NULL;
    if (message != NULL && pb_field_is_set(message, field)) {
        memcpy(&text, pb_field_get(message, field), sizeof text);
    }
    *out = lpx_str_of(text);
    return true;
}

bool pb_has(const ProtobufCMessage *message, const char *path)
{
    const ProtobufCFieldDescriptor *field = path_find(&message, path);
    return field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE && message != NULL &&
           pb_field_submessage(message, field) != NULL;
}

lpx_str pb_str(const char *field)
{
    return lpx_str_of(field);
}

lpx_bytes pb_bytes(ProtobufCBinaryData field)
{
    return (lpx_bytes){.ptr = field.data, .len = field.len};
}
