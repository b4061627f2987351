#include "ts002/ts002_lookup.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/random.h"
#include "lpx_reasons.h"
#include "wire/http/fetch.h"

enum { COUNT_REMEMBERED = TS002_OUTCOMES, COUNT_SHARED, COUNTS };

/* What is told about a target; written by the loop, read by any. */
typedef struct meter {
    atomic_uint id; /* 0: unused */
    atomic_uint breaker;
    atomic_ullong counts[COUNTS]; /* requests by outcome; asks that needed none */
} meter;

/* A token that is used again while it is young. */
typedef struct held_token {
    char host[FETCH_HOST_BYTES];
    char *line; /* "Authorization: Bearer …" */
    lpx_utc expires;
} held_token;

struct ts002_lookup {
    ts002_lookup_opts opts;
    fetch_client *client;
    ts002_core *core;
    lpx_list requests;
    atomic_uint remembered, under_way;
    held_token tokens[TS002_MAX_TARGETS];
    meter meters[TS002_MAX_TARGETS];
};

/* One request under way. */
typedef struct request {
    lpx_list node;
    ts002_lookup *lookup;
    ts002_question *question;
    uint32_t transaction_id;
    lw_netid sender;
} request;

/* ---- counting ---- */

/* Meter of a target that has a slot, brought up to date; NULL: it has none. */
static meter *touch_meter(ts002_lookup *self, uint32_t target_id)
{
    unsigned slot = ts002_core_find_slot(self->core, target_id);
    if (slot == TS002_MAX_TARGETS) {
        return NULL;
    }
    meter *m = &self->meters[slot];
    if (atomic_load_explicit(&m->id, memory_order_relaxed) != target_id) { /* another target had this slot */
        for (unsigned i = 0; i < COUNTS; i++) {
            atomic_store_explicit(&m->counts[i], 0, memory_order_relaxed);
        }
        atomic_store_explicit(&m->id, target_id, memory_order_relaxed);
    }
    atomic_store_explicit(&m->breaker, ts002_core_breaker(self->core, slot), memory_order_relaxed);
    return m;
}

static void count_up(ts002_lookup *self, uint32_t target_id, unsigned what)
{
    meter *m = touch_meter(self, target_id);
    if (m != NULL) {
        atomic_fetch_add_explicit(&m->counts[what], 1, memory_order_relaxed);
    }
}

static void tell_sizes(ts002_lookup *self)
{
    ts002_core_sizes sizes = ts002_core_count(self->core);
    atomic_store_explicit(&self->remembered, sizes.remembered, memory_order_relaxed);
    atomic_store_explicit(&self->under_way, sizes.under_way, memory_order_relaxed);
}

/* ---- the end of a request ---- */

/* Count, remember, report; then waiters hold those who are to be told. */
static void settle(ts002_lookup *self, ts002_question *question, const ts002_answer *answer, lpx_str text,
                   lpx_list *waiters)
{
    const ts002_key key = *ts002_core_key(question);
    unsigned slot = ts002_core_slot(question);
    uint32_t chance = 0;
    (void)lpx_failed(crypto_random((lpx_space){(uint8_t *)&chance, sizeof chance})); /* else no jitter */
    ts002_report report = {.target_id = key.target_id,
                           .outcome = answer->outcome,
                           .join_eui = key.join_eui,
                           .dev_eui = key.dev_eui,
                           .text = text,
                           .before = ts002_core_breaker(self->core, slot)};
    ts002_core_done(self->core, question, answer, io_loop_now(self->opts.loop).mono, chance, waiters);
    report.after = ts002_core_breaker(self->core, slot);
    count_up(self, key.target_id, answer->outcome);
    tell_sizes(self);
    if (self->opts.report != NULL) {
        self->opts.report(self->opts.report_ctx, &report);
    }
}

/* Home network of an answer. Tenant and cluster count only when they have the form of one. */
static void take_home(const ts002_home_ns_ans *ans, ts002_answer *out)
{
    lpx_str host = ts002_host(ans->h_ns_address);
    out->outcome = TS002_FOUND;
    out->net_id = ans->h_net_id.value;
    if (!lpx_failed(lw_tenant_id_check(ans->h_tenant_id, "HTenantID", NULL))) {
        out->tenant_len = (uint8_t)ans->h_tenant_id.len;
        memcpy(out->tenant, ans->h_tenant_id.ptr, ans->h_tenant_id.len);
    }
    char lower[TS002_CLUSTER_BYTES];
    for (size_t i = 0; i < host.len && host.len < sizeof lower; i++) {
        char c = host.ptr[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    if (host.len < sizeof lower && !lpx_failed(lw_cluster_id_check((lpx_str){lower, host.len}, "HNSAddress", NULL))) {
        out->cluster_len = (uint8_t)host.len;
        memcpy(out->cluster, lower, host.len);
    }
}

/* Is it an answer to this request? */
static lpx_err check_header(const request *r, const ts002_header *h, lpx_note *note)
{
    uint64_t receiver;
    if (h->type != TS002_HOME_NS_ANS) {
        return lpx_fail(note, TS002_MALFORMED, "MessageType is not HomeNSAns.");
    }
    if (h->transaction_id != r->transaction_id) {
        return lpx_fail(note, TS002_MALFORMED, "TransactionID is another one.");
    }
    if (h->receiver_id.len > 0 && (!ts002_hex(h->receiver_id, 6, &receiver) || receiver != r->sender.value)) {
        return lpx_fail(note, TS002_MALFORMED, "ReceiverID is not %06X.", (unsigned)r->sender.value);
    }
    return LPX_SUCCESS;
}

static lpx_err read_answer(const request *r, const fetch_result *result, lpx_arena *arena, ts002_home_ns_ans *out,
                           lpx_note *note)
{
    ts002_message message;
    LPX_TRY(ts002_message_read(result->body, arena, &message, note));
    LPX_TRY(check_header(r, &message.header, note));
    return ts002_home_ns_ans_read(&message, out, note);
}

/* What an HTTP answer means. Some Join Servers refuse with status 400 and an answer that says why. */
static void interpret(const request *r, const fetch_result *result, ts002_answer *out, lpx_note *note)
{
    lpx_arena arena;
    lpx_note why = {""};
    ts002_home_ns_ans ans = {.result = TS002_OTHER};
    lpx_arena_init(&arena, TS002_ARENA_BYTES);
    lpx_err err = read_answer(r, result, &arena, &ans, &why);
    bool ok = result->status >= 200 && result->status < 300;
    if (lpx_failed(err) || (!ok && ans.result == TS002_SUCCESS)) {
        out->outcome = TS002_BAD_ANSWER;
        (void)snprintf(note->text, sizeof note->text, "HTTP status %d: %.200s", result->status,
                       lpx_failed(err) ? why.text : "Success");
    } else if (ans.result == TS002_SUCCESS) {
        take_home(&ans, out);
    } else {
        out->outcome = ans.result == TS002_UNKNOWN_DEV_EUI ? TS002_UNKNOWN_DEVICE : TS002_REFUSED;
        (void)snprintf(note->text, sizeof note->text, "%s %.*s", ts002_result_name(ans.result, TS002_1_1),
                       (int)(ans.description.len < 200 ? ans.description.len : 200), ans.description.ptr);
    }
    lpx_arena_fini(&arena);
}

static ts002_outcome outcome_of(lpx_err err)
{
    switch (err.reason) {
    case FETCH_TIMED_OUT:
        return TS002_TIMED_OUT;
    case FETCH_TOO_LONG:
        return TS002_BAD_ANSWER;
    case FETCH_BUSY:
    case IO_NO_RESOURCES:
    case BASE_NO_MEMORY:
        return TS002_BUSY;
    case FETCH_FAILED:
    case FETCH_UNTRUSTED:
        return TS002_UNREACHABLE;
    default:
        return TS002_UNPREPARED;
    }
}

static void on_done(void *ctx, lpx_err err, const fetch_result *result, const lpx_note *note)
{
    request *r = ctx;
    ts002_answer answer = {.outcome = lpx_failed(err) ? outcome_of(err) : TS002_BAD_ANSWER};
    lpx_note why = *note;
    lpx_list waiters;
    lpx_list_init(&waiters);
    if (!lpx_failed(err)) {
        interpret(r, result, &answer, &why);
    }
    settle(r->lookup, r->question, &answer, lpx_str_of(why.text), &waiters);
    lpx_list_remove(&r->node);
    free(r);
    for (lpx_list *node = lpx_list_pop(&waiters); node != NULL; node = lpx_list_pop(&waiters)) {
        ts002_ask *ask = LPX_CONTAINER(node, ts002_ask, waiter.node);
        ask->done(ask, &answer);
    }
}

/* ---- the beginning of a request ---- */

static void token_drop(held_token *t)
{
    if (t->line != NULL) {
        lpx_wipe(t->line, strlen(t->line));
        free(t->line);
    }
    *t = (held_token){.line = NULL};
}

/* A header with a token for the target's host, signed anew when the one at hand is for another or grows old. */
static lpx_err token_line(ts002_lookup *self, const ts002_target *target, unsigned slot, const char **out,
                          lpx_note *note)
{
    held_token *held = &self->tokens[slot];
    lpx_utc now = io_loop_now(self->opts.loop).utc;
    lpx_str host = ts002_target_host(target);
    if (held->line != NULL && lpx_str_is(host, held->host) && held->expires.us - TS002_TOKEN_SPARE_US > now.us) {
        *out = held->line;
        return LPX_SUCCESS;
    }
    if (self->opts.token == NULL) {
        return lpx_fail(note, TS002_BAD_TARGET, "This exchange signs no tokens.");
    }
    lpx_arena arena;
    lpx_str token;
    lpx_utc expires;
    lpx_arena_init_wiped(&arena, TS002_ARENA_BYTES);
    token_drop(held);
    lpx_err err = self->opts.token(self->opts.token_ctx, host, now, &arena, &token, &expires);
    if (!lpx_failed(err)) {
        held->expires = expires;
        (void)snprintf(held->host, sizeof held->host, "%.*s", (int)host.len, host.ptr);
        if (asprintf(&held->line, "Authorization: Bearer %.*s", (int)token.len, token.ptr) < 0) {
            held->line = NULL;
            err = lpx_err_of(BASE_NO_MEMORY);
        }
    }
    lpx_arena_fini(&arena);
    *out = held->line;
    return err;
}

/* Body of the question; fills in transaction and sender. */
static lpx_err write_body(request *r, const ts002_target *target, lw_netid sender, lpx_buf *out, lpx_note *note)
{
    const ts002_lookup_opts *opts = &r->lookup->opts;
    const ts002_key *key = ts002_core_key(r->question);
    char sender_id[LW_NETID_TEXT_BYTES], receiver_id[LW_EUI64_TEXT_BYTES], ns_id[LW_EUI64_TEXT_BYTES];
    if (ts002_target_version(target) == TS002_1_1 && !opts->has_ns_id) {
        return lpx_fail(note, TS002_NO_NS_ID, "Backend Interfaces 1.1 needs router.sender-ns-id.");
    }
    LPX_TRY(crypto_random((lpx_space){(uint8_t *)&r->transaction_id, sizeof r->transaction_id}));
    r->transaction_id = r->transaction_id % INT32_MAX + 1; /* some peers have signed numbers, and 0 is "none" */
    r->sender = sender;
    lw_netid_format(sender, sender_id);
    lw_eui64_format(key->join_eui, receiver_id);
    lw_eui64_format(opts->sender_ns_id, ns_id);
    const ts002_header header = {.version = ts002_target_version(target),
                                 .transaction_id = r->transaction_id,
                                 .sender_id = lpx_str_of(sender_id),
                                 .receiver_id = lpx_str_of(receiver_id),
                                 .sender_ns_id = lpx_str_of(ns_id)};
    ts002_home_ns_req_write(&header, &(ts002_home_ns_req){key->dev_eui}, out);
    return lpx_buf_failed(out) ? lpx_err_of(BASE_NO_MEMORY) : LPX_SUCCESS;
}

/* Who asks? A token says itself that it is the exchange, whose NetID peers expect to be 000000; credentials of a
 * network speak for that network. */
static lw_netid sender_of(const ts002_lookup *self, const ts002_credentials *credentials, bool own, uint32_t origin)
{
    if (credentials->kind == TS002_AUTH_TOKEN) {
        return (lw_netid){0};
    }
    return own ? (lw_netid){origin} : self->opts.sender_net_id;
}

static lpx_err send_request(request *r, const ts002_target *target, uint32_t origin, lpx_note *note)
{
    ts002_lookup *self = r->lookup;
    bool own;
    const ts002_credentials *credentials = ts002_target_credentials(target, origin, &own);
    const char *authorization = credentials->authorization;
    if (credentials->kind == TS002_AUTH_TOKEN) {
        LPX_TRY(token_line(self, target, ts002_core_slot(r->question), &authorization, note));
    }
    lpx_buf body;
    lpx_buf_init(&body, TS002_REQUEST_BYTES);
    lpx_err err = write_body(r, target, sender_of(self, credentials, own, origin), &body, note);
    if (!lpx_failed(err)) {
        const char *const headers[] = {"Content-Type: application/json", authorization, NULL};
        fetch_opts opts = {.method = "POST",
                           .url = ts002_target_url(target),
                           .headers = headers,
                           .body = lpx_buf_view(&body),
                           .ca_pem = ts002_target_cas(target),
                           .cert_pem = credentials->cert,
                           .key_pem = credentials->key,
                           .connect_timeout_us = self->opts.timeout_us,
                           .timeout_us = self->opts.timeout_us,
                           .max_body_bytes = TS002_MESSAGE_BYTES};
        err = fetch_start(self->client, &opts, on_done, r, NULL, note);
    }
    lpx_buf_fini(&body);
    return err;
}

static lpx_err begin(ts002_lookup *self, ts002_question *question, const ts002_target *target, uint32_t origin,
                     lpx_note *note)
{
    request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->lookup = self;
    r->question = question;
    lpx_err err = send_request(r, target, origin, note);
    if (lpx_failed(err)) {
        free(r);
        return err;
    }
    lpx_list_push(&self->requests, &r->node);
    return LPX_SUCCESS;
}

static ts002_key key_of(const ts002_target *target, const ts002_device *device)
{
    bool own;
    (void)ts002_target_credentials(target, device->origin_net_id, &own);
    return (ts002_key){.target_id = ts002_target_id(target),
                       .origin = own ? device->origin_net_id : UINT32_MAX,
                       .version = ts002_target_digest(target),
                       .join_eui = device->join_eui,
                       .dev_eui = device->dev_eui};
}

bool ts002_lookup_ask(ts002_lookup *self, ts002_target *target, const ts002_device *device, ts002_ask *ask,
                      ts002_answer *answer)
{
    const ts002_key key = key_of(target, device);
    lpx_mono now = io_loop_now(self->opts.loop).mono;
    lpx_note note = {""};
    ts002_question *question = NULL;
    switch (ts002_core_ask(self->core, &key, device->asker, now, &ask->waiter, &question, answer)) {
    case TS002_ANSWERED: {
        bool refused = answer->outcome == TS002_BUSY || answer->outcome == TS002_LEFT_ALONE;
        count_up(self, key.target_id, refused ? (unsigned)answer->outcome : COUNT_REMEMBERED);
        return true;
    }
    case TS002_SHARED:
        count_up(self, key.target_id, COUNT_SHARED);
        return false;
    case TS002_ASK:
        (void)touch_meter(self, key.target_id);
        break;
    }
    lpx_err err = begin(self, question, target, device->origin_net_id, &note);
    tell_sizes(self);
    if (!lpx_failed(err)) {
        return false;
    }
    lpx_list alone; /* nobody else waits for it yet */
    lpx_list_init(&alone);
    *answer = (ts002_answer){.outcome = outcome_of(err)};
    lpx_str text = lpx_str_of(note.text[0] != 0 ? note.text : lpx_reason_text(err.reason));
    settle(self, question, answer, text, &alone);
    lpx_list_remove(&ask->waiter.node);
    return true;
}

void ts002_ask_cancel(ts002_ask *ask)
{
    lpx_list_remove(&ask->waiter.node);
}

/* ---- construction ---- */

static int64_t or_else(int64_t value, int64_t preset)
{
    return value > 0 ? value : preset;
}

lpx_err ts002_lookup_new(const ts002_lookup_opts *opts, ts002_lookup **out)
{
    ts002_core_opts core = {.positive_us = or_else(opts->positive_us, TS002_POSITIVE_US),
                            .negative_us = or_else(opts->negative_us, TS002_NEGATIVE_US)};
    LPX_TRY(crypto_random((lpx_space){(uint8_t *)&core.seed, sizeof core.seed}));
    ts002_lookup *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    self->opts = *opts;
    self->opts.timeout_us = or_else(opts->timeout_us, TS002_TIMEOUT_US);
    lpx_list_init(&self->requests);
    self->client = fetch_client_new(opts->loop);
    self->core = ts002_core_new(&core);
    if (self->client == NULL || self->core == NULL) {
        ts002_lookup_free(&self);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = self;
    return LPX_SUCCESS;
}

void ts002_lookup_free(ts002_lookup **ref)
{
    ts002_lookup *self = *ref;
    *ref = NULL;
    if (self == NULL) {
        return;
    }
    fetch_client_free(&self->client);
    while (!lpx_list_empty(&self->requests)) {
        free(LPX_CONTAINER(lpx_list_pop(&self->requests), request, node));
    }
    ts002_core_free(&self->core);
    for (unsigned i = 0; i < TS002_MAX_TARGETS; i++) {
        token_drop(&self->tokens[i]);
    }
    free(self);
}

/* ---- metrics ---- */

static uint32_t id_of(const ts002_lookup *lookup, unsigned slot)
{
    return atomic_load_explicit(&lookup->meters[slot].id, memory_order_relaxed);
}

static const meter *meter_of(const ts002_lookup *lookup, uint32_t id)
{
    for (unsigned slot = 0; slot < TS002_MAX_TARGETS && id_of(lookup, slot) != 0; slot++) {
        if (id_of(lookup, slot) == id) {
            return &lookup->meters[slot];
        }
    }
    return NULL;
}

/* Targets of all engines, each once. @param ids room for TS002_MAX_TARGETS of each engine */
static size_t collect_ids(ts002_lookup *const *all, size_t count, uint32_t *ids)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        for (unsigned slot = 0; slot < TS002_MAX_TARGETS && id_of(all[i], slot) != 0; slot++) {
            uint32_t id = id_of(all[i], slot);
            bool known = false;
            for (size_t earlier = 0; earlier < i && !known; earlier++) {
                known = meter_of(all[earlier], id) != NULL;
            }
            if (!known) {
                ids[found++] = id;
            }
        }
    }
    return found;
}

static void write_counts(ts002_lookup *const *all, size_t count, uint32_t id, lpx_buf *out)
{
    for (unsigned what = 0; what < COUNTS; what++) {
        unsigned long long sum = 0;
        for (size_t i = 0; i < count; i++) {
            const meter *m = meter_of(all[i], id);
            sum += m != NULL ? atomic_load_explicit(&m->counts[what], memory_order_relaxed) : 0;
        }
        const char *name = what == COUNT_REMEMBERED ? "remembered"
                           : what == COUNT_SHARED   ? "shared"
                                                    : ts002_outcome_name((ts002_outcome)what);
        lpx_buf_printf(out, "lpx_ts002_lookups_total{target=\"%u\",outcome=\"%s\"} %llu\n", (unsigned)id, name, sum);
    }
}

static void write_open(ts002_lookup *const *all, size_t count, uint32_t id, lpx_buf *out)
{
    unsigned loops = 0;
    for (size_t i = 0; i < count; i++) {
        const meter *m = meter_of(all[i], id);
        loops += m != NULL && atomic_load_explicit(&m->breaker, memory_order_relaxed) != TS002_CLOSED ? 1 : 0;
    }
    lpx_buf_printf(out, "lpx_ts002_targets_left_alone_loops{target=\"%u\"} %u\n", (unsigned)id, loops);
}

void ts002_lookup_metrics(ts002_lookup *const *all, size_t count, lpx_buf *out)
{
    unsigned long long remembered = 0, under_way = 0;
    uint32_t *ids = calloc(count * TS002_MAX_TARGETS + 1, sizeof *ids);
    size_t found = ids != NULL ? collect_ids(all, count, ids) : 0;
    for (size_t i = 0; i < count; i++) {
        remembered += atomic_load_explicit(&all[i]->remembered, memory_order_relaxed);
        under_way += atomic_load_explicit(&all[i]->under_way, memory_order_relaxed);
    }
    lpx_buf_printf(out, "# TYPE lpx_ts002_lookups_total counter\n");
    for (size_t i = 0; i < found; i++) {
        write_counts(all, count, ids[i], out);
    }
    lpx_buf_printf(out, "# TYPE lpx_ts002_targets_left_alone_loops gauge\n");
    for (size_t i = 0; i < found; i++) {
        write_open(all, count, ids[i], out);
    }
    lpx_buf_printf(out,
                   "# TYPE lpx_ts002_remembered_answers gauge\nlpx_ts002_remembered_answers %llu\n"
                   "# TYPE lpx_ts002_questions_under_way gauge\nlpx_ts002_questions_under_way %llu\n",
                   remembered, under_way);
    free(ids);
}
