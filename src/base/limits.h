/* Limits of the base layer, each with its reason. */
#pragma once

enum {
    /* First block of an arena: most requests fit, and a thousand idle connections hold 4 MB. */
    LPX_ARENA_FIRST_BYTES = 4096,
    /* Blocks double up to this size: fewer calls of malloc, yet no block dwarfs what the request needs. */
    LPX_ARENA_BLOCK_MAX_BYTES = 256 * 1024,
    /* A reset arena keeps a block up to this size: one big request does not keep a connection big for ever. */
    LPX_ARENA_KEEP_MAX_BYTES = 16 * 1024,
    /* First room of a growing buffer. */
    LPX_BUF_FIRST_BYTES = 256,
    /* Characters of a word that the edit distance looks at: longer than any name that we suggest. */
    LPX_EDIT_MAX_CHARS = 64,
    /* Bytes of the longest protobuf varint: 64 bits in groups of 7. */
    LPX_VARINT_MAX_BYTES = 10,
};
