/* What it costs to read an uplink of 400 bytes in place and to write the routed message around it, in CPU nanoseconds
 * per message; beside it the same by decoding, stripping and encoding with protobuf-c. Allocations of copies are in
 * neither. 1,024 different messages; medians of several alternating rounds. Prints one figure per line: name value. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "codec/pb/pb.h"
#include "load.h"
#include "router/router_core.h"
#include "router/router_envelope.h"
#include "router/router_strip.h"
#include "uplinks.h"

enum { ROUNDS = 15, MESSAGES = 1 << 16, ROOM_BYTES = 4096, ARENA_BYTES = 1 << 20 };

/* Ways to route a message. */
typedef enum way { SCAN_ONLY, SCAN, SCAN_CHECKED, SCAN_STRIP, PROTOBUF_C, PROTOBUF_C_STRIP, WAYS } way;

static const char *const names[WAYS] = {
    "scan_only_ns", "scan_ns", "scan_checked_ns", "scan_strip_localization_ns", "protobuf_c_ns", "protobuf_c_strip_ns",
};

typedef struct bench {
    router_scanner *scanner;
    lpx_arena arena;
    router_envelope envelope;
    traffic_endpoint home;
    lpx_bytes requests[UPLINKS_DIFFERENT];
    uint8_t room[ROOM_BYTES];
    size_t bytes; /* written, so that nothing is left out */
} bench;

static double cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* As the router does it, but for the copy, which is written into the room. */
static void scan(bench *b, lpx_bytes request, way how)
{
    router_uplink_fields fields;
    router_scanned_uplink scanned;
    router_pieces pieces;
    router_uplink up;
    bool mine = router_scan_uplink(b->scanner, request, &fields, &scanned);
    lpx_assert(mine);
    if (how == SCAN_ONLY) {
        b->bytes += fields.plain.len;
        return;
    }
    lpx_err err = LPX_SUCCESS;
    if (how == SCAN_CHECKED) {
        err = router_check_uplink_fields(&fields, &up, NULL);
        lpx_assert(!lpx_failed(err));
    }
    b->envelope.forwarder = fields.forwarder;
    router_letter letter = {.home = b->home, .message = &pieces};
    err = router_envelope_make(&b->envelope, &b->arena, &letter.shared);
    lpx_assert(!lpx_failed(err));
    err = router_cut_uplink(&scanned, how == SCAN_STRIP ? ROUTER_STRIP_LOCALIZATION : 0, &b->arena, &pieces);
    lpx_assert(!lpx_failed(err));
    size_t len = router_letter_len(&letter);
    lpx_assert(len <= sizeof b->room);
    router_letter_write(&letter, (lpx_space){b->room, len});
    b->bytes += len;
}

static void decode(bench *b, lpx_bytes request, unsigned strip)
{
    ProtobufCMessage *message;
    lpx_err err =
        pb_decode(&pb__routing__v1__publish_uplink_message_request__descriptor, request, &b->arena, &message, NULL);
    lpx_assert(!lpx_failed(err));
    const Pb__Routing__V1__PublishUplinkMessageRequest *in = (const void *)message;
    const Pb__V3__UplinkMessage *out;
    err = router_strip_uplink(in->message, strip, &b->arena, &out);
    lpx_assert(!lpx_failed(err));
    Google__Protobuf__Timestamp time;
    google__protobuf__timestamp__init(&time);
    time.seconds = b->envelope.time.us / 1000000;
    time.nanos = (int32_t)(b->envelope.time.us % 1000000 * 1000);
    Pb__V3__RouteHop hop, *hops[] = {&hop};
    pb__v3__route_hop__init(&hop);
    hop.received_at = &time;
    hop.sender_name = (char *)(uintptr_t)b->envelope.sender.ptr;
    hop.receiver_name = (char *)(uintptr_t)b->envelope.receiver.ptr;
    hop.protocol = PB__V3__PROTOCOL__GRPC;
    Pb__V3__RoutedUplinkMessage routed;
    pb__v3__routed_uplink_message__init(&routed);
    routed.time = &time;
    routed.id = (char *)(uintptr_t)b->envelope.id.ptr;
    routed.forwarder_net_id = in->forwarder_net_id;
    routed.home_network_net_id = b->home.net_id;
    routed.message = (Pb__V3__UplinkMessage *)(uintptr_t)out;
    routed.hops = hops;
    routed.n_hops = 1;
    b->bytes += pb__v3__routed_uplink_message__pack(&routed, b->room);
}

static void route(bench *b, lpx_bytes request, way how)
{
    switch (how) {
    case SCAN_ONLY:
    case SCAN:
    case SCAN_CHECKED:
    case SCAN_STRIP:
        scan(b, request, how);
        break;
    case PROTOBUF_C:
        decode(b, request, 0);
        break;
    case PROTOBUF_C_STRIP:
        decode(b, request, ROUTER_STRIP_LOCALIZATION);
        break;
    case WAYS:
        break;
    }
    lpx_arena_reset(&b->arena);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Usage: scan [DIFFERENT]: so many different messages, 1 to 1,024. */
int main(int argc, char **argv)
{
    static bench b;
    static double ns[WAYS][ROUNDS];
    unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : UPLINKS_DIFFERENT;
    unsigned different = wanted > 0 && wanted < UPLINKS_DIFFERENT ? (unsigned)wanted : UPLINKS_DIFFERENT;
    uplinks *set = uplinks_new(0xC00013, 0xFC009000);
    for (unsigned i = 0; i < UPLINKS_DIFFERENT; i++) {
        lpx_bytes framed = uplinks_next(set, 0);
        b.requests[i] = lpx_bytes_of(framed.ptr + LOAD_PREFIX_BYTES, framed.len - LOAD_PREFIX_BYTES);
    }
    b.scanner = router_scanner_new();
    lpx_assert(b.scanner != NULL);
    lpx_arena_init(&b.arena, ARENA_BYTES);
    b.envelope = (router_envelope){.direction = TRAFFIC_UP,
                                   .time = {1700000000123456},
                                   .id = LPX_STR("01J9Z3V5M8K2N4P6R8T0V2X4Z6-UD-0123456789ABCDEF"),
                                   .sender = LPX_STR("C00013"),
                                   .receiver = LPX_STR("lpx")};
    b.home = (traffic_endpoint){.net_id = 0xC00024};
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned how = 0; how < WAYS; how++) {
            double since = cpu_ns();
            for (unsigned i = 0; i < MESSAGES; i++) {
                route(&b, b.requests[i % different], (way)how);
            }
            ns[how][round] = (cpu_ns() - since) / MESSAGES;
        }
    }
    for (unsigned how = 0; how < WAYS; how++) {
        qsort(ns[how], ROUNDS, sizeof ns[how][0], by_value);
        (void)printf("%s %.1f\n", names[how], ns[how][ROUNDS / 2]);
    }
    lpx_arena_fini(&b.arena);
    router_scanner_free(&b.scanner);
    return b.bytes > 0 ? 0 : 1;
}
