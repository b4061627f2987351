/* lpx trace: what became of a message, and why. */
#include "cli/cli_trace.h"

#include <inttypes.h>
#include <string.h>

#include "cli/cli_stream.h"
#include "lpx_reasons.h"

#define TRACER "/lpx.trace.v1.Tracer/"

lpx_err cli_trace_get(cli *c, const char *id, Lpx__Trace__V1__Trace **out)
{
    Lpx__Trace__V1__GetTraceRequest request;
    Lpx__Trace__V1__GetTraceResponse *answer = NULL;
    lpx__trace__v1__get_trace_request__init(&request);
    request.id = cli_printf(c, "%s", id);
    LPX_TRY(cli_call(c, AGENT_ROUTER, TRACER "GetTrace", &request.base, &lpx__trace__v1__get_trace_response__descriptor,
                     &answer));
    if (answer->trace == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without a trace");
    }
    *out = answer->trace;
    return LPX_SUCCESS;
}

bool cli_step_is(const Lpx__Trace__V1__Step *step, const char *event)
{
    return strcmp(step->event, event) == 0;
}

/* ---- as text ---- */

static const char *endpoint_text(cli *c, const Lpx__Trace__V1__Endpoint *e)
{
    return e != NULL ? cli_show_member(c, e->net_id, e->tenant_id, e->cluster_id) : "";
}

static const char *device_text(cli *c, const Lpx__Trace__V1__Trace *t)
{
    if (t->kind == LPX__TRACE__V1__KIND__DATA) {
        return cli_printf(c, "DevAddr %08X, FPort %u", t->dev_addr, t->f_port);
    }
    return t->direction == LPX__TRACE__V1__DIRECTION__UPLINK
               ? cli_printf(c, "JoinEUI %016" PRIX64 ", DevEUI %016" PRIX64, t->join_eui, t->dev_eui)
               : "";
}

static const char *kind_text(const Lpx__Trace__V1__Trace *t)
{
    bool up = t->direction == LPX__TRACE__V1__DIRECTION__UPLINK;
    return t->kind == LPX__TRACE__V1__KIND__JOIN ? (up ? "join-request" : "join-accept")
                                                 : (up ? "data uplink" : "data downlink");
}

static const char *join_hops(cli *c, const Lpx__Trace__V1__Trace *t)
{
    const char *text = "";
    for (size_t i = 0; i < t->n_hops; i++) {
        text = cli_printf(c, "%s%s%s", text, i > 0 ? " > " : "", t->hops[i]);
    }
    return text;
}

/* What the event does not say itself: "devaddr_block, policy forwarder_default, filter 1, 2 copies". */
static const char *details(cli *c, const Lpx__Trace__V1__Step *s)
{
    const char *parts[] = {
        s->route,
        s->policy[0] != 0 ? cli_printf(c, "policy %s", s->policy) : "",
        s->filter > 0 ? cli_printf(c, "filter %u", s->filter) : "",
        s->copies > 1 ? cli_printf(c, "%u copies", s->copies) : "",
        s->stripped_signal_quality ? "without signal quality" : "",
        s->stripped_localization ? "without location" : "",
        s->reason[0] != 0 ? cli_printf(c, "reason %s", s->reason) : "",
    };
    const char *text = "";
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i][0] != 0) {
            text = cli_printf(c, "%s%s%s", text, text[0] != 0 ? ", " : "", parts[i]);
        }
    }
    return text;
}

static int64_t time_us(const Google__Protobuf__Timestamp *time)
{
    return time != NULL ? time->seconds * 1000000 + time->nanos / 1000 : 0;
}

static void show_step(cli *c, const Lpx__Trace__V1__Trace *t, const Lpx__Trace__V1__Step *s)
{
    bool bad = cli_step_is(s, "dropped") || (cli_step_is(s, "reported") && s->reason[0] != 0);
    bool colour = bad && c->world->out_is_terminal;
    double after_ms = s->time != NULL && t->time != NULL ? (double)(time_us(s->time) - time_us(t->time)) / 1e3 : 0;
    lpx_buf_printf(&c->out, "  %+10.1f ms  %s%s%-9s%s %-26s %s\n", after_ms, colour ? "\033[1;31m" : "",
                   bad ? "! " : "  ", cli_clean(c, s->event, false), colour ? "\033[0m" : "",
                   cli_clean(c, endpoint_text(c, s->home_network), false), cli_clean(c, details(c, s), false));
    if (s->text[0] != 0) {
        lpx_buf_printf(&c->out, "  %15s %s\n", "", cli_clean(c, s->text, false));
    }
}

static void show_trace(cli *c, const Lpx__Trace__V1__Trace *t, size_t first)
{
    if (first == 0) {
        const char *device = device_text(c, t), *hops = join_hops(c, t);
        bool up = t->direction == LPX__TRACE__V1__DIRECTION__UPLINK;
        lpx_buf_printf(&c->out, "%s  %s  %s%s%s  %s %s\n", cli_show_time(c, t->time, 3), cli_clean(c, t->id, false),
                       kind_text(t), device[0] != 0 ? ", " : "", device, up ? "from" : "to",
                       cli_clean(c, endpoint_text(c, t->forwarder), false));
        if (t->n_hops > 1) { /* the first is who sent it */
            lpx_buf_printf(&c->out, "  through %s\n", cli_clean(c, hops, false));
        }
    }
    for (size_t i = first; i < t->n_steps; i++) {
        show_step(c, t, t->steps[i]);
    }
}

/* ---- as rows: one for each step ---- */

static cli_table *step_table(cli *c)
{
    static const char *const headers[] = {"ID",     "Time",     "Message",      "Forwarder", "Device", "Hops",
                                          "Event",  "After ms", "Home Network", "Route",     "Policy", "Filter",
                                          "Copies", "Stripped", "Reason",       "Text",      NULL};
    return cli_table_new(c, headers);
}

static void add_steps(cli *c, cli_table *table, const Lpx__Trace__V1__Trace *t, size_t first)
{
    for (size_t i = first; i < t->n_steps; i++) {
        const Lpx__Trace__V1__Step *s = t->steps[i];
        const char *stripped = s->stripped_signal_quality
                                   ? (s->stripped_localization ? "signal_quality localization" : "signal_quality")
                                   : (s->stripped_localization ? "localization" : "");
        const char *cells[] = {
            t->id,
            cli_show_time(c, t->time, 6),
            kind_text(t),
            endpoint_text(c, t->forwarder),
            device_text(c, t),
            join_hops(c, t),
            s->event,
            cli_printf(c, "%.3f", (double)(time_us(s->time) - time_us(t->time)) / 1e3),
            endpoint_text(c, s->home_network),
            s->route,
            s->policy,
            cli_printf(c, "%u", s->filter),
            cli_printf(c, "%u", s->copies),
            stripped,
            s->reason,
            s->text,
        };
        cli_table_row(table, NULL, cells);
    }
}

void cli_traces_print(cli *c, Lpx__Trace__V1__Trace *const *traces, size_t count)
{
    cli_table *table = step_table(c);
    for (size_t i = 0; i < count; i++) {
        if (c->form == CLI_FORM_CSV) {
            add_steps(c, table, traces[i], 0);
        } else {
            show_trace(c, traces[i], 0);
        }
    }
    if (c->form == CLI_FORM_CSV) {
        cli_table_print(c, table);
    }
}

/* ---- recent ---- */

static lpx_err run_recent(cli *c)
{
    Lpx__Trace__V1__ListRecentRequest request;
    Lpx__Trace__V1__ListRecentResponse *answer = NULL;
    cli_endpoint e;
    LPX_TRY(cli_need_member(c, &e));
    lpx__trace__v1__list_recent_request__init(&request);
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.drops_only = cli_on(c, "drops");
    request.limit = (uint32_t)cli_number(c, "limit");
    LPX_TRY(cli_call(c, AGENT_ROUTER, TRACER "ListRecent", &request.base,
                     &lpx__trace__v1__list_recent_response__descriptor, &answer));
    if (c->form == CLI_FORM_JSON) {
        cli_table *table = cli_table_new(c, (const char *const[]){"ID", NULL});
        for (size_t i = 0; i < answer->n_traces; i++) {
            cli_table_row(table, &answer->traces[i]->base, (const char *const[]){answer->traces[i]->id});
        }
        cli_table_print(c, table);
        return LPX_SUCCESS;
    }
    for (size_t i = 0; i < answer->n_traces / 2; i++) { /* as they happened: the newest stands at the end */
        Lpx__Trace__V1__Trace **a = &answer->traces[i], **b = &answer->traces[answer->n_traces - 1 - i], *swap = *a;
        *a = *b;
        *b = swap;
    }
    cli_traces_print(c, answer->traces, answer->n_traces);
    return LPX_SUCCESS;
}

/* ---- live ---- */

enum { KNOWN = 256 /* traces whose shown steps are remembered */, ID_BYTES = 64 };

typedef struct live {
    struct {
        char id[ID_BYTES];
        size_t steps;
    } known[KNOWN];
    size_t next;
    bool header; /* of CSV was printed */
} live;

/* Steps of this trace that were shown before; remembers those that it has now. */
static size_t known_steps(live *l, const Lpx__Trace__V1__Trace *t)
{
    for (size_t i = 0; i < KNOWN; i++) {
        if (l->known[i].id[0] != 0 && strncmp(l->known[i].id, t->id, ID_BYTES - 1) == 0) {
            size_t before = l->known[i].steps < t->n_steps ? l->known[i].steps : t->n_steps;
            l->known[i].steps = t->n_steps;
            return before;
        }
    }
    (void)snprintf(l->known[l->next].id, ID_BYTES, "%s", t->id);
    l->known[l->next].steps = t->n_steps;
    l->next = (l->next + 1) % KNOWN;
    return 0;
}

static lpx_err show_live(cli *c, const ProtobufCMessage *message, void *ctx, bool *over)
{
    const Lpx__Trace__V1__WatchResponse *w = (const Lpx__Trace__V1__WatchResponse *)message;
    live *l = ctx;
    (void)over;
    if (w->missed > 0) {
        (void)fprintf(c->world->err, "%s: %" PRIu64 " traces were left out: this reader is too slow\n", c->program,
                      w->missed);
    }
    if (w->trace == NULL) {
        return LPX_SUCCESS;
    }
    if (c->form == CLI_FORM_JSON) {
        cli_add_json(c, &c->out, &w->trace->base, false);
        lpx_buf_add_str(&c->out, LPX_STR("\n"));
        return cli_flush(c);
    }
    size_t known = known_steps(l, w->trace);
    if (c->form == CLI_FORM_CSV) {
        cli_table *table = step_table(c);
        add_steps(c, table, w->trace, known);
        cli_table_print_csv(c, table, !l->header);
        l->header = true;
    } else {
        if (known > 0) { /* others came between: say which one grew */
            lpx_buf_printf(&c->out, "%s  (went on)\n", cli_clean(c, w->trace->id, false));
        }
        show_trace(c, w->trace, known);
    }
    return cli_flush(c);
}

static lpx_err run_live(cli *c)
{
    Lpx__Trace__V1__WatchRequest request;
    cli_endpoint e;
    LPX_TRY(cli_need_member(c, &e));
    lpx__trace__v1__watch_request__init(&request);
    request.net_id = e.net_id;
    request.tenant_id = e.tenant_id;
    request.drops_only = cli_on(c, "drops");
    cli_stream stream = {
        .service = AGENT_ROUTER,
        .path = TRACER "Watch",
        .request = &request.base,
        .answer = &lpx__trace__v1__watch_response__descriptor,
        .reconnect = true,
        .each = show_live,
        .ctx = cli_get(c, sizeof(live)),
    };
    return cli_stream_run(c, &stream);
}

/* ---- command ---- */

static lpx_err run_trace(cli *c)
{
    Lpx__Trace__V1__Trace *trace = NULL;
    unsigned ways = (c->line.arg_count > 0 ? 1U : 0U) + (cli_on(c, "live") ? 1U : 0U) + (cli_on(c, "recent") ? 1U : 0U);
    if (ways != 1 || c->line.arg_count > 1) {
        return cli_fail(c, CLI_USAGE, "want the id of one message, --recent or --live");
    }
    if (cli_on(c, "live")) {
        return run_live(c);
    }
    if (cli_on(c, "recent")) {
        return run_recent(c);
    }
    LPX_TRY(cli_trace_get(c, c->line.args[0], &trace));
    if (c->form == CLI_FORM_JSON) {
        cli_print_json(c, &trace->base, true);
        return LPX_SUCCESS;
    }
    cli_traces_print(c, &trace, 1);
    return LPX_SUCCESS;
}

static const cli_flag trace_flags[] = {
    {"live", CLI_SWITCH, "show messages as they pass, until Ctrl-C"},
    {"recent", CLI_SWITCH, "show the last messages"},
    {"limit", CLI_NUMBER, "of --recent: at most so many messages, up to 1000", "20"},
    {"drops", CLI_SWITCH, "only messages of which something was dropped"},
    {0},
};

const cli_command cli_trace_command = {
    .name = "trace",
    .brief = "Show what became of a message, and why",
    .about = "Show what became of a message: the exchanges it went through, which home networks it was meant for and\n"
             "by which route and policy, whether a copy was sent, and the reason when one was dropped. The exchange\n"
             "remembers the last messages, and shows them to their parties alone: it takes an API key of the\n"
             "forwarder or of a home network, with the right READ_TRAFFIC.",
    .examples = "  Show one message (pub prints its id):\n    $ % 01HXYZABCDEFGHJKMNPQRSTVWX\n\n"
                "  Show the last messages of a network:\n    $ % --recent --net-id 000013\n\n"
                "  Watch what is dropped of a tenant's messages:\n"
                "    $ % --live --net-id 000013 --tenant-id tti --drops\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, trace_flags, NULL},
    .run = run_trace,
    .takes_args = true,
    .args_hint = "[ID]",
};
