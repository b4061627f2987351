/* Port 1901: the token endpoint, the public keys, and every unary rpc as JSON. */
#include "bin/lpxd_priv.h"

#include <stdio.h>

#include "base/log.h"

static void get_jwks(void *ctx, http1_request *request)
{
    lpxd *app = ctx;
    static const http1_header headers[] = {
        {"Cache-Control", {"public, max-age=600", sizeof "public, max-age=600" - 1}}};
    http1_answer answer = {.status = 200,
                           .content_type = "application/json",
                           .headers = headers,
                           .header_count = 1,
                           .body = lpx_str_bytes(iam_jwks(app->iam))};
    http1_request_answer(request, &answer);
}

static void answer_token(void *ctx, const iam_token_answer *token)
{
    http1_request *request = ctx;
    http1_header headers[3] = {{"Cache-Control", LPX_STR("no-store")}, {"Pragma", LPX_STR("no-cache")}};
    size_t count = 2;
    if (token->www_authenticate != NULL) {
        headers[count++] = (http1_header){"WWW-Authenticate", lpx_str_of(token->www_authenticate)};
    }
    http1_answer answer = {.status = (int)token->status,
                           .content_type = "application/json",
                           .headers = headers,
                           .header_count = count,
                           .body = lpx_str_bytes(token->json)};
    http1_request_answer(request, &answer);
}

static void post_token(void *ctx, http1_request *request)
{
    lpxd *app = ctx;
    iam_token_form form = {.content_type = http1_request_header(request, "Content-Type"),
                           .authorization = http1_request_header(request, "Authorization"),
                           .body = http1_request_body(request)};
    if (lpx_failed(iam_token_request(app->iam, http1_request_loop(request), &form, answer_token, request))) {
        static const char busy[] =
            "{\"error\":\"temporarily_unavailable\","
            "\"error_description\":\"The exchange has too many token requests waiting; try again.\"}";
        iam_token_answer answer = {.status = 503, .json = LPX_STR(busy)};
        answer_token(request, &answer);
    }
}

/* @param gate NULL: clients connect directly */
static lpx_err listen_on(http1_server *server, lpx_str where, const lpxd_http_opts *opts, io_proxy_gate *gate,
                         lpx_note *note)
{
    char address[300];
    uint16_t port = 0;
    (void)snprintf(address, sizeof address, "%.*s", (int)where.len, where.ptr);
    LPX_TRY(gate != NULL ? http1_server_listen_behind(server, address, gate, &port, note)
                         : http1_server_listen(server, address, opts->tls, &port, note));
    lpxd_with_port(where, port, address, sizeof address);
    LPX_LOG(LPX_LOG_INFO, "listening", LPX_F_STR("address", lpx_str_of(address)),
            LPX_F_STR("protocol", gate != NULL ? LPX_STR("http+proxy") : lpx_str_of(opts->protocol)));
    return LPX_SUCCESS;
}

lpx_err lpxd_http_serve(lpxd *app, const lpxd_http_opts *opts, http1_server **out, lpx_note *note)
{
    const lpx_str *direct, *behind;
    size_t direct_count = conf_list(app->conf, opts->setting, &direct);
    size_t behind_count = opts->behind != NULL ? conf_list(app->conf, opts->behind, &behind) : 0;
    if (direct_count + behind_count == 0) {
        return LPX_SUCCESS;
    }
    LPX_TRY(http1_server_new(app->shards[0].loop, opts->server, out));
    for (size_t i = 0; i < opts->route_count; i++) {
        LPX_TRY(http1_server_route(*out, &opts->routes[i]));
    }
    if (opts->add != NULL) {
        LPX_TRY(opts->add(app, *out));
    }
    for (size_t i = 0; i < direct_count; i++) {
        LPX_TRY(listen_on(*out, direct[i], opts, NULL, note));
    }
    for (size_t i = 0; i < behind_count; i++) {
        LPX_TRY(listen_on(*out, behind[i], opts, app->gate, note));
    }
    return LPX_SUCCESS;
}

static lpx_err add_json(lpxd *app, http1_server *server)
{
    rpc_http_opts opts;
    opts.allowed_origin_count = conf_list(app->conf, "http.cors-origins", &opts.allowed_origins);
    LPX_TRY(rpc_http_new(app->shards[0].rpc, server, &opts, &app->json));
    return app->mapper != NULL ? mapper_serve(app->mapper, app->json, server) : LPX_SUCCESS;
}

lpx_err lpxd_http_start(lpxd *app, lpx_note *note)
{
    enum { FORM_BYTES = 16 << 10 };
    static const http1_server_opts opts = {0};
    http1_route routes[] = {
        {.method = "GET", .path = "/.well-known/jwks.json", .handler = get_jwks, .ctx = app},
        {.method = "POST", .path = "/token", .max_body_bytes = FORM_BYTES, .handler = post_token, .ctx = app},
    };
    return lpxd_http_serve(app,
                           &(lpxd_http_opts){.setting = "http.listen",
                                             .behind = "http.proxy-listen",
                                             .protocol = "https",
                                             .tls = app->http_tls,
                                             .server = &opts,
                                             .routes = routes,
                                             .route_count = sizeof routes / sizeof routes[0],
                                             .add = add_json},
                           &app->http, note);
}
