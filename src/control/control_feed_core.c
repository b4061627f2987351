#include "control/control_feed_core.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "lpx_reasons.h"

/* Places in the text, which moves while it grows. */
typedef struct entry {
    size_t at; /* body, then identity */
    uint32_t body_len, identity_len;
    uint32_t order; /* of its arrival */
    bool gone;
} entry;

struct control_state {
    atomic_uint refs;
    lpx_buf text;
    entry *entries;
    size_t count, room;
};

control_state *control_state_new(size_t max_bytes)
{
    control_state *state = calloc(1, sizeof *state);
    if (state != NULL) {
        atomic_init(&state->refs, 1);
        lpx_buf_init(&state->text, max_bytes);
    }
    return state;
}

control_state *control_state_ref(control_state *state)
{
    atomic_fetch_add(&state->refs, 1);
    return state;
}

void control_state_unref(control_state **state_at)
{
    control_state *state = *state_at;
    *state_at = NULL;
    if (state == NULL || atomic_fetch_sub(&state->refs, 1) != 1) {
        return;
    }
    lpx_buf_fini(&state->text);
    free(state->entries);
    free(state);
}

size_t control_state_count(const control_state *state)
{
    return state->count;
}

size_t control_state_bytes(const control_state *state)
{
    return state->text.len;
}

static lpx_bytes identity_of(const control_state *state, const entry *e)
{
    return (lpx_bytes){state->text.ptr + e->at + e->body_len, e->identity_len};
}

control_row control_state_row(const control_state *state, size_t index)
{
    const entry *e = &state->entries[index];
    return (control_row){
        .identity = identity_of(state, e), .body = {state->text.ptr + e->at, e->body_len}, .gone = e->gone};
}

static entry *take_entry(control_state *state)
{
    if (state->count == state->room) {
        size_t room = state->room > 0 ? 2 * state->room : 64;
        entry *bigger = realloc(state->entries, room * sizeof *bigger);
        if (bigger == NULL) {
            return NULL;
        }
        state->entries = bigger;
        state->room = room;
    }
    entry *e = &state->entries[state->count];
    *e = (entry){.at = state->text.len, .order = (uint32_t)state->count};
    return e;
}

/* ---- identities ---- */

/* The next varint; our own encoder wrote it. */
static uint64_t take_varint(lpx_bytes *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; in->len > 0 && shift < 64; shift += 7) {
        uint8_t byte = *in->ptr;
        *in = (lpx_bytes){in->ptr + 1, in->len - 1};
        value |= (uint64_t)(byte & 0x7FU) << shift;
        if (byte < 0x80) {
            break;
        }
    }
    return value;
}

static uint64_t value_size(lpx_bytes *in, unsigned wire_type)
{
    enum { VARINT = 0, FIXED64 = 1, BYTES = 2 };
    if (wire_type == VARINT) {
        (void)take_varint(in);
        return 0;
    }
    if (wire_type == BYTES) {
        return take_varint(in);
    }
    return wire_type == FIXED64 ? 8 : 4;
}

/* Copy the fields that identify, as they are, behind the body. */
static void add_identity(lpx_buf *text, lpx_bytes body, uint32_t fields)
{
    while (body.len > 0) {
        const uint8_t *start = body.ptr;
        uint64_t tag = take_varint(&body);
        uint64_t size = value_size(&body, (unsigned)(tag & 7U));
        size = size < body.len ? size : body.len;
        body = (lpx_bytes){body.ptr + size, body.len - size};
        if (tag >> 3 < 32 && (fields >> (tag >> 3) & 1U) != 0) {
            lpx_buf_add(text, lpx_bytes_of(start, (size_t)(body.ptr - start)));
        }
    }
}

lpx_err control_state_add(control_state *state, const ProtobufCMessage *message, uint32_t identity_fields)
{
    entry *e = take_entry(state);
    size_t size = protobuf_c_message_get_packed_size(message);
    if (e == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (size > UINT32_MAX / 2 ||
        lpx_buf_reserve(&state->text, 2 * size + 1) == NULL) { /* then nothing below moves it */
        return lpx_err_of(CONTROL_TOPIC_TOO_LARGE);
    }
    pb_append(message, &state->text);
    e->body_len = (uint32_t)size;
    add_identity(&state->text, lpx_bytes_of(state->text.ptr + e->at, size), identity_fields);
    e->identity_len = (uint32_t)(state->text.len - e->at - size);
    state->count++;
    return lpx_buf_failed(&state->text) ? lpx_err_of(CONTROL_TOPIC_TOO_LARGE) : LPX_SUCCESS;
}

/* ---- order ---- */

static int compare_bytes(lpx_bytes a, lpx_bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_entries(const void *a, const void *b, void *ctx)
{
    const entry *x = a;
    const entry *y = b;
    int order = compare_bytes(identity_of(ctx, x), identity_of(ctx, y));
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

void control_state_finish(control_state *state)
{
    if (state->count == 0) {
        return;
    }
    qsort_r(state->entries, state->count, sizeof *state->entries, compare_entries, state);
    size_t kept = 1;
    for (size_t i = 1; i < state->count; i++) {
        if (!lpx_bytes_equal(identity_of(state, &state->entries[i]), identity_of(state, &state->entries[kept - 1]))) {
            state->entries[kept++] = state->entries[i];
        }
    }
    state->count = kept;
}

/* ---- changes ---- */

static bool add_change(control_state *changes, control_row row, bool gone)
{
    entry *e = take_entry(changes);
    if (e == NULL) {
        return false;
    }
    e->gone = gone;
    e->body_len = gone ? 0 : (uint32_t)row.body.len;
    e->identity_len = (uint32_t)row.identity.len;
    if (!gone) {
        lpx_buf_add(&changes->text, row.body);
    }
    lpx_buf_add(&changes->text, row.identity);
    changes->count++;
    return !lpx_buf_failed(&changes->text);
}

control_state *control_state_changes(const control_state *from, const control_state *to)
{
    control_state *changes = control_state_new(from->text.len + to->text.len + 1);
    bool ok = changes != NULL;
    size_t old = 0;
    size_t new = 0;
    while (ok && (old < from->count || new < to->count)) {
        control_row was = old < from->count ? control_state_row(from, old) : (control_row){.gone = true};
        control_row is = new < to->count ? control_state_row(to, new) : (control_row){.gone = true};
        int order = was.gone ? 1 : is.gone ? -1 : compare_bytes(was.identity, is.identity);
        if (order < 0) {
            ok = add_change(changes, was, true);
        } else if (order > 0 || !lpx_bytes_equal(was.body, is.body)) {
            ok = add_change(changes, is, false);
        }
        old += order <= 0;
        new += order >= 0;
    }
    if (!ok) {
        control_state_unref(&changes);
    }
    return changes;
}

unsigned control_row_share(const control_row *row, unsigned of)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < row->identity.len; i++) {
        hash = (hash ^ row->identity.ptr[i]) * UINT32_C(16777619);
    }
    return of > 1 ? (hash ^ hash >> 16) % of : 0;
}
