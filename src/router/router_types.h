/* Words that the whole router uses: who, which way, what kind, why not. Level 6; pure, no allocation. */
#pragma once
#include "base/bytes.h"

/** Which way a message goes: up from forwarder to home network, or down. */
typedef enum router_direction { ROUTER_UP, ROUTER_DOWN, ROUTER_DIRECTIONS } router_direction;

/** Join-request or join-accept; data frame. */
typedef enum router_kind { ROUTER_JOIN, ROUTER_DATA, ROUTER_KINDS } router_kind;

/** Why a message, or one copy of it, did not arrive. */
typedef enum router_drop_reason {
    ROUTER_DROP_NO_ROUTE,    /* uplink: no DevAddr block; join-request: no subscription names its EUIs */
    ROUTER_DROP_LOOPBACK,    /* own traffic, and loopback is off */
    ROUTER_DROP_POLICY,      /* the forwarder's policy refuses this kind of message */
    ROUTER_DROP_NO_ENDPOINT, /* nobody is subscribed */
    ROUTER_DROP_FILTER,      /* somebody is subscribed, and all filters refuse */
    ROUTER_DROP_QUEUE_FULL,  /* the oldest in the queue of a slow subscriber */
    ROUTER_DROP_QUEUE_AGE,   /* waited too long in the queue of a slow subscriber */
    ROUTER_DROP_GONE,        /* the subscriber left before it was sent */
    ROUTER_DROP_RELAY_FULL,  /* another loop does not keep up */
    ROUTER_DROP_MEMORY,      /* all queues of a loop together hold too much, or the heap is exhausted */
    ROUTER_DROP_REASONS,
} router_drop_reason;

/** Short name of a reason for logs and metrics, "queue_full"; static. */
const char *router_drop_name(router_drop_reason reason);

/** A network (tenant_id empty) or one of its tenants. Text is borrowed. */
typedef struct router_member {
    uint32_t net_id;
    lpx_str tenant_id;
} router_member;

/** A member and one of its clusters (empty: any, or none). Text is borrowed. */
typedef struct router_endpoint {
    uint32_t net_id;
    lpx_str tenant_id;
    lpx_str cluster_id;
} router_endpoint;

/** The member of an endpoint. */
static inline router_member router_member_of(router_endpoint endpoint)
{
    return (router_member){.net_id = endpoint.net_id, .tenant_id = endpoint.tenant_id};
}

/** Are both the same network or the same tenant? */
static inline bool router_member_equal(router_member a, router_member b)
{
    return a.net_id == b.net_id && lpx_str_equal(a.tenant_id, b.tenant_id);
}
