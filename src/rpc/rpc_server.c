/* What the calls of one loop share: methods, verdicts, streams, the gRPC server. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"

static int by_path(const void *a, const void *b)
{
    return strcmp(((const method_entry *)a)->method->path, ((const method_entry *)b)->method->path);
}

/* Paths differ in their length and at their end. Only our own ones are ever put into the index. */
static size_t hash_of(lpx_str path)
{
    uint64_t words[2] = {0, 0};
    size_t tail = path.len < sizeof words ? path.len : sizeof words;
    memcpy(words, path.ptr + path.len - tail, tail);
    uint64_t mixed = (words[0] ^ path.len) * UINT64_C(0x9E3779B97F4A7C15) + words[1];
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return (size_t)(mixed >> 32);
}

const method_entry *rpc_find_method(const rpc_server *server, lpx_str path)
{
    if (server->method_index == NULL || path.len == 0) {
        return NULL;
    }
    for (size_t at = hash_of(path);; at++) {
        uint16_t found = server->method_index[at & server->method_index_mask];
        if (found == 0) {
            return NULL;
        }
        const method_entry *entry = &server->methods[found - 1];
        if (entry->path_len == path.len && memcmp(entry->method->path, path.ptr, path.len) == 0) {
            return entry;
        }
    }
}

/* Half of the places stay free. */
static lpx_err index_methods(rpc_server *server)
{
    size_t places = 16;
    while (places < 2 * server->method_count) {
        places *= 2;
    }
    uint16_t *index = calloc(places, sizeof *index);
    if (index == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    lpx_assert(server->method_count < UINT16_MAX);
    for (size_t i = 0; i < server->method_count; i++) {
        size_t at = hash_of(lpx_str_of(server->methods[i].method->path));
        while (index[at & (places - 1)] != 0) {
            at++;
        }
        index[at & (places - 1)] = (uint16_t)(i + 1);
    }
    free(server->method_index);
    server->method_index = index;
    server->method_index_mask = places - 1;
    return LPX_SUCCESS;
}

bool rpc_serves(const rpc_server *server, lpx_str service)
{
    for (size_t i = 0; i < server->method_count; i++) {
        const char *name = server->methods[i].method->path + 1;
        if (strncmp(name, service.ptr, service.len) == 0 && name[service.len] == '/') {
            return true;
        }
    }
    return false;
}

static void wait_is_over(io_timer *timer)
{
    rpc_auth_retry(LPX_CONTAINER(timer, rpc_server, wait_timer));
}

lpx_err rpc_server_new(const rpc_server_opts *opts, rpc_server **out)
{
    rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    server->loop = opts->loop;
    server->store = opts->store;
    server->password_workers = opts->password_workers;
    server->walks = opts->walks;
    lpx_list_init(&server->streams);
    lpx_list_init(&server->waiting);
    static const grpc_server_opts defaults = {0};
    server->cert_due_us = INT64_MAX;
    server->cert_used = opts->cert_used;
    server->cert_used_ctx = opts->cert_used_ctx;
    lpx_err err = io_timer_init(&server->wait_timer, opts->loop, wait_is_over);
    err = lpx_failed(err) ? err : io_timer_init(&server->cert_timer, opts->loop, rpc_cert_ends);
    if (!lpx_failed(err)) {
        err = grpc_server_new(opts->loop, opts->grpc != NULL ? opts->grpc : &defaults, rpc_grpc_events(), server,
                              &server->grpc);
    }
    if (lpx_failed(err)) {
        io_timer_fini(&server->wait_timer);
        io_timer_fini(&server->cert_timer);
        free(server);
        return err;
    }
    *out = server;
    return LPX_SUCCESS;
}

lpx_err rpc_server_add(rpc_server *server, const rpc_method *methods, size_t count, lpx_note *note)
{
    method_entry *grown = realloc(server->methods, (server->method_count + count) * sizeof *grown);
    if (grown == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    server->methods = grown;
    for (size_t i = 0; i < count; i++) {
        const rpc_rule *rule = rpc_authz_find(methods[i].path);
        if (rule == NULL) {
            return lpx_fail(note, BASE_INTERNAL, "%s has no row in the authorisation table.", methods[i].path);
        }
        if (methods[i].flavour == RPC_HOT && rule->scope == RPC_SCOPE_FILTER) {
            return lpx_fail(note, BASE_INTERNAL, "%s narrows a list and cannot be hot.", methods[i].path);
        }
        rpc_stats *stats = calloc(1, sizeof *stats);
        if (stats == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
        grown[server->method_count++] =
            (method_entry){.method = &methods[i], .path_len = strlen(methods[i].path), .rule = rule, .stats = stats};
    }
    qsort(grown, server->method_count, sizeof *grown, by_path);
    return index_methods(server);
}

static lpx_err shutting_down(const rpc_call *call)
{
    (void)call;
    return lpx_err_of(RPC_SHUTTING_DOWN);
}

void rpc_server_set_auth(rpc_server *server, rpc_auth_snapshot *snapshot)
{
    rpc_auth_snapshot_unref(&server->auth);
    server->auth = rpc_auth_snapshot_ref(snapshot);
    rpc_auth_clear(server);
    rpc_drop_credentials(server);
    rpc_auth_retry(server);
}

void rpc_server_stop_streams(rpc_server *server)
{
    server->stopping = true;
    rpc_cut_streams(server, shutting_down);
}

grpc_server *rpc_server_grpc(rpc_server *server)
{
    return server->grpc;
}

void rpc_server_free(rpc_server **server_at)
{
    rpc_server *server = *server_at;
    *server_at = NULL;
    if (server == NULL) {
        return;
    }
    grpc_server_free(&server->grpc);
    io_timer_fini(&server->wait_timer);
    io_timer_fini(&server->cert_timer);
    rpc_auth_clear(server);
    rpc_auth_snapshot_unref(&server->auth);
    free(server->tokens);
    free(server->seen);
    rpc_calls_free(server);
    free(server->method_index);
    for (size_t i = 0; i < server->method_count; i++) {
        free(server->methods[i].stats);
    }
    free(server->methods);
    free(server);
}
