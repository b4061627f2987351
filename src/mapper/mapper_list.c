/* GET /gateways: a JSON array, made slice by slice on the index thread and sent as the client takes it, so that an
 * answer of any length needs the memory of one slice. */
#include <stdlib.h>
#include <time.h>

#include "lpx_reasons.h"
#include "mapper/mapper_json.h"
#include "mapper/mapper_params.h"
#include "mapper/mapper_rest.h"

typedef struct mapper_list {
    lpx_list node;
    mapper_rest *rest;
    http1_request *request;
    mapper_query query; /* text is in the request's arena */
    mapper_viewer viewer;
    mapper_scan *scan;
    lpx_buf out;
    io_job job;
    lpx_utc now;
    bool begun;    /* '[' is written */
    bool any;      /* a gateway is written */
    bool finished; /* ']' is written */
    bool working;  /* on the index thread */
    bool streaming;
    bool room; /* the connection takes more */
    bool gone; /* the client left */
} mapper_list;

static void list_free(mapper_list *list)
{
    lpx_list_remove(&list->node);
    list->rest->list_count--;
    mapper_scan_free(&list->scan);
    lpx_buf_fini(&list->out);
    free(list);
}

static void list_fail(mapper_list *list, lpx_err err)
{
    if (list->streaming) {
        atomic_fetch_add(&list->rest->mapper->counts.requests[0], 1);
        http1_stream_end(list->request, false);
    } else {
        mapper_rest_fail(list->rest, list->request, err, NULL);
    }
    list_free(list);
}

/* ---- on the index thread ---- */

static int64_t cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void write_slice(mapper_list *list, const mapper_index *index)
{
    uint32_t steps = MAPPER_SLICE_STEPS;
    mapper_hit hit;
    mapper_found found = MAPPER_FOUND_HIT;
    if (!list->begun) {
        lpx_buf_add_str(&list->out, LPX_STR("["));
        list->begun = true;
    }
    mapper_scan_resume(list->scan, index);
    while (list->out.len < MAPPER_SLICE_BYTES && found == MAPPER_FOUND_HIT) {
        found = mapper_scan_next(list->scan, index, list->now, &steps, &hit);
        if (found == MAPPER_FOUND_HIT) {
            lpx_buf_add_str(&list->out, list->any ? LPX_STR(",") : LPX_STR(""));
            mapper_json_row(&list->out, &hit.row, hit.parts, list->now);
            list->any = true;
        }
    }
    if (found == MAPPER_FOUND_END) {
        lpx_buf_add_str(&list->out, LPX_STR("]"));
        list->finished = true;
    }
}

static void slice_work(io_job *job)
{
    mapper_list *list = LPX_CONTAINER(job, mapper_list, job);
    int64_t since = cpu_us();
    write_slice(list, list->rest->mapper->index);
    atomic_fetch_add(&list->rest->mapper->counts.query_us, (uint64_t)(cpu_us() - since));
}

/* ---- on the loop ---- */

static void next_slice(mapper_list *list)
{
    mapper *self = list->rest->mapper;
    list->now = io_loop_now(http1_request_loop(list->request)).utc;
    list->working = true;
    lpx_err err = atomic_load(&self->stopping) ? lpx_err_of(MAPPER_BUSY) : io_workers_submit(self->worker, &list->job);
    if (lpx_failed(err)) {
        list_fail(list, err);
    }
}

static void on_writable(void *ctx, http1_request *request)
{
    (void)request;
    mapper_list *list = ctx;
    list->room = true;
    if (!list->working) {
        next_slice(list);
    }
}

static void on_gone(void *ctx, http1_request *request)
{
    (void)request;
    mapper_list *list = ctx;
    list->gone = true;
    if (!list->working) {
        list_fail(list, lpx_err_of(MAPPER_BUSY));
    }
}

static lpx_err begin_stream(mapper_list *list)
{
    static const http1_stream_events events = {on_writable, on_gone};
    http1_answer head = {.status = 200,
                         .content_type = "application/json",
                         .headers = mapper_rest_headers,
                         .header_count = MAPPER_REST_HEADERS,
                         .gzip = true};
    LPX_TRY(http1_stream_begin(list->request, &head, &events, list));
    list->streaming = true;
    return LPX_SUCCESS;
}

static void send_slice(mapper_list *list)
{
    if (!list->streaming && list->finished) {
        mapper_rest_answer(list->rest, list->request, lpx_buf_view(&list->out));
        list_free(list);
        return;
    }
    lpx_err err = list->streaming ? LPX_SUCCESS : begin_stream(list);
    if (lpx_failed(err)) {
        list_fail(list, err);
        return;
    }
    list->room = http1_stream_write(list->request, lpx_buf_view(&list->out));
    lpx_buf_clear(&list->out);
    if (list->finished) {
        atomic_fetch_add(&list->rest->mapper->counts.requests[2], 1);
        http1_stream_end(list->request, true);
        list_free(list);
    } else if (list->room) {
        next_slice(list);
    }
}

static void slice_done(io_job *job)
{
    mapper_list *list = LPX_CONTAINER(job, mapper_list, job);
    list->working = false;
    if (list->gone || atomic_load(&list->rest->mapper->stopping)) {
        list_fail(list, lpx_err_of(MAPPER_BUSY));
    } else if (lpx_buf_failed(&list->out)) {
        list_fail(list, lpx_err_of(BASE_NO_MEMORY));
    } else if (list->out.len == 0) { /* looked long and found nothing */
        next_slice(list);
    } else {
        send_slice(list);
    }
}

/* A view of a home network is for its own tokens; an administrator may take any. */
static lpx_err choose_view(const mapper_query *query, const rpc_principal *who, mapper_viewer *viewer, lpx_note *note)
{
    if (!query->has_home) {
        return LPX_SUCCESS;
    }
    bool own = viewer->has_own && viewer->own.net_id == query->home.net_id &&
               (viewer->own.tenant_id.len == 0 || lpx_str_equal(viewer->own.tenant_id, query->home.tenant_id));
    if (!own && who->subject != RPC_ADMIN) {
        return lpx_fail(note, MAPPER_FOREIGN_VIEW, "homeNetworkNetID %06X%s%.*s needs a token of that home network.",
                        (unsigned)query->home.net_id, query->home.tenant_id.len > 0 ? " with homeNetworkTenantID " : "",
                        (int)query->home.tenant_id.len, query->home.tenant_id.ptr);
    }
    viewer->kind = MAPPER_VIEW_HOME;
    viewer->home = query->home;
    return LPX_SUCCESS;
}

static lpx_err list_prepare(mapper_list *list, const rpc_principal *who, lpx_note *note)
{
    lpx_arena *arena = http1_request_arena(list->request);
    if (!mapper_rest_viewer(who, arena, &list->viewer)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(mapper_params_list(http1_request_query(list->request), arena, &list->query, note));
    LPX_TRY(choose_view(&list->query, who, &list->viewer, note));
    list->scan = mapper_scan_new(&list->query, &list->viewer);
    return list->scan != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

void mapper_list_begin(mapper_rest *rest, http1_request *request, const rpc_principal *who)
{
    lpx_note note = {""};
    mapper_list *list = rest->list_count < MAPPER_LISTS_MAX ? calloc(1, sizeof *list) : NULL;
    if (list == NULL) {
        mapper_rest_fail(rest, request, lpx_err_of(MAPPER_BUSY), &note);
        return;
    }
    list->rest = rest;
    list->request = request;
    lpx_buf_init(&list->out, MAPPER_SLICE_BYTES + MAPPER_GATEWAY_JSON_BYTES);
    list->job = (io_job){.home = http1_request_loop(request), .work = slice_work, .done = slice_done};
    lpx_list_push(&rest->lists, &list->node);
    rest->list_count++;
    lpx_err err = list_prepare(list, who, &note);
    if (lpx_failed(err)) {
        mapper_rest_fail(rest, request, err, &note);
        list_free(list);
        return;
    }
    atomic_fetch_add(&rest->mapper->counts.queries, 1);
    next_slice(list);
}

void mapper_list_cut_all(mapper_rest *rest)
{
    while (!lpx_list_empty(&rest->lists)) {
        list_fail(LPX_CONTAINER(rest->lists.next, mapper_list, node), lpx_err_of(MAPPER_BUSY));
    }
}
