/* Counting and writing. A loop counts into one of its two tables. The collector, on the first loop, sends every loop a
 * task that changes the tables over; the full ones come back, are added up in pending and emptied. Pending becomes the
 * table being written, which is frozen until the store has it: its parts are numbered, and a part whose commit was not
 * answered is written again under its number, which the store knows then. No lock is taken anywhere. */
#include "reporting/reporting.h"

#include <stdlib.h>

#include "base/text.h"
#include "crypto/random.h"
#include "lpx_reasons.h"
#include "reporting/limits.h"
#include "reporting/reporting_store.h"

/* What one loop counts. */
typedef struct shard {
    reporting *owner;
    io_loop *loop;
    reporting_table tables[2]; /* the active one belongs to the loop, the other to the collector */
    unsigned active;
    io_task swap, swapped; /* there and back */
} shard;

typedef enum work { WORK_NONE, WORK_COLLECT, WORK_ADD, WORK_PRUNE } work;

struct reporting {
    store *store;
    int64_t keep_days;
    traffic_observer observer;
    shard *shards;
    unsigned shard_count;
    io_timer timer;
    work work;               /* what goes on; one thing at a time */
    unsigned awaited;        /* WORK_COLLECT: tables that are not back yet */
    reporting_table pending; /* collected */
    reporting_table writing; /* frozen; rows before cursor are stored */
    size_t cursor;
    store_job job;
    reporting_batch batch;
    int64_t pruned_s; /* monotonic; 0: not yet */
    lpx_utc prune_now;
    bool stopping;
    uint64_t written, lost, batches, failures;
};

/* ---- what happens, on any loop ---- */

static void count(reporting *self, unsigned loop, lpx_utc time, const traffic_endpoint *forwarder,
                  const traffic_endpoint *home, unsigned slot)
{
    shard *s = &self->shards[loop];
    const traffic_member from = traffic_member_of(*forwarder);
    const traffic_member to = traffic_member_of(*home);
    reporting_table_add(&s->tables[s->active], reporting_day(time), &from, &to, slot, 1);
}

static void passed(void *ctx, unsigned loop, const traffic_passage *passage)
{
    for (size_t i = 0; i < passage->outcome_count; i++) {
        const traffic_outcome *outcome = &passage->outcomes[i];
        unsigned what = REPORTING_ROUTED;
        unsigned error;
        if (!outcome->delivered) {
            if (!reporting_drop_error(passage->direction, outcome->drop, &error)) {
                continue;
            }
            what = REPORTING_ERROR + error;
        }
        count(ctx, loop, passage->time, &passage->forwarder, &outcome->home,
              reporting_slot(passage->direction, passage->kind, what));
    }
}

static void settled(void *ctx, unsigned loop, const traffic_copy *copy)
{
    unsigned error;
    if (!copy->sent && reporting_drop_error(copy->direction, copy->drop, &error)) {
        count(ctx, loop, copy->time, &copy->forwarder, &copy->home,
              reporting_slot(copy->direction, copy->kind, REPORTING_ERROR + error));
    }
}

static void reported(void *ctx, unsigned loop, const traffic_report *report)
{
    unsigned error = report->error >= 0 ? (unsigned)report->error : 0;
    count(
        ctx, loop, report->time, &report->forwarder, &report->home,
        reporting_slot(report->direction, report->kind, report->failed ? REPORTING_ERROR + error : REPORTING_SUCCESS));
}

/* ---- collect, write ---- */

static void begin_write(reporting *self);

static void swap_tables(io_task *task)
{
    shard *s = LPX_CONTAINER(task, shard, swap);
    s->active = 1 - s->active;
    io_loop_post(s->owner->shards[0].loop, &s->swapped);
}

static void take_counts(reporting *self, reporting_table *table)
{
    reporting_table_merge(&self->pending, table);
    reporting_table_clear(table);
    self->lost += self->pending.lost;
    self->pending.lost = 0;
}

static void on_swapped(io_task *task)
{
    shard *s = LPX_CONTAINER(task, shard, swapped);
    reporting *self = s->owner;
    take_counts(self, &s->tables[1 - s->active]);
    if (--self->awaited == 0) {
        begin_write(self);
    }
}

static void rest(reporting *self)
{
    self->work = WORK_NONE;
    if (!self->stopping) {
        io_timer_arm(&self->timer, REPORTING_COLLECT_MS * INT64_C(1000));
    }
}

/* The next part of the frozen table: whole rows, about as many counters as a transaction takes. */
static void next_batch(reporting *self)
{
    size_t rows = 0;
    for (size_t used = 0; used < REPORTING_BATCH_CELLS && self->cursor + rows < self->writing.count; rows++) {
        for (unsigned slot = 0; slot < REPORTING_SLOTS; slot++) {
            used += self->writing.rows[self->cursor + rows].counts[slot] > 0;
        }
    }
    self->batch.rows = &self->writing.rows[self->cursor];
    self->batch.row_count = rows;
    self->batch.now = io_loop_now(self->shards[0].loop).utc;
}

/* Something to write? Freezes what was collected when the last table is stored. */
static bool find_batch(reporting *self)
{
    if (self->cursor == self->writing.count) {
        reporting_table emptied = self->writing;
        reporting_table_clear(&emptied);
        self->writing = self->pending;
        self->pending = emptied;
        reporting_table_sort(&self->writing);
        self->cursor = 0;
    }
    next_batch(self);
    return self->batch.row_count > 0;
}

static void batch_is_stored(reporting *self)
{
    for (size_t i = 0; i < self->batch.row_count; i++) {
        for (unsigned slot = 0; slot < REPORTING_SLOTS; slot++) {
            self->written += self->batch.rows[i].counts[slot];
        }
    }
    self->cursor += self->batch.row_count;
    self->batch.number++;
    self->batches++;
}

static lpx_err add_work(store_tx *tx, store_job *job)
{
    const reporting *self = LPX_CONTAINER(job, reporting, job);
    return reporting_store_add(tx, &self->batch);
}

static lpx_err prune_work(store_tx *tx, store_job *job)
{
    const reporting *self = LPX_CONTAINER(job, reporting, job);
    const int64_t day_us = INT64_C(86400000000);
    return reporting_store_prune(tx, reporting_day(self->prune_now) - self->keep_days,
                                 (lpx_utc){self->prune_now.us - REPORTING_WRITER_DAYS * day_us});
}

static void job_done(store_job *job, lpx_err err)
{
    reporting *self = LPX_CONTAINER(job, reporting, job);
    bool add = self->work == WORK_ADD;
    self->failures += lpx_failed(err);
    if (lpx_failed(err)) {
        rest(self); /* the same again at the next turn of the timer */
        return;
    }
    if (!add) {
        self->pruned_s = io_loop_now(self->shards[0].loop).mono.us / 1000000;
        rest(self);
        return;
    }
    batch_is_stored(self);
    if (self->stopping) {
        rest(self);
    } else {
        begin_write(self);
    }
}

static void submit(reporting *self, work what, lpx_err (*run)(store_tx *tx, store_job *job))
{
    self->work = what;
    self->job = (store_job){.home = self->shards[0].loop, .write = true, .work = run, .done = job_done};
    lpx_err err = store_submit(self->store, &self->job);
    if (lpx_failed(err)) {
        self->failures++;
        rest(self);
    }
}

static void begin_write(reporting *self)
{
    lpx_now now = io_loop_now(self->shards[0].loop);
    bool prune = self->pruned_s == 0 || now.mono.us / 1000000 - self->pruned_s >= REPORTING_PRUNE_S;
    if (find_batch(self)) {
        submit(self, WORK_ADD, add_work);
    } else if (prune && !self->stopping) {
        self->prune_now = now.utc;
        submit(self, WORK_PRUNE, prune_work);
    } else {
        rest(self);
    }
}

static void collect(io_timer *timer)
{
    reporting *self = LPX_CONTAINER(timer, reporting, timer);
    self->work = WORK_COLLECT;
    self->awaited = self->shard_count;
    for (unsigned i = 0; i < self->shard_count; i++) {
        io_loop_post(self->shards[i].loop, &self->shards[i].swap);
    }
}

/* ---- life ---- */

static lpx_err make_writer(reporting *self)
{
    uint8_t bytes[REPORTING_WRITER_CHARS / 2];
    LPX_TRY(crypto_random((lpx_space){bytes, sizeof bytes}));
    lpx_hex_encode(lpx_bytes_of(bytes, sizeof bytes), self->batch.writer);
    self->batch.number = 1;
    return LPX_SUCCESS;
}

static void make_shards(reporting *self, io_loop *const *loops, unsigned loop_count)
{
    self->shard_count = loop_count;
    for (unsigned i = 0; i < loop_count; i++) {
        self->shards[i] = (shard){.owner = self, .loop = loops[i], .swap.run = swap_tables, .swapped.run = on_swapped};
        reporting_table_init(&self->shards[i].tables[0], REPORTING_LOOP_PAIRS);
        reporting_table_init(&self->shards[i].tables[1], REPORTING_LOOP_PAIRS);
    }
    reporting_table_init(&self->pending, REPORTING_PENDING_PAIRS);
    reporting_table_init(&self->writing, REPORTING_PENDING_PAIRS);
}

lpx_err reporting_new(const reporting_opts *opts, io_loop *const *loops, unsigned loop_count, reporting **out)
{
    reporting *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    self->shards = calloc(loop_count, sizeof *self->shards);
    self->store = opts->store;
    self->keep_days = opts->keep_days > 0 ? opts->keep_days : REPORTING_KEEP_DAYS;
    self->observer = (traffic_observer){.passed = passed, .settled = settled, .reported = reported, .ctx = self};
    lpx_err err = self->shards != NULL ? make_writer(self) : lpx_err_of(BASE_NO_MEMORY);
    if (!lpx_failed(err)) {
        make_shards(self, loops, loop_count);
        err = io_timer_init(&self->timer, loops[0], collect);
    }
    if (lpx_failed(err)) {
        reporting_free(&self);
        return err;
    }
    rest(self);
    *out = self;
    return LPX_SUCCESS;
}

const traffic_observer *reporting_observer(const reporting *self)
{
    return &self->observer;
}

/* What is under way ends first: its tasks are in the loops' queues, its transaction on a worker. */
static void wait_for_work(reporting *self)
{
    enum { WAIT_US = 10000 };
    while (self->work != WORK_NONE) {
        for (unsigned i = self->shard_count; i-- > 0;) {
            io_loop_turn(self->shards[i].loop, i == 0 && self->work != WORK_COLLECT ? WAIT_US : 0);
        }
    }
}

uint64_t reporting_stop(reporting *self)
{
    if (self == NULL) {
        return 0;
    }
    self->stopping = true;
    io_timer_fini(&self->timer);
    wait_for_work(self);
    for (unsigned i = 0; i < self->shard_count; i++) {
        take_counts(self, &self->shards[i].tables[0]);
        take_counts(self, &self->shards[i].tables[1]);
    }
    lpx_err err = LPX_SUCCESS;
    while (!lpx_failed(err) && find_batch(self)) {
        self->job = (store_job){.write = true, .work = add_work};
        err = store_run(self->store, &self->job);
        if (!lpx_failed(err)) {
            batch_is_stored(self);
        }
    }
    const reporting_table *left[] = {&self->pending, &self->writing};
    for (size_t t = 0; lpx_failed(err) && t < 2; t++) {
        for (size_t i = t == 1 ? self->cursor : 0; i < left[t]->count; i++) {
            for (unsigned slot = 0; slot < REPORTING_SLOTS; slot++) {
                self->lost += left[t]->rows[i].counts[slot];
            }
        }
    }
    return self->lost;
}

void reporting_free(reporting **handle)
{
    reporting *self = *handle;
    *handle = NULL;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < self->shard_count; i++) {
        reporting_table_fini(&self->shards[i].tables[0]);
        reporting_table_fini(&self->shards[i].tables[1]);
    }
    reporting_table_fini(&self->pending);
    reporting_table_fini(&self->writing);
    free(self->shards);
    free(self);
}

void reporting_metrics(const reporting *self, lpx_buf *out)
{
    const struct {
        const char *name, *type;
        uint64_t value;
    } lines[] = {
        {"lpx_reporting_written_counts_total", "counter", self->written},
        {"lpx_reporting_lost_counts_total", "counter", self->lost},
        {"lpx_reporting_batches_total", "counter", self->batches},
        {"lpx_reporting_failed_batches_total", "counter", self->failures},
        {"lpx_reporting_pending_pairs", "gauge", self->pending.count + self->writing.count - self->cursor},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        lpx_buf_printf(out, "# TYPE %s %s\n%s %llu\n", lines[i].name, lines[i].type, lines[i].name,
                       (unsigned long long)lines[i].value);
    }
}
