/* Who sees what of a message, and how it is told. Pure.
 * The forwarder's side sees everything about its message; a home network sees what concerns itself, and neither that
 * there are others nor, when a policy keeps the message from it, whose device it is of. */
#pragma once
#include "lpx_trace_v1_trace.pb-c.h"
#include "trace/trace_record_core.h"

/** Who looks: a network with all its tenants, one network without them, or a tenant. Text is borrowed. */
typedef struct trace_viewer {
    uint32_t net_id;
    lpx_str tenant_id;
    bool with_tenants;
    lpx_str cluster_id; /* of a key that is bound to a cluster: other clusters are not shown; empty: all are */
} trace_viewer;

/** Does this event concern the viewer, on either side? @param drop also tells whether it says of a loss that the viewer
 * sees */
bool trace_concerns(const trace_viewer *viewer, const trace_event *event, bool *drop);

/** All that a viewer may see of one message.
 * @param events of one id, in any order; those of another forwarder that used the same id are left out
 * @param out  NULL: the viewer is no party of it, or its passage is not among the events
 * @param dropped  whether it shows a loss
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT trace_view(const trace_viewer *viewer, trace_event *events, size_t count, lpx_arena *arena,
                      Lpx__Trace__V1__Trace **out, bool *dropped);
