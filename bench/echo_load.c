/* Load for echo_server: N connections with M calls in flight each, one fixed message, a long authorization value.
 * Starts the server itself and prints one figure per line: name value unit. Usage: echo_load --server PATH
 * [--connections N] [--streams M] [--calls K] [--message BYTES] [--tls] [--timeout] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/x509.h"
#include "load.h"

enum { TOKEN_BYTES = 700 };

typedef struct options {
    const char *server;
    long connections, streams, calls, message;
    bool tls, timeout;
} options;

typedef struct echo {
    io_loop *loop;
    io_tls *tls;
    uint8_t message[LOAD_MAX_FRAME_BYTES]; /* with its prefix */
    size_t len;
    char token[TOKEN_BYTES + 1];
    char address[40];
} echo;

typedef struct certs {
    char folder[64], ca[96], ca_key[96], cert[96], key[96];
} certs;

static void certs_make(certs *c)
{
    lpx_note note = {0};
    lpx_utc now = {(int64_t)time(NULL) * 1000000};
    (void)snprintf(c->folder, sizeof c->folder, "/tmp/lpx-bench-XXXXXX");
    if (mkdtemp(c->folder) == NULL) {
        load_die("no temporary folder");
    }
    (void)snprintf(c->ca, sizeof c->ca, "%s/ca.pem", c->folder);
    (void)snprintf(c->ca_key, sizeof c->ca_key, "%s/ca.key", c->folder);
    (void)snprintf(c->cert, sizeof c->cert, "%s/cert.pem", c->folder);
    (void)snprintf(c->key, sizeof c->key, "%s/cert.key", c->folder);
    crypto_cert_opts opts = {.ca_cert_file = c->ca,
                             .ca_key_file = c->ca_key,
                             .cert_file = c->cert,
                             .key_file = c->key,
                             .common_name = "localhost",
                             .now = now};
    if (lpx_failed(crypto_ca_create(c->ca, c->ca_key, "bench", now, &note)) ||
        lpx_failed(crypto_cert_issue(&opts, &note))) {
        load_die("%s", note.text);
    }
}

static void certs_remove(const certs *c)
{
    (void)unlink(c->ca);
    (void)unlink(c->ca_key);
    (void)unlink(c->cert);
    (void)unlink(c->key);
    (void)rmdir(c->folder);
}

/* Start the server on the second core. @return its port */
static unsigned server_start(const options *o, const certs *c, pid_t *pid)
{
    int ends[2];
    if (pipe(ends) != 0 || (*pid = fork()) < 0) {
        load_die("cannot start the server");
    }
    if (*pid == 0) {
        load_pin(1);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        if (o->tls) {
            (void)execl(o->server, o->server, "--tls", c->cert, c->key, (char *)NULL);
        } else {
            (void)execl(o->server, o->server, (char *)NULL);
        }
        _exit(127);
    }
    (void)close(ends[1]);
    unsigned port = 0;
    FILE *from = fdopen(ends[0], "r");
    if (from == NULL || fscanf(from, "listening %u", &port) != 1) {
        load_die("the server did not start");
    }
    (void)fclose(from);
    return port;
}

static lpx_bytes next(void *ctx)
{
    const echo *e = ctx;
    return lpx_bytes_of(e->message, e->len);
}

static void check(void *ctx, lpx_bytes message)
{
    const echo *e = ctx;
    if (!lpx_bytes_equal(message, lpx_bytes_of(e->message, e->len))) {
        load_die("an answer has the wrong bytes");
    }
}

static load *connect_all(echo *e, const options *o, unsigned port, const certs *c)
{
    static const char *const alpn[] = {"h2", NULL};
    lpx_note note = {0};
    io_tls_client_opts tls_opts = {.ca_file = c->ca, .alpn = alpn};
    if (o->tls && lpx_failed(io_tls_client_new(&tls_opts, &e->tls, &note))) {
        load_die("%s", note.text);
    }
    (void)snprintf(e->address, sizeof e->address, "127.0.0.1:%u", port);
    load_opts opts = {.loop = e->loop,
                      .address = e->address,
                      .tls = e->tls,
                      .path = "/echo.Echo/Unary",
                      .authority = "localhost",
                      .user_agent = "echo_load",
                      .authorization = e->token,
                      .connections = o->connections,
                      .streams = o->streams,
                      .timeout = o->timeout,
                      .next = next,
                      .check = check,
                      .ctx = e};
    return load_new(&opts);
}

static options parse(int argc, char **argv)
{
    options o = {.connections = 8, .streams = 32, .calls = 400000, .message = 400};
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        i += strcmp(name, "--tls") != 0 && strcmp(name, "--timeout") != 0;
        if (strcmp(name, "--server") == 0) {
            o.server = value;
        } else if (strcmp(name, "--connections") == 0) {
            o.connections = load_number(name, value, 10, 1, LOAD_MAX_CONNECTIONS);
        } else if (strcmp(name, "--streams") == 0) {
            o.streams = load_number(name, value, 10, 1, LOAD_MAX_STREAMS);
        } else if (strcmp(name, "--calls") == 0) {
            o.calls = load_number(name, value, 10, 1, 1000000000);
        } else if (strcmp(name, "--message") == 0) {
            o.message = load_number(name, value, 10, 1, LOAD_MAX_FRAME_BYTES - LOAD_PREFIX_BYTES);
        } else if (strcmp(name, "--tls") == 0) {
            o.tls = true;
        } else if (strcmp(name, "--timeout") == 0) {
            o.timeout = true;
        } else {
            load_die("usage: echo_load --server PATH [--connections N] [--streams M] [--calls K] [--message BYTES] "
                     "[--tls] [--timeout]");
        }
    }
    if (o.server == NULL) {
        load_die("--server PATH: the program to start is missing");
    }
    return o;
}

static void echo_init(echo *e, const options *o)
{
    e->loop = io_loop_new(0);
    if (e->loop == NULL) {
        load_die("no memory");
    }
    e->len = (size_t)o->message + LOAD_PREFIX_BYTES;
    load_prefix(e->message, (size_t)o->message);
    for (size_t i = 0; i < (size_t)o->message; i++) {
        e->message[LOAD_PREFIX_BYTES + i] = (uint8_t)(i * 131 >> 3);
    }
    (void)snprintf(e->token, sizeof e->token, "Bearer ");
    for (size_t i = 7; i < TOKEN_BYTES; i++) {
        e->token[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[i * 37 % 64];
    }
}

int main(int argc, char **argv)
{
    static echo e;
    certs c = {0};
    pid_t pid = 0;
    options o = parse(argc, argv);
    echo_init(&e, &o);
    if (o.tls) {
        certs_make(&c);
    }
    unsigned port = server_start(&o, &c, &pid);
    load_pin(0);
    load *l = connect_all(&e, &o, port, &c);
    if (o.tls) {
        certs_remove(&c); /* both sides have read them */
    }
    load_run(l, o.calls / 10 + o.connections * o.streams);
    uint64_t cpu = load_cpu_ns(pid), own = load_cpu_ns(getpid()), wall = load_wall_ns();
    load_run(l, o.calls);
    cpu = load_cpu_ns(pid) - cpu;
    own = load_cpu_ns(getpid()) - own;
    wall = load_wall_ns() - wall;
    double calls = (double)o.calls;
    (void)printf("echo_server_cpu_per_call %.3f us\n", (double)cpu / 1000 / calls);
    (void)printf("echo_load_cpu_per_call %.3f us\n", (double)own / 1000 / calls);
    (void)printf("echo_calls_per_second %.0f 1/s\n", calls * 1e9 / (double)wall);
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
    return 0;
}
