/* The data plane: uplinks from forwarders to home networks, downlinks back, delivery reports of both. One shard per
 * loop; a pure core decides (router_core.h), the files around it carry out. Routes and policies are one immutable
 * snapshot, loaded from the store and sent to every loop (docs/adr/0002-snapshots-by-message.md). Level 6.
 * Thread: one router serves all loops; each function says who may call it. */
#pragma once
#include "router/router_rate.h"
#include "rpc/rpc.h"
#include "store/store.h"
#include "traffic/traffic.h"
#include "ts002/ts002_lookup.h"

typedef struct router router;

/** How Join Servers are asked. 0: the default of ts002/limits.h. */
typedef struct router_join_opts {
    uint32_t sender_net_id; /* NetID of this exchange, where neither a token nor a forwarder's credentials are used */
    bool has_sender_ns_id;
    uint64_t sender_ns_id; /* Backend Interfaces 1.1 cannot be spoken without */
    int64_t timeout_us, positive_us, negative_us;
    ts002_token_fn *token; /* any thread; NULL: Join Servers that want a token of this exchange are not asked */
    void *token_ctx;
} router_join_opts;

/** What a router is made with. */
typedef struct router_opts {
    store *store;            /* borrowed until router_free; NULL: empty tables for ever (tests of the surroundings) */
    const char *name;        /* of this exchange in the hops of a message, copied; NULL: "lpx" */
    bool default_open;       /* no policy anywhere: everything is allowed (true) or nothing (false) */
    bool loopback;           /* deliver a network's own traffic back to it, if policy allows */
    uint32_t queue_messages; /* limits of the queue of one subscription; 0: the default in router/limits.h */
    uint32_t queue_bytes;
    int64_t queue_age_us;
    uint32_t max_message_bytes; /* of a request to publish; 0: ROUTER_PUBLISH_BYTES; at most ROUTER_MESSAGE_BYTES */
    const char *peers_file;     /* other exchanges (README.md); NULL or empty: none */
    const traffic_observer *const *observers; /* who is told what happens, NULL-ended, borrowed until router_free; NULL:
                                                 nobody */
    router_join_opts joins;
    router_rate_opts rates; /* of Publish; all zero: no limits */
} router_opts;

/** Make a router, load its tables and its id key from the store (blocks: for start-up), begin to follow the change feed
 * on loops[0].
 * @param loops      all loops of the process, in the order of io_loop_index; borrowed until router_free
 * @param loop_count 1 to ROUTER_MAX_LOOPS
 * @err INVALID_ARGUMENT: ROUTER_BAD_OPTS; RESOURCE_EXHAUSTED: BASE_NO_MEMORY; those of the store */
LPX_RESULT router_new(const router_opts *opts, io_loop *const *loops, unsigned loop_count, router **out,
                      lpx_note *note);

/** Stop following the change feed, close the links to other exchanges (let each loop take one more turn); streams go on
 * until their connections end. @thread none runs */
void router_stop(router *router);

/** Free; clears the pointer; accepts NULL. After the loops have ended, the rpc servers are freed and the store is
 * closed. @thread any, alone */
void router_free(router **router);

/** The methods of ForwarderData, HomeNetworkData and RouterData; borrowed for the router's life; the same for every
 * loop. */
const rpc_method *router_methods(const router *router, size_t *count);

/** What became of a delivery report. */
typedef enum router_report_outcome {
    ROUTER_REPORT_SUCCESS,  /* first report of processing, without error */
    ROUTER_REPORT_ERROR,    /* first report of processing, with an error */
    ROUTER_REPORT_PROGRESS, /* an earlier state than processed */
    ROUTER_REPORT_REPEATED, /* a further report of processing: does not count */
    ROUTER_REPORT_UNKNOWN,  /* the id is none of this exchange, or of other members: does not count */
    ROUTER_REPORT_LATE,     /* the message is so old that a repetition could not be told: does not count */
    ROUTER_REPORT_OUTCOMES,
} router_report_outcome;

/** Sums over all loops since the start. */
typedef struct router_counts {
    uint64_t published[TRAFFIC_DIRECTIONS][TRAFFIC_KINDS]; /* accepted from a publisher */
    uint64_t routed[TRAFFIC_DIRECTIONS][TRAFFIC_KINDS];    /* copies given to subscriptions */
    uint64_t sent[TRAFFIC_DIRECTIONS];                     /* copies written to streams */
    uint64_t dropped[TRAFFIC_DIRECTIONS][TRAFFIC_DROP_REASONS];
    uint64_t reports[TRAFFIC_DIRECTIONS][ROUTER_REPORT_OUTCOMES]; /* direction of the message that is reported on */
    uint64_t opened[TRAFFIC_DIRECTIONS];                          /* subscriptions; open now: opened - closed */
    uint64_t closed[TRAFFIC_DIRECTIONS];
    uint64_t tables_loaded;
    uint64_t tables_failed;
} router_counts;

/** Add up the counters of all loops. @thread any */
void router_count(const router *router, router_counts *out);

/** Append all metrics in Prometheus' text form: the sums above; what waits, was sent and was lost of the groups of
 * subscriptions with the most waiting (ROUTER_METRIC_GROUPS, all others as net_id "rest"); what was routed and dropped
 * between the ROUTER_METRIC_ROUTES pairs of forwarder and home network with the most messages (an outcome of a message
 * counts once, however many copies; members 000000: no route, or pairs without a counter of their own).
 * @thread loops[0] */
void router_metrics(const router *router, lpx_buf *out);
