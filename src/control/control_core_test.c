/* The decisions of the control plane: tables of cases, and the choice of policies against a naive version. */
#include "control/control_test_kit.h"

#include <string.h>

#include "control/control_core.h"
#include "control/limits.h"

static lpx_arena arena;

static int begin(void **state)
{
    (void)state;
    lpx_arena_init(&arena, 8 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lpx_arena_fini(&arena);
    return 0;
}

static control_id id(uint32_t net_id, const char *tenant)
{
    return (control_id){.net_id = net_id, .tenant_id = lpx_str_of(tenant)};
}

/* Reading and writing. */

static void presence_decides_between_off_and_delete(void **state)
{
    (void)state;
    lpx_note note;
    control_policy policy;
    Pb__Routing__V1__SetPolicyRequest request = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
    Pb__V3__RoutingPolicy in = PB__V3__ROUTING_POLICY__INIT;
    Pb__V3__RoutingPolicy__Uplink up = PB__V3__ROUTING_POLICY__UPLINK__INIT;
    Pb__V3__RoutingPolicy__Downlink down = PB__V3__ROUTING_POLICY__DOWNLINK__INIT;
    request.policy = &in;
    in.forwarder_net_id = 0x13;
    assert_ok(control_policy_read(&request, true, &policy, &note));
    assert_true(control_policy_is_delete(&policy));
    in.uplink = &up;
    assert_ok(control_policy_read(&request, true, &policy, &note));
    assert_false(control_policy_is_delete(&policy));
    assert_true(policy.has_uplink && !policy.has_downlink);
    in.uplink = NULL;
    in.downlink = &down;
    assert_ok(control_policy_read(&request, true, &policy, &note));
    assert_false(control_policy_is_delete(&policy));
    assert_false(policy.down_join_accept || policy.down_mac_data || policy.down_application_data);
}

static void ids_of_policies_are_checked(void **state)
{
    (void)state;
    static const struct {
        bool is_default;
        uint32_t forwarder;
        const char *forwarder_tenant;
        uint32_t home;
        const char *home_tenant, *reason, *names;
    } rows[] = {
        {true, 0x13, "", 0, "", "NONE", ""},
        {true, 0x13, "ttn", 0, "", "NONE", ""},
        {true, 0x13, "", 0x14, "", "CONTROL_HOME_GIVEN", "policy.home_network_net_id"},
        {true, 0x13, "", 0, "ttn", "CONTROL_HOME_GIVEN", "policy.home_network_net_id"},
        {true, 0x1000000, "", 0, "", "LW_NETID_INVALID", "policy.forwarder_net_id"},
        {true, 0x13, "No", 0, "", "LW_TENANT_ID_INVALID", "policy.forwarder_tenant_id"},
        {false, 0x13, "ttn", 0x14, "ttn", "NONE", ""},
        {false, 0x13, "", 0, "ttn", "NONE", ""},
        {false, 0x13, "", 0, "", "CONTROL_HOME_MISSING", "policy.home_network_net_id"},
        {false, 0x13, "", 0xE00061, "", "LW_NETID_INVALID", "policy.home_network_net_id"},
        {false, 0x13, "", 0x14, "No", "LW_TENANT_ID_INVALID", "policy.home_network_tenant_id"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note = {""};
        control_policy policy;
        Pb__Routing__V1__SetPolicyRequest request = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
        Pb__V3__RoutingPolicy in = PB__V3__ROUTING_POLICY__INIT;
        in.forwarder_net_id = rows[i].forwarder;
        in.forwarder_tenant_id = lpx_arena_cstr(&arena, lpx_str_of(rows[i].forwarder_tenant));
        in.home_network_net_id = rows[i].home;
        in.home_network_tenant_id = lpx_arena_cstr(&arena, lpx_str_of(rows[i].home_tenant));
        request.policy = &in;
        lpx_err err = control_policy_read(&request, rows[i].is_default, &policy, &note);
        assert_string_equal(lpx_reason_name(err.reason), rows[i].reason);
        assert_non_null(strstr(note.text, rows[i].names));
    }
    lpx_note note;
    control_policy policy;
    const Pb__Routing__V1__SetPolicyRequest none = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
    assert_reason(control_policy_read(&none, true, &policy, &note), CONTROL_MISSING_FIELD);
}

/* Each flag goes through reading and writing by itself. */
static void flags_keep_their_places(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 8; bit++) {
        lpx_note note;
        control_policy policy;
        Pb__Routing__V1__SetPolicyRequest request = PB__ROUTING__V1__SET_POLICY_REQUEST__INIT;
        Pb__V3__RoutingPolicy in = PB__V3__ROUTING_POLICY__INIT;
        Pb__V3__RoutingPolicy__Uplink up = PB__V3__ROUTING_POLICY__UPLINK__INIT;
        Pb__V3__RoutingPolicy__Downlink down = PB__V3__ROUTING_POLICY__DOWNLINK__INIT;
        protobuf_c_boolean *const flags[] = {&up.join_request,   &up.mac_data,          &up.application_data,
                                             &up.signal_quality, &up.localization,      &down.join_accept,
                                             &down.mac_data,     &down.application_data};
        *flags[bit] = true;
        in.uplink = &up;
        in.downlink = &down;
        request.policy = &in;
        assert_ok(control_policy_read(&request, true, &policy, &note));
        policy.updated_at = (lpx_utc){INT64_C(1700000000123456)};
        const Pb__V3__RoutingPolicy *out = control_policy_to_message(&policy, &arena);
        const protobuf_c_boolean got[] = {out->uplink->join_request,     out->uplink->mac_data,
                                          out->uplink->application_data, out->uplink->signal_quality,
                                          out->uplink->localization,     out->downlink->join_accept,
                                          out->downlink->mac_data,       out->downlink->application_data};
        for (unsigned other = 0; other < 8; other++) {
            assert_int_equal(got[other], other == bit);
        }
        assert_int_equal(out->updated_at->seconds, 1700000000);
        assert_int_equal(out->updated_at->nanos, 123456000);
    }
}

static void messages_always_have_both_directions(void **state)
{
    (void)state;
    const control_policy policy = {.forwarder = id(0x13, "ttn"), .home = id(0x14, ""), .has_uplink = true};
    const Pb__V3__RoutingPolicy *out = control_policy_to_message(&policy, &arena);
    assert_non_null(out->uplink);
    assert_non_null(out->downlink);
    assert_string_equal(out->forwarder_tenant_id, "ttn");
    assert_string_equal(out->home_network_tenant_id, "");
    assert_int_equal(out->home_network_net_id, 0x14);
    lpx_arena none;
    lpx_arena_init(&none, 128);
    assert_null(control_policy_to_message(&policy, &none));
    lpx_arena_fini(&none);
}

/* Pages. */

static void times_are_unique_and_never_go_back(void **state)
{
    (void)state;
    assert_int_equal(control_next_time((lpx_utc){100}, false, (lpx_utc){500}).us, 100);
    assert_int_equal(control_next_time((lpx_utc){100}, true, (lpx_utc){99}).us, 100);
    assert_int_equal(control_next_time((lpx_utc){100}, true, (lpx_utc){100}).us, 101);
    assert_int_equal(control_next_time((lpx_utc){100}, true, (lpx_utc){200}).us, 201);
}

static void since_is_cut_to_microseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        bool ok;
        int64_t us;
    } rows[] = {
        {0, 0, true, 0},
        {1, 1, true, 1000000},
        {1, 999, true, 1000000},
        {1, 1000, true, 1000001},
        {1700000000, 123456789, true, INT64_C(1700000000123456)},
        {-1, 999999999, true, -1},
        {-1, 500, true, -1000000},
        {-62135596800, 0, true, INT64_C(-62135596800000000)},
        {253402300799, 999999999, true, INT64_C(253402300799999999)},
        {-62135596801, 0, false, 0},
        {253402300800, 0, false, 0},
        {INT64_MAX, 0, false, 0},
        {INT64_MIN, 0, false, 0},
        {0, -1, false, 0},
        {0, 1000000000, false, 0},
    };
    lpx_note note;
    lpx_utc out;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Google__Protobuf__Timestamp since = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        since.seconds = rows[i].seconds;
        since.nanos = rows[i].nanos;
        lpx_err err = control_since(&since, "updated_since", &out, &note);
        assert_int_equal(err.code, rows[i].ok ? LPX_OK : LPX_INVALID_ARGUMENT);
        assert_true(!rows[i].ok || out.us == rows[i].us);
    }
    assert_ok(control_since(NULL, "updated_since", &out, &note));
    assert_true(out.us < INT64_C(-62135596800000000));
}

static void limits_have_defaults_and_caps(void **state)
{
    (void)state;
    assert_int_equal(control_since_limit(0), 10);
    assert_int_equal(control_since_limit(1), 1);
    assert_int_equal(control_since_limit(100), 100);
    assert_int_equal(control_since_limit(UINT32_MAX), 1000);
    assert_int_equal(control_page_limit(0), 100);
    assert_int_equal(control_page_limit(1001), 1000);
}

static void only_clusters_and_administrators_list_all_forwarders(void **state)
{
    (void)state;
    const control_id none = id(0, "");
    const control_id one = id(0x13, "ttn");
    static const struct {
        rpc_subject subject;
        bool all;
    } rows[] = {{RPC_ADMIN, true}, {RPC_CLUSTER, true}, {RPC_NETWORK, false}, {RPC_TENANT, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rpc_principal who = {.subject = rows[i].subject};
        assert_int_equal(control_scope_forwarder(&who, &none).one, !rows[i].all);
        control_scope scope = control_scope_forwarder(&who, &one);
        assert_true(scope.one && scope.id.net_id == 0x13 && lpx_str_is(scope.id.tenant_id, "ttn"));
        const control_id private_tenant = id(0, "ttn");
        assert_true(control_scope_forwarder(&who, &private_tenant).one);
    }
}

/* Choice. */

static const char *const tenants[] = {"", "a", "ab", "b"};

static control_id random_id(void)
{
    return id(1 + test_random() % 3, tenants[test_random() % 4]);
}

static bool same(const control_id *a, const control_id *b)
{
    return a->net_id == b->net_id && lpx_str_equal(a->tenant_id, b->tenant_id);
}

/* The rules by their words, one pass for each. */
static const control_policy *naive_choose(const control_policy *all, size_t count, control_id fwd, control_id home)
{
    for (int rule = 1; rule <= 4; rule++) {
        for (size_t i = 0; i < count; i++) {
            const control_policy *p = &all[i];
            bool from_tenant = same(&p->forwarder, &fwd);
            bool from_network = p->forwarder.net_id == fwd.net_id && p->forwarder.tenant_id.len == 0;
            bool to_network = p->home.net_id == home.net_id && p->home.tenant_id.len == 0;
            if ((rule == 1 && !p->is_default && from_tenant && same(&p->home, &home)) ||
                (rule == 2 && !p->is_default && from_tenant && to_network) ||
                (rule == 3 && p->is_default && from_tenant) || (rule == 4 && p->is_default && from_network)) {
                return p;
            }
        }
    }
    return NULL;
}

/* Random policies with different ids. */
static size_t random_policies(control_policy *out, size_t want)
{
    size_t count = 0;
    for (size_t tries = 0; tries < want; tries++) {
        control_policy p = {
            .forwarder = random_id(), .is_default = test_random() % 3 == 0, .updated_at = {(int64_t)tries}};
        p.home = p.is_default ? id(0, "") : random_id();
        bool known = false;
        for (size_t i = 0; i < count; i++) {
            known = known || (same(&out[i].forwarder, &p.forwarder) && out[i].is_default == p.is_default &&
                              same(&out[i].home, &p.home));
        }
        if (!known) {
            out[count++] = p;
        }
    }
    return count;
}

static void choice_like_the_words_of_the_rules(void **state)
{
    (void)state;
    for (int round = 0; round < 3000; round++) {
        control_policy policies[40];
        control_policy sorted[40];
        size_t count = random_policies(policies, test_random() % 40);
        memcpy(sorted, policies, sizeof sorted);
        control_table_sort(sorted, count);
        const control_table table = {.policies = sorted, .count = count};
        for (int i = 0; i < 8; i++) {
            control_id fwd = random_id();
            control_id home = random_id();
            const control_policy *want = naive_choose(policies, count, fwd, home);
            const control_policy *got = control_choose(&table, &fwd, &home);
            assert_int_equal(got == NULL, want == NULL);
            assert_true(got == NULL || got->updated_at.us == want->updated_at.us);
        }
    }
}

static void effective_pages_add_up(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        control_policy policies[40];
        size_t count = random_policies(policies, test_random() % 40);
        control_table_sort(policies, count);
        const control_table table = {.policies = policies, .count = count};
        control_id forwarders[12];
        for (size_t i = 0; i < 12; i++) {
            forwarders[i] = id(1 + (uint32_t)i / 4, tenants[i % 4]);
        }
        control_ask ask = {.forwarders = forwarders, .forwarder_count = 12, .home = random_id()};
        ask.window.limit = 1 + test_random() % 5;
        size_t want = 0;
        size_t next = 0;
        for (size_t i = 0; i < 12; i++) {
            want += naive_choose(policies, count, forwarders[i], ask.home) != NULL ? 1 : 0;
        }
        for (; ask.window.offset < 14; ask.window.offset += ask.window.limit) {
            control_policy page[5];
            uint32_t total;
            size_t got = control_effective(&table, &ask, page, &total);
            assert_int_equal(total, want);
            for (size_t i = 0; i < got; i++, next++) {
                size_t f = 0;
                for (size_t skip = next; skip > 0 || control_choose(&table, &forwarders[f], &ask.home) == NULL; f++) {
                    skip -= control_choose(&table, &forwarders[f], &ask.home) != NULL ? 1 : 0;
                }
                assert_true(same(&page[i].forwarder, &forwarders[f]));
                const control_policy *p = naive_choose(policies, count, forwarders[f], ask.home);
                assert_int_equal(page[i].updated_at.us, p->updated_at.us);
                assert_true(!p->is_default || (page[i].home.net_id == 0 && page[i].home.tenant_id.len == 0));
            }
        }
        assert_int_equal(next, want);
    }
}

static void ids_are_ordered(void **state)
{
    (void)state;
    const control_id order[] = {id(0, ""),    id(0, "z"),  id(1, ""),  id(1, "a"),
                                id(1, "a-b"), id(1, "aa"), id(1, "b"), id(2, "")};
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < 8; j++) {
            int got = control_id_compare(&order[i], &order[j]);
            assert_int_equal((got > 0) - (got < 0), (i > j) - (i < j));
        }
    }
}

/* Members. */

static void members_become_networks_or_tenants(void **state)
{
    (void)state;
    const control_block blocks[] = {{0x26000000, 7, LPX_STR("eu1")}};
    control_member member = {
        .id = id(0x13, ""), .name = LPX_STR("N"), .listed = true, .blocks = blocks, .block_count = 1};
    const Pb__V3__NetworkOrTenant *m = control_member_to_message(&member, &arena);
    assert_int_equal(m->value_case, PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK);
    assert_int_equal(m->network->net_id, 0x13);
    assert_string_equal(m->network->name, "N");
    assert_true(m->network->listed);
    assert_int_equal(m->network->dev_addr_blocks[0]->prefix->length, 7);
    assert_string_equal(m->network->dev_addr_blocks[0]->home_network_cluster_id, "eu1");
    member.id.tenant_id = LPX_STR("ttn");
    member.block_count = 0;
    m = control_member_to_message(&member, &arena);
    assert_int_equal(m->value_case, PB__V3__NETWORK_OR_TENANT__VALUE_TENANT);
    assert_string_equal(m->tenant->tenant_id, "ttn");
    assert_int_equal(m->tenant->n_dev_addr_blocks, 0);
    lpx_arena none;
    lpx_arena_init(&none, 64);
    assert_null(control_member_to_message(&member, &none));
    lpx_arena_fini(&none);
}

static void filters_are_joined_by_or(void **state)
{
    (void)state;
    static const struct {
        const char *id, *name;
        bool passes;
    } rows[] = {{"", "", true},           {"TEN", "", true}, {"", "acme", true},  {"x", "ACME", true},
                {"ten", "x", true},       {"x", "y", false}, {"acme", "", false}, {"", "tenant", false},
                {"tenant-ab", "", false}, {"", "corp", true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const control_filter filter = {.id_contains = lpx_str_of(rows[i].id),
                                       .name_contains = lpx_str_of(rows[i].name)};
        assert_int_equal(control_filter_passes(&filter, LPX_STR("tenant-a"), LPX_STR("Acme Corp")), rows[i].passes);
    }
}

int control_core_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(presence_decides_between_off_and_delete),
        CASE(ids_of_policies_are_checked),
        CASE(flags_keep_their_places),
        CASE(messages_always_have_both_directions),
        CASE(times_are_unique_and_never_go_back),
        CASE(since_is_cut_to_microseconds),
        CASE(limits_have_defaults_and_caps),
        CASE(only_clusters_and_administrators_list_all_forwarders),
        CASE(choice_like_the_words_of_the_rules),
        CASE(effective_pages_add_up),
        CASE(ids_are_ordered),
        CASE(members_become_networks_or_tenants),
        CASE(filters_are_joined_by_or),
    };
    return cmocka_run_group_tests_name("control_core", tests, NULL, NULL);
}
