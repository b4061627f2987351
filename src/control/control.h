/* Control plane: routing policies (PolicyManager). What a program needs to run it; its rpcs come as a table for the
 * call pipeline. The router has a snapshot of its own and never calls this. Level 6. */
#pragma once
#include "rpc/rpc.h"

/** Methods of org.packetbroker.routing.v1.PolicyManager. The service has no state: the table is static. */
size_t control_methods(const rpc_method **out);
