/* Load for nats-server, the yardstick of fan-out: one publisher and K subscribers, a TLS 1.3 connection each, messages
 * of 450 bytes. Every message carries its number, and each subscriber must get all of them in order: else the program
 * ends with status 1 and no figure. With --ack the publisher has "+OK" from the server for each message, as one that
 * wants to know; without it nothing is answered. Deliveries (and acknowledgements) bound what is under way. Prints one
 * figure per line: name value unit. Usage: nats_load --port PORT --pid PID [--subscribers K] [--messages N] [--ack] */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define HEAD "MSG bench 1 450\r\n"
#define PUB "PUB bench 450\r\n"
#define ACK "+OK\r\n"
#define PING "PING\r\n"
#define CONNECT "CONNECT {\"verbose\":%s,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\n"

enum {
    MAX_SUBSCRIBERS = 1000,
    PAYLOAD_BYTES = 450,
    END_BYTES = 2,
    HEAD_BYTES = sizeof HEAD - 1,
    PUB_BYTES = sizeof PUB - 1,
    ACK_BYTES = sizeof ACK - 1,
    PING_BYTES = sizeof PING - 1,
    MESSAGE_BYTES = HEAD_BYTES + PAYLOAD_BYTES + END_BYTES,
    PUBLISH_BYTES = PUB_BYTES + PAYLOAD_BYTES + END_BYTES,
    IN_BYTES = 64 * 1024,
    OUT_BYTES = 64 * 1024,
    AHEAD = 2048, /* messages not delivered yet before the publisher waits */
    EVENTS = 256,
    TURN_MS = 1,
};

typedef struct peer {
    int fd;
    SSL *ssl;
    uint8_t in[IN_BYTES];
    size_t in_len;
    uint64_t count; /* messages that came; of the publisher: acknowledgements */
} peer;

typedef struct nats {
    long port, pid, subscribers, messages;
    bool ack;
    SSL_CTX *tls;
    int poll;
    peer *publisher, *list[MAX_SUBSCRIBERS];
    uint8_t out[OUT_BYTES];
    size_t out_len, out_sent;
    uint64_t published, wanted;
} nats;

/* ---- connections ---- */

static void say(peer *p, const char *text)
{
    if (SSL_write(p->ssl, text, (int)strlen(text)) != (int)strlen(text)) {
        load_die("cannot write to the server");
    }
}

/* The server introduces itself in one plaintext line; TLS begins right behind it. */
static void read_info(int fd)
{
    char c = 0;
    while (c != '\n') {
        if (read(fd, &c, 1) != 1) {
            load_die("the server did not introduce itself");
        }
    }
}

/* Wait until the server has done all that was said so far. */
static void settle(peer *p)
{
    char answer[512] = "";
    size_t len = 0;
    say(p, "PING\r\n");
    while (strstr(answer, "PONG\r\n") == NULL) {
        int n = len < sizeof answer - 1 ? SSL_read(p->ssl, answer + len, (int)(sizeof answer - 1 - len)) : 0;
        if (n <= 0) {
            load_die("the server does not answer as wanted: %s", answer);
        }
        len += (size_t)n;
        answer[len] = 0;
    }
}

static peer *peer_new(nats *n, bool verbose, const char *subscribe)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)n->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    peer *p = calloc(1, sizeof *p);
    char hello[256];
    int on = 1;
    if (p == NULL || (p->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0 ||
        connect(p->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        load_die("no connection to port %ld", n->port);
    }
    read_info(p->fd);
    p->ssl = SSL_new(n->tls);
    if (p->ssl == NULL || SSL_set_fd(p->ssl, p->fd) != 1 || SSL_connect(p->ssl) != 1) {
        load_die("no TLS 1.3 with the server");
    }
    (void)snprintf(hello, sizeof hello, CONNECT, verbose ? "true" : "false");
    say(p, hello);
    say(p, subscribe);
    settle(p);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
    if (fcntl(p->fd, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(n->poll, EPOLL_CTL_ADD, p->fd, &e) != 0) {
        load_die("cannot watch a connection");
    }
    return p;
}

static void open_all(nats *n)
{
    n->tls = SSL_CTX_new(TLS_client_method());
    n->poll = epoll_create1(0);
    if (n->tls == NULL || n->poll < 0 || SSL_CTX_set_min_proto_version(n->tls, TLS1_3_VERSION) != 1) {
        load_die("no memory");
    }
    (void)SSL_CTX_set_mode(n->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    for (long i = 0; i < n->subscribers; i++) {
        n->list[i] = peer_new(n, false, "SUB bench 1\r\n");
    }
    n->publisher = peer_new(n, n->ack, "");
}

/* ---- what comes ---- */

/* Does the server ask whether we live? Runs are shorter than what it waits for an answer, so none is given. */
static bool is_ping(const peer *p, size_t at)
{
    return p->in_len - at >= PING_BYTES && memcmp(p->in + at, PING, PING_BYTES) == 0;
}

static void take_message(peer *p, const uint8_t *message)
{
    uint64_t number;
    memcpy(&number, message + HEAD_BYTES, sizeof number);
    if (memcmp(message, HEAD, HEAD_BYTES) != 0 || number != p->count) {
        load_die("in place of message %llu came %.20s", (unsigned long long)p->count, (const char *)message);
    }
    p->count++;
}

static void take_ack(peer *p, const uint8_t *ack)
{
    if (memcmp(ack, ACK, ACK_BYTES) != 0) {
        load_die("in place of an acknowledgement came %.20s", (const char *)ack);
    }
    p->count++;
}

/* Take what is whole. @return how many bytes that was */
static size_t take_all(peer *p, size_t len, void (*take)(peer *p, const uint8_t *bytes))
{
    size_t used = 0;
    for (bool ping; (ping = is_ping(p, used)) || p->in_len - used >= len; used += ping ? PING_BYTES : len) {
        if (!ping) {
            take(p, p->in + used);
        }
    }
    return used;
}

static void on_readable(const nats *n, peer *p)
{
    for (;;) {
        int got = SSL_read(p->ssl, p->in + p->in_len, (int)(IN_BYTES - p->in_len));
        if (got <= 0) {
            if (SSL_get_error(p->ssl, got) != SSL_ERROR_WANT_READ) {
                load_die("the server ended a connection");
            }
            return;
        }
        p->in_len += (size_t)got;
        size_t used = p == n->publisher ? take_all(p, ACK_BYTES, take_ack) : take_all(p, MESSAGE_BYTES, take_message);
        p->in_len -= used;
        memmove(p->in, p->in + used, p->in_len);
    }
}

/* ---- what goes ---- */

static uint64_t least_done(const nats *n)
{
    uint64_t least = n->ack ? n->publisher->count : n->list[0]->count;
    for (long i = 0; i < n->subscribers; i++) {
        least = n->list[i]->count < least ? n->list[i]->count : least;
    }
    return least;
}

static void put_message(nats *n)
{
    uint8_t *at = n->out + n->out_len;
    memcpy(at, PUB, PUB_BYTES);
    memset(at + PUB_BYTES, 'x', PAYLOAD_BYTES);
    memcpy(at + PUB_BYTES, &n->published, sizeof n->published);
    memcpy(at + PUB_BYTES + PAYLOAD_BYTES, "\r\n", END_BYTES);
    n->out_len += PUBLISH_BYTES;
    n->published++;
}

static void publish(nats *n)
{
    uint64_t most = least_done(n) + AHEAD;
    most = most < n->wanted ? most : n->wanted;
    while (n->published < most && n->out_len + PUBLISH_BYTES <= OUT_BYTES) {
        put_message(n);
    }
    while (n->out_sent < n->out_len) {
        int sent = SSL_write(n->publisher->ssl, n->out + n->out_sent, (int)(n->out_len - n->out_sent));
        if (sent <= 0) {
            if (SSL_get_error(n->publisher->ssl, sent) != SSL_ERROR_WANT_WRITE) {
                load_die("the server ended the publisher's connection");
            }
            return;
        }
        n->out_sent += (size_t)sent;
    }
    n->out_len = n->out_sent = 0;
}

/* ---- runs ---- */

static void run(nats *n, long messages)
{
    struct epoll_event ready[EVENTS];
    n->wanted += (uint64_t)messages;
    uint64_t moved = load_wall_ns(), last = least_done(n);
    while (least_done(n) < n->wanted) {
        publish(n);
        int count = epoll_wait(n->poll, ready, EVENTS, TURN_MS);
        for (int i = 0; i < count; i++) {
            on_readable(n, ready[i].data.ptr);
        }
        if (least_done(n) != last) {
            last = least_done(n);
            moved = load_wall_ns();
        } else if (load_wall_ns() - moved > LOAD_STALL_SECONDS * UINT64_C(1000000000)) {
            load_die("message %llu did not come for %d s", (unsigned long long)last, LOAD_STALL_SECONDS);
        }
    }
}

static void parse(nats *n, int argc, char **argv)
{
    n->subscribers = 1;
    n->messages = 200000;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        i += strcmp(name, "--ack") != 0;
        if (strcmp(name, "--ack") == 0) {
            n->ack = true;
        } else if (strcmp(name, "--port") == 0) {
            n->port = load_number(name, value, 10, 1, 65535);
        } else if (strcmp(name, "--pid") == 0) {
            n->pid = load_number(name, value, 10, 1, 1 << 22);
        } else if (strcmp(name, "--subscribers") == 0) {
            n->subscribers = load_number(name, value, 10, 1, MAX_SUBSCRIBERS);
        } else if (strcmp(name, "--messages") == 0) {
            n->messages = load_number(name, value, 10, 1, 1000000000);
        } else {
            load_die("usage: nats_load --port PORT --pid PID [--subscribers K] [--messages N] [--ack]");
        }
    }
    if (n->port == 0 || n->pid == 0) {
        load_die("--port and --pid: which server?");
    }
}

int main(int argc, char **argv)
{
    static nats n;
    parse(&n, argc, argv);
    load_pin(0);
    open_all(&n);
    run(&n, n.messages / 10 + 1);
    uint64_t cpu = load_cpu_ns((pid_t)n.pid), own = load_cpu_ns(getpid()), wall = load_wall_ns();
    run(&n, n.messages);
    cpu = load_cpu_ns((pid_t)n.pid) - cpu;
    own = load_cpu_ns(getpid()) - own;
    wall = load_wall_ns() - wall;
    double messages = (double)n.messages;
    (void)printf("nats_server_cpu_per_message %.3f us\n", (double)cpu / 1000 / messages);
    (void)printf("nats_load_cpu_per_message %.3f us\n", (double)own / 1000 / messages);
    (void)printf("nats_messages_per_second %.0f 1/s\n", messages * 1e9 / (double)wall);
    return 0;
}
