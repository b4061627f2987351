/* Port 9464: metrics for Prometheus, and whether this process is alive and ready. Plaintext, this machine alone unless
 * configured otherwise. */
#include "bin/lpxd_priv.h"

enum { METRICS_BYTES = 4 << 20 }; /* about 100 methods, each with its codes and steps */

static void answer_text(http1_request *request, int status, lpx_bytes body)
{
    http1_answer answer = {
        .status = status, .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = body, .gzip = true};
    http1_request_answer(request, &answer);
}

static void traffic_metrics(const lpxd *app, lpx_buf *text)
{
    if (app->router != NULL) {
        router_metrics(app->router, text);
    }
}

static void call_metrics(const lpxd *app, lpx_buf *text)
{
    const rpc_server *servers[LPXD_MAX_LOOPS];
    for (unsigned i = 0; i < app->shard_count; i++) {
        servers[i] = app->shards[i].rpc;
    }
    rpc_metrics(servers, app->shard_count, text);
}

static void message_metrics(const lpxd *app, lpx_buf *text)
{
    if (app->trace != NULL) {
        trace_metrics(app->trace, text);
    }
}

static void http_metrics(const lpxd *app, lpx_buf *text)
{
    if (app->http != NULL) {
        lpx_buf_printf(text, "# TYPE lpx_http_connections gauge\nlpx_http_connections %zu\n",
                       http1_server_connections(app->http));
    }
}

static void report_metrics(const lpxd *app, lpx_buf *text)
{
    if (app->reporting != NULL) {
        reporting_metrics(app->reporting, text);
    }
}

static void feed_metrics(const lpxd *app, lpx_buf *text)
{
    if (app->feed != NULL) {
        control_feed_metrics(app->feed, text);
    }
}

static void map_metrics(const lpxd *app, lpx_buf *text)
{
    if (app->mapper != NULL) {
        mapper_metrics(app->mapper, text);
    }
}

static void proxy_metrics(const lpxd *app, lpx_buf *text)
{
    if (app->gate == NULL) {
        return;
    }
    io_proxy_counts counts = io_proxy_gate_counts(app->gate);
    lpx_buf_printf(text,
                   "# TYPE lpx_proxy_connections_total counter\n"
                   "lpx_proxy_connections_total{outcome=\"accepted\"} %llu\n"
                   "lpx_proxy_connections_total{outcome=\"stranger\"} %llu\n"
                   "lpx_proxy_connections_total{outcome=\"malformed\"} %llu\n",
                   (unsigned long long)counts.accepted_total, (unsigned long long)counts.strangers_total,
                   (unsigned long long)counts.malformed_total);
}

/* Each appends what it knows: # TYPE lines and samples. */
typedef void metrics_fn(const lpxd *app, lpx_buf *text);
static metrics_fn *const metrics[] = {
    traffic_metrics, call_metrics, http_metrics, report_metrics,
    message_metrics, feed_metrics, map_metrics,  proxy_metrics,
};

static void get_metrics(void *ctx, http1_request *request)
{
    lpx_buf text;
    lpx_buf_init(&text, METRICS_BYTES);
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        metrics[i](ctx, &text);
    }
    answer_text(request, 200, lpx_buf_view(&text));
    lpx_buf_fini(&text);
}

static void get_live(void *ctx, http1_request *request)
{
    (void)ctx;
    answer_text(request, 200, lpx_str_bytes(LPX_STR("ok\n")));
}

static void get_ready(void *ctx, http1_request *request)
{
    const lpxd *app = ctx;
    bool ready = app->serving && !app->stopping;
    answer_text(request, ready ? 200 : 503, lpx_str_bytes(ready ? LPX_STR("ready\n") : LPX_STR("not ready\n")));
}

lpx_err lpxd_metrics_start(lpxd *app, lpx_note *note)
{
    static const http1_server_opts opts = {0};
    http1_route routes[] = {
        {.method = "GET", .path = "/metrics", .handler = get_metrics, .ctx = app},
        {.method = "GET", .path = "/livez", .handler = get_live, .ctx = app},
        {.method = "GET", .path = "/readyz", .handler = get_ready, .ctx = app},
    };
    return lpxd_http_serve(app,
                           &(lpxd_http_opts){.setting = "metrics.listen",
                                             .protocol = "http",
                                             .server = &opts,
                                             .routes = routes,
                                             .route_count = sizeof routes / sizeof routes[0]},
                           &app->metrics, note);
}
