/* Rows of API keys, signing keys and administrators. */
#include "iam/iam_store.h"
#include "iam/limits.h"
#include "lpx_reasons.h"

/* Text into room with its NUL. @return false when it does not fit: then the row is not ours */
static bool copy_text(lpx_str text, char *out, size_t room)
{
    if (text.len >= room) {
        return false;
    }
    if (text.len > 0) {
        memcpy(out, text.ptr, text.len);
    }
    out[text.len] = '\0';
    return true;
}

/* API keys. */

lpx_err iam_store_key_insert(store_tx *tx, const iam_key *key, const uint8_t secret_hash[static 32], lpx_utc now)
{
    const store_value values[] = {
        STORE_V_TEXT(key->key_id),     STORE_V_INT(key->net_id), STORE_V_TEXT(key->tenant_id),
        STORE_V_TEXT(key->cluster_id), STORE_V_INT(key->rights), STORE_V_BLOB(lpx_bytes_of(secret_hash, 32)),
        STORE_V_INT(key->state),       STORE_V_INT(now.us),      STORE_V_INT(key->kind),
    };
    return store_exec(tx,
                      "INSERT INTO api_keys (key_id, kind, net_id, tenant_id, cluster_id, rights, secret_hash, state, "
                      "created_at) VALUES (?1, ?9, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                      values, 9, NULL);
}

static bool read_key(store_rows *rows, lpx_arena *arena, iam_key *out)
{
    bool ok = true;
    *out = (iam_key){
        .kind = (iam_key_kind)store_col_int(rows, 7),
        .key_id = iam_store_col(rows, 0, arena, &ok),
        .net_id = (uint32_t)store_col_int(rows, 1),
        .tenant_id = iam_store_col(rows, 2, arena, &ok),
        .cluster_id = iam_store_col(rows, 3, arena, &ok),
        .rights = (uint64_t)store_col_int(rows, 4),
        .state = (int)store_col_int(rows, 5),
        .used = !store_col_null(rows, 6),
        .authenticated_at = {store_col_int(rows, 6)},
    };
    return ok;
}

/* Each condition is off when its flag is 0. */
#define KEY_FILTER                                                                              \
    "FROM api_keys WHERE kind = ?7 AND (?1 = 0 OR net_id = ?2) AND (?3 = 0 OR tenant_id = ?4) " \
    "AND (?5 = 0 OR cluster_id = ?6)"

lpx_err iam_store_keys(store_tx *tx, const iam_key_filter *filter, lpx_arena *arena, iam_key **out, size_t *count)
{
    const store_value values[] = {
        STORE_V_INT(filter->has_net_id ? 1 : 0),
        STORE_V_INT(filter->net_id),
        STORE_V_INT(filter->has_tenant_id ? 1 : 0),
        STORE_V_TEXT(filter->tenant_id),
        STORE_V_INT(filter->has_cluster_id ? 1 : 0),
        STORE_V_TEXT(filter->cluster_id),
        STORE_V_INT(filter->kind),
    };
    int64_t total;
    LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) " KEY_FILTER, values, 7, &total));
    iam_key *keys = lpx_arena_array(arena, (size_t)total, sizeof *keys);
    if (keys == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    bool ok = true;
    LPX_TRY(
        store_query(tx,
                    "SELECT key_id, net_id, tenant_id, cluster_id, rights, state, authenticated_at, kind " KEY_FILTER
                    " ORDER BY net_id, tenant_id, cluster_id, key_id",
                    values, 7, &rows));
    while (ok && used < (size_t)total && store_next(rows)) {
        ok = read_key(rows, arena, &keys[used++]);
    }
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = keys;
    *count = used;
    return LPX_SUCCESS;
}

lpx_err iam_store_key_owner(store_tx *tx, iam_key_kind kind, lpx_str key_id, uint32_t *net_id, bool *found)
{
    const store_value values[] = {STORE_V_TEXT(key_id), STORE_V_INT(kind)};
    store_rows *rows;
    LPX_TRY(store_query(tx, "SELECT net_id FROM api_keys WHERE key_id = ?1 AND kind = ?2", values, 2, &rows));
    bool there = store_next(rows);
    uint32_t owner = there ? (uint32_t)store_col_int(rows, 0) : 0;
    LPX_TRY(store_rows_close(&rows));
    *net_id = owner;
    *found = there;
    return LPX_SUCCESS;
}

lpx_err iam_store_key_delete(store_tx *tx, lpx_str key_id)
{
    const store_value id = STORE_V_TEXT(key_id);
    return store_exec(tx, "DELETE FROM api_keys WHERE key_id = ?1", &id, 1, NULL);
}

lpx_err iam_store_key_set_state(store_tx *tx, iam_key_kind kind, lpx_str key_id, int state, bool *found)
{
    const store_value values[] = {STORE_V_TEXT(key_id), STORE_V_INT(state), STORE_V_INT(kind)};
    int64_t changed;
    LPX_TRY(store_exec(tx, "UPDATE api_keys SET state = ?2 WHERE key_id = ?1 AND kind = ?3", values, 3, &changed));
    *found = changed > 0;
    return LPX_SUCCESS;
}

lpx_err iam_store_keys_waiting(store_tx *tx, int64_t *count)
{
    const store_value state = STORE_V_INT(IAM_KEY_REQUESTED);
    return iam_store_number(tx, "SELECT COUNT(*) FROM api_keys WHERE state = ?1", &state, 1, count);
}

lpx_err iam_store_client(store_tx *tx, lpx_str key_id, lpx_arena *arena, iam_client_key *out)
{
    const store_value id = STORE_V_TEXT(key_id);
    store_rows *rows;
    LPX_TRY(
        store_query(tx,
                    "SELECT key_id, kind, net_id, tenant_id, cluster_id, rights, secret_hash, state, authenticated_at "
                    "FROM api_keys WHERE key_id = ?1",
                    &id, 1, &rows));
    bool ok = true;
    iam_client_key key = {.found = store_next(rows)};
    if (key.found) {
        lpx_bytes hash = store_col_blob(rows, 6);
        key.key_id = iam_store_col(rows, 0, arena, &ok);
        key.is_cluster = store_col_int(rows, 1) == IAM_KEY_OF_CLUSTER;
        key.net_id = (uint32_t)store_col_int(rows, 2);
        key.tenant_id = iam_store_col(rows, 3, arena, &ok);
        key.cluster_id = iam_store_col(rows, 4, arena, &ok);
        key.rights = (uint64_t)store_col_int(rows, 5);
        key.state = (int)store_col_int(rows, 7);
        key.used = !store_col_null(rows, 8);
        key.authenticated_at = (lpx_utc){store_col_int(rows, 8)};
        key.found = hash.len == sizeof key.secret_hash;
        memcpy(key.secret_hash, key.found ? hash.ptr : key.secret_hash, sizeof key.secret_hash);
    }
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = key;
    return LPX_SUCCESS;
}

lpx_err iam_store_key_used(store_tx *tx, lpx_str key_id, lpx_utc now, lpx_utc before)
{
    const store_value values[] = {STORE_V_TEXT(key_id), STORE_V_INT(now.us), STORE_V_INT(before.us)};
    return store_exec(tx,
                      "UPDATE api_keys SET authenticated_at = ?2 WHERE key_id = ?1 "
                      "AND (authenticated_at IS NULL OR authenticated_at <= ?3 OR authenticated_at > ?2)",
                      values, 3, NULL);
}

static bool read_auth_key(store_rows *rows, rpc_auth_key *out)
{
    out->is_cluster = store_col_int(rows, 1) == IAM_KEY_OF_CLUSTER;
    out->net_id = (uint32_t)store_col_int(rows, 2);
    out->rights = (uint64_t)store_col_int(rows, 5);
    return copy_text(store_col_text(rows, 0), out->key_id, sizeof out->key_id) &&
           copy_text(store_col_text(rows, 3), out->tenant_id, sizeof out->tenant_id) &&
           copy_text(store_col_text(rows, 4), out->cluster_id, sizeof out->cluster_id);
}

lpx_err iam_store_auth_keys(store_tx *tx, lpx_arena *arena, rpc_auth_key **out, size_t *count)
{
    const store_value state = STORE_V_INT(IAM_KEY_APPROVED);
    int64_t total;
    LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) FROM api_keys WHERE state = ?1", &state, 1, &total));
    rpc_auth_key *keys = lpx_arena_array(arena, (size_t)total, sizeof *keys);
    if (keys == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    LPX_TRY(store_query(tx,
                        "SELECT key_id, kind, net_id, tenant_id, cluster_id, rights FROM api_keys WHERE state = ?1 "
                        "ORDER BY key_id",
                        &state, 1, &rows));
    while (used < (size_t)total && store_next(rows)) {
        used += read_auth_key(rows, &keys[used]) ? 1 : 0;
    }
    LPX_TRY(store_rows_close(&rows));
    *out = keys;
    *count = used;
    return LPX_SUCCESS;
}

/* Signing keys. */

lpx_err iam_store_signing_keys(store_tx *tx, lpx_arena *arena, iam_signing_row **out, size_t *count)
{
    iam_signing_row *list = lpx_arena_array(arena, IAM_MAX_SIGNING_KEYS, sizeof *list);
    if (list == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    bool ok = true;
    LPX_TRY(store_query(
        tx, "SELECT kid, jwk, use_from, sign_until, verify_until FROM signing_keys ORDER BY created_at, kid", NULL, 0,
        &rows));
    while (ok && used < IAM_MAX_SIGNING_KEYS && store_next(rows)) {
        list[used++] = (iam_signing_row){
            .kid = iam_store_col(rows, 0, arena, &ok),
            .jwk = iam_store_col(rows, 1, arena, &ok),
            .times = {.use_from = {store_col_int(rows, 2)},
                      .sign_until = {store_col_int(rows, 3)},
                      .verify_until = {store_col_int(rows, 4)}},
        };
    }
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = list;
    *count = used;
    return LPX_SUCCESS;
}

lpx_err iam_store_signing_insert(store_tx *tx, const iam_signing_row *row, lpx_utc now)
{
    const store_value values[] = {STORE_V_TEXT(row->kid),
                                  STORE_V_TEXT(row->jwk),
                                  STORE_V_INT(now.us),
                                  STORE_V_INT(row->times.use_from.us),
                                  STORE_V_INT(row->times.sign_until.us),
                                  STORE_V_INT(row->times.verify_until.us)};
    return store_exec(tx,
                      "INSERT INTO signing_keys (kid, jwk, created_at, use_from, sign_until, verify_until) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                      values, 6, NULL);
}

lpx_err iam_store_signing_follow(store_tx *tx, lpx_str kid, lpx_utc sign_until, lpx_utc verify_until)
{
    const store_value sign[] = {STORE_V_TEXT(kid), STORE_V_INT(sign_until.us)};
    const store_value verify[] = {STORE_V_TEXT(kid), STORE_V_INT(verify_until.us)};
    LPX_TRY(
        store_exec(tx, "UPDATE signing_keys SET sign_until = ?2 WHERE kid <> ?1 AND sign_until > ?2", sign, 2, NULL));
    return store_exec(tx, "UPDATE signing_keys SET verify_until = ?2 WHERE kid <> ?1 AND verify_until > ?2", verify, 2,
                      NULL);
}

lpx_err iam_store_signing_delete(store_tx *tx, lpx_str kid)
{
    const store_value id = STORE_V_TEXT(kid);
    return store_exec(tx, "DELETE FROM signing_keys WHERE kid = ?1", &id, 1, NULL);
}

/* Administrators. */

lpx_err iam_store_admin_count(store_tx *tx, int64_t *count)
{
    return iam_store_number(tx, "SELECT COUNT(*) FROM admins", NULL, 0, count);
}

lpx_err iam_store_admin_put(store_tx *tx, lpx_str username, lpx_str phc, lpx_utc now)
{
    const store_value values[] = {STORE_V_TEXT(username), STORE_V_TEXT(phc), STORE_V_INT(now.us)};
    return store_exec(tx,
                      "INSERT INTO admins (username, password_phc, created_at, updated_at) VALUES (?1, ?2, ?3, ?3) "
                      "ON CONFLICT (username) DO UPDATE SET password_phc = ?2, updated_at = ?3",
                      values, 3, NULL);
}

lpx_err iam_store_admin_phc(store_tx *tx, lpx_str username, lpx_arena *arena, lpx_str *phc)
{
    const store_value name = STORE_V_TEXT(username);
    store_rows *rows;
    bool ok = true;
    lpx_str found = LPX_STR("");
    LPX_TRY(store_query(tx, "SELECT password_phc FROM admins WHERE username = ?1", &name, 1, &rows));
    if (store_next(rows)) {
        found = iam_store_col(rows, 0, arena, &ok);
    }
    LPX_TRY(store_rows_close(&rows));
    *phc = found;
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

lpx_err iam_store_admins(store_tx *tx, lpx_arena *arena, rpc_auth_admin **out, size_t *count)
{
    int64_t total;
    LPX_TRY(iam_store_admin_count(tx, &total));
    rpc_auth_admin *admins = lpx_arena_array(arena, (size_t)total, sizeof *admins);
    if (admins == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    LPX_TRY(store_query(tx, "SELECT username, password_phc FROM admins ORDER BY username", NULL, 0, &rows));
    while (used < (size_t)total && store_next(rows)) {
        rpc_auth_admin *a = &admins[used];
        used += copy_text(store_col_text(rows, 0), a->username, sizeof a->username) &&
                        copy_text(store_col_text(rows, 1), a->password_phc, sizeof a->password_phc)
                    ? 1
                    : 0;
    }
    LPX_TRY(store_rows_close(&rows));
    *out = admins;
    *count = used;
    return LPX_SUCCESS;
}
