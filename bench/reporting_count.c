/* What it costs to count an uplink: its passage, the copy that was sent and the report, with names of usual length, for
 * one pair of members and for a thousand; then to write a thousand pairs with two counters each. The yardstick is a
 * SHA-256 of 64 bytes. Prints one figure per line: name value. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "crypto/hash.h"
#include "reporting/reporting.h"

enum { MESSAGES = 2000000, PAIRS = 1000 };

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void tell(const traffic_observer *o, unsigned pair)
{
    const traffic_endpoint forwarder = {.net_id = 0x13, .tenant_id = LPX_STR("ttn"), .cluster_id = LPX_STR("ttn-eu1")};
    const traffic_endpoint home = {.net_id = 0x42 + pair, .tenant_id = LPX_STR("tenant-a")};
    const lpx_utc now = {INT64_C(1700000000000000)};
    const traffic_outcome outcome = {.home = home, .delivered = true, .copies = 1};
    const traffic_passage passage = {
        .time = now, .kind = TRAFFIC_DATA, .forwarder = forwarder, .outcomes = &outcome, .outcome_count = 1};
    const traffic_copy copy = {.time = now, .kind = TRAFFIC_DATA, .forwarder = forwarder, .home = home, .sent = true};
    const traffic_report report = {.time = now, .kind = TRAFFIC_DATA, .forwarder = forwarder, .home = home};
    o->passed(o->ctx, 0, &passage);
    o->settled(o->ctx, 0, &copy);
    o->reported(o->ctx, 0, &report);
}

static double count_all(const traffic_observer *o, unsigned pairs)
{
    double begin = cpu_ns();
    for (unsigned n = 0; n < MESSAGES; n++) {
        tell(o, n % pairs);
    }
    return (cpu_ns() - begin) / MESSAGES;
}

static double hash_some(void)
{
    uint8_t block[64] = {0};
    double begin = cpu_ns();
    for (unsigned n = 0; n < MESSAGES; n++) {
        crypto_sha256(lpx_bytes_of(block, sizeof block), block);
    }
    return (cpu_ns() - begin) / MESSAGES;
}

int main(void)
{
    char path[] = "/tmp/lpx-bench-XXXXXX";
    char file[64];
    lpx_assert(mkdtemp(path) != NULL);
    (void)snprintf(file, sizeof file, "%s/lpx.db", path);
    const store_opts opts = {.url = file};
    lpx_note note = {""};
    store *db = NULL;
    reporting *r = NULL;
    io_loop *loop = io_loop_new(0);
    lpx_err err = store_open(&opts, &db, &note);
    lpx_assert(!lpx_failed(err));
    err = reporting_new(&(reporting_opts){.store = db}, &loop, 1, &r);
    lpx_assert(!lpx_failed(err));
    (void)printf("reporting_one_pair_ns %.0f\n", count_all(reporting_observer(r), 1));
    (void)printf("reporting_thousand_pairs_ns %.0f\n", count_all(reporting_observer(r), PAIRS));
    (void)printf("yardstick_sha256_ns %.0f\n", hash_some());
    double begin = cpu_ns();
    lpx_assert(reporting_stop(r) == 0);
    (void)printf("reporting_write_us_per_pair %.1f\n", (cpu_ns() - begin) / 1000 / PAIRS);
    store_close(&db);
    reporting_free(&r);
    io_loop_free(&loop);
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        (void)snprintf(file, sizeof file, "%s/lpx.db%s", path, suffixes[i]);
        (void)unlink(file);
    }
    (void)rmdir(path);
    return 0;
}
