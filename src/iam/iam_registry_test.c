/* NetworkRegistry and TenantRegistry on a real store. */
#include "iam/iam_test_kit.h"

#include <stdio.h>
#include <string.h>

/* Requests. */

static Pb__Iam__V1__NetworkRequest network_id(uint32_t net_id)
{
    Pb__Iam__V1__NetworkRequest request = PB__IAM__V1__NETWORK_REQUEST__INIT;
    request.net_id = net_id;
    return request;
}

static Pb__Iam__V1__TenantRequest tenant_id(fixture *f, uint32_t net_id, const char *id)
{
    Pb__Iam__V1__TenantRequest request = PB__IAM__V1__TENANT_REQUEST__INIT;
    request.net_id = net_id;
    request.tenant_id = fixture_text(f, id);
    return request;
}

static const Pb__V3__Network *get_network(fixture *f, const rpc_principal *who, uint32_t net_id)
{
    Pb__Iam__V1__NetworkRequest request = network_id(net_id);
    const Pb__Iam__V1__GetNetworkResponse *reply = fixture_ask(f, NETWORKS "GetNetwork", who, &request);
    assert_non_null(reply->network);
    return reply->network;
}

static const Pb__V3__Tenant *get_tenant(fixture *f, const rpc_principal *who, uint32_t net_id, const char *id)
{
    Pb__Iam__V1__TenantRequest request = tenant_id(f, net_id, id);
    const Pb__Iam__V1__GetTenantResponse *reply = fixture_ask(f, TENANTS "GetTenant", who, &request);
    assert_non_null(reply->tenant);
    return reply->tenant;
}

static Pb__V3__ContactInfo *contact(fixture *f, const char *email)
{
    Pb__V3__ContactInfo *info = lpx_arena_get(&f->arena, sizeof *info);
    pb__v3__contact_info__init(info);
    info->email = fixture_text(f, email);
    return info;
}

static Pb__V3__Target *target(fixture *f)
{
    Pb__V3__Target *t = lpx_arena_get(&f->arena, sizeof *t);
    Pb__V3__Target__BasicAuth *basic = lpx_arena_get(&f->arena, sizeof *basic);
    pb__v3__target__init(t);
    pb__v3__target__basic_auth__init(basic);
    basic->username = fixture_text(f, "user");
    basic->password = fixture_text(f, "secret");
    t->protocol = PB__V3__PROTOCOL__TS002_V1_1;
    t->address = fixture_text(f, "https://ns.example.com");
    t->default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION_BASIC_AUTH;
    t->basic_auth = basic;
    return t;
}

static Pb__V3__Network full_network(fixture *f)
{
    Pb__V3__Network n = PB__V3__NETWORK__INIT;
    n.net_id = 0x13;
    n.name = fixture_text(f, "The Network");
    n.dev_addr_blocks =
        fixture_blocks(f, (const uint32_t[]){0x26AA0000, 16, 0x20000000, 4, 0, 0}, &n.n_dev_addr_blocks);
    n.administrative_contact = contact(f, "admin@example.com");
    n.technical_contact = contact(f, "tech@example.com");
    n.listed = true;
    n.target = target(f);
    return n;
}

static void assert_full_network(const Pb__V3__Network *n)
{
    assert_int_equal(n->net_id, 0x13);
    assert_string_equal(n->name, "The Network");
    assert_string_equal(n->authority, "");
    assert_int_equal(n->n_dev_addr_blocks, 2);
    assert_int_equal(n->dev_addr_blocks[0]->prefix->value, 0x26AA0000);
    assert_int_equal(n->dev_addr_blocks[0]->prefix->length, 16);
    assert_string_equal(n->dev_addr_blocks[0]->home_network_cluster_id, "eu1");
    assert_int_equal(n->dev_addr_blocks[1]->prefix->value, 0x26000000); /* clipped */
    assert_int_equal(n->dev_addr_blocks[1]->prefix->length, 7);
    assert_string_equal(n->administrative_contact->email, "admin@example.com");
    assert_string_equal(n->technical_contact->email, "tech@example.com");
    assert_true(n->listed);
    assert_int_equal(n->target->protocol, PB__V3__PROTOCOL__TS002_V1_1);
    assert_string_equal(n->target->basic_auth->password, "secret");
    assert_null(n->delegated_net_id);
    assert_int_equal(n->n_represents_net_ids, 0);
}

/* Networks. */

static void network_is_made_once_and_read_whole(void **state)
{
    fixture *f = *state;
    Pb__V3__Network network = full_network(f);
    Pb__Iam__V1__CreateNetworkRequest request = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    request.network = &network;
    const Pb__Iam__V1__CreateNetworkResponse *reply = fixture_ask(f, NETWORKS "CreateNetwork", &test_admin, &request);
    assert_full_network(reply->network);
    assert_full_network(get_network(f, &test_admin, 0x13));
    refuse(f, NETWORKS "CreateNetwork", &test_admin, &request, IAM_NETWORK_EXISTS,
           "Network 000013 is registered already.");
    Pb__Iam__V1__NetworkRequest unknown = network_id(0x14);
    refuse(f, NETWORKS "GetNetwork", &test_admin, &unknown, IAM_NETWORK_UNKNOWN, "Network 000014 is not registered.");
    unknown.net_id = 0xFFFFFFFF;
    refuse(f, NETWORKS "GetNetwork", &test_admin, &unknown, LW_NETID_INVALID, "net_id");
}

static void bad_networks_are_refused(void **state)
{
    fixture *f = *state;
    Pb__Iam__V1__CreateNetworkRequest request = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    Pb__V3__Network network = PB__V3__NETWORK__INIT;
    refuse(f, NETWORKS "CreateNetwork", &test_admin, &request, IAM_MISSING_FIELD, "network is missing.");
    request.network = &network;
    refuse(f, NETWORKS "CreateNetwork", &test_admin, &request, IAM_BAD_NET_ID, "network.net_id");
    network.net_id = 0xE00061;
    refuse(f, NETWORKS "CreateNetwork", &test_admin, &request, LW_NETID_INVALID, "network.net_id");
    network.net_id = 0x13;
    network.authority = fixture_text(f, "ttnr");
    refuse(f, NETWORKS "CreateNetwork", &test_admin, &request, IAM_AUTHORITY_SET, "network.authority");
    network.authority = fixture_text(f, "");
    network.dev_addr_blocks = fixture_blocks(f, (const uint32_t[]){0x40000000, 16, 0, 0}, &network.n_dev_addr_blocks);
    refuse(f, NETWORKS "CreateNetwork", &test_admin, &request, IAM_BAD_BLOCK, "40000000/16");
    network.n_dev_addr_blocks = 0;
    network.target = target(f);
    network.target->protocol = PB__V3__PROTOCOL__GRPC;
    refuse(f, NETWORKS "CreateNetwork", &test_admin, &request, IAM_BAD_TARGET, "network.target.protocol");
    Pb__Iam__V1__NetworkRequest id = network_id(0x13);
    refuse(f, NETWORKS "GetNetwork", &test_admin, &id, IAM_NETWORK_UNKNOWN, "000013");
}

static void private_networks_need_the_setting(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0, "Home");
    fixture_network(f, 1, "Lab");
    assert_string_equal(get_network(f, &test_admin, 0)->name, "Home");
    fixture_tenant(f, 0, "ttn", "Tenant");
    assert_string_equal(get_tenant(f, &test_admin, 0, "ttn")->name, "Tenant");
}

/* One wrapper at a time; all else stays. */
static void network_updates_follow_the_wrappers(void **state)
{
    fixture *f = *state;
    Pb__V3__Network network = full_network(f);
    Pb__Iam__V1__CreateNetworkRequest create = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    create.network = &network;
    fixture_ask(f, NETWORKS "CreateNetwork", &test_admin, &create);
    Pb__Iam__V1__UpdateNetworkRequest nothing = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    nothing.net_id = 0x13;
    fixture_ask(f, NETWORKS "UpdateNetwork", &test_admin, &nothing);
    assert_full_network(get_network(f, &test_admin, 0x13));

    Pb__Iam__V1__UpdateNetworkRequest update = nothing;
    Google__Protobuf__StringValue name = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    name.value = fixture_text(f, "Renamed");
    update.name = &name;
    fixture_ask(f, NETWORKS "UpdateNetwork", &test_admin, &update);
    const Pb__V3__Network *now = get_network(f, &test_admin, 0x13);
    assert_string_equal(now->name, "Renamed");
    assert_int_equal(now->n_dev_addr_blocks, 2);
    assert_non_null(now->target);
    assert_true(now->listed);

    update = nothing;
    Pb__Iam__V1__DevAddrBlocksValue blocks = PB__IAM__V1__DEV_ADDR_BLOCKS_VALUE__INIT;
    blocks.value = fixture_blocks(f, (const uint32_t[]){0x27000000, 8, 0, 0}, &blocks.n_value);
    update.dev_addr_blocks = &blocks;
    fixture_ask(f, NETWORKS "UpdateNetwork", &test_admin, &update);
    now = get_network(f, &test_admin, 0x13);
    assert_int_equal(now->n_dev_addr_blocks, 1);
    assert_int_equal(now->dev_addr_blocks[0]->prefix->value, 0x27000000);
    blocks.n_value = 0;
    fixture_ask(f, NETWORKS "UpdateNetwork", &test_admin, &update);
    assert_int_equal(get_network(f, &test_admin, 0x13)->n_dev_addr_blocks, 0);
    nothing.net_id = 0x14;
    refuse(f, NETWORKS "UpdateNetwork", &test_admin, &nothing, IAM_NETWORK_UNKNOWN, "000014");
}

static void network_updates_clear(void **state)
{
    fixture *f = *state;
    Pb__V3__Network network = full_network(f);
    Pb__Iam__V1__CreateNetworkRequest create = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    create.network = &network;
    fixture_ask(f, NETWORKS "CreateNetwork", &test_admin, &create);
    fixture_network(f, 0x14, "Representative");
    Pb__Iam__V1__UpdateNetworkRequest update = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    Pb__V3__ContactInfoValue no_contact = PB__V3__CONTACT_INFO_VALUE__INIT;
    Pb__Iam__V1__TargetValue no_target = PB__IAM__V1__TARGET_VALUE__INIT;
    Google__Protobuf__BoolValue no = GOOGLE__PROTOBUF__BOOL_VALUE__INIT;
    Pb__Iam__V1__UpdateNetworkRequest__DelegatedNetID delegated =
        PB__IAM__V1__UPDATE_NETWORK_REQUEST__DELEGATED_NET_ID__INIT;
    Google__Protobuf__UInt32Value to = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    update.net_id = 0x13;
    update.administrative_contact = &no_contact;
    update.target = &no_target;
    update.listed = &no;
    update.delegated_net_id = &delegated;
    delegated.value = &to;
    to.value = 0x14;
    fixture_ask(f, NETWORKS "UpdateNetwork", &test_admin, &update);
    const Pb__V3__Network *now = get_network(f, &test_admin, 0x13);
    assert_null(now->administrative_contact);
    assert_string_equal(now->technical_contact->email, "tech@example.com");
    assert_null(now->target);
    assert_false(now->listed);
    assert_int_equal(now->delegated_net_id->value, 0x14);
    delegated.value = NULL;
    fixture_ask(f, NETWORKS "UpdateNetwork", &test_admin, &update);
    assert_null(get_network(f, &test_admin, 0x13)->delegated_net_id);
}

static void failed_update_changes_nothing(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0x13, "Before");
    Pb__Iam__V1__UpdateNetworkRequest update = PB__IAM__V1__UPDATE_NETWORK_REQUEST__INIT;
    Google__Protobuf__StringValue name = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    Pb__Iam__V1__DevAddrBlocksValue blocks = PB__IAM__V1__DEV_ADDR_BLOCKS_VALUE__INIT;
    name.value = fixture_text(f, "After");
    blocks.value = fixture_blocks(f, (const uint32_t[]){0x40000000, 16, 0, 0}, &blocks.n_value);
    update.net_id = 0x13;
    update.name = &name;
    update.dev_addr_blocks = &blocks;
    refuse(f, NETWORKS "UpdateNetwork", &test_admin, &update, IAM_BAD_BLOCK, "dev_addr_blocks[0]");
    assert_string_equal(get_network(f, &test_admin, 0x13)->name, "Before");
}

static void listed_is_set_alone(void **state)
{
    fixture *f = *state;
    fixture_network(f, 0x13, "N");
    fixture_tenant(f, 0x13, "ttn", "T");
    Pb__Iam__V1__UpdateNetworkListedRequest n = PB__IAM__V1__UPDATE_NETWORK_LISTED_REQUEST__INIT;
    Pb__Iam__V1__UpdateTenantListedRequest t = PB__IAM__V1__UPDATE_TENANT_LISTED_REQUEST__INIT;
    n.net_id = t.net_id = 0x13;
    t.tenant_id = fixture_text(f, "ttn");
    for (int i = 0; i < 4; i++) {
        n.listed = t.listed = i < 2; /* twice each way */
        fixture_ask(f, NETWORKS "UpdateNetworkListed", &test_network, &n);
        fixture_ask(f, TENANTS "UpdateTenantListed", &test_tenant, &t);
        assert_int_equal(get_network(f, &test_admin, 0x13)->listed, i < 2);
        assert_int_equal(get_tenant(f, &test_admin, 0x13, "ttn")->listed, i < 2);
    }
    n.net_id = t.net_id = 0x14;
    refuse(f, NETWORKS "UpdateNetworkListed", &test_admin, &n, IAM_NETWORK_UNKNOWN, "000014");
    refuse(f, TENANTS "UpdateTenantListed", &test_admin, &t, IAM_TENANT_UNKNOWN, "Tenant ttn of network 000014");
}

/* Lists. */

static const Pb__Iam__V1__ListNetworksResponse *list_networks(fixture *f, const rpc_principal *who, uint32_t offset,
                                                              uint32_t limit, const char *name)
{
    Pb__Iam__V1__ListNetworksRequest request = PB__IAM__V1__LIST_NETWORKS_REQUEST__INIT;
    request.offset = offset;
    request.limit = limit;
    request.name_contains = fixture_text(f, name);
    return fixture_ask(f, NETWORKS "ListNetworks", who, &request);
}

static void networks_are_listed_by_pages(void **state)
{
    fixture *f = *state;
    for (uint32_t i = 0; i < 105; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s %u", i % 10 == 0 ? "ACME" : "other", i);
        fixture_network(f, 0x200000 + (i * 37) % 105, name); /* not in order */
    }
    const Pb__Iam__V1__ListNetworksResponse *page = list_networks(f, &test_admin, 0, 0, "");
    assert_int_equal(page->n_networks, 100);
    assert_int_equal(page->total, 105);
    for (size_t i = 0; i < page->n_networks; i++) {
        assert_int_equal(page->networks[i]->net_id, 0x200000 + i);
    }
    page = list_networks(f, &test_cluster, 100, 0, "");
    assert_int_equal(page->n_networks, 5);
    assert_int_equal(page->total, 105);
    assert_int_equal(page->networks[0]->net_id, 0x200000 + 100);
    page = list_networks(f, &test_admin, 105, 10, "");
    assert_int_equal(page->n_networks, 0);
    assert_int_equal(page->total, 105);
    page = list_networks(f, &test_admin, 0, UINT32_MAX, "");
    assert_int_equal(page->n_networks, 105);

    page = list_networks(f, &test_admin, 0, 4, "acme");
    assert_int_equal(page->n_networks, 4);
    assert_int_equal(page->total, 11);
    uint32_t last = page->networks[3]->net_id;
    page = list_networks(f, &test_admin, 4, 100, "aCmE");
    assert_int_equal(page->n_networks, 7);
    assert_int_equal(page->total, 11);
    assert_true(page->networks[0]->net_id > last);
    page = list_networks(f, &test_admin, 0, 0, "nobody");
    assert_int_equal(page->n_networks, 0);
    assert_int_equal(page->total, 0);
}

static void lists_carry_blocks_and_hide_contacts(void **state)
{
    fixture *f = *state;
    Pb__V3__Network network = full_network(f);
    Pb__Iam__V1__CreateNetworkRequest create = PB__IAM__V1__CREATE_NETWORK_REQUEST__INIT;
    create.network = &network;
    fixture_network(f, 0x12, "before");
    fixture_ask(f, NETWORKS "CreateNetwork", &test_admin, &create);
    fixture_network(f, 0x14, "after");
    assert_full_network(list_networks(f, &test_admin, 0, 0, "")->networks[1]);
    const Pb__Iam__V1__ListNetworksResponse *page = list_networks(f, &test_cluster, 0, 0, "");
    assert_int_equal(page->networks[0]->n_dev_addr_blocks, 0);
    assert_int_equal(page->networks[1]->n_dev_addr_blocks, 2);
    assert_int_equal(page->networks[2]->n_dev_addr_blocks, 0);
    assert_null(page->networks[1]->administrative_contact);
    assert_int_equal(page->networks[1]->target->default_authentication_case, 0);
    rpc_principal cluster = test_cluster;
    cluster.rights |= 1 << 1 | 1 << 6;
    assert_full_network(list_networks(f, &cluster, 1, 1, "")->networks[0]);
    /* A network sees itself, with contacts. */
    page = list_networks(f, &test_network, 0, 0, "");
    assert_int_equal(page->total, 1);
    assert_int_equal(page->networks[0]->net_id, 0x13);
    assert_string_equal(page->networks[0]->technical_contact->email, "tech@example.com");
    assert_int_equal(page->networks[0]->target->default_authentication_case, 0);
    assert_int_equal(list_networks(f, &test_network, 0, 0, "after")->total, 0);
    assert_int_equal(list_networks(f, &test_network, 1, 0, "")->n_networks, 0);
}

static const Pb__Iam__V1__ListTenantsResponse *list_tenants(fixture *f, uint32_t offset, uint32_t limit, const char *id,
                                                            const char *name)
{
    Pb__Iam__V1__ListTenantsRequest request = PB__IAM__V1__LIST_TENANTS_REQUEST__INIT;
    request.net_id = 0x13;
    request.offset = offset;
    request.limit = limit;
    request.tenant_id_contains = fixture_text(f, id);
    request.name_contains = fixture_text(f, name);
    return fixture_ask(f, TENANTS "ListTenants", &test_network, &request);
}

static void tenants_are_listed_by_pages(void **state)
{
    fixture *f = *state;
    static const char *const ids[] = {"zeta", "alpha", "mid-1", "mid-2", "beta"};
    fixture_network(f, 0x13, "N");
    fixture_network(f, 0x14, "M");
    fixture_tenant(f, 0x14, "alpha", "Other network's");
    for (size_t i = 0; i < 5; i++) {
        fixture_tenant(f, 0x13, ids[i], i < 2 ? "Big Corp" : "Small");
    }
    const Pb__Iam__V1__ListTenantsResponse *page = list_tenants(f, 0, 0, "", "");
    assert_int_equal(page->total, 5);
    assert_string_equal(page->tenants[0]->tenant_id, "alpha");
    assert_string_equal(page->tenants[1]->tenant_id, "beta");
    assert_string_equal(page->tenants[4]->tenant_id, "zeta");
    page = list_tenants(f, 2, 2, "", "");
    assert_int_equal(page->n_tenants, 2);
    assert_string_equal(page->tenants[0]->tenant_id, "mid-1");
    assert_int_equal(list_tenants(f, 0, 0, "mid", "")->total, 2);
    assert_int_equal(list_tenants(f, 0, 0, "", "big")->total, 2);
    page = list_tenants(f, 1, 2, "mid", "BIG");
    assert_int_equal(page->total, 4); /* either */
    assert_int_equal(page->n_tenants, 2);
    assert_string_equal(page->tenants[0]->tenant_id, "mid-1");
    assert_int_equal(list_tenants(f, 0, 0, "nothing", "nobody")->total, 0);
}

/* Tenants. */

static Pb__V3__Tenant full_tenant(fixture *f)
{
    Pb__V3__Tenant t = PB__V3__TENANT__INIT;
    t.net_id = 0x13;
    t.tenant_id = fixture_text(f, "ttn");
    t.name = fixture_text(f, "The Tenant");
    t.dev_addr_blocks = fixture_blocks(f, (const uint32_t[]){0x26BB0000, 16, 0, 0}, &t.n_dev_addr_blocks);
    t.administrative_contact = contact(f, "admin@example.com");
    t.listed = true;
    t.target = target(f);
    return t;
}

static void make_full_tenant(fixture *f)
{
    Pb__V3__Tenant tenant = full_tenant(f);
    Pb__Iam__V1__CreateTenantRequest create = PB__IAM__V1__CREATE_TENANT_REQUEST__INIT;
    create.tenant = &tenant;
    fixture_network(f, 0x13, "N");
    fixture_ask(f, TENANTS "CreateTenant", &test_network, &create);
}

static void tenant_is_made_once_and_read_whole(void **state)
{
    fixture *f = *state;
    Pb__V3__Tenant tenant = full_tenant(f);
    Pb__Iam__V1__CreateTenantRequest create = PB__IAM__V1__CREATE_TENANT_REQUEST__INIT;
    create.tenant = &tenant;
    refuse(f, TENANTS "CreateTenant", &test_network, &create, IAM_NETWORK_UNKNOWN, "Network 000013 is not registered.");
    fixture_network(f, 0x13, "N");
    const Pb__Iam__V1__CreateTenantResponse *reply = fixture_ask(f, TENANTS "CreateTenant", &test_network, &create);
    assert_string_equal(reply->tenant->tenant_id, "ttn");
    assert_string_equal(reply->tenant->name, "The Tenant");
    const Pb__V3__Tenant *now = get_tenant(f, &test_admin, 0x13, "ttn");
    assert_int_equal(now->net_id, 0x13);
    assert_int_equal(now->n_dev_addr_blocks, 1);
    assert_string_equal(now->administrative_contact->email, "admin@example.com");
    assert_string_equal(now->target->basic_auth->password, "secret");
    assert_true(now->listed);
    now = get_tenant(f, &test_tenant, 0x13, "ttn");
    assert_string_equal(now->administrative_contact->email, "admin@example.com");
    assert_int_equal(now->target->default_authentication_case, 0);
    assert_null(get_tenant(f, &test_cluster, 0x13, "ttn")->administrative_contact);
    refuse(f, TENANTS "CreateTenant", &test_network, &create, IAM_TENANT_EXISTS, "Tenant ttn of network 000013");
    /* The tenant's blocks are not the network's. */
    assert_int_equal(get_network(f, &test_admin, 0x13)->n_dev_addr_blocks, 0);
}

static void bad_tenants_are_refused(void **state)
{
    fixture *f = *state;
    Pb__V3__Tenant tenant = PB__V3__TENANT__INIT;
    Pb__Iam__V1__CreateTenantRequest create = PB__IAM__V1__CREATE_TENANT_REQUEST__INIT;
    fixture_network(f, 0x13, "N");
    refuse(f, TENANTS "CreateTenant", &test_admin, &create, IAM_MISSING_FIELD, "tenant is missing.");
    create.tenant = &tenant;
    tenant.net_id = 0x13;
    refuse(f, TENANTS "CreateTenant", &test_admin, &create, IAM_MISSING_FIELD, "tenant.tenant_id");
    tenant.tenant_id = fixture_text(f, "No");
    refuse(f, TENANTS "CreateTenant", &test_admin, &create, LW_TENANT_ID_INVALID, "tenant.tenant_id");
    tenant.tenant_id = fixture_text(f, "ttn");
    tenant.authority = fixture_text(f, "ttnr");
    refuse(f, TENANTS "CreateTenant", &test_admin, &create, IAM_AUTHORITY_SET, "tenant.authority");
    Pb__Iam__V1__TenantRequest id = tenant_id(f, 0x13, "ttn");
    refuse(f, TENANTS "GetTenant", &test_tenant, &id, IAM_TENANT_UNKNOWN,
           "Tenant ttn of network 000013 is not registered.");
    refuse(f, TENANTS "DeleteTenant", &test_tenant, &id, IAM_TENANT_UNKNOWN, "ttn");
    id = tenant_id(f, 0x13, "");
    refuse(f, TENANTS "GetTenant", &test_admin, &id, IAM_MISSING_FIELD, "tenant_id");
    refuse(f, TENANTS "DeleteTenant", &test_admin, &id, IAM_MISSING_FIELD, "tenant_id");
    assert_string_equal(get_network(f, &test_admin, 0x13)->name, "N");
}

/* As a network server's registration does it: listed always, the rest unless an authority manages the tenant. */
static void tenant_updates_itself(void **state)
{
    fixture *f = *state;
    make_full_tenant(f);
    Pb__Iam__V1__UpdateTenantRequest update = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    Google__Protobuf__StringValue name = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    Google__Protobuf__BoolValue listed = GOOGLE__PROTOBUF__BOOL_VALUE__INIT;
    Pb__V3__ContactInfoValue admin = PB__V3__CONTACT_INFO_VALUE__INIT;
    Pb__V3__ContactInfoValue tech = PB__V3__CONTACT_INFO_VALUE__INIT;
    Pb__Iam__V1__DevAddrBlocksValue blocks = PB__IAM__V1__DEV_ADDR_BLOCKS_VALUE__INIT;
    Pb__Iam__V1__TargetValue no_target = PB__IAM__V1__TARGET_VALUE__INIT;
    update.net_id = 0x13;
    update.tenant_id = fixture_text(f, "ttn");
    name.value = fixture_text(f, "Mine");
    update.name = &name;
    update.listed = &listed;
    update.administrative_contact = &admin; /* cleared */
    tech.value = contact(f, "tech@ttn.example");
    update.technical_contact = &tech;
    fixture_ask(f, TENANTS "UpdateTenant", &test_tenant, &update);
    const Pb__V3__Tenant *now = get_tenant(f, &test_admin, 0x13, "ttn");
    assert_string_equal(now->name, "Mine");
    assert_null(now->administrative_contact);
    assert_string_equal(now->technical_contact->email, "tech@ttn.example");
    assert_false(now->listed);
    assert_int_equal(now->n_dev_addr_blocks, 1);
    assert_non_null(now->target);
    update.dev_addr_blocks = &blocks;
    refuse(f, TENANTS "UpdateTenant", &test_tenant, &update, IAM_FIELD_FORBIDDEN, "dev_addr_blocks");
    update.dev_addr_blocks = NULL;
    update.target = &no_target;
    refuse(f, TENANTS "UpdateTenant", &test_tenant, &update, IAM_FIELD_FORBIDDEN, "target");
    update.dev_addr_blocks = &blocks;
    fixture_ask(f, TENANTS "UpdateTenant", &test_network, &update);
    now = get_tenant(f, &test_admin, 0x13, "ttn");
    assert_int_equal(now->n_dev_addr_blocks, 0);
    assert_null(now->target);
}

static void authority_keeps_others_out(void **state)
{
    fixture *f = *state;
    make_full_tenant(f);
    kit_exec(f->k->store, "UPDATE tenants SET authority = 'ttnr'");
    kit_exec(f->k->store, "UPDATE networks SET authority = 'ttnr'");
    Pb__Iam__V1__UpdateTenantRequest update = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    Google__Protobuf__StringValue name = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    Google__Protobuf__BoolValue listed = GOOGLE__PROTOBUF__BOOL_VALUE__INIT;
    update.net_id = 0x13;
    update.tenant_id = fixture_text(f, "ttn");
    update.listed = &listed;
    fixture_ask(f, TENANTS "UpdateTenant", &test_tenant, &update);
    assert_false(get_tenant(f, &test_admin, 0x13, "ttn")->listed);
    name.value = fixture_text(f, "Mine");
    update.name = &name;
    refuse(f, TENANTS "UpdateTenant", &test_tenant, &update, IAM_FIELD_FORBIDDEN, "name");
    refuse(f, TENANTS "UpdateTenant", &test_network, &update, IAM_FIELD_FORBIDDEN, "name");
    Pb__Iam__V1__TenantRequest id = tenant_id(f, 0x13, "ttn");
    refuse(f, TENANTS "DeleteTenant", &test_tenant, &id, IAM_FIELD_FORBIDDEN, "authority");
    fixture_ask(f, TENANTS "UpdateTenant", &test_admin, &update);
    const Pb__V3__Tenant *now = get_tenant(f, &test_tenant, 0x13, "ttn");
    assert_string_equal(now->name, "Mine");
    assert_string_equal(now->authority, "ttnr");
    assert_string_equal(get_network(f, &test_network, 0x13)->authority, "ttnr");
    Pb__Iam__V1__UpdateNetworkListedRequest n = PB__IAM__V1__UPDATE_NETWORK_LISTED_REQUEST__INIT;
    n.net_id = 0x13;
    n.listed = true;
    fixture_ask(f, NETWORKS "UpdateNetworkListed", &test_network, &n);
    fixture_ask(f, TENANTS "DeleteTenant", &test_admin, &id);
}

int iam_registry_tests(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(network_is_made_once_and_read_whole),
        CASE(bad_networks_are_refused),
        cmocka_unit_test_setup_teardown(private_networks_need_the_setting, fixture_setup_private, fixture_teardown),
        CASE(network_updates_follow_the_wrappers),
        CASE(network_updates_clear),
        CASE(failed_update_changes_nothing),
        CASE(listed_is_set_alone),
        CASE(networks_are_listed_by_pages),
        CASE(lists_carry_blocks_and_hide_contacts),
        CASE(tenants_are_listed_by_pages),
        CASE(tenant_is_made_once_and_read_whole),
        CASE(bad_tenants_are_refused),
        CASE(tenant_updates_itself),
        CASE(authority_keeps_others_out),
    };
    return cmocka_run_group_tests_name("iam_registry", tests, NULL, NULL);
}
