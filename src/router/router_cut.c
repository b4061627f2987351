#include "router/router_cut.h"

#include "base/assert.h"
#include "base/reader.h"
#include "base/writer.h"
#include "lorawan/region.h"
#include "lpx_reasons.h"
#include "router/router_core.h"

/* Tags: field number and wire type. */
enum {
    UPLINK_METADATA = 8 << 3 | 2,
    UPLINK_DATA_RATE = 13 << 3 | 2,
    METADATA_SIGNAL = 3 << 3 | 2, /* plain */
    SIGNAL_TERRESTRIAL = 1 << 3 | 2,
    TERRESTRIAL_ANTENNA = 1 << 3 | 2,
    ANTENNA_INDEX = 1 << 3 | 0,
    WINDOW_DATA_RATE = 3 << 3 | 2,
    RATE_LORA = 1 << 3 | 2,   /* with spreading factor, bandwidth, coding rate */
    RATE_FSK = 2 << 3 | 2,    /* with bits per second */
    RATE_LRFHSS = 3 << 3 | 2, /* with modulation type, channel width, coding rate */
    RATE_FIRST = 1 << 3 | 0,
    RATE_SECOND = 2 << 3 | 0,
    RATE_CODING = 3 << 3 | 2,
    ANTENNA_MAX_BYTES = 2 + 1 + 5,
};

/* ---- pieces ---- */

static void add(router_pieces *p, lpx_bytes piece)
{
    if (piece.len > 0) {
        lpx_assert(p->count < ROUTER_PIECES);
        p->list[p->count++] = piece;
        p->len += piece.len;
    }
}

/* What is between two places of one buffer. */
static lpx_bytes between(const uint8_t *from, const uint8_t *to)
{
    return lpx_bytes_of(from, (size_t)(to - from));
}

static const uint8_t *end_of(lpx_bytes b)
{
    return b.ptr + b.len;
}

/* Begin a new piece; add_made ends it. */
static lpx_writer begin_made(router_pieces *p)
{
    lpx_writer w;
    lpx_writer_init(&w, (lpx_space){p->made + p->made_len, sizeof p->made - p->made_len});
    return w;
}

static void add_made(router_pieces *p, const lpx_writer *w)
{
    lpx_assert(!w->failed);
    p->made_len += w->len;
    add(p, lpx_writer_view(w));
}

/* Tag and length of a field whose content follows. */
static void add_head(router_pieces *p, unsigned tag, size_t len)
{
    lpx_writer w = begin_made(p);
    lpx_writer_varint(&w, tag);
    lpx_writer_varint(&w, len);
    add_made(p, &w);
}

/* ---- data rates ---- */

static size_t varint_len(uint64_t v)
{
    size_t len = 1;
    for (; v >= 0x80; v >>= 7) {
        len++;
    }
    return len;
}

/* A data rate as the three fields of its kind; of FSK the first alone. */
typedef struct rate_words {
    unsigned kind; /* tag of the kind */
    uint64_t first, second;
    lpx_bytes coding;
    size_t inner; /* bytes of the three */
} rate_words;

static rate_words words_of(const lw_data_rate *rate, lpx_bytes coding)
{
    rate_words w = {.kind = RATE_FSK, .first = rate->bits_per_second};
    switch (rate->kind) {
    case LW_FSK:
        w.inner = 1 + varint_len(w.first);
        return w;
    case LW_LORA:
        w.kind = RATE_LORA;
        w.first = rate->spreading_factor;
        break;
    case LW_LRFHSS:
        w.kind = RATE_LRFHSS;
        w.first = rate->modulation_type;
        break;
    }
    w.second = rate->bandwidth_hz;
    w.coding = coding;
    w.inner = 1 + varint_len(w.first) + 1 + varint_len(w.second) + 1 + varint_len(coding.len) + coding.len;
    return w;
}

/* Bytes of the content of a data rate. */
static size_t rate_len(const rate_words *words)
{
    return 1 + varint_len(words->inner) + words->inner;
}

static void add_rate(router_pieces *p, unsigned tag, const rate_words *words)
{
    lpx_writer w = begin_made(p);
    lpx_writer_varint(&w, tag);
    lpx_writer_varint(&w, rate_len(words));
    lpx_writer_varint(&w, words->kind);
    lpx_writer_varint(&w, words->inner);
    lpx_writer_varint(&w, RATE_FIRST);
    lpx_writer_varint(&w, words->first);
    if (words->kind != RATE_FSK) {
        lpx_writer_varint(&w, RATE_SECOND);
        lpx_writer_varint(&w, words->second);
        lpx_writer_varint(&w, RATE_CODING);
        lpx_writer_varint(&w, words->coding.len);
    }
    add_made(p, &w);
    add(p, words->coding);
}

static bool find_rate(const router_scanned_rate *in, lw_direction direction, lw_data_rate *out)
{
    return in->absent && lw_region_data_rate(in->region, direction, in->index, out);
}

/* ---- gateway metadata ---- */

/* Index of one antenna: its first field, if it has one. Both antenna messages begin with it. */
static uint64_t antenna_index(lpx_bytes antenna)
{
    lpx_reader r;
    lpx_reader_init(&r, antenna);
    while (lpx_reader_left(&r) > 0) {
        uint64_t tag = lpx_reader_varint(&r);
        if (tag == ANTENNA_INDEX) {
            return lpx_reader_varint(&r) & UINT32_MAX;
        }
        (void)lpx_reader_take(&r, (size_t)lpx_reader_varint(&r)); /* the others are messages */
    }
    return 0;
}

/* Antennas with nothing but their index, serialised. */
static lpx_err bare_antennas(lpx_bytes antennas, lpx_arena *arena, lpx_bytes *out)
{
    lpx_reader r;
    lpx_writer w;
    size_t room = antennas.len / 2 * ANTENNA_MAX_BYTES; /* none takes less than a tag and a length */
    lpx_writer_init(&w, (lpx_space){lpx_arena_get(arena, room), room});
    if (w.room.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_reader_init(&r, antennas);
    while (lpx_reader_left(&r) > 0) {
        (void)lpx_reader_varint(&r);
        uint64_t index = antenna_index(lpx_reader_take(&r, (size_t)lpx_reader_varint(&r)));
        lpx_writer_varint(&w, TERRESTRIAL_ANTENNA);
        lpx_writer_varint(&w, index > 0 ? 1 + varint_len(index) : 0);
        if (index > 0) {
            lpx_writer_varint(&w, ANTENNA_INDEX);
            lpx_writer_varint(&w, index);
        }
    }
    lpx_assert(!w.failed && !r.failed);
    *out = lpx_writer_view(&w);
    return LPX_SUCCESS;
}

/* Parts of gateway metadata that are left, each a field or empty. */
typedef struct metadata_left {
    lpx_bytes teaser, signal, localization;
    lpx_bytes bare; /* content of the antennas that stand for signal */
} metadata_left;

static lpx_err strip_metadata(const router_scanned_uplink *in, unsigned strip, lpx_arena *arena, metadata_left *out)
{
    bool all = (strip & ROUTER_STRIP_TEASER) != 0;
    *out = (metadata_left){.bare = {NULL, 0}};
    if (!all) {
        out->teaser = in->metadata_teaser;
    }
    if (!all && (strip & ROUTER_STRIP_SIGNAL_QUALITY) == 0) {
        out->signal = in->signal;
    }
    if (!all && (strip & ROUTER_STRIP_LOCALIZATION) == 0) {
        out->localization = in->localization;
    }
    if (out->signal.len > 0 || (out->localization.len > 0 && in->location_antennas.len > 0)) {
        return LPX_SUCCESS;
    }
    lpx_bytes antennas = in->signal_antennas.len > 0 ? in->signal_antennas : in->location_antennas;
    return antennas.len > 0 ? bare_antennas(antennas, arena, &out->bare) : LPX_SUCCESS;
}

static void add_metadata(router_pieces *p, const metadata_left *left)
{
    size_t terrestrial = 1 + varint_len(left->bare.len) + left->bare.len;
    size_t quality = left->bare.len > 0 ? 1 + varint_len(terrestrial) + terrestrial : 0;
    add_head(p, UPLINK_METADATA, left->teaser.len + left->signal.len + left->localization.len + quality);
    add(p, left->teaser);
    add(p, left->signal);
    add(p, left->localization);
    if (left->bare.len > 0) {
        add_head(p, METADATA_SIGNAL, terrestrial);
        add_head(p, SIGNAL_TERRESTRIAL, left->bare.len);
        add(p, left->bare);
    }
}

/* ---- whole messages ---- */

static void init_pieces(router_pieces *p)
{
    p->count = p->len = p->made_len = 0;
}

void router_pieces_whole(router_pieces *pieces, lpx_bytes message)
{
    init_pieces(pieces);
    add(pieces, message);
}

/* A receive window of which the data rate is known now. */
static void add_window(router_pieces *p, const router_scanned_window *window, const lw_data_rate *rate)
{
    rate_words words = words_of(rate, lpx_str_bytes(rate->coding_rate));
    size_t rate_field = 1 + varint_len(rate_len(&words)) + rate_len(&words);
    add_head(p, *window->field.ptr, window->content.len + rate_field);
    add(p, window->content);
    add_rate(p, WINDOW_DATA_RATE, &words);
}

lpx_err router_cut_uplink(const router_scanned_uplink *in, unsigned strip, lpx_arena *arena, router_pieces *out)
{
    lw_data_rate rate;
    init_pieces(out);
    if (find_rate(&in->rate, LW_UPLINK, &rate)) {
        bool sent = in->coding_rate.len > 0; /* what the publisher says counts */
        rate_words words = words_of(&rate, sent ? in->coding_rate : lpx_str_bytes(rate.coding_rate));
        add_rate(out, UPLINK_DATA_RATE, &words);
    }
    if (strip == 0 || in->metadata.len == 0) {
        add(out, in->message);
        return LPX_SUCCESS;
    }
    metadata_left left;
    LPX_TRY(strip_metadata(in, strip, arena, &left));
    add(out, between(in->message.ptr, in->metadata.ptr));
    if ((strip & ROUTER_STRIP_TEASER) == 0 || left.bare.len > 0) {
        add_metadata(out, &left);
    }
    add(out, between(end_of(in->metadata), end_of(in->message)));
    return LPX_SUCCESS;
}

void router_cut_downlink(const router_scanned_downlink *in, router_pieces *out)
{
    init_pieces(out);
    bool swapped = in->windows[1].field.len > 0 && in->windows[1].field.ptr < in->windows[0].field.ptr;
    const uint8_t *done = in->message.ptr;
    for (unsigned i = 0; i < 2; i++) {
        const router_scanned_window *window = &in->windows[swapped ? 1 - i : i];
        lw_data_rate rate;
        if (window->field.len == 0 || !find_rate(&window->rate, LW_DOWNLINK, &rate)) {
            continue;
        }
        add(out, between(done, window->field.ptr));
        add_window(out, window, &rate);
        done = end_of(window->field);
    }
    add(out, between(done, end_of(in->message)));
}
