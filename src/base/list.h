/* Intrusive doubly linked list. A node knows whether it is linked. Level 0; no allocation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct lpx_list {
    struct lpx_list *next, *prev;
} lpx_list;

/** The struct that holds this node. */
#define LPX_CONTAINER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/** Make an empty list head or an unlinked node. */
static inline void lpx_list_init(lpx_list *l)
{
    l->next = l->prev = l;
}
/** Is the list empty, or the node unlinked? */
static inline bool lpx_list_empty(const lpx_list *l)
{
    return l->next == l || l->next == NULL;
}
/** Put node at the end of the list. */
static inline void lpx_list_push(lpx_list *list, lpx_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}
/** Unlink node; harmless when it is not linked. */
static inline void lpx_list_remove(lpx_list *node)
{
    if (node->next != NULL) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
    }
    lpx_list_init(node);
}
/** Unlink and return the first node; NULL when empty. */
static inline lpx_list *lpx_list_pop(lpx_list *list)
{
    if (lpx_list_empty(list)) {
        return NULL;
    }
    lpx_list *first = list->next;
    lpx_list_remove(first);
    return first;
}
