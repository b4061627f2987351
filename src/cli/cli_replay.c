/* lpx replay: publishes recorded uplinks as a Forwarder. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/agent_lines.h"
#include "cli/cli_latency.h"
#include "cli/cli_priv.h"
#include "cli/cli_uplink.h"
#include "codec/json/json.h"
#include "crypto/hash.h"
#include "lpx_reasons.h"

#define PUBLISH "/org.packetbroker.routing.v1.ForwarderData/Publish"

enum {
    LINE_ARENA_BYTES = 16 << 20, /* one line of 1 MiB as a document, and its message */
    MAX_RECEPTIONS = 1024,       /* of one uplink; gateways around one device are tens */
    FRAME_BYTES = 512,           /* base64 of 255 bytes takes 340 */
    PROGRESS_TERMINAL_US = 200000,
    PROGRESS_PLAIN_US = 5000000,
};

typedef enum pace { PACE_RECORDED, PACE_RATE, PACE_MAX } pace;

typedef struct replay {
    cli *c;
    cli_endpoint forwarder;
    agent_lines *lines;
    lpx_arena arena; /* of one line */
    pace pace;
    double speed, rate;
    bool first_reception;
    unsigned window; /* calls in flight */
    uint64_t limit;  /* 0: none */
    int64_t started_us, last_progress_us;
    int64_t first_time_us; /* of the recording; 0: none yet */
    bool terminal;
    uint64_t uplinks, published, answered, failed[17];
    agent_failure refusal; /* that ended the replay: code LPX_OK while there is none */
    cli_latency latency;
} replay;

/* One call on its way. */
typedef struct flight {
    replay *r;
    int64_t started_us;
} flight;

static int64_t mono_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t failed_total(const replay *r)
{
    uint64_t total = 0;
    for (size_t i = 0; i < sizeof r->failed / sizeof *r->failed; i++) {
        total += r->failed[i];
    }
    return total;
}

/* ---- progress ---- */

static void format_seconds(double seconds, char out[static 32])
{
    if (!(seconds >= 0) || seconds > 99 * 86400.0) {
        (void)snprintf(out, 32, "%s", seconds > 0 ? "over 99 days" : "?");
        return;
    }
    unsigned long s = (unsigned long)seconds;
    if (s >= 3600) {
        (void)snprintf(out, 32, "%luh%02lum", s / 3600, s / 60 % 60);
    } else {
        (void)snprintf(out, 32, "%lum%02lus", s / 60, s % 60);
    }
}

static void show_progress(replay *r, bool last)
{
    int64_t now = mono_us(), pause = r->terminal ? PROGRESS_TERMINAL_US : PROGRESS_PLAIN_US;
    if (!last && now - r->last_progress_us < pause) {
        return;
    }
    r->last_progress_us = now;
    double elapsed = (double)(now - r->started_us) / 1e6, part = agent_lines_progress(r->lines);
    double by_limit = r->limit > 0 ? (double)r->published / (double)r->limit : 0;
    part = part > by_limit ? part : by_limit;
    char eta[32];
    format_seconds(part > 0 ? elapsed / part - elapsed : -1, eta);
    (void)fprintf(r->c->world->err, "%s%llu published, %llu answered, %llu failed, %.0f/s, %.0f %%, ETA %s%s",
                  r->terminal ? "\r\033[K" : "", (unsigned long long)r->published, (unsigned long long)r->answered,
                  (unsigned long long)failed_total(r), elapsed > 0 ? (double)r->answered / elapsed : 0, part * 100,
                  last ? "0m00s" : eta, r->terminal && !last ? "" : "\n");
    (void)fflush(r->c->world->err);
}

/* ---- calls ---- */

/* Would every further call be refused for the same reason? */
static bool is_final(lpx_code code)
{
    return code == LPX_UNAUTHENTICATED || code == LPX_PERMISSION_DENIED || code == LPX_UNIMPLEMENTED;
}

static void on_done(void *ctx, const agent_failure *why, lpx_bytes message)
{
    flight *f = ctx;
    replay *r = f->r;
    (void)message;
    if (why == NULL) {
        r->answered++;
        cli_latency_add(&r->latency, mono_us() - f->started_us);
    } else {
        r->failed[(unsigned)why->code < 17 ? (unsigned)why->code : LPX_UNKNOWN]++;
        bool nothing_works = r->answered == 0 && r->refusal.code == LPX_OK;
        if (is_final(why->code) || (nothing_works && why->code == LPX_UNAVAILABLE)) {
            r->refusal = *why;
        }
    }
    free(f);
}

static lpx_err publish(replay *r, const cli_reception *reception)
{
    Pb__Routing__V1__PublishUplinkMessageRequest request = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    lpx_note note = {{0}};
    if (lpx_failed(cli_uplink_make(reception, &r->arena, &request.message, &note))) {
        return cli_fail(r->c, CLI_INPUT, "line %lu: phy_payload: %s", agent_lines_number(r->lines), note.text);
    }
    request.forwarder_net_id = r->forwarder.net_id;
    request.forwarder_tenant_id = r->forwarder.tenant_id;
    request.forwarder_cluster_id = r->forwarder.cluster_id;
    flight *f = malloc(sizeof *f);
    if (f != NULL) {
        *f = (flight){.r = r, .started_us = mono_us()};
    }
    if (f == NULL || !agent_start(r->c->agent, AGENT_ROUTER, PUBLISH, &request.base, on_done, f)) {
        free(f);
        return cli_fail(r->c, CLI_CALL, "not enough memory");
    }
    r->published++;
    return LPX_SUCCESS;
}

/* ---- pace ---- */

/* When the next message is due. */
static int64_t due_us(const replay *r, int64_t recorded_us)
{
    switch (r->pace) {
    case PACE_RECORDED:
        return r->started_us + (int64_t)((double)(recorded_us - r->first_time_us) / r->speed);
    case PACE_RATE:
        return r->started_us + (int64_t)((double)r->published * 1e6 / r->rate);
    case PACE_MAX:
        break;
    }
    return 0;
}

/* Turn the loop until the message is due and the window has room. */
static void wait_turn(replay *r, int64_t recorded_us)
{
    int64_t due = due_us(r, recorded_us);
    for (;;) {
        int64_t left = due - mono_us();
        bool room = agent_in_flight(r->c->agent) < r->window;
        if ((left <= 0 && room) || cli_interrupted() || r->refusal.code != LPX_OK) {
            return;
        }
        int64_t wait = !room || left > 100000 ? 100000 : left;
        io_loop_turn(agent_loop(r->c->agent), wait);
        show_progress(r, false);
    }
}

/* ---- lines ---- */

static bool member_double(const json_value *object, const char *key, double low, double high, double *out)
{
    return json_double(json_member(object, key), out) && *out >= low && *out <= high;
}

static bool member_int(const json_value *object, const char *key, int64_t low, int64_t high, int64_t *out)
{
    return json_int(json_member(object, key), out) && *out >= low && *out <= high;
}

/* One element of receptions. @return NULL, or the name of the member that is wrong */
static const char *read_reception(replay *r, const json_value *object, cli_reception *out)
{
    double rssi = 0, snr = 0;
    int64_t frequency = 0, sf = 0, bandwidth = 0, time_ms = 0;
    lpx_str gateway = json_text(json_member(object, "gateway"));
    if (gateway.len == 0 || gateway.len > 100) {
        return "gateway (text of 1 to 100 bytes)";
    }
    if (!member_double(object, "rssi_dbm", -300, 100, &rssi) || !member_double(object, "snr_db", -100, 100, &snr)) {
        return "rssi_dbm or snr_db (a number of decibels)";
    }
    if (!member_int(object, "frequency_hz", 1, 10000000000LL, &frequency)) {
        return "frequency_hz (1 to 10000000000)";
    }
    if (!member_int(object, "sf", 5, 12, &sf) || !member_int(object, "bandwidth_hz", 1, 10000000, &bandwidth)) {
        return "sf (5 to 12) or bandwidth_hz (1 to 10000000)";
    }
    if (!member_int(object, "time_ms", 0, 253402300799000LL, &time_ms)) {
        return "time_ms (Unix time in milliseconds)";
    }
    out->gateway_id = lpx_arena_cstr(&r->arena, gateway);
    out->has_location = member_double(object, "latitude", -90, 90, &out->latitude) &&
                        member_double(object, "longitude", -180, 180, &out->longitude);
    out->rssi_dbm = (float)rssi;
    out->snr_db = (float)snr;
    out->frequency_hz = (uint64_t)frequency;
    out->spreading_factor = (uint32_t)sf;
    out->bandwidth_hz = (uint32_t)bandwidth;
    out->gateway_us = time_ms * 1000;
    return out->gateway_id != NULL ? NULL : "gateway (no memory for it)";
}

static lpx_err publish_reception(replay *r, cli_reception *reception)
{
    uint8_t token[CRYPTO_SHA256_BYTES];
    const char *name = lpx_arena_printf(&r->arena, "%s %lld", reception->gateway_id, (long long)reception->gateway_us);
    crypto_sha256(lpx_str_bytes(lpx_str_of(name)), token); /* opaque: stands for the gateway's way back */
    reception->token = lpx_bytes_of(token, sizeof token);
    if (r->first_time_us == 0) {
        r->first_time_us = reception->gateway_us;
    }
    wait_turn(r, reception->gateway_us);
    if (cli_interrupted() || r->refusal.code != LPX_OK) {
        return LPX_SUCCESS;
    }
    reception->forwarder_us = r->c->world->utc_us();
    return publish(r, reception);
}

static bool is_over(const replay *r)
{
    return cli_interrupted() || r->refusal.code != LPX_OK || (r->limit > 0 && r->published >= r->limit);
}

static lpx_err publish_line(replay *r, lpx_str line)
{
    unsigned long number = agent_lines_number(r->lines);
    const json_value *uplink = NULL;
    lpx_note note = {{0}};
    uint8_t frame[FRAME_BYTES];
    if (lpx_failed(json_parse(line, &r->arena, &uplink, &note))) {
        return cli_fail(r->c, CLI_INPUT, "line %lu: %s", number, note.text);
    }
    lpx_str base64 = json_text(json_member(uplink, "phy_payload"));
    int64_t frame_len =
        base64.len > 0 && base64.len <= FRAME_BYTES ? lpx_base64_decode(base64, (lpx_space){frame, sizeof frame}) : -1;
    const json_value *receptions = json_member(uplink, "receptions");
    if (frame_len < 0 || receptions == NULL || receptions->kind != JSON_KIND_ARRAY ||
        receptions->count > MAX_RECEPTIONS) {
        return cli_fail(r->c, CLI_INPUT,
                        "line %lu: want phy_payload (base64 of at most 255 bytes) and receptions (a list)", number);
    }
    r->uplinks++;
    for (const json_value *v = json_first(receptions); v != NULL && !is_over(r); v = json_next(receptions, v)) {
        cli_reception reception = {.phy = lpx_bytes_of(frame, (size_t)frame_len)};
        const char *wrong = read_reception(r, v, &reception);
        if (wrong != NULL) {
            return cli_fail(r->c, CLI_INPUT, "line %lu: a reception wants %s", number, wrong);
        }
        LPX_TRY(publish_reception(r, &reception));
        if (r->first_reception) {
            break;
        }
    }
    return LPX_SUCCESS;
}

static lpx_err publish_lines(replay *r)
{
    while (!is_over(r)) {
        lpx_str line;
        bool end = false;
        lpx_note note = {{0}};
        if (lpx_failed(agent_lines_next(r->lines, &line, &end, &note))) {
            return cli_fail(r->c, CLI_INPUT, "%s", note.text);
        }
        if (end) {
            return LPX_SUCCESS;
        }
        if (line.len > 0) {
            lpx_arena_reset(&r->arena);
            LPX_TRY(publish_line(r, line));
        }
    }
    return LPX_SUCCESS;
}

/* ---- summary ---- */

static void add_failures(replay *r, const char **pairs, size_t *n)
{
    for (size_t i = 0; i < sizeof r->failed / sizeof *r->failed; i++) {
        if (r->failed[i] > 0) {
            pairs[(*n)++] = cli_printf(r->c, "Failed %s", lpx_code_name((uint16_t)i));
            pairs[(*n)++] = cli_printf(r->c, "%llu", (unsigned long long)r->failed[i]);
        }
    }
}

static void summarize(replay *r)
{
    cli *c = r->c;
    double seconds = (double)(mono_us() - r->started_us) / 1e6;
    const char *pairs[2 * 30];
    size_t n = 0;
    pairs[n++] = "Uplinks";
    pairs[n++] = cli_printf(c, "%llu", (unsigned long long)r->uplinks);
    pairs[n++] = "Published";
    pairs[n++] = cli_printf(c, "%llu", (unsigned long long)r->published);
    pairs[n++] = "Answered";
    pairs[n++] = cli_printf(c, "%llu", (unsigned long long)r->answered);
    add_failures(r, pairs, &n);
    pairs[n++] = "Seconds";
    pairs[n++] = cli_printf(c, "%.1f", seconds);
    pairs[n++] = "Answers per second";
    pairs[n++] = cli_printf(c, "%.1f", seconds > 0 ? (double)r->answered / seconds : 0);
    static const struct {
        const char *name;
        double part;
    } quantiles[] = {{"Latency p50", 0.5}, {"Latency p90", 0.9}, {"Latency p99", 0.99}, {"Latency p99.9", 0.999}};
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        pairs[n++] = quantiles[i].name;
        pairs[n++] = cli_printf(c, "%.2f ms", (double)cli_latency_quantile(&r->latency, quantiles[i].part) / 1e3);
    }
    pairs[n++] = "Latency max";
    pairs[n++] = cli_printf(c, "%.2f ms", (double)r->latency.max_us / 1e3);
    pairs[n] = NULL;
    cli_print_pairs(c, pairs);
}

static lpx_err conclude(replay *r, lpx_err err)
{
    agent_wait_below(r->c->agent, 0);
    show_progress(r, true);
    summarize(r);
    if (lpx_failed(err)) {
        return err; /* what was wrong with the file; the summary is not printed */
    }
    if (r->refusal.code != LPX_OK) {
        return cli_call_failed(r->c, &r->refusal);
    }
    if (r->answered < r->published) {
        LPX_TRY(cli_flush(r->c));
        return cli_fail(r->c, CLI_INCOMPLETE, "%llu of %llu messages were not accepted",
                        (unsigned long long)(r->published - r->answered), (unsigned long long)r->published);
    }
    return LPX_SUCCESS;
}

static lpx_err set_pace(replay *r)
{
    const char *rate = cli_text(r->c, "rate");
    if (rate[0] != 0 && cli_changed(r->c, "speed")) {
        return cli_fail(r->c, CLI_USAGE, "give --speed or --rate, not both");
    }
    r->pace = rate[0] == 0 ? PACE_RECORDED : (strcmp(rate, "max") == 0 ? PACE_MAX : PACE_RATE);
    r->speed = strtod(cli_text(r->c, "speed"), NULL);
    r->rate = strtod(rate, NULL);
    r->window = (unsigned)cli_number(r->c, "in-flight");
    r->limit = cli_number(r->c, "limit");
    if (r->window == 0 || r->window > 65536) {
        return cli_fail(r->c, CLI_USAGE, "--in-flight: want 1 to 65536");
    }
    return LPX_SUCCESS;
}

static lpx_err run_replay(cli *c)
{
    lpx_note note = {{0}};
    replay *r = cli_get(c, sizeof *r);
    *r = (replay){.c = c,
                  .forwarder = cli_endpoint_of(c, "forwarder"),
                  .first_reception = cli_on(c, "first-reception"),
                  .terminal = c->world->err_is_terminal};
    if (c->line.arg_count != 1) {
        return cli_fail(c, CLI_USAGE, "want one file to replay (\"-\" is standard input); see --help");
    }
    if (cli_endpoint_is_empty(&r->forwarder)) {
        return cli_fail(c, CLI_USAGE, "say who publishes: --forwarder-net-id (and --forwarder-tenant-id)");
    }
    LPX_TRY(set_pace(r));
    LPX_TRY(cli_connect(c));
    if (lpx_failed(agent_lines_open(c->line.args[0], &r->lines, &note))) {
        return cli_fail(c, CLI_FILE, "%s", note.text);
    }
    lpx_arena_init(&r->arena, LINE_ARENA_BYTES);
    cli_catch_interrupt();
    r->started_us = r->last_progress_us = mono_us();
    lpx_err err = conclude(r, publish_lines(r));
    lpx_arena_fini(&r->arena);
    agent_lines_close(&r->lines);
    return err;
}

static const cli_flag replay_flags[] = {
    {"first-reception", CLI_SWITCH, "publish each uplink once, not once for each gateway that received it"},
    {"speed", CLI_DECIMAL, "so many times as fast as recorded", "1"},
    {"rate", CLI_RATE, "so many messages in a second, or max: as fast as answers come"},
    {"in-flight", CLI_NUMBER, "messages that may wait for an answer", "256"},
    {"limit", CLI_NUMBER, "end after so many messages; 0: at the end of the file", "0"},
    {0},
};

const cli_command cli_replay_command = {
    .name = "replay",
    .brief = "Publish recorded uplinks as a Forwarder",
    .about =
        "Publish the uplinks of a file as a Forwarder. The file has one JSON object per line, compressed by gzip or\n"
        "not: phy_payload (base64) and receptions, a list of objects with gateway, latitude, longitude, rssi_dbm,\n"
        "snr_db, frequency_hz, sf, bandwidth_hz and time_ms. Each reception is one message, as gateway servers\n"
        "publish it. The exit status is 1 when a message was not accepted.",
    .examples = "  At the recorded speed:\n    $ % --forwarder-net-id 000013 uplinks.jsonl.gz\n\n"
                "  100 messages in a second:\n    $ % --forwarder-net-id 000013 --rate 100 uplinks.jsonl.gz\n\n"
                "  As fast as answers come, with 1000 in flight:\n"
                "    $ % --forwarder-net-id 000013 --rate max --in-flight 1000 uplinks.jsonl.gz\n",
    .flags = (const cli_flag *const[]){cli_forwarder_flags, cli_forwarder_cluster_flags, replay_flags, NULL},
    .run = run_replay,
    .takes_args = true,
    .args_hint = "FILE",
};
