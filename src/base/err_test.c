/* Errors, log, list and byte views. */
#include "base/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/log.h"
#include "base/reasons.h"
#include "lpx_reasons.h"

static void test_reasons(void **state)
{
    (void)state;
    lpx_err err = lpx_err_of(BASE_NO_MEMORY);
    assert_int_equal(err.code, LPX_RESOURCE_EXHAUSTED);
    assert_int_equal(err.reason, BASE_NO_MEMORY);
    assert_true(lpx_failed(err));
    assert_false(lpx_failed(LPX_SUCCESS));
    assert_string_equal(lpx_reason_name(BASE_NO_ROOM), "BASE_NO_ROOM");
    assert_string_equal(lpx_reason_name(0), "NONE");
    assert_string_equal(lpx_reason_name(LPX_REASON_COUNT), "UNKNOWN");
    assert_string_equal(lpx_reason_name(UINT16_MAX), "UNKNOWN");
    assert_string_equal(lpx_reason_text(LPX_REASON_COUNT), "");
}

/* Every row of the table can be failed with, and says something to people. */
static void test_every_reason(void **state)
{
    (void)state;
    for (uint16_t reason = 1; reason < LPX_REASON_COUNT; reason++) {
        lpx_err err = lpx_err_of(reason);
        assert_in_range(err.code, LPX_CANCELLED, LPX_UNAUTHENTICATED);
        const char *text = lpx_reason_text(reason);
        if (strlen(text) < 10 || text[strlen(text) - 1] != '.') {
            fail_msg("%s has no whole sentence: %s", lpx_reason_name(reason), text);
        }
    }
}

static void test_code_names(void **state)
{
    (void)state;
    assert_string_equal(lpx_code_name(LPX_OK), "OK");
    assert_string_equal(lpx_code_name(5), "NOT_FOUND");
    assert_string_equal(lpx_code_name(16), "UNAUTHENTICATED");
    assert_string_equal(lpx_code_name(17), "UNKNOWN");
    assert_string_equal(lpx_code_name(UINT16_MAX), "UNKNOWN");
}

static lpx_err try_it(lpx_err inner, int *reached)
{
    LPX_TRY(inner);
    *reached = 1;
    return LPX_SUCCESS;
}

static void test_fail_and_try(void **state)
{
    (void)state;
    lpx_note note = {"untouched"};
    lpx_err err = lpx_fail(&note, BASE_INTERNAL, "%s is %d.", "field", 7);
    assert_int_equal(err.code, LPX_INTERNAL);
    assert_string_equal(note.text, "field is 7.");
    (void)lpx_fail(NULL, BASE_INTERNAL, "%d", 1);
    char big[600];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    (void)lpx_fail(&note, BASE_INTERNAL, "%s", big);
    assert_int_equal(strlen(note.text), sizeof(note.text) - 1);
    int reached = 0;
    assert_int_equal(try_it(err, &reached).reason, BASE_INTERNAL);
    assert_int_equal(reached, 0);
    assert_false(lpx_failed(try_it(LPX_SUCCESS, &reached)));
    assert_int_equal(reached, 1);
}

typedef struct log_seen {
    atomic_int lines;
    lpx_log_level level;
    char event[32];
    int64_t num;
} log_seen;

static void log_sink(void *ctx, lpx_log_level level, const char *event, const lpx_field *fields, size_t count)
{
    log_seen *seen = ctx;
    if (atomic_fetch_add(&seen->lines, 1) == 0) {
        seen->level = level;
        (void)snprintf(seen->event, sizeof(seen->event), "%s", event);
        seen->num = count == 2 ? fields[1].num : -1;
    }
}

static void test_log_levels(void **state)
{
    (void)state;
    log_seen seen = {0};
    LPX_LOG(LPX_LOG_ERROR, "nobody.listens", LPX_F_INT("a", 1));
    lpx_log_to(log_sink, &seen);
    LPX_LOG(LPX_LOG_DEBUG, "too.low", LPX_F_INT("a", 1));
    assert_int_equal(atomic_load(&seen.lines), 0);
    LPX_LOG(LPX_LOG_INFO, "member.joined", LPX_F_STR("name", LPX_STR("x")), LPX_F_HEX("net_id", 19, 6));
    assert_int_equal(atomic_load(&seen.lines), 1);
    assert_int_equal(seen.level, LPX_LOG_INFO);
    assert_string_equal(seen.event, "member.joined");
    assert_int_equal(seen.num, 19);
    lpx_log_set_level(LPX_LOG_DEBUG);
    LPX_LOG(LPX_LOG_DEBUG, "now.seen", LPX_F_INT("a", 1));
    assert_int_equal(atomic_load(&seen.lines), 2);
    lpx_log_set_level(LPX_LOG_ERROR);
    LPX_LOG(LPX_LOG_WARN, "too.low", LPX_F_INT("a", 1));
    assert_int_equal(atomic_load(&seen.lines), 2);
    lpx_log_to(NULL, NULL);
    LPX_LOG(LPX_LOG_ERROR, "nobody.listens", LPX_F_INT("a", 1));
    assert_int_equal(atomic_load(&seen.lines), 2);
    lpx_log_set_level(LPX_LOG_INFO);
}

enum { LOG_THREAD_LINES = 2000 };

static void *log_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < LOG_THREAD_LINES; i++) {
        lpx_log_set_level(i % 2 == 0 ? LPX_LOG_INFO : LPX_LOG_WARN);
        LPX_LOG(LPX_LOG_ERROR, "line", LPX_F_INT("i", i));
    }
    return NULL;
}

/* Level and lines from several threads: nothing is lost, and the thread sanitizer stays silent. */
static void test_log_threads(void **state)
{
    (void)state;
    log_seen seen = {0};
    lpx_log_to(log_sink, &seen);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_thread, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&seen.lines), 3 * LOG_THREAD_LINES);
    lpx_log_to(NULL, NULL);
    lpx_log_set_level(LPX_LOG_INFO);
}

typedef struct item {
    int value;
    lpx_list node;
} item;

static void test_list(void **state)
{
    (void)state;
    lpx_list list;
    lpx_list_init(&list);
    assert_true(lpx_list_empty(&list));
    assert_null(lpx_list_pop(&list));
    item items[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
    for (int i = 0; i < 3; i++) {
        lpx_list_push(&list, &items[i].node);
    }
    lpx_list_remove(&items[1].node);
    lpx_list_remove(&items[1].node);
    assert_true(lpx_list_empty(&items[1].node));
    assert_int_equal(LPX_CONTAINER(lpx_list_pop(&list), item, node)->value, 1);
    assert_int_equal(LPX_CONTAINER(lpx_list_pop(&list), item, node)->value, 3);
    assert_true(lpx_list_empty(&list));
    item never = {0};
    assert_true(lpx_list_empty(&never.node));
    lpx_list_remove(&never.node);
}

static void test_views(void **state)
{
    (void)state;
    assert_true(lpx_str_is(lpx_str_of(NULL), ""));
    assert_true(lpx_str_is(LPX_STR("abc"), "abc"));
    assert_false(lpx_str_is(LPX_STR("abc"), "abcd"));
    assert_true(lpx_str_starts(LPX_STR("abc"), LPX_STR("ab")));
    assert_false(lpx_str_starts(LPX_STR("a"), LPX_STR("ab")));
    assert_true(lpx_str_is(lpx_str_skip(LPX_STR("abc"), 2), "c"));
    assert_int_equal(lpx_str_skip(LPX_STR("abc"), 9).len, 0);
    assert_true(lpx_bytes_equal((lpx_bytes){NULL, 0}, lpx_bytes_of("x", 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),      cmocka_unit_test(test_every_reason), cmocka_unit_test(test_code_names),
        cmocka_unit_test(test_fail_and_try), cmocka_unit_test(test_log_levels),   cmocka_unit_test(test_log_threads),
        cmocka_unit_test(test_list),         cmocka_unit_test(test_views),
    };
    return cmocka_run_group_tests_name("base err", tests, NULL, NULL);
}
