#include "router/router_scan_oracle_test.h"

#include "base/assert.h"
#include "codec/pb/pb.h"
#include "router/router_cut.h"
#include "router/router_strip.h"

enum { ARENA_BYTES = 64 << 20, STRIPS = 8 };

const ProtobufCMessageDescriptor *scan_descriptor(scan_request request)
{
    static const ProtobufCMessageDescriptor *const descriptors[SCAN_REQUESTS] = {
        [SCAN_UPLINK] = &pb__routing__v1__publish_uplink_message_request__descriptor,
        [SCAN_DOWNLINK] = &pb__routing__v1__publish_downlink_message_request__descriptor,
        [SCAN_UPLINK_REPORT] = &pb__routing__v1__uplink_message_delivery_state_change_request__descriptor,
        [SCAN_DOWNLINK_REPORT] = &pb__routing__v1__downlink_message_delivery_state_change_request__descriptor,
    };
    return descriptors[request];
}

/* ---- what both see ---- */

static void same_endpoint(traffic_endpoint a, traffic_endpoint b)
{
    lpx_assert(a.net_id == b.net_id);
    lpx_assert(lpx_str_equal(a.tenant_id, b.tenant_id));
    lpx_assert(lpx_str_equal(a.cluster_id, b.cluster_id));
}

static void same_uplink_fields(const router_uplink_fields *a, const router_uplink_fields *b)
{
    same_endpoint(a->forwarder, b->forwarder);
    lpx_assert(a->has_message == b->has_message && a->has_payload == b->has_payload);
    lpx_assert(a->is_plain == b->is_plain && a->is_encrypted == b->is_encrypted);
    lpx_assert(lpx_bytes_equal(a->plain, b->plain) && lpx_bytes_equal(a->payload_hash, b->payload_hash));
    lpx_assert(a->teaser == b->teaser && a->join_eui == b->join_eui && a->dev_eui == b->dev_eui);
    lpx_assert(a->dev_addr == b->dev_addr && a->f_port == b->f_port);
    lpx_assert(a->confirmed == b->confirmed && a->f_opts == b->f_opts);
    lpx_assert(a->has_gateway_id == b->has_gateway_id && a->names_gateway == b->names_gateway);
    lpx_assert(a->hashes_gateway == b->hashes_gateway && a->gateway_hash_len == b->gateway_hash_len);
    lpx_assert(a->has_metadata == b->has_metadata && a->has_signal_quality == b->has_signal_quality);
    lpx_assert(a->has_localization == b->has_localization);
}

static void same_report(const router_report *a, const router_report *b)
{
    lpx_assert(a->direction == b->direction && lpx_str_equal(a->id, b->id));
    same_endpoint(a->forwarder, b->forwarder);
    same_endpoint(a->home, b->home);
    lpx_assert(a->processed == b->processed && a->failed == b->failed && a->succeeded == b->succeeded);
    lpx_assert(a->error == b->error);
}

static bool same_verdict(lpx_err a, const lpx_note *a_note, lpx_err b, const lpx_note *b_note)
{
    lpx_assert(a.code == b.code && a.reason == b.reason && strcmp(a_note->text, b_note->text) == 0);
    return !lpx_failed(a);
}

/* ---- what both send ---- */

static lpx_bytes encode(const ProtobufCMessage *message, lpx_arena *arena)
{
    lpx_bytes out;
    lpx_err err = pb_encode(message, arena, &out);
    lpx_assert(!lpx_failed(err));
    return out;
}

/* Join the pieces, decode them and compare with a message. */
static void same_message(const router_pieces *pieces, const ProtobufCMessage *want, lpx_arena *arena)
{
    uint8_t *joined = lpx_arena_get(arena, pieces->len);
    size_t len = 0;
    lpx_assert(joined != NULL);
    for (size_t i = 0; i < pieces->count; i++) {
        memcpy(joined + len, pieces->list[i].ptr, pieces->list[i].len);
        len += pieces->list[i].len;
    }
    lpx_assert(len == pieces->len);
    ProtobufCMessage *got;
    lpx_err err = pb_decode(want->descriptor, lpx_bytes_of(joined, len), arena, &got, NULL);
    lpx_assert(!lpx_failed(err));
    lpx_assert(lpx_bytes_equal(encode(got, arena), encode(want, arena)));
}

static void same_uplinks(const Pb__V3__UplinkMessage *decoded, const router_scanned_uplink *scanned, lpx_arena *arena)
{
    for (unsigned strip = 0; strip < STRIPS; strip++) {
        const Pb__V3__UplinkMessage *want;
        router_pieces pieces;
        lpx_err err = router_strip_uplink(decoded, strip, arena, &want);
        lpx_err cut_err = router_cut_uplink(scanned, strip, arena, &pieces);
        lpx_assert(!lpx_failed(err) && !lpx_failed(cut_err));
        same_message(&pieces, &want->base, arena);
    }
}

/* ---- requests ---- */

static bool compare_uplink(const router_scanner *scanner, lpx_bytes bytes, const ProtobufCMessage *decoded,
                           lpx_arena *arena, bool *valid)
{
    const Pb__Routing__V1__PublishUplinkMessageRequest *in = (const void *)decoded;
    router_uplink_fields scanned_fields, fields;
    router_scanned_uplink scanned;
    if (!router_scan_uplink(scanner, bytes, &scanned_fields, &scanned)) {
        return false;
    }
    lpx_assert(in != NULL); /* what cannot be decoded is never read in place */
    router_uplink_fields_of(in, &fields);
    same_uplink_fields(&fields, &scanned_fields);
    lpx_note note = {""}, scanned_note = {""};
    router_uplink up, scanned_up;
    lpx_err err = router_check_uplink_fields(&fields, &up, &note);
    *valid = same_verdict(err, &note, router_check_uplink_fields(&scanned_fields, &scanned_up, &scanned_note),
                          &scanned_note);
    if (in->message != NULL) {
        same_uplinks(in->message, &scanned, arena);
    }
    return true;
}

static bool compare_downlink(const router_scanner *scanner, lpx_bytes bytes, const ProtobufCMessage *decoded,
                             lpx_arena *arena, bool *valid)
{
    const Pb__Routing__V1__PublishDownlinkMessageRequest *in = (const void *)decoded;
    router_downlink_fields scanned_fields, fields;
    router_scanned_downlink scanned;
    if (!router_scan_downlink(scanner, bytes, &scanned_fields, &scanned)) {
        return false;
    }
    lpx_assert(in != NULL);
    router_downlink_fields_of(in, &fields);
    same_endpoint(fields.home, scanned_fields.home);
    same_endpoint(fields.forwarder, scanned_fields.forwarder);
    lpx_assert(fields.has_message == scanned_fields.has_message);
    lpx_assert(lpx_bytes_equal(fields.payload, scanned_fields.payload));
    lpx_note note = {""}, scanned_note = {""};
    router_downlink down, scanned_down;
    lpx_err err = router_check_downlink_fields(&fields, &down, &note);
    *valid = same_verdict(err, &note, router_check_downlink_fields(&scanned_fields, &scanned_down, &scanned_note),
                          &scanned_note);
    if (in->message != NULL) {
        const Pb__V3__DownlinkMessage *want;
        router_pieces pieces;
        lpx_err filled = router_fill_downlink(in->message, arena, &want);
        lpx_assert(!lpx_failed(filled));
        router_cut_downlink(&scanned, &pieces);
        same_message(&pieces, &want->base, arena);
    }
    return true;
}

static bool compare_report(const router_scanner *scanner, traffic_direction direction, lpx_bytes bytes,
                           const ProtobufCMessage *decoded, bool *valid)
{
    router_report report, scanned;
    bool is_there, scanned_is_there;
    if (!router_scan_report(scanner, direction, bytes, &scanned, &scanned_is_there)) {
        return false;
    }
    lpx_assert(decoded != NULL);
    is_there = direction == TRAFFIC_UP ? router_uplink_report_of((const void *)decoded, &report)
                                       : router_downlink_report_of((const void *)decoded, &report);
    lpx_assert(is_there == scanned_is_there);
    same_report(&report, &scanned);
    lpx_note note = {""}, scanned_note = {""};
    lpx_err err = router_check_report(&report, is_there, &note);
    *valid = same_verdict(err, &note, router_check_report(&scanned, scanned_is_there, &scanned_note), &scanned_note);
    return true;
}

bool scan_compare(const router_scanner *scanner, scan_request request, lpx_bytes bytes, bool *valid)
{
    bool ignored, scanned = false;
    lpx_arena arena;
    lpx_arena_init(&arena, ARENA_BYTES);
    ProtobufCMessage *decoded = NULL;
    if (lpx_failed(pb_decode(scan_descriptor(request), bytes, &arena, &decoded, NULL))) {
        decoded = NULL;
    }
    valid = valid != NULL ? valid : &ignored;
    *valid = false;
    switch (request) {
    case SCAN_UPLINK:
        scanned = compare_uplink(scanner, bytes, decoded, &arena, valid);
        break;
    case SCAN_DOWNLINK:
        scanned = compare_downlink(scanner, bytes, decoded, &arena, valid);
        break;
    case SCAN_UPLINK_REPORT:
        scanned = compare_report(scanner, TRAFFIC_UP, bytes, decoded, valid);
        break;
    case SCAN_DOWNLINK_REPORT:
        scanned = compare_report(scanner, TRAFFIC_DOWN, bytes, decoded, valid);
        break;
    case SCAN_REQUESTS:
        break;
    }
    lpx_arena_fini(&arena);
    return scanned;
}
