/* Byte views and text views: a pointer and its length never travel apart. Level 0; no allocation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** A borrowed run of bytes, passed by value. ptr may be NULL only when len is 0. */
typedef struct lpx_bytes {
    const uint8_t *ptr;
    size_t len;
} lpx_bytes;

/** A borrowed run of text, UTF-8 unless said otherwise, not NUL-ended. */
typedef struct lpx_str {
    const char *ptr;
    size_t len;
} lpx_str;

/** Writable room: where to write and how much fits. */
typedef struct lpx_space {
    uint8_t *ptr;
    size_t len;
} lpx_space;

/** Text view of a literal. */
#define LPX_STR(literal) ((lpx_str){.ptr = (literal), .len = sizeof(literal) - 1})

/** View of a NUL-ended string; NULL gives the empty view. */
static inline lpx_str lpx_str_of(const char *cstr)
{
    return (lpx_str){.ptr = cstr != NULL ? cstr : "", .len = cstr != NULL ? strlen(cstr) : 0};
}

/** The same bytes seen as bytes. */
static inline lpx_bytes lpx_str_bytes(lpx_str s)
{
    return (lpx_bytes){.ptr = (const uint8_t *)s.ptr, .len = s.len};
}

/** The same bytes seen as text; the caller knows that they are text. */
static inline lpx_str lpx_bytes_str(lpx_bytes b)
{
    return (lpx_str){.ptr = (const char *)b.ptr, .len = b.len};
}

/** View of len bytes at ptr. */
static inline lpx_bytes lpx_bytes_of(const void *ptr, size_t len)
{
    return (lpx_bytes){.ptr = ptr, .len = len};
}

/** Do both views hold the same bytes? Not constant time: never for secrets. */
static inline bool lpx_bytes_equal(lpx_bytes a, lpx_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/** Do both views hold the same text? */
static inline bool lpx_str_equal(lpx_str a, lpx_str b)
{
    return lpx_bytes_equal(lpx_str_bytes(a), lpx_str_bytes(b));
}

/** Does the view hold exactly this NUL-ended text? */
static inline bool lpx_str_is(lpx_str a, const char *cstr)
{
    return lpx_str_equal(a, lpx_str_of(cstr));
}

/** Does s begin with prefix? */
static inline bool lpx_str_starts(lpx_str s, lpx_str prefix)
{
    return s.len >= prefix.len && lpx_str_equal((lpx_str){s.ptr, prefix.len}, prefix);
}

/** s without its first n bytes; empty when n is more than there is. */
static inline lpx_str lpx_str_skip(lpx_str s, size_t n)
{
    size_t drop = n < s.len ? n : s.len;
    return (lpx_str){.ptr = s.ptr + drop, .len = s.len - drop};
}
