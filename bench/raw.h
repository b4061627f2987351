/* One raw HTTP/2 connection for load programs: frames are made by hand and header blocks are checked once and compared
 * from then on, so that the load costs less than the server. Calls of any kind run over it; who uses it says when a
 * call begins and gets what comes. A call that does not end well ends the program. Thread: the loop's. */
#pragma once
#include "io/conn.h"

enum {
    RAW_MAX_FRAME_BYTES = 16384, /* that every server takes */
    RAW_FILL_BYTES = 64 * 1024,  /* when a fill stops */
};

typedef struct raw raw;

/** What the user is told; fill and on_data must be there. */
typedef struct raw_events {
    void (*fill)(void *ctx, raw *conn, lpx_buf *out); /* append calls and data while out has less than RAW_FILL_BYTES */
    void (*on_head)(void *ctx, uint32_t id);          /* status 200 came */
    void (*on_data)(void *ctx, uint32_t id, lpx_bytes payload); /* of one frame, borrowed */
    void (*on_end)(void *ctx, uint32_t id);                     /* the call ended with grpc-status 0 */
    void (*on_closed)(void *ctx); /* after raw_close, or when the peer ends it and it may: the connection is gone */
} raw_events;

/** How to connect and what every call says. Everything is borrowed for the life of the connection. */
typedef struct raw_opts {
    io_loop *loop;
    const char *address; /* "host:port" */
    io_tls *tls;         /* NULL: plaintext */
    const char *path, *authority, *user_agent;
    const char *authorization; /* in the HPACK table after the first call, as real clients have it */
    bool timeout;              /* a grpc-timeout that differs from call to call */
    bool may_end;              /* a connection that ends is no reason to end the program */
    const raw_events *events;
    void *ctx;
} raw_opts;

/** Begin to connect. */
raw *raw_new(const raw_opts *opts);
/** Ask for fill at the end of this turn. */
void raw_want_write(raw *conn);
/** Close at once; on_closed follows on a later turn. */
void raw_close(raw *conn);
/** How many bytes of data may be sent now on a call that has sent so many; exact for the only call of a connection. */
int64_t raw_room(const raw *conn, int64_t sent);
/** In fill: begin a call. @return its id: 1, 3, 5 and so on */
uint32_t raw_put_call(raw *conn, lpx_buf *out);
/** In fill: data of a call, at most RAW_MAX_FRAME_BYTES and no more than there is room for. */
void raw_put_data(raw *conn, lpx_buf *out, uint32_t id, lpx_bytes payload, bool last);
/** In fill: give a call back the window of what it received; the connection's own goes back by itself. */
void raw_put_window(lpx_buf *out, uint32_t id, uint32_t bytes);
