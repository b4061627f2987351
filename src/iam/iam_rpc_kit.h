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

/** Failure: a network, or a tenant, is not registered. */
lpx_err iam_member_unknown(const iam_member *id, lpx_note *note);
