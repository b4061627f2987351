/* Readers, route pages, visibilities and settings on a real store, without the pipeline. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control_entity.h"
#include "control/control_priv.h"
#include "control/control_test_kit.h"
#include "control/control_topic.h"
#include "control/limits.h"
#include "lpx_routing_v1_settings.pb-c.h"
#include "pb_mapping_v2_api.pb-c.h"
#include "pb_routing_v2_api.pb-c.h"

typedef struct fixture {
    kit *k;
    lpx_arena arena;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    void *k = NULL;
    kit_setup(&k);
    f->k = k;
    lpx_arena_init(&f->arena, 256 << 20);
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

static const rpc_principal admin = {.subject = RPC_ADMIN, .rights = ~UINT64_C(0)};

/* ---- topics: every state of every view, as the feed loads it ---- */

typedef struct load_job {
    store_job job;
    unsigned topic, view;
    control_state *state;
} load_job;

static lpx_err load_work(store_tx *tx, store_job *job)
{
    load_job *l = LPX_CONTAINER(job, load_job, job);
    control_state_unref(&l->state);
    return control_topic_load(tx, &control_topics()[l->topic], l->view, &l->state);
}

static control_state *load(fixture *f, const char *topic, unsigned view)
{
    load_job l = {.job = {.work = load_work}, .topic = control_topic_find(lpx_str_of(topic)), .view = view};
    assert_ok(store_run(f->k->store, &l.job));
    return l.state;
}

static const void *row_of(fixture *f, const char *topic, const control_state *state, size_t index)
{
    const control_topic *t = &control_topics()[control_topic_find(lpx_str_of(topic))];
    ProtobufCMessage *message;
    lpx_note note;
    assert_true(index < control_state_count(state));
    assert_ok(pb_decode(t->type, control_state_row(state, index).body, &f->arena, &message, &note));
    return message;
}

static void empty_stores_have_empty_topics(void **state)
{
    fixture *f = *state;
    for (unsigned topic = 0; topic < CONTROL_TOPICS; topic++) {
        control_state *s = load(f, control_topics()[topic].name, 0);
        assert_int_equal(control_state_count(s), 0);
        control_state_unref(&s);
    }
    assert_int_equal(control_topic_find(LPX_STR("nothing")), CONTROL_TOPICS);
}

/* More members than a page has, with zero to three blocks each and some that delegate. */
static void members_have_their_own_blocks(void **state)
{
    fixture *f = *state;
    enum { NETWORKS = CONTROL_FEED_PAGE_ROWS + 700 };
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO networks (net_id, name, delegated_net_id, created_at, updated_at) "
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
                   "SELECT i, 'n', CASE WHEN i %% 10 = 3 THEN i - i %% 100 END, 1, 1 FROM n",
                   NETWORKS);
    kit_exec(f->k->store, sql);
    kit_exec(f->k->store, "INSERT INTO tenants (net_id, tenant_id, created_at, updated_at) "
                          "SELECT net_id, 'tenant', 1, 1 FROM networks");
    for (int position = 0; position < 3; position++) {
        for (int tenants = 0; tenants < 2; tenants++) {
            (void)snprintf(sql, sizeof sql,
                           "INSERT INTO dev_addr_blocks (net_id, tenant_id, position, prefix_value, prefix_length, "
                           "created_at) SELECT net_id, '%s', %d, net_id * 4096 + %d, 32, 1 FROM networks "
                           "WHERE net_id %% 4 > %d",
                           tenants ? "tenant" : "", position, position + tenants * 8, position);
            kit_exec(f->k->store, sql);
        }
    }
    control_state *networks = load(f, "networks", 0);
    control_state *tenants = load(f, "tenants", 0);
    assert_int_equal(control_state_count(networks), NETWORKS);
    assert_int_equal(control_state_count(tenants), NETWORKS);
    for (size_t i = 0; i < NETWORKS; i++) {
        const Pb__V3__Network *n = row_of(f, "networks", networks, i);
        const Pb__V3__Tenant *t = row_of(f, "tenants", tenants, i);
        assert_int_equal(n->n_dev_addr_blocks, n->net_id % 4);
        assert_int_equal(t->n_dev_addr_blocks, t->net_id % 4);
        for (uint32_t b = 0; b < n->n_dev_addr_blocks; b++) {
            assert_int_equal(n->dev_addr_blocks[b]->prefix->value, n->net_id * 4096 + b);
        }
        for (uint32_t b = 0; b < t->n_dev_addr_blocks; b++) {
            assert_int_equal(t->dev_addr_blocks[b]->prefix->value, t->net_id * 4096 + b + 8);
        }
        size_t represents = n->net_id % 100 == 0 ? (n->net_id == NETWORKS ? 0 : 10) : 0;
        assert_int_equal(n->n_represents_net_ids, represents);
        for (size_t r = 0; r < represents; r++) {
            assert_int_equal(n->represents_net_ids[r], n->net_id + 3 + 10 * r);
        }
        assert_int_equal(n->delegated_net_id != NULL, n->net_id % 10 == 3);
        lpx_arena_reset(&f->arena);
    }
    control_state_unref(&networks);
    control_state_unref(&tenants);
}

/* ---- route pages ---- */

typedef struct call_job {
    store_job job;
    lpx_err (*method)(store_tx *tx, rpc_txn *txn);
    rpc_txn txn;
} call_job;

static lpx_err call_work(store_tx *tx, store_job *job)
{
    call_job *c = LPX_CONTAINER(job, call_job, job);
    c->txn.reply = NULL;
    return c->method(tx, &c->txn);
}

static lpx_err call(fixture *f, lpx_err (*method)(store_tx *tx, rpc_txn *txn), const ProtobufCMessage *request,
                    bool write, rpc_txn *out)
{
    call_job c = {.job = {.work = call_work, .write = write}, .method = method};
    c.txn = (rpc_txn){.who = &admin, .request = request, .arena = &f->arena, .now = {INT64_C(1700000000000000)}};
    lpx_err err = store_run(f->k->store, &c.job);
    *out = c.txn;
    return err;
}

static const Pb__Routing__V2__ListUplinkRoutesResponse *route_page(fixture *f, uint32_t offset, uint32_t limit)
{
    Pb__Routing__V2__ListUplinkRoutesRequest request = PB__ROUTING__V2__LIST_UPLINK_ROUTES_REQUEST__INIT;
    rpc_txn txn;
    request.offset = offset;
    request.limit = limit;
    assert_ok(call(f, control_list_uplink_routes, &request.base, false, &txn));
    return (const void *)txn.reply;
}

/* Pages of large targets end before clients refuse them; going on from the rows that came finds all. */
static void pages_stay_below_what_clients_take(void **state)
{
    fixture *f = *state;
    enum { ROUTES = 150, CA_BYTES = 60000 };
    Pb__V3__Target target = PB__V3__TARGET__INIT;
    target.root_cas = (ProtobufCBinaryData){.len = CA_BYTES, .data = lpx_arena_get(&f->arena, CA_BYTES)};
    lpx_bytes encoded;
    assert_ok(pb_encode(&target.base, &f->arena, &encoded));
    kit_exec(f->k->store, "INSERT INTO networks (net_id, created_at, updated_at) VALUES (19, 1, 1)");
    kit_job job;
    kit_job_init(f->k, &job, "UPDATE networks SET target = ?1 WHERE net_id = 19");
    job.values[0] = STORE_V_BLOB(encoded);
    job.count = 1;
    assert_ok(store_run(f->k->store, &job.job));
    char sql[256];
    for (int i = 0; i < ROUTES; i++) {
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO dev_addr_blocks (net_id, position, prefix_value, prefix_length, created_at) "
                       "VALUES (19, %d, %d, 32, 5)",
                       i, ROUTES - i);
        kit_exec(f->k->store, sql);
    }
    uint32_t seen = 0;
    unsigned pages = 0;
    while (seen < ROUTES) {
        const Pb__Routing__V2__ListUplinkRoutesResponse *page = route_page(f, seen, 1000);
        assert_int_equal(page->total, ROUTES);
        assert_true(page->n_routes > 0 && protobuf_c_message_get_packed_size(&page->base) < 4 << 20);
        for (size_t i = 0; i < page->n_routes; i++) {
            assert_int_equal(page->routes[i]->prefix->value, ++seen);
        }
        pages++;
        lpx_arena_reset(&f->arena);
    }
    assert_true(pages > 2);
    assert_int_equal(route_page(f, ROUTES, 0)->n_routes, 0);
    /* All of them were made at one time: a page by time cannot be cut there. */
    Pb__Routing__V1__ListRoutesRequest old = PB__ROUTING__V1__LIST_ROUTES_REQUEST__INIT;
    Google__Protobuf__Timestamp since = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    rpc_txn txn;
    old.start_case = PB__ROUTING__V1__LIST_ROUTES_REQUEST__START_CREATED_SINCE;
    old.created_since = &since;
    assert_reason(call(f, control_list_routes, &old.base, false, &txn), CONTROL_PAGE_TOO_LARGE);
    since.nanos = 5000; /* later than that time: none */
    assert_ok(call(f, control_list_routes, &old.base, false, &txn));
    assert_int_equal(((const Pb__Routing__V1__ListRoutesResponse *)(const void *)txn.reply)->n_routes, 0);
    since.nanos = -1;
    assert_reason(call(f, control_list_routes, &old.base, false, &txn), CONTROL_BAD_TIME);
    assert_non_null(strstr(txn.note.text, "created_since"));
}

/* ---- who must be registered ---- */

static void strangers_set_nothing(void **state)
{
    fixture *f = *state;
    rpc_txn txn;
    Pb__Mapping__V2__SetGatewayVisibilityRequest visibility = PB__MAPPING__V2__SET_GATEWAY_VISIBILITY_REQUEST__INIT;
    Pb__V3__GatewayVisibility v = PB__V3__GATEWAY_VISIBILITY__INIT;
    assert_reason(call(f, control_set_default_visibility, &visibility.base, true, &txn), CONTROL_MISSING_FIELD);
    visibility.visibility = &v;
    v.forwarder_net_id = 0x13;
    assert_ok(call(f, control_set_default_visibility, &visibility.base, true, &txn)); /* nothing to delete */
    v.status = true;
    assert_reason(call(f, control_set_default_visibility, &visibility.base, true, &txn), CONTROL_FORWARDER_UNKNOWN);
    assert_non_null(strstr(txn.note.text, "Forwarder 000013 is not registered"));
    Lpx__Routing__V1__SetHomeNetworkSettingsRequest settings =
        LPX__ROUTING__V1__SET_HOME_NETWORK_SETTINGS_REQUEST__INIT;
    Lpx__Routing__V1__HomeNetworkSettings s = LPX__ROUTING__V1__HOME_NETWORK_SETTINGS__INIT;
    static char tenant[] = "tenant";
    assert_reason(call(f, control_set_settings, &settings.base, true, &txn), CONTROL_MISSING_FIELD);
    settings.settings = &s;
    s.home_network_net_id = 0x13;
    s.home_network_tenant_id = tenant;
    assert_reason(call(f, control_set_settings, &settings.base, true, &txn), CONTROL_HOME_UNKNOWN);
    assert_non_null(strstr(txn.note.text, "Home network 000013/tenant is not registered"));
    kit_exec(f->k->store, "INSERT INTO networks (net_id, created_at, updated_at) VALUES (19, 1, 1)");
    kit_exec(f->k->store,
             "INSERT INTO tenants (net_id, tenant_id, created_at, updated_at) VALUES (19, 'tenant', 1, 1)");
    assert_ok(call(f, control_set_default_visibility, &visibility.base, true, &txn));
    assert_ok(call(f, control_set_settings, &settings.base, true, &txn));
    assert_int_equal(kit_int(f->k->store, "SELECT flags FROM gateway_visibilities"), 1 << 5);
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM home_network_settings"), 1);
}

int control_entity_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(empty_stores_have_empty_topics),
        CASE(members_have_their_own_blocks),
        CASE(pages_stay_below_what_clients_take),
        CASE(strangers_set_nothing),
    };
    return cmocka_run_group_tests_name("control_entity", tests, NULL, NULL);
}
