/* Growing byte buffer, and message bytes shared by reference count. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"

void lpx_buf_init(lpx_buf *buf, size_t max_bytes)
{
    *buf = (lpx_buf){.max_bytes = max_bytes};
}

void lpx_buf_fini(lpx_buf *buf)
{
    free(buf->ptr);
    *buf = (lpx_buf){.max_bytes = buf->max_bytes};
}

void lpx_buf_clear(lpx_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

uint8_t *lpx_buf_reserve(lpx_buf *buf, size_t want)
{
    if (buf->failed || want > buf->max_bytes - buf->len) {
        buf->failed = true;
        return NULL;
    }
    if (buf->ptr != NULL && want <= buf->room - buf->len) {
        return buf->ptr + buf->len;
    }
    size_t need = buf->len + want;
    size_t room = buf->room < LPX_BUF_FIRST_BYTES ? LPX_BUF_FIRST_BYTES : buf->room;
    while (room < need) {
        room = room > SIZE_MAX / 2 ? need : room * 2;
    }
    /* The limit bounds the room too, but an empty buffer with limit 0 still gets a pointer. */
    room = room > buf->max_bytes ? buf->max_bytes : room;
    uint8_t *ptr = realloc(buf->ptr, room > 0 ? room : 1);
    if (ptr == NULL) {
        buf->failed = true;
        return NULL;
    }
    buf->ptr = ptr;
    buf->room = room;
    return buf->ptr + buf->len;
}

void lpx_buf_grown(lpx_buf *buf, size_t used)
{
    lpx_assert(used <= buf->room - buf->len);
    buf->len += used;
}

void lpx_buf_add(lpx_buf *buf, lpx_bytes bytes)
{
    uint8_t *ptr = lpx_buf_reserve(buf, bytes.len);
    if (ptr == NULL || bytes.len == 0) {
        return;
    }
    memcpy(ptr, bytes.ptr, bytes.len);
    buf->len += bytes.len;
}

void lpx_buf_add_str(lpx_buf *buf, lpx_str text)
{
    lpx_buf_add(buf, lpx_str_bytes(text));
}

void lpx_buf_printf(lpx_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        buf->failed = true;
        return;
    }
    lpx_buf_add(buf, lpx_bytes_of(text, (size_t)len));
    free(text);
}

void lpx_buf_drop(lpx_buf *buf, size_t n)
{
    lpx_assert(n <= buf->len);
    if (n == 0) {
        return;
    }
    buf->len -= n;
    memmove(buf->ptr, buf->ptr + n, buf->len);
}

lpx_bytes lpx_buf_view(const lpx_buf *buf)
{
    return (lpx_bytes){.ptr = buf->ptr, .len = buf->len};
}

bool lpx_buf_failed(const lpx_buf *buf)
{
    return buf->failed;
}

struct lpx_shared {
    atomic_size_t refs;
    size_t len;
    uint8_t data[];
};

lpx_shared *lpx_shared_new(lpx_bytes bytes)
{
    if (bytes.len > SIZE_MAX - sizeof(lpx_shared)) {
        return NULL;
    }
    lpx_shared *shared = malloc(sizeof(lpx_shared) + bytes.len);
    if (shared == NULL) {
        return NULL;
    }
    atomic_init(&shared->refs, 1);
    shared->len = bytes.len;
    if (bytes.len > 0) {
        memcpy(shared->data, bytes.ptr, bytes.len);
    }
    return shared;
}

lpx_shared *lpx_shared_ref(lpx_shared *shared)
{
    (void)atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    return shared;
}

void lpx_shared_unref(lpx_shared **shared)
{
    lpx_shared *old = *shared;
    *shared = NULL;
    if (old == NULL) {
        return;
    }
    /* Release pairs with acquire: whoever frees has seen all that others did with the bytes. */
    if (atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) == 1) {
        free(old);
    }
}

lpx_bytes lpx_shared_view(const lpx_shared *shared)
{
    return (lpx_bytes){.ptr = shared->data, .len = shared->len};
}
