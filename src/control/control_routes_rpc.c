/* Routes, in the present version and in the one that old callers know: pages of what the entity readers give. */
#include "control/control_entity.h"
#include "control/control_priv.h"
#include "control/limits.h"
#include "lpx_reasons.h"
#include "pb_routing_v2_api.pb-c.h"

/* A page on its way into the answer. */
typedef struct page {
    control_reader reader;
    ProtobufCMessage **list;
    size_t count, room;
    size_t bytes;
} page;

/* A page ends early when it would be larger than clients take: they go on from the number of rows that they got. */
static lpx_err collect(control_reader *reader, const ProtobufCMessage *message)
{
    page *p = LPX_CONTAINER(reader, page, reader);
    size_t bytes = protobuf_c_message_get_packed_size(message) + CONTROL_ROW_OVERHEAD_BYTES;
    if (p->count > 0 && p->bytes + bytes > CONTROL_PAGE_MAX_BYTES) {
        reader->stop = true;
        return LPX_SUCCESS;
    }
    if (p->count == p->room) {
        size_t room = p->room > 0 ? 2 * p->room : 64;
        ProtobufCMessage **list = lpx_arena_array(reader->arena, room, sizeof *list);
        if (list == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
        if (p->count > 0) {
            memcpy(list, p->list, p->count * sizeof *list);
        }
        p->list = list;
        p->room = room;
    }
    union {
        const ProtobufCMessage *from;
        ProtobufCMessage *to;
    } message_of = {.from = message}; /* the arena's; lists of protobuf-c are not const */
    p->list[p->count++] = message_of.to;
    p->bytes += bytes;
    return LPX_SUCCESS;
}

static page page_of(store_tx *tx, rpc_txn *txn, uint32_t offset, uint32_t limit)
{
    return (page){.reader = {.tx = tx,
                             .arena = txn->arena,
                             .view = control_view_of(txn->who),
                             .window = {.offset = offset, .limit = control_page_limit(limit)},
                             .sink = collect}};
}

lpx_err control_list_uplink_routes(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V2__ListUplinkRoutesRequest *in = CONTROL_REQUEST(Pb__Routing__V2__ListUplinkRoutesRequest, txn);
    Pb__Routing__V2__ListUplinkRoutesResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    page p = page_of(tx, txn, in->offset, in->limit);
    if (reply == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__routing__v2__list_uplink_routes_response__init(reply);
    LPX_TRY(control_read_routes(&p.reader));
    LPX_TRY(control_count_routes(tx, &reply->total));
    reply->routes = (Pb__V3__DevAddrPrefixRoute **)p.list;
    reply->n_routes = p.count;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

lpx_err control_list_join_request_routes(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V2__ListJoinRequestRoutesRequest *in =
        CONTROL_REQUEST(Pb__Routing__V2__ListJoinRequestRoutesRequest, txn);
    Pb__Routing__V2__ListJoinRequestRoutesResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    page p = page_of(tx, txn, in->offset, in->limit);
    if (reply == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__routing__v2__list_join_request_routes_response__init(reply);
    LPX_TRY(control_read_join_routes(&p.reader));
    LPX_TRY(control_count_join_routes(tx, &reply->total));
    reply->routes = (Pb__V3__JoinEUIPrefixRoute **)p.list;
    reply->n_routes = p.count;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

lpx_err control_list_network_targets(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V2__ListNetworkTargetsRequest *in =
        CONTROL_REQUEST(Pb__Routing__V2__ListNetworkTargetsRequest, txn);
    Pb__Routing__V2__ListNetworkTargetsResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    page p = page_of(tx, txn, in->offset, in->limit);
    if (reply == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__routing__v2__list_network_targets_response__init(reply);
    LPX_TRY(control_read_targets(&p.reader));
    LPX_TRY(control_count_targets(tx, &reply->total));
    reply->targets = (Pb__V3__NetworkTarget **)p.list;
    reply->n_targets = p.count;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

/* A page by time that is cut would lose the rest of its last time: rather none. */
static lpx_err read_since(page *p, const Google__Protobuf__Timestamp *start, lpx_note *note)
{
    lpx_utc since;
    LPX_TRY(control_since(start, "created_since", &since, note));
    LPX_TRY(control_read_routes_since(&p->reader, since));
    return p->reader.stop
               ? lpx_fail(note, CONTROL_PAGE_TOO_LARGE,
                          "The routes created at one time are more than fit one answer; list them by offset.")
               : LPX_SUCCESS;
}

lpx_err control_list_routes(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V1__ListRoutesRequest *in = CONTROL_REQUEST(Pb__Routing__V1__ListRoutesRequest, txn);
    Pb__Routing__V1__ListRoutesResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    bool by_time = in->start_case == PB__ROUTING__V1__LIST_ROUTES_REQUEST__START_CREATED_SINCE;
    bool by_offset = in->start_case == PB__ROUTING__V1__LIST_ROUTES_REQUEST__START_OFFSET;
    page p = page_of(tx, txn, by_offset ? in->offset : 0, in->limit);
    if (reply == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__routing__v1__list_routes_response__init(reply);
    LPX_TRY(by_time ? read_since(&p, in->created_since, &txn->note) : control_read_routes(&p.reader));
    LPX_TRY(control_count_routes(tx, &reply->total));
    reply->routes = (Pb__V3__DevAddrPrefixRoute **)p.list;
    reply->n_routes = p.count;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

lpx_err control_list_targets(store_tx *tx, rpc_txn *txn)
{
    const Pb__Routing__V1__ListTargetsRequest *in = CONTROL_REQUEST(Pb__Routing__V1__ListTargetsRequest, txn);
    Pb__Routing__V1__ListTargetsResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    page p = page_of(tx, txn, in->offset, in->limit);
    if (reply == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    pb__routing__v1__list_targets_response__init(reply);
    LPX_TRY(control_read_targets(&p.reader));
    LPX_TRY(control_count_targets(tx, &reply->total));
    reply->targets = (Pb__V3__NetworkTarget **)p.list;
    reply->n_targets = p.count;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}
