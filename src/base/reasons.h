/* Shape of the generated table of reasons. */
#pragma once
#include "base/err.h"

typedef struct lpx_reason_row {
    const char *name, *text;
    uint16_t code;
} lpx_reason_row;

/* Generated: one row per reason, indexed by its number; row 0 is no reason. */
extern const lpx_reason_row lpx_reason_rows[];
