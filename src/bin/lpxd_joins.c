/* How Join Servers are asked: settings, and tokens from IAM. */
#include "bin/lpxd_priv.h"
#include "lorawan/ids.h"

static lpx_err sign_token(void *ctx, lpx_str audience, lpx_utc now, lpx_arena *arena, lpx_str *token, lpx_utc *expires)
{
    const lpxd *app = ctx;
    return iam_cluster_token(app->iam, audience, now, arena, token, expires);
}

lpx_err lpxd_join_opts(lpxd *app, router_join_opts *out, lpx_note *note)
{
    lw_netid net_id;
    lw_eui64 ns_id = {0};
    lpx_str ns_text = conf_str(app->conf, "router.sender-ns-id");
    LPX_TRY(lw_netid_parse(conf_str(app->conf, "router.sender-net-id"), "router.sender-net-id", note, &net_id));
    if (ns_text.len > 0) {
        LPX_TRY(lw_eui64_parse(ns_text, "router.sender-ns-id", note, &ns_id));
    }
    *out = (router_join_opts){.sender_net_id = net_id.value,
                              .has_sender_ns_id = ns_text.len > 0,
                              .sender_ns_id = ns_id.value,
                              .timeout_us = conf_duration_us(app->conf, "router.lookup-timeout"),
                              .positive_us = conf_duration_us(app->conf, "router.lookup-keep"),
                              .negative_us = conf_duration_us(app->conf, "router.lookup-keep-unknown"),
                              .token = sign_token,
                              .token_ctx = app};
    return LPX_SUCCESS;
}
