/* NetworkAPIKeyVault (v2): requests to decisions and rows. Who may call at all was decided before (rpc/authz.c). */
#include "base/text.h"
#include "codec/pb/pb.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "iam/iam_core.h"
#include "iam/iam_priv.h"
#include "iam/iam_store.h"
#include "lpx_reasons.h"

#define NO_MEMORY lpx_err_of(BASE_NO_MEMORY)
#define REQUEST(type, txn) ((const type *)(const void *)(txn)->request)

static lpx_err key_unknown(const char *key_id, lpx_note *note)
{
    return lpx_fail(note, IAM_KEY_UNKNOWN, "There is no API key %s of a network or tenant.", key_id);
}

static lpx_err list_keys(store_tx *tx, rpc_txn *txn)
{
    iam_key_filter filter;
    iam_key *keys;
    size_t count;
    LPX_TRY(iam_key_filter_of(REQUEST(Pb__Iam__V2__ListNetworkAPIKeysRequest, txn), txn->who, &filter, &txn->note));
    LPX_TRY(iam_store_keys(tx, &filter, txn->arena, &keys, &count));
    Pb__Iam__V2__ListNetworkAPIKeysResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    Pb__V3__NetworkAPIKey **list = lpx_arena_array(txn->arena, count, sizeof *list);
    if (reply == NULL || list == NULL) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = iam_key_to_message(&keys[i], txn->arena);
        if (list[i] == NULL) {
            return NO_MEMORY;
        }
    }
    pb__iam__v2__list_network_apikeys_response__init(reply);
    reply->keys = list;
    reply->n_keys = count;
    txn->reply = &reply->base;
    return LPX_SUCCESS;
}

/* The network, and the tenant when one is named, must be registered. */
static lpx_err check_owner(store_tx *tx, rpc_txn *txn, const Pb__Iam__V2__CreateNetworkAPIKeyRequest *in)
{
    lpx_str tenant = pb_str(in->tenant_id);
    bool found;
    LPX_TRY(iam_member_id_check(in->net_id, tenant.len > 0 ? in->tenant_id : NULL, "", &txn->note));
    LPX_TRY(iam_store_member_exists(tx, in->net_id, LPX_STR(""), &found));
    if (!found) {
        return lpx_fail(&txn->note, IAM_NETWORK_UNKNOWN,
                        "Network %06X is not registered; register it before its API keys.", (unsigned)in->net_id);
    }
    if (tenant.len == 0) {
        return LPX_SUCCESS;
    }
    LPX_TRY(iam_store_member_exists(tx, in->net_id, tenant, &found));
    return found ? LPX_SUCCESS
                 : lpx_fail(&txn->note, IAM_TENANT_UNKNOWN,
                            "Tenant %s of network %06X is not registered; register it before its API keys.",
                            in->tenant_id, (unsigned)in->net_id);
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

static lpx_err make_key(rpc_txn *txn, const Pb__Iam__V2__CreateNetworkAPIKeyRequest *in, iam_key *key, lpx_str *secret)
{
    *key = (iam_key){.net_id = in->net_id,
                     .tenant_id = pb_str(in->tenant_id),
                     .cluster_id = pb_str(in->cluster_id),
                     .state = iam_key_first_state(txn->who)};
    *secret = pb_str(in->key);
    if (key->cluster_id.len > 0) {
        LPX_TRY(lw_cluster_id_check(key->cluster_id, "cluster_id", &txn->note));
    }
    LPX_TRY(iam_rights_mask(in->rights, in->n_rights, &key->rights, &txn->note));
    LPX_TRY(iam_key_allowed(txn->who, key->rights, key->cluster_id, &txn->note));
    LPX_TRY(random_text(IAM_KEY_ID_RANDOM_BYTES, txn->arena, &key->key_id));
    return secret->len > 0 ? iam_secret_check(*secret, &txn->note)
                           : random_text(IAM_SECRET_RANDOM_BYTES, txn->arena, secret);
}

static lpx_err create_key(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V2__CreateNetworkAPIKeyRequest *in = REQUEST(Pb__Iam__V2__CreateNetworkAPIKeyRequest, txn);
    iam_key key;
    lpx_str secret;
    uint8_t hash[CRYPTO_SHA256_BYTES];
    LPX_TRY(check_stranger(tx, txn));
    LPX_TRY(check_owner(tx, txn, in));
    LPX_TRY(make_key(txn, in, &key, &secret));
    crypto_sha256(lpx_str_bytes(secret), hash);
    LPX_TRY(iam_store_key_insert(tx, &key, hash, txn->now));
    if (key.state == IAM_KEY_APPROVED) {
        store_touch(tx, STORE_TOPIC_KEYS);
    }
    Pb__Iam__V2__CreateNetworkAPIKeyResponse *reply = lpx_arena_get(txn->arena, sizeof *reply);
    if (reply == NULL) {
        return NO_MEMORY;
    }
    pb__iam__v2__create_network_apikey_response__init(reply);
    reply->key = iam_key_to_message(&key, txn->arena);
    if (reply->key == NULL) {
        return NO_MEMORY;
    }
    reply->key->key = lpx_arena_cstr(txn->arena, secret);
    txn->reply = &reply->base;
    return reply->key->key != NULL ? LPX_SUCCESS : NO_MEMORY;
}

static lpx_err delete_key(store_tx *tx, rpc_txn *txn)
{
    const char *key_id = REQUEST(Pb__Iam__V2__APIKeyRequest, txn)->key_id;
    uint32_t owner;
    bool found;
    LPX_TRY(lw_key_id_check(lpx_str_of(key_id), "key_id", &txn->note));
    LPX_TRY(iam_store_key_owner(tx, lpx_str_of(key_id), &owner, &found));
    if (!found) {
        return key_unknown(key_id, &txn->note);
    }
    if (txn->who->subject == RPC_NETWORK && txn->who->net_id != owner) {
        return lpx_err_of(IAM_KEY_NOT_OWN);
    }
    LPX_TRY(iam_store_key_delete(tx, lpx_str_of(key_id)));
    store_touch(tx, STORE_TOPIC_KEYS);
    return LPX_SUCCESS;
}

static lpx_err update_state(store_tx *tx, rpc_txn *txn)
{
    const Pb__Iam__V2__UpdateAPIKeyStateRequest *in = REQUEST(Pb__Iam__V2__UpdateAPIKeyStateRequest, txn);
    int state = (int)in->state;
    bool found;
    LPX_TRY(lw_key_id_check(lpx_str_of(in->key_id), "key_id", &txn->note));
    if (state < IAM_KEY_REQUESTED || state > IAM_KEY_REJECTED) {
        return lpx_fail(&txn->note, IAM_BAD_STATE, "state is %d; it must be REQUESTED, APPROVED or REJECTED.", state);
    }
    LPX_TRY(iam_store_key_set_state(tx, lpx_str_of(in->key_id), state, &found));
    if (!found) {
        return key_unknown(in->key_id, &txn->note);
    }
    store_touch(tx, STORE_TOPIC_KEYS);
    return LPX_SUCCESS;
}

#define VAULT "/org.packetbroker.iam.v2.NetworkAPIKeyVault/"

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
         .out = &google__protobuf__empty__descriptor,
         .flavour = RPC_WRITE,
         .txn = delete_key},
        {.path = VAULT "UpdateAPIKeyState",
         .in = &pb__iam__v2__update_apikey_state_request__descriptor,
         .out = &google__protobuf__empty__descriptor,
         .flavour = RPC_WRITE,
         .txn = update_state},
    };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        iam_method_add(service, &methods[i]);
    }
}
