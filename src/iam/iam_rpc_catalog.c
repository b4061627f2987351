/* Catalog: who else takes part, for members. Who may call at all was decided before (rpc/authz.c). */
#include "iam/iam_rpc_kit.h"

#define CATALOG "/org.packetbroker.iam.v2.Catalog/"

/* Requests name their caller; 0 and no tenant: the one of the credentials. */
static lpx_err check_caller(rpc_txn *txn, uint32_t net_id, const char *tenant_id)
{
    lpx_str tenant = pb_str(tenant_id);
    return net_id == 0 && tenant.len == 0 ? LPX_SUCCESS : iam_member_own(txn->who, net_id, tenant, "", &txn->note);
}

static lpx_err put_members(rpc_txn *txn, const iam_member *members, size_t count, uint32_t total)
{
    Pb__Iam__V2__ListNetworksResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    Pb__V3__NetworkOrTenant **list = lpx_arena_array(txn->arena, count, sizeof *list);
    if (reply == NULL || list == NULL) {
        return NO_MEMORY;
    }
    iam_view view = iam_view_of_catalog(txn->who);
    for (size_t i = 0; i < count; i++) {
        list[i] = iam_member_to_catalog(&members[i], view, txn->arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    pb__iam__v2__list_networks_response__init(reply);
    reply->networks = list;
    reply->n_networks = count;
    reply->total = total;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

static lpx_err list_members(store_tx *tx, rpc_txn *txn, const char *method, bool home_only)
{
    const Pb__Iam__V2__ListNetworksRequest *in = REQUEST(Pb__Iam__V2__ListNetworksRequest, txn);
    const Pb__Iam__V2__ListNetworksRequest__PolicyReference *partner = in->policy_reference;
    iam_catalog ask = {
        .home_only = home_only,
        .page = {.filter = {.id_contains = pb_str(in->tenant_id_contains), .name_contains = pb_str(in->name_contains)},
                 .limit = iam_page_limit(in->limit)},
    };
    LPX_TRY(check_caller(txn, in->net_id, in->tenant_id));
    if (partner != NULL) {
        ask.with_partners = true;
        ask.partner_net_id = partner->net_id;
        ask.partner_tenant_id = pb_str(partner->tenant_id);
        LPX_TRY(iam_member_own(txn->who, partner->net_id, ask.partner_tenant_id, "policy_reference.", &txn->note));
    }
    Pb__Iam__V2__ListNetworksRequest query = *in;
    query.offset = query.limit = 0;
    rpc_walk walk;
    iam_member *members;
    size_t count;
    uint32_t behind;
    LPX_TRY(iam_walk_begin(txn, method, &query.base, in->offset, &walk, &ask.page));
    LPX_TRY(iam_store_catalog(tx, &ask, txn->arena, &members, &count, &behind));
    return put_members(txn, members, count, iam_walk_end(txn, &walk, members, count, behind));
}

static lpx_err list_networks(store_tx *tx, rpc_txn *txn)
{
    return list_members(tx, txn, CATALOG "ListNetworks", false);
}

static lpx_err list_home_networks(store_tx *tx, rpc_txn *txn)
{
    return list_members(tx, txn, CATALOG "ListHomeNetworks", true);
}

static lpx_err list_join_servers(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V2__ListJoinServersRequest *in = REQUEST(Pb__Iam__V2__ListJoinServersRequest, txn);
    LPX_TRY(check_caller(txn, in->net_id, in->tenant_id));
    return iam_list_join_servers(tx, txn, CATALOG "ListJoinServers", true);
}

void iam_rpc_catalog_methods(iam *service)
{
    const rpc_method methods[] = {
        {.path = CATALOG "ListNetworks",
         .in = &pb__iam__v2__list_networks_request__descriptor,
         .out = &pb__iam__v2__list_networks_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_networks},
        {.path = CATALOG "ListHomeNetworks",
         .in = &pb__iam__v2__list_networks_request__descriptor,
         .out = &pb__iam__v2__list_networks_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_home_networks},
        {.path = CATALOG "ListJoinServers",
         .in = &pb__iam__v2__list_join_servers_request__descriptor,
         .out = &pb__iam__v2__list_join_servers_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_join_servers},
    };
    iam_methods_add(service, methods, sizeof methods / sizeof methods[0]);
}
