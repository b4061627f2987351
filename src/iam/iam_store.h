/* The rows of identity and access management: SQL and nothing else. Every function runs inside a transaction, on its
 * thread; what it reads lies in the arena.
 * Errors of all: those of store_exec and store_query, and RESOURCE_EXHAUSTED: BASE_NO_MEMORY. */
#pragma once
#include "iam/iam_core.h"
#include "iam/iam_keyring_core.h"
#include "iam/iam_token_core.h"
#include "rpc/authn.h"
#include "store/store.h"

/** Run a query that answers one number. */
LPX_RESULT iam_store_number(store_tx *tx, const char *sql, const store_value *values, size_t count, int64_t *out);
/** Copy of a text column of the present row; ok turns false when memory is short. */
lpx_str iam_store_col(store_rows *rows, unsigned column, lpx_arena *arena, bool *ok);

/* Members: networks (tenant_id empty) and tenants. */

/** Read one member with its blocks. @param found false: there is none, and *out is untouched */
LPX_RESULT iam_store_member_get(store_tx *tx, uint32_t net_id, lpx_str tenant_id, lpx_arena *arena, iam_member *out,
                                bool *found);
/** Is there such a member? */
LPX_RESULT iam_store_member_exists(store_tx *tx, uint32_t net_id, lpx_str tenant_id, bool *found);
/** Add a member with its blocks. @param made false: it exists already, and nothing was changed */
LPX_RESULT iam_store_member_insert(store_tx *tx, const iam_member *member, lpx_utc now, bool *made);
/** Write all fields of a member but its blocks and authority. */
LPX_RESULT iam_store_member_update(store_tx *tx, const iam_member *member, lpx_utc now);
/** Replace the blocks of a member. */
LPX_RESULT iam_store_blocks_replace(store_tx *tx, const iam_member *member, lpx_utc now);
/** Write listed alone. @param found false: there is no such member */
LPX_RESULT iam_store_listed_set(store_tx *tx, uint32_t net_id, lpx_str tenant_id, bool listed, lpx_utc now,
                                bool *found);
/** Delete a network or tenant with its tenants, blocks, API keys and the policies of both sides.
 * @param found false: there was none */
LPX_RESULT iam_store_member_delete(store_tx *tx, uint32_t net_id, lpx_str tenant_id, bool *found);

/** The networks that delegate to this one, as the space of its blocks. */
LPX_RESULT iam_store_space(store_tx *tx, uint32_t net_id, lpx_arena *arena, iam_space *out);
/** Delete the blocks of a network and its tenants that lie in these addresses. */
LPX_RESULT iam_store_blocks_delete_in(store_tx *tx, uint32_t net_id, lw_devaddr_prefix addresses);

/** Which members a page holds. */
typedef struct iam_page {
    bool tenants;  /* tenants of net_id, by tenant_id; else networks, by net_id */
    bool only_one; /* networks: net_id alone */
    uint32_t net_id;
    iam_filter filter;
    uint32_t offset, limit;
} iam_page;

/** Read a page of members with their blocks; total counts all that pass the filter. */
LPX_RESULT iam_store_members(store_tx *tx, const iam_page *page, lpx_arena *arena, iam_member **out, size_t *count,
                             uint32_t *total);
/** For each of count networks, sorted by net_id, the networks that delegate to it. */
LPX_RESULT iam_store_spaces(store_tx *tx, const iam_member *networks, size_t count, lpx_arena *arena, iam_space **out);

/* API keys. */

/** Add a key of a network or tenant. */
LPX_RESULT iam_store_key_insert(store_tx *tx, const iam_key *key, const uint8_t secret_hash[static 32], lpx_utc now);
/** Keys of networks and tenants that pass the filter, by network, tenant, key id. */
LPX_RESULT iam_store_keys(store_tx *tx, const iam_key_filter *filter, lpx_arena *arena, iam_key **out, size_t *count);
/** Owner of a key of a network or tenant. @param found false: there is none, or it is a cluster's */
LPX_RESULT iam_store_key_owner(store_tx *tx, lpx_str key_id, uint32_t *net_id, bool *found);
/** Delete a key. */
LPX_RESULT iam_store_key_delete(store_tx *tx, lpx_str key_id);
/** Set the state of a key of a network or tenant. @param found false: there is none, or it is a cluster's */
LPX_RESULT iam_store_key_set_state(store_tx *tx, lpx_str key_id, int state, bool *found);
/** How many keys wait for approval. */
LPX_RESULT iam_store_keys_waiting(store_tx *tx, int64_t *count);
/** What the token endpoint needs of a key; out->found tells whether there is one. */
LPX_RESULT iam_store_client(store_tx *tx, lpx_str key_id, lpx_arena *arena, iam_client_key *out);
/** Write "last used" of a key that was last used before the given time, or never. */
LPX_RESULT iam_store_key_used(store_tx *tx, lpx_str key_id, lpx_utc now, lpx_utc before);

/** All approved keys, of clusters too, for the authentication snapshot. */
LPX_RESULT iam_store_auth_keys(store_tx *tx, lpx_arena *arena, rpc_auth_key **out, size_t *count);

/* Signing keys. */

/** A stored signing key; jwk is a secret. */
typedef struct iam_signing_row {
    lpx_str kid, jwk;
    iam_ring_key times;
} iam_signing_row;

/** All signing keys, oldest first, at most IAM_MAX_SIGNING_KEYS.
 * @param arena a wiped one */
LPX_RESULT iam_store_signing_keys(store_tx *tx, lpx_arena *arena, iam_signing_row **out, size_t *count);
/** Add a signing key. */
LPX_RESULT iam_store_signing_insert(store_tx *tx, const iam_signing_row *row, lpx_utc now);
/** End signing and verifying by all other keys than kid no later than given. */
LPX_RESULT iam_store_signing_follow(store_tx *tx, lpx_str kid, lpx_utc sign_until, lpx_utc verify_until);
/** Drop a signing key. */
LPX_RESULT iam_store_signing_delete(store_tx *tx, lpx_str kid);

/* Administrators. */

/** How many there are. */
LPX_RESULT iam_store_admin_count(store_tx *tx, int64_t *count);
/** Make an administrator or change its password. */
LPX_RESULT iam_store_admin_put(store_tx *tx, lpx_str username, lpx_str phc, lpx_utc now);
/** PHC string of an administrator's password; empty when there is no such administrator. */
LPX_RESULT iam_store_admin_phc(store_tx *tx, lpx_str username, lpx_arena *arena, lpx_str *phc);
/** All administrators, for the authentication snapshot. @param arena a wiped one */
LPX_RESULT iam_store_admins(store_tx *tx, lpx_arena *arena, rpc_auth_admin **out, size_t *count);
