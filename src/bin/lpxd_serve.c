/* Puts the server together, runs it and takes it apart. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "bin/lpxd_priv.h"
#include "control/control.h"
#include "crypto/random.h"
#include "lpx_reasons.h"
#include "rpc/walks.h"

static bool has_role(const lpxd *app, const char *role)
{
    const lpx_str *roles;
    size_t count = conf_list(app->conf, "roles", &roles);
    for (size_t i = 0; i < count; i++) {
        if (lpx_str_is(roles[i], role)) {
            return true;
        }
    }
    return false;
}

static void log_store(void *ctx, const char *text)
{
    (void)ctx;
    LPX_LOG(LPX_LOG_WARN, "store_report", LPX_F_STR("text", lpx_str_of(text)));
}

static lpx_err open_store(lpxd *app, lpx_note *note)
{
    store_opts opts = {
        .url = app->home.store_url, .readers = (unsigned)conf_int(app->conf, "store.readers"), .report = log_store};
    return store_open(&opts, &app->store, note);
}

/* The first administrator: made once, its password kept in a file that only the owner reads. */
static lpx_err ensure_admin(lpxd *app, lpx_note *note)
{
    char password[IAM_PASSWORD_BYTES];
    LPX_TRY(iam_admin_ensure(app->store, io_wall_clock(), password));
    if (password[0] == '\0') {
        return LPX_SUCCESS;
    }
    lpx_err err = lpxd_home_save_admin(&app->home, "admin", password, note);
    lpx_wipe(password, sizeof password);
    if (!lpx_failed(err)) {
        LPX_LOG(LPX_LOG_INFO, "admin_made", LPX_F_STR("username", LPX_STR("admin")),
                LPX_F_STR("password_file", lpx_str_of(app->home.admin_file)));
    }
    return err;
}

static lpx_err start_iam(lpxd *app, lpx_note *note)
{
    enum { MAX = 16 };
    char host[256] = "localhost";
    const char *audiences[MAX] = {"localhost", "127.0.0.1", "::1", host};
    size_t count = 4;
    (void)gethostname(host, sizeof host - 1);
    const lpx_str *more;
    size_t more_count = conf_list(app->conf, "iam.audiences", &more);
    for (size_t i = 0; i < more_count && count < MAX; i++) {
        audiences[count++] = more[i].ptr;
    }
    uint32_t per_minute = (uint32_t)conf_int(app->conf, "iam.anonymous-keys-per-minute");
    iam_opts opts = {.issuer = conf_str(app->conf, "iam.issuer").ptr,
                     .audiences = audiences,
                     .audience_count = count,
                     .allow_private_net_ids = conf_bool(app->conf, "iam.allow-private-net-ids"),
                     .anonymous_per_hour = per_minute * 60,
                     .anonymous_burst = per_minute,
                     .ca = app->ca};
    return iam_new(app->store, &opts, io_wall_clock(), &app->iam, note);
}

static lpx_err start_loops(lpxd *app, lpx_note *note)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = (unsigned)conf_int(app->conf, "server.loops");
    if (count == 0) {
        count = processors < 1 ? 1 : processors > LPXD_DEFAULT_LOOPS ? LPXD_DEFAULT_LOOPS : (unsigned)processors;
    }
    for (unsigned i = 0; i < count; i++) {
        app->shards[i] = (lpxd_shard){.app = app, .loop = io_loop_new(i)};
        if (app->shards[i].loop == NULL) {
            return lpx_fail(note, BASE_NO_MEMORY, "The system gives no resources for %u event loops.", count);
        }
        app->shard_count = i + 1;
    }
    return LPX_SUCCESS;
}

static lpx_err start_trace(lpxd *app)
{
    trace_opts opts = {.loop_count = app->shard_count,
                       .messages = (uint32_t)conf_int(app->conf, "trace.messages"),
                       .age_us = conf_duration_us(app->conf, "trace.age")};
    LPX_TRY(crypto_random((lpx_space){.ptr = (uint8_t *)&opts.seed, .len = sizeof opts.seed}));
    return trace_new(&opts, &app->trace);
}

static uint32_t rate_of(const lpxd *app, const char *name)
{
    return (uint32_t)conf_int(app->conf, name);
}

static lpx_err start_router(lpxd *app, lpx_note *note)
{
    io_loop *loops[LPXD_MAX_LOOPS];
    for (unsigned i = 0; i < app->shard_count; i++) {
        loops[i] = app->shards[i].loop;
    }
    reporting_opts reports = {.store = app->store,
                              .keep_days = conf_duration_us(app->conf, "reports.keep") / INT64_C(86400000000)};
    LPX_TRY(reporting_new(&reports, loops, app->shard_count, &app->reporting));
    app->observers[0] = reporting_observer(app->reporting);
    LPX_TRY(start_trace(app));
    app->observers[1] = trace_observer(app->trace);
    char host[256] = "lpx";
    (void)gethostname(host, sizeof host - 1);
    const char *name = conf_str(app->conf, "router.name").ptr;
    router_opts opts = {.store = app->store,
                        .name = name != NULL && name[0] != '\0' ? name : host,
                        .peers_file = conf_str(app->conf, "router.peers-file").ptr,
                        .default_open = conf_word(app->conf, "control.default-policy") == 0,
                        .loopback = conf_bool(app->conf, "router.loopback"),
                        .max_message_bytes = (uint32_t)conf_size_bytes(app->conf, "router.max-uplink"),
                        .queue_messages = (uint32_t)conf_int(app->conf, "router.queue-messages"),
                        .queue_bytes = (uint32_t)conf_size_bytes(app->conf, "router.queue-bytes"),
                        .queue_age_us = conf_duration_us(app->conf, "router.queue-age"),
                        .observers = app->observers,
                        .rates = {.per_second = {[ROUTER_RATE_NETWORK] = rate_of(app, "router.rate-network"),
                                                 [ROUTER_RATE_TENANT] = rate_of(app, "router.rate-tenant"),
                                                 [ROUTER_RATE_KEY] = rate_of(app, "router.rate-key"),
                                                 [ROUTER_RATE_GATEWAY] = rate_of(app, "router.rate-gateway")},
                                  .burst_us = conf_duration_us(app->conf, "router.rate-burst")}};
    LPX_TRY(lpxd_join_opts(app, &opts.joins, note));
    return router_new(&opts, loops, app->shard_count, &app->router, note);
}

static lpx_err start_mapper(lpxd *app, lpx_note *note)
{
    char token_url[1024];
    const char *issuer = conf_str(app->conf, "iam.issuer").ptr;
    const char *url = conf_str(app->conf, "mapper.url").ptr;
    (void)snprintf(token_url, sizeof token_url, "%s/token", issuer);
    mapper_opts opts = {.store = app->store,
                        .url = url != NULL && url[0] != '\0' ? url : issuer,
                        .token_url = token_url,
                        .keep_us = conf_duration_us(app->conf, "mapper.keep"),
                        .max_gateways = (uint32_t)conf_int(app->conf, "mapper.max-gateways"),
                        .requests_per_minute = (uint32_t)conf_int(app->conf, "mapper.requests-per-minute")};
    return mapper_new(&opts, app->shards[0].loop, &app->mapper, note);
}

static lpx_err start_feed(lpxd *app)
{
    io_loop *loops[LPXD_MAX_LOOPS];
    for (unsigned i = 0; i < app->shard_count; i++) {
        loops[i] = app->shards[i].loop;
    }
    return control_feed_new(app->store, loops, app->shard_count, &app->feed);
}

static lpx_err add_methods(lpxd *app, rpc_server *rpc, lpx_note *note)
{
    const rpc_method *methods;
    if (has_role(app, "iam")) {
        size_t count = iam_methods(app->iam, &methods);
        LPX_TRY(rpc_server_add(rpc, methods, count, note));
    }
    if (has_role(app, "control")) {
        size_t count = control_methods(&methods);
        LPX_TRY(rpc_server_add(rpc, methods, count, note));
        count = reporting_methods(&methods);
        LPX_TRY(rpc_server_add(rpc, methods, count, note));
        methods = control_feed_methods(app->feed, &count);
        LPX_TRY(rpc_server_add(rpc, methods, count, note));
    }
    if (app->router != NULL) {
        size_t count;
        methods = router_methods(app->router, &count);
        LPX_TRY(rpc_server_add(rpc, methods, count, note));
        count = trace_methods(app->trace, &methods);
        LPX_TRY(rpc_server_add(rpc, methods, count, note));
    }
    if (app->mapper != NULL) {
        size_t count;
        methods = mapper_methods(app->mapper, &count);
        LPX_TRY(rpc_server_add(rpc, methods, count, note));
    }
    return LPX_SUCCESS;
}

void lpxd_with_port(lpx_str address, uint16_t port, char *out, size_t room)
{
    size_t host_len = address.len;
    while (host_len > 0 && address.ptr[host_len - 1] != ':') {
        host_len--;
    }
    (void)snprintf(out, room, "%.*s%u", (int)host_len, address.ptr, port);
}

static void cert_used(void *ctx, io_loop *loop, const char *fingerprint, lpx_utc now)
{
    const lpxd *app = ctx;
    iam_cert_used(app->iam, loop, fingerprint, now);
}

static lpx_err start_shard(lpxd *app, lpxd_shard *shard, lpx_note *note)
{
    grpc_server_opts grpc = {.max_connections = (uint32_t)conf_int(app->conf, "grpc.max-connections")};
    rpc_server_opts opts = {.loop = shard->loop,
                            .store = app->store,
                            .password_workers = app->password_workers,
                            .walks = app->walks,
                            .grpc = &grpc,
                            .cert_used = cert_used,
                            .cert_used_ctx = app};
    LPX_TRY(rpc_server_new(&opts, &shard->rpc));
    LPX_TRY(rpc_health_new(shard->rpc, &shard->health, note));
    LPX_TRY(rpc_reflect_new(shard->rpc, &shard->reflect, note));
    return add_methods(app, shard->rpc, note);
}

/* A snapshot on its way to one loop. */
typedef struct snapshot_task {
    io_task task;
    rpc_server *rpc;
    rpc_auth_snapshot *snapshot;
} snapshot_task;

static void take_snapshot(io_task *task)
{
    snapshot_task *t = LPX_CONTAINER(task, snapshot_task, task);
    rpc_server_set_auth(t->rpc, t->snapshot);
    rpc_auth_snapshot_unref(&t->snapshot);
    free(t);
}

void lpxd_share_snapshot(void *ctx, rpc_auth_snapshot *snapshot)
{
    lpxd *app = ctx;
    for (unsigned i = 0; i < app->shard_count; i++) {
        snapshot_task *t = calloc(1, sizeof *t);
        if (t == NULL) {
            abort(); /* going on would let revoked keys live */
        }
        t->task.run = take_snapshot;
        t->rpc = app->shards[i].rpc;
        t->snapshot = rpc_auth_snapshot_ref(snapshot);
        io_loop_post(app->shards[i].loop, &t->task);
    }
    rpc_auth_snapshot_unref(&snapshot);
}

static lpx_err load_first_snapshot(lpxd *app)
{
    rpc_auth_snapshot *snapshot = NULL;
    LPX_TRY(iam_snapshot_now(app->iam, &snapshot));
    for (unsigned i = 0; i < app->shard_count; i++) {
        rpc_server_set_auth(app->shards[i].rpc, snapshot);
    }
    rpc_auth_snapshot_unref(&snapshot);
    return LPX_SUCCESS;
}

static void stop_loops(lpxd *app)
{
    io_loop_stop(app->shards[0].loop);
}

/* Back on the first loop: one shard has no calls any more. */
static void on_drained(io_task *task)
{
    lpxd_shard *shard = LPX_CONTAINER(task, lpxd_shard, drained);
    if (--shard->app->draining == 0) {
        stop_loops(shard->app);
    }
}

static void http_is_drained(void *ctx)
{
    lpxd *app = ctx;
    if (--app->draining == 0) {
        stop_loops(app);
    }
}

static void shard_is_drained(void *ctx)
{
    lpxd_shard *shard = ctx;
    shard->drained.run = on_drained;
    io_loop_post(shard->app->shards[0].loop, &shard->drained);
}

static void drain_shard(io_task *task)
{
    lpxd_shard *shard = LPX_CONTAINER(task, lpxd_shard, drain);
    rpc_health_set(shard->health, false);
    rpc_server_stop_streams(shard->rpc);
    grpc_server_drain(rpc_server_grpc(shard->rpc), shard->app->drain_us, shard_is_drained, shard);
}

static void be_ready(io_task *task)
{
    lpxd_shard *shard = LPX_CONTAINER(task, lpxd_shard, ready);
    rpc_health_set(shard->health, true);
}

/* Snapshots and tables are loaded, and every loop runs. */
static void begin_serving(lpxd *app)
{
    app->serving = true;
    for (unsigned i = 0; i < app->shard_count; i++) {
        app->shards[i].ready.run = be_ready;
        io_loop_post(app->shards[i].loop, &app->shards[i].ready);
    }
}

static void begin_stop(lpxd *app, int number)
{
    if (app->stopping) { /* the second signal does not wait */
        stop_loops(app);
        return;
    }
    app->stopping = true;
    LPX_LOG(LPX_LOG_INFO, "stopping", LPX_F_INT("signal", number));
    app->draining = app->shard_count;
    app->drain_us = conf_duration_us(app->conf, "server.drain");
    if (app->http != NULL) {
        app->draining++;
        http1_server_drain(app->http, app->drain_us, http_is_drained, app);
    }
    for (unsigned i = 0; i < app->shard_count; i++) {
        app->shards[i].drain.run = drain_shard;
        io_loop_post(app->shards[i].loop, &app->shards[i].drain);
    }
}

static void tell_change(void *ctx, const conf_option *option)
{
    (void)ctx;
    LPX_LOG(option->reloadable ? LPX_LOG_INFO : LPX_LOG_WARN,
            option->reloadable ? "setting_taken" : "setting_needs_restart",
            LPX_F_STR("name", lpx_str_of(option->name)));
}

/* SIGHUP: certificates at once; of the settings those that can change. */
static void reload(lpxd *app)
{
    lpx_note note = {""};
    lpx_err err = lpxd_tls_reload(app, &note);
    LPX_LOG(lpx_failed(err) ? LPX_LOG_ERROR : LPX_LOG_INFO, lpx_failed(err) ? "tls_reload_failed" : "tls_reloaded",
            LPX_F_STR("text", lpx_str_of(note.text)));
    int left = 0;
    conf_set *fresh = lpxd_read_conf(app->argc, app->argv, &left);
    if (fresh == NULL) {
        LPX_LOG(LPX_LOG_ERROR, "reload_failed", LPX_F_STR("text", LPX_STR("the old settings stay")));
        return;
    }
    (void)conf_diff(app->conf, fresh, tell_change, NULL);
    lpx_log_set_level((lpx_log_level)conf_word(fresh, "log.level"));
    conf_free(&app->conf);
    app->conf = fresh;
}

static void on_signal(void *ctx, int number)
{
    lpxd *app = ctx;
    if (number == SIGHUP) {
        reload(app);
    } else {
        begin_stop(app, number);
    }
}

static lpx_err start(lpxd *app, lpx_note *note)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    LPX_TRY(lpxd_home_find(app->conf, &app->home, note));
    LPX_TRY(lpxd_home_prepare(app->conf, &app->home, note));
    LPX_TRY(open_store(app, note));
    LPX_TRY(ensure_admin(app, note));
    lpxd_ca_load(app);
    LPX_TRY(start_iam(app, note));
    LPX_TRY(start_loops(app, note));
    app->password_workers = io_workers_new(1, 64);
    app->walks = rpc_walks_new();
    if (app->password_workers == NULL || app->walks == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (has_role(app, "control")) {
        LPX_TRY(start_feed(app));
    }
    if (has_role(app, "router")) {
        LPX_TRY(start_router(app, note));
    }
    if (has_role(app, "mapper")) {
        LPX_TRY(start_mapper(app, note));
    }
    LPX_TRY(lpxd_tls_start(app, note));
    for (unsigned i = 0; i < app->shard_count; i++) {
        LPX_TRY(start_shard(app, &app->shards[i], note));
    }
    LPX_TRY(load_first_snapshot(app));
    for (unsigned i = 0; i < app->shard_count; i++) {
        LPX_TRY(lpxd_grpc_listen(app, &app->shards[i], note));
    }
    LPX_TRY(lpxd_http_start(app, note));
    LPX_TRY(lpxd_metrics_start(app, note));
    LPX_TRY(io_signals_on(app->shards[0].loop, numbers, 3, on_signal, app, &app->signals));
    LPX_TRY(iam_start(app->iam, app->shards[0].loop, lpxd_share_snapshot, app));
    for (unsigned i = 1; i < app->shard_count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "lpxd-loop-%u", i);
        LPX_TRY(io_thread_start(app->shards[i].loop, name, &app->shards[i].thread));
    }
    return LPX_SUCCESS;
}

static void stop_reporting(lpxd *app)
{
    uint64_t lost = reporting_stop(app->reporting);
    if (lost > 0) {
        LPX_LOG(LPX_LOG_ERROR, "report_counts_lost", LPX_F_INT("counts", lost));
    }
}

/* After the loops have stopped: finish what is on its way, then free in the order of dependence. */
static void finish(lpxd *app)
{
    for (unsigned i = 1; i < app->shard_count; i++) {
        io_thread_stop(&app->shards[i].thread);
    }
    if (app->iam != NULL && app->shard_count > 0) {
        iam_stop(app->iam);
    }
    if (app->router != NULL) {
        router_stop(app->router);
    }
    stop_reporting(app);
    control_feed_stop(app->feed);
    if (app->mapper != NULL) {
        mapper_stop(app->mapper);
    }
    io_workers_free(&app->password_workers);
    store_close(&app->store); /* finishes queued work; the answers wait on the loops */
    for (unsigned i = 0; i < app->shard_count; i++) {
        io_loop_turn(app->shards[i].loop, 0);
    }
    http1_server_free(&app->http);
    http1_server_free(&app->metrics);
    if (app->shard_count > 0) {
        io_loop_turn(app->shards[0].loop, 0); /* streamed answers hear that their clients are gone */
    }
    rpc_http_free(&app->json);
    for (unsigned i = 0; i < app->shard_count; i++) {
        rpc_server_free(&app->shards[i].rpc);
        rpc_health_free(&app->shards[i].health);
        rpc_reflect_free(&app->shards[i].reflect);
    }
    mapper_free(&app->mapper);
    router_free(&app->router);
    trace_free(&app->trace);
    reporting_free(&app->reporting);
    control_feed_free(&app->feed);
    iam_free(&app->iam);
    rpc_walks_free(&app->walks);
    io_signals_free(&app->signals);
    for (unsigned i = 0; i < app->shard_count; i++) {
        io_loop_free(&app->shards[i].loop);
    }
    lpxd_tls_free(app);
}

static void say_ready(const lpxd *app)
{
    const lpxd_home *home = &app->home;
    LPX_LOG(LPX_LOG_INFO, "ready", LPX_F_STR("data", lpx_str_of(home->dir)), LPX_F_INT("loops", app->shard_count),
            LPX_F_STR("ca", lpx_str_of(home->ca_file)));
    if (!home->made_ca || !isatty(STDOUT_FILENO)) {
        return;
    }
    (void)printf("\nThis was the first start. Made for you:\n"
                 "  data folder        %s\n"
                 "  own CA             %s  (give it to clients)\n"
                 "  administrator      %s  (name and password)\n\n"
                 "Next: `lpx demo` shows traffic; `lpx network create --help` makes a member; `lpxd --help` lists the "
                 "settings.\n\n",
                 home->dir, home->ca_file, home->admin_file);
    (void)fflush(stdout);
}

int lpxd_serve(conf_set *conf, int argc, char **argv)
{
    static lpxd app; /* large, and there is one */
    app = (lpxd){.conf = conf, .argc = argc, .argv = argv};
    lpx_note note = {""};
    lpxd_log_start(conf_word(conf, "log.format") == 1);
    lpx_log_set_level((lpx_log_level)conf_word(conf, "log.level"));
    lpx_err err = start(&app, &note);
    if (lpx_failed(err)) {
        const char *text = note.text[0] != '\0' ? note.text : lpx_reason_text(err.reason);
        (void)fprintf(stderr, "lpxd: %s\n", text);
    } else {
        begin_serving(&app);
        say_ready(&app);
        io_loop_run(app.shards[0].loop);
    }
    finish(&app);
    conf_free(&app.conf);
    if (!lpx_failed(err)) {
        LPX_LOG(LPX_LOG_INFO, "stopped", LPX_F_INT("status", 0));
    }
    return lpx_failed(err) ? 1 : 0;
}
