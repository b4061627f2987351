/* NetworkRegistry, TenantRegistry and authorities: requests to decisions and rows. Who may call at all, and for which
 * network, was decided before (rpc/authz.c). */
#include "iam/iam_rpc_kit.h"
#include "lpx_iam_v1_iam.pb-c.h"

#define NETWORKS "/org.packetbroker.iam.v1.NetworkRegistry/"
#define TENANTS "/org.packetbroker.iam.v1.TenantRegistry/"

static lpx_err network_unknown(uint32_t net_id, lpx_note *note)
{
    return lpx_fail(note, IAM_NETWORK_UNKNOWN, "Network %06X is not registered.", (unsigned)net_id);
}

static lpx_err tenant_unknown(uint32_t net_id, const char *tenant_id, lpx_note *note)
{
    return lpx_fail(note, IAM_TENANT_UNKNOWN, "Tenant %s of network %06X is not registered.", tenant_id,
                    (unsigned)net_id);
}

lpx_err iam_member_unknown(const iam_member *id, lpx_note *note)
{
    return id->tenant_id.len == 0 ? network_unknown(id->net_id, note)
                                  : tenant_unknown(id->net_id, id->tenant_id.ptr, note);
}

/* Common to networks and tenants. */

/* Read a member whose id stands in out. */
static lpx_err get_member(store_tx *tx, rpc_txn *txn, iam_member *out)
{
    bool found;
    LPX_TRY(iam_store_member_get(tx, out->net_id, out->tenant_id, txn->arena, out, &found));
    return found ? LPX_SUCCESS : iam_member_unknown(out, &txn->note);
}

/* Who represents a network must be there, must not be represented by it in turn, and has only so many. */
static lpx_err check_delegation(store_tx *tx, rpc_txn *txn, const iam_member *member, const iam_change *change)
{
    uint32_t to = member->delegated_net_id;
    bool found, circle;
    iam_space space;
    if (!change->has_delegated || !member->delegated) {
        return LPX_SUCCESS;
    }
    LPX_TRY(iam_store_member_exists(tx, to, LPX_STR(""), &found));
    if (!found) {
        return lpx_fail(&txn->note, IAM_BAD_DELEGATION,
                        "%sdelegated_net_id is %06X, which is not registered: register it first.", change->at,
                        (unsigned)to);
    }
    LPX_TRY(iam_store_delegates_to(tx, to, member->net_id, &circle));
    if (circle) {
        return lpx_fail(&txn->note, IAM_BAD_DELEGATION,
                        "%sdelegated_net_id is %06X, which delegates to %06X itself, directly or through others.",
                        change->at, (unsigned)to, (unsigned)member->net_id);
    }
    LPX_TRY(iam_store_space(tx, to, txn->arena, &space));
    if (space.represented_count >= IAM_MAX_REPRESENTED && !iam_space_represents(&space, member->net_id)) {
        return lpx_fail(&txn->note, IAM_BAD_DELEGATION,
                        "%sdelegated_net_id is %06X, which represents %d networks already; it can have no more.",
                        change->at, (unsigned)to, (int)IAM_MAX_REPRESENTED);
    }
    return LPX_SUCCESS;
}

/* Blocks of a network that no longer represents another lie in foreign addresses: drop them, unless others that it
 * still represents (or it itself) have the same addresses. */
static lpx_err end_representation(store_tx *tx, rpc_txn *txn, uint32_t by, uint32_t represented)
{
    iam_space space;
    lw_devaddr_prefix addresses = lw_netid_space((lw_netid){represented});
    LPX_TRY(iam_store_space(tx, by, txn->arena, &space));
    return iam_space_has(&space, addresses) ? LPX_SUCCESS : iam_store_blocks_delete_in(tx, by, addresses);
}

static lpx_err write_member(store_tx *tx, rpc_txn *txn, const iam_member *before, const iam_member *after,
                            const iam_change *change)
{
    LPX_TRY(iam_store_member_update(tx, after, txn->now));
    if (change->has_blocks) {
        LPX_TRY(iam_store_blocks_replace(tx, after, txn->now));
    }
    bool ended = before->delegated && !(after->delegated && after->delegated_net_id == before->delegated_net_id);
    if (ended) {
        LPX_TRY(end_representation(tx, txn, before->delegated_net_id, before->net_id));
    }
    store_touch(tx, STORE_TOPIC_NETWORKS);
    return LPX_SUCCESS;
}

static lpx_err update_member(store_tx *tx, rpc_txn *txn, iam_member *id, const iam_change *change)
{
    iam_space space;
    LPX_TRY(get_member(tx, txn, id));
    LPX_TRY(iam_change_allowed(txn->who, id, change, &txn->note));
    LPX_TRY(iam_store_space(tx, id->net_id, txn->arena, &space));
    iam_member changed = *id;
    LPX_TRY(iam_change_apply(&changed, change, &space, txn->arena, &txn->note));
    LPX_TRY(check_delegation(tx, txn, &changed, change));
    return write_member(tx, txn, id, &changed, change);
}

static lpx_err set_listed(store_tx *tx, rpc_txn *txn, const iam_member *id, bool listed)
{
    bool found;
    LPX_TRY(iam_store_listed_set(tx, id->net_id, id->tenant_id, listed, txn->now, &found));
    if (!found) {
        return iam_member_unknown(id, &txn->note);
    }
    store_touch(tx, STORE_TOPIC_NETWORKS);
    return LPX_SUCCESS;
}

static lpx_err delete_member(store_tx *tx, rpc_txn *txn, iam_member *id)
{
    LPX_TRY(get_member(tx, txn, id));
    if (txn->who->subject != RPC_ADMIN && id->authority.len > 0) {
        return lpx_fail(&txn->note, IAM_FIELD_FORBIDDEN,
                        "This member is managed by its authority: only an administrator can delete it.");
    }
    LPX_TRY(iam_store_member_delete(tx, id->net_id, id->tenant_id, txn->now));
    if (id->delegated) {
        LPX_TRY(end_representation(tx, txn, id->delegated_net_id, id->net_id));
    }
    static const store_topic touched[] = {STORE_TOPIC_NETWORKS,     STORE_TOPIC_POLICIES, STORE_TOPIC_KEYS,
                                          STORE_TOPIC_JOIN_SERVERS, STORE_TOPIC_SETTINGS, STORE_TOPIC_VISIBILITIES,
                                          STORE_TOPIC_CERTIFICATES};
    for (size_t i = 0; i < sizeof touched / sizeof touched[0]; i++) {
        store_touch(tx, touched[i]);
    }
    return LPX_SUCCESS;
}

static lpx_err create_member(store_tx *tx, rpc_txn *txn, iam_member *member, const iam_change *change, iam_space *space)
{
    LPX_TRY(iam_store_space(tx, member->net_id, txn->arena, space));
    LPX_TRY(iam_change_apply(member, change, space, txn->arena, &txn->note));
    LPX_TRY(check_delegation(tx, txn, member, change));
    bool made;
    LPX_TRY(iam_store_member_insert(tx, member, txn->now, &made));
    if (!made) {
        return member->tenant_id.len == 0
                   ? lpx_fail(&txn->note, IAM_NETWORK_EXISTS, "Network %06X is registered already.",
                              (unsigned)member->net_id)
                   : lpx_fail(&txn->note, IAM_TENANT_EXISTS, "Tenant %s of network %06X is registered already.",
                              member->tenant_id.ptr, (unsigned)member->net_id);
    }
    store_touch(tx, STORE_TOPIC_NETWORKS);
    return LPX_SUCCESS;
}

/* Pages. */

lpx_err iam_walk_begin(rpc_txn *txn, const char *method, const ProtobufCMessage *query, uint32_t offset, rpc_walk *walk,
                       iam_page *page)
{
    LPX_TRY(rpc_walk_begin(txn, method, query, offset, walk));
    page->after_net_id = walk->resumed ? walk->after.number : -1;
    page->after_tenant_id = walk->resumed ? lpx_str_of(walk->after.text) : LPX_STR("");
    page->skip = walk->skip;
    return LPX_SUCCESS;
}

uint32_t iam_walk_end(rpc_txn *txn, const rpc_walk *walk, const iam_member *members, size_t count, uint32_t behind)
{
    rpc_place last = {.number = 0};
    if (count > 0) {
        last = rpc_place_of(members[count - 1].net_id, members[count - 1].tenant_id);
    }
    return rpc_walk_end(txn, walk, count, behind, &last);
}

/* NetworkRegistry. */

static lpx_err put_networks(rpc_txn *txn, const iam_member *members, const iam_space *spaces, size_t count,
                            uint32_t total)
{
    Pb__Iam__V1__ListNetworksResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    Pb__V3__Network **list = lpx_arena_array(txn->arena, count, sizeof *list);
    if (reply == NULL || list == NULL) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        iam_view view = iam_view_of(txn->who, members[i].net_id);
        list[i] = iam_member_to_network(&members[i], &spaces[i], view, txn->arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    pb__iam__v1__list_networks_response__init(reply);
    reply->networks = list;
    reply->n_networks = count;
    reply->total = total;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

static lpx_err list_networks(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__ListNetworksRequest *in = REQUEST(Pb__Iam__V1__ListNetworksRequest, txn);
    iam_page page = {
        .only_one = txn->who->subject == RPC_NETWORK,
        .net_id = txn->who->net_id,
        .filter = {.id_contains = LPX_STR(""), .name_contains = pb_str(in->name_contains)},
        .limit = iam_page_limit(in->limit),
    };
    Pb__Iam__V1__ListNetworksRequest query = *in;
    query.offset = query.limit = 0;
    rpc_walk walk;
    iam_member *members;
    iam_space *spaces;
    size_t count;
    uint32_t behind;
    LPX_TRY(iam_walk_begin(txn, NETWORKS "ListNetworks", &query.base, in->offset, &walk, &page));
    LPX_TRY(iam_store_members(tx, &page, txn->arena, &members, &count, &behind));
    LPX_TRY(iam_store_spaces(tx, members, count, txn->arena, &spaces));
    return put_networks(txn, members, spaces, count, iam_walk_end(txn, &walk, members, count, behind));
}

static lpx_err create_network(store_tx *tx, rpc_txn *txn)
{
    const iam *service = txn->service;
    const Pb__V3__Network *in = REQUEST(Pb__Iam__V1__CreateNetworkRequest, txn)->network;
    if (in == NULL) {
        return lpx_fail(&txn->note, IAM_MISSING_FIELD, "network is missing.");
    }
    LPX_TRY(iam_net_id_check(in->net_id, service->allow_private_net_ids, "network.net_id", &txn->note));
    if (pb_str(in->authority).len > 0) {
        return lpx_fail(&txn->note, IAM_AUTHORITY_SET, "network.authority cannot be set by this call: leave it empty.");
    }
    iam_member member = {.net_id = in->net_id};
    iam_change change = iam_change_of_network(in);
    iam_space space;
    LPX_TRY(create_member(tx, txn, &member, &change, &space));
    Pb__Iam__V1__CreateNetworkResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v1__create_network_response__init(reply);
    reply->network = iam_member_to_network(&member, &space, iam_view_of(txn->who, member.net_id), txn->arena);
    txn->reply = &reply->base;
    return reply->network != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err get_network(store_tx *tx, rpc_txn *txn)
{
    iam_member member = {.net_id = REQUEST(Pb__Iam__V1__NetworkRequest, txn)->net_id};
    iam_space space;
    LPX_TRY(iam_member_id_check(member.net_id, NULL, "", &txn->note));
    LPX_TRY(get_member(tx, txn, &member));
    LPX_TRY(iam_store_space(tx, member.net_id, txn->arena, &space));
    Pb__Iam__V1__GetNetworkResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v1__get_network_response__init(reply);
    reply->network = iam_member_to_network(&member, &space, iam_view_of(txn->who, member.net_id), txn->arena);
    txn->reply = &reply->base;
    return reply->network != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err update_network(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__UpdateNetworkRequest *in = REQUEST(Pb__Iam__V1__UpdateNetworkRequest, txn);
    iam_member id = {.net_id = in->net_id};
    iam_change change = iam_change_of_network_update(in);
    LPX_TRY(iam_member_id_check(in->net_id, NULL, "", &txn->note));
    return update_member(tx, txn, &id, &change);
}

static lpx_err update_network_listed(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__UpdateNetworkListedRequest *in = REQUEST(Pb__Iam__V1__UpdateNetworkListedRequest, txn);
    LPX_TRY(iam_member_id_check(in->net_id, NULL, "", &txn->note));
    return set_listed(tx, txn, &(iam_member){.net_id = in->net_id}, in->listed != 0);
}

static lpx_err delete_network(store_tx *tx, rpc_txn *txn)
{
    iam_member id = {.net_id = REQUEST(Pb__Iam__V1__NetworkRequest, txn)->net_id};
    LPX_TRY(iam_member_id_check(id.net_id, NULL, "", &txn->note));
    return delete_member(tx, txn, &id);
}

/* TenantRegistry. */

static lpx_err put_tenants(rpc_txn *txn, const iam_member *members, size_t count, uint32_t total)
{
    Pb__Iam__V1__ListTenantsResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    Pb__V3__Tenant **list = lpx_arena_array(txn->arena, count, sizeof *list);
    if (reply == NULL || list == NULL) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = iam_member_to_tenant(&members[i], iam_view_of(txn->who, members[i].net_id), txn->arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    pb__iam__v1__list_tenants_response__init(reply);
    reply->tenants = list;
    reply->n_tenants = count;
    reply->total = total;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

static lpx_err list_tenants(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__ListTenantsRequest *in = REQUEST(Pb__Iam__V1__ListTenantsRequest, txn);
    LPX_TRY(iam_member_id_check(in->net_id, NULL, "", &txn->note));
    iam_page page = {
        .tenants = true,
        .net_id = in->net_id,
        .filter = {.id_contains = pb_str(in->tenant_id_contains), .name_contains = pb_str(in->name_contains)},
        .limit = iam_page_limit(in->limit),
    };
    Pb__Iam__V1__ListTenantsRequest query = *in;
    query.offset = query.limit = 0;
    rpc_walk walk;
    iam_member *members;
    size_t count;
    uint32_t behind;
    LPX_TRY(iam_walk_begin(txn, TENANTS "ListTenants", &query.base, in->offset, &walk, &page));
    LPX_TRY(iam_store_members(tx, &page, txn->arena, &members, &count, &behind));
    return put_tenants(txn, members, count, iam_walk_end(txn, &walk, members, count, behind));
}

static lpx_err create_tenant(store_tx *tx, rpc_txn *txn)
{
    const Pb__V3__Tenant *in = REQUEST(Pb__Iam__V1__CreateTenantRequest, txn)->tenant;
    if (in == NULL) {
        return lpx_fail(&txn->note, IAM_MISSING_FIELD, "tenant is missing.");
    }
    LPX_TRY(iam_member_id_check(in->net_id, in->tenant_id, "tenant.", &txn->note));
    if (pb_str(in->authority).len > 0) {
        return lpx_fail(&txn->note, IAM_AUTHORITY_SET, "tenant.authority cannot be set by this call: leave it empty.");
    }
    bool found;
    LPX_TRY(iam_store_member_exists(tx, in->net_id, LPX_STR(""), &found));
    if (!found) {
        return network_unknown(in->net_id, &txn->note);
    }
    iam_member member = {.net_id = in->net_id, .tenant_id = pb_str(in->tenant_id)};
    iam_change change = iam_change_of_tenant(in);
    iam_space space;
    LPX_TRY(create_member(tx, txn, &member, &change, &space));
    Pb__Iam__V1__CreateTenantResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v1__create_tenant_response__init(reply);
    reply->tenant = iam_member_to_tenant(&member, iam_view_of(txn->who, member.net_id), txn->arena);
    txn->reply = &reply->base;
    return reply->tenant != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err get_tenant(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__TenantRequest *in = REQUEST(Pb__Iam__V1__TenantRequest, txn);
    LPX_TRY(iam_member_id_check(in->net_id, in->tenant_id, "", &txn->note));
    iam_member member = {.net_id = in->net_id, .tenant_id = pb_str(in->tenant_id)};
    LPX_TRY(get_member(tx, txn, &member));
    Pb__Iam__V1__GetTenantResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v1__get_tenant_response__init(reply);
    reply->tenant = iam_member_to_tenant(&member, iam_view_of(txn->who, member.net_id), txn->arena);
    txn->reply = &reply->base;
    return reply->tenant != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err update_tenant(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__UpdateTenantRequest *in = REQUEST(Pb__Iam__V1__UpdateTenantRequest, txn);
    LPX_TRY(iam_member_id_check(in->net_id, in->tenant_id, "", &txn->note));
    iam_member id = {.net_id = in->net_id, .tenant_id = pb_str(in->tenant_id)};
    iam_change change = iam_change_of_tenant_update(in);
    return update_member(tx, txn, &id, &change);
}

static lpx_err update_tenant_listed(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__UpdateTenantListedRequest *in = REQUEST(Pb__Iam__V1__UpdateTenantListedRequest, txn);
    LPX_TRY(iam_member_id_check(in->net_id, in->tenant_id, "", &txn->note));
    iam_member id = {.net_id = in->net_id, .tenant_id = pb_str(in->tenant_id)};
    return set_listed(tx, txn, &id, in->listed != 0);
}

static lpx_err delete_tenant(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__TenantRequest *in = REQUEST(Pb__Iam__V1__TenantRequest, txn);
    LPX_TRY(iam_member_id_check(in->net_id, in->tenant_id, "", &txn->note));
    iam_member id = {.net_id = in->net_id, .tenant_id = pb_str(in->tenant_id)};
    return delete_member(tx, txn, &id);
}

/* Authorities. */

static lpx_err set_authority(store_tx *tx, rpc_txn *txn)
{
    const Lpx__Iam__V1__SetAuthorityRequest *in = REQUEST(Lpx__Iam__V1__SetAuthorityRequest, txn);
    iam_member member = {.net_id = in->net_id, .tenant_id = pb_str(in->tenant_id)};
    LPX_TRY(iam_member_id_check(in->net_id, member.tenant_id.len > 0 ? in->tenant_id : NULL, "", &txn->note));
    LPX_TRY(iam_text_check(pb_str(in->authority), IAM_AUTHORITY_MAX_BYTES, "", "authority", &txn->note));
    LPX_TRY(get_member(tx, txn, &member));
    member.authority = pb_str(in->authority);
    LPX_TRY(iam_store_member_update(tx, &member, txn->now));
    store_touch(tx, STORE_TOPIC_NETWORKS);
    return LPX_SUCCESS;
}

/* Table. */

#define EMPTY &google__protobuf__empty__descriptor

static void network_methods(iam *service)
{
    const rpc_method methods[] = {
        {.path = NETWORKS "ListNetworks",
         .in = &pb__iam__v1__list_networks_request__descriptor,
         .out = &pb__iam__v1__list_networks_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_networks},
        {.path = NETWORKS "CreateNetwork",
         .in = &pb__iam__v1__create_network_request__descriptor,
         .out = &pb__iam__v1__create_network_response__descriptor,
         .flavour = RPC_WRITE,
         .txn = create_network},
        {.path = NETWORKS "GetNetwork",
         .in = &pb__iam__v1__network_request__descriptor,
         .out = &pb__iam__v1__get_network_response__descriptor,
         .flavour = RPC_READ,
         .txn = get_network},
        {.path = NETWORKS "UpdateNetwork",
         .in = &pb__iam__v1__update_network_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = update_network},
        {.path = NETWORKS "UpdateNetworkListed",
         .in = &pb__iam__v1__update_network_listed_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = update_network_listed},
        {.path = NETWORKS "DeleteNetwork",
         .in = &pb__iam__v1__network_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = delete_network},
    };
    iam_methods_add(service, methods, sizeof methods / sizeof methods[0]);
}

static void tenant_methods(iam *service)
{
    const rpc_method methods[] = {
        {.path = TENANTS "ListTenants",
         .in = &pb__iam__v1__list_tenants_request__descriptor,
         .out = &pb__iam__v1__list_tenants_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_tenants},
        {.path = TENANTS "CreateTenant",
         .in = &pb__iam__v1__create_tenant_request__descriptor,
         .out = &pb__iam__v1__create_tenant_response__descriptor,
         .flavour = RPC_WRITE,
         .txn = create_tenant},
        {.path = TENANTS "GetTenant",
         .in = &pb__iam__v1__tenant_request__descriptor,
         .out = &pb__iam__v1__get_tenant_response__descriptor,
         .flavour = RPC_READ,
         .txn = get_tenant},
        {.path = TENANTS "UpdateTenant",
         .in = &pb__iam__v1__update_tenant_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = update_tenant},
        {.path = TENANTS "UpdateTenantListed",
         .in = &pb__iam__v1__update_tenant_listed_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = update_tenant_listed},
        {.path = TENANTS "DeleteTenant",
         .in = &pb__iam__v1__tenant_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = delete_tenant},
    };
    iam_methods_add(service, methods, sizeof methods / sizeof methods[0]);
}

void iam_rpc_methods(iam *service)
{
    const rpc_method methods[] = {
        {.path = "/lpx.iam.v1.AuthorityManager/SetAuthority",
         .in = &lpx__iam__v1__set_authority_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = set_authority},
    };
    network_methods(service);
    tenant_methods(service);
    iam_methods_add(service, methods, sizeof methods / sizeof methods[0]);
}
