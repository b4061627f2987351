/* Load for lpxd: uplinks from N connections of a forwarder, with M publish calls in flight on each, to one subscription
 * of a home network. The requests are real in format and 400 bytes long, 1024 different ones. Every answer must be OK
 * with an id, and every id must be delivered once and no more: else the program ends with status 1 and no figure.
 * Prints one figure per line: name value unit.
 * Usage: uplink_load --address HOST:PORT --ca FILE --pid PID --forwarder NETID --forwarder-token FILE --home NETID
 *                    --home-token FILE --dev-addr HEX [--connections N] [--streams M] [--calls K] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/reader.h"
#include "cli/cli_uplink.h"
#include "codec/pb/pb.h"
#include "crypto/hash.h"
#include "load.h"
#include "pb_routing_v1_api.pb-c.h"
#include "wire/grpc/client.h"

#define PUBLISH "/org.packetbroker.routing.v1.ForwarderData/Publish"
#define SUBSCRIBE "/org.packetbroker.routing.v1.HomeNetworkData/Subscribe"

enum {
    REQUESTS = 1024,
    REQUEST_BYTES = 400,
    PHY_HEAD_BYTES = 9, /* MHDR, DevAddr, FCtrl, FCnt, FPort */
    PHY_MIC_BYTES = 4,
    PHY_MAX_BYTES = 255,
    TOKEN_BYTES = 8192,
    QUIET_US = 200000,
    AHEAD = 2048, /* uplinks not delivered yet before the publishers wait: half of what a subscription's queue takes */
    AHEAD_STEP = 256,
    TURN_US = 10000,
};

typedef struct options {
    const char *address, *ca, *forwarder_token, *home_token;
    pid_t pid;
    uint32_t forwarder, home, dev_addr;
    long connections, streams, calls;
} options;

/* Which messages: their number and the sum of their ids' hashes, so that one too few and one too many show. */
typedef struct tally {
    long count;
    uint64_t sum;
} tally;

typedef struct uplinks {
    options o;
    io_loop *loop;
    io_tls *tls;
    uint8_t *requests[REQUESTS]; /* with their prefixes */
    size_t lens[REQUESTS];
    size_t next;
    char publish_auth[TOKEN_BYTES + 8], subscribe_auth[TOKEN_BYTES + 8];
    load *l;
    tally answered, delivered;
    long allowed, wanted; /* uplinks that may be published, and shall be in the end */
} uplinks;

/* ---- ids ---- */

static void tally_id(tally *t, lpx_bytes id)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < id.len; i++) {
        hash = (hash ^ id.ptr[i]) * UINT64_C(1099511628211);
    }
    t->count++;
    t->sum += hash;
}

/* Find two length-delimited fields of a message. @return is the message well-formed? */
static bool find_fields(lpx_bytes message, uint64_t second_number, lpx_bytes *first, lpx_bytes *second)
{
    lpx_reader r;
    lpx_reader_init(&r, message);
    while (lpx_reader_left(&r) > 0) {
        uint64_t tag = lpx_reader_varint(&r);
        if ((tag & 7) == 0) {
            (void)lpx_reader_varint(&r);
        } else if ((tag & 7) == 2) {
            lpx_bytes value = lpx_reader_take(&r, (size_t)lpx_reader_varint(&r));
            *first = tag >> 3 == 1 ? value : *first;
            *second = tag >> 3 == second_number ? value : *second;
        } else {
            return false;
        }
    }
    return !r.failed;
}

/* ---- publishers ---- */

static lpx_bytes next(void *ctx)
{
    uplinks *u = ctx;
    size_t i = u->next++ % REQUESTS;
    return lpx_bytes_of(u->requests[i], u->lens[i]);
}

static void check(void *ctx, lpx_bytes message)
{
    uplinks *u = ctx;
    uint8_t prefix[LOAD_PREFIX_BYTES];
    lpx_bytes id = {0}, none = {0};
    if (message.len < LOAD_PREFIX_BYTES) {
        load_die("an answer has no message");
    }
    load_prefix(prefix, message.len - LOAD_PREFIX_BYTES);
    if (memcmp(message.ptr, prefix, sizeof prefix) != 0 ||
        !find_fields(lpx_bytes_of(message.ptr + LOAD_PREFIX_BYTES, message.len - LOAD_PREFIX_BYTES), 0, &id, &none) ||
        id.len == 0) {
        load_die("an answer has no id");
    }
    tally_id(&u->answered, id);
}

/* Go on when most of what was published has arrived: else the load would measure how much a queue drops. */
static void allow_more(uplinks *u)
{
    long most = u->delivered.count + AHEAD < u->wanted ? u->delivered.count + AHEAD : u->wanted;
    if (most - u->allowed >= AHEAD_STEP || (most == u->wanted && most > u->allowed)) {
        load_start(u->l, most - u->allowed);
        u->allowed = most;
    }
}

/* ---- the subscriber ---- */

static void on_message(void *ctx, lpx_bytes message)
{
    uplinks *u = ctx;
    lpx_bytes id = {0}, uplink = {0};
    if (!find_fields(message, 7, &id, &uplink) || id.len == 0 || uplink.len == 0) {
        load_die("a delivery has no id or no uplink");
    }
    tally_id(&u->delivered, id);
    allow_more(u);
}

static void on_done(void *ctx, const grpc_status *status)
{
    (void)ctx;
    load_die("the subscription ended: %s: %.*s", lpx_code_name(status->code), (int)status->message.len,
             status->message.ptr);
}

static const grpc_out_events subscriber_events = {.on_message = on_message, .on_done = on_done};

static void subscribe(uplinks *u)
{
    Pb__Routing__V1__SubscribeHomeNetworkRequest request = PB__ROUTING__V1__SUBSCRIBE_HOME_NETWORK_REQUEST__INIT;
    grpc_client_opts opts = {.address = u->o.address, .tls = u->tls};
    grpc_client *client = NULL;
    lpx_note note = {0};
    lpx_arena arena;
    lpx_bytes bytes;
    lpx_arena_init(&arena, 4096);
    request.home_network_net_id = u->o.home;
    request.group = (char *)(uintptr_t) "bench";
    if (lpx_failed(pb_encode(&request.base, &arena, &bytes)) ||
        lpx_failed(grpc_client_new(u->loop, &opts, &client, &note))) {
        load_die("cannot subscribe: %s", note.text);
    }
    grpc_meta meta = {.key = "authorization", .value = lpx_str_bytes(lpx_str_of(u->subscribe_auth))};
    grpc_out *call = grpc_client_start(client, SUBSCRIBE, &meta, 1, 0, &subscriber_events, u);
    if (call == NULL || !grpc_out_send(call, bytes)) {
        load_die("cannot subscribe: no memory");
    }
    grpc_out_close_send(call);
    lpx_arena_fini(&arena);
}

/* ---- requests ---- */

/* An unconfirmed data uplink of a device in the home network's block. */
static size_t make_phy(const uplinks *u, uint32_t index, size_t payload_len, uint8_t out[static PHY_MAX_BYTES])
{
    uint32_t dev_addr = u->o.dev_addr + index % 256;
    uint8_t head[PHY_HEAD_BYTES] = {
        0x40, (uint8_t)dev_addr, (uint8_t)(dev_addr >> 8), (uint8_t)(dev_addr >> 16), (uint8_t)(dev_addr >> 24),
        0x80, (uint8_t)index,    (uint8_t)(index >> 8),    (uint8_t)(1 + index % 200)};
    memcpy(out, head, sizeof head);
    for (size_t i = PHY_HEAD_BYTES; i < PHY_HEAD_BYTES + payload_len + PHY_MIC_BYTES; i++) {
        out[i] = (uint8_t)(i * 151 + index * 31);
    }
    return PHY_HEAD_BYTES + payload_len + PHY_MIC_BYTES;
}

/* Encode one request with that much payload into the arena. */
static lpx_bytes make_request(const uplinks *u, uint32_t index, size_t payload_len, lpx_arena *arena)
{
    Pb__Routing__V1__PublishUplinkMessageRequest request = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    uint8_t phy[PHY_MAX_BYTES], token[CRYPTO_SHA256_BYTES];
    char gateway[32];
    lpx_note note = {0};
    lpx_bytes bytes = {0};
    int64_t now_us = (int64_t)time(NULL) * 1000000 + 123456;
    (void)snprintf(gateway, sizeof gateway, "eui-58a0cbfffe8%05x", index % 40);
    crypto_sha256(lpx_str_bytes(lpx_str_of(gateway)), token);
    cli_reception reception = {.phy = lpx_bytes_of(phy, make_phy(u, index, payload_len, phy)),
                               .gateway_id = gateway,
                               .has_location = true,
                               .latitude = 45.18402 + index % 40 / 1000.0,
                               .longitude = 5.70739,
                               .altitude_m = 212,
                               .rssi_dbm = -80.0F - (float)(index % 40),
                               .snr_db = 7.5F,
                               .frequency_hz = 867100000 + index % 8 * 200000,
                               .spreading_factor = 7 + index % 6,
                               .bandwidth_hz = 125000,
                               .gateway_us = now_us - 20000,
                               .forwarder_us = now_us,
                               .token = lpx_bytes_of(token, sizeof token)};
    if (lpx_failed(cli_uplink_make(&reception, arena, &request.message, &note))) {
        load_die("cannot make an uplink: %s", note.text);
    }
    request.forwarder_net_id = u->o.forwarder;
    if (lpx_failed(pb_encode(&request.base, arena, &bytes))) {
        load_die("cannot encode an uplink");
    }
    return bytes;
}

static void make_requests(uplinks *u)
{
    lpx_arena arena;
    size_t payload = 1;
    lpx_arena_init(&arena, 1 << 20);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        lpx_bytes bytes = {0};
        /* The next request is at most a few bytes shorter or longer than the last one. */
        for (payload = payload > 8 ? payload - 8 : 1; payload < 200 && bytes.len < REQUEST_BYTES; payload++) {
            lpx_arena_reset(&arena);
            bytes = make_request(u, i, payload, &arena);
        }
        u->lens[i] = LOAD_PREFIX_BYTES + bytes.len;
        u->requests[i] = malloc(u->lens[i]);
        if (u->requests[i] == NULL || bytes.len < REQUEST_BYTES || bytes.len > REQUEST_BYTES + 3) {
            load_die("a request has %zu bytes in place of %d", bytes.len, REQUEST_BYTES);
        }
        load_prefix(u->requests[i], bytes.len);
        memcpy(u->requests[i] + LOAD_PREFIX_BYTES, bytes.ptr, bytes.len);
    }
    lpx_arena_fini(&arena);
}

/* ---- options ---- */

static void read_token(const char *path, char out[static TOKEN_BYTES + 8])
{
    FILE *file = fopen(path, "r");
    size_t len = file != NULL ? (size_t)sprintf(out, "Bearer ") : 0;
    if (file == NULL || fgets(out + len, TOKEN_BYTES, file) == NULL) {
        load_die("%s: no token there", path);
    }
    out[strcspn(out, "\r\n")] = 0;
    (void)fclose(file);
}

static void usage(void)
{
    load_die("usage: uplink_load --address HOST:PORT --ca FILE --pid PID --forwarder NETID --forwarder-token FILE "
             "--home NETID --home-token FILE --dev-addr HEX [--connections N] [--streams M] [--calls K]");
}

static bool parse_number(options *o, const char *name, const char *value)
{
    if (strcmp(name, "--pid") == 0) {
        o->pid = (pid_t)load_number(name, value, 10, 1, 1 << 22);
    } else if (strcmp(name, "--forwarder") == 0) {
        o->forwarder = (uint32_t)load_number(name, value, 16, 0, 0xffffff);
    } else if (strcmp(name, "--home") == 0) {
        o->home = (uint32_t)load_number(name, value, 16, 0, 0xffffff);
    } else if (strcmp(name, "--dev-addr") == 0) {
        o->dev_addr = (uint32_t)load_number(name, value, 16, 0, UINT32_MAX - 256);
    } else if (strcmp(name, "--connections") == 0) {
        o->connections = load_number(name, value, 10, 1, LOAD_MAX_CONNECTIONS);
    } else if (strcmp(name, "--streams") == 0) {
        o->streams = load_number(name, value, 10, 1, LOAD_MAX_STREAMS);
    } else if (strcmp(name, "--calls") == 0) {
        o->calls = load_number(name, value, 10, 1, 1000000000);
    } else {
        return false;
    }
    return true;
}

static options parse(int argc, char **argv)
{
    options o = {.connections = 8, .streams = 32, .calls = 200000};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--address") == 0) {
            o.address = value;
        } else if (strcmp(name, "--ca") == 0) {
            o.ca = value;
        } else if (strcmp(name, "--forwarder-token") == 0) {
            o.forwarder_token = value;
        } else if (strcmp(name, "--home-token") == 0) {
            o.home_token = value;
        } else if (!parse_number(&o, name, value)) {
            usage();
        }
    }
    if (argc % 2 == 0 || o.address == NULL || o.ca == NULL || o.forwarder_token == NULL || o.home_token == NULL ||
        o.pid == 0 || o.dev_addr == 0) {
        usage();
    }
    return o;
}

/* ---- runs ---- */

static void init(uplinks *u)
{
    static const char *const alpn[] = {"h2", NULL};
    io_tls_client_opts tls_opts = {.ca_file = u->o.ca, .alpn = alpn};
    lpx_note note = {.text = "no memory"};
    u->loop = io_loop_new(0);
    if (u->loop == NULL || lpx_failed(io_tls_client_new(&tls_opts, &u->tls, &note))) {
        load_die("%s", note.text);
    }
    read_token(u->o.forwarder_token, u->publish_auth);
    read_token(u->o.home_token, u->subscribe_auth);
    make_requests(u);
    subscribe(u);
    load_opts opts = {.loop = u->loop,
                      .address = u->o.address,
                      .tls = u->tls,
                      .path = PUBLISH,
                      .authority = "localhost",
                      .user_agent = "uplink_load",
                      .authorization = u->publish_auth,
                      .connections = u->o.connections,
                      .streams = u->o.streams,
                      .next = next,
                      .check = check,
                      .ctx = u};
    u->l = load_new(&opts);
}

static void turn_for(uplinks *u, int64_t us)
{
    for (uint64_t end = load_wall_ns() + (uint64_t)us * 1000; load_wall_ns() < end;) {
        io_loop_turn(u->loop, TURN_US);
    }
}

/* Publish one uplink after the other until one comes back: then the subscription is in place. */
static void wait_for_subscription(uplinks *u)
{
    uint64_t end = load_wall_ns() + LOAD_STALL_SECONDS * UINT64_C(1000000000);
    while (u->delivered.count == 0) {
        if (load_wall_ns() > end) {
            load_die("no uplink reached the subscriber in %d s", LOAD_STALL_SECONDS);
        }
        load_run(u->l, 1);
        turn_for(u, 2 * TURN_US);
    }
    turn_for(u, QUIET_US);
    u->answered = u->delivered = (tally){0};
    u->wanted = u->allowed = 0;
}

static bool all_came(void *ctx)
{
    const uplinks *u = ctx;
    (void)load_done(u->l);
    return u->answered.count >= u->wanted && u->delivered.count >= u->wanted;
}

static long came(void *ctx)
{
    const uplinks *u = ctx;
    return u->answered.count + u->delivered.count;
}

static void run(uplinks *u, long calls)
{
    u->wanted += calls;
    allow_more(u);
    if (!load_turn_until(u->loop, all_came, came, u)) {
        load_die("of %ld uplinks %ld were accepted and %ld delivered, then nothing came for %d s", u->wanted,
                 u->answered.count, u->delivered.count, LOAD_STALL_SECONDS);
    }
}

int main(int argc, char **argv)
{
    static uplinks u;
    u.o = parse(argc, argv);
    load_pin(0);
    init(&u);
    wait_for_subscription(&u);
    run(&u, u.o.calls / 10 + u.o.connections * u.o.streams);
    uint64_t cpu = load_cpu_ns(u.o.pid), own = load_cpu_ns(getpid()), wall = load_wall_ns();
    run(&u, u.o.calls);
    cpu = load_cpu_ns(u.o.pid) - cpu;
    own = load_cpu_ns(getpid()) - own;
    wall = load_wall_ns() - wall;
    turn_for(&u, QUIET_US);
    if (u.delivered.count != u.answered.count || u.delivered.sum != u.answered.sum) {
        load_die("%ld uplinks were accepted and %ld delivered, or other ones", u.answered.count, u.delivered.count);
    }
    double calls = (double)u.o.calls;
    (void)printf("uplink_server_cpu_per_call %.3f us\n", (double)cpu / 1000 / calls);
    (void)printf("uplink_load_cpu_per_call %.3f us\n", (double)own / 1000 / calls);
    (void)printf("uplinks_per_second %.0f 1/s\n", calls * 1e9 / (double)wall);
    return 0;
}
