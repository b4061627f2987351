/* Load for lpxd: uplinks of 400 bytes from N connections of a forwarder, with M publish calls in flight on each, to K
 * subscribers of a home network. Every answer must be OK with an id, and every id must be delivered to each subscriber
 * once and no more: else the program ends with status 1 and no figure. With a rate the uplinks go out at their times
 * whatever comes back, and latency is counted from those times to the arrival at a subscriber.
 * Prints one figure per line: name value unit.
 * Usage: uplink_load --address HOST:PORT --ca FILE --pid PID --forwarder NETID --forwarder-token FILE --home NETID
 *                    --home-token FILE --dev-addr HEX [--connections N] [--streams M] [--subscribers K] [--calls C]
 *                    [--rate UPLINKS_PER_SECOND | --batch B]
 * With a batch the connections publish by stream, M requests of B uplinks in flight on each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"
#include "pubs.h"
#include "subs.h"
#include "uplinks.h"

#define PUBLISH "/org.packetbroker.routing.v1.ForwarderData/Publish"

enum {
    TOKEN_BYTES = 8192,
    MAX_SUBSCRIBERS = 1000,
    BLOCK_BITS = 22, /* of the home network */
    QUIET_US = 200000,
    AHEAD = 2048, /* uplinks not delivered yet before the publishers wait: half of what a subscription's queue takes */
    AHEAD_STEP = 256,
    TURN_US = 10000,
    NAP_US = 20, /* at a rate: an uplink may be so late */
    LONG_NAP_US = 500,
    LOW_RATE = 2000, /* below this rate leave the processor to others */
};

typedef struct options {
    const char *address, *ca, *forwarder_token, *home_token;
    pid_t pid;
    uint32_t forwarder, home, dev_addr;
    long connections, streams, subscribers, calls, rate, batch;
} options;

typedef struct state {
    options o;
    io_loop *loop;
    io_tls *tls;
    uplinks *set;
    char publish_auth[TOKEN_BYTES + 8], subscribe_auth[TOKEN_BYTES + 8];
    load *l; /* or */
    pubs *streams;
    subs *subscribers;
    tally answered, delivered[MAX_SUBSCRIBERS];
    long delivered_all;   /* sum of the counts */
    long allowed, wanted; /* uplinks that may be published, and shall be in the end */
    uint64_t began_ns;    /* at a rate: when uplink 0 was due */
    long scheduled;       /* uplinks that were given a time */
    uint64_t *latencies;  /* ns, of deliveries to the first subscriber; NULL: not wanted */
    size_t latency_count;
} state;

/* ---- what comes and goes ---- */

static uint64_t due_ns(const state *s, long nth)
{
    return s->began_ns + (uint64_t)nth * 1000000000 / (uint64_t)s->o.rate;
}

static lpx_bytes next(void *ctx)
{
    state *s = ctx;
    return uplinks_next(s->set, s->latencies != NULL ? due_ns(s, s->scheduled++) : 0);
}

static void check(void *ctx, lpx_bytes message)
{
    state *s = ctx;
    uint8_t prefix[LOAD_PREFIX_BYTES];
    if (message.len < LOAD_PREFIX_BYTES) {
        load_die("an answer has no message");
    }
    load_prefix(prefix, message.len - LOAD_PREFIX_BYTES);
    if (memcmp(message.ptr, prefix, sizeof prefix) != 0) {
        load_die("an answer is not one message");
    }
    uplinks_tally_answer(&s->answered, lpx_bytes_of(message.ptr + LOAD_PREFIX_BYTES, message.len - LOAD_PREFIX_BYTES));
}

static void on_message(void *ctx, long subscriber, lpx_bytes routed)
{
    state *s = ctx;
    uint64_t stamp;
    uplinks_tally_routed(&s->delivered[subscriber], routed);
    s->delivered_all++;
    if (s->latencies == NULL || subscriber != 0) {
        return;
    }
    if (!uplinks_stamp(routed, &stamp)) {
        load_die("a delivery has lost its payload");
    }
    s->latencies[s->latency_count++] = load_wall_ns() - stamp;
}

static void start(state *s, long calls)
{
    if (s->streams != NULL) {
        pubs_start(s->streams, calls);
    } else {
        load_start(s->l, calls);
    }
}

static long least_delivered(const state *s)
{
    long least = s->delivered[0].count;
    for (long i = 1; i < s->o.subscribers; i++) {
        least = s->delivered[i].count < least ? s->delivered[i].count : least;
    }
    return least;
}

/* Go on when most of what was published has arrived: else the load would measure how much a queue drops. */
static void allow_more(state *s)
{
    long most = least_delivered(s) + AHEAD;
    most = most < s->wanted ? most : s->wanted;
    if (most - s->allowed >= AHEAD_STEP || (most == s->wanted && most > s->allowed)) {
        start(s, most - s->allowed);
        s->allowed = most;
    }
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
             "--home NETID --home-token FILE --dev-addr HEX [--connections N] [--streams M] [--subscribers K] "
             "[--calls C] [--rate UPLINKS_PER_SECOND | --batch B]");
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
    } else if (strcmp(name, "--subscribers") == 0) {
        o->subscribers = load_number(name, value, 10, 1, MAX_SUBSCRIBERS);
    } else if (strcmp(name, "--calls") == 0) {
        o->calls = load_number(name, value, 10, 1, 1000000000);
    } else if (strcmp(name, "--rate") == 0) {
        o->rate = load_number(name, value, 10, 1, 10000000);
    } else if (strcmp(name, "--batch") == 0) {
        o->batch = load_number(name, value, 10, 1, 1024);
    } else {
        return false;
    }
    return true;
}

static options parse(int argc, char **argv)
{
    options o = {.connections = 8, .streams = 32, .subscribers = 1, .calls = 200000};
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
        o.pid == 0 || o.dev_addr == 0 || (o.rate > 0 && o.batch > 0)) {
        usage();
    }
    return o;
}

/* ---- runs ---- */

static void subscribe(state *s)
{
    const char *auth = s->subscribe_auth;
    subs_opts opts = {.loop = s->loop,
                      .address = s->o.address,
                      .tls = s->tls,
                      .authorizations = &auth,
                      .authorization_count = 1,
                      .count = s->o.subscribers,
                      .home = s->o.home,
                      .home_count = 1,
                      .block = s->o.dev_addr,
                      .block_length = BLOCK_BITS,
                      .on_message = on_message,
                      .ctx = s};
    s->subscribers = subs_new(&opts);
}

static void init(state *s)
{
    static const char *const alpn[] = {"h2", NULL};
    io_tls_client_opts tls_opts = {.ca_file = s->o.ca, .alpn = alpn};
    lpx_note note = {.text = "no memory"};
    s->loop = io_loop_new(0);
    if (s->loop == NULL || lpx_failed(io_tls_client_new(&tls_opts, &s->tls, &note))) {
        load_die("%s", note.text);
    }
    read_token(s->o.forwarder_token, s->publish_auth);
    read_token(s->o.home_token, s->subscribe_auth);
    s->set = uplinks_new(s->o.forwarder, s->o.dev_addr);
    subscribe(s);
    if (s->o.batch > 0) {
        pubs_opts by_stream = {.loop = s->loop,
                               .address = s->o.address,
                               .tls = s->tls,
                               .authorization = s->publish_auth,
                               .connections = s->o.connections,
                               .requests = s->o.streams,
                               .batch = s->o.batch,
                               .set = s->set,
                               .answered = &s->answered};
        s->streams = pubs_new(&by_stream);
        return;
    }
    load_opts opts = {.loop = s->loop,
                      .address = s->o.address,
                      .tls = s->tls,
                      .path = PUBLISH,
                      .authority = "localhost",
                      .user_agent = "uplink_load",
                      .authorization = s->publish_auth,
                      .connections = s->o.connections,
                      .streams = s->o.streams,
                      .next = next,
                      .check = check,
                      .ctx = s};
    s->l = load_new(&opts);
}

static bool all_open(void *ctx)
{
    const state *s = ctx;
    return subs_open(s->subscribers) == s->o.subscribers;
}

static long opened(void *ctx)
{
    const state *s = ctx;
    return subs_open(s->subscribers);
}

/* Also asked after every turn: publishers go on here. */
static bool all_came(void *ctx)
{
    state *s = ctx;
    allow_more(s);
    if (s->l != NULL) {
        (void)load_done(s->l);
    }
    return s->answered.count >= s->wanted && s->delivered_all >= s->wanted * s->o.subscribers;
}

static long came(void *ctx)
{
    const state *s = ctx;
    return s->answered.count + s->delivered_all;
}

static void wait_for_all(state *s)
{
    if (!load_turn_until(s->loop, all_came, came, s)) {
        load_die("of %ld uplinks %ld were accepted and %ld copies delivered, then nothing came for %d s", s->wanted,
                 s->answered.count, s->delivered_all, LOAD_STALL_SECONDS);
    }
}

static void run(state *s, long calls)
{
    s->wanted += calls;
    wait_for_all(s);
}

static void check_all(state *s)
{
    for (uint64_t end = load_wall_ns() + QUIET_US * UINT64_C(1000); load_wall_ns() < end;) {
        io_loop_turn(s->loop, TURN_US);
    }
    for (long i = 0; i < s->o.subscribers; i++) {
        if (s->delivered[i].count != s->answered.count || s->delivered[i].sum != s->answered.sum) {
            load_die("%ld uplinks were accepted and %ld delivered to subscriber %ld, or other ones", s->answered.count,
                     s->delivered[i].count, i);
        }
    }
}

static void run_closed(state *s)
{
    run(s, s->o.calls / 10 + s->o.connections * s->o.streams);
    uint64_t cpu = load_cpu_ns(s->o.pid), own = load_cpu_ns(getpid()), wall = load_wall_ns();
    run(s, s->o.calls);
    cpu = load_cpu_ns(s->o.pid) - cpu;
    own = load_cpu_ns(getpid()) - own;
    wall = load_wall_ns() - wall;
    check_all(s);
    double calls = (double)s->o.calls;
    (void)printf("uplink_server_cpu_per_call %.3f us\n", (double)cpu / 1000 / calls);
    (void)printf("uplink_load_cpu_per_call %.3f us\n", (double)own / 1000 / calls);
    (void)printf("uplinks_per_second %.0f 1/s\n", calls * 1e9 / (double)wall);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(const state *s, size_t per_mille)
{
    return (double)s->latencies[(s->latency_count - 1) * per_mille / 1000] / 1000;
}

static void run_at_rate(state *s)
{
    run(s, s->o.rate / 10 + s->o.connections * s->o.streams);
    s->latencies = calloc((size_t)s->o.calls, sizeof *s->latencies);
    if (s->latencies == NULL) {
        load_die("no memory");
    }
    uint64_t cpu = load_cpu_ns(s->o.pid);
    s->began_ns = load_wall_ns();
    for (long begun = 0; begun < s->o.calls;) {
        long due = (long)((load_wall_ns() - s->began_ns) * (uint64_t)s->o.rate / 1000000000);
        due = due < s->o.calls ? due : s->o.calls;
        if (due > begun) {
            load_start(s->l, due - begun);
            begun = due;
        }
        io_loop_turn(s->loop, 0);
        (void)usleep(s->o.rate < LOW_RATE ? LONG_NAP_US : NAP_US);
    }
    s->wanted += s->o.calls;
    s->allowed += s->o.calls;
    wait_for_all(s);
    cpu = load_cpu_ns(s->o.pid) - cpu;
    check_all(s);
    qsort(s->latencies, s->latency_count, sizeof *s->latencies, by_size);
    (void)printf("latency_p50 %.1f us\n", percentile_us(s, 500));
    (void)printf("latency_p99 %.1f us\n", percentile_us(s, 990));
    (void)printf("latency_max %.1f us\n", percentile_us(s, 1000));
    (void)printf("uplink_server_cpu_per_call %.3f us\n", (double)cpu / 1000 / (double)s->o.calls);
}

int main(int argc, char **argv)
{
    static state s;
    s.o = parse(argc, argv);
    load_pin(0);
    init(&s);
    if (!load_turn_until(s.loop, all_open, opened, &s)) {
        load_die("%ld of %ld subscriptions began", subs_open(s.subscribers), s.o.subscribers);
    }
    if (s.o.rate > 0) {
        run_at_rate(&s);
    } else {
        run_closed(&s);
    }
    return 0;
}
