/* Interface to the log: modules below rpc and bin never log; those that do call lpx_log with a stable event name and
 * typed fields. Where lines go is set once by bin. Never keys, tokens or payloads. Thread: any. */
#pragma once
#include "base/bytes.h"

typedef enum lpx_log_level { LPX_LOG_DEBUG, LPX_LOG_INFO, LPX_LOG_WARN, LPX_LOG_ERROR } lpx_log_level;

/** One typed field of a log line. */
typedef struct lpx_field {
    const char *key;
    enum { LPX_FIELD_STR, LPX_FIELD_INT, LPX_FIELD_HEX } kind;
    lpx_str str;
    int64_t num;
    unsigned digits; /* LPX_FIELD_HEX: upper-case hex digits */
} lpx_field;

#define LPX_F_STR(k, v) ((lpx_field){.key = (k), .kind = LPX_FIELD_STR, .str = (v)})
#define LPX_F_INT(k, v) ((lpx_field){.key = (k), .kind = LPX_FIELD_INT, .num = (int64_t)(v)})
#define LPX_F_HEX(k, v, n) ((lpx_field){.key = (k), .kind = LPX_FIELD_HEX, .num = (int64_t)(v), .digits = (n)})

/** Receiver of log lines, set once at start by bin. */
typedef void lpx_log_sink(void *ctx, lpx_log_level level, const char *event, const lpx_field *fields, size_t count);

/** Set the sink; NULL drops every line. Not thread-safe: before the first loop starts. */
void lpx_log_to(lpx_log_sink *sink, void *ctx);
/** Least level that reaches the sink. @thread any */
void lpx_log_set_level(lpx_log_level level);
/** Emit one line. */
void lpx_log(lpx_log_level level, const char *event, const lpx_field *fields, size_t count);

/** Emit one line with a list of fields. */
#define LPX_LOG(level, event, ...)                              \
    lpx_log((level), (event), (const lpx_field[]){__VA_ARGS__}, \
            sizeof((const lpx_field[]){__VA_ARGS__}) / sizeof(lpx_field))
