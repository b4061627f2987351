/* Capped bump allocator. Blocks form a list, the newest first; each holds what was given out in order. Under
 * AddressSanitizer the unused part of a block is poisoned, so that an overrun inside the arena is seen. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
/* Of the sanitizer's run-time library; without its const, for which gcc would want the memory initialised. */
void __asan_poison_memory_region(void *addr, size_t size);
void __asan_unpoison_memory_region(void *addr, size_t size);
#define ARENA_POISON(ptr, len) __asan_poison_memory_region((ptr), (len))
#define ARENA_UNPOISON(ptr, len) __asan_unpoison_memory_region((ptr), (len))
#else
#define ARENA_POISON(ptr, len) ((void)(ptr), (void)(len))
#define ARENA_UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif

enum { ARENA_ALIGN = 16 };

struct lpx_arena_block {
    lpx_arena_block *next;
    size_t size;
    size_t used;
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

void lpx_arena_init(lpx_arena *arena, size_t cap_bytes)
{
    *arena = (lpx_arena){.cap_bytes = cap_bytes};
}

void lpx_arena_init_wiped(lpx_arena *arena, size_t cap_bytes)
{
    *arena = (lpx_arena){.cap_bytes = cap_bytes, .wipe = true};
}

/* Forget what a block holds; with wipe also its bytes. */
static void block_clear(lpx_arena_block *block, bool wipe)
{
    if (wipe) {
        ARENA_UNPOISON(block->data, block->used);
        lpx_wipe(block->data, block->used);
    }
    block->used = 0;
    ARENA_POISON(block->data, block->size);
}

static void block_free(lpx_arena_block *block, bool wipe)
{
    block_clear(block, wipe);
    ARENA_UNPOISON(block->data, block->size);
    free(block);
}

void lpx_arena_reset(lpx_arena *arena)
{
    lpx_arena_block *keep = NULL;
    lpx_arena_block *block = arena->head;
    while (block != NULL) {
        lpx_arena_block *next = block->next;
        bool fits = block->size <= LPX_ARENA_KEEP_MAX_BYTES;
        if (fits && keep == NULL) {
            keep = block;
        } else {
            block_free(block, arena->wipe);
        }
        block = next;
    }
    if (keep != NULL) {
        block_clear(keep, arena->wipe);
        keep->next = NULL;
    }
    arena->head = keep;
    arena->used_bytes = 0;
}

void lpx_arena_fini(lpx_arena *arena)
{
    lpx_arena_block *block = arena->head;
    while (block != NULL) {
        lpx_arena_block *next = block->next;
        block_free(block, arena->wipe);
        block = next;
    }
    arena->head = NULL;
    arena->used_bytes = 0;
}

/* Put a block with room for at least need bytes in front; false when the heap is exhausted. */
static bool arena_grow(lpx_arena *arena, size_t need)
{
    size_t size = LPX_ARENA_FIRST_BYTES;
    if (arena->head != NULL) {
        size = arena->head->size < LPX_ARENA_BLOCK_MAX_BYTES / 2 ? arena->head->size * 2 : LPX_ARENA_BLOCK_MAX_BYTES;
    }
    size = size < need ? need : size;
    if (size > SIZE_MAX - sizeof(lpx_arena_block)) {
        return false;
    }
    lpx_arena_block *block = malloc(sizeof(lpx_arena_block) + size);
    if (block == NULL) {
        return false;
    }
    block->next = arena->head;
    block->size = size;
    block->used = 0;
    ARENA_POISON(block->data, size);
    arena->head = block;
    return true;
}

void *lpx_arena_get(lpx_arena *arena, size_t size)
{
    if (size > SIZE_MAX - ARENA_ALIGN) {
        return NULL;
    }
    size_t step = size == 0 ? ARENA_ALIGN : (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (step > arena->cap_bytes - arena->used_bytes) {
        return NULL;
    }
    bool fits = arena->head != NULL && step <= arena->head->size - arena->head->used;
    if (!fits && !arena_grow(arena, step)) {
        return NULL;
    }
    uint8_t *ptr = arena->head->data + arena->head->used;
    arena->head->used += step;
    arena->used_bytes += step;
    ARENA_UNPOISON(ptr, step);
    memset(ptr, 0, step);
    ARENA_POISON(ptr + size, step - size);
    return ptr;
}

void *lpx_arena_array(lpx_arena *arena, size_t count, size_t size)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    return lpx_arena_get(arena, total);
}

lpx_bytes lpx_arena_copy(lpx_arena *arena, lpx_bytes bytes)
{
    if (bytes.len == SIZE_MAX) {
        return (lpx_bytes){NULL, 0};
    }
    uint8_t *ptr = lpx_arena_get(arena, bytes.len + 1);
    if (ptr == NULL) {
        return (lpx_bytes){NULL, 0};
    }
    if (bytes.len > 0) {
        memcpy(ptr, bytes.ptr, bytes.len);
    }
    return (lpx_bytes){.ptr = ptr, .len = bytes.len};
}

char *lpx_arena_cstr(lpx_arena *arena, lpx_str text)
{
    if (text.len == SIZE_MAX) {
        return NULL;
    }
    char *ptr = lpx_arena_get(arena, text.len + 1);
    if (ptr != NULL && text.len > 0) {
        memcpy(ptr, text.ptr, text.len);
    }
    return ptr;
}

char *lpx_arena_printf(lpx_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        return NULL;
    }
    char *ptr = lpx_arena_get(arena, (size_t)len + 1);
    if (ptr == NULL) {
        return NULL;
    }
    va_start(args, format);
    (void)vsnprintf(ptr, (size_t)len + 1, format, args);
    va_end(args);
    return ptr;
}
