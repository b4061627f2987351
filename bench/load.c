#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TURN_US = 1000000 };

typedef struct connection {
    load *l;
    raw *raw;
    long to_start; /* calls that may be started now */
} connection;

struct load {
    load_opts o;
    connection *connections;
    long started, done, wanted, messages;
    long turn; /* connection that is asked first */
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

/* ---- calls ---- */

static void fill(void *ctx, raw *conn, lpx_buf *out)
{
    connection *c = ctx;
    load *l = c->l;
    while (c->to_start > 0 && out->len < RAW_FILL_BYTES && raw_room(conn, 0) >= RAW_MAX_FRAME_BYTES &&
           l->started < l->wanted) {
        lpx_bytes message = l->o.next(l->o.ctx);
        raw_put_data(conn, out, raw_put_call(conn, out), message, true);
        c->to_start--;
        l->started++;
    }
}

static void on_data(void *ctx, uint32_t id, lpx_bytes payload)
{
    connection *c = ctx;
    (void)id;
    c->l->messages++;
    c->l->o.check(c->l->o.ctx, payload);
}

static void on_end(void *ctx, uint32_t id)
{
    connection *c = ctx;
    (void)id;
    c->to_start++;
    c->l->done++;
}

static const raw_events events = {.fill = fill, .on_data = on_data, .on_end = on_end};

/* ---- runs ---- */

load *load_new(const load_opts *opts)
{
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
    raw_opts how = {.loop = opts->loop,
                    .address = opts->address,
                    .tls = opts->tls,
                    .path = opts->path,
                    .authority = opts->authority,
                    .user_agent = opts->user_agent,
                    .authorization = opts->authorization,
                    .timeout = opts->timeout,
                    .events = &events};
    for (long i = 0; i < opts->connections; i++) {
        connections[i] = (connection){.l = l, .to_start = opts->streams};
        how.ctx = &connections[i];
        connections[i].raw = raw_new(&how);
    }
    return l;
}

void load_start(load *l, long calls)
{
    l->wanted += calls;
    l->turn = (l->turn + 1) % l->o.connections; /* who asks first takes what there is */
    for (long i = 0; i < l->o.connections; i++) {
        raw_want_write(l->connections[(l->turn + i) % l->o.connections].raw);
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
