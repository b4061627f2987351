/* Rows of client certificates: SQL and nothing else; thread, memory and errors as in iam_store.h. */
#pragma once
#include "iam/iam_cert_core.h"
#include "rpc/authn.h"
#include "store/store.h"

/** Add a certificate. @param made false: there is one with this fingerprint, and nothing was changed */
LPX_RESULT iam_store_cert_insert(store_tx *tx, const iam_cert *cert, bool *made);
/** Read one. @param found false: there is none, and *out is untouched */
LPX_RESULT iam_store_cert_get(store_tx *tx, lpx_str fingerprint, lpx_arena *arena, iam_cert *out, bool *found);
/** A page by network, tenant, age; total counts all that pass. */
LPX_RESULT iam_store_certs(store_tx *tx, const iam_cert_filter *filter, lpx_arena *arena, iam_cert **out, size_t *count,
                           uint32_t *total);
/** Revoke one that is not revoked yet. */
LPX_RESULT iam_store_cert_revoke(store_tx *tx, lpx_str fingerprint, lpx_utc now);
/** How many rows of certificates that have not ended a network has, or all clusters together, revoked ones too. */
LPX_RESULT iam_store_cert_count(store_tx *tx, const iam_cert *owner, lpx_utc now, int64_t *count);
/** Forget certificates that ended before a time. */
LPX_RESULT iam_store_certs_purge(store_tx *tx, lpx_utc before);
/** Write the last use. */
LPX_RESULT iam_store_cert_used(store_tx *tx, lpx_str fingerprint, lpx_utc now);
/** All certificates, for the authentication snapshot. */
LPX_RESULT iam_store_auth_certs(store_tx *tx, lpx_arena *arena, rpc_auth_cert **out, size_t *count);
