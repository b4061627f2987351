/* Plain JSON: a writer that escapes, a pull reader without recursion that knows line and column, and a parsed document
 * to look things up in. For messages of the API use codec/json/protojson.h. Level 1. Thread: one owner at a time. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

/* ---- writing ---- */

enum { JSON_MAX_DEPTH = 64 /* objects and arrays inside each other, read or written */ };

/** Writer onto a buffer; failures are sticky in the buffer. Fields are private. */
typedef struct json_writer {
    lpx_buf *buf;
    uint64_t not_first; /* bit d: level d has a member already */
    unsigned depth;
    unsigned indent; /* spaces for each level; 0: one line */
    bool after_key;
} json_writer;

/** Begin to write one value after what buf holds.
 * @param indent spaces for each level, 0 for one line without spaces */
void json_writer_init(json_writer *w, lpx_buf *buf, unsigned indent);
/** Open an object as the next value; at most JSON_MAX_DEPTH deep. */
void json_write_object(json_writer *w);
/** Close it. */
void json_write_object_end(json_writer *w);
/** Open an array as the next value. */
void json_write_array(json_writer *w);
/** Close it. */
void json_write_array_end(json_writer *w);
/** Name of the next value, inside an object. */
void json_write_key(json_writer *w, lpx_str key);
/** Text, escaped; bytes that are no UTF-8 become U+FFFD. */
void json_write_str(json_writer *w, lpx_str value);
/** Whole number. */
void json_write_int(json_writer *w, int64_t value);
/** Whole number; readers in JavaScript lose digits above 2^53. */
void json_write_uint(json_writer *w, uint64_t value);
/** Number, shortest text that reads back equal; NaN and infinities become the strings that protojson has for them. */
void json_write_double(json_writer *w, double value);
/** Number of single precision, shortest text that reads back equal as such. */
void json_write_float(json_writer *w, float value);
/** true or false. */
void json_write_bool(json_writer *w, bool value);
/** null. */
void json_write_null(json_writer *w);
/** Standard base64 of bytes as text. */
void json_write_base64(json_writer *w, lpx_bytes value);
/** Text that is already a JSON value, unchecked. */
void json_write_raw(json_writer *w, lpx_str json);
/** Key and text. */
void json_write_member(json_writer *w, const char *key, lpx_str value);
/** Key and whole number. */
void json_write_member_int(json_writer *w, const char *key, int64_t value);

/* ---- pull reader ---- */

typedef enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_FALSE,
    JSON_KIND_TRUE,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
    JSON_KIND_KEY,        /* reader only: name of the next member */
    JSON_KIND_ARRAY_END,  /* reader only */
    JSON_KIND_OBJECT_END, /* reader only */
    JSON_KIND_END,        /* reader only: the text is over, or it failed */
} json_kind;

/** One token. text: content of a string or key with its escapes resolved, or a number as it was written. */
typedef struct json_token {
    json_kind kind;
    lpx_str text;
    uint32_t line, column; /* of its first character, from 1; column counts bytes */
} json_token;

/** Reader of one JSON text (RFC 8259, duplicate names not looked for). Fields are private. */
typedef struct json_reader {
    lpx_str text;
    lpx_arena *arena; /* holds texts that had escapes; others are views into the input */
    size_t pos, line_start;
    uint64_t in_object; /* bit d: level d is an object */
    uint32_t line, depth;
    enum { JSON_WANT_VALUE, JSON_WANT_FIRST, JSON_WANT_COMMA, JSON_WANT_DONE } want;
} json_reader;

/** Begin to read text; both are borrowed. */
void json_reader_init(json_reader *r, lpx_str text, lpx_arena *arena);
/** Next token: a value, JSON_KIND_KEY before each member of an object, an end of what was opened, JSON_KIND_END after
 * the one value and its trailing space.
 * @err INVALID_ARGUMENT: JSON_MALFORMED (note has line and column); RESOURCE_EXHAUSTED: JSON_TOO_DEEP, BASE_NO_MEMORY
 */
LPX_RESULT json_read(json_reader *r, json_token *out, lpx_note *note);

/** Exact whole number from JSON number text; "1e3" and "2.0" are whole. @return false when it is none or out of range
 */
bool json_number_i64(lpx_str number, int64_t *out);
/** The same for 0 to 2^64 - 1. */
bool json_number_u64(lpx_str number, uint64_t *out);
/** Number from JSON number text. @return false when it is no number or too large for a double */
bool json_number_double(lpx_str number, double *out);
/** Number of single precision. @return false when it is no number or too large for a float */
bool json_number_float(lpx_str number, float *out);

/* ---- parsed document ---- */

/** A value of a parsed document. Fields are readable. */
typedef struct json_value {
    json_kind kind;
    uint32_t count; /* members or items */
    uint32_t slots; /* private: values that this one takes up, with all inside it */
    uint32_t line, column;
    lpx_str key;  /* name, when it is a member */
    lpx_str text; /* content of a string, a number as written */
} json_value;

/** Parse one value into the arena; a name that comes twice in one object is an error.
 * @err INVALID_ARGUMENT: JSON_MALFORMED (note has line and column); RESOURCE_EXHAUSTED: JSON_TOO_DEEP, BASE_NO_MEMORY
 */
LPX_RESULT json_parse(lpx_str text, lpx_arena *arena, const json_value **out, lpx_note *note);
/** Member of an object by name; NULL when absent or when object is NULL or none. */
const json_value *json_member(const json_value *object, const char *key);
/** First member or item; NULL when there is none. */
const json_value *json_first(const json_value *parent);
/** Member or item after child; NULL after the last. */
const json_value *json_next(const json_value *parent, const json_value *child);
/** Content of a string; empty when value is NULL or no string. */
lpx_str json_text(const json_value *value);
/** Whole number of a number value. @return false when value is NULL or no such number */
bool json_int(const json_value *value, int64_t *out);
/** Number of a number value. @return false when value is NULL or no number */
bool json_double(const json_value *value, double *out);
/** Is it the literal true? False for everything else. */
bool json_flag(const json_value *value);
