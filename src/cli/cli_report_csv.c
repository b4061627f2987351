/* Reports as CSV: one row for each record, the 49 columns of the existing client. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_report.h"

typedef Pb__Reporting__V1__RoutedMessagesRecord__Uplink__ErrorCount uplink_error;
typedef Pb__Reporting__V1__RoutedMessagesRecord__Downlink__ErrorCount downlink_error;

/* An error and its column. */
typedef struct error_column {
    const char *name;
    int type;
} error_column;

static const error_column uplink_errors[] = {
    {"duplicate_payload", PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__DUPLICATE_PAYLOAD},
    {"internal", PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__UPLINK_INTERNAL},
    {"no_home_network_endpoints", PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__NO_HOME_NETWORK_ENDPOINTS},
    {"not_found", PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__NOT_FOUND},
    {"routing_policy", PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__UPLINK_ROUTING_POLICY},
    {"unknown", PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR__UPLINK_UNKNOWN_ERROR},
};
static const error_column downlink_errors[] = {
    {"collision_beacon", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__COLLISION_BEACON},
    {"collision_packet", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__COLLISION_PACKET},
    {"gateway_not_connected", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__GATEWAY_NOT_CONNECTED},
    {"gps_unlocked", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__GPS_UNLOCKED},
    {"internal", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__DOWNLINK_INTERNAL},
    {"routing_policy", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__DOWNLINK_ROUTING_POLICY},
    {"too_early", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__TOO_EARLY},
    {"too_late", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__TOO_LATE},
    {"tx_frequency", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__TX_FREQUENCY},
    {"tx_power", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__TX_POWER},
    {"unknown", PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__DOWNLINK_UNKNOWN_ERROR},
};
enum {
    UPLINK_ERRORS = sizeof uplink_errors / sizeof *uplink_errors,
    DOWNLINK_ERRORS = sizeof downlink_errors / sizeof *downlink_errors,
    COLUMNS = 7 + 2 * (2 + UPLINK_ERRORS) + 2 * (2 + DOWNLINK_ERRORS),
};
_Static_assert((int)COLUMNS == 49 && (int)COLUMNS <= (int)CLI_MAX_COLUMNS, "columns of the existing client");

/* ---- names ---- */

/* NetID and tenant of an entry; @return its name */
static const char *identify(const ProtobufCMessage *message, uint32_t *net_id, const char **tenant_id)
{
    const Pb__V3__NetworkOrTenant *entry = (const Pb__V3__NetworkOrTenant *)message;
    if (entry->value_case == PB__V3__NETWORK_OR_TENANT__VALUE_TENANT) {
        *net_id = entry->tenant->net_id;
        *tenant_id = entry->tenant->tenant_id;
        return entry->tenant->name;
    }
    bool network = entry->value_case == PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK;
    *net_id = network ? entry->network->net_id : 0;
    *tenant_id = "";
    return network ? entry->network->name : "";
}

static int compare(uint32_t net_a, const char *tenant_a, uint32_t net_b, const char *tenant_b)
{
    return net_a != net_b ? (net_a < net_b ? -1 : 1) : strcmp(tenant_a, tenant_b);
}

static int compare_members(const void *a, const void *b)
{
    uint32_t net_a, net_b;
    const char *tenant_a, *tenant_b;
    (void)identify(*(ProtobufCMessage *const *)a, &net_a, &tenant_a);
    (void)identify(*(ProtobufCMessage *const *)b, &net_b, &tenant_b);
    return compare(net_a, tenant_a, net_b, tenant_b);
}

void cli_report_sort_members(cli_report *r)
{
    if (r->members.count > 1) {
        qsort(r->members.items, r->members.count, sizeof *r->members.items, compare_members);
    }
}

const char *cli_report_name(const cli_report *r, uint32_t net_id, const char *tenant_id)
{
    size_t low = 0, high = r->members.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t net = 0;
        const char *tenant = "", *name = identify(r->members.items[middle], &net, &tenant);
        int order = compare(net, tenant, net_id, tenant_id);
        if (order == 0) {
            return name;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return "";
}

/* ---- columns and cells ---- */

static void add_columns(cli *c, const char **columns, size_t *n, const char *kind, const error_column *errors,
                        size_t error_count)
{
    columns[(*n)++] = cli_printf(c, "%s_routed", kind);
    columns[(*n)++] = cli_printf(c, "%s_processed_success", kind);
    for (size_t i = 0; i < error_count; i++) {
        columns[(*n)++] = cli_printf(c, "%s_processed_error_%s", kind, errors[i].name);
    }
}

static const char *const *columns_of(cli *c)
{
    static const char *const first[] = {"date",
                                        "forwarder_net_id",
                                        "forwarder_tenant_id",
                                        "forwarder_name",
                                        "home_network_net_id",
                                        "home_network_tenant_id",
                                        "home_network_name"};
    const char **columns = cli_get(c, (COLUMNS + 1) * sizeof *columns);
    size_t n = sizeof first / sizeof *first;
    memcpy(columns, first, sizeof first);
    add_columns(c, columns, &n, "uplink_join", uplink_errors, UPLINK_ERRORS);
    add_columns(c, columns, &n, "uplink_data", uplink_errors, UPLINK_ERRORS);
    add_columns(c, columns, &n, "downlink_join", downlink_errors, DOWNLINK_ERRORS);
    add_columns(c, columns, &n, "downlink_data", downlink_errors, DOWNLINK_ERRORS);
    return columns;
}

static const char *number(cli *c, uint64_t value)
{
    return cli_printf(c, "%" PRIu64, value);
}

static void add_uplink(cli *c, const char **cells, size_t *n, uint64_t routed, uint64_t success,
                       uplink_error *const *errors, size_t count)
{
    cells[(*n)++] = number(c, routed);
    cells[(*n)++] = number(c, success);
    for (size_t i = 0; i < UPLINK_ERRORS; i++) {
        uint64_t sum = 0;
        for (size_t k = 0; k < count; k++) {
            sum += (int)errors[k]->error_type == uplink_errors[i].type ? errors[k]->count : 0;
        }
        cells[(*n)++] = number(c, sum);
    }
}

static void add_downlink(cli *c, const char **cells, size_t *n, uint64_t routed, uint64_t success,
                         downlink_error *const *errors, size_t count)
{
    cells[(*n)++] = number(c, routed);
    cells[(*n)++] = number(c, success);
    for (size_t i = 0; i < DOWNLINK_ERRORS; i++) {
        uint64_t sum = 0;
        for (size_t k = 0; k < count; k++) {
            sum += (int)errors[k]->error_type == downlink_errors[i].type ? errors[k]->count : 0;
        }
        cells[(*n)++] = number(c, sum);
    }
}

static const char **cells_of(cli *c, const cli_report *r, const report_record *record)
{
    static const Pb__Reporting__V1__RoutedMessagesRecord__Uplink no_uplink =
        PB__REPORTING__V1__ROUTED_MESSAGES_RECORD__UPLINK__INIT;
    static const Pb__Reporting__V1__RoutedMessagesRecord__Downlink no_downlink =
        PB__REPORTING__V1__ROUTED_MESSAGES_RECORD__DOWNLINK__INIT;
    const Pb__Reporting__V1__RoutedMessagesRecord__Uplink *up = record->uplink != NULL ? record->uplink : &no_uplink;
    const Pb__Reporting__V1__RoutedMessagesRecord__Downlink *down =
        record->downlink != NULL ? record->downlink : &no_downlink;
    const char **cells = cli_get(c, COLUMNS * sizeof *cells);
    size_t n = 0;
    cells[n++] = cli_printf(c, "%.10s", cli_show_time(c, record->to, 0));
    cells[n++] = cli_show_net_id(c, record->forwarder_net_id);
    cells[n++] = record->forwarder_tenant_id;
    cells[n++] = cli_report_name(r, record->forwarder_net_id, record->forwarder_tenant_id);
    cells[n++] = cli_show_net_id(c, record->home_network_net_id);
    cells[n++] = record->home_network_tenant_id;
    cells[n++] = cli_report_name(r, record->home_network_net_id, record->home_network_tenant_id);
    add_uplink(c, cells, &n, up->join_requests_routed_count, up->join_requests_processed_success_count,
               up->join_requests_processed_error_count, up->n_join_requests_processed_error_count);
    add_uplink(c, cells, &n, up->data_messages_routed_count, up->data_messages_processed_success_count,
               up->data_messages_processed_error_count, up->n_data_messages_processed_error_count);
    add_downlink(c, cells, &n, down->join_accepts_routed_count, down->join_accepts_processed_success_count,
                 down->join_accepts_processed_error_count, down->n_join_accepts_processed_error_count);
    add_downlink(c, cells, &n, down->data_messages_routed_count, down->data_messages_processed_success_count,
                 down->data_messages_processed_error_count, down->n_data_messages_processed_error_count);
    for (size_t i = 0; i < COLUMNS; i++) {
        cells[i] = cli_clean(c, cells[i], false);
    }
    return cells;
}

void cli_report_csv(cli *c, const cli_report *r, lpx_buf *out)
{
    cli_add_csv(out, columns_of(c), COLUMNS);
    for (size_t i = 0; i < r->count; i++) {
        cli_add_csv(out, cells_of(c, r, r->records[i]), COLUMNS);
    }
}
