/* Paging by offset over rows that come and go meanwhile. The API's lists have an offset and a limit and nothing to hold
 * on to, so a row that disappears from an earlier page would move the others up and one of them would be missed; a new
 * one would show one twice. Here the server remembers, for each walk through a list, after which row the next page
 * begins. What holds: rows that are there during the whole walk are seen exactly once, no row is seen twice, and
 * offset < total as long as rows are left.
 * An offset that continues no known walk counts rows, as ever: a jump, a walk that rested too long, another node. Two
 * walks of one key through one list at once, with the same filters, may be taken for one another.
 * Level 5. Any thread. */
#pragma once
#include "rpc/rpc.h"

typedef struct rpc_walks rpc_walks;

enum { RPC_PLACE_TEXT_BYTES = 64 }; /* a tenant id */

/** Where a page ended: the sort key of its last row. Lists are ordered by number, then by text. */
typedef struct rpc_place {
    int64_t number;
    char text[RPC_PLACE_TEXT_BYTES];
} rpc_place;

/** A place from its parts; longer text is cut, which no id is. */
rpc_place rpc_place_of(int64_t number, lpx_str text);

/** One page of a walk: filled by rpc_walk_begin. */
typedef struct rpc_walk {
    bool resumed;    /* begin after this place; else at the list's begin */
    rpc_place after; /* resumed */
    uint32_t skip;   /* then leave out so many rows */
    uint32_t offset; /* private from here on */
    uint64_t serial;
    uint8_t list[16];
} rpc_walk;

/** New table of walks. NULL: memory is short. */
rpc_walks *rpc_walks_new(void);
/** Free; clears the pointer; accepts NULL. */
void rpc_walks_free(rpc_walks **walks);

/** Begin a page.
 * @param method  names the list
 * @param query   the request with its offset and limit set to 0: what is listed
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY (of the request's arena) */
LPX_RESULT rpc_walk_begin(const rpc_txn *txn, const char *method, const ProtobufCMessage *query, uint32_t offset,
                          rpc_walk *out);
/** End a page.
 * @param count   rows of the page
 * @param behind  all rows after walk->after that the query lists, the skipped ones too
 * @param last    of the last row; not looked at when count is 0
 * @return the total to answer */
uint32_t rpc_walk_end(const rpc_txn *txn, const rpc_walk *walk, size_t count, uint32_t behind, const rpc_place *last);
