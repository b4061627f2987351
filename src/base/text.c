/* Hex, base32, base64, numbers, UTF-8 and the two operations on secrets. */
#include "base/text.h"

#include "base/assert.h"
#include "base/limits.h"

/* Value of a hex digit, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

void lpx_hex_encode(lpx_bytes in, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < in.len; i++) {
        out[2 * i] = digits[in.ptr[i] >> 4];
        out[2 * i + 1] = digits[in.ptr[i] & 15];
    }
    out[2 * in.len] = '\0';
}

bool lpx_hex_decode(lpx_str text, lpx_space out)
{
    if (text.len % 2 != 0 || text.len / 2 != out.len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (hex_value(text.ptr[i]) < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < out.len; i++) {
        out.ptr[i] = (uint8_t)(hex_value(text.ptr[2 * i]) << 4 | hex_value(text.ptr[2 * i + 1]));
    }
    return true;
}

size_t lpx_base32_len(size_t len)
{
    return len / 5 * 8 + (len % 5 * 8 + 4) / 5;
}

void lpx_base32_encode(lpx_bytes in, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < in.len; i++) {
        bits = (bits << 8 | in.ptr[i]) & 0xFFF;
        have += 8;
        while (have >= 5) {
            have -= 5;
            *out++ = digits[bits >> have & 31];
        }
    }
    if (have > 0) {
        *out++ = digits[bits << (5 - have) & 31];
    }
    *out = '\0';
}

size_t lpx_base64_len(size_t len)
{
    return (len / 3 + (len % 3 != 0)) * 4;
}

/* Base64 of in without padding; returns the number of characters. */
static size_t base64_put(lpx_bytes in, const char *digits, char *out)
{
    size_t len = 0;
    size_t i = 0;
    for (; in.len - i >= 3; i += 3) {
        uint32_t v = (uint32_t)in.ptr[i] << 16 | (uint32_t)in.ptr[i + 1] << 8 | in.ptr[i + 2];
        out[len++] = digits[v >> 18];
        out[len++] = digits[v >> 12 & 63];
        out[len++] = digits[v >> 6 & 63];
        out[len++] = digits[v & 63];
    }
    size_t left = in.len - i;
    if (left == 0) {
        return len;
    }
    uint32_t v = (uint32_t)in.ptr[i] << 16 | (left == 2 ? (uint32_t)in.ptr[i + 1] << 8 : 0);
    out[len++] = digits[v >> 18];
    out[len++] = digits[v >> 12 & 63];
    if (left == 2) {
        out[len++] = digits[v >> 6 & 63];
    }
    return len;
}

void lpx_base64_encode(lpx_bytes in, char *out)
{
    size_t len = base64_put(in, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", out);
    while (len % 4 != 0) {
        out[len++] = '=';
    }
    out[len] = '\0';
}

size_t lpx_base64url_encode(lpx_bytes in, char *out)
{
    size_t len = base64_put(in, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", out);
    out[len] = '\0';
    return len;
}

/* Value of a character of either base64 alphabet, or -1. */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+' || c == '-') {
        return 62;
    }
    return c == '/' || c == '_' ? 63 : -1;
}

/* Text without its padding; false when the padding is wrong. */
static bool base64_trim(lpx_str *text)
{
    size_t pads = 0;
    while (pads < 2 && pads < text->len && text->ptr[text->len - 1 - pads] == '=') {
        pads++;
    }
    if (pads > 0 && text->len % 4 != 0) {
        return false;
    }
    text->len -= pads;
    return text->len % 4 != 1;
}

int64_t lpx_base64_decode(lpx_str text, lpx_space out)
{
    lpx_assert(out.len >= text.len / 4 * 3 + 3);
    if (!base64_trim(&text)) {
        return -1;
    }
    size_t len = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text.len; i++) {
        int v = base64_value(text.ptr[i]);
        if (v < 0) {
            return -1;
        }
        bits = (bits << 6 | (uint32_t)v) & 0xFFFF;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out.ptr[len++] = (uint8_t)(bits >> have);
        }
    }
    /* Bits left over must be zero, so that one value has one text but for alphabet and padding. */
    return (bits & ((1U << have) - 1)) == 0 ? (int64_t)len : -1;
}

bool lpx_parse_u64(lpx_str text, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(text.ptr[i] - '0');
        if (__builtin_mul_overflow(v, 10U, &v) || __builtin_add_overflow(v, digit, &v) || v > max) {
            return false;
        }
    }
    *out = v;
    return true;
}

bool lpx_parse_hex(lpx_str text, unsigned digits, uint64_t *out)
{
    lpx_assert(digits >= 1 && digits <= 16);
    if (text.len != digits) {
        return false;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_value(text.ptr[i]);
        if (digit < 0) {
            return false;
        }
        v = v << 4 | (uint64_t)digit;
    }
    *out = v;
    return true;
}

/* Length of the UTF-8 character at the start of b (not empty); 0 when there is none. RFC 3629 section 4. */
static size_t utf8_char_len(lpx_bytes b)
{
    uint8_t first = b.ptr[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xC2 || first > 0xF4) {
        return 0;
    }
    size_t len = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (len > b.len) {
        return 0;
    }
    /* Four first bytes narrow the second: no overlong forms, no surrogates, nothing above U+10FFFF. */
    uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (b.ptr[1] < low || b.ptr[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((b.ptr[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool lpx_utf8_valid(lpx_bytes text)
{
    while (text.len > 0) {
        size_t len = 0;
        uint64_t eight = 0;
        if (text.len >= sizeof(eight)) {
            memcpy(&eight, text.ptr, sizeof(eight));
            len = (eight & 0x8080808080808080U) == 0 ? sizeof(eight) : 0;
        }
        len = len > 0 ? len : utf8_char_len(text);
        if (len == 0) {
            return false;
        }
        text = (lpx_bytes){.ptr = text.ptr + len, .len = text.len - len};
    }
    return true;
}

static unsigned min_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned lpx_edit_distance(lpx_str a, lpx_str b)
{
    unsigned a_len = a.len < LPX_EDIT_MAX_CHARS ? (unsigned)a.len : LPX_EDIT_MAX_CHARS;
    unsigned b_len = b.len < LPX_EDIT_MAX_CHARS ? (unsigned)b.len : LPX_EDIT_MAX_CHARS;
    unsigned row[LPX_EDIT_MAX_CHARS + 1];
    for (unsigned j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1] ? 1U : 0U);
            diagonal = row[j];
            row[j] = min_of(change, 1 + min_of(row[j], row[j - 1]));
        }
    }
    return row[b_len];
}

void lpx_wipe(void *ptr, size_t len)
{
    if (len > 0) {
        explicit_bzero(ptr, len);
    }
}

bool lpx_equal_const_time(lpx_bytes a, lpx_bytes b)
{
    if (a.len != b.len) {
        return false;
    }
    /* volatile: the compiler may not leave the loop at the first difference. */
    volatile uint8_t diff = 0;
    for (size_t i = 0; i < a.len; i++) {
        diff = (uint8_t)(diff | (a.ptr[i] ^ b.ptr[i]));
    }
    return diff == 0;
}
