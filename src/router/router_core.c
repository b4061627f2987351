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

/* Add what was decided about one home network or forwarder. */
static lpx_err add_outcome(router_effects *out, const traffic_outcome *outcome)
{
    void *list = out->outcomes;
    LPX_TRY(grow(out->arena, &list, out->outcome_count, &out->outcome_room, sizeof *out->outcomes));
    out->outcomes = list;
    out->outcomes[out->outcome_count++] = *outcome;
    return LPX_SUCCESS;
}

static lpx_err add_no_route(router_effects *out)
{
    traffic_outcome outcome = {.drop = TRAFFIC_DROP_NO_ROUTE};
    return add_outcome(out, &outcome);
}

/* ---- one message for one home network or forwarder ---- */

/* What decides who of a member's subscriptions gets a message, and what came of it. */
typedef struct round {
    const router_uplink *uplink;  /* NULL: a downlink, which no filter stops */
    router_party forwarder, home; /* numbers of who sends and who receives an uplink */
    bool named_only;              /* only filters that name the EUIs of a join-request count */
    bool metadata;                /* left after the policy */
    uint8_t strip;
    router_effects *out;
    const router_settings *settings; /* of the home network; NULL: none */
    bool met;                        /* a subscription matches by cluster */
    traffic_outcome outcome;
} round;

/* @param number of the filter that passed, from 1; 0: there are none */
static bool sub_passes(const round *r, const router_sub *sub, uint32_t *number)
{
    *number = 0;
    if (r->uplink == NULL) {
        return true;
    }
    if (r->named_only) {
        return router_filters_name(sub->filters, sub->filter_count, r->uplink, r->metadata, number);
    }
    return router_filters_pass(sub->filters, sub->filter_count, r->uplink, r->metadata, number);
}

/* Whose turn is it? The next whose filters pass and whose queue has room; when no queue has room the next whose filters
 * pass, and the oldest in its queue will go. NULL: no filter passes. */
static router_sub *group_pick(const round *r, router_group *group, uint32_t *number)
{
    uint32_t full = group->count, full_number = 0;
    uint32_t start = group->cursor < group->count ? group->cursor : 0;
    uint32_t picked = group->count;
    for (uint32_t i = 0; i < group->count && picked == group->count; i++) {
        uint32_t at = (start + i) % group->count;
        if (!sub_passes(r, group->subs[at], number)) {
            continue;
        }
        if (router_sub_has_room(group->subs[at])) {
            picked = at;
        } else if (full == group->count) {
            full = at;
            full_number = *number;
        }
    }
    if (picked == group->count) {
        picked = full;
        *number = full_number;
    }
    if (picked == group->count) {
        return NULL;
    }
    group->cursor = (picked + 1) % group->count;
    return group->subs[picked];
}

static lpx_err give(round *r, router_sub *sub, traffic_endpoint home, uint32_t number)
{
    if (r->outcome.copies++ == 0) {
        r->outcome.filter = number;
    }
    return add_delivery(r->out, (router_delivery){.sub = sub, .home = home, .strip = r->strip});
}

static lpx_err give_group(round *r, router_group *group, traffic_endpoint home)
{
    uint32_t number;
    r->met = true;
    if (group->name_len > 0) {
        router_sub *picked = group_pick(r, group, &number);
        return picked != NULL ? give(r, picked, home, number) : LPX_SUCCESS;
    }
    for (uint32_t i = 0; i < group->count; i++) {
        if (sub_passes(r, group->subs[i], &number)) {
            LPX_TRY(give(r, group->subs[i], home, number));
        }
    }
    return LPX_SUCCESS;
}

/* Take back what was given: the home network has had its copies of this payload. Only what would be delivered counts as
 * a copy, so this is known last; a group's turn has passed all the same. */
static void take_back(round *r)
{
    r->out->delivery_count -= r->outcome.copies;
    r->outcome.copies = r->outcome.filter = 0;
    r->outcome.drop = TRAFFIC_DROP_COPIES;
}

static lpx_err finish_round(round *r)
{
    if (r->outcome.copies == 0) {
        r->outcome.drop = r->met ? TRAFFIC_DROP_FILTER : TRAFFIC_DROP_NO_ENDPOINT;
    } else if (r->settings != NULL &&
               !router_settings_take_copy(r->settings, r->uplink, traffic_member_of(r->outcome.home))) {
        take_back(r);
    }
    r->outcome.delivered = r->outcome.copies > 0;
    return add_outcome(r->out, &r->outcome);
}

static lpx_err refuse(round *r, traffic_drop reason)
{
    r->outcome.drop = reason;
    return add_outcome(r->out, &r->outcome);
}

/* Another exchange has it. */
static lpx_err hand_over(round *r, uint32_t peer)
{
    r->out->hand_over = (router_hand_over){.to = peer + 1, .home = r->outcome.home, .strip = r->strip};
    r->outcome.route = TRAFFIC_ROUTE_PEER;
    r->outcome.copies = 1;
    r->outcome.delivered = true;
    return add_outcome(r->out, &r->outcome);
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

/* Ask loopback, policy and settings. @return false and *reason when the home network may not have this uplink */
static bool uplink_allowed(const router_tables *tables, round *r, traffic_drop *reason)
{
    const router_uplink *uplink = r->uplink;
    traffic_member forwarder = traffic_member_of(uplink->forwarder), home = traffic_member_of(r->outcome.home);
    if (traffic_member_equal(forwarder, home) && !router_tables_loopback(tables)) {
        *reason = TRAFFIC_DROP_LOOPBACK;
        return false;
    }
    router_verdict verdict = router_tables_verdict(tables, r->forwarder, r->home);
    uint8_t allowed = verdict.allowed.uplink;
    r->outcome.policy = verdict.source;
    if ((allowed & type_flag_up(uplink)) == 0) {
        *reason = TRAFFIC_DROP_POLICY;
        return false;
    }
    r->settings = router_tables_party_settings(tables, r->home);
    if (r->settings != NULL && !router_settings_want(r->settings, uplink->forwarder)) {
        *reason = TRAFFIC_DROP_SETTINGS;
        return false;
    }
    r->strip = strip_of(uplink, allowed);
    r->outcome.stripped_signal_quality = (r->strip & ROUTER_STRIP_SIGNAL_QUALITY) != 0;
    r->outcome.stripped_localization = (r->strip & ROUTER_STRIP_LOCALIZATION) != 0;
    r->metadata = (uplink->has_signal_quality && (allowed & ROUTER_UP_SIGNAL_QUALITY) != 0) ||
                  (uplink->has_localization && (allowed & ROUTER_UP_LOCALIZATION) != 0);
    return true;
}

/* One home network with its clusters: owners of blocks, or one that is known from elsewhere. */
typedef struct clusters {
    const router_tables *tables;
    router_owners run;            /* one member's */
    const traffic_endpoint *only; /* not NULL: in place of run */
} clusters;

static traffic_endpoint cluster_at(const clusters *homes, uint32_t index)
{
    return homes->only != NULL ? *homes->only : router_tables_owner(homes->tables, homes->run.first + index);
}

/* The first of the clusters that this group takes: all stand for the same home network, so each subscription gets one
 * copy whatever their number. */
static bool cluster_for(const clusters *homes, const router_group *group, traffic_endpoint *home)
{
    uint32_t count = homes->only != NULL ? 1 : homes->run.count;
    for (uint32_t i = 0; i < count; i++) {
        *home = cluster_at(homes, i);
        if (cluster_matches(group, home->cluster_id)) {
            return true;
        }
    }
    return false;
}

static lpx_err give_place(router_place *place, const clusters *homes, round *r)
{
    for (uint32_t i = 0; place != NULL && i < place->group_count; i++) {
        traffic_endpoint home;
        if (cluster_for(homes, &place->groups[i], &home)) {
            LPX_TRY(give_group(r, &place->groups[i], home));
        }
    }
    return LPX_SUCCESS;
}

/* The place of a member by number; NULL when it has no subscription. */
static router_place *place_at(const router_tables *tables, router_dir *dir, traffic_direction direction,
                              uint32_t number, traffic_member member)
{
    return number != ROUTER_NO_PARTY ? router_dir_at(dir, direction, tables, number)
                                     : router_dir_find(dir, direction, member);
}

/* An uplink for one home network. */
static lpx_err route_home(const router_tables *tables, router_dir *dir, const clusters *homes, round *r)
{
    r->outcome.home = cluster_at(homes, 0);
    traffic_member member = traffic_member_of(r->outcome.home);
    traffic_drop reason;
    if (!uplink_allowed(tables, r, &reason)) {
        return refuse(r, reason);
    }
    LPX_TRY(give_place(place_at(tables, dir, TRAFFIC_UP, r->home.own, member), homes, r));
    if (member.tenant_id.len > 0) {
        traffic_member network = {.net_id = member.net_id};
        LPX_TRY(give_place(place_at(tables, dir, TRAFFIC_UP, r->home.network, network), homes, r));
    }
    return finish_round(r);
}

/* Peer for an uplink that no home network here has, never the one that it came from; ROUTER_NO_PEER: none.
 * @param net_id set to the home network's as far as it is known */
static uint32_t uplink_peer(const router_peer_routes *peers, const router_uplink *uplink, uint32_t *net_id)
{
    uint32_t peer = ROUTER_NO_PEER;
    *net_id = 0;
    if (uplink->kind == TRAFFIC_JOIN) {
        peer = router_peer_for_join(peers, uplink->join_eui);
    } else {
        const router_peer_addrs *entry = router_peer_for_address(peers, uplink->dev_addr);
        peer = entry != NULL ? entry->peer : ROUTER_NO_PEER;
        *net_id = entry != NULL ? entry->net_id : 0;
    }
    return peer != ROUTER_NO_PEER && peer + 1 != uplink->came_by ? peer : ROUTER_NO_PEER;
}

/* Nobody here has it. */
static lpx_err route_elsewhere(const router_tables *tables, const router_uplink *uplink, router_effects *out)
{
    const router_peer_routes *peers = router_tables_peers(tables);
    uint32_t net_id = 0;
    uint32_t peer = peers != NULL ? uplink_peer(peers, uplink, &net_id) : ROUTER_NO_PEER;
    if (peer == ROUTER_NO_PEER) {
        return add_no_route(out);
    }
    round r = {.uplink = uplink,
               .forwarder = router_tables_party(tables, traffic_member_of(uplink->forwarder)),
               .home = router_tables_party(tables, (traffic_member){.net_id = net_id}),
               .out = out,
               .outcome = {.home = {.net_id = net_id}, .route = TRAFFIC_ROUTE_PEER}};
    traffic_drop reason;
    return uplink_allowed(tables, &r, &reason) ? hand_over(&r, peer) : refuse(&r, reason);
}

/* How many owners from first on are of one member? */
static uint32_t same_member(const router_tables *tables, uint32_t first, uint32_t end)
{
    uint32_t number = router_tables_owner_party(tables, first).own;
    uint32_t next = first + 1;
    while (next < end && router_tables_owner_party(tables, next).own == number) {
        next++;
    }
    return next - first;
}

static lpx_err route_data_uplink(const router_tables *tables, router_dir *dir, const router_uplink *uplink,
                                 router_effects *out)
{
    router_owners owners = router_tables_find(tables, uplink->dev_addr);
    if (owners.count == 0) {
        return route_elsewhere(tables, uplink, out);
    }
    router_party forwarder = router_tables_party(tables, traffic_member_of(uplink->forwarder));
    uint32_t end = owners.first + owners.count;
    for (uint32_t at = owners.first; at < end;) {
        clusters homes = {.tables = tables, .run = {.first = at, .count = same_member(tables, at, end)}};
        round r = {.uplink = uplink,
                   .forwarder = forwarder,
                   .home = router_tables_owner_party(tables, at),
                   .out = out,
                   .outcome = {.route = TRAFFIC_ROUTE_BLOCK}};
        LPX_TRY(route_home(tables, dir, &homes, &r));
        at += homes.run.count;
    }
    return LPX_SUCCESS;
}

/* ---- join-requests ---- */

static traffic_member member_of_place(const router_place *place)
{
    return (traffic_member){place->net_id, {place->tenant_text, place->tenant_len}};
}

/* Did the Join Server name this member already? */
static bool is_known_home(const router_uplink *uplink, traffic_member member)
{
    for (size_t i = 0; i < uplink->home_count; i++) {
        if (traffic_member_equal(traffic_member_of(uplink->homes[i].at), member)) {
            return true;
        }
    }
    return false;
}

/* Has this group, of a network as a whole, been given the message for a tenant whom the Join Server named? */
static bool was_given_for_tenant(const router_uplink *uplink, const router_place *place, const router_group *group)
{
    for (size_t i = 0; place->tenant_len == 0 && i < uplink->home_count; i++) {
        traffic_endpoint home = uplink->homes[i].at;
        if (home.net_id == place->net_id && home.tenant_id.len > 0 && cluster_matches(group, home.cluster_id)) {
            return true;
        }
    }
    return false;
}

/* Does any subscription of the place name this join-request, whatever the policy? */
static bool place_names(const router_place *place, const router_uplink *uplink)
{
    uint32_t number;
    for (uint32_t i = 0; i < place->group_count; i++) {
        const router_group *group = &place->groups[i];
        if (was_given_for_tenant(uplink, place, group)) {
            continue;
        }
        for (uint32_t j = 0; j < group->count; j++) {
            const router_sub *sub = group->subs[j];
            if (sub->names_euis && router_filters_name(sub->filters, sub->filter_count, uplink, true, &number)) {
                return true;
            }
        }
    }
    return false;
}

/* A join-request for one home network some of whose subscriptions name its EUIs. */
static lpx_err route_named(const router_tables *tables, router_place *place, const router_uplink *uplink,
                           router_effects *out)
{
    traffic_member member = member_of_place(place);
    traffic_endpoint home = {.net_id = member.net_id, .tenant_id = member.tenant_id};
    round r = {.uplink = uplink,
               .forwarder = router_tables_party(tables, traffic_member_of(uplink->forwarder)),
               .home = router_tables_party(tables, member),
               .named_only = true,
               .out = out,
               .outcome = {.home = home, .route = TRAFFIC_ROUTE_FILTER}};
    traffic_drop reason;
    if (!uplink_allowed(tables, &r, &reason)) {
        return refuse(&r, reason);
    }
    for (uint32_t i = 0; i < place->group_count; i++) {
        if (!was_given_for_tenant(uplink, place, &place->groups[i])) {
            home.cluster_id = router_group_cluster(&place->groups[i]);
            LPX_TRY(give_group(&r, &place->groups[i], home));
        }
    }
    return finish_round(&r);
}

static lpx_err route_join_uplink(const router_tables *tables, router_dir *dir, const router_uplink *uplink,
                                 router_effects *out)
{
    for (size_t i = 0; i < uplink->home_count; i++) {
        clusters homes = {.only = &uplink->homes[i].at};
        round r = {.uplink = uplink,
                   .forwarder = router_tables_party(tables, traffic_member_of(uplink->forwarder)),
                   .home = router_tables_party(tables, traffic_member_of(uplink->homes[i].at)),
                   .out = out,
                   .outcome = {.route = uplink->homes[i].route}};
        LPX_TRY(route_home(tables, dir, &homes, &r));
    }
    uint32_t index = 0;
    for (router_place *place = router_dir_naming(dir, index); place != NULL; place = router_dir_naming(dir, ++index)) {
        if (!is_known_home(uplink, member_of_place(place)) && place_names(place, uplink)) {
            LPX_TRY(route_named(tables, place, uplink, out));
        }
    }
    if (uplink->lookup_failed) {
        traffic_outcome outcome = {.route = TRAFFIC_ROUTE_LOOKUP, .drop = TRAFFIC_DROP_LOOKUP};
        LPX_TRY(add_outcome(out, &outcome));
    }
    return out->outcome_count > 0 ? LPX_SUCCESS : route_elsewhere(tables, uplink, out);
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

/* Peer for a downlink to a forwarder that is no member here, never the one that it came from. */
static uint32_t downlink_peer(const router_tables *tables, const router_downlink *downlink)
{
    const router_peer_routes *peers = router_tables_peers(tables);
    uint32_t net_id = downlink->forwarder.net_id, peer = ROUTER_NO_PEER;
    if (peers != NULL && !router_tables_is_member(tables, net_id)) {
        peer = downlink->heard_by > 0 ? downlink->heard_by - 1 : router_peer_for_forwarder(peers, net_id);
    }
    return peer != ROUTER_NO_PEER && peer + 1 != downlink->came_by ? peer : ROUTER_NO_PEER;
}

lpx_err router_route_downlink(const router_tables *tables, router_dir *dir, const router_downlink *downlink,
                              router_effects *out)
{
    traffic_member home = traffic_member_of(downlink->home);
    traffic_member forwarder = traffic_member_of(downlink->forwarder);
    round r = {.out = out, .outcome = {.home = downlink->home, .route = TRAFFIC_ROUTE_NAMED}};
    if (traffic_member_equal(home, forwarder) && !router_tables_loopback(tables)) {
        return refuse(&r, TRAFFIC_DROP_LOOPBACK);
    }
    router_party to = router_tables_party(tables, forwarder);
    router_verdict verdict = router_tables_verdict(tables, to, router_tables_party(tables, home));
    r.outcome.policy = verdict.source;
    if ((verdict.allowed.downlink & type_flag_down(downlink)) == 0) {
        return refuse(&r, TRAFFIC_DROP_POLICY);
    }
    LPX_TRY(give_forwarder(place_at(tables, dir, TRAFFIC_DOWN, to.own, forwarder), downlink, &r));
    if (forwarder.tenant_id.len > 0) {
        traffic_member network = {.net_id = forwarder.net_id};
        LPX_TRY(give_forwarder(place_at(tables, dir, TRAFFIC_DOWN, to.network, network), downlink, &r));
    }
    uint32_t peer = r.outcome.copies == 0 ? downlink_peer(tables, downlink) : ROUTER_NO_PEER;
    return peer != ROUTER_NO_PEER ? hand_over(&r, peer) : finish_round(&r);
}
