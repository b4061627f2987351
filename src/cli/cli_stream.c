#include "cli/cli_stream.h"

#include "codec/pb/pb.h"
#include "lpx_reasons.h"

typedef struct reader {
    cli *c;
    const cli_stream *stream;
    lpx_arena arena; /* of one message */
    bool over;
    lpx_err err;
} reader;

static void stop(reader *r, lpx_err err)
{
    r->over = true;
    r->err = err;
}

/* What the command takes while it handles the message goes with the message: it may run for months. */
static lpx_err each(reader *r, const ProtobufCMessage *message, bool *over)
{
    lpx_arena of_run = r->c->arena;
    r->c->arena = r->arena;
    lpx_err err = r->stream->each(r->c, message, r->stream->ctx, over);
    r->arena = r->c->arena;
    r->c->arena = of_run;
    return err;
}

static void on_message(void *ctx, lpx_bytes message)
{
    reader *r = ctx;
    ProtobufCMessage *decoded = NULL;
    lpx_note note = {{0}};
    bool over = false;
    if (r->over) {
        return;
    }
    lpx_arena_reset(&r->arena);
    if (lpx_failed(pb_decode(r->stream->answer, message, &r->arena, &decoded, &note))) {
        stop(r, cli_fail(r->c, CLI_INPUT, "cannot read what came: %s", note.text));
        return;
    }
    lpx_err err = each(r, decoded, &over);
    if (lpx_failed(err) || over) {
        stop(r, err);
    }
}

static void on_lost(void *ctx, const agent_failure *why, int64_t pause_us)
{
    reader *r = ctx;
    (void)fprintf(r->c->world->err, "%s: %s; connecting again in %.1f s\n", r->c->program,
                  why != NULL ? why->text : "the exchange ended the subscription", (double)pause_us / 1e6);
}

static void on_end(void *ctx, const agent_failure *why)
{
    reader *r = ctx;
    bool good = why == NULL || why->code == LPX_CANCELLED;
    stop(r, good ? LPX_SUCCESS : cli_call_failed(r->c, why));
}

lpx_err cli_stream_run(cli *c, const cli_stream *stream)
{
    static const agent_stream_events events = {.on_message = on_message, .on_lost = on_lost, .on_end = on_end};
    LPX_TRY(cli_connect(c));
    reader r = {.c = c, .stream = stream};
    lpx_arena_init(&r.arena, CLI_ARENA_BYTES);
    if (agent_subscribe(c->agent, stream->service, stream->path, stream->request, stream->reconnect, &events, &r) ==
        NULL) {
        r.err = cli_fail(c, CLI_CALL, "not enough memory");
        r.over = true;
    }
    cli_catch_interrupt();
    while (!r.over && !cli_interrupted()) {
        io_loop_turn(agent_loop(c->agent), 100000);
    }
    cli_release_interrupt();
    agent_close(&c->agent); /* before r goes: its callbacks point there */
    lpx_arena_fini(&r.arena);
    return r.err;
}
