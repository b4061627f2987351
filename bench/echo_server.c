/* Bare unary echo over this project's gRPC server: what a call costs before anything is done with it.
 * Prints "listening PORT" and serves until it is killed.
 * Usage: echo_server [--port PORT] [--tls CERT KEY] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/grpc/server.h"

static void on_call(void *ctx, grpc_call *call)
{
    (void)ctx;
    (void)call;
}

static void on_message(void *ctx, grpc_call *call, lpx_bytes message)
{
    (void)ctx;
    (void)grpc_call_send(call, message);
}

static void on_half_close(void *ctx, grpc_call *call)
{
    (void)ctx;
    grpc_call_finish(call, LPX_OK, LPX_STR(""), (lpx_bytes){0});
}

static void on_writable(void *ctx, grpc_call *call)
{
    (void)ctx;
    (void)call;
}

static void on_cancel(void *ctx, grpc_call *call, lpx_code why)
{
    (void)ctx;
    grpc_call_finish(call, why, LPX_STR(""), (lpx_bytes){0});
}

static const grpc_server_events events = {.on_call = on_call,
                                          .on_message = on_message,
                                          .on_half_close = on_half_close,
                                          .on_writable = on_writable,
                                          .on_cancel = on_cancel};

static _Noreturn void die(const lpx_note *note)
{
    (void)fprintf(stderr, "echo_server: %s\n", note->text);
    exit(1);
}

typedef struct options {
    const char *port, *cert, *key;
} options;

static options parse(int argc, char **argv)
{
    options o = {.port = "0"};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            o.port = argv[++i];
        } else if (strcmp(argv[i], "--tls") == 0 && i + 2 < argc) {
            o.cert = argv[++i];
            o.key = argv[++i];
        } else {
            (void)fprintf(stderr, "usage: echo_server [--port PORT] [--tls CERT KEY]\n");
            exit(2);
        }
    }
    return o;
}

int main(int argc, char **argv)
{
    static const char *const alpn[] = {"h2", NULL};
    options o = parse(argc, argv);
    lpx_note note = {.text = "no memory"};
    io_loop *loop = io_loop_new(0);
    io_tls *tls = NULL;
    io_tls_server_opts tls_opts = {.cert_file = o.cert, .key_file = o.key, .alpn = alpn};
    if (loop == NULL || (o.cert != NULL && lpx_failed(io_tls_server_new(&tls_opts, &tls, &note)))) {
        die(&note);
    }
    grpc_server *server = NULL;
    grpc_server_opts opts = {0};
    char address[64];
    uint16_t port = 0;
    (void)snprintf(address, sizeof address, "127.0.0.1:%s", o.port);
    if (lpx_failed(grpc_server_new(loop, &opts, &events, NULL, &server)) ||
        lpx_failed(grpc_server_listen(server, address, tls, &port, &note))) {
        die(&note);
    }
    (void)printf("listening %u\n", port);
    (void)fflush(stdout);
    io_loop_run(loop);
    return 0;
}
