/* The catalog and the registry of Join Servers on a real store. */
#include "iam/iam_test_kit.h"

#include <stdio.h>
#include <string.h>

static const rpc_principal with_contacts = {
    .subject = RPC_NETWORK, .net_id = 0x13, .rights = 1 | 1 << 1 | 1 << 12 | 1 << 13, .key_id = "CONTACTCONTACT22"};
static const rpc_principal cluster_with_secrets = {
    .subject = RPC_CLUSTER, .cluster_id = "eu1", .rights = 1 << 6 | 1 << 12, .key_id = "SECRETSECRET2222"};

/* The catalog. */

/* Members: 000013 listed with a block, its tenant ttn listed, its tenant hidden not; 000014 not listed, with a block;
 * 000015 listed without block. */
static void populate(fixture *f)
{
    static const char *const changes[] = {
        "UPDATE networks SET listed = 1, admin_email = 'a@example.com', authority = 'x' WHERE net_id <> 20",
        "UPDATE tenants SET listed = 1 WHERE tenant_id = 'ttn'",
        "INSERT INTO dev_addr_blocks (net_id, tenant_id, position, prefix_value, prefix_length, created_at) "
        "VALUES (19, '', 0, 637534208, 16, 1), (20, '', 0, 671088640, 16, 1), (19, 'ttn', 0, 637599744, 16, 1)",
        "UPDATE networks SET delegated_net_id = 21 WHERE net_id = 19",
    };
    fixture_network(f, 0x13, "First");
    fixture_network(f, 0x14, "Second");
    fixture_network(f, 0x15, "Third");
    fixture_tenant(f, 0x13, "ttn", "The Things");
    fixture_tenant(f, 0x13, "hidden", "Hidden");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        kit_exec(f->k->store, changes[i]);
    }
}

/* What a page shows, as one text: "000013 000013/ttn", then the total. */
static const char *show(fixture *f, const Pb__Iam__V2__ListNetworksResponse *page)
{
    char *out = lpx_arena_get(&f->arena, 4096);
    size_t used = 0;
    for (size_t i = 0; i < page->n_networks; i++) {
        const Pb__V3__NetworkOrTenant *either = page->networks[i];
        if (either->value_case == PB__V3__NETWORK_OR_TENANT__VALUE_NETWORK) {
            used += (size_t)snprintf(out + used, 4096 - used, "%06X ", (unsigned)either->network->net_id);
        } else {
            assert_int_equal(either->value_case, PB__V3__NETWORK_OR_TENANT__VALUE_TENANT);
            used += (size_t)snprintf(out + used, 4096 - used, "%06X/%s ", (unsigned)either->tenant->net_id,
                                     either->tenant->tenant_id);
        }
    }
    snprintf(out + used, 4096 - used, "of %u", (unsigned)page->total);
    return out;
}

static const char *list(fixture *f, const char *method, const Pb__Iam__V2__ListNetworksRequest *request)
{
    return show(f, fixture_ask(f, method, &test_network, request));
}

static void catalog_shows_who_is_listed(void **state)
{
    fixture *f = *state;
    populate(f);
    Pb__Iam__V2__ListNetworksRequest request = PB__IAM__V2__LIST_NETWORKS_REQUEST__INIT;
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), "000013 000013/ttn 000015 of 3");
    assert_string_equal(list(f, CATALOG "ListHomeNetworks", &request), "000013 000013/ttn of 2");
    const Pb__Iam__V2__ListNetworksResponse *page = fixture_ask(f, CATALOG "ListNetworks", &test_network, &request);
    const Pb__V3__Network *first = page->networks[0]->network;
    assert_int_equal(first->n_dev_addr_blocks, 1);
    assert_string_equal(first->name, "First");
    assert_true(first->listed);
    assert_null(first->administrative_contact); /* not even of one's own network */
    assert_null(first->target);
    assert_null(first->delegated_net_id);
    assert_string_equal(first->authority, "");
    assert_int_equal(page->networks[1]->tenant->n_dev_addr_blocks, 1);
    page = fixture_ask(f, CATALOG "ListNetworks", &with_contacts, &request);
    assert_string_equal(page->networks[0]->network->administrative_contact->email, "a@example.com");
    /* Pages and filters. */
    request.limit = 2;
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), "000013 000013/ttn of 3");
    request.offset = 2;
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), "000015 of 3");
    request.offset = request.limit = 0;
    request.tenant_id_contains = fixture_text(f, "TT");
    request.name_contains = fixture_text(f, "third");
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), "000013/ttn 000015 of 2");
    request.limit = 1;
    request.offset = 1;
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), "000015 of 2");
}

static void put_policy(fixture *f, const char *values, int at)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO routing_policies (forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, "
             "home_network_tenant_id, updated_at) VALUES (%s, %d)",
             values, at);
    kit_exec(f->k->store, sql);
}

static void partners_are_shown_unlisted(void **state)
{
    fixture *f = *state;
    populate(f);
    fixture_tenant(f, 0x14, "ttn", "Of second");
    Pb__Iam__V2__ListNetworksRequest request = PB__IAM__V2__LIST_NETWORKS_REQUEST__INIT;
    Pb__Iam__V2__ListNetworksRequest__PolicyReference self = PB__IAM__V2__LIST_NETWORKS_REQUEST__POLICY_REFERENCE__INIT;
    self.net_id = 0x13;
    request.policy_reference = &self;
    const char *listed = "000013 000013/ttn 000015 of 3";
    put_policy(f, "20, '', 1, 0, ''", 1);     /* a default is toward everybody and nobody */
    put_policy(f, "20, '', 0, 21, ''", 2);    /* others among themselves */
    put_policy(f, "20, '', 0, 19, 'ttn'", 3); /* toward a tenant */
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), listed);
    put_policy(f, "19, '', 0, 20, 'ttn'", 4);
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), "000013 000013/ttn 000014/ttn 000015 of 4");
    put_policy(f, "20, '', 0, 19, ''", 5);
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), "000013 000013/ttn 000014 000014/ttn 000015 of 5");
    assert_string_equal(list(f, CATALOG "ListHomeNetworks", &request), "000013 000013/ttn 000014 of 3");
    self.tenant_id = fixture_text(f, "ttn"); /* the policy of 000014 toward the whole network is toward it, too */
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), "000013 000013/ttn 000014 000015 of 4");
    request.policy_reference = NULL;
    assert_string_equal(list(f, CATALOG "ListNetworks", &request), listed);
}

static void callers_name_themselves_alone(void **state)
{
    fixture *f = *state;
    populate(f);
    Pb__Iam__V2__ListNetworksRequest request = PB__IAM__V2__LIST_NETWORKS_REQUEST__INIT;
    Pb__Iam__V2__ListNetworksRequest__PolicyReference partner =
        PB__IAM__V2__LIST_NETWORKS_REQUEST__POLICY_REFERENCE__INIT;
    request.net_id = 0x13;
    request.tenant_id = fixture_text(f, "hidden");
    fixture_ask(f, CATALOG "ListNetworks", &test_network, &request);
    refuse(f, CATALOG "ListNetworks", &test_tenant, &request, RPC_NOT_OWN, "tenant_id must be \"ttn\"");
    request.net_id = 0x14;
    refuse(f, CATALOG "ListHomeNetworks", &test_network, &request, RPC_NOT_OWN, "net_id must be 000013");
    request.net_id = 0x1000000;
    refuse(f, CATALOG "ListNetworks", &test_admin, &request, LW_NETID_INVALID, "net_id");
    request.net_id = 0;
    request.tenant_id = fixture_text(f, "");
    request.policy_reference = &partner;
    partner.net_id = 0x14;
    refuse(f, CATALOG "ListNetworks", &test_network, &request, RPC_NOT_OWN, "policy_reference.net_id must be 000013");
    fixture_ask(f, CATALOG "ListNetworks", &test_cluster, &request);
    partner.net_id = 0x13;
    refuse(f, CATALOG "ListNetworks", &test_tenant, &request, RPC_NOT_OWN, "policy_reference.tenant_id");
    Pb__Iam__V2__ListJoinServersRequest servers = PB__IAM__V2__LIST_JOIN_SERVERS_REQUEST__INIT;
    servers.net_id = 0x14;
    refuse(f, CATALOG "ListJoinServers", &test_network, &servers, RPC_NOT_OWN, "net_id must be 000013");
}

/* Join Servers. */

static Pb__V3__JoinEUIPrefix **prefixes(fixture *f, const uint64_t *values, const uint32_t *lengths, size_t count)
{
    Pb__V3__JoinEUIPrefix **made = lpx_arena_array(&f->arena, count, sizeof *made);
    for (size_t i = 0; i < count; i++) {
        made[i] = lpx_arena_get(&f->arena, sizeof *made[i]);
        pb__v3__join_euiprefix__init(made[i]);
        made[i]->value = values[i];
        made[i]->length = lengths[i];
    }
    return made;
}

/* A server with two prefixes (one given twice, one with bits behind its length) and a lookup target with a secret. */
static const Pb__V3__JoinServer *create(fixture *f, const char *name, bool listed)
{
    static const uint64_t values[] = {0xEC656E00000000FF, 0xFFFFFFFFFFFFFFFF, 0xEC656E0000000000};
    static const uint32_t lengths[] = {24, 64, 24};
    Pb__V3__JoinServer server = PB__V3__JOIN_SERVER__INIT;
    Pb__V3__Target target = PB__V3__TARGET__INIT;
    Pb__V3__Target__CustomAuth auth = PB__V3__TARGET__CUSTOM_AUTH__INIT;
    Pb__V3__ContactInfo contact = PB__V3__CONTACT_INFO__INIT;
    Pb__Iam__V2__CreateJoinServerRequest request = PB__IAM__V2__CREATE_JOIN_SERVER_REQUEST__INIT;
    server.name = fixture_text(f, name);
    server.listed = listed;
    server.n_join_eui_prefixes = 3;
    server.join_eui_prefixes = prefixes(f, values, lengths, 3);
    server.administrative_contact = &contact;
    contact.email = fixture_text(f, "js@example.com");
    server.resolver_case = PB__V3__JOIN_SERVER__RESOLVER_LOOKUP;
    server.lookup = &target;
    target.protocol = PB__V3__PROTOCOL__TS002_V1_1;
    target.address = fixture_text(f, "https://js.example.com");
    target.default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION_CUSTOM_AUTH;
    target.custom_auth = &auth;
    auth.value = fixture_text(f, "Bearer secret");
    request.join_server = &server;
    const Pb__Iam__V2__CreateJoinServerResponse *reply =
        fixture_ask(f, JOIN_SERVERS "CreateJoinServer", &test_admin, &request);
    return reply->join_server;
}

static const Pb__V3__JoinServer *get(fixture *f, uint32_t id)
{
    Pb__Iam__V2__JoinServerRequest request = PB__IAM__V2__JOIN_SERVER_REQUEST__INIT;
    request.id = id;
    const Pb__Iam__V2__GetJoinServerResponse *reply =
        fixture_ask(f, JOIN_SERVERS "GetJoinServer", &test_admin, &request);
    return reply->join_server;
}

static void remove_server(fixture *f, uint32_t id)
{
    Pb__Iam__V2__JoinServerRequest request = PB__IAM__V2__JOIN_SERVER_REQUEST__INIT;
    request.id = id;
    fixture_ask(f, JOIN_SERVERS "DeleteJoinServer", &test_admin, &request);
    refuse(f, JOIN_SERVERS "DeleteJoinServer", &test_admin, &request, IAM_JOIN_SERVER_UNKNOWN, "no Join Server");
    refuse(f, JOIN_SERVERS "GetJoinServer", &test_admin, &request, IAM_JOIN_SERVER_UNKNOWN, "no Join Server");
}

static void join_servers_are_made_and_read(void **state)
{
    fixture *f = *state;
    const Pb__V3__JoinServer *made = create(f, "First", true);
    assert_int_equal(made->id, 1);
    const Pb__V3__JoinServer *got = get(f, 1);
    assert_string_equal(got->name, "First");
    assert_string_equal(got->administrative_contact->email, "js@example.com");
    assert_null(got->technical_contact);
    assert_int_equal(got->n_join_eui_prefixes, 2);
    assert_true(got->join_eui_prefixes[0]->value == 0xEC656E0000000000);
    assert_int_equal(got->join_eui_prefixes[0]->length, 24);
    assert_true(got->join_eui_prefixes[1]->value == 0xFFFFFFFFFFFFFFFF);
    assert_int_equal(got->resolver_case, PB__V3__JOIN_SERVER__RESOLVER_LOOKUP);
    assert_string_equal(got->lookup->custom_auth->value, "Bearer secret");
}

static void ids_are_never_given_twice(void **state)
{
    fixture *f = *state;
    assert_int_equal(create(f, "a", true)->id, 1);
    assert_int_equal(create(f, "b", true)->id, 2);
    remove_server(f, 2);
    assert_int_equal(create(f, "c", true)->id, 3);
    remove_server(f, 1);
    remove_server(f, 3);
    assert_int_equal(create(f, "d", true)->id, 4);
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM join_eui_prefixes"), 2);
}

static void updates_change_what_they_name(void **state)
{
    fixture *f = *state;
    (void)create(f, "First", true);
    Pb__Iam__V2__UpdateJoinServerRequest update = PB__IAM__V2__UPDATE_JOIN_SERVER_REQUEST__INIT;
    update.id = 1;
    fixture_ask(f, JOIN_SERVERS "UpdateJoinServer", &test_admin, &update); /* clients send it with nothing set */
    assert_string_equal(get(f, 1)->name, "First");
    assert_int_equal(get(f, 1)->n_join_eui_prefixes, 2);
    Google__Protobuf__StringValue name = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    Google__Protobuf__BoolValue listed = GOOGLE__PROTOBUF__BOOL_VALUE__INIT;
    Pb__V3__ContactInfoValue contact = PB__V3__CONTACT_INFO_VALUE__INIT;
    Pb__Iam__V2__JoinEUIPrefixesValue none = PB__IAM__V2__JOIN_EUIPREFIXES_VALUE__INIT;
    Pb__V3__JoinServerFixedEndpoint fixed = PB__V3__JOIN_SERVER_FIXED_ENDPOINT__INIT;
    name.value = fixture_text(f, "Renamed");
    update.name = &name;
    update.listed = &listed;
    update.administrative_contact = &contact;
    update.join_eui_prefixes = &none;
    update.resolver_case = PB__IAM__V2__UPDATE_JOIN_SERVER_REQUEST__RESOLVER_FIXED;
    update.fixed = &fixed;
    fixed.net_id = 0x13;
    fixed.tenant_id = fixture_text(f, "ttn");
    fixed.cluster_id = fixture_text(f, "eu1");
    fixture_ask(f, JOIN_SERVERS "UpdateJoinServer", &test_admin, &update);
    const Pb__V3__JoinServer *got = get(f, 1);
    assert_string_equal(got->name, "Renamed");
    assert_false(got->listed);
    assert_null(got->administrative_contact);
    assert_int_equal(got->n_join_eui_prefixes, 0);
    assert_int_equal(got->resolver_case, PB__V3__JOIN_SERVER__RESOLVER_FIXED);
    assert_int_equal(got->fixed->net_id, 0x13);
    assert_string_equal(got->fixed->tenant_id, "ttn");
    assert_string_equal(got->fixed->cluster_id, "eu1");
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM join_servers WHERE lookup IS NULL"), 1);
    update.id = 2;
    refuse(f, JOIN_SERVERS "UpdateJoinServer", &test_admin, &update, IAM_JOIN_SERVER_UNKNOWN, "no Join Server 2");
}

static void bad_join_servers_are_refused(void **state)
{
    fixture *f = *state;
    static const uint64_t values[] = {1};
    static const uint32_t lengths[] = {65};
    Pb__Iam__V2__CreateJoinServerRequest request = PB__IAM__V2__CREATE_JOIN_SERVER_REQUEST__INIT;
    Pb__V3__JoinServer server = PB__V3__JOIN_SERVER__INIT;
    Pb__V3__JoinServerFixedEndpoint fixed = PB__V3__JOIN_SERVER_FIXED_ENDPOINT__INIT;
    Pb__V3__Target target = PB__V3__TARGET__INIT;
    const char *method = JOIN_SERVERS "CreateJoinServer";
    refuse(f, method, &test_admin, &request, IAM_MISSING_FIELD, "join_server is missing");
    request.join_server = &server;
    server.id = 7;
    refuse(f, method, &test_admin, &request, IAM_BAD_JOIN_SERVER_ID, "join_server.id is 7; it must be 0");
    server.id = 0;
    server.n_join_eui_prefixes = 1;
    server.join_eui_prefixes = prefixes(f, values, lengths, 1);
    refuse(f, method, &test_admin, &request, IAM_BAD_PREFIX, "join_server.join_eui_prefixes[0].length is 65");
    server.n_join_eui_prefixes = 0;
    server.resolver_case = PB__V3__JOIN_SERVER__RESOLVER_FIXED;
    server.fixed = &fixed;
    fixed.net_id = 0x13;
    fixed.tenant_id = fixture_text(f, "X");
    refuse(f, method, &test_admin, &request, IAM_BAD_RESOLVER, "join_server.fixed.tenant_id");
    fixed.tenant_id = fixture_text(f, "");
    fixed.cluster_id = fixture_text(f, "X");
    refuse(f, method, &test_admin, &request, IAM_BAD_RESOLVER, "join_server.fixed.cluster_id");
    server.resolver_case = PB__V3__JOIN_SERVER__RESOLVER_LOOKUP;
    server.lookup = &target;
    target.address = fixture_text(f, "js.example.com");
    refuse(f, method, &test_admin, &request, IAM_BAD_TARGET, "join_server.lookup.address");
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM join_servers"), 0);
    assert_int_equal(kit_int(f->k->store, "SELECT COUNT(*) FROM settings WHERE name = 'join_server_next_id'"), 0);
}

static void lists_of_join_servers_hide_what_is_secret(void **state)
{
    fixture *f = *state;
    (void)create(f, "Alpha", true);
    (void)create(f, "Beta", false);
    (void)create(f, "alphabet", true);
    Pb__Iam__V2__ListJoinServersRequest request = PB__IAM__V2__LIST_JOIN_SERVERS_REQUEST__INIT;
    const Pb__Iam__V2__ListJoinServersResponse *page;
    page = fixture_ask(f, JOIN_SERVERS "ListJoinServers", &test_cluster, &request);
    assert_int_equal(page->n_join_servers, 3);
    assert_int_equal(page->total, 3);
    assert_string_equal(page->join_servers[0]->lookup->address, "https://js.example.com");
    assert_int_equal(page->join_servers[0]->lookup->default_authentication_case, 0);
    assert_null(page->join_servers[0]->administrative_contact);
    page = fixture_ask(f, JOIN_SERVERS "ListJoinServers", &cluster_with_secrets, &request);
    assert_string_equal(page->join_servers[2]->lookup->custom_auth->value, "Bearer secret");
    page = fixture_ask(f, CATALOG "ListJoinServers", &test_network, &request);
    assert_int_equal(page->n_join_servers, 2);
    assert_int_equal(page->join_servers[0]->resolver_case, 0);
    assert_int_equal(page->join_servers[0]->n_join_eui_prefixes, 2);
    assert_null(page->join_servers[0]->administrative_contact);
    page = fixture_ask(f, CATALOG "ListJoinServers", &with_contacts, &request);
    assert_string_equal(page->join_servers[0]->administrative_contact->email, "js@example.com");
    request.name_contains = fixture_text(f, "ALPHA");
    request.limit = 1;
    request.offset = 1;
    page = fixture_ask(f, JOIN_SERVERS "ListJoinServers", &test_admin, &request);
    assert_int_equal(page->n_join_servers, 1);
    assert_int_equal(page->total, 2);
    assert_int_equal(page->join_servers[0]->id, 3);
}

int iam_catalog_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(catalog_shows_who_is_listed),   CASE(partners_are_shown_unlisted),
        CASE(callers_name_themselves_alone), CASE(join_servers_are_made_and_read),
        CASE(ids_are_never_given_twice),     CASE(updates_change_what_they_name),
        CASE(bad_join_servers_are_refused),  CASE(lists_of_join_servers_hide_what_is_secret),
    };
    return cmocka_run_group_tests_name("iam_catalog", tests, NULL, NULL);
}
