/* Addresses "host:port" as text, and listening sockets made from them. Level 2. */
#pragma once
#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"
#include "io/limits.h"

struct sockaddr;

/** Host and port of "host:port". */
typedef struct io_address {
    char host[IO_HOST_BYTES]; /* NUL-ended; IPv6 without brackets; empty: any (listening only) */
    uint16_t port;
} io_address;

/** Take "host:port" apart. IPv6 stands in brackets; the port is 0 to 65535 and always there; the host may be empty.
 * @param note says what an address looks like
 * @err INVALID_ARGUMENT: IO_ADDRESS_BAD   @thread any */
LPX_RESULT io_address_parse(lpx_str text, io_address *out, lpx_note *note);

/** Text "address:port" of a socket address into out, NUL-ended; IPv4 inside IPv6 is shown as IPv4. @thread any */
void io_address_format(const struct sockaddr *addr, char out[static IO_PEER_BYTES]);

/** Non-blocking listening socket on "host:port" with SO_REUSEPORT and TCP_NODELAY. An empty host is every address, IPv6
 * and IPv4; of a name its IPv4 address counts before the others. A name is looked up and blocks meanwhile.
 * @param fd   the caller's to close
 * @param port the port that it listens on (port 0 in the address picks a free one)
 * @err IO_ADDRESS_BAD, IO_NAME_UNKNOWN, IO_LISTEN_FAILED: note says the address and why   @thread any */
LPX_RESULT io_socket_listen(const char *address, int *fd, uint16_t *port, lpx_note *note);

/** Addresses that share their first bits; IPv4 as IPv4 inside IPv6. */
typedef struct io_subnet {
    uint8_t first[16];
    unsigned bits; /* 0 to 128, those of IPv4 counted from 96 */
} io_subnet;

/** Read "10.0.0.0/8", "fd00::/8" or one address. Bits below the prefix must be 0: a mistyped prefix opens no door.
 * @param note says what would be right
 * @err INVALID_ARGUMENT: IO_ADDRESS_BAD   @thread any */
LPX_RESULT io_subnet_parse(lpx_str text, io_subnet *out, lpx_note *note);
/** Is the address (IPv4, IPv6; others never are) one of the subnet's? @thread any */
bool io_subnet_has(const io_subnet *subnet, const struct sockaddr *addr);
