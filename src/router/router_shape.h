/* Shapes of messages: small tables, made once from the descriptors of protobuf-c, by which serialised messages are read
 * in place, without decoding, memory or recursion deeper than the schema. Level 6; pure. Thread: any, once made.
 *
 * A shape knows the common form of a message only: each singular field at most once, one member of a oneof, no unknown
 * fields, tags of one byte. What has this form is read, and pb_decode would take it too and find the same; of all else
 * router_shape_read says that it is not its own, and the caller decodes it. It never refuses a message. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"

enum { ROUTER_SHAPE_SLOTS = 48 };

/** A field whose place is wanted: names from the outermost message on, as in "message.phy_payload.plain". Several may
 * have one slot if a message cannot have more than one of them. Slot 0 is nobody's. */
typedef struct router_shape_path {
    const char *path;
    uint8_t slot;
} router_shape_path;

/** Where a field was found, in the message that was read. */
typedef struct router_slot {
    const uint8_t *from; /* its tag */
    const uint8_t *ptr;  /* its content: text, bytes, a message */
    uint64_t value;      /* bytes of the content; of a number, the number itself */
} router_slot;

/** What was found; a slot counts only if its bit is set in present. */
typedef struct router_slots {
    uint64_t present;
    router_slot at[ROUTER_SHAPE_SLOTS];
} router_slots;

typedef struct router_shape router_shape;

/** New shape of a message whose schema is not recursive, with field numbers up to 15.
 * @param paths each must name a field; of repeated fields the last is found
 * @return NULL when memory is short */
router_shape *router_shape_new(const ProtobufCMessageDescriptor *desc, const router_shape_path *paths, size_t count);
/** Free; clears the pointer, accepts NULL. */
void router_shape_free(router_shape **shape);

/** Read a message of at most ROUTER_SCAN_MAX_BYTES.
 * @param in  borrowed; slots point into it
 * @return false: it is larger, not of the common form, or not well-formed; *out is of no use then */
bool router_shape_read(const router_shape *shape, lpx_bytes in, router_slots *out);

/** Was it there? */
static inline bool router_slot_has(const router_slots *slots, unsigned slot)
{
    return (slots->present >> slot & 1) != 0;
}

/** A number, 0 when absent. */
static inline uint64_t router_slot_number(const router_slots *slots, unsigned slot)
{
    return router_slot_has(slots, slot) ? slots->at[slot].value : 0;
}

/** Content of a length-delimited field, empty when absent. */
static inline lpx_bytes router_slot_bytes(const router_slots *slots, unsigned slot)
{
    const router_slot *s = &slots->at[slot];
    return router_slot_has(slots, slot) ? lpx_bytes_of(s->ptr, (size_t)s->value) : (lpx_bytes){NULL, 0};
}

/** The same as text. */
static inline lpx_str router_slot_text(const router_slots *slots, unsigned slot)
{
    return lpx_bytes_str(router_slot_bytes(slots, slot));
}

/** A whole length-delimited field with its tag, empty when absent. */
static inline lpx_bytes router_slot_field(const router_slots *slots, unsigned slot)
{
    const router_slot *s = &slots->at[slot];
    return router_slot_has(slots, slot) ? lpx_bytes_of(s->from, (size_t)(s->ptr - s->from) + (size_t)s->value)
                                        : (lpx_bytes){NULL, 0};
}
