/* lpx report routed-messages: what went between forwarders and home networks. */
#include "cli/cli_report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lpx_reasons.h"

static const char *format_of(cli *c)
{
    return cli_text(c, "format");
}

static bool is_image(const char *format)
{
    return strcmp(format, "json") != 0 && strcmp(format, "csv") != 0 && strcmp(format, "dot") != 0;
}

/* ---- request ---- */

static Pb__Reporting__V1__MonthYear *month_of(cli *c, const char *text)
{
    Pb__Reporting__V1__MonthYear *month = cli_new(c, &pb__reporting__v1__month_year__descriptor);
    month->year = (uint32_t)strtoul(text, NULL, 10);
    month->month = (uint32_t)strtoul(text + 5, NULL, 10);
    return month;
}

static lpx_err set_period(cli *c, Pb__Reporting__V1__GetRoutedMessagesRequest *request)
{
    const char *from = cli_text(c, "from"), *to = cli_text(c, "to");
    to = to[0] != 0 ? to : from;
    if (strcmp(from, to) > 0) { /* of one form: their order is that of the text */
        return cli_fail(c, CLI_USAGE, "--from %s is later than --to %s", from, to);
    }
    if (strcmp(from, to) != 0 && is_image(format_of(c)) && !cli_changed(c, "output-file")) {
        return cli_fail(c, CLI_USAGE, "an image of several months needs a name: give --output-file, or one month");
    }
    request->time_case = PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_PERIOD;
    request->period = cli_new(c, &pb__reporting__v1__month_period__descriptor);
    request->period->from = month_of(c, from);
    request->period->to = month_of(c, to);
    return LPX_SUCCESS;
}

static lpx_err set_time(cli *c, Pb__Reporting__V1__GetRoutedMessagesRequest *request)
{
    bool today = cli_on(c, "today"), days = cli_on(c, "last-30d"), months = cli_text(c, "from")[0] != 0;
    if ((today ? 1 : 0) + (days ? 1 : 0) + (months ? 1 : 0) != 1) {
        return cli_fail(c, CLI_USAGE, "say of which time: --today, --last-30d, or --from MONTH with --to MONTH");
    }
    if (today) {
        request->time_case = PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_TODAY;
        request->today = cli_new(c, &pb__reporting__v1__today__descriptor);
    } else if (days) {
        request->time_case = PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__TIME_LAST_30_DAYS;
        request->last_30_days = cli_new(c, &pb__reporting__v1__last30_days__descriptor);
    }
    return months ? set_period(c, request) : LPX_SUCCESS;
}

/* What the flags of one role ask for, as wrappers that are absent when they were not given. */
static void set_role(cli *c, const cli_endpoint *e, Google__Protobuf__UInt32Value **net_id,
                     Google__Protobuf__StringValue **tenant_id)
{
    *net_id = cli_endpoint_is_empty(e) ? NULL : cli_wrap_uint32(c, e->net_id);
    *tenant_id = *net_id != NULL && e->tenant_id[0] != 0 ? cli_wrap_text(c, e->tenant_id) : NULL;
}

static lpx_err add_records(cli *c, Pb__Reporting__V1__GetRoutedMessagesRequest *request, cli_items *out)
{
    return cli_list_all(c, AGENT_REPORTS, "/org.packetbroker.reporting.v1.Reporter/GetRoutedMessages", &request->base,
                        &pb__reporting__v1__get_routed_messages_response__descriptor, out);
}

/* One request, or for a member in any role one as forwarder and one as home network. */
static lpx_err get_records(cli *c, cli_items *out)
{
    Pb__Reporting__V1__GetRoutedMessagesRequest request = PB__REPORTING__V1__GET_ROUTED_MESSAGES_REQUEST__INIT;
    cli_endpoint any = cli_endpoint_of(c, ""), forwarder = cli_endpoint_of(c, "forwarder"),
                 home = cli_endpoint_of(c, "home-network");
    bool any_role = !cli_endpoint_is_empty(&any);
    if (any_role && (!cli_endpoint_is_empty(&forwarder) || !cli_endpoint_is_empty(&home))) {
        return cli_fail(c, CLI_USAGE,
                        "--net-id means any role: give it, or --forwarder-net-id and --home-network-net-id");
    }
    LPX_TRY(set_time(c, &request));
    set_role(c, any_role ? &any : &forwarder, &request.forwarder_net_id, &request.forwarder_tenant_id);
    if (!any_role) {
        set_role(c, &home, &request.home_network_net_id, &request.home_network_tenant_id);
        return add_records(c, &request, out);
    }
    LPX_TRY(add_records(c, &request, out));
    request.forwarder_net_id = NULL;
    request.forwarder_tenant_id = NULL;
    set_role(c, &any, &request.home_network_net_id, &request.home_network_tenant_id);
    return add_records(c, &request, out);
}

/* ---- order ---- */

static int64_t day_of(const report_record *r)
{
    return r->to != NULL ? r->to->seconds : 0;
}

static int compare_records(const void *a, const void *b)
{
    const report_record *x = *(report_record *const *)a, *y = *(report_record *const *)b;
    if (day_of(x) != day_of(y)) {
        return day_of(x) < day_of(y) ? -1 : 1;
    }
    if (x->forwarder_net_id != y->forwarder_net_id) {
        return x->forwarder_net_id < y->forwarder_net_id ? -1 : 1;
    }
    int order = strcmp(x->forwarder_tenant_id, y->forwarder_tenant_id);
    if (order != 0) {
        return order;
    }
    if (x->home_network_net_id != y->home_network_net_id) {
        return x->home_network_net_id < y->home_network_net_id ? -1 : 1;
    }
    return strcmp(x->home_network_tenant_id, y->home_network_tenant_id);
}

/* Records in order, each once: a member's traffic with itself is in both answers about it. */
static void make_report(cli *c, const cli_items *records, cli_report *out)
{
    out->records = cli_get(c, (records->count + 1) * sizeof *out->records);
    for (size_t i = 0; i < records->count; i++) {
        out->records[i] = (report_record *)records->items[i];
    }
    qsort(out->records, records->count, sizeof *out->records, compare_records);
    for (size_t i = 0; i < records->count; i++) {
        if (out->count == 0 || compare_records(&out->records[out->count - 1], &out->records[i]) != 0) {
            out->records[out->count++] = out->records[i];
        }
    }
}

/* A report without names is still a report: keys need not have the right to read the catalog. */
static void get_names(cli *c, cli_report *r)
{
    Pb__Iam__V2__ListNetworksRequest request = PB__IAM__V2__LIST_NETWORKS_REQUEST__INIT;
    if (lpx_failed(cli_list_all(c, AGENT_IAM, "/org.packetbroker.iam.v2.Catalog/ListNetworks", &request.base,
                                &pb__iam__v2__list_networks_response__descriptor, &r->members))) {
        (void)fprintf(c->world->err, "%s: without names: %s\n", c->program, cli_clean(c, c->why, false));
        r->members.count = 0;
    }
    cli_report_sort_members(r);
}

/* ---- output ---- */

static lpx_err write_text(cli *c, const lpx_buf *text)
{
    const char *path = cli_text(c, "output-file");
    if (path[0] == 0) {
        lpx_buf_add(&c->out, lpx_buf_view(text));
        return LPX_SUCCESS;
    }
    FILE *file = fopen(path, "wbe");
    bool ok = file != NULL && fwrite(text->ptr, 1, text->len, file) == text->len;
    ok = file != NULL && fclose(file) == 0 && ok;
    return ok ? LPX_SUCCESS : cli_fail(c, CLI_FILE, "cannot write %s", path);
}

/* Into the named file, or into a new one of the working directory, whose name is printed. */
static lpx_err draw(cli *c, const char *format, const lpx_buf *graph)
{
    char *path = cli_text(c, "output-file");
    bool named = path[0] != 0;
    if (!named) {
        path = cli_printf(c, "pbreport-XXXXXX.%s", format);
        int fd = mkostemps(path, (int)strlen(format) + 1, O_CLOEXEC);
        if (fd < 0) {
            return cli_fail(c, CLI_FILE, "cannot make a file in the working directory; give --output-file");
        }
        (void)close(fd);
    }
    lpx_err err = cli_report_draw(c, lpx_bytes_str(lpx_buf_view(graph)), format, path);
    if (lpx_failed(err) && !named) {
        (void)unlink(path);
    } else if (!lpx_failed(err) && !named) {
        (void)fprintf(c->world->err, "%s\n", path);
    }
    return err;
}

static const char *number(cli *c, uint64_t value)
{
    return cli_printf(c, "%" PRIu64, value);
}

/* A record in short, for people. */
static void add_short_row(cli *c, cli_table *table, report_record *r)
{
    static const Pb__Reporting__V1__RoutedMessagesRecord__Uplink no_uplink =
        PB__REPORTING__V1__ROUTED_MESSAGES_RECORD__UPLINK__INIT;
    static const Pb__Reporting__V1__RoutedMessagesRecord__Downlink no_downlink =
        PB__REPORTING__V1__ROUTED_MESSAGES_RECORD__DOWNLINK__INIT;
    const Pb__Reporting__V1__RoutedMessagesRecord__Uplink *up = r->uplink != NULL ? r->uplink : &no_uplink;
    const Pb__Reporting__V1__RoutedMessagesRecord__Downlink *down = r->downlink != NULL ? r->downlink : &no_downlink;
    const char *cells[] = {
        cli_printf(c, "%.10s", cli_show_time(c, r->to, 0)),
        cli_show_member(c, r->forwarder_net_id, r->forwarder_tenant_id, ""),
        cli_show_member(c, r->home_network_net_id, r->home_network_tenant_id, ""),
        number(c, up->join_requests_routed_count),
        number(c, up->data_messages_routed_count),
        number(c, up->join_requests_processed_success_count + up->data_messages_processed_success_count),
        number(c, down->join_accepts_routed_count),
        number(c, down->data_messages_routed_count),
        number(c, down->join_accepts_processed_success_count + down->data_messages_processed_success_count),
    };
    cli_table_row(table, &r->base, cells);
}

/* With --output, as every list prints; --format is the older way, and wins. */
static void print_listed(cli *c, const cli_report *r)
{
    static const char *const headers[] = {"Date",         "Forwarder",    "Home Network", "Join-requests",  "Data up",
                                          "Processed up", "Join-accepts", "Data down",    "Processed down", NULL};
    if (c->form == CLI_FORM_CSV) {
        cli_report_csv(c, r, &c->out);
        return;
    }
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < r->count; i++) {
        add_short_row(c, table, r->records[i]);
    }
    cli_table_print(c, table);
}

static lpx_err print_report(cli *c, cli_report *r)
{
    const char *format = format_of(c);
    lpx_buf text;
    lpx_err err = LPX_SUCCESS;
    lpx_buf_init(&text, CLI_OUT_BYTES);
    if (strcmp(format, "json") == 0) {
        for (size_t i = 0; i < r->count; i++) {
            cli_add_json(c, &text, &r->records[i]->base, true);
        }
    } else if (strcmp(format, "csv") == 0) {
        cli_report_csv(c, r, &text);
    } else {
        cli_report_dot(c, r, &text);
    }
    if (lpx_buf_failed(&text)) {
        err = cli_fail(c, CLI_INPUT, "the report is too long to be printed");
    } else {
        err = is_image(format) ? draw(c, format, &text) : write_text(c, &text);
    }
    lpx_buf_fini(&text);
    return err;
}

static lpx_err run_routed_messages(cli *c)
{
    cli_items records = {0};
    cli_report report = {0};
    bool listed = cli_changed(c, "output") && !cli_changed(c, "format");
    LPX_TRY(get_records(c, &records));
    make_report(c, &records, &report);
    if (listed ? c->form == CLI_FORM_CSV : strcmp(format_of(c), "json") != 0) {
        get_names(c, &report);
    }
    if (!listed) {
        return print_report(c, &report);
    }
    print_listed(c, &report);
    return LPX_SUCCESS;
}

static const cli_flag time_flags[] = {
    {"today", CLI_SWITCH, "of today"},
    {"last-30d", CLI_SWITCH, "of the last 30 days"},
    {"from", CLI_MONTH, "of the months from this one"},
    {"to", CLI_MONTH, "to this one (default: --from)"},
    {0},
};
static const cli_flag format_flags[] = {
    {"format", CLI_WORD, "json, csv, or a graph: dot, png, svg, pdf, ps", "json", .letter = 'f',
     .words = "json|csv|dot|png|svg|pdf|ps"},
    {"output-file", CLI_PATH, "write to this file", .letter = 'o'},
    {0},
};

static const cli_command routed_messages_command = {
    .name = "routed-messages",
    .aliases = "routedmsgs",
    .brief = "Report the messages that were routed and processed",
    .about = "Report the messages that were routed between Forwarders and Home Networks, and what became of them.\n\n"
             "Images are drawn by Graphviz, whose program dot must be installed; without --output-file they go to\n"
             "pbreport-*.FORMAT in the working directory, and of months only one can be drawn.",
    .examples = "  Report a network in any role, of the last 30 days, as CSV:\n"
                "    $ % --net-id 000013 --last-30d -f csv\n\n"
                "  Report a Forwarder's traffic with one Home Network in two months:\n"
                "    $ % --forwarder-net-id 000013 --home-network-net-id 000009 --from 2024-05 --to 2024-06\n\n"
                "  Draw the graph of a month:\n    $ % --net-id 000013 --from 2024-05 -f svg -o may.svg\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_forwarder_flags, cli_home_flags,
                                       time_flags, format_flags, NULL},
    .run = run_routed_messages,
};

const cli_command cli_report_command = {
    .name = "report",
    .aliases = "reports",
    .brief = "Report traffic",
    .below = (const cli_command *const[]){&routed_messages_command, NULL},
};
