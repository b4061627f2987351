#include "subs.h"

#include <stdlib.h>
#include <string.h>

#include "codec/pb/pb.h"
#include "load.h"
#include "pb_routing_v1_api.pb-c.h"

#define SUBSCRIBE "/org.packetbroker.routing.v1.HomeNetworkData/Subscribe"

enum { WINDOW_STEP = 1 << 20, MAX_MESSAGE_BYTES = 1 << 20, LAST_F_PORT = 223 };

typedef struct subscriber {
    subs *all;
    raw *conn;
    uint32_t id; /* of the stream; 0: not begun */
    bool open;
    bool dropped;   /* by subs_again */
    uint32_t taken; /* since the last window update */
    lpx_buf part;   /* of a message */
} subscriber;

struct subs {
    subs_opts o;
    subscriber *list;
    long open, retries;
    lpx_bytes requests[SUBS_MAX_HOMES]; /* by home network, with their prefixes */
};

/* ---- streams ---- */

static void fill(void *ctx, raw *conn, lpx_buf *out)
{
    subscriber *s = ctx;
    if (s->id == 0) {
        s->id = raw_put_call(conn, out);
        raw_put_data(conn, out, s->id, s->all->requests[(s - s->all->list) % s->all->o.home_count], true);
    }
    if (s->taken > WINDOW_STEP) {
        raw_put_window(out, s->id, s->taken);
        s->taken = 0;
    }
}

static void on_head(void *ctx, uint32_t id)
{
    subscriber *s = ctx;
    (void)id;
    s->open = true;
    s->all->open++;
}

/* Hand up the whole messages in front of rest. @return what is left of it */
static lpx_bytes take_messages(subscriber *s, lpx_bytes rest)
{
    const subs_opts *o = &s->all->o;
    while (rest.len >= LOAD_PREFIX_BYTES) {
        size_t len = (size_t)rest.ptr[1] << 24 | (size_t)rest.ptr[2] << 16 | (size_t)rest.ptr[3] << 8 | rest.ptr[4];
        if (rest.ptr[0] != 0 || len > MAX_MESSAGE_BYTES) {
            load_die("a delivery is compressed or has %zu bytes", len);
        }
        if (rest.len - LOAD_PREFIX_BYTES < len) {
            break;
        }
        o->on_message(o->ctx, s - s->all->list, lpx_bytes_of(rest.ptr + LOAD_PREFIX_BYTES, len));
        rest = lpx_bytes_of(rest.ptr + LOAD_PREFIX_BYTES + len, rest.len - LOAD_PREFIX_BYTES - len);
    }
    return rest;
}

static void on_data(void *ctx, uint32_t id, lpx_bytes payload)
{
    subscriber *s = ctx;
    (void)id;
    s->taken += (uint32_t)payload.len;
    if (s->part.len == 0) {
        lpx_buf_add(&s->part, take_messages(s, payload));
    } else {
        lpx_buf_add(&s->part, payload);
        lpx_bytes rest = take_messages(s, lpx_buf_view(&s->part));
        lpx_buf_drop(&s->part, s->part.len - rest.len);
    }
    if (lpx_buf_failed(&s->part)) {
        load_die("no memory for a part of a message");
    }
}

static void on_end(void *ctx, uint32_t id)
{
    (void)ctx;
    (void)id;
    load_die("a subscription ended");
}

static void begin(subscriber *s);

static void on_closed(void *ctx)
{
    subscriber *s = ctx;
    s->all->open -= s->open;
    s->all->retries += !s->dropped;
    begin(s);
}

static const raw_events events = {
    .fill = fill, .on_head = on_head, .on_data = on_data, .on_end = on_end, .on_closed = on_closed};

static void begin(subscriber *s)
{
    const subs_opts *o = &s->all->o;
    raw_opts opts = {.loop = o->loop,
                     .address = o->address,
                     .tls = o->tls,
                     .path = SUBSCRIBE,
                     .authority = "localhost",
                     .user_agent = "bench",
                     .authorization = o->authorizations[(s - s->all->list) % o->authorization_count],
                     .may_end = o->again,
                     .events = &events,
                     .ctx = s};
    s->id = 0;
    s->taken = 0;
    s->open = s->dropped = false;
    lpx_buf_clear(&s->part);
    s->conn = raw_new(&opts);
}

/* ---- all of them ---- */

/* One filter, as network servers make them: a block, and no MAC commands. */
static lpx_bytes make_request(const subs *all, uint32_t home)
{
    Pb__Routing__V1__SubscribeHomeNetworkRequest request = PB__ROUTING__V1__SUBSCRIBE_HOME_NETWORK_REQUEST__INIT;
    Pb__V3__DevAddrPrefix block = PB__V3__DEV_ADDR_PREFIX__INIT;
    Pb__V3__RoutingFilter__MACPayload__FPortRange ports = PB__V3__ROUTING_FILTER__MACPAYLOAD__FPORT_RANGE__INIT;
    Pb__V3__RoutingFilter__MACPayload mac = PB__V3__ROUTING_FILTER__MACPAYLOAD__INIT;
    Pb__V3__RoutingFilter filter = PB__V3__ROUTING_FILTER__INIT;
    Pb__V3__DevAddrPrefix *blocks[] = {&block};
    Pb__V3__RoutingFilter__MACPayload__FPortRange *ranges[] = {&ports};
    Pb__V3__RoutingFilter *filters[] = {&filter};
    lpx_arena arena;
    lpx_bytes bytes;
    block.value = all->o.block;
    block.length = all->o.block_length;
    ports.low = 1;
    ports.high = LAST_F_PORT;
    mac.dev_addr_prefixes = blocks;
    mac.f_port_ranges = ranges;
    mac.n_dev_addr_prefixes = mac.n_f_port_ranges = 1;
    filter.message_case = PB__V3__ROUTING_FILTER__MESSAGE_MAC;
    filter.mac = &mac;
    request.home_network_net_id = home;
    request.filters = filters;
    request.n_filters = 1;
    lpx_arena_init(&arena, 4096);
    uint8_t *made = NULL;
    if (lpx_failed(pb_encode(&request.base, &arena, &bytes)) ||
        (made = malloc(LOAD_PREFIX_BYTES + bytes.len)) == NULL) {
        load_die("no memory");
    }
    load_prefix(made, bytes.len);
    memcpy(made + LOAD_PREFIX_BYTES, bytes.ptr, bytes.len);
    size_t len = LOAD_PREFIX_BYTES + bytes.len;
    lpx_arena_fini(&arena);
    return lpx_bytes_of(made, len);
}

subs *subs_new(const subs_opts *opts)
{
    subs *all = calloc(1, sizeof *all);
    subscriber *list = calloc((size_t)opts->count, sizeof *list);
    if (all == NULL || list == NULL || opts->home_count < 1 || opts->home_count > SUBS_MAX_HOMES) {
        load_die("no memory, or not 1 to %d home networks", SUBS_MAX_HOMES);
    }
    *all = (subs){.o = *opts, .list = list};
    for (long i = 0; i < opts->home_count; i++) {
        all->requests[i] = make_request(all, opts->home + (uint32_t)i);
    }
    for (long i = 0; i < opts->count; i++) {
        list[i].all = all;
        lpx_buf_init(&list[i].part, MAX_MESSAGE_BYTES + LOAD_PREFIX_BYTES + RAW_MAX_FRAME_BYTES);
        begin(&list[i]);
    }
    return all;
}

long subs_open(const subs *all)
{
    return all->open;
}

long subs_retries(const subs *all)
{
    return all->retries;
}

void subs_again(subs *all)
{
    for (long i = 0; i < all->o.count; i++) {
        all->open -= all->list[i].open;
        all->list[i].open = false;
        all->list[i].dropped = true;
        raw_close(all->list[i].conn);
    }
}
