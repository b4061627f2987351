/* lpx network tenant: tenants of a network. */
#include "cli/cli_priv.h"
#include "lpx_reasons.h"

#define REGISTRY "/org.packetbroker.iam.v1.TenantRegistry/"

static Pb__Iam__V1__TenantRequest *tenant_request(cli *c)
{
    Pb__Iam__V1__TenantRequest *request = cli_new(c, &pb__iam__v1__tenant_request__descriptor);
    request->net_id = cli_net_id_of(cli_text(c, "net-id"));
    request->tenant_id = cli_text(c, "tenant-id");
    return request;
}

static lpx_err get_tenant(cli *c, Pb__V3__Tenant **out)
{
    Pb__Iam__V1__GetTenantResponse *answer = NULL;
    LPX_TRY(cli_call(c, AGENT_IAM, REGISTRY "GetTenant", &tenant_request(c)->base,
                     &pb__iam__v1__get_tenant_response__descriptor, &answer));
    if (answer->tenant == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without a tenant");
    }
    *out = answer->tenant;
    return LPX_SUCCESS;
}

static void add_row(cli *c, cli_table *table, Pb__V3__Tenant *t)
{
    const char *cells[] = {
        cli_show_net_id(c, t->net_id),
        t->tenant_id,
        t->authority,
        t->name,
        cli_show_blocks(c, t->dev_addr_blocks, t->n_dev_addr_blocks),
        t->listed ? "Yes" : "No",
        cli_show_target(c, t->target),
    };
    cli_table_row(table, &t->base, cells);
}

static lpx_err run_list(cli *c)
{
    static const char *const headers[] = {"NetID",          "Tenant ID", "Authority", "Name",
                                          "DevAddr Blocks", "Listed",    "Target",    NULL};
    Pb__Iam__V1__ListTenantsRequest request = PB__IAM__V1__LIST_TENANTS_REQUEST__INIT;
    cli_items tenants = {0};
    request.net_id = cli_net_id_of(cli_text(c, "net-id"));
    request.tenant_id_contains = cli_text(c, "id-contains");
    request.name_contains = cli_text(c, "name-contains");
    LPX_TRY(cli_list_all(c, AGENT_IAM, REGISTRY "ListTenants", &request.base,
                         &pb__iam__v1__list_tenants_response__descriptor, &tenants));
    cli_table *table = cli_table_new(c, headers);
    for (size_t i = 0; i < tenants.count; i++) {
        add_row(c, table, (Pb__V3__Tenant *)tenants.items[i]);
    }
    cli_table_print(c, table);
    return LPX_SUCCESS;
}

static lpx_err run_create(cli *c)
{
    Pb__Iam__V1__CreateTenantRequest request = PB__IAM__V1__CREATE_TENANT_REQUEST__INIT;
    Pb__Iam__V1__CreateTenantResponse *answer = NULL;
    Pb__V3__Tenant *t = cli_new(c, &pb__v3__tenant__descriptor);
    t->net_id = cli_net_id_of(cli_text(c, "net-id"));
    t->tenant_id = cli_text(c, "tenant-id");
    t->name = cli_text(c, "name");
    t->dev_addr_blocks = cli_blocks_of(c, cli_text(c, "dev-addr-blocks"), &t->n_dev_addr_blocks);
    t->administrative_contact = cli_contact_of(c, "admin");
    t->technical_contact = cli_contact_of(c, "tech");
    t->listed = cli_on(c, "listed");
    LPX_TRY(cli_target_apply(c, "target", &t->target));
    request.tenant = t;
    LPX_TRY(cli_call(c, AGENT_IAM, REGISTRY "CreateTenant", &request.base,
                     &pb__iam__v1__create_tenant_response__descriptor, &answer));
    if (answer->tenant == NULL) {
        return cli_fail(c, CLI_CALL, "the exchange answered without the new tenant");
    }
    cli_show_tenant(c, answer->tenant, false);
    cli_blocks_tell_cut(c, t->dev_addr_blocks, t->n_dev_addr_blocks, answer->tenant->dev_addr_blocks,
                        answer->tenant->n_dev_addr_blocks);
    return LPX_SUCCESS;
}

static lpx_err run_get(cli *c)
{
    Pb__V3__Tenant *tenant = NULL;
    LPX_TRY(get_tenant(c, &tenant));
    cli_show_tenant(c, tenant, cli_on(c, "verbose"));
    return LPX_SUCCESS;
}

static lpx_err update_listed(cli *c)
{
    Pb__Iam__V1__UpdateTenantListedRequest request = PB__IAM__V1__UPDATE_TENANT_LISTED_REQUEST__INIT;
    request.net_id = cli_net_id_of(cli_text(c, "net-id"));
    request.tenant_id = cli_text(c, "tenant-id");
    request.listed = cli_on(c, "listed");
    return cli_call_empty(c, AGENT_IAM, REGISTRY "UpdateTenantListed", &request.base);
}

static lpx_err blocks_now(cli *c, Pb__V3__DevAddrBlock ***blocks, size_t *count)
{
    Pb__V3__Tenant *tenant = NULL;
    LPX_TRY(get_tenant(c, &tenant));
    *blocks = tenant->dev_addr_blocks;
    *count = tenant->n_dev_addr_blocks;
    return LPX_SUCCESS;
}

static lpx_err send_update(cli *c, Pb__Iam__V1__UpdateTenantRequest *request)
{
    request->net_id = cli_net_id_of(cli_text(c, "net-id"));
    request->tenant_id = cli_text(c, "tenant-id");
    return cli_call_empty(c, AGENT_IAM, REGISTRY "UpdateTenant", &request->base);
}

static lpx_err run_update(cli *c)
{
    Pb__Iam__V1__UpdateTenantRequest request = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    if (cli_changed(c, "listed")) {
        LPX_TRY(update_listed(c));
    }
    if (cli_changed(c, "name")) {
        request.name = cli_wrap_text(c, cli_text(c, "name"));
    }
    LPX_TRY(cli_blocks_change(c, blocks_now, &request.dev_addr_blocks));
    request.administrative_contact = cli_contact_change(c, "admin");
    request.technical_contact = cli_contact_change(c, "tech");
    if (request.name == NULL && request.dev_addr_blocks == NULL && request.administrative_contact == NULL &&
        request.technical_contact == NULL) {
        return cli_changed(c, "listed") ? LPX_SUCCESS
                                        : cli_fail(c, CLI_USAGE,
                                                   "nothing to update: give --name, --dev-addr-blocks or "
                                                   "another of the flags in --help");
    }
    LPX_TRY(send_update(c, &request));
    cli_blocks_check_stored(c, blocks_now, request.dev_addr_blocks);
    return LPX_SUCCESS;
}

static lpx_err run_update_target(cli *c)
{
    Pb__Iam__V1__UpdateTenantRequest request = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    Pb__V3__Tenant *tenant = NULL;
    LPX_TRY(get_tenant(c, &tenant));
    LPX_TRY(cli_target_apply(c, "", &tenant->target));
    if (tenant->target == NULL) {
        return cli_fail(c, CLI_USAGE, "this tenant has no target yet; give --protocol TS002_V1_0 or TS002_V1_1");
    }
    request.target = cli_new(c, &pb__iam__v1__target_value__descriptor);
    request.target->value = tenant->target;
    return send_update(c, &request);
}

static lpx_err run_delete_target(cli *c)
{
    Pb__Iam__V1__UpdateTenantRequest request = PB__IAM__V1__UPDATE_TENANT_REQUEST__INIT;
    request.target = cli_new(c, &pb__iam__v1__target_value__descriptor);
    return send_update(c, &request);
}

static lpx_err run_delete(cli *c)
{
    return cli_call_empty(c, AGENT_IAM, REGISTRY "DeleteTenant", &tenant_request(c)->base);
}

static const cli_flag list_flags[] = {
    {"id-contains", CLI_TEXT, "only tenants with this in their ID"},
    {"name-contains", CLI_TEXT, "only tenants with this in their name"},
    {0},
};
static const cli_flag update_flags[] = {
    {"dev-addr-blocks-add", CLI_BLOCKS, "DevAddr blocks to add"},
    {"dev-addr-blocks-remove", CLI_BLOCKS, "DevAddr blocks to remove"},
    {0},
};

static const cli_command list_command = {
    .name = "list",
    .aliases = "ls",
    .brief = "List tenants of a network",
    .examples = "  List all tenants:\n    $ % --net-id 000013\n\n"
                "  Find tenants by ID:\n    $ % --net-id 000013 --id-contains tti\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, list_flags, NULL},
    .run = run_list,
};
static const cli_command create_command = {
    .name = "create",
    .brief = "Create a tenant",
    .examples = "  Create:\n    $ % --net-id 000013 --tenant-id tenant-a\n\n"
                "  Define DevAddr blocks:\n"
                "    $ % --net-id 000013 --tenant-id tenant-a --name \"Tenant A\" \\\n"
                "        --dev-addr-blocks 26AA0000/16,26BB0000/16\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_listed_flags, cli_blocks_flags,
                                       cli_prefixed_target_flags, cli_contact_flags, NULL},
    .run = run_create,
};
static const cli_command get_command = {
    .name = "get",
    .brief = "Get a tenant",
    .examples = "  Get:\n    $ % --net-id 000013 --tenant-id tenant-a\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_verbose_flags, NULL},
    .run = run_get,
};
static const cli_command update_target_command = {
    .name = "target",
    .brief = "Update the target of a tenant",
    .about = "Update the target of a tenant. What no flag names stays as it is.",
    .examples = "  HTTP basic authentication:\n"
                "    $ % --net-id 000013 --tenant-id tenant-a --protocol TS002_V1_0 \\\n"
                "        --address https://user:pass@example.com\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_target_flags, NULL},
    .run = run_update_target,
};
static const cli_command update_command = {
    .name = "update",
    .aliases = "up",
    .brief = "Update a tenant",
    .about = "Update a tenant. What no flag names stays as it is; an empty text clears.",
    .examples =
        "  Update the name:\n    $ % --net-id 000013 --tenant-id tenant-a --name \"Tenant A\"\n\n"
        "  Add a DevAddr block:\n    $ % --net-id 000013 --tenant-id tenant-a --dev-addr-blocks-add 26CC0000/16\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, cli_listed_flags, cli_blocks_flags,
                                       update_flags, cli_contact_flags, NULL},
    .below = (const cli_command *const[]){&update_target_command, NULL},
    .run = run_update,
};
static const cli_command delete_target_command = {
    .name = "target",
    .brief = "Delete the target of a tenant",
    .examples = "  Delete:\n    $ % --net-id 000013 --tenant-id tenant-a\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, NULL},
    .run = run_delete_target,
};
static const cli_command delete_command = {
    .name = "delete",
    .aliases = "rm",
    .brief = "Delete a tenant",
    .about = "Delete a tenant with its API keys and policies.",
    .examples = "  Delete:\n    $ % --net-id 000013 --tenant-id tenant-a\n",
    .flags = (const cli_flag *const[]){cli_net_id_flags, cli_tenant_id_flags, NULL},
    .below = (const cli_command *const[]){&delete_target_command, NULL},
    .run = run_delete,
};

const cli_command cli_tenant_command = {
    .name = "tenant",
    .aliases = "tenants, tnt, tnts, t",
    .brief = "Manage tenants of a network",
    .below = (const cli_command *const[]){&list_command, &create_command, &get_command, &update_command,
                                          &delete_command, NULL},
};
