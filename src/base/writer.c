/* Sticky writer into fixed room. Every write asks writer_room, which alone compares with what is left. */
#include "base/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "lpx_reasons.h"

void lpx_writer_init(lpx_writer *w, lpx_space room)
{
    *w = (lpx_writer){.room = room};
}

/* Where the next len bytes go; NULL, and failed from now on, when they do not fit. */
static uint8_t *writer_room(lpx_writer *w, size_t len)
{
    if (w->failed || len > w->room.len - w->len) {
        w->failed = true;
        return NULL;
    }
    uint8_t *ptr = w->room.ptr + w->len;
    w->len += len;
    return ptr;
}

static void put_le(lpx_writer *w, uint64_t v, size_t len)
{
    uint8_t *ptr = writer_room(w, len);
    if (ptr == NULL) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        ptr[i] = (uint8_t)(v >> (8 * i));
    }
}

static void put_be(lpx_writer *w, uint64_t v, size_t len)
{
    uint8_t *ptr = writer_room(w, len);
    if (ptr == NULL) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        ptr[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
    }
}

void lpx_writer_u8(lpx_writer *w, uint8_t v)
{
    put_le(w, v, 1);
}

void lpx_writer_u16le(lpx_writer *w, uint16_t v)
{
    put_le(w, v, 2);
}

void lpx_writer_u24le(lpx_writer *w, uint32_t v)
{
    lpx_assert(v <= 0xFFFFFF);
    put_le(w, v, 3);
}

void lpx_writer_u32le(lpx_writer *w, uint32_t v)
{
    put_le(w, v, 4);
}

void lpx_writer_u64le(lpx_writer *w, uint64_t v)
{
    put_le(w, v, 8);
}

void lpx_writer_u16be(lpx_writer *w, uint16_t v)
{
    put_be(w, v, 2);
}

void lpx_writer_u32be(lpx_writer *w, uint32_t v)
{
    put_be(w, v, 4);
}

void lpx_writer_u64be(lpx_writer *w, uint64_t v)
{
    put_be(w, v, 8);
}

void lpx_writer_varint(lpx_writer *w, uint64_t v)
{
    uint8_t bytes[LPX_VARINT_MAX_BYTES];
    size_t len = 0;
    while (v >= 0x80) {
        bytes[len++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[len++] = (uint8_t)v;
    lpx_writer_bytes(w, lpx_bytes_of(bytes, len));
}

void lpx_writer_bytes(lpx_writer *w, lpx_bytes b)
{
    if (b.len == 0) {
        return;
    }
    uint8_t *ptr = writer_room(w, b.len);
    if (ptr != NULL) {
        memcpy(ptr, b.ptr, b.len);
    }
}

void lpx_writer_str(lpx_writer *w, lpx_str s)
{
    lpx_writer_bytes(w, lpx_str_bytes(s));
}

void lpx_writer_printf(lpx_writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len == 0) {
        return;
    }
    /* vsnprintf also writes a NUL, which does not count but must not land on the byte after the room: the last
     * character is put there by a copy when the text fits exactly. */
    size_t left = w->room.len - w->len;
    if (w->failed || len < 0 || (size_t)len > left) {
        w->failed = true;
        return;
    }
    char *ptr = (char *)w->room.ptr + w->len;
    va_start(args, format);
    if ((size_t)len < left) {
        (void)vsnprintf(ptr, left, format, args);
        w->len += (size_t)len;
    } else {
        char *text = NULL;
        if (vasprintf(&text, format, args) < 0) {
            w->failed = true;
        } else {
            lpx_writer_bytes(w, lpx_bytes_of(text, (size_t)len));
        }
        free(text);
    }
    va_end(args);
}

lpx_bytes lpx_writer_view(const lpx_writer *w)
{
    return (lpx_bytes){.ptr = w->room.ptr, .len = w->len};
}

lpx_err lpx_writer_end(const lpx_writer *w)
{
    return w->failed ? lpx_err_of(BASE_NO_ROOM) : LPX_SUCCESS;
}
