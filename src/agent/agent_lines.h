/* Lines of a text file, compressed by gzip or not. Level 6. Thread: one. */
#pragma once
#include "agent/limits.h"
#include "base/bytes.h"
#include "base/err.h"

typedef struct agent_lines agent_lines;

/** Open a file; "-" is standard input.
 * @err NOT_FOUND: AGENT_NO_FILE (note names it and says why) */
LPX_RESULT agent_lines_open(const char *path, agent_lines **out, lpx_note *note);
/** Next line without its line break, valid until the next call; the empty view with *end set after the last.
 * @err INVALID_ARGUMENT: AGENT_BAD_FILE (damaged, or a line of more than AGENT_LINE_BYTES - 1) */
LPX_RESULT agent_lines_next(agent_lines *lines, lpx_str *line, bool *end, lpx_note *note);
/** How much of the file was read, 0 to 1; 0 when that cannot be known. */
double agent_lines_progress(const agent_lines *lines);
/** Number of the line that was read last, from 1. */
unsigned long agent_lines_number(const agent_lines *lines);
/** Close; clears the pointer; accepts NULL. */
void agent_lines_close(agent_lines **lines);
