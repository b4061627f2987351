/* Sticky cursor over input. Every read goes through lpx_reader_take, which alone compares with what is left. */
#include "base/reader.h"

#include "base/limits.h"

void lpx_reader_init(lpx_reader *r, lpx_bytes in)
{
    *r = (lpx_reader){.rest = in, .total_len = in.len};
}

size_t lpx_reader_left(const lpx_reader *r)
{
    return r->rest.len;
}

size_t lpx_reader_offset(const lpx_reader *r)
{
    return r->failed ? r->fail_offset : r->total_len - r->rest.len;
}

void lpx_reader_reject(lpx_reader *r)
{
    if (r->failed) {
        return;
    }
    r->fail_offset = r->total_len - r->rest.len;
    r->failed = true;
    r->rest = (lpx_bytes){NULL, 0};
}

lpx_bytes lpx_reader_take(lpx_reader *r, size_t len)
{
    if (r->failed || len > r->rest.len) {
        lpx_reader_reject(r);
        return (lpx_bytes){NULL, 0};
    }
    lpx_bytes out = {.ptr = r->rest.ptr, .len = len};
    if (len > 0) {
        r->rest = (lpx_bytes){.ptr = r->rest.ptr + len, .len = r->rest.len - len};
    }
    return out;
}

lpx_bytes lpx_reader_take_rest(lpx_reader *r)
{
    return lpx_reader_take(r, r->rest.len);
}

lpx_reader lpx_reader_sub(lpx_reader *r, size_t len)
{
    lpx_reader child;
    lpx_reader_init(&child, lpx_reader_take(r, len));
    child.failed = r->failed;
    return child;
}

static uint64_t take_le(lpx_reader *r, size_t len)
{
    lpx_bytes b = lpx_reader_take(r, len);
    uint64_t v = 0;
    for (size_t i = b.len; i > 0; i--) {
        v = v << 8 | b.ptr[i - 1];
    }
    return v;
}

static uint64_t take_be(lpx_reader *r, size_t len)
{
    lpx_bytes b = lpx_reader_take(r, len);
    uint64_t v = 0;
    for (size_t i = 0; i < b.len; i++) {
        v = v << 8 | b.ptr[i];
    }
    return v;
}

uint8_t lpx_reader_u8(lpx_reader *r)
{
    return (uint8_t)take_le(r, 1);
}

uint16_t lpx_reader_u16le(lpx_reader *r)
{
    return (uint16_t)take_le(r, 2);
}

uint32_t lpx_reader_u24le(lpx_reader *r)
{
    return (uint32_t)take_le(r, 3);
}

uint32_t lpx_reader_u32le(lpx_reader *r)
{
    return (uint32_t)take_le(r, 4);
}

uint64_t lpx_reader_u64le(lpx_reader *r)
{
    return take_le(r, 8);
}

uint16_t lpx_reader_u16be(lpx_reader *r)
{
    return (uint16_t)take_be(r, 2);
}

uint32_t lpx_reader_u32be(lpx_reader *r)
{
    return (uint32_t)take_be(r, 4);
}

uint64_t lpx_reader_u64be(lpx_reader *r)
{
    return take_be(r, 8);
}

uint64_t lpx_reader_varint(lpx_reader *r)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < LPX_VARINT_MAX_BYTES && i < r->rest.len; i++) {
        uint8_t byte = r->rest.ptr[i];
        /* The tenth byte has room for one bit only. */
        if (i == LPX_VARINT_MAX_BYTES - 1 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            (void)lpx_reader_take(r, i + 1);
            return v;
        }
    }
    lpx_reader_reject(r);
    return 0;
}

lpx_err lpx_reader_end(const lpx_reader *r, uint16_t reason, const char *what, lpx_note *note)
{
    if (r->failed) {
        return lpx_fail(note, reason, "%s ends too early or is malformed at byte %zu.", what, r->fail_offset);
    }
    if (r->rest.len > 0) {
        return lpx_fail(note, reason, "%s has %zu bytes too many at byte %zu.", what, r->rest.len,
                        lpx_reader_offset(r));
    }
    return LPX_SUCCESS;
}
