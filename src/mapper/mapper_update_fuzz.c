/* What a forwarder tells, from raw bytes: decode, check, merge into what an earlier request left, encode, decode again,
 * show as JSON. */
#include "base/assert.h"
#include "codec/json/json.h"
#include "mapper/mapper_json.h"
#include "mapper/mapper_update_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 16 << 20 };

/* What was stored must be readable, and what is shown must be JSON. */
static void show(const Pb__V3__Gateway *gateway, const mapper_update *update, lpx_arena *arena)
{
    lpx_bytes bytes;
    ProtobufCMessage *again;
    if (lpx_failed(pb_encode(&gateway->base, arena, &bytes))) {
        return;
    }
    lpx_err err = pb_decode(&pb__v3__gateway__descriptor, bytes, arena, &again, NULL);
    lpx_assert(!lpx_failed(err) || err.code == LPX_RESOURCE_EXHAUSTED);
    if (lpx_failed(err)) {
        return;
    }
    lpx_buf json;
    const json_value *value;
    mapper_row row = {.forwarder = update->forwarder, .key = lpx_str_of(update->key)};
    mapper_row_fill((const Pb__V3__Gateway *)again, &row);
    lpx_assert((row.known & MAPPER_HAS_COUNT) == 0 || row.antenna_count > 0);
    lpx_buf_init(&json, MAPPER_GATEWAY_JSON_BYTES);
    mapper_json_details(&json, &row, (const Pb__V3__Gateway *)again, MAPPER_SEE_ALL, (lpx_utc){0});
    lpx_assert(!lpx_buf_failed(&json)); /* every accepted gateway fits */
    err = json_parse(lpx_bytes_str(lpx_buf_view(&json)), arena, &value, NULL);
    lpx_assert(!lpx_failed(err) || err.code == LPX_RESOURCE_EXHAUSTED);
    lpx_buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_arena arena;
    lpx_note note = {""};
    ProtobufCMessage *message;
    mapper_update update;
    lpx_arena_init(&arena, ARENA_BYTES);
    if (!lpx_failed(pb_decode(&pb__mapping__v2__update_gateway_request__descriptor, lpx_bytes_of(data, size), &arena,
                              &message, &note))) {
        if (lpx_failed(mapper_update_check((const void *)message, &update, &note))) {
            lpx_assert(note.text[0] != '\0');
        } else {
            Pb__V3__Gateway stored;
            lpx_utc until = {0};
            pb__v3__gateway__init(&stored);
            mapper_update_merge(&update, (lpx_utc){1}, &stored, &until);
            lpx_assert(until.us >= 0);
            show(&stored, &update, &arena);
        }
    }
    lpx_arena_fini(&arena);
    return 0;
}
