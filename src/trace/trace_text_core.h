/* One sentence for people about each thing that happens to a message: what happened, and what could be done. Pure. */
#pragma once
#include "base/arena.h"
#include "traffic/traffic.h"

/** About one outcome of a passage. NULL: memory is short. */
const char *trace_text_outcome(const traffic_passage *passage, const traffic_outcome *outcome, lpx_arena *arena);
/** About a copy. NULL: memory is short. */
const char *trace_text_copy(const traffic_copy *copy, lpx_arena *arena);
/** About a report. @param error name of its error, when it failed. NULL: memory is short. */
const char *trace_text_report(const traffic_report *report, const char *error, lpx_arena *arena);
