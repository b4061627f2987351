#include "mapper/mapper_table_core.h"

#include <stdlib.h>

enum { FIRST_ROOM = 64 };

void mapper_table_fini(mapper_table *table)
{
    free(table->heads);
    free(table->next);
    free(table->hashes);
    *table = (mapper_table){.heads = NULL};
}

static void link_number(mapper_table *table, uint32_t number)
{
    uint32_t *head = &table->heads[table->hashes[number] & table->mask];
    table->next[number] = *head;
    *head = number;
}

/* Twice the chains; each number goes where it belongs now. */
static bool grow_heads(mapper_table *table, uint32_t room)
{
    uint32_t *heads = malloc(room * sizeof *heads);
    if (heads == NULL) {
        return false;
    }
    memset(heads, 0xff, room * sizeof *heads);
    mapper_table old = *table;
    table->heads = heads;
    table->mask = room - 1;
    for (uint64_t i = 0; old.heads != NULL && i <= old.mask; i++) {
        for (uint32_t number = old.heads[i], after; number != (uint32_t)MAPPER_NONE; number = after) {
            after = old.next[number];
            link_number(table, number);
        }
    }
    free(old.heads);
    return true;
}

static bool grow_list(uint32_t **list, uint32_t room)
{
    uint32_t *bigger = realloc(*list, room * sizeof *bigger);
    if (bigger != NULL) {
        *list = bigger;
    }
    return bigger != NULL;
}

bool mapper_table_reserve(mapper_table *table, uint32_t count)
{
    if (count <= table->room) {
        return true;
    }
    uint32_t room = table->room > 0 ? table->room : FIRST_ROOM;
    while (room < count) {
        room *= 2;
    }
    if (!grow_list(&table->next, room) || !grow_list(&table->hashes, room) || !grow_heads(table, room)) {
        return false;
    }
    table->room = room;
    return true;
}

void mapper_table_add(mapper_table *table, uint32_t number, uint32_t hash)
{
    table->hashes[number] = hash;
    link_number(table, number);
    table->count++;
}

void mapper_table_remove(mapper_table *table, uint32_t number)
{
    uint32_t *link = &table->heads[table->hashes[number] & table->mask];
    while (*link != number) {
        link = &table->next[*link];
    }
    *link = table->next[number];
    table->count--;
}

static uint32_t same_hash(const mapper_table *table, uint32_t number, uint32_t hash)
{
    while (number != (uint32_t)MAPPER_NONE && table->hashes[number] != hash) {
        number = table->next[number];
    }
    return number;
}

uint32_t mapper_table_first(const mapper_table *table, uint32_t hash)
{
    return table->heads == NULL ? (uint32_t)MAPPER_NONE : same_hash(table, table->heads[hash & table->mask], hash);
}

uint32_t mapper_table_next(const mapper_table *table, uint32_t number)
{
    return same_hash(table, table->next[number], table->hashes[number]);
}

/* ---- hash ---- */

/* Two rounds of multiply and fold. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ hash >> 32;
}

static uint64_t mix_text(uint64_t hash, lpx_str text)
{
    for (size_t at = 0; at < text.len; at += sizeof hash) {
        uint64_t word = 0;
        size_t left = text.len - at;
        memcpy(&word, text.ptr + at, left < sizeof word ? left : sizeof word);
        hash = mix(hash, word);
    }
    return mix(hash, text.len);
}

uint32_t mapper_hash(uint64_t seed, traffic_member member, lpx_str text)
{
    uint64_t hash = mix_text(mix_text(mix(seed, member.net_id), member.tenant_id), text);
    return (uint32_t)(hash ^ hash >> 32);
}
