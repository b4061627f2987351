/* libyaml's events to a flat list. The stack of open mappings and lists is ours, so nothing here recurses. */
#include "codec/yaml/yaml.h"

#include <stdio.h>
#include <yaml.h>

#include "lpx_reasons.h"

/* A key that its mapping has already. */
typedef struct key_node {
    struct key_node *next;
    uint32_t hash;
    lpx_str key;
} key_node;

typedef struct level {
    bool list;
    bool want_value; /* mapping: its key was read */
    size_t path_len; /* of the mapping or list itself */
    size_t count;    /* members or items */
    uint32_t line, column;
    key_node *keys;
} level;

typedef struct reader {
    lpx_arena *arena;
    lpx_note *note;
    char path[YAML_MAX_PATH_BYTES];
    size_t path_len;
    level levels[YAML_MAX_DEPTH];
    size_t depth;
    yaml_entry *entries;
    size_t count, room;
    bool has_document, done;
} reader;

static lpx_err malformed(const reader *r, const yaml_mark_t *mark, const char *what)
{
    return lpx_fail(r->note, YAML_MALFORMED, "YAML line %zu, column %zu: %s.", mark->line + 1, mark->column + 1, what);
}

static lpx_err too_big(const reader *r, const yaml_mark_t *mark, const char *what)
{
    return lpx_fail(r->note, YAML_TOO_BIG, "YAML line %zu, column %zu: %s.", mark->line + 1, mark->column + 1, what);
}

static level *top_level(reader *r)
{
    return r->depth > 0 ? &r->levels[r->depth - 1] : NULL;
}

static bool path_append(reader *r, lpx_str text)
{
    if (text.len > sizeof r->path - r->path_len) {
        return false;
    }
    memcpy(r->path + r->path_len, text.ptr, text.len);
    r->path_len += text.len;
    return true;
}

/* ---- leaves ---- */

static lpx_err entry_add(reader *r, yaml_kind kind, lpx_str text, bool quoted, const yaml_mark_t *mark)
{
    enum { FIRST_ROOM = 32 };
    if (r->count == YAML_MAX_ENTRIES) {
        return too_big(r, mark, "more values than one file may have");
    }
    if (r->count == r->room) {
        size_t room = r->room == 0 ? FIRST_ROOM : r->room * 2;
        yaml_entry *entries = lpx_arena_array(r->arena, room, sizeof *entries);
        if (entries == NULL) {
            return lpx_err_of(BASE_NO_MEMORY);
        }
        if (r->count > 0) {
            memcpy(entries, r->entries, r->count * sizeof *entries);
        }
        r->entries = entries;
        r->room = room;
    }
    lpx_bytes path = lpx_arena_copy(r->arena, lpx_bytes_of(r->path, r->path_len));
    lpx_bytes copy = lpx_arena_copy(r->arena, lpx_str_bytes(text));
    if (path.ptr == NULL || copy.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    r->entries[r->count++] = (yaml_entry){.kind = kind,
                                          .path = lpx_bytes_str(path),
                                          .text = lpx_bytes_str(copy),
                                          .quoted = quoted,
                                          .line = (uint32_t)(mark->line + 1),
                                          .column = (uint32_t)(mark->column + 1)};
    return LPX_SUCCESS;
}

/* ---- places ---- */

/* A value begins: in a list it gets the next index. */
static lpx_err value_begin(reader *r, const yaml_mark_t *mark)
{
    level *top = top_level(r);
    char index[24];
    if (top == NULL || !top->list) {
        return LPX_SUCCESS;
    }
    int len = snprintf(index, sizeof index, "[%zu]", top->count++);
    return path_append(r, (lpx_str){index, (size_t)len}) ? LPX_SUCCESS : too_big(r, mark, "its path is too long");
}

/* A value is over: the path is that of its mapping or list again. */
static void value_end(reader *r)
{
    level *top = top_level(r);
    r->path_len = top != NULL ? top->path_len : 0;
    if (top != NULL) {
        top->want_value = false;
    }
}

static uint32_t key_hash(lpx_str key)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < key.len; i++) {
        hash = (uint32_t)((hash ^ (unsigned char)key.ptr[i]) * (uint64_t)16777619U);
    }
    return hash;
}

static lpx_err key_note(reader *r, level *top, lpx_str key, const yaml_mark_t *mark)
{
    uint32_t hash = key_hash(key);
    for (const key_node *node = top->keys; node != NULL; node = node->next) {
        if (node->hash == hash && lpx_str_equal(node->key, key)) {
            return malformed(r, mark, "this key is there twice");
        }
    }
    key_node *node = lpx_arena_get(r->arena, sizeof *node);
    lpx_bytes copy = lpx_arena_copy(r->arena, lpx_str_bytes(key));
    if (node == NULL || copy.ptr == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    *node = (key_node){.next = top->keys, .hash = hash, .key = lpx_bytes_str(copy)};
    top->keys = node;
    return LPX_SUCCESS;
}

static lpx_err on_key(reader *r, level *top, lpx_str key, const yaml_mark_t *mark)
{
    if (key.len == 0 || memchr(key.ptr, '[', key.len) != NULL || memchr(key.ptr, ']', key.len) != NULL) {
        return malformed(r, mark, "a key must be text without brackets");
    }
    LPX_TRY(key_note(r, top, key, mark));
    if ((r->path_len > 0 && !path_append(r, LPX_STR("."))) || !path_append(r, key)) {
        return too_big(r, mark, "its path is too long");
    }
    top->count++;
    top->want_value = true;
    return LPX_SUCCESS;
}

/* ---- events ---- */

static bool is_null(lpx_str text)
{
    return text.len == 0 || lpx_str_is(text, "~") || lpx_str_is(text, "null") || lpx_str_is(text, "Null") ||
           lpx_str_is(text, "NULL");
}

static lpx_err on_scalar(reader *r, const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    lpx_str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    level *top = top_level(r);
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL) {
        return malformed(r, mark, "anchors and tags are not read here");
    }
    if (memchr(text.ptr, 0, text.len) != NULL) {
        return malformed(r, mark, "text cannot hold a NUL character");
    }
    if (top != NULL && !top->list && !top->want_value) {
        return on_key(r, top, text, mark);
    }
    LPX_TRY(value_begin(r, mark));
    LPX_TRY(entry_add(r, !quoted && is_null(text) ? YAML_NULL : YAML_SCALAR, text, quoted, mark));
    value_end(r);
    return LPX_SUCCESS;
}

static lpx_err on_open(reader *r, const yaml_event_t *event, bool list)
{
    const yaml_mark_t *mark = &event->start_mark;
    const level *top = top_level(r);
    const yaml_char_t *anchor = list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    const yaml_char_t *tag = list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    if (anchor != NULL || tag != NULL) {
        return malformed(r, mark, "anchors and tags are not read here");
    }
    if (top != NULL && !top->list && !top->want_value) {
        return malformed(r, mark, "a key must be text");
    }
    if (r->depth == YAML_MAX_DEPTH) {
        return too_big(r, mark, "nested too deeply");
    }
    LPX_TRY(value_begin(r, mark));
    r->levels[r->depth++] =
        (level){.list = list, .path_len = r->path_len, .line = (uint32_t)mark->line, .column = (uint32_t)mark->column};
    return LPX_SUCCESS;
}

static lpx_err on_close(reader *r)
{
    const level *top = top_level(r);
    yaml_mark_t mark = {.line = top->line, .column = top->column};
    if (top->count == 0) {
        LPX_TRY(entry_add(r, top->list ? YAML_EMPTY_LIST : YAML_EMPTY_MAP, (lpx_str){.ptr = ""}, false, &mark));
    }
    r->depth--;
    value_end(r);
    return LPX_SUCCESS;
}

static lpx_err on_event(reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return LPX_SUCCESS;
    case YAML_STREAM_END_EVENT:
        r->done = true;
        return LPX_SUCCESS;
    case YAML_DOCUMENT_START_EVENT:
        if (r->has_document) {
            return malformed(r, &event->start_mark, "a second document begins");
        }
        r->has_document = true;
        return LPX_SUCCESS;
    case YAML_ALIAS_EVENT:
        return malformed(r, &event->start_mark, "aliases are not read here");
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, event, true);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, event, false);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(r);
    }
    return LPX_SUCCESS;
}

static lpx_err parser_fail(const reader *r, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (parser->error == YAML_READER_ERROR) {
        return lpx_fail(r->note, YAML_MALFORMED, "YAML byte %zu: %s.", parser->problem_offset,
                        parser->problem != NULL ? parser->problem : "this is not UTF-8 text");
    }
    return malformed(r, &parser->problem_mark, parser->problem != NULL ? parser->problem : "this is not YAML");
}

static lpx_err events_read(reader *r, yaml_parser_t *parser)
{
    while (!r->done) {
        yaml_event_t event;
        if (yaml_parser_parse(parser, &event) == 0) {
            return parser_fail(r, parser);
        }
        lpx_err err = on_event(r, &event);
        yaml_event_delete(&event);
        if (lpx_failed(err)) {
            return err;
        }
    }
    return LPX_SUCCESS;
}

LPX_RESULT yaml_read(lpx_str text, lpx_arena *arena, yaml_doc *out, lpx_note *note)
{
    reader r = {.arena = arena, .note = note};
    yaml_parser_t parser;
    if (text.len > YAML_MAX_TEXT_BYTES) {
        return lpx_fail(note, YAML_TOO_BIG, "A YAML text has at most %d bytes.", YAML_MAX_TEXT_BYTES);
    }
    if (yaml_parser_initialize(&parser) == 0) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    lpx_err err = events_read(&r, &parser);
    yaml_parser_delete(&parser);
    if (lpx_failed(err)) {
        return err;
    }
    *out = (yaml_doc){.entries = r.entries, .count = r.count};
    return LPX_SUCCESS;
}
