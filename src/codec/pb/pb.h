/* Protobuf by protobuf-c, with what it leaves out: memory from an arena, UTF-8 checks, notes that name the field.
 * Level 1. Messages are Pb__<Package>__<Message> (org.packetbroker.iam.v1.X is Pb__Iam__V1__X). */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"

/** Decode one message into the arena.
 * @param in   the serialised message; bytes and strings are copied into the arena
 * @param out  written on success only
 * @err INVALID_ARGUMENT: PB_MALFORMED (note names the message), PB_NOT_UTF8 (note names the field path);
 *      RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT pb_decode(const ProtobufCMessageDescriptor *desc, lpx_bytes in, lpx_arena *arena, ProtobufCMessage **out,
                     lpx_note *note);
/** Encode a message into the arena. */
LPX_RESULT pb_encode(const ProtobufCMessage *message, lpx_arena *arena, lpx_bytes *out);
/** Append the encoded message to buf (sticky failure there). */
void pb_append(const ProtobufCMessage *message, lpx_buf *buf);
/** Value of a field by path of names ("network.net_id") as a number, 0 when a message on the way is absent.
 * @return false when the path names no integer, bool or enum field of the descriptor */
bool pb_get_uint(const ProtobufCMessage *message, const char *path, uint64_t *out);
/** Same for text fields; an absent one is empty. */
bool pb_get_text(const ProtobufCMessage *message, const char *path, lpx_str *out);
/** Is a submessage (or wrapper) on this path present? @return false also when the path is wrong */
bool pb_has(const ProtobufCMessage *message, const char *path);
/** A protobuf string field as a view (NULL is empty). */
lpx_str pb_str(const char *field);
/** A protobuf bytes field as a view. */
lpx_bytes pb_bytes(ProtobufCBinaryData field);
