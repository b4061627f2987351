#include "raw.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum {
    FIELDS = 6, /* with an entry in the dynamic table */
    FRAME_HEAD_BYTES = 9,
    BIG_WINDOW = 1 << 30,
    WINDOW_STEP = 1 << 20,
};

struct raw {
    raw_opts o;
    io_conn *io;
    nghttp2_hd_inflater *inflater;
    uint32_t next_id;
    int64_t window;        /* of the connection, as the server gave it */
    int64_t stream_window; /* of each call, as the server gave it */
    int64_t taken;         /* received since the last window update */
    lpx_buf in;
    uint8_t head[64], tail[64]; /* header blocks that were checked and hold table entries alone */
    size_t head_len, tail_len;
    bool preface_sent, ack_due, closing;
    bool ping_due;
    uint8_t ping[8];
};

/* ---- what is sent ---- */

static void put_frame_head(lpx_buf *out, size_t len, uint8_t type, uint8_t flags, uint32_t id)
{
    uint8_t head[FRAME_HEAD_BYTES] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
                                      (uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    lpx_buf_add(out, lpx_bytes_of(head, sizeof head));
}

static void put_u32(lpx_buf *out, uint32_t v)
{
    uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    lpx_buf_add(out, lpx_bytes_of(bytes, sizeof bytes));
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* HPACK text without Huffman: its length in 7 bits, then in up to two groups of 7. */
static void put_text(lpx_buf *out, const char *text)
{
    size_t len = strlen(text);
    uint8_t bytes[3] = {(uint8_t)(len < 127 ? len : 127), (uint8_t)((len - 127) & 0x7f), 0};
    size_t n = 1;
    if (len >= 127) {
        n = 2;
        if (len - 127 >= 128) {
            bytes[1] |= 0x80;
            bytes[2] = (uint8_t)((len - 127) >> 7);
            n = 3;
        }
    }
    lpx_buf_add(out, lpx_bytes_of(bytes, n));
    lpx_buf_add_str(out, lpx_str_of(text));
}

/* The first head puts all fields into the table, the later ones name their places. */
static void put_head_block(const raw *c, lpx_buf *block)
{
    const raw_opts *o = &c->o;
    const char *const fields[FIELDS][2] = {
        {":path", o->path}, {":authority", o->authority},  {"content-type", "application/grpc"},
        {"te", "trailers"}, {"user-agent", o->user_agent}, {"authorization", o->authorization}};
    uint8_t fixed[2] = {0x83, o->tls != NULL ? 0x87 : 0x86};
    lpx_buf_add(block, lpx_bytes_of(fixed, 2));
    for (size_t i = 0; i < FIELDS; i++) {
        if (c->next_id == 1) {
            uint8_t literal = 0x40;
            lpx_buf_add(block, lpx_bytes_of(&literal, 1));
            put_text(block, fields[i][0]);
            put_text(block, fields[i][1]);
        } else {
            uint8_t index = (uint8_t)(0x80 | (62 + FIELDS - 1 - i));
            lpx_buf_add(block, lpx_bytes_of(&index, 1));
        }
    }
    if (o->timeout) {
        char text[16];
        uint8_t literal = 0x00;
        (void)snprintf(text, sizeof text, "%uu", 2900000 + c->next_id % 99999);
        lpx_buf_add(block, lpx_bytes_of(&literal, 1));
        put_text(block, "grpc-timeout");
        put_text(block, text);
    }
}

uint32_t raw_put_call(raw *c, lpx_buf *out)
{
    lpx_buf block;
    uint32_t id = c->next_id;
    lpx_buf_init(&block, RAW_MAX_FRAME_BYTES);
    put_head_block(c, &block);
    if (lpx_buf_failed(&block)) {
        load_die("the headers of a call are too long for one frame");
    }
    put_frame_head(out, block.len, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id);
    lpx_buf_add(out, lpx_buf_view(&block));
    lpx_buf_fini(&block);
    c->next_id += 2;
    return id;
}

void raw_put_data(raw *c, lpx_buf *out, uint32_t id, lpx_bytes payload, bool last)
{
    if (payload.len > RAW_MAX_FRAME_BYTES) {
        load_die("a message is too long for one frame");
    }
    put_frame_head(out, payload.len, NGHTTP2_DATA, last ? NGHTTP2_FLAG_END_STREAM : 0, id);
    lpx_buf_add(out, payload);
    c->window -= (int64_t)payload.len;
}

void raw_put_window(lpx_buf *out, uint32_t id, uint32_t bytes)
{
    put_frame_head(out, 4, NGHTTP2_WINDOW_UPDATE, 0, id);
    put_u32(out, bytes);
}

int64_t raw_room(const raw *c, int64_t sent)
{
    int64_t room = c->stream_window - sent;
    return room < c->window ? room : c->window;
}

static void put_preface(lpx_buf *out)
{
    uint8_t initial_window[2] = {0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE};
    lpx_buf_add_str(out, LPX_STR(NGHTTP2_CLIENT_MAGIC));
    put_frame_head(out, 6, NGHTTP2_SETTINGS, 0, 0);
    lpx_buf_add(out, lpx_bytes_of(initial_window, 2));
    put_u32(out, BIG_WINDOW);
    raw_put_window(out, 0, BIG_WINDOW);
}

static void fill(void *ctx, lpx_buf *out)
{
    raw *c = ctx;
    if (!c->preface_sent) {
        c->preface_sent = true;
        put_preface(out);
    }
    if (c->ack_due) {
        c->ack_due = false;
        put_frame_head(out, 0, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0);
    }
    if (c->ping_due) {
        c->ping_due = false;
        put_frame_head(out, 8, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0);
        lpx_buf_add(out, lpx_bytes_of(c->ping, 8));
    }
    if (c->taken > WINDOW_STEP) {
        raw_put_window(out, 0, (uint32_t)c->taken);
        c->taken = 0;
    }
    c->o.events->fill(c->o.ctx, c, out);
}

/* ---- what comes back ---- */

/* All bytes name entries of the table: the block means the same whenever it comes. */
static bool only_indexes(lpx_bytes block)
{
    for (size_t i = 0; i < block.len; i++) {
        if ((block.ptr[i] & 0x80) == 0 || block.ptr[i] == 0xff) {
            return false;
        }
    }
    return true;
}

/* Decode a header block. @return was the wanted status in it? Else *reason has what the server said. */
static bool find_status(raw *c, lpx_bytes block, bool tail, char reason[static 256])
{
    const char *name = tail ? "grpc-status" : ":status", *value = tail ? "0" : "200";
    bool found = false;
    lpx_bytes rest = block;
    for (int flags = 0; (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;) {
        nghttp2_nv nv;
        flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(c->inflater, &nv, &flags, rest.ptr, rest.len, 1);
        if (n < 0) {
            load_die("a header block cannot be decoded");
        }
        rest = lpx_bytes_of(rest.ptr + n, rest.len - (size_t)n);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0) {
            continue;
        }
        lpx_bytes got_name = lpx_bytes_of(nv.name, nv.namelen), got = lpx_bytes_of(nv.value, nv.valuelen);
        found |= lpx_str_is(lpx_bytes_str(got_name), name) && lpx_str_is(lpx_bytes_str(got), value);
        if (lpx_str_is(lpx_bytes_str(got_name), "grpc-message")) {
            (void)snprintf(reason, 256, "%.*s", (int)got.len, (const char *)got.ptr);
        }
    }
    (void)nghttp2_hd_inflate_end_headers(c->inflater);
    return found;
}

static void check_block(raw *c, lpx_bytes block, bool tail)
{
    uint8_t *known = tail ? c->tail : c->head;
    size_t *known_len = tail ? &c->tail_len : &c->head_len;
    if (*known_len == block.len && memcmp(known, block.ptr, block.len) == 0) {
        return;
    }
    char reason[256] = "";
    bool again = only_indexes(block) && block.len <= sizeof c->head;
    if (!find_status(c, block, tail, reason)) {
        load_die("an answer is not OK: %s", reason);
    }
    c->head_len = again ? c->head_len : 0; /* the table changed: nothing is known any more */
    c->tail_len = again ? c->tail_len : 0;
    if (again) {
        memcpy(known, block.ptr, block.len);
        *known_len = block.len;
    }
}

static void on_headers(raw *c, uint32_t id, uint8_t flags, lpx_bytes block)
{
    bool tail = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
    const raw_events *e = c->o.events;
    check_block(c, block, tail);
    void (*tell)(void *ctx, uint32_t id) = tail ? e->on_end : e->on_head;
    if (tell != NULL) {
        tell(c->o.ctx, id);
    }
}

/* Pairs of a 16-bit name and a 32-bit value. */
static void on_settings(raw *c, uint8_t flags, lpx_bytes payload)
{
    if ((flags & NGHTTP2_FLAG_ACK) != 0) {
        return;
    }
    c->ack_due = true;
    for (size_t i = 0; i + 6 <= payload.len; i += 6) {
        if (payload.ptr[i] == 0 && payload.ptr[i + 1] == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) {
            c->stream_window += (int64_t)get_u32(payload.ptr + i + 2) - NGHTTP2_INITIAL_WINDOW_SIZE;
        }
    }
}

static void on_frame(raw *c, const uint8_t head[static FRAME_HEAD_BYTES], lpx_bytes payload)
{
    uint32_t id = get_u32(head + 5);
    switch (head[3]) {
    case NGHTTP2_HEADERS:
        on_headers(c, id, head[4], payload);
        return;
    case NGHTTP2_DATA:
        c->taken += (int64_t)payload.len;
        c->o.events->on_data(c->o.ctx, id, payload);
        return;
    case NGHTTP2_SETTINGS:
        on_settings(c, head[4], payload);
        return;
    case NGHTTP2_WINDOW_UPDATE:
        *(id == 0 ? &c->window : &c->stream_window) += get_u32(payload.ptr);
        return;
    case NGHTTP2_PING:
        if ((head[4] & NGHTTP2_FLAG_ACK) == 0) {
            c->ping_due = true;
            memcpy(c->ping, payload.ptr, 8);
        }
        return;
    case NGHTTP2_RST_STREAM:
        load_die("a call was reset");
    case NGHTTP2_GOAWAY:
        load_die("the server ended the connection");
    default:
        return;
    }
}

static void on_bytes(void *ctx, lpx_bytes in)
{
    raw *c = ctx;
    lpx_bytes rest = in;
    if (c->in.len > 0) {
        lpx_buf_add(&c->in, in);
        rest = lpx_buf_view(&c->in);
    }
    while (rest.len >= FRAME_HEAD_BYTES) {
        size_t len = (size_t)rest.ptr[0] << 16 | (size_t)rest.ptr[1] << 8 | rest.ptr[2];
        if (rest.len - FRAME_HEAD_BYTES < len) {
            break;
        }
        on_frame(c, rest.ptr, lpx_bytes_of(rest.ptr + FRAME_HEAD_BYTES, len));
        rest = lpx_bytes_of(rest.ptr + FRAME_HEAD_BYTES + len, rest.len - FRAME_HEAD_BYTES - len);
    }
    if (c->in.len > 0) {
        lpx_buf_drop(&c->in, c->in.len - rest.len);
    } else {
        lpx_buf_add(&c->in, rest);
    }
    if (!c->closing) {
        io_conn_want_write(c->io);
    }
}

static void on_open(void *ctx)
{
    raw_want_write(ctx);
}

static void on_close(void *ctx, lpx_err why, const lpx_note *note)
{
    raw *c = ctx;
    (void)why;
    if (!c->closing && !c->o.may_end) {
        load_die("a connection ended: %s", note->text);
    }
    nghttp2_hd_inflate_del(c->inflater);
    lpx_buf_fini(&c->in);
    const raw_events *e = c->o.events;
    void *user = c->o.ctx;
    free(c);
    if (e->on_closed != NULL) {
        e->on_closed(user);
    }
}

static const io_conn_events events = {.on_open = on_open, .on_bytes = on_bytes, .fill = fill, .on_close = on_close};

/* ---- the connection ---- */

raw *raw_new(const raw_opts *opts)
{
    lpx_note note = {0};
    raw *c = calloc(1, sizeof *c);
    if (c == NULL || nghttp2_hd_inflate_new(&c->inflater) != 0) {
        load_die("no memory");
    }
    c->o = *opts;
    c->next_id = 1;
    c->window = c->stream_window = NGHTTP2_INITIAL_WINDOW_SIZE;
    lpx_buf_init(&c->in, 1 << 20);
    if (lpx_failed(io_connect(opts->loop, opts->address, opts->tls, &events, c, &c->io, &note))) {
        load_die("no connection to %s: %s", opts->address, note.text);
    }
    return c;
}

void raw_want_write(raw *c)
{
    io_conn_want_write(c->io);
}

void raw_close(raw *c)
{
    c->closing = true;
    io_conn_close(c->io, false);
}
