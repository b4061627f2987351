/* Hash table of numbers 0, 1, 2, ... whose things stand elsewhere: chains of 12 bytes for each. Private to this folder.
 * Pure. */
#pragma once
#include "traffic/traffic.h"

enum { MAPPER_NONE = -1 /* as uint32_t: no number */ };

/** Fields are private; all zero is an empty table. */
typedef struct mapper_table {
    uint32_t *heads;  /* first number of each chain; mask + 1 of them */
    uint32_t *next;   /* by number */
    uint32_t *hashes; /* by number */
    uint32_t mask, room, count;
} mapper_table;

/** Free the content. */
void mapper_table_fini(mapper_table *table);
/** Make room for numbers below count. @return false when the heap is exhausted; then all is as before */
bool mapper_table_reserve(mapper_table *table, uint32_t count);
/** Add a number, for which there is room and which is not there. */
void mapper_table_add(mapper_table *table, uint32_t number, uint32_t hash);
/** Remove a number that is there. */
void mapper_table_remove(mapper_table *table, uint32_t number);
/** First number of this hash; MAPPER_NONE: there is none. */
uint32_t mapper_table_first(const mapper_table *table, uint32_t hash);
/** The one after it. */
uint32_t mapper_table_next(const mapper_table *table, uint32_t number);

/** Seeded hash of a member and a text. */
uint32_t mapper_hash(uint64_t seed, traffic_member member, lpx_str text);
