/* Times as types of their own, so that wall clock and monotonic time are not mixed up. No clock here: io reads it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/** Monotonic time in microseconds since an unknown start. */
typedef struct lpx_mono {
    int64_t us;
} lpx_mono;

/** Wall clock: microseconds since 1970-01-01T00:00:00Z. */
typedef struct lpx_utc {
    int64_t us;
} lpx_utc;

/** Both clocks, read together once per loop turn. */
typedef struct lpx_now {
    lpx_mono mono;
    lpx_utc utc;
} lpx_now;

enum { LPX_UTC_TEXT_BYTES = 32 };

/** RFC 3339 text in UTC with up to six decimals, trailing zeros cut ("2026-01-02T03:04:05.6Z").
 * @param out room for LPX_UTC_TEXT_BYTES; NUL-ended
 * @return length without the NUL; 0 when the year is outside 1 to 9999 */
size_t lpx_utc_format(lpx_utc t, char out[static LPX_UTC_TEXT_BYTES]);

/** Read RFC 3339 text ("2026-01-02T03:04:05.123456Z", offsets too; more than six decimals are cut). Refused are leap
 * seconds (":60") and times whose year in UTC is not 1 to 9999.
 * @return false when it is no such time; *out untouched then */
bool lpx_utc_parse(lpx_str text, lpx_utc *out);
