/* Calls of a server: what a head asks for, messages in and out, deadlines, the end. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "wire/grpc/core.h"
#include "wire/grpc/limits.h"

static void conn_unref(grpc_sconn *conn)
{
    conn->calls--;
    if (conn->calls == 0 && conn->gone) {
        conn->free_conn(conn);
    }
}

/* What the call made us hold, told to the connection and the server. @return false: too much */
static bool count_held(grpc_call *call)
{
    size_t held = grpc_frames_held(&call->frames);
    call->conn->held_bytes += held - call->held_counted;
    call->core->env.held_bytes += held - call->held_counted;
    bool grew = held > call->held_counted;
    call->held_counted = held;
    return !grew || (call->conn->held_bytes <= GRPC_MAX_HELD_CONN_BYTES &&
                     call->core->env.held_bytes <= GRPC_MAX_HELD_SERVER_BYTES);
}

/* The user is through with it and nobody is in the middle of it. */
static void give_back(grpc_call *call)
{
    if (call->delivering || !call->finished) {
        return;
    }
    grpc_frames_fini(&call->frames);
    (void)count_held(call);
    grpc_env_unpost(&call->later);
    lpx_arena_reset(&call->arena);
    call->core->stats.calls_open--;
    grpc_core *core = call->core;
    conn_unref(call->conn);
    h2_stream_release(call->stream);
    grpc_core_call_gone(core);
}

static const h2_field head_plain[] = {H2_FIELD(":status", "200"), H2_FIELD("content-type", "application/grpc")};
static const h2_field head_gzip[] = {H2_FIELD(":status", "200"), H2_FIELD("content-type", "application/grpc"),
                                     H2_FIELD("grpc-encoding", "gzip"),
                                     H2_FIELD("grpc-accept-encoding", "identity,gzip")};

static void send_head(grpc_call *call)
{
    if (call->head_sent) {
        return;
    }
    call->head_sent = true;
    if (call->may_gzip) {
        h2_stream_answer(call->stream, head_gzip, 4, false);
    } else {
        h2_stream_answer(call->stream, head_plain, 2, false);
    }
}

/* Not in the middle of a character. */
static lpx_str cut_text(lpx_str text)
{
    if (text.len <= GRPC_MAX_STATUS_TEXT_BYTES) {
        return text;
    }
    text.len = GRPC_MAX_STATUS_TEXT_BYTES;
    while (text.len > 0 && ((uint8_t)text.ptr[text.len] & 0xc0) == 0x80) {
        text.len--;
    }
    return text;
}

/* Status, message and details as fields; texts into buf. @return count */
static size_t status_fields(h2_field *fields, lpx_code code, lpx_str message, lpx_bytes details, lpx_buf *buf)
{
    static const char *const numbers[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                          "9", "10", "11", "12", "13", "14", "15", "16"};
    size_t count = 0;
    lpx_assert(code <= LPX_UNAUTHENTICATED);
    fields[count++] = (h2_field){LPX_STR("grpc-status"), lpx_str_of(numbers[code])};
    if (message.len == 0 && details.len == 0) {
        return count;
    }
    message = cut_text(message);
    grpc_percent_encode(message, buf);
    size_t message_len = buf->len;
    bool with_details = details.len > 0 && details.len <= GRPC_MAX_STATUS_DETAILS_BYTES;
    if (with_details) {
        grpc_binary_encode(details, buf);
    }
    if (lpx_buf_failed(buf)) {
        return count;
    }
    lpx_str all = lpx_bytes_str(lpx_buf_view(buf));
    if (message_len > 0) {
        fields[count++] = (h2_field){LPX_STR("grpc-message"), {all.ptr, message_len}};
    }
    if (with_details) {
        fields[count++] = (h2_field){LPX_STR("grpc-status-details-bin"), lpx_str_skip(all, message_len)};
    }
    return count;
}

/* End the stream with a status: in a tail, or in the head when there is none yet. */
static void send_status(grpc_call *call, lpx_code code, lpx_str message, lpx_bytes details)
{
    h2_stream *stream = call->stream;
    if (!h2_stream_open(stream)) {
        return;
    }
    h2_field fields[8];
    lpx_buf buf;
    lpx_buf_init(&buf, (size_t)3 * GRPC_MAX_STATUS_TEXT_BYTES + (size_t)2 * GRPC_MAX_STATUS_DETAILS_BYTES);
    if (call->head_sent) {
        size_t count = status_fields(fields, code, message, details, &buf);
        h2_stream_finish(stream, fields, count);
    } else {
        memcpy(fields, head_plain, sizeof head_plain);
        size_t count = 2 + status_fields(fields + 2, code, message, details, &buf);
        call->head_sent = true;
        h2_stream_answer(stream, fields, count, true);
    }
    lpx_buf_fini(&buf);
}

static void end(grpc_call *call)
{
    call->ended = true;
    grpc_env_disarm(&call->core->env, &call->due);
}

/* This layer ends a call that the user knows of. */
static void end_and_tell(grpc_call *call, lpx_code code, lpx_str message)
{
    if (call->ended) {
        return;
    }
    end(call);
    send_status(call, code, message, (lpx_bytes){0});
    call->core->stats.calls_cancelled_total++;
    call->core->events->on_cancel(call->core->ctx, call, code);
}

static void fail(grpc_call *call, lpx_err err)
{
    end_and_tell(call, (lpx_code)err.code, lpx_str_of(lpx_reason_text(err.reason)));
}

static void on_deadline(grpc_due_node *node)
{
    grpc_call *call = LPX_CONTAINER(node, grpc_call, due);
    h2_stream *stream = call->stream;
    h2_stream_hold(stream);
    fail(call, lpx_err_of(GRPC_DEADLINE));
    h2_stream_release(stream);
}

/* What a head says. */
typedef struct head_texts {
    lpx_str path, method, content_type, timeout, encoding, accept;
    bool bad_binary;
} head_texts;

static void read_field(head_texts *texts, const h2_field *field)
{
    lpx_str name = field->name;
    switch (name.len) {
    case 5:
        if (lpx_str_is(name, ":path")) {
            texts->path = field->value;
        }
        break;
    case 7:
        if (lpx_str_is(name, ":method")) {
            texts->method = field->value;
        }
        break;
    case 12:
        if (lpx_str_is(name, "content-type")) {
            texts->content_type = field->value;
        } else if (lpx_str_is(name, "grpc-timeout")) {
            texts->timeout = field->value;
        }
        break;
    case 13:
        if (lpx_str_is(name, "grpc-encoding")) {
            texts->encoding = field->value;
        }
        break;
    case 20:
        if (lpx_str_is(name, "grpc-accept-encoding")) {
            texts->accept = field->value;
        }
        break;
    default:
        break;
    }
    if (grpc_key_is_binary(name) && !grpc_binary_ok(field->value)) {
        texts->bad_binary = true;
    }
}

/* A call that the user never sees. */
static void reject(grpc_call *call, const h2_field *fields, size_t count)
{
    call->core->stats.calls_rejected_total++;
    call->head_sent = true;
    end(call);
    h2_stream_answer(call->stream, fields, count, true);
    call->finished = true;
    give_back(call);
}

static void reject_status(grpc_call *call, uint16_t reason)
{
    lpx_err err = lpx_err_of(reason);
    h2_field fields[8] = {head_plain[0], head_plain[1], H2_FIELD("grpc-accept-encoding", "identity,gzip")};
    size_t at = reason == GRPC_ENCODING_UNKNOWN ? 3 : 2;
    lpx_buf buf;
    lpx_buf_init(&buf, (size_t)3 * GRPC_MAX_STATUS_TEXT_BYTES);
    size_t count =
        at + status_fields(fields + at, (lpx_code)err.code, lpx_str_of(lpx_reason_text(reason)), (lpx_bytes){0}, &buf);
    reject(call, fields, count);
    lpx_buf_fini(&buf);
}

static const h2_field not_post[] = {H2_FIELD(":status", "405"), H2_FIELD("allow", "POST")};
static const h2_field not_grpc[] = {H2_FIELD(":status", "415"), H2_FIELD("accept", "application/grpc")};

/* @return false: the call was rejected and is gone */
static bool read_head(grpc_call *call, grpc_asked *out)
{
    head_texts texts = {0};
    size_t count = 0;
    const h2_field *fields = h2_stream_head(call->stream, &count);
    for (size_t i = 0; i < count; i++) {
        read_field(&texts, &fields[i]);
    }
    uint16_t reason = 0;
    *out = (grpc_asked){.path = texts.path, .timeout_us = INT64_MAX, .encoding = grpc_encoding_of(texts.encoding)};
    if (!lpx_str_is(texts.method, "POST")) {
        reject(call, not_post, 2);
        return false;
    }
    if (!grpc_content_type_ok(texts.content_type)) {
        reject(call, not_grpc, 2);
        return false;
    }
    if (h2_stream_head_cut(call->stream)) {
        reason = GRPC_META_TOO_LARGE;
    } else if (texts.timeout.len > 0 && !grpc_timeout_parse(texts.timeout, &out->timeout_us)) {
        reason = GRPC_TIMEOUT_SYNTAX;
    } else if (out->encoding == GRPC_ENCODING_OTHER) {
        reason = GRPC_ENCODING_UNKNOWN;
    } else if (texts.bad_binary) {
        reason = GRPC_META_BINARY;
    }
    if (reason != 0) {
        reject_status(call, reason);
        return false;
    }
    out->may_gzip = out->encoding == GRPC_GZIP && grpc_list_has_gzip(texts.accept);
    out->number = h2_stream_head_number(call->stream);
    return true;
}

/* @return false: the call was rejected and is gone */
static bool accept_head(grpc_call *call)
{
    grpc_core *core = call->core;
    grpc_asked *asked = &call->conn->last;
    uint64_t number = h2_stream_head_number(call->stream);
    if (number == 0 || number != asked->number) {
        grpc_asked fresh;
        if (!read_head(call, &fresh)) {
            return false;
        }
        *asked = fresh;
    }
    call->path = asked->path;
    call->encoding = asked->encoding;
    call->may_gzip = asked->may_gzip;
    uint16_t reason = core->stats.calls_open > core->opts.max_calls ? GRPC_CALLS_TOO_MANY : 0;
    if (reason == 0 && asked->timeout_us != INT64_MAX) {
        call->deadline.us = grpc_env_now(&core->env).us + asked->timeout_us;
        reason = grpc_env_arm(&core->env, &call->due, call->deadline, on_deadline) ? 0 : GRPC_NO_MEMORY;
    }
    if (reason != 0) {
        reject_status(call, reason);
        return false;
    }
    return true;
}

void grpc_call_begin(grpc_sconn *conn, h2_stream *stream)
{
    grpc_call *call = h2_stream_user(stream);
    grpc_core *core = conn->core;
    lpx_arena arena = call->arena;
    *call = (grpc_call){.stream = stream, .conn = conn, .core = core, .deadline.us = INT64_MAX, .arena = arena};
    if (arena.cap_bytes == 0) {
        lpx_arena_init(&call->arena, core->opts.call_arena_bytes);
    }
    grpc_frames_init(&call->frames, core->opts.max_message_bytes);
    h2_stream_hold(stream);
    conn->calls++;
    core->stats.calls_open++;
    core->stats.calls_total++;
    if (accept_head(call)) {
        core->events->on_call(core->ctx, call);
    }
}

static void deliver_one(grpc_call *call, const grpc_frame *frame)
{
    lpx_bytes message = frame->body;
    if (frame->compressed && call->encoding != GRPC_GZIP) {
        fail(call, lpx_err_of(GRPC_FRAME_NO_ENCODING));
        return;
    }
    if (frame->compressed) {
        lpx_err err =
            grpc_gzip_inflate(call->core->env.gzip, frame->body, call->core->opts.max_message_bytes, &message);
        if (lpx_failed(err)) {
            fail(call, err);
            return;
        }
    }
    call->core->events->on_message(call->core->ctx, call, message);
}

static void deliver_messages(grpc_call *call)
{
    while (!call->paused && !call->ended) {
        grpc_frame frame;
        bool got = false;
        lpx_err err = grpc_frames_next(&call->frames, &frame, &got);
        if (lpx_failed(err)) {
            fail(call, err);
            return;
        }
        if (!got) {
            return;
        }
        deliver_one(call, &frame);
    }
}

/* Nothing is left to deliver: room for the client, and its end. */
static void deliver_rest(grpc_call *call)
{
    if (!call->paused && call->unconsumed > 0) {
        h2_stream_consume(call->stream, call->unconsumed);
        call->unconsumed = 0;
    }
    if (call->paused || call->half_closed || !h2_stream_peer_ended(call->stream)) {
        return;
    }
    if (grpc_frames_rest(&call->frames)) {
        fail(call, lpx_err_of(GRPC_FRAME_CUT));
        return;
    }
    call->half_closed = true;
    call->core->events->on_half_close(call->core->ctx, call);
}

/* Hand out what came; in is empty when only held bytes are looked at again. */
static void deliver(grpc_call *call, lpx_bytes in)
{
    call->delivering = true;
    lpx_err err = grpc_frames_feed(&call->frames, in);
    if (!lpx_failed(err)) {
        deliver_messages(call);
    }
    if (!call->ended) {
        err = lpx_failed(err) ? err : grpc_frames_keep(&call->frames);
        err = lpx_failed(err) || count_held(call) ? err : lpx_err_of(GRPC_HELD_TOO_MUCH);
    }
    if (lpx_failed(err)) {
        fail(call, err);
    }
    if (!call->ended) {
        deliver_rest(call);
    }
    call->delivering = false;
    give_back(call);
}

void grpc_call_data(grpc_call *call, lpx_bytes in)
{
    if (call->ended) {
        return;
    }
    call->unconsumed += in.len;
    deliver(call, in);
}

void grpc_call_client_ended(grpc_call *call)
{
    if (!call->ended) {
        deliver(call, (lpx_bytes){0});
    }
}

void grpc_call_writable(grpc_call *call)
{
    if (!call->ended) {
        call->core->events->on_writable(call->core->ctx, call);
    }
}

void grpc_call_closed(grpc_call *call)
{
    if (call->ended) {
        return;
    }
    end(call);
    lpx_code why = call->conn->gone ? LPX_UNAVAILABLE : LPX_CANCELLED;
    why = call->cancel_code != LPX_OK ? call->cancel_code : why;
    call->core->stats.calls_cancelled_total++;
    call->core->events->on_cancel(call->core->ctx, call, why);
}

lpx_str grpc_call_path(const grpc_call *call)
{
    return call->path;
}

lpx_bytes grpc_call_metadata(const grpc_call *call, const char *key)
{
    lpx_str name = lpx_str_of(key);
    lpx_str value = h2_stream_header(call->stream, name);
    if (value.len == 0 || !grpc_key_is_binary(name)) {
        return lpx_str_bytes(value);
    }
    grpc_call *self = h2_stream_user(call->stream);
    return grpc_binary_decode(value, &self->arena);
}

uint64_t grpc_call_credential(const grpc_call *call)
{
    return h2_stream_credential(call->stream);
}

bool grpc_call_is_last(const grpc_call *call)
{
    return h2_stream_ending(call->stream) && !grpc_frames_rest(&call->frames);
}

lpx_mono grpc_call_deadline(const grpc_call *call)
{
    return call->deadline;
}

lpx_arena *grpc_call_arena(grpc_call *call)
{
    return &call->arena;
}

io_loop *grpc_call_loop(const grpc_call *call)
{
    return call->core->loop;
}

const char *grpc_call_peer(const grpc_call *call)
{
    return call->conn->peer;
}

const char *grpc_call_peer_cert(const grpc_call *call)
{
    return call->conn->cert;
}

unsigned grpc_call_tag(const grpc_call *call)
{
    return call->conn->tag;
}

void grpc_call_set_user(grpc_call *call, void *user)
{
    call->user = user;
}

void *grpc_call_user(const grpc_call *call)
{
    return call->user;
}

void grpc_call_open(grpc_call *call)
{
    if (!call->ended) {
        send_head(call);
    }
}

bool grpc_call_send(grpc_call *call, lpx_bytes message)
{
    if (call->ended) {
        return true;
    }
    send_head(call);
    uint8_t prefix[GRPC_PREFIX_BYTES];
    lpx_bytes body = message, packed;
    bool compressed = call->may_gzip && grpc_gzip_deflate(call->core->env.gzip, message, &packed);
    body = compressed ? packed : message;
    grpc_prefix_make(prefix, compressed, body.len);
    h2_sent sent = h2_stream_send(call->stream, lpx_bytes_of(prefix, sizeof prefix), body);
    if (sent == H2_SEND_FAILED && h2_stream_open(call->stream)) {
        /* on_cancel follows when the stream is closed. */
        call->cancel_code = LPX_RESOURCE_EXHAUSTED;
        h2_stream_reset(call->stream, H2_ENHANCE_YOUR_CALM);
    }
    return sent != H2_SEND_FULL;
}

void grpc_call_pause(grpc_call *call)
{
    call->paused = true;
}

static void resumed(grpc_later *later)
{
    grpc_call *call = LPX_CONTAINER(later, grpc_call, later);
    if (!call->ended && !call->paused) {
        deliver(call, (lpx_bytes){0});
    }
}

void grpc_call_resume(grpc_call *call)
{
    if (call->paused && !call->ended) {
        call->paused = false;
        if (!call->delivering) {
            grpc_env_post(&call->core->env, &call->later, resumed);
        }
    }
}

void grpc_call_finish(grpc_call *call, lpx_code code, lpx_str message, lpx_bytes details)
{
    lpx_assert(!call->finished);
    if (!call->ended) {
        end(call);
        if (code == LPX_OK) {
            send_head(call);
        }
        send_status(call, code, message, details);
    }
    call->finished = true;
    give_back(call);
}
