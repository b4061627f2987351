#include "router/router_passage.h"

#include "codec/pb/pb.h"
#include "crypto/random.h"
#include "lpx_reasons.h"
#include "router/router_envelope.h"
#include "router/router_link.h"
#include "router/router_strip.h"
#include "router/router_tell.h"

enum { NET_ID_CHARS = 6 };

/* ---- ids and names ---- */

static lpx_err take_random(router_shard *shard, uint8_t out[static ROUTER_ID_RANDOM_BYTES])
{
    if (ROUTER_RANDOM_BYTES - shard->random_used < ROUTER_ID_RANDOM_BYTES) {
        LPX_TRY(crypto_random((lpx_space){shard->random, sizeof shard->random}));
        shard->random_used = 0;
    }
    memcpy(out, shard->random + shard->random_used, ROUTER_ID_RANDOM_BYTES);
    shard->random_used += ROUTER_ID_RANDOM_BYTES;
    return LPX_SUCCESS;
}

static char *put_text(char *at, char before, lpx_str text)
{
    if (text.len > 0) {
        *at++ = before;
        memcpy(at, text.ptr, text.len);
    }
    return at + text.len;
}

/* Name of a party in hops: "000013/tenant@cluster". @return NULL when memory is short */
static char *party_name(lpx_arena *arena, traffic_endpoint party)
{
    static const char digits[] = "0123456789ABCDEF";
    char *name = lpx_arena_get(arena, NET_ID_CHARS + 1 + party.tenant_id.len + 1 + party.cluster_id.len + 1);
    if (name != NULL) {
        for (unsigned i = 0; i < NET_ID_CHARS; i++) {
            name[i] = digits[party.net_id >> (4 * (NET_ID_CHARS - 1 - i)) & 15];
        }
        char *at = put_text(name + NET_ID_CHARS, '/', party.tenant_id);
        *put_text(at, '@', party.cluster_id) = '\0';
    }
    return name;
}

lpx_err router_passage_name(router_passage *p)
{
    bool up = p->direction == TRAFFIC_UP;
    traffic_endpoint sender = up ? p->up->forwarder : p->down->home;
    router_id_parts parts = {
        .now = io_loop_now(p->shard->loop).utc,
        .direction = p->direction,
        .kind = up ? p->up->kind : p->down->kind,
        .forwarder = traffic_member_of(up ? p->up->forwarder : p->down->forwarder),
        .home = traffic_member_of(sender), /* counts for downlinks only */
    };
    LPX_TRY(take_random(p->shard, parts.random));
    char *id = lpx_arena_get(p->arena, ROUTER_ID_TEXT_BYTES);
    p->sender = party_name(p->arena, sender);
    if (id == NULL || p->sender == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    router_id_make(&p->shard->router->id_key, &parts, id);
    p->id = id;
    return LPX_SUCCESS;
}

/* ---- copies ---- */

const Pb__V3__UplinkMessage *router_passage_uplink(const router_passage *p)
{
    ProtobufCMessage *message = NULL;
    if (p->uplink != NULL) {
        return p->uplink;
    }
    /* What was read in place can be decoded: only memory may be missing. */
    lpx_err err = pb_decode(&pb__v3__uplink_message__descriptor, p->scanned_up->message, p->arena, &message, NULL);
    return lpx_failed(err) ? NULL : (const void *)message;
}

/* Serialise what was decoded; the bytes are good until the next. */
static lpx_err serialise(router_passage *p, const ProtobufCMessage *message, router_pieces *out)
{
    lpx_buf *buf = &p->shard->scratch;
    lpx_buf_clear(buf);
    pb_append(message, buf);
    router_pieces_whole(out, lpx_buf_view(buf));
    return lpx_buf_failed(buf) ? lpx_err_of(ROUTER_TOO_LARGE) : LPX_SUCCESS;
}

static lpx_err take_uplink(router_passage *p, unsigned strip, router_pieces *out)
{
    if (p->uplink == NULL) {
        return router_cut_uplink(p->scanned_up, strip, p->arena, out);
    }
    const Pb__V3__UplinkMessage *message;
    LPX_TRY(router_strip_uplink(p->uplink, strip, p->arena, &message));
    return serialise(p, &message->base, out);
}

static lpx_err take_downlink(router_passage *p, router_pieces *out)
{
    if (p->downlink == NULL) {
        router_cut_downlink(p->scanned_down, out);
        return LPX_SUCCESS;
    }
    const Pb__V3__DownlinkMessage *message;
    LPX_TRY(router_fill_downlink(p->downlink, p->arena, &message));
    return serialise(p, &message->base, out);
}

static lpx_err make_copy(const router_passage *p, const router_delivery *d, const router_pieces *message,
                         router_copy **out)
{
    router_copy_about about = {
        .id = lpx_str_of(p->id),
        .direction = p->direction,
        .kind = p->kind,
        .forwarder = p->forwarder,
        .home = d->home,
    };
    router_letter letter = {
        .direction = p->direction, .shared = p->shared, .home = d->home, .message = message, .handed = d->sub == NULL};
    size_t len = router_letter_len(&letter);
    if (len > ROUTER_MESSAGE_BYTES) {
        return lpx_err_of(ROUTER_TOO_LARGE);
    }
    lpx_space room;
    *out = router_copy_begin(&about, len, &room);
    if (*out == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    router_letter_write(&letter, room);
    return LPX_SUCCESS;
}

/* The copy for a home network, or, without subscription, for another exchange. */
static lpx_err encode(router_passage *p, const router_delivery *d, router_copy **out)
{
    lpx_buf *buf = &p->shard->scratch;
    router_pieces message;
    lpx_err err = p->direction == TRAFFIC_UP ? take_uplink(p, d->strip, &message) : take_downlink(p, &message);
    if (!lpx_failed(err)) {
        err = make_copy(p, d, &message, out);
    }
    if (buf->room > ROUTER_SCRATCH_KEEP_BYTES) {
        lpx_buf_fini(buf);
        lpx_buf_init(buf, ROUTER_MESSAGE_BYTES);
    }
    return err;
}

static lpx_err make_envelope(router_passage *p)
{
    router_envelope envelope = {.direction = p->direction,
                                .time = io_loop_now(p->shard->loop).utc,
                                .id = lpx_str_of(p->id),
                                .forwarder = p->forwarder,
                                .hops = p->hops,
                                .hop_count = p->hop_count,
                                .sender = lpx_str_of(p->sender),
                                .receiver = lpx_str_of(p->shard->router->name)};
    return router_envelope_make(&envelope, p->arena, &p->shared);
}

static bool same_copy(const router_delivery *a, const router_delivery *b)
{
    return a->strip == b->strip && traffic_member_equal(traffic_member_of(a->home), traffic_member_of(b->home)) &&
           lpx_str_equal(a->home.cluster_id, b->home.cluster_id);
}

/* The copy of an earlier delivery that is equal to this one; NULL when there is none nearby. */
static router_copy *find_copy(const router_passage *p, size_t index)
{
    const router_delivery *list = p->effects.deliveries;
    size_t first = index > ROUTER_COPIES_KEPT ? index - ROUTER_COPIES_KEPT : 0;
    for (size_t i = index; i > first; i--) {
        if (same_copy(&list[i - 1], &list[index])) {
            return p->copies[i - 1];
        }
    }
    return NULL;
}

static lpx_err encode_copy(router_passage *p, size_t index, lpx_note *note)
{
    const router_delivery *d = &p->effects.deliveries[index];
    router_copy *known = find_copy(p, index);
    if (known != NULL) {
        p->copies[index] = router_copy_ref(known);
        return LPX_SUCCESS;
    }
    LPX_TRY(encode(p, d, &p->copies[index]));
    p->copy_bytes += router_copy_message(p->copies[index]).len;
    if (p->copy_bytes > ROUTER_COPY_BYTES) {
        return lpx_fail(note, ROUTER_TOO_LARGE,
                        "The copies of this message for its receivers are over %d MiB together.",
                        ROUTER_COPY_BYTES >> 20);
    }
    return LPX_SUCCESS;
}

/* Encode all copies before the first one leaves, so that a failed call delivered nothing. */
static lpx_err encode_all(router_passage *p, lpx_note *note)
{
    size_t count = p->effects.delivery_count;
    p->copies = lpx_arena_array(p->arena, count, sizeof(*p->copies));
    if (p->copies == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    const router_hand_over *h = &p->effects.hand_over;
    if (count > 0 || h->to > 0) {
        LPX_TRY(make_envelope(p));
    }
    for (size_t i = 0; i < count; i++) {
        LPX_TRY(encode_copy(p, i, note));
    }
    router_delivery to_peer = {.home = h->home, .strip = h->strip};
    return h->to > 0 ? encode(p, &to_peer, &p->handed) : LPX_SUCCESS;
}

static void log_drop(const router_passage *p, const traffic_outcome *outcome)
{
    LPX_LOG(LPX_LOG_DEBUG, p->direction == TRAFFIC_UP ? "uplink_dropped" : "downlink_dropped",
            LPX_F_STR("id", lpx_str_of(p->id)), LPX_F_STR("reason", lpx_str_of(traffic_drop_name(outcome->drop))),
            LPX_F_HEX("forwarder_net_id", p->forwarder.net_id, 6),
            LPX_F_STR("forwarder_tenant_id", p->forwarder.tenant_id), LPX_F_HEX("home_net_id", outcome->home.net_id, 6),
            LPX_F_STR("home_tenant_id", outcome->home.tenant_id));
}

/* Tell those who observe. */
static lpx_err tell(const router_passage *p)
{
    lpx_str *hops = lpx_arena_array(p->arena, p->hop_count + 1, sizeof *hops);
    if (hops == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < p->hop_count; i++) {
        hops[i] = pb_str(p->hops[i]->sender_name);
    }
    hops[p->hop_count] = lpx_str_of(p->sender);
    traffic_passage told = {
        .time = io_loop_now(p->shard->loop).utc,
        .id = lpx_str_of(p->id),
        .direction = p->direction,
        .kind = p->kind,
        .forwarder = p->forwarder,
        .hops = hops,
        .hop_count = p->hop_count + 1,
        .outcomes = p->effects.outcomes,
        .outcome_count = p->effects.outcome_count,
    };
    if (p->direction == TRAFFIC_UP) {
        told.dev_addr = p->up->dev_addr;
        told.f_port = p->up->f_port;
        told.join_eui = p->up->join_eui;
        told.dev_eui = p->up->dev_eui;
    } else {
        told.dev_addr = p->down->dev_addr;
        told.f_port = p->down->f_port;
    }
    router_tell_passed(p->shard, &told);
    return LPX_SUCCESS;
}

/* A message of another exchange is given out here: reports on it count here. */
static void remember(const router_passage *p)
{
    if (p->hop_count > 0 && p->effects.delivery_count > 0) {
        router_copy_about about = {
            .id = lpx_str_of(p->id), .direction = p->direction, .kind = p->kind, .forwarder = p->forwarder};
        router_shard_remember(p->shard, router_foreign_key(p->shard->router, &about));
    }
}

static lpx_err carry_out(router_passage *p)
{
    LPX_TRY(tell(p)); /* before the copies go: they may be settled at once */
    remember(p);
    router_shard_counts *counts = &p->shard->counts;
    router_counter_add(&counts->published[p->direction][p->kind], 1);
    router_counter_add(&counts->routed[p->direction][p->kind], p->effects.delivery_count + (p->handed != NULL ? 1 : 0));
    for (size_t i = 0; i < p->effects.delivery_count; i++) {
        router_shard_deliver(p->shard, p->effects.deliveries[i].sub, p->copies[i]);
    }
    if (p->handed != NULL) {
        router_links_send(p->shard, p->effects.hand_over.to - 1, p->handed);
    }
    for (size_t i = 0; i < p->effects.outcome_count; i++) {
        const traffic_outcome *outcome = &p->effects.outcomes[i];
        router_routes_add(&p->shard->routes, p->direction, traffic_member_of(p->forwarder), outcome);
        if (!outcome->delivered) {
            router_counter_add(&counts->dropped[p->direction][outcome->drop], 1);
            log_drop(p, outcome);
        }
    }
    return LPX_SUCCESS;
}

/* Encode and give out what the core decided. */
static lpx_err finish(router_passage *p, lpx_note *note)
{
    lpx_err err = encode_all(p, note);
    if (!lpx_failed(err)) {
        err = carry_out(p);
    }
    for (size_t i = 0; p->copies != NULL && i < p->effects.delivery_count; i++) {
        router_copy_unref(&p->copies[i]);
    }
    router_copy_unref(&p->handed);
    return err;
}

void router_passage_tell(router_passage *p, const traffic_outcome *outcome)
{
    traffic_outcome only = *outcome;
    bool up = p->direction == TRAFFIC_UP;
    p->kind = up ? p->up->kind : p->down->kind;
    p->forwarder = up ? p->up->forwarder : p->down->forwarder;
    p->effects = (router_effects){.arena = p->arena, .outcomes = &only, .outcome_count = 1};
    (void)tell(p); /* without memory nobody hears of it */
    p->effects = (router_effects){.arena = p->arena};
}

lpx_err router_passage_run(router_passage *p, lpx_note *note)
{
    router_shard *shard = p->shard;
    bool up = p->direction == TRAFFIC_UP;
    router_shard_read_inbox(shard);
    p->kind = up ? p->up->kind : p->down->kind;
    p->forwarder = up ? p->up->forwarder : p->down->forwarder;
    p->effects = (router_effects){.arena = p->arena};
    LPX_TRY(up ? router_route_uplink(shard->tables, shard->dir, p->up, &p->effects)
               : router_route_downlink(shard->tables, shard->dir, p->down, &p->effects));
    return finish(p, note);
}
