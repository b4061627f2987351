/* Fields of protobuf-c messages by their descriptors. For this folder's codecs only. Level 1.
 *
 * What protobuf-c 1.4 does: a singular proto3 field has the label NONE; a member of a oneof has the flag ONEOF and its
 * quantifier is the number of the member that is set; an optional scalar has a bool as quantifier; a repeated field has
 * a size_t and the field is a pointer to its items; a map is a repeated message. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"

/** Where a field of a message lies. */
static inline void *pb_field_ptr(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *)message + field->offset;
}

/** The same for reading. */
static inline const void *pb_field_get(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (const char *)message + field->offset;
}

/** Quantifier as a number: items, number of the oneof's member, or presence. */
size_t pb_field_quantifier(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/** Set the quantifier of a singular field that got a value. */
void pb_field_mark(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/** Is the field a member of a oneof? */
bool pb_field_in_oneof(const ProtobufCFieldDescriptor *field);
/** Descriptor of the messages of a message field. */
const ProtobufCMessageDescriptor *pb_field_message(const ProtobufCFieldDescriptor *field);
/** Is it a map field of this message? protoc names the entry's type after the field. */
bool pb_field_is_map(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *field);
/** Bytes of one value in memory. */
size_t pb_type_size(ProtobufCType type);
/** A submessage that a singular message field holds; NULL when absent. */
const ProtobufCMessage *pb_field_submessage(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/** Does the singular field hold a value: a oneof's member that is set, a message that is there, else not the default?
 */
bool pb_field_is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
