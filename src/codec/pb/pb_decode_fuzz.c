/* Any bytes as a message: what is accepted encodes to bytes that decode to the same, and prints as JSON that reads back
 * as what prints the same. First byte: which message. */
#include "base/assert.h"
#include "codec/json/protojson.h"
#include "codec/pb/pb.h"
#include "codec/testing/testing_types.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 1024 * 1024, BUF_BYTES = 8 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wire_check(const ProtobufCMessage *message, lpx_arena *arena)
{
    lpx_bytes first, second;
    ProtobufCMessage *again = NULL;
    lpx_note note;
    if (lpx_failed(pb_encode(message, arena, &first)) ||
        pb_decode(message->descriptor, first, arena, &again, &note).reason == BASE_NO_MEMORY) {
        return;
    }
    lpx_assert(again != NULL);
    if (!lpx_failed(pb_encode(again, arena, &second))) {
        lpx_assert(lpx_bytes_equal(first, second));
    }
}

static void json_check(const ProtobufCMessage *message, lpx_arena *arena)
{
    lpx_buf first, second;
    ProtobufCMessage *again = NULL;
    lpx_note note;
    lpx_buf_init(&first, BUF_BYTES);
    lpx_buf_init(&second, BUF_BYTES);
    lpx_err err = protojson_encode(message, (protojson_style){0}, &first);
    lpx_assert(!lpx_failed(err) || err.reason == JSON_BAD_VALUE || err.reason == BASE_NO_ROOM);
    if (!lpx_failed(err)) {
        err = protojson_decode(message->descriptor, lpx_bytes_str(lpx_buf_view(&first)), arena, &again, &note);
        lpx_assert(again != NULL || err.reason == BASE_NO_MEMORY);
    }
    if (again != NULL) {
        lpx_assert(!lpx_failed(protojson_encode(again, (protojson_style){0}, &second)));
        lpx_assert(lpx_bytes_equal(lpx_buf_view(&first), lpx_buf_view(&second)));
    }
    lpx_buf_fini(&first);
    lpx_buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    lpx_arena arena;
    lpx_note note;
    ProtobufCMessage *message = NULL;
    lpx_arena_init(&arena, ARENA_BYTES);
    lpx_err err = pb_decode(testing_type_pick(data[0]), lpx_bytes_of(data + 1, size - 1), &arena, &message, &note);
    lpx_assert((message != NULL) == !lpx_failed(err));
    if (message != NULL) {
        wire_check(message, &arena);
        json_check(message, &arena);
    }
    lpx_arena_fini(&arena);
    return 0;
}
