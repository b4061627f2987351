/* Calls without a network: the functions of rpc/rpc.h that the router uses, kept in memory, for its tests. */
#pragma once
#include "rpc/rpc.h"

/** A call as the test sees it. One thread at a time; streams are written by their loop's. */
struct rpc_call {
    io_loop *loop;
    lpx_arena arena;
    const rpc_stream_events *events;
    void *events_ctx;
    bool replied, failed, streaming, ended;
    bool allowed;          /* the owner was asked for */
    uint32_t owner_net_id; /* as it was */
    char owner_tenant_id[64], owner_cluster_id[64];
    lpx_err err;
    lpx_note note;
    rpc_principal who;
    lpx_bytes raw;   /* the request, if the test says so */
    lpx_bytes reply; /* encoded, in the arena */
    lpx_bytes *sent; /* messages of the stream; keep false: only counted */
    bool keep;
    size_t sent_count, sent_room;
    size_t window; /* messages that the stream takes before it says stop */
};

/** New call on a loop, with a window without end. */
rpc_call *fake_call_new(io_loop *loop);
/** Run a method as the pipeline does: one that is hot gets the request serialised. */
void fake_call_run(rpc_call *call, const rpc_method *method, const ProtobufCMessage *request);
/** End a stream that is open as if the client had left, free the call; clears the pointer. */
void fake_call_free(rpc_call **call);
/** Let the stream take n messages more and tell its owner. */
void fake_call_open_window(rpc_call *call, size_t n);
