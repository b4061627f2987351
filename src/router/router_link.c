#include "router/router_link.h"

#include <stdlib.h>

#include "base/text.h"
#include "codec/oauth/oauth.h"
#include "lpx_reasons.h"
#include "router/router_tell.h"
#include "wire/grpc/client.h"
#include "wire/http/fetch.h"

struct router_link {
    router_shard *shard;
    const router_peer *peer;
    io_tls *tls;
    grpc_client *client;
    fetch_client *fetcher;
    fetch_call *fetch; /* under way, or NULL */
    char *form;        /* its body */
    char *header;      /* "Bearer ...", or NULL */
    int64_t expires_us, tried_us;
    lpx_list waiting; /* hand_over.node: for the token */
    unsigned under_way;
    size_t bytes;
    bool closing;
    router_counter outcomes[ROUTER_LINK_OUTCOMES];
};

/* One message under way. */
typedef struct hand_over {
    lpx_list node;
    router_link *link;
    router_copy *copy; /* reference */
} hand_over;

static int64_t now_us(const router_link *link)
{
    return io_loop_now(link->shard->loop).mono.us;
}

static void wipe_text(char **text)
{
    if (*text != NULL) {
        lpx_wipe(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}

/* ---- ends ---- */

static void settle(router_link *link, const router_copy *copy, router_link_outcome outcome)
{
    router_shard *shard = link->shard;
    const router_copy_about *about = router_copy_get_about(copy);
    router_counter_add(&link->outcomes[outcome], 1);
    if (outcome == ROUTER_LINK_TAKEN) {
        router_counter_add(&shard->counts.sent[about->direction], 1);
        router_tell_sent(shard, about);
        return;
    }
    router_counter_add(&shard->counts.dropped[about->direction][TRAFFIC_DROP_PEER], 1);
    router_tell_lost(shard, about, TRAFFIC_DROP_PEER);
}

/* The message is through, one way or the other. */
static void end(hand_over *h, router_link_outcome outcome)
{
    router_link *link = h->link;
    lpx_list_remove(&h->node);
    link->under_way--;
    link->bytes -= router_copy_message(h->copy).len;
    settle(link, h->copy, outcome);
    router_copy_unref(&h->copy);
    free(h);
}

static void fail_waiting(router_link *link)
{
    while (!lpx_list_empty(&link->waiting)) {
        end(LPX_CONTAINER(link->waiting.next, hand_over, node), ROUTER_LINK_FAILED);
    }
}

static bool is_refusal(lpx_code code)
{
    return code == LPX_PERMISSION_DENIED || code == LPX_INVALID_ARGUMENT || code == LPX_FAILED_PRECONDITION ||
           code == LPX_UNAUTHENTICATED || code == LPX_UNIMPLEMENTED || code == LPX_RESOURCE_EXHAUSTED;
}

static void on_done(void *ctx, const grpc_status *status)
{
    hand_over *h = ctx;
    router_link *link = h->link;
    if (status->code == LPX_UNAUTHENTICATED) {
        wipe_text(&link->header); /* the next message asks for a fresh one */
    }
    if (status->code != LPX_OK) {
        LPX_LOG(LPX_LOG_DEBUG, "hand_over_failed", LPX_F_STR("peer", lpx_str_of(link->peer->name)),
                LPX_F_STR("id", router_copy_get_about(h->copy)->id),
                LPX_F_STR("code", lpx_str_of(lpx_code_name((uint16_t)status->code))),
                LPX_F_STR("text", status->message));
    }
    end(h, status->code == LPX_OK     ? ROUTER_LINK_TAKEN
           : is_refusal(status->code) ? ROUTER_LINK_REFUSED
                                      : ROUTER_LINK_FAILED);
}

/* ---- calls ---- */

static void call(hand_over *h)
{
    static const grpc_out_events events = {.on_done = on_done};
    static const char *const paths[TRAFFIC_DIRECTIONS] = {
        [TRAFFIC_UP] = "/org.packetbroker.routing.v1.RouterData/RouteUplink",
        [TRAFFIC_DOWN] = "/org.packetbroker.routing.v1.RouterData/RouteDownlink",
    };
    router_link *link = h->link;
    grpc_meta meta = {.key = "authorization", .value = lpx_str_bytes(lpx_str_of(link->header))};
    grpc_out *out = grpc_client_start(link->client, paths[router_copy_get_about(h->copy)->direction], &meta, 1,
                                      ROUTER_PEER_TIMEOUT_US, &events, h);
    if (out == NULL) {
        end(h, ROUTER_LINK_FAILED);
        return;
    }
    (void)grpc_out_send(out, router_copy_message(h->copy)); /* one message: above the mark or not, it is queued */
    grpc_out_close_send(out);
}

/* ---- the token ---- */

static bool has_token(const router_link *link)
{
    return link->header != NULL && now_us(link) < link->expires_us;
}

static void token_failed(router_link *link, const char *why)
{
    LPX_LOG(LPX_LOG_WARN, "peer_token_failed", LPX_F_STR("peer", lpx_str_of(link->peer->name)),
            LPX_F_STR("text", lpx_str_of(why)));
    if (!has_token(link)) {
        fail_waiting(link);
    }
}

static void on_fetched(void *ctx, lpx_err err, const fetch_result *result, const lpx_note *note)
{
    router_link *link = ctx;
    char *header = NULL;
    int64_t lifetime_us = 0;
    lpx_note message = {""};
    link->fetch = NULL;
    wipe_text(&link->form);
    if (lpx_failed(err) || result == NULL) {
        token_failed(link, note != NULL ? note->text : lpx_reason_text(err.reason));
        return;
    }
    if (!oauth_read_answer(result->status, result->body, &header, &lifetime_us, &message)) {
        token_failed(link, message.text);
        return;
    }
    wipe_text(&link->header);
    link->header = header;
    link->expires_us = now_us(link) + lifetime_us;
    while (!lpx_list_empty(&link->waiting)) {
        hand_over *h = LPX_CONTAINER(link->waiting.next, hand_over, node);
        lpx_list_remove(&h->node);
        call(h);
    }
}

static void fetch_token(router_link *link)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json",
                                          NULL};
    lpx_note note = {""};
    link->tried_us = now_us(link);
    link->form = oauth_form(link->peer->host, link->peer->client_id, link->peer->client_secret);
    if (link->form == NULL) {
        token_failed(link, lpx_reason_text(BASE_NO_MEMORY));
        return;
    }
    fetch_opts opts = {.method = "POST",
                       .url = link->peer->token_url,
                       .headers = headers,
                       .body = lpx_str_bytes(lpx_str_of(link->form)),
                       .ca_file = link->peer->ca_file,
                       .connect_timeout_us = ROUTER_PEER_TIMEOUT_US,
                       .timeout_us = ROUTER_PEER_TIMEOUT_US,
                       .max_body_bytes = ROUTER_PEER_TOKEN_BYTES};
    lpx_err err = fetch_start(link->fetcher, &opts, on_fetched, link, &link->fetch, &note);
    if (lpx_failed(err)) {
        link->fetch = NULL;
        wipe_text(&link->form);
        token_failed(link, note.text);
    }
}

/* Ask for a token when there is none, or soon none; not again right after a failure. */
static void renew_token(router_link *link)
{
    int64_t now = now_us(link);
    bool good = has_token(link) && link->expires_us - now > ROUTER_PEER_TOKEN_MARGIN_US;
    if (good || link->fetch != NULL) {
        return;
    }
    if (link->tried_us == 0 || now - link->tried_us >= ROUTER_PEER_TOKEN_RETRY_US) {
        fetch_token(link);
    } else if (!has_token(link)) {
        fail_waiting(link);
    }
}

/* ---- sending ---- */

void router_links_send(router_shard *shard, uint32_t peer, router_copy *copy)
{
    router_link *link = shard->links[peer];
    size_t len = router_copy_message(copy).len;
    bool room = !link->closing && link->under_way < ROUTER_PEER_IN_FLIGHT && len <= ROUTER_PEER_BYTES - link->bytes;
    hand_over *h = room ? calloc(1, sizeof *h) : NULL;
    if (h == NULL) {
        settle(link, copy, ROUTER_LINK_OVERFULL);
        return;
    }
    lpx_list_init(&h->node);
    h->link = link;
    h->copy = router_copy_ref(copy);
    link->under_way++;
    link->bytes += len;
    if (has_token(link)) {
        call(h);
        renew_token(link);
        return;
    }
    lpx_list_push(&link->waiting, &h->node);
    renew_token(link);
}

/* ---- construction ---- */

static void link_free(router_link **ref)
{
    router_link *link = *ref;
    *ref = NULL;
    if (link == NULL) {
        return;
    }
    io_tls_free(&link->tls);
    free(link);
}

static lpx_err link_open(router_shard *shard, const router_peer *peer, router_link **out, lpx_note *note)
{
    static const char *const alpn[] = {"h2", NULL};
    router_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    link->shard = shard;
    link->peer = peer;
    lpx_list_init(&link->waiting);
    io_tls_client_opts tls = {.ca_file = peer->ca_file, .alpn = alpn};
    lpx_err err = io_tls_client_new(&tls, &link->tls, note);
    grpc_client_opts opts = {.address = peer->address, .tls = link->tls, .user_agent = "lpx-router"};
    err = lpx_failed(err) ? err : grpc_client_new(shard->loop, &opts, &link->client, note);
    link->fetcher = lpx_failed(err) ? NULL : fetch_client_new(shard->loop);
    if (lpx_failed(err) || link->fetcher == NULL) {
        grpc_client_free(&link->client);
        link_free(&link);
        return lpx_failed(err) ? err : lpx_err_of(BASE_NO_MEMORY);
    }
    *out = link;
    return LPX_SUCCESS;
}

lpx_err router_links_open(router_shard *shard, lpx_note *note)
{
    const router_peers *peers = shard->router->peers;
    for (size_t i = 0; peers != NULL && i < peers->count; i++) {
        LPX_TRY(link_open(shard, &peers->list[i], &shard->links[i], note));
    }
    return LPX_SUCCESS;
}

void router_links_close(router_shard *shard)
{
    for (unsigned i = 0; i < ROUTER_MAX_PEERS; i++) {
        router_link *link = shard->links[i];
        if (link == NULL || link->closing) {
            continue;
        }
        link->closing = true;
        fetch_cancel(&link->fetch);
        fail_waiting(link);
        grpc_client_free(&link->client); /* what is under way ends inside */
        fetch_client_free(&link->fetcher);
        wipe_text(&link->form);
        wipe_text(&link->header);
    }
}

void router_links_free(router_shard *shard)
{
    router_links_close(shard);
    for (unsigned i = 0; i < ROUTER_MAX_PEERS; i++) {
        link_free(&shard->links[i]);
    }
}

/* ---- metrics ---- */

void router_links_metrics(const router *self, lpx_buf *out)
{
    static const char *const names[ROUTER_LINK_OUTCOMES] = {[ROUTER_LINK_TAKEN] = "taken",
                                                            [ROUTER_LINK_REFUSED] = "refused",
                                                            [ROUTER_LINK_FAILED] = "failed",
                                                            [ROUTER_LINK_OVERFULL] = "overfull"};
    size_t count = self->peers != NULL ? self->peers->count : 0;
    if (count > 0) {
        lpx_buf_add_str(out, LPX_STR("# TYPE lpx_router_peer_messages_total counter\n"));
    }
    for (size_t i = 0; i < count; i++) {
        for (unsigned outcome = 0; outcome < ROUTER_LINK_OUTCOMES; outcome++) {
            uint64_t sum = 0;
            for (unsigned shard = 0; shard < self->shard_count; shard++) {
                sum += atomic_load_explicit(&self->shards[shard]->links[i]->outcomes[outcome], memory_order_relaxed);
            }
            lpx_buf_printf(out, "lpx_router_peer_messages_total{peer=\"%s\",outcome=\"%s\"} %llu\n",
                           self->peers->list[i].name, names[outcome], (unsigned long long)sum);
        }
    }
}
