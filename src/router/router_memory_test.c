/* The router when the heap fails: the n-th allocation, for every n, while tables are built, while streams are opened on
 * several loops and messages pass. Nothing may crash or leak (AddressSanitizer looks on), every copy is accounted for,
 * and afterwards everything works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "pb_routing_v1_api.pb-c.h"
#include "router/router_fake_test.h"
#include "router/router_priv.h"

enum { LOOPS = 2, MAX_ALLOCATIONS = 500 };

/* ---- a heap that fails once ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

static int fail_in = -1; /* allocations until the failing one; below 0: none fails */
static bool has_failed;

static bool fails_now(void)
{
    if (fail_in < 0) {
        return false;
    }
    bool fails = fail_in-- == 0;
    has_failed = has_failed || fails;
    return fails;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails_now() ? NULL : __real_realloc(block, size);
}

static void arm(int n)
{
    fail_in = n;
    has_failed = false;
}

/* @return did an allocation fail? */
static bool disarm(void)
{
    fail_in = -1;
    return has_failed;
}

/* ---- tables ---- */

static router_tables *some_tables(void)
{
    const router_block_row blocks[] = {
        {{66, {NULL, 0}, LPX_STR("eu1")}, 0x11000000, 8},
        {{66, LPX_STR("home"), LPX_STR("eu1")}, 0x12000000, 8},
    };
    const router_policy_row policy = {.forwarder = {.net_id = 20}, .home = {.net_id = 66}};
    const router_delegation_row delegation = {67, 66};
    router_rows rows = {.blocks = blocks,
                        .block_count = 2,
                        .policies = &policy,
                        .policy_count = 1,
                        .delegations = &delegation,
                        .delegation_count = 1,
                        .default_open = true,
                        .seed = 1};
    return router_tables_new(&rows);
}

static void tables_are_whole_or_absent(void **state)
{
    (void)state;
    bool failed = true;
    int n = 0;
    for (; failed && n < MAX_ALLOCATIONS; n++) {
        arm(n);
        router_tables *tables = some_tables();
        failed = disarm();
        if (tables != NULL) { /* a failure that did no harm: giving back spare room */
            assert_int_equal(router_tables_find(tables, 0x12345678).count, 1);
        }
        assert_true(failed || tables != NULL);
        router_tables_unref(&tables);
    }
    assert_true(!failed && n > 5);
}

/* ---- streams and messages ---- */

typedef struct stage {
    io_loop *loops[LOOPS];
    router *router;
} stage;

static uint8_t data_uplink[] = {0x40, 0x44, 0x33, 0x22, 0x11, 0x00, 0x01, 0x00, 0x01, 0x42, 0x01, 0x02, 0x03, 0x04};

static void invoke(stage *s, const char *method, rpc_call *call, const ProtobufCMessage *request)
{
    size_t count;
    const rpc_method *methods = router_methods(s->router, &count);
    for (size_t i = 0; i < count; i++) {
        if (strlen(methods[i].path) > strlen(method) &&
            strcmp(methods[i].path + strlen(methods[i].path) - strlen(method), method) == 0) {
            fake_call_run(call, &methods[i], request);
        }
    }
}

static void subscribe(stage *s, rpc_call *call)
{
    static char group[] = "g";
    Pb__Routing__V1__SubscribeHomeNetworkRequest in = PB__ROUTING__V1__SUBSCRIBE_HOME_NETWORK_REQUEST__INIT;
    in.home_network_net_id = 66;
    in.group = group;
    invoke(s, "HomeNetworkData/Subscribe", call, &in.base);
    assert_true(call->streaming || call->err.code == LPX_RESOURCE_EXHAUSTED);
}

static void publish(stage *s, rpc_call *call)
{
    Pb__V3__UplinkMessage__PHYPayload payload = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__INIT;
    payload.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    payload.plain = (ProtobufCBinaryData){sizeof data_uplink, data_uplink};
    Pb__V3__UplinkMessage message = PB__V3__UPLINK_MESSAGE__INIT;
    message.phy_payload = &payload;
    message.gateway_region = PB__V3__REGION__EU_863_870;
    Pb__Routing__V1__PublishUplinkMessageRequest in = PB__ROUTING__V1__PUBLISH_UPLINK_MESSAGE_REQUEST__INIT;
    in.forwarder_net_id = 19;
    in.message = &message;
    invoke(s, "ForwarderData/Publish", call, &in.base);
    assert_true(call->replied || call->err.code == LPX_RESOURCE_EXHAUSTED);
}

static void turn_all(stage *s)
{
    for (unsigned i = 0; i < 3 * LOOPS; i++) {
        io_loop_turn(s->loops[i % LOOPS], 0);
    }
}

static rpc_call *new_call(stage *s, unsigned loop)
{
    rpc_call *call = fake_call_new(s->loops[loop]);
    call->keep = false;
    return call;
}

/* One act: two streams, one per loop, and two messages. The calls themselves are made before the heap fails. */
static bool run_act(stage *s, int n)
{
    rpc_call *subs[LOOPS] = {new_call(s, 0), new_call(s, 1)}, *calls[2] = {new_call(s, 0), new_call(s, 1)};
    arm(n);
    for (unsigned i = 0; i < 2; i++) {
        subscribe(s, subs[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        publish(s, calls[i]);
        turn_all(s);
    }
    bool failed = disarm();
    for (unsigned i = 0; i < 2; i++) {
        fake_call_free(&subs[i]);
        fake_call_free(&calls[i]);
    }
    turn_all(s);
    return failed;
}

static void assert_accounts_balance(const stage *s)
{
    router_counts c;
    router_count(s->router, &c);
    uint64_t lost = 0;
    for (unsigned reason = TRAFFIC_DROP_QUEUE_FULL; reason < TRAFFIC_DROP_REASONS; reason++) {
        lost += c.dropped[TRAFFIC_UP][reason];
    }
    assert_int_equal(c.routed[TRAFFIC_UP][TRAFFIC_DATA], c.sent[TRAFFIC_UP] + lost);
    assert_int_equal(c.opened[TRAFFIC_UP], c.closed[TRAFFIC_UP]);
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(router_dir_count(s->router->shards[i]->dir), 0);
        assert_int_equal(s->router->shards[i]->queued_bytes, 0);
    }
}

static void a_failing_heap_harms_one_call(void **state)
{
    (void)state;
    stage s = {0};
    lpx_note note = {""};
    for (unsigned i = 0; i < LOOPS; i++) {
        s.loops[i] = io_loop_new(i);
        assert_non_null(s.loops[i]);
    }
    router_opts opts = {.default_open = true};
    assert_false(lpx_failed(router_new(&opts, s.loops, LOOPS, &s.router, &note)));
    router_tables *tables = some_tables();
    router_send_tables(s.router, tables);
    router_tables_unref(&tables);
    bool failed = true;
    int n = 0;
    for (; failed && n < MAX_ALLOCATIONS; n++) {
        failed = run_act(&s, n);
        assert_accounts_balance(&s);
    }
    assert_true(!failed && n > 10);
    router_free(&s.router);
    for (unsigned i = 0; i < LOOPS; i++) {
        io_loop_free(&s.loops[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_whole_or_absent),
        cmocka_unit_test(a_failing_heap_harms_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
