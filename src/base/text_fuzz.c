/* Any bytes as UTF-8, base64, numbers and varints: what is accepted must survive the way back. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/reader.h"
#include "base/text.h"
#include "base/writer.h"
#include "lpx_reasons.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_base64(lpx_str text)
{
    size_t room = text.len / 4 * 3 + 3;
    uint8_t *bytes = malloc(room);
    char *again = malloc(lpx_base64_len(room) + 1);
    lpx_assert(bytes != NULL && again != NULL);
    int64_t len = lpx_base64_decode(text, (lpx_space){bytes, room});
    lpx_assert(len <= (int64_t)room);
    if (len >= 0) {
        /* One value has one text but for alphabet and padding. */
        size_t chars = lpx_base64url_encode(lpx_bytes_of(bytes, (size_t)len), again);
        lpx_assert(chars <= text.len && text.len - chars < 3);
        for (size_t i = 0; i < chars; i++) {
            char c = text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i];
            lpx_assert(again[i] == c);
        }
    }
    free(bytes);
    free(again);
}

/* A valid text stays valid in two valid halves, cut before any byte that begins a character. */
static void fuzz_utf8(lpx_bytes text)
{
    if (!lpx_utf8_valid(text)) {
        return;
    }
    for (size_t i = 0; i < text.len && i < 64; i++) {
        bool start = (text.ptr[i] & 0xC0) != 0x80;
        bool halves =
            lpx_utf8_valid(lpx_bytes_of(text.ptr, i)) && lpx_utf8_valid(lpx_bytes_of(text.ptr + i, text.len - i));
        lpx_assert(start == halves);
    }
}

static void fuzz_varint(lpx_bytes in)
{
    lpx_reader r;
    lpx_reader_init(&r, in);
    while (lpx_reader_left(&r) > 0) {
        size_t before = lpx_reader_offset(&r);
        uint64_t v = lpx_reader_varint(&r);
        uint8_t out[10];
        lpx_writer w;
        lpx_writer_init(&w, (lpx_space){out, sizeof(out)});
        lpx_writer_varint(&w, v);
        lpx_assert(!lpx_failed(lpx_writer_end(&w)));
        lpx_assert(r.failed || lpx_writer_view(&w).len <= lpx_reader_offset(&r) - before);
    }
    lpx_assert(r.failed == lpx_failed(lpx_reader_end(&r, BASE_INTERNAL, "input", NULL)));
}

static void fuzz_numbers(lpx_str text)
{
    uint64_t v = 0;
    if (lpx_parse_u64(text, UINT64_MAX, &v)) {
        uint64_t same = 0;
        lpx_assert(lpx_parse_u64(text, v, &same) && same == v);
        lpx_assert(v == 0 || !lpx_parse_u64(text, v - 1, &same));
    }
    if (text.len >= 1 && text.len <= 16 && lpx_parse_hex(text, (unsigned)text.len, &v)) {
        lpx_assert(text.len == 16 || v >> (4 * text.len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_bytes in = lpx_bytes_of(data, size);
    fuzz_base64(lpx_bytes_str(in));
    fuzz_utf8(in);
    fuzz_varint(in);
    fuzz_numbers(lpx_bytes_str(in));
    return 0;
}
