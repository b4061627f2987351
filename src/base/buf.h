/* Growing byte buffer with a limit given at its creation, and shared immutable message bytes. Level 0. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

/** Growing buffer. Fields are readable; write through the calls. After a failed append it is sticky: later appends do
 * nothing and lpx_buf_failed answers true until lpx_buf_clear. */
typedef struct lpx_buf {
    uint8_t *ptr;
    size_t len;
    size_t room;
    size_t max_bytes;
    bool failed;
} lpx_buf;

/** Begin an empty buffer that never holds more than max_bytes. */
void lpx_buf_init(lpx_buf *buf, size_t max_bytes);
/** Free it; it may be initialised again. */
void lpx_buf_fini(lpx_buf *buf);
/** Forget the content, keep the room. */
void lpx_buf_clear(lpx_buf *buf);
/** Append bytes. */
void lpx_buf_add(lpx_buf *buf, lpx_bytes bytes);
/** Append text. */
void lpx_buf_add_str(lpx_buf *buf, lpx_str text);
/** Append printf output. */
void lpx_buf_printf(lpx_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Room for at least want more bytes at ptr + len; NULL when the limit is reached. Then lpx_buf_grown. */
uint8_t *lpx_buf_reserve(lpx_buf *buf, size_t want);
/** Count used bytes, written after lpx_buf_reserve, into the content. */
void lpx_buf_grown(lpx_buf *buf, size_t used);
/** Drop the first n bytes (n at most len). */
void lpx_buf_drop(lpx_buf *buf, size_t n);
/** Content as a view, valid until the next change. */
lpx_bytes lpx_buf_view(const lpx_buf *buf);
/** Did an append not fit? */
bool lpx_buf_failed(const lpx_buf *buf);

/** Immutable bytes shared between loops by reference count (atomic). */
typedef struct lpx_shared lpx_shared;

/** New shared copy of bytes with one reference; NULL when the heap is exhausted. */
lpx_shared *lpx_shared_new(lpx_bytes bytes);
/** One reference more; returns its argument. @thread any */
lpx_shared *lpx_shared_ref(lpx_shared *shared);
/** One reference less, the last frees; clears the pointer; accepts NULL. @thread any */
void lpx_shared_unref(lpx_shared **shared);
/** The bytes; valid while a reference is held. */
lpx_bytes lpx_shared_view(const lpx_shared *shared);
