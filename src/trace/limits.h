/* Limits of traces, with their reasons. */
#pragma once

enum {
    TRACE_MAX_LOOPS = 256,          /* as many as the router has */
    TRACE_BYTES_PER_MESSAGE = 768,  /* room of one message: 200 bytes each for its passage, its copy and its report,
                                       and some more for those with several home networks */
    TRACE_MIN_LOG_BYTES = 64 << 10, /* room of one loop: the largest records fit several times */
    TRACE_RECORD_BYTES = 16 << 10,  /* one record: 30 outcomes with the longest names */
    TRACE_MAX_OUTCOMES = 64,        /* home networks of one message that are recorded */
    TRACE_MAX_HOPS = 32,            /* as the router; exchanges before this one */
    TRACE_TEXT_BYTES = 255,         /* of one id or name in a record: longer ones are cut */
    TRACE_MAX_EVENTS = 512,         /* of one message that are looked at: 64 copies, each sent and reported */
    TRACE_LIST_DEFAULT = 100,       /* traces when a client asks for limit 0 */
    TRACE_LIST_MAX = 1000,          /* more are no page but an export */
    TRACE_CHUNK_RECORDS = 64,       /* read in one go while a loop that records has to wait: some microseconds */
    TRACE_WATCH_EVERY_MS = 50,      /* how often the logs are read for those who watch: a person sees it as at once */
    TRACE_WATCHERS_PER_LOOP = 32,   /* every record is compared with each */
    TRACE_WATCHERS_PER_MEMBER = 4,  /* on one loop, so that one member does not take the places of all */
    TRACE_TOUCHED = 256,            /* traces that are sent in one go; what comes beyond them is counted as missed */
    TRACE_WATCH_ARENA_BYTES = 4 << 20, /* one go */
    TRACE_SCRATCH_BYTES = 64 << 10,    /* one record, decoded */
};
