/* What nghttp2 tells about received frames: checks, counts, events. */
#include <stdio.h>

#include "lpx_reasons.h"
#include "wire/http/h2_priv.h"

static h2_stream *find(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

static void count(h2_session *session, h2_flood kind)
{
    if (!h2_guard_take(&session->guard, kind, session->now)) {
        h2_session_flooded(session, kind);
    }
}

/* The peer's message breaks the rules: only its stream pays, but not too often. */
static void malformed(h2_session *session, h2_stream *stream)
{
    count(session, H2_FLOOD_OF_RESETS);
    h2_stream_reset(stream, H2_PROTOCOL_ERROR);
}

static int after(const h2_session *session)
{
    /* Ends nghttp2_session_mem_recv at once: nothing more of this peer is read. */
    return session->ending ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int begin_request(h2_session *session, nghttp2_session *ng, int32_t id)
{
    h2_stream *stream = h2_stream_new(session, id);
    if (stream == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    (void)nghttp2_session_set_stream_user_data(ng, id, stream);
    stream->same_head = session->last_head != NULL;
    session->heading = stream;
    return 0;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    h2_session *session = ctx;
    session->heading = NULL;
    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        return begin_request(session, ng, frame->hd.stream_id);
    }
    h2_stream *stream = find(ng, frame->hd.stream_id);
    if (stream == NULL) {
        return 0;
    }
    session->heading = stream;
    if (stream->head_done) {
        stream->tail_read = true;
        stream->head = (h2_head){.part = H2_PART_TAIL, .malformed = stream->head.malformed};
    } else {
        /* First response head, or the next one after an interim one (1xx), which was dropped. */
        stream->head = (h2_head){.part = H2_PART_RESPONSE};
    }
    return 0;
}

static void ref_set(h2_ref *ref, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    if (ref->value != NULL) {
        nghttp2_rcbuf_decref(ref->name);
        nghttp2_rcbuf_decref(ref->value);
    }
    *ref = (h2_ref){name, value};
}

/* Kind of a field. A client sends the same fields in the same places again and again, and HPACK hands out the same
 * objects for them: what stood here last time need not be checked again. */
static h2_kind kind_of(h2_session *session, size_t place, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    if (place >= H2_MEMO_FIELDS) {
        return h2_head_classify(h2_text_of(name), h2_text_of(value));
    }
    h2_memo *memo = &session->memo[place];
    if (memo->ref.value == value && memo->ref.name == name) {
        return memo->kind;
    }
    h2_kind kind = h2_head_classify(h2_text_of(name), h2_text_of(value));
    ref_set(&memo->ref, name, value);
    memo->kind = kind;
    return kind;
}

static uint64_t credential_of(h2_session *session, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    const h2_ref *last = &session->credential_ref;
    bool same =
        last->value != NULL && (last->value == value || lpx_str_equal(h2_text_of(last->value), h2_text_of(value)));
    if (!same) {
        ref_set(&session->credential_ref, name, value);
        session->credential = ++session->pool->last_credential;
    }
    return session->credential;
}

static bool is_interim(const h2_head *head)
{
    return head->part == H2_PART_RESPONSE && head->status >= 100 && head->status < 200;
}

/* One more field of a head or tail: checked and kept. */
static void take_field(h2_session *session, h2_stream *stream, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    if (stream->head.malformed || stream->head_cut) {
        return;
    }
    size_t place = (stream->head_fields != NULL ? stream->head_fields->count : 0) +
                   (stream->tail_fields != NULL ? stream->tail_fields->count : 0);
    h2_kind kind = kind_of(session, place, name, value);
    h2_head_step(&stream->head, kind, h2_text_of(value));
    if (stream->head.malformed || is_interim(&stream->head)) {
        return;
    }
    if (!h2_stream_keep_field(stream, name, value)) {
        stream->head_cut = true;
    } else if (kind == H2_KIND_AUTHORIZATION && stream->credential == 0) {
        stream->credential = credential_of(session, name, value);
    }
}

/* It is another head after all: what was the same so far is taken field by field. */
static void differs(h2_session *session, h2_stream *stream)
{
    const h2_fields *last = session->last_head;
    stream->same_head = false;
    for (uint32_t i = 0; i < stream->same_fields; i++) {
        take_field(session, stream, last->refs[i].name, last->refs[i].value);
    }
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                     uint8_t flags, void *ctx)
{
    h2_session *session = ctx;
    h2_stream *stream = session->heading;
    (void)ng;
    (void)frame;
    (void)flags;
    if (stream == NULL || stream->reset) {
        return 0;
    }
    if (stream->same_head) {
        const h2_fields *last = session->last_head;
        const h2_ref *ref = &last->refs[stream->same_fields];
        if (stream->same_fields < last->count && ref->value == value && ref->name == name) {
            stream->same_fields++;
            return 0;
        }
        differs(session, stream);
    }
    take_field(session, stream, name, value);
    return 0;
}

/* All fields of a request's head are there, and they are those of the last one: nothing is new about it. */
static void share_head(h2_session *session, h2_stream *stream)
{
    h2_fields *last = session->last_head;
    if (stream->same_fields < last->count || !h2_stream_fields_fit(stream, last->bytes)) {
        differs(session, stream);
        return;
    }
    stream->same_head = false;
    stream->head_fields = h2_fields_ref(last);
    stream->field_bytes = last->bytes;
    session->head_bytes += last->bytes;
    stream->head = last->head;
    stream->credential = last->credential;
}

/* The next one may be the same. */
static void remember_head(h2_session *session, h2_stream *stream)
{
    h2_fields *set = stream->head_fields;
    if (session->role != H2_SERVER || set == NULL || set == session->last_head || stream->head_cut) {
        return;
    }
    set->number = ++session->pool->last_number;
    set->head = stream->head;
    set->credential = stream->credential;
    h2_fields_unref(&session->last_head);
    session->last_head = h2_fields_ref(set);
}

static void remote_ended(h2_session *session, h2_stream *stream)
{
    stream->remote_end = true;
    if (stream->head.length_known && stream->body_bytes != stream->head.length) {
        malformed(session, stream);
        return;
    }
    session->events->on_end(session->ctx, stream);
}

static void head_received(h2_session *session, h2_stream *stream, bool end)
{
    if (is_interim(&stream->head)) {
        if (end || stream->head.status == 101) {
            malformed(session, stream);
        }
        return;
    }
    remember_head(session, stream);
    stream->head_done = true;
    stream->shown = true;
    if (end && session->role == H2_SERVER) {
        stream->remote_end = true;
    }
    session->events->on_head(session->ctx, stream);
    if (end && stream->session != NULL && !stream->reset) {
        remote_ended(session, stream);
    }
}

static void headers_received(h2_session *session, h2_stream *stream, bool end)
{
    if (stream->same_head) {
        share_head(session, stream);
    }
    h2_head_end(&stream->head);
    if (stream->head.malformed || (stream->tail_read && !end)) {
        malformed(session, stream);
        return;
    }
    if (!stream->tail_read) {
        head_received(session, stream, end);
        return;
    }
    remote_ended(session, stream);
}

static void on_headers_frame(h2_session *session, const nghttp2_frame *frame)
{
    h2_stream *stream = session->heading;
    session->heading = NULL;
    if (stream != NULL && !stream->reset) {
        headers_received(session, stream, (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
    }
}

static void on_data_frame(h2_session *session, nghttp2_session *ng, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return;
    }
    h2_stream *stream = find(ng, frame->hd.stream_id);
    if (stream != NULL && !stream->reset) {
        remote_ended(session, stream);
    }
}

static void on_ping_frame(h2_session *session, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        uint64_t payload = 0;
        memcpy(&payload, frame->ping.opaque_data, sizeof payload);
        session->events->on_pong(session->ctx, payload);
        return;
    }
    if (session->role == H2_SERVER && !h2_guard_ping(&session->guard, session->now)) {
        /* This word makes gRPC clients ping less often. */
        h2_session_violated(session, H2_ENHANCE_YOUR_CALM, H2_FLOOD_PING, "too_many_pings");
    }
}

static void on_goaway_frame(h2_session *session, const nghttp2_frame *frame)
{
    size_t len = frame->goaway.opaque_data_len;
    session->peer_goaway = true;
    len = len < H2_MAX_GOAWAY_TEXT_BYTES ? len : H2_MAX_GOAWAY_TEXT_BYTES;
    lpx_str text = lpx_bytes_str(lpx_bytes_of(frame->goaway.opaque_data, len));
    if (frame->goaway.error_code != NGHTTP2_NO_ERROR && session->why_reason == 0) {
        session->why_reason = H2_PEER_GOAWAY;
        (void)snprintf(session->why.text, sizeof session->why.text, "the peer ended the connection: %s%s%.*s",
                       nghttp2_http2_strerror(frame->goaway.error_code), len > 0 ? ", " : "", (int)len, text.ptr);
    }
    session->events->on_goaway(session->ctx, frame->goaway.error_code, text);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    h2_session *session = ctx;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers_frame(session, frame);
        break;
    case NGHTTP2_DATA:
        on_data_frame(session, ng, frame);
        break;
    case NGHTTP2_SETTINGS:
        session->ready = true;
        break;
    case NGHTTP2_PING:
        on_ping_frame(session, frame);
        break;
    case NGHTTP2_GOAWAY:
        on_goaway_frame(session, frame);
        break;
    default:
        break;
    }
    return after(session);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *ctx)
{
    h2_session *session = ctx;
    (void)ng;
    session->data_left = hd->length;
    return 0;
}

/* Is this chunk the last of a stream's body? A padded frame never says so: its payload goes on behind the chunk. */
static bool is_ending(const h2_session *session, const h2_stream *stream, uint8_t flags)
{
    bool ends = (flags & NGHTTP2_FLAG_END_STREAM) != 0 && session->data_left == 0;
    return ends && (!stream->head.length_known || stream->body_bytes == stream->head.length);
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *ctx)
{
    h2_session *session = ctx;
    session->unconsumed += len;
    session->data_left -= len;
    h2_stream *stream = find(ng, id);
    if (stream == NULL || stream->reset) {
        return 0;
    }
    stream->body_bytes += len;
    if (stream->head.length_known && stream->body_bytes > stream->head.length) {
        malformed(session, stream);
        return after(session);
    }
    stream->ending = is_ending(session, stream, flags);
    session->events->on_data(session->ctx, stream, lpx_bytes_of(data, len));
    return after(session);
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
    h2_stream *stream = find(ng, id);
    (void)ctx;
    if (stream != NULL) {
        (void)nghttp2_session_set_stream_user_data(ng, id, NULL);
        h2_stream_gone(stream, code);
    }
    return 0;
}

/* nghttp2 itself refused a frame and resets its stream. */
static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *ctx)
{
    h2_session *session = ctx;
    (void)ng;
    (void)frame;
    (void)error;
    count(session, H2_FLOOD_OF_RESETS);
    return after(session);
}

/* nghttp2 complains. Its words are kept for whoever asks why, should the connection end by that. */
static int on_error(nghttp2_session *ng, int code, const char *text, size_t len, void *ctx)
{
    h2_session *session = ctx;
    (void)ng;
    (void)code;
    if (session->why_reason == 0) {
        (void)snprintf(session->why.text, sizeof session->why.text, "%.*s", (int)len, text);
    }
    return 0;
}

/* This side of a stream has ended. A server that ends first stops its client, after the last frame of the answer. */
static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    (void)ctx;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || frame->hd.type > NGHTTP2_HEADERS) {
        return 0;
    }
    h2_stream *stream = find(ng, frame->hd.stream_id);
    if (stream == NULL) {
        return 0;
    }
    stream->local_end = true;
    if (!stream->remote_end && stream->session->role == H2_SERVER) {
        (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, stream->id, H2_NO_ERROR);
    }
    return 0;
}

void h2_recv_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
}
