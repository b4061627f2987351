/* Private to the server program: what runs. */
#pragma once
#include "bin/lpxd.h"
#include "control/control.h"
#include "iam/iam.h"
#include "io/signal.h"
#include "io/thread.h"
#include "mapper/mapper.h"
#include "reporting/reporting.h"
#include "router/router.h"
#include "rpc/health.h"
#include "rpc/http.h"
#include "rpc/reflect.h"
#include "rpc/server.h"
#include "trace/trace.h"
#include "wire/http/http1.h"

enum { LPXD_MAX_LOOPS = 64, LPXD_DEFAULT_LOOPS = 4, LPXD_GRPC_KINDS = 4 };

typedef struct lpxd lpxd;

/* What one loop runs. */
typedef struct lpxd_shard {
    lpxd *app;
    io_loop *loop;
    io_thread *thread; /* NULL for the first, which runs on the main thread */
    rpc_server *rpc;
    rpc_health *health;
    rpc_reflect *reflect;
    io_task ready;          /* there: everything serves */
    io_task drain, drained; /* there and back again at shutdown */
} lpxd_shard;

struct lpxd {
    conf_set *conf;
    int argc;
    char **argv;
    lpxd_home home;
    store *store;
    io_workers *password_workers;
    rpc_walks *walks;
    iam *iam;
    router *router;
    reporting *reporting;
    trace *trace;
    control_feed *feed;
    mapper *mapper;
    const traffic_observer *observers[4]; /* of the router, NULL-ended */
    io_tls *grpc_tls, *http_tls;
    io_tls *mutual_tls;  /* gRPC where a certificate must be shown; NULL: no such listener */
    io_proxy_gate *gate; /* load balancers; NULL: none */
    crypto_ca *ca;       /* own CA; NULL: its key is not here */
    http1_server *http, *metrics;
    rpc_http *json; /* on http */
    io_signals *signals;
    lpxd_shard shards[LPXD_MAX_LOOPS];
    unsigned shard_count;
    unsigned draining; /* shards and servers that still have calls */
    bool serving, stopping;
    int64_t drain_us;                        /* set before the shards are told to drain */
    uint16_t grpc_ports[LPXD_GRPC_KINDS][8]; /* as chosen by the first loop, by position in the setting */
};

/** What one HTTP server is made from. */
typedef struct lpxd_http_opts {
    const char *setting;  /* list of addresses */
    const char *behind;   /* the same, behind load balancers, plaintext; NULL: none */
    const char *protocol; /* for the log */
    io_tls *tls;          /* NULL: plaintext */
    const http1_server_opts *server;
    const http1_route *routes;
    size_t route_count;
    lpx_err (*add)(lpxd *app, http1_server *server); /* further routes; NULL: none */
} lpxd_http_opts;

/** Write "host:port" with another port to out, cut at room bytes. */
void lpxd_with_port(lpx_str address, uint16_t port, char *out, size_t room);
/** Load the own CA into app->ca; without its key that stays NULL, which is logged. */
void lpxd_ca_load(lpxd *app);
/** Make the TLS contexts and the gate for load balancers. @err FAILED_PRECONDITION: LPXD_CONF, IO_TLS_FILE_BAD */
LPX_RESULT lpxd_tls_start(lpxd *app, lpx_note *note);
/** Read all certificate, key and CA files again; on failure the old ones stay. */
LPX_RESULT lpxd_tls_reload(lpxd *app, lpx_note *note);
/** Free them, and the CA. */
void lpxd_tls_free(lpxd *app);
/** Listen for gRPC on all addresses with one loop; the first loop before the others. */
LPX_RESULT lpxd_grpc_listen(lpxd *app, lpxd_shard *shard, lpx_note *note);
/** Make an HTTP server on the first loop; none when the settings are empty. */
LPX_RESULT lpxd_http_serve(lpxd *app, const lpxd_http_opts *opts, http1_server **out, lpx_note *note);
/** How the router asks Join Servers; IAM is there. @err INVALID_ARGUMENT: LW_NETID_INVALID, LW_EUI_INVALID */
LPX_RESULT lpxd_join_opts(lpxd *app, router_join_opts *out, lpx_note *note);
/** Serve metrics, /livez and /readyz on the first loop. */
LPX_RESULT lpxd_metrics_start(lpxd *app, lpx_note *note);
/** Serve /token and /.well-known/jwks.json on the first loop. */
LPX_RESULT lpxd_http_start(lpxd *app, lpx_note *note);
/** Give a new authentication snapshot (one reference, taken over) to every loop. @thread first loop's */
void lpxd_share_snapshot(void *app, rpc_auth_snapshot *snapshot);
