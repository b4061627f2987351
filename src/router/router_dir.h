/* Directory of all open subscriptions of the exchange, as one loop knows them: each loop has its own, kept equal by
 * events. A subscription belongs to the loop whose connection it came by; the others only look at it. Level 6; pure.
 * Thread: a directory has one owner; a router_sub is shared, and all but its counters is immutable. */
#pragma once
#include <stdatomic.h>

#include "base/err.h"
#include "router/router_tables.h"

enum { ROUTER_TEXT_BYTES = 64 };

/** What a subscription is made of; everything is copied. */
typedef struct router_sub_spec {
    traffic_direction direction; /* TRAFFIC_UP: a home network receives uplinks; TRAFFIC_DOWN: a forwarder, downlinks */
    traffic_endpoint endpoint;   /* ids of at most 63 characters */
    lpx_str group;               /* empty: every stream gets each message; else one stream of the group does */
    const router_filter *filters;
    size_t filter_count;
    unsigned loop;         /* that owns the stream */
    uint32_t max_messages; /* of its queue */
    uint32_t max_bytes;
} router_sub_spec;

enum {
    ROUTER_SUB_FIRST_REASON = TRAFFIC_DROP_QUEUE_FULL,
    ROUTER_SUB_REASONS = TRAFFIC_DROP_REASONS - ROUTER_SUB_FIRST_REASON
};

/** What became of the copies of subscriptions. */
typedef struct router_sub_totals {
    uint64_t sent;
    uint64_t dropped[ROUTER_SUB_REASONS]; /* by reason - ROUTER_SUB_FIRST_REASON */
} router_sub_totals;

/** One subscription, shared by reference count. Read only, but for what is said otherwise. */
typedef struct router_sub {
    atomic_uint refs; /* private */
    traffic_direction direction;
    traffic_endpoint endpoint;
    lpx_str group;
    const router_filter *filters;
    size_t filter_count;
    bool names_euis; /* a filter names EUIs: join-requests for them are wanted */
    unsigned loop;
    uint32_t max_messages, max_bytes;
    /* What waits in its queue and on the way there; a loop that decides adds, the owner takes away. */
    atomic_uint waiting_messages;
    atomic_uint waiting_bytes;
    atomic_ullong sent, dropped[ROUTER_SUB_REASONS]; /* as router_sub_totals */
    void *stream;                                    /* the owning loop's; no other looks at it */
} router_sub;

/** New subscription with one reference. @return NULL when memory is short */
router_sub *router_sub_new(const router_sub_spec *spec);
/** One reference more; returns its argument. @thread any */
router_sub *router_sub_ref(router_sub *sub);
/** One reference less, the last frees; clears the pointer; accepts NULL. @thread any */
void router_sub_unref(router_sub **sub);
/** Count a copy that was lost. @thread any */
void router_sub_count_drop(router_sub *sub, traffic_drop reason);
/** Add its totals. @thread any */
void router_sub_add_totals(const router_sub *sub, router_sub_totals *to);
/** Add totals to others. */
void router_totals_add(router_sub_totals *to, const router_sub_totals *more);
/** Is there room for one more message in its queue? */
bool router_sub_has_room(const router_sub *sub);

/** Subscriptions of one member and direction that share cluster and group. */
typedef struct router_group {
    char cluster_text[ROUTER_TEXT_BYTES], name_text[ROUTER_TEXT_BYTES];
    uint8_t cluster_len, name_len;
    router_sub **subs;
    uint32_t count, room;
    uint32_t cursor;        /* whose turn it is, when the group has a name */
    router_sub_totals past; /* of subscriptions that have left */
} router_group;

/** All subscriptions of one member and direction. */
typedef struct router_place {
    traffic_direction direction;
    uint32_t net_id;
    char tenant_text[ROUTER_TEXT_BYTES];
    uint8_t tenant_len;
    router_group *groups;
    uint32_t group_count, group_room;
    uint32_t sub_count;
    uint32_t naming_count; /* subscriptions that name EUIs */
} router_place;

typedef struct router_dir router_dir;

/** New empty directory. @param seed secret random number for its hash table @return NULL when memory is short */
router_dir *router_dir_new(uint64_t seed);
/** Free, giving up its references; clears the pointer; accepts NULL. */
void router_dir_free(router_dir **dir);
/** Add a subscription; the directory takes a reference of its own.
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY; nothing is changed then */
LPX_RESULT router_dir_add(router_dir *dir, router_sub *sub);
/** Remove a subscription and give up the reference. @return false when it is not there */
bool router_dir_remove(router_dir *dir, router_sub *sub);

/** May one more subscription of this member be opened?
 * @err RESOURCE_EXHAUSTED: ROUTER_TOO_MANY_STREAMS (note says which limit) */
LPX_RESULT router_dir_check_room(const router_dir *dir, traffic_direction direction, traffic_member member,
                                 lpx_note *note);
/** The place of a member; NULL when it has no subscription. */
router_place *router_dir_find(const router_dir *dir, traffic_direction direction, traffic_member member);
/** The place of a member by its number in a snapshot, as router_dir_find. What was found is remembered until the next
 * snapshot and the next member that comes or goes, so that no text is hashed for each message. */
router_place *router_dir_at(router_dir *dir, traffic_direction direction, const router_tables *tables, uint32_t number);
/** Place number index of those that have subscriptions naming EUIs; NULL behind the last. */
router_place *router_dir_naming(const router_dir *dir, uint32_t index);
/** See every group, in no order. */
void router_dir_each_group(const router_dir *dir,
                           void (*see)(void *ctx, const router_place *place, const router_group *group), void *ctx);
/** Subscriptions in all. */
uint32_t router_dir_count(const router_dir *dir);
/** Cluster of a group (empty: any). */
lpx_str router_group_cluster(const router_group *group);
/** Name of a group (empty: each subscription for itself). */
lpx_str router_group_name(const router_group *group);
