/* The map of gateways: forwarders tell of theirs (mapping.v2.Mapper), and who may asks for them (REST on port 1901).
 * The store keeps them; an index in memory, on a thread of its own, answers lists. Level 6.
 * Thread: one mapper serves all loops; each function says who may call it. */
#pragma once
#include "rpc/http.h"
#include "rpc/rpc.h"
#include "store/store.h"

typedef struct mapper mapper;

/** What a mapper is made with. */
typedef struct mapper_opts {
    store *store;                 /* borrowed until mapper_free */
    const char *url;              /* of the REST API in its document, without "/api/v2"; copied */
    const char *token_url;        /* where its users get tokens; copied */
    int64_t keep_us;              /* gateways that nobody told of for this long are removed */
    uint32_t max_gateways;        /* of one network */
    uint32_t requests_per_minute; /* of one address or key; 0: no limit */
} mapper_opts;

/** Make a mapper, load all gateways (blocks: for start-up), begin to follow the change feed.
 * @param loop what the mapper does by itself starts from here; borrowed until mapper_free
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY; those of the store */
LPX_RESULT mapper_new(const mapper_opts *opts, io_loop *loop, mapper **out, lpx_note *note);
/** The method of mapping.v2.Mapper; borrowed for the mapper's life. */
const rpc_method *mapper_methods(const mapper *mapper, size_t *count);
/** Serve GET /api/v2/gateways, /api/v2/gateways/{id} and /api/v2/openapi.json. Once for each loop's HTTP server; both
 * are borrowed until mapper_free. @thread start-up, or the server's loop */
LPX_RESULT mapper_serve(mapper *mapper, rpc_http *front, http1_server *http);
/** Append metrics. @thread any */
void mapper_metrics(mapper *mapper, lpx_buf *out);
/** Stop following and looking things up: requests end with UNAVAILABLE. Before the store is closed; turn the loops once
 * afterwards. @thread the loops do not run */
void mapper_stop(mapper *mapper);
/** Free; clears the pointer; accepts NULL. After mapper_stop, when the HTTP servers are freed. */
void mapper_free(mapper **mapper);
