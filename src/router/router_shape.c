/* The one place beside base/reader.c that reads outside bytes by pointers: it looks at each byte of each uplink, and a
 * call for each of them would cost more than all the rest. Each step compares what it wants with what is left. */
#include "router/router_shape.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "router/limits.h"

enum {
    FIELDS = 16,          /* field numbers with tags of one byte */
    NO_TAG = 0xFFFF,      /* no byte */
    MAX_NODES = 96,       /* messages of one shape: ours has 53 */
    MAX_DEPTH = 12,       /* of messages inside each other: ours have 7 */
    MAX_PATH_CHARS = 192, /* of the names of fields */
    VARINT_BYTES = 10,
};

typedef enum shape_kind { KIND_VARINT, KIND_64, KIND_32, KIND_BYTES, KIND_TEXT, KIND_MESSAGE } shape_kind;

/* One field of one message. */
typedef struct shape_field {
    uint16_t tag; /* NO_TAG: there is none of this number */
    uint8_t kind;
    uint8_t slot;   /* 0: nobody asks */
    uint16_t node;  /* KIND_MESSAGE: its fields */
    uint16_t clash; /* numbers, as bits, of fields that may not have come before it */
} shape_field;

/* One message, in one place of the schema. */
typedef struct shape_node {
    shape_field fields[FIELDS];
} shape_node;

struct router_shape {
    size_t count;
    shape_node nodes[MAX_NODES];
};

/* ---- making ---- */

/* A shape that is being made, and where in the schema. */
typedef struct maker {
    router_shape *shape;
    const router_shape_path *paths;
    size_t path_count, found;
    const char *names[MAX_DEPTH];
} maker;

static shape_kind kind_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL:
        return KIND_VARINT;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return KIND_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return KIND_64;
    case PROTOBUF_C_TYPE_STRING:
        return KIND_TEXT;
    case PROTOBUF_C_TYPE_BYTES:
        return KIND_BYTES;
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return KIND_MESSAGE;
}

static unsigned wire_of(shape_kind kind)
{
    switch (kind) {
    case KIND_VARINT:
        return 0;
    case KIND_64:
        return 1;
    case KIND_32:
        return 5;
    case KIND_BYTES:
    case KIND_TEXT:
    case KIND_MESSAGE:
        break;
    }
    return 2;
}

/* Itself and the other members of its oneof; repeated fields clash with nothing. */
static uint16_t clashes(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *field)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < desc->n_fields && field->label != PROTOBUF_C_LABEL_REPEATED; i++) {
        const ProtobufCFieldDescriptor *other = &desc->fields[i];
        bool same_oneof = (field->flags & other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
                          field->quantifier_offset == other->quantifier_offset;
        bits |= other == field || same_oneof ? 1u << other->id : 0;
    }
    return (uint16_t)bits;
}

/* Slot of the field whose names stand in m->names; 0: none. */
static uint8_t find_slot(maker *m, unsigned depth)
{
    char path[MAX_PATH_CHARS] = "";
    size_t len = 0;
    for (unsigned i = 0; i <= depth; i++) {
        int put = snprintf(path + len, sizeof path - len, "%s%s", i > 0 ? "." : "", m->names[i]);
        len += (size_t)put;
        lpx_assert(len < sizeof path);
    }
    for (size_t i = 0; i < m->path_count; i++) {
        if (strcmp(m->paths[i].path, path) == 0) {
            m->found++;
            return m->paths[i].slot;
        }
    }
    return 0;
}

/* Add a message and all below it. @return its node */
static uint16_t add_node(maker *m, const ProtobufCMessageDescriptor *desc, unsigned depth)
{
    router_shape *shape = m->shape;
    lpx_assert(shape->count < MAX_NODES && depth < MAX_DEPTH);
    uint16_t number = (uint16_t)shape->count++;
    shape_field *fields = shape->nodes[number].fields;
    for (unsigned i = 0; i < FIELDS; i++) {
        fields[i] = (shape_field){.tag = NO_TAG};
    }
    for (unsigned i = 0; i < desc->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &desc->fields[i];
        shape_kind kind = kind_of(field->type);
        bool packable = kind != KIND_TEXT && kind != KIND_BYTES && kind != KIND_MESSAGE;
        lpx_assert(field->id < FIELDS && field->label != PROTOBUF_C_LABEL_REQUIRED);
        lpx_assert(field->label != PROTOBUF_C_LABEL_REPEATED || !packable);
        m->names[depth] = field->name;
        fields[field->id] = (shape_field){
            .tag = (uint16_t)(field->id << 3 | wire_of(kind)),
            .kind = (uint8_t)kind,
            .slot = find_slot(m, depth),
            .clash = clashes(desc, field),
        };
        if (kind == KIND_MESSAGE) {
            fields[field->id].node = add_node(m, field->descriptor, depth + 1);
        }
    }
    return number;
}

router_shape *router_shape_new(const ProtobufCMessageDescriptor *desc, const router_shape_path *paths, size_t count)
{
    router_shape *shape = calloc(1, sizeof *shape);
    if (shape == NULL) {
        return NULL;
    }
    maker m = {.shape = shape, .paths = paths, .path_count = count};
    (void)add_node(&m, desc, 0);
    lpx_assert(m.found == count);
    return shape;
}

void router_shape_free(router_shape **shape)
{
    free(*shape);
    *shape = NULL;
}

/* ---- reading ---- */

/* Every step takes what is left, from at up to end, and gives the place behind what it read; NULL: it cannot. */

/* A number and the place behind it: two registers. */
typedef struct number {
    const uint8_t *behind;
    uint64_t value;
} number;

/* Little-endian; compilers make one instruction of either. */
static inline uint32_t load_32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t load_64(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

static number long_varint(const uint8_t *at, const uint8_t *end)
{
    uint64_t value = 0;
    size_t room = end - at < VARINT_BYTES ? (size_t)(end - at) : VARINT_BYTES;
    for (unsigned i = 0; i < room; i++) {
        uint64_t byte = at[i];
        value |= (byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            bool fits = i < VARINT_BYTES - 1 || byte <= 1; /* the tenth has room for one bit */
            return (number){fits ? at + i + 1 : NULL, value};
        }
    }
    return (number){NULL, 0};
}

/* Join the low seven bits of eight bytes, the lowest byte first. */
static inline uint64_t join_sevens(uint64_t bytes)
{
    bytes &= 0x7F7F7F7F7F7F7F7F;
    bytes = (bytes & 0x007F007F007F007F) | (bytes & 0x7F007F007F007F00) >> 1;
    bytes = (bytes & 0x00003FFF00003FFF) | (bytes & 0x3FFF00003FFF0000) >> 2;
    return (bytes & 0x0FFFFFFF) | (bytes & 0x0FFFFFFF00000000) >> 4;
}

static inline number take_varint(const uint8_t *at, const uint8_t *end)
{
    if (at < end && *at < 0x80) {
        return (number){at + 1, *at};
    }
    if (end - at < 8) {
        return long_varint(at, end);
    }
    uint64_t bytes = load_64(at);
    uint64_t last = ~bytes & 0x8080808080808080; /* the lowest bit: that of the last byte */
    if (last == 0) {
        return long_varint(at, end);
    }
    bytes &= last ^ (last - 1);
    return (number){at + (unsigned)__builtin_ctzll(last) / 8 + 1, join_sevens(bytes)};
}

/* A length of one or two bytes; as many bytes are left behind it. */
static inline number take_length(const uint8_t *at, const uint8_t *end)
{
    if (at == end) {
        return (number){NULL, 0};
    }
    size_t len = *at++;
    if (len >= 0x80) {
        if (at == end || *at >= 0x80) {
            return (number){NULL, 0};
        }
        len = (len & 0x7F) | (size_t)*at++ << 7;
    }
    return (number){len <= (size_t)(end - at) ? at : NULL, len};
}

static inline number take_64(const uint8_t *at, const uint8_t *end)
{
    return end - at < 8 ? (number){NULL, 0} : (number){at + 8, load_64(at)};
}

static inline number take_32(const uint8_t *at, const uint8_t *end)
{
    return end - at < 4 ? (number){NULL, 0} : (number){at + 4, load_32(at)};
}

/* Eight bytes that are ASCII and not NUL. */
static inline bool is_plain(uint64_t eight)
{
    uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    return ((eight | (eight - ones)) & highs) == 0; /* without high bits a byte borrows only if it is 0 */
}

static bool is_text(const uint8_t *at, size_t len)
{
    uint64_t eight;
    size_t i = 0;
    for (; len - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, at + i, sizeof eight);
        if (!is_plain(eight)) {
            return lpx_utf8_valid(lpx_bytes_of(at, len)) && memchr(at, 0, len) == NULL;
        }
    }
    for (; i < len; i++) {
        if (at[i] - 1U >= 0x7F) {
            return lpx_utf8_valid(lpx_bytes_of(at, len)) && memchr(at, 0, len) == NULL;
        }
    }
    return true;
}

/* A value of this kind; of a length-delimited one its length, and the place of its content. */
static inline number take_value(shape_kind kind, const uint8_t *at, const uint8_t *end)
{
    switch (kind) {
    case KIND_VARINT:
        return take_varint(at, end);
    case KIND_64:
        return take_64(at, end);
    case KIND_32:
        return take_32(at, end);
    case KIND_BYTES:
    case KIND_TEXT:
    case KIND_MESSAGE:
        break;
    }
    return take_length(at, end);
}

/* A message that is being read, around the one inside it. */
typedef struct shape_frame {
    const shape_field *fields;
    const uint8_t *end;
    unsigned seen; /* numbers of fields, as bits */
} shape_frame;

static bool read_message(const shape_node *nodes, lpx_bytes in, router_slots *out)
{
    shape_frame outer[MAX_DEPTH], now = {.fields = nodes[0].fields, .end = in.ptr + in.len};
    const uint8_t *at = in.ptr;
    unsigned depth = 0;
    uint64_t present = 0;
    for (;;) {
        while (at == now.end) {
            if (depth == 0) {
                out->present = present;
                return true;
            }
            now = outer[--depth];
        }
        const uint8_t *from = at;
        shape_field field = now.fields[*from >> 3 & (FIELDS - 1)];
        if (*from != field.tag || (now.seen & field.clash) != 0) {
            return false;
        }
        now.seen |= 1u << (*from >> 3);
        number n = take_value((shape_kind)field.kind, at + 1, now.end);
        if (n.behind == NULL || (field.kind == KIND_TEXT && !is_text(n.behind, n.value))) {
            return false;
        }
        if (field.slot != 0) {
            present |= (uint64_t)1 << field.slot;
            out->at[field.slot] = (router_slot){from, n.behind, n.value};
        }
        if (field.kind == KIND_MESSAGE) {
            outer[depth++] = now;
            now = (shape_frame){.fields = nodes[field.node].fields, .end = n.behind + n.value};
        }
        at = field.kind == KIND_BYTES || field.kind == KIND_TEXT ? n.behind + n.value : n.behind;
    }
}

bool router_shape_read(const router_shape *shape, lpx_bytes in, router_slots *out)
{
    out->present = 0;
    if (in.len == 0 || in.len > ROUTER_SCAN_MAX_BYTES) {
        return in.len == 0;
    }
    return read_message(shape->nodes, in, out);
}
