/* Limits of the mapper, each with its reason. */
#pragma once

enum {
    /* ---- what a forwarder may tell ---- */

    /* Ids of gateways; The Things Stack allows 36 characters, others use serial numbers and host names. */
    MAPPER_ID_MAX_CHARS = 128,
    MAPPER_HASH_BYTES = 32,
    /* "hash:" and 64 hex digits, or a plain id. */
    MAPPER_KEY_BYTES = 136,
    /* Contacts: the longest e-mail address (RFC 5321), names and addresses of pages in the same room. */
    MAPPER_CONTACT_MAX_CHARS = 254,
    MAPPER_URL_MAX_CHARS = 1024,
    MAPPER_ANTENNAS_MAX = 255,
    /* Channels of one gateway; the largest concentrators have 64. */
    MAPPER_CHANNELS_MAX = 96,
    /* Points of a satellite's trajectory: one for each minute of a day. */
    MAPPER_TRAJECTORY_MAX = 1440,
    /* Metres: from below the Dead Sea's ground to beyond the highest orbits in use. */
    MAPPER_ALTITUDE_MIN_M = -20000,
    MAPPER_ALTITUDE_MAX_M = 100000000,
    MAPPER_ACCURACY_MAX_M = 20100000, /* half around the Earth */
    /* A forwarder that is gone for a day has no gateways online. */
    MAPPER_ONLINE_TTL_MAX_S = 24 * 60 * 60,

    /* ---- the index ---- */

    /* Gateways in one exchange: 150 bytes each. */
    MAPPER_MAX_GATEWAYS = 4 << 20,
    /* Forwarders and clusters with gateways. */
    MAPPER_MAX_FORWARDERS = 1 << 20,
    /* Rows of the visibilities and of members together while they are loaded, about 60 bytes each. */
    MAPPER_MAX_GRANTS = 2 << 20,
    MAPPER_GRANTS_BYTES = 512 << 20,
    /* Matches that a distance query collects; one with more goes over all gateways instead, in constant memory. */
    MAPPER_COLLECTED_MAX = 1 << 16,

    /* ---- queries ---- */

    /* Gateways looked at, and JSON made, before other work has its turn: about 2 ms. */
    MAPPER_SLICE_STEPS = 50000,
    MAPPER_SLICE_BYTES = 64 << 10,
    /* One gateway as JSON: the longest details, with room for escapes. */
    MAPPER_GATEWAY_JSON_BYTES = 64 << 10,
    /* Answers that are being streamed, of one loop: 330 KiB each when all of them collect. */
    MAPPER_LISTS_MAX = 128,
    /* Work that waits for the index: each HTTP connection of four loops has one request at a time. */
    MAPPER_WORK_MAX = 4096,
    /* Callers whose requests are counted, of one loop; 16 bytes each. */
    MAPPER_CALLERS = 1 << 14,

    /* ---- the store ---- */

    /* Rows of one page of the feed: half a megabyte. */
    MAPPER_PAGE_ROWS = 1000,
    MAPPER_PAGE_BYTES = 64 << 20,
    /* Rows removed in one transaction: others write in between. */
    MAPPER_SWEEP_ROWS = 500,
    /* Networks whose number of gateways is at its limit. */
    MAPPER_FULL_NETWORKS = 1024,
};

/* At least this between two loads of changes: 100,000 gateways make 170 changes in a second. */
#define MAPPER_LOAD_GAP_US (INT64_C(500) * 1000)
/* Each load goes back by this before the newest change known: other nodes' transactions and clocks. */
#define MAPPER_LOAD_OVERLAP_US (INT64_C(5) * 1000000)
/* Once in this time a load goes back by more, for what took longer. */
#define MAPPER_RECHECK_US (INT64_C(60) * 1000000)
#define MAPPER_RECHECK_OVERLAP_US (INT64_C(180) * 1000000)
/* A failed load is tried again after this. */
#define MAPPER_RETRY_US (INT64_C(1000) * 1000)
/* Stale gateways are looked for this often, or four times in the time that they are kept. */
#define MAPPER_SWEEP_US (INT64_C(600) * 1000000)
