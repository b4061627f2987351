#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lpx_reasons.h"

enum { READ_STEP_BYTES = 16 * 1024 };

static lpx_err file_failed(lpx_note *note, const char *what, const char *path, int error)
{
    uint16_t reason = error == ENOENT ? IO_FILE_MISSING : error == ENOMEM ? IO_NO_RESOURCES : IO_FILE_FAILED;
    return lpx_fail(note, reason, "cannot %s %.160s: %s", what, path, strerror(error));
}

/* The next piece into out, or one byte into nowhere when out may take no more.
 * @return bytes, 0 at the end of the file, -1 with errno */
static ssize_t read_step(int fd, size_t limit, lpx_buf *out)
{
    if (limit == 0) {
        char beyond = 0;
        return read(fd, &beyond, 1);
    }
    size_t step = limit < READ_STEP_BYTES ? limit : READ_STEP_BYTES;
    uint8_t *room = lpx_buf_reserve(out, step);
    if (room == NULL) {
        errno = ENOMEM;
        return -1;
    }
    ssize_t got = read(fd, room, step);
    lpx_buf_grown(out, got > 0 ? (size_t)got : 0);
    return got;
}

static lpx_err read_all(int fd, const char *path, size_t max_bytes, lpx_buf *out, lpx_note *note)
{
    size_t before = out->len;
    for (;;) {
        size_t left = max_bytes - (out->len - before);
        size_t fits = out->max_bytes - out->len;
        size_t limit = left < fits ? left : fits;
        ssize_t got = read_step(fd, limit, out);
        if (got == 0) {
            return LPX_SUCCESS;
        }
        if (got < 0 && errno != EINTR) {
            return file_failed(note, "read", path, errno);
        }
        if (got > 0 && limit == 0) {
            return lpx_fail(note, IO_FILE_TOO_LONG, "%.160s is longer than %zu bytes", path, out->len - before);
        }
    }
}

LPX_RESULT io_file_read(const char *path, size_t max_bytes, lpx_buf *out, lpx_note *note)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return file_failed(note, "open", path, errno);
    }
    size_t before = out->len;
    lpx_err err = read_all(fd, path, max_bytes, out, note);
    (void)close(fd);
    if (lpx_failed(err)) {
        out->len = before;
    }
    return err;
}

static bool write_all(int fd, lpx_bytes content)
{
    size_t done = 0;
    while (done < content.len) {
        ssize_t put = write(fd, content.ptr + done, content.len - done);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* Part of path before the last slash: "." without one, "/" for the root. */
static void folder_of(const char *path, char out[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        (void)snprintf(out, PATH_MAX, ".");
    } else if (slash == path) {
        (void)snprintf(out, PATH_MAX, "/");
    } else {
        (void)snprintf(out, PATH_MAX, "%.*s", (int)(slash - path), path);
    }
}

static bool sync_folder(const char *path)
{
    char folder[PATH_MAX];
    folder_of(path, folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool synced = fsync(fd) == 0;
    (void)close(fd);
    return synced;
}

/* The new content stands in temp, synced, with its mode. */
static bool write_temp(int fd, lpx_bytes content, mode_t mode)
{
    bool written = fchmod(fd, mode) == 0 && write_all(fd, content) && fsync(fd) == 0;
    int error = errno;
    bool closed = close(fd) == 0;
    if (!written) {
        errno = error;
    }
    return written && closed;
}

LPX_RESULT io_file_write(const char *path, lpx_bytes content, mode_t mode, lpx_note *note)
{
    char temp[PATH_MAX];
    int len = snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    if (len < 0 || (size_t)len >= sizeof temp) {
        return file_failed(note, "write", path, ENAMETOOLONG);
    }
    int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 until the real one is set */
    if (fd < 0) {
        return lpx_fail(note, IO_FILE_FAILED, "cannot write %.160s: %s", path, strerror(errno));
    }
    if (!write_temp(fd, content, mode) || rename(temp, path) != 0 || !sync_folder(path)) {
        int error = errno;
        (void)unlink(temp);
        return lpx_fail(note, IO_FILE_FAILED, "cannot write %.160s: %s", path, strerror(error));
    }
    return LPX_SUCCESS;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

LPX_RESULT io_dir_make(const char *path, mode_t mode, lpx_note *note)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) {
        return lpx_fail(note, IO_FILE_FAILED, "cannot make the folder \"%.160s\": want a path", path);
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != 0) {
            continue;
        }
        part[i] = 0;
        if (mkdir(part, mode) != 0 && !(errno == EEXIST && is_folder(part))) {
            int error = errno == EEXIST ? ENOTDIR : errno;
            return lpx_fail(note, IO_FILE_FAILED, "cannot make the folder %.160s: %s", part, strerror(error));
        }
        part[i] = i < len ? '/' : 0;
    }
    return LPX_SUCCESS;
}
