/* Growing buffer: the limit holds, failure sticks; shared bytes: the last reference frees. */
#include "base/buf.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/test_random.h"

static bool heap_fails;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

void *__wrap_malloc(size_t size)
{
    return heap_fails ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return heap_fails ? NULL : __real_realloc(ptr, size);
}

static void test_limit_and_sticky_failure(void **state)
{
    (void)state;
    lpx_buf buf;
    lpx_buf_init(&buf, 10);
    lpx_buf_add_str(&buf, LPX_STR("0123456789"));
    assert_false(lpx_buf_failed(&buf));
    lpx_buf_add_str(&buf, LPX_STR("x"));
    assert_true(lpx_buf_failed(&buf));
    assert_true(lpx_bytes_equal(lpx_buf_view(&buf), lpx_bytes_of("0123456789", 10)));
    lpx_buf_drop(&buf, 5);
    lpx_buf_add_str(&buf, LPX_STR("y"));
    assert_int_equal(lpx_buf_view(&buf).len, 5);
    lpx_buf_clear(&buf);
    assert_false(lpx_buf_failed(&buf));
    lpx_buf_printf(&buf, "%s-%d", "ab", 42);
    assert_true(lpx_bytes_equal(lpx_buf_view(&buf), lpx_bytes_of("ab-42", 5)));
    lpx_buf_printf(&buf, "%d", 1234567);
    assert_true(lpx_buf_failed(&buf));
    lpx_buf_fini(&buf);
    assert_int_equal(lpx_buf_view(&buf).len, 0);
    lpx_buf_add_str(&buf, LPX_STR("again"));
    assert_int_equal(lpx_buf_view(&buf).len, 5);
    lpx_buf_fini(&buf);
}

static void test_reserve(void **state)
{
    (void)state;
    lpx_buf buf;
    lpx_buf_init(&buf, 1000);
    assert_null(lpx_buf_reserve(&buf, 1001));
    assert_true(lpx_buf_failed(&buf));
    lpx_buf_clear(&buf);
    uint8_t *room = lpx_buf_reserve(&buf, 1000);
    assert_non_null(room);
    memset(room, 7, 1000);
    lpx_buf_grown(&buf, 600);
    assert_int_equal(lpx_buf_view(&buf).len, 600);
    assert_null(lpx_buf_reserve(&buf, SIZE_MAX));
    lpx_buf_fini(&buf);
    lpx_buf_init(&buf, 0);
    lpx_buf_add(&buf, (lpx_bytes){NULL, 0});
    assert_false(lpx_buf_failed(&buf));
    assert_non_null(lpx_buf_reserve(&buf, 0));
    lpx_buf_fini(&buf);
}

static void test_heap_exhausted(void **state)
{
    (void)state;
    lpx_buf buf;
    lpx_buf_init(&buf, 1 << 20);
    lpx_buf_add_str(&buf, LPX_STR("kept"));
    heap_fails = true;
    uint8_t *room = lpx_buf_reserve(&buf, 4096);
    lpx_shared *shared = lpx_shared_new(lpx_bytes_of("x", 1));
    heap_fails = false;
    assert_null(room);
    assert_null(shared);
    assert_true(lpx_buf_failed(&buf));
    assert_true(lpx_bytes_equal(lpx_buf_view(&buf), lpx_bytes_of("kept", 4)));
    lpx_buf_fini(&buf);
}

/* Random appends and drops against a plain array. */
static void test_random_appends(void **state)
{
    (void)state;
    enum { LIMIT = 5000 };
    test_random random = test_random_begin("buf");
    static uint8_t model[LIMIT];
    uint8_t piece[300];
    for (int round = 0; round < 50; round++) {
        size_t model_len = 0;
        lpx_buf buf;
        lpx_buf_init(&buf, LIMIT);
        while (!lpx_buf_failed(&buf)) {
            size_t len = test_random_below(&random, sizeof(piece));
            test_random_fill(&random, piece, len);
            lpx_buf_add(&buf, lpx_bytes_of(piece, len));
            assert_int_equal(lpx_buf_failed(&buf), len > LIMIT - model_len);
            if (!lpx_buf_failed(&buf)) {
                memcpy(model + model_len, piece, len);
                model_len += len;
            }
            size_t drop = test_random_below(&random, 4) == 0 ? test_random_below(&random, model_len + 1) : 0;
            lpx_buf_drop(&buf, drop);
            memmove(model, model + drop, model_len - drop);
            model_len -= drop;
            assert_true(lpx_bytes_equal(lpx_buf_view(&buf), lpx_bytes_of(model, model_len)));
        }
        lpx_buf_fini(&buf);
    }
}

static void *shared_thread(void *arg)
{
    lpx_shared *shared = arg;
    for (int i = 0; i < 20000; i++) {
        lpx_shared *mine = lpx_shared_ref(shared);
        lpx_shared_unref(&mine);
    }
    lpx_shared_unref(&shared);
    return NULL;
}

static void test_shared(void **state)
{
    (void)state;
    lpx_shared *shared = lpx_shared_new(lpx_bytes_of("bytes", 5));
    assert_non_null(shared);
    assert_true(lpx_bytes_equal(lpx_shared_view(shared), lpx_bytes_of("bytes", 5)));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, shared_thread, lpx_shared_ref(shared)), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    /* Still alive by the first reference; the leak checker sees whether the last one frees. */
    assert_true(lpx_bytes_equal(lpx_shared_view(shared), lpx_bytes_of("bytes", 5)));
    lpx_shared_unref(&shared);
    assert_null(shared);
    lpx_shared_unref(&shared);
    assert_null(lpx_shared_new(lpx_bytes_of("x", SIZE_MAX)));
    shared = lpx_shared_new((lpx_bytes){NULL, 0});
    assert_non_null(shared);
    assert_int_equal(lpx_shared_view(shared).len, 0);
    lpx_shared_unref(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_and_sticky_failure),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_heap_exhausted),
        cmocka_unit_test(test_random_appends),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests_name("base buf", tests, NULL, NULL);
}
