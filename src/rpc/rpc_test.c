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
#include "rpc/all_services_test.h"
#include "rpc/authn.h"
#include "rpc/authz.h"

enum { OWN_NET = 0x13, OTHER_NET = 0x42 };

/* The request type of a method, by its path. */
static const ProtobufCMessageDescriptor *type_of(const char *path)
{
    for (size_t i = 0; i < SERVICES; i++) {
        size_t len = strlen(services[i]->name);
        if (strncmp(path + 1, services[i]->name, len) == 0 && path[len + 1] == '/') {
            const ProtobufCMethodDescriptor *method =
                protobuf_c_service_descriptor_get_method_by_name(services[i], path + len + 2);
            return method != NULL ? method->input : NULL;
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
    if (rule->scope != RPC_SCOPE_FILTER) { /* whoever reads the fields itself hears the same */
        rpc_owner owner = {net, lpx_str_of(tenant), lpx_str_of(cluster)};
        lpx_note same = {""};
        assert_int_equal(rpc_authz_check_owner(rule, &who, &owner, &same).reason, err.reason);
        assert_string_equal(same.text, note.text);
    }
    lpx_arena_fini(&arena);
    return err;
}

static const rpc_principal anonymous = {.subject = RPC_ANONYMOUS};
static const rpc_principal admin = {.subject = RPC_ADMIN, .rights = UINT64_MAX};
static const rpc_principal cluster = {.subject = RPC_CLUSTER, .rights = UINT64_MAX};
static const rpc_principal network = {.subject = RPC_NETWORK, .net_id = OWN_NET, .rights = UINT64_MAX};
static const rpc_principal tenant = {
    .subject = RPC_TENANT, .net_id = OWN_NET, .tenant_id = "acme", .rights = UINT64_MAX};

/* What a second person wrote down: who may call, and the right it takes. The first line whose beginning a path has
 * counts; the table of the program must agree row by row. */
typedef struct expectation {
    const char *begins, *subjects;
    int right; /* of tokens; -1: none */
} expectation;

static const expectation *expected(const char *path)
{
    static const expectation table[] = {
        {"org.packetbroker.iam.v1.NetworkRegistry/ListNetworks", "ACN", 0},
        {"org.packetbroker.iam.v1.NetworkRegistry/GetNetwork", "ACN", 0},
        {"org.packetbroker.iam.v1.NetworkRegistry/UpdateNetworkListed", "AN", -1},
        {"org.packetbroker.iam.v1.NetworkRegistry/", "A", -1},
        {"org.packetbroker.iam.v1.TenantRegistry/ListTenants", "AN", 0},
        {"org.packetbroker.iam.v1.TenantRegistry/CreateTenant", "AN", -1},
        {"org.packetbroker.iam.v1.TenantRegistry/GetTenant", "ACNT", 0},
        {"org.packetbroker.iam.v1.TenantRegistry/", "ANT", -1},
        {"org.packetbroker.iam.v1.APIKeyVault/", "AN", -1},
        {"org.packetbroker.iam.v2.NetworkAPIKeyVault/CreateAPIKey", "?AN", -1},
        {"org.packetbroker.iam.v2.NetworkAPIKeyVault/UpdateAPIKeyState", "A", -1},
        {"org.packetbroker.iam.v2.NetworkAPIKeyVault/", "AN", -1},
        {"org.packetbroker.iam.v2.ClusterAPIKeyVault/", "A", -1},
        {"org.packetbroker.iam.v2.Catalog/ListJoinServers", "ACNT", 12},
        {"org.packetbroker.iam.v2.Catalog/", "ACNT", 0},
        {"org.packetbroker.iam.v2.JoinServerRegistry/ListJoinServers", "AC", 12},
        {"org.packetbroker.iam.v2.JoinServerRegistry/", "A", -1},
        {"org.packetbroker.routing.v1.PolicyManager/Set", "NT", 7},
        {"org.packetbroker.routing.v1.PolicyManager/ListNetworksWithPolicy", "ANT", 4},
        {"org.packetbroker.routing.v1.PolicyManager/", "ACNT", 4},
        {"org.packetbroker.routing.v1.ForwarderData/Subscribe", "NT", 10},
        {"org.packetbroker.routing.v1.ForwarderData/", "NT", 11},
        {"org.packetbroker.routing.v1.HomeNetworkData/Subscribe", "NT", 10},
        {"org.packetbroker.routing.v1.HomeNetworkData/", "NT", 11},
        {"org.packetbroker.routing.v1.RouterData/", "C", 11},
        {"org.packetbroker.routing.v1.Routes/", "ACNT", 5},
        {"org.packetbroker.routing.v2.Routes/", "ACNT", 5},
        {"org.packetbroker.routing.v2.Publisher/", "C", -1},
        {"org.packetbroker.mapping.v2.GatewayVisibilityManager/Get", "ANT", 8},
        {"org.packetbroker.mapping.v2.GatewayVisibilityManager/Set", "NT", 9},
        {"org.packetbroker.mapping.v2.Mapper/", "NT", 11},
        {"org.packetbroker.reporting.v1.Reporter/", "ACNT", 14},
        {"lpx.iam.v1.ClientCertificates/Register", "A", -1},
        {"lpx.iam.v1.ClientCertificates/", "AN", -1},
        {"lpx.iam.v1.AuthorityManager/", "A", -1},
        {"lpx.routing.v1.ForwarderData/", "NT", 11},
        {"lpx.routing.v1.HomeNetworkSettingsManager/Get", "ANT", 4},
        {"lpx.routing.v1.HomeNetworkSettingsManager/", "NT", 7},
        {"lpx.trace.v1.Tracer/", "NT", 10},
        {"grpc.", "?ACNT", -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strncmp(path + 1, table[i].begins, strlen(table[i].begins)) == 0) {
            return &table[i];
        }
    }
    fail_msg("%s is nowhere in the second table", path);
    return NULL;
}

static void every_method_has_one_row(void **state)
{
    (void)state;
    size_t rows, methods = 0;
    const rpc_rule *rules = rpc_authz_rules(&rows);
    for (size_t i = 0; i < SERVICES; i++) {
        methods += services[i]->n_methods;
    }
    for (size_t i = 0; i < rows; i++) {
        assert_non_null(type_of(rules[i].path));
        assert_ptr_equal(rpc_authz_find(rules[i].path), &rules[i]); /* the first of its name is the only one */
    }
    assert_int_equal(rows, methods);
}

static void every_subject(void **state)
{
    (void)state;
    size_t count;
    const rpc_rule *rules = rpc_authz_rules(&count);
    const struct {
        char letter;
        rpc_principal who;
    } callers[] = {{'?', anonymous}, {'A', admin}, {'C', cluster}, {'N', network}, {'T', tenant}};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sizeof callers / sizeof callers[0]; k++) {
            bool want = strchr(expected(rules[i].path)->subjects, callers[k].letter) != NULL;
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
        if (!by_fields) {
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
    const struct {
        char letter;
        rpc_principal who;
    } callers[] = {{'C', cluster}, {'N', network}, {'T', tenant}};
    for (size_t i = 0; i < count; i++) {
        const expectation *want = expected(rules[i].path);
        for (size_t k = 0; k < sizeof callers / sizeof callers[0]; k++) {
            if (strchr(want->subjects, callers[k].letter) == NULL) {
                continue;
            }
            rpc_principal who = callers[k].who;
            who.rights = want->right >= 0 ? ~(UINT64_C(1) << want->right) : 0;
            assert_int_equal(check(&rules[i], who, OWN_NET, "acme", "").reason,
                             want->right >= 0 ? RPC_MISSING_RIGHT : LPX_REASON_NONE);
            who.rights = ~who.rights;
            assert_int_equal(check(&rules[i], who, OWN_NET, "acme", "").code, LPX_OK);
        }
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
    /* RFC 7617, section 2 */
    lpx_str example = LPX_STR("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_int_equal(rpc_auth_split_basic(example, &f->arena, &user, &password).code, LPX_OK);
    assert_true(lpx_str_is(user, "Aladdin") && lpx_str_is(password, "open sesame"));
    assert_int_equal(rpc_auth_split_basic(LPX_STR("bAsIc  Ojo="), &f->arena, &user, &password).code, LPX_OK); /* "::" */
    assert_true(user.len == 0 && lpx_str_is(password, ":"));
    assert_int_equal(rpc_auth_split_basic(LPX_STR("Basic "), &f->arena, &user, &password).reason, RPC_BASIC_MALFORMED);
    assert_int_equal(rpc_auth_split_basic(LPX_STR("Basic !!"), &f->arena, &user, &password).reason,
                     RPC_BASIC_MALFORMED);
    assert_int_equal(rpc_auth_split_basic(LPX_STR("Basic YWRtaW4="), &f->arena, &user, &password).reason,
                     RPC_BASIC_MALFORMED);
    assert_false(rpc_auth_check_admin(f->snapshot, LPX_STR("nobody"), LPX_STR("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_has_one_row),
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
