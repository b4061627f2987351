#include "mapper/mapper.h"

#include <stdlib.h>

#include "crypto/random.h"
#include "lpx_reasons.h"
#include "mapper/mapper_priv.h"

static lpx_err build(mapper *self)
{
    uint64_t seed;
    LPX_TRY(crypto_random((lpx_space){(uint8_t *)&seed, sizeof seed}));
    self->openapi = mapper_openapi_make(self->opts.url, self->opts.token_url);
    self->index = mapper_index_new(seed);
    if (self->openapi == NULL || self->index == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    mapper_rpc_init(self);
    LPX_TRY(mapper_follow_first(self, io_wall_clock()));
    self->worker = io_workers_new(1, MAPPER_WORK_MAX);
    if (self->worker == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    return mapper_follow_start(self);
}

lpx_err mapper_new(const mapper_opts *opts, io_loop *loop, mapper **out, lpx_note *note)
{
    mapper *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    self->opts = *opts;
    self->loop = loop;
    pthread_mutex_init(&self->full_lock, NULL);
    lpx_err err = build(self);
    self->opts.url = self->opts.token_url = NULL; /* they stand in the document now */
    if (lpx_failed(err)) {
        mapper_free(&self);
        return lpx_fail(note, err.reason, "The map of gateways cannot be loaded: %s", lpx_reason_text(err.reason));
    }
    *out = self;
    return LPX_SUCCESS;
}

const rpc_method *mapper_methods(const mapper *self, size_t *count)
{
    *count = sizeof self->methods / sizeof self->methods[0];
    return self->methods;
}

bool mapper_is_full(mapper *self, uint32_t net_id)
{
    bool found = false;
    pthread_mutex_lock(&self->full_lock);
    for (size_t i = 0; i < self->full_count && !found; i++) {
        found = self->full[i] == net_id;
    }
    pthread_mutex_unlock(&self->full_lock);
    return found;
}

void mapper_stop(mapper *self)
{
    atomic_store(&self->stopping, true);
    mapper_follow_stop(self);
    io_workers_free(&self->worker);
}

void mapper_free(mapper **self)
{
    mapper *old = *self;
    *self = NULL;
    if (old == NULL) {
        return;
    }
    mapper_stop(old);
    mapper_rest_free_all(old);
    mapper_follow_fini(old);
    mapper_index_free(&old->index);
    pthread_mutex_destroy(&old->full_lock);
    free(old->openapi);
    free(old);
}

/* ---- metrics ---- */

static void metric(lpx_buf *out, const char *name, const char *type, const char *labels, uint64_t value)
{
    if (type != NULL) {
        lpx_buf_printf(out, "# TYPE %s %s\n", name, type);
    }
    lpx_buf_printf(out, "%s%s %llu\n", name, labels, (unsigned long long)value);
}

void mapper_metrics(mapper *self, lpx_buf *out)
{
    mapper_counts *c = &self->counts;
    uint64_t us = atomic_load(&c->query_us);
    metric(out, "lpx_mapper_gateways", "gauge", "", atomic_load(&c->gateways));
    metric(out, "lpx_mapper_gateways_online", "gauge", "", atomic_load(&c->online));
    metric(out, "lpx_mapper_updates_total", "counter", "{outcome=\"stored\"}", atomic_load(&c->updates));
    metric(out, "lpx_mapper_updates_total", NULL, "{outcome=\"refused\"}", atomic_load(&c->updates_refused));
    metric(out, "lpx_mapper_loads_total", "counter", "{outcome=\"ok\"}", atomic_load(&c->loads));
    metric(out, "lpx_mapper_loads_total", NULL, "{outcome=\"failed\"}", atomic_load(&c->loads_failed));
    metric(out, "lpx_mapper_rows_refused_total", "counter", "", atomic_load(&c->rows_refused));
    metric(out, "lpx_mapper_rest_requests_total", "counter", "{code=\"cut\"}", atomic_load(&c->requests[0]));
    metric(out, "lpx_mapper_rest_requests_total", NULL, "{code=\"2xx\"}", atomic_load(&c->requests[2]));
    metric(out, "lpx_mapper_rest_requests_total", NULL, "{code=\"4xx\"}", atomic_load(&c->requests[4]));
    metric(out, "lpx_mapper_rest_requests_total", NULL, "{code=\"5xx\"}", atomic_load(&c->requests[5]));
    metric(out, "lpx_mapper_rest_limited_total", "counter", "", atomic_load(&c->limited));
    metric(out, "lpx_mapper_queries_total", "counter", "", atomic_load(&c->queries));
    lpx_buf_printf(out, "# TYPE lpx_mapper_query_seconds_total counter\nlpx_mapper_query_seconds_total %llu.%06llu\n",
                   (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}
