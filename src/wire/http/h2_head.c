#include "wire/http/h2_head.h"

#include "base/text.h"

/* Names: token characters of RFC 9110 without upper case. */
static bool name_char_ok(uint8_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        return true;
    }
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool name_ok(lpx_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!name_char_ok((uint8_t)name.ptr[i])) {
            return false;
        }
    }
    return name.len > 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Eight bytes at a time: is one below 0x20 or 0x7f? (A tab counts; the slow loop forgives it.) */
static bool eight_suspicious(const char *ptr)
{
    uint64_t word = 0;
    memcpy(&word, ptr, sizeof word);
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    uint64_t control = (word - ones * 0x20) & ~word & highs;
    uint64_t del = word ^ (ones * 0x7f);
    del = (del - ones) & ~del & highs;
    return (control | del) != 0;
}

static bool value_ok(lpx_str value)
{
    size_t i = 0;
    while (i < value.len) {
        if (value.len - i >= 8 && !eight_suspicious(value.ptr + i)) {
            i += 8;
            continue;
        }
        uint8_t c = (uint8_t)value.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
        i++;
    }
    return value.len == 0 || !(is_blank(value.ptr[0]) || is_blank(value.ptr[value.len - 1]));
}

static bool all_graphic(lpx_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((uint8_t)value.ptr[i] <= ' ') {
            return false;
        }
    }
    return value.len > 0;
}

static h2_kind classify_pseudo(lpx_str name, lpx_str value)
{
    if (lpx_str_is(name, ":method")) {
        return all_graphic(value) ? H2_KIND_METHOD : H2_KIND_BAD;
    }
    if (lpx_str_is(name, ":scheme")) {
        return all_graphic(value) ? H2_KIND_SCHEME : H2_KIND_BAD;
    }
    if (lpx_str_is(name, ":path")) {
        return all_graphic(value) && (value.ptr[0] == '/' || lpx_str_is(value, "*")) ? H2_KIND_PATH : H2_KIND_BAD;
    }
    if (lpx_str_is(name, ":authority")) {
        return value.len == 0 || all_graphic(value) ? H2_KIND_AUTHORITY : H2_KIND_BAD;
    }
    if (lpx_str_is(name, ":status")) {
        uint64_t status = 0;
        bool ok = value.len == 3 && lpx_parse_u64(value, 599, &status) && status >= 100;
        return ok ? H2_KIND_STATUS : H2_KIND_BAD;
    }
    return H2_KIND_BAD;
}

/* Fields that belong to a connection of HTTP/1 have no place here. "te" is let through whatever it says. */
static bool connection_field(lpx_str name)
{
    return lpx_str_is(name, "connection") || lpx_str_is(name, "proxy-connection") || lpx_str_is(name, "keep-alive") ||
           lpx_str_is(name, "transfer-encoding") || lpx_str_is(name, "upgrade");
}

h2_kind h2_head_classify(lpx_str name, lpx_str value)
{
    if (!value_ok(value)) {
        return H2_KIND_BAD;
    }
    if (name.len > 0 && name.ptr[0] == ':') {
        return classify_pseudo(name, value);
    }
    if (!name_ok(name) || connection_field(name)) {
        return H2_KIND_BAD;
    }
    if (lpx_str_is(name, "authorization")) {
        return H2_KIND_AUTHORIZATION;
    }
    if (lpx_str_is(name, "content-length")) {
        uint64_t length = 0;
        return lpx_parse_u64(value, UINT64_MAX / 2, &length) ? H2_KIND_CONTENT_LENGTH : H2_KIND_BAD;
    }
    return H2_KIND_REGULAR;
}

static void step_pseudo(h2_head *head, h2_kind kind, lpx_str value)
{
    bool response_field = kind == H2_KIND_STATUS;
    bool belongs = response_field ? head->part == H2_PART_RESPONSE : head->part == H2_PART_REQUEST;
    uint16_t bit = (uint16_t)(1U << kind);
    if (!belongs || head->regular_seen || (head->seen & bit) != 0) {
        head->malformed = true;
        return;
    }
    head->seen |= bit;
    if (kind == H2_KIND_METHOD) {
        head->connect = lpx_str_is(value, "CONNECT");
    }
    if (kind == H2_KIND_STATUS) {
        uint64_t status = 0;
        (void)lpx_parse_u64(value, 599, &status);
        head->status = (uint16_t)status;
    }
}

void h2_head_step(h2_head *head, h2_kind kind, lpx_str value)
{
    switch (kind) {
    case H2_KIND_BAD:
        head->malformed = true;
        return;
    case H2_KIND_REGULAR:
    case H2_KIND_AUTHORIZATION:
        head->regular_seen = true;
        return;
    case H2_KIND_CONTENT_LENGTH: {
        uint64_t length = 0;
        (void)lpx_parse_u64(value, UINT64_MAX / 2, &length);
        head->malformed |= head->length_known && head->length != length;
        head->length_known = head->part != H2_PART_TAIL;
        head->length = length;
        head->regular_seen = true;
        return;
    }
    case H2_KIND_METHOD:
    case H2_KIND_SCHEME:
    case H2_KIND_PATH:
    case H2_KIND_AUTHORITY:
    case H2_KIND_STATUS:
        step_pseudo(head, kind, value);
        return;
    }
}

void h2_head_end(h2_head *head)
{
    const unsigned method = 1U << H2_KIND_METHOD, scheme = 1U << H2_KIND_SCHEME, path = 1U << H2_KIND_PATH;
    const unsigned authority = 1U << H2_KIND_AUTHORITY, status = 1U << H2_KIND_STATUS;
    switch (head->part) {
    case H2_PART_REQUEST:
        if (head->connect) {
            head->malformed |= (head->seen & (scheme | path)) != 0 || (head->seen & authority) == 0;
        } else {
            head->malformed |= (head->seen & (method | scheme | path)) != (method | scheme | path);
        }
        return;
    case H2_PART_RESPONSE:
        head->malformed |= (head->seen & status) == 0;
        return;
    case H2_PART_TAIL:
        return;
    }
}
