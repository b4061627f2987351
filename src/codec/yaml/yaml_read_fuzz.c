/* Any text as YAML: leaves have paths and places that are inside of the text. */
#include "base/assert.h"
#include "codec/yaml/yaml.h"
#include "lpx_reasons.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_arena arena;
    lpx_note note = {{0}};
    yaml_doc doc = {0};
    lpx_arena_init(&arena, ARENA_BYTES);
    lpx_err err = yaml_read((lpx_str){(const char *)data, size}, &arena, &doc, &note);
    lpx_assert(!lpx_failed(err) || err.reason == BASE_NO_MEMORY || note.text[0] != '\0');
    for (size_t i = 0; i < doc.count; i++) {
        const yaml_entry *e = &doc.entries[i];
        lpx_assert(e->line >= 1 && e->line <= size + 1 && e->column >= 1 && e->path.len <= YAML_MAX_PATH_BYTES);
        lpx_assert(e->text.len == 0 || memchr(e->text.ptr, 0, e->text.len) == NULL);
    }
    lpx_arena_fini(&arena);
    return 0;
}
