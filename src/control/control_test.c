/* PolicyManager on a real store: control_test sqlite, or control_test postgres with a server's URL in
 * LPX_TEST_POSTGRES_URL (tools/with_postgres.sh). A second argument is the seed. */
#include "control/control_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "control/control_core.h"
#include "control/limits.h"

uint32_t test_random(void)
{
    return kit_random();
}

typedef struct fixture {
    kit *k;
    lpx_arena arena;
    lpx_utc now;
    lpx_note note; /* of the last call */
} fixture;

static const rpc_principal admin = {.subject = RPC_ADMIN, .rights = ~UINT64_C(0)};
static const rpc_principal cluster = {.subject = RPC_CLUSTER, .cluster_id = "eu1", .rights = 1 << 4};
static const rpc_principal network = {.subject = RPC_NETWORK, .net_id = 0x13, .rights = 1 << 4 | 1 << 7};
static const rpc_principal tenant = {
    .subject = RPC_TENANT, .net_id = 0x13, .tenant_id = "ttn", .rights = 1 << 4 | 1 << 7};

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    void *k = NULL;
    kit_setup(&k);
    f->k = k;
    f->now = (lpx_utc){INT64_C(1700000000123456)};
    lpx_arena_init(&f->arena, 64 << 20);
    kit_exec(f->k->store, "INSERT INTO networks (net_id, name, listed, created_at, updated_at) VALUES "
                          "(19, 'The Network', 0, 1, 1), (20, 'Other Corp', 1, 1, 1), (21, 'Third', 1, 1, 1)");
    kit_exec(f->k->store,
             "INSERT INTO tenants (net_id, tenant_id, name, listed, created_at, updated_at) VALUES "
             "(19, 'ttn', 'Ttn', 1, 1, 1), (19, 'two', 'Two', 0, 1, 1), (20, 'ttn', 'Ttn of Other', 1, 1, 1)");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    void *k = f->k;
    lpx_arena_fini(&f->arena);
    free(f);
    return kit_teardown(&k);
}

static char *text(fixture *f, const char *s)
{
    return lpx_arena_cstr(&f->arena, lpx_str_of(s));
}

/* Calls as the pipeline makes them, with messages that go over the wire. */

typedef struct call_job {
    store_job job;
    const rpc_method *method;
    rpc_txn txn;
} call_job;

static lpx_err call_work(store_tx *tx, store_job *job)
{
    call_job *c = LPX_CONTAINER(job, call_job, job);
    c->txn.reply = NULL;
    c->txn.note.text[0] = '\0';
    return c->method->txn(tx, &c->txn);
}

static const rpc_method *find_method(const char *name)
{
    const rpc_method *methods;
    size_t count = control_methods(&methods);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(strrchr(methods[i].path, '/') + 1, name) == 0) {
            return &methods[i];
        }
    }
    fail_msg("there is no method %s", name);
    return NULL;
}

static const void *over_the_wire(fixture *f, const ProtobufCMessage *message, const ProtobufCMessageDescriptor *type)
{
    lpx_bytes bytes;
    ProtobufCMessage *out;
    assert_ptr_equal(message->descriptor, type);
    assert_ok(pb_encode(message, &f->arena, &bytes));
    assert_ok(pb_decode(type, bytes, &f->arena, &out, &f->note));
    return out;
}

static lpx_err try(fixture *f, const char *method, const rpc_principal *who, const void *request, const void **reply)
{
    const rpc_method *m = find_method(method);
    call_job call = {.job = {.work = call_work, .write = m->flavour == RPC_WRITE}, .method = m};
    call.txn = (rpc_txn){.who = who, .request = over_the_wire(f, request, m->in), .arena = &f->arena, .now = f->now};
    lpx_err err = store_run(f->k->store, &call.job);
    f->note = call.txn.note;
    if (!lpx_failed(err) && reply != NULL) {
        *reply = call.txn.reply != NULL ? over_the_wire(f, call.txn.reply, m->out) : NULL;
    }
    return err;
}

static const void *ask(fixture *f, const char *method, const rpc_principal *who, const void *request)
{
    const void *reply = NULL;
    lpx_err err = try(f, method, who, request, &reply);
    assert_string_equal(lpx_failed(err) ? f->note.text : "", "");
    assert_ok(err);
    return reply;
}

#define refuse(f, method, who, request, want, words)                     \
    do {                                                                 \
        assert_reason(try((f), (method), (who), (request), NULL), want); \
        assert_non_null(strstr((f)->note.text, (words)));                \
    } while (0)

/* Policies. */

typedef struct ids {
    uint32_t forwarder;
    const char *forwarder_tenant;
    uint32_t home;
    const char *home_tenant;
} ids;

enum { UP = 1, DOWN = 2 };

/* Request for a policy whose directions are present as given; join flags on when flags are. */
static Pb__Routing__V1__SetPolicyRequest set_request(fixture *f, ids i, int present, bool on)
{
    Pb__Routing__V1__SetPolicyRequest request = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
    Pb__V3__RoutingPolicy *p = lpx_arena_get(&f->arena, sizeof *p);
    Pb__V3__RoutingPolicy__Uplink *up = lpx_arena_get(&f->arena, sizeof *up);
    Pb__V3__RoutingPolicy__Downlink *down = lpx_arena_get(&f->arena, sizeof *down);
    pb__v3__routing_policy__init(p);
    pb__v3__routing_policy__uplink__init(up);
    pb__v3__routing_policy__downlink__init(down);
    p->forwarder_net_id = i.forwarder;
    p->forwarder_tenant_id = text(f, i.forwarder_tenant);
    p->home_network_net_id = i.home;
    p->home_network_tenant_id = text(f, i.home_tenant);
    up->join_request = down->join_accept = on;
    p->uplink = (present & UP) != 0 ? up : NULL;
    p->downlink = (present & DOWN) != 0 ? down : NULL;
    request.policy = p;
    return request;
}

static const char *set_method(ids i)
{
    return i.home != 0 || i.home_tenant[0] != '\0' ? "SetHomeNetworkPolicy" : "SetDefaultPolicy";
}

static void set(fixture *f, ids i, int present, bool on)
{
    Pb__Routing__V1__SetPolicyRequest request = set_request(f, i, present, on);
    ask(f, set_method(i), &network, &request);
}

static lpx_err get(fixture *f, ids i, const Pb__V3__RoutingPolicy **out)
{
    Pb__Routing__V1__GetDefaultPolicyRequest d = PB__ROUTING__V1__GET_DEFAULT_POLICY_REQUEST__INIT;
    Pb__Routing__V1__GetHomeNetworkPolicyRequest h = PB__ROUTING__V1__GET_HOME_NETWORK_POLICY_REQUEST__INIT;
    d.forwarder_net_id = h.forwarder_net_id = i.forwarder;
    d.forwarder_tenant_id = h.forwarder_tenant_id = text(f, i.forwarder_tenant);
    h.home_network_net_id = i.home;
    h.home_network_tenant_id = text(f, i.home_tenant);
    const void *reply = NULL;
    bool home = i.home != 0 || i.home_tenant[0] != '\0';
    lpx_err err =
        home ? try(f, "GetHomeNetworkPolicy", &network, &h, &reply) : try(f, "GetDefaultPolicy", &network, &d, &reply);
    if (!lpx_failed(err)) {
        *out = ((const Pb__Routing__V1__GetPolicyResponse *)reply)->policy;
        assert_non_null(*out);
    }
    return err;
}

static const ids some_ids[] = {
    {0x13, "", 0, ""},          {0x13, "ttn", 0, ""},        {0x13, "", 0x14, ""},
    {0x13, "ttn", 0x14, "ttn"}, {0x13, "ttn", 0x99, "none"},
};

static void policies_are_set_read_and_deleted(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < sizeof some_ids / sizeof some_ids[0]; i++) {
        const Pb__V3__RoutingPolicy *p = NULL;
        assert_reason(get(f, some_ids[i], &p), CONTROL_POLICY_UNKNOWN);
        set(f, some_ids[i], UP | DOWN, true);
        assert_ok(get(f, some_ids[i], &p));
        assert_int_equal(p->forwarder_net_id, some_ids[i].forwarder);
        assert_string_equal(p->forwarder_tenant_id, some_ids[i].forwarder_tenant);
        assert_int_equal(p->home_network_net_id, some_ids[i].home);
        assert_string_equal(p->home_network_tenant_id, some_ids[i].home_tenant);
        assert_true(p->uplink->join_request && p->downlink->join_accept);
        assert_false(p->uplink->mac_data || p->downlink->mac_data);
        set(f, some_ids[i], UP | DOWN, false); /* all off is a policy */
        assert_ok(get(f, some_ids[i], &p));
        assert_false(p->uplink->join_request || p->downlink->join_accept);
        set(f, some_ids[i], UP, true); /* the other direction is off */
        assert_ok(get(f, some_ids[i], &p));
        assert_true(p->uplink->join_request);
        assert_false(p->downlink->join_accept);
        set(f, some_ids[i], 0, false);
        assert_reason(get(f, some_ids[i], &p), CONTROL_POLICY_UNKNOWN);
        set(f, some_ids[i], 0, false); /* nothing to delete: fine */
    }
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM routing_policies"), 0);
}

static void policies_do_not_touch_each_other(void **state)
{
    fixture *f = *state;
    const size_t count = sizeof some_ids / sizeof some_ids[0];
    for (size_t i = 0; i < count; i++) {
        set(f, some_ids[i], UP | DOWN, i % 2 == 0);
    }
    for (size_t gone = 0; gone < count; gone++) {
        set(f, some_ids[gone], 0, false);
        for (size_t i = gone + 1; i < count; i++) {
            const Pb__V3__RoutingPolicy *p = NULL;
            assert_ok(get(f, some_ids[i], &p));
            assert_int_equal(p->uplink->join_request, i % 2 == 0);
        }
    }
}

static void bad_requests_are_refused(void **state)
{
    fixture *f = *state;
    Pb__Routing__V1__SetPolicyRequest request = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
    refuse(f, "SetDefaultPolicy", &network, &request, CONTROL_MISSING_FIELD, "policy is missing.");
    request = set_request(f, (ids){0x13, "", 0, ""}, UP, true);
    refuse(f, "SetHomeNetworkPolicy", &network, &request, CONTROL_HOME_MISSING, "policy.home_network_net_id");
    request = set_request(f, (ids){0x13, "", 0x14, ""}, UP, true);
    refuse(f, "SetDefaultPolicy", &network, &request, CONTROL_HOME_GIVEN, "policy.home_network_net_id");
    request = set_request(f, (ids){0x99, "", 0, ""}, UP, true);
    refuse(f, "SetDefaultPolicy", &admin, &request, CONTROL_FORWARDER_UNKNOWN, "Forwarder 000099 is not registered");
    request = set_request(f, (ids){0x13, "unknown", 0x14, ""}, UP, true);
    refuse(f, "SetHomeNetworkPolicy", &network, &request, CONTROL_FORWARDER_UNKNOWN, "Forwarder 000013/unknown");
    Pb__Routing__V1__GetDefaultPolicyRequest bad = PB__ROUTING__V1__GET_DEFAULT_POLICY_REQUEST__INIT;
    bad.forwarder_net_id = 0x1000000;
    refuse(f, "GetDefaultPolicy", &admin, &bad, LW_NETID_INVALID, "forwarder_net_id");
    Pb__Routing__V1__ListDefaultPoliciesRequest list = PB__ROUTING__V1__LIST_DEFAULT_POLICIES_REQUEST__INIT;
    Google__Protobuf__Timestamp since = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    since.nanos = -1;
    list.updated_since = &since;
    refuse(f, "ListDefaultPolicies", &admin, &list, CONTROL_BAD_TIME, "updated_since");
}

/* Lists by time. */

static const Pb__Routing__V1__ListHomeNetworkPoliciesResponse *list_home(fixture *f, const rpc_principal *who,
                                                                         uint32_t net_id, const char *tenant_id,
                                                                         Google__Protobuf__Timestamp *since,
                                                                         uint32_t limit)
{
    Pb__Routing__V1__ListHomeNetworkPoliciesRequest request = PB__ROUTING__V1__LIST_HOME_NETWORK_POLICIES_REQUEST__INIT;
    request.forwarder_net_id = net_id;
    request.forwarder_tenant_id = text(f, tenant_id);
    request.updated_since = since;
    request.limit = limit;
    return ask(f, "ListHomeNetworkPolicies", who, &request);
}

/* As the clients do it: until a page is empty, each page from the last updated_at. */
static void lists_are_paged_by_time(void **state)
{
    fixture *f = *state;
    enum { COUNT = 25 };
    for (uint32_t i = 0; i < COUNT; i++) { /* all in the same microsecond */
        set(f, (ids){0x13, "ttn", 0x200000 + (i * 7) % COUNT, ""}, UP, true);
    }
    set(f, (ids){0x13, "ttn", 0x200000, ""}, UP, false); /* one moves to the end */
    for (uint32_t limit = 0; limit < 30; limit += 7) {
        Google__Protobuf__Timestamp *since = NULL;
        unsigned seen = 0;
        int64_t last_us = 0;
        for (;;) {
            const Pb__Routing__V1__ListHomeNetworkPoliciesResponse *page =
                list_home(f, &tenant, 0x13, "ttn", since, limit);
            assert_int_equal(page->total, COUNT);
            if (page->n_policies == 0) {
                break;
            }
            size_t want = limit == 0 ? 10 : limit;
            assert_int_equal(page->n_policies, COUNT - seen < want ? COUNT - seen : want);
            for (size_t i = 0; i < page->n_policies; i++) {
                const Google__Protobuf__Timestamp *t = page->policies[i]->updated_at;
                int64_t us = t->seconds * 1000000 + t->nanos / 1000;
                assert_true(us > last_us);
                last_us = us;
            }
            seen += (unsigned)page->n_policies;
            since = page->policies[page->n_policies - 1]->updated_at;
            if (seen == COUNT) {
                assert_int_equal(page->policies[page->n_policies - 1]->home_network_net_id, 0x200000);
            }
        }
        assert_int_equal(seen, COUNT);
    }
}

static void new_policies_come_after_those_read(void **state)
{
    fixture *f = *state;
    set(f, (ids){0x13, "ttn", 0x14, ""}, UP, true);
    Google__Protobuf__Timestamp *last = list_home(f, &tenant, 0x13, "ttn", NULL, 0)->policies[0]->updated_at;
    f->now.us -= INT64_C(3600) * 1000000; /* the clock goes back */
    set(f, (ids){0x13, "ttn", 0x15, ""}, UP, true);
    const Pb__Routing__V1__ListHomeNetworkPoliciesResponse *page = list_home(f, &tenant, 0x13, "ttn", last, 0);
    assert_int_equal(page->n_policies, 1);
    assert_int_equal(page->policies[0]->home_network_net_id, 0x15);
    assert_int_equal(page->total, 2);
    last->nanos += 999; /* below a microsecond */
    assert_int_equal(list_home(f, &tenant, 0x13, "ttn", last, 0)->n_policies, 1);
    set(f, (ids){0x13, "ttn", 0x15, ""}, 0, true);
    page = list_home(f, &tenant, 0x13, "ttn", NULL, 0);
    assert_int_equal(page->n_policies, 1);
    assert_int_equal(page->total, 1);
}

static void home_network_lists_are_of_one_forwarder_or_all(void **state)
{
    fixture *f = *state;
    set(f, (ids){0x13, "", 0x14, ""}, UP, true);
    set(f, (ids){0x13, "ttn", 0x14, ""}, UP, true);
    set(f, (ids){0x13, "ttn", 0x14, "ttn"}, UP, true);
    set(f, (ids){0x14, "ttn", 0x13, "ttn"}, UP, true);
    set(f, (ids){0x13, "ttn", 0, ""}, UP, true); /* a default: not in this list */
    assert_int_equal(list_home(f, &cluster, 0, "", NULL, 0)->total, 4);
    assert_int_equal(list_home(f, &admin, 0, "", NULL, 0)->n_policies, 4);
    assert_int_equal(list_home(f, &cluster, 0x14, "ttn", NULL, 0)->total, 1);
    assert_int_equal(list_home(f, &network, 0x13, "", NULL, 0)->total, 1);
    assert_int_equal(list_home(f, &tenant, 0x13, "ttn", NULL, 0)->total, 2);
    /* A network with the private NetID 000000 sees its own, not all. */
    const rpc_principal zero = {.subject = RPC_NETWORK, .net_id = 0, .rights = 1 << 4};
    assert_int_equal(list_home(f, &zero, 0, "", NULL, 0)->total, 0);
}

static void default_policies_are_public(void **state)
{
    fixture *f = *state;
    set(f, (ids){0x13, "", 0, ""}, UP, true);
    set(f, (ids){0x13, "ttn", 0, ""}, DOWN, true);
    set(f, (ids){0x14, "ttn", 0, ""}, UP | DOWN, false);
    set(f, (ids){0x13, "ttn", 0x14, ""}, UP, true);
    const rpc_principal *const callers[] = {&admin, &cluster, &network, &tenant};
    for (size_t i = 0; i < 4; i++) {
        Pb__Routing__V1__ListDefaultPoliciesRequest request = PB__ROUTING__V1__LIST_DEFAULT_POLICIES_REQUEST__INIT;
        const Pb__Routing__V1__ListDefaultPoliciesResponse *all = ask(f, "ListDefaultPolicies", callers[i], &request);
        assert_int_equal(all->n_policies, 3);
        assert_int_equal(all->total, 3);
        assert_int_equal(all->policies[2]->forwarder_net_id, 0x14);
        assert_int_equal(all->policies[1]->home_network_net_id, 0);
        request.limit = 2;
        assert_int_equal(
            ((const Pb__Routing__V1__ListDefaultPoliciesResponse *)ask(f, "ListDefaultPolicies", callers[i], &request))
                ->n_policies,
            2);
        request.updated_since = all->policies[1]->updated_at;
        const Pb__Routing__V1__ListDefaultPoliciesResponse *rest = ask(f, "ListDefaultPolicies", callers[i], &request);
        assert_int_equal(rest->n_policies, 1);
        assert_int_equal(rest->total, 3);
    }
}

/* Effective policies. */

static const Pb__Routing__V1__ListEffectivePoliciesResponse *
effective(fixture *f, uint32_t home, const char *home_tenant, uint32_t offset, uint32_t limit)
{
    Pb__Routing__V1__ListEffectivePoliciesRequest request = PB__ROUTING__V1__LIST_EFFECTIVE_POLICIES_REQUEST__INIT;
    request.home_network_net_id = home;
    request.home_network_tenant_id = text(f, home_tenant);
    request.offset = offset;
    request.limit = limit;
    return ask(f, "ListEffectivePolicies", &cluster, &request);
}

static void assert_ids(const Pb__V3__RoutingPolicy *p, uint32_t fwd, const char *fwd_tenant, uint32_t home,
                       const char *home_tenant)
{
    assert_int_equal(p->forwarder_net_id, fwd);
    assert_string_equal(p->forwarder_tenant_id, fwd_tenant);
    assert_int_equal(p->home_network_net_id, home);
    assert_string_equal(p->home_network_tenant_id, home_tenant);
}

static void effective_policies_follow_the_order(void **state)
{
    fixture *f = *state;
    assert_int_equal(effective(f, 0x14, "ttn", 0, 0)->total, 0); /* the deployment's setting is no policy */
    set(f, (ids){0x13, "", 0, ""}, UP, true);
    const Pb__Routing__V1__ListEffectivePoliciesResponse *all = effective(f, 0x14, "ttn", 0, 0);
    assert_int_equal(all->total, 3); /* the network, and what its tenants inherit; unlisted ones, too */
    assert_ids(all->policies[0], 0x13, "", 0, "");
    assert_ids(all->policies[1], 0x13, "ttn", 0, "");
    assert_ids(all->policies[2], 0x13, "two", 0, "");
    set(f, (ids){0x13, "ttn", 0, ""}, UP, false);
    all = effective(f, 0x14, "ttn", 0, 0);
    assert_true(all->policies[0]->uplink->join_request);
    assert_false(all->policies[1]->uplink->join_request);
    assert_true(all->policies[2]->uplink->join_request);
    set(f, (ids){0x13, "ttn", 0x14, ""}, UP, true);
    all = effective(f, 0x14, "ttn", 0, 0);
    assert_int_equal(all->total, 3);
    assert_ids(all->policies[1], 0x13, "ttn", 0x14, "");
    assert_ids(effective(f, 0x14, "", 0, 0)->policies[1], 0x13, "ttn", 0x14, "");
    assert_ids(effective(f, 0x15, "", 0, 0)->policies[1], 0x13, "ttn", 0, "");
    set(f, (ids){0x13, "ttn", 0x14, "ttn"}, DOWN, true);
    all = effective(f, 0x14, "ttn", 0, 0);
    assert_ids(all->policies[1], 0x13, "ttn", 0x14, "ttn");
    assert_false(all->policies[1]->uplink->join_request);
    assert_ids(effective(f, 0x14, "other", 0, 0)->policies[1], 0x13, "ttn", 0x14, "");
    /* A network's policy toward a home network is not its tenants'. */
    set(f, (ids){0x13, "", 0x15, ""}, UP, false);
    all = effective(f, 0x15, "", 0, 0);
    assert_ids(all->policies[0], 0x13, "", 0x15, "");
    assert_ids(all->policies[2], 0x13, "two", 0, "");
    /* Pages. */
    all = effective(f, 0x14, "ttn", 1, 1);
    assert_int_equal(all->n_policies, 1);
    assert_int_equal(all->total, 3);
    assert_ids(all->policies[0], 0x13, "ttn", 0x14, "ttn");
    assert_int_equal(effective(f, 0x14, "ttn", 3, 0)->n_policies, 0);
    assert_int_equal(effective(f, 0x14, "ttn", 3, 0)->total, 3);
}

/* Partners. */

static const Pb__Routing__V1__ListNetworksResponse *partners(fixture *f, ids self, uint32_t offset, uint32_t limit,
                                                             const char *id_part, const char *name_part)
{
    Pb__Routing__V1__ListNetworksWithPolicyRequest request = PB__ROUTING__V1__LIST_NETWORKS_WITH_POLICY_REQUEST__INIT;
    request.net_id = self.forwarder;
    request.tenant_id = text(f, self.forwarder_tenant);
    request.offset = offset;
    request.limit = limit;
    request.tenant_id_contains = text(f, id_part);
    request.name_contains = text(f, name_part);
    return ask(f, "ListNetworksWithPolicy", &network, &request);
}

static void partners_have_a_policy_in_either_direction(void **state)
{
    fixture *f = *state;
    const ids self = {.forwarder = 0x13, .forwarder_tenant = "ttn"};
    assert_int_equal(partners(f, self, 0, 0, "", "")->total, 0);
    set(f, (ids){0x13, "ttn", 0, ""}, UP, true); /* a default names nobody */
    set(f, (ids){0x14, "", 0, ""}, UP, true);
    assert_int_equal(partners(f, self, 0, 0, "", "")->total, 0);
    set(f, (ids){0x13, "ttn", 0x14, "ttn"}, UP, true);
    set(f, (ids){0x14, "ttn", 0x13, "ttn"}, UP, true); /* both ways: once */
    set(f, (ids){0x13, "ttn", 0x99, ""}, UP, true);    /* not registered */
    set(f, (ids){0x13, "ttn", 0x99, "far"}, UP, true);
    set(f, (ids){0x15, "", 0x13, ""}, UP, false);   /* toward the whole network, and off: still a policy */
    set(f, (ids){0x13, "two", 0x14, ""}, UP, true); /* somebody else's */
    kit_exec(f->k->store, "INSERT INTO dev_addr_blocks (net_id, tenant_id, position, prefix_value, prefix_length, "
                          "home_network_cluster_id, created_at) VALUES (20, 'ttn', 0, 671088640, 8, 'eu1', 1), "
                          "(20, 'ttn', 1, 687865856, 8, '', 1), (20, '', 0, 671088640, 7, '', 1)");
    const Pb__Routing__V1__ListNetworksResponse *all = partners(f, self, 0, 0, "", "");
    assert_int_equal(all->total, 4);
    assert_int_equal(all->n_networks, 4);
    assert_int_equal(all->networks[0]->value_case, PB__V3__NETWORK_OR_TENANT__VALUE_TENANT);
    assert_string_equal(all->networks[0]->tenant->tenant_id, "ttn");
    assert_int_equal(all->networks[0]->tenant->net_id, 0x14);
    assert_string_equal(all->networks[0]->tenant->name, "Ttn of Other");
    assert_int_equal(all->networks[0]->tenant->n_dev_addr_blocks, 2);
    assert_string_equal(all->networks[0]->tenant->dev_addr_blocks[0]->home_network_cluster_id, "eu1");
    assert_true(all->networks[0]->tenant->listed);
    assert_int_equal(all->networks[1]->value_case, PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK);
    assert_int_equal(all->networks[1]->network->net_id, 0x15);
    assert_string_equal(all->networks[1]->network->name, "Third");
    assert_int_equal(all->networks[2]->network->net_id, 0x99);
    assert_string_equal(all->networks[2]->network->name, "");
    assert_string_equal(all->networks[3]->tenant->tenant_id, "far");
    /* Filters and pages. */
    assert_int_equal(partners(f, self, 0, 0, "TTN", "")->total, 1);
    assert_int_equal(partners(f, self, 0, 0, "", "third")->total, 1);
    assert_int_equal(partners(f, self, 0, 0, "ttn", "third")->total, 2);
    all = partners(f, self, 1, 1, "ttn", "third");
    assert_int_equal(all->n_networks, 1);
    assert_int_equal(all->total, 2);
    assert_int_equal(all->networks[0]->network->net_id, 0x15);
    assert_int_equal(partners(f, self, 4, 0, "", "")->n_networks, 0);
    /* The network as a whole has partners of its own. */
    all = partners(f, (ids){.forwarder = 0x13, .forwarder_tenant = ""}, 0, 0, "", "");
    assert_int_equal(all->total, 1);
    assert_int_equal(all->networks[0]->network->net_id, 0x15);
}

/* The change feed. */

typedef struct listener {
    store_watch watch;
    atomic_uint calls;
} listener;

static void heard(store_watch *watch, uint32_t topics)
{
    listener *l = LPX_CONTAINER(watch, listener, watch);
    assert_int_equal(topics, 1U << STORE_TOPIC_POLICIES);
    atomic_fetch_add(&l->calls, 1);
}

static void changes_are_told(void **state)
{
    fixture *f = *state;
    listener l = {.watch = {.topics = 1U << STORE_TOPIC_POLICIES, .home = f->k->loop, .changed = heard}};
    store_watch_start(f->k->store, &l.watch);
    set(f, (ids){0x13, "ttn", 0x14, "ttn"}, UP, true);
    kit_turn_until(f->k, &l.calls, 1);
    set(f, (ids){0x13, "ttn", 0x14, "ttn"}, 0, true);
    kit_turn_until(f->k, &l.calls, 2);
    store_watch_stop(f->k->store, &l.watch);
}

/* Every read with every amount of memory: answer or BASE_NO_MEMORY. */
static void reads_fail_cleanly_when_memory_is_short(void **state)
{
    fixture *f = *state;
    set(f, (ids){0x13, "ttn", 0, ""}, UP, true);
    set(f, (ids){0x13, "ttn", 0x14, "ttn"}, UP, true);
    Pb__Routing__V1__ListDefaultPoliciesRequest defaults = PB__ROUTING__V1__LIST_DEFAULT_POLICIES_REQUEST__INIT;
    Pb__Routing__V1__ListHomeNetworkPoliciesRequest homes = PB__ROUTING__V1__LIST_HOME_NETWORK_POLICIES_REQUEST__INIT;
    Pb__Routing__V1__ListEffectivePoliciesRequest effectives = PB__ROUTING__V1__LIST_EFFECTIVE_POLICIES_REQUEST__INIT;
    Pb__Routing__V1__ListNetworksWithPolicyRequest members = PB__ROUTING__V1__LIST_NETWORKS_WITH_POLICY_REQUEST__INIT;
    Pb__Routing__V1__GetDefaultPolicyRequest one = PB__ROUTING__V1__GET_DEFAULT_POLICY_REQUEST__INIT;
    effectives.home_network_net_id = 0x14;
    effectives.limit = members.limit = 3;
    members.net_id = one.forwarder_net_id = 0x13;
    members.tenant_id = one.forwarder_tenant_id = text(f, "ttn");
    const struct {
        const char *name;
        const ProtobufCMessage *request;
    } rows[] = {{"ListDefaultPolicies", &defaults.base},
                {"ListHomeNetworkPolicies", &homes.base},
                {"ListEffectivePolicies", &effectives.base},
                {"ListNetworksWithPolicy", &members.base},
                {"GetDefaultPolicy", &one.base}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned failed = 0;
        lpx_err err = {1, 1};
        for (size_t cap = 0; lpx_failed(err); cap += 64) {
            lpx_arena small;
            lpx_arena_init(&small, cap);
            call_job call = {.job = {.work = call_work}, .method = find_method(rows[i].name)};
            call.txn = (rpc_txn){.who = &admin, .request = rows[i].request, .arena = &small, .now = f->now};
            err = store_run(f->k->store, &call.job);
            assert_true(!lpx_failed(err) || err.reason == BASE_NO_MEMORY);
            failed += lpx_failed(err) ? 1 : 0;
            lpx_arena_fini(&small);
        }
        assert_true(failed > 1);
    }
}

int main(int argc, char **argv)
{
    kit_postgres = argc > 1 && strcmp(argv[1], "postgres") == 0;
    kit_seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 20260101;
    if (kit_postgres && getenv("LPX_TEST_POSTGRES_URL") == NULL) {
        puts("skipped: no PostgreSQL server is given in LPX_TEST_POSTGRES_URL");
        return 77;
    }
    printf("seed %u\n", kit_seed);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(policies_are_set_read_and_deleted),
        CASE(policies_do_not_touch_each_other),
        CASE(bad_requests_are_refused),
        CASE(lists_are_paged_by_time),
        CASE(new_policies_come_after_those_read),
        CASE(home_network_lists_are_of_one_forwarder_or_all),
        CASE(default_policies_are_public),
        CASE(effective_policies_follow_the_order),
        CASE(partners_have_a_policy_in_either_direction),
        CASE(changes_are_told),
        CASE(reads_fail_cleanly_when_memory_is_short),
    };
    int failed = control_core_tests() + control_feed_core_tests() + control_entity_tests();
    failed += cmocka_run_group_tests_name("control", tests, NULL, NULL);
    return failed == 0 ? 0 : 1;
}
