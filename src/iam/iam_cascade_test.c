/* What follows from a change: delegation, deletes, the change feed, runs that are repeated or short of memory. */
#include "iam/iam_test_kit.h"

#include <stdio.h>
#include <string.h>

static void delegate(fixture *f, uint32_t from, uint32_t to)
{
    Pb__Iam__V1__UpdateNetworkRequest update = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    Pb__Iam__V1__UpdateNetworkRequest__DelegatedNetID delegated =
        PB__IAM__V1__UPDATE_NETWORK_REQUEST__DELEGATED_NET_ID__INIT;
    Google__Protobuf__UInt32Value value = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    value.value = to;
    delegated.value = to != 0 ? &value : NULL;
    update.net_id = from;
    update.delegated_net_id = &delegated;
    fixture_ask(f, NETWORKS "UpdateNetwork", &test_admin, &update);
}

static lpx_err set_blocks(fixture *f, uint32_t net_id, const char *tenant, const uint32_t *pairs)
{
    Pb__Iam__V1__DevAddrBlocksValue blocks = PB__IAM__V1__DEV_ADDR_BLOCKS_VALUE__INIT;
    Pb__Iam__V1__UpdateNetworkRequest n = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    Pb__Iam__V1__UpdateTenantRequest t = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    blocks.value = fixture_blocks(f, pairs, &blocks.n_value);
    n.net_id = t.net_id = net_id;
    n.dev_addr_blocks = t.dev_addr_blocks = &blocks;
    t.tenant_id = fixture_text(f, tenant);
    return tenant[0] == '\0' ? fixture_try(f, NETWORKS "UpdateNetwork", &test_admin, &n, NULL)
                             : fixture_try(f, TENANTS "UpdateTenant", &test_admin, &t, NULL);
}

static const Pb__V3__Network *get_network(fixture *f, uint32_t net_id)
{
    Pb__Iam__V1__NetworkRequest request = PB__IAM__V1__NETWORK_REQUEST__INIT;
    request.net_id = net_id;
    return ((const Pb__Iam__V1__GetNetworkResponse *)fixture_ask(f, NETWORKS "GetNetwork", &test_admin, &request))
        ->network;
}

static void delete_network(fixture *f, uint32_t net_id)
{
    Pb__Iam__V1__NetworkRequest request = PB__IAM__V1__NETWORK_REQUEST__INIT;
    request.net_id = net_id;
    fixture_ask(f, NETWORKS "DeleteNetwork", &test_admin, &request);
}

/* 000013 has 26000000/7, 000014 has 28000000/7, 200001 has 81000000/8. */

static void represented_networks_lend_their_addresses(void **state)
{
    fixture *f = *state;
    static const uint32_t of_14[] = {0x28AA0000, 16, 0, 0};
    fixture_network(f, 0x13, "B");
    fixture_tenant(f, 0x13, "ttn", "T");
    fixture_network(f, 0x14, "A");
    assert_reason(set_blocks(f, 0x13, "", of_14), IAM_BAD_BLOCK);
    delegate(f, 0x14, 0x13);
    const Pb__V3__Network *b = get_network(f, 0x13);
    assert_int_equal(b->n_represents_net_ids, 1);
    assert_int_equal(b->represents_net_ids[0], 0x14);
    assert_int_equal(get_network(f, 0x14)->delegated_net_id->value, 0x13);
    assert_ok(set_blocks(f, 0x13, "", of_14));
    assert_ok(set_blocks(f, 0x13, "ttn", of_14));
    /* Lists say it, too. */
    Pb__Iam__V1__ListNetworksRequest request = PB__IAM__V1__LIST_NETWORKS_REQUEST__INIT;
    const Pb__Iam__V1__ListNetworksResponse *list = fixture_ask(f, NETWORKS "ListNetworks", &test_admin, &request);
    assert_int_equal(list->networks[0]->n_represents_net_ids, 1);
    assert_int_equal(list->networks[1]->n_represents_net_ids, 0);
}

static int64_t count_blocks(fixture *f, const char *where)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM dev_addr_blocks WHERE %s", where);
    return kit_int(f->k->store, sql);
}

static void lent_addresses_go_back(void **state)
{
    fixture *f = *state;
    static const uint32_t mixed[] = {0x26AA0000, 16, 0x28AA0000, 16, 0x29FFFFFF, 32, 0x81000000, 24, 0, 0};
    fixture_network(f, 0x13, "B");
    fixture_tenant(f, 0x13, "ttn", "T");
    fixture_network(f, 0x14, "A");
    fixture_network(f, 0x200001, "C");
    delegate(f, 0x14, 0x13);
    delegate(f, 0x200001, 0x13);
    assert_ok(set_blocks(f, 0x13, "", mixed));
    assert_ok(set_blocks(f, 0x13, "ttn", mixed));
    assert_ok(set_blocks(f, 0x14, "", (const uint32_t[]){0x28BB0000, 16, 0, 0}));
    delegate(f, 0x14, 0x13); /* the same again changes nothing */
    assert_int_equal(count_blocks(f, "net_id = 19"), 8);
    delegate(f, 0x14, 0x200001); /* to another */
    assert_int_equal(count_blocks(f, "net_id = 19 AND tenant_id = ''"), 2);
    assert_int_equal(count_blocks(f, "net_id = 19 AND tenant_id = 'ttn'"), 2);
    assert_int_equal(count_blocks(f, "net_id = 20"), 1);
    delete_network(f, 0x200001);
    assert_int_equal(count_blocks(f, "net_id = 19"), 2);
    assert_int_equal(count_blocks(f, "prefix_value = 648675328"), 2); /* 26AA0000 */
}

/* A route keeps its age when something else of its owner changes. */
static void blocks_keep_their_age(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0x13, "N");
    fixture_network(f, 0x14, "M");
    assert_ok(set_blocks(f, 0x13, "", (const uint32_t[]){0x26AA0000, 16, 0, 0}));
    int64_t age = kit_int(f->k->store, "SELECT created_at FROM dev_addr_blocks");
    delegate(f, 0x13, 0x14);
    assert_int_equal(kit_int(f->k->store, "SELECT created_at FROM dev_addr_blocks"), age);
    assert_ok(set_blocks(f, 0x13, "", (const uint32_t[]){0x26BB0000, 16, 0, 0}));
    assert_true(kit_int(f->k->store, "SELECT created_at FROM dev_addr_blocks") > age);
}

/* 000053 has the same addresses as 000013: type 0 shows six bits. */
static void shared_addresses_stay(void **state)
{
    fixture *f = *state;
    static const uint32_t of_13[] = {0x26AA0000, 16, 0, 0};
    fixture_network(f, 0x13, "A");
    fixture_network(f, 0x53, "Same");
    fixture_network(f, 0x14, "B");
    delegate(f, 0x13, 0x14);
    delegate(f, 0x53, 0x14);
    assert_ok(set_blocks(f, 0x14, "", of_13));
    delegate(f, 0x13, 0);
    assert_int_equal(count_blocks(f, "net_id = 20"), 1);
    delegate(f, 0x53, 0);
    assert_int_equal(count_blocks(f, "net_id = 20"), 0);
    /* A network does not lose its own addresses with those of its twin. */
    delegate(f, 0x53, 0x13);
    assert_ok(set_blocks(f, 0x13, "", of_13));
    delegate(f, 0x53, 0);
    assert_int_equal(count_blocks(f, "net_id = 19"), 1);
}

static lpx_err try_delegate(fixture *f, uint32_t from, uint32_t to)
{
    Pb__Iam__V1__UpdateNetworkRequest update = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    Pb__Iam__V1__UpdateNetworkRequest__DelegatedNetID delegated =
        PB__IAM__V1__UPDATE_NETWORK_REQUEST__DELEGATED_NET_ID__INIT;
    Google__Protobuf__UInt32Value value = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    value.value = to;
    delegated.value = &value;
    update.net_id = from;
    update.delegated_net_id = &delegated;
    return fixture_try(f, NETWORKS "UpdateNetwork", &test_admin, &update, NULL);
}

static void circles_and_strangers_represent_nobody(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0x13, "A");
    fixture_network(f, 0x14, "B");
    fixture_network(f, 0x15, "C");
    assert_reason(try_delegate(f, 0x13, 0x13), IAM_BAD_NET_ID);
    assert_reason(try_delegate(f, 0x13, 0x16), IAM_BAD_DELEGATION);
    assert_non_null(strstr(f->note.text, "delegated_net_id is 000016, which is not registered"));
    delegate(f, 0x13, 0x14);
    delegate(f, 0x14, 0x15);
    assert_reason(try_delegate(f, 0x15, 0x13), IAM_BAD_DELEGATION);
    assert_non_null(strstr(f->note.text, "000013, which delegates to 000015 itself"));
    assert_reason(try_delegate(f, 0x14, 0x13), IAM_BAD_DELEGATION);
    assert_null(get_network(f, 0x15)->delegated_net_id);
    /* A new network that delegates is checked, too. */
    Pb__V3__Network network = PB__V3__NETWORK__INIT;
    Pb__Iam__V1__CreateNetworkRequest request = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    Google__Protobuf__UInt32Value value = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    value.value = 0x17;
    network.net_id = 0x16;
    network.delegated_net_id = &value;
    request.network = &network;
    refuse(f, NETWORKS "CreateNetwork", &test_admin, &request, IAM_BAD_DELEGATION,
           "network.delegated_net_id is 000017");
    /* Who is deleted represents nobody. */
    delete_network(f, 0x14);
    assert_null(get_network(f, 0x13)->delegated_net_id);
    delegate(f, 0x15, 0x13);
}

/* Deletes. */

static void put_policy(fixture *f, const char *values)
{
    static int64_t updated_at;
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO routing_policies (forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, "
             "home_network_tenant_id, updated_at) VALUES (%s, %d)",
             values, (int)++updated_at);
    kit_exec(f->k->store, sql);
}

static void populate(fixture *f)
{
    fixture_network(f, 0x13, "N");
    fixture_network(f, 0x14, "M");
    fixture_tenant(f, 0x13, "ttn", "T");
    fixture_tenant(f, 0x13, "two", "U");
    fixture_tenant(f, 0x14, "ttn", "V");
    assert_ok(set_blocks(f, 0x13, "", (const uint32_t[]){0x26AA0000, 16, 0, 0}));
    assert_ok(set_blocks(f, 0x13, "ttn", (const uint32_t[]){0x26AB0000, 16, 0, 0}));
    assert_ok(set_blocks(f, 0x14, "ttn", (const uint32_t[]){0x28AA0000, 16, 0, 0}));
    fixture_key(f, &test_admin, 0x13, "", 1);
    fixture_key(f, &test_admin, 0x13, "ttn", 1);
    fixture_key(f, &test_admin, 0x13, "two", 1);
    fixture_key(f, &test_admin, 0x14, "ttn", 1);
    kit_exec(f->k->store,
             "INSERT INTO api_keys (key_id, kind, net_id, tenant_id, cluster_id, rights, secret_hash, state, "
             "created_at) SELECT 'CLUSTERCLUSTER22', 1, 19, 'ttn', 'eu1', 1, secret_hash, 1, 1 FROM api_keys LIMIT 1");
    static const char *const more[] = {
        "INSERT INTO gateway_visibilities (forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, "
        "home_network_tenant_id, flags, updated_at) VALUES (19, 'ttn', 1, 0, '', 1, 1), (19, '', 0, 20, '', 1, 1), "
        "(20, '', 0, 19, 'ttn', 1, 1), (20, 'ttn', 1, 0, '', 1, 1)",
        "INSERT INTO home_network_settings (home_network_net_id, home_network_tenant_id, updated_at) "
        "VALUES (19, 'ttn', 1), (19, '', 1), (20, 'ttn', 1)",
        "INSERT INTO home_network_parties (home_network_net_id, home_network_tenant_id, allow, position, net_id, "
        "tenant_id) VALUES (19, 'ttn', 0, 0, 20, ''), (20, 'ttn', 0, 0, 19, 'ttn')",
        "INSERT INTO client_certificates (fingerprint, subject, issuer, serial, not_before, not_after, kind, net_id, "
        "tenant_id, created_at) VALUES ('aa', '', '', '', 1, 2, 0, 19, 'ttn', 1), ('bb', '', '', '', 1, 2, 0, 19, '', "
        "1), "
        "('cc', '', '', '', 1, 2, 0, 20, 'ttn', 1), ('dd', '', '', '', 1, 2, 1, 19, 'ttn', 1)",
        "INSERT INTO gateways (forwarder_net_id, forwarder_tenant_id, gateway_key, gateway, updated_at) "
        "SELECT 19, 'ttn', 'a', secret_hash, 1 FROM api_keys LIMIT 1",
        "INSERT INTO gateways (forwarder_net_id, forwarder_tenant_id, gateway_key, gateway, updated_at) "
        "SELECT 19, '', 'b', secret_hash, 1 FROM api_keys LIMIT 1",
        "INSERT INTO join_servers (join_server_id, fixed_net_id, fixed_tenant_id, fixed_cluster_id, created_at, "
        "updated_at) VALUES (1, 19, 'ttn', 'eu1', 1, 1), (2, 19, '', '', 1, 1), (3, 20, 'ttn', '', 1, 1)",
        "INSERT INTO routed_messages (day, forwarder_net_id, home_network_net_id, counter, count) "
        "VALUES (1, 19, 20, 0, 1)",
    };
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        kit_exec(f->k->store, more[i]);
    }
    put_policy(f, "19, '', 1, 0, ''");
    put_policy(f, "19, 'ttn', 1, 0, ''");
    put_policy(f, "19, 'ttn', 0, 20, 'ttn'");
    put_policy(f, "20, 'ttn', 0, 19, 'ttn'");
    put_policy(f, "20, 'ttn', 0, 19, ''");
    put_policy(f, "20, 'ttn', 0, 21, ''");
    put_policy(f, "20, '', 1, 0, ''");
}

static int64_t count(fixture *f, const char *table)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s", table);
    return kit_int(f->k->store, sql);
}

static void tenant_takes_its_rows_with_it(void **state)
{
    fixture *f = *state;
    populate(f);
    Pb__Iam__V1__TenantRequest id = PB__IAM__V1__TENANT_REQUEST__INIT;
    id.net_id = 0x13;
    id.tenant_id = fixture_text(f, "ttn");
    fixture_ask(f, TENANTS "DeleteTenant", &test_tenant, &id);
    assert_int_equal(count(f, "tenants"), 2);
    assert_int_equal(count(f, "networks"), 2);
    assert_int_equal(count(f, "dev_addr_blocks"), 2);
    assert_int_equal(count(f, "dev_addr_blocks WHERE net_id = 19 AND tenant_id = 'ttn'"), 0);
    assert_int_equal(count(f, "api_keys WHERE kind = 0"), 3);
    assert_int_equal(count(f, "api_keys WHERE kind = 0 AND net_id = 19 AND tenant_id = 'ttn'"), 0);
    assert_int_equal(count(f, "api_keys WHERE kind = 1"), 1);
    assert_int_equal(count(f, "routing_policies"), 4);
    assert_int_equal(count(f, "routing_policies WHERE forwarder_net_id = 19 AND forwarder_tenant_id = 'ttn'"), 0);
    assert_int_equal(count(f, "routing_policies WHERE home_network_net_id = 19 AND home_network_tenant_id = 'ttn'"), 0);
    assert_int_equal(count(f, "gateway_visibilities"), 2);
    assert_int_equal(count(f, "gateways"), 1);
    assert_int_equal(count(f, "home_network_settings"), 2);
    assert_int_equal(count(f, "home_network_parties WHERE home_network_net_id = 20"),
                     1); /* what others decided stays */
    assert_int_equal(count(f, "home_network_parties"), 1);
    assert_int_equal(count(f, "client_certificates WHERE revoked_at IS NOT NULL"), 1);
    assert_int_equal(count(f, "client_certificates WHERE revoked_at IS NOT NULL AND fingerprint = 'aa'"), 1);
    assert_int_equal(count(f, "join_servers WHERE fixed_net_id IS NOT NULL"), 2);
    assert_int_equal(count(f, "join_servers WHERE join_server_id = 1 AND fixed_cluster_id = ''"), 1);
    assert_int_equal(count(f, "routed_messages"), 1);
    refuse(f, TENANTS "DeleteTenant", &test_tenant, &id, IAM_TENANT_UNKNOWN, "ttn");
}

static void network_takes_its_rows_with_it(void **state)
{
    fixture *f = *state;
    populate(f);
    delete_network(f, 0x13);
    assert_int_equal(count(f, "networks"), 1);
    assert_int_equal(count(f, "tenants"), 1);
    assert_int_equal(count(f, "dev_addr_blocks"), 1);
    assert_int_equal(count(f, "api_keys WHERE kind = 0"), 1);
    assert_int_equal(count(f, "api_keys WHERE kind = 1"), 1);
    assert_int_equal(count(f, "routing_policies"), 2);
    assert_int_equal(count(f, "gateway_visibilities"), 1);
    assert_int_equal(count(f, "gateways"), 0);
    assert_int_equal(count(f, "home_network_settings"), 1);
    assert_int_equal(count(f, "client_certificates WHERE revoked_at IS NOT NULL"), 2);
    assert_int_equal(count(f, "join_servers WHERE fixed_net_id IS NOT NULL"), 1);
    assert_int_equal(count(f, "routed_messages"), 1);
    Pb__Iam__V1__NetworkRequest id = PB__IAM__V1__NETWORK_REQUEST__INIT;
    id.net_id = 0x13;
    refuse(f, NETWORKS "DeleteNetwork", &test_admin, &id, IAM_NETWORK_UNKNOWN, "000013");
    fixture_network(f, 0x13, "Again");
    assert_int_equal(get_network(f, 0x13)->n_dev_addr_blocks, 0);
}

/* With private NetIDs a network 000000 can be deleted: default policies have 0 as home network and must stay. */
static void network_0_leaves_defaults_of_others(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0, "Home");
    fixture_network(f, 0x14, "M");
    put_policy(f, "20, '', 1, 0, ''");
    put_policy(f, "20, '', 0, 0, 'ttn'");
    put_policy(f, "0, '', 1, 0, ''");
    delete_network(f, 0);
    assert_int_equal(count(f, "routing_policies"), 1);
    assert_int_equal(count(f, "routing_policies WHERE forwarder_net_id = 20 AND is_default = 1"), 1);
}

/* The change feed. */

typedef struct listener {
    store_watch watch;
    atomic_uint calls;
    uint32_t topics;
} listener;

static void heard(store_watch *watch, uint32_t topics)
{
    listener *l = LPX_CONTAINER(watch, listener, watch);
    l->topics |= topics;
    atomic_fetch_add(&l->calls, 1);
}

/* Topics that are told after a call. */
#define expect_topics(f, l, call, want)                   \
    do {                                                  \
        unsigned before_ = atomic_load(&(l)->calls);      \
        (l)->topics = 0;                                  \
        call;                                             \
        kit_turn_until((f)->k, &(l)->calls, before_ + 1); \
        assert_int_equal((l)->topics &(want), (want));    \
    } while (0)

static void changes_are_told(void **state)
{
    fixture *f = *state;
    const uint32_t networks = 1U << STORE_TOPIC_NETWORKS, policies = 1U << STORE_TOPIC_POLICIES,
                   keys = 1U << STORE_TOPIC_KEYS;
    listener l = {.watch = {.topics = networks | policies | keys, .home = f->k->loop, .changed = heard}};
    store_watch_start(f->k->store, &l.watch);
    expect_topics(f, &l, fixture_network(f, 0x13, "N"), networks);
    expect_topics(f, &l, fixture_tenant(f, 0x13, "ttn", "T"), networks);
    expect_topics(f, &l, assert_ok(set_blocks(f, 0x13, "ttn", (const uint32_t[]){0x26AA0000, 16, 0, 0})), networks);
    const Pb__V3__NetworkAPIKey *key = NULL;
    expect_topics(f, &l, key = fixture_key(f, &test_admin, 0x13, "", 1), keys);
    Pb__Iam__V2__UpdateAPIKeyStateRequest set_state = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    set_state.key_id = key->key_id;
    set_state.state = PB__V3__APIKEY_STATE__REJECTED;
    expect_topics(f, &l, fixture_ask(f, VAULT "UpdateAPIKeyState", &test_admin, &set_state), keys);
    Pb__Iam__V2__APIKeyRequest id = PB__IAM__V2__APIKEY_REQUEST__INIT;
    id.key_id = key->key_id;
    expect_topics(f, &l, fixture_ask(f, VAULT "DeleteAPIKey", &test_admin, &id), keys);
    Pb__Iam__V1__UpdateTenantListedRequest listed = PB__IAM__V1__UPDATE_TENANT_LISTED_REQUEST__INIT;
    listed.net_id = 0x13;
    listed.tenant_id = fixture_text(f, "ttn");
    expect_topics(f, &l, fixture_ask(f, TENANTS "UpdateTenantListed", &test_tenant, &listed), networks);
    expect_topics(f, &l, delete_network(f, 0x13), networks | policies | keys);
    store_watch_stop(f->k->store, &l.watch);
}

/* Runs. */

typedef struct twice_job {
    store_job job;
    const rpc_method *method;
    rpc_txn txn;
    int runs, fail_first;
} twice_job;

static lpx_err twice_work(store_tx *tx, store_job *job)
{
    twice_job *t = LPX_CONTAINER(job, twice_job, job);
    LPX_TRY(t->method->txn(tx, &t->txn));
    return t->runs++ < t->fail_first ? lpx_err_of(BASE_INTERNAL) : LPX_SUCCESS;
}

/* A transaction that was rolled back is run again with the same rpc_txn. */
static void methods_can_be_run_again(void **state)
{
    fixture *f = *state;
    const rpc_method *methods;
    Pb__V3__Network network = PB__V3__NETWORK__INIT;
    Pb__Iam__V1__CreateNetworkRequest request = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    network.net_id = 0x13;
    request.network = &network;
    (void)iam_methods(f->iam, &methods);
    twice_job job = {.job = {.work = twice_work, .write = true}, .method = &methods[1], .fail_first = 1};
    assert_non_null(strstr(methods[1].path, "CreateNetwork"));
    job.txn =
        (rpc_txn){.who = &test_admin, .request = &request.base, .arena = &f->arena, .now = f->now, .service = f->iam};
    assert_reason(store_run(f->k->store, &job.job), BASE_INTERNAL);
    assert_int_equal(count(f, "networks"), 0);
    assert_ok(store_run(f->k->store, &job.job));
    assert_int_equal(count(f, "networks"), 1);
    assert_non_null(job.txn.reply);
}

/* Every read with every amount of memory: answer or BASE_NO_MEMORY. */
static void reads_fail_cleanly_when_memory_is_short(void **state)
{
    fixture *f = *state;
    populate(f);
    Pb__Iam__V1__ListNetworksRequest networks = PB__IAM__V1__LIST_NETWORKS_REQUEST__INIT;
    Pb__Iam__V1__ListTenantsRequest tenants = PB__IAM__V1__LIST_TENANTS_REQUEST__INIT;
    Pb__Iam__V1__NetworkRequest network = PB__IAM__V1__NETWORK_REQUEST__INIT;
    Pb__Iam__V1__TenantRequest tenant = PB__IAM__V1__TENANT_REQUEST__INIT;
    Pb__Iam__V2__ListNetworkAPIKeysRequest keys = PB__IAM__V2__LIST_NETWORK_APIKEYS_REQUEST__INIT;
    networks.limit = tenants.limit = 5;
    tenants.net_id = network.net_id = tenant.net_id = 0x13;
    tenant.tenant_id = fixture_text(f, "ttn");
    const struct {
        const char *name;
        const ProtobufCMessage *request;
    } rows[] = {{"/ListNetworks", &networks.base},
                {"/ListTenants", &tenants.base},
                {"/GetNetwork", &network.base},
                {"/GetTenant", &tenant.base},
                {"/ListAPIKeys", &keys.base}};
    const rpc_method *methods;
    size_t method_count = iam_methods(f->iam, &methods);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t m = 0;
        while (m < method_count && strstr(methods[m].path, rows[i].name) == NULL) {
            m++;
        }
        unsigned failed = 0;
        lpx_err err = {1, 1};
        for (size_t cap = 0; lpx_failed(err); cap += 64) {
            lpx_arena small;
            lpx_arena_init(&small, cap);
            twice_job job = {.job = {.work = twice_work}, .method = &methods[m]};
            job.txn = (rpc_txn){
                .who = &test_admin, .request = rows[i].request, .arena = &small, .now = f->now, .service = f->iam};
            err = store_run(f->k->store, &job.job);
            assert_true(!lpx_failed(err) || err.reason == BASE_NO_MEMORY);
            failed += lpx_failed(err) ? 1 : 0;
            lpx_arena_fini(&small);
        }
        assert_true(failed > 1);
    }
}

int iam_cascade_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(represented_networks_lend_their_addresses),
        CASE(lent_addresses_go_back),
        CASE(shared_addresses_stay),
        CASE(circles_and_strangers_represent_nobody),
        CASE(blocks_keep_their_age),
        CASE(tenant_takes_its_rows_with_it),
        CASE(network_takes_its_rows_with_it),
        cmocka_unit_test_setup_teardown(network_0_leaves_defaults_of_others, fixture_setup_private, fixture_teardown),
        CASE(changes_are_told),
        CASE(methods_can_be_run_again),
        CASE(reads_fail_cleanly_when_memory_is_short),
    };
    return cmocka_run_group_tests_name("iam_cascade", tests, NULL, NULL);
}
