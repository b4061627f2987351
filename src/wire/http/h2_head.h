/* Rules for the fields of heads and tails (RFC 9113 section 8). Pure. Level 3. */
#pragma once
#include "base/bytes.h"

/** What a field is, from its name and value alone: may be remembered for the same field. */
typedef enum h2_kind {
    H2_KIND_BAD, /* not allowed anywhere */
    H2_KIND_REGULAR,
    H2_KIND_AUTHORIZATION,
    H2_KIND_CONTENT_LENGTH,
    H2_KIND_METHOD,
    H2_KIND_SCHEME,
    H2_KIND_PATH,
    H2_KIND_AUTHORITY,
    H2_KIND_STATUS,
} h2_kind;

/** Which set of fields is read. */
typedef enum h2_part { H2_PART_REQUEST, H2_PART_RESPONSE, H2_PART_TAIL } h2_part;

/** What was seen of a part so far. Start with the part and all else zero. */
typedef struct h2_head {
    h2_part part;
    bool malformed, regular_seen, length_known, connect;
    uint16_t seen; /* bit of each pseudo-field's kind */
    uint16_t status;
    uint64_t length;
} h2_head;

/** Check name and value; nothing else is remembered. */
h2_kind h2_head_classify(lpx_str name, lpx_str value);
/** Next field of a part: order, doubles, what belongs where. Sets malformed. */
void h2_head_step(h2_head *head, h2_kind kind, lpx_str value);
/** All fields of the part were seen: is something missing? Sets malformed. */
void h2_head_end(h2_head *head);
