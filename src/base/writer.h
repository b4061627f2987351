/* Sticky writer into room of fixed size: after the first write that does not fit nothing more is written and
 * lpx_writer_end fails. Level 0; no allocation. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

typedef struct lpx_writer {
    lpx_space room;
    size_t len;
    bool failed;
} lpx_writer;

/** Start writing into room; borrowed. */
void lpx_writer_init(lpx_writer *w, lpx_space room);
/** Append one byte. */
void lpx_writer_u8(lpx_writer *w, uint8_t v);
/** Append little-endian. */
void lpx_writer_u16le(lpx_writer *w, uint16_t v);
/** Append three bytes, little-endian; the top byte of v must be 0. */
void lpx_writer_u24le(lpx_writer *w, uint32_t v);
/** Append little-endian. */
void lpx_writer_u32le(lpx_writer *w, uint32_t v);
/** Append little-endian. */
void lpx_writer_u64le(lpx_writer *w, uint64_t v);
/** Append big-endian. */
void lpx_writer_u16be(lpx_writer *w, uint16_t v);
/** Append big-endian. */
void lpx_writer_u32be(lpx_writer *w, uint32_t v);
/** Append big-endian. */
void lpx_writer_u64be(lpx_writer *w, uint64_t v);
/** Append a protobuf varint. */
void lpx_writer_varint(lpx_writer *w, uint64_t v);
/** Append bytes. */
void lpx_writer_bytes(lpx_writer *w, lpx_bytes b);
/** Append text without a NUL. */
void lpx_writer_str(lpx_writer *w, lpx_str s);
/** Append printf output without a NUL. */
void lpx_writer_printf(lpx_writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** What was written so far; borrowed from the room. */
lpx_bytes lpx_writer_view(const lpx_writer *w);
/** Fails with BASE_NO_ROOM when something did not fit. */
LPX_RESULT lpx_writer_end(const lpx_writer *w);
