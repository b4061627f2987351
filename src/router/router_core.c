#include "router/router_core.h"

#include "lpx_reasons.h"

enum { LIST_FIRST = 8 };

/* ---- effects ---- */

/* Room for one more entry of a list in the arena. */
static lpx_err grow(lpx_arena *arena, void **list, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return LPX_SUCCESS;
    }
    size_t bigger = *room > 0 ? *room * 2 : LIST_FIRST;
    void *moved = lpx_arena_array(arena, bigger, size);
    if (moved == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (count > 0) {
        memcpy(moved, *list, count * size);
    }
    *list = moved;
    *room = bigger;
    return LPX_SUCCESS;
}

static lpx_err add_delivery(router_effects *out, router_delivery delivery)
{
    void *list = out->deliveries;
    LPX_TRY(grow(out->arena, &list, out->delivery_count, &out->delivery_room, sizeof delivery));
    out->deliveries = list;
    out->deliveries[out->delivery_count++] = delivery;
    return LPX_SUCCESS;
}

static lpx_err add_drop(router_effects *out, traffic_drop reason, traffic_endpoint home)
{
    void *list = out->drops;
    LPX_TRY(grow(out->arena, &list, out->drop_count, &out->drop_room, sizeof *out->drops));
    out->drops = list;
    out->drops[out->drop_count++] = (router_drop){.reason = reason, .home = home};
    return LPX_SUCCESS;
}

/* ---- one message for one home network or forwarder ---- */

/* What decides who of a member's subscriptions gets a message. */
typedef struct round {
    const router_uplink *uplink; /* NULL: a downlink, which no filter stops */
    bool named_only;             /* join-requests: only filters that name EUIs count */
    bool metadata;               /* left after the policy */
    uint8_t strip;
    router_effects *out;
    bool met; /* a subscription matches by cluster */
    bool given;
} round;

static bool sub_passes(const round *r, const router_sub *sub)
{
    if (r->uplink == NULL) {
        return true;
    }
    if (r->named_only) {
        return router_filters_name(sub->filters, sub->filter_count, r->uplink, r->metadata);
    }
    return router_filters_pass(sub->filters, sub->filter_count, r->uplink, r->metadata);
}

/* Whose turn is it? The next whose filters pass and whose queue has room; when no queue has room the next whose filters
 * pass, and the oldest in its queue will go. NULL: no filter passes. */
static router_sub *group_pick(const round *r, router_group *group)
{
    uint32_t full = group->count;
    uint32_t start = group->cursor < group->count ? group->cursor : 0;
    uint32_t picked = group->count;
    for (uint32_t i = 0; i < group->count && picked == group->count; i++) {
        uint32_t at = (start + i) % group->count;
        if (!sub_passes(r, group->subs[at])) {
            continue;
        }
        if (router_sub_has_room(group->subs[at])) {
            picked = at;
        } else if (full == group->count) {
            full = at;
        }
    }
    picked = picked < group->count ? picked : full;
    if (picked == group->count) {
        return NULL;
    }
    group->cursor = (picked + 1) % group->count;
    return group->subs[picked];
}

static lpx_err give(round *r, router_sub *sub, traffic_endpoint home)
{
    r->given = true;
    return add_delivery(r->out, (router_delivery){.sub = sub, .home = home, .strip = r->strip});
}

static lpx_err give_group(round *r, router_group *group, traffic_endpoint home)
{
    r->met = true;
    if (group->name_len > 0) {
        router_sub *picked = group_pick(r, group);
        return picked != NULL ? give(r, picked, home) : LPX_SUCCESS;
    }
    for (uint32_t i = 0; i < group->count; i++) {
        if (sub_passes(r, group->subs[i])) {
            LPX_TRY(give(r, group->subs[i], home));
        }
    }
    return LPX_SUCCESS;
}

static bool cluster_matches(const router_group *group, lpx_str cluster)
{
    return group->cluster_len == 0 || cluster.len == 0 || lpx_str_equal(router_group_cluster(group), cluster);
}

/* ---- uplinks ---- */

static uint8_t type_flag_up(const router_uplink *uplink)
{
    if (uplink->kind == TRAFFIC_JOIN) {
        return ROUTER_UP_JOIN_REQUEST;
    }
    return uplink->f_port == 0 ? ROUTER_UP_MAC_DATA : ROUTER_UP_APPLICATION_DATA;
}

static uint8_t strip_of(const router_uplink *uplink, uint8_t allowed)
{
    bool signal = (allowed & ROUTER_UP_SIGNAL_QUALITY) != 0;
    bool localization = (allowed & ROUTER_UP_LOCALIZATION) != 0;
    unsigned strip = 0;
    strip |= uplink->has_signal_quality && !signal ? ROUTER_STRIP_SIGNAL_QUALITY : 0u;
    strip |= uplink->has_localization && !localization ? ROUTER_STRIP_LOCALIZATION : 0u;
    strip |= uplink->has_metadata && !signal && !localization ? ROUTER_STRIP_TEASER : 0u;
    return (uint8_t)strip;
}

/* Ask loopback and policy. @return false and *reason when the home network may not have this uplink */
static bool uplink_allowed(const router_tables *tables, const router_uplink *uplink, traffic_member home, round *r,
                           traffic_drop *reason)
{
    traffic_member forwarder = traffic_member_of(uplink->forwarder);
    if (traffic_member_equal(forwarder, home) && !router_tables_loopback(tables)) {
        *reason = TRAFFIC_DROP_LOOPBACK;
        return false;
    }
    uint8_t allowed = router_tables_policy(tables, forwarder, home).uplink;
    if ((allowed & type_flag_up(uplink)) == 0) {
        *reason = TRAFFIC_DROP_POLICY;
        return false;
    }
    r->strip = strip_of(uplink, allowed);
    r->metadata = (uplink->has_signal_quality && (allowed & ROUTER_UP_SIGNAL_QUALITY) != 0) ||
                  (uplink->has_localization && (allowed & ROUTER_UP_LOCALIZATION) != 0);
    return true;
}

/* The first of a member's blocks whose cluster this group takes: all stand for the same home network, so each
 * subscription gets one copy whatever their number. */
static bool owner_for(const router_tables *tables, router_owners run, const router_group *group, traffic_endpoint *home)
{
    for (uint32_t i = 0; i < run.count; i++) {
        *home = router_tables_owner(tables, run.first + i);
        if (cluster_matches(group, home->cluster_id)) {
            return true;
        }
    }
    return false;
}

static lpx_err give_place(const router_tables *tables, router_place *place, router_owners run, round *r)
{
    for (uint32_t i = 0; place != NULL && i < place->group_count; i++) {
        traffic_endpoint home;
        if (owner_for(tables, run, &place->groups[i], &home)) {
            LPX_TRY(give_group(r, &place->groups[i], home));
        }
    }
    return LPX_SUCCESS;
}

/* A data uplink for one home network: the owners of run are one member, with one or more clusters. */
static lpx_err route_data(const router_tables *tables, router_dir *dir, const router_uplink *uplink, router_owners run,
                          router_effects *out)
{
    traffic_endpoint home = router_tables_owner(tables, run.first);
    traffic_member member = traffic_member_of(home);
    round r = {.uplink = uplink, .out = out};
    traffic_drop reason;
    if (!uplink_allowed(tables, uplink, member, &r, &reason)) {
        return add_drop(out, reason, home);
    }
    LPX_TRY(give_place(tables, router_dir_find(dir, TRAFFIC_UP, member), run, &r));
    if (member.tenant_id.len > 0) {
        traffic_member network = {.net_id = member.net_id};
        LPX_TRY(give_place(tables, router_dir_find(dir, TRAFFIC_UP, network), run, &r));
    }
    if (r.given) {
        return LPX_SUCCESS;
    }
    return add_drop(out, r.met ? TRAFFIC_DROP_FILTER : TRAFFIC_DROP_NO_ENDPOINT, home);
}

/* How many owners from first on are of one member? */
static uint32_t same_member(const router_tables *tables, uint32_t first, uint32_t end)
{
    traffic_member member = traffic_member_of(router_tables_owner(tables, first));
    uint32_t next = first + 1;
    while (next < end && traffic_member_equal(traffic_member_of(router_tables_owner(tables, next)), member)) {
        next++;
    }
    return next - first;
}

static lpx_err route_data_uplink(const router_tables *tables, router_dir *dir, const router_uplink *uplink,
                                 router_effects *out)
{
    router_owners owners = router_tables_find(tables, uplink->dev_addr);
    if (owners.count == 0) {
        return add_drop(out, TRAFFIC_DROP_NO_ROUTE, (traffic_endpoint){0});
    }
    uint32_t end = owners.first + owners.count;
    for (uint32_t at = owners.first; at < end;) {
        router_owners run = {.first = at, .count = same_member(tables, at, end)};
        LPX_TRY(route_data(tables, dir, uplink, run, out));
        at += run.count;
    }
    return LPX_SUCCESS;
}

/* Does any subscription of the place name this join-request, whatever the policy? */
static bool place_names(const router_place *place, const router_uplink *uplink)
{
    for (uint32_t i = 0; i < place->group_count; i++) {
        const router_group *group = &place->groups[i];
        for (uint32_t j = 0; j < group->count; j++) {
            const router_sub *sub = group->subs[j];
            if (sub->names_euis && router_filters_name(sub->filters, sub->filter_count, uplink, true)) {
                return true;
            }
        }
    }
    return false;
}

/* A join-request for one home network some of whose subscriptions name its EUIs. */
static lpx_err route_join(const router_tables *tables, router_place *place, const router_uplink *uplink,
                          router_effects *out)
{
    traffic_endpoint home = {place->net_id, {place->tenant_text, place->tenant_len}, {NULL, 0}};
    round r = {.uplink = uplink, .named_only = true, .out = out};
    traffic_drop reason;
    if (!uplink_allowed(tables, uplink, traffic_member_of(home), &r, &reason)) {
        return add_drop(out, reason, home);
    }
    for (uint32_t i = 0; i < place->group_count; i++) {
        home.cluster_id = router_group_cluster(&place->groups[i]);
        LPX_TRY(give_group(&r, &place->groups[i], home));
    }
    home.cluster_id = (lpx_str){0};
    return r.given ? LPX_SUCCESS : add_drop(out, TRAFFIC_DROP_FILTER, home);
}

static lpx_err route_join_uplink(const router_tables *tables, router_dir *dir, const router_uplink *uplink,
                                 router_effects *out)
{
    bool named = false;
    uint32_t index = 0;
    for (router_place *place = router_dir_naming(dir, index); place != NULL; place = router_dir_naming(dir, ++index)) {
        if (place_names(place, uplink)) {
            named = true;
            LPX_TRY(route_join(tables, place, uplink, out));
        }
    }
    return named ? LPX_SUCCESS : add_drop(out, TRAFFIC_DROP_NO_ROUTE, (traffic_endpoint){0});
}

lpx_err router_route_uplink(const router_tables *tables, router_dir *dir, const router_uplink *uplink,
                            router_effects *out)
{
    if (uplink->kind == TRAFFIC_JOIN) {
        return route_join_uplink(tables, dir, uplink, out);
    }
    return route_data_uplink(tables, dir, uplink, out);
}

/* ---- downlinks ---- */

static uint8_t type_flag_down(const router_downlink *downlink)
{
    if (downlink->kind == TRAFFIC_JOIN) {
        return ROUTER_DOWN_JOIN_ACCEPT;
    }
    return downlink->f_port == 0 ? ROUTER_DOWN_MAC_DATA : ROUTER_DOWN_APPLICATION_DATA;
}

static lpx_err give_forwarder(router_place *place, const router_downlink *downlink, round *r)
{
    for (uint32_t i = 0; place != NULL && i < place->group_count; i++) {
        if (cluster_matches(&place->groups[i], downlink->forwarder.cluster_id)) {
            LPX_TRY(give_group(r, &place->groups[i], downlink->home));
        }
    }
    return LPX_SUCCESS;
}

lpx_err router_route_downlink(const router_tables *tables, router_dir *dir, const router_downlink *downlink,
                              router_effects *out)
{
    traffic_member home = traffic_member_of(downlink->home);
    traffic_member forwarder = traffic_member_of(downlink->forwarder);
    if (traffic_member_equal(home, forwarder) && !router_tables_loopback(tables)) {
        return add_drop(out, TRAFFIC_DROP_LOOPBACK, downlink->home);
    }
    uint8_t allowed = router_tables_policy(tables, forwarder, home).downlink;
    if ((allowed & type_flag_down(downlink)) == 0) {
        return add_drop(out, TRAFFIC_DROP_POLICY, downlink->home);
    }
    round r = {.out = out};
    LPX_TRY(give_forwarder(router_dir_find(dir, TRAFFIC_DOWN, forwarder), downlink, &r));
    if (forwarder.tenant_id.len > 0) {
        traffic_member network = {.net_id = forwarder.net_id};
        LPX_TRY(give_forwarder(router_dir_find(dir, TRAFFIC_DOWN, network), downlink, &r));
    }
    return r.given ? LPX_SUCCESS : add_drop(out, TRAFFIC_DROP_NO_ENDPOINT, downlink->home);
}
