#include "wire/grpc/pair_test_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"

static pair_wire *wire_of_client(grpc_link *link)
{
    return LPX_CONTAINER(link, pair_wire, client);
}

static pair_wire *wire_of_server(grpc_sconn *conn)
{
    return LPX_CONTAINER(conn, pair_wire, server);
}

static void server_want_write(grpc_sconn *conn)
{
    wire_of_server(conn)->server_wants = true;
}

static void server_shut(grpc_sconn *conn)
{
    wire_of_server(conn)->server_shut = true;
}

static void server_free(grpc_sconn *conn)
{
    wire_of_server(conn)->server_held = false;
}

static lpx_err dial(grpc_chan *chan, grpc_link **out, lpx_note *note)
{
    grpc_pair *pair = LPX_CONTAINER(chan, grpc_pair, chan);
    if (pair->refuse) {
        return lpx_fail(note, GRPC_CONN_REFUSED, "nobody listens there.");
    }
    lpx_assert(pair->wire_count < PAIR_WIRES);
    pair_wire *wire = &pair->wires[pair->wire_count++];
    *wire = (pair_wire){.pair = pair, .used = true, .client_open = true, .client_held = true};
    *out = &wire->client;
    return LPX_SUCCESS;
}

static void link_want_write(grpc_link *link)
{
    wire_of_client(link)->client_wants = true;
}

static void link_shut(grpc_link *link, bool flush)
{
    (void)flush;
    wire_of_client(link)->client_shut = true;
}

static void link_free(grpc_link *link)
{
    wire_of_client(link)->client_held = false;
}

static void chan_free(grpc_chan *chan)
{
    LPX_CONTAINER(chan, grpc_pair, chan)->chan_freed = true;
}

static const grpc_chan_ops chan_ops = {
    .dial = dial,
    .want_write = link_want_write,
    .shut = link_shut,
    .free_link = link_free,
    .free_chan = chan_free,
};

void grpc_pair_init(grpc_pair *pair, const grpc_client_opts *client_opts, const grpc_server_opts *server_opts)
{
    memset(pair, 0, sizeof *pair);
    grpc_client_opts copts = client_opts != NULL ? *client_opts : (grpc_client_opts){0};
    grpc_server_opts sopts = server_opts != NULL ? *server_opts : (grpc_server_opts){0};
    copts.address = "server.test:1900";
    copts.seed = 42;
    lpx_note note;
    lpx_assert(!lpx_failed(grpc_chan_init(&pair->chan, NULL, &copts, &chan_ops, &note)));
    lpx_assert(!lpx_failed(grpc_core_init(&pair->core, NULL, &sopts, &echo_service_events, &pair->service)));
    pair->chan.env.now.us = pair->core.env.now.us = INT64_C(1000000000);
    lpx_buf_init(&pair->bytes, (size_t)8 * PAIR_FILL_BYTES);
}

static void server_gone(pair_wire *wire)
{
    if (wire->server_open) {
        wire->server_open = false;
        grpc_sconn_lost(&wire->server);
    }
}

static void client_gone(pair_wire *wire, const char *why)
{
    if (!wire->client_open) {
        return;
    }
    wire->client_open = false;
    if (wire->client.chan != NULL) {
        lpx_note note;
        (void)snprintf(note.text, sizeof note.text, "%s", why);
        grpc_link_lost(&wire->client, lpx_err_of(GRPC_CONN_LOST), &note);
    }
}

void grpc_pair_fini(grpc_pair *pair)
{
    if (!pair->chan_freed) {
        grpc_chan_close(&pair->chan);
    }
    lpx_assert(pair->chan_freed);
    for (size_t i = 0; i < pair->wire_count; i++) {
        client_gone(&pair->wires[i], "the end");
        server_gone(&pair->wires[i]);
        lpx_assert(!pair->wires[i].client_held && !pair->wires[i].server_held);
    }
    lpx_assert(pair->core.stats.calls_open == 0 && pair->core.stats.connections == 0);
    lpx_assert(pair->core.env.held_bytes == 0);
    grpc_core_fini(&pair->core);
    lpx_buf_fini(&pair->bytes);
}

static void connect_wire(pair_wire *wire)
{
    wire->up = true;
    wire->server_open = wire->server_held = true;
    wire->server.want_write = server_want_write;
    wire->server.shut = server_shut;
    wire->server.free_conn = server_free;
    (void)snprintf(wire->server.peer, sizeof wire->server.peer, "memory");
    lpx_assert(grpc_sconn_init(&wire->server, &wire->pair->core));
    lpx_assert(grpc_link_up(&wire->client));
}

static bool move_to_server(pair_wire *wire)
{
    grpc_pair *pair = wire->pair;
    lpx_buf_clear(&pair->bytes);
    wire->client_wants = false;
    if (grpc_link_fill(&wire->client, &pair->bytes, PAIR_FILL_BYTES)) {
        wire->client_wants = true;
    }
    lpx_bytes rest = lpx_buf_view(&pair->bytes);
    while (rest.len > 0 && wire->server_open) {
        size_t n = pair->piece_bytes != 0 && pair->piece_bytes < rest.len ? pair->piece_bytes : rest.len;
        grpc_sconn_recv(&wire->server, lpx_bytes_of(rest.ptr, n));
        rest = lpx_bytes_of(rest.ptr + n, rest.len - n);
    }
    return pair->bytes.len > 0;
}

static bool move_to_client(pair_wire *wire)
{
    grpc_pair *pair = wire->pair;
    lpx_buf_clear(&pair->bytes);
    wire->server_wants = false;
    if (grpc_sconn_fill(&wire->server, &pair->bytes, PAIR_FILL_BYTES)) {
        wire->server_wants = true;
    }
    lpx_bytes rest = lpx_buf_view(&pair->bytes);
    while (rest.len > 0 && wire->client_open && wire->client.chan != NULL && !pair->mute_server) {
        size_t n = pair->piece_bytes != 0 && pair->piece_bytes < rest.len ? pair->piece_bytes : rest.len;
        grpc_link_recv(&wire->client, lpx_bytes_of(rest.ptr, n));
        rest = lpx_bytes_of(rest.ptr + n, rest.len - n);
    }
    return pair->bytes.len > 0;
}

/* Socket ends that were asked to close or have said all. */
static bool close_ends(pair_wire *wire)
{
    bool client_ends = wire->client_shut || (wire->client.chan != NULL && wire->client_open && !wire->client_wants &&
                                             grpc_link_done(&wire->client));
    bool server_ends = wire->server_open && (wire->server_shut || grpc_sconn_done(&wire->server));
    if (!client_ends && !server_ends) {
        return false;
    }
    bool was_open = wire->client_open || wire->server_open;
    server_gone(wire);
    client_gone(wire, "the peer closed it");
    return was_open;
}

bool grpc_pair_step(grpc_pair *pair)
{
    bool moved = !lpx_list_empty(&pair->core.env.later) || !lpx_list_empty(&pair->chan.env.later);
    if (!pair->chan_freed) {
        (void)grpc_env_run(&pair->chan.env);
    }
    (void)grpc_env_run(&pair->core.env);
    for (size_t i = 0; i < pair->wire_count; i++) {
        pair_wire *wire = &pair->wires[i];
        if (!wire->up && wire->client_open && wire->client.chan != NULL && !pair->hold_dial) {
            if (pair->refuse) {
                client_gone(wire, "nobody listens there.");
                moved = true;
                continue;
            }
            connect_wire(wire);
            moved = true;
        }
        if (!wire->up) {
            continue;
        }
        if (wire->client_wants && wire->client_open && wire->client.chan != NULL) {
            moved |= move_to_server(wire);
        }
        if (wire->server_wants && wire->server_open) {
            moved |= move_to_client(wire);
        }
        moved |= close_ends(wire);
    }
    return moved || !lpx_list_empty(&pair->core.env.later) || !lpx_list_empty(&pair->chan.env.later);
}

void grpc_pair_run(grpc_pair *pair)
{
    while (grpc_pair_step(pair)) {
    }
}

void grpc_pair_sleep(grpc_pair *pair, int64_t us)
{
    pair->chan.env.now.us += us;
    pair->core.env.now.us += us;
    grpc_pair_run(pair);
}

void grpc_pair_cut(grpc_pair *pair)
{
    /* Not those that the end of a call begins. */
    for (size_t i = 0, count = pair->wire_count; i < count; i++) {
        server_gone(&pair->wires[i]);
        client_gone(&pair->wires[i], "connection reset by peer");
    }
}

uint64_t pair_lengths_add(uint64_t lengths, size_t len)
{
    return lengths * UINT64_C(1099511628211) + len + 1;
}

static void on_message(void *ctx, lpx_bytes message)
{
    pair_call *call = ctx;
    lpx_assert(call->done == 0);
    call->messages++;
    call->lengths = pair_lengths_add(call->lengths, message.len);
    lpx_buf_add(&call->data, message);
    if (call->cancel_on_message) {
        grpc_out_cancel(call->out);
    }
    if (call->close_on_message) {
        grpc_chan_close(&call->pair->chan);
    }
}

static void on_writable(void *ctx)
{
    pair_call *call = ctx;
    call->writables++;
}

static void on_done(void *ctx, const grpc_status *status)
{
    pair_call *call = ctx;
    call->done++;
    call->out = NULL;
    call->code = status->code;
    (void)snprintf(call->message, sizeof call->message, "%.*s", (int)status->message.len, status->message.ptr);
    call->details_len = status->details.len;
    lpx_assert(status->details.len <= sizeof call->details);
    if (status->details.len > 0) {
        memcpy(call->details, status->details.ptr, status->details.len);
    }
    if (call->restart != NULL) {
        pair_call_start(call->restart, call->pair, "Unary", 0);
        (void)grpc_out_send(call->restart->out, lpx_bytes_of("again", 5));
        grpc_out_close_send(call->restart->out);
    }
}

static const grpc_out_events out_events = {.on_message = on_message, .on_writable = on_writable, .on_done = on_done};

static void start(pair_call *call, grpc_pair *pair, const char *method, const grpc_meta *meta, size_t count,
                  int64_t timeout_us)
{
    char path[100];
    (void)snprintf(path, sizeof path, "/echo.Echo/%s", method);
    *call = (pair_call){.pair = pair};
    lpx_buf_init(&call->data, (size_t)100 * 1024 * 1024);
    call->out = grpc_chan_start(&pair->chan, path, meta, count, timeout_us, &out_events, call);
    lpx_assert(call->out != NULL && call->done == 0);
}

void pair_call_start(pair_call *call, grpc_pair *pair, const char *method, int64_t timeout_us)
{
    start(call, pair, method, NULL, 0, timeout_us);
}

void pair_call_start_meta(pair_call *call, grpc_pair *pair, const char *method, const grpc_meta *meta, size_t count)
{
    start(call, pair, method, meta, count, 0);
}

lpx_code pair_try(grpc_pair *pair)
{
    pair_call call;
    pair_call_start(&call, pair, "Unary", 0);
    (void)grpc_out_send(call.out, lpx_bytes_of("x", 1));
    grpc_out_close_send(call.out);
    grpc_pair_run(pair);
    lpx_assert(call.done == 1 && (call.code != LPX_OK || call.data.len == 1));
    pair_call_fini(&call);
    return call.code;
}

void pair_call_fini(pair_call *call)
{
    lpx_buf_fini(&call->data);
}
