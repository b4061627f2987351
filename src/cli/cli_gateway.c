/* lpx gateway: the gateways of the map. Reading goes by the Mapper's REST API, writing by its rpc. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_priv.h"
#include "codec/json/json.h"
#include "lpx_reasons.h"
#include "pb_mapping_v2_api.pb-c.h"

enum { PAGE = 1000 /* gateways of one request */ };

/* Text of a query or path: what has a meaning there is escaped. */
static const char *escape(cli *c, const char *text)
{
    char *out = cli_get(c, strlen(text) * 3 + 1), *p = out;
    for (; *text != 0; text++) {
        unsigned char ch = (unsigned char)*text;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
                     strchr("-_.~:", ch) != NULL;
        p += plain ? snprintf(p, 2, "%c", ch) : snprintf(p, 4, "%%%02X", ch);
    }
    return out;
}

static const char *base_url(cli *c)
{
    char *url = cli_text(c, "mapper-url");
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        url[--len] = 0;
    }
    return url;
}

static lpx_err fetch(cli *c, const char *url, const json_value **out, lpx_str *body)
{
    agent_page page;
    lpx_note note = {{0}};
    LPX_TRY(cli_connect(c));
    if (c->debug) {
        (void)fprintf(c->world->err, "%s: GET %s\n", c->program, url);
    }
    if (lpx_failed(agent_get(c->agent, AGENT_MAPPER, true, url, &c->arena, &page))) {
        lpx_err err = cli_call_failed(c, &page.failure);
        if (page.status == 0 && page.failure.code == LPX_UNAVAILABLE) {
            cli_explain(c, "%s. Check --mapper-url, and --ca-file if the certificate is the exchange's own",
                        page.failure.text);
        }
        return err;
    }
    *body = lpx_bytes_str(page.body);
    return lpx_failed(json_parse(*body, &c->arena, out, &note))
               ? cli_fail(c, CLI_INPUT, "%s answers with no JSON: %s; is --mapper-url right?", url, note.text)
               : LPX_SUCCESS;
}

/* ---- list ---- */

/* "&name=value" when the flag was given. */
static const char *parameter(cli *c, const char *name, const char *flag)
{
    return cli_text(c, flag)[0] != 0 ? cli_printf(c, "&%s=%s", name, escape(c, cli_text(c, flag))) : "";
}

static lpx_err list_query(cli *c, const char **out)
{
    bool latitude = cli_changed(c, "latitude"), longitude = cli_changed(c, "longitude");
    if (latitude != longitude || latitude != cli_changed(c, "distance")) {
        return cli_fail(c, CLI_USAGE, "--latitude, --longitude and --distance go together");
    }
    *out = cli_printf(
        c, "%s%s%s%s%s%s%s%s%s%s", parameter(c, "netID", "forwarder-net-id"),
        parameter(c, "tenantID", "forwarder-tenant-id"), parameter(c, "clusterID", "forwarder-cluster-id"),
        parameter(c, "homeNetworkNetID", "home-network-net-id"),
        parameter(c, "homeNetworkTenantID", "home-network-tenant-id"), parameter(c, "updatedSince", "updated-since"),
        cli_on(c, "online") ? "&online=true" : "", parameter(c, "distanceWithin[latitude]", "latitude"),
        parameter(c, "distanceWithin[longitude]", "longitude"), parameter(c, "distanceWithin[distance]", "distance"));
    return LPX_SUCCESS;
}

/* A value for people: text without quotes, numbers as they came. */
static const char *value_text(cli *c, const json_value *v)
{
    if (v == NULL) {
        return "";
    }
    switch (v->kind) {
    case JSON_KIND_TRUE:
        return "Yes";
    case JSON_KIND_FALSE:
        return "No";
    case JSON_KIND_STRING:
    case JSON_KIND_NUMBER:
        return cli_printf(c, "%.*s", (int)v->text.len, v->text.ptr);
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
    case JSON_KIND_KEY:
    case JSON_KIND_ARRAY_END:
    case JSON_KIND_OBJECT_END:
    case JSON_KIND_END:
        break;
    }
    return "";
}

static void add_gateway(cli *c, cli_table *table, const json_value *g)
{
    const json_value *location = json_member(g, "location");
    const char *cells[] = {
        value_text(c, json_member(g, "netID")),
        value_text(c, json_member(g, "tenantID")),
        value_text(c, json_member(g, "id")),
        value_text(c, json_member(g, "eui")),
        value_text(c, json_member(g, "clusterID")),
        value_text(c, json_member(g, "online")),
        value_text(c, json_member(location, "latitude")),
        value_text(c, json_member(location, "longitude")),
        value_text(c, json_member(g, "antennaPlacement")),
        value_text(c, json_member(g, "updatedAt")),
    };
    cli_table_row(table, NULL, cells);
}

/* Items of an array without its brackets, as they came; control characters cannot stand in JSON text, but DEL and C1.
 */
static void add_items(cli *c, lpx_str body, bool first)
{
    const char *open = memchr(body.ptr, '[', body.len), *close = memrchr(body.ptr, ']', body.len);
    if (open != NULL && close != NULL && open < close) {
        lpx_buf_add_str(&c->out, first ? LPX_STR("") : LPX_STR(","));
        cli_add_harmless(&c->out, (lpx_str){open + 1, (size_t)(close - open - 1)});
    }
}

static lpx_err run_list(cli *c)
{
    static const char *const headers[] = {"NetID",    "Tenant ID", "ID",        "EUI",        "Cluster ID", "Online",
                                          "Latitude", "Longitude", "Placement", "Updated At", NULL};
    cli_table *table = cli_table_new(c, headers);
    const char *query = "";
    uint32_t offset = 0, count = PAGE;
    bool json = c->form == CLI_FORM_JSON;
    LPX_TRY(list_query(c, &query));
    lpx_buf_add_str(&c->out, json ? LPX_STR("[") : LPX_STR(""));
    for (; count == PAGE; offset += count) {
        const json_value *list = NULL;
        lpx_str body = {0};
        LPX_TRY(fetch(c, cli_printf(c, "%s/gateways?limit=%d&offset=%u%s", base_url(c), PAGE, offset, query), &list,
                      &body));
        if (list->kind != JSON_KIND_ARRAY) {
            return cli_fail(c, CLI_INPUT, "%s answers with no list; is --mapper-url right?", base_url(c));
        }
        count = list->count;
        if (json && count > 0) {
            add_items(c, body, offset == 0);
        }
        for (const json_value *g = json_first(list); !json && g != NULL; g = json_next(list, g)) {
            add_gateway(c, table, g);
        }
    }
    if (json) {
        lpx_buf_add_str(&c->out, LPX_STR("]\n"));
    } else {
        cli_table_print(c, table);
    }
    return LPX_SUCCESS;
}

/* ---- get ---- */

enum { MAX_PAIRS = 256 };

/* Members of an object as pairs, those of objects inside with a dotted name. The REST API nests three deep. */
static void flatten(cli *c, const char *prefix, const json_value *object, const char **pairs, size_t *count)
{
    unsigned index = 0;
    for (const json_value *m = json_first(object); m != NULL && *count + 3 < MAX_PAIRS; m = json_next(object, m)) {
        const char *name = object->kind == JSON_KIND_ARRAY ? cli_printf(c, "%s.%u", prefix, index++)
                           : prefix[0] != 0 ? cli_printf(c, "%s.%.*s", prefix, (int)m->key.len, m->key.ptr)
                                            : cli_printf(c, "%.*s", (int)m->key.len, m->key.ptr);
        if (m->kind == JSON_KIND_OBJECT || m->kind == JSON_KIND_ARRAY) {
            flatten(c, name, m, pairs, count);
        } else {
            pairs[(*count)++] = cli_clean(c, name, false);
            pairs[(*count)++] = value_text(c, m);
        }
    }
}

static lpx_err run_get(cli *c)
{
    const char *pairs[MAX_PAIRS] = {NULL};
    const json_value *gateway = NULL;
    cli_endpoint forwarder;
    size_t count = 0;
    lpx_str body = {0};
    LPX_TRY(cli_need_forwarder(c, &forwarder));
    if (cli_text(c, "gateway-id")[0] == 0) {
        return cli_fail(c, CLI_USAGE, "say which gateway: --gateway-id ID");
    }
    const char *url = cli_printf(c, "%s/gateways/netID=%06X%s%s,id=%s", base_url(c), forwarder.net_id,
                                 forwarder.tenant_id[0] != 0 ? ",tenantID=" : "", escape(c, forwarder.tenant_id),
                                 escape(c, cli_text(c, "gateway-id")));
    const char *home = cli_printf(c, "%s%s", parameter(c, "homeNetworkNetID", "home-network-net-id"),
                                  parameter(c, "homeNetworkTenantID", "home-network-tenant-id"));
    LPX_TRY(fetch(c, home[0] != 0 ? cli_printf(c, "%s?%s", url, home + 1) : url, &gateway, &body));
    if (c->form == CLI_FORM_JSON) {
        cli_add_harmless(&c->out, body);
        lpx_buf_add_str(&c->out, LPX_STR("\n"));
        return LPX_SUCCESS;
    }
    flatten(c, "", gateway, pairs, &count);
    cli_print_pairs(c, pairs);
    return LPX_SUCCESS;
}

/* ---- update ---- */

static lpx_err gateway_id_of(cli *c, Pb__V3__GatewayIdentifier **out)
{
    Pb__V3__GatewayIdentifier *id = cli_new(c, &pb__v3__gateway_identifier__descriptor);
    if (cli_text(c, "gateway-id")[0] == 0 && cli_text(c, "gateway-eui")[0] == 0) {
        return cli_fail(c, CLI_USAGE, "say which gateway: --gateway-id ID, --gateway-eui EUI or both");
    }
    if (cli_text(c, "gateway-id")[0] != 0) {
        id->id_case = PB__V3__GATEWAY_IDENTIFIER__ID_PLAIN;
        id->plain = cli_text(c, "gateway-id");
    }
    if (cli_text(c, "gateway-eui")[0] != 0) {
        id->eui = cli_new(c, &google__protobuf__uint64_value__descriptor);
        id->eui->value = cli_hex_of(cli_text(c, "gateway-eui"));
    }
    *out = id;
    return LPX_SUCCESS;
}

static lpx_err location_of(cli *c, Pb__V3__GatewayLocationValue **out)
{
    bool place = cli_changed(c, "latitude") || cli_changed(c, "longitude") || cli_changed(c, "altitude");
    bool antennas = cli_changed(c, "placement") || cli_changed(c, "antennas") || cli_changed(c, "fine-timestamps");
    if (cli_on(c, "clear-location")) {
        *out = cli_new(c, &pb__v3__gateway_location_value__descriptor);
        return place || antennas ? cli_fail(c, CLI_USAGE, "--clear-location goes with no other flag of the location")
                                 : LPX_SUCCESS;
    }
    if (!place && !antennas) {
        return LPX_SUCCESS;
    }
    if (place && (!cli_changed(c, "latitude") || !cli_changed(c, "longitude"))) {
        return cli_fail(c, CLI_USAGE, "--latitude and --longitude go together");
    }
    Pb__V3__GatewayLocation__Terrestrial *t = cli_new(c, &pb__v3__gateway_location__terrestrial__descriptor);
    if (place) {
        t->location = cli_new(c, &pb__v3__location__descriptor);
        t->location->latitude = strtod(cli_text(c, "latitude"), NULL);
        t->location->longitude = strtod(cli_text(c, "longitude"), NULL);
        t->location->altitude = strtof(cli_text(c, "altitude"), NULL);
    }
    const char *placement = cli_text(c, "placement");
    t->antenna_placement = strcmp(placement, "INDOOR") == 0 ? PB__V3__TERRESTRIAL_ANTENNA_PLACEMENT__INDOOR
                           : strcmp(placement, "OUTDOOR") == 0
                               ? PB__V3__TERRESTRIAL_ANTENNA_PLACEMENT__OUTDOOR
                               : PB__V3__TERRESTRIAL_ANTENNA_PLACEMENT__UNKNOWN_PLACEMENT;
    if (cli_changed(c, "antennas")) {
        t->antenna_count = cli_wrap_uint32(c, (uint32_t)cli_number(c, "antennas"));
    }
    if (cli_changed(c, "fine-timestamps")) {
        t->fine_timestamps = cli_wrap_bool(c, cli_on(c, "fine-timestamps"));
    }
    *out = cli_new(c, &pb__v3__gateway_location_value__descriptor);
    (*out)->location = cli_new(c, &pb__v3__gateway_location__descriptor);
    (*out)->location->value_case = PB__V3__GATEWAY_LOCATION__VALUE_TERRESTRIAL;
    (*out)->location->terrestrial = t;
    return LPX_SUCCESS;
}

static Google__Protobuf__FloatValue *rate_of(cli *c, const char *flag)
{
    if (!cli_changed(c, flag)) {
        return NULL;
    }
    Google__Protobuf__FloatValue *rate = cli_new(c, &google__protobuf__float_value__descriptor);
    rate->value = strtof(cli_text(c, flag), NULL);
    return rate;
}

static lpx_err run_update(cli *c)
{
    Pb__Mapping__V2__UpdateGatewayRequest *r = cli_new(c, &pb__mapping__v2__update_gateway_request__descriptor);
    cli_endpoint forwarder;
    LPX_TRY(cli_need_forwarder(c, &forwarder));
    r->forwarder_net_id = forwarder.net_id;
    r->forwarder_tenant_id = forwarder.tenant_id;
    r->forwarder_cluster_id = forwarder.cluster_id;
    LPX_TRY(gateway_id_of(c, &r->forwarder_gateway_id));
    LPX_TRY(location_of(c, &r->gateway_location));
    r->administrative_contact = cli_contact_change(c, "admin");
    r->technical_contact = cli_contact_change(c, "tech");
    if (cli_changed(c, "online")) {
        r->online = cli_wrap_bool(c, cli_on(c, "online"));
    }
    if (cli_on(c, "online")) {
        r->online_ttl = cli_new(c, &google__protobuf__duration__descriptor);
        r->online_ttl->seconds = cli_seconds_of(cli_text(c, "online-ttl"));
    }
    r->rx_rate = rate_of(c, "rx-rate");
    r->tx_rate = rate_of(c, "tx-rate");
    return cli_call_empty(c, AGENT_MAPPER, "/org.packetbroker.mapping.v2.Mapper/UpdateGateway", &r->base);
}

/* ---- commands ---- */

static const cli_flag list_flags[] = {
    {"online", CLI_SWITCH, "only gateways that are online"},
    {"updated-since", CLI_TEXT, "only gateways that changed since then, like 2024-05-01T00:00:00Z"},
    {"latitude", CLI_SIGNED, "only gateways near this place: latitude in degrees"},
    {"longitude", CLI_SIGNED, "longitude in degrees"},
    {"distance", CLI_DECIMAL, "distance in metres"},
    {0},
};
static const cli_flag id_flags[] = {{"gateway-id", CLI_TEXT, "ID of the gateway"}, {0}};
static const cli_flag update_flags[] = {
    {"gateway-eui", CLI_EUI, "EUI of the gateway"},
    {"latitude", CLI_SIGNED, "latitude in degrees"},
    {"longitude", CLI_SIGNED, "longitude in degrees"},
    {"altitude", CLI_SIGNED, "altitude in metres"},
    {"placement", CLI_WORD, "where its antennas are", .words = "UNKNOWN_PLACEMENT|INDOOR|OUTDOOR"},
    {"antennas", CLI_NUMBER, "number of antennas"},
    {"fine-timestamps", CLI_SWITCH, "it has fine timestamps"},
    {"clear-location", CLI_SWITCH, "forget the location"},
    {"online", CLI_SWITCH, "it is online; --online=false: it is not"},
    {"online-ttl", CLI_DURATION, "how long it counts as online", "10m"},
    {"rx-rate", CLI_SIGNED, "received packets per hour"},
    {"tx-rate", CLI_SIGNED, "sent packets per hour"},
    {0},
};

static const cli_command list_command = {
    .name = "list",
    .aliases = "ls",
    .brief = "List the gateways that one may see",
    .about = "List the gateways that one may see: without an API key what is public, with one what Forwarders show to\n"
             "this Home Network (--home-network-net-id, or the network of the key).",
    .examples = "  List all gateways:\n    $ %\n\n  List the gateways of a Forwarder that are online:\n"
                "    $ % --forwarder-net-id 000013 --online\n\n"
                "  List the gateways within 10 km:\n"
                "    $ % --latitude 45.188 --longitude 5.724 --distance 10000\n",
    .flags =
        (const cli_flag *const[]){cli_forwarder_flags, cli_forwarder_cluster_flags, cli_home_flags, list_flags, NULL},
    .run = run_list,
};
static const cli_command get_command = {
    .name = "get",
    .brief = "Get a gateway",
    .examples = "  Get:\n    $ % --forwarder-net-id 000013 --forwarder-tenant-id tti --gateway-id tti-hq\n",
    .flags = (const cli_flag *const[]){cli_forwarder_flags, cli_home_flags, id_flags, NULL},
    .run = run_get,
};
static const cli_command update_command = {
    .name = "update",
    .aliases = "up",
    .brief = "Tell the Mapper about a gateway",
    .about = "Tell the Mapper about a gateway, as its Forwarder. What no flag names stays as it is; who may see it is\n"
             "decided by gateway-visibility.",
    .examples = "  Put a gateway onto the map, online for ten minutes:\n"
                "    $ % --forwarder-net-id 000013 --gateway-id roof --latitude 45.188 --longitude 5.724 \\\n"
                "        --placement OUTDOOR --antennas 1 --online\n\n"
                "  Take it from the map:\n    $ % --forwarder-net-id 000013 --gateway-id roof --clear-location\n",
    .flags = (const cli_flag *const[]){cli_forwarder_flags, cli_forwarder_cluster_flags, id_flags, update_flags,
                                       cli_contact_flags, NULL},
    .run = run_update,
};

const cli_command cli_gateway_command = {
    .name = "gateway",
    .aliases = "gateways, gw",
    .brief = "Show and update the gateways of the map",
    .below = (const cli_command *const[]){&list_command, &get_command, &update_command, NULL},
};
