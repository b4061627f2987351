/* Limits of the router, each with its reason. */
#pragma once

enum {
    ROUTER_NAME_BYTES = 64, /* of the exchange, in every delivered message */

    /* One loop per core; the counters and mail boxes of a loop are a few KiB. */
    ROUTER_MAX_LOOPS = 64,

    /* Queue of one subscription. A message takes about 500 bytes: 4,096 of them are some seconds of a busy network, and
     * an uplink that waits longer than half a minute is of no use to a network server. */
    ROUTER_QUEUE_MESSAGES = 4096,
    ROUTER_QUEUE_MAX_MESSAGES = 1 << 20,
    ROUTER_QUEUE_BYTES = 8 << 20,
    ROUTER_QUEUE_MIN_BYTES = 1 << 16,
    ROUTER_QUEUE_MAX_BYTES = 1 << 30,
    ROUTER_QUEUE_AGE_US = 30 * 1000 * 1000,
    /* All queues of a loop together, copies counted once for each queue: slow subscribers cannot take the machine. */
    ROUTER_SHARD_BYTES = 256 << 20,

    /* Messages under way from all loops to one: a loop that does not run for a second at full speed. */
    ROUTER_RELAY_ITEMS = 1 << 17,
    /* Messages in one batch to another loop. */
    ROUTER_BATCH_ITEMS = 64,
    /* Encoded copies of one message for different home networks: more than the largest message twice over. */
    ROUTER_COPY_BYTES = 64 << 20,
    /* Encoded copies that are kept while one message is given out; neighbours share, so few are enough. */
    ROUTER_COPIES_KEPT = 8,
    /* An encoding buffer larger than this is not kept for the next message. */
    ROUTER_SCRATCH_KEEP_BYTES = 1 << 20,
    /* A request to publish, unless configured otherwise: real ones are below 10 KiB, and what goes out stays well below
     * the 4 MiB that gRPC clients take by default, which a larger message would cut off. */
    ROUTER_PUBLISH_BYTES = 1 << 20,
    ROUTER_PUBLISH_MIN_BYTES = 1 << 12,
    /* Uplinks in one request of a stream: what a busy concentrator has in some seconds. Memory for one of them, as for
     * a call; answers with an error each, of a note's length. */
    ROUTER_STREAM_BATCH = 1024,
    ROUTER_STREAM_ARENA_BYTES = 48 << 20,
    ROUTER_STREAM_ANSWER_BYTES = 1 << 20,
    /* A request that is read in place; lengths up to it have two bytes. Larger ones are decoded. */
    ROUTER_SCAN_MAX_BYTES = (1 << 14) - 1,
    /* A whole message with its envelope: clients take no more, a larger one would end a subscriber's stream. */
    ROUTER_MESSAGE_BYTES = 16 << 20,

    /* Open subscriptions in the exchange, and those of one network or tenant: each may get a copy of one message. */
    ROUTER_MAX_SUBS = 65536,
    ROUTER_MAX_SUBS_PER_MEMBER = 4096,
    /* Filters of one subscription; real clients send two. */
    ROUTER_MAX_FILTERS = 256,
    /* EUI prefixes, DevAddr prefixes and port ranges of one subscription together: looked at one by one. */
    ROUTER_MAX_CONDITIONS = 4096,

    /* Rows in one snapshot: a million DevAddr blocks take 60 MB and a third of a second to build. */
    ROUTER_MAX_BLOCKS = 4 << 20,
    ROUTER_MAX_POLICIES = 1 << 20,
    ROUTER_MAX_DELEGATIONS = 1 << 20,
    ROUTER_MAX_MEMBERS = 1 << 20,
    ROUTER_MAX_SETTINGS = 1 << 18,
    ROUTER_MAX_PARTIES = 1 << 20,
    /* Join Servers, and all their JoinEUI prefixes. */
    ROUTER_MAX_JOIN_SERVERS = 65536,
    ROUTER_MAX_JOIN_PREFIXES = 1 << 20,
    /* Join Servers that are asked about one join-request: those who share a prefix know each other. */
    ROUTER_JOIN_SERVERS_ASKED = 8,
    /* Join-requests of a loop that wait for a Join Server, two seconds at most: some hundred bytes each. */
    ROUTER_JOINS_WAITING = 4096,
    ROUTER_JOINS_WAITING_BYTES = 16 << 20,
    /* Memory to route one of them, when it has waited: as for a request that comes. */
    ROUTER_JOIN_ARENA_BYTES = 64 << 20,
    /* Text of the rows while they are loaded. */
    ROUTER_LOAD_BYTES = 512 << 20,
    /* Text kept with a snapshot. */
    ROUTER_TABLES_TEXT_BYTES = 256 << 20,
    /* A failed load is tried again after this. */
    ROUTER_RELOAD_US = 1000 * 1000,
    /* A load that takes longer than the first is followed by a pause of four times as long, but not shorter and not
     * longer than the others: a change acts within two and a half seconds at a million blocks. */
    ROUTER_LOAD_QUICK_US = 10 * 1000,
    ROUTER_LOAD_PAUSE_TIMES = 4,
    ROUTER_LOAD_PAUSE_MIN_US = 50 * 1000,
    ROUTER_LOAD_PAUSE_MAX_US = 2 * 1000 * 1000,
    /* After this every loop has the new tables, and the old ones are freed by a worker: large ones take some time. */
    ROUTER_RETIRE_US = 1000 * 1000,

    /* Reports of processing that are remembered, per loop and generation (two generations): 4 MiB each at most. */
    ROUTER_SEEN_ENTRIES = 1 << 19,
    ROUTER_SEEN_FIRST_ENTRIES = 1024,
    /* A generation ends after this at the latest: reports come seconds after their message. */
    ROUTER_SEEN_AGE_MS = 30 * 60 * 1000,

    /* Payloads of one home network whose copies are counted at once, 28 bytes each: 6,500 uplinks a second with the
     * usual window of 5 s. Beyond it the oldest may have its copies anew. */
    ROUTER_METER_PAYLOADS = 1 << 15,
    ROUTER_METER_FIRST_PAYLOADS = 64,

    /* Series of metrics: what a scrape takes without noticing, about half a MiB each. */
    ROUTER_METRIC_GROUPS = 1000,
    ROUTER_METRIC_ROUTES = 1000,
    /* Pairs of forwarder and home network that have counters, per loop, 150 bytes each. */
    ROUTER_MAX_ROUTES = 4096,

    /* Other exchanges, and the file that names them; secrets are short. */
    ROUTER_MAX_PEERS = 64,
    ROUTER_PEERS_FILE_BYTES = 256 << 10,
    ROUTER_PEERS_SECRET_BYTES = 1 << 10,
    ROUTER_PEERS_ARENA_BYTES = 8 << 20,
    /* Forwarders that are remembered to be behind a peer, 24 bytes each, for long enough to answer any uplink. */
    ROUTER_HEARD_SLOTS = 1 << 14,
    ROUTER_HEARD_US = 15 * 60 * 1000 * 1000,
    /* Messages under way to one peer from one loop, and how long one may be: a dead peer holds no more than this. */
    ROUTER_PEER_IN_FLIGHT = 512,
    ROUTER_PEER_BYTES = 8 << 20,
    ROUTER_PEER_TIMEOUT_US = 5 * 1000 * 1000,
    /* A token is renewed so long before its end; a failed fetch is not repeated sooner than this. */
    ROUTER_PEER_TOKEN_MARGIN_US = 60 * 1000 * 1000,
    ROUTER_PEER_TOKEN_RETRY_US = 2 * 1000 * 1000,
    ROUTER_PEER_TOKEN_BYTES = 1 << 20,
    /* What exchanges add to a message on its way: ids and hops. */
    ROUTER_PEER_ENVELOPE_BYTES = 16 << 10,
    /* Exchanges that a message may have passed before. */
    ROUTER_MAX_HOPS = 8,
    ROUTER_HOP_NAME_BYTES = 255, /* as host names */
    /* An id of another exchange; clients keep 80 characters. */
    ROUTER_PEER_ID_BYTES = 80,

    /* Parties whose budgets of messages are not full, for each rate limit, 16 bytes each: those who are idle for as
     * long as they may save up take no place. The largest rate is what one process can take. */
    ROUTER_RATE_BUCKETS = 1 << 16,
    ROUTER_RATE_MAX = 1000 * 1000,

    /* Random bytes fetched at once for ids. */
    ROUTER_RANDOM_BYTES = 640,
    ROUTER_ID_KEY_BYTES = 32,
};
