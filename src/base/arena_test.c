/* Arena: what is given out is aligned, zeroed and within the cap; blocks come back; a wiped arena leaves nothing. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/test_random.h"

/* The linker sends malloc of the library here: the number of bytes held, and a switch that makes it fail. */
static bool heap_fails;
static size_t last_malloc_bytes;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    last_malloc_bytes = size;
    return heap_fails ? NULL : __real_malloc(size);
}

#if defined(__SANITIZE_ADDRESS__)
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define UNPOISON(ptr, len) __asan_unpoison_memory_region((ptr), (len))
#else
#define UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif

static void test_first_block_is_small(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 20);
    assert_null(arena.head);
    assert_non_null(lpx_arena_get(&arena, 1));
    assert_in_range(last_malloc_bytes, LPX_ARENA_FIRST_BYTES, LPX_ARENA_FIRST_BYTES + 64);
    lpx_arena_fini(&arena);
}

static void test_cap_is_exact(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init(&arena, 160);
    for (int i = 0; i < 10; i++) {
        assert_non_null(lpx_arena_get(&arena, 16));
    }
    assert_null(lpx_arena_get(&arena, 1));
    assert_null(lpx_arena_get(&arena, 0));
    assert_int_equal(arena.used_bytes, 160);
    lpx_arena_reset(&arena);
    assert_null(lpx_arena_get(&arena, 161));
    assert_non_null(lpx_arena_get(&arena, 160));
    lpx_arena_fini(&arena);
    assert_int_equal(arena.used_bytes, 0);
}

static void test_sizes_that_overflow(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init(&arena, SIZE_MAX);
    assert_null(lpx_arena_get(&arena, SIZE_MAX));
    assert_null(lpx_arena_get(&arena, SIZE_MAX - 16));
    assert_null(lpx_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(lpx_arena_array(&arena, 3, SIZE_MAX / 2));
    assert_null(lpx_arena_copy(&arena, lpx_bytes_of("x", SIZE_MAX)).ptr);
    assert_null(lpx_arena_cstr(&arena, (lpx_str){"x", SIZE_MAX}));
    assert_non_null(lpx_arena_array(&arena, 3, 5));
    lpx_arena_fini(&arena);
}

static void test_heap_exhausted(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 20);
    heap_fails = true;
    void *ptr = lpx_arena_get(&arena, 10);
    char *text = lpx_arena_printf(&arena, "%d", 5);
    lpx_bytes copy = lpx_arena_copy(&arena, lpx_bytes_of("abc", 3));
    heap_fails = false;
    assert_null(ptr);
    assert_null(text);
    assert_null(copy.ptr);
    assert_int_equal(copy.len, 0);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(lpx_arena_get(&arena, 10));
    lpx_arena_fini(&arena);
}

static void test_text_and_copies(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 16);
    lpx_bytes copy = lpx_arena_copy(&arena, lpx_bytes_of("a\0b", 3));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.ptr, "a\0b\0", 4);
    lpx_bytes empty = lpx_arena_copy(&arena, (lpx_bytes){NULL, 0});
    assert_non_null(empty.ptr);
    assert_int_equal(empty.ptr[0], 0);
    assert_string_equal(lpx_arena_cstr(&arena, (lpx_str){"hello world", 5}), "hello");
    assert_string_equal(lpx_arena_printf(&arena, "%06X/%s", 19U, "x"), "000013/x");
    lpx_arena_fini(&arena);
    lpx_arena_init(&arena, 16);
    assert_non_null(lpx_arena_printf(&arena, "%015d", 1));
    lpx_arena_reset(&arena);
    assert_null(lpx_arena_printf(&arena, "%016d", 1));
    lpx_arena_fini(&arena);
}

/* Pieces of random size are aligned, zeroed, apart from each other and keep what was written into them. */
static void test_random_pieces(void **state)
{
    (void)state;
    enum { PIECES = 400, ROUNDS = 30 };
    test_random random = test_random_begin("arena");
    uint8_t *ptrs[PIECES];
    size_t lens[PIECES];
    lpx_arena arena;
    lpx_arena_init(&arena, 4 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        size_t used = 0;
        for (int i = 0; i < PIECES; i++) {
            lens[i] = test_random_below(&random, i % 50 == 49 ? 20000 : 300);
            ptrs[i] = lpx_arena_get(&arena, lens[i]);
            assert_non_null(ptrs[i]);
            assert_int_equal((uintptr_t)ptrs[i] % 16, 0);
            for (size_t j = 0; j < lens[i]; j++) {
                assert_int_equal(ptrs[i][j], 0);
            }
            memset(ptrs[i], i & 0xFF, lens[i]);
            used += lens[i] == 0 ? 16 : (lens[i] + 15) / 16 * 16;
        }
        assert_int_equal(arena.used_bytes, used);
        for (int i = 0; i < PIECES; i++) {
            for (size_t j = 0; j < lens[i]; j++) {
                assert_int_equal(ptrs[i][j], i & 0xFF);
            }
        }
        lpx_arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
    }
    lpx_arena_fini(&arena);
    assert_null(arena.head);
}

/* After a reset the small block serves again without a call of malloc; a big one is not kept. */
static void test_reset_keeps_a_small_block(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init(&arena, 1 << 20);
    assert_non_null(lpx_arena_get(&arena, 100));
    assert_non_null(lpx_arena_get(&arena, 500000));
    lpx_arena_reset(&arena);
    last_malloc_bytes = 0;
    assert_non_null(lpx_arena_get(&arena, LPX_ARENA_FIRST_BYTES));
    assert_int_equal(last_malloc_bytes, 0);
    lpx_arena_fini(&arena);
    assert_non_null(lpx_arena_get(&arena, 500000));
    lpx_arena_reset(&arena);
    assert_null(arena.head);
    lpx_arena_fini(&arena);
}

static void test_wiped(void **state)
{
    (void)state;
    lpx_arena arena;
    lpx_arena_init_wiped(&arena, 1 << 16);
    uint8_t *secret = lpx_arena_get(&arena, 64);
    assert_non_null(secret);
    memset(secret, 0xA5, 64);
    lpx_arena_reset(&arena);
    UNPOISON(secret, 64);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(secret[i], 0);
    }
    lpx_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_block_is_small),      cmocka_unit_test(test_cap_is_exact),
        cmocka_unit_test(test_sizes_that_overflow),       cmocka_unit_test(test_heap_exhausted),
        cmocka_unit_test(test_text_and_copies),           cmocka_unit_test(test_random_pieces),
        cmocka_unit_test(test_reset_keeps_a_small_block), cmocka_unit_test(test_wiped),
    };
    return cmocka_run_group_tests_name("base arena", tests, NULL, NULL);
}
