/* The router on loops with threads of their own, all publishing, reporting, joining and leaving while tables change:
 * every copy is accounted for. Made for ThreadSanitizer. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "base/assert.h"
#include "io/thread.h"
#include "pb_routing_v1_api.pb-c.h"
#include "router/router_fake_test.h"
#include "router/router_priv.h"

enum { LOOPS = 3, STEPS = 600, COMER_EVERY = 7, TABLES_EVERY = 25 };

typedef struct actor actor;

/** All that the threads share. */
typedef struct scene {
    router *router;
    io_loop *loops[LOOPS];
    router_tables *tables;
    sem_t done;
} scene;

/* What the observer was told, on all loops. */
static atomic_uint told_passages, told_copies, told_settled, told_reports;

static void count_passage(void *ctx, unsigned loop, const traffic_passage *passage)
{
    (void)ctx;
    (void)loop;
    atomic_fetch_add(&told_passages, 1);
    for (size_t i = 0; i < passage->outcome_count; i++) {
        atomic_fetch_add(&told_copies, passage->outcomes[i].copies);
    }
}

static void count_settled(void *ctx, unsigned loop, const traffic_copy *copy)
{
    (void)ctx;
    (void)loop;
    lpx_assert(copy->home.net_id == 66 && copy->id.len > 0);
    atomic_fetch_add(&told_settled, 1);
}

static void count_report(void *ctx, unsigned loop, const traffic_report *told)
{
    (void)ctx;
    (void)loop;
    lpx_assert(told->home.net_id == 66 && told->id.len > 0);
    atomic_fetch_add(&told_reports, 1);
}

static const traffic_observer observer = {.passed = count_passage, .settled = count_settled, .reported = count_report};
static const traffic_observer *const observers[] = {&observer, NULL};

/** What one loop does: one step per task, so that letters come in between. */
struct actor {
    io_task task;
    scene *scene;
    unsigned index, step;
    rpc_call *all, *grouped, *comer;
};

static uint8_t data_uplink[] = {0x40, 0x44, 0x33, 0x22, 0x11, 0x00, 0x01, 0x00, 0x01, 0x42, 0x01, 0x02, 0x03, 0x04};

static void invoke(actor *a, const char *method, rpc_call *call, const ProtobufCMessage *request)
{
    size_t count;
    const rpc_method *methods = router_methods(a->scene->router, &count);
    for (size_t i = 0; i < count; i++) {
        if (strstr(methods[i].path, method) != NULL) {
            fake_call_run(call, &methods[i], request);
            return;
        }
    }
    lpx_assert(false);
}

static rpc_call *subscribe(actor *a, const char *group)
{
    Pb__Routing__V1__SubscribeHomeNetworkRequest in = PB__ROUTING__V1__SUBSCRIBE_HOME_NETWORK_REQUEST__INIT;
    char name[16];
    (void)snprintf(name, sizeof name, "%s", group);
    in.home_network_net_id = 66;
    in.group = name;
    rpc_call *call = fake_call_new(a->scene->loops[a->index]);
    call->keep = false;
    invoke(a, "HomeNetworkData/Subscribe", call, &in.base);
    lpx_assert(call->streaming);
    return call;
}

static void report(actor *a, char *id)
{
    Pb__V3__UplinkMessageDeliveryStateChange up = PB__V3__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE__INIT;
    up.id = id;
    up.home_network_net_id = 66;
    up.forwarder_net_id = 19;
    up.state = PB__V3__MESSAGE_DELIVERY_STATE__PROCESSED;
    Pb__Routing__V1__UplinkMessageDeliveryStateChangeRequest in =
        PB__ROUTING__V1__UPLINK_MESSAGE_DELIVERY_STATE_CHANGE_REQUEST__INIT;
    in.state_change = &up;
    rpc_call *call = fake_call_new(a->scene->loops[a->index]);
    invoke(a, "ReportUplinkMessageDeliveryState", call, &in.base);
    lpx_assert(call->replied);
    fake_call_free(&call);
}

/* Publish, and report twice. */
static void publish(actor *a)
{
    Pb__V3__UplinkMessage__PHYPayload payload = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__INIT;
    payload.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    payload.plain = (ProtobufCBinaryData){sizeof data_uplink, data_uplink};
    Pb__V3__UplinkMessage message = PB__V3__UPLINK_MESSAGE__INIT;
    message.phy_payload = &payload;
    Pb__Routing__V1__PublishUplinkMessageRequest in = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    in.forwarder_net_id = 19;
    in.message = &message;
    rpc_call *call = fake_call_new(a->scene->loops[a->index]);
    invoke(a, "ForwarderData/Publish", call, &in.base);
    lpx_assert(call->replied);
    ProtobufCMessage *reply;
    lpx_err err = pb_decode(&pb__routing__v1__publish_uplink_message_response__descriptor, call->reply, &call->arena,
                            &reply, NULL);
    lpx_assert(!lpx_failed(err));
    report(a, ((Pb__Routing__V1__PublishUplinkMessageResponse *)reply)->id);
    report(a, ((Pb__Routing__V1__PublishUplinkMessageResponse *)reply)->id);
    fake_call_free(&call);
}

static void act(io_task *task)
{
    actor *a = LPX_CONTAINER(task, actor, task);
    if (a->step == STEPS) {
        if (a->comer != NULL) {
            fake_call_free(&a->comer);
        }
        (void)sem_post(&a->scene->done);
        return;
    }
    publish(a);
    if (a->step % COMER_EVERY == 0 && a->comer != NULL) {
        fake_call_free(&a->comer);
    } else if (a->step % COMER_EVERY == 0) {
        a->comer = subscribe(a, "");
        a->comer->window = 3; /* and then it does not read any more */
    }
    if (a->index == 0 && a->step % TABLES_EVERY == 0) {
        router_send_tables(a->scene->router, a->scene->tables);
    }
    a->step++;
    io_loop_post(a->scene->loops[a->index], &a->task);
}

static void begin(io_task *task)
{
    actor *a = LPX_CONTAINER(task, actor, task);
    a->all = subscribe(a, "");
    a->grouped = subscribe(a, "g");
    (void)sem_post(&a->scene->done);
}

static router_tables *some_tables(void)
{
    const router_block_row block = {.owner = {.net_id = 66}, .prefix = 0x11000000, .length = 8};
    router_rows rows = {.blocks = &block, .block_count = 1, .default_open = true, .seed = 1};
    return router_tables_new(&rows);
}

static void run_phase(scene *s, actor *actors, void (*run)(io_task *task))
{
    for (unsigned i = 0; i < LOOPS; i++) {
        actors[i].task.run = run;
        io_loop_post(s->loops[i], &actors[i].task);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(sem_wait(&s->done), 0);
    }
}

static void assert_all_accounted_for(const scene *s, const actor *actors)
{
    router_counts c;
    router_count(s->router, &c);
    uint64_t total = LOOPS * STEPS, grouped = 0, lost = 0;
    assert_int_equal(c.published[TRAFFIC_UP][TRAFFIC_DATA], total);
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(actors[i].all->sent_count, total);
        assert_true(actors[i].grouped->sent_count > 0);
        grouped += actors[i].grouped->sent_count;
    }
    assert_int_equal(grouped, total);
    for (unsigned reason = 0; reason < TRAFFIC_DROP_REASONS; reason++) {
        lost += c.dropped[TRAFFIC_UP][reason];
    }
    assert_int_equal(c.routed[TRAFFIC_UP][TRAFFIC_DATA], c.sent[TRAFFIC_UP] + lost);
    assert_true(c.dropped[TRAFFIC_UP][TRAFFIC_DROP_GONE] > 0);
    assert_int_equal(atomic_load(&told_passages), total);
    assert_int_equal(atomic_load(&told_copies), c.routed[TRAFFIC_UP][TRAFFIC_DATA]);
    assert_int_equal(atomic_load(&told_settled), c.routed[TRAFFIC_UP][TRAFFIC_DATA]);
    assert_int_equal(atomic_load(&told_reports), total);
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_SUCCESS], total);
    assert_int_equal(c.reports[TRAFFIC_UP][ROUTER_REPORT_REPEATED], total);
}

static void nothing_is_lost_between_threads(void **state)
{
    (void)state;
    scene s = {.tables = some_tables()};
    actor actors[LOOPS] = {0};
    io_thread *threads[LOOPS];
    lpx_note note = {""};
    assert_non_null(s.tables);
    assert_int_equal(sem_init(&s.done, 0, 0), 0);
    for (unsigned i = 0; i < LOOPS; i++) {
        s.loops[i] = io_loop_new(i);
        assert_non_null(s.loops[i]);
    }
    router_opts opts = {.default_open = true, .observers = observers};
    assert_false(lpx_failed(router_new(&opts, s.loops, LOOPS, &s.router, &note)));
    router_send_tables(s.router, s.tables);
    for (unsigned i = 0; i < LOOPS; i++) {
        actors[i] = (actor){.scene = &s, .index = i};
        assert_false(lpx_failed(io_thread_start(s.loops[i], "test-loop", &threads[i])));
    }
    run_phase(&s, actors, begin);
    run_phase(&s, actors, act);
    for (unsigned i = 0; i < LOOPS; i++) {
        io_thread_stop(&threads[i]);
    }
    for (unsigned i = 0; i < 2 * LOOPS; i++) {
        io_loop_turn(s.loops[i % LOOPS], 0);
    }
    assert_all_accounted_for(&s, actors);
    for (unsigned i = 0; i < LOOPS; i++) {
        fake_call_free(&actors[i].all);
        fake_call_free(&actors[i].grouped);
    }
    router_free(&s.router); /* with the letters of those who left unread */
    for (unsigned i = 0; i < LOOPS; i++) {
        io_loop_free(&s.loops[i]);
    }
    router_tables_unref(&s.tables);
    (void)sem_destroy(&s.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_between_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
