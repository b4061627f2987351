/* Filters of a home network's subscription: several are alternatives, the conditions inside one all hold; an empty list
 * allows everything, and a prefix of length 0 matches everything. Level 6; pure. Thread: any.
 *
 * A missing FPort counts as 0, as in the teaser. The condition on gateway metadata looks at what the policy leaves:
 * signal quality or localization, plain or encrypted. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "lorawan/ids.h"
#include "pb_v3_api.pb-c.h"
#include "traffic/traffic.h"

typedef enum router_filter_kind { ROUTER_FILTER_ANY, ROUTER_FILTER_JOIN, ROUTER_FILTER_MAC } router_filter_kind;
typedef enum router_want { ROUTER_WANT_ANY, ROUTER_WANT_FALSE, ROUTER_WANT_TRUE } router_want;

/** Both must match. */
typedef struct router_eui_pair {
    lw_eui64_prefix join_eui, dev_eui;
} router_eui_pair;

/** Ports from low to high, both included. */
typedef struct router_port_range {
    uint32_t low, high;
} router_port_range;

/** One filter; lists are borrowed. */
typedef struct router_filter {
    router_filter_kind kind;
    bool needs_metadata;
    const router_eui_pair *euis; /* ROUTER_FILTER_JOIN */
    size_t eui_count;
    router_want confirmed, f_opts; /* ROUTER_FILTER_MAC, and the lists below */
    const lw_devaddr_prefix *dev_addrs;
    size_t dev_addr_count;
    const router_port_range *ports;
    size_t port_count;
} router_filter;

/** A home network that is known from elsewhere than the subscriptions: by the Join Server of a join-request. */
typedef struct router_home {
    traffic_endpoint at; /* cluster empty: any */
    traffic_route route; /* FIXED, LOOKUP */
} router_home;

/** What filters, policies and settings look at in an uplink. */
typedef struct router_uplink {
    traffic_endpoint forwarder;
    traffic_kind kind;
    uint64_t join_eui, dev_eui; /* TRAFFIC_JOIN, and homes */
    const router_home *homes;   /* each a different member; borrowed */
    uint32_t came_by;           /* number of the peer that handed it over, plus 1; 0: it is from its forwarder */
    size_t home_count;
    bool lookup_failed; /* a Join Server did not say whose the device is */
    uint32_t dev_addr;  /* TRAFFIC_DATA, and those below */
    uint32_t f_port;    /* 0 to 255; 0 also without FPort */
    bool confirmed, f_opts;
    bool has_metadata;                         /* anything at all about gateway reception */
    bool has_signal_quality, has_localization; /* plain or encrypted */
    lpx_bytes payload_hash;                    /* of the teaser, of any length */
    lpx_bytes plain;                           /* PHYPayload; empty when it is encrypted */
    lpx_mono now;
} router_uplink;

/** Decode and check the filters of a subscription.
 * @param in    as they came; borrowed for the call
 * @param arena holds the result
 * @err INVALID_ARGUMENT: ROUTER_BAD_FILTER (note names filter and field); RESOURCE_EXHAUSTED: ROUTER_TOO_MANY_FILTERS,
 *      BASE_NO_MEMORY */
LPX_RESULT router_filters_decode(Pb__V3__RoutingFilter *const *in, size_t count, lpx_arena *arena,
                                 const router_filter **out, lpx_note *note);

/** Does an uplink pass?
 * @param metadata some of its gateway metadata is left after the policy
 * @param number   set to the first filter that passed, from 1; 0 when there is none to pass */
bool router_filters_pass(const router_filter *filters, size_t count, const router_uplink *uplink, bool metadata,
                         uint32_t *number);

/** Do the filters ask for this join-request by name: does a filter for join-requests pass it by an EUI prefix of at
 * least one bit? Parameters as router_filters_pass. */
bool router_filters_name(const router_filter *filters, size_t count, const router_uplink *uplink, bool metadata,
                         uint32_t *number);

/** Is there an EUI prefix of at least one bit in any filter? */
bool router_filters_name_any(const router_filter *filters, size_t count);
