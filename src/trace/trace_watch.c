/* Live traces. Those who watch on one loop are served together: every now and then one pass over what was recorded
 * since, one look at each message that concerns any of them, and one answer to each whom it concerns. Recording does
 * nothing for them. */
#include <stdlib.h>
#include <string.h>

#include "codec/pb/pb.h"
#include "lpx_reasons.h"
#include "trace/trace_priv.h"

typedef struct trace_watcher {
    trace_hub *hub;
    rpc_call *call;
    trace_viewer viewer;
    bool drops_only, writable;
    uint64_t missed; /* since the last answer */
    char tenant_id[RPC_ID_BYTES], cluster_id[RPC_ID_BYTES];
} trace_watcher;

/* A message of which something was recorded. */
typedef struct touched {
    uint64_t hash;
    lpx_str id;
    uint32_t watchers; /* bit N: concerns watchers[N] of the hub */
} touched;

static_assert(TRACE_WATCHERS_PER_LOOP <= 32, "one bit for each");

typedef struct pass {
    trace_hub *hub;
    lpx_arena arena;   /* of the pass */
    lpx_arena scratch; /* of one record */
    touched list[TRACE_TOUCHED];
    size_t count;
} pass;

static uint32_t concerned(const trace_hub *hub, const trace_event *event)
{
    uint32_t bits = 0;
    bool drop;
    for (unsigned i = 0; i < TRACE_WATCHERS_PER_LOOP; i++) {
        const trace_watcher *w = hub->watchers[i];
        if (w != NULL && trace_concerns(&w->viewer, event, &drop)) {
            bits |= UINT32_C(1) << i;
        }
    }
    return bits;
}

static void miss(trace_hub *hub, uint32_t watchers)
{
    for (unsigned i = 0; i < TRACE_WATCHERS_PER_LOOP; i++) {
        if ((watchers >> i & 1) != 0 && hub->watchers[i] != NULL) {
            hub->watchers[i]->missed++;
        }
    }
}

static void touch(pass *p, const trace_entry *entry, const trace_event *event, uint32_t watchers)
{
    lpx_str id = trace_event_id(event);
    for (size_t i = 0; i < p->count; i++) {
        if (p->list[i].hash == entry->hash && lpx_str_equal(p->list[i].id, id)) {
            p->list[i].watchers |= watchers;
            return;
        }
    }
    lpx_bytes copy = p->count < TRACE_TOUCHED ? lpx_arena_copy(&p->arena, lpx_str_bytes(id)) : lpx_bytes_of(NULL, 0);
    if (copy.ptr == NULL) {
        miss(p->hub, entry->type == TRACE_PASSED ? watchers : 0);
        return;
    }
    p->list[p->count++] = (touched){.hash = entry->hash, .id = lpx_bytes_str(copy), .watchers = watchers};
}

/* One stretch of a log while its loop waits. @return whether there is more */
static bool read_stretch(pass *p, const trace_log *log, trace_pos *at)
{
    trace_entry entry;
    trace_event event;
    if (*at < trace_log_begin(log)) {
        *at = trace_log_begin(log); /* overwritten unread: whose they were is not known any more */
        miss(p->hub, UINT32_MAX);
    }
    for (unsigned n = 0; n < TRACE_CHUNK_RECORDS; n++) {
        if (!trace_log_at(log, *at, &entry)) {
            return false;
        }
        lpx_arena_reset(&p->scratch);
        uint32_t watchers =
            trace_read(entry.type, entry.time, entry.payload, &p->scratch, &event) ? concerned(p->hub, &event) : 0;
        if (watchers != 0) {
            touch(p, &entry, &event, watchers);
        }
        *at = entry.next;
    }
    return true;
}

static void read_logs(pass *p)
{
    trace *self = p->hub->owner;
    for (unsigned i = 0; i < self->loop_count; i++) {
        bool more = true;
        while (more) {
            pthread_mutex_lock(&self->parts[i].lock);
            more = read_stretch(p, self->parts[i].log, &p->hub->read[i]);
            pthread_mutex_unlock(&self->parts[i].lock);
        }
    }
}

static void send_trace(trace_watcher *w, Lpx__Trace__V1__Trace *shown, lpx_arena *arena)
{
    Lpx__Trace__V1__WatchResponse answer;
    lpx_bytes bytes;
    lpx__trace__v1__watch_response__init(&answer);
    answer.trace = shown;
    answer.missed = w->missed;
    if (!w->writable || lpx_failed(pb_encode(&answer.base, arena, &bytes))) {
        w->missed++;
        return;
    }
    w->missed = 0;
    w->writable = rpc_stream_send(w->call, bytes);
}

static void show(pass *p, const touched *t, lpx_utc now)
{
    trace_hub *hub = p->hub;
    trace_event *events;
    size_t count;
    if (lpx_failed(trace_gather(hub->owner, t->id, now, &p->arena, &events, &count))) {
        miss(hub, t->watchers);
        return;
    }
    for (unsigned i = 0; i < TRACE_WATCHERS_PER_LOOP; i++) {
        trace_watcher *w = (t->watchers >> i & 1) != 0 ? hub->watchers[i] : NULL;
        Lpx__Trace__V1__Trace *shown;
        bool dropped;
        if (w == NULL) {
            continue;
        }
        if (lpx_failed(trace_view(&w->viewer, events, count, &p->arena, &shown, &dropped))) {
            w->missed++;
        } else if (shown != NULL && (dropped || !w->drops_only)) {
            send_trace(w, shown, &p->arena);
        }
    }
}

static void fire(io_timer *timer)
{
    trace_hub *hub = LPX_CONTAINER(timer, trace_hub, timer);
    pass *p = malloc(sizeof *p);
    if (p == NULL) {
        miss(hub, UINT32_MAX);
        io_timer_arm(timer, TRACE_WATCH_EVERY_MS * INT64_C(1000));
        return;
    }
    p->hub = hub;
    p->count = 0;
    lpx_arena_init(&p->arena, TRACE_WATCH_ARENA_BYTES);
    lpx_arena_init(&p->scratch, TRACE_SCRATCH_BYTES);
    read_logs(p);
    lpx_utc now = io_loop_now(hub->loop).utc;
    for (size_t i = 0; i < p->count; i++) {
        show(p, &p->list[i], now);
    }
    lpx_arena_fini(&p->scratch);
    lpx_arena_fini(&p->arena);
    free(p);
    io_timer_arm(timer, TRACE_WATCH_EVERY_MS * INT64_C(1000));
}

/* Streams. */

static void on_writable(void *ctx)
{
    trace_watcher *w = ctx;
    w->writable = true;
}

static void on_end(void *ctx, lpx_code why)
{
    trace_watcher *w = ctx;
    trace_hub *hub = w->hub;
    (void)why;
    for (unsigned i = 0; i < TRACE_WATCHERS_PER_LOOP; i++) {
        hub->watchers[i] = hub->watchers[i] == w ? NULL : hub->watchers[i];
    }
    free(w);
    if (--hub->count == 0) {
        io_timer_fini(&hub->timer);
    }
}

static const rpc_stream_events stream_events = {.on_writable = on_writable, .on_end = on_end};

/* Follow from now on. */
static lpx_err start(trace_hub *hub, io_loop *loop)
{
    trace *self = hub->owner;
    LPX_TRY(io_timer_init(&hub->timer, loop, fire));
    hub->loop = loop;
    for (unsigned i = 0; i < self->loop_count; i++) {
        pthread_mutex_lock(&self->parts[i].lock);
        hub->read[i] = trace_log_end(self->parts[i].log);
        pthread_mutex_unlock(&self->parts[i].lock);
    }
    io_timer_arm(&hub->timer, TRACE_WATCH_EVERY_MS * INT64_C(1000));
    return LPX_SUCCESS;
}

static unsigned count_of(const trace_hub *hub, const trace_viewer *viewer)
{
    unsigned count = 0;
    for (unsigned i = 0; i < TRACE_WATCHERS_PER_LOOP; i++) {
        const trace_watcher *w = hub->watchers[i];
        count += w != NULL && w->viewer.net_id == viewer->net_id ? 1 : 0;
    }
    return count;
}

/* Of the caller's texts, which end with the request, copies that live as long as the watcher. */
static lpx_str keep(lpx_str text, char room[static RPC_ID_BYTES])
{
    size_t len = text.len < RPC_ID_BYTES ? text.len : RPC_ID_BYTES - 1;
    if (len > 0) {
        memcpy(room, text.ptr, len);
    }
    return (lpx_str){.ptr = room, .len = len};
}

lpx_err trace_watch(trace *self, rpc_call *call, const trace_viewer *viewer, bool drops_only)
{
    trace_hub *hub = &self->hubs[io_loop_index(rpc_call_loop(call))];
    if (hub->count == TRACE_WATCHERS_PER_LOOP || count_of(hub, viewer) >= TRACE_WATCHERS_PER_MEMBER) {
        return lpx_err_of(TRACE_TOO_MANY_WATCHERS);
    }
    trace_watcher *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_err err = hub->count == 0 ? start(hub, rpc_call_loop(call)) : LPX_SUCCESS;
    if (lpx_failed(err)) {
        free(w);
        return err;
    }
    *w = (trace_watcher){.hub = hub, .call = call, .viewer = *viewer, .drops_only = drops_only, .writable = true};
    w->viewer.tenant_id = keep(viewer->tenant_id, w->tenant_id);
    w->viewer.cluster_id = keep(viewer->cluster_id, w->cluster_id);
    unsigned place = 0;
    while (hub->watchers[place] != NULL) {
        place++;
    }
    hub->watchers[place] = w;
    hub->count++;
    rpc_stream_begin(call, &stream_events, w);
    return LPX_SUCCESS;
}
