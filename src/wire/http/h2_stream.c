#include <stdlib.h>

#include "base/assert.h"
#include "wire/http/h2_priv.h"

h2_pool *h2_pool_new(size_t user_bytes, void (*user_fini)(void *user))
{
    h2_pool *pool = calloc(1, sizeof *pool);
    if (pool != NULL) {
        pool->user_bytes = user_bytes;
        pool->user_fini = user_fini;
        pool->max_unsent_bytes = H2_MAX_UNSENT_POOL_BYTES;
    }
    return pool;
}

void h2_pool_limit_unsent(h2_pool *pool, size_t max_bytes)
{
    pool->max_unsent_bytes = max_bytes;
}

static void stream_free(h2_pool *pool, h2_stream *stream)
{
    if (pool->user_fini != NULL) {
        pool->user_fini(stream->user);
    }
    free(stream->queue.ptr);
    free(stream);
}

void h2_pool_free(h2_pool **pool)
{
    h2_pool *p = *pool;
    if (p == NULL) {
        return;
    }
    lpx_assert(p->live_count == 0);
    *pool = NULL;
    while (p->spare != NULL) {
        h2_stream *stream = p->spare;
        p->spare = stream->next_spare;
        stream_free(p, stream);
    }
    h2_fields_free_spare(p);
    h2_mem_fini(&p->mem);
    free(p);
}

h2_stream *h2_stream_new(h2_session *session, int32_t id)
{
    h2_pool *pool = session->pool;
    h2_stream *stream = pool->spare;
    if (stream != NULL) {
        pool->spare = stream->next_spare;
        pool->spare_count--;
        h2_queue queue = {.ptr = stream->queue.ptr, .room = stream->queue.room};
        memset(stream, 0, offsetof(h2_stream, user));
        stream->queue = queue;
    } else {
        stream = calloc(1, sizeof *stream + pool->user_bytes);
        if (stream == NULL) {
            return NULL;
        }
    }
    pool->live_count++;
    stream->pool = pool;
    stream->session = session;
    stream->id = id;
    lpx_list_init(&stream->spent_node);
    lpx_list_init(&stream->room_node);
    lpx_list_push(&session->streams, &stream->node);
    session->stream_count++;
    return stream;
}

void h2_stream_drop_queue(h2_stream *stream)
{
    if (stream->session != NULL) {
        stream->session->unsent_bytes -= stream->queue.len;
        stream->pool->unsent_bytes -= stream->queue.len;
    }
    stream->queue.head = stream->queue.len = 0;
}

static void stream_recycle(h2_stream *stream)
{
    h2_pool *pool = stream->pool;
    h2_fields_unref(&stream->head_fields);
    h2_fields_unref(&stream->tail_fields);
    free(stream->tail_text);
    if (stream->queue.room > H2_KEPT_QUEUE_BYTES) {
        free(stream->queue.ptr);
        stream->queue = (h2_queue){0};
    }
    pool->live_count--;
    if (pool->spare_count >= H2_KEPT_STREAMS) {
        stream_free(pool, stream);
        return;
    }
    stream->next_spare = pool->spare;
    pool->spare = stream;
    pool->spare_count++;
}

void h2_stream_gone(h2_stream *stream, uint32_t code)
{
    h2_session *session = stream->session;
    h2_stream_drop_queue(stream);
    lpx_list_remove(&stream->node);
    lpx_list_remove(&stream->spent_node);
    lpx_list_remove(&stream->room_node);
    session->stream_count--;
    session->head_bytes -= stream->field_bytes;
    if (session->heading == stream) {
        session->heading = NULL;
    }
    stream->session = NULL;
    h2_stream_hold(stream);
    if (stream->shown) {
        session->events->on_close(session->ctx, stream, code);
    }
    h2_stream_release(stream);
}

void h2_stream_hold(h2_stream *stream)
{
    stream->holds++;
}

void h2_stream_release(h2_stream *stream)
{
    lpx_assert(stream->holds > 0);
    stream->holds--;
    if (stream->holds == 0 && stream->session == NULL) {
        stream_recycle(stream);
    }
}

void *h2_stream_user(h2_stream *stream)
{
    return stream->user;
}

h2_stream *h2_stream_of_user(void *user)
{
    return LPX_CONTAINER(user, h2_stream, user);
}

bool h2_stream_fields_fit(const h2_stream *stream, size_t bytes)
{
    return bytes <= H2_MAX_HEAD_BYTES - stream->field_bytes &&
           bytes <= H2_MAX_HEADS_CONN_BYTES - stream->session->head_bytes;
}

bool h2_stream_keep_field(h2_stream *stream, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    h2_fields **at = stream->tail_read ? &stream->tail_fields : &stream->head_fields;
    size_t bytes = h2_text_of(name).len + h2_text_of(value).len + 32;
    if (!h2_stream_fields_fit(stream, bytes)) {
        return false;
    }
    if (*at == NULL) {
        *at = h2_fields_new(stream->pool);
    }
    if (*at == NULL || !h2_fields_add(*at, name, value)) {
        return false;
    }
    (*at)->bytes += (uint32_t)bytes;
    stream->field_bytes += (uint32_t)bytes;
    stream->session->head_bytes += bytes;
    return true;
}

void h2_stream_answer(h2_stream *stream, const h2_field *fields, size_t count, bool end)
{
    h2_session *session = stream->session;
    if (session == NULL || stream->reset || stream->answered) {
        return;
    }
    nghttp2_nv nv[H2_MAX_SENT_FIELDS];
    size_t n = h2_fields_to_nv(fields, count, NGHTTP2_NV_FLAG_NO_COPY_NAME, nv);
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = h2_stream_pull};
    stream->answered = true;
    stream->finishing = end;
    h2_guard_sent(&session->guard);
    if (nghttp2_submit_response(session->ng, stream->id, nv, n, end ? NULL : &provider) != 0) {
        h2_stream_reset(stream, H2_INTERNAL_ERROR);
        return;
    }
    h2_session_want(session);
}

/* Room for want more bytes behind the content. */
static bool queue_reserve(h2_queue *queue, size_t want)
{
    if (queue->room - queue->head - queue->len >= want) {
        return true;
    }
    if (queue->room - queue->len >= want && queue->head >= queue->len) {
        memmove(queue->ptr, queue->ptr + queue->head, queue->len);
        queue->head = 0;
        return true;
    }
    size_t room = queue->len + want;
    room = room < 512 ? 512 : room + room / 2;
    uint8_t *ptr = malloc(room);
    if (ptr == NULL) {
        return false;
    }
    if (queue->len > 0) {
        memcpy(ptr, queue->ptr + queue->head, queue->len);
    }
    free(queue->ptr);
    *queue = (h2_queue){.ptr = ptr, .len = queue->len, .room = room};
    return true;
}

static void queue_add(h2_queue *queue, lpx_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(queue->ptr + queue->head + queue->len, bytes.ptr, bytes.len);
        queue->len += bytes.len;
    }
}

static void stream_resume(h2_stream *stream)
{
    if (stream->deferred && lpx_list_empty(&stream->spent_node)) {
        stream->deferred = false;
        (void)nghttp2_session_resume_data(stream->session->ng, stream->id);
    }
    h2_session_want(stream->session);
}

h2_sent h2_stream_send(h2_stream *stream, lpx_bytes prefix, lpx_bytes body)
{
    h2_session *session = stream->session;
    if (session == NULL || stream->reset || stream->finishing || !stream->answered) {
        return H2_SEND_FAILED;
    }
    size_t bytes = prefix.len + body.len;
    bool fits = body.len <= H2_MAX_UNSENT_STREAM_BYTES && bytes <= H2_MAX_UNSENT_STREAM_BYTES - stream->queue.len &&
                bytes <= H2_MAX_UNSENT_CONN_BYTES - session->unsent_bytes &&
                stream->pool->unsent_bytes < stream->pool->max_unsent_bytes;
    if (!fits || !queue_reserve(&stream->queue, bytes)) {
        return H2_SEND_FAILED;
    }
    queue_add(&stream->queue, prefix);
    queue_add(&stream->queue, body);
    session->unsent_bytes += bytes;
    stream->pool->unsent_bytes += bytes;
    stream_resume(stream);
    if (stream->queue.len > H2_SEND_HIGH_BYTES) {
        stream->above_high = true;
    }
    return stream->above_high ? H2_SEND_FULL : H2_SEND_OK;
}

/* Keep the values until the queue is empty. */
static bool tail_keep(h2_stream *stream, const h2_field *fields, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += fields[i].value.len;
    }
    char *text = stream->tail_inline;
    if (bytes > sizeof stream->tail_inline) {
        text = stream->tail_text = malloc(bytes);
        if (text == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        lpx_str value = fields[i].value;
        if (value.len > 0) {
            memcpy(text, value.ptr, value.len);
        }
        stream->tail[i] = (h2_field){fields[i].name, {text, value.len}};
        text += value.len;
    }
    stream->tail_count = (uint32_t)count;
    return true;
}

void h2_stream_finish(h2_stream *stream, const h2_field *fields, size_t count)
{
    if (stream->session == NULL || stream->reset || stream->finishing || !stream->answered) {
        return;
    }
    lpx_assert(count <= H2_TAIL_FIELDS);
    if (!tail_keep(stream, fields, count)) {
        h2_stream_reset(stream, H2_INTERNAL_ERROR);
        return;
    }
    stream->finishing = true;
    stream->above_high = false;
    lpx_list_remove(&stream->room_node);
    stream_resume(stream);
}

void h2_stream_reset(h2_stream *stream, uint32_t code)
{
    if (stream->session == NULL || stream->reset || (stream->local_end && stream->remote_end)) {
        return;
    }
    stream->reset = true;
    h2_stream_drop_queue(stream);
    lpx_list_remove(&stream->room_node);
    (void)nghttp2_submit_rst_stream(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, code);
    h2_session_want(stream->session);
}

/* The last bytes are on their way: what ends the stream. */
static void pull_end(h2_session *session, h2_stream *stream, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->tail_count > 0) {
        nghttp2_nv nv[H2_TAIL_FIELDS];
        size_t n = h2_fields_to_nv(stream->tail, stream->tail_count, NGHTTP2_NV_FLAG_NO_COPY_NAME, nv);
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        (void)nghttp2_submit_trailer(session->ng, stream->id, nv, n);
    }
}

ssize_t h2_stream_pull(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
                       nghttp2_data_source *source, void *ctx)
{
    (void)ng;
    (void)id;
    (void)buf;
    h2_session *session = ctx;
    h2_stream *stream = source->ptr;
    if (session->ending || stream->reset || (stream->queue.len == 0 && !stream->finishing)) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (stream->turn != session->turn) {
        stream->turn = session->turn;
        stream->turn_bytes = 0;
    }
    if (stream->turn_bytes >= H2_TURN_BYTES) {
        stream->deferred = true;
        lpx_list_push(&session->spent, &stream->spent_node);
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t n = stream->queue.len < length ? stream->queue.len : length;
    if (n == stream->queue.len && stream->finishing) {
        pull_end(session, stream, flags);
    }
    if (n > 0) {
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    }
    return (ssize_t)n;
}

int h2_stream_push(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *frame_head, size_t length,
                   nghttp2_data_source *source, void *ctx)
{
    (void)ng;
    (void)frame;
    h2_session *session = ctx;
    h2_stream *stream = source->ptr;
    h2_queue *queue = &stream->queue;
    if (session->out->len >= session->out_max) {
        session->out_full = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (stream->reset || length > queue->len) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    lpx_buf_add(session->out, lpx_bytes_of(frame_head, 9));
    lpx_buf_add(session->out, lpx_bytes_of(queue->ptr + queue->head, length));
    queue->head += length;
    queue->len -= length;
    if (queue->len == 0) {
        queue->head = 0;
    }
    session->unsent_bytes -= length;
    session->pool->unsent_bytes -= length;
    stream->turn_bytes += (uint32_t)length;
    h2_guard_sent(&session->guard);
    if (stream->above_high && queue->len <= H2_SEND_LOW_BYTES) {
        stream->above_high = false;
        lpx_list_push(&session->writable, &stream->room_node);
    }
    return 0;
}

void h2_stream_next_turn(h2_session *session)
{
    session->turn++;
    for (lpx_list *node = lpx_list_pop(&session->spent); node != NULL; node = lpx_list_pop(&session->spent)) {
        h2_stream *stream = LPX_CONTAINER(node, h2_stream, spent_node);
        stream->deferred = false;
        (void)nghttp2_session_resume_data(session->ng, stream->id);
    }
}

void h2_stream_consume(h2_stream *stream, size_t bytes)
{
    if (stream->session == NULL || stream->remote_end) {
        return;
    }
    stream->unconsumed += bytes;
    if (stream->unconsumed >= H2_STREAM_WINDOW_BYTES / 4) {
        (void)nghttp2_session_consume_stream(stream->session->ng, stream->id, stream->unconsumed);
        stream->unconsumed = 0;
        h2_session_want(stream->session);
    }
}

size_t h2_stream_unsent(const h2_stream *stream)
{
    return stream->queue.len;
}

bool h2_stream_open(const h2_stream *stream)
{
    return stream->session != NULL && !stream->reset;
}

bool h2_stream_ending(const h2_stream *stream)
{
    return stream->ending;
}

bool h2_stream_peer_ended(const h2_stream *stream)
{
    return stream->remote_end;
}

bool h2_stream_head_cut(const h2_stream *stream)
{
    return stream->head_cut;
}

const h2_field *h2_stream_head(const h2_stream *stream, size_t *count)
{
    bool any = stream->head_done && stream->head_fields != NULL;
    *count = any ? stream->head_fields->count : 0;
    return any ? stream->head_fields->fields : NULL;
}

const h2_field *h2_stream_tail(const h2_stream *stream, size_t *count)
{
    *count = stream->tail_fields != NULL ? stream->tail_fields->count : 0;
    return stream->tail_fields != NULL ? stream->tail_fields->fields : NULL;
}

lpx_str h2_stream_header(const h2_stream *stream, lpx_str name)
{
    size_t count = 0;
    const h2_field *fields = h2_stream_head(stream, &count);
    for (size_t i = 0; i < count; i++) {
        if (lpx_str_equal(fields[i].name, name)) {
            return fields[i].value;
        }
    }
    return LPX_STR("");
}

uint64_t h2_stream_head_number(const h2_stream *stream)
{
    return stream->head_done && stream->head_fields != NULL ? stream->head_fields->number : 0;
}

uint64_t h2_stream_credential(const h2_stream *stream)
{
    return stream->credential;
}
