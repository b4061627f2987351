/* Numbers in the order of their times, then of the numbers: the newest change is last. What changes leaves a hole and
 * goes to the end; holes are closed when they are more than the rest. Private to this folder. Pure. */
#pragma once
#include "base/bytes.h"
#include "base/time.h"

/** Fields are private; all zero is empty. */
typedef struct mapper_order {
    int64_t *times;
    uint32_t *numbers; /* with a mark on holes */
    size_t count, room, holes;
} mapper_order;

/** Free the content. */
void mapper_order_fini(mapper_order *order);
/** Make room for one more. @return false when the heap is exhausted */
bool mapper_order_reserve(mapper_order *order);
/** Add a number that is not there, and below 2^31; there is room. Times mostly rise: an early one costs a move of all
 * later ones. */
void mapper_order_add(mapper_order *order, lpx_utc time, uint32_t number);
/** Remove a number that is there with this time. */
void mapper_order_remove(mapper_order *order, lpx_utc time, uint32_t number);

/** A place between two numbers; it stays right whatever changes. */
typedef struct mapper_place {
    int64_t time;
    uint64_t number; /* the next one is this, or later */
} mapper_place;

/** The place before the first number of this time or later. */
static inline mapper_place mapper_order_since(lpx_utc time)
{
    return (mapper_place){.time = time.us};
}

/** Position of a place, for mapper_order_at; until the next change. */
size_t mapper_order_seek(const mapper_order *order, mapper_place place);
/** The number at a position or behind it; moves the position and the place behind it. @return false at the end */
bool mapper_order_at(const mapper_order *order, size_t *position, mapper_place *place, uint32_t *number);
