/* Named maxima of the gRPC layer, each with its reason. */
#pragma once
#include <stdint.h>

enum {
    /* Packet exchange clients run with 16 MiB both ways; one more byte is somebody's mistake. */
    GRPC_MAX_MESSAGE_BYTES = 16 * 1024 * 1024,
    /* One agent keeps up to 4,096 publish calls open at a time; streams and reports come on top. */
    GRPC_MAX_STREAMS = 8192,
    /* Addresses of one server: TLS, TLS with certificates, plaintext and behind balancers, eight of each. */
    GRPC_LISTENERS_MAX = 32,
    /* Connections of one server (one loop); a connection at rest costs about 30 KiB. */
    GRPC_MAX_CONNECTIONS = 10000,
    /* Room of one call's arena: a decoded request of the control plane is a few KiB, a page of answers some hundred. */
    GRPC_CALL_ARENA_BYTES = 4 * 1024 * 1024,
    /* Received bytes that one connection may make us hold: parts of large messages and messages of paused calls.
     * Enough for three largest messages at once; what goes beyond fails the call that received it. */
    GRPC_MAX_HELD_CONN_BYTES = 56 * 1024 * 1024,
    /* The same for all connections of one server. */
    GRPC_MAX_HELD_SERVER_BYTES = 512 * 1024 * 1024,
    /* Open calls of one server; each costs about 3 KiB and its arena. Sixty agents with 4,096 calls each. */
    GRPC_MAX_CALLS = 262144,
    /* Bytes that all calls of a server may have waiting for slow readers. */
    GRPC_MAX_UNSENT_SERVER_BYTES = 1024 * 1024 * 1024,
    /* A call whose unsent bytes are above the high-water mark is told to wait, until they are below the low one. */
    GRPC_SEND_HIGH_BYTES = 256 * 1024,
    GRPC_SEND_LOW_BYTES = 64 * 1024,
    /* Smaller messages are not worth a compressor's work: they fit into one packet. */
    GRPC_GZIP_MIN_BYTES = 1024,
    /* Largest room of the (de)compressor that is kept between messages. */
    GRPC_GZIP_KEEP_BYTES = 1024 * 1024,
    /* Fastest level: the gain of the next ones does not pay for a server. */
    GRPC_GZIP_LEVEL = 1,
    /* A status message is one sentence. The peer's header list has to hold it, percent-encoded. */
    GRPC_MAX_STATUS_TEXT_BYTES = 1024,
    /* Serialised google.rpc.Status; base64 of it must fit a header list of 8 KiB, the default of many clients. */
    GRPC_MAX_STATUS_DETAILS_BYTES = 4096,
    /* Metadata entries of one outgoing call. */
    GRPC_MAX_META = 32,
    /* Names and values of an outgoing call; the HTTP/2 layer sends no head above 64 KiB, most servers take much less.
     */
    GRPC_MAX_META_BYTES = 48 * 1024,
    /* Calls that wait for one channel's connection; the largest worker pool seen is 4,096 calls. */
    GRPC_MAX_WAITING_CALLS = 16384,
    /* Digits that gRPC allows in a timeout. */
    GRPC_MAX_TIMEOUT_DIGITS = 8,
    /* Pings that come too early before the connection is ended, as other servers count them. */
    GRPC_MAX_PING_STRIKES = 2,
};

/* Peers are known to ping every 5 minutes and expected not to below 1 minute; 10 s is the least that stock clients let
 * a user choose. */
#define GRPC_MIN_PING_INTERVAL_US (10 * INT64_C(1000000))
/* No stream for so long: the client is told to come again when it needs us. */
#define GRPC_IDLE_TIMEOUT_US (30 * 60 * INT64_C(1000000))
/* A new connection must have sent its preface and SETTINGS by then. */
#define GRPC_PREFACE_TIMEOUT_US (20 * INT64_C(1000000))
/* Open calls and nothing heard for so long: ask whether the client is still there (half-open connections behind NAT).
 */
#define GRPC_SERVER_KEEPALIVE_US (60 * INT64_C(1000000))
/* The client asks less often: servers forbid more than a ping in 5 minutes by default. */
#define GRPC_CLIENT_KEEPALIVE_US (300 * INT64_C(1000000))
/* A ping not answered for so long means that the peer is gone. */
#define GRPC_KEEPALIVE_TIMEOUT_US (20 * INT64_C(1000000))
/* Between the announcement of a drain and the GOAWAY that names the last stream, when the peer answers no ping. */
#define GRPC_DRAIN_NOTICE_US (1 * INT64_C(1000000))
/* Pause after a failed connect: doubled each time, spread by 20 % either way. */
#define GRPC_BACKOFF_FIRST_US (100 * INT64_C(1000))
#define GRPC_BACKOFF_MAX_US (10 * INT64_C(1000000))
/* Longer timeouts than this (68 years) are no timeouts. */
#define GRPC_MAX_TIMEOUT_US (INT64_C(2147483648) * 1000000)
