/* Hex, base32, base64 and number text. Level 0; no allocation. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

/** Lower-case hex of bytes into out (2 * len + 1 bytes, NUL-ended). */
void lpx_hex_encode(lpx_bytes in, char *out);
/** Hex text, either case, into out. @return false unless text is exactly 2 * out.len hex digits */
bool lpx_hex_decode(lpx_str text, lpx_space out);

/** Number of characters (without NUL) of base32 of len bytes, no padding. */
size_t lpx_base32_len(size_t len);
/** RFC 4648 base32, upper case, no padding, into out (lpx_base32_len + 1 bytes, NUL-ended). */
void lpx_base32_encode(lpx_bytes in, char *out);

/** Length of padded base64 of len bytes. */
size_t lpx_base64_len(size_t len);
/** Standard padded base64 into out (lpx_base64_len + 1 bytes, NUL-ended). */
void lpx_base64_encode(lpx_bytes in, char *out);
/** Base64url without padding; out needs the same room. @return length */
size_t lpx_base64url_encode(lpx_bytes in, char *out);
/** Standard or URL alphabet, padding optional (as protojson accepts). Bits left over behind the last byte must be 0.
 * @param out room for at least text.len / 4 * 3 + 3 bytes
 * @return bytes written, or -1 when the text is no base64 */
int64_t lpx_base64_decode(lpx_str text, lpx_space out);

/** Exactly a decimal number from 0 to max. @return false otherwise */
bool lpx_parse_u64(lpx_str text, uint64_t max, uint64_t *out);
/** Exactly digits hex digits, either case. digits 1 to 16. */
bool lpx_parse_hex(lpx_str text, unsigned digits, uint64_t *out);

/** Is it valid UTF-8 (no surrogates, no overlong forms)? */
bool lpx_utf8_valid(lpx_bytes text);

/** Edit distance of two words, at most 64 characters each compared; for "did you mean". */
unsigned lpx_edit_distance(lpx_str a, lpx_str b);

/** Wipe memory in a way that the compiler keeps. */
void lpx_wipe(void *ptr, size_t len);
/** Equality in time that depends on the length alone. */
bool lpx_equal_const_time(lpx_bytes a, lpx_bytes b);
