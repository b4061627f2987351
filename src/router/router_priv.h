/* Inside of the router: shards, their mail, streams. One shard per loop; all of a shard but its inbox belongs to the
 * loop's thread. Other shards reach it by mail: nodes pushed on the inbox, run in their order.
 *
 * A subscriber that has seen the headers of its stream is known to every shard that handles a message afterwards: the
 * news are in all inboxes before the headers are written, and a shard reads its inbox before it routes. */
#pragma once
#include <stdatomic.h>

#include "base/log.h"
#include "router/router.h"
#include "router/router_check.h"
#include "router/router_pace.h"
#include "router/router_peers.h"
#include "router/router_queue.h"
#include "router/router_routes.h"
#include "router/router_scan.h"

/* ---- counters: written by one loop, read by any ---- */

typedef atomic_ullong router_counter;

typedef struct router_shard_counts {
    router_counter published[TRAFFIC_DIRECTIONS][TRAFFIC_KINDS];
    router_counter routed[TRAFFIC_DIRECTIONS][TRAFFIC_KINDS];
    router_counter sent[TRAFFIC_DIRECTIONS];
    router_counter dropped[TRAFFIC_DIRECTIONS][TRAFFIC_DROP_REASONS];
    router_counter reports[TRAFFIC_DIRECTIONS][ROUTER_REPORT_OUTCOMES];
    router_counter opened[TRAFFIC_DIRECTIONS];
    router_counter closed[TRAFFIC_DIRECTIONS];
} router_shard_counts;

/** Add to a counter of one's own loop. */
static inline void router_counter_add(router_counter *counter, uint64_t n)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

/* ---- mail between shards ---- */

typedef enum router_mail_kind {
    ROUTER_MAIL_ADD,
    ROUTER_MAIL_REMOVE,
    ROUTER_MAIL_TABLES,
    ROUTER_MAIL_BATCH
} router_mail_kind;

/** A copy for a subscription of another loop. */
typedef struct router_batch_delivery {
    router_sub *sub;   /* reference */
    router_copy *copy; /* reference */
} router_batch_delivery;

/** A report on a message whose reports another loop remembers. */
typedef struct router_batch_report {
    router_copy *about; /* reference; a copy without bytes */
    bool foreign;       /* the id is another exchange's: it counts when its message came here */
    bool failed;
    int error;
    traffic_kind kind;
    uint64_t key;
    int64_t issued_ms;
} router_batch_report;

/** One thing of a batch. */
typedef struct router_batch_item {
    enum { ROUTER_ITEM_DELIVERY, ROUTER_ITEM_REPORT, ROUTER_ITEM_FOREIGN } kind;
    union {
        router_batch_delivery delivery;
        router_batch_report report;
        uint64_t foreign; /* key of a message that another exchange handed over */
    };
} router_batch_item;

/** One letter; owns what it names. */
typedef struct router_mail {
    struct router_mail *next;
    router_mail_kind kind;
    router_sub *sub;       /* ADD, REMOVE: reference */
    router_tables *tables; /* TABLES: reference */
    uint32_t count;        /* BATCH */
    router_batch_item items[];
} router_mail;

/* ---- shards ---- */

/** Join-requests of a loop that wait for their Join Servers (router_join.h). */
typedef struct router_joins {
    struct ts002_lookup *_Atomic engine; /* made by the loop when it first needs one; metrics look at it */
    lpx_list waiting;
    size_t bytes;
    router_counter begun, ended; /* waiting now: begun - ended */
    router_counter unregistered; /* answers that named a network which is no member */
} router_joins;

typedef struct router_link router_link; /* router_link.h */

typedef struct router_shard {
    router *router;
    io_loop *loop;
    unsigned index;
    router_tables *tables;
    router_dir *dir;
    router_seen seen;
    router_seen foreign;                  /* messages of other exchanges */
    router_link *links[ROUTER_MAX_PEERS]; /* NULL: no such peer */
    lpx_list streams;                     /* of router_stream.node */
    size_t queued_bytes;
    router_mail *outgoing[ROUTER_MAX_LOOPS]; /* batches of this turn */
    io_hook flush;
    lpx_buf scratch;
    uint8_t random[ROUTER_RANDOM_BYTES];
    unsigned random_used;
    router_shard_counts counts;
    router_routes routes;
    router_joins joins;

    /* The inbox: any thread. */
    _Atomic(router_mail *) inbox; /* the newest first */
    atomic_bool inbox_posted;
    atomic_uint inbox_items;   /* of batches, under way */
    atomic_size_t inbox_bytes; /* of their messages, each counted once for each copy */
    io_task inbox_task;
} router_shard;

/** An open subscription, on its own loop. */
typedef struct router_stream {
    lpx_list node;
    router_shard *shard;
    rpc_call *call;
    router_sub *sub; /* reference */
    router_queue queue;
    bool writable;
    router_mail *farewell[]; /* REMOVE for each other shard, made beforehand: leaving cannot fail */
} router_stream;

/** Loading of tables from the store; loops[0]. */
typedef struct router_loader {
    store_job job;
    store_watch watch;
    io_timer timer; /* what is to be done next */
    bool watching;
    bool busy; /* the job is under way */
    router_pace pace;
    router_part part; /* the job's */
    lpx_mono began;
    router_tables *loaded;  /* by the job */
    router_tables *sent;    /* to the loops; the job takes over what did not change, and what was counted */
    router_tables *retired; /* before sent; the next job frees it */
    int64_t retire_us;      /* not before, monotonic */
    uint64_t seed;
} router_loader;

struct router {
    router_opts opts;
    router_scanner *scanner;
    router_peers *peers;                      /* NULL: none */
    const traffic_observer *const *observers; /* NULL-ended; never NULL itself */
    char name[ROUTER_NAME_BYTES];
    router_queue_limits limits;
    uint32_t max_message_bytes;
    unsigned shard_count;
    router_shard *shards[ROUTER_MAX_LOOPS];
    router_id_key id_key;
    router_loader loader;
    router_limiter *limiter;                     /* NULL: nothing is limited */
    router_counter tables_loaded, tables_failed; /* loops[0] */
    rpc_method methods[9];
};

/* router_shard.c: mail and streams. */

/** New shard with a reference of tables. @return NULL when memory is short */
router_shard *router_shard_new(router *router, io_loop *loop, unsigned index, router_tables *tables, lpx_utc now);
/** Free with all mail and streams left; no loop runs. */
void router_shard_free(router_shard **shard);
/** Run the letters that have come. @thread shard's loop */
void router_shard_read_inbox(router_shard *shard);
/** Open a subscription of this loop and tell all others.
 * @err RESOURCE_EXHAUSTED: ROUTER_TOO_MANY_STREAMS, BASE_NO_MEMORY; then the call is as before */
LPX_RESULT router_shard_subscribe(router_shard *shard, rpc_call *call, router_sub_spec *spec, lpx_note *note);
/** Give one copy to a subscription, wherever it is. The reference stays the caller's. */
void router_shard_deliver(router_shard *shard, router_sub *sub, router_copy *copy);
/** Count a report of processing where reports on its message are remembered; takes its reference. */
void router_shard_report(router_shard *shard, const router_batch_report *report);
/** Key of a message of another exchange; those of both kinds differ in the last bit, set for data. */
uint64_t router_foreign_key(const router *router, const router_copy_about *about);
/** A message of another exchange was given out here: reports on it count. */
void router_shard_remember(router_shard *shard, uint64_t foreign_key);
/** Send new tables to all shards (takes no reference). @thread any shard's loop */
void router_send_tables(router *router, router_tables *tables);

/* router_store.c */

/** Load tables and id key, blocking. @param out a reference */
LPX_RESULT router_load_first(router *router, router_tables **out, lpx_note *note);
/** Begin to follow the change feed. */
LPX_RESULT router_watch_start(router *router);
/** Stop following. @thread loops[0] */
void router_watch_stop(router *router);

/* router_rpc.c */

/** Fill in the table of methods. */
void router_methods_init(router *router);

/* router_peer_rpc.c */

/** Number of the peer through which a forwarder that is no member here was heard lately, plus 1; 0: none. */
uint32_t router_heard_by(router_shard *shard, traffic_endpoint forwarder);
/** RouteUplink and RouteDownlink. */
void router_peer_route_uplink(rpc_call *call, const ProtobufCMessage *message, void *service);
/** As router_peer_route_uplink. */
void router_peer_route_downlink(rpc_call *call, const ProtobufCMessage *message, void *service);
