/* Named maxima of the HTTP/2 session, each with its reason. A rate is a burst and so many more a second. */
#pragma once

enum {
    /* Streams that a peer may have open when the user of the session names no number. */
    H2_MAX_STREAMS = 8192,
    /* Received bytes of one stream before the peer must wait: 10 MB/s at a round trip of 100 ms. */
    H2_STREAM_WINDOW_BYTES = 1024 * 1024,
    /* The same for a connection: four streams at full speed. What is kept of it is bounded above this layer. */
    H2_CONN_WINDOW_BYTES = 4 * 1024 * 1024,
    /* Names, values and 32 bytes each of one head or tail: a token of some KiB and its company fit well. */
    H2_MAX_HEAD_BYTES = 32 * 1024,
    /* Fields of one head and tail together; real calls have about ten. */
    H2_MAX_FIELDS = 128,
    /* Fields that a stream holds without memory of its own. */
    H2_INLINE_FIELDS = 16,
    /* Fields in what we send. */
    H2_MAX_SENT_FIELDS = 64,
    /* CONTINUATION frames of one head: 32 KiB need two. */
    H2_MAX_CONTINUATIONS = 4,
    /* Entries of one SETTINGS frame; seven are defined. */
    H2_MAX_SETTINGS_ENTRIES = 32,
    /* Answers to PING and SETTINGS that wait because the peer does not read. */
    H2_MAX_WAITING_ACKS = 512,
    /* Frames that wait to be sent: head and tail of each stream twice over. */
    H2_MAX_WAITING_FRAMES = 4 * H2_MAX_STREAMS,
    /* Unsent bytes of one stream: two largest messages and what is below the high-water mark. */
    H2_MAX_UNSENT_STREAM_BYTES = 34 * 1024 * 1024,
    /* Unsent bytes of all streams of a connection. */
    H2_MAX_UNSENT_CONN_BYTES = 128 * 1024 * 1024,
    /* Unsent bytes of all sessions of a pool, unless its owner sets another number. */
    H2_MAX_UNSENT_POOL_BYTES = 1024 * 1024 * 1024,
    /* Fields of all open streams of a connection: 4,096 calls with a token take 6 MiB, 8,192 largest tokens this much.
     */
    H2_MAX_HEADS_CONN_BYTES = 64 * 1024 * 1024,
    /* A stream with more unsent bytes than that is told when it is below the low mark again. */
    H2_SEND_HIGH_BYTES = 256 * 1024,
    H2_SEND_LOW_BYTES = 64 * 1024,
    /* A stream sends so much before the others have their turn: one DATA frame. */
    H2_TURN_BYTES = 16 * 1024,
    /* Room of a send queue that a stream keeps for its next life. */
    H2_KEPT_QUEUE_BYTES = 2 * 1024,
    /* Memory of nghttp2 kept for reuse by one pool: that of some thousand open streams. */
    H2_KEPT_MEMORY_BYTES = 4 * 1024 * 1024,
    /* Streams kept for reuse by one pool. */
    H2_KEPT_STREAMS = 4096,
    /* Text after the code in a GOAWAY that is kept. */
    H2_MAX_GOAWAY_TEXT_BYTES = 120,

    /* Streams reset by the peer or for its mistakes. One client that cancels all its 4,096 calls after each deadline of
     * 3 s stays below. */
    H2_RESET_BURST = 8192,
    H2_RESET_PER_S = 1500,
    /* Pings beyond those that our own DATA frames provoke (clients measure the bandwidth with them). */
    H2_PING_BURST = 100,
    H2_PING_PER_S = 10,
    /* Some clients adapt their windows to the measured bandwidth. */
    H2_SETTINGS_BURST = 100,
    H2_SETTINGS_PER_S = 5,
    /* Priorities are not used, but some clients send them with each stream. */
    H2_PRIORITY_BURST = 8192,
    H2_PRIORITY_PER_S = 1000,
    H2_EMPTY_DATA_BURST = 1000,
    H2_EMPTY_DATA_PER_S = 100,
    /* Beyond two for each DATA frame of ours. */
    H2_WINDOW_BURST = 20000,
    H2_WINDOW_PER_S = 1000,
    /* Extensions and greasing. */
    H2_UNKNOWN_BURST = 1000,
    H2_UNKNOWN_PER_S = 100,
    /* Early pings that are forgiven, as other gRPC servers do. */
    H2_PING_STRIKES = 2,
};
