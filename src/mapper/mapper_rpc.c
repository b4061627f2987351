/* mapping.v2.Mapper. */
#include "lpx_reasons.h"
#include "mapper/mapper_priv.h"

/* What is stored of the gateway already, under this key or another kind of key, which ends then. */
static lpx_err find_stored(store_tx *tx, const mapper_update *update, rpc_txn *txn, mapper_stored *stored, bool *found)
{
    mapper_stored other;
    bool moved;
    traffic_member forwarder = traffic_member_of(update->forwarder);
    LPX_TRY(mapper_store_get(tx, forwarder, lpx_str_of(update->key), txn->arena, stored, found));
    LPX_TRY(mapper_store_other_key(tx, update, txn->arena, &other, &moved));
    *found = *found && stored->gateway != NULL;
    if (moved) {
        LPX_TRY(mapper_store_retire(tx, forwarder, other.key, txn->now));
        *stored = *found ? *stored : other;
        *found = *found || other.gateway != NULL;
    }
    return LPX_SUCCESS;
}

static lpx_err store_update(store_tx *tx, const mapper_update *update, rpc_txn *txn)
{
    mapper *self = txn->service;
    mapper_stored stored = {.gateway = NULL};
    bool found;
    LPX_TRY(mapper_store_registered(tx, traffic_member_of(update->forwarder), &found));
    if (!found) {
        return lpx_fail(&txn->note, MAPPER_FORWARDER_UNKNOWN,
                        "Forwarder %06X%s%.*s is not registered; register it first.",
                        (unsigned)update->forwarder.net_id, update->forwarder.tenant_id.len > 0 ? "/" : "",
                        (int)update->forwarder.tenant_id.len, update->forwarder.tenant_id.ptr);
    }
    LPX_TRY(find_stored(tx, update, txn, &stored, &found));
    if (!found) {
        if (mapper_is_full(self, update->forwarder.net_id)) {
            return lpx_fail(&txn->note, MAPPER_NETWORK_FULL,
                            "Network %06X has %u gateways on the map and may not have more (mapper.max-gateways).",
                            (unsigned)update->forwarder.net_id, self->opts.max_gateways);
        }
        stored = (mapper_stored){.gateway = lpx_arena_get(txn->arena, sizeof *stored.gateway)};
        if (stored.gateway == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
        pb__v3__gateway__init(stored.gateway);
    }
    stored.key = lpx_str_of(update->key);
    mapper_update_merge(update, txn->now, stored.gateway, &stored.online_until);
    LPX_TRY(mapper_store_put(tx, update, &stored, txn->now, txn->arena));
    store_touch(tx, STORE_TOPIC_GATEWAYS);
    return LPX_SUCCESS;
}

static lpx_err update_gateway(store_tx *tx, rpc_txn *txn)
{
    mapper *self = txn->service;
    mapper_update update;
    lpx_err err = mapper_update_check((const void *)txn->request, &update, &txn->note);
    err = lpx_failed(err) ? err : store_update(tx, &update, txn);
    atomic_fetch_add(lpx_failed(err) ? &self->counts.updates_refused : &self->counts.updates, 1);
    return err;
}

void mapper_rpc_init(mapper *self)
{
    self->methods[0] = (rpc_method){.path = "/org.packetbroker.mapping.v2.Mapper/UpdateGateway",
                                    .in = &pb__mapping__v2__update_gateway_request__descriptor,
                                    .out = &google__protobuf__empty__descriptor,
                                    .flavour = RPC_WRITE,
                                    .txn = update_gateway,
                                    .service = self};
}
