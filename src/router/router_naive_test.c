#include "router/router_naive_test.h"

#include <stdlib.h>

const uint32_t naive_nets[NETS] = {0x000013, 0xc0002f, 0xe00060};
const char *const naive_tenants[TENANTS] = {"", "aaa", "bbb"};

bool naive_same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool same_member(who a, who b)
{
    return a.net == b.net && naive_same_text(a.tenant, b.tenant);
}

/* Are the first length of the width low bits of a and b equal? Bit by bit. */
static bool bits_equal(uint64_t a, uint64_t b, unsigned width, unsigned length)
{
    for (unsigned i = 0; i < length; i++) {
        uint64_t bit = UINT64_C(1) << (width - 1 - i);
        if ((a & bit) != (b & bit)) {
            return false;
        }
    }
    return true;
}

static bool wanted(int want, bool value)
{
    return want < 0 || (want == 1) == value;
}

static bool eui_condition(const m_condition *c, const m_message *m)
{
    return bits_equal(c->join_eui, m->join_eui, 64, c->join_len) && bits_equal(c->dev_eui, m->dev_eui, 64, c->dev_len);
}

static bool data_filter(const m_filter *f, const m_message *m)
{
    bool addr = f->addrs == 0, port = f->ports == 0;
    uint32_t port_number = m->port == 256 ? 0 : m->port;
    for (unsigned i = 0; i < f->addrs; i++) {
        addr = addr || bits_equal(f->conditions[i].dev_addr, m->dev_addr, 32, f->conditions[i].addr_len);
    }
    for (unsigned i = 0; i < f->ports; i++) {
        port = port || (port_number >= f->conditions[i].low && port_number <= f->conditions[i].high);
    }
    return addr && port && wanted(f->confirmed, m->confirmed) && wanted(f->f_opts, m->f_opts);
}

/* named: only EUI prefixes with bits count. */
static bool join_filter(const m_filter *f, const m_message *m, bool named)
{
    bool match = f->euis == 0 && !named;
    for (unsigned i = 0; i < f->euis; i++) {
        bool names = f->conditions[i].join_len + f->conditions[i].dev_len > 0;
        match = match || (eui_condition(&f->conditions[i], m) && (names || !named));
    }
    return match;
}

/* Number of the first filter that passes, 0 without filters, -1: refused. */
static int sub_wants(const m_sub *sub, const m_message *m, bool metadata, bool named)
{
    if (sub->filter_count == 0) {
        return named ? -1 : 0;
    }
    for (unsigned i = 0; i < sub->filter_count; i++) {
        const m_filter *f = &sub->filters[i];
        bool pass = f->metadata != 1 || metadata;
        if (f->kind == 0) {
            pass = pass && !named;
        } else if (f->kind == 1) {
            pass = pass && m->join && join_filter(f, m, named);
        } else {
            pass = pass && !m->join && data_filter(f, m);
        }
        if (pass) {
            return (int)i + 1;
        }
    }
    return -1;
}

/* Flags by the five steps; the last row of a key counts. */
static unsigned policy_flags(const world *w, who forwarder, who home, bool up, traffic_policy *source)
{
    static const traffic_policy sources[] = {TRAFFIC_POLICY_TENANT, TRAFFIC_POLICY_NETWORK, TRAFFIC_POLICY_DEFAULT,
                                             TRAFFIC_POLICY_NETWORK_DEFAULT};

    who home_network = {home.net, "", ""}, forwarder_network = {forwarder.net, "", ""};
    for (int step = 0; step < 4; step++) {
        for (unsigned i = w->policy_count; i > 0; i--) {
            const m_policy *p = &w->policies[i - 1];
            bool hit = step == 0 ? !p->is_default && same_member(p->forwarder, forwarder) && same_member(p->home, home)
                       : step == 1 ? !p->is_default && same_member(p->forwarder, forwarder) &&
                                         same_member(p->home, home_network)
                       : step == 2 ? p->is_default && same_member(p->forwarder, forwarder)
                                   : p->is_default && same_member(p->forwarder, forwarder_network);
            if (hit) {
                *source = sources[step];
                return up ? p->up : p->down;
            }
        }
    }
    *source = TRAFFIC_POLICY_SETTING;
    return w->open ? (up ? 31 : 7) : 0;
}

static unsigned type_flag(const m_message *m)
{
    if (m->join) {
        return 1;
    }
    return m->port == 0 || m->port == 256 ? 2 : 4;
}

static unsigned strip_for(const m_message *m, unsigned allowed)
{
    bool signal = (allowed & 8) != 0, localization = (allowed & 16) != 0;
    return (m->signal && !signal ? 1u : 0u) | (m->localization && !localization ? 2u : 0u) |
           (m->metadata && !signal && !localization ? 4u : 0u);
}

static void add_decision(outcome *o, decision d)
{
    o->decisions[o->decision_count++] = d;
}

static void add_no_route(outcome *o)
{
    add_decision(o, (decision){.home = {0, "", ""}, .drop = TRAFFIC_DROP_NO_ROUTE});
}

static bool same_group(const m_sub *a, const m_sub *b)
{
    return a->up == b->up && same_member(a->at, b->at) && naive_same_text(a->at.cluster, b->at.cluster) &&
           naive_same_text(a->group, b->group);
}

/* Put the picked one and those of its group that came before it behind the others of its group. */
static void turn_over(world *w, unsigned picked)
{
    unsigned kept[MAX_SUBS], back[MAX_SUBS], kept_count = 0, back_count = 0;
    bool after = false;
    for (unsigned i = 0; i < w->sub_count; i++) {
        unsigned sub = w->turns[i];
        bool passed = same_group(&w->subs[sub], &w->subs[picked]) && !after;
        if (passed) {
            back[back_count++] = sub;
        } else {
            kept[kept_count++] = sub;
        }
        after = after || sub == picked;
    }
    memcpy(w->turns, kept, kept_count * sizeof kept[0]);
    memcpy(w->turns + kept_count, back, back_count * sizeof back[0]);
}

/* The settings that hold for a home network: its own, or those of its network. */
static const m_settings *settings_of(const world *w, who home)
{
    const m_settings *found = NULL;
    for (unsigned i = 0; i < w->settings_count; i++) {
        const m_settings *s = &w->settings[i];
        bool own = same_member(s->home, home);
        if (own || (found == NULL && s->home.net == home.net && naive_same_text(s->home.tenant, ""))) {
            found = s;
        }
        if (own) {
            break;
        }
    }
    return found;
}

static bool among(const who *parties, unsigned count, who forwarder)
{
    for (unsigned i = 0; i < count; i++) {
        bool tenant = naive_same_text(parties[i].tenant, "") || naive_same_text(parties[i].tenant, forwarder.tenant);
        bool cluster =
            naive_same_text(parties[i].cluster, "") || naive_same_text(parties[i].cluster, forwarder.cluster);
        if (parties[i].net == forwarder.net && tenant && cluster) {
            return true;
        }
    }
    return false;
}

static bool unwanted(const m_settings *s, who forwarder)
{
    return (s->allow_count > 0 && !among(s->allow, s->allow_count, forwarder)) ||
           among(s->deny, s->deny_count, forwarder);
}

/* Has the home network had its copies? If not, this is one. */
static bool enough(world *w, const m_settings *s, const m_message *m, who home)
{
    if (s->max_copies == 0) {
        return false;
    }
    for (unsigned i = 0; i < w->counted_count; i++) {
        m_counted *c = &w->counted[i];
        if (same_member(c->home, home) && c->payload == m->payload && m->now - c->began < s->window) {
            return c->copies++ >= s->max_copies;
        }
    }
    w->counted[w->counted_count++] = (m_counted){home, m->payload, 1, m->now};
    return false;
}

/* Peer of the longest prefix, -1: none. */
static int longest(const m_peer_route *routes, unsigned count, uint64_t value, unsigned width)
{
    int best = -1;
    for (unsigned i = 0; i < count; i++) {
        if (bits_equal(routes[i].value, value, width, routes[i].length) &&
            (best < 0 || routes[i].length > routes[best].length)) {
            best = (int)i;
        }
    }
    return best < 0 ? -1 : (int)routes[best].peer;
}

static void hand_to(outcome *o, decision verdict, int peer)
{
    verdict.route = TRAFFIC_ROUTE_PEER;
    verdict.copies = 1;
    o->handed_to = (unsigned)peer + 1;
    add_decision(o, verdict);
}

/* Nobody here has it. The peers' addresses are of no network that is known here. */
static void naive_elsewhere(world *w, const m_message *m, outcome *o)
{
    who nobody = {0, "", ""};
    int peer = m->join ? longest(w->peer_joins, w->peer_join_count, m->join_eui, 64)
                       : longest(w->peer_addrs, w->peer_addr_count, m->dev_addr, 32);
    if (peer < 0 || (unsigned)peer + 1 == m->came_by) {
        add_no_route(o);
        return;
    }
    decision verdict = {.home = nobody, .route = TRAFFIC_ROUTE_PEER};
    unsigned allowed = policy_flags(w, m->forwarder, nobody, true, &verdict.policy);
    if ((allowed & type_flag(m)) == 0) {
        verdict.drop = TRAFFIC_DROP_POLICY;
        add_decision(o, verdict);
        return;
    }
    verdict.stripped_signal_quality = m->signal && (allowed & 8) == 0;
    verdict.stripped_localization = m->localization && (allowed & 16) == 0;
    hand_to(o, verdict, peer);
}

/* Peer of a downlink's forwarder, -1: none. */
static int forwarder_peer(const world *w, const m_message *m)
{
    int peer = -1;
    for (unsigned i = 0; i < NETS; i++) {
        if (naive_nets[i] == m->forwarder.net && !w->registered[i]) {
            peer = m->heard_by > 0 ? (int)m->heard_by - 1 : w->peer_of_net[i];
        }
    }
    return peer >= 0 && (unsigned)peer + 1 != m->came_by ? peer : -1;
}

/* How a copy for a home network finds its subscriptions. */
typedef struct hunt {
    const m_message *m;
    const who *homes; /* one member, its clusters in order */
    unsigned home_count;
    bool metadata, named;
    unsigned strip;
    bool met;
    decision verdict;
} hunt;

static bool clusters_meet(const char *a, const char *b)
{
    return naive_same_text(a, "") || naive_same_text(b, "") || naive_same_text(a, b);
}

/* Does a network's subscription get the join-request for one of its tenants, by the Join Server's word? */
static bool known_for_tenant(const m_message *m, const m_sub *sub)
{
    for (unsigned i = 0; i < m->known_count; i++) {
        if (naive_same_text(sub->at.tenant, "") && m->known[i].net == sub->at.net &&
            !naive_same_text(m->known[i].tenant, "") && clusters_meet(sub->at.cluster, m->known[i].cluster)) {
            return true;
        }
    }
    return false;
}

/* Does the subscription's place match? *home is what the copy says. */
static bool place_matches(const hunt *h, const m_sub *sub, who *home)
{
    who target = h->m->up ? h->homes[0] : h->m->forwarder;
    if (sub->gone || sub->up != h->m->up || sub->at.net != target.net ||
        !(naive_same_text(sub->at.tenant, "") || naive_same_text(sub->at.tenant, target.tenant))) {
        return false;
    }
    if (h->named) { /* join-requests: the subscription's own place */
        *home = sub->at;
        return naive_same_text(sub->at.tenant, target.tenant) && !known_for_tenant(h->m, sub);
    }
    if (!h->m->up) {
        *home = h->m->home;
        return clusters_meet(sub->at.cluster, target.cluster);
    }
    for (unsigned i = 0; i < h->home_count; i++) {
        *home = h->homes[i];
        if (clusters_meet(sub->at.cluster, home->cluster)) {
            return true;
        }
    }
    return false;
}

/* The number of the filter that lets the message through, -1: none. */
static int can_take(const hunt *h, const m_sub *sub, who *home)
{
    if (!place_matches(h, sub, home)) {
        return -1;
    }
    return h->m->up ? sub_wants(sub, h->m, h->metadata, h->named) : 0;
}

/* The one of the group whose turn it is; room: only those with room. */
static int pick_of_group(world *w, const hunt *h, const m_sub *of, bool room)
{
    for (unsigned i = 0; i < w->sub_count; i++) {
        const m_sub *sub = &w->subs[w->turns[i]];
        who home;
        if (same_group(sub, of) && can_take(h, sub, &home) >= 0 && !(room && sub->full)) {
            return (int)w->turns[i];
        }
    }
    return -1;
}

static void hunt_all(world *w, hunt *h, outcome *o)
{
    bool done[MAX_SUBS] = {false};
    for (unsigned i = 0; i < w->sub_count; i++) {
        const m_sub *sub = &w->subs[i];
        who home;
        if (done[i] || !place_matches(h, sub, &home)) {
            continue;
        }
        h->met = true;
        int picked = naive_same_text(sub->group, "") ? (can_take(h, sub, &home) >= 0 ? (int)i : -1) : -2;
        if (picked == -2) {
            picked = pick_of_group(w, h, sub, true);
            picked = picked >= 0 ? picked : pick_of_group(w, h, sub, false);
            for (unsigned j = 0; j < w->sub_count; j++) {
                done[j] = done[j] || same_group(&w->subs[j], sub);
            }
            if (picked >= 0) {
                turn_over(w, (unsigned)picked);
            }
        }
        if (picked >= 0) {
            int filter = can_take(h, &w->subs[picked], &home);
            h->verdict.copies++;
            o->copies[o->copy_count++] = (copy){.sub = (unsigned)picked,
                                                .home = home,
                                                .strip = h->strip,
                                                .filter = (unsigned)filter,
                                                .decision = o->decision_count};
        }
    }
    int peer = h->m->up || h->verdict.copies > 0 ? -1 : forwarder_peer(w, h->m);
    if (peer >= 0) {
        hand_to(o, h->verdict, peer);
        return;
    }
    h->verdict.drop = h->met ? TRAFFIC_DROP_FILTER : TRAFFIC_DROP_NO_ENDPOINT;
    const m_settings *settings = h->m->up ? settings_of(w, h->homes[0]) : NULL;
    if (h->verdict.copies > 0 && settings != NULL && enough(w, settings, h->m, h->homes[0])) {
        o->copy_count -= h->verdict.copies;
        h->verdict.copies = 0;
        h->verdict.drop = TRAFFIC_DROP_COPIES;
    }
    add_decision(o, h->verdict);
}

/* One home network (homes: its clusters in order). */
static void naive_home(world *w, const m_message *m, const who *homes, unsigned home_count, traffic_route route,
                       outcome *o)
{
    decision verdict = {.home = homes[0], .route = route};
    if (same_member(m->forwarder, homes[0]) && !w->loopback) {
        verdict.drop = TRAFFIC_DROP_LOOPBACK;
        add_decision(o, verdict);
        return;
    }
    unsigned allowed = policy_flags(w, m->forwarder, homes[0], true, &verdict.policy);
    if ((allowed & type_flag(m)) == 0) {
        verdict.drop = TRAFFIC_DROP_POLICY;
        add_decision(o, verdict);
        return;
    }
    const m_settings *settings = settings_of(w, homes[0]);
    if (settings != NULL && unwanted(settings, m->forwarder)) {
        verdict.drop = TRAFFIC_DROP_SETTINGS;
        add_decision(o, verdict);
        return;
    }
    verdict.stripped_signal_quality = m->signal && (allowed & 8) == 0;
    verdict.stripped_localization = m->localization && (allowed & 16) == 0;
    hunt h = {.m = m,
              .homes = homes,
              .home_count = home_count,
              .named = route == TRAFFIC_ROUTE_FILTER,
              .strip = strip_for(m, allowed),
              .metadata = (m->signal && (allowed & 8) != 0) || (m->localization && (allowed & 16) != 0),
              .verdict = verdict};
    hunt_all(w, &h, o);
}

static int compare_who(const void *a, const void *b)
{
    const who *x = a, *y = b;
    if (x->net != y->net) {
        return x->net < y->net ? -1 : 1;
    }
    int order = strcmp(x->tenant, y->tenant);
    return order != 0 ? order : strcmp(x->cluster, y->cluster);
}

/* Who serves the block, delegation considered? */
static who server_of(const world *w, who owner)
{
    for (unsigned i = 0; i < NETS; i++) {
        if (naive_nets[i] == owner.net && w->delegated[i] >= 0 && naive_same_text(owner.tenant, "")) {
            return (who){naive_nets[w->delegated[i]], "", owner.cluster};
        }
    }
    return owner;
}

/* A network's own block does not count beside an equal one of its tenant. @return how many are left */
static unsigned without_beaten(who *owners, unsigned count)
{
    unsigned kept = 0;
    who all[MAX_BLOCKS];
    memcpy(all, owners, count * sizeof all[0]);
    for (unsigned i = 0; i < count; i++) {
        bool beaten = false;
        for (unsigned j = 0; j < count; j++) {
            beaten = beaten || (naive_same_text(all[i].tenant, "") && all[j].net == all[i].net &&
                                !naive_same_text(all[j].tenant, ""));
        }
        if (!beaten) {
            owners[kept++] = all[i];
        }
    }
    return kept;
}

static void naive_data(world *w, const m_message *m, outcome *o)
{
    int longest = -1;
    who owners[MAX_BLOCKS];
    unsigned count = 0;
    for (unsigned i = 0; i < w->block_count; i++) {
        const m_block *b = &w->blocks[i];
        if (bits_equal(b->value, m->dev_addr, 32, b->length) && (int)b->length >= longest) {
            count = (int)b->length > longest ? 0 : count;
            longest = (int)b->length;
            owners[count++] = server_of(w, b->owner);
        }
    }
    if (count == 0) {
        naive_elsewhere(w, m, o);
        return;
    }
    count = without_beaten(owners, count);
    qsort(owners, count, sizeof owners[0], compare_who);
    for (unsigned i = 0; i < count;) {
        unsigned same = 1;
        while (i + same < count && same_member(owners[i], owners[i + same])) {
            same++;
        }
        naive_home(w, m, &owners[i], same, TRAFFIC_ROUTE_BLOCK, o);
        i += same;
    }
}

static bool is_known(const m_message *m, who member)
{
    for (unsigned i = 0; i < m->known_count; i++) {
        if (same_member(m->known[i], member)) {
            return true;
        }
    }
    return false;
}

static void naive_join(world *w, const m_message *m, outcome *o)
{
    for (unsigned i = 0; i < m->known_count; i++) {
        naive_home(w, m, &m->known[i], 1, i == 0 ? TRAFFIC_ROUTE_FIXED : TRAFFIC_ROUTE_LOOKUP, o);
    }
    for (unsigned net = 0; net < NETS; net++) {
        for (unsigned tenant = 0; tenant < TENANTS; tenant++) {
            who home = {naive_nets[net], naive_tenants[tenant], ""};
            bool here = false;
            for (unsigned i = 0; i < w->sub_count; i++) {
                const m_sub *sub = &w->subs[i];
                here = here || (sub->up && !sub->gone && same_member(sub->at, home) && !known_for_tenant(m, sub) &&
                                sub_wants(sub, m, true, true) >= 0);
            }
            if (here && !is_known(m, home)) {
                naive_home(w, m, &home, 1, TRAFFIC_ROUTE_FILTER, o);
            }
        }
    }
    if (o->decision_count == 0) {
        naive_elsewhere(w, m, o);
    }
}

static void naive_down(world *w, const m_message *m, outcome *o)
{
    decision verdict = {.home = m->home, .route = TRAFFIC_ROUTE_NAMED};
    if (same_member(m->forwarder, m->home) && !w->loopback) {
        verdict.drop = TRAFFIC_DROP_LOOPBACK;
        add_decision(o, verdict);
        return;
    }
    if ((policy_flags(w, m->forwarder, m->home, false, &verdict.policy) & type_flag(m)) == 0) {
        verdict.drop = TRAFFIC_DROP_POLICY;
        add_decision(o, verdict);
        return;
    }
    hunt h = {.m = m, .verdict = verdict};
    hunt_all(w, &h, o);
}

void naive_route(world *w, const m_message *m, outcome *out)
{
    if (!m->up) {
        naive_down(w, m, out);
    } else if (m->join) {
        naive_join(w, m, out);
    } else {
        naive_data(w, m, out);
    }
}
