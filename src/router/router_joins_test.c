/* Join-requests that wait for a Join Server which takes connections and never answers: how many may wait, what becomes
 * of them, and what is left when the router ends. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/pb/pb.h"
#include "lpx_reasons.h"
#include "router/limits.h"
#include "router/router_kit_test.h"

enum { JOIN_BYTES = 23, SQL_BYTES = 1024 };

/* A socket that listens and is never looked at. */
static int silent_server(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* Its row, as IAM writes it. */
static void add_join_server(exchange *x, uint16_t port)
{
    char url[64], hex[512], sql[SQL_BYTES];
    uint8_t packed[128];
    Pb__V3__Target target;
    pb__v3__target__init(&target);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)port);
    target.address = url;
    assert_true(pb__v3__target__get_packed_size(&target) <= sizeof packed);
    lpx_hex_encode(lpx_bytes_of(packed, pb__v3__target__pack(&target, packed)), hex);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO join_servers (join_server_id, lookup, created_at, updated_at) VALUES (1, X'%s', 0, 0)",
                   hex);
    const char *const lines[] = {
        sql,
        "INSERT INTO join_eui_prefixes (join_server_id, position, prefix_value, prefix_length, created_at) "
        "VALUES (1, 0, 0, 0, 0)",
        NULL,
    };
    change(x, 1u << STORE_TOPIC_JOIN_SERVERS, lines);
    wait_for_loads(x, 1);
}

/* Publish one join-request; it has its id at once. */
static void publish_join(exchange *x)
{
    static uint8_t payload[JOIN_BYTES];
    Pb__V3__PHYPayloadTeaser teaser;
    Pb__V3__UplinkMessage__PHYPayload phy;
    Pb__V3__UplinkMessage message;
    Pb__Routing__V1__PublishUplinkMessageRequest request;
    pb__v3__phypayload_teaser__init(&teaser);
    pb__v3__uplink_message__phypayload__init(&phy);
    pb__v3__uplink_message__init(&message);
    pb__routing__v1__publish_uplink_message_request__init(&request);
    phy.teaser = &teaser;
    phy.value_case = PB__V3__UPLINK_MESSAGE__PHYPAYLOAD__VALUE_PLAIN;
    phy.plain = (ProtobufCBinaryData){sizeof payload, payload};
    message.phy_payload = &phy;
    request.forwarder_net_id = 0x13;
    request.message = &message;
    rpc_call *call = fake_call_new(x->loops[0]);
    invoke(x, "ForwarderData/Publish", call, &request.base);
    if (!call->replied) {
        fail_msg("%s", call->note.text);
    }
    fake_call_free(&call);
}

static uint64_t dropped(const exchange *x)
{
    return counts_of(x).dropped[TRAFFIC_UP][TRAFFIC_DROP_LOOKUP];
}

static void open_all(exchange *x, int *fd)
{
    uint16_t port;
    router_opts opts = open_opts;
    opts.joins.timeout_us = 1000000;
    *fd = silent_server(&port);
    open_exchange(x, &opts);
    add_join_server(x, port);
}

static void test_waiting_is_bounded(void **state)
{
    (void)state;
    exchange x;
    int fd;
    open_all(&x, &fd);
    for (unsigned i = 0; i < ROUTER_JOINS_WAITING + 10; i++) {
        publish_join(&x);
    }
    assert_int_equal(dropped(&x), 10);
    assert_int_equal(counts_of(&x).published[TRAFFIC_UP][TRAFFIC_JOIN], 10); /* the others when they are routed */
    while (dropped(&x) < ROUTER_JOINS_WAITING + 10) {
        io_loop_turn(x.loops[0], 50000);
    }
    assert_int_equal(counts_of(&x).published[TRAFFIC_UP][TRAFFIC_JOIN], ROUTER_JOINS_WAITING + 10);
    close_exchange(&x);
    (void)close(fd);
}

static void test_the_end_while_some_wait(void **state)
{
    (void)state;
    exchange x;
    int fd;
    open_all(&x, &fd);
    publish_join(&x);
    publish_join(&x);
    assert_int_equal(dropped(&x), 0);
    close_exchange(&x);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_is_bounded),
        cmocka_unit_test(test_the_end_while_some_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
