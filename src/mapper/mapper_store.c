#include "mapper/mapper_store.h"

#include <stdlib.h>

#include "lpx_reasons.h"

/* ---- members ---- */

lpx_err mapper_store_registered(store_tx *tx, traffic_member member, bool *found)
{
    const store_value values[] = {STORE_V_INT(member.net_id), STORE_V_TEXT(member.tenant_id)};
    bool network = member.tenant_id.len == 0;
    store_rows *rows;
    LPX_TRY(store_query(tx,
                        network ? "SELECT 1 FROM networks WHERE net_id = ?1"
                                : "SELECT 1 FROM tenants WHERE net_id = ?1 AND tenant_id = ?2",
                        values, network ? 1 : 2, &rows));
    *found = store_next(rows);
    return store_rows_close(&rows);
}

/* ---- one gateway ---- */

static lpx_err read_stored(store_rows *rows, lpx_arena *arena, mapper_stored *out)
{
    ProtobufCMessage *message = NULL;
    lpx_bytes bytes = store_col_blob(rows, 1);
    out->key = lpx_bytes_str(lpx_arena_copy(arena, lpx_str_bytes(store_col_text(rows, 0))));
    if (out->key.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (bytes.len > 0) {
        LPX_TRY(pb_decode(&pb__v3__gateway__descriptor, bytes, arena, &message, NULL));
    }
    out->gateway = (Pb__V3__Gateway *)message;
    out->online_until = (lpx_utc){store_col_int(rows, 2)};
    out->updated_at = (lpx_utc){store_col_int(rows, 3)};
    return LPX_SUCCESS;
}

lpx_err mapper_store_get(store_tx *tx, traffic_member forwarder, lpx_str key, lpx_arena *arena, mapper_stored *out,
                         bool *found)
{
    const store_value values[] = {STORE_V_INT(forwarder.net_id), STORE_V_TEXT(forwarder.tenant_id), STORE_V_TEXT(key)};
    store_rows *rows;
    LPX_TRY(store_query(tx,
                        "SELECT gateway_key, gateway, online_until, updated_at FROM gateways "
                        "WHERE forwarder_net_id = ?1 AND forwarder_tenant_id = ?2 AND gateway_key = ?3",
                        values, 3, &rows));
    *found = store_next(rows);
    lpx_err err = *found ? read_stored(rows, arena, out) : LPX_SUCCESS;
    lpx_err closed = store_rows_close(&rows);
    return lpx_failed(err) ? err : closed;
}

lpx_err mapper_store_other_key(store_tx *tx, const mapper_update *update, lpx_arena *arena, mapper_stored *out,
                               bool *found)
{
    *found = false;
    if (!update->has_eui) {
        return LPX_SUCCESS;
    }
    const store_value values[] = {STORE_V_INT(update->forwarder.net_id), STORE_V_TEXT(update->forwarder.tenant_id),
                                  STORE_V_INT((int64_t)update->eui), STORE_V_TEXT(update->forwarder.cluster_id)};
    store_rows *rows;
    LPX_TRY(
        store_query(tx,
                    "SELECT gateway_key, gateway, online_until, updated_at FROM gateways WHERE forwarder_net_id = ?1 "
                    "AND forwarder_tenant_id = ?2 AND eui = ?3 AND forwarder_cluster_id = ?4 "
                    "ORDER BY updated_at DESC",
                    values, 4, &rows));
    lpx_err err = LPX_SUCCESS;
    mapper_key_kind kind = mapper_key_kind_of(lpx_str_of(update->key));
    while (!lpx_failed(err) && !*found && store_next(rows)) {
        *found = mapper_key_kind_of(store_col_text(rows, 0)) != kind;
        err = *found ? read_stored(rows, arena, out) : LPX_SUCCESS;
    }
    lpx_err closed = store_rows_close(&rows);
    return lpx_failed(err) ? err : closed;
}

lpx_err mapper_store_put(store_tx *tx, const mapper_update *update, const mapper_stored *made, lpx_utc now,
                         lpx_arena *arena)
{
    lpx_bytes bytes;
    LPX_TRY(pb_encode(&made->gateway->base, arena, &bytes));
    const store_value values[] = {
        STORE_V_INT(update->forwarder.net_id),
        STORE_V_TEXT(update->forwarder.tenant_id),
        STORE_V_TEXT(made->key),
        STORE_V_TEXT(update->forwarder.cluster_id),
        update->has_eui ? STORE_V_INT((int64_t)update->eui) : STORE_V_NULL,
        STORE_V_BLOB(bytes),
        STORE_V_INT(made->online_until.us),
        STORE_V_INT(now.us),
    };
    return store_exec(tx,
                      "INSERT INTO gateways (forwarder_net_id, forwarder_tenant_id, gateway_key, forwarder_cluster_id, "
                      "eui, gateway, online_until, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
                      "ON CONFLICT (forwarder_net_id, forwarder_tenant_id, gateway_key) DO UPDATE SET "
                      "forwarder_cluster_id = excluded.forwarder_cluster_id, eui = excluded.eui, "
                      "gateway = excluded.gateway, online_until = excluded.online_until, "
                      "updated_at = excluded.updated_at",
                      values, sizeof values / sizeof values[0], NULL);
}

lpx_err mapper_store_retire(store_tx *tx, traffic_member forwarder, lpx_str key, lpx_utc now)
{
    const store_value values[] = {STORE_V_INT(forwarder.net_id), STORE_V_TEXT(forwarder.tenant_id), STORE_V_TEXT(key),
                                  STORE_V_BLOB(lpx_bytes_of("", 0)), STORE_V_INT(now.us)};
    return store_exec(tx,
                      "UPDATE gateways SET gateway = ?4, eui = NULL, online_until = 0, updated_at = ?5 "
                      "WHERE forwarder_net_id = ?1 AND forwarder_tenant_id = ?2 AND gateway_key = ?3",
                      values, 5, NULL);
}

/* ---- pages of changes ---- */

static bool keep(lpx_arena *arena, lpx_str text, lpx_str *out)
{
    *out = lpx_bytes_str(lpx_arena_copy(arena, lpx_str_bytes(text)));
    return out->ptr != NULL;
}

/* Columns as in mapper_store_page. The scratch arena holds the message while it is read. */
static lpx_err read_row(store_rows *rows, lpx_arena *arena, lpx_arena *scratch, mapper_row *out)
{
    ProtobufCMessage *message;
    *out = (mapper_row){.forwarder = {.net_id = (uint32_t)store_col_int(rows, 0)},
                        .eui = (uint64_t)store_col_int(rows, 4),
                        .known = store_col_null(rows, 4) ? 0 : MAPPER_HAS_EUI,
                        .online_until = {store_col_int(rows, 6)},
                        .updated_at = {store_col_int(rows, 7)}};
    if (!keep(arena, store_col_text(rows, 1), &out->forwarder.tenant_id) ||
        !keep(arena, store_col_text(rows, 2), &out->key) ||
        !keep(arena, store_col_text(rows, 3), &out->forwarder.cluster_id)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_bytes bytes = store_col_blob(rows, 5);
    bool readable = bytes.len > 0 && out->key.len <= MAPPER_KEY_BYTES &&
                    !lpx_failed(pb_decode(&pb__v3__gateway__descriptor, bytes, scratch, &message, NULL));
    if (readable) {
        mapper_row_fill((const Pb__V3__Gateway *)message, out);
    } else {
        out->known = MAPPER_GONE;
    }
    lpx_arena_reset(scratch);
    return LPX_SUCCESS;
}

lpx_err mapper_store_page(store_tx *tx, const mapper_feed *after, lpx_arena *arena, mapper_row *out, size_t *count)
{
    const store_value values[] = {STORE_V_INT(after->updated_at.us), STORE_V_INT(after->forwarder.net_id),
                                  STORE_V_TEXT(after->forwarder.tenant_id), STORE_V_TEXT(after->key),
                                  STORE_V_INT(MAPPER_PAGE_ROWS)};
    enum { SCRATCH_BYTES = 4 << 20 };
    store_rows *rows;
    LPX_TRY(store_query(tx,
                        "SELECT forwarder_net_id, forwarder_tenant_id, gateway_key, forwarder_cluster_id, eui, "
                        "gateway, online_until, updated_at FROM gateways "
                        "WHERE (updated_at, forwarder_net_id, forwarder_tenant_id, gateway_key) > (?1, ?2, ?3, ?4) "
                        "ORDER BY updated_at, forwarder_net_id, forwarder_tenant_id, gateway_key LIMIT ?5",
                        values, 5, &rows));
    lpx_err err = LPX_SUCCESS;
    size_t read = 0;
    lpx_arena scratch;
    lpx_arena_init(&scratch, SCRATCH_BYTES);
    while (!lpx_failed(err) && read < MAPPER_PAGE_ROWS && store_next(rows)) {
        err = read_row(rows, arena, &scratch, &out[read++]);
    }
    lpx_arena_fini(&scratch);
    lpx_err closed = store_rows_close(&rows);
    *count = read;
    return lpx_failed(err) ? err : closed;
}

/* ---- visibilities ---- */

/* Rows while they are read. */
typedef struct reading {
    lpx_arena text;
    mapper_grant *grants;
    traffic_member *members;
    size_t grant_count, grant_room, member_count, member_room;
} reading;

static bool grow(void **list, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return true;
    }
    size_t bigger = *room > 0 ? *room * 2 : 64;
    void *moved = count < MAPPER_MAX_GRANTS ? realloc(*list, bigger * size) : NULL;
    if (moved == NULL) {
        return false;
    }
    *list = moved;
    *room = bigger;
    return true;
}

static bool read_grant(reading *r, store_rows *rows)
{
    void *list = r->grants;
    if (!grow(&list, r->grant_count, &r->grant_room, sizeof *r->grants)) {
        return false;
    }
    r->grants = list;
    mapper_grant *grant = &r->grants[r->grant_count++];
    *grant = (mapper_grant){.forwarder = {.net_id = (uint32_t)store_col_int(rows, 0)},
                            .is_default = store_col_int(rows, 2) != 0,
                            .home = {.net_id = (uint32_t)store_col_int(rows, 3)},
                            .parts = (uint32_t)store_col_int(rows, 5)};
    return keep(&r->text, store_col_text(rows, 1), &grant->forwarder.tenant_id) &&
           keep(&r->text, store_col_text(rows, 4), &grant->home.tenant_id);
}

static bool read_member(reading *r, store_rows *rows)
{
    void *list = r->members;
    if (!grow(&list, r->member_count, &r->member_room, sizeof *r->members)) {
        return false;
    }
    r->members = list;
    traffic_member *member = &r->members[r->member_count++];
    member->net_id = (uint32_t)store_col_int(rows, 0);
    return keep(&r->text, store_col_text(rows, 1), &member->tenant_id);
}

static lpx_err read_all(store_tx *tx, const char *sql, reading *r, bool (*read)(reading *r, store_rows *rows))
{
    store_rows *rows;
    LPX_TRY(store_query(tx, sql, NULL, 0, &rows));
    bool ok = true;
    while (ok && store_next(rows)) {
        ok = read(r, rows);
    }
    LPX_TRY(store_rows_close(&rows));
    return ok ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
}

static lpx_err read_everything(store_tx *tx, reading *r)
{
    LPX_TRY(read_all(tx,
                     "SELECT forwarder_net_id, forwarder_tenant_id, is_default, home_network_net_id, "
                     "home_network_tenant_id, flags FROM gateway_visibilities",
                     r, read_grant));
    LPX_TRY(read_all(tx, "SELECT net_id, '' FROM networks", r, read_member));
    return read_all(tx, "SELECT net_id, tenant_id FROM tenants", r, read_member);
}

lpx_err mapper_store_grants(store_tx *tx, mapper_grants **out)
{
    reading r = {.grants = NULL};
    lpx_arena_init(&r.text, MAPPER_GRANTS_BYTES);
    lpx_err err = read_everything(tx, &r);
    if (!lpx_failed(err)) {
        *out = mapper_grants_new(r.grants, r.grant_count, r.members, r.member_count);
        err = *out != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
    }
    free(r.grants);
    free(r.members);
    lpx_arena_fini(&r.text);
    return err;
}

/* ---- removing ---- */

lpx_err mapper_store_remove_before(store_tx *tx, lpx_utc time, int64_t *removed)
{
    const store_value values[] = {STORE_V_INT(time.us), STORE_V_INT(MAPPER_SWEEP_ROWS)};
    return store_exec(tx,
                      "DELETE FROM gateways WHERE (forwarder_net_id, forwarder_tenant_id, gateway_key) IN "
                      "(SELECT forwarder_net_id, forwarder_tenant_id, gateway_key FROM gateways "
                      "WHERE updated_at < ?1 ORDER BY updated_at LIMIT ?2)",
                      values, 2, removed);
}

lpx_err mapper_store_remove_forwarder(store_tx *tx, traffic_member forwarder, bool *removed)
{
    const store_value values[] = {STORE_V_INT(forwarder.net_id), STORE_V_TEXT(forwarder.tenant_id)};
    bool registered;
    LPX_TRY(mapper_store_registered(tx, forwarder, &registered));
    *removed = !registered;
    return registered ? LPX_SUCCESS
                      : store_exec(tx, "DELETE FROM gateways WHERE forwarder_net_id = ?1 AND forwarder_tenant_id = ?2",
                                   values, 2, NULL);
}
