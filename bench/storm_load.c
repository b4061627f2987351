/* N subscribers of home networks (H of them, with NetIDs in a row), each with a connection and a token of its own: what
 * they cost while nothing happens, and how long it takes until all are back when all drop their connections at once.
 * Says "storm" when that begins. No message may come. Prints one figure per line: name value unit. Usage: storm_load
 * --address HOST:PORT --ca FILE --pid PID
 * --home NETID --home-tokens FILE --dev-addr HEX --count N
 *                   [--homes H] [--storm] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"
#include "subs.h"

enum { TOKEN_BYTES = 8192, MAX_SUBSCRIBERS = 100000, BLOCK_BITS = 22, QUIET_US = 2000000, TURN_US = 10000 };

typedef struct options {
    const char *address, *ca, *tokens;
    pid_t pid;
    uint32_t home, dev_addr;
    long homes, count;
    bool storm;
} options;

typedef struct state {
    options o;
    io_loop *loop;
    io_tls *tls;
    const char **authorizations;
    long authorization_count;
    subs *subscribers;
} state;

static long resident_kib(pid_t pid)
{
    char line[256];
    long kib = 0;
    (void)snprintf(line, sizeof line, "/proc/%d/status", (int)pid);
    FILE *file = fopen(line, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "VmRSS: %ld", &kib);
    }
    if (file == NULL || kib == 0) {
        load_die("process %d is gone", (int)pid);
    }
    (void)fclose(file);
    return kib;
}

/* One token on each line, that of subscriber 0 first; with fewer than subscribers they are taken again in turn. */
static void read_tokens(state *s)
{
    char line[TOKEN_BYTES];
    char text[TOKEN_BYTES + 8];
    FILE *file = fopen(s->o.tokens, "r");
    s->authorizations = calloc((size_t)s->o.count, sizeof *s->authorizations);
    while (file != NULL && s->authorizations != NULL && s->authorization_count < s->o.count &&
           fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = 0;
        (void)snprintf(text, sizeof text, "Bearer %s", line);
        s->authorizations[s->authorization_count++] = strdup(text);
    }
    if (s->authorization_count == 0) {
        load_die("%s: no tokens there", s->o.tokens);
    }
    (void)fclose(file);
}

static void on_message(void *ctx, long subscriber, lpx_bytes routed)
{
    (void)ctx;
    (void)routed;
    load_die("subscriber %ld has a message that was not for it", subscriber);
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
    read_tokens(s);
    subs_opts opts = {.loop = s->loop,
                      .address = s->o.address,
                      .tls = s->tls,
                      .authorizations = s->authorizations,
                      .authorization_count = s->authorization_count,
                      .count = s->o.count,
                      .home = s->o.home,
                      .home_count = s->o.homes,
                      .block = s->o.dev_addr,
                      .block_length = BLOCK_BITS,
                      .again = s->o.storm,
                      .on_message = on_message,
                      .ctx = s};
    s->subscribers = subs_new(&opts);
}

static bool all_open(void *ctx)
{
    const state *s = ctx;
    return subs_open(s->subscribers) == s->o.count;
}

static long opened(void *ctx)
{
    const state *s = ctx;
    return subs_open(s->subscribers);
}

static void wait_for_all(state *s)
{
    if (!load_turn_until(s->loop, all_open, opened, s)) {
        load_die("%ld of %ld subscriptions began, then nothing happened for %d s", subs_open(s->subscribers),
                 s->o.count, LOAD_STALL_SECONDS);
    }
}

static void stay_quiet(state *s)
{
    for (uint64_t end = load_wall_ns() + QUIET_US * UINT64_C(1000); load_wall_ns() < end;) {
        io_loop_turn(s->loop, TURN_US);
    }
}

static void storm(state *s)
{
    (void)printf("storm 1\n");
    (void)fflush(stdout);
    uint64_t cpu = load_cpu_ns(s->o.pid), own = load_cpu_ns(getpid()), wall = load_wall_ns();
    long retries = subs_retries(s->subscribers);
    subs_again(s->subscribers);
    wait_for_all(s);
    double count = (double)s->o.count;
    (void)printf("storm_seconds %.3f s\n", (double)(load_wall_ns() - wall) / 1e9);
    (void)printf("storm_retries %ld\n", subs_retries(s->subscribers) - retries);
    (void)printf("storm_server_cpu_per_subscriber %.1f us\n", (double)(load_cpu_ns(s->o.pid) - cpu) / 1000 / count);
    (void)printf("storm_load_cpu_per_subscriber %.1f us\n", (double)(load_cpu_ns(getpid()) - own) / 1000 / count);
}

static options parse(int argc, char **argv)
{
    options o = {.homes = 1};
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        i += strcmp(name, "--storm") != 0;
        if (strcmp(name, "--storm") == 0) {
            o.storm = true;
        } else if (strcmp(name, "--address") == 0) {
            o.address = value;
        } else if (strcmp(name, "--ca") == 0) {
            o.ca = value;
        } else if (strcmp(name, "--home-tokens") == 0) {
            o.tokens = value;
        } else if (strcmp(name, "--pid") == 0) {
            o.pid = (pid_t)load_number(name, value, 10, 1, 1 << 22);
        } else if (strcmp(name, "--home") == 0) {
            o.home = (uint32_t)load_number(name, value, 16, 0, 0xffffff);
        } else if (strcmp(name, "--dev-addr") == 0) {
            o.dev_addr = (uint32_t)load_number(name, value, 16, 0, UINT32_MAX);
        } else if (strcmp(name, "--homes") == 0) {
            o.homes = load_number(name, value, 10, 1, SUBS_MAX_HOMES);
        } else if (strcmp(name, "--count") == 0) {
            o.count = load_number(name, value, 10, 1, MAX_SUBSCRIBERS);
        } else {
            o.count = 0;
            break;
        }
    }
    if (o.address == NULL || o.ca == NULL || o.tokens == NULL || o.pid == 0 || o.count == 0) {
        load_die("usage: storm_load --address HOST:PORT --ca FILE --pid PID --home NETID --home-tokens FILE "
                 "--dev-addr HEX --count N [--homes H] [--storm]");
    }
    return o;
}

int main(int argc, char **argv)
{
    static state s;
    s.o = parse(argc, argv);
    long before = resident_kib(s.o.pid);
    init(&s);
    wait_for_all(&s);
    stay_quiet(&s);
    (void)printf("idle_subscriber %.2f KiB\n", (double)(resident_kib(s.o.pid) - before) / (double)s.o.count);
    if (s.o.storm) {
        storm(&s);
        stay_quiet(&s);
    }
    return 0;
}
