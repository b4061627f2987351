/* One routed message as it is sent: its bytes, and what must be told when it is settled. Shared by reference count by
 * all subscriptions that get the same. Level 6; pure. Thread: any; nothing but the count changes. */
#pragma once
#include "base/bytes.h"
#include "traffic/traffic.h"

/** What a copy is about; texts are copied. */
typedef struct router_copy_about {
    lpx_str id;
    traffic_direction direction;
    traffic_kind kind;
    traffic_endpoint forwarder, home;
} router_copy_about;

typedef struct router_copy router_copy;

/** New copy with one reference. @param message serialised, copied @return NULL when memory is short */
router_copy *router_copy_new(const router_copy_about *about, lpx_bytes message);
/** New copy of len bytes that are still to be written, before anyone else gets it. @param room where; else as
 * router_copy_new */
router_copy *router_copy_begin(const router_copy_about *about, size_t len, lpx_space *room);
/** One reference more; returns its argument. @thread any */
router_copy *router_copy_ref(router_copy *copy);
/** One reference less, the last frees; clears the pointer; accepts NULL. @thread any */
void router_copy_unref(router_copy **copy);
/** The serialised message; valid while a reference is held. */
lpx_bytes router_copy_message(const router_copy *copy);
/** What it is about; valid while a reference is held. */
const router_copy_about *router_copy_get_about(const router_copy *copy);
