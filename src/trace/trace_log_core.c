#include "trace/trace_log_core.h"

#include <stdlib.h>
#include <string.h>

#include "trace/limits.h"

/* Begins each record; followed by the payload and padding to a multiple of its alignment. */
typedef struct header {
    uint64_t hash;
    trace_pos older, previous;
    lpx_utc time;
    uint32_t bytes; /* of the record */
    uint16_t payload;
    uint8_t type;
} header;

enum { ALIGN = sizeof(uint64_t) };

/* A record begins inside the first capacity bytes and may reach over them: what lies there is not used for others until
 * the ring is around once more, as positions go on all the same. */
struct trace_log {
    size_t capacity;
    uint32_t max_messages;
    trace_pos begin, end, newest;
    trace_log_counts counts;
    trace_pos *places; /* newest record of each */
    size_t place_mask;
    uint8_t *bytes;
};

trace_log *trace_log_new(size_t bytes, uint32_t messages)
{
    size_t places = 64;
    while (places < messages) {
        places *= 2;
    }
    trace_log *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->capacity = bytes - bytes % ALIGN;
    made->max_messages = messages;
    made->newest = TRACE_NOWHERE;
    made->place_mask = places - 1;
    made->places = malloc(places * sizeof *made->places);
    made->bytes = malloc(made->capacity + sizeof(header) + TRACE_RECORD_BYTES + ALIGN);
    if (made->places == NULL || made->bytes == NULL) {
        trace_log_free(&made);
        return NULL;
    }
    memset(made->places, 0xFF, places * sizeof *made->places); /* NOWHERE */
    return made;
}

void trace_log_free(trace_log **log)
{
    if (*log != NULL) {
        free((*log)->places);
        free((*log)->bytes);
    }
    free(*log);
    *log = NULL;
}

static header header_at(const trace_log *log, trace_pos pos)
{
    header h;
    memcpy(&h, log->bytes + pos % log->capacity, sizeof h);
    return h;
}

static void drop_oldest(trace_log *log)
{
    header h = header_at(log, log->begin);
    log->begin += h.bytes;
    if (h.type == TRACE_PASSED) {
        log->counts.kept--;
        log->counts.overwritten++;
    }
}

static void make_room(trace_log *log, size_t bytes, bool message)
{
    while (log->begin < log->end &&
           (log->end - log->begin + bytes > log->capacity || (message && log->counts.kept >= log->max_messages))) {
        drop_oldest(log);
    }
}

void trace_log_append(trace_log *log, trace_type type, uint64_t hash, lpx_utc time, lpx_bytes payload)
{
    if (payload.len > TRACE_RECORD_BYTES) {
        return;
    }
    size_t bytes = (sizeof(header) + payload.len + ALIGN - 1) / ALIGN * ALIGN;
    make_room(log, bytes, type == TRACE_PASSED);
    trace_pos *place = &log->places[hash & log->place_mask];
    header h = {.hash = hash,
                .older = *place,
                .previous = log->newest,
                .time = time,
                .bytes = (uint32_t)bytes,
                .payload = (uint16_t)payload.len,
                .type = (uint8_t)type};
    uint8_t *to = log->bytes + log->end % log->capacity;
    memcpy(to, &h, sizeof h);
    if (payload.len > 0) {
        memcpy(to + sizeof h, payload.ptr, payload.len);
    }
    *place = log->newest = log->end;
    log->end += bytes;
    log->counts.kept += type == TRACE_PASSED ? 1 : 0;
}

static trace_pos if_there(const trace_log *log, trace_pos pos)
{
    return pos != TRACE_NOWHERE && pos >= log->begin && pos < log->end ? pos : TRACE_NOWHERE;
}

trace_pos trace_log_find(const trace_log *log, uint64_t hash)
{
    return if_there(log, log->places[hash & log->place_mask]);
}

trace_pos trace_log_newest(const trace_log *log)
{
    return if_there(log, log->newest);
}

trace_pos trace_log_begin(const trace_log *log)
{
    return log->begin;
}

trace_pos trace_log_end(const trace_log *log)
{
    return log->end;
}

bool trace_log_at(const trace_log *log, trace_pos pos, trace_entry *out)
{
    if (if_there(log, pos) == TRACE_NOWHERE) {
        return false;
    }
    header h = header_at(log, pos);
    *out = (trace_entry){
        .type = (trace_type)h.type,
        .hash = h.hash,
        .time = h.time,
        .payload = {.ptr = log->bytes + pos % log->capacity + sizeof h, .len = h.payload},
        .older = if_there(log, h.older),
        .previous = if_there(log, h.previous),
        .next = pos + h.bytes,
    };
    return true;
}

trace_log_counts trace_log_count(const trace_log *log)
{
    return log->counts;
}
