#include "wire/grpc/text.h"

#include <stdio.h>

#include "base/text.h"
#include "wire/grpc/limits.h"
#include "wire/http/h2.h"

/* Nanoseconds of a unit; 0 for none. */
static int64_t unit_ns(char unit)
{
    switch (unit) {
    case 'H':
        return INT64_C(3600000000000);
    case 'M':
        return INT64_C(60000000000);
    case 'S':
        return INT64_C(1000000000);
    case 'm':
        return INT64_C(1000000);
    case 'u':
        return INT64_C(1000);
    case 'n':
        return 1;
    default:
        return 0;
    }
}

bool grpc_timeout_parse(lpx_str text, int64_t *out_us)
{
    uint64_t value = 0;
    if (text.len < 2 || text.len > GRPC_MAX_TIMEOUT_DIGITS + 1 ||
        !lpx_parse_u64((lpx_str){text.ptr, text.len - 1}, 99999999, &value)) {
        return false;
    }
    int64_t unit = unit_ns(text.ptr[text.len - 1]), count = (int64_t)value;
    if (unit == 0) {
        return false;
    }
    if (unit < 1000) {
        *out_us = (count * unit + 999) / 1000;
        return true;
    }
    int64_t unit_us = unit / 1000;
    *out_us = count > GRPC_MAX_TIMEOUT_US / unit_us ? GRPC_MAX_TIMEOUT_US : count * unit_us;
    return true;
}

size_t grpc_timeout_format(int64_t us, char out[static GRPC_TIMEOUT_TEXT_BYTES])
{
    static const char units[] = {'u', 'm', 'S', 'M', 'H'};
    int64_t value = us < 1 ? 1 : us, per = 1;
    size_t i = 0;
    for (; i < sizeof units - 1; i++) {
        per = unit_ns(units[i]) / 1000;
        if (value / per < 99999999) {
            break;
        }
    }
    per = unit_ns(units[i]) / 1000;
    int64_t count = value / per + (value % per != 0 ? 1 : 0);
    count = count > 99999999 ? 99999999 : count;
    int len = snprintf(out, GRPC_TIMEOUT_TEXT_BYTES, "%lld%c", (long long)count, units[i]);
    return (size_t)len;
}

/* Printable ASCII goes as it is, but for the escape itself and spaces that a header value may not end with. */
static bool plain(lpx_str message, size_t i)
{
    char c = message.ptr[i];
    bool edge = i == 0 || i + 1 == message.len;
    return c >= ' ' && c <= '~' && c != '%' && !(c == ' ' && edge);
}

void grpc_percent_encode(lpx_str message, lpx_buf *out)
{
    for (size_t i = 0; i < message.len; i++) {
        if (plain(message, i)) {
            lpx_buf_add(out, lpx_bytes_of(message.ptr + i, 1));
        } else {
            lpx_buf_printf(out, "%%%02X", (unsigned)(uint8_t)message.ptr[i]);
        }
    }
}

size_t grpc_percent_decode(lpx_str text, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t byte = 0;
        if (text.ptr[i] == '%' && text.len - i > 2 && lpx_parse_hex((lpx_str){text.ptr + i + 1, 2}, 2, &byte)) {
            out[len++] = (char)byte;
            i += 2;
        } else {
            out[len++] = text.ptr[i];
        }
    }
    return len;
}

void grpc_binary_encode(lpx_bytes in, lpx_buf *out)
{
    size_t len = lpx_base64_len(in.len);
    uint8_t *room = lpx_buf_reserve(out, len + 1);
    if (room == NULL) {
        return;
    }
    lpx_base64_encode(in, (char *)room);
    while (len > 0 && room[len - 1] == '=') {
        len--;
    }
    lpx_buf_grown(out, len);
}

/* Several values of one key may come joined by commas. */
static lpx_str next_value(lpx_str *list)
{
    const char *comma = list->len > 0 ? memchr(list->ptr, ',', list->len) : NULL;
    size_t len = comma != NULL ? (size_t)(comma - list->ptr) : list->len;
    lpx_str value = {list->ptr, len};
    *list = lpx_str_skip(*list, comma != NULL ? len + 1 : len);
    while (value.len > 0 && value.ptr[0] == ' ') {
        value = lpx_str_skip(value, 1);
    }
    while (value.len > 0 && value.ptr[value.len - 1] == ' ') {
        value.len--;
    }
    return value;
}

lpx_bytes grpc_binary_decode(lpx_str text, lpx_arena *arena)
{
    lpx_str value = next_value(&text);
    size_t room_len = value.len / 4 * 3 + 3;
    uint8_t *room = lpx_arena_get(arena, room_len);
    if (room == NULL) {
        return (lpx_bytes){0};
    }
    int64_t len = lpx_base64_decode(value, (lpx_space){room, room_len});
    return len < 0 ? (lpx_bytes){0} : lpx_bytes_of(room, (size_t)len);
}

/* Decode piece by piece, for the verdict alone. */
static bool base64_ok(lpx_str value)
{
    enum { PIECE = 256 };
    uint8_t room[PIECE / 4 * 3 + 3];
    while (value.len > PIECE) {
        if (value.ptr[PIECE - 1] == '=' ||
            lpx_base64_decode((lpx_str){value.ptr, PIECE}, (lpx_space){room, sizeof room}) < 0) {
            return false;
        }
        value = lpx_str_skip(value, PIECE);
    }
    return lpx_base64_decode(value, (lpx_space){room, sizeof room}) >= 0;
}

bool grpc_binary_ok(lpx_str text)
{
    do {
        if (!base64_ok(next_value(&text))) {
            return false;
        }
    } while (text.len > 0);
    return true;
}

bool grpc_key_is_binary(lpx_str key)
{
    return key.len > 4 && lpx_str_is(lpx_str_skip(key, key.len - 4), "-bin");
}

bool grpc_key_ok(lpx_str key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!ok) {
            return false;
        }
    }
    return key.len > 0 && key.len < 256 && !lpx_str_starts(key, LPX_STR("grpc-"));
}

bool grpc_value_ok(lpx_bytes value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < ' ' || value.ptr[i] > '~') {
            return false;
        }
    }
    return value.len == 0 || (value.ptr[0] != ' ' && value.ptr[value.len - 1] != ' ');
}

bool grpc_content_type_ok(lpx_str text)
{
    lpx_str grpc = LPX_STR("application/grpc");
    if (!lpx_str_starts(text, grpc)) {
        return false;
    }
    lpx_str rest = lpx_str_skip(text, grpc.len);
    return rest.len == 0 || rest.ptr[0] == '+' || rest.ptr[0] == ';';
}

grpc_encoding grpc_encoding_of(lpx_str text)
{
    if (text.len == 0 || lpx_str_is(text, "identity")) {
        return GRPC_IDENTITY;
    }
    return lpx_str_is(text, "gzip") ? GRPC_GZIP : GRPC_ENCODING_OTHER;
}

bool grpc_list_has_gzip(lpx_str list)
{
    while (list.len > 0) {
        if (lpx_str_is(next_value(&list), "gzip")) {
            return true;
        }
    }
    return false;
}

lpx_code grpc_code_of_status(lpx_str text)
{
    uint64_t code = 0;
    return lpx_parse_u64(text, LPX_UNAUTHENTICATED, &code) ? (lpx_code)code : LPX_UNKNOWN;
}

lpx_code grpc_code_of_http(lpx_str status)
{
    uint64_t code = 0;
    (void)lpx_parse_u64(status, 599, &code);
    switch (code) {
    case 400:
        return LPX_INTERNAL;
    case 401:
        return LPX_UNAUTHENTICATED;
    case 403:
        return LPX_PERMISSION_DENIED;
    case 404:
        return LPX_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return LPX_UNAVAILABLE;
    default:
        return LPX_UNKNOWN;
    }
}

lpx_code grpc_code_of_reset(uint32_t h2_code)
{
    switch (h2_code) {
    case H2_REFUSED_STREAM:
        return LPX_UNAVAILABLE;
    case H2_CANCEL:
        return LPX_CANCELLED;
    case H2_ENHANCE_YOUR_CALM:
        return LPX_RESOURCE_EXHAUSTED;
    case H2_INADEQUATE_SECURITY:
        return LPX_PERMISSION_DENIED;
    default:
        return LPX_INTERNAL;
    }
}
