/* The first loop's part of the change feed: who is subscribed to what, when to load, who gets what. */
#include "control/control_feed_priv.h"

#include <stdlib.h>

#include "control/limits.h"
#include "lpx_reasons.h"
#include "pb_routing_v2_api.pb-c.h"

void control_feed_post(control_feed *feed, io_loop *loop, io_task *task)
{
    atomic_fetch_add(&feed->flying, 1);
    io_loop_post(loop, task);
}

static void begin_load(control_channel *channel);

static void load_later(control_channel *channel)
{
    channel->dirty = true;
    if (!channel->feed->stopping) {
        io_timer_arm(&channel->feed->retry, CONTROL_FEED_RETRY_MS * INT64_C(1000));
    }
}

/* ---- parcels ---- */

static bool send_parcel(const control_feed_member *member, control_parcel content)
{
    control_parcel *parcel = malloc(sizeof *parcel);
    if (parcel == NULL) {
        return false;
    }
    *parcel = content;
    parcel->task.run = control_feed_arrive;
    parcel->stream = member->stream;
    parcel->topic = (unsigned)(member->channel->topic - control_topics());
    parcel->serial = member->serial;
    parcel->sequence = member->channel->sequence;
    if (content.rows != NULL) {
        control_state_ref(parcel->rows);
    }
    control_feed_post(member->channel->feed, member->stream->loop, &parcel->task);
    return true;
}

/* Whoever could not be told waits for the whole state. */
static void wait_for_state(control_feed_member *member)
{
    member->waiting = true;
    load_later(member->channel);
}

static void send_state(control_feed_member *member)
{
    const control_parcel content = {.snapshot = true, .rows = member->channel->state, .share_of = 1};
    member->waiting = false;
    if (!send_parcel(member, content)) {
        wait_for_state(member);
    }
}

static bool same_group(const control_feed_member *a, const control_feed_member *b)
{
    return a->group[0] != '\0' && strcmp(a->group, b->group) == 0 &&
           strcmp(a->stream->who.cluster_id, b->stream->who.cluster_id) == 0;
}

/* Which part of its group's changes is this member's? */
static void find_share(const control_feed_member *member, unsigned *at, unsigned *of)
{
    const lpx_list *list = &member->channel->members;
    *at = 0;
    *of = 0;
    for (lpx_list *node = list->next; node != list; node = node->next) {
        const control_feed_member *other = LPX_CONTAINER(node, control_feed_member, node);
        if (other == member) {
            *at = *of;
        }
        *of += other == member || (!other->waiting && same_group(other, member));
    }
}

static void send_changes(control_channel *channel, control_state *changes)
{
    for (lpx_list *node = channel->members.next; node != &channel->members; node = node->next) {
        control_feed_member *member = LPX_CONTAINER(node, control_feed_member, node);
        if (member->waiting) {
            continue;
        }
        control_parcel content = {.rows = changes};
        find_share(member, &content.share_at, &content.share_of);
        if (!send_parcel(member, content)) {
            wait_for_state(member);
        }
    }
}

/* ---- loads ---- */

static lpx_err load_work(store_tx *tx, store_job *job)
{
    control_channel *channel = LPX_CONTAINER(job, control_channel, job);
    control_state_unref(&channel->loaded);
    return control_topic_load(tx, channel->topic, channel->view, &channel->loaded);
}

static void forget_state(control_channel *channel)
{
    control_state_unref(&channel->state);
    channel->dirty = false;
}

/* A new state: to those who know the old one what changed, to the others all. */
static void take_state(control_channel *channel)
{
    control_state *fresh = channel->loaded;
    control_state *changes = channel->state != NULL ? control_state_changes(channel->state, fresh) : NULL;
    bool all = channel->state != NULL && changes == NULL; /* memory was short */
    channel->loaded = NULL;
    channel->sequence += channel->state == NULL || all || control_state_count(changes) > 0;
    control_state_unref(&channel->state);
    channel->state = fresh;
    if (changes != NULL && control_state_count(changes) > 0) {
        send_changes(channel, changes);
    }
    control_state_unref(&changes);
    for (lpx_list *node = channel->members.next; node != &channel->members; node = node->next) {
        control_feed_member *member = LPX_CONTAINER(node, control_feed_member, node);
        if (member->waiting || all) {
            send_state(member);
        }
    }
}

static void end_members(control_channel *channel, lpx_err err)
{
    for (lpx_list *node = channel->members.next; node != &channel->members; node = node->next) {
        (void)send_parcel(LPX_CONTAINER(node, control_feed_member, node), (control_parcel){.err = err});
    }
}

static void load_done(store_job *job, lpx_err err)
{
    control_channel *channel = LPX_CONTAINER(job, control_channel, job);
    channel->loading = false;
    if (channel->feed->stopping || lpx_list_empty(&channel->members)) {
        control_state_unref(&channel->loaded);
        forget_state(channel);
        return;
    }
    if (err.reason == CONTROL_TOPIC_TOO_LARGE) {
        end_members(channel, err);
        return;
    }
    if (lpx_failed(err)) {
        control_state_unref(&channel->loaded);
        load_later(channel);
        return;
    }
    take_state(channel);
    if (channel->dirty) {
        begin_load(channel);
    }
}

static void begin_load(control_channel *channel)
{
    control_feed *feed = channel->feed;
    if (channel->loading) {
        channel->dirty = true;
        return;
    }
    channel->loading = true;
    channel->dirty = false;
    channel->job = (store_job){.home = feed->loops[0], .work = load_work, .done = load_done};
    atomic_fetch_add(&feed->loads, 1);
    if (lpx_failed(store_submit(feed->store, &channel->job))) {
        channel->loading = false;
        load_later(channel);
    }
}

static void for_each_channel(control_feed *feed, void (*each)(control_channel *channel, uint32_t sources),
                             uint32_t sources)
{
    for (unsigned i = 0; i < CONTROL_TOPICS * CONTROL_VIEWS; i++) {
        control_channel *channel = &feed->channels[i / CONTROL_VIEWS][i % CONTROL_VIEWS];
        if (!lpx_list_empty(&channel->members)) {
            each(channel, sources);
        }
    }
}

static void load_if_touched(control_channel *channel, uint32_t sources)
{
    if ((sources >> channel->topic->source & 1U) != 0) {
        begin_load(channel);
    }
}

static void load_if_dirty(control_channel *channel, uint32_t sources)
{
    (void)sources;
    if (channel->dirty) {
        begin_load(channel);
    }
}

static void on_changed(store_watch *watch, uint32_t sources)
{
    for_each_channel(LPX_CONTAINER(watch, control_feed, watch), load_if_touched, sources);
}

static void on_retry(io_timer *timer)
{
    for_each_channel(LPX_CONTAINER(timer, control_feed, retry), load_if_dirty, 0);
}

/* ---- orders ---- */

static control_feed_member *find_group(const control_feed_member *member)
{
    const lpx_list *list = &member->channel->members;
    for (lpx_list *node = list->next; node != list; node = node->next) {
        control_feed_member *other = LPX_CONTAINER(node, control_feed_member, node);
        if (other != member && same_group(other, member)) {
            return other;
        }
    }
    return NULL;
}

/* The first of a group gets the state, which counts for all of it; those who come later are told that they share. */
static void join(control_feed_member *member)
{
    control_channel *channel = member->channel;
    lpx_list_push(&channel->members, &member->node);
    if (find_group(member) != NULL) {
        const control_parcel nothing = {.snapshot = true};
        member->waiting = false;
        if (!send_parcel(member, nothing)) {
            wait_for_state(member);
        }
    } else if (channel->state != NULL && !channel->loading && !channel->dirty) {
        send_state(member);
    } else {
        member->waiting = true;
        begin_load(channel);
    }
}

/* What the others of its group have not seen may have been on its way to the one that goes: one of them gets all. */
static void quit(control_feed_member *member)
{
    if (lpx_list_empty(&member->node)) {
        return;
    }
    control_channel *channel = member->channel;
    control_feed_member *heir = find_group(member);
    lpx_list_remove(&member->node);
    if (heir != NULL && !heir->waiting) {
        if (channel->state != NULL) {
            send_state(heir);
        } else {
            wait_for_state(heir);
        }
    }
    if (lpx_list_empty(&channel->members) && !channel->loading) {
        forget_state(channel);
    }
}

void control_feed_obey(io_task *task)
{
    control_order *order = LPX_CONTAINER(task, control_order, task);
    control_feed_stream *stream = order->stream;
    control_feed *feed = stream->feed;
    atomic_fetch_sub(&feed->flying, 1);
    control_feed_member *member = &stream->members[order->topic];
    quit(member);
    if (order->subscribe && !feed->stopping) {
        const control_topic *topic = &control_topics()[order->topic];
        member->stream = stream;
        member->channel = &feed->channels[order->topic][control_topic_view(topic, &stream->who)];
        member->serial = order->serial;
        memcpy(member->group, order->group, sizeof member->group);
        join(member);
    }
    free(order);
}

void control_feed_leave(io_task *task)
{
    control_feed_stream *stream = LPX_CONTAINER(task, control_feed_stream, leave);
    control_feed *feed = stream->feed;
    for (unsigned i = 0; i < CONTROL_TOPICS; i++) {
        quit(&stream->members[i]);
    }
    control_feed_post(feed, stream->loop, &stream->gone);
    atomic_fetch_sub(&feed->flying, 1);
}

/* ---- life ---- */

static void make_channels(control_feed *feed)
{
    for (unsigned i = 0; i < CONTROL_TOPICS * CONTROL_VIEWS; i++) {
        control_channel *channel = &feed->channels[i / CONTROL_VIEWS][i % CONTROL_VIEWS];
        channel->feed = feed;
        channel->topic = &control_topics()[i / CONTROL_VIEWS];
        channel->view = i % CONTROL_VIEWS;
        lpx_list_init(&channel->members);
    }
}

lpx_err control_feed_new(store *db, io_loop *const *loops, unsigned loop_count, control_feed **out)
{
    control_feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL || loop_count == 0 || loop_count > CONTROL_FEED_MAX_LOOPS) {
        free(feed);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    feed->store = db;
    feed->loop_count = loop_count;
    for (unsigned i = 0; i < loop_count; i++) {
        feed->loops[i] = loops[i];
        lpx_list_init(&feed->streams[i]);
    }
    make_channels(feed);
    feed->method = (rpc_method){.path = "/org.packetbroker.routing.v2.Publisher/Subscribe",
                                .in = &pb__routing__v2__topic_subscriptions_change__descriptor,
                                .out = &pb__routing__v2__topic_message__descriptor,
                                .flavour = RPC_BIDI,
                                .loop = control_feed_subscribe,
                                .service = feed};
    lpx_err err = io_timer_init(&feed->retry, loops[0], on_retry);
    if (lpx_failed(err)) {
        free(feed);
        return err;
    }
    feed->watch = (store_watch){.topics = (1U << STORE_TOPIC_COUNT) - 1U, .home = loops[0], .changed = on_changed};
    store_watch_start(db, &feed->watch);
    *out = feed;
    return LPX_SUCCESS;
}

const rpc_method *control_feed_methods(const control_feed *feed, size_t *count)
{
    *count = 1;
    return &feed->method;
}

void control_feed_stop(control_feed *feed)
{
    if (feed == NULL) {
        return;
    }
    feed->stopping = true;
    io_timer_fini(&feed->retry);
    store_watch_stop(feed->store, &feed->watch);
    while (atomic_load(&feed->flying) > 0) {
        for (unsigned i = 0; i < feed->loop_count; i++) {
            io_loop_turn(feed->loops[i], 0);
        }
    }
}

void control_feed_free(control_feed **feed_at)
{
    control_feed *feed = *feed_at;
    *feed_at = NULL;
    if (feed == NULL) {
        return;
    }
    for (unsigned i = 0; i < feed->loop_count; i++) {
        for (lpx_list *node = lpx_list_pop(&feed->streams[i]); node != NULL; node = lpx_list_pop(&feed->streams[i])) {
            control_feed_stream_free(LPX_CONTAINER(node, control_feed_stream, node));
        }
    }
    for (unsigned i = 0; i < CONTROL_TOPICS * CONTROL_VIEWS; i++) {
        control_state_unref(&feed->channels[i / CONTROL_VIEWS][i % CONTROL_VIEWS].state);
        control_state_unref(&feed->channels[i / CONTROL_VIEWS][i % CONTROL_VIEWS].loaded);
    }
    free(feed);
}

void control_feed_metrics(const control_feed *feed, lpx_buf *out)
{
    const struct {
        const char *name, *type;
        const atomic_ullong *value;
    } lines[] = {
        {"lpx_feed_streams", "gauge", &feed->open},
        {"lpx_feed_messages_total", "counter", &feed->sent},
        {"lpx_feed_slow_streams_total", "counter", &feed->slow},
        {"lpx_feed_loads_total", "counter", &feed->loads},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        lpx_buf_printf(out, "# TYPE %s %s\n%s %llu\n", lines[i].name, lines[i].type, lines[i].name,
                       atomic_load(lines[i].value));
    }
}
