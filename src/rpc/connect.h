/* What the Connect protocol says of unary calls over HTTP/1.1: headers, statuses, errors. Pure. Level 5. Thread: any.
 */
#pragma once
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/** How messages are written. */
typedef enum rpc_http_coding {
    RPC_HTTP_JSON,  /* application/json */
    RPC_HTTP_PROTO, /* application/proto */
} rpc_http_coding;

/** Headers of a request that the protocol gives a meaning; empty when absent. */
typedef struct rpc_connect_head {
    lpx_str content_type, content_encoding, version, timeout_ms;
} rpc_connect_head;

/** What they say. */
typedef struct rpc_connect_terms {
    rpc_http_coding coding;
    int64_t timeout_us; /* 0: none was asked for */
} rpc_connect_terms;

/** Content types that a request may have, as the header Accept-Post writes them. */
extern const char rpc_connect_types[];

/** Read the headers.
 * @err INVALID_ARGUMENT: RPC_HTTP_HEAD (note says which and why), RPC_HTTP_TYPE (then the status is 415);
 *      UNIMPLEMENTED: RPC_HTTP_ENCODING */
LPX_RESULT rpc_connect_read(const rpc_connect_head *head, rpc_connect_terms *out, lpx_note *note);
/** HTTP status of an error. */
int rpc_connect_status(lpx_err err);
/** Append {"code", "message", "details"} of an error.
 * @param text for people, in UTF-8
 * @param info serialised ErrorInfo; empty: no details */
void rpc_connect_error(lpx_err err, const char *text, lpx_bytes info, lpx_buf *out);
