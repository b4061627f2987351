/* Where the server listens, and whom it trusts there: TLS contexts, CAs of clients, load balancers. */
#include "bin/lpxd_priv.h"

#include <stdio.h>

#include "base/log.h"
#include "io/limits.h"
#include "lpx_reasons.h"

/* One setting that holds addresses for gRPC. */
typedef struct listeners {
    const char *setting, *protocol;
    io_tls *tls;
    io_proxy_gate *gate;
    unsigned tag;
} listeners;

/* The CAs whose clients may show certificates, NULL-ended; texts are borrowed from the settings. */
static size_t client_cas(const lpxd *app, const char *out[static IO_TLS_CA_FILES_MAX + 1])
{
    const lpx_str *files;
    size_t count = 0, named = conf_list(app->conf, "tls.client-ca-files", &files);
    if (conf_bool(app->conf, "tls.client-own-ca")) {
        out[count++] = app->home.ca_file;
    }
    for (size_t i = 0; i < named && count < IO_TLS_CA_FILES_MAX; i++) {
        out[count++] = files[i].ptr; /* entries of a list are NUL-ended */
    }
    out[count] = NULL;
    return count;
}

static bool is_set(const lpxd *app, const char *setting)
{
    const lpx_str *list;
    return conf_list(app->conf, setting, &list) > 0;
}

void lpxd_ca_load(lpxd *app)
{
    lpx_note note = {""};
    if (lpx_failed(crypto_ca_load(app->home.ca_file, app->home.ca_key_file, &app->ca, &note))) {
        /* Some keep the key elsewhere: everything works but issuing certificates. */
        LPX_LOG(LPX_LOG_WARN, "ca_key_not_usable", LPX_F_STR("text", lpx_str_of(note.text)));
    }
}

static lpx_err start_gate(lpxd *app, lpx_note *note)
{
    if (!is_set(app, "grpc.proxy-listen") && !is_set(app, "http.proxy-listen")) {
        return LPX_SUCCESS;
    }
    const lpx_str *from;
    size_t count = conf_list(app->conf, "server.proxy-from", &from);
    if (count == 0) {
        return lpx_fail(note, LPXD_CONF,
                        "grpc.proxy-listen and http.proxy-listen need server.proxy-from: the addresses of the load "
                        "balancers.");
    }
    return io_proxy_gate_new(from, count, &app->gate, note);
}

lpx_err lpxd_tls_start(lpxd *app, lpx_note *note)
{
    static const char *const h2[] = {"h2", NULL};
    static const char *const http[] = {"http/1.1", NULL};
    const char *cas[IO_TLS_CA_FILES_MAX + 1];
    size_t count = client_cas(app, cas);
    io_tls_server_opts opts = {
        .cert_file = app->home.cert_file, .key_file = app->home.key_file, .client_ca_files = cas, .alpn = h2};
    LPX_TRY(start_gate(app, note));
    LPX_TRY(io_tls_server_new(&opts, &app->grpc_tls, note));
    opts.alpn = http;
    LPX_TRY(io_tls_server_new(&opts, &app->http_tls, note));
    if (!is_set(app, "grpc.mutual-listen")) {
        return LPX_SUCCESS;
    }
    if (count == 0) {
        return lpx_fail(note, LPXD_CONF,
                        "grpc.mutual-listen needs a CA of clients: tls.client-own-ca or tls.client-ca-files.");
    }
    opts.alpn = h2;
    opts.client_cert_required = true;
    return io_tls_server_new(&opts, &app->mutual_tls, note);
}

lpx_err lpxd_tls_reload(lpxd *app, lpx_note *note)
{
    io_tls *const all[] = {app->grpc_tls, app->http_tls, app->mutual_tls};
    lpx_err err = LPX_SUCCESS;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        lpx_err one = all[i] != NULL ? io_tls_reload(all[i], note) : LPX_SUCCESS;
        err = lpx_failed(one) ? one : err;
    }
    return err;
}

void lpxd_tls_free(lpxd *app)
{
    io_tls_free(&app->grpc_tls);
    io_tls_free(&app->http_tls);
    io_tls_free(&app->mutual_tls);
    io_proxy_gate_free(&app->gate);
    crypto_ca_free(&app->ca);
}

/* Every loop listens on every address; a port of 0 is chosen by the first loop for all. */
static lpx_err listen_all(lpxd *app, lpxd_shard *shard, const listeners *kind, uint16_t *ports, lpx_note *note)
{
    const lpx_str *addresses;
    size_t count = conf_list(app->conf, kind->setting, &addresses);
    for (size_t i = 0; i < count; i++) {
        char address[300];
        bool first = shard == &app->shards[0];
        grpc_listen_opts opts = {.address = address, .tls = kind->tls, .gate = kind->gate, .tag = kind->tag};
        if (first) {
            (void)snprintf(address, sizeof address, "%.*s", (int)addresses[i].len, addresses[i].ptr);
        } else {
            lpxd_with_port(addresses[i], ports[i], address, sizeof address);
        }
        LPX_TRY(grpc_server_listen_with(rpc_server_grpc(shard->rpc), &opts, &ports[i], note));
        if (first) {
            lpxd_with_port(addresses[i], ports[i], address, sizeof address);
            LPX_LOG(LPX_LOG_INFO, "listening", LPX_F_STR("address", lpx_str_of(address)),
                    LPX_F_STR("protocol", lpx_str_of(kind->protocol)));
        }
    }
    return LPX_SUCCESS;
}

lpx_err lpxd_grpc_listen(lpxd *app, lpxd_shard *shard, lpx_note *note)
{
    unsigned token_too = conf_bool(app->conf, "grpc.mutual-needs-token") ? RPC_LISTENER_NEEDS_TOKEN : 0;
    const listeners kinds[LPXD_GRPC_KINDS] = {
        {.setting = "grpc.listen", .protocol = "grpc+tls", .tls = app->grpc_tls},
        {.setting = "grpc.mutual-listen", .protocol = "grpc+mtls", .tls = app->mutual_tls, .tag = token_too},
        {.setting = "grpc.plaintext-listen", .protocol = "grpc"},
        {.setting = "grpc.proxy-listen", .protocol = "grpc+proxy", .gate = app->gate},
    };
    for (size_t i = 0; i < LPXD_GRPC_KINDS; i++) {
        LPX_TRY(listen_all(app, shard, &kinds[i], app->grpc_ports[i], note));
    }
    return LPX_SUCCESS;
}
