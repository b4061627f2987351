/* Traces of messages as text: what `lpx trace` and `lpx test` show. */
#pragma once
#include "cli/cli_priv.h"
#include "lpx_trace_v1_trace.pb-c.h"

/** Ask for one trace. @err NOT_FOUND (of the call): unknown, forgotten, or not ours */
LPX_RESULT cli_trace_get(cli *c, const char *id, Lpx__Trace__V1__Trace **out);
/** Append traces as timelines, drops standing out on a terminal; in CSV as one row for each step. */
void cli_traces_print(cli *c, Lpx__Trace__V1__Trace *const *traces, size_t count);
/** Is this the event of the step: "routed", "sent", "dropped", "reported"? */
bool cli_step_is(const Lpx__Trace__V1__Step *step, const char *event);
