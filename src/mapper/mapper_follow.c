/* Keeps the index like the store: loads what changed, what may be seen, and removes what is old. One piece of work at a
 * time: a transaction on a store worker, then its outcome on the index thread, then back here. */
#include <stdlib.h>

#include "base/log.h"
#include "lpx_reasons.h"
#include "mapper/mapper_priv.h"

/* Kinds of work; the lowest bit goes first. */
enum {
    WORK_GRANTS = 1 << 0, /* load visibilities and members */
    WORK_LOAD = 1 << 1,   /* load what changed */
    WORK_PURGE = 1 << 2,  /* remove the gateways of a forwarder that is not registered any more */
    WORK_SWEEP = 1 << 3,  /* remove what is old */
    WORK_COUNT = 1 << 4,  /* count who is online */
};

#define COUNT_US (INT64_C(10) * 1000000)

static void begin_next(mapper_follower *f);

static mapper *owner(mapper_follower *f)
{
    return LPX_CONTAINER(f, struct mapper, follower);
}

static lpx_utc stale_before(mapper_follower *f)
{
    return (lpx_utc){f->now.us - owner(f)->opts.keep_us};
}

/* ---- on the index thread (or at start-up) ---- */

static void put_page(mapper_follower *f)
{
    for (size_t i = 0; i < f->row_count; i++) {
        bool added;
        lpx_err err = mapper_index_put(owner(f)->index, &f->rows[i], &added);
        f->rows_refused += lpx_failed(err);
        f->any_added = f->any_added || added;
        f->newest.us = f->rows[i].updated_at.us > f->newest.us ? f->rows[i].updated_at.us : f->newest.us;
    }
}

static void find_full(mapper_follower *f)
{
    f->full_count = mapper_index_full(owner(f)->index, owner(f)->opts.max_gateways, f->full, MAPPER_FULL_NETWORKS);
}

static void find_gone(mapper_follower *f)
{
    uint32_t position = 0;
    f->has_gone = mapper_index_unregistered(owner(f)->index, &position, &f->gone) &&
                  f->gone.tenant_id.len < sizeof f->gone_tenant;
    if (f->has_gone) {
        memcpy(f->gone_tenant, f->gone.tenant_id.ptr, f->gone.tenant_id.len);
        f->gone.tenant_id.ptr = f->gone_tenant;
    }
}

static void index_work(io_job *job)
{
    mapper_follower *f = LPX_CONTAINER(job, mapper_follower, index_job);
    mapper *self = owner(f);
    if (f->doing == WORK_GRANTS) {
        mapper_index_set_grants(self->index, f->grants);
        f->grants = NULL;
    } else if (f->doing == WORK_LOAD) {
        put_page(f);
    } else if (f->doing == WORK_PURGE && f->removed > 0) {
        (void)mapper_index_remove_forwarder(self->index, f->gone);
    } else if (f->doing == WORK_SWEEP) {
        (void)mapper_index_remove_before(self->index, stale_before(f));
    } else if (f->doing == WORK_COUNT) {
        atomic_store(&self->counts.online, mapper_index_online(self->index, f->now));
    }
    if (f->doing != WORK_COUNT) {
        find_full(f);
        find_gone(f);
    }
    atomic_store(&self->counts.gateways, mapper_index_count(self->index));
}

/* ---- on a store worker ---- */

static lpx_err store_work(store_tx *tx, store_job *job)
{
    mapper_follower *f = LPX_CONTAINER(job, mapper_follower, store_job);
    bool removed;
    if (f->doing == WORK_GRANTS) {
        mapper_grants_free(&f->grants);
        return mapper_store_grants(tx, &f->grants);
    }
    if (f->doing == WORK_SWEEP) {
        return mapper_store_remove_before(tx, stale_before(f), &f->removed);
    }
    if (f->doing == WORK_PURGE) {
        LPX_TRY(mapper_store_remove_forwarder(tx, f->gone, &removed));
        f->removed = removed;
        return LPX_SUCCESS;
    }
    lpx_arena_reset(&f->arena);
    return mapper_store_page(tx, &f->after, &f->arena, f->rows, &f->row_count);
}

/* ---- on the loop ---- */

static void publish_full(mapper_follower *f)
{
    mapper *self = owner(f);
    pthread_mutex_lock(&self->full_lock);
    memcpy(self->full, f->full, f->full_count * sizeof f->full[0]);
    self->full_count = f->full_count;
    pthread_mutex_unlock(&self->full_lock);
}

static void want(mapper_follower *f, unsigned work)
{
    f->wanted |= work;
    begin_next(f);
}

static void work_failed(mapper_follower *f, lpx_err err)
{
    LPX_LOG(LPX_LOG_WARN, "mapper_store_failed", LPX_F_STR("reason", lpx_str_of(lpx_reason_name(err.reason))));
    atomic_fetch_add(&owner(f)->counts.loads_failed, 1);
    f->wanted |= f->doing;
    f->doing = 0;
    if (f->watching) {
        io_timer_arm(&f->retry_timer, MAPPER_RETRY_US);
    }
}

/* How far a load goes back. */
static void place_load(mapper_follower *f)
{
    int64_t mono = io_loop_now(owner(f)->loop).mono.us;
    int64_t overlap = MAPPER_LOAD_OVERLAP_US;
    if (mono >= f->next_recheck_us) {
        f->next_recheck_us = mono + MAPPER_RECHECK_US;
        overlap = MAPPER_RECHECK_OVERLAP_US;
    }
    int64_t newest = f->newest.us < f->now.us ? f->newest.us : f->now.us; /* a clock that is ahead hides nothing */
    f->after = (mapper_feed){.updated_at = {newest - overlap}, .forwarder.tenant_id = {"", 0}, .key = {"", 0}};
    f->next_load_us = mono + MAPPER_LOAD_GAP_US;
}

/* A copy of text that fits; longer text than any that is checked is cut. */
static lpx_str keep(lpx_str text, char *room, size_t size)
{
    size_t len = text.len < size ? text.len : size;
    memcpy(room, text.ptr, len);
    return (lpx_str){room, len};
}

/* The next page begins behind the last row of this one. */
static bool next_page(mapper_follower *f)
{
    if (f->row_count < MAPPER_PAGE_ROWS) {
        return false;
    }
    const mapper_row *last = &f->rows[f->row_count - 1];
    f->after.updated_at = last->updated_at;
    f->after.forwarder.net_id = last->forwarder.net_id;
    f->after.forwarder.tenant_id = keep(last->forwarder.tenant_id, f->after_tenant, sizeof f->after_tenant);
    f->after.key = keep(last->key, f->after_key, sizeof f->after_key);
    return true;
}

static void submit_store(mapper_follower *f)
{
    f->store_job.write = f->doing == WORK_SWEEP || f->doing == WORK_PURGE;
    lpx_err err = store_submit(owner(f)->opts.store, &f->store_job);
    if (lpx_failed(err)) {
        work_failed(f, err);
    }
}

static void submit_index(mapper_follower *f)
{
    lpx_err err = io_workers_submit(owner(f)->worker, &f->index_job);
    if (lpx_failed(err)) {
        work_failed(f, err);
    }
}

static void store_done(store_job *job, lpx_err err)
{
    mapper_follower *f = LPX_CONTAINER(job, mapper_follower, store_job);
    if (!f->watching) {
        f->doing = 0;
    } else if (lpx_failed(err)) {
        work_failed(f, err);
    } else {
        submit_index(f);
    }
}

/* Is there more of the same work? */
static bool goes_on(mapper_follower *f)
{
    if (f->doing == WORK_LOAD) {
        if (f->rows_refused > 0) {
            LPX_LOG(LPX_LOG_WARN, "mapper_index_full", LPX_F_INT("rows", f->rows_refused));
            atomic_fetch_add(&owner(f)->counts.rows_refused, f->rows_refused);
            f->rows_refused = 0;
        }
        return next_page(f);
    }
    return f->doing == WORK_SWEEP && f->removed == MAPPER_SWEEP_ROWS;
}

static void index_done(io_job *job)
{
    mapper_follower *f = LPX_CONTAINER(job, mapper_follower, index_job);
    if (!f->watching) {
        f->doing = 0;
        return;
    }
    publish_full(f);
    if (goes_on(f)) {
        submit_store(f);
        return;
    }
    atomic_fetch_add(&owner(f)->counts.loads, f->doing == WORK_LOAD);
    if (f->has_gone && (f->doing != WORK_PURGE || f->removed > 0)) {
        f->wanted |= WORK_PURGE;
    }
    f->doing = 0;
    begin_next(f);
}

static void begin_next(mapper_follower *f)
{
    if (f->doing != 0 || f->wanted == 0 || !f->watching) {
        return;
    }
    f->doing = f->wanted & ~(f->wanted - 1);
    f->wanted &= ~f->doing;
    f->now = io_loop_now(owner(f)->loop).utc;
    if (f->doing == WORK_COUNT) {
        submit_index(f);
        return;
    }
    if (f->doing == WORK_LOAD) {
        place_load(f);
    }
    submit_store(f);
}

/* ---- what starts work ---- */

static void on_changed(store_watch *watch, uint32_t topics)
{
    mapper_follower *f = LPX_CONTAINER(watch, mapper_follower, watch);
    if ((topics & (1u << STORE_TOPIC_GATEWAYS)) != 0 && !f->load_armed) {
        int64_t wait = f->next_load_us - io_loop_now(owner(f)->loop).mono.us;
        f->load_armed = true;
        io_timer_arm(&f->load_timer, wait > 0 ? wait : 0);
    }
    if ((topics & ~(1u << STORE_TOPIC_GATEWAYS)) != 0) {
        want(f, WORK_GRANTS);
    }
}

static void on_load(io_timer *timer)
{
    mapper_follower *f = LPX_CONTAINER(timer, mapper_follower, load_timer);
    f->load_armed = false;
    want(f, WORK_LOAD);
}

static void on_sweep(io_timer *timer)
{
    mapper_follower *f = LPX_CONTAINER(timer, mapper_follower, sweep_timer);
    int64_t quarter = owner(f)->opts.keep_us / 4;
    io_timer_arm(timer, quarter < MAPPER_SWEEP_US ? quarter : MAPPER_SWEEP_US);
    want(f, WORK_SWEEP);
}

static void on_count(io_timer *timer)
{
    mapper_follower *f = LPX_CONTAINER(timer, mapper_follower, count_timer);
    io_timer_arm(timer, COUNT_US);
    want(f, WORK_COUNT);
}

static void on_retry(io_timer *timer)
{
    begin_next(LPX_CONTAINER(timer, mapper_follower, retry_timer));
}

/* ---- life ---- */

static lpx_err run_first(mapper_follower *f, unsigned work)
{
    f->doing = work;
    LPX_TRY(store_run(owner(f)->opts.store, &f->store_job));
    index_work(&f->index_job);
    f->doing = 0;
    return LPX_SUCCESS;
}

lpx_err mapper_follow_first(mapper *self, lpx_utc now)
{
    mapper_follower *f = &self->follower;
    lpx_arena_init(&f->arena, MAPPER_PAGE_BYTES);
    f->rows = calloc(MAPPER_PAGE_ROWS, sizeof *f->rows);
    if (f->rows == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    f->now = now;
    f->store_job = (store_job){.home = self->loop, .work = store_work, .done = store_done};
    f->index_job = (io_job){.home = self->loop, .work = index_work, .done = index_done};
    f->after = (mapper_feed){.updated_at = stale_before(f), .forwarder.tenant_id = {"", 0}, .key = {"", 0}};
    LPX_TRY(run_first(f, WORK_GRANTS));
    do {
        LPX_TRY(run_first(f, WORK_LOAD));
    } while (next_page(f));
    publish_full(f);
    return LPX_SUCCESS;
}

lpx_err mapper_follow_start(mapper *self)
{
    mapper_follower *f = &self->follower;
    LPX_TRY(io_timer_init(&f->load_timer, self->loop, on_load));
    LPX_TRY(io_timer_init(&f->sweep_timer, self->loop, on_sweep));
    LPX_TRY(io_timer_init(&f->count_timer, self->loop, on_count));
    LPX_TRY(io_timer_init(&f->retry_timer, self->loop, on_retry));
    f->watch = (store_watch){
        .topics = 1u << STORE_TOPIC_GATEWAYS | 1u << STORE_TOPIC_VISIBILITIES | 1u << STORE_TOPIC_NETWORKS,
        .home = self->loop,
        .changed = on_changed,
    };
    f->watching = true;
    store_watch_start(self->opts.store, &f->watch);
    f->wanted = WORK_GRANTS | WORK_LOAD; /* what changed since the first load */
    on_sweep(&f->sweep_timer);
    on_count(&f->count_timer);
    return LPX_SUCCESS;
}

void mapper_follow_stop(mapper *self)
{
    mapper_follower *f = &self->follower;
    if (f->watching) {
        f->watching = false;
        store_watch_stop(self->opts.store, &f->watch);
    }
    io_timer_fini(&f->load_timer);
    io_timer_fini(&f->sweep_timer);
    io_timer_fini(&f->count_timer);
    io_timer_fini(&f->retry_timer);
}

void mapper_follow_fini(mapper *self)
{
    mapper_follower *f = &self->follower;
    mapper_grants_free(&f->grants);
    lpx_arena_fini(&f->arena);
    free(f->rows);
}
