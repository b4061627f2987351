/* Connections of a server: the streams of an HTTP/2 session become calls; keepalive, idleness, draining. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "wire/grpc/core.h"
#include "wire/grpc/limits.h"

enum { PING_ALIVE = 1, PING_DRAIN = 2 };

static void user_fini(void *user)
{
    grpc_call *call = user;
    lpx_arena_fini(&call->arena);
}

static void opts_fill(grpc_server_opts *opts)
{
    opts->max_streams = opts->max_streams != 0 ? opts->max_streams : GRPC_MAX_STREAMS;
    opts->max_message_bytes = opts->max_message_bytes != 0 ? opts->max_message_bytes : GRPC_MAX_MESSAGE_BYTES;
    opts->max_connections = opts->max_connections != 0 ? opts->max_connections : GRPC_MAX_CONNECTIONS;
    opts->idle_timeout_us = opts->idle_timeout_us != 0 ? opts->idle_timeout_us : GRPC_IDLE_TIMEOUT_US;
    opts->call_arena_bytes = opts->call_arena_bytes != 0 ? opts->call_arena_bytes : GRPC_CALL_ARENA_BYTES;
    opts->max_calls = opts->max_calls != 0 ? opts->max_calls : GRPC_MAX_CALLS;
    opts->max_unsent_bytes = opts->max_unsent_bytes != 0 ? opts->max_unsent_bytes : GRPC_MAX_UNSENT_SERVER_BYTES;
    opts->min_ping_interval_us =
        opts->min_ping_interval_us != 0 ? opts->min_ping_interval_us : GRPC_MIN_PING_INTERVAL_US;
}

lpx_err grpc_core_init(grpc_core *core, io_loop *loop, const grpc_server_opts *opts, const grpc_server_events *events,
                       void *ctx)
{
    *core = (grpc_core){.opts = *opts, .events = events, .ctx = ctx, .loop = loop};
    opts_fill(&core->opts);
    lpx_list_init(&core->conns);
    core->pool = h2_pool_new(sizeof(grpc_call), user_fini);
    lpx_err err = core->pool != NULL ? grpc_env_init(&core->env, loop) : lpx_err_of(GRPC_NO_MEMORY);
    if (lpx_failed(err)) {
        h2_pool_free(&core->pool);
        return err;
    }
    h2_pool_limit_unsent(core->pool, core->opts.max_unsent_bytes);
    return LPX_SUCCESS;
}

void grpc_core_fini(grpc_core *core)
{
    lpx_assert(lpx_list_empty(&core->conns));
    grpc_env_fini(&core->env);
    h2_pool_free(&core->pool);
}

void grpc_core_call_gone(grpc_core *core)
{
    if (core->closed != NULL && core->stats.calls_open == 0) {
        grpc_core_fini(core);
        core->closed(core);
    }
}

void grpc_core_close(grpc_core *core, void (*closed)(grpc_core *core))
{
    lpx_assert(lpx_list_empty(&core->conns));
    grpc_env_detach(&core->env);
    core->closed = closed;
    grpc_core_call_gone(core);
}

static void on_head(void *ctx, h2_stream *stream)
{
    grpc_call_begin(ctx, stream);
}

static void on_data(void *ctx, h2_stream *stream, lpx_bytes in)
{
    (void)ctx;
    grpc_call_data(h2_stream_user(stream), in);
}

static void on_end(void *ctx, h2_stream *stream)
{
    (void)ctx;
    grpc_call_client_ended(h2_stream_user(stream));
}

static void on_writable(void *ctx, h2_stream *stream)
{
    (void)ctx;
    grpc_call_writable(h2_stream_user(stream));
}

static void on_close(void *ctx, h2_stream *stream, uint32_t code)
{
    grpc_sconn *conn = ctx;
    (void)code;
    conn->idle_since_us = grpc_env_now(&conn->core->env).us;
    grpc_call_closed(h2_stream_user(stream));
}

static void on_goaway(void *ctx, uint32_t code, lpx_str text)
{
    /* A client that leaves: its open calls end in order, then the session is done. */
    (void)ctx;
    (void)code;
    (void)text;
}

static void on_pong(void *ctx, uint64_t payload)
{
    grpc_sconn *conn = ctx;
    if (payload == PING_DRAIN) {
        h2_session_drain(conn->h2);
    }
}

static void on_want_write(void *ctx)
{
    grpc_sconn *conn = ctx;
    conn->want_write(conn);
}

static const h2_events session_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
    .want_write = on_want_write,
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A connection with open calls must answer, one without must not stay for ever.
 * @return when to look again; 0: it is over */
static int64_t look(grpc_sconn *conn, int64_t now_us)
{
    if (!h2_session_ready(conn->h2)) {
        return now_us < conn->opened_us + GRPC_PREFACE_TIMEOUT_US ? conn->opened_us + GRPC_PREFACE_TIMEOUT_US : 0;
    }
    int64_t next_us = now_us + GRPC_SERVER_KEEPALIVE_US;
    if (conn->drained_us != 0 && now_us < conn->drained_us + GRPC_DRAIN_NOTICE_US) {
        next_us = conn->drained_us + GRPC_DRAIN_NOTICE_US;
    } else if (conn->drained_us != 0) {
        h2_session_drain(conn->h2);
    }
    if (h2_session_streams(conn->h2) == 0) {
        conn->pinged_us = 0;
        if (now_us >= conn->idle_since_us + conn->core->opts.idle_timeout_us) {
            h2_session_drain(conn->h2);
        }
        int64_t idle_end_us = conn->idle_since_us + conn->core->opts.idle_timeout_us;
        return idle_end_us > now_us ? earlier(next_us, idle_end_us) : next_us;
    }
    if (conn->pinged_us != 0 && conn->heard_us >= conn->pinged_us) {
        conn->pinged_us = 0;
    }
    if (conn->pinged_us != 0) {
        int64_t end_us = conn->pinged_us + GRPC_KEEPALIVE_TIMEOUT_US;
        return now_us < end_us ? earlier(next_us, end_us) : 0;
    }
    if (now_us >= conn->heard_us + GRPC_SERVER_KEEPALIVE_US) {
        conn->pinged_us = now_us;
        h2_session_ping(conn->h2, PING_ALIVE);
        return earlier(next_us, now_us + GRPC_KEEPALIVE_TIMEOUT_US);
    }
    return earlier(next_us, conn->heard_us + GRPC_SERVER_KEEPALIVE_US);
}

static void on_due(grpc_due_node *node)
{
    grpc_sconn *conn = LPX_CONTAINER(node, grpc_sconn, due);
    int64_t next_us = look(conn, grpc_env_now(&conn->core->env).us);
    if (next_us == 0 || !grpc_env_arm(&conn->core->env, &conn->due, (lpx_mono){next_us}, on_due)) {
        conn->shut(conn);
    }
}

bool grpc_sconn_init(grpc_sconn *conn, grpc_core *core)
{
    int64_t now_us = grpc_env_now(&core->env).us;
    conn->core = core;
    conn->opened_us = conn->heard_us = conn->idle_since_us = now_us;
    h2_opts opts = {.role = H2_SERVER,
                    .max_streams = core->opts.max_streams,
                    .min_ping_interval_us = core->opts.min_ping_interval_us,
                    .pool = core->pool};
    conn->h2 = h2_session_new(&opts, &session_events, conn);
    if (conn->h2 == NULL) {
        return false;
    }
    if (!grpc_env_arm(&core->env, &conn->due, (lpx_mono){now_us + GRPC_PREFACE_TIMEOUT_US}, on_due)) {
        h2_session_free(&conn->h2);
        return false;
    }
    lpx_list_init(&conn->node);
    lpx_list_push(&core->conns, &conn->node);
    core->stats.connections++;
    core->stats.connections_total++;
    conn->want_write(conn); /* SETTINGS */
    return true;
}

void grpc_sconn_recv(grpc_sconn *conn, lpx_bytes in)
{
    lpx_mono now = grpc_env_now(&conn->core->env);
    conn->heard_us = now.us;
    h2_session_recv(conn->h2, in, now);
}

bool grpc_sconn_fill(grpc_sconn *conn, lpx_buf *out, size_t max_bytes)
{
    return h2_session_fill(conn->h2, out, max_bytes);
}

bool grpc_sconn_done(const grpc_sconn *conn)
{
    return h2_session_done(conn->h2);
}

void grpc_sconn_lost(grpc_sconn *conn)
{
    grpc_core *core = conn->core;
    lpx_note note;
    lpx_err why = h2_session_why(conn->h2, &note);
    if (why.code == LPX_RESOURCE_EXHAUSTED && why.reason != H2_NO_MEMORY) {
        core->stats.floods_total++;
    }
    conn->gone = true;
    conn->calls++; /* not freed before this function is through */
    grpc_env_disarm(&core->env, &conn->due);
    h2_session_free(&conn->h2);
    lpx_list_remove(&conn->node);
    core->stats.connections--;
    conn->calls--;
    if (conn->calls == 0) {
        conn->free_conn(conn);
    }
}

void grpc_sconn_drain(grpc_sconn *conn)
{
    if (conn->drained_us != 0) {
        return;
    }
    grpc_core *core = conn->core;
    conn->drained_us = grpc_env_now(&core->env).us;
    h2_session_drain_notice(conn->h2);
    h2_session_ping(conn->h2, PING_DRAIN);
    lpx_mono at = {conn->drained_us + GRPC_DRAIN_NOTICE_US};
    if (!grpc_env_arm(&core->env, &conn->due, at, on_due)) {
        h2_session_drain(conn->h2);
    }
}
