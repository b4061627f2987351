/* What is told of a message, as bytes of a record and back. Pure. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "trace/trace_log_core.h"
#include "traffic/traffic.h"

/** What was told once about a message. */
typedef struct trace_event {
    trace_type type;
    union {
        traffic_passage passed;
        traffic_copy settled;
        traffic_report reported;
    } of;
} trace_event;

/** The id of an event's message. */
lpx_str trace_event_id(const trace_event *event);
/** The forwarder of an event's message. */
traffic_endpoint trace_event_forwarder(const trace_event *event);
/** The direction of an event's message. */
traffic_direction trace_event_direction(const trace_event *event);
/** When it happened. */
lpx_utc trace_event_time(const trace_event *event);

/** Hash of a message's id, for the index. @param seed so that ids of others do not meet on purpose */
uint64_t trace_hash(lpx_str id, uint64_t seed);

/** Write a passage into room of TRACE_RECORD_BYTES: texts are cut, and outcomes and hops that do not fit are left out.
 * @return what was written */
lpx_bytes trace_write_passage(const traffic_passage *passage, lpx_space room);
/** Write what became of a copy. */
lpx_bytes trace_write_copy(const traffic_copy *copy, lpx_space room);
/** Write a report. */
lpx_bytes trace_write_report(const traffic_report *report, lpx_space room);

/** Read an event back; texts are views of the payload, lists lie in the arena.
 * @return false: memory is short, or it was not written by the above */
bool trace_read(trace_type type, lpx_utc time, lpx_bytes payload, lpx_arena *arena, trace_event *out);
