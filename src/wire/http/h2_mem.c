#include "wire/http/h2_mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wire/http/h2_limits.h"

typedef struct h2_mem_block {
    union {
        size_t steps; /* size of data; more than H2_MEM_SIZES: not kept */
        max_align_t align;
    } head;
    union {
        struct h2_mem_block *next;
        max_align_t align;
    } data;
} h2_mem_block;

#if defined(__SANITIZE_ADDRESS__)
#define MEM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_ASAN 1
#endif
#endif

#ifdef MEM_ASAN
enum { KEPT_BYTES = 0 }; /* it sees the use of what is freed only if it is freed */
static const size_t paged_bytes = SIZE_MAX;
#else
enum { KEPT_BYTES = H2_KEPT_MEMORY_BYTES };
static const size_t paged_bytes = H2_MEM_PAGED_BYTES;
#endif

static h2_mem_block *block_of(void *ptr)
{
    return (h2_mem_block *)((char *)ptr - offsetof(h2_mem_block, data));
}

/* A block from libc, or in pages of its own. */
static h2_mem_block *block_new(size_t steps)
{
    size_t bytes = offsetof(h2_mem_block, data) + steps * H2_MEM_STEP_BYTES;
    h2_mem_block *block = NULL;
    if (bytes < paged_bytes) {
        block = malloc(bytes);
    } else {
        void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        block = pages != MAP_FAILED ? pages : NULL;
    }
    if (block != NULL) {
        block->head.steps = steps;
    }
    return block;
}

static void block_free(h2_mem_block *block)
{
    size_t bytes = offsetof(h2_mem_block, data) + block->head.steps * H2_MEM_STEP_BYTES;
    if (bytes < paged_bytes) {
        free(block);
    } else {
        (void)munmap(block, bytes);
    }
}

void *h2_mem_get(h2_mem *mem, size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size_t steps = size == 0 ? 1 : (size - 1) / H2_MEM_STEP_BYTES + 1;
    if (steps <= H2_MEM_SIZES && mem->spare[steps] != NULL) {
        h2_mem_block *block = mem->spare[steps];
        mem->spare[steps] = block->data.next;
        mem->spare_bytes -= steps * H2_MEM_STEP_BYTES;
        return &block->data;
    }
    h2_mem_block *block = block_new(steps);
    return block != NULL ? &block->data : NULL;
}

void *h2_mem_get_zeroed(h2_mem *mem, size_t count, size_t size)
{
    size_t total = 0;
    void *ptr = __builtin_mul_overflow(count, size, &total) ? NULL : h2_mem_get(mem, total);
    return ptr != NULL ? memset(ptr, 0, total) : NULL;
}

void *h2_mem_resize(h2_mem *mem, void *ptr, size_t size)
{
    size_t room = ptr != NULL ? block_of(ptr)->head.steps * H2_MEM_STEP_BYTES : 0;
    if (ptr != NULL && size <= room) {
        return ptr;
    }
    void *moved = h2_mem_get(mem, size);
    if (moved != NULL && ptr != NULL) {
        memcpy(moved, ptr, room);
        h2_mem_give(mem, ptr);
    }
    return moved;
}

void h2_mem_give(h2_mem *mem, void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    h2_mem_block *block = block_of(ptr);
    size_t steps = block->head.steps, bytes = steps * H2_MEM_STEP_BYTES;
    if (steps > H2_MEM_SIZES || mem->spare_bytes + bytes > KEPT_BYTES) {
        block_free(block);
        return;
    }
    block->data.next = mem->spare[steps];
    mem->spare[steps] = block;
    mem->spare_bytes += bytes;
}

void h2_mem_fini(h2_mem *mem)
{
    for (size_t steps = 1; steps <= H2_MEM_SIZES; steps++) {
        while (mem->spare[steps] != NULL) {
            h2_mem_block *block = mem->spare[steps];
            mem->spare[steps] = block->data.next;
            block_free(block);
        }
    }
    mem->spare_bytes = 0;
}
