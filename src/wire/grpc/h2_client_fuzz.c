/* Bytes of a server into a client connection with a few calls open. The first byte says in which pieces they come. */
#include "base/assert.h"
#include "wire/grpc/chan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS = 3 };

typedef struct end {
    grpc_chan chan;
    grpc_link link;
    bool wants, freed, link_freed, shut;
    grpc_out *outs[CALLS];
    unsigned done[CALLS], messages;
} end;

typedef struct call_ref {
    end *e;
    size_t index;
} call_ref;

static lpx_err dial(grpc_chan *chan, grpc_link **out, lpx_note *note)
{
    (void)note;
    *out = &LPX_CONTAINER(chan, end, chan)->link;
    return LPX_SUCCESS;
}

static void want_write(grpc_link *link)
{
    LPX_CONTAINER(link, end, link)->wants = true;
}

static void shut(grpc_link *link, bool flush)
{
    (void)flush;
    LPX_CONTAINER(link, end, link)->shut = true;
}

static void free_link(grpc_link *link)
{
    LPX_CONTAINER(link, end, link)->link_freed = true;
}

static void free_chan(grpc_chan *chan)
{
    LPX_CONTAINER(chan, end, chan)->freed = true;
}

static const grpc_chan_ops ops = {
    .dial = dial, .want_write = want_write, .shut = shut, .free_link = free_link, .free_chan = free_chan};

static void on_message(void *ctx, lpx_bytes message)
{
    call_ref *ref = ctx;
    lpx_assert(ref->e->done[ref->index] == 0);
    ref->e->messages++;
    if (message.len > 0 && message.ptr[0] == 'c') {
        grpc_out_cancel(ref->e->outs[ref->index]);
    } else if (message.len > 0 && message.ptr[0] == 's') {
        (void)grpc_out_send(ref->e->outs[ref->index], message);
    }
}

static void on_writable(void *ctx)
{
    (void)ctx;
}

static void on_done(void *ctx, const grpc_status *status)
{
    call_ref *ref = ctx;
    lpx_assert(ref->e->done[ref->index] == 0 && status->code <= LPX_UNAUTHENTICATED);
    ref->e->done[ref->index]++;
}

static const grpc_out_events events = {.on_message = on_message, .on_writable = on_writable, .on_done = on_done};

static void drain_output(end *e, lpx_buf *out)
{
    for (int i = 0; i < 64 && e->wants; i++) {
        lpx_buf_clear(out);
        e->wants = grpc_link_fill(&e->link, out, 65536);
    }
    (void)grpc_env_run(&e->chan.env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    end e = {0};
    grpc_client_opts opts = {.address = "a:1", .max_message_bytes = 100000, .seed = 1};
    lpx_note note;
    if (size < 1 || lpx_failed(grpc_chan_init(&e.chan, NULL, &opts, &ops, &note))) {
        return 0;
    }
    e.chan.env.now.us = 1000000;
    call_ref refs[CALLS];
    lpx_buf out;
    lpx_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < CALLS; i++) {
        refs[i] = (call_ref){&e, i};
        e.outs[i] = grpc_chan_start(&e.chan, "/a.B/C", NULL, 0, (int64_t)i * 5000000, &events, &refs[i]);
        lpx_assert(e.outs[i] != NULL);
        (void)grpc_out_send(e.outs[i], lpx_bytes_of("hello", 5));
    }
    lpx_assert(grpc_link_up(&e.link));
    grpc_out_close_send(e.outs[0]);
    drain_output(&e, &out);
    size_t piece = data[0] == 0 ? size : data[0];
    for (size_t at = 1; at < size && !grpc_link_done(&e.link); at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        grpc_link_recv(&e.link, lpx_bytes_of(data + at, n));
        e.chan.env.now.us += 1000;
        drain_output(&e, &out);
    }
    e.chan.env.now.us += INT64_C(20000000);
    (void)grpc_env_run(&e.chan.env);
    grpc_link_lost(&e.link, LPX_SUCCESS, NULL);
    lpx_assert(e.link_freed);
    (void)grpc_env_run(&e.chan.env);
    for (size_t i = 0; i < CALLS; i++) {
        lpx_assert(e.done[i] == 1);
    }
    grpc_chan_close(&e.chan);
    lpx_assert(e.freed);
    lpx_buf_fini(&out);
    return 0;
}
