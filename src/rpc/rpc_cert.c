/* Streams and connections that stand on credentials, above all on client certificates: they end with those. */
#include "lpx_reasons.h"
#include "rpc/rpc_priv.h"

static const int64_t us_per_s = 1000000;

/* Are the credentials that a stream began with still good? */
static lpx_err credentials_gone(const rpc_call *call)
{
    const rpc_server *server = call->server;
    const rpc_principal *who = &call->who;
    if (who->key_id[0] != '\0' && rpc_auth_find_key(server->auth, lpx_str_of(who->key_id)) == NULL) {
        return lpx_err_of(RPC_KEY_REVOKED);
    }
    if (who->cert[0] == '\0') {
        return LPX_SUCCESS;
    }
    rpc_principal cert;
    return rpc_auth_cert_check(server->auth, who->cert, io_loop_now(server->loop).utc, &cert, NULL);
}

/* Unknown certificates stay: they may be registered yet, and until then each call is refused. */
static bool cert_is_gone(void *ctx, const char *fingerprint)
{
    const rpc_server *server = ctx;
    rpc_principal cert;
    lpx_err err = rpc_auth_cert_check(server->auth, fingerprint, io_loop_now(server->loop).utc, &cert, NULL);
    return lpx_failed(err) && err.reason != RPC_CERT_UNKNOWN;
}

void rpc_drop_credentials(rpc_server *server)
{
    rpc_cut_streams(server, credentials_gone);
    grpc_server_dismiss(server->grpc, cert_is_gone, server);
}

void rpc_watch_cert(const rpc_call *call)
{
    rpc_server *server = call->server;
    const rpc_auth_cert *cert = call->who.cert[0] != '\0' ? rpc_auth_find_cert(server->auth, call->who.cert) : NULL;
    if (cert == NULL || cert->not_after.us >= server->cert_due_us) {
        return;
    }
    int64_t left_us = cert->not_after.us - io_loop_now(server->loop).utc.us;
    int64_t most_us = RPC_CERT_LOOK_S * us_per_s;
    server->cert_due_us = cert->not_after.us;
    io_timer_arm(&server->cert_timer, left_us < 0 ? 0 : left_us < most_us ? left_us : most_us);
}

void rpc_cert_ends(io_timer *timer)
{
    rpc_server *server = LPX_CONTAINER(timer, rpc_server, cert_timer);
    server->cert_due_us = INT64_MAX;
    rpc_drop_credentials(server);
    for (lpx_list *node = server->streams.next; node != &server->streams; node = node->next) {
        rpc_watch_cert(LPX_CONTAINER(node, rpc_call, stream_node));
    }
}
