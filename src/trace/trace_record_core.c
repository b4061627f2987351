#include "trace/trace_record_core.h"

#include "base/reader.h"
#include "base/writer.h"
#include "trace/limits.h"

lpx_str trace_event_id(const trace_event *event)
{
    switch (event->type) {
    case TRACE_PASSED:
        return event->of.passed.id;
    case TRACE_SETTLED:
        return event->of.settled.id;
    case TRACE_REPORTED:
        return event->of.reported.id;
    }
    return LPX_STR("");
}

traffic_endpoint trace_event_forwarder(const trace_event *event)
{
    switch (event->type) {
    case TRACE_PASSED:
        return event->of.passed.forwarder;
    case TRACE_SETTLED:
        return event->of.settled.forwarder;
    case TRACE_REPORTED:
        return event->of.reported.forwarder;
    }
    return (traffic_endpoint){.net_id = 0};
}

traffic_direction trace_event_direction(const trace_event *event)
{
    switch (event->type) {
    case TRACE_PASSED:
        return event->of.passed.direction;
    case TRACE_SETTLED:
        return event->of.settled.direction;
    case TRACE_REPORTED:
        return event->of.reported.direction;
    }
    return TRAFFIC_UP;
}

lpx_utc trace_event_time(const trace_event *event)
{
    switch (event->type) {
    case TRACE_PASSED:
        return event->of.passed.time;
    case TRACE_SETTLED:
        return event->of.settled.time;
    case TRACE_REPORTED:
        return event->of.reported.time;
    }
    return (lpx_utc){0};
}

/* FNV-1a in steps of one byte: ids have 46 of them. */
uint64_t trace_hash(lpx_str id, uint64_t seed)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325) ^ seed;
    for (size_t i = 0; i < id.len && i < TRACE_TEXT_BYTES; i++) {
        hash = (hash ^ (uint8_t)id.ptr[i]) * UINT64_C(0x100000001B3);
    }
    return hash ^ hash >> 29;
}

/* Writing. */

static void write_text(lpx_writer *w, lpx_str text)
{
    size_t len = text.len < TRACE_TEXT_BYTES ? text.len : TRACE_TEXT_BYTES;
    lpx_writer_u8(w, (uint8_t)len);
    lpx_writer_bytes(w, lpx_bytes_of(text.ptr, len));
}

static void write_endpoint(lpx_writer *w, traffic_endpoint endpoint)
{
    lpx_writer_u32le(w, endpoint.net_id);
    write_text(w, endpoint.tenant_id);
    write_text(w, endpoint.cluster_id);
}

static void write_about(lpx_writer *w, lpx_str id, traffic_direction direction, traffic_kind kind,
                        traffic_endpoint forwarder)
{
    write_text(w, id);
    lpx_writer_u8(w, (uint8_t)direction);
    lpx_writer_u8(w, (uint8_t)kind);
    write_endpoint(w, forwarder);
}

enum { FLAG_DELIVERED = 1, FLAG_NO_SIGNAL = 2, FLAG_NO_LOCATION = 4 };

static void write_outcome(lpx_writer *w, const traffic_outcome *o)
{
    unsigned flags = (o->delivered ? FLAG_DELIVERED : 0U) | (o->stripped_signal_quality ? FLAG_NO_SIGNAL : 0U) |
                     (o->stripped_localization ? FLAG_NO_LOCATION : 0U);
    write_endpoint(w, o->home);
    lpx_writer_u8(w, (uint8_t)flags);
    lpx_writer_u8(w, (uint8_t)o->route);
    lpx_writer_u8(w, (uint8_t)o->policy);
    lpx_writer_u8(w, (uint8_t)o->drop);
    lpx_writer_u32le(w, o->copies);
    lpx_writer_u32le(w, o->filter);
}

/* The most bytes that a text, and an outcome, take. */
enum { TEXT_ROOM = 1 + TRACE_TEXT_BYTES, OUTCOME_ROOM = 16 + 2 * TEXT_ROOM };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

lpx_bytes trace_write_passage(const traffic_passage *p, lpx_space room)
{
    lpx_writer w;
    lpx_writer_init(&w, room);
    write_about(&w, p->id, p->direction, p->kind, p->forwarder);
    lpx_writer_u32le(&w, p->dev_addr);
    lpx_writer_u32le(&w, p->f_port);
    lpx_writer_u64le(&w, p->join_eui);
    lpx_writer_u64le(&w, p->dev_eui);
    size_t left = room.len - lpx_writer_view(&w).len - 2;
    size_t hops = smallest(p->hop_count, TRACE_MAX_HOPS, left / 2 / TEXT_ROOM);
    size_t outcomes = smallest(p->outcome_count, TRACE_MAX_OUTCOMES, (left - hops * TEXT_ROOM) / OUTCOME_ROOM);
    lpx_writer_u8(&w, (uint8_t)outcomes);
    for (size_t i = 0; i < outcomes; i++) {
        write_outcome(&w, &p->outcomes[i]);
    }
    lpx_writer_u8(&w, (uint8_t)hops);
    for (size_t i = 0; i < hops; i++) {
        write_text(&w, p->hops[i]);
    }
    return lpx_writer_view(&w);
}

lpx_bytes trace_write_copy(const traffic_copy *copy, lpx_space room)
{
    lpx_writer w;
    lpx_writer_init(&w, room);
    write_about(&w, copy->id, copy->direction, copy->kind, copy->forwarder);
    write_endpoint(&w, copy->home);
    lpx_writer_u8(&w, copy->sent ? 1 : 0);
    lpx_writer_u8(&w, (uint8_t)copy->drop);
    return lpx_writer_view(&w);
}

lpx_bytes trace_write_report(const traffic_report *report, lpx_space room)
{
    lpx_writer w;
    lpx_writer_init(&w, room);
    write_about(&w, report->id, report->direction, report->kind, report->forwarder);
    write_endpoint(&w, report->home);
    lpx_writer_u8(&w, report->failed ? 1 : 0);
    lpx_writer_u32le(&w, (uint32_t)report->error);
    return lpx_writer_view(&w);
}

/* Reading. */

static lpx_str read_text(lpx_reader *r)
{
    size_t len = lpx_reader_u8(r);
    return lpx_bytes_str(lpx_reader_take(r, len));
}

static traffic_endpoint read_endpoint(lpx_reader *r)
{
    traffic_endpoint endpoint = {.net_id = lpx_reader_u32le(r)};
    endpoint.tenant_id = read_text(r);
    endpoint.cluster_id = read_text(r);
    return endpoint;
}

static traffic_outcome read_outcome(lpx_reader *r)
{
    traffic_outcome o = {.home = read_endpoint(r)};
    unsigned flags = lpx_reader_u8(r);
    o.delivered = (flags & FLAG_DELIVERED) != 0;
    o.stripped_signal_quality = (flags & FLAG_NO_SIGNAL) != 0;
    o.stripped_localization = (flags & FLAG_NO_LOCATION) != 0;
    o.route = (traffic_route)lpx_reader_u8(r);
    o.policy = (traffic_policy)lpx_reader_u8(r);
    o.drop = (traffic_drop)lpx_reader_u8(r);
    o.copies = lpx_reader_u32le(r);
    o.filter = lpx_reader_u32le(r);
    return o;
}

static bool read_passage(lpx_reader *r, lpx_arena *arena, traffic_passage *p)
{
    p->dev_addr = lpx_reader_u32le(r);
    p->f_port = lpx_reader_u32le(r);
    p->join_eui = lpx_reader_u64le(r);
    p->dev_eui = lpx_reader_u64le(r);
    p->outcome_count = lpx_reader_u8(r);
    traffic_outcome *outcomes = lpx_arena_array(arena, p->outcome_count, sizeof *outcomes);
    for (size_t i = 0; outcomes != NULL && i < p->outcome_count; i++) {
        outcomes[i] = read_outcome(r);
    }
    p->hop_count = lpx_reader_u8(r);
    lpx_str *hops = lpx_arena_array(arena, p->hop_count, sizeof *hops);
    for (size_t i = 0; hops != NULL && i < p->hop_count; i++) {
        hops[i] = read_text(r);
    }
    p->outcomes = outcomes;
    p->hops = hops;
    return outcomes != NULL && hops != NULL;
}

bool trace_read(trace_type type, lpx_utc time, lpx_bytes payload, lpx_arena *arena, trace_event *out)
{
    lpx_reader r;
    bool ok = true;
    lpx_reader_init(&r, payload);
    lpx_str id = read_text(&r);
    traffic_direction direction = (traffic_direction)lpx_reader_u8(&r);
    traffic_kind kind = (traffic_kind)lpx_reader_u8(&r);
    traffic_endpoint forwarder = read_endpoint(&r);
    trace_event event = {.type = type};
    switch (type) {
    case TRACE_PASSED:
        event.of.passed =
            (traffic_passage){.time = time, .id = id, .direction = direction, .kind = kind, .forwarder = forwarder};
        ok = read_passage(&r, arena, &event.of.passed);
        break;
    case TRACE_SETTLED:
        event.of.settled =
            (traffic_copy){.time = time, .id = id, .direction = direction, .kind = kind, .forwarder = forwarder};
        event.of.settled.home = read_endpoint(&r);
        event.of.settled.sent = lpx_reader_u8(&r) != 0;
        event.of.settled.drop = (traffic_drop)lpx_reader_u8(&r);
        break;
    case TRACE_REPORTED:
        event.of.reported =
            (traffic_report){.time = time, .id = id, .direction = direction, .kind = kind, .forwarder = forwarder};
        event.of.reported.home = read_endpoint(&r);
        event.of.reported.failed = lpx_reader_u8(&r) != 0;
        event.of.reported.error = (int)lpx_reader_u32le(&r);
        break;
    }
    if (!ok || r.failed) {
        return false;
    }
    *out = event;
    return true;
}
