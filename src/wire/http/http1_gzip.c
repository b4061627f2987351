#include "wire/http/http1_gzip.h"

#include <stdlib.h>
#include <zlib.h>

#include "wire/http/http1_limits.h"

enum { GZIP_WINDOW_BITS = 15 + 16, GZIP_MEMORY_LEVEL = 7, STEP_BYTES = 16 * 1024 };

struct http1_gzip {
    z_stream z;
};

http1_gzip *http1_gzip_new(void)
{
    http1_gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip != NULL && deflateInit2(&gzip->z, HTTP1_GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(gzip);
        return NULL;
    }
    return gzip;
}

void http1_gzip_free(http1_gzip **gzip)
{
    http1_gzip *g = *gzip;
    *gzip = NULL;
    if (g != NULL) {
        (void)deflateEnd(&g->z);
        free(g);
    }
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

bool http1_gzip_add(http1_gzip *gzip, lpx_bytes part, http1_gzip_then then, lpx_buf *out)
{
    static const int modes[] = {
        [HTTP1_GZIP_MORE] = Z_NO_FLUSH, [HTTP1_GZIP_FLUSH] = Z_SYNC_FLUSH, [HTTP1_GZIP_END] = Z_FINISH};
    set_input(&gzip->z, part);
    do {
        uint8_t *room = lpx_buf_reserve(out, STEP_BYTES);
        if (room == NULL) {
            return false;
        }
        gzip->z.next_out = room;
        gzip->z.avail_out = STEP_BYTES;
        int rv = deflate(&gzip->z, modes[then]);
        if (rv != Z_OK && rv != Z_STREAM_END && rv != Z_BUF_ERROR) {
            return false;
        }
        lpx_buf_grown(out, STEP_BYTES - gzip->z.avail_out);
    } while (gzip->z.avail_out == 0);
    return true;
}

bool http1_gzip_whole(lpx_bytes body, lpx_buf *out)
{
    lpx_buf_init(out, body.len + STEP_BYTES);
    if (body.len < HTTP1_GZIP_MIN_BYTES || body.len > HTTP1_GZIP_MAX_BYTES) {
        return false;
    }
    http1_gzip *gzip = http1_gzip_new();
    bool done = gzip != NULL && http1_gzip_add(gzip, body, HTTP1_GZIP_END, out);
    http1_gzip_free(&gzip);
    return done && out->len < body.len;
}
