/* Names of fields, times of google.protobuf, keys of maps. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "base/time.h"
#include "codec/json/protojson_priv.h"
#include "codec/pb/pb_field.h"

enum { NANOS_PER_SECOND = 1000000000, NANO_DIGITS = 9 };
static const int64_t duration_max_s = 315576000000;
static const int64_t timestamp_min_s = -62135596800; /* 0001-01-01T00:00:00Z */
static const int64_t timestamp_max_s = 253402300799; /* 9999-12-31T23:59:59Z */

wkt_kind wkt_of(const ProtobufCMessageDescriptor *desc)
{
    static const struct {
        const char *name;
        wkt_kind kind;
    } known[] = {
        {"Timestamp", WKT_TIMESTAMP}, {"Duration", WKT_DURATION},   {"DoubleValue", WKT_WRAPPER},
        {"FloatValue", WKT_WRAPPER},  {"Int64Value", WKT_WRAPPER},  {"UInt64Value", WKT_WRAPPER},
        {"Int32Value", WKT_WRAPPER},  {"UInt32Value", WKT_WRAPPER}, {"BoolValue", WKT_WRAPPER},
        {"StringValue", WKT_WRAPPER}, {"BytesValue", WKT_WRAPPER},
    };
    lpx_str name = lpx_str_of(desc->name), package = LPX_STR("google.protobuf.");
    for (size_t i = 0; lpx_str_starts(name, package) && i < sizeof known / sizeof known[0]; i++) {
        if (lpx_str_is(lpx_str_skip(name, package.len), known[i].name)) {
            return known[i].kind;
        }
    }
    return WKT_NONE;
}

wkt_time wkt_time_get(const ProtobufCMessage *message)
{
    wkt_time time;
    memcpy(&time.seconds, pb_field_get(message, &message->descriptor->fields[0]), sizeof time.seconds);
    memcpy(&time.nanos, pb_field_get(message, &message->descriptor->fields[1]), sizeof time.nanos);
    return time;
}

void wkt_time_set(ProtobufCMessage *message, wkt_time time)
{
    memcpy(pb_field_ptr(message, &message->descriptor->fields[0]), &time.seconds, sizeof time.seconds);
    memcpy(pb_field_ptr(message, &message->descriptor->fields[1]), &time.nanos, sizeof time.nanos);
}

/* Decimals after a point, one to nine digits, as nanoseconds. @return characters used, 0 when there are none or more */
static size_t nanos_read(lpx_str text, int32_t *out)
{
    int32_t nanos = 0;
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        if (digits == NANO_DIGITS) {
            return 0;
        }
        nanos = nanos * 10 + (text.ptr[digits++] - '0');
    }
    for (size_t i = digits; i < NANO_DIGITS; i++) {
        nanos *= 10;
    }
    *out = nanos;
    return digits;
}

/* "", ".500", ".500000" or ".000000001". */
static const char *nanos_print(int32_t nanos, char out[static 16])
{
    unsigned n = (unsigned)nanos % NANOS_PER_SECOND;
    if (n == 0) {
        out[0] = '\0';
    } else if (n % 1000000 == 0) {
        (void)snprintf(out, 16, ".%03u", n / 1000000);
    } else if (n % 1000 == 0) {
        (void)snprintf(out, 16, ".%06u", n / 1000);
    } else {
        (void)snprintf(out, 16, ".%09u", n);
    }
    return out;
}

bool wkt_timestamp_read(lpx_str text, wkt_time *out)
{
    lpx_utc utc;
    int32_t nanos = 0;
    if (!lpx_utc_parse(text, &utc)) {
        return false;
    }
    const char *point = memchr(text.ptr, '.', text.len);
    if (point != NULL && nanos_read(lpx_str_skip(text, (size_t)(point - text.ptr) + 1), &nanos) == 0) {
        return false;
    }
    int64_t seconds = utc.us / 1000000;
    *out = (wkt_time){utc.us % 1000000 < 0 ? seconds - 1 : seconds, nanos};
    return true;
}

size_t wkt_timestamp_print(wkt_time time, char out[static WKT_TIME_TEXT_BYTES])
{
    char seconds[LPX_UTC_TEXT_BYTES], nanos[16];
    if (time.seconds < timestamp_min_s || time.seconds > timestamp_max_s || time.nanos < 0 ||
        time.nanos >= NANOS_PER_SECOND) {
        return 0;
    }
    size_t len = lpx_utc_format((lpx_utc){time.seconds * 1000000}, seconds);
    return (size_t)snprintf(out, WKT_TIME_TEXT_BYTES, "%.*s%sZ", (int)len - 1, seconds, nanos_print(time.nanos, nanos));
}

bool wkt_duration_read(lpx_str text, wkt_time *out)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    text = lpx_str_skip(text, negative ? 1 : 0);
    if (text.len < 2 || text.ptr[text.len - 1] != 's') {
        return false;
    }
    text.len--;
    const char *point = memchr(text.ptr, '.', text.len);
    lpx_str whole = {text.ptr, point != NULL ? (size_t)(point - text.ptr) : text.len};
    uint64_t seconds;
    int32_t nanos = 0;
    if (!lpx_parse_u64(whole, (uint64_t)duration_max_s, &seconds)) {
        return false;
    }
    lpx_str decimals = lpx_str_skip(text, whole.len + 1);
    if (point != NULL && (decimals.len == 0 || nanos_read(decimals, &nanos) != decimals.len)) {
        return false;
    }
    if (seconds == (uint64_t)duration_max_s && nanos != 0) {
        return false;
    }
    *out = negative ? (wkt_time){-(int64_t)seconds, -nanos} : (wkt_time){(int64_t)seconds, nanos};
    return true;
}

size_t wkt_duration_print(wkt_time time, char out[static WKT_TIME_TEXT_BYTES])
{
    bool negative = time.seconds < 0 || time.nanos < 0;
    bool mixed = negative && (time.seconds > 0 || time.nanos > 0);
    if (mixed || time.seconds > duration_max_s || time.seconds < -duration_max_s || time.nanos >= NANOS_PER_SECOND ||
        time.nanos <= -NANOS_PER_SECOND) {
        return 0;
    }
    bool at_end = time.seconds == duration_max_s || time.seconds == -duration_max_s;
    if (at_end && time.nanos != 0) {
        return 0;
    }
    char nanos[16];
    (void)nanos_print(negative ? -time.nanos : time.nanos, nanos);
    return (size_t)snprintf(out, WKT_TIME_TEXT_BYTES, "%s%" PRId64 "%ss", negative ? "-" : "",
                            negative ? -time.seconds : time.seconds, nanos);
}

/* ---- names ---- */

void json_name_of(const char *field_name, char out[static JSON_NAME_BYTES])
{
    size_t len = 0;
    bool upper = false;
    for (; *field_name != '\0' && len + 1 < JSON_NAME_BYTES; field_name++) {
        char c = *field_name;
        if (c == '_') {
            upper = true;
            continue;
        }
        out[len++] = upper && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        upper = false;
    }
    out[len] = '\0';
}

const ProtobufCFieldDescriptor *json_field_find(const ProtobufCMessageDescriptor *desc, lpx_str name)
{
    char json_name[JSON_NAME_BYTES];
    for (unsigned i = 0; i < desc->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &desc->fields[i];
        json_name_of(field->name, json_name);
        if (lpx_str_is(name, json_name) || lpx_str_is(name, field->name)) {
            return field;
        }
    }
    return NULL;
}

const ProtobufCFieldDescriptor *json_field_nearest(const ProtobufCMessageDescriptor *desc, lpx_str name)
{
    char json_name[JSON_NAME_BYTES];
    const ProtobufCFieldDescriptor *best = NULL;
    unsigned best_distance = 1 + (unsigned)(name.len < 12 ? name.len / 3 : 4);
    for (unsigned i = 0; i < desc->n_fields; i++) {
        json_name_of(desc->fields[i].name, json_name);
        unsigned distance = lpx_edit_distance(name, lpx_str_of(json_name));
        if (distance < best_distance) {
            best_distance = distance;
            best = &desc->fields[i];
        }
    }
    return best;
}

/* ---- maps ---- */

/* Key as a number that sorts like it. */
static uint64_t key_number(const ProtobufCMessage *entry, const ProtobufCFieldDescriptor *key)
{
    const void *at = pb_field_get(entry, key);
    int32_t i32;
    uint64_t u64;
    if (pb_type_size(key->type) == 8) {
        memcpy(&u64, at, sizeof u64);
    } else {
        memcpy(&i32, at, sizeof i32);
        u64 = (uint64_t)(int64_t)i32;
    }
    bool is_signed = key->type == PROTOBUF_C_TYPE_INT32 || key->type == PROTOBUF_C_TYPE_INT64 ||
                     key->type == PROTOBUF_C_TYPE_SINT32 || key->type == PROTOBUF_C_TYPE_SINT64 ||
                     key->type == PROTOBUF_C_TYPE_SFIXED32 || key->type == PROTOBUF_C_TYPE_SFIXED64;
    return is_signed ? u64 ^ (uint64_t)1 << 63 : u64;
}

int json_map_compare(const void *a, const void *b)
{
    const ProtobufCMessage *left, *right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    const ProtobufCFieldDescriptor *key = &left->descriptor->fields[0];
    if (key->type == PROTOBUF_C_TYPE_STRING) {
        const char *left_text, *right_text;
        memcpy(&left_text, pb_field_get(left, key), sizeof left_text);
        memcpy(&right_text, pb_field_get(right, key), sizeof right_text);
        return strcmp(lpx_str_of(left_text).ptr, lpx_str_of(right_text).ptr);
    }
    uint64_t left_number = key_number(left, key), right_number = key_number(right, key);
    return left_number < right_number ? -1 : left_number > right_number;
}
