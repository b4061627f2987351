/* grpc.health.v1: is this process ready, and each service that it serves? One per loop. Level 5. Thread: owner loop. */
#pragma once
#include "rpc/server.h"

typedef struct rpc_health rpc_health;

/** New; adds its methods to the server, which must be freed first. Not serving until it is told otherwise. */
LPX_RESULT rpc_health_new(rpc_server *rpc, rpc_health **out, lpx_note *note);
/** From now on all services serve, or none: whoever watches is told. */
void rpc_health_set(rpc_health *health, bool serving);
/** Free; clears the pointer; accepts NULL. */
void rpc_health_free(rpc_health **health);
