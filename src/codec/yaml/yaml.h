/* A YAML document as a flat list of (path, scalar) with line numbers, by libyaml. Level 1.
 *   iam:
 *     token: {issuer: https://x}     ->  iam.token.issuer = "https://x"  (line 2)
 *     audiences: [a, b]              ->  iam.audiences[0] = "a", iam.audiences[1] = "b"
 * A key that has a dot itself ("iam.token.issuer: x") gives the same path. Refused: aliases and anchors, tags, several
 * documents, keys that are no scalars, one key twice in a mapping. Scalars stay text: types are the reader's to decide.
 */
#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
    YAML_MAX_TEXT_BYTES = 1024 * 1024,
    YAML_MAX_DEPTH = 16,
    YAML_MAX_ENTRIES = 16384,
    YAML_MAX_PATH_BYTES = 512,
};

typedef enum yaml_kind {
    YAML_SCALAR,
    YAML_NULL,       /* nothing, ~ or null without quotes */
    YAML_EMPTY_LIST, /* [] */
    YAML_EMPTY_MAP,  /* {} */
} yaml_kind;

/** One leaf of the document. */
typedef struct yaml_entry {
    yaml_kind kind;
    lpx_str path; /* empty when the whole document is one leaf */
    lpx_str text;
    bool quoted;
    uint32_t line, column; /* of the value, from 1 */
} yaml_entry;

/** The leaves in the order of the text. */
typedef struct yaml_doc {
    const yaml_entry *entries;
    size_t count;
} yaml_doc;

/** Read one document into the arena; an empty text has no leaves.
 * @err INVALID_ARGUMENT: YAML_MALFORMED (note has line and column); RESOURCE_EXHAUSTED: YAML_TOO_BIG, BASE_NO_MEMORY */
LPX_RESULT yaml_read(lpx_str text, lpx_arena *arena, yaml_doc *out, lpx_note *note);
