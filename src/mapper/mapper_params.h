/* What a REST request asks for: its query, and the {id} of one gateway. Private to this folder. Pure. */
#pragma once
#include "base/arena.h"
#include "mapper/mapper_scan_core.h"

/** Read the query of GET /gateways ("distanceWithin[latitude]=52.1&..."). Unknown names, a name twice and values of
 * another form are errors.
 * @param arena holds text
 * @param note  names the parameter and says what would be right
 * @err INVALID_ARGUMENT: MAPPER_BAD_PARAMETER, those of lorawan/ids.h; RESOURCE_EXHAUSTED: BASE_NO_MEMORY */
LPX_RESULT mapper_params_list(lpx_str query, lpx_arena *arena, mapper_query *out, lpx_note *note);

/** Which gateway. */
typedef struct mapper_gateway_id {
    traffic_member forwarder;
    lpx_str key;
} mapper_gateway_id;

/** Read "netID=000013,tenantID=ttn,id=gateway-1" (OpenAPI style simple, exploded), in any order, percent-encoded.
 * @param note names the part and says what would be right
 * @err as mapper_params_list */
LPX_RESULT mapper_params_id(lpx_str text, lpx_arena *arena, mapper_gateway_id *out, lpx_note *note);
