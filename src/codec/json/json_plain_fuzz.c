/* Any text as JSON: accepted exactly when jansson accepts it, but for what the two hold differently on purpose. */
#include <jansson.h>

#include "base/assert.h"
#include "codec/json/json.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Values inside of a document stand one after the other and fill it. */
static void document_check(const json_value *doc)
{
    for (const json_value *v = doc; v < doc + doc->slots; v++) {
        uint32_t count = 0;
        for (const json_value *inner = json_first(v); inner != NULL; inner = json_next(v, inner)) {
            count++;
        }
        lpx_assert(count == v->count);
    }
}

/* It takes numbers of any length, and a NUL byte for the end of the text. */
static bool taken_by_jansson_alone(const uint8_t *data, size_t size)
{
    return size > 800 || (size > 0 && memchr(data, 0, size) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_arena arena;
    lpx_note note;
    const json_value *doc = NULL;
    json_error_t error = {0};
    lpx_arena_init(&arena, ARENA_BYTES);
    lpx_err err = json_parse((lpx_str){(const char *)data, size}, &arena, &doc, &note);
    lpx_assert((doc != NULL) == !lpx_failed(err));
    json_t *other = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    enum json_error_code code = json_error_code(&error);
    if (doc != NULL) {
        document_check(doc);
        lpx_assert(other != NULL || code == json_error_numeric_overflow);
    } else if (err.reason == JSON_MALFORMED && !taken_by_jansson_alone(data, size)) {
        lpx_assert(other == NULL);
    }
    json_decref(other);
    lpx_arena_fini(&arena);
    return 0;
}
