/* Join Servers from the store: rows and targets. */
#include <stdlib.h>

#include "codec/pb/pb.h"
#include "crypto/hash.h"
#include "lpx_reasons.h"
#include "pb_v3_api.pb-c.h"
#include "router/router_join.h"
#include "router/router_priv.h"

/* Rows while they are read. */
typedef struct reading {
    lpx_arena arena; /* of the rows; targets and their secrets pass through, so it is wiped */
    router_join_server *servers;
    router_join_prefix *prefixes;
    uint32_t *networks;
    size_t server_count, server_room;
    size_t prefix_count, prefix_room;
    size_t network_count, network_room;
} reading;

/* ---- targets ---- */

static ts002_auth basic(const Pb__V3__Target__BasicAuth *in)
{
    return (ts002_auth){.kind = TS002_AUTH_BASIC, .username = pb_str(in->username), .password = pb_str(in->password)};
}

static ts002_auth custom(const Pb__V3__Target__CustomAuth *in)
{
    return (ts002_auth){.kind = TS002_AUTH_CUSTOM, .value = pb_str(in->value)};
}

static ts002_auth certificate(const Pb__V3__Target__TLSClientAuth *in)
{
    return (ts002_auth){.kind = TS002_AUTH_CERTIFICATE, .cert = pb_bytes(in->cert), .key = pb_bytes(in->key)};
}

static ts002_auth auth_of_target(const Pb__V3__Target *in)
{
    switch (in->default_authentication_case) {
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_BASIC_AUTH:
        return basic(in->basic_auth);
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_CUSTOM_AUTH:
        return custom(in->custom_auth);
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_TLS_CLIENT_AUTH:
        return certificate(in->tls_client_auth);
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION_PB_TOKEN_AUTH:
        return (ts002_auth){.kind = TS002_AUTH_TOKEN};
    case PB__V3__TARGET__DEFAULT_AUTHENTICATION__NOT_SET:
    case _PB__V3__TARGET__DEFAULT_AUTHENTICATION__CASE_IS_INT_SIZE:
        break;
    }
    return (ts002_auth){.kind = TS002_AUTH_NONE};
}

static ts002_auth auth_of_origin(const Pb__V3__Target__Authentication *in)
{
    switch (in->value_case) {
    case PB__V3__TARGET__AUTHENTICATION__VALUE_BASIC_AUTH:
        return basic(in->basic_auth);
    case PB__V3__TARGET__AUTHENTICATION__VALUE_CUSTOM_AUTH:
        return custom(in->custom_auth);
    case PB__V3__TARGET__AUTHENTICATION__VALUE_TLS_CLIENT_AUTH:
        return certificate(in->tls_client_auth);
    case PB__V3__TARGET__AUTHENTICATION__VALUE_PB_TOKEN_AUTH:
        return (ts002_auth){.kind = TS002_AUTH_TOKEN};
    case PB__V3__TARGET__AUTHENTICATION__VALUE__NOT_SET:
    case _PB__V3__TARGET__AUTHENTICATION__VALUE__CASE_IS_INT_SIZE:
        break;
    }
    return (ts002_auth){.kind = TS002_AUTH_NONE};
}

/* Credentials of single networks; an entry without any counts as none. */
static lpx_err read_origins(const Pb__V3__Target *in, lpx_arena *arena, ts002_target_spec *out)
{
    size_t count = in->n_origin_net_id_authentication;
    ts002_origin *origins = lpx_arena_array(arena, count + 1, sizeof *origins);
    if (origins == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        const Pb__V3__Target__OriginNetIdAuthenticationEntry *entry = in->origin_net_id_authentication[i];
        ts002_origin origin = {.net_id = entry->key};
        if (entry->value != NULL) {
            origin.auth = auth_of_origin(entry->value);
        }
        if (origin.auth.kind != TS002_AUTH_NONE) {
            origins[out->origin_count++] = origin;
        }
    }
    out->origins = origins;
    return LPX_SUCCESS;
}

static lpx_err make_target(uint32_t id, lpx_bytes blob, lpx_arena *arena, ts002_target **out, lpx_note *note)
{
    ProtobufCMessage *message = NULL;
    uint8_t hash[CRYPTO_SHA256_BYTES];
    LPX_TRY(pb_decode(&pb__v3__target__descriptor, blob, arena, &message, note));
    const Pb__V3__Target *in = (const void *)message;
    crypto_sha256(blob, hash);
    ts002_target_spec spec = {.id = id,
                              .version = in->protocol == PB__V3__PROTOCOL__TS002_V1_1 ? TS002_1_1 : TS002_1_0,
                              .address = pb_str(in->address),
                              .root_cas = pb_bytes(in->root_cas),
                              .auth = auth_of_target(in)};
    memcpy(&spec.digest, hash, sizeof spec.digest);
    if (in->protocol != PB__V3__PROTOCOL__TS002_V1_0 && in->protocol != PB__V3__PROTOCOL__TS002_V1_1) {
        return lpx_fail(note, TS002_BAD_TARGET, "The protocol of a Join Server is TS002_V1_0 or TS002_V1_1.");
    }
    LPX_TRY(read_origins(in, arena, &spec));
    return ts002_target_new(&spec, out, note);
}

/* ---- rows ---- */

static bool grow(void **list, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return true;
    }
    size_t bigger = *room > 0 ? *room * 2 : 64;
    void *moved = realloc(*list, bigger * size);
    if (moved == NULL) {
        return false;
    }
    *list = moved;
    *room = bigger;
    return true;
}

static bool keep(reading *r, lpx_str text, lpx_str *out)
{
    *out = lpx_bytes_str(lpx_arena_copy(&r->arena, lpx_str_bytes(text)));
    return out->ptr != NULL;
}

/* One whose target cannot be used stays in its place: its devices are nobody else's. */
static lpx_err read_server(void *ctx, store_rows *rows)
{
    reading *r = ctx;
    void *list = r->servers;
    if (r->server_count >= ROUTER_MAX_JOIN_SERVERS ||
        !grow(&list, r->server_count, &r->server_room, sizeof *r->servers)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->servers = list;
    router_join_server server = {.id = (uint32_t)store_col_int(rows, 0), .is_fixed = !store_col_null(rows, 2)};
    if (server.is_fixed) {
        server.fixed.net_id = (uint32_t)store_col_int(rows, 2);
        if (!keep(r, store_col_text(rows, 3), &server.fixed.tenant_id) ||
            !keep(r, store_col_text(rows, 4), &server.fixed.cluster_id)) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
    } else {
        lpx_note note = {""};
        lpx_err err = make_target(server.id, store_col_blob(rows, 1), &r->arena, &server.target, &note);
        if (lpx_failed(err)) {
            LPX_LOG(LPX_LOG_WARN, "join_server_unusable", LPX_F_INT("join_server", server.id),
                    LPX_F_STR("text", lpx_str_of(note.text[0] != 0 ? note.text : lpx_reason_text(err.reason))));
        }
    }
    r->servers[r->server_count++] = server;
    return LPX_SUCCESS;
}

static lpx_err read_prefix(void *ctx, store_rows *rows)
{
    reading *r = ctx;
    void *list = r->prefixes;
    if (r->prefix_count >= ROUTER_MAX_JOIN_PREFIXES ||
        !grow(&list, r->prefix_count, &r->prefix_room, sizeof *r->prefixes)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->prefixes = list;
    r->prefixes[r->prefix_count++] = (router_join_prefix){.server_id = (uint32_t)store_col_int(rows, 0),
                                                          .value = (uint64_t)store_col_int(rows, 1),
                                                          .length = (uint8_t)store_col_int(rows, 2)};
    return LPX_SUCCESS;
}

static lpx_err read_network(void *ctx, store_rows *rows)
{
    reading *r = ctx;
    void *list = r->networks;
    if (!grow(&list, r->network_count, &r->network_room, sizeof *r->networks)) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->networks = list;
    r->networks[r->network_count++] = (uint32_t)store_col_int(rows, 0);
    return LPX_SUCCESS;
}

/* A Join Server without resolver is only listed. */
static lpx_err read_everything(store_tx *tx, reading *r)
{
    LPX_TRY(
        store_each(tx,
                   "SELECT join_server_id, lookup, fixed_net_id, fixed_tenant_id, fixed_cluster_id FROM join_servers "
                   "WHERE lookup IS NOT NULL OR fixed_net_id IS NOT NULL ORDER BY join_server_id",
                   NULL, 0, read_server, r));
    if (r->server_count == 0) {
        return LPX_SUCCESS;
    }
    LPX_TRY(store_each(tx, "SELECT join_server_id, prefix_value, prefix_length FROM join_eui_prefixes", NULL, 0,
                       read_prefix, r));
    return store_each(tx, "SELECT net_id FROM networks", NULL, 0, read_network, r);
}

lpx_err router_join_load(store_tx *tx, const router_delegation_row *delegations, size_t delegation_count,
                         router_join_table **out)
{
    reading r = {.server_count = 0};
    lpx_arena_init_wiped(&r.arena, ROUTER_LOAD_BYTES);
    lpx_err err = read_everything(tx, &r);
    if (!lpx_failed(err) && r.server_count > 0) {
        const router_join_rows rows = {.servers = r.servers,
                                       .server_count = r.server_count,
                                       .prefixes = r.prefixes,
                                       .prefix_count = r.prefix_count,
                                       .networks = r.networks,
                                       .network_count = r.network_count,
                                       .delegations = delegations,
                                       .delegation_count = delegation_count};
        *out = router_join_table_new(&rows);
        err = *out != NULL ? LPX_SUCCESS : lpx_err_of(BASE_NO_MEMORY);
    }
    for (size_t i = 0; i < r.server_count; i++) {
        ts002_target_unref(&r.servers[i].target);
    }
    free(r.servers);
    free(r.prefixes);
    free(r.networks);
    lpx_arena_fini(&r.arena);
    return err;
}
