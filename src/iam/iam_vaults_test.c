/* ClusterAPIKeyVault, the APIKeyVault of the first generation, and authorities, on a real store. */
#include "iam/iam_test_kit.h"

#include <string.h>

#include "lpx_iam_v1_iam.pb-c.h"

#define SET_AUTHORITY "/lpx.iam.v1.AuthorityManager/SetAuthority"

static const uint64_t init_rights = 1 << 0 | 1 << 4 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 14;

static uint64_t mask_of(const Pb__V3__Right *rights, size_t count)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < count; i++) {
        mask |= UINT64_C(1) << rights[i];
    }
    return mask;
}

static const Pb__V3__ClusterAPIKey *cluster_key(fixture *f, const char *cluster)
{
    static Pb__V3__Right rights[] = {PB__V3__RIGHT__READ_ROUTE_TABLE, PB__V3__RIGHT__WRITE_TRAFFIC};
    Pb__Iam__V2__CreateClusterAPIKeyRequest request = PB__IAM__V2__CREATE_CLUSTER_APIKEY_REQUEST__INIT;
    request.cluster_id = fixture_text(f, cluster);
    request.rights = rights;
    request.n_rights = 2;
    const Pb__Iam__V2__CreateClusterAPIKeyResponse *reply =
        fixture_ask(f, CLUSTER_VAULT "CreateAPIKey", &test_admin, &request);
    return reply->key;
}

static size_t count_cluster_keys(fixture *f, const char *cluster)
{
    Pb__Iam__V2__ListClusterAPIKeysRequest request = PB__IAM__V2__LIST_CLUSTER_APIKEYS_REQUEST__INIT;
    Google__Protobuf__StringValue value = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    value.value = fixture_text(f, cluster != NULL ? cluster : "");
    request.cluster_id = cluster != NULL ? &value : NULL;
    const Pb__Iam__V2__ListClusterAPIKeysResponse *list =
        fixture_ask(f, CLUSTER_VAULT "ListAPIKeys", &test_admin, &request);
    for (size_t i = 0; i < list->n_keys; i++) {
        assert_string_equal(list->keys[i]->key, "");
    }
    return list->n_keys;
}

static void cluster_keys_are_made_listed_and_dropped(void **state)
{
    fixture *f = *state;
    const Pb__V3__ClusterAPIKey *key = cluster_key(f, "eu1");
    (void)cluster_key(f, "us1");
    assert_int_equal(strlen(key->key), 48);
    assert_string_equal(key->cluster_id, "eu1");
    assert_int_equal(key->state, PB__V3__APIKEY_STATE__APPROVED);
    assert_int_equal(mask_of(key->rights, key->n_rights), 1 << 5 | 1 << 11);
    assert_int_equal(count_cluster_keys(f, NULL), 2);
    assert_int_equal(count_cluster_keys(f, "eu1"), 1);
    assert_int_equal(count_cluster_keys(f, ""), 0);
    Pb__Iam__V2__UpdateAPIKeyStateRequest set = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    set.key_id = fixture_text(f, key->key_id);
    set.state = PB__V3__APIKEY_STATE__REJECTED;
    fixture_ask(f, CLUSTER_VAULT "UpdateAPIKeyState", &test_admin, &set);
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM api_keys WHERE kind = 1 AND state = 2"), 1);
    Pb__Iam__V2__APIKeyRequest id = PB__IAM__V2__APIKEY_REQUEST__INIT;
    id.key_id = fixture_text(f, key->key_id);
    fixture_ask(f, CLUSTER_VAULT "DeleteAPIKey", &test_admin, &id);
    refuse(f, CLUSTER_VAULT "DeleteAPIKey", &test_admin, &id, IAM_KEY_UNKNOWN, "of a cluster");
    assert_int_equal(count_cluster_keys(f, NULL), 1);
}

static void cluster_keys_need_a_cluster(void **state)
{
    fixture *f = *state;
    Pb__Iam__V2__CreateClusterAPIKeyRequest request = PB__IAM__V2__CREATE_CLUSTER_APIKEY_REQUEST__INIT;
    refuse(f, CLUSTER_VAULT "CreateAPIKey", &test_admin, &request, IAM_MISSING_FIELD, "cluster_id is missing");
    request.cluster_id = fixture_text(f, "NO");
    refuse(f, CLUSTER_VAULT "CreateAPIKey", &test_admin, &request, LW_CLUSTER_ID_INVALID, "cluster_id");
    request.cluster_id = fixture_text(f, "eu1");
    request.key = fixture_text(f, "short");
    refuse(f, CLUSTER_VAULT "CreateAPIKey", &test_admin, &request, IAM_BAD_SECRET, "key must have");
}

/* One vault does not see what the other holds. */
static void vaults_keep_to_their_own(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0x13, "N");
    const char *of_network = fixture_text(f, fixture_key(f, &test_admin, 0x13, "", 1)->key_id);
    const char *of_cluster = fixture_text(f, cluster_key(f, "eu1")->key_id);
    Pb__Iam__V2__APIKeyRequest id = PB__IAM__V2__APIKEY_REQUEST__INIT;
    Pb__Iam__V2__UpdateAPIKeyStateRequest set = PB__IAM__V2__UPDATE_APIKEY_STATE_REQUEST__INIT;
    id.key_id = set.key_id = fixture_text(f, of_network);
    refuse(f, CLUSTER_VAULT "DeleteAPIKey", &test_admin, &id, IAM_KEY_UNKNOWN, of_network);
    refuse(f, CLUSTER_VAULT "UpdateAPIKeyState", &test_admin, &set, IAM_KEY_UNKNOWN, of_network);
    id.key_id = set.key_id = fixture_text(f, of_cluster);
    refuse(f, VAULT "DeleteAPIKey", &test_admin, &id, IAM_KEY_UNKNOWN, of_cluster);
    refuse(f, VAULT "UpdateAPIKeyState", &test_admin, &set, IAM_KEY_UNKNOWN, of_cluster);
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM api_keys"), 2);
}

/* The first generation. */

static void old_callers_get_the_rights_of_a_new_network(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0x13, "N");
    fixture_tenant(f, 0x13, "ttn", "T");
    Pb__Iam__V1__CreateAPIKeyRequest request = PB__IAM__V1__CREATE_APIKEY_REQUEST__INIT;
    request.net_id = 0x13;
    request.tenant_id = fixture_text(f, "ttn");
    request.cluster_id = fixture_text(f, "eu1");
    const Pb__Iam__V1__CreateAPIKeyResponse *made = fixture_ask(f, OLD_VAULT "CreateAPIKey", &test_admin, &request);
    assert_int_equal(strlen(made->key->key), 48);
    assert_string_equal(made->key->tenant_id, "ttn");
    assert_int_equal(mask_of(made->key->rights, made->key->n_rights), init_rights);
    /* A network gives on what it has: READ_NETWORK and READ_TRAFFIC. */
    made = fixture_ask(f, OLD_VAULT "CreateAPIKey", &test_network, &request);
    assert_int_equal(mask_of(made->key->rights, made->key->n_rights), test_network.rights);
    assert_int_equal(made->key->state, PB__V3__APIKEY_STATE__APPROVED);
    request.net_id = 0x15;
    refuse(f, OLD_VAULT "CreateAPIKey", &test_admin, &request, IAM_NETWORK_UNKNOWN, "000015");
}

static void old_callers_list_and_delete(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0x13, "N");
    fixture_network(f, 0x14, "M");
    fixture_tenant(f, 0x13, "ttn", "T");
    fixture_key(f, &test_admin, 0x13, "", 1);
    const Pb__V3__NetworkAPIKey *key = fixture_key(f, &test_admin, 0x13, "ttn", 1);
    const Pb__V3__NetworkAPIKey *foreign = fixture_key(f, &test_admin, 0x14, "", 1);
    (void)cluster_key(f, "eu1");
    Pb__Iam__V1__ListAPIKeysRequest list = PB__IAM__V1__LIST_APIKEYS_REQUEST__INIT;
    list.net_id = 0x13;
    const Pb__Iam__V1__ListAPIKeysResponse *keys = fixture_ask(f, OLD_VAULT "ListAPIKeys", &test_network, &list);
    assert_int_equal(keys->n_keys, 2);
    assert_string_equal(keys->keys[0]->key, "");
    list.tenant_id = fixture_text(f, "ttn");
    keys = fixture_ask(f, OLD_VAULT "ListAPIKeys", &test_network, &list);
    assert_int_equal(keys->n_keys, 1);
    assert_string_equal(keys->keys[0]->key_id, key->key_id);
    Pb__Iam__V1__APIKeyRequest id = PB__IAM__V1__APIKEY_REQUEST__INIT;
    id.key_id = fixture_text(f, key->key_id);
    fixture_ask(f, OLD_VAULT "DeleteAPIKey", &test_network, &id);
    refuse(f, OLD_VAULT "DeleteAPIKey", &test_network, &id, IAM_KEY_UNKNOWN, key->key_id);
    id.key_id = fixture_text(f, foreign->key_id);
    assert_reason(fixture_try(f, OLD_VAULT "DeleteAPIKey", &test_network, &id, NULL), IAM_KEY_NOT_OWN);
}

/* Authorities. */

static lpx_err set_authority(fixture *f, uint32_t net_id, const char *tenant, const char *authority)
{
    Lpx__Iam__V1__SetAuthorityRequest request = LPX__IAM__V1__SET_AUTHORITY_REQUEST__INIT;
    request.net_id = net_id;
    request.tenant_id = fixture_text(f, tenant);
    request.authority = fixture_text(f, authority);
    return fixture_try(f, SET_AUTHORITY, &test_admin, &request, NULL);
}

static void an_authority_keeps_members_out(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0x13, "N");
    fixture_tenant(f, 0x13, "ttn", "T");
    assert_reason(set_authority(f, 0x14, "", "ttnr"), IAM_NETWORK_UNKNOWN);
    assert_reason(set_authority(f, 0x13, "other", "ttnr"), IAM_TENANT_UNKNOWN);
    assert_reason(set_authority(f, 0x13, "ttn", "a\nb"), IAM_BAD_TEXT);
    assert_ok(set_authority(f, 0x13, "ttn", "ttnr"));
    Pb__Iam__V1__TenantRequest id = PB__IAM__V1__TENANT_REQUEST__INIT;
    id.net_id = 0x13;
    id.tenant_id = fixture_text(f, "ttn");
    const Pb__Iam__V1__GetTenantResponse *got = fixture_ask(f, TENANTS "GetTenant", &test_tenant, &id);
    assert_string_equal(got->tenant->authority, "ttnr");
    assert_string_equal(got->tenant->name, "T");
    Pb__Iam__V1__UpdateTenantRequest update = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    Google__Protobuf__StringValue name = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    Google__Protobuf__BoolValue listed = GOOGLE__PROTOBUF__BOOL_VALUE__INIT;
    name.value = fixture_text(f, "Mine");
    listed.value = 1;
    update.net_id = 0x13;
    update.tenant_id = id.tenant_id;
    update.listed = &listed;
    fixture_ask(f, TENANTS "UpdateTenant", &test_tenant, &update);
    update.name = &name;
    refuse(f, TENANTS "UpdateTenant", &test_network, &update, IAM_FIELD_FORBIDDEN, "name cannot be changed here");
    assert_ok(set_authority(f, 0x13, "ttn", ""));
    fixture_ask(f, TENANTS "UpdateTenant", &test_tenant, &update);
}

int iam_vaults_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(cluster_keys_are_made_listed_and_dropped),
        CASE(cluster_keys_need_a_cluster),
        CASE(vaults_keep_to_their_own),
        CASE(old_callers_get_the_rights_of_a_new_network),
        CASE(old_callers_list_and_delete),
        CASE(an_authority_keeps_members_out),
    };
    return cmocka_run_group_tests_name("iam_vaults", tests, NULL, NULL);
}
