/* Any text as a stream of values: a value that is found ends where it is found also when less of the stream is there,
 * and what parses as one value is found whole. */
#include <stdlib.h>

#include "base/assert.h"
#include "codec/json/json.h"
#include "codec/json/protojson.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 1024 * 1024, PREFIX_MAX = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void prefixes_check(lpx_str text, size_t value_len, bool bracketed)
{
    for (size_t len = 0; len < value_len && len < PREFIX_MAX; len++) {
        size_t found = 0;
        bool bad = false;
        bool whole = protojson_next_value((lpx_str){text.ptr, len}, &found, &bad);
        lpx_assert(!bad && !(whole && bracketed));
    }
    size_t found = 0;
    bool bad = false;
    bool whole = protojson_next_value((lpx_str){text.ptr, value_len}, &found, &bad);
    lpx_assert(!bad && whole == bracketed && (!whole || found == value_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_str text = {(const char *)data, size};
    size_t len = 0, space = 0;
    bool bad = false;
    bool whole = protojson_next_value(text, &len, &bad);
    lpx_assert(!(whole && bad) && len <= size);
    while (space < size && memchr(" \t\r\n", text.ptr[space], 4) != NULL) {
        space++;
    }
    bool bracketed = space < size && (text.ptr[space] == '{' || text.ptr[space] == '[' || text.ptr[space] == '"');
    if (whole && bracketed) {
        prefixes_check(text, len, bracketed);
    }
    lpx_arena arena;
    lpx_note note;
    const json_value *doc = NULL;
    lpx_arena_init(&arena, ARENA_BYTES);
    bool parses = !lpx_failed(json_parse(text, &arena, &doc, &note));
    if (parses && bracketed) {
        lpx_assert(whole);
        for (; len < size; len++) {
            lpx_assert(memchr(" \t\r\n", text.ptr[len], 4) != NULL);
        }
    }
    lpx_assert(!(parses && bad));
    lpx_arena_fini(&arena);
    return 0;
}
