#include "router/router.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "crypto/random.h"
#include "lpx_reasons.h"
#include "router/router_priv.h"

/* ---- construction ---- */

/* Value or default. */
static uint32_t limit_or(uint32_t value, uint32_t preset)
{
    return value > 0 ? value : preset;
}

static lpx_err check_opts(const router_opts *opts, unsigned loop_count, router_queue_limits *out, lpx_note *note)
{
    router_queue_limits limits = {
        .max_messages = limit_or(opts->queue_messages, ROUTER_QUEUE_MESSAGES),
        .max_bytes = limit_or(opts->queue_bytes, ROUTER_QUEUE_BYTES),
        .max_age_us = opts->queue_age_us > 0 ? opts->queue_age_us : ROUTER_QUEUE_AGE_US,
    };
    if (loop_count == 0 || loop_count > ROUTER_MAX_LOOPS) {
        return lpx_fail(note, ROUTER_BAD_OPTS, "The router needs 1 to %d loops; it was given %u.", ROUTER_MAX_LOOPS,
                        loop_count);
    }
    if (limits.max_messages > ROUTER_QUEUE_MAX_MESSAGES) {
        return lpx_fail(note, ROUTER_BAD_OPTS, "A queue may hold at most %d messages; %u were asked for.",
                        ROUTER_QUEUE_MAX_MESSAGES, limits.max_messages);
    }
    if (limits.max_bytes < ROUTER_QUEUE_MIN_BYTES || limits.max_bytes > ROUTER_QUEUE_MAX_BYTES) {
        return lpx_fail(note, ROUTER_BAD_OPTS, "A queue may hold %d to %d bytes; %u were asked for.",
                        ROUTER_QUEUE_MIN_BYTES, ROUTER_QUEUE_MAX_BYTES, limits.max_bytes);
    }
    if (opts->max_message_bytes > ROUTER_MESSAGE_BYTES) {
        return lpx_fail(note, ROUTER_BAD_OPTS, "A message may have at most %d bytes; %u were asked for.",
                        ROUTER_MESSAGE_BYTES, opts->max_message_bytes);
    }
    *out = limits;
    return LPX_SUCCESS;
}

static lpx_err make_shards(router *self, io_loop *const *loops, unsigned loop_count, router_tables *tables)
{
    self->shard_count = loop_count;
    for (unsigned i = 0; i < loop_count; i++) {
        self->shards[i] = router_shard_new(self, loops[i], i, tables, io_loop_now(loops[i]).utc);
        if (self->shards[i] == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
    }
    return LPX_SUCCESS;
}

static lpx_err fill_router(router *self, io_loop *const *loops, unsigned loop_count, lpx_note *note)
{
    uint8_t seed[sizeof self->loader.seed];
    LPX_TRY(crypto_random((lpx_space){seed, sizeof seed}));
    memcpy(&self->loader.seed, seed, sizeof seed);
    router_tables *tables = NULL;
    LPX_TRY(router_load_first(self, &tables, note));
    lpx_err err = make_shards(self, loops, loop_count, tables);
    router_tables_unref(&tables);
    LPX_TRY(err);
    router_methods_init(self);
    return router_watch_start(self);
}

lpx_err router_new(const router_opts *opts, io_loop *const *loops, unsigned loop_count, router **out, lpx_note *note)
{
    router_queue_limits limits;
    LPX_TRY(check_opts(opts, loop_count, &limits, note));
    router *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    static const traffic_observer *const nobody[] = {NULL};
    self->opts = *opts;
    self->observers = opts->observers != NULL ? opts->observers : nobody;
    (void)snprintf(self->name, sizeof self->name, "%s", opts->name != NULL ? opts->name : "lpx");
    self->limits = limits;
    self->max_message_bytes = limit_or(opts->max_message_bytes, ROUTER_PUBLISH_BYTES);
    lpx_err err = fill_router(self, loops, loop_count, note);
    if (lpx_failed(err)) {
        router_stop(self);
        router_free(&self);
        return err;
    }
    *out = self;
    return LPX_SUCCESS;
}

void router_stop(router *self)
{
    router_watch_stop(self);
}

void router_free(router **ref)
{
    router *self = *ref;
    *ref = NULL;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < self->shard_count; i++) {
        router_shard_free(&self->shards[i]);
    }
    router_tables_unref(&self->loader.loaded);
    router_tables_unref(&self->loader.sent);
    lpx_wipe(&self->id_key, sizeof self->id_key);
    free(self);
}

const rpc_method *router_methods(const router *self, size_t *count)
{
    *count = sizeof self->methods / sizeof self->methods[0];
    return self->methods;
}

/* ---- counters ---- */

static uint64_t read_counter(const router_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_counts(const router_shard_counts *from, unsigned way, router_counts *to)
{
    for (unsigned kind = 0; kind < TRAFFIC_KINDS; kind++) {
        to->published[way][kind] += read_counter(&from->published[way][kind]);
        to->routed[way][kind] += read_counter(&from->routed[way][kind]);
    }
    for (unsigned reason = 0; reason < TRAFFIC_DROP_REASONS; reason++) {
        to->dropped[way][reason] += read_counter(&from->dropped[way][reason]);
    }
    for (unsigned outcome = 0; outcome < ROUTER_REPORT_OUTCOMES; outcome++) {
        to->reports[way][outcome] += read_counter(&from->reports[way][outcome]);
    }
    to->sent[way] += read_counter(&from->sent[way]);
    to->opened[way] += read_counter(&from->opened[way]);
    to->closed[way] += read_counter(&from->closed[way]);
}

void router_count(const router *self, router_counts *out)
{
    router_counts sum = {
        .tables_loaded = read_counter(&self->tables_loaded),
        .tables_failed = read_counter(&self->tables_failed),
    };
    for (unsigned i = 0; i < self->shard_count; i++) {
        for (unsigned way = 0; way < TRAFFIC_DIRECTIONS; way++) {
            add_counts(&self->shards[i]->counts, way, &sum);
        }
    }
    *out = sum;
}

static const char *const direction_names[TRAFFIC_DIRECTIONS] = {[TRAFFIC_UP] = "uplink", [TRAFFIC_DOWN] = "downlink"};
static const char *const kind_names[TRAFFIC_KINDS] = {[TRAFFIC_JOIN] = "join", [TRAFFIC_DATA] = "data"};
static const char *const outcome_names[ROUTER_REPORT_OUTCOMES] = {
    [ROUTER_REPORT_SUCCESS] = "success",   [ROUTER_REPORT_ERROR] = "error",     [ROUTER_REPORT_PROGRESS] = "progress",
    [ROUTER_REPORT_REPEATED] = "repeated", [ROUTER_REPORT_UNKNOWN] = "unknown", [ROUTER_REPORT_LATE] = "late",
};

/* A metric with one value for each direction and each of count second labels; label NULL: direction alone. */
typedef struct metric_table {
    const char *name;
    const char *label;
    unsigned count;
    bool gauge;
} metric_table;

enum {
    TABLE_PUBLISHED,
    TABLE_ROUTED,
    TABLE_SENT,
    TABLE_DROPPED,
    TABLE_REPORTS,
    TABLE_OPEN,
    TABLE_COUNT,
};

static const metric_table tables[TABLE_COUNT] = {
    [TABLE_PUBLISHED] = {"lpx_router_published_messages_total", "kind", TRAFFIC_KINDS, false},
    [TABLE_ROUTED] = {"lpx_router_routed_messages_total", "kind", TRAFFIC_KINDS, false},
    [TABLE_SENT] = {"lpx_router_sent_messages_total", NULL, 1, false},
    [TABLE_DROPPED] = {"lpx_router_dropped_messages_total", "reason", TRAFFIC_DROP_REASONS, false},
    [TABLE_REPORTS] = {"lpx_router_delivery_reports_total", "outcome", ROUTER_REPORT_OUTCOMES, false},
    [TABLE_OPEN] = {"lpx_router_subscriptions", NULL, 1, true},
};

static const char *second_label(unsigned table, unsigned second)
{
    if (table == TABLE_DROPPED) {
        return traffic_drop_name((traffic_drop)second);
    }
    return table == TABLE_REPORTS ? outcome_names[second] : kind_names[second];
}

static uint64_t table_value(const router_counts *counts, unsigned table, unsigned way, unsigned second)
{
    const uint64_t values[TABLE_COUNT] = {
        [TABLE_PUBLISHED] = second < TRAFFIC_KINDS ? counts->published[way][second] : 0,
        [TABLE_ROUTED] = second < TRAFFIC_KINDS ? counts->routed[way][second] : 0,
        [TABLE_SENT] = counts->sent[way],
        [TABLE_DROPPED] = second < TRAFFIC_DROP_REASONS ? counts->dropped[way][second] : 0,
        [TABLE_REPORTS] = second < ROUTER_REPORT_OUTCOMES ? counts->reports[way][second] : 0,
        [TABLE_OPEN] = counts->opened[way] - counts->closed[way],
    };
    return values[table];
}

static void metric_of(const router_counts *counts, unsigned table, unsigned index, router_metric *out)
{
    unsigned way = index / tables[table].count, second = index % tables[table].count;
    *out = (router_metric){
        .name = tables[table].name, .value = table_value(counts, table, way, second), .gauge = tables[table].gauge};
    if (tables[table].label == NULL) {
        (void)snprintf(out->labels, sizeof out->labels, "direction=\"%s\"", direction_names[way]);
        return;
    }
    (void)snprintf(out->labels, sizeof out->labels, "direction=\"%s\",%s=\"%s\"", direction_names[way],
                   tables[table].label, second_label(table, second));
}

bool router_metric_get(const router_counts *counts, unsigned index, router_metric *out)
{
    unsigned left = index;
    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        unsigned rows = tables[table].count * TRAFFIC_DIRECTIONS;
        if (left < rows) {
            metric_of(counts, table, left, out);
            return true;
        }
        left -= rows;
    }
    if (left > 1) {
        return false;
    }
    *out = (router_metric){.name = left == 0 ? "lpx_router_tables_loaded_total" : "lpx_router_tables_failed_total",
                           .value = left == 0 ? counts->tables_loaded : counts->tables_failed};
    return true;
}
