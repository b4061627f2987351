#include "mapper/mapper_rest.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "lpx_reasons.h"
#include "mapper/mapper_json.h"
#include "mapper/mapper_params.h"

#define API "/api/v2"

/* Web pages may read the public map: it is public, and no cookie opens more. */
const http1_header mapper_rest_headers[MAPPER_REST_HEADERS] = {
    {"Access-Control-Allow-Origin", {"*", 1}},
    {"Cache-Control", {"no-cache", sizeof "no-cache" - 1}},
};

/* ---- answers ---- */

static void count_status(mapper_rest *rest, unsigned hundreds)
{
    atomic_fetch_add(&rest->mapper->counts.requests[hundreds], 1);
}

void mapper_rest_fail(mapper_rest *rest, http1_request *request, lpx_err err, const lpx_note *note)
{
    bool theirs = err.code == LPX_INVALID_ARGUMENT || err.code == LPX_NOT_FOUND || err.code == LPX_PERMISSION_DENIED ||
                  err.code == LPX_UNAUTHENTICATED;
    count_status(rest, theirs ? 4 : 5);
    rpc_http_fail(request, err, note);
}

void mapper_rest_answer(mapper_rest *rest, http1_request *request, lpx_bytes json)
{
    http1_answer answer = {.status = 200,
                           .content_type = "application/json",
                           .headers = mapper_rest_headers,
                           .header_count = MAPPER_REST_HEADERS,
                           .body = json,
                           .gzip = true};
    count_status(rest, 2);
    http1_request_answer(request, &answer);
}

/* ---- who asks ---- */

bool mapper_rest_viewer(const rpc_principal *who, lpx_arena *arena, mapper_viewer *out)
{
    *out = (mapper_viewer){.kind = MAPPER_VIEW_PUBLIC, .home.tenant_id = {"", 0}, .own.tenant_id = {"", 0}};
    if (who->subject == RPC_ADMIN) {
        out->kind = MAPPER_VIEW_ALL;
    } else if (who->subject == RPC_NETWORK || who->subject == RPC_TENANT) {
        const char *tenant = who->subject == RPC_TENANT ? who->tenant_id : "";
        lpx_str copy = lpx_bytes_str(lpx_arena_copy(arena, lpx_str_bytes(lpx_str_of(tenant))));
        out->kind = MAPPER_VIEW_HOME;
        out->has_own = true;
        out->own = out->home = (traffic_member){who->net_id, copy};
        return copy.ptr != NULL;
    }
    return true;
}

/* Whose bucket pays: the key's, else the address's. An IPv6 client has all addresses of its /64. */
static void name_caller(const http1_request *request, const rpc_principal *who, char out[static MAPPER_CALLER_BYTES])
{
    lpx_str peer = lpx_str_of(http1_request_peer(request));
    uint16_t words[8];
    if (who != NULL && who->subject != RPC_ANONYMOUS) {
        const char *name = who->key_id[0] != '\0' ? who->key_id : "administrator";
        (void)snprintf(out, MAPPER_CALLER_BYTES, "key %s", name);
        return;
    }
    while (peer.len > 0 && peer.ptr[peer.len - 1] != ':') {
        peer.len--;
    }
    peer.len -= peer.len > 0 ? 1 : 0;
    bool bracketed = peer.len > 1 && peer.ptr[0] == '[';
    (void)snprintf(out, MAPPER_CALLER_BYTES, "%.*s", (int)(bracketed ? peer.len - 2 : peer.len),
                   peer.ptr + (bracketed ? 1 : 0));
    if (inet_pton(AF_INET6, out, words) == 1) {
        (void)snprintf(out, MAPPER_CALLER_BYTES, "net %x:%x:%x:%x", words[0], words[1], words[2], words[3]);
    }
}

static void answer_too_fast(mapper_rest *rest, http1_request *request, int64_t wait_us)
{
    char seconds[24];
    char body[128];
    (void)snprintf(seconds, sizeof seconds, "%lld", (long long)(wait_us / 1000000 + 1));
    (void)snprintf(body, sizeof body, "{\"code\":\"resource_exhausted\",\"message\":\"%s\"}",
                   lpx_reason_text(MAPPER_TOO_FAST));
    const http1_header headers[] = {{"Retry-After", lpx_str_of(seconds)}};
    http1_answer answer = {.status = 429,
                           .content_type = "application/json",
                           .headers = headers,
                           .header_count = 1,
                           .body = lpx_str_bytes(lpx_str_of(body))};
    atomic_fetch_add(&rest->mapper->counts.limited, 1);
    count_status(rest, 4);
    http1_request_answer(request, &answer);
}

/* The caller is known and may ask: else answers, and false. */
static bool may_ask(mapper_rest *rest, http1_request *request, lpx_err err, const rpc_principal *who,
                    const lpx_note *note)
{
    char caller[MAPPER_CALLER_BYTES];
    int64_t wait_us;
    name_caller(request, lpx_failed(err) ? NULL : who, caller);
    if (!mapper_limiter_take(&rest->limiter, lpx_str_of(caller), io_loop_now(http1_request_loop(request)).mono,
                             &wait_us)) {
        answer_too_fast(rest, request, wait_us);
        return false;
    }
    if (lpx_failed(err)) {
        mapper_rest_fail(rest, request, err, note);
        return false;
    }
    return true;
}

/* ---- GET /gateways/{id} ---- */

/* One request; in its arena. */
typedef struct mapper_get {
    mapper_rest *rest;
    http1_request *request;
    mapper_gateway_id id;
    mapper_viewer viewer;
    uint32_t parts; /* 0: hidden, or not there */
    mapper_stored stored;
    io_job look;
    store_job read;
} mapper_get;

static void get_fail(mapper_get *get, lpx_err err)
{
    lpx_note note = {""};
    if (err.reason == MAPPER_GATEWAY_UNKNOWN) {
        (void)lpx_fail(&note, MAPPER_GATEWAY_UNKNOWN, "There is no gateway %.*s of %06X%s%.*s, or it is not visible.",
                       (int)get->id.key.len, get->id.key.ptr, (unsigned)get->id.forwarder.net_id,
                       get->id.forwarder.tenant_id.len > 0 ? "/" : "", (int)get->id.forwarder.tenant_id.len,
                       get->id.forwarder.tenant_id.ptr);
    }
    mapper_rest_fail(get->rest, get->request, err, &note);
}

/* On a store worker. */
static lpx_err read_details(store_tx *tx, store_job *job)
{
    mapper_get *get = LPX_CONTAINER(job, mapper_get, read);
    bool found;
    LPX_TRY(
        mapper_store_get(tx, get->id.forwarder, get->id.key, http1_request_arena(get->request), &get->stored, &found));
    return found && get->stored.gateway != NULL ? LPX_SUCCESS : lpx_err_of(MAPPER_GATEWAY_UNKNOWN);
}

static mapper_row row_of(const mapper_get *get)
{
    const Pb__V3__Gateway *gateway = get->stored.gateway;
    bool has_eui = gateway->gateway_id != NULL && gateway->gateway_id->eui != NULL;
    mapper_row row = {.forwarder = {.net_id = get->id.forwarder.net_id,
                                    .tenant_id = get->id.forwarder.tenant_id,
                                    .cluster_id = pb_str(gateway->cluster_id)},
                      .key = get->id.key,
                      .eui = has_eui ? gateway->gateway_id->eui->value : 0,
                      .known = has_eui ? MAPPER_HAS_EUI : 0,
                      .online_until = get->stored.online_until,
                      .updated_at = get->stored.updated_at};
    mapper_row_fill(gateway, &row);
    return row;
}

static void details_done(store_job *job, lpx_err err)
{
    mapper_get *get = LPX_CONTAINER(job, mapper_get, read);
    if (lpx_failed(err)) {
        get_fail(get, err);
        return;
    }
    lpx_buf json;
    mapper_row row = row_of(get);
    lpx_buf_init(&json, MAPPER_GATEWAY_JSON_BYTES);
    mapper_json_details(&json, &row, get->stored.gateway, get->parts,
                        io_loop_now(http1_request_loop(get->request)).utc);
    if (lpx_buf_failed(&json)) {
        get_fail(get, lpx_err_of(BASE_NO_MEMORY));
    } else {
        mapper_rest_answer(get->rest, get->request, lpx_buf_view(&json));
    }
    lpx_buf_fini(&json);
}

/* On the index thread, which knows who may see what. */
static void look(io_job *job)
{
    mapper_get *get = LPX_CONTAINER(job, mapper_get, look);
    mapper_row row;
    if (!mapper_index_find(get->rest->mapper->index, &get->viewer, get->id.forwarder, get->id.key, &row, &get->parts)) {
        get->parts = 0;
    }
}

static void look_done(io_job *job)
{
    mapper_get *get = LPX_CONTAINER(job, mapper_get, look);
    mapper *self = get->rest->mapper;
    lpx_err err = lpx_err_of(atomic_load(&self->stopping) ? MAPPER_BUSY : MAPPER_GATEWAY_UNKNOWN);
    if (get->parts != 0 && !atomic_load(&self->stopping)) {
        get->read = (store_job){.home = http1_request_loop(get->request), .work = read_details, .done = details_done};
        err = store_submit(self->opts.store, &get->read);
    }
    if (lpx_failed(err)) {
        get_fail(get, err);
    }
}

static lpx_err get_begin(mapper_rest *rest, http1_request *request, const rpc_principal *who, lpx_note *note)
{
    lpx_arena *arena = http1_request_arena(request);
    mapper_get *get = lpx_arena_get(arena, sizeof *get);
    if (get == NULL || !mapper_rest_viewer(who, arena, &get->viewer)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (http1_request_query(request).len > 0) {
        return lpx_fail(note, MAPPER_BAD_PARAMETER, "One gateway is asked for without parameters behind a \"?\".");
    }
    get->rest = rest;
    get->request = request;
    lpx_str id = lpx_str_skip(http1_request_path(request), sizeof API "/gateways/" - 1);
    LPX_TRY(mapper_params_id(id, arena, &get->id, note));
    get->look = (io_job){.home = http1_request_loop(request), .work = look, .done = look_done};
    return io_workers_submit(rest->mapper->worker, &get->look);
}

static void on_get_who(void *ctx, http1_request *request, lpx_err err, const rpc_principal *who, const lpx_note *note)
{
    mapper_rest *rest = ctx;
    lpx_note own = {""};
    if (may_ask(rest, request, err, who, note)) {
        err = get_begin(rest, request, who, &own);
        if (lpx_failed(err)) {
            mapper_rest_fail(rest, request, err, &own);
        }
    }
}

/* ---- routes ---- */

static void get_gateway(void *ctx, http1_request *request)
{
    mapper_rest *rest = ctx;
    rpc_http_identify(rest->front, request, on_get_who, rest);
}

static void on_list_who(void *ctx, http1_request *request, lpx_err err, const rpc_principal *who, const lpx_note *note)
{
    mapper_rest *rest = ctx;
    if (may_ask(rest, request, err, who, note)) {
        mapper_list_begin(rest, request, who);
    }
}

static void get_gateways(void *ctx, http1_request *request)
{
    mapper_rest *rest = ctx;
    rpc_http_identify(rest->front, request, on_list_who, rest);
}

static void get_openapi(void *ctx, http1_request *request)
{
    mapper_rest *rest = ctx;
    mapper_rest_answer(rest, request, lpx_str_bytes(lpx_str_of(rest->mapper->openapi)));
}

lpx_err mapper_serve(mapper *self, rpc_http *front, http1_server *http)
{
    mapper_rest *rest = calloc(1, sizeof *rest);
    if (rest == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    rest->mapper = self;
    rest->front = front;
    rest->next = self->rests;
    self->rests = rest;
    lpx_list_init(&rest->lists);
    mapper_limiter_init(&rest->limiter, (uint64_t)(uintptr_t)rest, self->opts.requests_per_minute);
    const http1_route routes[] = {
        {.method = "GET", .path = API "/gateways", .handler = get_gateways, .ctx = rest},
        {.method = "GET", .path = API "/gateways/", .prefix = true, .handler = get_gateway, .ctx = rest},
        {.method = "GET", .path = API "/openapi.json", .handler = get_openapi, .ctx = rest},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        LPX_TRY(http1_server_route(http, &routes[i]));
    }
    return LPX_SUCCESS;
}

void mapper_rest_free_all(mapper *self)
{
    while (self->rests != NULL) {
        mapper_rest *rest = self->rests;
        self->rests = rest->next;
        mapper_list_cut_all(rest);
        free(rest);
    }
}
