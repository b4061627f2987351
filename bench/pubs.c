#include "pubs.h"

#include <stdlib.h>

#include "base/reader.h"
#include "load.h"

#define PUBLISH_STREAM "/lpx.routing.v1.ForwarderData/PublishStream"

enum { TAG_MEMBER = 1 << 3 | 2 /* of requests and of responses alike */, MAX_ANSWER_BYTES = 1 << 20 };

typedef struct publisher {
    pubs *all;
    raw *conn;
    uint32_t id;
    int64_t sent;   /* bytes of data */
    long under_way; /* requests */
    long uplinks;   /* not answered yet */
    lpx_buf part;   /* of an answer */
} publisher;

struct pubs {
    pubs_opts o;
    publisher *list;
    long to_send;
    lpx_buf request;
};

/* A request with its prefix, in all->request. */
static void make_request(pubs *all, long count)
{
    static const uint8_t room[LOAD_PREFIX_BYTES] = {0};
    lpx_buf_clear(&all->request);
    lpx_buf_add(&all->request, lpx_bytes_of(room, sizeof room));
    for (long i = 0; i < count; i++) {
        lpx_bytes uplink = uplinks_next(all->o.set, 0);
        size_t len = uplink.len - LOAD_PREFIX_BYTES;
        uint8_t head[3] = {TAG_MEMBER, (uint8_t)((len & 0x7f) | 0x80), (uint8_t)(len >> 7)};
        lpx_buf_add(&all->request, lpx_bytes_of(head, sizeof head));
        lpx_buf_add(&all->request, lpx_bytes_of(uplink.ptr + LOAD_PREFIX_BYTES, len));
    }
    if (lpx_buf_failed(&all->request)) {
        load_die("a request of %ld uplinks is too long for one frame", count);
    }
    load_prefix(all->request.ptr, all->request.len - LOAD_PREFIX_BYTES);
}

static void fill(void *ctx, raw *conn, lpx_buf *out)
{
    publisher *p = ctx;
    pubs *all = p->all;
    if (p->id == 0) {
        p->id = raw_put_call(conn, out);
    }
    while (all->to_send > 0 && p->under_way < all->o.requests && out->len < RAW_FILL_BYTES &&
           raw_room(conn, p->sent) >= RAW_MAX_FRAME_BYTES) {
        long count = all->to_send < all->o.batch ? all->to_send : all->o.batch;
        make_request(all, count);
        raw_put_data(conn, out, p->id, lpx_buf_view(&all->request), false);
        p->sent += (int64_t)all->request.len;
        p->under_way++;
        p->uplinks += count;
        all->to_send -= count;
    }
}

/* Results of one answer, each an id. */
static void take_answer(publisher *p, lpx_bytes answer)
{
    lpx_reader r;
    lpx_reader_init(&r, answer);
    while (lpx_reader_left(&r) > 0) {
        uint64_t tag = lpx_reader_varint(&r);
        lpx_bytes result = lpx_reader_take(&r, (size_t)lpx_reader_varint(&r));
        if (r.failed || tag != TAG_MEMBER || result.len == 0 || result.ptr[0] != TAG_MEMBER) {
            load_die("an uplink was refused: %.*s", (int)result.len, (const char *)result.ptr);
        }
        uplinks_tally_answer(p->all->o.answered, result);
        p->uplinks--;
    }
    if (--p->under_way < 0 || p->uplinks < 0) {
        load_die("there are more answers than requests");
    }
}

static void on_data(void *ctx, uint32_t id, lpx_bytes payload)
{
    publisher *p = ctx;
    (void)id;
    lpx_buf_add(&p->part, payload);
    lpx_bytes rest = lpx_buf_view(&p->part);
    while (rest.len >= LOAD_PREFIX_BYTES) {
        size_t len = (size_t)rest.ptr[1] << 24 | (size_t)rest.ptr[2] << 16 | (size_t)rest.ptr[3] << 8 | rest.ptr[4];
        if (rest.len - LOAD_PREFIX_BYTES < len) {
            break;
        }
        take_answer(p, lpx_bytes_of(rest.ptr + LOAD_PREFIX_BYTES, len));
        rest = lpx_bytes_of(rest.ptr + LOAD_PREFIX_BYTES + len, rest.len - LOAD_PREFIX_BYTES - len);
    }
    lpx_buf_drop(&p->part, p->part.len - rest.len);
}

static void on_end(void *ctx, uint32_t id)
{
    (void)ctx;
    (void)id;
    load_die("a stream of a publisher ended");
}

static const raw_events events = {.fill = fill, .on_data = on_data, .on_end = on_end};

pubs *pubs_new(const pubs_opts *opts)
{
    pubs *all = calloc(1, sizeof *all);
    publisher *list = calloc((size_t)opts->connections, sizeof *list);
    if (all == NULL || list == NULL) {
        load_die("no memory");
    }
    *all = (pubs){.o = *opts, .list = list};
    lpx_buf_init(&all->request, RAW_MAX_FRAME_BYTES);
    raw_opts how = {.loop = opts->loop,
                    .address = opts->address,
                    .tls = opts->tls,
                    .path = PUBLISH_STREAM,
                    .authority = "localhost",
                    .user_agent = "bench",
                    .authorization = opts->authorization,
                    .events = &events};
    for (long i = 0; i < opts->connections; i++) {
        list[i].all = all;
        lpx_buf_init(&list[i].part, MAX_ANSWER_BYTES);
        how.ctx = &list[i];
        list[i].conn = raw_new(&how);
    }
    return all;
}

void pubs_start(pubs *all, long count)
{
    all->to_send += count;
    for (long i = 0; i < all->o.connections; i++) {
        raw_want_write(all->list[i].conn);
    }
}
