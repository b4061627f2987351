/* Walks every row of the authorisation table with every kind of caller, against rules written down here a second time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/writer.h"
#include "codec/pb/pb.h"
#include "lpx_reasons.h"
#include "pb_iam_v1_api.pb-c.h"
#include "pb_iam_v2_api.pb-c.h"
#include "pb_routing_v1_api.pb-c.h"
#include "rpc/authn.h"
#include "rpc/authz.h"

enum { OWN_NET = 0x13, OTHER_NET = 0x42 };

/* The request type of each service's methods, by the method's path. */
typedef struct request_type {
    const char *path;
    const ProtobufCMessageDescriptor *desc;
} request_type;

#define R(service, method, message)                                           \
    {                                                                         \
        "/org.packetbroker." service "/" method, &pb__##message##__descriptor \
    }
static const request_type types[] = {
    R("iam.v1.NetworkRegistry", "ListNetworks", iam__v1__list_networks_request),
    R("iam.v1.NetworkRegistry", "CreateNetwork", iam__v1__create_network_request),
    R("iam.v1.NetworkRegistry", "GetNetwork", iam__v1__network_request),
    R("iam.v1.NetworkRegistry", "UpdateNetwork", iam__v1__update_network_request),
    R("iam.v1.NetworkRegistry", "UpdateNetworkListed", iam__v1__update_network_listed_request),
    R("iam.v1.NetworkRegistry", "DeleteNetwork", iam__v1__network_request),
    R("iam.v1.TenantRegistry", "ListTenants", iam__v1__list_tenants_request),
    R("iam.v1.TenantRegistry", "CreateTenant", iam__v1__create_tenant_request),
    R("iam.v1.TenantRegistry", "GetTenant", iam__v1__tenant_request),
    R("iam.v1.TenantRegistry", "UpdateTenant", iam__v1__update_tenant_request),
    R("iam.v1.TenantRegistry", "UpdateTenantListed", iam__v1__update_tenant_listed_request),
    R("iam.v1.TenantRegistry", "DeleteTenant", iam__v1__tenant_request),
    R("iam.v2.NetworkAPIKeyVault", "ListAPIKeys", iam__v2__list_network_apikeys_request),
    R("iam.v2.NetworkAPIKeyVault", "CreateAPIKey", iam__v2__create_network_apikey_request),
    R("iam.v2.NetworkAPIKeyVault", "DeleteAPIKey", iam__v2__apikey_request),
    R("iam.v2.NetworkAPIKeyVault", "UpdateAPIKeyState", iam__v2__update_apikey_state_request),
    R("routing.v1.PolicyManager", "ListDefaultPolicies", routing__v1__list_default_policies_request),
    R("routing.v1.PolicyManager", "ListHomeNetworkPolicies", routing__v1__list_home_network_policies_request),
    R("routing.v1.PolicyManager", "GetDefaultPolicy", routing__v1__get_default_policy_request),
    R("routing.v1.PolicyManager", "GetHomeNetworkPolicy", routing__v1__get_home_network_policy_request),
    R("routing.v1.PolicyManager", "SetDefaultPolicy", routing__v1__set_policy_request),
    R("routing.v1.PolicyManager", "SetHomeNetworkPolicy", routing__v1__set_policy_request),
    R("routing.v1.PolicyManager", "ListEffectivePolicies", routing__v1__list_effective_policies_request),
    R("routing.v1.PolicyManager", "ListNetworksWithPolicy", routing__v1__list_networks_with_policy_request),
    R("routing.v1.ForwarderData", "Publish", routing__v1__publish_uplink_message_request),
    R("routing.v1.ForwarderData", "Subscribe", routing__v1__subscribe_forwarder_request),
    R("routing.v1.ForwarderData", "ReportDownlinkMessageDeliveryState",
      routing__v1__downlink_message_delivery_state_change_request),
    R("routing.v1.HomeNetworkData", "Publish", routing__v1__publish_downlink_message_request),
    R("routing.v1.HomeNetworkData", "Subscribe", routing__v1__subscribe_home_network_request),
    R("routing.v1.HomeNetworkData", "ReportUplinkMessageDeliveryState",
      routing__v1__uplink_message_delivery_state_change_request),
};

static const ProtobufCMessageDescriptor *type_of(const char *path)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].path, path) == 0) {
            return types[i].desc;
        }
    }
    return NULL;
}

/* Appends one field of desc to out: text when it is not NULL, else the number. */
static void put_field(const ProtobufCMessageDescriptor *desc, const char *name, uint64_t number, const char *text,
                      lpx_writer *out)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(desc, name);
    assert_non_null(field);
    lpx_writer_varint(out, (uint64_t)field->id << 3 | (text != NULL ? 2 : 0));
    lpx_writer_varint(out, text != NULL ? strlen(text) : number);
    lpx_writer_str(out, lpx_str_of(text));
}

/* Last word of a path. */
static const char *leaf(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

/* A request of the rule's method that names this network, tenant and cluster where the rule looks: all in the message
 * itself, or all in one submessage of it. */
static ProtobufCMessage *make_request(const rpc_rule *rule, uint32_t net, const char *tenant, const char *cluster,
                                      lpx_arena *arena)
{
    uint8_t inner_room[512], outer_room[1024];
    lpx_writer inner, outer;
    lpx_writer_init(&inner, (lpx_space){inner_room, sizeof inner_room});
    lpx_writer_init(&outer, (lpx_space){outer_room, sizeof outer_room});
    const ProtobufCMessageDescriptor *desc = type_of(rule->path), *owner = desc;
    assert_non_null(desc);
    const ProtobufCFieldDescriptor *parent = NULL;
    const char *dot = rule->net_field != NULL ? strchr(rule->net_field, '.') : NULL;
    if (dot != NULL) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)(dot - rule->net_field), rule->net_field);
        parent = protobuf_c_message_descriptor_get_field_by_name(desc, name);
        assert_non_null(parent);
        owner = parent->descriptor;
    }
    if (rule->net_field != NULL) {
        put_field(owner, leaf(rule->net_field), net, NULL, &inner);
    }
    if (rule->tenant_field != NULL) {
        put_field(owner, leaf(rule->tenant_field), 0, tenant, &inner);
    }
    if (rule->cluster_field != NULL) {
        put_field(owner, leaf(rule->cluster_field), 0, cluster, &inner);
    }
    if (parent != NULL) {
        lpx_writer_varint(&outer, (uint64_t)parent->id << 3 | 2);
        lpx_writer_varint(&outer, inner.len);
    }
    lpx_writer_bytes(&outer, lpx_writer_view(&inner));
    assert_int_equal(lpx_writer_end(&outer).code, LPX_OK);
    ProtobufCMessage *out = NULL;
    lpx_note note = {""};
    assert_int_equal(pb_decode(desc, lpx_writer_view(&outer), arena, &out, &note).code, LPX_OK);
    return out;
}

static lpx_err check(const rpc_rule *rule, rpc_principal who, uint32_t net, const char *tenant, const char *cluster)
{
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 20);
    lpx_note note = {""};
    lpx_err err = rpc_authz_check(rule, &who, make_request(rule, net, tenant, cluster, &arena), &note);
    lpx_arena_fini(&arena);
    return err;
}

static const rpc_principal anonymous = {.subject = RPC_ANONYMOUS};
static const rpc_principal admin = {.subject = RPC_ADMIN, .rights = UINT64_MAX};
static const rpc_principal cluster = {.subject = RPC_CLUSTER, .rights = UINT64_MAX};
static const rpc_principal network = {.subject = RPC_NETWORK, .net_id = OWN_NET, .rights = UINT64_MAX};
static const rpc_principal tenant = {
    .subject = RPC_TENANT, .net_id = OWN_NET, .tenant_id = "acme", .rights = UINT64_MAX};

/* Subjects by method, as the fact table has them; the table of the program must agree row by row. */
static const char *expected_subjects(const char *path)
{
    static const char *const table[][2] = {
        {"NetworkRegistry/ListNetworks", "ACN"},
        {"NetworkRegistry/GetNetwork", "ACN"},
        {"NetworkRegistry/UpdateNetworkListed", "AN"},
        {"NetworkRegistry/", "A"},
        {"TenantRegistry/ListTenants", "AN"},
        {"TenantRegistry/CreateTenant", "AN"},
        {"TenantRegistry/GetTenant", "ACNT"},
        {"TenantRegistry/", "ANT"},
        {"NetworkAPIKeyVault/CreateAPIKey", "?AN"},
        {"NetworkAPIKeyVault/UpdateAPIKeyState", "A"},
        {"NetworkAPIKeyVault/", "AN"},
        {"PolicyManager/Set", "NT"},
        {"PolicyManager/ListNetworksWithPolicy", "ANT"},
        {"PolicyManager/", "ACNT"},
        {"ForwarderData/", "NT"},
        {"HomeNetworkData/", "NT"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strstr(path, table[i][0]) != NULL) {
            return table[i][1];
        }
    }
    return "";
}

static void every_subject(void **state)
{
    (void)state;
    size_t count;
    const rpc_rule *rules = rpc_authz_rules(&count);
    assert_true(count >= sizeof types / sizeof types[0]);
    const struct {
        char letter;
        rpc_principal who;
    } callers[] = {{'?', anonymous}, {'A', admin}, {'C', cluster}, {'N', network}, {'T', tenant}};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; type_of(rules[i].path) != NULL && k < sizeof callers / sizeof callers[0]; k++) {
            bool want = strchr(expected_subjects(rules[i].path), callers[k].letter) != NULL;
            lpx_err err = check(&rules[i], callers[k].who, OWN_NET, "acme", "");
            if (want != (err.code == LPX_OK)) {
                fail_msg("%s by %c: got code %u", rules[i].path, callers[k].letter, err.code);
            }
            if (!want) {
                assert_int_equal(err.code, callers[k].letter == '?' ? LPX_UNAUTHENTICATED : LPX_PERMISSION_DENIED);
            }
        }
    }
}

static void foreign_resources_are_refused(void **state)
{
    (void)state;
    size_t count, narrowed = 0;
    const rpc_rule *rules = rpc_authz_rules(&count);
    for (size_t i = 0; i < count; i++) {
        const rpc_rule *rule = &rules[i];
        bool by_fields = rule->scope != RPC_SCOPE_NONE && rule->scope != RPC_SCOPE_HANDLER;
        if (!by_fields || type_of(rule->path) == NULL) {
            continue;
        }
        narrowed++;
        if ((rule->subjects & RPC_NETWORK) != 0) {
            assert_int_equal(check(rule, network, OTHER_NET, "acme", "").reason, RPC_NOT_OWN);
            assert_int_equal(check(rule, network, OWN_NET, "others", "").code, LPX_OK);
        }
        if ((rule->subjects & RPC_TENANT) != 0) {
            assert_int_equal(check(rule, tenant, OTHER_NET, "acme", "").reason, RPC_NOT_OWN);
            assert_int_equal(check(rule, tenant, OWN_NET, "others", "").reason, RPC_NOT_OWN);
            assert_int_equal(check(rule, tenant, OWN_NET, "", "").reason, RPC_NOT_OWN);
        }
        if (rule->cluster_field != NULL) {
            rpc_principal bound = network;
            strcpy(bound.cluster_id, "eu1");
            assert_int_equal(check(rule, bound, OWN_NET, "", "eu1").code, LPX_OK);
            assert_int_equal(check(rule, bound, OWN_NET, "", "us1").reason, RPC_NOT_OWN);
            bool report = rule->scope == RPC_SCOPE_REPORT;
            assert_int_equal(check(rule, bound, OWN_NET, "", "").reason, report ? LPX_REASON_NONE : RPC_NOT_OWN);
        }
    }
    assert_true(narrowed > 15);
}

static void rights_are_needed(void **state)
{
    (void)state;
    size_t count;
    const rpc_rule *rules = rpc_authz_rules(&count);
    for (size_t i = 0; i < count; i++) {
        if (rules[i].right < 0 || (rules[i].subjects & RPC_NETWORK) == 0 || type_of(rules[i].path) == NULL) {
            continue;
        }
        rpc_principal who = network;
        who.rights = ~(UINT64_C(1) << rules[i].right);
        assert_int_equal(check(&rules[i], who, OWN_NET, "", "").reason, RPC_MISSING_RIGHT);
        who.rights = UINT64_C(1) << rules[i].right;
        assert_int_equal(check(&rules[i], who, OWN_NET, "", "").code, LPX_OK);
    }
}

static void a_filter_may_be_left_out(void **state)
{
    (void)state;
    const rpc_rule *rule = rpc_authz_find("/org.packetbroker.iam.v2.NetworkAPIKeyVault/ListAPIKeys");
    assert_non_null(rule);
    lpx_note note;
    Pb__Iam__V2__ListNetworkAPIKeysRequest all = PB__IAM__V2__LIST_NETWORK_APIKEYS_REQUEST__INIT;
    assert_int_equal(rpc_authz_check(rule, &network, &all.base, &note).code, LPX_OK);
    assert_null(rpc_authz_find("/org.packetbroker.iam.v2.NetworkAPIKeyVault/Nothing"));
}

/* A snapshot with one network key, one tenant key and one cluster key, and a token for each. */
typedef struct fixture {
    jwt_key *key;
    rpc_auth_snapshot *snapshot;
    lpx_arena arena;
} fixture;

static const rpc_auth_key fixture_keys[] = {
    {.key_id = "CCCCCCCCCCCCCCCC", .is_cluster = true, .cluster_id = "eu1", .rights = 1 << 5},
    {.key_id = "AAAAAAAAAAAAAAAA", .net_id = OWN_NET, .rights = 1 << 10 | 1 << 11},
    {.key_id = "BBBBBBBBBBBBBBBB", .net_id = OWN_NET, .tenant_id = "acme", .cluster_id = "eu1", .rights = 1 << 10},
};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    lpx_arena_init(&f->arena, 1 << 20);
    assert_int_equal(jwt_key_new(LPX_STR("one"), &f->key).code, LPX_OK);
    lpx_str jwk;
    jwt_key *copy = NULL;
    assert_int_equal(jwt_key_export(f->key, &f->arena, &jwk).code, LPX_OK);
    assert_int_equal(jwt_key_import(jwk, &copy).code, LPX_OK);
    lpx_str audience = LPX_STR("localhost");
    rpc_auth_source source = {.keys = fixture_keys,
                              .key_count = 3,
                              .signing_keys = &copy,
                              .signing_key_count = 1,
                              .issuer = LPX_STR("https://localhost:1901"),
                              .audiences = &audience,
                              .audience_count = 1};
    f->snapshot = rpc_auth_snapshot_new(&source);
    assert_non_null(f->snapshot);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    jwt_key_free(&f->key);
    rpc_auth_snapshot_unref(&f->snapshot);
    lpx_arena_fini(&f->arena);
    free(f);
    return 0;
}

enum { NOW_S = 1800000000 };

static lpx_err verify_at(fixture *f, const char *token_id, const char *issuer, int64_t expires_s, int64_t now_s,
                         rpc_principal *who)
{
    jwt_claims claims = {.issuer = lpx_str_of(issuer),
                         .token_id = lpx_str_of(token_id),
                         .audiences = {LPX_STR("localhost")},
                         .audience_count = 1,
                         .issued_at = {NOW_S * INT64_C(1000000)},
                         .not_before = {NOW_S * INT64_C(1000000)},
                         .expires_at = {expires_s * INT64_C(1000000)},
                         .rights = 1 << 10 | 1 << 12};
    lpx_str token;
    lpx_note note;
    assert_int_equal(jwt_sign(f->key, &claims, &f->arena, &token).code, LPX_OK);
    return rpc_auth_token(f->snapshot, token, (lpx_utc){now_s * INT64_C(1000000)}, &f->arena, who, &note);
}

static lpx_err verify(fixture *f, const char *token_id, const char *issuer, int64_t expires_s, rpc_principal *who)
{
    return verify_at(f, token_id, issuer, expires_s, NOW_S, who);
}

#define ULID "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define ISSUER "https://localhost:1901"

static void tokens_become_principals(void **state)
{
    fixture *f = *state;
    rpc_principal who;
    assert_int_equal(verify(f, ULID "-AAAAAAAAAAAAAAAA", ISSUER, NOW_S + 3600, &who).code, LPX_OK);
    assert_int_equal(who.subject, RPC_NETWORK);
    assert_int_equal(who.net_id, OWN_NET);
    assert_int_equal(who.rights, 1 << 10); /* what token and key both have */
    assert_int_equal(verify(f, ULID "-BBBBBBBBBBBBBBBB", ISSUER, NOW_S + 3600, &who).code, LPX_OK);
    assert_int_equal(who.subject, RPC_TENANT);
    assert_string_equal(who.tenant_id, "acme");
    assert_string_equal(who.cluster_id, "eu1");
    assert_int_equal(verify(f, ULID "-CCCCCCCCCCCCCCCC", ISSUER, NOW_S + 3600, &who).code, LPX_OK);
    assert_int_equal(who.subject, RPC_CLUSTER);
}

static void bad_tokens_are_refused(void **state)
{
    fixture *f = *state;
    rpc_principal who;
    lpx_note note;
    assert_int_equal(verify_at(f, ULID "-DDDDDDDDDDDDDDDD", ISSUER, NOW_S + 3600, NOW_S + 60, &who).reason,
                     RPC_KEY_REVOKED);
    assert_int_equal(verify_at(f, ULID, ISSUER, NOW_S + 3600, NOW_S + 60, &who).reason, RPC_KEY_REVOKED);
    assert_int_equal(verify(f, ULID "-DDDDDDDDDDDDDDDD", ISSUER, NOW_S + 3600, &who).reason, RPC_KEY_NOT_YET);
    assert_int_equal(verify(f, ULID "-AAAAAAAAAAAAAAAA", "https://evil", NOW_S + 3600, &who).code, LPX_UNAUTHENTICATED);
    assert_int_equal(verify(f, ULID "-AAAAAAAAAAAAAAAA", ISSUER, NOW_S - 100, &who).code, LPX_UNAUTHENTICATED);
    lpx_utc now = {NOW_S * INT64_C(1000000)};
    assert_int_equal(rpc_auth_token(f->snapshot, LPX_STR("a.b.c"), now, &f->arena, &who, &note).code,
                     LPX_UNAUTHENTICATED);
    jwt_key *stranger = NULL;
    lpx_str token;
    jwt_claims claims = {.token_id = LPX_STR(ULID "-AAAAAAAAAAAAAAAA")};
    assert_int_equal(jwt_key_new(LPX_STR("two"), &stranger).code, LPX_OK);
    assert_int_equal(jwt_sign(stranger, &claims, &f->arena, &token).code, LPX_OK);
    assert_int_equal(rpc_auth_token(f->snapshot, token, now, &f->arena, &who, &note).reason, RPC_TOKEN_UNKNOWN_KEY);
    jwt_key_free(&stranger);
}

static void basic_is_split(void **state)
{
    fixture *f = *state;
    lpx_str user, password;
    assert_int_equal(rpc_auth_split_basic(LPX_STR("Basic YWRtaW46YTpi"), &f->arena, &user, &password).code, LPX_OK);
    assert_true(lpx_str_is(user, "admin") && lpx_str_is(password, "a:b"));
    assert_int_equal(rpc_auth_split_basic(LPX_STR("Basic !!"), &f->arena, &user, &password).reason,
                     RPC_BASIC_MALFORMED);
    assert_int_equal(rpc_auth_split_basic(LPX_STR("Basic YWRtaW4="), &f->arena, &user, &password).reason,
                     RPC_BASIC_MALFORMED);
    assert_false(rpc_auth_check_admin(f->snapshot, LPX_STR("nobody"), LPX_STR("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subject),
        cmocka_unit_test(foreign_resources_are_refused),
        cmocka_unit_test(rights_are_needed),
        cmocka_unit_test(a_filter_may_be_left_out),
        cmocka_unit_test_setup_teardown(tokens_become_principals, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_tokens_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(basic_is_split, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
