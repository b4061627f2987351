/* Gateways as JSON, in the form of the REST API. Private to this folder. */
#pragma once
#include "base/buf.h"
#include "mapper/mapper_row.h"
#include "pb_v3_api.pb-c.h"

/** Append a gateway as in lists; what parts does not open is left out. */
void mapper_json_row(lpx_buf *out, const mapper_row *row, uint32_t parts, lpx_utc now);
/** Append a gateway with its details. */
void mapper_json_details(lpx_buf *out, const mapper_row *row, const Pb__V3__Gateway *gateway, uint32_t parts,
                         lpx_utc now);
