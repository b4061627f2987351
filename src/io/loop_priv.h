/* Inside of a loop, for the other files of this folder only. Level 2. */
#pragma once
#include <stdatomic.h>

#include "base/buf.h"
#include "io/limits.h"
#include "io/loop.h"

typedef struct loop_clock {
    bool known; /* now was read in this turn */
    lpx_now now;
} loop_clock;

struct io_loop {
    struct event_base *base;
    struct event *wake;
    struct event *turn_limit;
    int wake_fd;
    unsigned index;

    _Atomic(io_task *) inbox; /* newest first */
    atomic_bool stop;
    atomic_ulong owner; /* pthread_t of the thread that runs it */

    bool in_turn;
    loop_clock *clock; /* &clock_state: a pointer, so that asking a const loop for the time may read it */
    loop_clock clock_state;
    lpx_list hooks;

    lpx_list conns;   /* io_conn.node */
    lpx_list dead;    /* io_conn.node: ended in this turn, freed at its end */
    lpx_list lookups; /* io_lookup.node */

    /* Room shared by all connections of the loop, so that an idle one holds none. */
    uint8_t *read_room;  /* IO_READ_BYTES as received */
    uint8_t *clear_room; /* IO_READ_BYTES decrypted */
    lpx_buf fill_room;   /* plaintext of one fill on its way into TLS */
    lpx_buf spare_out;   /* send buffer of the connection that emptied its own last */
};

/** Frees the connections of the dead list. */
void io_conns_bury(io_loop *loop);
/** Ends all connections without telling anybody; the loop goes away. */
void io_conns_drop(io_loop *loop);
/** Leaves all name lookups to their threads; the loop goes away. */
void io_lookups_drop(io_loop *loop);
