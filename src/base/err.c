/* Errors as values: code, name and text of a reason from the generated table. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/reasons.h"
#include "lpx_reasons.h"

lpx_err lpx_err_of(uint16_t reason)
{
    lpx_assert(reason > LPX_REASON_NONE && reason < LPX_REASON_COUNT);
    return (lpx_err){.code = lpx_reason_rows[reason].code, .reason = reason};
}

const char *lpx_reason_name(uint16_t reason)
{
    return reason < LPX_REASON_COUNT ? lpx_reason_rows[reason].name : "UNKNOWN";
}

const char *lpx_reason_text(uint16_t reason)
{
    return reason < LPX_REASON_COUNT ? lpx_reason_rows[reason].text : "";
}

const char *lpx_code_name(uint16_t code)
{
    static const char *const names[] = {
        [LPX_OK] = "OK",
        [LPX_CANCELLED] = "CANCELLED",
        [LPX_UNKNOWN] = "UNKNOWN",
        [LPX_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [LPX_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [LPX_NOT_FOUND] = "NOT_FOUND",
        [LPX_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [LPX_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [LPX_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [LPX_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [LPX_ABORTED] = "ABORTED",
        [LPX_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [LPX_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [LPX_INTERNAL] = "INTERNAL",
        [LPX_UNAVAILABLE] = "UNAVAILABLE",
        [LPX_DATA_LOSS] = "DATA_LOSS",
        [LPX_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };
    return code < sizeof(names) / sizeof(names[0]) ? names[code] : "UNKNOWN";
}

lpx_err lpx_fail(lpx_note *note, uint16_t reason, const char *format, ...)
{
    if (note != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(note->text, sizeof(note->text), format, args);
        va_end(args);
    }
    return lpx_err_of(reason);
}
