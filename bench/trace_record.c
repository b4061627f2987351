/* What it costs to record the way of an uplink: its passage, the copy that was sent and the report, with names of usual
 * length; then to find one message, and the newest hundred of a member that has one of a hundred. Prints one figure per
 * line: name value. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "trace/trace_priv.h"

enum { MESSAGES = 2000000, KEPT = 100000, MEMBERS = 100, LOOKUPS = 20000, LISTS = 20 };

static const lpx_utc now = {INT64_C(1700000000000000)};

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static lpx_str id_of(unsigned n, char room[static 64])
{
    int len = snprintf(room, 64, "01J9Z3V5M8K2N4P6%010u-UD-0123456789ABCDEF", n);
    return (lpx_str){.ptr = room, .len = (size_t)len};
}

static void tell(const traffic_observer *o, lpx_str id, unsigned n)
{
    const traffic_endpoint forwarder = {.net_id = 0x13, .tenant_id = LPX_STR("ttn"), .cluster_id = LPX_STR("ttn-eu1")};
    const traffic_endpoint home = {.net_id = 0x42 + n % MEMBERS, .tenant_id = LPX_STR("tenant-a")};
    const traffic_outcome outcome = {.home = home, .route = TRAFFIC_ROUTE_BLOCK, .delivered = true, .copies = 1};
    const traffic_passage passage = {
        .time = now, .id = id, .kind = TRAFFIC_DATA, .forwarder = forwarder, .outcomes = &outcome, .outcome_count = 1};
    const traffic_copy copy = {
        .time = now, .id = id, .kind = TRAFFIC_DATA, .forwarder = forwarder, .home = home, .sent = true};
    const traffic_report report = {.time = now, .id = id, .kind = TRAFFIC_DATA, .forwarder = forwarder, .home = home};
    o->passed(o->ctx, 0, &passage);
    o->settled(o->ctx, 0, &copy);
    o->reported(o->ctx, 0, &report);
}

static double record_all(trace *t)
{
    char room[64];
    double names = cpu_ns();
    for (unsigned n = 0; n < MESSAGES; n++) {
        lpx_assert(id_of(n, room).len > 0);
    }
    double begin = cpu_ns();
    for (unsigned n = 0; n < MESSAGES; n++) {
        tell(trace_observer(t), id_of(n, room), n);
    }
    return (cpu_ns() - begin - (begin - names)) / MESSAGES;
}

static double find_some(trace *t)
{
    char room[64];
    lpx_arena arena;
    double begin = cpu_ns();
    for (unsigned i = 0; i < LOOKUPS; i++) {
        trace_event *events;
        size_t count;
        lpx_arena_init(&arena, 1 << 20);
        lpx_err err = trace_gather(t, id_of(MESSAGES - 1 - i, room), now, &arena, &events, &count);
        lpx_assert(!lpx_failed(err) && count == 3);
        lpx_arena_fini(&arena);
    }
    return (cpu_ns() - begin) / LOOKUPS;
}

static double list_some(trace *t)
{
    const trace_viewer viewer = {.net_id = 0x50, .with_tenants = true};
    lpx_arena arena;
    double begin = cpu_ns();
    for (unsigned i = 0; i < LISTS; i++) {
        Lpx__Trace__V1__Trace **list;
        size_t count;
        lpx_arena_init(&arena, 16 << 20);
        lpx_err err = trace_recent(t, &viewer, false, 100, now, &arena, &list, &count);
        lpx_assert(!lpx_failed(err) && count == 100);
        lpx_arena_fini(&arena);
    }
    return (cpu_ns() - begin) / LISTS;
}

int main(void)
{
    trace_opts opts = {.loop_count = 1, .messages = KEPT, .age_us = 1000000, .seed = 42};
    trace *t;
    lpx_assert(!lpx_failed(trace_new(&opts, &t)));
    printf("trace_record_ns_per_message %.0f\n", record_all(t));
    printf("trace_find_ns %.0f\n", find_some(t));
    printf("trace_list_100_us %.0f\n", list_some(t) / 1000);
    trace_free(&t);
    return 0;
}
