/* Two HTTP/2 sessions in memory, joined by buffers, for tests: what one fills out the other receives, in pieces of a
 * chosen size. Records what happened to each stream. */
#pragma once
#include "wire/http/h2.h"

enum { H2_PAIR_STREAMS = 64, H2_PAIR_WINDOW = 64 * 1024 };

/** What one end saw of one stream. */
typedef struct h2_seen {
    h2_stream *stream;
    unsigned heads, ends, closes, writables;
    uint32_t close_code;
    lpx_buf data;
} h2_seen;

/** One end. */
typedef struct h2_end {
    h2_session *session;
    h2_pool *pool;
    h2_seen seen[H2_PAIR_STREAMS]; /* in the order of their heads (server) or requests (client) */
    size_t count;
    bool hold_data; /* do not consume */
    bool wants;
    unsigned goaways, pongs;
    uint32_t goaway_code;
    char goaway_text[128];
    void (*head)(struct h2_end *end, h2_seen *seen); /* server: what to do with a request; may be NULL */
    void (*ended)(struct h2_end *end, h2_seen *seen);
    void (*writable)(struct h2_end *end, h2_seen *seen);
    void *ctx;
} h2_end;

typedef struct h2_pair {
    h2_end client, server;
    lpx_mono now;
    size_t piece_bytes; /* at most so many bytes are received at once; 0: all */
    lpx_buf wire;
} h2_pair;

/** Both ends new and connected. */
void h2_pair_init(h2_pair *pair);
/** Free both. */
void h2_pair_fini(h2_pair *pair);
/** Move bytes both ways until nothing moves. @return bytes moved */
size_t h2_pair_run(h2_pair *pair);
/** Move bytes one way once. */
size_t h2_pair_move(h2_pair *pair, h2_end *from, h2_end *to);
/** New end of a role that talks to nobody yet. */
void h2_end_init(h2_end *end, h2_role role, const h2_opts *opts);
/** Free it. */
void h2_end_fini(h2_end *end);
/** Record of a stream; NULL when it was never seen. */
h2_seen *h2_end_find(h2_end *end, const h2_stream *stream);
/** Client: open a stream with an ordinary POST head. */
h2_seen *h2_end_post(h2_end *end, bool finished);
