#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FIELDS = 6, /* with an entry in the dynamic table */
    FRAME_HEAD_BYTES = 9,
    FILL_BYTES = 64 * 1024,
    TURN_US = 1000000,
};

typedef struct connection {
    load *l;
    io_conn *io;
    nghttp2_hd_inflater *inflater;
    uint32_t next_id;
    long to_start;  /* calls that may be started now */
    int64_t window; /* that the server gave */
    int64_t taken;  /* received since the last window update */
    lpx_buf in;
    uint8_t head[64], tail[64]; /* header blocks that were checked and hold table entries alone */
    size_t head_len, tail_len;
    bool preface_sent, ack_due;
    bool ping_due;
    uint8_t ping[8];
} connection;

struct load {
    load_opts o;
    connection *connections;
    long started, done, wanted, messages;
};

void load_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- clocks and options ---- */

void load_pin(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
        (void)sched_setaffinity(0, sizeof set, &set);
    }
}

uint64_t load_cpu_ns(pid_t pid)
{
    char path[320];
    uint64_t total = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL; entry = readdir(dir)) {
        unsigned long long ns = 0;
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (file != NULL) {
            total += fscanf(file, "%llu", &ns) == 1 ? ns : 0;
            (void)fclose(file);
        }
    }
    if (dir == NULL) {
        load_die("process %d is gone", (int)pid);
    }
    (void)closedir(dir);
    return total;
}

uint64_t load_wall_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

long load_number(const char *option, const char *text, int base, long low, long high)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, base);
    if (errno != 0 || end == text || *end != 0 || value < low || value > high) {
        load_die("%s %s: want a number from %ld to %ld", option, text, low, high);
    }
    return value;
}

void load_prefix(uint8_t out[static LOAD_PREFIX_BYTES], size_t len)
{
    uint8_t prefix[LOAD_PREFIX_BYTES] = {0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                         (uint8_t)len};
    memcpy(out, prefix, sizeof prefix);
}

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
static void put_head_block(connection *c, lpx_buf *block)
{
    const load_opts *o = &c->l->o;
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

static void put_call(connection *c, lpx_buf *out)
{
    lpx_bytes message = c->l->o.next(c->l->o.ctx);
    lpx_buf block;
    lpx_buf_init(&block, 4096);
    put_head_block(c, &block);
    if (lpx_buf_failed(&block) || message.len > LOAD_MAX_FRAME_BYTES) {
        load_die("a call is too long for one frame");
    }
    put_frame_head(out, block.len, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, c->next_id);
    lpx_buf_add(out, lpx_buf_view(&block));
    lpx_buf_fini(&block);
    put_frame_head(out, message.len, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, c->next_id);
    lpx_buf_add(out, message);
    c->next_id += 2;
    c->window -= (int64_t)message.len;
    c->to_start--;
    c->l->started++;
}

static void fill(void *ctx, lpx_buf *out)
{
    connection *c = ctx;
    if (!c->preface_sent) {
        c->preface_sent = true;
        lpx_buf_add_str(out, LPX_STR(NGHTTP2_CLIENT_MAGIC));
        put_frame_head(out, 0, NGHTTP2_SETTINGS, 0, 0);
        put_frame_head(out, 4, NGHTTP2_WINDOW_UPDATE, 0, 0);
        put_u32(out, 1 << 30);
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
    if (c->taken > 1 << 20) {
        put_frame_head(out, 4, NGHTTP2_WINDOW_UPDATE, 0, 0);
        put_u32(out, (uint32_t)c->taken);
        c->taken = 0;
    }
    while (c->to_start > 0 && out->len < FILL_BYTES && c->window >= LOAD_MAX_FRAME_BYTES &&
           c->l->started < c->l->wanted) {
        put_call(c, out);
    }
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
static bool find_status(connection *c, lpx_bytes block, bool tail, char reason[static 256])
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

static void check_block(connection *c, lpx_bytes block, bool tail)
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

static void on_headers(connection *c, uint8_t flags, lpx_bytes block)
{
    bool tail = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
    check_block(c, block, tail);
    if (tail) {
        c->to_start++;
        c->l->done++;
    }
}

static void on_frame(connection *c, uint8_t type, uint8_t flags, lpx_bytes payload)
{
    switch (type) {
    case NGHTTP2_HEADERS:
        on_headers(c, flags, payload);
        return;
    case NGHTTP2_DATA:
        c->taken += (int64_t)payload.len;
        c->l->messages++;
        c->l->o.check(c->l->o.ctx, payload);
        return;
    case NGHTTP2_SETTINGS:
        c->ack_due |= (flags & NGHTTP2_FLAG_ACK) == 0;
        return;
    case NGHTTP2_WINDOW_UPDATE:
        c->window += (int64_t)payload.ptr[0] << 24 | payload.ptr[1] << 16 | payload.ptr[2] << 8 | payload.ptr[3];
        return;
    case NGHTTP2_PING:
        c->ping_due = true;
        memcpy(c->ping, payload.ptr, 8);
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
    connection *c = ctx;
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
        on_frame(c, rest.ptr[3], rest.ptr[4], lpx_bytes_of(rest.ptr + FRAME_HEAD_BYTES, len));
        rest = lpx_bytes_of(rest.ptr + FRAME_HEAD_BYTES + len, rest.len - FRAME_HEAD_BYTES - len);
    }
    if (c->in.len > 0) {
        lpx_buf_drop(&c->in, c->in.len - rest.len);
    } else {
        lpx_buf_add(&c->in, rest);
    }
    io_conn_want_write(c->io);
}

static void on_open(void *ctx)
{
    connection *c = ctx;
    io_conn_want_write(c->io);
}

static void on_close(void *ctx, lpx_err why, const lpx_note *note)
{
    (void)ctx;
    (void)why;
    load_die("a connection ended: %s", note->text);
}

static const io_conn_events events = {.on_open = on_open, .on_bytes = on_bytes, .fill = fill, .on_close = on_close};

/* ---- runs ---- */

load *load_new(const load_opts *opts)
{
    lpx_note note = {0};
    if (opts->connections < 1 || opts->connections > LOAD_MAX_CONNECTIONS || opts->streams < 1 ||
        opts->streams > LOAD_MAX_STREAMS) {
        load_die("want 1 to %d connections and 1 to %d streams", LOAD_MAX_CONNECTIONS, LOAD_MAX_STREAMS);
    }
    load *l = calloc(1, sizeof *l);
    connection *connections = calloc((size_t)opts->connections, sizeof *connections);
    if (l == NULL || connections == NULL) {
        load_die("no memory");
    }
    *l = (load){.o = *opts, .connections = connections};
    for (long i = 0; i < opts->connections; i++) {
        connection *c = &connections[i];
        *c = (connection){.l = l, .next_id = 1, .to_start = opts->streams, .window = 65535};
        lpx_buf_init(&c->in, 1 << 20);
        if (nghttp2_hd_inflate_new(&c->inflater) != 0 ||
            lpx_failed(io_connect(opts->loop, opts->address, opts->tls, &events, c, &c->io, &note))) {
            load_die("no connection to %s: %s", opts->address, note.text);
        }
    }
    return l;
}

void load_start(load *l, long calls)
{
    l->wanted += calls;
    for (long i = 0; i < l->o.connections; i++) {
        io_conn_want_write(l->connections[i].io);
    }
}

long load_done(const load *l)
{
    if (l->messages < l->done || (l->done == l->started && l->messages > l->done)) {
        load_die("%ld calls were answered OK with %ld messages", l->done, l->messages);
    }
    return l->done;
}

bool load_turn_until(io_loop *loop, bool (*condition)(void *ctx), long (*progress)(void *ctx), void *ctx)
{
    long last = progress(ctx);
    uint64_t since = load_wall_ns();
    while (!condition(ctx)) {
        io_loop_turn(loop, TURN_US);
        if (progress(ctx) != last) {
            last = progress(ctx);
            since = load_wall_ns();
        } else if (load_wall_ns() - since > LOAD_STALL_SECONDS * UINT64_C(1000000000)) {
            return false;
        }
    }
    return true;
}

static bool all_done(void *ctx)
{
    const load *l = ctx;
    return load_done(l) >= l->wanted;
}

static long done_so_far(void *ctx)
{
    const load *l = ctx;
    return l->done;
}

void load_run(load *l, long calls)
{
    load_start(l, calls);
    if (!load_turn_until(l->o.loop, all_done, done_so_far, l)) {
        load_die("%ld of %ld calls were answered, then nothing came for %d s", l->done, l->wanted, LOAD_STALL_SECONDS);
    }
}
