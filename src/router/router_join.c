#include "router/router_join.h"

#include <stdlib.h>

#include "codec/pb/pb.h"
#include "lpx_reasons.h"
#include "pb_v3_api.pb-c.h"
#include "router/router_map.h"

typedef struct router_join router_join;

/* A question to one Join Server. */
typedef struct join_ask {
    ts002_ask ask;
    router_join *join;
    uint32_t server_id;
} join_ask;

/* A home network, with its text. */
typedef struct join_text {
    char tenant[TS002_TENANT_BYTES], cluster[TS002_CLUSTER_BYTES];
} join_text;

/* What is known about one join-request: the answers of its Join Servers. */
struct router_join {
    lpx_list node; /* router_shard.joins.waiting */
    router_shard *shard;
    uint8_t *message; /* when it waits: RoutedUplinkMessage with id, forwarder, message and hops */
    size_t message_len;
    char *sender;
    uint32_t came_by; /* as in the uplink */
    unsigned unanswered;
    bool failed; /* a Join Server did not say whose the device is */
    size_t home_count;
    router_home homes[ROUTER_JOIN_SERVERS_ASKED];
    join_text texts[ROUTER_JOIN_SERVERS_ASKED];
    join_ask asks[ROUTER_JOIN_SERVERS_ASKED];
};

/* ---- the engine of a loop ---- */

static const char *breaker_name(ts002_breaker breaker)
{
    switch (breaker) {
    case TS002_CLOSED:
        return "asked";
    case TS002_OPEN:
        return "left_alone";
    case TS002_PROBING:
        break;
    }
    return "probed";
}

/* A Join Server that fails is news once; what it says about single devices is for those who look closely. */
static void report(void *ctx, const ts002_report *what)
{
    const router_shard *shard = ctx;
    if (what->before != what->after) {
        LPX_LOG(what->after == TS002_CLOSED ? LPX_LOG_INFO : LPX_LOG_WARN, "join_server_state",
                LPX_F_INT("join_server", what->target_id), LPX_F_STR("state", lpx_str_of(breaker_name(what->after))),
                LPX_F_STR("outcome", lpx_str_of(ts002_outcome_name(what->outcome))), LPX_F_STR("text", what->text),
                LPX_F_INT("loop", shard->index));
    }
    LPX_LOG(LPX_LOG_DEBUG, "join_lookup", LPX_F_INT("join_server", what->target_id),
            LPX_F_STR("outcome", lpx_str_of(ts002_outcome_name(what->outcome))),
            LPX_F_HEX("join_eui", what->join_eui.value, 16), LPX_F_HEX("dev_eui", what->dev_eui.value, 16),
            LPX_F_STR("text", what->text));
}

static ts002_lookup *engine_of(router_shard *shard)
{
    ts002_lookup *engine = atomic_load_explicit(&shard->joins.engine, memory_order_relaxed);
    if (engine != NULL) {
        return engine;
    }
    const router_join_opts *opts = &shard->router->opts.joins;
    ts002_lookup_opts lookup = {.loop = shard->loop,
                                .sender_net_id = {opts->sender_net_id},
                                .has_ns_id = opts->has_sender_ns_id,
                                .sender_ns_id = {opts->sender_ns_id},
                                .timeout_us = opts->timeout_us,
                                .positive_us = opts->positive_us,
                                .negative_us = opts->negative_us,
                                .token = opts->token,
                                .token_ctx = opts->token_ctx,
                                .report = report,
                                .report_ctx = shard};
    if (lpx_failed(ts002_lookup_new(&lookup, &engine))) {
        return NULL;
    }
    atomic_store_explicit(&shard->joins.engine, engine, memory_order_release);
    return engine;
}

/* ---- answers ---- */

/* Each member once: the first Join Server that names it says where. */
static void add_home(router_join *join, traffic_endpoint at, traffic_route route)
{
    const router_join_table *table = router_tables_joins(join->shard->tables);
    at = table != NULL ? router_join_table_serving(table, at) : at;
    for (size_t i = 0; i < join->home_count; i++) {
        if (traffic_member_equal(traffic_member_of(join->homes[i].at), traffic_member_of(at))) {
            return;
        }
    }
    join_text *text = &join->texts[join->home_count];
    memcpy(text->tenant, at.tenant_id.ptr, at.tenant_id.len);
    memcpy(text->cluster, at.cluster_id.ptr, at.cluster_id.len);
    at.tenant_id.ptr = text->tenant;
    at.cluster_id.ptr = text->cluster;
    join->homes[join->home_count++] = (router_home){.at = at, .route = route};
}

/* Fixed endpoints are checked when they are set; what does not fit came another way. */
static void add_fixed(router_join *join, traffic_endpoint at)
{
    if (at.tenant_id.len > TS002_TENANT_BYTES || at.cluster_id.len > TS002_CLUSTER_BYTES) {
        join->failed = true;
        return;
    }
    add_home(join, at, TRAFFIC_ROUTE_FIXED);
}

static void take_answer(router_join *join, uint32_t server_id, const ts002_answer *answer)
{
    const router_join_table *table = router_tables_joins(join->shard->tables);
    if (answer->outcome != TS002_FOUND) {
        join->failed = true;
        return;
    }
    if (table == NULL || !router_join_table_knows(table, answer->net_id)) {
        LPX_LOG(LPX_LOG_DEBUG, "join_lookup_unusable", LPX_F_INT("join_server", server_id),
                LPX_F_STR("reason", LPX_STR("network_not_registered")), LPX_F_HEX("net_id", answer->net_id, 6));
        router_counter_add(&join->shard->joins.unregistered, 1);
        join->failed = true;
        return;
    }
    traffic_endpoint at = {.net_id = answer->net_id,
                           .tenant_id = {answer->tenant, answer->tenant_len},
                           .cluster_id = {answer->cluster, answer->cluster_len}};
    add_home(join, at, TRAFFIC_ROUTE_LOOKUP);
}

/* ---- running ---- */

/* Run the passage with what is known. */
static lpx_err run(const router_join *join, router_passage *passage, lpx_note *note)
{
    const router_uplink *asked = passage->up;
    router_uplink known = *asked;
    known.homes = join->homes;
    known.home_count = join->home_count;
    known.lookup_failed = join->failed;
    passage->up = &known;
    lpx_err err = router_passage_run(passage, note);
    passage->up = asked;
    return err;
}

static void join_free(router_join *join)
{
    for (unsigned i = 0; i < ROUTER_JOIN_SERVERS_ASKED; i++) {
        ts002_ask_cancel(&join->asks[i].ask); /* what is still asked is remembered for the next time */
    }
    free(join->message);
    free(join->sender);
    free(join);
}

/* ---- waiting ---- */

static void stop_waiting(router_join *join)
{
    router_joins *joins = &join->shard->joins;
    lpx_list_remove(&join->node);
    joins->bytes -= join->message_len;
    router_counter_add(&joins->ended, 1);
}

/* Read the message again: it is looked at as when it came. */
static lpx_err resume(router_join *join, lpx_arena *arena, lpx_note *note)
{
    ProtobufCMessage *message = NULL;
    router_uplink uplink;
    LPX_TRY(pb_decode(&pb__v3__routed_uplink_message__descriptor, lpx_bytes_of(join->message, join->message_len), arena,
                      &message, note));
    const Pb__V3__RoutedUplinkMessage *kept = (const void *)message;
    Pb__Routing__V1__PublishUplinkMessageRequest request;
    pb__routing__v1__publish_uplink_message_request__init(&request);
    request.forwarder_net_id = kept->forwarder_net_id;
    request.forwarder_tenant_id = kept->forwarder_tenant_id;
    request.forwarder_cluster_id = kept->forwarder_cluster_id;
    request.message = kept->message;
    LPX_TRY(router_check_uplink(&request, &uplink, note));
    uplink.now = io_loop_now(join->shard->loop).mono;
    uplink.came_by = join->came_by;
    router_passage passage = {.shard = join->shard,
                              .arena = arena,
                              .direction = TRAFFIC_UP,
                              .up = &uplink,
                              .uplink = kept->message,
                              .hops = kept->hops,
                              .hop_count = kept->n_hops,
                              .id = kept->id,
                              .sender = join->sender};
    return run(join, &passage, note);
}

/* All is known about a message that waited. Its publisher has the answer: nobody is left to tell of a failure. */
static void end_waiting(router_join *join)
{
    lpx_arena arena;
    lpx_note note = {""};
    stop_waiting(join);
    lpx_arena_init(&arena, ROUTER_JOIN_ARENA_BYTES);
    lpx_err err = resume(join, &arena, &note);
    if (lpx_failed(err)) {
        LPX_LOG(LPX_LOG_WARN, "join_lost", LPX_F_STR("reason", lpx_str_of(lpx_reason_name(err.reason))));
        router_counter_add(&join->shard->counts.dropped[TRAFFIC_UP][TRAFFIC_DROP_MEMORY], 1);
    }
    lpx_arena_fini(&arena);
    join_free(join);
}

static void on_answer(ts002_ask *ask, const ts002_answer *answer)
{
    join_ask *asked = LPX_CONTAINER(ask, join_ask, ask);
    router_join *join = asked->join;
    take_answer(join, asked->server_id, answer);
    if (--join->unanswered == 0) {
        end_waiting(join);
    }
}

static char *cstr(lpx_arena *arena, lpx_str text, bool *ok)
{
    char *copy = lpx_arena_cstr(arena, text);
    *ok = *ok && copy != NULL;
    return copy;
}

/* Copy what the passage needs again. @return false when memory is short or there is no room for so much */
static bool keep_message(router_join *join, const router_passage *p, size_t room)
{
    const Pb__V3__UplinkMessage *message = router_passage_uplink(p);
    bool ok = message != NULL;
    const traffic_endpoint *forwarder = &p->up->forwarder;
    Pb__V3__RoutedUplinkMessage kept;
    pb__v3__routed_uplink_message__init(&kept);
    kept.id = (char *)(uintptr_t)p->id;
    kept.forwarder_net_id = forwarder->net_id;
    kept.forwarder_tenant_id = cstr(p->arena, forwarder->tenant_id, &ok);
    kept.forwarder_cluster_id = cstr(p->arena, forwarder->cluster_id, &ok);
    kept.message = (Pb__V3__UplinkMessage *)(uintptr_t)message;
    kept.hops = (Pb__V3__RouteHop **)(uintptr_t)p->hops;
    kept.n_hops = p->hop_count;
    join->message_len = ok ? pb__v3__routed_uplink_message__get_packed_size(&kept) : 0;
    if (!ok || join->message_len > room) {
        return false;
    }
    join->sender = strdup(p->sender);
    join->message = malloc(join->message_len);
    if (join->sender == NULL || join->message == NULL) {
        return false;
    }
    (void)pb__v3__routed_uplink_message__pack(&kept, join->message);
    return true;
}

/* Let the message wait. @return false when too much waits already, or memory is short */
static bool begin_waiting(router_join *join, const router_passage *passage)
{
    router_joins *joins = &join->shard->joins;
    uint64_t waiting = atomic_load_explicit(&joins->begun, memory_order_relaxed) -
                       atomic_load_explicit(&joins->ended, memory_order_relaxed);
    if (waiting >= ROUTER_JOINS_WAITING || !keep_message(join, passage, ROUTER_JOINS_WAITING_BYTES - joins->bytes)) {
        return false;
    }
    joins->bytes += join->message_len;
    router_counter_add(&joins->begun, 1);
    lpx_list_push(&joins->waiting, &join->node);
    return true;
}

/* ---- asking ---- */

static void ask_server(router_join *join, const router_join_server *server, const router_uplink *uplink,
                       join_ask *asked)
{
    router_shard *shard = join->shard;
    ts002_answer answer;
    ts002_device device = {.join_eui = {uplink->join_eui},
                           .dev_eui = {uplink->dev_eui},
                           .origin_net_id = uplink->forwarder.net_id,
                           .asker = router_hash_member(0, traffic_member_of(uplink->forwarder))};
    ts002_lookup *engine = server->target != NULL ? engine_of(shard) : NULL;
    if (engine == NULL) {
        join->failed = true;
        return;
    }
    asked->join = join;
    asked->server_id = server->id;
    asked->ask.done = on_answer;
    if (ts002_lookup_ask(engine, server->target, &device, &asked->ask, &answer)) {
        take_answer(join, server->id, &answer);
    } else {
        join->unanswered++;
    }
}

/* Ask all, in their order. */
static void ask_servers(router_join *join, const router_join_server *const *servers, size_t count,
                        const router_uplink *uplink)
{
    for (size_t i = 0; i < count; i++) {
        if (servers[i]->is_fixed) {
            add_fixed(join, servers[i]->fixed);
        } else {
            ask_server(join, servers[i], uplink, &join->asks[i]);
        }
    }
}

lpx_err router_join_run(router_passage *passage, lpx_note *note)
{
    router_shard *shard = passage->shard;
    const router_join_server *servers[ROUTER_JOIN_SERVERS_ASKED];
    router_shard_read_inbox(shard); /* new tables may be there */
    const router_join_table *table = router_tables_joins(shard->tables);
    size_t count = 0;
    if (table != NULL) {
        count = router_join_table_find(table, passage->up->join_eui, servers, ROUTER_JOIN_SERVERS_ASKED);
    }
    if (count == 0) {
        return router_passage_run(passage, note);
    }
    router_join *join = calloc(1, sizeof *join);
    if (join == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    join->shard = shard;
    join->came_by = passage->up->came_by;
    lpx_list_init(&join->node);
    ask_servers(join, servers, count, passage->up);
    if (join->unanswered > 0 && begin_waiting(join, passage)) {
        return LPX_SUCCESS;
    }
    join->failed = join->failed || join->unanswered > 0;
    lpx_err err = run(join, passage, note);
    join_free(join);
    return err;
}

void router_joins_init(router_shard *shard)
{
    lpx_list_init(&shard->joins.waiting);
}

void router_joins_free(router_shard *shard)
{
    router_joins *joins = &shard->joins;
    while (!lpx_list_empty(&joins->waiting)) {
        router_join *join = LPX_CONTAINER(joins->waiting.next, router_join, node);
        stop_waiting(join);
        join_free(join);
    }
    ts002_lookup *engine = atomic_exchange_explicit(&joins->engine, NULL, memory_order_relaxed);
    ts002_lookup_free(&engine);
}

void router_joins_metrics(const router *self, lpx_buf *out)
{
    ts002_lookup *engines[ROUTER_MAX_LOOPS];
    size_t count = 0;
    unsigned long long waiting = 0, unregistered = 0;
    for (unsigned i = 0; i < self->shard_count; i++) {
        const router_joins *joins = &self->shards[i]->joins;
        engines[count] = atomic_load_explicit(&joins->engine, memory_order_acquire);
        count += engines[count] != NULL ? 1 : 0;
        uint64_t ended = atomic_load_explicit(&joins->ended, memory_order_relaxed);
        uint64_t begun = atomic_load_explicit(&joins->begun, memory_order_relaxed);
        waiting += begun > ended ? begun - ended : 0;
        unregistered += atomic_load_explicit(&joins->unregistered, memory_order_relaxed);
    }
    lpx_buf_printf(out,
                   "# TYPE lpx_router_waiting_joins gauge\nlpx_router_waiting_joins %llu\n"
                   "# TYPE lpx_router_unregistered_homes_total counter\nlpx_router_unregistered_homes_total %llu\n",
                   waiting, unregistered);
    ts002_lookup_metrics(engines, count, out);
}
