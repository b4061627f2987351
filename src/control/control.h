/* Control plane: routing policies, route tables, gateway visibility, settings of home networks, and the feed of changes
 * for other components. What a program needs to run it; its rpcs come as tables for the call pipeline. The router has a
 * snapshot of its own and never calls this. Level 6. */
#pragma once
#include "base/buf.h"
#include "rpc/rpc.h"

/** Methods of routing.v1.PolicyManager and Routes, routing.v2.Routes, mapping.v2.GatewayVisibilityManager and
 * lpx.routing.v1.HomeNetworkSettingsManager. They have no state: the table is static. */
size_t control_methods(const rpc_method **out);

/** The change feed: routing.v2.Publisher. */
typedef struct control_feed control_feed;

/** New feed; follows the changes of the store on loops[0].
 * @param loops all loops of the process, in the order of io_loop_index; borrowed until control_feed_free
 * @err RESOURCE_EXHAUSTED: BASE_NO_MEMORY; those of io_timer_init */
LPX_RESULT control_feed_new(store *db, io_loop *const *loops, unsigned loop_count, control_feed **out);
/** Its method; borrowed for the feed's life; the same for every loop. */
const rpc_method *control_feed_methods(const control_feed *feed, size_t *count);
/** Stop following; to be called when no loop runs any more, before the store is closed. Accepts NULL. */
void control_feed_stop(control_feed *feed);
/** Free; clears the pointer; accepts NULL. After the rpc servers are freed and the store is closed. */
void control_feed_free(control_feed **feed);
/** Append metrics as Prometheus text. @thread any */
void control_feed_metrics(const control_feed *feed, lpx_buf *out);
