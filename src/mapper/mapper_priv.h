/* What the parts of the mapper share. Private to this folder. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "io/worker.h"
#include "mapper/limits.h"
#include "mapper/mapper.h"
#include "mapper/mapper_index_core.h"
#include "mapper/mapper_limiter_core.h"
#include "mapper/mapper_store.h"

typedef struct mapper_rest mapper_rest;

/* Sums since the start. */
typedef struct mapper_counts {
    atomic_uint_fast64_t updates, updates_refused, loads, loads_failed, rows_refused;
    atomic_uint_fast64_t requests[6]; /* by hundreds of the HTTP status; 0: cut */
    atomic_uint_fast64_t limited;
    atomic_uint_fast64_t queries, query_us; /* lists, and the time that the index gave them */
    atomic_uint_fast64_t gateways, online;  /* present numbers */
} mapper_counts;

/* What follows the store: one piece of work at a time, first on a store worker, then on the index thread. */
typedef struct mapper_follower {
    store_watch watch;
    io_timer load_timer, sweep_timer, count_timer, retry_timer;
    bool watching;
    bool load_armed;
    unsigned wanted, doing; /* bits of what waits; the one bit that is under way */
    store_job store_job;
    io_job index_job;
    int64_t next_load_us, next_recheck_us; /* monotonic: not before */
    lpx_utc newest;                        /* change that is known */
    lpx_utc now;                           /* when the present work began */
    lpx_arena arena;                       /* of the present page */
    mapper_feed after;                     /* where the next page begins; its text is in the next two */
    char after_tenant[RPC_ID_BYTES], after_key[MAPPER_KEY_BYTES];
    mapper_row *rows; /* MAPPER_PAGE_ROWS */
    size_t row_count;
    bool any_added;
    uint64_t rows_refused; /* of the present page: the index is full */
    int64_t removed;
    mapper_grants *grants;
    traffic_member gone; /* a forwarder that is not registered any more */
    bool has_gone;
    char gone_tenant[RPC_ID_BYTES];
    uint32_t full[MAPPER_FULL_NETWORKS];
    size_t full_count;
} mapper_follower;

struct mapper {
    mapper_opts opts;
    char *openapi; /* the document */
    rpc_method methods[1];
    io_loop *loop;
    io_workers *worker;  /* one thread: all that touches the index runs on it, one after the other */
    mapper_index *index; /* of that thread */
    mapper_follower follower;
    mapper_counts counts;
    pthread_mutex_t full_lock; /* guards the next two */
    uint32_t full[MAPPER_FULL_NETWORKS];
    size_t full_count;
    atomic_bool stopping;
    mapper_rest *rests; /* one for each HTTP server */
};

/** The method. */
void mapper_rpc_init(mapper *mapper);
/** Has this network as many gateways as it may have, as far as is known? @thread any */
bool mapper_is_full(mapper *mapper, uint32_t net_id);

/** Load everything; start-up. */
LPX_RESULT mapper_follow_first(mapper *mapper, lpx_utc now);
/** Begin to follow. @thread loop */
LPX_RESULT mapper_follow_start(mapper *mapper);
/** End it; work under way goes on. @thread loop, or it does not run */
void mapper_follow_stop(mapper *mapper);
/** Free what is left. */
void mapper_follow_fini(mapper *mapper);

/** Free all; requests that are still open are cut. */
void mapper_rest_free_all(mapper *mapper);
/** The OpenAPI document with its addresses filled in; malloc'ed; NULL when the heap is exhausted. */
char *mapper_openapi_make(const char *url, const char *token_url);
