#include "crypto/pem_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/text.h"
#include "lpx_reasons.h"

static lpx_err file_fail(lpx_note *note, const char *verb, const char *path)
{
    int code = errno;
    char why[128];
    return lpx_fail(note, CRYPTO_FILE, "Cannot %s %s: %s.", verb, path, strerror_r(code, why, sizeof why));
}

static bool write_all(int fd, lpx_bytes bytes)
{
    size_t done = 0;
    while (done < bytes.len) {
        ssize_t got = write(fd, bytes.ptr + done, bytes.len - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

LPX_RESULT pem_file_stage(pem_file *file, const char *path, BIO *bio, unsigned mode, lpx_note *note)
{
    char *content = NULL;
    long len = BIO_get_mem_data(bio, &content);
    int wrote = snprintf(file->temp, sizeof file->temp, "%s.XXXXXX", path);
    if (len <= 0 || wrote < 0 || (size_t)wrote >= sizeof file->temp) {
        return lpx_fail(note, CRYPTO_FILE, "Cannot write a file with a path of %d characters.", wrote);
    }
    file->path = path;
    int fd = mkostemp(file->temp, O_CLOEXEC); /* mode 0600 from the first byte on */
    if (fd < 0) {
        return file_fail(note, "create a file beside", path);
    }
    bool good = write_all(fd, lpx_bytes_of(content, (size_t)len)) && fchmod(fd, (mode_t)mode) == 0 && fsync(fd) == 0;
    if (!good) {
        lpx_err err = file_fail(note, "write", file->temp);
        (void)close(fd);
        pem_file_discard(file);
        return err;
    }
    (void)close(fd);
    return LPX_SUCCESS;
}

/* Make the rename itself durable. */
static bool folder_sync(const char *path)
{
    char folder[CRYPTO_PATH_MAX_BYTES];
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    if (len >= sizeof folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(folder, path, len);
    folder[len] = '\0';
    int fd = open(len > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool good = fsync(fd) == 0;
    (void)close(fd);
    return good;
}

LPX_RESULT pem_file_commit(pem_file *file, lpx_note *note)
{
    if (rename(file->temp, file->path) != 0) {
        lpx_err err = file_fail(note, "write", file->path);
        pem_file_discard(file);
        return err;
    }
    file->temp[0] = '\0';
    return folder_sync(file->path) ? LPX_SUCCESS : file_fail(note, "sync the folder of", file->path);
}

void pem_file_discard(pem_file *file)
{
    if (file->temp[0] != '\0') {
        (void)unlink(file->temp);
        file->temp[0] = '\0';
    }
}

/* Read into a BIO that wipes what it held. */
static bool read_all(int fd, BIO *bio)
{
    uint8_t chunk[4096];
    size_t total = 0;
    bool good = false;
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            good = got == 0;
            break;
        }
        total += (size_t)got;
        if (total > CRYPTO_PEM_MAX_BYTES || BIO_write(bio, chunk, (int)got) != (int)got) {
            errno = EFBIG;
            break;
        }
    }
    lpx_wipe(chunk, sizeof chunk);
    return good;
}

LPX_RESULT pem_file_read(const char *path, BIO **out, lpx_note *note)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return file_fail(note, "read", path);
    }
    BIO *bio = BIO_new(BIO_s_secmem());
    if (bio == NULL) {
        (void)close(fd);
        return lpx_err_of(BASE_NO_MEMORY);
    }
    if (!read_all(fd, bio)) {
        lpx_err err = file_fail(note, "read", path);
        BIO_free(bio);
        (void)close(fd);
        return err;
    }
    (void)close(fd);
    *out = bio;
    return LPX_SUCCESS;
}
