/* Counts of every method, per loop, summed when they are asked for. */
#include <string.h>

#include "rpc/rpc_priv.h"

/* Upper bounds of the steps in microseconds: from what fits into one turn of the loop to what nobody waits for. */
static const int64_t step_us[RPC_LATENCY_STEPS - 1] = {100, 1000, 5000, 20000, 100000, 500000, 2000000, 10000000};
static const char *const step_names[RPC_LATENCY_STEPS] = {"0.0001", "0.001", "0.005", "0.02", "0.1",
                                                          "0.5",    "2",     "10",    "+Inf"};

/* One writer, its loop. */
static void add(atomic_uint_least64_t *count, uint64_t more)
{
    uint64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + more, memory_order_relaxed);
}

static rpc_stats *stats_of(const rpc_call *call)
{
    return call->entry != NULL ? call->entry->stats : &call->server->unknown;
}

static bool is_unary(const rpc_call *call)
{
    rpc_flavour flavour = call->entry != NULL ? call->entry->method->flavour : RPC_LOOP;
    return flavour != RPC_STREAM && flavour != RPC_BIDI;
}

void rpc_stats_begin(const rpc_call *call)
{
    if (call->front->identified == NULL) {
        add(&stats_of(call)->begun, 1);
    }
}

void rpc_stats_end(const rpc_call *call, lpx_err err)
{
    rpc_stats *stats = stats_of(call);
    add(&stats->ended, 1);
    add(&stats->codes[err.code < RPC_CODES ? err.code : LPX_UNKNOWN], 1);
    if (!is_unary(call)) {
        return;
    }
    int64_t took_us = io_loop_now(call->server->loop).mono.us - call->began.us;
    size_t step = 0;
    while (step < RPC_LATENCY_STEPS - 1 && took_us > step_us[step]) {
        step++;
    }
    add(&stats->steps[step], 1);
    add(&stats->sum_us, took_us > 0 ? (uint64_t)took_us : 0);
}

/* Sums of one method over all loops. */
typedef struct sums {
    const char *path;
    bool unary;
    uint64_t codes[RPC_CODES], steps[RPC_LATENCY_STEPS], sum_us, open, begun;
} sums;

static uint64_t get(const atomic_uint_least64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void sum_up(const rpc_stats *stats, sums *out)
{
    for (size_t i = 0; i < RPC_CODES; i++) {
        out->codes[i] += get(&stats->codes[i]);
    }
    for (size_t i = 0; i < RPC_LATENCY_STEPS; i++) {
        out->steps[i] += get(&stats->steps[i]);
    }
    uint64_t ended = get(&stats->ended); /* before begun: a call that ends between the two is not counted twice */
    uint64_t begun = get(&stats->begun);
    out->sum_us += get(&stats->sum_us);
    out->open += begun > ended ? begun - ended : 0;
    out->begun += begun;
}

/* Every loop has the same methods in the same order; the one behind the last is that of unknown paths. */
static void sum_method(const rpc_server *const *servers, size_t count, size_t index, sums *out)
{
    bool known = index < servers[0]->method_count;
    const method_entry *entry = known ? &servers[0]->methods[index] : NULL;
    *out = (sums){.path = known ? entry->method->path : "unknown"};
    out->unary = !known || (entry->method->flavour != RPC_STREAM && entry->method->flavour != RPC_BIDI);
    for (size_t i = 0; i < count; i++) {
        sum_up(known ? servers[i]->methods[index].stats : &servers[i]->unknown, out);
    }
}

static void print_codes(const sums *s, lpx_buf *out)
{
    for (uint16_t code = 0; code < RPC_CODES; code++) {
        if (s->codes[code] > 0) {
            lpx_buf_printf(out, "lpx_rpc_calls_total{method=\"%s\",code=\"%s\"} %llu\n", s->path, lpx_code_name(code),
                           (unsigned long long)s->codes[code]);
        }
    }
}

static void print_open(const sums *s, lpx_buf *out)
{
    if (s->begun > 0) {
        lpx_buf_printf(out, "lpx_rpc_calls_open{method=\"%s\"} %llu\n", s->path, (unsigned long long)s->open);
    }
}

static void print_latency(const sums *s, lpx_buf *out)
{
    uint64_t below = 0;
    for (size_t i = 0; i < RPC_LATENCY_STEPS; i++) {
        below += s->steps[i];
    }
    if (!s->unary || below == 0) {
        return;
    }
    below = 0;
    for (size_t i = 0; i < RPC_LATENCY_STEPS; i++) {
        below += s->steps[i];
        lpx_buf_printf(out, "lpx_rpc_duration_seconds_bucket{method=\"%s\",le=\"%s\"} %llu\n", s->path, step_names[i],
                       (unsigned long long)below);
    }
    lpx_buf_printf(out, "lpx_rpc_duration_seconds_sum{method=\"%s\"} %.6f\n", s->path, (double)s->sum_us / 1e6);
    lpx_buf_printf(out, "lpx_rpc_duration_seconds_count{method=\"%s\"} %llu\n", s->path, (unsigned long long)below);
}

static void print_connections(const rpc_server *const *servers, size_t count, lpx_buf *out)
{
    uint64_t open = 0, total = 0, refused = 0;
    for (size_t i = 0; i < count; i++) {
        const grpc_server_stats *stats = grpc_server_counts(servers[i]->grpc);
        open += stats->connections;
        total += stats->connections_total;
        refused += stats->connections_refused_total;
    }
    lpx_buf_printf(out,
                   "# TYPE lpx_grpc_connections gauge\nlpx_grpc_connections %llu\n"
                   "# TYPE lpx_grpc_connections_total counter\nlpx_grpc_connections_total %llu\n"
                   "# TYPE lpx_grpc_connections_refused_total counter\nlpx_grpc_connections_refused_total %llu\n",
                   (unsigned long long)open, (unsigned long long)total, (unsigned long long)refused);
}

void rpc_metrics(const rpc_server *const *servers, size_t count, lpx_buf *out)
{
    static const struct {
        const char *name, *type;
        void (*print)(const sums *s, lpx_buf *out);
    } families[] = {
        {"lpx_rpc_calls_total", "counter", print_codes},
        {"lpx_rpc_calls_open", "gauge", print_open},
        {"lpx_rpc_duration_seconds", "histogram", print_latency},
    };
    if (count == 0) {
        return;
    }
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        lpx_buf_printf(out, "# TYPE %s %s\n", families[f].name, families[f].type);
        for (size_t m = 0; m <= servers[0]->method_count; m++) {
            sums s;
            sum_method(servers, count, m, &s);
            families[f].print(&s, out);
        }
    }
    print_connections(servers, count, out);
}
