#include "wire/http/h2.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "wire/http/h2_priv.h"

/* nghttp2 takes texts as pointers to changeable bytes but only reads them. */
static uint8_t *unconst(const char *text)
{
    union {
        const char *in;
        uint8_t *out;
    } both = {.in = text};
    return both.out;
}

size_t h2_fields_to_nv(const h2_field *fields, size_t count, uint8_t flags, nghttp2_nv *nv)
{
    size_t n = count < H2_MAX_SENT_FIELDS ? count : H2_MAX_SENT_FIELDS;
    for (size_t i = 0; i < n; i++) {
        nv[i] = (nghttp2_nv){.name = unconst(fields[i].name.ptr),
                             .namelen = fields[i].name.len,
                             .value = unconst(fields[i].value.ptr),
                             .valuelen = fields[i].value.len,
                             .flags = flags};
    }
    return n;
}

static nghttp2_option *options_new(const h2_opts *opts)
{
    nghttp2_option *option = NULL;
    if (nghttp2_option_new(&option) != 0) {
        return NULL;
    }
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    /* Heads are checked in h2_recv.c, where a field that was checked before costs nothing. */
    nghttp2_option_set_no_http_messaging(option, 1);
    nghttp2_option_set_max_outbound_ack(option, H2_MAX_WAITING_ACKS);
    nghttp2_option_set_max_settings(option, H2_MAX_SETTINGS_ENTRIES);
    nghttp2_option_set_max_continuations(option, H2_MAX_CONTINUATIONS);
    if (opts->role == H2_SERVER) {
        /* A second fence behind h2_guard. */
        nghttp2_option_set_stream_reset_rate_limit(option, (uint64_t)2 * H2_RESET_BURST, (uint64_t)2 * H2_RESET_PER_S);
    }
    return option;
}

static int submit_settings(nghttp2_session *ng, const h2_opts *opts)
{
    nghttp2_settings_entry entries[6] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_MAX_HEAD_BYTES},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    size_t count = 3;
    if (opts->role == H2_SERVER) {
        uint32_t streams = opts->max_streams != 0 ? opts->max_streams : H2_MAX_STREAMS;
        entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams};
    } else {
        entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
        entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0};
    }
    int rv = nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, entries, count);
    if (rv != 0) {
        return rv;
    }
    return nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW_BYTES);
}

static void *ng_malloc(size_t size, void *pool)
{
    return h2_mem_get(&((h2_pool *)pool)->mem, size);
}

static void *ng_calloc(size_t count, size_t size, void *pool)
{
    return h2_mem_get_zeroed(&((h2_pool *)pool)->mem, count, size);
}

static void *ng_realloc(void *ptr, size_t size, void *pool)
{
    return h2_mem_resize(&((h2_pool *)pool)->mem, ptr, size);
}

static void ng_free(void *ptr, void *pool)
{
    h2_mem_give(&((h2_pool *)pool)->mem, ptr);
}

static int ng_new(h2_session *session, const h2_opts *opts)
{
    /* Copied by nghttp2. Fields that streams hold on to may outlive the session, but not the pool. */
    nghttp2_mem mem = {session->pool, ng_malloc, ng_free, ng_calloc, ng_realloc};
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = options_new(opts);
    int rv = option != NULL ? nghttp2_session_callbacks_new(&callbacks) : NGHTTP2_ERR_NOMEM;
    if (rv == 0) {
        h2_recv_callbacks(callbacks);
        nghttp2_session_callbacks_set_send_data_callback(callbacks, h2_stream_push);
        rv = opts->role == H2_SERVER ? nghttp2_session_server_new3(&session->ng, callbacks, session, option, &mem)
                                     : nghttp2_session_client_new3(&session->ng, callbacks, session, option, &mem);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return rv != 0 ? rv : submit_settings(session->ng, opts);
}

h2_session *h2_session_new(const h2_opts *opts, const h2_events *events, void *ctx)
{
    h2_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return NULL;
    }
    session->events = events;
    session->ctx = ctx;
    session->role = opts->role;
    session->turn = 1;
    lpx_list_init(&session->streams);
    lpx_list_init(&session->spent);
    lpx_list_init(&session->writable);
    size_t preface_bytes = opts->role == H2_SERVER ? NGHTTP2_CLIENT_MAGIC_LEN : 0;
    h2_guard_init(&session->guard, preface_bytes, opts->min_ping_interval_us, (lpx_mono){0});
    session->pool = opts->pool;
    if (session->pool == NULL) {
        session->own_pool = session->pool = h2_pool_new(0, NULL);
    }
    if (session->pool == NULL || ng_new(session, opts) != 0) {
        h2_session_free(&session);
        return NULL;
    }
    return session;
}

static void ref_drop(h2_ref *ref)
{
    if (ref->value != NULL) {
        nghttp2_rcbuf_decref(ref->name);
        nghttp2_rcbuf_decref(ref->value);
    }
    *ref = (h2_ref){0};
}

void h2_session_free(h2_session **session)
{
    h2_session *s = *session;
    if (s == NULL) {
        return;
    }
    lpx_assert(!s->busy);
    *session = NULL;
    s->busy = true;
    s->ending = true;
    while (!lpx_list_empty(&s->streams)) {
        h2_stream_gone(LPX_CONTAINER(s->streams.next, h2_stream, node), H2_INTERNAL_ERROR);
    }
    nghttp2_session_del(s->ng);
    for (size_t i = 0; i < H2_MEMO_FIELDS; i++) {
        ref_drop(&s->memo[i].ref);
    }
    ref_drop(&s->credential_ref);
    h2_fields_unref(&s->last_head);
    h2_pool_free(&s->own_pool);
    free(s);
}

void h2_session_want(h2_session *session)
{
    if (!session->asked && session->out == NULL) {
        session->asked = true;
        session->events->want_write(session->ctx);
    }
}

static void send_goaway(h2_session *session, uint32_t code, lpx_str text)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(session->ng);
    /* Failing here means no memory: then the connection simply closes. */
    (void)nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE, last, code, unconst(text.ptr), text.len);
    session->goaway_sent = true;
    h2_session_want(session);
}

void h2_session_abort(h2_session *session, uint32_t code, lpx_str text)
{
    if (!session->ending) {
        session->ending = true;
        send_goaway(session, code, text);
    }
}

void h2_session_violated(h2_session *session, uint32_t code, uint16_t reason, const char *text)
{
    if (session->ending) {
        return;
    }
    session->why_reason = reason;
    (void)snprintf(session->why.text, sizeof session->why.text, "%s", text);
    h2_session_abort(session, code, lpx_str_of(text));
}

void h2_session_flooded(h2_session *session, h2_flood kind)
{
    uint16_t reason = h2_guard_reason(kind);
    h2_session_violated(session, H2_ENHANCE_YOUR_CALM, reason, lpx_reason_text(reason));
}

/* nghttp2 gave the session up. */
static void fatal(h2_session *session, int rv)
{
    switch (rv) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        h2_session_violated(session, H2_PROTOCOL_ERROR, H2_PREFACE, "the connection does not begin as HTTP/2");
        return;
    case NGHTTP2_ERR_FLOODED:
        h2_session_violated(session, H2_ENHANCE_YOUR_CALM, H2_FLOOD_QUEUE, "too many answers wait to be read");
        return;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        h2_session_violated(session, H2_ENHANCE_YOUR_CALM, H2_FLOOD_CONTINUED, "too many CONTINUATION frames");
        return;
    case NGHTTP2_ERR_NOMEM:
        h2_session_violated(session, H2_INTERNAL_ERROR, H2_NO_MEMORY, "no memory");
        return;
    default:
        h2_session_violated(session, H2_PROTOCOL_ERROR, H2_PROTOCOL, nghttp2_strerror(rv));
        return;
    }
}

/* nghttp2 ends a connection by itself when the peer breaks its rules. */
static void look_for_end(h2_session *session)
{
    bool broken = !nghttp2_session_want_read(session->ng) && !session->goaway_sent && !session->peer_goaway;
    if (!broken || session->why_reason != 0) {
        return;
    }
    session->why_reason = H2_PROTOCOL;
    if (session->why.text[0] == '\0') {
        (void)snprintf(session->why.text, sizeof session->why.text, "%s", lpx_reason_text(H2_PROTOCOL));
    }
}

static void recv_all(h2_session *session, lpx_bytes in)
{
    while (in.len > 0 && !session->ending) {
        h2_scan scan = h2_guard_scan(&session->guard, in, session->now);
        if (scan.flood != H2_FLOOD_KINDS) {
            h2_session_flooded(session, scan.flood);
            return;
        }
        ssize_t rv = scan.pass.len > 0 ? nghttp2_session_mem_recv(session->ng, scan.pass.ptr, scan.pass.len) : 0;
        if (rv < 0) {
            fatal(session, (int)rv);
            return;
        }
        in = scan.rest;
    }
}

void h2_session_recv(h2_session *session, lpx_bytes in, lpx_mono now)
{
    lpx_assert(!session->busy);
    if (session->ending) {
        return;
    }
    session->now = now;
    session->busy = true;
    recv_all(session, in);
    if (session->unconsumed > 0) {
        (void)nghttp2_session_consume_connection(session->ng, session->unconsumed);
        session->unconsumed = 0;
    }
    if (nghttp2_session_get_outbound_queue_size(session->ng) > H2_MAX_WAITING_FRAMES) {
        h2_session_violated(session, H2_ENHANCE_YOUR_CALM, H2_FLOOD_QUEUE, "too many answers wait to be read");
    }
    session->busy = false;
    if (nghttp2_session_want_write(session->ng)) {
        h2_session_want(session);
    }
}

/* What nghttp2 has ready. @return false when it has nothing now */
static bool fill_some(h2_session *session)
{
    const uint8_t *bytes = NULL;
    ssize_t n = nghttp2_session_mem_send(session->ng, &bytes);
    if (n < 0) {
        fatal(session, (int)n);
        return false;
    }
    lpx_buf_add(session->out, lpx_bytes_of(bytes, (size_t)n));
    return n > 0;
}

static void tell_writable(h2_session *session)
{
    for (lpx_list *node = lpx_list_pop(&session->writable); node != NULL; node = lpx_list_pop(&session->writable)) {
        h2_stream *stream = LPX_CONTAINER(node, h2_stream, room_node);
        session->events->on_writable(session->ctx, stream);
    }
}

bool h2_session_fill(h2_session *session, lpx_buf *out, size_t max_bytes)
{
    lpx_assert(!session->busy);
    session->busy = true;
    session->asked = false;
    session->out = out;
    session->out_max = max_bytes;
    session->out_full = false;
    bool more = true;
    while (more && out->len < max_bytes && !lpx_buf_failed(out)) {
        if (fill_some(session)) {
            continue;
        }
        more = session->out_full;
        if (!session->out_full && !lpx_list_empty(&session->spent)) {
            h2_stream_next_turn(session);
            more = true;
        } else if (!session->out_full && !lpx_list_empty(&session->writable)) {
            tell_writable(session);
            more = true;
        } else {
            break;
        }
    }
    if (lpx_buf_failed(out)) {
        h2_session_violated(session, H2_INTERNAL_ERROR, H2_NO_MEMORY, "no memory");
        more = false;
    }
    look_for_end(session);
    session->out = NULL;
    session->busy = false;
    session->asked = more;
    return more;
}

bool h2_session_done(const h2_session *session)
{
    bool writes = nghttp2_session_want_write(session->ng) != 0;
    if (session->ending) {
        return !writes;
    }
    return !writes && nghttp2_session_want_read(session->ng) == 0;
}

lpx_err h2_session_why(const h2_session *session, lpx_note *note)
{
    if (session->why_reason == 0) {
        return LPX_SUCCESS;
    }
    *note = session->why;
    return lpx_err_of(session->why_reason);
}

bool h2_session_ready(const h2_session *session)
{
    return session->ready;
}

size_t h2_session_streams(const h2_session *session)
{
    return session->stream_count;
}

void h2_session_ping(h2_session *session, uint64_t payload)
{
    uint8_t opaque[8];
    memcpy(opaque, &payload, sizeof opaque);
    if (nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, opaque) == 0) {
        h2_guard_ping_sent(&session->guard);
    }
    h2_session_want(session);
}

void h2_session_drain_notice(h2_session *session)
{
    if (session->ending || session->goaway_sent) {
        return;
    }
    (void)nghttp2_submit_shutdown_notice(session->ng);
    h2_session_want(session);
}

void h2_session_drain(h2_session *session)
{
    if (!session->ending && !session->goaway_sent) {
        send_goaway(session, H2_NO_ERROR, LPX_STR(""));
    }
}

h2_stream *h2_session_request(h2_session *session, const h2_field *fields, size_t count, bool end)
{
    if (session->ending) {
        return NULL;
    }
    h2_stream *stream = h2_stream_new(session, 0);
    if (stream == NULL) {
        return NULL;
    }
    nghttp2_nv nv[H2_MAX_SENT_FIELDS];
    size_t n = h2_fields_to_nv(fields, count, NGHTTP2_NV_FLAG_NONE, nv);
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = h2_stream_pull};
    stream->head.part = H2_PART_RESPONSE;
    stream->answered = true;
    stream->finishing = end;
    int32_t id = nghttp2_submit_request(session->ng, NULL, nv, n, end ? NULL : &provider, stream);
    if (id < 0) {
        h2_stream_gone(stream, H2_REFUSED_STREAM);
        return NULL;
    }
    stream->id = id;
    stream->shown = true;
    h2_session_want(session);
    return stream;
}
