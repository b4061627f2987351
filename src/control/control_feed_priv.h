/* Private to the change feed: what the first loop knows (control_feed.c) and what a stream's loop does
 * (control_feed_stream.c). The two exchange tasks: orders to the first loop, parcels back. */
#pragma once
#include <stdatomic.h>

#include "control/control.h"
#include "control/control_topic.h"
#include "lorawan/limits.h"

enum { CONTROL_FEED_MAX_LOOPS = 64 };

typedef struct control_feed_stream control_feed_stream;

/** A topic in one view, on the first loop: there is one load and one state for all who see the same. */
typedef struct control_channel {
    control_feed *feed;
    const control_topic *topic;
    unsigned view;
    lpx_list members;
    control_state *state; /* NULL: not loaded */
    uint64_t sequence;    /* of the state */
    bool loading, dirty;
    store_job job;
    control_state *loaded; /* by the job */
} control_channel;

/** A stream's subscription to one topic, as the first loop sees it. */
typedef struct control_feed_member {
    lpx_list node; /* in its channel; unlinked: not subscribed */
    control_feed_stream *stream;
    control_channel *channel;
    uint32_t serial;
    bool waiting; /* for a state */
    char group[LW_CLUSTER_ID_MAX_CHARS + 1];
} control_feed_member;

/** An order of a stream to the first loop; on the heap. */
typedef struct control_order {
    io_task task;
    control_feed_stream *stream;
    unsigned topic;
    bool subscribe; /* else unsubscribe */
    uint32_t serial;
    char group[LW_CLUSTER_ID_MAX_CHARS + 1];
} control_order;

/** Rows on their way to a stream; on the heap. */
typedef struct control_parcel {
    io_task task;
    lpx_list node; /* in the stream's queue */
    control_feed_stream *stream;
    unsigned topic;
    uint32_t serial;     /* of the subscription that it is for */
    control_state *rows; /* NULL: none */
    bool snapshot;       /* the rows are the state, and their end is told */
    uint64_t sequence;
    size_t next, told;           /* rows looked at, and sent */
    unsigned share_at, share_of; /* of a group */
    lpx_err err;                 /* a failure: ends the stream */
} control_parcel;

/** One stream. */
struct control_feed_stream {
    lpx_list node; /* of its loop's streams */
    control_feed *feed;
    io_loop *loop;
    unsigned loop_index;
    rpc_call *call; /* NULL: over */
    rpc_principal who;
    bool half_closed;
    uint32_t serials;
    uint32_t subscribed[CONTROL_TOPICS];         /* serial of the subscription; 0: none */
    lpx_list queue;                              /* parcels */
    size_t waiting_bytes;                        /* of their changes */
    io_task leave, gone;                         /* to the first loop, and back */
    control_feed_member members[CONTROL_TOPICS]; /* the first loop's */
};

struct control_feed {
    store *store;
    io_loop *loops[CONTROL_FEED_MAX_LOOPS];
    unsigned loop_count;
    lpx_list streams[CONTROL_FEED_MAX_LOOPS]; /* of each loop */
    unsigned stream_count[CONTROL_FEED_MAX_LOOPS];
    atomic_uint flying; /* tasks on their way between loops */
    control_channel channels[CONTROL_TOPICS][CONTROL_VIEWS];
    store_watch watch;
    io_timer retry;
    bool stopping;
    rpc_method method;
    atomic_ullong open, sent, slow, loads;
};

/** Post a task to a loop and count it. @thread any */
void control_feed_post(control_feed *feed, io_loop *loop, io_task *task);
/** Begin a stream: the loop function of the method. */
void control_feed_subscribe(rpc_call *call, const ProtobufCMessage *request, void *service);
/** Carry out an order. @thread first loop */
void control_feed_obey(io_task *task);
/** Forget a stream. @thread first loop */
void control_feed_leave(io_task *task);
/** A parcel arrives. @thread the stream's */
void control_feed_arrive(io_task *task);
/** Free a parcel. */
void control_parcel_free(control_parcel *parcel);
/** Free a stream that nobody knows any more. */
void control_feed_stream_free(control_feed_stream *stream);
