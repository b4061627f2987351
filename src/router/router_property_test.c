/* The router against a second implementation of the same rules: linear scans over plain lists, bit by bit, sharing no
 * code with the router. Random networks, blocks, delegations, policies, subscriptions, groups and messages; the outcome
 * must be the same copy for copy, turns of groups included. LPX_TEST_SEED in the environment chooses another run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "lorawan/phy.h"
#include "router/router_check.h"
#include "router/router_naive_test.h"

enum {
    WORLDS = 4000,
    MESSAGES = 20, /* of each world */
};

/* A world and the router's own objects for it. */
typedef struct real_world {
    router_peer_routes routes;
    router_peer_addrs addrs[MAX_ROUTES];
    router_peer_joins joins[MAX_ROUTES];
    router_peer_net nets[NETS];
    router_tables *tables;
    router_dir *dir;
    router_sub *subs[MAX_SUBS];
} real_world;

static const char *const clusters[] = {"", "", "eu1", "nam1"};
static const char *const groups[] = {"", "", "g1", "g2"};

/* ---- random numbers ---- */

static uint64_t next_random(world *w)
{
    w->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = w->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static unsigned below(world *w, unsigned n)
{
    return (unsigned)(next_random(w) % n);
}

static bool one_in(world *w, unsigned n)
{
    return below(w, n) == 0;
}

/* Addresses and EUIs near each other, so that prefixes of all lengths matter. */
static uint32_t some_address(world *w)
{
    static const uint32_t bases[] = {0x00000000, 0x26010000, 0x26020000, 0x26010080, 0xffffffff, 0x80000000};
    uint32_t base = bases[below(w, 6)];
    return one_in(w, 2) ? base : base ^ (1u << below(w, 32));
}

static uint64_t some_eui(world *w)
{
    uint64_t base = one_in(w, 2) ? UINT64_C(0xec656e0000000001) : 0;
    return one_in(w, 2) ? base : base ^ (UINT64_C(1) << below(w, 64));
}

static who some_member(world *w)
{
    return (who){naive_nets[below(w, NETS)], naive_tenants[below(w, TENANTS)], ""};
}

static who some_endpoint(world *w)
{
    who at = some_member(w);
    at.cluster = clusters[below(w, 4)];
    return at;
}

/* ---- making a world ---- */

static m_filter some_filter(world *w)
{
    static const unsigned addr_lens[] = {0, 1, 8, 16, 24, 31, 32}, eui_lens[] = {0, 0, 1, 24, 63, 64};
    m_filter f = {.kind = (int)below(w, 3),
                  .metadata = (int)below(w, 3) - 1,
                  .confirmed = one_in(w, 2) ? -1 : (int)below(w, 2),
                  .f_opts = one_in(w, 2) ? -1 : (int)below(w, 2)};
    f.euis = below(w, MAX_CONDITIONS + 1);
    f.addrs = below(w, MAX_CONDITIONS + 1);
    f.ports = below(w, MAX_CONDITIONS + 1);
    for (unsigned i = 0; i < MAX_CONDITIONS; i++) {
        uint32_t low = below(w, 12);
        f.conditions[i] = (m_condition){.join_eui = some_eui(w),
                                        .dev_eui = some_eui(w),
                                        .join_len = eui_lens[below(w, 6)],
                                        .dev_len = eui_lens[below(w, 6)],
                                        .dev_addr = some_address(w),
                                        .addr_len = addr_lens[below(w, 7)],
                                        .low = low,
                                        .high = low + below(w, 250)};
    }
    return f;
}

/* Who is allowed or denied: sometimes all of a network, or of a tenant. */
static unsigned some_parties(world *w, who *out)
{
    unsigned count = one_in(w, 2) ? 0 : 1 + below(w, MAX_PARTIES);
    for (unsigned i = 0; i < count; i++) {
        out[i] = some_endpoint(w);
    }
    return count;
}

static void make_settings(world *w)
{
    unsigned tries = one_in(w, 2) ? 0 : below(w, MAX_SETTINGS + 1);
    for (unsigned i = 0; i < tries; i++) {
        m_settings s = {.home = some_member(w), .max_copies = below(w, 3), .window = 1 + below(w, 500)};
        bool again = false;
        for (unsigned j = 0; j < w->settings_count; j++) {
            again = again || (w->settings[j].home.net == s.home.net &&
                              naive_same_text(w->settings[j].home.tenant, s.home.tenant));
        }
        s.allow_count = some_parties(w, s.allow);
        s.deny_count = some_parties(w, s.deny);
        if (!again) {
            w->settings[w->settings_count++] = s;
        }
    }
}

/* What other exchanges get. */
static void make_peers(world *w)
{
    static const unsigned lens[] = {0, 1, 8, 16, 24, 31, 32};
    for (unsigned i = 0; i < NETS; i++) {
        w->registered[i] = one_in(w, 2);
        w->peer_of_net[i] = one_in(w, 2) ? (int)below(w, PEERS) : -1;
    }
    w->peer_addr_count = one_in(w, 2) ? 0 : below(w, MAX_ROUTES + 1);
    for (unsigned i = 0; i < w->peer_addr_count; i++) { /* lengths differ: there is one longest */
        w->peer_addrs[i] = (m_peer_route){some_address(w), lens[2 * i + below(w, 2)], below(w, PEERS)};
    }
    w->peer_join_count = one_in(w, 2) ? 0 : below(w, MAX_ROUTES + 1);
    for (unsigned i = 0; i < w->peer_join_count; i++) {
        w->peer_joins[i] = (m_peer_route){some_eui(w), 2 * lens[2 * i + below(w, 2)], below(w, PEERS)};
    }
}

static void make_model(world *w)
{
    static const unsigned lens[] = {0, 1, 7, 8, 15, 16, 17, 24, 25, 31, 32};
    w->open = !one_in(w, 3);
    w->loopback = one_in(w, 2);
    w->block_count = one_in(w, 4) ? below(w, 3) : below(w, MAX_BLOCKS + 1);
    for (unsigned i = 0; i < w->block_count; i++) {
        bool again = i > 0 && one_in(w, 3); /* an equal block of somebody else */
        w->blocks[i] = (m_block){.owner = some_endpoint(w),
                                 .value = again ? w->blocks[i - 1].value : some_address(w),
                                 .length = again ? w->blocks[i - 1].length : lens[below(w, 11)]};
    }
    for (unsigned i = 0; i < NETS; i++) {
        w->delegated[i] = one_in(w, 5) ? (int)below(w, NETS) : -1;
    }
    w->policy_count = below(w, MAX_POLICIES + 1);
    for (unsigned i = 0; i < w->policy_count; i++) {
        w->policies[i] = (m_policy){.forwarder = some_member(w),
                                    .home = some_member(w),
                                    .is_default = one_in(w, 3),
                                    .up = one_in(w, 2) ? 31 : below(w, 32),
                                    .down = one_in(w, 2) ? 7 : below(w, 8)};
    }
    make_settings(w);
    make_peers(w);
    w->sub_count = below(w, MAX_SUBS + 1);
    for (unsigned i = 0; i < w->sub_count; i++) {
        m_sub *sub = &w->subs[i];
        *sub = (m_sub){.up = !one_in(w, 4), .full = one_in(w, 4), .at = some_endpoint(w), .group = groups[below(w, 4)]};
        if (i > 0 && one_in(w, 2)) { /* company for a group */
            sub->up = w->subs[i - 1].up;
            sub->at = w->subs[i - 1].at;
            sub->group = w->subs[i - 1].group;
        }
        sub->filter_count = one_in(w, 2) ? 0 : below(w, MAX_FILTERS + 1);
        for (unsigned j = 0; j < sub->filter_count; j++) {
            sub->filters[j] = some_filter(w);
        }
        w->turns[i] = i;
    }
}

static m_message some_message(world *w)
{
    m_message m = {.up = !one_in(w, 3),
                   .join = one_in(w, 4),
                   .encrypted = one_in(w, 4),
                   .forwarder = some_endpoint(w),
                   .home = some_endpoint(w),
                   .join_eui = some_eui(w),
                   .dev_eui = some_eui(w),
                   .dev_addr = some_address(w),
                   .port = one_in(w, 3) ? (one_in(w, 2) ? 0 : 256) : below(w, 256),
                   .confirmed = one_in(w, 2),
                   .f_opts = one_in(w, 2),
                   .metadata = !one_in(w, 3)};
    if (w->block_count > 0 && !one_in(w, 3)) { /* an address that somebody has */
        m.dev_addr = w->blocks[below(w, w->block_count)].value;
    }
    if (w->sub_count > 0 && !m.up && !one_in(w, 3)) { /* a forwarder that may be there */
        m.forwarder = w->subs[below(w, w->sub_count)].at;
    }
    w->now += below(w, 40);
    m.now = w->now;
    m.payload = below(w, 2);
    m.came_by = one_in(w, 3) ? 1 + below(w, PEERS) : 0;
    m.heard_by = one_in(w, 3) ? 1 + below(w, PEERS) : 0;
    m.signal = m.metadata && !one_in(w, 3);
    m.localization = m.metadata && one_in(w, 2);
    while (m.up && m.join && m.known_count < MAX_KNOWN && one_in(w, 2)) {
        who known = w->sub_count > 0 && one_in(w, 2) ? w->subs[below(w, w->sub_count)].at : some_endpoint(w);
        bool again =
            m.known_count > 0 && m.known[0].net == known.net && naive_same_text(m.known[0].tenant, known.tenant);
        if (!again) {
            m.known[m.known_count++] = known;
        }
    }
    return m;
}

/* ---- the router's side: rows, requests as they come from the wire, effects ---- */

static traffic_endpoint endpoint_of(who at)
{
    return (traffic_endpoint){at.net, lpx_str_of(at.tenant), lpx_str_of(at.cluster)};
}

/* Rows of all parties, each list in its order. */
static size_t real_parties(const world *w, router_party_row *out)
{
    size_t count = 0;
    for (unsigned i = 0; i < w->settings_count; i++) {
        const m_settings *s = &w->settings[i];
        traffic_member home = traffic_member_of(endpoint_of(s->home));
        for (unsigned j = 0; j < s->deny_count; j++) {
            out[count++] = (router_party_row){home, false, endpoint_of(s->deny[j])};
        }
        for (unsigned j = 0; j < s->allow_count; j++) {
            out[count++] = (router_party_row){home, true, endpoint_of(s->allow[j])};
        }
    }
    return count;
}

static void real_routes(const world *w, real_world *real)
{
    size_t nets = 0;
    for (unsigned i = 0; i < w->peer_addr_count; i++) {
        const m_peer_route *r = &w->peer_addrs[i];
        real->addrs[i] = (router_peer_addrs){{(uint32_t)r->value, (uint8_t)r->length}, 0, r->peer};
    }
    for (unsigned i = 0; i < w->peer_join_count; i++) {
        const m_peer_route *r = &w->peer_joins[i];
        real->joins[i] = (router_peer_joins){{r->value, (uint8_t)r->length}, r->peer};
    }
    for (unsigned i = 0; i < NETS; i++) {
        if (w->peer_of_net[i] >= 0) {
            real->nets[nets++] = (router_peer_net){naive_nets[i], (uint32_t)w->peer_of_net[i]};
        }
    }
    real->routes = (router_peer_routes){.addrs = real->addrs,
                                        .addrs_count = w->peer_addr_count,
                                        .joins = real->joins,
                                        .joins_count = w->peer_join_count,
                                        .forwarders = real->nets,
                                        .forwarders_count = nets};
}

static router_tables *real_tables(const world *w, const real_world *real, const router_tables *previous,
                                  bool keep_blocks)
{
    uint32_t members[NETS];
    size_t member_count = 0;
    for (unsigned i = NETS; i > 0; i--) {
        if (w->registered[i - 1]) {
            members[member_count++] = naive_nets[i - 1];
        }
    }
    router_settings_row settings[MAX_SETTINGS];
    router_party_row parties[MAX_SETTINGS * MAX_PARTIES * 2];
    for (unsigned i = 0; i < w->settings_count; i++) {
        const m_settings *s = &w->settings[i];
        settings[i] = (router_settings_row){traffic_member_of(endpoint_of(s->home)), s->max_copies, s->window};
    }
    router_block_row blocks[MAX_BLOCKS];
    router_policy_row policies[MAX_POLICIES];
    router_delegation_row delegations[NETS];
    size_t delegation_count = 0;
    for (unsigned i = 0; i < w->block_count; i++) {
        blocks[i] =
            (router_block_row){endpoint_of(w->blocks[i].owner), w->blocks[i].value, (uint8_t)w->blocks[i].length};
    }
    for (unsigned i = 0; i < w->policy_count; i++) {
        const m_policy *p = &w->policies[i];
        policies[i] = (router_policy_row){traffic_member_of(endpoint_of(p->forwarder)),
                                          traffic_member_of(endpoint_of(p->home)),
                                          p->is_default,
                                          {(uint8_t)p->up, (uint8_t)p->down}};
    }
    for (unsigned i = 0; i < NETS; i++) {
        if (w->delegated[i] >= 0) {
            delegations[delegation_count++] = (router_delegation_row){naive_nets[i], naive_nets[w->delegated[i]]};
        }
    }
    router_rows rows = {.blocks = blocks,
                        .block_count = w->block_count,
                        .delegations = delegations,
                        .delegation_count = delegation_count,
                        .policies = policies,
                        .policy_count = w->policy_count,
                        .settings = settings,
                        .settings_count = w->settings_count,
                        .parties = parties,
                        .party_count = real_parties(w, parties),
                        .members = members,
                        .member_count = member_count,
                        .peers = &real->routes,
                        .previous = previous,
                        .keep_blocks = keep_blocks,
                        .default_open = w->open,
                        .loopback = w->loopback,
                        .seed = w->seed};
    return router_tables_new(&rows);
}

static void *get(lpx_arena *arena, size_t size)
{
    void *room = lpx_arena_get(arena, size);
    assert_non_null(room);
    return room;
}

static Google__Protobuf__BoolValue *wrapped(lpx_arena *arena, int want)
{
    if (want < 0) {
        return NULL;
    }
    Google__Protobuf__BoolValue *value = get(arena, sizeof *value);
    google__protobuf__bool_value__init(value);
    value->value = want;
    return value;
}

static void real_join_filter(lpx_arena *arena, const m_filter *f, Pb__V3__RoutingFilter *out)
{
    typedef Pb__V3__RoutingFilter__JoinRequest__EUIPrefixes prefixes;
    out->message_case = PB__V3__ROUTING_FILTER__MESSAGE_JOIN_REQUEST;
    out->join_request = get(arena, sizeof *out->join_request);
    pb__v3__routing_filter__join_request__init(out->join_request);
    out->join_request->n_eui_prefixes = f->euis;
    out->join_request->eui_prefixes = get(arena, MAX_CONDITIONS * sizeof(prefixes *));
    for (unsigned i = 0; i < f->euis; i++) {
        prefixes *p = get(arena, sizeof *p);
        pb__v3__routing_filter__join_request__euiprefixes__init(p);
        p->join_eui = f->conditions[i].join_eui;
        p->join_eui_length = f->conditions[i].join_len;
        p->dev_eui = f->conditions[i].dev_eui;
        p->dev_eui_length = f->conditions[i].dev_len;
        out->join_request->eui_prefixes[i] = p;
    }
}

static void real_data_filter(lpx_arena *arena, const m_filter *f, Pb__V3__RoutingFilter *out)
{
    out->message_case = PB__V3__ROUTING_FILTER__MESSAGE_MAC;
    out->mac = get(arena, sizeof *out->mac);
    pb__v3__routing_filter__macpayload__init(out->mac);
    out->mac->confirmed = wrapped(arena, f->confirmed);
    out->mac->f_opts = wrapped(arena, f->f_opts);
    out->mac->n_dev_addr_prefixes = f->addrs;
    out->mac->dev_addr_prefixes = get(arena, MAX_CONDITIONS * sizeof(Pb__V3__DevAddrPrefix *));
    for (unsigned i = 0; i < f->addrs; i++) {
        Pb__V3__DevAddrPrefix *p = get(arena, sizeof *p);
        pb__v3__dev_addr_prefix__init(p);
        p->value = f->conditions[i].dev_addr;
        p->length = f->conditions[i].addr_len;
        out->mac->dev_addr_prefixes[i] = p;
    }
    out->mac->n_f_port_ranges = f->ports;
    out->mac->f_port_ranges = get(arena, MAX_CONDITIONS * sizeof(Pb__V3__RoutingFilter__MACPayload__FPortRange *));
    for (unsigned i = 0; i < f->ports; i++) {
        Pb__V3__RoutingFilter__MACPayload__FPortRange *p = get(arena, sizeof *p);
        pb__v3__routing_filter__macpayload__fport_range__init(p);
        p->low = f->conditions[i].low;
        p->high = f->conditions[i].high;
        out->mac->f_port_ranges[i] = p;
    }
}

static Pb__V3__RoutingFilter **real_filters(lpx_arena *arena, const m_sub *sub)
{
    Pb__V3__RoutingFilter **list = get(arena, MAX_FILTERS * sizeof(*list));
    for (unsigned i = 0; i < sub->filter_count; i++) {
        const m_filter *f = &sub->filters[i];
        list[i] = get(arena, sizeof(Pb__V3__RoutingFilter));
        pb__v3__routing_filter__init(list[i]);
        list[i]->gateway_metadata = wrapped(arena, f->metadata);
        if (f->kind == 1) {
            real_join_filter(arena, f, list[i]);
        } else if (f->kind == 2) {
            real_data_filter(arena, f, list[i]);
        }
    }
    return list;
}

static char *text(lpx_arena *arena, const char *from)
{
    char *copied = lpx_arena_cstr(arena, lpx_str_of(from));
    assert_non_null(copied);
    return copied;
}

static void real_subscribe(real_world *real, lpx_arena *arena, const m_sub *sub, router_sub **out)
{
    router_sub_spec spec;
    lpx_note note = {""};
    lpx_err err;
    if (sub->up) {
        Pb__Routing__V1__SubscribeHomeNetworkRequest in = PB__ROUTING__V1__SUBSCRIBE_HOME_NETWORK_REQUEST__INIT;
        in.home_network_net_id = sub->at.net;
        in.home_network_tenant_id = text(arena, sub->at.tenant);
        in.home_network_cluster_id = text(arena, sub->at.cluster);
        in.group = text(arena, sub->group);
        in.n_filters = sub->filter_count;
        in.filters = real_filters(arena, sub);
        err = router_check_home_network(&in, arena, &spec, &note);
    } else {
        Pb__Routing__V1__SubscribeForwarderRequest in = PB__ROUTING__V1__SUBSCRIBE_FORWARDER_REQUEST__INIT;
        in.forwarder_net_id = sub->at.net;
        in.forwarder_tenant_id = text(arena, sub->at.tenant);
        in.forwarder_cluster_id = text(arena, sub->at.cluster);
        in.group = text(arena, sub->group);
        err = router_check_forwarder(&in, &spec, &note);
    }
    if (lpx_failed(err)) {
        fail_msg("subscribe: %s", note.text);
    }
    spec.max_messages = spec.max_bytes = 10;
    *out = router_sub_new(&spec);
    assert_non_null(*out);
    atomic_store(&(*out)->waiting_messages, sub->full ? 10u : 9u);
    assert_false(lpx_failed(router_dir_add(real->dir, *out)));
}

static lpx_bytes real_payload(lpx_arena *arena, const m_message *m)
{
    static const uint8_t bytes[16] = {1, 2, 3};
    lw_phy phy = {.mic = {bytes, LW_MIC_BYTES}};
    if (m->join && !m->up) {
        phy = (lw_phy){.mtype = LW_JOIN_ACCEPT, .body = {bytes, sizeof bytes}};
    } else if (m->join) {
        phy.mtype = LW_JOIN_REQUEST;
        phy.join_request = (lw_join_request){{m->join_eui}, {m->dev_eui}, 7};
    } else {
        phy.mtype = m->up ? (m->confirmed ? LW_CONFIRMED_UP : LW_UNCONFIRMED_UP)
                          : (m->confirmed ? LW_CONFIRMED_DOWN : LW_UNCONFIRMED_DOWN);
        phy.data = (lw_data){.dev_addr = {m->dev_addr},
                             .f_opts = {bytes, m->f_opts ? 3 : 0},
                             .has_f_port = m->port != 256,
                             .f_port = (uint8_t)m->port,
                             .frm_payload = {bytes, m->port != 256 ? 2 : 0}};
    }
    uint8_t *room = get(arena, LW_PHY_MAX_BYTES);
    lpx_note note = {""};
    lpx_bytes out = {NULL, 0};
    if (lpx_failed(lw_phy_encode(&phy, (lpx_space){room, LW_PHY_MAX_BYTES}, &note, &out))) {
        fail_msg("%s", note.text);
    }
    return out;
}

/* The teaser says the truth only when the payload is encrypted. */
static Pb__V3__PHYPayloadTeaser *real_teaser(lpx_arena *arena, const m_message *m)
{
    uint32_t lie = m->encrypted ? 0 : 1;
    Pb__V3__PHYPayloadTeaser *teaser = get(arena, sizeof *teaser);
    pb__v3__phypayload_teaser__init(teaser);
    teaser->hash = (ProtobufCBinaryData){32, get(arena, 32)};
    memset(teaser->hash.data, (int)m->payload, 32);
    if (m->join == (lie == 0)) {
        teaser->payload_case = PB__V3__PHYPAYLOAD_TEASER__PAYLOAD_JOIN_REQUEST;
        teaser->join_request = get(arena, sizeof *teaser->join_request);
        pb__v3__phypayload_teaser__join_request_teaser__init(teaser->join_request);
        teaser->join_request->join_eui = m->join_eui ^ lie;
        teaser->join_request->dev_eui = m->dev_eui;
        return teaser;
    }
    teaser->payload_case = PB__V3__PHYPAYLOAD_TEASER__PAYLOAD_MAC;
    teaser->mac = get(arena, sizeof *teaser->mac);
    pb__v3__phypayload_teaser__macpayload_teaser__init(teaser->mac);
    teaser->mac->dev_addr = m->dev_addr ^ lie << 31;
    teaser->mac->confirmed = m->confirmed != (lie == 1);
    teaser->mac->f_opts = m->f_opts != (lie == 1);
    teaser->mac->f_port = m->port == 256 ? 0 : m->port;
    return teaser;
}

static Pb__V3__UplinkMessage__GatewayMetadata *real_metadata(lpx_arena *arena, const m_message *m)
{
    typedef Pb__V3__UplinkMessage__GatewayMetadata metadata;
    if (!m->metadata) {
        return NULL;
    }
    metadata *out = get(arena, sizeof *out);
    pb__v3__uplink_message__gateway_metadata__init(out);
    if (m->signal) {
        out->signal_quality_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__SIGNAL_QUALITY_ENCRYPTED_SIGNAL_QUALITY;
        out->encrypted_signal_quality = get(arena, sizeof *out->encrypted_signal_quality);
        pb__v3__encrypted_data__init(out->encrypted_signal_quality);
    }
    if (m->localization) {
        out->localization_case = PB__V3__UPLINK_MESSAGE__GATEWAY_METADATA__LOCALIZATION_PLAIN_LOCALIZATION;
        out->plain_localization = get(arena, sizeof *out->plain_localization);
        pb__v3__gateway_metadata_localization__init(out->plain_localization);
    }
    return out;
}

static lpx_err real_uplink(const real_world *real, lpx_arena *arena, const m_message *m, router_effects *effects,
                           lpx_note *note)
{
    Pb__Routing__V1__PublishUplinkMessageRequest in = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    Pb__V3__UplinkMessage message = PB__V3__UPLINK_MESSAGE__INIT;
    Pb__V3__UplinkMessage__PHYPayload payload = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__INIT;
    Pb__V3__EncryptedData encrypted = PB__V3__ENCRYPTED_DATA__INIT;
    lpx_bytes plain = real_payload(arena, m);
    payload.teaser = real_teaser(arena, m);
    if (m->encrypted) {
        payload.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_ENCRYPTED;
        payload.encrypted = &encrypted;
    } else {
        payload.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
        payload.plain = (ProtobufCBinaryData){plain.len, (uint8_t *)(uintptr_t)plain.ptr};
    }
    message.phy_payload = &payload;
    message.gateway_metadata = real_metadata(arena, m);
    in.forwarder_net_id = m->forwarder.net;
    in.forwarder_tenant_id = text(arena, m->forwarder.tenant);
    in.forwarder_cluster_id = text(arena, m->forwarder.cluster);
    in.message = &message;
    router_uplink uplink;
    LPX_TRY(router_check_uplink(&in, &uplink, note));
    router_home homes[MAX_KNOWN];
    for (unsigned i = 0; i < m->known_count; i++) {
        homes[i] = (router_home){endpoint_of(m->known[i]), i == 0 ? TRAFFIC_ROUTE_FIXED : TRAFFIC_ROUTE_LOOKUP};
    }
    uplink.now = (lpx_mono){m->now};
    uplink.came_by = m->came_by;
    uplink.homes = homes;
    uplink.home_count = m->known_count;
    return router_route_uplink(real->tables, real->dir, &uplink, effects);
}

static lpx_err real_downlink(const real_world *real, lpx_arena *arena, const m_message *m, router_effects *effects,
                             lpx_note *note)
{
    Pb__Routing__V1__PublishDownlinkMessageRequest in = PB__ROUTING__V1__PUBLISH_DOWNLINK_MESSAGE_REQUEST__INIT;
    Pb__V3__DownlinkMessage message = PB__V3__DOWNLINK_MESSAGE__INIT;
    lpx_bytes plain = real_payload(arena, m);
    message.phy_payload = (ProtobufCBinaryData){plain.len, (uint8_t *)(uintptr_t)plain.ptr};
    in.home_network_net_id = m->home.net;
    in.home_network_tenant_id = text(arena, m->home.tenant);
    in.home_network_cluster_id = text(arena, m->home.cluster);
    in.forwarder_net_id = m->forwarder.net;
    in.forwarder_tenant_id = text(arena, m->forwarder.tenant);
    in.forwarder_cluster_id = text(arena, m->forwarder.cluster);
    in.message = &message;
    router_downlink downlink;
    LPX_TRY(router_check_downlink(&in, &downlink, note));
    downlink.came_by = m->came_by;
    downlink.heard_by = m->heard_by;
    return router_route_downlink(real->tables, real->dir, &downlink, effects);
}

/* ---- comparison ---- */

static bool says(traffic_endpoint real, who model)
{
    return real.net_id == model.net && lpx_str_is(real.tenant_id, model.tenant) &&
           lpx_str_is(real.cluster_id, model.cluster);
}

/* Is the filter that the outcome names one of those that let its copies through? */
static bool names_filter(const outcome *want, unsigned decided, const traffic_outcome *got)
{
    for (unsigned i = 0; i < want->copy_count; i++) {
        if (want->copies[i].decision == decided && want->copies[i].filter == got->filter) {
            return true;
        }
    }
    return false;
}

static bool same_decision(const outcome *want, unsigned decided, const traffic_outcome *got)
{
    const decision *d = &want->decisions[decided];
    return got->home.net_id == d->home.net && lpx_str_is(got->home.tenant_id, d->home.tenant) &&
           got->route == d->route && got->policy == d->policy && got->copies == d->copies &&
           got->delivered == (d->copies > 0) &&
           (d->copies == 0                   ? got->drop == d->drop
            : d->route == TRAFFIC_ROUTE_PEER ? got->filter == 0
                                             : names_filter(want, decided, got)) &&
           got->stripped_signal_quality == d->stripped_signal_quality &&
           got->stripped_localization == d->stripped_localization;
}

static void compare(const world *w, const real_world *real, unsigned message, const outcome *want,
                    const router_effects *got)
{
    unsigned found = 0;
    for (unsigned i = 0; i < want->copy_count; i++) {
        const copy *c = &want->copies[i];
        unsigned times = 0;
        for (size_t j = 0; j < got->delivery_count; j++) {
            const router_delivery *d = &got->deliveries[j];
            times += d->sub == real->subs[c->sub] && says(d->home, c->home) && d->strip == c->strip;
        }
        found += times == 1;
    }
    unsigned agreed = 0;
    for (unsigned i = 0; i < want->decision_count; i++) {
        unsigned times = 0;
        for (size_t j = 0; j < got->outcome_count; j++) {
            times += same_decision(want, i, &got->outcomes[j]);
        }
        agreed += times == 1;
    }
    agreed -= got->hand_over.to != want->handed_to ? 1 : 0;
    if (found != want->copy_count || got->delivery_count != want->copy_count || agreed != want->decision_count ||
        got->outcome_count != want->decision_count) {
        fail_msg("seed %llu, message %u: want %u copies and %u outcomes, got %zu and %zu, of which %u and %u agree",
                 (unsigned long long)w->seed, message, want->copy_count, want->decision_count, got->delivery_count,
                 got->outcome_count, found, agreed);
    }
}

/* What was seen in all worlds: a test whose messages are all dropped would prove little. */
typedef struct tally {
    unsigned copies, shared, drops[TRAFFIC_DROP_REASONS], routes[TRAFFIC_ROUTE_PEER + 1];
} tally;

static void run_message(world *w, const real_world *real, unsigned number, tally *t)
{
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 20);
    m_message m = some_message(w);
    outcome want = {.copy_count = 0};
    naive_route(w, &m, &want);
    router_effects got = {.arena = &arena};
    lpx_note note = {""};
    lpx_err err = m.up ? real_uplink(real, &arena, &m, &got, &note) : real_downlink(real, &arena, &m, &got, &note);
    if (lpx_failed(err)) {
        fail_msg("seed %llu, message %u: %s", (unsigned long long)w->seed, number, note.text);
    }
    compare(w, real, number, &want, &got);
    t->copies += want.copy_count;
    for (unsigned i = 0; i < want.copy_count; i++) {
        t->shared += !naive_same_text(w->subs[want.copies[i].sub].group, "");
    }
    for (unsigned i = 0; i < want.decision_count; i++) {
        const decision *d = &want.decisions[i];
        t->routes[d->route] += d->copies > 0;
        t->drops[d->drop] += d->copies == 0;
    }
    lpx_arena_fini(&arena);
}

/* Now and then somebody leaves. */
static void maybe_leave(world *w, const real_world *real)
{
    unsigned i = w->sub_count > 0 ? below(w, w->sub_count) : 0;
    if (w->sub_count == 0 || w->subs[i].gone || !one_in(w, 6)) {
        return;
    }
    w->subs[i].gone = true;
    assert_true(router_dir_remove(real->dir, real->subs[i]));
    assert_false(router_dir_remove(real->dir, real->subs[i]));
}

/* Some subscriptions without a group come later: whose turn it is does not depend on them. */
static bool comes_later(world *w, unsigned i)
{
    return naive_same_text(w->subs[i].group, "") && one_in(w, 2);
}

static void maybe_come(world *w, real_world *real, lpx_arena *arena)
{
    unsigned i = w->sub_count > 0 ? below(w, w->sub_count) : 0;
    if (w->sub_count > 0 && real->subs[i] == NULL && one_in(w, 2)) {
        w->subs[i].gone = false;
        real_subscribe(real, arena, &w->subs[i], &real->subs[i]);
    }
}

/* Somebody else has a policy now, or, unless blocks are to be kept, a block. */
static void change(world *w, bool keep_blocks)
{
    if (w->policy_count > 0) {
        m_policy *policy = &w->policies[below(w, w->policy_count)];
        policy->forwarder = some_member(w);
        policy->home = some_member(w);
    }
    if (w->block_count > 0 && !keep_blocks) {
        w->blocks[below(w, w->block_count)].owner = some_endpoint(w);
    }
}

/* Now and then the tables are built anew, often with changes; what was counted counts on. */
static void maybe_reload(world *w, real_world *real)
{
    if (one_in(w, 6)) {
        bool keep_blocks = one_in(w, 2);
        if (one_in(w, 2)) {
            change(w, keep_blocks);
        }
        router_tables *fresh = real_tables(w, real, real->tables, keep_blocks);
        assert_non_null(fresh);
        router_tables_unref(&real->tables);
        real->tables = fresh;
    }
}

static void run_world(uint64_t seed, tally *t)
{
    world w = {.seed = seed, .random = seed};
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 20);
    make_model(&w);
    real_world real = {.dir = router_dir_new(seed)};
    real_routes(&w, &real);
    real.tables = real_tables(&w, &real, NULL, false);
    assert_non_null(real.tables);
    assert_non_null(real.dir);
    for (unsigned i = 0; i < w.sub_count; i++) {
        w.subs[i].gone = comes_later(&w, i);
        if (!w.subs[i].gone) {
            real_subscribe(&real, &arena, &w.subs[i], &real.subs[i]);
        }
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        run_message(&w, &real, i, t);
        maybe_leave(&w, &real);
        maybe_come(&w, &real, &arena);
        maybe_reload(&w, &real);
    }
    for (unsigned i = 0; i < w.sub_count; i++) {
        router_sub_unref(&real.subs[i]);
    }
    router_tables_unref(&real.tables);
    router_dir_free(&real.dir);
    lpx_arena_fini(&arena);
}

static void both_implementations_agree(void **state)
{
    (void)state;
    const char *chosen = getenv("LPX_TEST_SEED");
    uint64_t first = chosen != NULL ? strtoull(chosen, NULL, 10) : 20240229;
    tally t = {0};
    for (uint64_t i = 0; i < WORLDS; i++) {
        run_world(first + i, &t);
    }
    print_message(
        "seeds %llu to %llu: %d messages, %u copies (%u by a group's turn), drops:", (unsigned long long)first,
        (unsigned long long)first + WORLDS - 1, WORLDS * MESSAGES, t.copies, t.shared);
    for (unsigned i = 0; i <= TRAFFIC_DROP_FILTER; i++) {
        bool in_core = i < TRAFFIC_DROP_LOOKUP || i > TRAFFIC_DROP_PEER;
        print_message(" %s %u", traffic_drop_name((traffic_drop)i), t.drops[i]);
        assert_true(t.drops[i] > 100 || !in_core);
    }
    print_message("\n");
    for (unsigned i = TRAFFIC_ROUTE_BLOCK; i <= TRAFFIC_ROUTE_PEER; i++) {
        assert_true(t.routes[i] > 100);
    }
    assert_true(t.copies > 10000 && t.shared > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_implementations_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
