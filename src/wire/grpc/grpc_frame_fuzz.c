/* Message framing cut in two ways must give the same messages; texts of headers must survive their round trips; gzip
 * must keep its limit. The first byte chooses. */
#include "base/assert.h"
#include "base/text.h"
#include "wire/grpc/frame.h"
#include "wire/grpc/gzip.h"
#include "wire/grpc/limits.h"
#include "wire/grpc/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_MESSAGE = 5000 };

/* Sum over all messages; the error that ended it in *err. */
static uint64_t digest(lpx_bytes in, size_t piece, lpx_err *err, bool *rest)
{
    grpc_frames frames;
    grpc_frames_init(&frames, MAX_MESSAGE);
    uint64_t sum = 0;
    *err = LPX_SUCCESS;
    while (in.len > 0 && !lpx_failed(*err)) {
        size_t n = in.len < piece ? in.len : piece;
        *err = grpc_frames_feed(&frames, lpx_bytes_of(in.ptr, n));
        in = lpx_bytes_of(in.ptr + n, in.len - n);
        bool got = true;
        while (got && !lpx_failed(*err)) {
            grpc_frame frame;
            *err = grpc_frames_next(&frames, &frame, &got);
            for (size_t i = 0; got && i < frame.body.len; i++) {
                sum = sum * 31 + frame.body.ptr[i];
            }
            sum = got ? sum * 31 + frame.body.len + (frame.compressed ? 7 : 0) : sum;
        }
        if (!lpx_failed(*err)) {
            *err = grpc_frames_keep(&frames);
        }
    }
    *rest = grpc_frames_rest(&frames);
    lpx_assert(grpc_frames_held(&frames) <= (size_t)2 * (MAX_MESSAGE + GRPC_PREFIX_BYTES + piece));
    grpc_frames_fini(&frames);
    return sum;
}

static void fuzz_frames(lpx_bytes in)
{
    lpx_err a, b;
    bool rest_a = false, rest_b = false;
    uint64_t sum_a = digest(in, in.len, &a, &rest_a), sum_b = digest(in, 1 + in.len % 7, &b, &rest_b);
    lpx_assert(sum_a == sum_b && a.reason == b.reason && (lpx_failed(a) || rest_a == rest_b));
}

static void fuzz_timeout(lpx_str text)
{
    int64_t us = 0, back = 0;
    char out[GRPC_TIMEOUT_TEXT_BYTES];
    if (grpc_timeout_parse(text, &us) && us > 0) {
        lpx_assert(us <= GRPC_MAX_TIMEOUT_US);
        size_t len = grpc_timeout_format(us, out);
        lpx_assert(grpc_timeout_parse((lpx_str){out, len}, &back) && back >= us && back - us <= us / 100000 + 1);
    }
}

static void fuzz_percent(lpx_str text)
{
    lpx_buf encoded;
    lpx_buf_init(&encoded, 3 * text.len + 1);
    grpc_percent_encode(text, &encoded);
    lpx_assert(!lpx_buf_failed(&encoded) && grpc_value_ok(lpx_buf_view(&encoded)));
    lpx_buf back;
    lpx_buf_init(&back, encoded.len + text.len + 1);
    char *room = (char *)lpx_buf_reserve(&back, encoded.len + text.len + 1);
    lpx_assert(room != NULL);
    size_t len = grpc_percent_decode(lpx_bytes_str(lpx_buf_view(&encoded)), room);
    lpx_assert(lpx_str_equal((lpx_str){room, len}, text));
    lpx_assert(grpc_percent_decode(text, room) <= text.len);
    lpx_buf_fini(&encoded);
    lpx_buf_fini(&back);
}

static void fuzz_binary(lpx_str text)
{
    lpx_arena arena;
    lpx_arena_init(&arena, 4 * text.len + 1000);
    bool ok = grpc_binary_ok(text);
    lpx_bytes first = grpc_binary_decode(text, &arena);
    lpx_assert(!ok || first.ptr != NULL);
    lpx_buf encoded;
    lpx_buf_init(&encoded, 2 * text.len + 100);
    grpc_binary_encode(lpx_str_bytes(text), &encoded);
    lpx_str again = lpx_bytes_str(lpx_buf_view(&encoded));
    lpx_assert(grpc_binary_ok(again) && grpc_value_ok(lpx_str_bytes(again)));
    lpx_assert(lpx_bytes_equal(grpc_binary_decode(again, &arena), lpx_str_bytes(text)));
    lpx_buf_fini(&encoded);
    lpx_arena_fini(&arena);
}

static void fuzz_words(lpx_str text)
{
    (void)grpc_content_type_ok(text);
    (void)grpc_encoding_of(text);
    (void)grpc_list_has_gzip(text);
    (void)grpc_key_ok(text);
    lpx_assert(grpc_code_of_status(text) <= LPX_UNAUTHENTICATED);
    lpx_assert(grpc_code_of_http(text) <= LPX_UNAUTHENTICATED);
}

static void fuzz_gzip(lpx_bytes in)
{
    grpc_gzip *gzip = grpc_gzip_new();
    lpx_bytes out, back;
    if (!lpx_failed(grpc_gzip_inflate(gzip, in, MAX_MESSAGE, &out))) {
        lpx_assert(out.len <= MAX_MESSAGE);
    }
    if (grpc_gzip_deflate(gzip, in, &out)) {
        lpx_assert(out.len < in.len && !lpx_failed(grpc_gzip_inflate(gzip, out, in.len, &back)));
        lpx_assert(lpx_bytes_equal(back, in));
    }
    grpc_gzip_free(&gzip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    lpx_bytes in = lpx_bytes_of(data + 1, size - 1);
    lpx_str text = lpx_bytes_str(in);
    switch (data[0] % 6) {
    case 0:
        fuzz_frames(in);
        break;
    case 1:
        fuzz_timeout(text);
        break;
    case 2:
        fuzz_percent(text);
        break;
    case 3:
        fuzz_binary(text);
        break;
    case 4:
        fuzz_words(text);
        break;
    default:
        fuzz_gzip(in);
        break;
    }
    return 0;
}
