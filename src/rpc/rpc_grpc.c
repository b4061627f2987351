/* gRPC as a front of the pipeline. */
#include "google_rpc_status.pb-c.h"
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"

static lpx_str wire_path(const void *wire)
{
    return grpc_call_path(wire);
}

static lpx_str wire_authorization(const void *wire)
{
    return lpx_bytes_str(grpc_call_metadata(wire, "authorization"));
}

static uint64_t wire_credential(const void *wire)
{
    return grpc_call_credential(wire);
}

static const char *wire_peer(const void *wire)
{
    return grpc_call_peer(wire);
}

static const char *wire_peer_cert(const void *wire)
{
    return grpc_call_peer_cert(wire);
}

static unsigned wire_tag(const void *wire)
{
    return grpc_call_tag(wire);
}

static lpx_err wire_decode(const void *wire, const ProtobufCMessageDescriptor *desc, lpx_bytes *raw, lpx_arena *arena,
                           ProtobufCMessage **out, lpx_note *note)
{
    (void)wire;
    return pb_decode(desc, *raw, arena, out, note);
}

static lpx_err wire_reply(void *wire, const ProtobufCMessage *reply, lpx_arena *arena)
{
    lpx_bytes bytes = {NULL, 0};
    if (reply != NULL) {
        LPX_TRY(pb_encode(reply, arena, &bytes));
    }
    (void)grpc_call_send(wire, bytes);
    return LPX_SUCCESS;
}

static lpx_err wire_reply_bytes(void *wire, const ProtobufCMessageDescriptor *desc, lpx_bytes reply, lpx_arena *arena)
{
    (void)desc;
    (void)arena;
    (void)grpc_call_send(wire, reply);
    return LPX_SUCCESS;
}

/* google.rpc.Status with one ErrorInfo: the reason's name, for programs. */
static lpx_bytes error_details(lpx_err err, const char *text, lpx_arena *arena)
{
    lpx_bytes info = rpc_error_info(err, arena);
    if (info.len == 0) {
        return info;
    }
    static char type_url[] = "type.googleapis.com/google.rpc.ErrorInfo";
    Google__Rpc__Detail detail;
    google__rpc__detail__init(&detail);
    detail.type_url = type_url;
    detail.value = (ProtobufCBinaryData){.len = info.len, .data = (uint8_t *)(uintptr_t)info.ptr};
    Google__Rpc__Detail *details[] = {&detail};
    Google__Rpc__Status status;
    google__rpc__status__init(&status);
    status.code = err.code;
    status.message = (char *)(uintptr_t)text;
    status.n_details = 1;
    status.details = details;
    lpx_bytes out = {NULL, 0};
    return lpx_failed(pb_encode(&status.base, arena, &out)) ? (lpx_bytes){NULL, 0} : out;
}

static void wire_finish(void *wire, lpx_err err, const char *text, lpx_arena *arena)
{
    lpx_bytes details = lpx_failed(err) ? error_details(err, text, arena) : (lpx_bytes){NULL, 0};
    grpc_call_finish(wire, (lpx_code)err.code, lpx_str_of(text), details);
}

static void wire_open(void *wire)
{
    grpc_call_open(wire);
}

static bool wire_send(void *wire, lpx_bytes message)
{
    return grpc_call_send(wire, message);
}

static void wire_pause(void *wire)
{
    grpc_call_pause(wire);
}

static void wire_resume(void *wire)
{
    grpc_call_resume(wire);
}

static const rpc_front grpc_front = {
    .serialised = true,
    .path = wire_path,
    .authorization = wire_authorization,
    .credential = wire_credential,
    .peer = wire_peer,
    .peer_cert = wire_peer_cert,
    .tag = wire_tag,
    .decode = wire_decode,
    .reply = wire_reply,
    .reply_bytes = wire_reply_bytes,
    .finish = wire_finish,
    .open = wire_open,
    .send = wire_send,
    .pause = wire_pause,
    .resume = wire_resume,
};

static void on_call(void *ctx, grpc_call *grpc)
{
    rpc_call *call = rpc_call_new(ctx, &grpc_front, grpc);
    if (call == NULL) {
        grpc_call_finish(grpc, LPX_RESOURCE_EXHAUSTED, lpx_str_of(lpx_reason_text(BASE_NO_MEMORY)),
                         (lpx_bytes){NULL, 0});
        return;
    }
    grpc_call_set_user(grpc, call);
    rpc_call_start(call);
}

static void on_message(void *ctx, grpc_call *grpc, lpx_bytes message)
{
    (void)ctx;
    rpc_call_message(grpc_call_user(grpc), message, grpc_call_is_last(grpc));
}

static void on_half_close(void *ctx, grpc_call *grpc)
{
    (void)ctx;
    rpc_call_half_close(grpc_call_user(grpc));
}

static void on_writable(void *ctx, grpc_call *grpc)
{
    (void)ctx;
    rpc_call_writable(grpc_call_user(grpc));
}

static void on_cancel(void *ctx, grpc_call *grpc, lpx_code why)
{
    (void)ctx;
    rpc_call_cancel(grpc_call_user(grpc), why);
}

const grpc_server_events *rpc_grpc_events(void)
{
    static const grpc_server_events events = {
        .on_call = on_call,
        .on_message = on_message,
        .on_half_close = on_half_close,
        .on_writable = on_writable,
        .on_cancel = on_cancel,
    };
    return &events;
}
