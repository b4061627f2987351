#include "router/router_lpm.h"

#include <stdlib.h>

#include "base/assert.h"

/* ---- order ---- */

enum {
    DIGIT_BITS = 11,
    DIGIT_VALUES = 1 << DIGIT_BITS,
    START_DIGITS = (64 + DIGIT_BITS - 1) / DIGIT_BITS,
    DIGITS = START_DIGITS + 1, /* the length is the lowest */
};

static unsigned digit_of(const router_lpm_entry *e, unsigned digit)
{
    return digit == 0 ? e->length : (unsigned)(e->start >> (digit - 1) * DIGIT_BITS) & (DIGIT_VALUES - 1);
}

/* Counts of each value of a digit to places of the first entry with it. @return false when all have the same value */
static bool counts_to_places(uint32_t counts[static DIGIT_VALUES], size_t count)
{
    uint32_t place = 0;
    for (unsigned value = 0; value < DIGIT_VALUES; value++) {
        uint32_t here = counts[value];
        if (here == count) {
            return false;
        }
        counts[value] = place;
        place += here;
    }
    return true;
}

/* Radix sort from the lowest digit on, which keeps the order of equals; a digit in which all agree takes no pass. */
bool router_lpm_sort(router_lpm_entry *entries, size_t count)
{
    lpx_assert(count <= UINT32_MAX);
    uint32_t(*counts)[DIGIT_VALUES] = calloc(DIGITS, sizeof *counts);
    router_lpm_entry *other = malloc((count + 1) * sizeof *other);
    if (counts == NULL || other == NULL) {
        free(counts);
        free(other);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        for (unsigned digit = 0; digit < DIGITS; digit++) {
            counts[digit][digit_of(&entries[i], digit)]++;
        }
    }
    router_lpm_entry *from = entries, *to = other;
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        if (!counts_to_places(counts[digit], count)) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            to[counts[digit][digit_of(&from[i], digit)]++] = from[i];
        }
        router_lpm_entry *swap = from;
        from = to;
        to = swap;
    }
    if (from != entries) {
        memcpy(entries, from, count * sizeof *entries);
    }
    free(counts);
    free(other);
    return true;
}

/* ---- building ---- */

enum { LPM_DEPTH = 65 }; /* prefixes that contain each other have different lengths, 0 to 64 */

/* Prefixes that contain the present address, the longest last. */
typedef struct lpm_stack {
    uint64_t last[LPM_DEPTH]; /* highest address */
    uint32_t value[LPM_DEPTH];
    unsigned depth;
} lpm_stack;

static uint32_t stack_value(const lpm_stack *stack)
{
    return stack->depth > 0 ? stack->value[stack->depth - 1] : ROUTER_LPM_NONE;
}

/* From start on the value is this; what was said before about start itself is overruled. */
static void emit(router_lpm *lpm, uint64_t start, uint32_t value)
{
    if (lpm->count > 0 && lpm->starts[lpm->count - 1] == start) {
        lpm->count--;
    }
    if (lpm->count > 0 && lpm->values[lpm->count - 1] == value) {
        return;
    }
    lpm->starts[lpm->count] = start;
    lpm->values[lpm->count] = value;
    lpm->count++;
}

static uint64_t highest_of(router_lpm_width width)
{
    return width == ROUTER_LPM_32 ? UINT32_MAX : UINT64_MAX;
}

/* Leave the prefixes that end before start (all of them when all is true). */
static void leave(router_lpm *lpm, lpm_stack *stack, uint64_t start, bool all)
{
    while (stack->depth > 0 && (all || stack->last[stack->depth - 1] < start)) {
        uint64_t last = stack->last[stack->depth - 1];
        stack->depth--;
        if (last != highest_of(lpm->width)) {
            emit(lpm, last + 1, stack_value(stack));
        }
    }
}

static void sweep(router_lpm *lpm, const router_lpm_entry *entries, size_t count)
{
    lpm_stack stack = {.depth = 0};
    unsigned width = (unsigned)lpm->width;
    emit(lpm, 0, ROUTER_LPM_NONE);
    for (size_t i = 0; i < count; i++) {
        const router_lpm_entry *e = &entries[i];
        leave(lpm, &stack, e->start, false);
        lpx_assert(stack.depth < LPM_DEPTH && e->length <= width && e->value != ROUTER_LPM_NONE);
        uint64_t behind = e->length == width ? 0 : highest_of(lpm->width) >> e->length;
        stack.last[stack.depth] = e->start | behind;
        stack.value[stack.depth] = e->value;
        stack.depth++;
        emit(lpm, e->start, e->value);
    }
    leave(lpm, &stack, 0, true);
}

/* Make a list as short as its content; a failing realloc leaves the longer one. */
static void *shrink(void *list, size_t count, size_t size)
{
    void *shorter = realloc(list, count * size);
    return shorter != NULL ? shorter : list;
}

static void index_wide(router_lpm *lpm)
{
    size_t at = 0;
    for (uint64_t top = 0; top < ROUTER_LPM_INDEX; top++) {
        while (at + 1 < lpm->count && lpm->starts[at + 1] <= top << 48) {
            at++;
        }
        lpm->index[top] = (uint32_t)at;
    }
    lpm->index[ROUTER_LPM_INDEX] = (uint32_t)lpm->count;
    lpm->starts = shrink(lpm->starts, lpm->count, sizeof *lpm->starts);
    lpm->values = shrink(lpm->values, lpm->count, sizeof *lpm->values);
}

/* Whole starts to low bits: intervals are cut where the top bits change. */
static bool index_narrow(router_lpm *lpm)
{
    size_t room = lpm->count + ROUTER_LPM_INDEX, count = 0;
    uint16_t *lows = malloc(room * sizeof *lows);
    uint32_t *values = malloc(room * sizeof *values);
    if (lows == NULL || values == NULL) {
        free(lows);
        free(values);
        return false;
    }
    size_t at = 0;
    for (uint64_t top = 0; top < ROUTER_LPM_INDEX; top++) {
        lpm->index[top] = (uint32_t)count;
        if (at == lpm->count || lpm->starts[at] > top << 16) {
            lows[count] = 0;
            values[count++] = lpm->values[at - 1];
        }
        for (; at < lpm->count && lpm->starts[at] >> 16 == top; at++) {
            lows[count] = (uint16_t)lpm->starts[at];
            values[count++] = lpm->values[at];
        }
    }
    lpm->index[ROUTER_LPM_INDEX] = (uint32_t)count;
    free(lpm->starts);
    free(lpm->values);
    lpm->starts = NULL;
    lpm->count = count;
    lpm->lows = shrink(lows, count, sizeof *lows);
    lpm->values = shrink(values, count, sizeof *values);
    return true;
}

bool router_lpm_build(router_lpm_width width, const router_lpm_entry *entries, size_t count, router_lpm *out)
{
    /* Each prefix begins one interval and ends one; the first interval begins at 0. */
    size_t room = 2 * count + 1;
    router_lpm lpm = {.width = width};
    lpm.starts = malloc(room * sizeof *lpm.starts);
    lpm.values = malloc(room * sizeof *lpm.values);
    lpm.index = malloc((ROUTER_LPM_INDEX + 1) * sizeof *lpm.index);
    bool ok = lpm.starts != NULL && lpm.values != NULL && lpm.index != NULL;
    if (ok) {
        sweep(&lpm, entries, count);
        if (width == ROUTER_LPM_64) {
            index_wide(&lpm);
        } else {
            ok = index_narrow(&lpm);
        }
    }
    if (!ok) {
        router_lpm_fini(&lpm);
        return false;
    }
    *out = lpm;
    return true;
}

void router_lpm_fini(router_lpm *lpm)
{
    free(lpm->lows);
    free(lpm->starts);
    free(lpm->values);
    free(lpm->index);
    *lpm = (router_lpm){0};
}

/* ---- questions ---- */

/* Both searches halve without branches: which half it is cannot be predicted. */
uint32_t router_lpm_find(const router_lpm *lpm, uint32_t addr)
{
    const uint32_t *bounds = &lpm->index[addr >> 16];
    const uint16_t *at = &lpm->lows[bounds[0]];
    uint16_t low = (uint16_t)addr;
    size_t count = bounds[1] - bounds[0];
    while (count > 1) {
        size_t half = count / 2;
        at = at[half] <= low ? at + half : at;
        count -= half;
    }
    return lpm->values[at - lpm->lows];
}

uint32_t router_lpm_find_wide(const router_lpm *lpm, uint64_t addr)
{
    size_t first = lpm->index[addr >> 48], last = lpm->index[(addr >> 48) + 1];
    const uint64_t *at = &lpm->starts[first];
    size_t count = (last < lpm->count ? last + 1 : last) - first; /* the last may begin among these top bits */
    while (count > 1) {
        size_t half = count / 2;
        at = at[half] <= addr ? at + half : at;
        count -= half;
    }
    return lpm->values[at - lpm->starts];
}
