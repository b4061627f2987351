#include "router/router.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "crypto/random.h"
#include "lpx_reasons.h"
#include "router/router_link.h"

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

static lpx_err make_shards(router *self, io_loop *const *loops, unsigned loop_count, router_tables *tables,
                           lpx_note *note)
{
    self->shard_count = loop_count;
    for (unsigned i = 0; i < loop_count; i++) {
        self->shards[i] = router_shard_new(self, loops[i], i, tables, io_loop_now(loops[i]).utc);
        if (self->shards[i] == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
        LPX_TRY(router_links_open(self->shards[i], note));
    }
    return LPX_SUCCESS;
}

static lpx_err fill_router(router *self, io_loop *const *loops, unsigned loop_count, lpx_note *note)
{
    uint8_t seed[sizeof self->loader.seed];
    LPX_TRY(crypto_random((lpx_space){seed, sizeof seed}));
    memcpy(&self->loader.seed, seed, sizeof seed);
    if (router_rate_any(&self->opts.rates)) {
        self->limiter = router_limiter_new(&self->opts.rates, self->loader.seed);
        if (self->limiter == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
    }
    self->scanner = router_scanner_new();
    if (self->scanner == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    router_tables *tables = NULL;
    LPX_TRY(router_load_first(self, &tables, note));
    lpx_err err = make_shards(self, loops, loop_count, tables, note);
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
    if (opts->peers_file != NULL && opts->peers_file[0] != '\0') {
        lpx_err read = router_peers_read(opts->peers_file, &self->peers, note);
        if (lpx_failed(read)) {
            free(self);
            return read;
        }
    }
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
    for (unsigned i = 0; i < self->shard_count && self->shards[i] != NULL; i++) {
        router_links_close(self->shards[i]);
    }
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
    router_scanner_free(&self->scanner);
    router_tables_unref(&self->loader.loaded);
    router_tables_unref(&self->loader.sent);
    router_tables_unref(&self->loader.retired);
    router_limiter_free(&self->limiter);
    router_peers_free(&self->peers);
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
