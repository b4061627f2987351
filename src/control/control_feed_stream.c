/* A stream of the change feed, on its own loop: requests to orders, parcels to messages. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/control_feed_priv.h"
#include "control/limits.h"
#include "lorawan/ids.h"
#include "lpx_reasons.h"
#include "pb_routing_v2_api.pb-c.h"

/* ---- end ---- */

void control_parcel_free(control_parcel *parcel)
{
    control_state_unref(&parcel->rows);
    free(parcel);
}

static void drop_parcel(control_feed_stream *stream, control_parcel *parcel)
{
    lpx_list_remove(&parcel->node);
    if (!parcel->snapshot && parcel->rows != NULL) {
        stream->waiting_bytes -= control_state_bytes(parcel->rows);
    }
    control_parcel_free(parcel);
}

static void drop_queue(control_feed_stream *stream)
{
    while (!lpx_list_empty(&stream->queue)) {
        drop_parcel(stream, LPX_CONTAINER(stream->queue.next, control_parcel, node));
    }
}

void control_feed_stream_free(control_feed_stream *stream)
{
    drop_queue(stream);
    free(stream);
}

/* The first loop knows it no more: nothing comes any more. */
static void on_gone(io_task *task)
{
    control_feed_stream *stream = LPX_CONTAINER(task, control_feed_stream, gone);
    control_feed *feed = stream->feed;
    lpx_list_remove(&stream->node);
    feed->stream_count[stream->loop_index]--;
    control_feed_stream_free(stream);
    atomic_fetch_sub(&feed->flying, 1);
}

static void leave(control_feed_stream *stream)
{
    stream->call = NULL;
    drop_queue(stream);
    atomic_fetch_sub(&stream->feed->open, 1);
    control_feed_post(stream->feed, stream->feed->loops[0], &stream->leave);
}

static void on_end(void *ctx, lpx_code why)
{
    (void)why;
    leave(ctx);
}

static void end_stream(control_feed_stream *stream, lpx_err err, const lpx_note *note)
{
    rpc_call *call = stream->call;
    leave(stream);
    rpc_stream_end(call, err, note);
}

/* ---- messages ---- */

typedef Pb__Routing__V2__TopicMessage topic_message;
typedef Pb__Routing__V2__TopicMessage__MetadataEntry metadata_entry;

enum { NUMBER_CHARS = 24, METADATA = 4 };

/* One message. @param count rows told, at the end of a state; else negative */
static bool say(control_feed_stream *stream, const control_parcel *parcel, const char *kind, lpx_bytes body,
                int64_t count)
{
    const control_topic *topic = &control_topics()[parcel->topic];
    char sequence[NUMBER_CHARS];
    char counted[NUMBER_CHARS];
    char kind_text[NUMBER_CHARS];
    char type[64];
    char name[32];
    (void)snprintf(sequence, sizeof sequence, "%" PRIu64, parcel->sequence);
    (void)snprintf(counted, sizeof counted, "%" PRId64, count);
    (void)snprintf(kind_text, sizeof kind_text, "%s", kind);
    (void)snprintf(type, sizeof type, "%s", topic->type->name);
    (void)snprintf(name, sizeof name, "%s", topic->name);
    static const char *const keys[METADATA] = {"kind", "type", "sequence", "count"};
    char *const values[METADATA] = {kind_text, type, sequence, counted};
    char key_text[METADATA][16];
    metadata_entry entries[METADATA];
    metadata_entry *list[METADATA];
    for (unsigned i = 0; i < METADATA; i++) {
        pb__routing__v2__topic_message__metadata_entry__init(&entries[i]);
        (void)snprintf(key_text[i], sizeof key_text[i], "%s", keys[i]);
        entries[i].key = key_text[i];
        entries[i].value = values[i];
        list[i] = &entries[i];
    }
    topic_message message;
    pb__routing__v2__topic_message__init(&message);
    message.topic_name = name;
    message.n_metadata = count >= 0 ? METADATA : METADATA - 1;
    message.metadata = list;
    union {
        const uint8_t *from;
        uint8_t *to;
    } data = {.from = body.ptr}; /* only read */
    message.body = (ProtobufCBinaryData){.len = body.len, .data = data.to};
    lpx_buf out;
    lpx_buf_init(&out, body.len + 1024);
    pb_append(&message.base, &out);
    bool room = rpc_stream_send(stream->call, lpx_buf_view(&out));
    lpx_buf_fini(&out);
    atomic_fetch_add(&stream->feed->sent, 1);
    return room;
}

/* Send of a parcel what there is room for. @return is it done? */
static bool say_parcel(control_feed_stream *stream, control_parcel *parcel, bool *room)
{
    size_t count = parcel->rows != NULL ? control_state_count(parcel->rows) : 0;
    while (*room && parcel->next < count) {
        control_row row = control_state_row(parcel->rows, parcel->next++);
        if (control_row_share(&row, parcel->share_of) == parcel->share_at) {
            const char *kind = row.gone ? "delete" : parcel->snapshot ? "snapshot" : "update";
            *room = say(stream, parcel, kind, row.gone ? row.identity : row.body, -1);
            parcel->told++;
        }
    }
    if (parcel->next < count || !*room) {
        return false;
    }
    if (parcel->snapshot) {
        *room = say(stream, parcel, "end", (lpx_bytes){NULL, 0}, (int64_t)parcel->told);
    }
    return true;
}

static void pump(control_feed_stream *stream)
{
    bool room = true;
    while (room && !lpx_list_empty(&stream->queue)) {
        control_parcel *parcel = LPX_CONTAINER(stream->queue.next, control_parcel, node);
        bool dead = stream->subscribed[parcel->topic] != parcel->serial; /* unsubscribed meanwhile */
        if (dead || say_parcel(stream, parcel, &room)) {
            drop_parcel(stream, parcel);
        }
    }
}

static void on_writable(void *ctx)
{
    pump(ctx);
}

void control_feed_arrive(io_task *task)
{
    control_parcel *parcel = LPX_CONTAINER(task, control_parcel, task);
    control_feed_stream *stream = parcel->stream;
    atomic_fetch_sub(&stream->feed->flying, 1);
    if (stream->call == NULL || stream->subscribed[parcel->topic] != parcel->serial) {
        control_parcel_free(parcel);
        return;
    }
    if (lpx_failed(parcel->err)) {
        lpx_err err = parcel->err;
        control_parcel_free(parcel);
        end_stream(stream, err, NULL);
        return;
    }
    bool idle = lpx_list_empty(&stream->queue);
    lpx_list_push(&stream->queue, &parcel->node);
    stream->waiting_bytes += !parcel->snapshot && parcel->rows != NULL ? control_state_bytes(parcel->rows) : 0;
    if (idle) {
        pump(stream);
    } else if (stream->waiting_bytes > CONTROL_FEED_QUEUE_BYTES) {
        atomic_fetch_add(&stream->feed->slow, 1);
        end_stream(stream, lpx_err_of(CONTROL_READER_SLOW), NULL);
    }
}

/* ---- requests ---- */

static lpx_err check_topic(const control_feed_stream *stream, unsigned index, lpx_str name, lpx_str group,
                           lpx_note *note)
{
    const control_topic *topic = &control_topics()[index];
    if (index == CONTROL_TOPICS) {
        return lpx_fail(note, CONTROL_TOPIC_UNKNOWN,
                        "There is no topic \"%.*s\"; there are networks, tenants, policies, routes, join-routes, "
                        "join-servers, network-keys, cluster-keys, settings and visibilities.",
                        (int)(name.len < 40 ? name.len : 40), name.ptr);
    }
    if ((stream->who.rights >> topic->right & 1U) == 0) {
        return lpx_fail(note, CONTROL_TOPIC_FORBIDDEN, "The topic \"%s\" needs an API key with the right %s.",
                        topic->name, topic->right_name);
    }
    if (stream->subscribed[index] != 0) {
        return lpx_fail(note, CONTROL_TOPIC_TWICE,
                        "This stream is subscribed to \"%s\"; unsubscribe first, or open another stream.", topic->name);
    }
    return group.len > 0 ? lw_cluster_id_check(group, "group", note) : LPX_SUCCESS;
}

static lpx_err send_order(control_feed_stream *stream, unsigned topic, bool subscribe, lpx_str group)
{
    control_order *order = calloc(1, sizeof *order);
    if (order == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    stream->subscribed[topic] = subscribe ? ++stream->serials : 0;
    order->task.run = control_feed_obey;
    order->stream = stream;
    order->topic = topic;
    order->subscribe = subscribe;
    order->serial = stream->subscribed[topic];
    if (group.len > 0) {
        memcpy(order->group, group.ptr, group.len);
    }
    control_feed_post(stream->feed, stream->feed->loops[0], &order->task);
    return LPX_SUCCESS;
}

static lpx_err change_one(control_feed_stream *stream, const Pb__Routing__V2__TopicSubscription *request,
                          bool subscribe, lpx_note *note)
{
    lpx_str name = pb_str(request->topic_name);
    lpx_str group = pb_str(request->group);
    unsigned topic = control_topic_find(name);
    if (subscribe) {
        LPX_TRY(check_topic(stream, topic, name, group, note));
        return send_order(stream, topic, true, group);
    }
    bool known = topic < CONTROL_TOPICS && stream->subscribed[topic] != 0;
    return known ? send_order(stream, topic, false, LPX_STR("")) : LPX_SUCCESS;
}

static void on_request(void *ctx, const ProtobufCMessage *request)
{
    const Pb__Routing__V2__TopicSubscriptionsChange *change = (const void *)request;
    control_feed_stream *stream = ctx;
    bool subscribe = change->change_case == PB__ROUTING__V2__TOPIC_SUBSCRIPTIONS_CHANGE__CHANGE_SUBSCRIBES;
    bool unsubscribe = change->change_case == PB__ROUTING__V2__TOPIC_SUBSCRIPTIONS_CHANGE__CHANGE_UNSUBSCRIBES;
    if (!subscribe && !unsubscribe) {
        return;
    }
    const Pb__Routing__V2__TopicSubscriptions *list = subscribe ? change->subscribes : change->unsubscribes;
    for (size_t i = 0; list != NULL && i < list->n_subscriptions; i++) {
        lpx_note note = {""};
        lpx_err err = change_one(stream, list->subscriptions[i], subscribe, &note);
        if (lpx_failed(err)) {
            end_stream(stream, err, note.text[0] != '\0' ? &note : NULL);
            return;
        }
    }
    if (!unsubscribe) {
        return;
    }
    pump(stream); /* what was for topics that are gone makes room */
}

/* Who can ask for nothing more and has nothing is done. */
static void on_half_close(void *ctx)
{
    control_feed_stream *stream = ctx;
    bool any = false;
    for (unsigned i = 0; i < CONTROL_TOPICS; i++) {
        any = any || stream->subscribed[i] != 0;
    }
    if (!any) {
        end_stream(stream, LPX_SUCCESS, NULL);
    }
}

void control_feed_subscribe(rpc_call *call, const ProtobufCMessage *request, void *service)
{
    static const rpc_stream_events events = {
        .on_writable = on_writable, .on_end = on_end, .on_request = on_request, .on_half_close = on_half_close};
    (void)request;
    control_feed *feed = service;
    unsigned loop = io_loop_index(rpc_call_loop(call));
    control_feed_stream *stream =
        feed->stream_count[loop] < CONTROL_FEED_MAX_STREAMS ? calloc(1, sizeof *stream) : NULL;
    if (stream == NULL) {
        rpc_fail(call, lpx_err_of(CONTROL_FEED_FULL), NULL);
        return;
    }
    stream->feed = feed;
    stream->loop = rpc_call_loop(call);
    stream->loop_index = loop;
    stream->call = call;
    stream->who = *rpc_call_principal(call);
    stream->leave.run = control_feed_leave;
    stream->gone.run = on_gone;
    lpx_list_init(&stream->queue);
    for (unsigned i = 0; i < CONTROL_TOPICS; i++) {
        lpx_list_init(&stream->members[i].node);
    }
    lpx_list_push(&feed->streams[loop], &stream->node);
    feed->stream_count[loop]++;
    atomic_fetch_add(&feed->open, 1);
    rpc_stream_begin(call, &events, stream);
}
