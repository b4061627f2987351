/* protojson by one interpreter over protobuf-c descriptors. Reads camelCase and snake_case names, bytes as base64 or
 * base64url, 64-bit integers as strings or numbers, enums by name or number, Timestamp, Duration, wrappers, maps; an
 * unknown field is an error with its path. Level 1. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"

/** How to print. */
typedef struct protojson_style {
    bool emit_defaults; /* unpopulated scalar and repeated fields too (oneof members and submessages only if set) */
    bool emit_nulls;    /* unset submessages outside of oneofs as null, as Go's protojson does for unpopulated fields */
    bool snake_case;    /* field names as in the .proto file instead of camelCase */
    bool multiline;     /* 2-space indent */
} protojson_style;

/** Decode one JSON object.
 * @err INVALID_ARGUMENT: JSON_MALFORMED (line and column), JSON_UNKNOWN_FIELD, JSON_BAD_VALUE (path and what would be
 *      right); RESOURCE_EXHAUSTED: BASE_NO_MEMORY, JSON_TOO_DEEP */
LPX_RESULT protojson_decode(const ProtobufCMessageDescriptor *desc, lpx_str text, lpx_arena *arena,
                            ProtobufCMessage **out, lpx_note *note);
/** Append the message as JSON to buf. @err INTERNAL: BASE_NO_ROOM; INVALID_ARGUMENT: JSON_BAD_VALUE (a Timestamp out of
 * range) */
LPX_RESULT protojson_encode(const ProtobufCMessage *message, protojson_style style, lpx_buf *buf);

/** Split a stream of concatenated JSON values (white space between them is optional).
 * @param pending bytes read so far; *value_len gets the length of the first whole value with leading space
 * @return false when no whole value is there yet
 * @err through *bad: true when no continuation can make it JSON (unbalanced closing bracket, text that begins no value)
 */
bool protojson_next_value(lpx_str pending, size_t *value_len, bool *bad);
