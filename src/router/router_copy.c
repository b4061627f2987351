#include "router/router_copy.h"

#include <stdatomic.h>
#include <stdlib.h>

struct router_copy {
    atomic_uint refs;
    router_copy_about about; /* texts lie behind the message */
    size_t len;
    uint8_t data[];
};

static size_t endpoint_bytes(traffic_endpoint endpoint)
{
    return endpoint.tenant_id.len + endpoint.cluster_id.len;
}

static lpx_str place_text(uint8_t **at, lpx_str text)
{
    lpx_str placed = {(const char *)*at, text.len};
    if (text.len > 0) {
        memcpy(*at, text.ptr, text.len);
        *at += text.len;
    }
    return placed;
}

static traffic_endpoint place_endpoint(uint8_t **at, traffic_endpoint endpoint)
{
    traffic_endpoint placed = {.net_id = endpoint.net_id};
    placed.tenant_id = place_text(at, endpoint.tenant_id);
    placed.cluster_id = place_text(at, endpoint.cluster_id);
    return placed;
}

router_copy *router_copy_begin(const router_copy_about *about, size_t len, lpx_space *room)
{
    size_t texts = about->id.len + endpoint_bytes(about->forwarder) + endpoint_bytes(about->home);
    if (len > SIZE_MAX - sizeof(router_copy) - texts) {
        return NULL;
    }
    router_copy *copy = malloc(sizeof *copy + len + texts);
    if (copy == NULL) {
        return NULL;
    }
    atomic_init(&copy->refs, 1);
    copy->len = len;
    uint8_t *at = copy->data + len;
    copy->about = (router_copy_about){.direction = about->direction, .kind = about->kind};
    copy->about.id = place_text(&at, about->id);
    copy->about.forwarder = place_endpoint(&at, about->forwarder);
    copy->about.home = place_endpoint(&at, about->home);
    *room = (lpx_space){copy->data, len};
    return copy;
}

router_copy *router_copy_new(const router_copy_about *about, lpx_bytes message)
{
    lpx_space room;
    router_copy *copy = router_copy_begin(about, message.len, &room);
    if (copy != NULL && message.len > 0) {
        memcpy(room.ptr, message.ptr, message.len);
    }
    return copy;
}

router_copy *router_copy_ref(router_copy *copy)
{
    atomic_fetch_add_explicit(&copy->refs, 1, memory_order_relaxed);
    return copy;
}

void router_copy_unref(router_copy **ref)
{
    router_copy *copy = *ref;
    *ref = NULL;
    /* Release pairs with acquire: whoever frees has seen all that others did with it. */
    if (copy != NULL && atomic_fetch_sub_explicit(&copy->refs, 1, memory_order_acq_rel) == 1) {
        free(copy);
    }
}

lpx_bytes router_copy_message(const router_copy *copy)
{
    return (lpx_bytes){.ptr = copy->data, .len = copy->len};
}

const router_copy_about *router_copy_get_about(const router_copy *copy)
{
    return &copy->about;
}
