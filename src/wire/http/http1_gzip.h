/* gzip of HTTP answers, by zlib. Level 3. Thread: one owner at a time. */
#pragma once
#include "base/buf.h"

/** A compressor of one stream; about 200 KiB. */
typedef struct http1_gzip http1_gzip;

/** What follows a part. */
typedef enum http1_gzip_then {
    HTTP1_GZIP_MORE,  /* further parts: the compressor may keep this one back */
    HTTP1_GZIP_FLUSH, /* perhaps nothing for a while: all that came can be decompressed now */
    HTTP1_GZIP_END,   /* nothing: the stream ends */
} http1_gzip_then;

/** New compressor. @return NULL when memory is short */
http1_gzip *http1_gzip_new(void);
/** Free; clears the pointer; accepts NULL. */
void http1_gzip_free(http1_gzip **gzip);
/** Compress a part and append what is ready to out.
 * @return false when memory is short: the stream cannot go on */
bool http1_gzip_add(http1_gzip *gzip, lpx_bytes part, http1_gzip_then then, lpx_buf *out);
/** Compress a whole body.
 * @param out empty; gets the compressed body; to be freed in every case
 * @return false when it is not worth it: too small, too large to do at once, or no smaller compressed */
bool http1_gzip_whole(lpx_bytes body, lpx_buf *out);
