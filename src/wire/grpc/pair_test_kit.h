/* A client channel and a server core in memory, joined by wires that bytes are moved over by hand; time is set by hand.
 * For tests. */
#pragma once
#include "wire/grpc/chan.h"
#include "wire/grpc/core.h"
#include "wire/grpc/echo_test_service.h"

enum { PAIR_WIRES = 8, PAIR_FILL_BYTES = 64 * 1024 };

/** One connection: both ends. */
typedef struct pair_wire {
    grpc_link client;
    grpc_sconn server;
    struct grpc_pair *pair;
    bool used, up, client_wants, server_wants;
    bool client_open, server_open; /* the socket's ends */
    bool client_shut, server_shut; /* asked to close */
    bool server_held, client_held; /* memory still in use by its layer */
} pair_wire;

typedef struct grpc_pair {
    grpc_chan chan;
    grpc_core core;
    echo_service service;
    pair_wire wires[PAIR_WIRES];
    size_t wire_count;
    bool refuse;      /* connects fail */
    bool hold_dial;   /* connects take until this is cleared */
    bool mute_server; /* the server's bytes get lost */
    size_t piece_bytes;
    bool chan_freed;
    lpx_buf bytes;
} grpc_pair;

/** What happened to one outgoing call. */
typedef struct pair_call {
    grpc_out *out;
    unsigned messages, writables, done;
    lpx_code code;
    char message[300];
    uint8_t details[300];
    size_t details_len;
    lpx_buf data;     /* all messages, one after the other */
    uint64_t lengths; /* digest of the messages' lengths, in order */
    bool cancel_on_message, close_on_message;
    struct pair_call *restart; /* started when this one is done */
    grpc_pair *pair;
} pair_call;

/** New pair; opts NULL: defaults. */
void grpc_pair_init(grpc_pair *pair, const grpc_client_opts *client_opts, const grpc_server_opts *server_opts);
/** End both. */
void grpc_pair_fini(grpc_pair *pair);
/** Run until nothing moves. */
void grpc_pair_run(grpc_pair *pair);
/** One round of moving. @return did something move? */
bool grpc_pair_step(grpc_pair *pair);
/** Let time pass, in one jump; timers run. */
void grpc_pair_sleep(grpc_pair *pair, int64_t us);
/** Break all connections. */
void grpc_pair_cut(grpc_pair *pair);
/** Start a call of the echo service; method is the last part of the path. */
void pair_call_start(pair_call *call, grpc_pair *pair, const char *method, int64_t timeout_us);
/** With metadata. */
void pair_call_start_meta(pair_call *call, grpc_pair *pair, const char *method, const grpc_meta *meta, size_t count);
/** Digest of lengths with one more. */
uint64_t pair_lengths_add(uint64_t lengths, size_t len);
/** One Unary call from start to end. @return how it ended */
lpx_code pair_try(grpc_pair *pair);
/** Free the record. */
void pair_call_fini(pair_call *call);
