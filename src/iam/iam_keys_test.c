/* NetworkAPIKeyVault on a real store. */
#include "iam/iam_test_kit.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "iam/limits.h"

static Pb__Iam__V2__CreateNetworkAPIKeyRequest create_request(fixture *f, uint32_t net_id, const char *tenant)
{
    static Pb__V3__Right read_network[] = {PB__V3__RIGHT__READ_NETWORK};
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = PB__IAM__V2__CREATE_NETWORK_APIKEY_REQUEST__INIT;
    request.net_id = net_id;
    request.tenant_id = fixture_text(f, tenant);
    request.rights = read_network;
    request.n_rights = 1;
    return request;
}

static void members(fixture *f)
{
    fixture_network(f, 0x13, "N");
    fixture_network(f, 0x14, "M");
    fixture_tenant(f, 0x13, "ttn", "T");
}

static const Pb__Iam__V2__ListNetworkAPIKeysResponse *
list_keys(fixture *f, const rpc_principal *who, const uint32_t *net_id, const char *tenant, const char *cluster)
{
    Pb__Iam__V2__ListNetworkAPIKeysRequest request = PB__IAM__V2__LIST_NETWORK_APIKEYS_REQUEST__INIT;
    Google__Protobuf__UInt32Value net = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    Google__Protobuf__StringValue t = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    Google__Protobuf__StringValue c = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    net.value = net_id != NULL ? *net_id : 0;
    t.value = fixture_text(f, tenant != NULL ? tenant : "");
    c.value = fixture_text(f, cluster != NULL ? cluster : "");
    request.net_id = net_id != NULL ? &net : NULL;
    request.tenant_id = tenant != NULL ? &t : NULL;
    request.cluster_id = cluster != NULL ? &c : NULL;
    return fixture_ask(f, VAULT "ListAPIKeys", who, &request);
}

static bool is_base32(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == len;
}

static void keys_are_made_random_and_stored_hashed(void **state)
{
    fixture *f = *state;
    members(f);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = create_request(f, 0x13, "ttn");
    request.cluster_id = fixture_text(f, "eu1");
    const Pb__Iam__V2__CreateNetworkAPIKeyResponse *a = fixture_ask(f, VAULT "CreateAPIKey", &test_admin, &request);
    const Pb__Iam__V2__CreateNetworkAPIKeyResponse *b = fixture_ask(f, VAULT "CreateAPIKey", &test_admin, &request);
    assert_true(is_base32(a->key->key_id, 16));
    assert_true(is_base32(a->key->key, 48));
    assert_string_not_equal(a->key->key_id, b->key->key_id);
    assert_string_not_equal(a->key->key, b->key->key);
    assert_int_equal(a->key->net_id, 0x13);
    assert_string_equal(a->key->tenant_id, "ttn");
    assert_string_equal(a->key->cluster_id, "eu1");
    assert_int_equal(a->key->n_rights, 1);
    assert_int_equal(a->key->state, PB__V3__APIKEY_STATE__APPROVED);
    assert_null(a->key->authenticated_at);
    /* The database knows the secret's hash and nothing else of it. */
    uint8_t hash[CRYPTO_SHA256_BYTES];
    crypto_sha256(lpx_str_bytes(lpx_str_of(a->key->key)), hash);
    kit_job job;
    kit_job_init(f->k, &job, "SELECT COUNT(*) FROM api_keys WHERE key_id = ?1 AND secret_hash = ?2");
    job.values[0] = STORE_V_TEXT(lpx_str_of(a->key->key_id));
    job.values[1] = STORE_V_BLOB(lpx_bytes_of(hash, sizeof hash));
    job.count = 2;
    assert_ok(store_run(f->k->store, &job.job));
    assert_int_equal(job.number, 1);
}

static void callers_may_choose_a_secret(void **state)
{
    fixture *f = *state;
    members(f);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = create_request(f, 0x13, "");
    request.key = fixture_text(f, "correct-horse-battery");
    const Pb__Iam__V2__CreateNetworkAPIKeyResponse *reply = fixture_ask(f, VAULT "CreateAPIKey", &test_admin, &request);
    assert_string_equal(reply->key->key, "correct-horse-battery");
    request.key = fixture_text(f, "short");
    refuse(f, VAULT "CreateAPIKey", &test_admin, &request, IAM_BAD_SECRET, "key must have 8 to 256");
    request.key = fixture_text(f, "with a space in it");
    refuse(f, VAULT "CreateAPIKey", &test_admin, &request, IAM_BAD_SECRET, "key must have");
}

static void owners_must_be_registered(void **state)
{
    fixture *f = *state;
    members(f);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = create_request(f, 0x15, "");
    refuse(f, VAULT "CreateAPIKey", &test_admin, &request, IAM_NETWORK_UNKNOWN,
           "Network 000015 is not registered; register it before its API keys.");
    request = create_request(f, 0x14, "ttn");
    refuse(f, VAULT "CreateAPIKey", &test_admin, &request, IAM_TENANT_UNKNOWN, "Tenant ttn of network 000014");
    request = create_request(f, 0x1000000, "");
    refuse(f, VAULT "CreateAPIKey", &test_admin, &request, LW_NETID_INVALID, "net_id");
    request = create_request(f, 0x13, "No");
    refuse(f, VAULT "CreateAPIKey", &test_admin, &request, LW_TENANT_ID_INVALID, "tenant_id");
    request = create_request(f, 0x13, "");
    request.cluster_id = fixture_text(f, "NO");
    refuse(f, VAULT "CreateAPIKey", &test_admin, &request, LW_CLUSTER_ID_INVALID, "cluster_id");
    Pb__V3__Right bad[] = {PB__V3__RIGHT__READ_NETWORK, (Pb__V3__Right)2};
    request = create_request(f, 0x13, "");
    request.rights = bad;
    request.n_rights = 2;
    refuse(f, VAULT "CreateAPIKey", &test_admin, &request, IAM_BAD_RIGHT, "rights[1] is 2");
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM api_keys"), 0);
}

static void networks_give_no_more_than_they_have(void **state)
{
    fixture *f = *state;
    members(f);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = create_request(f, 0x13, "ttn");
    const Pb__Iam__V2__CreateNetworkAPIKeyResponse *reply =
        fixture_ask(f, VAULT "CreateAPIKey", &test_network, &request);
    assert_int_equal(reply->key->state, PB__V3__APIKEY_STATE__APPROVED);
    Pb__V3__Right more[] = {PB__V3__RIGHT__WRITE_TRAFFIC};
    request.rights = more;
    refuse(f, VAULT "CreateAPIKey", &test_network, &request, IAM_RIGHTS_EXCEEDED, "WRITE_TRAFFIC");
    request.n_rights = 0;
    reply = fixture_ask(f, VAULT "CreateAPIKey", &test_network, &request);
    assert_int_equal(reply->key->n_rights, 0);
    Pb__V3__Right routes[] = {PB__V3__RIGHT__READ_ROUTE_TABLE, PB__V3__RIGHT__READ_TARGET_AUTH};
    request.rights = routes;
    request.n_rights = 2;
    reply = fixture_ask(f, VAULT "CreateAPIKey", &test_admin, &request);
    assert_int_equal(reply->key->n_rights, 2);
}

/* Lists. */

static void lists_follow_their_wrappers(void **state)
{
    fixture *f = *state;
    const uint32_t n13 = 0x13, n14 = 0x14, n15 = 0x15;
    members(f);
    fixture_tenant(f, 0x14, "ttn", "V");
    fixture_key(f, &test_admin, 0x13, "", 1);
    fixture_key(f, &test_admin, 0x13, "ttn", 1);
    fixture_key(f, &test_admin, 0x14, "", 1);
    fixture_key(f, &test_admin, 0x14, "ttn", 1);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = create_request(f, 0x14, "ttn");
    request.cluster_id = fixture_text(f, "eu1");
    fixture_ask(f, VAULT "CreateAPIKey", &test_admin, &request);
    assert_int_equal(list_keys(f, &test_admin, NULL, NULL, NULL)->n_keys, 5);
    assert_int_equal(list_keys(f, &test_admin, &n13, NULL, NULL)->n_keys, 2);
    assert_int_equal(list_keys(f, &test_admin, &n14, "ttn", NULL)->n_keys, 2);
    assert_int_equal(list_keys(f, &test_admin, NULL, "ttn", NULL)->n_keys, 3);
    assert_int_equal(list_keys(f, &test_admin, NULL, "", NULL)->n_keys, 2);
    assert_int_equal(list_keys(f, &test_admin, NULL, NULL, "eu1")->n_keys, 1);
    assert_int_equal(list_keys(f, &test_admin, NULL, NULL, "")->n_keys, 4);
    assert_int_equal(list_keys(f, &test_admin, &n15, NULL, NULL)->n_keys, 0);
    /* A network sees its own. */
    assert_int_equal(list_keys(f, &test_network, NULL, NULL, NULL)->n_keys, 2);
    assert_int_equal(list_keys(f, &test_network, NULL, "ttn", NULL)->n_keys, 1);
    assert_int_equal(list_keys(f, &test_other_network, NULL, NULL, NULL)->n_keys, 3);
    Pb__Iam__V2__ListNetworkAPIKeysRequest bad = PB__IAM__V2__LIST_NETWORK_APIKEYS_REQUEST__INIT;
    Google__Protobuf__UInt32Value net = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    Google__Protobuf__StringValue empty = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    net.value = 0x13;
    bad.net_id = &net;
    bad.tenant_id = &empty;
    refuse(f, VAULT "ListAPIKeys", &test_admin, &bad, IAM_BAD_FILTER, "tenant_id is empty");
}

static void lists_show_no_secrets_and_no_cluster_keys(void **state)
{
    fixture *f = *state;
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "ttn", 1 | 1 << 14);
    kit_exec(f->k->store, "INSERT INTO api_keys (key_id, kind, cluster_id, secret_hash, state, created_at) "
                          "SELECT 'CLUSTERCLUSTER22', 1, 'eu1', secret_hash, 1, 1 FROM api_keys");
    const Pb__Iam__V2__ListNetworkAPIKeysResponse *list = list_keys(f, &test_admin, NULL, NULL, NULL);
    assert_int_equal(list->n_keys, 1);
    assert_string_equal(list->keys[0]->key_id, key->key_id);
    assert_string_equal(list->keys[0]->key, "");
    assert_int_equal(list->keys[0]->n_rights, 2);
    assert_null(list->keys[0]->authenticated_at);
    /* The vault of networks does not know keys of clusters. */
    Pb__Iam__V2__APIKeyRequest id = PB__IAM__V2__APIKEY_REQUEST__INIT;
    id.key_id = fixture_text(f, "CLUSTERCLUSTER22");
    refuse(f, VAULT "DeleteAPIKey", &test_admin, &id, IAM_KEY_UNKNOWN, "CLUSTERCLUSTER22");
    Pb__Iam__V2__UpdateAPIKeyStateRequest update = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    update.key_id = id.key_id;
    refuse(f, VAULT "UpdateAPIKeyState", &test_admin, &update, IAM_KEY_UNKNOWN, "CLUSTERCLUSTER22");
}

/* States. */

static void states_change(void **state)
{
    fixture *f = *state;
    members(f);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_stranger, 0x13, "ttn", 1);
    assert_int_equal(key->state, PB__V3__APIKEY_STATE__REQUESTED);
    Pb__Iam__V2__UpdateAPIKeyStateRequest update = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    update.key_id = key->key_id;
    static const int states[] = {1, 2, 1, 0, 0};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        update.state = (Pb__V3__APIKeyState)states[i];
        fixture_ask(f, VAULT "UpdateAPIKeyState", &test_admin, &update);
        assert_int_equal(list_keys(f, &test_admin, NULL, NULL, NULL)->keys[0]->state, states[i]);
    }
    update.state = (Pb__V3__APIKeyState)3;
    refuse(f, VAULT "UpdateAPIKeyState", &test_admin, &update, IAM_BAD_STATE, "state is 3");
    update.state = PB__V3__APIKEY_STATE__APPROVED;
    update.key_id = fixture_text(f, "AAAAAAAAAAAAAAAA");
    refuse(f, VAULT "UpdateAPIKeyState", &test_admin, &update, IAM_KEY_UNKNOWN, "AAAAAAAAAAAAAAAA");
    update.key_id = fixture_text(f, "short");
    refuse(f, VAULT "UpdateAPIKeyState", &test_admin, &update, LW_KEY_ID_INVALID, "key_id");
}

static void keys_are_deleted_by_their_network(void **state)
{
    fixture *f = *state;
    members(f);
    Pb__Iam__V2__APIKeyRequest id = PB__IAM__V2__APIKEY_REQUEST__INIT;
    id.key_id = fixture_key(f, &test_admin, 0x13, "ttn", 1)->key_id;
    refuse(f, VAULT "DeleteAPIKey", &test_other_network, &id, IAM_KEY_NOT_OWN, "");
    assert_int_equal(list_keys(f, &test_admin, NULL, NULL, NULL)->n_keys, 1);
    fixture_ask(f, VAULT "DeleteAPIKey", &test_network, &id);
    assert_int_equal(list_keys(f, &test_admin, NULL, NULL, NULL)->n_keys, 0);
    refuse(f, VAULT "DeleteAPIKey", &test_network, &id, IAM_KEY_UNKNOWN, "There is no API key");
    id.key_id = fixture_text(f, "");
    refuse(f, VAULT "DeleteAPIKey", &test_admin, &id, LW_KEY_ID_INVALID, "key_id");
}

/* Strangers. */

static void strangers_are_slowed_down(void **state)
{
    fixture *f = *state; /* burst of 3, one more a minute */
    members(f);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = create_request(f, 0x13, "ttn");
    for (int i = 0; i < 3; i++) {
        fixture_ask(f, VAULT "CreateAPIKey", &test_stranger, &request);
    }
    assert_reason(fixture_try(f, VAULT "CreateAPIKey", &test_stranger, &request, NULL), IAM_TOO_MANY_REQUESTS);
    fixture_ask(f, VAULT "CreateAPIKey", &test_admin, &request); /* others are not */
    f->now.us += 58 * INT64_C(1000000);
    assert_reason(fixture_try(f, VAULT "CreateAPIKey", &test_stranger, &request, NULL), IAM_TOO_MANY_REQUESTS);
    f->now.us += 2 * INT64_C(1000000);
    fixture_ask(f, VAULT "CreateAPIKey", &test_stranger, &request);
    assert_reason(fixture_try(f, VAULT "CreateAPIKey", &test_stranger, &request, NULL), IAM_TOO_MANY_REQUESTS);
    /* Refused requests count, too. */
    f->now.us += 60 * INT64_C(1000000);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest unknown = create_request(f, 0x15, "");
    assert_reason(fixture_try(f, VAULT "CreateAPIKey", &test_stranger, &unknown, NULL), IAM_NETWORK_UNKNOWN);
    assert_reason(fixture_try(f, VAULT "CreateAPIKey", &test_stranger, &request, NULL), IAM_TOO_MANY_REQUESTS);
}

static lpx_err fill_work(store_tx *tx, store_job *job)
{
    (void)job;
    const uint8_t hash[32] = {0};
    for (int i = 0; i < IAM_MAX_REQUESTED_KEYS - 1; i++) {
        char id[24];
        snprintf(id, sizeof id, "WAITING%09d", i);
        const store_value values[] = {STORE_V_TEXT(lpx_str_of(id)), STORE_V_BLOB(lpx_bytes_of(hash, sizeof hash))};
        LPX_TRY(store_exec(tx,
                           "INSERT INTO api_keys (key_id, kind, net_id, secret_hash, state, created_at) "
                           "VALUES (?1, 0, 19, ?2, 0, 1)",
                           values, 2, NULL));
    }
    return LPX_SUCCESS;
}

static void waiting_keys_have_a_limit(void **state)
{
    fixture *f = *state;
    members(f);
    store_job fill = {.work = fill_work, .write = true};
    assert_ok(store_run(f->k->store, &fill));
    const Pb__V3__NetworkAPIKey *last = fixture_key(f, &test_stranger, 0x13, "", 1);
    Pb__Iam__V2__CreateNetworkAPIKeyRequest request = create_request(f, 0x13, "");
    assert_reason(fixture_try(f, VAULT "CreateAPIKey", &test_stranger, &request, NULL), IAM_TOO_MANY_WAITING);
    fixture_ask(f, VAULT "CreateAPIKey", &test_network, &request);
    Pb__Iam__V2__UpdateAPIKeyStateRequest update = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    update.key_id = last->key_id;
    update.state = PB__V3__APIKEY_STATE__APPROVED;
    fixture_ask(f, VAULT "UpdateAPIKeyState", &test_admin, &update);
    f->now.us += INT64_C(3600) * 1000000;
    fixture_key(f, &test_stranger, 0x13, "", 1);
}

int iam_keys_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(keys_are_made_random_and_stored_hashed),
        CASE(callers_may_choose_a_secret),
        CASE(owners_must_be_registered),
        CASE(networks_give_no_more_than_they_have),
        CASE(lists_follow_their_wrappers),
        CASE(lists_show_no_secrets_and_no_cluster_keys),
        CASE(states_change),
        CASE(keys_are_deleted_by_their_network),
        CASE(strangers_are_slowed_down),
        CASE(waiting_keys_have_a_limit),
    };
    return cmocka_run_group_tests_name("iam_keys", tests, NULL, NULL);
}
