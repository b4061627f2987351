/* Load for echo_server: N connections with M calls in flight each, one fixed message, a long authorization value that
 * is in the HPACK table after the first call, as real clients have it. Frames are made by hand, so that the load costs
 * less than the server. Every answer is checked. Starts the server itself and prints one figure per line:
 * name value unit.
 * Usage: echo_load --server PATH [--connections N] [--streams M] [--calls K] [--message BYTES] [--tls] [--timeout] */
#include <dirent.h>
#include <nghttp2/nghttp2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/x509.h"
#include "io/conn.h"

enum {
    TOKEN_BYTES = 700,
    MAX_CONNECTIONS = 1024,
    MAX_STREAMS = 1024,
    FIELDS = 6, /* with an entry in the dynamic table */
    FRAME_HEAD_BYTES = 9,
    MAX_FRAME_BYTES = 16384,
    FILL_BYTES = 64 * 1024,
};

typedef struct options {
    const char *server;
    long connections, streams, calls, message;
    bool tls, timeout;
} options;

typedef struct load load;

typedef struct connection {
    load *l;
    io_conn *io;
    nghttp2_hd_inflater *inflater;
    uint32_t next_id;
    long to_start; /* calls that may be started now */
    long in_flight;
    int64_t window; /* that the server gave */
    int64_t taken;  /* received since the last window update */
    lpx_buf in;
    uint8_t head[64], tail[64]; /* header blocks that were checked and hold table entries alone */
    size_t head_len, tail_len;
    bool preface_sent, ack_due;
    bool ping_due;
    uint8_t ping[8];
} connection;

struct load {
    options o;
    io_loop *loop;
    io_tls *tls;
    connection connections[MAX_CONNECTIONS];
    uint8_t *message; /* with its prefix */
    char token[TOKEN_BYTES + 1];
    long started, done, wanted;
};

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "echo_load: %s\n", what);
    exit(1);
}

static void put_frame_head(lpx_buf *out, size_t len, uint8_t type, uint8_t flags, uint32_t id)
{
    uint8_t head[FRAME_HEAD_BYTES] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
                                      (uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    lpx_buf_add(out, lpx_bytes_of(head, sizeof head));
}

static void put_u32(lpx_buf *out, uint32_t v)
{
    uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    lpx_buf_add(out, lpx_bytes_of(bytes, sizeof bytes));
}

/* HPACK integer below 128 + 127 after a prefix of 7 bits, without Huffman. */
static void put_text(lpx_buf *out, const char *text)
{
    size_t len = strlen(text);
    uint8_t bytes[3] = {(uint8_t)(len < 127 ? len : 127), (uint8_t)((len - 127) & 0x7f), 0};
    size_t n = 1;
    if (len >= 127) {
        n = 2;
        if (len - 127 >= 128) {
            bytes[1] |= 0x80;
            bytes[2] = (uint8_t)((len - 127) >> 7);
            n = 3;
        }
    }
    lpx_buf_add(out, lpx_bytes_of(bytes, n));
    lpx_buf_add_str(out, lpx_str_of(text));
}

/* The first head puts all fields into the table, the later ones name their places. */
static void put_head_block(connection *c, lpx_buf *block)
{
    const load *l = c->l;
    const char *const fields[FIELDS][2] = {{":path", "/echo.Echo/Unary"},        {":authority", "localhost"},
                                           {"content-type", "application/grpc"}, {"te", "trailers"},
                                           {"user-agent", "echo_load"},          {"authorization", l->token}};
    uint8_t fixed[2] = {0x83, l->o.tls ? 0x87 : 0x86};
    lpx_buf_add(block, lpx_bytes_of(fixed, 2));
    for (size_t i = 0; i < FIELDS; i++) {
        if (c->next_id == 1) {
            uint8_t literal = 0x40;
            lpx_buf_add(block, lpx_bytes_of(&literal, 1));
            put_text(block, fields[i][0]);
            put_text(block, fields[i][1]);
        } else {
            uint8_t index = (uint8_t)(0x80 | (62 + FIELDS - 1 - i));
            lpx_buf_add(block, lpx_bytes_of(&index, 1));
        }
    }
    if (l->o.timeout) {
        char text[16];
        uint8_t literal = 0x00;
        (void)snprintf(text, sizeof text, "%uu", 2900000 + c->next_id % 99999);
        lpx_buf_add(block, lpx_bytes_of(&literal, 1));
        put_text(block, "grpc-timeout");
        put_text(block, text);
    }
}

static void put_call(connection *c, lpx_buf *out)
{
    const load *l = c->l;
    size_t body = (size_t)l->o.message + 5;
    lpx_buf block;
    lpx_buf_init(&block, 4096);
    put_head_block(c, &block);
    put_frame_head(out, block.len, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, c->next_id);
    lpx_buf_add(out, lpx_buf_view(&block));
    lpx_buf_fini(&block);
    put_frame_head(out, body, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, c->next_id);
    lpx_buf_add(out, lpx_bytes_of(l->message, body));
    c->next_id += 2;
    c->window -= (int64_t)body;
    c->in_flight++;
    c->to_start--;
    c->l->started++;
}

static void fill(void *ctx, lpx_buf *out)
{
    connection *c = ctx;
    if (!c->preface_sent) {
        c->preface_sent = true;
        lpx_buf_add_str(out, LPX_STR(NGHTTP2_CLIENT_MAGIC));
        put_frame_head(out, 0, NGHTTP2_SETTINGS, 0, 0);
        put_frame_head(out, 4, NGHTTP2_WINDOW_UPDATE, 0, 0);
        put_u32(out, 1 << 30);
    }
    if (c->ack_due) {
        c->ack_due = false;
        put_frame_head(out, 0, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0);
    }
    if (c->ping_due) {
        c->ping_due = false;
        put_frame_head(out, 8, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0);
        lpx_buf_add(out, lpx_bytes_of(c->ping, 8));
    }
    if (c->taken > 1 << 20) {
        put_frame_head(out, 4, NGHTTP2_WINDOW_UPDATE, 0, 0);
        put_u32(out, (uint32_t)c->taken);
        c->taken = 0;
    }
    while (c->to_start > 0 && out->len < FILL_BYTES && c->window >= c->l->o.message + 5 &&
           c->l->started < c->l->wanted) {
        put_call(c, out);
    }
}

/* All bytes name entries of the table: the block means the same whenever it comes. */
static bool only_indexes(lpx_bytes block)
{
    for (size_t i = 0; i < block.len; i++) {
        if ((block.ptr[i] & 0x80) == 0 || block.ptr[i] == 0xff) {
            return false;
        }
    }
    return true;
}

static void check_block(connection *c, lpx_bytes block, bool tail)
{
    uint8_t *known = tail ? c->tail : c->head;
    size_t *known_len = tail ? &c->tail_len : &c->head_len;
    if (*known_len == block.len && memcmp(known, block.ptr, block.len) == 0) {
        return;
    }
    const char *name = tail ? "grpc-status" : ":status", *value = tail ? "0" : "200";
    bool found = false, again = only_indexes(block) && block.len <= sizeof c->head;
    lpx_bytes rest = block;
    for (int flags = 0; (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;) {
        nghttp2_nv nv;
        flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(c->inflater, &nv, &flags, rest.ptr, rest.len, 1);
        if (n < 0) {
            die("a header block cannot be decoded");
        }
        rest = lpx_bytes_of(rest.ptr + n, rest.len - (size_t)n);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            found |= lpx_bytes_equal(lpx_bytes_of(nv.name, nv.namelen), lpx_str_bytes(lpx_str_of(name))) &&
                     lpx_bytes_equal(lpx_bytes_of(nv.value, nv.valuelen), lpx_str_bytes(lpx_str_of(value)));
        }
    }
    (void)nghttp2_hd_inflate_end_headers(c->inflater);
    if (!found) {
        die("an answer has the wrong status");
    }
    c->head_len = again ? c->head_len : 0; /* the table changed: nothing is known any more */
    c->tail_len = again ? c->tail_len : 0;
    if (again) {
        memcpy(known, block.ptr, block.len);
        *known_len = block.len;
    }
}

static void on_frame(connection *c, uint8_t type, uint8_t flags, lpx_bytes payload)
{
    switch (type) {
    case NGHTTP2_HEADERS:
        check_block(c, payload, (flags & NGHTTP2_FLAG_END_STREAM) != 0);
        if ((flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            c->in_flight--;
            c->to_start++;
            c->l->done++;
        }
        return;
    case NGHTTP2_DATA:
        c->taken += (int64_t)payload.len;
        if (!lpx_bytes_equal(payload, lpx_bytes_of(c->l->message, (size_t)c->l->o.message + 5))) {
            die("an answer has the wrong bytes");
        }
        return;
    case NGHTTP2_SETTINGS:
        c->ack_due |= (flags & NGHTTP2_FLAG_ACK) == 0;
        return;
    case NGHTTP2_WINDOW_UPDATE:
        c->window += (int64_t)payload.ptr[0] << 24 | payload.ptr[1] << 16 | payload.ptr[2] << 8 | payload.ptr[3];
        return;
    case NGHTTP2_PING:
        c->ping_due = true;
        memcpy(c->ping, payload.ptr, 8);
        return;
    case NGHTTP2_RST_STREAM:
        die("a call was reset");
    case NGHTTP2_GOAWAY:
        die("the server ended the connection");
    default:
        return;
    }
}

static void on_bytes(void *ctx, lpx_bytes in)
{
    connection *c = ctx;
    lpx_bytes rest = in;
    if (c->in.len > 0) {
        lpx_buf_add(&c->in, in);
        rest = lpx_buf_view(&c->in);
    }
    while (rest.len >= FRAME_HEAD_BYTES) {
        size_t len = (size_t)rest.ptr[0] << 16 | (size_t)rest.ptr[1] << 8 | rest.ptr[2];
        if (rest.len - FRAME_HEAD_BYTES < len) {
            break;
        }
        on_frame(c, rest.ptr[3], rest.ptr[4], lpx_bytes_of(rest.ptr + FRAME_HEAD_BYTES, len));
        rest = lpx_bytes_of(rest.ptr + FRAME_HEAD_BYTES + len, rest.len - FRAME_HEAD_BYTES - len);
    }
    if (c->in.len > 0) {
        lpx_buf_drop(&c->in, c->in.len - rest.len);
    } else {
        lpx_buf_add(&c->in, rest);
    }
    io_conn_want_write(c->io);
}

static void on_open(void *ctx)
{
    connection *c = ctx;
    io_conn_want_write(c->io);
}

static void on_close(void *ctx, lpx_err why, const lpx_note *note)
{
    (void)ctx;
    (void)why;
    die(note->text);
}

static const io_conn_events events = {.on_open = on_open, .on_bytes = on_bytes, .fill = fill, .on_close = on_close};

static void run_calls(load *l, long calls)
{
    l->wanted += calls;
    for (long i = 0; i < l->o.connections; i++) {
        io_conn_want_write(l->connections[i].io);
    }
    while (l->done < l->wanted) {
        io_loop_turn(l->loop, 1000000);
    }
}

/* Run time of all threads of a process. */
static uint64_t cpu_ns(pid_t pid)
{
    char path[320];
    uint64_t total = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL; entry = readdir(dir)) {
        unsigned long long ns = 0;
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (file != NULL) {
            total += fscanf(file, "%llu", &ns) == 1 ? ns : 0;
            (void)fclose(file);
        }
    }
    if (dir == NULL) {
        die("the server is gone");
    }
    (void)closedir(dir);
    return total;
}

static uint64_t wall_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void pin(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
        (void)sched_setaffinity(0, sizeof set, &set);
    }
}

typedef struct certs {
    char folder[64], ca[96], ca_key[96], cert[96], key[96];
} certs;

static void certs_make(certs *c)
{
    lpx_note note = {0};
    lpx_utc now = {(int64_t)time(NULL) * 1000000};
    (void)snprintf(c->folder, sizeof c->folder, "/tmp/lpx-bench-XXXXXX");
    if (mkdtemp(c->folder) == NULL) {
        die("no temporary folder");
    }
    (void)snprintf(c->ca, sizeof c->ca, "%s/ca.pem", c->folder);
    (void)snprintf(c->ca_key, sizeof c->ca_key, "%s/ca.key", c->folder);
    (void)snprintf(c->cert, sizeof c->cert, "%s/cert.pem", c->folder);
    (void)snprintf(c->key, sizeof c->key, "%s/cert.key", c->folder);
    crypto_cert_opts opts = {.ca_cert_file = c->ca,
                             .ca_key_file = c->ca_key,
                             .cert_file = c->cert,
                             .key_file = c->key,
                             .common_name = "localhost",
                             .now = now};
    if (lpx_failed(crypto_ca_create(c->ca, c->ca_key, "bench", now, &note)) ||
        lpx_failed(crypto_cert_issue(&opts, &note))) {
        die(note.text);
    }
}

static void certs_remove(const certs *c)
{
    (void)unlink(c->ca);
    (void)unlink(c->ca_key);
    (void)unlink(c->cert);
    (void)unlink(c->key);
    (void)rmdir(c->folder);
}

/* Start the server on the second core. @return its port */
static unsigned server_start(const options *o, const certs *c, pid_t *pid)
{
    int ends[2];
    if (pipe(ends) != 0 || (*pid = fork()) < 0) {
        die("cannot start the server");
    }
    if (*pid == 0) {
        pin(1);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        if (o->tls) {
            (void)execl(o->server, o->server, "--tls", c->cert, c->key, (char *)NULL);
        } else {
            (void)execl(o->server, o->server, (char *)NULL);
        }
        _exit(127);
    }
    (void)close(ends[1]);
    unsigned port = 0;
    FILE *from = fdopen(ends[0], "r");
    if (from == NULL || fscanf(from, "listening %u", &port) != 1) {
        die("the server did not start");
    }
    (void)fclose(from);
    return port;
}

static void connect_all(load *l, unsigned port, const certs *c)
{
    static const char *const alpn[] = {"h2", NULL};
    lpx_note note = {0};
    io_tls_client_opts tls_opts = {.ca_file = c->ca, .alpn = alpn};
    if (l->o.tls && lpx_failed(io_tls_client_new(&tls_opts, &l->tls, &note))) {
        die(note.text);
    }
    char address[40];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", port);
    for (long i = 0; i < l->o.connections; i++) {
        connection *conn = &l->connections[i];
        conn->l = l;
        conn->next_id = 1;
        conn->to_start = l->o.streams;
        conn->window = 65535;
        lpx_buf_init(&conn->in, 1 << 20);
        if (nghttp2_hd_inflate_new(&conn->inflater) != 0 ||
            lpx_failed(io_connect(l->loop, address, l->tls, &events, conn, &conn->io, &note))) {
            die(note.text);
        }
    }
}

static options parse(int argc, char **argv)
{
    options o = {.connections = 8, .streams = 32, .calls = 400000, .message = 400};
    for (int i = 1; i < argc; i++) {
        bool value = i + 1 < argc;
        if (strcmp(argv[i], "--server") == 0 && value) {
            o.server = argv[++i];
        } else if (strcmp(argv[i], "--connections") == 0 && value) {
            o.connections = strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--streams") == 0 && value) {
            o.streams = strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--calls") == 0 && value) {
            o.calls = strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--message") == 0 && value) {
            o.message = strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--tls") == 0) {
            o.tls = true;
        } else if (strcmp(argv[i], "--timeout") == 0) {
            o.timeout = true;
        } else {
            die("usage: echo_load --server PATH [--connections N] [--streams M] [--calls K] [--message BYTES] [--tls] "
                "[--timeout]");
        }
    }
    bool ok = o.server != NULL && o.connections >= 1 && o.connections <= MAX_CONNECTIONS && o.streams >= 1 &&
              o.streams <= MAX_STREAMS && o.calls >= 1 && o.message >= 1 && o.message + 5 <= MAX_FRAME_BYTES;
    if (!ok) {
        die("an option is missing or out of range");
    }
    return o;
}

static void load_init(load *l, const options *o)
{
    l->o = *o;
    l->loop = io_loop_new(0);
    l->message = malloc((size_t)o->message + 5);
    if (l->loop == NULL || l->message == NULL) {
        die("no memory");
    }
    size_t len = (size_t)o->message;
    uint8_t prefix[5] = {0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    memcpy(l->message, prefix, 5);
    for (size_t i = 0; i < len; i++) {
        l->message[5 + i] = (uint8_t)(i * 131 >> 3);
    }
    (void)snprintf(l->token, sizeof l->token, "Bearer ");
    for (size_t i = 7; i < TOKEN_BYTES; i++) {
        l->token[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[i * 37 % 64];
    }
}

int main(int argc, char **argv)
{
    static load l;
    certs c = {0};
    pid_t pid = 0;
    options o = parse(argc, argv);
    load_init(&l, &o);
    if (o.tls) {
        certs_make(&c);
    }
    unsigned port = server_start(&o, &c, &pid);
    pin(0);
    connect_all(&l, port, &c);
    run_calls(&l, o.calls / 10 + o.connections * o.streams);
    uint64_t cpu = cpu_ns(pid), own = cpu_ns(getpid()), wall = wall_ns();
    run_calls(&l, o.calls);
    cpu = cpu_ns(pid) - cpu;
    own = cpu_ns(getpid()) - own;
    wall = wall_ns() - wall;
    double calls = (double)o.calls;
    (void)printf("echo_server_cpu_per_call %.3f us\n", (double)cpu / 1000 / calls);
    (void)printf("echo_load_cpu_per_call %.3f us\n", (double)own / 1000 / calls);
    (void)printf("echo_calls_per_second %.0f 1/s\n", calls * 1e9 / (double)wall);
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
    if (o.tls) {
        certs_remove(&c);
    }
    return 0;
}
