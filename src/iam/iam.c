/* The object: settings, the table of methods, loading of snapshots, and following the store. */
#include "iam/iam.h"

#include <stdlib.h>

#include "base/assert.h"
#include "iam/iam_cert_store.h"
#include "iam/iam_priv.h"
#include "iam/iam_store.h"
#include "lpx_reasons.h"

static const int64_t us_per_s = 1000000;

/* Settings. */

static lpx_err copy_text(const char *text, const char *name, char **out, lpx_note *note)
{
    if (text == NULL || text[0] == '\0' || strlen(text) > IAM_URL_MAX_BYTES) {
        return lpx_fail(note, IAM_BAD_SETTING, "%s must have 1 to %d characters.", name, (int)IAM_URL_MAX_BYTES);
    }
    *out = strdup(text);
    return *out != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err take_settings(iam *self, const iam_opts *opts, lpx_note *note)
{
    if (opts->audience_count > IAM_MAX_AUDIENCES) {
        return lpx_fail(note, IAM_BAD_SETTING, "There are %zu own names (audiences); at most %d are allowed.",
                        opts->audience_count, (int)IAM_MAX_AUDIENCES);
    }
    LPX_TRY(copy_text(opts->issuer, "The issuer of tokens", &self->issuer, note));
    for (size_t i = 0; i < opts->audience_count; i++) {
        char *copy;
        LPX_TRY(copy_text(opts->audiences[i], "An own name (audience)", &copy, note));
        self->audiences[self->audience_count++] = lpx_str_of(copy);
    }
    uint32_t per_hour = opts->anonymous_per_hour > 0 ? opts->anonymous_per_hour : IAM_ANONYMOUS_PER_HOUR;
    int64_t interval_us = 3600 * us_per_s / per_hour;
    self->bucket_interval_us = interval_us > 0 ? interval_us : 1;
    self->bucket_burst = opts->anonymous_burst > 0 ? opts->anonymous_burst : IAM_ANONYMOUS_BURST;
    self->allow_private_net_ids = opts->allow_private_net_ids;
    self->ca = opts->ca;
    return LPX_SUCCESS;
}

void iam_methods_add(iam *self, const rpc_method *methods, size_t count)
{
    lpx_assert(count <= IAM_METHODS - self->method_count);
    for (size_t i = 0; i < count; i++) {
        self->methods[self->method_count] = methods[i];
        self->methods[self->method_count++].service = self;
    }
}

size_t iam_methods(iam *self, const rpc_method **out)
{
    *out = self->methods;
    return self->method_count;
}

/* Loading. */

typedef struct setup_job {
    store_job job;
    iam *self;
    lpx_utc now;
    rpc_auth_snapshot *snapshot;
} setup_job;

static lpx_err setup_work(store_tx *tx, store_job *job)
{
    setup_job *s = LPX_CONTAINER(job, setup_job, job);
    bool changed;
    LPX_TRY(iam_ring_step(tx, s->now, &changed));
    return iam_ring_load(s->self, tx);
}

lpx_err iam_new(store *db, const iam_opts *opts, lpx_utc now, iam **out, lpx_note *note)
{
    iam *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    made->store = db;
    lpx_err err = take_settings(made, opts, note);
    if (!lpx_failed(err)) {
        iam_rpc_methods(made);
        iam_rpc_key_methods(made);
        iam_rpc_cert_methods(made);
        iam_rpc_catalog_methods(made);
        iam_rpc_join_methods(made);
        setup_job setup = {.job = {.work = setup_work, .write = true}, .self = made, .now = now};
        err = store_run(db, &setup.job);
    }
    if (lpx_failed(err)) {
        iam_free(&made);
        return err;
    }
    *out = made;
    return LPX_SUCCESS;
}

void iam_free(iam **self)
{
    iam *i = *self;
    *self = NULL;
    if (i == NULL) {
        return;
    }
    lpx_assert(!i->running && atomic_load(&i->requests) == 0);
    iam_ring_free(i);
    for (size_t n = 0; n < i->audience_count; n++) {
        free((void *)(uintptr_t)i->audiences[n].ptr);
    }
    free(i->issuer);
    free(i);
}

/* Keys of its own for a snapshot, which takes them over. */
static lpx_err import_keys(const iam_signing_row *rows, size_t count, jwt_key **out)
{
    for (size_t i = 0; i < count; i++) {
        lpx_err err = jwt_key_import(rows[i].jwk, &out[i]);
        if (lpx_failed(err)) {
            while (i > 0) {
                jwt_key_free(&out[--i]);
            }
            return err;
        }
    }
    return LPX_SUCCESS;
}

static lpx_err build_snapshot(iam *self, store_tx *tx, lpx_arena *arena, rpc_auth_snapshot **out)
{
    rpc_auth_key *keys;
    rpc_auth_cert *certs;
    rpc_auth_admin *admins;
    iam_signing_row *rows;
    jwt_key *signing[IAM_MAX_SIGNING_KEYS];
    rpc_auth_source source = {.signing_keys = signing,
                              .issuer = lpx_str_of(self->issuer),
                              .audiences = self->audiences,
                              .audience_count = self->audience_count};
    LPX_TRY(iam_store_auth_keys(tx, arena, &keys, &source.key_count));
    LPX_TRY(iam_store_auth_certs(tx, arena, &certs, &source.cert_count));
    LPX_TRY(iam_store_admins(tx, arena, &admins, &source.admin_count));
    LPX_TRY(iam_store_signing_keys(tx, arena, &rows, &source.signing_key_count));
    LPX_TRY(import_keys(rows, source.signing_key_count, signing));
    source.keys = keys;
    source.certs = certs;
    source.admins = admins;
    rpc_auth_snapshot *made = rpc_auth_snapshot_new(&source);
    if (made == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = made;
    return LPX_SUCCESS;
}

lpx_err iam_load_snapshot(iam *self, store_tx *tx, rpc_auth_snapshot **out)
{
    lpx_arena arena;
    LPX_TRY(iam_ring_load(self, tx));
    lpx_arena_init_wiped(&arena, IAM_SNAPSHOT_ARENA_BYTES);
    lpx_err err = build_snapshot(self, tx, &arena, out);
    lpx_arena_fini(&arena);
    return err;
}

static lpx_err snapshot_work(store_tx *tx, store_job *job)
{
    setup_job *s = LPX_CONTAINER(job, setup_job, job);
    rpc_auth_snapshot_unref(&s->snapshot); /* of a run before this one */
    return iam_load_snapshot(s->self, tx, &s->snapshot);
}

lpx_err iam_snapshot_now(iam *self, rpc_auth_snapshot **out)
{
    setup_job load = {.job = {.work = snapshot_work}, .self = self};
    lpx_err err = store_run(self->store, &load.job);
    if (lpx_failed(err)) {
        rpc_auth_snapshot_unref(&load.snapshot);
        return err;
    }
    *out = load.snapshot;
    return LPX_SUCCESS;
}

/* Following. */

static lpx_err load_work(store_tx *tx, store_job *job)
{
    iam *i = LPX_CONTAINER(job, iam, load_job);
    rpc_auth_snapshot_unref(&i->loaded);
    return iam_load_snapshot(i, tx, &i->loaded);
}

/* Ask for a snapshot; while one is under way, for another one behind it. */
static void load(iam *i)
{
    if (i->loading) {
        i->load_again = true;
        return;
    }
    if (lpx_failed(store_submit(i->store, &i->load_job))) {
        io_timer_arm(&i->load_timer, IAM_RETRY_S * us_per_s);
        return;
    }
    i->loading = true;
}

static void load_done(store_job *job, lpx_err err)
{
    iam *i = LPX_CONTAINER(job, iam, load_job);
    i->loading = false;
    if (lpx_failed(err) || !i->running) {
        rpc_auth_snapshot_unref(&i->loaded);
    } else {
        rpc_auth_snapshot *snapshot = i->loaded;
        i->loaded = NULL;
        i->snapshot(i->snapshot_ctx, snapshot);
    }
    bool again = i->load_again;
    i->load_again = false;
    if (!i->running) {
        return;
    }
    if (again) {
        load(i);
    } else if (lpx_failed(err)) {
        io_timer_arm(&i->load_timer, IAM_RETRY_S * us_per_s);
    }
}

static void load_due(io_timer *timer)
{
    load(LPX_CONTAINER(timer, iam, load_timer));
}

static void changed(store_watch *watch, uint32_t topics)
{
    (void)topics;
    load(LPX_CONTAINER(watch, iam, watch));
}

static lpx_err step_work(store_tx *tx, store_job *job)
{
    iam *i = LPX_CONTAINER(job, iam, step_job);
    bool touched;
    return iam_ring_step(tx, i->step_now, &touched);
}

static void step_done(store_job *job, lpx_err err)
{
    iam *i = LPX_CONTAINER(job, iam, step_job);
    (void)err; /* the next look at the ring tries again */
    i->stepping = false;
}

/* Look at the ring; write only when there is something to do. */
static void step_due(io_timer *timer)
{
    iam *i = LPX_CONTAINER(timer, iam, step_timer);
    const iam_ring *ring = atomic_load(&i->ring);
    const iam_keyring none = {.count = 0};
    lpx_utc now = io_loop_now(i->home).utc;
    io_timer_arm(timer, IAM_KEYRING_EVERY_S * us_per_s);
    if (i->stepping || iam_keyring_step(ring != NULL ? &ring->times : &none, now).action == IAM_RING_NOTHING) {
        return;
    }
    i->step_now = now;
    i->stepping = !lpx_failed(store_submit(i->store, &i->step_job));
}

lpx_err iam_start(iam *self, io_loop *home, iam_snapshot_fn *snapshot, void *ctx)
{
    lpx_assert(!self->running);
    LPX_TRY(io_timer_init(&self->load_timer, home, load_due));
    lpx_err err = io_timer_init(&self->step_timer, home, step_due);
    if (lpx_failed(err)) {
        io_timer_fini(&self->load_timer);
        return err;
    }
    self->home = home;
    self->snapshot = snapshot;
    self->snapshot_ctx = ctx;
    self->load_job = (store_job){.home = home, .work = load_work, .done = load_done};
    self->step_job = (store_job){.home = home, .work = step_work, .done = step_done, .write = true};
    self->watch =
        (store_watch){.topics = 1U << STORE_TOPIC_KEYS | 1U << STORE_TOPIC_SIGNING | 1U << STORE_TOPIC_CERTIFICATES,
                      .home = home,
                      .changed = changed};
    self->running = true;
    store_watch_start(self->store, &self->watch);
    io_timer_arm(&self->step_timer, IAM_KEYRING_EVERY_S * us_per_s);
    load(self);
    return LPX_SUCCESS;
}

void iam_stop(iam *self)
{
    atomic_store(&self->stopped, true);
    if (!self->running) {
        return;
    }
    self->running = false;
    store_watch_stop(self->store, &self->watch);
    io_timer_fini(&self->load_timer);
    io_timer_fini(&self->step_timer);
    while (self->loading || self->stepping) {
        io_loop_turn(self->home, us_per_s);
    }
}
