/* Any text as protojson: what is accepted prints as text that reads back equal, in every style. First byte: which
 * message. */
#include "base/assert.h"
#include "codec/json/protojson.h"
#include "codec/pb/pb.h"
#include "codec/testing/testing_types.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 1024 * 1024, BUF_BYTES = 8 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void style_check(const ProtobufCMessage *message, protojson_style style, lpx_arena *arena, lpx_bytes wire)
{
    lpx_buf text;
    lpx_bytes wire_again;
    lpx_note note;
    ProtobufCMessage *again = NULL;
    lpx_buf_init(&text, BUF_BYTES);
    lpx_err err = protojson_encode(message, style, &text);
    lpx_assert(!lpx_failed(err) || err.reason == BASE_NO_ROOM);
    if (!lpx_failed(err)) {
        err = protojson_decode(message->descriptor, lpx_bytes_str(lpx_buf_view(&text)), arena, &again, &note);
        lpx_assert(!lpx_failed(err) || err.reason == BASE_NO_MEMORY);
    }
    if (again != NULL && !lpx_failed(pb_encode(again, arena, &wire_again))) {
        lpx_assert(lpx_bytes_equal(wire, wire_again));
    }
    lpx_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    lpx_arena arena;
    lpx_note note;
    lpx_bytes wire;
    ProtobufCMessage *message = NULL, *again = NULL;
    lpx_str text = {(const char *)data + 1, size - 1};
    lpx_arena_init(&arena, ARENA_BYTES);
    lpx_err err = protojson_decode(testing_type_pick(data[0]), text, &arena, &message, &note);
    lpx_assert((message != NULL) == !lpx_failed(err));
    if (message != NULL && !lpx_failed(pb_encode(message, &arena, &wire))) {
        err = pb_decode(message->descriptor, wire, &arena, &again, &note);
        lpx_assert(!lpx_failed(err) || err.reason == BASE_NO_MEMORY);
        for (unsigned i = 0; i < 8; i += 3) {
            style_check(message, (protojson_style){.emit_defaults = i & 1, .snake_case = i & 2, .multiline = i & 4},
                        &arena, wire);
        }
    }
    lpx_arena_fini(&arena);
    return 0;
}
