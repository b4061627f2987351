/* The record of one loop: a ring of bytes that overwrites its oldest records, with an index by hash. Pure; the caller
 * locks. Positions count bytes ever written, so that one that was overwritten is known to be gone. */
#pragma once
#include "base/bytes.h"
#include "base/time.h"

typedef struct trace_log trace_log;

typedef uint64_t trace_pos;
#define TRACE_NOWHERE UINT64_MAX

/** What a record tells of. */
typedef enum trace_type { TRACE_PASSED, TRACE_SETTLED, TRACE_REPORTED } trace_type;

/** One record. payload is borrowed until the next append. */
typedef struct trace_entry {
    trace_type type;
    uint64_t hash;
    lpx_utc time;
    lpx_bytes payload;
    trace_pos older;    /* the record before this one of those whose hashes share a place of the index, or NOWHERE */
    trace_pos previous; /* the record before this one, or NOWHERE */
    trace_pos next;     /* where the next one begins, or will begin */
} trace_entry;

/** New log. @param bytes room for records @param messages how many records of the type PASSED it keeps at most, above 0
 * NULL: memory is short. Memory is touched only when it is written. */
trace_log *trace_log_new(size_t bytes, uint32_t messages);
/** Free; clears the pointer; accepts NULL. */
void trace_log_free(trace_log **log);

/** Append a record; the oldest go as far as there is need. A payload of more than TRACE_RECORD_BYTES is not recorded.
 */
void trace_log_append(trace_log *log, trace_type type, uint64_t hash, lpx_utc time, lpx_bytes payload);

/** The newest record whose hash shares a place of the index with this one; NOWHERE: none. */
trace_pos trace_log_find(const trace_log *log, uint64_t hash);
/** The newest record; NOWHERE: none. */
trace_pos trace_log_newest(const trace_log *log);
/** Where the oldest record begins; the same as trace_log_end when there is none. */
trace_pos trace_log_begin(const trace_log *log);
/** Where the next record will begin. */
trace_pos trace_log_end(const trace_log *log);
/** Read a record. @param pos of a record, from one of the above or from an entry @return false: it is gone, or not yet
 * there */
bool trace_log_at(const trace_log *log, trace_pos pos, trace_entry *out);

/** Messages in the log, and messages that were overwritten by newer ones. */
typedef struct trace_log_counts {
    uint64_t kept, overwritten;
} trace_log_counts;

/** Count. */
trace_log_counts trace_log_count(const trace_log *log);
