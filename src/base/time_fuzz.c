/* Any text as a time: what is accepted has a text of its own that means the same; any number formats or is refused. */
#include "base/assert.h"
#include "base/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(lpx_utc t)
{
    char text[LPX_UTC_TEXT_BYTES];
    size_t len = lpx_utc_format(t, text);
    lpx_utc back = {0};
    lpx_assert(len >= 20 && len < LPX_UTC_TEXT_BYTES && text[len] == '\0');
    lpx_assert(lpx_utc_parse((lpx_str){text, len}, &back) && back.us == t.us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lpx_utc t = {0};
    if (lpx_utc_parse((lpx_str){(const char *)data, size}, &t)) {
        check_round_trip(t);
    }
    if (size == sizeof(t.us)) {
        char text[LPX_UTC_TEXT_BYTES];
        memcpy(&t.us, data, size);
        if (lpx_utc_format(t, text) > 0) {
            check_round_trip(t);
        }
    }
    return 0;
}
