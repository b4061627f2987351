#include "store/cache.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t mix(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3ULL;
    }
    return hash;
}

static uint64_t hash_of(const char *kinds, const char *sql)
{
    return mix(mix(0xcbf29ce484222325ULL, kinds) * 0x100000001b3ULL, sql);
}

static bool same_key(const char *key, const char *kinds, const char *sql)
{
    size_t len = strlen(kinds);
    return strncmp(key, kinds, len) == 0 && key[len] == ':' && strcmp(key + len + 1, sql) == 0;
}

store_slot *store_cache_find(store_cache *cache, const char *kinds, const char *sql)
{
    uint64_t hash = hash_of(kinds, sql);
    for (size_t i = 0; i < STORE_MAX_STATEMENTS; i++) {
        store_slot *slot = &cache->slots[i];
        if (slot->key != NULL && slot->hash == hash && !slot->busy && same_key(slot->key, kinds, sql)) {
            slot->last_use = ++cache->clock;
            return slot;
        }
    }
    return NULL;
}

store_slot *store_cache_oldest(store_cache *cache)
{
    store_slot *oldest = NULL;
    for (size_t i = 0; i < STORE_MAX_STATEMENTS; i++) {
        store_slot *slot = &cache->slots[i];
        if (slot->key == NULL) {
            return slot;
        }
        if (!slot->busy && (oldest == NULL || slot->last_use < oldest->last_use)) {
            oldest = slot;
        }
    }
    return oldest;
}

bool store_cache_put(store_cache *cache, store_slot *slot, const char *kinds, const char *sql, void *statement)
{
    char *key = NULL;
    if (asprintf(&key, "%s:%s", kinds, sql) < 0) {
        return false;
    }
    *slot = (store_slot){.hash = hash_of(kinds, sql), .key = key, .last_use = ++cache->clock, .statement = statement};
    return true;
}

void store_cache_drop(store_slot *slot)
{
    free(slot->key);
    *slot = (store_slot){0};
}
