#include "trace/trace_text_core.h"

/* "000042", "000042/tenant-a", "000042/tenant-a at eu1". */
static const char *name_of(traffic_endpoint e, lpx_arena *arena)
{
    const char *name = lpx_arena_printf(arena, "%06X%s%.*s%s%.*s", (unsigned)e.net_id, e.tenant_id.len > 0 ? "/" : "",
                                        (int)e.tenant_id.len, e.tenant_id.ptr != NULL ? e.tenant_id.ptr : "",
                                        e.cluster_id.len > 0 ? " at " : "", (int)e.cluster_id.len,
                                        e.cluster_id.ptr != NULL ? e.cluster_id.ptr : "");
    return name != NULL ? name : "?";
}

static const char *member_name(traffic_endpoint e, lpx_arena *arena)
{
    e.cluster_id = LPX_STR("");
    return name_of(e, arena);
}

/* What policies tell apart. */
static const char *content(const traffic_passage *p)
{
    if (p->kind == TRAFFIC_JOIN) {
        return p->direction == TRAFFIC_UP ? "join-requests" : "join-accepts";
    }
    return p->f_port > 0 ? "application data" : "MAC data";
}

static char letter(const traffic_passage *p)
{
    if (p->kind == TRAFFIC_JOIN) {
        return 'J';
    }
    return p->f_port > 0 ? 'A' : 'M';
}

/* The policy that decided, as the begin of a sentence. */
static const char *policy_name(const traffic_passage *p, const traffic_outcome *o, lpx_arena *arena)
{
    const char *forwarder = member_name(p->forwarder, arena);
    switch (o->policy) {
    case TRAFFIC_POLICY_NONE:
        return "No policy";
    case TRAFFIC_POLICY_TENANT:
        return lpx_arena_printf(arena, "The policy of forwarder %s toward %s", forwarder, member_name(o->home, arena));
    case TRAFFIC_POLICY_NETWORK:
        return lpx_arena_printf(arena, "The policy of forwarder %s toward the whole network %06X", forwarder,
                                (unsigned)o->home.net_id);
    case TRAFFIC_POLICY_DEFAULT:
        return lpx_arena_printf(arena, "The default policy of forwarder %s", forwarder);
    case TRAFFIC_POLICY_NETWORK_DEFAULT:
        return lpx_arena_printf(arena, "The default policy of network %06X, to which forwarder %s belongs,",
                                (unsigned)p->forwarder.net_id, forwarder);
    case TRAFFIC_POLICY_SETTING:
        return lpx_arena_printf(
            arena, "No policy of forwarder %s says anything, and the exchange (control.default-policy)", forwarder);
    }
    return "The policy";
}

/* The command by which the forwarder lets such messages through. */
static const char *policy_command(const traffic_passage *p, const traffic_outcome *o, lpx_arena *arena)
{
    traffic_endpoint f = p->forwarder, h = o->home;
    const char *flag = p->direction == TRAFFIC_UP ? "uplink" : "downlink";
    return lpx_arena_printf(arena,
                            "lpx policy set --forwarder-net-id %06X%s%.*s --home-network-net-id %06X%s%.*s --set-%s %c "
                            "(with the letters of all else that it is to allow)",
                            (unsigned)f.net_id, f.tenant_id.len > 0 ? " --forwarder-tenant-id " : "",
                            (int)f.tenant_id.len, f.tenant_id.len > 0 ? f.tenant_id.ptr : "", (unsigned)h.net_id,
                            h.tenant_id.len > 0 ? " --home-network-tenant-id " : "", (int)h.tenant_id.len,
                            h.tenant_id.len > 0 ? h.tenant_id.ptr : "", flag, letter(p));
}

/* How the home network was found, as part of a sentence. */
static const char *found_by(traffic_route route)
{
    switch (route) {
    case TRAFFIC_ROUTE_NONE:
        return "it was found";
    case TRAFFIC_ROUTE_BLOCK:
        return "the DevAddr lies in its block";
    case TRAFFIC_ROUTE_FIXED:
        return "the Join Server of the JoinEUI has it as its fixed endpoint";
    case TRAFFIC_ROUTE_LOOKUP:
        return "the Join Server of the JoinEUI named it";
    case TRAFFIC_ROUTE_FILTER:
        return "its subscription names the JoinEUI or DevEUI";
    case TRAFFIC_ROUTE_NAMED:
        return "the message names it";
    case TRAFFIC_ROUTE_PEER:
        return "another exchange serves it or handed the message over";
    }
    return "it was found";
}

static const char *stripped(const traffic_outcome *o)
{
    if (o->stripped_signal_quality && o->stripped_localization) {
        return " Without signal quality and localization, which the policy withholds.";
    }
    if (o->stripped_signal_quality) {
        return " Without signal quality, which the policy withholds.";
    }
    return o->stripped_localization ? " Without localization, which the policy withholds." : "";
}

static const char *routed(const traffic_passage *p, const traffic_outcome *o, lpx_arena *arena)
{
    const char *filter =
        o->filter > 0 ? lpx_arena_printf(arena, " by filter %u of its subscription", (unsigned)o->filter) : "";
    const char *streams = o->copies == 1 ? "1 stream" : lpx_arena_printf(arena, "%u streams", (unsigned)o->copies);
    if (filter == NULL || streams == NULL) {
        return NULL;
    }
    if (p->direction == TRAFFIC_DOWN) {
        return lpx_arena_printf(arena, "Given to %s of forwarder %s.", streams, name_of(p->forwarder, arena));
    }
    return lpx_arena_printf(arena, "Given to %s of home network %s%s: %s.%s", streams, name_of(o->home, arena), filter,
                            found_by(o->route), stripped(o));
}

/* The side that was to receive the message. */
static const char *receiver(const traffic_passage *p, const traffic_outcome *o, lpx_arena *arena)
{
    return p->direction == TRAFFIC_UP ? lpx_arena_printf(arena, "home network %s", name_of(o->home, arena))
                                      : lpx_arena_printf(arena, "forwarder %s", name_of(p->forwarder, arena));
}

static const char *no_route(const traffic_passage *p, lpx_arena *arena)
{
    if (p->kind == TRAFFIC_JOIN) {
        return lpx_arena_printf(
            arena,
            "No Join Server is registered for JoinEUI %016llX, and no subscription names it or the DevEUI. "
            "The home network can subscribe with a filter that names it, or an administrator can "
            "register the Join Server: lpx join-server create --join-eui-prefixes %016llX/64.",
            (unsigned long long)p->join_eui, (unsigned long long)p->join_eui);
    }
    return lpx_arena_printf(arena,
                            "No network or tenant has a DevAddr block with %08X. Its owner can register one: "
                            "lpx network tenant update --dev-addr-blocks ...",
                            (unsigned)p->dev_addr);
}

static const char *kept_back(const traffic_passage *p, const traffic_outcome *o, lpx_arena *arena)
{
    const char *who = receiver(p, o, arena);
    who = who != NULL ? who : "the receiver";
    switch (o->drop) {
    case TRAFFIC_DROP_NO_ROUTE:
        return no_route(p, arena);
    case TRAFFIC_DROP_LOOPBACK:
        return lpx_arena_printf(arena,
                                "It is %s's own traffic, and this exchange does not route that back (router.loopback).",
                                member_name(p->forwarder, arena));
    case TRAFFIC_DROP_POLICY: {
        const char *policy = policy_name(p, o, arena);
        const char *command = policy_command(p, o, arena);
        return policy == NULL || command == NULL
                   ? NULL
                   : lpx_arena_printf(
                         arena, "%s does not allow %s %s home network %s. The forwarder can change it: %s.", policy,
                         content(p), p->direction == TRAFFIC_UP ? "to" : "from", member_name(o->home, arena), command);
    }
    case TRAFFIC_DROP_SETTINGS:
        return lpx_arena_printf(
            arena,
            "Home network %s takes nothing from forwarder %s: its settings say so. It can change them "
            "(lpx.routing.v1.HomeNetworkSettingsManager/SetSettings).",
            member_name(o->home, arena), name_of(p->forwarder, arena));
    case TRAFFIC_DROP_COPIES:
        return lpx_arena_printf(
            arena,
            "Home network %s has had its copies of this payload from other forwarders or gateways. It can "
            "raise max_copies in its settings.",
            member_name(o->home, arena));
    case TRAFFIC_DROP_LOOKUP:
        return lpx_arena_printf(
            arena,
            "The Join Server of JoinEUI %016llX did not say whose the device is. Its operator can look at "
            "the DevEUI; the exchange asks again after a short while.",
            (unsigned long long)p->join_eui);
    case TRAFFIC_DROP_HOPS:
        return "It has been at this exchange before, or went through too many exchanges. The operators of the "
               "exchanges "
               "should look for a circle of peers.";
    case TRAFFIC_DROP_PEER:
        return lpx_arena_printf(arena, "The other exchange that serves %s did not take it. Its operator can tell why.",
                                who);
    case TRAFFIC_DROP_NO_ENDPOINT:
        return lpx_arena_printf(arena,
                                "Nobody is subscribed for %s. Its network server must be connected with the same "
                                "NetID, tenant and cluster: lpx sub shows what arrives.",
                                who);
    case TRAFFIC_DROP_FILTER:
        return lpx_arena_printf(arena,
                                "All filters of the subscriptions of %s refuse this message. It can widen the "
                                "filters of its subscription.",
                                who);
    case TRAFFIC_DROP_QUEUE_FULL:
    case TRAFFIC_DROP_QUEUE_AGE:
    case TRAFFIC_DROP_GONE:
        return lpx_arena_printf(arena, "The subscription of %s did not take it in time.", who);
    case TRAFFIC_DROP_RELAY_FULL:
    case TRAFFIC_DROP_MEMORY:
        return lpx_arena_printf(arena,
                                "The exchange was too busy to hand it to %s. Its operator should look at load and "
                                "memory.",
                                who);
    case TRAFFIC_DROP_REASONS:
        break;
    }
    return "It was not delivered.";
}

const char *trace_text_outcome(const traffic_passage *passage, const traffic_outcome *outcome, lpx_arena *arena)
{
    return outcome->delivered ? routed(passage, outcome, arena) : kept_back(passage, outcome, arena);
}

static const char *lost(const traffic_copy *c, const char *who, lpx_arena *arena)
{
    switch (c->drop) {
    case TRAFFIC_DROP_QUEUE_FULL:
        return lpx_arena_printf(arena,
                                "It was the oldest in the full queue of a slow subscriber of %s, and went. The "
                                "network server must read faster, or share the work of a group of streams.",
                                who);
    case TRAFFIC_DROP_QUEUE_AGE:
        return lpx_arena_printf(arena,
                                "It waited too long (router.queue-age) in the queue of a slow subscriber of %s. The "
                                "network server must read faster, or share the work of a group of streams.",
                                who);
    case TRAFFIC_DROP_GONE:
        return lpx_arena_printf(arena, "The subscriber of %s left before it was sent.", who);
    case TRAFFIC_DROP_PEER:
        return lpx_arena_printf(arena, "The other exchange that serves %s did not take it. Its operator can tell why.",
                                who);
    case TRAFFIC_DROP_NO_ROUTE:
    case TRAFFIC_DROP_LOOPBACK:
    case TRAFFIC_DROP_POLICY:
    case TRAFFIC_DROP_SETTINGS:
    case TRAFFIC_DROP_COPIES:
    case TRAFFIC_DROP_LOOKUP:
    case TRAFFIC_DROP_HOPS:
    case TRAFFIC_DROP_NO_ENDPOINT:
    case TRAFFIC_DROP_FILTER:
    case TRAFFIC_DROP_RELAY_FULL:
    case TRAFFIC_DROP_MEMORY:
    case TRAFFIC_DROP_REASONS:
        break;
    }
    return lpx_arena_printf(arena,
                            "The exchange was too busy to send it to %s (%s). Its operator should look at load and "
                            "memory.",
                            who, traffic_drop_name(c->drop));
}

const char *trace_text_copy(const traffic_copy *copy, lpx_arena *arena)
{
    const char *who = copy->direction == TRAFFIC_UP
                          ? lpx_arena_printf(arena, "home network %s", name_of(copy->home, arena))
                          : lpx_arena_printf(arena, "forwarder %s", name_of(copy->forwarder, arena));
    if (who == NULL) {
        return NULL;
    }
    return copy->sent ? lpx_arena_printf(arena, "Sent to %s.", who) : lost(copy, who, arena);
}

const char *trace_text_report(const traffic_report *report, const char *error, lpx_arena *arena)
{
    const char *who = report->direction == TRAFFIC_UP
                          ? lpx_arena_printf(arena, "Home network %s", name_of(report->home, arena))
                          : lpx_arena_printf(arena, "Forwarder %s", name_of(report->forwarder, arena));
    if (who == NULL) {
        return NULL;
    }
    return report->failed ? lpx_arena_printf(arena, "%s reports that it failed: %s.", who, error)
                          : lpx_arena_printf(arena, "%s reports that it was processed.", who);
}
