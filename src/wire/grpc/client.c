/* The client on its loop. */
#include "wire/grpc/client.h"

#include <stdlib.h>

#include "lpx_reasons.h"
#include "wire/grpc/chan.h"

enum { FILL_BYTES = 64 * 1024 };

struct grpc_client {
    grpc_chan chan;
};

/* Freed when both the socket and the channel have left it. */
typedef struct client_link {
    grpc_link base;
    io_conn *io; /* NULL once closed */
} client_link;

static client_link *link_of(grpc_link *base)
{
    return LPX_CONTAINER(base, client_link, base);
}

static void on_open(void *ctx)
{
    client_link *link = ctx;
    grpc_chan *chan = link->base.chan;
    if (chan == NULL) {
        return;
    }
    if (chan->opts.tls != NULL && !lpx_str_is(io_conn_alpn(link->io), "h2")) {
        link->base.why = lpx_fail(&link->base.note, GRPC_CONN_ALPN, "%s", lpx_reason_text(GRPC_CONN_ALPN));
        io_conn_close(link->io, false);
        return;
    }
    if (!grpc_link_up(&link->base)) {
        io_conn_close(link->io, false);
    }
}

static void look_if_done(client_link *link)
{
    if (link->base.chan != NULL && grpc_link_done(&link->base)) {
        io_conn_close(link->io, true);
    }
}

static void on_bytes(void *ctx, lpx_bytes in)
{
    client_link *link = ctx;
    if (link->base.chan != NULL && link->base.up) {
        grpc_link_recv(&link->base, in);
        look_if_done(link);
    }
}

static void fill(void *ctx, lpx_buf *out)
{
    client_link *link = ctx;
    if (link->base.chan == NULL || !link->base.up) {
        return;
    }
    if (grpc_link_fill(&link->base, out, FILL_BYTES)) {
        io_conn_want_write(link->io);
        return;
    }
    look_if_done(link);
}

static void on_close(void *ctx, lpx_err why, const lpx_note *note)
{
    client_link *link = ctx;
    link->io = NULL;
    if (link->base.chan == NULL) {
        free(link);
        return;
    }
    grpc_link_lost(&link->base, why, note); /* frees it */
}

static const io_conn_events link_events = {
    .on_open = on_open,
    .on_bytes = on_bytes,
    .fill = fill,
    .on_close = on_close,
};

static lpx_err link_dial(grpc_chan *chan, grpc_link **out, lpx_note *note)
{
    client_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return lpx_fail(note, GRPC_NO_MEMORY, "%s", lpx_reason_text(GRPC_NO_MEMORY));
    }
    lpx_err err = io_connect(chan->env.loop, chan->address, chan->opts.tls, &link_events, link, &link->io, note);
    if (lpx_failed(err)) {
        free(link);
        return err;
    }
    *out = &link->base;
    return LPX_SUCCESS;
}

static void link_want_write(grpc_link *base)
{
    client_link *link = link_of(base);
    if (link->io != NULL) {
        io_conn_want_write(link->io);
    }
}

static void link_shut(grpc_link *base, bool flush)
{
    io_conn_close(link_of(base)->io, flush);
}

static void link_free(grpc_link *base)
{
    client_link *link = link_of(base);
    if (link->io == NULL) {
        free(link);
    }
}

static void chan_free(grpc_chan *chan)
{
    free(LPX_CONTAINER(chan, grpc_client, chan));
}

static const grpc_chan_ops chan_ops = {
    .dial = link_dial,
    .want_write = link_want_write,
    .shut = link_shut,
    .free_link = link_free,
    .free_chan = chan_free,
};

lpx_err grpc_client_new(io_loop *loop, const grpc_client_opts *opts, grpc_client **out, lpx_note *note)
{
    grpc_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return lpx_fail(note, GRPC_NO_MEMORY, "%s", lpx_reason_text(GRPC_NO_MEMORY));
    }
    lpx_err err = grpc_chan_init(&client->chan, loop, opts, &chan_ops, note);
    if (lpx_failed(err)) {
        free(client);
        return err;
    }
    *out = client;
    return LPX_SUCCESS;
}

bool grpc_client_connected(const grpc_client *client)
{
    return client->chan.current != NULL && client->chan.current->up;
}

void grpc_client_free(grpc_client **client)
{
    grpc_client *c = *client;
    if (c != NULL) {
        *client = NULL;
        grpc_chan_close(&c->chan);
    }
}

grpc_out *grpc_client_start(grpc_client *client, const char *path, const grpc_meta *meta, size_t meta_count,
                            int64_t timeout_us, const grpc_out_events *events, void *ctx)
{
    return grpc_chan_start(&client->chan, path, meta, meta_count, timeout_us, events, ctx);
}
