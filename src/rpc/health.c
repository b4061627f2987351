#include "rpc/health.h"

#include <stdlib.h>

#include "grpc_health_v1_health.pb-c.h"
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"

typedef Grpc__Health__V1__HealthCheckRequest check_request;
typedef Grpc__Health__V1__HealthCheckResponse check_response;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;

enum { METHODS = 2 };

struct rpc_health {
    rpc_server *rpc;
    bool serving;
    rpc_method methods[METHODS];
    lpx_list watchers;
    size_t watcher_count;
};

/* One open Watch. */
typedef struct watcher {
    rpc_health *health;
    rpc_call *call;
    bool known; /* the service is served here */
    lpx_list node;
} watcher;

static serving_status status_of(const rpc_health *health, bool known)
{
    if (!known) {
        return GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
    }
    return health->serving ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                           : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
}

/* The empty name is the process as a whole. */
static bool is_known(const rpc_health *health, const ProtobufCMessage *request)
{
    lpx_str service = pb_str(((const check_request *)request)->service);
    return service.len == 0 || rpc_serves(health->rpc, service);
}

static void check(rpc_call *call, const ProtobufCMessage *request, void *service)
{
    const rpc_health *health = service;
    check_response response;
    grpc__health__v1__health_check_response__init(&response);
    if (!is_known(health, request)) {
        rpc_fail(call, lpx_err_of(RPC_UNKNOWN_SERVICE), NULL);
        return;
    }
    response.status = status_of(health, true);
    rpc_reply(call, &response.base);
}

static void tell(const watcher *w)
{
    check_response response;
    uint8_t room[16];
    grpc__health__v1__health_check_response__init(&response);
    response.status = status_of(w->health, w->known);
    lpx_assert(protobuf_c_message_get_packed_size(&response.base) <= sizeof room);
    (void)rpc_stream_send(w->call, lpx_bytes_of(room, protobuf_c_message_pack(&response.base, room)));
}

static void on_end(void *ctx, lpx_code why)
{
    (void)why;
    watcher *w = ctx;
    w->health->watcher_count--;
    lpx_list_remove(&w->node);
    free(w);
}

static void watch(rpc_call *call, const ProtobufCMessage *request, void *service)
{
    static const rpc_stream_events events = {.on_end = on_end};
    rpc_health *health = service;
    watcher *w = health->watcher_count < RPC_HEALTH_WATCHERS ? calloc(1, sizeof *w) : NULL;
    if (w == NULL) {
        rpc_fail(call, lpx_err_of(RPC_OVERLOADED), NULL);
        return;
    }
    *w = (watcher){.health = health, .call = call, .known = is_known(health, request)};
    lpx_list_init(&w->node);
    lpx_list_push(&health->watchers, &w->node);
    health->watcher_count++;
    rpc_stream_begin(call, &events, w);
    tell(w);
}

lpx_err rpc_health_new(rpc_server *rpc, rpc_health **out, lpx_note *note)
{
    rpc_health *health = calloc(1, sizeof *health);
    if (health == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    health->rpc = rpc;
    lpx_list_init(&health->watchers);
    rpc_method base = {.in = &grpc__health__v1__health_check_request__descriptor,
                       .out = &grpc__health__v1__health_check_response__descriptor,
                       .service = health};
    health->methods[0] = health->methods[1] = base;
    health->methods[0].path = "/grpc.health.v1.Health/Check";
    health->methods[0].flavour = RPC_LOOP;
    health->methods[0].loop = check;
    health->methods[0].while_stopping = true;
    health->methods[1].path = "/grpc.health.v1.Health/Watch";
    health->methods[1].flavour = RPC_STREAM;
    health->methods[1].loop = watch;
    lpx_err err = rpc_server_add(rpc, health->methods, METHODS, note);
    if (lpx_failed(err)) {
        free(health);
        return err;
    }
    *out = health;
    return LPX_SUCCESS;
}

void rpc_health_set(rpc_health *health, bool serving)
{
    if (health->serving == serving) {
        return;
    }
    health->serving = serving;
    for (lpx_list *node = health->watchers.next; node != &health->watchers; node = node->next) {
        const watcher *w = LPX_CONTAINER(node, watcher, node);
        if (w->known) {
            tell(w);
        }
    }
}

void rpc_health_free(rpc_health **health)
{
    free(*health);
    *health = NULL;
}
