/* Requests: what is refused and why, what routing sees in them; and what messages look like when they leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/text.h"
#include "codec/pb/pb.h"
#include "lpx_reasons.h"
#include "router/router_check.h"
#include "router/router_strip.h"

static lpx_arena arena;
static lpx_note note;

static int setup(void **state)
{
    (void)state;
    lpx_arena_init(&arena, 16 << 20);
    note.text[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lpx_arena_fini(&arena);
    return 0;
}

static ProtobufCBinaryData hex(const char *digits)
{
    size_t len = strlen(digits) / 2;
    uint8_t *bytes = lpx_arena_get(&arena, len + 1);
    assert_non_null(bytes);
    assert_true(lpx_hex_decode(lpx_str_of(digits), (lpx_space){bytes, len}));
    return (ProtobufCBinaryData){len, bytes};
}

static char *text(const char *from)
{
    char *copy = lpx_arena_cstr(&arena, lpx_str_of(from));
    assert_non_null(copy);
    return copy;
}

#define NEW(type, init)                                                                                              \
    ((type *)memcpy(lpx_arena_get(&arena, sizeof(type)), &(const type)init, sizeof(type))) /* an initialised message \
                                                                                            */

/* A plain data uplink with FPort 1 and FOpts: 0x11223344, from The Things Stack's tests. */
#define DATA_UPLINK "404433221101010042014201020304"
#define JOIN_REQUEST "00ffffffffffffff42ffffffffffff4242221101020304"

static Pb__Routing__V1__PublishUplinkMessageRequest *uplink_request(const char *payload)
{
    Pb__Routing__V1__PublishUplinkMessageRequest *in =
        NEW(Pb__Routing__V1__PublishUplinkMessageRequest, PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT);
    in->forwarder_net_id = 0x13;
    in->forwarder_tenant_id = text("fwd");
    in->forwarder_cluster_id = text("eu1");
    in->message = NEW(Pb__V3__UplinkMessage, PB__V3__UPLINK_MESSAGE__INIT);
    in->message->phy_payload = NEW(Pb__V3__UplinkMessage__PHYPayload, PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__INIT);
    in->message->phy_payload->value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    in->message->phy_payload->plain = hex(payload);
    return in;
}

static void assert_refused(lpx_err err, uint16_t reason, const char *words)
{
    assert_int_equal(err.code, LPX_INVALID_ARGUMENT);
    assert_int_equal(err.reason, reason);
    if (strstr(note.text, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", note.text, words);
    }
}

static void assert_uplink_refused(const Pb__Routing__V1__PublishUplinkMessageRequest *in, uint16_t reason,
                                  const char *words)
{
    router_uplink uplink;
    assert_refused(router_check_uplink(in, &uplink, &note), reason, words);
}

/* ---- uplinks ---- */

static void routing_looks_at_the_payload(void **state)
{
    (void)state;
    router_uplink up;
    assert_false(lpx_failed(router_check_uplink(uplink_request(DATA_UPLINK), &up, &note)));
    assert_int_equal(up.kind, TRAFFIC_DATA);
    assert_int_equal(up.dev_addr, 0x11223344);
    assert_int_equal(up.f_port, 1);
    assert_true(up.f_opts && !up.confirmed && !up.has_metadata);
    assert_true(lpx_str_is(up.forwarder.tenant_id, "fwd") && lpx_str_is(up.forwarder.cluster_id, "eu1"));
    assert_false(lpx_failed(router_check_uplink(uplink_request(JOIN_REQUEST), &up, &note)));
    assert_int_equal(up.kind, TRAFFIC_JOIN);
    assert_true(up.join_eui == 0x42ffffffffffffff && up.dev_eui == 0x4242ffffffffffff);
}

static void a_wrong_teaser_changes_nothing(void **state)
{
    (void)state;
    Pb__Routing__V1__PublishUplinkMessageRequest *in = uplink_request(DATA_UPLINK);
    Pb__V3__PHYPayloadTeaser *teaser = NEW(Pb__V3__PHYPayloadTeaser, PB__V3__PHYPAYLOAD_TEASER__INIT);
    teaser->payload_case = PB__V3__PHYPAYLOAD_TEASER__PAYLOAD_MAC;
    teaser->mac = NEW(Pb__V3__PHYPayloadTeaser__MACPayloadTeaser, PB__V3__PHYPAYLOAD_TEASER__MACPAYLOAD_TEASER__INIT);
    teaser->mac->dev_addr = 0x26aa0000;
    teaser->mac->confirmed = true;
    in->message->phy_payload->teaser = teaser;
    router_uplink up;
    assert_false(lpx_failed(router_check_uplink(in, &up, &note)));
    assert_int_equal(up.dev_addr, 0x11223344);
    assert_false(up.confirmed);
    /* encrypted, the teaser is all there is */
    in->message->phy_payload->value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_ENCRYPTED;
    in->message->phy_payload->encrypted = NEW(Pb__V3__EncryptedData, PB__V3__ENCRYPTED_DATA__INIT);
    assert_false(lpx_failed(router_check_uplink(in, &up, &note)));
    assert_int_equal(up.dev_addr, 0x26aa0000);
    assert_true(up.confirmed);
    teaser->mac->f_port = 256;
    assert_uplink_refused(in, ROUTER_PAYLOAD_TYPE, "message.phy_payload.teaser.mac.f_port is 256");
    in->message->phy_payload->teaser = NULL;
    assert_uplink_refused(in, ROUTER_FIELD_MISSING, "message.phy_payload.teaser");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    Pb__Routing__V1__PublishUplinkMessageRequest *in = uplink_request(DATA_UPLINK);
    in->message->phy_payload->value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE__NOT_SET;
    assert_uplink_refused(in, ROUTER_FIELD_MISSING, "message.phy_payload must have");
    in->message->phy_payload = NULL;
    assert_uplink_refused(in, ROUTER_FIELD_MISSING, "message.phy_payload is missing");
    in->message = NULL;
    assert_uplink_refused(in, ROUTER_FIELD_MISSING, "message is missing");
}

static void payloads_that_are_none(void **state)
{
    (void)state;
    assert_uplink_refused(uplink_request(""), LW_PHY_LENGTH, "message.phy_payload.plain: ");
    assert_uplink_refused(uplink_request("40443322110f010042014201020304"), LW_PHY_F_OPTS,
                          "message.phy_payload.plain: ");
    /* data down, join-accept, rejoin-request, proprietary */
    assert_uplink_refused(uplink_request("604433221101010042014201020304"), ROUTER_PAYLOAD_TYPE, "data uplink");
    assert_uplink_refused(uplink_request("2000112233445566778899aabbccddeeff"), ROUTER_PAYLOAD_TYPE, "join-accept");
    assert_uplink_refused(uplink_request("c000130000112233445566778800000102030400"
                                         "00"),
                          LW_PHY_LENGTH, "message.phy_payload.plain: ");
    assert_uplink_refused(uplink_request("c0001300001122334455667788000001020304"), ROUTER_PAYLOAD_TYPE, "rejoin");
    assert_uplink_refused(uplink_request("e00102030405"), ROUTER_PAYLOAD_TYPE, "proprietary");
}

static void ids_have_their_form(void **state)
{
    (void)state;
    Pb__Routing__V1__PublishUplinkMessageRequest *in = uplink_request(DATA_UPLINK);
    in->forwarder_net_id = 0x1000000;
    assert_uplink_refused(in, LW_NETID_INVALID, "forwarder_net_id");
    in->forwarder_net_id = 0xe00061; /* type 7, not a group */
    assert_uplink_refused(in, LW_NETID_INVALID, "forwarder_net_id");
    in->forwarder_net_id = 0x13;
    in->forwarder_tenant_id = text("No");
    assert_uplink_refused(in, LW_TENANT_ID_INVALID, "forwarder_tenant_id");
    in->forwarder_tenant_id = text("");
    in->forwarder_cluster_id = text("-eu1");
    assert_uplink_refused(in, LW_CLUSTER_ID_INVALID, "forwarder_cluster_id");
    in->forwarder_cluster_id = text("");
    in->message->gateway_id = NEW(Pb__V3__GatewayIdentifier, PB__V3__GATEWAY_IDENTIFIER__INIT);
    assert_uplink_refused(in, ROUTER_BAD_GATEWAY_ID, "message.gateway_id must have");
    in->message->gateway_id->id_case = PB__V3__GATEWAY_IDENTIFIER__ID_HASH;
    in->message->gateway_id->hash = hex("0102");
    assert_uplink_refused(in, ROUTER_BAD_GATEWAY_ID, "has 2 bytes; it must have 32");
}

/* ---- downlinks ---- */

static Pb__Routing__V1__PublishDownlinkMessageRequest *downlink_request(const char *payload)
{
    Pb__Routing__V1__PublishDownlinkMessageRequest *in =
        NEW(Pb__Routing__V1__PublishDownlinkMessageRequest, PB__ROUTING__V1__PUBLISH_DOWNLINK_MESSAGE_REQUEST__INIT);
    in->home_network_net_id = 0x42;
    in->forwarder_net_id = 0x13;
    in->message = NEW(Pb__V3__DownlinkMessage, PB__V3__DOWNLINK_MESSAGE__INIT);
    in->message->phy_payload = hex(payload);
    return in;
}

static void downlinks_are_looked_at(void **state)
{
    (void)state;
    router_downlink down;
    assert_false(
        lpx_failed(router_check_downlink(downlink_request("2000112233445566778899aabbccddeeff"), &down, &note)));
    assert_int_equal(down.kind, TRAFFIC_JOIN);
    assert_false(lpx_failed(router_check_downlink(downlink_request("a04433221100010042014201020304"), &down, &note)));
    assert_int_equal(down.kind, TRAFFIC_DATA);
    assert_int_equal(down.f_port, 0x42);
    lpx_err err = router_check_downlink(downlink_request(DATA_UPLINK), &down, &note);
    assert_refused(err, ROUTER_PAYLOAD_TYPE, "message.phy_payload is a frame of type");
    err = router_check_downlink(downlink_request(""), &down, &note);
    assert_refused(err, ROUTER_FIELD_MISSING, "message.phy_payload is missing");
    Pb__Routing__V1__PublishDownlinkMessageRequest *in = downlink_request("60");
    err = router_check_downlink(in, &down, &note);
    assert_refused(err, LW_PHY_LENGTH, "message.phy_payload: ");
    in->forwarder_tenant_id = text("x");
    assert_refused(router_check_downlink(in, &down, &note), LW_TENANT_ID_INVALID, "forwarder_tenant_id");
    in->home_network_net_id = 0xffffff;
    assert_refused(router_check_downlink(in, &down, &note), LW_NETID_INVALID, "home_network_net_id");
}

/* ---- subscriptions ---- */

static Pb__Routing__V1__SubscribeHomeNetworkRequest *subscription(size_t filter_count)
{
    Pb__Routing__V1__SubscribeHomeNetworkRequest *in =
        NEW(Pb__Routing__V1__SubscribeHomeNetworkRequest, PB__ROUTING__V1__SUBSCRIBE_HOME_NETWORK_REQUEST__INIT);
    in->home_network_net_id = 0x42;
    in->n_filters = filter_count;
    in->filters = lpx_arena_array(&arena, filter_count + 1, sizeof(*in->filters));
    for (size_t i = 0; i < filter_count; i++) {
        in->filters[i] = NEW(Pb__V3__RoutingFilter, PB__V3__ROUTING_FILTER__INIT);
    }
    return in;
}

static void assert_subscription_refused(const Pb__Routing__V1__SubscribeHomeNetworkRequest *in, uint16_t reason,
                                        const char *words)
{
    router_sub_spec spec;
    lpx_err err = router_check_home_network(in, &arena, &spec, &note);
    assert_int_equal(err.reason, reason);
    assert_non_null(strstr(note.text, words));
}

static void filters_are_checked(void **state)
{
    (void)state;
    Pb__Routing__V1__SubscribeHomeNetworkRequest *in = subscription(2);
    Pb__V3__RoutingFilter *f = in->filters[1];
    f->message_case = PB__V3__ROUTING_FILTER__MESSAGE_MAC;
    f->mac = NEW(Pb__V3__RoutingFilter__MACPayload, PB__V3__ROUTING_FILTER__MACPAYLOAD__INIT);
    Pb__V3__DevAddrPrefix *prefix = NEW(Pb__V3__DevAddrPrefix, PB__V3__DEV_ADDR_PREFIX__INIT);
    f->mac->n_dev_addr_prefixes = 1;
    f->mac->dev_addr_prefixes = &prefix;
    prefix->length = 33;
    assert_subscription_refused(in, ROUTER_BAD_FILTER, "filters[1].mac.dev_addr_prefixes[0].length is 33");
    prefix->length = 32;
    Pb__V3__RoutingFilter__MACPayload__FPortRange *range =
        NEW(Pb__V3__RoutingFilter__MACPayload__FPortRange, PB__V3__ROUTING_FILTER__MACPAYLOAD__FPORT_RANGE__INIT);
    range->low = 2;
    range->high = 1;
    f->mac->n_f_port_ranges = 1;
    f->mac->f_port_ranges = &range;
    assert_subscription_refused(in, ROUTER_BAD_FILTER, "filters[1].mac.f_port_ranges[0]");
    f->message_case = PB__V3__ROUTING_FILTER__MESSAGE_JOIN_REQUEST;
    f->join_request = NEW(Pb__V3__RoutingFilter__JoinRequest, PB__V3__ROUTING_FILTER__JOIN_REQUEST__INIT);
    Pb__V3__RoutingFilter__JoinRequest__EUIPrefixes *euis =
        NEW(Pb__V3__RoutingFilter__JoinRequest__EUIPrefixes, PB__V3__ROUTING_FILTER__JOIN_REQUEST__EUIPREFIXES__INIT);
    f->join_request->n_eui_prefixes = 1;
    f->join_request->eui_prefixes = &euis;
    euis->dev_eui_length = 65;
    assert_subscription_refused(in, ROUTER_BAD_FILTER, "filters[1].join_request.eui_prefixes[0].dev_eui_length is 65");
    in->group = text("No Group");
    assert_subscription_refused(in, LW_CLUSTER_ID_INVALID, "group");
}

static void subscriptions_have_limits(void **state)
{
    (void)state;
    router_sub_spec spec;
    assert_subscription_refused(subscription(ROUTER_MAX_FILTERS + 1), ROUTER_TOO_MANY_FILTERS, "filters has 257");
    assert_false(lpx_failed(router_check_home_network(subscription(ROUTER_MAX_FILTERS), &arena, &spec, &note)));
    Pb__Routing__V1__SubscribeHomeNetworkRequest *in = subscription(2);
    Pb__V3__DevAddrPrefix *prefix = NEW(Pb__V3__DevAddrPrefix, PB__V3__DEV_ADDR_PREFIX__INIT);
    for (unsigned i = 0; i < 2; i++) {
        Pb__V3__RoutingFilter__MACPayload *mac =
            NEW(Pb__V3__RoutingFilter__MACPayload, PB__V3__ROUTING_FILTER__MACPAYLOAD__INIT);
        mac->n_dev_addr_prefixes = ROUTER_MAX_CONDITIONS / 2 + i;
        mac->dev_addr_prefixes = lpx_arena_array(&arena, mac->n_dev_addr_prefixes, sizeof prefix);
        for (size_t j = 0; j < mac->n_dev_addr_prefixes; j++) {
            mac->dev_addr_prefixes[j] = prefix;
        }
        in->filters[i]->message_case = PB__V3__ROUTING_FILTER__MESSAGE_MAC;
        in->filters[i]->mac = mac;
    }
    assert_subscription_refused(in, ROUTER_TOO_MANY_FILTERS, "4096");
    in->filters[1]->mac->n_dev_addr_prefixes--;
    assert_false(lpx_failed(router_check_home_network(in, &arena, &spec, &note)));
    assert_int_equal(spec.filters[1].dev_addr_count, ROUTER_MAX_CONDITIONS / 2);
}

/* ---- reports ---- */

static void results_come_with_processed_alone(void **state)
{
    (void)state;
    Pb__V3__UplinkMessageDeliveryStateChange up = PB__V3__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE__INIT;
    Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest up_in =
        PB__ROUTING__V1__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    router_report report;
    assert_refused(router_check_uplink_report(&up_in, &report, &note), ROUTER_FIELD_MISSING, "state_change is missing");
    up_in.state_change = &up;
    assert_false(lpx_failed(router_check_uplink_report(&up_in, &report, &note)));
    assert_false(report.processed || report.failed);
    up.error = NEW(Pb__V3__UplinkMessageProcessingErrorValue, PB__V3__UPLINK_MESSAGE_PROCESSING_ERROR_VALUE__INIT);
    assert_refused(router_check_uplink_report(&up_in, &report, &note), ROUTER_BAD_REPORT, "state_change.error");
    up.state = PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED;
    assert_false(lpx_failed(router_check_uplink_report(&up_in, &report, &note)));
    assert_true(report.processed && report.failed); /* the unknown error is an error, though empty on the wire */

    Pb__V3__DownlinkMessageDeliveryStateChange down = PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__INIT;
    Pb__Routing__V1__DownlinkMessageDeliveryStateChangeRequest down_in =
        PB__ROUTING__V1__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    down_in.state_change = &down;
    down.state = PB__V3__MESSAGE_DELIVERY_STATE__DELIVERED;
    down.result_case = PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__RESULT_SUCCESS;
    down.success = NEW(Pb__V3__DownlinkMessageDeliveryStateChange__TransmissionResult,
                       PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__TRANSMISSION_RESULT__INIT);
    assert_refused(router_check_downlink_report(&down_in, &report, &note), ROUTER_BAD_REPORT, "state_change.success");
    down.state = PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED;
    assert_false(lpx_failed(router_check_downlink_report(&down_in, &report, &note)));
    assert_true(report.processed && !report.failed);
    down.result_case = PB__V3__DOWNLINK_MESSAGE_DELIVERY_STATE_CHANGE__RESULT_ERROR;
    down.error = PB__V3__DOWNLINK_MESSAGE_PROCESSING_ERROR__TOO_LATE;
    assert_false(lpx_failed(router_check_downlink_report(&down_in, &report, &note)));
    assert_true(report.failed && report.error == 1);
    down.home_network_cluster_id = text("UPPER");
    assert_refused(router_check_downlink_report(&down_in, &report, &note), LW_CLUSTER_ID_INVALID,
                   "state_change.home_network_cluster_id");
}

/* ---- messages that leave ---- */

typedef Pb__V3__UplinkMessage__GatewayMetadata gateway_metadata;

/* Metadata with signal quality of antennas 3 and 5 and the location of antenna 3. */
static gateway_metadata *full_metadata(void)
{
    gateway_metadata *m = NEW(gateway_metadata, PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__INIT);
    Pb__V3__GatewayMetadataSignalQuality__Terrestrial *signal = NEW(
        Pb__V3__GatewayMetadataSignalQuality__Terrestrial, PB__V3__GATEWAY_METADATA_SIGNAL_QUALITY__TERRESTRIAL__INIT);
    signal->n_antennas = 2;
    signal->antennas = lpx_arena_array(&arena, 2, sizeof(*signal->antennas));
    for (uint32_t i = 0; i < 2; i++) {
        signal->antennas[i] = NEW(Pb__V3__GatewayMetadataSignalQuality__Terrestrial__Antenna,
                                  PB__V3__GATEWAY_METADATA_SIGNAL_QUALITY__TERRESTRIAL__ANTENNA__INIT);
        signal->antennas[i]->index = 3 + 2 * i;
        signal->antennas[i]->value = NEW(Pb__V3__TerrestrialGatewayAntennaSignalQuality,
                                         PB__V3__TERRESTRIAL_GATEWAY_ANTENNA_SIGNAL_QUALITY__INIT);
    }
    Pb__V3__GatewayMetadataLocalization__Terrestrial *place =
        NEW(Pb__V3__GatewayMetadataLocalization__Terrestrial, PB__V3__GATEWAY_METADATA_LOCALIZATION__TERRESTRIAL__INIT);
    place->n_antennas = 1;
    place->antennas = lpx_arena_array(&arena, 1, sizeof(*place->antennas));
    place->antennas[0] = NEW(Pb__V3__GatewayMetadataLocalization__Terrestrial__Antenna,
                             PB__V3__GATEWAY_METADATA_LOCALIZATION__TERRESTRIAL__ANTENNA__INIT);
    place->antennas[0]->index = 3;
    m->teaser = NEW(Pb__V3__GatewayMetadataTeaser, PB__V3__GATEWAY_METADATA_TEASER__INIT);
    m->signal_quality_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_PLAIN_SIGNAL_QUALITY;
    m->plain_signal_quality = NEW(Pb__V3__GatewayMetadataSignalQuality, PB__V3__GATEWAY_METADATA_SIGNAL_QUALITY__INIT);
    m->plain_signal_quality->value_case = PB__V3__GATEWAY_METADATA_SIGNAL_QUALITY__VALUE_TERRESTRIAL;
    m->plain_signal_quality->terrestrial = signal;
    m->localization_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION_PLAIN_LOCALIZATION;
    m->plain_localization = NEW(Pb__V3__GatewayMetadataLocalization, PB__V3__GATEWAY_METADATA_LOCALIZATION__INIT);
    m->plain_localization->value_case = PB__V3__GATEWAY_METADATA_LOCALIZATION__VALUE_TERRESTRIAL;
    m->plain_localization->terrestrial = place;
    return m;
}

static const Pb__V3__UplinkMessage *stripped(const Pb__V3__UplinkMessage *in, unsigned strip)
{
    const Pb__V3__UplinkMessage *out = NULL;
    assert_false(lpx_failed(router_strip_uplink(in, strip, &arena, &out)));
    return out;
}

static void what_is_not_stripped_stays(void **state)
{
    (void)state;
    Pb__V3__UplinkMessage *in = uplink_request(DATA_UPLINK)->message;
    in->gateway_metadata = full_metadata();
    assert_ptr_equal(stripped(in, 0), in); /* not even copied */
    const gateway_metadata *m = stripped(in, ROUTER_STRIP_LOCALIZATION)->gateway_metadata;
    assert_ptr_equal(m->teaser, in->gateway_metadata->teaser);
    assert_ptr_equal(m->plain_signal_quality, in->gateway_metadata->plain_signal_quality);
    assert_int_equal(m->localization_case, PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION__NOT_SET);
    m = stripped(in, ROUTER_STRIP_SIGNAL_QUALITY)->gateway_metadata;
    assert_ptr_equal(m->plain_localization, in->gateway_metadata->plain_localization);
    /* an antenna with its index is there already */
    assert_int_equal(m->signal_quality_case, PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY__NOT_SET);
    assert_int_equal(in->gateway_metadata->signal_quality_case,
                     PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_PLAIN_SIGNAL_QUALITY);
}

/* Do these antennas have their index and nothing else? */
static void assert_bare(const gateway_metadata *m, const uint32_t *indices, size_t count)
{
    assert_non_null(m);
    assert_int_equal(m->signal_quality_case,
                     PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_PLAIN_SIGNAL_QUALITY);
    assert_int_equal(m->localization_case, PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION__NOT_SET);
    const Pb__V3__GatewayMetadataSignalQuality__Terrestrial *t = m->plain_signal_quality->terrestrial;
    assert_int_equal(t->n_antennas, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(t->antennas[i]->index, indices[i]);
        assert_null(t->antennas[i]->value);
    }
}

static void antennas_keep_their_index(void **state)
{
    (void)state;
    const unsigned both = ROUTER_STRIP_SIGNAL_QUALITY | ROUTER_STRIP_LOCALIZATION;
    Pb__V3__UplinkMessage *in = uplink_request(DATA_UPLINK)->message;
    in->gateway_metadata = full_metadata();
    const gateway_metadata *m = stripped(in, both | ROUTER_STRIP_TEASER)->gateway_metadata;
    assert_bare(m, (const uint32_t[]){3, 5}, 2);
    assert_null(m->teaser);
    /* localization would be allowed, but there is none: without the entries the way back would be lost all the same */
    in->gateway_metadata->localization_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION__NOT_SET;
    m = stripped(in, ROUTER_STRIP_SIGNAL_QUALITY)->gateway_metadata;
    assert_bare(m, (const uint32_t[]){3, 5}, 2);
    assert_non_null(m->teaser);
    /* only localization had antennas */
    in->gateway_metadata = full_metadata();
    in->gateway_metadata->signal_quality_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY__NOT_SET;
    assert_bare(stripped(in, ROUTER_STRIP_LOCALIZATION)->gateway_metadata, (const uint32_t[]){3}, 1);
}

static void encrypted_parts_are_stripped_too(void **state)
{
    (void)state;
    Pb__V3__UplinkMessage *in = uplink_request(DATA_UPLINK)->message;
    gateway_metadata *m = NEW(gateway_metadata, PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__INIT);
    m->teaser = NEW(Pb__V3__GatewayMetadataTeaser, PB__V3__GATEWAY_METADATA_TEASER__INIT);
    m->signal_quality_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_ENCRYPTED_SIGNAL_QUALITY;
    m->encrypted_signal_quality = NEW(Pb__V3__EncryptedData, PB__V3__ENCRYPTED_DATA__INIT);
    m->localization_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION_ENCRYPTED_LOCALIZATION;
    m->encrypted_localization = NEW(Pb__V3__EncryptedData, PB__V3__ENCRYPTED_DATA__INIT);
    in->gateway_metadata = m;
    const gateway_metadata *left = stripped(in, ROUTER_STRIP_SIGNAL_QUALITY)->gateway_metadata;
    assert_ptr_equal(left->encrypted_localization, m->encrypted_localization);
    assert_int_equal(left->signal_quality_case, PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY__NOT_SET);
    assert_null(
        stripped(in, ROUTER_STRIP_SIGNAL_QUALITY | ROUTER_STRIP_LOCALIZATION | ROUTER_STRIP_TEASER)->gateway_metadata);
}

static void data_rates_are_filled_in(void **state)
{
    (void)state;
    Pb__V3__UplinkMessage *in = uplink_request(DATA_UPLINK)->message;
    in->gateway_region = PB__V3__REGION__EU_863_870;
    in->data_rate_index = 5;
    const Pb__V3__UplinkMessage *out = stripped(in, 0);
    assert_int_equal(out->data_rate->modulation_case, PB__V3__DATA_RATE__MODULATION_LORA);
    assert_int_equal(out->data_rate->lora->spreading_factor, 7);
    assert_int_equal(out->data_rate->lora->bandwidth, 125000);
    assert_string_equal(out->data_rate->lora->coding_rate, "4/5");
    assert_null(in->data_rate);
    in->coding_rate = text("4/7"); /* said beside it */
    assert_string_equal(stripped(in, 0)->data_rate->lora->coding_rate, "4/7");
    in->data_rate_index = 7;
    out = stripped(in, 0);
    assert_int_equal(out->data_rate->modulation_case, PB__V3__DATA_RATE__MODULATION_FSK);
    assert_int_equal(out->data_rate->fsk->bits_per_second, 50000);
    in->data_rate_index = 8;
    out = stripped(in, 0);
    assert_int_equal(out->data_rate->modulation_case, PB__V3__DATA_RATE__MODULATION_LRFHSS);
    assert_int_equal(out->data_rate->lrfhss->operating_channel_width, 137000);
    in->data_rate_index = 99;
    assert_ptr_equal(stripped(in, 0), in);
    in->data_rate = NEW(Pb__V3__DataRate, PB__V3__DATA_RATE__INIT);
    in->data_rate->modulation_case = PB__V3__DATA_RATE__MODULATION_FSK;
    in->data_rate_index = 5;
    assert_ptr_equal(stripped(in, 0), in); /* what is there stays */
}

static void windows_of_downlinks_are_filled_in(void **state)
{
    (void)state;
    Pb__V3__DownlinkMessage in = PB__V3__DOWNLINK_MESSAGE__INIT;
    in.region = PB__V3__REGION__US_902_928;
    in.rx1 = NEW(Pb__V3__DownlinkMessage__RXSettings, PB__V3__DOWNLINK_MESSAGE__RXSETTINGS__INIT);
    in.rx1->data_rate_index = 8;
    in.rx1->frequency = 923300000;
    const Pb__V3__DownlinkMessage *out = NULL;
    assert_false(lpx_failed(router_fill_downlink(&in, &arena, &out)));
    assert_int_equal(out->rx1->data_rate->lora->spreading_factor, 12);
    assert_int_equal(out->rx1->data_rate->lora->bandwidth, 500000);
    assert_int_equal(out->rx1->frequency, 923300000);
    assert_null(out->rx2);
    assert_null(in.rx1->data_rate);
}

/* Unknown fields and opaque bytes come out as they went in. */
static void the_rest_passes_byte_for_byte(void **state)
{
    (void)state;
    ProtobufCBinaryData bytes = hex("0a0f0a0166120a0a0465782e6e12026c62" /* a KEK with its pointer */
                                    "12111a0f" DATA_UPLINK               /* phy_payload.plain */
                                    "42069a06036e6577"                   /* metadata with the unknown field 99, "new" */
                                    "4a0400ff80015203020100"             /* both tokens */
                                    "9a06036e6577");                     /* the message's own field 99 */
    ProtobufCMessage *message;
    if (lpx_failed(pb_decode(&pb__v3__uplink_message__descriptor, pb_bytes(bytes), &arena, &message, &note))) {
        fail_msg("%s", note.text);
    }
    lpx_bytes out;
    assert_false(lpx_failed(pb_encode(&stripped((const void *)message, 0)->base, &arena, &out)));
    assert_int_equal(out.len, bytes.len);
    assert_memory_equal(out.ptr, bytes.data, bytes.len);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(routing_looks_at_the_payload),
        TEST(a_wrong_teaser_changes_nothing),
        TEST(what_is_missing_is_named),
        TEST(payloads_that_are_none),
        TEST(ids_have_their_form),
        TEST(downlinks_are_looked_at),
        TEST(filters_are_checked),
        TEST(subscriptions_have_limits),
        TEST(results_come_with_processed_alone),
        TEST(what_is_not_stripped_stays),
        TEST(antennas_keep_their_index),
        TEST(encrypted_parts_are_stripped_too),
        TEST(data_rates_are_filled_in),
        TEST(windows_of_downlinks_are_filled_in),
        TEST(the_rest_passes_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
