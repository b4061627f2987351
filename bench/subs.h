/* Subscribers of a home network for load programs: one raw connection and one stream each. Thread: the loop's. */
#pragma once
#include "raw.h"

enum { SUBS_MAX_HOMES = 64 };

typedef struct subs subs;

/** Whose messages, and who is told. Everything is borrowed for the life of the subscribers. */
typedef struct subs_opts {
    io_loop *loop;
    const char *address; /* "host:port" */
    io_tls *tls;
    const char *const *authorizations; /* subscriber i has number i % authorization_count */
    long authorization_count;
    long count;
    uint32_t home; /* the first of home_count networks with NetIDs in a row; subscriber i is of number i % home_count */
    long home_count; /* up to SUBS_MAX_HOMES */
    uint32_t block;  /* the one filter of each: data of devices in this block of DevAddrs, on an FPort from 1 on */
    unsigned block_length;
    bool again; /* a subscriber whose connection ends connects again at once; else the program ends */
    void (*on_message)(void *ctx, long subscriber, lpx_bytes routed); /* borrowed */
    void *ctx;
} subs_opts;

/** Begin to subscribe; all have no group, so that each gets every message. */
subs *subs_new(const subs_opts *opts);
/** How many streams are open: the exchange has sent its headers, so that messages of from now on come. */
long subs_open(const subs *all);
/** How many connections have ended and were made again. */
long subs_retries(const subs *all);
/** Drop all connections and begin to subscribe again at once. Those that are opening must have opened before. */
void subs_again(subs *all);
