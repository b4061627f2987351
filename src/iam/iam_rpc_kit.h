/* What the files of requests share. For this folder alone. */
#pragma once
#include "codec/pb/pb.h"
#include "iam/iam_core.h"
#include "iam/iam_priv.h"
#include "iam/iam_store.h"
#include "lpx_reasons.h"
#include "rpc/walks.h"

#define NO_MEMORY lpx_err_of(BASE_NO_MEMORY)

/** Request of this type. */
#define REQUEST(type, txn) ((const type *)(const void *)(txn)->request)

/** Begin a page of members: where it begins, and how many rows are skipped. @param query as rpc_walk_begin */
LPX_RESULT iam_walk_begin(rpc_txn *txn, const char *method, const ProtobufCMessage *query, uint32_t offset,
                          rpc_walk *walk, iam_page *page);
/** End a page of members. @return the total to answer */
uint32_t iam_walk_end(rpc_txn *txn, const rpc_walk *walk, const iam_member *members, size_t count, uint32_t behind);

/** Answer a page of Join Servers (ListJoinServersRequest). @param catalog listed ones alone, without resolvers */
LPX_RESULT iam_list_join_servers(store_tx *tx, rpc_txn *txn, const char *method, bool catalog);

/** The network, and the tenant when one is named, must be registered. @param what they are registered before, for notes
 * @err NOT_FOUND: IAM_NETWORK_UNKNOWN, IAM_TENANT_UNKNOWN; those of iam_member_id_check */
LPX_RESULT iam_owner_check(store_tx *tx, uint32_t net_id, lpx_str tenant_id, const char *what, lpx_note *note);
/** Failure: a network, or a tenant, is not registered. */
lpx_err iam_member_unknown(const iam_member *id, lpx_note *note);
