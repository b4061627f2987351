/* Capped bump allocator: one per request, reset at its end, so that most functions free nothing. Level 0.
 * Thread: one owner at a time. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

typedef struct lpx_arena_block lpx_arena_block;

/** One request's memory. Treat the fields as private. */
typedef struct lpx_arena {
    lpx_arena_block *head;
    size_t used_bytes;
    size_t cap_bytes;
    bool wipe;
} lpx_arena;

/** Begin an arena that gives out at most cap_bytes. Allocates nothing yet. */
void lpx_arena_init(lpx_arena *arena, size_t cap_bytes);

/** Like lpx_arena_init, and what it held is wiped before it is freed or reused: for secrets. */
void lpx_arena_init_wiped(lpx_arena *arena, size_t cap_bytes);

/** Free everything but one block, kept for reuse; what was given out is gone. */
void lpx_arena_reset(lpx_arena *arena);

/** Free everything. The arena may be used again. */
void lpx_arena_fini(lpx_arena *arena);

/** Room of size bytes, aligned to 16, zeroed; NULL when the cap or the heap is reached. size 0 gives a valid pointer.
 */
void *lpx_arena_get(lpx_arena *arena, size_t size);

/** Room for count things of size bytes, zeroed; NULL also when count * size would overflow. */
void *lpx_arena_array(lpx_arena *arena, size_t count, size_t size);

/** Copy of bytes, followed by a NUL byte that is not counted; {NULL, 0} when full. */
lpx_bytes lpx_arena_copy(lpx_arena *arena, lpx_bytes bytes);

/** NUL-ended copy of text; NULL when full. */
char *lpx_arena_cstr(lpx_arena *arena, lpx_str text);

/** printf into the arena; NULL when full. */
char *lpx_arena_printf(lpx_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
