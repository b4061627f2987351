#include "iam/iam_join_core.h"

#include "iam/limits.h"
#include "lpx_reasons.h"

/* Requests. */

iam_join_change iam_join_change_of(const Pb__V3__JoinServer *server)
{
    iam_join_change c = {.at = "join_server.", .has_name = true, .has_admin = true, .has_tech = true};
    c.has_listed = c.has_prefixes = true;
    c.name = pb_str(server->name);
    c.admin = server->administrative_contact;
    c.tech = server->technical_contact;
    c.listed = server->listed != 0;
    c.prefixes = server->join_eui_prefixes;
    c.prefix_count = server->n_join_eui_prefixes;
    c.lookup = server->resolver_case == PB__V3__JOIN_SERVER__RESOLVER_LOOKUP ? server->lookup : NULL;
    c.fixed = server->resolver_case == PB__V3__JOIN_SERVER__RESOLVER_FIXED ? server->fixed : NULL;
    return c;
}

iam_join_change iam_join_change_of_update(const Pb__Iam__V2__UpdateJoinServerRequest *request)
{
    iam_join_change c = {.at = ""};
    c.has_name = request->name != NULL;
    c.name = pb_str(c.has_name ? request->name->value : NULL);
    c.has_admin = request->administrative_contact != NULL;
    c.admin = c.has_admin ? request->administrative_contact->value : NULL;
    c.has_tech = request->technical_contact != NULL;
    c.tech = c.has_tech ? request->technical_contact->value : NULL;
    c.has_listed = request->listed != NULL;
    c.listed = c.has_listed && request->listed->value != 0;
    c.has_prefixes = request->join_eui_prefixes != NULL;
    c.prefixes = c.has_prefixes ? request->join_eui_prefixes->value : NULL;
    c.prefix_count = c.has_prefixes ? request->join_eui_prefixes->n_value : 0;
    bool lookup = request->resolver_case == PB__IAM__V2__UPDATE_JOIN_SERVER_REQUEST__RESOLVER_LOOKUP;
    bool fixed = request->resolver_case == PB__IAM__V2__UPDATE_JOIN_SERVER_REQUEST__RESOLVER_FIXED;
    c.lookup = lookup ? request->lookup : NULL;
    c.fixed = fixed ? request->fixed : NULL;
    return c;
}

/* Changes. */

static bool has_prefix(const lw_eui64_prefix *list, size_t count, lw_eui64_prefix prefix)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].value == prefix.value && list[i].length == prefix.length) {
            return true;
        }
    }
    return false;
}

static lpx_err apply_prefixes(iam_join_server *server, const iam_join_change *change, lpx_arena *arena, lpx_note *note)
{
    if (change->prefix_count > IAM_MAX_PREFIXES) {
        return lpx_fail(note, IAM_BAD_PREFIX, "%sjoin_eui_prefixes has %zu entries; at most %d are allowed.",
                        change->at, change->prefix_count, (int)IAM_MAX_PREFIXES);
    }
    lw_eui64_prefix *list = lpx_arena_array(arena, change->prefix_count, sizeof *list);
    size_t count = 0;
    if (list == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < change->prefix_count; i++) {
        const Pb__V3__JoinEUIPrefix *in = change->prefixes[i];
        if (in->length > 64) {
            return lpx_fail(note, IAM_BAD_PREFIX, "%sjoin_eui_prefixes[%zu].length is %u; it must be 0 to 64.",
                            change->at, i, (unsigned)in->length);
        }
        lw_eui64_prefix prefix =
            lw_eui64_prefix_normal((lw_eui64_prefix){.value = in->value, .length = (uint8_t)in->length});
        if (!has_prefix(list, count, prefix)) {
            list[count++] = prefix;
        }
    }
    server->prefixes = list;
    server->prefix_count = count;
    return LPX_SUCCESS;
}

static lpx_err apply_lookup(iam_join_server *server, const iam_join_change *change, lpx_arena *arena, lpx_note *note)
{
    const char *field = lpx_arena_printf(arena, "%slookup", change->at);
    if (field == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    LPX_TRY(iam_target_read(change->lookup, field, arena, &server->lookup, note));
    server->resolver = IAM_RESOLVER_LOOKUP;
    return LPX_SUCCESS;
}

/* The member need not be registered: another exchange may serve it. */
static lpx_err apply_fixed(iam_join_server *server, const iam_join_change *change, lpx_note *note)
{
    const Pb__V3__JoinServerFixedEndpoint *fixed = change->fixed;
    lpx_str tenant = pb_str(fixed->tenant_id);
    lpx_str cluster = pb_str(fixed->cluster_id);
    lpx_note plain;
    if (lpx_failed(iam_member_id_check(fixed->net_id, tenant.len > 0 ? fixed->tenant_id : NULL, "fixed.", &plain))) {
        return lpx_fail(note, IAM_BAD_RESOLVER, "%s%s", change->at, plain.text);
    }
    if (cluster.len > 0 && lpx_failed(lw_cluster_id_check(cluster, "fixed.cluster_id", &plain))) {
        return lpx_fail(note, IAM_BAD_RESOLVER, "%s%s", change->at, plain.text);
    }
    server->resolver = IAM_RESOLVER_FIXED;
    server->fixed_net_id = fixed->net_id;
    server->fixed_tenant_id = tenant;
    server->fixed_cluster_id = cluster;
    return LPX_SUCCESS;
}

static lpx_err apply_texts(iam_join_server *server, const iam_join_change *change, lpx_note *note)
{
    if (change->has_name) {
        LPX_TRY(iam_text_check(change->name, IAM_NAME_MAX_BYTES, change->at, "name", note));
        server->name = change->name;
    }
    if (change->has_admin) {
        LPX_TRY(iam_contact_read(change->admin, change->at, &iam_admin_names, &server->admin, note));
    }
    return change->has_tech ? iam_contact_read(change->tech, change->at, &iam_tech_names, &server->tech, note)
                            : LPX_SUCCESS;
}

lpx_err iam_join_change_apply(iam_join_server *server, const iam_join_change *change, lpx_arena *arena, lpx_note *note)
{
    iam_join_server changed = *server;
    LPX_TRY(apply_texts(&changed, change, note));
    if (change->has_listed) {
        changed.listed = change->listed;
    }
    if (change->has_prefixes) {
        LPX_TRY(apply_prefixes(&changed, change, arena, note));
    }
    if (change->lookup != NULL) {
        LPX_TRY(apply_lookup(&changed, change, arena, note));
    }
    if (change->fixed != NULL) {
        LPX_TRY(apply_fixed(&changed, change, note));
    }
    *server = changed;
    return LPX_SUCCESS;
}

/* Answers. */

iam_view iam_view_of_join_server(const rpc_principal *who)
{
    return (iam_view){.contacts = iam_has_right(who, IAM_RIGHT_READ_JOIN_SERVER_CONTACT),
                      .secrets = iam_has_right(who, IAM_RIGHT_READ_TARGET_AUTH)};
}

static bool put_prefixes(const iam_join_server *server, lpx_arena *arena, Pb__V3__JoinServer *out)
{
    Pb__V3__JoinEUIPrefix **list = lpx_arena_array(arena, server->prefix_count, sizeof *list);
    if (list == NULL) {
        return false;
    }
    for (size_t i = 0; i < server->prefix_count; i++) {
        list[i] = lpx_arena_get(arena, sizeof *list[i]);
        if (list[i] == NULL) {
            return false;
        }
        pb__v3__join_euiprefix__init(list[i]);
        list[i]->value = server->prefixes[i].value;
        list[i]->length = server->prefixes[i].length;
    }
    out->join_eui_prefixes = list;
    out->n_join_eui_prefixes = server->prefix_count;
    return true;
}

static bool put_fixed(const iam_join_server *server, lpx_arena *arena, Pb__V3__JoinServer *out)
{
    Pb__V3__JoinServerFixedEndpoint *fixed = lpx_arena_get(arena, sizeof *fixed);
    if (fixed == NULL) {
        return false;
    }
    pb__v3__join_server_fixed_endpoint__init(fixed);
    fixed->net_id = server->fixed_net_id;
    out->resolver_case = PB__V3__JOIN_SERVER__RESOLVER_FIXED;
    out->fixed = fixed;
    return iam_put_text(server->fixed_tenant_id, arena, &fixed->tenant_id) &&
           iam_put_text(server->fixed_cluster_id, arena, &fixed->cluster_id);
}

static bool put_resolver(const iam_join_server *server, bool secrets, lpx_arena *arena, Pb__V3__JoinServer *out)
{
    switch (server->resolver) {
    case IAM_RESOLVER_NONE:
        return true;
    case IAM_RESOLVER_LOOKUP:
        out->resolver_case = PB__V3__JOIN_SERVER__RESOLVER_LOOKUP;
        return iam_put_target(server->lookup, secrets, arena, &out->lookup);
    case IAM_RESOLVER_FIXED:
        return put_fixed(server, arena, out);
    }
    return false;
}

Pb__V3__JoinServer *iam_join_server_to_message(const iam_join_server *server, iam_view view, lpx_arena *arena)
{
    Pb__V3__JoinServer *j = lpx_arena_get(arena, sizeof *j);
    if (j == NULL) {
        return NULL;
    }
    pb__v3__join_server__init(j);
    j->id = server->id;
    j->listed = server->listed;
    bool ok = iam_put_text(server->name, arena, &j->name) && put_prefixes(server, arena, j) &&
              put_resolver(server, view.secrets, arena, j);
    if (ok && view.contacts) {
        ok = iam_put_contact(&server->admin, arena, &j->administrative_contact) &&
             iam_put_contact(&server->tech, arena, &j->technical_contact);
    }
    return ok ? j : NULL;
}

Pb__V3__JoinServer *iam_join_server_to_catalog(const iam_join_server *server, iam_view view, lpx_arena *arena)
{
    iam_join_server shown = *server;
    shown.resolver = IAM_RESOLVER_NONE;
    return iam_join_server_to_message(&shown, view, arena);
}
