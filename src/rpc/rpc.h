/* The pipeline of every call: find the method, authenticate, decode, authorise by one table, run, answer, log and count
 * once. Services give it methods; gRPC (and, on port 1901, JSON) are its fronts. Level 5.
 *
 * Two kinds of method. A *transaction* method is one plain function that runs on a store worker, inside a transaction,
 * and leaves its answer: nearly all of IAM and control. A *loop* method runs on the caller's loop: the data plane. */
#pragma once
#include "codec/pb/pb.h"
#include "rpc/principal.h"
#include "store/store.h"
#include "wire/grpc/server.h"

typedef struct rpc_server rpc_server; /* one per loop */
typedef struct rpc_call rpc_call;
typedef struct rpc_walks rpc_walks; /* rpc/walks.h */

/** What a transaction method gets. It runs on a store worker and may be run again from the start. */
typedef struct rpc_txn {
    const rpc_principal *who;
    const ProtobufCMessage *request; /* of the method's input type */
    const ProtobufCMessage *reply;   /* to set: the answer, in the arena; left NULL: an empty message */
    lpx_arena *arena;
    lpx_utc now;
    lpx_note note;    /* sentence for the user when the method fails */
    void *service;    /* rpc_method.service */
    rpc_walks *walks; /* through lists; NULL: offsets count rows */
} rpc_txn;

typedef enum rpc_flavour {
    RPC_READ,
    RPC_WRITE,
    RPC_LOOP,
    RPC_STREAM, /* one request, many answers */
    RPC_BIDI,   /* many requests, many answers: loop runs with request NULL once the caller is authorised (its rule has
                   scope NONE or HANDLER), must begin the stream, and requests come by on_request */
    RPC_HOT,    /* one request, one answer, both serialised: hot runs before authorisation and must ask rpc_hot_allow */
} rpc_flavour;

/** One method. Which principals may call it, and on which fields of the request, stands in rpc/authz.c. */
typedef struct rpc_method {
    const char *path; /* "/org.packetbroker.iam.v1.NetworkRegistry/ListNetworks" */
    const ProtobufCMessageDescriptor *in, *out;
    rpc_flavour flavour;
    lpx_err (*txn)(store_tx *tx, rpc_txn *txn);                                   /* RPC_READ, RPC_WRITE */
    void (*loop)(rpc_call *call, const ProtobufCMessage *request, void *service); /* the others: ends with rpc_reply,
                                                                          rpc_fail or, for streams, later */
    void *service;
    bool while_stopping; /* answered during a drain too (health) */
    /* RPC_HOT: the request as it came, not decoded and not checked; borrowed until hot returns. Ends, now or later,
     * with rpc_reply_bytes, rpc_reply or rpc_fail. in and out are for the JSON front, which decodes and encodes for it.
     */
    void (*hot)(rpc_call *call, lpx_bytes request, void *service);
} rpc_method;

/** What an open stream is told. After on_end the call is gone. */
typedef struct rpc_stream_events {
    void (*on_writable)(void *ctx);
    void (*on_end)(void *ctx, lpx_code why); /* the peer left, its deadline passed, its key was revoked, or shutdown */
    /* RPC_BIDI alone: one further request, borrowed for the call; may end the stream. */
    void (*on_request)(void *ctx, const ProtobufCMessage *request);
    void (*on_half_close)(void *ctx); /* RPC_BIDI alone: the peer sends no more; may end the stream */
    /* RPC_BIDI alone: when it is there, requests come here as they came, not decoded, and not to on_request. */
    void (*on_bytes)(void *ctx, lpx_bytes request);
} rpc_stream_events;

/** Who calls. */
const rpc_principal *rpc_call_principal(const rpc_call *call);
/** The call's arena. */
lpx_arena *rpc_call_arena(rpc_call *call);
/** The call's loop. */
io_loop *rpc_call_loop(const rpc_call *call);
/** Serialised request as it came, borrowed for the life of a unary call's handler; RPC_HOT: only until hot returns. */
lpx_bytes rpc_call_raw(const rpc_call *call);
/** RPC_HOT: may the caller do this to what these fields name? The method's row of the authorisation table decides,
 * exactly as it does for requests that are decoded. No answer but rpc_fail can be given before it said yes.
 * @param net_id, tenant_id, cluster_id  what the fields hold that the row names; what it does not name is not looked at
 * @err as rpc_authz_check */
LPX_RESULT rpc_hot_allow(rpc_call *call, uint32_t net_id, lpx_str tenant_id, lpx_str cluster_id, lpx_note *note);
/** Answer a unary call and end it; reply NULL: an empty message. */
void rpc_reply(rpc_call *call, const ProtobufCMessage *reply);
/** Answer a unary call with a serialised message of its output type, and end it. reply is copied. */
void rpc_reply_bytes(rpc_call *call, lpx_bytes reply);
/** End a call with an error; note may be NULL (then the reason's standing text is sent). */
void rpc_fail(rpc_call *call, lpx_err err, const lpx_note *note);
/** Make the call a stream; it stays open until rpc_stream_end or on_end. */
void rpc_stream_begin(rpc_call *call, const rpc_stream_events *events, void *ctx);
/** Send one serialised message. Of RPC_BIDI no further request comes while the answers wait.
 * @return false: above the high-water mark, wait for on_writable (it was taken) */
bool rpc_stream_send(rpc_call *call, lpx_bytes message);
/** End a stream from this side; on_end does not run. err code OK: a clean end. */
void rpc_stream_end(rpc_call *call, lpx_err err, const lpx_note *note);
