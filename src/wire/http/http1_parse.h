/* Bytes of HTTP/1.1 requests: the head, and the chunked coding of bodies. Pure. RFC 9112. Level 3. Thread: any. */
#pragma once
#include "base/buf.h"
#include "base/bytes.h"
#include "wire/http/http1_limits.h"

/** One header line. */
typedef struct http1_line {
    lpx_str name, value; /* value without the blanks around it */
} http1_line;

/** What a request's head says. Views into the text given. */
typedef struct http1_head {
    lpx_str method, path, query;
    bool http11; /* else 1.0, which knows no chunks */
    bool keep_alive;
    bool expects_continue;
    bool chunked;
    uint64_t body_bytes; /* 0 when chunked */
    size_t count;
    http1_line lines[HTTP1_HEADERS_MAX];
} http1_head;

/** Length of the head with its empty line at the beginning of in; 0 when it is not all there.
 * @param from bytes of in that were searched before without success */
size_t http1_head_find(lpx_bytes in, size_t from);
/** Take a head apart, as found by http1_head_find.
 * @param why set to a sentence when the head is refused; static
 * @return 0, or the HTTP status to refuse it with: 400, 417, 431, 501, 505 */
int http1_head_parse(lpx_str text, http1_head *out, const char **why);
/** Value of the first header of that name, in any case; empty when there is none. */
lpx_str http1_head_value(const http1_head *head, lpx_str name);

/** Where the decoder of a chunked body stands. */
typedef enum http1_chunk_at {
    HTTP1_CHUNK_SIZE,
    HTTP1_CHUNK_DATA,
    HTTP1_CHUNK_END,
    HTTP1_CHUNK_TRAILER,
} http1_chunk_at;

/** State of a chunked body; all zero at its beginning. Private. */
typedef struct http1_chunks {
    http1_chunk_at at;
    uint64_t left; /* of the present chunk; in its size line what was read of the size */
    size_t line_len;
    size_t trailer_len;
    unsigned digits;
    bool extension, cr, line_used;
} http1_chunks;

/** How far a chunked body came. */
typedef enum http1_chunks_end {
    HTTP1_CHUNKS_MORE,
    HTTP1_CHUNKS_DONE,
    HTTP1_CHUNKS_BAD,
    HTTP1_CHUNKS_TOO_LONG, /* body is full */
} http1_chunks_end;

/** Decode what came of a chunked body.
 * @param body gets the data
 * @param used set to the bytes of in that were taken; all unless done or failed */
http1_chunks_end http1_chunks_feed(http1_chunks *chunks, lpx_bytes in, lpx_buf *body, size_t *used);
