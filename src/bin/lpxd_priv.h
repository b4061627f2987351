/* Private to the server program: what runs. */
#pragma once
#include "bin/lpxd.h"
#include "iam/iam.h"
#include "io/signal.h"
#include "io/thread.h"
#include "router/router.h"
#include "rpc/server.h"
#include "wire/http/http1.h"

enum { LPXD_MAX_LOOPS = 64, LPXD_DEFAULT_LOOPS = 4 };

typedef struct lpxd lpxd;

/* What one loop runs. */
typedef struct lpxd_shard {
    lpxd *app;
    io_loop *loop;
    io_thread *thread; /* NULL for the first, which runs on the main thread */
    rpc_server *rpc;
    io_task drain, drained; /* there and back again at shutdown */
} lpxd_shard;

struct lpxd {
    conf_set *conf;
    int argc;
    char **argv;
    lpxd_home home;
    store *store;
    io_workers *password_workers;
    iam *iam;
    router *router;
    io_tls *grpc_tls, *http_tls;
    http1_server *http;
    io_signals *signals;
    lpxd_shard shards[LPXD_MAX_LOOPS];
    unsigned shard_count;
    unsigned draining; /* shards that still have calls */
    bool stopping;
    int64_t drain_us; /* set before the shards are told to drain */
    uint16_t grpc_ports[8], plain_ports[8]; /* as chosen by the first loop, by position in the setting */
};

/** Serve /token and /.well-known/jwks.json on the first loop. */
LPX_RESULT lpxd_http_start(lpxd *app, lpx_note *note);
/** Give a new authentication snapshot (one reference, taken over) to every loop. @thread first loop's */
void lpxd_share_snapshot(void *app, rpc_auth_snapshot *snapshot);
