#include "io/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "lpx_reasons.h"

static lpx_err address_bad(lpx_str text, lpx_note *note)
{
    return lpx_fail(note, IO_ADDRESS_BAD, "\"%.*s\" is no address: want host:port, as in localhost:1900 or [::1]:1900",
                    (int)(text.len < 100 ? text.len : 100), text.ptr);
}

/* What a DNS name, an IPv4 address or (in brackets) an IPv6 address with its zone may hold. */
static bool is_host_char(char c, bool bracketed)
{
    bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return alnum || c == '.' || c == '-' || c == '_' || (bracketed && (c == ':' || c == '%'));
}

LPX_RESULT io_address_parse(lpx_str text, io_address *out, lpx_note *note)
{
    bool bracketed = text.len > 0 && text.ptr[0] == '[';
    size_t begin = bracketed ? 1 : 0;
    size_t end = begin;
    while (end < text.len && is_host_char(text.ptr[end], bracketed)) {
        end++;
    }
    size_t colon = end;
    if (bracketed) {
        if (end == text.len || text.ptr[end] != ']' || end == begin) {
            return address_bad(text, note);
        }
        colon = end + 1;
    }
    uint64_t port = 0;
    if (end - begin >= IO_HOST_BYTES || colon >= text.len || text.ptr[colon] != ':' ||
        !lpx_parse_u64(lpx_str_skip(text, colon + 1), UINT16_MAX, &port)) {
        return address_bad(text, note);
    }
    memset(out, 0, sizeof *out);
    memcpy(out->host, text.ptr + begin, end - begin);
    out->port = (uint16_t)port;
    return LPX_SUCCESS;
}

void io_address_format(const struct sockaddr *addr, char out[static IO_PEER_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, addr, sizeof v4);
        (void)inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        (void)snprintf(out, IO_PEER_BYTES, "%s:%u", host, (unsigned)ntohs(v4.sin_port));
        return;
    }
    if (addr->sa_family != AF_INET6) {
        (void)snprintf(out, IO_PEER_BYTES, "?:0");
        return;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, addr, sizeof v6);
    unsigned port = ntohs(v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        (void)inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, host, sizeof host);
        (void)snprintf(out, IO_PEER_BYTES, "%s:%u", host, port);
        return;
    }
    (void)inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    (void)snprintf(out, IO_PEER_BYTES, "[%s]:%u", host, port);
}

/* The socket address to bind; an empty host is :: where the system has IPv6, which takes IPv4 too. */
static lpx_err find_local(const char *address, struct sockaddr_storage *addr, socklen_t *len, lpx_note *note)
{
    io_address parsed;
    LPX_TRY(io_address_parse(lpx_str_of(address), &parsed, note));
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)parsed.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(parsed.host[0] != 0 ? parsed.host : NULL, port, &hints, &list);
    if (code != 0) {
        return lpx_fail(note, IO_NAME_UNKNOWN, "cannot listen on %s: %s", address, gai_strerror(code));
    }
    int preferred = parsed.host[0] != 0 ? AF_INET : AF_INET6;
    const struct addrinfo *best = list;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        if (a->ai_family == preferred) {
            best = a;
            break;
        }
    }
    memcpy(addr, best->ai_addr, best->ai_addrlen);
    *len = best->ai_addrlen;
    freeaddrinfo(list);
    return LPX_SUCCESS;
}

static bool listen_on(int fd, const struct sockaddr_storage *addr, socklen_t len)
{
    int on = 1;
    int off = 0;
    if (addr->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
           bind(fd, (const struct sockaddr *)addr, len) == 0 && listen(fd, IO_LISTEN_BACKLOG) == 0;
}

static uint16_t local_port(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        return 0;
    }
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &addr, sizeof v4);
    memcpy(&v6, &addr, sizeof v6);
    return ntohs(addr.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

LPX_RESULT io_socket_listen(const char *address, int *fd, uint16_t *port, lpx_note *note)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = 0;
    LPX_TRY(find_local(address, &addr, &len, note));
    int sock = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0 || !listen_on(sock, &addr, len)) {
        int error = errno;
        if (sock >= 0) {
            (void)close(sock);
        }
        return lpx_fail(note, IO_LISTEN_FAILED, "cannot listen on %s: %s", address, strerror(error));
    }
    *fd = sock;
    *port = local_port(sock);
    return LPX_SUCCESS;
}

static const uint8_t v4_inside_v6[12] = {[10] = 0xff, [11] = 0xff};

static lpx_err subnet_bad(lpx_str text, lpx_note *note)
{
    return lpx_fail(
        note, IO_ADDRESS_BAD,
        "\"%.*s\" is neither an address nor a prefix with zero bits behind it, as in 10.1.2.3, 10.0.0.0/8 or "
        "fd00::/8",
        (int)(text.len < 100 ? text.len : 100), text.ptr);
}

static bool bit_of(const uint8_t *address, unsigned index)
{
    return (address[index / 8] >> (7 - index % 8) & 1) != 0;
}

LPX_RESULT io_subnet_parse(lpx_str text, io_subnet *out, lpx_note *note)
{
    char host[INET6_ADDRSTRLEN] = "";
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    size_t host_len = slash != NULL ? (size_t)(slash - text.ptr) : text.len;
    if (host_len >= sizeof host) {
        return subnet_bad(text, note);
    }
    memcpy(host, text.ptr, host_len);
    io_subnet subnet = {.bits = 128};
    memcpy(subnet.first, v4_inside_v6, sizeof v4_inside_v6);
    bool v4 = inet_pton(AF_INET, host, subnet.first + sizeof v4_inside_v6) == 1;
    if (!v4 && inet_pton(AF_INET6, host, subnet.first) != 1) {
        return subnet_bad(text, note);
    }
    uint64_t bits = 0;
    if (slash != NULL && !lpx_parse_u64(lpx_str_skip(text, host_len + 1), v4 ? 32 : 128, &bits)) {
        return subnet_bad(text, note);
    }
    if (slash != NULL) {
        subnet.bits = (unsigned)bits + (v4 ? 96 : 0);
    }
    for (unsigned i = subnet.bits; i < 128; i++) {
        if (bit_of(subnet.first, i)) {
            return subnet_bad(text, note);
        }
    }
    *out = subnet;
    return LPX_SUCCESS;
}

bool io_subnet_has(const io_subnet *subnet, const struct sockaddr *addr)
{
    uint8_t address[16];
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, addr, sizeof v4);
        memcpy(address, v4_inside_v6, sizeof v4_inside_v6);
        memcpy(address + sizeof v4_inside_v6, &v4.sin_addr, 4);
    } else if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, addr, sizeof v6);
        memcpy(address, &v6.sin6_addr, sizeof address);
    } else {
        return false;
    }
    for (unsigned i = 0; i < subnet->bits; i++) {
        if (bit_of(address, i) != bit_of(subnet->first, i)) {
            return false;
        }
    }
    return true;
}
