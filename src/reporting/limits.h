/* Limits of reporting, with their reasons. */
#pragma once

enum {
    REPORTING_MAX_LOOPS = 64,     /* as the router's */
    REPORTING_LOOP_PAIRS = 16384, /* pairs of members that one loop counts between two collections; 420 bytes each */
    REPORTING_PENDING_PAIRS = 131072, /* pairs and days that wait for the store: 55 MB after a long outage */
    REPORTING_COLLECT_MS = 400,       /* with the write behind it well under the second that a crash may cost */
    REPORTING_BATCH_CELLS = 4096,     /* counters of one transaction: others are not held up for long */
    REPORTING_STATEMENT_CELLS = 9,    /* of one statement: seven values each, of the 64 that a statement takes */
    REPORTING_PRUNE_S = 3600,         /* between looks for rows that are too old */
    REPORTING_WRITER_DAYS = 7,        /* how long the last batch of a process is remembered: outages are shorter */
    REPORTING_KEEP_DAYS = 400,        /* a year and the month before, for those who settle accounts */
    REPORTING_LAST_DAYS = 30,         /* days of "last 30 days", today among them */
    REPORTING_MAX_ANSWER_BYTES = (4 << 20) - (64 << 10), /* clients take messages of up to 4 MiB */
    REPORTING_MAX_ROWS = 400000,                         /* sums of one query: more cannot fit an answer */
    REPORTING_FIRST_YEAR = 1970,
    REPORTING_LAST_YEAR = 9999,
};
