/* Sticky cursor over input: all bytes from outside are read through it. After the first failure reads give zero and
 * empty views; lpx_reader_end tells the failure and its offset. A bounds test compares what is wanted with what is
 * left, never a sum with an end. Level 0; no allocation. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

typedef struct lpx_reader {
    lpx_bytes rest;
    size_t total_len;
    size_t fail_offset;
    bool failed;
} lpx_reader;

/** Start reading in; borrowed. */
void lpx_reader_init(lpx_reader *r, lpx_bytes in);

/** Bytes left; 0 after a failure. */
size_t lpx_reader_left(const lpx_reader *r);

/** Offset of the next byte from the start. */
size_t lpx_reader_offset(const lpx_reader *r);

/** Next byte. */
uint8_t lpx_reader_u8(lpx_reader *r);
/** Next two bytes, little-endian. */
uint16_t lpx_reader_u16le(lpx_reader *r);
/** Next three bytes, little-endian. */
uint32_t lpx_reader_u24le(lpx_reader *r);
/** Next four bytes, little-endian. */
uint32_t lpx_reader_u32le(lpx_reader *r);
/** Next eight bytes, little-endian. */
uint64_t lpx_reader_u64le(lpx_reader *r);
/** Next two bytes, big-endian. */
uint16_t lpx_reader_u16be(lpx_reader *r);
/** Next four bytes, big-endian. */
uint32_t lpx_reader_u32be(lpx_reader *r);
/** Next eight bytes, big-endian. */
uint64_t lpx_reader_u64be(lpx_reader *r);
/** Next protobuf varint, at most 10 bytes and 64 bits; longer forms of small numbers are accepted. */
uint64_t lpx_reader_varint(lpx_reader *r);

/** Next len bytes as a view into the input; empty and failed when fewer are left. */
lpx_bytes lpx_reader_take(lpx_reader *r, size_t len);

/** All that is left. */
lpx_bytes lpx_reader_take_rest(lpx_reader *r);

/** Cursor over the next len bytes alone; r moves past them. The child fails by itself. */
lpx_reader lpx_reader_sub(lpx_reader *r, size_t len);

/** Mark as failed at the present offset (a value that was read is not allowed). */
void lpx_reader_reject(lpx_reader *r);

/** Success only if nothing failed and nothing is left.
 * @param note   gets "... at byte N" on failure; may be NULL
 * @param reason what to report
 * @param what   name of the thing read, for the note */
LPX_RESULT lpx_reader_end(const lpx_reader *r, uint16_t reason, const char *what, lpx_note *note);
