/* A parsed document: its values in one array in the order of the text, each knowing how many slots it takes up. */
#include <stdlib.h>

#include "codec/json/json.h"
#include "lpx_reasons.h"

typedef struct doc_builder {
    lpx_arena *arena;
    json_value *values;
    size_t count, room;
    size_t open[JSON_MAX_DEPTH]; /* slots of the objects and arrays that are not closed yet */
    unsigned depth;
    lpx_str key; /* of the next value */
} doc_builder;

/* Room for one value more; what was given out before moves. */
static lpx_err builder_grow(doc_builder *b)
{
    enum { FIRST_ROOM = 16 };
    if (b->count < b->room) {
        return LPX_SUCCESS;
    }
    size_t room = b->room == 0 ? FIRST_ROOM : b->room * 2;
    json_value *values = room <= UINT32_MAX ? lpx_arena_array(b->arena, room, sizeof *values) : NULL;
    if (values == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (b->count > 0) {
        memcpy(values, b->values, b->count * sizeof *values);
    }
    b->values = values;
    b->room = room;
    return LPX_SUCCESS;
}

static int text_compare(const void *a, const void *b)
{
    const lpx_str *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = len > 0 ? memcmp(left->ptr, right->ptr, len) : 0;
    if (order != 0) {
        return order;
    }
    return left->len < right->len ? -1 : left->len > right->len;
}

/* No name twice. */
static lpx_err object_check(doc_builder *b, const json_value *object, lpx_note *note)
{
    if (object->count < 2) {
        return LPX_SUCCESS;
    }
    lpx_str *keys = lpx_arena_array(b->arena, object->count, sizeof *keys);
    if (keys == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    size_t count = 0;
    for (const json_value *v = json_first(object); v != NULL; v = json_next(object, v)) {
        keys[count++] = v->key;
    }
    qsort(keys, count, sizeof *keys, text_compare);
    for (size_t i = 1; i < count; i++) {
        if (lpx_str_equal(keys[i - 1], keys[i])) {
            return lpx_fail(note, JSON_MALFORMED, "JSON line %u, column %u: the object has \"%.*s\" twice.",
                            object->line, object->column, (int)(keys[i].len < 100 ? keys[i].len : 100), keys[i].ptr);
        }
    }
    return LPX_SUCCESS;
}

static lpx_err builder_close(doc_builder *b, lpx_note *note)
{
    json_value *value = &b->values[b->open[--b->depth]];
    value->slots = (uint32_t)(b->count - b->open[b->depth]);
    return value->kind == JSON_KIND_OBJECT ? object_check(b, value, note) : LPX_SUCCESS;
}

static lpx_err builder_add(doc_builder *b, const json_token *token)
{
    LPX_TRY(builder_grow(b));
    if (b->depth > 0) {
        b->values[b->open[b->depth - 1]].count++;
    }
    if (token->kind == JSON_KIND_OBJECT || token->kind == JSON_KIND_ARRAY) {
        b->open[b->depth++] = b->count;
    }
    b->values[b->count++] = (json_value){.kind = token->kind,
                                         .slots = 1,
                                         .line = token->line,
                                         .column = token->column,
                                         .key = b->key,
                                         .text = token->text};
    b->key = (lpx_str){0};
    return LPX_SUCCESS;
}

LPX_RESULT json_parse(lpx_str text, lpx_arena *arena, const json_value **out, lpx_note *note)
{
    json_reader reader;
    json_reader_init(&reader, text, arena);
    doc_builder builder = {.arena = arena};
    for (;;) {
        json_token token;
        LPX_TRY(json_read(&reader, &token, note));
        if (token.kind == JSON_KIND_END) {
            *out = builder.values;
            return LPX_SUCCESS;
        }
        if (token.kind == JSON_KIND_KEY) {
            builder.key = token.text;
        } else if (token.kind == JSON_KIND_OBJECT_END || token.kind == JSON_KIND_ARRAY_END) {
            LPX_TRY(builder_close(&builder, note));
        } else {
            LPX_TRY(builder_add(&builder, &token));
        }
    }
}

const json_value *json_first(const json_value *parent)
{
    return parent != NULL && parent->count > 0 ? parent + 1 : NULL;
}

const json_value *json_next(const json_value *parent, const json_value *child)
{
    const json_value *next = child + child->slots;
    return next < parent + parent->slots ? next : NULL;
}

const json_value *json_member(const json_value *object, const char *key)
{
    if (object == NULL || object->kind != JSON_KIND_OBJECT) {
        return NULL;
    }
    for (const json_value *v = json_first(object); v != NULL; v = json_next(object, v)) {
        if (lpx_str_is(v->key, key)) {
            return v;
        }
    }
    return NULL;
}

lpx_str json_text(const json_value *value)
{
    return value != NULL && value->kind == JSON_KIND_STRING ? value->text : (lpx_str){.ptr = "", .len = 0};
}

bool json_int(const json_value *value, int64_t *out)
{
    return value != NULL && value->kind == JSON_KIND_NUMBER && json_number_i64(value->text, out);
}

bool json_double(const json_value *value, double *out)
{
    return value != NULL && value->kind == JSON_KIND_NUMBER && json_number_double(value->text, out);
}

bool json_flag(const json_value *value)
{
    return value != NULL && value->kind == JSON_KIND_TRUE;
}
