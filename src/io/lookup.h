/* Name lookups that do not block a loop: getaddrinfo on a thread of its own, so that the system's whole name service
 * counts (hosts file, mDNS, search domains). Private to io. Level 2. Thread: owner loop. */
#pragma once
#include <netdb.h>

#include "io/address.h"
#include "io/loop.h"

typedef struct io_lookup io_lookup;

/** Told once, on the loop, unless cancelled before.
 * @param code 0 or an EAI_ number
 * @param list the receiver's to free by freeaddrinfo; NULL on failure */
typedef void io_lookup_done(void *ctx, int code, struct addrinfo *list);

/** Start to look up address->host. @return NULL when threads or memory are short, or IO_LOOKUPS_MAX run already */
io_lookup *io_lookup_start(io_loop *loop, const io_address *address, io_lookup_done *done, void *ctx);
/** Forget it: done will not be called; clears the pointer; accepts NULL. */
void io_lookup_cancel(io_lookup **lookup);
