/* The demo's table: drawn in place on a terminal, one line for each message that ended otherwise. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli_demo.h"

enum { VIEW_PAUSE_US = 80000 };

static const char *state_of(const demo_row *row)
{
    if (row->lost) {
        return row->problem;
    }
    if (row->complete) {
        return row->down_us >= 0 ? "answered, reported" : "delivered, reported";
    }
    if (row->down_us >= 0) {
        return "answer arrived";
    }
    if (row->down_published) {
        return "answer sent";
    }
    if (row->up_us >= 0) {
        return "delivered";
    }
    return row->published ? "published" : "sent";
}

static const char *color_of(const demo *d, const demo_row *row)
{
    if (!d->color) {
        return "";
    }
    return row->lost ? "\033[31m" : (row->complete ? "\033[32m" : "\033[33m");
}

static void format_ms(int64_t us, char out[static 16])
{
    if (us < 0) {
        (void)snprintf(out, 16, "-");
    } else {
        (void)snprintf(out, 16, "%.2f", (double)us / 1e3);
    }
}

static void print_header(const demo *d)
{
    (void)fprintf(d->c->world->out, "%s%-12s  %-15s  %-16s  %5s  %5s  %-20s  %5s  %5s  %8s  %8s  %s%s\n",
                  d->color ? "\033[1m" : "", "Time", "Kind", "DevAddr/JoinEUI", "FCnt", "FPort", "Gateway", "RSSI",
                  "SNR", "Up ms", "Down ms", "State", d->color ? "\033[0m" : "");
}

static void print_row(const demo *d, const demo_row *row)
{
    char clock[24], up[16], down[16], port[12] = "-";
    struct tm tm;
    time_t seconds = (time_t)(row->sent_utc_us / 1000000);
    (void)localtime_r(&seconds, &tm);
    (void)strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    format_ms(row->up_us, up);
    format_ms(row->down_us, down);
    if (row->f_port >= 0) {
        (void)snprintf(port, sizeof port, "%d", row->f_port);
    }
    (void)fprintf(d->c->world->out, "%s.%03d  %-15s  %-16s  %5u  %5s  %-20s  %5.0f  %5.1f  %8s  %8s  %s%s%s\n", clock,
                  (int)(row->sent_utc_us / 1000 % 1000), demo_kind_name(row->kind), row->device, row->f_cnt, port,
                  row->gateway, (double)row->rssi_dbm, (double)row->snr_db, up, down, color_of(d, row), state_of(row),
                  d->color ? "\033[0m" : "");
}

static void print_counts(const demo *d)
{
    const demo_counts *n = &d->counts;
    (void)fprintf(d->c->world->out,
                  "sent %llu, delivered %llu, answers sent %llu, answers delivered %llu, reports %llu, lost %llu\n",
                  (unsigned long long)n->sent, (unsigned long long)n->delivered, (unsigned long long)n->answers_sent,
                  (unsigned long long)n->answers_delivered, (unsigned long long)n->reports,
                  (unsigned long long)n->lost);
}

void demo_view_start(demo *d)
{
    if (!d->terminal) {
        print_header(d);
        (void)fflush(d->c->world->out);
    }
}

void demo_view_row(demo *d, demo_row *row)
{
    (void)row;
    d->dirty = true;
}

/* Rows in the order of their sending, as far as all before them have ended. */
static void draw_plain(demo *d)
{
    while (d->last_printed < d->next_seq) {
        demo_row *row = demo_row_of(d, d->last_printed + 1);
        if (row != NULL && !row->complete && !row->lost) {
            break;
        }
        if (row != NULL) {
            print_row(d, row);
        }
        d->last_printed++;
    }
}

static void draw_terminal(demo *d)
{
    FILE *out = d->c->world->out;
    unsigned height = d->c->world->height, rows = height > 6 ? height - 4 : 2; /* header, totals, two to spare */
    rows = rows < DEMO_VIEW_ROWS ? rows : DEMO_VIEW_ROWS;
    uint32_t first = d->next_seq > rows ? d->next_seq - rows + 1 : 1;
    if (d->printed_lines > 0) {
        (void)fprintf(out, "\033[%uA\r\033[J", d->printed_lines);
    }
    (void)fprintf(out, "\033[?7l"); /* no wrapping: a line of the table is a line of the screen */
    print_header(d);
    d->printed_lines = 2;
    for (uint32_t seq = first; seq <= d->next_seq; seq++) {
        const demo_row *row = demo_row_of(d, seq);
        if (row != NULL) {
            print_row(d, row);
            d->printed_lines++;
        }
    }
    print_counts(d);
    (void)fprintf(out, "\033[?7h");
}

void demo_view_draw(demo *d, bool last)
{
    int64_t now = demo_mono_us();
    if (!last && (!d->dirty || now - d->last_view_us < VIEW_PAUSE_US)) {
        return;
    }
    d->dirty = false;
    d->last_view_us = now;
    if (d->terminal) {
        draw_terminal(d);
    } else {
        draw_plain(d);
    }
    (void)fflush(d->c->world->out);
}

static char *show_quantiles(cli *c, const cli_latency *latency)
{
    if (latency->total == 0) {
        return cli_printf(c, "-");
    }
    return cli_printf(c, "p50 %.2f ms, p99 %.2f ms, max %.2f ms", (double)cli_latency_quantile(latency, 0.5) / 1e3,
                      (double)cli_latency_quantile(latency, 0.99) / 1e3, (double)latency->max_us / 1e3);
}

void demo_view_summary(demo *d)
{
    cli *c = d->c;
    const demo_counts *n = &d->counts;
    const char *pairs[] = {
        "Uplinks sent",
        cli_printf(c, "%llu", (unsigned long long)n->sent),
        "Uplinks delivered",
        cli_printf(c, "%llu", (unsigned long long)n->delivered),
        "Answers sent",
        cli_printf(c, "%llu", (unsigned long long)n->answers_sent),
        "Answers delivered",
        cli_printf(c, "%llu", (unsigned long long)n->answers_delivered),
        "Delivery reports",
        cli_printf(c, "%llu", (unsigned long long)n->reports),
        "Complete",
        cli_printf(c, "%llu of %llu", (unsigned long long)n->complete, (unsigned long long)n->sent),
        "Uplink latency",
        show_quantiles(c, &d->up_latency),
        "Downlink latency",
        show_quantiles(c, &d->down_latency),
        NULL,
    };
    lpx_buf_add_str(&c->out, LPX_STR("\n"));
    cli_print_pairs(c, pairs);
}
