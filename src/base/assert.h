/* Assertions are for our own mistakes, never for a peer's: they stay on in release. */
#pragma once

/** End the process with file and line: a contract between our own functions is broken. */
_Noreturn void lpx_assert_failed(const char *expr, const char *file, int line);

#define lpx_assert(expr) ((expr) ? (void)0 : lpx_assert_failed(#expr, __FILE__, __LINE__))
