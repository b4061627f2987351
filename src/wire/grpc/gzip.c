#include "wire/grpc/gzip.h"

#include <stdlib.h>
#include <zlib.h>

#include "lpx_reasons.h"
#include "wire/grpc/limits.h"

enum { GZIP_WINDOW_BITS = 15 + 16, STEP_BYTES = 16 * 1024 };

struct grpc_gzip {
    z_stream inflater, deflater;
    bool inflater_ready, deflater_ready;
    lpx_buf plain, packed; /* apart: an answer may be made of the very message that was decompressed */
};

grpc_gzip *grpc_gzip_new(void)
{
    grpc_gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip != NULL) {
        lpx_buf_init(&gzip->plain, (size_t)UINT32_MAX);
        lpx_buf_init(&gzip->packed, (size_t)UINT32_MAX);
    }
    return gzip;
}

void grpc_gzip_free(grpc_gzip **gzip)
{
    grpc_gzip *g = *gzip;
    if (g == NULL) {
        return;
    }
    *gzip = NULL;
    if (g->inflater_ready) {
        (void)inflateEnd(&g->inflater);
    }
    if (g->deflater_ready) {
        (void)deflateEnd(&g->deflater);
    }
    lpx_buf_fini(&g->plain);
    lpx_buf_fini(&g->packed);
    free(g);
}

/* Forget the last result; large room goes back. */
static void result_reset(lpx_buf *result)
{
    if (result->room > GRPC_GZIP_KEEP_BYTES) {
        lpx_buf_fini(result);
    }
    lpx_buf_clear(result);
}

static bool inflater_reset(grpc_gzip *gzip)
{
    if (gzip->inflater_ready) {
        return inflateReset(&gzip->inflater) == Z_OK;
    }
    gzip->inflater_ready = inflateInit2(&gzip->inflater, GZIP_WINDOW_BITS) == Z_OK;
    return gzip->inflater_ready;
}

static bool deflater_reset(grpc_gzip *gzip)
{
    if (gzip->deflater_ready) {
        return deflateReset(&gzip->deflater) == Z_OK;
    }
    gzip->deflater_ready =
        deflateInit2(&gzip->deflater, GRPC_GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    return gzip->deflater_ready;
}

/* zlib takes its input through a pointer to changeable bytes but only reads it. */
static void set_input(z_stream *z, lpx_bytes in)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } both = {.in = in.ptr};
    z->next_in = both.out;
    z->avail_in = (uInt)in.len;
}

static int step(z_stream *z, lpx_buf *result, size_t room_bytes, int (*work)(z_stream *, int), int flush)
{
    uint8_t *room = lpx_buf_reserve(result, room_bytes);
    if (room == NULL) {
        return Z_MEM_ERROR;
    }
    z->next_out = room;
    z->avail_out = (uInt)room_bytes;
    int rv = work(z, flush);
    lpx_buf_grown(result, room_bytes - z->avail_out);
    return rv;
}

lpx_err grpc_gzip_inflate(grpc_gzip *gzip, lpx_bytes in, size_t max_bytes, lpx_bytes *out)
{
    result_reset(&gzip->plain);
    if (!inflater_reset(gzip)) {
        return lpx_err_of(GRPC_NO_MEMORY);
    }
    set_input(&gzip->inflater, in);
    int rv = Z_OK;
    while (rv == Z_OK) {
        rv = step(&gzip->inflater, &gzip->plain, STEP_BYTES, inflate, Z_NO_FLUSH);
        if (gzip->plain.len > max_bytes) {
            return lpx_err_of(GRPC_MESSAGE_TOO_LARGE);
        }
    }
    if (rv == Z_MEM_ERROR) {
        return lpx_err_of(GRPC_NO_MEMORY);
    }
    if (rv != Z_STREAM_END || gzip->inflater.avail_in > 0) {
        return lpx_err_of(GRPC_GZIP_BROKEN);
    }
    *out = lpx_buf_view(&gzip->plain);
    return LPX_SUCCESS;
}

bool grpc_gzip_deflate(grpc_gzip *gzip, lpx_bytes in, lpx_bytes *out)
{
    result_reset(&gzip->packed);
    if (in.len < GRPC_GZIP_MIN_BYTES || in.len > GRPC_MAX_MESSAGE_BYTES || !deflater_reset(gzip)) {
        return false;
    }
    set_input(&gzip->deflater, in);
    int rv = Z_OK;
    while (rv == Z_OK && gzip->packed.len < in.len) {
        rv = step(&gzip->deflater, &gzip->packed, STEP_BYTES, deflate, Z_FINISH);
    }
    *out = lpx_buf_view(&gzip->packed);
    return rv == Z_STREAM_END && out->len < in.len;
}
