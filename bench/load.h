/* What the load programs share: clocks, processor time of the program under load, and connections with many unary gRPC
 * calls in flight, every answer checked. Whatever goes wrong ends the program with a sentence: a figure from a failed
 * run is worth nothing. */
#pragma once
#include <sys/types.h>

#include "raw.h"

enum {
    LOAD_MAX_CONNECTIONS = 1024,
    LOAD_MAX_STREAMS = 1024,
    LOAD_MAX_FRAME_BYTES = RAW_MAX_FRAME_BYTES, /* a message and its prefix */
    LOAD_PREFIX_BYTES = 5,                      /* of a gRPC message */
    LOAD_STALL_SECONDS = 20,                    /* without any progress: then something was lost */
};

/** Print what went wrong and end with status 1. */
_Noreturn void load_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Keep the calling process on one processor; nothing on a machine with one alone. */
void load_pin(unsigned cpu);
/** Run time of all threads of a process so far. */
uint64_t load_cpu_ns(pid_t pid);
/** Monotonic clock. */
uint64_t load_wall_ns(void);
/** Write the prefix of an uncompressed gRPC message of len bytes. */
void load_prefix(uint8_t out[static LOAD_PREFIX_BYTES], size_t len);
/** Value of an option as a number; ends the program when it is none from low to high. @param base 10 or 16 */
long load_number(const char *option, const char *text, int base, long low, long high);

/** How to call. Everything is borrowed for the life of the load. */
typedef struct load_opts {
    io_loop *loop;
    const char *address; /* "host:port" */
    io_tls *tls;         /* NULL: plaintext */
    const char *path, *authority, *user_agent;
    const char *authorization;                   /* in the HPACK table after the first call, as real clients have it */
    long connections, streams;                   /* calls in flight on each connection */
    bool timeout;                                /* a grpc-timeout that differs from call to call */
    lpx_bytes (*next)(void *ctx);                /* message of the next call, with its prefix */
    void (*check)(void *ctx, lpx_bytes message); /* an answer with its prefix: ends the program when it is wrong */
    void *ctx;
} load_opts;

typedef struct load load;

/** Begin to connect. */
load *load_new(const load_opts *opts);
/** Make so many calls more; they are under way when the loop turns. */
void load_start(load *l, long calls);
/** Calls that were answered since the beginning, each with status OK and one message. */
long load_done(const load *l);
/** Turn the loop until condition(ctx) answers true.
 * @return false when the number that progress(ctx) answers stayed the same for LOAD_STALL_SECONDS */
bool load_turn_until(io_loop *loop, bool (*condition)(void *ctx), long (*progress)(void *ctx), void *ctx);
/** Make calls and turn the loop until all are answered. */
void load_run(load *l, long calls);
