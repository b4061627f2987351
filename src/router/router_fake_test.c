#include "router/router_fake_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "rpc/authz.h"

enum { FAKE_REQUEST_BYTES = 4 << 20 };

rpc_call *fake_call_new(io_loop *loop)
{
    rpc_call *call = calloc(1, sizeof *call);
    lpx_assert(call != NULL);
    call->loop = loop;
    call->keep = true;
    call->window = SIZE_MAX;
    lpx_arena_init(&call->arena, 64 << 20);
    return call;
}

/* The heap may be made to fail by the test: what belongs to the test is not taken from there. */
void fake_call_run(rpc_call *call, const rpc_method *method, const ProtobufCMessage *request)
{
    static _Thread_local uint8_t bytes[FAKE_REQUEST_BYTES];
    lpx_assert(protobuf_c_message_get_packed_size(request) <= sizeof bytes);
    if (method->flavour != RPC_HOT) {
        method->loop(call, request, method->service);
        return;
    }
    size_t len = protobuf_c_message_pack(request, bytes);
    method->hot(call, lpx_bytes_of(bytes, len), method->service);
    memset(bytes, 0xA5, len); /* it was borrowed */
}

void fake_call_free(rpc_call **ref)
{
    rpc_call *call = *ref;
    *ref = NULL;
    if (call->streaming && !call->ended) {
        call->events->on_end(call->events_ctx, LPX_CANCELLED);
    }
    lpx_arena_fini(&call->arena);
    free(call->sent);
    free(call);
}

void fake_call_open_window(rpc_call *call, size_t n)
{
    call->window = n;
    call->events->on_writable(call->events_ctx);
}

lpx_arena *rpc_call_arena(rpc_call *call)
{
    return &call->arena;
}

io_loop *rpc_call_loop(const rpc_call *call)
{
    return call->loop;
}

const rpc_principal *rpc_call_principal(const rpc_call *call)
{
    return &call->who;
}

lpx_bytes rpc_call_raw(const rpc_call *call)
{
    return call->raw;
}

void rpc_reply(rpc_call *call, const ProtobufCMessage *reply)
{
    lpx_assert(!call->replied && !call->failed && !call->streaming);
    call->replied = true;
    if (lpx_failed(pb_encode(reply, &call->arena, &call->reply))) {
        call->reply = (lpx_bytes){NULL, 0}; /* a test made the heap fail */
    }
}

void rpc_reply_bytes(rpc_call *call, lpx_bytes reply)
{
    lpx_assert(!call->replied && !call->failed && !call->streaming && call->allowed);
    call->replied = true;
    call->reply = lpx_arena_copy(&call->arena, reply);
}

const rpc_rule *rpc_authz_find(const char *path)
{
    (void)path;
    return NULL;
}

lpx_err rpc_authz_check_owner(const rpc_rule *rule, const rpc_principal *who, const rpc_owner *owner, lpx_note *note)
{
    (void)rule;
    (void)who;
    (void)owner;
    (void)note;
    return LPX_SUCCESS;
}

lpx_err rpc_hot_allow(rpc_call *call, uint32_t net_id, lpx_str tenant_id, lpx_str cluster_id, lpx_note *note)
{
    (void)note;
    lpx_assert(tenant_id.len < sizeof call->owner_tenant_id && cluster_id.len < sizeof call->owner_cluster_id);
    call->allowed = true;
    call->owner_net_id = net_id;
    (void)snprintf(call->owner_tenant_id, sizeof call->owner_tenant_id, "%.*s", (int)tenant_id.len, tenant_id.ptr);
    (void)snprintf(call->owner_cluster_id, sizeof call->owner_cluster_id, "%.*s", (int)cluster_id.len, cluster_id.ptr);
    return LPX_SUCCESS;
}

void rpc_fail(rpc_call *call, lpx_err err, const lpx_note *note)
{
    lpx_assert(!call->replied && !call->failed && !call->streaming);
    call->failed = true;
    call->err = err;
    if (note != NULL) {
        call->note = *note;
    }
}

void rpc_stream_begin(rpc_call *call, const rpc_stream_events *events, void *ctx)
{
    lpx_assert(!call->replied && !call->failed && !call->streaming);
    call->streaming = true;
    call->events = events;
    call->events_ctx = ctx;
}

void rpc_stream_end(rpc_call *call, lpx_err err, const lpx_note *note)
{
    (void)note;
    lpx_assert(call->streaming && !call->ended);
    call->ended = true;
    call->err = err;
}

bool rpc_stream_send(rpc_call *call, lpx_bytes message)
{
    lpx_assert(call->streaming && !call->ended && call->window > 0);
    if (call->keep && call->sent_count == call->sent_room) {
        call->sent_room = call->sent_room > 0 ? call->sent_room * 2 : 16;
        lpx_bytes *grown = realloc(call->sent, call->sent_room * sizeof *grown);
        lpx_assert(grown != NULL);
        call->sent = grown;
    }
    if (call->keep) {
        call->sent[call->sent_count] = lpx_arena_copy(&call->arena, message);
        lpx_assert(call->sent[call->sent_count].ptr != NULL);
    }
    call->sent_count++;
    call->window -= call->window != SIZE_MAX ? 1 : 0;
    return call->window > 0;
}
