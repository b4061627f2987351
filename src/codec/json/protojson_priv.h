/* What decoding and printing of messages share. For this folder only. Level 1. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"

/** Messages of google.protobuf that have a JSON form of their own. */
typedef enum wkt_kind { WKT_NONE, WKT_TIMESTAMP, WKT_DURATION, WKT_WRAPPER } wkt_kind;

/** Which of them a message is. */
wkt_kind wkt_of(const ProtobufCMessageDescriptor *desc);

/** Seconds and nanoseconds of a Timestamp or Duration. */
typedef struct wkt_time {
    int64_t seconds;
    int32_t nanos;
} wkt_time;

enum { WKT_TIME_TEXT_BYTES = 48 };

/** Fields of a Timestamp or Duration message. */
wkt_time wkt_time_get(const ProtobufCMessage *message);
/** Write them. */
void wkt_time_set(ProtobufCMessage *message, wkt_time time);
/** RFC 3339 text with at most nine decimals. @return false when it is none or outside the years 1 to 9999 */
bool wkt_timestamp_read(lpx_str text, wkt_time *out);
/** The text with 0, 3, 6 or 9 decimals, in UTC. @return its length; 0 when out of range */
size_t wkt_timestamp_print(wkt_time time, char out[static WKT_TIME_TEXT_BYTES]);
/** "1.5s", at most nine decimals, at most 315,576,000,000 s either way. */
bool wkt_duration_read(lpx_str text, wkt_time *out);
/** The text with 0, 3, 6 or 9 decimals. @return its length; 0 when out of range or when the signs differ */
size_t wkt_duration_print(wkt_time time, char out[static WKT_TIME_TEXT_BYTES]);

enum { JSON_NAME_BYTES = 128 };

/** Name of a field as JSON has it ("net_id" -> "netId"), NUL-ended, cut when too long. */
void json_name_of(const char *field_name, char out[static JSON_NAME_BYTES]);
/** Field by its JSON name or its name in the .proto file; NULL when there is none. */
const ProtobufCFieldDescriptor *json_field_find(const ProtobufCMessageDescriptor *desc, lpx_str name);
/** Field whose JSON name is nearest to an unknown one; NULL when none is near. */
const ProtobufCFieldDescriptor *json_field_nearest(const ProtobufCMessageDescriptor *desc, lpx_str name);

/** Order of two entries of a map by their keys, for qsort over an array of pointers to entries. */
int json_map_compare(const void *a, const void *b);
