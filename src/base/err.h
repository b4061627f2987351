/* Errors are values: a gRPC status code and a named reason. Reasons stand in the <module>.errors files beside their
 * modules; tools/gen_errors.py turns all of them into lpx_reasons.h (enum, texts, names). Level 0. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/** gRPC status codes (numbers fixed by gRPC). */
typedef enum lpx_code {
    LPX_OK = 0,
    LPX_CANCELLED = 1,
    LPX_UNKNOWN = 2,
    LPX_INVALID_ARGUMENT = 3,
    LPX_DEADLINE_EXCEEDED = 4,
    LPX_NOT_FOUND = 5,
    LPX_ALREADY_EXISTS = 6,
    LPX_PERMISSION_DENIED = 7,
    LPX_RESOURCE_EXHAUSTED = 8,
    LPX_FAILED_PRECONDITION = 9,
    LPX_ABORTED = 10,
    LPX_OUT_OF_RANGE = 11,
    LPX_UNIMPLEMENTED = 12,
    LPX_INTERNAL = 13,
    LPX_UNAVAILABLE = 14,
    LPX_DATA_LOSS = 15,
    LPX_UNAUTHENTICATED = 16,
} lpx_code;

/** Outcome of what can fail: code 0 is success, reason is a number from lpx_reasons.h. A struct, so that the compiler
 * refuses an int in its place. */
typedef struct lpx_err {
    uint16_t code;
    uint16_t reason;
} lpx_err;

/** One sentence for the user, written only on failure: names the field and says what would be right. */
typedef struct lpx_note {
    char text[240];
} lpx_note;

/** Return type of what can fail; the caller must look. */
#define LPX_RESULT __attribute__((warn_unused_result)) lpx_err

/** Success. */
#define LPX_SUCCESS ((lpx_err){0, 0})

/** Hand a failure to the caller at once; the only macro that hides a return. */
#define LPX_TRY(call)                  \
    do {                               \
        lpx_err lpx_try_err_ = (call); \
        if (lpx_try_err_.code != 0) {  \
            return lpx_try_err_;       \
        }                              \
    } while (0)

/** Is it a failure? */
static inline bool lpx_failed(lpx_err e)
{
    return e.code != 0;
}

/** The error of a reason from lpx_reasons.h, with the code that its .errors file gives it. */
lpx_err lpx_err_of(uint16_t reason);

/** Name of a reason ("IAM_KEY_UNKNOWN"); static; "UNKNOWN" for a number that is none. */
const char *lpx_reason_name(uint16_t reason);

/** Standing text of a reason, one sentence; static. */
const char *lpx_reason_text(uint16_t reason);

/** Name of a gRPC code ("NOT_FOUND"); static. */
const char *lpx_code_name(uint16_t code);

/** Fail with a reason and a sentence of one's own.
 * @param note   where the sentence goes; NULL when nobody wants it
 * @param reason number from lpx_reasons.h
 * @param format printf format of the sentence; never with a secret in its arguments
 * @return the error of the reason */
lpx_err lpx_fail(lpx_note *note, uint16_t reason, const char *format, ...) __attribute__((format(printf, 3, 4)));
