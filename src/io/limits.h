/* Maxima of io, each with its reason. Level 2. */
#pragma once

enum {
    /* One recv fills at most this: four TLS records; shared by all connections of a loop. */
    IO_READ_BYTES = 64 * 1024,
    /* Read from one connection in one turn, so that a fast peer does not starve the others. */
    IO_READ_BYTES_PER_TURN = 256 * 1024,
    /* Fills and writes of one connection in one turn, while the socket takes all: a turn may take in several times what
     * one fill holds for a single subscriber, and more would keep the others waiting. */
    IO_FILLS_PER_TURN = 16,
    /* A fill that adds this much probably stopped at its own limit and is asked again. */
    IO_FILL_AGAIN_BYTES = 32 * 1024,
    /* Most that may wait in one connection: one fill (64 KiB asked for) plus the largest message that a fill may end
     * with (16 MiB and framing) plus TLS overhead. */
    IO_UNSENT_MAX_BYTES = 20 * 1024 * 1024,
    /* A send buffer larger than this is freed after use, not kept for the next connection. */
    IO_KEPT_BUFFER_BYTES = 256 * 1024,
    /* Connections accepted in one turn of one listener. */
    IO_ACCEPTS_PER_TURN = 64,
    /* Kernel's queue of connections not accepted yet. */
    IO_LISTEN_BACKLOG = 1024,
    /* Threads that look up names for one loop at a time; each may block for half a minute on a broken name service. */
    IO_LOOKUPS_MAX = 64,
    /* Bytes thrown away after our own end of the stream, while waiting for the peer's. */
    IO_LINGER_BYTES = 1024 * 1024,
    /* Names of ALPN protocols of one context, with their length bytes. */
    IO_ALPN_BYTES = 64,
    /* Longest DNS name (253) and its NUL. */
    IO_HOST_BYTES = 254,
    /* Files of CAs that one context trusts. */
    IO_TLS_CA_FILES_MAX = 16,
    /* A header of the PROXY protocol: addresses take 216 bytes at most, and a client's certificate, which some
     * balancers add, about 2 KiB. */
    IO_PROXY_MAX_BYTES = 8 * 1024,
    /* "[" IPv6 with zone "]:" port NUL. */
    IO_PEER_BYTES = 80,
    /* Signal numbers of one receiver: more than a server has use for. */
    IO_SIGNALS_MAX = 8,
    /* Worker threads of one pool: more gives nothing for SQL and hashes on any machine meant here. */
    IO_WORKERS_MAX = 256,
};

#define IO_CONNECT_TIMEOUT_US (INT64_C(10) * 1000000)   /* per address: three SYN retries */
#define IO_HANDSHAKE_TIMEOUT_US (INT64_C(10) * 1000000) /* a TLS handshake takes two round trips */
#define IO_PROXY_TIMEOUT_US (INT64_C(5) * 1000000)      /* a balancer sends it with the connection */
#define IO_FLUSH_TIMEOUT_US (INT64_C(5) * 1000000)      /* as promised by io_conn_close */
#define IO_LINGER_TIMEOUT_US (INT64_C(2) * 1000000)     /* a round trip and the peer's loop turn, generously */
#define IO_ACCEPT_PAUSE_US (INT64_C(100) * 1000)        /* after running out of file descriptors */
