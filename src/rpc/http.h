/* The other front of the pipeline: every unary method as JSON over HTTP/1.1 (Connect protocol), and authentication for
 * other HTTP handlers (the mapper's REST). One per loop that has an HTTP server, on top of that loop's rpc_server,
 * whose methods, snapshot and caches it uses. Level 5. Thread: owner loop. */
#pragma once
#include "rpc/rpc.h"
#include "rpc/server.h"
#include "wire/http/http1.h"

typedef struct rpc_http rpc_http;

/** What browsers may do. */
typedef struct rpc_http_opts {
    const lpx_str *allowed_origins; /* CORS; none: off; "*": all. Copied */
    size_t allowed_origin_count;
} rpc_http_opts;

/** New front on a server: adds routes for POST /package.Service/Method of every method that rpc has then, and OPTIONS
 * for allowed origins. Both are borrowed. */
LPX_RESULT rpc_http_new(rpc_server *rpc, http1_server *http, const rpc_http_opts *opts, rpc_http **out);
/** Free; clears the pointer; accepts NULL. After the HTTP server is drained. */
void rpc_http_free(rpc_http **front);

/** Who sent a request: by its Authorization header or its client certificate; without either, RPC_ANONYMOUS.
 * @param who  borrowed for the call; NULL on failure
 * @param note sentence for the client */
typedef void rpc_http_who(void *ctx, http1_request *request, lpx_err err, const rpc_principal *who,
                          const lpx_note *note);
/** Find out who sent a request; who runs once, at once or later, on this loop. */
void rpc_http_identify(rpc_http *front, http1_request *request, rpc_http_who *who, void *ctx);
/** Answer a request with an error: HTTP status and JSON {"code", "message", "details"} as in the Connect protocol. */
void rpc_http_fail(http1_request *request, lpx_err err, const lpx_note *note);
