#include "iam/iam_cert_store.h"

#include "iam/iam_store.h"
#include "lpx_reasons.h"

#define COLUMNS                                                                                                  \
    "fingerprint, subject, issuer, serial, not_before, not_after, own_ca, kind, net_id, tenant_id, cluster_id, " \
    "rights, "                                                                                                   \
    "created_at, revoked_at, authenticated_at"

lpx_err iam_store_cert_insert(store_tx *tx, const iam_cert *cert, bool *made)
{
    const store_value values[] = {
        STORE_V_TEXT(cert->fingerprint),   STORE_V_TEXT(cert->subject),      STORE_V_TEXT(cert->issuer),
        STORE_V_TEXT(cert->serial),        STORE_V_INT(cert->not_before.us), STORE_V_INT(cert->not_after.us),
        STORE_V_INT(cert->own_ca ? 1 : 0), STORE_V_INT(cert->kind),          STORE_V_INT(cert->net_id),
        STORE_V_TEXT(cert->tenant_id),     STORE_V_TEXT(cert->cluster_id),   STORE_V_INT(cert->rights),
        STORE_V_INT(cert->created_at.us),
    };
    int64_t changed;
    LPX_TRY(store_exec(tx,
                       "INSERT INTO client_certificates (fingerprint, subject, issuer, serial, not_before, not_after, "
                       "own_ca, kind, net_id, tenant_id, cluster_id, rights, created_at) VALUES (?1, ?2, ?3, ?4, ?5, "
                       "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (fingerprint) DO NOTHING",
                       values, sizeof values / sizeof values[0], &changed));
    *made = changed > 0;
    return LPX_SUCCESS;
}

static bool read_cert(store_rows *rows, lpx_arena *arena, iam_cert *out)
{
    bool ok = true;
    *out = (iam_cert){
        .fingerprint = iam_store_col(rows, 0, arena, &ok),
        .subject = iam_store_col(rows, 1, arena, &ok),
        .issuer = iam_store_col(rows, 2, arena, &ok),
        .serial = iam_store_col(rows, 3, arena, &ok),
        .not_before = {store_col_int(rows, 4)},
        .not_after = {store_col_int(rows, 5)},
        .own_ca = store_col_int(rows, 6) != 0,
        .kind = store_col_int(rows, 7) == IAM_KEY_OF_CLUSTER ? IAM_KEY_OF_CLUSTER : IAM_KEY_OF_NETWORK,
        .net_id = (uint32_t)store_col_int(rows, 8),
        .tenant_id = iam_store_col(rows, 9, arena, &ok),
        .cluster_id = iam_store_col(rows, 10, arena, &ok),
        .rights = (uint64_t)store_col_int(rows, 11),
        .created_at = {store_col_int(rows, 12)},
        .revoked = !store_col_null(rows, 13),
        .revoked_at = {store_col_int(rows, 13)},
        .used = !store_col_null(rows, 14),
        .authenticated_at = {store_col_int(rows, 14)},
    };
    return ok;
}

lpx_err iam_store_cert_get(store_tx *tx, lpx_str fingerprint, lpx_arena *arena, iam_cert *out, bool *found)
{
    const store_value id = STORE_V_TEXT(fingerprint);
    store_rows *rows;
    iam_cert cert;
    LPX_TRY(store_query(tx, "SELECT " COLUMNS " FROM client_certificates WHERE fingerprint = ?1", &id, 1, &rows));
    bool there = store_next(rows);
    bool ok = !there || read_cert(rows, arena, &cert);
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (there) {
        *out = cert;
    }
    *found = there;
    return LPX_SUCCESS;
}

/* Each condition is off when its flag is 0. */
#define FILTER                                                                                                  \
    "FROM client_certificates WHERE (?1 = 0 OR (kind = 0 AND net_id = ?2)) AND (?3 = 0 OR tenant_id = ?4) AND " \
    "(?5 <> 0 OR revoked_at IS NULL)"

lpx_err iam_store_certs(store_tx *tx, const iam_cert_filter *filter, lpx_arena *arena, iam_cert **out, size_t *count,
                        uint32_t *total)
{
    const store_value values[] = {
        STORE_V_INT(filter->has_net_id ? 1 : 0),
        STORE_V_INT(filter->net_id),
        STORE_V_INT(filter->has_tenant_id ? 1 : 0),
        STORE_V_TEXT(filter->tenant_id),
        STORE_V_INT(filter->with_revoked ? 1 : 0),
        STORE_V_INT(filter->limit),
        STORE_V_INT(filter->offset),
    };
    int64_t all;
    LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) " FILTER, values, 5, &all));
    iam_cert *certs = lpx_arena_array(arena, filter->limit, sizeof *certs);
    if (certs == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    bool ok = true;
    LPX_TRY(store_query(
        tx, "SELECT " COLUMNS " " FILTER " ORDER BY net_id, tenant_id, created_at, fingerprint LIMIT ?6 OFFSET ?7",
        values, 7, &rows));
    while (ok && used < filter->limit && store_next(rows)) {
        ok = read_cert(rows, arena, &certs[used++]);
    }
    LPX_TRY(store_rows_close(&rows));
    if (!ok) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *out = certs;
    *count = used;
    *total = (uint32_t)all;
    return LPX_SUCCESS;
}

lpx_err iam_store_cert_revoke(store_tx *tx, lpx_str fingerprint, lpx_utc now)
{
    const store_value values[] = {STORE_V_TEXT(fingerprint), STORE_V_INT(now.us)};
    return store_exec(tx,
                      "UPDATE client_certificates SET revoked_at = ?2 WHERE fingerprint = ?1 AND revoked_at IS NULL",
                      values, 2, NULL);
}

lpx_err iam_store_cert_count(store_tx *tx, const iam_cert *owner, lpx_utc now, int64_t *count)
{
    const store_value values[] = {STORE_V_INT(owner->kind), STORE_V_INT(owner->net_id), STORE_V_INT(now.us)};
    return iam_store_number(
        tx, "SELECT COUNT(*) FROM client_certificates WHERE kind = ?1 AND net_id = ?2 AND not_after > ?3", values, 3,
        count);
}

lpx_err iam_store_certs_purge(store_tx *tx, lpx_utc before)
{
    const store_value end = STORE_V_INT(before.us);
    return store_exec(tx, "DELETE FROM client_certificates WHERE not_after < ?1", &end, 1, NULL);
}

lpx_err iam_store_cert_used(store_tx *tx, lpx_str fingerprint, lpx_utc now)
{
    const store_value values[] = {STORE_V_TEXT(fingerprint), STORE_V_INT(now.us)};
    return store_exec(tx, "UPDATE client_certificates SET authenticated_at = ?2 WHERE fingerprint = ?1", values, 2,
                      NULL);
}

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

static bool read_auth_cert(store_rows *rows, rpc_auth_cert *out)
{
    out->is_cluster = store_col_int(rows, 1) == IAM_KEY_OF_CLUSTER;
    out->net_id = (uint32_t)store_col_int(rows, 2);
    out->rights = (uint64_t)store_col_int(rows, 5);
    out->not_before = (lpx_utc){store_col_int(rows, 6)};
    out->not_after = (lpx_utc){store_col_int(rows, 7)};
    out->revoked = !store_col_null(rows, 8);
    out->authenticated_at = (lpx_utc){store_col_int(rows, 9)};
    return copy_text(store_col_text(rows, 0), out->fingerprint, sizeof out->fingerprint) &&
           copy_text(store_col_text(rows, 3), out->tenant_id, sizeof out->tenant_id) &&
           copy_text(store_col_text(rows, 4), out->cluster_id, sizeof out->cluster_id);
}

lpx_err iam_store_auth_certs(store_tx *tx, lpx_arena *arena, rpc_auth_cert **out, size_t *count)
{
    int64_t total;
    LPX_TRY(iam_store_number(tx, "SELECT COUNT(*) FROM client_certificates", NULL, 0, &total));
    rpc_auth_cert *certs = lpx_arena_array(arena, (size_t)total, sizeof *certs);
    if (certs == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    store_rows *rows;
    size_t used = 0;
    LPX_TRY(store_query(tx,
                        "SELECT fingerprint, kind, net_id, tenant_id, cluster_id, rights, not_before, not_after, "
                        "revoked_at, authenticated_at FROM client_certificates",
                        NULL, 0, &rows));
    while (used < (size_t)total && store_next(rows)) {
        used += read_auth_cert(rows, &certs[used]) ? 1 : 0;
    }
    LPX_TRY(store_rows_close(&rows));
    *out = certs;
    *count = used;
    return LPX_SUCCESS;
}
