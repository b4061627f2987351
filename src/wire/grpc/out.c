/* Calls of a client, from start to status. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "wire/grpc/chan.h"
#include "wire/grpc/limits.h"

struct grpc_out {
    grpc_chan *chan;
    grpc_link *link;   /* NULL: waiting */
    h2_stream *stream; /* NULL: waiting, or over */
    const grpc_out_events *events;
    void *ctx;
    lpx_list node;         /* in chan->outs */
    lpx_list waiting_node; /* in chan->waiting */
    grpc_due_node due;
    grpc_later later;
    lpx_mono deadline;
    grpc_frames frames;
    grpc_encoding encoding; /* of what comes */
    size_t held_counted;
    lpx_arena arena; /* head while it waits, status texts */
    h2_field *fields;
    size_t field_count;
    lpx_buf queue; /* messages while it waits */
    bool close_send, want_writable;
    bool delivering, cancelled, over;
    bool head_seen;
    lpx_err later_err;
    lpx_note later_note;
};

enum { HEAD_FIELDS = 10, CALL_ARENA_BYTES = 128 * 1024 };

grpc_out *grpc_out_of_node(lpx_list *node, bool waiting)
{
    return waiting ? LPX_CONTAINER(node, grpc_out, waiting_node) : LPX_CONTAINER(node, grpc_out, node);
}

static void release(grpc_out *call)
{
    grpc_frames_fini(&call->frames);
    lpx_buf_fini(&call->queue);
    lpx_arena_fini(&call->arena);
    free(call);
}

static void waiting_remove(grpc_out *call)
{
    if (!lpx_list_empty(&call->waiting_node)) {
        lpx_list_remove(&call->waiting_node);
        call->chan->waiting_count--;
    }
}

static void stream_detach(grpc_out *call)
{
    if (call->stream == NULL) {
        return;
    }
    call->link->held_bytes -= call->held_counted;
    *(grpc_out **)h2_stream_user(call->stream) = NULL;
    if (h2_stream_open(call->stream)) {
        h2_stream_reset(call->stream, H2_CANCEL);
    }
    h2_stream_release(call->stream);
    call->stream = NULL;
}

void grpc_out_end(grpc_out *call, lpx_code code, lpx_str message, lpx_bytes details)
{
    grpc_chan *chan = call->chan;
    if (call->over) {
        return;
    }
    call->over = true;
    grpc_chan_enter(chan);
    lpx_list_remove(&call->node);
    waiting_remove(call);
    grpc_env_disarm(&chan->env, &call->due);
    grpc_env_unpost(&call->later);
    grpc_status status = {.code = code, .message = message, .details = details};
    call->events->on_done(call->ctx, &status);
    stream_detach(call);
    if (!call->delivering) {
        release(call);
    }
    grpc_chan_leave(chan);
}

static void end_reason(grpc_out *call, lpx_err err)
{
    grpc_out_end(call, (lpx_code)err.code, lpx_str_of(lpx_reason_text(err.reason)), (lpx_bytes){0});
}

static void ended_later(grpc_later *later)
{
    grpc_out *call = LPX_CONTAINER(later, grpc_out, later);
    lpx_note note = call->later_note;
    grpc_out_end(call, (lpx_code)call->later_err.code, lpx_str_of(note.text), (lpx_bytes){0});
}

void grpc_out_end_later(grpc_out *call, lpx_err err, const char *message)
{
    if (lpx_failed(call->later_err)) {
        return;
    }
    call->later_err = err;
    call->cancelled = true;
    waiting_remove(call);
    (void)snprintf(call->later_note.text, sizeof call->later_note.text, "%s", message);
    grpc_env_post(&call->chan->env, &call->later, ended_later);
}

static void end_reason_later(grpc_out *call, uint16_t reason)
{
    grpc_out_end_later(call, lpx_err_of(reason), lpx_reason_text(reason));
}

static void on_deadline(grpc_due_node *node)
{
    end_reason(LPX_CONTAINER(node, grpc_out, due), lpx_err_of(GRPC_DEADLINE));
}

/* --- the head --- */

static void add_field(grpc_out *call, lpx_str name, lpx_str value)
{
    call->fields[call->field_count++] = (h2_field){name, value};
}

/* Name and value of one metadata entry, copied; the name lives as long as the call, which is longer than its head. */
static uint16_t add_meta(grpc_out *call, const grpc_meta *meta)
{
    lpx_str key = lpx_str_of(meta->key);
    if (!grpc_key_ok(key)) {
        return GRPC_META_KEY;
    }
    lpx_bytes value = meta->value;
    lpx_buf binary;
    lpx_buf_init(&binary, CALL_ARENA_BYTES);
    if (grpc_key_is_binary(key)) {
        grpc_binary_encode(meta->value, &binary);
        value = lpx_buf_view(&binary);
    } else if (!grpc_value_ok(value)) {
        return GRPC_META_VALUE;
    }
    lpx_bytes key_copy = lpx_arena_copy(&call->arena, lpx_str_bytes(key));
    lpx_bytes value_copy = lpx_arena_copy(&call->arena, value);
    bool full = key_copy.ptr == NULL || value_copy.ptr == NULL || lpx_buf_failed(&binary);
    lpx_buf_fini(&binary);
    if (full) {
        return GRPC_META_TOO_LARGE;
    }
    add_field(call, lpx_bytes_str(key_copy), lpx_bytes_str(value_copy));
    return 0;
}

/* @return 0 or the reason why this cannot be sent */
static uint16_t make_head(grpc_out *call, const char *path, const grpc_meta *meta, size_t meta_count)
{
    const grpc_client_opts *opts = &call->chan->opts;
    if (meta_count > GRPC_MAX_META) {
        return GRPC_META_TOO_LARGE;
    }
    call->fields = lpx_arena_array(&call->arena, HEAD_FIELDS + meta_count, sizeof *call->fields);
    char *path_copy = lpx_arena_cstr(&call->arena, lpx_str_of(path));
    if (call->fields == NULL || path_copy == NULL) {
        return GRPC_NO_MEMORY;
    }
    add_field(call, LPX_STR(":method"), LPX_STR("POST"));
    add_field(call, LPX_STR(":scheme"), opts->tls != NULL ? LPX_STR("https") : LPX_STR("http"));
    add_field(call, LPX_STR(":path"), lpx_str_of(path_copy));
    add_field(call, LPX_STR(":authority"), lpx_str_of(opts->address));
    add_field(call, LPX_STR("te"), LPX_STR("trailers"));
    add_field(call, LPX_STR("content-type"), LPX_STR("application/grpc"));
    add_field(call, LPX_STR("user-agent"), lpx_str_of(opts->user_agent != NULL ? opts->user_agent : "lpx"));
    add_field(call, LPX_STR("grpc-accept-encoding"), LPX_STR("identity,gzip"));
    if (opts->gzip) {
        add_field(call, LPX_STR("grpc-encoding"), LPX_STR("gzip"));
    }
    for (size_t i = 0; i < meta_count; i++) {
        uint16_t reason = add_meta(call, &meta[i]);
        if (reason != 0) {
            return reason;
        }
    }
    size_t bytes = 0;
    for (size_t i = 0; i < call->field_count; i++) {
        bytes += call->fields[i].name.len + call->fields[i].value.len;
    }
    return bytes <= GRPC_MAX_META_BYTES ? 0 : GRPC_META_TOO_LARGE;
}

static grpc_out *call_new(grpc_chan *chan, const grpc_out_events *events, void *ctx)
{
    grpc_out *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    call->chan = chan;
    call->events = events;
    call->ctx = ctx;
    call->deadline.us = INT64_MAX;
    lpx_arena_init(&call->arena, CALL_ARENA_BYTES);
    lpx_buf_init(&call->queue, (size_t)2 * GRPC_MAX_MESSAGE_BYTES + GRPC_SEND_HIGH_BYTES);
    grpc_frames_init(&call->frames, chan->opts.max_message_bytes);
    lpx_list_init(&call->node);
    lpx_list_push(&chan->outs, &call->node);
    lpx_list_init(&call->waiting_node);
    lpx_list_push(&chan->waiting, &call->waiting_node);
    chan->waiting_count++;
    return call;
}

grpc_out *grpc_chan_start(grpc_chan *chan, const char *path, const grpc_meta *meta, size_t meta_count,
                          int64_t timeout_us, const grpc_out_events *events, void *ctx)
{
    grpc_out *call = call_new(chan, events, ctx);
    if (call == NULL) {
        return NULL;
    }
    if (timeout_us > 0) {
        call->deadline.us =
            grpc_env_now(&chan->env).us + (timeout_us < GRPC_MAX_TIMEOUT_US ? timeout_us : GRPC_MAX_TIMEOUT_US);
        if (!grpc_env_arm(&chan->env, &call->due, call->deadline, on_deadline)) {
            lpx_list_remove(&call->node);
            waiting_remove(call);
            release(call);
            return NULL;
        }
    }
    uint16_t reason = make_head(call, path, meta, meta_count);
    reason = reason == 0 && chan->closing ? GRPC_CALL_CANCELLED : reason;
    reason = reason == 0 && chan->waiting_count > GRPC_MAX_WAITING_CALLS ? GRPC_WAITING_TOO_MANY : reason;
    if (reason != 0) {
        end_reason_later(call, reason);
        return call;
    }
    grpc_chan_find_link(chan, call);
    return call;
}

bool grpc_out_submit(grpc_out *call, grpc_link *link)
{
    h2_field fields[HEAD_FIELDS + GRPC_MAX_META];
    memcpy(fields, call->fields, call->field_count * sizeof *fields);
    size_t count = call->field_count;
    char timeout[GRPC_TIMEOUT_TEXT_BYTES];
    if (call->deadline.us != INT64_MAX) {
        int64_t left_us = call->deadline.us - grpc_env_now(&call->chan->env).us;
        size_t len = grpc_timeout_format(left_us, timeout);
        fields[count++] = (h2_field){LPX_STR("grpc-timeout"), {timeout, len}};
    }
    h2_stream *stream = h2_session_request(link->h2, fields, count, false);
    if (stream == NULL) {
        return false;
    }
    h2_stream_hold(stream);
    *(grpc_out **)h2_stream_user(stream) = call;
    call->stream = stream;
    call->link = link;
    waiting_remove(call);
    if (call->queue.len > 0) {
        h2_sent sent = h2_stream_send(stream, (lpx_bytes){0}, lpx_buf_view(&call->queue));
        lpx_buf_fini(&call->queue);
        if (sent == H2_SEND_FAILED) {
            end_reason_later(call, GRPC_SEND_TOO_MUCH);
        } else if (sent == H2_SEND_OK && call->want_writable && call->events->on_writable != NULL) {
            call->want_writable = false;
            call->events->on_writable(call->ctx);
        }
    }
    if (call->close_send) {
        h2_stream_finish(stream, NULL, 0);
    }
    return true;
}

bool grpc_out_send(grpc_out *call, lpx_bytes message)
{
    if (call->over || call->cancelled || call->close_send) {
        return true;
    }
    lpx_bytes packed, body = message;
    bool compressed = call->chan->opts.gzip && grpc_gzip_deflate(call->chan->env.gzip, message, &packed);
    if (compressed) {
        body = packed;
    }
    uint8_t prefix[GRPC_PREFIX_BYTES];
    grpc_prefix_make(prefix, compressed, body.len);
    if (call->stream == NULL) {
        lpx_buf_add(&call->queue, lpx_bytes_of(prefix, sizeof prefix));
        lpx_buf_add(&call->queue, body);
        if (lpx_buf_failed(&call->queue)) {
            end_reason_later(call, GRPC_SEND_TOO_MUCH);
        }
        call->want_writable = call->queue.len > GRPC_SEND_HIGH_BYTES;
        return !call->want_writable;
    }
    h2_sent sent = h2_stream_send(call->stream, lpx_bytes_of(prefix, sizeof prefix), body);
    if (sent == H2_SEND_FAILED && h2_stream_open(call->stream)) {
        h2_stream_reset(call->stream, H2_CANCEL);
        end_reason_later(call, GRPC_SEND_TOO_MUCH);
    }
    return sent != H2_SEND_FULL;
}

void grpc_out_close_send(grpc_out *call)
{
    if (call->over || call->close_send) {
        return;
    }
    call->close_send = true;
    if (call->stream != NULL) {
        h2_stream_finish(call->stream, NULL, 0);
    }
}

void grpc_out_cancel(grpc_out *call)
{
    if (call->over || call->cancelled) {
        return;
    }
    if (call->stream != NULL) {
        h2_stream_reset(call->stream, H2_CANCEL);
    }
    end_reason_later(call, GRPC_CALL_CANCELLED);
}

/* --- what comes back --- */

static grpc_out *call_of(h2_stream *stream)
{
    return *(grpc_out **)h2_stream_user(stream);
}

/* The answer cannot be used: end now, stop the server. */
static void bad_answer(grpc_out *call, lpx_code code, const char *text)
{
    grpc_out_end(call, code, lpx_str_of(text), (lpx_bytes){0});
}

static void on_head(void *ctx, h2_stream *stream)
{
    grpc_out *call = call_of(stream);
    (void)ctx;
    if (call == NULL || call->cancelled) {
        return;
    }
    call->head_seen = true;
    lpx_str status = h2_stream_header(stream, LPX_STR(":status"));
    bool has_status = h2_stream_header(stream, LPX_STR("grpc-status")).len > 0;
    if (!lpx_str_is(status, "200") && !has_status) {
        char text[80];
        (void)snprintf(text, sizeof text, "The server answered with HTTP status %.*s.", (int)status.len, status.ptr);
        bad_answer(call, grpc_code_of_http(status), text);
        return;
    }
    if (!has_status && !grpc_content_type_ok(h2_stream_header(stream, LPX_STR("content-type")))) {
        bad_answer(call, LPX_UNKNOWN, lpx_reason_text(GRPC_ANSWER_NO_GRPC));
        return;
    }
    call->encoding = grpc_encoding_of(h2_stream_header(stream, LPX_STR("grpc-encoding")));
}

static bool count_held(grpc_out *call)
{
    size_t held = grpc_frames_held(&call->frames);
    call->link->held_bytes += held - call->held_counted;
    bool grew = held > call->held_counted;
    call->held_counted = held;
    return !grew || call->link->held_bytes <= GRPC_MAX_HELD_CONN_BYTES;
}

static lpx_err deliver_one(grpc_out *call, const grpc_frame *frame)
{
    lpx_bytes message = frame->body;
    if (frame->compressed && call->encoding != GRPC_GZIP) {
        return lpx_err_of(call->encoding == GRPC_IDENTITY ? GRPC_FRAME_NO_ENCODING : GRPC_ENCODING_UNKNOWN);
    }
    if (frame->compressed) {
        LPX_TRY(grpc_gzip_inflate(call->chan->env.gzip, frame->body, call->chan->opts.max_message_bytes, &message));
    }
    if (call->events->on_message != NULL) {
        call->events->on_message(call->ctx, message);
    }
    return LPX_SUCCESS;
}

static lpx_err deliver(grpc_out *call, lpx_bytes in)
{
    LPX_TRY(grpc_frames_feed(&call->frames, in));
    bool got = true;
    while (got && !call->over && !call->cancelled) {
        grpc_frame frame;
        LPX_TRY(grpc_frames_next(&call->frames, &frame, &got));
        if (got) {
            LPX_TRY(deliver_one(call, &frame));
        }
    }
    if (call->over) {
        return LPX_SUCCESS;
    }
    LPX_TRY(grpc_frames_keep(&call->frames));
    return count_held(call) ? LPX_SUCCESS : lpx_err_of(GRPC_HELD_TOO_MUCH);
}

static void on_data(void *ctx, h2_stream *stream, lpx_bytes in)
{
    grpc_out *call = call_of(stream);
    (void)ctx;
    if (call == NULL || call->cancelled) {
        return;
    }
    call->delivering = true;
    lpx_err err = deliver(call, in);
    call->delivering = false;
    if (call->over) {
        release(call);
        return;
    }
    if (lpx_failed(err)) {
        end_reason(call, err);
        return;
    }
    h2_stream_consume(stream, in.len);
}

static lpx_str find_field(const h2_stream *stream, lpx_str name)
{
    size_t count = 0;
    const h2_field *tail = h2_stream_tail(stream, &count);
    for (size_t i = 0; i < count; i++) {
        if (lpx_str_equal(tail[i].name, name)) {
            return tail[i].value;
        }
    }
    return h2_stream_header(stream, name);
}

static void on_end(void *ctx, h2_stream *stream)
{
    grpc_out *call = call_of(stream);
    (void)ctx;
    if (call == NULL || call->cancelled) {
        return;
    }
    lpx_str number = find_field(stream, LPX_STR("grpc-status"));
    if (number.len == 0) {
        end_reason(call, lpx_err_of(GRPC_STATUS_MISSING));
        return;
    }
    lpx_code code = grpc_code_of_status(number);
    if (code == LPX_OK && grpc_frames_rest(&call->frames)) {
        end_reason(call, lpx_err_of(GRPC_FRAME_CUT));
        return;
    }
    lpx_str text = find_field(stream, LPX_STR("grpc-message")), message = {0};
    char *room = lpx_arena_get(&call->arena, text.len + 1);
    if (room != NULL) {
        message = (lpx_str){room, grpc_percent_decode(text, room)};
    }
    lpx_bytes details = {0};
    lpx_str encoded = find_field(stream, LPX_STR("grpc-status-details-bin"));
    if (encoded.len > 0) {
        details = grpc_binary_decode(encoded, &call->arena);
    }
    grpc_out_end(call, code, message, details);
}

static void on_writable(void *ctx, h2_stream *stream)
{
    grpc_out *call = call_of(stream);
    (void)ctx;
    if (call != NULL && !call->cancelled && call->events->on_writable != NULL) {
        call->events->on_writable(call->ctx);
    }
}

static void on_close(void *ctx, h2_stream *stream, uint32_t code)
{
    grpc_link *link = ctx;
    grpc_out *call = call_of(stream);
    if (call == NULL) {
        return;
    }
    if (lpx_failed(call->later_err)) {
        /* It ended from here; on_done is on its way. */
        stream_detach(call);
        return;
    }
    if (lpx_failed(link->why)) {
        grpc_out_end(call, (lpx_code)link->why.code, lpx_str_of(link->note.text), (lpx_bytes){0});
        return;
    }
    lpx_note note;
    (void)snprintf(note.text, sizeof note.text, "The server reset the call (HTTP/2 error code %u).", (unsigned)code);
    grpc_out_end(call, grpc_code_of_reset(code), lpx_str_of(note.text), (lpx_bytes){0});
}

static void on_goaway(void *ctx, uint32_t code, lpx_str text)
{
    grpc_link *link = ctx;
    link->draining = true;
    if (link->chan->current == link) {
        link->chan->current = NULL;
    }
    if (code == H2_ENHANCE_YOUR_CALM && lpx_str_is(text, "too_many_pings")) {
        link->chan->keepalive_us *= 2;
    }
}

static void on_pong(void *ctx, uint64_t payload)
{
    /* Any bytes at all show that the server is there: link->heard_us. */
    (void)ctx;
    (void)payload;
}

static void on_want_write(void *ctx)
{
    grpc_link *link = ctx;
    link->chan->ops->want_write(link);
}

const h2_events grpc_link_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
    .want_write = on_want_write,
};
