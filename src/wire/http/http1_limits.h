/* Maxima of the HTTP/1.1 server and of outbound HTTP, each with its reason. Level 3. */
#pragma once

enum {
    /* Request line and headers: what the common servers take; a token of 4 KiB and a long query fit. */
    HTTP1_HEAD_MAX_BYTES = 16 * 1024,
    /* Headers of one request; browsers send about 20. */
    HTTP1_HEADERS_MAX = 64,
    /* Body of a request unless told otherwise: every JSON rpc and Backend Interfaces message fits. */
    HTTP1_BODY_BYTES = 1024 * 1024,
    /* Arena of one request: its headers and what its handler makes. */
    HTTP1_ARENA_BYTES = 4 * 1024 * 1024,
    /* Connections of one server, that is of one loop. */
    HTTP1_CONNECTIONS_MAX = 1024,
    /* Bytes that a client may send ahead of its answers. */
    HTTP1_AHEAD_BYTES = 64 * 1024,
    /* Answers not sent yet, above which no further request of the connection is begun. */
    HTTP1_OUT_HIGH_BYTES = 256 * 1024,
    /* One answer; exports in larger pieces go by pages. */
    HTTP1_OUT_MAX_BYTES = 64 * 1024 * 1024,
    /* Given to a connection at once. */
    HTTP1_FILL_BYTES = 64 * 1024,
    /* A streamed answer is told to wait when so much of it waits to be sent, or came in one turn... */
    HTTP1_STREAM_HIGH_BYTES = 256 * 1024,
    /* ...and to go on when no more than this waits. */
    HTTP1_STREAM_LOW_BYTES = 64 * 1024,
    /* Smaller answers are not worth a compressor's work: they fit into one packet. */
    HTTP1_GZIP_MIN_BYTES = 1024,
    /* Larger answers would hold up the loop: compressing this takes 0.1 s. What is larger is streamed. */
    HTTP1_GZIP_MAX_BYTES = 8 * 1024 * 1024,
    /* Compressed streams of one server at a time, 200 KiB each; further ones go uncompressed. */
    HTTP1_GZIP_STREAMS_MAX = 128,
    /* Fastest level: the gain of the next ones does not pay for a server. */
    HTTP1_GZIP_LEVEL = 1,
    /* Line of a chunk: 16 hex digits and extensions nobody uses. */
    HTTP1_CHUNK_LINE_BYTES = 256,
    /* A client must send this much of a body in each read timeout. */
    HTTP1_BODY_STEP_BYTES = 64 * 1024,
    /* Routes of one server: about 10 fixed ones, the console and the rpc prefixes. */
    HTTP1_ROUTES_MAX = 64,
    /* Addresses of one server: eight direct ones, eight behind balancers. */
    HTTP1_LISTENERS_MAX = 16,
    /* Answer of an outbound request unless told otherwise. */
    FETCH_BODY_BYTES = 4 * 1024 * 1024,
    /* Outbound requests of one loop at a time. */
    FETCH_CALLS_MAX = 256,
    /* Idle outbound connections kept. */
    FETCH_KEPT_CONNECTIONS = 32,
};

#define HTTP1_READ_TIMEOUT_US (INT64_C(30) * 1000000)
#define HTTP1_IDLE_TIMEOUT_US (INT64_C(60) * 1000000)
#define HTTP1_WRITE_TIMEOUT_US (INT64_C(30) * 1000000) /* without the peer taking a byte */
#define FETCH_CONNECT_TIMEOUT_US (INT64_C(10) * 1000000)
#define FETCH_TIMEOUT_US (INT64_C(30) * 1000000)
