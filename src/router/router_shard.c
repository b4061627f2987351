/* A shard: its mail, its streams and their queues. */
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "router/router_join.h"
#include "router/router_link.h"
#include "router/router_map.h"
#include "router/router_tell.h"

/* ---- letters ---- */

static void item_fini(router_batch_item *item)
{
    switch (item->kind) {
    case ROUTER_ITEM_DELIVERY:
        router_sub_unref(&item->delivery.sub);
        router_copy_unref(&item->delivery.copy);
        break;
    case ROUTER_ITEM_REPORT:
        router_copy_unref(&item->report.about);
        break;
    case ROUTER_ITEM_FOREIGN:
        break;
    }
}

static void mail_free(router_mail *mail)
{
    router_sub_unref(&mail->sub);
    router_tables_unref(&mail->tables);
    for (uint32_t i = 0; i < mail->count; i++) {
        item_fini(&mail->items[i]);
    }
    free(mail);
}

/* Free one letter for each shard; those that were sent are NULL. */
static void letters_free(const router_shard *shard, router_mail **letters)
{
    for (unsigned i = 0; i < shard->router->shard_count; i++) {
        if (letters[i] != NULL) {
            mail_free(letters[i]);
            letters[i] = NULL;
        }
    }
}

/* Letters about a subscription for all other shards; one's own stays NULL.
 * @return false when memory is short, and letters are all NULL */
static bool letters_make(const router_shard *shard, router_mail_kind kind, router_sub *sub, router_mail **letters)
{
    for (unsigned i = 0; i < shard->router->shard_count; i++) {
        letters[i] = i != shard->index ? calloc(1, sizeof(router_mail)) : NULL;
        if (letters[i] != NULL) {
            letters[i]->kind = kind;
            letters[i]->sub = router_sub_ref(sub);
        } else if (i != shard->index) {
            letters_free(shard, letters);
            return false;
        }
    }
    return true;
}

/* ---- streams ---- */

static void lose(router_shard *shard, router_sub *sub, const router_copy *copy, traffic_drop reason)
{
    const router_copy_about *about = router_copy_get_about(copy);
    router_sub_count_drop(sub, reason);
    router_counter_add(&shard->counts.dropped[about->direction][reason], 1);
    router_tell_lost(shard, about, reason);
}

/* A copy has left the queue or the way to it. */
static void waits_no_more(router_sub *sub, const router_copy *copy)
{
    atomic_fetch_sub_explicit(&sub->waiting_messages, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&sub->waiting_bytes, (unsigned)router_copy_message(copy).len, memory_order_relaxed);
}

static void on_dropped(void *ctx, const router_copy *copy, traffic_drop reason)
{
    router_stream *stream = ctx;
    waits_no_more(stream->sub, copy);
    lose(stream->shard, stream->sub, copy, reason);
}

/* Send while the stream takes it. */
static void stream_drain(router_stream *stream)
{
    router_shard *shard = stream->shard;
    size_t before = stream->queue.bytes;
    while (stream->writable) {
        router_copy *copy = router_queue_take(&stream->queue, io_loop_now(shard->loop).mono);
        if (copy == NULL) {
            break;
        }
        stream->writable = rpc_stream_send(stream->call, router_copy_message(copy));
        router_counter_add(&shard->counts.sent[stream->sub->direction], 1);
        router_counter_add(&stream->sub->sent, 1);
        waits_no_more(stream->sub, copy);
        router_tell_sent(shard, router_copy_get_about(copy));
        router_copy_unref(&copy);
    }
    shard->queued_bytes -= before - stream->queue.bytes;
}

/* A copy has arrived on the loop of its subscription; takes the reference. */
static void stream_take(router_shard *shard, router_sub *sub, router_copy *copy)
{
    router_stream *stream = sub->stream;
    if (stream == NULL || shard->queued_bytes + router_copy_message(copy).len > ROUTER_SHARD_BYTES) {
        waits_no_more(sub, copy);
        lose(shard, sub, copy, stream == NULL ? TRAFFIC_DROP_GONE : TRAFFIC_DROP_MEMORY);
        router_copy_unref(&copy);
        return;
    }
    size_t before = stream->queue.bytes;
    router_queue_give(&stream->queue, copy, io_loop_now(shard->loop).mono);
    shard->queued_bytes = shard->queued_bytes - before + stream->queue.bytes;
    stream_drain(stream);
}

static void stream_on_writable(void *ctx)
{
    router_stream *stream = ctx;
    stream->writable = true;
    stream_drain(stream);
}

/* What waits is dropped. */
static void stream_empty(router_stream *stream)
{
    stream->shard->queued_bytes -= stream->queue.bytes;
    router_queue_fini(&stream->queue, TRAFFIC_DROP_GONE);
}

/* Take the stream apart. */
static void stream_free(router_stream *stream)
{
    router_shard *shard = stream->shard;
    router_sub *sub = stream->sub;
    router_counter_add(&shard->counts.closed[sub->direction], 1);
    stream_empty(stream);
    lpx_list_remove(&stream->node);
    letters_free(shard, stream->farewell);
    sub->stream = NULL;
    router_sub_unref(&sub);
    free(stream);
}

/* ---- mail ---- */

/* Hand a letter over. */
static void mail_send(router_shard *to, router_mail *mail)
{
    router_mail *head = atomic_load_explicit(&to->inbox, memory_order_relaxed);
    do {
        mail->next = head;
    } while (
        !atomic_compare_exchange_weak_explicit(&to->inbox, &head, mail, memory_order_release, memory_order_relaxed));
    if (!atomic_exchange_explicit(&to->inbox_posted, true, memory_order_acq_rel)) {
        io_loop_post(to->loop, &to->inbox_task);
    }
}

/* All letters of the inbox, the oldest first. */
static router_mail *inbox_take(router_shard *shard)
{
    router_mail *newest = atomic_exchange_explicit(&shard->inbox, NULL, memory_order_acquire);
    router_mail *oldest = NULL;
    while (newest != NULL) {
        router_mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* ---- messages of other exchanges ---- */

uint64_t router_foreign_key(const router *self, const router_copy_about *about)
{
    uint64_t seed =
        router_hash_member(self->loader.seed + (uint64_t)about->direction, traffic_member_of(about->forwarder));
    return (router_hash_text(seed, about->id) & ~UINT64_C(1)) | (about->kind == TRAFFIC_DATA ? 1 : 0);
}

static void remember_foreign(router_shard *shard, uint64_t key)
{
    lpx_utc now = io_loop_now(shard->loop).utc;
    (void)router_seen_add(&shard->foreign, key, now.us / 1000, now);
}

/* Did another exchange hand this message over here? The kind is the message's, not the report's to say. */
static bool knows_foreign(const router_shard *shard, router_batch_report *report)
{
    router_copy_about about = *router_copy_get_about(report->about);
    about.kind = TRAFFIC_JOIN;
    uint64_t join = router_foreign_key(shard->router, &about);
    report->kind = router_seen_has(&shard->foreign, join) ? TRAFFIC_JOIN : TRAFFIC_DATA;
    return report->kind == TRAFFIC_JOIN || router_seen_has(&shard->foreign, join | 1);
}

static void count_report(router_shard *shard, router_batch_report *report)
{
    const router_copy_about *about = router_copy_get_about(report->about);
    if (report->foreign && !knows_foreign(shard, report)) {
        router_counter_add(&shard->counts.reports[about->direction][ROUTER_REPORT_UNKNOWN], 1);
        return;
    }
    router_report_outcome outcome = ROUTER_REPORT_LATE;
    switch (router_seen_add(&shard->seen, report->key, report->issued_ms, io_loop_now(shard->loop).utc)) {
    case ROUTER_SEEN_NEW:
        outcome = report->failed ? ROUTER_REPORT_ERROR : ROUTER_REPORT_SUCCESS;
        router_tell_reported(shard, about, report);
        break;
    case ROUTER_SEEN_AGAIN:
        outcome = ROUTER_REPORT_REPEATED;
        break;
    case ROUTER_SEEN_TOO_OLD:
        break;
    }
    router_counter_add(&shard->counts.reports[about->direction][outcome], 1);
}

static void run_batch(router_shard *shard, router_mail *mail)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < mail->count; i++) {
        router_batch_item *item = &mail->items[i];
        switch (item->kind) {
        case ROUTER_ITEM_DELIVERY:
            bytes += router_copy_message(item->delivery.copy).len;
            stream_take(shard, item->delivery.sub, item->delivery.copy);
            item->delivery.copy = NULL;
            break;
        case ROUTER_ITEM_REPORT:
            count_report(shard, &item->report);
            break;
        case ROUTER_ITEM_FOREIGN:
            remember_foreign(shard, item->foreign);
            break;
        }
    }
    atomic_fetch_sub_explicit(&shard->inbox_items, mail->count, memory_order_relaxed);
    atomic_fetch_sub_explicit(&shard->inbox_bytes, bytes, memory_order_relaxed);
}

static void run_mail(router_shard *shard, router_mail *mail)
{
    switch (mail->kind) {
    case ROUTER_MAIL_ADD:
        if (lpx_failed(router_dir_add(shard->dir, mail->sub))) {
            LPX_LOG(LPX_LOG_ERROR, "router_subscription_lost", LPX_F_INT("loop", shard->index),
                    LPX_F_HEX("net_id", mail->sub->endpoint.net_id, 6),
                    LPX_F_STR("tenant_id", mail->sub->endpoint.tenant_id));
        }
        break;
    case ROUTER_MAIL_REMOVE:
        (void)router_dir_remove(shard->dir, mail->sub);
        break;
    case ROUTER_MAIL_TABLES:
        router_tables_unref(&shard->tables);
        shard->tables = mail->tables;
        mail->tables = NULL;
        break;
    case ROUTER_MAIL_BATCH:
        run_batch(shard, mail);
        break;
    }
}

void router_shard_read_inbox(router_shard *shard)
{
    router_mail *mail = inbox_take(shard);
    while (mail != NULL) {
        router_mail *next = mail->next;
        run_mail(shard, mail);
        mail_free(mail);
        mail = next;
    }
}

static void run_inbox(io_task *task)
{
    router_shard *shard = LPX_CONTAINER(task, router_shard, inbox_task);
    atomic_store_explicit(&shard->inbox_posted, false, memory_order_seq_cst);
    router_shard_read_inbox(shard);
}

/* ---- batches ---- */

static void batch_send(router_shard *shard, unsigned to)
{
    router_mail *batch = shard->outgoing[to];
    shard->outgoing[to] = NULL;
    if (batch != NULL) {
        mail_send(shard->router->shards[to], batch);
    }
}

static void flush(io_hook *hook)
{
    router_shard *shard = LPX_CONTAINER(hook, router_shard, flush);
    for (unsigned to = 0; to < shard->router->shard_count; to++) {
        batch_send(shard, to);
    }
}

/* Room for one thing in the batch to another loop; NULL when that loop does not keep up or memory is short. */
static router_batch_item *batch_item(router_shard *shard, unsigned to, size_t bytes)
{
    router_shard *target = shard->router->shards[to];
    if (atomic_load_explicit(&target->inbox_items, memory_order_relaxed) >= ROUTER_RELAY_ITEMS ||
        atomic_load_explicit(&target->inbox_bytes, memory_order_relaxed) + bytes > ROUTER_SHARD_BYTES) {
        return NULL;
    }
    if (shard->outgoing[to] != NULL && shard->outgoing[to]->count == ROUTER_BATCH_ITEMS) {
        batch_send(shard, to);
    }
    if (shard->outgoing[to] == NULL) {
        router_mail *batch = calloc(1, sizeof *batch + ROUTER_BATCH_ITEMS * sizeof batch->items[0]);
        if (batch == NULL) {
            return NULL;
        }
        batch->kind = ROUTER_MAIL_BATCH;
        shard->outgoing[to] = batch;
        io_loop_at_turn_end(shard->loop, &shard->flush);
    }
    atomic_fetch_add_explicit(&target->inbox_items, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&target->inbox_bytes, bytes, memory_order_relaxed);
    return &shard->outgoing[to]->items[shard->outgoing[to]->count++];
}

void router_shard_deliver(router_shard *shard, router_sub *sub, router_copy *copy)
{
    size_t len = router_copy_message(copy).len;
    router_batch_item *item = NULL;
    if (sub->loop != shard->index) {
        item = batch_item(shard, sub->loop, len);
        if (item == NULL) {
            lose(shard, sub, copy, TRAFFIC_DROP_RELAY_FULL);
            return;
        }
    }
    atomic_fetch_add_explicit(&sub->waiting_messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sub->waiting_bytes, (unsigned)len, memory_order_relaxed);
    if (item == NULL) {
        stream_take(shard, sub, router_copy_ref(copy));
        return;
    }
    item->kind = ROUTER_ITEM_DELIVERY;
    item->delivery = (router_batch_delivery){router_sub_ref(sub), router_copy_ref(copy)};
}

void router_shard_report(router_shard *shard, const router_batch_report *report)
{
    router_batch_report taken = *report;
    const router_copy_about *named = router_copy_get_about(taken.about);
    uint64_t place = taken.foreign ? router_foreign_key(shard->router, named) >> 1 : taken.key;
    unsigned to = (unsigned)(place % shard->router->shard_count);
    if (to == shard->index) {
        count_report(shard, &taken);
        router_copy_unref(&taken.about);
        return;
    }
    router_batch_item *item = batch_item(shard, to, 0);
    if (item == NULL) {
        traffic_direction direction = router_copy_get_about(taken.about)->direction;
        router_counter_add(&shard->counts.reports[direction][ROUTER_REPORT_LATE], 1);
        router_copy_unref(&taken.about);
        return;
    }
    item->kind = ROUTER_ITEM_REPORT;
    item->report = taken;
}

void router_shard_remember(router_shard *shard, uint64_t key)
{
    unsigned to = (unsigned)((key >> 1) % shard->router->shard_count);
    if (to == shard->index) {
        remember_foreign(shard, key);
        return;
    }
    router_batch_item *item = batch_item(shard, to, 0);
    if (item != NULL) { /* else reports on it will not count */
        item->kind = ROUTER_ITEM_FOREIGN;
        item->foreign = key;
    }
}

/* ---- subscriptions and tables ---- */

static void letters_send(const router_shard *shard, router_mail **letters)
{
    for (unsigned i = 0; i < shard->router->shard_count; i++) {
        if (letters[i] != NULL) {
            mail_send(shard->router->shards[i], letters[i]);
            letters[i] = NULL;
        }
    }
}

static void stream_on_end(void *ctx, lpx_code why)
{
    (void)why;
    router_stream *stream = ctx;
    router_shard *shard = stream->shard;
    stream_empty(stream); /* first: who removes the subscription adds up what became of its copies */
    (void)router_dir_remove(shard->dir, stream->sub);
    letters_send(shard, stream->farewell);
    stream_free(stream);
}

static const rpc_stream_events stream_events = {.on_writable = stream_on_writable, .on_end = stream_on_end};

/* Make a stream and its letters, enter its subscription into the directory of its own loop.
 * @param added gets letters for the other shards */
static lpx_err stream_open(router_shard *shard, const router_sub_spec *spec, router_mail **added, router_stream **out)
{
    router_stream *stream = calloc(1, sizeof *stream + shard->router->shard_count * sizeof stream->farewell[0]);
    router_sub *sub = stream != NULL ? router_sub_new(spec) : NULL;
    bool made = sub != NULL && letters_make(shard, ROUTER_MAIL_ADD, sub, added);
    if (!made || !letters_make(shard, ROUTER_MAIL_REMOVE, sub, stream->farewell) ||
        lpx_failed(router_dir_add(shard->dir, sub))) {
        if (made) {
            letters_free(shard, added);
            letters_free(shard, stream->farewell);
        }
        router_sub_unref(&sub);
        free(stream);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    stream->shard = shard;
    stream->sub = sub;
    stream->writable = true;
    router_queue_init(&stream->queue, shard->router->limits, (router_queue_sink){.dropped = on_dropped, .ctx = stream});
    sub->stream = stream;
    lpx_list_push(&shard->streams, &stream->node);
    *out = stream;
    return LPX_SUCCESS;
}

lpx_err router_shard_subscribe(router_shard *shard, rpc_call *call, router_sub_spec *spec, lpx_note *note)
{
    router_mail *added[ROUTER_MAX_LOOPS] = {NULL};
    router_stream *stream = NULL;
    router_shard_read_inbox(shard);
    LPX_TRY(router_dir_check_room(shard->dir, spec->direction, traffic_member_of(spec->endpoint), note));
    spec->loop = shard->index;
    spec->max_messages = shard->router->limits.max_messages;
    spec->max_bytes = shard->router->limits.max_bytes;
    LPX_TRY(stream_open(shard, spec, added, &stream));
    router_counter_add(&shard->counts.opened[spec->direction], 1);
    letters_send(shard, added);
    stream->call = call;
    rpc_stream_begin(call, &stream_events, stream);
    return LPX_SUCCESS;
}

void router_send_tables(router *self, router_tables *tables)
{
    for (unsigned i = 0; i < self->shard_count; i++) {
        router_mail *mail = calloc(1, sizeof *mail);
        if (mail == NULL) {
            LPX_LOG(LPX_LOG_ERROR, "router_tables_lost", LPX_F_INT("loop", i));
            continue;
        }
        mail->kind = ROUTER_MAIL_TABLES;
        mail->tables = router_tables_ref(tables);
        mail_send(self->shards[i], mail);
    }
}

/* ---- construction ---- */

router_shard *router_shard_new(router *self, io_loop *loop, unsigned index, router_tables *tables, lpx_utc now)
{
    size_t size = (sizeof(router_shard) + 127) / 128 * 128; /* two shards never share a cache line */
    router_shard *shard = aligned_alloc(128, size);
    if (shard == NULL) {
        return NULL;
    }
    memset(shard, 0, size);
    shard->dir = router_dir_new(self->loader.seed);
    if (shard->dir == NULL) {
        free(shard);
        return NULL;
    }
    shard->router = self;
    shard->loop = loop;
    shard->index = index;
    shard->tables = router_tables_ref(tables);
    shard->flush.run = flush;
    shard->inbox_task.run = run_inbox;
    shard->random_used = ROUTER_RANDOM_BYTES;
    router_routes_init(&shard->routes, self->loader.seed);
    lpx_list_init(&shard->streams);
    lpx_list_init(&shard->flush.node);
    lpx_buf_init(&shard->scratch, ROUTER_MESSAGE_BYTES);
    router_seen_init(&shard->seen, now);
    router_seen_init(&shard->foreign, (lpx_utc){0});
    router_joins_init(shard);
    return shard;
}

void router_shard_free(router_shard **ref)
{
    router_shard *shard = *ref;
    *ref = NULL;
    if (shard == NULL) {
        return;
    }
    for (router_mail *mail = inbox_take(shard), *next; mail != NULL; mail = next) {
        next = mail->next;
        mail_free(mail);
    }
    for (unsigned i = 0; i < ROUTER_MAX_LOOPS; i++) {
        if (shard->outgoing[i] != NULL) {
            mail_free(shard->outgoing[i]);
        }
    }
    while (!lpx_list_empty(&shard->streams)) {
        stream_free(LPX_CONTAINER(shard->streams.next, router_stream, node));
    }
    router_dir_free(&shard->dir);
    router_tables_unref(&shard->tables);
    router_joins_free(shard);
    router_seen_fini(&shard->seen);
    router_seen_fini(&shard->foreign);
    router_links_free(shard);
    router_routes_fini(&shard->routes);
    lpx_buf_fini(&shard->scratch);
    free(shard);
}
