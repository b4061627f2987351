/* Prepared statements of one connection, by their text; the one unused for longest makes room. */
#pragma once
#include "base/bytes.h"
#include "store/limits.h"

/** One prepared statement. */
typedef struct store_slot {
    uint64_t hash;
    char *key; /* NULL: the slot is free */
    uint64_t last_use;
    bool busy;       /* its rows are open */
    void *statement; /* of the engine */
} store_slot;

typedef struct store_cache {
    store_slot slots[STORE_MAX_STATEMENTS];
    uint64_t clock;
} store_cache;

/** The slot of this text prepared for these kinds of values ("" where kinds do not count); NULL when there is none or
 * its rows are open. */
store_slot *store_cache_find(store_cache *cache, const char *kinds, const char *sql);
/** The slot to prepare a new statement in: a free one, or the one unused for longest, which then still holds its
 * statement for the engine to end. NULL when the rows of all are open. */
store_slot *store_cache_oldest(store_cache *cache);
/** Enter a statement into a slot from store_cache_oldest. @return false without memory; the slot is then free */
bool store_cache_put(store_cache *cache, store_slot *slot, const char *kinds, const char *sql, void *statement);
/** Make a slot free; its statement must be ended already. */
void store_cache_drop(store_slot *slot);
