/* Entities of the API as text: networks, tenants, targets, policies. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli_priv.h"
#include "crypto/x509.h"

/* Pairs collected over several functions, so that all are aligned together. */
typedef struct pair_list {
    const char **items; /* key, value, ...; ended by NULL when printed */
    size_t count, room;
} pair_list;

static void add_pair(cli *c, pair_list *list, const char *key, const char *value)
{
    if (list->count + 3 > list->room) {
        size_t room = list->room * 2 + 32;
        const char **bigger = cli_get(c, room * sizeof *bigger);
        if (list->count > 0) {
            memcpy(bigger, list->items, list->count * sizeof *bigger);
        }
        list->items = bigger;
        list->room = room;
    }
    list->items[list->count++] = key;
    list->items[list->count++] = value;
    list->items[list->count] = NULL;
}

static void print_list(cli *c, const pair_list *list)
{
    if (list->count > 0) {
        cli_print_pairs(c, list->items);
    }
}

char *cli_show_net_id(cli *c, uint32_t net_id)
{
    return cli_printf(c, "%06X", net_id & 0xFFFFFF);
}

char *cli_show_prefix(cli *c, const Pb__V3__DevAddrPrefix *prefix)
{
    return cli_printf(c, "%08X/%u", prefix != NULL ? prefix->value : 0, prefix != NULL ? prefix->length : 0);
}

char *cli_show_eui_prefix(cli *c, const Pb__V3__JoinEUIPrefix *prefix)
{
    return cli_printf(c, "%016" PRIX64 "/%u", prefix != NULL ? prefix->value : 0, prefix != NULL ? prefix->length : 0);
}

char *cli_show_eui_prefixes(cli *c, Pb__V3__JoinEUIPrefix *const *prefixes, size_t count)
{
    return cli_printf(c, "%s%s%s%s", count > 0 ? cli_show_eui_prefix(c, prefixes[0]) : "", count > 1 ? ", " : "",
                      count > 1 ? cli_show_eui_prefix(c, prefixes[1]) : "",
                      count > 2 ? cli_printf(c, ", +%zu", count - 2) : "");
}

char *cli_show_time(cli *c, const Google__Protobuf__Timestamp *time, unsigned digits)
{
    struct tm utc;
    char date[32], fraction[16] = "";
    time_t seconds = time != NULL ? (time_t)time->seconds : 0;
    if (time == NULL || gmtime_r(&seconds, &utc) == NULL ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        return cli_printf(c, "%s", "");
    }
    if (digits > 0) {
        (void)snprintf(fraction, sizeof fraction, ".%09d", (int)time->nanos);
        fraction[digits < 9 ? digits + 1 : 10] = 0;
    }
    return cli_printf(c, "%s%sZ", date, fraction);
}

char *cli_show_member(cli *c, uint32_t net_id, const char *tenant_id, const char *cluster_id)
{
    return cli_printf(c, "%06X%s%s%s%s", net_id & 0xFFFFFF, tenant_id[0] != 0 ? "/" : "", tenant_id,
                      cluster_id[0] != 0 ? "@" : "", cluster_id);
}

char *cli_show_blocks(cli *c, Pb__V3__DevAddrBlock *const *blocks, size_t count)
{
    if (count == 0) {
        return cli_printf(c, "%s", "");
    }
    const char *cluster = blocks[0]->home_network_cluster_id;
    char *first = cluster[0] != 0 ? cli_printf(c, "%s (%s)", cli_show_prefix(c, blocks[0]->prefix), cluster)
                                  : cli_show_prefix(c, blocks[0]->prefix);
    return count > 1 ? cli_printf(c, "%s, +%zu", first, count - 1) : first;
}

char *cli_show_enum(cli *c, const ProtobufCEnumDescriptor *desc, int value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(desc, value);
    return known != NULL ? cli_printf(c, "%s", known->name) : cli_printf(c, "%d", value);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *cli_show_rights(cli *c, const Pb__V3__Right *rights, size_t count)
{
    const char **names = cli_get(c, (count + 1) * sizeof *names);
    size_t len = 1;
    for (size_t i = 0; i < count; i++) {
        names[i] = cli_show_enum(c, &pb__v3__right__descriptor, (int)rights[i]);
        len += strlen(names[i]) + 1;
    }
    qsort(names, count, sizeof *names, compare_text);
    char *text = cli_get(c, len);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(text + n, len - n, "%s%s", i > 0 ? "," : "", names[i]);
    }
    return text;
}

static const char *authentication_name(Pb__V3__Target__DefaultAuthenticationCase which)
{
    switch (which) {
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_PB_TOKEN_AUTH:
        return " (with PB token auth)";
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_BASIC_AUTH:
        return " (with HTTP basic auth)";
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_CUSTOM_AUTH:
        return " (with HTTP custom auth)";
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_TLS_CLIENT_AUTH:
        return " (with TLS client auth)";
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION__NOT_SET:
    case _PB__V3__TARGET__DEFAULT_AUTHENTICATION__CASE_IS_INT_SIZE:
        break;
    }
    return "";
}

char *cli_show_target(cli *c, const Pb__V3__Target *target)
{
    if (target == NULL) {
        return cli_printf(c, "%s", "");
    }
    size_t origins = target->n_origin_net_id_authentication;
    return cli_printf(c, "%s%s%s%s%s", cli_show_enum(c, &pb__v3__protocol__descriptor, (int)target->protocol),
                      target->address[0] != 0 ? ": " : "", target->address,
                      authentication_name(target->default_authentication_case),
                      origins > 0 ? cli_printf(c, " (+%zu with custom origin)", origins) : "");
}

char *cli_show_since(cli *c, const Google__Protobuf__Timestamp *then, int64_t now_us)
{
    if (then == NULL) {
        return cli_printf(c, "%s", "never");
    }
    int64_t s = now_us / 1000000 - then->seconds;
    s = s < 0 ? 0 : s;
    int64_t h = s / 3600, m = s / 60 % 60;
    if (h > 0) {
        return cli_printf(c, "%" PRId64 "h%" PRId64 "m%" PRId64 "s", h, m, s % 60);
    }
    return m > 0 ? cli_printf(c, "%" PRId64 "m%" PRId64 "s", m, s % 60) : cli_printf(c, "%" PRId64 "s", s);
}

static void add_contact(cli *c, pair_list *list, const char *who, const Pb__V3__ContactInfo *contact)
{
    if (contact == NULL) {
        return;
    }
    add_pair(c, list, cli_printf(c, "%s Name", who), contact->name);
    add_pair(c, list, cli_printf(c, "%s Email", who), contact->email);
    add_pair(c, list, cli_printf(c, "%s URL", who), contact->url);
}

/* Subject of the first certificate of a PEM text. The reader wants a file: one that lives in memory alone. */
static char *subject_of(cli *c, ProtobufCBinaryData pem)
{
    crypto_cert_info info;
    lpx_note note = {{0}};
    int fd = memfd_create("certificate", MFD_CLOEXEC);
    if (fd < 0 || write(fd, pem.data, pem.len) != (ssize_t)pem.len) {
        (void)snprintf(note.text, sizeof note.text, "cannot be read");
    } else if (!lpx_failed(crypto_cert_read(cli_printf(c, "/proc/self/fd/%d", fd), &info, &note))) {
        note.text[0] = 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return note.text[0] == 0 ? cli_printf(c, "%s", info.subject)
                             : cli_printf(c, "%zu bytes that are no certificate", pem.len);
}

static char *binary_text(cli *c, ProtobufCBinaryData data)
{
    return cli_printf(c, "%.*s", (int)data.len, (const char *)data.data);
}

static void add_tls(cli *c, pair_list *list, const Pb__V3__Target__TLSClientAuth *auth, bool verbose)
{
    if (!verbose) {
        add_pair(c, list, "TLS client certificate subject", subject_of(c, auth->cert));
        return;
    }
    add_pair(c, list, "TLS client certificate", binary_text(c, auth->cert));
    add_pair(c, list, "TLS client key", binary_text(c, auth->key));
}

static void add_basic(cli *c, pair_list *list, const Pb__V3__Target__BasicAuth *auth, bool verbose)
{
    add_pair(c, list, "Basic username", auth->username);
    if (verbose) {
        add_pair(c, list, "Basic password", auth->password);
    }
}

static void print_default_authentication(cli *c, const Pb__V3__Target *target, bool verbose)
{
    pair_list list = {0};
    switch (target->default_authentication_case) {
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_PB_TOKEN_AUTH:
        add_pair(c, &list, "Token", "Packet Broker");
        break;
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_BASIC_AUTH:
        add_basic(c, &list, target->basic_auth, verbose);
        break;
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_CUSTOM_AUTH:
        add_pair(c, &list, "Authorization", verbose ? target->custom_auth->value : "(shown with --verbose)");
        break;
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_TLS_CLIENT_AUTH:
        add_tls(c, &list, target->tls_client_auth, verbose);
        break;
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION__NOT_SET:
    case _PB__V3__TARGET__DEFAULT_AUTHENTICATION__CASE_IS_INT_SIZE:
        return;
    }
    lpx_buf_add_str(&c->out, LPX_STR("\nTarget Authorization\n"));
    print_list(c, &list);
}

static void print_origin_authentication(cli *c, uint32_t net_id, const Pb__V3__Target__Authentication *auth,
                                        bool verbose)
{
    pair_list list = {0};
    lpx_buf_printf(&c->out, "\nTarget Authorization %06X\n", net_id);
    if (auth == NULL) {
        return;
    }
    switch (auth->value_case) {
    case PB__V3__TARGET__AUTHENTICATION__VALUE_PB_TOKEN_AUTH:
        add_pair(c, &list, "Token", "Packet Broker");
        break;
    case PB__V3__TARGET__AUTHENTICATION__VALUE_BASIC_AUTH:
        add_basic(c, &list, auth->basic_auth, verbose);
        break;
    case PB__V3__TARGET__AUTHENTICATION__VALUE_CUSTOM_AUTH:
        add_pair(c, &list, "Authorization", verbose ? auth->custom_auth->value : "(shown with --verbose)");
        break;
    case PB__V3__TARGET__AUTHENTICATION__VALUE_TLS_CLIENT_AUTH:
        add_tls(c, &list, auth->tls_client_auth, verbose);
        break;
    case PB__V3__TARGET__AUTHENTICATION__VALUE__NOT_SET:
    case _PB__V3__TARGET__AUTHENTICATION__VALUE__CASE_IS_INT_SIZE:
        break;
    }
    print_list(c, &list);
}

static void add_target(cli *c, pair_list *list, const Pb__V3__Target *target)
{
    if (target == NULL) {
        return;
    }
    add_pair(c, list, "Target Protocol", cli_show_enum(c, &pb__v3__protocol__descriptor, (int)target->protocol));
    add_pair(c, list, "Target Address", target->address);
    add_pair(c, list, "Target fNS Path", target->f_ns_path);
    add_pair(c, list, "Target sNS Path", target->s_ns_path);
    add_pair(c, list, "Target hNS Path", target->h_ns_path);
    if (target->root_cas.len > 0) {
        add_pair(c, list, "Target Root CA #1", subject_of(c, target->root_cas));
    }
}

static int compare_origins(const void *a, const void *b)
{
    uint32_t x = (*(Pb__V3__Target__OriginNetIdAuthenticationEntry *const *)a)->key;
    uint32_t y = (*(Pb__V3__Target__OriginNetIdAuthenticationEntry *const *)b)->key;
    return x < y ? -1 : x > y;
}

static void print_authentications(cli *c, const Pb__V3__Target *target, bool verbose)
{
    if (target == NULL) {
        return;
    }
    print_default_authentication(c, target, verbose);
    size_t count = target->n_origin_net_id_authentication;
    if (count > 1) {
        qsort(target->origin_net_id_authentication, count, sizeof(void *), compare_origins);
    }
    for (size_t i = 0; i < count; i++) {
        const Pb__V3__Target__OriginNetIdAuthenticationEntry *e = target->origin_net_id_authentication[i];
        print_origin_authentication(c, e->key, e->value, verbose);
    }
}

static int compare_blocks(const void *a, const void *b)
{
    const Pb__V3__DevAddrPrefix *x = (*(Pb__V3__DevAddrBlock *const *)a)->prefix;
    const Pb__V3__DevAddrPrefix *y = (*(Pb__V3__DevAddrBlock *const *)b)->prefix;
    if (x == NULL || y == NULL) {
        return (x != NULL) - (y != NULL);
    }
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->length < y->length ? -1 : x->length > y->length;
}

static void print_blocks(cli *c, Pb__V3__DevAddrBlock **blocks, size_t count)
{
    lpx_buf_add_str(&c->out, LPX_STR("\nDevAddr Blocks:\n"));
    if (count > 1) {
        qsort(blocks, count, sizeof *blocks, compare_blocks);
    }
    const char **cells = cli_get(c, (count + 1) * 2 * sizeof *cells);
    for (size_t i = 0; i < count; i++) {
        cells[i * 2] = cli_show_prefix(c, blocks[i]->prefix);
        cells[i * 2 + 1] = blocks[i]->home_network_cluster_id;
    }
    cli_print_rows(c, cells, count, 2);
}

static char *show_net_ids(cli *c, const uint32_t *net_ids, size_t count)
{
    char *text = cli_get(c, count * 8 + 1);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(text + strlen(text), count * 8 + 1 - strlen(text), "%s%06X", i > 0 ? ", " : "",
                       net_ids[i] & 0xFFFFFF);
    }
    return text;
}

/* All of them in one cell: "26011000/20=eu1 26012000/20". */
static const char *join_blocks(cli *c, Pb__V3__DevAddrBlock *const *blocks, size_t count)
{
    const char *text = "";
    for (size_t i = 0; i < count; i++) {
        const char *cluster = blocks[i]->home_network_cluster_id;
        text = cli_printf(c, "%s%s%s%s%s", text, i > 0 ? " " : "", cli_show_prefix(c, blocks[i]->prefix),
                          cluster[0] != 0 ? "=" : "", cluster);
    }
    return text;
}

/* An entity with its target and blocks: as text in three parts, in CSV one row without authentication. */
static void print_entity(cli *c, pair_list *list, const Pb__V3__Target *target, Pb__V3__DevAddrBlock **blocks,
                         size_t count, bool verbose)
{
    add_target(c, list, target);
    if (c->form == CLI_FORM_CSV) {
        add_pair(c, list, "DevAddr Blocks", join_blocks(c, blocks, count));
        print_list(c, list);
        return;
    }
    print_list(c, list);
    print_authentications(c, target, verbose);
    print_blocks(c, blocks, count);
}

void cli_show_network(cli *c, Pb__V3__Network *network, bool verbose)
{
    pair_list list = {0};
    if (c->form == CLI_FORM_JSON) {
        cli_print_json(c, &network->base, verbose);
        return;
    }
    add_pair(c, &list, "NetID", cli_show_net_id(c, network->net_id));
    add_pair(c, &list, "Authority", network->authority);
    add_pair(c, &list, "Name", network->name);
    add_pair(c, &list, "Delegated NetID",
             network->delegated_net_id != NULL ? cli_show_net_id(c, network->delegated_net_id->value) : "");
    add_pair(c, &list, "Represents NetIDs",
             show_net_ids(c, network->represents_net_ids, network->n_represents_net_ids));
    add_contact(c, &list, "Administrator", network->administrative_contact);
    add_contact(c, &list, "Technical", network->technical_contact);
    print_entity(c, &list, network->target, network->dev_addr_blocks, network->n_dev_addr_blocks, verbose);
}

void cli_show_tenant(cli *c, Pb__V3__Tenant *tenant, bool verbose)
{
    pair_list list = {0};
    if (c->form == CLI_FORM_JSON) {
        cli_print_json(c, &tenant->base, verbose);
        return;
    }
    add_pair(c, &list, "NetID", cli_show_net_id(c, tenant->net_id));
    add_pair(c, &list, "Tenant ID", tenant->tenant_id);
    add_pair(c, &list, "Authority", tenant->authority);
    add_pair(c, &list, "Name", tenant->name);
    add_contact(c, &list, "Administrator", tenant->administrative_contact);
    add_contact(c, &list, "Technical", tenant->technical_contact);
    print_entity(c, &list, tenant->target, tenant->dev_addr_blocks, tenant->n_dev_addr_blocks, verbose);
}

static void add_fixed(cli *c, pair_list *list, const Pb__V3__JoinServerFixedEndpoint *fixed)
{
    add_pair(c, list, "Fixed NetID", cli_show_net_id(c, fixed->net_id));
    add_pair(c, list, "Fixed Tenant ID", fixed->tenant_id);
    add_pair(c, list, "Fixed Cluster ID", fixed->cluster_id);
}

void cli_show_join_server(cli *c, Pb__V3__JoinServer *server, bool verbose)
{
    pair_list list = {0};
    bool lookup = server->resolver_case == PB__V3__JOIN_SERVER__RESOLVER_LOOKUP;
    const char *prefixes = "";
    if (c->form == CLI_FORM_JSON) {
        cli_print_json(c, &server->base, verbose);
        return;
    }
    add_pair(c, &list, "ID", cli_printf(c, "%u", server->id));
    add_pair(c, &list, "Name", server->name);
    add_pair(c, &list, "Listed", server->listed ? "Yes" : "No");
    add_contact(c, &list, "Administrator", server->administrative_contact);
    add_contact(c, &list, "Technical", server->technical_contact);
    add_target(c, &list, lookup ? server->lookup : NULL);
    if (server->resolver_case == PB__V3__JOIN_SERVER__RESOLVER_FIXED) {
        add_fixed(c, &list, server->fixed);
    }
    for (size_t i = 0; i < server->n_join_eui_prefixes; i++) {
        prefixes = cli_printf(c, "%s%s%s", prefixes, i > 0 ? (c->form == CLI_FORM_CSV ? " " : "\n") : "",
                              cli_show_eui_prefix(c, server->join_eui_prefixes[i]));
    }
    if (c->form == CLI_FORM_CSV) {
        add_pair(c, &list, "JoinEUI Prefixes", prefixes);
        print_list(c, &list);
        return;
    }
    print_list(c, &list);
    print_authentications(c, lookup ? server->lookup : NULL, verbose);
    lpx_buf_printf(&c->out, "\nJoinEUI Prefixes:\n%s%s", prefixes, prefixes[0] != 0 ? "\n" : "");
}

void cli_show_members(cli *c, const cli_items *members)
{
    static const char *const headers[] = {"NetID", "Tenant ID", "Name", "DevAddr Blocks", NULL};
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < members->count; i++) {
        Pb__V3__NetworkOrTenant *entry = (Pb__V3__NetworkOrTenant *)members->items[i];
        if (entry->value_case == PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK) {
            const Pb__V3__Network *n = entry->network;
            const char *cells[] = {cli_show_net_id(c, n->net_id), "-", n->name,
                                   cli_show_blocks(c, n->dev_addr_blocks, n->n_dev_addr_blocks)};
            cli_table_row(table, &entry->base, cells);
        } else if (entry->value_case == PB__V3__NETWORK_OR_TENANT__VALUE_TENANT) {
            const Pb__V3__Tenant *t = entry->tenant;
            const char *cells[] = {cli_show_net_id(c, t->net_id), t->tenant_id, t->name,
                                   cli_show_blocks(c, t->dev_addr_blocks, t->n_dev_addr_blocks)};
            cli_table_row(table, &entry->base, cells);
        }
    }
    cli_table_print(c, table);
}

static void add_policy(cli *c, cli_table *table, bool defaults, Pb__V3__RoutingPolicy *p)
{
    static const Pb__V3__RoutingPolicy__Uplink no_uplink = PB__V3__ROUTING_POLICY__UPLINK__INIT;
    static const Pb__V3__RoutingPolicy__Downlink no_downlink = PB__V3__ROUTING_POLICY__DOWNLINK__INIT;
    const Pb__V3__RoutingPolicy__Uplink *up = p->uplink != NULL ? p->uplink : &no_uplink;
    const Pb__V3__RoutingPolicy__Downlink *down = p->downlink != NULL ? p->downlink : &no_downlink;
    bool to_all = p->home_network_net_id == 0 && p->home_network_tenant_id[0] == 0;
    bool csv = c->form == CLI_FORM_CSV;
    const char *cells[12];
    size_t n = 0;
    cells[n++] = cli_show_net_id(c, p->forwarder_net_id);
    cells[n++] = p->forwarder_tenant_id;
    if (!defaults) {
        cells[n++] = to_all ? "" : cli_show_net_id(c, p->home_network_net_id);
        cells[n++] = p->home_network_tenant_id;
    }
    const protobuf_c_boolean ups[] = {up->join_request, up->mac_data, up->application_data, up->signal_quality,
                                      up->localization};
    const protobuf_c_boolean downs[] = {down->join_accept, down->mac_data, down->application_data};
    for (size_t i = 0; i < 5; i++) {
        cells[n++] = ups[i] ? (csv ? "x" : "▲") : "";
    }
    for (size_t i = 0; i < 3; i++) {
        cells[n++] = downs[i] ? (csv ? "x" : "▼") : "";
    }
    cli_table_row(table, &p->base, cells);
}

void cli_show_policies(cli *c, bool defaults, const cli_items *policies)
{
    static const char *const with_home[] = {"Forwarder", "",  "Home Network", "", "J", "M", "A", "S", "L", "J", "M",
                                            "A",         NULL};
    static const char *const without[] = {"Forwarder", "", "J", "M", "A", "S", "L", "J", "M", "A", NULL};
    /* programs need names that differ */
    static const char *const csv_with_home[] = {"Forwarder NetID",
                                                "Forwarder Tenant ID",
                                                "Home Network NetID",
                                                "Home Network Tenant ID",
                                                "Uplink J",
                                                "Uplink M",
                                                "Uplink A",
                                                "Uplink S",
                                                "Uplink L",
                                                "Downlink J",
                                                "Downlink M",
                                                "Downlink A",
                                                NULL};
    static const char *const csv_without[] = {
        "Forwarder NetID", "Forwarder Tenant ID", "Uplink J",   "Uplink M",   "Uplink A", "Uplink S",
        "Uplink L",        "Downlink J",          "Downlink M", "Downlink A", NULL};
    bool csv = c->form == CLI_FORM_CSV;
    cli_table *table = cli_table_new(c, defaults ? (csv ? csv_without : without) : (csv ? csv_with_home : with_home));
    for (size_t i = 0; i < policies->count; i++) {
        add_policy(c, table, defaults, (Pb__V3__RoutingPolicy *)policies->items[i]);
    }
    cli_table_print(c, table);
}
