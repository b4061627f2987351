/* Small files: read whole with a limit, replaced atomically. All calls block: before the loops start, or on a worker.
 * Level 2. Thread: any. */
#pragma once
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/** Append the whole file to out. A secret file: the caller wipes out.
 * @param max_bytes a longer file is refused
 * @param note      says which file and why on failure; out keeps what it had
 * @err IO_FILE_MISSING, IO_FILE_TOO_LONG, IO_FILE_FAILED, IO_NO_RESOURCES */
LPX_RESULT io_file_read(const char *path, size_t max_bytes, lpx_buf *out, lpx_note *note);

/** Replace a file whole: written beside it, synced, renamed, folder synced; readers see the old or the new content.
 * @param mode permission bits of the file, set before the first byte is written
 * @err IO_FILE_FAILED, IO_NO_RESOURCES */
LPX_RESULT io_file_write(const char *path, lpx_bytes content, mode_t mode, lpx_note *note);

/** Make a folder and those above it; fine when they exist already.
 * @param mode permission bits of the folders that are made
 * @err IO_FILE_FAILED */
LPX_RESULT io_dir_make(const char *path, mode_t mode, lpx_note *note);
