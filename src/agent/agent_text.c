/* Addresses, and failures as sentences. */
#include <arpa/inet.h>
#include <stdio.h>

#include "agent/agent_priv.h"

const char *agent_service_name(agent_service service)
{
    switch (service) {
    case AGENT_IAM:
        return "iam";
    case AGENT_CONTROL:
        return "controlplane";
    case AGENT_REPORTS:
        return "reports";
    case AGENT_ROUTER:
        return "router";
    case AGENT_MAPPER:
        return "mapper";
    case AGENT_SERVICE_COUNT:
        break;
    }
    return "?";
}

/* A name or an IPv4 address; IPv6 only in a form of its own. */
static bool is_host(lpx_str host, bool v6)
{
    char text[AGENT_HOST_BYTES];
    struct in6_addr parsed;
    if (host.len == 0 || host.len >= sizeof text) {
        return false;
    }
    if (v6) {
        (void)snprintf(text, sizeof text, "%.*s", (int)host.len, host.ptr);
        return strlen(text) == host.len && inet_pton(AF_INET6, text, &parsed) == 1;
    }
    for (size_t i = 0; i < host.len; i++) {
        char ch = host.ptr[i];
        bool good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '.' ||
                    ch == '-' || ch == '_';
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Split an address; *port is empty when there is none. "2001:db8::1" without brackets is a host alone. */
static bool split(const char *address, lpx_str *host, lpx_str *port)
{
    const char *colon = strrchr(address, ':');
    *port = (lpx_str){"", 0};
    if (address[0] == '[') {
        const char *end = strchr(address, ']');
        if (end == NULL || (end[1] != 0 && end[1] != ':')) {
            return false;
        }
        *host = (lpx_str){address + 1, (size_t)(end - address - 1)};
        *port = end[1] == ':' ? lpx_str_of(end + 2) : *port;
        return (end[1] == 0 || port->len > 0) && is_host(*host, true);
    }
    if (colon == NULL || strchr(address, ':') != colon) {
        *host = lpx_str_of(address);
        return is_host(*host, colon != NULL);
    }
    *host = (lpx_str){address, (size_t)(colon - address)};
    *port = lpx_str_of(colon + 1);
    return port->len > 0 && is_host(*host, false);
}

bool agent_host_of(const char *address, char out[static AGENT_HOST_BYTES])
{
    lpx_str host, port;
    if (!split(address, &host, &port)) {
        return false;
    }
    (void)snprintf(out, AGENT_HOST_BYTES, "%.*s", (int)host.len, host.ptr);
    return true;
}

bool agent_address_full(const char *address, char out[static AGENT_ADDRESS_BYTES])
{
    lpx_str host, port;
    uint64_t number = 443;
    if (!split(address, &host, &port) || (port.len > 0 && (!lpx_parse_u64(port, 65535, &number) || number == 0))) {
        return false;
    }
    bool v6 = memchr(host.ptr, ':', host.len) != NULL;
    (void)snprintf(out, AGENT_ADDRESS_BYTES, "%s%.*s%s:%u", v6 ? "[" : "", (int)host.len, host.ptr, v6 ? "]" : "",
                   (unsigned)number);
    return true;
}

bool agent_is_loopback(const char *address)
{
    char host[AGENT_HOST_BYTES];
    struct in_addr v4;
    struct in6_addr v6;
    if (!agent_host_of(address, host)) {
        return false;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    }
    return strcmp(host, "localhost") == 0;
}

agent_auth agent_auth_of(const agent *a, agent_service service)
{
    bool oauth = a->client_id != NULL;
    if (service == AGENT_IAM && a->basic != NULL) { /* the administrator's account is made for IAM */
        return AGENT_AUTH_BASIC;
    }
    if (a->bearer != NULL || oauth) {
        return a->bearer != NULL ? AGENT_AUTH_TOKEN : AGENT_AUTH_OAUTH;
    }
    bool local = a->loopback_basic != NULL && a->targets[service].loopback && !a->has_cert;
    return a->basic != NULL || local ? AGENT_AUTH_BASIC : AGENT_AUTH_NONE;
}

static const char *advice_unauthenticated(agent_auth auth)
{
    switch (auth) {
    case AGENT_AUTH_NONE:
        return "Give --client-id and --client-secret (\"lpx network init\" requests them), or --iam-username and "
               "--iam-password as an administrator.";
    case AGENT_AUTH_BASIC:
        return "Check --iam-username and --iam-password.";
    case AGENT_AUTH_TOKEN:
        return "Check --access-token: it may have expired.";
    case AGENT_AUTH_OAUTH:
        return "Check --client-id and --client-secret: a requested API key must be approved by the operator first.";
    }
    return "";
}

/* Empty when the message of the exchange says enough. */
static const char *advice(const agent *a, agent_service service, lpx_code code)
{
    agent_auth auth = agent_auth_of(a, service);
    if (auth == AGENT_AUTH_NONE && a->has_cert && (code == LPX_UNAUTHENTICATED || code == LPX_PERMISSION_DENIED)) {
        return ""; /* the exchange says what is wrong with the certificate */
    }
    if (code == LPX_UNAUTHENTICATED) {
        return advice_unauthenticated(auth);
    }
    if (code == LPX_PERMISSION_DENIED && auth == AGENT_AUTH_BASIC) {
        return "Give --client-id and --client-secret of the network's own API key.";
    }
    if (code == LPX_PERMISSION_DENIED && auth == AGENT_AUTH_NONE) {
        return advice_unauthenticated(auth);
    }
    if (code == LPX_UNAVAILABLE || code == LPX_DEADLINE_EXCEEDED) {
        return "Does the exchange run there? Check the address, and --ca-file or --insecure.";
    }
    if (code == LPX_UNIMPLEMENTED) {
        return "The exchange at this address does not have this role.";
    }
    return "";
}

void agent_explain(const agent *a, agent_service service, lpx_code code, lpx_str message, agent_failure *out)
{
    const char *todo = advice(a, service, code);
    size_t len = message.len;
    while (len > 0 && message.ptr[len - 1] == '.') {
        len--;
    }
    out->code = code;
    if (code == LPX_UNAVAILABLE || code == LPX_DEADLINE_EXCEEDED || code == LPX_UNIMPLEMENTED) {
        (void)snprintf(out->text, sizeof out->text, "%s: %.*s (--%s-address %s). %s", lpx_code_name((uint16_t)code),
                       (int)len, message.ptr, agent_service_name(service), a->targets[service].address, todo);
        return;
    }
    (void)snprintf(out->text, sizeof out->text, "%s: %.*s%s%s", lpx_code_name((uint16_t)code), (int)len, message.ptr,
                   todo[0] != 0 ? ". " : "", todo);
}
