/* A subscription that a command reads until it has enough, the exchange ends it or Ctrl-C comes. */
#pragma once
#include "cli/cli_priv.h"

/** What to do with one message, which lives until the function returns.
 * @param over set it when the command has enough */
typedef lpx_err cli_stream_fn(cli *c, const ProtobufCMessage *message, void *ctx, bool *over);

/** Which stream. */
typedef struct cli_stream {
    agent_service service;
    const char *path;
    const ProtobufCMessage *request;
    const ProtobufCMessageDescriptor *answer;
    bool reconnect; /* come back after a loss, saying so on standard error */
    cli_stream_fn *each;
    void *ctx;
} cli_stream;

/** Read it to its end. Closes c->agent. @err of the call, or what each returned */
LPX_RESULT cli_stream_run(cli *c, const cli_stream *stream);
