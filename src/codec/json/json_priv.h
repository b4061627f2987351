/* Number text, shared inside this folder. Level 1. */
#pragma once
#include "base/bytes.h"
#include "codec/limits.h"

/** Length of the JSON number that text begins with; 0 when it begins with none. */
size_t json_number_scan(lpx_str text);
/** Shortest text that reads back as the same double, laid out as JavaScript does; value must be finite.
 * @return length; NUL-ended */
size_t json_number_format(double value, char out[static JSON_NUMBER_TEXT_BYTES]);
/** The same for single precision. */
size_t json_number_format_float(float value, char out[static JSON_NUMBER_TEXT_BYTES]);
