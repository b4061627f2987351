/* Texts inside HTTP requests: percent-encoding, queries and forms, media types, codings. Pure. Level 3.
 * Thread: any. */
#pragma once
#include "base/arena.h"
#include "base/bytes.h"

/** Decode %XX.
 * @param plus  '+' is a blank (queries and forms, not paths)
 * @param out   in the arena; may hold any bytes, NUL too
 * @return false when a '%' is not followed by two hex digits, or the arena is full */
bool http1_percent_decode(lpx_str in, bool plus, lpx_arena *arena, lpx_str *out);
/** First value of a name in a query or a body of type application/x-www-form-urlencoded, decoded.
 * @return false when the name is not there or its value cannot be decoded */
bool http1_query_get(lpx_str query, const char *name, lpx_arena *arena, lpx_str *out);
/** Is the Content-Type this type, whatever its parameters ("application/json; charset=utf-8")? type in lower case. */
bool http1_media_type_is(lpx_str content_type, const char *type);
/** Does a client with this Accept-Encoding take the coding ("gzip")? By q-values (RFC 9110, 12.5.3): it must be above
 * 0, and not below that of an identity that is named. */
bool http1_accepts_coding(lpx_str accept_encoding, lpx_str coding);
/** Are both the same in any ASCII case? */
bool http1_same_word(lpx_str a, lpx_str b);
