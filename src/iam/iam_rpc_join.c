/* JoinServerRegistry. Who may call at all was decided before (rpc/authz.c). */
#include "iam/iam_rpc_kit.h"

#define JOIN_SERVERS "/org.packetbroker.iam.v2.JoinServerRegistry/"

static lpx_err server_unknown(uint32_t id, lpx_note *note)
{
    return lpx_fail(note, IAM_JOIN_SERVER_UNKNOWN, "There is no Join Server %u.", (unsigned)id);
}

lpx_err iam_list_join_servers(store_tx *tx, rpc_txn *txn, const char *method, bool catalog)
{
    const Pb__Iam__V2__ListJoinServersRequest *in = REQUEST(Pb__Iam__V2__ListJoinServersRequest, txn);
    Pb__Iam__V2__ListJoinServersRequest query = *in;
    query.offset = query.limit = 0;
    rpc_walk walk;
    LPX_TRY(rpc_walk_begin(txn, method, &query.base, in->offset, &walk));
    const iam_join_page page = {.listed_only = catalog,
                                .name_contains = pb_str(in->name_contains),
                                .after_id = walk.resumed ? walk.after.number : 0,
                                .skip = walk.skip,
                                .limit = iam_page_limit(in->limit)};
    iam_join_server *servers;
    size_t count;
    uint32_t behind;
    LPX_TRY(iam_store_join_servers(tx, &page, txn->arena, &servers, &count, &behind));
    Pb__Iam__V2__ListJoinServersResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    Pb__V3__JoinServer **list = lpx_arena_array(txn->arena, count, sizeof *list);
    if (reply == NULL || list == NULL) {
        return NO_MEMORY;
    }
    iam_view view = iam_view_of_join_server(txn->who);
    for (size_t i = 0; i < count; i++) {
        list[i] = catalog ? iam_join_server_to_catalog(&servers[i], view, txn->arena)
                          : iam_join_server_to_message(&servers[i], view, txn->arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    rpc_place last = rpc_place_of(count > 0 ? servers[count - 1].id : 0, LPX_STR(""));
    pb__iam__v2__list_join_servers_response__init(reply);
    reply->join_servers = list;
    reply->n_join_servers = count;
    reply->total = rpc_walk_end(txn, &walk, count, behind, &last);
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

static lpx_err list_servers(store_tx *tx, rpc_txn *txn)
{
    return iam_list_join_servers(tx, txn, JOIN_SERVERS "ListJoinServers", false);
}

static lpx_err create_server(store_tx *tx, rpc_txn *txn)
{
    const Pb__V3__JoinServer *in = REQUEST(Pb__Iam__V2__CreateJoinServerRequest, txn)->join_server;
    if (in == NULL) {
        return lpx_fail(&txn->note, IAM_MISSING_FIELD, "join_server is missing.");
    }
    if (in->id != 0) {
        return lpx_fail(&txn->note, IAM_BAD_JOIN_SERVER_ID,
                        "join_server.id is %u; it must be 0: the exchange gives the id.", (unsigned)in->id);
    }
    const iam_join_change change = iam_join_change_of(in);
    iam_join_server server = {.name = LPX_STR("")};
    LPX_TRY(iam_join_change_apply(&server, &change, txn->arena, &txn->note));
    LPX_TRY(iam_store_join_server_next_id(tx, &server.id));
    LPX_TRY(iam_store_join_server_insert(tx, &server, txn->now));
    store_touch(tx, STORE_TOPIC_JOIN_SERVERS);
    Pb__Iam__V2__CreateJoinServerResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v2__create_join_server_response__init(reply);
    reply->join_server = iam_join_server_to_message(&server, iam_view_of_join_server(txn->who), txn->arena);
    txn->reply = &reply->base;
    return reply->join_server != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err find_server(store_tx *tx, rpc_txn *txn, uint32_t id, iam_join_server *out)
{
    bool found;
    LPX_TRY(iam_store_join_server_get(tx, id, txn->arena, out, &found));
    return found ? LPX_SUCCESS : server_unknown(id, &txn->note);
}

static lpx_err get_server(store_tx *tx, rpc_txn *txn)
{
    iam_join_server server;
    LPX_TRY(find_server(tx, txn, REQUEST(Pb__Iam__V2__JoinServerRequest, txn)->id, &server));
    Pb__Iam__V2__GetJoinServerResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v2__get_join_server_response__init(reply);
    reply->join_server = iam_join_server_to_message(&server, iam_view_of_join_server(txn->who), txn->arena);
    txn->reply = &reply->base;
    return reply->join_server != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err update_server(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V2__UpdateJoinServerRequest *in = REQUEST(Pb__Iam__V2__UpdateJoinServerRequest, txn);
    const iam_join_change change = iam_join_change_of_update(in);
    iam_join_server server;
    LPX_TRY(find_server(tx, txn, in->id, &server));
    LPX_TRY(iam_join_change_apply(&server, &change, txn->arena, &txn->note));
    LPX_TRY(iam_store_join_server_update(tx, &server, txn->now));
    if (change.has_prefixes) {
        LPX_TRY(iam_store_prefixes_replace(tx, &server, txn->now));
    }
    store_touch(tx, STORE_TOPIC_JOIN_SERVERS);
    return LPX_SUCCESS;
}

static lpx_err delete_server(store_tx *tx, rpc_txn *txn)
{
    uint32_t id = REQUEST(Pb__Iam__V2__JoinServerRequest, txn)->id;
    bool found;
    LPX_TRY(iam_store_join_server_delete(tx, id, &found));
    if (!found) {
        return server_unknown(id, &txn->note);
    }
    store_touch(tx, STORE_TOPIC_JOIN_SERVERS);
    return LPX_SUCCESS;
}

void iam_rpc_join_methods(iam *service)
{
    const rpc_method methods[] = {
        {.path = JOIN_SERVERS "ListJoinServers",
         .in = &pb__iam__v2__list_join_servers_request__descriptor,
         .out = &pb__iam__v2__list_join_servers_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_servers},
        {.path = JOIN_SERVERS "CreateJoinServer",
         .in = &pb__iam__v2__create_join_server_request__descriptor,
         .out = &pb__iam__v2__create_join_server_response__descriptor,
         .flavour = RPC_WRITE,
         .txn = create_server},
        {.path = JOIN_SERVERS "GetJoinServer",
         .in = &pb__iam__v2__join_server_request__descriptor,
         .out = &pb__iam__v2__get_join_server_response__descriptor,
         .flavour = RPC_READ,
         .txn = get_server},
        {.path = JOIN_SERVERS "UpdateJoinServer",
         .in = &pb__iam__v2__update_join_server_request__descriptor,
         .out = &google__protobuf__empty__descriptor,
         .flavour = RPC_WRITE,
         .txn = update_server},
        {.path = JOIN_SERVERS "DeleteJoinServer",
         .in = &pb__iam__v2__join_server_request__descriptor,
         .out = &google__protobuf__empty__descriptor,
         .flavour = RPC_WRITE,
         .txn = delete_server},
    };
    iam_methods_add(service, methods, sizeof methods / sizeof methods[0]);
}
