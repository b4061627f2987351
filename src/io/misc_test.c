/* Addresses, workers, signals, files. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/address.h"
#include "io/file.h"
#include "io/io_test.h"
#include "io/signal.h"
#include "io/thread.h"
#include "io/worker.h"
#include "lpx_reasons.h"

static void test_address_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        unsigned port;
    } good[] = {
        {"localhost:1900", "localhost", 1900},   {"127.0.0.1:0", "127.0.0.1", 0},
        {"[::1]:65535", "::1", 65535},           {":1900", "", 1900},
        {"[fe80::1%eth0]:1", "fe80::1%eth0", 1}, {"a-b_c.example:80", "a-b_c.example", 80},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        io_address a;
        lpx_note note;
        assert_false(lpx_failed(io_address_parse(lpx_str_of(good[i].text), &a, &note)));
        assert_string_equal(a.host, good[i].host);
        assert_int_equal(a.port, good[i].port);
    }
    static const char *const bad[] = {
        "",
        "localhost",
        "localhost:",
        "localhost:x",
        "localhost:65536",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[]:80",
        "[::1:80",
        "[a]b:80",
        "a b:80",
        "http://a:80",
        "a:80/",
        "user@a:80",
        "a:-1",
        "a: 80",
        "a:+80",
        "a%eth0:80",
        "[::1]:80 ",
        "a:080000000000000000000080",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        io_address a = {.port = 7};
        lpx_note note = {0};
        lpx_err err = io_address_parse(lpx_str_of(bad[i]), &a, &note);
        if (err.reason != IO_ADDRESS_BAD) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_int_equal(a.port, 7);
        assert_non_null(strstr(note.text, "host:port"));
    }
    char longest[400];
    memset(longest, 'a', sizeof longest);
    memcpy(longest + 253, ":80", 4);
    io_address a;
    assert_false(lpx_failed(io_address_parse(lpx_str_of(longest), &a, NULL)));
    memset(longest, 'a', 254);
    memcpy(longest + 254, ":80", 4);
    assert_true(lpx_failed(io_address_parse(lpx_str_of(longest), &a, NULL)));
}

static void test_address_format(void **state)
{
    (void)state;
    char text[IO_PEER_BYTES];
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr), 1);
    io_address_format((struct sockaddr *)&v4, text);
    assert_string_equal(text, "192.0.2.7:80");
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(1900)};
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr), 1);
    io_address_format((struct sockaddr *)&v6, text);
    assert_string_equal(text, "[2001:db8::1]:1900");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.sin6_addr), 1);
    io_address_format((struct sockaddr *)&v6, text);
    assert_string_equal(text, "192.0.2.7:1900");
}

/* Workers: a gate keeps the only thread busy while the queue fills. */
typedef struct gated_job {
    io_job job;
    sem_t *entered, *gate; /* NULL: does not wait */
    int number;
} gated_job;

static atomic_int worked;
static int done_count;

static void work(io_job *job)
{
    gated_job *g = LPX_CONTAINER(job, gated_job, job);
    if (g->gate != NULL) {
        (void)sem_post(g->entered);
        (void)sem_wait(g->gate);
    }
    assert_false(io_loop_is_mine(job->home));
    (void)atomic_fetch_add(&worked, 1);
}

static void work_done(io_job *job)
{
    const gated_job *g = LPX_CONTAINER(job, gated_job, job);
    assert_true(io_loop_is_mine(job->home));
    assert_int_equal(g->number, done_count); /* one thread: in order */
    done_count++;
}

static void test_workers_queue_is_bounded(void **state)
{
    (void)state;
    enum { QUEUE = 3 };
    sem_t entered;
    sem_t gate;
    assert_int_equal(sem_init(&entered, 0, 0) + sem_init(&gate, 0, 0), 0);
    io_loop *loop = io_loop_new(0);
    io_workers *pool = io_workers_new(1, QUEUE);
    gated_job jobs[QUEUE + 2];
    atomic_store(&worked, 0);
    done_count = 0;
    for (int i = 0; i < QUEUE + 2; i++) {
        jobs[i] = (gated_job){.job = {.home = loop, .work = work, .done = work_done}, .number = i};
    }
    jobs[0].entered = &entered;
    jobs[0].gate = &gate;
    assert_false(lpx_failed(io_workers_submit(pool, &jobs[0].job)));
    (void)sem_wait(&entered);
    for (int i = 1; i <= QUEUE; i++) {
        assert_false(lpx_failed(io_workers_submit(pool, &jobs[i].job)));
    }
    lpx_err err = io_workers_submit(pool, &jobs[QUEUE + 1].job);
    assert_int_equal(err.code, LPX_RESOURCE_EXHAUSTED);
    assert_int_equal(err.reason, IO_WORKERS_BUSY);
    assert_int_equal(atomic_load(&worked), 0);
    (void)sem_post(&gate);
    TEST_TURN_UNTIL(loop, done_count == QUEUE + 1);
    /* Room again. */
    assert_false(lpx_failed(io_workers_submit(pool, &jobs[QUEUE + 1].job)));
    TEST_TURN_UNTIL(loop, done_count == QUEUE + 2);
    io_workers_free(&pool);
    assert_null(pool);
    io_workers_free(&pool);
    io_loop_free(&loop);
    (void)sem_destroy(&entered);
    (void)sem_destroy(&gate);
}

static void work_only(io_job *job)
{
    (void)job;
    (void)atomic_fetch_add(&worked, 1);
}

static void count_done(io_job *job)
{
    (void)job;
    done_count++;
}

static void test_workers_free_finishes_the_queue(void **state)
{
    (void)state;
    enum { JOBS = 2000, THREADS = 4 };
    io_loop *loop = io_loop_new(0);
    io_workers *pool = io_workers_new(THREADS, JOBS);
    io_job *jobs = calloc(JOBS, sizeof *jobs);
    atomic_store(&worked, 0);
    done_count = 0;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (io_job){.home = loop, .work = work_only, .done = count_done};
        assert_false(lpx_failed(io_workers_submit(pool, &jobs[i])));
    }
    io_workers_free(&pool);
    assert_int_equal(atomic_load(&worked), JOBS);
    TEST_TURN_UNTIL(loop, done_count == JOBS);
    free(jobs);
    io_loop_free(&loop);
}

typedef struct signal_log {
    io_signals *signals;
    int seen[3];
    int count;
    bool free_in_call;
} signal_log;

static void signal_came(void *ctx, int number)
{
    signal_log *log = ctx;
    assert_true(log->count < 3);
    log->seen[log->count++] = number;
    if (log->free_in_call) {
        io_signals_free(&log->signals);
    }
}

static void test_signals(void **state)
{
    (void)state;
    io_loop *loop = io_loop_new(0);
    signal_log log = {0};
    struct sigaction before = {0};
    struct sigaction after = {0};
    const int numbers[] = {SIGHUP, SIGUSR1, SIGTERM};
    assert_int_equal(sigaction(SIGHUP, NULL, &before), 0);
    assert_false(lpx_failed(io_signals_on(loop, numbers, 3, signal_came, &log, &log.signals)));
    io_signals *second = NULL;
    assert_int_equal(io_signals_on(loop, numbers, 1, signal_came, &log, &second).reason, IO_SIGNALS_TAKEN);
    assert_null(second);
    (void)raise(SIGHUP);
    (void)raise(SIGTERM);
    assert_int_equal(log.count, 0); /* on the loop only */
    TEST_TURN_UNTIL(loop, log.count == 2);
    assert_int_equal(log.seen[0], SIGHUP);
    assert_int_equal(log.seen[1], SIGTERM);
    log.free_in_call = true;
    (void)raise(SIGUSR1);
    TEST_TURN_UNTIL(loop, log.count == 3);
    assert_null(log.signals);
    assert_int_equal(sigaction(SIGHUP, NULL, &after), 0);
    assert_true(before.sa_handler == after.sa_handler);
    /* The next receiver may come. */
    log = (signal_log){0};
    assert_false(lpx_failed(io_signals_on(loop, numbers, 3, signal_came, &log, &log.signals)));
    io_signals_free(&log.signals);
    io_signals_free(&log.signals);
    const int impossible[] = {SIGHUP, SIGKILL};
    assert_int_equal(io_signals_on(loop, impossible, 2, signal_came, &log, &log.signals).reason, IO_NO_RESOURCES);
    assert_int_equal(sigaction(SIGHUP, NULL, &after), 0);
    assert_true(before.sa_handler == after.sa_handler);
    io_loop_free(&loop);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/lpx-io-file-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[128];
    lpx_note note = {0};
    lpx_buf buf;
    lpx_buf_init(&buf, 1 << 20);
    (void)snprintf(path, sizeof path, "%s/a/b//c", folder);
    assert_false(lpx_failed(io_dir_make(path, 0700, &note)));
    assert_false(lpx_failed(io_dir_make(path, 0700, &note)));
    (void)snprintf(path, sizeof path, "%s/a/b/c/file", folder);

    assert_int_equal(io_file_read(path, 100, &buf, &note).reason, IO_FILE_MISSING);
    assert_non_null(strstr(note.text, path));
    assert_false(lpx_failed(io_file_write(path, lpx_bytes_of("secret", 6), 0600, &note)));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_false(lpx_failed(io_file_write(path, lpx_bytes_of("0123456789", 10), 0644, &note)));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);

    lpx_buf_add_str(&buf, LPX_STR("before"));
    assert_int_equal(io_file_read(path, 9, &buf, &note).reason, IO_FILE_TOO_LONG);
    assert_true(lpx_bytes_equal(lpx_buf_view(&buf), lpx_bytes_of("before", 6)));
    assert_false(lpx_failed(io_file_read(path, 10, &buf, &note)));
    assert_true(lpx_bytes_equal(lpx_buf_view(&buf), lpx_bytes_of("before0123456789", 16)));
    lpx_buf small;
    lpx_buf_init(&small, 10);
    assert_false(lpx_failed(io_file_read(path, 100, &small, &note)));
    assert_int_equal(small.len, 10);
    lpx_buf_clear(&small);
    lpx_buf_add_str(&small, LPX_STR("x"));
    assert_int_equal(io_file_read(path, 100, &small, &note).reason, IO_FILE_TOO_LONG);
    lpx_buf_fini(&small);

    /* Nothing is left behind by a write that fails: the target is a folder. */
    (void)snprintf(path, sizeof path, "%s/a/b/c", folder);
    assert_int_equal(io_file_write(path, lpx_bytes_of("x", 1), 0600, &note).reason, IO_FILE_FAILED);
    assert_int_equal(io_file_read(path, 10, &buf, &note).reason, IO_FILE_FAILED);
    (void)snprintf(path, sizeof path, "%s/a/b/c/file/d", folder);
    assert_int_equal(io_dir_make(path, 0700, &note).reason, IO_FILE_FAILED);
    assert_int_equal(io_dir_make("", 0700, &note).reason, IO_FILE_FAILED);
    lpx_buf_fini(&buf);
    static const char *const leftovers[] = {"/a/b/c/file", "/a/b/c", "/a/b", "/a", ""};
    for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", folder, leftovers[i]);
        assert_int_equal(remove(path), 0); /* fails when something else is in there */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_parse),
        cmocka_unit_test(test_address_format),
        cmocka_unit_test(test_workers_queue_is_bounded),
        cmocka_unit_test(test_workers_free_finishes_the_queue),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
