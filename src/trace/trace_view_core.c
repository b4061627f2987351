#include "trace/trace_view_core.h"

#include <stdlib.h>
#include <string.h>

#include "lpx_reasons.h"
#include "pb_v3_api.pb-c.h"
#include "trace/limits.h"
#include "trace/trace_text_core.h"

/* Parties. */

static bool covers(const trace_viewer *v, traffic_endpoint e)
{
    bool member = v->net_id == e.net_id && (v->with_tenants || lpx_str_equal(v->tenant_id, e.tenant_id));
    return member && (v->cluster_id.len == 0 || e.cluster_id.len == 0 || lpx_str_equal(v->cluster_id, e.cluster_id));
}

/* An outcome that nobody was found for has no home network, and its zeroes are not NetID 000000. */
static bool has_home(const traffic_outcome *o)
{
    return o->delivered ||
           !(o->drop == TRAFFIC_DROP_NO_ROUTE || o->drop == TRAFFIC_DROP_LOOKUP || o->drop == TRAFFIC_DROP_HOPS);
}

static bool sees_outcome(const trace_viewer *v, const traffic_passage *p, const traffic_outcome *o)
{
    return covers(v, p->forwarder) || (has_home(o) && covers(v, o->home));
}

static bool passage_concerns(const trace_viewer *v, const traffic_passage *p, bool *drop)
{
    bool any = covers(v, p->forwarder);
    for (size_t i = 0; i < p->outcome_count; i++) {
        bool seen = sees_outcome(v, p, &p->outcomes[i]);
        any = any || seen;
        *drop = *drop || (seen && !p->outcomes[i].delivered);
    }
    return any;
}

bool trace_concerns(const trace_viewer *viewer, const trace_event *event, bool *drop)
{
    const traffic_copy *copy = &event->of.settled;
    const traffic_report *report = &event->of.reported;
    bool seen = false;
    *drop = false;
    switch (event->type) {
    case TRACE_PASSED:
        return passage_concerns(viewer, &event->of.passed, drop);
    case TRACE_SETTLED:
        seen = covers(viewer, copy->forwarder) || covers(viewer, copy->home);
        *drop = seen && !copy->sent;
        return seen;
    case TRACE_REPORTED:
        return covers(viewer, report->forwarder) || covers(viewer, report->home);
    }
    return false;
}

/* Pieces of the message. Each maker answers NULL, or false, when memory is short. */

static Google__Protobuf__Timestamp *make_time(lpx_utc time, lpx_arena *arena)
{
    Google__Protobuf__Timestamp *stamp = lpx_arena_get(arena, sizeof *stamp);
    if (stamp != NULL) {
        google__protobuf__timestamp__init(stamp);
        stamp->seconds = time.us / 1000000;
        stamp->nanos = (int32_t)(time.us % 1000000) * 1000;
    }
    return stamp;
}

static Lpx__Trace__V1__Endpoint *make_endpoint(traffic_endpoint e, lpx_arena *arena)
{
    Lpx__Trace__V1__Endpoint *out = lpx_arena_get(arena, sizeof *out);
    if (out == NULL) {
        return NULL;
    }
    lpx__trace__v1__endpoint__init(out);
    out->net_id = e.net_id;
    out->tenant_id = lpx_arena_cstr(arena, e.tenant_id);
    out->cluster_id = lpx_arena_cstr(arena, e.cluster_id);
    return out->tenant_id != NULL && out->cluster_id != NULL ? out : NULL;
}

static const char *route_name(traffic_route route)
{
    switch (route) {
    case TRAFFIC_ROUTE_NONE:
        return "";
    case TRAFFIC_ROUTE_BLOCK:
        return "devaddr_block";
    case TRAFFIC_ROUTE_FIXED:
        return "join_server_fixed";
    case TRAFFIC_ROUTE_LOOKUP:
        return "join_server_lookup";
    case TRAFFIC_ROUTE_FILTER:
        return "subscription_filter";
    case TRAFFIC_ROUTE_NAMED:
        return "named";
    case TRAFFIC_ROUTE_PEER:
        return "peer";
    }
    return "";
}

static const char *policy_name(traffic_policy policy)
{
    switch (policy) {
    case TRAFFIC_POLICY_NONE:
        return "";
    case TRAFFIC_POLICY_TENANT:
        return "toward_tenant";
    case TRAFFIC_POLICY_NETWORK:
        return "toward_network";
    case TRAFFIC_POLICY_DEFAULT:
        return "forwarder_default";
    case TRAFFIC_POLICY_NETWORK_DEFAULT:
        return "network_default";
    case TRAFFIC_POLICY_SETTING:
        return "exchange_setting";
    }
    return "";
}

/* Name of an error of a report, as the API has it. */
static const char *error_name(const traffic_report *report)
{
    const ProtobufCEnumDescriptor *names = report->direction == TRAFFIC_UP
                                               ? &pb__v3__uplink_message_processing_error__descriptor
                                               : &pb__v3__downlink_message_processing_error__descriptor;
    for (unsigned i = 0; i < names->n_values; i++) {
        if (names->values[i].value == report->error) {
            return names->values[i].name;
        }
    }
    return "UNKNOWN";
}

/* Messages have texts that they may change; these are never changed. */
static char *constant(const char *text)
{
    return (char *)(uintptr_t)text;
}

static Lpx__Trace__V1__Step *make_step(lpx_utc time, const char *event, const char *text, lpx_arena *arena)
{
    Lpx__Trace__V1__Step *step = lpx_arena_get(arena, sizeof *step);
    if (step == NULL || text == NULL) {
        return NULL;
    }
    lpx__trace__v1__step__init(step);
    step->time = make_time(time, arena);
    step->event = constant(event);
    step->text = constant(text);
    return step->time != NULL ? step : NULL;
}

static Lpx__Trace__V1__Step *outcome_step(const traffic_passage *p, const traffic_outcome *o, lpx_arena *arena)
{
    const char *text = trace_text_outcome(p, o, arena);
    Lpx__Trace__V1__Step *step = make_step(p->time, o->delivered ? "routed" : "dropped", text, arena);
    if (step == NULL) {
        return NULL;
    }
    step->route = constant(route_name(o->route));
    step->policy = constant(policy_name(o->policy));
    step->filter = o->filter;
    step->copies = o->copies;
    step->stripped_signal_quality = o->stripped_signal_quality;
    step->stripped_localization = o->stripped_localization;
    step->reason = constant(o->delivered ? "" : traffic_drop_name(o->drop));
    if (has_home(o)) {
        step->home_network = make_endpoint(o->home, arena);
    }
    return !has_home(o) || step->home_network != NULL ? step : NULL;
}

static Lpx__Trace__V1__Step *copy_step(const traffic_copy *c, lpx_arena *arena)
{
    Lpx__Trace__V1__Step *step = make_step(c->time, c->sent ? "sent" : "dropped", trace_text_copy(c, arena), arena);
    if (step == NULL) {
        return NULL;
    }
    step->reason = constant(c->sent ? "" : traffic_drop_name(c->drop));
    step->home_network = make_endpoint(c->home, arena);
    return step->home_network != NULL ? step : NULL;
}

static Lpx__Trace__V1__Step *report_step(const traffic_report *r, lpx_arena *arena)
{
    const char *error = r->failed ? error_name(r) : "";
    Lpx__Trace__V1__Step *step = make_step(r->time, "reported", trace_text_report(r, error, arena), arena);
    if (step == NULL) {
        return NULL;
    }
    step->reason = constant(error);
    step->home_network = make_endpoint(r->home, arena);
    return step->home_network != NULL ? step : NULL;
}

/* The whole. */

typedef struct building {
    const trace_viewer *viewer;
    lpx_arena *arena;
    Lpx__Trace__V1__Step **steps;
    size_t count;
    bool dropped;
} building;

static bool add_step(building *b, Lpx__Trace__V1__Step *step)
{
    if (step == NULL) {
        return false;
    }
    b->dropped = b->dropped || strcmp(step->event, "dropped") == 0;
    b->steps[b->count++] = step;
    return true;
}

static bool add_event(building *b, const trace_event *event)
{
    bool drop;
    if (!trace_concerns(b->viewer, event, &drop)) {
        return true;
    }
    const traffic_passage *p = &event->of.passed;
    bool ok = true;
    switch (event->type) {
    case TRACE_PASSED:
        for (size_t i = 0; ok && i < p->outcome_count; i++) {
            ok =
                !sees_outcome(b->viewer, p, &p->outcomes[i]) || add_step(b, outcome_step(p, &p->outcomes[i], b->arena));
        }
        return ok;
    case TRACE_SETTLED:
        return add_step(b, copy_step(&event->of.settled, b->arena));
    case TRACE_REPORTED:
        return add_step(b, report_step(&event->of.reported, b->arena));
    }
    return true;
}

/* A home network that a policy keeps the message from learns that, and not whose device it is of. */
static bool may_know_device(const trace_viewer *v, const traffic_passage *p)
{
    bool may = covers(v, p->forwarder);
    for (size_t i = 0; i < p->outcome_count && !may; i++) {
        const traffic_outcome *o = &p->outcomes[i];
        may = sees_outcome(v, p, o) && (o->delivered || o->drop != TRAFFIC_DROP_POLICY);
    }
    return may;
}

static bool put_hops(const traffic_passage *p, lpx_arena *arena, Lpx__Trace__V1__Trace *out)
{
    char **hops = lpx_arena_array(arena, p->hop_count, sizeof *hops);
    bool ok = hops != NULL;
    for (size_t i = 0; ok && i < p->hop_count; i++) {
        hops[i] = lpx_arena_cstr(arena, p->hops[i]);
        ok = hops[i] != NULL;
    }
    out->hops = hops;
    out->n_hops = p->hop_count;
    return ok;
}

static Lpx__Trace__V1__Trace *make_trace(const trace_viewer *v, const traffic_passage *p, lpx_arena *arena)
{
    Lpx__Trace__V1__Trace *t = lpx_arena_get(arena, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    lpx__trace__v1__trace__init(t);
    t->id = lpx_arena_cstr(arena, p->id);
    t->time = make_time(p->time, arena);
    t->direction = p->direction == TRAFFIC_UP ? LPX__TRACE__V1__DIRECTION__UPLINK : LPX__TRACE__V1__DIRECTION__DOWNLINK;
    t->kind = p->kind == TRAFFIC_JOIN ? LPX__TRACE__V1__KIND__JOIN : LPX__TRACE__V1__KIND__DATA;
    t->forwarder = make_endpoint(p->forwarder, arena);
    if (may_know_device(v, p)) {
        t->dev_addr = p->dev_addr;
        t->f_port = p->f_port;
        t->join_eui = p->join_eui;
        t->dev_eui = p->dev_eui;
    }
    return t->id != NULL && t->time != NULL && t->forwarder != NULL && put_hops(p, arena, t) ? t : NULL;
}

/* By time; of one turn of a loop in the order in which things happen. */
static int compare(const void *a, const void *b)
{
    const trace_event *x = a, *y = b;
    int64_t tx = trace_event_time(x).us, ty = trace_event_time(y).us;
    if (tx != ty) {
        return tx < ty ? -1 : 1;
    }
    return (int)x->type - (int)y->type;
}

/* The newest passage that concerns the viewer. */
static const traffic_passage *find_passage(const trace_viewer *viewer, const trace_event *events, size_t count)
{
    bool drop;
    for (size_t i = count; i > 0; i--) {
        if (events[i - 1].type == TRACE_PASSED && trace_concerns(viewer, &events[i - 1], &drop)) {
            return &events[i - 1].of.passed;
        }
    }
    return NULL;
}

static bool is_of(const trace_event *event, const traffic_passage *p)
{
    return trace_event_direction(event) == p->direction &&
           traffic_member_equal(traffic_member_of(trace_event_forwarder(event)), traffic_member_of(p->forwarder));
}

lpx_err trace_view(const trace_viewer *viewer, trace_event *events, size_t count, lpx_arena *arena,
                   Lpx__Trace__V1__Trace **out, bool *dropped)
{
    *out = NULL;
    *dropped = false;
    if (count > 0) {
        qsort(events, count, sizeof *events, compare);
    }
    const traffic_passage *p = find_passage(viewer, events, count);
    if (p == NULL) {
        return LPX_SUCCESS;
    }
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        room += events[i].type == TRACE_PASSED ? events[i].of.passed.outcome_count : 1;
    }
    building b = {.viewer = viewer, .arena = arena, .steps = lpx_arena_array(arena, room, sizeof *b.steps)};
    Lpx__Trace__V1__Trace *trace = b.steps != NULL ? make_trace(viewer, p, arena) : NULL;
    bool ok = trace != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        ok = !is_of(&events[i], p) || add_event(&b, &events[i]);
    }
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    trace->steps = b.steps;
    trace->n_steps = b.count;
    *out = trace;
    *dropped = b.dropped;
    return LPX_SUCCESS;
}
