/* A shard: its mail, its streams and their queues. */
#include <stdlib.h>

#include "base/assert.h"
#include "lpx_reasons.h"
#include "router/router_priv.h"

/* ---- letters ---- */

static void mail_free(router_mail *mail)
{
    router_sub_unref(&mail->sub);
    router_tables_unref(&mail->tables);
    for (uint32_t i = 0; i < mail->count; i++) {
        if (mail->items[i].kind == ROUTER_ITEM_DELIVERY) {
            router_sub_unref(&mail->items[i].delivery.sub);
            lpx_shared_unref(&mail->items[i].delivery.message);
        }
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

static void count_drops(router_shard *shard, traffic_direction direction, const router_queue_drops *drops)
{
    for (unsigned reason = 0; reason < TRAFFIC_DROP_REASONS; reason++) {
        if (drops->messages[reason] > 0) {
            router_counter_add(&shard->counts.dropped[direction][reason], drops->messages[reason]);
        }
    }
}

static void count_drop(router_shard *shard, traffic_direction direction, traffic_drop reason)
{
    router_counter_add(&shard->counts.dropped[direction][reason], 1);
}

/* Messages have left the queue or the way to it. */
static void waiting_less(router_sub *sub, uint32_t messages, size_t bytes)
{
    atomic_fetch_sub_explicit(&sub->waiting_messages, messages, memory_order_relaxed);
    atomic_fetch_sub_explicit(&sub->waiting_bytes, (unsigned)bytes, memory_order_relaxed);
}

static void settle_drops(router_stream *stream, const router_queue_drops *drops)
{
    uint32_t messages = 0;
    for (unsigned reason = 0; reason < TRAFFIC_DROP_REASONS; reason++) {
        messages += drops->messages[reason];
    }
    if (messages > 0) {
        waiting_less(stream->sub, messages, drops->bytes);
        count_drops(stream->shard, stream->sub->direction, drops);
    }
}

/* Send while the stream takes it. */
static void stream_drain(router_stream *stream)
{
    router_shard *shard = stream->shard;
    router_queue_drops drops = {.bytes = 0};
    size_t before = stream->queue.bytes;
    while (stream->writable) {
        lpx_shared *message = router_queue_take(&stream->queue, io_loop_now(shard->loop).mono, &drops);
        if (message == NULL) {
            break;
        }
        lpx_bytes view = lpx_shared_view(message);
        stream->writable = rpc_stream_send(stream->call, view);
        router_counter_add(&shard->counts.sent[stream->sub->direction], 1);
        waiting_less(stream->sub, 1, view.len);
        lpx_shared_unref(&message);
    }
    shard->queued_bytes -= before - stream->queue.bytes;
    settle_drops(stream, &drops);
}

/* A copy has arrived on the loop of its subscription; takes the reference. */
static void stream_take(router_shard *shard, router_sub *sub, lpx_shared *message)
{
    router_stream *stream = sub->stream;
    size_t len = lpx_shared_view(message).len;
    if (stream == NULL || shard->queued_bytes + len > ROUTER_SHARD_BYTES) {
        waiting_less(sub, 1, len);
        count_drop(shard, sub->direction, stream == NULL ? TRAFFIC_DROP_GONE : TRAFFIC_DROP_MEMORY);
        lpx_shared_unref(&message);
        return;
    }
    router_queue_drops drops = {.bytes = 0};
    size_t before = stream->queue.bytes;
    router_queue_give(&stream->queue, message, io_loop_now(shard->loop).mono, &drops);
    shard->queued_bytes = shard->queued_bytes - before + stream->queue.bytes;
    settle_drops(stream, &drops);
    stream_drain(stream);
}

static void stream_on_writable(void *ctx)
{
    router_stream *stream = ctx;
    stream->writable = true;
    stream_drain(stream);
}

/* Take the stream apart; what waits is dropped. */
static void stream_free(router_stream *stream)
{
    router_shard *shard = stream->shard;
    router_sub *sub = stream->sub;
    uint32_t left = stream->queue.count;
    router_counter_add(&shard->counts.dropped[sub->direction][TRAFFIC_DROP_GONE], left);
    router_counter_add(&shard->counts.closed[sub->direction], 1);
    shard->queued_bytes -= stream->queue.bytes;
    waiting_less(sub, left, stream->queue.bytes);
    router_queue_fini(&stream->queue);
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

static void count_report(router_shard *shard, const router_batch_report *report)
{
    router_report_outcome outcome = ROUTER_REPORT_LATE;
    switch (router_seen_add(&shard->seen, report->key, report->issued_ms, io_loop_now(shard->loop).utc)) {
    case ROUTER_SEEN_NEW:
        outcome = report->failed ? ROUTER_REPORT_ERROR : ROUTER_REPORT_SUCCESS;
        break;
    case ROUTER_SEEN_AGAIN:
        outcome = ROUTER_REPORT_REPEATED;
        break;
    case ROUTER_SEEN_TOO_OLD:
        break;
    }
    router_counter_add(&shard->counts.reports[report->direction][outcome], 1);
}

static void run_batch(router_shard *shard, router_mail *mail)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < mail->count; i++) {
        router_batch_item *item = &mail->items[i];
        if (item->kind == ROUTER_ITEM_REPORT) {
            count_report(shard, &item->report);
            continue;
        }
        bytes += lpx_shared_view(item->delivery.message).len;
        stream_take(shard, item->delivery.sub, item->delivery.message);
        item->delivery.message = NULL;
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

void router_shard_deliver(router_shard *shard, router_sub *sub, lpx_shared *message)
{
    size_t len = lpx_shared_view(message).len;
    router_batch_item *item = NULL;
    if (sub->loop != shard->index) {
        item = batch_item(shard, sub->loop, len);
        if (item == NULL) {
            count_drop(shard, sub->direction, TRAFFIC_DROP_RELAY_FULL);
            return;
        }
    }
    atomic_fetch_add_explicit(&sub->waiting_messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sub->waiting_bytes, (unsigned)len, memory_order_relaxed);
    if (item == NULL) {
        stream_take(shard, sub, lpx_shared_ref(message));
        return;
    }
    item->kind = ROUTER_ITEM_DELIVERY;
    item->delivery = (router_batch_delivery){router_sub_ref(sub), lpx_shared_ref(message)};
}

void router_shard_report(router_shard *shard, const router_batch_report *report)
{
    unsigned to = (unsigned)(report->key % shard->router->shard_count);
    if (to == shard->index) {
        count_report(shard, report);
        return;
    }
    router_batch_item *item = batch_item(shard, to, 0);
    if (item == NULL) {
        router_counter_add(&shard->counts.reports[report->direction][ROUTER_REPORT_LATE], 1);
        return;
    }
    item->kind = ROUTER_ITEM_REPORT;
    item->report = *report;
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
    router_queue_init(&stream->queue, shard->router->limits);
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
    lpx_list_init(&shard->streams);
    lpx_list_init(&shard->flush.node);
    lpx_buf_init(&shard->scratch, ROUTER_MESSAGE_BYTES);
    router_seen_init(&shard->seen, now);
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
    router_seen_fini(&shard->seen);
    lpx_buf_fini(&shard->scratch);
    free(shard);
}
