/* Whose is this device? The decisions of asking Join Servers: what is known already, who shares a question, which
 * target is asked, left alone or tried again. Events and times come in, verdicts go out; the requests themselves are
 * the rim's (ts002_lookup.h). Level 4; pure. Thread: one owner.
 *
 * A target is left alone ("open") after TS002_FAILURES_TO_OPEN failures in a row; when its pause is over one question
 * tries it ("probing"). Any understandable answer closes it again; each failed probe doubles the pause, to which chance
 * adds up to a quarter, so that loops and nodes do not come at once. */
#pragma once
#include "base/list.h"
#include "base/time.h"
#include "lorawan/ids.h"
#include "ts002/limits.h"

/** What came of a question. */
typedef enum ts002_outcome {
    TS002_FOUND,          /* the home network is known */
    TS002_UNKNOWN_DEVICE, /* the Join Server does not know the device */
    TS002_REFUSED,        /* another result code: see its note */
    TS002_BAD_ANSWER,     /* none that can be understood, or not to this question */
    TS002_UNREACHABLE,    /* no connection, or no trust in the peer */
    TS002_TIMED_OUT,
    TS002_BUSY,       /* too many questions: this one was not asked */
    TS002_LEFT_ALONE, /* the target failed before: this one was not asked */
    TS002_UNPREPARED, /* the request cannot be made: see its note */
    TS002_OUTCOMES,
} ts002_outcome;

/** Name of an outcome for logs and metrics, "unknown_device"; static. */
const char *ts002_outcome_name(ts002_outcome outcome);

/** Answer to a question. */
typedef struct ts002_answer {
    ts002_outcome outcome;
    /* TS002_FOUND: the home network; tenant and cluster may be empty. */
    uint32_t net_id;
    uint8_t tenant_len, cluster_len;
    char tenant[TS002_TENANT_BYTES], cluster[TS002_CLUSTER_BYTES];
} ts002_answer;

/** What a question is about; all of it decides whether two questions are one. */
typedef struct ts002_key {
    uint32_t target_id; /* of the Join Server */
    uint32_t origin;    /* NetID on whose behalf it is asked, when that has credentials of its own, else UINT32_MAX */
    uint64_t version;   /* of the target: hash of its address and credentials */
    lw_eui64 join_eui, dev_eui;
} ts002_key;

/** Somebody who waits for an answer; lives inside its owner. */
typedef struct ts002_waiter {
    lpx_list node;
} ts002_waiter;

typedef enum ts002_breaker { TS002_CLOSED, TS002_OPEN, TS002_PROBING } ts002_breaker;

/** A question under way. */
typedef struct ts002_question ts002_question;

typedef struct ts002_core ts002_core;

/** How long answers are remembered, and a secret random number for the hash tables. */
typedef struct ts002_core_opts {
    int64_t positive_us, negative_us;
    uint64_t seed;
} ts002_core_opts;

/** New core without memories. NULL when memory is short. */
ts002_core *ts002_core_new(const ts002_core_opts *opts);
/** Free; questions under way and their waiters are forgotten; clears the pointer; accepts NULL. */
void ts002_core_free(ts002_core **core);

/** What becomes of asking. */
typedef enum ts002_verdict {
    TS002_ANSWERED, /* *answer tells; the waiter is not used */
    TS002_SHARED,   /* the waiter waits for a question that is under way */
    TS002_ASK,      /* the waiter waits for *question, which the caller must now ask, then tell ts002_core_done */
} ts002_verdict;

/** Ask.
 * @param asker   number of the forwarder, for its share
 * @param answer  TS002_ANSWERED: also TS002_BUSY, TS002_LEFT_ALONE */
ts002_verdict ts002_core_ask(ts002_core *core, const ts002_key *key, uint64_t asker, lpx_mono now, ts002_waiter *waiter,
                             ts002_question **question, ts002_answer *answer);

/** A question has its answer: it is remembered if it is one to remember, and its waiters move to *waiters (an empty
 * list). The question is gone.
 * @param chance  random, for the pause */
void ts002_core_done(ts002_core *core, ts002_question *question, const ts002_answer *answer, lpx_mono now,
                     uint32_t chance, lpx_list *waiters);

/** Slot of a question's target, 0 to TS002_MAX_TARGETS - 1, for those who count by target. */
unsigned ts002_core_slot(const ts002_question *question);
/** Slot of a target; TS002_MAX_TARGETS when it has none. */
unsigned ts002_core_find_slot(const ts002_core *core, uint32_t target_id);
/** State of a slot's target. */
ts002_breaker ts002_core_breaker(const ts002_core *core, unsigned slot);
/** What the question is about. */
const ts002_key *ts002_core_key(const ts002_question *question);

/** Remembered answers, and questions under way. */
typedef struct ts002_core_sizes {
    uint32_t remembered, under_way;
} ts002_core_sizes;
/** Count both. */
ts002_core_sizes ts002_core_count(const ts002_core *core);
