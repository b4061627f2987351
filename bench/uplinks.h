/* Uplinks for load programs: requests to publish of 400 bytes in the form of lpx replay, 1,024 different ones, and what
 * comes back of them. Thread: one. */
#pragma once
#include <stdbool.h>

#include "base/bytes.h"

enum { UPLINKS_DIFFERENT = 1024 };

/** Which messages: their number and the sum of their ids' hashes, so that one too few and one too many show. */
typedef struct tally {
    long count;
    uint64_t sum;
} tally;

typedef struct uplinks uplinks;

/** Make the requests of a forwarder: 256 devices from dev_addr on, 40 gateways. */
uplinks *uplinks_new(uint32_t forwarder, uint32_t dev_addr);
/** The next request with its gRPC prefix, valid until it comes again.
 * @param stamp_ns written into its payload, for uplinks_stamp; 0: left as it is */
lpx_bytes uplinks_next(uplinks *set, uint64_t stamp_ns);
/** The stamp of a routed uplink. @return false without one */
bool uplinks_stamp(lpx_bytes routed, uint64_t *stamp_ns);
/** Count the id in an answer (its first field); ends the program when there is none. */
void uplinks_tally_answer(tally *t, lpx_bytes answer);
/** Count the id of a routed uplink; ends the program when id or message is missing. */
void uplinks_tally_routed(tally *t, lpx_bytes routed);
