/* Inside of the index, for its queries. Private to mapper_index_core.c and mapper_scan_core.c. */
#pragma once
#include "mapper/mapper_geo_core.h"
#include "mapper/mapper_index_core.h"
#include "mapper/mapper_order_core.h"
#include "mapper/mapper_table_core.h"

/* One gateway. A slot without key is free. */
typedef struct mapper_slot {
    char *key; /* not NUL-ended */
    uint64_t eui;
    double latitude, longitude, altitude_m;
    int64_t online_until_us, updated_at_us;
    float accuracy_m;
    uint32_t origin;
    uint32_t cell_next, cell_prev; /* neighbours in the cell; the next free slot */
    uint8_t key_len, known, placement, antenna_count;
} mapper_slot;

/* A forwarder with one of its clusters. Without text it is free, and network is the next free one. */
typedef struct mapper_origin {
    char *text; /* tenant, then cluster */
    uint32_t tenant_len, cluster_len;
    uint32_t network; /* in networks */
    uint32_t count;   /* gateways */
    uint32_t public_parts;
    bool registered;
} mapper_origin;

typedef struct mapper_network {
    uint32_t net_id;
    uint32_t count; /* gateways */
} mapper_network;

enum { MAPPER_BLOCK_SLOTS = 4096 };

struct mapper_index {
    uint64_t seed;
    mapper_grid grid;
    uint32_t *cells; /* first slot of each cell, plus 1; 0: none */
    mapper_slot **blocks;
    uint32_t block_count, block_room;
    uint32_t slot_count; /* in use or free */
    uint32_t free_slot;  /* MAPPER_NONE: none */
    uint32_t free_origin;
    mapper_table keys, origin_ids, network_ids;
    mapper_origin *origins;
    uint32_t origin_count, origin_room;
    mapper_network *networks;
    uint32_t network_count, network_room;
    mapper_order order;
    mapper_grants *grants;
};

/** Slot of a number below slot_count. */
static inline mapper_slot *mapper_slot_at(const mapper_index *index, uint32_t number)
{
    return &index->blocks[number / MAPPER_BLOCK_SLOTS][number % MAPPER_BLOCK_SLOTS];
}

/** Forwarder of an origin; text is borrowed. */
static inline traffic_endpoint mapper_origin_endpoint(const mapper_index *index, const mapper_origin *origin)
{
    return (traffic_endpoint){.net_id = index->networks[origin->network].net_id,
                              .tenant_id = {origin->text, origin->tenant_len},
                              .cluster_id = {origin->text + origin->tenant_len, origin->cluster_len}};
}

/** The slot as a row; text is borrowed. */
void mapper_slot_row(const mapper_index *index, const mapper_slot *slot, mapper_row *out);
