/* Memory of nghttp2's sessions: blocks of a few sizes, kept for reuse by the pool of their loop. A call takes six of
 * them, which with many calls under way is more of a size than libc keeps at hand. Each session has one large block,
 * its frame buffer, of which most never see more than the beginning: it gets pages of its own, so that the rest takes
 * no memory. For this folder alone. Level 3. Thread: owner loop. */
#pragma once
#include <stddef.h>

enum { H2_MEM_STEP_BYTES = 32, H2_MEM_SIZES = 16, H2_MEM_PAGED_BYTES = 16 * 1024 };

/** Free blocks. Treat the fields as private; all zero is an empty one. */
typedef struct h2_mem {
    struct h2_mem_block *spare[H2_MEM_SIZES + 1]; /* by size in steps */
    size_t spare_bytes;
} h2_mem;

/** Room of size bytes, aligned for anything; NULL when out of memory. */
void *h2_mem_get(h2_mem *mem, size_t size);
/** The same, zeroed, for count things. */
void *h2_mem_get_zeroed(h2_mem *mem, size_t count, size_t size);
/** Another size for what was got; may move it. @return NULL: out of memory, nothing changed */
void *h2_mem_resize(h2_mem *mem, void *ptr, size_t size);
/** Give back; accepts NULL. */
void h2_mem_give(h2_mem *mem, void *ptr);
/** Free what is kept. What is still out is given back by h2_mem_give as before. */
void h2_mem_fini(h2_mem *mem);
