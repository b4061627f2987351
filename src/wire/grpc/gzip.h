/* gzip of whole messages, with one context for all calls of a loop. The only user of zlib. Level 4. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

typedef struct grpc_gzip grpc_gzip;

/** New; the contexts are made when first used. @return NULL when out of memory */
grpc_gzip *grpc_gzip_new(void);
/** Free; clears the pointer; accepts NULL. */
void grpc_gzip_free(grpc_gzip **gzip);
/** Decompress one message; work stops as soon as the result is too large.
 * @param out valid until the next grpc_gzip_inflate
 * @err GRPC_MESSAGE_TOO_LARGE, GRPC_GZIP_BROKEN, GRPC_NO_MEMORY */
LPX_RESULT grpc_gzip_inflate(grpc_gzip *gzip, lpx_bytes in, size_t max_bytes, lpx_bytes *out);
/** Compress one message.
 * @param in  may be what grpc_gzip_inflate gave
 * @param out valid until the next grpc_gzip_deflate
 * @return false: it does not get smaller (or there is no memory); send it as it is */
bool grpc_gzip_deflate(grpc_gzip *gzip, lpx_bytes in, lpx_bytes *out);
