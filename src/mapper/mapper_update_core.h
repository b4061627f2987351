/* What a forwarder tells of a gateway: checked, and put over what is stored. Private to this folder. Pure. */
#pragma once
#include "codec/pb/pb.h"
#include "mapper/limits.h"
#include "mapper/mapper_row.h"
#include "pb_mapping_v2_api.pb-c.h"

/** By what a gateway goes on the map. */
typedef enum mapper_key_kind { MAPPER_KEY_PLAIN, MAPPER_KEY_HASH, MAPPER_KEY_EUI } mapper_key_kind;

/** A checked request. Text and messages are borrowed from it. */
typedef struct mapper_update {
    const Pb__Mapping__V2__UpdateGatewayRequest *request;
    traffic_endpoint forwarder;
    char key[MAPPER_KEY_BYTES + 1];
    bool has_eui;
    uint64_t eui;
} mapper_update;

/** Kind of a stored key. */
mapper_key_kind mapper_key_kind_of(lpx_str key);

/** Check every field of a request.
 * @param note names the field and says what would be right
 * @err INVALID_ARGUMENT: MAPPER_FIELD_MISSING, MAPPER_BAD_..., those of lorawan/ids.h */
LPX_RESULT mapper_update_check(const Pb__Mapping__V2__UpdateGatewayRequest *request, mapper_update *out,
                               lpx_note *note);

/** Put an update over what is stored: what it leaves out stays as it is.
 * @param stored       as decoded; all zero fields for a new gateway; changed in place, and it borrows from the update
 * @param online_until of the stored gateway; changed when the update tells of it */
void mapper_update_merge(const mapper_update *update, lpx_utc now, Pb__V3__Gateway *stored, lpx_utc *online_until);

/** The row of a stored gateway. Text is borrowed.
 * @param row forwarder, key, eui with its flag, online_until and updated_at are set already; the rest is set here */
void mapper_row_fill(const Pb__V3__Gateway *gateway, mapper_row *row);
