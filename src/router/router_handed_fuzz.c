/* What other exchanges hand over, and the file that names them. The first byte chooses. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "codec/pb/pb.h"
#include "pb_routing_v1_api.pb-c.h"
#include "router/router_handed.h"
#include "router/router_peers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20 };

/* What was accepted keeps what the rest of the router relies on. */
static void check_way(Pb__V3__RouteHop *const *hops, size_t count)
{
    lpx_note note = {""};
    lpx_err err = router_handed_check_way(hops, count, LPX_STR("own"), &note);
    lpx_assert(lpx_failed(err) == (note.text[0] != '\0'));
    lpx_assert(lpx_failed(err) || count <= ROUTER_MAX_HOPS);
}

static void uplink(lpx_bytes in, lpx_arena *arena)
{
    ProtobufCMessage *message;
    lpx_note note = {""};
    if (lpx_failed(pb_decode(&pb__routing__v1__route_uplink_message_request__descriptor, in, arena, &message, &note))) {
        return;
    }
    const Pb__V3__RoutedUplinkMessage *routed =
        ((const Pb__Routing__V1__RouteUplinkMessageRequest *)(const void *)message)->message;
    router_uplink out;
    if (lpx_failed(router_handed_check_uplink(routed, &out, &note))) {
        lpx_assert(note.text[0] != '\0');
        return;
    }
    lpx_assert(routed->message != NULL && pb_str(routed->id).len > 0);
    check_way(routed->hops, routed->n_hops);
}

static void downlink(lpx_bytes in, lpx_arena *arena)
{
    ProtobufCMessage *message;
    lpx_note note = {""};
    if (lpx_failed(
            pb_decode(&pb__routing__v1__route_downlink_message_request__descriptor, in, arena, &message, &note))) {
        return;
    }
    const Pb__V3__RoutedDownlinkMessage *routed =
        ((const Pb__Routing__V1__RouteDownlinkMessageRequest *)(const void *)message)->message;
    router_downlink out;
    if (lpx_failed(router_handed_check_downlink(routed, &out, &note))) {
        lpx_assert(note.text[0] != '\0');
        return;
    }
    lpx_assert(routed->message != NULL && pb_str(routed->id).len > 0);
    check_way(routed->hops, routed->n_hops);
}

static void peers(lpx_bytes in)
{
    char path[32];
    router_peers *out = NULL;
    lpx_note note = {""};
    int file = memfd_create("peers", MFD_CLOEXEC);
    lpx_assert(file >= 0 && write(file, in.ptr, in.len) == (ssize_t)in.len);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (lpx_failed(router_peers_read(path, &out, &note))) {
        lpx_assert(note.text[0] != '\0' && out == NULL);
    } else {
        for (size_t i = 0; i < out->count; i++) {
            lpx_assert(out->list[i].name[0] != '\0' && out->list[i].address[0] != '\0');
        }
    }
    router_peers_free(&out);
    (void)close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    lpx_bytes in = lpx_bytes_of(data + 1, size - 1);
    lpx_arena arena;
    lpx_arena_init(&arena, ARENA_BYTES);
    switch (data[0] % 3) {
    case 0:
        uplink(in, &arena);
        break;
    case 1:
        downlink(in, &arena);
        break;
    default:
        peers(in);
    }
    lpx_arena_fini(&arena);
    return 0;
}
