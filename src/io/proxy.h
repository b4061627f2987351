/* PROXY protocol, version 2 alone: what a load balancer says of the connection behind it, and from which balancers that
 * is believed. The text of the protocol is HAProxy's proxy-protocol.txt, section 2.2. Of the TLVs only the checksum is
 * used: what a balancer says of a client's certificate is not believed, because it cannot be verified here. Level 2. */
#pragma once
#include <sys/socket.h>

#include "io/address.h"

enum { IO_PROXY_FIXED_BYTES = 16 }; /* signature, command, family, length */

/** What a header says. */
typedef struct io_proxy_header {
    bool has_peer;                /* false: the connection's own peer counts (health checks, AF_UNIX, unknown) */
    struct sockaddr_storage peer; /* AF_INET or AF_INET6 */
} io_proxy_header;

/** Length of the whole header, from its first IO_PROXY_FIXED_BYTES.
 * @param note says what is wrong
 * @err INVALID_ARGUMENT: IO_PROXY_BAD (no such header, version 1, too long) */
LPX_RESULT io_proxy_length(lpx_bytes fixed, size_t *len, lpx_note *note);
/** Read a header, neither more nor less. @err INVALID_ARGUMENT: IO_PROXY_BAD */
LPX_RESULT io_proxy_read(lpx_bytes header, io_proxy_header *out, lpx_note *note);

/** Balancers that may speak, and what came of it; one for all loops. */
typedef struct io_proxy_gate io_proxy_gate;

/** Counts since the start. */
typedef struct io_proxy_counts {
    uint64_t accepted_total;  /* connections with a good header */
    uint64_t strangers_total; /* from addresses that may not; closed at once */
    uint64_t malformed_total; /* broken headers, none in time */
} io_proxy_counts;

/** New gate for count addresses or subnets as io_subnet_parse reads them.
 * @err INVALID_ARGUMENT: IO_ADDRESS_BAD, also for an empty list; RESOURCE_EXHAUSTED: IO_NO_RESOURCES */
LPX_RESULT io_proxy_gate_new(const lpx_str *from, size_t count, io_proxy_gate **out, lpx_note *note);
/** Free; clears the pointer; accepts NULL. After all that listen with it. */
void io_proxy_gate_free(io_proxy_gate **gate);
/** May this peer speak? Counts it when not. @thread any */
bool io_proxy_gate_admits(io_proxy_gate *gate, const struct sockaddr *peer);
/** Count a header. @thread any */
void io_proxy_gate_count(io_proxy_gate *gate, bool good);
/** Read the counts. @thread any */
io_proxy_counts io_proxy_gate_counts(const io_proxy_gate *gate);
