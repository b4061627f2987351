/* Words of the data plane that the router, reports and traces share: who, which way, what kind, why not; and what the
 * router tells those who observe it. Level 1; plain data, no allocation.
 * Views in events are borrowed for the call. */
#pragma once
#include "base/bytes.h"
#include "base/time.h"

/** Which way a message goes: up from forwarder to home network, or down. */
typedef enum traffic_direction { TRAFFIC_UP, TRAFFIC_DOWN, TRAFFIC_DIRECTIONS } traffic_direction;

/** Join-request or join-accept; data frame. */
typedef enum traffic_kind { TRAFFIC_JOIN, TRAFFIC_DATA, TRAFFIC_KINDS } traffic_kind;

/** Why a message, or one copy of it, did not arrive. */
typedef enum traffic_drop {
    TRAFFIC_DROP_NO_ROUTE,    /* uplink: no DevAddr block; join-request: no Join Server and no subscription names it */
    TRAFFIC_DROP_LOOPBACK,    /* own traffic, and loopback is off */
    TRAFFIC_DROP_POLICY,      /* the forwarder's policy refuses this kind of message */
    TRAFFIC_DROP_SETTINGS,    /* the home network's settings refuse this member or forwarder */
    TRAFFIC_DROP_COPIES,      /* the home network has had its copies of this payload */
    TRAFFIC_DROP_LOOKUP,      /* the Join Server of a join-request did not say whose the device is */
    TRAFFIC_DROP_HOPS,        /* it has been here before, or went through too many exchanges */
    TRAFFIC_DROP_PEER,        /* the exchange that serves it refused it, does not answer or does not keep up */
    TRAFFIC_DROP_NO_ENDPOINT, /* nobody is subscribed */
    TRAFFIC_DROP_FILTER,      /* somebody is subscribed, and all filters refuse */
    TRAFFIC_DROP_QUEUE_FULL,  /* the oldest in the queue of a slow subscriber */
    TRAFFIC_DROP_QUEUE_AGE,   /* waited too long in the queue of a slow subscriber */
    TRAFFIC_DROP_GONE,        /* the subscriber left before it was sent */
    TRAFFIC_DROP_RELAY_FULL,  /* another loop does not keep up */
    TRAFFIC_DROP_MEMORY,      /* all queues of a loop together hold too much, or the heap is exhausted */
    TRAFFIC_DROP_REASONS,
} traffic_drop;

/** Short name of a reason for logs and metrics, "queue_full"; static. */
const char *traffic_drop_name(traffic_drop reason);

/** A network (tenant_id empty) or one of its tenants. Text is borrowed. */
typedef struct traffic_member {
    uint32_t net_id;
    lpx_str tenant_id;
} traffic_member;

/** A member and one of its clusters (empty: any, or none). Text is borrowed. */
typedef struct traffic_endpoint {
    uint32_t net_id;
    lpx_str tenant_id;
    lpx_str cluster_id;
} traffic_endpoint;

/** The member of an endpoint. */
static inline traffic_member traffic_member_of(traffic_endpoint endpoint)
{
    return (traffic_member){.net_id = endpoint.net_id, .tenant_id = endpoint.tenant_id};
}

/** Are both the same network or the same tenant? */
static inline bool traffic_member_equal(traffic_member a, traffic_member b)
{
    return a.net_id == b.net_id && lpx_str_equal(a.tenant_id, b.tenant_id);
}

/* ---- what an observer is told ---- */

/** Which policy decided. */
typedef enum traffic_policy {
    TRAFFIC_POLICY_NONE,            /* none was asked */
    TRAFFIC_POLICY_TENANT,          /* of the forwarder toward the home network's tenant, or toward the network when it
                                       has no tenant */
    TRAFFIC_POLICY_NETWORK,         /* of the forwarder toward the whole network of a tenant */
    TRAFFIC_POLICY_DEFAULT,         /* the forwarder's default */
    TRAFFIC_POLICY_NETWORK_DEFAULT, /* the default of the forwarder's network */
    TRAFFIC_POLICY_SETTING,         /* the setting of the exchange */
} traffic_policy;

/** How a home network was found. */
typedef enum traffic_route {
    TRAFFIC_ROUTE_NONE,
    TRAFFIC_ROUTE_BLOCK,  /* DevAddr block */
    TRAFFIC_ROUTE_FIXED,  /* Join Server with a fixed endpoint */
    TRAFFIC_ROUTE_LOOKUP, /* answer of a Join Server */
    TRAFFIC_ROUTE_FILTER, /* a subscription that names the EUIs of a join-request */
    TRAFFIC_ROUTE_NAMED,  /* downlink: the message names its forwarder */
    TRAFFIC_ROUTE_PEER,   /* another exchange serves it, or handed it over */
} traffic_route;

/** What was decided about a message toward one home network (uplink) or its forwarder (downlink). */
typedef struct traffic_outcome {
    traffic_endpoint home; /* as in the routed message; the sender of a downlink */
    traffic_route route;
    traffic_policy policy;
    bool delivered;    /* to at least one queue; else drop says why not */
    traffic_drop drop; /* !delivered */
    uint32_t copies;   /* delivered: streams that got one */
    uint32_t filter;   /* delivered: number of the first filter that passed, from 1; 0: the subscription has none */
    bool stripped_signal_quality, stripped_localization; /* uplinks */
} traffic_outcome;

/** One message through the router, told once, when everything about it is decided. */
typedef struct traffic_passage {
    lpx_utc time;
    lpx_str id;
    traffic_direction direction;
    traffic_kind kind;
    traffic_endpoint forwarder; /* sender of an uplink, receiver of a downlink */
    uint32_t dev_addr, f_port;  /* TRAFFIC_DATA */
    uint64_t join_eui, dev_eui; /* uplinks of TRAFFIC_JOIN */
    const lpx_str *hops;        /* "name" of each exchange or party before this one, in order */
    size_t hop_count;
    const traffic_outcome *outcomes; /* one for each home network; a message with no route has one without home */
    size_t outcome_count;
} traffic_passage;

/** What became of a copy that was put in a queue. */
typedef struct traffic_copy {
    lpx_utc time;
    lpx_str id;
    traffic_direction direction;
    traffic_kind kind;
    traffic_endpoint forwarder, home;
    bool sent;         /* written to the stream, or taken by another exchange; else drop says what became of it */
    traffic_drop drop; /* QUEUE_FULL, QUEUE_AGE, GONE, RELAY_FULL, MEMORY, PEER */
} traffic_copy;

/** A report of processing that counts: the first one of its message and home network. */
typedef struct traffic_report {
    lpx_utc time;
    lpx_str id;
    traffic_direction direction; /* of the message */
    traffic_kind kind;
    traffic_endpoint forwarder, home;
    bool failed;
    int error; /* failed: UplinkMessageProcessingError or DownlinkMessageProcessingError */
} traffic_report;

/** Who is told. Calls come on the loop that handled the message, from several loops at once; they must be short, must
 * not block and must not call the router. Members may be NULL. */
typedef struct traffic_observer {
    void (*passed)(void *ctx, unsigned loop, const traffic_passage *passage);
    void (*settled)(void *ctx, unsigned loop, const traffic_copy *copy);
    void (*reported)(void *ctx, unsigned loop, const traffic_report *report);
    void *ctx;
} traffic_observer;
