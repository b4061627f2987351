/* Requests of the data plane from raw bytes: decode, check, route by fixed tables and subscriptions, strip, encode,
 * decode again. The first byte chooses the request. */
#include <stdlib.h>

#include "base/assert.h"
#include "codec/pb/pb.h"
#include "router/router_check.h"
#include "router/router_strip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20, SUBS = 6 };

static router_tables *tables;
static router_dir *dir;

static traffic_endpoint endpoint(uint32_t net_id, const char *tenant, const char *cluster)
{
    return (traffic_endpoint){net_id, lpx_str_of(tenant), lpx_str_of(cluster)};
}

static void make_tables(void)
{
    const router_block_row blocks[] = {
        {endpoint(0x42, "", "eu1"), 0x00000000, 0},
        {endpoint(0x42, "home", ""), 0x26000000, 8},
        {endpoint(0x43, "", ""), 0x26000000, 8},
        {endpoint(0x43, "home", "eu1"), 0x11220000, 16},
    };
    const router_policy_row policies[] = {
        {{0x13, {NULL, 0}}, {0x42, {NULL, 0}}, false, {ROUTER_UP_APPLICATION_DATA | ROUTER_UP_LOCALIZATION, 7}},
        {{0x13, {NULL, 0}}, {0x43, {NULL, 0}}, false, {ROUTER_UP_APPLICATION_DATA | ROUTER_UP_JOIN_REQUEST, 4}},
    };
    router_rows rows = {.blocks = blocks,
                        .block_count = sizeof blocks / sizeof blocks[0],
                        .policies = policies,
                        .policy_count = 2,
                        .default_open = true,
                        .loopback = true,
                        .seed = 1};
    tables = router_tables_new(&rows);
    lpx_assert(tables != NULL);
}

static void make_dir(void)
{
    static const router_eui_pair euis[] = {{{0, 1}, {0, 0}}, {{UINT64_MAX, 1}, {0, 0}}};
    static const router_filter naming = {.kind = ROUTER_FILTER_JOIN, .euis = euis, .eui_count = 2};
    const router_sub_spec specs[SUBS] = {
        {.direction = TRAFFIC_UP, .endpoint = endpoint(0x42, "", "")},
        {.direction = TRAFFIC_UP, .endpoint = endpoint(0x42, "home", "eu1"), .group = LPX_STR("g")},
        {.direction = TRAFFIC_UP, .endpoint = endpoint(0x43, "", ""), .filters = &naming, .filter_count = 1},
        {.direction = TRAFFIC_UP, .endpoint = endpoint(0x43, "", ""), .group = LPX_STR("g")},
        {.direction = TRAFFIC_DOWN, .endpoint = endpoint(0x13, "", "")},
        {.direction = TRAFFIC_DOWN, .endpoint = endpoint(0x13, "", "eu1"), .group = LPX_STR("g")},
    };
    dir = router_dir_new(2);
    lpx_assert(dir != NULL);
    for (unsigned i = 0; i < SUBS; i++) {
        router_sub_spec spec = specs[i];
        spec.max_messages = spec.max_bytes = 10;
        router_sub *sub = router_sub_new(&spec);
        lpx_assert(sub != NULL);
        lpx_err err = router_dir_add(dir, sub);
        lpx_assert(!lpx_failed(err));
        router_sub_unref(&sub);
    }
}

/* What was made from a message that was well-formed must be well-formed. */
static void encode_and_decode(const ProtobufCMessage *message, lpx_arena *arena)
{
    lpx_bytes bytes;
    ProtobufCMessage *again;
    if (lpx_failed(pb_encode(message, arena, &bytes))) {
        return;
    }
    lpx_err err = pb_decode(message->descriptor, bytes, arena, &again, NULL);
    lpx_assert(!lpx_failed(err) || err.code == LPX_RESOURCE_EXHAUSTED);
}

/* A stripped part is gone: what may be left in its place are antennas with nothing but an index. */
static void check_stripped(const Pb__V3__UplinkMessage *message, unsigned strip)
{
    const Pb__V3__UplinkMessage__GatewayMetadata *m = message->gateway_metadata;
    if (m == NULL) {
        return;
    }
    bool no_localization = m->localization_case == PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION__NOT_SET;
    lpx_assert((strip & ROUTER_STRIP_LOCALIZATION) == 0 || no_localization);
    lpx_assert((strip & ROUTER_STRIP_TEASER) == 0 || m->teaser == NULL);
    if ((strip & ROUTER_STRIP_SIGNAL_QUALITY) == 0 ||
        m->signal_quality_case == PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY__NOT_SET) {
        return;
    }
    lpx_assert(m->signal_quality_case == PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_PLAIN_SIGNAL_QUALITY);
    const Pb__V3__GatewayMetadataSignalQuality__Terrestrial *t = m->plain_signal_quality->terrestrial;
    for (size_t i = 0; i < t->n_antennas; i++) {
        lpx_assert(t->antennas[i]->value == NULL && t->antennas[i]->base.n_unknown_fields == 0);
    }
}

static void uplink(const ProtobufCMessage *message, lpx_arena *arena, lpx_note *note)
{
    const Pb__Routing__V1__PublishUplinkMessageRequest *in = (const void *)message;
    router_uplink up;
    router_effects effects = {.arena = arena};
    if (lpx_failed(router_check_uplink(in, &up, note))) {
        lpx_assert(note->text[0] != '\0');
        return;
    }
    lpx_err err = router_route_uplink(tables, dir, &up, &effects);
    lpx_assert(!lpx_failed(err) && effects.outcome_count > 0);
    lpx_assert(effects.delivery_count <= SUBS);
    for (unsigned strip = 0; strip < 8; strip++) {
        const Pb__V3__UplinkMessage *out;
        if (!lpx_failed(router_strip_uplink(in->message, strip, arena, &out))) {
            check_stripped(out, strip);
            encode_and_decode(&out->base, arena);
        }
    }
}

static void downlink(const ProtobufCMessage *message, lpx_arena *arena, lpx_note *note)
{
    const Pb__Routing__V1__PublishDownlinkMessageRequest *in = (const void *)message;
    router_downlink down;
    router_effects effects = {.arena = arena};
    if (lpx_failed(router_check_downlink(in, &down, note))) {
        lpx_assert(note->text[0] != '\0');
        return;
    }
    lpx_err err = router_route_downlink(tables, dir, &down, &effects);
    lpx_assert(!lpx_failed(err) && effects.outcome_count > 0);
    const Pb__V3__DownlinkMessage *out;
    if (!lpx_failed(router_fill_downlink(in->message, arena, &out))) {
        encode_and_decode(&out->base, arena);
    }
}

static void subscription(const ProtobufCMessage *message, lpx_arena *arena, lpx_note *note)
{
    router_sub_spec spec;
    if (lpx_failed(router_check_home_network((const void *)message, arena, &spec, note))) {
        lpx_assert(note->text[0] != '\0');
        return;
    }
    router_sub *sub = router_sub_new(&spec);
    lpx_assert(sub != NULL);
    router_uplink up = {.kind = TRAFFIC_JOIN, .join_eui = UINT64_MAX, .dev_eui = 1};
    uint32_t number;
    bool named = router_filters_name(sub->filters, sub->filter_count, &up, true, &number);
    lpx_assert(!named || (sub->names_euis && number > 0));
    bool passes = router_filters_pass(sub->filters, sub->filter_count, &up, true, &number);
    lpx_assert((!named || passes) && number <= sub->filter_count);
    lpx_err err = router_dir_add(dir, sub);
    lpx_assert(!lpx_failed(err));
    bool removed = router_dir_remove(dir, sub);
    lpx_assert(removed);
    router_sub_unref(&sub);
}

static void report(const ProtobufCMessage *message, lpx_note *note)
{
    static const router_id_key key = {.bytes = {1}};
    router_report what;
    router_id id;
    if (lpx_failed(router_check_uplink_report((const void *)message, &what, note))) {
        lpx_assert(note->text[0] != '\0');
        return;
    }
    router_id_parts claim = {.forwarder = traffic_member_of(what.forwarder), .home = traffic_member_of(what.home)};
    (void)router_id_check(&key, what.id, &claim, &id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const descriptors[] = {
        &pb__routing__v1__publish_uplink_message_request__descriptor,
        &pb__routing__v1__publish_downlink_message_request__descriptor,
        &pb__routing__v1__subscribe_home_network_request__descriptor,
        &pb__routing__v1__uplink_message_delivery_state_change_request__descriptor,
    };
    if (tables == NULL) {
        make_tables();
        make_dir();
    }
    if (size == 0) {
        return 0;
    }
    unsigned kind = data[0] & 3;
    lpx_arena arena;
    lpx_note note = {""};
    ProtobufCMessage *message;
    lpx_arena_init(&arena, ARENA_BYTES);
    if (!lpx_failed(pb_decode(descriptors[kind], lpx_bytes_of(data + 1, size - 1), &arena, &message, &note))) {
        if (kind == 0) {
            uplink(message, &arena, &note);
        } else if (kind == 1) {
            downlink(message, &arena, &note);
        } else if (kind == 2) {
            subscription(message, &arena, &note);
        } else {
            report(message, &note);
        }
    }
    lpx_arena_fini(&arena);
    return 0;
}
