/* Publishers by stream for load programs: raw connections with one PublishStream each, requests of several uplinks, a
 * bounded number of requests under way. Every uplink must be answered with an id. Thread: the loop's. */
#pragma once
#include "raw.h"
#include "uplinks.h"

typedef struct pubs pubs;

/** Everything is borrowed for the life of the publishers. */
typedef struct pubs_opts {
    io_loop *loop;
    const char *address;
    io_tls *tls;
    const char *authorization;
    long connections, requests; /* under way on each */
    long batch;                 /* uplinks in one request */
    uplinks *set;
    tally *answered; /* ids are counted here */
} pubs_opts;

/** Begin to connect. */
pubs *pubs_new(const pubs_opts *opts);
/** Publish so many uplinks more. */
void pubs_start(pubs *all, long count);
