#include "router/router_scan.h"

#include <stdlib.h>

#include "router/router_shape.h"

struct router_scanner {
    router_shape *uplink, *downlink, *reports[TRAFFIC_DIRECTIONS];
};

/* ---- what is looked for ---- */

enum uplink_slot {
    UP_NET_ID = 1,
    UP_TENANT,
    UP_CLUSTER,
    UP_MESSAGE,
    UP_GATEWAY,
    UP_GATEWAY_NAME,
    UP_GATEWAY_HASH,
    UP_PAYLOAD,
    UP_PLAIN,
    UP_ENCRYPTED,
    UP_HASH,
    UP_JOIN,
    UP_JOIN_EUI,
    UP_DEV_EUI,
    UP_MAC,
    UP_DEV_ADDR,
    UP_F_PORT,
    UP_CONFIRMED,
    UP_F_OPTS,
    UP_REGION,
    UP_RATE,
    UP_MODULATION,
    UP_RATE_INDEX,
    UP_CODING_RATE,
    UP_METADATA,
    UP_METADATA_TEASER,
    UP_SIGNAL,
    UP_SIGNAL_ANTENNAS,
    UP_LOCALIZATION,
    UP_LOCATION_ANTENNAS,
};

#define PAYLOAD "message.phy_payload."
#define METADATA "message.gateway_metadata."

static const router_shape_path uplink_paths[] = {
    {"forwarder_net_id", UP_NET_ID},
    {"forwarder_tenant_id", UP_TENANT},
    {"forwarder_cluster_id", UP_CLUSTER},
    {"message", UP_MESSAGE},
    {"message.gateway_id", UP_GATEWAY},
    {"message.gateway_id.eui", UP_GATEWAY_NAME},
    {"message.gateway_id.plain", UP_GATEWAY_NAME},
    {"message.gateway_id.hash", UP_GATEWAY_HASH},
    {"message.phy_payload", UP_PAYLOAD},
    {PAYLOAD "plain", UP_PLAIN},
    {PAYLOAD "encrypted", UP_ENCRYPTED},
    {PAYLOAD "teaser.hash", UP_HASH},
    {PAYLOAD "teaser.join_request", UP_JOIN},
    {PAYLOAD "teaser.join_request.join_eui", UP_JOIN_EUI},
    {PAYLOAD "teaser.join_request.dev_eui", UP_DEV_EUI},
    {PAYLOAD "teaser.mac", UP_MAC},
    {PAYLOAD "teaser.mac.dev_addr", UP_DEV_ADDR},
    {PAYLOAD "teaser.mac.f_port", UP_F_PORT},
    {PAYLOAD "teaser.mac.confirmed", UP_CONFIRMED},
    {PAYLOAD "teaser.mac.f_opts", UP_F_OPTS},
    {"message.gateway_region", UP_REGION},
    {"message.data_rate", UP_RATE},
    {"message.data_rate.lora", UP_MODULATION},
    {"message.data_rate.fsk", UP_MODULATION},
    {"message.data_rate.lrfhss", UP_MODULATION},
    {"message.data_rate_index", UP_RATE_INDEX},
    {"message.coding_rate", UP_CODING_RATE},
    {"message.gateway_metadata", UP_METADATA},
    {METADATA "teaser", UP_METADATA_TEASER},
    {METADATA "encrypted_signal_quality", UP_SIGNAL},
    {METADATA "plain_signal_quality", UP_SIGNAL},
    {METADATA "plain_signal_quality.terrestrial", UP_SIGNAL_ANTENNAS},
    {METADATA "encrypted_localization", UP_LOCALIZATION},
    {METADATA "plain_localization", UP_LOCALIZATION},
    {METADATA "plain_localization.terrestrial", UP_LOCATION_ANTENNAS},
};

/* Slots of a window follow each other in this order. */
enum window_slot { WINDOW, WINDOW_RATE, WINDOW_MODULATION, WINDOW_INDEX, WINDOW_SLOTS };

enum downlink_slot {
    DOWN_HOME_NET_ID = 1,
    DOWN_HOME_TENANT,
    DOWN_HOME_CLUSTER,
    DOWN_NET_ID,
    DOWN_TENANT,
    DOWN_CLUSTER,
    DOWN_MESSAGE,
    DOWN_PAYLOAD,
    DOWN_REGION,
    DOWN_RX1,
    DOWN_RX2 = DOWN_RX1 + WINDOW_SLOTS,
};

#define WINDOW_PATHS(name, first)                                                                                \
    {name, first + WINDOW}, {name ".data_rate", first + WINDOW_RATE},                                            \
        {name ".data_rate.lora", first + WINDOW_MODULATION}, {name ".data_rate.fsk", first + WINDOW_MODULATION}, \
        {name ".data_rate.lrfhss", first + WINDOW_MODULATION},                                                   \
    {                                                                                                            \
        name ".data_rate_index", first + WINDOW_INDEX                                                            \
    }

static const router_shape_path downlink_paths[] = {
    {"home_network_net_id", DOWN_HOME_NET_ID},
    {"home_network_tenant_id", DOWN_HOME_TENANT},
    {"home_network_cluster_id", DOWN_HOME_CLUSTER},
    {"forwarder_net_id", DOWN_NET_ID},
    {"forwarder_tenant_id", DOWN_TENANT},
    {"forwarder_cluster_id", DOWN_CLUSTER},
    {"message", DOWN_MESSAGE},
    {"message.phy_payload", DOWN_PAYLOAD},
    {"message.region", DOWN_REGION},
    WINDOW_PATHS("message.rx1", DOWN_RX1),
    WINDOW_PATHS("message.rx2", DOWN_RX2),
};

enum report_slot {
    REPORT_CHANGE = 1,
    REPORT_ID,
    REPORT_HOME_NET_ID,
    REPORT_HOME_TENANT,
    REPORT_HOME_CLUSTER,
    REPORT_NET_ID,
    REPORT_TENANT,
    REPORT_CLUSTER,
    REPORT_STATE,
    REPORT_ERROR,
    REPORT_ERROR_VALUE, /* of uplinks: the error is a message */
    REPORT_SUCCESS,     /* of downlinks */
};

#define REPORT_PATHS                                                                                           \
    {"state_change", REPORT_CHANGE}, {"state_change.id", REPORT_ID},                                           \
        {"state_change.home_network_net_id", REPORT_HOME_NET_ID},                                              \
        {"state_change.home_network_tenant_id", REPORT_HOME_TENANT},                                           \
        {"state_change.home_network_cluster_id", REPORT_HOME_CLUSTER},                                         \
        {"state_change.forwarder_net_id", REPORT_NET_ID}, {"state_change.forwarder_tenant_id", REPORT_TENANT}, \
        {"state_change.forwarder_cluster_id", REPORT_CLUSTER}, {"state_change.state", REPORT_STATE},           \
    {                                                                                                          \
        "state_change.error", REPORT_ERROR                                                                     \
    }

static const router_shape_path uplink_report_paths[] = {REPORT_PATHS, {"state_change.error.value", REPORT_ERROR_VALUE}};
static const router_shape_path downlink_report_paths[] = {REPORT_PATHS, {"state_change.success", REPORT_SUCCESS}};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

router_scanner *router_scanner_new(void)
{
    router_scanner *scanner = calloc(1, sizeof *scanner);
    if (scanner == NULL) {
        return NULL;
    }
    scanner->uplink = router_shape_new(&pb__routing__v1__publish_uplink_message_request__descriptor, uplink_paths,
                                       COUNT(uplink_paths));
    scanner->downlink = router_shape_new(&pb__routing__v1__publish_downlink_message_request__descriptor, downlink_paths,
                                         COUNT(downlink_paths));
    scanner->reports[TRAFFIC_UP] =
        router_shape_new(&pb__routing__v1__uplink_message_delivery_state_change_request__descriptor,
                         uplink_report_paths, COUNT(uplink_report_paths));
    scanner->reports[TRAFFIC_DOWN] =
        router_shape_new(&pb__routing__v1__downlink_message_delivery_state_change_request__descriptor,
                         downlink_report_paths, COUNT(downlink_report_paths));
    if (scanner->uplink == NULL || scanner->downlink == NULL || scanner->reports[TRAFFIC_UP] == NULL ||
        scanner->reports[TRAFFIC_DOWN] == NULL) {
        router_scanner_free(&scanner);
    }
    return scanner;
}

void router_scanner_free(router_scanner **ref)
{
    router_scanner *scanner = *ref;
    *ref = NULL;
    if (scanner == NULL) {
        return;
    }
    router_shape_free(&scanner->uplink);
    router_shape_free(&scanner->downlink);
    router_shape_free(&scanner->reports[TRAFFIC_UP]);
    router_shape_free(&scanner->reports[TRAFFIC_DOWN]);
    free(scanner);
}

/* ---- reading ---- */

/* Net id, tenant and cluster in three slots that follow each other. */
static traffic_endpoint endpoint_of(const router_slots *s, unsigned first)
{
    return (traffic_endpoint){.net_id = (uint32_t)router_slot_number(s, first),
                              .tenant_id = router_slot_text(s, first + 1),
                              .cluster_id = router_slot_text(s, first + 2)};
}

static void teaser_fields(const router_slots *s, router_uplink_fields *out)
{
    out->payload_hash = router_slot_bytes(s, UP_HASH);
    if (router_slot_has(s, UP_JOIN)) {
        out->teaser = ROUTER_TEASER_JOIN;
        out->join_eui = router_slot_number(s, UP_JOIN_EUI);
        out->dev_eui = router_slot_number(s, UP_DEV_EUI);
    }
    if (router_slot_has(s, UP_MAC)) {
        out->teaser = ROUTER_TEASER_MAC;
        out->dev_addr = (uint32_t)router_slot_number(s, UP_DEV_ADDR);
        out->f_port = (uint32_t)router_slot_number(s, UP_F_PORT);
        out->confirmed = router_slot_number(s, UP_CONFIRMED) != 0;
        out->f_opts = router_slot_number(s, UP_F_OPTS) != 0;
    }
}

static void uplink_fields(const router_slots *s, router_uplink_fields *out)
{
    *out = (router_uplink_fields){
        .forwarder = endpoint_of(s, UP_NET_ID),
        .has_message = router_slot_has(s, UP_MESSAGE),
        .has_payload = router_slot_has(s, UP_PAYLOAD),
        .is_plain = router_slot_has(s, UP_PLAIN),
        .is_encrypted = router_slot_has(s, UP_ENCRYPTED),
        .plain = router_slot_bytes(s, UP_PLAIN),
        .has_gateway_id = router_slot_has(s, UP_GATEWAY),
        .names_gateway = router_slot_has(s, UP_GATEWAY_NAME) || router_slot_has(s, UP_GATEWAY_HASH),
        .hashes_gateway = router_slot_has(s, UP_GATEWAY_HASH),
        .gateway_hash_len = router_slot_bytes(s, UP_GATEWAY_HASH).len,
        .has_metadata = router_slot_has(s, UP_METADATA),
        .has_signal_quality = router_slot_has(s, UP_SIGNAL),
        .has_localization = router_slot_has(s, UP_LOCALIZATION),
    };
    teaser_fields(s, out);
}

bool router_scan_uplink(const router_scanner *scanner, lpx_bytes request, router_uplink_fields *fields,
                        router_scanned_uplink *message)
{
    router_slots s;
    /* A data rate without modulation would have to be taken out before one could be put in. */
    if (!router_shape_read(scanner->uplink, request, &s) ||
        router_slot_has(&s, UP_RATE) != router_slot_has(&s, UP_MODULATION)) {
        return false;
    }
    uplink_fields(&s, fields);
    *message = (router_scanned_uplink){
        .message = router_slot_bytes(&s, UP_MESSAGE),
        .gateway = router_slot_bytes(&s, UP_GATEWAY),
        .rate = {.absent = !router_slot_has(&s, UP_RATE),
                 .region = (uint32_t)router_slot_number(&s, UP_REGION),
                 .index = (uint32_t)router_slot_number(&s, UP_RATE_INDEX)},
        .coding_rate = router_slot_bytes(&s, UP_CODING_RATE),
        .metadata = router_slot_field(&s, UP_METADATA),
        .signal = router_slot_field(&s, UP_SIGNAL),
        .localization = router_slot_field(&s, UP_LOCALIZATION),
        .metadata_teaser = router_slot_field(&s, UP_METADATA_TEASER),
        .signal_antennas = router_slot_bytes(&s, UP_SIGNAL_ANTENNAS),
        .location_antennas = router_slot_bytes(&s, UP_LOCATION_ANTENNAS),
    };
    return true;
}

static router_scanned_window window_of(const router_slots *s, unsigned first)
{
    return (router_scanned_window){
        .field = router_slot_field(s, first + WINDOW),
        .content = router_slot_bytes(s, first + WINDOW),
        .rate = {.absent = !router_slot_has(s, first + WINDOW_RATE),
                 .region = (uint32_t)router_slot_number(s, DOWN_REGION),
                 .index = (uint32_t)router_slot_number(s, first + WINDOW_INDEX)},
    };
}

bool router_scan_downlink(const router_scanner *scanner, lpx_bytes request, router_downlink_fields *fields,
                          router_scanned_downlink *message)
{
    router_slots s;
    if (!router_shape_read(scanner->downlink, request, &s) ||
        router_slot_has(&s, DOWN_RX1 + WINDOW_RATE) != router_slot_has(&s, DOWN_RX1 + WINDOW_MODULATION) ||
        router_slot_has(&s, DOWN_RX2 + WINDOW_RATE) != router_slot_has(&s, DOWN_RX2 + WINDOW_MODULATION)) {
        return false;
    }
    *fields = (router_downlink_fields){
        .home = endpoint_of(&s, DOWN_HOME_NET_ID),
        .forwarder = endpoint_of(&s, DOWN_NET_ID),
        .has_message = router_slot_has(&s, DOWN_MESSAGE),
        .payload = router_slot_bytes(&s, DOWN_PAYLOAD),
    };
    *message = (router_scanned_downlink){
        .message = router_slot_bytes(&s, DOWN_MESSAGE),
        .windows = {window_of(&s, DOWN_RX1), window_of(&s, DOWN_RX2)},
    };
    return true;
}

bool router_scan_report(const router_scanner *scanner, traffic_direction direction, lpx_bytes request,
                        router_report *out, bool *is_there)
{
    router_slots s;
    if (!router_shape_read(scanner->reports[direction], request, &s)) {
        return false;
    }
    bool up = direction == TRAFFIC_UP;
    *is_there = router_slot_has(&s, REPORT_CHANGE);
    *out = (router_report){
        .direction = direction,
        .id = router_slot_text(&s, REPORT_ID),
        .forwarder = endpoint_of(&s, REPORT_NET_ID),
        .home = endpoint_of(&s, REPORT_HOME_NET_ID),
        .processed = (uint32_t)router_slot_number(&s, REPORT_STATE) == PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED,
        .failed = router_slot_has(&s, REPORT_ERROR),
        .succeeded = router_slot_has(&s, REPORT_SUCCESS),
        .error = (int)(uint32_t)router_slot_number(&s, up ? REPORT_ERROR_VALUE : REPORT_ERROR),
    };
    return true;
}
