/* Connections: payloads both ways, closing at any point, back-pressure, dialling; plain and with TLS. */
#include "io/conn.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/test_random.h"
#include "io/conn_priv.h"
#include "io/io_test.h"
#include "lpx_reasons.h"

enum { BIG_BYTES = 6 * 1024 * 1024 };

static test_certs certs;
static io_tls *server_tls, *client_tls;

/* Makes the time of the connection's present state be over. */
static void let_time_pass(io_conn *conn)
{
    io_timer_arm(&conn->timer, 0);
}

/* A server end and a client end on one loop. */
typedef struct pair {
    io_loop *loop;
    io_listener *listener;
    test_end server, client;
} pair;

static void pair_listen(pair *p, bool tls)
{
    lpx_note note = {0};
    p->loop = io_loop_new(0);
    lpx_err err = io_listen(
        p->loop,
        &(io_listen_opts){
            .address = "127.0.0.1:0", .tls = tls ? server_tls : NULL, .accept = test_accept, .ctx = &p->server},
        &p->listener, &note);
    assert_false(lpx_failed(err));
}

static void pair_connect(pair *p, bool tls)
{
    char address[32];
    lpx_note note = {0};
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)io_listener_port(p->listener));
    lpx_err err =
        io_connect(p->loop, address, tls ? client_tls : NULL, &test_events, &p->client, &p->client.conn, &note);
    assert_false(lpx_failed(err));
    assert_int_equal(p->client.opens + p->client.closes, 0);
}

static void pair_begin(pair *p, bool tls)
{
    pair_listen(p, tls);
    pair_connect(p, tls);
}

static void pair_end(pair *p)
{
    io_listener_free(&p->listener);
    io_loop_free(&p->loop);
}

static void exchange_big(bool tls)
{
    pair p = {.server.to_send = BIG_BYTES, .client.to_send = BIG_BYTES + 12345, .client.fill_step = 70001};
    pair_begin(&p, tls);
    TEST_TURN_UNTIL(p.loop, p.server.bytes_in == p.client.to_send && p.client.bytes_in == p.server.to_send);
    assert_int_equal(io_conn_unsent(p.client.conn), 0);
    assert_true(io_conn_loop(p.client.conn) == p.loop);
    /* Idle connections hold no buffers. */
    assert_null(p.client.conn->out.ptr);
    assert_null(p.server.conn->out.ptr);
    assert_null(p.server.conn->tls_rest.ptr);
    io_conn_close(p.client.conn, true);
    TEST_TURN_UNTIL(p.loop, p.client.closes > 0 && p.server.closes > 0);
    assert_int_equal(p.client.why.reason, IO_CONN_CLOSED);
    assert_int_equal(p.server.why.code, LPX_OK);
    /* The closer's socket waited for the peer's end, which is there now. */
    for (int i = 0; i < 10; i++) {
        io_loop_turn(p.loop, 0);
    }
    assert_true(lpx_list_empty(&p.loop->conns));
    pair_end(&p);
}

static void test_big_payloads_plain(void **state)
{
    (void)state;
    exchange_big(false);
}

static void test_big_payloads_tls(void **state)
{
    (void)state;
    exchange_big(true);
}

/* Whatever one end flushed before its close must arrive. */
static void check_flushed(const test_end *closer, const test_end *other)
{
    if (closer->closing && closer->close_flush && !other->closing) {
        assert_int_equal(closer->bytes_out, other->bytes_in);
        assert_int_equal(other->why.code, LPX_OK);
    }
}

static void close_randomly(test_random *random, test_end *end)
{
    end->to_send = test_random_below(random, 3) == 0 ? 0 : test_random_below(random, 600000);
    end->fill_step = 1 + test_random_below(random, 100000);
    end->close_at = (test_close_at)test_random_below(random, 4);
    end->close_mark = test_random_below(random, 400000);
    end->close_flush = test_random_below(random, 2) == 0;
}

static void close_at_random_points(bool tls)
{
    test_random random = test_random_begin("close_at_random_points");
    for (int round = 0; round < 150; round++) {
        pair p = {0};
        close_randomly(&random, &p.server);
        close_randomly(&random, &p.client);
        pair_begin(&p, tls);
        TEST_TURN_UNTIL(p.loop, p.server.opens + p.server.closes > 0 && p.client.opens + p.client.closes > 0);
        /* Both may be waiting for bytes that never come: then the client ends it. */
        for (int idle = 0; p.client.closes == 0 || p.server.closes == 0; idle++) {
            io_loop_turn(p.loop, idle < 200 ? 0 : 1000);
            bool all_said = p.client.bytes_in == p.server.bytes_out && p.server.bytes_in == p.client.bytes_out;
            if (idle > 200 && all_said && p.client.conn != NULL && !p.client.closing && !p.server.closing) {
                test_end_close(&p.client);
            }
        }
        assert_int_equal(p.server.closes + p.client.closes, 2);
        check_flushed(&p.server, &p.client);
        check_flushed(&p.client, &p.server);
        pair_end(&p);
    }
}

static void test_close_anywhere_plain(void **state)
{
    (void)state;
    close_at_random_points(false);
}

static void test_close_anywhere_tls(void **state)
{
    (void)state;
    close_at_random_points(true);
}

static void close_before_open(bool tls)
{
    pair p = {0};
    pair_begin(&p, tls);
    io_conn_close(p.client.conn, true);
    assert_int_equal(p.client.closes, 0); /* never before the call returns */
    io_loop_turn(p.loop, 0);
    assert_int_equal(p.client.closes, 1);
    assert_int_equal(p.client.opens, 0);
    assert_int_equal(p.client.why.reason, IO_CONN_CLOSED);
    pair_end(&p);
}

static void test_close_before_open(void **state)
{
    (void)state;
    close_before_open(false);
    close_before_open(true);
}

static void back_pressure(bool tls)
{
    pair p = {.server.to_send = 8 * BIG_BYTES, .client.pause_after_bytes = true};
    pair_begin(&p, tls);
    TEST_TURN_UNTIL(p.loop, p.client.bytes_in > 0);
    /* The client reads no more: the server's socket fills up, and fill is asked no more. */
    TEST_TURN_UNTIL(p.loop, p.server.conn != NULL && io_conn_unsent(p.server.conn) > 0);
    io_loop_turn(p.loop, 0);
    int fills = p.server.fills;
    uint64_t taken = p.client.bytes_in;
    for (int i = 0; i < 20; i++) {
        io_conn_want_write(p.server.conn);
        io_loop_turn(p.loop, 0);
    }
    assert_true(p.server.fills <= fills + 3); /* the kernel may still move its window once or twice */
    assert_int_equal(p.client.bytes_in, taken);
    /* One piece at a time, then all the rest. */
    for (int i = 0; i < 10; i++) {
        taken = p.client.bytes_in;
        io_conn_set_reading(p.client.conn, true);
        TEST_TURN_UNTIL(p.loop, p.client.bytes_in > taken);
    }
    p.client.pause_after_bytes = false;
    io_conn_set_reading(p.client.conn, true);
    TEST_TURN_UNTIL(p.loop, p.client.bytes_in == p.server.to_send);
    pair_end(&p);
}

static void test_back_pressure_plain(void **state)
{
    (void)state;
    back_pressure(false);
}

static void test_back_pressure_tls(void **state)
{
    (void)state;
    back_pressure(true);
}

/* What came together with the end of the handshake waits when the user does not read, and nothing else wakes it. */
static void test_pause_from_the_start(void **state)
{
    (void)state;
    pair p = {.server.pause_in_open = true, .client.to_send = 1000};
    pair_begin(&p, true);
    TEST_TURN_UNTIL(p.loop, p.server.opens > 0 && p.client.bytes_out == 1000);
    for (int i = 0; i < 10; i++) {
        io_loop_turn(p.loop, 0);
    }
    assert_int_equal(p.server.bytes_in, 0);
    assert_true(p.server.conn->tls_rest.len > 0);
    io_conn_set_reading(p.server.conn, true);
    TEST_TURN_UNTIL(p.loop, p.server.bytes_in == 1000);
    assert_null(p.server.conn->tls_rest.ptr);
    pair_end(&p);
}

static void test_want_write_before_open_is_kept(void **state)
{
    (void)state;
    pair p = {0};
    pair_begin(&p, true);
    io_conn_want_write(p.client.conn);
    p.client.to_send = 0;
    TEST_TURN_UNTIL(p.loop, p.client.fills > 0);
    assert_int_equal(p.client.opens, 1);
    pair_end(&p);
}

static void test_refused_and_unknown(void **state)
{
    (void)state;
    pair p = {0};
    pair_listen(&p, false);
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)io_listener_port(p.listener));
    io_listener_free(&p.listener);
    lpx_note note = {0};
    assert_false(lpx_failed(io_connect(p.loop, address, NULL, &test_events, &p.client, &p.client.conn, &note)));
    TEST_TURN_UNTIL(p.loop, p.client.closes > 0);
    assert_int_equal(p.client.why.code, LPX_UNAVAILABLE);
    assert_int_equal(p.client.why.reason, IO_CONNECT_FAILED);
    assert_non_null(strstr(p.client.note.text, "Connection refused"));

    test_end unknown = {0};
    assert_false(
        lpx_failed(io_connect(p.loop, "nowhere.invalid:1", NULL, &test_events, &unknown, &unknown.conn, &note)));
    TEST_TURN_UNTIL(p.loop, unknown.closes > 0);
    assert_int_equal(unknown.why.reason, IO_NAME_UNKNOWN);

    const char *bad[] = {"", "127.0.0.1", "::1:80", "127.0.0.1:0", ":80", "a b:80", "h:65536"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        io_conn *none = NULL;
        lpx_err err = io_connect(p.loop, bad[i], NULL, &test_events, &unknown, &none, &note);
        assert_int_equal(err.reason, IO_ADDRESS_BAD);
        assert_null(none);
    }
    pair_end(&p);
}

/* A name service of our own: "several.example" has three addresses, of which only the last answers. */
int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    if (node == NULL || strcmp(node, "several.example") != 0) {
        return __real_getaddrinfo(node, service, hints, list);
    }
    if ((hints->ai_flags & AI_NUMERICHOST) != 0) {
        return EAI_NONAME;
    }
    struct addrinfo **end = list;
    static const char *const addresses[] = {"127.0.0.2", "127.0.0.3", "127.0.0.1"};
    for (size_t i = 0; i < 3; i++) {
        int code = __real_getaddrinfo(addresses[i], service, hints, end);
        assert_int_equal(code, 0);
        end = &(*end)->ai_next;
    }
    return 0;
}

static void test_all_addresses_are_tried(void **state)
{
    (void)state;
    pair p = {.client.to_send = 1000};
    pair_listen(&p, false);
    char address[32];
    lpx_note note = {0};
    (void)snprintf(address, sizeof address, "several.example:%u", (unsigned)io_listener_port(p.listener));
    assert_false(lpx_failed(io_connect(p.loop, address, NULL, &test_events, &p.client, &p.client.conn, &note)));
    TEST_TURN_UNTIL(p.loop, p.server.bytes_in == 1000);
    assert_int_equal(strncmp(io_conn_peer(p.client.conn), "127.0.0.1:", 10), 0);
    /* The time of one address is over: the next. */
    test_end slow = {0};
    assert_false(lpx_failed(io_connect(p.loop, address, NULL, &test_events, &slow, &slow.conn, &note)));
    TEST_TURN_UNTIL(p.loop, slow.conn->fd >= 0);
    let_time_pass(slow.conn);
    TEST_TURN_UNTIL(p.loop, slow.opens + slow.closes > 0);
    io_listener_free(&p.listener);
    /* None answers. */
    test_end none = {0};
    assert_false(lpx_failed(io_connect(p.loop, address, NULL, &test_events, &none, &none.conn, &note)));
    TEST_TURN_UNTIL(p.loop, none.closes > 0);
    assert_int_equal(none.why.reason, IO_CONNECT_FAILED);
    assert_non_null(strstr(none.note.text, "several.example"));
    pair_end(&p);
}

static void test_connect_by_name(void **state)
{
    (void)state;
    pair p = {.client.to_send = 1000};
    pair_listen(&p, true);
    char address[32];
    lpx_note note = {0};
    (void)snprintf(address, sizeof address, "localhost:%u", (unsigned)io_listener_port(p.listener));
    lpx_err err = io_connect(p.loop, address, client_tls, &test_events, &p.client, &p.client.conn, &note);
    assert_false(lpx_failed(err));
    TEST_TURN_UNTIL(p.loop, p.server.bytes_in == 1000);
    assert_string_equal(p.client.alpn, "");
    pair_end(&p);
}

/* A lookup may outlive its connection and its loop. */
static void test_lookup_left_behind(void **state)
{
    (void)state;
    for (int turns = 0; turns < 3; turns++) {
        io_loop *loop = io_loop_new(0);
        test_end end = {0};
        lpx_note note = {0};
        assert_false(lpx_failed(io_connect(loop, "localhost:1", NULL, &test_events, &end, &end.conn, &note)));
        for (int i = 0; i < turns; i++) {
            io_loop_turn(loop, 0);
        }
        if (turns == 2 && end.conn != NULL) {
            io_conn_close(end.conn, false);
            TEST_TURN_UNTIL(loop, end.closes > 0);
        }
        io_loop_free(&loop);
    }
}

static int raw_connect(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

static void reset(int fd)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    (void)close(fd);
}

static void test_how_a_peer_ends(void **state)
{
    (void)state;
    pair p = {0};
    pair_listen(&p, false);
    int fd = raw_connect(io_listener_port(p.listener));
    TEST_TURN_UNTIL(p.loop, p.server.opens > 0);
    assert_int_equal(strncmp(io_conn_peer(p.server.conn), "127.0.0.1:", 10), 0);
    (void)close(fd);
    TEST_TURN_UNTIL(p.loop, p.server.closes > 0);
    assert_int_equal(p.server.why.code, LPX_OK);
    assert_string_equal(p.server.note.text, "");

    p.server = (test_end){0};
    fd = raw_connect(io_listener_port(p.listener));
    TEST_TURN_UNTIL(p.loop, p.server.opens > 0);
    reset(fd);
    TEST_TURN_UNTIL(p.loop, p.server.closes > 0);
    assert_int_equal(p.server.why.reason, IO_CONN_LOST);
    pair_end(&p);
}

/* A peer that is gone is noticed by writing too, SIGPIPE or not. */
static void test_write_to_a_dead_peer(void **state)
{
    (void)state;
    pair p = {.server.to_send = BIG_BYTES};
    pair_listen(&p, false);
    int fd = raw_connect(io_listener_port(p.listener));
    TEST_TURN_UNTIL(p.loop, p.server.conn != NULL && io_conn_unsent(p.server.conn) > 0);
    io_conn_set_reading(p.server.conn, false);
    reset(fd);
    TEST_TURN_UNTIL(p.loop, p.server.closes > 0);
    assert_int_equal(p.server.why.reason, IO_CONN_LOST);
    pair_end(&p);
}

/* The peer reads nothing: a close with flush gives up after its time, which is made to pass here. */
static void test_flush_has_an_end(void **state)
{
    (void)state;
    pair p = {.server.to_send = BIG_BYTES};
    pair_listen(&p, false);
    int fd = raw_connect(io_listener_port(p.listener));
    TEST_TURN_UNTIL(p.loop, p.server.conn != NULL && io_conn_unsent(p.server.conn) > 0);
    io_conn *conn = p.server.conn;
    io_conn_close(conn, true);
    io_loop_turn(p.loop, 0);
    assert_int_equal(p.server.closes, 0);
    let_time_pass(conn);
    TEST_TURN_UNTIL(p.loop, p.server.closes > 0);
    assert_int_equal(p.server.why.reason, IO_CONN_CLOSED);
    (void)close(fd);

    /* Closing again without flush cuts it short. */
    p.server = (test_end){.to_send = BIG_BYTES};
    fd = raw_connect(io_listener_port(p.listener));
    TEST_TURN_UNTIL(p.loop, p.server.conn != NULL && io_conn_unsent(p.server.conn) > 0);
    io_conn_close(p.server.conn, true);
    io_loop_turn(p.loop, 0);
    io_conn_close(p.server.conn, true);
    io_loop_turn(p.loop, 0);
    assert_int_equal(p.server.closes, 0);
    io_conn_close(p.server.conn, false);
    io_loop_turn(p.loop, 0);
    assert_int_equal(p.server.closes, 1);
    (void)close(fd);
    pair_end(&p);
}

static void test_silent_client_is_cut_off(void **state)
{
    (void)state;
    pair p = {0};
    pair_listen(&p, true);
    int fd = raw_connect(io_listener_port(p.listener));
    TEST_TURN_UNTIL(p.loop, p.server.conn != NULL);
    io_loop_turn(p.loop, 0);
    let_time_pass(p.server.conn);
    TEST_TURN_UNTIL(p.loop, p.server.closes > 0);
    assert_int_equal(p.server.opens, 0);
    assert_int_equal(p.server.why.reason, IO_CONN_SLOW);
    (void)close(fd);
    pair_end(&p);
}

static void test_no_tls_where_tls_is_due(void **state)
{
    (void)state;
    pair p = {0};
    pair_listen(&p, true);
    int fd = raw_connect(io_listener_port(p.listener));
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    TEST_TURN_UNTIL(p.loop, p.server.closes > 0);
    assert_int_equal(p.server.why.reason, IO_TLS_FAILED);
    (void)close(fd);

    p.server = (test_end){0};
    fd = raw_connect(io_listener_port(p.listener));
    (void)close(fd);
    TEST_TURN_UNTIL(p.loop, p.server.closes > 0);
    assert_int_equal(p.server.why.reason, IO_TLS_FAILED);
    pair_end(&p);
}

static bool refuse(void *ctx, io_conn *conn, const io_conn_events **events, void **conn_ctx)
{
    (void)conn;
    (void)events;
    (void)conn_ctx;
    int *refused = ctx;
    (*refused)++;
    return false;
}

static bool close_at_once(void *ctx, io_conn *conn, const io_conn_events **events, void **conn_ctx)
{
    (void)test_accept(ctx, conn, events, conn_ctx);
    io_conn_close(conn, true);
    return true;
}

static void test_refused_by_the_listener(void **state)
{
    (void)state;
    int refused = 0;
    test_end client = {0};
    lpx_note note = {0};
    char address[32];
    pair p = {.loop = io_loop_new(0)};
    assert_false(lpx_failed(io_listen(
        p.loop, &(io_listen_opts){.address = "127.0.0.1:0", .accept = refuse, .ctx = &refused}, &p.listener, &note)));
    pair_connect(&p, false);
    TEST_TURN_UNTIL(p.loop, p.client.closes > 0);
    assert_int_equal(refused, 1);
    assert_int_equal(p.client.why.code, LPX_OK);
    io_listener_free(&p.listener);

    assert_false(lpx_failed(
        io_listen(p.loop, &(io_listen_opts){.address = "127.0.0.1:0", .accept = close_at_once, .ctx = &p.server},
                  &p.listener, &note)));
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)io_listener_port(p.listener));
    assert_false(lpx_failed(io_connect(p.loop, address, NULL, &test_events, &client, &client.conn, &note)));
    TEST_TURN_UNTIL(p.loop, client.closes > 0 && p.server.closes > 0);
    assert_int_equal(p.server.opens, 0);
    assert_int_equal(p.server.why.reason, IO_CONN_CLOSED);
    pair_end(&p);
}

static io_listener *suicidal;

static bool free_the_listener(void *ctx, io_conn *conn, const io_conn_events **events, void **conn_ctx)
{
    io_listener_free(&suicidal);
    return test_accept(ctx, conn, events, conn_ctx);
}

static void test_listener_freed_while_accepting(void **state)
{
    (void)state;
    lpx_note note = {0};
    pair p = {.loop = io_loop_new(0)};
    assert_false(lpx_failed(
        io_listen(p.loop, &(io_listen_opts){.address = "127.0.0.1:0", .accept = free_the_listener, .ctx = &p.server},
                  &suicidal, &note)));
    uint16_t port = io_listener_port(suicidal);
    int first = raw_connect(port);
    int second = raw_connect(port);
    TEST_TURN_UNTIL(p.loop, p.server.opens > 0);
    assert_null(suicidal);
    (void)close(first);
    (void)close(second);
    TEST_TURN_UNTIL(p.loop, p.server.closes > 0);
    pair_end(&p);
}

static void test_listen_addresses(void **state)
{
    (void)state;
    io_loop *loop = io_loop_new(0);
    lpx_note note = {0};
    io_listener *one = NULL;
    io_listener *two = NULL;
    test_end end = {0};
    char address[32];
    assert_false(lpx_failed(
        io_listen(loop, &(io_listen_opts){.address = ":0", .accept = test_accept, .ctx = &end}, &one, &note)));
    assert_true(io_listener_port(one) > 0);
    (void)snprintf(address, sizeof address, ":%u", (unsigned)io_listener_port(one));
    /* A second loop listens on the same port. */
    assert_false(lpx_failed(
        io_listen(loop, &(io_listen_opts){.address = address, .accept = test_accept, .ctx = &end}, &two, &note)));
    assert_int_equal(io_listener_port(one), io_listener_port(two));
    io_listener_free(&two);
    /* Every address, IPv4 among them; shown as IPv4. */
    int fd = raw_connect(io_listener_port(one));
    TEST_TURN_UNTIL(loop, end.opens > 0);
    assert_int_equal(strncmp(io_conn_peer(end.conn), "127.0.0.1:", 10), 0);
    (void)close(fd);
    TEST_TURN_UNTIL(loop, end.closes > 0);
    io_listener_free(&one);

    assert_false(lpx_failed(
        io_listen(loop, &(io_listen_opts){.address = "localhost:0", .accept = test_accept, .ctx = &end}, &one, &note)));
    io_listener_free(&one);
    io_listener_free(&one);
    assert_int_equal(
        io_listen(loop, &(io_listen_opts){.address = "127.0.0.1", .accept = test_accept, .ctx = &end}, &one, &note)
            .reason,
        IO_ADDRESS_BAD);
    assert_non_null(strstr(note.text, "127.0.0.1"));
    assert_int_equal(
        io_listen(loop, &(io_listen_opts){.address = "192.0.2.1:0", .accept = test_accept, .ctx = &end}, &one, &note)
            .reason,
        IO_LISTEN_FAILED);
    assert_int_equal(io_listen(loop,
                               &(io_listen_opts){.address = "nowhere.invalid:0", .accept = test_accept, .ctx = &end},
                               &one, &note)
                         .reason,
                     IO_NAME_UNKNOWN);
    assert_null(one);
    io_loop_free(&loop);
}

static void test_loop_freed_under_connections(void **state)
{
    (void)state;
    pair p = {.server.to_send = BIG_BYTES, .client.pause_after_bytes = true};
    pair_begin(&p, true);
    TEST_TURN_UNTIL(p.loop, p.client.bytes_in > 0 && io_conn_unsent(p.server.conn) > 0);
    pair_end(&p);
    assert_int_equal(p.client.closes + p.server.closes, 0);
}

/* Who closed waits for on_close, also when the loop does not turn any more. */
static void test_loop_freed_under_closed_connections(void **state)
{
    (void)state;
    pair p = {.server.to_send = BIG_BYTES, .client.pause_after_bytes = true, .server.close_flush = true};
    pair_begin(&p, true);
    TEST_TURN_UNTIL(p.loop, p.client.bytes_in > 0 && io_conn_unsent(p.server.conn) > 0);
    test_end_close(&p.server);
    io_loop_turn(p.loop, 0);
    test_end_close(&p.client);
    assert_int_equal(p.client.closes + p.server.closes, 0);
    pair_end(&p);
    assert_int_equal(p.client.closes + p.server.closes, 2);
    assert_int_equal(p.server.why.reason, IO_CONN_CLOSED);
}

static int group_begin(void **state)
{
    (void)state;
    test_certs_begin(&certs);
    server_tls = test_tls_server(&certs, NULL);
    client_tls = test_tls_client(&certs, NULL);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    io_tls_free(&server_tls);
    io_tls_free(&client_tls);
    test_certs_end(&certs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_big_payloads_plain),
        cmocka_unit_test(test_big_payloads_tls),
        cmocka_unit_test(test_close_anywhere_plain),
        cmocka_unit_test(test_close_anywhere_tls),
        cmocka_unit_test(test_close_before_open),
        cmocka_unit_test(test_back_pressure_plain),
        cmocka_unit_test(test_back_pressure_tls),
        cmocka_unit_test(test_pause_from_the_start),
        cmocka_unit_test(test_want_write_before_open_is_kept),
        cmocka_unit_test(test_refused_and_unknown),
        cmocka_unit_test(test_all_addresses_are_tried),
        cmocka_unit_test(test_connect_by_name),
        cmocka_unit_test(test_lookup_left_behind),
        cmocka_unit_test(test_how_a_peer_ends),
        cmocka_unit_test(test_write_to_a_dead_peer),
        cmocka_unit_test(test_flush_has_an_end),
        cmocka_unit_test(test_silent_client_is_cut_off),
        cmocka_unit_test(test_no_tls_where_tls_is_due),
        cmocka_unit_test(test_refused_by_the_listener),
        cmocka_unit_test(test_listener_freed_while_accepting),
        cmocka_unit_test(test_listen_addresses),
        cmocka_unit_test(test_loop_freed_under_connections),
        cmocka_unit_test(test_loop_freed_under_closed_connections),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
