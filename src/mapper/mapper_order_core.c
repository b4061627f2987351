#include "mapper/mapper_order_core.h"

#include <stdlib.h>

#include "base/assert.h"

enum { FIRST_ROOM = 64, HOLES_MIN = 1024 };

#define HOLE (UINT32_C(1) << 31)

void mapper_order_fini(mapper_order *order)
{
    free(order->times);
    free(order->numbers);
    *order = (mapper_order){.times = NULL};
}

bool mapper_order_reserve(mapper_order *order)
{
    if (order->count < order->room) {
        return true;
    }
    size_t room = order->room > 0 ? order->room + order->room / 2 : FIRST_ROOM;
    int64_t *times = realloc(order->times, room * sizeof *times);
    if (times == NULL) {
        return false;
    }
    order->times = times;
    uint32_t *numbers = realloc(order->numbers, room * sizeof *numbers);
    if (numbers == NULL) {
        return false;
    }
    order->numbers = numbers;
    order->room = room;
    return true;
}

size_t mapper_order_seek(const mapper_order *order, mapper_place place)
{
    size_t low = 0;
    size_t high = order->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool before = order->times[middle] < place.time ||
                      (order->times[middle] == place.time && (order->numbers[middle] & ~HOLE) < place.number);
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low;
}

/* Is this number, or its hole, at the position? */
static bool is_at(const mapper_order *order, size_t at, lpx_utc time, uint32_t number)
{
    return at < order->count && order->times[at] == time.us && (order->numbers[at] & ~HOLE) == number;
}

void mapper_order_add(mapper_order *order, lpx_utc time, uint32_t number)
{
    size_t at = mapper_order_seek(order, (mapper_place){time.us, number});
    if (is_at(order, at, time, number)) {
        lpx_assert((order->numbers[at] & HOLE) != 0);
        order->numbers[at] = number;
        order->holes--;
        return;
    }
    lpx_assert(order->count < order->room && number < HOLE);
    memmove(order->times + at + 1, order->times + at, (order->count - at) * sizeof *order->times);
    memmove(order->numbers + at + 1, order->numbers + at, (order->count - at) * sizeof *order->numbers);
    order->times[at] = time.us;
    order->numbers[at] = number;
    order->count++;
}

static void close_holes(mapper_order *order)
{
    size_t kept = 0;
    for (size_t i = 0; i < order->count; i++) {
        if ((order->numbers[i] & HOLE) == 0) {
            order->times[kept] = order->times[i];
            order->numbers[kept++] = order->numbers[i];
        }
    }
    order->count = kept;
    order->holes = 0;
}

void mapper_order_remove(mapper_order *order, lpx_utc time, uint32_t number)
{
    size_t at = mapper_order_seek(order, (mapper_place){time.us, number});
    lpx_assert(is_at(order, at, time, number) && (order->numbers[at] & HOLE) == 0);
    order->numbers[at] |= HOLE;
    order->holes++;
    if (order->holes > HOLES_MIN && order->holes > order->count / 2) {
        close_holes(order);
    }
}

bool mapper_order_at(const mapper_order *order, size_t *position, mapper_place *place, uint32_t *number)
{
    size_t at = *position;
    while (at < order->count && (order->numbers[at] & HOLE) != 0) {
        at++;
    }
    *position = at;
    if (at >= order->count) {
        return false;
    }
    *number = order->numbers[at];
    *place = (mapper_place){order->times[at], (uint64_t)*number + 1};
    *position = at + 1;
    return true;
}
