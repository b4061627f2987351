/* The PROXY protocol: headers as a second encoder writes them, broken ones, subnets, and connections behind a gate. */
#include "io/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/conn_priv.h"
#include "io/io_test.h"
#include "lpx_reasons.h"

/* Signature, version 2, PROXY, then family, length and addresses of 192.0.2.7:4711 -> 203.0.113.1:443. */
static const uint8_t v4_header[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11,
                                    0,    12,   192,  0,    2,    7,    203,  0,    113,  1,    0x12, 0x67, 0x01, 0xbb};

typedef struct made {
    uint8_t bytes[IO_PROXY_MAX_BYTES + 100];
    size_t len;
} made;

/* A header with this command and family, and a body; its length field says what is there. */
static made make(uint8_t command, uint8_t family, const void *body, size_t len)
{
    made m = {.len = IO_PROXY_FIXED_BYTES + len};
    memcpy(m.bytes, v4_header, 12);
    m.bytes[12] = command;
    m.bytes[13] = family;
    m.bytes[14] = (uint8_t)(len >> 8);
    m.bytes[15] = (uint8_t)len;
    memcpy(m.bytes + IO_PROXY_FIXED_BYTES, body, len);
    return m;
}

static lpx_err read_made(const made *m, char peer[static IO_PEER_BYTES])
{
    io_proxy_header header = {0};
    lpx_note note = {0};
    lpx_err err = io_proxy_read(lpx_bytes_of(m->bytes, m->len), &header, &note);
    peer[0] = 0;
    if (!lpx_failed(err) && header.has_peer) {
        io_address_format((const struct sockaddr *)&header.peer, peer);
    }
    assert_true(!lpx_failed(err) || note.text[0] != 0);
    return err;
}

static void accepts(made m, const char *want)
{
    char peer[IO_PEER_BYTES];
    assert_false(lpx_failed(read_made(&m, peer)));
    assert_string_equal(peer, want);
}

static void refuses(made m)
{
    char peer[IO_PEER_BYTES];
    assert_int_equal(read_made(&m, peer).reason, IO_PROXY_BAD);
}

static void test_addresses(void **state)
{
    (void)state;
    uint8_t v6[36] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1, [31] = 2, [32] = 0x12, [33] = 0x67, [35] = 80};
    uint8_t paths[216] = "/run/a.sock";
    const uint8_t *v4 = v4_header + IO_PROXY_FIXED_BYTES;
    accepts(make(0x21, 0x11, v4, 12), "192.0.2.7:4711");
    accepts(make(0x21, 0x12, v4, 12), "192.0.2.7:4711");
    accepts(make(0x21, 0x21, v6, 36), "[2001:db8::1]:4711");
    accepts(make(0x21, 0x22, v6, 36), "[2001:db8::1]:4711");
    accepts(make(0x21, 0x31, paths, 216), "");
    accepts(make(0x21, 0x32, paths, 216), "");
    accepts(make(0x21, 0x00, "", 0), "");
    accepts(make(0x21, 0x00, "what nobody knows", 17), "");
    /* LOCAL: what follows is skipped, whatever it is. */
    accepts(make(0x20, 0x00, "", 0), "");
    accepts(make(0x20, 0x11, v4, 12), "");
    accepts(make(0x20, 0xff, "\xff\xff\xff", 3), "");
}

static void test_broken_headers(void **state)
{
    (void)state;
    const uint8_t *v4 = v4_header + IO_PROXY_FIXED_BYTES;
    uint8_t body[300] = {0};
    refuses(make(0x11, 0x11, v4, 12)); /* version 1 in the upper half */
    refuses(make(0x22, 0x11, v4, 12));
    refuses(make(0x21, 0x41, body, 100));
    refuses(make(0x21, 0x13, v4, 12));
    refuses(make(0x21, 0x10, v4, 12));
    refuses(make(0x21, 0x11, v4, 11));
    refuses(make(0x21, 0x21, body, 35));
    refuses(make(0x21, 0x31, body, 215));
    made m = make(0x21, 0x11, v4, 12);
    for (size_t i = 0; i < 12; i++) { /* every byte of the signature counts */
        made other = m;
        other.bytes[i] ^= 0x20;
        refuses(other);
    }
    for (m.len = 0; m.len < sizeof v4_header; m.len++) {
        refuses(m);
    }
    m.len = sizeof v4_header + 1;
    refuses(m);
    lpx_note note = {0};
    size_t len = 0;
    assert_int_equal(io_proxy_length(lpx_bytes_of("PROXY TCP4 1.2.3", 16), &len, &note).reason, IO_PROXY_BAD);
    assert_non_null(strstr(note.text, "version 2"));
    m = make(0x20, 0, body, 0);
    m.bytes[14] = 0xff;
    m.bytes[15] = 0xff;
    assert_int_equal(io_proxy_length(lpx_bytes_of(m.bytes, 16), &len, &note).reason, IO_PROXY_BAD);
    assert_non_null(strstr(note.text, "too long"));
}

/* Addresses of v4_header, then these TLVs. */
static made with_tlvs(const void *tlvs, size_t len)
{
    uint8_t body[600];
    memcpy(body, v4_header + IO_PROXY_FIXED_BYTES, 12);
    memcpy(body + 12, tlvs, len);
    return make(0x21, 0x11, body, 12 + len);
}

static void test_tlvs(void **state)
{
    (void)state;
    const char *peer = "192.0.2.7:4711";
    accepts(with_tlvs("\x01\x00\x02h2", 5), peer);
    accepts(with_tlvs("\x04\x00\x00\x30\x00\x01x", 7), peer);        /* empty value, network namespace */
    accepts(with_tlvs("\x20\x00\x05\x07\x00\x00\x00\x00", 8), peer); /* PP2_TYPE_SSL is not looked at */
    refuses(with_tlvs("\x01", 1));
    refuses(with_tlvs("\x01\x00", 2));
    refuses(with_tlvs("\x01\x00\x03h2", 5));
    refuses(with_tlvs("\x01\xff\xffh2", 5));
    refuses(with_tlvs("\x01\x00\x02h2\x02", 6));
}

static void test_checksum(void **state)
{
    (void)state;
    /* CRC-32C of the 35 bytes with zeros in its place, computed by another program. */
    made m = with_tlvs("\x03\x00\x04\x00\x00\x00\x00", 7);
    refuses(m);
    const uint8_t crc[] = {0x5e, 0x2a, 0xca, 0x74};
    memcpy(m.bytes + m.len - 4, crc, 4);
    accepts(m, "192.0.2.7:4711");
    m.bytes[16] ^= 1;
    refuses(m);
    refuses(with_tlvs("\x03\x00\x03\x00\x00\x00", 6));
}

/* ---- subnets ---- */

static bool has(const char *subnet, const char *address)
{
    io_subnet s;
    lpx_note note = {0};
    assert_false(lpx_failed(io_subnet_parse(lpx_str_of(subnet), &s, &note)));
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
        return io_subnet_has(&s, (const struct sockaddr *)&v4);
    }
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return io_subnet_has(&s, (const struct sockaddr *)&v6);
}

static void test_subnets(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.1.2"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_true(has("10.1.2.3", "10.1.2.3"));
    assert_false(has("10.1.2.3", "10.1.2.2"));
    assert_true(has("10.1.2.3", "::ffff:10.1.2.3")); /* as a socket for both families shows it */
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "203.0.113.9"));
    assert_true(has("fd00::/8", "fdff::1"));
    assert_false(has("fd00::/8", "fe00::1"));
    assert_true(has("192.0.2.128/25", "192.0.2.255"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    static const char *const bad[] = {"",          "10.0.0",      "10.0.0.1/8",  "10.0.0.0/33",
                                      "10.0.0.0/", "10.0.0.0/-1", "fd00::/129",  "fd00::1/64",
                                      "balancer",  "/8",          "10.0.0.0/8/8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        io_subnet s;
        lpx_note note = {0};
        assert_int_equal(io_subnet_parse(lpx_str_of(bad[i]), &s, &note).reason, IO_ADDRESS_BAD);
        assert_non_null(strstr(note.text, "10.0.0.0/8"));
    }
    io_subnet any;
    lpx_note note = {0};
    assert_false(lpx_failed(io_subnet_parse(LPX_STR("::/0"), &any, &note)));
    assert_false(io_subnet_has(&any, &(struct sockaddr){.sa_family = AF_UNIX}));
}

/* ---- connections ---- */

typedef struct behind {
    io_loop *loop;
    io_proxy_gate *gate;
    io_listener *listener;
    test_end server;
    int fd; /* the balancer's end */
} behind;

static void behind_begin(behind *b, const char *from, io_tls *tls)
{
    lpx_note note = {0};
    lpx_str text = lpx_str_of(from);
    b->loop = io_loop_new(0);
    assert_false(lpx_failed(io_proxy_gate_new(&text, 1, &b->gate, &note)));
    io_listen_opts opts = {
        .address = "127.0.0.1:0", .tls = tls, .gate = b->gate, .accept = test_accept, .ctx = &b->server};
    assert_false(lpx_failed(io_listen(b->loop, &opts, &b->listener, &note)));
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(io_listener_port(b->listener))};
    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(b->fd, (const struct sockaddr *)&to, sizeof to), 0);
}

static void behind_end(behind *b)
{
    (void)close(b->fd);
    io_listener_free(&b->listener);
    io_loop_free(&b->loop);
    io_proxy_gate_free(&b->gate);
}

static void say(const behind *b, const void *bytes, size_t len)
{
    assert_int_equal(send(b->fd, bytes, len, MSG_NOSIGNAL), len);
}

/* The header and the first bytes of the stream in one segment. */
static void test_data_follows_at_once(void **state)
{
    (void)state;
    behind b = {.server.to_send = 0};
    uint8_t segment[sizeof v4_header + 1000];
    memcpy(segment, v4_header, sizeof v4_header);
    for (size_t i = 0; i < 1000; i++) {
        segment[sizeof v4_header + i] = test_byte(i);
    }
    behind_begin(&b, "127.0.0.0/8", NULL);
    say(&b, segment, sizeof segment);
    TEST_TURN_UNTIL(b.loop, b.server.bytes_in == 1000);
    assert_string_equal(io_conn_peer(b.server.conn), "192.0.2.7:4711");
    io_proxy_counts counts = io_proxy_gate_counts(b.gate);
    assert_int_equal(counts.accepted_total, 1);
    assert_int_equal(counts.malformed_total + counts.strangers_total, 0);
    behind_end(&b);
}

/* A user that stops reading when it opens gets nothing of what came with the header before it reads again. */
static void test_pause_when_it_opens(void **state)
{
    (void)state;
    behind b = {.server.pause_in_open = true};
    uint8_t segment[sizeof v4_header + 1];
    memcpy(segment, v4_header, sizeof v4_header);
    segment[sizeof v4_header] = test_byte(0);
    behind_begin(&b, "127.0.0.1", NULL);
    say(&b, segment, sizeof segment);
    TEST_TURN_UNTIL(b.loop, b.server.opens == 1);
    io_loop_turn(b.loop, 0);
    io_loop_turn(b.loop, 0);
    assert_int_equal(b.server.bytes_in, 0);
    io_conn_set_reading(b.server.conn, true);
    TEST_TURN_UNTIL(b.loop, b.server.bytes_in == 1);
    behind_end(&b);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    made m = with_tlvs("\x01\x00\x02h2", 5);
    behind b = {.server.to_send = 5};
    behind_begin(&b, "127.0.0.1", NULL);
    for (size_t i = 0; i < m.len; i++) {
        assert_int_equal(b.server.opens, 0);
        say(&b, m.bytes + i, 1);
        io_loop_turn(b.loop, 10000);
    }
    TEST_TURN_UNTIL(b.loop, b.server.opens == 1);
    assert_string_equal(io_conn_peer(b.server.conn), "192.0.2.7:4711");
    TEST_TURN_UNTIL(b.loop, b.server.bytes_out == 5);
    behind_end(&b);
}

static void test_local_is_the_balancer(void **state)
{
    (void)state;
    made m = make(0x20, 0, "", 0);
    behind b = {.server.to_send = 0};
    behind_begin(&b, "127.0.0.1", NULL);
    say(&b, m.bytes, m.len);
    TEST_TURN_UNTIL(b.loop, b.server.opens == 1);
    assert_int_equal(strncmp(io_conn_peer(b.server.conn), "127.0.0.1:", 10), 0);
    behind_end(&b);
}

static void is_refused(const void *bytes, size_t len)
{
    behind b = {.server.to_send = 0};
    behind_begin(&b, "127.0.0.1", NULL);
    say(&b, bytes, len);
    TEST_TURN_UNTIL(b.loop, b.server.closes == 1);
    assert_int_equal(b.server.opens, 0);
    assert_int_equal(b.server.why.reason, IO_PROXY_BAD);
    assert_int_equal(io_proxy_gate_counts(b.gate).malformed_total, 1);
    behind_end(&b);
}

static void test_bad_headers_end_the_connection(void **state)
{
    (void)state;
    made unknown = make(0x21, 0x41, v4_header, 12);
    is_refused("PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\r\n", 43);
    is_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24); /* a client that thinks it talks to us directly */
    is_refused(unknown.bytes, unknown.len);
}

static void test_silence_is_ended(void **state)
{
    (void)state;
    behind b = {.server.to_send = 0};
    behind_begin(&b, "127.0.0.1", NULL);
    say(&b, v4_header, sizeof v4_header - 1);
    TEST_TURN_UNTIL(b.loop, b.server.conn != NULL && b.server.conn->proxy != NULL);
    io_timer_arm(&b.server.conn->timer, 0); /* as if the time were over */
    TEST_TURN_UNTIL(b.loop, b.server.closes == 1);
    assert_int_equal(b.server.why.reason, IO_CONN_SLOW);
    assert_int_equal(io_proxy_gate_counts(b.gate).malformed_total, 1);
    behind_end(&b);
}

/* Balancers look whether somebody listens: they connect and leave. */
static void test_leaving_before_the_header(void **state)
{
    (void)state;
    behind b = {.server.to_send = 0};
    behind_begin(&b, "127.0.0.1", NULL);
    say(&b, v4_header, 3);
    (void)shutdown(b.fd, SHUT_WR);
    TEST_TURN_UNTIL(b.loop, b.server.closes == 1);
    assert_false(lpx_failed(b.server.why));
    assert_int_equal(io_proxy_gate_counts(b.gate).malformed_total, 0);
    behind_end(&b);
}

static void test_closed_while_waiting(void **state)
{
    (void)state;
    behind b = {.server.to_send = 0};
    behind_begin(&b, "127.0.0.1", NULL);
    TEST_TURN_UNTIL(b.loop, b.server.conn != NULL);
    b.server.closing = true;
    io_conn_close(b.server.conn, true);
    TEST_TURN_UNTIL(b.loop, b.server.closes == 1);
    assert_int_equal(b.server.why.reason, IO_CONN_CLOSED);
    behind_end(&b);
}

static void test_strangers_are_closed(void **state)
{
    (void)state;
    behind b = {.server.to_send = 0};
    char byte;
    behind_begin(&b, "10.0.0.0/8", NULL);
    TEST_TURN_UNTIL(b.loop, io_proxy_gate_counts(b.gate).strangers_total == 1);
    assert_int_equal(recv(b.fd, &byte, 1, 0), 0);
    assert_null(b.server.conn);
    behind_end(&b);
    io_proxy_gate *none = NULL;
    lpx_note note = {0};
    assert_int_equal(io_proxy_gate_new(NULL, 0, &none, &note).reason, IO_ADDRESS_BAD);
    const lpx_str typo[] = {LPX_STR("10.0.0.0/8"), LPX_STR("10.0.0.1/8")};
    assert_int_equal(io_proxy_gate_new(typo, 2, &none, &note).reason, IO_ADDRESS_BAD);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_broken_headers),
        cmocka_unit_test(test_tlvs),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_subnets),
        cmocka_unit_test(test_data_follows_at_once),
        cmocka_unit_test(test_pause_when_it_opens),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_local_is_the_balancer),
        cmocka_unit_test(test_bad_headers_end_the_connection),
        cmocka_unit_test(test_silence_is_ended),
        cmocka_unit_test(test_leaving_before_the_header),
        cmocka_unit_test(test_closed_while_waiting),
        cmocka_unit_test(test_strangers_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
