#include "codec/pb/pb_field.h"

size_t pb_field_quantifier(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *at = (const char *)message + field->quantifier_offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count;
        memcpy(&count, at, sizeof count);
        return count;
    }
    uint32_t number; /* the enum of a oneof and protobuf_c_boolean have this size */
    memcpy(&number, at, sizeof number);
    return number;
}

void pb_field_mark(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    char *at = (char *)message + field->quantifier_offset;
    if (pb_field_in_oneof(field)) {
        memcpy(at, &field->id, sizeof field->id);
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset != 0) {
        memcpy(at, &(protobuf_c_boolean){1}, sizeof(protobuf_c_boolean));
    }
}

bool pb_field_in_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

const ProtobufCMessageDescriptor *pb_field_message(const ProtobufCFieldDescriptor *field)
{
    return field->descriptor;
}

/* Does type_name spell field_name in camel case with "Entry" after it? */
static bool is_entry_name(const char *type_name, const char *field_name)
{
    bool upper = true;
    for (; *field_name != '\0'; field_name++) {
        char c = *field_name;
        if (c == '_') {
            upper = true;
            continue;
        }
        if (upper && c >= 'a' && c <= 'z') {
            c = (char)(c - 'a' + 'A');
        }
        if (*type_name++ != c) {
            return false;
        }
        upper = false;
    }
    return strcmp(type_name, "Entry") == 0;
}

bool pb_field_is_map(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *field)
{
    if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return false;
    }
    const ProtobufCMessageDescriptor *entry = pb_field_message(field);
    size_t len = strlen(desc->name);
    return entry->n_fields == 2 && entry->fields[0].id == 1 && strcmp(entry->fields[0].name, "key") == 0 &&
           entry->fields[1].id == 2 && strcmp(entry->fields[1].name, "value") == 0 &&
           strncmp(entry->name, desc->name, len) == 0 && entry->name[len] == '.' &&
           is_entry_name(entry->name + len + 1, field->name);
}

size_t pb_type_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    return 0;
}

const ProtobufCMessage *pb_field_submessage(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessage *sub;
    if (pb_field_in_oneof(field) && pb_field_quantifier(message, field) != field->id) {
        return NULL;
    }
    memcpy(&sub, pb_field_get(message, field), sizeof sub);
    return sub;
}

/* Has the field anything but zero bits, an empty text or empty bytes? */
static bool is_not_default(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const void *at = pb_field_get(message, field);
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text;
        memcpy(&text, at, sizeof text);
        return text != NULL && text[0] != '\0';
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData bytes;
        memcpy(&bytes, at, sizeof bytes);
        return bytes.len > 0;
    }
    static const uint8_t zeros[8] = {0};
    return memcmp(at, zeros, pb_type_size(field->type)) != 0;
}

bool pb_field_is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return pb_field_submessage(message, field) != NULL;
    }
    if (pb_field_in_oneof(field)) {
        return pb_field_quantifier(message, field) == field->id;
    }
    if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING) {
        return pb_field_quantifier(message, field) != 0;
    }
    return is_not_default(message, field);
}
