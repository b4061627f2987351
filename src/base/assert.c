/* The end of a process whose own functions broke a contract. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void lpx_assert_failed(const char *expr, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: internal contract broken: %s\n", file, line, expr);
    abort();
}
