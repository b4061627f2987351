/* Limits of the agent. */
#pragma once

enum {
    AGENT_HOST_BYTES = 256,           /* a DNS name has at most 253 characters */
    AGENT_ADDRESS_BYTES = 272,        /* host, brackets, colon, port */
    AGENT_FAILURE_BYTES = 1024,       /* a sentence of the exchange and ours beside it */
    AGENT_MESSAGE_BYTES = 16 << 20,   /* as the exchange accepts */
    AGENT_TOKEN_BODY_BYTES = 1 << 20, /* what the existing clients read of a token answer */
    AGENT_LINE_BYTES = 1 << 20,       /* one line of an uplink file; 100 receptions take 30 KiB */
};

#define AGENT_CALL_TIMEOUT_US (10 * 1000000LL)
#define AGENT_TOKEN_MARGIN_US (60 * 1000000LL)  /* a token is renewed that long before it ends */
#define AGENT_TOKEN_RETRY_US (10 * 1000000LL)   /* least time between two fetches for one audience */
#define AGENT_STREAM_STEADY_US (60 * 1000000LL) /* a stream that lived so long starts again with the shortest pause */
