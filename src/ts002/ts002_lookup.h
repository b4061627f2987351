/* Asking Join Servers whose a device is: HomeNSReq by HTTP or HTTPS, with the decisions of ts002_lookup_core.h. One
 * engine for each loop: an engine asks, remembers and leaves alone for itself (docs/adr/0006-join-lookups.md).
 * Level 4. Thread: the loop's, but where said otherwise. */
#pragma once
#include "base/buf.h"
#include "io/loop.h"
#include "ts002/ts002_lookup_core.h"
#include "ts002/ts002_target.h"

typedef struct ts002_lookup ts002_lookup;

/** Sign a token of this exchange for a peer.
 * @param audience host of the peer
 * @param expires  when it ends */
typedef lpx_err ts002_token_fn(void *ctx, lpx_str audience, lpx_utc now, lpx_arena *arena, lpx_str *token,
                               lpx_utc *expires);

/** What came of a request, for the log. Views are borrowed for the call. */
typedef struct ts002_report {
    uint32_t target_id;
    ts002_outcome outcome;
    lw_eui64 join_eui, dev_eui;
    lpx_str text; /* why; may be empty; never a secret */
    ts002_breaker before, after;
} ts002_report;

/** Is told of every request that ended. */
typedef void ts002_report_fn(void *ctx, const ts002_report *report);

/** Settings; texts and functions are borrowed for the engine's life. 0: the default of limits.h. */
typedef struct ts002_lookup_opts {
    io_loop *loop;
    lw_netid sender_net_id;
    bool has_ns_id;
    lw_eui64 sender_ns_id; /* Backend Interfaces 1.1 cannot be spoken without */
    int64_t timeout_us, positive_us, negative_us;
    ts002_token_fn *token; /* NULL: targets that want a token cannot be asked */
    void *token_ctx;
    ts002_report_fn *report; /* may be NULL */
    void *report_ctx;
} ts002_lookup_opts;

/** New engine. @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY; INTERNAL: CRYPTO_NO_RANDOM */
LPX_RESULT ts002_lookup_new(const ts002_lookup_opts *opts, ts002_lookup **out);
/** Free; who waits is not told; clears the pointer; accepts NULL. Not from within done or report. */
void ts002_lookup_free(ts002_lookup **lookup);

/** Somebody's interest in an answer; lives inside its owner until done or ts002_ask_cancel. */
typedef struct ts002_ask {
    ts002_waiter waiter; /* private */
    void (*done)(struct ts002_ask *ask, const ts002_answer *answer);
} ts002_ask;

/** Which device, and for whom. */
typedef struct ts002_device {
    lw_eui64 join_eui, dev_eui;
    uint32_t origin_net_id; /* network that forwards: it may have credentials of its own */
    uint64_t asker;         /* number of the forwarder, for its share of questions */
} ts002_device;

/** Whose is it?
 * @param ask    done set; used when the answer is not there yet
 * @param answer written when it is
 * @return true: answered at once; false: ask->done comes once, on this loop, within the timeout, and never before this
 *         returns */
bool ts002_lookup_ask(ts002_lookup *lookup, ts002_target *target, const ts002_device *device, ts002_ask *ask,
                      ts002_answer *answer);
/** done will not come; harmless after it. The question goes on: its answer is worth remembering. */
void ts002_ask_cancel(ts002_ask *ask);

/** Append metrics of engines together, as Prometheus text: lookups by target and outcome, state of targets, sizes.
 * @thread any, while the engines live */
void ts002_lookup_metrics(ts002_lookup *const *all, size_t count, lpx_buf *out);
