/* States of topics: the rows of a list, encoded, in the order of their identities; and what changed between two states.
 * Immutable once finished and shared between loops by reference count. Pure. */
#pragma once
#include "base/buf.h"
#include "codec/pb/pb.h"

typedef struct control_state control_state;

/** One row: its identity is a message of the same type in which only the identifying fields are set. */
typedef struct control_row {
    lpx_bytes identity, body; /* body is empty when the row is gone */
    bool gone;                /* in changes */
} control_row;

/** Begin a state with one reference; NULL when memory is short. */
control_state *control_state_new(size_t max_bytes);
/** Add a row. @param identity_fields bit N: field N belongs to the identity
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY, CONTROL_TOPIC_TOO_LARGE */
LPX_RESULT control_state_add(control_state *state, const ProtobufCMessage *message, uint32_t identity_fields);
/** No more rows: sort; of several with one identity the first stays. */
void control_state_finish(control_state *state);
/** What turns the one finished state into the other, in the order of identities: a finished state, maybe without rows.
 * NULL when memory is short. */
control_state *control_state_changes(const control_state *from, const control_state *to);
/** One reference more; answers its argument. @thread any */
control_state *control_state_ref(control_state *state);
/** One reference less, the last frees; clears the pointer; accepts NULL. @thread any */
void control_state_unref(control_state **state);
/** Number of rows. */
size_t control_state_count(const control_state *state);
/** Bytes of all rows. */
size_t control_state_bytes(const control_state *state);
/** Row number index, below the count; valid while a reference is held. */
control_row control_state_row(const control_state *state, size_t index);
/** Who of so many gets a row: the same for one identity while the number stays. */
unsigned control_row_share(const control_row *row, unsigned of);
