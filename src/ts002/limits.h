/* Limits of the Backend Interfaces, each with its reason. */
#pragma once

enum {
    /* A message: real peers take no more than 32 KiB either. */
    TS002_MESSAGE_BYTES = 32 << 10,
    /* What reading one message may take besides it: a parsed value is some 60 bytes, and "[[[[…" has one each byte. */
    TS002_ARENA_BYTES = 4 << 20,
    /* Address, credentials and CAs of one target together: a bundle of all public CAs is 220 KiB. */
    TS002_TARGET_BYTES = 512 << 10,
    /* Networks for which one target has credentials of their own. */
    TS002_MAX_ORIGINS = 4096,
    /* A HomeNSReq with all members is 260 bytes. */
    TS002_REQUEST_BYTES = 1024,

    /* Targets that one loop keeps state of: the one that was asked longest ago makes room. */
    TS002_MAX_TARGETS = 512,
    /* Questions under way, of one loop and of one target. At 50 ms an answer 32 are 640 devices a second, and a Join
     * Server that does not answer holds 32 connections of a loop, not all. */
    TS002_MAX_IN_FLIGHT = 128,
    TS002_MAX_IN_FLIGHT_PER_TARGET = 32,
    /* New questions a second for one target, after a burst: twice what a city's devices need when they all rejoin. */
    TS002_TARGET_PER_S = 100,
    TS002_TARGET_BURST = 400,
    /* The same for one forwarder, all targets together: it cannot use up what others need. */
    TS002_ORIGIN_PER_S = 50,
    TS002_ORIGIN_BURST = 200,
    TS002_ORIGIN_SLOTS = 256, /* forwarders share a slot by chance, which a secret seed makes */

    /* Remembered answers of a loop, 170 bytes each. */
    TS002_CACHE_ENTRIES = 32768,
    TS002_CACHE_BUCKETS = 8192,

    /* Failures in a row after which a target is left alone for a while: two seconds each, so soon; but not for one
     * lost connection. */
    TS002_FAILURES_TO_OPEN = 5,

    TS002_TENANT_BYTES = 64, /* ids have at most 63 characters */
    TS002_CLUSTER_BYTES = 64,
};

#define TS002_OPEN_FIRST_US (INT64_C(1) * 1000000)    /* a restart of a Join Server is noticed at once */
#define TS002_OPEN_MAX_US (INT64_C(60) * 1000000)     /* and a dead one is asked once a minute */
#define TS002_TIMEOUT_US (INT64_C(2) * 1000000)       /* forwarders wait 3 s, and devices open their window at 5 s */
#define TS002_POSITIVE_US (INT64_C(600) * 1000000)    /* devices seldom change hands */
#define TS002_NEGATIVE_US (INT64_C(30) * 1000000)     /* somebody registers a device and expects it to join */
#define TS002_TOKEN_SPARE_US (INT64_C(300) * 1000000) /* a token is replaced this long before it ends */
