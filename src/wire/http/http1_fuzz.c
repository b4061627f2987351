/* Any bytes as what the HTTP/1.1 server and the address parser read: the first byte chooses which. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/address.h"
#include "wire/http/http1_parse.h"
#include "wire/http/http1_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 4096 };

static void lies_in(lpx_str part, lpx_str whole)
{
    if (part.len > 0) {
        lpx_assert(part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
    }
}

/* A head that is taken has its parts inside the text, and no byte that could end a line earlier. */
static void fuzz_head(lpx_bytes in)
{
    static http1_head head;
    size_t len = http1_head_find(in, 0);
    /* Found in the same place when the bytes come one after the other. */
    size_t searched = 0;
    size_t again = 0;
    for (size_t have = 0; have <= in.len && again == 0; have++) {
        again = http1_head_find(lpx_bytes_of(in.ptr, have), searched);
        searched = have;
    }
    lpx_assert(again == len);
    if (len == 0) {
        return;
    }
    lpx_str text = lpx_bytes_str(lpx_bytes_of(in.ptr, len));
    const char *why = NULL;
    int status = http1_head_parse(text, &head, &why);
    lpx_assert(status == 0 || (status >= 400 && status <= 505 && why != NULL));
    if (status != 0) {
        return;
    }
    lies_in(head.method, text);
    lies_in(head.query, text);
    lpx_assert(head.method.len > 0 && head.path.len > 0 && (head.path.ptr[0] == '/' || head.path.ptr[0] == '*'));
    lpx_assert(head.count <= HTTP1_HEADERS_MAX && !(head.chunked && head.body_bytes > 0));
    for (size_t i = 0; i < head.count; i++) {
        lies_in(head.lines[i].name, text);
        lies_in(head.lines[i].value, text);
        lpx_assert(head.lines[i].name.len > 0 &&
                   memchr(head.lines[i].value.ptr, '\r', head.lines[i].value.len) == NULL);
        lpx_assert(http1_head_value(&head, head.lines[i].name).ptr != NULL);
    }
}

/* Decodes in pieces of step bytes. @return how it ended; *total is what was taken */
static http1_chunks_end decode(lpx_bytes in, size_t step, lpx_buf *body, size_t *total)
{
    http1_chunks chunks = {0};
    http1_chunks_end end = HTTP1_CHUNKS_MORE;
    *total = 0;
    while (end == HTTP1_CHUNKS_MORE && *total < in.len) {
        size_t used = 0;
        size_t piece = in.len - *total < step ? in.len - *total : step;
        end = http1_chunks_feed(&chunks, lpx_bytes_of(in.ptr + *total, piece), body, &used);
        lpx_assert(used <= piece && (used == piece || end != HTTP1_CHUNKS_MORE));
        *total += used;
    }
    return end;
}

/* The same whether it comes at once or in pieces; a body that is too long alone may be noticed earlier. */
static void fuzz_chunks(lpx_bytes in)
{
    size_t step = in.len > 0 ? (size_t)in.ptr[0] % 7 + 1 : 1;
    lpx_buf whole;
    lpx_buf pieces;
    size_t whole_len = 0;
    size_t pieces_len = 0;
    lpx_buf_init(&whole, BODY_MAX);
    lpx_buf_init(&pieces, BODY_MAX);
    http1_chunks_end a = decode(in, in.len, &whole, &whole_len);
    http1_chunks_end b = decode(in, step, &pieces, &pieces_len);
    lpx_assert(a == b);
    if (a != HTTP1_CHUNKS_TOO_LONG) {
        lpx_assert(whole_len == pieces_len && lpx_bytes_equal(lpx_buf_view(&whole), lpx_buf_view(&pieces)));
        lpx_assert(whole.len <= whole_len);
    }
    lpx_buf_fini(&whole);
    lpx_buf_fini(&pieces);
}

/* What is taken for an address is written and read again as the same. */
static void fuzz_address(lpx_str text)
{
    io_address a;
    io_address b;
    lpx_note note;
    if (lpx_failed(io_address_parse(text, &a, &note))) {
        lpx_assert(note.text[0] != 0);
        return;
    }
    char again[IO_HOST_BYTES + 16];
    bool brackets = text.ptr[0] == '[';
    (void)snprintf(again, sizeof again, brackets ? "[%s]:%u" : "%s:%u", a.host, (unsigned)a.port);
    lpx_assert(!lpx_failed(io_address_parse(lpx_str_of(again), &b, &note)));
    lpx_assert(strcmp(a.host, b.host) == 0 && a.port == b.port);
}

static void fuzz_texts(lpx_str text)
{
    lpx_arena arena;
    lpx_str out = {0};
    lpx_arena_init(&arena, 1 << 20);
    if (http1_percent_decode(text, true, &arena, &out)) {
        lpx_assert(out.len <= text.len);
    }
    if (http1_query_get(text, "a", &arena, &out)) {
        lpx_assert(out.len < text.len);
    }
    (void)http1_media_type_is(text, "application/json");
    (void)http1_accepts_coding(text, LPX_STR("gzip"));
    lpx_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    /* A copy of just its size, so that reading past the end is noticed. */
    size_t len = size - 1;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    lpx_assert(copy != NULL);
    memcpy(copy, data + 1, len);
    lpx_bytes in = lpx_bytes_of(copy, len);
    switch (data[0] % 4) {
    case 0:
        fuzz_head(in);
        break;
    case 1:
        fuzz_chunks(in);
        break;
    case 2:
        fuzz_address(lpx_bytes_str(in));
        break;
    default:
        fuzz_texts(lpx_bytes_str(in));
        break;
    }
    free(copy);
    return 0;
}
