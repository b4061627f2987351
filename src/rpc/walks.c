#include "rpc/walks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/hash.h"
#include "lpx_reasons.h"
#include "rpc/limits.h"

/* A page may begin here. */
typedef struct position {
    uint32_t offset; /* 0: unused */
    rpc_place place;
} position;

/* A walk through one list. The client that lost an answer asks for the page before once more. */
typedef struct walk {
    uint64_t serial; /* 0: free */
    uint64_t turn;   /* when it was last used, in uses of the table */
    lpx_utc touched;
    uint8_t list[16];
    position here, before;
} walk;

struct rpc_walks {
    pthread_mutex_t lock;
    uint64_t last_serial, turns;
    walk walks[RPC_MAX_WALKS];
};

rpc_walks *rpc_walks_new(void)
{
    rpc_walks *made = calloc(1, sizeof *made);
    if (made != NULL && pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        return NULL;
    }
    return made;
}

void rpc_walks_free(rpc_walks **walks)
{
    if (*walks != NULL) {
        pthread_mutex_destroy(&(*walks)->lock);
    }
    free(*walks);
    *walks = NULL;
}

rpc_place rpc_place_of(int64_t number, lpx_str text)
{
    rpc_place place = {.number = number};
    size_t len = text.len < sizeof place.text - 1 ? text.len : sizeof place.text - 1;
    if (len > 0) {
        memcpy(place.text, text.ptr, len);
    }
    return place;
}

/* Who lists what. */
static lpx_err list_id(const rpc_txn *txn, const char *method, const ProtobufCMessage *query, uint8_t out[static 16])
{
    const rpc_principal *who = txn->who;
    lpx_bytes encoded;
    uint8_t hash[CRYPTO_SHA256_BYTES];
    LPX_TRY(pb_encode(query, txn->arena, &encoded));
    const char *text = lpx_arena_printf(txn->arena, "%d %06x %s %s %s %s\n", (int)who->subject, (unsigned)who->net_id,
                                        who->tenant_id, who->cluster_id, who->key_id, method);
    uint8_t *all = text != NULL ? lpx_arena_get(txn->arena, strlen(text) + encoded.len) : NULL;
    if (all == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    size_t len = strlen(text);
    memcpy(all, text, len);
    if (encoded.len > 0) {
        memcpy(all + len, encoded.ptr, encoded.len);
    }
    crypto_sha256(lpx_bytes_of(all, len + encoded.len), hash);
    memcpy(out, hash, 16);
    return LPX_SUCCESS;
}

static bool is_of(const walk *w, const uint8_t list[static 16], lpx_utc now)
{
    return w->serial != 0 && memcmp(w->list, list, 16) == 0 &&
           now.us - w->touched.us < (int64_t)RPC_WALK_REST_S * 1000000;
}

/* The walk that rests at this offset, or rested there one page before. Of several it is the one that moved last: people
 * give up walks far more often than one key walks twice through one list at once. */
static walk *find(rpc_walks *walks, const uint8_t list[static 16], uint32_t offset, lpx_utc now)
{
    walk *found = NULL;
    for (size_t i = 0; i < RPC_MAX_WALKS; i++) {
        walk *w = &walks->walks[i];
        bool here = w->here.offset == offset || w->before.offset == offset;
        if (here && is_of(w, list, now) && (found == NULL || w->turn > found->turn)) {
            found = w;
        }
    }
    return found;
}

lpx_err rpc_walk_begin(const rpc_txn *txn, const char *method, const ProtobufCMessage *query, uint32_t offset,
                       rpc_walk *out)
{
    rpc_walks *walks = txn->walks;
    rpc_walk made = {.offset = offset, .skip = offset};
    LPX_TRY(list_id(txn, method, query, made.list));
    if (walks != NULL && offset > 0) {
        pthread_mutex_lock(&walks->lock);
        walk *w = find(walks, made.list, offset, txn->now);
        if (w != NULL) {
            made.resumed = true;
            made.skip = 0;
            made.after = w->here.offset == offset ? w->here.place : w->before.place;
            made.serial = w->serial;
            w->turn = ++walks->turns;
        }
        pthread_mutex_unlock(&walks->lock);
    }
    *out = made;
    return LPX_SUCCESS;
}

/* A place for a new walk: a free one, or the one that rests longest; a list that has many gives one of its own. */
static walk *take(rpc_walks *walks, const uint8_t list[static 16], lpx_utc now)
{
    walk *oldest = &walks->walks[0];
    walk *oldest_of_list = NULL;
    size_t of_list = 0;
    for (size_t i = 0; i < RPC_MAX_WALKS; i++) {
        walk *w = &walks->walks[i];
        if (w->turn < oldest->turn) {
            oldest = w;
        }
        if (is_of(w, list, now)) {
            of_list++;
            oldest_of_list = oldest_of_list == NULL || w->turn < oldest_of_list->turn ? w : oldest_of_list;
        }
    }
    return of_list >= RPC_MAX_WALKS_OF_LIST ? oldest_of_list : oldest;
}

static walk *find_serial(rpc_walks *walks, uint64_t serial)
{
    for (size_t i = 0; serial != 0 && i < RPC_MAX_WALKS; i++) {
        if (walks->walks[i].serial == serial) {
            return &walks->walks[i];
        }
    }
    return NULL;
}

static void advance(rpc_walks *walks, const rpc_txn *txn, const rpc_walk *page, position next)
{
    walk *w = find_serial(walks, page->serial);
    if (w == NULL) {
        w = take(walks, page->list, txn->now);
        *w = (walk){.serial = ++walks->last_serial};
        memcpy(w->list, page->list, sizeof w->list);
    }
    w->before = page->resumed ? (position){.offset = page->offset, .place = page->after} : (position){.offset = 0};
    w->here = next;
    w->touched = txn->now;
    w->turn = ++walks->turns;
}

uint32_t rpc_walk_end(const rpc_txn *txn, const rpc_walk *page, size_t count, uint32_t behind, const rpc_place *last)
{
    rpc_walks *walks = txn->walks;
    uint32_t seen = page->resumed ? page->offset : 0;
    uint32_t total = behind <= UINT32_MAX - seen ? seen + behind : UINT32_MAX;
    bool more = total > page->offset && count < total - page->offset;
    /* Those who ask until a page is empty come once more after the last row. */
    if (walks != NULL && count > 0 && (more || page->resumed)) {
        pthread_mutex_lock(&walks->lock);
        advance(walks, txn, page, (position){.offset = page->offset + (uint32_t)count, .place = *last});
        pthread_mutex_unlock(&walks->lock);
    }
    return total;
}
