/* Texts of gRPC over HTTP/2: timeouts, status messages, metadata, content types, encodings. Pure. Level 4. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { GRPC_TIMEOUT_TEXT_BYTES = 16 };

/** How messages of one direction may be compressed. */
typedef enum grpc_encoding { GRPC_IDENTITY, GRPC_GZIP, GRPC_ENCODING_OTHER } grpc_encoding;

/** Read a grpc-timeout. Nanoseconds are rounded up; longer than GRPC_MAX_TIMEOUT_US becomes that.
 * @return false when it is none; *out_us untouched */
bool grpc_timeout_parse(lpx_str text, int64_t *out_us);
/** Write a grpc-timeout of at least 1 us, rounded up to 8 digits. @return length */
size_t grpc_timeout_format(int64_t us, char out[static GRPC_TIMEOUT_TEXT_BYTES]);

/** Append message, percent-encoded so that it is a valid header value. */
void grpc_percent_encode(lpx_str message, lpx_buf *out);
/** Undo it; broken escapes stay as they are. @param out room for text.len bytes @return length */
size_t grpc_percent_decode(lpx_str text, char *out);

/** Append bytes as base64 without padding. */
void grpc_binary_encode(lpx_bytes in, lpx_buf *out);
/** First value of a "-bin" entry into the arena; padding may be there or not.
 * @return {NULL, 0} when the arena is full or it is no base64 */
lpx_bytes grpc_binary_decode(lpx_str text, lpx_arena *arena);
/** Would all values of a "-bin" entry decode? */
bool grpc_binary_ok(lpx_str text);
/** Does the key end in "-bin"? */
bool grpc_key_is_binary(lpx_str key);
/** May a user send metadata under this key? */
bool grpc_key_ok(lpx_str key);
/** Is it a value for a key that is not binary? */
bool grpc_value_ok(lpx_bytes value);

/** Is it application/grpc, with or without subtype and parameters? */
bool grpc_content_type_ok(lpx_str text);
/** Encoding by its name; absent is identity. */
grpc_encoding grpc_encoding_of(lpx_str text);
/** Does a list of encodings name gzip? */
bool grpc_list_has_gzip(lpx_str list);

/** Code of a grpc-status; LPX_UNKNOWN for what is none. */
lpx_code grpc_code_of_status(lpx_str text);
/** Code for an answer that is not gRPC. */
lpx_code grpc_code_of_http(lpx_str status);
/** Code for a stream that was reset. */
lpx_code grpc_code_of_reset(uint32_t h2_code);
