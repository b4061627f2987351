/* Bytes of a client into a server connection with the echo service behind it. The first byte says in which pieces they
 * come; the preface is put before them. */
#include <stdio.h>

#include "base/assert.h"
#include "wire/grpc/core.h"
#include "wire/grpc/echo_test_service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct end {
    grpc_sconn conn;
    bool wants, shut, freed;
} end;

static end *end_of(grpc_sconn *conn)
{
    return LPX_CONTAINER(conn, end, conn);
}

static void want_write(grpc_sconn *conn)
{
    end_of(conn)->wants = true;
}

static void shut(grpc_sconn *conn)
{
    end_of(conn)->shut = true;
}

static void free_conn(grpc_sconn *conn)
{
    end_of(conn)->freed = true;
}

static void drain_output(end *e, grpc_core *core, lpx_buf *out)
{
    /* A peer that grants endless windows could be sent to for ever. */
    for (int i = 0; i < 64 && e->wants; i++) {
        lpx_buf_clear(out);
        e->wants = grpc_sconn_fill(&e->conn, out, 65536);
        (void)grpc_env_run(&core->env);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    echo_service service = {0};
    grpc_core core;
    grpc_server_opts opts = {.max_streams = 20, .max_message_bytes = 100000, .call_arena_bytes = 300000};
    if (size < 1 || lpx_failed(grpc_core_init(&core, NULL, &opts, &echo_service_events, &service))) {
        return 0;
    }
    core.env.now.us = 1000000;
    end e = {.conn = {.want_write = want_write, .shut = shut, .free_conn = free_conn}};
    lpx_assert(grpc_sconn_init(&e.conn, &core));
    lpx_buf out;
    lpx_buf_init(&out, 1 << 20);
    grpc_sconn_recv(&e.conn, lpx_bytes_of(preface, sizeof preface - 1));
    size_t piece = data[0] == 0 ? size : data[0];
    for (size_t at = 1; at < size && !grpc_sconn_done(&e.conn); at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        grpc_sconn_recv(&e.conn, lpx_bytes_of(data + at, n));
        core.env.now.us += 1000;
        drain_output(&e, &core, &out);
        echo_service_resume(&service);
    }
    for (int i = 0; i < 3 && !e.shut; i++) {
        core.env.now.us += INT64_C(20000000);
        (void)grpc_env_run(&core.env);
        drain_output(&e, &core, &out);
    }
    grpc_sconn_lost(&e.conn);
    lpx_assert(e.freed && core.stats.calls_open == 0 && core.env.held_bytes == 0 && e.conn.held_bytes == 0);
    lpx_buf_fini(&out);
    grpc_core_fini(&core);
    return 0;
}
