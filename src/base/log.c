/* The way from those who log to the one sink that bin sets. The level may change while loops run. */
#include "base/log.h"

#include <stdatomic.h>

static lpx_log_sink *log_sink;
static void *log_ctx;
static atomic_int log_level = LPX_LOG_INFO;

void lpx_log_to(lpx_log_sink *sink, void *ctx)
{
    log_sink = sink;
    log_ctx = ctx;
}

void lpx_log_set_level(lpx_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

void lpx_log(lpx_log_level level, const char *event, const lpx_field *fields, size_t count)
{
    if (log_sink == NULL || (int)level < atomic_load_explicit(&log_level, memory_order_relaxed)) {
        return;
    }
    log_sink(log_ctx, level, event, fields, count);
}
