/* The rows of identity and access management: SQL and nothing else. Every function runs inside a transaction, on its
 * thread; what it reads lies in the arena.
 * Errors of all: those of store_exec and store_query, and RESOURCE_EXHAUSTED: BASE_NO_MEMORY. */
#pragma once
#include "iam/iam_core.h"
#include "iam/iam_join_core.h"
#include "iam/iam_keyring_core.h"
#include "iam/iam_token_core.h"
#include "rpc/authn.h"
#include "store/store.h"

/** Run a query that answers one number. */
LPX_RESULT iam_store_number(store_tx *tx, const char *sql, const store_value *values, size_t count, int64_t *out);
/** Copy of a text column of the present row; ok turns false when memory is short. */
lpx_str iam_store_col(store_rows *rows, unsigned column, lpx_arena *arena, bool *ok);
/** The same for bytes. */
lpx_bytes iam_store_col_bytes(store_rows *rows, unsigned column, lpx_arena *arena, bool *ok);
/** A contact from three text columns. */
iam_contact iam_store_contact(store_rows *rows, unsigned first, lpx_arena *arena, bool *ok);

/* Members: networks (tenant_id empty) and tenants. */

/* Columns of a member, in the order of the numbers below. */
#define IAM_CONTACT_COLUMNS "admin_name, admin_email, admin_url, tech_name, tech_email, tech_url"
#define IAM_NETWORK_COLUMNS \
    "net_id, '' AS tenant_id, authority, name, " IAM_CONTACT_COLUMNS ", listed, target, delegated_net_id"
#define IAM_TENANT_COLUMNS "net_id, tenant_id, authority, name, " IAM_CONTACT_COLUMNS ", listed, target, NULL"

enum {
    IAM_COL_NET_ID,
    IAM_COL_TENANT_ID,
    IAM_COL_AUTHORITY,
    IAM_COL_NAME,
    IAM_COL_ADMIN,
    IAM_COL_TECH = IAM_COL_ADMIN + 3,
    IAM_COL_LISTED = IAM_COL_TECH + 3,
    IAM_COL_TARGET,
    IAM_COL_DELEGATED,
};

/** The member of the present row, without blocks. @return false when memory is short */
bool iam_store_read_member(store_rows *rows, lpx_arena *arena, iam_member *out);
/** Read the blocks of members, which are sorted by network and tenant. */
LPX_RESULT iam_store_blocks(store_tx *tx, iam_member *members, size_t count, lpx_arena *arena);

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
/** Delete a network or tenant with its tenants, blocks, API keys, gateways, settings, and the policies and visibilities
 * of both sides; revoke its certificates; take it out of Join Servers and delegations. */
LPX_RESULT iam_store_member_delete(store_tx *tx, uint32_t net_id, lpx_str tenant_id, lpx_utc now);

/** The networks that delegate to this one, as the space of its blocks. */
LPX_RESULT iam_store_space(store_tx *tx, uint32_t net_id, lpx_arena *arena, iam_space *out);
/** Does the chain of delegations that begins at one network lead to another? Also when it is longer than chains may be.
 */
LPX_RESULT iam_store_delegates_to(store_tx *tx, uint32_t from, uint32_t to, bool *out);
/** Delete the blocks of a network and its tenants that lie in these addresses. */
LPX_RESULT iam_store_blocks_delete_in(store_tx *tx, uint32_t net_id, lw_devaddr_prefix addresses);

/** Which members a page holds. Lists are ordered by network and tenant. */
typedef struct iam_page {
    bool tenants;  /* tenants of net_id; else networks */
    bool only_one; /* networks: net_id alone */
    uint32_t net_id;
    iam_filter filter;
    int64_t after_net_id; /* begin behind this place: -1 and an empty text for the list's begin */
    lpx_str after_tenant_id;
    uint32_t skip, limit; /* then leave out so many rows, and answer so many at most */
} iam_page;

/** Read a page of members with their blocks; behind counts all behind the place that pass the filter. */
LPX_RESULT iam_store_members(store_tx *tx, const iam_page *page, lpx_arena *arena, iam_member **out, size_t *count,
                             uint32_t *behind);
/** Rows of members into a page. @param behind set when there is a filter @return false when memory is short */
bool iam_store_read_page(store_rows *rows, const iam_page *page, lpx_arena *arena, iam_member *members, size_t *count,
                         uint32_t *behind);

/** What the catalog shows. */
typedef struct iam_catalog {
    bool home_only;     /* those with DevAddr blocks */
    bool with_partners; /* unlisted ones too that have a policy with this member, in either direction */
    uint32_t partner_net_id;
    lpx_str partner_tenant_id;
    iam_page page; /* of it filter, after, skip and limit */
} iam_catalog;

/** Read a page of networks and tenants with their blocks. */
LPX_RESULT iam_store_catalog(store_tx *tx, const iam_catalog *ask, lpx_arena *arena, iam_member **out, size_t *count,
                             uint32_t *behind);
/** For each of count networks, sorted by net_id, the networks that delegate to it. */
LPX_RESULT iam_store_spaces(store_tx *tx, const iam_member *networks, size_t count, lpx_arena *arena, iam_space **out);

/* Join Servers. */

/** Which Join Servers a page holds; ordered by id. */
typedef struct iam_join_page {
    bool listed_only;
    lpx_str name_contains;
    int64_t after_id; /* begin behind this id; 0: at the list's begin */
    uint32_t skip, limit;
} iam_join_page;

/** Read a page of Join Servers with their prefixes; behind counts all behind the place that pass the filter. */
LPX_RESULT iam_store_join_servers(store_tx *tx, const iam_join_page *page, lpx_arena *arena, iam_join_server **out,
                                  size_t *count, uint32_t *behind);
/** Read one Join Server with its prefixes. @param found false: there is none, and *out is untouched */
LPX_RESULT iam_store_join_server_get(store_tx *tx, uint32_t id, lpx_arena *arena, iam_join_server *out, bool *found);
/** An id that was never given before. @err RESOURCE_EXHAUSTED: IAM_NO_JOIN_SERVER_ID */
LPX_RESULT iam_store_join_server_next_id(store_tx *tx, uint32_t *out);
/** Add a Join Server with its prefixes. */
LPX_RESULT iam_store_join_server_insert(store_tx *tx, const iam_join_server *server, lpx_utc now);
/** Write all fields of a Join Server but its prefixes. */
LPX_RESULT iam_store_join_server_update(store_tx *tx, const iam_join_server *server, lpx_utc now);
/** Replace the prefixes of a Join Server. */
LPX_RESULT iam_store_prefixes_replace(store_tx *tx, const iam_join_server *server, lpx_utc now);
/** Delete a Join Server with its prefixes. @param found false: there was none */
LPX_RESULT iam_store_join_server_delete(store_tx *tx, uint32_t id, bool *found);

/* API keys. */

/** Add a key. */
LPX_RESULT iam_store_key_insert(store_tx *tx, const iam_key *key, const uint8_t secret_hash[static 32], lpx_utc now);
/** Keys that pass the filter, by network, tenant, key id. */
LPX_RESULT iam_store_keys(store_tx *tx, const iam_key_filter *filter, lpx_arena *arena, iam_key **out, size_t *count);
/** Network of a key of this kind. @param found false: there is no such key of this kind */
LPX_RESULT iam_store_key_owner(store_tx *tx, iam_key_kind kind, lpx_str key_id, uint32_t *net_id, bool *found);
/** Delete a key. */
LPX_RESULT iam_store_key_delete(store_tx *tx, lpx_str key_id);
/** Set the state of a key of this kind. @param found false: there is no such key of this kind */
LPX_RESULT iam_store_key_set_state(store_tx *tx, iam_key_kind kind, lpx_str key_id, int state, bool *found);
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
