/* The three vaults of API keys: of networks and tenants (v2, and v1 for old callers), of clusters. Who may call at all
 * was decided before (rpc/authz.c). */
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "iam/iam_rpc_kit.h"

static lpx_err key_unknown(iam_key_kind kind, const char *key_id, lpx_note *note)
{
    return lpx_fail(note, IAM_KEY_UNKNOWN, "There is no API key %s of a %s.", key_id,
                    kind == IAM_KEY_OF_CLUSTER ? "cluster" : "network or tenant");
}

/* Lists. */

/* Keys of networks and tenants that pass, as messages. */
static lpx_err find_keys(store_tx *tx, rpc_txn *txn, const iam_key_filter *filter, Pb__V3__NetworkAPIKey ***out,
                         size_t *count)
{
    iam_key *keys;
    LPX_TRY(iam_store_keys(tx, filter, txn->arena, &keys, count));
    Pb__V3__NetworkAPIKey **list = lpx_arena_array(txn->arena, *count, sizeof *list);
    if (list == NULL) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < *count; i++) {
        list[i] = iam_key_to_message(&keys[i], txn->arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    *out = list;
    return LPX_SUCCESS;
}

static lpx_err list_keys(store_tx *tx, rpc_txn *txn)
{
    iam_key_filter filter;
    LPX_TRY(iam_key_filter_of(REQUEST(Pb__Iam__V2__ListNetworkAPIKeysRequest, txn), txn->who, &filter, &txn->note));
    Pb__Iam__V2__ListNetworkAPIKeysResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v2__list_network_apikeys_response__init(reply);
    txn->reply = &reply->base;
    return find_keys(tx, txn, &filter, &reply->keys, &reply->n_keys);
}

/* Of the first generation: one network; an empty tenant or cluster does not narrow. */
static lpx_err list_old_keys(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__ListAPIKeysRequest *in = REQUEST(Pb__Iam__V1__ListAPIKeysRequest, txn);
    iam_key_filter filter = {.has_net_id = true,
                             .net_id = in->net_id,
                             .tenant_id = pb_str(in->tenant_id),
                             .cluster_id = pb_str(in->cluster_id)};
    filter.has_tenant_id = filter.tenant_id.len > 0;
    filter.has_cluster_id = filter.cluster_id.len > 0;
    LPX_TRY(lw_netid_check(in->net_id, "net_id", &txn->note));
    Pb__Iam__V1__ListAPIKeysResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v1__list_apikeys_response__init(reply);
    txn->reply = &reply->base;
    return find_keys(tx, txn, &filter, &reply->keys, &reply->n_keys);
}

static lpx_err list_cluster_keys(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V2__ListClusterAPIKeysRequest *in = REQUEST(Pb__Iam__V2__ListClusterAPIKeysRequest, txn);
    const iam_key_filter filter = {.kind = IAM_KEY_OF_CLUSTER,
                                   .has_cluster_id = in->cluster_id != NULL,
                                   .cluster_id = pb_str(in->cluster_id != NULL ? in->cluster_id->value : NULL)};
    iam_key *keys;
    size_t count;
    LPX_TRY(iam_store_keys(tx, &filter, txn->arena, &keys, &count));
    Pb__Iam__V2__ListClusterAPIKeysResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    Pb__V3__ClusterAPIKey **list = lpx_arena_array(txn->arena, count, sizeof *list);
    if (reply == NULL || list == NULL) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = iam_key_to_cluster_message(&keys[i], txn->arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    pb__iam__v2__list_cluster_apikeys_response__init(reply);
    reply->keys = list;
    reply->n_keys = count;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

/* New keys. */

lpx_err iam_owner_check(store_tx *tx, uint32_t net_id, lpx_str tenant_id, const char *what, lpx_note *note)
{
    bool found;
    LPX_TRY(iam_member_id_check(net_id, tenant_id.len > 0 ? tenant_id.ptr : NULL, "", note));
    LPX_TRY(iam_store_member_exists(tx, net_id, LPX_STR(""), &found));
    if (!found) {
        return lpx_fail(note, IAM_NETWORK_UNKNOWN, "Network %06X is not registered; register it before its %s.",
                        (unsigned)net_id, what);
    }
    if (tenant_id.len == 0) {
        return LPX_SUCCESS;
    }
    LPX_TRY(iam_store_member_exists(tx, net_id, tenant_id, &found));
    return found ? LPX_SUCCESS
                 : lpx_fail(note, IAM_TENANT_UNKNOWN,
                            "Tenant %s of network %06X is not registered; register it before its %s.", tenant_id.ptr,
                            (unsigned)net_id, what);
}

/* Strangers share one bucket, and may not fill the vault with keys that wait. */
static lpx_err check_stranger(store_tx *tx, rpc_txn *txn)
{
    iam *service = txn->service;
    int64_t waiting;
    if (txn->who->subject != RPC_ANONYMOUS) {
        return LPX_SUCCESS;
    }
    int64_t old = atomic_load(&service->bucket);
    int64_t full;
    bool taken;
    do {
        full = old;
        taken = iam_bucket_take(&full, txn->now.us, service->bucket_interval_us, service->bucket_burst);
    } while (!atomic_compare_exchange_weak(&service->bucket, &old, full));
    if (!taken) {
        return lpx_err_of(IAM_TOO_MANY_REQUESTS);
    }
    LPX_TRY(iam_store_keys_waiting(tx, &waiting));
    return waiting < IAM_MAX_REQUESTED_KEYS ? LPX_SUCCESS : lpx_err_of(IAM_TOO_MANY_WAITING);
}

static lpx_err random_text(size_t bytes, lpx_arena *arena, lpx_str *out)
{
    uint8_t random[IAM_SECRET_RANDOM_BYTES];
    char *text = lpx_arena_get(arena, lpx_base32_len(bytes) + 1);
    if (text == NULL) {
        return NO_MEMORY;
    }
    LPX_TRY(crypto_random((lpx_space){.ptr = random, .len = bytes}));
    lpx_base32_encode(lpx_bytes_of(random, bytes), text);
    lpx_wipe(random, sizeof random);
    *out = lpx_str_of(text);
    return LPX_SUCCESS;
}

/* Add the key, with an id and a secret of its own unless one was chosen. */
static lpx_err insert_key(store_tx *tx, rpc_txn *txn, iam_key *key, const char *chosen, char **secret)
{
    uint8_t hash[CRYPTO_SHA256_BYTES];
    lpx_str text = pb_str(chosen);
    if (key->cluster_id.len > 0) {
        LPX_TRY(lw_cluster_id_check(key->cluster_id, "cluster_id", &txn->note));
    }
    LPX_TRY(random_text(IAM_KEY_ID_RANDOM_BYTES, txn->arena, &key->key_id));
    LPX_TRY(text.len > 0 ? iam_secret_check(text, &txn->note)
                         : random_text(IAM_SECRET_RANDOM_BYTES, txn->arena, &text));
    crypto_sha256(lpx_str_bytes(text), hash);
    LPX_TRY(iam_store_key_insert(tx, key, hash, txn->now));
    if (key->state == IAM_KEY_APPROVED) {
        store_touch(tx, STORE_TOPIC_KEYS);
    }
    *secret = lpx_arena_cstr(txn->arena, text);
    return *secret != NULL ? LPX_SUCCESS : NO_MEMORY;
}

/* Add a key of a network or tenant. @param out its message, with the secret */
static lpx_err insert_network_key(store_tx *tx, rpc_txn *txn, iam_key *key, const char *chosen,
                                  Pb__V3__NetworkAPIKey **out)
{
    char *secret;
    key->state = iam_key_first_state(txn->who);
    LPX_TRY(iam_key_allowed(txn->who, key->rights, key->cluster_id, &txn->note));
    LPX_TRY(insert_key(tx, txn, key, chosen, &secret));
    *out = iam_key_to_message(key, txn->arena);
    if (*out == NULL) {
        return NO_MEMORY;
    }
    (*out)->key = secret;
    return LPX_SUCCESS;
}

static lpx_err create_key(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V2__CreateNetworkAPIKeyRequest *in = REQUEST(Pb__Iam__V2__CreateNetworkAPIKeyRequest, txn);
    iam_key key = {.net_id = in->net_id, .tenant_id = pb_str(in->tenant_id), .cluster_id = pb_str(in->cluster_id)};
    LPX_TRY(check_stranger(tx, txn));
    LPX_TRY(iam_owner_check(tx, key.net_id, key.tenant_id, "API keys", &txn->note));
    LPX_TRY(iam_rights_mask(in->rights, in->n_rights, &key.rights, &txn->note));
    Pb__Iam__V2__CreateNetworkAPIKeyResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v2__create_network_apikey_response__init(reply);
    txn->reply = &reply->base;
    return insert_network_key(tx, txn, &key, in->key, &reply->key);
}

static lpx_err create_old_key(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V1__CreateAPIKeyRequest *in = REQUEST(Pb__Iam__V1__CreateAPIKeyRequest, txn);
    iam_key key = {.net_id = in->net_id,
                   .tenant_id = pb_str(in->tenant_id),
                   .cluster_id = pb_str(in->cluster_id),
                   .rights = iam_key_first_rights(txn->who)};
    LPX_TRY(iam_owner_check(tx, key.net_id, key.tenant_id, "API keys", &txn->note));
    Pb__Iam__V1__CreateAPIKeyResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v1__create_apikey_response__init(reply);
    txn->reply = &reply->base;
    return insert_network_key(tx, txn, &key, "", &reply->key);
}

static lpx_err create_cluster_key(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V2__CreateClusterAPIKeyRequest *in = REQUEST(Pb__Iam__V2__CreateClusterAPIKeyRequest, txn);
    iam_key key = {.kind = IAM_KEY_OF_CLUSTER, .cluster_id = pb_str(in->cluster_id), .state = IAM_KEY_APPROVED};
    char *secret;
    if (key.cluster_id.len == 0) {
        return lpx_fail(&txn->note, IAM_MISSING_FIELD, "cluster_id is missing.");
    }
    LPX_TRY(iam_rights_mask(in->rights, in->n_rights, &key.rights, &txn->note));
    LPX_TRY(insert_key(tx, txn, &key, in->key, &secret));
    Pb__Iam__V2__CreateClusterAPIKeyResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v2__create_cluster_apikey_response__init(reply);
    reply->key = iam_key_to_cluster_message(&key, txn->arena);
    if (reply->key == NULL) {
        return NO_MEMORY;
    }
    reply->key->key = secret;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

/* Deletes and states. */

static lpx_err drop_key(store_tx *tx, rpc_txn *txn, iam_key_kind kind, const char *key_id)
{
    uint32_t owner;
    bool found;
    LPX_TRY(lw_key_id_check(lpx_str_of(key_id), "key_id", &txn->note));
    LPX_TRY(iam_store_key_owner(tx, kind, lpx_str_of(key_id), &owner, &found));
    if (!found) {
        return key_unknown(kind, key_id, &txn->note);
    }
    if (txn->who->subject == RPC_NETWORK && txn->who->net_id != owner) {
        return lpx_err_of(IAM_KEY_NOT_OWN);
    }
    LPX_TRY(iam_store_key_delete(tx, lpx_str_of(key_id)));
    store_touch(tx, STORE_TOPIC_KEYS);
    return LPX_SUCCESS;
}

static lpx_err delete_key(store_tx *tx, rpc_txn *txn)
{
    return drop_key(tx, txn, IAM_KEY_OF_NETWORK, REQUEST(Pb__Iam__V2__APIKeyRequest, txn)->key_id);
}

static lpx_err delete_old_key(store_tx *tx, rpc_txn *txn)
{
    return drop_key(tx, txn, IAM_KEY_OF_NETWORK, REQUEST(Pb__Iam__V1__APIKeyRequest, txn)->key_id);
}

static lpx_err delete_cluster_key(store_tx *tx, rpc_txn *txn)
{
    return drop_key(tx, txn, IAM_KEY_OF_CLUSTER, REQUEST(Pb__Iam__V2__APIKeyRequest, txn)->key_id);
}

static lpx_err set_state(store_tx *tx, rpc_txn *txn, iam_key_kind kind)
{
    const Pb__Iam__V2__UpdateAPIKeyStateRequest *in = REQUEST(Pb__Iam__V2__UpdateAPIKeyStateRequest, txn);
    int state = (int)in->state;
    bool found;
    LPX_TRY(lw_key_id_check(lpx_str_of(in->key_id), "key_id", &txn->note));
    if (state < IAM_KEY_REQUESTED || state > IAM_KEY_REJECTED) {
        return lpx_fail(&txn->note, IAM_BAD_STATE, "state is %d; it must be REQUESTED, APPROVED or REJECTED.", state);
    }
    LPX_TRY(iam_store_key_set_state(tx, kind, lpx_str_of(in->key_id), state, &found));
    if (!found) {
        return key_unknown(kind, in->key_id, &txn->note);
    }
    store_touch(tx, STORE_TOPIC_KEYS);
    return LPX_SUCCESS;
}

static lpx_err update_state(store_tx *tx, rpc_txn *txn)
{
    return set_state(tx, txn, IAM_KEY_OF_NETWORK);
}

static lpx_err update_cluster_state(store_tx *tx, rpc_txn *txn)
{
    return set_state(tx, txn, IAM_KEY_OF_CLUSTER);
}

#define VAULT "/org.packetbroker.iam.v2.NetworkAPIKeyVault/"
#define CLUSTER_VAULT "/org.packetbroker.iam.v2.ClusterAPIKeyVault/"
#define OLD_VAULT "/org.packetbroker.iam.v1.APIKeyVault/"
#define EMPTY &google__protobuf__empty__descriptor

void iam_rpc_key_methods(iam *service)
{
    const rpc_method methods[] = {
        {.path = VAULT "ListAPIKeys",
         .in = &pb__iam__v2__list_network_apikeys_request__descriptor,
         .out = &pb__iam__v2__list_network_apikeys_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_keys},
        {.path = VAULT "CreateAPIKey",
         .in = &pb__iam__v2__create_network_apikey_request__descriptor,
         .out = &pb__iam__v2__create_network_apikey_response__descriptor,
         .flavour = RPC_WRITE,
         .txn = create_key},
        {.path = VAULT "DeleteAPIKey",
         .in = &pb__iam__v2__apikey_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = delete_key},
        {.path = VAULT "UpdateAPIKeyState",
         .in = &pb__iam__v2__update_apikey_state_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = update_state},
        {.path = CLUSTER_VAULT "ListAPIKeys",
         .in = &pb__iam__v2__list_cluster_apikeys_request__descriptor,
         .out = &pb__iam__v2__list_cluster_apikeys_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_cluster_keys},
        {.path = CLUSTER_VAULT "CreateAPIKey",
         .in = &pb__iam__v2__create_cluster_apikey_request__descriptor,
         .out = &pb__iam__v2__create_cluster_apikey_response__descriptor,
         .flavour = RPC_WRITE,
         .txn = create_cluster_key},
        {.path = CLUSTER_VAULT "DeleteAPIKey",
         .in = &pb__iam__v2__apikey_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = delete_cluster_key},
        {.path = CLUSTER_VAULT "UpdateAPIKeyState",
         .in = &pb__iam__v2__update_apikey_state_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = update_cluster_state},
        {.path = OLD_VAULT "ListAPIKeys",
         .in = &pb__iam__v1__list_apikeys_request__descriptor,
         .out = &pb__iam__v1__list_apikeys_response__descriptor,
         .flavour = RPC_READ,
         .txn = list_old_keys},
        {.path = OLD_VAULT "CreateAPIKey",
         .in = &pb__iam__v1__create_apikey_request__descriptor,
         .out = &pb__iam__v1__create_apikey_response__descriptor,
         .flavour = RPC_WRITE,
         .txn = create_old_key},
        {.path = OLD_VAULT "DeleteAPIKey",
         .in = &pb__iam__v1__apikey_request__descriptor,
         .out = EMPTY,
         .flavour = RPC_WRITE,
         .txn = delete_old_key},
    };
    iam_methods_add(service, methods, sizeof methods / sizeof methods[0]);
}
