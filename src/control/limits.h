/* Limits of the control plane, with their reasons. */
#pragma once

enum {
    CONTROL_LIST_DEFAULT = 100, /* page by offset when a client asks for limit 0 */
    CONTROL_SINCE_DEFAULT = 10, /* page by time for limit 0: a client that collects these pages and then cuts pages of
                                   its own gets them right only when this divides what it asks for */
    CONTROL_LIST_MAX = 1000,    /* consoles ask for up to 1,000 and skip what a smaller page leaves out */
    CONTROL_MAX_FORWARDERS =
        200000, /* rows looked at for effective policies, 100 bytes each: fits the memory of a call */
    CONTROL_PAGE_MAX_BYTES = 3 << 20,     /* of a page of routes: clients take messages of up to 4 MiB */
    CONTROL_ROW_OVERHEAD_BYTES = 8,       /* tag and length of a row in its page */
    CONTROL_FEED_PAGE_ROWS = 5000,        /* read at once for the feed: what the engine and the arena hold */
    CONTROL_FEED_ARENA_BYTES = 512 << 20, /* of one such page, should every row have the largest target */
    CONTROL_FEED_STATE_BYTES = 256 << 20, /* of one topic, encoded: a million rows of the usual size */
    CONTROL_FEED_QUEUE_BYTES = 8 << 20,   /* of changes that wait for a slow reader; the whole state is cheaper then */
    CONTROL_FEED_MAX_STREAMS = 256,       /* per loop: components of an exchange, not members */
    CONTROL_FEED_RETRY_MS = 1000,         /* between attempts to read from a store that does not answer */
    CONTROL_MAX_PARTIES = 1000,           /* in each list of a home network: more partners than any has */
    CONTROL_MAX_COPIES = 65535,           /* gateways that hear one frame; more would be no limit */
    CONTROL_COPIES_WINDOW_MIN_S = 1,      /* copies of one frame come within a second */
    CONTROL_COPIES_WINDOW_MAX_S = 600,    /* what the router remembers of payloads is bounded by it */
    CONTROL_COPIES_WINDOW_DEFAULT_S = 5,  /* network servers that wait long for copies wait less */
};
