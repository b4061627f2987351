/* The fields of a head or tail. A client sends the same head again and again, and HPACK hands out the same objects for
 * it: such heads share one set, so that what was found out about it need not be found out again. For this folder alone.
 * Level 3. */
#pragma once
#include <nghttp2/nghttp2.h>

#include "wire/http/h2.h"
#include "wire/http/h2_head.h"
#include "wire/http/h2_limits.h"

/** References that keep a field's text alive. */
typedef struct h2_ref {
    nghttp2_rcbuf *name, *value;
} h2_ref;

typedef struct h2_fields {
    h2_pool *pool;
    struct h2_fields *next_spare;
    unsigned users;
    uint32_t count, room;
    uint32_t bytes; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    h2_field *fields;
    h2_ref *refs;
    /* Of a head that may be shared: */
    uint64_t number;     /* never given twice; 0: not shared yet */
    h2_head head;        /* what its fields came to */
    uint64_t credential; /* of the authorization value */
    h2_field inline_fields[H2_INLINE_FIELDS];
    h2_ref inline_refs[H2_INLINE_FIELDS];
} h2_fields;

/** A field's text. */
lpx_str h2_text_of(nghttp2_rcbuf *rcbuf);
/** New empty set with one user, from the pool; NULL when out of memory. */
h2_fields *h2_fields_new(h2_pool *pool);
/** One user more; returns its argument. */
h2_fields *h2_fields_ref(h2_fields *set);
/** One user less, the last gives it to the pool; clears the pointer; accepts NULL. */
void h2_fields_unref(h2_fields **set);
/** Free what the pool keeps. */
void h2_fields_free_spare(h2_pool *pool);
/** Append a field and hold its texts. @return false: too many, or no memory */
bool h2_fields_add(h2_fields *set, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
