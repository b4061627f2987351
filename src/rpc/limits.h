/* Limits of the call pipeline, with their reasons. */
#pragma once

enum {
    RPC_CALL_ARENA_BYTES = 48 << 20,          /* a 16 MiB request, decoded (up to twice its size) and an answer */
    RPC_STREAM_REQUEST_ARENA_BYTES = 4 << 20, /* one request of many on a stream: a few KiB, decoded */
    RPC_HTTP_ERROR_BYTES = 8192,              /* JSON of an error: its sentence, escaped, and a name */
    RPC_HTTP_TIMEOUT_DIGITS = 10,             /* of Connect-Timeout-Ms, as that protocol says */
    RPC_HEALTH_WATCHERS = 1000, /* open at once, of callers without credentials too: 100 bytes and a stream each */
    RPC_HTTP_ORIGINS_BYTES = 64 << 10, /* of all allowed origins */
    RPC_TOKEN_CACHE_SLOTS = 4096,      /* verdicts per loop; about 300 bytes each, made on first use */
    RPC_SEEN_SLOTS = 16384, /* credentials of connections that were seen, per loop; 24 bytes each, made on first use */
    RPC_KEPT_CALLS = 1024,  /* ended calls of a loop kept for reuse: as many as are under way at once; 5 KiB each */
    RPC_BASIC_CACHE_SLOTS = 16,  /* administrators are few */
    RPC_BASIC_QUEUE = 64,        /* password checks that may wait: each takes 20 MiB and tens of milliseconds */
    RPC_BASIC_CACHE_S = 300,     /* a changed password acts at once all the same: the snapshot's change clears it */
    RPC_FRESH_TOKEN_S = 10,      /* a younger token may be of a key that the change feed has still to tell of */
    RPC_WAIT_FOR_KEY_MS = 3000,  /* how long a call with such a token waits: a feed that lags more is broken */
    RPC_CERT_USED_EVERY_S = 60,  /* the last use of a certificate is written at most so often */
    RPC_CERT_LOOK_S = 3600,      /* how long a timer for the end of certificates sleeps: clocks are set */
    RPC_MAX_HEADER_BYTES = 8192, /* longest authorization header looked at */
    RPC_MAX_WALKS = 1024,        /* walks through lists under way at once: 200 bytes each */
    RPC_MAX_WALKS_OF_LIST = 8,   /* of one caller through one list: a console reloads, and leaves walks behind */
    RPC_WALK_REST_S = 600,       /* between two pages: a person reads one */
};
