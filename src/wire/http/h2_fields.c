#include "wire/http/h2_fields.h"

#include <stdlib.h>

#include "wire/http/h2_priv.h"

lpx_str h2_text_of(nghttp2_rcbuf *rcbuf)
{
    nghttp2_vec vec = nghttp2_rcbuf_get_buf(rcbuf);
    return lpx_bytes_str(lpx_bytes_of(vec.base, vec.len));
}

h2_fields *h2_fields_new(h2_pool *pool)
{
    h2_fields *set = pool->spare_fields;
    if (set != NULL) {
        pool->spare_fields = set->next_spare;
        pool->spare_fields_count--;
    } else {
        set = malloc(sizeof *set);
        if (set == NULL) {
            return NULL;
        }
    }
    memset(set, 0, offsetof(h2_fields, inline_fields));
    set->pool = pool;
    set->users = 1;
    set->fields = set->inline_fields;
    set->refs = set->inline_refs;
    set->room = H2_INLINE_FIELDS;
    return set;
}

h2_fields *h2_fields_ref(h2_fields *set)
{
    set->users++;
    return set;
}

void h2_fields_unref(h2_fields **at)
{
    h2_fields *set = *at;
    *at = NULL;
    if (set == NULL || --set->users > 0) {
        return;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        nghttp2_rcbuf_decref(set->refs[i].name);
        nghttp2_rcbuf_decref(set->refs[i].value);
    }
    if (set->fields != set->inline_fields) {
        free(set->fields);
        free(set->refs);
    }
    h2_pool *pool = set->pool;
    if (pool->spare_fields_count >= H2_KEPT_STREAMS) {
        free(set);
        return;
    }
    set->next_spare = pool->spare_fields;
    pool->spare_fields = set;
    pool->spare_fields_count++;
}

void h2_fields_free_spare(h2_pool *pool)
{
    while (pool->spare_fields != NULL) {
        h2_fields *set = pool->spare_fields;
        pool->spare_fields = set->next_spare;
        free(set);
    }
    pool->spare_fields_count = 0;
}

/* More room: inline, then the most at once (rare). */
static bool fields_grow(h2_fields *set)
{
    if (set->room == H2_MAX_FIELDS) {
        return false;
    }
    h2_field *fields = calloc(H2_MAX_FIELDS, sizeof *fields);
    h2_ref *refs = calloc(H2_MAX_FIELDS, sizeof *refs);
    if (fields == NULL || refs == NULL) {
        free(fields);
        free(refs);
        return false;
    }
    memcpy(fields, set->fields, set->count * sizeof *fields);
    memcpy(refs, set->refs, set->count * sizeof *refs);
    set->fields = fields;
    set->refs = refs;
    set->room = H2_MAX_FIELDS;
    return true;
}

bool h2_fields_add(h2_fields *set, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    if (set->count == set->room && !fields_grow(set)) {
        return false;
    }
    set->fields[set->count] = (h2_field){h2_text_of(name), h2_text_of(value)};
    set->refs[set->count] = (h2_ref){name, value};
    set->count++;
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    return true;
}
