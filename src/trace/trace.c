/* The object: recording, and reading what was recorded. */
#include "trace/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "trace/trace_priv.h"

/* Recording. */

static void record(trace *self, unsigned loop, trace_type type, lpx_str id, lpx_utc time, lpx_bytes payload)
{
    trace_part *part = &self->parts[loop];
    uint64_t hash = trace_hash(id, self->seed);
    pthread_mutex_lock(&part->lock);
    trace_log_append(part->log, type, hash, time, payload);
    pthread_mutex_unlock(&part->lock);
}

static void passed(void *ctx, unsigned loop, const traffic_passage *passage)
{
    uint8_t room[TRACE_RECORD_BYTES];
    lpx_bytes payload = trace_write_passage(passage, (lpx_space){.ptr = room, .len = sizeof room});
    record(ctx, loop, TRACE_PASSED, passage->id, passage->time, payload);
}

static void settled(void *ctx, unsigned loop, const traffic_copy *copy)
{
    uint8_t room[TRACE_RECORD_BYTES];
    lpx_bytes payload = trace_write_copy(copy, (lpx_space){.ptr = room, .len = sizeof room});
    record(ctx, loop, TRACE_SETTLED, copy->id, copy->time, payload);
}

static void reported(void *ctx, unsigned loop, const traffic_report *report)
{
    uint8_t room[TRACE_RECORD_BYTES];
    lpx_bytes payload = trace_write_report(report, (lpx_space){.ptr = room, .len = sizeof room});
    record(ctx, loop, TRACE_REPORTED, report->id, report->time, payload);
}

/* The object. */

static lpx_err make_parts(trace *self, uint32_t messages)
{
    uint32_t each = messages / self->loop_count + 1;
    size_t bytes = (size_t)each * TRACE_BYTES_PER_MESSAGE;
    self->parts = aligned_alloc(_Alignof(trace_part), self->loop_count * sizeof *self->parts);
    self->hubs = calloc(self->loop_count, sizeof *self->hubs);
    if (self->parts == NULL || self->hubs == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    memset(self->parts, 0, self->loop_count * sizeof *self->parts);
    for (unsigned i = 0; i < self->loop_count; i++) {
        self->parts[i].log = trace_log_new(bytes > TRACE_MIN_LOG_BYTES ? bytes : TRACE_MIN_LOG_BYTES, each);
        self->hubs[i].owner = self;
        self->hubs[i].read = calloc(self->loop_count, sizeof *self->hubs[i].read);
        if (self->parts[i].log == NULL || self->hubs[i].read == NULL ||
            pthread_mutex_init(&self->parts[i].lock, NULL) != 0) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
    }
    return LPX_SUCCESS;
}

lpx_err trace_new(const trace_opts *opts, trace **out)
{
    if (opts->loop_count == 0 || opts->loop_count > TRACE_MAX_LOOPS || opts->age_us <= 0) {
        return lpx_err_of(TRACE_BAD_OPTS);
    }
    trace *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    made->loop_count = opts->loop_count;
    made->age_us = opts->age_us;
    made->seed = opts->seed;
    made->on = opts->messages > 0;
    made->observer = (traffic_observer){.passed = passed, .settled = settled, .reported = reported, .ctx = made};
    trace_rpc_methods(made);
    lpx_err err = made->on ? make_parts(made, opts->messages) : LPX_SUCCESS;
    if (lpx_failed(err)) {
        trace_free(&made);
        return err;
    }
    *out = made;
    return LPX_SUCCESS;
}

void trace_free(trace **self)
{
    trace *t = *self;
    *self = NULL;
    if (t == NULL) {
        return;
    }
    for (unsigned i = 0; i < t->loop_count; i++) {
        if (t->hubs != NULL) {
            lpx_assert(t->hubs[i].count == 0);
            free(t->hubs[i].read);
        }
        if (t->parts != NULL) {
            trace_log_free(&t->parts[i].log);
        }
    }
    free(t->hubs);
    free(t->parts);
    free(t);
}

const traffic_observer *trace_observer(const trace *self)
{
    return self->on ? &self->observer : NULL;
}

size_t trace_methods(trace *self, const rpc_method **out)
{
    *out = self->methods;
    return TRACE_METHODS;
}

void trace_metrics(trace *self, lpx_buf *out)
{
    trace_log_counts all = {0, 0};
    for (unsigned i = 0; self->on && i < self->loop_count; i++) {
        pthread_mutex_lock(&self->parts[i].lock);
        trace_log_counts counts = trace_log_count(self->parts[i].log);
        pthread_mutex_unlock(&self->parts[i].lock);
        all.kept += counts.kept;
        all.overwritten += counts.overwritten;
    }
    lpx_buf_printf(out, "# TYPE lpx_trace_messages_kept gauge\nlpx_trace_messages_kept %llu\n",
                   (unsigned long long)all.kept);
    lpx_buf_printf(out,
                   "# TYPE lpx_trace_messages_overwritten_total counter\nlpx_trace_messages_overwritten_total %llu\n",
                   (unsigned long long)all.overwritten);
}

/* Reading. */

/* A list that grows in the arena. */
typedef struct event_list {
    lpx_arena *arena;
    trace_event *events;
    size_t count, room;
    bool short_of_memory;
} event_list;

static void push(event_list *list, const trace_entry *entry)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 16 : 2 * list->room;
        trace_event *more = lpx_arena_array(list->arena, room, sizeof *more);
        if (more == NULL) {
            list->short_of_memory = true;
            return;
        }
        if (list->count > 0) {
            memcpy(more, list->events, list->count * sizeof *more);
        }
        list->events = more;
        list->room = room;
    }
    lpx_bytes payload = lpx_arena_copy(list->arena, entry->payload);
    if (payload.ptr != NULL && trace_read(entry->type, entry->time, payload, list->arena, &list->events[list->count])) {
        list->count++;
    } else {
        list->short_of_memory = true;
    }
}

static void gather_part(const trace_log *log, uint64_t hash, int64_t since_us, event_list *list)
{
    trace_entry entry;
    trace_pos pos = trace_log_find(log, hash);
    while (list->count < TRACE_MAX_EVENTS && !list->short_of_memory && trace_log_at(log, pos, &entry)) {
        if (entry.hash == hash && entry.time.us >= since_us) {
            push(list, &entry);
        }
        pos = entry.older;
    }
}

lpx_err trace_gather(trace *self, lpx_str id, lpx_utc now, lpx_arena *arena, trace_event **events, size_t *count)
{
    event_list list = {.arena = arena};
    uint64_t hash = trace_hash(id, self->seed);
    for (unsigned i = 0; i < self->loop_count; i++) {
        pthread_mutex_lock(&self->parts[i].lock);
        gather_part(self->parts[i].log, hash, now.us - self->age_us, &list);
        pthread_mutex_unlock(&self->parts[i].lock);
    }
    if (list.short_of_memory) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    size_t kept = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (lpx_str_equal(trace_event_id(&list.events[i]), id)) {
            list.events[kept++] = list.events[i];
        }
    }
    *events = list.events;
    *count = kept;
    return LPX_SUCCESS;
}

/* The newest messages. */

/* A message that may be listed. */
typedef struct candidate {
    lpx_utc time; /* of the newest event that counts */
    uint64_t hash;
    lpx_str id;
} candidate;

typedef struct search {
    const trace_viewer *viewer;
    bool drops_only;
    uint32_t limit;
    int64_t since_us;
    lpx_arena *arena;  /* of what is found */
    lpx_arena scratch; /* of one record */
    candidate *list;
    size_t count;
    size_t from; /* first one of the present log */
    bool short_of_memory;
} search;

static bool is_candidate(const search *s, const candidate *c)
{
    for (size_t i = s->from; i < s->count; i++) {
        if (s->list[i].hash == c->hash && lpx_str_equal(s->list[i].id, c->id)) {
            return true;
        }
    }
    return false;
}

/* Does this record make its message one to list? Losses come with the passage and after it. */
static void look_at(search *s, const trace_entry *entry)
{
    trace_event event;
    bool drop;
    lpx_arena_reset(&s->scratch);
    if ((entry->type != TRACE_PASSED && !s->drops_only) ||
        !trace_read(entry->type, entry->time, entry->payload, &s->scratch, &event) ||
        !trace_concerns(s->viewer, &event, &drop) || (s->drops_only && !drop)) {
        return;
    }
    candidate c = {.time = entry->time, .hash = entry->hash, .id = trace_event_id(&event)};
    if (is_candidate(s, &c)) {
        return;
    }
    lpx_bytes id = lpx_arena_copy(s->arena, lpx_str_bytes(c.id));
    s->short_of_memory = s->short_of_memory || id.ptr == NULL;
    c.id = lpx_bytes_str(id);
    s->list[s->count++] = c;
}

/* One stretch of a log, from newer to older records, while its loop waits. @return where to go on; NOWHERE: the end */
static trace_pos search_stretch(const trace_log *log, trace_pos pos, search *s)
{
    trace_entry entry;
    for (unsigned n = 0; n < TRACE_CHUNK_RECORDS; n++) {
        if (s->count - s->from >= s->limit || !trace_log_at(log, pos, &entry) || entry.time.us < s->since_us) {
            return TRACE_NOWHERE;
        }
        look_at(s, &entry);
        pos = entry.previous;
    }
    return pos;
}

static void search_part(trace_part *part, search *s)
{
    s->from = s->count;
    pthread_mutex_lock(&part->lock);
    trace_pos pos = search_stretch(part->log, trace_log_newest(part->log), s);
    pthread_mutex_unlock(&part->lock);
    while (pos != TRACE_NOWHERE) {
        pthread_mutex_lock(&part->lock);
        pos = search_stretch(part->log, pos, s);
        pthread_mutex_unlock(&part->lock);
    }
}

static int newest_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return (x->time.us < y->time.us) - (x->time.us > y->time.us);
}

static bool is_listed(Lpx__Trace__V1__Trace *const *list, size_t count, lpx_str id)
{
    for (size_t i = 0; i < count; i++) {
        if (lpx_str_is(id, list[i]->id)) {
            return true;
        }
    }
    return false;
}

static lpx_err view_candidates(trace *self, search *s, lpx_utc now, Lpx__Trace__V1__Trace **list, size_t *count)
{
    if (s->count > 0) {
        qsort(s->list, s->count, sizeof *s->list, newest_first);
    }
    for (size_t i = 0; i < s->count && *count < s->limit; i++) {
        trace_event *events;
        size_t event_count;
        Lpx__Trace__V1__Trace *made;
        bool dropped;
        LPX_TRY(trace_gather(self, s->list[i].id, now, s->arena, &events, &event_count));
        LPX_TRY(trace_view(s->viewer, events, event_count, s->arena, &made, &dropped));
        if (made != NULL && (dropped || !s->drops_only) && !is_listed(list, *count, s->list[i].id)) {
            list[(*count)++] = made;
        }
    }
    return LPX_SUCCESS;
}

lpx_err trace_recent(trace *self, const trace_viewer *viewer, bool drops_only, uint32_t limit, lpx_utc now,
                     lpx_arena *arena, Lpx__Trace__V1__Trace ***out, size_t *count)
{
    search s = {.viewer = viewer, .drops_only = drops_only, .limit = limit, .since_us = now.us - self->age_us};
    Lpx__Trace__V1__Trace **list = lpx_arena_array(arena, limit, sizeof(void *));
    s.arena = arena;
    s.list = lpx_arena_array(arena, (size_t)limit * self->loop_count, sizeof *s.list);
    if (list == NULL || s.list == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_arena_init(&s.scratch, TRACE_SCRATCH_BYTES);
    for (unsigned i = 0; i < self->loop_count; i++) {
        search_part(&self->parts[i], &s);
    }
    lpx_arena_fini(&s.scratch);
    if (s.short_of_memory) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *count = 0;
    *out = list;
    return view_candidates(self, &s, now, list, count);
}
