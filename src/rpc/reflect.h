/* Server reflection, v1 and v1alpha: which services this process serves, and the .proto files they come from, so that
 * tools such as grpcurl need none. One per loop. Level 5. Thread: owner loop. */
#pragma once
#include "rpc/server.h"

typedef struct rpc_reflect rpc_reflect;

/** New; adds its methods to the server, which must be freed first. It tells of all methods that are added, later too.
 */
LPX_RESULT rpc_reflect_new(rpc_server *rpc, rpc_reflect **out, lpx_note *note);
/** Free; clears the pointer; accepts NULL. */
void rpc_reflect_free(rpc_reflect **reflect);
