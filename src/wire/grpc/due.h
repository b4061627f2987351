/* Timers of one loop in one heap: thousands of deadlines cost one timer of the loop. Pure: time comes in. Level 4. */
#pragma once
#include "base/err.h"
#include "base/time.h"

/** One timer; lives inside its owner, all zero when it never ran. Fields are private. */
typedef struct grpc_due_node {
    int64_t at_us;
    size_t place; /* in the heap plus 1; 0: not set */
    void (*fire)(struct grpc_due_node *node);
} grpc_due_node;

/** The heap. */
typedef struct grpc_due {
    grpc_due_node **nodes;
    size_t count, room;
} grpc_due;

/** Free the heap; no timer may be set any more. */
void grpc_due_fini(grpc_due *due);
/** Fire once at this time, in place of an earlier setting. @return false when out of memory: it is not set */
bool grpc_due_set(grpc_due *due, grpc_due_node *node, lpx_mono at, void (*fire)(grpc_due_node *node));
/** Do not fire; harmless when it is not set. */
void grpc_due_clear(grpc_due *due, grpc_due_node *node);
/** When the next timer fires; INT64_MAX when none is set. */
lpx_mono grpc_due_next(const grpc_due *due);
/** Take the earliest timer that is due; it is no longer set. The caller fires it. NULL: none is due. */
grpc_due_node *grpc_due_take(grpc_due *due, lpx_mono now);
