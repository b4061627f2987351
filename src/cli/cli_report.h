/* Reports of routed messages and their forms. */
#pragma once
#include "cli/cli_priv.h"
#include "pb_reporting_v1_api.pb-c.h"

typedef Pb__Reporting__V1__RoutedMessagesRecord report_record;

/** A report: records in order of time and parties, and the names of those parties. */
typedef struct cli_report {
    report_record **records;
    size_t count;
    cli_items members; /* of the catalog, ordered by NetID and tenant; empty: no names */
} cli_report;

/** Name of a member in the catalog, "" when it is not listed. */
const char *cli_report_name(const cli_report *r, uint32_t net_id, const char *tenant_id);
/** Put the members in order, for cli_report_name. */
void cli_report_sort_members(cli_report *r);
/** Append the report as CSV: the 49 columns of the existing client, a row for each record. */
void cli_report_csv(cli *c, const cli_report *r, lpx_buf *out);
/** Append the report as a directed graph for Graphviz: a cluster for each NetID, an edge for each pair with what went
 * up and down, several months together. */
void cli_report_dot(cli *c, const cli_report *r, lpx_buf *out);
/** Draw a graph with the local Graphviz.
 * @param format of its -T: "svg", "png", "pdf", "ps" @param path of the image
 * @err NOT_FOUND: CLI_FILE (no Graphviz, or it failed) */
LPX_RESULT cli_report_draw(cli *c, lpx_str graph, const char *format, const char *path);
