/* lpx.trace.v1.Tracer. Who may call at all, and for which member, was decided before (rpc/authz.c). */
#include "codec/pb/pb.h"
#include "lorawan/ids.h"
#include "lpx_reasons.h"
#include "trace/trace_priv.h"

#define TRACER "/lpx.trace.v1.Tracer/"
#define NO_MEMORY lpx_err_of(BASE_NO_MEMORY)

/* The caller as one who looks: a network's key looks for its tenants too, unless the request names one. */
static trace_viewer viewer_of(const rpc_principal *who, const char *tenant_id)
{
    lpx_str tenant = who->subject == RPC_TENANT ? lpx_str_of(who->tenant_id) : pb_str(tenant_id);
    return (trace_viewer){.net_id = who->net_id,
                          .tenant_id = tenant,
                          .with_tenants = who->subject == RPC_NETWORK && tenant.len == 0,
                          .cluster_id = lpx_str_of(who->cluster_id)};
}

static lpx_err check(const trace *self, const rpc_principal *who, const char *tenant_id, trace_viewer *viewer,
                     lpx_note *note)
{
    lpx_str tenant = pb_str(tenant_id);
    if (!self->on) {
        return lpx_err_of(TRACE_OFF);
    }
    if (tenant.len > 0) {
        LPX_TRY(lw_tenant_id_check(tenant, "tenant_id", note));
    }
    *viewer = viewer_of(who, tenant_id);
    return LPX_SUCCESS;
}

static lpx_err find_trace(trace *self, rpc_call *call, const char *id, Lpx__Trace__V1__Trace **out, lpx_note *note)
{
    lpx_arena *arena = rpc_call_arena(call);
    lpx_utc now = io_loop_now(rpc_call_loop(call)).utc;
    trace_viewer viewer;
    trace_event *events;
    size_t count;
    bool dropped;
    LPX_TRY(check(self, rpc_call_principal(call), "", &viewer, note));
    LPX_TRY(trace_gather(self, lpx_str_of(id), now, arena, &events, &count));
    LPX_TRY(trace_view(&viewer, events, count, arena, out, &dropped));
    return *out != NULL ? LPX_SUCCESS : lpx_err_of(TRACE_UNKNOWN);
}

static void get_trace(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const Lpx__Trace__V1__GetTraceRequest *in = (const void *)message;
    Lpx__Trace__V1__GetTraceResponse reply;
    lpx_note note = {""};
    lpx__trace__v1__get_trace_response__init(&reply);
    lpx_err err = find_trace(service, call, in->id, &reply.trace, &note);
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
        return;
    }
    rpc_reply(call, &reply.base);
}

static lpx_err list(trace *self, rpc_call *call, const Lpx__Trace__V1__ListRecentRequest *in,
                    Lpx__Trace__V1__ListRecentResponse *reply, lpx_note *note)
{
    uint32_t limit = in->limit == 0 ? TRACE_LIST_DEFAULT : in->limit;
    limit = limit < TRACE_LIST_MAX ? limit : TRACE_LIST_MAX;
    trace_viewer viewer;
    LPX_TRY(check(self, rpc_call_principal(call), in->tenant_id, &viewer, note));
    return trace_recent(self, &viewer, in->drops_only != 0, limit, io_loop_now(rpc_call_loop(call)).utc,
                        rpc_call_arena(call), &reply->traces, &reply->n_traces);
}

static void list_recent(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    Lpx__Trace__V1__ListRecentResponse reply;
    lpx_note note = {""};
    lpx__trace__v1__list_recent_response__init(&reply);
    lpx_err err = list(service, call, (const void *)message, &reply, &note);
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
        return;
    }
    rpc_reply(call, &reply.base);
}

static void watch(rpc_call *call, const ProtobufCMessage *message, void *service)
{
    const Lpx__Trace__V1__WatchRequest *in = (const void *)message;
    lpx_note note = {""};
    trace_viewer viewer;
    lpx_err err = check(service, rpc_call_principal(call), in->tenant_id, &viewer, &note);
    if (!lpx_failed(err)) {
        err = trace_watch(service, call, &viewer, in->drops_only != 0);
    }
    if (lpx_failed(err)) {
        rpc_fail(call, err, &note);
    }
}

void trace_rpc_methods(trace *self)
{
    const rpc_method methods[TRACE_METHODS] = {
        {.path = TRACER "GetTrace",
         .in = &lpx__trace__v1__get_trace_request__descriptor,
         .out = &lpx__trace__v1__get_trace_response__descriptor,
         .flavour = RPC_LOOP,
         .loop = get_trace,
         .service = self},
        {.path = TRACER "ListRecent",
         .in = &lpx__trace__v1__list_recent_request__descriptor,
         .out = &lpx__trace__v1__list_recent_response__descriptor,
         .flavour = RPC_LOOP,
         .loop = list_recent,
         .service = self},
        {.path = TRACER "Watch",
         .in = &lpx__trace__v1__watch_request__descriptor,
         .out = &lpx__trace__v1__watch_response__descriptor,
         .flavour = RPC_STREAM,
         .loop = watch,
         .service = self},
    };
    memcpy(self->methods, methods, sizeof methods);
}
