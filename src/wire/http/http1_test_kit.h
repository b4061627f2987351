/* A plain client for tests of the HTTP/1.1 server. */
#pragma once
#include "base/buf.h"
#include "io/conn.h"

enum { LONG_US = 60 * 1000000 };

/** A client that sends bytes and keeps all that comes. */
typedef struct talker {
    io_conn *conn; /* NULL: closed */
    lpx_buf to_send, got;
    size_t piece; /* bytes of one write; 0: all */
    bool deaf;    /* reads nothing */
} talker;

/** Connect to a port of this machine and say text. */
void talker_begin(talker *t, io_loop *loop, uint16_t port, const char *text);
/** Say more. */
void talker_say(talker *t, const char *text);
/** Close and free. */
void talker_end(talker *t);
/** All that came, NUL-ended. */
const char *talker_text(talker *t);
/** Did this come? */
bool talker_has(talker *t, const char *text);
/** How often did it come? */
int talker_count(talker *t, const char *text);

#define TURN_UNTIL(loop, condition)      \
    do {                                 \
        while (!(condition)) {           \
            io_loop_turn(loop, LONG_US); \
        }                                \
    } while (0)
