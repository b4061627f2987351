#include "wire/grpc/due.h"

#include <stdlib.h>

#include "base/assert.h"

void grpc_due_fini(grpc_due *due)
{
    lpx_assert(due->count == 0);
    free(due->nodes);
    *due = (grpc_due){0};
}

static void put(grpc_due *due, size_t i, grpc_due_node *node)
{
    due->nodes[i] = node;
    node->place = i + 1;
}

/* Move node from place i towards the root. */
static void rise(grpc_due *due, size_t i, grpc_due_node *node)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (due->nodes[parent]->at_us <= node->at_us) {
            break;
        }
        put(due, i, due->nodes[parent]);
        i = parent;
    }
    put(due, i, node);
}

/* Move node from place i towards the leaves. */
static void sink(grpc_due *due, size_t i, grpc_due_node *node)
{
    while (2 * i + 1 < due->count) {
        size_t child = 2 * i + 1;
        if (child + 1 < due->count && due->nodes[child + 1]->at_us < due->nodes[child]->at_us) {
            child++;
        }
        if (due->nodes[child]->at_us >= node->at_us) {
            break;
        }
        put(due, i, due->nodes[child]);
        i = child;
    }
    put(due, i, node);
}

bool grpc_due_set(grpc_due *due, grpc_due_node *node, lpx_mono at, void (*fire)(grpc_due_node *node))
{
    grpc_due_clear(due, node);
    if (due->count == due->room) {
        size_t room = due->room == 0 ? 64 : due->room * 2;
        grpc_due_node **nodes = realloc(due->nodes, room * sizeof(grpc_due_node *));
        if (nodes == NULL) {
            return false;
        }
        due->nodes = nodes;
        due->room = room;
    }
    node->at_us = at.us;
    node->fire = fire;
    rise(due, due->count++, node);
    return true;
}

void grpc_due_clear(grpc_due *due, grpc_due_node *node)
{
    if (node->place == 0) {
        return;
    }
    size_t i = node->place - 1;
    node->place = 0;
    grpc_due_node *last = due->nodes[--due->count];
    if (last == node) {
        return;
    }
    if (i > 0 && due->nodes[(i - 1) / 2]->at_us > last->at_us) {
        rise(due, i, last);
    } else {
        sink(due, i, last);
    }
}

lpx_mono grpc_due_next(const grpc_due *due)
{
    return (lpx_mono){.us = due->count > 0 ? due->nodes[0]->at_us : INT64_MAX};
}

grpc_due_node *grpc_due_take(grpc_due *due, lpx_mono now)
{
    if (due->count == 0 || due->nodes[0]->at_us > now.us) {
        return NULL;
    }
    grpc_due_node *node = due->nodes[0];
    grpc_due_clear(due, node);
    return node;
}
