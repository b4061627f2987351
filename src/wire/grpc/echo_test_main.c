/* The echo service on a port, and a client that calls any such service, for tests with other people's gRPC.
 * Usage: grpc_echo serve [--port PORT] [--tls CERT KEY] [--min-ping US] [--max-message BYTES]
 *          prints "listening PORT"; SIGTERM drains for 20 s, then it ends
 *        grpc_echo call ADDRESS METHOD [--tls CA] [--gzip] [--timeout US] [--meta KEY VALUE]... [--message TEXT]...
 *          [--zeros COUNT]... [--cancel-after MESSAGES]
 *          prints "message LENGTH CHECKSUM" for each message and "status CODE DETAILS-LENGTH TEXT" at the end */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "io/signal.h"
#include "wire/grpc/client.h"
#include "wire/grpc/echo_test_service.h"

enum { MAX_MESSAGES = 64, MAX_META = 16 };

typedef struct options {
    const char *port, *cert, *key, *ca, *address, *method;
    long min_ping_us, max_message_bytes, timeout_us, cancel_after;
    bool gzip;
    lpx_bytes messages[MAX_MESSAGES];
    size_t message_count;
    grpc_meta meta[MAX_META];
    size_t meta_count;
} options;

static const char *const alpn[] = {"h2", NULL};

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "grpc_echo: %s\n", what);
    exit(2);
}

static const char *argument(char **argv, int *i)
{
    (*i)++;
    if (argv[*i] == NULL) {
        die("an option wants an argument");
    }
    return argv[*i];
}

static long number(char **argv, int *i)
{
    return strtol(argument(argv, i), NULL, 10);
}

static void add_message(options *o, const void *bytes, size_t len)
{
    if (o->message_count == MAX_MESSAGES || bytes == NULL) {
        die("too many messages");
    }
    o->messages[o->message_count++] = lpx_bytes_of(bytes, len);
}

static void add_meta(options *o, const char *key, const char *value)
{
    if (o->meta_count == MAX_META) {
        die("too much metadata");
    }
    o->meta[o->meta_count++] = (grpc_meta){key, lpx_str_bytes(lpx_str_of(value))};
}

static void parse_option(options *o, char **argv, int *i)
{
    const char *name = argv[*i];
    if (strcmp(name, "--port") == 0) {
        o->port = argument(argv, i);
    } else if (strcmp(name, "--tls") == 0 && o->address == NULL) {
        o->cert = argument(argv, i);
        o->key = argument(argv, i);
    } else if (strcmp(name, "--tls") == 0) {
        o->ca = argument(argv, i);
    } else if (strcmp(name, "--min-ping") == 0) {
        o->min_ping_us = number(argv, i);
    } else if (strcmp(name, "--max-message") == 0) {
        o->max_message_bytes = number(argv, i);
    } else if (strcmp(name, "--timeout") == 0) {
        o->timeout_us = number(argv, i);
    } else if (strcmp(name, "--cancel-after") == 0) {
        o->cancel_after = number(argv, i);
    } else if (strcmp(name, "--gzip") == 0) {
        o->gzip = true;
    } else if (strcmp(name, "--message") == 0) {
        const char *text = argument(argv, i);
        add_message(o, text, strlen(text));
    } else if (strcmp(name, "--zeros") == 0) {
        size_t count = (size_t)number(argv, i);
        add_message(o, calloc(1, count + 1), count);
    } else if (strcmp(name, "--meta") == 0) {
        const char *key = argument(argv, i);
        add_meta(o, key, argument(argv, i));
    } else {
        die("unknown option");
    }
}

/* --- serve --- */

typedef struct serving {
    io_loop *loop;
    grpc_server *server;
} serving;

static void drained(void *ctx)
{
    serving *s = ctx;
    io_loop_stop(s->loop);
}

static void on_signal(void *ctx, int signal_number)
{
    serving *s = ctx;
    (void)signal_number;
    grpc_server_drain(s->server, 20 * 1000000, drained, s);
}

static int serve(const options *o, io_loop *loop)
{
    static echo_service service;
    serving s = {.loop = loop};
    lpx_note note = {.text = "no memory"};
    io_tls *tls = NULL;
    io_tls_server_opts tls_opts = {.cert_file = o->cert, .key_file = o->key, .alpn = alpn};
    if (o->cert != NULL && lpx_failed(io_tls_server_new(&tls_opts, &tls, &note))) {
        die(note.text);
    }
    grpc_server_opts opts = {.min_ping_interval_us = o->min_ping_us,
                             .max_message_bytes = (uint32_t)o->max_message_bytes};
    char address[64];
    uint16_t port = 0;
    (void)snprintf(address, sizeof address, "127.0.0.1:%s", o->port != NULL ? o->port : "0");
    if (lpx_failed(grpc_server_new(loop, &opts, &echo_service_events, &service, &s.server)) ||
        lpx_failed(grpc_server_listen(s.server, address, tls, &port, &note))) {
        die(note.text);
    }
    io_signals *signals = NULL;
    if (lpx_failed(io_signals_on(loop, (int[]){SIGTERM}, 1, on_signal, &s, &signals))) {
        die("no signals");
    }
    (void)printf("listening %u\n", port);
    (void)fflush(stdout);
    io_loop_run(loop);
    grpc_server_free(&s.server);
    io_signals_free(&signals);
    io_loop_turn(loop, 0);
    io_tls_free(&tls);
    return 0;
}

/* --- call --- */

typedef struct calling {
    const options *o;
    grpc_out *out;
    size_t next;
    long received;
    bool done;
} calling;

static void send_more(calling *c)
{
    bool room = true;
    while (room && c->next < c->o->message_count) {
        room = grpc_out_send(c->out, c->o->messages[c->next++]);
    }
    if (c->next == c->o->message_count) {
        grpc_out_close_send(c->out);
    }
}

static void on_message(void *ctx, lpx_bytes message)
{
    calling *c = ctx;
    (void)printf("message %zu %08lx\n", message.len, crc32(0, message.ptr, (uInt)message.len));
    c->received++;
    if (c->received == c->o->cancel_after) {
        grpc_out_cancel(c->out);
    }
}

static void on_writable(void *ctx)
{
    send_more(ctx);
}

static void on_done(void *ctx, const grpc_status *status)
{
    calling *c = ctx;
    (void)printf("status %d %zu %.*s\n", (int)status->code, status->details.len, (int)status->message.len,
                 status->message.ptr);
    c->done = true;
}

static const grpc_out_events out_events = {.on_message = on_message, .on_writable = on_writable, .on_done = on_done};

static int call(const options *o, io_loop *loop)
{
    lpx_note note = {0};
    io_tls *tls = NULL;
    io_tls_client_opts tls_opts = {.ca_file = o->ca, .alpn = alpn};
    if (o->ca != NULL && lpx_failed(io_tls_client_new(&tls_opts, &tls, &note))) {
        die(note.text);
    }
    grpc_client *client = NULL;
    grpc_client_opts opts = {.address = o->address, .tls = tls, .gzip = o->gzip};
    if (lpx_failed(grpc_client_new(loop, &opts, &client, &note))) {
        die(note.text);
    }
    calling c = {.o = o};
    c.out = grpc_client_start(client, o->method, o->meta, o->meta_count, o->timeout_us, &out_events, &c);
    if (c.out == NULL) {
        die("no memory");
    }
    send_more(&c);
    while (!c.done) {
        io_loop_turn(loop, 1000000);
    }
    grpc_client_free(&client);
    io_loop_turn(loop, 0);
    io_tls_free(&tls);
    return 0;
}

int main(int argc, char **argv)
{
    options o = {0};
    int i = 2;
    bool calls = argc > 3 && strcmp(argv[1], "call") == 0;
    if (calls) {
        o.address = argv[2];
        o.method = argv[3];
        i = 4;
    } else if (argc < 2 || strcmp(argv[1], "serve") != 0) {
        die("want serve or call");
    }
    for (; i < argc; i++) {
        parse_option(&o, argv, &i);
    }
    io_loop *loop = io_loop_new(0);
    if (loop == NULL) {
        die("no loop");
    }
    int rv = calls ? call(&o, loop) : serve(&o, loop);
    io_loop_free(&loop);
    for (size_t k = 0; k < o.message_count; k++) {
        /* --zeros were allocated; texts are the arguments themselves. */
        if (o.messages[k].len > 0 && o.messages[k].ptr[0] == 0) {
            free((void *)(uintptr_t)o.messages[k].ptr);
        }
    }
    return rv;
}
