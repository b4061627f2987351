/* The client without sockets: when to connect, which connection takes a call, calls from start to status. client.c
 * joins it to the loop, tests to memory. For this folder alone. Level 4. */
#pragma once
#include "wire/grpc/client.h"
#include "wire/grpc/env.h"
#include "wire/grpc/frame.h"
#include "wire/grpc/text.h"
#include "wire/http/h2.h"

typedef struct grpc_chan grpc_chan;
typedef struct grpc_link grpc_link;

/** What the owner of a channel does for it. */
typedef struct grpc_chan_ops {
    lpx_err (*dial)(grpc_chan *chan, grpc_link **out,
                    lpx_note *note); /* begin to connect; grpc_link_up or _lost follow */
    void (*want_write)(grpc_link *link);
    void (*shut)(grpc_link *link, bool flush); /* close; grpc_link_lost follows on a later turn */
    void (*free_link)(grpc_link *link);        /* the channel forgets it: the owner may free it when it is closed */
    void (*free_chan)(grpc_chan *chan);        /* grpc_chan_close is through */
} grpc_chan_ops;

/** One connection. Its owner embeds it. Fields are the channel's. */
struct grpc_link {
    grpc_chan *chan; /* NULL: forgotten */
    h2_session *h2;
    lpx_list node;
    grpc_due_node due;
    bool up, draining;
    int64_t up_us, heard_us, pinged_us; /* 0: not (yet) */
    size_t held_bytes;
    lpx_err why;
    lpx_note note; /* why it is ended from here */
};

/** The channel. Its owner embeds it. Fields are the channel's. */
struct grpc_chan {
    grpc_env env;
    grpc_client_opts opts; /* no zeros; address is owned */
    char *address;
    const grpc_chan_ops *ops;
    h2_pool *pool;
    lpx_list links;
    grpc_link *current; /* takes new calls, or will when it is up */
    lpx_list outs;      /* all calls */
    lpx_list waiting;   /* those without a stream */
    size_t waiting_count;
    uint64_t rng;
    int64_t pause_us;      /* the next pause; 0: the last connect went well */
    int64_t not_before_us; /* no connect before that */
    lpx_note last_failure;
    int64_t keepalive_us;
    unsigned busy; /* depth of what may not be freed under */
    bool closing;
};

/** Begin. ops first. @err GRPC_NO_MEMORY, GRPC_ADDRESS */
LPX_RESULT grpc_chan_init(grpc_chan *chan, io_loop *loop, const grpc_client_opts *opts, const grpc_chan_ops *ops,
                          lpx_note *note);
/** End: calls end with CANCELLED, links are shut and forgotten; free_chan comes at once or when the channel is no
 * longer in the middle of something. */
void grpc_chan_close(grpc_chan *chan);
/** Start a call, as grpc_client_start. */
grpc_out *grpc_chan_start(grpc_chan *chan, const char *path, const grpc_meta *meta, size_t meta_count,
                          int64_t timeout_us, const grpc_out_events *events, void *ctx);
/** Bracket around everything that may run a user's function: the channel is not freed inside. */
void grpc_chan_enter(grpc_chan *chan);
/** End of the bracket; the channel may be gone after it. */
void grpc_chan_leave(grpc_chan *chan);

/** The connection stands: calls may go. @return false when out of memory */
bool grpc_link_up(grpc_link *link);
/** Bytes came. */
void grpc_link_recv(grpc_link *link, lpx_bytes in);
/** Give bytes. @return true when there are more */
bool grpc_link_fill(grpc_link *link, lpx_buf *out, size_t max_bytes);
/** All was said: close it. */
bool grpc_link_done(const grpc_link *link);
/** It is gone, or never came up; note says why, whole sentence. */
void grpc_link_lost(grpc_link *link, lpx_err why, const lpx_note *note);

/** Find a connection for a new call, which waits already; or end it later. */
void grpc_chan_find_link(grpc_chan *chan, grpc_out *call);
/** Put a waiting call on a connection. @return false: it takes no more */
bool grpc_out_submit(grpc_out *call, grpc_link *link);
/** End a call that waits or runs: on_done, then it is gone. */
void grpc_out_end(grpc_out *call, lpx_code code, lpx_str message, lpx_bytes details);
/** End it a little later, not inside of the caller. */
void grpc_out_end_later(grpc_out *call, lpx_err err, const char *message);
/** Its place in the list of all calls or of the waiting ones. */
grpc_out *grpc_out_of_node(lpx_list *node, bool waiting);
/** Events of the HTTP/2 session. */
extern const h2_events grpc_link_events;
