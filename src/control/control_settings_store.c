#include "control/control_settings_store.h"
#include "codec/pb/pb.h"
#include "lpx_reasons.h"

#define NO_MEMORY lpx_err_of(BASE_NO_MEMORY)
#define HOME "home_network_net_id = ?1 AND home_network_tenant_id = ?2"

lpx_err control_settings_delete(store_tx *tx, const control_id *home, bool *found)
{
    const store_value id[] = {STORE_V_INT(home->net_id), STORE_V_TEXT(home->tenant_id)};
    int64_t changed;
    LPX_TRY(store_exec(tx, "DELETE FROM home_network_parties WHERE " HOME, id, 2, NULL));
    LPX_TRY(store_exec(tx, "DELETE FROM home_network_settings WHERE " HOME, id, 2, &changed));
    *found = changed > 0;
    return LPX_SUCCESS;
}

static lpx_err put_parties(store_tx *tx, const control_settings *s, int allow)
{
    for (size_t i = 0; i < s->party_count[allow]; i++) {
        const control_party *party = &s->parties[allow][i];
        const store_value values[] = {STORE_V_INT(s->home.net_id),
                                      STORE_V_TEXT(s->home.tenant_id),
                                      STORE_V_INT(allow),
                                      STORE_V_INT(i),
                                      STORE_V_INT(party->id.net_id),
                                      STORE_V_TEXT(party->id.tenant_id),
                                      STORE_V_TEXT(party->cluster_id)};
        LPX_TRY(store_exec(tx,
                           "INSERT INTO home_network_parties (home_network_net_id, home_network_tenant_id, allow, "
                           "position, net_id, tenant_id, cluster_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                           values, 7, NULL));
    }
    return LPX_SUCCESS;
}

lpx_err control_settings_put(store_tx *tx, const control_settings *settings)
{
    const store_value values[] = {STORE_V_INT(settings->home.net_id), STORE_V_TEXT(settings->home.tenant_id),
                                  STORE_V_INT(settings->max_copies), STORE_V_INT(settings->copies_window_us),
                                  STORE_V_INT(settings->updated_at.us)};
    bool found;
    LPX_TRY(control_settings_delete(tx, &settings->home, &found));
    LPX_TRY(store_exec(tx,
                       "INSERT INTO home_network_settings (home_network_net_id, home_network_tenant_id, max_copies, "
                       "copies_window, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                       values, 5, NULL));
    LPX_TRY(put_parties(tx, settings, 0));
    return put_parties(tx, settings, 1);
}

static Lpx__Routing__V1__Party *make_party(store_rows *rows, lpx_arena *arena)
{
    Lpx__Routing__V1__Party *party = lpx_arena_get(arena, sizeof *party);
    if (party == NULL) {
        return NULL;
    }
    lpx__routing__v1__party__init(party);
    party->net_id = (uint32_t)store_col_int(rows, 0);
    party->tenant_id = lpx_arena_cstr(arena, store_col_text(rows, 1));
    party->cluster_id = lpx_arena_cstr(arena, store_col_text(rows, 2));
    return party->tenant_id != NULL && party->cluster_id != NULL ? party : NULL;
}

static lpx_err load_parties(store_tx *tx, const control_id *home, int allow, lpx_arena *arena,
                            Lpx__Routing__V1__Party ***out, size_t *count)
{
    const store_value values[] = {STORE_V_INT(home->net_id), STORE_V_TEXT(home->tenant_id), STORE_V_INT(allow)};
    store_rows *rows;
    LPX_TRY(store_query(tx,
                        "SELECT net_id, tenant_id, cluster_id, COUNT(*) OVER () FROM home_network_parties WHERE " HOME
                        " AND allow = ?3 ORDER BY position",
                        values, 3, &rows));
    Lpx__Routing__V1__Party **list = NULL;
    size_t used = 0;
    bool ok = true;
    while (ok && store_next(rows)) {
        list = list != NULL ? list : lpx_arena_array(arena, (size_t)store_col_int(rows, 3), sizeof *list);
        Lpx__Routing__V1__Party *party = list != NULL ? make_party(rows, arena) : NULL;
        ok = party != NULL;
        if (ok) {
            list[used++] = party;
        }
    }
    LPX_TRY(store_rows_close(&rows));
    *out = list;
    *count = used;
    return ok ? LPX_SUCCESS : NO_MEMORY;
}

static Google__Protobuf__Duration *make_duration(int64_t us, lpx_arena *arena)
{
    Google__Protobuf__Duration *duration = lpx_arena_get(arena, sizeof *duration);
    if (duration != NULL) {
        google__protobuf__duration__init(duration);
        duration->seconds = us / 1000000;
        duration->nanos = (int32_t)(us % 1000000) * 1000;
    }
    return duration;
}

/* One row of the settings, without their parties. */
static Lpx__Routing__V1__HomeNetworkSettings *make_settings(store_rows *rows, const control_id *home, lpx_arena *arena)
{
    Lpx__Routing__V1__HomeNetworkSettings *m = lpx_arena_get(arena, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    int64_t window_us = store_col_int(rows, 1);
    lpx__routing__v1__home_network_settings__init(m);
    m->home_network_net_id = home->net_id;
    m->home_network_tenant_id = lpx_arena_cstr(arena, home->tenant_id);
    m->max_copies = (uint32_t)store_col_int(rows, 0);
    m->copies_window = window_us > 0 ? make_duration(window_us, arena) : NULL;
    m->updated_at = control_time_to_message((lpx_utc){store_col_int(rows, 2)}, arena);
    bool ok =
        m->home_network_tenant_id != NULL && m->updated_at != NULL && (window_us <= 0 || m->copies_window != NULL);
    return ok ? m : NULL;
}

lpx_err control_settings_load(store_tx *tx, const control_id *home, lpx_arena *arena,
                              Lpx__Routing__V1__HomeNetworkSettings **out, bool *found)
{
    const store_value id[] = {STORE_V_INT(home->net_id), STORE_V_TEXT(home->tenant_id)};
    store_rows *rows;
    LPX_TRY(store_query(tx, "SELECT max_copies, copies_window, updated_at FROM home_network_settings WHERE " HOME, id,
                        2, &rows));
    bool there = store_next(rows);
    Lpx__Routing__V1__HomeNetworkSettings *m = there ? make_settings(rows, home, arena) : NULL;
    LPX_TRY(store_rows_close(&rows));
    *found = there;
    if (!there) {
        return LPX_SUCCESS;
    }
    if (m == NULL) {
        return NO_MEMORY;
    }
    LPX_TRY(load_parties(tx, home, 0, arena, &m->deny_forwarders, &m->n_deny_forwarders));
    LPX_TRY(load_parties(tx, home, 1, arena, &m->allow_forwarders, &m->n_allow_forwarders));
    *out = m;
    return LPX_SUCCESS;
}
