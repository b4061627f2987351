#include "router/router_lpm.h"

#include <stdlib.h>

#include "base/assert.h"

enum { LPM_DEPTH = 33 }; /* prefixes that contain each other have different lengths, 0 to 32 */

/* Prefixes that contain the present address, the longest last. */
typedef struct lpm_stack {
    uint32_t last[LPM_DEPTH]; /* highest address */
    uint32_t value[LPM_DEPTH];
    unsigned depth;
} lpm_stack;

static uint32_t stack_value(const lpm_stack *stack)
{
    return stack->depth > 0 ? stack->value[stack->depth - 1] : ROUTER_LPM_NONE;
}

/* From start on the value is this; what was said before about start itself is overruled. */
static void emit(router_lpm *lpm, uint32_t start, uint32_t value)
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

/* Leave the prefixes that end before start (all of them when all is true). */
static void leave(router_lpm *lpm, lpm_stack *stack, uint32_t start, bool all)
{
    while (stack->depth > 0 && (all || stack->last[stack->depth - 1] < start)) {
        uint32_t last = stack->last[stack->depth - 1];
        stack->depth--;
        if (last != UINT32_MAX) {
            emit(lpm, last + 1, stack_value(stack));
        }
    }
}

static void sweep(router_lpm *lpm, const router_lpm_entry *entries, size_t count)
{
    lpm_stack stack = {.depth = 0};
    emit(lpm, 0, ROUTER_LPM_NONE);
    for (size_t i = 0; i < count; i++) {
        const router_lpm_entry *e = &entries[i];
        leave(lpm, &stack, e->start, false);
        lpx_assert(stack.depth < LPM_DEPTH && e->length <= 32);
        uint32_t behind = e->length == 0 ? UINT32_MAX : (uint32_t)((UINT64_C(1) << (32 - e->length)) - 1);
        stack.last[stack.depth] = e->start | behind;
        stack.value[stack.depth] = e->value;
        stack.depth++;
        emit(lpm, e->start, e->value);
    }
    leave(lpm, &stack, 0, true);
}

static void build_index(router_lpm *lpm)
{
    size_t at = 0;
    for (uint32_t top = 0; top < ROUTER_LPM_INDEX; top++) {
        while (at + 1 < lpm->count && lpm->starts[at + 1] <= top << 16) {
            at++;
        }
        lpm->index[top] = (uint32_t)at;
    }
    lpm->index[ROUTER_LPM_INDEX] = (uint32_t)(lpm->count - 1);
}

bool router_lpm_build(const router_lpm_entry *entries, size_t count, router_lpm *out)
{
    /* Each prefix begins one interval and ends one; the first interval begins at 0. */
    size_t room = 2 * count + 1;
    router_lpm lpm = {
        .starts = malloc(room * sizeof(uint32_t)),
        .values = malloc(room * sizeof(uint32_t)),
        .index = malloc((ROUTER_LPM_INDEX + 1) * sizeof(uint32_t)),
    };
    if (lpm.starts == NULL || lpm.values == NULL || lpm.index == NULL) {
        router_lpm_fini(&lpm);
        return false;
    }
    sweep(&lpm, entries, count);
    build_index(&lpm);
    *out = lpm;
    return true;
}

void router_lpm_fini(router_lpm *lpm)
{
    free(lpm->starts);
    free(lpm->values);
    free(lpm->index);
    *lpm = (router_lpm){0};
}

uint32_t router_lpm_find(const router_lpm *lpm, uint32_t addr)
{
    size_t low = lpm->index[addr >> 16];
    size_t high = lpm->index[(addr >> 16) + 1];
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (lpm->starts[middle] <= addr) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return lpm->values[low];
}
