/* Named maxima of the store, each with its reason. */
#pragma once

enum {
    /* Readers each hold a connection; two keep an idle exchange small, and lookups that miss the caches are rare. */
    STORE_DEFAULT_READERS = 2,
    /* More connections than this make PostgreSQL slower, not faster. */
    STORE_MAX_READERS = 64,
    /* Two seconds of work at 2,000 commits a second: who waits longer has given up. */
    STORE_DEFAULT_QUEUE = 4096,
    /* A group longer than this makes its first job wait noticeably for its last. */
    STORE_MAX_GROUP = 512,
    /* Widest table and some more. */
    STORE_MAX_VALUES = 64,
    /* Twice the largest gRPC message. */
    STORE_MAX_VALUE_BYTES = 32 << 20,
    /* Statements are written by us; the longest has about 2 KiB. */
    STORE_MAX_SQL_BYTES = 64 << 10,
    /* One migration file. */
    STORE_MAX_SCRIPT_BYTES = 1 << 20,
    /* Prepared statements kept per connection: about all that the services have. */
    STORE_MAX_STATEMENTS = 96,
    /* Runs of a transaction that other nodes get in the way of; with the pauses between them about two seconds. */
    STORE_MAX_RUNS = 16,
    /* Longest pause between two such runs. */
    STORE_MAX_PAUSE_US = 200000,
    /* Message of an engine, cut to one log line. */
    STORE_MAX_ERROR_BYTES = 240,
    /* How long SQLite waits for another process that holds the file. */
    STORE_BUSY_WAIT_MS = 5000,
    /* Page cache of one SQLite connection: the whole schema and the hot pages; an idle exchange stays under 20 MiB. */
    STORE_PAGE_CACHE_KIB = 512,
    /* The write-ahead log is cut back to this size after a checkpoint. */
    STORE_LOG_KEEP_BYTES = 4 << 20,
    /* How long a connection attempt to PostgreSQL may take. */
    STORE_CONNECT_WAIT_S = 5,
    /* Pauses between connection attempts grow from the first to the second. */
    STORE_MIN_BACKOFF_US = 100000,
    STORE_MAX_BACKOFF_US = 5000000,
    /* Longest path of an SQLite file, as Linux has it. */
    STORE_MAX_PATH_BYTES = 4096,
};
