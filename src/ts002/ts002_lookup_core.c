#include "ts002/ts002_lookup_core.h"

#include <stdlib.h>

#include "base/assert.h"

/* An answer that is remembered, or a question that is under way. */
struct ts002_question {
    ts002_question *next; /* in its bucket */
    lpx_list order;       /* remembered: the next to expire first */
    lpx_list waiters;     /* under way */
    ts002_key key;
    uint16_t slot;
    bool under_way, probe;
    lpx_mono expires;
    ts002_answer answer;
};

/* What is known about a target. */
typedef struct target {
    uint32_t id;
    bool used;
    ts002_breaker breaker;
    uint64_t version;
    uint32_t in_flight;
    uint32_t failures;   /* in a row */
    int64_t pause_us;    /* of the last opening */
    lpx_mono open_until; /* TS002_OPEN */
    lpx_mono asked;
    int64_t bucket_us; /* when its questions are all paid back */
} target;

struct ts002_core {
    ts002_core_opts opts;
    ts002_question *buckets[TS002_CACHE_BUCKETS];
    lpx_list positive, negative; /* of ts002_question.order */
    ts002_core_sizes sizes;
    target targets[TS002_MAX_TARGETS];
    unsigned target_count;
    int64_t askers[TS002_ORIGIN_SLOTS]; /* buckets of forwarders */
};

const char *ts002_outcome_name(ts002_outcome outcome)
{
    static const char *const names[TS002_OUTCOMES] = {
        [TS002_FOUND] = "found",
        [TS002_UNKNOWN_DEVICE] = "unknown_device",
        [TS002_REFUSED] = "refused",
        [TS002_BAD_ANSWER] = "bad_answer",
        [TS002_UNREACHABLE] = "unreachable",
        [TS002_TIMED_OUT] = "timed_out",
        [TS002_BUSY] = "busy",
        [TS002_LEFT_ALONE] = "left_alone",
        [TS002_UNPREPARED] = "unprepared",
    };
    return names[outcome];
}

/* ---- the table of questions and answers ---- */

/* One round of a multiply-xor-shift hash (the finaliser of splitmix64). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static ts002_question **bucket_of(ts002_core *core, const ts002_key *key)
{
    uint64_t hash = mix(core->opts.seed ^ key->version);
    hash = mix(hash ^ ((uint64_t)key->target_id << 32 | key->origin));
    hash = mix(hash ^ key->join_eui.value);
    return &core->buckets[mix(hash ^ key->dev_eui.value) % TS002_CACHE_BUCKETS];
}

static bool same_key(const ts002_key *a, const ts002_key *b)
{
    return a->target_id == b->target_id && a->origin == b->origin && a->version == b->version &&
           a->join_eui.value == b->join_eui.value && a->dev_eui.value == b->dev_eui.value;
}

static ts002_question *find(ts002_core *core, const ts002_key *key)
{
    ts002_question *q = *bucket_of(core, key);
    while (q != NULL && !same_key(&q->key, key)) {
        q = q->next;
    }
    return q;
}

static void forget(ts002_core *core, ts002_question *q)
{
    ts002_question **at = bucket_of(core, &q->key);
    while (*at != q) {
        at = &(*at)->next;
    }
    *at = q->next;
    lpx_list_remove(&q->order);
    core->sizes.remembered -= q->under_way ? 0 : 1;
    free(q);
}

static ts002_question *oldest(const lpx_list *list)
{
    return lpx_list_empty(list) ? NULL : LPX_CONTAINER(list->next, ts002_question, order);
}

static void forget_expired(ts002_core *core, const lpx_list *list, lpx_mono now)
{
    for (ts002_question *q = oldest(list); q != NULL && q->expires.us <= now.us; q = oldest(list)) {
        forget(core, q);
    }
}

/* ---- shares ---- */

static bool has_credit(int64_t bucket_us, lpx_mono now, int64_t per_s, int64_t burst)
{
    return bucket_us - now.us <= (burst - 1) * 1000000 / per_s;
}

static void spend(int64_t *bucket_us, lpx_mono now, int64_t per_s)
{
    *bucket_us = (*bucket_us > now.us ? *bucket_us : now.us) + 1000000 / per_s;
}

/* ---- targets ---- */

/* A free slot, or that of the target that was asked longest ago and has no question under way; NULL: there is none. */
static target *slot_to_take(ts002_core *core)
{
    if (core->target_count < TS002_MAX_TARGETS) {
        return &core->targets[core->target_count++];
    }
    target *found = NULL;
    for (unsigned i = 0; i < TS002_MAX_TARGETS; i++) {
        target *t = &core->targets[i];
        if (t->in_flight == 0 && (found == NULL || t->asked.us < found->asked.us)) {
            found = t;
        }
    }
    return found;
}

/* State of a target, fresh when it is new or was changed. */
static target *target_of(ts002_core *core, const ts002_key *key)
{
    unsigned slot = ts002_core_find_slot(core, key->target_id);
    target *t = slot < TS002_MAX_TARGETS ? &core->targets[slot] : slot_to_take(core);
    if (t == NULL || (t->used && t->id == key->target_id && t->version == key->version)) {
        return t;
    }
    *t = (target){.id = key->target_id,
                  .used = true,
                  .version = key->version,
                  .in_flight = t->used && t->id == key->target_id ? t->in_flight : 0};
    return t;
}

static bool left_alone(const target *t, lpx_mono now)
{
    return t->breaker == TS002_PROBING || (t->breaker == TS002_OPEN && now.us < t->open_until.us);
}

static void open_target(target *t, lpx_mono now, uint32_t chance)
{
    bool again = t->breaker == TS002_PROBING;
    t->pause_us = again ? t->pause_us * 2 : TS002_OPEN_FIRST_US;
    t->pause_us = t->pause_us < TS002_OPEN_MAX_US ? t->pause_us : TS002_OPEN_MAX_US;
    t->open_until.us = now.us + t->pause_us + t->pause_us / 4 * (int64_t)(chance % 1024) / 1024;
    t->breaker = TS002_OPEN;
}

/* An understandable answer shows that the target works, whatever it says. */
static void note_outcome(target *t, bool worked, bool probe, lpx_mono now, uint32_t chance)
{
    if (worked) {
        t->breaker = TS002_CLOSED;
        t->failures = 0;
        return;
    }
    t->failures++;
    bool opens = t->breaker == TS002_CLOSED && t->failures >= TS002_FAILURES_TO_OPEN;
    if (opens || (t->breaker == TS002_PROBING && probe)) {
        open_target(t, now, chance);
    }
}

/* ---- asking ---- */

static ts002_verdict refuse(ts002_outcome outcome, ts002_answer *answer)
{
    *answer = (ts002_answer){.outcome = outcome};
    return TS002_ANSWERED;
}

static ts002_question *question_new(ts002_core *core, const ts002_key *key, target *t)
{
    ts002_question *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return NULL;
    }
    ts002_question **bucket = bucket_of(core, key);
    q->key = *key;
    q->slot = (uint16_t)(t - core->targets);
    q->under_way = true;
    q->probe = t->breaker == TS002_OPEN;
    q->next = *bucket;
    *bucket = q;
    lpx_list_init(&q->order);
    lpx_list_init(&q->waiters);
    return q;
}

/* Ask a question that is neither answered nor under way. */
static ts002_verdict ask_anew(ts002_core *core, const ts002_key *key, int64_t *asker, lpx_mono now,
                              ts002_question **question, ts002_answer *answer)
{
    target *t = target_of(core, key);
    if (t != NULL && left_alone(t, now)) {
        return refuse(TS002_LEFT_ALONE, answer);
    }
    if (t == NULL || core->sizes.under_way >= TS002_MAX_IN_FLIGHT || t->in_flight >= TS002_MAX_IN_FLIGHT_PER_TARGET ||
        !has_credit(t->bucket_us, now, TS002_TARGET_PER_S, TS002_TARGET_BURST) ||
        !has_credit(*asker, now, TS002_ORIGIN_PER_S, TS002_ORIGIN_BURST)) {
        return refuse(TS002_BUSY, answer);
    }
    ts002_question *q = question_new(core, key, t);
    if (q == NULL) {
        return refuse(TS002_BUSY, answer);
    }
    spend(&t->bucket_us, now, TS002_TARGET_PER_S);
    spend(asker, now, TS002_ORIGIN_PER_S);
    t->breaker = q->probe ? TS002_PROBING : t->breaker;
    t->asked = now;
    t->in_flight++;
    core->sizes.under_way++;
    *question = q;
    return TS002_ASK;
}

ts002_verdict ts002_core_ask(ts002_core *core, const ts002_key *key, uint64_t asker, lpx_mono now, ts002_waiter *waiter,
                             ts002_question **question, ts002_answer *answer)
{
    forget_expired(core, &core->positive, now);
    forget_expired(core, &core->negative, now);
    ts002_question *q = find(core, key);
    if (q != NULL && !q->under_way) {
        *answer = q->answer;
        return TS002_ANSWERED;
    }
    ts002_verdict verdict = TS002_SHARED;
    if (q == NULL) {
        int64_t *bucket = &core->askers[mix(core->opts.seed ^ asker) % TS002_ORIGIN_SLOTS];
        verdict = ask_anew(core, key, bucket, now, &q, answer);
    }
    if (verdict == TS002_ANSWERED) {
        return verdict;
    }
    lpx_list_init(&waiter->node);
    lpx_list_push(&q->waiters, &waiter->node);
    *question = q;
    return verdict;
}

/* Keep the answer for a while, if it is one to keep. @return whether it is kept */
static bool remember(ts002_core *core, ts002_question *q, const ts002_answer *answer, lpx_mono now)
{
    bool found = answer->outcome == TS002_FOUND;
    bool negative = answer->outcome == TS002_UNKNOWN_DEVICE || answer->outcome == TS002_REFUSED ||
                    answer->outcome == TS002_BAD_ANSWER;
    int64_t keep_us = found ? core->opts.positive_us : core->opts.negative_us;
    if ((!found && !negative) || keep_us <= 0) {
        return false;
    }
    if (core->sizes.remembered >= TS002_CACHE_ENTRIES) {
        ts002_question *goes = oldest(&core->negative);
        forget(core, goes != NULL ? goes : oldest(&core->positive));
    }
    q->under_way = false;
    q->answer = *answer;
    q->expires.us = now.us + keep_us;
    lpx_list_push(found ? &core->positive : &core->negative, &q->order);
    core->sizes.remembered++;
    return true;
}

void ts002_core_done(ts002_core *core, ts002_question *q, const ts002_answer *answer, lpx_mono now, uint32_t chance,
                     lpx_list *waiters)
{
    target *t = &core->targets[q->slot];
    lpx_assert(q->under_way && t->in_flight > 0);
    t->in_flight--;
    core->sizes.under_way--;
    bool worked =
        answer->outcome == TS002_FOUND || answer->outcome == TS002_UNKNOWN_DEVICE || answer->outcome == TS002_REFUSED;
    if (t->version == q->key.version) { /* else it was changed meanwhile */
        note_outcome(t, worked, q->probe, now, chance);
    }
    for (lpx_list *node = lpx_list_pop(&q->waiters); node != NULL; node = lpx_list_pop(&q->waiters)) {
        lpx_list_push(waiters, node);
    }
    if (!remember(core, q, answer, now)) {
        forget(core, q);
    }
}

/* ---- construction and questions ---- */

ts002_core *ts002_core_new(const ts002_core_opts *opts)
{
    ts002_core *core = calloc(1, sizeof *core);
    if (core != NULL) {
        core->opts = *opts;
        lpx_list_init(&core->positive);
        lpx_list_init(&core->negative);
        for (unsigned i = 0; i < TS002_ORIGIN_SLOTS; i++) {
            core->askers[i] = INT64_MIN / 2; /* clocks may begin below 0 */
        }
    }
    return core;
}

void ts002_core_free(ts002_core **ref)
{
    ts002_core *core = *ref;
    *ref = NULL;
    for (unsigned i = 0; core != NULL && i < TS002_CACHE_BUCKETS; i++) {
        for (ts002_question *q = core->buckets[i], *next; q != NULL; q = next) {
            next = q->next;
            while (lpx_list_pop(&q->waiters) != NULL) {
            }
            free(q);
        }
    }
    free(core);
}

unsigned ts002_core_slot(const ts002_question *question)
{
    return question->slot;
}

unsigned ts002_core_find_slot(const ts002_core *core, uint32_t target_id)
{
    for (unsigned i = 0; i < core->target_count; i++) {
        if (core->targets[i].used && core->targets[i].id == target_id) {
            return i;
        }
    }
    return TS002_MAX_TARGETS;
}

ts002_breaker ts002_core_breaker(const ts002_core *core, unsigned slot)
{
    return core->targets[slot].breaker;
}

const ts002_key *ts002_core_key(const ts002_question *question)
{
    return &question->key;
}

ts002_core_sizes ts002_core_count(const ts002_core *core)
{
    return core->sizes;
}
